//! The fast path of dense SIFT.
//!
//! A pixel's weight in a cell of a square is a product of a row weight and a column weight (window and interpolation
//! both are), so nothing is scattered: every pixel's votes in 8 directions are computed once, summed down the rows with
//! the row weights of the 4 rows of cells of a row of squares, and then along the columns with those of each square's 4
//! columns of cells. Eight directions are one vector.

use super::{Channels, NUMBERS, Plan};
use crate::gradient::{angle, dot, greater, grey, lesser};
use crate::local::grid::Line;
use pulp::{Simd, WithSimd};
use std::f32::consts::PI;

const DIRECTIONS: usize = 8;
const CELLS: usize = 4;
type Votes = [f32; DIRECTIONS];

/// Pixels whose directions are found together.
const LANES: usize = 16;
type Lanes = [f32; LANES];

/// Where and with what weights a row (or column) of cells sums its pixels.
struct Slot {
    start: usize,
    weights: Vec<f32>,
}

/// What depends on one cell side and the image size alone.
pub(super) struct Scale {
    /// The rows of cells of each row of squares.
    rows: Vec<[Slot; CELLS]>,
    columns: Vec<[Slot; CELLS]>,
    /// One half of the blur's kernel, its middle first; empty for no blur.
    blur: Vec<f32>,
}

impl Scale {
    pub(super) fn new((height, width): (usize, usize), rows: Line, columns: Line, cell: f64, sigma: f64) -> Self {
        let slots = |line: Line, length: usize| line.starts().map(|start| square(start, cell, length)).collect();
        Self { rows: slots(rows, height), columns: slots(columns, width), blur: half_gaussian(sigma) }
    }
}

/// The 4 slots of a square that begins at `start`, pixel i covering i to i + 1. The outermost pixels have no gradient.
fn square(start: f64, cell: f64, length: usize) -> [Slot; CELLS] {
    let centre = start + CELLS as f64 / 2.0 * cell - 0.5;
    let last = length as f64 - 2.0;
    std::array::from_fn(|i| {
        let middle = i as f64 - (CELLS as f64 - 1.0) / 2.0;
        let weight = |pixel: usize| {
            let apart = (pixel as f64 - centre) / cell;
            ((-apart * apart / 8.0).exp() * (1.0 - (apart - middle).abs()).max(0.0)) as f32
        };
        let first = (centre + (middle - 1.0) * cell).ceil().clamp(1.0, length as f64);
        let end = (centre + (middle + 1.0) * cell).floor().min(last) + 1.0;
        let (first, end) = (first as usize, end.max(first) as usize);
        Slot { start: first, weights: (first..end).map(weight).collect() }
    })
}

/// exp(−x²/2σ²) from 0 to OpenCV's radius, ⌊8σ + 1⌉ rounded up to an odd width, such that the whole kernel sums to 1.
fn half_gaussian(sigma: f64) -> Vec<f32> {
    if sigma == 0.0 {
        return Vec::new();
    }
    let radius = ((sigma * 8.0 + 1.0).round() as usize | 1) / 2;
    let values: Vec<f64> = (0..=radius).map(|i| (-((i * i) as f64) / (2.0 * sigma * sigma)).exp()).collect();
    let sum = 2.0 * values.iter().sum::<f64>() - values[0];
    values.iter().map(|v| (v / sum) as f32).collect()
}

/// Describes one image; lengths are already checked.
pub(super) fn describe(plan: &Plan, image: &[u8], scratch: &mut Vec<f32>, out: &mut [f32]) {
    pulp::Arch::new().dispatch(DescribeOne { plan, image, scratch, out });
}

struct DescribeOne<'a> {
    plan: &'a Plan,
    image: &'a [u8],
    scratch: &'a mut Vec<f32>,
    out: &'a mut [f32],
}

impl WithSimd for DescribeOne<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let sizes = Sizes::of(self.plan);
        self.scratch.resize(sizes.total(), 0.0);
        let (plane, rest) = self.scratch.split_at_mut(sizes.plane());
        let (blurred, rest) = rest.split_at_mut(sizes.plane());
        let (votes, sums) = rest.split_at_mut(sizes.votes());
        for channel in 0..self.plan.channels {
            sizes.fill_plane(self.plan, self.image, channel, plane);
            let mut out = self.out.chunks_exact_mut(self.plan.channels * NUMBERS);
            for (i, scale) in self.plan.scales.iter().enumerate() {
                // Votes are the same for all scales without a blur.
                if !scale.blur.is_empty() {
                    sizes.blur(plane, &scale.blur, sums, blurred);
                    sizes.fill_votes(blurred, votes);
                } else if i == 0 || !self.plan.scales[i - 1].blur.is_empty() {
                    sizes.fill_votes(plane, votes);
                }
                for rows in &scale.rows {
                    sizes.sum_rows(rows, votes, sums);
                    for (columns, out) in scale.columns.iter().zip(&mut out) {
                        let descriptor = &mut out[channel * NUMBERS..][..NUMBERS];
                        sum_columns(columns, sums, descriptor);
                        normalise(descriptor, self.plan.root);
                    }
                }
            }
        }
    }
}

/// Sizes of an image's buffers.
#[derive(Clone, Copy)]
struct Sizes {
    height: usize,
    width: usize,
    /// The width in whole lanes.
    lanes: usize,
    /// Pixels that the blur needs beside a row.
    radius: usize,
}

impl Sizes {
    fn of(plan: &Plan) -> Self {
        let (height, width, _) = plan.shape;
        let radius = plan.scales.iter().map(|scale| scale.blur.len()).max().unwrap_or(0);
        Self { height, width, lanes: width.next_multiple_of(LANES), radius }
    }

    /// Numbers from one row of a plane to the next: pixel x stands at x + 1.
    fn stride(self) -> usize {
        self.lanes + 2
    }

    fn plane(self) -> usize {
        self.height * self.stride()
    }

    fn votes(self) -> usize {
        self.height * self.lanes * DIRECTIONS
    }

    /// The buffer of sums is also the blur's.
    fn sums(self) -> usize {
        (self.lanes * CELLS * DIRECTIONS).max(2 * self.radius + 2 * self.lanes)
    }

    fn total(self) -> usize {
        2 * self.plane() + self.votes() + self.sums()
    }

    /// One channel's intensities.
    #[inline(always)]
    fn fill_plane(self, plan: &Plan, image: &[u8], channel: usize, plane: &mut [f32]) {
        let n_channels = plan.shape.2;
        for (row, line) in plane.chunks_exact_mut(self.stride()).zip(image.chunks_exact(self.width * n_channels)) {
            let row = &mut row[1..=self.width];
            if n_channels == 1 {
                row.iter_mut().zip(line).for_each(|(value, &byte)| *value = f32::from(byte));
                continue;
            }
            for (value, pixel) in row.iter_mut().zip(line.as_chunks::<3>().0) {
                *value = match plan.color {
                    Channels::Grey => f32::from(grey(*pixel)),
                    Channels::Rgb => f32::from(pixel[channel]),
                    Channels::Opponent => opponent(pixel.map(f32::from), channel),
                };
            }
        }
    }

    /// Convolves rows and columns with a symmetric kernel; the border is reflected without repeating its pixel.
    #[inline(always)]
    fn blur(self, plane: &[f32], half: &[f32], buffer: &mut [f32], out: &mut [f32]) {
        let radius = half.len() - 1;
        let (line, sums) = buffer.split_at_mut(2 * self.radius + self.lanes);
        let sums = &mut sums[..self.width];
        for y in 0..self.height {
            sums.fill(0.0);
            for (i, &weight) in half.iter().enumerate() {
                let (above, below) =
                    (reflected(y as isize - i as isize, self.height), reflected((y + i) as isize, self.height));
                let row = |y: usize| &plane[y * self.stride() + 1..][..self.width];
                let weight = if i == 0 { weight / 2.0 } else { weight };
                for ((sum, above), below) in sums.iter_mut().zip(row(above)).zip(row(below)) {
                    *sum = (above + below).mul_add(weight, *sum);
                }
            }
            line[radius..][..self.width].copy_from_slice(sums);
            for i in 1..=radius {
                line[radius - i] = sums[reflected(-(i as isize), self.width)];
                line[radius + self.width - 1 + i] = sums[reflected((self.width - 1 + i) as isize, self.width)];
            }
            let row = &mut out[y * self.stride() + 1..][..self.width];
            row.iter_mut().zip(&line[radius..]).for_each(|(v, middle)| *v = middle * half[0]);
            for (i, &weight) in half.iter().enumerate().skip(1) {
                let pairs = line[radius - i..].iter().zip(&line[radius + i..]);
                row.iter_mut().zip(pairs).for_each(|(v, (left, right))| *v = (left + right).mul_add(weight, *v));
            }
        }
    }

    /// Every pixel's votes: row, column, direction. The outermost pixels, and what lies behind a row, are not read.
    #[inline(always)]
    fn fill_votes(self, plane: &[f32], votes: &mut [f32]) {
        for y in 1..self.height.saturating_sub(1) {
            let row = |y: usize| &plane[y * self.stride()..][..self.stride()];
            let (above, here, below) = (row(y - 1), row(y), row(y + 1));
            let votes = &mut votes[y * self.lanes * DIRECTIONS..][..self.lanes * DIRECTIONS];
            for (group, votes) in votes.chunks_exact_mut(LANES * DIRECTIONS).enumerate() {
                let x = group * LANES;
                let (direction, length) =
                    gradients(lanes_at(here, x), lanes_at(here, x + 2), lanes_at(above, x + 1), lanes_at(below, x + 1));
                for (i, votes) in votes.as_chunks_mut::<DIRECTIONS>().0.iter_mut().enumerate() {
                    *votes = shared(direction[i], length[i]);
                }
            }
        }
    }

    /// Sums down the rows: column, row of cells, direction.
    #[inline(always)]
    fn sum_rows(self, rows: &[Slot; CELLS], votes: &[f32], sums: &mut [f32]) {
        const TOGETHER: usize = 4;
        let votes = votes.as_chunks::<DIRECTIONS>().0;
        let sums = sums.as_chunks_mut::<DIRECTIONS>().0;
        for (i, slot) in rows.iter().enumerate() {
            for x in (0..self.lanes).step_by(TOGETHER) {
                let mut total = [[0.0f32; DIRECTIONS]; TOGETHER];
                for (row, &weight) in slot.weights.iter().enumerate() {
                    let votes = &votes[(slot.start + row) * self.lanes + x..][..TOGETHER];
                    for (total, votes) in total.iter_mut().zip(votes) {
                        add(total, votes, weight);
                    }
                }
                for (j, total) in total.iter().enumerate() {
                    sums[(x + j) * CELLS + i] = *total;
                }
            }
        }
    }
}

/// Sums along the columns into (cell row, cell column, direction).
#[inline(always)]
fn sum_columns(columns: &[Slot; CELLS], sums: &[f32], out: &mut [f32]) {
    let sums = sums.as_chunks::<DIRECTIONS>().0.as_chunks::<CELLS>().0;
    let out = out.as_chunks_mut::<DIRECTIONS>().0;
    for (j, slot) in columns.iter().enumerate() {
        let mut total = [[0.0f32; DIRECTIONS]; CELLS];
        for (sums, &weight) in sums[slot.start..].iter().zip(&slot.weights) {
            for (total, sums) in total.iter_mut().zip(sums) {
                add(total, sums, weight);
            }
        }
        for (i, total) in total.iter().enumerate() {
            out[i * CELLS + j] = *total;
        }
    }
}

#[inline(always)]
fn add(total: &mut Votes, votes: &Votes, weight: f32) {
    for i in 0..DIRECTIONS {
        total[i] = votes[i].mul_add(weight, total[i]);
    }
}

#[inline(always)]
fn lanes_at(values: &[f32], start: usize) -> &Lanes {
    values[start..].first_chunk().expect("rows have room for whole lanes")
}

/// Directions, in eighths of a turn from 0 up to 8, and lengths.
#[inline(always)]
fn gradients(left: &Lanes, right: &Lanes, above: &Lanes, below: &Lanes) -> (Lanes, Lanes) {
    let (mut direction, mut length) = ([0.0; LANES], [0.0; LANES]);
    for i in 0..LANES {
        let (dx, up) = (right[i] - left[i], above[i] - below[i]);
        length[i] = dx.mul_add(dx, up * up).sqrt();
        direction[i] = angle(dx, up, true) * (DIRECTIONS as f32 / (2.0 * PI));
    }
    (direction, length)
}

/// One pixel's votes: its length shared between the two nearest directions.
#[inline(always)]
fn shared(direction: f32, length: f32) -> Votes {
    const CENTRES: Votes = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
    let mut votes = [0.0; DIRECTIONS];
    for i in 0..DIRECTIONS {
        let apart = (direction - CENTRES[i]).abs();
        votes[i] = length * greater(1.0 - lesser(apart, DIRECTIONS as f32 - apart), 0.0);
    }
    votes
}

#[inline(always)]
fn normalise(values: &mut [f32], root: bool) {
    let clip = 0.2 * dot(values, values).sqrt();
    values.iter_mut().for_each(|v| *v = lesser(*v, clip));
    if root {
        let scale = 1.0 / values.iter().sum::<f32>().max(f32::EPSILON);
        values.iter_mut().for_each(|v| *v = (*v * scale).sqrt());
    } else {
        let scale = 1.0 / dot(values, values).sqrt().max(f32::EPSILON);
        values.iter_mut().for_each(|v| *v *= scale);
    }
}

#[inline(always)]
fn opponent([r, g, b]: [f32; 3], channel: usize) -> f32 {
    match channel {
        0 => (r - g) * std::f32::consts::FRAC_1_SQRT_2,
        1 => (r + g - 2.0 * b) / 6f32.sqrt(),
        _ => (r + g + b) / 3f32.sqrt(),
    }
}

/// Where a position beyond the border is found inside: −1 is 1, `length` is `length` − 2, and so on to and fro.
fn reflected(position: isize, length: usize) -> usize {
    if length == 1 {
        return 0;
    }
    let period = 2 * (length as isize - 1);
    let within = position.rem_euclid(period);
    within.min(period - within) as usize
}
