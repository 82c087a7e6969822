//! A WebSocket as a site speaks on it: texts of a limited size, in turn, without ever waiting for long.

use super::request::is_wait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::poll::{PollFd, PollFlags, poll};
use sha1::{Digest, Sha1};
use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use tungstenite::error::{CapacityError, Error};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

/// Bytes of a message at most.
pub(super) const MOST_MESSAGE_BYTES: usize = 1 << 20;

/// A socket that a page of ours has opened.
pub(crate) struct Socket<'a> {
    inner: WebSocket<TcpStream>,
    stop: &'a AtomicBool,
}

/// What came over a socket.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// A message.
    Text(String),
    /// Nothing within the time.
    Nothing,
    /// The page is gone, broke the rules (which it has been told), or the program is to stop: nothing will come any more.
    Gone,
}

impl<'a> Socket<'a> {
    /// A socket over a connection whose handshake is made; `rest` is what came behind the handshake.
    pub(super) fn new(stream: TcpStream, rest: Vec<u8>, stop: &'a AtomicBool) -> io::Result<Self> {
        stream.set_read_timeout(None)?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MOST_MESSAGE_BYTES))
            .max_frame_size(Some(MOST_MESSAGE_BYTES))
            .read_buffer_size(16 * 1024);
        Ok(Self { inner: WebSocket::from_partially_read(stream, rest, Role::Server, Some(limits)), stop })
    }

    /// The next message, if one comes within so many milliseconds; 0 does not wait.
    pub(crate) fn hear(&mut self, milliseconds: u16) -> Heard {
        let mut has_waited = milliseconds == 0;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                self.close(CloseCode::Away, "the program ends");
                return Heard::Gone;
            }
            match self.read() {
                Ok(Message::Text(text)) => return Heard::Text(text.as_str().to_owned()),
                Ok(Message::Binary(_)) => {
                    self.close(CloseCode::Unsupported, "messages are texts");
                    return Heard::Gone;
                }
                // Answers to these are written by the library with the next read.
                Ok(_) => {}
                Err(Error::Io(error)) if is_wait(&error) && has_waited => return Heard::Nothing,
                Err(Error::Io(error)) if is_wait(&error) => {
                    self.wait(milliseconds);
                    has_waited = true;
                }
                Err(error) => {
                    self.close_after(&error);
                    return Heard::Gone;
                }
            }
        }
    }

    /// Sends a text; whether somebody is there to get it. A page that does not read for seconds is gone.
    pub(crate) fn say(&mut self, text: String) -> bool {
        self.inner.send(Message::text(text)).is_ok()
    }

    /// Reads what is there. Only reading does not block: a message that is written half would have to be remembered.
    fn read(&mut self) -> tungstenite::Result<Message> {
        self.inner.get_ref().set_nonblocking(true)?;
        let message = self.inner.read();
        self.inner.get_ref().set_nonblocking(false)?;
        message
    }

    fn wait(&self, milliseconds: u16) {
        let mut waited = [PollFd::new(self.inner.get_ref().as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut waited, milliseconds);
    }

    /// Tells a page that broke the rules which one.
    fn close_after(&mut self, error: &Error) {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => {
                self.close(CloseCode::Size, &format!("a message has {MOST_MESSAGE_BYTES} bytes at most"));
            }
            Error::Capacity(_) => self.close(CloseCode::Size, "the message is too large"),
            Error::Utf8(_) => self.close(CloseCode::Invalid, "the message is no UTF-8"),
            Error::Protocol(_) => self.close(CloseCode::Protocol, "this is no WebSocket protocol"),
            _ => {}
        }
    }

    fn close(&mut self, code: CloseCode, reason: &str) {
        // Whether the page still hears it makes no difference.
        let _ = self.inner.close(Some(CloseFrame { code, reason: reason.into() }));
        let _ = self.inner.flush();
    }
}

/// The answer that makes a connection a WebSocket (RFC 6455, section 4.2.2).
pub(super) fn acceptance(key: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key)
    )
}

/// The hash that shows that a handshake was understood.
pub(super) fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}
