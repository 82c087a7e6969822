//! The threads that computations use.

use anyhow::Context;
use rayon::ThreadPoolBuilder;

/// How many: as asked, else one a processor.
pub(crate) fn count(asked: Option<u16>) -> usize {
    asked.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}

/// Starts them for the rest of this process's life, each on a processor of its own where there are enough.
pub(crate) fn start(threads: usize) -> anyhow::Result<()> {
    let processors = processors();
    let pinned = move |thread: usize| {
        if threads <= processors.len() {
            pin(processors[thread % processors.len()]);
        }
    };
    let pool = ThreadPoolBuilder::new().num_threads(threads).start_handler(pinned).build_global();
    pool.with_context(|| format!("failed to start {threads} threads"))
}

/// Calls `work` with threads that have ended when it returns, so that this process can be copied afterwards.
pub(crate) fn lent<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
    let pool = ThreadPoolBuilder::new().num_threads(threads);
    let worked = pool.build_scoped(rayon::ThreadBuilder::run, |pool| pool.install(work));
    worked.with_context(|| format!("failed to start {threads} threads"))
}

/// The processors that this process may use, the one that it is on first: the system put it where there was the least to do, and two runs
/// of one thread beside each other are not to share the first processor.
#[cfg(target_os = "linux")]
fn processors() -> Vec<usize> {
    use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu};
    let Ok(allowed) = sched_getaffinity(nix::unistd::Pid::from_raw(0)) else { return Vec::new() };
    let mut all: Vec<usize> = (0..CpuSet::count()).filter(|&i| allowed.is_set(i).unwrap_or(false)).collect();
    let here = sched_getcpu().ok().and_then(|here| all.iter().position(|&i| i == here));
    all.rotate_left(here.unwrap_or(0));
    all
}

#[cfg(not(target_os = "linux"))]
fn processors() -> Vec<usize> {
    Vec::new()
}

/// Keeps the calling thread on a processor. Where that is not to be had it wanders, as threads do.
fn pin(processor: usize) {
    #[cfg(target_os = "linux")]
    {
        let mut set = nix::sched::CpuSet::new();
        if set.set(processor).is_ok() {
            let _ = nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = processor;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lent_threads_compute_and_are_gone() {
        let sum: u64 = lent(3, || {
            use rayon::prelude::*;
            assert_eq!(rayon::current_num_threads(), 3);
            (0..1000_u64).into_par_iter().sum()
        })
        .unwrap();
        assert_eq!(sum, 499_500);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn there_are_processors_to_pin_to() {
        assert!(!processors().is_empty());
    }
}
