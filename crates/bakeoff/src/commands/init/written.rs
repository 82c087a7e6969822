//! The file: comments, pipelines and times as TOML.
//!
//! Names of classes and files may hold any text. In comments every character that could end the line or is invisible is spelled
//! out, and values are quoted by the TOML writer.

use super::chosen::{Chosen, comparisons};
use super::found::{Choice, Found};
use super::{Timed, about};
use serde_json::{Value, json};

/// Seeds of the experiment.
const SEEDS: usize = 3;
/// Trials of a search.
const TRIALS: usize = 8;

/// A file before the times of its pipelines are known.
pub(super) struct Written {
    folder: String,
    dataset: String,
    found: Vec<String>,
    facts: Value,
    chosen: Vec<Chosen>,
    /// The experiment without comments and without a search, to time its pipelines.
    pub(super) untuned: String,
}

/// A file, and what is said of it.
pub(super) struct Done {
    /// What the experiment is called.
    pub(super) name: String,
    /// The file.
    pub(super) text: String,
    /// Lines for people.
    pub(super) told: Vec<String>,
    /// The same for programs.
    pub(super) json: Value,
}

impl Written {
    pub(super) fn new(folder: &str, choice: &Choice, found: &Found, chosen: &[Chosen]) -> Self {
        let tables: Vec<String> = chosen.iter().map(|chosen| table(chosen, false)).collect();
        let untuned = format!("dataset = {}\nseeds = {SEEDS}\n\n{}", choice.written, tables.join("\n"));
        Self {
            folder: folder.to_owned(),
            dataset: choice.written.clone(),
            found: found.lines(),
            facts: facts(found),
            chosen: chosen.to_vec(),
            untuned,
        }
    }

    /// The whole file. Settings are searched where a run then still takes no more than `most` seconds; pipelines that do not take
    /// these images are named in a comment.
    pub(super) fn with_times(self, timed: &[Timed], most: u64) -> Done {
        let plain: f64 = timed.iter().map(|timed| timed.seconds(false)).sum();
        let tuned: f64 = timed.iter().map(|timed| timed.seconds(true)).sum();
        let is_tuned = tuned <= most as f64;
        let all = if is_tuned { tuned } else { plain };
        let of = |name: &str| timed.iter().find(|timed| timed.pipeline == name);
        let takes = |chosen: &&Chosen| of(chosen.name).is_some_and(|timed| timed.forecast.is_ok());
        let kept: Vec<&Chosen> = self.chosen.iter().filter(takes).collect();
        let left_out: Vec<&Timed> = timed.iter().filter(|timed| timed.forecast.is_err()).collect();
        let budget = if is_tuned {
            format!(
                "A run takes {} on this machine, {TRIALS} trials for the settings of each pipeline among it; without the search {}.",
                about(tuned),
                about(plain)
            )
        } else {
            format!(
                "A run takes {} on this machine. With {TRIALS} trials for the settings of each pipeline it would take {}: see [protocol].",
                about(plain),
                about(tuned)
            )
        };
        let mut text = self.head(&budget);
        text.push_str(&protocol(is_tuned));
        for chosen in &kept {
            let time = of(chosen.name).map_or_else(String::new, |timed| timed.in_words(is_tuned));
            let parts = ["\n".to_owned(), comment(&chosen.why), comment(&time), table(chosen, is_tuned)];
            text.push_str(&parts.concat());
        }
        for timed in &left_out {
            text.push('\n');
            text.push_str(&comment(&timed.in_words(is_tuned)));
        }
        let names: Vec<&str> = kept.iter().map(|chosen| chosen.name).collect();
        text.push_str(&compared(&names));
        let mut told = self.found.iter().map(|line| visible(line)).collect::<Vec<_>>();
        told.push(String::new());
        told.extend(timed.iter().map(|timed| format!("{}: {}", timed.pipeline, timed.in_words(is_tuned))));
        told.push(budget);
        let json = self.json(timed, is_tuned, all);
        Done { name: "init".to_owned(), text, told, json }
    }

    fn head(&self, budget: &str) -> String {
        let folder = visible(&self.folder);
        let mut text =
            comment(&format!("Written by `bakeoff init {folder}`; every line may be changed. What was found:"));
        self.found.iter().for_each(|line| text.push_str(&comment(&format!("  {line}"))));
        text.push_str("#\n");
        text.push_str(&comment(budget));
        let question = toml::Value::String(format!(
            "Do the images of {folder} need a neural network, or do hand-made features with a linear classifier do?"
        ));
        format!(
            "{text}question = {question}\ndataset = {}\n# Differences between pipelines are paired by seed; three or more show how much seeds \
             matter.\nseeds = {SEEDS}\n",
            self.dataset
        )
    }

    fn json(&self, timed: &[Timed], is_tuned: bool, all: f64) -> Value {
        let pipeline = |timed: &Timed| {
            json!({
                "name": timed.pipeline,
                "cells": timed.cells_of(is_tuned),
                "seconds": timed.forecast.is_ok().then(|| timed.seconds(is_tuned)),
                "reason": timed.forecast.as_ref().err(),
            })
        };
        let mut object = self.facts.clone();
        object["pipelines"] = timed.iter().map(pipeline).collect();
        object["tuned"] = json!(is_tuned);
        object["seconds"] = json!(all);
        object
    }
}

fn facts(found: &Found) -> Value {
    let data = &found.dataset;
    let (height, width, channels) = data.shape;
    let class = |(i, name): (usize, &String)| json!({"name": name, "train": data.train_counts.get(i), "test": data.test_counts.get(i)});
    let sizes =
        found.sizes.map(|sizes| json!({"least": sizes.least, "median": sizes.median, "greatest": sizes.greatest}));
    json!({
        "dataset": data.name,
        "classes": data.classes.iter().enumerate().map(class).collect::<Vec<_>>(),
        "height": height,
        "width": width,
        "channels": channels,
        "file_sizes": sizes,
        "audit": data.audit,
        "notes": data.notes,
    })
}

/// A pipeline's table.
fn table(chosen: &Chosen, is_tuned: bool) -> String {
    let search = if is_tuned { "search = \"default\"\n" } else { "" };
    format!("[[pipeline]]\nname = \"{}\"\n{}\n{search}", chosen.name, chosen.lines.join("\n"))
}

fn protocol(is_tuned: bool) -> String {
    if is_tuned {
        return format!(
            "\n[protocol]\n# Every pipeline tries so many settings on a validation part of the training images, in so many CPU seconds at \
             most.\ntuning = {{ trials = {TRIALS}, seconds = 300 }}\n"
        );
    }
    format!(
        "\n# To search for settings, take the sign away here and write search = \"default\" into each pipeline.\n# [protocol]\n# tuning = \
         {{ trials = {TRIALS}, seconds = 300 }}\n"
    )
}

/// The declared comparisons.
fn compared(names: &[&str]) -> String {
    let pairs = comparisons(names);
    if pairs.is_empty() {
        return String::new();
    }
    let tables: Vec<String> =
        pairs.iter().map(|(a, b)| format!("\n[[comparison]]\na = \"{a}\"\nb = \"{b}\"\n")).collect();
    format!(
        "\n# What is asked beforehand, and corrected for being asked together; all other pairs are exploratory.{}",
        tables.concat()
    )
}

impl Timed {
    /// Seconds of all cells.
    fn seconds(&self, is_tuned: bool) -> f64 {
        let Ok(forecast) = &self.forecast else { return 0.0 };
        // Validation images are drawn anew for every seed, so that nothing that is tuned is the same with all.
        let cells = self.cells_of(is_tuned) as f64;
        let trials = if is_tuned { TRIALS as f64 * forecast.trial } else { 0.0 };
        cells * (forecast.cell + trials)
    }

    fn cells_of(&self, is_tuned: bool) -> usize {
        if is_tuned { SEEDS } else { self.cells }
    }

    fn in_words(&self, is_tuned: bool) -> String {
        match &self.forecast {
            Err(why) => format!("{} was left out: {why}.", self.pipeline),
            Ok(_) if self.cells_of(is_tuned) == 1 => {
                format!("Takes {}; it does not depend on the seed.", about(self.seconds(is_tuned)))
            }
            Ok(_) => format!("Takes {} with {} seeds.", about(self.seconds(is_tuned)), self.cells_of(is_tuned)),
        }
    }
}

/// Columns of a comment.
const WIDTH: usize = 120;

/// A line of comment, or several where it is long.
fn comment(line: &str) -> String {
    let line = visible(line);
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    let mut text = String::new();
    let mut row = format!("# {indent}");
    let start = row.chars().count();
    for word in line.split_whitespace() {
        let long = row.chars().count();
        if long > start && long + 1 + word.chars().count() > WIDTH {
            text.push_str(&row);
            text.push('\n');
            row = format!("# {indent}  ");
        } else if long > start {
            row.push(' ');
        }
        row.push_str(word);
    }
    format!("{text}{}\n", row.trim_end())
}

/// A text whose every character is seen and none ends a line.
fn visible(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().flat_map(|c| if is_hidden(c) { c.escape_unicode().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::chosen::pipelines;
    use super::super::found::tests::found;
    use super::*;
    use crate::dataset::VOCABULARY;
    use bakeoff_runner::{DatasetChoice, Experiment, Forecast};

    fn draft() -> Written {
        let written = "{ folder = \"a \\\"quoted\\\" folder\" }".to_owned();
        let choice = Choice { dataset: DatasetChoice::Named("photos".to_owned()), sizes: None, written };
        let found = found((64, 64, 3), [200, 100]);
        Written::new("./photos\n[protocol]", &choice, &found, &pipelines(&found))
    }

    fn timed(seconds: f64) -> Vec<Timed> {
        let names = ["pixels-softmax", "pixels-knn", "color-histogram-svm", "hog-svm", "hog-color-svm", "mlp-2"];
        let forecast = Forecast { cell: seconds, trial: seconds };
        let timed = |name: &&str| Timed {
            pipeline: (*name).to_owned(),
            cells: if *name == "mlp-2" { 3 } else { 1 },
            forecast: Ok(forecast),
        };
        let mut all: Vec<Timed> = names.iter().map(timed).collect();
        let forecast = Err("too few\ndescriptors".to_owned());
        all.push(Timed { pipeline: "visual-words-svm".to_owned(), cells: 3, forecast });
        all
    }

    #[test]
    fn the_file_is_sound_whatever_things_are_called() {
        for (seconds, is_tuned) in [(1.0, true), (100.0, false)] {
            let done = draft().with_times(&timed(seconds), 600);
            let experiment =
                Experiment::read("init", &done.text, &VOCABULARY).unwrap_or_else(|e| panic!("{e}\n{}", done.text));
            let names: Vec<&str> = experiment.pipelines.iter().map(|p| p.name.as_str()).collect();
            assert_eq!(
                names,
                ["pixels-softmax", "pixels-knn", "color-histogram-svm", "hog-svm", "hog-color-svm", "mlp-2"]
            );
            assert_eq!(experiment.comparisons.len(), 2);
            assert_eq!((experiment.seeds, experiment.pipelines[0].search.is_empty()), (3, !is_tuned));
            assert_eq!(experiment.protocol.tuning.trials, if is_tuned { TRIALS } else { 16 });
            assert!(done.text.contains("dog\\u{a}[[pipeline]]\\u{7}: 100 training, 10 test images"), "{}", done.text);
            assert!(done.text.contains("visual-words-svm was left out: too few\\u{a}descriptors."), "{}", done.text);
            assert!(done.text.lines().all(|line| line.chars().count() <= 140), "{}", done.text);
        }
    }

    #[test]
    fn times_are_summed_over_seeds_and_trials() {
        // Tuned: three cells of six pipelines, nine seconds each. Plain: eight cells of one second, five pipelines being the same with all seeds.
        let done = draft().with_times(&timed(1.0), 600);
        assert_eq!((done.json["seconds"].as_f64(), &done.json["tuned"]), (Some(162.0), &json!(true)));
        assert!(done.text.contains("A run takes about 3 min on this machine"), "{}", done.text);
        let done = draft().with_times(&timed(1.0), 60);
        assert_eq!((done.json["seconds"].as_f64(), &done.json["tuned"]), (Some(8.0), &json!(false)));
        assert_eq!(
            done.json["pipelines"][6],
            json!({"name": "visual-words-svm", "cells": 3, "seconds": null, "reason": "too few\ndescriptors"})
        );
    }

    #[test]
    fn long_comments_are_broken_between_words() {
        let text = comment(&format!("  {}", "word ".repeat(60)));
        assert!(text.lines().all(|line| line.starts_with("#   ") && line.chars().count() <= WIDTH), "{text}");
        assert_eq!(text.matches("word").count(), 60);
        assert_eq!(comment("a\u{2028}b"), "# a\\u{2028}b\n");
    }
}
