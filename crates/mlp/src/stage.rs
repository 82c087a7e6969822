//! A stage of a network in training: forward, back, and its parameters in a fixed order.

use crate::activation::Activation;
use crate::layer_norm::NormOfRows;
use crate::network::{Dense, Residual, Stage};
use crate::parameter::{Parameter, View};
use crate::unit::{Signal, Unit};
use bakeoff_core::Seed;
use bakeoff_numeric::Element;
use bakeoff_numeric::panels::PANEL;

#[derive(Debug)]
pub(crate) enum TrainedStage<T> {
    Dense(Box<Unit<T>>),
    Residual(Box<Block<T>>),
}

/// An inverted bottleneck with its buffers.
#[derive(Debug)]
pub(crate) struct Block<T> {
    norm: NormOfRows<T>,
    expand: Unit<T>,
    contract: Unit<T>,
}

impl<T: Element> TrainedStage<T> {
    pub(crate) fn new(stage: &Stage<T>, dropout: f64, batch: usize, is_hidden: bool) -> Self {
        match stage {
            Stage::Dense(Dense { affine, norm, activation }) => {
                // Only what an activation follows is left out: neither the embedding of residual blocks nor the scores.
                let hidden = is_hidden && (norm.is_some() || *activation != Activation::Identity);
                let dropout = if hidden { dropout } else { 0.0 };
                Self::Dense(Box::new(Unit::new(affine, norm.as_ref(), *activation, dropout, batch)))
            }
            Stage::Residual(Residual { norm, expand, activation, contract }) => Self::Residual(Box::new(Block {
                norm: NormOfRows::new(norm, batch),
                expand: Unit::new(expand, None, *activation, dropout, batch),
                contract: Unit::new(contract, None, Activation::Identity, 0.0, batch),
            })),
        }
    }

    /// The unit whose outputs are the stage's.
    pub(crate) fn last(&self) -> &Unit<T> {
        match self {
            Self::Dense(unit) => unit,
            Self::Residual(block) => &block.contract,
        }
    }

    pub(crate) fn last_mut(&mut self) -> &mut Unit<T> {
        match self {
            Self::Dense(unit) => unit,
            Self::Residual(block) => &mut block.contract,
        }
    }

    pub(crate) fn forward(&mut self, input: &Signal<T>, draw: Option<Seed>) {
        match self {
            Self::Dense(unit) => unit.forward(input, None, draw),
            Self::Residual(block) => {
                let Block { norm, expand, contract } = &mut **block;
                norm.forward(&input.a);
                expand.forward(&norm.out, None, draw);
                contract.forward(&expand.out, Some(&input.a), None);
            }
        }
    }

    /// Takes the derivatives on to the stage below.
    pub(crate) fn backward(&mut self, below: Option<&mut Self>) {
        match self {
            Self::Dense(unit) => {
                if let Some(below) = below {
                    below.last_mut().take_from(unit);
                }
            }
            Self::Residual(block) => {
                let Block { norm, expand, contract } = &mut **block;
                expand.take_from(contract);
                let bands = norm.delta.dim().0.div_ceil(PANEL);
                expand.multiply_back(&mut norm.delta, vec![(); bands], |_, ()| ());
                if let Some(below) = below {
                    let below = below.last_mut();
                    norm.backward(&contract.delta, &mut below.delta);
                    below.settle();
                }
            }
        }
    }

    /// Calls `each` with every unit and what went into it.
    pub(crate) fn for_each_unit(&mut self, input: &Signal<T>, mut each: impl FnMut(&mut Unit<T>, &Signal<T>)) {
        match self {
            Self::Dense(unit) => each(unit, input),
            Self::Residual(block) => {
                let Block { norm, expand, contract } = &mut **block;
                each(contract, &expand.out);
                each(expand, &norm.out);
            }
        }
    }

    pub(crate) fn units_mut(&mut self) -> Vec<&mut Unit<T>> {
        match self {
            Self::Dense(unit) => vec![unit],
            Self::Residual(block) => vec![&mut block.expand, &mut block.contract],
        }
    }

    pub(crate) fn parameters(&mut self) -> Vec<&mut Parameter<T>> {
        match self {
            Self::Dense(unit) => unit.parameters(),
            Self::Residual(block) => {
                let Block { norm, expand, contract } = &mut **block;
                let mut all = vec![&mut norm.gamma, &mut norm.beta];
                all.extend(expand.parameters());
                all.extend(contract.parameters());
                all
            }
        }
    }

    /// Every parameter in the order of `parameters`, and the running statistics.
    pub(crate) fn visit<'a>(
        &'a self,
        parameter: &mut dyn FnMut(&'a Parameter<T>),
        statistics: &mut dyn FnMut(&'a Vec<T>),
    ) {
        let units = match self {
            Self::Dense(unit) => vec![&**unit],
            Self::Residual(block) => {
                let Block { norm, expand, contract } = &**block;
                parameter(&norm.gamma);
                parameter(&norm.beta);
                vec![expand, contract]
            }
        };
        for unit in units {
            parameter(&unit.w);
            parameter(&unit.b);
            if let Some(norm) = &unit.norm {
                parameter(&norm.gamma);
                parameter(&norm.beta);
                norm.running.iter().chain(&norm.averages).for_each(&mut *statistics);
            }
        }
    }

    pub(crate) fn stage(&self, activation: Activation, view: View) -> Stage<T> {
        match self {
            Self::Dense(unit) => Stage::Dense(Dense {
                affine: unit.affine(view),
                norm: unit.norm.as_ref().map(|norm| norm.batch_norm(view)),
                activation,
            }),
            Self::Residual(block) => Stage::Residual(Residual {
                norm: block.norm.layer_norm(view),
                expand: block.expand.affine(view),
                activation,
                contract: block.contract.affine(view),
            }),
        }
    }
}
