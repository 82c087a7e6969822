//! Which class wins where: decision regions of anything that scores points, as outlines.

use crate::figure::Frame;
use bakeoff_report::plot::{Drawing, Mark};
use ndarray::{Array2, ArrayView2};

type Place = (f64, f64);

/// Scores on a grid over a frame, as margins: by how much each class is ahead of the best other one.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    frame: Frame,
    /// Cells a side; corners are one more.
    side: usize,
    /// One number a corner, row by row from the lower edge, for each class.
    margins: Vec<Vec<f64>>,
}

/// Cells a side of the pictures.
pub(crate) const FINE: usize = 72;

impl Field {
    /// The field of scores: (n, 2) places to (n, k) scores.
    pub(crate) fn of(frame: Frame, side: usize, scores: impl FnOnce(ArrayView2<'_, f32>) -> Array2<f32>) -> Self {
        let mut field = Self { frame, side, margins: Vec::new() };
        let corners: Vec<Place> =
            (0..=side).flat_map(|j| (0..=side).map(move |i| (i, j))).map(|at| field.corner(at)).collect();
        let rows =
            Array2::from_shape_fn(
                (corners.len(), 2),
                |(i, j)| if j == 0 { corners[i].0 as f32 } else { corners[i].1 as f32 },
            );
        let scores = scores(rows.view());
        field.margins = (0..scores.ncols())
            .map(|class| scores.outer_iter().map(|row| margin(row.iter().copied(), class)).collect())
            .collect();
        field
    }

    fn corner(&self, (i, j): (usize, usize)) -> Place {
        let Frame { x, y } = self.frame;
        let at = |(lo, hi): (f64, f64), i: usize| lo + (hi - lo) * i as f64 / self.side as f64;
        (at(x, i), at(y, j))
    }

    /// The corners of a cell with the margins there, against the clock.
    fn cell(&self, class: usize, i: usize, j: usize) -> [(Place, f64); 4] {
        [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
            .map(|(i, j)| (self.corner((i, j)), self.margins[class][j * (self.side + 1) + i]))
    }

    /// Polygons that fill the region of a class: whole cells in runs, and the cut ones by straight lines.
    fn polygons(&self, class: usize) -> Vec<Vec<Place>> {
        let mut polygons = Vec::new();
        for j in 0..self.side {
            let mut run: Option<usize> = None;
            for i in 0..=self.side {
                let cell = (i < self.side).then(|| self.cell(class, i, j));
                let is_whole = cell.is_some_and(|corners| corners.iter().all(|(_, margin)| *margin >= 0.0));
                match (run, is_whole) {
                    (None, true) => run = Some(i),
                    (Some(first), false) => {
                        polygons
                            .push([(first, j), (i, j), (i, j + 1), (first, j + 1)].map(|at| self.corner(at)).to_vec());
                        run = None;
                    }
                    _ => {}
                }
                if let (Some(corners), false) = (cell, is_whole) {
                    polygons.push(clipped(&corners));
                }
            }
        }
        polygons.retain(|polygon| polygon.len() > 2);
        polygons
    }

    /// Where two classes are level, as short lines.
    pub(crate) fn boundary(&self) -> Vec<[Place; 2]> {
        let mut lines = Vec::new();
        // Of two classes each line would come twice.
        let classes = if self.margins.len() == 2 { 1 } else { self.margins.len() };
        for class in 0..classes {
            for (i, j) in (0..self.side).flat_map(|j| (0..self.side).map(move |i| (i, j))) {
                let corners = self.cell(class, i, j);
                let cuts: Vec<Place> = (0..4).filter_map(|a| cut(corners[a], corners[(a + 1) % 4])).collect();
                lines.extend(cuts.chunks_exact(2).map(|pair| [pair[0], pair[1]]));
            }
        }
        lines
    }

    /// The length of all boundaries, in units of the plane.
    pub(crate) fn boundary_length(&self) -> f64 {
        let length = self.boundary().iter().map(|[a, b]| (a.0 - b.0).hypot(a.1 - b.1)).sum::<f64>();
        // Of three classes and more every line comes from both sides.
        if self.margins.len() > 2 { length / 2.0 } else { length }
    }

    /// Regions in the colors of the classes, and their boundaries.
    pub(crate) fn draw(&self, drawing: &mut Drawing<'_>) {
        for class in 0..self.margins.len() {
            let polygons = self.polygons(class);
            drawing.group(&Mark(class).class(), "", |drawing| drawing.region(polygons.iter().map(Vec::as_slice)));
        }
        let boundary = self.boundary();
        drawing.group("boundary", "", |drawing| drawing.lines(boundary.iter().map(<[Place; 2]>::as_slice)));
    }
}

fn margin(scores: impl Iterator<Item = f32> + Clone, class: usize) -> f64 {
    let best = scores
        .clone()
        .enumerate()
        .filter(|(other, _)| *other != class)
        .map(|(_, s)| s)
        .fold(f32::NEG_INFINITY, f32::max);
    f64::from(scores.clone().nth(class).unwrap_or(f32::NEG_INFINITY)) - f64::from(best)
}

/// The part of a cell in which the margin is not below 0.
fn clipped(corners: &[(Place, f64); 4]) -> Vec<Place> {
    let mut polygon = Vec::new();
    for a in 0..4 {
        if corners[a].1 >= 0.0 {
            polygon.push(corners[a].0);
        }
        polygon.extend(cut(corners[a], corners[(a + 1) % 4]));
    }
    polygon
}

/// The place between two corners at which the margin is 0.
fn cut(((ax, ay), a): (Place, f64), ((bx, by), b): (Place, f64)) -> Option<Place> {
    ((a >= 0.0) != (b >= 0.0)).then(|| {
        let share = a / (a - b);
        (ax + share * (bx - ax), ay + share * (by - ay))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Axis;

    fn area(polygons: &[Vec<Place>]) -> f64 {
        let of = |p: &Vec<Place>| {
            (0..p.len()).map(|i| (p[i], p[(i + 1) % p.len()])).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum::<f64>() / 2.0
        };
        polygons.iter().map(of).sum()
    }

    fn disc() -> Field {
        Field::of(Frame::about_zero(2.0), FINE, |at| {
            let inside = at.map_axis(Axis(1), |row| 1.0 - row.dot(&row));
            ndarray::stack![Axis(1), inside, inside.mapv(|v| -v)]
        })
    }

    #[test]
    fn a_disc_has_its_area_and_its_outline() {
        let field = disc();
        let (inner, outer) = (area(&field.polygons(0)), area(&field.polygons(1)));
        assert!((inner - std::f64::consts::PI).abs() < 0.01, "{inner}");
        assert!((inner + outer - 16.0).abs() < 1e-9, "{inner} {outer}");
        assert!((field.boundary_length() - std::f64::consts::TAU).abs() < 0.02, "{}", field.boundary_length());
        for [(x, y), _] in field.boundary() {
            assert!((x.hypot(y) - 1.0).abs() < 0.002, "{x} {y}");
        }
    }

    #[test]
    fn a_class_that_wins_everywhere_has_no_boundary() {
        let field = Field::of(Frame::about_zero(1.0), 4, |at| {
            Array2::from_shape_fn((at.nrows(), 3), |(_, class)| class as f32)
        });
        assert!(field.boundary().is_empty() && field.polygons(0).is_empty());
        assert!((area(&field.polygons(2)) - 4.0).abs() < 1e-9);
    }
}
