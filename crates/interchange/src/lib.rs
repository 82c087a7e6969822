//! Stored pipelines as bytes: safetensors with a card for ourselves, ONNX for other runtimes.
//!
//! [`write()`] and [`read()`] are each other's inverse. Nothing in a file is trusted: sizes are compared with the length of
//! the bytes before memory is taken, and everything else by whoever restores the pipeline from its settings. Files
//! are touched elsewhere.

mod card;
mod error;
pub mod onnx;
mod safetensors_file;

pub use card::{Card, DatasetCard, FORMAT, ImageCard};
pub use error::InterchangeError;
pub use safetensors_file::{LONGEST_HEADER, pack, read, unpack, write};
