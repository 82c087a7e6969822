use super::*;
use crate::Experiment;
use crate::fakes::{CATALOGUES, NoMachine, Notes, experiment, material, one_pipeline};
use bakeoff_results::{Measured, Outcome, Seconds};
use std::convert::Infallible;

struct Done {
    rows: Vec<Row>,
    words: Vec<String>,
    ended: Ended,
}

fn work(experiment: Experiment, finished: BTreeSet<String>, stop_at: Option<&'static str>) -> Done {
    let material = material();
    let plan = Plan::new(experiment, &material, CATALOGUES).unwrap();
    let stop = AtomicBool::new(false);
    let bench = Bench {
        catalogues: CATALOGUES,
        material: &material,
        machine: &NoMachine,
        cache: None,
        states: None,
        most_model_bytes: 1 << 20,
        stop: &stop,
    };
    let mut notes = Notes { words: Vec::new(), stop_at: stop_at.map(|at| (at, &stop)) };
    let mut rows = Vec::new();
    let ended = run::<Infallible>(&plan, Shard::WHOLE, finished, &bench, &mut Here, &mut notes, &mut |row, _| {
        rows.push(row.clone());
        Ok(())
    });
    let Ok(ended) = ended;
    Done { rows, words: notes.words, ended }
}

fn run_all(experiment: Experiment) -> Vec<Row> {
    let done = work(experiment, BTreeSet::new(), None);
    assert_eq!(done.ended, Ended::Complete);
    done.rows
}

fn measured(row: &Row) -> &Measured {
    match &row.outcome {
        Outcome::Done(measured) => measured,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cell_walks_from_images_to_predictions() {
    let rows = run_all(one_pipeline("", "", ""));
    let measured = measured(&rows[0]);
    assert_eq!((measured.n_train, measured.predicted.len(), measured.dim), (80, 30, 4));
    // Class means lie 40 apart, images of a class spread evenly over 100: the boundary is right for 70% of each.
    let right = measured.predicted.iter().enumerate().filter(|(i, id)| i % 2 == **id).count();
    assert!((19..=24).contains(&right), "{right} of 30");
    assert_eq!((measured.epochs, measured.curve.len(), measured.converged), (3, 3, true));
    assert!(measured.deterministic && measured.trials.is_empty());
    // Two means and the scaler's mean and deviation, of 4 numbers each.
    assert_eq!(measured.model_bytes, (2 + 2) * 4 * 4);
    let parts = measured.features[0].0 + measured.fit[0].0 + measured.predict[0].0;
    assert!(parts > 0.0 && parts <= measured.total.0, "{parts} of {:?}", measured.total);
}

#[test]
fn what_goes_wrong_is_a_row_and_the_run_goes_on() {
    let pipeline = |name: &str, feature: &str, wrong: &str| {
        format!(
            "[[pipeline]]\nname = '{name}'\nfeatures = [{{ kind = '{feature}' }}]\n\
             classifier = {{ kind = 'centroid', wrong = '{wrong}' }}\n"
        )
    };
    let text = ["refuse", "diverge", "panic", "nan", "nothing"].map(|wrong| pipeline(wrong, "grey", wrong)).concat();
    let rows =
        run_all(experiment(&format!("dataset = 'fake'\nseeds = 1\n{text}{}", pipeline("big", "immense", "nothing"))));
    let told: Vec<String> = rows
        .iter()
        .map(|row| match &row.outcome {
            Outcome::Done(_) => "done".to_owned(),
            Outcome::Refused { reason } => format!("refused: {reason}"),
            Outcome::Failed { error } => format!("failed: {error}"),
        })
        .collect();
    assert_eq!(told[0], "refused: it does not want to");
    assert!(told[1].starts_with("failed: the loss is NaN in epoch 2"), "{}", told[1]);
    assert_eq!(told[2], "failed: it panicked, which is a bug of bakeoff: a planted bug");
    assert!(told[3].starts_with("failed: the scores of image 0"), "{}", told[3]);
    assert_eq!(told[4], "done");
    assert!(told[5].starts_with("refused: features of 64 images × 9223372036854775807 numbers take"), "{}", told[5]);
}

#[test]
fn finished_cells_are_not_computed_again() {
    let experiment = || one_pipeline("seeds = 3", ", noise = 1", "");
    let rows = run_all(experiment());
    let finished = rows[..2].iter().map(|row| row.cell.digest.clone()).collect();
    let done = work(experiment(), finished, None);
    assert_eq!(done.words[0], "planned 2 1");
    assert_eq!(done.rows.iter().map(|row| row.cell.seed).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_wish_to_stop_ends_the_cell_in_work_and_keeps_the_others() {
    let experiment = || one_pipeline("seeds = 3", ", noise = 1", "");
    for at in ["started p 1", "epoch 2", "Test"] {
        let done = work(experiment(), BTreeSet::new(), Some(at));
        assert_eq!(done.ended, Ended::Interrupted, "{at}");
        assert_eq!(done.rows.len(), usize::from(at == "started p 1"), "{at}");
        assert!(!done.words.contains(&"epoch 3".to_owned()) || at != "epoch 2");
    }
}

#[test]
fn the_same_seed_gives_the_same_predictions_and_trials() {
    let search =
        "[pipeline.search]\n'classifier.noise' = { log_uniform = [0.1, 10] }\nscale = { choice = ['none', 'global'] }";
    let experiment = || one_pipeline("seeds = 2\nprotocol.tuning.trials = 5\ntrain_sizes = [40]", "", search);
    let plain = |rows: Vec<Row>| -> Vec<_> {
        let timeless = rows.into_iter().map(|row| {
            let measured = measured(&row).clone();
            let trials = measured.trials.into_iter().map(|t| (t.settings, t.right, t.of)).collect::<Vec<_>>();
            (row.cell, measured.predicted, trials)
        });
        timeless.collect()
    };
    let first = plain(run_all(experiment()));
    assert_eq!(first, plain(run_all(experiment())));
    assert_ne!(first[0].2, first[1].2);
}

#[test]
fn an_error_of_the_keeper_ends_the_run() {
    let material = material();
    let plan = Plan::new(one_pipeline("seeds = 3", ", noise = 1", ""), &material, CATALOGUES).unwrap();
    let stop = AtomicBool::new(false);
    let bench = Bench {
        catalogues: CATALOGUES,
        material: &material,
        machine: &NoMachine,
        cache: None,
        states: None,
        most_model_bytes: 1 << 20,
        stop: &stop,
    };
    let mut calls = 0;
    let ended = run(&plan, Shard::WHOLE, BTreeSet::new(), &bench, &mut Here, &mut Notes::default(), &mut |_, _| {
        calls += 1;
        Err("the disk is full")
    });
    assert_eq!((ended, calls), (Err("the disk is full"), 1));
}

#[test]
fn shards_together_are_the_plan() {
    let material = material();
    let plan = Plan::new(one_pipeline("seeds = 5", ", noise = 1", ""), &material, CATALOGUES).unwrap();
    let stop = AtomicBool::new(false);
    let bench = Bench {
        catalogues: CATALOGUES,
        material: &material,
        machine: &NoMachine,
        cache: None,
        states: None,
        most_model_bytes: 1 << 20,
        stop: &stop,
    };
    let mut seeds = Vec::new();
    for shard in ["1/2", "2/2"] {
        let mut keep = |row: &Row, _| -> Result<(), Infallible> {
            seeds.push(row.cell.seed);
            Ok(())
        };
        let shard = shard.parse().unwrap();
        assert_eq!(
            run(&plan, shard, BTreeSet::new(), &bench, &mut Here, &mut Notes::default(), &mut keep),
            Ok(Ended::Complete)
        );
    }
    seeds.sort_unstable();
    assert_eq!(seeds, [0, 1, 2, 3, 4]);
}

#[test]
fn tuning_is_timed_apart() {
    let search = "[pipeline.search]\n'classifier.noise' = { uniform = [0.1, 10] }";
    let rows = run_all(one_pipeline("seeds = 1\nprotocol.tuning.trials = 3", "", search));
    let measured = measured(&rows[0]);
    assert_eq!(measured.trials.len(), 3);
    let trials: f64 = measured.trials.iter().map(|trial| trial.seconds.0).sum();
    assert!(trials > 0.0 && measured.tune >= Seconds(trials));
}

#[test]
fn states_are_forgotten_when_their_cell_is_kept() {
    struct Asked(std::sync::Mutex<Vec<String>>);
    impl States for Asked {
        fn every(&self) -> Seconds {
            Seconds(0.0)
        }
        fn get(&self, key: &str) -> Option<Vec<u8>> {
            self.0.lock().unwrap().push(format!("get {key}"));
            None
        }
        fn put(&self, _: &str, _: &[u8]) -> Result<(), String> {
            panic!("this classifier gives no states")
        }
        fn forget(&self, key: &str) {
            self.0.lock().unwrap().push(format!("forget {key}"));
        }
    }
    let material = material();
    let search = "[pipeline.search]\n'classifier.noise' = { uniform = [0.1, 10] }";
    let plan =
        Plan::new(one_pipeline("seeds = 1\nprotocol.tuning.trials = 2", "", search), &material, CATALOGUES).unwrap();
    let (stop, asked) = (AtomicBool::new(false), Asked(std::sync::Mutex::default()));
    let bench = Bench {
        catalogues: CATALOGUES,
        material: &material,
        machine: &NoMachine,
        cache: None,
        states: Some(&asked),
        most_model_bytes: 0,
        stop: &stop,
    };
    let mut keep = |_: &Row, _| -> Result<(), Infallible> {
        asked.0.lock().unwrap().push("keep".to_owned());
        Ok(())
    };
    let ended = run(&plan, Shard::WHOLE, BTreeSet::new(), &bench, &mut Here, &mut Notes::default(), &mut keep);
    assert_eq!(ended, Ok(Ended::Complete));
    // Trials are short and ask for none.
    let digest = plan.cells().next().unwrap().cell.digest;
    assert_eq!(*asked.0.lock().unwrap(), [format!("get {digest}-0"), "keep".to_owned(), format!("forget {digest}-0")]);
}
