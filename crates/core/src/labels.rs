//! Class ids of images.

use ndarray::{Array1, ArrayView1};
use thiserror::Error;

/// One class id per image. Invariant: every id is below `n_classes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    ids: Array1<usize>,
    n_classes: usize,
}

/// A class id that no class has.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[error("label {id} of image {position} is not below {n_classes}, the number of classes")]
pub struct LabelError {
    /// Which image.
    pub position: usize,
    /// Its label.
    pub id: usize,
    /// How many classes there are.
    pub n_classes: usize,
}

impl Labels {
    /// Takes one id per image.
    ///
    /// # Errors
    /// [`LabelError`] for the first id that is not below `n_classes`.
    pub fn new(ids: Array1<usize>, n_classes: usize) -> Result<Self, LabelError> {
        match ids.iter().position(|&id| id >= n_classes) {
            Some(position) => Err(LabelError { position, id: ids[position], n_classes }),
            None => Ok(Self { ids, n_classes }),
        }
    }

    /// The ids, (n).
    pub fn ids(&self) -> ArrayView1<'_, usize> {
        self.ids.view()
    }

    /// The ids as a slice of n.
    ///
    /// # Panics
    /// Never: an owned one-dimensional array is contiguous.
    pub fn as_slice(&self) -> &[usize] {
        self.ids.as_slice().expect("an owned vector is contiguous")
    }

    /// k, also counting classes without an image.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Number of images, n.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Images a class, (k).
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.n_classes];
        for &id in &self.ids {
            counts[id] += 1;
        }
        counts
    }

    /// The labels at these positions, in this order.
    ///
    /// # Panics
    /// When a position is not below n.
    #[must_use]
    pub fn select(&self, positions: &[usize]) -> Self {
        Self { ids: positions.iter().map(|&i| self.ids[i]).collect(), n_classes: self.n_classes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_label_out_of_range_is_named() {
        let error = Labels::new(array![0, 2, 1], 2).unwrap_err();
        assert_eq!(error, LabelError { position: 1, id: 2, n_classes: 2 });
    }

    #[test]
    fn counts_include_classes_without_images() {
        assert_eq!(Labels::new(array![0, 2, 2], 4).unwrap().counts(), [1, 0, 2, 0]);
    }
}
