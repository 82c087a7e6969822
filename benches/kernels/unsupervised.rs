//! Steps of k-means and mixtures, reductions, product codes.

use super::nothing;
use crate::kernel::{Case, Kernel, Outcome, Size, Steps, Tolerance, Work};
use crate::rows;
use bakeoff_core::Seed;
use bakeoff_core::params::NonNegative;
use bakeoff_unsupervised::{Codebook, Codes, Gmm, KMeans, Mixture, ProductQuantiser, Quantiser, Reducer, Reduction};
use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use std::num::NonZeroUsize;

pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = clusters();
    kernels.extend(mixtures());
    kernels.extend(reductions());
    kernels.extend(codes());
    kernels
}

fn count(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).unwrap_or(NonZeroUsize::MIN)
}

/// Rows (n, d) and k centres, which are rows.
struct Clusters {
    x: Array2<f32>,
    start: Array2<f32>,
    codebook: Codebook,
    ids: Vec<u32>,
    seed: Seed,
}

impl Clusters {
    fn new((n, d, k): (usize, usize, usize)) -> Self {
        let x = rows(n, d, 20, Seed(6)).0;
        let start = x.slice(s![..;n / k, ..]).slice(s![..k, ..]).to_owned();
        let codebook = Codebook::new(start.clone()).expect("finite centres");
        Self { x, codebook, start, ids: vec![0; n], seed: Seed(7) }
    }

    /// The nearest centre of every row, in f64.
    fn plain_nearest(&self) -> Vec<usize> {
        let centres = self.start.mapv(f64::from);
        let nearest = |row: ArrayView1<'_, f32>| {
            let apart = |centre: ArrayView1<'_, f64>| {
                row.iter().zip(centre).map(|(&a, &b)| (f64::from(a) - b).powi(2)).sum::<f64>()
            };
            let distances = centres.outer_iter().map(apart).enumerate();
            distances.fold((0, f64::INFINITY), |best, (id, v)| if v < best.1 { (id, v) } else { best }).0
        };
        self.x.outer_iter().map(nearest).collect()
    }

    /// One round of Lloyd's: the means of the rows of each centre.
    fn plain_round(&self) -> Outcome {
        let mut sums = Array2::<f64>::zeros(self.start.dim());
        let mut counts = Array1::<f64>::zeros(self.start.nrows());
        for (row, id) in self.x.outer_iter().zip(self.plain_nearest()) {
            sums.row_mut(id).zip_mut_with(&row, |sum, &v| *sum += f64::from(v));
            counts[id] += 1.0;
        }
        // Every centre is a row, and so has at least itself.
        Outcome::of_f64(sums / counts.insert_axis(Axis(1)))
    }
}

fn clusters() -> Vec<Kernel> {
    let size = |shape @ (n, d, k): (usize, usize, usize), steps: fn() -> Steps<Clusters>| {
        let work = Work::flops(2 * n * d * k, n * d + k * d);
        Size::new(format!("{n}x{d}x{k}"), work, move || Case::new(Clusters::new(shape), steps()))
    };
    let round: fn() -> Steps<Clusters> = || Steps {
        prepare: nothing,
        run: |s| {
            let settings = KMeans {
                k: count(s.start.nrows()),
                iterations: 1,
                tolerance: NonNegative::literal(0.0),
                ..KMeans::default()
            };
            s.codebook = settings.fit_from(s.x.view(), s.start.view(), s.seed).expect("rows and a start that fit");
        },
        outcome: |s| Outcome::values(s.codebook.centers()),
        reference: Some(Clusters::plain_round),
    };
    let nearest: fn() -> Steps<Clusters> = || Steps {
        prepare: nothing,
        run: |s| s.codebook.nearest_here(s.x.view(), &mut s.ids),
        outcome: |s| Outcome::Labels(s.ids.clone()),
        reference: Some(|s| Outcome::ids(s.plain_nearest())),
    };
    let shapes = [(600, 32, 16), (20_000, 108, 400), (10_000, 64, 1600)];
    vec![
        Kernel::new(
            "unsupervised/kmeans-round",
            &["unsupervised::KMeans", "unsupervised::Init", "unsupervised::Engine"],
            shapes.map(|shape| size(shape, round)).into(),
        ),
        Kernel::new(
            "unsupervised/nearest",
            &["unsupervised::Codebook"],
            shapes.map(|shape| size(shape, nearest)).into(),
        ),
    ]
}

/// Rows (n, d) and a mixture of k components at some of them.
struct Mixed {
    x: Array2<f32>,
    weights: Array1<f32>,
    means: Array2<f32>,
    variances: Array2<f32>,
    mixture: Mixture,
    posteriors: Array2<f32>,
}

impl Mixed {
    fn new((n, d, k): (usize, usize, usize)) -> Self {
        let x = rows(n, d, 20, Seed(8)).0;
        let means = x.slice(s![..;n / k, ..]).slice(s![..k, ..]).to_owned();
        let weights = Array1::from_elem(k, 1.0 / k as f32);
        let variances = Array2::from_elem((k, d), 4.0);
        let mixture = Mixture::of(&weights.to_vec(), &means, &variances).expect("a mixture");
        Self { posteriors: Array2::zeros((n, k)), x, weights, means, variances, mixture }
    }

    /// The posterior of every component for every row, in f64.
    fn plain_posteriors(&self) -> Array2<f64> {
        let (means, variances) = (self.means.mapv(f64::from), self.variances.mapv(f64::from));
        let mut out = Array2::zeros(self.posteriors.dim());
        for (row, mut out) in self.x.outer_iter().zip(out.outer_iter_mut()) {
            for (k, out) in out.iter_mut().enumerate() {
                let terms = row.iter().zip(means.row(k)).zip(variances.row(k));
                let square: f64 = terms.map(|((&x, m), v)| (f64::from(x) - m).powi(2) / v + v.ln()).sum();
                *out = f64::from(self.weights[k]).ln() - 0.5 * square;
            }
            let most = out.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            out.mapv_inplace(|v| (v - most).exp());
            let sum = out.sum();
            out.mapv_inplace(|v| v / sum);
        }
        out
    }

    /// Weights and means after one round of expectation and maximisation.
    fn plain_round(&self) -> Outcome {
        let posteriors = self.plain_posteriors();
        let sums = posteriors.sum_axis(Axis(0));
        let means = posteriors.t().dot(&self.x.mapv(f64::from)) / sums.view().insert_axis(Axis(1));
        Outcome::of_f64(sums.iter().map(|s| s / self.x.nrows() as f64).chain(means.iter().copied()))
    }
}

fn mixtures() -> Vec<Kernel> {
    let size = |shape @ (n, d, k): (usize, usize, usize), flops: usize, steps: fn() -> Steps<Mixed>| {
        let work = Work::flops(flops, n * d + n * k);
        Size::new(format!("{n}x{d}x{k}"), work, move || Case::new(Mixed::new(shape), steps()))
    };
    let posteriors: fn() -> Steps<Mixed> = || Steps {
        prepare: nothing,
        run: |s| s.mixture.posteriors_here(s.x.view(), s.posteriors.view_mut()),
        outcome: |s| Outcome::values(&s.posteriors),
        reference: Some(|s| Outcome::of_f64(s.plain_posteriors())),
    };
    let round: fn() -> Steps<Mixed> = || Steps {
        prepare: nothing,
        run: |s| {
            let settings = Gmm {
                components: count(s.weights.len()),
                iterations: 1,
                tolerance: NonNegative::literal(0.0),
                ..Gmm::default()
            };
            let fitted = settings.fit_from(s.x.view(), s.weights.view(), s.means.view(), s.variances.view());
            s.mixture = fitted.expect("rows and a start that fit");
        },
        outcome: |s| Outcome::values(s.mixture.weights().iter().chain(s.mixture.means().iter())),
        reference: Some(Mixed::plain_round),
    };
    let shapes = [(500, 16, 8), (5_000, 64, 64), (20_000, 64, 64)];
    // x · μ/σ² and x² · 1/σ² for the posteriors; the same twice for their sums.
    let one = |shape @ (n, d, k): (usize, usize, usize)| size(shape, 4 * n * d * k, posteriors);
    let both = |shape @ (n, d, k): (usize, usize, usize)| size(shape, 8 * n * d * k, round);
    let near = Tolerance { values: 1e-4, labels: 0.0 };
    vec![
        Kernel::new("unsupervised/posteriors", &["unsupervised::Mixture"], shapes.map(one).into()).within(near),
        Kernel::new("unsupervised/gmm-round", &["unsupervised::Gmm"], shapes.map(both).into()).within(near),
    ]
}

/// Rows (n, d) and p principal components of them.
struct Reduced {
    x: Array2<f32>,
    settings: Reduction,
    reducer: Reducer,
    out: Array2<f32>,
}

impl Reduced {
    fn new((n, d, p): (usize, usize, usize)) -> Self {
        let x = rows(n, d, 20, Seed(9)).0;
        let settings = Reduction::Pca { dimensions: count(p), whiten: true };
        let reducer = settings.fit(x.view()).expect("rows that have components");
        Self { out: Array2::zeros((n, p)), x, settings, reducer }
    }
}

fn reductions() -> Vec<Kernel> {
    let fit: fn() -> Steps<Reduced> = || Steps {
        prepare: nothing,
        run: |s| s.reducer = s.settings.fit(s.x.view()).expect("rows that have components"),
        outcome: |s| {
            // Whitened rows have the covariance 1, whatever the signs.
            let y = s.reducer.apply(s.x.view()).mapv(f64::from);
            Outcome::of_f64(y.t().dot(&y) / (s.x.nrows() - 1) as f64)
        },
        reference: Some(|s| Outcome::of_f64(Array2::<f64>::eye(s.out.ncols()))),
    };
    let apply: fn() -> Steps<Reduced> = || Steps {
        prepare: nothing,
        run: |s| s.reducer.apply_here(s.x.view(), s.out.view_mut()),
        outcome: |s| Outcome::values(&s.out),
        reference: Some(|s| {
            let mean: Vec<f64> = s.reducer.mean().unwrap_or_default().iter().map(|&m| f64::from(m)).collect();
            let matrix = s.reducer.matrix().map(|m| m.mapv(f64::from)).unwrap_or_default();
            Outcome::of_f64((s.x.mapv(f64::from) - Array1::from(mean)).dot(&matrix))
        }),
    };
    let size =
        |shape @ (n, d, _): (usize, usize, usize), flops: usize, numbers: usize, steps: fn() -> Steps<Reduced>| {
            let work = Work::rows(n, flops, n * d + numbers);
            Size::new(format!("{n}x{d}x{}", shape.2), work, move || Case::new(Reduced::new(shape), steps()))
        };
    let shapes = [(300, 32, 8), (5_000, 128, 64), (5_000, 324, 100)];
    let fits = shapes.map(|s @ (n, d, _)| size(s, 2 * n * d * d, 0, fit)).into();
    let applies = shapes.map(|s @ (n, d, p)| size(s, 2 * n * d * p, n * p, apply)).into();
    vec![
        Kernel::new("unsupervised/pca-fit", &["unsupervised::Reduction"], fits).within(Tolerance::ITERATED),
        Kernel::new("unsupervised/reduce", &["unsupervised::Reducer"], applies),
    ]
}

/// Rows (n, d) and their codes.
struct Coded {
    x: Array2<f32>,
    settings: ProductQuantiser,
    quantiser: Quantiser,
    codes: Codes,
    decoded: Array2<f32>,
}

impl Coded {
    fn new((n, d): (usize, usize)) -> Self {
        let x = rows(n, d, 20, Seed(10)).0;
        let settings = ProductQuantiser { iterations: 1, ..ProductQuantiser::default() };
        let quantiser = settings.fit(x.view(), Seed(11)).expect("finite rows");
        Self { codes: quantiser.encode(x.view()), decoded: Array2::zeros((n, d)), x, settings, quantiser }
    }

    fn ids(&self) -> Vec<usize> {
        match &self.codes {
            Codes::Bytes(codes) => codes.iter().map(|&code| usize::from(code)).collect(),
            Codes::Words(codes) => codes.iter().map(|&code| usize::from(code)).collect(),
        }
    }

    /// The nearest centre of every group of every row, in f64.
    fn plain_ids(&self) -> Vec<usize> {
        let (q, mut ids) = (&self.quantiser, Vec::new());
        for row in self.x.outer_iter() {
            for group in 0..q.groups() {
                let first = group * q.group();
                let apart = |centre: ArrayView1<'_, f32>| {
                    let pairs = row.iter().skip(first).zip(centre);
                    pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>()
                };
                let distances = q.centers(group).outer_iter().map(apart).collect::<Vec<_>>().into_iter().enumerate();
                ids.push(distances.fold((0, f64::INFINITY), |best, (i, v)| if v < best.1 { (i, v) } else { best }).0);
            }
        }
        ids
    }

    fn plain_rows(&self) -> Outcome {
        let q = &self.quantiser;
        let ids = self.ids();
        let values = ids.iter().enumerate().flat_map(|(i, &id)| q.centers(i % q.groups()).row(id).to_vec());
        Outcome::Values(values.collect())
    }
}

fn codes() -> Vec<Kernel> {
    let encode: fn() -> Steps<Coded> = || Steps {
        prepare: nothing,
        run: |s| {
            let n = s.x.nrows();
            s.quantiser.encode_into(s.x.view(), s.codes.range_mut(0, n));
        },
        outcome: |s| Outcome::ids(s.ids()),
        reference: Some(|s| Outcome::ids(s.plain_ids())),
    };
    let decode: fn() -> Steps<Coded> = || Steps {
        prepare: nothing,
        run: |s| s.quantiser.decode_into(s.codes.range(0, s.x.nrows()), s.decoded.view_mut()),
        outcome: |s| Outcome::values(&s.decoded),
        reference: Some(Coded::plain_rows),
    };
    let fit: fn() -> Steps<Coded> = || Steps {
        prepare: nothing,
        run: |s| s.quantiser = s.settings.fit(s.x.view(), Seed(11)).expect("finite rows"),
        outcome: |s| Outcome::values(s.quantiser.centers(0)),
        reference: None,
    };
    let size = |(n, d): (usize, usize), flops: usize, steps: fn() -> Steps<Coded>| {
        Size::new(format!("{n}x{d}"), Work::rows(n, flops, n * d), move || Case::new(Coded::new((n, d)), steps()))
    };
    let shapes = [(320, 16), (2_000, 512), (1_000, 4096)];
    // A multiply-add for each of 256 centres.
    let searched = |steps: fn() -> Steps<Coded>| shapes.map(|s @ (n, d)| size(s, 512 * n * d, steps)).into();
    vec![
        Kernel::new("unsupervised/encode", &["unsupervised::Quantiser", "unsupervised::CodesMut"], searched(encode)),
        Kernel::new(
            "unsupervised/decode",
            &["unsupervised::Quantiser", "unsupervised::Codes", "unsupervised::CodesView"],
            shapes.map(|s| size(s, 0, decode)).into(),
        )
        .within(Tolerance::EXACT),
        Kernel::new("unsupervised/quantiser-fit", &["unsupervised::ProductQuantiser"], searched(fit))
            .within(Tolerance::ITERATED),
    ]
}
