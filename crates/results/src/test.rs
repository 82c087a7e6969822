//! Tests of hypotheses: McNemar's for two fixed models, Holm's adjustment for several tests.

/// The two-sided p-value of McNemar's exact test (1947): of the images that exactly one of two models got right, is half
/// each the other's? Twice the smaller tail of a binomial distribution with chance ½, at most 1.
///
/// `only_a` and `only_b` count images that only the first and only the second model got right. The time is linear in the
/// smaller of them; with tens of thousands of images the tail is summed without overflow, in logarithms.
pub fn mcnemar(only_a: usize, only_b: usize) -> f64 {
    let (n, k) = (only_a + only_b, only_a.min(only_b));
    if only_a == only_b {
        return 1.0;
    }
    // ln of (n choose k) / 2ⁿ.
    let factors = (1..=k).map(|j| ((n - k + j) as f64 / j as f64).ln());
    let greatest = factors.sum::<f64>() - n as f64 * std::f64::consts::LN_2;
    // The tail P(X ≤ k) over its greatest term: each term is the one above it times j / (n − j + 1).
    let (mut term, mut tail) = (1.0, 1.0);
    for j in (1..=k).rev() {
        term *= j as f64 / (n - j + 1) as f64;
        tail += term;
        if term < tail * 1e-18 {
            break;
        }
    }
    (2.0 * greatest.exp() * tail).min(1.0)
}

/// p-values adjusted for the multiplicity of their family (Holm 1979), in the order given: the i-th smallest times (m − i + 1),
/// made monotone, at most 1. Below a level α at most a share α of families hold a false rejection, whatever
/// the tests' dependence.
///
/// `family` is m when more tests belong to the family than are given; the missing ones are taken as the largest, which keeps
/// the promise. It counts only where it exceeds the number given.
pub fn holm(p_values: &[f64], family: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&i, &j| p_values[i].total_cmp(&p_values[j]));
    let m = family.max(p_values.len());
    let mut adjusted = vec![0.0; p_values.len()];
    let mut floor = 0.0f64;
    for (rank, &i) in order.iter().enumerate() {
        floor = floor.max(p_values[i] * (m - rank) as f64).min(1.0);
        adjusted[i] = floor;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mcnemar_by_hand() {
        // One discordant image of three: P(X ≤ 1) = (1 + 3) / 8, twice that is 1.
        assert_eq!(mcnemar(1, 2), 1.0);
        // None of five: 2 / 32.
        assert!((mcnemar(5, 0) - 0.0625).abs() < 1e-15);
        // One of eight: 2 (1 + 8) / 256.
        assert!((mcnemar(1, 7) - 18.0 / 256.0).abs() < 1e-15);
        assert_eq!(mcnemar(0, 0), 1.0);
        assert_eq!(mcnemar(100_000, 100_000), 1.0);
    }

    #[test]
    fn holm_by_hand() {
        // Sorted 0.01 0.02 0.04, times 3, 2, 1: 0.03, 0.04, 0.04.
        let adjusted = holm(&[0.04, 0.01, 0.02], 0);
        let wanted = [0.04, 0.03, 0.04];
        assert!(adjusted.iter().zip(wanted).all(|(a, w)| (a - w).abs() < 1e-15), "{adjusted:?}");
        // Two more unseen: times 5, 4, 3.
        let adjusted = holm(&[0.04, 0.01, 0.02], 5);
        let wanted = [0.12, 0.05, 0.08];
        assert!(adjusted.iter().zip(wanted).all(|(a, w)| (a - w).abs() < 1e-15), "{adjusted:?}");
        assert_eq!(holm(&[], 3), Vec::<f64>::new());
    }

    proptest! {
        #[test]
        fn mcnemar_is_a_symmetric_probability(a in 0..3000usize, b in 0..3000usize) {
            let p = mcnemar(a, b);
            prop_assert!((0.0..=1.0).contains(&p));
            prop_assert_eq!(p, mcnemar(b, a));
        }

        #[test]
        fn a_greater_imbalance_has_a_smaller_p(n in 1..2000usize, k in 0..1000usize) {
            prop_assume!(2 * k + 2 <= n);
            prop_assert!(mcnemar(k, n - k) <= mcnemar(k + 1, n - k - 1));
        }

        #[test]
        fn holm_keeps_the_order_and_only_raises(p in proptest::collection::vec(0.0..1.0f64, 1..12)) {
            let adjusted = holm(&p, 0);
            for i in 0..p.len() {
                prop_assert!(p[i] <= adjusted[i] && adjusted[i] <= 1.0);
                for j in 0..p.len() {
                    prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
