//! Hand-made image features.
//!
//! # How near to the machine's limit, and to others
//!
//! `benches/peers/kernels.py` on two cores of a Zen 4 (AVX-512 in halves), medians of turns with the peer, one thread each:
//!
//! | kernel | of the limit | times as fast as |
//! |---|---|---|
//! | HoG, 32×32 and 320×240 in color | 15 and 18 cycles a pixel | OpenCV 4.1 and 3.0 |
//! | dense SIFT, 32×32 and 320×240 in grey, step 4 | 37 and 47 cycles a pixel | OpenCV 16 and 27 |
//! | Fisher vectors, 64 components, 196 descriptors | 57% of the peak of multiply-adds | scikit-image 5.7 |
//! | Fisher vectors, 1,024 components, 5,000 descriptors | 82% of the peak of multiply-adds | scikit-image 7.3 |
//!
//! `cargo bench -p bakeoff-benches --bench shares` prints the share of every
//! kernel of this crate, on the machine that it runs on.

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
