//! The exponential function that compilers can put into vectors.

/// eˣ for x ≤ 0 within 2 units in the last place, and 0 below −87; NaN stays NaN. x = n ln 2 + r, a polynomial for eʳ
/// (Cephes' coefficients), and n put into the exponent's bits. Adding 1.5 · 2²³ rounds to a whole number.
#[inline(always)]
pub fn exp_below_zero(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    // These comparisons let NaN through.
    let clamped = if x < -87.0 { -87.0 } else { x };
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-0.693_359_4, clamped);
    let r = n.mul_add(2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4_f32;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p.mul_add(r, c);
    }
    let mantissa = (p * r).mul_add(r, r) + 1.0;
    let scale = f32::from_bits(shifted.to_bits().wrapping_shl(23).wrapping_add(127 << 23));
    let value = mantissa * scale;
    if x < -87.0 { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_within_two_units() {
        for i in 0..87_000 {
            let x = -(i as f32) / 1000.0;
            let right = f64::from(x).exp();
            let apart = (f64::from(exp_below_zero(x)) - right).abs() / right;
            assert!(apart < 2.4e-7, "{x}: {} instead of {right}", exp_below_zero(x));
        }
        assert_eq!([0.0, -87.1, -1e9, f32::NEG_INFINITY].map(exp_below_zero), [1.0, 0.0, 0.0, 0.0]);
        assert!(exp_below_zero(f32::NAN).is_nan());
    }
}
