//! The command line as typed.

use crate::commands::{
    bench, compare, data, docs, export, gather, init, lab, list, predict, report, run, slurm, slurm_task, watch,
};
use clap::{Parser, Subcommand};

/// Do these images need a neural network, or do hand-made features with a linear classifier do? By how much, at what
/// cost, and how sure can one be?
#[derive(Debug, Parser)]
#[command(
    name = "bakeoff",
    version,
    after_help = "\
Examples:
  bakeoff run                  a first comparison on built-in data, in seconds
  bakeoff run fashion-mnist    a built-in experiment
  bakeoff run ./my-photos      a folder with one sub-folder a class
  bakeoff init ./my-photos     writes an experiment file for that folder
  bakeoff predict runs/quick/models/hog-color-svm.safetensors photo.jpg
                               what a model of that run makes of a photo
  bakeoff list                 everything that can be named

Exit codes: 0 done, 1 the answer is \"no\", 2 wrong use or bad input, 130 interrupted."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs an experiment, or continues it where an earlier run stopped
    Run(run::RunArgs),
    /// Looks at a folder of images and writes a commented experiment file for it
    Init(init::InitArgs),
    /// Runs an experiment as a job array of Slurm, or continues it there
    Slurm(slurm::SlurmArgs),
    /// Brings the shards of a run together
    Gather(gather::GatherArgs),
    /// One task of a job array
    #[command(hide = true)]
    SlurmTask(slurm_task::SlurmTaskArgs),
    /// Serves the page of a run that is being worked on
    #[command(hide = true)]
    Watch(watch::WatchArgs),
    /// Renders the report of a run again, without computing anything anew
    Report(report::ReportArgs),
    /// Compares two runs, two pipelines, or pipelines over datasets, from stored results
    Compare(compare::CompareArgs),
    /// Classifies images with a stored model
    Predict(predict::PredictArgs),
    /// Takes results away (CSV, JSON lines, Parquet, an MLflow server), or a stored model (ONNX)
    Export(export::ExportArgs),
    /// Lists datasets, features, classifiers, experiments and pages of the lab
    List(list::ListArgs),
    /// Makes the lecture's demonstrations: what it says, run, drawn and measured
    Lab(lab::LabArgs),
    /// Gets a dataset, checks it, describes it or draws a contact sheet of it
    Data(data::DataArgs),
    /// Compares the kernels of two revisions of bakeoff: instructions, times, results
    Bench(bench::BenchArgs),
    /// Writes the generated tables of this repository's documents again
    #[command(hide = true)]
    Docs(docs::DocsArgs),
}
