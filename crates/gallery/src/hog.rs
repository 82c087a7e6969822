//! Gradient histograms as strokes: each cell has a stroke for every direction of an edge, the stronger the brighter.

use crate::png::picture;
use bakeoff_core::{Extractor, ImagesView, Seed};
use bakeoff_features::hog::{Form, Hog};
use bakeoff_report::{Gallery, Picture, Stroke};
use ndarray::Array2;
use std::f32::consts::PI;

/// Histograms of a grid of cells: (rows, columns, orientations), row-major.
pub(crate) struct Cells {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) orientations: usize,
    pub(crate) signed: bool,
    /// Where the first bin of directions has its middle, in bins, and which way the bins turn.
    pub(crate) turning: Turning,
    pub(crate) values: Vec<f32>,
}

/// How bins of directions follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turning {
    /// From between the first two directions, clockwise as the image is seen: HoG's.
    Down,
    /// From the right, a quarter turn up: SIFT's.
    Up,
}

/// Strokes below this share of the strongest are not drawn.
const FAINTEST: f32 = 0.12;

impl Cells {
    /// The strokes over a picture of (height, width) pixels that these cells of `side` pixels cover, in shares of it. Half of what cells
    /// cover beyond the picture lies before it, as HoG pads. Values below 0 draw nothing.
    pub(crate) fn strokes(&self, (height, width): (usize, usize), side: usize) -> Vec<Stroke> {
        let before = |cells: usize, length: usize| ((cells * side).saturating_sub(length) / 2) as f32;
        let (top, left) = (before(self.rows, height), before(self.columns, width));
        let greatest = self.values.iter().filter(|v| v.is_finite()).fold(0.0f32, |most, v| most.max(*v));
        if greatest <= 0.0 {
            return Vec::new();
        }
        let turn = if self.signed { 2.0 * PI } else { PI };
        let stroke = |(i, value): (usize, &f32)| {
            let weight = value / greatest;
            let (cell, bin) = (i / self.orientations, i % self.orientations);
            let (row, column) = (cell / self.columns, cell % self.columns);
            // The edge is at a right angle to its gradient.
            let middle = match self.turning {
                Turning::Down => bin as f32 + 0.5,
                Turning::Up => -(bin as f32),
            };
            let angle = middle * turn / self.orientations as f32 + PI / 2.0;
            let (dx, dy) = (0.45 * angle.cos(), 0.45 * angle.sin());
            let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
            let share = |cells: f32, before: f32, length: usize| (cells * side as f32 - before) / length as f32;
            let place = |x: f32, y: f32| (share(x, left, width), share(y, top, height));
            (weight >= FAINTEST).then(|| Stroke { from: place(x - dx, y - dy), to: place(x + dx, y + dy), weight })
        };
        let mut strokes: Vec<Stroke> = self.values.iter().enumerate().filter_map(stroke).collect();
        // The brightest on top.
        strokes.sort_by(|a, b| a.weight.total_cmp(&b.weight));
        strokes
    }

    fn is_whole(&self) -> bool {
        self.values.len() == self.rows * self.columns * self.orientations && self.orientations > 0
    }
}

/// Strokes over a picture at most: a page with too many is slow.
const MOST_STROKES: usize = 2000;

/// Glyphs over the first image of each class, at most a dozen, as HoG with these settings sees them; `None` when the settings do not take such images.
pub fn glyphs(settings: &Hog, images: ImagesView<'_>, labels: &[usize], classes: &[String]) -> Option<Gallery> {
    const CLASSES: usize = 12;
    // The plain form has the histograms that the block form makes its vector of.
    let plain = Hog { form: Form::Plain, ..settings.clone() };
    let encoder = plain.fit(images, Seed(0)).ok()?;
    let (height, width, _) = images.shape();
    let (cell, orientations) = (settings.cell.get(), settings.orientations.get());
    let (rows, columns) = (height.div_ceil(cell), width.div_ceil(cell));
    let shown = (0..classes.len().min(CLASSES)).filter_map(|class| {
        let image = labels.iter().take(images.len()).position(|label| *label == class)?;
        let mut row = Array2::zeros((1, encoder.dim()));
        encoder.encode_into(images.range(image, image + 1), row.view_mut());
        let values = row.into_raw_vec_and_offset().0;
        let cells = Cells { rows, columns, orientations, signed: settings.signed, turning: Turning::Down, values };
        let strokes = if cells.is_whole() { cells.strokes((height, width), cell) } else { return None };
        let alt = format!("gradient directions in each cell of a {}", classes[class]);
        let picture = picture(images.image(image), images.shape(), alt, classes[class].clone())?;
        (strokes.len() <= MOST_STROKES).then(|| darkened(picture, strokes))
    });
    let pictures: Vec<Picture> = shown.collect();
    let caption = format!(
        "What HoG sees: in every cell of {cell} × {cell} pixels a stroke along each direction of an edge, the stronger the brighter."
    );
    (!pictures.is_empty()).then(|| Gallery { title: "Gradient histograms".to_owned(), caption, pictures })
}

fn darkened(picture: Picture, strokes: Vec<Stroke>) -> Picture {
    Picture { strokes, ..picture }
}

/// What a linear classifier looks for in each cell: positive weights (per class) of HoG's rows. `weights` is in the layout of `settings.form`.
pub(crate) fn template(settings: &Hog, (height, width): (usize, usize), weights: &[f32]) -> Option<Cells> {
    let (cell, orientations) = (settings.cell.get(), settings.orientations.get());
    let (rows, columns) = (height.div_ceil(cell), width.div_ceil(cell));
    let mut values = vec![0.0; rows * columns * orientations];
    match settings.form {
        Form::Plain if weights.len() == values.len() => values.copy_from_slice(weights),
        Form::Blocks if rows > 1 && columns > 1 && weights.len() == (rows - 1) * (columns - 1) * 4 * orientations => {
            // Block row, block column, cell row, cell column, direction: every cell stands in up to four blocks.
            for (i, histogram) in weights.chunks_exact(orientations).enumerate() {
                let (block, part) = (i / 4, i % 4);
                let row = block / (columns - 1) + part / 2;
                let column = block % (columns - 1) + part % 2;
                let start = (row * columns + column) * orientations;
                values[start..start + orientations].iter_mut().zip(histogram).for_each(|(sum, w)| *sum += w);
            }
        }
        _ => return None,
    }
    Some(Cells { rows, columns, orientations, signed: settings.signed, turning: Turning::Down, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::Images;
    use ndarray::Array4;

    #[test]
    fn an_upright_edge_has_an_upright_stroke() {
        // Dark left, light right: the gradient points along x, the edge stands upright.
        let pixels = Array4::from_shape_fn((1, 8, 8, 1), |(_, _, x, _)| if x < 4 { 0 } else { 200 });
        let images = Images::new(pixels).unwrap();
        let settings = Hog { orientations: 8.try_into().unwrap(), ..Hog::default() };
        let gallery = glyphs(&settings, images.view(), &[0], &["edge".to_owned()]).unwrap();
        let strongest = gallery.pictures[0].strokes.last().unwrap();
        let (dx, dy) = (strongest.to.0 - strongest.from.0, strongest.to.1 - strongest.from.1);
        assert!(dy.abs() > 2.0 * dx.abs() && (strongest.weight - 1.0).abs() < 1e-6, "{strongest:?}");
    }

    #[test]
    fn weights_of_blocks_are_summed_by_cell() {
        let settings = Hog { orientations: 1.try_into().unwrap(), ..Hog::default() };
        // 2 × 3 cells, 1 × 2 blocks of four cells each.
        let cells = template(&settings, (16, 24), &[1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0]).unwrap();
        assert_eq!(cells.values, [1.0, 12.0, 20.0, 3.0, 34.0, 40.0]);
        assert!(template(&settings, (16, 24), &[1.0]).is_none());
    }
}
