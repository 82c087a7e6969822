//! Limited-memory BFGS (Nocedal, Wright, *Numerical Optimization*, 2nd ed., algorithms 7.4, 7.5, 3.5 and 3.6).
//!
//! Chosen for the smooth objectives because they are convex, have thousands of parameters (a Hessian of d·k squared
//! does not fit) and each evaluation is two products over all rows: L-BFGS needs one evaluation an iteration almost
//! always, where Newton-CG needs several Hessian products.

use std::collections::VecDeque;
use std::ops::ControlFlow;

/// When to stop, and how much to remember.
#[derive(Debug, Clone, Copy)]
pub struct Lbfgs {
    /// Iterations at most.
    pub max_iterations: usize,
    /// Converged when the gradient's norm is at most this share of its norm at the start.
    pub tolerance: f64,
    /// Pairs of steps and gradient differences that are kept.
    pub memory: usize,
}

/// Where the search ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// The objective there.
    pub value: f64,
    /// Iterations made.
    pub iterations: usize,
    /// Whether the tolerance was met.
    pub converged: bool,
}

/// Constants of the condition of Armijo and of the curvature condition.
const C1: f64 = 1e-4;
/// See [`C1`].
const C2: f64 = 0.9;
/// Share of the value below which differences of values in f32 are rounding.
const ROUNDING: f64 = 1e-6;

impl Lbfgs {
    /// Minimises in place. `f` writes the gradient and returns the value; `on_iteration` hears (iteration, value) and
    /// may end the search.
    ///
    /// A value that is not finite at the start is returned as it is, not converged.
    pub fn minimise(
        &self,
        x: &mut [f64],
        mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
        mut on_iteration: impl FnMut(usize, f64) -> ControlFlow<()>,
    ) -> Minimum {
        let mut gradient = vec![0.0; x.len()];
        let mut value = f(x, &mut gradient);
        let target = self.tolerance * norm(&gradient);
        let mut history = History { pairs: VecDeque::new(), memory: self.memory };
        for iteration in 1..=self.max_iterations {
            if norm(&gradient) <= target || !value.is_finite() {
                return Minimum { value, iterations: iteration - 1, converged: value.is_finite() };
            }
            let direction = history.direction(&gradient);
            let first = if history.pairs.is_empty() { 1.0 / norm(&gradient).max(1.0) } else { 1.0 };
            let Some(step) = line_search(x, value, &gradient, &direction, first, &mut f) else {
                // No step lowers the value any more: the rounding of the sums is reached.
                if history.pairs.is_empty() {
                    return Minimum { value, iterations: iteration - 1, converged: false };
                }
                history.pairs.clear();
                continue;
            };
            let moved: Vec<f64> = step.x.iter().zip(&*x).map(|(new, old)| new - old).collect();
            let turned: Vec<f64> = step.gradient.iter().zip(&gradient).map(|(new, old)| new - old).collect();
            history.push(moved, turned);
            x.copy_from_slice(&step.x);
            (value, gradient) = (step.value, step.gradient);
            if on_iteration(iteration, value).is_break() {
                return Minimum { value, iterations: iteration, converged: false };
            }
        }
        Minimum { value, iterations: self.max_iterations, converged: norm(&gradient) <= target }
    }
}

struct History {
    pairs: VecDeque<(Vec<f64>, Vec<f64>)>,
    memory: usize,
}

impl History {
    fn push(&mut self, moved: Vec<f64>, turned: Vec<f64>) {
        // Without curvature along the step the inverse Hessian would stop being positive definite.
        if dot(&moved, &turned) <= 1e-14 * norm(&moved) * norm(&turned) {
            return;
        }
        if self.pairs.len() == self.memory {
            self.pairs.pop_front();
        }
        self.pairs.push_back((moved, turned));
    }

    /// −H g by the two-loop recursion.
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut alphas = Vec::with_capacity(self.pairs.len());
        for (s, y) in self.pairs.iter().rev() {
            let alpha = dot(s, &q) / dot(s, y);
            add_scaled(&mut q, -alpha, y);
            alphas.push(alpha);
        }
        if let Some((s, y)) = self.pairs.back() {
            let scale = dot(s, y) / dot(y, y);
            q.iter_mut().for_each(|v| *v *= scale);
        }
        for ((s, y), alpha) in self.pairs.iter().zip(alphas.into_iter().rev()) {
            let beta = dot(y, &q) / dot(s, y);
            add_scaled(&mut q, alpha - beta, s);
        }
        q
    }
}

struct Step {
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// A step that meets the strong Wolfe conditions, or at least lowers the value; `None` when nothing does.
///
/// Bracketing and bisection with quadratic interpolation: an interval [low, high] always holds an acceptable step once
/// `high` is finite.
fn line_search(
    x: &[f64],
    value: f64,
    gradient: &[f64],
    direction: &[f64],
    first: f64,
    f: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Option<Step> {
    let slope = dot(gradient, direction);
    if !(slope < 0.0) {
        return None;
    }
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, first);
    let mut best: Option<Step> = None;
    for _ in 0..30 {
        let mut at = Step { x: x.to_vec(), value: 0.0, gradient: vec![0.0; x.len()] };
        add_scaled(&mut at.x, length, direction);
        at.value = f(&at.x, &mut at.gradient);
        let slope_here = dot(&at.gradient, direction);
        // The approximate condition of Hager, Zhang 2005: within the rounding of the sums the value cannot tell a
        // descent, but the slope can.
        let lower_by_slope = at.value <= value + ROUNDING * value.abs() && slope_here <= (2.0 * C1 - 1.0) * slope;
        let too_far = !(at.value <= value + C1 * length * slope || lower_by_slope);
        if too_far {
            high = length;
            let curve = 2.0 * (at.value - value - slope * length);
            let guess = if curve.is_finite() { -slope * length * length / curve } else { 0.0 };
            length = guess.clamp(low + 0.1 * (high - low), low + 0.5 * (high - low));
            continue;
        }
        if slope_here.abs() <= -C2 * slope {
            return Some(at);
        }
        if slope_here > 0.0 {
            high = length;
        } else {
            low = length;
        }
        best = Some(at);
        length = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * length };
    }
    best.filter(|step| step.value < value)
}

/// In eight sums of every eighth product: one sum would wait for itself, and dozens of these are made in an iteration.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    a_rest.iter().zip(b_rest).fold(sums.iter().sum(), |sum, (a, b)| sum + a * b)
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn add_scaled(a: &mut [f64], scale: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += scale * b);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Lbfgs = Lbfgs { max_iterations: 500, tolerance: 1e-10, memory: 10 };

    #[test]
    fn finds_the_valley_of_rosenbrock() {
        let rosenbrock = |p: &[f64], g: &mut [f64]| {
            let (a, b) = (1.0 - p[0], p[1] - p[0] * p[0]);
            g[0] = -2.0 * a - 400.0 * p[0] * b;
            g[1] = 200.0 * b;
            a * a + 100.0 * b * b
        };
        let mut x = [-1.2, 1.0];
        let end = SETTINGS.minimise(&mut x, rosenbrock, |_, _| ControlFlow::Continue(()));
        assert!(end.converged && end.iterations < 60, "{end:?}");
        assert!((x[0] - 1.0).abs() < 1e-6 && (x[1] - 1.0).abs() < 1e-6, "{x:?}");
    }

    #[test]
    fn badly_scaled_quadratics_converge() {
        let quadratic = |p: &[f64], g: &mut [f64]| {
            let scale = |i: usize| 10f64.powi(i as i32 % 5);
            g.iter_mut().enumerate().for_each(|(i, g)| *g = scale(i) * (p[i] - 1.0));
            p.iter().enumerate().map(|(i, p)| 0.5 * scale(i) * (p - 1.0) * (p - 1.0)).sum()
        };
        let mut x = vec![0.0; 40];
        let end = SETTINGS.minimise(&mut x, quadratic, |_, _| ControlFlow::Continue(()));
        assert!(end.converged && x.iter().all(|v| (v - 1.0).abs() < 1e-6), "{end:?}");
    }

    #[test]
    fn a_break_and_a_nan_end_the_search() {
        let square = |p: &[f64], g: &mut [f64]| {
            g[0] = 4.0 * p[0].powi(3);
            p[0].powi(4)
        };
        let end = SETTINGS.minimise(&mut [3.0], square, |i, _| {
            if i == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((end.iterations, end.converged), (2, false));
        let end = SETTINGS.minimise(&mut [3.0], |_, _| f64::NAN, |_, _| ControlFlow::Continue(()));
        assert_eq!((end.iterations, end.converged), (0, false));
    }
}
