//! Definitions of features as plain loops in f64, for the checks before timing.

use crate::kernel::Outcome;
use bakeoff_core::ImagesView;
use bakeoff_features::Hog;
use bakeoff_unsupervised::Mixture;
use ndarray::{Array2, ArrayView2};
use std::f64::consts::PI;

/// v / 255.
pub(super) fn pixels(images: ImagesView<'_>) -> Outcome {
    Outcome::of_f64(images.pixels().iter().map(|&v| f64::from(v) / 255.0))
}

/// Shares of pixels in bins of all channels jointly, the last channel innermost.
pub(super) fn color_histogram(images: ImagesView<'_>, bins: usize) -> Outcome {
    let mut out = Vec::new();
    for image in images.iter() {
        let pixels = image.chunks_exact(images.channels());
        let mut shares = vec![0.0; bins.pow(images.channels() as u32)];
        let each = 1.0 / pixels.len() as f64;
        for pixel in pixels {
            shares[pixel.iter().fold(0, |bin, &v| bin * bins + usize::from(v) * bins / 256)] += each;
        }
        out.extend(shares);
    }
    Outcome::of_f64(out)
}

/// HoG in blocks of 2×2 cells with unsigned directions, the Gaussian window and square roots of intensities, for images
/// that are whole cells or are padded alike on both sides.
pub(super) fn hog(images: ImagesView<'_>, settings: &Hog) -> Outcome {
    let out = images.iter().flat_map(|image| hog_of(image, images.shape(), settings)).collect::<Vec<_>>();
    Outcome::of_f64(out)
}

fn hog_of(image: &[u8], (height, width, channels): (usize, usize, usize), settings: &Hog) -> Vec<f64> {
    let (cell, bins) = (settings.cell.get(), settings.orientations.get());
    let (rows, columns) = (height.div_ceil(cell), width.div_ceil(cell));
    let gradients = gradients(image, (height, width, channels), (rows * cell, columns * cell), bins);
    let mut out = Vec::new();
    for (block_row, block_column) in (0..rows - 1).flat_map(|r| (0..columns - 1).map(move |c| (r, c))) {
        let mut votes = vec![0.0; 4 * bins];
        for (y, x) in (0..2 * cell).flat_map(|y| (0..2 * cell).map(move |x| (y, x))) {
            let (length, direction) = gradients[[block_row * cell + y, block_column * cell + x]];
            let middle = |i: usize| i as f64 - cell as f64;
            let window = (-2.0 * (middle(y).powi(2) + middle(x).powi(2)) / (cell as f64).powi(2)).exp();
            // In cells from the centre of the first one; a cell's share falls in a straight line to its neighbour's centre.
            let place = |i: usize| (i as f64 + 0.5) / cell as f64 - 0.5;
            let near = |i: usize, slot: usize| (1.0 - (place(i) - slot as f64).abs()).max(0.0);
            for (slot, bin) in (0..4).flat_map(|slot| (0..bins).map(move |bin| (slot, bin))) {
                let apart = (direction - bin as f64 - 0.5).abs();
                let share = (1.0 - apart.min(bins as f64 - apart)).max(0.0);
                votes[slot * bins + bin] += length * window * near(y, slot / 2) * near(x, slot % 2) * share;
            }
        }
        let norm = |votes: &[f64]| votes.iter().map(|v| v * v).sum::<f64>().sqrt();
        let first = norm(&votes) + 0.1 * votes.len() as f64;
        votes.iter_mut().for_each(|v| *v = (*v / first).min(settings.clip.get()));
        let second = norm(&votes) + 1e-3;
        out.extend(votes.iter().map(|v| v / second));
    }
    out
}

/// (length, direction in bins) of the longest gradient of any channel, for every pixel of the padded image.
fn gradients(
    image: &[u8],
    (height, width, channels): (usize, usize, usize),
    (tall, wide): (usize, usize),
    bins: usize,
) -> Array2<(f64, f64)> {
    let value = |y: i64, x: i64, c: usize| {
        let inside = |i: i64, padded: usize, side: usize| {
            let i = if i < 0 { -i } else { i.min(2 * padded as i64 - 2 - i) };
            (i - (padded - side) as i64 / 2).clamp(0, side as i64 - 1) as usize
        };
        let (y, x) = (inside(y, tall, height), inside(x, wide, width));
        f64::from(image[(y * width + x) * channels + c]).sqrt()
    };
    Array2::from_shape_fn((tall, wide), |(y, x)| {
        let (y, x) = (y as i64, x as i64);
        let of_channel = |c| {
            let (dx, dy): (f64, f64) =
                (value(y, x + 1, c) - value(y, x - 1, c), value(y + 1, x, c) - value(y - 1, x, c));
            let turn = dy.atan2(dx).rem_euclid(PI) / PI;
            (dx.hypot(dy), if turn >= 1.0 { 0.0 } else { turn * bins as f64 })
        };
        let longest = |best: (f64, f64), found: (f64, f64)| if found.0 > best.0 + 1e-9 { found } else { best };
        (0..channels).map(of_channel).fold((-1.0, 0.0), longest)
    })
}

/// 1/(n √w) Σ γ (x − μ)/σ of all components, then 1/(n √(2w)) Σ γ ((x − μ)²/σ² − 1) (Perronnin, Sánchez, Mensink 2010).
pub(super) fn fisher(mixture: &Mixture, x: ArrayView2<'_, f32>) -> Outcome {
    let (k, d) = (mixture.len(), mixture.dim());
    let (means, variances) = (mixture.means().mapv(f64::from), mixture.variances().mapv(f64::from));
    let weights: Vec<f64> = mixture.weights().iter().map(|&w| f64::from(w)).collect();
    let (mut of_means, mut of_deviations) = (Array2::<f64>::zeros((k, d)), Array2::<f64>::zeros((k, d)));
    for row in x.outer_iter() {
        let z = |i: usize, j: usize| (f64::from(row[j]) - means[[i, j]]) / variances[[i, j]].sqrt();
        let logs: Vec<f64> = (0..k)
            .map(|i| weights[i].ln() - 0.5 * (0..d).map(|j| z(i, j).powi(2) + variances[[i, j]].ln()).sum::<f64>())
            .collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| (log - most).exp()).sum();
        for i in 0..k {
            let posterior = (logs[i] - most).exp() / sum;
            for j in 0..d {
                of_means[[i, j]] += posterior * z(i, j) / weights[i].sqrt();
                of_deviations[[i, j]] += posterior * (z(i, j).powi(2) - 1.0) / (2.0 * weights[i]).sqrt();
            }
        }
    }
    let n = x.nrows() as f64;
    Outcome::of_f64(of_means.iter().chain(&of_deviations).map(|v| v / n))
}
