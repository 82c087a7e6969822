//! Histograms of oriented gradients (the lecture's B3; Dalal, Triggs 2005).
//!
//! Gradients are central differences (v(x+1) − v(x−1), not halved), the border reflected without repeating its pixel,
//! taken in the channel where they are longest. Directions are unsigned (0 to 180°) unless `signed`.
//!
//! `form = "blocks"`, the default: every block of 2×2 cells has a histogram a cell. A pixel of the block votes with its
//! gradient's length times a Gaussian window over the block (σ = a quarter of its side, as in OpenCV), shared
//! bilinearly between the two nearest directions (bin i is centred at (i + ½) · 180° / orientations) and the four
//! nearest cells of the block; what would fall outside the block is dropped. The block's vector is brought to length
//! 1, clipped at 0.2, brought to length 1 again (L2-Hys). Blocks step by one cell. d = (rows − 1)(columns − 1) · 4 ·
//! orientations; layout: block row, block column, cell row, cell column, direction. Equal to OpenCV's descriptor up to
//! the order and to the 0.3° of its arc tangent.
//!
//! `form = "plain"`, the lecture's: per cell the sum of the lengths in each direction's bin, no sharing, no
//! normalisation. d = rows · columns · orientations; a 320×240 image with cells of 8 and 9 directions: exactly 10,800.
//!
//! Images that whole cells do not cover are padded by repeating their border, half on each side (the odd pixel at the
//! end): the border then has no gradient across it and no pixel is lost. 28×28 with cells of 8 becomes 32×32.

mod kernel;

use crate::MOST_NUMBERS;
use bakeoff_core::params::Positive;
use bakeoff_core::{Encoder, ExtractError, Extractor, ImagesView, Recipe, RestoreError, Seed, Tensors};
use kernel::Plan;
use ndarray::ArrayViewMut2;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Which of the two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Overlapping blocks of 2×2 cells, interpolated and normalised.
    #[default]
    Blocks,
    /// One histogram a cell, as the lecture tells it.
    Plain,
}

/// What is done to intensities first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gamma {
    /// Nothing.
    None,
    /// The square root: equal ratios of light become more equal differences.
    #[default]
    Sqrt,
}

/// Settings of HoG.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hog {
    /// Side of a cell in pixels.
    pub cell: NonZeroUsize,
    /// Bins of direction, 64 at most.
    pub orientations: NonZeroUsize,
    /// Which of the two forms.
    pub form: Form,
    /// Whether opposite directions are told apart (0 to 360°).
    pub signed: bool,
    /// What is done to intensities first.
    pub gamma: Gamma,
    /// Blocks: whether pixels far from the block's centre weigh less.
    pub gaussian: bool,
    /// Blocks: where the normalised vector is clipped.
    pub clip: Positive,
}

impl Default for Hog {
    fn default() -> Self {
        let (eight, nine) =
            const { (NonZeroUsize::new(8).expect("positive"), NonZeroUsize::new(9).expect("positive")) };
        Self {
            cell: eight,
            orientations: nine,
            form: Form::Blocks,
            signed: false,
            gamma: Gamma::Sqrt,
            gaussian: true,
            clip: Positive::literal(0.2),
        }
    }
}

impl Recipe for Hog {
    const NAME: &'static str = "hog";
    const SUMMARY: &'static str = "histograms of oriented gradients, block-normalised or plain";
    const REFERENCE: &'static str = "lecture B3; Dalal, Triggs 2005";
    const SEARCH: &'static str = "cell = { choice = [4, 8] }\n\
        orientations = { choice = [9, 12] }\n\
        signed = { choice = [false, true] }";
}

impl Extractor for Hog {
    fn fit(&self, train: ImagesView<'_>, _: Seed) -> Result<Box<dyn Encoder>, ExtractError> {
        Ok(Box::new(self.planned(train.shape())?))
    }

    fn restore(&self, shape: (usize, usize, usize), learned: Tensors) -> Result<Box<dyn Encoder>, RestoreError> {
        learned.finish()?;
        Ok(Box::new(self.planned(shape)?))
    }
}

impl Hog {
    /// The encoder for images of this (height, width, channels): nothing is learned from them.
    fn planned(&self, shape: (usize, usize, usize)) -> Result<Fitted, ExtractError> {
        let (height, width, channels) = shape;
        let orientations = self.orientations.get();
        if orientations > 64 {
            return Err(ExtractError::refused(format!("{orientations} bins of direction; 64 are the most")));
        }
        if self.cell.get() > 1 << 12 {
            return Err(ExtractError::refused(format!("cells of {} pixels; 4096 are the most", self.cell)));
        }
        let plan = Plan::new(self, height, width, channels);
        if plan.dim() > MOST_NUMBERS {
            let reason = format!("{} numbers an image, {MOST_NUMBERS} are the most: larger cells", plan.dim());
            return Err(ExtractError::refused(reason));
        }
        Ok(Fitted { plan, shape })
    }
}

struct Fitted {
    plan: Plan,
    shape: (usize, usize, usize),
}

impl Encoder for Fitted {
    fn learned(&self) -> Tensors {
        Tensors::new()
    }

    fn dim(&self) -> usize {
        self.plan.dim()
    }

    fn encode_into(&self, images: ImagesView<'_>, mut out: ArrayViewMut2<'_, f32>) {
        assert_eq!(images.shape(), self.shape, "images of the fitted size");
        assert_eq!(out.dim(), (images.len(), self.dim()), "one row of d numbers an image");
        let mut scratch = self.plan.scratch();
        for (image, mut row) in images.iter().zip(out.outer_iter_mut()) {
            self.plan.encode(image, &mut scratch, row.as_slice_mut().expect("every row of out is contiguous"));
        }
    }
}

#[cfg(test)]
mod tests;
