//! B2, B3, B5: what a color histogram, gradient histograms and visual words see of an image, alone and side by side.
//!
//! The classes of `shapes` come in pairs that differ by one stated cue, so accuracy within a pair says whether a feature sees
//! that cue. How robust each is: the classifiers stay as they are, the test images are moved, turned, lit, blurred and covered
//! with noise.

mod change;

use crate::figure::{Chart, Series, bars, grouped, panel, panels, percent, plain, table};
use crate::learn::{Scaled, accuracy, count, fitted, pair_accuracy};
use crate::{Claim, Demonstration, LabError, Page, Part, Setting};
use bakeoff_core::params::NonNegative;
use bakeoff_core::{
    Classifier, Dataset, Encoder, Extractor, Images, ImagesView, Labelled, Model, Seed, Splits, encode,
};
use bakeoff_datasets::shapes::{Cue, Shapes};
use bakeoff_features::hog::{Form, Gamma};
use bakeoff_features::local::Sift;
use bakeoff_features::visual_words::{Assign, Norm};
use bakeoff_features::{ColorHistogram, Hog, Local, Pixels, VisualWords};
use bakeoff_gallery::{glyphs, picture};
use bakeoff_linear::Svm;
use bakeoff_mlp::Mlp;
use bakeoff_report::plot::Axis;
use bakeoff_report::{Picture, pictures};
use bakeoff_unsupervised::KMeans;
use change::Change;
use maud::{Markup, html};
use ndarray::{Array2, Array4, Axis as Side, concatenate};
use serde::Serialize;
use std::path::Path;

pub(crate) const DEMONSTRATION: Demonstration = Demonstration {
    name: "image-features",
    title: "Image features side by side",
    question: "What does each hand-made feature see, and what does it not?",
    lecture: "B2, B3, B5",
    shows_fashion_mnist: false,
    show,
};

/// Words of the codebook.
const WORDS: usize = 100;
/// (height, width) at which the small image and its glyphs are shown.
const SHOWN: (usize, usize) = (192, 192);

#[derive(Debug, Serialize)]
struct Measured {
    training_images: usize,
    test_images: usize,
    /// Of the plain form of HoG with cells of 8 and 9 directions, for an image of 320×240.
    hog_numbers: usize,
    features: Vec<Seen>,
    robustness: Vec<Robustness>,
}

/// A pipeline: its numbers an image, its accuracy on all ten classes, and within each pair.
#[derive(Debug, Serialize)]
struct Seen {
    name: &'static str,
    numbers: usize,
    accuracy: f64,
    /// (cue, accuracy within the pair that differs by it).
    cues: Vec<(&'static str, f64)>,
}

/// Accuracies of every pipeline under one change.
#[derive(Debug, Serialize)]
struct Robustness {
    change: &'static str,
    unit: &'static str,
    strengths: Vec<f64>,
    /// (pipeline, accuracy at each strength).
    accuracies: Vec<(&'static str, Vec<f64>)>,
}

/// The features, as experiments have them.
fn extractors() -> Vec<(&'static str, Box<dyn Extractor>)> {
    vec![
        ("color histogram", Box::new(ColorHistogram::default())),
        ("HoG", Box::new(hog())),
        ("visual words", Box::new(words())),
        ("pixels", Box::new(Pixels::default())),
    ]
}

/// Without its default square root of intensities, in which blue and yellow have slightly different edges.
fn hog() -> Hog {
    Hog { gamma: Gamma::None, ..Hog::default() }
}

fn words() -> VisualWords {
    VisualWords {
        local: Local::Sift(Sift { step: count(2), ..Sift::default() }),
        sample: count(20_000),
        codebook: KMeans { k: count(WORDS), iterations: 15, ..KMeans::default() },
        assign: Assign::Hard,
        regions: vec![(count(1), count(1))],
        norm: Norm::Power,
        ..VisualWords::default()
    }
}

fn machine() -> Svm {
    Svm { l2: NonNegative::literal(1e-3), ..Svm::default() }
}

/// A pipeline that was fitted: it turns images into scores.
struct Pipeline {
    name: &'static str,
    /// Features side by side.
    parts: Vec<Scaled>,
    numbers: usize,
    model: Box<dyn Model>,
}

impl Pipeline {
    fn rows(&self, images: ImagesView<'_>) -> Array2<f32> {
        let parts: Vec<Array2<f32>> = self.parts.iter().map(|part| part.rows(images)).collect();
        side_by_side(&parts)
    }
}

/// Rows of several features as one.
fn side_by_side(parts: &[Array2<f32>]) -> Array2<f32> {
    let views: Vec<_> = parts.iter().map(Array2::view).collect();
    concatenate(Side(1), &views).expect("all parts have a row an image")
}

/// Fits every pipeline: each feature, the three of the lecture together, and the net on pixels.
fn pipelines(train: &Labelled, epochs: usize, seed: Seed) -> Result<Vec<Pipeline>, LabError> {
    let images = train.images().view();
    let fit = |wanted: &[&str], name: &'static str, classifier: &dyn Classifier| -> Result<Pipeline, LabError> {
        let mut parts = Vec::new();
        let mut rows = Vec::new();
        for (known, extractor) in extractors() {
            if wanted.contains(&known) {
                let (part, x) = Scaled::fit(extractor.fit(images, seed.derive(known))?, images);
                parts.push(part);
                rows.push(x);
            }
        }
        let x = side_by_side(&rows);
        let model = fitted(classifier, &x, train.labels(), seed.derive(name))?;
        Ok(Pipeline { name, parts, numbers: x.ncols(), model })
    };
    let net = Mlp { hidden: vec![count(256)], epochs: count(epochs), ..Mlp::default() };
    Ok(vec![
        fit(&["color histogram"], "color histogram", &machine())?,
        fit(&["HoG"], "HoG", &machine())?,
        fit(&["visual words"], "visual words", &machine())?,
        fit(&["color histogram", "HoG", "visual words"], "all three", &machine())?,
        fit(&["pixels"], "pixels", &machine())?,
        fit(&["pixels"], "net on pixels", &net)?,
    ])
}

fn show(setting: &Setting<'_>) -> Result<Page, LabError> {
    let seed = setting.seed.derive("image-features");
    let (n_train, n_test) = setting.either((4000, 1000), (2500, 600));
    let splits = Shapes::new(n_train, n_test, seed).load(Path::new(""))?;
    let pipelines = pipelines(&splits.train, setting.either(30, 25), seed)?;
    let (whole, scene) = whole_image(&splits)?;
    let measured = Measured {
        training_images: n_train,
        test_images: n_test,
        hog_numbers: whole.dim(),
        features: pipelines.iter().map(|pipeline| seen(pipeline, &splits.test)).collect(),
        robustness: robustness(&pipelines, &splits.test, setting.either(500, 300), seed),
    };
    let mut page = Page::new(&DEMONSTRATION, &measured)?;
    page.formulas = vec![
        "color histogram: the share of pixels in each of 4·4·4 bins of red, green and blue",
        "HoG: per region of 8×8 pixels a histogram of gradient directions, weighted by the gradients' strength",
        "visual words: how many local descriptors belong to each of 100 clusters; all three side by side are one vector",
    ];
    page.parts = vec![
        Part::new("One image", one_image(&splits, &scene, measured.hog_numbers, seed)?),
        Part::new("Which cue each sees", cues(&measured)),
        Part::new("Accuracy against strength", charts(&measured)),
    ];
    page.claims = claims(&measured);
    page.tries = vec![
        "`bakeoff run course-features --dataset cifar-10`: HoG and a hue histogram on photographs, with a linear SVM and with a net of 500.",
        "`bakeoff run ./my-photos`: hand-made features and nets on your own images, a folder a class.",
        "Which two features together would see all five cues? And is there one that no hand-made feature here sees?",
    ];
    Ok(page)
}

fn seen(pipeline: &Pipeline, test: &Labelled) -> Seen {
    let scores = pipeline.model.scores(pipeline.rows(test.images().view()).view());
    let cue = |cue: Cue| (cue.words(), pair_accuracy(scores.view(), test.labels(), cue.pair()));
    let right =
        bakeoff_core::argmax_rows(scores.view()).iter().zip(test.labels().ids()).filter(|(a, b)| a == b).count();
    Seen {
        name: pipeline.name,
        numbers: pipeline.numbers,
        accuracy: right as f64 / test.len() as f64,
        cues: Cue::ALL.map(cue).into(),
    }
}

fn robustness(pipelines: &[Pipeline], test: &Labelled, most: usize, seed: Seed) -> Vec<Robustness> {
    let first: Vec<usize> = (0..test.len().min(most)).collect();
    let test = test.select(&first);
    let of = |change: &Change| {
        let strengths = change.strengths.to_vec();
        let changed: Vec<Images> = strengths
            .iter()
            .map(|strength| change.applied(test.images(), *strength, seed.derive(change.name)))
            .collect();
        let accuracies = pipelines.iter().map(|pipeline| {
            let at =
                changed.iter().map(|images| accuracy(&*pipeline.model, &pipeline.rows(images.view()), test.labels()));
            (pipeline.name, at.collect())
        });
        Robustness { change: change.name, unit: change.unit, accuracies: accuracies.collect(), strengths }
    };
    change::ALL.iter().map(of).collect()
}

impl Measured {
    fn within(&self, name: &str, cue: Cue) -> f64 {
        let feature = self.features.iter().find(|seen| seen.name == name);
        feature
            .and_then(|seen| seen.cues.iter().find(|(words, _)| *words == cue.words()))
            .map_or(0.0, |(_, share)| *share)
    }

    /// Accuracy without a change, and at the strength with this number.
    fn under(&self, name: &str, change: &str, strength: usize) -> (f64, f64) {
        let found = self.robustness.iter().find(|of| of.change == change);
        let line = found.and_then(|of| of.accuracies.iter().find(|(known, _)| *known == name));
        line.map_or((0.0, 0.0), |(_, at)| (at[0], at.get(strength).copied().unwrap_or(0.0)))
    }
}

/// A guess between two classes, with three standard errors of 120 images.
fn guesses(share: f64) -> bool {
    (share - 0.5).abs() < 0.14
}

fn claims(m: &Measured) -> Vec<Claim> {
    let color = |cue| m.within("color histogram", cue);
    let hog = |cue| m.within("HoG", cue);
    let together = Cue::ALL.map(|cue| {
        let best =
            ["color histogram", "HoG", "visual words"].map(|name| m.within(name, cue)).into_iter().fold(0.0, f64::max);
        m.within("all three", cue) - best
    });
    let (hog_still, hog_lit) = m.under("HoG", "brightness", 2);
    let (color_still, color_lit) = m.under("color histogram", "brightness", 2);
    let (_, hog_moved) = m.under("HoG", "shift", 1);
    vec![
        Claim::new(
            "A color histogram ignores texture and position.",
            color(Cue::Color) > 0.95
                && guesses(color(Cue::Texture))
                && guesses(color(Cue::GlobalShape))
                && guesses(color(Cue::LocalParts))
                && guesses(color(Cue::TwoModes)),
            format!(
                "a color histogram tells colors apart in {} of the images, but textures in {}, shapes in {}, parts in {} and modes in {}, where a guess has 50%",
                percent(color(Cue::Color)),
                percent(color(Cue::Texture)),
                percent(color(Cue::GlobalShape)),
                percent(color(Cue::LocalParts)),
                percent(color(Cue::TwoModes))
            ),
        ),
        Claim::new(
            "HoG captures texture and shape, and not color.",
            hog(Cue::Texture) > 0.9 && hog(Cue::GlobalShape) > 0.9 && guesses(hog(Cue::Color)),
            format!(
                "HoG tells textures apart in {} of the images, shapes in {}, and colors in {}",
                percent(hog(Cue::Texture)),
                percent(hog(Cue::GlobalShape)),
                percent(hog(Cue::Color))
            ),
        ),
        Claim::new(
            "A 320×240 image has 10,800 numbers of HoG with 8×8 regions and 9 directions.",
            m.hog_numbers == 10_800,
            format!("the extractor makes {} numbers of an image of 320×240", grouped(m.hog_numbers)),
        ),
        Claim::new(
            "HoG is robust to small changes of light and of position.",
            hog_still - hog_lit < 0.03 && color_still - color_lit > 0.05 && hog_still - hog_moved < 0.1,
            format!(
                "40 levels more light cost HoG {} points of accuracy and the color histogram {}; a shift by one pixel costs HoG {} (it is not robust to everything: a turn by 10° costs it {}, noise of 8 levels {})",
                points(hog_still - hog_lit),
                points(color_still - color_lit),
                points(hog_still - hog_moved),
                points(hog_still - m.under("HoG", "rotation", 1).1),
                points(hog_still - m.under("HoG", "noise", 1).1)
            ),
        ),
        Claim::new(
            "Side by side the three see what each of them sees.",
            together.iter().all(|difference| *difference > -0.08),
            format!(
                "on the cue where all three together do worst beside the best of them, they are {} points behind it, under 8",
                points((-together.iter().copied().fold(f64::INFINITY, f64::min)).max(0.0))
            ),
        ),
    ]
}

/// A difference of accuracies in points.
fn points(difference: f64) -> String {
    // Adding 0 takes the sign off −0.
    format!("{:.1}", (1000.0 * difference).round() / 10.0 + 0.0).replace('-', "−")
}

/// HoG in the lecture's form, fitted to an image of 320×240: an animal of `shapes`, enlarged tenfold.
fn whole_image(splits: &Splits) -> Result<(Box<dyn Encoder>, Images), LabError> {
    const ENLARGED: usize = 10;
    let animal = splits.test.labels().ids().iter().position(|class| *class == 9).unwrap_or(0);
    let images = splits.test.images().view();
    let small = images.pixels();
    // Between the middles of the small pixels values go over in straight lines.
    let at = |place: usize, first: f64, n: usize| {
        let exact = ((place as f64 + 0.5) / ENLARGED as f64 - 0.5 + first).clamp(0.0, n as f64 - 1.0);
        (exact.floor() as usize, (exact.floor() as usize + 1).min(n - 1), exact.fract())
    };
    let pixels = Array4::from_shape_fn((1, 240, 320, 3), |(_, y, x, c)| {
        let ((y0, y1, down), (x0, x1, right)) = (at(y, 4.0, 32), at(x, 0.0, 32));
        let value = |y: usize, x: usize| f64::from(small[[animal, y, x, c]]);
        let upper = value(y0, x0) * (1.0 - right) + value(y0, x1) * right;
        let lower = value(y1, x0) * (1.0 - right) + value(y1, x1) * right;
        (upper * (1.0 - down) + lower * down).round() as u8
    });
    let scene = Images::new(pixels).map_err(|_| LabError::Missing { what: "an image with pixels" })?;
    let encoder = Hog { form: Form::Plain, ..hog() }.fit(scene.view(), Seed(0))?;
    Ok((encoder, scene))
}

/// The image, what each feature makes of it, and the large image with its glyphs.
fn one_image(splits: &Splits, scene: &Images, hog_numbers: usize, seed: Seed) -> Result<Markup, LabError> {
    let images = splits.train.images().view();
    let position = splits.test.labels().ids().iter().position(|class| *class == 2).unwrap_or(0);
    let image = splits.test.images().view().range(position, position + 1);
    let values = |extractor: &dyn Extractor| -> Result<Vec<f64>, LabError> {
        let encoder = extractor.fit(images, seed.derive("one"))?;
        Ok(encode(&*encoder, image).iter().map(|v| f64::from(*v)).collect())
    };
    let class = |id: usize| splits.classes[id].clone();
    let colors = values(&ColorHistogram::default())?;
    let counts = values(&VisualWords { norm: Norm::None, ..words() })?;
    // Pictures of 32×32 are shown as large as the charts beside them.
    let enlarged = |mut picture: Picture| -> Picture {
        picture.size = SHOWN;
        picture.caption.clear();
        picture
    };
    let own = picture(image.image(0), image.shape(), format!("a {} square", class(2)), String::new()).map(enlarged);
    let small: Vec<Picture> = glyphs(&Hog { cell: count(4), ..hog() }, image, &[0], &[class(2)])
        .map_or_else(Vec::new, |gallery| gallery.pictures.into_iter().map(enlarged).collect());
    let large =
        glyphs(&hog(), scene.view(), &[0], &["two-headed animal, 320×240 pixels".to_owned()]).map(|mut gallery| {
            // Glyphs need more room than the small picture under them.
            gallery.pictures.iter_mut().for_each(|picture| {
                picture.size = (240, 320);
                picture.caption.clear();
            });
            gallery.pictures
        });
    let strongest = large.iter().flatten().map(|picture| picture.strokes.len()).sum::<usize>();
    Ok(html! {
        div.panels.pairs {
            (panel("The image", &pictures(&own.into_iter().collect::<Vec<_>>()), &format!("32×32 pixels, of the class {}.", class(2))))
            (panel("Color histogram", &bars(&colors, "shares of 64 colors", "bin of color"), "The share of pixels in each of 64 bins of color: where they are is gone."))
            (panel("HoG", &pictures(&small), "Edges in cells of 4×4 pixels, to be seen; the classifiers below have cells of 8×8."))
            (panel("Visual words", &bars(&counts, "how many descriptors belong to each of 100 words", "word"), &format!("{} descriptors, each counted at its word of {WORDS}.", counts.iter().sum::<f64>())))
        }
        @if let Some(large) = large {
            h3 { "An image of 320×240" }
            (pictures(&large))
            p.note { "30·40 regions of 8×8 pixels with 9 directions each, " (grouped(hog_numbers)) " numbers; the " (strongest) " strongest are drawn as strokes along the edges." }
        }
    })
}

fn cues(m: &Measured) -> Markup {
    let row = |seen: &Seen| {
        let mut cells = vec![seen.name.to_owned(), grouped(seen.numbers)];
        cells.extend(seen.cues.iter().map(|(_, share)| percent(*share)));
        cells.push(percent(seen.accuracy));
        cells
    };
    let rows: Vec<Vec<String>> = m.features.iter().map(row).collect();
    let heads: Vec<&str> =
        ["feature", "numbers"].into_iter().chain(Cue::ALL.map(Cue::words)).chain(["all ten classes"]).collect();
    html! {
        p { "Each pair of classes of shapes differs by one cue. Accuracy within the pair, of classifiers for all ten classes: a guess has 50%." }
        (table("", &heads, &rows))
        p.note { (grouped(m.training_images)) " training and " (grouped(m.test_images)) " test images, " (m.test_images / 5) " of these a pair. A linear SVM on every feature; the net has 256 hidden units." }
    }
}

fn charts(m: &Measured) -> Markup {
    let chart = |of: &Robustness| {
        let line = |(name, at): &(&'static str, Vec<f64>)| {
            Series::marked(*name, of.strengths.iter().copied().zip(at.iter().map(|v| 100.0 * v)).collect())
        };
        Chart {
            finding: String::new(),
            x: Axis::linear(of.strengths.iter().copied()),
            y: Axis::from_to(0.0, 100.0),
            x_title: of.unit,
            y_title: "",
            x_written: &plain,
            y_written: &|v| format!("{v:.0}%"),
            series: of.accuracies.iter().map(line).collect(),
        }
        .panel(of.change)
    };
    let names = m.features.iter().enumerate().map(|(i, seen)| (seen.name, bakeoff_report::plot::Mark(i)));
    html! {
        p { "The classifiers stay as they are; the test images change. Accuracy on all ten classes, where a guess has 10%." }
        (crate::figure::legend(names))
        (panels(&m.robustness.iter().map(chart).collect::<Vec<_>>()))
    }
}
