//! One kernel at a time, for `bakeoff bench`, which drives it: `list`, `count`, `time` and `limit`. Answers are JSON, one
//! object a line, on standard output.
//!
//! `gate list` names the kernels with their sizes and limits. `gate count KERNEL SIZE OUTCOME CALLS` calls a kernel so often
//! in [`measured_by_the_gate`], where an instruction counter listens, on one thread. `gate time KERNEL SIZE OUTCOME SECONDS`
//! calls it for so long and tells the median seconds of a call. Both write what the last call gave to the file OUTCOME.
//! `gate limit` measures what one thread of the machine can do. BAKEOFF_GATE_PLANT makes it slower or wrong on purpose (see
//! [`Plant`]), for the gate's self-tests alone.

#![expect(clippy::print_stdout, reason = "answering on standard output is what this program is for")]

use bakeoff_benches::kernel::{Case, Kernel, Tolerance};
use bakeoff_benches::kernels;
use bakeoff_benches::machine::{peak, triad};
use serde_json::json;
use std::error::Error;
use std::time::{Duration, Instant};

type Failure = Box<dyn Error + Send + Sync>;

/// What `bakeoff bench` must understand; another number when answers change their meaning.
const PROTOCOL: u32 = 1;

/// Something that is wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Plant {
    /// Nothing is.
    None,
    /// `calls=SHARE`: as many calls more, for the instruction counter to find.
    Calls(f64),
    /// `time=SHARE`: every call takes longer by this share.
    Time(f64),
    /// `result`: a number of the result is another.
    Result,
}

impl Plant {
    fn from_environment() -> Result<Self, Failure> {
        let Some(text) = std::env::var_os("BAKEOFF_GATE_PLANT") else { return Ok(Self::None) };
        let text = text.to_string_lossy();
        match text.split_once('=') {
            Some(("calls", share)) => Ok(Self::Calls(share.parse()?)),
            Some(("time", share)) => Ok(Self::Time(share.parse()?)),
            None if text == "result" => Ok(Self::Result),
            _ => Err(format!("BAKEOFF_GATE_PLANT is {text:?}; calls=SHARE, time=SHARE or result").into()),
        }
    }
}

fn main() -> Result<(), Failure> {
    // One thread, this one: what is counted and timed is the kernel and no scheduler's mood.
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *words {
        ["list"] => {
            list();
            Ok(())
        }
        ["count", kernel, size, outcome, calls] => count(&mut case(kernel, size)?, calls.parse()?, outcome),
        ["time", kernel, size, outcome, seconds] => time(&mut case(kernel, size)?, seconds.parse()?, outcome),
        ["limit"] => {
            limit();
            Ok(())
        }
        _ => Err("list, count KERNEL SIZE OUTCOME CALLS, time KERNEL SIZE OUTCOME SECONDS, or limit".into()),
    }
}

fn list() {
    println!("{}", json!({ "protocol": PROTOCOL }));
    kernels::all().iter().for_each(|kernel| println!("{}", described(kernel)));
}

fn described(kernel: &Kernel) -> serde_json::Value {
    let Tolerance { values, labels } = kernel.tolerance;
    let sizes = kernel.sizes.iter();
    let sizes = sizes.map(|size| json!({ "name": size.name, "flops": size.work.flops, "bytes": size.work.bytes }));
    json!({
        "kernel": kernel.name,
        "sizes": sizes.collect::<Vec<_>>(),
        "values": values,
        "labels": labels,
        "instructions": kernel.instructions,
    })
}

/// The inputs of a kernel at a size.
fn case(kernel: &str, size: &str) -> Result<Case, Failure> {
    let all = kernels::all();
    let found = all.iter().find(|candidate| candidate.name == kernel).ok_or("there is no such kernel")?;
    let size = found.sizes.iter().find(|candidate| candidate.name == size).ok_or("the kernel has no such size")?;
    Ok((size.make)())
}

/// One call; a function of its own, whose name an instruction counter can be told.
#[inline(never)]
fn measured_by_the_gate(case: &mut Case) {
    case.run();
}

fn count(case: &mut Case, calls: usize, outcome: &str) -> Result<(), Failure> {
    let plant = Plant::from_environment()?;
    // What is set up in a first call (tables, feature detection) is no part of a kernel.
    case.prepare();
    case.run();
    let more = if let Plant::Calls(share) = plant { (calls as f64 * share).round() as usize } else { 0 };
    for _ in 0..calls + more {
        case.prepare();
        measured_by_the_gate(case);
    }
    keep(case, plant, outcome)?;
    println!("{}", json!({ "calls": calls }));
    Ok(())
}

fn time(case: &mut Case, seconds: f64, outcome: &str) -> Result<(), Failure> {
    let plant = Plant::from_environment()?;
    let total = Duration::try_from_secs_f64(seconds)?;
    let started = Instant::now();
    let mut times = Vec::new();
    // A fifth of the time is for caches, pages and the processor's clock to settle.
    let mut settled = 0;
    while started.elapsed() < total || times.len() < settled + 3 {
        if started.elapsed() < total / 5 {
            settled = times.len() + 1;
        }
        case.prepare();
        let start = Instant::now();
        case.run();
        if let Plant::Time(share) = plant {
            let longer = start.elapsed().mul_f64(1.0 + share);
            while start.elapsed() < longer {
                std::hint::spin_loop();
            }
        }
        times.push(start.elapsed().as_secs_f64());
    }
    keep(case, plant, outcome)?;
    let mut timed = times.split_off(settled);
    timed.sort_by(f64::total_cmp);
    println!("{}", json!({ "median": timed[timed.len() / 2], "calls": timed.len() }));
    Ok(())
}

/// Writes what the last call gave.
fn keep(case: &Case, plant: Plant, path: &str) -> Result<(), Failure> {
    let mut outcome = case.outcome();
    if plant == Plant::Result {
        outcome.spoil();
    }
    Ok(std::fs::write(path, outcome.to_bytes())?)
}

/// Medians of the multiply-add peak and of the bandwidth, taken in turn.
fn limit() {
    const LENGTH: usize = 1 << 24;
    let (mut a, b, c) = (vec![0.0f32; LENGTH], vec![1.5f32; LENGTH], vec![2.5f32; LENGTH]);
    let (mut peaks, mut bandwidths): (Vec<f64>, Vec<f64>) = (0..9).map(|_| (peak(1), triad(&mut a, &b, &c))).unzip();
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!("{}", json!({ "peak_gflops": median(&mut peaks), "bandwidth_gbs": median(&mut bandwidths) }));
}
