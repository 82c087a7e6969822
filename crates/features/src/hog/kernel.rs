//! The fast path of HoG.
//!
//! Votes are separable: a pixel's weight in a cell of a block is a product of a row weight and a column weight (window
//! and interpolation both are). So instead of scattering every pixel into up to 16 histograms, the votes of a row of cells
//! for one direction are made in registers, 16 pixels at a time, and summed there down the rows with the row weights of up
//! to four slots; the sums are turned so that directions lie side by side, and those summed across columns. Vector
//! instructions are chosen at run time.
//!
//! A gradient of length l whose direction lies e bins beyond the centre of bin 0 (from 0 up to n) gives bin i the share
//! l · max(0, 1 − |e − i|) = max(0, l − |e l − i l|), four instructions as e l is made once; bin 0 is also n.

mod shuffles;

use super::{Form, Gamma, Hog};
use crate::gradient::{angle, dot, lesser};
use pulp::{Simd, WithSimd};
use shuffles::Shuffles;
use std::f32::consts::PI;
use std::ops::Range;

/// Pixels handled together.
const LANES: usize = 16;
type Lanes = [f32; LANES];

/// Where and with what weights a slot (a cell of a block, or a cell) sums its rows or columns.
struct Slot {
    start: usize,
    weights: Vec<f32>,
}

impl Slot {
    /// Without what has no weight at its ends, in pairs.
    fn trimmed(self) -> Self {
        let first = self.weights.iter().position(|&w| w != 0.0).unwrap_or(0) / 2 * 2;
        let end = self.weights.iter().rposition(|&w| w != 0.0).map_or(0, |last| last + 1).next_multiple_of(2);
        let weights = self.weights.get(first..end.min(self.weights.len())).unwrap_or_default().to_vec();
        Self { start: self.start + first, weights }
    }
}

/// Row slots summed together; no more are in work at any row of cells, so slot i's sums are at i mod 4.
const TOGETHER: usize = 4;

/// What one row of cells gives to up to four row slots. Rows of pixels from the middle of the cells on have no weight in the
/// first of them, rows before it none in the last.
struct Share {
    /// Where their sums are; where there are fewer than four, a place that nobody reads.
    slots: [usize; TOGETHER],
    /// Whether it is the slot's first row of cells: its sums start at 0.
    first: [bool; TOGETHER],
    /// Of each row of pixels, in those slots.
    weights: Vec<[f32; TOGETHER]>,
}

/// The share of the row of cells that begins at `top`.
fn share(slots: &[Slot], top: usize, cell: usize) -> Share {
    let weight = |slot: usize, row: usize| slots[slot].weights[top + row - slots[slot].start];
    let lacks = |slot: usize, mut rows: Range<usize>| rows.all(|row| weight(slot, row) == 0.0);
    let mut places = [None; TOGETHER];
    let is_touched =
        |slot: &usize| (slots[*slot].start..slots[*slot].start + slots[*slot].weights.len()).contains(&top);
    for slot in (0..slots.len()).filter(is_touched) {
        let (early, late) = (lacks(slot, cell / 2..cell), lacks(slot, 0..cell / 2));
        // Of the two cells of a block, one reaches over the middle of the other only from its own side.
        let place = match places {
            [None, ..] if early => 0,
            [.., None] if late => TOGETHER - 1,
            [_, None, ..] => 1,
            _ => 2,
        };
        assert!(places[place].replace(slot).is_none(), "a place for each of the slots at row {top}");
    }
    let weight_at = |row: usize, place: usize| places[place].map_or(0.0, |slot| weight(slot, row));
    Share {
        slots: places.map(|slot| slot.map_or(TOGETHER, |slot| slot % TOGETHER)),
        first: places.map(|slot| slot.is_none_or(|slot| slots[slot].start == top)),
        weights: (0..cell).map(|row| std::array::from_fn(|place| weight_at(row, place))).collect(),
    }
}

/// Everything that depends on the settings and the image size alone.
pub(super) struct Plan {
    shuffles: Shuffles,
    gamma: Gamma,
    image: (usize, usize, usize),
    /// Padded height and width, whole cells.
    size: (usize, usize),
    /// Padding above and to the left.
    offset: (usize, usize),
    cell: usize,
    orientations: usize,
    signed: bool,
    interpolate: bool,
    rows: Vec<Slot>,
    columns: Vec<Slot>,
    /// Which row slots each row of cells weighs in.
    shares: Vec<Share>,
    /// Blocks: where the vector is clipped; `None` for the plain form.
    clip: Option<f32>,
}

/// Buffers of one worker.
pub(super) struct Scratch {
    /// Intensities of one row of cells and the rows of pixels above and below it, channel by channel: padded rows with a
    /// reflected pixel on each side and room for whole lanes.
    channels: Vec<f32>,
    /// Of one row of cells and group of columns, row by row.
    polar: Vec<Polar>,
    /// Sums down the rows: slot mod 4, direction, column.
    sums: Vec<f32>,
    /// One slot's sums: column, direction.
    turned: Vec<f32>,
    /// Histograms: row slot, column slot, direction.
    histograms: Vec<f32>,
}

/// Cells a block's side.
const BLOCK: usize = 2;

impl Plan {
    pub(super) fn new(hog: &Hog, height: usize, width: usize, channels: usize) -> Self {
        let cell = hog.cell.get();
        let fewest = if hog.form == Form::Blocks { BLOCK } else { 1 };
        let cells = |side: usize| side.div_ceil(cell).max(fewest);
        let (rows, columns) = (cells(height), cells(width));
        let slots = |cells: usize| match hog.form {
            Form::Plain => (0..cells).map(|i| Slot { start: i * cell, weights: vec![1.0; cell] }).collect(),
            Form::Blocks => (0..=cells - BLOCK).flat_map(|block| block_slots(block, cell, hog.gaussian)).collect(),
        };
        let row_slots: Vec<Slot> = slots(rows);
        Self {
            shuffles: Shuffles::new(),
            gamma: hog.gamma,
            image: (height, width, channels),
            size: (rows * cell, columns * cell),
            offset: ((rows * cell - height) / 2, (columns * cell - width) / 2),
            cell,
            orientations: hog.orientations.get(),
            signed: hog.signed,
            interpolate: hog.form == Form::Blocks,
            shares: (0..rows).map(|row| share(&row_slots, row * cell, cell)).collect(),
            rows: row_slots,
            columns: slots(columns).into_iter().map(Slot::trimmed).collect(),
            clip: (hog.form == Form::Blocks).then_some(hog.clip.get() as f32),
        }
    }

    pub(super) fn dim(&self) -> usize {
        self.rows.len() * self.columns.len() * self.orientations
    }

    /// Numbers from one padded row to the next: whole lanes, and two for the reflected pixels.
    fn stride(&self) -> usize {
        self.lanes() + 2
    }

    /// Rows of pixels that a row of cells needs.
    fn band(&self) -> usize {
        self.cell + 2
    }

    /// The padded width in whole lanes.
    fn lanes(&self) -> usize {
        self.size.1.next_multiple_of(LANES)
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            channels: vec![0.0; self.image.2 * self.band() * self.stride()],
            polar: (0..self.cell).map(|_| Polar { direction: [0.0; LANES], length: [0.0; LANES] }).collect(),
            sums: vec![0.0; (TOGETHER + 1) * self.orientations * self.lanes()],
            turned: vec![0.0; self.padded_orientations() * self.lanes()],
            histograms: vec![0.0; self.dim() + LANES],
        }
    }

    /// Turns one image (height · width · channels bytes) into `out` (d).
    pub(super) fn encode(&self, image: &[u8], scratch: &mut Scratch, out: &mut [f32]) {
        pulp::Arch::new().dispatch(EncodeOne { plan: self, image, scratch, out });
    }

    /// Bytes to padded intensities of the rows from `top` − 1 on, one plane a channel.
    #[inline(always)]
    fn fill_channels(&self, top: usize, image: &[u8], channels: &mut [f32]) {
        let ((height, width, n_channels), rows) = (self.image, self.size.0);
        let ((above, left), (band, stride)) = (self.offset, (self.band(), self.stride()));
        // The last two rows of the band before are the first two of this one.
        let known = if top == 0 { 0 } else { band - self.cell };
        if known > 0 {
            for plane in channels.chunks_exact_mut(band * stride) {
                plane.copy_within(self.cell * stride.., 0);
            }
        }
        for i in known..band {
            // Rows reflect without repeating the border's own row; a single row reflects itself.
            let y = match top + i {
                0 => 1.min(rows - 1),
                y if y <= rows => y - 1,
                _ => rows.max(2) - 2,
            };
            let from = y.saturating_sub(above).min(height - 1);
            let line = &image[from * width * n_channels..][..width * n_channels];
            if n_channels == 3 {
                let (red, rest) = channels[i * stride..].split_at_mut(band * stride);
                let (green, blue) = rest.split_at_mut(band * stride);
                let [red, green, blue] = [red, green, blue].map(|plane| &mut plane[1 + left..][..width]);
                self.shuffles.split_colors(line, self.gamma == Gamma::Sqrt, [red, green, blue]);
            } else {
                for channel in 0..n_channels {
                    let values = &mut channels[(channel * band + i) * stride + 1 + left..][..width];
                    let bytes = line[channel..].iter().step_by(n_channels);
                    for (value, &byte) in values.iter_mut().zip(bytes) {
                        *value = f32::from(byte);
                    }
                    if self.gamma == Gamma::Sqrt {
                        for value in values {
                            *value = value.sqrt();
                        }
                    }
                }
            }
        }
        for plane in channels.chunks_exact_mut(band * stride) {
            for row in plane[known * stride..].chunks_exact_mut(stride) {
                self.fill_borders(row);
            }
        }
    }

    /// Fills what lies beyond the image on both sides of a row.
    #[inline(always)]
    fn fill_borders(&self, row: &mut [f32]) {
        let (width, columns, left) = (self.image.1, self.size.1, self.offset.1);
        let inner = &mut row[1..=columns];
        // Most images need neither, and filling nothing costs a call.
        if columns > width {
            let (first, last) = (inner[left], inner[left + width - 1]);
            inner[..left].fill(first);
            inner[left + width..].fill(last);
        }
        // Reflected without repeating the border's own pixel; a single column reflects itself.
        let (before, after) = (inner[1.min(columns - 1)], inner[columns.max(2) - 2]);
        row[0] = before;
        row[columns + 1] = after;
        // What lies behind must not look like an edge; it gets no weight, but it must be finite.
        if columns + 2 < row.len() {
            row[columns + 2..].fill(0.0);
        }
    }

    /// Directions in whole lanes.
    fn padded_orientations(&self) -> usize {
        self.orientations.next_multiple_of(LANES)
    }

    /// Adds the row of cells `row` to every slot that it weighs in.
    #[inline(always)]
    fn sum_rows<S: Simd>(&self, simd: S, row: usize, channels: &[f32], polar: &mut [Polar], sums: &mut [f32]) {
        let share = &self.shares[row];
        // The usual form's numbers are told to the compiler, which unrolls its loops.
        match (self.orientations, self.cell, self.signed, self.interpolate, self.image.2) {
            (9, 8, false, true, 3) => self.sum_rows_of(simd, Numbers::usual(3), share, channels, polar, sums),
            (9, 8, false, true, 1) => self.sum_rows_of(simd, Numbers::usual(1), share, channels, polar, sums),
            (n, cell, signed, interpolate, channels_of) => {
                let numbers = Numbers { n, cell, signed, interpolate, channels: channels_of };
                self.sum_rows_of(simd, numbers, share, channels, polar, sums);
            }
        }
    }

    /// Group of columns by group, and direction by direction, so that sums of up to four slots stay in registers and no
    /// vote is ever written.
    #[inline(always)]
    fn sum_rows_of<S: Simd>(
        &self,
        simd: S,
        of: Numbers,
        share: &Share,
        channels: &[f32],
        polar: &mut [Polar],
        sums: &mut [f32],
    ) {
        let polar = &mut polar[..of.cell];
        for x in (0..self.lanes()).step_by(LANES) {
            self.fill_polar(of, x, channels, polar);
            self.add_votes::<S, true>(simd, of, 0, share, polar, x, sums);
            for bin in 1..of.n {
                self.add_votes::<S, false>(simd, of, bin, share, polar, x, sums);
            }
        }
    }

    /// Directions and lengths of the gradients of a row of cells, of one group of columns.
    #[inline(always)]
    fn fill_polar(&self, of: Numbers, x: usize, channels: &[f32], polar: &mut [Polar]) {
        let (stride, band) = (self.stride(), self.band() * self.stride());
        let per_radian = of.n as f32 / if of.signed { 2.0 * PI } else { PI };
        for (row, polar) in polar.iter_mut().enumerate() {
            let middle = (row + 1) * stride + x;
            let mut gradient = Gradient::at(channels, middle, stride);
            for channel in 1..of.channels {
                gradient = gradient.or_longer(&Gradient::at(&channels[channel * band..], middle, stride));
            }
            for i in 0..LANES {
                polar.length[i] = gradient.square[i].sqrt();
                let direction = angle(gradient.x[i], gradient.y[i], of.signed) * per_radian;
                let beyond = direction - 0.5;
                let beyond = if beyond < 0.0 { beyond + of.n as f32 } else { beyond };
                polar.direction[i] = if of.interpolate { beyond * polar.length[i] } else { direction };
            }
        }
    }

    /// In explicit vectors: left to itself the compiler keeps the sums in memory.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "a loop's body, apart for reading")]
    fn add_votes<S: Simd, const FIRST: bool>(
        &self,
        simd: S,
        of: Numbers,
        bin: usize,
        share: &Share,
        polar: &[Polar],
        x: usize,
        sums: &mut [f32],
    ) {
        let (of_slot, start) = (of.n * self.lanes(), bin * self.lanes() + x);
        let (early, late) = polar.split_at(of.cell / 2);
        let (early_weights, late_weights) = share.weights[..of.cell].split_at(of.cell / 2);
        for part in 0..LANES / S::F32_LANES {
            let mut totals = [simd.splat_f32s(0.0); TOGETHER];
            for ((total, slot), first) in totals.iter_mut().zip(share.slots).zip(share.first) {
                if !first {
                    *total = S::as_simd_f32s(lanes_at(sums, slot * of_slot + start)).0[part];
                }
            }
            let [mut first, mut second, mut third, mut fourth] = totals;
            for (polar, weights) in early.iter().zip(early_weights) {
                let votes = polar.votes::<S, FIRST>(simd, of, bin, part);
                first = simd.mul_add_e_f32s(votes, simd.splat_f32s(weights[0]), first);
                second = simd.mul_add_e_f32s(votes, simd.splat_f32s(weights[1]), second);
                third = simd.mul_add_e_f32s(votes, simd.splat_f32s(weights[2]), third);
            }
            for (polar, weights) in late.iter().zip(late_weights) {
                let votes = polar.votes::<S, FIRST>(simd, of, bin, part);
                second = simd.mul_add_e_f32s(votes, simd.splat_f32s(weights[1]), second);
                third = simd.mul_add_e_f32s(votes, simd.splat_f32s(weights[2]), third);
                fourth = simd.mul_add_e_f32s(votes, simd.splat_f32s(weights[3]), fourth);
            }
            for (slot, total) in share.slots.into_iter().zip([first, second, third, fourth]) {
                let sums = &mut sums[slot * of_slot + start..][..LANES];
                S::as_mut_simd_f32s(sums).0[part] = total;
            }
        }
    }

    /// Turns to (row slot, column slot, direction) the sums of every row slot that ends with the row of cells at `top`.
    #[inline(always)]
    fn sum_columns(&self, top: usize, sums: &[f32], turned: &mut [f32], histograms: &mut [f32]) {
        let per_row = self.columns.len() * self.orientations;
        let of_slot = self.orientations * self.lanes();
        for (i, slot) in self.rows.iter().enumerate() {
            if slot.start + slot.weights.len() == top + self.cell {
                self.turn(&sums[i % TOGETHER * of_slot..][..of_slot], turned);
                self.sum_turned(turned, &mut histograms[i * per_row..][..per_row + LANES]);
            }
        }
    }

    /// (direction, column) to (column, direction), directions in whole lanes.
    #[inline(always)]
    fn turn(&self, sums: &[f32], turned: &mut [f32]) {
        self.shuffles.turn(sums, self.lanes(), turned, self.padded_orientations());
    }

    /// Whole lanes are written; what they hold beyond their directions is overwritten by those that come next.
    #[inline(always)]
    fn sum_turned(&self, turned: &[f32], histograms: &mut [f32]) {
        let (n, padded) = (self.orientations, self.padded_orientations());
        for (j, slot) in self.columns.iter().enumerate() {
            for group in (0..n).step_by(LANES) {
                // Two sums, as the next addition to one must wait for the one before.
                let (mut even, mut odd) = ([0.0f32; LANES], [0.0f32; LANES]);
                let columns = &turned[slot.start * padded + group..];
                let (pairs, last) = slot.weights.as_chunks::<2>();
                for (i, weights) in pairs.iter().enumerate() {
                    let (a, b) = (lanes_at(columns, 2 * i * padded), lanes_at(columns, (2 * i + 1) * padded));
                    for i in 0..LANES {
                        even[i] = a[i].mul_add(weights[0], even[i]);
                        odd[i] = b[i].mul_add(weights[1], odd[i]);
                    }
                }
                for &weight in last {
                    let votes = lanes_at(columns, 2 * pairs.len() * padded);
                    for i in 0..LANES {
                        even[i] = votes[i].mul_add(weight, even[i]);
                    }
                }
                let mut total = [0.0; LANES];
                for i in 0..LANES {
                    total[i] = even[i] + odd[i];
                }
                store(histograms, j * n + group, total);
            }
        }
    }

    /// Plain histograms are the result; blocks are gathered and normalised.
    #[inline(always)]
    fn finish(&self, histograms: &[f32], out: &mut [f32]) {
        let Some(clip) = self.clip else {
            out.copy_from_slice(&histograms[..out.len()]);
            return;
        };
        match self.orientations {
            9 => self.finish_blocks(9, clip, histograms, out),
            n => self.finish_blocks(n, clip, histograms, out),
        }
    }

    #[inline(always)]
    fn finish_blocks(&self, n: usize, clip: f32, histograms: &[f32], out: &mut [f32]) {
        let (per_row, cell_row) = (self.columns.len() * n, BLOCK * n);
        let rows = out.chunks_exact_mut(per_row / cell_row * BLOCK * cell_row);
        for (blocks, slots) in rows.zip(histograms.chunks_exact(BLOCK * per_row)) {
            let (above, below) = slots.split_at(per_row);
            let cells = above.chunks_exact(cell_row).zip(below.chunks_exact(cell_row));
            for (values, (above, below)) in blocks.chunks_exact_mut(BLOCK * cell_row).zip(cells) {
                values[..cell_row].copy_from_slice(above);
                values[cell_row..].copy_from_slice(below);
                normalise(values, clip);
            }
        }
    }
}

/// One image's encoding as something that pulp compiles for each vector width. A struct and not a closure: a closure's
/// `FnOnce` shim is a function of its own, which the compiler may keep outside the vector code.
struct EncodeOne<'a> {
    plan: &'a Plan,
    image: &'a [u8],
    scratch: &'a mut Scratch,
    out: &'a mut [f32],
}

impl WithSimd for EncodeOne<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { plan, image, scratch, out } = self;
        for top in (0..plan.size.0).step_by(plan.cell) {
            plan.fill_channels(top, image, &mut scratch.channels);
            plan.sum_rows(simd, top / plan.cell, &scratch.channels, &mut scratch.polar, &mut scratch.sums);
            plan.sum_columns(top, &scratch.sums, &mut scratch.turned, &mut scratch.histograms);
        }
        plan.finish(&scratch.histograms, out);
    }
}

/// The two slots of a block along one axis: window times interpolation between its two cells.
fn block_slots(block: usize, cell: usize, gaussian: bool) -> [Slot; BLOCK] {
    let side = BLOCK * cell;
    let half = side as f32 / 2.0;
    // OpenCV's window is centred on the corner between the middle pixels, not between their centres; kept for equality.
    let window =
        |i: f32| if gaussian { (-(i - half).powi(2) / (2.0 * (side as f32 / 4.0).powi(2))).exp() } else { 1.0 };
    std::array::from_fn(|slot| {
        let weight = |i: usize| {
            let at = (i as f32 + 0.5) / cell as f32 - 0.5;
            (1.0 - (at - slot as f32).abs()).max(0.0) * window(i as f32)
        };
        Slot { start: block * cell, weights: (0..side).map(weight).collect() }
    })
}

#[inline(always)]
fn lanes_at(values: &[f32], start: usize) -> &Lanes {
    values[start..].first_chunk().expect("rows have room for whole lanes")
}

#[inline(always)]
fn store(values: &mut [f32], start: usize, lanes: Lanes) {
    values[start..start + LANES].copy_from_slice(&lanes);
}

/// What the loops over pixels depend on.
#[derive(Clone, Copy)]
struct Numbers {
    /// Directions.
    n: usize,
    cell: usize,
    signed: bool,
    interpolate: bool,
    channels: usize,
}

impl Numbers {
    const fn usual(channels: usize) -> Self {
        Self { n: 9, cell: 8, signed: false, interpolate: true, channels }
    }
}

/// Gradients of pixels side by side: lengths l, and directions in bins, from 0 up to n, or, where they are shared, e · l.
struct Polar {
    direction: Lanes,
    length: Lanes,
}

impl Polar {
    /// Vector `part` of what these pixels give to a bin; `FIRST` for bin 0.
    #[inline(always)]
    fn votes<S: Simd, const FIRST: bool>(&self, simd: S, of: Numbers, bin: usize, part: usize) -> S::f32s {
        let direction = S::as_simd_f32s(&self.direction).0[part];
        let length = S::as_simd_f32s(&self.length).0[part];
        if of.interpolate {
            shared_votes::<S, FIRST>(simd, of.n, bin, direction, length)
        } else {
            whole_votes(simd, of.n, bin, direction, length)
        }
    }
}

/// Lengths l shared between the two nearest of n bins, which lie in a circle, from e l.
#[inline(always)]
fn shared_votes<S: Simd, const FIRST: bool>(
    simd: S,
    n: usize,
    bin: usize,
    turned: S::f32s,
    length: S::f32s,
) -> S::f32s {
    if n == 1 {
        return length;
    }
    let mut apart = simd.abs_f32s(simd.mul_add_e_f32s(simd.splat_f32s(-(bin as f32)), length, turned));
    if FIRST {
        let other = simd.mul_add_e_f32s(simd.splat_f32s(-(n as f32)), length, turned);
        apart = simd.min_f32s(apart, simd.abs_f32s(other));
    }
    simd.max_f32s(simd.sub_f32s(length, apart), simd.splat_f32s(0.0))
}

/// Votes of whole lengths for the bin that the direction lies in; the last bin takes what rounding puts behind it.
#[inline(always)]
fn whole_votes<S: Simd>(simd: S, n: usize, bin: usize, direction: S::f32s, length: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    let high = if bin + 1 == n { f32::INFINITY } else { bin as f32 + 1.0 };
    let below_end = simd.select_f32s(simd.less_than_f32s(direction, simd.splat_f32s(high)), length, zero);
    simd.select_f32s(simd.less_than_f32s(direction, simd.splat_f32s(bin as f32)), zero, below_end)
}

/// Central differences of neighbouring pixels, and their squared lengths.
struct Gradient {
    x: Lanes,
    y: Lanes,
    square: Lanes,
}

impl Gradient {
    /// Of the pixels at `middle` + 1 and beyond in a plane whose rows are `stride` apart.
    #[inline(always)]
    fn at(plane: &[f32], middle: usize, stride: usize) -> Self {
        let (left, right) = (lanes_at(plane, middle), lanes_at(plane, middle + 2));
        let (above, below) = (lanes_at(plane, middle + 1 - stride), lanes_at(plane, middle + 1 + stride));
        let (mut x, mut y, mut square) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for i in 0..LANES {
            x[i] = right[i] - left[i];
            y[i] = below[i] - above[i];
            square[i] = x[i].mul_add(x[i], y[i] * y[i]);
        }
        Self { x, y, square }
    }

    /// Another channel's gradient where it is longer. Both sides of a choice are computed before: a store under a mask
    /// must reach memory before it can be read again.
    #[inline(always)]
    fn or_longer(self, other: &Self) -> Self {
        let (mut x, mut y, mut square) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
        for i in 0..LANES {
            let longer = other.square[i] > self.square[i];
            x[i] = if longer { other.x[i] } else { self.x[i] };
            y[i] = if longer { other.y[i] } else { self.y[i] };
            square[i] = if longer { other.square[i] } else { self.square[i] };
        }
        Self { x, y, square }
    }
}

/// L2-Hys with OpenCV's small numbers: a tenth a value beside the first length (intensities 0 to 255), 1e-3 beside the
/// second.
#[inline(always)]
fn normalise(values: &mut [f32], clip: f32) {
    let first = 1.0 / (dot(values, values).sqrt() + 0.1 * values.len() as f32);
    values.iter_mut().for_each(|v| *v = lesser(*v * first, clip));
    let second = 1.0 / (dot(values, values).sqrt() + 1e-3);
    values.iter_mut().for_each(|v| *v *= second);
}
