//! Losses of class scores and their gradients (the lecture's A2, A3).
//!
//! All are sums over rows; callers divide by n. Stable by construction: the softmax takes each row's maximum off, and
//! sums are in f64.

use crate::element::Element;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, NdFloat};
use pulp::{Simd, WithSimd};
use serde::{Deserialize, Serialize};

/// What a row's scores s (k) and its class y cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// −log(e^{s_y} / Σ_j e^{s_j}).
    Softmax,
    /// Σ_{j≠y} max(0, s_j − s_y + 1) (Weston, Watkins 1999); the subgradient at the corner is 0.
    WestonWatkins,
    /// Σ_j max(0, 1 − t_j s_j) with t_y = 1 and t_j = −1 elsewhere: k two-class machines, one against all others; the
    /// subgradient at the corner is 0.
    Hinge,
    /// Σ_j max(0, 1 − t_j s_j)² with t_y = 1 and t_j = −1 elsewhere: k two-class machines, one against all others.
    SquaredHinge,
    /// Σ_j (s_j − t_j)² with t_y = 1 and t_j = 0 elsewhere.
    Squared,
}

impl Loss {
    /// Whether it has a gradient everywhere, so that a quasi-Newton solver converges on it.
    pub fn is_smooth(self) -> bool {
        !matches!(self, Self::WestonWatkins | Self::Hinge)
    }

    /// The sum of the losses of scores (n, k) with classes y (n); replaces the scores by their gradient.
    ///
    /// # Panics
    /// When the lengths differ or a class is not below k.
    pub fn into_gradient<T: NdFloat>(self, mut scores: ArrayViewMut2<'_, T>, y: &[usize]) -> f64 {
        assert_eq!(scores.nrows(), y.len(), "scores and classes");
        let row_loss = self.of_row();
        scores.outer_iter_mut().zip(y).map(|(row, &class)| row_loss(row, class)).sum()
    }

    /// The same of scores (k, n) that stand class by class, as [`crate::Narrow`] gives them: a vector holds one class's scores
    /// of many rows. Sums are in the precision of the scores, within a row; in f64 beyond.
    ///
    /// # Panics
    /// When the lengths differ, a class is not below k, or a class's scores do not lie beside each other.
    pub fn into_gradient_by_class<T: Element>(self, mut scores: ArrayViewMut2<'_, T>, y: &[usize]) -> f64 {
        assert_eq!(scores.ncols(), y.len(), "scores and classes");
        if matches!(self, Self::Softmax | Self::SquaredHinge) {
            let classes = scores.outer_iter_mut();
            let classes = classes.map(|class| class.into_slice().expect("scores of a class lie beside each other"));
            return pulp::Arch::new().dispatch(ByClass { loss: self, classes: classes.collect(), y });
        }
        let mut rows = scores.t().to_owned();
        let loss = self.into_gradient(rows.view_mut(), y);
        scores.assign(&rows.t());
        loss
    }

    /// The same for rows that belong to several classes, by shares `targets` (n, k) that sum to 1 in each row: smoothed
    /// labels, mixed rows. The softmax loss is −Σ_j t_j log p_j and the squared loss Σ_j (s_j − t_j)²; the others are
    /// Σ_c t_c L(s, c).
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn into_soft_gradient<T: NdFloat>(self, mut scores: ArrayViewMut2<'_, T>, targets: ArrayView2<'_, T>) -> f64 {
        assert_eq!(scores.dim(), targets.dim(), "scores and shares");
        let soft = |(row, targets): (ArrayViewMut1<'_, T>, ArrayView1<'_, T>)| match self {
            Self::Softmax => soft_softmax_row(row, targets),
            Self::Squared => soft_squared_row(row, targets),
            _ => mixed_row(row, targets, self.of_row()),
        };
        scores.outer_iter_mut().zip(targets.outer_iter()).map(soft).sum()
    }

    fn of_row<T: NdFloat>(self) -> fn(ArrayViewMut1<'_, T>, usize) -> f64 {
        match self {
            Self::Softmax => softmax_row,
            Self::WestonWatkins => weston_watkins_row,
            Self::Hinge => hinge_row,
            Self::SquaredHinge => squared_hinge_row,
            Self::Squared => squared_row,
        }
    }
}

fn as_f64<T: NdFloat>(value: T) -> f64 {
    value.to_f64().unwrap_or(f64::NAN)
}

fn softmax_row<T: NdFloat>(mut s: ArrayViewMut1<'_, T>, y: usize) -> f64 {
    let greatest = s.fold(T::neg_infinity(), |a, &b| a.max(b));
    let right = s[y] - greatest;
    s.mapv_inplace(|v| (v - greatest).exp());
    let sum = s.sum();
    let scale = T::one() / sum;
    s.mapv_inplace(|v| v * scale);
    s[y] -= T::one();
    as_f64(sum).ln() - as_f64(right)
}

fn weston_watkins_row<T: NdFloat>(mut s: ArrayViewMut1<'_, T>, y: usize) -> f64 {
    let right = s[y];
    let (mut loss, mut over) = (0.0, T::zero());
    for (j, v) in s.iter_mut().enumerate() {
        let margin = *v - right + T::one();
        // NaN is let through: a comparison alone would turn a diverged row into a loss of zero.
        let counts = j != y && !(margin <= T::zero());
        loss += if counts { as_f64(margin) } else { 0.0 };
        *v = if counts { T::one() } else { T::zero() };
        over += *v;
    }
    s[y] = -over;
    loss
}

fn hinge_row<T: NdFloat>(mut s: ArrayViewMut1<'_, T>, y: usize) -> f64 {
    let mut loss = 0.0;
    for (j, v) in s.iter_mut().enumerate() {
        let target = if j == y { T::one() } else { -T::one() };
        let margin = T::one() - target * *v;
        // NaN is let through, as above.
        let counts = !(margin <= T::zero());
        loss += if counts { as_f64(margin) } else { 0.0 };
        *v = if counts { -target } else { T::zero() };
    }
    loss
}

fn squared_hinge_row<T: NdFloat>(mut s: ArrayViewMut1<'_, T>, y: usize) -> f64 {
    let mut loss = 0.0;
    for (j, v) in s.iter_mut().enumerate() {
        let target = if j == y { T::one() } else { -T::one() };
        let margin = T::one() - target * *v;
        let slack = if margin <= T::zero() { T::zero() } else { margin };
        loss += as_f64(slack) * as_f64(slack);
        *v = -(target + target) * slack;
    }
    loss
}

fn squared_row<T: NdFloat>(mut s: ArrayViewMut1<'_, T>, y: usize) -> f64 {
    s[y] -= T::one();
    twice_and_squares(s)
}

/// The differences s doubled in place; their squares' sum.
fn twice_and_squares<T: NdFloat>(mut s: ArrayViewMut1<'_, T>) -> f64 {
    let loss = s.iter().map(|&v| as_f64(v) * as_f64(v)).sum();
    s.mapv_inplace(|v| v + v);
    loss
}

fn soft_squared_row<T: NdFloat>(mut s: ArrayViewMut1<'_, T>, targets: ArrayView1<'_, T>) -> f64 {
    s -= &targets;
    twice_and_squares(s)
}

/// −Σ t_j log p_j = log Σ e^{s_j} − Σ t_j s_j, as Σ t_j = 1.
fn soft_softmax_row<T: NdFloat>(mut s: ArrayViewMut1<'_, T>, targets: ArrayView1<'_, T>) -> f64 {
    let greatest = s.fold(T::neg_infinity(), |a, &b| a.max(b));
    // A class without a share costs nothing, even at a score of −∞.
    let share = |(&v, &t): (&T, &T)| if t > T::zero() { as_f64(t) * as_f64(v - greatest) } else { 0.0 };
    let right: f64 = s.iter().zip(targets).map(share).sum();
    s.mapv_inplace(|v| (v - greatest).exp());
    let sum = s.sum();
    let scale = T::one() / sum;
    s.iter_mut().zip(targets).for_each(|(v, &t)| *v = *v * scale - t);
    as_f64(sum).ln() - right
}

/// Σ_c t_c L(s, c) of any loss of one class.
fn mixed_row<T: NdFloat>(
    mut s: ArrayViewMut1<'_, T>,
    targets: ArrayView1<'_, T>,
    of_class: fn(ArrayViewMut1<'_, T>, usize) -> f64,
) -> f64 {
    let scores = s.to_owned();
    s.fill(T::zero());
    let mut loss = 0.0;
    for (class, &share) in targets.iter().enumerate().filter(|(_, share)| **share > T::zero()) {
        let mut gradient = scores.clone();
        loss += as_f64(share) * of_class(gradient.view_mut(), class);
        s.scaled_add(share, &gradient);
    }
    loss
}

/// Softmax or squared hinge of scores that stand class by class.
struct ByClass<'a, 'b, T> {
    loss: Loss,
    classes: Vec<&'a mut [T]>,
    y: &'b [usize],
}

/// Rows that are worked on together: one to four vectors of each kind.
const LANES: usize = 16;

impl<T: Element> WithSimd for ByClass<'_, '_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let Self { loss, mut classes, y } = self;
        let whole = y.len() / LANES * LANES;
        let mut sum = 0.0;
        // Plain loops: a closure might not become part of the function that has the vectors.
        for i in (0..whole).step_by(LANES) {
            sum += match loss {
                Loss::Softmax => softmax_lanes::<T, LANES>(&mut classes, i, y),
                _ => squared_hinge_lanes::<T, LANES>(&mut classes, i, y),
            };
        }
        for i in whole..y.len() {
            sum += match loss {
                Loss::Softmax => softmax_lanes::<T, 1>(&mut classes, i, y),
                _ => squared_hinge_lanes::<T, 1>(&mut classes, i, y),
            };
        }
        sum
    }
}

/// The scores of L rows from `start` on, of one class.
#[inline(always)]
fn lanes<T, const L: usize>(class: &mut [T], start: usize) -> &mut [T; L] {
    class[start..].first_chunk_mut().expect("as many scores as rows")
}

#[inline(always)]
fn softmax_lanes<T: Element, const L: usize>(classes: &mut [&mut [T]], start: usize, y: &[usize]) -> f64 {
    let mut greatest = [T::neg_infinity(); L];
    for class in classes.iter_mut() {
        let s = lanes::<T, L>(class, start);
        for i in 0..L {
            greatest[i] = if s[i] > greatest[i] { s[i] } else { greatest[i] };
        }
    }
    let right: [T; L] = std::array::from_fn(|i| classes[y[start + i]][start + i] - greatest[i]);
    let mut sums = [T::zero(); L];
    for class in classes.iter_mut() {
        let s = lanes::<T, L>(class, start);
        for i in 0..L {
            s[i] = (s[i] - greatest[i]).exp_below_zero();
            sums[i] += s[i];
        }
    }
    let scales = sums.map(|sum| T::one() / sum);
    for class in classes.iter_mut() {
        let s = lanes::<T, L>(class, start);
        for i in 0..L {
            s[i] *= scales[i];
        }
    }
    let mut loss = 0.0;
    for i in 0..L {
        classes[y[start + i]][start + i] -= T::one();
        loss += sums[i].wide().ln() - right[i].wide();
    }
    loss
}

#[inline(always)]
fn squared_hinge_lanes<T: Element, const L: usize>(classes: &mut [&mut [T]], start: usize, y: &[usize]) -> f64 {
    let mut sums = [T::zero(); L];
    for (c, class) in classes.iter_mut().enumerate() {
        let s = lanes::<T, L>(class, start);
        for i in 0..L {
            let target = if y[start + i] == c { T::one() } else { -T::one() };
            let margin = T::one() - target * s[i];
            // NaN is let through, as above.
            let slack = if margin <= T::zero() { T::zero() } else { margin };
            sums[i] += slack * slack;
            s[i] = -(target + target) * slack;
        }
    }
    let known = y[start..start + L].iter().all(|&class| class < classes.len());
    assert!(known, "a class below {}", classes.len());
    sums.iter().map(|sum| sum.wide()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradcheck::worst_relative_error;
    use ndarray::{Array2, array};

    const ALL: [Loss; 5] = [Loss::Softmax, Loss::WestonWatkins, Loss::Hinge, Loss::SquaredHinge, Loss::Squared];

    #[test]
    fn values_worked_by_hand() {
        // Scores 3.2, 5.1, −1.7 with class 0: hinge 5.1 − 3.2 + 1 = 2.9 and 0; one-vs-all hinge 0 + 6.1 + 0,
        // squared 6.1²;
        // softmax −log(24.53 / (24.53 + 164.02 + 0.18)) = 2.04.
        let scores = array![[3.2, 5.1, -1.7]];
        let value = |loss: Loss| loss.into_gradient(scores.clone().view_mut(), &[0]);
        assert!((value(Loss::WestonWatkins) - 2.9).abs() < 1e-12);
        assert!((value(Loss::SquaredHinge) - 6.1 * 6.1).abs() < 1e-12);
        assert!((value(Loss::Hinge) - 6.1).abs() < 1e-12);
        assert!((value(Loss::Softmax) - 2.0404).abs() < 1e-4);
    }

    #[test]
    fn gradients_match_central_differences() {
        let scores = Array2::from_shape_fn((4, 3), |(i, j)| ((i * 5 + j * 7) % 11) as f64 * 0.3 - 1.1);
        let y = [2, 0, 1, 1];
        for loss in ALL {
            let mut gradient = scores.clone();
            loss.into_gradient(gradient.view_mut(), &y);
            let value = |p: &[f64]| {
                let mut s = Array2::from_shape_vec((4, 3), p.to_vec()).unwrap();
                loss.into_gradient(s.view_mut(), &y)
            };
            let flat = |a: &Array2<f64>| a.iter().copied().collect::<Vec<_>>();
            let error = worst_relative_error(value, &flat(&scores), &flat(&gradient));
            assert!(error < 1e-6, "{loss:?}: {error}");
        }
    }

    #[test]
    fn gradients_for_shares_match_central_differences_and_agree_with_classes() {
        let scores = Array2::from_shape_fn((4, 3), |(i, j)| ((i * 5 + j * 7) % 11) as f64 * 0.31 - 1.13);
        let shares = array![[0.2, 0.3, 0.5], [0.0, 1.0, 0.0], [0.7, 0.3, 0.0], [0.9, 0.05, 0.05]];
        let flat = |a: &Array2<f64>| a.iter().copied().collect::<Vec<_>>();
        for loss in ALL {
            let mut gradient = scores.clone();
            loss.into_soft_gradient(gradient.view_mut(), shares.view());
            let value = |p: &[f64]| {
                let mut s = Array2::from_shape_vec((4, 3), p.to_vec()).unwrap();
                loss.into_soft_gradient(s.view_mut(), shares.view())
            };
            let error = worst_relative_error(value, &flat(&scores), &flat(&gradient));
            assert!(error < 1e-6, "{loss:?}: {error}");
            let one_hot = Array2::from_shape_fn((4, 3), |(i, j)| if i % 3 == j { 1.0 } else { 0.0 });
            let (mut soft, mut hard) = (scores.clone(), scores.clone());
            let soft_loss = loss.into_soft_gradient(soft.view_mut(), one_hot.view());
            let hard_loss = loss.into_gradient(hard.view_mut(), &[0, 1, 2, 0]);
            assert!((soft_loss - hard_loss).abs() < 1e-12, "{loss:?}: {soft_loss} {hard_loss}");
            assert!((soft - hard).iter().all(|d| d.abs() < 1e-12), "{loss:?}");
        }
    }

    #[test]
    fn huge_and_equal_scores_stay_finite() {
        // Two equal logits of −50 beside a row of zeros: log 2 each, which one maximum for the whole matrix gets wrong.
        let mut s = array![[-50.0f32, -50.0], [0.0, 0.0], [1e30, -1e30]];
        let loss = Loss::Softmax.into_gradient(s.view_mut(), &[0, 1, 0]);
        assert!((loss - 2.0 * 2.0f64.ln()).abs() < 1e-6, "{loss}");
        assert_eq!(s.row(0), array![-0.5, 0.5]);
    }

    #[test]
    fn class_by_class_is_row_by_row() {
        // Whole vectors of rows and some that are left.
        let scores = Array2::from_shape_fn((37, 3), |(i, j)| ((i * 5 + j * 7) % 23) as f64 * 0.31 - 3.1);
        let y: Vec<usize> = (0..37).map(|i| i * 7 % 3).collect();
        for loss in ALL {
            let (mut rows, mut classes) = (scores.clone(), scores.t().as_standard_layout().into_owned());
            let mut single = classes.mapv(|v| v as f32);
            let expected = loss.into_gradient(rows.view_mut(), &y);
            let found = loss.into_gradient_by_class(classes.view_mut(), &y);
            assert!((found - expected).abs() < 1e-12 * expected, "{loss:?}: {found} {expected}");
            assert!((&rows.t() - &classes).iter().all(|d| d.abs() < 1e-14), "{loss:?}");
            let found = loss.into_gradient_by_class(single.view_mut(), &y);
            assert!((found - expected).abs() < 1e-6 * expected, "{loss:?}: {found} {expected}");
            assert!((&rows.t() - &single.mapv(f64::from)).iter().all(|d| d.abs() < 1e-6), "{loss:?}");
        }
        let mut s = array![[-50.0f32, 0.0, 1e30, f32::INFINITY], [-50.0, 0.0, -1e30, 0.0]];
        let loss = Loss::Softmax.into_gradient_by_class(s.slice_mut(ndarray::s![.., ..3]), &[0, 1, 0]);
        assert!((loss - 2.0 * 2.0f64.ln()).abs() < 1e-6, "{loss}");
        assert!(Loss::Softmax.into_gradient_by_class(s.slice_mut(ndarray::s![.., 3..]), &[0]).is_nan());
    }

    #[test]
    fn nan_scores_give_a_nan_loss() {
        for loss in ALL {
            assert!(loss.into_gradient(array![[f32::NAN, 1.0]].view_mut(), &[1]).is_nan(), "{loss:?}");
            assert!(loss.into_gradient_by_class(array![[f32::NAN], [1.0]].view_mut(), &[1]).is_nan(), "{loss:?}");
        }
    }
}
