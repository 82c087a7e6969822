//! Settings in a sound file, which random bytes would hardly keep: the input is their JSON, then a seed of small arrays.
#![no_main]

use bakeoff_core::{Classifier, Entry, Extractor, Tensors};
use bakeoff_runner::{Catalogues, RestoredPipeline};
use libfuzzer_sys::fuzz_target;

const EXTRACTORS: &[&[Entry<dyn Extractor>]] = &[bakeoff_features::CATALOGUE];
const CLASSIFIERS: &[&[Entry<dyn Classifier>]] =
    &[bakeoff_linear::CATALOGUE, bakeoff_neighbors::CATALOGUE, bakeoff_mlp::CATALOGUE];
const CATALOGUES: Catalogues<'static> = Catalogues { extractors: EXTRACTORS, classifiers: CLASSIFIERS };

fuzz_target!(|data: &[u8]| {
    let Some((&side, json)) = data.split_first() else { return };
    let Ok(settings) = serde_json::from_slice(json) else { return };
    let shape = (usize::from(side & 15) + 1, usize::from(side >> 4) + 1, 1 + 2 * usize::from(side & 1));
    // Nothing was learned, so nothing but a wrong recipe can be found: no classifier does without arrays.
    let restored = RestoredPipeline::restore(&settings, Tensors::new(), shape, 2, CATALOGUES);
    assert!(restored.is_err());
});
