//! Visitors of a server, for tests of what it serves.

use super::socket::accept_key;
use super::{Loopback, Site};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tungstenite::WebSocket;
use tungstenite::protocol::{Role, WebSocketConfig};

/// Runs a test against a server that ends with it, whether the test holds or not.
pub(crate) fn served(site: &dyn Site, test: impl FnOnce(u16)) {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (server, stop) = (Loopback::bind(0).unwrap(), AtomicBool::new(false));
    thread::scope(|threads| {
        threads.spawn(|| server.serve(site, &stop));
        let _stop = Stop(&stop);
        test(server.port);
    });
}

pub(crate) fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

pub(crate) fn handshake(origin: &str) -> String {
    format!(
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {KEY}\r\n{origin}"
    )
}

/// A socket as a browser opens it from a page of the server itself.
pub(crate) fn open_socket(port: u16, path: &str) -> WebSocket<TcpStream> {
    let mut stream = connect(port);
    let headers = handshake(&format!("Origin: http://127.0.0.1:{port}\r\n"));
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.contains(&accept_key(KEY)), "{answer}");
    // The tests send what the server must refuse.
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    WebSocket::from_raw_socket(stream, Role::Client, Some(config))
}

/// Whether something holds within five seconds.
pub(crate) fn wait_until(mut holds: impl FnMut() -> bool) -> bool {
    (0..500).any(|_| {
        thread::sleep(Duration::from_millis(10));
        holds()
    })
}
