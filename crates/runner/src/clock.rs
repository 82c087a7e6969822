//! The only clock of the house: wall time, of single calls.

use bakeoff_results::Seconds;
use std::time::Instant;

/// Wall time since it was started.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    /// Starts counting.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Seconds since the start.
    pub fn elapsed(self) -> Seconds {
        Seconds(self.started.elapsed().as_secs_f64())
    }
}

/// The value of a call and the time it took, added to what was spent before.
pub(crate) fn timed<T>(spent: &mut Seconds, call: impl FnOnce() -> T) -> T {
    let watch = Stopwatch::start();
    let value = call();
    spent.0 += watch.elapsed().0;
    value
}

/// What the parts of a pipeline took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Spent {
    /// Fitting the extractor and encoding training and test images.
    pub(crate) features: Seconds,
    /// Scaling and the classifier's fit.
    pub(crate) fit: Seconds,
    /// Scoring test rows.
    pub(crate) predict: Seconds,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_calls_add_up() {
        let mut spent = Seconds(1.0);
        let value = timed(&mut spent, || 7);
        assert_eq!(value, 7);
        let once = spent.0;
        assert!(once >= 1.0);
        timed(&mut spent, || std::thread::sleep(std::time::Duration::from_millis(2)));
        assert!(spent.0 - once >= 0.002, "{spent:?}");
    }
}
