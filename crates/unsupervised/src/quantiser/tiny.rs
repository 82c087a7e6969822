//! k-means for many small groups: Lloyd's rounds on one thread, with the rules of [`crate::kmeans`].

use super::kernel::Tile;
use crate::rows;
use bakeoff_core::seed::Seed;
use ndarray::{ArrayView2, Axis};

/// Values of the groups that one worker takes over together: rows are then read in longer pieces.
const TOGETHER_VALUES: usize = 128 << 10;

/// Groups whose columns are read together.
pub(super) fn groups_together(n: usize, group: usize) -> usize {
    (TOGETHER_VALUES / (n * group).max(1)).clamp(1, 16)
}

/// The centres of the groups in `columns` (n, some groups), group after group.
pub(super) fn learn(
    columns: ArrayView2<'_, f32>,
    group: usize,
    bits: usize,
    iterations: usize,
    seed: Seed,
) -> Vec<f32> {
    // One pass along the rows; the groups are then cut from memory that is near.
    let near = columns.as_standard_layout();
    let mut tile = Tile::new(group, columns.nrows());
    let mut centers = Vec::new();
    for (i, columns) in near.axis_chunks_iter(Axis(1), group).enumerate() {
        tile.fill(columns);
        let k = (1 << (columns.ncols() * bits)).min(columns.nrows());
        centers.extend(learn_one(&mut tile, columns, k, iterations, seed.nth(i)));
    }
    centers
}

fn learn_one(tile: &mut Tile, x: ArrayView2<'_, f32>, k: usize, iterations: usize, seed: Seed) -> Vec<f32> {
    let (n, d) = x.dim();
    if k == n {
        return x.iter().copied().collect();
    }
    let drawn = rows::sample(n, k, &mut seed.rng());
    let mut centers: Vec<f32> = drawn.iter().flat_map(|&row| (0..d).map(move |j| x[[row, j]])).collect();
    let mut before = vec![u32::MAX; n];
    for _ in 0..iterations {
        let (ids, distances) = tile.nearest(&centers);
        if ids == before {
            break;
        }
        before.copy_from_slice(ids);
        let mut clusters = before.clone();
        let mut counts = vec![0u32; k];
        clusters.iter().for_each(|&id| counts[id as usize] += 1);
        fill_empty(&mut clusters, &mut counts, distances);
        move_centers(x, &clusters, &counts, &mut centers);
    }
    centers
}

/// Each empty cluster takes the farthest row that is neither alone nor on its centre.
fn fill_empty(ids: &mut [u32], counts: &mut [u32], distances: &[f32]) {
    if !counts.contains(&0) {
        return;
    }
    let mut rows: Vec<usize> = (0..ids.len()).filter(|&row| distances[row] > 0.0).collect();
    rows.sort_unstable_by(|&a, &b| distances[b].total_cmp(&distances[a]).then(a.cmp(&b)));
    let mut rows = rows.into_iter();
    for cluster in 0..counts.len() {
        if counts[cluster] > 0 {
            continue;
        }
        let Some(row) = rows.find(|&row| counts[ids[row] as usize] > 1) else { return };
        counts[ids[row] as usize] -= 1;
        counts[cluster] = 1;
        ids[row] = cluster as u32;
    }
}

fn move_centers(x: ArrayView2<'_, f32>, ids: &[u32], counts: &[u32], centers: &mut [f32]) {
    let d = x.ncols();
    let mut sums = vec![0.0f64; centers.len()];
    for (row, &id) in x.outer_iter().zip(ids) {
        let sum = &mut sums[id as usize * d..][..d];
        sum.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
    }
    for ((center, sum), &count) in centers.chunks_exact_mut(d).zip(sums.chunks_exact(d)).zip(counts) {
        if count > 0 {
            let scale = 1.0 / f64::from(count);
            center.iter_mut().zip(sum).for_each(|(c, sum)| *c = (sum * scale) as f32);
        }
    }
}
