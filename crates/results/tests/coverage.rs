//! Simulated bake-offs: how often do intervals hold the truth, and how often are equals called different?
//!
//! Every image has a difficulty, every seed a shift, every prediction its own luck. A bake-off has four pipelines on the same images
//! and with the same number of seeds: one, its twin (equal on every image), a rival (as accurate, but on other images) and a weaker one.
//! Figures are printed; `cargo test --release -p bakeoff-results --test coverage -- --nocapture` shows them. Debug builds make
//! fewer bake-offs and leave room for their greater chance.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "figures to quote")]

mod common;

use bakeoff_results::crossing::CurvePair;
use bakeoff_results::interval::{Crossed, wilson};
use bakeoff_results::test::mcnemar;
use bakeoff_results::verdict::{Verdict, verdict};
use bakeoff_results::{CrossingKind, Interval, Row, Summary, summarise};
use common::{cell, done, run_of};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Bake-offs of each kind.
const BAKEOFFS: usize = if cfg!(debug_assertions) { 150 } else { 2000 };

/// Room for chance around what is asserted; none where it counts.
const ROOM: f64 = if cfg!(debug_assertions) { 0.035 } else { 0.0 };

/// What coverage at 95% has to be.
const COVERAGE: std::ops::RangeInclusive<f64> = 0.94 - ROOM..=0.96 + ROOM;

/// What share of verdicts on equal pipelines may be "better".
const FALSE_BETTER: f64 = 0.055 + ROOM;

/// Draws of the bootstrap: fewer than in earnest, for speed.
const DRAWS: usize = 400;

/// A kind of bake-off.
#[derive(Clone, Copy)]
struct World {
    n_seeds: usize,
    n_images: usize,
    /// Standard deviation of a seed's shift of all chances.
    shift: f64,
    /// Difficulty: an image's chance to be right falls from the top by 0.7 u^hardness, u being uniform.
    hardness: f64,
}

impl World {
    /// The greatest chance: a shift of three standard deviations, the most that there is, leaves it a chance.
    fn top(self) -> f64 {
        1.0 - 3.0 * self.shift
    }

    /// The accuracy over all images and seeds.
    fn truth(self) -> f64 {
        self.top() - 0.7 / (self.hardness + 1.0)
    }

    /// The chance of each image.
    fn chances(self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let chance = |rng: &mut ChaCha8Rng| self.top() - 0.7 * rng.gen_range(0.0f64..1.0).powf(self.hardness);
        (0..self.n_images).map(|_| chance(rng)).collect()
    }

    /// Which images each seed gets right, and the seeds' shifts.
    fn right(self, chances: &[f64], rng: &mut ChaCha8Rng) -> (Vec<Vec<bool>>, Vec<f64>) {
        let seed = |rng: &mut ChaCha8Rng| {
            let shift = self.shift * normal(rng);
            let right = chances.iter().map(|chance| rng.gen_range(0.0..1.0) < chance + shift).collect();
            (right, shift)
        };
        (0..self.n_seeds).map(|_| seed(rng)).unzip()
    }
}

/// Nearly normal, within ±3: the sum of twelve uniform numbers minus 6, cut so that chances stay chances.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let sum: f64 = (0..12).map(|_| rng.gen_range(0.0..1.0)).sum();
    (sum - 6.0).clamp(-3.0, 3.0)
}

fn slices(rows: &[Vec<bool>]) -> Vec<&[bool]> {
    rows.iter().map(Vec::as_slice).collect()
}

/// A share that is counted.
#[derive(Default, Clone, Copy)]
struct Share {
    hits: usize,
    of: usize,
}

impl Share {
    fn count(&mut self, hit: bool) {
        self.hits += usize::from(hit);
        self.of += 1;
    }

    fn value(self) -> f64 {
        self.hits as f64 / self.of.max(1) as f64
    }
}

/// What a kind of bake-off came to.
#[derive(Default)]
struct Tally {
    accuracy: Share,
    /// Intervals of differences between pipelines that differ on images.
    difference: Share,
    false_better: Share,
    power: Share,
}

impl Tally {
    fn print(&self, name: &str) {
        println!(
            "{name}: coverage of accuracies {:.4} ({} intervals), of differences {:.4} ({}); \
             false \"better\" {:.4} of {}; a true difference found {:.2}",
            self.accuracy.value(),
            self.accuracy.of,
            self.difference.value(),
            self.difference.of,
            self.false_better.value(),
            self.false_better.of,
            self.power.value(),
        );
    }
}

fn difference(a: &[Vec<bool>], b: &[Vec<bool>], rng: &mut ChaCha8Rng) -> Interval {
    Crossed::difference(&slices(a), &slices(b)).unwrap().interval_of(0.95, DRAWS, rng.gen_range(0..u64::MAX))
}

/// Whether one of a pair is called better, at 95% without a margin.
fn is_called_better(a: &[Vec<bool>], b: &[Vec<bool>], rng: &mut ChaCha8Rng) -> bool {
    let only = |yes: &[bool], no: &[bool]| yes.iter().zip(no).filter(|&(&y, &n)| y && !n).count();
    let p = match a.len() {
        1 => mcnemar(only(&a[0], &b[0]), only(&b[0], &a[0])),
        _ => Crossed::difference(&slices(a), &slices(b)).unwrap().p_value(),
    };
    // The interval costs more than the test, and only matters when the test says yes.
    p <= 0.05 && verdict(difference(a, b, rng), p, 0.95, 0.0) == Verdict::Better
}

/// All bake-offs of a kind with several seeds.
fn several_seeds(world: World, number: u64) -> Tally {
    let mut rng = ChaCha8Rng::seed_from_u64(number);
    let weak = World { hardness: world.hardness / 1.5, ..world };
    let mut tally = Tally::default();
    for _ in 0..BAKEOFFS {
        let chances = [world.chances(&mut rng), world.chances(&mut rng), weak.chances(&mut rng)];
        let one = world.right(&chances[0], &mut rng).0;
        let twin = world.right(&chances[0], &mut rng).0;
        let rival = world.right(&chances[1], &mut rng).0;
        let weaker = weak.right(&chances[2], &mut rng).0;
        for (answers, truth) in [(&one, world.truth()), (&weaker, weak.truth())] {
            let crossed = Crossed::accuracy(&slices(answers)).unwrap();
            tally.accuracy.count(crossed.interval_of(0.95, DRAWS, rng.gen_range(0..u64::MAX)).contains(truth));
        }
        tally.false_better.count(is_called_better(&one, &twin, &mut rng));
        tally.false_better.count(is_called_better(&one, &rival, &mut rng));
        for answers in [&one, &twin, &rival] {
            let interval = difference(answers, &weaker, &mut rng);
            tally.difference.count(interval.contains(world.truth() - weak.truth()));
        }
        tally.power.count(is_called_better(&one, &weaker, &mut rng));
    }
    tally
}

fn check_several_seeds(n_seeds: usize, most_accuracy: f64) {
    for (i, (shift, hardness, n_images)) in [(0.004, 5.0, 500), (0.015, 2.0, 500)].into_iter().enumerate() {
        let world = World { n_seeds, n_images, shift, hardness };
        let tally = several_seeds(world, (10 * n_seeds + i) as u64);
        let name = format!("{n_seeds} seeds, {n_images} images, accuracy {:.2}, shift {shift}", world.truth());
        tally.print(&name);
        let range = *COVERAGE.start()..=most_accuracy + ROOM;
        assert!(range.contains(&tally.accuracy.value()), "{name}: accuracies");
        assert!(range.contains(&tally.difference.value()), "{name}: differences");
        assert!(tally.false_better.value() <= FALSE_BETTER, "{name}: false better");
    }
}

#[test]
fn two_seeds() {
    // The spread of two seeds is guessed from one difference: these intervals are long on purpose.
    check_several_seeds(2, 0.98);
}

#[test]
fn three_seeds() {
    check_several_seeds(3, 0.96);
}

#[test]
fn five_seeds() {
    check_several_seeds(5, 0.96);
}

#[test]
fn ten_seeds() {
    check_several_seeds(10, 0.96);
}

/// With one seed the models are what they are: the truth is what these two models would reach on all images.
#[test]
fn one_seed() {
    for (number, (shift, hardness, n_images)) in
        [(0.0, 5.0, 500), (0.01, 5.0, 1000), (0.0, 1.5, 200)].into_iter().enumerate()
    {
        let world = World { n_seeds: 1, n_images, shift, hardness };
        let mut rng = ChaCha8Rng::seed_from_u64(100 + number as u64);
        let (mut tally, mut as_pipelines) = (Tally::default(), Share::default());
        for _ in 0..4 * BAKEOFFS {
            let chances = [world.chances(&mut rng), world.chances(&mut rng)];
            let ((one, shift_one), (rival, shift_rival)) =
                (world.right(&chances[0], &mut rng), world.right(&chances[1], &mut rng));
            let right = one[0].iter().filter(|&&right| right).count();
            tally.accuracy.count(wilson(right, n_images, 0.95).contains(world.truth() + shift_one[0]));
            tally.difference.count(difference(&one, &rival, &mut rng).contains(shift_one[0] - shift_rival[0]));
            let is_better = is_called_better(&one, &rival, &mut rng);
            as_pipelines.count(is_better);
            if shift == 0.0 {
                tally.false_better.count(is_better);
                let twin = world.right(&chances[0], &mut rng).0;
                tally.false_better.count(is_called_better(&one, &twin, &mut rng));
            }
        }
        let name = format!("one seed, {n_images} images, accuracy {:.2}, shift {shift}", world.truth());
        tally.print(&name);
        // Not asserted: a verdict on two models says nothing of their pipelines, and the report says so.
        println!("  taken as a verdict on pipelines it would be false in {:.4}", as_pipelines.value());
        assert!(COVERAGE.contains(&tally.accuracy.value()), "{name}: accuracies");
        assert!(COVERAGE.contains(&tally.difference.value()), "{name}: differences");
        assert!(tally.false_better.value() <= FALSE_BETTER, "{name}: false better");
    }
}

/// Answers as predictions of two classes.
fn row(name: &str, seed: usize, size: Option<usize>, labels: &[usize], right: &[bool]) -> Row {
    let predicted: Vec<usize> = labels.iter().zip(right).map(|(&t, &right)| if right { t } else { 1 - t }).collect();
    let mut row = Row { cell: cell(name, seed as u64, size), ..done(name, seed as u64, &predicted) };
    if let bakeoff_results::Outcome::Done(measured) = &mut row.outcome {
        measured.n_train = size.unwrap_or(3000);
    }
    row
}

/// From rows to verdicts, with Holm's adjustment: two declared comparisons, of equals.
#[test]
fn whole_bakeoffs() {
    let world = World { n_seeds: 5, n_images: 400, shift: 0.006, hardness: 4.0 };
    let labels: Vec<usize> = (0..world.n_images).map(|i| i % 2).collect();
    let mut run = run_of(&["one", "twin", "rival"], &labels, 2);
    run.comparisons = [("one", "twin"), ("one", "rival")].map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
    run.equivalence = 0.0;
    let mut rng = ChaCha8Rng::seed_from_u64(200);
    let (mut covered, mut differences, mut any_better) = (Share::default(), Share::default(), Share::default());
    for _ in 0..BAKEOFFS {
        let chances = [world.chances(&mut rng), world.chances(&mut rng)];
        let mut rows = Vec::new();
        for (name, chances) in [("one", &chances[0]), ("twin", &chances[0]), ("rival", &chances[1])] {
            let (right, _) = world.right(chances, &mut rng);
            rows.extend(right.iter().enumerate().map(|(seed, right)| row(name, seed, None, &labels, right)));
        }
        let summary: Summary = summarise(&run, &rows);
        summary.pipelines.iter().for_each(|p| covered.count(p.interval.unwrap().contains(world.truth())));
        summary.comparisons.iter().for_each(|pair| differences.count(pair.interval.unwrap().contains(0.0)));
        any_better.count(summary.comparisons.iter().any(|pair| pair.verdict == Verdict::Better));
    }
    println!(
        "whole bake-offs, 5 seeds: coverage of accuracies {:.4} ({}), of differences {:.4} ({}); bake-offs with any false \
         \"better\" {:.4} of {}",
        covered.value(),
        covered.of,
        differences.value(),
        differences.of,
        any_better.value(),
        any_better.of
    );
    assert!(COVERAGE.contains(&covered.value()) && differences.value() >= *COVERAGE.start());
    // Holm promises the level for all verdicts of a bake-off together.
    assert!(any_better.value() <= FALSE_BETTER);
}

/// Two learning curves that are straight in the logarithm of the size and cross at 500 training images.
struct Curves {
    n_seeds: usize,
    n_images: usize,
    shift: f64,
    /// Accuracy that the second pipeline gains on the first with each factor of e.
    slope: f64,
}

const SIZES: [usize; 4] = [100, 300, 1000, 3000];
const CROSSING: f64 = 500.0;

type Answers = Vec<Vec<Vec<bool>>>;

type View<'a> = Vec<Vec<&'a [bool]>>;

impl Curves {
    /// Answers of both, as `[size][seed][image]`. Images keep their difficulty and seeds most of their shift over the sizes.
    fn draw(&self, rng: &mut ChaCha8Rng) -> (Answers, Answers) {
        let hard: Vec<[f64; 2]> = (0..self.n_images)
            .map(|_| [rng.gen_range(0.0f64..1.0).powi(2), rng.gen_range(0.0f64..1.0).powi(2)])
            .collect();
        let mut pipeline = |which: usize, sign: f64| -> Answers {
            let own: Vec<f64> = (0..self.n_seeds).map(|_| normal(rng)).collect();
            let at = |size: usize, rng: &mut ChaCha8Rng| {
                let level =
                    0.78 + sign * self.slope / 2.0 * (size as f64 / CROSSING).ln() - 0.05 * (3000.0 / size as f64).ln();
                let seed = |own: &f64, rng: &mut ChaCha8Rng| {
                    let shift = self.shift * (0.8 * own + 0.6 * normal(rng));
                    // The mean of u² is 1/3, so that the level is the mean chance.
                    hard.iter()
                        .map(|h| rng.gen_range(0.0..1.0) < level + shift - 0.3 * (h[which] - 1.0 / 3.0))
                        .collect()
                };
                own.iter().map(|own| seed(own, rng)).collect()
            };
            SIZES.iter().map(|&size| at(size, rng)).collect()
        };
        (pipeline(0, -1.0), pipeline(1, 1.0))
    }
}

#[test]
fn learning_curves() {
    let kinds = [(1, 500, 0.0, 0.08), (5, 400, 0.006, 0.08)];
    for (number, (n_seeds, n_images, shift, slope)) in kinds.into_iter().enumerate() {
        let curves = Curves { n_seeds, n_images, shift, slope };
        let mut rng = ChaCha8Rng::seed_from_u64(300 + number as u64);
        let (mut covered, mut points, mut single) = (Share::default(), Share::default(), Share::default());
        let mut bounded = Share::default();
        for _ in 0..BAKEOFFS {
            let (a, b) = curves.draw(&mut rng);
            let (one, other): (View<'_>, View<'_>) =
                (a.iter().map(|s| slices(s)).collect(), b.iter().map(|s| slices(s)).collect());
            let pair = CurvePair::of(&SIZES, &one, &other).unwrap();
            let interval = pair.interval_of(0.95, DRAWS, rng.gen_range(0..u64::MAX));
            single.count(interval.is_some());
            if let Some(interval) = interval {
                covered.count(interval.contains(CROSSING));
                bounded.count(interval.lo.is_some() && interval.hi.is_some());
            }
            for (k, size) in SIZES.into_iter().enumerate() {
                let at_size = Crossed::difference(&one[k], &other[k]).unwrap();
                let truth = -slope * (size as f64 / CROSSING).ln();
                points.count(at_size.interval_of(0.95, DRAWS, rng.gen_range(0..u64::MAX)).contains(truth));
            }
        }
        println!(
            "learning curves, {n_seeds} seeds, {n_images} images, shift {shift}: the crossing's interval covers {:.4} of {} \
             ({:.3} with both ends inside; {:.4} of curves crossed once), differences at the sizes {:.4} of {}",
            covered.value(),
            covered.of,
            bounded.value(),
            single.value(),
            points.value(),
            points.of
        );
        assert!(COVERAGE.contains(&covered.value()), "{n_seeds} seeds: crossing");
        assert!(COVERAGE.contains(&points.value()), "{n_seeds} seeds: points");
        assert!(single.value() > 0.97, "{n_seeds} seeds: crossed once");
    }
}

#[test]
fn a_crossing_is_told_from_rows() {
    let curves = Curves { n_seeds: 5, n_images: 1000, shift: 0.004, slope: 0.08 };
    let labels: Vec<usize> = (0..curves.n_images).map(|i| i % 2).collect();
    let run = run_of(&["linear", "net"], &labels, 2);
    let mut rng = ChaCha8Rng::seed_from_u64(400);
    let (linear, net) = curves.draw(&mut rng);
    let mut rows = Vec::new();
    for (name, answers) in [("linear", &linear), ("net", &net)] {
        for (size, seeds) in SIZES.into_iter().zip(answers) {
            let size = (size < 3000).then_some(size);
            rows.extend(seeds.iter().enumerate().map(|(seed, right)| row(name, seed, size, &labels, right)));
        }
    }
    let summary = summarise(&run, &rows);
    let [crossing] = summary.crossings.as_slice() else { panic!("one pair: {:?}", summary.crossings) };
    assert_eq!((crossing.kind, crossing.seeds, crossing.sizes.as_slice()), (CrossingKind::One, 5, &SIZES[..]));
    assert!(crossing.interval.unwrap().contains(CROSSING), "{crossing:?}");
    let (first, last) = (crossing.ahead_at_first.as_deref(), crossing.ahead_at_last.as_deref());
    assert_eq!((first, last), (Some("linear"), Some("net")));
    let start = "linear is ahead with few training images, net from about ";
    assert!(
        crossing.words.starts_with(start) && crossing.words.contains("95% bootstrap interval"),
        "{}",
        crossing.words
    );
    println!("{}", crossing.words);
    // As JSON and back; and not a word of it when there is one size.
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["crossings"][0]["kind"], "one");
    assert_eq!(serde_json::from_value::<Summary>(json).unwrap(), summary);
    rows.retain(|row| row.cell.train_size.is_none());
    assert!(summarise(&run, &rows).crossings.is_empty());
    // Equal at 100, then one ahead: no crossing.
    rows = [Some(100), None]
        .into_iter()
        .flat_map(|size| {
            let wrong = |n: usize| (0..labels.len()).map(|i| i >= n).collect::<Vec<bool>>();
            [
                row("linear", 0, size, &labels, &wrong(100)),
                row("net", 0, size, &labels, &wrong(if size.is_some() { 100 } else { 20 })),
            ]
        })
        .collect();
    let crossing = &summarise(&run, &rows).crossings[0];
    assert_eq!((crossing.kind, crossing.ahead_at_first.clone(), crossing.interval), (CrossingKind::None, None, None));
    assert_eq!(
        crossing.words,
        "no crossing in the range from 100 to 3,000 training images: net is ahead of linear throughout"
    );
}
