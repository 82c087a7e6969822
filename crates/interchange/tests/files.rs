//! Files of stored pipelines: the round trip, and everything that can be wrong with their bytes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::{Tensor, Tensors, Values};
use bakeoff_interchange::{Card, DatasetCard, FORMAT, ImageCard, InterchangeError, LONGEST_HEADER, read, write};
use ndarray::array;
use serde_json::{Value, json};

fn card() -> Card {
    Card {
        format: FORMAT,
        program: "bakeoff 0.1.0".to_owned(),
        pipeline: "mlp-2".to_owned(),
        settings: json!({"classifier": {"kind": "mlp", "settings": {"l2": 0.5, "hidden": [3]}}}),
        images: ImageCard { height: 2, width: 3, channels: 1, fit: "crop".to_owned() },
        classes: vec!["ankle boot".to_owned(), "\"é\"".to_owned()],
        dataset: DatasetCard { name: "d".to_owned(), sha256: "0".repeat(64) },
        seed: u64::MAX,
        n_train: 80,
        accuracy: Some(0.375),
        created: "2024-12-31T23:59:59Z".to_owned(),
    }
}

fn tensors() -> Tensors {
    let mut all = Tensors::new()
        .with("classifier.w", &array![[1.0f32, -0.0, f32::MIN_POSITIVE], [f32::MAX, 0.1, -2.5]])
        .with_slice("f64", &[0.1f64, -1e300])
        .with_slice("u8", &[0u8, 255, 7])
        .with_slice("u16", &[65_535u16])
        .with_slice("u32", &[u32::MAX, 1])
        .with_slice("i64", &[i64::MIN]);
    all.insert("nothing", Tensor::new(vec![0, 4], Values::F32(Vec::new())).unwrap());
    all
}

fn file() -> Vec<u8> {
    write(&card(), &tensors()).unwrap()
}

fn told(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

/// A file with this header, whatever it says, and these bytes behind.
fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// The header of [`file`], changed.
fn changed(change: impl Fn(&mut Value)) -> Vec<u8> {
    let file = file();
    let length = u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    change(&mut header);
    with_header(&header.to_string(), &file[8 + length..])
}

/// The card of [`file`], changed.
fn with_card(change: impl Fn(&mut Value)) -> Vec<u8> {
    changed(|header| {
        let mut card: Value = serde_json::from_str(header["__metadata__"]["bakeoff"].as_str().unwrap()).unwrap();
        change(&mut card);
        header["__metadata__"]["bakeoff"] = json!(card.to_string());
    })
}

#[test]
fn a_file_makes_the_round_trip_to_the_bit() {
    let (read_card, read_tensors) = read(&file()).unwrap();
    assert_eq!((&read_card, &read_tensors), (&card(), &tensors()));
    let zero = read_tensors.iter().find(|(name, _)| *name == "classifier.w").unwrap().1;
    let Values::F32(values) = zero.values() else { panic!("{zero:?}") };
    assert!(values[1].is_sign_negative(), "−0 keeps its sign");
    assert_eq!(write(&read_card, &read_tensors).unwrap(), file(), "the same bytes again");
}

#[test]
fn a_file_that_is_cut_anywhere_is_an_error() {
    let file = file();
    for length in 0..file.len() {
        assert!(!told(&file[..length]).is_empty(), "{length} of {} bytes", file.len());
    }
    let longer = [&file[..], &[0]].concat();
    assert!(told(&longer).contains("cut or has more behind"), "{}", told(&longer));
}

/// What a flipped bit leaves readable is another number, name or remark: whoever restores the pipeline compares those
/// with the settings. Nothing may panic, and nothing be longer than the file.
#[test]
fn flipped_bits_are_errors_or_other_values() {
    let file = file();
    let mut readable = 0;
    for position in 0..file.len() {
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[position] ^= 1 << bit;
            if let Ok((card, tensors)) = read(&damaged) {
                readable += 1;
                assert!(tensors.bytes() <= file.len() && card.format == FORMAT);
                assert_ne!(write(&card, &tensors).unwrap(), file, "byte {position}, bit {bit}");
            }
        }
    }
    assert!(readable > 0, "values may change");
}

#[test]
fn lies_about_lengths_are_told_before_memory_is_taken() {
    let mut file = file();
    for length in [0, 1, file.len() as u64 - 7, LONGEST_HEADER, 1 << 40, u64::MAX] {
        file[..8].copy_from_slice(&length.to_le_bytes());
        assert!(!told(&file).is_empty(), "{length}");
    }
    file[..8].copy_from_slice(&(1u64 << 40).to_le_bytes());
    assert!(told(&file).contains("expected a header of 1099511627776 bytes, found a file that ends after"));
    let long = with_header(&format!("{{{}}}", " ".repeat(LONGEST_HEADER as usize)), &[]);
    assert!(told(&long).contains("expected a header of at most"), "{}", told(&long));
    let huge = |shape: Value, end: u64| {
        told(&changed(|header| header["f64"] = json!({"dtype": "F64", "shape": shape, "data_offsets": [0, end]})))
    };
    for shape in [json!([1u64 << 61, 16]), json!([1 << 20]), json!([u64::MAX, u64::MAX])] {
        assert!(!huge(shape.clone(), 16).is_empty(), "{shape}");
        assert!(!huge(shape.clone(), 1 << 60).is_empty(), "{shape}");
    }
}

#[test]
fn other_files_are_told_from_models() {
    assert_eq!(told(b"GIF89a"), "expected a safetensors file, found 6 bytes");
    assert_eq!(told(b"\x89PNG\r\n\x1a\n and so on"), "expected a safetensors file, found bytes of another kind");
    let foreign = with_header("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", &[0; 4]);
    assert!(told(&foreign).contains("expected a model of bakeoff, found a safetensors file whose metadata"));
    let half = changed(|header| {
        header["f64"]["dtype"] = json!("F16");
        header["f64"]["shape"] = json!([8]);
    });
    assert!(told(&half).contains("expected tensor f64 of type F32, F64"), "{}", told(&half));
}

#[test]
fn cards_that_make_no_sense_are_told() {
    assert!(matches!(
        read(&with_card(|card| card["format"] = json!(2))).unwrap_err(),
        InterchangeError::Version { found: 2, known: 1 }
    ));
    let told = |key: &str, value: Value| {
        let error = told(&with_card(|card| card[key] = value.clone()));
        assert!(error.starts_with("the card of the model: "), "{key}: {error}");
        error
    };
    told("format", json!("1"));
    told("classes", json!(["one"]));
    told("colour", json!(1));
    told("seed", json!(-1));
    told("n_train", json!(1e300));
    for (height, width, channels) in [(0, 1, 1), (1, 4097, 1), (1, 1, 2), (1, 1, 0)] {
        let images = json!({"height": height, "width": width, "channels": channels, "fit": "crop"});
        assert!(told("images", images).contains("channels, found"), "{height} {width} {channels}");
    }
    assert!(told("images", json!({"height": 1, "width": 1, "channels": 1, "fit": "squeeze"})).contains("squeeze"));
    let small = Card { classes: vec!["one".to_owned()], ..card() };
    assert!(write(&small, &tensors()).is_err(), "nothing is written that cannot be read");
}
