//! What images are compared by: a reduction of their pixels and a perceptual hash of 64 bits.
//!
//! The reduction averages blocks so that no side has more than 16 values, channels kept. Two reductions are compared by
//! Pearson's correlation ρ over all their values, so that brightness and contrast do not count; 1 − ρ is how much they
//! differ. Sums are whole numbers: the same bits on every machine.
//!
//! The hash is of the pHash kind (Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions): the
//! 64 lowest frequencies of the cosine transform of the grey reduction, without the mean; each bit says whether a
//! coefficient is above its median *over the set* (pHash takes the median over the image), so that bits that are the same in
//! all images of a set do not hide what differs.

use bakeoff_core::parallel;
use std::f64::consts::PI;

/// Values that a side of the reduction has at most.
const SIDE: usize = 16;
/// A side of the reduction below which there are too few frequencies.
pub(super) const LEAST_SIDE: usize = 8;
/// Frequencies along a side.
const FREQUENCIES: usize = 9;
/// Bits of a hash.
const BITS: usize = 64;

/// How an image is reduced.
pub(super) struct Reduction {
    /// (height, width, channels) of the images.
    shape: (usize, usize, usize),
    /// Pixels that are averaged along each side.
    step: (usize, usize),
    /// (rows, columns) of the reduction.
    size: (usize, usize),
    /// (frequency, position) along rows and along columns.
    waves: [Vec<Vec<f32>>; 2],
    /// The frequencies of the bits, lowest first.
    chosen: Vec<(usize, usize)>,
}

impl Reduction {
    /// For images of this (height, width, channels); none when they are too small to have 64 frequencies.
    pub(super) fn new(shape: (usize, usize, usize)) -> Option<Self> {
        let step = (shape.0.div_ceil(SIDE), shape.1.div_ceil(SIDE));
        let size = (shape.0.div_ceil(step.0), shape.1.div_ceil(step.1));
        if size.0.min(size.1) < LEAST_SIDE {
            return None;
        }
        let wave =
            |n: usize, u: usize| (0..n).map(|i| (PI * (i as f64 + 0.5) * u as f64 / n as f64).cos() as f32).collect();
        let waves = [size.0, size.1].map(|n| (0..FREQUENCIES).map(|u| wave(n, u)).collect());
        let mut chosen: Vec<(usize, usize)> =
            (0..FREQUENCIES).flat_map(|u| (0..FREQUENCIES).map(move |v| (u, v))).skip(1).collect();
        chosen.sort_by_key(|&(u, v)| (u + v, u));
        chosen.truncate(BITS);
        Some(Self { shape, step, size, waves, chosen })
    }

    /// Values of a reduction.
    fn len(&self) -> usize {
        self.size.0 * self.size.1 * self.shape.2
    }

    /// The reduction of an image, (rows, columns, channels), each value a mean, rounded.
    fn reduce(&self, image: &[u8], out: &mut [u8]) {
        let ((height, width, channels), (down, right)) = (self.shape, self.step);
        for (cell, out) in out.chunks_exact_mut(channels).enumerate() {
            let (row, column) = (cell / self.size.1 * down, cell % self.size.1 * right);
            let (bottom, end) = ((row + down).min(height), (column + right).min(width));
            for (channel, out) in out.iter_mut().enumerate() {
                let line =
                    |y: usize| (column..end).map(move |x| u32::from(image[(y * width + x) * channels + channel]));
                let sum: u32 = (row..bottom).flat_map(line).sum();
                let n = ((bottom - row) * (end - column)) as u32;
                *out = ((sum + n / 2) / n) as u8;
            }
        }
    }

    /// The chosen coefficients of the grey reduction, of mean 0 and norm 1; none when it is constant.
    fn coefficients(&self, reduced: &[u8]) -> Option<[f32; BITS]> {
        let channels = self.shape.2;
        let mut grey: Vec<f32> =
            reduced.chunks_exact(channels).map(|pixel| pixel.iter().map(|&v| f32::from(v)).sum()).collect();
        let mean = grey.iter().sum::<f32>() / grey.len() as f32;
        grey.iter_mut().for_each(|value| *value -= mean);
        let norm = grey.iter().map(|value| value * value).sum::<f32>().sqrt();
        // Sums of bytes that differ at all are further apart than rounding.
        if norm < 0.5 {
            return None;
        }
        let columns = self.size.1;
        let mut by_row = vec![0.0f32; FREQUENCIES * columns];
        for (sums, wave) in by_row.chunks_exact_mut(columns).zip(&self.waves[0]) {
            for (line, &weight) in grey.chunks_exact(columns).zip(wave) {
                sums.iter_mut().zip(line).for_each(|(sum, &value)| *sum += weight * value);
            }
        }
        let mut coefficients = [0.0; BITS];
        for (out, &(u, v)) in coefficients.iter_mut().zip(&self.chosen) {
            let line = &by_row[u * columns..][..columns];
            *out = line.iter().zip(&self.waves[1][v]).map(|(a, b)| a * b).sum::<f32>() / norm;
        }
        Some(coefficients)
    }
}

/// Reductions and hashes of images.
pub(super) struct Pictures {
    /// Positions in what they were made of, ascending: those that are not constant.
    pub(super) ids: Vec<u32>,
    pub(super) hashes: Vec<u64>,
    /// Values of each reduction.
    len: usize,
    reduced: Vec<u8>,
    /// (Σ a, √(N Σ a² − (Σ a)²)) of each reduction.
    moments: Vec<(u64, f64)>,
}

impl Pictures {
    pub(super) fn of(images: &[&[u8]], reduction: &Reduction) -> Self {
        let len = reduction.len();
        let mut all = vec![0u8; images.len() * len];
        let parts = all.chunks_exact_mut(len).zip(images).collect();
        let coefficients: Vec<Option<[f32; BITS]>> = parallel::map(parts, |(out, image)| {
            reduction.reduce(image, out);
            reduction.coefficients(out)
        });
        let ids: Vec<u32> = (0..images.len() as u32).filter(|&i| coefficients[i as usize].is_some()).collect();
        let coefficients: Vec<[f32; BITS]> = coefficients.into_iter().flatten().collect();
        let mut reduced = Vec::with_capacity(ids.len() * len);
        ids.iter().for_each(|&i| reduced.extend_from_slice(&all[i as usize * len..][..len]));
        let moments = reduced.chunks_exact(len).map(moments).collect();
        Self { hashes: hashes(&coefficients), ids, len, reduced, moments }
    }

    fn reduced(&self, i: usize) -> &[u8] {
        &self.reduced[i * self.len..][..self.len]
    }

    /// 1 − ρ, at least 0.
    pub(super) fn difference(&self, i: usize, j: usize) -> f32 {
        let product = dot(self.reduced(i), self.reduced(j));
        let ((a, norm_a), (b, norm_b)) = (self.moments[i], self.moments[j]);
        let covariance = (self.len as u64 * product) as f64 - (a * b) as f64;
        (1.0 - covariance / (norm_a * norm_b)).max(0.0) as f32
    }
}

fn moments(values: &[u8]) -> (u64, f64) {
    let sum: u64 = values.iter().map(|&value| u64::from(value)).sum();
    (sum, ((values.len() as u64 * dot(values, values) - sum * sum) as f64).sqrt())
}

/// At most 768 products of bytes fit into 32 bits.
fn dot(a: &[u8], b: &[u8]) -> u64 {
    u64::from(a.iter().zip(b).map(|(&a, &b)| u32::from(a) * u32::from(b)).sum::<u32>())
}

fn hashes(coefficients: &[[f32; BITS]]) -> Vec<u64> {
    if coefficients.is_empty() {
        return Vec::new();
    }
    let median = |bit: usize| {
        let mut values: Vec<f32> = coefficients.iter().map(|of_image| of_image[bit]).collect();
        let middle = values.len() / 2;
        *values.select_nth_unstable_by(middle, f32::total_cmp).1
    };
    let medians: Vec<f32> = parallel::map((0..BITS).collect(), median);
    let hash = |of_image: &[f32; BITS]| {
        let bits = of_image.iter().zip(&medians).enumerate();
        bits.fold(0u64, |hash, (bit, (value, median))| hash | u64::from(value > median) << bit)
    };
    coefficients.iter().map(hash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, seed: u64) -> Vec<u8> {
        use rand::RngCore;
        let mut bytes = vec![0; n];
        bakeoff_core::Seed(seed).rng().fill_bytes(&mut bytes);
        bytes
    }

    #[test]
    fn blocks_are_averaged_up_to_the_edge() {
        // 17 pixels a side: blocks of two, the last of one.
        let reduction = Reduction::new((17, 17, 1)).unwrap();
        let image: Vec<u8> = (0..17 * 17).map(|i| (i / 17 * 10 + i % 17) as u8).collect();
        let mut out = vec![0; 81];
        reduction.reduce(&image, &mut out);
        // 0, 1, 10, 11 have the mean 5.5; the last is alone.
        assert_eq!((out[0], out[80]), (6, 176));
        assert!(Reduction::new((7, 100, 3)).is_none() && Reduction::new((8, 100, 3)).is_some());
    }

    #[test]
    fn differences_are_those_of_the_correlation() {
        let reduction = Reduction::new((16, 16, 3)).unwrap();
        let images = [noise(768, 1), noise(768, 2)];
        let pictures = Pictures::of(&[&images[0], &images[1]], &reduction);
        let mean = |x: &[u8]| x.iter().map(|&v| f64::from(v)).sum::<f64>() / 768.0;
        let (ma, mb) = (mean(&images[0]), mean(&images[1]));
        let product = |x: &[u8], y: &[u8], mx: f64, my: f64| {
            x.iter().zip(y).map(|(&a, &b)| (f64::from(a) - mx) * (f64::from(b) - my)).sum::<f64>()
        };
        let (a, b) = (&images[0], &images[1]);
        let rho = product(a, b, ma, mb) / (product(a, a, ma, ma) * product(b, b, mb, mb)).sqrt();
        assert!((f64::from(pictures.difference(0, 1)) - (1.0 - rho)).abs() < 1e-6);
        assert!(pictures.difference(0, 0) < 1e-6);
    }

    #[test]
    fn brightness_and_contrast_change_neither_difference_nor_hash() {
        let reduction = Reduction::new((16, 16, 1)).unwrap();
        let mut images: Vec<Vec<u8>> = (0..20).map(|seed| noise(256, seed)).collect();
        let plain: Vec<u8> = images[0].iter().map(|v| v / 2 * 2).collect();
        images[0].clone_from(&plain);
        images.push(plain.iter().map(|v| v / 2 + 60).collect());
        let views: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
        let pictures = Pictures::of(&views, &reduction);
        assert!(pictures.difference(0, 20) < 1e-6);
        assert_eq!(pictures.hashes[0], pictures.hashes[20]);
        assert!((pictures.hashes[0] ^ pictures.hashes[1]).count_ones() > 11);
    }

    #[test]
    fn a_coefficient_is_that_of_the_cosine_transform() {
        let reduction = Reduction::new((8, 8, 1)).unwrap();
        let image = noise(64, 5);
        let mut reduced = vec![0; 64];
        reduction.reduce(&image, &mut reduced);
        assert_eq!(reduced, image);
        let found = reduction.coefficients(&reduced).unwrap();
        let mean = image.iter().map(|&v| f64::from(v)).sum::<f64>() / 64.0;
        let norm = image.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>().sqrt();
        for (bit, &(u, v)) in reduction.chosen.iter().enumerate() {
            let wave = |i: usize, u: usize| (PI * (i as f64 + 0.5) * u as f64 / 8.0).cos();
            let term = |i: usize| (f64::from(image[i]) - mean) * wave(i / 8, u) * wave(i % 8, v);
            let told = (0..64).map(term).sum::<f64>() / norm;
            assert!((f64::from(found[bit]) - told).abs() < 1e-5, "({u}, {v})");
        }
        assert_eq!(reduction.chosen[0], (0, 1));
        assert!(reduction.coefficients(&[9; 64]).is_none());
    }
}
