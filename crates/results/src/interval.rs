//! Intervals: Wilson's for one model, a two-way bootstrap for means over seeds and images.
//!
//! # Wilson
//! For r right of n images and the normal quantile z, the centre is (r + z²/2) / (n + z²) and the half width
//! z/(n + z²) · √(r(n − r)/n + z²/4) (Wilson 1927). It is about one fixed model and the images it might have met.
//!
//! # Two ways
//! Values x(s, i) of S seeds and N images, 0 or 1 for one pipeline, −1, 0 or 1 for the difference of two, are modelled as
//! mean + seed effect + image effect + rest. With the mean squares of the two-way table the variance of the mean is
//! MSA/(SN) + max(MSB − MSAB, 0)/(SN), where A is seeds, B images, AB the rest: seeds and images are both drawn from more.
//! This is the model of studies with several readers of the same cases (Dorfman, Berbaum and Metz 1992; Hillis 2014).
//!
//! A draw of the bootstrap is the mean, plus the mean of image effects resampled with replacement and shrunk by
//! √(max(MSB − MSAB, 0)/MSB), so that the rest is not counted twice, plus a normal draw with the seeds' standard error: seeds
//! are a handful, and resampling three seeds would repeat three numbers and shrink their variance to 2/3. The interval is
//! between percentiles of the draws after their distances from the centre were stretched, so that a normal sum reaches the critical
//! value of "a variance guessed from S − 1 degrees of freedom, and another that is known" instead of the normal one: a bootstrap
//! expanded for small samples (Hesterberg 2015), by Satterthwaite's degrees of freedom as Hillis (2007) has them for readers and
//! cases, and more where those are known to fall short. The formula is at `critical` in `src/student.rs`.
//!
//! Before resampling, four images join, two always right and two always wrong ("plus four", Agresti and Coull 1998), or for
//! differences one each way (Bonett and Price 2012). Without them a pipeline that is right everywhere would be given
//! an interval of width zero, and small test sets intervals that are too short. With 1,000 images they move nothing
//! that a report shows.
//!
//! # How good
//! Measured over thousands of simulated bake-offs, in `tests/coverage.rs`, which prints the figures: 95% ± 1 from three seeds on; with two
//! seeds 95 to 98%, since their spread can only be guessed from one difference.
//! Limits: seeds' effects are taken as normal, images as drawn one by one (not in groups of near-duplicates),
//! the training images as given: another training set is another experiment ([`crate::resampled`]).

use crate::normal::normal_quantile;
use crate::random::Random;
use crate::student::{critical, level_of};
use serde::{Deserialize, Serialize};

/// An interval; as JSON a list of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct Interval {
    /// Its lower end.
    pub lo: f64,
    /// Its upper end.
    pub hi: f64,
}

impl From<[f64; 2]> for Interval {
    fn from([lo, hi]: [f64; 2]) -> Self {
        Self { lo, hi }
    }
}

impl From<Interval> for [f64; 2] {
    fn from(interval: Interval) -> Self {
        [interval.lo, interval.hi]
    }
}

impl Interval {
    /// Whether the number lies in it.
    pub fn contains(self, value: f64) -> bool {
        self.lo <= value && value <= self.hi
    }

    /// Whether all of it lies in the other.
    pub fn is_within(self, other: Self) -> bool {
        other.lo <= self.lo && self.hi <= other.hi
    }
}

/// What kind of interval a number carries. A report names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalKind {
    /// Wilson's score interval of one model over images.
    Wilson,
    /// Bootstrap over images, of one model or of two models on the same images.
    ImageBootstrap,
    /// Bootstrap over seeds and images.
    TwoWayBootstrap,
    /// Student's, over splits drawn anew from the same images, with the correction of Nadeau and Bengio.
    ResampledSplits,
}

impl IntervalKind {
    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wilson => "Wilson interval over images",
            Self::ImageBootstrap => "bootstrap interval over images",
            Self::TwoWayBootstrap => "bootstrap interval over seeds and images",
            Self::ResampledSplits => "corrected resampled t interval over splits",
        }
    }
}

/// Wilson's score interval for a proportion of `right` in `of`, at this level of confidence. All of [0, 1] when `of` is 0.
pub fn wilson(right: usize, of: usize, confidence: f64) -> Interval {
    score_interval(right as f64, of as f64, confidence)
}

/// Wilson's formula for a number of right ones that may lie between two whole ones, as a mean over seeds does. All of [0, 1] when `n` is 0.
pub(crate) fn score_interval(r: f64, n: f64, confidence: f64) -> Interval {
    if n <= 0.0 {
        return Interval { lo: 0.0, hi: 1.0 };
    }
    let z = normal_quantile(0.5 + confidence / 2.0);
    let centre = (r + z * z / 2.0) / (n + z * z);
    let half = z / (n + z * z) * (r * (n - r) / n + z * z / 4.0).sqrt();
    // At the ends the formula gives exactly 0 and 1, but for rounding.
    let lo = if r <= 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let hi = if r >= n { 1.0 } else { (centre + half).min(1.0) };
    Interval { lo, hi }
}

/// Draws of the bootstrap: the ends of a 95% interval then stand at tails of 2.5% ± 0.35%.
pub const DRAWS: usize = 2000;

/// Whole numbers of seeds and images crossed, each seed with every image, reduced to what the interval needs. Sums are whole
/// numbers, so the order of seeds and images changes no bit.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossed {
    n_seeds: usize,
    /// Sum over seeds, for every image.
    by_image: Vec<i64>,
    /// Sum over images, for every seed.
    by_seed: Vec<i64>,
    /// Sum of squares over all.
    squares: i64,
    /// The sums over seeds of the images that join before resampling.
    joining: Vec<i64>,
    bounds: Interval,
}

/// Mean squares of a table of seeds and images with one value in each place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanSquares {
    /// Between seeds, 0 with one seed.
    pub seeds: f64,
    /// Between images.
    pub images: f64,
    /// The rest, 0 with one seed.
    pub rest: f64,
}

/// How far the mean may be off, as variances, and where draws are centred.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    centre: f64,
    seeds: f64,
    images: f64,
    /// What is left of an image's effect when the rest is taken out of it.
    shrink: f64,
}

impl Crossed {
    /// Which images each seed got right: `right[seed][image]`. `None` when there is no seed or no image.
    ///
    /// # Panics
    /// When seeds have different numbers of images.
    pub fn accuracy(right: &[&[bool]]) -> Option<Self> {
        let s = signed(right.len());
        let values: Vec<Vec<i64>> = right.iter().map(|seed| seed.iter().map(|&r| i64::from(r)).collect()).collect();
        Self::of(&values, vec![s, s, 0, 0], Interval { lo: 0.0, hi: 1.0 })
    }

    /// The differences a − b, image by image and seed by seed. `None` when there is no seed or no image.
    ///
    /// # Panics
    /// When the two have different numbers of seeds, or seeds different numbers of images.
    pub fn difference(a: &[&[bool]], b: &[&[bool]]) -> Option<Self> {
        assert_eq!(a.len(), b.len(), "seeds of a pair");
        let minus = |(a, b): (&&[bool], &&[bool])| {
            assert_eq!(a.len(), b.len(), "images of a pair");
            a.iter().zip(b.iter()).map(|(&a, &b)| i64::from(a) - i64::from(b)).collect()
        };
        let s = signed(a.len());
        let values: Vec<Vec<i64>> = a.iter().zip(b).map(minus).collect();
        Self::of(&values, vec![s, -s], Interval { lo: -1.0, hi: 1.0 })
    }

    fn of(values: &[Vec<i64>], joining: Vec<i64>, bounds: Interval) -> Option<Self> {
        let n_images = values.first().map(Vec::len).filter(|&n| n > 0)?;
        let mut by_image = vec![0; n_images];
        for seed in values {
            assert_eq!(seed.len(), n_images, "images of each seed");
            by_image.iter_mut().zip(seed).for_each(|(sum, value)| *sum += value);
        }
        let by_seed = values.iter().map(|seed| seed.iter().sum()).collect();
        let squares = values.iter().flatten().map(|v| v * v).sum();
        Some(Self { n_seeds: values.len(), by_image, by_seed, squares, joining, bounds })
    }

    /// Mean over seeds and images.
    pub fn mean(&self) -> f64 {
        self.by_seed.iter().sum::<i64>() as f64 / self.n_values()
    }

    /// Number of seeds.
    pub fn n_seeds(&self) -> usize {
        self.n_seeds
    }

    fn n_values(&self) -> f64 {
        self.n_seeds as f64 * self.by_image.len() as f64
    }

    /// Mean squares of the two-way table.
    pub fn mean_squares(&self) -> MeanSquares {
        let (s, n) = (self.n_seeds as i128, self.by_image.len() as i128);
        let square = |sums: &[i64]| sums.iter().map(|&sum| i128::from(sum).pow(2)).sum::<i128>();
        let total = i128::from(self.by_seed.iter().sum::<i64>()).pow(2);
        let (seeds, images) = (s * square(&self.by_seed) - total, n * square(&self.by_image) - total);
        let rest = s * n * i128::from(self.squares) - total - seeds - images;
        // A sum of squares over s·n, divided by its degrees of freedom; 0 where there are none.
        let over =
            |sum: i128, freedom: i128| if freedom == 0 { 0.0 } else { sum as f64 / self.n_values() / freedom as f64 };
        MeanSquares { seeds: over(seeds, s - 1), images: over(images, n - 1), rest: over(rest, (s - 1) * (n - 1)) }
    }

    /// Variance that seeds give the mean: what more seeds reduce, as one over their number.
    pub fn seed_variance(&self) -> f64 {
        self.mean_squares().seeds / self.n_values()
    }

    /// Variance that images give the mean: what only more test images reduce.
    pub fn image_variance(&self) -> f64 {
        self.spread().images
    }

    fn images_and_joining(&self) -> Vec<i64> {
        self.by_image.iter().chain(&self.joining).copied().collect()
    }

    fn spread(&self) -> Spread {
        let images = self.images_and_joining();
        let (s, n) = (self.n_seeds as f64, images.len() as f64);
        let sum: i64 = images.iter().sum();
        let squares: i64 = images.iter().map(|v| v * v).sum();
        let mean_square = (squares as f64 - (sum as f64).powi(2) / n) / (n - 1.0) / s;
        let share = (1.0 - self.mean_squares().rest / mean_square).max(0.0);
        Spread {
            centre: sum as f64 / (n * s),
            seeds: self.seed_variance(),
            images: share * mean_square / (n * s),
            shrink: share.sqrt(),
        }
    }

    /// Which kind of interval [`Crossed::interval`] gives.
    pub fn kind(&self) -> IntervalKind {
        if self.n_seeds == 1 { IntervalKind::ImageBootstrap } else { IntervalKind::TwoWayBootstrap }
    }

    /// The bootstrap's percentile interval of the mean at this level of confidence, from [`DRAWS`] draws. The same values give the
    /// same bits.
    pub fn interval(&self, confidence: f64) -> Interval {
        self.interval_of(confidence, DRAWS, 0x62_616b_656f_6666)
    }

    /// The same from this many draws of a generator started at `seed`.
    pub fn interval_of(&self, confidence: f64, n_draws: usize, seed: u64) -> Interval {
        let (centre, stretch) = (self.spread().centre, self.stretch(confidence));
        let mut draws = self.draws(n_draws, &mut Random(seed));
        draws.sort_by(f64::total_cmp);
        let tail = (1.0 - confidence) / 2.0;
        let end = |p: f64| centre + stretch * (quantile(&draws, p) - centre);
        let (lo, hi) = (end(tail), end(1.0 - tail));
        // The images that joined may have drawn the centre away from a mean at the edge.
        Interval { lo: lo.max(self.bounds.lo).min(self.mean()), hi: hi.min(self.bounds.hi).max(self.mean()) }
    }

    /// Degrees of freedom of the seeds' variance.
    fn freedom(&self) -> f64 {
        self.n_seeds as f64 - 1.0
    }

    /// How much further than a normal sum with these variances the interval reaches.
    fn stretch(&self, confidence: f64) -> f64 {
        let spread = self.spread();
        stretch(confidence, spread.seeds, self.freedom(), spread.images)
    }

    fn draws(&self, n_draws: usize, random: &mut Random) -> Vec<f64> {
        let counts = self.counts();
        let (spread, n) = (self.spread(), self.by_image.len() + self.joining.len());
        let scale = 1.0 / (n as f64 * self.n_seeds as f64);
        let draw = |random: &mut Random| {
            let image_part = spread.shrink * (resampled_sum(&counts, n, random) as f64 * scale - spread.centre);
            let seed_part = if self.n_seeds > 1 { spread.seeds.sqrt() * random.normal() } else { 0.0 };
            spread.centre + image_part + seed_part
        };
        (0..n_draws).map(|_| draw(random)).collect()
    }

    /// The different sums of images in increasing order, with how many images have each: all that resampling needs, and the same in
    /// whatever order images come.
    fn counts(&self) -> Vec<(i64, usize)> {
        let mut images = self.images_and_joining();
        images.sort_unstable();
        images.chunk_by(|a, b| a == b).map(|same| (same[0], same.len())).collect()
    }

    /// Two-sided p-value of "the mean is 0" under the model of the bootstrap, images' part taken as normal: the level at which the
    /// critical value is the mean as observed. It is not below 2e-15. For two models of one seed use
    /// [`mcnemar`](crate::test::mcnemar).
    pub fn p_value(&self) -> f64 {
        let spread = self.spread();
        level_of(self.mean().abs(), spread.seeds, self.freedom(), spread.images)
    }
}

/// The critical value over that of a normal sum with the same variances; 1 where nothing varies.
pub(crate) fn stretch(confidence: f64, seeds: f64, freedom: f64, images: f64) -> f64 {
    let (wide, plain) =
        (critical(1.0 - confidence, seeds, freedom, images), critical(1.0 - confidence, 0.0, freedom, seeds + images));
    if plain > 0.0 { wide / plain } else { 1.0 }
}

/// The sum of n values drawn with replacement from `n` values given as (value, how many).
fn resampled_sum(counts: &[(i64, usize)], n: usize, random: &mut Random) -> i64 {
    // A multinomial draw, one binomial after the other: each value's share of the draws that are left.
    let (mut left, mut behind, mut sum) = (n, n, 0);
    for &(value, count) in counts {
        let drawn = if count == behind { left } else { random.binomial(left, count as f64 / behind as f64) };
        sum += value * signed(drawn);
        left -= drawn;
        behind -= count;
    }
    sum
}

/// A count as a term of a sum.
pub(crate) fn signed(count: usize) -> i64 {
    (count as u64).cast_signed()
}

/// The quantile of sorted numbers, linear between neighbours (type 7 of Hyndman and Fan 1996). NaN of none.
pub(crate) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let place = p.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    let at = |i: usize| sorted.get(i).or(sorted.last()).copied().unwrap_or(f64::NAN);
    let below = at(place as usize);
    below + (at(place as usize + 1) - below) * place.fract()
}
