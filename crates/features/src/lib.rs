//! Hand-made image features.

pub mod color_histogram;
pub mod hog;
pub mod local;
pub mod pixels;

use bakeoff_core::{Entry, Extractor};

pub use color_histogram::ColorHistogram;
pub use hog::Hog;
pub use local::Local;
pub use pixels::Pixels;

/// Every extractor that an experiment file can name.
pub const CATALOGUE: &[Entry<dyn Extractor>] =
    &[Entry::extractor::<Pixels>(), Entry::extractor::<ColorHistogram>(), Entry::extractor::<Hog>()];
