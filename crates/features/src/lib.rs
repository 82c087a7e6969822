//! Hand-made image features.

pub mod color_histogram;
mod dictionary;
pub mod fisher;
mod gradient;
pub mod hog;
pub mod kmeans_features;
pub mod lbp;
pub mod local;
pub mod local_descriptors;
pub mod pixels;
pub mod random_patches;
pub mod visual_words;

use bakeoff_core::{Entry, Extractor};

pub use color_histogram::ColorHistogram;
pub use fisher::Fisher;
pub use hog::Hog;
pub use kmeans_features::KMeansFeatures;
pub use lbp::Lbp;
pub use local::Local;
pub use local_descriptors::LocalDescriptors;
pub use pixels::Pixels;
pub use random_patches::RandomPatches;
pub use visual_words::VisualWords;

/// Numbers that an image may become at most, whatever the feature: 64 MB of f32.
pub(crate) const MOST_NUMBERS: usize = 1 << 24;

/// Every extractor that an experiment file can name.
pub const CATALOGUE: &[Entry<dyn Extractor>] = &[
    Entry::extractor::<Pixels>(),
    Entry::extractor::<ColorHistogram>(),
    Entry::extractor::<Hog>(),
    Entry::extractor::<KMeansFeatures>(),
    Entry::extractor::<RandomPatches>(),
    Entry::extractor::<Lbp>(),
    Entry::extractor::<LocalDescriptors>(),
    Entry::extractor::<Fisher>(),
    Entry::extractor::<VisualWords>(),
];
