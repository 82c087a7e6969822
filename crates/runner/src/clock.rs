//! The only clock of the house: wall time, of single calls.

use crate::cache::Saved;
use bakeoff_results::Seconds;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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

/// The time of day, for marking files as used.
pub fn moment() -> SystemTime {
    SystemTime::now()
}

/// The time of day as RFC 3339 has it, UTC, in whole seconds.
pub fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    rfc3339(since.map_or(0, |since| since.as_secs()))
}

/// Milliseconds since 1970, as servers count them.
pub fn milliseconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Seconds since 1970 as a date and time (Hinnant, "chrono-compatible low-level date algorithms": years begin in March, so
/// that the leap day is the last of its year).
fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
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
    /// What was not spent, because features were found where they had been kept; `features` counts it.
    pub(crate) saved: Saved,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // From GNU date -u -d @SECONDS.
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(rfc3339(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(now().len(), 20);
    }

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
