//! Lloyd's rounds that leave out centres which cannot be nearest, and give the same assignment.
//!
//! Yinyang k-means (Ding, Zhao, Shen, Musuvathi, Mytkowicz 2015) with the panels of the packed centres as groups: for
//! every row and panel a lower bound on the distance to the panel's centres other than the row's own is kept. When
//! centres move, it falls by the longest move in the panel; where it stays above the distance to the row's own centre,
//! the panel is not multiplied. Rows that need a panel meet it six at a time, as in the full product, so the values
//! that are compared are the full product's to the bit. The comparison leaves room for its greatest rounding error:
//! what is left out could not have won there either.

use super::assign::moved_centers;
use crate::distance;
use bakeoff_numeric::packed::{Packed, VECTORS};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Rows that meet a panel together.
const TILE: usize = 6;
/// Rows whose lists are made together: long lists fill tiles, and the rows stay in the second cache.
const BLOCK: usize = 1024;
/// Bounds take at most so many bytes; beyond, every round multiplies all.
const MOST_BYTES: usize = 1 << 30;

/// Whether bounds pay and fit: there are several panels, and their bounds do not take too much memory.
pub(super) fn pay(n: usize, k: usize) -> bool {
    let width = VECTORS * Arch::new().dispatch(Lanes);
    width >= 16 && k >= 4 * width && n >= 4 * k && n * k.div_ceil(width) * size_of::<f32>() <= MOST_BYTES
}

struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// What does not change from round to round.
pub(super) struct Plan {
    /// The point that is taken off all centres.
    shift: Array1<f32>,
    /// ‖x − shift‖² of every row.
    norms: Vec<f32>,
    /// ‖x‖ of every row: how far a value's rounding can reach.
    lengths: Vec<f32>,
    /// Column to centre: centres that lie close together share a panel.
    order: Vec<u32>,
    /// Centre to panel.
    panel_of: Vec<u32>,
    pub(super) n_panels: usize,
}

impl Plan {
    /// For rows (n, d) and their centres at this time; `order` names every centre once.
    pub(super) fn new(x: ArrayView2<'_, f32>, centers: ArrayView2<'_, f32>, order: Vec<u32>) -> Self {
        let width = VECTORS * Arch::new().dispatch(Lanes);
        let shift = centers.mapv(f64::from).mean_axis(Axis(0)).map_or(Array1::zeros(0), |mean| mean.mapv(|v| v as f32));
        let length =
            |row: ndarray::ArrayView1<'_, f32>| row.fold(0.0, |sum, &v| sum + f64::from(v).powi(2)).sqrt() as f32;
        let norm = |row: ndarray::ArrayView1<'_, f32>| {
            row.iter().zip(&shift).map(|(&v, &s)| (f64::from(v) - f64::from(s)).powi(2)).sum::<f64>() as f32
        };
        let rows: Vec<(f32, f32)> = x.axis_iter(Axis(0)).into_par_iter().map(|row| (norm(row), length(row))).collect();
        let (norms, lengths) = rows.into_iter().unzip();
        let mut panel_of = vec![0; order.len()];
        order.iter().enumerate().for_each(|(column, &id)| panel_of[id as usize] = (column / width) as u32);
        let n_panels = order.len().div_ceil(width);
        Self { shift, norms, lengths, order, panel_of, n_panels }
    }
}

/// One round: packed centres, and how far each panel's centres moved at most since the last.
pub(super) struct Round<'a> {
    plan: &'a Plan,
    centers: &'a Array2<f32>,
    packed: Packed,
    drift: Vec<f32>,
    /// The greatest ‖centre − shift‖ and offset.
    reach: (f32, f32),
}

impl<'a> Round<'a> {
    /// `moves` are the distances that the centres moved since the last round.
    pub(super) fn new(plan: &'a Plan, centers: &'a Array2<f32>, moves: &[f64]) -> Self {
        let (moved, offsets) = moved_centers(centers.view(), &plan.shift);
        let ids: Vec<usize> = plan.order.iter().map(|&id| id as usize).collect();
        let columns = moved.select(Axis(0), &ids);
        let column_offsets: Vec<f32> = ids.iter().map(|&id| offsets[id]).collect();
        let mut drift = vec![0.0f32; plan.n_panels];
        for (&panel, &far) in plan.panel_of.iter().zip(moves) {
            // A little more than it was, as the nearest f32 may be less.
            let far = (far * (1.0 + 1e-6)) as f32;
            drift[panel as usize] = drift[panel as usize].max(far);
        }
        let longest = moved.outer_iter().map(|row| row.dot(&row).sqrt()).fold(0.0, f32::max);
        let offset = offsets.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        Self { plan, centers, packed: Packed::with_bias(columns.t(), &column_offsets), drift, reach: (longest, offset) }
    }
}

/// The rows of a part and what is known of them.
pub(super) struct Rows<'a> {
    /// (m, d), row after row.
    pub(super) values: &'a [f32],
    /// The number of the first row among all.
    pub(super) first: usize,
    /// Their centres so far.
    pub(super) ids: &'a [u32],
    /// Lower bounds (m, panels).
    pub(super) lower: &'a mut [f32],
    /// The centres found.
    pub(super) found: &'a mut [u32],
}

/// Finds the centres of rows.
pub(super) fn assign(round: &Round<'_>, rows: Rows<'_>) {
    Arch::new().dispatch(Assign { round, rows });
}

struct Assign<'a, 'b> {
    round: &'a Round<'a>,
    rows: Rows<'b>,
}

/// The rows of one block.
struct Block<'a> {
    values: &'a [f32],
    norms: &'a [f32],
    lengths: &'a [f32],
    ids: &'a [u32],
    lower: &'a mut [f32],
    found: &'a mut [u32],
}

/// Buffers of one worker.
struct Scratch<S: Simd> {
    /// Rows that need each panel.
    needed: Vec<Vec<u16>>,
    /// The greatest value of each row so far, −∞ where no panel was needed.
    best: Vec<f32>,
    /// Its panel, and all values of that panel.
    panel: Vec<u32>,
    sums: Vec<[S::f32s; VECTORS]>,
}

impl WithSimd for Assign<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { round, rows } = self;
        let (d, panels) = (round.centers.ncols(), round.plan.n_panels);
        let mut scratch = Scratch::<S> {
            needed: vec![Vec::with_capacity(BLOCK + TILE); panels],
            best: vec![0.0; BLOCK],
            panel: vec![0; BLOCK],
            sums: vec![[simd.splat_f32s(0.0); VECTORS]; BLOCK],
        };
        let outputs = rows.lower.chunks_mut(BLOCK * panels).zip(rows.found.chunks_mut(BLOCK));
        for (i, (lower, found)) in outputs.enumerate() {
            let (from, m) = (i * BLOCK, found.len());
            let block = Block {
                values: &rows.values[from * d..][..m * d],
                norms: &round.plan.norms[rows.first + from..][..m],
                lengths: &round.plan.lengths[rows.first + from..][..m],
                ids: &rows.ids[from..][..m],
                lower,
                found,
            };
            assign_block(simd, round, block, &mut scratch);
        }
    }
}

#[inline(always)]
fn assign_block<S: Simd>(simd: S, round: &Round<'_>, mut block: Block<'_>, scratch: &mut Scratch<S>) {
    list(round, &mut block, scratch);
    for (number, (columns, offsets)) in round.packed.panels::<S>().enumerate() {
        let mut needed = std::mem::take(&mut scratch.needed[number]);
        multiply(simd, round, &mut block, scratch, Panel { number, columns, offsets }, &mut needed);
        scratch.needed[number] = needed;
    }
    finish(round, &mut block, scratch);
}

/// Lowers the bounds by what the centres moved, and lists the rows that need each panel.
#[inline(always)]
fn list<S: Simd>(round: &Round<'_>, block: &mut Block<'_>, scratch: &mut Scratch<S>) {
    let (d, panels) = (round.centers.ncols(), round.plan.n_panels);
    for needed in &mut scratch.needed {
        needed.clear();
    }
    for (i, lower) in block.lower.chunks_exact_mut(panels).enumerate() {
        let id = block.ids[i] as usize;
        let slack = slack(round, block.lengths[i], block.norms[i]);
        let limit = match round.centers.row(id).to_slice() {
            Some(center) => (distance::squared(&block.values[i * d..][..d], center) + 6.0 * slack).sqrt(),
            None => f32::INFINITY,
        };
        let own = round.plan.panel_of[id] as usize;
        let mut needs = 0;
        for (lower, &drift) in lower.iter_mut().zip(&round.drift) {
            // The factor covers the rounding of the subtraction.
            *lower = (*lower - drift) * (1.0 - 1e-6);
            needs += usize::from(!(*lower > limit));
        }
        scratch.best[i] = f32::NEG_INFINITY;
        if needs == 0 {
            continue;
        }
        // The own centre must be compared with what was found.
        for (panel, (lower, needed)) in lower.iter().zip(&mut scratch.needed).enumerate() {
            if panel == own || !(*lower > limit) {
                needed.push(i as u16);
            }
        }
    }
}

/// More than the rounding error of a squared distance that a value gives, of a row this long and so far from the
/// shift: d fused steps and a few more.
#[inline(always)]
fn slack(round: &Round<'_>, length: f32, norm: f32) -> f32 {
    let steps = round.centers.ncols() as f32 + 8.0;
    4.0 * steps * f32::EPSILON * (length * round.reach.0 + round.reach.1 + norm)
}

/// A lower bound of the distance that a value stands for.
#[inline(always)]
fn bound(norm: f32, value: f32, slack: f32) -> f32 {
    (norm - 2.0 * value - slack).max(0.0).sqrt()
}

/// A panel of centres: columns and offsets as vectors.
struct Panel<'a, S: Simd> {
    number: usize,
    columns: &'a [[S::f32s; VECTORS]],
    offsets: [S::f32s; VECTORS],
}

/// One panel with the rows that need it.
#[inline(always)]
fn multiply<S: Simd>(
    simd: S,
    round: &Round<'_>,
    block: &mut Block<'_>,
    scratch: &mut Scratch<S>,
    Panel { number, columns, offsets }: Panel<'_, S>,
    needed: &mut Vec<u16>,
) {
    let (d, panels, count) = (columns.len(), round.plan.n_panels, needed.len());
    let Some(&last) = needed.last() else { return };
    // The last tile is filled up with its last row.
    needed.resize(count.next_multiple_of(TILE), last);
    for (t, six) in needed.as_chunks::<TILE>().0.iter().enumerate() {
        let rows: [&[f32]; TILE] = std::array::from_fn(|r| &block.values[usize::from(six[r]) * d..][..d]);
        let sums = tile(simd, rows, columns, offsets);
        for (r, sums) in sums.iter().enumerate().take(count - t * TILE) {
            let i = usize::from(six[r]);
            let greatest = simd.reduce_max_f32s(simd.max_f32s(sums[0], sums[1]));
            block.lower[i * panels + number] =
                bound(block.norms[i], greatest, slack(round, block.lengths[i], block.norms[i]));
            let wins = greatest > scratch.best[i]
                || (greatest == scratch.best[i] && is_lower::<S>(round, scratch, i, number, sums));
            if wins {
                scratch.best[i] = greatest;
                scratch.panel[i] = number as u32;
                scratch.sums[i] = *sums;
            }
        }
    }
}

/// Products of six rows with one panel, from the offsets on: in the order of `bakeoff_numeric::packed::tile`.
#[inline(always)]
fn tile<S: Simd>(
    simd: S,
    rows: [&[f32]; TILE],
    panel: &[[S::f32s; VECTORS]],
    offsets: [S::f32s; VECTORS],
) -> [[S::f32s; VECTORS]; TILE] {
    // Slices of one known length let the compiler drop the bounds checks of the loop.
    let rows = rows.map(|row| &row[..panel.len()]);
    let mut sums = [offsets; TILE];
    for (i, columns) in panel.iter().enumerate() {
        for r in 0..TILE {
            let value = simd.splat_f32s(rows[r][i]);
            for w in 0..VECTORS {
                sums[r][w] = simd.mul_add_e_f32s(value, columns[w], sums[r][w]);
            }
        }
    }
    sums
}

/// Whether equal values of panel `number` belong to a lower centre than those kept.
#[inline(always)]
fn is_lower<S: Simd>(
    round: &Round<'_>,
    scratch: &Scratch<S>,
    i: usize,
    number: usize,
    sums: &[S::f32s; VECTORS],
) -> bool {
    let best = scratch.best[i];
    let kept = lowest(round, scratch.panel[i] as usize, pulp::bytemuck::cast_slice(&scratch.sums[i]), best);
    lowest(round, number, pulp::bytemuck::cast_slice(sums), best).1 < kept.1
}

/// The column within a panel, and the centre, of the lowest centre whose value is `best`.
#[inline(always)]
fn lowest(round: &Round<'_>, panel: usize, values: &[f32], best: f32) -> (usize, u32) {
    let ids = &round.plan.order[panel * values.len()..];
    let mut found = (0, u32::MAX);
    for (column, (&value, &id)) in values.iter().zip(ids).enumerate() {
        if value == best && id < found.1 {
            found = (column, id);
        }
    }
    found
}

/// Names the centres found, and bounds the other centres of their panels.
#[inline(always)]
fn finish<S: Simd>(round: &Round<'_>, block: &mut Block<'_>, scratch: &mut Scratch<S>) {
    let panels = round.plan.n_panels;
    for i in 0..block.found.len() {
        block.found[i] = block.ids[i];
        let best = scratch.best[i];
        if best == f32::NEG_INFINITY {
            continue;
        }
        let panel = scratch.panel[i] as usize;
        let values: &[f32] = pulp::bytemuck::cast_slice(&scratch.sums[i]);
        let (own, id) = lowest(round, panel, values, best);
        let mut second = f32::NEG_INFINITY;
        for (column, &value) in values.iter().enumerate() {
            second = if column != own && value > second { value } else { second };
        }
        block.found[i] = id;
        block.lower[i * panels + panel] = bound(block.norms[i], second, slack(round, block.lengths[i], block.norms[i]));
    }
}

/// An order of centres in which those that lie close together follow each other.
pub(super) fn order(centers: ArrayView2<'_, f32>) -> Vec<u32> {
    let width = VECTORS * Arch::new().dispatch(Lanes);
    let groups = centers.nrows().div_ceil(width);
    let start = centers.select(Axis(0), &(0..groups).collect::<Vec<_>>());
    let labels = super::groups_of(centers, start);
    let mut order: Vec<u32> = (0..centers.nrows() as u32).collect();
    order.sort_by_key(|&id| labels[id as usize]);
    order
}
