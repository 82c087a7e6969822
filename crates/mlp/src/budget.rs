//! How long training goes on: a number of epochs, or seconds.
//!
//! This is the one place beside the runner's clock that reads time. The rule that only the runner has a clock keeps
//! measurements in one place and results free of chance; here nothing is measured, and an experiment that asks for
//! seconds asks for exactly this: a result that depends on the machine's speed. With epochs no clock is read.

use std::time::Instant;

/// What is left of a training.
#[derive(Debug)]
pub(crate) struct Budget {
    epochs: usize,
    /// Seconds in all, those of earlier parts of the same training, and when this part began.
    clock: Option<(f64, f64, Instant)>,
}

impl Budget {
    /// `seconds` of 0 mean that epochs count; `before` were spent before this part of the training.
    pub(crate) fn new(epochs: usize, seconds: f64, before: f64) -> Self {
        Self { epochs, clock: (seconds > 0.0).then(|| (seconds, before, Instant::now())) }
    }

    /// Seconds spent, where they count.
    pub(crate) fn spent(&self) -> f64 {
        self.clock.map_or(0.0, |(_, before, start)| before + start.elapsed().as_secs_f64())
    }

    /// The share of the training that is done before this step of so many an epoch; epochs count from 0.
    pub(crate) fn progress(&self, epoch: usize, step: usize, steps: usize) -> f64 {
        let share = match self.clock {
            Some((seconds, ..)) => self.spent() / seconds,
            None => (epoch * steps + step) as f64 / (self.epochs * steps).max(1) as f64,
        };
        share.min(1.0)
    }

    /// Whether the training is over after so many epochs.
    pub(crate) fn is_over(&self, epochs: usize) -> bool {
        match self.clock {
            Some((seconds, ..)) => self.spent() >= seconds,
            None => epochs >= self.epochs,
        }
    }

    /// Epochs in all after so many: those planned, or as many as the pace so far promises.
    pub(crate) fn planned(&self, epochs: usize) -> usize {
        match self.clock {
            Some((seconds, ..)) => ((epochs as f64 * seconds / self.spent().max(1e-9)) as usize).max(epochs),
            None => self.epochs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_and_seconds_each_end_in_their_own_way() {
        let epochs = Budget::new(4, 0.0, 0.0);
        assert_eq!(epochs.progress(1, 5, 10), 0.375);
        assert!(!epochs.is_over(3) && epochs.is_over(4) && epochs.planned(2) == 4);
        assert_eq!(epochs.spent(), 0.0);
        let spent = Budget::new(4, 10.0, 20.0);
        assert!(spent.is_over(1) && spent.progress(0, 0, 1) == 1.0 && spent.planned(7) == 7);
        let fresh = Budget::new(4, 1e6, 5e5);
        assert!(!fresh.is_over(1000) && fresh.planned(3) >= 5);
        assert!((fresh.progress(0, 0, 1) - 0.5).abs() < 0.01);
    }
}
