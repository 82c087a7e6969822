//! `bakeoff export`: a stored model in another format.

use crate::exit::Exit;
use crate::models;
use crate::run_folder;
use crate::terminal::answer;
use anyhow::{Context, anyhow};
use bakeoff_core::ScoreKind;
use bakeoff_interchange::onnx;
use std::path::PathBuf;

/// Which model, and where to.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bakeoff export runs/quick/models/mlp-2.safetensors --onnx mlp-2.onnx

The graph takes bytes, uint8 (N, height, width, channels), and gives scores, and probabilities where the classifier
has them. Networks and linear classifiers on pixels have an ONNX form; other features do not.")]
pub(crate) struct ExportArgs {
    /// The model: a .safetensors file of a run's models/
    model: PathBuf,
    /// The ONNX file to write
    #[arg(long, value_name = "FILE", required = true)]
    onnx: PathBuf,
}

pub(crate) fn export(args: &ExportArgs) -> anyhow::Result<Exit> {
    let model = models::open(&args.model)?;
    let name = || format!("failed to export {}", args.model.display());
    let steps = model.pipeline.operations().map_err(|parts| anyhow!("no ONNX form of {parts}")).with_context(name)?;
    let with_probabilities = model.pipeline.score_kind() == ScoreKind::Logit;
    let bytes = onnx::write(&model.card, &steps, with_probabilities).with_context(name)?;
    run_folder::write(&args.onnx, &bytes)?;
    let (height, width, channels) = model.card.shape();
    let more = if with_probabilities { " and probabilities" } else { "" };
    answer(&format!(
        "{}: images uint8 (N, {height}, {width}, {channels}) to scores{more} float (N, {}), {} bytes",
        args.onnx.display(),
        model.card.classes.len(),
        bytes.len()
    ))?;
    Ok(Exit::Done)
}
