//! Every kernel of the classic rooms (`features`, `unsupervised`, `linear`) beside what this machine can do at most, on
//! one thread: `cargo bench -p bakeoff-benches --bench shares [-- WORD…]`, only kernels whose room or name has a word.
//!
//! A kernel whose work is products is told as a share of the multiply-add peak (of products of bytes where the processor has
//! them and the kernel takes them), one that passes over memory as a share of the triad's bandwidth, the others in cycles a pixel.
//! Kernels, peak, bandwidth and clock take turns, because shared machines drift. A kernel's time is the median of its turns; a
//! limit is the greatest value of all turns, as what disturbs its measurement only lowers it, so a disturbed run tells of
//! kernels too little and never too much. The operations are those of the formula: what a kernel leaves out counts as done,
//! what it does besides does not count.

#![expect(clippy::print_stdout, reason = "printing the table is what this program is for")]

use bakeoff_benches::machine::{clock, peak, seconds, triad};
use bakeoff_benches::{images, rows};
use bakeoff_core::params::NonNegative;
use bakeoff_core::{Classifier, Encoder, Extractor, Images, Labels, Seed};
use bakeoff_features::CATALOGUE;
use bakeoff_features::fisher::fisher_vector;
use bakeoff_linear::{Objective, OneVsAll, Source, Svm};
use bakeoff_numeric::{Loss, Packed};
use bakeoff_unsupervised::{Codebook, Gmm, KMeans, ProductQuantiser, Reduction};
use ndarray::{Array1, Array2, Axis, s};
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

/// What a kernel's work is measured by.
enum Work {
    /// Floating-point operations of products.
    Products(f64),
    /// The same, of which bytes do four in the time of one where the processor has such products.
    ProductsOfBytes(f64),
    /// Bytes that pass between memory and the processor at least.
    Bytes(f64),
    /// Pixels.
    Pixels(f64),
}

struct Kernel {
    room: &'static str,
    name: String,
    work: Work,
    run: Box<dyn FnMut() + Send>,
}

impl Kernel {
    fn new(room: &'static str, name: impl Into<String>, work: Work, run: impl FnMut() + Send + 'static) -> Self {
        Self { room, name: name.into(), work, run: Box::new(run) }
    }

    fn has(&self, words: &[String]) -> bool {
        words.is_empty() || words.iter().any(|word| self.room.contains(word) || self.name.contains(word))
    }
}

/// What the machine does at most.
#[derive(Default)]
struct Limits {
    /// GFLOP/s.
    peak: f64,
    /// GB/s.
    bandwidth: f64,
    /// GHz.
    clock: f64,
}

/// Times of f32 multiply-adds that products of bytes are done in: 4 with AVX-512 VNNI, else such a kernel takes f32.
fn times_of_bytes() -> f64 {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx512vnni") {
        return 4.0;
    }
    1.0
}

impl Work {
    /// How it is told for a call that took `seconds`, and the number behind that.
    fn reached(&self, seconds: f64, limits: &Limits) -> f64 {
        match self {
            Self::Products(operations) => operations / seconds / 1e9 / limits.peak,
            Self::ProductsOfBytes(operations) => operations / seconds / 1e9 / limits.peak / times_of_bytes(),
            Self::Bytes(bytes) => bytes / seconds / 1e9 / limits.bandwidth,
            Self::Pixels(pixels) => seconds * limits.clock * 1e9 / pixels,
        }
    }

    fn told(&self, reached: f64) -> String {
        match self {
            Self::Products(_) => format!("{:.0}% of the peak of multiply-adds", 100.0 * reached),
            Self::ProductsOfBytes(_) => format!("{:.0}% of the peak of products of bytes", 100.0 * reached),
            Self::Bytes(_) => format!("{:.0}% of the bandwidth", 100.0 * reached),
            Self::Pixels(_) => format!("{reached:.1} cycles a pixel"),
        }
    }
}

fn some(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).expect("sizes here are above 0")
}

/// An extractor of the catalogue with these settings, fitted on the images.
fn encoder(name: &str, settings: &str, images: &Images) -> Box<dyn Encoder> {
    let entry = CATALOGUE.iter().find(|entry| entry.name == name).expect("an extractor of the catalogue");
    let extractor: Box<dyn Extractor> =
        (entry.parse)(&settings.parse().expect("settings are TOML")).expect("settings are valid");
    extractor.fit(images.view(), Seed(2)).expect("images that it takes")
}

/// Encoding of photographs of 32×32 pixels in color; `work` gets their number and the pixels of all.
fn encoding(n: usize, name: &'static str, settings: &str, work: impl Fn(f64, f64) -> Work) -> Kernel {
    let images = images(n, (32, 32, 3), Seed(1));
    let encoder = encoder(name, settings, &images);
    let mut out = Array2::ones((n, encoder.dim()));
    let work = work(n as f64, (n * 32 * 32) as f64);
    let title = if settings.is_empty() { name.to_owned() } else { format!("{name}, {}", settings.replace('\n', ", ")) };
    Kernel::new("features", title, work, move || encoder.encode_into(images.view(), out.view_mut()))
}

fn features(kernels: &mut Vec<Kernel>) {
    let pixels = |_: f64, pixels: f64| Work::Pixels(pixels);
    kernels.push(encoding(8000, "pixels", "", |_, pixels| Work::Bytes(pixels * 3.0 * (1.0 + 4.0))));
    kernels.push(encoding(1000, "color-histogram", "", pixels));
    kernels.push(encoding(1000, "hog", "", pixels));
    kernels.push(encoding(500, "lbp", "", pixels));
    kernels.push(encoding(300, "local-descriptors", "local = { kind = 'sift', step = 4 }", pixels));
    kernels.push(encoding(300, "local-descriptors", "local = { kind = 'color-stats', step = 4 }", pixels));
    kernels.push(encoding(300, "local-descriptors", "local = { kind = 'patches', step = 4 }", pixels));
    // 27 × 27 patches of 108 numbers are whitened and meet k centres.
    for k in [400.0, 1600.0] {
        let products = move |n: f64, _: f64| Work::Products(2.0 * n * 729.0 * 108.0 * (108.0 + k));
        let settings = format!("k = {k}\nsamples = 20_000\niterations = 1");
        kernels.push(encoding(16, "kmeans-features", &settings, products));
    }
    let products = |n: f64, _: f64| Work::Products(2.0 * n * 729.0 * 108.0 * (108.0 + 400.0));
    kernels.push(encoding(16, "random-patches", "k = 400\nsamples = 20_000", products));
    let settings = "assign = 'hard'\nsample = 20_000\nlocal = { kind = 'sift', step = 2, overhang = 0.0 }\n\
                    codebook = { k = 1024, iterations = 1 }";
    kernels.push(encoding(100, "visual-words", settings, pixels));
    for (k, n) in [(64, 2000), (1024, 2000)] {
        let (x, mixture) = mixture(k, n);
        let products = Work::Products(2.0 * 2.0 * (n * k * 2 * 64) as f64);
        kernels.push(Kernel::new("features", format!("fisher, {n} descriptors of 64, {k} components"), products, {
            move || drop(black_box(fisher_vector(&mixture, x.view(), true)))
        }));
    }
}

/// Rows (n, 64) and a mixture of k components that could have been learned from such.
fn mixture(k: usize, n: usize) -> (Array2<f32>, bakeoff_unsupervised::Mixture) {
    let (x, _) = rows(n, 64, 10, Seed(3));
    let means = rows(k, 64, 10, Seed(4)).0;
    let weights = vec![1.0 / k as f32; k];
    let mixture = bakeoff_unsupervised::Mixture::of(&weights, &means, &Array2::from_elem((k, 64), 1.5));
    (x, mixture.expect("finite parameters"))
}

fn unsupervised(kernels: &mut Vec<Kernel>) {
    const ROOM: &str = "unsupervised";
    for (n, k) in [(20_000, 256), (10_000, 1600)] {
        let (x, _) = rows(n, 108, 40, Seed(5));
        let settings = KMeans { k: some(k), iterations: 5, tolerance: NonNegative::literal(0.0), ..KMeans::default() };
        let start = x.select(Axis(0), &(0..k).map(|i| i * (n / k)).collect::<Vec<_>>());
        let work = Work::ProductsOfBytes(2.0 * (n * k * 108 * 5) as f64);
        kernels.push(Kernel::new(ROOM, format!("k-means, 5 rounds, {n}×108, k = {k}"), work, move || {
            black_box(settings.fit_from(x.view(), start.view(), Seed(0)).expect("finite rows"));
        }));
    }
    let (n, k) = (5000, 1600);
    let (x, _) = rows(n, 108, 40, Seed(5));
    let codebook = Codebook::new(rows(k, 108, 40, Seed(6)).0).expect("finite centres");
    let work = Work::ProductsOfBytes(2.0 * (n * k * 108) as f64);
    kernels.push(Kernel::new(ROOM, format!("nearest centres, {n}×108, k = {k}"), work, move || {
        black_box(codebook.nearest(x.view()));
    }));
    let (n, k) = (10_000, 256);
    let (x, _) = rows(n, 64, 40, Seed(7));
    let gmm = Gmm { components: some(k), iterations: 2, tolerance: NonNegative::literal(0.0), ..Gmm::default() };
    let (weights, means) = (Array1::from_elem(k, 1.0 / k as f32), x.slice(s![..k, ..]).to_owned());
    let variances = Array2::from_elem((k, 64), 2.0);
    let work = Work::Products(2.0 * 2.0 * 2.0 * (n * k * 2 * 64) as f64);
    kernels.push(Kernel::new(ROOM, format!("mixture, 2 rounds, {n}×64, k = {k}"), work, move || {
        let fitted = gmm.fit_from(x.view(), weights.view(), means.view(), variances.view());
        black_box(fitted.expect("finite rows"));
    }));
    reductions(kernels);
    codes(kernels);
}

fn reductions(kernels: &mut Vec<Kernel>) {
    let (n, d) = (20_000, 128);
    let (x, _) = rows(n, d, 40, Seed(8));
    let pca = Reduction::Pca { dimensions: some(64), whiten: false };
    let reducer = pca.fit(x.view()).expect("finite rows");
    let work = Work::Products(2.0 * (n * d * d) as f64);
    let rows = x.clone();
    kernels.push(Kernel::new("unsupervised", format!("pca, learned from {n}×{d} in f64"), work, move || {
        black_box(pca.fit(rows.view()).expect("finite rows"));
    }));
    let mut out = Array2::zeros((n, 64));
    let work = Work::Products(2.0 * (n * d * 64) as f64);
    kernels.push(Kernel::new("unsupervised", format!("pca, {n}×{d} to 64"), work, move || {
        reducer.apply_here(x.view(), out.view_mut());
    }));
}

fn codes(kernels: &mut Vec<Kernel>) {
    const ROOM: &str = "unsupervised";
    let (n, d) = (512, 16_384);
    let (x, _) = rows(n, d, 10, Seed(9));
    let settings = ProductQuantiser { iterations: 3, ..ProductQuantiser::default() };
    let quantiser = settings.fit(x.view(), Seed(1)).expect("finite rows");
    let codes = quantiser.encode(x.view());
    let products = 2.0 * (n * 256 * d) as f64;
    let (rows, learned) = (x.clone(), quantiser.clone());
    kernels.push(Kernel::new(ROOM, format!("product quantiser, 3 rounds, {n}×{d}"), Work::Products(3.0 * products), {
        move || drop(black_box(settings.fit(rows.view(), Seed(1)).expect("finite rows")))
    }));
    kernels.push(Kernel::new(ROOM, format!("codes of 8 numbers, {n}×{d}"), Work::Products(products), move || {
        black_box(learned.encode(x.view()));
    }));
    let mut out = Array2::ones((n, d));
    let bytes = Work::Bytes((n * d) as f64 * (4.0 + 1.0 / 8.0));
    kernels.push(Kernel::new(ROOM, format!("codes back to numbers, {n}×{d}"), bytes, move || {
        quantiser.decode_into(codes.range(0, n), out.view_mut());
    }));
}

fn learned(classifier: &dyn Classifier, x: &Array2<f32>, y: &Labels) -> Box<dyn bakeoff_core::Model> {
    let fitted = classifier.fit(x, y, Seed(2), &mut |_| ControlFlow::Continue(()));
    fitted.expect("finite rows").model
}

fn linear(kernels: &mut Vec<Kernel>) {
    const ROOM: &str = "linear";
    let (n, d, k) = (4000, 3200, 10);
    let (x, y) = rows(n, d, k, Seed(10));
    let model = learned(&Svm { max_iterations: some(1), ..Svm::default() }, &x, &y);
    let (columns, work) = (x.clone(), Work::Products(2.0 * 2.0 * (n * d * k) as f64));
    kernels.push(Kernel::new(ROOM, format!("loss and gradient of a solver, {n}×{d}, {k} classes"), work, move || {
        let objective = Objective {
            loss: Loss::SquaredHinge,
            l2: 1e-3,
            x: Source::Dense(columns.view()),
            y: y.as_slice(),
            n_classes: k,
        };
        let parameters = vec![0.01; objective.n_parameters()];
        black_box(objective.value_and_gradient(&parameters, &mut vec![0.0; parameters.len()]));
    }));
    let work = Work::Products(2.0 * (n * d * k) as f64);
    kernels.push(Kernel::new(ROOM, format!("scores, {n}×{d}, {k} classes"), work, move || {
        black_box(model.scores(x.view()));
    }));
    // Each step reads 16 rows and writes them side by side, and reads and writes the weights and their mean.
    let (n, d) = (64, 131_072);
    let (x, y) = rows(n, d, k, Seed(11));
    let settings = OneVsAll { epochs: some(2), ..OneVsAll::default() };
    let bytes = Work::Bytes(4.0 * d as f64 * (2.0 * n as f64 / 16.0) * (2.0 * 16.0 + 4.0 * k as f64));
    kernels.push(Kernel::new(ROOM, format!("averaged SGD, 2 epochs, {n}×{d}, {k} classes"), bytes, move || {
        black_box(learned(&settings, &x, &y));
    }));
}

fn numeric(kernels: &mut Vec<Kernel>) {
    let (m, p, n) = (5000, 108, 1600);
    let (left, right) = (rows(m, p, 4, Seed(12)).0, Packed::new(rows(p, n, 4, Seed(13)).0.view()));
    let mut out = Array2::zeros((m, n));
    let work = Work::Products(2.0 * (m * p * n) as f64);
    kernels.push(Kernel::new("numeric", format!("packed product, {m}×{p} by {p}×{n}"), work, move || {
        right.multiply(left.view(), out.view_mut());
    }));
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--test" || argument == "--quick");
    let words: Vec<String> = arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect();
    let turns = if quick { 1 } else { 9 };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    pool.install(|| table(&words, turns));
}

fn table(words: &[String], turns: usize) {
    let mut kernels = Vec::new();
    [numeric, features, unsupervised, linear].iter().for_each(|room| room(&mut kernels));
    kernels.retain(|kernel| kernel.has(words));
    let (b, c, mut a) = (vec![1.5f32; 1 << 24], vec![2.5f32; 1 << 24], vec![0.0f32; 1 << 24]);
    let (mut limits, mut medians) = (Limits::default(), Vec::new());
    for kernel in &mut kernels {
        (kernel.run)();
        let mut times = Vec::new();
        for _ in 0..turns {
            limits.peak = limits.peak.max(peak(1));
            limits.bandwidth = limits.bandwidth.max(triad(&mut a, &b, &c));
            limits.clock = limits.clock.max(clock());
            times.push(seconds(&mut kernel.run));
        }
        medians.push(median(&mut times));
    }
    println!("| room | kernel, one thread | ms | of the machine's limit |\n|---|---|---|---|");
    for (kernel, seconds) in kernels.iter().zip(medians) {
        let reached = kernel.work.reached(seconds, &limits);
        assert!(reached.is_finite() && reached > 0.0, "{} was measured", kernel.name);
        println!("| {} | {} | {:.2} | {} |", kernel.room, kernel.name, 1e3 * seconds, kernel.work.told(reached));
    }
    let Limits { peak, bandwidth, clock } = limits;
    println!("\nOne thread of this machine: {peak:.0} GFLOP/s, {bandwidth:.1} GB/s (triad), {clock:.2} GHz.");
}
