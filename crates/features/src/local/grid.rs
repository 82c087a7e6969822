//! Where the squares of a regular grid lie in an image.

use super::Place;
use bakeoff_core::ExtractError;
use bakeoff_core::params::Fraction;

/// First positions along one side of the image: `count` of them, `step` apart, in the middle of what room there is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Line {
    /// Where the first square begins, in pixels from the image's edge; negative when it overhangs.
    pub(crate) start: f64,
    pub(crate) count: usize,
    pub(crate) step: usize,
}

impl Line {
    /// Squares of `side` pixels along `length` pixels, of which a share of each square may overhang at either end.
    pub(crate) fn new(length: usize, side: f64, step: usize, overhang: Fraction) -> Self {
        let (length, outside) = (length as f64, side * overhang.get());
        let room = length - side + 2.0 * outside;
        // A hair more, so that rounding in `outside` does not lose the last one.
        let more = ((room + 1e-6) / step as f64).floor().max(0.0);
        Self { start: (length - side - more * step as f64) / 2.0, count: more as usize + 1, step }
    }

    /// The same with whole pixels for a start, the lower one of two that are equally near.
    pub(crate) fn of_pixels(length: usize, side: usize, step: usize, overhang: Fraction) -> Self {
        let line = Self::new(length, side as f64, step, overhang);
        Self { start: line.start.floor(), ..line }
    }

    /// Where the squares begin.
    pub(crate) fn starts(self) -> impl Iterator<Item = f64> + Clone {
        (0..self.count).map(move |i| self.start + (i * self.step) as f64)
    }
}

/// Refuses what cannot be meant: squares wholly outside of the image, or larger than any.
pub(crate) fn check(side: f64, overhang: Fraction) -> Result<(), ExtractError> {
    if overhang.get() > 0.5 {
        return Err(ExtractError::refused(format!(
            "an overhang of {}; 0.5, a square's half, is the most",
            overhang.get()
        )));
    }
    if side > 4096.0 {
        return Err(ExtractError::refused(format!("squares of {side} pixels; 4096 are the most")));
    }
    Ok(())
}

/// The places of a grid, row by row.
pub(crate) fn places((height, width): (usize, usize), rows: Line, columns: Line, side: f64) -> Vec<Place> {
    let share = |start: f64, length: usize| ((start + side / 2.0) / length as f64) as f32;
    let row =
        |y: f64| columns.starts().map(move |x| Place { y: share(y, height), x: share(x, width), side: side as f32 });
    rows.starts().flat_map(row).collect()
}

/// An image as floats with its border repeated outwards, where squares overhang.
#[derive(Debug, Clone)]
pub(crate) struct Padded {
    image: (usize, usize, usize),
    top: usize,
    left: usize,
    /// Padded height and width.
    size: (usize, usize),
}

impl Padded {
    /// Room for the squares of `side` pixels of these lines (whole-pixel starts).
    pub(crate) fn new(image: (usize, usize, usize), lines: &[(Line, Line, usize)]) -> Self {
        let before = |line: Line| (-line.start).max(0.0) as usize;
        let after = |line: Line, side: usize, length: usize| {
            let end = line.start + ((line.count - 1) * line.step + side) as f64;
            (end - length as f64).max(0.0) as usize
        };
        let most = |of: &dyn Fn(&(Line, Line, usize)) -> usize| lines.iter().map(of).max().unwrap_or(0);
        let (top, left) = (most(&|l| before(l.0)), most(&|l| before(l.1)));
        let bottom = most(&|l| after(l.0, l.2, image.0));
        let right = most(&|l| after(l.1, l.2, image.1));
        Self { image, top, left, size: (top + image.0 + bottom, left + image.1 + right) }
    }

    /// The image's (height, width, channels).
    pub(crate) fn shape(&self) -> (usize, usize, usize) {
        self.image
    }

    /// Numbers from one padded row to the next.
    pub(crate) fn stride(&self) -> usize {
        self.size.1 * self.image.2
    }

    /// Where the square that begins at (y, x) begins in the padded numbers.
    pub(crate) fn at(&self, y: f64, x: f64) -> usize {
        let (y, x) = ((y + self.top as f64) as usize, (x + self.left as f64) as usize);
        y * self.stride() + x * self.image.2
    }

    /// Bytes to padded floats from 0 to 255.
    pub(crate) fn fill(&self, image: &[u8], padded: &mut Vec<f32>) {
        let (height, width, channels) = self.image;
        padded.resize(self.size.0 * self.stride(), 0.0);
        for (y, row) in padded.chunks_exact_mut(self.stride()).enumerate() {
            let from = y.saturating_sub(self.top).min(height - 1);
            let line = &image[from * width * channels..][..width * channels];
            let (before, rest) = row.split_at_mut(self.left * channels);
            let (inner, after) = rest.split_at_mut(width * channels);
            inner.iter_mut().zip(line).for_each(|(value, &byte)| *value = f32::from(byte));
            repeat(before, &line[..channels]);
            repeat(after, &line[(width - 1) * channels..]);
        }
    }
}

fn repeat(row: &mut [f32], pixel: &[u8]) {
    for values in row.chunks_exact_mut(pixel.len()) {
        values.iter_mut().zip(pixel).for_each(|(value, &byte)| *value = f32::from(byte));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(length: usize, side: f64, step: usize, overhang: f64) -> Vec<f64> {
        Line::new(length, side, step, Fraction::new(overhang).unwrap()).starts().collect()
    }

    #[test]
    fn squares_lie_in_the_middle_and_within() {
        assert_eq!(starts(32, 16.0, 4, 0.0), [0.0, 4.0, 8.0, 12.0, 16.0]);
        assert_eq!(starts(33, 16.0, 4, 0.0), [0.5, 4.5, 8.5, 12.5, 16.5]);
        assert_eq!(starts(10, 10.0, 3, 0.0), [0.0]);
        // Smaller than one square: one at the centre, overhanging on both sides.
        assert_eq!(starts(2, 6.0, 3, 0.0), [-2.0]);
    }

    #[test]
    fn half_an_overhang_puts_centres_up_to_the_edge() {
        assert_eq!(starts(8, 4.0, 4, 0.5), [-2.0, 2.0, 6.0]);
    }

    #[test]
    fn the_border_is_repeated_outwards() {
        let none = Fraction::literal(0.0);
        let line = |length| Line::of_pixels(length, 4, 1, none);
        let padded = Padded::new((1, 2, 2), &[(line(1), line(2), 4)]);
        let mut values = Vec::new();
        padded.fill(&[1, 2, 3, 4], &mut values);
        assert_eq!(values.len(), 4 * 4 * 2);
        for row in values.chunks(8) {
            assert_eq!(row, [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]);
        }
        assert_eq!(padded.at(line(1).start, line(2).start), 0);
    }
}
