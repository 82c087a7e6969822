//! Descriptors made ready for a codebook or a mixture: reduced, and where wanted with their place behind.

use super::sample::{sample, sample_places};
use super::{Describe, Local, Place};
use bakeoff_core::params::NonNegative;
use bakeoff_core::{ExtractError, ImagesView, RestoreError, Seed, Tensors};
use bakeoff_unsupervised::{Reducer, Reduction, UnsupervisedError};
use ndarray::{Array2, ArrayView2, s};

/// What is done to the local descriptors of an image, learned on training images.
pub(crate) struct Prepared {
    plan: Box<dyn Describe>,
    reducer: Reducer,
    /// The weighted (y, x) of every place, centred; no columns where no place is wanted.
    places: Array2<f32>,
}

/// Buffers of one worker.
#[derive(Default)]
pub(crate) struct Buffers {
    scratch: Vec<f32>,
    descriptors: Vec<f32>,
    prepared: Array2<f32>,
}

impl Prepared {
    /// Learns the reduction on `n` random descriptors and returns them prepared, (n, d), for what is learned next.
    /// With a `place_weight` above 0 each descriptor gets two numbers behind: weight · (y − ½, x − ½), y and x the
    /// centre of its square as shares of height and width.
    ///
    /// # Errors
    /// [`ExtractError::Refused`] when these images cannot be described or the reduction cannot be learned.
    pub(crate) fn fit(
        local: &Local,
        reduction: &Reduction,
        place_weight: NonNegative,
        images: ImagesView<'_>,
        n: usize,
        seed: Seed,
    ) -> Result<(Self, Array2<f32>), ExtractError> {
        let plan = local.plan(images.shape())?;
        let rows = sample(&*plan, images, n, seed);
        let reducer = reduction.fit(rows.view()).map_err(refused)?;
        let reduced = reducer.apply(rows.view());
        drop(rows);
        let places = weighted_places(plan.places(), place_weight);
        let chosen = sample_places(&*plan, images, n, seed);
        let prepared = Self { plan, reducer, places };
        if prepared.places.ncols() == 0 {
            return Ok((prepared, reduced));
        }
        let mut whole = Array2::zeros((reduced.nrows(), prepared.dim()));
        whole.slice_mut(s![.., ..reduced.ncols()]).assign(&reduced);
        for (place, mut row) in chosen.into_iter().zip(whole.outer_iter_mut()) {
            row.slice_mut(s![reduced.ncols()..]).assign(&prepared.places.row(place));
        }
        Ok((prepared, whole))
    }

    /// What [`Prepared::learned`] came from, for images of this shape.
    ///
    /// # Errors
    /// [`RestoreError`] when the arrays are not those of such a reduction, or such images cannot be described.
    pub(crate) fn restore(
        local: &Local,
        reduction: &Reduction,
        place_weight: NonNegative,
        shape: (usize, usize, usize),
        learned: Tensors,
    ) -> Result<Self, RestoreError> {
        let plan = local.plan(shape)?;
        let reducer = reduction.restore(plan.dim(), learned)?;
        let places = weighted_places(plan.places(), place_weight);
        Ok(Self { plan, reducer, places })
    }

    /// The reduction; where descriptors are is not learned.
    pub(crate) fn learned(&self) -> Tensors {
        self.reducer.learned()
    }

    /// d, numbers a descriptor when prepared.
    pub(crate) fn dim(&self) -> usize {
        self.reducer.dim_out() + self.places.ncols()
    }

    /// One place a descriptor.
    pub(crate) fn places(&self) -> &[Place] {
        self.plan.places()
    }

    /// The prepared descriptors (places, d) of one image, on the calling thread alone.
    ///
    /// # Panics
    /// When the image is not of the fitted size.
    pub(crate) fn of<'a>(&self, image: &[u8], buffers: &'a mut Buffers) -> ArrayView2<'a, f32> {
        let (n, d) = (self.places().len(), self.plan.dim());
        buffers.descriptors.resize(n * d, 0.0);
        self.plan.describe(image, &mut buffers.scratch, &mut buffers.descriptors);
        if buffers.prepared.dim() != (n, self.dim()) {
            buffers.prepared = Array2::zeros((n, self.dim()));
            buffers.prepared.slice_mut(s![.., self.reducer.dim_out()..]).assign(&self.places);
        }
        let descriptors = ArrayView2::from_shape((n, d), &buffers.descriptors).expect("as many as were made room for");
        let mut reduced = buffers.prepared.slice_mut(s![.., ..self.reducer.dim_out()]);
        self.reducer.apply_here(descriptors, reduced.view_mut());
        buffers.prepared.view()
    }

    /// Bytes of what was learned.
    pub(crate) fn model_bytes(&self) -> usize {
        self.reducer.model_bytes()
    }
}

/// The refusal that an error of learning from descriptors is.
pub(crate) fn refused(error: UnsupervisedError) -> ExtractError {
    ExtractError::refused(format!("local descriptors: {error}"))
}

fn weighted_places(places: &[Place], weight: NonNegative) -> Array2<f32> {
    let weight = weight.get() as f32;
    let columns = if weight > 0.0 { 2 } else { 0 };
    Array2::from_shape_fn((places.len(), columns), |(i, axis)| {
        weight * (if axis == 0 { places[i].y } else { places[i].x } - 0.5)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::Patches;
    use bakeoff_core::Images;
    use ndarray::Array4;
    use std::num::NonZeroUsize;

    fn prepared(reduction: &Reduction, weight: f64) -> (Images, Prepared, Array2<f32>) {
        let images =
            Images::new(Array4::from_shape_fn((3, 4, 6, 1), |(i, y, x, _)| (i * 50 + y * 9 + x * x) as u8)).unwrap();
        let two = NonZeroUsize::new(2).unwrap();
        let patches = Local::Patches(Patches { side: two, step: two, normalised: false, ..Patches::default() });
        let (prepared, rows) =
            Prepared::fit(&patches, reduction, NonNegative::literal(weight), images.view(), 1000, Seed(1)).unwrap();
        (images, prepared, rows)
    }

    #[test]
    fn the_sample_is_prepared_as_images_are() {
        let pca = Reduction::Pca { dimensions: NonZeroUsize::MIN, whiten: true };
        for (reduction, weight, dim) in [(pca, 0.0, 1), (pca, 3.0, 3), (Reduction::None {}, 0.5, 6)] {
            let (images, prepared, rows) = prepared(&reduction, weight);
            assert_eq!((rows.dim(), prepared.dim()), ((18, dim), dim));
            let mut buffers = Buffers::default();
            for (i, image) in images.view().iter().enumerate() {
                assert_eq!(prepared.of(image, &mut buffers), rows.slice(s![i * 6..(i + 1) * 6, ..]));
            }
        }
    }

    #[test]
    fn places_stand_behind_weighted_and_centred() {
        // Centres at ¼ and ¾ of the height and 1/6, ½, 5/6 of the width.
        let (_, _, rows) = prepared(&Reduction::None {}, 2.0);
        let places: Vec<f32> = rows.slice(s![..4, 4..]).iter().copied().collect();
        let expected = [-0.5, -2.0 / 3.0, -0.5, 0.0, -0.5, 2.0 / 3.0, 0.5, -2.0 / 3.0];
        assert!(places.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{places:?}");
    }

    #[test]
    fn what_cannot_be_learned_is_refused_with_the_reason() {
        let images = Images::new(Array4::zeros((1, 2, 2, 1))).unwrap();
        let pca = Reduction::Pca { dimensions: NonZeroUsize::MAX, whiten: false };
        let none = NonNegative::literal(0.0);
        let error = Prepared::fit(&Local::default(), &pca, none, images.view(), 10, Seed(0)).err().unwrap();
        assert!(error.to_string().contains("local descriptors: "), "{error}");
    }
}
