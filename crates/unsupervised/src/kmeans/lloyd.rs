//! Lloyd's rounds over all rows.

use super::assign::{self, Assigner};
use super::screen::{self, Rounded, Screen};
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
    /// What rows were rounded to bytes less of, where bytes pay.
    shift: Option<Vec<f32>>,
}

/// The clusters of some rows. Rows are always added in one order within a part, and parts in theirs.
struct Part {
    ids: Vec<u32>,
    sums: Vec<f64>,
    counts: Vec<u32>,
    /// The rows as bytes, where they pay.
    rounded: Rounded,
}

/// A row that no cluster has yet.
const NOBODY: u32 = u32::MAX;

impl<'a> Rounds<'a> {
    fn new(x: &'a [f32], centers: Array2<f32>) -> Self {
        let (k, d) = centers.dim();
        let n = x.len() / d;
        let part_rows = rows::part_rows(n, k * d * size_of::<f64>(), assign::BLOCK);
        let shift = screen::pays(k, d).then(|| assign::mean(centers.view()));
        let part = |rows: &[f32]| Part {
            ids: vec![NOBODY; rows.len() / d],
            sums: vec![0.0; k * d],
            counts: vec![0; k],
            rounded: shift.as_ref().map_or_else(Rounded::default, |shift| Rounded::new(rows, shift)),
        };
        Self { x, d, part_rows, parts: x.par_chunks(part_rows * d).map(part).collect(), centers, shift }
    }

    /// Gives every row its nearest centre; how many rows changed theirs.
    fn assign(&mut self) -> usize {
        let parts = self.parts.par_iter_mut().zip(self.x.par_chunks(self.part_rows * self.d));
        if let Some(shift) = &self.shift {
            let screen = Screen::new(self.centers.view(), shift);
            let nearest = |part: &Part, rows: &[f32], found: &mut [u32]| screen.nearest(rows, &part.rounded, found);
            return parts.map(|(part, rows)| part.assign(rows, nearest)).sum();
        }
        let assigner = Assigner::new(self.centers.view(), Metric::Distance);
        parts.map(|(part, rows)| part.assign(rows, |_, rows, found| assigner.nearest(rows, found))).sum()
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
    /// Gives every row of `values` the centre that `nearest` finds; how many rows changed theirs.
    fn assign(&mut self, values: &[f32], nearest: impl Fn(&Self, &[f32], &mut [u32])) -> usize {
        let mut found = vec![0; self.ids.len()];
        nearest(self, values, &mut found);
        let d = values.len() / self.ids.len();
        let mut changed = 0;
        for (row, (id, values)) in found.into_iter().zip(values.chunks_exact(d)).enumerate() {
            if self.ids[row] != id {
                self.change(row, id, values);
                changed += 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::seed::Seed;
    use rand::Rng;

    /// Rows with lumps, some of them twice, so that equals and duplicates occur.
    fn lumps(n: usize, d: usize, far: f32) -> Array2<f32> {
        let mut rng = Seed(4).rng();
        let centers = Array2::from_shape_simple_fn((40, d), || rng.gen_range(-3.0..3.0f32));
        let mut x = Array2::from_shape_fn((n, d), |(i, j)| centers[[i % 40, j]] + rng.gen_range(-1.0..1.0f32) + far);
        for i in 0..n / 10 {
            let twin = x.row(i).to_owned();
            x.row_mut(n - 1 - i).assign(&twin);
        }
        x
    }

    #[test]
    fn bytes_leave_every_round_as_it_is() {
        for (n, d, k, far) in [(3000, 9, 130, 0.0), (2500, 33, 200, 0.0), (2000, 8, 150, 500.0)] {
            let x = lumps(n, d, far);
            let mut start = x.select(Axis(0), &(0..k).map(|i| i * (n / k)).collect::<Vec<_>>());
            // Two centres that are equal, and one far from all rows, which stays empty until it is given one.
            let twin = start.row(3).to_owned();
            start.row_mut(k - 2).assign(&twin);
            start.row_mut(5).fill(1e3);
            let values = x.as_slice().unwrap();
            let (mut plain, mut screened) = (Rounds::new(values, start.clone()), Rounds::new(values, start));
            assert_eq!(screened.shift.is_some(), screen::pays(k, d), "{k} {d}");
            plain.shift = None;
            let mut changes = 0;
            for round in 0..25 {
                let (changed, same) = (plain.assign(), screened.assign());
                assert_eq!(changed, same, "round {round}");
                changes += changed;
                plain.fill_empty();
                screened.fill_empty();
                assert_eq!((plain.move_centers(), &plain.centers), (screened.move_centers(), &screened.centers));
                assert!(plain.parts.iter().zip(&screened.parts).all(|(a, b)| a.ids == b.ids), "round {round}");
            }
            assert!(changes > n, "{changes}");
        }
    }
}
