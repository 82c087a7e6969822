//! Hand-made image features.
//!
//! # How near to the machine's limit, and to others
//!
//! `benches/peers/kernels.py` on two cores of a Zen 4 (AVX-512 in halves), medians of turns with the peer, one thread each:
//!
//! | kernel | of the limit | times as fast as |
//! |---|---|---|
//! | HoG, 32×32 and 320×240 in color | 17 and 18 cycles a pixel | OpenCV 5.1 and 4.0, in another run 4.1 and 3.0 |
//! | dense SIFT, 32×32 and 320×240 in grey, step 4 | 37 and 47 cycles a pixel | OpenCV 16 and 27 |
//! | Fisher vectors, 64 components, 196 descriptors | 57% of the peak of multiply-adds | scikit-image 5.7 |
//! | Fisher vectors, 1,024 components, 5,000 descriptors | 82% of the peak of multiply-adds | scikit-image 7.3 |
//!
//! `cargo bench -p bakeoff-benches --bench shares` prints the share of every
//! kernel of this crate, on the machine that it runs on.
//!
//! On one thread of a Zen 4 (118 GFLOP/s, 30.9 GB/s, 3.69 GHz), medians of nine turns, images of 32×32 in color:
//!
//! | kernel | ms | of the limit |
//! |---|---|---|
//! | pixels | 21.55 | 18% of the bandwidth |
//! | color-histogram | 3.49 | 12.6 cycles a pixel |
//! | hog | 4.39 | 15.8 cycles a pixel |
//! | lbp | 6.12 | 44.2 cycles a pixel |
//! | `local-descriptors`, `local = { kind = 'sift', step = 4 }` | 2.92 | 35.1 cycles a pixel |
//! | `local-descriptors`, `local = { kind = 'color-stats', step = 4 }` | 6.49 | 78.0 cycles a pixel |
//! | `local-descriptors`, `local = { kind = 'patches', step = 4 }` | 3.41 | 41.0 cycles a pixel |
//! | `kmeans-features`, `k = 400, samples = 20_000, iterations = 1` | 15.16 | 72% of the peak of multiply-adds |
//! | `kmeans-features`, `k = 1600, samples = 20_000, iterations = 1` | 44.78 | 82% of the peak of multiply-adds |
//! | `random-patches`, `k = 400, samples = 20_000` | 14.30 | 76% of the peak of multiply-adds |
//! | `visual-words`, `assign = 'hard', sample = 20_000, local = { kind = 'sift', step = 2, overhang = 0.0 }, codebook = { k = 1024, iterations = 1 }` | 12.01 | 433.2 cycles a pixel |
//! | fisher, 2000 descriptors of 64, 64 components | 0.96 | 58% of the peak of multiply-adds |
//! | fisher, 2000 descriptors of 64, 1024 components | 11.31 | 79% of the peak of multiply-adds |

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
pub static CATALOGUE: [Entry<dyn Extractor>; 9] = [
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
