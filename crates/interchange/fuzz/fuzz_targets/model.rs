//! The bytes of a model file: read, restored with the whole catalogue, and asked for the scores of one image.
#![no_main]

use bakeoff_core::{Classifier, Entry, Extractor, Images};
use bakeoff_interchange::{onnx, read};
use bakeoff_runner::{Catalogues, RestoredPipeline};
use libfuzzer_sys::fuzz_target;
use ndarray::Array4;

const EXTRACTORS: &[&[Entry<dyn Extractor>]] = &[bakeoff_features::CATALOGUE];
const CLASSIFIERS: &[&[Entry<dyn Classifier>]] =
    &[bakeoff_linear::CATALOGUE, bakeoff_neighbors::CATALOGUE, bakeoff_mlp::CATALOGUE];
const CATALOGUES: Catalogues<'static> = Catalogues { extractors: EXTRACTORS, classifiers: CLASSIFIERS };

/// Pixels of an image that is made here; more are a matter of patience.
const MOST: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let Ok((card, learned)) = read(data) else { return };
    assert!(learned.bytes() <= data.len());
    let (shape, k) = (card.shape(), card.classes.len());
    if shape.0 * shape.1 * shape.2 > MOST {
        return;
    }
    let Ok(pipeline) = RestoredPipeline::restore(&card.settings, learned, shape, k, CATALOGUES) else { return };
    let pixels = Array4::from_shape_fn((1, shape.0, shape.1, shape.2), |(_, y, x, c)| (y * 31 + x * 7 + c) as u8);
    let image = Images::new(pixels).expect("a card's images have pixels");
    if let Ok(scores) = pipeline.scores(image.view()) {
        assert_eq!(scores.dim(), (1, k));
    }
    if let Ok(steps) = pipeline.operations() {
        onnx::write(&card, &steps, true).expect("steps have an ONNX form");
    }
});
