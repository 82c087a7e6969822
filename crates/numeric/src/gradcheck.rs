//! Central differences, for tests of gradients in f64.

/// The step: the cube root of the machine epsilon balances truncation against rounding.
const STEP: f64 = 6e-6;

/// The greatest |analytic − numeric| / max(1e-4, |analytic| + |numeric|) over all parameters, where numeric is
/// (f(p + h e) − f(p − h e)) / 2h.
///
/// # Panics
/// When the lists have different lengths.
pub fn worst_relative_error(mut f: impl FnMut(&[f64]) -> f64, at: &[f64], analytic: &[f64]) -> f64 {
    assert_eq!(at.len(), analytic.len(), "parameters and gradient");
    let mut point = at.to_vec();
    let mut worst = 0.0f64;
    for i in 0..at.len() {
        let h = STEP * at[i].abs().max(1.0);
        point[i] = at[i] + h;
        let above = f(&point);
        point[i] = at[i] - h;
        let below = f(&point);
        point[i] = at[i];
        let numeric = (above - below) / (2.0 * h);
        let error = (analytic[i] - numeric).abs() / (analytic[i].abs() + numeric.abs()).max(1e-4);
        // f64::max drops NaN; a NaN gradient must not pass.
        worst = if error.is_nan() { f64::INFINITY } else { worst.max(error) };
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_gradients_pass_and_wrong_or_nan_ones_do_not() {
        let f = |p: &[f64]| p[0] * p[0] * p[1];
        let at = [1.5, -2.0];
        assert!(worst_relative_error(f, &at, &[-6.0, 2.25]) < 1e-8);
        assert!(worst_relative_error(f, &at, &[-6.0, 2.26]) > 1e-3);
        assert!(worst_relative_error(f, &at, &[f64::NAN, 2.25]).is_infinite());
    }
}
