//! Every classifier of the catalogues, with its default settings: fitting and scoring. Throughput is rows.

use bakeoff_benches::rows;
use bakeoff_core::{Classifier, Entry, Seed, argmax_rows};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::ops::ControlFlow;

fn catalogues() -> impl Iterator<Item = &'static Entry<dyn Classifier>> {
    bakeoff_linear::CATALOGUE.iter().chain(bakeoff_neighbors::CATALOGUE).chain(bakeoff_mlp::CATALOGUE)
}

fn classifiers(c: &mut Criterion) {
    let (n, d) = (2_000, 324);
    let (x, y) = rows(n, d, 10, Seed(1));
    for entry in catalogues() {
        let classifier = (entry.parse)(&toml::Table::new()).expect("defaults are valid");
        let fit = || classifier.fit(&x, &y, Seed(2), &mut |_| ControlFlow::Continue(())).expect("rows it takes");
        let model = fit().model;
        let predicted = argmax_rows(model.scores(x.view()).view());
        let right = predicted.iter().zip(y.as_slice()).filter(|(a, b)| a == b).count();
        assert!(right > n / 2, "{} learned nothing: {right} of {n}", entry.name);
        let mut group = c.benchmark_group(format!("classifiers/{}", entry.name));
        group.sample_size(10).throughput(Throughput::Elements(n as u64));
        group.bench_function("fit", |bench| bench.iter(&fit));
        group.bench_function("scores", |bench| bench.iter(|| model.scores(x.view())));
        group.bench_function("one-row", |bench| bench.iter(|| model.scores(x.slice(ndarray::s![..1, ..]))));
        group.finish();
    }
}

criterion_group!(benches, classifiers);
criterion_main!(benches);
