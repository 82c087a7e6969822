//! Simulated studies: how often do intervals hold the truth, and how often are equals called different?
//!
//! Every image has a difficulty, every seed a shift, every prediction its own luck. Fewer studies run in debug builds, with
//! room for their greater chance.

use bakeoff_results::interval::{Crossed, wilson};
use bakeoff_results::test::mcnemar;
use bakeoff_results::verdict::{Verdict, verdict};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Studies of each kind.
const STUDIES: usize = if cfg!(debug_assertions) { 300 } else { 800 };

/// Room for chance around the bounds that are asserted.
const ROOM: f64 = if cfg!(debug_assertions) { 0.03 } else { 0.005 };

/// A kind of pipeline on a kind of images.
#[derive(Clone, Copy)]
struct World {
    n_seeds: usize,
    n_images: usize,
    /// Chance of an easy image; easy ones are right with chance 0.95, hard ones with 0.3.
    easy: f64,
    /// Standard deviation of a seed's shift of those chances.
    shift: f64,
}

impl World {
    const CHANCES: (f64, f64) = (0.95, 0.3);

    /// The accuracy that intervals should hold. The shift's mean is 0 and chances stay inside 0 and 1.
    fn truth(self) -> f64 {
        self.easy * Self::CHANCES.0 + (1.0 - self.easy) * Self::CHANCES.1
    }

    fn difficulties(self, rng: &mut ChaCha8Rng) -> Vec<bool> {
        (0..self.n_images).map(|_| rng.gen_bool(self.easy)).collect()
    }

    /// Which images each seed gets right.
    fn right(self, easy: &[bool], rng: &mut ChaCha8Rng) -> Vec<Vec<bool>> {
        let seed = |rng: &mut ChaCha8Rng| {
            let shift = self.shift * normal(rng);
            let chance = |&easy: &bool| if easy { Self::CHANCES.0 } else { Self::CHANCES.1 };
            easy.iter().map(|e| rng.gen_bool((chance(e) + shift).clamp(0.0, 1.0))).collect()
        };
        (0..self.n_seeds).map(|_| seed(rng)).collect()
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

fn share(studies: usize, mut hit: impl FnMut() -> bool) -> f64 {
    (0..studies).filter(|_| hit()).count() as f64 / studies as f64
}

#[test]
fn wilson_covers() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (accuracy, n) in [(0.9, 1000), (0.5, 30), (0.97, 200)] {
        let covered = share(8 * STUDIES, || {
            let right = (0..n).filter(|_| rng.gen_bool(accuracy)).count();
            wilson(right, n, 0.95).contains(accuracy)
        });
        println!("wilson: accuracy {accuracy}, {n} images: {covered}");
        assert!((0.945 - ROOM..0.97 + ROOM).contains(&covered), "accuracy {accuracy}, {n} images: {covered}");
    }
}

/// (seeds, images, easy, shift, least and greatest coverage).
const ACCURACIES: [(usize, usize, f64, f64, f64, f64); 8] = [
    (2, 200, 0.9, 0.01, 0.95, 1.0),
    (3, 200, 0.9, 0.0, 0.945, 0.99),
    (3, 200, 0.9, 0.015, 0.945, 0.985),
    (5, 200, 0.9, 0.015, 0.94, 0.97),
    (5, 40, 0.98, 0.0, 0.94, 0.985),
    (10, 200, 0.6, 0.015, 0.94, 0.97),
    (10, 400, 0.9, 0.0, 0.94, 0.97),
    (20, 200, 0.9, 0.015, 0.94, 0.97),
];

#[test]
fn intervals_over_seeds_and_images_cover() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (n_seeds, n_images, easy, shift, least, most) in ACCURACIES {
        let world = World { n_seeds, n_images, easy, shift };
        let mut hit = || {
            let right = world.right(&world.difficulties(&mut rng), &mut rng);
            let crossed = Crossed::accuracy(&slices(&right)).expect("seeds and images");
            crossed.interval_of(0.95, 500, rng.gen_range(0..u64::MAX)).contains(world.truth())
        };
        let covered = share(STUDIES, &mut hit);
        println!("two ways: {n_seeds} seeds, {n_images} images, easy {easy}, shift {shift}: {covered}");
        assert!((least - ROOM..=most + ROOM).contains(&covered), "{n_seeds} seeds, {n_images} images: {covered}");
    }
}

/// Whether two pipelines with these answers are called different, at 95% without a margin.
fn is_called_better(a: &[Vec<bool>], b: &[Vec<bool>]) -> bool {
    let crossed = Crossed::difference(&slices(a), &slices(b)).expect("seeds and images");
    let only = |yes: &[bool], no: &[bool]| yes.iter().zip(no).filter(|&(&y, &n)| y && !n).count();
    let p = if a.len() == 1 { mcnemar(only(&a[0], &b[0]), only(&b[0], &a[0])) } else { crossed.p_value() };
    // The interval costs more than the test, and only matters when the test says yes.
    p <= 0.05 && verdict(crossed.interval_of(0.95, 500, 5), p, 0.95, 0.0) == Verdict::Better
}

#[test]
fn equals_are_seldom_called_different() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for (n_seeds, shift) in [(1, 0.0), (2, 0.0), (2, 0.015), (3, 0.0), (3, 0.015), (5, 0.0), (5, 0.015), (10, 0.015)] {
        let world = World { n_seeds, n_images: 200, easy: 0.9, shift };
        // The same pipeline twice, with luck of its own each time, on the same images.
        let twins = share(STUDIES, || {
            let easy = world.difficulties(&mut rng);
            is_called_better(&world.right(&easy, &mut rng), &world.right(&easy, &mut rng))
        });
        // Two pipelines that find different images easy and are equally accurate on the whole.
        let rivals = share(STUDIES, || {
            let (a, b) = (world.difficulties(&mut rng), world.difficulties(&mut rng));
            is_called_better(&world.right(&a, &mut rng), &world.right(&b, &mut rng))
        });
        println!("false better: {n_seeds} seeds, shift {shift}: twins {twins}, rivals {rivals}");
        // One seed is a verdict on two fixed models, whose own seeds' shift it takes for skill.
        assert!(twins <= 0.05 + ROOM, "{n_seeds} seeds, shift {shift}: twins {twins}");
        assert!(rivals <= 0.05 + ROOM, "{n_seeds} seeds, shift {shift}: rivals {rivals}");
    }
}

#[test]
fn a_difference_that_is_there_is_found_and_covered() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for n_seeds in [3, 5, 10] {
        let strong = World { n_seeds, n_images: 400, easy: 0.95, shift: 0.01 };
        let weak = World { easy: 0.8, ..strong };
        let truth = strong.truth() - weak.truth();
        let (mut found, studies) = (0, STUDIES / 4);
        let covered = share(studies, || {
            let (easy, hard) = (strong.difficulties(&mut rng), weak.difficulties(&mut rng));
            let (a, b) = (strong.right(&easy, &mut rng), weak.right(&hard, &mut rng));
            found += usize::from(is_called_better(&a, &b));
            let crossed = Crossed::difference(&slices(&a), &slices(&b)).expect("seeds and images");
            crossed.interval_of(0.95, 500, 5).contains(truth)
        });
        let power = found as f64 / studies as f64;
        println!("difference {truth:.3}, {n_seeds} seeds: covered {covered}, found {power}");
        assert!(covered >= 0.935 - ROOM, "{n_seeds} seeds: {covered}");
        assert!(power > 0.65, "{n_seeds} seeds: {power}");
    }
}
