//! Points to begin with: each preset is a question that some classifiers can answer and others cannot.

use crate::point::{MOST_CLASSES, MOST_POINTS, Point};
use crate::{REACH, Refused};
use bakeoff_core::Seed;
use bakeoff_core::params::Fraction;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::f64::consts::{PI, TAU};

/// The name of a preset in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PresetName {
    /// One heap a class: a linear classifier does.
    Heaps,
    /// A disc within rings: linear in r, not in x and y (the lecture's B1).
    Circle,
    /// Arms wound into each other.
    Spiral,
    /// Each class has two heaps, opposite to each other: no single template holds both (the lecture's A7).
    TwoModes,
    /// Crescents that reach into each other.
    Moons,
    /// Classes drawn by lot: nothing but memory answers it.
    Random,
}

/// A preset with its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Which.
    pub name: PresetName,
    /// Points, as equally many of each class as can be.
    pub points: usize,
    /// Classes, from 2 to [`MOST_CLASSES`].
    pub classes: usize,
    /// Standard deviation of what is added to both coordinates, in units of the plane.
    pub noise: Fraction,
    /// What is drawn by lot.
    pub seed: u32,
}

impl Preset {
    /// The points.
    ///
    /// # Errors
    /// [`Refused`] when there are too many points, or a number of classes that there is not.
    pub fn make(&self) -> Result<Vec<Point>, Refused> {
        if self.points > MOST_POINTS {
            return Err(Refused::TooManyPoints { found: self.points });
        }
        if !(2..=MOST_CLASSES).contains(&self.classes) {
            let reason = format!("a preset has 2 to {MOST_CLASSES} classes, not {}", self.classes);
            return Err(Refused::DoesNotFit { reason });
        }
        let mut rng = Seed(u64::from(self.seed)).derive("preset").rng();
        let noise = self.noise.get();
        let point = |i: usize| {
            let class = i % self.classes;
            // How far along its class the point lies: evenly, so that small sets are no heaps of chance.
            let along = ((i / self.classes) as f64 + 0.5) / self.points.div_ceil(self.classes) as f64;
            let (x, y) = self.place(class, along, &mut rng);
            let (dx, dy) = normal_pair(&mut rng);
            // A lot that points keep whatever the noise.
            let lot = rng.gen_range(0..self.classes);
            let class = if self.name == PresetName::Random { lot } else { class };
            Point::nearest(x + noise * dx, y + noise * dy, class)
        };
        Ok((0..self.points).map(point).collect())
    }

    /// Where a point lies before the noise.
    fn place(&self, class: usize, along: f64, rng: &mut impl Rng) -> (f64, f64) {
        let (c, k) = (class as f64, self.classes as f64);
        let turned = |r: f64, angle: f64| (r * angle.cos(), r * angle.sin());
        match self.name {
            PresetName::Heaps => {
                let (centre, away) = (turned(2.6, TAU * c / k + PI / 4.0), normal_pair(rng));
                (centre.0 + 0.7 * away.0, centre.1 + 0.7 * away.1)
            }
            PresetName::Circle => {
                // Bands of equal width with gaps between them; within a band evenly over its area.
                let (width, gap) = (4.5 / (k - 0.3), 0.3);
                let (inner, outer) = (c * width, (c + 1.0 - gap) * width);
                let r = (inner * inner + rng.r#gen::<f64>() * (outer * outer - inner * inner)).sqrt();
                turned(r, TAU * along)
            }
            PresetName::Spiral => turned(0.3 + 4.2 * along, TAU * c / k + 1.6 * PI * along),
            PresetName::TwoModes => {
                let side = if rng.r#gen::<bool>() { PI } else { 0.0 };
                let (centre, away) = (turned(3.0, PI * c / k + PI / 4.0 + side), normal_pair(rng));
                let spread = 1.2 / k;
                (centre.0 + spread * away.0, centre.1 + spread * away.1)
            }
            PresetName::Moons => {
                // Three or four classes are two pairs of moons, one above the other.
                let pairs = self.classes.div_ceil(2) as f64;
                let (upper, pair) = (class.is_multiple_of(2), (class / 2) as f64);
                let (x, y) = turned(2.4, PI * along);
                let (x, y) = if upper { (x - 1.2, y - 0.6) } else { (1.2 - x, 0.6 - y) };
                (x, (y + 4.6 * (pair - (pairs - 1.0) / 2.0)) / if pairs > 1.0 { 1.15 } else { 1.0 })
            }
            PresetName::Random => (rng.gen_range(-0.9..0.9) * REACH, rng.gen_range(-0.9..0.9) * REACH),
        }
    }
}

/// Two numbers of the standard normal distribution (Box, Muller 1958).
fn normal_pair(rng: &mut impl Rng) -> (f64, f64) {
    // 1 − u is never 0.
    let r = (-2.0 * (1.0 - rng.r#gen::<f64>()).ln()).sqrt();
    let angle = TAU * rng.r#gen::<f64>();
    (r * angle.cos(), r * angle.sin())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [PresetName; 6] = [
        PresetName::Heaps,
        PresetName::Circle,
        PresetName::Spiral,
        PresetName::TwoModes,
        PresetName::Moons,
        PresetName::Random,
    ];

    fn preset(name: PresetName, points: usize, classes: usize) -> Preset {
        Preset { name, points, classes, noise: Fraction::literal(0.05), seed: 1 }
    }

    #[test]
    fn every_preset_has_its_points_and_classes_and_its_seed() {
        for name in ALL {
            for classes in 2..=4 {
                let points = preset(name, 202, classes).make().unwrap();
                assert_eq!(points.len(), 202);
                let count = |class| points.iter().filter(|p| p.class == class).count();
                for class in 0..classes {
                    let expected =
                        if name == PresetName::Random { 20..=202 } else { 202 / classes..=202 / classes + 1 };
                    assert!(expected.contains(&count(class)), "{name:?} {classes}: {}", count(class));
                }
                let inside = points.iter().filter(|p| p.x.abs() < REACH && p.y.abs() < REACH).count();
                assert!(inside >= 200, "{name:?} {classes}: {inside} within the plane");
                assert_eq!(points, preset(name, 202, classes).make().unwrap());
                assert_ne!(points, Preset { seed: 2, ..preset(name, 202, classes) }.make().unwrap());
            }
        }
    }

    #[test]
    fn the_circle_is_told_by_its_radius_and_two_modes_by_no_line() {
        let circle = Preset { noise: Fraction::literal(0.0), ..preset(PresetName::Circle, 300, 2) }.make().unwrap();
        let radius = |class: usize| circle.iter().filter(move |p| p.class == class).map(|p| p.x.hypot(p.y));
        assert!(radius(0).fold(0.0, f64::max) + 0.5 < radius(1).fold(f64::INFINITY, f64::min));
        // The means of both classes lie together, although the classes do not.
        let modes = preset(PresetName::TwoModes, 2000, 2).make().unwrap();
        let mean = |class: usize| {
            let of_class: Vec<_> = modes.iter().filter(|p| p.class == class).collect();
            let sum = of_class.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.x, sum.1 + p.y));
            (sum.0 / of_class.len() as f64, sum.1 / of_class.len() as f64)
        };
        let (a, b) = (mean(0), mean(1));
        assert!((a.0 - b.0).hypot(a.1 - b.1) < 0.4, "{a:?} {b:?}");
    }

    #[test]
    fn numbers_that_make_no_preset_are_refused() {
        for (points, classes) in [(MOST_POINTS + 1, 2), (10, 1), (10, 5), (usize::MAX, 2), (10, usize::MAX)] {
            assert!(preset(PresetName::Spiral, points, classes).make().is_err(), "{points} {classes}");
        }
        assert!(preset(PresetName::Spiral, 0, 2).make().unwrap().is_empty());
    }
}
