//! The nearest centres, by products of bytes that leave out for certain what cannot be nearest.
//!
//! Less a common shift, row x and centre c are each rounded to bytes times a scale of their own, x̂ and ĉ. As
//! |x·c − x̂·ĉ| ≤ ‖x − x̂‖ ‖c‖ + ‖x̂‖ ‖c − ĉ‖ (Cauchy, Schwarz), x̂·ĉ, in exact whole numbers at four times the rate of f32
//! products, bounds x·c − ½‖c‖² from both sides, and the nearest centre has the greatest of those. A centre whose upper
//! bound lies below another's lower bound is out; among the few that are left (1.3 to 1.7 of 256 to 1,600 on whitened
//! patches of CIFAR-10) squared distances taken directly decide. The bounds leave room for more than the rounding errors of
//! those too, so the result is that of measuring every distance; the lowest wins among equals.
//!
//! Elkan's lower bounds (Elkan 2003), which were here before, left out 92 to 98% of the distances in later rounds, and
//! gathering the rest took half to three quarters of the time of the whole product.

mod kernel;

use crate::distance;
use kernel::{GROUP, Group, OfPanel, OfRow, PANEL, Panels, Step};
use ndarray::{Array2, ArrayView1, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

/// The greatest byte.
const MOST: f32 = 127.0;
/// Groups whose rows are decided together.
const GROUPS: usize = 44;
/// Bytes of one step.
const BYTES: usize = 4;

/// Whether the processor has the instructions, sums of bytes fit, and there is enough to leave out.
pub(super) fn pays(k: usize, d: usize) -> bool {
    kernel::available() && k >= 2 * PANEL && (8..=1 << 15).contains(&d)
}

/// A share of lengths' squares that is more than the rounding errors of scores and direct distances.
fn rounding(d: usize) -> f32 {
    (d as f32 + 64.0) * f32::EPSILON
}

/// Rows as bytes.
#[derive(Debug, Default)]
pub(super) struct Rounded {
    groups: Vec<Group>,
    of: Vec<OfRow>,
}

impl Rounded {
    /// Rounds the rows `values` (m, d) less `shift` (d).
    pub(super) fn new(values: &[f32], shift: &[f32]) -> Self {
        Arch::new().dispatch(Round { values, shift })
    }
}

struct Round<'a> {
    values: &'a [f32],
    shift: &'a [f32],
}

impl WithSimd for Round<'_> {
    type Output = Rounded;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Rounded {
        let d = self.shift.len();
        let (steps, m) = (d.div_ceil(BYTES), self.values.len() / d);
        let groups = m.div_ceil(GROUP);
        let mut rounded =
            Rounded { groups: vec![[0; GROUP]; groups * steps], of: vec![OfRow::default(); groups * GROUP] };
        let (mut moved, mut bytes) = (vec![0.0; d], vec![0; steps * BYTES]);
        for (i, row) in self.values.chunks_exact(d).enumerate() {
            for ((moved, &value), &shift) in moved.iter_mut().zip(row).zip(self.shift) {
                *moved = value - shift;
            }
            let (of, group) = (rounded_row(&moved, &mut bytes), &mut rounded.groups[i / GROUP * steps..][..steps]);
            rounded.of[i] = of;
            for (six, four) in group.iter_mut().zip(bytes.as_chunks::<BYTES>().0) {
                six[i % GROUP] = i32::from_le_bytes(*four);
            }
        }
        rounded
    }
}

/// 1.5 · 2²³: adding it rounds to a whole number, whose byte is then the lowest.
const ROUND: f32 = 12_582_912.0;

/// Rounds one row; `bytes` beyond it stay 0.
#[inline(always)]
fn rounded_row(row: &[f32], bytes: &mut [u8]) -> OfRow {
    let mut greatest = 0.0f32;
    for &value in row {
        let size = value.abs();
        greatest = if size > greatest { size } else { greatest };
    }
    let scale = greatest / MOST;
    let inverse = if greatest > 0.0 { MOST / greatest } else { 0.0 };
    let (mut sum, mut apart, mut square) = (0i32, [0.0f32; 16], [0.0f32; 16]);
    for (row, bytes) in row.chunks(16).zip(bytes.chunks_mut(16)) {
        for (i, (&value, byte)) in row.iter().zip(bytes).enumerate() {
            let shifted = value.mul_add(inverse, ROUND);
            let back = (shifted - ROUND) * scale;
            *byte = shifted.to_bits() as u8;
            sum += i32::from(*byte as i8);
            apart[i] += (value - back) * (value - back);
            square[i] += back * back;
        }
    }
    let room = 1.0 + rounding(row.len());
    let length = |squares: [f32; 16]| squares.iter().sum::<f32>().sqrt() * room;
    OfRow { scale, residual: length(apart), norm: length(square), start: -128 * sum }
}

/// Centres as bytes.
#[derive(Debug)]
pub(super) struct Screen {
    centers: Array2<f32>,
    shift: Vec<f32>,
    panels: Panels,
}

impl Screen {
    /// For centres (k, d), rounded less `shift` (d).
    pub(super) fn new(centers: ArrayView2<'_, f32>, shift: &[f32]) -> Self {
        let (k, d) = centers.dim();
        let (steps, count) = (d.div_ceil(BYTES), k.div_ceil(PANEL));
        let nothing = OfPanel {
            scale: [0.0; PANEL],
            offset: [f32::NEG_INFINITY; PANEL],
            norm: [0.0; PANEL],
            residual: [0.0; PANEL],
            slack: [0.0; PANEL],
        };
        let mut panels = Panels { steps: vec![Step::default(); count * steps], of: vec![nothing; count] };
        let mut bytes = vec![0; steps * BYTES];
        for (j, center) in centers.outer_iter().enumerate() {
            let moved: Vec<f32> = center.iter().zip(shift).map(|(&c, &s)| c - s).collect();
            let of = rounded_row(&moved, &mut bytes);
            let (panel, column) = (j / PANEL, j % PANEL);
            let columns = &mut panels.of[panel];
            let square: f64 = moved.iter().map(|&v| f64::from(v).powi(2)).sum();
            columns.scale[column] = of.scale;
            columns.offset[column] = (-0.5 * square) as f32;
            columns.norm[column] = square.sqrt() as f32 * (1.0 + f32::EPSILON);
            columns.residual[column] = of.residual;
            columns.slack[column] = square as f32 * rounding(d);
            for (step, four) in panels.steps[panel * steps..].iter_mut().zip(bytes.as_chunks::<BYTES>().0) {
                step.set(column, i32::from_le_bytes(four.map(|byte| byte ^ 128)));
            }
        }
        Self { centers: centers.to_owned(), shift: shift.to_vec(), panels }
    }

    /// d.
    pub(super) fn inputs(&self) -> usize {
        self.shift.len()
    }

    /// What rows are rounded less of.
    pub(super) fn shift(&self) -> &[f32] {
        &self.shift
    }

    /// The nearest centre of each of the rows `values` (m, d), which were rounded to `rounded`.
    pub(super) fn nearest(&self, values: &[f32], rounded: &Rounded, ids: &mut [u32]) {
        let d = self.inputs();
        let (steps, stride) = (d.div_ceil(BYTES), self.panels.of.len() * PANEL);
        let (mut uppers, mut left, mut undecided) = (vec![0.0; GROUP * stride], Vec::new(), Vec::new());
        let groups = rounded.groups.chunks(steps * GROUPS).zip(rounded.of.chunks(GROUP * GROUPS));
        let blocks = values.chunks(GROUP * GROUPS * d).zip(ids.chunks_mut(GROUP * GROUPS));
        for ((groups, of), (values, ids)) in groups.zip(blocks) {
            left.clear();
            undecided.clear();
            let groups = groups.chunks_exact(steps).zip(of.as_chunks::<GROUP>().0);
            for ((group, of), (first, ids)) in groups.zip((0..).step_by(GROUP).zip(ids.chunks_mut(GROUP))) {
                let lowers = kernel::bounds(&self.panels, group, of, &mut uppers);
                let rows = of.iter().zip(lowers).zip(uppers.chunks_exact(stride));
                for ((((of, lower), uppers), id), row) in rows.zip(ids).zip(first..) {
                    let (slack, before) = (2.0 * (of.norm + of.residual).powi(2) * rounding(d), left.len());
                    kernel::not_below(uppers, lower - slack, &mut left);
                    if left.len() == before + 1 {
                        *id = left[before];
                        left.truncate(before);
                    } else {
                        undecided.push((row, before..left.len()));
                    }
                }
            }
            // Measured together, as most of their values are not in a cache yet and need not be waited for one by one.
            for (row, left_of) in undecided.drain(..) {
                ids[row] = self.nearest_of(&left[left_of], &values[row * d..][..d]);
            }
        }
    }

    /// The nearest of these centres; the lowest among equals, 0 where nothing is a number.
    fn nearest_of(&self, ids: &[u32], row: &[f32]) -> u32 {
        let mut best = (f32::INFINITY, 0);
        // Columns beyond the last centre are only here with bounds that are not numbers.
        for &id in ids.iter().filter(|id| (**id as usize) < self.centers.nrows()) {
            let center: ArrayView1<'_, f32> = self.centers.row(id as usize);
            let apart = distance::squared(row, center.to_slice().unwrap_or(&[]));
            if apart < best.0 {
                best = (apart, id);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::seed::Seed;
    use rand::Rng;

    /// By measuring every distance.
    fn measured(row: &[f32], centers: &Array2<f32>) -> u32 {
        let mut best = (f32::INFINITY, 0);
        for (id, center) in centers.outer_iter().enumerate() {
            let apart = distance::squared(row, center.to_slice().unwrap());
            if apart < best.0 {
                best = (apart, id as u32);
            }
        }
        best.1
    }

    fn found(centers: &Array2<f32>, x: &Array2<f32>, shift: &[f32]) -> Vec<u32> {
        let mut ids = vec![9; x.nrows()];
        let values = x.as_slice().unwrap();
        let screen = Screen::new(centers.view(), shift);
        screen.nearest(values, &Rounded::new(values, shift), &mut ids);
        ids
    }

    fn random(n: usize, d: usize, seed: u64, draw: impl Fn(f32) -> f32) -> Array2<f32> {
        let mut rng = Seed(seed).rng();
        Array2::from_shape_simple_fn((n, d), || draw(rng.gen_range(-1.0..1.0f32)))
    }

    #[test]
    fn nothing_that_could_win_is_left_out() {
        if !kernel::available() {
            return;
        }
        let rough = |v: f32| v.powi(3);
        // Few different values, so that equals abound.
        let whole = |v: f32| (v * 2.5).round();
        for (n, d, k) in [(1, 8, 64), (131, 9, 65), (400, 33, 200), (600, 108, 700), (50, 1000, 100)] {
            for (scale, far) in [(1.0, 0.0), (1.0, 300.0), (1e-3, 0.0), (1e4, -1e6)] {
                let place = |x: Array2<f32>| x * scale + far;
                let (x, centers) = (place(random(n, d, 1, rough)), place(random(k, d, 2, rough)));
                let shift = centers.mean_axis(ndarray::Axis(0)).unwrap().to_vec();
                for shift in [shift, vec![0.0; d]] {
                    let right: Vec<u32> =
                        x.outer_iter().map(|row| measured(row.to_slice().unwrap(), &centers)).collect();
                    assert_eq!(found(&centers, &x, &shift), right, "{n} {d} {k} {scale} {far}");
                }
            }
            let (x, centers) = (random(n, d, 3, whole), random(k, d, 4, whole));
            let right: Vec<u32> = x.outer_iter().map(|row| measured(row.to_slice().unwrap(), &centers)).collect();
            assert_eq!(found(&centers, &x, &vec![0.0; d]), right, "{n} {d} {k}, whole numbers");
        }
    }

    #[test]
    fn rows_beyond_all_measure_get_a_centre_that_exists() {
        if !kernel::available() {
            return;
        }
        let centers = random(70, 8, 5, |v| v);
        let mut x = Array2::zeros((5, 8));
        x.row_mut(0).fill(f32::NAN);
        x.row_mut(1).fill(f32::INFINITY);
        x.row_mut(2).fill(f32::MAX);
        x.row_mut(3).fill(1e-42);
        let ids = found(&centers, &x, &[0.0; 8]);
        assert_eq!(ids[..3], [0; 3]);
        assert_eq!(ids[3], measured(x.row(3).to_slice().unwrap(), &centers));
        assert_eq!(ids[4], measured(x.row(4).to_slice().unwrap(), &centers));
    }
}
