//! Products of many small blocks of rows with one matrix, on the calling thread.
//!
//! The matrix is packed once into panels of columns as wide as two vector registers; six rows against one panel are
//! twelve sums that stay in registers, whatever is done with them afterwards. [`Packed::multiply`] writes them down,
//! [`Packed::nearest`] keeps the greatest of each row and writes no product anywhere. A kernel that does something else
//! with the sums takes [`Packed::panels`] and [`tile`] within its own vector code.
//!
//! Every sum starts at its column's bias and adds p products in their order, fused where the processor can. So a row's
//! result does not depend on the rows beside it, nor on where it stands, to the bit.
//!
//! For p up to a few hundred: a panel (p · 128 bytes) should stay in the first level cache.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Rows of one tile.
pub const ROWS: usize = 6;

/// Vectors of one tile's row.
pub const VECTORS: usize = 2;

/// Rows whose packed form is kept beside a panel: 128 · p · 4 bytes stay in the second level cache.
const BLOCK_GROUPS: usize = 22;

/// A matrix (p, n) and one bias a column, packed for products with rows of length p.
#[derive(Debug)]
pub struct Packed {
    p: usize,
    n: usize,
    /// Columns of a panel.
    width: usize,
    /// Where the first panel starts in `data`, so that panels begin at cache lines.
    start: usize,
    data: Vec<f32>,
    /// One bias a column, padded to whole panels by −∞, which is never the greatest.
    bias: Vec<f32>,
}

/// Panels that one row meets at a time.
const ROW_PANELS: usize = 4;

/// Numbers of a matrix below which one row is not worth another thread.
const ROW_ALONE_BELOW: usize = 1 << 17;

/// Alignment of panels in floats: one cache line.
const LINE: usize = 16;

impl Packed {
    /// Packs b (p, n) with biases of 0.
    pub fn new(b: ArrayView2<'_, f32>) -> Self {
        Self::with_bias(b, &vec![0.0; b.ncols()])
    }

    /// Packs b (p, n) with one bias a column.
    ///
    /// # Panics
    /// When there are not n biases.
    pub fn with_bias(b: ArrayView2<'_, f32>, bias: &[f32]) -> Self {
        let (p, n) = b.dim();
        assert_eq!(bias.len(), n, "one bias a column");
        let width = pulp::Arch::new().dispatch(PanelWidth);
        let panels = n.div_ceil(width);
        let mut data = vec![0.0; panels * p * width + LINE];
        let start = data.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        for (j, column) in b.axis_iter(Axis(1)).enumerate() {
            let place = start + (j / width) * p * width + j % width;
            for (k, &value) in column.iter().enumerate() {
                data[place + k * width] = value;
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(panels * width, f32::NEG_INFINITY);
        Self { p, n, width, start, data, bias }
    }

    /// The matrix (p, n) that was packed, and the biases (n): packing them again gives the same.
    pub fn unpacked(&self) -> (Array2<f32>, &[f32]) {
        let place = |(k, j): (usize, usize)| {
            self.start + (j / self.width) * self.p * self.width + k * self.width + j % self.width
        };
        (Array2::from_shape_fn((self.p, self.n), |at| self.data[place(at)]), &self.bias[..self.n])
    }

    /// p, the length of a row.
    pub fn inputs(&self) -> usize {
        self.p
    }

    /// n, the columns.
    pub fn outputs(&self) -> usize {
        self.n
    }

    /// Columns of a panel: two vectors of the processor's widest kind.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The panels in order, as p rows of two vectors, each with its biases (−∞ beyond column n).
    ///
    /// # Panics
    /// When called for another kind of vectors than `pulp::Arch::new()` dispatches to.
    #[inline(always)]
    pub fn panels<S: Simd>(&self) -> impl ExactSizeIterator<Item = (&[[S::f32s; VECTORS]], [S::f32s; VECTORS])> {
        assert_eq!(self.width, VECTORS * S::F32_LANES, "packed for the vectors of this processor");
        let size = self.p * self.width;
        let panel = move |(i, bias)| {
            let values = &self.data[self.start + i * size..][..size];
            (S::as_simd_f32s(values).0.as_chunks().0, pair::<S>(bias))
        };
        self.bias.chunks_exact(self.width).enumerate().map(panel)
    }

    /// out ← a b + bias, with a (m, p), out (m, n), on the calling thread alone. Any strides.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn multiply(&self, a: ArrayView2<'_, f32>, mut out: ArrayViewMut2<'_, f32>) {
        assert!(
            a.ncols() == self.p && out.dim() == (a.nrows(), self.n),
            "{:?} × {self:?} into {:?}",
            a.dim(),
            out.dim()
        );
        let mut rows = Vec::new();
        let blocks = a.axis_chunks_iter(Axis(0), BLOCK_GROUPS * ROWS);
        for (a, mut out) in blocks.zip(out.axis_chunks_iter_mut(Axis(0), BLOCK_GROUPS * ROWS)) {
            pack_rows(a, &mut rows);
            pulp::Arch::new().dispatch(Multiply { packed: self, rows: &rows, out: out.view_mut() });
        }
    }

    /// The same for one row, (1, p) into (1, n), to the same bits: sums of four panels at a time, so that memory is the only
    /// limit; large matrices on rayon's pool.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn multiply_row(&self, a: ArrayView2<'_, f32>, mut out: ArrayViewMut2<'_, f32>) {
        assert!(a.dim() == (1, self.p) && out.dim() == (1, self.n), "one row × {self:?} into {:?}", out.dim());
        let row = a.row(0).to_vec();
        let mut sums = vec![0.0; self.bias.len()];
        let each = |(i, sums): (usize, &mut [f32])| {
            pulp::Arch::new().dispatch(MultiplyRow { packed: self, row: &row, first: i * ROW_PANELS, sums });
        };
        let parts = sums.chunks_mut(ROW_PANELS * self.width).enumerate();
        if self.p * self.n < ROW_ALONE_BELOW {
            parts.for_each(each);
        } else {
            let parts: Vec<_> = parts.collect();
            parts.into_par_iter().for_each(each);
        }
        out.row_mut(0).iter_mut().zip(sums).for_each(|(out, sum)| *out = sum);
    }

    /// For each row of a (m, p) the column j with the greatest a · b_j + bias_j, and that value; the lowest j among
    /// equals. A sum that is NaN is never the greatest; where all are NaN or −∞, the id is 0 and the value −∞. On the calling
    /// thread alone.
    ///
    /// # Panics
    /// When the shapes do not fit or there is no column.
    pub fn nearest(&self, a: ArrayView2<'_, f32>, ids: &mut [u32], values: &mut [f32]) {
        assert!(self.n > 0 && a.ncols() == self.p, "{:?} × ({}, {})", a.dim(), self.p, self.n);
        assert!(ids.len() == a.nrows() && values.len() == a.nrows(), "one id and one value a row");
        let mut rows = Vec::new();
        let size = BLOCK_GROUPS * ROWS;
        let out = ids.chunks_mut(size).zip(values.chunks_mut(size));
        for (a, (ids, values)) in a.axis_chunks_iter(Axis(0), size).zip(out) {
            pack_rows(a, &mut rows);
            pulp::Arch::new().dispatch(Nearest { packed: self, rows: &rows, ids, values });
        }
    }
}

/// Writes the rows of a (m, p) in groups of six, each group p by six, the last one filled up with zeros.
pub fn pack_rows(a: ArrayView2<'_, f32>, out: &mut Vec<[f32; ROWS]>) {
    let (m, p) = a.dim();
    out.clear();
    out.resize(m.div_ceil(ROWS) * p, [0.0; ROWS]);
    if p == 0 {
        return;
    }
    for (rows, out) in a.axis_chunks_iter(Axis(0), ROWS).zip(out.chunks_exact_mut(p)) {
        pack_group(rows, out);
    }
}

/// Writes up to six rows (p each) as p by six.
fn pack_group(rows: ArrayView2<'_, f32>, out: &mut [[f32; ROWS]]) {
    let p = out.len();
    let slices: [&[f32]; ROWS] =
        std::array::from_fn(|i| if i < rows.nrows() { rows.row(i).to_slice().unwrap_or(&[]) } else { &[] });
    // Six rows side by side are written once; the general way writes every line of `out` six times.
    if slices.iter().all(|slice| slice.len() == p) {
        let [a, b, c, d, e, f] = slices.map(|slice| &slice[..p]);
        for (k, six) in out.iter_mut().enumerate() {
            *six = [a[k], b[k], c[k], d[k], e[k], f[k]];
        }
        return;
    }
    for (i, row) in rows.outer_iter().enumerate() {
        out.iter_mut().zip(row).for_each(|(six, &value)| six[i] = value);
    }
}

/// The sums of six packed rows (p, 6) with one panel (p, two vectors), each started at its bias.
#[inline(always)]
pub fn tile<S: Simd>(
    simd: S,
    rows: &[[f32; ROWS]],
    panel: &[[S::f32s; VECTORS]],
    bias: [S::f32s; VECTORS],
) -> [[S::f32s; VECTORS]; ROWS] {
    let [sums] = tiles(simd, [rows], panel, bias);
    sums
}

/// The same of several groups of six rows, for which a panel is read once.
#[inline(always)]
fn tiles<S: Simd, const G: usize>(
    simd: S,
    groups: [&[[f32; ROWS]]; G],
    panel: &[[S::f32s; VECTORS]],
    bias: [S::f32s; VECTORS],
) -> [[[S::f32s; VECTORS]; ROWS]; G] {
    let mut sums = [[bias; ROWS]; G];
    let p = groups.iter().map(|rows| rows.len()).fold(panel.len(), usize::min);
    let groups = groups.map(|rows| &rows[..p]);
    for (k, columns) in panel[..p].iter().enumerate() {
        for (sums, rows) in sums.iter_mut().zip(groups) {
            for (sums, &value) in sums.iter_mut().zip(&rows[k]) {
                let value = simd.splat_f32s(value);
                for (sum, &column) in sums.iter_mut().zip(columns) {
                    *sum = simd.mul_add_e_f32s(value, column, *sum);
                }
            }
        }
    }
    sums
}

/// Two vectors from the start of a slice.
#[inline(always)]
fn pair<S: Simd>(values: &[f32]) -> [S::f32s; VECTORS] {
    let vectors = S::as_simd_f32s(values).0;
    [vectors[0], vectors[1]]
}

/// How many columns a panel has on this processor.
struct PanelWidth;

impl WithSimd for PanelWidth {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        VECTORS * S::F32_LANES
    }
}

struct Multiply<'a> {
    packed: &'a Packed,
    rows: &'a [[f32; ROWS]],
    out: ArrayViewMut2<'a, f32>,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Two groups' sums take 24 registers.
        if S::REGISTER_COUNT >= 32 { self.by_groups::<S, 2>(simd) } else { self.by_groups::<S, 1>(simd) }
    }
}

impl Multiply<'_> {
    #[inline(always)]
    fn by_groups<S: Simd, const G: usize>(self, simd: S) {
        let Self { packed, rows, mut out } = self;
        let p = packed.p;
        let groups = out.nrows().div_ceil(ROWS);
        for (panel_id, (panel, bias)) in packed.panels::<S>().enumerate() {
            let first = panel_id * packed.width;
            let group = |id: usize| &rows[id * p..][..p];
            for id in (0..groups / G * G).step_by(G) {
                let sums = tiles(simd, std::array::from_fn::<_, G, _>(|g| group(id + g)), panel, bias);
                for (g, sums) in sums.iter().enumerate() {
                    write::<S>(&mut out, (id + g) * ROWS, first, sums);
                }
            }
            for id in groups / G * G..groups {
                write::<S>(&mut out, id * ROWS, first, &tile(simd, group(id), panel, bias));
            }
        }
    }
}

/// Writes the sums of six rows, from this row and this column on, as far as there are rows and columns.
#[inline(always)]
fn write<S: Simd>(out: &mut ArrayViewMut2<'_, f32>, row: usize, first: usize, sums: &[[S::f32s; VECTORS]; ROWS]) {
    let (m, n) = out.dim();
    for (i, sums) in (row..m).zip(sums) {
        let mut row = out.row_mut(i);
        let values: &[f32] = pulp::bytemuck::cast_slice(sums);
        if let Some(row) = row.as_slice_mut() {
            let row = &mut row[first..n.min(first + values.len())];
            row.copy_from_slice(&values[..row.len()]);
        } else {
            row.iter_mut().skip(first).zip(values).for_each(|(out, &value)| *out = value);
        }
    }
}

struct MultiplyRow<'a> {
    packed: &'a Packed,
    row: &'a [f32],
    first: usize,
    sums: &'a mut [f32],
}

impl WithSimd for MultiplyRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { packed, row, first, sums } = self;
        let mut panels = packed.panels::<S>().skip(first).take(ROW_PANELS);
        let outs = S::as_mut_simd_f32s(sums).0.as_chunks_mut::<VECTORS>().0;
        if outs.len() < ROW_PANELS {
            for (out, (panel, bias)) in outs.iter_mut().zip(panels) {
                [*out] = row_sums(simd, row, [panel], [bias]);
            }
            return;
        }
        let mut next = || panels.next().unwrap_or((&[], [simd.splat_f32s(0.0); VECTORS]));
        let four: [_; ROW_PANELS] = std::array::from_fn(|_| next());
        let results = row_sums(simd, row, four.map(|(panel, _)| panel), four.map(|(_, bias)| bias));
        outs.iter_mut().zip(results).for_each(|(out, sums)| *out = sums);
    }
}

/// The sums of one row with some panels, each started at its bias.
#[inline(always)]
fn row_sums<S: Simd, const N: usize>(
    simd: S,
    row: &[f32],
    panels: [&[[S::f32s; VECTORS]]; N],
    biases: [[S::f32s; VECTORS]; N],
) -> [[S::f32s; VECTORS]; N] {
    let mut sums = biases;
    let p = panels.iter().map(|panel| panel.len()).fold(row.len(), usize::min);
    for k in 0..p {
        let value = simd.splat_f32s(row[k]);
        for (sums, panel) in sums.iter_mut().zip(panels) {
            sums[0] = simd.mul_add_e_f32s(value, panel[k][0], sums[0]);
            sums[1] = simd.mul_add_e_f32s(value, panel[k][1], sums[1]);
        }
    }
    sums
}

struct Nearest<'a> {
    packed: &'a Packed,
    rows: &'a [[f32; ROWS]],
    ids: &'a mut [u32],
    values: &'a mut [f32],
}

impl WithSimd for Nearest<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { packed, rows, ids, values } = self;
        let p = packed.p;
        let nothing = (simd.splat_f32s(f32::NEG_INFINITY), simd.splat_u32s(0));
        // Lane by lane the greatest sum so far and the number of its vector.
        let mut best = [[nothing; ROWS]; BLOCK_GROUPS];
        let groups = values.len().div_ceil(ROWS);
        for (panel_id, (panel, bias)) in packed.panels::<S>().enumerate() {
            let first = simd.splat_u32s((panel_id * VECTORS) as u32);
            let second = simd.splat_u32s((panel_id * VECTORS + 1) as u32);
            for (group, best) in best[..groups].iter_mut().enumerate() {
                let sums = tile(simd, &rows[group * p..][..p], panel, bias);
                for ((value, id), sums) in best.iter_mut().zip(sums) {
                    // Only a greater sum takes over, so the lowest column stays among equals of one lane.
                    let greater = simd.greater_than_f32s(sums[0], *value);
                    *value = simd.select_f32s(greater, sums[0], *value);
                    *id = simd.select_u32s(greater, first, *id);
                    let greater = simd.greater_than_f32s(sums[1], *value);
                    *value = simd.select_f32s(greater, sums[1], *value);
                    *id = simd.select_u32s(greater, second, *id);
                }
            }
        }
        let rows = best.as_flattened().iter().zip(ids.iter_mut().zip(values));
        for ((value, vector), (id, greatest)) in rows {
            (*id, *greatest) = greatest_lane::<S>(*value, *vector);
        }
    }
}

/// The greatest of all lanes and its column, the lowest one among equals.
#[inline(always)]
fn greatest_lane<S: Simd>(values: S::f32s, vectors: S::u32s) -> (u32, f32) {
    let (values, vectors) = ([values], [vectors]);
    let values: &[f32] = pulp::bytemuck::cast_slice(&values);
    let vectors: &[u32] = pulp::bytemuck::cast_slice(&vectors);
    let mut best = (u32::MAX, f32::NEG_INFINITY);
    for (lane, (&value, &vector)) in values.iter().zip(vectors).enumerate() {
        let id = vector * S::F32_LANES as u32 + lane as u32;
        if value > best.1 || (value == best.1 && id < best.0 && value > f32::NEG_INFINITY) {
            best = (id, value);
        }
    }
    if best.0 == u32::MAX { (0, best.1) } else { best }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    fn counting(m: usize, n: usize, salt: usize) -> Array2<f32> {
        Array2::from_shape_fn((m, n), |(i, j)| ((i * 7 + j * 13 + salt) % 11) as f32 - 5.0)
    }

    fn rough(m: usize, n: usize, salt: usize) -> Array2<f32> {
        Array2::from_shape_fn((m, n), |(i, j)| ((i * 31 + j * 17 + i * j * 5 + salt) % 97) as f32 * 0.013 - 0.5)
    }

    #[test]
    fn products_of_small_integers_are_exact_in_every_layout() {
        for (m, p, n) in
            [(0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (7, 17, 31), (6, 9, 32), (150, 40, 70), (2, 300, 500)]
        {
            let (a, b) = (counting(m, p, 0), counting(p, n, 3));
            let bias: Vec<f32> = (0..n).map(|j| j as f32).collect();
            let expected = a.dot(&b) + ndarray::ArrayView1::from(&bias);
            let packed = Packed::with_bias(b.view(), &bias);
            let mut out = Array2::from_elem((m, n), f32::NAN);
            packed.multiply(a.view(), out.view_mut());
            assert_eq!(out, expected, "{m} {p} {n}");
            for (row, expected) in a.outer_iter().zip(expected.outer_iter()) {
                let mut out = Array2::from_elem((1, n), f32::NAN);
                packed.multiply_row(row.insert_axis(Axis(0)), out.view_mut());
                assert_eq!(out.row(0), expected, "one row of {m} {p} {n}");
            }
            let mut across = Array2::from_elem((n, m), f32::NAN);
            packed.multiply(a.t().as_standard_layout().t(), across.view_mut().reversed_axes());
            assert_eq!(across.t(), expected, "{m} {p} {n}, columns");
        }
    }

    #[test]
    fn nearest_is_the_first_of_the_greatest_products() {
        for (m, p, n) in [(1, 1, 1), (5, 3, 2), (131, 17, 31), (140, 12, 100), (300, 5, 65)] {
            // Few different values, so that equals abound.
            let (a, b) = (counting(m, p, 0), counting(p, n, 3));
            let bias: Vec<f32> = (0..n).map(|j| (j % 3) as f32).collect();
            let products = a.dot(&b) + ndarray::ArrayView1::from(&bias);
            let (mut ids, mut values) = (vec![9; m], vec![0.0; m]);
            Packed::with_bias(b.view(), &bias).nearest(a.view(), &mut ids, &mut values);
            for (i, row) in products.outer_iter().enumerate() {
                let greatest = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
                let first = row.iter().position(|&v| v == greatest).unwrap();
                assert_eq!((ids[i] as usize, values[i]), (first, greatest), "{m} {p} {n} row {i}");
            }
        }
    }

    #[test]
    fn rows_that_are_not_numbers_get_an_id_that_exists() {
        let b = rough(4, 5, 0);
        let mut a = rough(3, 4, 1);
        a.row_mut(1).fill(f32::NAN);
        let (mut ids, mut values) = (vec![9; 3], vec![0.0; 3]);
        Packed::new(b.view()).nearest(a.view(), &mut ids, &mut values);
        assert_eq!((ids[1], values[1]), (0, f32::NEG_INFINITY));
        assert!(ids.iter().all(|&id| id < 5) && values[0].is_finite());
    }

    #[test]
    fn a_row_alone_has_the_bits_of_a_row_in_company() {
        let (a, b) = (rough(140, 37, 0), rough(37, 50, 7));
        let packed = Packed::new(b.view());
        let products = |a: ArrayView2<'_, f32>| {
            let mut out = Array2::zeros((a.nrows(), 50));
            packed.multiply(a, out.view_mut());
            out
        };
        let whole = products(a.view());
        for i in [0, 5, 6, 131, 132, 139] {
            assert_eq!(products(a.slice(s![i..=i, ..])).row(0), whole.row(i), "row {i}");
        }
        for i in [0, 6, 139] {
            let mut out = Array2::zeros((1, 50));
            packed.multiply_row(a.slice(s![i..=i, ..]), out.view_mut());
            assert_eq!(out.row(0), whole.row(i), "row {i} by its own kernel");
        }
        for (i, row) in whole.outer_iter().enumerate() {
            let (mut id, mut value) = ([0], [0.0]);
            packed.nearest(a.slice(s![i..=i, ..]), &mut id, &mut value);
            assert_eq!(value[0], row[id[0] as usize], "row {i}");
            assert!(row.iter().all(|&v| v <= value[0]), "row {i}");
        }
    }
}
