//! Hand-made image features.

use bakeoff_core::{Entry, Extractor};

/// Every extractor that an experiment file can name.
pub const CATALOGUE: &[Entry<dyn Extractor>] = &[];
