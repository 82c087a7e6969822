//! B4: patches of training images are clustered into visual words; an image is the histogram of its words.

use crate::figure::{Chart, Series, bars, grouped, number, panel, percent, plain, power, table};
use crate::learn::{Scaled, accuracy, count, fitted, pair_accuracy};
use crate::{Claim, Demonstration, LabError, Page, Part, Setting};
use bakeoff_core::params::NonNegative;
use bakeoff_core::{Dataset, Encoder, Extractor, Images, Model, Seed, Splits, encode};
use bakeoff_datasets::shapes::{Cue, Shapes};
use bakeoff_features::local::Patches;
use bakeoff_features::visual_words::{Assign, Norm};
use bakeoff_features::{Local, Pixels, VisualWords};
use bakeoff_gallery::{picture, shades};
use bakeoff_linear::Svm;
use bakeoff_report::plot::Axis;
use bakeoff_report::{Picture, pictures};
use bakeoff_unsupervised::KMeans;
use maud::{Markup, html};
use ndarray::{Array2, Array4};
use rand::Rng;
use rand::seq::SliceRandom;
use serde::Serialize;
use std::path::Path;

pub(crate) const DEMONSTRATION: Demonstration = Demonstration {
    name: "words",
    title: "A bag of visual words",
    question: "What is left of an image when only its words are counted?",
    lecture: "B4",
    shows_fashion_mnist: false,
    show,
};

/// Side of a patch in pixels.
const SIDE: usize = 8;
/// Words of the codebook that is shown.
const SHOWN: usize = 48;

#[derive(Debug, Serialize)]
struct Measured {
    training_images: usize,
    test_images: usize,
    /// Patches of one image, at every pixel.
    patches: usize,
    /// Sum of the shown image's histogram.
    counted: f64,
    /// By the number of words.
    codebooks: Vec<Size>,
    /// Accuracy within the pair of classes that differ by their parts: words, and a linear classifier on pixels.
    parts_by_words: f64,
    parts_by_pixels: f64,
    shuffle: Shuffle,
}

#[derive(Debug, Serialize)]
struct Size {
    words: usize,
    /// Mean squared distance of a patch to its word.
    distance: f64,
    accuracy: f64,
    parts: f64,
}

/// Test images whose squares of 8×8 pixels have changed places.
#[derive(Debug, Serialize)]
struct Shuffle {
    images: usize,
    /// The greatest difference of a histogram's numbers, and the mean one of pixels, in levels.
    histogram_difference: f64,
    pixel_difference: f64,
}

/// Words of color patches. With a step of the side the patches are the squares of a grid.
fn recipe(words: usize, step: usize, norm: Norm) -> VisualWords {
    VisualWords {
        local: Local::Patches(Patches { side: count(SIDE), step: count(step), ..Patches::default() }),
        sample: count(20_000),
        codebook: KMeans { k: count(words), iterations: 15, ..KMeans::default() },
        assign: Assign::Hard,
        regions: vec![(count(1), count(1))],
        norm,
        ..VisualWords::default()
    }
}

fn show(setting: &Setting<'_>) -> Result<Page, LabError> {
    let seed = setting.seed.derive("words");
    let (n_train, n_test) = setting.either((3000, 1000), (1500, 500));
    let splits = Shapes::new(n_train, n_test, seed).load(Path::new(""))?;
    let shown = recipe(SHOWN, 1, Norm::None).fit(splits.train.images().view(), seed.derive("shown"))?;
    let one = splits.test.labels().ids().iter().position(|class| *class == 6).unwrap_or(0);
    let histogram: Vec<f64> =
        encode(&*shown, splits.test.images().view().range(one, one + 1)).iter().map(|v| f64::from(*v)).collect();
    let codebooks: Vec<Size> = setting
        .either(&[4, 16, 64, 256][..], &[4, 16, 64])
        .iter()
        .map(|words| size(*words, &splits, seed))
        .collect::<Result<_, _>>()?;
    let measured = Measured {
        training_images: n_train,
        test_images: n_test,
        patches: (splits.test.images().shape().0 - SIDE + 1) * (splits.test.images().shape().1 - SIDE + 1),
        counted: histogram.iter().sum(),
        parts_by_words: codebooks.last().map_or(0.0, |size| size.parts),
        codebooks,
        parts_by_pixels: parts_by_pixels(&splits, seed)?,
        shuffle: shuffle(&splits, seed)?,
    };
    let mut page = Page::new(&DEMONSTRATION, &measured)?;
    page.formulas = vec![
        "patches x of training images, each less its mean and over its deviation, are clustered: words c_1, …, c_K",
        "an image becomes h_1, …, h_K, where h_j is the number of its patches whose nearest word is c_j",
    ];
    page.parts = vec![
        Part::new("Patches, a codebook, and an image's words", made(&splits, &*shown, &histogram, one, seed)?),
        Part::new("How many words", sizes(&measured)),
        Part::new("Order does not count", order(&measured, &splits, one, seed)),
    ];
    page.claims = claims(&measured);
    page.tries = vec![
        "`bakeoff run bag-of-words --dataset cifar-10`: words of SIFT descriptors and Fisher vectors on photographs.",
        "`regions = [[1, 1], [2, 2]]` in an experiment file counts the words of each quarter too: some order comes back.",
        "Which words of the codebook are edges, which are corners, which are noise of the ground?",
    ];
    Ok(page)
}

fn machine() -> Svm {
    Svm { l2: NonNegative::literal(1e-3), ..Svm::default() }
}

/// A codebook of so many words, and a linear machine on its histograms.
fn size(words: usize, splits: &Splits, seed: Seed) -> Result<Size, LabError> {
    let encoder = recipe(words, 1, Norm::Power).fit(splits.train.images().view(), seed.derive("size").nth(words))?;
    let distance = distance(&*encoder, splits, seed)?;
    let (scaled, x) = Scaled::fit(encoder, splits.train.images().view());
    let model = fitted(&machine(), &x, splits.train.labels(), seed)?;
    let x = scaled.rows(splits.test.images().view());
    let parts = pair_accuracy(model.scores(x.view()).view(), splits.test.labels(), Cue::LocalParts.pair());
    Ok(Size { words, distance, accuracy: accuracy(&*model, &x, splits.test.labels()), parts })
}

/// Mean squared distance of test patches to the nearest word.
fn distance(encoder: &dyn Encoder, splits: &Splits, seed: Seed) -> Result<f64, LabError> {
    let centers: Array2<f32> = encoder.learned().matrix("words", None, None)?;
    let codebook = bakeoff_unsupervised::Codebook::new(centers)?;
    let patches = normalised_patches(splits.test.images(), 2000, seed.derive("distance"))?;
    Ok(codebook.inertia(patches.view()) / patches.nrows() as f64)
}

/// Random patches of images as the features describe them: the first of each image's, at a place that is drawn.
fn normalised_patches(images: &Images, n: usize, seed: Seed) -> Result<Array2<f32>, LabError> {
    let cut = cut_patches(images, n, seed);
    let whole = Patches { side: count(SIDE), step: count(SIDE), ..Patches::default() };
    let encoder = bakeoff_features::LocalDescriptors { local: Local::Patches(whole) }.fit(cut.view(), seed)?;
    Ok(encode(&*encoder, cut.view()))
}

/// Squares of images at places that are drawn, as images.
fn cut_patches(images: &Images, n: usize, seed: Seed) -> Images {
    let (height, width, channels) = images.shape();
    let mut rng = seed.rng();
    let mut pixels = Array4::zeros((n, SIDE, SIDE, channels));
    let all = images.view().pixels();
    for mut patch in pixels.outer_iter_mut() {
        let (i, y, x) =
            (rng.gen_range(0..images.len()), rng.gen_range(0..=height - SIDE), rng.gen_range(0..=width - SIDE));
        patch.assign(&all.slice(ndarray::s![i, y..y + SIDE, x..x + SIDE, ..]));
    }
    Images::new(pixels).expect("patches have pixels")
}

fn parts_by_pixels(splits: &Splits, seed: Seed) -> Result<f64, LabError> {
    let encoder = Pixels::default().fit(splits.train.images().view(), seed)?;
    let (scaled, x) = Scaled::fit(encoder, splits.train.images().view());
    let model: Box<dyn Model> = fitted(&machine(), &x, splits.train.labels(), seed)?;
    let scores = model.scores(scaled.rows(splits.test.images().view()).view());
    Ok(pair_accuracy(scores.view(), splits.test.labels(), Cue::LocalParts.pair()))
}

/// Histograms of squares on a grid, before and after the squares have changed places.
fn shuffle(splits: &Splits, seed: Seed) -> Result<Shuffle, LabError> {
    let encoder = recipe(SHOWN, SIDE, Norm::None).fit(splits.train.images().view(), seed.derive("grid"))?;
    let images = splits.test.images();
    let shuffled = shuffled(images, seed.derive("order"));
    let (before, after) = (encode(&*encoder, images.view()), encode(&*encoder, shuffled.view()));
    let histogram_difference = (&before - &after).iter().fold(0.0f64, |most, v| most.max(f64::from(v.abs())));
    let bytes = images.view().pixels();
    let differences = bytes.iter().zip(shuffled.view().pixels()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
    Ok(Shuffle { images: images.len(), histogram_difference, pixel_difference: differences / bytes.len() as f64 })
}

fn shuffled(images: &Images, seed: Seed) -> Images {
    let (height, width, _) = images.shape();
    let (rows, columns) = (height / SIDE, width / SIDE);
    let from = images.view().pixels();
    let mut to = from.to_owned();
    for i in 0..images.len() {
        let mut order: Vec<usize> = (0..rows * columns).collect();
        order.shuffle(&mut seed.nth(i).rng());
        for (place, other) in order.into_iter().enumerate() {
            let square = |at: usize| {
                let (y, x) = (at / columns * SIDE, at % columns * SIDE);
                ndarray::s![i, y..y + SIDE, x..x + SIDE, ..]
            };
            to.slice_mut(square(place)).assign(&from.slice(square(other)));
        }
    }
    Images::new(to).expect("as many pixels as before")
}

fn claims(m: &Measured) -> Vec<Claim> {
    let ends = |figure: fn(&Size) -> f64| {
        m.codebooks.first().zip(m.codebooks.last()).map_or((0.0, 0.0), |(a, b)| (figure(a), figure(b)))
    };
    let (near, far) = (ends(|size| size.distance), ends(|size| size.accuracy));
    vec![
        Claim::new(
            "An image is the histogram of its words: every patch is counted once.",
            m.counted == m.patches as f64,
            format!("an image has {} patches of 8×8 pixels, and its histogram counts {}", m.patches, m.counted),
        ),
        Claim::new(
            "The words are driven by the data: more of them describe patches better and tell more classes apart.",
            m.codebooks.windows(2).all(|pair| pair[1].distance < pair[0].distance) && far.1 > far.0 + 0.05,
            format!(
                "from {} to {} words the mean squared distance of a test patch to its word falls from {} to {}, and test accuracy grows from {} to {}",
                m.codebooks.first().map_or(0, |size| size.words),
                m.codebooks.last().map_or(0, |size| size.words),
                number(near.0),
                number(near.1),
                percent(far.0),
                percent(far.1)
            ),
        ),
        Claim::new(
            "Words see local parts wherever they are.",
            m.parts_by_words > 0.85 && m.parts_by_words > m.parts_by_pixels + 0.15,
            format!(
                "pluses and corners in any position are told apart in {} of the images, by a linear classifier on pixels in {}",
                percent(m.parts_by_words),
                percent(m.parts_by_pixels)
            ),
        ),
        Claim::new(
            "Where the words stand is lost.",
            m.shuffle.histogram_difference == 0.0 && m.shuffle.pixel_difference > 5.0,
            format!(
                "with the squares of {} images in another order pixels differ by {} of 255 levels in the mean, histograms of words by {}",
                grouped(m.shuffle.images),
                number(m.shuffle.pixel_difference),
                m.shuffle.histogram_difference
            ),
        ),
    ]
}

/// A word as a picture: shades about grey, since patches are taken less their mean.
fn word(center: &[f32], i: usize) -> Option<Picture> {
    picture(&shades(center), (SIDE, SIDE, 3), format!("word {i}"), format!("{i}"))
}

fn made(splits: &Splits, encoder: &dyn Encoder, histogram: &[f64], one: usize, seed: Seed) -> Result<Markup, LabError> {
    let patches = cut_patches(splits.train.images(), 24, seed.derive("pictures"));
    let patches: Vec<Picture> = patches
        .view()
        .iter()
        .filter_map(|bytes| picture(bytes, (SIDE, SIDE, 3), "a patch".to_owned(), String::new()))
        .collect();
    let centers: Array2<f32> = encoder.learned().matrix("words", None, None)?;
    let rows: Vec<Vec<f32>> = centers.outer_iter().map(|row| row.to_vec()).collect();
    let words: Vec<Picture> = rows.iter().enumerate().filter_map(|(i, row)| word(row, i)).collect();
    let images = splits.test.images().view();
    let image = picture(images.image(one), images.shape(), "five pluses".to_owned(), String::new());
    let mut order: Vec<usize> = (0..histogram.len()).collect();
    order.sort_by(|a, b| histogram[*b].total_cmp(&histogram[*a]));
    let strongest: Vec<Picture> = order
        .iter()
        .take(6)
        .filter_map(|i| Some(Picture { caption: format!("{i}: {} patches", histogram[*i]), ..word(&rows[*i], *i)? }))
        .collect();
    Ok(html! {
        h3 { "Random patches of training images" }
        div.small { (pictures(&patches)) }
        h3 { "The codebook: " (SHOWN) " words" }
        div.small { (pictures(&words)) }
        div.panels {
            (panel("An image", &pictures(&image.into_iter().collect::<Vec<_>>()), "Five pluses, anywhere."))
            (panel("Its histogram", &bars(histogram, "how many patches belong to each word", "word"), &format!("How many of its {} patches, one at every pixel, belong to each word.", histogram.iter().sum::<f64>())))
            (panel("Its most frequent words", &html! { div.small { (pictures(&strongest)) } }, "Much of the image is ground, so words of noise lead."))
        }
    })
}

fn sizes(m: &Measured) -> Markup {
    let line = |name: &str, figure: fn(&Size) -> f64| {
        Series::marked(name, m.codebooks.iter().map(|size| (size.words as f64, 100.0 * figure(size))).collect())
    };
    let row =
        |size: &Size| vec![size.words.to_string(), number(size.distance), percent(size.accuracy), percent(size.parts)];
    let chart = Chart {
        finding: "Test accuracy of a linear SVM on the histograms, against the number of words.".to_owned(),
        x: Axis::log(m.codebooks.iter().map(|size| size.words as f64)),
        y: Axis::from_to(0.0, 100.0),
        x_title: "words",
        y_title: "test accuracy",
        x_written: &power,
        y_written: &|v| format!("{}%", plain(v)),
        series: vec![line("all ten classes", |size| size.accuracy), line("pluses or corners", |size| size.parts)],
    };
    html! {
        (chart.shown())
        (table("", &["words", "squared distance of a patch", "accuracy, ten classes", "pluses or corners"], &m.codebooks.iter().map(row).collect::<Vec<_>>()))
        p.note { (grouped(m.training_images)) " training and " (grouped(m.test_images)) " test images of shapes, patches at every pixel. Distances are those of normalised patches of 192 numbers: the mean over 2,000 test patches." }
    }
}

fn order(m: &Measured, splits: &Splits, one: usize, seed: Seed) -> Markup {
    let images = splits.test.images();
    let moved = shuffled(images, seed.derive("order"));
    let shown = |images: &Images, alt: &str, caption: &str| {
        picture(images.view().image(one), images.shape(), alt.to_owned(), caption.to_owned())
    };
    let both = [
        shown(images, "five pluses", "as it was"),
        shown(&moved, "the same squares in another order", "in another order"),
    ];
    html! {
        (pictures(&both.into_iter().flatten().collect::<Vec<_>>()))
        p {
            "The squares of 8×8 pixels of each test image change places. Pixels differ by " (number(m.shuffle.pixel_difference))
            " of 255 levels in the mean; histograms of the words of these squares differ by " (m.shuffle.histogram_difference) "."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffling_moves_whole_squares() {
        let images =
            Images::new(Array4::from_shape_fn((1, 16, 16, 3), |(_, y, x, _)| (y / 8 * 2 + x / 8) as u8)).unwrap();
        let other = (0..20).map(|i| shuffled(&images, Seed(i))).find(|other| *other != images).unwrap();
        let mut corners: Vec<u8> =
            [(0, 0), (0, 8), (8, 0), (8, 8)].map(|(y, x)| other.view().pixels()[[0, y, x, 0]]).into();
        assert!((0..16).all(|i| other.view().pixels()[[0, i / 2, i % 8, 1]] == corners[0]));
        corners.sort_unstable();
        assert_eq!(corners, [0, 1, 2, 3]);
    }
}
