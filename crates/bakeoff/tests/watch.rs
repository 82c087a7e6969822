//! `bakeoff run --watch` from end to end, over sockets of this machine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn run(room: &Path, more: &[&str]) -> Child {
    let args = ["run", "quick", "--train-size", "600", "--seeds", "3", "--threads", "2", "--watch", "0"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_bakeoff"));
    command
        .current_dir(room)
        .args(args)
        .args(more)
        .env_remove("RUST_BACKTRACE")
        .env("BAKEOFF_CACHE", room.join("cache"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The port that a run tells of, and the rest of what it says.
fn port(child: &mut Child) -> (u16, impl Read + use<>) {
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it ended before it told where to watch it");
        if let Some(address) = line.trim().strip_prefix("Watch it at http://127.0.0.1:") {
            return (address.trim_end_matches('/').parse().unwrap(), lines);
        }
    }
}

/// The status and the body of an answer.
fn ask(port: u16, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

fn get(port: u16, path: &str) -> (u16, String) {
    ask(port, &format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"))
}

#[test]
fn a_run_shows_how_far_it_is_and_what_is_finished() {
    let room = tempfile::tempdir().unwrap();
    let mut child = run(room.path(), &[]);
    let (port, mut rest) = port(&mut child);

    let (status, page) = get(port, "/");
    assert_eq!(status, 200);
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("id=\"live-bar\""), "{page}");
    let (status, progress) = get(port, "/progress.json");
    let progress: Value = serde_json::from_str(&progress).unwrap();
    assert_eq!((status, progress["cells"].as_u64(), &progress["ended"]), (200, Some(18), &Value::from(false)));
    assert!(progress["words"].as_str().unwrap().contains("of 18 cells are finished"), "{progress}");

    // Only to be read, and only from this machine's own pages.
    let refused = |request: &str| ask(port, request).0;
    assert_eq!(refused(&format!("POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\n\r\n")), 405);
    assert_eq!(refused("GET / HTTP/1.1\r\nHost: attacker.example\r\n\r\n"), 403);
    assert_eq!(
        refused(&format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://attacker.example\r\n\r\n")),
        403
    );
    assert_eq!(get(port, "/results.sqlite").0, 404);

    // It grows until it is whole: asking now and then keeps the page open over the end.
    let mut seen = Vec::new();
    let last = loop {
        let (_, progress) = get(port, "/progress.json");
        let progress: Value = serde_json::from_str(&progress).unwrap();
        seen.push((progress["rows"].as_u64().unwrap(), progress["position"].as_f64().unwrap()));
        if progress["ended"] == true {
            break progress;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(seen.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1), "{seen:?}");
    assert_eq!((last["rows"].as_u64(), last["done"].as_u64()), (Some(18), Some(18)));
    let (_, page) = get(port, "/");
    assert!(
        page.contains("data-ended") && page.contains("has the highest accuracy on shapes"),
        "the last page is whole"
    );
    assert!(page.contains("Learned templates of pixels-softmax"), "and has its pictures");

    let mut said = String::new();
    rest.read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    // Nobody is left to answer.
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_is_computed() {
    let room = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bakeoff"));
    command.current_dir(room.path()).args(["run", "quick", "--train-size", "60", "--seeds", "1", "--watch", &port]);
    let output = command.env_remove("RUST_BACKTRACE").env("BAKEOFF_CACHE", room.path().join("cache")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("cannot be watched on port {port}")) && !said.contains("[1/"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_page_ends_with_a_run_that_is_killed() {
    let room = tempfile::tempdir().unwrap();
    let mut child = run(room.path(), &[]);
    let (port, _rest) = port(&mut child);
    assert_eq!(get(port, "/").0, 200);
    child.kill().unwrap();
    child.wait().unwrap();
    let gone = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        TcpStream::connect(("127.0.0.1", port)).is_err()
    });
    assert!(gone, "the page is still served");
}
