//! What features made of gradients share, down to the grey of a pixel.

use std::f32::consts::PI;

/// The lesser of two numbers as one instruction: `f32::min` needs three, for what it says of NaN.
#[inline(always)]
pub(crate) fn lesser(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// The greater of two numbers as one instruction.
#[inline(always)]
pub(crate) fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// atan2(dy, dx) in [0, π), opposite directions one, or in [0, 2π) when signed; 0 for no gradient.
///
/// The polynomial is equation 4.4.49 of Abramowitz, Stegun 1964: |error| ≤ 2e-8 on [0, 1].
#[inline(always)]
pub(crate) fn angle(dx: f32, dy: f32, signed: bool) -> f32 {
    let (across, along) = (dx.abs(), dy.abs());
    let (less, more) = (lesser(across, along), greater(across, along));
    let r = less / greater(more, f32::MIN_POSITIVE);
    let s = r * r;
    let mut p = 0.002_866_225_7_f32;
    for c in [-0.016_165_737, 0.042_909_614, -0.075_289_64, 0.106_562_64, -0.142_089, 0.199_935_51, -0.333_331_45, 1.0]
    {
        p = p.mul_add(s, c);
    }
    let octant = p * r;
    let quadrant = if along > across { PI / 2.0 - octant } else { octant };
    if signed {
        let half = if dx < 0.0 { PI - quadrant } else { quadrant };
        return if dy < 0.0 { 2.0 * PI - half } else { half };
    }
    // 180° is 0°: it must not reach the last bin through the back door. A product of differences of intensities is not so
    // small that it would be rounded to 0.
    if dx * dy < 0.0 { PI - quadrant } else { quadrant }
}

/// Σ a b with eight partial sums.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0f32; 8];
    for (a, b) in a.iter().zip(b) {
        for i in 0..8 {
            sums[i] = a[i].mul_add(b[i], sums[i]);
        }
    }
    let mut rest = 0.0f32;
    for (a, b) in a_rest.iter().zip(b_rest) {
        rest = a.mul_add(*b, rest);
    }
    ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7])) + rest
}

/// OpenCV's grey of a pixel, 0.299 R + 0.587 G + 0.114 B: weights are multiples of 2⁻¹⁵, the sum is rounded to a byte.
#[inline(always)]
pub(crate) fn grey([r, g, b]: [u8; 3]) -> u8 {
    let weighted = 9798 * u32::from(r) + 19235 * u32::from(g) + 3735 * u32::from(b);
    ((weighted + (1 << 14)) >> 15) as u8
}
