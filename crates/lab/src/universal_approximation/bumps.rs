//! Networks that are written down and not trained: bumps of four hidden units each, and how to find bumps in any network.

use super::{grid, outputs};
use crate::curve::Curve;
use crate::learn::{affines, plain_shape, set_affines};
use bakeoff_core::Seed;
use bakeoff_mlp::{Activation, Affine, Initialisation, Network};
use ndarray::{Array1, Array2};

/// The form of a bump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Nearly a box, its ramps a fiftieth of its width.
    Steep,
    /// A hat that reaches to the middles of its neighbours.
    Sloping,
}

/// One bump: height, and the corners of its ramps a < b ≤ c < d.
#[derive(Debug, Clone, Copy)]
struct Bump {
    height: f64,
    corners: [f64; 4],
}

impl Bump {
    /// (b, u) of its four units with w = 1: max(0, x − corner), weighted.
    fn units(&self) -> [(f64, f64); 4] {
        let [a, b, c, d] = self.corners;
        let (up, down) = (self.height / (b - a), self.height / (d - c));
        [(-a, up), (-b, -up), (-c, -down), (-d, down)]
    }
}

/// A network of one input, ReLU units of w = 1 with these (b, u), and one output without offset.
fn network(units: &[(f64, f64)]) -> Network<f64> {
    let n = units.len();
    let mut network = Network::new(&plain_shape(1, &[n], Activation::Relu, 1), Initialisation::Auto, Seed(0));
    let first = Affine { w: Array2::ones((n, 1)), b: units.iter().map(|unit| unit.0).collect() };
    let last = Affine { w: Array2::from_shape_fn((1, n), |(_, i)| units[i].1), b: Array1::zeros(1) };
    set_affines(&mut network, &[first, last]);
    network
}

/// The lecture's picture: one bump of height 1.
pub(super) fn one_bump() -> Network<f64> {
    network(&Bump { height: 1.0, corners: [0.25, 0.4, 0.6, 0.75] }.units())
}

/// The curve of `bumps` bumps, 4 · `bumps` hidden units.
pub(super) fn constructed(curve: &Curve, bumps: usize, form: Form) -> Network<f64> {
    let units: Vec<(f64, f64)> = (0..bumps).flat_map(|i| bump(curve, i, bumps, form).units()).collect();
    network(&units)
}

/// The i-th of n bumps.
fn bump(curve: &Curve, i: usize, n: usize, form: Form) -> Bump {
    let at = i as f64;
    match form {
        Form::Steep => {
            let (width, ramp) = (1.0 / n as f64, 0.02 / n as f64);
            // Ramps of neighbours lie on each other, so that one fades into the next; those at the ends lie outside.
            let left = if i == 0 { -ramp } else { at * width - ramp / 2.0 };
            let right = if i + 1 == n { 1.0 } else { (at + 1.0) * width - ramp / 2.0 };
            Bump { height: curve.at((at + 0.5) * width), corners: [left, left + ramp, right, right + ramp] }
        }
        Form::Sloping => {
            let step = 1.0 / (n - 1) as f64;
            let top = at * step;
            Bump { height: curve.at(top), corners: [top - step, top, top, top + step] }
        }
    }
}

/// A hidden unit: where its corner is, and its outputs times its weight on the grid.
struct Unit {
    corner: f64,
    values: Vec<f64>,
}

/// Places at which units are looked at.
const LOOKED_AT: usize = 129;
/// Outside of a bump four units together reach this share of their height at most.
const LEAK: f64 = 0.1;

/// How many bumps of about a width of 1/`bumps` a network has: sets of four of its units, no unit in two of them, whose sum
/// is flat and near 0 outside of their corners and rises within to a twentieth of the network's own range at least. The four
/// lie at most twice the width apart; in front of them units are taken as 0 where they are linear all over.
pub(super) fn found(network: &Network<f64>, bumps: usize) -> usize {
    let units = units(network);
    let values = outputs(network, &grid(LOOKED_AT));
    let (lo, hi) = crate::figure::span(&values);
    let least = 0.05 * (hi - lo);
    let widest = 2.1 / bumps as f64;
    let mut used = vec![false; units.len()];
    let mut count = 0;
    for first in 0..units.len() {
        if let Some(set) = four_from(&units, &used, first, widest, least) {
            set.into_iter().for_each(|i| used[i] = true);
            count += 1;
        }
    }
    count
}

/// Units by their corners. Units that are off or linear all over the interval make no corner.
fn units(network: &Network<f64>) -> Vec<Unit> {
    let maps = affines(network);
    let [first, last] = maps[..] else { return Vec::new() };
    let places = grid(LOOKED_AT);
    let mut units: Vec<Unit> = (0..first.b.len())
        .filter(|i| first.w[[*i, 0]] != 0.0)
        .map(|i| {
            let (w, b, u) = (first.w[[i, 0]], first.b[i], last.w[[0, i]]);
            Unit { corner: -b / w, values: places.iter().map(|x| u * (w * x + b).max(0.0)).collect() }
        })
        .collect();
    units.sort_by(|a, b| a.corner.total_cmp(&b.corner));
    units
}

/// Four unused units, the one with this number first, that make a bump.
fn four_from(units: &[Unit], used: &[bool], first: usize, widest: f64, least: f64) -> Option<[usize; 4]> {
    if used[first] {
        return None;
    }
    let near: Vec<usize> =
        (first + 1..units.len()).filter(|i| !used[*i] && units[*i].corner - units[first].corner <= widest).collect();
    for (a, &second) in near.iter().enumerate() {
        for (b, &third) in near.iter().enumerate().skip(a + 1) {
            for &fourth in &near[b + 1..] {
                let set = [first, second, third, fourth];
                if is_bump(units, set, least) {
                    return Some(set);
                }
            }
        }
    }
    None
}

fn is_bump(units: &[Unit], set: [usize; 4], least: f64) -> bool {
    let (from, to) = (units[set[0]].corner, units[set[3]].corner);
    let (mut inside, mut outside) = (0.0f64, 0.0f64);
    for (i, x) in grid(LOOKED_AT).into_iter().enumerate() {
        let value = set.iter().map(|unit| units[*unit].values[i]).sum::<f64>().abs();
        let side = if (from..=to).contains(&x) { &mut inside } else { &mut outside };
        *side = side.max(value);
    }
    inside >= least && outside <= LEAK * inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_units_are_a_bump_and_nothing_elsewhere() {
        let values = outputs(&one_bump(), &[0.0, 0.25, 0.325, 0.4, 0.5, 0.6, 0.675, 0.75, 1.0]);
        let expected = [0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0];
        assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{values:?}");
    }

    #[test]
    fn hats_join_the_curve_by_straight_lines() {
        let curve = Curve::parse("0,3,1,2").unwrap();
        let network = constructed(&curve, 4, Form::Sloping);
        let error = super::super::greatest_error(&curve, &grid(301), &outputs(&network, &grid(301)));
        assert!(error < 1e-12, "{error}");
    }

    #[test]
    fn every_bump_of_a_construction_is_found_and_none_in_a_hinge() {
        let curve = Curve::parse("1 + 0.3*sin(5*x)").unwrap();
        for bumps in [4, 8] {
            assert_eq!(found(&constructed(&curve, bumps, Form::Steep), bumps), bumps);
        }
        let hinge = network(&[(-0.1, 1.0), (-0.3, 1.0), (-0.5, 2.0), (-0.6, -1.0), (-0.7, 1.0)]);
        assert_eq!(found(&hinge, 4), 0);
    }
}
