//! IDX files as they are, plain or gzipped by their first bytes.
#![no_main]

use bakeoff_datasets::idx;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    if let Ok(read) = idx::read(Path::new("fuzz"), data.len() as u64, data) {
        assert_eq!(read.values.len(), read.dims.iter().product::<usize>());
    }
});
