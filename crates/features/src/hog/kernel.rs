//! The fast path of HoG.
//!
//! Votes are separable: a pixel's weight in a cell of a block is a product of a row weight and a column weight (window
//! and interpolation both are). So instead of scattering every pixel into up to 16 histograms, each row of cells is
//! turned into one plane of votes a direction, the planes are summed down their rows with each slot's row weights, the
//! sums turned so that directions lie side by side, and those summed across columns. All of it runs over groups of 16
//! pixels that the compiler turns into vector instructions, chosen at run time.

use super::{Form, Gamma, Hog};
use crate::gradient::{angle, dot, lesser};
use pulp::{Simd, WithSimd};
use std::f32::consts::PI;

/// Pixels handled together.
const LANES: usize = 16;
type Lanes = [f32; LANES];

/// Where and with what weights a slot (a cell of a block, or a cell) sums its rows or columns.
struct Slot {
    start: usize,
    weights: Vec<f32>,
}

/// Row slots summed together; no more are in work at any row of cells, so slot i's sums are at i mod 4.
const TOGETHER: usize = 4;

/// What one row of cells gives to up to four row slots.
struct Share {
    /// Where their sums are; where there are fewer than four, a place that nobody reads.
    slots: [usize; TOGETHER],
    /// Whether it is the slot's first row of cells: its sums start at 0.
    first: [bool; TOGETHER],
    /// Of each row of pixels, in those slots.
    weights: Vec<[f32; TOGETHER]>,
}

/// The shares of the row of cells that begins at `top`.
fn shares(slots: &[Slot], top: usize, cell: usize) -> Vec<Share> {
    let touched =
        |slot: &&usize| (slots[**slot].start..slots[**slot].start + slots[**slot].weights.len()).contains(&top);
    let all: Vec<usize> = (0..slots.len()).collect();
    let touched: Vec<usize> = all.iter().filter(touched).copied().collect();
    let share = |touched: &[usize]| {
        let of = |i: usize| touched.get(i).and_then(|&slot| slots.get(slot));
        let weight = |row: usize, i: usize| of(i).map_or(0.0, |slot| slot.weights[top + row - slot.start]);
        Share {
            slots: std::array::from_fn(|i| touched.get(i).map_or(TOGETHER, |slot| slot % TOGETHER)),
            first: std::array::from_fn(|i| of(i).is_none_or(|slot| slot.start == top)),
            weights: (0..cell).map(|row| std::array::from_fn(|i| weight(row, i))).collect(),
        }
    };
    touched.chunks(TOGETHER).map(share).collect()
}

/// Everything that depends on the settings and the image size alone.
pub(super) struct Plan {
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
    shares: Vec<Vec<Share>>,
    /// Blocks: where the vector is clipped; `None` for the plain form.
    clip: Option<f32>,
}

/// Buffers of one worker.
pub(super) struct Scratch {
    /// Intensities, channel by channel: padded rows with a reflected pixel on each side and room for whole lanes.
    channels: Vec<f32>,
    /// Votes of one row of cells and group of columns: direction, row, column.
    planes: Vec<f32>,
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
            gamma: hog.gamma,
            image: (height, width, channels),
            size: (rows * cell, columns * cell),
            offset: ((rows * cell - height) / 2, (columns * cell - width) / 2),
            cell,
            orientations: hog.orientations.get(),
            signed: hog.signed,
            interpolate: hog.form == Form::Blocks,
            shares: (0..rows).map(|row| shares(&row_slots, row * cell, cell)).collect(),
            rows: row_slots,
            columns: slots(columns),
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

    /// The padded width in whole lanes.
    fn lanes(&self) -> usize {
        self.size.1.next_multiple_of(LANES)
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            channels: vec![0.0; self.image.2 * self.size.0 * self.stride()],
            planes: vec![0.0; self.orientations * self.cell * LANES],
            sums: vec![0.0; (TOGETHER + 1) * self.orientations * self.lanes()],
            turned: vec![0.0; self.padded_orientations() * self.lanes()],
            histograms: vec![0.0; self.dim() + LANES],
        }
    }

    /// Turns one image (height · width · channels bytes) into `out` (d).
    pub(super) fn encode(&self, image: &[u8], scratch: &mut Scratch, out: &mut [f32]) {
        pulp::Arch::new().dispatch(EncodeOne { plan: self, image, scratch, out });
    }

    /// Bytes to padded intensities, one plane a channel.
    #[inline(always)]
    fn fill_channels(&self, image: &[u8], channels: &mut [f32]) {
        let ((height, width, n_channels), (rows, columns)) = (self.image, self.size);
        let (top, left) = self.offset;
        for channel in 0..n_channels {
            for y in 0..rows {
                let from = y.saturating_sub(top).min(height - 1);
                let line = &image[from * width * n_channels..][..width * n_channels];
                let row = &mut channels[(channel * rows + y) * self.stride()..][..self.stride()];
                let inner = &mut row[1..=columns];
                let values = &mut inner[left..left + width];
                if n_channels == 1 {
                    values.iter_mut().zip(line).for_each(|(value, &byte)| *value = f32::from(byte));
                } else {
                    let bytes = line[channel..].iter().step_by(n_channels);
                    values.iter_mut().zip(bytes).for_each(|(value, &byte)| *value = f32::from(byte));
                }
                if self.gamma == Gamma::Sqrt {
                    values.iter_mut().for_each(|value| *value = value.sqrt());
                }
                let (first, last) = (inner[left], inner[left + width - 1]);
                inner[..left].fill(first);
                inner[left + width..].fill(last);
                // Reflected without repeating the border's own pixel; a single column reflects itself.
                let (before, after) = (inner[1.min(columns - 1)], inner[columns.max(2) - 2]);
                row[0] = before;
                row[columns + 1] = after;
                // What lies behind must not look like an edge; it gets no weight, but it must be finite.
                row[columns + 2..].fill(0.0);
            }
        }
    }

    /// Votes of the rows from `top` on, of one group of columns: direction, row, column.
    #[inline(always)]
    fn fill_planes(&self, top: usize, x: usize, channels: &[f32], planes: &mut [f32]) {
        let (rows, stride) = (self.size.0, self.stride());
        for row in 0..self.cell {
            let y = top + row;
            let above = if y == 0 { 1.min(rows - 1) } else { y - 1 };
            let below = if y + 1 < rows { y + 1 } else { rows.max(2) - 2 };
            let (mut gx, mut gy, mut longest) = ([0.0; LANES], [0.0; LANES], [-1.0; LANES]);
            for plane in channels.chunks_exact(rows * stride) {
                let at = |y: usize, x: usize| lanes_at(plane, y * stride + x);
                let (left, right) = (at(y, x), at(y, x + 2));
                strongest(left, right, at(above, x + 1), at(below, x + 1), &mut gx, &mut gy, &mut longest);
            }
            let (direction, length) = self.direction_and_length(&gx, &gy, &longest);
            let place = |bin: usize| (bin * self.cell + row) * LANES;
            if self.interpolate {
                shared_votes(self.orientations, &direction, &length, |bin, votes| store(planes, place(bin), votes));
            } else {
                whole_votes(self.orientations, &direction, &length, |bin, votes| store(planes, place(bin), votes));
            }
        }
    }

    /// Directions in bins (from 0 up to `orientations`) and lengths of gradients.
    #[inline(always)]
    fn direction_and_length(&self, gx: &Lanes, gy: &Lanes, squares: &Lanes) -> (Lanes, Lanes) {
        let per_radian = self.orientations as f32 / if self.signed { 2.0 * PI } else { PI };
        let (mut direction, mut length) = ([0.0; LANES], [0.0; LANES]);
        for i in 0..LANES {
            length[i] = squares[i].sqrt();
            direction[i] = angle(gx[i], gy[i], self.signed) * per_radian;
        }
        (direction, length)
    }

    /// Directions in whole lanes.
    fn padded_orientations(&self) -> usize {
        self.orientations.next_multiple_of(LANES)
    }

    /// Adds the row of cells `row` to every slot that it weighs in, group of columns by group, so that votes stay in the
    /// first cache, and direction by direction, so that a vote is read once for up to four slots.
    #[inline(always)]
    fn sum_rows(&self, row: usize, channels: &[f32], planes: &mut [f32], sums: &mut [f32]) {
        for x in (0..self.lanes()).step_by(LANES) {
            self.fill_planes(row * self.cell, x, channels, planes);
            for share in &self.shares[row] {
                for (direction, plane) in planes.chunks_exact(self.cell * LANES).enumerate() {
                    self.add_plane(share, direction * self.lanes() + x, plane, sums);
                }
            }
        }
    }

    #[inline(always)]
    fn add_plane(&self, share: &Share, start: usize, plane: &[f32], sums: &mut [f32]) {
        let of_slot = self.orientations * self.lanes();
        let mut totals = [[0.0f32; LANES]; TOGETHER];
        for ((total, slot), first) in totals.iter_mut().zip(share.slots).zip(share.first) {
            if !first {
                *total = *lanes_at(sums, slot * of_slot + start);
            }
        }
        for (votes, weights) in plane.as_chunks::<LANES>().0.iter().zip(&share.weights) {
            for (total, &weight) in totals.iter_mut().zip(weights) {
                for i in 0..LANES {
                    total[i] = votes[i].mul_add(weight, total[i]);
                }
            }
        }
        for (total, slot) in totals.into_iter().zip(share.slots) {
            store(sums, slot * of_slot + start, total);
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
        let padded = self.padded_orientations();
        for (direction, line) in sums.chunks_exact(self.lanes()).enumerate() {
            turned[direction..].iter_mut().step_by(padded).zip(line).for_each(|(to, &from)| *to = from);
        }
    }

    /// Whole lanes are written; what they hold beyond their directions is overwritten by those that come next.
    #[inline(always)]
    fn sum_turned(&self, turned: &[f32], histograms: &mut [f32]) {
        let padded = self.padded_orientations();
        for (j, slot) in self.columns.iter().enumerate() {
            for group in (0..self.orientations).step_by(LANES) {
                let mut total = [0.0f32; LANES];
                let columns = turned[slot.start * padded..].chunks_exact(padded);
                for (column, &weight) in columns.zip(&slot.weights) {
                    let votes = lanes_at(column, group);
                    for i in 0..LANES {
                        total[i] = votes[i].mul_add(weight, total[i]);
                    }
                }
                store(histograms, j * self.orientations + group, total);
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
        let per_row = self.columns.len() * self.orientations;
        let cell_row = BLOCK * self.orientations;
        let blocks = out.chunks_exact_mut(BLOCK * cell_row).enumerate();
        for (block, values) in blocks {
            let (y, x) = (block / (self.columns.len() / BLOCK), block % (self.columns.len() / BLOCK));
            for (cell, part) in values.chunks_exact_mut(cell_row).enumerate() {
                part.copy_from_slice(&histograms[(y * BLOCK + cell) * per_row + x * cell_row..][..cell_row]);
            }
            normalise(values, clip);
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
    fn with_simd<S: Simd>(self, _: S) {
        let Self { plan, image, scratch, out } = self;
        plan.fill_channels(image, &mut scratch.channels);
        for top in (0..plan.size.0).step_by(plan.cell) {
            plan.sum_rows(top / plan.cell, &scratch.channels, &mut scratch.planes, &mut scratch.sums);
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

/// Votes of whole lengths for the bin that the direction lies in; the last bin takes what rounding puts behind it.
#[inline(always)]
fn whole_votes(n: usize, direction: &Lanes, length: &Lanes, mut store: impl FnMut(usize, Lanes)) {
    for bin in 0..n {
        let (low, high) = (bin as f32, if bin + 1 == n { f32::INFINITY } else { bin as f32 + 1.0 });
        let mut votes = [0.0; LANES];
        for i in 0..LANES {
            votes[i] = if direction[i] >= low && direction[i] < high { length[i] } else { 0.0 };
        }
        store(bin, votes);
    }
}

/// Lengths shared between the two nearest of n bins, which lie in a circle, bin i centred at i + ½.
#[inline(always)]
fn shared_votes(n: usize, direction: &Lanes, length: &Lanes, mut store: impl FnMut(usize, Lanes)) {
    let (mut lower, mut to_lower, mut to_next) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for i in 0..LANES {
        // Directions before the first centre lie between the last bin, which is bin −1, and the first.
        lower[i] = (direction[i] + 0.5).floor() - 1.0;
        to_next[i] = length[i] * (direction[i] - 0.5 - lower[i]);
        to_lower[i] = length[i] - to_next[i];
    }
    for bin in 0..n {
        let (this, before) = (bin as f32, bin as f32 - 1.0);
        let mut votes = [0.0; LANES];
        for i in 0..LANES {
            let vote = if lower[i] == this { to_lower[i] } else { 0.0 };
            votes[i] = if lower[i] == before { to_next[i] } else { vote };
        }
        if bin == 0 {
            let last = n as f32 - 1.0;
            for i in 0..LANES {
                votes[i] += if lower[i] == last { to_next[i] } else { 0.0 };
            }
        }
        if bin + 1 == n {
            for i in 0..LANES {
                votes[i] += if lower[i] == -1.0 { to_lower[i] } else { 0.0 };
            }
        }
        store(bin, votes);
    }
}

/// Takes over this channel's gradient where it is longer than the longest so far.
#[inline(always)]
fn strongest(
    left: &Lanes,
    right: &Lanes,
    above: &Lanes,
    below: &Lanes,
    gx: &mut Lanes,
    gy: &mut Lanes,
    longest: &mut Lanes,
) {
    for i in 0..LANES {
        let (dx, dy) = (right[i] - left[i], below[i] - above[i]);
        let square = dx.mul_add(dx, dy * dy);
        let longer = square > longest[i];
        gx[i] = if longer { dx } else { gx[i] };
        gy[i] = if longer { dy } else { gy[i] };
        longest[i] = if longer { square } else { longest[i] };
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
