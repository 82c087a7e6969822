//! A request's head: read within a time and a size, and refused unless it comes from a page of ours.

use bakeoff_runner::clock::Stopwatch;
use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Bytes of a request's head at most.
pub(super) const MOST_BYTES: usize = 16 * 1024;
/// Headers at most.
const MOST_HEADERS: usize = 64;

/// A request that may be answered.
#[derive(Debug)]
pub(super) struct Head {
    /// Without its query.
    pub(super) path: String,
    /// The key of a WebSocket's handshake, where the request asks for one.
    pub(super) socket_key: Option<String>,
    /// Whether the answer's body is asked for (GET) or its head alone (HEAD).
    pub(super) wants_body: bool,
    /// What the visitor has sent behind the head: the beginning of a socket's first message.
    pub(super) rest: Vec<u8>,
}

/// Why a request gets no page.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    /// HTTP's number for it.
    pub(super) status: u16,
    /// One line for whoever wrote the request.
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn new(status: u16, reason: &str) -> Self {
        Self { status, reason: format!("{reason}\n") }
    }
}

/// Reads a head and judges it. The whole head must come within `patience`: a visitor who sends a byte now and then is not
/// waited for.
pub(super) fn read_head(
    stream: &mut TcpStream,
    port: u16,
    patience: Duration,
    stop: &AtomicBool,
) -> Result<Head, Refusal> {
    let watch = Stopwatch::start();
    let mut bytes = Vec::new();
    let mut part = [0; 2048];
    // A fresh timeout that cannot be set would be a wait without end.
    let unreadable = |_| Refusal::new(400, "the connection cannot be read");
    stream.set_read_timeout(Some(Duration::from_millis(u64::from(super::LOOK_AROUND)))).map_err(unreadable)?;
    loop {
        if watch.elapsed().0 > patience.as_secs_f64() || stop.load(Ordering::Relaxed) {
            return Err(Refusal::new(408, "the request did not come in time"));
        }
        match stream.read(&mut part) {
            Ok(0) => return Err(Refusal::new(400, "the request ends within its head")),
            Ok(n) => bytes.extend_from_slice(&part[..n]),
            Err(error) if is_wait(&error) => continue,
            Err(error) => return Err(unreadable(error)),
        }
        if let Some(head) = judge(&bytes, port) {
            return head;
        }
        if bytes.len() > MOST_BYTES {
            return Err(Refusal::new(431, &format!("a request's head has {MOST_BYTES} bytes at most")));
        }
    }
}

/// Reads away what a visitor still sends, for half a second at most: unread bytes would reset the connection, and the last
/// words to the visitor would be lost.
pub(super) fn drain(stream: &mut TcpStream) {
    let watch = Stopwatch::start();
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    let mut part = [0; 1 << 14];
    while watch.elapsed().0 < 0.5 && matches!(stream.read(&mut part), Ok(n) if n > 0) {}
}

pub(super) fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// The head in these bytes, or why it is refused; none while it is not whole.
pub(super) fn judge(bytes: &[u8], port: u16) -> Option<Result<Head, Refusal>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return None,
        Err(httparse::Error::TooManyHeaders) => {
            return Some(Err(Refusal::new(431, &format!("a request has {MOST_HEADERS} headers at most"))));
        }
        Err(error) => return Some(Err(Refusal::new(400, &format!("this is no HTTP request: {error}")))),
    };
    Some(judge_request(&request, port, bytes.get(length..).unwrap_or_default()))
}

fn judge_request(request: &httparse::Request<'_, '_>, port: u16, rest: &[u8]) -> Result<Head, Refusal> {
    let headers = Headers(request.headers);
    let host = headers.one("Host")?.unwrap_or_default();
    if ![format!("127.0.0.1:{port}"), format!("localhost:{port}")].iter().any(|own| own == host) {
        return Err(Refusal::new(403, "this is the server of 127.0.0.1 and of no other host"));
    }
    let origin = headers.one("Origin")?;
    if origin.is_some_and(|origin| origin.strip_prefix("http://") != Some(host)) {
        return Err(Refusal::new(403, "pages from elsewhere get no answer"));
    }
    let wants_body = match request.method {
        Some("GET") => true,
        Some("HEAD") => false,
        _ => return Err(Refusal::new(405, "GET and HEAD are all that is answered")),
    };
    if headers.one("Transfer-Encoding")?.is_some() || headers.one("Content-Length")?.is_some_and(|n| n != "0") {
        return Err(Refusal::new(400, "a request has no body here"));
    }
    let target = request.path.unwrap_or_default();
    let path = target.split(['?', '#']).next().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(Refusal::new(400, "a path begins with /"));
    }
    let socket_key = if headers.one("Upgrade")?.is_some() {
        // Browsers always say where a socket comes from; who does not say it is none of our pages.
        origin.ok_or_else(|| Refusal::new(403, "a socket must say which page it comes from"))?;
        Some(socket_key(&headers)?)
    } else {
        None
    };
    Ok(Head { path: path.to_owned(), socket_key, wants_body, rest: rest.to_vec() })
}

/// The key of a WebSocket's handshake (RFC 6455, section 4.2.1).
fn socket_key(headers: &Headers<'_, '_>) -> Result<String, Refusal> {
    let refused = |what| Refusal::new(400, &format!("no WebSocket of version 13: {what}"));
    let has = |name, token: &str| -> Result<bool, Refusal> {
        let value = headers.one(name)?.unwrap_or_default();
        Ok(value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    };
    if !has("Upgrade", "websocket")? || !has("Connection", "upgrade")? {
        return Err(refused("it must upgrade the connection to a websocket"));
    }
    if headers.one("Sec-WebSocket-Version")? != Some("13") {
        return Err(refused("Sec-WebSocket-Version must be 13"));
    }
    let key = headers.one("Sec-WebSocket-Key")?.unwrap_or_default();
    let is_key = key.len() == 24 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    if is_key { Ok(key.to_owned()) } else { Err(refused("Sec-WebSocket-Key must be 16 bytes in base64")) }
}

struct Headers<'a, 'b>(&'a [httparse::Header<'b>]);

impl<'b> Headers<'_, 'b> {
    /// A header that may stand there once: two of them are a way to be read differently by two readers.
    fn one(&self, name: &str) -> Result<Option<&'b str>, Refusal> {
        let mut found = self.0.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        let first = found.next();
        if found.next().is_some() {
            return Err(Refusal::new(400, &format!("{name} stands there twice")));
        }
        let text = |header: &httparse::Header<'b>| std::str::from_utf8(header.value);
        first.map(text).transpose().map_err(|_| Refusal::new(400, &format!("{name} is no text")))
    }
}
