//! The committed samples are read as Pillow and numpy read them: see `datasets/samples/make_samples.py`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::{Labelled, LoadError};
use bakeoff_datasets::{Source, decode, open};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/samples")
}

fn expected(kind: &str) -> serde_json::Map<String, Value> {
    let text = fs::read_to_string(samples().join("expected.json")).unwrap();
    let mut all: Value = serde_json::from_str(&text).unwrap();
    all[kind].take().as_object().unwrap().clone()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

fn furthest(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

fn load(path: &Path) -> Result<bakeoff_core::Splits, LoadError> {
    open(&Source::Path(path.to_owned()), &[])?.load(Path::new("unused"))
}

#[test]
fn every_kind_of_image_is_read_as_pillow_reads_it() {
    let mut n_read = 0;
    for (name, expected) in expected("images") {
        if name.contains(" to ") {
            continue;
        }
        let path = samples().join("images").join(&name);
        let file = fs::read(&path).unwrap();
        let picture = decode::decode(&path, &file).unwrap();
        let size = (picture.height as u64, picture.width as u64);
        assert_eq!(size, (expected["height"].as_u64().unwrap(), expected["width"].as_u64().unwrap()), "{name}");
        assert_eq!(decode::measure(&path, &file).unwrap(), (picture.height, picture.width), "{name}");
        let off = furthest(&picture.rgb, &bytes(&expected["rgb"]));
        assert!(u64::from(off) <= expected["tolerance"].as_u64().unwrap(), "{name} is off by {off}");
        n_read += 1;
    }
    assert_eq!(n_read, fs::read_dir(samples().join("images")).unwrap().count());
}

#[test]
fn what_was_done_to_an_image_is_told() {
    let facts = |name: &str| {
        let path = samples().join("images").join(name);
        decode::decode(&path, &fs::read(&path).unwrap()).unwrap().facts
    };
    assert_eq!(facts("rgb.png"), decode::Facts::default());
    assert!(facts("grey.png").is_grey && facts("grey.jpg").is_grey && facts("one-bit.png").is_grey);
    assert!(facts("rgba16.png").had_16_bits && facts("rgba16.png").was_transparent && facts("grey16.png").had_16_bits);
    assert!(facts("palette-transparent.png").was_transparent && !facts("palette.png").was_transparent);
    assert!(facts("exif-6.jpg").was_turned && facts("exif-8.png").was_turned && facts("two-frames.gif").is_gif);
}

#[test]
fn resizing_gives_what_pillow_gives() {
    use bakeoff_core::Dataset;
    use bakeoff_datasets::folder::{Fit, FolderOptions, ImageFolder};
    let all = expected("images");
    for (size, fit, name) in [
        ((8, 8), Fit::Stretch, "8×8 stretch"),
        ((8, 8), Fit::Crop, "8×8 crop"),
        ((33, 44), Fit::Stretch, "33×44 stretch"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for class in ["a", "b"] {
            fs::create_dir(folder.path().join(class)).unwrap();
            for copy in 0..2 {
                let to = folder.path().join(class).join(format!("{copy}.png"));
                fs::copy(samples().join("images/resize.png"), to).unwrap();
            }
        }
        let options = FolderOptions { size: Some(size), fit, ..FolderOptions::default() };
        let splits = ImageFolder::at(folder.path(), options).load(Path::new("")).unwrap();
        let expected = bytes(&all[&format!("resize.png to {name}")]["rgb"]);
        let off = furthest(splits.train.images().view().image(0), &expected);
        assert!(off <= 1, "{name} is off by {off}");
    }
}

#[test]
fn the_sample_sets_are_read_as_numpy_wrote_them() {
    let check = |part: &Labelled, expected: &Value| {
        let (h, w, c) = part.images().shape();
        assert_eq!(serde_json::json!([h, w, c]), expected["shape"]);
        assert_eq!(serde_json::json!(part.labels().as_slice()), expected["labels"]);
        assert_eq!(part.images().view().iter().flatten().copied().collect::<Vec<_>>(), bytes(&expected["pixels"]));
    };
    for (name, expected) in expected("sets") {
        let splits = load(&samples().join(&name)).unwrap();
        assert_eq!(serde_json::json!(splits.classes), expected["classes"]);
        check(&splits.train, &expected["train"]);
        check(&splits.test, &expected["test"]);
    }
}

#[test]
fn broken_images_are_told_with_expectation_and_finding() {
    let problem = |name: &str| {
        let path = samples().join("broken").join(name);
        decode::decode(Path::new(name), &fs::read(path).unwrap()).unwrap_err().to_string()
    };
    assert_eq!(problem("text.jpg"), "text.jpg: expected a PNG, JPEG, BMP, WebP or GIF image, found text at byte 0");
    assert_eq!(
        problem("empty.png"),
        "empty.png: expected a PNG, JPEG, BMP, WebP or GIF image, found an empty file at byte 0"
    );
    assert_eq!(problem("cut.jpg"), "cut.jpg: expected a whole JPEG image, found the end of the file at byte 391");
    assert!(problem("cut.png").starts_with("cut.png: expected a whole PNG image, found"), "{}", problem("cut.png"));
    for name in ["huge.png", "huge.bmp"] {
        let expected =
            format!("{name}: expected an image of 1 to 120,000,000 pixels, found a header that says 20000×20000");
        assert_eq!(problem(name), expected);
    }
}

#[test]
fn no_cut_image_is_a_panic_and_no_cut_jpeg_passes_for_whole() {
    for entry in fs::read_dir(samples().join("images")).unwrap() {
        let path = entry.unwrap().path();
        let whole = fs::read(&path).unwrap();
        let is_jpeg = whole.starts_with(&[0xff, 0xd8]);
        for cut in 0..whole.len() {
            let read = decode::decode(&path, &whole[..cut]);
            assert!(!(is_jpeg && read.is_ok()), "{} cut to {cut} bytes", path.display());
            let measured = decode::measure(&path, &whole[..cut]);
            if let (Ok(picture), Ok(size)) = (read, measured) {
                assert_eq!((picture.height, picture.width), size);
            }
        }
    }
}
