//! The program: commands, exit codes, and nothing that computes.

mod again;
mod algorithms;
mod args;
mod catalogue;
mod commands;
mod dataset;
mod exit;
mod experiments;
mod feature_cache;
mod host;
mod interrupt;
mod loopback;
mod models;
mod noise;
mod opening;
mod output;
mod pictures;
mod progress;
mod rendering;
mod run_folder;
mod slurm;
mod states;
mod terminal;
mod threads;
#[cfg(test)]
mod trap;
mod watching;
mod workshop;

use args::{Args, Command};
use clap::Parser;
use exit::Exit;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    // A panic's own words on standard error are for whoever mends it; what the user needs is said below or in a row.
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        panic::set_hook(Box::new(|_| {}));
    }
    let ended = panic::catch_unwind(AssertUnwindSafe(|| run(&args)));
    let exit = match ended {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => {
            terminal::tell(&format!("bakeoff: {}", in_words(&error)));
            Exit::Wrong
        }
        Err(_) => {
            terminal::tell("bakeoff: a bug stopped it; RUST_BACKTRACE=1 tells where. What was finished is kept.");
            Exit::Wrong
        }
    };
    exit.into()
}

fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Run(args) => commands::run::run(args),
        Command::Init(args) => commands::init::init(args),
        Command::Slurm(args) => commands::slurm::slurm(args),
        Command::Gather(args) => commands::gather::gather(args),
        Command::SlurmTask(args) => commands::slurm_task::slurm_task(args),
        Command::Watch(args) => commands::watch::watch(args),
        Command::Report(args) => commands::report::report(args),
        Command::Compare(args) => commands::compare::compare(args),
        Command::Predict(args) => commands::predict::predict(args),
        Command::Export(args) => commands::export::export(args),
        Command::Lab(args) => commands::lab::lab(args),
        Command::List(args) => commands::list::list(args),
        Command::Data(args) => commands::data::data(args),
        Command::Bench(args) => commands::bench::bench(args),
        Command::Docs(args) => commands::docs::docs(args),
    }
}

/// An error with its causes. A cause that its error has already quoted is left out.
fn in_words(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Args::command().get_subcommands() {
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "{}", command.get_name());
        }
    }

    #[test]
    fn causes_are_told_once() {
        let error = Err::<(), _>(anyhow!("no space")).context("failed to write a").context("failed to report");
        assert_eq!(in_words(&error.unwrap_err()), "failed to report: failed to write a: no space");
        let quoted = Err::<(), _>(anyhow!("no space")).context("failed to write a: no space");
        assert_eq!(in_words(&quoted.unwrap_err()), "failed to write a: no space");
    }
}
