//! The one command that runs a stored run again.

use crate::experiments::BUILT_IN;
use crate::run_folder::EXPERIMENT;
use bakeoff_results::Run;
use serde_json::Value;
use std::path::Path;

/// `bakeoff run` with the built-in experiment or the experiment as it lies in the run's folder, and with everything that the command line may
/// have changed of it: pipelines, seeds and training size as they were meant, data by its name. A folder of images has to be
/// given where it lies now, so a place is left for it.
pub(crate) fn command(folder: &Path, run: &Run) -> String {
    let meant: Value = serde_json::from_str(&run.as_meant).unwrap_or_default();
    let built_in = BUILT_IN.iter().find(|(_, text)| *text == run.as_written);
    let experiment =
        built_in.map_or_else(|| folder.join(EXPERIMENT).display().to_string(), |(name, _)| (*name).to_owned());
    let mut words = vec!["bakeoff".to_owned(), "run".to_owned(), quoted(&experiment)];
    let mut add = |flag: &str, value: String| words.extend([flag.to_owned(), quoted(&value)]);
    let written: toml::Table = run.as_written.parse().unwrap_or_default();
    let dataset = written.get("dataset").and_then(toml::Value::as_str);
    if dataset != Some(run.dataset.name.as_str()) {
        add("--dataset", run.dataset.name.clone());
    }
    let seeds = meant.get("seeds").and_then(Value::as_u64);
    if let Some(seeds) =
        seeds.filter(|seeds| written.get("seeds").and_then(toml::Value::as_integer) != Some(*seeds as i64))
    {
        add("--seeds", seeds.to_string());
    }
    let sizes = meant.get("train_sizes").and_then(Value::as_array).map(Vec::as_slice);
    if let (Some([size]), None) = (sizes, written.get("train_sizes")) {
        add("--train-size", size.to_string());
    }
    let all = written.get("pipeline").and_then(toml::Value::as_array).map_or(0, Vec::len);
    if run.pipelines.len() < all {
        for pipeline in &run.pipelines {
            add("--pipeline", pipeline.clone());
        }
    }
    add("--threads", run.host.threads.to_string());
    words.join(" ")
}

/// A word as a POSIX shell takes it for one.
fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_command_whole() {
        assert_eq!(quoted("runs/a-1.toml"), "runs/a-1.toml");
        assert_eq!(quoted("my photos"), "'my photos'");
        assert_eq!(quoted("it's; rm -rf $HOME"), "'it'\\''s; rm -rf $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
