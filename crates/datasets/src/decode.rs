//! One image file to one RGB picture: PNG, JPEG, BMP, WebP and GIF, told apart by their bytes, not by their names.
//!
//! What is done on the way, in this order: the first frame of an animation is taken; 16 bits become 8 by rounding v /
//! 257; transparency is blended on white, (c·a + 255·(255 − a)) / 255, rounded; the EXIF orientation is applied. A
//! picture is grey when its three channels agree in every pixel. Profiles are ignored: values are those of the file.

mod jpeg;

use crate::problem::{self, grouped, malformed};
use bakeoff_core::LoadError;
use image::buffer::ConvertBuffer;
use image::metadata::Orientation;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage, RgbaImage, imageops,
};
use std::io::Cursor;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

/// Pixels that an image may have. 20,000×20,000 is refused; the largest photographs of today are not.
pub const MOST_PIXELS: u64 = 120_000_000;
/// Bytes that decoding may take at once.
const MOST_BYTES: u64 = 1 << 30;

/// A decoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Height in pixels, at least 1.
    pub height: usize,
    /// Width in pixels, at least 1.
    pub width: usize,
    /// (height, width, 3), red, green, blue.
    pub rgb: Vec<u8>,
    /// What was done to it.
    pub facts: Facts,
}

/// What a picture was and what was done to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and each is counted apart")]
pub struct Facts {
    /// Its channels agree everywhere.
    pub is_grey: bool,
    /// It had 16 bits a channel.
    pub had_16_bits: bool,
    /// It had a pixel that was not opaque.
    pub was_transparent: bool,
    /// Its EXIF orientation was not the usual one.
    pub was_turned: bool,
    /// It is a GIF, of which the first frame was taken.
    pub is_gif: bool,
}

/// Decodes an image. `path` is for messages only.
///
/// # Errors
/// [`LoadError::Malformed`] when the bytes are no image of the five formats, are damaged or cut, or ask for more than
/// [`MOST_PIXELS`].
pub fn decode(path: &Path, bytes: &[u8]) -> Result<Picture, LoadError> {
    guarded(path, || {
        if is_jpeg(bytes) {
            let (image, turn) = jpeg::decode(path, bytes)?;
            return Ok(finish(image, ImageFormat::Jpeg, turn));
        }
        let (format, mut decoder) = open(path, bytes)?;
        let turn = orientation(&mut decoder);
        let image = DynamicImage::from_decoder(decoder).map_err(|e| told(path, format, &e))?;
        Ok(finish(image, format, turn))
    })
}

/// The (height, width) that an image will have, from its header.
///
/// # Errors
/// As [`decode`], as far as the header tells.
pub fn measure(path: &Path, bytes: &[u8]) -> Result<(usize, usize), LoadError> {
    guarded(path, || {
        let ((width, height), turn) = if is_jpeg(bytes) {
            jpeg::measure(path, bytes)?
        } else {
            let (_, mut decoder) = open(path, bytes)?;
            (decoder.dimensions(), orientation(&mut decoder))
        };
        let (width, height) = if is_quarter(turn) { (height, width) } else { (width, height) };
        Ok((height as usize, width as usize))
    })
}

fn is_jpeg(bytes: &[u8]) -> bool {
    matches!(image::guess_format(bytes), Ok(ImageFormat::Jpeg))
}

/// Turns a panic of a decoder into an error: the decoders are not ours, and no file may end the program.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, LoadError>) -> Result<T, LoadError> {
    panic::catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(malformed(path, None, "an image", "bytes that its decoder cannot cope with")))
}

fn open<'a>(path: &Path, bytes: &'a [u8]) -> Result<(ImageFormat, impl ImageDecoder + 'a), LoadError> {
    // JPEG goes another way.
    const KNOWN: [ImageFormat; 4] = [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Gif];
    let expected = "a PNG, JPEG, BMP, WebP or GIF image";
    let format = match image::guess_format(bytes) {
        Ok(format) if KNOWN.contains(&format) => format,
        Ok(other) => return Err(malformed(path, 0, expected, format!("a file of format {}", name_of(other)))),
        Err(_) => return Err(malformed(path, 0, expected, looks_like(bytes))),
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| told(path, format, &e))?;
    let (width, height) = decoder.dimensions();
    check_size(path, (u64::from(width), u64::from(height)), most_pixels(format, bytes.len()))?;
    if decoder.total_bytes() > MOST_BYTES {
        let (most, bytes) = (grouped(MOST_BYTES), grouped(decoder.total_bytes()));
        return Err(malformed(
            path,
            None,
            format!("an image of at most {most} bytes"),
            format!("a header that asks for {bytes}"),
        ));
    }
    Ok((format, decoder))
}

/// Pixels that a file of `len` bytes can hold. A PNG has at best eight pixels a byte and deflate makes 1,032 bytes of
/// one; a JPEG takes a bit at least for 64 pixels. The other formats can say much in few bytes.
fn most_pixels(format: ImageFormat, len: usize) -> u64 {
    let a_byte = match format {
        ImageFormat::Png => 8 * 1032,
        ImageFormat::Jpeg => 8 * 64,
        _ => return MOST_PIXELS,
    };
    (len as u64).saturating_mul(a_byte).min(MOST_PIXELS)
}

fn check_size(path: &Path, (width, height): (u64, u64), most: u64) -> Result<(), LoadError> {
    let n_pixels = width.saturating_mul(height);
    if (1..=most).contains(&n_pixels) {
        return Ok(());
    }
    let room = if most < MOST_PIXELS && n_pixels <= MOST_PIXELS { ", which a file of this size can hold" } else { "" };
    let expected =
        format!("an image of 1 to {} pixels{room}", grouped(if room.is_empty() { MOST_PIXELS } else { most }));
    Err(malformed(path, None, expected, format!("a header that says {width}×{height}")))
}

/// What bytes that are no image look like.
fn looks_like(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(64)];
    match start {
        [] => "an empty file".to_owned(),
        [b'%', b'P', b'D', b'F', ..] => "a PDF document".to_owned(),
        _ if start.get(4..8) == Some(b"ftyp") => "an HEIC, AVIF or video file".to_owned(),
        _ if start.iter().all(|&byte| (32..127).contains(&byte) || (8..14).contains(&byte)) => "text".to_owned(),
        _ => format!("bytes {:02x?}", &start[..start.len().min(8)]),
    }
}

/// A format's usual name: its usual ending in capitals.
fn name_of(format: ImageFormat) -> String {
    match format {
        ImageFormat::Jpeg => "JPEG".to_owned(),
        ImageFormat::WebP => "WebP".to_owned(),
        other => other.extensions_str().first().map_or_else(|| format!("{other:?}"), |ending| ending.to_uppercase()),
    }
}

fn told(path: &Path, format: ImageFormat, error: &ImageError) -> LoadError {
    match error {
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            malformed(path, None, format!("a whole {} image", name_of(format)), "the end of the file")
        }
        ImageError::IoError(e) if !matches!(e.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::Other) => {
            problem::io(path, std::io::Error::new(e.kind(), e.to_string()))
        }
        other => malformed(path, None, format!("a sound {} image", name_of(format)), other.to_string().trim_end()),
    }
}

/// An orientation that cannot be read is none: the pixels are still there.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

const fn is_quarter(turn: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(turn, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

fn finish(image: DynamicImage, format: ImageFormat, turn: Orientation) -> Picture {
    let color = image.color();
    let had_16_bits = color.bytes_per_pixel() / color.channel_count() == 2;
    let (rgb, was_transparent) = if color.has_alpha() { blended(&rgba8(image)) } else { (rgb8(image), false) };
    let image = turned(rgb, turn);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let rgb = image.into_raw();
    let is_grey = rgb.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]);
    let facts = Facts {
        is_grey,
        had_16_bits,
        was_transparent,
        was_turned: turn != Orientation::NoTransforms,
        is_gif: format == ImageFormat::Gif,
    };
    Picture { height, width, rgb, facts }
}

// The conversions of image's `DynamicImage` and its turns, as generic functions: those are compiled here, with all optimisations, while
// image itself is compiled without any, in a quarter of the time.

fn rgb8(image: DynamicImage) -> RgbImage {
    match image {
        DynamicImage::ImageRgb8(rgb) => rgb,
        DynamicImage::ImageLuma8(grey) => grey.convert(),
        DynamicImage::ImageLuma16(grey) => grey.convert(),
        DynamicImage::ImageRgb16(rgb) => rgb.convert(),
        other => other.into_rgb8(),
    }
}

fn rgba8(image: DynamicImage) -> RgbaImage {
    match image {
        DynamicImage::ImageRgba8(rgba) => rgba,
        DynamicImage::ImageLumaA8(grey) => grey.convert(),
        DynamicImage::ImageLumaA16(grey) => grey.convert(),
        DynamicImage::ImageRgba16(rgba) => rgba.convert(),
        other => other.into_rgba8(),
    }
}

fn turned(mut rgb: RgbImage, turn: Orientation) -> RgbImage {
    match turn {
        Orientation::NoTransforms => {}
        Orientation::Rotate90 => rgb = imageops::rotate90(&rgb),
        Orientation::Rotate180 => imageops::rotate180_in_place(&mut rgb),
        Orientation::Rotate270 => rgb = imageops::rotate270(&rgb),
        Orientation::FlipHorizontal => imageops::flip_horizontal_in_place(&mut rgb),
        Orientation::FlipVertical => imageops::flip_vertical_in_place(&mut rgb),
        Orientation::Rotate90FlipH => {
            rgb = imageops::rotate90(&rgb);
            imageops::flip_horizontal_in_place(&mut rgb);
        }
        Orientation::Rotate270FlipH => {
            rgb = imageops::rotate270(&rgb);
            imageops::flip_horizontal_in_place(&mut rgb);
        }
    }
    rgb
}

/// A picture on white, and whether there was anything to see through.
fn blended(image: &RgbaImage) -> (RgbImage, bool) {
    let mut rgb = RgbImage::new(image.width(), image.height());
    let mut was_transparent = false;
    for (pixel, Rgb(rgb)) in image.pixels().zip(rgb.pixels_mut()) {
        let [channels @ .., alpha] = pixel.0;
        was_transparent |= alpha < 255;
        let alpha = u32::from(alpha);
        *rgb = channels.map(|c| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
    }
    (rgb, was_transparent)
}
