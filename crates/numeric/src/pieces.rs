//! Products of a training step in pieces of 16 bits, for processors that multiply tiles of those.
//!
//! A matrix unit that takes bfloat16 makes sixteen times as many multiply-adds in a second as the vectors of the same
//! processor make of f32 (Intel's AMX, since Sapphire Rapids). An f32 has 24 significant bits and a bfloat16 8, so an f32 is the
//! sum of three: itself rounded, what is left rounded, and the rest (Henry, Tang, Heinecke 2019, "Leveraging the bfloat16 artificial
//! intelligence datatype for higher-precision computations"). Of the nine products of two such sums six are made; the others are
//! together at most 2⁻²³ of the product, twice what f32 may round off once, and mostly far less. Sums are of f32, and their rounding grows
//! with their length, so that the product is as exact as that of vectors (a test holds both against f64), with other last
//! bits. What lies below 2⁻¹²⁶ counts as 0; beyond 3.39 · 10³⁸, and where a number is infinite, the result is no number.
//!
//! Sums are taken in an order that threads do not change. Where there is no such unit [`Pieces::pay`] says no, and products
//! are those of [`crate::panels`]: networks that are trained on both kinds of processors differ in last bits.
//!
//! Two threads of a Xeon with AMX, 468 GFLOP/s of f32 in vectors: medians of 60 calls each in one pool that is awake, taking operands apart
//! included (a program that is not kept; `benches/limit.md` has the same products with a pool that every call wakes):
//!
//! | product, 128 rows | vectors | pieces |
//! |---|---|---|
//! | 1024 × 3072 forward | 2.13 ms | 1.31 ms |
//! | 1024 × 1024 forward | 0.66 ms | 0.38 ms |
//! | 1024 × 784 forward | 0.49 ms | 0.30 ms |
//! | weight gradient and momentum of 1024 × 3072 | 2.15 ms | 1.34 ms |
//! | of 1024 × 784 | 0.54 ms | 0.40 ms |
//!
//! At its peak the unit would take 0.67 ms for the first; the rest is weights on their way from the third level cache and taking
//! them apart. Weights are kept as f32 alone: kept in pieces they would be half as much again to move.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;

use crate::element::Element;
use crate::panels::{Band, Line, PANEL, Panels, TileWork};
use crate::tiles::{BAND, run};
use std::cell::RefCell;

/// Steps of 32 columns of the left operand that are taken before its next rows: 128 columns of the right operand, 768 KB in pieces,
/// then stay in the second level cache (2 MB).
const STEPS: usize = 32;

/// Bands that one task of [`multiply`] takes where there are enough for others: while their rows change, the right operand's blocks stay.
const BANDS: usize = 2;

/// Rows of a tile that is handed on.
const TILE: usize = 8;

/// Multiply-adds, and numbers on each side, from which pieces pay: below them most is way and edges.
const LEAST: (usize, usize) = (1 << 22, 64);

/// 32 × 32 numbers, as they are and as they become.
type Sums = [Line<f32>; PANEL];

/// 32 × 32 numbers in pieces, as the unit reads them: all first pieces, all second ones, all rests. A word holds the pieces of
/// two numbers that are 16 steps of a sum apart, which are brought together without a shuffle: in a left operand columns j and 16 + j,
/// row by row; in a right one rows j and 16 + j, of sixteen columns and then of the others.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
struct Block([[u32; WORDS]; 3]);

/// Words of one piece of 32 × 32 numbers.
const WORDS: usize = PANEL * PANEL / 2;

impl Block {
    const ZERO: Self = Self([[0; WORDS]; 3]);
}

/// What is on its way to the second level cache meanwhile, sixteen lines of the cache with each step.
#[derive(Debug, Clone, Copy)]
struct Ahead {
    start: *const u8,
    /// Bytes from a step's lines to those of the next.
    stride: usize,
}

impl Ahead {
    /// Bytes of sixteen lines.
    const BYTES: usize = 1024;
}

/// One operand of a product in pieces.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    /// Rows of a left operand, columns of a right one.
    lines: usize,
    /// Columns of a left operand, rows of a right one.
    depth: usize,
    /// Step by step for 32 lines, then for the next ones.
    blocks: Vec<Block>,
}

impl Pieces {
    /// Whether the product of f32 (m, k) by (k, n) is faster in pieces on this processor.
    pub fn pay<T: Element>(m: usize, k: usize, n: usize) -> bool {
        let (work, side) = LEAST;
        let is_large = m.min(k).min(n) >= side && m * k * n >= work;
        is_large && !T::as_f32(&[T::zero()]).is_empty() && available()
    }

    /// Takes over a left operand (m, k), on rayon's pool.
    ///
    /// # Panics
    /// When numbers are not f32.
    pub fn assign_left<T: Element>(&mut self, left: &Panels<T>) {
        let (m, k) = left.dim();
        self.assign(m, k, |line, step, block| {
            let lines = &left.panel(step)[line..(line + PANEL).min(m)];
            convert(Side::Left, f32s(lines), k - step * PANEL, block);
        });
    }

    /// Takes over a right operand (k, n), on rayon's pool.
    ///
    /// # Panics
    /// When numbers are not f32.
    pub fn assign_right<T: Element>(&mut self, right: &Panels<T>) {
        let (k, n) = right.dim();
        self.assign(n, k, |line, step, block| {
            let lines = &right.panel(line / PANEL)[step * PANEL..((step + 1) * PANEL).min(k)];
            convert(Side::Right, f32s(lines), PANEL, block);
        });
    }

    fn assign(&mut self, lines: usize, depth: usize, each: impl Fn(usize, usize, &mut Block) + Sync) {
        (self.lines, self.depth) = (lines, depth);
        let steps = depth.div_ceil(PANEL);
        self.blocks.resize(lines.div_ceil(PANEL) * steps, Block::ZERO);
        let tasks = self.blocks.chunks_mut(STEPS).enumerate().collect();
        run(true, tasks, |(task, blocks)| {
            for (i, block) in blocks.iter_mut().enumerate() {
                let id = task * STEPS + i;
                each(id / steps * PANEL, id % steps, block);
            }
        });
    }

    /// All steps of the `id`-th 32 lines.
    fn group(&self, id: usize) -> &[Block] {
        let steps = self.depth.div_ceil(PANEL);
        &self.blocks[id * steps..][..steps]
    }
}

/// # Panics
/// When they are not f32.
fn f32s<T: Element>(lines: &[Line<T>]) -> &[Line<f32>] {
    let lines_of_f32: &[Line<f32>] = T::as_f32(lines.as_flattened()).as_chunks().0;
    assert_eq!(lines_of_f32.len(), lines.len(), "pieces are of f32");
    lines_of_f32
}

thread_local! {
    /// Rows of a left operand in pieces: [`STEPS`] blocks.
    static LEFT: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// As [`crate::panels::multiply`].
///
/// # Panics
/// When the shapes do not fit, `extras` are not as many as bands, or numbers are not f32.
pub fn multiply<T: Element, E: Send>(
    left: &Panels<T>,
    right: &Pieces,
    out: &mut Panels<T>,
    extras: Vec<E>,
    finish: impl Fn(Band<'_, T>, E) + Sync,
) {
    let ((m, k), (k2, n)) = (left.dim(), (right.depth, right.lines));
    assert!(k == k2 && out.dim() == (m, n), "{:?} · {:?} into {:?}", left.dim(), (k2, n), out.dim());
    let mut bands = out.bands_mut(BAND);
    assert_eq!(bands.len(), extras.len(), "one extra a band");
    let mut extras = extras.into_iter();
    let each = if bands.len() < 2 * BANDS { 1 } else { BANDS };
    let tasks: Vec<(Vec<Band<'_, T>>, Vec<E>)> = (0..bands.len().div_ceil(each))
        .map(|_| (bands.drain(..each.min(bands.len())).collect(), extras.by_ref().take(each).collect()))
        .collect();
    run(true, tasks, |(mut bands, extras)| {
        LEFT.with_borrow_mut(|room| multiply_bands(left, right, &mut bands, room));
        bands.into_iter().zip(extras).for_each(|(band, extra)| finish(band, extra));
    });
}

fn multiply_bands<T: Element>(left: &Panels<T>, right: &Pieces, bands: &mut [Band<'_, T>], room: &mut Vec<Block>) {
    let kernel = Kernel::new();
    let (m, k) = left.dim();
    room.resize(STEPS, Block::ZERO);
    let mut spare = [[0.0; PANEL]; PANEL];
    // Without columns there is one step that adds nothing, and writes zeros.
    for start in (0..k.div_ceil(PANEL).max(1)).step_by(STEPS) {
        for band in &mut *bands {
            let height = band.panels.first().map_or(0, |lines| lines.len());
            for row in (0..height).step_by(PANEL) {
                let (first, end) = (band.first + row, (row + PANEL).min(height));
                let steps = start..(start + STEPS).min(k.div_ceil(PANEL));
                let blocks = &mut room[..steps.len()];
                for (step, block) in steps.clone().zip(&mut *blocks) {
                    let lines = &left.panel(step)[first..(first + PANEL).min(m)];
                    convert(Side::Left, f32s(lines), k - step * PANEL, block);
                }
                for (id, lines) in band.panels.iter_mut().enumerate() {
                    let lines: &mut [Line<f32>] = T::as_f32_mut(lines[row..end].as_flattened_mut()).as_chunks_mut().0;
                    let right = &right.group(id)[steps.clone()];
                    // A quarter of the rows that will be next.
                    let next = left.numbers(start, first + PANEL).as_ptr().cast::<u8>();
                    let ahead =
                        Ahead { start: next.wrapping_add(id % 4 * Ahead::BYTES), stride: m * size_of::<Line<f32>>() };
                    if let Some(sums) = lines.first_chunk_mut() {
                        kernel.add(blocks, right, start == 0, sums, ahead);
                    } else {
                        let height = lines.len();
                        spare[..height].copy_from_slice(lines);
                        kernel.add(blocks, right, start == 0, &mut spare, ahead);
                        lines.copy_from_slice(&spare[..height]);
                    }
                }
            }
        }
    }
}

/// As [`crate::panels::multiply_tiles`].
///
/// # Panics
/// When the shapes do not fit or numbers are not f32.
pub fn multiply_tiles<T: Element, const N: usize>(
    left: &Pieces,
    right: &Pieces,
    targets: [&mut Panels<T>; N],
    each: &impl TileWork<T, N>,
) {
    let ((m, k), (k2, n)) = ((left.lines, left.depth), (right.depth, right.lines));
    assert!(k == k2 && targets.iter().all(|t| t.dim() == (m, n)), "{:?} · {:?} into targets", (m, k), (k2, n));
    if m == 0 {
        return;
    }
    let mut parts: Vec<_> = targets.into_iter().map(|target| target.lines.chunks_mut(m)).collect();
    let tasks = (0..n.div_ceil(PANEL))
        .map(|panel| {
            let mut lines = parts.iter_mut().filter_map(Iterator::next);
            let lines: [&mut [Line<T>]; N] = std::array::from_fn(|_| lines.next().unwrap_or_default());
            (panel, lines)
        })
        .collect();
    run(true, tasks, |(panel, mut targets): (usize, [&mut [Line<T>]; N])| {
        let kernel = Kernel::new();
        let mut sums = [[T::zero(); PANEL]; PANEL];
        for first in (0..m).step_by(PANEL) {
            let end = (first + PANEL).min(m);
            let next = targets.first().and_then(|lines| lines.get(end..)).unwrap_or_default();
            let ahead = Ahead { start: next.as_ptr().cast(), stride: Ahead::BYTES };
            if let Some(sums) = T::as_f32_mut(sums.as_flattened_mut()).as_chunks_mut().0.first_chunk_mut() {
                kernel.add(left.group(first / PANEL), right.group(panel), true, sums, ahead);
            }
            for (tile, start) in sums[..end - first].chunks(TILE).zip((first..).step_by(TILE)) {
                let targets = targets.each_mut().map(|lines| &mut lines[start..start + tile.len()]);
                pulp::Arch::new().dispatch(OneTile { tile, targets, each });
            }
        }
    });
}

/// A tile that is handed on where vectors are chosen.
struct OneTile<'a, T, F, const N: usize> {
    tile: &'a [Line<T>],
    targets: [&'a mut [Line<T>]; N],
    each: &'a F,
}

impl<T: Element, F: TileWork<T, N>, const N: usize> pulp::WithSimd for OneTile<'_, T, F, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        self.each.tile(self.tile, self.targets);
    }
}

/// Whether this processor has a matrix unit that this process may use.
pub fn available() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    return amx::available();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    false
}

/// What multiplies blocks: the unit where there is one, else plain loops, which nobody uses but tests and benches.
struct Kernel {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    tiles: Option<amx::Tiles>,
}

impl Kernel {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn new() -> Self {
        Self { tiles: amx::Tiles::new() }
    }

    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    fn new() -> Self {
        Self {}
    }

    /// sums ← left · right, where `is_first`, else sums ← sums + left · right.
    fn add(&self, left: &[Block], right: &[Block], is_first: bool, sums: &mut Sums, ahead: Ahead) {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if let Some(tiles) = &self.tiles {
            return tiles.add(left, right, is_first, sums, ahead);
        }
        let _ = ahead;
        pulp::Arch::new().dispatch(Add { left, right, is_first, sums });
    }
}

/// Which operand a block is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Up to 32 lines of which the first `width` numbers count, in pieces; zeros beyond.
fn convert(side: Side, lines: &[Line<f32>], width: usize, block: &mut Block) {
    match lines.first_chunk() {
        Some(lines) if width >= PANEL => pulp::Arch::new().dispatch(Convert { side, lines, block }),
        _ => {
            let (mut filled, width) = ([[0.0; PANEL]; PANEL], width.min(PANEL));
            for (filled, line) in filled.iter_mut().zip(lines) {
                filled[..width].copy_from_slice(&line[..width]);
            }
            pulp::Arch::new().dispatch(Convert { side, lines: &filled, block });
        }
    }
}

struct Convert<'a> {
    side: Side,
    lines: &'a Sums,
    block: &'a mut Block,
}

impl pulp::WithSimd for Convert<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { side, lines, block } = self;
        // Sixteen numbers of a line, then the other sixteen.
        let halves: &[Half] = lines.as_flattened().as_chunks().0;
        let [first, second, rest] = &mut block.0;
        let words = [first, second, rest].map(|words| words.as_chunks_mut::<16>().0);
        let [first, second, rest] = words;
        for i in 0..PANEL {
            let (one, other) = match side {
                Side::Left => (2 * i, 2 * i + 1),
                Side::Right => (i % 16 * 2 + i / 16, i % 16 * 2 + i / 16 + PANEL),
            };
            let (one, other) = (&halves[one], &halves[other]);
            for j in 0..16 {
                let (one, other) = (split(one[j]), split(other[j]));
                first[i][j] = one[0] >> 16 | other[0];
                second[i][j] = one[1] >> 16 | other[1];
                rest[i][j] = one[2] >> 16 | other[2];
            }
        }
    }
}

/// The bits of an f32 that a bfloat16 has.
const UPPER: u32 = 0xffff_0000;

/// Half a line.
type Half = [f32; PANEL / 2];

/// The pieces of a number, each in the upper half of a word: the number rounded, what is left rounded, and the rest, which fits. What is no
/// number keeps a piece that is none: the last at least.
#[inline(always)]
fn split(number: f32) -> [u32; 3] {
    let rounded = |number: f32| number.to_bits().wrapping_add(0x8000) & UPPER;
    let first = rounded(number);
    let rest = number - f32::from_bits(first);
    let second = rounded(rest);
    [first, second, (rest - f32::from_bits(second)).to_bits() & UPPER]
}

/// The two numbers of a word.
#[inline(always)]
fn pair(word: u32) -> [f32; 2] {
    [f32::from_bits(word << 16), f32::from_bits(word & UPPER)]
}

/// What [`Kernel::add`] does, in plain loops.
struct Add<'a> {
    left: &'a [Block],
    right: &'a [Block],
    is_first: bool,
    sums: &'a mut Sums,
}

impl pulp::WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { left, right, is_first, sums } = self;
        if is_first {
            sums.as_flattened_mut().fill(0.0);
        }
        let sums: &mut [Half] = sums.as_flattened_mut().as_chunks_mut().0;
        for (left, right) in left.iter().zip(right) {
            for (a, b) in [(0, 2), (0, 1), (1, 1), (1, 0), (2, 0), (0, 0)] {
                let rows: &[[u32; PANEL / 2]] = left.0[a].as_chunks().0;
                let (columns, _) = right.0[b].as_chunks::<{ PANEL / 2 }>();
                for (i, row) in rows.iter().enumerate() {
                    for half in 0..2 {
                        let mut held = sums[2 * i + half];
                        for (&word, columns) in row.iter().zip(&columns[half * PANEL / 2..]) {
                            let [one, other] = pair(word);
                            for (sum, &column) in held.iter_mut().zip(columns) {
                                let column = pair(column);
                                *sum += one * column[0] + other * column[1];
                            }
                        }
                        sums[2 * i + half] = held;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// Numbers of all sizes between 2⁻⁶ and 2⁶ and both signs, whose last bits differ.
    fn rough(m: usize, n: usize, salt: usize) -> Array2<f32> {
        Array2::from_shape_fn((m, n), |(i, j)| {
            let bits = (i * 7919 + j * 104_729 + i * j * 31 + salt * 65_537) as u32;
            let bits = bits.wrapping_mul(2_654_435_761);
            f32::from_bits((121 + bits % 13) << 23 | bits >> 9 | bits << 31)
        })
    }

    fn counting(m: usize, n: usize, salt: usize) -> Array2<f32> {
        Array2::from_shape_fn((m, n), |(i, j)| ((i * 7 + j * 13 + salt) % 11) as f32 - 5.0)
    }

    /// a · b by both ways and the numbers of the bands that were finished.
    fn products(a: &Array2<f32>, b: &Array2<f32>) -> [Array2<f32>; 2] {
        let (left, right) = (Panels::from_array(a.view()), Panels::from_array(b.view()));
        let (m, n) = (a.nrows(), b.ncols());
        let (mut rows, mut columns) = (Pieces::default(), Pieces::default());
        rows.assign_left(&left);
        columns.assign_right(&right);
        let mut out = Panels::from_array(Array2::from_elem((m, n), 7.0).view());
        let mut firsts = vec![0; m.div_ceil(BAND)];
        multiply(&left, &columns, &mut out, firsts.iter_mut().collect(), |band, first| *first = band.first + 1);
        assert!(firsts.iter().enumerate().all(|(i, &first)| first == i * BAND + 1));
        let mut tiles = Panels::from_array(Array2::from_elem((m, n), 1.0).view());
        multiply_tiles(&rows, &columns, [&mut tiles], &AddTo);
        [out.to_array(), tiles.to_array() - 1.0]
    }

    struct AddTo;

    impl TileWork<f32, 1> for AddTo {
        fn tile(&self, tile: &[Line<f32>], [target]: [&mut [Line<f32>]; 1]) {
            target.as_flattened_mut().iter_mut().zip(tile.as_flattened()).for_each(|(sum, &value)| *sum += value);
        }
    }

    const SHAPES: [(usize, usize, usize); 8] =
        [(0, 3, 2), (3, 0, 2), (1, 1, 1), (5, 9, 3), (33, 40, 31), (10, 300, 128), (150, 290, 70), (600, 1100, 45)];

    #[test]
    fn a_number_is_the_sum_of_its_pieces() {
        for number in rough(100, 100, 0).into_iter().chain([0.0, -0.0, 1.0, f32::MIN_POSITIVE, 3.38e38]) {
            let pieces = split(number);
            assert!(pieces.iter().all(|piece| piece & !UPPER == 0));
            let sum: f64 = pieces.iter().map(|&piece| f64::from(f32::from_bits(piece))).sum();
            assert_eq!(sum, f64::from(number));
        }
        for number in [f32::NAN, f32::from_bits(0x7fff_ffff), f32::from_bits(0xff80_0001), f32::INFINITY, f32::MAX] {
            assert!(split(number).iter().any(|&piece| !f32::from_bits(piece).is_finite()), "{number}");
        }
    }

    #[test]
    fn products_of_small_integers_are_exact() {
        for (m, k, n) in SHAPES {
            let (a, b) = (counting(m, k, 0), counting(k, n, 3));
            for product in products(&a, &b) {
                assert_eq!(product, a.dot(&b), "{m} {k} {n}");
            }
        }
    }

    /// The bound of sums in f32 (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1) is k u Σ |a| |b|; three
    /// units are more than what pieces leave out.
    #[test]
    fn products_are_as_exact_as_those_of_f32() {
        for (m, k, n) in SHAPES {
            let (a, b) = (rough(m, k, 0), rough(k, n, 1));
            let wide = |x: &Array2<f32>| x.mapv(f64::from);
            let (exact, sizes) = (wide(&a).dot(&wide(&b)), wide(&a).mapv(f64::abs).dot(&wide(&b).mapv(f64::abs)));
            let (mut worst, mut worst_of_f32) = (0.0f64, 0.0f64);
            for product in products(&a, &b) {
                for ((at, &value), exact) in product.indexed_iter().zip(&exact) {
                    let plain = (0..k).fold(0.0, |sum, j| a[[at.0, j]].mul_add(b[[j, at.1]], sum));
                    assert!(value.is_finite(), "{value}");
                    worst = worst.max((f64::from(value) - exact).abs() / sizes[at]);
                    worst_of_f32 = worst_of_f32.max((f64::from(plain) - exact).abs() / sizes[at]);
                }
            }
            // Sums of two products at a time round in another way than fused ones, no worse.
            assert!(worst <= 2.0 * worst_of_f32 + 3.0 * f64::from(f32::EPSILON), "{m} {k} {n}: {worst} {worst_of_f32}");
        }
    }

    #[test]
    fn the_unit_multiplies_as_plain_loops_do() {
        let block = |side, salt| {
            let (mut block, numbers) = (Block::ZERO, rough(PANEL, PANEL, salt));
            convert(side, Panels::from_array(numbers.view()).lines(), PANEL, &mut block);
            block
        };
        let (left, right) = ([0, 1].map(|i| block(Side::Left, i)), [2, 3].map(|i| block(Side::Right, i)));
        let start = [[3.0; PANEL]; PANEL];
        let ahead = Ahead { start: start.as_ptr().cast(), stride: Ahead::BYTES };
        for is_first in [true, false] {
            let (mut found, mut expected) = (start, start);
            Kernel::new().add(&left, &right, is_first, &mut found, ahead);
            let (left, right) = (&left[..], &right[..]);
            pulp::Arch::new().dispatch(super::Add { left, right, is_first, sums: &mut expected });
            let numbers = found.as_flattened().iter().zip(expected.as_flattened());
            // Sums of 64 products of up to 2¹².
            numbers.for_each(|(a, b)| assert!((a - b).abs() < 0.02, "{a} {b}"));
        }
    }

    #[test]
    fn what_is_no_number_shows_and_what_lies_beyond_does_not() {
        let (mut a, b) = (rough(70, 100, 0), rough(100, 40, 1));
        (a[[3, 99]], a[[64, 0]]) = (f32::NAN, f32::INFINITY);
        for product in products(&a, &b) {
            for (i, row) in product.outer_iter().enumerate() {
                assert_eq!(row.iter().all(|v| v.is_finite()), i != 3 && i != 64, "row {i}");
            }
        }
        // Fewer columns and rows than there were: the old ones stay behind the last.
        let mut left = Panels::from_array(Array2::from_elem((40, 96), f32::NAN).view());
        let mut right = Panels::from_array(Array2::from_elem((96, 40), f32::NAN).view());
        left.set_columns(70);
        right.set_rows(70);
        let (a, b) = (rough(40, 70, 0), rough(70, 40, 1));
        left.assign(a.view());
        right.assign(b.view());
        let mut columns = Pieces::default();
        columns.assign_right(&right);
        let mut out = Panels::zeros(40, 40);
        multiply(&left, &columns, &mut out, vec![()], |_, ()| ());
        assert_eq!(out.to_array(), products(&a, &b)[0]);
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (a, b) = (rough(700, 300, 0), rough(300, 100, 1));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| products(&a, &b))
        };
        assert_eq!(with(1), with(2));
    }

    #[test]
    fn pieces_pay_for_large_products_of_f32_alone() {
        assert!(!Pieces::pay::<f64>(1024, 1024, 128) && !Pieces::pay::<f32>(10, 1024, 128));
        assert_eq!(Pieces::pay::<f32>(1024, 1024, 128), available());
    }

    #[test]
    #[should_panic = "pieces are of f32"]
    fn pieces_of_f64_are_refused() {
        Pieces::default().assign_left(&Panels::<f64>::zeros(3, 3));
    }
}
