//! Images of the five formats.
#![no_main]

use bakeoff_datasets::decode;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    let path = Path::new("fuzz");
    if let Ok(picture) = decode::decode(path, data) {
        assert_eq!(picture.rgb.len(), picture.height * picture.width * 3);
        assert_eq!(decode::measure(path, data).ok(), Some((picture.height, picture.width)));
    }
});
