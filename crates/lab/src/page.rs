//! What a demonstration shows: question, formulas, pictures, measurements, claims with their figures, and what to try.

use crate::{Demonstration, LabError};
use maud::Markup;
use serde::Serialize;
use serde_json::{Value, json};

/// A demonstration that was run.
#[derive(Debug, Clone)]
pub struct Page {
    /// Which one.
    pub demonstration: &'static Demonstration,
    /// Formulas, a line each, with what their letters mean; the letter after `_` stands below the line.
    pub formulas: Vec<&'static str>,
    /// Pictures and tables.
    pub parts: Vec<Part>,
    /// What the lecture says, each with what was measured.
    pub claims: Vec<Claim>,
    /// What a reader can change, and what happens then; what is to be typed stands between backticks.
    pub tries: Vec<&'static str>,
    /// All numbers behind it.
    pub numbers: Value,
}

/// A section of a page.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its heading.
    pub title: &'static str,
    /// What stands in it.
    pub body: Markup,
}

/// One statement of the lecture.
#[derive(Debug, Clone, Serialize)]
pub struct Claim {
    /// The statement, in a sentence.
    pub statement: &'static str,
    /// Whether the measurement agrees.
    pub holds: bool,
    /// What was measured, with the figure at which it would have been denied: a sentence that is understood by itself, without
    /// its full stop and without a capital that it does not need.
    pub measured: String,
}

impl Claim {
    /// A statement, whether it holds, and by which figures.
    pub(crate) fn new(statement: &'static str, holds: bool, measured: String) -> Self {
        Self { statement, holds, measured }
    }
}

impl Part {
    /// A section.
    pub(crate) fn new(title: &'static str, body: Markup) -> Self {
        Self { title, body }
    }
}

impl Page {
    /// Joins what was measured and drawn.
    pub(crate) fn new(demonstration: &'static Demonstration, numbers: &impl Serialize) -> Result<Self, LabError> {
        let numbers = serde_json::to_value(numbers)?;
        let (formulas, parts, claims, tries) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self { demonstration, formulas, parts, claims, tries, numbers })
    }

    /// Whether every claim holds.
    pub fn holds(&self) -> bool {
        self.claims.iter().all(|claim| claim.holds)
    }

    /// Whether the claims hold, and the figures of each, in sentences.
    pub fn verdict(&self) -> String {
        let (head, told) = self.told();
        format!("{head}: {}.", told.join("; "))
    }

    /// Whether the claims hold, and the figures of all, or of those that do not.
    pub(crate) fn told(&self) -> (String, Vec<&str>) {
        let denied: Vec<&Claim> = self.claims.iter().filter(|claim| !claim.holds).collect();
        let (head, told) = match (denied.len(), self.claims.len()) {
            (0, 1) => ("The claim holds".to_owned(), self.claims.iter().collect()),
            (0, 2) => ("Both claims hold".to_owned(), self.claims.iter().collect()),
            (0, n) => (format!("All {n} claims hold"), self.claims.iter().collect()),
            (1, n) => (format!("One of {n} claims does not hold"), denied),
            (m, n) => (format!("{m} of {n} claims do not hold"), denied),
        };
        (head, told.into_iter().map(|claim| claim.measured.as_str()).collect())
    }

    /// The numbers with the claims, as JSON.
    pub fn json(&self) -> Value {
        let Demonstration { name, title, question, lecture, .. } = *self.demonstration;
        json!({
            "page": name, "title": title, "question": question, "lecture": lecture, "holds": self.holds(),
            "claims": self.claims, "numbers": self.numbers,
        })
    }
}
