//! What a page draws: the regions of the plane, the space that a layer makes of it, its units, its weights. Bulky arrays are
//! bytes in base64.

use crate::learner::{Learner, Samples};
use crate::message::View;
use crate::point::REACH;
use crate::settings::Features;
use bakeoff_core::argmax_rows;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ndarray::{Array2, ArrayView2};
use serde::Serialize;

/// Cells of the plane both ways; rows go from the top down.
const SIDE: usize = 96;
/// Of how many cells the warped space shows one, both ways.
const MESH_STRIDE: usize = 3;
/// Of how many cells a unit's small picture shows one, both ways.
const UNIT_STRIDE: usize = 6;

/// The features (SIDE², 2) of the middle of every cell.
pub(crate) fn grid(features: Features) -> Array2<f32> {
    let middle = |i: usize| ((i as f64 + 0.5) * 2.0 / SIDE as f64 - 1.0) * REACH;
    let cells = (0..SIDE * SIDE).flat_map(|cell| features.of(middle(cell % SIDE) as f32, -middle(cell / SIDE) as f32));
    Array2::from_shape_vec((SIDE * SIDE, 2), cells.collect()).expect("two numbers a cell")
}

/// One layer by name and width.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Layer {
    name: String,
    pub(crate) units: usize,
}

/// The layers of a classifier: the features first, the scores last.
pub(crate) fn layers_of(learner: &Learner, features: Features, n_classes: usize) -> Vec<Layer> {
    let widths: Vec<usize> = match learner.network() {
        Some(network) => network.stages.iter().map(bakeoff_mlp::Stage::outputs).collect(),
        None => vec![n_classes],
    };
    let last = widths.len();
    let name = |l: usize| match l {
        _ if l < last => format!("hidden {l}"),
        _ if learner.trains() => "scores".to_owned(),
        _ => "votes".to_owned(),
    };
    let [a, b] = features.names();
    let first = Layer { name: format!("features {a}, {b}"), units: 2 };
    let others = widths.iter().enumerate().map(|(i, &units)| Layer { name: name(i + 1), units });
    std::iter::once(first).chain(others).collect()
}

/// A frame's pictures.
#[derive(Debug, Serialize)]
pub(crate) struct Picture {
    /// Cells both ways.
    side: usize,
    /// A byte a cell: the class in the two highest bits, how sure it is in the others.
    regions: String,
    /// All layers.
    layers: Vec<Layer>,
    /// What the warped space shows.
    view: View,
    /// Nodes of its mesh both ways.
    mesh_side: usize,
    /// Of how many cells a node is one; the first node is the first cell.
    mesh_stride: usize,
    /// Where the nodes lie: two u16 each, little-endian, 0 and 65535 the ends of `range`.
    mesh: String,
    /// Where the points lie, likewise.
    points: String,
    /// The ends across, then upwards.
    range: [f32; 4],
    /// Cells of a unit's picture both ways.
    unit_side: usize,
    /// A byte a cell: 128 + 127 times the unit's output as a share of its greatest. Layer by layer from the first behind the
    /// features, unit by unit.
    units: String,
    /// All weights and biases as f32, little-endian: layer by layer W (out, in) row-major, then b.
    weights: String,
    /// How many they are.
    pub(crate) n_weights: usize,
    /// The share of points that are classified right.
    accuracy: f64,
    /// The mean loss of all points with the penalty.
    loss: Option<f64>,
}

impl Picture {
    /// Draws a classifier; `view` must be one of its layers and units.
    pub(crate) fn new(
        learner: &mut Learner,
        samples: &Samples,
        grid: &Array2<f32>,
        features: Features,
        view: View,
    ) -> Self {
        let (cells, points) = (learner.layers(grid), learner.layers(&samples.rows));
        let (mesh, points_there) = (thinned(&cells[view.layer], MESH_STRIDE), &points[view.layer]);
        let axis = |unit: usize| range(mesh.column(unit).iter().chain(points_there.column(unit)));
        let (across, up) = (axis(view.across), axis(view.up));
        let range = [across.0, across.1, up.0, up.1];
        let places = |rows: ArrayView2<'_, f32>| {
            let place = |row: ndarray::ArrayView1<'_, f32>| [share(row[view.across], across), share(row[view.up], up)];
            STANDARD.encode(rows.outer_iter().flat_map(place).flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
        };
        let (mesh, points_there) = (places(mesh.view()), places(points_there.view()));
        let scores = cells.last().expect("a classifier has scores");
        let regions = STANDARD.encode(regions(learner, scores));
        let numbers = learner.network().map_or_else(Vec::new, |network| network.numbers());
        let (accuracy, loss) = learner.judge(samples, points.last().expect("a classifier has scores"));
        Self {
            side: SIDE,
            regions,
            layers: layers_of(learner, features, samples.labels.n_classes()),
            view,
            mesh_side: SIDE / MESH_STRIDE,
            mesh_stride: MESH_STRIDE,
            mesh,
            points: points_there,
            range,
            unit_side: SIDE / UNIT_STRIDE,
            units: STANDARD.encode(cells[1..].iter().flat_map(small_pictures).collect::<Vec<u8>>()),
            n_weights: numbers.len(),
            weights: encode_numbers(&numbers),
            accuracy,
            loss,
        }
    }
}

/// Numbers as they are in links.
fn encode_numbers(numbers: &[f32]) -> String {
    STANDARD.encode(numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

/// What [`encode_numbers`] made.
pub(crate) fn decode_numbers(text: &str) -> Result<Vec<f32>, String> {
    let bytes = STANDARD.decode(text).map_err(|error| format!("weights are f32 in base64: {error}"))?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(format!("weights are f32 in base64: {} bytes are no whole number of them", bytes.len()));
    }
    Ok(numbers.iter().map(|&number| f32::from_le_bytes(number)).collect())
}

/// One byte a cell of scores (cells, k).
fn regions(learner: &Learner, scores: &Array2<f32>) -> Vec<u8> {
    let best = argmax_rows(scores.view());
    let cells = scores.outer_iter().zip(best).map(|(row, class)| {
        let sure = row.as_slice().map_or(0.0, |row| learner.sureness(row, class));
        // What is not a number is not sure: `as` makes 0 of it.
        ((class as u8) << 6) | (sure.clamp(0.0, 1.0) * 63.0) as u8
    });
    cells.collect()
}

/// Every so-manieth cell both ways, from the first.
fn thinned(cells: &Array2<f32>, stride: usize) -> Array2<f32> {
    let kept = |cell: usize| (cell % SIDE).is_multiple_of(stride) && (cell / SIDE).is_multiple_of(stride);
    let positions: Vec<usize> = (0..SIDE * SIDE).filter(|&cell| kept(cell)).collect();
    cells.select(ndarray::Axis(0), &positions)
}

/// The least and the greatest finite number, a little apart at least.
fn range<'a>(values: impl Iterator<Item = &'a f32>) -> (f32, f32) {
    let finite = values.filter(|v| v.is_finite());
    let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
    if low > high {
        return (-1.0, 1.0);
    }
    let least = 1e-3 * low.abs().max(high.abs()).max(1e-3);
    if high - low < least { (low - least, high + least) } else { (low, high) }
}

fn share(value: f32, (low, high): (f32, f32)) -> u16 {
    // Halves, so that the difference of great numbers stays finite.
    let share = (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
    (share.clamp(0.0, 1.0) * 65535.0).round() as u16
}

/// The pictures of all units of a layer (cells, units).
fn small_pictures(cells: &Array2<f32>) -> Vec<u8> {
    let cells = thinned(cells, UNIT_STRIDE);
    let mut bytes = Vec::with_capacity(cells.len());
    for unit in cells.columns() {
        let greatest = unit.iter().filter(|v| v.is_finite()).fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
        bytes.extend(unit.iter().map(|v| (128.0 + 127.0 * (v / greatest).clamp(-1.0, 1.0)) as u8));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_begins_at_the_upper_left() {
        let grid = grid(Features::Plane);
        assert_eq!(grid.dim(), (SIDE * SIDE, 2));
        let edge = (5.0 - 5.0 / SIDE as f64) as f32;
        for (cell, expected) in [(0, [-edge, edge]), (SIDE - 1, [edge, edge]), (SIDE * SIDE - 1, [edge, -edge])] {
            assert!(
                grid.row(cell).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
                "{cell}: {}",
                grid.row(cell)
            );
        }
        let thin = thinned(&grid, UNIT_STRIDE);
        assert_eq!(thin.nrows(), (SIDE / UNIT_STRIDE) * (SIDE / UNIT_STRIDE));
        assert_eq!(thin.row(1), grid.row(UNIT_STRIDE));
        assert_eq!(thin.row(SIDE / UNIT_STRIDE), grid.row(SIDE * UNIT_STRIDE));
    }

    #[test]
    fn places_are_shares_of_a_range() {
        assert_eq!([-1.0, 0.0, 1.0, 9.0].map(|v| share(v, (-1.0, 1.0))), [0, 32768, 65535, 65535]);
        assert_eq!(share(f32::NAN, (-1.0, 1.0)), 0);
        assert_eq!(share(f32::MAX, (f32::MIN, f32::MAX)), 65535);
        assert_eq!(range([f32::NAN, 2.0, -1.0, f32::INFINITY].iter()), (-1.0, 2.0));
        assert_eq!(range([f32::NAN].iter()), (-1.0, 1.0));
        let (low, high) = range([3.0, 3.0].iter());
        assert!(low < 3.0 && high > 3.0);
    }

    #[test]
    fn numbers_come_back_to_the_bit() {
        let numbers = [0.1, -1e-40, f32::MAX, 0.0];
        assert_eq!(decode_numbers(&encode_numbers(&numbers)).unwrap(), numbers);
        assert!(decode_numbers("AAA=").unwrap_err().contains("2 bytes"));
        assert!(decode_numbers("!").unwrap_err().contains("base64"));
    }
}
