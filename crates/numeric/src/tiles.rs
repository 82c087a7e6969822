//! The kernels behind [`crate::panels`]: tiles of a few rows by 32 columns whose sums stay in registers.

use crate::element::Element;
use crate::panels::{Band, Line, PANEL, Panels};
use bakeoff_core::parallel;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Panels of the left operand that are used before the next ones: 128 of its columns, so that the part of a right panel that goes with
/// them (128 rows, 16 KB of f32) stays in the first cache while a whole band of left rows passes by, out of the second one. With
/// 256 columns, and right panels in turn for each few rows, an Intel took 1.04 times as long (`gate time panels/multiply`).
const BLOCK: usize = 4;

/// Rows of a band: what one task of [`multiply`] writes. Many enough that the right operand's way from the third level
/// cache does not count, few enough that two threads end together.
pub const BAND: usize = 128;

/// Rows of one tile at most.
const ROWS: usize = 8;

/// Columns of the left operand between two looks at how far a sum is.
const STEPS: usize = 4;

/// Multiply-adds below which the other thread costs more than it brings.
pub(crate) const ONE_THREAD_BELOW: usize = 1 << 20;

/// Two vectors.
pub(crate) type Pair<T, S> = [<T as crate::element::sealed::Vectors>::Vector<S>; 2];

/// Runs the tasks on rayon's pool, or here when there is little to do.
pub(crate) fn run<I: Send>(is_much: bool, tasks: Vec<I>, each: impl Fn(I) + Sync + Send) {
    if is_much {
        parallel::for_each(tasks, each);
    } else {
        tasks.into_iter().for_each(each);
    }
}

/// Has `each` write every band of `height` rows of `out`, then `finish` take it while it is in the cache, together with its item of
/// `extras`.
///
/// # Panics
/// When `extras` are not as many as bands.
pub(crate) fn in_bands<T: Element, E: Send>(
    out: &mut Panels<T>,
    (height, is_much): (usize, bool),
    extras: Vec<E>,
    each: impl Fn(&mut Band<'_, T>) + Sync,
    finish: impl Fn(Band<'_, T>, E) + Sync,
) {
    let bands = out.bands_mut(height);
    assert_eq!(bands.len(), extras.len(), "one extra a band");
    run(is_much, bands.into_iter().zip(extras).collect(), |(mut band, extra)| {
        each(&mut band);
        finish(band, extra);
    });
}

/// out ← left · right with left (m, k), right (k, n), out (m, n), band by band of [`BAND`] rows; then `finish` gets each
/// band while it is in the cache, together with its item of `extras`.
///
/// # Panics
/// When the shapes do not fit or `extras` are not as many as bands.
pub fn multiply<T: Element, E: Send>(
    left: &Panels<T>,
    right: &Panels<T>,
    out: &mut Panels<T>,
    extras: Vec<E>,
    finish: impl Fn(Band<'_, T>, E) + Sync,
) {
    let ((m, k), (k2, n)) = (left.dim(), right.dim());
    assert!(k == k2 && out.dim() == (m, n), "{:?} · {:?} into {:?}", left.dim(), right.dim(), out.dim());
    let each = |band: &mut Band<'_, T>| pulp::Arch::new().dispatch(Multiply { left, right, band });
    in_bands(out, (BAND, m * k * n >= ONE_THREAD_BELOW), extras, each, finish);
}

struct Multiply<'a, 'b, T> {
    left: &'a Panels<T>,
    right: &'a Panels<T>,
    band: &'a mut Band<'b, T>,
}

impl<T: Element> WithSimd for Multiply<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if const { S::REGISTER_COUNT >= 32 } { self.blocks::<S, ROWS>(simd) } else { self.blocks::<S, 4>(simd) }
    }
}

impl<T: Element> Multiply<'_, '_, T> {
    #[inline(always)]
    fn blocks<S: Simd, const R: usize>(self, simd: S) {
        let Self { left, right, band } = self;
        let panels = left.n_panels();
        if panels == 0 {
            band.panels.iter_mut().for_each(|lines| lines.as_flattened_mut().fill(T::zero()));
        }
        let height = band.panels.first().map_or(0, |lines| lines.len());
        for start in (0..panels).step_by(BLOCK) {
            let block = start..(start + BLOCK).min(panels);
            for (id, lines) in band.panels.iter_mut().enumerate() {
                for row in (0..height).step_by(R) {
                    let rows = row..(row + R).min(height);
                    let first = band.first + row;
                    let numbers = left.numbers(block.start, first + R);
                    // Each line of the left operand is two of the cache.
                    let starts = [0, PANEL / 2].map(|line| numbers.as_ptr().wrapping_add(line));
                    let ahead = Ahead { starts, stride: left.dim().0 * PANEL };
                    let out = &mut lines[rows.clone()];
                    tile::<T, S, R, 2>(simd, left, right.panel(id), block.clone(), first, out, ahead);
                }
            }
        }
    }
}

/// out (up to R lines) ← their sums over the columns of these left panels, added to what is there when they are not the
/// first; meanwhile what is `ahead` is fetched.
#[inline(always)]
fn tile<T: Element, S: Simd, const R: usize, const A: usize>(
    simd: S,
    left: &Panels<T>,
    right: &[Line<T>],
    block: Range<usize>,
    first: usize,
    out: &mut [Line<T>],
    ahead: Ahead<T, A>,
) {
    let pairs: &[Pair<T, S>] = T::vectors::<S>(right.as_flattened()).as_chunks().0;
    let each_line = PANEL / lanes::<T, S>() / 2;
    for half in 0..each_line {
        let mut sums = [[T::splat(simd, T::zero()); 2]; R];
        if block.start > 0 {
            for (sum, line) in sums.iter_mut().zip(out.iter()) {
                *sum = T::vectors::<S>(line).as_chunks().0[half];
            }
        }
        let part = &pairs[block.start * PANEL * each_line..];
        let part = &part[..part.len().min(block.len() * PANEL * each_line)];
        if out.len() == R {
            let left = (left.numbers(block.start, first), left.dim().0 * PANEL);
            add::<T, S, R, A>(simd, left, part, each_line, half, &mut sums, ahead);
        } else {
            let mut spare = [[T::zero(); PANEL]; R];
            for (panel, part) in block.clone().zip(part.chunks(PANEL * each_line)) {
                spare[..out.len()].copy_from_slice(&left.panel(panel)[first..][..out.len()]);
                add::<T, S, R, A>(simd, (spare.as_flattened(), 0), part, each_line, half, &mut sums, ahead);
            }
        }
        for (line, sum) in out.iter_mut().zip(sums) {
            T::vectors_mut::<S>(line).as_chunks_mut().0[half] = sum;
        }
    }
}

/// sums[r] += left[r][j] · right[j]. R lines of a left panel stand together, those of the next panel `stride` numbers later. One
/// loop over all panels, which fetches what is ahead as it goes: with a loop a panel and another one over the lines to fetch, whose
/// ends Intel's cores foretell badly, networks took about a sixth longer there (see `bakeoff_mlp`).
#[inline(always)]
fn add<T: Element, S: Simd, const R: usize, const A: usize>(
    simd: S,
    (left, stride): (&[T], usize),
    right: &[Pair<T, S>],
    each_line: usize,
    half: usize,
    sums: &mut [Pair<T, S>; R],
    ahead: Ahead<T, A>,
) {
    let mut held = *sums;
    let count = right.len() / each_line;
    let mut j = 0;
    while j + STEPS <= count {
        let left = &left[j / PANEL * stride + j % PANEL..][..(R - 1) * PANEL + STEPS];
        ahead.fetch(j);
        for u in 0..STEPS {
            add_one::<T, S, R>(simd, &left[u..], right[(j + u) * each_line + half], &mut held);
        }
        j += STEPS;
    }
    while j < count {
        let left = &left[j / PANEL * stride + j % PANEL..][..=(R - 1) * PANEL];
        add_one::<T, S, R>(simd, left, right[j * each_line + half], &mut held);
        j += 1;
    }
    *sums = held;
}

/// out (R lines) ← their sums over the lines of `right`, 32 numbers each, added to what is there where `adds`; `left` and its stride are
/// those of [`add`].
#[inline(always)]
pub(crate) fn sum_lines<T: Element, S: Simd, const R: usize, const A: usize>(
    simd: S,
    left: (&[T], usize),
    right: &[T],
    adds: bool,
    out: &mut [Line<T>],
    ahead: Ahead<T, A>,
) {
    let pairs: &[Pair<T, S>] = T::vectors::<S>(right).as_chunks().0;
    let each_line = PANEL / lanes::<T, S>() / 2;
    for half in 0..each_line {
        let mut sums = [[T::splat(simd, T::zero()); 2]; R];
        if adds {
            for (sum, line) in sums.iter_mut().zip(out.iter()) {
                *sum = T::vectors::<S>(line).as_chunks().0[half];
            }
        }
        add::<T, S, R, A>(simd, left, pairs, each_line, half, &mut sums, ahead);
        for (line, sum) in out.iter_mut().zip(sums) {
            T::vectors_mut::<S>(line).as_chunks_mut().0[half] = sum;
        }
    }
}

/// sums[r] += left[r] · right for one row of the right operand.
#[inline(always)]
fn add_one<T: Element, S: Simd, const R: usize>(simd: S, left: &[T], [b0, b1]: Pair<T, S>, sums: &mut [Pair<T, S>; R]) {
    for (r, sum) in sums.iter_mut().enumerate() {
        let a = T::splat(simd, left[r * PANEL]);
        sum[0] = T::fused(simd, a, b0, sum[0]);
        sum[1] = T::fused(simd, a, b1, sum[1]);
    }
}

/// What the next tile will ask for, on its way to the caches while this one is summed: a tile's sums take about as long as the next
/// one's numbers need from memory. Little by little, because a core has room for few lines at once and waits with all else when
/// there are more.
#[derive(Clone, Copy)]
pub(crate) struct Ahead<T, const A: usize> {
    /// The first line of the cache to fetch in each matrix; from there every second one.
    pub(crate) starts: [*const T; A],
    /// Where the next panel's turn begins.
    pub(crate) stride: usize,
}

impl<T, const A: usize> Ahead<T, A> {
    /// The part that goes with the steps from `j`: one line of the cache of each matrix.
    #[inline(always)]
    fn fetch(&self, j: usize) {
        for start in self.starts {
            prefetch(start.wrapping_add(j / PANEL * self.stride + j % PANEL / STEPS * PANEL));
        }
    }
}

/// Has a line of the cache on its way before it is asked for; nothing happens where there is none.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "there is no safe word for it")]
    // SAFETY: it reads nothing, and never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// The same for lines of a matrix.
#[inline(always)]
pub(crate) fn fetch<T>(lines: &[Line<T>]) {
    for part in lines.as_flattened().chunks(crate::panels::CACHE_LINE / size_of::<T>()) {
        prefetch(part.as_ptr());
    }
}

/// Numbers of a vector.
#[inline(always)]
pub(crate) fn lanes<T: Element, S: Simd>() -> usize {
    size_of::<T::Vector<S>>() / size_of::<T>()
}

/// What is done with a tile of a product as soon as it is summed. A trait and not a closure, because only a function can
/// be made to become part of the kernel, with its vectors.
pub trait TileWork<T, const N: usize>: Sync {
    /// Gets the lines of up to 8 rows of one panel, and the same lines of each target.
    fn tile(&self, sums: &[Line<T>], targets: [&mut [Line<T>]; N]);
}

/// The tiles of left · right with left (m, k), right (k, n), each handed to `each` as soon as it is summed, with the same
/// lines of every one of the `targets` (m, n).
///
/// # Panics
/// When the shapes do not fit.
pub fn multiply_tiles<T: Element, const N: usize>(
    left: &Panels<T>,
    right: &Panels<T>,
    targets: [&mut Panels<T>; N],
    each: &impl TileWork<T, N>,
) {
    let ((m, k), (k2, n)) = (left.dim(), right.dim());
    assert!(k == k2 && targets.iter().all(|t| t.dim() == (m, n)), "{:?} · {:?} into targets", left.dim(), right.dim());
    if m == 0 {
        return;
    }
    let mut parts: Vec<_> = targets.into_iter().map(|target| target.lines.chunks_mut(m)).collect();
    let mut tasks = Vec::new();
    for panel in 0..n.div_ceil(PANEL) {
        let mut bands: Vec<_> =
            parts.iter_mut().filter_map(Iterator::next).map(|lines| lines.chunks_mut(2 * BAND)).collect();
        for first in (0..m).step_by(2 * BAND) {
            let mut lines = bands.iter_mut().filter_map(Iterator::next);
            let lines: [&mut [Line<T>]; N] = std::array::from_fn(|_| lines.next().unwrap_or_default());
            tasks.push((panel, first, lines));
        }
    }
    run(m * k * n >= ONE_THREAD_BELOW, tasks, |(panel, first, targets)| {
        let end = (first + 2 * BAND).min(m);
        pulp::Arch::new().dispatch(Tiles { left, right: right.panel(panel), rows: first..end, targets, each });
    });
}

struct Tiles<'a, T, F, const N: usize> {
    left: &'a Panels<T>,
    right: &'a [Line<T>],
    rows: Range<usize>,
    targets: [&'a mut [Line<T>]; N],
    each: &'a F,
}

impl<T: Element, F: TileWork<T, N>, const N: usize> WithSimd for Tiles<'_, T, F, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if const { S::REGISTER_COUNT >= 32 } { self.tiles::<S, ROWS>(simd) } else { self.tiles::<S, 4>(simd) }
    }
}

impl<T: Element, F: TileWork<T, N>, const N: usize> Tiles<'_, T, F, N> {
    #[inline(always)]
    fn tiles<S: Simd, const R: usize>(self, simd: S) {
        let Self { left, right, rows, mut targets, each } = self;
        let mut sums = [[T::zero(); PANEL]; R];
        for first in rows.clone().step_by(R) {
            let height = R.min(rows.end - first);
            let done = first - rows.start;
            let starts = targets.each_ref().map(|lines| lines[(done + R).min(lines.len())..].as_ptr().cast());
            // Even lines of the cache with the first panel, odd ones with the second.
            let ahead = Ahead { starts, stride: PANEL / 2 };
            tile::<T, S, R, N>(simd, left, right, 0..left.n_panels(), first, &mut sums[..height], ahead);
            each.tile(&sums[..height], targets.each_mut().map(|lines| &mut lines[done..done + height]));
        }
    }
}

/// out ← leftᵀ · right with left (k, m), right (k, n), out (m, n), band by band of 32 rows; then `finish` gets each band
/// while it is in the cache, together with its item of `extras`.
///
/// # Panics
/// When the shapes do not fit or `extras` are not as many as bands.
pub fn multiply_transposed<T: Element, E: Send>(
    left: &Panels<T>,
    right: &Panels<T>,
    out: &mut Panels<T>,
    extras: Vec<E>,
    finish: impl Fn(Band<'_, T>, E) + Sync,
) {
    let ((k, m), (k2, n)) = (left.dim(), right.dim());
    assert!(k == k2 && out.dim() == (m, n), "{:?}ᵀ · {:?} into {:?}", left.dim(), right.dim(), out.dim());
    let each = |band: &mut Band<'_, T>| {
        pulp::Arch::new().dispatch(Transposed { left: left.panel(band.first / PANEL), right, band });
    };
    in_bands(out, (PANEL, m * k * n >= ONE_THREAD_BELOW), extras, each, finish);
}

struct Transposed<'a, 'b, T> {
    left: &'a [Line<T>],
    right: &'a Panels<T>,
    band: &'a mut Band<'b, T>,
}

impl<T: Element> WithSimd for Transposed<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if const { S::REGISTER_COUNT >= 32 } { self.rows::<S, ROWS>(simd) } else { self.rows::<S, 4>(simd) }
    }
}

impl<T: Element> Transposed<'_, '_, T> {
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(self, simd: S) {
        let Self { left, right, band } = self;
        let each_line = PANEL / lanes::<T, S>() / 2;
        for (id, out) in band.panels.iter_mut().enumerate() {
            let pairs: &[Pair<T, S>] = T::vectors::<S>(right.panel(id).as_flattened()).as_chunks().0;
            for (group, out) in out.chunks_mut(R).enumerate() {
                for half in 0..each_line {
                    let sums = columns::<T, S, R>(simd, left, group, pairs, each_line, half);
                    for (line, sum) in out.iter_mut().zip(sums) {
                        T::vectors_mut::<S>(line).as_chunks_mut().0[half] = sum;
                    }
                }
            }
        }
    }
}

/// The sums of R columns of a left panel, the `group`-th R of them, with one half of a right panel.
#[inline(always)]
fn columns<T: Element, S: Simd, const R: usize>(
    simd: S,
    left: &[Line<T>],
    group: usize,
    right: &[Pair<T, S>],
    each_line: usize,
    half: usize,
) -> [Pair<T, S>; R] {
    let mut sums = [[T::splat(simd, T::zero()); 2]; R];
    for (line, pairs) in left.iter().zip(right.chunks_exact(each_line)) {
        let (b0, b1) = (pairs[half][0], pairs[half][1]);
        let columns: &[[T; R]] = line.as_chunks().0;
        for (sum, &value) in sums.iter_mut().zip(&columns[group]) {
            let a = T::splat(simd, value);
            sum[0] = T::fused(simd, a, b0, sum[0]);
            sum[1] = T::fused(simd, a, b1, sum[1]);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn counting<T: Element>(m: usize, n: usize, salt: usize) -> Array2<T> {
        Array2::from_shape_fn((m, n), |(i, j)| T::of(((i * 7 + j * 13 + salt) % 11) as f64 - 5.0))
    }

    struct AddAndDouble;

    impl<T: Element> TileWork<T, 2> for AddAndDouble {
        fn tile(&self, tile: &[Line<T>], [sum, twice]: [&mut [Line<T>]; 2]) {
            for ((tile, sum), twice) in tile.iter().zip(sum).zip(twice) {
                sum.iter_mut().zip(tile).for_each(|(s, &t)| *s += t);
                twice.iter_mut().zip(tile).for_each(|(s, &t)| *s = t + t);
            }
        }
    }

    fn products_are_exact<T: Element>() {
        for (m, k, n) in [(0, 3, 2), (3, 0, 2), (1, 1, 1), (5, 9, 3), (33, 40, 31), (10, 300, 128), (150, 290, 70)] {
            let (a, b) = (counting::<T>(m, k, 0), counting::<T>(k, n, 3));
            let (left, right) = (Panels::from_array(a.view()), Panels::from_array(b.view()));
            let expected = a.dot(&b);
            let mut out = Panels::zeros(m, n);
            let mut firsts = vec![0; m.div_ceil(BAND)];
            multiply(&left, &right, &mut out, firsts.iter_mut().collect(), |band, first| *first = band.first + 1);
            assert_eq!(out.to_array(), expected, "{m} {k} {n}");
            assert!(firsts.iter().enumerate().all(|(i, &first)| first == i * BAND + 1));
            let mut transposed = Panels::zeros(k, m);
            transposed.assign_transposed(&left);
            assert_eq!(transposed.to_array(), a.t());
            let mut out = Panels::zeros(m, n);
            multiply_transposed(&transposed, &right, &mut out, vec![(); m.div_ceil(PANEL)], |_, ()| ());
            assert_eq!(out.to_array(), expected, "{m} {k} {n} transposed");
            let (mut sum, mut twice) = (Panels::from_array(expected.view()), Panels::zeros(m, n));
            multiply_tiles(&left, &right, [&mut sum, &mut twice], &AddAndDouble);
            assert_eq!(sum.to_array(), &expected + &expected, "{m} {k} {n} tiles");
            assert_eq!(twice.to_array(), sum.to_array());
        }
    }

    #[test]
    fn products_of_small_integers_are_exact() {
        products_are_exact::<f32>();
        products_are_exact::<f64>();
    }

    #[test]
    fn threads_and_neighbours_do_not_change_a_bit() {
        let rough =
            |m, n| Array2::from_shape_fn((m, n), |(i, j)| ((i * 31 + j * 17 + i * j) % 97) as f32 * 0.013 - 0.5);
        let (left, right) = (Panels::from_array(rough(300, 300).view()), Panels::from_array(rough(300, 100).view()));
        let product = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut out = Panels::zeros(300, 100);
            pool.install(|| multiply(&left, &right, &mut out, vec![(); 3], |_, ()| ()));
            out.to_array()
        };
        let whole = product(1);
        assert_eq!(whole, product(2));
        let few = Panels::from_array(rough(300, 3).view());
        let mut out = Panels::zeros(300, 3);
        multiply(&left, &few, &mut out, vec![(); 3], |_, ()| ());
        assert_eq!(out.to_array(), whole.slice(ndarray::s![.., ..3]));
    }
}
