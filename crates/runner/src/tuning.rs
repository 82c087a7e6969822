//! Selection of settings: seeded search on a validation part, the same number of trials and the same CPU time for every
//! pipeline.
//!
//! Random trials are drawn independently, so that the expected best score of fewer trials can be computed from them (Dodge et
//! al. 2019); a grid that is no larger than the number of trials is gone through completely instead. The first of
//! equally good trials wins.

use crate::cache::Saved;
use crate::canonical;
use crate::clock::{Spent, Stopwatch, timed};
use crate::experiment::Protocol;
use crate::fit::{Allowance, Makers, Stopped, Watch, branch_seed, classes, classifier_seed, fused, learn};
use crate::machine::Machine;
use crate::material::{Training, Validation};
use crate::observer::{Event, Stage};
use crate::rows::{Encoded, Fitting};
use crate::settings::{Branch, Part, Pipeline, Settings, Target, combinations};
use bakeoff_core::Seed;
use bakeoff_results::{Seconds, Trial};
use ndarray::Array2;
use serde_json::Value;
use std::cell::Cell;

/// The chosen settings and how they were found.
pub(crate) struct Tuned {
    pub(crate) settings: Settings,
    pub(crate) trials: Vec<Trial>,
    pub(crate) seconds: Seconds,
    pub(crate) note: Option<String>,
    /// What was not spent on features that had been kept.
    pub(crate) saved: Saved,
}

/// Chooses the settings of a pipeline; without a search, the ones that it has.
pub(crate) fn tune(
    pipeline: &Pipeline,
    protocol: Protocol,
    makers: Makers<'_>,
    training: &Training<'_>,
    seed: Seed,
    watch: &mut Watch<'_>,
    machine: &dyn Machine,
) -> Result<Tuned, Stopped> {
    let settings = pipeline.settings.clone();
    if pipeline.search.is_empty() {
        return Ok(Tuned { settings, trials: Vec::new(), seconds: Seconds(0.0), note: None, saved: Saved::default() });
    }
    let clock = Stopwatch::start();
    let (training, validation) = training.split(protocol.validation, seed.derive("validation"));
    if validation.len() == 0 {
        return Err(Stopped::Refused("no class has two training images, one of them to select on".to_owned()));
    }
    let points = combinations(&pipeline.search, protocol.tuning.trials, protocol.tuning.draw, seed.derive("tuning"));
    let mut trials = Trials::new(pipeline, makers, &training, &validation, seed);
    let limit = Seconds(protocol.tuning.seconds);
    let mut timed_watch =
        Watch { observer: &mut *watch.observer, stop: watch.stop, limit: Some(Allowance::new(machine, limit)) };
    trials.run(&points, &mut timed_watch)?;
    let note = (trials.told.len() < points.len()).then(|| {
        format!(
            "the limit of {} CPU seconds ended the search after {} of {} trials",
            limit.0,
            trials.told.len(),
            points.len()
        )
    });
    let settings = trials.best(limit)?;
    let saved = trials.saved.get();
    let seconds = Seconds(clock.elapsed().0 + saved.wall.0);
    Ok(Tuned { settings, trials: trials.told, seconds, note, saved })
}

/// The settings that a search chose, found again from its stored trials; `None` where they are not those of this search.
pub(crate) fn chosen(pipeline: &Pipeline, protocol: Protocol, trials: &[Trial], seed: Seed) -> Option<Settings> {
    if pipeline.search.is_empty() {
        return Some(pipeline.settings.clone());
    }
    let points = combinations(&pipeline.search, protocol.tuning.trials, protocol.tuning.draw, seed.derive("tuning"));
    let (best, _) = first_of_best(trials)?;
    let point = points.get(best)?;
    (told(point) == trials[best].settings).then(|| pipeline.settings.with(point).ok())?
}

/// The trial with the most validation images right, the first of equals, and how many they are.
fn first_of_best(trials: &[Trial]) -> Option<(usize, usize)> {
    let scored = trials.iter().enumerate().filter_map(|(i, trial)| Some((i, trial.right?)));
    scored.reduce(|best, other| if other.1 > best.1 { other } else { best })
}

/// Values as a trial tells them: a JSON object from key to value.
fn told(point: &[(Target, toml::Value)]) -> String {
    let values = point.iter().map(|(target, value)| (target.to_string(), canonical::json(value)));
    canonical::text(&Value::Object(values.collect()))
}

/// A branch with its rows, trained on nothing yet, and the validation rows that it scores.
struct Made {
    fitting: Fitting,
    validation: Array2<f32>,
}

/// What trials share of a branch, as far as the search allows.
enum Shared {
    /// Nothing: the features vary.
    Nothing,
    /// Features; what follows them varies.
    Features { encoded: Encoded, validation: Array2<f32> },
    /// Everything before the classifier.
    Rows(Box<Made>),
}

struct Trials<'a> {
    pipeline: &'a Pipeline,
    makers: Makers<'a>,
    training: &'a Training<'a>,
    validation: &'a Validation,
    seed: Seed,
    /// A branch each, made when the first trial needs it.
    shared: Vec<Option<Shared>>,
    told: Vec<Trial>,
    /// Why trials have no score.
    stopped: Vec<Stopped>,
    /// The best so far: images that were right, and the settings.
    leader: Option<(usize, Settings)>,
    saved: Cell<Saved>,
}

impl<'a> Trials<'a> {
    fn new(
        pipeline: &'a Pipeline,
        makers: Makers<'a>,
        training: &'a Training<'a>,
        validation: &'a Validation,
        seed: Seed,
    ) -> Self {
        let shared = pipeline.settings.branches.iter().map(|_| None).collect();
        Self {
            pipeline,
            makers,
            training,
            validation,
            seed,
            shared,
            told: Vec::new(),
            stopped: Vec::new(),
            leader: None,
            saved: Cell::default(),
        }
    }

    fn run(&mut self, points: &[Vec<(Target, toml::Value)>], watch: &mut Watch<'_>) -> Result<(), Stopped> {
        for (i, point) in points.iter().enumerate() {
            match watch.check() {
                Err(Stopped::OutOfTime) if i > 0 => break,
                Err(Stopped::Interrupted) => return Err(Stopped::Interrupted),
                _ => {}
            }
            watch.tell(Event::Stage(Stage::Trial { number: i + 1, of: points.len() }));
            let mut seconds = Seconds(0.0);
            let outcome = timed(&mut seconds, || self.one(point, watch));
            self.tell(point, outcome, seconds)?;
        }
        Ok(())
    }

    /// One trial: the settings, and how many validation images were right.
    fn one(&mut self, point: &[(Target, toml::Value)], watch: &mut Watch<'_>) -> Result<(usize, Settings), Stopped> {
        let settings = self.pipeline.settings.with(point).map_err(Stopped::Refused)?;
        let mut sum: Option<Array2<f32>> = None;
        for (i, branch) in settings.branches.iter().enumerate() {
            let classifier = branch.learner(self.makers.catalogues).map_err(Stopped::Refused)?;
            let (training, seed) = (self.training, branch_seed(self.seed, i));
            let scores = self.with_rows(i, branch, |made| {
                let rows = made.fitting.rows(training);
                let seed = classifier_seed(seed);
                let fitted = learn(classifier.as_ref(), &rows, training.labels(), seed, watch)?.fitted;
                Ok(fitted.model.scores(made.validation.view()))
            })?;
            sum = Some(fused(sum, scores));
        }
        let predicted = classes(sum.unwrap_or_default().view())?;
        Ok((self.validation.right(&predicted), settings))
    }

    /// Which parts of a branch the search varies: its features, and what lies between them and the classifier.
    fn varies(&self, branch: usize) -> (bool, bool) {
        let parts = self.pipeline.search.iter().map(|searched| &searched.target);
        let parts = parts.filter(|target| target.branch.unwrap_or(0) == branch).map(|target| &target.part);
        let features = parts.clone().any(|part| matches!(part, Part::Feature { .. }));
        (features, parts.clone().any(|part| !matches!(part, Part::Feature { .. } | Part::Classifier { .. })))
    }

    /// Calls `with` with the rows of a branch, computed no more often than the search makes necessary.
    fn with_rows<T>(
        &mut self,
        i: usize,
        branch: &Branch,
        with: impl FnOnce(&Made) -> Result<T, Stopped>,
    ) -> Result<T, Stopped> {
        if self.shared[i].is_none() {
            self.shared[i] = Some(self.share(i, branch)?);
        }
        match self.shared[i].as_ref() {
            Some(Shared::Rows(made)) => with(made),
            Some(Shared::Features { encoded, validation }) => {
                with(&self.made(i, branch, encoded.clone(), validation.clone())?)
            }
            Some(Shared::Nothing) | None => {
                let (encoded, validation) = self.encoded(i, branch)?;
                with(&self.made(i, branch, encoded, validation)?)
            }
        }
    }

    fn share(&self, i: usize, branch: &Branch) -> Result<Shared, Stopped> {
        let (features_vary, rows_vary) = self.varies(i);
        if features_vary {
            return Ok(Shared::Nothing);
        }
        let (encoded, validation) = self.encoded(i, branch)?;
        if rows_vary {
            return Ok(Shared::Features { encoded, validation });
        }
        self.made(i, branch, encoded, validation).map(|made| Shared::Rows(Box::new(made)))
    }

    /// Features of training and validation images.
    fn encoded(&self, i: usize, branch: &Branch) -> Result<(Encoded, Array2<f32>), Stopped> {
        let mut spent = Spent::default();
        let encoded = self.makers.encoded(branch, self.training, branch_seed(self.seed, i), &mut spent)?;
        let mut saved = self.saved.get();
        saved.add(spent.saved);
        self.saved.set(saved);
        self.makers.check_memory(self.validation.len(), encoded.dim())?;
        let validation = encoded.features(self.validation.images());
        Ok((encoded, validation))
    }

    fn made(&self, i: usize, branch: &Branch, encoded: Encoded, features: Array2<f32>) -> Result<Made, Stopped> {
        let fitting = encoded.finish(branch, self.training, branch_seed(self.seed, i), &mut Spent::default())?;
        let validation = fitting.maker.scored(features);
        Ok(Made { fitting, validation })
    }

    fn tell(
        &mut self,
        point: &[(Target, toml::Value)],
        outcome: Result<(usize, Settings), Stopped>,
        seconds: Seconds,
    ) -> Result<(), Stopped> {
        let settings = told(point);
        let of = self.validation.len();
        let (right, error) = match outcome {
            Err(Stopped::Interrupted) => return Err(Stopped::Interrupted),
            Err(stopped) => (None, self.note(stopped)),
            Ok((right, settings)) => {
                if self.leader.as_ref().is_none_or(|(best, _)| right > *best) {
                    self.leader = Some((right, settings));
                }
                (Some(right), String::new())
            }
        };
        self.told.push(Trial { settings, right, of, error, seconds });
        Ok(())
    }

    fn note(&mut self, stopped: Stopped) -> String {
        let told = match &stopped {
            Stopped::Refused(reason) => reason.clone(),
            Stopped::Failed(error) => error.clone(),
            Stopped::OutOfTime | Stopped::Interrupted => "stopped by the time limit".to_owned(),
        };
        self.stopped.push(stopped);
        told
    }

    /// The settings of the best trial, or why there is none.
    fn best(&mut self, limit: Seconds) -> Result<Settings, Stopped> {
        if let Some((_, settings)) = self.leader.take() {
            return Ok(settings);
        }
        let n = self.told.len();
        let first = self.told.first().map_or("", |trial| trial.error.as_str());
        if self.stopped.iter().all(|stopped| matches!(stopped, Stopped::Refused(_))) {
            return Err(Stopped::Refused(format!("each of {n} trials was refused, the first because {first}")));
        }
        if self.stopped.contains(&Stopped::OutOfTime) {
            return Err(Stopped::Failed(format!("no trial finished within the limit of {} CPU seconds", limit.0)));
        }
        Err(Stopped::Failed(format!("none of {n} trials gave a score; the first said: {first}")))
    }
}

#[cfg(test)]
mod tests;
