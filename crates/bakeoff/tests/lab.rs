//! `bakeoff lab` from end to end, with its quickest pages.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn call(room: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bakeoff"));
    command
        .current_dir(room)
        .arg("lab")
        .args(args)
        .env_remove("RUST_BACKTRACE")
        .env("BAKEOFF_CACHE", room.join("cache"));
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn pages_are_listed_made_and_written_with_their_numbers() {
    let room = tempfile::tempdir().unwrap();
    let listed = call(room.path(), &[]);
    assert_eq!(listed.status.code(), Some(0));
    assert!(text(&listed.stdout).contains("gradients") && text(&listed.stdout).contains("C10"));
    let json: Value = serde_json::from_slice(&call(room.path(), &["--json"]).stdout).unwrap();
    assert!(json["lab"].as_array().unwrap().len() >= 12);

    let made = call(room.path(), &["gradients", "--out", "site", "--json", "--seed", "3"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let numbers: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!((&numbers["page"], &numbers["holds"]), (&Value::from("gradients"), &Value::from(true)));
    let file: Value = serde_json::from_slice(&fs::read(room.path().join("site/gradients.json")).unwrap()).unwrap();
    assert_eq!(file, numbers);
    let page = fs::read_to_string(room.path().join("site/gradients.html")).unwrap();
    assert!(page.contains("Gradients, checked") && page.contains("<svg"));
    // Made again it is the same, to the byte.
    call(room.path(), &["gradients", "--out", "again", "--seed", "3"]);
    assert_eq!(fs::read_to_string(room.path().join("again/gradients.html")).unwrap(), page);
}

#[test]
fn wrong_pages_and_curves_are_told() {
    let room = tempfile::tempdir().unwrap();
    for (args, expected) in [
        (&["gradient"][..], "did you mean \"gradients\"?"),
        (&["nothing-like-it"], "expected one of feature-transform"),
        (&["universal-approximation", "--curve", "1/x"], "its value at 0 is inf"),
        (&["universal-approximation", "--curve", "sin(y)"], "neither x nor pi"),
        (&["gradients", "--seed=-1"], "--seed"),
    ] {
        let output = call(room.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(expected), "{args:?}: {}", text(&output.stderr));
        assert!(!room.path().join("lab").exists(), "{args:?} wrote something");
    }
}
