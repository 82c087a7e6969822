use super::*;
use crate::fakes::{CATALOGUES, Notes, material, one_pipeline};
use std::sync::atomic::AtomicBool;

fn tune_one(top: &str, search: &str) -> Result<Tuned, Stopped> {
    let experiment = one_pipeline(top, "", &format!("[pipeline.search]\n{search}"));
    let (material, stop) = (material(), AtomicBool::new(false));
    let mut notes = Notes::default();
    let mut watch = Watch { observer: &mut notes, stop: &stop, limit: None };
    let makers = Makers { catalogues: CATALOGUES, memory: None, remembering: None };
    let training = material.training(None, Seed(0));
    tune(
        &experiment.pipelines[0],
        experiment.protocol,
        makers,
        &training,
        Seed(0),
        &mut watch,
        &crate::fakes::NoMachine,
    )
}

#[test]
fn every_trial_is_kept_and_the_first_of_equals_wins() {
    // The nearest mean does not care about the number of epochs: all trials are equally good.
    let tuned = tune_one("protocol.tuning.trials = 5", "'classifier.epochs' = { integer = [1, 100] }").unwrap();
    assert_eq!(tuned.trials.len(), 5);
    assert!(tuned.trials.iter().all(|trial| trial.of == 8 && trial.right == tuned.trials[0].right));
    let first: serde_json::Value = serde_json::from_str(&tuned.trials[0].settings).unwrap();
    let chosen = &tuned.settings.branches[0].classifier.settings["epochs"];
    assert_eq!(first["classifier.epochs"].as_i64(), chosen.as_integer());
}

#[test]
fn the_best_trial_wins_even_when_others_break() {
    let wrong = "'classifier.wrong' = { choice = ['panic', 'nothing', 'refuse', 'diverge'] }";
    // "panic" is left out: a bug ends the cell.
    let tuned = tune_one("", &wrong.replace("'panic', ", "")).unwrap();
    assert_eq!(tuned.settings.branches[0].classifier.settings["wrong"].as_str(), Some("nothing"));
    let mut errors: Vec<&str> = tuned.trials.iter().map(|trial| trial.error.as_str()).collect();
    errors.sort_unstable();
    assert_eq!(errors[..2], ["", "it does not want to"]);
    assert!(errors[2].starts_with("the loss is NaN"));
}

#[test]
fn trials_that_all_break_say_so() {
    let refused = tune_one("", "'classifier.wrong' = { choice = ['refuse'] }").err().unwrap();
    assert_eq!(refused, Stopped::Refused("each of 1 trials was refused, the first because it does not want to".into()));
    let failed = tune_one("", "'classifier.wrong' = { choice = ['diverge', 'nan'] }").err().unwrap();
    assert!(matches!(&failed, Stopped::Failed(error) if error.starts_with("none of 2 trials")), "{failed:?}");
}

#[test]
fn a_limit_ends_the_search_and_is_told() {
    let late = tune_one("protocol.tuning.seconds = 1e-9", "'classifier.noise' = { uniform = [0, 1] }").err().unwrap();
    assert_eq!(late, Stopped::Failed("no trial finished within the limit of 0.000000001 CPU seconds".to_owned()));
}

#[test]
fn features_are_computed_once_unless_they_are_searched() {
    let experiment =
        |search: &str| one_pipeline("protocol.tuning.trials = 3", "", &format!("[pipeline.search]\n{search}"));
    let (material, makers) = (material(), Makers { catalogues: CATALOGUES, memory: None, remembering: None });
    let training = material.training(None, Seed(0));
    let (part, validation) = training.split(0.1, Seed(0));
    let shared = |search: &str| {
        let experiment = experiment(search);
        let mut trials = Trials::new(&experiment.pipelines[0], makers, &part, &validation, Seed(0));
        let branch = experiment.pipelines[0].settings.branches[0].clone();
        trials.with_rows(0, &branch, |_| Ok(())).unwrap();
        match &trials.shared[0] {
            Some(Shared::Rows(_)) => "rows",
            Some(Shared::Features { .. }) => "features",
            _ => "nothing",
        }
    };
    assert_eq!(shared("'classifier.noise' = { uniform = [0, 1] }"), "rows");
    assert_eq!(shared("scale = { choice = ['none', 'global'] }"), "features");
    assert_eq!(shared("'features.0.factor' = { uniform = [1, 2] }"), "nothing");
}

#[test]
fn shared_rows_give_what_fresh_rows_give() {
    // The same choice once as a search over the classifier alone and once with a feature that has one value.
    let alone = tune_one("", "'classifier.noise' = { choice = [0.5, 1.5] }").unwrap();
    let fresh =
        tune_one("", "'classifier.noise' = { choice = [0.5, 1.5] }\n'features.0.factor' = { choice = [1.0] }").unwrap();
    let mut rights: [Vec<_>; 2] = [alone, fresh].map(|t| t.trials.iter().map(|trial| trial.right).collect());
    rights[0].sort_unstable();
    rights[1].sort_unstable();
    assert_eq!(rights[0], rights[1]);
}
