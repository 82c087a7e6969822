//! The loss of a network along straight lines through its weights, and the four moods that such lines have.

use super::Net;
use crate::figure::span;
use crate::points::normal;
use bakeoff_core::Seed;
use rand::Rng;
use rayon::prelude::*;
use serde::Serialize;

/// Places on a slice.
const PLACES: usize = 161;

/// A loss along w₀ + t d.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Slice {
    /// Which search it came from.
    pub(super) number: usize,
    pub(super) rows: usize,
    /// Weights at the middle are the initial ones times this.
    pub(super) scale: f64,
    /// t goes from −length to length; d has the initial weights' length.
    pub(super) length: f64,
    pub(super) losses: Vec<f64>,
    pub(super) mood: Option<Mood>,
    /// How clear a case of its mood it is.
    pub(super) clarity: f64,
}

/// What a slice looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Mood {
    Convex,
    NonConvex,
    LocalMinima,
    Wild,
}

/// A valley is as deep as this share of the slice's range at least, on both sides.
const DEPTH: f64 = 0.03;
/// A slice is clearly non-convex when it is above a chord by this share of its range.
const ABOVE: f64 = 0.1;
/// Valleys of a wild slice at least.
const MANY: usize = 3;

impl Mood {
    pub(super) const ALL: [Self; 4] = [Self::Convex, Self::NonConvex, Self::LocalMinima, Self::Wild];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Convex => "convex-ish",
            Self::NonConvex => "clearly non-convex",
            Self::LocalMinima => "with local minima",
            Self::Wild => "wild",
        }
    }

    pub(super) fn criterion(self) -> &'static str {
        match self {
            Self::Convex => "Nowhere above any chord by more than a thousandth of its range, with a valley inside.",
            Self::NonConvex => "No second valley, but above a chord by a tenth of its range at least.",
            Self::LocalMinima => "Two valleys, each with 3% of the range at least on both sides.",
            Self::Wild => "Three such valleys or more.",
        }
    }
}

impl Slice {
    /// The places t.
    pub(super) fn places(&self) -> Vec<f64> {
        let n = self.losses.len().saturating_sub(1).max(1) as f64;
        (0..self.losses.len()).map(|i| self.length * (2.0 * i as f64 / n - 1.0)).collect()
    }
}

/// Slices of nets that are drawn anew each time.
pub(super) fn search(count: usize, seed: Seed) -> Vec<Slice> {
    (0..count).into_par_iter().map(|number| drawn(number, seed.nth(number))).collect()
}

fn drawn(number: usize, seed: Seed) -> Slice {
    let mut rng = seed.derive("slice").rng();
    // Many rows average out what few show.
    let rows = [1, 2, 4, 16][rng.gen_range(0..4)];
    let (scale, length) = ([0.25, 0.5, 1.0, 4.0][rng.gen_range(0..4)], [0.5, 1.0, 2.0][rng.gen_range(0..3)]);
    let net = Net::new(rows, seed);
    let middle: Vec<f64> = net.network.numbers().into_iter().map(|w| scale * w).collect();
    let mut direction: Vec<f64> = middle.iter().map(|_| normal(&mut rng)).collect();
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let factor = norm(&middle) / norm(&direction);
    direction.iter_mut().for_each(|d| *d *= factor);
    let mut slice = Slice { number, rows, scale, length, losses: vec![0.0; PLACES], mood: None, clarity: 0.0 };
    let point = |t: f64| middle.iter().zip(&direction).map(|(w, d)| w + t * d).collect::<Vec<f64>>();
    slice.losses = slice.places().into_iter().map(|t| net.loss(&point(t))).collect();
    if let Some((mood, clarity)) = judged(&slice.losses) {
        (slice.mood, slice.clarity) = (Some(mood), clarity);
    }
    slice
}

/// The mood of losses at equal distances, and how clear a case it is; none when no criterion is met.
pub(super) fn judged(losses: &[f64]) -> Option<(Mood, f64)> {
    let (lo, hi) = span(losses);
    let range = hi - lo;
    if !(range > 1e-9) {
        return None;
    }
    let (valleys, least_depth) = valleys(losses, DEPTH * range);
    let above = above_chords(losses) / range;
    match valleys {
        n if n >= MANY => Some((Mood::Wild, n as f64 + least_depth / range)),
        2.. => Some((Mood::LocalMinima, least_depth / range)),
        // Slices with a valley are clearer cases than caps.
        n if above >= ABOVE => Some((Mood::NonConvex, n as f64 + above)),
        1 if above <= 1e-3 && has_valley(losses, lo, range) => Some((Mood::Convex, valley_balance(losses, lo))),
        _ => None,
    }
}

/// How many valleys there are, places from which losses rise by at least `depth` on both sides, and the least of their depths;
/// what only falls towards an end is none.
fn valleys(losses: &[f64], depth: f64) -> (usize, f64) {
    let turns = turns(losses, depth);
    let sides = turns.windows(3).map(|turn| f64::min(turn[0] - turn[1], turn[2] - turn[1]));
    let depths: Vec<f64> = sides.filter(|depth| *depth > 0.0).collect();
    (depths.len(), depths.into_iter().reduce(f64::min).unwrap_or(0.0))
}

/// The losses at which the way turns, least and greatest by turns; what goes to and fro by less than `depth` is no turn.
fn turns(losses: &[f64], depth: f64) -> Vec<f64> {
    let (mut turns, mut is_falling) = (Vec::new(), None);
    let (mut lo, mut hi) = (losses[0], losses[0]);
    for &loss in losses {
        (lo, hi) = (lo.min(loss), hi.max(loss));
        if is_falling != Some(false) && loss >= lo + depth {
            turns.push(lo);
            (is_falling, hi) = (Some(false), loss);
        } else if is_falling != Some(true) && loss <= hi - depth {
            turns.push(hi);
            (is_falling, lo) = (Some(true), loss);
        }
    }
    turns.extend(is_falling.map(|is_falling| if is_falling { lo } else { hi }));
    turns
}

/// By how much losses lie above chords between two other places at most.
fn above_chords(losses: &[f64]) -> f64 {
    let n = losses.len();
    let mut most = 0.0f64;
    for a in 0..n {
        for b in a + 2..n {
            let step = (losses[b] - losses[a]) / (b - a) as f64;
            // The middle and the quarters are enough: what is above a chord elsewhere is above a shorter one there.
            for i in [a + (b - a) / 4, a + (b - a) / 2, a + 3 * (b - a) / 4] {
                most = most.max(losses[i] - (losses[a] + step * (i - a) as f64));
            }
        }
    }
    most
}

/// Whether both ends are a fifth of the range above the least loss.
fn has_valley(losses: &[f64], lo: f64, range: f64) -> bool {
    [losses.first(), losses.last()].into_iter().flatten().all(|end| end - lo >= 0.2 * range)
}

/// The lower end's height over the upper one's.
fn valley_balance(losses: &[f64], lo: f64) -> f64 {
    let ends = [losses[0] - lo, losses[losses.len() - 1] - lo];
    ends[0].min(ends[1]) / ends[0].max(ends[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mood(f: impl Fn(f64) -> f64) -> Option<Mood> {
        let losses: Vec<f64> = (0..PLACES).map(|i| f(i as f64 / 80.0 - 1.0)).collect();
        judged(&losses).map(|(mood, _)| mood)
    }

    #[test]
    fn moods_of_known_functions() {
        assert_eq!(mood(|t| t * t), Some(Mood::Convex));
        assert_eq!(mood(|t| 1.0 - (-8.0 * t * t).exp()), Some(Mood::NonConvex));
        assert_eq!(mood(|t| (t * t - 0.4).powi(2)), Some(Mood::LocalMinima));
        assert_eq!(mood(|t| (20.0 * t).sin() + t * t), Some(Mood::Wild));
        assert_eq!(mood(|_| 3.0), None);
        assert_eq!(mood(|t| -t * t), Some(Mood::NonConvex), "a cap's ends are no minima");
        assert_eq!(mood(f64::exp), None, "no valley");
        assert_eq!(mood(|_| f64::NAN), None);
    }

    #[test]
    fn small_ripples_and_ends_are_no_valleys() {
        let ripples: Vec<f64> =
            (0..100).map(|i| 0.001 * f64::from(i % 2) + (f64::from(i) / 50.0 - 1.0).powi(2)).collect();
        assert_eq!(valleys(&ripples, 0.03).0, 1);
        assert_eq!(turns(&[2.0, 0.0, 1.0, 0.5, 3.0], 0.4), [2.0, 0.0, 1.0, 0.5, 3.0]);
        assert_eq!(valleys(&[2.0, 0.0, 1.0, 0.5, 3.0], 0.4), (2, 0.5));
        assert_eq!(valleys(&[2.0, 0.0, 1.0, 0.5, 3.0], 0.6), (1, 2.0));
        assert_eq!([valleys(&[0.0, 1.0, 0.0], 0.1).0, valleys(&[0.0, 2.0, 1.0, 2.0, 0.0], 0.1).0], [0, 1]);
        assert_eq!((turns(&[1.0, 1.0], 0.1), valleys(&[3.0], 0.1)), (Vec::<f64>::new(), (0, 0.0)));
    }
}
