//! Pictures brought to one size.

use super::options::{Colour, Fit};
use crate::decode::Picture;
use image::RgbImage;
use image::imageops::{self, FilterType};

/// What was done to fit a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fitting {
    pub(crate) was_resized: bool,
    pub(crate) was_cropped: bool,
}

/// A picture at (height, width), (height, width, 3). Resizing averages over what a pixel of the result covers (image's
/// `Triangle` filter, which is Pillow's bilinear one), and uses no function whose last bit depends on the machine.
pub(crate) fn fit(picture: Picture, (height, width): (usize, usize), how: Fit) -> (Vec<u8>, Fitting) {
    let (top, left, crop_height, crop_width) = match how {
        Fit::Stretch => (0, 0, picture.height, picture.width),
        Fit::Crop => middle((picture.height, picture.width), (height, width)),
    };
    let fitting = Fitting {
        was_cropped: (crop_height, crop_width) != (picture.height, picture.width),
        was_resized: (crop_height, crop_width) != (height, width),
    };
    if !fitting.was_cropped && !fitting.was_resized {
        return (picture.rgb, fitting);
    }
    // The decoder made as many bytes as its sizes say, so there always is an image.
    let whole = RgbImage::from_raw(picture.width as u32, picture.height as u32, picture.rgb).unwrap_or_default();
    let view = imageops::crop_imm(&whole, left as u32, top as u32, crop_width as u32, crop_height as u32);
    let fitted = if fitting.was_resized {
        imageops::resize(&*view, width as u32, height as u32, FilterType::Triangle)
    } else {
        view.to_image()
    };
    (fitted.into_raw(), fitting)
}

/// The largest middle piece with the proportions of `target`: (top, left, height, width), at least a pixel each way. One side
/// is the picture's; the other is rounded to the nearest pixel.
fn middle((height, width): (usize, usize), target: (usize, usize)) -> (usize, usize, usize, usize) {
    let scaled = |side: usize, by: usize, over: usize| ((2 * side * by + over) / (2 * over)).max(1);
    let (crop_height, crop_width) = if height * target.1 > width * target.0 {
        (scaled(width, target.0, target.1).min(height), width)
    } else {
        (height, scaled(height, target.1, target.0).min(width))
    };
    ((height - crop_height) / 2, (width - crop_width) / 2, crop_height, crop_width)
}

/// How many channels a set gets.
pub(crate) fn channels(colour: Colour, are_all_grey: bool) -> usize {
    match colour {
        Colour::Grey => 1,
        Colour::Rgb => 3,
        Colour::Auto => 1 + 2 * usize::from(!are_all_grey),
    }
}

/// Luma of RGB pixels by Rec. 601 in integers, as Pillow computes it; grey stays what it is.
pub(crate) fn luma(rgb: &[u8]) -> Vec<u8> {
    let pixel = |p: &[u8]| {
        let [r, g, b] = [p[0], p[1], p[2]].map(u32::from);
        ((19_595 * r + 38_470 * g + 7_471 * b + 32_768) >> 16) as u8
    };
    rgb.chunks_exact(3).map(pixel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Facts;
    use proptest::prelude::*;

    fn picture(height: usize, width: usize) -> Picture {
        let value = |i: usize| (i / 3 / width * 10 + i / 3 % width + i % 3 * 100) as u8;
        Picture { height, width, rgb: (0..height * width * 3).map(value).collect(), facts: Facts::default() }
    }

    #[test]
    fn the_middle_of_the_right_proportions_is_taken() {
        assert_eq!(middle((480, 640), (64, 64)), (0, 80, 480, 480));
        assert_eq!(middle((640, 480), (64, 64)), (80, 0, 480, 480));
        assert_eq!(middle((100, 100), (32, 64)), (25, 0, 50, 100));
        assert_eq!(middle((1, 1), (64, 64)), (0, 0, 1, 1));
        assert_eq!(middle((1, 20_000), (64, 64)), (0, 9999, 1, 1));
        assert_eq!(middle((3, 5), (1, 4096)), (1, 0, 1, 5));
    }

    #[test]
    fn a_picture_of_the_right_size_is_left_alone_and_a_crop_is_exact() {
        let (same, fitting) = fit(picture(3, 4), (3, 4), Fit::Crop);
        assert_eq!((same, fitting.was_cropped, fitting.was_resized), (picture(3, 4).rgb, false, false));
        let (cut, fitting) = fit(picture(2, 4), (2, 2), Fit::Crop);
        assert_eq!((fitting.was_cropped, fitting.was_resized), (true, false));
        assert_eq!(cut.iter().step_by(3).copied().collect::<Vec<_>>(), [1, 2, 11, 12]);
        let (stretched, fitting) = fit(picture(2, 4), (2, 2), Fit::Stretch);
        assert_eq!((stretched.len(), fitting.was_cropped, fitting.was_resized), (12, false, true));
    }

    #[test]
    fn grey_keeps_its_value_and_colors_get_their_luma() {
        let greys: Vec<u8> = (0..=255).flat_map(|v| [v, v, v]).collect();
        assert_eq!(luma(&greys), (0..=255).collect::<Vec<_>>());
        // 0.299, 0.587 and 0.114 of 255.
        assert_eq!(luma(&[255, 0, 0, 0, 255, 0, 0, 0, 255]), [76, 150, 29]);
    }

    proptest! {
        #[test]
        fn every_size_fits_into_every_size(h in 1usize..9, w in 1usize..9, to in (1usize..9, 1usize..9), crop: bool) {
            let how = if crop { Fit::Crop } else { Fit::Stretch };
            let (fitted, _) = fit(picture(h, w), to, how);
            prop_assert_eq!(fitted.len(), to.0 * to.1 * 3);
            // Averages stay within what is averaged.
            let greatest = picture(h, w).rgb.into_iter().max();
            prop_assert!(fitted.into_iter().max() <= greatest);
        }
    }
}
