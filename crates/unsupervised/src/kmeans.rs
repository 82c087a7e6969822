//! k-means: k centres such that rows lie close to the nearest one.
//!
//! Lloyd's algorithm (Lloyd 1982). Products of bytes leave one or two centres a row, whose distances decide (screen.rs);
//! where the processor has no instruction for them, the nearest centre of x is argmax_j (x − m)·(c_j − m) − ½‖c_j − m‖² by
//! products in tiles that are never written ([`bakeoff_numeric::packed`]), with m the mean of the centres, which keeps the
//! difference of two great numbers out of f32 when all rows lie far from the origin. Sums of clusters are kept in f64 and only
//! rows that change their cluster are moved from sum to sum.
//!
//! Rules: among equally near centres the lowest wins. A cluster without rows takes the row that lies farthest from its
//! own centre (the lowest among equals), unless that row is alone in its cluster or lies on its centre; then it keeps
//! its centre. So with fewer distinct rows than k some centres stay where they started, and nothing is divided by 0.

mod assign;
mod linfa_engine;
mod lloyd;
mod minibatch;
mod screen;
mod spherical;
mod start;

use crate::UnsupervisedError;
use crate::rows;
use assign::Assigner;
use bakeoff_core::params::NonNegative;
use bakeoff_core::seed::Seed;
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Where the centres start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// Rows drawn one by one with a probability proportional to the squared distance to those drawn before (Arthur,
    /// Vassilvitskii 2007), from a sample of 16 k rows (at least 10,000) when there are more.
    #[default]
    KMeansPlusPlus,
    /// k different rows.
    RandomSample,
    /// Normal numbers of deviation 0.1, as in the code of Coates, Lee, Ng 2011, for whitened rows: so near to 0 that
    /// directions decide at first.
    Normal,
}

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// Products, as described above.
    #[default]
    Tiled,
    /// linfa-clustering, from the same start. It counts the old centre of a cluster as one more row and measures
    /// `tolerance` as the distance that all centres move together, so its centres differ a little.
    Linfa,
}

/// Settings of k-means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KMeans {
    /// Centres.
    pub k: NonZeroUsize,
    /// Where they start.
    pub init: Init,
    /// Rounds at most; with 0 the start is the result. One round sees all rows, or one minibatch.
    pub iterations: usize,
    /// Stops when the squared moves of all centres sum to no more than this share of the mean variance of a column.
    /// It stops in any case when no row changes its cluster. Minibatches do not look at it.
    pub tolerance: NonNegative,
    /// Who does the work.
    pub engine: Engine,
    /// Unit centres, to which a row belongs by the greatest |x·c| (Coates, Ng 2012).
    pub spherical: bool,
    /// Rows a round sees (Sculley 2010); 0 for all.
    pub minibatch: usize,
}

impl Default for KMeans {
    fn default() -> Self {
        Self {
            k: NonZeroUsize::MIN.saturating_add(255),
            init: Init::default(),
            iterations: 50,
            tolerance: NonNegative::literal(1e-4),
            engine: Engine::default(),
            spherical: false,
            minibatch: 0,
        }
    }
}

/// How rows belong to centres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Metric {
    /// The least distance.
    Distance,
    /// The greatest absolute product.
    AbsoluteProduct,
}

/// What the rounds left.
struct Outcome {
    centers: Array2<f32>,
    iterations: usize,
    converged: bool,
}

impl KMeans {
    /// Learns k centres from rows `x` (n, d).
    ///
    /// # Errors
    /// When there are fewer rows than k, a value is not finite, or the settings do not go together.
    pub fn fit(&self, x: ArrayView2<'_, f32>, seed: Seed) -> Result<Codebook, UnsupervisedError> {
        self.check(x)?;
        let x = rows::contiguous(x);
        let mut rng = seed.derive("start").rng();
        let start = match self.init {
            Init::KMeansPlusPlus => start::plus_plus(x.view(), self.k.get(), &mut rng),
            Init::RandomSample => start::random_sample(x.view(), self.k.get(), &mut rng),
            Init::Normal => start::normal(self.k.get(), x.ncols(), &mut rng),
        };
        self.rounds(x.view(), start, seed)
    }

    /// Learns from rows `x` (n, d), starting at the centres `start` (k, d). The seed draws minibatches.
    ///
    /// # Errors
    /// As [`KMeans::fit`], and when a start is not finite.
    ///
    /// # Panics
    /// When `start` is not (k, d).
    pub fn fit_from(
        &self,
        x: ArrayView2<'_, f32>,
        start: ArrayView2<'_, f32>,
        seed: Seed,
    ) -> Result<Codebook, UnsupervisedError> {
        assert_eq!(start.dim(), (self.k.get(), x.ncols()), "starting centres");
        self.check(x)?;
        rows::check(start, "a start", 1)?;
        self.rounds(rows::contiguous(x).view(), start.as_standard_layout().into_owned(), seed)
    }

    fn check(&self, x: ArrayView2<'_, f32>) -> Result<(), UnsupervisedError> {
        if self.engine == Engine::Linfa && (self.spherical || self.minibatch > 0) {
            return Err(UnsupervisedError::refused("engine linfa has neither spherical k-means nor minibatches here"));
        }
        if self.spherical && self.minibatch > 0 {
            return Err(UnsupervisedError::refused("spherical k-means has no minibatches: set minibatch to 0"));
        }
        rows::check(x, &format!("k-means with k = {}", self.k), self.k.get())
    }

    fn rounds(&self, x: ArrayView2<'_, f32>, start: Array2<f32>, seed: Seed) -> Result<Codebook, UnsupervisedError> {
        let outcome = match self {
            _ if self.iterations == 0 && !self.spherical => Outcome { centers: start, iterations: 0, converged: false },
            Self { engine: Engine::Linfa, .. } => linfa_engine::fit(self, x, start, seed)?,
            Self { spherical: true, .. } => spherical::fit(self, x, start),
            Self { minibatch: 1.., .. } => minibatch::fit(self, x, start, &mut seed.derive("minibatches").rng()),
            _ => lloyd::fit(self, x, start),
        };
        let metric = if self.spherical { Metric::AbsoluteProduct } else { Metric::Distance };
        let (iterations, converged) = (outcome.iterations, outcome.converged);
        Ok(Codebook { iterations, converged, ..Codebook::of(outcome.centers, metric)? })
    }
}

/// Centres, ready to find the nearest of.
#[derive(Debug)]
pub struct Codebook {
    centers: Array2<f32>,
    metric: Metric,
    assigner: Assigner,
    iterations: usize,
    converged: bool,
}

/// Rows that a worker takes at a time.
const BLOCK: usize = 960;

impl Codebook {
    /// A codebook of these centres (k, d), by distance.
    ///
    /// # Errors
    /// When there is no centre, no column, or a value that is not finite.
    pub fn new(centers: Array2<f32>) -> Result<Self, UnsupervisedError> {
        Self::of(centers, Metric::Distance)
    }

    /// The codebook of these centres (k, d) that such settings would give.
    ///
    /// # Errors
    /// As [`Codebook::new`].
    pub fn with_settings(settings: &KMeans, centers: Array2<f32>) -> Result<Self, UnsupervisedError> {
        Self::of(centers, if settings.spherical { Metric::AbsoluteProduct } else { Metric::Distance })
    }

    fn of(centers: Array2<f32>, metric: Metric) -> Result<Self, UnsupervisedError> {
        rows::check(centers.view(), "a codebook", 1).map_err(|e| match e {
            UnsupervisedError::NotFinite { .. } => UnsupervisedError::Diverged { what: "centres of k-means" },
            other => other,
        })?;
        let assigner = Assigner::new(centers.view(), metric);
        Ok(Self { centers, metric, assigner, iterations: 0, converged: false })
    }

    /// The centres (k, d).
    pub fn centers(&self) -> ArrayView2<'_, f32> {
        self.centers.view()
    }

    /// k, the number of centres.
    pub fn len(&self) -> usize {
        self.centers.nrows()
    }

    /// Never: a codebook has a centre.
    pub fn is_empty(&self) -> bool {
        self.centers.is_empty()
    }

    /// d, the columns of a row.
    pub fn dim(&self) -> usize {
        self.centers.ncols()
    }

    /// Rounds that were made.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// Whether the rounds ended by themselves.
    pub fn converged(&self) -> bool {
        self.converged
    }

    /// Bytes of the centres.
    pub fn model_bytes(&self) -> usize {
        self.centers.len() * size_of::<f32>()
    }

    /// The number of the nearest centre for each of the rows `x` (n, d), on rayon's current pool; the lowest among
    /// equals.
    ///
    /// # Panics
    /// When the rows do not have d columns.
    pub fn nearest(&self, x: ArrayView2<'_, f32>) -> Vec<u32> {
        let mut ids = vec![0; x.nrows()];
        let blocks = x.axis_chunks_iter(Axis(0), BLOCK).into_par_iter();
        blocks.zip(ids.par_chunks_mut(BLOCK)).for_each(|(rows, ids)| self.nearest_here(rows, ids));
        ids
    }

    /// As [`Codebook::nearest`], on the calling thread alone, into `ids` (n).
    ///
    /// # Panics
    /// When the rows do not have d columns or `ids` is not as long as there are rows.
    pub fn nearest_here(&self, x: ArrayView2<'_, f32>, ids: &mut [u32]) {
        assert_eq!(x.dim(), (ids.len(), self.dim()), "rows of the codebook");
        let x = rows::contiguous(x);
        self.assigner.nearest(rows::slice(&x), ids);
        if self.metric == Metric::AbsoluteProduct {
            ids.iter_mut().for_each(|id| *id = spherical::without_sign(*id, self.len()).0);
        }
    }

    /// The sum of squared distances of rows `x` (n, d) to the centre each belongs to.
    ///
    /// # Panics
    /// When the rows do not have d columns.
    pub fn inertia(&self, x: ArrayView2<'_, f32>) -> f64 {
        let ids = self.nearest(x);
        let blocks = x.axis_chunks_iter(Axis(0), BLOCK).into_par_iter().zip(ids.par_chunks(BLOCK));
        let sums: Vec<f64> = blocks
            .map(|(rows, ids)| {
                let pairs = rows.outer_iter().zip(ids);
                let apart = |(row, &id): (ndarray::ArrayView1<'_, f32>, &u32)| -> f64 {
                    let center = self.centers.row(id as usize);
                    row.iter().zip(center).map(|(&v, &c)| (f64::from(v) - f64::from(c)).powi(2)).sum()
                };
                pairs.map(apart).sum()
            })
            .collect();
        sums.into_iter().sum()
    }
}
