use super::*;
use bakeoff_core::{Images, encode};
use ndarray::{Array4, array};

fn mixture() -> Mixture {
    Mixture::of(&[0.25, 0.75], &array![[0.0, 1.0], [2.0, -1.0]], &array![[1.0, 0.5], [0.25, 2.0]]).unwrap()
}

fn descriptors(n: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, 2), |(i, j)| ((i * 37 + j * 11 + i * j) % 29) as f32 * 0.13 - 1.2)
}

/// The formulas as they stand, in f64.
fn plain(x: &Array2<f32>) -> Vec<f64> {
    let mixture = mixture();
    let at = |a: ArrayView2<'_, f32>, k: usize, j: usize| f64::from(a[[k, j]]);
    let density = |row: usize, k: usize| {
        let log = (0..2).map(|j| {
            let (mean, variance) = (at(mixture.means(), k, j), at(mixture.variances(), k, j));
            -(f64::from(x[[row, j]]) - mean).powi(2) / (2.0 * variance) - 0.5 * (std::f64::consts::TAU * variance).ln()
        });
        f64::from(mixture.weights()[k]) * log.sum::<f64>().exp()
    };
    let n = x.nrows();
    let mut out = vec![0.0; 8];
    for row in 0..n {
        let all = density(row, 0) + density(row, 1);
        for k in 0..2 {
            let gamma = density(row, k) / all;
            let w = f64::from(mixture.weights()[k]);
            for j in 0..2 {
                let u = (f64::from(x[[row, j]]) - at(mixture.means(), k, j)) / at(mixture.variances(), k, j).sqrt();
                out[k * 2 + j] += gamma * u / (n as f64 * w.sqrt());
                out[4 + k * 2 + j] += gamma * (u * u - 1.0) / (n as f64 * (2.0 * w).sqrt());
            }
        }
    }
    out
}

#[test]
fn products_give_what_the_formulas_give() {
    // On both sides of the blocks that posteriors are made in.
    for n in [1, 3, 255, 256, 257, 600] {
        let x = descriptors(n);
        let fast = fisher_vector(&mixture(), x.view(), false);
        for (fast, plain) in fast.iter().zip(plain(&x)) {
            assert!((f64::from(*fast) - plain).abs() < 1e-5, "{n}: {fast} {plain}");
        }
    }
}

#[test]
fn improved_vectors_are_signed_roots_of_length_1() {
    let x = descriptors(50);
    let (raw, improved) = (fisher_vector(&mixture(), x.view(), false), fisher_vector(&mixture(), x.view(), true));
    let length: f32 = improved.iter().map(|v| v * v).sum();
    assert!((length - 1.0).abs() < 1e-5);
    let norm = raw.iter().map(|v| v.abs()).sum::<f32>().sqrt();
    for (raw, improved) in raw.iter().zip(&improved) {
        assert!((raw.signum() * raw.abs().sqrt() / norm - improved).abs() < 1e-6);
    }
    let mut nothing = [0.0f32; 3];
    improve(&mut nothing, 1.0);
    assert_eq!(nothing, [0.0; 3]);
}

fn images(n: usize) -> Images {
    Images::new(Array4::from_shape_fn((n, 24, 20, 3), |(i, y, x, c)| {
        ((i * 31 + y * (7 + i % 5) + x * 13 + c * 50 + (x * y * (i + 1)) % 37) % 256) as u8
    }))
    .unwrap()
}

fn settings() -> Fisher {
    let some = |v| NonZeroUsize::new(v).unwrap();
    let reduction = Reduction::Pca { dimensions: some(6), whiten: false };
    Fisher {
        reduction,
        components: some(4),
        regions: vec![(some(1), some(1)), (some(3), some(1))],
        ..Fisher::default()
    }
}

#[test]
fn the_whole_image_is_the_sum_of_its_stripes() {
    let images = images(12);
    let encoder = Fisher { improved: false, ..settings() }.fit(images.view(), Seed(1)).unwrap();
    assert_eq!(encoder.dim(), 4 * 2 * 4 * 6);
    let rows = encode(&*encoder, images.view());
    // Stripes of 24 rows hold unequal numbers of places: the whole is their mean by those numbers.
    let plan = settings().local.plan(images.shape()).unwrap();
    let some = |v| NonZeroUsize::new(v).unwrap();
    let stripes = Regions::new(&[(some(3), some(1))]).unwrap();
    let mut counts = [0.0f32; 3];
    plan.places().iter().flat_map(|place| stripes.of(place)).for_each(|stripe| counts[stripe] += 1.0);
    for row in rows.outer_iter() {
        for j in 0..48 {
            let mean = (0..3).map(|i| counts[i] * row[48 * (i + 1) + j]).sum::<f32>() / counts.iter().sum::<f32>();
            assert!((row[j] - mean).abs() < 1e-4 * (1.0 + mean.abs()), "{} {mean}", row[j]);
        }
    }
}

#[test]
fn regions_have_one_length_and_places_are_appended() {
    let images = images(12);
    let placed = Fisher { place: NonNegative::literal(1.0), ..settings() }.fit(images.view(), Seed(1)).unwrap();
    assert_eq!(placed.dim(), 4 * 2 * 4 * 8);
    for row in encode(&*placed, images.view()).outer_iter() {
        // No square's centre lies in the upper third.
        for (region, square) in row.to_vec().chunks(64).zip([0.25, 0.0, 0.25, 0.25]) {
            let found: f32 = region.iter().map(|v| v * v).sum();
            assert!((found - square).abs() < 1e-4, "{found}");
        }
    }
}

#[test]
fn few_descriptors_are_told_and_too_many_numbers_refused() {
    let images = images(12);
    let encoder = settings().fit(images.view(), Seed(1)).unwrap();
    assert!(encoder.notes()[0].ends_with("where the 2011 ImageNet winner had about 10000"), "{:?}", encoder.notes());
    let huge = Fisher { components: NonZeroUsize::new(1 << 22).unwrap(), ..settings() };
    assert!(huge.fit(images.view(), Seed(1)).err().unwrap().to_string().contains("fewer components"));
}
