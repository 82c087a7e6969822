//! Parquet files of images. The library's own panics are caught at the door and are errors like others, so the hook that
//! ends the program on them is taken out.
#![no_main]

use bakeoff_datasets::{ParquetOptions, parquet};
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::Once;

static QUIET: Once = Once::new();

fuzz_target!(|data: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    if let Ok(splits) = parquet::read(Path::new("fuzz.parquet"), data.to_vec(), &ParquetOptions::default()) {
        assert!(!splits.train.is_empty() && !splits.test.is_empty());
    }
});
