//! Seeded inputs for the benches: images with the statistics of photos, rows with the statistics of features; and the
//! list of everything that is measured ([`kernels::all`]).
//!
//! Random noise would be no input: it has no flat areas, no edges, no dominant directions. The images here are sums of
//! smooth waves and a few sharp-edged rectangles, so that gradients, histograms and codebooks see something to do.

pub mod kernel;
pub mod kernels;
pub mod machine;

use bakeoff_core::{Images, Labels, Seed};
use ndarray::{Array2, Array4};
use rand::Rng;

/// n images of (height, width, channels), each a mixture of waves and rectangles.
///
/// # Panics
/// When a side or the number of channels is 0.
pub fn images(n: usize, (height, width, channels): (usize, usize, usize), seed: Seed) -> Images {
    let mut pixels = Array4::zeros((n, height, width, channels));
    for (i, mut image) in pixels.outer_iter_mut().enumerate() {
        let mut rng = seed.nth(i).rng();
        let (fx, fy, phase) = (rng.gen_range(0.0..0.6f32), rng.gen_range(0.0..0.6f32), rng.gen_range(0.0..6.0f32));
        let tint: Vec<f32> = (0..channels).map(|_| rng.gen_range(20.0..110.0)).collect();
        let (top, left) = (rng.gen_range(0..height), rng.gen_range(0..width));
        let (bottom, right) = (top + 1 + height / 3, left + 1 + width / 3);
        for ((y, x, c), value) in image.indexed_iter_mut() {
            let wave = (fx * x as f32 + fy * y as f32 + phase).sin();
            let inside = (top..bottom).contains(&y) && (left..right).contains(&x);
            let level = 60.0 + tint[c] * (1.0 + wave) + if inside { 70.0 } else { 0.0 } + rng.gen_range(0.0..8.0);
            *value = level.clamp(0.0, 255.0) as u8;
        }
    }
    Images::new(pixels).expect("sides above 0")
}

/// Rows (n, d) around k centres, each column of another scale and neighbours correlated, with their labels.
///
/// # Panics
/// Never: labels are drawn below k.
pub fn rows(n: usize, d: usize, k: usize, seed: Seed) -> (Array2<f32>, Labels) {
    let mut rng = seed.rng();
    let centres = Array2::from_shape_simple_fn((k, d), || rng.gen_range(-1.0..1.0f32));
    let ids: Vec<usize> = (0..n).map(|_| rng.gen_range(0..k as u64) as usize).collect();
    let mut x = Array2::zeros((n, d));
    for (mut row, &id) in x.outer_iter_mut().zip(&ids) {
        let mut drift = 0.0f32;
        for (j, value) in row.iter_mut().enumerate() {
            drift = 0.8 * drift + rng.gen_range(-1.0..1.0f32);
            *value = (centres[[id, j]] + drift) * (1.0 + (j % 7) as f32 * 0.2);
        }
    }
    (x, Labels::new(ids.into(), k).expect("ids are drawn below k"))
}
