//! The program from end to end, on embedded data and small folders, in temporary folders.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bakeoff_results::{Outcome, Row, Store};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

fn room() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A call in a folder, with nothing of the caller's environment that could change it.
fn bakeoff(room: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bakeoff"));
    command.current_dir(room).args(args).env_remove("RUST_BACKTRACE").env("BAKEOFF_CACHE", room.join("cache"));
    command
}

fn call(room: &Path, args: &[&str]) -> Output {
    bakeoff(room, args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Asserts the exit code, showing what was said otherwise.
fn ended(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "stdout:\n{}\nstderr:\n{}", out(output), err(output));
}

/// A call that must fail as wrong use; what it says.
fn refused(room: &Path, args: &[&str]) -> String {
    let output = call(room, args);
    ended(&output, 2);
    let said = err(&output);
    assert!(said.starts_with("bakeoff: "), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// The object in the last line of standard output.
fn json(output: &Output) -> Value {
    serde_json::from_str(out(output).lines().last().unwrap()).unwrap()
}

fn rows(run: &Path) -> Vec<Row> {
    Store::open(&run.join("results.sqlite")).unwrap().rows().unwrap()
}

/// Predictions without times: what must be the same on every machine.
fn timeless(run: &Path) -> Vec<(String, u64, Result<Vec<usize>, String>)> {
    let plain = |row: Row| {
        let outcome = match row.outcome {
            Outcome::Done(measured) => Ok(measured.predicted),
            Outcome::Refused { reason } => Err(reason),
            Outcome::Failed { error } => Err(error),
        };
        (row.cell.pipeline, row.cell.seed, outcome)
    };
    rows(run).into_iter().map(plain).collect()
}

/// Small enough for a second, of all kinds.
const SMALL: &[&str] = &["run", "quick", "--train-size", "60", "--seeds", "1", "--threads", "2"];

fn small<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SMALL.iter().chain(more).copied().collect()
}

/// An experiment of one pipeline on `shapes`.
fn experiment(classifier: &str) -> String {
    format!(
        "dataset = \"shapes\"\nseeds = 1\n[[pipeline]]\nname = \"a\"\nfeatures = [{{ kind = \"pixels\" }}]\n\
         classifier = {classifier}\n"
    )
}

#[test]
fn a_first_run_tells_its_figures_and_writes_its_report() {
    let room = room();
    let output = call(room.path(), &small(&[]));
    ended(&output, 0);
    let said = out(&output);
    for pipeline in ["pixels-softmax", "pixels-knn", "color-histogram-svm", "hog-svm", "hog-color-svm", "mlp-2"] {
        assert!(said.contains(pipeline), "{said}");
    }
    assert!(said.contains("has the highest accuracy on shapes") && said.contains("95% interval"), "{said}");
    let run = room.path().join("runs/quick");
    let report = said.lines().find_map(|line| line.strip_prefix("Report: ")).unwrap();
    assert!(report.starts_with("runs/quick/report/") && room.path().join(report).is_file(), "{report}");
    for file in ["experiment.toml", "host.json", "results.sqlite"] {
        assert!(run.join(file).is_file(), "{file}");
    }
    let host: Value = serde_json::from_str(&fs::read_to_string(run.join("host.json")).unwrap()).unwrap();
    assert_eq!(host["threads"], 2);
    // Nobody watches: no color and no bar.
    assert!(!said.contains('\u{1b}') && !err(&output).contains('\u{1b}'));
    assert!(err(&output).contains("[6/6] mlp-2, seed 0, 60 training images: "), "{}", err(&output));
}

/// Every key of PRODUCT section 1, with the kind of its value.
#[test]
fn json_has_the_documented_shape() {
    let room = room();
    let output = call(room.path(), &small(&["--json", "--pipeline", "pixels-softmax", "--pipeline", "mlp-2"]));
    ended(&output, 0);
    assert_eq!(out(&output).lines().count(), 1);
    assert!(err(&output).contains("has the highest accuracy"));
    let object = json(&output);
    assert_eq!((&object["run"], &object["dataset"]), (&Value::from("runs/quick"), &Value::from("shapes")));
    let pipelines = object["pipelines"].as_array().unwrap();
    assert_eq!(pipelines.iter().map(|p| p["name"].as_str().unwrap()).collect::<Vec<_>>(), ["pixels-softmax", "mlp-2"]);
    for pipeline in pipelines {
        assert_eq!((pipeline["outcome"].as_str(), &pipeline["reason"]), (Some("done"), &Value::Null));
        for key in ["n_train", "n_test", "seeds", "threads", "model_bytes"] {
            assert!(pipeline[key].is_u64(), "{key}: {pipeline}");
        }
        assert_eq!((pipeline["n_train"].as_u64(), pipeline["n_test"].as_u64()), (Some(60), Some(1000)));
        let accuracy = pipeline["accuracy"].as_f64().unwrap();
        let interval: Vec<f64> = pipeline["interval"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert!(interval.len() == 2 && interval[0] <= accuracy && accuracy <= interval[1] && interval[1] <= 1.0);
        for key in ["features", "fit", "tune", "predict", "total"] {
            assert!(pipeline["seconds"][key].as_f64().is_some_and(|s| s >= 0.0), "{key}: {pipeline}");
        }
        assert!(pipeline["peak_rss_mb"].as_f64().is_some_and(|mb| mb > 1.0), "{pipeline}");
    }
    let comparisons = object["comparisons"].as_array().unwrap();
    assert_eq!(comparisons.len(), 1);
    for key in ["a", "b", "verdict"] {
        assert!(comparisons[0][key].is_string(), "{key}: {comparisons:?}");
    }
    assert!(comparisons[0]["difference"].is_f64() && comparisons[0]["p_adjusted"].is_number(), "{comparisons:?}");
    assert_eq!(comparisons[0]["interval"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_finished_run_does_no_work_twice() {
    let room = room();
    let first = call(room.path(), &small(&["--json"]));
    ended(&first, 0);
    let again = call(room.path(), &small(&["--json"]));
    ended(&again, 0);
    assert!(err(&again).contains("6 of 6 cells are there already"), "{}", err(&again));
    assert!(!err(&again).contains("[1/6]"), "{}", err(&again));
    // The very same seconds: nothing was measured again.
    assert_eq!(json(&first), json(&again));
}

#[test]
fn changed_experiments_get_a_folder_of_their_own() {
    let room = room();
    let one = &["--pipeline", "pixels-knn", "--json"];
    let run = |more: &[&str]| {
        let output = call(room.path(), &small(&[one, more].concat()));
        ended(&output, 0);
        json(&output)["run"].as_str().unwrap().to_owned()
    };
    assert_eq!(run(&[]), "runs/quick");
    assert_eq!(run(&["--pipeline", "hog-svm"]), "runs/quick-2");
    assert_eq!(run(&[]), "runs/quick");
    assert_eq!(run(&["--fresh"]), "runs/quick-3");
    assert_eq!(run(&[]), "runs/quick-3");
    assert_eq!(run(&["--out", "elsewhere/x"]), "elsewhere/x");
    fs::create_dir_all(room.path().join("mine/photos")).unwrap();
    let foreign = refused(room.path(), &small(&[one, &["--out", "mine"][..]].concat()));
    assert!(foreign.contains("mine is there and is not a run of bakeoff"), "{foreign}");
    assert_eq!(fs::read_dir(room.path().join("mine")).unwrap().count(), 1);
}

#[test]
fn a_report_is_rendered_again_from_the_store_alone() {
    let room = room();
    ended(&call(room.path(), &small(&["--pipeline", "pixels-knn"])), 0);
    let run = room.path().join("runs/quick");
    let read = || -> Vec<(String, String)> {
        let entries = fs::read_dir(run.join("report")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries
            .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = read();
    assert!(before.len() >= 4, "{before:?}");
    fs::remove_dir_all(run.join("report")).unwrap();
    fs::remove_file(run.join("experiment.toml")).unwrap();
    let output = call(room.path(), &["report", "runs/quick"]);
    ended(&output, 0);
    assert_eq!(read(), before);
    fs::remove_dir_all(run.join("report")).unwrap();
    ended(&call(room.path(), &["report", "quick", "--format", "md,csv"]), 0);
    assert_eq!(read().len(), 2);
    assert!(refused(room.path(), &["report", "nowhere"]).contains("nowhere"));
    let wrong = call(room.path(), &["report", "runs/quick", "--format", "pdf"]);
    ended(&wrong, 2);
    assert!(err(&wrong).contains("html"), "{}", err(&wrong));
}

#[test]
fn all_problems_of_a_file_are_told_with_line_and_column() {
    let room = room();
    let text = experiment("{ kind = \"mlp\", learning_rate = nan, hiden = [4] }").replace("seeds", "seds");
    fs::write(room.path().join("bad.toml"), text).unwrap();
    let said = refused(room.path(), &["run", "bad.toml"]);
    assert!(said.contains("bad.toml: 3 problems"), "{said}");
    assert!(said.contains("line 2, column 1: seds: unknown key \"seds\"; did you mean \"seeds\"?"), "{said}");
    assert!(
        said.contains(
            "line 6, column 46: pipeline.0.classifier.learning_rate: expected a finite number above 0, found NaN"
        ),
        "{said}"
    );
    assert!(
        said.contains(
            "line 6, column 51: pipeline.0.classifier.hiden: unknown key \"hiden\"; did you mean \"hidden\"?"
        ),
        "{said}"
    );
    assert!(!room.path().join("runs").exists());
    for rate in ["inf", "-inf", "-1.0", "0.0", "\"fast\"", "1e999"] {
        let text = experiment(&format!("{{ kind = \"mlp\", learning_rate = {rate} }}"));
        fs::write(room.path().join("rate.toml"), text).unwrap();
        assert!(refused(room.path(), &["run", "rate.toml"]).contains("line 6, column "), "{rate}");
    }
}

#[test]
fn what_is_not_there_is_told_with_what_to_do() {
    let room = room();
    let said = |args: &[&str]| refused(room.path(), args);
    assert!(said(&["run", "qick"]).contains("did you mean \"quick\"?"));
    assert!(said(&["run", "no/where"]).contains("there is no file or folder \"no/where\""));
    assert!(said(&["run", "nowhere.toml"]).contains("nowhere.toml"));
    assert!(said(&["run", "quick", "--dataset", "shaps"]).contains("did you mean `shapes`?"));
    assert!(said(&["run", "quick", "--dataset", "./nowhere"]).contains("./nowhere"));
    assert!(said(&["run", "cifar-10"]).contains("bakeoff data fetch cifar-10"));
    assert!(said(&["run", "quick", "--pipeline", "hog-swm"]).contains("did you mean \"hog-svm\"?"));
    assert!(said(&["run", "quick", "--seeds", "0"]).contains("--seeds: expected a whole number from 1"));
    assert!(said(&["run", "quick", "--train-size", "0"]).contains("--train-size: expected a whole number from 1"));
    fs::write(room.path().join("latin.toml"), b"question = \"\xff\"").unwrap();
    assert!(said(&["run", "latin.toml"]).contains("UTF-8"));
    fs::write(room.path().join("huge.toml"), vec![b'#'; 2 << 20]).unwrap();
    assert!(said(&["run", "huge.toml"]).contains("at most 1048576 bytes, found 2097152"));
    fs::create_dir(room.path().join("dir.toml")).unwrap();
    assert!(said(&["run", "dir.toml"]).contains("dir.toml"));
    assert!(!room.path().join("runs").exists());
}

#[test]
fn wrong_use_ends_with_2_and_help_with_0() {
    let room = room();
    for args in [&["fly"][..], &[], &["run", "--seeds", "many"], &["run", "--shard", "3/2"], &["run", "--threads", "0"]]
    {
        ended(&call(room.path(), args), 2);
    }
    for seconds in ["-1", "soon", "inf", "NaN"] {
        let output = call(room.path(), &["run", &format!("--checkpoint={seconds}")]);
        ended(&output, 2);
        assert!(err(&output).contains("expected seconds, 0 or more"), "{}", err(&output));
    }
    for args in [&["--help"][..], &["run", "--help"], &["report", "--help"], &["list", "--help"], &["--version"]] {
        ended(&call(room.path(), args), 0);
    }
    assert!(out(&call(room.path(), &["run", "--help"])).contains("Examples:"));
}

#[test]
fn the_catalogues_are_listed() {
    let room = room();
    let all = call(room.path(), &["list", "--json"]);
    ended(&all, 0);
    let all = json(&all);
    assert_eq!(
        all.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["datasets", "features", "classifiers", "experiments", "lab"]
    );
    let named =
        |section: &str, name: &str| all[section].as_array().unwrap().iter().find(|e| e["name"] == name).cloned();
    assert_eq!(named("features", "hog").unwrap()["settings"]["orientations"], 9);
    assert_eq!(named("classifiers", "knn").unwrap()["settings"]["k"], 5);
    assert!(named("datasets", "shapes").is_some() && named("experiments", "folder").is_some());
    let features = call(room.path(), &["list", "features"]);
    assert!(out(&features).contains("hog") && !out(&features).contains("knn"), "{}", out(&features));
    ended(&call(room.path(), &["list", "nonsense"]), 2);
}

#[test]
fn when_no_pipeline_has_a_result_the_answer_is_no() {
    let room = room();
    // One image is of one class, which nobody can learn from.
    let args =
        ["run", "quick", "--train-size", "1", "--seeds", "1", "--json", "--pipeline", "hog-svm", "--pipeline", "mlp-2"];
    let output = call(room.path(), &args);
    ended(&output, 1);
    for pipeline in json(&output)["pipelines"].as_array().unwrap() {
        assert_eq!(pipeline["outcome"], "refused");
        assert!(pipeline["reason"].as_str().unwrap().contains("at least two classes"), "{pipeline}");
    }
    assert!(err(&output).contains("hog-svm: refused: training needs rows of at least two classes"), "{}", err(&output));
}

/// A 24-bit bitmap of one color with a gradient over it.
fn bitmap(side: usize, color: [u8; 3], shift: usize) -> Vec<u8> {
    let row = (side * 3).div_ceil(4) * 4;
    let size = 54 + row * side;
    let mut bytes = b"BM".to_vec();
    let header = [size, 0, 54, 40, side, side, 1 | (24 << 16), 0, row * side, 2835, 2835, 0, 0];
    header.iter().for_each(|&number: &usize| bytes.extend_from_slice(&(number as u32).to_le_bytes()));
    for y in 0..side {
        let mut line: Vec<u8> =
            (0..side).flat_map(|x| color.map(|c| c.wrapping_add(((x * 3 + y + shift) % 40) as u8))).collect();
        line.resize(row, 0);
        bytes.extend(line);
    }
    bytes
}

fn photos(folder: &Path) {
    for (class, color) in [("red", [10, 10, 180]), ("green", [10, 180, 10]), ("blue", [180, 10, 10])] {
        fs::create_dir_all(folder.join(class)).unwrap();
        for i in 0..12 {
            fs::write(folder.join(class).join(format!("{i}.bmp")), bitmap(20 + i % 3, color, i * 5)).unwrap();
        }
    }
}

#[test]
fn a_folder_of_images_needs_no_configuration() {
    let room = room();
    photos(&room.path().join("my photos"));
    let output = call(room.path(), &["run", "./my photos", "--seeds", "1", "--json"]);
    ended(&output, 0);
    let object = json(&output);
    assert_eq!((&object["run"], &object["dataset"]), (&Value::from("runs/my-photos"), &Value::from("my photos")));
    let colors = object["pipelines"].as_array().unwrap().iter().find(|p| p["name"] == "color-histogram-svm").unwrap();
    assert_eq!(colors["accuracy"], 1.0, "{object}");
    // The same images by another path continue the same run.
    let again = call(room.path(), &["run", "my photos/", "--seeds", "1", "--json"]);
    assert_eq!(json(&again)["run"], "runs/my-photos");
    assert!(err(&again).contains("cells are there already"), "{}", err(&again));
    // An image more is other data.
    fs::write(room.path().join("my photos/red/more.bmp"), bitmap(20, [0, 0, 90], 1)).unwrap();
    let changed = call(room.path(), &["run", "my photos", "--seeds", "1", "--json"]);
    assert_eq!(json(&changed)["run"], "runs/my-photos-2");
}

#[test]
fn an_experiment_finds_its_folder_from_where_it_lies() {
    let room = room();
    photos(&room.path().join("lab/photos"));
    let text = experiment("{ kind = \"knn\" }").replace("\"shapes\"", "{ folder = \"photos\", size = [16, 16] }");
    fs::write(room.path().join("lab/colors.toml"), text).unwrap();
    let output = call(room.path(), &["run", "lab/colors.toml", "--json"]);
    ended(&output, 0);
    assert_eq!(json(&output)["run"], "runs/colors");
    fs::write(room.path().join("lab/photos/red/0.bmp"), b"BM no image").unwrap();
    let said = refused(room.path(), &["run", "lab/colors.toml"]);
    assert!(said.contains("red/0.bmp"), "{said}");
}

/// One pipeline that is done at once, and one that is never done.
fn endless() -> String {
    let quick = experiment("{ kind = \"knn\" }").replace("dataset", "train_sizes = [50]\ndataset");
    let endless = "[[pipeline]]\nname = \"b\"\nfeatures = [{ kind = \"pixels\" }]\n\
                   classifier = { kind = \"mlp\", hidden = [8], epochs = 100000000 }\n";
    quick + endless
}

/// Starts the endless experiment and waits until its first cell is finished.
fn started(room: &Path) -> Child {
    fs::write(room.join("endless.toml"), endless()).unwrap();
    let mut child = bakeoff(room, &["run", "endless.toml", "--threads", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("1/2]")), "it ended by itself");
    child
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn an_interrupted_run_keeps_its_cells_and_ends_with_130() {
    let room = room();
    let mut child = started(room.path());
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let kept = rows(&room.path().join("runs/endless"));
    assert_eq!(kept.iter().map(|row| row.cell.pipeline.as_str()).collect::<Vec<_>>(), ["a"]);
    assert!(room.path().join("runs/endless/report").is_dir());
}

#[test]
fn a_killed_run_continues_with_what_it_had() {
    let room = room();
    let mut child = started(room.path());
    signal(&child, "-KILL");
    assert_eq!(child.wait().unwrap().code(), None);
    assert_eq!(rows(&room.path().join("runs/endless")).len(), 1);
    // The second cell never ends, so the continued run is interrupted in turn.
    let mut child = bakeoff(room.path(), &["run", "endless.toml", "--threads", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("1 of 2 cells are there already")));
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// A network whose training takes a while, with everything that a state has to hold.
fn long_training() -> String {
    let network = "{ kind = \"mlp\", hidden = [64], optimiser = \"adam\", learning_rate = 1e-3, average = 0.9, batch_norm = true, \
                   dropout = 0.1, early_stopping = true, patience = 1000, batch = 50, epochs = 200 }";
    experiment(network).replace("dataset", "train_sizes = [400]\ndataset")
}

/// Starts the long training and ends it by this signal when it has left a state.
fn broken_off(room: &Path, signal_name: &str, threads: &str) {
    let mut child = bakeoff(room, &["run", "long.toml", "--threads", threads, "--checkpoint", "0.01"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let states = room.join("runs/long/states");
    let has_state = || {
        let names = fs::read_dir(&states).into_iter().flatten().flatten().map(|entry| entry.path());
        names.into_iter().any(|path| path.extension().is_some_and(|ending| ending == "state"))
    };
    while !has_state() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended without having left a state");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    signal(&child, signal_name);
    child.wait().unwrap();
    assert_eq!(rows(&room.join("runs/long")).len(), 0, "it was finished before it was broken off");
}

#[test]
fn a_training_that_was_broken_off_ends_with_the_same_bits() {
    let room = room();
    fs::write(room.path().join("long.toml"), long_training()).unwrap();
    for (run, threads) in [("one", "1"), ("two", "2")] {
        let output = call(room.path(), &["run", "long.toml", "--threads", threads, "--out", run, "--checkpoint", "0"]);
        ended(&output, 0);
        assert!(!room.path().join(run).join("states").exists());
    }
    broken_off(room.path(), "-KILL", "1");
    broken_off(room.path(), "-INT", "2");
    ended(&call(room.path(), &["run", "long.toml", "--threads", "2"]), 0);
    assert!(!room.path().join("runs/long/states").exists(), "states outlive their cell");

    let measured = |run: &str| match rows(&room.path().join(run)).remove(0).outcome {
        Outcome::Done(measured) => measured,
        other => panic!("{other:?}"),
    };
    let (one, two, broken) = (measured("one"), measured("two"), measured("runs/long"));
    for other in [&two, &broken] {
        assert_eq!((&one.predicted, &one.scores, &one.curve), (&other.predicted, &other.scores, &other.curve));
        assert_eq!((one.epochs, one.converged, one.model_bytes), (other.epochs, other.converged, other.model_bytes));
    }
    assert_eq!(one.curve.len(), 200);
    let weights = |run: &str| {
        let bytes = fs::read(room.path().join(run).join("models/a.safetensors")).unwrap();
        // Behind the header, which has the card with the time of day.
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert!(weights("one") == weights("two") && weights("one") == weights("runs/long"), "the stored weights differ");
    // The row tells that it was broken off, and has the seconds of all its parts.
    assert!(one.notes.is_empty() && two.notes.is_empty(), "{:?} {:?}", one.notes, two.notes);
    assert!(broken.notes[0].starts_with("its training was broken off and went on from the state after epoch "));
    assert!(broken.total.0 >= broken.fit[0].0 && broken.fit[0].0 > 0.0);
}

#[test]
fn a_damaged_state_costs_the_training_and_not_the_run() {
    let room = room();
    fs::write(room.path().join("long.toml"), long_training()).unwrap();
    broken_off(room.path(), "-KILL", "1");
    for entry in fs::read_dir(room.path().join("runs/long/states")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    ended(&call(room.path(), &["run", "long.toml", "--threads", "1"]), 0);
    ended(&call(room.path(), &["run", "long.toml", "--threads", "1", "--out", "whole"]), 0);
    assert_eq!(timeless(&room.path().join("runs/long")), timeless(&room.path().join("whole")));
    match &rows(&room.path().join("runs/long"))[0].outcome {
        Outcome::Done(measured) => assert!(measured.notes.is_empty(), "{:?}", measured.notes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn shards_do_the_work_of_the_whole_between_them() {
    let room = room();
    let mut cells = Vec::new();
    for shard in ["1/2", "2/2"] {
        let output = call(room.path(), &small(&["--shard", shard, "--json"]));
        ended(&output, 0);
        let run = json(&output)["run"].as_str().unwrap().to_owned();
        assert_eq!(run, format!("runs/quick-shard-{}", shard.replace('/', "-of-")));
        cells.extend(rows(&room.path().join(run)).into_iter().map(|row| row.cell.digest));
    }
    ended(&call(room.path(), &small(&[])), 0);
    let mut whole: Vec<_> = rows(&room.path().join("runs/quick")).into_iter().map(|row| row.cell.digest).collect();
    cells.sort();
    whole.sort();
    assert_eq!(cells, whole);
}

/// Every classifier of the catalogue with its defaults on every feature but pixels (which are many), one of them after a
/// search, and pixels with the one that is fast on many columns.
fn everything(room: &Path) -> String {
    let listed = json(&call(room, &["list", "--json"]));
    let names = |section: &str| -> Vec<String> {
        listed[section].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    };
    let features = names("features").into_iter().filter(|name| name != "pixels");
    let features: Vec<String> = features.map(|name| format!("{{ kind = \"{name}\" }}")).collect();
    let pipeline = |name: &str, features: &str, kind: &str| {
        format!("[[pipeline]]\nname = \"{name}\"\nfeatures = [{features}]\nclassifier = {{ kind = \"{kind}\" }}\n")
    };
    let mut text =
        "dataset = \"shapes\"\nseeds = 1\ntrain_sizes = [80]\nprotocol.tuning.trials = 2\nprotocol.timing.rounds = 1\n"
            .to_owned();
    for kind in names("classifiers") {
        text.push_str(&pipeline(&kind, &features.join(", "), &kind));
    }
    text.push_str("search = { scale = { choice = [\"none\", \"global\", \"center\"] } }\n");
    text + &pipeline("pixels", "{ kind = \"pixels\" }", "knn")
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let room = room();
    fs::write(room.path().join("all.toml"), everything(room.path())).unwrap();
    for threads in ["1", "3"] {
        let output = call(room.path(), &["run", "all.toml", "--threads", threads, "--out", &format!("t{threads}")]);
        ended(&output, 0);
    }
    let one = timeless(&room.path().join("t1"));
    assert!(one.len() >= 5 && one.iter().all(|(_, _, outcome)| outcome.is_ok()), "{one:?}");
    assert_eq!(one, timeless(&room.path().join("t3")));
    let curves = |run: &str| -> Vec<_> {
        let done = rows(&room.path().join(run)).into_iter().filter_map(|row| match row.outcome {
            Outcome::Done(measured) => Some((measured.curve, measured.epochs, measured.trials.len())),
            _ => None,
        });
        done.collect()
    };
    assert_eq!(curves("t1"), curves("t3"));
}
