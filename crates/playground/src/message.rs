//! What pages say. Each message is a JSON object with its `kind`; an unknown field, a number out of its range or a point beyond
//! the plane makes the whole message refused.

use crate::Refused;
use crate::point::Point;
use crate::preset::Preset;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};

/// A message from a page.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// A whole state, as a link holds it. It is trained until its steps are made, or goes on from its weights.
    Open {
        /// The points, unless they are a preset.
        #[serde(default)]
        points: Vec<Point>,
        /// The preset that made the points.
        #[serde(default)]
        preset: Option<Preset>,
        /// What learns, and how.
        settings: Settings,
        /// What is shown; the last hidden layer when it is not said.
        #[serde(default)]
        view: Option<View>,
        /// Steps made.
        #[serde(default)]
        steps: u64,
        /// All weights and biases, f32 in little-endian order and base64, where the steps alone do not give them.
        #[serde(default)]
        weights: Option<String>,
    },
    /// Other points: training goes on.
    Points {
        /// All of them.
        points: Vec<Point>,
    },
    /// A preset's points: training begins anew.
    Preset {
        /// Which, and its numbers.
        preset: Preset,
    },
    /// A table's points: training begins anew.
    Csv {
        /// The table.
        text: String,
    },
    /// Other settings: training goes on where it can.
    Settings {
        /// All of them.
        settings: Settings,
    },
    /// Another space to look at.
    View {
        /// Which.
        view: View,
    },
    /// Trains until it is told to stop.
    Run {
        /// Steps between two pictures at most; 0 for as many as can be made.
        pace: u32,
    },
    /// Stops training.
    Pause {},
    /// Makes so many steps and stops.
    Step {
        /// How many.
        steps: u32,
    },
    /// Begins training anew.
    Reset {},
    /// A picture was drawn: the next may come.
    Drawn {
        /// Its number.
        frame: u64,
    },
}

/// The layer whose space is shown, and the two units that span it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// 0 for the features, then the hidden layers, then the scores.
    pub layer: usize,
    /// The unit to the right.
    pub across: usize,
    /// The unit upwards.
    pub up: usize,
}

impl Request {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Refused::NoMessage`] with the place and what is wrong there.
    pub fn read(text: &str) -> Result<Self, Refused> {
        serde_json::from_str(text).map_err(|error| Refused::NoMessage { reason: error.to_string() })
    }
}

/// What a session says besides its frames.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Answer<'a> {
    /// The points that a preset, a table or a link gave.
    Points {
        /// All of them.
        points: &'a [Point],
        /// What a person should know about them.
        told: &'a str,
    },
    /// A message was not followed.
    Refused {
        /// Why.
        reason: String,
    },
}

/// A message as JSON. What is serialised here has text keys and no values that JSON does not know.
pub(crate) fn as_json(message: &impl Serialize) -> String {
    serde_json::to_string(message).unwrap_or_else(|error| format!(r#"{{"kind":"refused","reason":"{error:?}"}}"#))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_strictly() {
        let pause = Request::read(r#"{"kind":"pause"}"#).unwrap();
        assert_eq!(pause, Request::Pause {});
        let points = Request::read(r#"{"kind":"points","points":[[1,2,0],[-1.5,0,3]]}"#).unwrap();
        let expected = vec![Point { x: 1.0, y: 2.0, class: 0 }, Point { x: -1.5, y: 0.0, class: 3 }];
        assert_eq!(points, Request::Points { points: expected });
        let open = r#"{"kind":"open","settings":{},"view":{"layer":1,"across":0,"up":2},"steps":7}"#;
        assert!(matches!(Request::read(open).unwrap(), Request::Open { steps: 7, view: Some(View { up: 2, .. }), .. }));
        for text in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"kind":"explode"}"#,
            r#"{"kind":"pause","now":true}"#,
            r#"{"kind":"run"}"#,
            r#"{"kind":"run","pace":-1}"#,
            r#"{"kind":"run","pace":1,"pace":2}"#,
            r#"{"kind":"points","points":[[9,0,0]]}"#,
            r#"{"kind":"points"}"#,
            r#"{"kind":"view","view":{"layer":1,"across":0}}"#,
            r#"{"kind":"open","settings":{"classifier":"mlp","depth":3}}"#,
            r#"{"kind":"pause"} {"kind":"reset"}"#,
        ] {
            assert!(matches!(Request::read(text), Err(Refused::NoMessage { .. })), "{text}");
        }
        // Brackets without end do not overflow the stack.
        assert!(Request::read(&"[".repeat(1 << 20)).is_err());
    }
}
