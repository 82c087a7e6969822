//! The whole catalogue against the contract of extractors, and properties of single features.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../core/tests/suite/settings.rs"]
mod settings;
#[path = "../../core/tests/suite/stored.rs"]
mod stored;

use bakeoff_core::{Concatenated, Encoder, ExtractError, Extractor, Images, Seed, encode};
use bakeoff_features::CATALOGUE;
use ndarray::{Array2, Array4, Axis, concatenate, s};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Settings that take other paths through the code than the defaults.
const VARIANTS: &[(&str, &str)] = &[
    ("pixels", "mean_removed = true"),
    ("color-histogram", "space = 'hsv'\ngrid = [2, 3]"),
    ("color-histogram", "space = 'hue'\nbins = 10"),
    ("color-histogram", "bins = 7\ngrid = [9, 9]"),
    ("hog", "form = 'plain'\ngamma = 'none'"),
    ("hog", "form = 'plain'\ncell = 3\nsigned = true"),
    ("hog", "cell = 4\norientations = 6\nsigned = true\ngaussian = false"),
    ("hog", "cell = 5\ngamma = 'none'\norientations = 1"),
    ("kmeans-features", "k = 33\nside = 3\nkeep = 0.9\niterations = 5"),
    (
        "kmeans-features",
        "k = 3\ninit = 'random-sample'\nside = 1\ngrid = [1, 3]\nstep = 2\nepsilon = 0.0\nsamples = 50",
    ),
    (
        "fisher",
        "components = 3\nreduction = { kind = 'pca', dimensions = 5 }\nregions = [[1, 1], [3, 1]]\nplace = 0.5\n\
         local = { kind = 'sift', cells = [1.0, 2.0], step = 2 }",
    ),
    (
        "fisher",
        "components = 2\nimproved = false\nreduction = { kind = 'none' }\nlocal = { kind = 'color-stats', cells = [1] }",
    ),
    ("random-patches", "k = 40\nside = 5\nthreshold = 1.0\nkeep = 0.5\ngrid = [1, 1]"),
    ("local-descriptors", "[local]\nkind = 'sift'\ncells = [2.5, 6]\nstep = 3\nchannels = 'opponent'\nsmoothing = 0.2"),
    ("lbp", "radius = 2.5\nrotation_invariant = true\ngrid = [3, 2]"),
    ("local-descriptors", "[local]\nkind = 'color-stats'\noverhang = 0.5"),
    ("local-descriptors", "[local]\nkind = 'patches'\nside = 5\nstep = 2"),
    (
        "visual-words",
        "assign = 'hard'\nnorm = 'l1'\nregions = [[1, 1], [3, 1]]\n[local]\nkind = 'patches'\n[codebook]\nk = 9",
    ),
    (
        "visual-words",
        "assign = 'soft'\nplace = 0.5\n[local]\nkind = 'patches'\nside = 3\n[reduction]\nkind = 'zca'\n[codebook]\nk = 3",
    ),
];

struct Case {
    name: String,
    extractor: Box<dyn Extractor>,
}

/// Every entry with its defaults, then the variants.
fn cases() -> Vec<Case> {
    let case = |name: &str, settings: &str| {
        let entry = CATALOGUE.iter().find(|entry| entry.name == name).unwrap();
        let extractor = (entry.parse)(&settings.parse().unwrap()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        Case { name: format!("{name} {settings}"), extractor }
    };
    let defaults = CATALOGUE.iter().map(|entry| case(entry.name, ""));
    defaults.chain(VARIANTS.iter().map(|(name, settings)| case(name, settings))).collect()
}

/// (height, width): smaller than a cell, thinner than a gradient, not divided by any cell, and the usual ones.
const SIZES: [(usize, usize); 9] = [(1, 1), (1, 7), (7, 1), (2, 2), (5, 5), (8, 8), (33, 17), (28, 28), (32, 32)];

fn speckled(n: usize, (height, width): (usize, usize), channels: usize) -> Images {
    let byte = |(i, y, x, c): (usize, usize, usize, usize)| {
        let z = ((i * 57 + y) * 131 + x) * 7 + c + 1;
        (z.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
    };
    Images::new(Array4::from_shape_fn((n, height, width, channels), byte)).unwrap()
}

fn fitted(case: &Case, images: &Images) -> Option<Box<dyn Encoder>> {
    match case.extractor.fit(images.view(), Seed(1)) {
        Ok(encoder) => Some(encoder),
        Err(ExtractError::Refused { reason }) => {
            assert!(!reason.is_empty(), "{} refuses without a reason", case.name);
            None
        }
        Err(other) => panic!("{}: {other}", case.name),
    }
}

/// Every case that takes these images, with its encoder.
fn encoders(images: &Images) -> Vec<(Case, Box<dyn Encoder>)> {
    let taken = cases().into_iter().filter_map(|case| fitted(&case, images).map(|encoder| (case, encoder)));
    let taken: Vec<_> = taken.collect();
    assert!(taken.len() > CATALOGUE.len(), "most extractors take {:?}", images.shape());
    taken
}

fn bits(rows: &Array2<f32>) -> (Vec<usize>, Vec<u32>) {
    (rows.shape().to_vec(), rows.iter().map(|v| v.to_bits()).collect())
}

#[test]
fn entries_are_described() {
    settings::entries_are_described(&CATALOGUE);
}

#[test]
fn defaults_make_the_round_trip() {
    settings::defaults_make_the_round_trip(&CATALOGUE);
}

#[test]
fn bad_settings_are_told() {
    settings::bad_settings_are_told(&CATALOGUE);
}

#[test]
fn awkward_sizes_are_handled_or_refused() {
    for size in SIZES {
        for channels in 1..=4 {
            let images = speckled(5, size, channels);
            for case in cases() {
                let Some(encoder) = fitted(&case, &images) else { continue };
                let rows = encode(&*encoder, images.view());
                assert_eq!(rows.dim(), (5, encoder.dim()), "{} {size:?} {channels}", case.name);
                assert!(encoder.dim() > 0, "{} {size:?} {channels}", case.name);
                assert!(rows.iter().all(|v| v.is_finite()), "{} {size:?} {channels}", case.name);
            }
        }
    }
}

/// Extractors that learn a dictionary of several hundred words and refuse when two small images do not show as many.
const DICTIONARIES: &[&str] = &["kmeans-features", "random-patches", "visual-words", "fisher"];

/// Refusing is for channels alone: with its defaults every extractor without a dictionary takes grey and color of any
/// size.
#[test]
fn defaults_take_grey_and_color_of_every_size() {
    for size in SIZES {
        for channels in [1, 3] {
            for (case, entry) in cases().into_iter().zip(&CATALOGUE) {
                if DICTIONARIES.contains(&entry.name) {
                    continue;
                }
                assert!(fitted(&case, &speckled(2, size, channels)).is_some(), "{} {size:?} {channels}", case.name);
            }
        }
    }
}

#[test]
fn constant_images_give_finite_numbers() {
    for channels in [1, 3] {
        for value in [0, 1, 128, 255] {
            let images = Images::new(Array4::from_elem((3, 20, 13, channels), value)).unwrap();
            for (case, encoder) in encoders(&images) {
                let rows = encode(&*encoder, images.view());
                assert!(rows.iter().all(|v| v.is_finite()), "{} of images of {value}", case.name);
                assert_eq!(rows.row(0), rows.row(2), "{} of equal images", case.name);
            }
        }
    }
}

/// More images than one block of the parallel encoding, and a number that no block divides.
#[test]
fn an_image_encodes_the_same_alone_in_company_and_on_any_number_of_threads() {
    for channels in [1, 3] {
        let images = speckled(150, (21, 18), channels);
        for (case, encoder) in encoders(&images) {
            let encoded = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| encode(&*encoder, images.view()))
            };
            let whole = encoded(1);
            assert_eq!(bits(&whole), bits(&encoded(2)), "{} on two threads", case.name);
            assert_eq!(bits(&whole), bits(&encoded(3)), "{} on three threads", case.name);
            for i in 0..150 {
                let alone = encode(&*encoder, images.view().range(i, i + 1));
                assert_eq!(bits(&alone).1, bits(&whole.slice(s![i..=i, ..]).to_owned()).1, "{} image {i}", case.name);
            }
            assert_eq!(encode(&*encoder, images.view().range(3, 3)).dim(), (0, encoder.dim()), "{}", case.name);
        }
    }
}

#[test]
fn a_second_fit_equals_a_fresh_one_and_the_seed_is_as_told() {
    let (images, others) = (speckled(40, (16, 24), 3), speckled(9, (9, 9), 1));
    for case in cases() {
        let fresh = |seed| {
            let encoder = case.extractor.fit(images.view(), Seed(seed)).unwrap();
            bits(&encode(&*encoder, images.view()))
        };
        let first = fresh(1);
        let _ = fitted(&case, &others);
        assert_eq!(first, fresh(1), "{}", case.name);
        assert_eq!(first == fresh(2), case.extractor.is_deterministic(), "{}", case.name);
    }
}

/// Rows of other images than those that were learned from, one by one and all together.
#[test]
fn what_was_learned_is_restored_to_the_bit() {
    for channels in [1, 3] {
        let (images, others) = (speckled(30, (21, 18), channels), speckled(9, (21, 18), channels));
        for (case, encoder) in encoders(&images) {
            let restored = case.extractor.restore(images.shape(), encoder.learned());
            let restored = restored.unwrap_or_else(|e| panic!("{}: {e}", case.name));
            let rows = |encoder: &dyn Encoder| bits(&encode(encoder, others.view()));
            assert_eq!(rows(&*restored), rows(&*encoder), "{}", case.name);
            assert_eq!(restored.learned(), encoder.learned(), "{}", case.name);
            assert_eq!(restored.learned().is_empty(), encoder.model_bytes() == 0, "{}", case.name);
            assert_eq!(restored.operations(), encoder.operations(), "{}", case.name);
        }
        let all = Concatenated(cases().into_iter().map(|case| case.extractor).collect());
        let Ok(encoder) = all.fit(images.view(), Seed(1)) else { continue };
        let restored = all.restore(images.shape(), encoder.learned()).unwrap();
        assert!(bits(&encode(&*restored, others.view())) == bits(&encode(&*encoder, others.view())));
        let error = all.restore(images.shape(), encoder.learned().with_slice("99.w", &[1.0f32]));
        assert!(error.is_err_and(|e| e.to_string().contains("99.w")));
    }
}

#[test]
fn damaged_arrays_are_refused() {
    let images = speckled(30, (21, 18), 3);
    for (case, encoder) in encoders(&images) {
        let learned = encoder.learned();
        for (what, tensors) in stored::damaged(&learned) {
            assert!(case.extractor.restore(images.shape(), tensors).is_err(), "{} takes {what}", case.name);
        }
        // What depends on the number of pixels or channels cannot be that of other images; no size may panic.
        for size in SIZES {
            for channels in 1..=4 {
                if let Ok(other) = case.extractor.restore((size.0, size.1, channels), learned.clone()) {
                    let rows = encode(&*other, speckled(2, size, channels).view());
                    assert_eq!(rows.dim(), (2, other.dim()), "{} {size:?} {channels}", case.name);
                }
            }
        }
    }
}

#[test]
fn fitting_no_images_is_no_panic() {
    let none = speckled(0, (16, 16), 3);
    for case in cases() {
        if let Some(encoder) = fitted(&case, &none) {
            let rows = encode(&*encoder, speckled(2, (16, 16), 3).view());
            assert!(rows.iter().all(|v| v.is_finite()), "{}", case.name);
        }
    }
}

#[test]
fn images_of_another_size_and_rows_of_another_length_are_bugs_that_panic() {
    let images = speckled(2, (16, 24), 3);
    for (case, encoder) in encoders(&images) {
        let panics = |images: &Images, dim: usize| {
            let mut out = Array2::zeros((2, dim));
            catch_unwind(AssertUnwindSafe(|| encoder.encode_into(images.view(), out.view_mut()))).is_err()
        };
        assert!(!panics(&images, encoder.dim()), "{}", case.name);
        assert!(panics(&images, encoder.dim() + 1), "{} writes rows that are too long", case.name);
        assert!(panics(&speckled(2, (17, 25), 3), encoder.dim()), "{} takes images of another size", case.name);
    }
}

#[test]
fn concatenated_features_stand_side_by_side() {
    let images = speckled(70, (16, 16), 3);
    // Every part learns from its own seed.
    let part = |(i, case): (usize, Case)| {
        let encoder = case.extractor.fit(images.view(), Seed(1).nth(i)).unwrap();
        encode(&*encoder, images.view())
    };
    let parts: Vec<_> = cases().into_iter().enumerate().map(part).collect();
    let apart = concatenate(Axis(1), &parts.iter().map(Array2::view).collect::<Vec<_>>()).unwrap();
    let all = Concatenated(cases().into_iter().map(|case| case.extractor).collect());
    let together = encode(&*all.fit(images.view(), Seed(1)).unwrap(), images.view());
    assert!(bits(&together) == bits(&apart), "{:?} and {:?}", together.dim(), apart.dim());
}
