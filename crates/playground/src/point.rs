//! Points: where they may lie, and how exactly.

use serde::{Deserialize, Serialize};

/// The plane reaches from −[`REACH`] to [`REACH`] both ways.
pub const REACH: f64 = 5.0;
/// Classes at most.
pub const MOST_CLASSES: usize = 4;
/// Points of a session at most.
pub const MOST_POINTS: usize = 5000;
/// Steps of the coordinates a unit: they are multiples of a thousandth, so that a link can name them exactly.
const FINENESS: f64 = 1000.0;

/// A point of the plane with its class; in messages `[x, y, class]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "(f64, f64, u8)", into = "(f64, f64, u8)")]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Upwards.
    pub y: f64,
    /// Below [`MOST_CLASSES`].
    pub class: usize,
}

impl Point {
    /// The point of the plane's grid next to these coordinates; those beyond the plane's edge are brought to it.
    pub(crate) fn nearest(x: f64, y: f64, class: usize) -> Self {
        // Adding 0 turns −0 into 0, which a message would not keep.
        let snap = |v: f64| (v.clamp(-REACH, REACH) * FINENESS).round() / FINENESS + 0.0;
        Self { x: snap(x), y: snap(y), class }
    }
}

impl TryFrom<(f64, f64, u8)> for Point {
    type Error = String;

    fn try_from((x, y, class): (f64, f64, u8)) -> Result<Self, String> {
        // A comparison that NaN does not pass.
        if !(x.abs() <= REACH && y.abs() <= REACH) {
            return Err(format!("a point lies within ±{REACH} both ways, found ({x}, {y})"));
        }
        if usize::from(class) >= MOST_CLASSES {
            return Err(format!("classes are 0 to {}, found {class}", MOST_CLASSES - 1));
        }
        Ok(Self::nearest(x, y, usize::from(class)))
    }
}

impl From<Point> for (f64, f64, u8) {
    fn from(point: Point) -> Self {
        (point.x, point.y, point.class as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_keep_to_the_grid_of_thousandths() {
        let read = |text: &str| serde_json::from_str::<Point>(text);
        assert_eq!(read("[1.23449, -5, 3]").unwrap(), Point { x: 1.234, y: -5.0, class: 3 });
        assert_eq!(read("[0.1, -0.0004, 0]").unwrap(), Point { x: 0.1, y: 0.0, class: 0 });
        for i in -5000..=5000 {
            let point = Point::nearest(f64::from(i) / 1000.0, 0.0, 1);
            let text = serde_json::to_string(&point).unwrap();
            assert_eq!((point, (point.x * 1000.0).round() as i32), (read(&text).unwrap(), i), "{text}");
        }
    }

    #[test]
    fn points_beyond_the_plane_are_refused() {
        for text in [
            "[5.1, 0, 0]",
            "[0, -1e300, 0]",
            "[0, 0, 4]",
            "[0, 0, -1]",
            "[0, 0]",
            "[0, 0, 0, 0]",
            "[1e999, 0, 0]",
            "[null, 0, 0]",
        ] {
            assert!(serde_json::from_str::<Point>(text).is_err(), "{text}");
        }
        assert!(Point::try_from((f64::NAN, 0.0, 0)).is_err());
    }
}
