//! Archives of arrays as they are, and an array's header alone.
#![no_main]

use bakeoff_datasets::{NpzOptions, npz};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    let path = Path::new("fuzz.npz");
    let _ = npz::header::read(path, &mut &data[..]);
    if let Ok(splits) = npz::read(path, data.len() as u64, Cursor::new(data), &NpzOptions::default()) {
        assert!(!splits.train.is_empty() && !splits.test.is_empty());
    }
});
