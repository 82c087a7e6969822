//! What one open page has: its points, its classifier, and how far that has learned.

#[cfg(test)]
mod tests;

use crate::curve::Curve;
use crate::learner::{Learner, Samples, n_classes};
use crate::message::{Answer, Request, View, as_json};
use crate::order::Order;
use crate::picture::{Picture, decode_numbers, grid, layers_of};
use crate::point::{MOST_POINTS, Point};
use crate::settings::Settings;
use crate::{Refused, table};
use bakeoff_core::Seed;
use ndarray::Array2;
use serde::Serialize;

/// A page's state. It does nothing by itself: [`Session::hear`] takes what the page says, [`Session::work`] trains for as long
/// as it may, [`Session::frame`] gives the next picture when the page has drawn the last.
pub struct Session {
    points: Vec<Point>,
    settings: Settings,
    samples: Samples,
    /// The classifier, or why there is none.
    learner: Result<Learner, String>,
    /// Features of the plane's cells.
    grid: Array2<f32>,
    order: Order,
    curve: Curve,
    /// What the page wants to see, where it has said so.
    chosen: Option<View>,
    steps: u64,
    /// Whether these points and settings give this state after so many steps.
    is_replayable: bool,
    /// Why training cannot go on.
    diverged: Option<String>,
    running: bool,
    /// Steps between two pictures at most; 0 for no limit.
    pace: u64,
    /// Steps after which training stops by itself.
    goal: Option<u64>,
    /// Frames made, and the last that the page has drawn.
    made: u64,
    drawn: u64,
    /// Times that it worked since the last frame.
    worked: u32,
    /// Whether there is something to draw.
    has_changed: bool,
}

/// How often a session works before its page has drawn the last picture: a page that is slow is not waited for, one that is hidden
/// does not keep the processor busy.
const MOST_UNSEEN: u32 = 4;

/// Weights up to which a page puts them into its link.
const MOST_LINKED: usize = 4096;

#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "facts of a message, each for itself")]
struct Frame<'a> {
    kind: &'static str,
    number: u64,
    running: bool,
    /// Whether training goes on to a number of steps.
    goal: Option<u64>,
    steps: u64,
    epochs: f64,
    n_points: usize,
    n_classes: usize,
    settings: &'a Settings,
    /// Whether a link needs no weights.
    replayable: bool,
    /// Whether a link may hold the weights.
    linkable: bool,
    trains: bool,
    /// Why there is nothing to draw, or no training.
    told: Option<&'a str>,
    curve: &'a Curve,
    picture: Option<Picture>,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// A session without points.
    pub fn new() -> Self {
        let settings = Settings::default();
        let mut session = Self {
            samples: Samples::new(&[], settings.features),
            grid: grid(settings.features),
            order: Order::new(Seed(0), 0),
            points: Vec::new(),
            settings,
            learner: Err(String::new()),
            curve: Curve::default(),
            chosen: None,
            steps: 0,
            is_replayable: true,
            diverged: None,
            running: false,
            pace: 0,
            goal: None,
            made: 0,
            drawn: 0,
            worked: 0,
            has_changed: true,
        };
        session.restart();
        session
    }

    /// Follows a message; what is to be answered at once.
    pub fn hear(&mut self, message: &str) -> Vec<String> {
        match Request::read(message).and_then(|request| self.follow(request)) {
            Ok(None) => Vec::new(),
            Ok(Some(told)) => vec![as_json(&Answer::Points { points: &self.points, told: &told })],
            Err(refused) => vec![as_json(&Answer::Refused { reason: refused.to_string() })],
        }
    }

    /// Whether [`Session::work`] would do something.
    pub fn has_work(&self) -> bool {
        let trains = self.learner.as_ref().is_ok_and(Learner::trains) && self.diverged.is_none();
        let patience = if self.pace > 0 && self.goal.is_none() { 1 } else { MOST_UNSEEN };
        trains && self.worked < patience && (self.running || self.goal.is_some_and(|goal| self.steps < goal))
    }

    /// Trains, if there is something to train: one step, and more for as long as `may_go_on` says so.
    pub fn work(&mut self, mut may_go_on: impl FnMut() -> bool) {
        if !self.has_work() {
            return;
        }
        self.worked += 1;
        self.has_changed = true;
        let most = if self.pace > 0 && self.goal.is_none() { self.pace } else { u64::MAX };
        for _ in 0..most {
            self.step();
            if self.goal.is_some_and(|goal| self.steps >= goal) {
                (self.goal, self.running) = (None, false);
                break;
            }
            if self.diverged.is_some() || !may_go_on() {
                break;
            }
        }
    }

    /// Whether [`Session::frame`] would give one.
    pub fn has_frame(&self) -> bool {
        self.has_changed && self.drawn == self.made
    }

    /// The next picture as a message, if there is anything new and the page has drawn the last one.
    pub fn frame(&mut self) -> Option<String> {
        if !self.has_frame() {
            return None;
        }
        (self.has_changed, self.worked) = (false, 0);
        self.made += 1;
        let (features, view) = (self.settings.features, self.view());
        let learner = self.learner.as_mut().ok();
        let picture = learner.map(|learner| Picture::new(learner, &self.samples, &self.grid, features, view));
        let told = self.diverged.as_deref().or(self.learner.as_ref().err().map(String::as_str));
        let frame = Frame {
            kind: "frame",
            number: self.made,
            running: self.running,
            goal: self.goal,
            steps: self.steps,
            epochs: self.order.epochs(),
            n_points: self.points.len(),
            n_classes: self.samples.labels.n_classes(),
            settings: &self.settings,
            replayable: self.is_replayable,
            linkable: picture.as_ref().is_some_and(|picture| picture.n_weights <= MOST_LINKED),
            trains: self.learner.as_ref().is_ok_and(Learner::trains),
            told,
            curve: &self.curve,
            picture,
        };
        Some(as_json(&frame))
    }

    fn step(&mut self) {
        let Ok(learner) = &mut self.learner else { return };
        let positions = self.order.next(self.settings.batch.get());
        let loss = learner.step(&self.samples, positions, self.settings.learning_rate.get());
        if !loss.is_finite() {
            let step = self.steps + 1;
            self.diverged = Some(format!("training diverged in step {step}: a smaller learning rate may help"));
            self.running = false;
            return;
        }
        self.steps += 1;
        self.curve.push(loss);
    }

    /// Follows a message; what a page should know of points that it did not send itself.
    fn follow(&mut self, request: Request) -> Result<Option<String>, Refused> {
        match request {
            Request::Open { points, preset, settings, view, steps, weights } => {
                let points = preset.map_or(Ok(points), |preset| preset.make())?;
                return self.open(points, settings, view, steps, weights.as_deref()).map(|()| Some(String::new()));
            }
            Request::Preset { preset } => {
                self.points = preset.make()?;
                self.restart();
                return Ok(Some(String::new()));
            }
            Request::Csv { text } => {
                let table = table::read(&text)?;
                self.points = table.points;
                self.restart();
                return Ok(Some(table.told));
            }
            Request::Points { points } => self.take_points(points)?,
            Request::Settings { settings } => self.take_settings(settings)?,
            Request::View { view } => self.choose(view)?,
            Request::Run { pace } => (self.running, self.pace, self.goal) = (true, u64::from(pace), None),
            Request::Pause {} => (self.running, self.goal) = (false, None),
            Request::Step { steps } => {
                (self.running, self.goal) = (false, Some(self.steps.saturating_add(u64::from(steps.max(1)))));
            }
            Request::Reset {} => self.restart(),
            Request::Drawn { frame } => {
                // A page cannot have drawn what was not made.
                self.drawn = frame.min(self.made);
                return Ok(None);
            }
        }
        self.has_changed = true;
        Ok(None)
    }

    fn open(
        &mut self,
        points: Vec<Point>,
        settings: Settings,
        view: Option<View>,
        steps: u64,
        weights: Option<&str>,
    ) -> Result<(), Refused> {
        check_points(&points)?;
        let refuse = |reason| Refused::DoesNotFit { reason };
        settings.check().map_err(refuse)?;
        let numbers = weights.map(decode_numbers).transpose().map_err(refuse)?;
        let samples = Samples::new(&points, settings.features);
        let restored = numbers.map(|numbers| Learner::restored(&settings, &samples, &numbers));
        let restored = restored.transpose().map_err(refuse)?;
        let opened = Self { points, settings, made: self.made, drawn: self.drawn, ..Self::new() };
        let before = std::mem::replace(self, opened);
        self.restart();
        if let Err(refused) = view.map_or(Ok(()), |view| self.choose(view)) {
            *self = before;
            return Err(refused);
        }
        if let Some(learner) = restored {
            (self.learner, self.steps, self.is_replayable) = (Ok(learner), steps, false);
        } else {
            self.goal = (steps > 0).then_some(steps);
        }
        Ok(())
    }

    /// Other points. What was learned stays where the classes are as many as before.
    fn take_points(&mut self, points: Vec<Point>) -> Result<(), Refused> {
        check_points(&points)?;
        let same_classes = n_classes(&points) == n_classes(&self.points);
        self.points = points;
        let samples = Samples::new(&self.points, self.settings.features);
        let goes_on = self.steps > 0
            && same_classes
            && self.learner.as_ref().is_ok_and(Learner::trains)
            && Learner::new(&self.settings, &samples).is_ok();
        if !goes_on {
            self.restart();
            return Ok(());
        }
        self.samples = samples;
        self.order.over(self.points.len());
        (self.is_replayable, self.diverged) = (false, None);
        Ok(())
    }

    /// Other settings. What was learned stays where the shape does.
    fn take_settings(&mut self, settings: Settings) -> Result<(), Refused> {
        settings.check().map_err(|reason| Refused::DoesNotFit { reason })?;
        if settings == self.settings {
            return Ok(());
        }
        let anew = settings.start_anew_after(&self.settings) || self.steps == 0 || self.diverged.is_some();
        let learner = self.learner.as_ref().ok().and_then(|learner| learner.going_on(&settings));
        self.settings = settings;
        match learner {
            Some(learner) if !anew => {
                self.learner = Ok(learner);
                self.is_replayable = false;
            }
            _ => self.restart(),
        }
        Ok(())
    }

    /// Begins training anew with the points and settings as they are.
    fn restart(&mut self) {
        let Settings { features, seed, .. } = self.settings;
        self.samples = Samples::new(&self.points, features);
        self.grid = grid(features);
        self.learner = Learner::new(&self.settings, &self.samples);
        self.order = Order::new(Seed(u64::from(seed)), self.points.len());
        self.curve = Curve::default();
        (self.steps, self.is_replayable, self.diverged, self.goal) = (0, true, None, None);
        self.has_changed = true;
    }

    fn layers(&self) -> Vec<crate::picture::Layer> {
        let learner = self.learner.as_ref();
        let layers = learner.map(|learner| layers_of(learner, self.settings.features, self.samples.labels.n_classes()));
        layers.unwrap_or_default()
    }

    /// What is shown: what was chosen where there is such a thing, else the last hidden layer, or the features where there is
    /// none.
    fn view(&self) -> View {
        let layers = self.layers();
        let is_there = |view: &View| layers.get(view.layer).is_some_and(|l| view.across < l.units && view.up < l.units);
        self.chosen.filter(is_there).unwrap_or_else(|| {
            let layer = layers.len().saturating_sub(2);
            View { layer, across: 0, up: layers.get(layer).map_or(0, |layer| layer.units.min(2) - 1) }
        })
    }

    /// Chooses a view. Without a classifier anything may be chosen: it is shown when there is such a thing.
    fn choose(&mut self, view: View) -> Result<(), Refused> {
        let before = self.chosen.replace(view);
        if self.learner.is_ok() && self.view() != view {
            self.chosen = before;
            let reason = format!("there is no layer {} with units {} and {}", view.layer, view.across, view.up);
            return Err(Refused::DoesNotFit { reason });
        }
        Ok(())
    }
}

fn check_points(points: &[Point]) -> Result<(), Refused> {
    if points.len() > MOST_POINTS {
        return Err(Refused::TooManyPoints { found: points.len() });
    }
    Ok(())
}
