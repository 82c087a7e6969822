//! Fewer or decorrelated columns: principal components and whitening.
//!
//! With mean m and covariance C = V Λ Vᵀ (over n − 1) of training rows, a row x becomes
//! - `pca`: (x − m) V, the first columns of V by eigenvalue; whitened each divided by √λ (Jolliffe 2002);
//! - `zca`: (x − m) V (Λ + ε)^−½ Vᵀ (Bell, Sejnowski 1997; ε as in Coates, Lee, Ng 2011).
//!
//! The value of the greatest magnitude in each column of V is positive (the first among equals), as in scikit-learn.
//! The covariance is summed in f64. Up to [`EXACT`] columns it is decomposed; wider rows are reduced by their gram
//! matrix when they are few, else by a randomised range finder with power iterations (Halko, Martinsson, Tropp 2011),
//! and not whitened by `zca`, whose matrix alone would have d² numbers.

mod exact;
mod randomised;
mod stored;

use crate::UnsupervisedError;
use crate::rows;
use bakeoff_core::params::NonNegative;
use bakeoff_numeric::packed::Packed;
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// Columns up to which the covariance matrix is decomposed: d³ steps in f64, about a minute at this size.
pub const EXACT: usize = 2048;

/// What is done to rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reduction {
    /// Nothing.
    None {},
    /// Principal components.
    Pca {
        /// How many.
        dimensions: NonZeroUsize,
        /// Whether each is divided by its deviation. Components without variance become 0.
        #[serde(default)]
        whiten: bool,
    },
    /// Whitening that turns back to the original axes.
    Zca {
        /// Added to every eigenvalue: in squared units of the columns. 0 leaves out directions without variance.
        #[serde(default = "default_epsilon")]
        epsilon: NonNegative,
    },
}

fn default_epsilon() -> NonNegative {
    NonNegative::literal(0.1)
}

impl Default for Reduction {
    fn default() -> Self {
        Self::None {}
    }
}

/// Directions of greatest variance: eigenvalues in falling order and one row of (p, d) for each.
struct Spectrum {
    mean: Array1<f64>,
    values: Vec<f64>,
    vectors: Array2<f64>,
    total: f64,
}

impl Reduction {
    /// Learns from rows `x` (n, d). The same rows give the same bits: the randomised method draws from a fixed seed.
    ///
    /// # Errors
    /// When a value is not finite, more dimensions are asked for than rows and columns give, or `zca` is asked for
    /// rows wider than [`EXACT`].
    pub fn fit(&self, x: ArrayView2<'_, f32>) -> Result<Reducer, UnsupervisedError> {
        match *self {
            Self::None {} => {
                rows::check(x, "a reduction", 0)?;
                Ok(Reducer::identity(x.ncols()))
            }
            Self::Pca { dimensions, whiten } => pca(x, dimensions.get(), whiten),
            Self::Zca { epsilon } => zca(x, epsilon.get()),
        }
    }
}

fn pca(x: ArrayView2<'_, f32>, dimensions: usize, whiten: bool) -> Result<Reducer, UnsupervisedError> {
    rows::check(x, "pca", 2)?;
    let (n, d) = x.dim();
    let found = d.min(n - 1);
    if dimensions > found {
        let why = if d < n { format!("rows have {d} columns") } else { format!("{n} rows span at most {found}") };
        return Err(UnsupervisedError::TooManyDimensions { asked: dimensions, found, why });
    }
    let mut spectrum = if d <= EXACT {
        exact::of_columns(x)?
    } else if n <= EXACT {
        exact::of_rows(x, dimensions)?
    } else {
        randomised::spectrum(x, dimensions)?
    };
    spectrum.values.truncate(dimensions);
    fix_signs(&mut spectrum.vectors);
    let least = rounding(&spectrum);
    let scale = |&value: &f64| match whiten {
        true if value > least => 1.0 / value.sqrt(),
        true => 0.0,
        false => 1.0,
    };
    let scales: Array1<f64> = spectrum.values.iter().map(scale).collect();
    let vectors = spectrum.vectors.slice(s![..dimensions, ..]);
    let matrix = (&vectors * &scales.insert_axis(Axis(1))).reversed_axes();
    Reducer::new(&spectrum, matrix)
}

fn zca(x: ArrayView2<'_, f32>, epsilon: f64) -> Result<Reducer, UnsupervisedError> {
    rows::check(x, "zca", 2)?;
    let d = x.ncols();
    if d > EXACT {
        let reason = format!("zca of {d} columns: a matrix of {d}² numbers; it takes at most {EXACT}, reduce by pca");
        return Err(UnsupervisedError::refused(reason));
    }
    let spectrum = exact::of_columns(x)?;
    let least = rounding(&spectrum);
    let scale = |&value: &f64| {
        let value = value.max(0.0);
        if value + epsilon > least { 1.0 / (value + epsilon).sqrt() } else { 0.0 }
    };
    let scales: Array1<f64> = spectrum.values.iter().map(scale).collect();
    let mut matrix = Array2::zeros((d, d));
    let scaled = &spectrum.vectors * &scales.insert_axis(Axis(1));
    bakeoff_numeric::matmul(spectrum.vectors.t(), scaled.view(), matrix.view_mut());
    Reducer::new(&spectrum, matrix)
}

/// Eigenvalues up to this are rounding of f32 rows and no variance.
fn rounding(spectrum: &Spectrum) -> f64 {
    let greatest = spectrum.values.first().copied().unwrap_or(0.0);
    let level = spectrum.mean.fold(0.0f64, |most, m| most.max(m * m));
    (greatest + level) * f64::from(f32::EPSILON) * 1e-3
}

/// Makes the value of the greatest magnitude in each row positive.
fn fix_signs(vectors: &mut Array2<f64>) {
    for mut vector in vectors.outer_iter_mut() {
        let greatest = vector.fold(0.0f64, |most, &v| if v.abs() > most.abs() { v } else { most });
        if greatest < 0.0 {
            vector.mapv_inplace(|v| -v);
        }
    }
}

/// A reduction that was learned.
#[derive(Debug)]
pub struct Reducer {
    dim_in: usize,
    linear: Option<Linear>,
    explained: Vec<f64>,
    total: f64,
}

/// (x − mean) · matrix.
#[derive(Debug)]
struct Linear {
    mean: Vec<f32>,
    matrix: Array2<f32>,
    packed: Packed,
}

/// Rows reduced together: their centred copy stays in the second cache.
const BLOCK_VALUES: usize = 32 << 10;

impl Reducer {
    /// Leaves rows of d columns as they are.
    pub fn identity(d: usize) -> Self {
        Self { dim_in: d, linear: None, explained: Vec::new(), total: 0.0 }
    }

    /// For the matrix (d, p).
    fn new(spectrum: &Spectrum, matrix: Array2<f64>) -> Result<Self, UnsupervisedError> {
        let matrix = matrix.mapv(|v| v as f32);
        if !matrix.iter().all(|v| v.is_finite()) {
            return Err(UnsupervisedError::Diverged { what: "principal components" });
        }
        let packed = Packed::new(matrix.view());
        let mean = spectrum.mean.iter().map(|&v| v as f32).collect();
        Ok(Self {
            dim_in: matrix.nrows(),
            linear: Some(Linear { mean, matrix, packed }),
            explained: spectrum.values.clone(),
            total: spectrum.total,
        })
    }

    /// d, the columns of a row before.
    pub fn dim_in(&self) -> usize {
        self.dim_in
    }

    /// p, the columns of a row after.
    pub fn dim_out(&self) -> usize {
        self.linear.as_ref().map_or(self.dim_in, |linear| linear.matrix.ncols())
    }

    /// The eigenvalues of the covariance that belong to the directions kept, in falling order; none for the identity.
    pub fn explained_variance(&self) -> &[f64] {
        &self.explained
    }

    /// The share of the training rows' variance that they hold; 1 for the identity and for rows without variance.
    pub fn explained_share(&self) -> f64 {
        if self.total > 0.0 { (self.explained.iter().sum::<f64>() / self.total).min(1.0) } else { 1.0 }
    }

    /// The mean (d) of the training rows; `None` for the identity.
    pub fn mean(&self) -> Option<&[f32]> {
        self.linear.as_ref().map(|linear| linear.mean.as_slice())
    }

    /// The matrix (d, p) that multiplies a row less the mean; `None` for the identity.
    pub fn matrix(&self) -> Option<ArrayView2<'_, f32>> {
        self.linear.as_ref().map(|linear| linear.matrix.view())
    }

    /// Bytes of mean and matrix.
    pub fn model_bytes(&self) -> usize {
        self.linear.as_ref().map_or(0, |linear| (linear.mean.len() + linear.matrix.len()) * size_of::<f32>())
    }

    /// Reduces rows `x` (n, d) into `out` (n, p), on the calling thread alone. A row's result does not depend on the
    /// rows beside it, to the bit.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn apply_here(&self, x: ArrayView2<'_, f32>, mut out: ArrayViewMut2<'_, f32>) {
        assert_eq!(x.ncols(), self.dim_in, "columns of the rows that were fitted");
        assert_eq!(out.dim(), (x.nrows(), self.dim_out()), "reduced rows");
        let Some(linear) = &self.linear else {
            out.assign(&x);
            return;
        };
        let block = (BLOCK_VALUES / self.dim_in).max(12);
        let mut centered = Array2::zeros((block.min(x.nrows()), self.dim_in));
        for (rows, out) in x.axis_chunks_iter(Axis(0), block).zip(out.axis_chunks_iter_mut(Axis(0), block)) {
            let mut centered = centered.slice_mut(s![..rows.nrows(), ..]);
            for (row, mut centered) in rows.outer_iter().zip(centered.outer_iter_mut()) {
                let pairs = row.iter().zip(&linear.mean);
                centered.iter_mut().zip(pairs).for_each(|(c, (&v, &mean))| *c = v - mean);
            }
            linear.packed.multiply(centered.view(), out);
        }
    }

    /// Reduces rows `x` (n, d) into a new (n, p) matrix on rayon's current pool.
    ///
    /// # Panics
    /// When the rows do not have d columns.
    pub fn apply(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut out = Array2::zeros((x.nrows(), self.dim_out()));
        let blocks = x.axis_chunks_iter(Axis(0), 1024).into_par_iter();
        blocks.zip(out.axis_chunks_iter_mut(Axis(0), 1024)).for_each(|(rows, out)| self.apply_here(rows, out));
        out
    }
}
