//! CIFAR files: the first byte says which layout and where the bytes are cut into names, training and test records.
#![no_main]

use bakeoff_datasets::cifar::{CIFAR_10, CIFAR_100, Set};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    let [choice, n_names, rest @ ..] = data else { return };
    let (layout, names, train, test, record) = match choice % 2 {
        0 => (&CIFAR_10, "batches.meta.txt", "data_batch_1.bin", "test_batch.bin", 3073),
        _ => (&CIFAR_100, "fine_label_names.txt", "train.bin", "test.bin", 3074),
    };
    let (class_names, rest) = rest.split_at(rest.len().min(usize::from(*n_names)));
    // A file of at most one whole record for the test, so that short inputs can be whole sets.
    let (test_records, train_records) = rest.split_at(rest.len().min(record * usize::from(*choice / 2 % 3)));
    let path = Path::new("fuzz");
    let mut set = Set::new(layout);
    let added = set
        .add(path, names, class_names)
        .and_then(|()| set.add(path, train, train_records))
        .and_then(|()| set.add(path, test, test_records));
    if added.is_ok()
        && let Ok(splits) = set.into_splits(path)
    {
        assert_eq!(splits.train.len(), train_records.len() / record);
    }
});
