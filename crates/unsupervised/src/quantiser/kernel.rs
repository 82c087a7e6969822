//! The nearest of few centres in few columns: lanes are rows, so that nothing is summed across lanes, and distances
//! are taken directly, so that equal values are at distance 0 exactly.

use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};

/// Rows a step takes: two vectors of sixteen.
const STEP: usize = 32;

/// Rows of one group, column after column, with room for whole steps, and what was found for them.
#[derive(Debug)]
pub(super) struct Tile {
    /// Column after column; each `stride` long, zeros behind the rows.
    values: Vec<f32>,
    stride: usize,
    rows: usize,
    columns: usize,
    ids: Vec<u32>,
    distances: Vec<f32>,
}

impl Tile {
    /// Room for so many columns and rows.
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        let stride = rows.next_multiple_of(STEP);
        Self {
            values: vec![0.0; columns * stride],
            stride,
            rows: 0,
            columns: 0,
            ids: vec![0; stride],
            distances: vec![0.0; stride],
        }
    }

    /// Takes over rows (n, columns).
    ///
    /// # Panics
    /// When there is not room for them.
    pub(super) fn fill(&mut self, x: ArrayView2<'_, f32>) {
        (self.rows, self.columns) = x.dim();
        assert!(self.rows <= self.stride && self.columns * self.stride <= self.values.len(), "a tile of {:?}", x.dim());
        for (i, row) in x.outer_iter().enumerate() {
            row.iter().enumerate().for_each(|(j, &v)| self.values[j * self.stride + i] = v);
        }
    }

    /// The nearest of `centers` (k, columns) for every row, the lowest among equals, and its squared distance.
    pub(super) fn nearest(&mut self, centers: &[f32]) -> (&[u32], &[f32]) {
        Arch::new().dispatch(Nearest { tile: self, centers });
        (&self.ids[..self.rows], &self.distances[..self.rows])
    }
}

struct Nearest<'a> {
    tile: &'a mut Tile,
    centers: &'a [f32],
}

/// Vectors that are compared with a centre together.
const TOGETHER: usize = 2;

impl WithSimd for Nearest<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tile, centers } = self;
        let width = TOGETHER * S::F32_LANES;
        for first in (0..tile.rows).step_by(width) {
            let mut x = [[simd.splat_f32s(0.0); TOGETHER]; 16];
            for (column, x) in x[..tile.columns].iter_mut().enumerate() {
                let values = &tile.values[column * tile.stride + first..][..width];
                x.copy_from_slice(S::as_simd_f32s(values).0);
            }
            let best = match tile.columns {
                // With the number known, the rows stay in registers.
                8 => of_columns::<S, 8>(simd, &x, centers),
                4 => of_columns::<S, 4>(simd, &x, centers),
                2 => of_columns::<S, 2>(simd, &x, centers),
                1 => of_columns::<S, 1>(simd, &x, centers),
                columns => search(simd, &x[..columns], centers),
            };
            let ids = pulp::bytemuck::cast_slice::<S::f32s, f32>(&best.ids);
            tile.ids[first..first + width].iter_mut().zip(ids).for_each(|(id, &found)| *id = found as u32);
            let apart = pulp::bytemuck::cast_slice(&best.distances);
            tile.distances[first..first + width].copy_from_slice(apart);
        }
    }
}

struct Best<S: Simd> {
    distances: [S::f32s; TOGETHER],
    ids: [S::f32s; TOGETHER],
}

#[inline(always)]
fn of_columns<S: Simd, const G: usize>(simd: S, x: &[[S::f32s; TOGETHER]; 16], centers: &[f32]) -> Best<S> {
    let mut known = [[simd.splat_f32s(0.0); TOGETHER]; G];
    known.copy_from_slice(&x[..G]);
    search(simd, &known, centers)
}

#[inline(always)]
fn search<S: Simd>(simd: S, x: &[[S::f32s; TOGETHER]], centers: &[f32]) -> Best<S> {
    let mut best =
        Best { distances: [simd.splat_f32s(f32::INFINITY); TOGETHER], ids: [simd.splat_f32s(0.0); TOGETHER] };
    for (id, center) in centers.chunks_exact(x.len()).enumerate() {
        let mut sums = [simd.splat_f32s(0.0); TOGETHER];
        for (x, &c) in x.iter().zip(center) {
            let c = simd.splat_f32s(c);
            for (sum, &x) in sums.iter_mut().zip(x) {
                let apart = simd.sub_f32s(x, c);
                *sum = simd.mul_add_f32s(apart, apart, *sum);
            }
        }
        // Numbers of centres are exact in f32: there are at most 2^16.
        let id = simd.splat_f32s(id as f32);
        for ((&sum, least), best_id) in sums.iter().zip(&mut best.distances).zip(&mut best.ids) {
            let less = simd.less_than_f32s(sum, *least);
            *least = simd.select_f32s(less, sum, *least);
            *best_id = simd.select_f32s(less, id, *best_id);
        }
    }
    best
}
