use super::*;
use crate::fakes::{CATALOGUES, Notes, material, one_pipeline};
use crate::fit::{FittedPipeline, Watch};
use crate::material::Material;
use ndarray::Array2;
use std::sync::atomic::AtomicBool;

/// Memory in which 64 rows of 4 numbers fit, and not 80: half of it is 1,100 bytes.
const TIGHT: Option<u64> = Some(2200);

fn fitted(extra: &str, memory: Option<u64>, material: &Material) -> (FittedPipeline, Vec<usize>) {
    let experiment = one_pipeline("", "", extra);
    let makers = Makers { catalogues: CATALOGUES, memory, remembering: None };
    let (mut notes, stop) = (Notes::default(), AtomicBool::new(false));
    let mut watch = Watch { observer: &mut notes, stop: &stop, limit: None };
    let mut spent = Spent::default();
    let training = material.training(None, Seed(0));
    let settings = &experiment.pipelines[0].settings;
    let pipeline = FittedPipeline::fit(settings, makers, &training, Seed(0), None, &mut watch, &mut spent).unwrap();
    let test = material.test().open_for(&pipeline);
    let predicted = pipeline.predict(test, &watch, &mut spent).unwrap();
    (pipeline, predicted.0)
}

/// The rows that a classifier sees, and what is told of them.
fn rows(extra: &str, memory: Option<u64>) -> (Array2<f32>, bool, Vec<String>) {
    let (experiment, material) = (one_pipeline("", "", extra), material());
    let makers = Makers { catalogues: CATALOGUES, memory, remembering: None };
    let training = material.training(None, Seed(0));
    let branch = &experiment.pipelines[0].settings.branches[0];
    let mut spent = Spent::default();
    let encoded = makers.encoded(branch, &training, Seed(0), &mut spent).unwrap();
    let fitting = encoded.finish(branch, &training, Seed(0), &mut spent).unwrap();
    let rows = fitting.rows(&training);
    let mut out = Array2::zeros((rows.n_rows(), rows.dim()));
    rows.read_into(&(0..rows.n_rows()).collect::<Vec<_>>(), out.view_mut());
    (out, rows.dense().is_some(), fitting.notes.clone())
}

#[test]
fn rows_that_do_not_fit_are_computed_anew_and_are_the_same() {
    let (kept, dense, notes) = rows("scale = 'none'", None);
    assert!(dense && notes.is_empty(), "{notes:?}");
    let (anew, dense, notes) = rows("scale = 'none'", TIGHT);
    assert!(!dense && notes.len() == 1 && notes[0].ends_with("they were computed anew in every pass"), "{notes:?}");
    assert_eq!(kept, anew);
    let material = material();
    let predicted = |memory| fitted("scale = 'none'", memory, &material).1;
    assert_eq!(predicted(None), predicted(TIGHT));
}

#[test]
fn what_is_learned_on_a_sample_is_told() {
    let (.., notes) = rows("scale = 'standard'", TIGHT);
    // All 80 images fit into the sample.
    assert_eq!(notes.len(), 1, "{notes:?}");
    let makers = Makers { catalogues: CATALOGUES, memory: Some(1000), remembering: None };
    let (experiment, material) = (one_pipeline("", "", ""), material());
    let training = material.training(None, Seed(0));
    let branch = &experiment.pipelines[0].settings.branches[0];
    let refused = makers.encoded(branch, &training, Seed(0), &mut Spent::default()).err().unwrap();
    assert!(matches!(refused, Stopped::Refused(_)), "{refused:?}");
}

#[test]
fn codes_of_as_many_centres_as_rows_lose_nothing() {
    // Two columns a group at 4 bits each: 256 centres for 80 rows.
    let (plain, _, _) = rows("scale = 'none'", None);
    for memory in [None, TIGHT] {
        let (decoded, dense, notes) = rows("scale = 'none'\nquantise = { group = 2, bits = 4 }", memory);
        assert!(!dense);
        assert!(notes.iter().any(|note| note == "codes of 2 bytes an image in place of 16"), "{notes:?}");
        assert_eq!(plain, decoded);
    }
}

#[test]
fn coarse_codes_are_near_and_cost_the_codebook_only_when_they_are_scored() {
    let (plain, _, _) = rows("scale = 'none'", None);
    let quantise = |scored: &str| format!("scale = 'none'\nquantise = {{ group = 4, bits = 1, scored = '{scored}' }}");
    let (decoded, _, _) = rows(&quantise("rows"), None);
    let error = (&plain - &decoded).mapv(|v| v * v).sum() / plain.len() as f32;
    let mean = plain.mean().unwrap();
    let variance = plain.mapv(|v| (v - mean).powi(2)).mean().unwrap();
    assert!(error > 0.0 && error < 0.05 * variance, "{error} of {variance}");
    let material = material();
    let bytes = |scored| fitted(&quantise(scored), None, &material).0.model_bytes();
    // 16 centres of 4 numbers.
    assert_eq!(bytes("codes"), bytes("rows") + 16 * 4 * 4);
}

#[test]
fn a_reduction_follows_the_scaling() {
    let (reduced, dense, _) = rows("reduce = { kind = 'pca', dimensions = 2 }", None);
    assert!(dense);
    assert_eq!(reduced.dim(), (80, 2));
    let total: f32 = rows("", None).0.mapv(|v| v * v).sum();
    let kept = reduced.mapv(|v| v * v).sum();
    assert!(kept > 0.9 * total && kept <= total * 1.001, "{kept} of {total}");
}

#[test]
fn augmented_rows_are_draws_of_images() {
    let (experiment, material) = (one_pipeline("", "", "augment = { flip = true, shift = 1 }"), material());
    let makers = Makers { catalogues: CATALOGUES, memory: None, remembering: None };
    let training = material.training(None, Seed(0));
    let branch = &experiment.pipelines[0].settings.branches[0];
    let encoded = makers.encoded(branch, &training, Seed(0), &mut Spent::default()).unwrap();
    let fitting = encoded.finish(branch, &training, Seed(0), &mut Spent::default()).unwrap();
    let rows = fitting.rows(&training);
    let read = |positions: &[usize], draw: u64| {
        let mut out = Array2::zeros((positions.len(), rows.dim()));
        rows.read_augmented(positions, Seed(draw), out.view_mut());
        out
    };
    assert!(rows.augments());
    let (first, again) = (read(&[3, 70, 5], 1), read(&[5, 3], 1));
    assert_eq!((first.row(0), first.row(2)), (again.row(1), again.row(0)));
    assert_ne!(first, read(&[3, 70, 5], 2));
    // What came of each image: its own draw, encoded and scaled as every image is.
    let (image, shape) = (training.images().image(70), training.images().shape());
    let mut drawn = vec![0; image.len()];
    bakeoff_core::Augmentation { flip: true, shift: 1, cutout: 0 }.draw(image, shape, Seed(1).nth(70), &mut drawn);
    let features = fitting.maker.features(ImagesView::one(&drawn, shape));
    assert_eq!(fitting.maker.scored(features).row(0), first.row(1));
    // Without augmentation a draw is the rows themselves.
    let plain = one_pipeline("", "", "").pipelines[0].settings.branches[0].augmentation().unwrap();
    assert!(plain.is_nothing());
}

#[test]
fn two_equal_branches_predict_as_one() {
    let material = material();
    let branch = "{ features = [{ kind = 'grey' }], classifier = { kind = 'centroid' } }";
    let text =
        format!("dataset = 'fake'\n[[pipeline]]\nname = 'p'\nfusion = 'late'\nbranches = [{branch}, {branch}]\n");
    let fused = crate::fakes::experiment(&text);
    let makers = Makers { catalogues: CATALOGUES, memory: None, remembering: None };
    let (mut notes, stop) = (Notes::default(), AtomicBool::new(false));
    let mut watch = Watch { observer: &mut notes, stop: &stop, limit: None };
    let mut spent = Spent::default();
    let training = material.training(None, Seed(0));
    let settings = &fused.pipelines[0].settings;
    let pipeline = FittedPipeline::fit(settings, makers, &training, Seed(0), None, &mut watch, &mut spent).unwrap();
    let predicted = pipeline.predict(material.test().open_for(&pipeline), &watch, &mut spent).unwrap();
    let (one, alone) = fitted("", None, &material);
    assert_eq!(predicted.0, alone);
    assert_eq!((pipeline.dim(), pipeline.model_bytes()), (2 * one.dim(), 2 * one.model_bytes()));
}
