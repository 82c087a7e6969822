//! Fetching from servers on this machine that are as bad as servers get.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::{Card, LoadError, RemoteFile};
use bakeoff_datasets::store::{Fetched, Patience, State, fetch, verify};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// 300,000 bytes in which no stretch looks like another.
fn content() -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..300_000).map(|_| next()).collect()
}

/// A request as the server sees it: how many came before, and where it asks to begin.
#[derive(Clone, Copy)]
struct Request {
    number: usize,
    start: Option<usize>,
}

type Answer = dyn Fn(Request, &mut TcpStream) -> std::io::Result<()> + Send + Sync;

/// A server that answers each request by `answer`; gives its address and what it was asked.
fn server(answer: impl Fn(Request, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file.bin", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let answer: Arc<Answer> = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let start = read_request(&stream);
            let number = {
                let mut log = log.lock().unwrap();
                log.push(start);
                log.len() - 1
            };
            // A client that goes away in the middle is none of the server's business.
            let _ = answer(Request { number, start }, &mut stream);
        }
    });
    Server { url, asked }
}

struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    fn asked(&self) -> Vec<Option<usize>> {
        self.asked.lock().unwrap().clone()
    }
}

/// Where a request asks to begin.
fn read_request(stream: &TcpStream) -> Option<usize> {
    let mut start = None;
    for line in BufReader::new(stream).lines() {
        let line = line.ok()?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().ok();
        }
    }
    start
}

fn head(stream: &mut TcpStream, status: &str, length: usize, more: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n")
}

/// What a good server answers.
fn honest(request: Request, stream: &mut TcpStream) -> std::io::Result<()> {
    honest_until(request, stream, usize::MAX)
}

/// As a good server, but the connection breaks after so many bytes.
fn honest_until(request: Request, stream: &mut TcpStream, most: usize) -> std::io::Result<()> {
    let content = content();
    let start = request.start.unwrap_or(0);
    let rest = &content[start..];
    if request.start.is_some() {
        let range = format!("content-range: bytes {start}-{}/{}\r\n", content.len() - 1, content.len());
        head(stream, "206 Partial Content", rest.len(), &range)?;
    } else {
        head(stream, "200 OK", rest.len(), "")?;
    }
    stream.write_all(&rest[..rest.len().min(most)])
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat()
}

fn card(url: &str) -> Card {
    let content = content();
    let file = RemoteFile {
        name: "file.bin".to_owned(),
        url: url.to_owned(),
        bytes: content.len() as u64,
        sha256: hex(&content),
        repacked: vec![(3, hex(b"abc"))],
    };
    Card {
        name: "set".to_owned(),
        summary: "a set".to_owned(),
        citation: String::new(),
        licence: String::new(),
        files: vec![file],
    }
}

const QUICK: Patience = Patience {
    attempts: 3,
    pause: Duration::from_millis(1),
    connect: Duration::from_secs(5),
    response: Duration::from_secs(5),
    body: Duration::from_secs(5),
};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("set")).unwrap();
        Self(folder)
    }
    fn root(&self) -> &Path {
        self.0.path()
    }
    fn file(&self) -> PathBuf {
        self.root().join("set/file.bin")
    }
    fn part(&self) -> PathBuf {
        self.root().join("set/file.bin.part")
    }
    fn fetch(&self, server: &Server) -> Result<Fetched, LoadError> {
        let outcomes = fetch(&card(&server.url), self.root(), QUICK, &mut |_| ControlFlow::Continue(()))?;
        assert_eq!(outcomes.len(), 1);
        Ok(outcomes[0].1)
    }
    /// Fetches well: the file is there and nothing else.
    fn fetch_well(&self, server: &Server, expected: Fetched) {
        assert_eq!(self.fetch(server).unwrap(), expected);
        assert!(fs::read(self.file()).unwrap() == content());
        assert!(!self.part().exists());
    }
    /// Fetches in vain: what is wrong, with no file left under the final name.
    fn problem(&self, server: &Server) -> String {
        let text = self.fetch(server).unwrap_err().to_string();
        assert!(text.starts_with(&format!("failed to fetch {}: ", server.url)), "{text}");
        assert!(!self.file().exists());
        text
    }
}

#[test]
fn a_file_is_fetched_once() {
    let (server, place) = (server(honest), Place::new());
    let mut seen = Vec::new();
    let mut watch = |progress: bakeoff_datasets::store::Progress<'_>| {
        assert_eq!((progress.file, progress.of), ("file.bin", 300_000));
        seen.push(progress.done);
        ControlFlow::Continue(())
    };
    let outcomes = fetch(&card(&server.url), place.root(), QUICK, &mut watch).unwrap();
    assert_eq!(outcomes, [("file.bin".to_owned(), Fetched::New)]);
    assert!(seen.is_sorted() && seen[0] == 0 && seen.last() == Some(&300_000));
    assert!(fs::read(place.file()).unwrap() == content());
    place.fetch_well(&server, Fetched::AlreadyThere);
    assert_eq!(server.asked(), [None]);
}

#[test]
fn a_dropped_connection_is_continued() {
    let server = server(|request, stream| honest_until(request, stream, 70_000));
    let place = Place::new();
    place.fetch_well(&server, Fetched::New);
    assert_eq!(server.asked(), [None, Some(70_000), Some(140_000), Some(210_000), Some(280_000)]);
}

#[test]
fn an_interrupted_fetch_is_continued_by_the_next_call() {
    let (server, place) = (server(honest), Place::new());
    let mut stop = |progress: bakeoff_datasets::store::Progress<'_>| match progress.done {
        0..100_000 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    };
    let error = fetch(&card(&server.url), place.root(), QUICK, &mut stop).unwrap_err();
    assert_eq!(error.to_string(), "fetching file.bin was interrupted");
    let there = fs::metadata(place.part()).unwrap().len() as usize;
    assert!((100_000..300_000).contains(&there));
    place.fetch_well(&server, Fetched::New);
    assert_eq!(server.asked(), [None, Some(there)]);
}

#[test]
fn a_server_that_ignores_ranges_starts_over() {
    let server = server(|request, stream| honest(Request { start: None, ..request }, stream));
    let place = Place::new();
    fs::write(place.part(), &content()[..1000]).unwrap();
    place.fetch_well(&server, Fetched::New);
    assert_eq!(server.asked(), [Some(1000)]);
}

#[test]
fn a_server_that_continues_elsewhere_is_not_believed() {
    let server = server(|request, stream| match request.start {
        Some(start) => honest(Request { start: Some(start - 10), ..request }, stream),
        None => honest(request, stream),
    });
    let place = Place::new();
    fs::write(place.part(), &content()[..1000]).unwrap();
    place.fetch_well(&server, Fetched::New);
    assert_eq!(server.asked(), [Some(1000), None]);
}

#[test]
fn a_damaged_or_oversized_part_is_fetched_anew() {
    for leftover in [vec![7; 1000], vec![7; 300_000], vec![7; 300_001]] {
        let (server, place) = (server(honest), Place::new());
        fs::write(place.part(), &leftover).unwrap();
        place.fetch_well(&server, Fetched::New);
    }
}

#[test]
fn wrong_bytes_are_refused_and_not_kept() {
    let server = server(|_, stream| {
        let mut content = content();
        content[123_456] ^= 1;
        head(stream, "200 OK", content.len(), "")?;
        stream.write_all(&content)
    });
    let place = Place::new();
    assert!(place.problem(&server).contains("other bytes: their SHA-256 is not the published one"));
    assert_eq!(fs::metadata(place.part()).unwrap().len(), 0);
    assert_eq!(server.asked(), [None]);
}

#[test]
fn a_length_that_is_too_long_does_no_harm() {
    let server = server(|_, stream| {
        head(stream, "200 OK", 999_999, "")?;
        stream.write_all(&content())
    });
    Place::new().fetch_well(&server, Fetched::New);
}

#[test]
fn a_length_that_is_too_short_is_continued() {
    let server = server(|request, stream| {
        let content = content();
        let rest = &content[request.start.unwrap_or(0)..];
        let range = format!("content-range: bytes {}-9/9\r\n", request.start.unwrap_or(0));
        let status = if request.start.is_some() { "206 Partial Content" } else { "200 OK" };
        head(stream, status, rest.len().min(200_000), &range)?;
        stream.write_all(rest)
    });
    let place = Place::new();
    place.fetch_well(&server, Fetched::New);
    assert_eq!(server.asked(), [None, Some(200_000)]);
}

#[test]
fn a_page_instead_of_the_file_is_refused() {
    let server = server(|_, stream| {
        head(stream, "200 OK", 12, "")?;
        stream.write_all(b"<html>sorry\n")
    });
    let place = Place::new();
    let text = place.problem(&server);
    assert!(text.contains("the server sent less than the file has; 12 of 300,000 bytes are there"), "{text}");
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn endless_data_is_read_no_further_than_the_file_is_long() {
    let server = server(|_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
        loop {
            stream.write_all(&[0; 4096])?;
        }
    });
    let place = Place::new();
    assert!(place.problem(&server).contains("other bytes"));
}

#[test]
fn an_answer_that_there_is_no_such_file_is_final() {
    let server = server(|_, stream| head(stream, "404 Not Found", 0, ""));
    assert!(Place::new().problem(&server).ends_with("the server answered 404"));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_server_in_trouble_is_asked_again() {
    let server = server(|request, stream| match request.number {
        0 => head(stream, "503 Service Unavailable", 0, ""),
        1 => stream.write_all(b"no HTTP at all\r\n\r\n"),
        _ => honest(request, stream),
    });
    Place::new().fetch_well(&server, Fetched::New);
}

#[test]
fn a_server_that_always_breaks_is_given_up() {
    let server = server(|request, stream| honest_until(request, stream, 0));
    let place = Place::new();
    assert!(place.problem(&server).ends_with("0 of 300,000 bytes are there, and another call continues"));
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn a_server_that_hangs_is_not_waited_for() {
    let server = server(|request, stream| {
        honest_until(request, stream, 1000)?;
        std::thread::sleep(Duration::from_secs(2));
        Ok(())
    });
    let place = Place::new();
    let hasty = Patience { attempts: 1, body: Duration::from_millis(200), ..QUICK };
    let error = fetch(&card(&server.url), place.root(), hasty, &mut |progress| {
        if progress.done < 3000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert!(error.is_err());
    assert!(fs::metadata(place.part()).unwrap().len() >= 1000);
}

#[test]
fn a_wrong_file_is_replaced_and_a_repacked_one_is_kept() {
    let (server, place) = (server(honest), Place::new());
    fs::write(place.file(), "wrong").unwrap();
    place.fetch_well(&server, Fetched::Replaced);
    fs::write(place.file(), "abc").unwrap();
    assert_eq!(place.fetch(&server).unwrap(), Fetched::AlreadyThere);
    assert_eq!(fs::read(place.file()).unwrap(), b"abc");
}

#[test]
fn two_programs_do_not_write_one_part() {
    let (server, place) = (server(honest), Place::new());
    let held = fs::File::create(place.part()).unwrap();
    held.lock().unwrap();
    let text = place.fetch(&server).unwrap_err().to_string();
    assert!(text.ends_with("another program is fetching this file: wait for it or stop it"), "{text}");
}

#[test]
fn names_that_lead_out_of_the_folder_and_sets_without_files_are_refused() {
    let place = Place::new();
    for name in ["../evil", "/etc/evil", "a/b", "", ".."] {
        let mut card = card("http://127.0.0.1:9/");
        card.files[0].name = name.to_owned();
        let error = fetch(&card, place.root(), QUICK, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(error.to_string().contains("is no name for a file in it"), "{error}");
    }
    let nothing = Card { files: Vec::new(), ..card("") };
    let error = fetch(&nothing, place.root(), QUICK, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("`set` is not fetched from anywhere"), "{error}");
}

#[test]
fn a_wrong_address_is_told_at_once() {
    let place = Place::new();
    let error = fetch(&card("no address"), place.root(), QUICK, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().starts_with("failed to fetch no address: "), "{error}");
}

#[test]
fn verifying_hashes_again() {
    let place = Place::new();
    let folders = [place.root().join("set"), place.root().join("elsewhere")];
    let state = || verify(&card("http://x/"), &folders).unwrap().remove(0);
    assert_eq!(state(), (place.file(), State::Missing));
    fs::create_dir(&folders[1]).unwrap();
    fs::write(folders[1].join("file.bin"), "abc").unwrap();
    assert_eq!(state(), (folders[1].join("file.bin"), State::Repacked));
    fs::write(place.file(), content()).unwrap();
    assert_eq!(state(), (place.file(), State::Sound));
    let mut damaged = content();
    damaged[5] ^= 4;
    fs::write(place.file(), &damaged).unwrap();
    let expected = (300_000, hex(&content()));
    assert_eq!(state().1, State::Wrong { expected, found: (300_000, hex(&damaged)) });
}
