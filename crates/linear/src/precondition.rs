//! A change of variables that makes the smooth objectives well conditioned.
//!
//! The Hessian of a class's weights is a weighted second moment of the rows, Σ c_i x̃ x̃ᵀ / n + 2 λ I with x̃ = (x, 1). With
//! one mean curvature c for all rows it is A = c X̃ᵀX̃ / n + 2 λ I = L Lᵀ, and in the variables V with (W, b) = V L⁻¹ the
//! objective has about the unit matrix for its Hessian. Of wide rows only blocks along A's diagonal are used. L-BFGS
//! then needs tens of iterations where it needs hundreds
//! to thousands on correlated features such as pixels.

use bakeoff_core::Rows;
use bakeoff_numeric::{Loss, Narrow, inverse_cholesky, inverse_lower, matmul, matmul_add_here, matmul_here};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

/// The change of variables of each block of columns.
pub(crate) struct Preconditioner {
    d: usize,
    blocks: Vec<Block>,
}

/// Columns from `start` on, d and the bias being the last of all.
struct Block {
    start: usize,
    columns: usize,
    change: Change,
}

/// A matrix M with (W, b) = V M.
enum Change {
    /// The unit matrix.
    Nothing,
    /// L⁻¹.
    Triangle(Array2<f64>),
    /// What few rows give.
    Few(FewRows),
}

/// M for A = D + YᵀY of fewer rows Y (m, c) than columns, without a matrix (c, c). With Z = Y D^(−½) and the factor C of
/// I + Z Zᵀ = C Cᵀ, T = I − Zᵀ C⁻ᵀ (C + I)⁻¹ Z has T Tᵀ = (I + ZᵀZ)⁻¹ (Andrews 1968, "A square root formulation of the
/// Kalman covariance equations"), so that M = Tᵀ D^(−½) has M A Mᵀ = I.
struct FewRows {
    /// Z (m, c).
    z: Array2<f64>,
    /// C⁻ᵀ (C + I)⁻¹ (m, m).
    middle: Array2<f64>,
    /// D^(−½) (c).
    scale: Array1<f64>,
}

/// Columns up to which there is one block. Above, the second moment of all columns costs more than the iterations that it
/// saves, but that of blocks does not: features that lie side by side, such as the words of one field of an image, are
/// those that correlate.
const ONE_BLOCK: usize = 4096;
/// Columns of a block where there are several, at most.
const BLOCK: usize = 2048;
/// Columns above which the plain variables are used: the blocks would take more than half a gigabyte.
const MOST_COLUMNS: usize = 32_768;
/// Rows a column that the second moment is taken of at most. Fewer are as good: on 1,651 photos with 1,764 columns the plain
/// variables meet the same tolerance 4 points of accuracy short of the minimum that these reach.
const ROWS_A_COLUMN: usize = 4;
/// Rows of one product.
const CHUNK: usize = 2048;
/// Numbers of a Z at most, 256 MB.
const MOST_NUMBERS: usize = 1 << 25;
/// Curvature that is added to all directions, as a share of the greatest: products in f32 leave errors of about 1e-7 of it. The
/// second is taken where the first leaves A indefinite.
const RIDGES: [f64; 2] = [1e-6, 1e-4];
/// Columns, or rows, of a triangle that one task multiplies with.
const STRIP: usize = 256;

/// The widths of the blocks that d columns and the bias are cut into: as equal as can be.
fn widths(d: usize) -> Vec<usize> {
    let n_blocks = if d <= ONE_BLOCK { 1 } else { d.div_ceil(BLOCK) };
    let width = |i: usize| (i + 1) * d / n_blocks - i * d / n_blocks;
    (0..n_blocks).map(|i| width(i) + usize::from(i + 1 == n_blocks)).collect()
}

impl Preconditioner {
    /// Of rows x (n, d), evenly spread.
    pub(crate) fn of(x: &dyn Rows, loss: Loss, n_classes: usize, l2: f64) -> Self {
        let k = n_classes as f64;
        let curvature = match loss {
            // p (1 − p) where all classes are equally likely.
            Loss::Softmax => (k - 1.0) / (k * k),
            Loss::SquaredHinge | Loss::Squared | Loss::Hinge | Loss::WestonWatkins => 1.0,
        };
        let (n, d) = (x.n_rows(), x.dim());
        if 2 * n < d
            && n * (d + 1) <= MOST_NUMBERS
            && let Some(few) = FewRows::of(x, curvature, l2)
        {
            return Self { d, blocks: vec![Block { start: 0, columns: d + 1, change: Change::Few(few) }] };
        }
        if d > MOST_COLUMNS {
            return Self { d, blocks: vec![Block { start: 0, columns: d + 1, change: Change::Nothing }] };
        }
        let widths = widths(d);
        let starts = widths.iter().scan(0, |start, width| {
            *start += width;
            Some(*start - width)
        });
        let blocks = starts.zip(second_moments(x, &widths)).map(|(start, moment)| {
            let columns = moment.nrows();
            let change = inverse(moment * curvature, d - start, l2).map_or(Change::Nothing, Change::Triangle);
            Block { start, columns, change }
        });
        Self { d, blocks: blocks.collect() }
    }

    /// W (k, d) row-major then b (k), from V in the same layout.
    pub(crate) fn parameters(&self, v: &[f64], out: &mut [f64]) {
        self.by_blocks(v, out, Change::applied);
    }

    /// The gradient with respect to V from that with respect to W and b.
    pub(crate) fn gradient(&self, gradient: &[f64], out: &mut [f64]) {
        self.by_blocks(gradient, out, Change::transposed);
    }

    /// out ← the product of each block's columns, on (k, d + 1) numbers whose last column is stored behind the others.
    fn by_blocks(&self, input: &[f64], out: &mut [f64], product: impl Fn(&Change, Array2<f64>) -> Array2<f64>) {
        let d = self.d;
        let k = input.len() / (d + 1);
        for Block { start, columns, change } in &self.blocks {
            let place = |(i, j): (usize, usize)| if start + j < d { i * d + start + j } else { k * d + i };
            let part = Array2::from_shape_fn((k, *columns), |at| input[place(at)]);
            for (at, &value) in product(change, part).indexed_iter() {
                out[place(at)] = value;
            }
        }
    }
}

impl Change {
    /// V M, with V (k, c).
    fn applied(&self, v: Array2<f64>) -> Array2<f64> {
        match self {
            Self::Nothing => v,
            Self::Triangle(inverse) => {
                let mut out = Array2::zeros(v.dim());
                let strips = out.axis_chunks_iter_mut(Axis(1), STRIP).into_par_iter().enumerate();
                strips.for_each(|(i, mut out)| {
                    // Above its diagonal L⁻¹ is zero.
                    let (first, end) = (i * STRIP, i * STRIP + out.ncols());
                    let mut sums = Array2::zeros(out.dim());
                    matmul_here(v.slice(s![.., first..]), inverse.slice(s![first.., first..end]), sums.view_mut());
                    out.assign(&sums);
                });
                out
            }
            Self::Few(few) => few.turned(v, few.middle.t()) * &few.scale,
        }
    }

    /// G Mᵀ, with G (k, c).
    fn transposed(&self, gradient: Array2<f64>) -> Array2<f64> {
        match self {
            Self::Nothing => gradient,
            Self::Triangle(inverse) => {
                let k = gradient.nrows();
                let mut out = Array2::zeros(gradient.dim());
                let strips = out.axis_chunks_iter_mut(Axis(1), STRIP).into_par_iter().enumerate();
                strips.for_each(|(i, mut out)| {
                    let (first, end) = (i * STRIP, i * STRIP + out.ncols());
                    let narrow = Narrow::new(gradient.slice(s![.., ..end]).to_owned(), vec![0.0; k]);
                    narrow.scores(inverse.slice(s![first..end, ..end]), out.view_mut());
                });
                out
            }
            Self::Few(few) => few.turned(gradient * &few.scale, few.middle.view()),
        }
    }
}

impl FewRows {
    /// Of all rows; `None` where the numbers are beyond f64.
    fn of(x: &dyn Rows, curvature: f64, l2: f64) -> Option<Self> {
        let (n, d) = (x.n_rows(), x.dim());
        let mut z = Array2::ones((n, d + 1));
        let positions: Vec<usize> = (0..n).collect();
        let mut chunk = Array2::zeros((CHUNK.min(n), d));
        for (positions, mut z) in positions.chunks(CHUNK).zip(z.axis_chunks_iter_mut(Axis(0), CHUNK)) {
            let mut rows = chunk.slice_mut(s![..positions.len(), ..]);
            x.read_into(positions, rows.view_mut());
            z.slice_mut(s![.., ..d]).zip_mut_with(&rows, |z, &value| *z = f64::from(value));
        }
        z *= (curvature / n as f64).sqrt();
        let greatest = z.columns().into_iter().map(|column| column.dot(&column)).fold(f64::MIN_POSITIVE, f64::max);
        let scale = Array1::from_shape_fn(d + 1, |j| {
            let penalty = if j < d { 2.0 * l2 } else { 0.0 };
            1.0 / (penalty + RIDGES[0] * greatest).sqrt()
        });
        z *= &scale;
        let mut square = Array2::zeros((n, n));
        matmul(z.view(), z.t(), square.view_mut());
        square.diag_mut().mapv_inplace(|v| v + 1.0);
        // K = C⁻¹, and (C + I)⁻¹ = (I + K)⁻¹ K.
        let inverse = inverse_cholesky(square.view())?;
        let mut next = inverse.clone();
        next.diag_mut().mapv_inplace(|v| v + 1.0);
        let (mut right, mut middle) = (square, Array2::zeros((n, n)));
        matmul(inverse_lower(next.view()).view(), inverse.view(), right.view_mut());
        matmul(inverse.t(), right.view(), middle.view_mut());
        Some(Self { z, middle, scale })
    }

    /// V − V Zᵀ · middle · Z.
    fn turned(&self, v: Array2<f64>, middle: ArrayView2<'_, f64>) -> Array2<f64> {
        let k = v.nrows();
        let m = self.z.nrows();
        let mut along = Array2::zeros((k, m));
        let narrow = Narrow::new(v, vec![0.0; k]);
        let strips = along.axis_chunks_iter_mut(Axis(1), STRIP).into_par_iter();
        strips.zip(self.z.axis_chunks_iter(Axis(0), STRIP)).for_each(|(along, z)| narrow.scores(z, along));
        let mut turned = Array2::zeros((k, m));
        matmul(along.view(), middle, turned.view_mut());
        turned.mapv_inplace(|v| -v);
        let mut out = narrow.weights().to_owned();
        let strips = out.axis_chunks_iter_mut(Axis(1), STRIP).into_par_iter();
        strips.zip(self.z.axis_chunks_iter(Axis(1), STRIP)).for_each(|(mut out, z)| {
            let mut sums = out.to_owned();
            matmul_add_here(turned.view(), z, sums.view_mut());
            out.assign(&sums);
        });
        out
    }
}

/// L⁻¹ of A + 2 λ I, the first `penalised` columns of A having the penalty.
fn inverse(mut a: Array2<f64>, penalised: usize, l2: f64) -> Option<Array2<f64>> {
    let greatest = a.diag().fold(f64::MIN_POSITIVE, |m, &v| m.max(v));
    let ridges = RIDGES.map(|share| share * greatest);
    let penalised = penalised.min(a.nrows());
    a.diag_mut().slice_mut(s![..penalised]).mapv_inplace(|v| v + 2.0 * l2);
    ridges.into_iter().find_map(|ridge| {
        a.diag_mut().mapv_inplace(|v| v + ridge);
        inverse_cholesky(a.view())
    })
}

/// The lower triangles of X̃ᵀX̃ / n of evenly spread rows, each block of columns with itself: products in f32, their sum in
/// f64.
fn second_moments(x: &dyn Rows, widths: &[usize]) -> Vec<Array2<f64>> {
    let d = x.dim();
    let widest = widths.iter().copied().max().unwrap_or(1);
    let step = (x.n_rows() / (ROWS_A_COLUMN * widest).max(2 * CHUNK)).max(1);
    let rows: Vec<usize> = (0..x.n_rows()).step_by(step).collect();
    let mut chunk = Array2::ones((CHUNK.min(rows.len()), d + 1));
    let mut sums: Vec<Array2<f64>> = widths.iter().map(|&width| Array2::zeros((width, width))).collect();
    for positions in rows.chunks(CHUNK) {
        let mut chunk = chunk.slice_mut(s![..positions.len(), ..]);
        x.read_into(positions, chunk.slice_mut(s![.., ..d]));
        let mut start = 0;
        for sum in &mut sums {
            let part = chunk.slice(s![.., start..start + sum.nrows()]);
            start += sum.nrows();
            let strips = sum.axis_chunks_iter_mut(Axis(1), STRIP).into_par_iter().with_max_len(1).enumerate();
            strips.for_each(|(i, mut strip)| {
                let (first, end) = (i * STRIP, i * STRIP + strip.ncols());
                let mut product = Array2::<f32>::zeros((part.ncols() - first, end - first));
                matmul_here(part.slice(s![.., first..]).t(), part.slice(s![.., first..end]), product.view_mut());
                strip.slice_mut(s![first.., ..]).zip_mut_with(&product, |sum, &value| *sum += f64::from(value));
            });
        }
    }
    sums.into_iter().map(|sum| sum / rows.len() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn blocks_cover_all_columns_and_the_bias() {
        assert_eq!(widths(3), [4]);
        assert_eq!(widths(4096), [4097]);
        assert_eq!(widths(6400), [1600, 1600, 1600, 1601]);
        assert_eq!(widths(4097), [1365, 1366, 1367]);
    }

    #[test]
    fn blocks_are_the_diagonal_of_the_whole() {
        let x = Array2::from_shape_fn((50, 6), |(i, j)| ((i * 31 + j * 17 + i * j) % 23) as f32 * 0.1);
        let whole = &second_moments(&x, &[7])[0];
        let parts = second_moments(&x, &[2, 3, 2]);
        for (start, part) in [0, 2, 5].into_iter().zip(&parts) {
            let end = start + part.nrows();
            assert!((part - &whole.slice(s![start..end, start..end])).iter().all(|e| e.abs() < 1e-6));
        }
        assert!((parts[2][[1, 1]] - 1.0).abs() < 1e-12, "the bias");
    }

    #[test]
    fn the_moment_is_whitened_and_gradients_follow() {
        let x =
            Array2::from_shape_fn((300, 6), |(i, j)| ((i * 31 + j * 17 + i * j) % 23) as f32 * 0.1 * (j + 1) as f32);
        let p = Preconditioner::of(&x, Loss::SquaredHinge, 3, 0.0);
        assert!(matches!(p.blocks[0].change, Change::Triangle(_)));
        is_white(&p, &second_moments(&x, &[7])[0], 1e-2);
        is_adjoint(&p, 3 * 7);
    }

    #[test]
    fn few_wide_rows_are_whitened_too() {
        // 300 columns and the bias, 40 rows; a strip is not all columns.
        let x = Array2::from_shape_fn((40, 300), |(i, j)| ((i * 31 + j * 17 + i * j) % 23) as f32 * 0.1 - 1.0);
        let l2 = 0.05;
        let p = Preconditioner::of(&x, Loss::SquaredHinge, 3, l2);
        assert!(matches!(p.blocks[0].change, Change::Few(_)));
        let mut hessian = second_moments(&x, &[301]).remove(0);
        let upper = hessian.t().to_owned();
        hessian.indexed_iter_mut().filter(|((i, j), _)| i < j).for_each(|(at, value)| *value = upper[at]);
        hessian.diag_mut().slice_mut(s![..300]).mapv_inplace(|v| v + 2.0 * l2);
        is_white(&p, &hessian, 1e-3);
        is_adjoint(&p, 3 * 301);
        // The same rows, streamed.
        let streamed = Preconditioner::of(&bakeoff_core::rows::Streamed(x), Loss::SquaredHinge, 3, l2);
        let v: Vec<f64> = (0..903).map(|i| (i * 5 % 7) as f64 - 3.0).collect();
        let (mut a, mut b) = (vec![0.0; 903], vec![0.0; 903]);
        p.parameters(&v, &mut a);
        streamed.parameters(&v, &mut b);
        assert_eq!(a, b);
    }

    /// M A Mᵀ is the unit matrix, M being found by unit vectors.
    fn is_white(p: &Preconditioner, a: &Array2<f64>, error: f64) {
        let c = a.nrows();
        let m = p.blocks[0].change.applied(Array2::eye(c));
        let white = m.dot(a).dot(&m.t());
        let worst = (white - Array2::<f64>::eye(c)).iter().fold(0.0f64, |worst, e| worst.max(e.abs()));
        assert!(worst < error, "{worst}");
    }

    /// <gradient, parameters(v)> = <gradient_v, v> for the adjoint map.
    fn is_adjoint(p: &Preconditioner, size: usize) {
        let (v, g): (Vec<f64>, Vec<f64>) = (0..size).map(|i| ((i * 5 % 7) as f64 - 3.0, (i * 3 % 11) as f64)).unzip();
        let (mut w, mut gv) = (vec![0.0; size], vec![0.0; size]);
        p.parameters(&v, &mut w);
        p.gradient(&g, &mut gv);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let terms: f64 = w.iter().zip(&g).map(|(w, g)| (w * g).abs()).sum();
        assert!((dot(&w, &g) - dot(&v, &gv)).abs() < 1e-8 * terms, "{} {}", dot(&w, &g), dot(&v, &gv));
    }
}
