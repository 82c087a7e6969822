use super::*;
use crate::kmeans_features::distances_to;
use crate::random_patches::unit_rows;
use bakeoff_core::{Images, encode};
use ndarray::{Array1, Array4};
use serde::Deserialize;

fn some(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).unwrap()
}

fn settings(side: usize, step: usize, keep: f64) -> Settings {
    Settings {
        side: some(side),
        step: some(step),
        samples: some(usize::MAX),
        epsilon: NonNegative::literal(0.1),
        keep: Positive::literal(keep),
        grid: (some(2), some(2)),
    }
}

#[derive(Deserialize)]
struct Reference {
    images: Vec<Vec<Vec<Vec<u8>>>>,
    words: Vec<usize>,
    triangles: Vec<Vec<f64>>,
    rectified: Vec<Vec<f64>>,
}

impl Reference {
    fn read() -> Self {
        serde_json::from_str(include_str!("../../tests/reference/dictionary.json")).unwrap()
    }

    fn images(&self) -> Images {
        let pixels: Vec<u8> = self.images.iter().flatten().flatten().flatten().copied().collect();
        Images::new(Array4::from_shape_vec((5, 9, 8, 2), pixels).unwrap()).unwrap()
    }
}

fn assert_close(found: &Array2<f32>, expected: &[Vec<f64>], tolerance: f64) {
    assert_eq!(found.nrows(), expected.len());
    for (found, expected) in found.outer_iter().zip(expected) {
        assert_eq!(found.len(), expected.len());
        for (j, (&a, b)) in found.iter().zip(expected).enumerate() {
            assert!((f64::from(a) - b).abs() < tolerance * (1.0 + b.abs()), "{j}: {a} {b}");
        }
    }
}

/// `tests/reference/dictionary.py` whitens with ZCA; that the rotation does not show is part of what is tested.
#[test]
fn activations_are_those_of_numpy() {
    let reference = Reference::read();
    let images = reference.images();
    let next: Vec<usize> = reference.words.iter().map(|word| word + 1).collect();
    let words = |rows: &Array2<f32>| (rows.select(Axis(0), &reference.words) + rows.select(Axis(0), &next)) / 2.0;
    let (whitened, patches) = Whitened::fit(&settings(3, 2, 1.0), 7, images.view(), Seed(0)).unwrap();
    let encoder = DictionaryEncoder::new(whitened, distances_to(words(&patches).view()), Activation::Triangle);
    assert_close(&encode(&encoder, images.view()), &reference.triangles, 2e-5);
    let (whitened, patches) = Whitened::fit(&settings(3, 2, 1.0), 7, images.view(), Seed(0)).unwrap();
    let units = Packed::with_bias(unit_rows(words(&patches)).t(), &[-0.25; 7]);
    let encoder = DictionaryEncoder::new(whitened, units, Activation::Rectifier);
    assert_close(&encode(&encoder, images.view()), &reference.rectified, 2e-5);
}

fn speckled(n: usize, height: usize, width: usize, channels: usize) -> Images {
    let pixel = |(i, y, x, c): (usize, usize, usize, usize)| {
        ((i * 31 + y * y * 7 + x * 13 + c * 29 + (y * x) % 11 * 5 + i * y * x) % 256) as u8
    };
    Images::new(Array4::from_shape_fn((n, height, width, channels), pixel)).unwrap()
}

/// One patch's activations in f64 from its pixels, with the matrix and the biases that were learned.
fn plain(pixels: &[f64], whitening: &Packed, centers: &Array2<f32>) -> Array1<f64> {
    let (d, r) = (whitening.inputs(), whitening.outputs());
    let (mut biases, mut matrix) = (Array2::zeros((1, r)), Array2::zeros((d, r)));
    whitening.multiply(Array2::zeros((1, d)).view(), biases.view_mut());
    whitening.multiply(Array2::eye(d).view(), matrix.view_mut());
    let matrix = matrix - &biases;
    let mean = pixels.iter().sum::<f64>() / d as f64;
    let variance = pixels.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / d as f64;
    let normalised: Array1<f64> = pixels.iter().map(|v| (v - mean) / (variance + 10.0).sqrt()).collect();
    let y = normalised.dot(&matrix.mapv(f64::from)) + biases.row(0).mapv(f64::from);
    let distance = |center: ndarray::ArrayView1<'_, f32>| (&y - &center.mapv(f64::from)).mapv(|v| v * v).sum().sqrt();
    let z: Array1<f64> = centers.outer_iter().map(distance).collect();
    let mean = z.mean().unwrap();
    z.mapv(|z| (mean - z).max(0.0))
}

/// Words on both sides of whole panels and several tiles, patches that do not fill groups of six, a share kept.
#[test]
fn tiles_give_what_plain_loops_give() {
    for (k, side, keep, (height, width, channels)) in
        [(70, 2, 0.9, (9, 8, 3)), (5, 4, 1.0, (16, 11, 1)), (32, 1, 1.0, (4, 3, 3))]
    {
        let images = speckled(12, height, width, channels);
        let (whitened, patches) = Whitened::fit(&settings(side, 1, keep), k, images.view(), Seed(0)).unwrap();
        // Not the patches themselves: of a distance of 0 the square root of rounding is left.
        let centers = patches.slice(s![..k, ..]).mapv(|v| 0.5 * v);
        let d = side * side * channels;
        assert!(patches.ncols() <= d && (keep < 1.0) == (patches.ncols() < d), "{} of {d} components", patches.ncols());
        let mut expected = vec![vec![0.0; 4 * k]; 12];
        for (image, expected) in images.view().iter().zip(&mut expected) {
            for (y, x) in (0..=height - side).flat_map(|y| (0..=width - side).map(move |x| (y, x))) {
                let at =
                    |i: usize| ((y + i / channels / side) * width + x + i / channels % side) * channels + i % channels;
                let pixels: Vec<f64> = (0..d).map(|i| f64::from(image[at(i)])).collect();
                let field = usize::from(2 * y + side >= height) * 2 + usize::from(2 * x + side >= width);
                let activations = plain(&pixels, &whitened.whitening, &centers);
                expected[field * k..][..k].iter_mut().zip(&activations).for_each(|(sum, a)| *sum += a);
            }
        }
        let encoder = DictionaryEncoder::new(whitened, distances_to(centers.view()), Activation::Triangle);
        assert_close(&encode(&encoder, images.view()), &expected, 2e-5);
    }
}

#[test]
fn a_share_of_the_whitened_variance_is_kept() {
    // Whitened with ε = 1: ¾, ½, ½, 0; the sum is 1.75.
    let values = [3.0, 1.0, 1.0, 0.0];
    assert_eq!([0.1, 0.42, 0.44, 0.72, 0.99].map(|keep| kept(&values, 1.0, keep)), [1, 1, 2, 3, 3]);
    assert_eq!((kept(&values, 1.0, 1.0), kept(&[0.0], 0.0, 0.5)), (4, 1));
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let images = speckled(2, 5, 9, 1);
    let reason = |side, k| Whitened::fit(&settings(side, 1, 1.0), k, images.view(), Seed(0)).err().unwrap().to_string();
    assert!(reason(6, 2).contains("6×6 pixels do not fit into images of 5×9"), "{}", reason(6, 2));
    assert!(reason(5, 11).contains("10 training patches, 11 words"), "{}", reason(5, 11));
    assert!(reason(5, 1 << 24).contains("fewer words"), "{}", reason(5, 1 << 24));
}
