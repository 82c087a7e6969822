//! One cell: an image's walk from the training part to a predicted id, with the time that each part takes.

use crate::cache::{Remembering, Saved};
use crate::clock::{Spent, Stopwatch};
use crate::experiment::Experiment;
use crate::fit::{FittedPipeline, Makers, Stopped, Watch};
use crate::material::Training;
use crate::observer::{Event, Observer, Stage};
use crate::plan::PlannedCell;
use crate::run::Bench;
use crate::settings::Settings;
use crate::states::Keeping;
use crate::stored::StoredPipeline;
use crate::tuning::{Tuned, tune};
use bakeoff_core::{ImagesView, Seed};
use bakeoff_results::{Measured, Outcome, Seconds};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a cell. What goes wrong in it is its outcome; `None` means that the user wants to stop, and nothing is to be
/// kept of it.
pub(crate) fn outcome(
    planned: &PlannedCell,
    experiment: &Experiment,
    bench: &Bench<'_>,
    observer: &mut dyn Observer,
) -> Option<(Outcome, Option<StoredPipeline>)> {
    caught(|| walk(planned, experiment, bench, observer))
}

/// Runs the fit and the scores of a finished cell once more, with the settings that were chosen then and features that are computed anew.
pub(crate) fn again(
    planned: &PlannedCell,
    settings: &Settings,
    bench: &Bench<'_>,
    observer: &mut dyn Observer,
) -> Option<(Outcome, Option<StoredPipeline>)> {
    let nothing_tuned = Tuned {
        settings: settings.clone(),
        trials: Vec::new(),
        seconds: Seconds(0.0),
        note: None,
        saved: Saved::default(),
    };
    let bench = Bench { cache: None, states: None, ..*bench };
    let unstored = PlannedCell { is_stored: false, ..planned.clone() };
    caught(|| walk_with(&unstored, &bench, observer, |_, _, _| Ok(nothing_tuned)))
}

/// What came of a walk, whatever it was.
fn caught(
    walk: impl FnOnce() -> Result<(Measured, Option<StoredPipeline>), Stopped>,
) -> Option<(Outcome, Option<StoredPipeline>)> {
    // A panic is a bug of one pipeline. The observer only counts, and everything else is made anew for each cell, so
    // nothing half-done is seen afterwards.
    let walked = catch_unwind(AssertUnwindSafe(walk));
    let outcome = match walked {
        Ok(Ok((measured, stored))) => return Some((Outcome::Done(Box::new(measured)), stored)),
        Ok(Err(Stopped::Interrupted)) => return None,
        Ok(Err(Stopped::Refused(reason))) => Outcome::Refused { reason },
        Ok(Err(Stopped::Failed(error))) => Outcome::Failed { error },
        Ok(Err(Stopped::OutOfTime)) => Outcome::Failed { error: "out of time".to_owned() },
        Err(payload) => {
            Outcome::Failed { error: format!("it panicked, which is a bug of bakeoff: {}", said(&*payload)) }
        }
    };
    Some((outcome, None))
}

fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it did not say why".to_owned())
}

/// A cell's walk with the selection that its experiment asks for.
fn walk(
    planned: &PlannedCell,
    experiment: &Experiment,
    bench: &Bench<'_>,
    observer: &mut dyn Observer,
) -> Result<(Measured, Option<StoredPipeline>), Stopped> {
    let pipeline = &experiment.pipelines[planned.pipeline];
    walk_with(planned, bench, observer, |makers, training, watch| {
        tune(pipeline, experiment.protocol, makers, training, Seed(planned.cell.seed), watch, bench.machine)
    })
}

/// Training subset, selection, fit, test; in this order and no other.
fn walk_with(
    planned: &PlannedCell,
    bench: &Bench<'_>,
    observer: &mut dyn Observer,
    select: impl FnOnce(Makers<'_>, &Training<'_>, &mut Watch<'_>) -> Result<Tuned, Stopped>,
) -> Result<(Measured, Option<StoredPipeline>), Stopped> {
    let (clock, cpu_before) = (Stopwatch::start(), bench.machine.cpu());
    bench.machine.reset_peak();
    let remembering = bench.cache.map(|cache| Remembering { cache, machine: bench.machine });
    let makers = Makers { catalogues: bench.catalogues, memory: bench.machine.memory_bytes(), remembering };
    let mut watch = Watch { observer, stop: bench.stop, limit: None };
    let mut spent = Spent::default();
    let seed = Seed(planned.cell.seed);

    let training = bench.material.training(planned.cell.train_size, seed.derive("subset"));
    let tuned = select(makers, &training, &mut watch)?;

    let keeping = bench.states.map(|states| Keeping { states, cell: &planned.cell.digest, machine: bench.machine });
    let fitted = FittedPipeline::fit(&tuned.settings, makers, &training, seed, keeping, &mut watch, &mut spent)?;

    watch.tell(Event::Stage(Stage::Test));
    let test = bench.material.test().open_for(&fitted);
    let predicted = fitted.predict(test, &watch, &mut spent)?;

    let mut saved = tuned.saved;
    saved.add(spent.saved);
    let cpu = Seconds((bench.machine.cpu().0 - cpu_before.0).max(0.0) + saved.cpu.0);
    let total = Seconds(clock.elapsed().0 + saved.wall.0);
    let ends = Ends { total, cpu, threads: bench.machine.threads(), peak: bench.machine.peak_rss_mb() };
    let (stored, note) = stored(planned, &tuned, &fitted, &training, bench);
    let latency = latency(&fitted, test, &watch)?;
    let mut measured = Measured { latency, ..measured(planned, &training, tuned, fitted, predicted, spent, ends) };
    measured.notes.extend(note);
    Ok((measured, stored))
}

/// The pipeline to be kept, of the one cell of a pipeline that stands for all; or why it is not.
fn stored(
    planned: &PlannedCell,
    tuned: &Tuned,
    fitted: &FittedPipeline,
    training: &Training<'_>,
    bench: &Bench<'_>,
) -> (Option<StoredPipeline>, Option<String>) {
    let (bytes, most) = (fitted.model_bytes(), bench.most_model_bytes);
    if !planned.is_stored || most == 0 {
        return (None, None);
    }
    if bytes > most {
        let megabytes = |bytes: usize| bytes as f64 / 1e6;
        let (bytes, most) = (megabytes(bytes), megabytes(most));
        return (None, Some(format!("the model of {bytes:.0} MB was not stored: the limit is {most:.0} MB")));
    }
    (Some(StoredPipeline::of(&tuned.settings, fitted, training.len(), bench.catalogues)), None)
}

/// Test images that are scored alone before the first that is timed: memory is then at hand and branches are known.
const LATENCY_WARM_UP: usize = 10;
/// Test images that are timed, each alone.
const LATENCY_IMAGES: usize = 200;
/// Wall seconds after which no further one is.
const LATENCY_SECONDS: f64 = 1.0;

/// Seconds of single test images, from pixels to class, after the cell's own figures are taken. Of images that take a tenth of a second
/// each there are ten.
fn latency(fitted: &FittedPipeline, test: ImagesView<'_>, watch: &Watch<'_>) -> Result<Vec<Seconds>, Stopped> {
    let clock = Stopwatch::start();
    let mut timed = Vec::new();
    for i in 0..test.len().min(LATENCY_WARM_UP + LATENCY_IMAGES) {
        if clock.elapsed().0 > LATENCY_SECONDS {
            break;
        }
        let alone = Stopwatch::start();
        fitted.predict(test.range(i, i + 1), watch, &mut Spent::default())?;
        timed.push(alone.elapsed());
    }
    Ok(timed.split_off(LATENCY_WARM_UP.min(timed.len() / 2)))
}

/// Scores of a cell that are kept: 64 MB.
const MOST_SCORES: usize = 1 << 24;

/// Figures of the cell as a whole.
#[derive(Clone, Copy)]
struct Ends {
    total: Seconds,
    cpu: Seconds,
    threads: usize,
    peak: f64,
}

fn measured(
    planned: &PlannedCell,
    training: &Training<'_>,
    tuned: Tuned,
    fitted: FittedPipeline,
    (predicted, scores): (Vec<usize>, Vec<f32>),
    spent: Spent,
    ends: Ends,
) -> Measured {
    Measured {
        n_train: training.len(),
        predicted,
        scores: if scores.len() <= MOST_SCORES { scores } else { Vec::new() },
        dim: fitted.dim(),
        features: vec![spent.features],
        fit: vec![spent.fit],
        tune: tuned.seconds,
        predict: vec![spent.predict],
        latency: Vec::new(),
        total: ends.total,
        cpu: ends.cpu,
        threads: ends.threads,
        peak_rss_mb: ends.peak,
        model_bytes: fitted.model_bytes(),
        epochs: fitted.epochs,
        converged: fitted.converged,
        deterministic: planned.deterministic,
        // The store takes finite numbers only; a classifier that ends well told no other but perhaps on the way.
        curve: fitted.curve.into_iter().filter(|point| point.loss.is_finite()).collect(),
        trials: tuned.trials,
        notes: planned.note.iter().cloned().chain(tuned.note).chain(fitted.notes).collect(),
    }
}
