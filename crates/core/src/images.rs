//! Batches of 8-bit images of one size.

use ndarray::{Array4, ArrayView4};
use thiserror::Error;

/// n images of one size, (n, height, width, channels), row-major, intensities 0..=255.
///
/// Invariant: height, width and channels are at least 1 and the array is contiguous, so that every image is one
/// slice of `height * width * channels` bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    pixels: Array4<u8>,
}

/// A batch whose images have no pixels.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[error("images of {height}×{width}×{channels} have no pixels")]
pub struct ShapeError {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Values a pixel.
    pub channels: usize,
}

impl Images {
    /// Takes pixels of shape (n, height, width, channels); n may be 0.
    ///
    /// # Errors
    /// [`ShapeError`] when height, width or channels is 0.
    pub fn new(pixels: Array4<u8>) -> Result<Self, ShapeError> {
        let (_, height, width, channels) = pixels.dim();
        if height == 0 || width == 0 || channels == 0 {
            return Err(ShapeError { height, width, channels });
        }
        let pixels = if pixels.is_standard_layout() { pixels } else { pixels.as_standard_layout().into_owned() };
        Ok(Self { pixels })
    }

    /// All images, borrowed.
    ///
    /// # Panics
    /// Never: the constructor keeps the array contiguous.
    pub fn view(&self) -> ImagesView<'_> {
        let (n, height, width, channels) = self.pixels.dim();
        let bytes = self.pixels.as_slice().expect("Images::new keeps the standard layout");
        ImagesView { bytes, n, height, width, channels }
    }

    /// The images at these positions, in this order, copied.
    ///
    /// # Panics
    /// When a position is not below n.
    #[must_use]
    pub fn select(&self, positions: &[usize]) -> Self {
        Self { pixels: self.pixels.select(ndarray::Axis(0), positions) }
    }

    /// Number of images, n.
    pub fn len(&self) -> usize {
        self.pixels.dim().0
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// (height, width, channels) of every image.
    pub fn shape(&self) -> (usize, usize, usize) {
        let (_, h, w, c) = self.pixels.dim();
        (h, w, c)
    }
}

/// Borrowed images; the layout of [`Images`]. Copying it copies no pixel.
#[derive(Debug, Clone, Copy)]
pub struct ImagesView<'a> {
    bytes: &'a [u8],
    n: usize,
    height: usize,
    width: usize,
    channels: usize,
}

impl<'a> ImagesView<'a> {
    /// One image of this (height, width, channels), its bytes row-major, channels innermost.
    ///
    /// # Panics
    /// When there are not height · width · channels bytes, or none.
    pub fn one(bytes: &'a [u8], (height, width, channels): (usize, usize, usize)) -> Self {
        assert!(!bytes.is_empty() && bytes.len() == height * width * channels, "one image's bytes");
        Self { bytes, n: 1, height, width, channels }
    }

    /// Number of images, n.
    pub fn len(self) -> usize {
        self.n
    }

    /// Whether there is no image.
    pub fn is_empty(self) -> bool {
        self.n == 0
    }

    /// Height in pixels.
    pub fn height(self) -> usize {
        self.height
    }

    /// Width in pixels.
    pub fn width(self) -> usize {
        self.width
    }

    /// Values a pixel: 1 for grey, 3 for RGB.
    pub fn channels(self) -> usize {
        self.channels
    }

    /// (height, width, channels) of every image.
    pub fn shape(self) -> (usize, usize, usize) {
        (self.height, self.width, self.channels)
    }

    /// Bytes an image takes: height · width · channels.
    pub fn stride(self) -> usize {
        self.height * self.width * self.channels
    }

    /// The bytes of image `i`, row-major, channels innermost.
    ///
    /// # Panics
    /// When `i` is not below n.
    pub fn image(self, i: usize) -> &'a [u8] {
        assert!(i < self.n, "image {i} of {}", self.n);
        &self.bytes[i * self.stride()..][..self.stride()]
    }

    /// Every image's bytes, in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.bytes.chunks_exact(self.stride())
    }

    /// The images from `start` up to, not including, `end`.
    ///
    /// # Panics
    /// When the range does not lie within 0..=n.
    pub fn range(self, start: usize, end: usize) -> Self {
        assert!(start <= end && end <= self.n, "images {start}..{end} of {}", self.n);
        let bytes = &self.bytes[start * self.stride()..end * self.stride()];
        Self { bytes, n: end - start, ..self }
    }

    /// The pixels as an array, (n, height, width, channels).
    ///
    /// # Panics
    /// Never: the slice has as many bytes as the shape says.
    pub fn pixels(self) -> ArrayView4<'a, u8> {
        ArrayView4::from_shape((self.n, self.height, self.width, self.channels), self.bytes)
            .expect("a view's bytes fill its shape")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting() -> Images {
        let pixels = Array4::from_shape_fn((3, 2, 4, 1), |(n, y, x, _)| (n * 100 + y * 10 + x) as u8);
        Images::new(pixels).unwrap()
    }

    #[test]
    fn an_image_is_one_row_major_slice() {
        let images = counting();
        assert_eq!(images.view().image(1), [100, 101, 102, 103, 110, 111, 112, 113]);
        assert_eq!(images.view().range(1, 3).image(1)[0], 200);
        assert_eq!(images.select(&[2, 0]).view().image(0)[0], 200);
    }

    #[test]
    fn a_transposed_array_is_brought_to_standard_layout() {
        let mut pixels = Array4::from_shape_fn((1, 2, 3, 1), |(_, y, x, _)| (y * 10 + x) as u8);
        pixels.swap_axes(1, 2);
        let images = Images::new(pixels).unwrap();
        assert_eq!(images.view().image(0), [0, 10, 1, 11, 2, 12]);
    }

    #[test]
    fn images_without_pixels_are_refused() {
        let error = Images::new(Array4::zeros((1, 0, 3, 1))).unwrap_err();
        assert_eq!(error, ShapeError { height: 0, width: 3, channels: 1 });
        assert!(Images::new(Array4::zeros((0, 2, 3, 1))).unwrap().is_empty());
    }
}
