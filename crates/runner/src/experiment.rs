//! The experiment file: strict TOML, all problems told together, each with its place.
//!
//! [`Experiment::read`] gives the experiment as written, checked key by key against the catalogues; [`crate::Plan`] is
//! the experiment as meant. The file is walked by hand over a tree with positions because serde stops at the first
//! problem and, below `flatten` and `untagged`, forgets where it was.

mod pipeline;
mod protocol;
mod tree;

pub use tree::Problem;

use crate::error::RunnerError;
use crate::settings::Pipeline;
use crate::suggest::unknown;
use crate::{Catalogues, Material, canonical};
use bakeoff_core::ParamError;
use serde_json::json;
use toml::de::{DeTable, DeValue};
use tree::{Field, Problems, Table};

/// Bytes that an experiment file may have; what is longer is no experiment file.
pub const LONGEST_FILE: usize = 1 << 20;
/// Seeds at most.
const MOST_SEEDS: usize = 10_000;
/// Images of a training size at most.
const MOST_IMAGES: usize = 1 << 40;
/// Comparisons at most.
const MOST_COMPARISONS: usize = 10_000;

const KEYS: &[&str] = &["question", "dataset", "seeds", "train_sizes", "protocol", "pipeline", "comparison"];

/// An experiment as its file says, every name and range checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// Its name: the file's stem or the built-in's name.
    pub name: String,
    /// The question in words.
    pub question: String,
    /// The data.
    pub dataset: DatasetChoice,
    /// How many seeds: 0, 1, 2 …
    pub seeds: usize,
    /// Training sizes to go through; empty means all training images.
    pub train_sizes: Vec<usize>,
    /// How it is judged.
    pub protocol: Protocol,
    /// What competes, at least one.
    pub pipelines: Vec<Pipeline>,
    /// Declared comparisons, pairs of pipeline names.
    pub comparisons: Vec<(String, String)>,
    /// The text of the file.
    pub as_written: String,
}

/// The data of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub enum DatasetChoice {
    /// A name of the catalogue or a path.
    Named(String),
    /// A folder with its settings; what is in it is the business of whoever reads folders.
    Table(toml::Table),
}

/// How an experiment is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Protocol {
    /// Share of the training part that selection is made on.
    pub validation: f64,
    /// The budget of a search.
    pub tuning: Tuning,
    /// Level of the intervals.
    pub confidence: f64,
    /// Half width of the range of differences in accuracy that count as none.
    pub equivalence: f64,
    /// What a cell may take before it is ended.
    pub limits: Limits,
    /// How often pipelines are timed.
    pub timing: Timing,
}

/// How often the fit and the scores of a pipeline are timed. They decide no result, so that a cell's digest does not know them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Timings wanted of each pipeline, at the greatest training size: those of its seeds, and repeats for what is missing.
    pub rounds: usize,
    /// Wall seconds that the repeats of one pipeline may take together; one that takes longer is not repeated.
    pub seconds: f64,
}

impl Default for Timing {
    /// Five timings enclose their median at 93.75%, and five seconds leave a first comparison below a minute.
    fn default() -> Self {
        Self { rounds: 5, seconds: 5.0 }
    }
}

/// What a cell may take, tuning included; none where nothing is said. One that takes more is ended and becomes a failed row.
/// They decide no result that is there, so that a cell's digest does not know them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// Wall seconds.
    pub seconds: Option<f64>,
    /// Resident memory of its process in MB, the images among it.
    pub megabytes: Option<f64>,
}

/// The budget of a search, the same for every pipeline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// Settings tried.
    pub trials: usize,
    /// CPU seconds, over all threads, after which no trial is started or continued.
    pub seconds: f64,
    /// How settings are drawn.
    pub draw: Draw,
}

/// How settings are drawn from a search's ranges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Draw {
    /// Each independently of the others: what the expected best score of fewer trials can be computed from (Dodge et al. 2019).
    #[default]
    Random,
    /// Evenly over the ranges: the points of Halton's sequence (1960) in as many bases as there are settings, shifted as a whole
    /// by the seed (Cranley, Patterson 1976).
    LowDiscrepancy,
}

impl Default for Protocol {
    fn default() -> Self {
        let tuning = Tuning { trials: 16, seconds: 900.0, draw: Draw::default() };
        Self {
            validation: 0.1,
            tuning,
            confidence: 0.95,
            equivalence: 0.005,
            limits: Limits::default(),
            timing: Timing::default(),
        }
    }
}

/// What an experiment file is checked against.
#[derive(Clone, Copy)]
pub struct Vocabulary<'a> {
    /// The algorithms that can be named.
    pub catalogues: Catalogues<'a>,
    /// Says what is wrong with a dataset's table, by key.
    pub check_dataset: &'a dyn Fn(&toml::Table) -> Vec<ParamError>,
}

/// What the command line changes of an experiment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// Other data.
    pub dataset: Option<DatasetChoice>,
    /// Only these pipelines; empty means all.
    pub pipelines: Vec<String>,
    /// Another number of seeds.
    pub seeds: Option<usize>,
    /// One training size instead of the file's.
    pub train_size: Option<usize>,
}

impl Experiment {
    /// Reads an experiment file. `name` is how the experiment is called.
    ///
    /// # Errors
    /// [`RunnerError::Experiment`] with every problem of the text.
    pub fn read(name: &str, text: &str, vocabulary: &Vocabulary<'_>) -> Result<Self, RunnerError> {
        let failed = |problems| RunnerError::Experiment { name: name.to_owned(), problems };
        let mut problems = Problems::in_text(text);
        if text.len() > LONGEST_FILE {
            let found = format!("expected an experiment file of at most {LONGEST_FILE} bytes, found {}", text.len());
            problems.at(0..0, "", found);
            return Err(failed(problems.into_sorted()));
        }
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            problems.at(error.span().unwrap_or(0..0), "", error.message());
        }
        // A text that is no TOML is read no further: what recovery guesses is not what was meant.
        if !errors.is_empty() {
            return Err(failed(problems.into_sorted()));
        }
        let root = Table { entries: document.get_ref(), span: 0..0, path: String::new() };
        let read = experiment(name, text, &root, vocabulary, &mut problems);
        match read {
            Some(experiment) if problems.is_empty() => Ok(experiment),
            _ => Err(failed(problems.into_sorted())),
        }
    }

    /// The experiment with the command line's changes.
    ///
    /// # Errors
    /// [`RunnerError::UnknownPipeline`] or [`RunnerError::BadOverride`].
    pub fn with(mut self, overrides: &Overrides) -> Result<Self, RunnerError> {
        let inside = |key: &'static str, value: Option<usize>, most: usize| match value {
            Some(found) if !(1..=most).contains(&found) => Err(RunnerError::BadOverride { key, most, found }),
            _ => Ok(value),
        };
        if let Some(seeds) = inside("seeds", overrides.seeds, MOST_SEEDS)? {
            self.seeds = seeds;
        }
        if let Some(size) = inside("train-size", overrides.train_size, MOST_IMAGES)? {
            self.train_sizes = vec![size];
        }
        if let Some(dataset) = &overrides.dataset {
            self.dataset = dataset.clone();
        }
        self.keep_only(&overrides.pipelines)?;
        Ok(self)
    }

    fn keep_only(&mut self, names: &[String]) -> Result<(), RunnerError> {
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            if !self.pipelines.iter().any(|p| p.name == *name) {
                let problem = unknown("pipeline", name, self.pipelines.iter().map(|p| p.name.as_str()));
                return Err(RunnerError::UnknownPipeline { experiment: self.name.clone(), problem });
            }
        }
        self.pipelines.retain(|p| names.contains(&p.name));
        self.comparisons.retain(|(a, b)| names.contains(a) && names.contains(b));
        Ok(())
    }

    /// The experiment as meant on this data: canonical JSON with every default filled in. Data is what it holds and not
    /// the path that leads to it.
    pub(crate) fn meant(&self, material: &Material, catalogues: Catalogues<'_>) -> String {
        canonical::text(&json!({
            "name": self.name,
            "question": self.question,
            "dataset": material.name(),
            "dataset_sha256": material.sha256(),
            "seeds": self.seeds,
            "train_sizes": self.train_sizes,
            "protocol": self.protocol.meant(),
            "pipelines": self.pipelines.iter().map(|p| p.meant(catalogues)).collect::<Vec<_>>(),
            "comparisons": self.comparisons,
        }))
    }
}

fn experiment(
    name: &str,
    text: &str,
    root: &Table<'_>,
    vocabulary: &Vocabulary<'_>,
    problems: &mut Problems<'_>,
) -> Option<Experiment> {
    root.only(KEYS, problems);
    let question = root.field("question").map(|f| f.string("a question in words", problems).map(str::to_owned));
    let dataset = root
        .required("dataset", "the name of a dataset, a path, or a table with a folder", problems)
        .map(|field| dataset(&field, vocabulary, problems));
    let seeds = root.field("seeds").map(|f| f.count(1..=MOST_SEEDS, problems));
    let train_sizes = root.field("train_sizes").map(|f| train_sizes(&f, problems));
    let protocol = root.field("protocol").map(|f| protocol::read(&f, problems));
    let pipelines = root
        .required("pipeline", "one [[pipeline]] or more", problems)
        .and_then(|field| pipeline::read_all(&field, vocabulary.catalogues, problems));
    let comparisons = root.field("comparison").map(|f| comparisons(&f, root, problems));
    Some(Experiment {
        name: name.to_owned(),
        question: question.flatten().unwrap_or_default(),
        dataset: dataset??,
        seeds: seeds.unwrap_or(Some(DEFAULT_SEEDS))?,
        train_sizes: train_sizes.unwrap_or_default(),
        protocol: protocol.unwrap_or_default(),
        pipelines: pipelines?,
        comparisons: comparisons.unwrap_or_default(),
        as_written: text.to_owned(),
    })
}

/// Seeds when the file does not say: the fewest that show a spread.
const DEFAULT_SEEDS: usize = 3;

fn dataset(field: &Field<'_>, vocabulary: &Vocabulary<'_>, problems: &mut Problems<'_>) -> Option<DatasetChoice> {
    match field.value {
        DeValue::String(name) if name.trim().is_empty() => {
            field.expected("the name of a dataset or a path", problems);
            None
        }
        DeValue::String(name) => Some(DatasetChoice::Named(name.to_string())),
        DeValue::Table(_) => {
            let table = field.table("a table with a folder", problems)?;
            let toml::Value::Table(plain) = field.plain(problems)? else { return None };
            for problem in (vocabulary.check_dataset)(&plain) {
                let place = table.field(&problem.key).map_or(table.span.clone(), |f| f.span);
                problems.at(place, table.path_of(&problem.key), problem.problem);
            }
            Some(DatasetChoice::Table(plain))
        }
        _ => {
            field.expected("the name of a dataset, a path, or a table with a folder", problems);
            None
        }
    }
}

fn train_sizes(field: &Field<'_>, problems: &mut Problems<'_>) -> Vec<usize> {
    let mut sizes = Vec::new();
    for element in field.list("a list of training sizes", problems).unwrap_or_default() {
        let Some(size) = element.count(1..=MOST_IMAGES, problems) else { continue };
        if sizes.contains(&size) {
            element.problem(format!("{size} is there twice"), problems);
        }
        sizes.push(size);
    }
    sizes
}

/// The declared comparisons. Names are looked up in the text itself, so that a pipeline with another problem does
/// not make its comparisons wrong too.
fn comparisons(field: &Field<'_>, root: &Table<'_>, problems: &mut Problems<'_>) -> Vec<(String, String)> {
    let names = pipeline::names(root);
    let mut pairs: Vec<(String, String)> = Vec::new();
    let elements = field.list("one [[comparison]] or more", problems).unwrap_or_default();
    if elements.len() > MOST_COMPARISONS {
        field.problem(format!("expected at most {MOST_COMPARISONS}, found {}", elements.len()), problems);
        return pairs;
    }
    for element in elements {
        let Some(table) = element.table("a table with a and b", problems) else { continue };
        table.only(&["a", "b"], problems);
        let sides = ["a", "b"].map(|key| side(&table, key, &names, problems));
        let [Some(a), Some(b)] = sides else { continue };
        if a == b {
            element.problem(format!("{a:?} is compared with itself"), problems);
        }
        if pairs.iter().any(|(c, d)| (*c == a && *d == b) || (*c == b && *d == a)) {
            element.problem(format!("{a:?} and {b:?} are compared twice"), problems);
        }
        pairs.push((a, b));
    }
    pairs
}

fn side(table: &Table<'_>, key: &str, names: &[&str], problems: &mut Problems<'_>) -> Option<String> {
    let field = table.required(key, "the name of a pipeline", problems)?;
    let name = field.string("the name of a pipeline", problems)?;
    if names.contains(&name) {
        return Some(name.to_owned());
    }
    field.problem(unknown("pipeline", name, names.iter().copied()), problems);
    None
}

#[cfg(test)]
mod tests;
