//! The whole state of a training after an epoch, as bytes in the safetensors format.
//!
//! What a state is allowed to be comes from the training that takes it: names, lengths and identity are compared with its
//! own, and nothing read from the bytes decides how much memory is taken. A checksum over all numbers tells damage.

use crate::settings::Mlp;
use bakeoff_core::{FitError, Labels, Rows, Seed};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

/// The format's name and number; a state of another one is refused.
const FORMAT: &str = "bakeoff mlp training state 1";

/// The metadata key.
const KEY: &str = "bakeoff";

/// The best network so far by the rows held out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Best {
    /// The epoch after which it was met.
    pub(crate) epoch: usize,
    /// Rows it did not classify right.
    pub(crate) errors: usize,
    /// The summed loss of the rows.
    pub(crate) loss: f64,
    /// [`crate::Network::numbers`].
    pub(crate) numbers: Vec<f32>,
}

/// A named array.
pub(crate) type Named = (String, Vec<f32>);

/// Everything that the next epoch depends on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) epochs: usize,
    pub(crate) steps: u64,
    pub(crate) seconds: f64,
    pub(crate) best: Option<Best>,
    pub(crate) arrays: Vec<Named>,
}

/// What tells one training from another: settings, seed, the rows' sizes and the labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    settings: Mlp,
    seed: u64,
    rows: usize,
    columns: usize,
    classes: usize,
    labels: u64,
}

/// The part of a state that is not arrays.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    identity: Identity,
    epochs: usize,
    steps: u64,
    seconds: f64,
    best: Option<(usize, usize, f64)>,
    checksum: u64,
}

impl Identity {
    pub(crate) fn of(mlp: &Mlp, x: &dyn Rows, y: &Labels, seed: Seed) -> Self {
        let labels = y.as_slice().iter().fold(FNV, |hash, &class| fnv(hash, &(class as u64).to_le_bytes()));
        let (rows, columns, classes) = (x.n_rows(), x.dim(), y.n_classes());
        Self { settings: mlp.clone(), seed: seed.0, rows, columns, classes, labels }
    }
}

/// FNV-1a's start.
const FNV: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn damaged(what: impl std::fmt::Display) -> FitError {
    FitError::refused(format!("the training state is damaged: {what}"))
}

impl State {
    /// The bytes of this state of the training with this identity.
    pub(crate) fn to_bytes(&self, identity: &Identity) -> Vec<u8> {
        let best = self.best.iter().map(|best| ("best".to_owned(), to_bytes(&best.numbers)));
        let arrays: Vec<(String, Vec<u8>)> =
            self.arrays.iter().map(|(name, values)| (name.clone(), to_bytes(values))).chain(best).collect();
        let head = Head {
            format: FORMAT.to_owned(),
            identity: identity.clone(),
            epochs: self.epochs,
            steps: self.steps,
            seconds: self.seconds,
            best: self.best.as_ref().map(|best| (best.epoch, best.errors, best.loss)),
            checksum: arrays.iter().fold(FNV, |hash, (_, bytes)| fnv(hash, bytes)),
        };
        let head = serde_json::to_string(&head).expect("numbers and names have a JSON form");
        let views = arrays.iter().map(|(name, bytes)| {
            let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).expect("four bytes a number");
            (name.as_str(), view)
        });
        safetensors::serialize(views, Some([(KEY.to_owned(), head)].into_iter().collect()))
            .expect("views of vectors are valid")
    }

    /// Reads a state of the training with this identity, whose arrays have these names and lengths and whose best network,
    /// if there is one, so many numbers.
    ///
    /// # Errors
    /// [`FitError::Refused`] with what is wrong.
    pub(crate) fn from_bytes(
        bytes: &[u8],
        identity: &Identity,
        like: &[Named],
        best: Option<usize>,
    ) -> Result<Self, FitError> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let head = metadata.metadata().as_ref().and_then(|all| all.get(KEY));
        let head =
            head.ok_or_else(|| FitError::refused("these bytes are not a training state of bakeoff's networks"))?;
        let head: Head = serde_json::from_str(head).map_err(damaged)?;
        head.check(identity, best.is_some())?;
        let tensors = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let mut checksum = FNV;
        let mut read = |name: &str, length: usize| {
            let tensor = tensors.tensor(name).map_err(damaged)?;
            if tensor.dtype() != Dtype::F32 || tensor.data().len() != length * 4 {
                return Err(damaged(format!("array {name} has {} bytes, not {}", tensor.data().len(), length * 4)));
            }
            checksum = fnv(checksum, tensor.data());
            let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            Ok(values.collect::<Vec<f32>>())
        };
        let arrays = like.iter().map(|(name, like)| Ok((name.clone(), read(name, like.len())?)));
        let arrays = arrays.collect::<Result<Vec<Named>, FitError>>()?;
        let best = match (head.best, best) {
            (Some((epoch, errors, loss)), Some(length)) => {
                Some(Best { epoch, errors, loss, numbers: read("best", length)? })
            }
            _ => None,
        };
        if checksum != head.checksum || tensors.len() != like.len() + usize::from(best.is_some()) {
            return Err(damaged("its numbers are not those that were written"));
        }
        Ok(Self { epochs: head.epochs, steps: head.steps, seconds: head.seconds, best, arrays })
    }
}

impl Head {
    fn check(&self, identity: &Identity, has_best: bool) -> Result<(), FitError> {
        if self.format != FORMAT {
            return Err(FitError::refused(format!("the training state is {:?}, expected {FORMAT:?}", self.format)));
        }
        if self.identity != *identity {
            let place = [
                ("settings", self.identity.settings != identity.settings),
                ("seed", self.identity.seed != identity.seed),
                ("number of rows", self.identity.rows != identity.rows),
                ("number of columns", self.identity.columns != identity.columns),
                ("number of classes", self.identity.classes != identity.classes),
            ];
            let what = place.iter().find(|(_, differs)| *differs).map_or("labels", |(name, _)| name);
            return Err(FitError::refused(format!("the training state is of a training with other {what}")));
        }
        let best_fits = self.best.is_none_or(|(epoch, ..)| epoch >= 1 && epoch <= self.epochs);
        let counts = self.epochs >= 1 && self.steps >= self.epochs as u64 && self.seconds >= 0.0;
        if counts && best_fits && self.best.is_some() == has_best {
            Ok(())
        } else {
            Err(damaged("its counts contradict each other"))
        }
    }
}
