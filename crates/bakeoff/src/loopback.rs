//! Pages for one's own browser: a small server of HTTP and WebSockets that only this machine can reach.
//!
//! It listens on 127.0.0.1 and answers nobody who means another host (a name of an attacker's that was made to point here:
//! DNS rebinding) or comes from another page's origin. Requests are small and have no bodies; heads, messages, connections
//! and waiting have limits; every answer forbids the page to load anything from elsewhere. A connection has a thread
//! of its own, which ends when the connection does.
//!
//! What is served is a [`Site`]: `bakeoff run --watch` answers with pages alone, `bakeoff lab playground` speaks on sockets too.

mod request;
mod socket;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod visitors;

use crate::terminal;
use anyhow::Context;
use nix::poll::{PollFd, PollFlags, poll};
use request::{Head, Refusal, read_head};
use std::borrow::Cow;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

pub(crate) use socket::{Heard, Socket};

/// Connections at a time, open sockets among them; a browser keeps about six a page.
const MOST_CONNECTIONS: usize = 64;
/// How long the threads wait at most before they look whether they are to stop, in milliseconds.
const LOOK_AROUND: u16 = 100;
/// How long a browser may take to read an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is to be found under an address.
pub(crate) trait Site: Sync {
    /// The page at this path (it begins with `/` and has no query), if there is one.
    fn page(&self, path: &str) -> Option<Page>;

    /// Whether there is a WebSocket at this path.
    fn has_socket(&self, _path: &str) -> bool {
        false
    }

    /// Speaks on a socket for as long as it is open, on the connection's thread.
    fn speak(&self, _path: &str, _socket: Socket<'_>) {}
}

/// A page's bytes.
pub(crate) struct Page {
    /// As the browser is to read them: `text/html; charset=utf-8`.
    pub(crate) content_type: &'static str,
    /// The bytes.
    pub(crate) body: Cow<'static, [u8]>,
}

impl Page {
    /// A page of HTML.
    pub(crate) fn html(body: impl Into<Cow<'static, str>>) -> Self {
        Self::text("text/html; charset=utf-8", body.into())
    }

    /// Numbers for a page's script.
    pub(crate) fn json(body: impl Into<Cow<'static, str>>) -> Self {
        Self::text("application/json", body.into())
    }

    fn text(content_type: &'static str, body: Cow<'static, str>) -> Self {
        let body = match body {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self { content_type, body }
    }
}

/// A place on this machine where a browser can knock.
pub(crate) struct Loopback {
    listener: TcpListener,
    port: u16,
}

impl Loopback {
    /// Takes a port of 127.0.0.1; 0 for any that is free.
    pub(crate) fn bind(port: u16) -> anyhow::Result<Self> {
        let failed = || format!("failed to listen on 127.0.0.1:{port}: another --port may be free, 0 takes any");
        let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).with_context(failed)?;
        listener.set_nonblocking(true).with_context(failed)?;
        let port = listener.local_addr().with_context(failed)?.port();
        Ok(Self { listener, port })
    }

    /// The address for a browser.
    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Serves until `stop` is set, and returns when every connection's thread has ended.
    pub(crate) fn serve(&self, site: &dyn Site, stop: &AtomicBool) {
        let open = AtomicUsize::new(0);
        thread::scope(|threads| {
            while !stop.load(Ordering::Relaxed) {
                let Some(stream) = self.accept() else { continue };
                let place = Place::take(&open);
                let visit = Visit { port: self.port, site, stop };
                let thread = thread::Builder::new().name("loopback".to_owned());
                // What is refused here is closed by dropping it.
                let started = thread.spawn_scoped(threads, move || visit.receive(stream, place));
                if let Err(error) = started {
                    terminal::tell(&format!("failed to start a thread for a connection: {error}"));
                }
            }
        });
    }

    /// The next connection, if one comes within the time after which to look around.
    fn accept(&self) -> Option<TcpStream> {
        let mut waited = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        // An interrupting signal is a reason to look around, too.
        let _ = poll(&mut waited, LOOK_AROUND);
        match self.listener.accept() {
            Ok((stream, _)) => Some(stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => {
                // Too many open files, or a visitor who has gone again: neither goes away by asking at once.
                thread::sleep(Duration::from_millis(u64::from(LOOK_AROUND)));
                None
            }
        }
    }
}

/// One of the connections that there may be; none when they are all taken.
struct Place<'a>(Option<&'a AtomicUsize>);

impl<'a> Place<'a> {
    fn take(open: &'a AtomicUsize) -> Self {
        if open.fetch_add(1, Ordering::Relaxed) < MOST_CONNECTIONS {
            return Self(Some(open));
        }
        open.fetch_sub(1, Ordering::Relaxed);
        Self(None)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(open) = self.0 {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What a connection's thread knows.
#[derive(Clone, Copy)]
struct Visit<'a> {
    port: u16,
    site: &'a dyn Site,
    stop: &'a AtomicBool,
}

impl Visit<'_> {
    /// Answers one request, and speaks where that opens a socket.
    fn receive(self, mut stream: TcpStream, place: Place<'_>) {
        // A visitor who hangs up while being answered is no error of ours, and neither is one who leaves a socket.
        let _ = self.answer(&mut stream, &place).and_then(|socket| {
            if let Some((path, rest)) = socket {
                let socket = Socket::new(stream.try_clone()?, rest, self.stop)?;
                // A bug in what is served ends one connection and not the server.
                let _ = catch_unwind(AssertUnwindSafe(|| self.site.speak(&path, socket)));
            }
            Ok(())
        });
        request::drain(&mut stream);
    }

    /// The path and the first bytes of a socket, where the request opened one.
    fn answer(self, stream: &mut TcpStream, place: &Place<'_>) -> io::Result<Option<(String, Vec<u8>)>> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let head = if place.0.is_none() {
            Err(Refusal::new(503, "there are too many connections: close some pages"))
        } else {
            read_head(stream, self.port, PATIENCE, self.stop)
        };
        let head = match head {
            Ok(head) => head,
            Err(refusal) => {
                write_answer(stream, self.port, refusal.status, &Page::text(PLAIN, refusal.reason.into()), true)?;
                return Ok(None);
            }
        };
        if let Some(key) = &head.socket_key
            && self.site.has_socket(&head.path)
        {
            stream.write_all(socket::acceptance(key).as_bytes())?;
            return Ok(Some((head.path, head.rest)));
        }
        self.write_page(stream, &head)?;
        Ok(None)
    }

    fn write_page(self, stream: &mut TcpStream, head: &Head) -> io::Result<()> {
        let page = catch_unwind(AssertUnwindSafe(|| self.site.page(&head.path)));
        let (status, page) = match page {
            Ok(Some(page)) => (200, page),
            Ok(None) => (404, Page::text(PLAIN, "there is no such page\n".into())),
            Err(_) => (500, Page::text(PLAIN, "a bug stopped this page\n".into())),
        };
        write_answer(stream, self.port, status, &page, head.wants_body)
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// Everything of a page stands in the page; it may speak with where it came from, and nobody may show it in a frame.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; \
    font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn write_answer(stream: &mut TcpStream, port: u16, status: u16, page: &Page, wants_body: bool) -> io::Result<()> {
    let reason = match status {
        200 => "OK",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Bad Request",
    };
    let Page { content_type, body } = page;
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\nContent-Security-Policy: {POLICY}; connect-src 'self' \
         ws://127.0.0.1:{port} ws://localhost:{port}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    if wants_body {
        stream.write_all(body)?;
    }
    stream.flush()
}
