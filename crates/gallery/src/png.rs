//! Numbers and images as PNG files.

use bakeoff_report::Picture;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

/// Pixels that a side has at most; larger images are made smaller by whole factors.
const LONGEST_SIDE: usize = 96;

/// A picture of bytes (height, width, channels) with 1 or 3 channels; `None` when they are not that many, or the encoder gives up.
pub fn picture(bytes: &[u8], shape: (usize, usize, usize), alt: String, caption: String) -> Option<Picture> {
    let (height, width, channels) = shape;
    if bytes.len() != height.checked_mul(width)?.checked_mul(channels)? || bytes.is_empty() {
        return None;
    }
    let every = height.max(width).div_ceil(LONGEST_SIDE);
    let (small, size) = if every > 1 { smaller(bytes, shape, every) } else { (bytes.to_vec(), (height, width)) };
    let color = match channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => return None,
    };
    let mut png = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive);
    encoder.write_image(&small, size.1 as u32, size.0 as u32, color).ok()?;
    Some(Picture { png, size, alt, caption, strokes: Vec::new() })
}

/// Means over squares of `every` pixels; what does not fill a square is left out, unless nothing would be left.
fn smaller(bytes: &[u8], (height, width, channels): (usize, usize, usize), every: usize) -> (Vec<u8>, (usize, usize)) {
    let (rows, columns) = ((height / every).max(1), (width / every).max(1));
    let mut small = Vec::with_capacity(rows * columns * channels);
    for row in 0..rows {
        for column in 0..columns {
            for channel in 0..channels {
                let ys = row * every..((row + 1) * every).min(height);
                let xs = column * every..((column + 1) * every).min(width);
                let count = ys.len() * xs.len();
                let square = ys.flat_map(|y| xs.clone().map(move |x| (y * width + x) * channels + channel));
                let sum: usize = square.map(|at| usize::from(bytes[at])).sum();
                small.push((sum / count.max(1)) as u8);
            }
        }
    }
    (small, (rows, columns))
}

/// Numbers as shades about middle grey, which is 0; the greatest of them in absolute value is black or white.
pub fn shades(numbers: &[f32]) -> Vec<u8> {
    let greatest = numbers.iter().filter(|v| v.is_finite()).fold(0.0f32, |most, v| most.max(v.abs()));
    let scale = if greatest > 0.0 { 127.0 / greatest } else { 0.0 };
    numbers.iter().map(|v| if v.is_finite() { (128.0 + v * scale).round() as u8 } else { 128 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_grey_and_the_greatest_is_black_or_white() {
        assert_eq!(shades(&[0.0, -2.0, 1.0, f32::NAN]), [128, 1, 192, 128]);
        assert_eq!(shades(&[0.0, 0.0]), [128, 128]);
    }

    #[test]
    fn a_picture_is_what_the_bytes_say() {
        let made = picture(&[0, 255, 128, 7, 8, 9], (1, 2, 3), "a".into(), "c".into()).unwrap();
        let read = image::load_from_memory(&made.png).unwrap().to_rgb8();
        assert_eq!((read.dimensions(), read.into_raw()), ((2, 1), vec![0, 255, 128, 7, 8, 9]));
        assert_eq!(picture(&[0, 1], (1, 3, 1), String::new(), String::new()), None);
        assert_eq!(picture(&[], (0, 3, 1), String::new(), String::new()), None);
    }

    #[test]
    fn large_images_become_means_of_squares() {
        let (small, size) = smaller(&[0, 10, 99, 20, 30, 99], (2, 3, 1), 2);
        assert_eq!((small, size), (vec![15], (1, 1)));
        let made = picture(&vec![7; 300 * 200 * 3], (300, 200, 3), String::new(), String::new()).unwrap();
        assert_eq!(made.size, (75, 50));
    }
}
