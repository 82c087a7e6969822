//! The machine's limit beside what the products reach: multiply-add peak and memory bandwidth, measured in turn with
//! the kernels in one run, because shared machines drift. Prints medians of alternated repeats.

#![expect(clippy::print_stdout, reason = "printing the table is what this program is for")]

use bakeoff_benches::machine::{peak, seconds, triad};
use bakeoff_benches::rows;
use bakeoff_core::Seed;
use bakeoff_numeric::matmul;
use ndarray::Array2;

/// GFLOP/s of one product through the wrapper, checked in a few places against the plain sum.
fn product(a: &Array2<f32>, b: &Array2<f32>, c: &mut Array2<f32>) -> f64 {
    let time = seconds(|| matmul(a.view(), b.view(), c.view_mut()));
    let (m, n) = c.dim();
    for (i, j) in [(0, 0), (m - 1, n - 1), (m / 2, n / 3)] {
        let (mut sum, mut size) = (0.0f64, 0.0f64);
        for (x, y) in a.row(i).iter().zip(b.column(j)) {
            sum += f64::from(x * y);
            size += f64::from(x * y).abs();
        }
        assert!((sum - f64::from(c[[i, j]])).abs() < 1e-5 * size, "the product is wrong at {i}, {j}");
    }
    2.0 * (m * n * a.ncols()) as f64 / time / 1e9
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test" || argument == "--quick");
    let repeats = if quick { 3 } else { 15 };
    let threads = rayon::current_num_threads();
    let (b, c) = (vec![1.5f32; 1 << 25], vec![2.5f32; 1 << 25]);
    let mut a = vec![0.0f32; 1 << 25];
    let mut bandwidth: Vec<f64> = (0..repeats).map(|_| triad(&mut a, &b, &c)).collect();
    println!("memory bandwidth (triad, {threads} threads): {:.1} GB/s", median(&mut bandwidth));
    println!("{:>22} {:>12} {:>12} {:>7}", "product m,p,n", "GFLOP/s", "peak", "share");
    for (m, p, n) in [(1024, 1024, 1024), (256, 784, 1024), (128, 3072, 256), (4096, 1024, 4096), (100_000, 108, 1600)]
    {
        let left = rows(m, p, 4, Seed(1)).0;
        let right = rows(p, n, 4, Seed(2)).0;
        let mut out = Array2::zeros((m, n));
        product(&left, &right, &mut out);
        // Turn by turn, so that a slow second hits both.
        let (mut speeds, mut peaks): (Vec<_>, Vec<_>) =
            (0..repeats).map(|_| (product(&left, &right, &mut out), peak(threads))).unzip();
        let (speed, peak) = (median(&mut speeds), median(&mut peaks));
        println!("{:>22} {speed:>12.1} {peak:>12.1} {:>6.1}%", format!("{m},{p},{n}"), 100.0 * speed / peak);
    }
}
