//! Fitting a pipeline on training images, and scoring with it.

use crate::Catalogues;
use crate::cache::{Remembering, Saved};
use crate::clock::{Spent, Stopwatch, timed};
use crate::machine::Machine;
use crate::material::Training;
use crate::observer::{Event, Observer, Stage};
use crate::rows::{Fitting, RowMaker, images_scored_at_once};
use crate::settings::Settings;
use crate::states::{Keeping, Learned};
use bakeoff_core::{
    Classifier, Epoch, ExtractError, FitError, Fitted, ImagesView, Labels, Model, Rows, Seed, argmax_rows,
};
use bakeoff_results::{EpochLoss, Seconds};
use bakeoff_unsupervised::UnsupervisedError;
use ndarray::{Array2, ArrayView2};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

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

impl From<UnsupervisedError> for Stopped {
    fn from(error: UnsupervisedError) -> Self {
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
    /// CPU time that is given.
    pub(crate) limit: Option<Allowance<'a>>,
}

/// CPU time that may be used from now on; wall time where the machine does not tell CPU time.
#[derive(Clone, Copy)]
pub(crate) struct Allowance<'a> {
    machine: &'a dyn Machine,
    cpu: Seconds,
    wall: Stopwatch,
    limit: Seconds,
}

impl<'a> Allowance<'a> {
    pub(crate) fn new(machine: &'a dyn Machine, limit: Seconds) -> Self {
        Self { machine, cpu: machine.cpu(), wall: Stopwatch::start(), limit }
    }

    fn is_used_up(&self) -> bool {
        let cpu = self.machine.cpu().0;
        let used = if cpu > 0.0 { cpu - self.cpu.0 } else { self.wall.elapsed().0 };
        used >= self.limit.0
    }
}

impl Watch<'_> {
    /// Whether to go on.
    pub(crate) fn check(&self) -> Result<(), Stopped> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Stopped::Interrupted);
        }
        match &self.limit {
            Some(allowance) if allowance.is_used_up() => Err(Stopped::OutOfTime),
            _ => Ok(()),
        }
    }

    pub(crate) fn tell(&mut self, event: Event<'_>) {
        self.observer.tell(event);
    }

    pub(crate) fn epoch(&mut self, epoch: Epoch<'_>) -> ControlFlow<()> {
        self.tell(Event::Epoch(epoch));
        if self.check().is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// Where features come from and what they may take.
#[derive(Clone, Copy)]
pub(crate) struct Makers<'a> {
    pub(crate) catalogues: Catalogues<'a>,
    /// Free memory in bytes.
    pub(crate) memory: Option<u64>,
    /// Where features are kept.
    pub(crate) remembering: Option<Remembering<'a>>,
}

/// Runs a classifier's fit. One that was broken off is no result.
pub(crate) fn learn(
    classifier: &dyn Classifier,
    x: &dyn Rows,
    labels: &Labels,
    seed: Seed,
    watch: &mut Watch<'_>,
) -> Result<Learned, Stopped> {
    watch.check()?;
    let mut curve = Vec::new();
    let fitted = classifier.fit(x, labels, seed, &mut |epoch| {
        curve.push(EpochLoss { epoch: epoch.number, loss: epoch.loss });
        watch.epoch(epoch)
    });
    watch.check()?;
    Ok(Learned { fitted: fitted?, curve, before: Saved::default(), note: None })
}

/// The seed of a branch's classifier.
pub(crate) fn classifier_seed(branch: Seed) -> Seed {
    branch.derive("classifier")
}

/// A branch that has learned.
pub(crate) struct FittedBranch {
    pub(crate) maker: RowMaker,
    pub(crate) model: Box<dyn Model>,
}

/// A pipeline that has learned and is ready to score.
pub(crate) struct FittedPipeline {
    pub(crate) branches: Vec<FittedBranch>,
    /// Of all branches.
    pub(crate) epochs: usize,
    pub(crate) converged: bool,
    /// Of the first branch; the others have curves of their own that no figure shows.
    pub(crate) curve: Vec<EpochLoss>,
    /// What a reader of the result should know of it.
    pub(crate) notes: Vec<String>,
}

impl FittedPipeline {
    /// Fits features, what follows them and the classifier, branch after branch, on training images alone. Rows of
    /// training images are gone when it returns. States of the classifiers' trainings are kept where `keeping` says so.
    pub(crate) fn fit(
        settings: &Settings,
        makers: Makers<'_>,
        training: &Training<'_>,
        seed: Seed,
        keeping: Option<Keeping<'_>>,
        watch: &mut Watch<'_>,
        spent: &mut Spent,
    ) -> Result<Self, Stopped> {
        let mut pipeline =
            Self { branches: Vec::new(), epochs: 0, converged: true, curve: Vec::new(), notes: Vec::new() };
        for (i, branch) in settings.branches.iter().enumerate() {
            let seed = branch_seed(seed, i);
            watch.tell(Event::Stage(Stage::Features));
            let encoded = makers.encoded(branch, training, seed, spent)?;
            watch.check()?;
            watch.tell(Event::Stage(Stage::Fit));
            let fitting = encoded.finish(branch, training, seed, spent)?;
            let classifier = branch.learner(makers.catalogues).map_err(Stopped::Refused)?;
            let learned = timed(&mut spent.fit, || {
                let (rows, labels, seed) = (fitting.rows(training), training.labels(), classifier_seed(seed));
                match keeping {
                    Some(keeping) => keeping.learn(i, classifier.as_ref(), (&rows, labels), seed, watch),
                    None => learn(classifier.as_ref(), &rows, labels, seed, watch),
                }
            })?;
            spent.fit.0 += learned.before.wall.0;
            spent.saved.add(learned.before);
            pipeline.add(fitting, learned);
        }
        Ok(pipeline)
    }

    fn add(&mut self, fitting: Fitting, learned: Learned) {
        let Fitting { maker, notes, .. } = fitting;
        let Learned { fitted: Fitted { model, epochs, converged }, curve, note, .. } = learned;
        if self.branches.is_empty() {
            self.curve = curve;
        }
        self.branches.push(FittedBranch { maker, model });
        self.epochs += epochs;
        self.converged &= converged;
        self.notes.extend(notes.into_iter().chain(note));
    }

    /// The predicted class ids of images and the scores that they come from, row by row, block by block: the class of the
    /// greatest mean score of all branches.
    pub(crate) fn predict(
        &self,
        images: ImagesView<'_>,
        watch: &Watch<'_>,
        spent: &mut Spent,
    ) -> Result<(Vec<usize>, Vec<f32>), Stopped> {
        let (mut predicted, mut kept) = (Vec::with_capacity(images.len()), Vec::new());
        let block = block(&self.branches);
        for start in (0..images.len()).step_by(block) {
            watch.check()?;
            let images = images.range(start, (start + block).min(images.len()));
            let scores = scores(&self.branches, images, spent);
            predicted.extend(classes(scores.view())?);
            kept.extend(scores);
        }
        Ok((predicted, kept))
    }

    /// The numbers an image becomes, in all branches.
    pub(crate) fn dim(&self) -> usize {
        self.branches.iter().map(|branch| branch.maker.dim()).sum()
    }

    /// Bytes of everything that was learned.
    pub(crate) fn model_bytes(&self) -> usize {
        self.branches.iter().map(|branch| branch.maker.model_bytes() + branch.model.model_bytes()).sum()
    }
}

/// Images that are scored at a time.
pub(crate) fn block(branches: &[FittedBranch]) -> usize {
    branches.iter().map(|branch| images_scored_at_once(branch.maker.dim())).min().unwrap_or(1)
}

/// The scores (n, k) of images, added over branches.
pub(crate) fn scores(branches: &[FittedBranch], images: ImagesView<'_>, spent: &mut Spent) -> Array2<f32> {
    let mut sum: Option<Array2<f32>> = None;
    for FittedBranch { maker, model } in branches {
        let features = timed(&mut spent.features, || maker.features(images));
        let scores = timed(&mut spent.predict, || model.scores(maker.scored(features).view()));
        sum = Some(fused(sum, scores));
    }
    sum.unwrap_or_default()
}

/// The scores of branches, added: their mean has the same order.
pub(crate) fn fused(sum: Option<Array2<f32>>, scores: Array2<f32>) -> Array2<f32> {
    match sum {
        Some(sum) => sum + scores,
        None => scores,
    }
}

/// The seed of a branch; that of the first is the pipeline's own.
pub(crate) fn branch_seed(seed: Seed, branch: usize) -> Seed {
    if branch == 0 { seed } else { seed.derive("branch").nth(branch) }
}

/// The class of the greatest score in each row. A score that is no number would look like class 0.
pub(crate) fn classes(scores: ArrayView2<'_, f32>) -> Result<Vec<usize>, Stopped> {
    if let Some(row) = scores.outer_iter().position(|row| row.iter().any(|score| score.is_nan())) {
        return Err(Stopped::Failed(format!("the scores of image {row} of a block are no numbers")));
    }
    Ok(argmax_rows(scores).to_vec())
}
