//! Stratified draws: every class keeps its share.

use bakeoff_core::{Labels, Seed};
use rand::seq::SliceRandom;

/// Positions of `size` images, in increasing order, each class with its share (largest remainders, lower class ids first
/// among equals) and, where `size` allows, with at least one image.
///
/// Draws from the same seed are nested but for rounding: the 500 lie among the 2000. All positions when `size` is not
/// below n.
pub(crate) fn stratified(labels: &Labels, size: usize, seed: Seed) -> Vec<usize> {
    let mut of_class = vec![Vec::new(); labels.n_classes()];
    for (position, &class) in labels.as_slice().iter().enumerate() {
        of_class[class].push(position);
    }
    let quotas = quotas(&labels.counts(), size);
    let mut chosen = Vec::with_capacity(size.min(labels.len()));
    for (class, positions) in of_class.iter_mut().enumerate() {
        positions.shuffle(&mut seed.nth(class).rng());
        chosen.extend_from_slice(&positions[..quotas[class]]);
    }
    chosen.sort_unstable();
    chosen
}

/// Images a class of a stratified part, for a part that must leave at least one image of every class behind where the
/// class has two.
pub(crate) fn validation_part(labels: &Labels, share: f64, seed: Seed) -> Vec<usize> {
    let n = labels.len();
    let size = ((n as f64 * share).round() as usize).clamp(1, n.saturating_sub(1).max(1));
    let chosen = stratified(labels, size, seed);
    let counts = labels.counts();
    let mut left = counts.clone();
    let mut kept = Vec::with_capacity(chosen.len());
    for position in chosen {
        let class = labels.as_slice()[position];
        if left[class] > 1 {
            left[class] -= 1;
            kept.push(position);
        }
    }
    kept
}

/// How many of each class, at most what there is; they sum to `size`, or to all there are.
fn quotas(counts: &[usize], size: usize) -> Vec<usize> {
    let n: usize = counts.iter().sum();
    if size >= n {
        return counts.to_vec();
    }
    let share = |count: usize| count as u128 * size as u128;
    let mut quotas: Vec<usize> = counts.iter().map(|&count| (share(count) / n as u128) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..counts.len()).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(share(counts[class]) % n as u128));
    let missing = size - quotas.iter().sum::<usize>();
    for &class in by_remainder.iter().take(missing) {
        quotas[class] += 1;
    }
    spread(counts, &mut quotas);
    quotas
}

/// Gives classes that came away empty one image each, from the classes that got the most.
fn spread(counts: &[usize], quotas: &mut [usize]) {
    while let Some(empty) = (0..counts.len()).find(|&class| quotas[class] == 0 && counts[class] > 0) {
        let Some(richest) = (0..counts.len()).max_by_key(|&class| (quotas[class], std::cmp::Reverse(class))) else {
            return;
        };
        if quotas[richest] < 2 {
            return;
        }
        quotas[richest] -= 1;
        quotas[empty] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;

    fn labels(counts: &[usize]) -> Labels {
        let ids: Array1<usize> = counts.iter().enumerate().flat_map(|(id, &n)| std::iter::repeat_n(id, n)).collect();
        Labels::new(ids, counts.len()).unwrap()
    }

    #[test]
    fn shares_are_kept_by_largest_remainder() {
        // 10 of (50, 30, 20) are (5, 3, 2); 10 of (33, 33, 34) leave 3.3, 3.3, 3.4: the last class gets the tenth.
        assert_eq!(quotas(&[50, 30, 20], 10), [5, 3, 2]);
        assert_eq!(quotas(&[33, 33, 34], 10), [3, 3, 4]);
        assert_eq!(quotas(&[3, 2], 9), [3, 2]);
    }

    #[test]
    fn no_class_is_left_out_while_there_is_room() {
        assert_eq!(quotas(&[1000, 1, 1], 5), [3, 1, 1]);
        assert_eq!(quotas(&[1000, 0, 1], 2), [1, 0, 1]);
        // Two images for three classes: the richest gives one to the first that came away empty.
        assert_eq!(quotas(&[1000, 10, 10], 2), [1, 1, 0]);
    }

    #[test]
    fn draws_are_seeded_sorted_and_nested() {
        let labels = labels(&[400, 300, 300]);
        let small = stratified(&labels, 50, Seed(1));
        let large = stratified(&labels, 200, Seed(1));
        assert_eq!(small.len(), 50);
        assert!(small.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(small.iter().all(|position| large.contains(position)));
        assert_eq!(small, stratified(&labels, 50, Seed(1)));
        assert_ne!(small, stratified(&labels, 50, Seed(2)));
        assert_eq!(labels.select(&small).counts(), [20, 15, 15]);
    }

    #[test]
    fn validation_leaves_every_class_something_to_learn_from() {
        let labels = labels(&[1, 2, 40]);
        let part = labels.select(&validation_part(&labels, 0.5, Seed(0)));
        assert_eq!(part.counts()[0], 0);
        assert!(part.counts()[1] <= 1 && part.counts()[2] >= 19);
        assert!(validation_part(&labels, 0.999, Seed(0)).len() <= 40);
    }
}
