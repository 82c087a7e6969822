//! Every kernel at every size under criterion. Before a kernel is timed, its result is compared with the reference.
//!
//! `cargo bench -p bakeoff-benches --bench kernels -- 'features/hog'` times those whose name holds the words.

use bakeoff_benches::kernel::{Case, Unit, Work};
use bakeoff_benches::kernels;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use std::time::{Duration, Instant};

fn throughput(work: Work) -> Throughput {
    let (unit, amount) = work.amount;
    match unit {
        Unit::Bytes => Throughput::Bytes(amount as u64),
        Unit::Images | Unit::Rows | Unit::Flops => Throughput::Elements(amount as u64),
    }
}

/// Seconds of so many calls; what puts inputs back is not among them.
fn calls(case: &mut Case, n: u64) -> Duration {
    let mut time = Duration::ZERO;
    for _ in 0..n {
        case.prepare();
        let start = Instant::now();
        case.run();
        time += start.elapsed();
    }
    time
}

fn every_kernel(c: &mut Criterion) {
    for kernel in kernels::all() {
        let mut group = c.benchmark_group(&kernel.name);
        group.sample_size(10).sampling_mode(SamplingMode::Flat);
        for size in &kernel.sizes {
            // Inputs are made, and results checked, for those alone that the command line asks for.
            let mut made = None;
            group.throughput(throughput(size.work));
            group.bench_function(&size.name, |bench| {
                let case = made.get_or_insert_with(|| {
                    let mut case = (size.make)();
                    let checked = case.check(kernel.tolerance);
                    assert!(checked.is_ok(), "{} at {}: {checked:?}", kernel.name, size.name);
                    case
                });
                bench.iter_custom(|n| calls(case, n));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, every_kernel);
criterion_main!(benches);
