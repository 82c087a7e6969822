//! The server against visitors who mean well and visitors who do not, over real connections.

use super::request::{MOST_BYTES, judge};
use super::socket::{MOST_MESSAGE_BYTES, accept_key};
use super::visitors::{KEY, connect, handshake, open_socket, served, wait_until};
use super::{Heard, Loopback, MOST_CONNECTIONS, Page, Site, Socket};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

/// Says everything twice, and counts who is there.
#[derive(Default)]
struct Echo {
    speaking: AtomicUsize,
}

impl Site for Echo {
    fn page(&self, path: &str) -> Option<Page> {
        match path {
            "/" => Some(Page::html("<p>hello")),
            "/numbers" => Some(Page::json("[1, 2]")),
            "/bug" => panic!("a bug"),
            _ => None,
        }
    }

    fn has_socket(&self, path: &str) -> bool {
        path == "/socket" || path == "/bug"
    }

    fn speak(&self, path: &str, mut socket: Socket<'_>) {
        assert!(path == "/socket", "a bug");
        self.speaking.fetch_add(1, Ordering::SeqCst);
        loop {
            match socket.hear(50) {
                Heard::Text(text) if !socket.say(format!("{text} {text}")) => break,
                Heard::Text(_) | Heard::Nothing => {}
                Heard::Gone => break,
            }
        }
        self.speaking.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sends bytes and reads the whole answer.
fn ask(port: u16, request: impl AsRef<[u8]>) -> String {
    let mut stream = connect(port);
    stream.write_all(request.as_ref()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

fn get(port: u16, path: &str, headers: &str) -> String {
    ask(port, format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n"))
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn pages_are_served_and_others_are_not() {
    served(&Echo::default(), |port| {
        let answer = get(port, "/?a=b", "");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n<p>hello"), "{answer}");
        assert!(answer.contains("Content-Length: 8\r\n") && answer.contains("default-src 'none'"), "{answer}");
        assert!(get(port, "/numbers", "").contains("Content-Type: application/json\r\n"));
        assert_eq!(status(&get(port, "/no", "")), 404);
        let head = ask(port, format!("HEAD / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"));
        assert!(status(&head) == 200 && head.contains("Content-Length: 8\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        // A bug in one page is an answer, and the server goes on.
        assert_eq!(status(&get(port, "/bug", "")), 500);
        assert_eq!(status(&get(port, "/", "")), 200);
    });
}

#[test]
fn other_hosts_and_foreign_origins_are_refused() {
    let echo = Echo::default();
    served(&echo, |port| {
        for host in ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", "[::1]", ""] {
            assert_eq!(status(&ask(port, format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))), 403, "{host:?}");
        }
        assert_eq!(status(&ask(port, "GET / HTTP/1.1\r\n\r\n")), 403);
        let two = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n\r\n");
        assert_eq!(status(&ask(port, two)), 400);
        let own = format!("Origin: http://127.0.0.1:{port}\r\n");
        assert_eq!(status(&get(port, "/", &own)), 200);
        let foreign = [
            "http://evil.example".to_owned(),
            "null".to_owned(),
            format!("https://127.0.0.1:{port}"),
            format!("http://127.0.0.1:{}", port ^ 1),
            // The same server under its other name is another origin: a page has one name.
            format!("http://localhost:{port}"),
            format!("http://127.0.0.1:{port}.evil.example"),
        ];
        for origin in foreign {
            let origin = format!("Origin: {origin}\r\n");
            assert_eq!(status(&get(port, "/", &origin)), 403, "{origin}");
            assert_eq!(status(&get(port, "/socket", &handshake(&origin))), 403, "{origin}");
        }
        // A socket must say where it comes from.
        assert_eq!(status(&get(port, "/socket", &handshake(""))), 403);
        assert_eq!(echo.speaking.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn nothing_listens_beyond_this_machine() {
    let server = Loopback::bind(0).unwrap();
    let address = server.listener.local_addr().unwrap();
    assert!(address.ip().is_loopback(), "{address}");
    assert_eq!(server.address(), format!("http://127.0.0.1:{}/", address.port()));
    // The port is taken: a second server says so.
    let error = Loopback::bind(address.port()).err().unwrap().to_string();
    assert!(error.contains(&address.port().to_string()) && error.contains("--port"), "{error}");
}

#[test]
fn requests_that_are_none_are_refused() {
    served(&Echo::default(), |port| {
        let host = format!("Host: 127.0.0.1:{port}\r\n");
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "get"] {
            assert_eq!(status(&ask(port, format!("{method} / HTTP/1.1\r\n{host}\r\n"))), 405, "{method}");
        }
        for body in
            ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 0\r\nContent-Length: 5\r\n"]
        {
            assert_eq!(status(&get(port, "/", body)), 400, "{body}");
        }
        assert_eq!(status(&ask(port, format!("GET http://127.0.0.1/ HTTP/1.1\r\n{host}\r\n"))), 400);
        for junk in
            [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..], b"\xff\xfe\0\0\r\n\r\n", b"GET\r\n\r\n"]
        {
            assert_eq!(status(&ask(port, junk)), 400, "{junk:?}");
        }
        let headers = "X: y\r\n".repeat(100);
        assert_eq!(status(&get(port, "/", &headers)), 431);
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(MOST_BYTES + 4096));
        assert_eq!(status(&ask(port, long)), 431);
        assert_eq!(status(&get(port, "/", "")), 200);
    });
}

#[test]
fn slow_visitors_are_not_waited_for() {
    served(&Echo::default(), |port| {
        let mut stream = connect(port);
        // A byte now and then keeps nobody waiting: the whole head has five seconds.
        let mut dripping = stream.try_clone().unwrap();
        let drip = thread::spawn(move || {
            for byte in b"GET / HTTP/1.1\r\nHost: 127.0.0.1".iter().cycle() {
                if dripping.write_all(&[*byte]).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(200));
            }
        });
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408");
        drop(stream);
        drip.join().unwrap();
    });
}

#[test]
fn there_are_so_many_connections_and_no_more() {
    served(&Echo::default(), |port| {
        let mut open: Vec<_> = (0..MOST_CONNECTIONS).map(|_| open_socket(port, "/socket")).collect();
        assert_eq!(status(&get(port, "/", "")), 503);
        open.truncate(1);
        assert!(wait_until(|| status(&get(port, "/", "")) == 200));
    });
}

#[test]
fn sockets_speak_and_end_with_their_page() {
    let echo = Echo::default();
    served(&echo, |port| {
        let mut pages = [open_socket(port, "/socket"), open_socket(port, "/socket")];
        for (page, text) in [(0, "a"), (1, "b"), (0, "ä ✓")] {
            pages[page].send(Message::text(text)).unwrap();
            assert_eq!(pages[page].read().unwrap(), Message::text(format!("{text} {text}")));
        }
        assert_eq!(echo.speaking.load(Ordering::SeqCst), 2);
        let [mut first, second] = pages;
        // One says good-bye, the other just goes: both threads end.
        first.close(None).unwrap();
        drop(second);
        assert!(wait_until(|| echo.speaking.load(Ordering::SeqCst) == 0));
        // A bug ends its connection and no other.
        let mut bug = open_socket(port, "/bug");
        assert!(bug.read().is_err());
        assert_eq!(status(&get(port, "/", "")), 200);
    });
}

#[test]
fn a_server_that_stops_ends_its_sockets() {
    let (server, echo, stop) = (Loopback::bind(0).unwrap(), Echo::default(), AtomicBool::new(false));
    thread::scope(|threads| {
        let serving = threads.spawn(|| server.serve(&echo, &stop));
        let (mut socket, _silent) = (open_socket(server.port, "/socket"), connect(server.port));
        assert!(wait_until(|| echo.speaking.load(Ordering::SeqCst) == 1));
        stop.store(true, Ordering::Relaxed);
        serving.join().unwrap();
        assert!(matches!(socket.read(), Ok(Message::Close(Some(frame))) if frame.code == CloseCode::Away));
    });
    assert_eq!(echo.speaking.load(Ordering::SeqCst), 0);
}

#[test]
fn messages_that_break_the_rules_end_their_socket() {
    let echo = Echo::default();
    served(&echo, |port| {
        let code = |mut socket: WebSocket<TcpStream>| match socket.read() {
            Ok(Message::Close(Some(frame))) => frame.code,
            other => panic!("no farewell but {other:?}"),
        };
        let sent = |message: Message| {
            let mut socket = open_socket(port, "/socket");
            // The server may hang up before the last byte of what is too large.
            let _ = socket.send(message);
            code(socket)
        };
        let largest = "x".repeat(MOST_MESSAGE_BYTES);
        let mut socket = open_socket(port, "/socket");
        socket.send(Message::text(largest.clone())).unwrap();
        assert_eq!(socket.read().unwrap().len(), 2 * MOST_MESSAGE_BYTES + 1);
        assert_eq!(sent(Message::text(largest + "x")), CloseCode::Size);
        assert_eq!(sent(Message::binary(vec![1, 2])), CloseCode::Unsupported);
        // A text frame of two bytes, masked with zeros, that are no UTF-8; then a frame of a kind that there is not.
        for (bytes, expected) in [
            (&[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28][..], CloseCode::Invalid),
            (&[0x83, 0x80, 0, 0, 0, 0], CloseCode::Protocol),
            // Not masked, as a client's must be.
            (&[0x81, 0x01, b'a'], CloseCode::Protocol),
            // A length of 2⁶³ − 1 bytes takes no memory.
            (&[0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], CloseCode::Size),
        ] {
            let mut socket = open_socket(port, "/socket");
            socket.get_mut().write_all(bytes).unwrap();
            assert_eq!(code(socket), expected, "{bytes:?}");
        }
        drop(socket);
        assert!(wait_until(|| echo.speaking.load(Ordering::SeqCst) == 0));
    });
}

#[test]
fn handshakes_that_are_none_are_refused() {
    served(&Echo::default(), |port| {
        let origin = format!("Origin: http://127.0.0.1:{port}\r\n");
        let good = handshake(&origin);
        for (from, to) in [
            ("Version: 13", "Version: 8"),
            ("Upgrade: websocket", "Upgrade: h2c"),
            ("keep-alive, Upgrade", "keep-alive"),
            (KEY, "short"),
            (KEY, "dGhlIHNhbXBsZSBub25jZQ<>"),
        ] {
            assert!(good.contains(from));
            assert_eq!(status(&get(port, "/socket", &good.replace(from, to))), 400, "{to}");
        }
        // A page that has no socket stays a page.
        assert_eq!(status(&get(port, "/", &good)), 200);
        assert_eq!(status(&get(port, "/no", &good)), 404);
    });
}

#[test]
fn the_key_of_the_rfc_is_accepted_as_there() {
    // RFC 6455, section 1.3.
    assert_eq!(accept_key(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn no_bytes_make_a_head_panic() {
    let good = format!("GET /a HTTP/1.1\r\nHost: 127.0.0.1:80\r\n{}\r\n", handshake("Origin: http://127.0.0.1:80\r\n"));
    let head = judge(good.as_bytes(), 80).unwrap().unwrap();
    assert_eq!((head.path.as_str(), head.socket_key.as_deref()), ("/a", Some(KEY)));
    for end in 0..good.len() {
        assert!(judge(&good.as_bytes()[..end], 80).is_none(), "{end}");
    }
    // Every byte changed to a few others: refused, unfinished or read, but never a panic.
    for i in 0..good.len() {
        for byte in [0, b'\n', b' ', b':', 0x7f, 0xff] {
            let mut bytes = good.clone().into_bytes();
            bytes[i] = byte;
            let _ = judge(&bytes, 80);
        }
    }
}
