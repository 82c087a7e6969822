//! Hand-made image features.

pub mod color_histogram;
mod gradient;
pub mod hog;
pub mod local;
pub mod local_descriptors;
pub mod pixels;

use bakeoff_core::{Entry, Extractor};

pub use color_histogram::ColorHistogram;
pub use hog::Hog;
pub use local::Local;
pub use local_descriptors::LocalDescriptors;
pub use pixels::Pixels;

/// Every extractor that an experiment file can name.
pub const CATALOGUE: &[Entry<dyn Extractor>] = &[
    Entry::extractor::<Pixels>(),
    Entry::extractor::<ColorHistogram>(),
    Entry::extractor::<Hog>(),
    Entry::extractor::<LocalDescriptors>(),
];
