//! What tells pipelines apart in every picture: a colour, a shape and a dash each.
//!
//! The colours are those of Okabe and Ito (2008), which people with any of the common kinds of colour blindness tell apart,
//! darkened on light pages where they would be too faint; the style has them as `--s0` to `--s7`. Shapes and dashes say the
//! same again for paper without colour.

use maud::{Markup, html};
use std::f64::consts::{FRAC_PI_2, PI, TAU};

/// Colours and shapes.
const KINDS: usize = 8;

/// The mark of a pipeline, by its place in the experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(pub usize);

impl Mark {
    /// Classes of the group that it is drawn in.
    pub fn class(self) -> String {
        format!("s s{} d{}", self.0 % KINDS, self.0 % 4)
    }

    /// The corners of its shape about the middle, for this radius; `None` for a circle. The ninth pipeline has the first colour
    /// again, with another shape.
    pub(super) fn corners(self, radius: f64) -> Option<Vec<(f64, f64)>> {
        let around = |n: usize, start: f64, radius: f64| -> Vec<(f64, f64)> {
            let at = |i: usize| start + TAU * i as f64 / n as f64;
            (0..n).map(|i| (radius * at(i).cos(), radius * at(i).sin())).collect()
        };
        let corners = match (self.0 + self.0 / KINDS) % KINDS {
            0 => return None,
            1 => around(4, PI / 4.0, 1.2 * radius),
            2 => around(3, -FRAC_PI_2, 1.35 * radius),
            3 => around(4, 0.0, 1.3 * radius),
            4 => around(3, FRAC_PI_2, 1.35 * radius),
            5 => cross(1.15 * radius, 0.42 * radius),
            6 => star(1.45 * radius, 0.6 * radius),
            _ => around(6, 0.0, 1.15 * radius),
        };
        Some(corners)
    }

    /// The mark alone, for the lines of a legend.
    pub fn shown(self) -> Markup {
        let corners = self.corners(4.5).map(|corners| {
            corners.iter().map(|(x, y)| format!("{:.1},{:.1}", x + 14.0, y + 7.0)).collect::<Vec<_>>().join(" ")
        });
        html! {
            svg.key viewBox="0 0 28 14" width="28" height="14" aria-hidden="true" {
                g class=(self.class()) {
                    line.l x1="0" x2="28" y1="7" y2="7" {}
                    @match corners {
                        Some(points) => polygon.f points=(points) {},
                        None => circle.f cx="14" cy="7" r="4.5" {},
                    }
                }
            }
        }
    }
}

fn cross(long: f64, thin: f64) -> Vec<(f64, f64)> {
    vec![
        (-thin, -long),
        (thin, -long),
        (thin, -thin),
        (long, -thin),
        (long, thin),
        (thin, thin),
        (thin, long),
        (-thin, long),
        (-thin, thin),
        (-long, thin),
        (-long, -thin),
        (-thin, -thin),
    ]
}

fn star(long: f64, short: f64) -> Vec<(f64, f64)> {
    let corner = |i: usize| {
        let (radius, angle) = (if i.is_multiple_of(2) { long } else { short }, PI / 5.0 * i as f64 - FRAC_PI_2);
        (radius * angle.cos(), radius * angle.sin())
    };
    (0..10).map(corner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn sixty_four_pipelines_have_marks_of_their_own() {
        let look = |i: usize| format!("{:?} s{}", Mark(i).corners(1.0), i % KINDS);
        assert_eq!((0..64).map(look).collect::<BTreeSet<_>>().len(), 64);
    }
}
