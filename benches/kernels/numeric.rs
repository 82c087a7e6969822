//! Products, losses, scalers, updates and solvers.

use super::nothing;
use crate::kernel::{Case, Kernel, Outcome, Size, Steps, Tolerance, Work};
use crate::rows;
use bakeoff_core::Seed;
use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_numeric::element::vectorised;
use bakeoff_numeric::{
    Lbfgs, Loss, Narrow, Optimiser, Packed, Rule, Scaler, Scaling, Schedule, Sgd, exp_below_zero, inverse_cholesky,
    inverse_lower, matmul, matmul_add_here, matmul_here, score_rows,
};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use std::ops::ControlFlow;

pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = products();
    kernels.extend(packed());
    kernels.extend(narrow());
    kernels.push(exponential());
    kernels.extend(losses());
    kernels.extend(scalers());
    kernels.extend(updates());
    kernels.extend(solvers());
    kernels
}

/// A product of a (m, p) and b (p, n) into c (m, n).
struct Product {
    a: Array2<f32>,
    b: Array2<f32>,
    c: Array2<f32>,
}

impl Product {
    fn new((m, p, n): (usize, usize, usize)) -> Self {
        Self { a: rows(m, p, 4, Seed(1)).0, b: rows(p, n, 4, Seed(2)).0, c: Array2::zeros((m, n)) }
    }

    fn views(&mut self) -> (ArrayView2<'_, f32>, ArrayView2<'_, f32>, ArrayViewMut2<'_, f32>) {
        (self.a.view(), self.b.view(), self.c.view_mut())
    }

    /// The triple loop in f64.
    fn plain(&self) -> Array2<f64> {
        let (a, b) = (self.a.mapv(f64::from), self.b.mapv(f64::from));
        let mut c = Array2::zeros(self.c.dim());
        for (a, mut c) in a.outer_iter().zip(c.outer_iter_mut()) {
            for (&a, b) in a.iter().zip(b.outer_iter()) {
                c.iter_mut().zip(b).for_each(|(c, &b): (&mut f64, &f64)| *c += a * b);
            }
        }
        c
    }

    fn of(shape @ (m, p, n): (usize, usize, usize), run: fn(&mut Self)) -> Size {
        let work = Work::flops(2 * m * p * n, m * p + p * n + m * n);
        Size::new(format!("{m}x{p}x{n}"), work, move || {
            let steps = Steps {
                prepare: |product: &mut Self| product.c.fill(0.0),
                run,
                outcome: |product: &Self| Outcome::values(&product.c),
                reference: Some(|product| Outcome::of_f64(product.plain())),
            };
            Case::new(Self::new(shape), steps)
        })
    }
}

/// Shapes of training steps, of scoring and of a codebook.
const PRODUCTS: [(usize, usize, usize); 4] = [(64, 128, 64), (128, 784, 1024), (1024, 1024, 1024), (10_000, 784, 10)];

fn products() -> Vec<Kernel> {
    let of = |name: &str, covers, run: fn(&mut Product)| {
        Kernel::new(name, covers, PRODUCTS.into_iter().map(|shape| Product::of(shape, run)).collect())
    };
    let scored: fn(&mut Product) = |product| {
        let b = product.b.view();
        product.c = score_rows(product.a.view(), b.ncols(), |rows, out| matmul_here(rows, b, out));
    };
    vec![
        of("numeric/matmul", &["numeric::matmul"], |product| {
            let (a, b, c) = product.views();
            matmul(a, b, c);
        }),
        of("numeric/matmul-here", &["numeric::matmul_here"], |product| {
            let (a, b, c) = product.views();
            matmul_here(a, b, c);
        }),
        of("numeric/matmul-add-here", &["numeric::matmul_add_here"], |product| {
            let (a, b, c) = product.views();
            matmul_add_here(a, b, c);
        }),
        of("numeric/score-rows", &["numeric::score_rows", "numeric::score_rows_by"], scored),
    ]
}

/// Rows a (m, p) against a packed matrix (p, n): patches against words.
struct PackedProduct {
    product: Product,
    packed: Packed,
    ids: Vec<u32>,
    values: Vec<f32>,
}

fn packed_size(shape @ (m, p, n): (usize, usize, usize), steps: fn() -> Steps<PackedProduct>) -> Size {
    let work = Work::flops(2 * m * p * n, m * p + p * n + m * n);
    Size::new(format!("{m}x{p}x{n}"), work, move || {
        let product = Product::new(shape);
        let packed = Packed::new(product.b.view());
        let state = PackedProduct { product, packed, ids: vec![0; m], values: vec![0.0; m] };
        Case::new(state, steps())
    })
}

fn packed() -> Vec<Kernel> {
    let multiplied = || Steps {
        prepare: nothing,
        run: |s: &mut PackedProduct| s.packed.multiply(s.product.a.view(), s.product.c.view_mut()),
        outcome: |s| Outcome::values(&s.product.c),
        reference: Some(|s| Outcome::of_f64(s.product.plain())),
    };
    let one_row = || Steps {
        prepare: nothing,
        run: |s: &mut PackedProduct| s.packed.multiply_row(s.product.a.view(), s.product.c.view_mut()),
        outcome: |s| Outcome::values(&s.product.c),
        reference: Some(|s| Outcome::of_f64(s.product.plain())),
    };
    let nearest = || Steps {
        prepare: nothing,
        run: |s: &mut PackedProduct| s.packed.nearest(s.product.a.view(), &mut s.ids, &mut s.values),
        outcome: |s| Outcome::Labels(s.ids.clone()),
        reference: Some(|s| {
            let best = |row: ndarray::ArrayView1<'_, f64>| {
                row.iter()
                    .enumerate()
                    .fold((0, f64::NEG_INFINITY), |best, (j, &v)| if v > best.1 { (j, v) } else { best })
                    .0
            };
            Outcome::ids(s.product.plain().outer_iter().map(best))
        }),
    };
    let shapes = [(66, 108, 64), (729, 108, 400), (729, 192, 1600)];
    let rows = [(1, 128, 64), (1, 784, 1024), (1, 3072, 1024)];
    let packing: fn() -> Steps<PackedProduct> = || Steps {
        prepare: nothing,
        run: |s| s.packed = Packed::new(s.product.b.view()),
        outcome: |s| Outcome::values(&s.packed.unpacked().0),
        reference: Some(|s| Outcome::values(&s.product.b)),
    };
    let sizes = |shapes: [(usize, usize, usize); 3], steps: fn() -> Steps<PackedProduct>| {
        shapes.into_iter().map(|shape| packed_size(shape, steps)).collect()
    };
    vec![
        Kernel::new(
            "numeric/packed-multiply",
            &["numeric::Packed", "numeric::packed::pack_rows", "numeric::packed::tile"],
            sizes(shapes, multiplied),
        ),
        Kernel::new("numeric/packed-multiply-row", &["numeric::Packed"], sizes(rows, one_row)),
        Kernel::new("numeric/packed-nearest", &["numeric::Packed"], sizes(shapes, nearest)),
        Kernel::new(
            "numeric/packed-new",
            &["numeric::Packed"],
            shapes
                .into_iter()
                .map(|(m, p, n)| Size { work: Work::bytes(8 * p * n), ..packed_size((m, p, n), packing) })
                .collect(),
        )
        .within(Tolerance::EXACT),
    ]
}

/// Rows (n, d) and the weights (k, d) of a few classes.
struct FewClasses {
    x: Array2<f32>,
    narrow: Narrow<f32>,
    out: Array2<f32>,
}

fn narrow() -> Vec<Kernel> {
    let size = |(n, d, k): (usize, usize, usize)| {
        let work = Work::flops(2 * n * d * k, n * d + k * d + k * n);
        Size::new(format!("{n}x{d}x{k}"), work, move || {
            let narrow = Narrow::new(rows(k, d, 2, Seed(6)).0, vec![0.5; k]);
            let state = FewClasses { x: rows(n, d, 4, Seed(5)).0, narrow, out: Array2::zeros((k, n)) };
            let steps = Steps {
                prepare: nothing,
                run: |s: &mut FewClasses| s.narrow.scores(s.x.view(), s.out.view_mut()),
                outcome: |s| Outcome::values(&s.out),
                reference: Some(|s| {
                    let (weights, x) = (s.narrow.weights().mapv(f64::from), s.x.mapv(f64::from));
                    Outcome::of_f64(weights.dot(&x.t()) + 0.5)
                }),
            };
            Case::new(state, steps)
        })
    };
    let sizes = [(200, 65, 4), (5_000, 324, 10), (10_000, 784, 10)].map(size).into();
    vec![Kernel::new("numeric/narrow-scores", &["numeric::Narrow"], sizes)]
}

/// Numbers up to 0, and their exponentials.
struct Exponentials {
    x: Vec<f32>,
    out: Vec<f32>,
}

fn exponential() -> Kernel {
    let size = |n: usize| {
        Size::new(n.to_string(), Work::bytes(8 * n), move || {
            let x: Vec<f32> = (0..n).map(|i| -(((i * 7919) % 1009) as f32) / 50.0).collect();
            let steps = Steps {
                prepare: nothing,
                run: |s: &mut Exponentials| {
                    vectorised(|| s.out.iter_mut().zip(&s.x).for_each(|(out, &x)| *out = exp_below_zero(x)));
                },
                outcome: |s| Outcome::values(&s.out),
                reference: Some(|s| Outcome::of_f64(s.x.iter().map(|&x| f64::from(x).exp()))),
            };
            Case::new(Exponentials { out: vec![0.0; n], x }, steps)
        })
    };
    Kernel::new("numeric/exp", &["numeric::exp_below_zero"], [2_000, 1 << 16, 1 << 20].map(size).into())
}

/// Scores (n, k) with their classes, and as many again that a call may change.
struct Scores {
    loss: Loss,
    given: Array2<f32>,
    targets: Array2<f32>,
    classes: Vec<usize>,
    gradient: Array2<f32>,
    value: f64,
}

impl Scores {
    fn new(loss: Loss, n: usize, k: usize) -> Self {
        let (given, labels) = rows(n, k, k, Seed(3));
        let classes = labels.as_slice().to_vec();
        let smooth = 0.1 / k as f32;
        let targets = Array2::from_shape_fn((n, k), |(i, j)| smooth + if j == classes[i] { 1.0 - 0.1 } else { 0.0 });
        Self { loss, gradient: given.clone(), given, targets, classes, value: 0.0 }
    }

    fn outcome(&self) -> Outcome {
        Outcome::of_f64(self.gradient.iter().map(|&g| f64::from(g)).chain([self.value / self.classes.len() as f64]))
    }

    /// The definitions in f64, row by row; `share` of each class instead of one class where rows have several.
    fn plain(&self, share: impl Fn(usize, usize) -> f64) -> Outcome {
        let mut gradients = Vec::new();
        let mut value = 0.0;
        for (i, row) in self.given.outer_iter().enumerate() {
            let s: Vec<f64> = row.iter().map(|&s| f64::from(s)).collect();
            let mut gradient = vec![0.0; s.len()];
            for class in (0..s.len()).filter(|&class| share(i, class) > 0.0) {
                let (loss, slopes) = plain_row(self.loss, &s, class);
                value += share(i, class) * loss;
                gradient.iter_mut().zip(slopes).for_each(|(g, slope)| *g += share(i, class) * slope);
            }
            gradients.extend(gradient);
        }
        Outcome::of_f64(gradients.into_iter().chain([value / self.classes.len() as f64]))
    }
}

/// A row's loss and its slopes, as the definitions are written.
fn plain_row(loss: Loss, s: &[f64], y: usize) -> (f64, Vec<f64>) {
    let t = |j: usize| if j == y { 1.0 } else { -1.0 };
    let each = |f: &dyn Fn(usize) -> (f64, f64)| {
        let (values, slopes): (Vec<f64>, Vec<f64>) = (0..s.len()).map(f).unzip();
        (values.iter().sum(), slopes)
    };
    match loss {
        Loss::Softmax => {
            let most = s.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = s.iter().map(|s| (s - most).exp()).sum();
            let of = |j: usize| (s[j] - most).exp() / sum - if j == y { 1.0 } else { 0.0 };
            (sum.ln() + most - s[y], (0..s.len()).map(of).collect())
        }
        Loss::WestonWatkins => {
            let over = |j: usize| if j == y { 0.0 } else { (s[j] - s[y] + 1.0).max(0.0) };
            let mut slopes: Vec<f64> = (0..s.len()).map(|j| if over(j) > 0.0 { 1.0 } else { 0.0 }).collect();
            slopes[y] = -slopes.iter().sum::<f64>();
            ((0..s.len()).map(over).sum(), slopes)
        }
        Loss::Hinge => each(&|j| {
            let lack = 1.0 - t(j) * s[j];
            (lack.max(0.0), if lack > 0.0 { -t(j) } else { 0.0 })
        }),
        Loss::SquaredHinge => each(&|j| {
            let lack = (1.0 - t(j) * s[j]).max(0.0);
            (lack * lack, -2.0 * t(j) * lack)
        }),
        Loss::Squared => each(&|j| {
            let apart = s[j] - if j == y { 1.0 } else { 0.0 };
            (apart * apart, 2.0 * apart)
        }),
    }
}

fn losses() -> Vec<Kernel> {
    let size = |loss, (n, k): (usize, usize), steps: fn() -> Steps<Scores>| {
        Size::new(format!("{n}x{k}"), Work::rows(n, 0, 2 * n * k), move || Case::new(Scores::new(loss, n, k), steps()))
    };
    let hard: fn() -> Steps<Scores> = || Steps {
        prepare: |s| s.gradient.assign(&s.given),
        run: |s| s.value = s.loss.into_gradient(s.gradient.view_mut(), &s.classes),
        outcome: Scores::outcome,
        reference: Some(|s| s.plain(|i, class| if s.classes[i] == class { 1.0 } else { 0.0 })),
    };
    let soft: fn() -> Steps<Scores> = || Steps {
        prepare: |s| s.gradient.assign(&s.given),
        run: |s| s.value = s.loss.into_soft_gradient(s.gradient.view_mut(), s.targets.view()),
        outcome: Scores::outcome,
        reference: Some(|s| match s.loss {
            // Softmax is affine in the shares, so the mean over classes is the same; the squared loss is not.
            Loss::Softmax => s.plain(|i, class| f64::from(s.targets[[i, class]])),
            _ => s.plain_squared(),
        }),
    };
    let by_class: fn() -> Steps<Scores> = || Steps {
        prepare: |s| s.gradient = s.given.t().as_standard_layout().into_owned(),
        run: |s| s.value = s.loss.into_gradient_by_class(s.gradient.view_mut(), &s.classes),
        outcome: |s| {
            let value = s.value / s.classes.len() as f64;
            Outcome::of_f64(s.gradient.t().iter().map(|&g| f64::from(g)).chain([value]))
        },
        reference: Some(|s| s.plain(|i, class| if s.classes[i] == class { 1.0 } else { 0.0 })),
    };
    let shapes = [(200, 10), (10_000, 10), (10_000, 100)];
    let all = [Loss::Softmax, Loss::WestonWatkins, Loss::Hinge, Loss::SquaredHinge, Loss::Squared];
    let hard = all.map(|loss| {
        let sizes = shapes.map(|shape| size(loss, shape, hard)).into();
        Kernel::new(format!("numeric/loss-{}", called(loss)), &["numeric::Loss"], sizes)
    });
    let soft = [Loss::Softmax, Loss::Squared].map(|loss| {
        let sizes = shapes.map(|shape| size(loss, shape, soft)).into();
        Kernel::new(format!("numeric/soft-loss-{}", called(loss)), &["numeric::Loss"], sizes)
    });
    let by_class = [Loss::Softmax, Loss::SquaredHinge].map(|loss| {
        let sizes = shapes.map(|shape| size(loss, shape, by_class)).into();
        Kernel::new(format!("numeric/loss-by-class-{}", called(loss)), &["numeric::Loss"], sizes)
    });
    hard.into_iter().chain(soft).chain(by_class).collect()
}

impl Scores {
    fn plain_squared(&self) -> Outcome {
        let apart: Vec<f64> =
            self.given.iter().zip(&self.targets).map(|(&s, &t)| f64::from(s) - f64::from(t)).collect();
        let value = apart.iter().map(|a| a * a).sum::<f64>() / self.classes.len() as f64;
        Outcome::of_f64(apart.iter().map(|a| 2.0 * a).chain([value]))
    }
}

fn called(loss: Loss) -> &'static str {
    match loss {
        Loss::Softmax => "softmax",
        Loss::WestonWatkins => "weston-watkins",
        Loss::Hinge => "hinge",
        Loss::SquaredHinge => "squared-hinge",
        Loss::Squared => "squared",
    }
}

struct Scaled {
    x: Array2<f32>,
    out: Array2<f32>,
    scaler: Scaler,
}

impl Scaled {
    fn new(n: usize, d: usize) -> Self {
        let x = rows(n, d, 10, Seed(4)).0;
        Self { out: x.clone(), scaler: Scaler::fit(Scaling::Standard, x.view()), x }
    }

    /// (v − mean) / deviation of each column, in f64.
    fn plain(&self) -> Outcome {
        let x = self.x.mapv(f64::from);
        let mean = x.mean_axis(ndarray::Axis(0)).unwrap_or_default();
        let deviation = x.std_axis(ndarray::Axis(0), 0.0);
        Outcome::of_f64((x - mean) / deviation)
    }
}

fn scalers() -> Vec<Kernel> {
    let shapes = [(200, 64), (10_000, 324), (2_000, 3072)];
    let size = |(n, d): (usize, usize), bytes: usize, steps: fn() -> Steps<Scaled>| {
        Size::new(format!("{n}x{d}"), Work::bytes(bytes), move || Case::new(Scaled::new(n, d), steps()))
    };
    let fitted: fn() -> Steps<Scaled> = || Steps {
        prepare: nothing,
        run: |s| s.scaler = Scaler::fit(Scaling::Standard, s.x.view()),
        outcome: |s| {
            let mut out = s.x.clone();
            s.scaler.apply(out.view_mut());
            Outcome::values(&out)
        },
        reference: Some(Scaled::plain),
    };
    let applied: fn() -> Steps<Scaled> = || Steps {
        prepare: |s| s.out.assign(&s.x),
        run: |s| s.scaler.apply(s.out.view_mut()),
        outcome: |s| Outcome::values(&s.out),
        reference: Some(Scaled::plain),
    };
    let fit_sizes = shapes.map(|(n, d)| size((n, d), 4 * n * d, fitted)).into();
    let apply_sizes = shapes.map(|(n, d)| size((n, d), 8 * n * d, applied)).into();
    vec![
        Kernel::new("numeric/scaler-fit", &["numeric::Scaler", "numeric::Scaling"], fit_sizes),
        Kernel::new("numeric/scaler-apply", &["numeric::Scaler"], apply_sizes),
    ]
}

/// Parameters with their gradient and the optimiser's memory.
struct Parameters {
    start: Vec<f32>,
    gradient: Vec<f32>,
    w: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Parameters {
    fn new(n: usize) -> Self {
        let start: Vec<f32> = (0..n).map(|i| ((i * 7919) % 1009) as f32 / 504.5 - 1.0).collect();
        let gradient = (0..n).map(|i| ((i * 104_729) % 997) as f32 / 997.0 - 0.5).collect();
        Self { w: start.clone(), first: vec![0.0; n], second: vec![0.0; n], start, gradient }
    }

    fn reset(&mut self) {
        self.w.copy_from_slice(&self.start);
        self.first.fill(0.25);
        self.second.fill(0.5);
    }

    fn outcome(&self) -> Outcome {
        Outcome::values(self.w.iter().chain(&self.first))
    }

    /// One step by the formula, in f64: from w, g, m, v to w and m.
    fn plain(&self, step: impl Fn(f64, f64, f64, f64) -> (f64, f64)) -> Outcome {
        let pairs = self.start.iter().zip(&self.gradient).map(|(&w, &g)| step(f64::from(w), f64::from(g), 0.25, 0.5));
        let (w, first): (Vec<f64>, Vec<f64>) = pairs.unzip();
        Outcome::of_f64(w.into_iter().chain(first))
    }
}

const RATE: f64 = 0.01;
const L2: f64 = 1e-3;

fn updates() -> Vec<Kernel> {
    let sgd: fn() -> Steps<Parameters> = || Steps {
        prepare: Parameters::reset,
        run: |p| {
            let sgd = Sgd {
                learning_rate: Positive::literal(RATE),
                momentum: Fraction::literal(0.9),
                l2: NonNegative::literal(L2),
                l1: NonNegative::literal(0.0),
                schedule: Schedule::Constant,
            };
            sgd.update(&mut p.w, &mut p.first, &p.gradient, 1.0, true);
        },
        outcome: Parameters::outcome,
        reference: Some(|p| {
            p.plain(|w, g, m, _| {
                let m = 0.9 * m + g + 2.0 * L2 * w;
                (w - RATE * m, m)
            })
        }),
    };
    let nesterov: fn() -> Steps<Parameters> = || Steps {
        prepare: Parameters::reset,
        run: |p| {
            let optimiser = Optimiser { rule: Rule::Nesterov, momentum: 0.9, l2: L2, ..Optimiser::default() };
            let step = optimiser.step::<f32>(RATE, 3);
            vectorised(|| step.apply(&p.gradient, &mut p.w, &mut p.first, &mut []));
        },
        outcome: Parameters::outcome,
        reference: Some(|p| {
            p.plain(|w, g, m, _| {
                let g = g + 2.0 * L2 * w;
                let m = 0.9 * m + g;
                (w - RATE * (g + 0.9 * m), m)
            })
        }),
    };
    let adam: fn() -> Steps<Parameters> = || Steps {
        prepare: Parameters::reset,
        run: |p| {
            let optimiser = Optimiser { rule: Rule::Adam, l2: L2, ..Optimiser::default() };
            let step = optimiser.step::<f32>(RATE, 3);
            vectorised(|| step.apply(&p.gradient, &mut p.w, &mut p.first, &mut p.second));
        },
        outcome: Parameters::outcome,
        reference: Some(|p| {
            p.plain(|w, g, m, v| {
                let g = g + 2.0 * L2 * w;
                let (m, v) = (0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g);
                let (mean, square) = (m / (1.0 - 0.9f64.powi(3)), v / (1.0 - 0.999f64.powi(3)));
                (w - RATE * mean / (square.sqrt() + 1e-8), m)
            })
        }),
    };
    let lion: fn() -> Steps<Parameters> = || Steps {
        prepare: Parameters::reset,
        run: |p| {
            let optimiser = Optimiser { rule: Rule::Lion, l2: L2, ..Optimiser::default() };
            let step = optimiser.step::<f32>(RATE, 3);
            vectorised(|| step.apply(&p.gradient, &mut p.w, &mut p.first, &mut []));
        },
        outcome: Parameters::outcome,
        reference: Some(|p| {
            p.plain(|w, g, m, _| {
                let g = g + 2.0 * L2 * w;
                let towards = 0.9 * m + 0.1 * g;
                (w - RATE * towards.signum(), 0.999 * m + 0.001 * g)
            })
        }),
    };
    let sizes = |numbers: usize, steps: fn() -> Steps<Parameters>| {
        [4_096, 1 << 16, 1 << 20]
            .map(|n: usize| {
                let work = Work::bytes(4 * numbers * n);
                Size::new(n.to_string(), work, move || Case::new(Parameters::new(n), steps()))
            })
            .into()
    };
    vec![
        Kernel::new("numeric/update-sgd", &["numeric::Sgd", "numeric::Schedule"], sizes(5, sgd)),
        Kernel::new(
            "numeric/update-nesterov",
            &["numeric::Optimiser", "numeric::Step", "numeric::Rule"],
            sizes(5, nesterov),
        ),
        Kernel::new("numeric/update-lion", &["numeric::Optimiser"], sizes(5, lion)),
        Kernel::new("numeric/update-adam", &["numeric::Optimiser"], sizes(7, adam)),
    ]
}

/// A positive definite matrix (d, d).
struct Definite {
    a: Array2<f64>,
    out: Option<Array2<f64>>,
    x: Vec<f64>,
}

impl Definite {
    fn new(d: usize) -> Self {
        let rows = rows(2 * d, d, 4, Seed(5)).0.mapv(f64::from);
        let a = rows.t().dot(&rows) / (2 * d) as f64 + Array2::<f64>::eye(d);
        Self { a, out: None, x: vec![0.0; d] }
    }
}

fn solvers() -> Vec<Kernel> {
    let cholesky: fn() -> Steps<Definite> = || Steps {
        prepare: |s| s.out = None,
        run: |s| s.out = inverse_cholesky(s.a.view()),
        outcome: |s| {
            // M with M A Mᵀ = 1, whichever triangle it is.
            let m = s.out.clone().unwrap_or_default();
            Outcome::of_f64(if m.is_empty() { m } else { m.dot(&s.a).dot(&m.t()) })
        },
        reference: Some(|s| Outcome::of_f64(Array2::<f64>::eye(s.a.nrows()))),
    };
    let inverted: fn() -> Steps<Definite> = || Steps {
        prepare: |s| s.out = None,
        run: |s| s.out = Some(inverse_lower(s.a.view())),
        outcome: |s| {
            // Of A only the lower triangle is read: its inverse times it is 1.
            let lower = Array2::from_shape_fn(s.a.dim(), |(i, j)| if i >= j { s.a[[i, j]] } else { 0.0 });
            Outcome::of_f64(s.out.as_ref().map_or(lower.clone(), |m| m.dot(&lower)))
        },
        reference: Some(|s| Outcome::of_f64(Array2::<f64>::eye(s.a.nrows()))),
    };
    // ½ xᵀ A x − xᵀ 1, whose minimum is where A x = 1.
    let lbfgs: fn() -> Steps<Definite> = || Steps {
        prepare: |s| s.x.fill(0.0),
        run: |s| {
            let a = &s.a;
            let value = |x: &[f64], gradient: &mut [f64]| {
                let x = ndarray::ArrayView1::from(x);
                let product = a.dot(&x);
                gradient.iter_mut().zip(&product).for_each(|(g, p)| *g = p - 1.0);
                0.5 * x.dot(&product) - x.sum()
            };
            let solver = Lbfgs { memory: 10, max_iterations: 500, tolerance: 1e-9 };
            solver.minimise(&mut s.x, value, |_, _| ControlFlow::Continue(()));
        },
        outcome: |s| Outcome::of_f64(s.a.dot(&ndarray::ArrayView1::from(&s.x))),
        reference: Some(|s| Outcome::of_f64(vec![1.0; s.x.len()])),
    };
    let size = |d: usize, work: Work, steps: fn() -> Steps<Definite>| {
        Size::new(d.to_string(), work, move || Case::new(Definite::new(d), steps()))
    };
    // d³/3 multiply-adds of the factor and as many of its inverse.
    let cubic = |d: usize| size(d, Work::flops(4 * d * d * d / 3, 4 * d * d), cholesky);
    let halved = |d: usize| size(d, Work::flops(d * d * d / 3, 4 * d * d), inverted);
    let iterated = |d: usize| size(d, Work::rows(1, 0, 2 * d * d), lbfgs);
    vec![
        Kernel::new("numeric/inverse-cholesky", &["numeric::inverse_cholesky"], [32, 128, 512].map(cubic).into()),
        Kernel::new("numeric/inverse-lower", &["numeric::inverse_lower"], [32, 128, 512].map(halved).into()),
        Kernel::new("numeric/lbfgs", &["numeric::Lbfgs"], [32, 128, 512].map(iterated).into()),
    ]
}
