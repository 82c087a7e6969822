//! Every extractor of the catalogue, with its default settings, on small and on full-size images. Throughput is images.

use bakeoff_benches::images;
use bakeoff_core::{Seed, encode};
use bakeoff_features::CATALOGUE;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;

fn extractors(c: &mut Criterion) {
    for (n, shape) in [(256, (32, 32, 3)), (256, (28, 28, 1)), (8, (240, 320, 3))] {
        let batch = images(n, shape, Seed(1));
        let mut group = c.benchmark_group(format!("features/{}x{}x{}", shape.0, shape.1, shape.2));
        group.throughput(Throughput::Elements(n as u64));
        for entry in CATALOGUE {
            let encoder = (entry.parse)(&toml::Table::new())
                .expect("defaults are valid")
                .fit(batch.view(), Seed(2))
                .expect("defaults take these images");
            let mut out = Array2::zeros((n, encoder.dim()));
            encoder.encode_into(batch.view(), out.view_mut());
            // The blocks of the parallel path must give the rows of the single call.
            assert_eq!(out, encode(&*encoder, batch.view()), "{}", entry.name);
            group.bench_function(entry.name, |bench| {
                bench.iter(|| encoder.encode_into(batch.view(), out.view_mut()));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, extractors);
criterion_main!(benches);
