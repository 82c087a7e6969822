//! JPEG, held to its own header: image's reader takes damaged files for whole and fills what is missing with grey, so
//! its decoder is called here in its strict mode. Bytes between segments, which some cameras leave and which harm
//! nothing, are forgiven.

use super::{check_size, most_pixels, name_of};
use crate::problem::malformed;
use bakeoff_core::LoadError;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use std::borrow::Cow;
use std::path::Path;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// How the strict decoder tells that there are bytes between segments.
const BYTES_BETWEEN: &str = "[strict-mode]: Extra bytes between headers";

/// The pixels as they are stored, and how they are to be turned.
pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<(DynamicImage, Orientation), LoadError> {
    let most = most_pixels(ImageFormat::Jpeg, bytes.len());
    let bytes = &Outline::of(path, bytes)?.without_end(bytes);
    match attempt(path, bytes, most, true) {
        Err(Fault::Decoder(DecodeErrors::FormatStatic(BYTES_BETWEEN))) => attempt(path, bytes, most, false),
        read => read,
    }
    .map_err(|fault| fault.told(path))
}

/// The (width, height) of the pixels as they are stored, from the header, and how they are to be turned.
pub(super) fn measure(path: &Path, bytes: &[u8]) -> Result<((u32, u32), Orientation), LoadError> {
    let decoder = open(path, bytes, most_pixels(ImageFormat::Jpeg, bytes.len()), false);
    let decoder = decoder.map_err(|fault| fault.told(path))?;
    Ok((size(&decoder), orientation(&decoder)))
}

/// What can go wrong in an attempt.
enum Fault {
    Decoder(DecodeErrors),
    Told(LoadError),
}

impl Fault {
    fn told(self, path: &Path) -> LoadError {
        match self {
            Self::Told(error) => error,
            Self::Decoder(error) => {
                let expected = format!("a sound {} image", name_of(ImageFormat::Jpeg));
                malformed(path, None, expected, error.to_string().trim_end())
            }
        }
    }
}

type Decoder<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

/// A decoder that has read the header.
fn open<'a>(path: &Path, bytes: &'a [u8], most: u64, is_strict: bool) -> Result<Decoder<'a>, Fault> {
    let options =
        DecoderOptions::default().set_strict_mode(is_strict).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(Fault::Decoder)?;
    let (width, height) = size(&decoder);
    check_size(path, (width.into(), height.into()), most).map_err(Fault::Told)?;
    Ok(decoder)
}

/// (width, height), which JPEG writes in 16 bits each.
fn size(decoder: &Decoder<'_>) -> (u32, u32) {
    let (width, height) = decoder.dimensions().unwrap_or_default();
    (width as u32, height as u32)
}

fn orientation(decoder: &Decoder<'_>) -> Orientation {
    decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif)).unwrap_or(Orientation::NoTransforms)
}

fn attempt(path: &Path, bytes: &[u8], most: u64, is_strict: bool) -> Result<(DynamicImage, Orientation), Fault> {
    let mut decoder = open(path, bytes, most, is_strict)?;
    let is_grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let space = if is_grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(space));
    let pixels = decoder.decode().map_err(Fault::Decoder)?;
    let (width, height) = size(&decoder);
    let image = if is_grey {
        GrayImage::from_raw(width, height, pixels).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
    };
    let image = image.ok_or_else(|| {
        Fault::Told(malformed(path, None, format!("pixels for {width}×{height}"), "another number of them"))
    })?;
    Ok((image, orientation(&decoder)))
}

/// Where a file's segments lead.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Outline {
    /// Where the end marker is.
    end: usize,
    n_scans: usize,
    is_progressive: bool,
    has_restarts: bool,
}

impl Outline {
    /// Follows the segments to the end marker.
    fn of(path: &Path, bytes: &[u8]) -> Result<Self, LoadError> {
        const START_OF_IMAGE: u8 = 0xd8;
        const END_OF_IMAGE: u8 = 0xd9;
        const START_OF_SCAN: u8 = 0xda;
        const RESTART_INTERVAL: u8 = 0xdd;
        let cut = || malformed(path, bytes.len() as u64, "a whole JPEG image", "the end of the file");
        let mut outline = Self::default();
        let mut at = 0;
        loop {
            // Between segments there may be fill bytes; after the header of a scan there is data up to the next marker
            // that is no restart and no stuffed zero.
            let step = bytes.get(at..).unwrap_or_default().windows(2).position(|w| w[0] == 0xff && is_marker(w[1]));
            at += step.ok_or_else(cut)? + 2;
            let marker = bytes[at - 1];
            match marker {
                END_OF_IMAGE => return Ok(Self { end: at - 2, ..outline }),
                START_OF_IMAGE => continue,
                START_OF_SCAN => outline.n_scans += 1,
                RESTART_INTERVAL => outline.has_restarts = true,
                // Huffman sequential frames are 0xc0 and 0xc1; tables and reserved numbers lie between the others.
                0xc2 | 0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => outline.is_progressive = true,
                _ => {}
            }
            let length = bytes.get(at..at + 2).ok_or_else(cut)?;
            at += usize::from(u16::from_be_bytes([length[0], length[1]]));
        }
    }

    /// The bytes as they are given to the decoder. Met by the end marker before its last block, it makes up the rest
    /// and says nothing; met by the end of the bytes, it does say so. So the marker of a plain image, of one scan
    /// without restarts, is exchanged for a few zeros, which the decoder's reading ahead may use up.
    fn without_end(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        const READ_AHEAD: [u8; 16] = [0; 16];
        if self.is_progressive || self.has_restarts || self.n_scans != 1 {
            return Cow::Borrowed(bytes);
        }
        Cow::Owned([&bytes[..self.end], &READ_AHEAD].concat())
    }
}

/// Whether the byte after 0xff makes a marker with meaning: no stuffed zero, no temporary, no restart, no fill byte.
const fn is_marker(byte: u8) -> bool {
    !matches!(byte, 0x00 | 0x01 | 0xd0..=0xd7 | 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of 24 by 16 pixels in which no block is empty.
    fn sample(is_progressive: bool) -> Vec<u8> {
        let name = if is_progressive { "progressive.jpg" } else { "rgb.jpg" };
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/samples/images/");
        std::fs::read(format!("{folder}{name}")).unwrap()
    }

    /// The same file with other sizes in its header.
    fn lying(mut bytes: Vec<u8>, height: u16, width: u16) -> Vec<u8> {
        let frame = bytes.windows(2).position(|w| matches!(w, [0xff, 0xc0 | 0xc2])).unwrap();
        bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
        bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<(u32, u32), String> {
        let read = decode(Path::new("x"), bytes);
        read.map(|(image, _)| (image.height(), image.width())).map_err(|e| e.to_string())
    }

    #[test]
    fn a_header_that_promises_more_than_there_is_is_not_believed() {
        for bytes in [sample(false), sample(true)] {
            assert_eq!(read(&bytes), Ok((16, 24)));
            for (height, width) in [(64, 24), (16, 96), (200, 200)] {
                let text = read(&lying(bytes.clone(), height, width)).unwrap_err();
                assert!(text.starts_with("x: expected a sound JPEG image, found "), "{text}");
            }
            let text = read(&lying(bytes.clone(), 9000, 9000)).unwrap_err();
            assert!(
                text.contains("pixels, which a file of this size can hold, found a header that says 9000×9000"),
                "{text}"
            );
            assert!(read(&lying(bytes.clone(), 0, 24)).is_err());
            // Measuring and decoding draw the line at the same size, though decoding works on changed bytes.
            let most = most_pixels(ImageFormat::Jpeg, bytes.len()) / 16;
            for width in [most as u16, most as u16 + 1] {
                let lying = lying(bytes.clone(), 16, width);
                let is_too_large = |text: String| text.contains("which a file of this size can hold");
                let measured = crate::decode::measure(Path::new("x"), &lying).err().map(|e| e.to_string());
                assert_eq!(measured.is_some_and(is_too_large), u64::from(width) > most);
                assert_eq!(read(&lying).err().is_some_and(is_too_large), u64::from(width) > most);
            }
        }
    }

    #[test]
    fn bytes_between_segments_and_after_the_end_are_forgiven() {
        let plain = sample(false);
        let table = plain.windows(2).position(|w| w == [0xff, 0xdb]).unwrap();
        let padded = [&plain[..table], &[0; 9], &plain[table..], &[1, 2, 3]].concat();
        let pixels = |bytes: &[u8]| decode(Path::new("x"), bytes).unwrap().0.into_bytes();
        assert_eq!(pixels(&padded), pixels(&plain));
    }

    #[test]
    fn a_file_without_its_end_is_cut() {
        let plain = sample(false);
        let cut = read(&plain[..plain.len() - 2]).unwrap_err();
        assert_eq!(
            cut,
            format!("x: expected a whole JPEG image, found the end of the file at byte {}", plain.len() - 2)
        );
        assert!(read(&[0xff, 0xd8]).unwrap_err().contains("a whole JPEG image"));
        assert!(read(&[0xff, 0xd8, 0xff, 0xe0, 0xff, 0xff]).unwrap_err().contains("a whole JPEG image"));
    }
}
