use super::*;
use crate::fakes::{CATALOGUES, NoMachine, Notes, experiment, material};
use crate::run::{Here, run};
use crate::{Experiment, Plan, Shard};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::AtomicBool;

/// Two pipelines, the second with a seed that matters and a search.
fn two(protocol: &str, seeds: usize) -> Experiment {
    experiment(&format!(
        "dataset = 'fake'\nseeds = {seeds}\n[protocol]\ntuning = {{ trials = 3 }}\n{protocol}\n\
         [[pipeline]]\nname = 'steady'\nfeatures = [{{ kind = 'grey' }}]\nclassifier = {{ kind = 'centroid' }}\n\
         [[pipeline]]\nname = 'drawn'\nfeatures = [{{ kind = 'grey' }}]\nclassifier = {{ kind = 'centroid' }}\n\
         [pipeline.search]\n'classifier.noise' = {{ uniform = [0.5, 50.0] }}\n"
    ))
}

/// The rows of an experiment, and what `with` makes of its plan, rows and bench.
fn after<T>(experiment: Experiment, with: impl FnOnce(&Plan, Vec<Row>, &Bench<'_>) -> T) -> T {
    let material = material();
    let plan = Plan::new(experiment, &material, CATALOGUES).unwrap();
    let stop = AtomicBool::new(false);
    let bench = Bench {
        catalogues: CATALOGUES,
        material: &material,
        machine: &NoMachine,
        cache: None,
        states: None,
        most_model_bytes: 0,
        stop: &stop,
    };
    let mut rows = Vec::new();
    let mut keep = |row: &Row, _| -> Result<(), Infallible> {
        rows.push(row.clone());
        Ok(())
    };
    let ended = run(&plan, Shard::WHOLE, BTreeSet::new(), &bench, &mut Here, &mut Notes::default(), &mut keep).unwrap();
    assert_eq!(ended, Ended::Complete);
    with(&plan, rows, &bench)
}

fn repeats_of(plan: &Plan, rows: &[Row], bench: &Bench<'_>) -> (Vec<Repeat>, Vec<String>) {
    let (mut kept, mut notes) = (Vec::new(), Notes::default());
    let mut keep = |repeat: &Repeat| -> Result<(), Infallible> {
        kept.push(repeat.clone());
        Ok(())
    };
    let ended = repeat(plan, rows, bench, &mut Here, &mut notes, &mut keep).unwrap();
    assert_eq!(ended, Ended::Complete);
    (kept, notes.words.into_iter().filter(|word| word.starts_with("again")).collect())
}

#[test]
fn pipelines_take_turns_until_each_has_its_timings() {
    let (kept, words) =
        after(two("timing = { rounds = 4, seconds = 60 }", 2), |plan, rows, bench| repeats_of(plan, &rows, bench));
    // The steady pipeline was timed once, the other one with each of two seeds.
    let expected = ["steady 2", "drawn 3", "drawn 4", "steady 3", "steady 4"].map(|word| format!("again {word} of 4"));
    assert_eq!(words, expected);
    assert_eq!(kept.iter().map(|repeat| repeat.number).collect::<Vec<_>>(), [1, 1, 2, 2, 3]);
    for repeat in &kept {
        assert!(repeat.same, "{repeat:?}");
        assert!(repeat.fit.0 > 0.0 && repeat.features.0 > 0.0 && repeat.predict.0 > 0.0, "{repeat:?}");
    }
}

#[test]
fn a_repeat_has_the_settings_that_were_chosen() {
    after(two("timing = { rounds = 2, seconds = 60 }", 1), |plan, mut rows, bench| {
        assert_eq!(repeats_of(plan, &rows, bench).0.iter().filter(|repeat| repeat.same).count(), 2);
        // With the trials of a search that was not this one there is nothing to repeat.
        let Outcome::Done(measured) = &mut rows[1].outcome else { panic!("{:?}", rows[1]) };
        measured.trials.iter_mut().for_each(|trial| trial.settings = r#"{"classifier.noise":7.0}"#.to_owned());
        assert_eq!(repeats_of(plan, &rows, bench).1, ["again steady 2 of 2"]);
        // And a first fit that predicted otherwise is told.
        let Outcome::Done(measured) = &mut rows[0].outcome else { panic!("{:?}", rows[0]) };
        measured.predicted[3] ^= 1;
        assert_eq!(repeats_of(plan, &rows, bench).0.iter().map(|repeat| repeat.same).collect::<Vec<_>>(), [false]);
    });
}

#[test]
fn what_takes_longer_than_the_protocol_gives_is_not_repeated() {
    after(two("timing = { rounds = 9, seconds = 60 }", 1), |plan, mut rows, bench| {
        let Outcome::Done(measured) = &mut rows[0].outcome else { panic!("{:?}", rows[0]) };
        measured.fit[0] = Seconds(61.0);
        let words = repeats_of(plan, &rows, bench).1;
        assert!(words.len() == 8 && words.iter().all(|word| word.contains("drawn")), "{words:?}");
    });
    after(two("timing = { rounds = 1 }", 1), |plan, rows, bench| assert!(repeats_of(plan, &rows, bench).0.is_empty()));
}

#[test]
fn timings_that_are_there_are_not_made_again() {
    after(two("timing = { rounds = 3, seconds = 60 }", 1), |plan, mut rows, bench| {
        for row in &mut rows {
            let Outcome::Done(measured) = &mut row.outcome else { panic!("{row:?}") };
            for part in [&mut measured.features, &mut measured.fit, &mut measured.predict] {
                part.push(Seconds(0.1));
            }
        }
        let (kept, words) = repeats_of(plan, &rows, bench);
        assert_eq!(words, ["again steady 3 of 3", "again drawn 3 of 3"]);
        assert!(kept.iter().all(|repeat| repeat.number == 2), "{kept:?}");
    });
}

#[test]
fn a_wish_to_stop_ends_the_repeats() {
    after(two("", 1), |plan, rows, bench| {
        let mut kept = 0;
        let mut keep = |_: &Repeat| -> Result<(), Infallible> {
            kept += 1;
            Ok(())
        };
        let mut notes = Notes { words: Vec::new(), stop_at: Some(("again drawn 2 of 5", bench.stop)) };
        let ended = repeat(plan, &rows, bench, &mut Here, &mut notes, &mut keep).unwrap();
        assert_eq!((ended, kept), (Ended::Interrupted, 1));
    });
}
