//! Pictures brought to one size.

use super::options::{Colour, Fit};
use super::resize::{Piece, resize};
use crate::decode::Picture;

/// What was done to fit a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fitting {
    pub(crate) was_resized: bool,
    pub(crate) was_cropped: bool,
}

/// A picture at (height, width), (height, width, 3).
pub(crate) fn fit(picture: Picture, to: (usize, usize), how: Fit) -> (Vec<u8>, Fitting) {
    let whole = Piece { top: 0, left: 0, height: picture.height, width: picture.width };
    let piece = match how {
        Fit::Stretch => whole,
        Fit::Crop => middle((picture.height, picture.width), to),
    };
    let fitting = Fitting {
        was_cropped: (piece.height, piece.width) != (picture.height, picture.width),
        was_resized: (piece.height, piece.width) != to,
    };
    let fitted = match fitting {
        Fitting { was_cropped: false, was_resized: false } => picture.rgb,
        // With as many pixels in as out every weight is 1: a mere crop is copied.
        _ => resize(&picture.rgb, picture.width, piece, to),
    };
    (fitted, fitting)
}

/// The largest middle piece with the proportions of `target`, at least a pixel each way. One side is the picture's; the
/// other is rounded to the nearest pixel.
fn middle((height, width): (usize, usize), target: (usize, usize)) -> Piece {
    let scaled = |side: usize, by: usize, over: usize| ((2 * side * by + over) / (2 * over)).max(1);
    let (crop_height, crop_width) = if height * target.1 > width * target.0 {
        (scaled(width, target.0, target.1).min(height), width)
    } else {
        (height, scaled(height, target.1, target.0).min(width))
    };
    Piece { top: (height - crop_height) / 2, left: (width - crop_width) / 2, height: crop_height, width: crop_width }
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
        let middle = |size, target| {
            let piece = middle(size, target);
            (piece.top, piece.left, piece.height, piece.width)
        };
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
