//! Fitting a pipeline on training images, and scoring with it.

use crate::Catalogues;
use crate::clock::{Spent, Stopwatch, timed};
use crate::material::Training;
use crate::observer::{Event, Observer};
use crate::settings::Settings;
use bakeoff_core::{
    Classifier, Encoder, Epoch, ExtractError, Extractor, FitError, Fitted, ImagesView, Labels, Model, Seed,
    argmax_rows, encode,
};
use bakeoff_numeric::{Scaler, Scaling};
use bakeoff_results::{EpochLoss, Seconds};
use ndarray::{Array2, ArrayView2};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

/// Images encoded and scored at a time. Their features never exist all at once, and the size is fixed so that no bit
/// depends on the machine.
const BLOCK: usize = 4096;

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The pipeline does not take this input.
    Refused(String),
    /// It broke.
    Failed(String),
    /// The time for trials was over.
    OutOfTime,
    /// The user wants to stop.
    Interrupted,
}

impl From<ExtractError> for Stopped {
    fn from(error: ExtractError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<FitError> for Stopped {
    fn from(error: FitError) -> Self {
        match error {
            FitError::Refused { reason } => Self::Refused(reason),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Looks at the user's wish to stop and at the time, and passes on what happens.
pub(crate) struct Watch<'a> {
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) stop: &'a AtomicBool,
    /// A limit and the watch that it is read on.
    pub(crate) limit: Option<(Stopwatch, Seconds)>,
}

impl Watch<'_> {
    /// Whether to go on.
    pub(crate) fn check(&self) -> Result<(), Stopped> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Stopped::Interrupted);
        }
        match self.limit {
            Some((watch, limit)) if watch.elapsed() >= limit => Err(Stopped::OutOfTime),
            _ => Ok(()),
        }
    }

    pub(crate) fn tell(&mut self, event: Event<'_>) {
        self.observer.tell(event);
    }

    fn epoch(&mut self, epoch: Epoch) -> ControlFlow<()> {
        self.tell(Event::Epoch(epoch));
        if self.check().is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// Where features come from and what they may take.
#[derive(Clone, Copy)]
pub(crate) struct Makers<'a> {
    pub(crate) catalogues: Catalogues<'a>,
    /// Bytes that a feature matrix may take.
    pub(crate) memory: Option<u64>,
}

impl Makers<'_> {
    /// Fits the extractor on training images and encodes them: (n, d).
    pub(crate) fn features(
        self,
        settings: &Settings,
        training: &Training<'_>,
        seed: Seed,
    ) -> Result<(Box<dyn Encoder>, Array2<f32>), Stopped> {
        let extractor = settings.extractor(self.catalogues).map_err(Stopped::Refused)?;
        let encoder = extractor.fit(training.images(), seed.derive("extractor"))?;
        self.check_memory(training.len(), encoder.dim())?;
        let rows = encode(encoder.as_ref(), training.images());
        Ok((encoder, rows))
    }

    /// Refuses a matrix that would not fit, before memory is taken: the system would kill the whole run.
    fn check_memory(self, n: usize, d: usize) -> Result<(), Stopped> {
        let needed = n as u128 * d as u128 * size_of::<f32>() as u128;
        // What learns may keep the rows or need as much again. An address space is the limit where the machine does not
        // tell.
        let limit = u128::from(self.memory.unwrap_or(1 << 47)) / 2;
        if needed <= limit {
            return Ok(());
        }
        let gib = |bytes: u128| bytes as f64 / f64::from(1 << 30);
        let (needed, limit) = (gib(needed), gib(limit));
        Err(Stopped::Refused(format!(
            "features of {n} images × {d} numbers take {needed:.1} GiB, more than half of the free memory, {limit:.1} GiB"
        )))
    }
}

/// Runs a classifier's fit. One that was broken off is no result.
pub(crate) fn learn(
    classifier: &dyn Classifier,
    x: ArrayView2<'_, f32>,
    labels: &Labels,
    seed: Seed,
    watch: &mut Watch<'_>,
) -> Result<(Fitted, Vec<EpochLoss>), Stopped> {
    watch.check()?;
    let mut curve = Vec::new();
    let fitted = classifier.fit(x, labels, seed.derive("classifier"), &mut |epoch| {
        curve.push(EpochLoss { epoch: epoch.number, loss: epoch.loss });
        watch.epoch(epoch)
    });
    watch.check()?;
    Ok((fitted?, curve))
}

/// A pipeline that has learned and is ready to score.
pub(crate) struct FittedPipeline {
    encoder: Box<dyn Encoder>,
    scaler: Scaler,
    model: Box<dyn Model>,
    pub(crate) epochs: usize,
    pub(crate) converged: bool,
    pub(crate) curve: Vec<EpochLoss>,
}

impl FittedPipeline {
    /// Fits features, scaling and classifier, in this order, on training images alone. Features of training images are
    /// gone when it returns.
    pub(crate) fn fit(
        settings: &Settings,
        makers: Makers<'_>,
        training: &Training<'_>,
        seed: Seed,
        watch: &mut Watch<'_>,
        spent: &mut Spent,
    ) -> Result<Self, Stopped> {
        let classifier = settings.learner(makers.catalogues).map_err(Stopped::Refused)?;
        let (encoder, mut x) = timed(&mut spent.features, || makers.features(settings, training, seed))?;
        watch.check()?;
        watch.tell(Event::Stage(crate::Stage::Fit));
        let scaler = timed(&mut spent.fit, || scale(settings.scale, &mut x));
        let learned = timed(&mut spent.fit, || learn(classifier.as_ref(), x.view(), training.labels(), seed, watch));
        let (Fitted { model, epochs, converged }, curve) = learned?;
        Ok(Self { encoder, scaler, model, epochs, converged, curve })
    }

    /// The predicted class ids of images, block by block.
    pub(crate) fn predict(
        &self,
        images: ImagesView<'_>,
        watch: &Watch<'_>,
        spent: &mut Spent,
    ) -> Result<Vec<usize>, Stopped> {
        let mut predicted = Vec::with_capacity(images.len());
        for start in (0..images.len()).step_by(BLOCK) {
            watch.check()?;
            let block = images.range(start, (start + BLOCK).min(images.len()));
            let mut rows = timed(&mut spent.features, || encode(self.encoder.as_ref(), block));
            let ids = timed(&mut spent.predict, || {
                self.scaler.apply(rows.view_mut());
                classify(self.model.as_ref(), rows.view())
            });
            predicted.extend(ids?);
        }
        Ok(predicted)
    }

    /// d, the numbers an image becomes.
    pub(crate) fn dim(&self) -> usize {
        self.encoder.dim()
    }

    /// Bytes of everything that was learned.
    pub(crate) fn model_bytes(&self) -> usize {
        self.encoder.model_bytes() + self.scaler.model_bytes() + self.model.model_bytes()
    }
}

/// Fits a scaler on training rows and applies it to them.
pub(crate) fn scale(scaling: Scaling, x: &mut Array2<f32>) -> Scaler {
    let scaler = Scaler::fit(scaling, x.view());
    scaler.apply(x.view_mut());
    scaler
}

/// The class of the greatest score in each row. A score that is no number would look like class 0.
pub(crate) fn classify(model: &dyn Model, rows: ArrayView2<'_, f32>) -> Result<Vec<usize>, Stopped> {
    let scores = model.scores(rows);
    if let Some(row) = scores.outer_iter().position(|row| row.iter().any(|score| score.is_nan())) {
        return Err(Stopped::Failed(format!("the scores of image {row} of a block are no numbers")));
    }
    Ok(argmax_rows(scores.view()).to_vec())
}
