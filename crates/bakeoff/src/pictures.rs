//! The pictures of a run's report: made when it ends, from its models and its images, and kept as `pictures.json`, so that rendering again needs
//! neither.

use crate::run_folder::{self, MODELS, PICTURES};
use crate::{dataset, models};
use anyhow::{Context, bail};
use bakeoff_core::Splits;
use bakeoff_datasets::content_hash;
use bakeoff_features::Hog;
use bakeoff_gallery::{Learned, Scores, audit, families, fitting, glyphs, learned, telling};
use bakeoff_report::{Gallery, Pictures};
use bakeoff_results::{Row, Run, Store, answers};
use bakeoff_runner::{DatasetChoice, Experiment};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Bytes that a file of pictures has at most; what is longer is none of ours.
const LONGEST_FILE: u64 = 16 << 20;

/// Makes the pictures of a run whose data is at hand again, and keeps them.
pub(crate) fn keep(folder: &Path, store: &Store, choice: &DatasetChoice, base: Option<&Path>) -> anyhow::Result<()> {
    let run = store.run();
    let (_, splits) = dataset::load(choice, base)?;
    if content_hash(&splits) != run.dataset.sha256 {
        bail!("the images are others than when the run began");
    }
    let pictures = make(folder, store, &run, &store.rows()?, &splits);
    run_folder::write(&folder.join(PICTURES), serde_json::to_string(&pictures)?)
}

fn make(folder: &Path, store: &Store, run: &Run, rows: &[Row], splits: &Splits) -> Pictures {
    let test = splits.test.images().view();
    let answers = answers(run, rows);
    let scores: Scores =
        run.pipelines.iter().filter_map(|name| Some((name.clone(), scores(store, rows, name)?))).collect();
    let told = telling(run, &answers, &families(run), &scores, test);
    let mut galleries = told;
    galleries.extend(audit(run, splits));
    galleries.extend(of_models(folder, run));
    if let Some(settings) = hog_of(run) {
        galleries.extend(glyphs(&settings, test, splits.test.labels().as_slice(), &run.dataset.classes));
    }
    fitting(galleries)
}

/// The scores of the first seed of a pipeline at its greatest size, where they are kept.
fn scores(store: &Store, rows: &[Row], pipeline: &str) -> Option<Vec<f32>> {
    let of = rows.iter().filter(|row| row.cell.pipeline == pipeline);
    let row = of.max_by_key(|row| (row.cell.train_size.unwrap_or(usize::MAX), std::cmp::Reverse(row.cell.seed)))?;
    store.scores(&row.cell.digest).ok()?
}

/// What every stored model learned. One that cannot be read makes no picture; `bakeoff predict` tells why.
fn of_models(folder: &Path, run: &Run) -> Vec<Gallery> {
    let Ok(files) = fs::read_dir(folder.join(MODELS)) else { return Vec::new() };
    let paths = files.flatten().map(|file| file.path());
    let read = paths.filter(|path| path.extension().is_some_and(|ending| ending == "safetensors"));
    let mut found: Vec<(usize, Vec<Gallery>)> = read
        .filter_map(|path| {
            let (card, arrays) = models::arrays(&path).ok()?;
            let place = run.pipelines.iter().position(|name| *name == card.pipeline)?;
            let model = Learned {
                pipeline: &card.pipeline,
                settings: &card.settings,
                arrays: &arrays,
                shape: card.shape(),
                classes: &card.classes,
            };
            Some((place, learned(&model)))
        })
        .collect();
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().flat_map(|(_, galleries)| galleries).collect()
}

/// The settings of the first HoG of the experiment.
fn hog_of(run: &Run) -> Option<Hog> {
    let meant: Value = serde_json::from_str(&run.as_meant).ok()?;
    let pipelines = meant.get("pipelines")?.as_array()?;
    let features = pipelines.iter().filter_map(|pipeline| pipeline.get("features")?.as_array()).flatten();
    let mut hog = features.filter(|feature| feature.get("kind").and_then(Value::as_str) == Some("hog"));
    serde_json::from_value(hog.next()?.get("settings")?.clone()).ok()
}

/// The pictures of a run, or a sentence that says why there are none.
pub(crate) fn read(folder: &Path, store: &Store) -> Pictures {
    let path = folder.join(PICTURES);
    if !path.exists() {
        // Data with a name of its own can be had again.
        let run = store.run();
        let again = Experiment::read(&run.name, &run.as_written, &dataset::VOCABULARY)
            .map_err(anyhow::Error::from)
            .and_then(|experiment| keep(folder, store, &experiment.dataset, None));
        if let Err(error) = again {
            return none(&format!("{error:#}"));
        }
    }
    parsed(&path).unwrap_or_else(|error| none(&format!("{error:#}")))
}

/// The pictures of a run as far as they are there; nothing is made.
pub(crate) fn kept(folder: &Path) -> Pictures {
    let path = folder.join(PICTURES);
    if path.exists() { parsed(&path).unwrap_or_else(|error| none(&format!("{error:#}"))) } else { Pictures::default() }
}

fn parsed(path: &Path) -> anyhow::Result<Pictures> {
    let about = || format!("failed to read {}", path.display());
    let bytes = fs::metadata(path).with_context(about)?.len();
    if bytes > LONGEST_FILE {
        bail!("expected {} to have at most {LONGEST_FILE} bytes, found {bytes}", path.display());
    }
    let text = fs::read_to_string(path).with_context(about)?;
    serde_json::from_str(&text).with_context(about)
}

fn none(why: &str) -> Pictures {
    let caption = format!("No pictures of images and models are shown: {why}.");
    Pictures { galleries: vec![Gallery { title: "Not shown".to_owned(), caption, pictures: Vec::new() }] }
}
