//! One image file to one RGB picture: PNG, JPEG, BMP, WebP and GIF, told apart by their bytes, not by their names.
//!
//! What is done on the way, in this order: the first frame of an animation is taken; 16 bits become 8 by rounding v / 257;
//! transparency is blended on white, (c·a + 255·(255 − a)) / 255, rounded; the EXIF orientation is applied. A picture is grey
//! when its three channels agree in every pixel. Profiles are ignored: values are those of the file.

use crate::problem::{self, grouped, malformed};
use bakeoff_core::LoadError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
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
        if matches!(image::guess_format(bytes), Ok(ImageFormat::Jpeg)) {
            check_jpeg_end(path, bytes)?;
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
        let (_, mut decoder) = open(path, bytes)?;
        let (width, height) = decoder.dimensions();
        let (width, height) = if is_quarter(orientation(&mut decoder)) { (height, width) } else { (width, height) };
        Ok((height as usize, width as usize))
    })
}

/// Turns a panic of a decoder into an error: the decoders are not ours, and no file may end the program.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, LoadError>) -> Result<T, LoadError> {
    panic::catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(malformed(path, None, "an image", "bytes that its decoder cannot cope with")))
}

fn open<'a>(path: &Path, bytes: &'a [u8]) -> Result<(ImageFormat, impl ImageDecoder + 'a), LoadError> {
    const KNOWN: [ImageFormat; 5] =
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Gif];
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
    let n_pixels = u64::from(width) * u64::from(height);
    if n_pixels == 0 || n_pixels > MOST_PIXELS || decoder.total_bytes() > MOST_BYTES {
        let expected = format!("an image of 1 to {} pixels", grouped(MOST_PIXELS));
        return Err(malformed(path, None, expected, format!("a header that says {width}×{height}")));
    }
    Ok((format, decoder))
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

fn finish(mut image: DynamicImage, format: ImageFormat, turn: Orientation) -> Picture {
    image.apply_orientation(turn);
    let color = image.color();
    let had_16_bits = color.bytes_per_pixel() / color.channel_count() == 2;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (rgb, was_transparent) =
        if color.has_alpha() { blended(&image.into_rgba8()) } else { (image.into_rgb8().into_raw(), false) };
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

/// A picture on white, and whether there was anything to see through.
fn blended(image: &image::RgbaImage) -> (Vec<u8>, bool) {
    let mut rgb = Vec::with_capacity(image.len() / 4 * 3);
    let mut was_transparent = false;
    for pixel in image.pixels() {
        let [channels @ .., alpha] = pixel.0;
        was_transparent |= alpha < 255;
        let alpha = u32::from(alpha);
        rgb.extend(channels.map(|c| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8));
    }
    (rgb, was_transparent)
}

/// Makes sure that a JPEG goes on to its end marker. The decoder fills what is cut off with grey and says nothing.
fn check_jpeg_end(path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    const START_OF_IMAGE: u8 = 0xd8;
    const END_OF_IMAGE: u8 = 0xd9;
    let cut = || malformed(path, bytes.len() as u64, "a whole JPEG image", "the end of the file");
    let mut at = 0;
    loop {
        // Between segments there may be fill bytes; after the header of a scan there is data up to the next marker that
        // is no restart and no stuffed zero.
        let step = bytes.get(at..).unwrap_or_default().windows(2).position(|w| w[0] == 0xff && is_marker(w[1]));
        at += step.ok_or_else(cut)? + 2;
        match bytes[at - 1] {
            END_OF_IMAGE => return Ok(()),
            START_OF_IMAGE => {}
            _ => {
                let length = bytes.get(at..at + 2).ok_or_else(cut)?;
                at += usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
}

/// Whether the byte after 0xff makes a marker with meaning: no stuffed zero, no temporary, no restart, no fill byte.
const fn is_marker(byte: u8) -> bool {
    !matches!(byte, 0x00 | 0x01 | 0xd0..=0xd7 | 0xff)
}
