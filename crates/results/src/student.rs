//! Student's t, Fisher's F and chi-squared, on the incomplete beta and gamma functions of statrs; and the critical value of a
//! sum of a normal and a Student part.

use crate::normal::normal_upper;
use statrs::function::beta::checked_beta_reg;
use statrs::function::gamma::checked_gamma_ur;
use std::f64::consts::PI;

/// P(T > `x`) of Student's t with `df` > 0 degrees of freedom, not necessarily a whole number. NaN where `x` or `df` is.
pub(crate) fn student_tail(x: f64, df: f64) -> f64 {
    let beyond = checked_beta_reg(df / 2.0, 0.5, df / (df + x * x)).map_or(f64::NAN, |both| both / 2.0);
    if x < 0.0 { 1.0 - beyond } else { beyond }
}

/// From here on Student's quantiles come from an expansion, which is then good to ten digits.
const MANY: f64 = 200.0;

/// The x ≥ 0 with P(T > x) = `tail`, for a tail of at most ½, kept above 1e-15.
pub(crate) fn student_upper(tail: f64, df: f64) -> f64 {
    let tail = tail.clamp(1e-15, 0.5);
    let z = normal_upper(tail);
    if df >= MANY {
        return expansion(z, df);
    }
    let scale = density_scale(df);
    let density = |x: f64| scale * (1.0 + x * x / df).powf(-(df + 1.0) / 2.0);
    // The tail is convex for x > 0 and heavier than the normal one, so Newton's steps rise from z and never pass the root.
    let mut x = z;
    for _ in 0..200 {
        let step = (student_tail(x, df) - tail) / density(x);
        x += step;
        // NaN ends it too.
        if !(step > 1e-14 * x) {
            break;
        }
    }
    x
}

/// Abramowitz and Stegun 26.7.5.
fn expansion(z: f64, df: f64) -> f64 {
    let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
    let first = (z3 + z) / 4.0;
    let second = (5.0 * z5 + 16.0 * z3 + 3.0 * z) / 96.0;
    let third = (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / 384.0;
    let fourth = (79.0 * z.powi(9) + 776.0 * z7 + 1482.0 * z5 - 1920.0 * z3 - 945.0 * z) / 92160.0;
    z + first / df + second / df.powi(2) + third / df.powi(3) + fourth / df.powi(4)
}

/// Student's density at 0.
fn density_scale(df: f64) -> f64 {
    use statrs::function::gamma::ln_gamma;
    (ln_gamma(f64::midpoint(df, 1.0)) - ln_gamma(df / 2.0)).exp() / (df * PI).sqrt()
}

/// P(X > `x`) of chi-squared with `df` degrees of freedom.
pub(crate) fn chi_squared_tail(x: f64, df: f64) -> f64 {
    if x <= 0.0 { 1.0 } else { checked_gamma_ur(df / 2.0, x / 2.0).unwrap_or(f64::NAN) }
}

/// P(X > `x`) of Fisher's F with `over` and `under` degrees of freedom.
pub(crate) fn f_tail(x: f64, over: f64, under: f64) -> f64 {
    if x <= 0.0 {
        1.0
    } else {
        checked_beta_reg(under / 2.0, over / 2.0, under / (under + over * x)).unwrap_or(f64::NAN)
    }
}

/// How far A + B may lie from 0 with chance `level` on both sides together, when A is normal with a variance that was estimated
/// as `guessed` from `df` degrees of freedom and B, independent of it, is normal with variance `known`.
///
/// This is the problem of Behrens and Fisher, which has no exact answer. Two answers bracket it: Satterthwaite's (1946),
/// √(g + k) times Student's quantile with df ((g + k)/g)² degrees of freedom, which is right while g is small and too
/// short beyond; and √(t² g + z² k), which is right for large g and too long below. They are blended by w = 1 / (1 + (3 (z/t)² k/g)²),
/// the share of the second. Over all true ratios of the variances the chance to be beyond is then, by numerical
/// integration (`tests/reference/student.py`): at level 5% between 4.3 and 5.0% for df = 2, 4.7 and 5.0% from df = 3 on, and 2.4 and
/// 5.0% for df = 1.
pub(crate) fn critical(level: f64, guessed: f64, df: f64, known: f64) -> f64 {
    let tail = level / 2.0;
    let (z, sum) = (normal_upper(tail), guessed + known);
    if !(guessed > sum * 1e-9) {
        return z * sum.sqrt();
    }
    let t = student_upper(tail, df);
    let satterthwaite = student_upper(tail, df * (sum / guessed).powi(2)) * sum.sqrt();
    let apart = (t * t * guessed + z * z * known).sqrt();
    let odds = 3.0 * (z / t).powi(2) * known / guessed;
    let share = 1.0 / (1.0 + odds * odds);
    // At level 1 both quantiles are 0 and their ratio is nothing.
    if z > 0.0 { (1.0 - share) * satterthwaite + share * apart } else { 0.0 }
}

/// The level at which [`critical`] is `far`: the two-sided p-value of a sum observed that far from 0. It is not below [`LEAST`].
pub(crate) fn level_of(far: f64, guessed: f64, df: f64, known: f64) -> f64 {
    if !(far > 0.0) {
        return 1.0;
    }
    if guessed + known <= 0.0 {
        return LEAST;
    }
    // The square of a normal quantile is nearly linear in the level's logarithm, where false position lands at once; Student's is
    // not, so that every other step halves.
    let gap = |log: f64| critical(log.exp(), guessed, df, known).powi(2) - far * far;
    let (mut low, mut high) = (LEAST.ln(), 0.0);
    let (mut at_low, mut at_high) = (gap(low), gap(high));
    if at_low <= 0.0 {
        return LEAST;
    }
    for step in 0..200 {
        let log =
            if step % 2 == 0 { (low * at_high - high * at_low) / (at_high - at_low) } else { f64::midpoint(low, high) };
        let found = gap(log);
        if found.abs() < 1e-11 * far * far || high - low < 1e-12 {
            return log.exp();
        }
        if found > 0.0 {
            (low, at_low) = (log, found);
        } else {
            (high, at_high) = (log, found);
        }
    }
    f64::midpoint(low, high).exp()
}

/// The least p-value that is told apart: smaller ones are this.
const LEAST: f64 = 2e-15;

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Reference {
        /// (x, df, tail).
        student: Vec<(f64, f64, f64)>,
        /// (tail, df, x).
        student_upper: Vec<(f64, f64, f64)>,
        chi_squared: Vec<(f64, f64, f64)>,
        f: Vec<(f64, f64, f64, f64)>,
        /// (level, guessed, df, known, critical value).
        critical: Vec<(f64, f64, f64, f64, f64)>,
        /// (level, df, least and greatest chance to be beyond over all ratios of variances).
        beyond: Vec<(f64, f64, f64, f64)>,
    }

    fn reference() -> Reference {
        serde_json::from_str(include_str!("../tests/reference/student.json")).unwrap()
    }

    fn close(found: f64, wanted: f64, tolerance: f64) -> bool {
        (found - wanted).abs() <= tolerance * wanted.abs()
    }

    #[test]
    fn tails_and_quantiles_agree_with_scipy() {
        let wanted = reference();
        for (x, df, tail) in wanted.student {
            assert!(close(student_tail(x, df), tail, 1e-10), "t {x} {df}: {} {tail}", student_tail(x, df));
        }
        for (tail, df, x) in wanted.student_upper {
            assert!(close(student_upper(tail, df), x, 1e-8), "t {tail} {df}: {} {x}", student_upper(tail, df));
        }
        for (x, df, tail) in wanted.chi_squared {
            assert!(close(chi_squared_tail(x, df), tail, 1e-9), "chi² {x} {df}: {} {tail}", chi_squared_tail(x, df));
        }
        for (x, over, under, tail) in wanted.f {
            assert!(close(f_tail(x, over, under), tail, 1e-9), "F {x}: {} {tail}", f_tail(x, over, under));
        }
        assert_eq!((student_upper(0.5, 3.0), chi_squared_tail(0.0, 2.0), f_tail(0.0, 1.0, 5.0)), (0.0, 1.0, 1.0));
    }

    #[test]
    fn critical_values_agree_with_scipy_and_levels_undo_them() {
        for (level, guessed, df, known, wanted) in reference().critical {
            let found = critical(level, guessed, df, known);
            assert!(close(found, wanted, 1e-8), "{level} {guessed} {df} {known}: {found} {wanted}");
            let back = level_of(found, guessed, df, known);
            assert!(close(back, level, 1e-6), "{level} {guessed} {df} {known}: {back}");
        }
        assert_eq!((level_of(0.0, 1.0, 2.0, 1.0), level_of(1.0, 0.0, 2.0, 0.0)), (1.0, 2e-15));
    }

    #[test]
    fn the_documented_levels_are_those_of_the_reference() {
        for (level, df, least, most) in reference().beyond {
            assert!(least > 0.0 && most < 1.13 * level, "level {level}, df {df}: {least} to {most}");
            if level == 0.05 {
                let documented = if df == 1.0 {
                    0.024
                } else if df == 2.0 {
                    0.043
                } else {
                    0.047
                };
                assert!(least >= documented && most <= 0.0501, "df {df}: {least} to {most}");
            }
        }
    }
}
