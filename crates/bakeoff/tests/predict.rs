//! Stored models from end to end: a run leaves them, `predict` and `export` read them, and what is wrong is told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bakeoff_results::{Outcome, Store};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn call(room: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bakeoff"));
    command.current_dir(room).args(args).env_remove("RUST_BACKTRACE").env("BAKEOFF_CACHE", room.join("cache"));
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output and error of a call that ends with this code.
fn ended(room: &Path, args: &[&str], code: i32) -> (String, String) {
    let output = call(room, args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout:\n{out}\nstderr:\n{err}");
    assert!(!err.contains("panicked") && !err.contains("a bug stopped it"), "{err}");
    (out, err)
}

/// A 24-bit bitmap of one color with a brighter pixel.
fn bitmap(width: u32, height: u32, (r, g, b): (u8, u8, u8), bright: u32) -> Vec<u8> {
    let row = (width * 3).next_multiple_of(4);
    let mut file = b"BM".to_vec();
    for value in [54 + row * height, 0, 54, 40, width, height, 1 | 24 << 16, 0, row * height, 0, 0, 0, 0] {
        file.extend(value.to_le_bytes());
    }
    for y in 0..height {
        let mut line: Vec<u8> =
            (0..width).flat_map(|x| if y * width + x == bright { [255; 3] } else { [b, g, r] }).collect();
        line.resize(row as usize, 0);
        file.extend(line);
    }
    file
}

/// Twelve reds and twelve blues, of several sizes.
fn photos(room: &Path) {
    for (class, color) in [("red", (200u8, 30u8, 20u8)), ("sky, blue", (20, 40, 220))] {
        let folder = room.join("photos").join(class);
        fs::create_dir_all(&folder).unwrap();
        for i in 0..12u32 {
            let (width, height) = [(12, 12), (16, 12), (12, 20)][i as usize % 3];
            let shade = |v: u8| v.wrapping_add(i as u8 * 2);
            let color = (shade(color.0), shade(color.1), shade(color.2));
            fs::write(folder.join(format!("{i}.bmp")), bitmap(width, height, color, i * 3)).unwrap();
        }
    }
}

const EXPERIMENT: &str = "dataset = { folder = 'photos', size = [12, 12] }
seeds = 2
[[pipeline]]
name = 'pixels softmax'
features = [{ kind = 'pixels', mean_removed = true }]
classifier = { kind = 'softmax' }
[[pipeline]]
name = 'net'
features = [{ kind = 'pixels' }]
reduce = { kind = 'pca', dimensions = 6 }
classifier = { kind = 'mlp', hidden = [8] }
[[pipeline]]
name = 'color'
features = [{ kind = 'color-histogram' }, { kind = 'hog', cell = 4 }]
classifier = { kind = 'svm' }
[[pipeline]]
name = 'knn'
features = [{ kind = 'pixels' }]
classifier = { kind = 'knn', k = 3 }
[[pipeline]]
name = 'fused'
fusion = 'late'
[[pipeline.branches]]
features = [{ kind = 'lbp', grid = [1, 1] }]
classifier = { kind = 'one-vs-all-svm' }
[[pipeline.branches]]
features = [{ kind = 'color-histogram' }]
quantise = { group = 4, bits = 1, scored = 'codes' }
classifier = { kind = 'softmax' }
";

/// A room with a finished run of [`EXPERIMENT`].
fn room() -> TempDir {
    let room = tempfile::tempdir().unwrap();
    photos(room.path());
    fs::write(room.path().join("try.toml"), EXPERIMENT).unwrap();
    ended(room.path(), &["run", "try.toml", "--threads", "2"], 0);
    room
}

fn models(room: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(room.join("runs/try/models")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.extension().unwrap() == "safetensors").collect();
    found.sort();
    found
}

fn object(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

/// The files of the test part, in the run's own order, are not in its record, so every photo is asked: each model must be
/// right about as many of all as its training and test parts say.
#[test]
fn every_pipeline_is_stored_and_predicts() {
    let room = room();
    let models = models(room.path());
    assert_eq!(models.len(), 5, "{models:?}");
    assert_eq!(fs::read_dir(room.path().join("runs/try/models")).unwrap().count(), 10, "a card beside each");
    let rows = Store::open(&room.path().join("runs/try/results.sqlite")).unwrap().rows().unwrap();
    for model in models {
        let card: Value = serde_json::from_str(&fs::read_to_string(model.with_extension("json")).unwrap()).unwrap();
        assert_eq!((&card["seed"], &card["images"]["fit"]), (&Value::from(0), &Value::from("crop")));
        assert_eq!(card["classes"], serde_json::json!(["red", "sky, blue"]));
        let row = rows.iter().find(|row| card["pipeline"] == *row.cell.pipeline && row.cell.seed == 0).unwrap();
        let Outcome::Done(measured) = &row.outcome else { panic!("{row:?}") };
        assert_eq!(card["n_train"], measured.n_train);
        assert!(card["accuracy"].as_f64().unwrap() > 0.7, "{card}");
        let (out, err) = ended(room.path(), &["predict", model.to_str().unwrap(), "photos", "--json", "--top", "9"], 0);
        assert_eq!(err, "");
        let object = object(&out);
        let images = object["images"].as_array().unwrap();
        assert_eq!(images.len(), 24);
        let right = images.iter().filter(|image| {
            let path = Path::new(image["path"].as_str().unwrap());
            path.parent().unwrap().file_name().unwrap().to_str() == image["top"][0]["class"].as_str()
        });
        assert!(right.count() >= 20, "{object}");
        for image in images {
            let top = image["top"].as_array().unwrap();
            assert!(top.len() == 2 && top[0]["score"].as_f64() >= top[1]["score"].as_f64(), "{image}");
            let sum: f64 = top.iter().filter_map(|guess| guess["probability"].as_f64()).sum();
            assert!(if object["scores"] == "logit" { (sum - 1.0).abs() < 1e-9 } else { sum == 0.0 }, "{object}");
        }
    }
}

#[test]
fn text_and_csv_tell_the_same_and_bad_images_are_named() {
    let room = room();
    let model = "runs/try/models/net.safetensors";
    let (out, _) = ended(room.path(), &["predict", model, "photos/red/0.bmp", "photos/red/1.bmp", "--top", "1"], 0);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert!(lines[0].starts_with("photos/red/0.bmp: red ") && lines[0].ends_with('%'), "{out}");
    let (csv, _) = ended(room.path(), &["predict", model, "photos/sky, blue", "--format", "csv"], 0);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!((lines[0], lines.len()), ("path,rank,class,score,probability", 25));
    assert!(lines[1].starts_with("\"photos/sky, blue/0.bmp\",1,\"sky, blue\","), "{csv}");
    fs::write(room.path().join("photos/red/0.bmp"), "no image").unwrap();
    let (out, err) = ended(room.path(), &["predict", model, "photos", "missing.png", "--json"], 2);
    assert_eq!(object(&out)["images"].as_array().unwrap().len(), 23);
    assert!(err.contains("photos/red/0.bmp") && err.contains("found text") && err.contains("missing.png"), "{err}");
    fs::create_dir(room.path().join("empty")).unwrap();
    let (_, err) = ended(room.path(), &["predict", model, "empty"], 2);
    assert!(err.contains("there is no image in it"), "{err}");
}

#[test]
fn damaged_and_foreign_models_are_told() {
    let room = room();
    let path = room.path().join("runs/try/models/net.safetensors");
    let whole = fs::read(&path).unwrap();
    let told = |bytes: &[u8]| {
        fs::write(room.path().join("bad.safetensors"), bytes).unwrap();
        let (out, err) = ended(room.path(), &["predict", "bad.safetensors", "photos/red/1.bmp"], 2);
        assert!(out.is_empty() && err.starts_with("bakeoff: failed to read the model bad.safetensors: "), "{err}");
        err
    };
    assert!(told(&[]).contains("found 0 bytes"));
    assert!(told(b"\x89PNG\r\n\x1a\n0000").contains("found bytes of another kind"));
    assert!(told(&whole[..whole.len() - 1]).contains("cut"));
    // The last value of some array becomes NaN.
    let mut damaged = whole.clone();
    let end = damaged.len();
    damaged[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(told(&damaged).contains("is NaN, expected a finite number"));
    // As many bytes, another number of hidden units.
    let other = text(&whole.iter().map(|&b| if b.is_ascii() { b } else { b'?' }).collect::<Vec<_>>());
    let place = other.find("\\\"hidden\\\":[8]").unwrap() + "\\\"hidden\\\":[".len();
    damaged = whole;
    damaged[place] = b'9';
    let told = told(&damaged);
    assert!(told.contains("tensor classifier.0.w: expected f32 (9, 6), found f32 (8, 6)"), "{told}");
    let (_, err) = ended(room.path(), &["predict", "runs/try", "photos"], 2);
    assert!(err.contains("found a folder; its models begin with runs/try/models/color.safetensors"), "{err}");
    ended(room.path(), &["predict", "nowhere.safetensors", "photos"], 2);
    ended(room.path(), &["predict", "runs/try/models/net.safetensors"], 2);
}

#[test]
fn what_has_an_onnx_form_is_exported_and_the_rest_says_why_not() {
    let room = room();
    for (model, code) in [("net", 0), ("color", 2), ("knn", 2), ("fused", 2)] {
        let file = format!("runs/try/models/{model}.safetensors");
        let onnx = format!("{model}.onnx");
        let (out, err) = ended(room.path(), &["export", &file, "--onnx", &onnx], code);
        assert_eq!(room.path().join(&onnx).is_file(), code == 0);
        match model {
            "net" => assert!(out.contains("uint8 (N, 12, 12, 3) to scores and probabilities float (N, 2)"), "{out}"),
            "color" => assert!(err.contains("no ONNX form of features color-histogram + hog"), "{err}"),
            "knn" => assert!(err.contains("no ONNX form of classifier knn"), "{err}"),
            _ => assert!(err.contains("features lbp, features color-histogram, quantise"), "{err}"),
        }
    }
}

#[test]
fn models_over_the_limit_are_left_out_and_a_second_call_stores_nothing_twice() {
    let room = tempfile::tempdir().unwrap();
    photos(room.path());
    fs::write(room.path().join("try.toml"), EXPERIMENT).unwrap();
    let run = |more: &[&str]| ended(room.path(), &[&["run", "try.toml", "--seeds", "1"], more].concat(), 0).0;
    run(&["--model-limit", "0", "--out", "none"]);
    assert!(!room.path().join("none/models").exists());
    run(&[]);
    let model = &models(room.path())[0];
    let before = fs::metadata(model).unwrap().modified().unwrap();
    run(&[]);
    assert_eq!(fs::metadata(model).unwrap().modified().unwrap(), before);
}
