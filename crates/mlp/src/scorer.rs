//! A trained network's scores, fast: maps folded and packed once, rows in blocks or one alone.

use crate::activation::Activation;
use crate::network::{Affine, LayerNorm, Network, Stage};
use crate::stored;
use bakeoff_core::{Model, Operation, Tensors};
use bakeoff_numeric::{Packed, packed, score_rows_by};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// Rows scored together: whole groups of a product, two by two, and few enough that a layer's numbers stay in the second level cache.
const BLOCK: usize = 16 * packed::ROWS;

/// A network with its maps packed for scoring. A row's scores do not depend on the rows beside it, to the bit: every
/// sum adds the same products in the same order.
#[derive(Debug)]
pub struct Scorer {
    network: Network<f32>,
    stages: Vec<Packing>,
}

#[derive(Debug)]
enum Packing {
    Dense { map: Packed, activation: Activation },
    Residual { norm: LayerNorm<f32>, expand: Packed, activation: Activation, contract: Packed },
}

fn pack(affine: &Affine<f32>) -> Packed {
    Packed::with_bias(affine.w.t(), &affine.b.to_vec())
}

impl Packing {
    fn new(stage: &Stage<f32>) -> Self {
        match stage {
            Stage::Dense(dense) => Self::Dense { map: pack(&dense.folded()), activation: dense.activation },
            Stage::Residual(block) => Self::Residual {
                norm: block.norm.clone(),
                expand: pack(&block.expand),
                activation: block.activation,
                contract: pack(&block.contract),
            },
        }
    }

    fn of_rows(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        match self {
            Self::Dense { map, activation } => activated(map, x, *activation),
            Self::Residual { norm, expand, activation, contract } => {
                let mut normed = x.to_owned();
                norm.apply(&mut normed);
                let inside = activated(expand, normed.view(), *activation);
                activated(contract, inside.view(), Activation::Identity) + x
            }
        }
    }
}

fn activated(map: &Packed, x: ArrayView2<'_, f32>, activation: Activation) -> Array2<f32> {
    let mut z = Array2::zeros((x.nrows(), map.outputs()));
    if x.nrows() == 1 {
        map.multiply_row(x, z.view_mut());
    } else {
        map.multiply(x, z.view_mut());
    }
    if let Some(z) = z.as_slice_mut() {
        bakeoff_numeric::element::vectorised(|| activation.value(z));
    }
    z
}

impl Scorer {
    /// Packs a network.
    ///
    /// # Panics
    /// When it has no stages.
    pub fn new(network: Network<f32>) -> Self {
        assert!(!network.stages.is_empty(), "a network without stages scores nothing");
        let stages = network.stages.iter().map(Packing::new).collect();
        Self { network, stages }
    }

    /// The network as it was trained: weights, biases, norms and their statistics, activations.
    pub fn network(&self) -> &Network<f32> {
        &self.network
    }

    fn scores_into(&self, x: ArrayView2<'_, f32>, mut out: ArrayViewMut2<'_, f32>) {
        if let [first, rest @ ..] = &self.stages[..] {
            out.assign(&rest.iter().fold(first.of_rows(x), |x, stage| stage.of_rows(x.view())));
        }
    }
}

impl Model for Scorer {
    fn scores(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        assert_eq!(x.ncols(), self.network.inputs(), "columns of the training rows");
        let k = self.network.outputs();
        if x.nrows() == 1 {
            let mut out = Array2::zeros((1, k));
            self.scores_into(x.as_standard_layout().view(), out.view_mut());
            return out;
        }
        score_rows_by(BLOCK, x, k, |rows, scores| self.scores_into(rows, scores))
    }

    fn model_bytes(&self) -> usize {
        self.network.stages.iter().map(Stage::n_numbers).sum::<usize>() * size_of::<f32>()
    }

    fn learned(&self) -> Tensors {
        stored::learned(&self.network)
    }

    fn operations(&self) -> Option<Vec<Operation>> {
        Some(stored::operations(&self.network))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Blocks, Initialisation, Shape};
    use bakeoff_core::Seed;
    use ndarray::s;

    #[test]
    fn packed_scores_are_those_of_the_formulas_alone_and_in_company() {
        let shape = Shape {
            inputs: 70,
            hidden: vec![130, 33],
            batch_norm: true,
            blocks: Blocks { width: 40, count: 2, expansion: 3 },
            activation: Activation::Gelu,
            classes: 7,
        };
        let network = Network::<f32>::new(&shape, Initialisation::Auto, Seed(3));
        let x = Array2::from_shape_fn((100, 70), |(i, j)| ((i * 31 + j * 17) % 97) as f32 * 0.02 - 1.0);
        let mut expected = Array2::zeros((100, 7));
        network.scores_into(x.view(), expected.view_mut());
        let scorer = Scorer::new(network.clone());
        let scores = scorer.scores(x.view());
        assert!((&scores - &expected).iter().all(|d| d.abs() < 1e-4), "{scores} {expected}");
        for i in [0, 63, 64, 99] {
            assert_eq!(scorer.scores(x.slice(s![i..=i, ..])).row(0), scores.row(i), "row {i}");
        }
        assert_eq!(scorer.network(), &network);
        assert_eq!(scorer.model_bytes(), 4 * network.numbers().len());
    }
}
