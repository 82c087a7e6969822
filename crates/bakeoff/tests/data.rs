//! `bakeoff data` from end to end, without a network: what is built in, the committed samples and small folders.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/samples").canonicalize().unwrap()
}

fn data(room: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bakeoff"));
    command.current_dir(room).arg("data").args(args).env_remove("RUST_BACKTRACE");
    command.env("BAKEOFF_CACHE", room.join("cache")).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn ended(output: &Output, code: i32) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "stdout:\n{}\nstderr:\n{err}", out(output));
}

/// What a call says that must fail as wrong use.
fn refused(room: &Path, args: &[&str]) -> String {
    let output = data(room, args);
    ended(&output, 2);
    assert_eq!(out(&output), "");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_set_is_described_in_words_and_as_json() {
    let room = tempfile::tempdir().unwrap();
    let idx = samples().join("idx");
    let output = data(room.path(), &["info", idx.to_str().unwrap()]);
    ended(&output, 0);
    for line in [
        "images   3 train, 1 test, 3×5 grey",
        "classes  2, 1 to 2 training images each",
        "      1  right: 2 train, 0 test",
    ] {
        assert!(out(&output).lines().any(|found| found == line), "{line}\n{}", out(&output));
    }
    let output = data(room.path(), &["info", idx.to_str().unwrap(), "--json"]);
    ended(&output, 0);
    let value: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(value["classes"], json!(["left", "right"]));
    assert_eq!((&value["height"], &value["width"], &value["channels"]), (&json!(3), &json!(5), &json!(1)));
    assert_eq!(value["counts"], json!({"train": [1, 2], "test": [1, 0]}));
    assert_eq!(value["files"].as_array().unwrap().len(), 5);
    assert_eq!(value["notes"], json!(["the test part has no image of class right"]));
}

#[test]
fn a_contact_sheet_is_drawn() {
    let room = tempfile::tempdir().unwrap();
    ended(&data(room.path(), &["preview", "shapes"]), 0);
    let png = fs::read(room.path().join("shapes-preview.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    ended(&data(room.path(), &["preview", "shapes", "--columns", "2", "--out", "two.png"]), 0);
    assert!(fs::read(room.path().join("two.png")).unwrap().len() < png.len());
    let said = refused(room.path(), &["preview", "shapes", "--out", "none/two.png"]);
    assert!(said.contains("none/two.png"), "{said}");
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 2);
}

#[test]
fn a_set_that_is_not_there_does_not_verify() {
    let room = tempfile::tempdir().unwrap();
    let output = data(room.path(), &["verify", "mnist"]);
    ended(&output, 1);
    let expected = room.path().join("cache/datasets/mnist/train-images-idx3-ubyte.gz");
    assert!(out(&output).starts_with(&format!("{}: missing\n", expected.display())), "{}", out(&output));
    fs::create_dir_all(expected.parent().unwrap()).unwrap();
    fs::write(&expected, "wrong").unwrap();
    let output = data(room.path(), &["verify", "mnist", "--json"]);
    ended(&output, 1);
    let value: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((&value["sound"], &value["files"][0]["state"]), (&json!(false), &json!("wrong")));
    assert_eq!(value["files"][0]["found"]["bytes"], json!(5));
}

#[test]
fn wrong_use_and_bad_input_are_told() {
    let room = tempfile::tempdir().unwrap();
    assert!(refused(room.path(), &["fetch", "mnits"]).contains("mnist"));
    assert!(refused(room.path(), &["fetch"]).contains("NAMES"));
    assert!(refused(room.path(), &["fetch", "shapes"]).contains("`shapes` is not fetched from anywhere"));
    assert!(refused(room.path(), &["verify", "shapes"]).contains("no published files"));
    assert!(refused(room.path(), &["info", "mnist"]).contains("`bakeoff data fetch mnist` gets it"));
    assert!(refused(room.path(), &["info", "fashon-mnist"]).contains("did you mean `fashion-mnist`?"));
    assert!(refused(room.path(), &["info", "./nowhere"]).contains("`./nowhere` is not there"));
    assert!(refused(room.path(), &["preview", "shapes", "--columns", "0"]).contains("--columns"));
    fs::create_dir_all(room.path().join("photos/cat")).unwrap();
    fs::create_dir_all(room.path().join("photos/dog")).unwrap();
    assert!(refused(room.path(), &["info", "photos"]).contains("photos/cat: the class has no image"));
    for class in ["cat", "dog"] {
        for i in 0..2 {
            fs::write(room.path().join(format!("photos/{class}/{i}.jpg")), "text").unwrap();
        }
    }
    let said = refused(room.path(), &["info", "photos"]);
    assert!(said.contains("4 images could not be read") && said.contains("cat/0.jpg: expected a PNG"), "{said}");
}

#[test]
fn every_command_shows_an_example() {
    let room = tempfile::tempdir().unwrap();
    for args in
        [&["--help"][..], &["fetch", "--help"], &["verify", "--help"], &["info", "--help"], &["preview", "--help"]]
    {
        let output = data(room.path(), args);
        ended(&output, 0);
        assert!(out(&output).contains("Example"), "{}", out(&output));
    }
}
