use super::*;
use crate::fakes::{CATALOGUES, NoMachine, Notes, experiment, material, splits};
use crate::{Bench, Plan, Shard};
use bakeoff_results::Outcome;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::AtomicBool;

/// Everything that a pipeline can have between features and classifier.
const PIPELINES: [&str; 5] = [
    "features = [{ kind = 'grey' }]\nclassifier = { kind = 'centroid', noise = 3.0 }",
    "features = [{ kind = 'grey' }, { kind = 'grey', factor = 0.5 }]\nscale = 'global'\nclassifier = { kind = 'centroid' }",
    "features = [{ kind = 'grey' }]\nreduce = { kind = 'zca' }\nquantise = { group = 3, bits = 2, scored = 'codes' }\n\
     classifier = { kind = 'centroid' }",
    "features = [{ kind = 'grey' }]\nreduce = { kind = 'pca', dimensions = 2, whiten = true }\nquantise = { group = 1 }\n\
     classifier = { kind = 'centroid' }",
    "fusion = 'late'\n[[pipeline.branches]]\nfeatures = [{ kind = 'grey' }]\nclassifier = { kind = 'centroid' }\n\
     [[pipeline.branches]]\nfeatures = [{ kind = 'grey' }]\nscale = 'none'\nclassifier = { kind = 'centroid', noise = 9.0 }",
];

/// The rows of a run with the models that were kept.
fn run(top: &str, pipeline: &str, most_model_bytes: usize) -> Vec<(bakeoff_results::Row, Option<StoredPipeline>)> {
    let material = material();
    let text = format!("dataset = 'fake'\n{top}\n[[pipeline]]\nname = 'p'\n{pipeline}\n");
    let plan = Plan::new(experiment(&text), &material, CATALOGUES).unwrap();
    let stop = AtomicBool::new(false);
    let bench = Bench {
        catalogues: CATALOGUES,
        material: &material,
        machine: &NoMachine,
        cache: None,
        states: None,
        most_model_bytes,
        stop: &stop,
    };
    let mut kept = Vec::new();
    let mut keep = |row: &bakeoff_results::Row, stored| {
        kept.push((row.clone(), stored));
        Ok(())
    };
    let Ok(_) = crate::run::<Infallible>(
        &plan,
        Shard::WHOLE,
        BTreeSet::new(),
        &bench,
        &mut crate::Here,
        &mut Notes::default(),
        &mut keep,
    );
    kept
}

fn predicted(row: &bakeoff_results::Row) -> (&[usize], &[String]) {
    match &row.outcome {
        Outcome::Done(measured) => (&measured.predicted, &measured.notes),
        other => panic!("{other:?}"),
    }
}

fn restore(stored: &StoredPipeline, learned: Tensors) -> Result<RestoredPipeline, RestoreError> {
    RestoredPipeline::restore(&stored.settings, learned, (2, 2, 1), 2, CATALOGUES)
}

#[test]
fn a_restored_pipeline_predicts_what_the_run_did() {
    for pipeline in PIPELINES {
        let kept = run("seeds = 1", pipeline, 1 << 20);
        let (row, stored) = &kept[0];
        let stored = stored.as_ref().unwrap();
        assert_eq!(stored.n_train, 80);
        let restored = restore(stored, stored.learned.clone()).unwrap_or_else(|e| panic!("{pipeline}: {e}"));
        let scores = restored.scores(splits(80, 30).test.images().view()).unwrap();
        assert_eq!(classes(scores.view()).unwrap(), predicted(row).0, "{pipeline}");
        let kind = if pipeline.contains("fusion") { ScoreKind::Margin } else { ScoreKind::Logit };
        assert_eq!(restored.score_kind(), kind);
        assert!(restored.operations().unwrap_err().contains("features grey"), "{pipeline}");
    }
}

#[test]
fn every_array_of_a_pipeline_is_needed_and_no_other() {
    for pipeline in PIPELINES {
        let kept = run("seeds = 1", pipeline, 1 << 20);
        let stored = kept[0].1.clone().unwrap();
        for (name, _) in stored.learned.iter() {
            let mut learned = stored.learned.clone();
            let tensor = learned.remove(name).unwrap();
            let told = restore(&stored, learned.clone()).err().unwrap().to_string();
            assert!(told.contains(name), "{pipeline} without {name}: {told}");
            learned.insert(format!("other.{name}"), tensor);
            assert!(restore(&stored, learned).is_err());
        }
        let extra = stored.learned.clone().with_slice("classifier.other", &[1.0f32]);
        assert!(restore(&stored, extra).err().unwrap().to_string().contains("not expected"), "{pipeline}");
        let other_shape = RestoredPipeline::restore(&stored.settings, stored.learned.clone(), (2, 3, 1), 2, CATALOGUES);
        assert!(other_shape.is_err(), "{pipeline}");
    }
}

#[test]
fn the_first_seed_of_the_greatest_size_is_kept_once() {
    let kept = run("seeds = 3\ntrain_sizes = [20, 500, 40]", PIPELINES[0], 1 << 20);
    assert_eq!(kept.len(), 9);
    let models: Vec<_> = kept.iter().filter(|(_, stored)| stored.is_some()).collect();
    assert_eq!(models.len(), 1);
    assert_eq!((models[0].0.cell.seed, models[0].0.cell.train_size), (0, None));
}

#[test]
fn a_model_over_the_limit_is_left_out_with_a_note_and_0_means_none() {
    let kept = run("seeds = 1", PIPELINES[0], 10);
    let (row, stored) = &kept[0];
    assert!(stored.is_none() && predicted(row).1.iter().any(|note| note.contains("was not stored")), "{row:?}");
    let kept = run("seeds = 1", PIPELINES[0], 0);
    assert!(kept[0].1.is_none() && predicted(&kept[0].0).1.is_empty());
}
