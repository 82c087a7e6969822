//! Products of a training step in pieces of 16 bits, for processors that multiply those faster than f32.
//!
//! # As exact as f32
//!
//! A matrix unit that takes bfloat16 makes sixteen times as many multiply-adds in a second as the vectors of the same
//! processor make of f32 (Intel's AMX, since Sapphire Rapids). An f32 has 24 significant bits and a bfloat16 8, so an f32 is the
//! sum of three: itself rounded, what is left rounded, and the rest (Henry, Tang, Heinecke 2019, "Leveraging the bfloat16 artificial
//! intelligence datatype for higher-precision computations"). Of the nine products of two such sums six are made; the others are
//! together at most 2⁻²³ of the product, twice what f32 may round off once, and mostly far less. Sums are of f32, and their rounding grows
//! with their length, so that the product is as exact as that of vectors (a test holds both against f64), with other last
//! bits. What lies below 2⁻¹²⁶ counts as 0; beyond 3.39 · 10³⁸, and where a number is infinite, the result is no number.
//!
//! Sums are taken in an order that threads do not change. Where there is no such unit [`Precision::in_pieces`] says no, and products
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
//!
//! # Rounded to bfloat16
//!
//! With [`Precision::Bf16`] a number is its first piece alone, the nearest bfloat16. That is asked for and never chosen, so it does
//! not depend on the processor: the matrix unit multiplies the pieces, else vectors do that take bfloat16 (AVX-512 BF16, two pairs of
//! numbers a lane) where those are faster than vectors of f32, else the latter do, with numbers that are rounded and stay f32. Sums of f32
//! differ in last bits from one to the other. The last way is for the same roundings and not for speed. Two threads of an Intel (Emerald Rapids
//! without its matrix unit), 200 steps of 3072-1024-1024-10, the least of seven turns (`benches/examples/networks.rs`): 2.04 s in f32, 2.57 s in this
//! way, 3.18 s with the instruction for bfloat16, which that processor has and is not asked for.
//!
//! A core of a Zen 4 made 225 GFLOP/s of it in a bare loop over the first cache, of 233 in registers alone, where 115 is its peak in f32 (a scratch program). Sums
//! stay in registers for four steps of 32 columns, because storing them took a tenth of the time (207 GFLOP/s). Fetching what a tile's
//! optimiser will read while the tile is summed, weights and velocity both, made whole steps of 3072-1024-1024-10 a tenth faster.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(target_arch = "x86_64")]
mod bf16;

use crate::element::Element;
use crate::panels::{Band, CACHE_LINE, Line, PANEL, Panels, TileWork, transpose};
use crate::tiles::{self, BAND, run};
use pulp::{Simd, WithSimd};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::ops::Range;

/// How exact large products of f32 are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As those of f32.
    #[default]
    F32,
    /// Their operands are rounded to bfloat16; sums are of f32.
    Bf16,
}

impl Precision {
    /// Whether the product of (m, k) by (k, n) is made in pieces: where it is large, its numbers are f32, and, as those of f32, where
    /// that is faster on this processor. Whether it is rounded to bfloat16 does not depend on the processor.
    pub fn in_pieces<T: Element>(self, m: usize, k: usize, n: usize) -> bool {
        let (work, side) = LEAST;
        let is_large = m.min(k).min(n) >= side && m * k * n >= work;
        is_large && !T::as_f32(&[T::zero()]).is_empty() && (self == Self::Bf16 || available())
    }
}

/// What 32 × 32 numbers of an operand are kept as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Three pieces, a block each.
    Three,
    /// One piece.
    One,
    /// One piece too, as numbers of f32: two blocks.
    Wide,
}

impl Form {
    /// What is multiplied fastest here.
    fn of(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::Three,
            Precision::Bf16 if available() || vectors_pay() => Self::One,
            Precision::Bf16 => Self::Wide,
        }
    }

    fn blocks(self) -> usize {
        match self {
            Self::Three => 3,
            Self::One => 1,
            Self::Wide => 2,
        }
    }
}

/// Whether the vectors of this processor multiply bfloat16 faster than f32.
fn vectors_pay() -> bool {
    #[cfg(target_arch = "x86_64")]
    return bf16::pay();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Steps of 32 columns of the left operand that are taken before its next rows: 128 columns of the right operand, 768 KB in three
/// pieces, then stay in the second level cache (2 MB).
const STEPS: usize = 32;

/// Bands that one task of [`multiply`] takes where there are enough for others: while their rows change, the right operand's blocks stay.
const BANDS: usize = 2;

/// Rows of a tile that is handed on.
const TILE: usize = 8;

/// Multiply-adds, and numbers on each side, from which pieces pay: below them most is way and edges.
const LEAST: (usize, usize) = (1 << 22, 64);

/// 32 × 32 numbers, as they are and as they become.
type Sums = [Line<f32>; PANEL];

/// One piece of 32 × 32 numbers, as a unit reads it; or half of them as f32, line by line. A word of pieces holds the pieces of
/// two numbers that are 16 steps of a sum apart, which are brought together without a shuffle: in a left operand columns j and 16 + j,
/// row by row; in a right one rows j and 16 + j, of sixteen columns and then of the others.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
struct Block([u32; WORDS]);

/// Words of a block.
const WORDS: usize = PANEL * PANEL / 2;

impl Block {
    const ZERO: Self = Self([0; WORDS]);

    /// Blocks of [`Form::Wide`] as the numbers they are.
    #[expect(unsafe_code, reason = "there is no safe word for arrays in a row that are aligned")]
    fn numbers(blocks: &[Self]) -> &[f32] {
        // SAFETY: a block is its words and nothing else, and those are any bits.
        let words = unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast::<u32>(), blocks.len() * WORDS) };
        pulp::bytemuck::cast_slice(words)
    }
}

/// What is on its way to the caches meanwhile, of two arrays sixteen of the cache's lines with each step. The matrix unit fetches of the
/// first alone.
#[derive(Debug, Clone, Copy)]
struct Ahead {
    starts: [*const u8; 2],
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
    precision: Precision,
    /// Rows of a left operand, columns of a right one.
    lines: usize,
    /// Columns of a left operand, rows of a right one.
    depth: usize,
    /// Step by step for 32 lines, then for the next ones: of a step all first pieces, all second ones, all rests.
    blocks: Vec<Block>,
}

impl Pieces {
    /// Room for an operand of products that are as exact as this.
    pub fn new(precision: Precision) -> Self {
        Self { precision, ..Self::default() }
    }

    /// Takes over a left operand (m, k), on rayon's pool.
    ///
    /// # Panics
    /// When numbers are not f32.
    pub fn assign_left<T: Element>(&mut self, left: &Panels<T>) {
        let (m, k) = left.dim();
        self.assign(m, k, |line, step, blocks| {
            let lines = &left.panel(step)[line..(line + PANEL).min(m)];
            convert(Side::Left, f32s(lines), k - step * PANEL, blocks);
        });
    }

    /// Takes over a right operand (k, n), on rayon's pool.
    ///
    /// # Panics
    /// When numbers are not f32.
    pub fn assign_right<T: Element>(&mut self, right: &Panels<T>) {
        let (k, n) = right.dim();
        self.assign(n, k, |line, step, blocks| {
            let lines = &right.panel(line / PANEL)[step * PANEL..((step + 1) * PANEL).min(k)];
            convert(Side::Right, f32s(lines), PANEL, blocks);
        });
    }

    fn assign(&mut self, lines: usize, depth: usize, each: impl Fn(usize, usize, &mut [Block]) + Sync) {
        (self.lines, self.depth) = (lines, depth);
        let (steps, pieces) = (depth.div_ceil(PANEL), Form::of(self.precision).blocks());
        self.blocks.resize(lines.div_ceil(PANEL) * steps * pieces, Block::ZERO);
        let tasks = self.blocks.chunks_mut(STEPS * pieces).enumerate().collect();
        run(true, tasks, |(task, blocks)| {
            for (i, blocks) in blocks.chunks_exact_mut(pieces).enumerate() {
                let id = task * STEPS + i;
                each(id / steps * PANEL, id % steps, blocks);
            }
        });
    }

    /// These steps of the `id`-th 32 lines.
    fn group(&self, id: usize, taken: Range<usize>) -> &[Block] {
        let (steps, pieces) = (self.depth.div_ceil(PANEL), Form::of(self.precision).blocks());
        &self.blocks[(id * steps + taken.start) * pieces..(id * steps + taken.end) * pieces]
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
    /// Rows of a left operand in pieces: blocks of [`STEPS`] steps.
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
    in_bands((left, Side::Left), right, out, BAND, extras, finish);
}

/// As [`crate::panels::multiply_transposed`].
///
/// # Panics
/// When the shapes do not fit, `extras` are not as many as bands, or numbers are not f32.
pub fn multiply_transposed<T: Element, E: Send>(
    left: &Panels<T>,
    right: &Pieces,
    out: &mut Panels<T>,
    extras: Vec<E>,
    finish: impl Fn(Band<'_, T>, E) + Sync,
) {
    in_bands((left, Side::Transposed), right, out, PANEL, extras, finish);
}

fn in_bands<T: Element, E: Send>(
    left: (&Panels<T>, Side),
    right: &Pieces,
    out: &mut Panels<T>,
    height: usize,
    extras: Vec<E>,
    finish: impl Fn(Band<'_, T>, E) + Sync,
) {
    let ((rows, columns), n) = (left.0.dim(), right.lines);
    let (m, k) = if left.1 == Side::Transposed { (columns, rows) } else { (rows, columns) };
    assert!(k == right.depth && out.dim() == (m, n), "{:?} · {:?} into {:?}", (m, k), (right.depth, n), out.dim());
    let mut bands = out.bands_mut(height);
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

fn multiply_bands<T: Element>(
    (left, side): (&Panels<T>, Side),
    right: &Pieces,
    bands: &mut [Band<'_, T>],
    room: &mut Vec<Block>,
) {
    let (kernel, pieces) = (Kernel::new(right.precision), Form::of(right.precision).blocks());
    let (lines, k) = (left.dim().0, right.depth);
    room.resize(room.len().max(STEPS * pieces), Block::ZERO);
    let mut spare = [[0.0; PANEL]; PANEL];
    // Without columns there is one step that adds nothing, and writes zeros.
    for start in (0..k.div_ceil(PANEL).max(1)).step_by(STEPS) {
        for band in &mut *bands {
            let height = band.panels.first().map_or(0, |lines| lines.len());
            for row in (0..height).step_by(PANEL) {
                let (first, end) = (band.first + row, (row + PANEL).min(height));
                let steps = start..(start + STEPS).min(k.div_ceil(PANEL));
                let blocks = &mut room[..steps.len() * pieces];
                for (step, blocks) in steps.clone().zip(blocks.chunks_exact_mut(pieces)) {
                    let (panel, from) = side.place(first, step * PANEL);
                    let lines = &left.panel(panel / PANEL)[from..(from + PANEL).min(lines)];
                    convert(side, f32s(lines), k - step * PANEL, blocks);
                }
                // Where the rows that will be next begin, and how far it is from one step of theirs to the next.
                let (panel, from) = side.place(first + PANEL, start * PANEL);
                let next = left.numbers(panel / PANEL, from).as_ptr().cast::<u8>();
                let stride = if side == Side::Transposed { PANEL } else { lines } * size_of::<Line<f32>>();
                for (id, lines) in band.panels.iter_mut().enumerate() {
                    let lines: &mut [Line<f32>] = T::as_f32_mut(lines[row..end].as_flattened_mut()).as_chunks_mut().0;
                    let right = right.group(id, steps.clone());
                    // A quarter of them.
                    let ahead = Ahead { starts: [next.wrapping_add(id % 4 * Ahead::BYTES); 2], stride };
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
/// When the shapes do not fit, numbers are not f32 or operands not equally exact.
pub fn multiply_tiles<T: Element, const N: usize>(
    left: &Pieces,
    right: &Pieces,
    targets: [&mut Panels<T>; N],
    each: &impl TileWork<T, N>,
) {
    let ((m, k), (k2, n)) = ((left.lines, left.depth), (right.depth, right.lines));
    assert!(k == k2 && targets.iter().all(|t| t.dim() == (m, n)), "{:?} · {:?} into targets", (m, k), (k2, n));
    assert_eq!(left.precision, right.precision, "operands in as many pieces");
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
        let (kernel, steps) = (Kernel::new(left.precision), 0..k.div_ceil(PANEL));
        let mut sums = [[T::zero(); PANEL]; PANEL];
        for first in (0..m).step_by(PANEL) {
            let end = (first + PANEL).min(m);
            // The first two targets of a tile's work.
            let next = [0, 1].map(|target| {
                let lines = targets.get(target).or(targets.first()).and_then(|lines| lines.get(end..));
                lines.unwrap_or_default().as_ptr().cast()
            });
            let ahead = Ahead { starts: next, stride: Ahead::BYTES };
            if let Some(sums) = T::as_f32_mut(sums.as_flattened_mut()).as_chunks_mut().0.first_chunk_mut() {
                let (left, right) = (left.group(first / PANEL, steps.clone()), right.group(panel, steps.clone()));
                kernel.add(left, right, true, sums, ahead);
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

impl<T: Element, F: TileWork<T, N>, const N: usize> WithSimd for OneTile<'_, T, F, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
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

/// Whether the vectors of this processor multiply bfloat16.
pub fn vectors_available() -> bool {
    #[cfg(target_arch = "x86_64")]
    return bf16::available();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// What multiplies blocks.
struct Kernel {
    precision: Precision,
    way: Way,
}

enum Way {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Tiles(amx::Tiles),
    #[cfg(target_arch = "x86_64")]
    Vectors(bf16::Vectors),
    /// Vectors of f32, for blocks that are f32.
    Wide,
    /// Vectors of f32, for blocks of pieces: what the others are held against, and what three pieces are multiplied by where there is no
    /// unit and they are asked for all the same.
    Plain,
}

impl Kernel {
    /// The fastest for operands of this precision.
    fn new(precision: Precision) -> Self {
        if Form::of(precision) == Form::Wide {
            return Self { precision, way: Way::Wide };
        }
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if let Some(tiles) = amx::Tiles::new() {
            return Self { precision, way: Way::Tiles(tiles) };
        }
        #[cfg(target_arch = "x86_64")]
        if let (Precision::Bf16, Some(vectors)) = (precision, bf16::Vectors::new()) {
            return Self { precision, way: Way::Vectors(vectors) };
        }
        Self { precision, way: Way::Plain }
    }

    /// sums ← left · right, where `is_first`, else sums ← sums + left · right.
    ///
    /// # Panics
    /// When one has other blocks than the other.
    fn add(&self, left: &[Block], right: &[Block], is_first: bool, sums: &mut Sums, ahead: Ahead) {
        assert_eq!(left.len(), right.len(), "blocks of both operands");
        if left.is_empty() && is_first {
            sums.as_flattened_mut().fill(0.0);
        }
        let precision = self.precision;
        match &self.way {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Way::Tiles(tiles) => tiles.add(precision, left, right, is_first, sums, ahead),
            #[cfg(target_arch = "x86_64")]
            Way::Vectors(vectors) => vectors.add(left, right, is_first, sums, ahead),
            Way::Wide => pulp::Arch::new().dispatch(AddWide { left, right, is_first, sums, ahead }),
            Way::Plain => pulp::Arch::new().dispatch(Add { precision, left, right, is_first, sums }),
        }
    }
}

/// Which operand a block is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    /// The left one of a product with the transposed of a matrix.
    Transposed,
}

impl Side {
    /// The column and the row of a left operand's matrix where the block for this row and column of the operand begins.
    fn place(self, row: usize, column: usize) -> (usize, usize) {
        if self == Self::Transposed { (row, column) } else { (column, row) }
    }

    /// The halves of lines, of 64, whose numbers stand together in the `i`-th sixteen words of a block, before it is transposed.
    #[inline(always)]
    fn halves(self, i: usize) -> (usize, usize) {
        match self {
            Self::Left => (2 * i, 2 * i + 1),
            Self::Right | Self::Transposed => (i % 16 * 2 + i / 16, i % 16 * 2 + i / 16 + PANEL),
        }
    }
}

/// Up to 32 lines of which the first `width` numbers count, in pieces; zeros beyond.
fn convert(side: Side, lines: &[Line<f32>], width: usize, blocks: &mut [Block]) {
    let width = if side == Side::Left { width.min(PANEL) } else { PANEL };
    match lines.first_chunk() {
        Some(lines) if width == PANEL => convert_lines(side, lines, blocks),
        _ => {
            let mut filled = [[0.0; PANEL]; PANEL];
            for (filled, line) in filled.iter_mut().zip(lines) {
                filled[..width].copy_from_slice(&line[..width]);
            }
            convert_lines(side, &filled, blocks);
        }
    }
}

fn convert_lines(side: Side, lines: &Sums, blocks: &mut [Block]) {
    let is_done = match &mut *blocks {
        #[cfg(target_arch = "x86_64")]
        [block] => bf16::Vectors::new().map(|vectors| vectors.convert(side, lines, block)).is_some(),
        [_, _] if side == Side::Transposed => {
            let mut rows = [[0.0; PANEL]; PANEL];
            transpose(lines, &mut rows);
            pulp::Arch::new().dispatch(Convert { side: Side::Left, lines: &rows, blocks });
            return;
        }
        _ => false,
    };
    if !is_done {
        pulp::Arch::new().dispatch(Convert { side, lines, blocks });
    }
    if side == Side::Transposed {
        // Words of sixteen columns stand row by row; a left operand has its rows one by one.
        for words in blocks.iter_mut().flat_map(|block| block.0.as_chunks_mut::<256>().0) {
            let old = *words;
            for (i, row) in words.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                *row = std::array::from_fn(|j| old[16 * j + i]);
            }
        }
    }
}

struct Convert<'a> {
    side: Side,
    lines: &'a Sums,
    blocks: &'a mut [Block],
}

impl WithSimd for Convert<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { side, lines, blocks } = self;
        let halves: &[Half] = lines.as_flattened().as_chunks().0;
        match blocks {
            [block] => {
                for (i, words) in block.0.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                    let (one, other) = side.halves(i);
                    let (one, other) = (&halves[one], &halves[other]);
                    for j in 0..16 {
                        words[j] = round(one[j]) >> 16 | round(other[j]);
                    }
                }
            }
            [_, _] => {
                for (block, halves) in blocks.iter_mut().zip(halves.chunks_exact(PANEL)) {
                    for (words, half) in block.0.as_chunks_mut::<16>().0.iter_mut().zip(halves) {
                        for j in 0..16 {
                            words[j] = round(half[j]);
                        }
                    }
                }
            }
            [first, second, rest] => {
                let [first, second, rest] = [first, second, rest].map(|block| block.0.as_chunks_mut::<16>().0);
                for i in 0..PANEL {
                    let (one, other) = side.halves(i);
                    let (one, other) = (&halves[one], &halves[other]);
                    for j in 0..16 {
                        let (one, other) = (split(one[j]), split(other[j]));
                        first[i][j] = one[0] >> 16 | other[0];
                        second[i][j] = one[1] >> 16 | other[1];
                        rest[i][j] = one[2] >> 16 | other[2];
                    }
                }
            }
            _ => unreachable!("32 × 32 numbers are one block, two or three"),
        }
    }
}

/// The bits of an f32 that a bfloat16 has.
const UPPER: u32 = 0xffff_0000;

/// Half a line.
type Half = [f32; PANEL / 2];

/// The nearest bfloat16, the even one of two, in the upper half of a word; what is no number stays none.
#[inline(always)]
fn round(number: f32) -> u32 {
    let bits = number.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    // The first bit behind the exponent keeps what is no number from becoming infinite.
    (if number.is_nan() { bits | 0x0040_0000 } else { rounded }) & UPPER
}

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

/// What [`Kernel::add`] does, with vectors of f32.
struct Add<'a> {
    precision: Precision,
    left: &'a [Block],
    right: &'a [Block],
    is_first: bool,
    sums: &'a mut Sums,
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if const { S::REGISTER_COUNT >= 32 } { self.rows::<S, TILE>(simd) } else { self.rows::<S, 4>(simd) }
    }
}

impl Add<'_> {
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(self, simd: S) {
        let Self { precision, left, right, is_first, sums } = self;
        if is_first {
            sums.as_flattened_mut().fill(0.0);
        }
        // Which pieces are multiplied, the smallest products first.
        let pairs: &[_] = match precision {
            Precision::F32 => &[(0, 2), (0, 1), (1, 1), (1, 0), (2, 0), (0, 0)],
            Precision::Bf16 => &[(0, 0)],
        };
        let pieces = if precision == Precision::F32 { 3 } else { 1 };
        let (mut rows, mut columns) = ([[0.0; PANEL]; PANEL], [[0.0; PANEL]; PANEL]);
        for (left, right) in left.chunks_exact(pieces).zip(right.chunks_exact(pieces)) {
            for &(a, b) in pairs {
                unpack_left(&left[a], &mut rows);
                unpack_right(&right[b], &mut columns);
                for (rows, sums) in rows.chunks_exact(R).zip(sums.chunks_exact_mut(R)) {
                    let (left, ahead) = ((rows.as_flattened(), 0), tiles::Ahead { starts: [], stride: 0 });
                    tiles::sum_lines::<f32, S, R, 0>(simd, left, columns.as_flattened(), true, sums, ahead);
                }
            }
        }
    }
}

/// The same with blocks that are f32.
struct AddWide<'a> {
    left: &'a [Block],
    right: &'a [Block],
    is_first: bool,
    sums: &'a mut Sums,
    ahead: Ahead,
}

impl WithSimd for AddWide<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if const { S::REGISTER_COUNT >= 32 } { self.rows::<S, TILE>(simd) } else { self.rows::<S, 4>(simd) }
    }
}

impl AddWide<'_> {
    /// Steps that all rows take before the next ones: 16 KB of the right operand stay in the first cache meanwhile.
    const STEPS: usize = 4;

    #[inline(always)]
    fn rows<S: Simd, const R: usize>(self, simd: S) {
        let Self { left, right, is_first, sums, ahead } = self;
        let turns = left.chunks(2 * Self::STEPS).zip(right.chunks(2 * Self::STEPS));
        for (turn, (left, right)) in turns.enumerate() {
            let (left, right) = (Block::numbers(left), Block::numbers(right));
            for (group, sums) in sums.chunks_exact_mut(R).enumerate() {
                let left = (&left[group * R * PANEL..], PANEL * PANEL);
                // Even lines of the cache with the first rows, odd ones with the next.
                let line = turn * Self::STEPS * ahead.stride + group % 2 * CACHE_LINE;
                let starts = ahead.starts.map(|start| start.wrapping_add(line).cast());
                let ahead = tiles::Ahead { starts, stride: ahead.stride / size_of::<f32>() };
                tiles::sum_lines::<f32, S, R, 2>(simd, left, right, turn > 0 || !is_first, sums, ahead);
            }
        }
    }
}

/// The numbers of a left operand's block.
#[inline(always)]
fn unpack_left(block: &Block, rows: &mut Sums) {
    let halves: &mut [Half] = rows.as_flattened_mut().as_chunks_mut().0;
    for (words, halves) in block.0.as_chunks().0.iter().zip(halves.as_chunks_mut().0) {
        let [one, other]: &mut [Half; 2] = halves;
        unpack(words, one, other);
    }
}

/// The numbers of a right operand's block.
#[inline(always)]
fn unpack_right(block: &Block, rows: &mut Sums) {
    let (one, other) = rows.split_at_mut(PANEL / 2);
    for (words, i) in block.0.as_chunks().0.iter().zip(0..) {
        let (j, half) = (i % (PANEL / 2), i / (PANEL / 2));
        let [one, other] = [&mut one[j], &mut other[j]].map(|line| &mut line.as_chunks_mut().0[half]);
        unpack(words, one, other);
    }
}

/// The two numbers of each word.
#[inline(always)]
fn unpack(words: &[u32; PANEL / 2], one: &mut Half, other: &mut Half) {
    for (j, word) in words.iter().enumerate() {
        (one[j], other[j]) = (f32::from_bits(word << 16), f32::from_bits(word & UPPER));
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

    /// a · b by all three ways, each with what its bands told.
    fn products(precision: Precision, a: &Array2<f32>, b: &Array2<f32>) -> [Array2<f32>; 3] {
        let (left, right) = (Panels::from_array(a.view()), Panels::from_array(b.view()));
        let (m, n) = (a.nrows(), b.ncols());
        let (mut rows, mut columns) = (Pieces::new(precision), Pieces::new(precision));
        rows.assign_left(&left);
        columns.assign_right(&right);
        let by_bands = |height: usize, product: &dyn Fn(&mut Panels<f32>, Vec<&mut usize>)| {
            let mut out = Panels::from_array(Array2::from_elem((m, n), 7.0).view());
            let mut firsts = vec![0; m.div_ceil(height)];
            product(&mut out, firsts.iter_mut().collect());
            assert!(firsts.iter().enumerate().all(|(i, &first)| first == i * height + 1));
            out.to_array()
        };
        let plain = by_bands(BAND, &|out, firsts| {
            multiply(&left, &columns, out, firsts, |band, first| *first = band.first + 1);
        });
        let across = Panels::from_array(a.t());
        let transposed = by_bands(PANEL, &|out, firsts| {
            multiply_transposed(&across, &columns, out, firsts, |band, first| *first = band.first + 1);
        });
        let mut tiles = Panels::from_array(Array2::from_elem((m, n), 1.0).view());
        multiply_tiles(&rows, &columns, [&mut tiles], &AddTo);
        [plain, transposed, tiles.to_array() - 1.0]
    }

    const BOTH: [Precision; 2] = [Precision::F32, Precision::Bf16];

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
    fn what_is_rounded_is_the_nearest_even_bfloat16() {
        let bf16 = |bits: u32| f32::from_bits(round(f32::from_bits(bits))).to_bits();
        // Found with PyTorch: torch.tensor([bits], dtype=torch.int32).view(torch.float32).bfloat16().float().
        for (bits, rounded) in [
            (0x3f80_0000, 0x3f80_0000),
            (0x3f80_7fff, 0x3f80_0000),
            (0x3f80_8000, 0x3f80_0000),
            (0x3f80_8001, 0x3f81_0000),
            (0x3f81_8000, 0x3f82_0000),
            (0xbf81_8000, 0xbf82_0000),
            (0x8000_0000, 0x8000_0000),
            (0x7f7f_7fff, 0x7f7f_0000),
            (0x7f7f_ffff, 0x7f80_0000),
            (0xff80_0000, 0xff80_0000),
            (0x0000_8001, 0x0001_0000),
        ] {
            assert_eq!(bf16(bits), rounded, "{bits:x}");
        }
        for bits in [0x7fff_ffff, 0x7f80_0001, 0xff80_0001, 0xffff_ffff] {
            assert!(f32::from_bits(bf16(bits)).is_nan(), "{bits:x}");
        }
    }

    #[test]
    fn every_way_rounds_alike() {
        let mut numbers = rough(PANEL, PANEL, 5);
        (numbers[[3, 4]], numbers[[9, 9]], numbers[[31, 17]]) = (f32::from_bits(0x3f81_8000), f32::MAX, -f32::INFINITY);
        for side in [Side::Left, Side::Right, Side::Transposed] {
            let panels = Panels::from_array(numbers.view());
            let lines: &Sums = panels.lines().first_chunk().unwrap();
            let (mut found, mut wide) = ([Block::ZERO], [Block::ZERO, Block::ZERO]);
            convert(side, lines, PANEL, &mut found);
            if side != Side::Transposed {
                let mut expected = [Block::ZERO];
                pulp::Arch::new().dispatch(Convert { side, lines, blocks: &mut expected });
                assert_eq!(found[0].0, expected[0].0, "{side:?}");
            }
            // What is transposed becomes a left operand.
            let mut unpacked = [[0.0; PANEL]; PANEL];
            let unpack = if side == Side::Right { unpack_right } else { unpack_left };
            unpack(&found[0], &mut unpacked);
            convert(side, lines, PANEL, &mut wide);
            let numbers = if side == Side::Transposed { numbers.t() } else { numbers.view() };
            for ((value, wide), number) in unpacked.as_flattened().iter().zip(Block::numbers(&wide)).zip(numbers) {
                assert_eq!((value.to_bits(), wide.to_bits()), (round(*number), round(*number)), "{side:?}");
            }
        }
    }

    #[test]
    fn products_of_small_integers_are_exact() {
        for (m, k, n) in SHAPES {
            let (a, b) = (counting(m, k, 0), counting(k, n, 3));
            for precision in BOTH {
                for product in products(precision, &a, &b) {
                    assert_eq!(product, a.dot(&b), "{precision:?} {m} {k} {n}");
                }
            }
        }
    }

    /// The bound of sums in f32 (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1) is k u Σ |a| |b|; three
    /// units are more than what pieces leave out.
    #[test]
    fn products_are_as_exact_as_those_of_f32() {
        let rounded = |x: &Array2<f32>| x.mapv(|v| f32::from_bits(round(v)));
        for (m, k, n) in SHAPES {
            let (a, b) = (rough(m, k, 0), rough(k, n, 1));
            for precision in BOTH {
                let found = products(precision, &a, &b);
                // Numbers of 8 bits have products of 16, which nothing is left out of.
                let (a, b, room) = match precision {
                    Precision::F32 => (a.clone(), b.clone(), 3.0),
                    Precision::Bf16 => (rounded(&a), rounded(&b), 0.0),
                };
                let wide = |x: &Array2<f32>| x.mapv(f64::from);
                let (exact, sizes) = (wide(&a).dot(&wide(&b)), wide(&a).mapv(f64::abs).dot(&wide(&b).mapv(f64::abs)));
                let (mut worst, mut worst_of_f32) = (0.0f64, 0.0f64);
                for product in found {
                    for ((at, &value), exact) in product.indexed_iter().zip(&exact) {
                        let plain = (0..k).fold(0.0, |sum, j| a[[at.0, j]].mul_add(b[[j, at.1]], sum));
                        assert!(value.is_finite(), "{value}");
                        worst = worst.max((f64::from(value) - exact).abs() / sizes[at]);
                        worst_of_f32 = worst_of_f32.max((f64::from(plain) - exact).abs() / sizes[at]);
                    }
                }
                // Sums of two products at a time round in another way than fused ones, no worse.
                let most = 2.0 * worst_of_f32 + room * f64::from(f32::EPSILON);
                assert!(worst <= most, "{precision:?} {m} {k} {n}: {worst} {worst_of_f32}");
            }
        }
    }

    /// All that multiplies blocks on this processor, the plain one first.
    fn ways(precision: Precision) -> Vec<(Form, Way)> {
        let pieces = if precision == Precision::F32 { Form::Three } else { Form::One };
        let mut ways = vec![(pieces, Way::Plain)];
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        ways.extend(amx::Tiles::new().map(|tiles| (pieces, Way::Tiles(tiles))));
        if precision == Precision::Bf16 {
            #[cfg(target_arch = "x86_64")]
            ways.extend(bf16::Vectors::new().map(|vectors| (pieces, Way::Vectors(vectors))));
            ways.push((Form::Wide, Way::Wide));
        }
        ways
    }

    #[test]
    fn every_way_multiplies_as_plain_loops_do() {
        // More steps than any way takes in one turn.
        const STEPS: usize = 6;
        for precision in BOTH {
            for is_first in [true, false] {
                let mut expected = Array2::from_elem((PANEL, PANEL), if is_first { 0.0 } else { 3.0 });
                for step in 0..STEPS {
                    expected += &rough(PANEL, PANEL, step).dot(&rough(PANEL, PANEL, STEPS + step));
                }
                let found: Vec<Sums> = ways(precision)
                    .into_iter()
                    .map(|(form, way)| {
                        let blocks = |side, salts: Range<usize>| {
                            let mut blocks = vec![Block::ZERO; STEPS * form.blocks()];
                            for (salt, blocks) in salts.zip(blocks.chunks_exact_mut(form.blocks())) {
                                let panels = Panels::from_array(rough(PANEL, PANEL, salt).view());
                                convert(side, panels.lines(), PANEL, blocks);
                            }
                            blocks
                        };
                        let (left, right) = (blocks(Side::Left, 0..STEPS), blocks(Side::Right, STEPS..2 * STEPS));
                        let mut sums = [[3.0; PANEL]; PANEL];
                        let ahead = Ahead { starts: [left.as_ptr().cast(); 2], stride: Ahead::BYTES };
                        Kernel { precision, way }.add(&left, &right, is_first, &mut sums, ahead);
                        sums
                    })
                    .collect();
                // Sums of 192 products of up to 2¹², and of as many roundings to eight bits.
                let room = if precision == Precision::F32 { 0.06 } else { 600.0 };
                for sums in &found {
                    for ((value, plain), expected) in
                        sums.as_flattened().iter().zip(found[0].as_flattened()).zip(&expected)
                    {
                        assert!((value - plain).abs() < 0.1, "{precision:?}: {value} {plain}");
                        assert!((value - expected).abs() < room, "{precision:?}: {value} {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_shows_and_what_lies_beyond_does_not() {
        for precision in BOTH {
            let (mut a, b) = (rough(70, 100, 0), rough(100, 40, 1));
            (a[[3, 99]], a[[64, 0]]) = (f32::NAN, f32::INFINITY);
            for product in products(precision, &a, &b) {
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
            let mut columns = Pieces::new(precision);
            columns.assign_right(&right);
            let mut out = Panels::zeros(40, 40);
            multiply(&left, &columns, &mut out, vec![()], |_, ()| ());
            assert_eq!(out.to_array(), products(precision, &a, &b)[0]);
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (a, b) = (rough(700, 300, 0), rough(300, 100, 1));
        for precision in BOTH {
            let with = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| products(precision, &a, &b))
            };
            assert_eq!(with(1), with(2));
        }
    }

    #[test]
    fn large_products_of_f32_alone_are_made_in_pieces() {
        for precision in BOTH {
            assert!(!precision.in_pieces::<f64>(1024, 1024, 128) && !precision.in_pieces::<f32>(10, 1024, 128));
        }
        assert_eq!(Precision::F32.in_pieces::<f32>(1024, 1024, 128), available());
        assert!(Precision::Bf16.in_pieces::<f32>(1024, 1024, 128));
    }

    #[test]
    #[should_panic = "pieces are of f32"]
    fn pieces_of_f64_are_refused() {
        Pieces::default().assign_left(&Panels::<f64>::zeros(3, 3));
    }

    #[test]
    #[should_panic = "as many pieces"]
    fn operands_of_two_kinds_are_refused() {
        let (mut left, mut right) = (Pieces::new(Precision::Bf16), Pieces::default());
        left.assign_left(&Panels::<f32>::zeros(3, 3));
        right.assign_right(&Panels::<f32>::zeros(3, 3));
        multiply_tiles(&left, &right, [&mut Panels::<f32>::zeros(3, 3)], &AddTo);
    }
}
