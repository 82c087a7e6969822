//! Product quantisation: columns in groups, and for each group a small codebook (Jégou, Douze, Schmid 2011; for the
//! classifiers of large image sets Sánchez, Perronnin 2011).
//!
//! A row of d columns becomes ⌈d / G⌉ codes, each the number of the nearest of 2^(G b) centres of its group of G
//! columns; the last group is shorter when G does not divide d, and then has 2^(columns · b) centres. Codes take one
//! byte when G b ≤ 8, else two. With fewer rows than centres the rows themselves are the centres of their group.
//!
//! Groups are walked outside and rows inside, so that the codebook passes through the caches once a block of rows.

mod codes;
mod kernel;
mod stored;
mod tiny;

pub use codes::{Codes, CodesMut, CodesView};

use crate::{UnsupervisedError, rows};
use bakeoff_core::seed::Seed;
use codes::Code;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Settings of the quantiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProductQuantiser {
    /// G, columns a group.
    pub group: NonZeroUsize,
    /// b, bits a column; G b is at most 16.
    pub bits: NonZeroUsize,
    /// Rounds of k-means a group at most.
    pub iterations: usize,
}

impl Default for ProductQuantiser {
    fn default() -> Self {
        Self { group: NonZeroUsize::MIN.saturating_add(7), bits: NonZeroUsize::MIN, iterations: 10 }
    }
}

/// Most bits of a code.
const MOST_BITS: usize = 16;

impl ProductQuantiser {
    /// Learns from rows `x` (n, d), groups in parallel on rayon's current pool. About four rows a centre are enough
    /// for codes of 8 bits; hand over a sample.
    ///
    /// # Errors
    /// When a code would have more than 16 bits, there is no row, or a value is not finite.
    pub fn fit(&self, x: ArrayView2<'_, f32>, seed: Seed) -> Result<Quantiser, UnsupervisedError> {
        let (group, bits) = (self.group.get(), self.bits.get());
        if group.saturating_mul(bits) > MOST_BITS {
            let reason =
                format!("groups of {group} columns with {bits} bits each: a code has at most {MOST_BITS} bits");
            return Err(UnsupervisedError::refused(reason));
        }
        rows::check(x, "product quantisation", 1)?;
        let seed = seed.derive("groups");
        let together = tiny::groups_together(x.nrows(), group);
        let learn = |(i, columns): (usize, ArrayView2<'_, f32>)| {
            tiny::learn(columns, group, bits, self.iterations, seed.nth(i))
        };
        let strips: Vec<_> = x.axis_chunks_iter(Axis(1), group * together).enumerate().collect();
        let centers: Vec<Vec<f32>> = strips.into_par_iter().map(learn).collect();
        Ok(Quantiser::assemble(centers.concat(), x.nrows(), x.ncols(), group, bits))
    }
}

/// A quantiser that was learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantiser {
    /// Group after group, centre after centre.
    centers: Vec<f32>,
    d: usize,
    group: usize,
    /// Centres of a whole group, and of the last.
    k: usize,
    last_k: usize,
}

/// Rows whose codes are found together.
const BLOCK: usize = 64;
/// Groups whose codes are written together: a cache line of codes.
const STRIP: usize = 64;
/// Groups that are decoded together: with 256 centres of 8 columns their centres fill an eighth of the second cache.
const DECODE_STRIP: usize = 16;

impl Quantiser {
    /// A quantiser with these centres: one (k, columns) a group, all of one shape except the last, which may be
    /// narrower.
    ///
    /// # Errors
    /// When there is no group, a code would need more than 16 bits, the shapes differ, or a value is not finite.
    pub fn of(centers: &[Array2<f32>]) -> Result<Self, UnsupervisedError> {
        let (Some(first), Some(last)) = (centers.first(), centers.last()) else {
            return Err(UnsupervisedError::refused("a quantiser needs at least one group"));
        };
        let ((k, group), (last_k, last_group)) = (first.dim(), last.dim());
        let alike = centers[..centers.len() - 1].iter().all(|c| c.dim() == (k, group));
        if !alike || last_group > group || last_k > k || k > 1 << MOST_BITS || k * group * last_k * last_group == 0 {
            return Err(UnsupervisedError::refused(format!("groups of ({k}, {group}) centres and others that differ")));
        }
        if let Some(i) = centers.iter().position(|c| !c.iter().all(|v| v.is_finite())) {
            return Err(UnsupervisedError::NotFinite { row: i });
        }
        let d = (centers.len() - 1) * group + last_group;
        Ok(Self { centers: centers.iter().flatten().copied().collect(), d, group, k, last_k })
    }

    fn assemble(centers: Vec<f32>, n: usize, d: usize, group: usize, bits: usize) -> Self {
        let last = (d - 1) % group + 1;
        let most = |columns: usize| (1usize << (columns * bits)).min(n);
        let k = if d < group { most(last) } else { most(group) };
        Self { centers, d, group: group.min(d), k, last_k: most(last) }
    }

    /// d, the columns of a row.
    pub fn dim(&self) -> usize {
        self.d
    }

    /// G, the columns of a group.
    pub fn group(&self) -> usize {
        self.group
    }

    /// The number of groups: codes a row.
    pub fn groups(&self) -> usize {
        self.d.div_ceil(self.group)
    }

    /// The centres (k, columns) of a group.
    ///
    /// # Panics
    /// When there is no such group.
    pub fn centers(&self, group: usize) -> ArrayView2<'_, f32> {
        let shape = self.shape(group);
        ArrayView2::from_shape(shape, self.center_values(group)).expect("centres of a group")
    }

    /// Bytes of the centres.
    pub fn model_bytes(&self) -> usize {
        self.centers.len() * size_of::<f32>()
    }

    /// Bytes of the codes of a row.
    pub fn row_bytes(&self) -> usize {
        self.groups() * if self.is_wide() { size_of::<u16>() } else { size_of::<u8>() }
    }

    /// Codes of `n` rows, all 0.
    pub fn codes(&self, n: usize) -> Codes {
        let shape = (n, self.groups());
        if self.is_wide() { Codes::Words(Array2::zeros(shape)) } else { Codes::Bytes(Array2::zeros(shape)) }
    }

    /// Whether codes need two bytes.
    fn is_wide(&self) -> bool {
        self.k > 1 << 8
    }

    /// Centres and columns of a group.
    fn shape(&self, group: usize) -> (usize, usize) {
        assert!(group < self.groups(), "group {group} of {}", self.groups());
        if group + 1 == self.groups() { (self.last_k, self.d - group * self.group) } else { (self.k, self.group) }
    }

    fn center_values(&self, group: usize) -> &[f32] {
        let (k, columns) = self.shape(group);
        &self.centers[group * self.k * self.group..][..k * columns]
    }

    /// Codes of rows `x` (n, d) on rayon's current pool.
    ///
    /// # Panics
    /// When the rows do not have d columns.
    pub fn encode(&self, x: ArrayView2<'_, f32>) -> Codes {
        let n = x.nrows();
        let mut codes = self.codes(n);
        self.encode_to(x, codes.range_mut(0, n));
        codes
    }

    /// Codes of rows `x` (n, d) into `codes` (n, groups), on rayon's current pool.
    ///
    /// # Panics
    /// As [`Quantiser::encode_into`].
    pub fn encode_to(&self, x: ArrayView2<'_, f32>, codes: CodesMut<'_>) {
        assert_eq!(x.nrows(), codes.rows(), "rows and their codes");
        let blocks = x.axis_chunks_iter(Axis(0), BLOCK).into_par_iter();
        blocks.zip(codes.into_blocks(BLOCK)).for_each(|(rows, codes)| self.encode_into(rows, codes));
    }

    /// Codes of rows `x` (n, d) into `codes` (n, groups), on the calling thread alone. Best for 64 rows or more: the
    /// whole codebook is read for every 64.
    ///
    /// # Panics
    /// When the shapes do not fit, or the codes are of the other width.
    pub fn encode_into(&self, x: ArrayView2<'_, f32>, codes: CodesMut<'_>) {
        match codes {
            CodesMut::Bytes(codes) if !self.is_wide() => self.encode_as(x, codes),
            CodesMut::Words(codes) if self.is_wide() => self.encode_as(x, codes),
            _ => panic!("codes of the other width: take them from Quantiser::codes"),
        }
    }

    fn encode_as<C: Code>(&self, x: ArrayView2<'_, f32>, mut codes: ArrayViewMut2<'_, C>) {
        assert_eq!((x.ncols(), codes.dim()), (self.d, (x.nrows(), self.groups())), "rows and their codes");
        let mut scratch = kernel::Tile::new(self.group, BLOCK);
        let mut found = [C::default(); STRIP * BLOCK];
        for (rows, mut codes) in x.axis_chunks_iter(Axis(0), BLOCK).zip(codes.axis_chunks_iter_mut(Axis(0), BLOCK)) {
            for (strip, mut codes) in codes.axis_chunks_iter_mut(Axis(1), STRIP).enumerate() {
                for (i, found) in found.chunks_exact_mut(BLOCK).take(codes.ncols()).enumerate() {
                    let group = strip * STRIP + i;
                    let columns = self.shape(group).1;
                    let left = group * self.group;
                    scratch.fill(rows.slice(s![.., left..left + columns]));
                    let nearest = scratch.nearest(self.center_values(group)).0;
                    found.iter_mut().zip(nearest).for_each(|(code, &id)| *code = C::of(id));
                }
                for ((row, i), code) in codes.indexed_iter_mut() {
                    *code = found[i * BLOCK + row];
                }
            }
        }
    }

    /// The rows (n, d) that `codes` (n, groups) stand for, on the calling thread alone.
    ///
    /// # Panics
    /// When the shapes do not fit or a code has no centre.
    pub fn decode_into(&self, codes: CodesView<'_>, out: ArrayViewMut2<'_, f32>) {
        match codes {
            CodesView::Bytes(codes) => self.decode_from(codes, out),
            CodesView::Words(codes) => self.decode_from(codes, out),
        }
    }

    fn decode_from<C: Code>(&self, codes: ArrayView2<'_, C>, mut out: ArrayViewMut2<'_, f32>) {
        assert_eq!((out.ncols(), codes.dim()), (self.d, (out.nrows(), self.groups())), "codes and their rows");
        // Rows are written in pieces of a strip: single groups would touch every page of every row for 32 bytes.
        let strips = out.axis_chunks_iter_mut(Axis(1), DECODE_STRIP * self.group);
        let centers = self.centers.chunks(DECODE_STRIP * self.k * self.group);
        let codes = codes.axis_chunks_iter(Axis(1), DECODE_STRIP);
        for ((mut out, centers), codes) in strips.zip(centers).zip(codes) {
            for (codes, mut row) in codes.outer_iter().zip(out.outer_iter_mut()) {
                if let Some(row) = row.as_slice_mut() {
                    self.decode_strip(centers, codes, row);
                } else {
                    let mut copy = row.to_vec();
                    self.decode_strip(centers, codes, &mut copy);
                    row.assign(&ArrayView1::from(&copy[..]));
                }
            }
        }
    }

    /// The columns of some groups of one row.
    fn decode_strip<C: Code>(&self, centers: &[f32], codes: ArrayView1<'_, C>, out: &mut [f32]) {
        let groups = centers.chunks(self.k * self.group).zip(codes);
        for ((centers, code), out) in groups.zip(out.chunks_mut(self.group)) {
            let center = &centers[code.number() * out.len()..][..out.len()];
            match (<&mut [f32; 8]>::try_from(&mut *out), <&[f32; 8]>::try_from(center)) {
                // Copies of a known length are one or two instructions.
                (Ok(out), Ok(center)) => *out = *center,
                _ => out.copy_from_slice(center),
            }
        }
    }
}
