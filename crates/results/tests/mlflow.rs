//! The conversation with an MLflow server, against a small one on loopback that keeps what it is told; `.ci/mlflow.py` has the real one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bakeoff_results::export::mlflow::{MlflowError, Server, records, server::Timeouts};
use bakeoff_results::{Outcome, Row, Run};
use common::{cell, done, failed, run_of};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server keeps.
#[derive(Default)]
struct Kept {
    experiments: Vec<String>,
    runs: Vec<Value>,
    /// Logged points, each once: (run, key, value as text, timestamp, step).
    points: BTreeSet<(String, String, String, i64, i64)>,
    headers: Vec<String>,
    calls: Vec<String>,
    /// Calls of this path fail with status 500.
    broken: Option<&'static str>,
}

/// A server in a thread of its own that answers as MLflow does, as far as it is asked. It ends with the test.
fn serve(kept: &Arc<Mutex<Kept>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let kept = Arc::clone(kept);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let kept = Arc::clone(&kept);
            std::thread::spawn(move || while answer(stream.as_ref().unwrap(), &kept).is_some() {});
        }
    });
    address
}

/// Answers one request; `None` when the connection ended.
fn answer(mut stream: &TcpStream, kept: &Mutex<Kept>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    if reader.read_line(&mut request).ok()? == 0 {
        return None;
    }
    let (mut length, mut headers) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        headers += &line.to_ascii_lowercase();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = request.split_whitespace().nth(1)?.to_owned();
    let (status, reply) = {
        let mut kept = kept.lock().unwrap();
        kept.headers.push(headers);
        let path = path.strip_prefix("/api/2.0/mlflow/").unwrap_or("");
        kept.calls.push(path.split('?').next().unwrap_or("").to_owned());
        respond(&mut kept, path, &serde_json::from_slice(&body).unwrap_or(Value::Null))
    };
    let reply = reply.to_string();
    write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{reply}", reply.len()).ok()
}

fn respond(kept: &mut Kept, path: &str, body: &Value) -> (u16, Value) {
    let path = path.split_once('?').map_or((path, ""), |(path, query)| (path, query));
    if kept.broken == Some(path.0) {
        return (500, json!({ "error_code": "INTERNAL_ERROR", "message": "the database is full" }));
    }
    match path {
        ("experiments/get-by-name", query) => {
            let name = query.trim_start_matches("experiment_name=");
            match kept.experiments.iter().position(|known| known == name) {
                Some(i) => (
                    200,
                    json!({ "experiment": { "experiment_id": i.to_string(), "lifecycle_stage": if name == "gone" { "deleted" } else { "active" } } }),
                ),
                None => (404, json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment" })),
            }
        }
        ("experiments/create", _) => {
            kept.experiments.push(body["name"].as_str().unwrap().to_owned());
            (200, json!({ "experiment_id": (kept.experiments.len() - 1).to_string() }))
        }
        // Two runs a page, so that pages are turned.
        ("runs/search", _) => {
            let from: usize = body["page_token"].as_str().map_or(0, |token| token.parse().unwrap());
            let page: Vec<&Value> = kept.runs.iter().skip(from).take(2).collect();
            let next = if from + 2 < kept.runs.len() { (from + 2).to_string() } else { String::new() };
            (200, json!({ "runs": page, "next_page_token": next }))
        }
        ("runs/create", _) => {
            let id = format!("r{}", kept.runs.len());
            let info = json!({ "run_id": id, "start_time": body["start_time"], "run_name": body["run_name"] });
            kept.runs.push(json!({ "info": info, "data": { "tags": body["tags"], "params": [] } }));
            (200, json!({ "run": kept.runs.last() }))
        }
        ("runs/log-batch", _) => log(kept, body),
        ("runs/update", _) => {
            let run = find(kept, body);
            run["info"]["status"] = body["status"].clone();
            run["info"]["end_time"] = body["end_time"].clone();
            (200, json!({}))
        }
        _ => (404, json!({ "error_code": "ENDPOINT_NOT_FOUND", "message": "no such endpoint" })),
    }
}

fn find<'a>(kept: &'a mut Kept, body: &Value) -> &'a mut Value {
    kept.runs.iter_mut().find(|run| run["info"]["run_id"] == body["run_id"]).unwrap()
}

fn log(kept: &mut Kept, body: &Value) -> (u16, Value) {
    let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
    if list("params").len() > 100 || list("metrics").len() > 1000 {
        return (400, json!({ "error_code": "INVALID_PARAMETER_VALUE", "message": "too many" }));
    }
    let run = find(kept, body);
    for kind in ["tags", "params"] {
        for pair in list(kind) {
            let all = run["data"][kind].as_array_mut().unwrap();
            let known = all.iter().position(|old| old["key"] == pair["key"]);
            match known {
                Some(i) if kind == "params" && all[i]["value"] != pair["value"] => {
                    return (
                        400,
                        json!({ "error_code": "INVALID_PARAMETER_VALUE", "message": "parameters do not change" }),
                    );
                }
                Some(i) => all[i] = pair,
                None => all.push(pair),
            }
        }
    }
    for point in list("metrics") {
        let text = |name: &str| point[name].as_str().unwrap().to_owned();
        let whole = |name: &str| point[name].as_i64().unwrap();
        let id = body["run_id"].as_str().unwrap().to_owned();
        kept.points.insert((id, text("key"), point["value"].to_string(), whole("timestamp"), whole("step")));
    }
    (200, json!({}))
}

fn server(url: &str) -> Server {
    let timeouts = Timeouts { connect: Duration::from_secs(2), request: Duration::from_secs(5) };
    Server::at(url, Some("secret".to_owned()), timeouts).unwrap()
}

fn sample() -> (Run, Vec<Row>) {
    let mut run = run_of(&["a", "b"], &[0, 1, 1, 0], 2);
    run.as_meant = json!({ "pipelines": [
        { "name": "a", "classifier": { "kind": "svm", "settings": { "l2": 0.5, "hidden": [3, 4] } }, "branches": [{ "scale": null }] },
    ] })
    .to_string();
    let small = Row { cell: cell("a", 1, Some(50)), ..done("a", 1, &[0, 1, 0, 0]) };
    (run, vec![done("a", 0, &[0, 1, 1, 1]), small, done("a", 2, &[0, 1, 1, 0]), failed("b", 0, "out of time")])
}

#[test]
fn a_run_is_told_once_and_found_again() {
    let kept = Arc::new(Mutex::new(Kept::default()));
    let url = serve(&kept);
    let (run, rows) = sample();
    let first = server(&url).export("quick", &run, &rows, 1_000).unwrap();
    assert_eq!((first.experiment_id.as_str(), first.created, first.updated, first.unchanged), ("0", 4, 0, 0));
    let (runs, points) = {
        let kept = kept.lock().unwrap();
        assert!(kept.headers.iter().all(|headers| headers.contains("authorization: bearer secret")));
        (kept.runs.clone(), kept.points.clone())
    };
    // Later, with another clock: everything is found, on the second page too, and nothing is told again.
    let second = server(&format!("{url}/")).export("quick", &run, &rows, 9_000).unwrap();
    assert_eq!((second.created, second.updated, second.unchanged), (0, 0, 4));
    let kept = kept.lock().unwrap();
    assert_eq!((&kept.runs, &kept.points, kept.experiments.len()), (&runs, &points, 1));
    let value = |key: &str, step: i64| {
        let all: Vec<f64> =
            points.iter().filter(|p| p.0 == "r1" && p.1 == key && p.4 == step).map(|p| p.2.parse().unwrap()).collect();
        assert_eq!(all.len(), 1, "{key}");
        all[0]
    };
    // Rows come in the order of the plan: the smaller training size first.
    assert_eq!(
        (runs[0]["info"]["run_name"].as_str(), runs[3]["info"]["status"].as_str()),
        (Some("a, seed 1, 50 images"), Some("FAILED"))
    );
    assert_eq!((value("accuracy", 0), value("right", 0), value("seconds_fit", 0)), (0.75, 3.0, 1.5));
    assert_eq!((value("train_loss", 1), value("validation_accuracy", 1)), (0.1 + 0.2, 0.9));
    assert!(value("accuracy_lo", 0) < 0.75 && value("accuracy_hi", 0) > 0.75);
    let params = runs[1]["data"]["params"].as_array().unwrap();
    let param = |key: &str| params.iter().find(|p| p["key"] == key).map(|p| p["value"].as_str().unwrap().to_owned());
    assert_eq!(param("settings.classifier.settings.l2").as_deref(), Some("0.5"));
    assert_eq!(param("settings.classifier.settings.hidden").as_deref(), Some("[3,4]"));
    assert_eq!((param("tuned.classifier.l2").as_deref(), param("settings.branches.0.scale")), (Some("0.001"), None));
    assert_eq!(runs[1]["info"]["end_time"], 7_000);
}

#[test]
fn an_export_that_was_cut_off_is_made_whole() {
    let kept = Arc::new(Mutex::new(Kept { broken: Some("runs/update"), ..Kept::default() }));
    let url = serve(&kept);
    let (run, rows) = sample();
    let told = server(&url).export("quick", &run, &rows, 1_000).unwrap_err().to_string();
    assert!(told.ends_with("runs/update answered 500: the database is full"), "{told}");
    kept.lock().unwrap().broken = None;
    let again = server(&url).export("quick", &run, &rows, 2_000).unwrap();
    assert_eq!((again.created, again.updated, again.unchanged), (3, 1, 0));
    let kept = kept.lock().unwrap();
    // The run that was there keeps its time, so that what was told twice is one point.
    assert!(kept.points.iter().all(|point| point.3 == if point.0 == "r0" { 1_000 } else { 2_000 }));
    assert_eq!(kept.points.iter().filter(|point| point.0 == "r0" && point.1 == "accuracy").count(), 1);
}

#[test]
fn servers_that_do_not_help_are_told_with_their_address() {
    let (run, rows) = sample();
    for url in ["localhost:5000", "ftp://host", "http://", "http:///x"] {
        assert!(matches!(Server::at(url, None, Timeouts::default()), Err(MlflowError::Address { .. })), "{url}");
    }
    // A port that nobody listens on.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let told = server(&format!("http://{closed}")).export("q", &run, &rows, 0).unwrap_err();
    assert!(matches!(&told, MlflowError::Silent { url, .. } if url.contains(&closed.to_string())), "{told}");
    // Somebody who listens and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let quick = Timeouts { connect: Duration::from_secs(1), request: Duration::from_millis(300) };
    let mute = Server::at(&format!("http://{}", silent.local_addr().unwrap()), None, quick).unwrap();
    assert!(matches!(mute.export("q", &run, &rows, 0), Err(MlflowError::Silent { .. })));
    // Another kind of server.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", other.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in other.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>");
        }
    });
    let told = server(&address).export("q", &run, &rows, 0).unwrap_err().to_string();
    assert!(told.ends_with("does not answer like an MLflow server: expected a JSON object, found <html>"), "{told}");
    let kept = Arc::new(Mutex::new(Kept { experiments: vec!["gone".to_owned()], ..Kept::default() }));
    let told = server(&serve(&kept)).export("gone", &run, &rows, 0).unwrap_err();
    assert!(matches!(told, MlflowError::Deleted { .. }), "{told}");
}

#[test]
fn many_values_and_long_texts_fit_into_what_servers_take() {
    let (mut run, _) = sample();
    let settings: serde_json::Map<String, Value> =
        (0..250).map(|i| (format!("key{i} ü"), json!("x".repeat(700)))).collect();
    run.as_meant = json!({ "pipelines": [{ "name": "a", "settings": settings }] }).to_string();
    let mut row = done("a", 0, &[0, 1, 1, 1]);
    if let Outcome::Done(measured) = &mut row.outcome {
        measured.curve =
            (1..=2000).map(|epoch| bakeoff_results::EpochLoss { epoch, loss: 1.0 / epoch as f64 }).collect();
        measured.curve[7].loss = f64::NAN;
    }
    let record = records(&run, std::slice::from_ref(&row)).remove(0);
    assert!(record.params.iter().all(|(key, value)| key.is_ascii() && value.chars().count() <= 500));
    assert_eq!(record.metrics.iter().filter(|m| m.key == "train_loss").count(), 1999);
    let kept = Arc::new(Mutex::new(Kept::default()));
    let url = serve(&kept);
    assert_eq!(server(&url).export("quick", &run, &[row], 5).unwrap().created, 1);
    let kept = kept.lock().unwrap();
    assert!(kept.runs[0]["data"]["params"].as_array().unwrap().len() > 250);
    assert_eq!(kept.points.iter().filter(|point| point.1 == "train_loss").count(), 1999);
}
