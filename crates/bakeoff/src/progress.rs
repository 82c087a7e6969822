//! What is shown while cells are worked on: a bar on a terminal, plain lines elsewhere.

use crate::terminal;
use crate::watching::Watcher;
use bakeoff_core::Epoch;
use bakeoff_report::Live;
use bakeoff_results::{Cell, Confusion, Outcome, Row};
use bakeoff_runner::clock::Stopwatch;
use bakeoff_runner::{Alike, Event, Observer, Stage};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::time::Duration;

/// Tells a person how far the work is.
pub(crate) struct Progress {
    tally: Tally,
    bar: Option<ProgressBar>,
    test_labels: Vec<usize>,
    n_classes: usize,
    /// What is worked on, in words.
    at: String,
    /// Who tells pages in a browser.
    watcher: Option<Watcher>,
}

/// Units of the bar a cell.
const UNITS: f64 = 1000.0;

impl Progress {
    /// `watched` says that there is a terminal to draw on.
    pub(crate) fn new(test_labels: Vec<usize>, n_classes: usize, watched: bool) -> Self {
        let bar = watched.then(|| {
            let bar = ProgressBar::new(0).with_style(style());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { tally: Tally::default(), bar, test_labels, n_classes, at: String::new(), watcher: None }
    }

    /// Tells pages in a browser, too.
    pub(crate) fn watched_by(self, watcher: Option<Watcher>) -> Self {
        Self { watcher, ..self }
    }

    /// All of these cells are finished: what is told from now on is of their repeats.
    pub(crate) fn after(self, cells: usize) -> Self {
        Self { tally: Tally { repeats: true, ..Tally::of(cells, &Alike::new()) }, ..self }
    }

    /// Takes the bar away, and gives back who tells pages.
    pub(crate) fn finish(&mut self) -> Option<Watcher> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.at.clear();
        self.tell_pages("");
        self.watcher.take()
    }

    /// A stage or a pass is no news that must not be missed; that a cell begins or ends is.
    fn tell_pages(&mut self, what: &str) {
        let live = self.watcher.is_some().then(|| self.live(what));
        if let (Some(watcher), Some(live)) = (&mut self.watcher, live) {
            watcher.tell(&live, !what.is_empty());
        }
    }

    /// How far it is, for pages.
    fn live(&self, what: &str) -> Live {
        Live {
            done: self.tally.done,
            cells: self.tally.cells(),
            position: self.tally.position(),
            at: format!("{}{what}", self.at),
            seconds_left: self.tally.seconds_left(),
            ended: false,
            rows: 0,
        }
    }

    fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| terminal::tell(line)),
            None => terminal::tell(line),
        }
    }

    fn draw(&mut self, what: &str) {
        self.tell_pages(what);
        let Some(bar) = &self.bar else { return };
        bar.set_position((self.tally.position() * UNITS) as u64);
        let left =
            self.tally.seconds_left().map_or(String::new(), |seconds| format!(", about {} left", clock(seconds)));
        bar.set_message(format!("{}/{} {}{what}{left}", self.tally.done, self.tally.cells(), self.at));
    }

    fn outcome(&self, row: &Row) -> String {
        match &row.outcome {
            Outcome::Done(measured) => {
                let confusion = Confusion::of(&self.test_labels, &measured.predicted, self.n_classes);
                let share = confusion.right() as f64 / confusion.total().max(1) as f64;
                format!("{:.2}% in {}", share * 100.0, span(measured.total.0))
            }
            Outcome::Refused { reason } => format!("refused: {reason}"),
            Outcome::Failed { error } => format!("failed: {error}"),
        }
    }
}

fn style() -> ProgressStyle {
    let template = if terminal::wants_color() {
        "{bar:24.cyan/dim} {elapsed_precise} {msg}"
    } else {
        "{bar:24} {elapsed_precise} {msg}"
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸─")
}

impl Observer for Progress {
    fn tell(&mut self, event: Event<'_>) {
        match event {
            Event::Planned { finished, todo } => {
                if finished > 0 {
                    self.line(&format!(
                        "{finished} of {} cells are there already",
                        finished + todo.values().sum::<usize>()
                    ));
                }
                self.tally = Tally::of(finished, todo);
                if let Some(bar) = &self.bar {
                    bar.set_length((self.tally.cells() as f64 * UNITS) as u64);
                }
            }
            Event::CellStarted { cell } => {
                self.tally.start(cell);
                self.at = named(cell);
                self.draw("");
            }
            Event::Repeating { cell, number, of } => {
                self.at = format!("{}, timing {number} of {of}", named(cell));
                self.draw("");
            }
            Event::Stage(stage) => {
                self.tally.stage(stage);
                self.draw(&format!(": {}", stage_name(stage)));
            }
            Event::Epoch(epoch) => {
                self.tally.epoch(epoch);
                self.draw(&format!(": pass {} of {}", epoch.number, epoch.of));
            }
            Event::CellFinished { row } => {
                self.tally.finish();
                let left = self.tally.seconds_left().filter(|_| self.bar.is_none() && self.tally.left() > 0);
                let left = left.map_or(String::new(), |seconds| format!("; about {} left", clock(seconds)));
                let (done, cells) = (self.tally.done, self.tally.cells());
                self.at.clear();
                self.tell_pages("");
                self.line(&format!("[{done}/{cells}] {}: {}{left}", named(&row.cell), self.outcome(row)));
            }
        }
    }
}

fn named(cell: &Cell) -> String {
    let size = cell.train_size.map_or(String::new(), |size| format!(", {size} training images"));
    format!("{}, seed {}{size}", cell.pipeline, cell.seed)
}

fn stage_name(stage: Stage) -> String {
    match stage {
        Stage::Trial { number, of } => format!("trial {number} of {of}"),
        Stage::Features => "features".to_owned(),
        Stage::Fit => "fit".to_owned(),
        Stage::Test => "test".to_owned(),
    }
}

/// Seconds with as many digits as matter.
pub(crate) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 0.995 => format!("{s:.2} s"),
        s if s < 99.95 => format!("{s:.1} s"),
        s => clock(s),
    }
}

/// Minutes and seconds, or hours, minutes and seconds.
fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// How much is done, and how long the rest may take.
#[derive(Default)]
struct Tally {
    done: usize,
    /// Cells that are neither finished nor in work: a grid has thousands of cells and a handful of kinds.
    todo: Alike,
    current: Option<(Kind, Stopwatch)>,
    /// Share of the current cell, by its passes and trials.
    share: f64,
    /// (trial, of) of the current cell; (0, 0) without a search.
    trials: (usize, usize),
    /// (seconds, cells) spent on finished cells.
    spent: BTreeMap<Kind, (f64, usize)>,
    /// Whether finished cells are timed again, which moves nothing.
    repeats: bool,
}

/// What decides how long a cell takes, as far as is known before.
type Kind = (String, Option<usize>);

fn kind(cell: &Cell) -> Kind {
    (cell.pipeline.clone(), cell.train_size)
}

impl Tally {
    fn of(done: usize, todo: &Alike) -> Self {
        Self { done, todo: todo.clone(), ..Self::default() }
    }

    fn left(&self) -> usize {
        self.todo.values().sum()
    }

    fn cells(&self) -> usize {
        self.done + self.left() + usize::from(self.current.is_some())
    }

    fn start(&mut self, cell: &Cell) {
        let kind = kind(cell);
        if let Some(left) = self.todo.get_mut(&kind) {
            *left = left.saturating_sub(1);
        }
        self.current = Some((kind, Stopwatch::start()));
        (self.share, self.trials) = (0.0, (0, 0));
    }

    fn stage(&mut self, stage: Stage) {
        match stage {
            Stage::Trial { number, of } => self.trials = (number, of),
            Stage::Features => self.trials.0 = self.trials.1 + 1,
            Stage::Fit | Stage::Test => {}
        }
        self.epoch(Epoch::new(usize::from(stage == Stage::Test), 1, 0.0));
    }

    /// Each trial and the last fit count the same.
    fn epoch(&mut self, epoch: Epoch<'_>) {
        if self.repeats {
            return;
        }
        let fits = (self.trials.1 + 1) as f64;
        let pass = epoch.number as f64 / epoch.of.max(1) as f64;
        self.share = ((self.trials.0.saturating_sub(1) as f64 + pass.min(1.0)) / fits).min(1.0);
    }

    fn finish(&mut self) {
        if let Some((kind, watch)) = self.current.take() {
            let (seconds, cells) = self.spent.entry(kind).or_default();
            *seconds += watch.elapsed().0;
            *cells += 1;
        }
        self.done += 1;
        self.share = 0.0;
    }

    fn position(&self) -> f64 {
        self.done as f64 + self.share
    }

    /// Cells of a kind take what such cells took, unknown ones what the average cell took. None before anything is
    /// finished.
    fn seconds_left(&self) -> Option<f64> {
        let (seconds, cells) = self.spent.values().fold((0.0, 0), |(s, n), (more, cells)| (s + more, n + cells));
        if cells == 0 {
            return None;
        }
        let expected = |kind: &Kind| match self.spent.get(kind) {
            Some((seconds, cells)) => seconds / *cells as f64,
            None => seconds / cells as f64,
        };
        let current = self.current.as_ref().map_or(0.0, |(kind, watch)| (expected(kind) - watch.elapsed().0).max(0.0));
        Some(current + self.todo.iter().map(|(kind, n)| *n as f64 * expected(kind)).sum::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(pipeline: &str) -> Cell {
        Cell { pipeline: pipeline.to_owned(), seed: 0, train_size: None, digest: String::new() }
    }

    #[test]
    fn the_rest_takes_what_its_like_took() {
        let (a, b, c) = (cell("a"), cell("b"), cell("c"));
        let mut tally = Tally::of(2, &Alike::from([(kind(&a), 2), (kind(&b), 1), (kind(&c), 1)]));
        assert_eq!((tally.cells(), tally.seconds_left()), (6, None));
        tally.spent.insert(kind(&a), (10.0, 2));
        tally.spent.insert(kind(&b), (20.0, 1));
        // a: 5 s twice, b: 20 s, c: the average of three cells, 10 s.
        assert_eq!(tally.seconds_left(), Some(40.0));
        tally.start(&a);
        assert_eq!(tally.cells(), 6);
        assert!(tally.seconds_left().is_some_and(|left| left <= 40.0 && left > 39.0));
        tally.finish();
        assert_eq!((tally.done, tally.cells()), (3, 6));
    }

    #[test]
    fn trials_and_passes_move_the_bar_and_never_back() {
        let mut tally = Tally::of(0, &Alike::from([(kind(&cell("a")), 1)]));
        tally.start(&cell("a"));
        let mut positions = Vec::new();
        for number in 1..=3 {
            tally.stage(Stage::Trial { number, of: 3 });
            tally.epoch(Epoch::new(1, 2, 0.0));
            positions.push(tally.position());
        }
        for stage in [Stage::Features, Stage::Fit, Stage::Test] {
            tally.stage(stage);
            positions.push(tally.position());
        }
        assert_eq!(positions, [0.125, 0.375, 0.625, 0.75, 0.75, 1.0]);
    }

    #[test]
    fn times_are_short_to_read() {
        assert_eq!([0.034, 0.999, 5.25, 99.94].map(span), ["0.03 s", "1.0 s", "5.2 s", "99.9 s"]);
        assert_eq!([99.96, 3599.6, 7325.0].map(span), ["1:40", "1:00:00", "2:02:05"]);
    }
}
