//! Against scikit-learn, numpy and faiss: `tests/reference/references.py` made the values.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::params::{NonNegative, Positive};
use bakeoff_core::seed::Seed;
use bakeoff_unsupervised::{Engine, Gmm, KMeans, Quantiser, Reducer, Reduction};
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use serde_json::Value;
use std::num::NonZeroUsize;

fn reference(name: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("reference/references.json")).unwrap();
    all[name].clone()
}

/// The rows of `references.py`.
fn rows(n: usize, d: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, d), |(i, j)| {
        let coarse = (((i % 7) * (j + 3) * 5) % 11) as f64 - 5.0;
        let fine = ((i * 31 + j * 17 + (i * j) % 13 * 7) % 101) as f64 / 50.5 - 1.0;
        (coarse + fine) as f32
    })
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn count(value: &Value) -> NonZeroUsize {
    NonZeroUsize::new(value.as_u64().unwrap() as usize).unwrap()
}

/// Asserts that values agree within `tolerance`, relative to the greatest expected.
fn assert_near(found: impl IntoIterator<Item = f32>, expected: &[f64], tolerance: f64, what: &str) {
    let found: Vec<f32> = found.into_iter().collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    for (i, (&f, &e)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(f) - e).abs() <= tolerance * scale, "{what}: value {i} is {f}, expected {e}");
    }
}

fn lloyd(case: &Value) -> KMeans {
    KMeans {
        k: count(&case["k"]),
        iterations: case["rounds"].as_u64().unwrap() as usize,
        tolerance: NonNegative::literal(0.0),
        ..KMeans::default()
    }
}

#[test]
fn kmeans_is_scikit_learns_from_the_same_start() {
    let x = rows(400, 5);
    for case in reference("kmeans").as_array().unwrap().iter().take(3) {
        let k = count(&case["k"]).get();
        let start = x.slice(s![..; 400 / k, ..]);
        let start = start.slice(s![..k, ..]);
        let codebook = lloyd(case).fit_from(x.view(), start, Seed(0)).unwrap();
        assert_near(codebook.centers().iter().copied(), &numbers(&case["centers"]), 1e-6, "centres");
        let inertia = case["inertia"].as_f64().unwrap();
        assert!((codebook.inertia(x.view()) - inertia).abs() < 1e-6 * inertia, "inertia at k = {k}");
        let labels: Vec<u32> = case["labels"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect();
        assert_eq!(codebook.nearest(x.view()), labels, "labels at k = {k}");
    }
}

#[test]
fn empty_clusters_take_the_rows_that_scikit_learns_take() {
    let x = rows(400, 5);
    let case = reference("kmeans")[3].clone();
    let start = numbers(&case["start"]).iter().map(|&v| v as f32).collect();
    let start = Array2::from_shape_vec((8, 5), start).unwrap();
    let codebook = lloyd(&case).fit_from(x.view(), start.view(), Seed(0)).unwrap();
    // scikit-learn hands the farthest rows to empty clusters in no stated order: the sets are compared.
    let sorted = |values: Vec<f64>| {
        let mut rows: Vec<Vec<i64>> =
            values.chunks(5).map(|row| row.iter().map(|v| (v * 1e4).round() as i64).collect()).collect();
        rows.sort();
        rows
    };
    let found = sorted(codebook.centers().iter().map(|&v| f64::from(v)).collect());
    let expected = sorted(numbers(&case["centers"]));
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() <= 1, "{found} {expected}");
    }
}

#[test]
fn linfas_engine_finds_the_same_clusters() {
    let x = rows(400, 5);
    let settings = KMeans { k: NonZeroUsize::new(7).unwrap(), iterations: 100, ..KMeans::default() };
    let start = x.slice(s![..7, ..]);
    let ours = settings.fit_from(x.view(), start, Seed(0)).unwrap();
    let theirs = KMeans { engine: Engine::Linfa, ..settings }.fit_from(x.view(), start, Seed(0)).unwrap();
    assert_eq!(ours.nearest(x.view()), theirs.nearest(x.view()));
    assert!((ours.inertia(x.view()) - theirs.inertia(x.view())).abs() < 1e-3 * ours.inertia(x.view()));
}

#[test]
fn the_mixture_is_scikit_learns_from_the_same_start() {
    let (x, case) = (rows(500, 4), reference("mixture"));
    let k = count(&case["k"]);
    let settings = Gmm {
        components: k,
        iterations: case["rounds"].as_u64().unwrap() as usize,
        tolerance: NonNegative::literal(0.0),
        variance_floor: Positive::literal(1e-9),
        ..Gmm::default()
    };
    let weights = ndarray::Array1::from_elem(k.get(), 1.0 / k.get() as f32);
    let variances = Array2::from_elem((k.get(), 4), 2.0);
    let mixture = settings.fit_from(x.view(), weights.view(), x.slice(s![..k.get(), ..]), variances.view()).unwrap();
    assert_near(mixture.weights().iter().copied(), &numbers(&case["weights"]), 1e-5, "weights");
    assert_near(mixture.means().iter().copied(), &numbers(&case["means"]), 1e-5, "means");
    // Means of about 5 beside variances of about 0.3: their squares in f32 leave five digits.
    assert_near(mixture.variances().iter().copied(), &numbers(&case["variances"]), 5e-5, "variances");
    let likelihood = case["likelihood"].as_f64().unwrap();
    assert!((mixture.mean_log_likelihood(x.view()) - likelihood).abs() < 1e-5 * likelihood.abs());
    let mut posteriors = Array2::zeros((5, k.get()));
    mixture.posteriors_here(x.slice(s![..5, ..]), posteriors.view_mut());
    assert_near(posteriors, &numbers(&case["posteriors"]), 1e-4, "posteriors");
}

fn applied(reduction: Reduction, x: ArrayView2<'_, f32>, rows: usize) -> (Reducer, Array2<f32>) {
    let reducer = reduction.fit(x).unwrap();
    let reduced = reducer.apply(x.slice(s![..rows, ..]));
    (reducer, reduced)
}

#[test]
fn reductions_are_scikit_learns_and_numpys() {
    let (x, case) = (rows(300, 6), reference("reductions"));
    let dimensions = NonZeroUsize::new(3).unwrap();
    let (reducer, plain) = applied(Reduction::Pca { dimensions, whiten: false }, x.view(), 8);
    assert_near(plain, &numbers(&case["pca"]), 1e-6, "pca");
    let variance = reducer.explained_variance().iter().map(|&v| v as f32);
    assert_near(variance, &numbers(&case["variance"]), 1e-6, "explained variance");
    assert!((reducer.explained_share() - case["share"].as_f64().unwrap()).abs() < 1e-6);
    let (_, white) = applied(Reduction::Pca { dimensions, whiten: true }, x.view(), 8);
    assert_near(white, &numbers(&case["white"]), 1e-6, "whitened pca");
    let (_, zca) = applied(Reduction::Zca { epsilon: NonNegative::literal(0.1) }, x.view(), 8);
    assert_near(zca, &numbers(&case["zca"]), 2e-6, "zca");
}

#[test]
fn few_wide_rows_are_reduced_by_their_gram_matrix_as_scikit_learn_does() {
    let (x, case) = (rows(20, 2100), reference("reductions"));
    let reduction = Reduction::Pca { dimensions: NonZeroUsize::new(4).unwrap(), whiten: false };
    let (reducer, wide) = applied(reduction, x.view(), 3);
    let variance = reducer.explained_variance().iter().map(|&v| v as f32);
    assert_near(variance, &numbers(&case["wide_variance"]), 1e-6, "explained variance");
    assert_near(wide, &numbers(&case["wide"]), 1e-5, "components");
}

#[test]
fn codes_are_faisss_for_the_same_centres() {
    let (x, case) = (rows(600, 8), reference("quantiser"));
    let centers = rows(256, 8);
    let halves = [centers.slice(s![.., ..4]).mapv(|v| v * 0.9), centers.slice(s![.., 4..]).mapv(|v| v * 1.1)];
    let quantiser = Quantiser::of(&halves).unwrap();
    let x = x.slice(s![..40, ..]);
    let codes = quantiser.encode(x);
    let bakeoff_unsupervised::Codes::Bytes(found) = &codes else { panic!("256 centres need bytes") };
    let expected: Vec<u8> = numbers(&case["codes"]).iter().map(|&v| v as u8).collect();
    // Centres may repeat: the lowest of equals is found here, any of them there.
    let decoded = |found: &[u8]| -> Vec<f32> {
        let pairs = found.iter().enumerate();
        pairs.flat_map(|(i, &code)| halves[i % 2].row(usize::from(code)).to_vec()).collect()
    };
    assert_near(decoded(found.as_slice().unwrap()), &numbers(&case["decoded"]), 1e-6, "decoded by hand");
    let same = found.iter().zip(&expected).filter(|(a, b)| a == b).count();
    assert!(same >= 78, "{same} of 80 codes agree");
    let mut rows = Array2::zeros((40, 8));
    quantiser.decode_into(codes.range(0, 40), rows.view_mut());
    assert_near(rows, &numbers(&case["decoded"]), 1e-6, "decoded");
}

#[test]
fn the_range_finder_finds_what_the_decomposition_finds() {
    // More rows and columns than the exact method takes, but of rank 5: both must agree with the factors' own spectrum.
    let (n, d) = (2100, 2100);
    let left = rows(n, 5);
    let right = rows(d, 5);
    let x = left.dot(&right.t());
    let reduction = Reduction::Pca { dimensions: NonZeroUsize::new(4).unwrap(), whiten: false };
    let reducer = reduction.fit(x.view()).unwrap();
    // The covariance of L Rᵀ has the eigenvalues of cov(L) RᵀR, found here on 64 columns that span the same rows.
    let few = Reduction::Pca { dimensions: NonZeroUsize::new(4).unwrap(), whiten: false };
    let gram = right.mapv(f64::from).t().dot(&right.mapv(f64::from));
    let root = root_of(&gram);
    let small = left.mapv(f64::from).dot(&root).mapv(|v| v as f32);
    let exact = few.fit(small.view()).unwrap();
    for (found, expected) in reducer.explained_variance().iter().zip(exact.explained_variance()) {
        assert!((found - expected).abs() < 1e-4 * expected, "{found} {expected}");
    }
    let (found, expected) = (reducer.apply(x.slice(s![..9, ..])), exact.apply(small.slice(s![..9, ..])));
    let scale = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    // The sign follows the greatest loading, which lies elsewhere in the two: columns are compared up to it.
    for (found, expected) in found.axis_iter(Axis(1)).zip(expected.axis_iter(Axis(1))) {
        let near = |sign: f32| found.iter().zip(expected).all(|(f, e)| (sign * f - e).abs() < 1e-3 * scale);
        assert!(near(1.0) || near(-1.0), "{found} {expected}");
    }
}

/// The Cholesky factor L of a small positive matrix, L Lᵀ = A.
fn root_of(a: &Array2<f64>) -> Array2<f64> {
    let n = a.nrows();
    let mut l = Array2::zeros((n, n));
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|p| l[[i, p]] * l[[j, p]]).sum();
            l[[i, j]] = if i == j { (a[[i, i]] - sum).sqrt() } else { (a[[i, j]] - sum) / l[[j, j]] };
        }
    }
    l
}

#[test]
fn rows_and_reference_rows_are_the_same() {
    // Two values worked by hand: row 8, column 2: coarse (1·5·5 mod 11) − 5 = −2, fine (248+34+21) mod 101 = 0 → −1.
    let x = concatenate![Axis(0), rows(9, 3)];
    assert_eq!(x[[8, 2]], -3.0);
    assert_eq!(x[[0, 0]], -6.0);
}
