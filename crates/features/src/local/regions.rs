//! Regions of an image in which local descriptors are summed apart: every field of a list of grids. [[1, 1], [2, 2]]
//! is a spatial pyramid of 5 regions (Lazebnik, Schmid, Ponce 2006), [[1, 1], [3, 1]] the whole image and three stripes.

use super::Place;
use bakeoff_core::ExtractError;
use std::num::NonZeroUsize;

/// Regions at most; far more than any source uses.
const MOST_REGIONS: usize = 1 << 12;

/// The fields of a list of grids, grid by grid and row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Regions {
    grids: Vec<(usize, usize)>,
    count: usize,
}

impl Regions {
    /// Regions of these grids, (rows, columns) each.
    ///
    /// # Errors
    /// [`ExtractError::Refused`] when there is no grid or there are more than 4,096 fields.
    pub(crate) fn new(grids: &[(NonZeroUsize, NonZeroUsize)]) -> Result<Self, ExtractError> {
        let fields = |&(rows, columns): &(NonZeroUsize, NonZeroUsize)| rows.get().saturating_mul(columns.get());
        let count = grids.iter().map(fields).fold(0usize, usize::saturating_add);
        if count == 0 || count > MOST_REGIONS {
            return Err(ExtractError::refused(format!("{count} regions; 1 to {MOST_REGIONS} are possible")));
        }
        Ok(Self { grids: grids.iter().map(|(rows, columns)| (rows.get(), columns.get())).collect(), count })
    }

    /// Refuses more places than can be listed by region: settings may come from a file that nobody vouches for.
    ///
    /// # Errors
    /// [`ExtractError::Refused`] when the places of all grids are more than 2²⁴.
    pub(crate) fn check(&self, places: usize) -> Result<(), ExtractError> {
        match places.checked_mul(self.grids.len()) {
            Some(entries) if entries <= crate::MOST_NUMBERS => Ok(()),
            _ => Err(ExtractError::refused(format!("{places} places in {} grids: a larger step", self.grids.len()))),
        }
    }

    /// R, all fields of all grids.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The regions of a place, one of each grid, in the grids' order. The field of a grid is that in which the centre
    /// lies; a centre on the border of two, or outside of the image, belongs to the later, or to the nearest.
    pub(crate) fn of(&self, place: &Place) -> impl Iterator<Item = usize> {
        let field = |share: f32, fields: usize| ((share * fields as f32).max(0.0) as usize).min(fields - 1);
        let (y, x) = (place.y, place.x);
        let mut first = 0;
        self.grids.iter().map(move |&(rows, columns)| {
            let region = first + field(y, rows) * columns + field(x, columns);
            first += rows * columns;
            region
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(grids: &[(usize, usize)]) -> Result<Regions, ExtractError> {
        let some = |v| NonZeroUsize::new(v).unwrap();
        Regions::new(&grids.iter().map(|&(rows, columns)| (some(rows), some(columns))).collect::<Vec<_>>())
    }

    fn of(regions: &Regions, y: f32, x: f32) -> Vec<usize> {
        regions.of(&Place { y, x, side: 1.0 }).collect()
    }

    #[test]
    fn a_place_is_in_one_field_of_each_grid() {
        let pyramid = regions(&[(1, 1), (2, 2)]).unwrap();
        assert_eq!(pyramid.count(), 5);
        assert_eq!(of(&pyramid, 0.2, 0.7), [0, 2]);
        assert_eq!(of(&pyramid, 0.5, 0.49), [0, 3]);
        let winner = regions(&[(1, 1), (3, 1)]).unwrap();
        assert_eq!(winner.count(), 4);
        assert_eq!([0.0, 0.4, 1.0].map(|y| of(&winner, y, 0.5)[1]), [1, 2, 3]);
        assert_eq!(of(&winner, -0.1, 0.5), [0, 1]);
    }

    #[test]
    fn no_grid_and_too_many_fields_are_refused() {
        assert!(regions(&[]).unwrap_err().to_string().contains("0 regions"));
        assert!(regions(&[(usize::MAX, 3)]).unwrap_err().to_string().contains("4096"));
    }
}
