//! Every extractor of the catalogue, and the kernels behind them that are called on their own.

mod plain;

use super::nothing;
use crate::kernel::{Case, Kernel, Outcome, Size, Steps, Tolerance, Work};
use crate::{images, rows};
use bakeoff_core::{Encoder, Entry, Extractor, Images, ImagesView, Seed, encode};
use bakeoff_features::fisher::fisher_vector;
use bakeoff_features::{CATALOGUE, Hog};
use bakeoff_unsupervised::Mixture;
use ndarray::{Array2, s};

pub(super) fn kernels() -> Vec<Kernel> {
    let learned = |entry: &&Entry<dyn Extractor>| !extractor(entry, Settings::Default).is_deterministic();
    let mut kernels: Vec<Kernel> = CATALOGUE.iter().map(encoding).collect();
    kernels.extend(CATALOGUE.iter().filter(learned).map(fitting));
    kernels.push(variant("features/hog-plain", "hog", "form = 'plain'"));
    kernels.push(variant("features/hog-color-signed", "hog", "signed = true\norientations = 12\ncell = 4"));
    kernels.push(variant("features/color-histogram-hsv", "color-histogram", "space = 'hsv'\ngrid = [2, 2]"));
    kernels.push(variant("features/visual-words-hard", "visual-words", &format!("assign = 'hard'\n{FEW_WORDS}")));
    kernels.push(variant("features/visual-words-soft", "visual-words", &format!("assign = 'soft'\n{FEW_WORDS}")));
    kernels.push(fisher_vectors());
    kernels
}

/// Codebooks that are learned in a moment, for sizes that an instruction counter must get through.
const FEW_WORDS: &str = "sample = 600\ncodebook = { k = 32, iterations = 2 }";
const SMALL: &[(&str, &str)] = &[
    ("visual-words", FEW_WORDS),
    ("kmeans-features", "k = 32\nsamples = 600\niterations = 2"),
    ("random-patches", "k = 32\nsamples = 600"),
    ("fisher", "components = 8\niterations = 2\nsample = 600\nreduction = { kind = 'pca', dimensions = 16 }"),
];
/// Codebooks of the usual size from fewer samples: encoding costs the same.
const MIDDLE: &[(&str, &str)] = &[
    ("visual-words", "sample = 20000\ncodebook = { k = 256, iterations = 2 }"),
    ("kmeans-features", "samples = 20000\niterations = 2"),
    ("random-patches", "samples = 20000"),
    ("fisher", "iterations = 2\nsample = 20000"),
];

/// With which settings an entry is measured; those that [`SMALL`] and [`MIDDLE`] do not name have their defaults.
#[derive(Clone, Copy)]
enum Settings {
    Small,
    Middle,
    Default,
    These(&'static str),
}

fn extractor(entry: &Entry<dyn Extractor>, settings: Settings) -> Box<dyn Extractor> {
    let named = |list: &'static [(&str, &'static str)]| list.iter().find(|(name, _)| *name == entry.name);
    let text = match settings {
        Settings::Small => named(SMALL).map_or("", |(_, text)| text),
        Settings::Middle => named(MIDDLE).map_or("", |(_, text)| text),
        Settings::Default => "",
        Settings::These(text) => text,
    };
    let table = text.parse().expect("settings are TOML");
    (entry.parse)(&table).unwrap_or_else(|problems| panic!("{}: {problems:?}", entry.name))
}

/// Images and what turns them into rows.
struct Encoding {
    extractor: Box<dyn Extractor>,
    encoder: Box<dyn Encoder>,
    images: Images,
    out: Array2<f32>,
}

impl Encoding {
    fn new(entry: &Entry<dyn Extractor>, settings: Settings, n: usize, shape: (usize, usize, usize)) -> Self {
        let (extractor, images) = (extractor(entry, settings), images(n, shape, Seed(1)));
        let encoder = extractor
            .fit(images.view(), Seed(2))
            .unwrap_or_else(|e| panic!("{} does not take {shape:?}: {e}; give it settings in SMALL", entry.name));
        Self { out: Array2::zeros((n, encoder.dim())), extractor, encoder, images }
    }

    /// Every image alone, through an encoder that came back from what was learned: nothing that blocks, threads or
    /// scratch memory do may change a bit.
    fn one_by_one(&self) -> Outcome {
        let restored = self.extractor.restore(self.images.shape(), self.encoder.learned()).expect("what was learned");
        let alone = |image| encode(&*restored, ImagesView::one(image, self.images.shape()));
        Outcome::Values(self.images.view().iter().flat_map(|image| alone(image).into_iter()).collect())
    }
}

/// The reference of an entry: plain loops where its definition is short, else itself, image by image.
fn reference(name: &str) -> fn(&Encoding) -> Outcome {
    match name {
        "pixels" => |s| plain::pixels(s.images.view()),
        "color-histogram" => |s| plain::color_histogram(s.images.view(), 4),
        "hog" => |s| plain::hog(s.images.view(), &Hog::default()),
        _ => Encoding::one_by_one,
    }
}

fn encoding_size(
    entry: &'static Entry<dyn Extractor>,
    settings: Settings,
    n: usize,
    shape: (usize, usize, usize),
    reference: fn(&Encoding) -> Outcome,
) -> Size {
    let (height, width, channels) = shape;
    let work = Work::images(n, n * height * width * channels);
    Size::new(format!("{n}x{height}x{width}x{channels}"), work, move || {
        let steps = Steps {
            prepare: nothing,
            run: |s: &mut Encoding| s.encoder.encode_into(s.images.view(), s.out.view_mut()),
            outcome: |s| Outcome::values(&s.out),
            reference: Some(reference),
        };
        Case::new(Encoding::new(entry, settings, n, shape), steps)
    })
}

fn encoding(entry: &'static Entry<dyn Extractor>) -> Kernel {
    let sizes = vec![
        encoding_size(entry, Settings::Small, 6, (32, 32, 3), reference(entry.name)),
        encoding_size(entry, Settings::Middle, 128, (32, 32, 3), reference(entry.name)),
        encoding_size(entry, Settings::Middle, 128, (28, 28, 1), reference(entry.name)),
        encoding_size(entry, Settings::Middle, 4, (240, 320, 3), Encoding::one_by_one),
    ];
    Kernel::new(format!("features/{}", entry.name), &[], sizes)
}

/// An entry with other settings, which go another way through its kernel.
fn variant(called: &str, name: &str, settings: &str) -> Kernel {
    let entry = CATALOGUE.iter().find(|entry| entry.name == name).expect("an entry of the catalogue");
    // Once a process, for a handful of kernels.
    let settings = Settings::These(Box::leak(settings.to_owned().into_boxed_str()));
    let sizes = [(6, (32, 32, 3)), (128, (32, 32, 3))];
    let size = |(n, shape)| encoding_size(entry, settings, n, shape, Encoding::one_by_one);
    Kernel::new(called, &[], sizes.map(size).into())
}

/// Learning a codebook and what goes before it.
fn fitting(entry: &'static Entry<dyn Extractor>) -> Kernel {
    let size = |settings, n: usize| {
        Size::new(format!("{n}x32x32x3"), Work::images(n, n * 3072), move || {
            let steps = Steps {
                prepare: nothing,
                run: |s: &mut Encoding| {
                    s.encoder = s.extractor.fit(s.images.view(), Seed(2)).expect("images it took before");
                },
                outcome: |s| Outcome::values(&encode(&*s.encoder, s.images.view())),
                reference: None,
            };
            Case::new(Encoding::new(entry, settings, n, (32, 32, 3)), steps)
        })
    };
    let sizes = vec![size(Settings::Small, 6), size(Settings::Middle, 256)];
    Kernel::new(format!("features/{}/fit", entry.name), &[], sizes).within(Tolerance::ITERATED)
}

/// Descriptors (n, d) of one image against a mixture.
struct Gradients {
    mixture: Mixture,
    x: Array2<f32>,
    out: Vec<f32>,
}

fn fisher_vectors() -> Kernel {
    let size = |(n, d, k): (usize, usize, usize)| {
        // x · μ/σ² and x² · 1/σ², then γ x and γ x².
        let work = Work::flops(8 * n * d * k, n * d + 2 * k * d);
        Size::new(format!("{n}x{d}x{k}"), work, move || {
            let x = rows(n, d, 8, Seed(3)).0;
            let means = x.slice(s![..k, ..]).to_owned();
            let mixture = Mixture::of(&vec![1.0 / k as f32; k], &means, &Array2::from_elem((k, d), 4.0));
            let state = Gradients { mixture: mixture.expect("a mixture"), x, out: Vec::new() };
            let steps = Steps {
                prepare: nothing,
                run: |s: &mut Gradients| s.out = fisher_vector(&s.mixture, s.x.view(), false),
                outcome: |s| Outcome::values(&s.out),
                reference: Some(|s| plain::fisher(&s.mixture, s.x.view())),
            };
            Case::new(state, steps)
        })
    };
    let sizes = [(300, 16, 8), (1_000, 64, 64), (10_000, 64, 64)].map(size).into();
    Kernel::new("features/fisher-vector", &["features::fisher::fisher_vector"], sizes)
        .within(Tolerance { values: 1e-4, labels: 0.0 })
}
