use super::*;
use crate::clock::Spent;
use crate::fakes::{CATALOGUES, NoMachine, material, one_pipeline};
use crate::fit::Makers;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Keeps everything in memory, and counts.
#[derive(Default)]
struct Shelf {
    kept: Mutex<BTreeMap<String, Tensors>>,
    found: Mutex<usize>,
}

impl FeatureCache for Shelf {
    fn program(&self) -> &'static str {
        "p"
    }
    fn most_bytes(&self) -> usize {
        1 << 20
    }
    fn worth(&self) -> Seconds {
        Seconds(0.0)
    }
    fn get(&self, key: &str) -> Option<Tensors> {
        let found = self.kept.lock().unwrap().get(key).cloned()?;
        *self.found.lock().unwrap() += 1;
        Some(found)
    }
    fn put(&self, key: &str, features: Tensors) {
        self.kept.lock().unwrap().insert(key.to_owned(), features);
    }
}

#[test]
fn features_are_found_by_content_and_cost_what_they_cost() {
    let (shelf, material) = (Shelf::default(), material());
    let remembering = Some(Remembering { cache: &shelf, machine: &NoMachine });
    let makers = Makers { catalogues: CATALOGUES, memory: None, remembering };
    let experiment = one_pipeline("", "", "");
    let branch = &experiment.pipelines[0].settings.branches[0];
    let encoded = |size, seed| {
        let training = material.training(size, Seed(seed));
        let mut spent = Spent::default();
        let encoded = makers.encoded(branch, &training, Seed(seed), &mut spent).unwrap();
        (encoded.features(training.images()), spent)
    };
    let (rows, first) = encoded(None, 0);
    // Nothing is drawn, so another seed is no other key; other images are.
    let (again, second) = encoded(None, 1);
    assert_eq!((&rows, *shelf.found.lock().unwrap(), first.saved), (&again, 1, Saved::default()));
    assert!(second.features.0 >= second.saved.wall.0);
    encoded(Some(10), 0);
    encoded(Some(10), 1);
    assert_eq!((shelf.kept.lock().unwrap().len(), *shelf.found.lock().unwrap()), (3, 1));
}

#[test]
fn what_is_damaged_or_of_another_shape_is_computed_again() {
    let (shelf, material) = (Shelf::default(), material());
    let remembering = Some(Remembering { cache: &shelf, machine: &NoMachine });
    let makers = Makers { catalogues: CATALOGUES, memory: None, remembering };
    let experiment = one_pipeline("", "", "");
    let branch = &experiment.pipelines[0].settings.branches[0];
    let training = material.training(None, Seed(0));
    let rows = || {
        let encoded = makers.encoded(branch, &training, Seed(0), &mut Spent::default()).unwrap();
        encoded.features(training.images())
    };
    let sound = rows();
    let key = shelf.kept.lock().unwrap().keys().next().unwrap().clone();
    let whole = shelf.kept.lock().unwrap()[&key].clone();
    let wrong = [
        Tensors::new(),
        Tensors::new().with("rows", &Array2::<f32>::zeros((3, 3))).with_slice("cost", &[1.0, 1.0]),
        whole.clone().with_slice("cost", &[f64::NAN, 0.0]),
        whole.with_slice("more", &[1_u8]),
    ];
    for features in wrong {
        shelf.put(&key, features);
        assert_eq!(rows(), sound);
    }
}
