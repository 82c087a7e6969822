//! Predictions as text, CSV or JSON. Text and CSV are written as they come, JSON when all are there.

use crate::models::Opened;
use crate::terminal::answer;
use bakeoff_core::ScoreKind;
use serde_json::{Value, json};
use std::io;
use std::path::Path;

/// How predictions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A line an image
    Text,
    /// A line a class, with a header
    Csv,
    /// One object
    Json,
}

/// Tells predictions one by one.
pub(crate) struct Show<'a> {
    format: Format,
    model: &'a Path,
    opened: &'a Opened,
    top: usize,
    has_header: bool,
    told: Vec<Value>,
}

/// A class with its score and, where scores are logits, its probability.
struct Guess<'a> {
    class: &'a str,
    score: f32,
    probability: Option<f64>,
}

impl<'a> Show<'a> {
    pub(crate) fn new(format: Format, model: &'a Path, opened: &'a Opened, top: usize) -> Self {
        Self { format, model, opened, top, has_header: false, told: Vec::new() }
    }

    /// What an image is, from its scores (k).
    pub(crate) fn image(&mut self, path: &Path, scores: &[f32]) -> io::Result<()> {
        let path = path.display().to_string();
        let guesses = self.guesses(scores);
        match self.format {
            Format::Text => {
                let kind = name_of(self.opened.pipeline.score_kind());
                answer(&format!("{path}: {}", in_words(&guesses, kind)))
            }
            Format::Csv => {
                let lines: Vec<String> =
                    guesses.iter().enumerate().map(|(i, guess)| csv_line(&path, i + 1, guess)).collect();
                if !std::mem::replace(&mut self.has_header, true) {
                    answer("path,rank,class,score,probability")?;
                }
                answer(&lines.join("\n"))
            }
            Format::Json => {
                let guess = |guess: &Guess<'_>| {
                    let mut object = json!({"class": guess.class, "score": guess.score});
                    if let Some(probability) = guess.probability {
                        object["probability"] = json!(probability);
                    }
                    object
                };
                self.told.push(json!({"path": path, "top": guesses.iter().map(guess).collect::<Vec<_>>()}));
                Ok(())
            }
        }
    }

    /// What is told at the end.
    pub(crate) fn finish(self) -> io::Result<()> {
        if self.format != Format::Json {
            return Ok(());
        }
        let object = json!({
            "model": self.model.display().to_string(),
            "pipeline": self.opened.card.pipeline,
            "scores": name_of(self.opened.pipeline.score_kind()),
            "images": self.told,
        });
        answer(&object.to_string())
    }

    /// The best classes, the lowest first among equals.
    fn guesses(&self, scores: &[f32]) -> Vec<Guess<'a>> {
        let probabilities = (self.opened.pipeline.score_kind() == ScoreKind::Logit).then(|| softmax(scores));
        let classes = &self.opened.card.classes;
        let mut order: Vec<usize> = (0..scores.len().min(classes.len())).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
        let guess = |&i: &usize| Guess {
            class: &classes[i],
            score: scores[i],
            probability: probabilities.as_ref().and_then(|all| all.get(i).copied()),
        };
        order.iter().take(self.top).map(guess).collect()
    }
}

/// e^s / Σ e^s, the maximum taken off first.
fn softmax(scores: &[f32]) -> Vec<f64> {
    let greatest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = scores.iter().map(|&s| (f64::from(s) - f64::from(greatest)).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// What scores are called.
const fn name_of(kind: ScoreKind) -> &'static str {
    match kind {
        ScoreKind::Logit => "logit",
        ScoreKind::Margin => "margin",
        ScoreKind::Vote => "votes",
    }
}

/// Probabilities where there are any, else scores by their name.
fn in_words(guesses: &[Guess<'_>], kind: &str) -> String {
    let word = |guess: &Guess<'_>| match guess.probability {
        Some(probability) => format!("{} {:.1}%", guess.class, 100.0 * probability),
        None => format!("{} ({kind} {:.3})", guess.class, guess.score),
    };
    guesses.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn csv_line(path: &str, rank: usize, guess: &Guess<'_>) -> String {
    let probability = guess.probability.map(|probability| probability.to_string()).unwrap_or_default();
    format!("{},{rank},{},{},{probability}", quoted(path), quoted(guess.class), guess.score)
}

/// A CSV field (RFC 4180): in quotes where it has a comma, a quote or a line's end.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_of_great_scores_sum_to_one() {
        // log 3 apart: a quarter and three quarters.
        let found = softmax(&[1000.0, 1000.0 + 3f32.ln()]);
        assert!((found[0] - 0.25).abs() < 1e-5 && (found[1] - 0.75).abs() < 1e-5, "{found:?}");
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(softmax(&[f32::MIN, f32::MAX]), [0.0, 1.0]);
    }

    #[test]
    fn scores_that_are_no_probabilities_are_named() {
        let guess = |probability| Guess { class: "cat", score: 1.5, probability };
        assert_eq!(in_words(&[guess(Some(0.25)), guess(None)], "margin"), "cat 25.0%, cat (margin 1.500)");
    }

    #[test]
    fn fields_with_commas_and_quotes_are_quoted() {
        let guess = Guess { class: "a \"b\"", score: -0.5, probability: None };
        assert_eq!(csv_line("x,y.png", 1, &guess), "\"x,y.png\",1,\"a \"\"b\"\"\",-0.5,");
    }
}
