//! The local descriptors of an image side by side: d = places · numbers a descriptor, in the order of the grid (scale,
//! row, column). Keeps where things are, as HoG does; nothing is learned.

use crate::MOST_NUMBERS;
use crate::local::{Describe, Local};
use bakeoff_core::{Encoder, ExtractError, Extractor, ImagesView, Recipe, RestoreError, Seed, Tensors};
use ndarray::ArrayViewMut2;
use serde::{Deserialize, Serialize};

/// Settings of local descriptors side by side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalDescriptors {
    /// Which descriptor, on which grid.
    pub local: Local,
}

impl Recipe for LocalDescriptors {
    const NAME: &'static str = "local-descriptors";
    const SUMMARY: &'static str = "dense SIFT, color statistics or patches of a grid, side by side";
    const REFERENCE: &'static str = "Lowe 2004; Clinchant, Csurka, Perronnin, Renders 2007";
    const SEARCH: &'static str = "local = { choice = [{ kind = 'sift' }, { kind = 'patches' }] }";
}

impl Extractor for LocalDescriptors {
    fn fit(&self, train: ImagesView<'_>, _: Seed) -> Result<Box<dyn Encoder>, ExtractError> {
        Ok(Box::new(self.planned(train.shape())?))
    }

    fn restore(&self, shape: (usize, usize, usize), learned: Tensors) -> Result<Box<dyn Encoder>, RestoreError> {
        learned.finish()?;
        Ok(Box::new(self.planned(shape)?))
    }
}

impl LocalDescriptors {
    /// The encoder for images of this (height, width, channels): nothing is learned from them.
    fn planned(&self, shape: (usize, usize, usize)) -> Result<Fitted, ExtractError> {
        let plan = self.local.plan(shape)?;
        let dim = plan.places().len() * plan.dim();
        if dim > MOST_NUMBERS {
            let reason = format!("{dim} numbers an image, {MOST_NUMBERS} are the most: a larger step");
            return Err(ExtractError::refused(reason));
        }
        Ok(Fitted { plan, dim, shape })
    }
}

struct Fitted {
    plan: Box<dyn Describe>,
    dim: usize,
    shape: (usize, usize, usize),
}

impl Encoder for Fitted {
    fn learned(&self) -> Tensors {
        Tensors::new()
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn encode_into(&self, images: ImagesView<'_>, mut out: ArrayViewMut2<'_, f32>) {
        assert_eq!(images.shape(), self.shape, "images of the fitted size");
        assert_eq!(out.dim(), (images.len(), self.dim), "one row of d numbers an image");
        let mut scratch = Vec::new();
        for (image, mut row) in images.iter().zip(out.outer_iter_mut()) {
            self.plan.describe(image, &mut scratch, row.as_slice_mut().expect("every row of out is contiguous"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::Patches;
    use bakeoff_core::{Images, encode};
    use ndarray::{Array4, array};
    use std::num::NonZeroUsize;

    #[test]
    fn patches_stand_in_the_order_of_the_grid() {
        let images =
            Images::new(Array4::from_shape_vec((1, 2, 3, 1), vec![0, 51, 102, 153, 204, 255]).unwrap()).unwrap();
        let two = NonZeroUsize::new(2).unwrap();
        let patches = Patches { side: two, normalised: false, ..Patches::default() };
        let encoder = LocalDescriptors { local: Local::Patches(patches) }.fit(images.view(), Seed(0)).unwrap();
        assert_eq!(encode(&*encoder, images.view()), array![[0.0, 0.2, 0.6, 0.8, 0.2, 0.4, 0.8, 1.0]]);
    }
}
