//! Where the learning curves of two pipelines cross: the training size from which on the other one is ahead.
//!
//! The mean difference a − b at each size is joined by straight lines in the logarithm of the size; the curves cross where a line meets 0.
//!
//! The interval is a bootstrap over seeds and images. A draw moves the differences at all sizes together: the test images are the
//! same at every size and resampled with the same numbers, seeds are moved by one normal draw each, and the distances are stretched as those
//! of [`crate::interval`] are, by the variances at the crossing. Each draw crosses somewhere, and the interval is between
//! percentiles of those places. A draw that does not cross within the range crosses below or above it, as the pipeline says that it
//! leaves ahead; so an end of the interval may lie outside the sizes that were run, and is then not known.

use crate::groups::Group;
use crate::interval::{DRAWS, quantile, signed, stretch};
use crate::random::Random;
use crate::row::Run;
use crate::words::{counted, grouped, level, listed};
use serde::{Deserialize, Serialize};

/// How often the curves of a pair cross.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CrossingKind {
    /// One pipeline is ahead at every size, or they are equal.
    None,
    /// Once: there is a crossing point.
    One,
    /// Several times: differences are noise, or depend on size in a way that no single point tells.
    Several,
}

/// Ends of the interval of a crossing point, in training images; `None` where it reaches beyond the sizes of the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CrossingInterval {
    /// The lower end; `None` for below the smallest size.
    pub lo: Option<f64>,
    /// The upper end; `None` for above the greatest size.
    pub hi: Option<f64>,
}

impl CrossingInterval {
    /// Whether a size lies in it.
    pub fn contains(self, size: f64) -> bool {
        self.lo.is_none_or(|lo| lo <= size) && self.hi.is_none_or(|hi| size <= hi)
    }
}

/// The learning curves of two pipelines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Crossing {
    /// The first pipeline.
    pub a: String,
    /// The second pipeline.
    pub b: String,
    /// Training sizes at which both have results, from small to large.
    pub sizes: Vec<usize>,
    /// Accuracy of a minus accuracy of b at each.
    pub differences: Vec<f64>,
    /// Seeds that both have at every one of these sizes.
    pub seeds: usize,
    /// How often the curves cross.
    pub kind: CrossingKind,
    /// Where, in training images.
    pub at: Vec<f64>,
    /// The interval of a single crossing.
    pub interval: Option<CrossingInterval>,
    /// Who is ahead at the smallest size; `None` for nobody.
    pub ahead_at_first: Option<String>,
    /// Who is ahead at the greatest size; `None` for nobody.
    pub ahead_at_last: Option<String>,
    /// The same in a sentence.
    pub words: String,
}

/// Which images two pipelines got right at several training sizes, with the same seeds, reduced to sums that no order changes.
#[derive(Debug, Clone, PartialEq)]
pub struct CurvePair {
    /// Natural logarithms of the training sizes, increasing.
    places: Vec<f64>,
    n_seeds: usize,
    n_images: usize,
    /// Different rows of differences summed over seeds, one a size, with the images that have them; the most common first.
    common: Vec<Common>,
    /// Rows that few images have, one an image.
    rare: Vec<Vec<i64>>,
    /// Differences summed over images, one a size, for every seed; sorted.
    seeds: Vec<Vec<i64>>,
    /// Sums of products of two sizes' differences over all seeds and images.
    products: Vec<Vec<i64>>,
}

/// A row of sums with the number of images that have it.
type Common = (Vec<i64>, usize);

/// Answers of one pipeline: `[size][seed][image]`.
type Curve<'a> = [Vec<&'a [bool]>];

/// Images with the same row from which on they are resampled together.
const FEW: usize = 8;

impl CurvePair {
    /// Two pipelines at these training sizes, each with `[size][seed][image]`. `None` for less than two sizes, no seed or no image, and where
    /// sizes do not increase.
    ///
    /// # Panics
    /// When sizes, seeds or images of the two do not match.
    pub fn of(sizes: &[usize], a: &Curve<'_>, b: &Curve<'_>) -> Option<Self> {
        assert!(a.len() == sizes.len() && b.len() == sizes.len(), "sizes of a pair");
        let n_seeds = a.first()?.len();
        let n_images = a.first()?.first()?.len();
        if sizes.len() < 2 || n_images == 0 || sizes[0] == 0 || sizes.windows(2).any(|pair| pair[0] >= pair[1]) {
            return None;
        }
        let mut images = vec![vec![0i64; sizes.len()]; n_images];
        let mut seeds = vec![vec![0i64; sizes.len()]; n_seeds];
        let mut products = vec![vec![0i64; sizes.len()]; sizes.len()];
        let mut row = vec![0i64; sizes.len()];
        for seed in 0..n_seeds {
            for image in 0..n_images {
                for (k, value) in row.iter_mut().enumerate() {
                    *value = i64::from(a[k][seed][image]) - i64::from(b[k][seed][image]);
                }
                add(&mut images[image], &row);
                add(&mut seeds[seed], &row);
                for (sums, &value) in products.iter_mut().zip(&row).filter(|(_, value)| **value != 0) {
                    sums.iter_mut().zip(&row).for_each(|(sum, other)| *sum += value * other);
                }
            }
        }
        assert!(a.iter().chain(b).flatten().all(|seed| seed.len() == n_images), "images of each seed");
        assert!(a.iter().chain(b).all(|size| size.len() == n_seeds), "seeds of each size");
        seeds.sort_unstable();
        let (common, rare) = by_row(images);
        let places = sizes.iter().map(|&size| (size as f64).ln()).collect();
        Some(Self { places, n_seeds, n_images, common, rare, seeds, products })
    }

    fn n_sizes(&self) -> usize {
        self.places.len()
    }

    /// Mean differences, one a size.
    pub fn differences(&self) -> Vec<f64> {
        let n = self.n_seeds as f64 * self.n_images as f64;
        (0..self.n_sizes()).map(|k| self.seeds.iter().map(|seed| seed[k]).sum::<i64>() as f64 / n).collect()
    }

    /// Training sizes at which the mean differences change their sign.
    pub fn crossings(&self) -> Vec<f64> {
        changes(&self.places, &self.differences()).into_iter().map(|change| change.place.exp()).collect()
    }

    /// The interval of the crossing; `None` unless there is just one.
    pub fn interval(&self, confidence: f64) -> Option<CrossingInterval> {
        self.interval_of(confidence, DRAWS, 0x6372_6f73_7369_6e67)
    }

    /// The same from this many draws of a generator started at `seed`.
    pub fn interval_of(&self, confidence: f64, n_draws: usize, seed: u64) -> Option<CrossingInterval> {
        let [found] = changes(&self.places, &self.differences())[..] else { return None };
        let (mut random, parts) = (Random(seed), self.parts(&found, confidence));
        let mut drawn: Vec<f64> = (0..n_draws).map(|_| self.place_of_draw(&found, &parts, &mut random)).collect();
        drawn.sort_by(f64::total_cmp);
        let tail = (1.0 - confidence) / 2.0;
        // Between a draw outside the range and one within it there is no line: that end is not known (NaN).
        let known = |place: f64| place.is_finite().then_some(place);
        let lo = known(quantile(&drawn, tail)).map(|place| place.min(found.place).exp());
        let hi = known(quantile(&drawn, 1.0 - tail)).map(|place| place.max(found.place).exp());
        Some(CrossingInterval { lo, hi })
    }

    /// What moves the differences, at the crossing.
    fn parts(&self, found: &Change, confidence: f64) -> Parts {
        let mut weights = vec![0.0; self.n_sizes()];
        weights[found.after] += found.share;
        weights[found.before] += 1.0 - found.share;
        let dot = |row: &[i64]| row.iter().zip(&weights).map(|(&x, w)| x as f64 * w).sum::<f64>();
        let (s, n) = (self.n_seeds as f64, self.n_images as f64);
        let total: f64 = self.seeds.iter().map(|seed| dot(seed)).sum();
        let by_seed: f64 = self.seeds.iter().map(|seed| dot(seed).powi(2)).sum();
        let by_image = self.common.iter().map(|(row, count)| dot(row).powi(2) * *count as f64).sum::<f64>()
            + self.rare.iter().map(|row| dot(row).powi(2)).sum::<f64>();
        let squares: f64 = self.products.iter().zip(&weights).map(|(row, w)| w * dot(row)).sum();
        let mean_part = total * total / (s * n);
        let (between_seeds, between_images) = (by_seed / n - mean_part, by_image / s - mean_part);
        let freedom = s - 1.0;
        let rest = squares - mean_part - between_seeds - between_images;
        let over = |sum: f64, freedom: f64| if freedom > 0.0 { (sum / freedom).max(0.0) } else { 0.0 };
        let (seed_square, rest) = (over(between_seeds, freedom), over(rest, freedom * (n - 1.0)));
        // Two images join, one each way at every size.
        let joined = n + 2.0;
        let image_square = (by_image + 2.0 * s * s - total * total / joined) / (joined - 1.0) / s;
        let share = if image_square > 0.0 { (1.0 - rest / image_square).max(0.0) } else { 0.0 };
        let (seed_variance, image_variance) = (seed_square / (s * n), share * image_square / (s * joined));
        Parts { shrink: share.sqrt(), stretch: stretch(confidence, seed_variance, freedom, image_variance) }
    }

    fn place_of_draw(&self, found: &Change, parts: &Parts, random: &mut Random) -> f64 {
        let draw = self.draw(parts, random);
        let same_way = changes(&self.places, &draw).into_iter().filter(|change| change.rising == found.rising);
        let nearest = same_way
            .map(|change| change.place)
            .min_by(|x, y| (x - found.place).abs().total_cmp(&(y - found.place).abs()));
        let ends_as_found = draw.last().is_some_and(|&last| (last > 0.0) == found.rising);
        nearest.unwrap_or(if ends_as_found { f64::NEG_INFINITY } else { f64::INFINITY })
    }

    /// Differences of one draw, one a size.
    fn draw(&self, parts: &Parts, random: &mut Random) -> Vec<f64> {
        let (s, joined) = (self.n_seeds as f64, self.n_images as f64 + 2.0);
        let images = self.resampled(random);
        // Normal weights with the deviations of seeds from their mean have those deviations' covariance.
        let weights: Vec<f64> = self.seeds.iter().map(|_| random.normal()).collect();
        let mean_weight = weights.iter().sum::<f64>() / s;
        let scale = if self.n_seeds > 1 { 1.0 / (s * (s - 1.0)).sqrt() / self.n_images as f64 } else { 0.0 };
        let at = |k: usize| {
            let total = self.seeds.iter().map(|seed| seed[k]).sum::<i64>() as f64;
            let moved: f64 = self.seeds.iter().zip(&weights).map(|(seed, w)| seed[k] as f64 * (w - mean_weight)).sum();
            let centre = total / (joined * s);
            let image_part = parts.shrink * (images[k] as f64 / (joined * s) - centre);
            centre + parts.stretch * (image_part + moved * scale)
        };
        (0..self.n_sizes()).map(at).collect()
    }

    /// Sums over as many images as there are with the two that join, drawn with replacement.
    fn resampled(&self, random: &mut Random) -> Vec<i64> {
        let mut sums = vec![0; self.n_sizes()];
        let mut left = self.n_images + 2;
        let mut behind = left;
        for (row, count) in &self.common {
            let drawn = random.binomial(left, *count as f64 / behind as f64);
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * signed(drawn));
            left -= drawn;
            behind -= count;
        }
        for _ in 0..left {
            let place = random.below(self.rare.len() + 2);
            if let Some(row) = self.rare.get(place) {
                add(&mut sums, row);
            } else {
                let way = if place == self.rare.len() { 1 } else { -1 };
                sums.iter_mut().for_each(|sum| *sum += way * signed(self.n_seeds));
            }
        }
        sums
    }
}

fn add(sums: &mut [i64], row: &[i64]) {
    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
}

/// Rows that many images have with their numbers, the most common first, and the rows of the other images.
fn by_row(mut images: Vec<Vec<i64>>) -> (Vec<Common>, Vec<Vec<i64>>) {
    images.sort_unstable();
    let (mut common, mut rare) = (Vec::new(), Vec::new());
    for same in images.chunk_by(|a, b| a == b) {
        if same.len() >= FEW {
            common.push((same[0].clone(), same.len()));
        } else {
            rare.extend_from_slice(same);
        }
    }
    common.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    (common, rare)
}

struct Parts {
    shrink: f64,
    stretch: f64,
}

/// A change of sign.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Change {
    /// The logarithm of the size.
    place: f64,
    /// From below 0 to above it.
    rising: bool,
    /// The size before and the size after, and how far between them.
    before: usize,
    after: usize,
    share: f64,
}

/// Where values change their sign, on straight lines between places. A run of zeros between two signs changes it in its middle.
fn changes(places: &[f64], values: &[f64]) -> Vec<Change> {
    let mut found = Vec::new();
    let mut last: Option<usize> = None;
    for (i, &value) in values.iter().enumerate() {
        if value == 0.0 || value.is_nan() {
            continue;
        }
        if let Some(j) = last.filter(|&j| (values[j] > 0.0) != (value > 0.0)) {
            let (before, after, share) =
                if i == j + 1 { (j, i, values[j] / (values[j] - value)) } else { (j + 1, i - 1, 0.5) };
            let place = places[before] + share * (places[after] - places[before]);
            found.push(Change { place, rising: value > 0.0, before, after, share });
        }
        last = Some(i);
    }
    found
}

/// The crossing of two pipelines among the groups of a run; `None` where they share less than two training sizes.
pub(crate) fn crossing(run: &Run, groups: &[Group<'_>], a: &str, b: &str) -> Option<Crossing> {
    let labels = &run.dataset.test_labels;
    let mut points: Vec<Point> = Vec::new();
    for one in groups.iter().filter(|g| g.pipeline == a && !g.done.is_empty()) {
        let same_size = |g: &&Group<'_>| g.pipeline == b && g.train_size == one.train_size && !g.done.is_empty();
        let Some(other) = groups.iter().find(same_size) else { continue };
        let size = one.done.first()?.1.n_train;
        // Two sizes that were clipped to the images that are there are one size.
        if points.last().is_none_or(|last| last.size < size) {
            points.push(Point { size, a: Side::of(one, labels), b: Side::of(other, labels) });
        }
    }
    let seeds = shared_seeds(&points);
    let sizes: Vec<usize> = points.iter().map(|point| point.size).collect();
    let curve = |side: fn(&Point) -> &Side| -> Vec<Vec<&[bool]>> {
        points.iter().map(|point| seeds.iter().filter_map(|&seed| side(point).at(seed)).collect()).collect()
    };
    let (one, other) = (curve(|point| &point.a), curve(|point| &point.b));
    let pair = CurvePair::of(&sizes, &one, &other)?;
    Some(told(run.confidence, pair, a, b, sizes))
}

/// A size at which both pipelines have results.
struct Point {
    size: usize,
    a: Side,
    b: Side,
}

/// The answers of a pipeline at one size.
struct Side {
    /// All seeds are one.
    is_one: bool,
    right: Vec<crate::groups::Right>,
}

impl Side {
    fn of(group: &Group<'_>, labels: &[usize]) -> Self {
        Self { is_one: group.is_deterministic(), right: group.right(labels) }
    }

    fn at(&self, seed: u64) -> Option<&[bool]> {
        self.right.iter().find(|(other, _)| self.is_one || *other == seed).map(|(_, right)| right.as_slice())
    }
}

/// Seeds that every side has; one where no side depends on the seed.
fn shared_seeds(points: &[Point]) -> Vec<u64> {
    let sides: Vec<&Side> = points.iter().flat_map(|point| [&point.a, &point.b]).collect();
    let first = sides.iter().find(|side| !side.is_one).or(sides.first());
    let seeds = first.map_or(&[][..], |side| side.right.as_slice());
    seeds.iter().map(|(seed, _)| *seed).filter(|&seed| sides.iter().all(|side| side.at(seed).is_some())).collect()
}

fn told(confidence: f64, pair: CurvePair, a: &str, b: &str, sizes: Vec<usize>) -> Crossing {
    let (differences, at) = (pair.differences(), pair.crossings());
    let kind = match at.len() {
        0 => CrossingKind::None,
        1 => CrossingKind::One,
        _ => CrossingKind::Several,
    };
    let ahead =
        |difference: Option<&f64>| difference.filter(|d| **d != 0.0).map(|d| if *d > 0.0 { a } else { b }.to_owned());
    let mut crossing = Crossing {
        a: a.to_owned(),
        b: b.to_owned(),
        ahead_at_first: ahead(differences.first()),
        ahead_at_last: ahead(differences.last()),
        seeds: pair.n_seeds,
        interval: pair.interval(confidence),
        sizes,
        differences,
        kind,
        at,
        words: String::new(),
    };
    crossing.words = crossing.in_words(confidence);
    crossing
}

impl Crossing {
    fn in_words(&self, confidence: f64) -> String {
        let images = |size: f64| grouped(rounded(size));
        let (first, last) = (self.sizes.first().copied().unwrap_or(0), self.sizes.last().copied().unwrap_or(0));
        let range = format!("from {} to {} training images", grouped(first), grouped(last));
        let seeds = if self.seeds == 1 { ", one seed" } else { "" };
        match (self.kind, self.at.as_slice(), self.interval) {
            (CrossingKind::One, [at], Some(interval)) => {
                let lo = interval.lo.map_or_else(|| format!("below {}", grouped(first)), images);
                let hi = interval.hi.map_or_else(|| format!("above {}", grouped(last)), images);
                let rising = self.differences.last().is_some_and(|d| *d > 0.0)
                    || self.differences.first().is_some_and(|d| *d < 0.0);
                let (small, large) = if rising { (&self.b, &self.a) } else { (&self.a, &self.b) };
                format!(
                    "{small} is ahead with few training images, {large} from about {} on ({} bootstrap interval {lo} to {hi}{seeds})",
                    images(*at),
                    level(confidence),
                )
            }
            (CrossingKind::Several, at, _) => {
                let places: Vec<String> = at.iter().map(|&at| images(at)).collect();
                format!(
                    "{} and {} cross {} {range}, at about {}: no single size tells them apart",
                    self.a,
                    self.b,
                    counted(at.len(), "time"),
                    listed(&places)
                )
            }
            _ => {
                let ahead =
                    self.differences.iter().find(|d| **d != 0.0).map(|d| if *d > 0.0 { &self.a } else { &self.b });
                let who = ahead.map_or_else(
                    || format!("{} and {} are equal at every size", self.a, self.b),
                    |name| format!("{name} is ahead of {} throughout", if *name == self.a { &self.b } else { &self.a }),
                );
                format!("no crossing in the range {range}: {who}")
            }
        }
    }
}

/// Two significant digits: a crossing is not known better.
fn rounded(size: f64) -> usize {
    let unit = 10f64.powf(size.max(1.0).log10().floor() - 1.0).max(1.0);
    ((size / unit).round() * unit) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_change_on_straight_lines() {
        let places = [0.0, 1.0, 3.0, 4.0];
        let found = |values: [f64; 4]| -> Vec<f64> { changes(&places, &values).iter().map(|c| c.place).collect() };
        assert_eq!(found([-1.0, -3.0, 1.0, 2.0]), [2.5]);
        assert_eq!(found([1.0, 2.0, 1.0, 2.0]), Vec::<f64>::new());
        assert_eq!(found([1.0, -1.0, 1.0, 0.0]), [0.5, 2.0]);
        // A zero between two signs is the crossing, a run of them is crossed in its middle, and one at an end is none.
        assert_eq!(found([1.0, 0.0, -1.0, -1.0]), [1.0]);
        assert_eq!(found([1.0, 0.0, 0.0, -1.0]), [2.0]);
        assert_eq!(found([0.0, 1.0, 0.0, 1.0]), Vec::<f64>::new());
    }

    #[test]
    fn sizes_are_told_with_two_digits() {
        assert_eq!((rounded(1234.0), rounded(0.4), rounded(96.7), rounded(9_960.0)), (1200, 0, 97, 10_000));
    }
}
