//! The machine: what the kernel says of it and of this process.

use bakeoff_results::{Host, Seconds};
use bakeoff_runner::Machine;
use std::fs;
use std::thread::available_parallelism;

/// The commit of the source; empty where it is not known.
const COMMIT: &str = env!("BAKEOFF_COMMIT");

/// This process on this machine, read from `/proc`; what a system does not tell is 0 or empty.
pub(crate) struct ThisHost {
    threads: usize,
    /// Megabytes that the process of a cell may take.
    limit_mb: Option<f64>,
}

impl ThisHost {
    pub(crate) fn with_threads(threads: usize) -> Self {
        Self { threads, limit_mb: None }
    }

    /// The same for cells that are ended when they take more megabytes: what is free is what they may still take.
    pub(crate) fn with_limit(self, limit_mb: Option<f64>) -> Self {
        Self { limit_mb, ..self }
    }

    /// The machine as the run's record has it.
    pub(crate) fn record(&self) -> Host {
        Host {
            cpu: cpu_name().unwrap_or_default(),
            cores: available_parallelism().map_or(0, usize::from),
            threads: self.threads,
            simd: simd(),
            memory_mb: kilobytes("/proc/meminfo", "MemTotal:").unwrap_or(0) / 1024,
            os: os(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: COMMIT.to_owned(),
        }
    }
}

impl Machine for ThisHost {
    fn threads(&self) -> usize {
        self.threads
    }

    fn reset_peak(&self) {
        // "5" makes the kernel forget VmHWM (Linux 4.0). Elsewhere the peak is that of the whole process.
        let _ = fs::write("/proc/self/clear_refs", "5");
    }

    fn peak_rss_mb(&self) -> f64 {
        kilobytes("/proc/self/status", "VmHWM:").map_or(0.0, |kb| kb as f64 / 1024.0)
    }

    fn cpu(&self) -> Seconds {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Seconds(cpu_ticks(&stat).map_or(0.0, |ticks| ticks as f64 / TICKS_A_SECOND))
    }

    fn memory_bytes(&self) -> Option<u64> {
        let machine = kilobytes("/proc/meminfo", "MemAvailable:").map(|kb| kb * 1024);
        // A container's limit; "max" where there is none.
        let container = fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
        let resident = || resident_mb(std::process::id().cast_signed()).unwrap_or(0.0);
        let limit = self.limit_mb.map(|limit| ((limit - resident()).max(0.0) * f64::from(1 << 20)) as u64);
        machine.into_iter().chain(container).chain(limit).min()
    }
}

/// Resident memory of a process in MB, from `/proc`; `None` where it is not told.
pub(crate) fn resident_mb(process: i32) -> Option<f64> {
    kilobytes(&format!("/proc/{process}/status"), "VmRSS:").map(|kb| kb as f64 / 1024.0)
}

/// What Linux counts CPU time in, for programs, on every architecture that it runs on (`USER_HZ`).
const TICKS_A_SECOND: f64 = 100.0;

/// User and system time from `/proc/self/stat`: fields 14 and 15, counted behind the program's name, which may hold
/// spaces and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let behind_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = behind_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The number behind a key of a file of lines like `VmHWM:  1234 kB`.
fn kilobytes(path: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cpu_name() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn os() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).map(|name| name.trim_matches('"'));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let parts = [name.unwrap_or(std::env::consts::OS), kernel.trim(), std::env::consts::ARCH];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// The widest vector instructions that kernels find when they ask, as they do, and whether there is a matrix unit.
fn simd() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let found = [
            ("avx512f", is_x86_feature_detected!("avx512f")),
            ("avx2", is_x86_feature_detected!("avx2")),
            ("fma", is_x86_feature_detected!("fma")),
            ("avx512-bf16", bakeoff_numeric::pieces::vectors_available()),
            ("amx-bf16", bakeoff_numeric::pieces::available()),
        ];
        found.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 3 0 1 1 1";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("nonsense"), None);
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let host = ThisHost::with_threads(1);
        host.reset_peak();
        let before = host.peak_rss_mb();
        // Half is asked: the kernel counts pages in batches, and the tests beside this one give memory back meanwhile.
        let block = vec![1u8; 128 << 20];
        assert!(host.peak_rss_mb() - before > 64.0, "{before} then {}", host.peak_rss_mb());
        drop(std::hint::black_box(block));
        assert!(host.memory_bytes().is_some_and(|bytes| bytes > 1 << 20));
        let resident = resident_mb(std::process::id().cast_signed()).unwrap();
        let limited = ThisHost::with_threads(1).with_limit(Some(resident + 100.0));
        assert!(limited.memory_bytes().is_some_and(|bytes| bytes < 200 << 20), "{:?}", limited.memory_bytes());
        assert!(host.cpu().0 >= 0.0 && host.record().cores >= 1);
    }
}
