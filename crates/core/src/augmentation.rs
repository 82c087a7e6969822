//! Augmentation: what an image may look like when training sees it again.
//!
//! It lies in core because whoever makes rows applies it and whoever names it in an experiment checks it, and neither may
//! know features. The order is: mirrored, shifted, covered (Krizhevsky, Sutskever, Hinton 2012; DeVries, Taylor 2017).

use crate::seed::Seed;
use rand::Rng;
use serde::{Deserialize, Serialize};

/// What may be done to a training image, each time drawn anew. Nothing by default: a mirrored 2 is no 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Left and right are exchanged in every other draw.
    pub flip: bool,
    /// Pixels at most by which the image is moved up or down, and left or right; what comes in is the border's mirror
    /// image.
    pub shift: usize,
    /// Side in pixels of a square that gets the image's mean color; its centre is drawn from all pixels, so that it may
    /// stand out over the border. 0 for none.
    pub cutout: usize,
}

impl Augmentation {
    /// Whether images stay as they are.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Writes one draw of an image (height · width · channels bytes) to `out`. The same seed gives the same bytes.
    ///
    /// # Panics
    /// When a slice does not have height · width · channels bytes.
    pub fn draw(self, image: &[u8], (height, width, channels): (usize, usize, usize), seed: Seed, out: &mut [u8]) {
        assert!(image.len() == height * width * channels && out.len() == image.len(), "one image of the shape");
        let mut rng = seed.rng();
        // All numbers are drawn, whatever is switched on: one setting does not change what another draws.
        let mirrored = rng.r#gen::<bool>() && self.flip;
        let mut offset = |side: usize| {
            let most = self.shift.min(side - 1) as i64;
            rng.gen_range(-most..=most)
        };
        let (down, right) = (offset(height), offset(width));
        let center = (rng.gen_range(0..height as u64) as usize, rng.gen_range(0..width as u64) as usize);
        for y in 0..height {
            let line = &image[reflected(y as i64 - down, height) * width * channels..][..width * channels];
            let to = &mut out[y * width * channels..][..width * channels];
            for (x, pixel) in to.chunks_exact_mut(channels).enumerate() {
                let from = reflected(x as i64 - right, width);
                let from = if mirrored { width - 1 - from } else { from };
                pixel.copy_from_slice(&line[from * channels..][..channels]);
            }
        }
        if self.cutout > 0 {
            cover(out, (height, width, channels), center, self.cutout);
        }
    }
}

/// The place within 0..n that a place beyond mirrors; the border's own pixel is not repeated.
fn reflected(place: i64, n: usize) -> usize {
    let last = n as i64 - 1;
    let folded = if place < 0 { -place } else { place };
    (if folded > last { 2 * last - folded } else { folded }).clamp(0, last) as usize
}

/// Gives a square the image's mean color.
fn cover(
    image: &mut [u8],
    (height, width, channels): (usize, usize, usize),
    (row, column): (usize, usize),
    side: usize,
) {
    let mut sums = vec![0u64; channels];
    for pixel in image.chunks_exact(channels) {
        sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u64::from(value));
    }
    let pixels = (height * width) as u64;
    let mean: Vec<u8> = sums.iter().map(|sum| ((sum + pixels / 2) / pixels) as u8).collect();
    let span =
        |center: usize, end: usize| center.saturating_sub(side / 2)..center.saturating_add(side - side / 2).min(end);
    for y in span(row, height) {
        for x in span(column, width) {
            image[(y * width + x) * channels..][..channels].copy_from_slice(&mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 rows of 4 pixels in two channels, all different.
    fn image() -> Vec<u8> {
        (0..24).map(|i| i * 10).collect()
    }

    fn drawn(augmentation: Augmentation, seed: u64) -> Vec<u8> {
        let mut out = vec![0; 24];
        augmentation.draw(&image(), (3, 4, 2), Seed(seed), &mut out);
        out
    }

    #[test]
    fn nothing_leaves_the_image() {
        assert_eq!(drawn(Augmentation::default(), 1), image());
        assert!(Augmentation::default().is_nothing());
    }

    #[test]
    fn a_flip_mirrors_every_other_draw() {
        let flip = Augmentation { flip: true, ..Augmentation::default() };
        let mirrored: Vec<u8> =
            image().chunks(8).flat_map(|line| line.chunks(2).rev().flatten().copied().collect::<Vec<_>>()).collect();
        let flips = (0..400).filter(|&seed| drawn(flip, seed) == mirrored).count();
        let stays = (0..400).filter(|&seed| drawn(flip, seed) == image()).count();
        assert_eq!(flips + stays, 400);
        // Binomial(400, 1/2): five standard deviations are 50.
        assert!(flips.abs_diff(200) < 50, "{flips}");
    }

    #[test]
    fn a_shift_moves_rows_and_columns_and_mirrors_the_border() {
        let shift = Augmentation { shift: 1, ..Augmentation::default() };
        let (pixel, mut seen) = (image(), std::collections::BTreeSet::new());
        for seed in 0..200 {
            let found = drawn(shift, seed);
            let plain = (-1..=1).flat_map(|down| (-1..=1).map(move |right| (down, right))).find(|&(down, right)| {
                (0..3).all(|y| {
                    (0..4).all(|x| {
                        let fold = |v: i64, n: i64| {
                            if v < 0 {
                                -v
                            } else if v >= n {
                                2 * (n - 1) - v
                            } else {
                                v
                            }
                        };
                        let from = (fold(y - down, 3) * 4 + fold(x - right, 4)) as usize * 2;
                        found[(y * 4 + x) as usize * 2..][..2] == pixel[from..from + 2]
                    })
                })
            });
            seen.insert(plain.expect("one of nine shifts"));
        }
        assert_eq!(seen.len(), 9);
    }

    #[test]
    fn a_square_of_the_mean_color_covers_what_it_should() {
        let mut covered = image();
        cover(&mut covered, (3, 4, 2), (0, 3), 2);
        let mut right = image();
        // Means of 0, 20, …, 220 and of 10, 30, …, 230; rows 0 to 0 and columns 2 to 3 lie inside.
        for x in [2, 3] {
            right[x * 2..][..2].copy_from_slice(&[110, 120]);
        }
        assert_eq!(covered, right);
        let cutout = Augmentation { cutout: 100, ..Augmentation::default() };
        assert!(drawn(cutout, 3).chunks(2).all(|pixel| pixel == [110, 120]));
    }

    #[test]
    fn absurd_sizes_stay_inside() {
        let wild = Augmentation { flip: true, shift: usize::MAX, cutout: usize::MAX };
        let mut out = [7];
        wild.draw(&[9], (1, 1, 1), Seed(0), &mut out);
        assert_eq!(out, [9]);
        assert_eq!(drawn(wild, 5).len(), 24);
    }
}
