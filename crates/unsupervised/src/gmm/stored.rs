//! Mixtures as named arrays.

use super::Mixture;
use bakeoff_core::tensors::check_values;
use bakeoff_core::{RestoreError, Tensors};
use bakeoff_numeric::packed::Packed;

impl Mixture {
    /// Weights (k), means and variances (k, d), and what posteriors are computed by: the shift (d), the logits' matrix
    /// (2d, k) and constants (k). Those came from f64 and could not be had from the others to the bit. The rounds that were
    /// made are not in it.
    pub fn learned(&self) -> Tensors {
        let (logits, constants) = self.packed.unpacked();
        Tensors::new()
            .with_slice("weights", &self.weights)
            .with("means", &self.means)
            .with("variances", &self.variances)
            .with_slice("shift", &self.shift)
            .with("logits", &logits)
            .with_slice("constants", constants)
    }

    /// The mixture of k components of d columns that [`Mixture::learned`] came from.
    ///
    /// # Errors
    /// [`RestoreError`] when the arrays are not those of such a mixture, all finite, with weights and variances above 0.
    pub fn restore(k: usize, d: usize, mut learned: Tensors) -> Result<Self, RestoreError> {
        let weights: Vec<f32> = learned.vector("weights", k)?;
        let means = learned.matrix("means", k, d)?;
        let variances = learned.matrix::<f32>("variances", k, d)?;
        let shift = learned.vector("shift", d)?;
        let logits = learned.matrix("logits", d.saturating_mul(2), k)?;
        let constants: Vec<f32> = learned.vector("constants", k)?;
        learned.finish()?;
        check_values("weights", &weights, "a number above 0", |w| w > 0.0)?;
        check_values("variances", variances.as_slice().unwrap_or_default(), "a number above 0", |v| v > 0.0)?;
        let packed = Packed::with_bias(logits.view(), &constants);
        Ok(Self { weights, means, variances, shift, packed, iterations: 0, converged: false })
    }
}
