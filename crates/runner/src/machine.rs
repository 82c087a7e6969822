//! What the runner asks of the machine; the binary answers.

use bakeoff_results::Seconds;

/// Figures of this process and its machine.
pub trait Machine: Sync {
    /// Threads that the computations use.
    fn threads(&self) -> usize;

    /// Forgets the peak so far, so that the next [`Machine::peak_rss_mb`] is that of the work since then.
    fn reset_peak(&self);

    /// Peak resident memory of the process in MB; 0 where unknown.
    fn peak_rss_mb(&self) -> f64;

    /// CPU seconds of the process so far, over all threads; 0 where unknown.
    fn cpu(&self) -> Seconds;

    /// Free memory in bytes; `None` where unknown.
    fn memory_bytes(&self) -> Option<u64>;
}
