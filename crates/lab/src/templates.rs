//! A7, C2: a linear classifier has one template a class; the first layer of a net is a bank of templates, and the second
//! recombines them, so that several cover the modes of a class.
//!
//! The class one-headed of `shapes` has two modes, a head on the left or on the right, whose mean is the mean of two-headed.

use crate::figure::{grouped, panel, panels, percent, table};
use crate::learn::{Scaled, accuracy, count, fitted, learned_affines, pair_accuracy};
use crate::{Claim, Demonstration, LabError, Page, Part, Setting};
use bakeoff_core::params::NonNegative;
use bakeoff_core::{Dataset, Extractor, Labelled, Model, Seed, Splits, Tensors};
use bakeoff_datasets::shapes::{Cue, Shapes, TWO_MODE_CLASS};
use bakeoff_features::Pixels;
use bakeoff_gallery::{Learned, learned, picture, shades};
use bakeoff_linear::Softmax;
use bakeoff_mlp::{Affine, Mlp};
use bakeoff_report::{Gallery, Picture, pictures};
use maud::{Markup, html};
use ndarray::Array1;
use serde::Serialize;
use serde_json::json;
use std::ops::Range;
use std::path::Path;

pub(crate) const DEMONSTRATION: Demonstration = Demonstration {
    name: "templates",
    title: "Templates",
    question: "How does a hidden layer hold a class that faces left or right?",
    lecture: "A7, C2",
    shows_fashion_mnist: true,
    show,
};

/// Hidden units.
const UNITS: usize = 256;
/// Units that are shown for each mode.
const SHOWN: usize = 10;

#[derive(Debug, Serialize)]
struct Measured {
    training_images: usize,
    test_images: usize,
    hidden_units: usize,
    linear: Modes,
    net: Modes,
    /// The share of what speaks for a left head that comes from units which speak less than half as much for a right one, and
    /// the other way round.
    left_from_own_units: f64,
    right_from_own_units: f64,
    /// (Σ|c|)² / Σc² of what the units say for the class: how many units speak, if all said as much.
    effective_units: f64,
    /// Units whose template is like the mean image of some class, by a correlation of 0.5 at least.
    interpretable_units: usize,
    fashion_mnist: Option<Clothes>,
}

/// A classifier on the pair of classes with the modes.
#[derive(Debug, Serialize)]
struct Modes {
    accuracy: f64,
    /// One-headed against two-headed.
    pair: f64,
    /// The share of images of each mode that is called one-headed.
    left: f64,
    right: f64,
}

#[derive(Debug, Clone, Serialize)]
struct Clothes {
    training_images: usize,
    test_images: usize,
    linear: f64,
    net: f64,
    effective_units: f64,
}

/// Two classifiers on the same scaled pixels.
struct Both {
    rows: Scaled,
    linear: Box<dyn Model>,
    net: Box<dyn Model>,
}

fn trained(train: &Labelled, epochs: usize, seed: Seed) -> Result<Both, LabError> {
    let encoder = Pixels::default().fit(train.images().view(), seed)?;
    let (rows, x) = Scaled::fit(encoder, train.images().view());
    let net = Mlp { hidden: vec![count(UNITS)], epochs: count(epochs), ..Mlp::default() };
    // A template is the picture of its class only where a penalty keeps it from fitting the noise of single pixels.
    let linear = Softmax { l2: NonNegative::literal(1e-2), ..Softmax::default() };
    Ok(Both {
        rows,
        linear: fitted(&linear, &x, train.labels(), seed.derive("linear"))?,
        net: fitted(&net, &x, train.labels(), seed.derive("net"))?,
    })
}

fn show(setting: &Setting<'_>) -> Result<Page, LabError> {
    let seed = setting.seed.derive("templates");
    let (n_train, n_test) = setting.either((6000, 2000), (3500, 800));
    let splits = Shapes::new(n_train, n_test, seed).load(Path::new(""))?;
    let both = trained(&splits.train, setting.either(30, 25), seed)?;
    let units = Units::new(&*both.net, &both.rows, &splits)?;
    let clothes = setting.fashion_mnist.map(|splits| clothes(splits, setting, seed)).transpose()?;
    let measured = Measured {
        training_images: n_train,
        test_images: n_test,
        hidden_units: UNITS,
        linear: modes(&*both.linear, &both.rows, &splits.test),
        net: modes(&*both.net, &both.rows, &splits.test),
        left_from_own_units: own_share(&units.left, &units.right),
        right_from_own_units: own_share(&units.right, &units.left),
        effective_units: effective(&((&units.left + &units.right) * 0.5)),
        interpretable_units: interpretable(&units.first, &both.rows, &splits)?,
        fashion_mnist: clothes.as_ref().map(|(measured, _)| measured.clone()),
    };
    let mut page = Page::new(&DEMONSTRATION, &measured)?;
    page.formulas = vec![
        "linear: s = W x + b, one row of W a class: its template",
        "two layers: s = W₂ max(0, W₁ x + b₁) + b₂: the rows of W₁ are templates, W₂ says how much each speaks for a class",
        "x are pixels less their mean, over their deviation",
    ];
    page.parts = vec![
        Part::new("One template a class", linear_templates(&both, &splits)),
        Part::new("A bank of templates, recombined", recombined(&measured, &units, &splits)),
        Part::new("On clothes", clothes.map_or_else(without_clothes, |(_, shown)| shown)),
    ];
    page.claims = claims(&measured);
    page.tries = vec![
        "`bakeoff data preview shapes`: look at both kinds of animal. What would a single template for one-headed have to look like?",
        "`bakeoff run cifar-10` and its report: has the linear template of the horse a head at either end?",
        "How few hidden units are enough for both modes? `hidden = [2]` in an experiment file, and then 4, 8, 16.",
    ];
    Ok(page)
}

/// Whether the animal of an image has its head on the left: whether more stands out from the ground in the columns that only
/// a left head reaches than in those that only a right one does.
fn has_left_head(image: &[u8], (height, width, channels): (usize, usize, usize)) -> bool {
    const REACHED: usize = 9;
    let value = |y: usize, x: usize, c: usize| f64::from(image[(y * width + x) * channels + c]);
    // No animal reaches the first line.
    let ground: Vec<f64> =
        (0..channels).map(|c| (0..width).map(|x| value(0, x, c)).sum::<f64>() / width as f64).collect();
    let stands_out = |columns: Range<usize>| -> f64 {
        let pixels = columns.flat_map(|x| (0..height).map(move |y| (y, x)));
        pixels.map(|(y, x)| (0..channels).map(|c| (value(y, x, c) - ground[c]).powi(2)).sum::<f64>()).sum()
    };
    stands_out(0..REACHED) > stands_out(width - REACHED..width)
}

/// Positions of the test images of the class with two modes: with the head on the left, and on the right.
fn by_mode(of: &Labelled) -> [Vec<usize>; 2] {
    let ids = of.labels().as_slice();
    let own: Vec<usize> = (0..of.len()).filter(|i| ids[*i] == TWO_MODE_CLASS).collect();
    let images = of.images().view();
    let (left, right) = own.into_iter().partition(|i| has_left_head(images.image(*i), images.shape()));
    [left, right]
}

fn modes(model: &dyn Model, rows: &Scaled, test: &Labelled) -> Modes {
    let scores = model.scores(rows.rows(test.images().view()).view());
    let (one, two) = Cue::TwoModes.pair();
    let called = |positions: &[usize]| {
        let right = positions.iter().filter(|i| scores[[**i, one]] > scores[[**i, two]]).count();
        right as f64 / positions.len().max(1) as f64
    };
    let [left, right] = by_mode(test);
    let best = bakeoff_core::argmax_rows(scores.view());
    let right_ones = best.iter().zip(test.labels().ids()).filter(|(a, b)| a == b).count();
    Modes {
        accuracy: right_ones as f64 / test.len() as f64,
        pair: pair_accuracy(scores.view(), test.labels(), (one, two)),
        left: called(&left),
        right: called(&right),
    }
}

/// The hidden units, and what each says for one-headed against two-headed on images of each mode, in the mean.
struct Units {
    first: Affine<f32>,
    left: Array1<f64>,
    right: Array1<f64>,
}

impl Units {
    fn new(net: &dyn Model, rows: &Scaled, splits: &Splits) -> Result<Self, LabError> {
        let maps = learned_affines(net, 2)?;
        let (one, two) = Cue::TwoModes.pair();
        let says: Array1<f32> = &maps[1].w.row(one) - &maps[1].w.row(two);
        let mean = |positions: &[usize]| -> Array1<f64> {
            let images = splits.test.images().select(positions);
            let hidden = maps[0].of_rows(rows.rows(images.view()).view()).mapv(|z| z.max(0.0));
            let sum =
                hidden.rows().into_iter().fold(Array1::zeros(UNITS), |sum: Array1<f64>, h| sum + h.mapv(f64::from));
            sum / positions.len().max(1) as f64 * says.mapv(f64::from)
        };
        let [left, right] = by_mode(&splits.test);
        Ok(Self {
            left: mean(&left),
            right: mean(&right),
            first: maps.into_iter().next().ok_or(LabError::Missing { what: "a first layer" })?,
        })
    }
}

/// Units in the order of what they say for the one mode more than for the other.
fn specialists(of: &Array1<f64>, against: &Array1<f64>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..UNITS).collect();
    order.sort_by(|a, b| (of[*b] - against[*b]).total_cmp(&(of[*a] - against[*a])));
    order.truncate(SHOWN);
    order
}

/// The share of what speaks for a mode that units say which say less than half as much for the other.
fn own_share(of: &Array1<f64>, other: &Array1<f64>) -> f64 {
    let all: f64 = of.iter().filter(|c| **c > 0.0).sum();
    let own: f64 = of.iter().zip(other).filter(|(c, d)| **c > 0.0 && **d < **c / 2.0).map(|(c, _)| c).sum();
    own / all.max(1e-12)
}

fn effective(says: &Array1<f64>) -> f64 {
    let (sum, squares) = says.iter().fold((0.0, 0.0), |(sum, squares), c| (sum + c.abs(), squares + c * c));
    sum * sum / f64::max(squares, 1e-12)
}

/// Units whose weights are correlated by 0.5 at least with the mean scaled image of a class, or of a mode.
fn interpretable(first: &Affine<f32>, rows: &Scaled, splits: &Splits) -> Result<usize, LabError> {
    let x = rows.rows(splits.train.images().view());
    let ids = splits.train.labels().as_slice();
    let classes =
        (0..splits.train.labels().n_classes()).map(|class| (0..ids.len()).filter(|i| ids[*i] == class).collect());
    let groups: Vec<Vec<usize>> = classes.chain(by_mode(&splits.train)).collect();
    let means: Vec<Array1<f32>> =
        groups.iter().filter_map(|group| x.select(ndarray::Axis(0), group).mean_axis(ndarray::Axis(0))).collect();
    if means.len() != groups.len() {
        return Err(LabError::Missing { what: "images of every class and mode" });
    }
    let like = |w: ndarray::ArrayView1<'_, f32>| means.iter().any(|mean| correlation(w, mean.view()).abs() >= 0.5);
    Ok(first.w.rows().into_iter().filter(|w| like(*w)).count())
}

fn correlation(a: ndarray::ArrayView1<'_, f32>, b: ndarray::ArrayView1<'_, f32>) -> f64 {
    let centred = |v: ndarray::ArrayView1<'_, f32>| {
        let mean = v.mean().unwrap_or(0.0);
        v.mapv(|v| f64::from(v - mean))
    };
    let (a, b) = (centred(a), centred(b));
    a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt().max(1e-12)
}

fn claims(m: &Measured) -> Vec<Claim> {
    vec![
        Claim::new(
            "One template cannot hold a class with two modes.",
            m.linear.pair < 0.65,
            format!(
                "the linear classifier tells one-headed from two-headed in {} of the images, under 65%; a guess has 50%",
                percent(m.linear.pair)
            ),
        ),
        Claim::new(
            "Several templates, recombined by the second layer, cover both modes.",
            m.net.pair > 0.9 && m.net.left.min(m.net.right) > 0.85,
            format!(
                "the net of two layers tells them apart in {}: of the animals with a head on the left {} are called one-headed, of those with one on the right {}",
                percent(m.net.pair),
                percent(m.net.left),
                percent(m.net.right)
            ),
        ),
        Claim::new(
            "Different units speak for the two modes.",
            m.left_from_own_units > 0.5 && m.right_from_own_units > 0.5,
            format!(
                "in the net, {} of what speaks for a left head comes from units that say less than half as much for a right one, and {} the other way round",
                percent(m.left_from_own_units),
                percent(m.right_from_own_units)
            ),
        ),
        Claim::new(
            "Most templates are not interpretable: the representation is distributed.",
            m.interpretable_units * 2 < m.hidden_units && m.effective_units > 10.0,
            format!(
                "{} of its {} hidden units look like the mean image of a class or mode (a correlation of 0.5 at least), and what speaks for one-headed is spread over as much as {:.0} equal units would be",
                m.interpretable_units, m.hidden_units, m.effective_units
            ),
        ),
    ]
}

/// The galleries of what a classifier on pixels learned: weights of scaled pixels, as the classifier has them. Divided by the
/// deviations they would be weights of raw pixels, but then the few pixels that are nearly always dark outshine all others.
fn galleries(model: &dyn Model, name: &str, shape: (usize, usize, usize), classes: &[String]) -> Vec<Gallery> {
    let settings = json!({"features": [{"kind": "pixels"}]});
    let arrays = Tensors::new().with_part("classifier", model.learned());
    learned(&Learned { pipeline: name, settings: &settings, arrays: &arrays, shape, classes })
}

fn linear_templates(both: &Both, splits: &Splits) -> Markup {
    let shown = galleries(&*both.linear, "softmax", splits.train.images().shape(), &splits.classes);
    html! {
        p { "The weights of each class over the image: light where light pixels speak for it, dark where they speak against it, each picture with a scale of its own. One-headed and two-headed have the same mean image, and their templates show nothing that tells them apart." }
        @for gallery in &shown { (pictures(&gallery.pictures)) }
    }
}

fn recombined(m: &Measured, units: &Units, splits: &Splits) -> Markup {
    let shape = splits.train.images().shape();
    let unit = |i: usize| {
        let weights: Vec<f32> = units.first.w.row(i).to_vec();
        let caption = format!("left {:.2}, right {:.2}", units.left[i], units.right[i]).replace('-', "−");
        picture(&shades(&weights), shape, format!("template of unit {i}"), caption)
    };
    let bank = |order: Vec<usize>| order.into_iter().filter_map(unit).collect::<Vec<Picture>>();
    let examples = by_mode(&splits.test).map(|mode| {
        let images = splits.test.images().view();
        let shown =
            mode.iter().take(4).filter_map(|i| picture(images.image(*i), shape, "an animal".to_owned(), String::new()));
        shown.collect::<Vec<Picture>>()
    });
    let row = |name: &str, of: &Modes| {
        vec![name.to_owned(), percent(of.accuracy), percent(of.pair), percent(of.left), percent(of.right)]
    };
    html! {
        (table(
            "",
            &["classifier", "all ten classes", "one- or two-headed", "left heads found", "right heads found"],
            &[row("linear", &m.linear), row("net of two layers", &m.net)],
        ))
        (panels(&[
            panel("Heads on the left", &pictures(&examples[0]), ""),
            panel("Heads on the right", &pictures(&examples[1]), ""),
        ]))
        h3 { "Units that speak for a left head" }
        (pictures(&bank(specialists(&units.left, &units.right))))
        h3 { "Units that speak for a right head" }
        (pictures(&bank(specialists(&units.right, &units.left))))
        p.note {
            "Under each template: what the unit says for one-headed against two-headed, W₂ times its mean output, on images with the head on the left and on the right. "
            (m.hidden_units) " units in all, " (grouped(m.training_images)) " training and " (grouped(m.test_images)) " test images."
        }
    }
}

/// The same two classifiers on Fashion-MNIST, and their templates.
fn clothes(splits: &Splits, setting: &Setting<'_>, seed: Seed) -> Result<(Clothes, Markup), LabError> {
    let seed = seed.derive("clothes");
    let part = |of: &Labelled, most: usize| of.select(&(0..of.len().min(most)).collect::<Vec<_>>());
    let (train, test) =
        (part(&splits.train, setting.either(20_000, 3000)), part(&splits.test, setting.either(10_000, 1000)));
    let both = trained(&train, setting.either(8, 4), seed)?;
    let x = both.rows.rows(test.images().view());
    let maps = learned_affines(&*both.net, 2)?;
    let hidden = maps[0].of_rows(x.view()).mapv(|z| z.max(0.0));
    let mean: Array1<f64> =
        hidden.mean_axis(ndarray::Axis(0)).map_or_else(|| Array1::zeros(UNITS), |mean| mean.mapv(f64::from));
    let of_class = |class: usize| effective(&(&mean * &maps[1].w.row(class).mapv(f64::from)));
    let counts: Vec<f64> = (0..splits.classes.len()).map(of_class).collect();
    let measured = Clothes {
        training_images: train.len(),
        test_images: test.len(),
        linear: accuracy(&*both.linear, &x, test.labels()),
        net: accuracy(&*both.net, &x, test.labels()),
        effective_units: crate::figure::mean(&counts),
    };
    let shape = train.images().shape();
    let linear = galleries(&*both.linear, "softmax", shape, &splits.classes);
    let net = galleries(&*both.net, "the net", shape, &splits.classes);
    let shown = html! {
        p {
            "Fashion-MNIST, " (grouped(measured.training_images)) " training and " (grouped(measured.test_images)) " test images: the linear classifier is right in "
            (percent(measured.linear)) ", the net in " (percent(measured.net)) ". What speaks for a class is spread over as much as "
            (format!("{:.0}", measured.effective_units)) " equal units of its " (UNITS) " would be: (Σ|c|)² / Σc² of what the units say, the mean over the classes."
        }
        h3 { "One template a class" }
        @for gallery in &linear { (pictures(&gallery.pictures)) }
        h3 { "The first layer of the net" }
        @for gallery in &net { p.note { (gallery.caption) } (pictures(&gallery.pictures)) }
    };
    Ok((measured, shown))
}

fn without_clothes() -> Markup {
    html! { p { "Fashion-MNIST was not at hand when this page was made: " code { "bakeoff data fetch fashion-mnist" } ", or the Debian package " code { "dataset-fashion-mnist" } ", brings it, and this section then shows its templates." } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::{Images, Labels};
    use ndarray::Array4;
    use rand::Rng;

    fn mirrored(image: &[u8], width: usize) -> Vec<u8> {
        image
            .chunks_exact(width * 3)
            .flat_map(|line| line.chunks_exact(3).rev().flatten().copied().collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn a_mirrored_animal_has_its_head_on_the_other_side() {
        let splits = Shapes::new(10, 2000, Seed(3)).load(Path::new("")).unwrap();
        let images = splits.test.images().view();
        let [left, right] = by_mode(&splits.test);
        assert_eq!(left.len() + right.len(), 200);
        // A fair coin: 100 ± 21 at three standard deviations.
        assert!((79..=121).contains(&left.len()), "{}", left.len());
        for i in left {
            assert!(!has_left_head(&mirrored(images.image(i), 32), images.shape()), "image {i}");
        }
    }

    #[test]
    fn a_pixel_that_is_nearly_always_dark_does_not_outshine_the_others() {
        let mut rng = Seed(1).rng();
        // Two classes, light on the left or on the right; the first pixel is lit once, and hardly.
        let pixels = Array4::from_shape_fn((200, 8, 8, 1), |(i, y, x, _)| {
            let is_light = (x < 4) == (i % 2 == 0);
            match (y, x) {
                (0, 0) => u8::from(i == 0),
                _ => rng.gen_range(if is_light { 100..200 } else { 60..160 }),
            }
        });
        let labels = Labels::new((0..200).map(|i| i % 2).collect(), 2).unwrap();
        let train = Labelled::new(Images::new(pixels).unwrap(), labels).unwrap();
        let both = trained(&train, 1, Seed(2)).unwrap();
        for (model, name) in [(&both.linear, "softmax"), (&both.net, "the net")] {
            let shown = galleries(&**model, name, (8, 8, 1), &["left".to_owned(), "right".to_owned()]);
            let shades = image::load_from_memory(&shown[0].pictures[0].png).unwrap().to_luma8().into_raw();
            let grey = shades.iter().filter(|shade| shade.abs_diff(128) < 12).count();
            assert!(shades.len() == 64 && grey < 32, "{name}: {grey} of 64 pixels are grey");
        }
    }

    #[test]
    fn shares_and_counts_of_units() {
        let (left, right) = (Array1::from(vec![4.0, 1.0, -3.0]), Array1::from(vec![0.5, 1.0, 2.0]));
        assert!((own_share(&left, &right) - 0.8).abs() < 1e-12);
        assert!((effective(&Array1::from(vec![2.0; 7])) - 7.0).abs() < 1e-12);
        assert!((effective(&Array1::from(vec![0.0, 5.0, 0.0])) - 1.0).abs() < 1e-12);
        let of = |v: &[f32]| Array1::from(v.to_vec());
        assert!((correlation(of(&[1.0, 2.0, 3.0]).view(), of(&[-1.0, -2.0, -3.0]).view()) + 1.0).abs() < 1e-6);
    }
}
