//! Axes: linear, logarithmic, and names in a column.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use std::ops::Range;

/// How values lie along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
    /// Whole numbers 0, 1, … from the top down.
    Names(usize),
}

/// One axis of a plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    lo: f64,
    hi: f64,
    scale: Scale,
}

impl Axis {
    /// All these values with a little room at both ends. Values that are not finite do not count; none give 0 to 1.
    pub fn linear(values: impl IntoIterator<Item = f64>) -> Self {
        let (lo, hi) = span(values.into_iter().filter(|v| v.is_finite())).unwrap_or((0.0, 1.0));
        let room = if hi > lo { 0.05 * (hi - lo) } else { 0.5 * lo.abs().max(1.0) };
        Self { lo: lo - room, hi: hi + room, scale: Scale::Linear }
    }

    /// The same, but never beyond these ends.
    pub fn within(self, lo: f64, hi: f64) -> Self {
        Self { lo: self.lo.max(lo), hi: self.hi.min(hi), ..self }
    }

    /// From exactly here to exactly there.
    pub fn from_to(lo: f64, hi: f64) -> Self {
        Self { lo, hi, scale: Scale::Linear }
    }

    /// All these values on a logarithmic scale. Values that are not above 0 do not count; none give 1 to 10.
    pub fn log(values: impl IntoIterator<Item = f64>) -> Self {
        let positive = values.into_iter().filter(|v| v.is_finite() && *v > 0.0);
        let (lo, hi) = span(positive).unwrap_or((1.0, 10.0));
        // At least a factor of four is shown: two costs that are nearly equal look so.
        let room = (0.08 * (hi / lo).ln()).max((4.0f64.ln() - (hi / lo).ln()) / 2.0).exp();
        Self { lo: lo / room, hi: hi * room, scale: Scale::Log }
    }

    /// Names from the top down.
    pub fn names(n: usize) -> Self {
        Self { lo: n as f64 - 0.5, hi: -0.5, scale: Scale::Names(n) }
    }

    /// Its lower end.
    pub fn lo(&self) -> f64 {
        self.lo.min(self.hi)
    }

    /// Its upper end.
    pub fn hi(&self) -> f64 {
        self.lo.max(self.hi)
    }

    fn share(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Log => (value / self.lo).ln() / (self.hi / self.lo).ln(),
            Scale::Linear | Scale::Names(_) => (value - self.lo) / (self.hi - self.lo),
        }
    }
}

fn span(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |all, v| Some(all.map_or((v, v), |(lo, hi): (f64, f64)| (lo.min(v), hi.max(v)))))
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        // Far outside, a mark is cut off by the picture's edge wherever it lies.
        let share = self.share(*value).clamp(-10.0, 10.0);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let most = hint.max_num_points();
        match self.scale {
            Scale::Names(n) => (0..n).map(|i| i as f64).collect(),
            Scale::Linear => RangedCoordf64::from(self.lo..self.hi).key_points(most),
            Scale::Log => log_ticks(self.lo, self.hi, most),
        }
    }

    fn range(&self) -> Range<f64> {
        self.lo..self.hi
    }
}

/// 1, 2 and 5 times the powers of ten, or 1 and 3, or 1, or every second power …: the most that fit.
fn log_ticks(lo: f64, hi: f64, most: usize) -> Vec<f64> {
    let (first, last) = (lo.log10().floor() as i32, hi.log10().ceil() as i32);
    let ticks = |steps: &[f64], every: i32| -> Vec<f64> {
        let powers = (first..=last).filter(|power| power.rem_euclid(every) == 0);
        let all = powers.flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
        all.filter(|tick| (lo..=hi).contains(tick)).collect()
    };
    let tries: [(&[f64], i32); 6] =
        [(&[1.0, 2.0, 5.0], 1), (&[1.0, 3.0], 1), (&[1.0], 1), (&[1.0], 2), (&[1.0], 3), (&[1.0], 6)];
    let found = tries.iter().map(|(steps, every)| ticks(steps, *every)).find(|ticks| ticks.len() <= most.max(1));
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_a_log_axis_are_round_and_few() {
        assert_eq!(log_ticks(0.9, 12.0, 6), [1.0, 2.0, 5.0, 10.0]);
        assert_eq!(log_ticks(0.9, 1200.0, 4), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(log_ticks(2.1, 4.9, 4), Vec::<f64>::new(), "an axis spans a factor of four at least");
        assert!(!Axis::log([3.0, 3.0]).key_points(6).is_empty());
    }

    #[test]
    fn values_map_to_their_share() {
        let log = Axis { lo: 1.0, hi: 100.0, scale: Scale::Log };
        assert_eq!(log.map(&10.0, (0, 1000)), 500);
        let names = Axis::names(2);
        assert_eq!((names.map(&0.0, (400, 0)), names.map(&1.0, (400, 0))), (100, 300), "the first name is on top");
        assert_eq!(Axis::linear([]).key_points(3).first(), Some(&0.0));
        let one = Axis::linear([5.0, f64::NAN]);
        assert!(one.lo() < 5.0 && one.hi() > 5.0);
    }
}
