//! The page of a run that is being worked on: how far it is, above the report of what is finished.
//!
//! Its second script asks the same host for how far it is, once a second, and loads the page again when there is more to see. Without JavaScript
//! the browser loads it again by itself.

use super::name;
use super::page::{Extra, Frame, framed};
use crate::report::Report;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

const SCRIPT: &str = include_str!("live.js");

/// Where the page's script asks how far the run is, as JSON of [`Live`].
pub const PROGRESS: &str = "/progress.json";

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Live {
    /// Finished cells, those of earlier runs among them.
    pub done: usize,
    /// Cells of the run; 0 before they are known.
    pub cells: usize,
    /// Finished cells, and the share of the one in work, from 0 to `cells`.
    pub position: f64,
    /// What is worked on, in words: "mlp-2, seed 0: pass 3 of 10".
    pub at: String,
    /// Seconds that the rest may take; `None` before anything is finished.
    pub seconds_left: Option<f64>,
    /// Whether nothing more will come.
    pub ended: bool,
    /// Rows that the page was made of, or could be made of now.
    pub rows: usize,
}

impl Live {
    /// How far it is, in a line.
    pub fn in_words(&self) -> String {
        if self.ended {
            return format!("The run has ended: {} of {} cells are finished.", self.done, self.cells);
        }
        let left = self.seconds_left.filter(|seconds| seconds.is_finite()).map_or_else(String::new, |seconds| {
            let whole = seconds.round().max(0.0) as u64;
            let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
            format!(" About {hours}:{minutes:02}:{seconds:02} left.")
        });
        let at = if self.at.is_empty() { String::new() } else { format!(" Now {}.", self.at) };
        format!("{} of {} cells are finished.{at}{left}", self.done, self.cells)
    }
}

/// The page of a run so far.
pub fn live_page(report: &Report<'_>, live: &Live) -> String {
    let top = html! { (shown(live)) (super::head::shown(report)) };
    let head = html! { @if !live.ended { noscript { meta http-equiv="refresh" content="5"; } } };
    let extra = Extra { head, script: SCRIPT, connect: "'self'" };
    let sections: Vec<_> = super::sections(report).into_iter().flatten().collect();
    framed(&Frame { title: &report.title, version: &report.run.host.version }, &top, &sections, Some(&extra))
}

fn shown(live: &Live) -> Markup {
    html! {
        div.live id="live" data-rows=(live.rows) data-ended[live.ended] data-progress=(PROGRESS) {
            progress id="live-bar" aria-label="Finished cells" max=(live.cells.max(1)) value=(format!("{:.3}", live.position)) {}
            p id="live-text" { (name(&live.in_words())) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_in_a_line() {
        let live = Live {
            done: 3,
            cells: 18,
            position: 3.5,
            at: "mlp-2, seed 0: pass 3 of 10".to_owned(),
            seconds_left: Some(3725.4),
            ..Live::default()
        };
        assert_eq!(live.in_words(), "3 of 18 cells are finished. Now mlp-2, seed 0: pass 3 of 10. About 1:02:05 left.");
        let nothing = Live { cells: 2, seconds_left: Some(f64::INFINITY), ..Live::default() };
        assert_eq!(nothing.in_words(), "0 of 2 cells are finished.");
        assert_eq!(Live { ended: true, ..live }.in_words(), "The run has ended: 3 of 18 cells are finished.");
    }
}
