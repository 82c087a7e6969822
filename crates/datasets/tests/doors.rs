//! `.npz` and Parquet files that numpy, pandas, pyarrow and Hugging Face's `datasets` wrote (`doors/make.py`) are read as
//! Pillow and numpy read them, and damaged ones are refused in words.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::{Labelled, Splits};
use bakeoff_datasets::{NpzOptions, ParquetOptions, Source, npz, open, parquet};
use serde_json::Value;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

fn doors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doors")
}

fn expected(name: &str) -> Value {
    let text = fs::read_to_string(doors().join("expected.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    all[name].clone()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

fn load(name: &str) -> Result<Splits, String> {
    open_and_load(&Source::Path(doors().join(name)))
}

fn open_and_load(source: &Source) -> Result<Splits, String> {
    open(source, &[]).and_then(|set| set.load(Path::new("unused"))).map_err(|e| e.to_string())
}

/// A table whose `key` is the path of a file here.
fn table(key: &str, name: &str, more: &str) -> Result<Source, String> {
    let mut table: toml::Table = toml::from_str(more).unwrap();
    table.insert(key.to_owned(), toml::Value::String(doors().join(name).to_string_lossy().into_owned()));
    Source::from_table(&table).map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn check_part(part: &Labelled, expected: &Value, what: &str) {
    let pixels: Vec<u8> = part.images().view().iter().flatten().copied().collect();
    assert_eq!(pixels, bytes(&expected["pixels"]), "{what}");
    let labels: Vec<u64> = part.labels().as_slice().iter().map(|&id| id as u64).collect();
    let told: Vec<u64> = expected["labels"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    assert_eq!(labels, told, "{what}");
}

fn check(splits: &Splits, expected: &Value) {
    assert_eq!(serde_json::json!(splits.classes), expected["classes"]);
    let (h, w, c) = splits.train.images().shape();
    assert_eq!(serde_json::json!([h, w, c]), expected["shape"]);
    check_part(&splits.train, &expected["train"], "train");
    check_part(&splits.test, &expected["test"], "test");
    match &splits.validation {
        Some(validation) => check_part(validation, &expected["val"], "validation"),
        None => assert!(expected["val"].is_null()),
    }
}

/// All images of a set that was split, in the order of their pixels.
fn sorted(splits: &Splits) -> Vec<(Vec<u8>, usize)> {
    let mut all = Vec::new();
    for part in [&splits.train, &splits.test] {
        all.extend(part.images().view().iter().map(<[u8]>::to_vec).zip(part.labels().as_slice().iter().copied()));
    }
    all.sort();
    all
}

#[test]
fn arrays_are_read_as_numpy_reads_them() {
    for name in ["medmnist.npz", "fortran.npz", "keras.npz"] {
        let splits = load(&format!("npz/{name}")).unwrap();
        check(&splits, &expected(name));
        assert_eq!(splits.provenance.files[0].path, name);
    }
    let keras = load("npz/keras.npz").unwrap();
    assert!(keras.provenance.notes.contains(&"1 other array passed over".to_owned()), "{:?}", keras.provenance.notes);
}

#[test]
fn a_file_of_arrays_without_a_test_part_is_split() {
    let splits = load("npz/whole.npz").unwrap();
    assert_eq!((splits.train.len(), splits.test.len(), splits.validation), (16, 4, None));
    assert_eq!(splits.test.labels().counts(), [2, 2]);
    let note = "stratified split, seed 0: 16 training and 4 test images, 20% of each class for the test";
    assert!(splits.provenance.notes.iter().any(|found| found == note), "{:?}", splits.provenance.notes);
    let other = open_and_load(&table("npz", "npz/whole.npz", "test_share = 0.5\nseed = 3").unwrap()).unwrap();
    assert_eq!(other.test.len(), 10);
}

#[test]
fn arrays_that_are_no_set_are_refused_in_words() {
    let told = |name: &str| load(&format!("npz/{name}.npz")).unwrap_err();
    assert!(told("multi").contains("14 labels an image"), "{}", told("multi"));
    assert!(told("floats").contains("unsigned bytes (uint8), found type <f8"), "{}", told("floats"));
    assert!(told("objects").contains("never unpickled"), "{}", told("objects"));
    assert!(told("objects").contains("train_labels.npy"), "{}", told("objects"));
    let missing = table("npz", "npz/none.npz", "").map(|source| open_and_load(&source)).unwrap().unwrap_err();
    assert!(missing.contains("is not there"), "{missing}");
    assert!(table("npz", "npz/whole.npz", "size = [3, 3]\ntest_share = 0.0").unwrap_err().starts_with("size:"));
    let settings = table("folder", "npz/whole.npz", "size = [3, 3]").map(|source| open_and_load(&source)).unwrap();
    assert!(settings.unwrap_err().contains("say `npz` instead of `folder`"));
}

#[test]
fn tables_of_hugging_face_are_read_with_their_class_names() {
    for source in [Source::Path(doors().join("parquet/hf")), table("parquet", "parquet/hf", "").unwrap()] {
        let splits = open_and_load(&source).unwrap();
        check(&splits, &expected("hf"));
        let names = &splits.provenance.names;
        assert_eq!((names.train.len(), names.validation.len(), names.test.len()), (6, 3, 4));
        assert_eq!(names.test[2], "data/test-00000-of-00001.parquet row 2 (test2.png)");
        assert_eq!(splits.provenance.files.len(), 3);
    }
}

#[test]
fn every_codec_and_encoding_gives_the_same_images() {
    let told = expected("pandas");
    let pixels = bytes(&told["all"]["pixels"]);
    let labels = told["all"]["labels"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as usize);
    let mut all: Vec<(Vec<u8>, usize)> = pixels.chunks(20).map(<[u8]>::to_vec).zip(labels).collect();
    all.sort();
    for name in ["pandas-snappy", "pandas-gzip", "pandas-zstd", "pandas-plain", "binary", "pages"] {
        let splits = load(&format!("parquet/{name}.parquet")).unwrap();
        assert_eq!(sorted(&splits), all, "{name}");
        let classes = if name.starts_with("pandas") { ["dry", "wet"] } else { ["0", "1"] };
        assert_eq!(splits.classes, classes, "{name}");
        assert_eq!(splits.test.labels().counts(), [1, 1], "{name}");
    }
}

#[test]
fn the_settings_choose_columns_and_sizes() {
    let fine = load("parquet/two-labels.parquet").unwrap();
    assert_eq!(fine.classes, ["apple", "bear", "pear"]);
    let coarse =
        table("parquet", "parquet/two-labels.parquet", "label = 'coarse_label'\nsize = [3, 2]\ncolour = 'grey'");
    let coarse = open_and_load(&coarse.unwrap()).unwrap();
    assert_eq!(
        (coarse.classes.as_slice(), coarse.train.images().shape()),
        (["fruit".to_owned(), "animal".to_owned()].as_slice(), (3, 2, 1))
    );
    let wrong = table("parquet", "parquet/two-labels.parquet", "label = 'kind'").unwrap();
    let told = open_and_load(&wrong).unwrap_err();
    assert!(told.contains("those that can: `fine_label`, `coarse_label`"), "{told}");
    assert!(table("parquet", "parquet/hf", "colors = 1\nsize = [0, 1]").unwrap_err().contains("colors"));
    assert!(table("parquet", "parquet/hf", "folder = 'x'").unwrap_err().contains("folder"));
}

#[test]
fn images_that_are_not_there_stop_or_are_left_out() {
    let told = load("parquet/nulls.parquet").unwrap_err();
    for line in
        ["3 images could not be read", "row 7: expected the bytes of an image, found null", "row 9 (text.png): "]
    {
        assert!(told.contains(line), "{told}");
    }
    let source = table("parquet", "parquet/nulls.parquet", "on_error = 'skip'").unwrap();
    let splits = open_and_load(&source).unwrap();
    assert_eq!((splits.train.len() + splits.test.len(), splits.provenance.unreadable.len()), (7, 3));
    assert_eq!(splits.provenance.unreadable[1].0, "nulls.parquet row 8 (elsewhere.png)");
    assert!(load("parquet/brotli.parquet").unwrap_err().contains("brotli"));
}

/// Every shorter file and every file with one changed byte.
fn damaged(whole: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let cuts = (0..whole.len()).map(|cut| whole[..cut].to_vec());
    let flips = (0..whole.len()).flat_map(move |at| {
        [0x01, 0x80, 0xff].map(|mask| {
            let mut bytes = whole.to_vec();
            bytes[at] ^= mask;
            bytes
        })
    });
    cuts.chain(flips)
}

#[test]
fn damaged_archives_are_refused_and_never_panic() {
    let read = |bytes: Vec<u8>| {
        let len = bytes.len() as u64;
        npz::read(Path::new("x.npz"), len, Cursor::new(bytes), &NpzOptions::default())
    };
    for name in ["medmnist", "fortran"] {
        let whole = fs::read(doors().join(format!("npz/{name}.npz"))).unwrap();
        let sound = read(whole.clone()).unwrap();
        let mut n_refused = 0;
        for (i, bytes) in damaged(&whole).enumerate() {
            match read(bytes) {
                Err(_) => n_refused += 1,
                // Some bytes mean nothing here (times, attributes, padding): then the set is the same.
                Ok(splits) => {
                    assert!(i >= whole.len(), "a cut file was read");
                    assert_eq!(splits.train, sound.train, "{name} {i}");
                }
            }
        }
        assert!(n_refused > whole.len() * 2, "{n_refused}");
    }
}

#[test]
fn damaged_tables_are_refused_or_read_and_never_panic() {
    // The library's own panics are caught; their messages need not be printed.
    std::panic::set_hook(Box::new(|_| {}));
    let read = |bytes: Vec<u8>| parquet::read(Path::new("x.parquet"), bytes, &ParquetOptions::default());
    for name in ["binary", "pages"] {
        let whole = fs::read(doors().join(format!("parquet/{name}.parquet"))).unwrap();
        assert!(read(whole.clone()).is_ok());
        for cut in 0..whole.len() {
            assert!(read(whole[..cut].to_vec()).is_err(), "{name} cut at {cut}");
        }
        // Parquet has no checksum of its own here: what is changed in the labels is simply another label.
        let n_refused = damaged(&whole).skip(whole.len()).filter(|bytes| read(bytes.clone()).is_err()).count();
        assert!(n_refused > whole.len(), "{n_refused}");
    }
    drop(std::panic::take_hook());
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    // An array that declares 3 GB and an archive that agrees, in a file of a few hundred bytes.
    use std::io::Write;
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("train_images.npy", options).unwrap();
    let words = "{'descr': '|u1', 'fortran_order': False, 'shape': (3000000, 32, 32), }";
    archive
        .write_all(&[&b"\x93NUMPY\x01\x00"[..], &(words.len() as u16).to_le_bytes(), words.as_bytes()].concat())
        .unwrap();
    archive.start_file("train_labels.npy", options).unwrap();
    let bytes = archive.finish().unwrap().into_inner();
    let told = npz::read(Path::new("x.npz"), bytes.len() as u64, Cursor::new(bytes), &NpzOptions::default());
    let told = told.unwrap_err().to_string();
    assert!(told.contains("3,072,000,000 bytes of values"), "{told}");
}
