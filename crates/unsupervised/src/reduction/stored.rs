//! Reductions as named arrays and as steps.

use super::{Linear, Reducer, Reduction};
use bakeoff_core::tensors::check_values;
use bakeoff_core::{Operation, RestoreError, Tensors};
use bakeoff_numeric::packed::Packed;
use ndarray::Array1;

impl Reducer {
    /// Mean (d), matrix (d, p), and of the training rows' variance what each direction holds and the whole; nothing for the
    /// identity.
    pub fn learned(&self) -> Tensors {
        let Some(Linear { mean, matrix, .. }) = &self.linear else { return Tensors::new() };
        Tensors::new()
            .with_slice("mean", mean)
            .with("matrix", matrix)
            .with_slice("explained", &self.explained)
            .with_slice("variance", &[self.total])
    }

    /// The steps that reduce a row.
    pub fn operations(&self) -> Vec<Operation> {
        let Some(Linear { mean, matrix, .. }) = &self.linear else { return Vec::new() };
        let w = matrix.t().as_standard_layout().into_owned();
        vec![Operation::Subtract(mean.iter().copied().collect()), Operation::Affine { b: Array1::zeros(w.nrows()), w }]
    }
}

impl Reduction {
    /// The reducer of rows of `d` columns that [`Reducer::learned`] came from.
    ///
    /// # Errors
    /// [`RestoreError`] when the arrays are not those of such a reduction.
    pub fn restore(&self, d: usize, mut learned: Tensors) -> Result<Reducer, RestoreError> {
        let p = match *self {
            Self::None {} => {
                learned.finish()?;
                return Ok(Reducer::identity(d));
            }
            Self::Pca { dimensions, .. } => dimensions.get(),
            Self::Zca { .. } => d,
        };
        let mean = learned.vector("mean", d)?;
        let matrix = learned.matrix("matrix", d, p)?;
        let explained: Vec<f64> = learned.vector("explained", p)?;
        let total: f64 = learned.scalar("variance")?;
        learned.finish()?;
        check_values("variance", &[total], "a number, 0 or above", |v| v >= 0.0)?;
        let packed = Packed::new(matrix.view());
        Ok(Reducer { dim_in: d, linear: Some(Linear { mean, matrix, packed }), explained, total })
    }
}
