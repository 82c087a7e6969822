//! linfa-clustering's k-means behind the same settings.

use super::{KMeans, Outcome};
use crate::UnsupervisedError;
use bakeoff_core::seed::Seed;
use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_clustering::{KMeans as LinfaKMeans, KMeansInit};
use ndarray::{Array2, ArrayView2};

/// One run from `start`. linfa does not tell how many rounds it made: the planned number is reported.
pub(super) fn fit(
    settings: &KMeans,
    x: ArrayView2<'_, f32>,
    start: Array2<f32>,
    seed: Seed,
) -> Result<Outcome, UnsupervisedError> {
    // linfa refuses a tolerance of 0; the least number above it is met only by centres that do not move.
    let tolerance = (settings.tolerance.get() as f32).max(f32::MIN_POSITIVE);
    let fitted = LinfaKMeans::params_with_rng(settings.k.get(), seed.derive("linfa").rng())
        .n_runs(1)
        .max_n_iterations(settings.iterations as u64)
        .tolerance(tolerance)
        .init_method(KMeansInit::Precomputed(start))
        .fit(&DatasetBase::from(x))
        .map_err(|e| UnsupervisedError::refused(format!("linfa-clustering's k-means: {e}")))?;
    Ok(Outcome { centers: fitted.centroids().clone(), iterations: settings.iterations, converged: false })
}
