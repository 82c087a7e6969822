//! Pictures of figures, one file each: what is to be seen in a sentence, and the plot.

mod budget;
mod classes;
mod cost;
mod curves;
mod differences;
mod ranks;
mod sizes;
mod standing;

pub(crate) use budget::budget;
pub(crate) use classes::by_class;
pub(crate) use cost::{cost, cost_axes};
pub(crate) use curves::curves;
pub(crate) use differences::{Scale, differences, differences_of};
pub(crate) use ranks::ranks;
pub(crate) use sizes::sizes;
pub(crate) use standing::standing;

use crate::plot::Mark;
use crate::report::Report;
use maud::Markup;

/// A plot and what it says.
pub(crate) struct Figure {
    /// What is to be seen, in sentences: the caption, and the text for those who do not see the plot.
    pub(crate) finding: String,
    pub(crate) plot: Markup,
    /// The pipelines in it, where the plot does not name each.
    pub(crate) legend: Vec<(String, Mark)>,
}

/// Marks and names of pipelines for a legend.
fn legend<'a>(report: &Report<'_>, names: impl Iterator<Item = &'a str>) -> Vec<(String, Mark)> {
    names.map(|name| (name.to_owned(), report.mark(name))).collect()
}

/// "a, b and c".
pub(crate) fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
