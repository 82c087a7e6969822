//! `bakeoff bench`: the kernels of this revision beside those of an earlier one.
//!
//! Both revisions are built in git worktrees of their own, and their `gate` programs (`benches/gate.rs`) run kernel by
//! kernel: under callgrind, which counts instructions; in turn, each time as a new process, whose times are paired; and what
//! they give is compared. What that means is decided in `bakeoff_results::regression`.

mod program;
mod revision;
mod table;

use crate::exit::Exit;
use crate::terminal::{answer, is_watched, tell};
use crate::{dataset, interrupt, run_folder};
use anyhow::{Context, bail};
use bakeoff_results::regression::{Apart, KernelPair, Limits, Ratio, apart, settled_ratio};
use clap::ValueEnum;
use program::{Listed, Program};
use revision::Repository;
use serde::Serialize;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// The level of the intervals of ratios.
const CONFIDENCE: f64 = 0.95;

/// What is compared with what.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bakeoff bench --against main                       every kernel of HEAD beside that of main: a quarter of an hour
  bakeoff bench --against HEAD~1 --kernel hog        kernels whose names hold the word
  bakeoff bench --against v1 --part instructions     no times: for machines that others use

Works in a clone of bakeoff's repository, with cargo and git. Instructions are counted by valgrind (Debian: apt-get install
valgrind), on its AVX2 path. A kernel is worse when it takes 1% more instructions (a kernel's own limit in benches/kernels counts
instead), when the 95% interval of the ratio of paired times lies beyond 5% (more pairs are taken while it holds the 5%, and what
looks slower is measured again), or when its result differs by more than its tolerance. Exit code 1 says that one is.")]
pub(crate) struct BenchArgs {
    /// The earlier revision: a branch, a tag, a commit
    #[arg(long, value_name = "GIT_REVISION")]
    against: String,
    /// The later revision, as committed
    #[arg(long, value_name = "GIT_REVISION", default_value = "HEAD")]
    revision: String,
    /// Only kernels whose name holds this word; repeatable
    #[arg(long, value_name = "WORD")]
    kernel: Vec<String>,
    /// Only this part; repeatable. Results are compared in both
    #[arg(long, value_name = "PART", value_enum)]
    part: Vec<Part>,
    /// Pairs of timings a kernel, before more are taken
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(20..=10_000))]
    pairs: u32,
    /// Milliseconds of each timing
    #[arg(long, value_name = "MS", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    milliseconds: u32,
    /// Percent of time more that the whole interval must exceed
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent)]
    slower: f64,
    /// Also writes the table there, as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Prints one JSON object as the last line of standard output, and everything else to standard error
    #[arg(long)]
    json: bool,
    /// The top of the repository
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    root: PathBuf,
    /// Calls that are counted, for the gate's own tests
    #[arg(long, hide = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    calls: u32,
    /// What is made worse in the later revision, for the gate's own tests
    #[arg(long, hide = true)]
    plant: Option<String>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Instructions under callgrind
    Instructions,
    /// Times in pairs
    Time,
}

fn percent(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "expected a number of percent".to_owned())?;
    if value > 0.0 && value < 1000.0 { Ok(value) } else { Err("expected a percentage above 0".to_owned()) }
}

/// What was found out, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Found {
    /// Commits.
    old: String,
    new: String,
    kernels: Vec<Compared>,
    /// Kernels that one of them does not have.
    only_old: Vec<String>,
    only_new: Vec<String>,
    /// What the machine can do on one thread.
    limit: Option<program::Limit>,
}

/// A kernel that both revisions have.
#[derive(Debug, Serialize)]
struct Compared {
    #[serde(flatten)]
    pair: KernelPair,
    /// Median seconds of a call of the later revision, where it was timed, and the share of the machine's limit.
    seconds: Option<f64>,
    share: Option<f64>,
    /// In what it is worse.
    worse: Vec<bakeoff_results::regression::Regression>,
}

impl BenchArgs {
    fn has(&self, part: Part) -> bool {
        self.part.is_empty() || self.part.contains(&part)
    }
}

pub(crate) fn bench(args: &BenchArgs) -> anyhow::Result<Exit> {
    interrupt::listen()?;
    if args.has(Part::Instructions) {
        program::require_valgrind()?;
    }
    let repository = Repository::open(&args.root)?;
    let folder = dataset::root().with_file_name("bench").join(repository.key());
    fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let Some(_alone) = run_folder::alone(&folder, interrupt::flag())? else { return Ok(Exit::Interrupted) };
    match compared(args, &repository, &folder) {
        // A child that the same Ctrl-C ended is no failure.
        Err(_) | Ok(None) if interrupt::flag().load(Ordering::Relaxed) => Ok(Exit::Interrupted),
        Ok(None) => Ok(Exit::Interrupted),
        Ok(Some(found)) => show(args, &found),
        Err(error) => Err(error),
    }
}

/// Builds both and measures kernel by kernel; `None` when the user stopped it.
fn compared(args: &BenchArgs, repository: &Repository, folder: &std::path::Path) -> anyhow::Result<Option<Found>> {
    let (old_commit, new_commit) = (repository.commit(&args.against)?, repository.commit(&args.revision)?);
    if args.revision == "HEAD" && repository.is_changed()? {
        tell("changes that are not committed are not measured");
    }
    let old = Program::new(repository.built(&old_commit, &args.against, &folder.join("old"))?, folder.join("old.out"));
    let new = Program::new(repository.built(&new_commit, &args.revision, &folder.join("new"))?, folder.join("new.out"));
    let new = new.planted(args.plant.as_deref());
    let (old_list, new_list) = (old.list()?, new.list()?);
    let wanted =
        |listed: &&Listed| args.kernel.is_empty() || args.kernel.iter().any(|word| listed.kernel.contains(word));
    let kernels: Vec<&Listed> = new_list.iter().filter(wanted).collect();
    if kernels.is_empty() {
        bail!("no kernel of {} is called like {}", args.revision, args.kernel.join(", "));
    }
    let lacks = |list: &[Listed], other: &[Listed]| {
        let names = list.iter().filter(wanted).filter(|here| !other.iter().any(|there| there.kernel == here.kernel));
        names.map(|listed| listed.kernel.clone()).collect::<Vec<_>>()
    };
    let mut found = Found {
        only_old: lacks(&old_list, &new_list),
        only_new: lacks(&new_list, &old_list),
        limit: if args.has(Part::Time) { Some(new.limit()?) } else { None },
        old: old_commit,
        new: new_commit,
        kernels: Vec::new(),
    };
    let both: Vec<_> =
        kernels.iter().filter_map(|new| Some((old_list.iter().find(|old| old.kernel == new.kernel)?, *new))).collect();
    for (i, (old_listed, new_listed)) in both.iter().enumerate() {
        if interrupt::flag().load(Ordering::Relaxed) {
            return Ok(None);
        }
        let measured = Measuring { args, old: &old, new: &new, listed: new_listed, limit: found.limit.as_ref() };
        let compared = measured.kernel(old_listed)?;
        if is_watched() || !compared.worse.is_empty() {
            tell(&format!("{} of {}: {}", i + 1, both.len(), table::in_words(&compared)));
        }
        found.kernels.push(compared);
    }
    Ok(Some(found))
}

/// One kernel's measurement.
struct Measuring<'a> {
    args: &'a BenchArgs,
    old: &'a Program,
    new: &'a Program,
    listed: &'a Listed,
    limit: Option<&'a program::Limit>,
}

impl Measuring<'_> {
    fn kernel(&self, old: &Listed) -> anyhow::Result<Compared> {
        let listed = self.listed;
        let (instructions, time) = (listed.instructions, self.args.slower / 100.0);
        let limits = Limits { instructions, time, values: listed.values, labels: listed.labels };
        let mut pair =
            KernelPair { kernel: listed.kernel.clone(), limits, instructions: None, time: None, results: Vec::new() };
        // Sizes that only one of them has cannot be compared.
        let sizes: Vec<_> = listed.sizes.iter().filter(|size| old.sizes.iter().any(|o| o.name == size.name)).collect();
        let mut seconds = None;
        let mut share = None;
        if let Some(size) = sizes.first().filter(|_| self.args.has(Part::Instructions)) {
            let (counts, apart) = self.counted(&size.name)?;
            pair.instructions = Some(counts);
            pair.results.push(apart);
        }
        if let Some(size) = sizes.get(1).or(sizes.first()).filter(|_| self.args.has(Part::Time)) {
            let (ratio, median, apart) = self.timed(&size.name)?;
            pair.time = Some(ratio);
            pair.results.push(apart);
            seconds = Some(median);
            share = self.limit.map(|limit| limit.least_seconds(size) / median);
        }
        let worse = pair.regressions();
        Ok(Compared { pair, seconds, share, worse })
    }

    /// Instructions of both, counted side by side: a counter does not mind company.
    fn counted(&self, size: &str) -> anyhow::Result<([u64; 2], Apart)> {
        let count = |program: &Program| program.count(&self.listed.kernel, size, self.args.calls);
        let (old, new) = std::thread::scope(|scope| {
            let old = scope.spawn(|| count(self.old));
            let new = count(self.new);
            (old.join().unwrap_or_else(|_| bail!("the thread of the earlier revision failed")), new)
        });
        Ok(([old?, new?], self.apart()?))
    }

    /// The ratio of paired times, and the later revision's median.
    fn timed(&self, size: &str) -> anyhow::Result<(Ratio, f64, Apart)> {
        let seconds = f64::from(self.args.milliseconds) / 1000.0;
        let time = |program: &Program| program.time(&self.listed.kernel, size, seconds);
        let mut times = Vec::new();
        let take = || {
            // Who goes first changes, so that what the first does to the second's caches and clock meets both.
            let (old, new) = if times.len().is_multiple_of(2) {
                let old = time(self.old)?;
                (old, time(self.new)?)
            } else {
                let new = time(self.new)?;
                (time(self.old)?, new)
            };
            if interrupt::flag().load(Ordering::Relaxed) {
                bail!("interrupted");
            }
            times.push(new);
            Ok((old, new))
        };
        let ratio = settled_ratio(self.args.pairs as usize, CONFIDENCE, self.args.slower / 100.0, take)?;
        times.sort_by(f64::total_cmp);
        Ok((ratio.context("a kernel took no time at all")?, times[times.len() / 2], self.apart()?))
    }

    /// How far the results of the last calls of both lie apart.
    fn apart(&self) -> anyhow::Result<Apart> {
        Ok(apart(&self.old.outcome()?, &self.new.outcome()?))
    }
}

/// Prints what was found. The answer is "no" when a kernel is worse.
fn show(args: &BenchArgs, found: &Found) -> anyhow::Result<Exit> {
    let text = table::plain(found);
    if let Some(path) = &args.markdown {
        run_folder::write(path, table::markdown(found))?;
    }
    if args.json {
        tell(&text);
        answer(&serde_json::to_string(found)?)?;
    } else {
        answer(&text)?;
    }
    let is_worse = found.kernels.iter().any(|compared| !compared.worse.is_empty());
    Ok(if is_worse { Exit::No } else { Exit::Done })
}
