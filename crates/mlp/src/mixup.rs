//! Mixup (Zhang, Cisse, Dauphin, Lopez-Paz 2018): each row becomes λ x_i + (1 − λ) x_j and its label likewise, with one
//! λ ~ Beta(α, α) and one random pairing a batch.

use bakeoff_core::Seed;
use bakeoff_numeric::Element;
use bakeoff_numeric::optim::shuffled;
use ndarray::Array2;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// λ and each row's partner in the batch.
pub(crate) fn draw(alpha: f64, n: usize, seed: Seed) -> (f64, Vec<usize>) {
    let mut rng = seed.rng();
    let (a, b) = (gamma(alpha, &mut rng), gamma(alpha, &mut rng));
    // For a tiny α both may be too small for a float; Beta(α, α) is then near a fair coin.
    let share = if a + b > 0.0 { a / (a + b) } else { f64::from(u8::from(rng.r#gen::<f64>() < 0.5)) };
    (share, shuffled(n, &mut rng))
}

/// A number of the gamma distribution with shape α and scale 1 (Marsaglia, Tsang 2000).
fn gamma(alpha: f64, rng: &mut ChaCha8Rng) -> f64 {
    if alpha < 1.0 {
        let boost = (1.0 - rng.r#gen::<f64>()).powf(1.0 / alpha);
        return gamma(alpha + 1.0, rng) * boost;
    }
    let d = alpha - 1.0 / 3.0;
    loop {
        let x = normal(rng);
        let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
        let u = 1.0 - rng.r#gen::<f64>();
        if v > 0.0 && u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// A number of the normal distribution (Box, Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v) = (1.0 - rng.r#gen::<f64>(), rng.r#gen::<f64>());
    (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

/// Writes each row's shares of the classes into `targets` (n, k): 1 − ε for its class and ε / k for all, mixed with its
/// partner's.
pub(crate) fn shares<T: Element>(
    targets: &mut Array2<T>,
    classes: &[usize],
    smoothing: f64,
    mixed: Option<&(f64, Vec<usize>)>,
) {
    let k = targets.ncols() as f64;
    targets.fill(T::of(smoothing / k));
    let whole = 1.0 - smoothing;
    for (i, (mut row, &class)) in targets.outer_iter_mut().zip(classes).enumerate() {
        match mixed {
            Some((share, partners)) => {
                row[class] += T::of(whole * share);
                row[classes[partners[i]]] += T::of(whole * (1.0 - share));
            }
            None => row[class] += T::of(whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_has_the_moments_of_beta() {
        // Beta(α, α) has mean 1/2 and variance 1 / (4 (2α + 1)).
        for alpha in [0.2, 1.0, 4.0] {
            let draws: Vec<f64> = (0..20_000).map(|i| draw(alpha, 1, Seed(i)).0).collect();
            let mean = draws.iter().sum::<f64>() / 20_000.0;
            let variance = draws.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 20_000.0;
            assert!((mean - 0.5).abs() < 0.01, "{alpha}: {mean}");
            assert!((variance * 4.0 * (2.0 * alpha + 1.0) - 1.0).abs() < 0.04, "{alpha}: {variance}");
        }
        assert!((0..100).all(|i| (0.0..=1.0).contains(&draw(1e-6, 1, Seed(i)).0)));
    }

    #[test]
    fn shares_sum_to_one() {
        let mut targets = Array2::<f64>::zeros((3, 4));
        shares(&mut targets, &[0, 2, 3], 0.2, Some(&(0.75, vec![1, 2, 2])));
        for (row, expected) in targets.outer_iter().zip([[0.65, 0.05, 0.25, 0.05], [0.05, 0.05, 0.65, 0.25]]) {
            assert!(row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{row}");
        }
        assert!(targets.rows().into_iter().all(|row| (row.sum() - 1.0).abs() < 1e-12));
        // A row that is its own partner keeps its whole label.
        assert!((targets[[2, 3]] - 0.85).abs() < 1e-12);
    }
}
