//! A mixture of Gaussians with diagonal covariances, by expectation–maximisation (Dempster, Laird, Rubin 1977).
//!
//! The logits of a row y = x − s (s: the mean of the training rows) are one product: log w_j + log N(y; μ_j, v_j) =
//! y·(μ_j/v_j) − y²·(1/2v_j) + c_j, so [y, y²] meets a packed matrix (2d, k). Posteriors are taken from them with the
//! greatest taken off, so nothing underflows to a row without any. The sums that the maximisation needs are a product
//! as well, Pᵀ [y, y², 1], in f32 over 3,072 rows and f64 beyond. No (n, k) matrix is kept.
//!
//! Rules: variances are not less than `variance_floor` times the variance of all rows in that column. A component that
//! is left with less than half a row is put beside the heaviest: both get half of its weight, its variances, and its
//! mean moved by half a deviation up and down in its widest column.

mod expectation;
mod maximisation;
mod stored;

use crate::{KMeans, UnsupervisedError, rows};
use bakeoff_core::params::{NonNegative, Positive};
use bakeoff_core::seed::Seed;
use bakeoff_numeric::packed::Packed;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Settings of the mixture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gmm {
    /// k, the number of components.
    pub components: NonZeroUsize,
    /// Rounds at most.
    pub iterations: usize,
    /// Stops when the mean log-likelihood of a row (in nats) grows by less than this.
    pub tolerance: NonNegative,
    /// The least variance, as a share of the column's variance over all rows.
    pub variance_floor: Positive,
    /// Rounds of the k-means that gives the start, on at most 256 rows a component.
    pub start_iterations: usize,
}

impl Default for Gmm {
    fn default() -> Self {
        Self {
            components: NonZeroUsize::MIN.saturating_add(63),
            iterations: 50,
            tolerance: NonNegative::literal(1e-3),
            variance_floor: Positive::literal(1e-3),
            start_iterations: 10,
        }
    }
}

/// Weights (k), means (k, d) and variances (k, d) in f64, means relative to the shift.
#[derive(Debug, Clone)]
struct Parameters {
    weights: Vec<f64>,
    means: Array2<f64>,
    variances: Array2<f64>,
}

/// Rows a component that k-means starts from.
const START_ROWS: usize = 256;

impl Gmm {
    /// Learns from rows `x` (n, d): k-means, then expectation–maximisation.
    ///
    /// # Errors
    /// When there are fewer rows than components or a value is not finite.
    pub fn fit(&self, x: ArrayView2<'_, f32>, seed: Seed) -> Result<Mixture, UnsupervisedError> {
        self.check(x)?;
        let k = self.components;
        let start = KMeans { k, iterations: self.start_iterations, ..KMeans::default() };
        let wanted = START_ROWS * k.get();
        let codebook = if x.nrows() > wanted {
            let drawn = rows::sample(x.nrows(), wanted, &mut seed.derive("start rows").rng());
            start.fit(x.select(Axis(0), &drawn).view(), seed)?
        } else {
            start.fit(x, seed)?
        };
        let ids = codebook.nearest(x);
        let context = self.context(x);
        let mut parameters = maximisation::of_clusters(&context, &ids, k.get());
        maximisation::revive(&mut parameters, x.nrows());
        self.rounds(&context, parameters)
    }

    /// Learns from rows `x` (n, d), starting at these weights (k), means (k, d) and variances (k, d).
    ///
    /// # Errors
    /// As [`Gmm::fit`], and when a start is not finite, or a weight or variance not above 0.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn fit_from(
        &self,
        x: ArrayView2<'_, f32>,
        weights: ArrayView1<'_, f32>,
        means: ArrayView2<'_, f32>,
        variances: ArrayView2<'_, f32>,
    ) -> Result<Mixture, UnsupervisedError> {
        let shape = (self.components.get(), x.ncols());
        assert!(means.dim() == shape && variances.dim() == shape && weights.len() == shape.0, "a start of {shape:?}");
        self.check(x)?;
        rows::check(means, "a start", 1)?;
        let positive = |v: &f32| *v > 0.0 && v.is_finite();
        if !(weights.iter().all(positive) && variances.iter().all(positive)) {
            return Err(UnsupervisedError::refused("weights and variances to start from must be above 0"));
        }
        let context = self.context(x);
        let shift = ArrayView1::from(&context.shift[..]).mapv(f64::from);
        let parameters = Parameters {
            weights: weights.iter().map(|&w| f64::from(w)).collect(),
            means: means.mapv(f64::from) - shift,
            variances: variances.mapv(f64::from),
        };
        self.rounds(&context, parameters)
    }

    fn check(&self, x: ArrayView2<'_, f32>) -> Result<(), UnsupervisedError> {
        let k = self.components.get();
        rows::check(x, &format!("a mixture of {k} components"), k)
    }

    fn context<'a>(&self, x: ArrayView2<'a, f32>) -> Context<'a> {
        let moments = rows::moments(x);
        let typical = moments.variance.mean().unwrap_or(0.0);
        let share = self.variance_floor.get();
        // A column without variance must not divide by 0; neither must rows that are all alike.
        let least = share * if typical > 0.0 { typical * 1e-3 } else { 1.0 };
        let floor = moments.variance.iter().map(|v| (v * share).max(least)).collect();
        Context { x: rows::contiguous(x), shift: moments.mean.iter().map(|&m| m as f32).collect(), floor }
    }

    fn rounds(&self, context: &Context<'_>, mut parameters: Parameters) -> Result<Mixture, UnsupervisedError> {
        let mut before = f64::NEG_INFINITY;
        let (mut iterations, mut converged) = (0, false);
        while iterations < self.iterations && !converged {
            let expected = Mixture::new(&parameters, &context.shift)?;
            let (next, likelihood) = maximisation::round(context, &expected);
            if !likelihood.is_finite() {
                return Err(UnsupervisedError::Diverged { what: "log-likelihood" });
            }
            iterations += 1;
            converged = likelihood - before < self.tolerance.get();
            before = likelihood;
            parameters = next;
            maximisation::revive(&mut parameters, context.x.nrows());
        }
        let mixture = Mixture::new(&parameters, &context.shift)?;
        Ok(Mixture { iterations, converged, ..mixture })
    }
}

/// What all rounds share.
struct Context<'a> {
    x: ndarray::CowArray<'a, f32, ndarray::Ix2>,
    shift: Vec<f32>,
    floor: Vec<f64>,
}

/// A mixture that was learned.
#[derive(Debug)]
pub struct Mixture {
    weights: Vec<f32>,
    means: Array2<f32>,
    variances: Array2<f32>,
    shift: Vec<f32>,
    packed: Packed,
    iterations: usize,
    converged: bool,
}

impl Mixture {
    /// A mixture of these weights (k), which are made to sum to 1, means (k, d) and variances (k, d).
    ///
    /// # Errors
    /// When a value is not finite, or a weight or variance not above 0.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn of(weights: &[f32], means: &Array2<f32>, variances: &Array2<f32>) -> Result<Self, UnsupervisedError> {
        assert!(means.dim() == variances.dim() && weights.len() == means.nrows(), "weights, means and variances");
        let shift = means.mean_axis(Axis(0)).map_or(Vec::new(), |mean| mean.to_vec());
        let sum: f64 = weights.iter().map(|&w| f64::from(w)).sum();
        let parameters = Parameters {
            weights: weights.iter().map(|&w| f64::from(w) / sum).collect(),
            means: means.mapv(f64::from) - ArrayView1::from(&shift[..]).mapv(f64::from),
            variances: variances.mapv(f64::from),
        };
        Self::new(&parameters, &shift)
    }

    fn new(parameters: &Parameters, shift: &[f32]) -> Result<Self, UnsupervisedError> {
        let good = parameters.means.iter().all(|v| v.is_finite())
            && parameters.variances.iter().chain(&parameters.weights).all(|&v| v > 0.0 && v.is_finite());
        if !good || parameters.means.is_empty() {
            return Err(UnsupervisedError::Diverged { what: "parameters of the mixture" });
        }
        let packed = expectation::pack(parameters);
        let shift_row = ArrayView1::from(shift).mapv(f64::from);
        Ok(Self {
            weights: parameters.weights.iter().map(|&w| w as f32).collect(),
            means: (&parameters.means + &shift_row).mapv(|v| v as f32),
            variances: parameters.variances.mapv(|v| v as f32),
            shift: shift.to_vec(),
            packed,
            iterations: 0,
            converged: false,
        })
    }

    /// k, the number of components.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Never: a mixture has a component.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// d, the columns of a row.
    pub fn dim(&self) -> usize {
        self.means.ncols()
    }

    /// Weights (k), which sum to 1.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Means (k, d).
    pub fn means(&self) -> ArrayView2<'_, f32> {
        self.means.view()
    }

    /// Variances (k, d).
    pub fn variances(&self) -> ArrayView2<'_, f32> {
        self.variances.view()
    }

    /// Rounds that were made.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// Whether the log-likelihood had stopped growing.
    pub fn converged(&self) -> bool {
        self.converged
    }

    /// Bytes of weights, means and variances.
    pub fn model_bytes(&self) -> usize {
        (self.weights.len() + self.means.len() + self.variances.len()) * size_of::<f32>()
    }

    /// The posteriors of rows `x` (n, d) into `out` (n, k): each row sums to 1. On the calling thread alone; a row's
    /// result does not depend on the rows beside it, to the bit.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn posteriors_here(&self, x: ArrayView2<'_, f32>, mut out: ArrayViewMut2<'_, f32>) {
        assert_eq!((x.ncols(), out.dim()), (self.dim(), (x.nrows(), self.len())), "posteriors of rows");
        let x = rows::contiguous(x);
        let mut scratch = expectation::Scratch::new(self);
        let chunk = expectation::BLOCK;
        let rows = rows::slice(&x).chunks(chunk * self.dim());
        for (rows, mut out) in rows.zip(out.axis_chunks_iter_mut(Axis(0), chunk)) {
            let (posteriors, _) = scratch.posteriors(self, rows);
            let found = ArrayView2::from_shape(out.dim(), posteriors);
            out.assign(&found.expect("as many posteriors as rows times components"));
        }
    }

    /// The mean log-likelihood of rows `x` (n, d) in nats, on rayon's current pool.
    ///
    /// # Panics
    /// When the rows do not have d columns.
    pub fn mean_log_likelihood(&self, x: ArrayView2<'_, f32>) -> f64 {
        assert_eq!(x.ncols(), self.dim(), "columns of the mixture");
        let x = rows::contiguous(x);
        let blocks = rows::slice(&x).par_chunks(expectation::BLOCK * 32 * self.dim());
        let sums: Vec<f64> = blocks
            .map(|rows| {
                let mut scratch = expectation::Scratch::new(self);
                let blocks = rows.chunks(expectation::BLOCK * self.dim());
                blocks.map(|rows| scratch.posteriors(self, rows).1).sum()
            })
            .collect();
        sums.into_iter().sum::<f64>() / x.nrows().max(1) as f64
    }
}
