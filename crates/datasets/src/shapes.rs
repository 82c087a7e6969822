//! `shapes`: images drawn in code, 32×32 RGB, ten classes in five pairs. The two classes of a pair differ by one stated
//! cue and by nothing else, so that a pipeline's accuracy within a pair tells whether it can use that cue.
//!
//! | cue | classes | what is the same within the pair |
//! |---|---|---|
//! | [`Cue::Color`] | blue, yellow | figures (disc, triangle or rounded square), and the edges: both colors stand out from the grey ground by the same luma (Rec. 601 and 709), the same greatest channel and the same Euclidean length |
//! | [`Cue::Texture`] | striped, checked | the outline, a square of 16×16, and exactly half of its pixels in each of two tones |
//! | [`Cue::GlobalShape`] | disc, triangle | the colors, and exactly the same number of pixels |
//! | [`Cue::LocalParts`] | pluses, corners | five parts of nine pixels each, anywhere in the image |
//! | [`Cue::TwoModes`] | one-headed, two-headed | the mean image: an animal with one whole head, left or right, against one with half a head on each side |
//!
//! The last pair is the lecture's horse that faces left or right: the mean of the two ways to be one-headed *is* the
//! mean of the two-headed ones, so no single template can take both ways and leave the others.
//!
//! Every image also draws its ground, its contrast, its place and noise. Blue and yellow have a color of their own; all
//! other classes draw theirs from the same three.
//!
//! Only integers are used and the random stream is `ChaCha8`'s, so that the same seed gives the same bytes on every
//! machine. An image depends on the seed, its part and its position alone: a larger set begins with the smaller one.

use crate::parts;
use crate::problem;
use bakeoff_core::{Card, Dataset, Labelled, LoadError, Provenance, Seed, Splits, parallel};
use rand::RngCore;
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// Height and width of an image in pixels.
pub const SIDE: usize = 32;
/// Number of classes.
pub const N_CLASSES: usize = 10;
/// The class with two modes: an animal with its one head on the left or on the right.
pub const TWO_MODE_CLASS: usize = 8;

/// Names and cues by class id. Neighbours with the same cue are a pair.
const CLASSES: [(&str, Cue); N_CLASSES] = [
    ("blue", Cue::Color),
    ("yellow", Cue::Color),
    ("striped", Cue::Texture),
    ("checked", Cue::Texture),
    ("disc", Cue::GlobalShape),
    ("triangle", Cue::GlobalShape),
    ("pluses", Cue::LocalParts),
    ("corners", Cue::LocalParts),
    ("one-headed", Cue::TwoModes),
    ("two-headed", Cue::TwoModes),
];

/// By what a class is told from the other one of its pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cue {
    /// Color only.
    Color,
    /// Texture only.
    Texture,
    /// Global shape only.
    GlobalShape,
    /// Local parts, wherever they are.
    LocalParts,
    /// One class has two modes whose mean is the other class's mean.
    TwoModes,
}

impl Cue {
    /// All cues, in the order of the classes.
    pub const ALL: [Self; 5] = [Self::Color, Self::Texture, Self::GlobalShape, Self::LocalParts, Self::TwoModes];

    /// The cue in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Color => "color only",
            Self::Texture => "texture only",
            Self::GlobalShape => "global shape",
            Self::LocalParts => "local parts in any position",
            Self::TwoModes => "two modes of one class",
        }
    }

    /// The ids of the two classes that only this cue tells apart.
    pub const fn pair(self) -> (usize, usize) {
        let first = 2 * self as usize;
        (first, first + 1)
    }
}

/// The cue of a class.
///
/// # Panics
/// When `class_id` is not below [`N_CLASSES`].
pub fn cue(class_id: usize) -> Cue {
    CLASSES[class_id].1
}

/// The generated dataset.
#[derive(Debug, Clone)]
pub struct Shapes {
    n_train: usize,
    n_test: usize,
    seed: Seed,
    card: Card,
}

impl Default for Shapes {
    /// 4,000 training and 1,000 test images of seed 0.
    fn default() -> Self {
        Self::new(4000, 1000, Seed(0))
    }
}

impl Shapes {
    /// A set of this many images. Class ids go round: image i is of class i mod 10.
    pub fn new(n_train: usize, n_test: usize, seed: Seed) -> Self {
        let card = Card {
            name: "shapes".to_owned(),
            summary: "generated 32×32 color images; each pair of classes differs by one stated cue".to_owned(),
            citation: "bakeoff, crates/datasets/src/shapes.rs".to_owned(),
            licence: "MIT OR Apache-2.0".to_owned(),
            files: Vec::new(),
        };
        Self { n_train, n_test, seed, card }
    }

    fn part(&self, name: &str, n: usize) -> Result<Labelled, LoadError> {
        let seed = self.seed.derive("shapes").derive(name);
        let mut pixels = vec![0; n * SIDE * SIDE * 3];
        let images = pixels.chunks_exact_mut(SIDE * SIDE * 3).enumerate();
        parallel::for_each(images.collect(), |(i, image)| {
            draw(i % N_CLASSES, &mut Dice(seed.nth(i).rng())).develop(image);
        });
        let ids = (0..n).map(|i| i % N_CLASSES).collect();
        parts::labelled(Path::new("shapes"), pixels, (n, SIDE, SIDE, 3), ids, N_CLASSES)
    }
}

impl Dataset for Shapes {
    fn card(&self) -> &Card {
        &self.card
    }

    fn load(&self, _root: &Path) -> Result<Splits, LoadError> {
        if self.n_train < N_CLASSES || self.n_test == 0 {
            let found = format!("{} training and {} test images", self.n_train, self.n_test);
            let problem = format!("expected at least {N_CLASSES} training images and 1 test image, found {found}");
            return Err(problem::unusable(Path::new("shapes"), problem));
        }
        let pairs = Cue::ALL.map(|cue| {
            let (a, b) = cue.pair();
            format!("{} and {}: {}", CLASSES[a].0, CLASSES[b].0, cue.words())
        });
        Ok(Splits {
            classes: CLASSES.iter().map(|(name, _)| (*name).to_owned()).collect(),
            train: self.part("train", self.n_train)?,
            validation: None,
            test: self.part("test", self.n_test)?,
            provenance: Provenance {
                notes: vec![
                    format!("generated from seed {}", self.seed.0),
                    format!("each pair of classes differs by one cue: {}", pairs.join("; ")),
                ],
                ..Provenance::default()
            },
        })
    }
}

/// What a color adds to the grey ground, (red, green, blue).
type Tint = [i32; 3];

/// Blue and yellow. Both have a luma of 30.7 (Rec. 601) and 36.9 (Rec. 709), a greatest channel of 80 and a length of
/// 101, each to within a rounding: whatever a gradient is taken of, their edges are the same.
const OWN_TINTS: [Tint; 2] = [[-32, 53, 80], [39, 48, -80]];
/// Pink, green and violet: the colors of all other classes.
const SHARED_TINTS: [Tint; 3] = [[80, 28, 32], [0, 80, 8], [56, 24, 80]];

/// A plus and a corner of nine pixels in 5×5, as (down, across).
const PARTS: [[(usize, usize); 9]; 2] = [
    [(0, 2), (1, 2), (2, 2), (3, 2), (4, 2), (2, 0), (2, 1), (2, 3), (2, 4)],
    [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (4, 1), (4, 2), (4, 3), (4, 4)],
];

/// Draws an image of a class. The order in which the dice are thrown is part of what the class looks like: keep it.
fn draw(class_id: usize, dice: &mut Dice) -> Canvas {
    let ground = dice.between(112, 144);
    let strength = dice.between(160, 256);
    let shared = SHARED_TINTS[dice.below(3) as usize];
    let tint = if class_id < 2 { OWN_TINTS[class_id] } else { shared }.map(|channel| (channel * strength) >> 8);
    let mut canvas = Canvas { ground, tint, figure: Box::new([None; SIDE * SIDE]), noise: Box::new([0; _]) };
    match CLASSES[class_id].1 {
        Cue::Color => {
            let figure = [Figure::Disc, Figure::Triangle, Figure::Square][dice.below(3) as usize];
            draw_figure(&mut canvas, figure, dice);
        }
        Cue::Texture => draw_texture(&mut canvas, class_id == 3, dice),
        Cue::GlobalShape => draw_figure(&mut canvas, [Figure::Disc, Figure::Triangle][class_id - 4], dice),
        Cue::LocalParts => draw_parts(&mut canvas, &PARTS[class_id - 6], dice),
        Cue::TwoModes => draw_animal(&mut canvas, class_id == TWO_MODE_CLASS, dice),
    }
    dice.0.fill_bytes(&mut canvas.noise[..]);
    canvas
}

/// A filled figure of 140 to 220 pixels whose middle is up to three pixels off the image's.
fn draw_figure(canvas: &mut Canvas, figure: Figure, dice: &mut Dice) {
    let (x, y) = (16 + dice.between(-3, 3), 16 + dice.between(-3, 3));
    let n_pixels = dice.between(140, 220) as usize;
    // A figure is the n pixels of the smallest gauge, so that all figures have exactly as many; the position settles
    // ties.
    let mut order: Vec<(i32, usize)> =
        (0..SIDE * SIDE).map(|i| (figure.gauge((i % SIDE) as i32 - x, (i / SIDE) as i32 - y), i)).collect();
    order.sort_unstable();
    for &(_, i) in &order[..n_pixels] {
        canvas.figure[i] = Some(Tone::Full);
    }
}

/// A square of 16×16 in stripes or checks of two pixels. Its side is a multiple of their period of four, so half of its
/// pixels have each tone whatever the phase.
fn draw_texture(canvas: &mut Canvas, is_checked: bool, dice: &mut Dice) {
    let (left, top) = (8 + dice.between(-3, 3), 8 + dice.between(-3, 3));
    let (across, down) = (dice.below(4) as i32, dice.below(4) as i32);
    for y in top..top + 16 {
        for x in left..left + 16 {
            let stripe = (y + down) % 4 >= 2;
            let column = (x + across) % 4 >= 2;
            let is_full = if is_checked { stripe != column } else { stripe };
            canvas.put(x, y, if is_full { Tone::Full } else { Tone::Opposite });
        }
    }
}

/// Five parts that do not touch, anywhere.
fn draw_parts(canvas: &mut Canvas, part: &[(usize, usize); 9], dice: &mut Dice) {
    let mut places: Vec<(i32, i32)> = Vec::new();
    // Four parts close at most 4·11² of the 28² places, so there is always a free one to hit.
    while places.len() < 5 {
        let (y, x) = (dice.below(28) as i32, dice.below(28) as i32);
        if places.iter().any(|&(v, u)| (y - v).abs().max((x - u).abs()) < 6) {
            continue;
        }
        places.push((y, x));
        for &(down, across) in part {
            canvas.put(x + across as i32, y + down as i32, Tone::Full);
        }
    }
}

/// A body with two legs and one whole head, left or right; or with every other row of a head on each side. Over the
/// images of a class every pixel of a head is there half of the time, in both classes, and all animals have as many
/// pixels.
fn draw_animal(canvas: &mut Canvas, is_one_headed: bool, dice: &mut Dice) {
    let (x, y) = (16 + dice.between(-2, 2), 16 + dice.between(-2, 2));
    let coin = dice.below(2) as i32;
    for dy in -6..=7i32 {
        for dx in -10..=10i32 {
            let is_body = dx.abs() <= 5 && dy.abs() <= 2;
            let is_leg = dx.abs() == 4 && (3..=7).contains(&dy);
            let is_head = dx.abs() >= 6 && (-6..=1).contains(&dy) && {
                let is_right = i32::from(dx > 0);
                let row = if is_one_headed { 0 } else { dy & 1 };
                (is_right + row + coin) % 2 == 0
            };
            if is_body || is_leg || is_head {
                canvas.put(x + dx, y + dy, Tone::Full);
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Figure {
    Disc,
    Triangle,
    Square,
}

impl Figure {
    /// A number that grows from the figure's middle outwards: its level sets are the figure in all sizes.
    fn gauge(self, dx: i32, dy: i32) -> i32 {
        match self {
            Self::Disc => dx * dx + dy * dy,
            // The tip is up: sides fall by two pixels for each across, the base is half as far down as the tip is up.
            Self::Triangle => (2 * dy).max(2 * dx.abs() - dy) * 64 + dx.abs(),
            Self::Square => dx.abs().max(dy.abs()) * 64 + dx.abs() + dy.abs(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    /// The tint itself.
    Full,
    /// Minus half of the tint: the other tone of a texture.
    Opposite,
}

/// An image before its pixels are worked out.
struct Canvas {
    ground: i32,
    tint: Tint,
    figure: Box<[Option<Tone>; SIDE * SIDE]>,
    noise: Box<[u8; SIDE * SIDE * 3]>,
}

impl Canvas {
    /// Sets a pixel that lies in the image.
    fn put(&mut self, x: i32, y: i32, tone: Tone) {
        self.figure[y as usize * SIDE + x as usize] = Some(tone);
    }

    /// The pixels: ground, figure and noise, (32, 32, 3).
    fn develop(&self, image: &mut [u8]) {
        for (i, (out, &byte)) in image.iter_mut().zip(self.noise.iter()).enumerate() {
            let tint = self.tint[i % 3];
            let figure = match self.figure[i / 3] {
                None => 0,
                Some(Tone::Full) => tint,
                Some(Tone::Opposite) => (-tint) >> 1,
            };
            // The sum of two dice of sixteen sides: a triangle from −15 to 15.
            let noise = i32::from(byte & 15) + i32::from(byte >> 4) - 15;
            *out = (self.ground + figure + noise).clamp(0, 255) as u8;
        }
    }
}

/// The random stream of one image, with its draws written out so that no library's sampling can change them.
struct Dice(ChaCha8Rng);

impl Dice {
    /// A number below `n`: the high half of a 32-bit draw times n. Its bias is under n / 2³².
    fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// A number from `low` to `high`, both included.
    fn between(&mut self, low: i32, high: i32) -> i32 {
        low + self.below((high - low + 1) as u32) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::content_hash;
    use std::collections::HashMap;

    fn figures(class_id: usize, n: usize) -> Vec<Canvas> {
        (0..n).map(|i| draw(class_id, &mut Dice(Seed(1).nth(i).rng()))).collect()
    }

    /// How many images of a class have how many pixels of each tone.
    fn tone_counts(class_id: usize) -> HashMap<(usize, usize), usize> {
        let mut counts = HashMap::new();
        for canvas in figures(class_id, 400) {
            let count = |tone| canvas.figure.iter().filter(|&&t| t == Some(tone)).count();
            *counts.entry((count(Tone::Full), count(Tone::Opposite))).or_default() += 1;
        }
        counts
    }

    /// How often each pixel belongs to the figure.
    fn mean_figure(class_id: usize, n: usize) -> Vec<f64> {
        let mut sum = vec![0.0; SIDE * SIDE];
        for canvas in figures(class_id, n) {
            for (total, tone) in sum.iter_mut().zip(canvas.figure.iter()) {
                *total += f64::from(u8::from(tone.is_some())) / n as f64;
            }
        }
        sum
    }

    #[test]
    fn the_default_set_is_pinned() {
        // Another hash means other data under the same name: every stored result on `shapes` would lose its meaning.
        let splits = Shapes::default().load(Path::new("")).unwrap();
        assert_eq!((splits.train.len(), splits.test.len()), (4000, 1000));
        assert_eq!(splits.train.images().shape(), (32, 32, 3));
        assert_eq!(splits.train.labels().counts(), [400; 10]);
        assert_eq!(content_hash(&splits), "c642dc216c06ae675509f5db9703b313f2710f82db9862acbc5978a1b3766151");
    }

    #[test]
    fn a_larger_set_begins_with_the_smaller_one_and_seeds_differ() {
        let load = |n, seed| Shapes::new(n, 10, Seed(seed)).load(Path::new("")).unwrap();
        let (small, large, other) = (load(20, 5), load(30, 5), load(20, 6));
        let first: Vec<usize> = (0..20).collect();
        assert_eq!(large.train.select(&first), small.train);
        assert_eq!(large.test, small.test);
        assert_ne!(other.train, small.train);
        assert_ne!(small.train.images().select(&[0]), small.test.images().select(&[0]));
    }

    #[test]
    fn a_pair_names_two_classes_of_its_cue() {
        for cue in Cue::ALL {
            let (a, b) = cue.pair();
            assert_eq!((super::cue(a), super::cue(b)), (cue, cue));
        }
        assert_eq!(super::cue(TWO_MODE_CLASS), Cue::TwoModes);
    }

    #[test]
    fn blue_and_yellow_stand_out_equally() {
        let [blue, yellow] = OWN_TINTS.map(|tint| tint.map(f64::from));
        let luma = |weights: [f64; 3], tint: [f64; 3]| weights.iter().zip(tint).map(|(w, t)| w * t).sum::<f64>();
        for weights in [[0.299, 0.587, 0.114], [0.2126, 0.7152, 0.0722]] {
            assert!((luma(weights, blue) - luma(weights, yellow)).abs() < 0.1);
        }
        let greatest = |tint: Tint| tint.iter().map(|c| c.abs()).max().unwrap();
        let square = |tint: Tint| tint.iter().map(|c| c * c).sum::<i32>();
        assert_eq!(OWN_TINTS.map(greatest), [80, 80]);
        assert!((square(OWN_TINTS[0]) - square(OWN_TINTS[1])).abs() < 10);
    }

    #[test]
    fn the_classes_of_a_pair_use_the_same_dice_for_color() {
        // Textures: half of 16×16 each, always. Parts and animals: a fixed number of pixels.
        for class_id in [2, 3] {
            assert_eq!(tone_counts(class_id), HashMap::from([((128, 128), 400)]));
        }
        for class_id in [6, 7] {
            assert_eq!(tone_counts(class_id), HashMap::from([((45, 0), 400)]));
        }
        for class_id in [8, 9] {
            assert_eq!(tone_counts(class_id), HashMap::from([((55 + 10 + 40, 0), 400)]));
        }
        // The same dice give a disc and a triangle of as many pixels, in the same tint on the same ground.
        for (disc, triangle) in figures(4, 50).iter().zip(&figures(5, 50)) {
            let count = |canvas: &Canvas| canvas.figure.iter().flatten().count();
            assert_eq!(count(disc), count(triangle));
            assert_eq!((disc.tint, disc.ground), (triangle.tint, triangle.ground));
        }
        // The same dice give the same figure in blue and in yellow.
        for (blue, yellow) in figures(0, 50).iter().zip(&figures(1, 50)) {
            assert_eq!(blue.figure, yellow.figure);
        }
    }

    #[test]
    fn both_kinds_of_animal_have_the_same_mean() {
        let [one, two] = [8, 9].map(|class_id| mean_figure(class_id, 4000));
        // A mean of 4,000 coins is off by 0.008 (one standard deviation); the greatest of 2·1,024 by under five of
        // those.
        let furthest = one.iter().zip(&two).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(furthest < 0.05, "{furthest}");
    }

    #[test]
    fn too_few_images_are_refused() {
        let text = Shapes::new(9, 5, Seed(0)).load(Path::new("")).unwrap_err().to_string();
        assert_eq!(
            text,
            "shapes: expected at least 10 training images and 1 test image, found 9 training and 5 test images"
        );
    }
}
