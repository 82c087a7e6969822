//! The products of a network's training step, on matrices in panels.

use super::nothing;
use crate::kernel::{Case, Kernel, Outcome, Size, Steps, Tolerance, Work};
use crate::rows;
use bakeoff_core::Seed;
use bakeoff_numeric::panels::{BAND, Line, PANEL, TileWork, multiply, multiply_tiles, multiply_transposed};
use bakeoff_numeric::sparse::{multiply_tiles_sparse, multiply_transposed_sparse};
use bakeoff_numeric::{Nonzeros, Panels, Pieces, Precision, pieces};
use ndarray::Array2;

/// left (m, k), its transposed, right (k, n), out (m, n); what is not 0 in left, and in right by its columns; and both in pieces.
struct Panelled {
    a: Array2<f32>,
    b: Array2<f32>,
    left: Panels<f32>,
    transposed: Panels<f32>,
    right: Panels<f32>,
    out: Panels<f32>,
    by_left: Nonzeros<f32>,
    by_right: Nonzeros<f32>,
    left_pieces: Pieces,
    right_pieces: Pieces,
}

/// The nearest bfloat16, the even one of two.
fn rounded(number: f32) -> f32 {
    let bits = number.to_bits();
    f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}

/// Writes a tile where it belongs, as the plainest thing that can be done with it.
struct Keep;

impl TileWork<f32, 1> for Keep {
    fn tile(&self, sums: &[Line<f32>], [out]: [&mut [Line<f32>]; 1]) {
        out.copy_from_slice(sums);
    }
}

impl Panelled {
    fn new((m, k, n): (usize, usize, usize)) -> Self {
        Self::of(rows(m, k, 4, Seed(1)).0, rows(k, n, 4, Seed(2)).0)
    }

    /// As many of both operands' numbers are above 0 as rectifiers leave of their inputs, about a half.
    fn rectified((m, k, n): (usize, usize, usize)) -> Self {
        let rectified = |array: Array2<f32>| {
            let mean = array.mean().unwrap_or(0.0);
            array.mapv(|v| (v - mean).max(0.0))
        };
        Self::of(rectified(rows(m, k, 4, Seed(1)).0), rectified(rows(k, n, 4, Seed(2)).0))
    }

    /// Operands for products that round to bfloat16. They keep unrounded numbers; what is expected of them is of rounded ones.
    fn to_be_rounded((m, k, n): (usize, usize, usize)) -> Self {
        let (a, b) = (rows(m, k, 4, Seed(1)).0, rows(k, n, 4, Seed(2)).0);
        let [left_pieces, right_pieces] = [(); 2].map(|()| Pieces::new(Precision::Bf16));
        let panels = Self::of(a.clone(), b.clone());
        Self { a: a.mapv(rounded), b: b.mapv(rounded), left_pieces, right_pieces, ..panels }
    }

    fn of(a: Array2<f32>, b: Array2<f32>) -> Self {
        Self {
            left: Panels::from_array(a.view()),
            transposed: Panels::from_array(a.t()),
            right: Panels::from_array(b.view()),
            out: Panels::zeros(a.nrows(), b.ncols()),
            by_left: Nonzeros::default(),
            by_right: Nonzeros::default(),
            left_pieces: Pieces::default(),
            right_pieces: Pieces::default(),
            a,
            b,
        }
    }

    fn outcome(&self) -> Outcome {
        Outcome::values(&self.out.to_array())
    }

    fn plain(&self) -> Outcome {
        let (a, b) = (self.a.mapv(f64::from), self.b.mapv(f64::from));
        let entry = |(i, j): (usize, usize)| a.row(i).iter().zip(b.column(j)).map(|(a, b)| a * b).sum::<f64>();
        Outcome::of_f64(Array2::from_shape_fn((a.nrows(), b.ncols()), entry))
    }
}

/// What makes the operands of (m, k, n).
type Make = fn((usize, usize, usize)) -> Panelled;

pub(super) fn kernels() -> Vec<Kernel> {
    // Units, inputs and rows of a batch: forward passes of layers.
    let shapes = [(64, 96, 64), (1024, 784, 128), (1024, 1024, 128)];
    let of = |make: Make, shapes: [(usize, usize, usize); 3], name: &str, covers, run: fn(&mut Panelled)| {
        let size = |shape @ (m, k, n): (usize, usize, usize)| {
            let work = Work::flops(2 * m * k * n, m * k + k * n + m * n);
            Size::new(format!("{m}x{k}x{n}"), work, move || {
                let steps =
                    Steps { prepare: nothing, run, outcome: Panelled::outcome, reference: Some(Panelled::plain) };
                Case::new(make(shape), steps)
            })
        };
        Kernel::new(name, covers, shapes.map(size).into())
    };
    let product = |name: &str, covers, run| of(Panelled::new, shapes, name, covers, run);
    // With the lists, which are made for each call. Their FLOPs are those of the dense product, of which they do a half.
    let sparse = |shapes, name: &str, covers, run| of(Panelled::rectified, shapes, name, covers, run);
    // Units, rows of a batch and inputs: weight gradients of layers.
    let gradients = [(64, 64, 96), (1024, 128, 784), (1024, 128, 1024)];
    let by_bands = |s: &mut Panelled| {
        s.right_pieces.assign_right(&s.right);
        let bands = s.out.dim().0.div_ceil(BAND);
        pieces::multiply(&s.left, &s.right_pieces, &mut s.out, vec![(); bands], |_, ()| ());
    };
    let tiles = |s: &mut Panelled| {
        s.left_pieces.assign_left(&s.left);
        s.right_pieces.assign_right(&s.right);
        pieces::multiply_tiles(&s.left_pieces, &s.right_pieces, [&mut s.out], &Keep);
    };
    vec![
        product("panels/multiply", &["numeric::panels::multiply", "numeric::Panels", "numeric::Element"], |s| {
            let bands = s.out.dim().0.div_ceil(BAND);
            multiply(&s.left, &s.right, &mut s.out, vec![(); bands], |_, ()| ());
        }),
        product("panels/multiply-transposed", &["numeric::panels::multiply_transposed"], |s| {
            let bands = s.out.dim().0.div_ceil(PANEL);
            multiply_transposed(&s.transposed, &s.right, &mut s.out, vec![(); bands], |_, ()| ());
        }),
        product("panels/multiply-tiles", &["numeric::panels::multiply_tiles", "numeric::panels::TileWork"], |s| {
            multiply_tiles(&s.left, &s.right, [&mut s.out], &Keep);
        }),
        sparse(
            gradients,
            "panels/multiply-tiles-sparse",
            &["numeric::sparse::multiply_tiles_sparse", "numeric::Nonzeros"],
            |s| {
                s.by_left.assign(&s.left);
                multiply_tiles_sparse(&s.by_left, &s.right, [&mut s.out], &Keep);
            },
        ),
        sparse(shapes, "panels/multiply-transposed-sparse", &["numeric::sparse::multiply_transposed_sparse"], |s| {
            s.by_right.assign_transposed(&s.right);
            let bands = s.out.dim().0.div_ceil(PANEL);
            multiply_transposed_sparse(&s.transposed, &s.by_right, &mut s.out, vec![(); bands], |_, ()| ());
        }),
        // With the operands, which are made for each call, also where there is no unit and networks take none.
        product("panels/multiply-pieces", &["numeric::pieces::multiply", "numeric::Pieces"], by_bands),
        of(Panelled::new, gradients, "panels/multiply-tiles-pieces", &["numeric::pieces::multiply_tiles"], tiles),
        // The same with one piece: half of the time of f32 where the processor multiplies such numbers.
        of(Panelled::to_be_rounded, shapes, "panels/multiply-bf16", &["numeric::Precision"], by_bands),
        of(Panelled::to_be_rounded, gradients, "panels/multiply-tiles-bf16", &["numeric::Precision"], tiles),
        of(
            Panelled::to_be_rounded,
            shapes,
            "panels/multiply-transposed-bf16",
            &["numeric::pieces::multiply_transposed"],
            |s| {
                s.right_pieces.assign_right(&s.right);
                let bands = s.out.dim().0.div_ceil(PANEL);
                pieces::multiply_transposed(&s.transposed, &s.right_pieces, &mut s.out, vec![(); bands], |_, ()| ());
            },
        ),
        transposing(),
    ]
}

fn transposing() -> Kernel {
    let size = |(m, k): (usize, usize)| {
        Size::new(format!("{m}x{k}"), Work::bytes(8 * m * k), move || {
            let steps = Steps {
                prepare: nothing,
                run: |s: &mut Panelled| s.transposed.assign_transposed(&s.left),
                outcome: |s| Outcome::values(&s.transposed.to_array()),
                reference: Some(|s| Outcome::values(s.a.t().iter())),
            };
            Case::new(Panelled::new((m, k, 1)), steps)
        })
    };
    let sizes = [(64, 96), (128, 784), (1024, 1024)].map(size).into();
    Kernel::new("panels/transpose", &["numeric::panels::transpose", "numeric::Panels"], sizes).within(Tolerance::EXACT)
}
