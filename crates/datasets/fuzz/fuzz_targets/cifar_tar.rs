//! CIFAR archives: as they are, and inside a sound gzip stream.
#![no_main]

use bakeoff_datasets::cifar::{CIFAR_10, read_archive};
use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use std::io::Write;
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    let path = Path::new("fuzz");
    let read = |bytes: &[u8]| read_archive(path, bytes.len() as u64, bytes, &CIFAR_10).and_then(|set| set.into_splits(path));
    let _ = read(data);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).expect("a vector takes everything");
    let _ = read(&encoder.finish().expect("a vector takes everything"));
});
