//! Points of the plane in classes, drawn from a seed.

use bakeoff_core::{Labels, Seed};
use ndarray::{Array1, Array2};
use rand::Rng;
use std::f64::consts::{PI, TAU};

/// Points with their classes.
#[derive(Debug, Clone)]
pub(crate) struct Points {
    /// (n, 2).
    pub(crate) x: Array2<f32>,
    pub(crate) labels: Labels,
}

impl Points {
    /// n points; `draw` gives the i-th with its class, below `n_classes`.
    fn drawn<R>(n: usize, n_classes: usize, rng: &mut R, draw: impl Fn(usize, &mut R) -> ((f64, f64), usize)) -> Self {
        let (mut x, mut ids) = (Array2::zeros((n, 2)), Array1::zeros(n));
        for i in 0..n {
            let (at, class) = draw(i, rng);
            (x[[i, 0]], x[[i, 1]], ids[i]) = (at.0 as f32, at.1 as f32, class.min(n_classes - 1));
        }
        Self { x, labels: Labels::new(ids, n_classes).expect("classes are kept below their number") }
    }

    /// As (x, y).
    pub(crate) fn places(&self) -> Vec<(f64, f64)> {
        self.x.outer_iter().map(|row| (f64::from(row[0]), f64::from(row[1]))).collect()
    }

    /// Their classes.
    pub(crate) fn classes(&self) -> &[usize] {
        self.labels.as_slice()
    }
}

/// A number of mean 0 and variance 1 (Box, Muller 1958).
pub(crate) fn normal(rng: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.r#gen::<f64>(), rng.r#gen());
    (-2.0 * u.ln()).sqrt() * (TAU * v).cos()
}

/// A disc of radius 1 in a ring from 1.5 to 2.5: what no straight line separates.
pub(crate) fn ring(n: usize, seed: Seed) -> Points {
    Points::drawn(n, 2, &mut seed.rng(), |i, rng| {
        let class = i % 2;
        let (lo, hi) = [(0.0f64, 1.0), (1.5, 2.5)][class];
        // Even over the area.
        let radius = rng.gen_range(lo * lo..hi * hi).sqrt();
        let angle = rng.gen_range(0.0..TAU);
        ((radius * angle.cos(), radius * angle.sin()), class)
    })
}

/// One cloud between two others, on a line.
pub(crate) fn between(n: usize, seed: Seed) -> Points {
    Points::drawn(n, 2, &mut seed.rng(), |i, rng| {
        let (middle, class) = [(-2.0, 0), (0.0, 1), (2.0, 0), (0.0, 1)][i % 4];
        // Clouds end: three standard deviations of a normal one would meet the next now and then.
        let mut about = || 0.22 * normal(rng).clamp(-2.5, 2.5);
        ((middle + about(), 1.6 * about()), class)
    })
}

/// Two half moons that reach into each other, with noise of this deviation.
pub(crate) fn moons(n: usize, noise: f64, seed: Seed) -> Points {
    Points::drawn(n, 2, &mut seed.rng(), |i, rng| {
        let class = i % 2;
        let angle = rng.gen_range(0.0..PI);
        let (x, y) =
            if class == 0 { (angle.cos() - 0.5, angle.sin() - 0.25) } else { (0.5 - angle.cos(), 0.25 - angle.sin()) };
        ((x + noise * normal(rng), y + noise * normal(rng)), class)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_points() {
        assert_eq!(moons(20, 0.1, Seed(1)).x, moons(20, 0.1, Seed(1)).x);
        assert_ne!(moons(20, 0.1, Seed(1)).x, moons(20, 0.1, Seed(2)).x);
    }

    #[test]
    fn rings_and_clouds_lie_where_they_should() {
        for ((x, y), class) in ring(400, Seed(3)).places().into_iter().zip(ring(400, Seed(3)).classes()) {
            let r = x.hypot(y);
            assert!(if *class == 0 { r <= 1.0 + 1e-6 } else { (1.5 - 1e-6..2.5 + 1e-6).contains(&r) }, "{r} {class}");
        }
        let clouds = between(400, Seed(4));
        for ((x, _), class) in clouds.places().into_iter().zip(clouds.classes()) {
            assert_eq!(x.abs() < 1.0, *class == 1, "{x}");
        }
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        let mut rng = Seed(5).rng();
        let drawn: Vec<f64> = (0..20_000).map(|_| normal(&mut rng)).collect();
        let mean = drawn.iter().sum::<f64>() / 20_000.0;
        let variance = drawn.iter().map(|v| v * v).sum::<f64>() / 20_000.0;
        // Standard errors are 0.007 and 0.01.
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
    }
}
