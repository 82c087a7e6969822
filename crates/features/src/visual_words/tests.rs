use super::*;
use crate::local::Patches;
use bakeoff_core::{Images, encode};
use ndarray::Array4;

fn some(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).unwrap()
}

/// Single pixels as descriptors.
fn pixels() -> Local {
    Local::Patches(Patches { side: some(1), normalised: false, ..Patches::default() })
}

fn recipe(k: usize, assign: Assign, norm: Norm) -> VisualWords {
    VisualWords {
        local: pixels(),
        codebook: KMeans { k: some(k), ..KMeans::default() },
        assign,
        norm,
        regions: vec![(some(1), some(1)), (some(1), some(2))],
        ..VisualWords::default()
    }
}

/// Pixels of 0 and 255 only, so the words are exactly 0 and 1 in either order.
fn black_and_white() -> Images {
    Images::new(Array4::from_shape_vec((1, 2, 2, 1), vec![0, 255, 255, 255]).unwrap()).unwrap()
}

fn row(recipe: &VisualWords, images: &Images) -> Vec<f32> {
    encode(&*recipe.fit(images.view(), Seed(0)).unwrap(), images.view()).row(0).to_vec()
}

/// The pair of words of each region in rising order of the first region's counts: dark first.
fn dark_first(values: Vec<f32>) -> Vec<[f32; 2]> {
    let swap = values[0] > values[1];
    values.chunks(2).map(|pair| if swap { [pair[1], pair[0]] } else { [pair[0], pair[1]] }).collect()
}

#[test]
fn hard_words_are_counted_by_region() {
    let count = |norm| dark_first(row(&recipe(2, Assign::Hard, norm), &black_and_white()));
    // The left column has one dark and one bright pixel, the right two bright ones.
    assert_eq!(count(Norm::None), [[1.0, 3.0], [1.0, 1.0], [0.0, 2.0]]);
    assert_eq!(count(Norm::L1), [[0.125, 0.375], [0.125, 0.125], [0.0, 0.25]]);
    assert_eq!(count(Norm::L2), [[0.25, 0.75], [0.25, 0.25], [0.0, 0.5]]);
    let power = count(Norm::Power);
    assert!((power[0][1] - (3.0f32 / 8.0).sqrt()).abs() < 1e-6, "{power:?}");
}

#[test]
fn triangles_worked_by_hand() {
    // Distances to the words are 0 and 1, their mean ½: ½ to the pixel's own word.
    let found = dark_first(row(&recipe(2, Assign::Triangle, Norm::None), &black_and_white()));
    assert_eq!(found, [[0.5, 1.5], [0.5, 0.5], [0.0, 1.0]]);
}

#[test]
fn soft_shares_are_a_gaussian_of_the_distance() {
    // Words from the pixels 0, 0, 102, 255, 255 by starting from any: in one dimension with k = 2 and Lloyd's rounds
    // the words are 0.133… = (0 + 0 + 0.4)/3 and 1, whichever the seed.
    let images = Images::new(Array4::from_shape_vec((1, 1, 5, 1), vec![0, 0, 102, 255, 255]).unwrap()).unwrap();
    let soft = VisualWords {
        regions: vec![(some(1), some(1))],
        softness: Positive::literal(2.0),
        ..recipe(2, Assign::Soft, Norm::None)
    };
    let found = dark_first(row(&soft, &images).into_iter().collect());
    let words = [0.4f64 / 3.0, 1.0];
    let rows = [0.0, 0.0, 0.4, 1.0, 1.0];
    let square = |x: f64, word: usize| (x - words[word]).powi(2);
    let spread = rows.iter().map(|&x| square(x, 0).min(square(x, 1))).sum::<f64>() / 5.0;
    let weight = |x: f64, word: usize| (-square(x, word) / (2.0 * 2.0 * spread)).exp();
    let share = |word: usize| rows.iter().map(|&x| weight(x, word) / (weight(x, 0) + weight(x, 1))).sum::<f64>();
    let mut expected = [share(0), share(1)];
    expected.sort_by(f64::total_cmp);
    for (found, expected) in found[0].iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
    }
    // With one neighbour soft is hard.
    let one = VisualWords { neighbors: some(1), ..soft.clone() };
    let hard = VisualWords { assign: Assign::Hard, ..soft };
    assert_eq!(row(&one, &images), row(&hard, &images));
}

fn speckled(n: usize, channels: usize) -> Images {
    let byte = |(i, y, x, c): (usize, usize, usize, usize)| {
        ((i * 31 + y * y * 7 + x * 13 + c * 29 + y * x % 11 * 5) % 256) as u8
    };
    Images::new(Array4::from_shape_fn((n, 20, 17, channels), byte)).unwrap()
}

/// The definition as obvious loops in f64, from the same words.
fn plain(
    recipe: &VisualWords,
    rows: &Array2<f32>,
    words: &Array2<f32>,
    places: &[(f32, f32)],
    sharpness: f64,
) -> Vec<f64> {
    let k = words.nrows();
    let n_regions: usize = recipe.regions.iter().map(|(a, b)| a.get() * b.get()).sum();
    let mut out = vec![0.0; n_regions * k];
    for (x, &(py, px)) in rows.outer_iter().zip(places) {
        let squares: Vec<f64> = words
            .outer_iter()
            .map(|c| x.iter().zip(c).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum())
            .collect();
        let least = squares.iter().copied().fold(f64::INFINITY, f64::min);
        let mean = squares.iter().map(|z| z.sqrt()).sum::<f64>() / k as f64;
        let mut order: Vec<usize> = (0..k).collect();
        order.sort_by(|&a, &b| squares[a].total_cmp(&squares[b]));
        let near = &order[..recipe.neighbors.get().min(k)];
        let weight = |j: usize| if near.contains(&j) { (-(squares[j] - least) * sharpness).exp() } else { 0.0 };
        let total: f64 = (0..k).map(weight).sum();
        for j in 0..k {
            let gives = match recipe.assign {
                Assign::Hard => f64::from(u8::from(j == order[0])),
                Assign::Soft => weight(j) / total,
                Assign::Triangle => (mean - squares[j].sqrt()).max(0.0),
            };
            let mut first = 0;
            for (tall, wide) in recipe.regions.iter().map(|(a, b)| (a.get(), b.get())) {
                let region = first + (py * tall as f32) as usize * wide + (px * wide as f32) as usize;
                out[region * k + j] += gives;
                first += tall * wide;
            }
        }
    }
    out
}

#[test]
fn agrees_with_the_plain_loops() {
    let images = speckled(12, 3);
    for assign in [Assign::Hard, Assign::Soft, Assign::Triangle] {
        let settings = VisualWords {
            local: Local::Patches(Patches { side: some(5), step: some(3), ..Patches::default() }),
            reduction: Reduction::Pca { dimensions: some(9), whiten: true },
            place: NonNegative::literal(0.7),
            regions: vec![(some(1), some(1)), (some(3), some(2))],
            ..recipe(21, assign, Norm::None)
        };
        let seed = Seed(4);
        let found = encode(&*settings.fit(images.view(), seed).unwrap(), images.view());
        let (prepared, sample) = Prepared::fit(
            &settings.local,
            &settings.reduction,
            settings.place,
            images.view(),
            settings.sample.get(),
            seed.derive("descriptors"),
        )
        .unwrap();
        let codebook = settings.codebook.fit(sample.view(), seed.derive("words")).unwrap();
        let spread = codebook.inertia(sample.view()) / sample.nrows() as f64;
        let places: Vec<_> = prepared.places().iter().map(|place| (place.y, place.x)).collect();
        for (image, found) in images.view().iter().zip(found.outer_iter()) {
            let mut buffers = Buffers::default();
            let rows = prepared.of(image, &mut buffers).to_owned();
            let words = codebook.centers().to_owned();
            let expected = plain(&settings, &rows, &words, &places, 0.5 / (settings.softness.get() * spread));
            let error = found.iter().zip(&expected).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
            assert!(error < 1e-4, "{assign:?}: {error}");
        }
    }
}

#[test]
fn fewer_descriptors_than_words_are_refused_and_equal_ones_are_not() {
    let images = Images::new(Array4::from_elem((1, 2, 2, 1), 7)).unwrap();
    let fit = |k| recipe(k, Assign::Triangle, Norm::Power).fit(images.view(), Seed(0));
    let reason = fit(5).err().unwrap().to_string();
    assert!(reason.contains("at least 5 rows, found 4"), "{reason}");
    let rows = encode(&*fit(4).unwrap(), images.view());
    assert!(rows.iter().all(|v| v.is_finite()), "{rows}");
    let none = VisualWords { regions: vec![], ..VisualWords::default() }.fit(images.view(), Seed(0));
    assert!(none.err().unwrap().to_string().contains("0 regions"));
}
