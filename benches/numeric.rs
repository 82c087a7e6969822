//! Products, losses, scaling and updates.

use bakeoff_benches::rows;
use bakeoff_core::Seed;
use bakeoff_core::params::{Fraction, NonNegative, Positive};
use bakeoff_numeric::{Loss, Narrow, Scaler, Scaling, Schedule, Sgd, matmul};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;

/// Shapes of training steps, of scoring and of a codebook.
fn products(c: &mut Criterion) {
    let mut group = c.benchmark_group("matmul");
    for (m, p, n) in [(128, 784, 1024), (1024, 1024, 1024), (10_000, 784, 10)] {
        let (a, b) = (rows(m, p, 4, Seed(1)).0, rows(p, n, 4, Seed(2)).0);
        let mut out = Array2::zeros((m, n));
        matmul(a.view(), b.view(), out.view_mut());
        let expected = a.row(m / 2).dot(&b.column(n / 2));
        assert!((out[[m / 2, n / 2]] - expected).abs() < 1e-3 * expected.abs().max(1.0), "the product is wrong");
        group.throughput(Throughput::Elements((2 * m * n * p) as u64));
        group.bench_function(format!("{m}x{p}x{n}"), |bench| {
            bench.iter(|| matmul(a.view(), b.view(), out.view_mut()));
        });
    }
    group.finish();
}

/// Scores of ten classes: Fashion-MNIST's pixels, CIFAR-10's, and HoG with small cells.
fn narrow(c: &mut Criterion) {
    let mut group = c.benchmark_group("narrow");
    for (n, d) in [(4096, 784), (1024, 3072), (2048, 1296)] {
        let (x, w) = (rows(n, d, 4, Seed(1)).0, rows(10, d, 4, Seed(2)).0);
        let mut out = Array2::zeros((10, n));
        let scores = Narrow::new(w.clone(), vec![0.5; 10]);
        scores.scores(x.view(), out.view_mut());
        let expected = x.row(n / 2).dot(&w.row(7)) + 0.5;
        assert!((out[[7, n / 2]] - expected).abs() < 1e-3 * expected.abs().max(1.0), "the scores are wrong");
        group.throughput(Throughput::Elements((2 * n * d * 10) as u64));
        group.bench_function(format!("{n}x{d}x10"), |bench| bench.iter(|| scores.scores(x.view(), out.view_mut())));
    }
    group.finish();
}

fn losses(c: &mut Criterion) {
    let (scores, labels) = rows(10_000, 10, 10, Seed(3));
    let mut group = c.benchmark_group("loss");
    group.throughput(Throughput::Elements(10_000));
    for loss in [Loss::Softmax, Loss::WestonWatkins, Loss::SquaredHinge] {
        let value = loss.into_gradient(scores.clone().view_mut(), labels.as_slice());
        assert!(value.is_finite() && value > 0.0);
        let mut by_class = scores.t().as_standard_layout().into_owned();
        let same = loss.into_gradient_by_class(by_class.view_mut(), labels.as_slice());
        assert!((same - value).abs() < 1e-4 * value, "class by class {same}, row by row {value}");
        group.bench_function(format!("{loss:?} by class"), |bench| {
            bench.iter_batched_ref(
                || scores.t().as_standard_layout().into_owned(),
                |scores| loss.into_gradient_by_class(scores.view_mut(), labels.as_slice()),
                BatchSize::LargeInput,
            );
        });
        group.bench_function(format!("{loss:?}"), |bench| {
            bench.iter_batched_ref(
                || scores.clone(),
                |scores| loss.into_gradient(scores.view_mut(), labels.as_slice()),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn scaling(c: &mut Criterion) {
    let (x, _) = rows(10_000, 324, 10, Seed(4));
    let mut group = c.benchmark_group("scale");
    group.throughput(Throughput::Bytes((x.len() * size_of::<f32>()) as u64));
    group.bench_function("fit", |bench| bench.iter(|| Scaler::fit(Scaling::Standard, x.view())));
    let scaler = Scaler::fit(Scaling::Standard, x.view());
    group.bench_function("apply", |bench| {
        bench.iter_batched_ref(|| x.clone(), |x| scaler.apply(x.view_mut()), BatchSize::LargeInput);
    });
    group.finish();
}

fn update(c: &mut Criterion) {
    let sgd = Sgd {
        learning_rate: Positive::literal(1e-6),
        momentum: Fraction::literal(0.9),
        l2: NonNegative::literal(1e-5),
        l1: NonNegative::literal(0.0),
        schedule: Schedule::Constant,
    };
    let (mut w, gradient) = (vec![0.5f32; 1 << 20], vec![0.1f32; 1 << 20]);
    let mut v = vec![0.0f32; 1 << 20];
    let mut group = c.benchmark_group("update");
    group.throughput(Throughput::Elements(1 << 20));
    group.bench_function("sgd-momentum-1M", |bench| bench.iter(|| sgd.update(&mut w, &mut v, &gradient, 1.0, true)));
    assert!(w.iter().all(|w| w.is_finite()));
    group.finish();
}

criterion_group!(benches, products, narrow, losses, scaling, update);
criterion_main!(benches);
