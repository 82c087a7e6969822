//! The comparison of patches with a dictionary, patch by patch in tiles whose results stay in the second level cache.

use bakeoff_numeric::Packed;
use bakeoff_numeric::packed::{ROWS, VECTORS, tile};
use pulp::{Simd, WithSimd};

/// What is summed for a patch and a word, from their product with its bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// max(0, mean(z) − z), where z is the distance to the word and the mean is over all words. Words are columns −2 c
    /// with biases ‖c‖².
    Triangle,
    /// max(0, product).
    Rectifier,
}

/// Distances that a tile may hold: 320 KB beside the dictionary in a second level cache of 1 MB.
const MOST_DISTANCES: usize = 80 << 10;

/// Groups of six patches in a tile at most.
const MOST_GROUPS: usize = 8;

/// Buffers of one worker.
pub(crate) struct Scratch {
    /// Groups of six patches in a tile.
    groups: usize,
    /// Patches, then whitened ones, in groups of six.
    rows: Vec<[f32; ROWS]>,
    whitened: Vec<[f32; ROWS]>,
    /// Distances: panel of words, group, patch, word.
    distances: Aligned,
    /// Sums of a field, whole panels.
    sums: Aligned,
}

/// Floats that start at a cache line, as vectors that cross one cost double.
struct Aligned {
    values: Vec<f32>,
    start: usize,
}

/// Floats of a cache line.
const LINE: usize = 16;

impl Aligned {
    fn new(len: usize) -> Self {
        let values = vec![0.0; len + LINE];
        let start = values.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        Self { values, start }
    }

    #[inline(always)]
    fn as_vectors<S: Simd>(&mut self) -> &mut [S::f32s] {
        let len = self.values.len() - LINE;
        S::as_mut_simd_f32s(&mut self.values[self.start..][..len]).0
    }
}

impl Scratch {
    pub(crate) fn new(whitening: &Packed, words: &Packed) -> Self {
        let padded = words.outputs().next_multiple_of(words.width());
        let groups = (MOST_DISTANCES / (padded * ROWS)).clamp(1, MOST_GROUPS);
        Self {
            groups,
            rows: vec![[0.0; ROWS]; groups * whitening.inputs()],
            whitened: vec![[0.0; ROWS]; groups * whitening.outputs()],
            distances: Aligned::new(groups * ROWS * padded),
            sums: Aligned::new(padded),
        }
    }
}

/// Writes into `sums` (k) what the chosen rows of `patches` (d each) activate in sum.
pub(crate) fn encode(
    whitening: &Packed,
    words: &Packed,
    activation: Activation,
    patches: &[f32],
    chosen: &[usize],
    scratch: &mut Scratch,
    sums: &mut [f32],
) {
    scratch.sums.values.fill(0.0);
    for chosen in chosen.chunks(scratch.groups * ROWS) {
        pulp::Arch::new().dispatch(EncodeTile { whitening, words, activation, patches, chosen, scratch });
    }
    sums.copy_from_slice(&scratch.sums.values[scratch.sums.start..][..sums.len()]);
}

/// What is added to the variance of a patch, in squared shares of 255.
const LEAST_VARIANCE: f32 = 10.0 / (255.0 * 255.0);

/// Contrast-normalises rows of d pixels, shares of 255, in place.
pub(crate) fn normalise(rows: &mut [f32], d: usize) {
    pulp::Arch::new().dispatch(Normalise { rows, d });
}

struct Normalise<'a> {
    rows: &'a mut [f32],
    d: usize,
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.rows.chunks_exact_mut(self.d) {
            let mean = sum(row, |v| v) / self.d as f32;
            let variance = sum(row, |v| (v - mean) * (v - mean)) / self.d as f32;
            let scale = 1.0 / (variance + LEAST_VARIANCE).sqrt();
            row.iter_mut().for_each(|v| *v = (*v - mean) * scale);
        }
    }
}

/// Σ f(v) with sixteen partial sums.
#[inline(always)]
fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (whole, rest) = values.as_chunks::<LINE>();
    let mut sums = [0.0f32; LINE];
    for lanes in whole {
        for i in 0..LINE {
            sums[i] += f(lanes[i]);
        }
    }
    let rest: f32 = rest.iter().map(|&v| f(v)).sum();
    sums.iter().sum::<f32>() + rest
}

struct EncodeTile<'a> {
    whitening: &'a Packed,
    words: &'a Packed,
    activation: Activation,
    patches: &'a [f32],
    chosen: &'a [usize],
    scratch: &'a mut Scratch,
}

impl WithSimd for EncodeTile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { whitening, words, activation, patches, chosen, scratch } = self;
        let groups = chosen.len().div_ceil(ROWS);
        let Scratch { rows, whitened, distances, sums, .. } = scratch;
        gather(patches, chosen, whitening.inputs(), rows);
        whiten(simd, whitening, groups, rows, whitened);
        match activation {
            Activation::Triangle => {
                let means = measure(simd, words, chosen.len(), whitened, distances.as_vectors::<S>());
                add_triangles(simd, &means[..groups], distances.as_vectors::<S>(), sums.as_vectors::<S>());
            }
            Activation::Rectifier => add_rectified(simd, words, chosen.len(), whitened, sums.as_vectors::<S>()),
        }
    }
}

/// Brings chosen patches into groups of six, the last filled up with zeros.
#[inline(always)]
fn gather(patches: &[f32], chosen: &[usize], d: usize, rows: &mut [[f32; ROWS]]) {
    for (group, six) in chosen.chunks(ROWS).zip(rows.chunks_exact_mut(d)) {
        if let &[a, b, c, d1, e, f] = group {
            let [a, b, c, d1, e, f] = [a, b, c, d1, e, f].map(|patch| &patches[patch * d..][..d]);
            for (k, row) in six.iter_mut().enumerate() {
                *row = [a[k], b[k], c[k], d1[k], e[k], f[k]];
            }
        } else {
            six.fill([0.0; ROWS]);
            for (i, patch) in group.iter().enumerate() {
                six.iter_mut().zip(&patches[patch * d..][..d]).for_each(|(row, &value)| row[i] = value);
            }
        }
    }
}

#[inline(always)]
fn whiten<S: Simd>(simd: S, whitening: &Packed, groups: usize, rows: &[[f32; ROWS]], whitened: &mut [[f32; ROWS]]) {
    let (d, r) = (whitening.inputs(), whitening.outputs());
    for (panel_id, (panel, bias)) in whitening.panels::<S>().enumerate() {
        let first = panel_id * whitening.width();
        for group in 0..groups {
            let sums = tile(simd, &rows[group * d..][..d], panel, bias);
            let columns = &mut whitened[group * r..][..r][first..];
            for (i, sums) in sums.iter().enumerate() {
                let values: &[f32] = pulp::bytemuck::cast_slice(sums);
                columns.iter_mut().zip(values).for_each(|(six, &value)| six[i] = value);
            }
        }
    }
}

/// Writes the distances of all words to n patches and returns their mean for each patch; −∞ for those that only fill the
/// last group, which then activate nothing.
#[inline(always)]
fn measure<S: Simd>(
    simd: S,
    words: &Packed,
    n: usize,
    whitened: &[[f32; ROWS]],
    distances: &mut [S::f32s],
) -> [[f32; ROWS]; MOST_GROUPS] {
    let (r, k, groups) = (words.inputs(), words.outputs(), n.div_ceil(ROWS));
    let zero = simd.splat_f32s(0.0);
    let mut norms = [[zero; ROWS]; MOST_GROUPS];
    for (norms, rows) in norms.iter_mut().zip(whitened.chunks_exact(r)).take(groups) {
        let mut squares = [0.0f32; ROWS];
        for row in rows {
            squares.iter_mut().zip(row).for_each(|(sum, v)| *sum = v.mul_add(*v, *sum));
        }
        for (norm, square) in norms.iter_mut().zip(squares) {
            *norm = simd.splat_f32s(square);
        }
    }
    let mut totals = [[[zero; VECTORS]; ROWS]; MOST_GROUPS];
    let tiles = distances.chunks_exact_mut(groups * ROWS * VECTORS);
    for (panel_id, ((panel, bias), distances)) in words.panels::<S>().zip(tiles).enumerate() {
        let in_use = shares_in_use(simd, k - panel_id * words.width());
        // Beyond the last word the bias is −∞, whose distance no share of 0 would cancel.
        let bias = finite(simd, bias);
        let groups = distances.chunks_exact_mut(ROWS * VECTORS).zip(whitened.chunks_exact(r));
        for ((distances, rows), (norms, totals)) in groups.zip(norms.iter().zip(&mut totals)) {
            let sums = tile(simd, rows, panel, bias);
            for (i, sums) in sums.iter().enumerate() {
                for v in 0..VECTORS {
                    let square = simd.max_f32s(simd.add_f32s(sums[v], norms[i]), zero);
                    let distance = simd.sqrt_f32s(square);
                    totals[i][v] = simd.mul_add_e_f32s(distance, in_use[v], totals[i][v]);
                    distances[i * VECTORS + v] = distance;
                }
            }
        }
    }
    let mut means = [[f32::NEG_INFINITY; ROWS]; MOST_GROUPS];
    for (mean, total) in means.as_flattened_mut().iter_mut().zip(totals.as_flattened()).take(n) {
        *mean = simd.reduce_sum_f32s(simd.add_f32s(total[0], total[1])) / k as f32;
    }
    means
}

/// Biases with 0 in the place of −∞.
#[inline(always)]
fn finite<S: Simd>(simd: S, bias: [S::f32s; VECTORS]) -> [S::f32s; VECTORS] {
    let (zero, least) = (simd.splat_f32s(0.0), simd.splat_f32s(f32::MIN));
    let [first, second] = bias;
    let finite = |bias| simd.select_f32s(simd.greater_than_or_equal_f32s(bias, least), bias, zero);
    [finite(first), finite(second)]
}

/// 1 in each lane of a panel that belongs to one of the words left, else 0.
#[inline(always)]
fn shares_in_use<S: Simd>(simd: S, left: usize) -> [S::f32s; VECTORS] {
    let mut shares = [simd.splat_f32s(1.0); VECTORS];
    let lanes: &mut [f32] = pulp::bytemuck::cast_slice_mut(&mut shares);
    lanes.iter_mut().skip(left).for_each(|lane| *lane = 0.0);
    shares
}

/// Adds max(0, mean − distance) over all patches.
#[inline(always)]
fn add_triangles<S: Simd>(simd: S, means: &[[f32; ROWS]], distances: &[S::f32s], sums: &mut [S::f32s]) {
    let zero = simd.splat_f32s(0.0);
    let tiles = distances.chunks_exact(means.len() * ROWS * VECTORS);
    for (sums, distances) in sums.as_chunks_mut::<VECTORS>().0.iter_mut().zip(tiles) {
        let mut total = *sums;
        for (mean, distances) in means.as_flattened().iter().zip(distances.as_chunks::<VECTORS>().0) {
            let mean = simd.splat_f32s(*mean);
            for v in 0..VECTORS {
                let activation = simd.max_f32s(simd.sub_f32s(mean, distances[v]), zero);
                total[v] = simd.add_f32s(total[v], activation);
            }
        }
        *sums = total;
    }
}

/// Adds max(0, product) over n patches.
#[inline(always)]
fn add_rectified<S: Simd>(simd: S, words: &Packed, n: usize, whitened: &[[f32; ROWS]], sums: &mut [S::f32s]) {
    let (r, zero) = (words.inputs(), simd.splat_f32s(0.0));
    for ((panel, bias), sums) in words.panels::<S>().zip(sums.as_chunks_mut::<VECTORS>().0) {
        let mut total = *sums;
        for (group, rows) in whitened.chunks_exact(r).take(n.div_ceil(ROWS)).enumerate() {
            let products = tile(simd, rows, panel, bias);
            for product in products.iter().take(n - group * ROWS) {
                for v in 0..VECTORS {
                    total[v] = simd.add_f32s(total[v], simd.max_f32s(product[v], zero));
                }
            }
        }
        *sums = total;
    }
}
