//! Several features side by side, as one: histogram + HoG + words into one vector (the lecture's B5).

use crate::extractor::{Encoder, ExtractError, Extractor};
use crate::images::ImagesView;
use crate::operation::Operation;
use crate::seed::Seed;
use crate::tensors::{RestoreError, Tensors};
use ndarray::{ArrayViewMut2, s};

/// Extractors whose rows are joined, in order.
pub struct Concatenated(pub Vec<Box<dyn Extractor>>);

impl Extractor for Concatenated {
    fn fit(&self, train: ImagesView<'_>, seed: Seed) -> Result<Box<dyn Encoder>, ExtractError> {
        if self.0.is_empty() {
            return Err(ExtractError::refused("a list of features needs at least one"));
        }
        let parts: Result<Vec<_>, _> = self.0.iter().enumerate().map(|(i, e)| e.fit(train, seed.nth(i))).collect();
        Ok(Box::new(Joined(parts?)))
    }

    fn is_deterministic(&self) -> bool {
        self.0.iter().all(|part| part.is_deterministic())
    }

    fn restore(&self, shape: (usize, usize, usize), mut learned: Tensors) -> Result<Box<dyn Encoder>, RestoreError> {
        if self.0.is_empty() {
            return Err(RestoreError::refused("a list of features needs at least one"));
        }
        let mut parts = Vec::with_capacity(self.0.len());
        for (i, extractor) in self.0.iter().enumerate() {
            let name = i.to_string();
            parts.push(extractor.restore(shape, learned.part(&name)).map_err(|e| e.below(&name))?);
        }
        learned.finish()?;
        Ok(Box::new(Joined(parts)))
    }
}

struct Joined(Vec<Box<dyn Encoder>>);

impl Encoder for Joined {
    fn dim(&self) -> usize {
        self.0.iter().map(|part| part.dim()).sum()
    }

    fn encode_into(&self, images: ImagesView<'_>, mut out: ArrayViewMut2<'_, f32>) {
        let mut start = 0;
        for part in &self.0 {
            let end = start + part.dim();
            part.encode_into(images, out.slice_mut(s![.., start..end]));
            start = end;
        }
    }

    fn learned(&self) -> Tensors {
        let parts = self.0.iter().enumerate();
        parts.fold(Tensors::new(), |all, (i, part)| all.with_part(&i.to_string(), part.learned()))
    }

    /// Those of a single part; parts side by side have no form as steps.
    fn operations(&self) -> Option<Vec<Operation>> {
        match &self.0[..] {
            [only] => only.operations(),
            _ => None,
        }
    }

    fn model_bytes(&self) -> usize {
        self.0.iter().map(|part| part.model_bytes()).sum()
    }

    fn notes(&self) -> Vec<String> {
        self.0.iter().flat_map(|part| part.notes()).collect()
    }
}
