//! B6: the chain of the 2011 ImageNet winner, its numbers counted by the code that makes them.
//!
//! The settings are those of the built-in experiment `imagenet-2011`. Descriptors, mixture, Fisher vectors and codes are made
//! at full size for a few images, so every count below is the length of something that exists; what the codes cost in accuracy
//! is measured on `shapes` with a small mixture, where training takes seconds.

use crate::figure::{grouped, number, percent, plain, table};
use crate::learn::{accuracy, count, fitted};
use crate::{Claim, Demonstration, LabError, Page, Part, Setting};
use bakeoff_core::{Dataset, Encoder, Extractor, Images, Recipe, Seed, Splits, argmax_rows, encode};
use bakeoff_datasets::shapes::Shapes;
use bakeoff_features::{Fisher, Local, LocalDescriptors};
use bakeoff_linear::OneVsAll;
use bakeoff_unsupervised::{ProductQuantiser, Quantiser};
use maud::{Markup, html};
use ndarray::{Array2, Array4};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

pub(crate) const DEMONSTRATION: Demonstration = Demonstration {
    name: "imagenet-2011",
    title: "The winner of 2011",
    question: "How did half a million numbers an image fit into memory?",
    lecture: "B6",
    shows_fashion_mnist: false,
    show,
};

const EXPERIMENT: &str = include_str!("../../../reports/imagenet-2011/experiment.toml");

/// Side of the images that are described at full size: mosaics of 4×4 images of `shapes`, with about 10,000 patches each.
const SIDE: usize = 128;
/// Images of ILSVRC 2011's training set, in round figures: for the memory of all rows.
const ALL_IMAGES: usize = 1_200_000;

#[derive(Debug, Serialize)]
struct Measured {
    image_side: usize,
    systems: Vec<System>,
    /// Bytes of the rows of 1.2 million images, both systems, as floats and as codes.
    bytes_of_all_as_floats: usize,
    bytes_of_all_as_codes: usize,
    trial: Trial,
}

/// One of the two systems at full size.
#[derive(Debug, Serialize)]
struct System {
    descriptor: &'static str,
    /// Patches of an image, numbers of a patch before and after PCA.
    patches: usize,
    numbers: usize,
    reduced: usize,
    gaussians: usize,
    regions: usize,
    /// Numbers of an image, and how many of them are not 0 in one.
    fisher_numbers: usize,
    not_zero: usize,
    float_bytes: usize,
    groups: usize,
    code_bytes: usize,
    /// The length of the codes that were really made of one image.
    code_length: usize,
}

/// The same chain at a small size on `shapes`.
#[derive(Debug, Serialize)]
struct Trial {
    training_images: usize,
    test_images: usize,
    gaussians: usize,
    fisher_numbers: usize,
    /// (system, accuracy on floats, on codes).
    accuracies: Vec<(&'static str, f64, f64)>,
}

/// A branch of the experiment.
struct Branch {
    name: &'static str,
    fisher: Fisher,
    codes: ProductQuantiser,
    machine: OneVsAll,
}

/// Settings of a recipe, from a table of an experiment with its `kind`.
fn recipe<T: DeserializeOwned>(table: &toml::Value) -> Result<T, LabError> {
    let mut table =
        table.as_table().cloned().ok_or(LabError::Missing { what: "a table of settings in the experiment" })?;
    table.remove("kind");
    Ok(table.try_into()?)
}

/// The two systems as the experiment has them.
fn branches() -> Result<Vec<Branch>, LabError> {
    let experiment: toml::Table = EXPERIMENT.parse()?;
    let branches = experiment.get("pipeline").and_then(|p| p.get(0)).and_then(|p| p.get("branches"));
    let branches =
        branches.and_then(toml::Value::as_array).ok_or(LabError::Missing { what: "branches in the experiment" })?;
    let part = |branch: &toml::Value, key: &str| -> Result<toml::Value, LabError> {
        branch.get(key).cloned().ok_or(LabError::Missing { what: "features, codes or a classifier in a branch" })
    };
    let read = |branch: &toml::Value| -> Result<Branch, LabError> {
        let features = part(branch, "features")?;
        let fisher: Fisher = recipe(features.get(0).ok_or(LabError::Missing { what: "a feature in a branch" })?)?;
        let name = match fisher.local {
            Local::Sift(_) => "SIFT",
            Local::ColorStats(_) => "color statistics",
            Local::Patches(_) => "patches",
        };
        Ok(Branch {
            name,
            codes: recipe(&part(branch, "quantise")?)?,
            machine: recipe(&part(branch, "classifier")?)?,
            fisher,
        })
    };
    branches.iter().map(read).collect()
}

fn show(setting: &Setting<'_>) -> Result<Page, LabError> {
    let seed = setting.seed.derive("imagenet-2011");
    let branches = branches()?;
    let (n_train, n_test) = setting.either((1500, 1000), (500, 300));
    let splits = Shapes::new(n_train.max(64), n_test, seed).load(Path::new(""))?;
    let large = mosaics(splits.train.images(), 4)?;
    let systems: Vec<System> = branches.iter().map(|branch| system(branch, &large, seed)).collect::<Result<_, _>>()?;
    let all = |bytes: fn(&System) -> usize| ALL_IMAGES * systems.iter().map(bytes).sum::<usize>();
    let measured = Measured {
        image_side: SIDE,
        bytes_of_all_as_floats: all(|system| system.float_bytes),
        bytes_of_all_as_codes: all(|system| system.code_bytes),
        systems,
        trial: trial(&branches, &splits, setting.either(16, 8), seed)?,
    };
    let mut page = Page::new(&DEMONSTRATION, &measured)?;
    page.formulas = vec![
        "about 10,000 patches an image → SIFT (128) and color statistics (96) → PCA (64 each)",
        "Fisher vector: G_μ and G_σ of each of K Gaussians in each of R regions: R · 2 · K · 64 numbers",
        "product quantisation: groups of 8 numbers, 2⁸ centres a group: 1 bit a number",
        "one-vs-all SVMs by SGD for each system; the scores of both are averaged",
    ];
    page.parts = vec![
        Part::new("The chain, counted", chain(&measured)),
        Part::new("Memory", memory(&measured)),
        Part::new("What the codes cost", cost(&measured)),
    ];
    page.claims = claims(&measured);
    page.tries = vec![
        "`bakeoff run imagenet-2011 --dataset PATH`: the whole chain on your own photographs.",
        "Halve the Gaussians: the numbers halve, and the accuracy? `components = 512` in a copy of the experiment.",
        "The net that won in 2012 has 60 million weights of 4 bytes. How many images of this chain's floats take as much?",
    ];
    Ok(page)
}

/// `n` images of SIDE×SIDE from 16 small ones each.
fn mosaics(small: &Images, n: usize) -> Result<Images, LabError> {
    let (height, width, channels) = small.shape();
    let from = small.view().pixels();
    let pixels = Array4::from_shape_fn((n, SIDE, SIDE, channels), |(i, y, x, c)| {
        let tile = 16 * i + y / height * (SIDE / width) + x / width;
        from[[tile % small.len(), y % height, x % width, c]]
    });
    Images::new(pixels).map_err(|_| LabError::Missing { what: "pixels of a mosaic" })
}

/// Numbers of one descriptor: those of an image that is one square.
fn numbers_a_patch(local: &Local) -> Result<usize, LabError> {
    let local = at_one_scale(local);
    let tiny =
        Images::new(Array4::zeros((1, 2, 2, 3))).map_err(|_| LabError::Missing { what: "an image with pixels" })?;
    Ok(LocalDescriptors { local }.fit(tiny.view(), Seed(0))?.dim())
}

fn system(branch: &Branch, images: &Images, seed: Seed) -> Result<System, LabError> {
    let Branch { fisher, codes, .. } = branch;
    let name = branch.name;
    let numbers = numbers_a_patch(&fisher.local)?;
    let described = LocalDescriptors { local: fisher.local.clone() }.fit(images.view(), Seed(0))?.dim();
    // Few descriptors and rounds: what is counted does not depend on how well the mixture fits.
    let quick = Fisher { sample: count(6000), iterations: 1, ..fisher.clone() };
    let encoder = quick.fit(images.view(), seed.derive(name))?;
    let rows = encode(&*encoder, images.view());
    let quantiser = codes.fit(rows.view(), seed.derive("codes"))?;
    let coded = quantiser.encode(rows.view());
    Ok(System {
        descriptor: name,
        patches: described / numbers,
        numbers,
        reduced: reduced(&*encoder)?,
        gaussians: fisher.components.get(),
        regions: fisher.regions.iter().map(|(rows, columns)| rows.get() * columns.get()).sum(),
        fisher_numbers: encoder.dim(),
        not_zero: rows.row(0).iter().filter(|v| **v != 0.0).count(),
        float_bytes: size_of_val(rows.row(0).to_vec().as_slice()),
        groups: quantiser.groups(),
        code_bytes: quantiser.row_bytes(),
        code_length: coded.bytes() / coded.rows(),
    })
}

/// Columns of the reduction that an encoder learned.
fn reduced(encoder: &dyn Encoder) -> Result<usize, LabError> {
    let matrix: Array2<f32> = encoder.learned().part("reduction").matrix("matrix", None, None)?;
    Ok(matrix.ncols())
}

/// Both systems with few Gaussians on `shapes`: on floats, on codes, and their scores averaged.
fn trial(branches: &[Branch], splits: &Splits, gaussians: usize, seed: Seed) -> Result<Trial, LabError> {
    let mut accuracies = Vec::new();
    let mut sums: [Option<Array2<f32>>; 2] = [None, None];
    let mut fisher_numbers = 0;
    for Branch { name, fisher, codes, machine } in branches {
        let small = Fisher {
            local: at_one_scale(&fisher.local),
            components: count(gaussians),
            sample: count(20_000),
            ..fisher.clone()
        };
        let encoder = small.fit(splits.train.images().view(), seed.derive(name))?;
        let rows = [&splits.train, &splits.test].map(|part| encode(&*encoder, part.images().view()));
        let quantiser = codes.fit(rows[0].view(), seed.derive("codes"))?;
        let decoded = rows.each_ref().map(|rows| decoded(&quantiser, rows));
        let mut shares = [0.0; 2];
        for (i, [x, x_test]) in [rows, decoded].iter().enumerate() {
            let model = fitted(machine, x, splits.train.labels(), seed.derive("machine"))?;
            shares[i] = accuracy(&*model, x_test, splits.test.labels());
            let scores = model.scores(x_test.view());
            sums[i] = Some(sums[i].take().map_or(scores.clone(), |sum| sum + &scores));
        }
        accuracies.push((*name, shares[0], shares[1]));
        fisher_numbers = encoder.dim();
    }
    let fused = sums.map(|sum| {
        let best = sum.map(|sum| argmax_rows(sum.view()));
        let right = best.iter().flatten().zip(splits.test.labels().ids()).filter(|(a, b)| a == b).count();
        right as f64 / splits.test.len() as f64
    });
    accuracies.push(("both, scores averaged", fused[0], fused[1]));
    Ok(Trial {
        training_images: splits.train.len(),
        test_images: splits.test.len(),
        gaussians,
        fisher_numbers,
        accuracies,
    })
}

/// With the smallest squares alone, the only ones for which images of 32×32 have room.
fn at_one_scale(local: &Local) -> Local {
    match local.clone() {
        Local::Sift(mut sift) => {
            sift.cells.truncate(1);
            Local::Sift(sift)
        }
        Local::ColorStats(mut stats) => {
            stats.cells.truncate(1);
            Local::ColorStats(stats)
        }
        patches @ Local::Patches(_) => patches,
    }
}

/// Rows as their codes have them.
fn decoded(quantiser: &Quantiser, rows: &Array2<f32>) -> Array2<f32> {
    let codes = quantiser.encode(rows.view());
    let mut out = Array2::zeros(rows.dim());
    quantiser.decode_into(codes.range(0, rows.nrows()), out.view_mut());
    out
}

fn claims(m: &Measured) -> Vec<Claim> {
    let expected = |system: &System| system.regions * 2 * system.gaussians * system.reduced;
    let [sift, color] =
        ["SIFT", "color statistics"].map(|name| m.systems.iter().find(|system| system.descriptor == name));
    let sizes = |system: Option<&System>| {
        system.map_or((0, 0, 0), |system| (system.numbers, system.reduced, system.fisher_numbers))
    };
    let ratios: Vec<f64> =
        m.systems.iter().map(|system| system.float_bytes as f64 / system.code_bytes as f64).collect();
    let fused = m.trial.accuracies.last().map_or((0.0, 0.0), |(_, floats, codes)| (*floats, *codes));
    let alone = m.trial.accuracies.iter().take(m.systems.len()).map(|(_, floats, _)| *floats).fold(0.0, f64::max);
    vec![
        Claim::new(
            "SIFT has 128 numbers and color 96, both are reduced to 64, and each system has 524,288 numbers an image (the lecture's \"520K\").",
            sizes(sift) == (128, 64, 524_288)
                && sizes(color) == (96, 64, 524_288)
                && m.systems.iter().all(|system| system.fisher_numbers == expected(system)),
            format!(
                "the extractors make {} numbers a patch, {} after PCA, {} an image of SIFT, and {}, {} and {} of color statistics",
                sizes(sift).0,
                sizes(sift).1,
                grouped(sizes(sift).2),
                sizes(color).0,
                sizes(color).1,
                grouped(sizes(color).2)
            ),
        ),
        Claim::new(
            "There are about 10,000 patches an image.",
            m.systems.iter().all(|system| (8000..13_000).contains(&system.patches)),
            format!(
                "an image of {SIDE}×{SIDE} pixels has {} patches for the two systems",
                m.systems.iter().map(|system| grouped(system.patches)).collect::<Vec<_>>().join(" and ")
            ),
        ),
        Claim::new(
            "Product quantisation at 1 bit a number takes a 32nd of the memory.",
            ratios.iter().all(|ratio| *ratio == 32.0)
                && m.systems.iter().all(|system| system.code_length == system.code_bytes),
            format!(
                "{} bytes an image become {}, and the rows of 1.2 million images in both systems {} instead of {}",
                m.systems.first().map_or_else(String::new, |system| grouped(system.float_bytes)),
                m.systems.first().map_or_else(String::new, |system| grouped(system.code_bytes)),
                bytes(m.bytes_of_all_as_codes),
                bytes(m.bytes_of_all_as_floats)
            ),
        ),
        Claim::new(
            "The codes cost little, and late fusion of both systems beats either.",
            fused.0 - fused.1 < 0.05 && fused.0 > alone,
            format!(
                "on the test images of shapes both systems together are right in {} on floats and in {} on codes, the better one alone in {}",
                percent(fused.0),
                percent(fused.1),
                percent(alone)
            ),
        ),
    ]
}

fn bytes(n: usize) -> String {
    let n = n as f64;
    match n {
        _ if n >= 1e12 => format!("{} TB", number(n / 1e12)),
        _ if n >= 1e9 => format!("{} GB", number(n / 1e9)),
        _ if n >= 1e6 => format!("{} MB", number(n / 1e6)),
        _ => format!("{} kB", number(n / 1e3)),
    }
}

fn chain(m: &Measured) -> Markup {
    let row = |name: &str, cell: &dyn Fn(&System) -> String| {
        let mut cells = vec![name.to_owned()];
        cells.extend(m.systems.iter().map(cell));
        cells
    };
    let rows = [
        row("patches of the image", &|s| grouped(s.patches)),
        row("numbers of a patch", &|s| s.numbers.to_string()),
        row("after PCA", &|s| s.reduced.to_string()),
        row("Gaussians", &|s| grouped(s.gaussians)),
        row("regions", &|s| s.regions.to_string()),
        row("numbers of the Fisher vector", &|s| grouped(s.fisher_numbers)),
        row("of which are not 0 in one image", &|s| grouped(s.not_zero)),
        row("groups of 8 numbers", &|s| grouped(s.groups)),
        row("bytes of their codes", &|s| grouped(s.code_length)),
    ];
    let heads: Vec<&str> = ["an image"].into_iter().chain(m.systems.iter().map(|system| system.descriptor)).collect();
    html! {
        p { "Each number is the length of something that was made of images of " (SIDE) "×" (SIDE) " with the settings of the built-in experiment " code { "imagenet-2011" } "." }
        (table("", &heads, &rows))
    }
}

fn memory(m: &Measured) -> Markup {
    let row = |name: &str, floats: usize, codes: usize| {
        vec![name.to_owned(), bytes(floats), bytes(codes), format!("{}×", plain(floats as f64 / codes as f64))]
    };
    let mut rows: Vec<Vec<String>> = m
        .systems
        .iter()
        .map(|system| row(&format!("an image, {}", system.descriptor), system.float_bytes, system.code_bytes))
        .collect();
    rows.push(row("1.2 million images, both", m.bytes_of_all_as_floats, m.bytes_of_all_as_codes));
    html! {
        (table("", &["rows", "as floats", "as codes", "less"], &rows))
        p.note { "1.2 million images is the size of the training set in round figures; the rows of an image are measured." }
    }
}

fn cost(m: &Measured) -> Markup {
    let row =
        |(name, floats, codes): &(&'static str, f64, f64)| vec![(*name).to_owned(), percent(*floats), percent(*codes)];
    let rows: Vec<Vec<String>> = m.trial.accuracies.iter().map(row).collect();
    html! {
        (table("", &["system", "test accuracy on floats", "on codes"], &rows))
        p.note {
            (grouped(m.trial.training_images)) " training and " (grouped(m.trial.test_images)) " test images of shapes, " (m.trial.gaussians) " Gaussians, so "
            (grouped(m.trial.fisher_numbers)) " numbers an image; " code { (OneVsAll::NAME) } " with the experiment's settings."
        }
    }
}
