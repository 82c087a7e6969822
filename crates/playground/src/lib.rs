//! The playground: points of up to four classes on a plane, and a classifier of the house that learns them while one
//! watches the decision regions, the space that its layers make of the plane, its units, its weights and its loss (the
//! lecture's B1, C2–C7).
//!
//! A [`Session`] is what one open page has. It hears [`Request`]s and makes frames, both as JSON, and knows neither sockets nor
//! clocks nor files: whoever serves it decides how long it may work between two messages. [`page`] is what a browser shows; it
//! asks for nothing but itself and its socket.
//!
//! The same points, settings, seed and number of steps give the same bits, so that a link that names them shows the same picture
//! elsewhere. Where points or settings were changed in training, a link names the weights.

mod curve;
mod learner;
mod message;
mod order;
mod page;
mod picture;
mod point;
mod preset;
mod session;
mod settings;
mod table;

pub use message::{Request, View};
pub use page::page;
pub use point::{MOST_CLASSES, MOST_POINTS, Point, REACH};
pub use preset::{Preset, PresetName};
pub use session::Session;
pub use settings::{Features, Kind, Settings};

use thiserror::Error;

/// Why something that a page asked for is not done. Nothing has changed then.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The message is not one of [`Request`]. Who typed a number into a page does not know of messages, so the words are only what is wrong.
    #[error("{reason}")]
    NoMessage {
        /// What was expected and found, with its place.
        reason: String,
    },
    /// There are more points than a session takes.
    #[error("{found} points are more than the {MOST_POINTS} that the playground takes")]
    TooManyPoints {
        /// Points found.
        found: usize,
    },
    /// A table of points cannot be read.
    #[error("line {line} of the table: {reason}")]
    Table {
        /// From 1, the header counted.
        line: u64,
        /// What was expected and found.
        reason: String,
    },
    /// A view or weights that the classifier does not have.
    #[error("{reason}")]
    DoesNotFit {
        /// What was asked for and what there is.
        reason: String,
    },
}
