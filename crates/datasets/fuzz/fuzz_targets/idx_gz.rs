//! IDX files inside a sound gzip stream, whose checksum no random bytes would get right.
#![no_main]

use bakeoff_datasets::idx;
use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use std::io::Write;
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).expect("a vector takes everything");
    let packed = encoder.finish().expect("a vector takes everything");
    let path = Path::new("fuzz");
    let from_packed = idx::read(path, packed.len() as u64, packed.as_slice());
    // A gzip stream in a gzip stream is read as plain bytes, so only what begins otherwise must read the same.
    if !data.starts_with(&[0x1f, 0x8b]) {
        let from_plain = idx::read(path, data.len() as u64, data);
        assert_eq!(from_packed.ok(), from_plain.ok());
    }
});
