//! Rank tests of accuracies over several datasets: Wilcoxon's for two pipelines, Friedman's for more, and Nemenyi's critical
//! difference (Demšar 2006).
//!
//! Values that lie within 10⁻¹² of each other are tied: accuracies are fractions, and 0.3 − 0.1 is not 0.2 to the last bit.

use crate::normal::normal_tail;
use crate::student::{chi_squared_tail, f_tail};
use serde::{Deserialize, Serialize};

/// What Wilcoxon's signed-rank test found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Wilcoxon {
    /// Differences that are not 0.
    pub n: usize,
    /// Sum of the ranks of positive differences.
    pub above: f64,
    /// Sum of the ranks of negative differences.
    pub below: f64,
    /// Two-sided p-value of "differences are symmetric about 0".
    pub p_value: f64,
    /// Whether the p-value is from the exact distribution.
    pub is_exact: bool,
}

/// Differences up to which the exact distribution is summed.
const MOST_EXACT: usize = 100;

/// Differences within this of each other are equal.
const SAME: f64 = 1e-12;

/// Wilcoxon's signed-rank test (1945) of paired differences.
///
/// Differences of 0 are left out, as Wilcoxon did; equal absolute differences share the mean of their ranks. Up to 100 differences the
/// p-value is exact with ties too: the share of all 2ⁿ choices of signs, the ranks being as they are, whose smaller rank sum
/// is at most that found, on both sides together. Beyond, it is the normal approximation with the variance corrected for ties and without a
/// correction for continuity, as in scipy.
pub fn wilcoxon(differences: &[f64]) -> Wilcoxon {
    let kept: Vec<f64> = differences.iter().copied().filter(|d| d.abs() > SAME).collect();
    let sizes: Vec<f64> = kept.iter().map(|d| -d.abs()).collect();
    // Rank 1 is the greatest value of the list, so the smallest difference.
    let ranks = ranks(&sizes);
    let sum_where = |positive: bool| -> f64 {
        kept.iter().zip(&ranks).filter(|(d, _)| (**d > 0.0) == positive).map(|(_, rank)| rank).sum()
    };
    let (n, above, below) = (kept.len(), sum_where(true), sum_where(false));
    let is_exact = n <= MOST_EXACT;
    let p_value = if is_exact { exact(&ranks, above.min(below)) } else { approximate(&ranks, above) };
    Wilcoxon { n, above, below, p_value, is_exact }
}

/// Twice the chance that a sum of ranks, each taken with chance ½, is at most `smaller`.
fn exact(ranks: &[f64], smaller: f64) -> f64 {
    // Twice a rank is a whole number, also where ranks are shared.
    let doubled: Vec<usize> = ranks.iter().map(|rank| (2.0 * rank).round() as usize).collect();
    let mut chances = vec![0.0; doubled.iter().sum::<usize>() + 1];
    chances[0] = 1.0;
    let mut reached = 0;
    for rank in doubled {
        reached += rank;
        for sum in (0..=reached).rev() {
            let with = if sum >= rank { chances[sum - rank] } else { 0.0 };
            chances[sum] = 0.5 * (chances[sum] + with);
        }
    }
    let most = (2.0 * smaller).round() as usize;
    (2.0 * chances.iter().take(most + 1).sum::<f64>()).min(1.0)
}

fn approximate(ranks: &[f64], above: f64) -> f64 {
    let mean: f64 = ranks.iter().sum::<f64>() / 2.0;
    // Shared ranks have smaller squares: this is the variance with its correction for ties.
    let variance: f64 = ranks.iter().map(|rank| rank * rank).sum::<f64>() / 4.0;
    (2.0 * normal_tail((above - mean).abs() / variance.sqrt())).min(1.0)
}

/// The rank of each value, 1 for the greatest; equal values share the mean of their ranks.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[j].total_cmp(&values[i]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    // Neighbours in order that are equal are one tie.
    for tie in order.chunk_by(|&i, &j| (values[i] - values[j]).abs() <= SAME) {
        let shared = start as f64 + f64::midpoint(tie.len() as f64, 1.0);
        tie.iter().for_each(|&i| ranks[i] = shared);
        start += tie.len();
    }
    ranks
}

/// What Friedman's test found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Friedman {
    /// Mean rank of each pipeline over the datasets, 1 for the most accurate.
    pub average_ranks: Vec<f64>,
    /// Friedman's statistic, corrected for ties.
    pub chi_squared: f64,
    /// Its p-value, from chi-squared with k − 1 degrees of freedom.
    pub chi_squared_p: f64,
    /// The statistic of Iman and Davenport, (N − 1) χ² / (N (k − 1) − χ²): Friedman's is too careful. `None` where every
    /// dataset ranks the pipelines the same and it has no bound.
    pub f: Option<f64>,
    /// Its p-value, from F with k − 1 and (k − 1)(N − 1) degrees of freedom; the one to use.
    pub p_value: f64,
}

/// Friedman's test (1937, 1940) of "all pipelines are alike": `values[dataset][pipeline]`, N datasets by k pipelines. `None` for less than
/// two of either, and where all are tied on every dataset.
///
/// # Panics
/// When datasets have different numbers of pipelines.
pub fn friedman(values: &[Vec<f64>]) -> Option<Friedman> {
    let (n, k) = (values.len() as f64, values.first().map_or(0, Vec::len));
    if values.len() < 2 || k < 2 {
        return None;
    }
    let mut sums = vec![0.0; k];
    let mut squares = 0.0;
    for row in values {
        assert_eq!(row.len(), k, "pipelines of each dataset");
        for (sum, rank) in sums.iter_mut().zip(ranks(row)) {
            *sum += rank;
            squares += rank * rank;
        }
    }
    let k = k as f64;
    let middle = n * (k + 1.0) / 2.0;
    // With all ranks different the squares' spread is N k (k² − 1) / 12; ties make it smaller, which is their correction.
    let spread = squares - n * k * (k + 1.0).powi(2) / 4.0;
    if spread <= SAME {
        return None;
    }
    let between: f64 = sums.iter().map(|sum| (sum - middle).powi(2)).sum();
    let chi_squared = (k - 1.0) * between / spread;
    let room = n * (k - 1.0) - chi_squared;
    let f = (room > 1e-9 * n * k).then(|| (n - 1.0) * chi_squared / room);
    Some(Friedman {
        average_ranks: sums.iter().map(|sum| sum / n).collect(),
        chi_squared,
        chi_squared_p: chi_squared_tail(chi_squared, k - 1.0),
        f,
        p_value: f.map_or(0.0, |f| f_tail(f, k - 1.0, (k - 1.0) * (n - 1.0))),
    })
}

/// Nemenyi's critical difference (1963): average ranks of k pipelines over N datasets that lie at least this far apart differ at this
/// level, over all pairs together. It is q √(k (k + 1) / (6 N)) with q the quantile of the studentised range for k groups and
/// infinitely many degrees of freedom, over √2. `None` for less than two pipelines or no dataset.
pub fn critical_difference(n_pipelines: usize, n_datasets: usize, level: f64) -> Option<f64> {
    if n_pipelines < 2 || n_datasets == 0 || !(level > 0.0 && level < 1.0) {
        return None;
    }
    let (k, n) = (n_pipelines as f64, n_datasets as f64);
    Some(studentised_range_upper(level, n_pipelines) / 2f64.sqrt() * (k * (k + 1.0) / (6.0 * n)).sqrt())
}

/// The q that the range of `k` standard normal variables exceeds with chance `tail`.
pub fn studentised_range_upper(tail: f64, k: usize) -> f64 {
    let (mut low, mut high) = (0.0, 60.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if range_tail(middle, k) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// P(range of `k` standard normal variables > `q`): 1 − k ∫ φ(z) (Φ(z) − Φ(z − q))^(k−1) dz, where z is the greatest of them. The
/// trapezoid rule is exact to rounding for integrands that die away like a normal density on both sides.
fn range_tail(q: f64, k: usize) -> f64 {
    const STEP: f64 = 0.05;
    let scale = k as f64 * STEP / (2.0 * std::f64::consts::PI).sqrt();
    let inside = |i: i32| {
        let z = f64::from(i) * STEP;
        (-0.5 * z * z).exp() * (normal_tail(z - q) - normal_tail(z)).powf(k as f64 - 1.0)
    };
    1.0 - scale * (-180..=180).map(inside).sum::<f64>()
}

/// Groups of neighbours in a critical-difference diagram: of these average ranks, the longest runs in order that span less than
/// `difference`. Each is a list of positions in `average_ranks`, from the lowest rank up; what lies within another group is left
/// out, and so are groups of one.
pub fn cliques(average_ranks: &[f64], difference: f64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..average_ranks.len()).collect();
    order.sort_by(|&i, &j| average_ranks[i].total_cmp(&average_ranks[j]));
    let mut found = Vec::new();
    let mut covered = 0;
    for start in 0..order.len() {
        let reach = |&i: &usize| average_ranks[i] - average_ranks[order[start]] < difference;
        let end = start + order[start..].iter().take_while(|i| reach(i)).count();
        if end > start + 1 && end > covered {
            found.push(order[start..end].to_vec());
            covered = end;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wilcoxon_by_hand() {
        // Ranks 1 to 4, the first negative: sums of at most 1 are {} and {1}, 2 of 16 on each side.
        let found = wilcoxon(&[-1.0, 2.0, 3.0, 4.0]);
        assert_eq!((found.n, found.above, found.below, found.p_value), (4, 9.0, 1.0, 0.25));
        // Two ties share rank 1.5 and a zero counts for nothing: sums of at most 1.5 are {} and two of one, 3 of 8, twice.
        let found = wilcoxon(&[0.3 - 0.1, -0.2, 0.5, 0.0]);
        assert_eq!((found.n, found.above, found.below, found.p_value), (3, 4.5, 1.5, 0.75));
        assert_eq!((wilcoxon(&[]).p_value, wilcoxon(&[0.0, 0.0]).n), (1.0, 0));
    }

    #[test]
    fn friedman_by_hand() {
        // Three datasets that all say a, b, c: χ² = N (k − 1) = 6 is as far as it goes, and F has no bound.
        let found = friedman(&vec![vec![0.9, 0.8, 0.7]; 3]).unwrap();
        assert_eq!((found.average_ranks, found.f, found.p_value), (vec![1.0, 2.0, 3.0], None, 0.0));
        assert!((found.chi_squared - 6.0).abs() < 1e-12);
        assert!(friedman(&vec![vec![0.5, 0.5]; 9]).is_none() && friedman(&[vec![0.1, 0.2]]).is_none());
    }

    #[test]
    fn cliques_are_the_longest_runs() {
        // In order 1.0, 1.5, 2.2, 4.0 at positions 2, 0, 3, 1.
        let ranks = [1.5, 4.0, 1.0, 2.2];
        assert_eq!(cliques(&ranks, 1.0), [vec![2, 0], vec![0, 3]]);
        assert_eq!(cliques(&ranks, 1.3), [vec![2, 0, 3]]);
        assert_eq!(cliques(&ranks, 0.1), Vec::<Vec<usize>>::new());
        assert_eq!(cliques(&ranks, 9.0), [vec![2, 0, 3, 1]]);
        assert!(cliques(&[], 1.0).is_empty());
    }

    proptest! {
        #[test]
        fn ranks_are_shared_out_whole(values in proptest::collection::vec(-3i32..3, 0..12)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let n = values.len() as f64;
            prop_assert!((ranks(&values).iter().sum::<f64>() - n * (n + 1.0) / 2.0).abs() < 1e-9);
        }

        #[test]
        fn turning_all_signs_changes_no_p_value(d in proptest::collection::vec(-5i32..6, 0..20)) {
            let d: Vec<f64> = d.into_iter().map(f64::from).collect();
            let turned: Vec<f64> = d.iter().map(|x| -x).collect();
            let (one, other) = (wilcoxon(&d), wilcoxon(&turned));
            prop_assert_eq!((one.p_value, one.above), (other.p_value, other.below));
            prop_assert!(one.p_value > 0.0 && one.p_value <= 1.0);
        }
    }
}
