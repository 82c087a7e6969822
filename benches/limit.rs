//! Every kernel beside the machine's limit: multiply-add peak and memory bandwidth, measured in turn with the kernels in
//! one run, because shared machines drift.
//!
//! `cargo bench -p bakeoff-benches --bench limit` prints a table of medians of alternated repeats; with `-- --markdown FILE`
//! it also writes it there. Words that are no options are parts of names to keep to.

#![expect(clippy::print_stdout, reason = "printing the table is what this program is for")]

use bakeoff_benches::kernel::{Kernel, Size};
use bakeoff_benches::kernels;
use bakeoff_benches::machine::{peak, processor, seconds, triad};
use std::fmt::Write as _;

/// What one kernel was measured at.
struct Line {
    kernel: String,
    size: String,
    seconds: f64,
    /// The share of the limit.
    share: f64,
    /// Whether operations, not bytes, set the limit.
    computes: bool,
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Arrays of three times the caches and more.
struct Memory([Vec<f32>; 3]);

impl Memory {
    fn bandwidth(&mut self) -> f64 {
        let [a, b, c] = &mut self.0;
        triad(a, b, c)
    }
}

/// Kernel, peak and bandwidth turn by turn, so that a slow second hits all of them.
fn measure(kernel: &Kernel, size: &Size, memory: &mut Memory, repeats: usize) -> Line {
    let mut case = (size.make)();
    let checked = case.check(kernel.tolerance);
    assert!(checked.is_ok(), "{} at {}: {checked:?}", kernel.name, size.name);
    let threads = rayon::current_num_threads();
    let (mut times, mut shares) = (Vec::new(), Vec::new());
    let mut computes = false;
    for _ in 0..repeats {
        let (peak, bandwidth) = (peak(threads), memory.bandwidth());
        // The median of a few calls beside each measurement of the machine: a call may be too short to be timed alone.
        let once = |_| {
            case.prepare();
            seconds(|| case.run())
        };
        let mut calls: Vec<f64> = (0..5).map(once).collect();
        let time = median(&mut calls);
        let (least, by_operations) = size.work.least_seconds(peak, bandwidth);
        computes = by_operations;
        times.push(time);
        shares.push(least / time);
    }
    let (kernel, size) = (kernel.name.clone(), size.name.clone());
    Line { kernel, size, seconds: median(&mut times), share: median(&mut shares), computes }
}

fn duration(seconds: f64) -> String {
    if seconds < 1e-3 {
        format!("{:.1} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

fn markdown(lines: &[Line], head: &str) -> String {
    let mut text = format!("# Kernels beside the machine's limit\n\n{head}\n\n");
    text.push_str("| kernel | size | a call | share of the limit | set by |\n|---|---|---:|---:|---|\n");
    for line in lines {
        let by = if line.computes { "multiply-adds" } else { "memory" };
        let (time, share) = (duration(line.seconds), 100.0 * line.share);
        let _ = writeln!(text, "| {} | {} | {time} | {share:.1}% | {by} |", line.kernel, line.size);
    }
    text
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--test" || argument == "--quick");
    let path = arguments.iter().position(|argument| argument == "--markdown").and_then(|i| arguments.get(i + 1));
    let words: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-') && Some(*word) != path).collect();
    let repeats = if quick { 1 } else { 7 };
    let length = if quick { 1 << 22 } else { 1 << 24 };
    let mut memory = Memory([vec![0.0; length], vec![1.5; length], vec![2.5; length]]);
    let threads = rayon::current_num_threads();
    let mut bandwidths: Vec<f64> = (0..repeats).map(|_| memory.bandwidth()).collect();
    let mut peaks: Vec<f64> = (0..repeats).map(|_| peak(threads)).collect();
    let head = format!(
        "{}, {threads} threads: {:.1} GFLOP/s of multiply-adds in registers, {:.1} GB/s to and from memory (triad). The limit of a call\n\
         is the longer of its operations at that peak and its inputs and outputs once through memory at that bandwidth; sizes\n\
         that stay in the caches can beat the latter. Operations are counted where the definition fixes them, so that\n\
         features and fits are beside memory alone; all of them, also of kernels that leave some out (zeros, rows too far away),\n\
         whose shares may pass 100%. Medians of {repeats} alternated repeats; written by\n\
         `cargo bench -p bakeoff-benches --bench limit -- --markdown benches/limit.md`.",
        processor(),
        median(&mut peaks),
        median(&mut bandwidths),
    );
    println!("{head}\n");
    println!("{:<36} {:>18} {:>12} {:>8}  set by", "kernel", "size", "a call", "share");
    let mut lines = Vec::new();
    for kernel in kernels::all() {
        let wanted = words.is_empty() || words.iter().any(|word| kernel.name.contains(word.as_str()));
        // With `--test` the smallest will do; else the two largest, which are what pipelines meet.
        let sizes = if quick { &kernel.sizes[..1] } else { &kernel.sizes[kernel.sizes.len().min(3) - 2..] };
        for size in sizes.iter().filter(|_| wanted) {
            let line = measure(&kernel, size, &mut memory, repeats);
            let (time, share) = (duration(line.seconds), 100.0 * line.share);
            let by = if line.computes { "multiply-adds" } else { "memory" };
            println!("{:<36} {:>18} {time:>12} {share:>7.1}%  {by}", line.kernel, line.size);
            lines.push(line);
        }
    }
    if let Some(path) = path {
        // cargo runs benches in their package's folder; a path is meant from the workspace's, where the command is typed.
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
        std::fs::write(path, markdown(&lines, &head)).expect("the file can be written");
    }
}
