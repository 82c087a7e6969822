//! Lloyd's rounds over all rows.

use super::assign::{self, Assigner};
use super::{KMeans, Metric, Outcome};
use crate::distance;
use crate::rows;
use ndarray::{Array2, ArrayView2, Axis};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Rounds from `start` on, over contiguous rows `x`.
pub(super) fn fit(settings: &KMeans, x: ArrayView2<'_, f32>, start: Array2<f32>) -> Outcome {
    let x = rows::contiguous(x);
    let mut rounds = Rounds::new(rows::slice(&x), start);
    let least = settings.tolerance.get() * if settings.tolerance.get() > 0.0 { mean_variance(x.view()) } else { 0.0 };
    for iterations in 1..=settings.iterations {
        let changed = rounds.assign();
        if changed == 0 {
            return rounds.outcome(iterations, true);
        }
        rounds.fill_empty();
        let moved = rounds.move_centers();
        if moved <= least {
            return rounds.outcome(iterations, true);
        }
    }
    rounds.outcome(settings.iterations, false)
}

struct Rounds<'a> {
    x: &'a [f32],
    d: usize,
    part_rows: usize,
    parts: Vec<Part>,
    centers: Array2<f32>,
}

/// The clusters of some rows. Rows are always added in one order within a part, and parts in theirs.
struct Part {
    ids: Vec<u32>,
    sums: Vec<f64>,
    counts: Vec<u32>,
}

/// A row that no cluster has yet.
const NOBODY: u32 = u32::MAX;

impl<'a> Rounds<'a> {
    fn new(x: &'a [f32], centers: Array2<f32>) -> Self {
        let (k, d) = centers.dim();
        let n = x.len() / d;
        let part_rows = rows::part_rows(n, k * d * size_of::<f64>(), assign::BLOCK);
        let part =
            |rows: &[f32]| Part { ids: vec![NOBODY; rows.len() / d], sums: vec![0.0; k * d], counts: vec![0; k] };
        Self { x, d, part_rows, parts: x.chunks(part_rows * d).map(part).collect(), centers }
    }

    /// Gives every row its nearest centre; how many rows changed theirs.
    fn assign(&mut self) -> usize {
        let assigner = Assigner::new(self.centers.view(), Metric::Distance);
        let parts = self.parts.par_iter_mut().zip(self.x.par_chunks(self.part_rows * self.d));
        parts.map(|(part, rows)| part.assign(&assigner, rows, self.d)).sum()
    }

    /// Gives each empty cluster the row farthest from its own centre, as the rules above say.
    fn fill_empty(&mut self) {
        let mut counts = self.counts();
        let empty: Vec<usize> = (0..counts.len()).filter(|&j| counts[j] == 0).collect();
        if empty.is_empty() {
            return;
        }
        let mut empty = empty.into_iter();
        let Some(mut cluster) = empty.next() else { return };
        for (apart, row) in self.farthest_first() {
            let from = self.parts[row / self.part_rows].ids[row % self.part_rows] as usize;
            if apart <= 0.0 {
                return;
            }
            if counts[from] < 2 {
                continue;
            }
            counts[from] -= 1;
            self.give(row, cluster);
            let Some(next) = empty.next() else { return };
            cluster = next;
        }
    }

    /// All rows with their squared distances, the greatest first and the lowest row among equals.
    fn farthest_first(&self) -> Vec<(f32, usize)> {
        let parts = self.parts.par_iter().zip(self.x.par_chunks(self.part_rows * self.d));
        let apart: Vec<Vec<f32>> = parts.map(|(part, rows)| part.distances(rows, self.centers.view())).collect();
        let mut all: Vec<(f32, usize)> = apart.into_iter().flatten().zip(0..).collect();
        all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        all
    }

    fn give(&mut self, row: usize, cluster: usize) {
        let values = &self.x[row * self.d..][..self.d];
        self.parts[row / self.part_rows].change(row % self.part_rows, cluster as u32, values);
    }

    fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.centers.nrows()];
        for part in &self.parts {
            counts.iter_mut().zip(&part.counts).for_each(|(total, &count)| *total += u64::from(count));
        }
        counts
    }

    /// Moves every centre to the mean of its rows; the sum of squared moves.
    fn move_centers(&mut self) -> f64 {
        let (counts, parts, d) = (self.counts(), &self.parts, self.d);
        let centers = self.centers.axis_iter_mut(Axis(0)).into_par_iter().zip(&counts).enumerate();
        let moves: Vec<f64> = centers
            .map(|(j, (mut center, &count))| {
                if count == 0 {
                    return 0.0;
                }
                let mut sums = vec![0.0; d];
                for part in parts {
                    sums.iter_mut().zip(&part.sums[j * d..][..d]).for_each(|(total, sum)| *total += sum);
                }
                let mut moved = 0.0;
                for (value, sum) in center.iter_mut().zip(sums) {
                    let mean = (sum / count as f64) as f32;
                    moved += f64::from(mean - *value).powi(2);
                    *value = mean;
                }
                moved
            })
            .collect();
        moves.into_iter().sum()
    }

    fn outcome(self, iterations: usize, converged: bool) -> Outcome {
        Outcome { centers: self.centers, iterations, converged }
    }
}

impl Part {
    fn assign(&mut self, assigner: &Assigner, rows: &[f32], d: usize) -> usize {
        let (mut found, mut values) = ([0; assign::BLOCK], [0.0; assign::BLOCK]);
        let mut changed = 0;
        for (block, rows) in rows.chunks(assign::BLOCK * d).enumerate() {
            let m = rows.len() / d;
            assigner.nearest(rows, &mut found[..m], &mut values[..m]);
            for (i, &id) in found[..m].iter().enumerate() {
                let row = block * assign::BLOCK + i;
                if self.ids[row] != id {
                    self.change(row, id, &rows[i * d..][..d]);
                    changed += 1;
                }
            }
        }
        changed
    }

    /// Moves a row from its cluster to another.
    fn change(&mut self, row: usize, to: u32, values: &[f32]) {
        let (from, d) = (self.ids[row], values.len());
        if from != NOBODY {
            self.counts[from as usize] -= 1;
            add(&mut self.sums[from as usize * d..][..d], values, -1.0);
        }
        self.counts[to as usize] += 1;
        add(&mut self.sums[to as usize * d..][..d], values, 1.0);
        self.ids[row] = to;
    }

    fn distances(&self, rows: &[f32], centers: ArrayView2<'_, f32>) -> Vec<f32> {
        let rows = rows.chunks_exact(centers.ncols()).zip(&self.ids);
        let center = |id: &u32| centers.row(*id as usize).to_slice().unwrap_or(&[]);
        rows.map(|(row, id)| distance::squared(row, center(id))).collect()
    }
}

/// sums ← sums + sign · values.
fn add(sums: &mut [f64], values: &[f32], sign: f64) {
    Arch::new().dispatch(Add { sums, values, sign });
}

struct Add<'a> {
    sums: &'a mut [f64],
    values: &'a [f32],
    sign: f64,
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (sum, &value) in self.sums.iter_mut().zip(self.values) {
            *sum += self.sign * f64::from(value);
        }
    }
}

/// The variance of a column (over n), averaged over columns.
fn mean_variance(x: ArrayView2<'_, f32>) -> f64 {
    let moments = crate::rows::moments(x);
    moments.variance.mean().unwrap_or(0.0)
}
