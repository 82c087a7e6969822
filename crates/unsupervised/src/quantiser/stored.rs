//! Quantisers as named arrays.

use super::{MOST_BITS, Quantiser};
use bakeoff_core::tensors::check_values;
use bakeoff_core::{RestoreError, Tensors};

impl Quantiser {
    /// The centres, group after group, and how many a whole group and the last have.
    pub fn learned(&self) -> Tensors {
        Tensors::new().with_slice("centers", &self.centers).with_slice("counts", &[self.k as u32, self.last_k as u32])
    }

    /// The quantiser of rows of `d` columns in groups of `group` that [`Quantiser::learned`] came from.
    ///
    /// # Errors
    /// [`RestoreError`] when the arrays are not those of such a quantiser.
    pub fn restore(d: usize, group: usize, mut learned: Tensors) -> Result<Self, RestoreError> {
        let group = group.min(d);
        if group == 0 || group > MOST_BITS {
            return Err(RestoreError::refused(format!(
                "groups of {group} columns of {d}; 1 to {MOST_BITS} are possible"
            )));
        }
        let counts: Vec<u32> = learned.vector("counts", 2)?;
        check_values("counts", &counts, "1 to 65,536 centres", |count| (1..=1 << MOST_BITS).contains(&count))?;
        let (k, last_k) = (counts[0] as usize, counts[1] as usize);
        if last_k > k {
            return Err(RestoreError::refused(format!("{last_k} centres in the last group, {k} in the others")));
        }
        let (groups, last) = (d.div_ceil(group), (d - 1) % group + 1);
        let numbers = (groups - 1).saturating_mul(k * group).saturating_add(last_k * last);
        let centers = learned.vector("centers", numbers)?;
        learned.finish()?;
        Ok(Self { centers, d, group, k, last_k })
    }
}
