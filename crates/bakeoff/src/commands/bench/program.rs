//! The `gate` program of a revision: what it lists, and how it is asked to count and to time.

use anyhow::{Context, bail};
use bakeoff_results::regression::Numbers;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What this understands of the program's answers.
const PROTOCOL: u32 = 1;

/// What makes the program worse on purpose.
const PLANT: &str = "BAKEOFF_GATE_PLANT";

/// The function whose instructions count.
const MEASURED: &str = "*measured_by_the_gate*";

/// A built program, and where it writes what kernels give.
pub(super) struct Program {
    path: PathBuf,
    outcome: PathBuf,
    plant: Option<String>,
}

/// The program's first line.
#[derive(Debug, Deserialize)]
struct Greeting {
    protocol: u32,
}

/// A kernel as it is listed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Listed {
    pub(super) kernel: String,
    /// Smallest first.
    pub(super) sizes: Vec<ListedSize>,
    /// How far results may lie apart, and instructions more.
    pub(super) values: f64,
    pub(super) labels: f64,
    pub(super) instructions: f64,
}

/// A size of a kernel's inputs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct ListedSize {
    pub(super) name: String,
    /// Operations and bytes that a call needs at least.
    flops: f64,
    bytes: f64,
}

/// What one thread of the machine can do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Limit {
    pub(super) peak_gflops: f64,
    pub(super) bandwidth_gbs: f64,
}

impl Limit {
    /// The least seconds that a call can take.
    pub(super) fn least_seconds(&self, size: &ListedSize) -> f64 {
        (size.flops / self.peak_gflops).max(size.bytes / self.bandwidth_gbs) / 1e9
    }
}

/// The answer to `time`.
#[derive(Debug, Deserialize)]
struct Timed {
    median: f64,
}

impl Program {
    pub(super) fn new(path: PathBuf, outcome: PathBuf) -> Self {
        Self { path, outcome, plant: None }
    }

    /// The same, made worse.
    pub(super) fn planted(self, plant: Option<&str>) -> Self {
        Self { plant: plant.map(str::to_owned), ..self }
    }

    fn command(&self, wrapped_in: &[&str]) -> Command {
        let mut command = match wrapped_in {
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&self.path);
                command
            }
            [] => Command::new(&self.path),
        };
        command.env_remove(PLANT);
        command.envs(self.plant.iter().map(|plant| (PLANT, plant)));
        command
    }

    /// All its kernels.
    pub(super) fn list(&self) -> anyhow::Result<Vec<Listed>> {
        let output = run(self.command(&[]).arg("list"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.lines();
        let greeting: Greeting = read(lines.next().unwrap_or_default(), &self.path)?;
        if greeting.protocol != PROTOCOL {
            let (path, found) = (self.path.display(), greeting.protocol);
            bail!("{path} speaks protocol {found}, this program {PROTOCOL}: build `bakeoff` from the later revision");
        }
        lines.map(|line| read(line, &self.path)).collect()
    }

    pub(super) fn limit(&self) -> anyhow::Result<Limit> {
        let output = run(self.command(&[]).arg("limit"))?;
        read(&String::from_utf8_lossy(&output.stdout), &self.path)
    }

    /// Median seconds of a call.
    pub(super) fn time(&self, kernel: &str, size: &str, seconds: f64) -> anyhow::Result<f64> {
        let mut command = self.command(&[]);
        let output = run(command.args(["time", kernel, size]).arg(&self.outcome).arg(seconds.to_string()))?;
        let timed: Timed = read(&String::from_utf8_lossy(&output.stdout), &self.path)?;
        Ok(timed.median)
    }

    /// Instructions of the calls.
    pub(super) fn count(&self, kernel: &str, size: &str, calls: u32) -> anyhow::Result<u64> {
        let counts = self.outcome.with_extension("callgrind");
        let written = format!("--callgrind-out-file={}", counts.display());
        let toggled = format!("--toggle-collect={MEASURED}");
        let callgrind = ["valgrind", "--tool=callgrind", "--quiet", "--collect-atstart=no", &toggled, &written];
        run(self.command(&callgrind).args(["count", kernel, size]).arg(&self.outcome).arg(calls.to_string()))?;
        let text = fs::read_to_string(&counts).with_context(|| format!("failed to read {}", counts.display()))?;
        total(&text).with_context(|| format!("callgrind counted no instruction of {kernel} in {}", counts.display()))
    }

    /// What the last call gave.
    pub(super) fn outcome(&self) -> anyhow::Result<Numbers> {
        let about = || format!("failed to read {}", self.outcome.display());
        let bytes = fs::read(&self.outcome).with_context(about)?;
        Numbers::from_bytes(&bytes).context("it is no result of a kernel").with_context(about)
    }
}

/// The count of a callgrind file: the number behind `summary:` or `totals:`; `None` where it is missing or 0.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("summary:").or_else(|| line.strip_prefix("totals:")))?;
    line.split_whitespace().next()?.parse().ok().filter(|&count| count > 0)
}

fn read<T: DeserializeOwned>(line: &str, path: &Path) -> anyhow::Result<T> {
    serde_json::from_str(line).with_context(|| format!("failed to understand {}, which said {line:?}", path.display()))
}

/// Runs to the end, or tells what was said on the way there.
pub(super) fn run(command: &mut Command) -> anyhow::Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("failed to start {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().collect();
        let end = lines[lines.len().saturating_sub(20)..].join("\n");
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        bail!("{program} {} ended with {}:\n{end}", words.join(" "), output.status);
    }
    Ok(output)
}

/// Makes sure that valgrind is there.
pub(super) fn require_valgrind() -> anyhow::Result<()> {
    if run(Command::new("valgrind").arg("--version")).is_err() {
        bail!(
            "instructions are counted by valgrind, which is not there: apt-get install valgrind (Debian, Ubuntu), \
             dnf install valgrind (Fedora); or `--part time` without it"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_callgrinds_file() {
        assert_eq!(total("version: 1\nevents: Ir\nsummary: 1234\nfn=(1)\ntotals: 1234\n"), Some(1234));
        assert_eq!(total("events: Ir\ntotals: 7 8\n"), Some(7));
        assert_eq!((total("summary: 0\n"), total("summary: x\n"), total("")), (None, None, None));
    }

    #[test]
    fn a_program_that_fails_is_told_with_its_last_words() {
        let error = run(Command::new("sh").args(["-c", "echo first; echo last words >&2; exit 3"])).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("last words") && error.contains('3'), "{error}");
        let missing = run(&mut Command::new("no-such-program-at-all")).unwrap_err();
        assert_eq!(missing.to_string(), "failed to start no-such-program-at-all");
    }

    #[test]
    fn limits_are_the_longer_of_computing_and_moving() {
        let limit = Limit { peak_gflops: 10.0, bandwidth_gbs: 5.0 };
        let size = |flops, bytes| ListedSize { name: "s".to_owned(), flops, bytes };
        assert_eq!(limit.least_seconds(&size(1e9, 1e8)), 0.1);
        assert_eq!(limit.least_seconds(&size(0.0, 1e9)), 0.2);
    }
}
