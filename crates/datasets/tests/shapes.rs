//! `shapes` is what its description says, to the byte: see `reference/shapes.py`, which draws it a second time.

use bakeoff_core::{Dataset, Labelled, Seed};
use bakeoff_datasets::shapes::Shapes;
use sha2::{Digest, Sha256};
use std::path::Path;

#[test]
fn another_program_draws_the_same_bytes() {
    let expected: serde_json::Value = serde_json::from_str(include_str!("reference/shapes.json")).unwrap();
    let number = |key: &str| expected[key].as_u64().unwrap();
    let shapes = Shapes::new(number("n_train") as usize, number("n_test") as usize, Seed(number("seed")));
    let splits = shapes.load(Path::new("")).unwrap();
    let sha256 = |part: &Labelled| {
        let mut hash = Sha256::new();
        part.images().view().iter().for_each(|image| hash.update(image));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    };
    assert_eq!(sha256(&splits.train), expected["train_sha256"]);
    assert_eq!(sha256(&splits.test), expected["test_sha256"]);
}
