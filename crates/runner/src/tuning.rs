//! Selection of settings: seeded random search on a validation part, the same number of trials for every pipeline.
//!
//! Trials are drawn independently, so that the expected best score of fewer trials can be computed from them (Dodge et
//! al. 2019); a grid that is no larger than the number of trials is gone through completely instead. The first of
//! equally good trials wins.

use crate::canonical;
use crate::clock::{Stopwatch, timed};
use crate::experiment::Protocol;
use crate::fit::{Makers, Stopped, Watch, classify, learn, scale};
use crate::material::{Training, Validation};
use crate::observer::{Event, Stage};
use crate::settings::{Pipeline, Settings, Target, combinations};
use bakeoff_core::{Seed, encode};
use bakeoff_results::{Seconds, Trial};
use ndarray::Array2;
use serde_json::Value;
use std::borrow::Cow;

/// The chosen settings and how they were found.
pub(crate) struct Tuned {
    pub(crate) settings: Settings,
    pub(crate) trials: Vec<Trial>,
    pub(crate) seconds: Seconds,
    pub(crate) note: Option<String>,
}

/// Chooses the settings of a pipeline; without a search, the ones that it has.
pub(crate) fn tune(
    pipeline: &Pipeline,
    protocol: Protocol,
    makers: Makers<'_>,
    training: &Training<'_>,
    seed: Seed,
    watch: &mut Watch<'_>,
) -> Result<Tuned, Stopped> {
    let settings = pipeline.settings.clone();
    if pipeline.search.is_empty() {
        return Ok(Tuned { settings, trials: Vec::new(), seconds: Seconds(0.0), note: None });
    }
    let clock = Stopwatch::start();
    let (training, validation) = training.split(protocol.validation, seed.derive("validation"));
    if validation.len() == 0 {
        return Err(Stopped::Refused("no class has two training images, one of them to select on".to_owned()));
    }
    let points = combinations(&pipeline.search, protocol.tuning.trials, seed.derive("tuning"));
    let mut trials = Trials::new(pipeline, makers, &training, &validation, seed);
    let limit = Seconds(protocol.tuning.seconds);
    let mut timed_watch = Watch { observer: &mut *watch.observer, stop: watch.stop, limit: Some((clock, limit)) };
    trials.run(&points, &mut timed_watch)?;
    let note = (trials.told.len() < points.len()).then(|| {
        format!("the limit of {} s ended the search after {} of {} trials", limit.0, trials.told.len(), points.len())
    });
    let settings = trials.best(limit)?;
    Ok(Tuned { settings, trials: trials.told, seconds: clock.elapsed(), note })
}

/// Training and validation rows of one choice of features and scaling.
#[derive(Clone)]
struct Rows {
    train: Array2<f32>,
    validation: Array2<f32>,
}

impl Rows {
    fn scaled(mut self, settings: &Settings) -> Self {
        let scaler = scale(settings.scale, &mut self.train);
        scaler.apply(self.validation.view_mut());
        self
    }
}

struct Trials<'a> {
    pipeline: &'a Pipeline,
    makers: Makers<'a>,
    training: &'a Training<'a>,
    validation: &'a Validation,
    seed: Seed,
    features_vary: bool,
    scale_varies: bool,
    /// Rows that all trials share, as far as the search allows.
    shared: Option<Rows>,
    told: Vec<Trial>,
    /// Why trials have no score.
    stopped: Vec<Stopped>,
    /// The best so far: images that were right, and the settings.
    leader: Option<(usize, Settings)>,
}

impl<'a> Trials<'a> {
    fn new(
        pipeline: &'a Pipeline,
        makers: Makers<'a>,
        training: &'a Training<'a>,
        validation: &'a Validation,
        seed: Seed,
    ) -> Self {
        let varies = |test: fn(&Target) -> bool| pipeline.search.iter().any(|searched| test(&searched.target));
        Self {
            pipeline,
            makers,
            training,
            validation,
            seed,
            features_vary: varies(|target| matches!(target, Target::Feature { .. })),
            scale_varies: varies(|target| *target == Target::Scale),
            shared: None,
            told: Vec::new(),
            stopped: Vec::new(),
            leader: None,
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
        let classifier = settings.learner(self.makers.catalogues).map_err(Stopped::Refused)?;
        let (labels, seed) = (self.training.labels(), self.seed);
        let rows = self.rows(&settings)?;
        let (fitted, _) = learn(classifier.as_ref(), rows.train.view(), labels, seed, watch)?;
        let predicted = classify(fitted.model.as_ref(), rows.validation.view())?;
        drop(rows);
        Ok((self.validation.right(&predicted), settings))
    }

    /// Rows for these settings, computed no more often than the search makes necessary.
    fn rows(&mut self, settings: &Settings) -> Result<Cow<'_, Rows>, Stopped> {
        if self.features_vary {
            return Ok(Cow::Owned(self.encoded(settings)?.scaled(settings)));
        }
        if self.shared.is_none() {
            let rows = self.encoded(settings)?;
            self.shared = Some(if self.scale_varies { rows } else { rows.scaled(settings) });
        }
        let shared = self.shared.as_ref().ok_or_else(|| Stopped::Failed("no rows were made".to_owned()))?;
        Ok(if self.scale_varies { Cow::Owned(shared.clone().scaled(settings)) } else { Cow::Borrowed(shared) })
    }

    fn encoded(&self, settings: &Settings) -> Result<Rows, Stopped> {
        let (encoder, train) = self.makers.features(settings, self.training, self.seed)?;
        Ok(Rows { train, validation: encode(encoder.as_ref(), self.validation.images()) })
    }

    fn tell(
        &mut self,
        point: &[(Target, toml::Value)],
        outcome: Result<(usize, Settings), Stopped>,
        seconds: Seconds,
    ) -> Result<(), Stopped> {
        let values = point.iter().map(|(target, value)| (target.to_string(), canonical::json(value)));
        let settings = canonical::text(&Value::Object(values.collect()));
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
            return Err(Stopped::Failed(format!("no trial finished within the limit of {} s", limit.0)));
        }
        Err(Stopped::Failed(format!("none of {n} trials gave a score; the first said: {first}")))
    }
}

#[cfg(test)]
mod tests;
