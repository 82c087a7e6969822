//! Raw pixels: d = height · width · channels numbers from 0 to 1, the training images' mean taken off on request.

use bakeoff_core::{Encoder, ExtractError, Extractor, ImagesView, Operation, Recipe, RestoreError, Seed, Tensors};
use ndarray::{Array1, ArrayViewMut2};
use serde::{Deserialize, Serialize};

/// Settings of raw pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pixels {
    /// Whether the mean of the training images is taken off.
    pub mean_removed: bool,
}

impl Recipe for Pixels {
    const NAME: &'static str = "pixels";
    const SUMMARY: &'static str = "raw intensities from 0 to 1, the mean image taken off on request";
    const REFERENCE: &'static str = "lecture A1";
    const SEARCH: &'static str = "mean_removed = { choice = [false, true] }";
}

impl Extractor for Pixels {
    fn fit(&self, train: ImagesView<'_>, _: Seed) -> Result<Box<dyn Encoder>, ExtractError> {
        let mean = self.mean_removed.then(|| mean_image(train));
        Ok(Box::new(Fitted { mean, shape: train.shape() }))
    }

    fn restore(&self, shape: (usize, usize, usize), mut learned: Tensors) -> Result<Box<dyn Encoder>, RestoreError> {
        let fitted = |mean| Fitted { mean, shape };
        let d = fitted(None).dim();
        let mean = if self.mean_removed { Some(learned.array("mean", d)?) } else { None };
        learned.finish()?;
        Ok(Box::new(fitted(mean)))
    }
}

/// The mean of each byte over all images, (d), from 0 to 1; sums of integers, so exact.
fn mean_image(images: ImagesView<'_>) -> Array1<f32> {
    let mut sums = vec![0u64; images.stride()];
    for image in images.iter() {
        sums.iter_mut().zip(image).for_each(|(sum, &byte)| *sum += u64::from(byte));
    }
    let n = images.len().max(1) as f64 * 255.0;
    sums.into_iter().map(|sum| (sum as f64 / n) as f32).collect()
}

struct Fitted {
    /// The mean image (d), where it is taken off.
    mean: Option<Array1<f32>>,
    shape: (usize, usize, usize),
}

impl Encoder for Fitted {
    fn dim(&self) -> usize {
        self.shape.0 * self.shape.1 * self.shape.2
    }

    fn encode_into(&self, images: ImagesView<'_>, mut out: ArrayViewMut2<'_, f32>) {
        assert_eq!(images.shape(), self.shape, "images of the fitted size");
        assert_eq!(out.dim(), (images.len(), self.dim()), "one row of d numbers an image");
        for (image, mut row) in images.iter().zip(out.outer_iter_mut()) {
            row.iter_mut().zip(image).for_each(|(value, &byte)| *value = f32::from(byte) / 255.0);
            if let Some(mean) = &self.mean {
                row -= mean;
            }
        }
    }

    fn model_bytes(&self) -> usize {
        self.mean.as_ref().map_or(0, |mean| mean.len() * size_of::<f32>())
    }

    fn learned(&self) -> Tensors {
        self.mean.as_ref().map_or_else(Tensors::new, |mean| Tensors::new().with("mean", mean))
    }

    fn operations(&self) -> Option<Vec<Operation>> {
        Some(std::iter::once(Operation::Divide(255.0)).chain(self.mean.clone().map(Operation::Subtract)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::{Images, encode};
    use ndarray::{Array4, array};

    #[test]
    fn two_images_worked_by_hand() {
        let images = Images::new(Array4::from_shape_vec((2, 1, 2, 1), vec![0, 255, 102, 51]).unwrap()).unwrap();
        let rows = |mean_removed| encode(&*Pixels { mean_removed }.fit(images.view(), Seed(0)).unwrap(), images.view());
        assert_eq!(rows(false), array![[0.0, 1.0], [0.4, 0.2]]);
        assert!((rows(true) - array![[-0.2, 0.4], [0.2, -0.4]]).iter().all(|d: &f32| d.abs() < 1e-6));
    }
}
