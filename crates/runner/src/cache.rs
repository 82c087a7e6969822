//! Features that were computed before: by content, so that whoever finds them need not ask whose they were.
//!
//! The key is the SHA-256 of the dataset's content, the positions of the training images, the recipe as meant, the seed where
//! the recipe draws anything, and the program. Times and CPU seconds of the computation lie beside the features and count
//! again when they are taken from the cache: a pipeline costs what it costs, whoever paid last.

use crate::canonical;
use crate::clock::Stopwatch;
use crate::machine::Machine;
use crate::material::Training;
use bakeoff_core::{Encoder, Extractor, Seed, Tensors, encode};
use bakeoff_results::Seconds;
use ndarray::Array2;
use serde_json::{Value, json};

/// Where features are kept between cells and runs. It may forget at any time, and what it gives back is checked.
pub trait FeatureCache: Sync {
    /// What tells this program from others that compute otherwise.
    fn program(&self) -> &str;

    /// Bytes of features at most that are kept.
    fn most_bytes(&self) -> usize;

    /// What a computation must take for its features to be kept: others are done again before they are found on a disk.
    fn worth(&self) -> Seconds {
        Seconds(0.5)
    }

    /// What was put there under this key.
    fn get(&self, key: &str) -> Option<Tensors>;

    /// Keeps something under a key.
    fn put(&self, key: &str, features: Tensors);
}

/// A cache and what it is used with.
#[derive(Clone, Copy)]
pub(crate) struct Remembering<'a> {
    pub(crate) cache: &'a dyn FeatureCache,
    pub(crate) machine: &'a dyn Machine,
}

/// What a computation that did not happen would have cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Saved {
    pub(crate) wall: Seconds,
    pub(crate) cpu: Seconds,
}

impl Saved {
    pub(crate) fn add(&mut self, other: Self) {
        self.wall.0 += other.wall.0;
        self.cpu.0 += other.cpu.0;
    }
}

/// Features that are being computed, or looked up.
pub(crate) struct Key<'a> {
    with: Remembering<'a>,
    text: String,
    started: Stopwatch,
    cpu: Seconds,
}

impl<'a> Remembering<'a> {
    /// The key of the features of these images.
    pub(crate) fn key(self, recipe: &Value, extractor: &dyn Extractor, training: &Training<'_>, seed: Seed) -> Key<'a> {
        let drawn = (!extractor.is_deterministic()).then_some(seed.0);
        let meant = json!({
            "program": self.cache.program(),
            "images": training.identity(),
            "recipe": recipe,
            "seed": drawn,
        });
        let text = canonical::sha256(&canonical::text(&meant));
        Key { with: self, text, started: Stopwatch::start(), cpu: self.machine.cpu() }
    }
}

impl Key<'_> {
    /// The encoder and the rows, where they are there and sound, and what they saved.
    pub(crate) fn get(
        &self,
        extractor: &dyn Extractor,
        training: &Training<'_>,
    ) -> Option<(Box<dyn Encoder>, Array2<f32>, Saved)> {
        let mut found = self.with.cache.get(&self.text)?;
        let cost: Vec<f64> = found.vector("cost", 2).ok()?;
        let encoder = extractor.restore(training.images().shape(), found.part("learned")).ok()?;
        let rows: Array2<f32> = found.matrix("rows", training.len(), encoder.dim()).ok()?;
        found.finish().ok()?;
        let left = |cost: f64, used: f64| Seconds((cost - used).max(0.0));
        let saved = Saved {
            wall: left(cost[0], self.started.elapsed().0),
            cpu: left(cost[1], self.with.machine.cpu().0 - self.cpu.0),
        };
        Some((encoder, rows, saved))
    }

    /// Encodes all training images, and keeps what took long enough.
    pub(crate) fn put(&self, encoder: &dyn Encoder, training: &Training<'_>) -> Array2<f32> {
        let rows = encode(encoder, training.images());
        let seconds = self.started.elapsed().0;
        let cpu = self.with.machine.cpu().0 - self.cpu.0;
        if seconds >= self.with.cache.worth().0
            && size_of_val(rows.as_slice().unwrap_or_default()) <= self.with.cache.most_bytes()
        {
            let kept = Tensors::new().with("rows", &rows).with_slice("cost", &[seconds, cpu]);
            self.with.cache.put(&self.text, kept.with_part("learned", encoder.learned()));
        }
        rows
    }
}

#[cfg(test)]
mod tests;
