//! `bakeoff init` from end to end, on small folders of images.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn call(room: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bakeoff"));
    command.current_dir(room).args(args).env_remove("RUST_BACKTRACE").env("BAKEOFF_CACHE", room.join("cache"));
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn ended(output: &Output, code: i32) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout:\n{out}\nstderr:\n{err}");
}

/// A 24-bit bitmap of this color with a slope over it.
fn bitmap((height, width): (usize, usize), color: [u8; 3], shift: usize) -> Vec<u8> {
    let row = (width * 3).div_ceil(4) * 4;
    let size = 54 + row * height;
    let mut bytes = b"BM".to_vec();
    let header = [size, 0, 54, 40, width, height, 1 | (24 << 16), 0, row * height, 2835, 2835, 0, 0];
    header.iter().for_each(|&number: &usize| bytes.extend_from_slice(&(number as u32).to_le_bytes()));
    for y in 0..height {
        let mut line: Vec<u8> =
            (0..width).flat_map(|x| color.map(|c| c.wrapping_add(((x * 3 + y + shift) % 40) as u8))).collect();
        line.resize(row, 0);
        bytes.extend(line);
    }
    bytes
}

/// Three classes of so many photographs, one of them under a name that would end a comment; one image is there twice.
fn photos(folder: &Path, counts: [usize; 3]) {
    let colors = [[10, 10, 180], [10, 180, 10], [180, 10, 10]];
    for ((class, color), n) in ["red", "green\n[[pipeline]]", "blue"].iter().zip(colors).zip(counts) {
        fs::create_dir_all(folder.join(class)).unwrap();
        for i in 0..n {
            let size = (60 + i % 3, 90 + i % 2);
            fs::write(folder.join(class).join(format!("{i}.bmp")), bitmap(size, color, i * 5)).unwrap();
        }
    }
    fs::copy(folder.join("red/1.bmp"), folder.join("blue/copy.bmp")).unwrap();
}

#[test]
fn an_experiment_is_written_that_runs() {
    let room = tempfile::tempdir().unwrap();
    photos(&room.path().join("my photos"), [40, 12, 30]);
    let output = call(room.path(), &["init", "my photos", "--threads", "2", "--json"]);
    ended(&output, 0);
    let told: Value = serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap();
    assert_eq!(told["file"], "my-photos.toml");
    assert_eq!((&told["channels"], told["classes"].as_array().unwrap().len()), (&Value::from(3), 3));
    assert_eq!(told["file_sizes"]["greatest"], serde_json::json!([62, 91]));
    // Every pipeline was timed or says why not.
    for pipeline in told["pipelines"].as_array().unwrap() {
        let seconds = pipeline["seconds"].as_f64();
        assert!(seconds.is_some_and(|s| s > 0.0) != pipeline["reason"].is_string(), "{pipeline}");
    }
    assert!(told["seconds"].as_f64().is_some_and(|s| s > 0.0 && s < 600.0), "{told}");

    let file = fs::read_to_string(room.path().join("my-photos.toml")).unwrap();
    for part in [
        "# Written by `bakeoff init my photos`",
        "{ folder = \"my photos\", size = [56, 80] }",
        "green\\u{a}[[pipeline]]: ",
        "The classes are uneven",
        "look the same: ",
        "on this machine",
        "kind = \"hog\", cell = 8",
        "[[comparison]]\na = \"mlp-2\"\nb = \"hog-color-svm\"\n",
    ] {
        let same = part == "look the same: " && file.contains("same pixels: ");
        assert!(file.contains(part) || same, "{part}\n{file}");
    }
    assert!(text(&output.stderr).contains("timing hog-svm on a few images"));
    assert!(text(&output.stderr).ends_with("\n\nWrote my-photos.toml. To run it: bakeoff run my-photos.toml\n"));
    // A run's own lines, which begin with the number of the cell, end with its accuracy.
    assert!(!text(&output.stderr).lines().any(|line| line.starts_with('[')), "accuracies are for the run to tell");
    // Nothing but the file is left behind.
    let mut left: Vec<String> =
        fs::read_dir(room.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["my photos", "my-photos.toml"]);

    let args = [
        "run",
        "my-photos.toml",
        "--seeds",
        "1",
        "--pipeline",
        "hog-svm",
        "--pipeline",
        "pixels-softmax",
        "--threads",
        "2",
    ];
    let output = call(room.path(), &args);
    ended(&output, 0);
    assert!(text(&output.stdout).contains("has the highest accuracy on my photos"), "{}", text(&output.stdout));

    // An existing file stays as it is.
    let output = call(room.path(), &["init", "my photos", "--threads", "2"]);
    ended(&output, 2);
    assert!(text(&output.stderr).contains("my-photos.toml is there already; --out names another file"));
    assert_eq!(fs::read_to_string(room.path().join("my-photos.toml")).unwrap(), file);
}

#[test]
fn a_file_elsewhere_finds_its_images() {
    let room = tempfile::tempdir().unwrap();
    photos(&room.path().join("photos"), [12, 12, 12]);
    fs::create_dir(room.path().join("plans")).unwrap();
    let output = call(room.path(), &["init", "./photos", "--out", "plans/a.toml", "--threads", "2", "--minutes", "1"]);
    ended(&output, 0);
    let other = tempfile::tempdir().unwrap();
    let file = room.path().join("plans/a.toml");
    let args = ["run", file.to_str().unwrap(), "--seeds", "1", "--pipeline", "pixels-softmax", "--threads", "2"];
    ended(&call(other.path(), &args), 0);
}

#[test]
fn bad_folders_are_told() {
    let room = tempfile::tempdir().unwrap();
    let said = |args: &[&str]| {
        let output = call(room.path(), args);
        ended(&output, 2);
        text(&output.stderr)
    };
    assert!(said(&["init", "./nowhere"]).contains("nowhere"));
    fs::create_dir_all(room.path().join("empty")).unwrap();
    assert!(said(&["init", "./empty"]).contains("expected a folder with a folder of images for each class"));
    fs::create_dir_all(room.path().join("bad/a")).unwrap();
    fs::create_dir_all(room.path().join("bad/b")).unwrap();
    for name in ["a/x.png", "b/x.png"] {
        fs::write(room.path().join("bad").join(name), b"no image").unwrap();
    }
    assert!(said(&["init", "./bad"]).contains("x.png"));
    photos(&room.path().join("photos"), [12, 12, 12]);
    assert!(said(&["init", "photos", "--out", "none/a.toml", "--threads", "2"]).contains("none/"));
    assert!(!room.path().join("photos.toml").exists());
}
