//! Changes of images, by strength: moved, turned, lit, covered with noise, blurred.

use crate::points::normal;
use bakeoff_core::{Images, Seed};
use image::{ImageBuffer, Rgb, imageops};
use rayon::prelude::*;

/// From one image (height · width · 3 bytes), its size, the strength and a seed of its own to a new image.
type Apply = fn(&[u8], (usize, usize), f64, Seed) -> Vec<u8>;

/// A kind of change.
pub(super) struct Change {
    pub(super) name: &'static str,
    /// What the strengths are.
    pub(super) unit: &'static str,
    /// From none upwards.
    pub(super) strengths: &'static [f64],
    apply: Apply,
}

/// Every change.
pub(super) const ALL: &[Change] = &[
    Change { name: "shift", unit: "pixels to the right", strengths: &[0.0, 1.0, 2.0, 4.0, 6.0, 8.0], apply: shifted },
    Change { name: "rotation", unit: "degrees", strengths: &[0.0, 10.0, 20.0, 30.0, 45.0, 90.0], apply: turned },
    Change { name: "brightness", unit: "levels more", strengths: &[0.0, 20.0, 40.0, 60.0, 80.0], apply: lit },
    Change { name: "noise", unit: "deviation in levels", strengths: &[0.0, 8.0, 16.0, 32.0, 64.0], apply: noisy },
    Change { name: "blur", unit: "σ in pixels", strengths: &[0.0, 0.5, 1.0, 1.5, 2.0, 3.0], apply: blurred },
];

impl Change {
    /// Color images, changed; each has noise of its own.
    pub(super) fn applied(&self, images: &Images, strength: f64, seed: Seed) -> Images {
        let (height, width, channels) = images.shape();
        assert_eq!(channels, 3, "color images");
        let mut pixels = images.view().pixels().to_owned();
        let all = pixels.as_slice_mut().expect("a fresh array is contiguous");
        all.par_chunks_exact_mut(height * width * 3).enumerate().for_each(|(i, image)| {
            let changed = (self.apply)(image, (height, width), strength, seed.nth(i));
            image.copy_from_slice(&changed);
        });
        Images::new(pixels).expect("as many pixels as before")
    }
}

/// The value at a place between pixels, by straight lines; beyond the border it is the border's.
fn between(image: &[u8], (height, width): (usize, usize), (y, x): (f64, f64), channel: usize) -> u8 {
    let (y, x) = (y.clamp(0.0, height as f64 - 1.0), x.clamp(0.0, width as f64 - 1.0));
    let (top, left) = (y.floor() as usize, x.floor() as usize);
    let (bottom, right) = ((top + 1).min(height - 1), (left + 1).min(width - 1));
    let value = |y: usize, x: usize| f64::from(image[(y * width + x) * 3 + channel]);
    let (down, across) = (y.fract(), x.fract());
    let upper = value(top, left) * (1.0 - across) + value(top, right) * across;
    let lower = value(bottom, left) * (1.0 - across) + value(bottom, right) * across;
    (upper * (1.0 - down) + lower * down).round() as u8
}

/// The image whose pixel (y, x) comes from another place.
fn from_elsewhere(image: &[u8], size: (usize, usize), from: impl Fn(f64, f64) -> (f64, f64)) -> Vec<u8> {
    let (height, width) = size;
    let places = (0..height * width).map(|i| from((i / width) as f64, (i % width) as f64));
    places.flat_map(|place| [0, 1, 2].map(|channel| between(image, size, place, channel))).collect()
}

fn shifted(image: &[u8], size: (usize, usize), strength: f64, _: Seed) -> Vec<u8> {
    from_elsewhere(image, size, |y, x| (y, x - strength))
}

/// Against the clock about the middle.
fn turned(image: &[u8], size: (usize, usize), strength: f64, _: Seed) -> Vec<u8> {
    let (middle_y, middle_x) = ((size.0 as f64 - 1.0) / 2.0, (size.1 as f64 - 1.0) / 2.0);
    let (sin, cos) = strength.to_radians().sin_cos();
    from_elsewhere(image, size, |y, x| {
        let (dy, dx) = (y - middle_y, x - middle_x);
        (middle_y + cos * dy + sin * dx, middle_x + cos * dx - sin * dy)
    })
}

fn lit(image: &[u8], _: (usize, usize), strength: f64, _: Seed) -> Vec<u8> {
    image.iter().map(|v| (f64::from(*v) + strength).round() as u8).collect()
}

fn noisy(image: &[u8], _: (usize, usize), strength: f64, seed: Seed) -> Vec<u8> {
    let mut rng = seed.rng();
    image.iter().map(|v| (f64::from(*v) + strength * normal(&mut rng)).round() as u8).collect()
}

fn blurred(image: &[u8], (height, width): (usize, usize), strength: f64, _: Seed) -> Vec<u8> {
    if strength <= 0.0 {
        return image.to_vec();
    }
    let whole = ImageBuffer::<Rgb<u8>, Vec<u8>>::from_raw(width as u32, height as u32, image.to_vec());
    whole.map_or_else(|| image.to_vec(), |whole| imageops::blur(&whole, strength as f32).into_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array4;

    /// A bright pixel right of the middle of a dark image.
    fn spot() -> Images {
        Images::new(Array4::from_shape_fn((1, 9, 9, 3), |(_, y, x, _)| if (y, x) == (4, 6) { 200 } else { 20 }))
            .unwrap()
    }

    fn brightest(images: &Images) -> (usize, usize) {
        let at = images.view().image(0).iter().enumerate().max_by_key(|(i, v)| (**v, usize::MAX - i)).unwrap().0;
        (at / 27, at % 27 / 3)
    }

    fn change(name: &str) -> &'static Change {
        ALL.iter().find(|change| change.name == name).unwrap()
    }

    #[test]
    fn nothing_changes_at_strength_0() {
        for change in ALL {
            assert_eq!(change.strengths[0], 0.0);
            assert_eq!(change.applied(&spot(), 0.0, Seed(1)), spot(), "{}", change.name);
        }
    }

    #[test]
    fn images_move_and_turn_the_way_that_is_told() {
        assert_eq!(brightest(&change("shift").applied(&spot(), 2.0, Seed(1))), (4, 8));
        // Against the clock a spot on the right comes to the top.
        assert_eq!(brightest(&change("rotation").applied(&spot(), 90.0, Seed(1))), (2, 4));
    }

    #[test]
    fn light_noise_and_blur_do_what_they_say() {
        let lit = change("brightness").applied(&spot(), 80.0, Seed(1));
        assert_eq!((lit.view().image(0)[0], lit.view().image(0)[(4 * 9 + 6) * 3]), (100, 255));
        let noisy = change("noise").applied(&spot(), 8.0, Seed(1));
        assert_ne!(noisy, change("noise").applied(&spot(), 8.0, Seed(2)));
        let blurred = change("blur").applied(&spot(), 1.0, Seed(1));
        assert_eq!(brightest(&blurred), (4, 6));
        let height = |images: &Images| images.view().image(0)[(4 * 9 + 6) * 3];
        assert!(height(&blurred) < 60, "{}", height(&blurred));
    }
}
