//! The algorithms that an experiment can name. They come as arguments: the runner knows none.

use bakeoff_core::{Classifier, Entry, Extractor};

/// The catalogues of several crates, side by side.
#[derive(Clone, Copy)]
pub struct Catalogues<'a> {
    /// Features.
    pub extractors: &'a [&'a [Entry<dyn Extractor>]],
    /// Classifiers.
    pub classifiers: &'a [&'a [Entry<dyn Classifier>]],
}

impl<'a> Catalogues<'a> {
    /// The extractor of this name.
    pub fn extractor(self, name: &str) -> Option<&'a Entry<dyn Extractor>> {
        self.extractors.iter().flat_map(|entries| entries.iter()).find(|entry| entry.name == name)
    }

    /// The classifier of this name.
    pub fn classifier(self, name: &str) -> Option<&'a Entry<dyn Classifier>> {
        self.classifiers.iter().flat_map(|entries| entries.iter()).find(|entry| entry.name == name)
    }
}
