//! `bakeoff predict`: what a stored model makes of images.

mod show;

use crate::exit::Exit;
use crate::interrupt;
use crate::models::{self, Opened};
use crate::terminal::tell;
use anyhow::anyhow;
use bakeoff_core::Images;
use bakeoff_datasets::{image_files, read_fitted};
use ndarray::{Array2, Array4};
use rayon::prelude::*;
use show::{Format, Show};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Which model, which images, and how it is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bakeoff predict runs/quick/models/hog-color-svm.safetensors photo.jpg
  bakeoff predict runs/my-photos/models/mlp-2.safetensors new-photos --top 1 --format csv

A folder stands for all images below it. Images are brought to the model's size as those that it learned from were. Images
that cannot be read are named on standard error; the others are still classified, and the exit code is then 2.")]
pub(crate) struct PredictArgs {
    /// The model: a .safetensors file of a run's models/
    model: PathBuf,
    /// Image files, and folders of them
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// Classes told of each image, the best first
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// How: lines of text, CSV with a header, or one JSON object
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// Images that are read and classified together.
const TOGETHER: usize = 256;

pub(crate) fn predict(args: &PredictArgs) -> anyhow::Result<Exit> {
    interrupt::listen()?;
    let model = models::open(&args.model)?;
    let format = if args.json { Format::Json } else { args.format };
    let mut show = Show::new(format, &args.model, &model, args.top as usize);
    let (mut all_read, mut is_stopped) = (true, false);
    let mut files = Vec::new();
    for named in &args.images {
        match image_files(named) {
            Ok(found) => files.extend(found),
            Err(error) => all_read = unreadable(&error),
        }
    }
    for files in files.chunks(TOGETHER) {
        is_stopped = interrupt::flag().load(Ordering::Relaxed);
        if is_stopped {
            break;
        }
        all_read &= classify(files, &model, &mut show)?;
    }
    show.finish()?;
    Ok(match (is_stopped, all_read) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Done,
        (false, false) => Exit::Wrong,
    })
}

/// Says what is wrong with an image; that it was not read.
fn unreadable(error: &dyn std::fmt::Display) -> bool {
    tell(&format!("bakeoff: {error}"));
    false
}

/// Reads some images, in parallel, and shows what they are; whether all could be read.
fn classify(files: &[PathBuf], model: &Opened, show: &mut Show<'_>) -> anyhow::Result<bool> {
    let (shape, fit) = (model.card.shape(), model.fit());
    let read: Vec<_> = files.par_iter().map(|file| read_fitted(file, shape, fit)).collect();
    let (mut names, mut pixels, mut all_read) = (Vec::new(), Vec::new(), true);
    for (file, image) in files.iter().zip(read) {
        match image {
            Ok(image) => {
                names.push(file.as_path());
                pixels.extend(image);
            }
            Err(error) => all_read = unreadable(&error),
        }
    }
    let images = Images::new(Array4::from_shape_vec((names.len(), shape.0, shape.1, shape.2), pixels)?)?;
    for (name, scores) in names.iter().zip(scores(model, &names, &images, &mut all_read)) {
        if let Some(scores) = scores {
            show.image(name, &scores)?;
        }
    }
    Ok(all_read)
}

/// The scores of each image; `None` of one that the model has no numbers for, which is told.
fn scores(model: &Opened, names: &[&Path], images: &Images, all_read: &mut bool) -> Vec<Option<Vec<f32>>> {
    let rows = |scores: Array2<f32>| scores.outer_iter().map(|row| Some(row.to_vec())).collect();
    if let Ok(scores) = model.pipeline.scores(images.view()) {
        return rows(scores);
    }
    // One of them is to blame; the others keep their scores.
    let one = |(i, name): (usize, &&Path)| match model.pipeline.scores(images.view().range(i, i + 1)) {
        Ok(scores) => Some(scores.iter().copied().collect()),
        Err(problem) => {
            *all_read = unreadable(&anyhow!("{}: {problem}", name.display()));
            None
        }
    };
    names.iter().enumerate().map(one).collect()
}
