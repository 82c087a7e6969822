//! Features: what is learned from training images, and what then turns images into rows of numbers.

use crate::images::ImagesView;
use crate::operation::Operation;
use crate::seed::Seed;
use crate::tensors::{RestoreError, Tensors};
use ndarray::{Array2, ArrayViewMut2, Axis};
use rayon::prelude::*;
use thiserror::Error;

/// A way to make features, before it has seen an image.
pub trait Extractor: Send + Sync {
    /// Learns what it needs (a mean image, a codebook) from training images and fixes the feature dimension.
    ///
    /// # Errors
    /// [`ExtractError::Refused`] when these images cannot be handled, with the reason.
    fn fit(&self, train: ImagesView<'_>, seed: Seed) -> Result<Box<dyn Encoder>, ExtractError>;

    /// Whether the result does not depend on the seed.
    fn is_deterministic(&self) -> bool {
        true
    }

    /// The encoder that [`Encoder::learned`] came from, for images of this (height, width, channels). Its rows are the same
    /// to the bit.
    ///
    /// # Errors
    /// [`RestoreError`] when the arrays are not those of such an encoder, or such images cannot be handled.
    fn restore(&self, shape: (usize, usize, usize), learned: Tensors) -> Result<Box<dyn Encoder>, RestoreError>;
}

/// A fitted extractor.
pub trait Encoder: Send + Sync {
    /// d, the numbers an image becomes.
    fn dim(&self) -> usize;

    /// Writes one row per image into `out` (n, d); every row of `out` is contiguous. A row depends on its own image
    /// alone, so a batch may be cut anywhere.
    ///
    /// # Panics
    /// When `out` is not (n, d) or the images are not of the size that was fitted.
    fn encode_into(&self, images: ImagesView<'_>, out: ArrayViewMut2<'_, f32>);

    /// All that was learned, so that [`Extractor::restore`] of the same settings gives the same encoder; empty for what
    /// settings and image size decide alone.
    fn learned(&self) -> Tensors;

    /// The steps from rows of bytes (height, width, channels) to features, for exports; `None` where there is no such form.
    fn operations(&self) -> Option<Vec<Operation>> {
        None
    }

    /// Bytes of what was learned: what a stored model must hold besides its settings.
    fn model_bytes(&self) -> usize {
        0
    }

    /// What a reader of the result should know of these images in particular, as sentences: that they are too small for
    /// as many descriptors as the source takes, say.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Why features could not be fitted.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtractError {
    /// The images are not of a kind that this extractor takes; a reason a person can act on.
    #[error("{reason}")]
    Refused {
        /// What does not fit and what would.
        reason: String,
    },
}

impl ExtractError {
    /// A refusal with its reason.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}

impl From<ExtractError> for RestoreError {
    fn from(error: ExtractError) -> Self {
        Self::refused(error.to_string())
    }
}

/// Images a worker encodes at a time: small enough to balance two cores, large enough to amortise a call. Few images
/// are cut finer, since each may be much work; how they are cut changes no bit of a row.
fn images_a_call(n: usize) -> usize {
    n.div_ceil(4 * rayon::current_num_threads()).clamp(1, 64)
}

/// Encodes all images on rayon's current pool into a new (n, d) matrix; the same bits on any number of threads.
pub fn encode(encoder: &dyn Encoder, images: ImagesView<'_>) -> Array2<f32> {
    let mut out = Array2::zeros((images.len(), encoder.dim()));
    if encoder.dim() == 0 {
        return out;
    }
    let a_call = images_a_call(images.len());
    out.axis_chunks_iter_mut(Axis(0), a_call).into_par_iter().enumerate().for_each(|(block, rows)| {
        let start = block * a_call;
        encoder.encode_into(images.range(start, start + rows.nrows()), rows);
    });
    out
}
