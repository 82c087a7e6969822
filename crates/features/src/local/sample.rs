//! Random descriptors of training images, for codebooks, mixtures and reductions.

use super::Describe;
use bakeoff_core::{ImagesView, Seed};
use ndarray::{Array2, Axis};
use rand::seq::SliceRandom;
use rayon::prelude::*;

/// Descriptors that an image gives at least when it is chosen: an image is described whole, whatever is taken of it.
const AT_LEAST: usize = 8;

/// `n` descriptors (n, d) at random places of random images, none twice; all of them, in order, where there are no
/// more. Images and places are drawn from `seed` alone, so the bits do not depend on threads.
pub(crate) fn sample(plan: &dyn Describe, images: ImagesView<'_>, n: usize, seed: Seed) -> Array2<f32> {
    let places = plan.places().len();
    let chosen = choose(images.len(), places, n, seed);
    let mut out = Array2::zeros((chosen.iter().map(|(_, places)| places.len()).sum(), plan.dim()));
    // Every image's rows, split off one after the other.
    let mut rest = out.view_mut();
    let mut parts = Vec::with_capacity(chosen.len());
    for (image, places) in &chosen {
        let (rows, after) = rest.split_at(Axis(0), places.len());
        parts.push((*image, places, rows));
        rest = after;
    }
    let buffers = || (Vec::new(), vec![0.0; places * plan.dim()]);
    parts.into_par_iter().for_each_init(buffers, |(scratch, whole), (image, places, mut rows)| {
        plan.describe(images.image(image), scratch, whole);
        for (mut row, place) in rows.outer_iter_mut().zip(places) {
            let from = &whole[place * plan.dim()..][..plan.dim()];
            row.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    });
    out
}

/// The place of each row that [`sample`] draws with the same arguments.
pub(crate) fn sample_places(plan: &dyn Describe, images: ImagesView<'_>, n: usize, seed: Seed) -> Vec<usize> {
    choose(images.len(), plan.places().len(), n, seed).into_iter().flat_map(|(_, places)| places).collect()
}

/// Which images, and which places of each: n in all, or all there are.
fn choose(images: usize, places: usize, n: usize, seed: Seed) -> Vec<(usize, Vec<usize>)> {
    if images.saturating_mul(places) <= n {
        return (0..images).map(|image| (image, (0..places).collect())).collect();
    }
    let each = n.div_ceil(images).max(AT_LEAST.min(places));
    let mut order: Vec<usize> = (0..images).collect();
    order.shuffle(&mut seed.derive("images").rng());
    order.truncate(n.div_ceil(each));
    let seed = seed.derive("places");
    let mut left = n;
    let chosen = order.into_iter().map(|image| {
        let mut all: Vec<usize> = (0..places).collect();
        let taken = each.min(left);
        left -= taken;
        let (drawn, _) = all.partial_shuffle(&mut seed.nth(image).rng(), taken);
        (image, drawn.to_vec())
    });
    chosen.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::{Local, Patches};
    use bakeoff_core::Images;
    use ndarray::Array4;
    use std::collections::HashSet;
    use std::num::NonZeroUsize;

    /// One pixel a patch, and every pixel of every image its own number from 0 to 215.
    fn pixels() -> (Images, Box<dyn Describe>) {
        let images =
            Images::new(Array4::from_shape_fn((6, 4, 9, 1), |(i, y, x, _)| (i * 36 + y * 9 + x) as u8)).unwrap();
        let patches = Patches { side: NonZeroUsize::MIN, normalised: false, ..Patches::default() };
        let plan = Local::Patches(patches).plan(images.shape()).unwrap();
        (images, plan)
    }

    fn drawn(n: usize, seed: u64) -> Vec<u8> {
        let (images, plan) = pixels();
        sample(&*plan, images.view(), n, Seed(seed)).iter().map(|v| (v * 255.0).round() as u8).collect()
    }

    #[test]
    fn none_is_drawn_twice_and_all_images_take_part() {
        for n in [1, 7, 48, 100, 215] {
            let found = drawn(n, 3);
            let distinct: HashSet<u8> = found.iter().copied().collect();
            assert_eq!((found.len(), distinct.len()), (n, n));
        }
        let images: HashSet<u8> = drawn(48, 3).iter().map(|pixel| pixel / 36).collect();
        assert_eq!(images.len(), 6);
    }

    #[test]
    fn where_there_are_fewer_all_are_taken_in_order() {
        assert_eq!(drawn(216, 1), (0..216).map(|v| v as u8).collect::<Vec<_>>());
        assert_eq!(drawn(usize::MAX, 1).len(), 216);
        let (images, plan) = pixels();
        assert_eq!(sample(&*plan, images.view().range(2, 2), 10, Seed(0)).dim(), (0, 1));
    }

    #[test]
    fn the_seed_alone_decides() {
        let on = |threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| drawn(60, 5))
        };
        assert_eq!(on(1), on(3));
        assert_ne!(drawn(60, 5), drawn(60, 6));
    }
}
