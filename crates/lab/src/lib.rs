//! The lecture, runnable: every demonstration measures what the lecture says, draws it, and says whether it holds.
//!
//! A demonstration is one file and one entry of [`CATALOGUE`]. Nothing here learns or extracts by itself: features, linear
//! classifiers, networks and neighbours are those of the project. Files, clocks and terminals are the caller's.

mod curve;
mod error;
mod field;
mod figure;
mod learn;
mod page;
mod points;
mod site;

mod activations;
mod capacity;
mod convexity;
mod feature_transform;
mod gradients;
mod image_features;
mod imagenet_2011;
mod space_warp;
mod templates;
mod twenty_lines;
mod universal_approximation;
mod words;

use bakeoff_core::{Seed, Splits};

pub use curve::{CURVES, Curve};
pub use error::LabError;
pub use page::{Claim, Page, Part};
pub use site::{index, rendered};

/// Every demonstration, in the order of the lecture.
pub const CATALOGUE: &[Demonstration] = &[
    feature_transform::DEMONSTRATION,
    image_features::DEMONSTRATION,
    words::DEMONSTRATION,
    imagenet_2011::DEMONSTRATION,
    templates::DEMONSTRATION,
    activations::DEMONSTRATION,
    twenty_lines::DEMONSTRATION,
    space_warp::DEMONSTRATION,
    capacity::DEMONSTRATION,
    universal_approximation::DEMONSTRATION,
    convexity::DEMONSTRATION,
    gradients::DEMONSTRATION,
];

/// The demonstration of this name.
pub fn named(name: &str) -> Option<&'static Demonstration> {
    CATALOGUE.iter().find(|known| known.name == name)
}

/// A demonstration before it is run.
#[derive(Debug, Clone, Copy)]
pub struct Demonstration {
    /// Its name on the command line and the stem of its file.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What it asks, in a sentence.
    pub question: &'static str,
    /// The rows of the lecture that it shows, as `LECTURE` numbers them.
    pub lecture: &'static str,
    /// Whether it shows Fashion-MNIST too, where that is at hand.
    pub shows_fashion_mnist: bool,
    /// Measures and draws.
    pub show: fn(&Setting<'_>) -> Result<Page, LabError>,
}

/// What demonstrations are run with.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// Everything that is drawn by chance comes from it: the same seed gives the same page, to the bit.
    pub seed: Seed,
    /// How much is computed.
    pub effort: Effort,
    /// The curve of `universal-approximation`.
    pub curve: Curve,
    /// Fashion-MNIST, where it is at hand.
    pub fashion_mnist: Option<&'a Splits>,
}

impl Default for Setting<'_> {
    fn default() -> Self {
        Self { seed: Seed(0), effort: Effort::Whole, curve: Curve::default(), fashion_mnist: None }
    }
}

/// How much is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// Every number of a page.
    #[default]
    Whole,
    /// Fewer images, repetitions and passes: every claim still holds, with less certain figures. For tests.
    Short,
}

impl Setting<'_> {
    /// One of two sizes, by effort.
    pub(crate) fn either<T>(&self, whole: T, short: T) -> T {
        match self.effort {
            Effort::Whole => whole,
            Effort::Short => short,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_file_stems_and_unlike_each_other() {
        let mut names: Vec<&str> = CATALOGUE.iter().map(|d| d.name).collect();
        assert!(
            names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CATALOGUE.len());
        assert!(CATALOGUE.iter().all(|d| d.question.ends_with('?') && !d.lecture.is_empty()));
        assert!(named("gradients").is_some() && named("no-such-page").is_none());
    }
}
