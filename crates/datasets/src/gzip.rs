//! What the readers of compressed files share: how far a stream may grow, and how its faults are told.

use crate::problem::{self, grouped, malformed};
use bakeoff_core::LoadError;
use std::io;
use std::path::Path;

/// The first bytes of a gzip stream.
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Bytes that one file may unpack to; what is longer is not read into memory.
pub(crate) const MOST_BYTES: u64 = 4 << 30;
/// Deflate makes of one byte 1,032 at most (a run of 258 in two bits).
const GREATEST_RATIO: u64 = 1032;

/// Refuses a header that asks for more than `len` compressed bytes can hold.
pub(crate) fn check(path: &Path, needed: u64, len: u64) -> Result<(), LoadError> {
    let most = len.saturating_mul(GREATEST_RATIO).min(MOST_BYTES);
    if needed <= most {
        return Ok(());
    }
    let expected = format!("at most {} bytes out of {} compressed ones", grouped(most), grouped(len));
    Err(malformed(path, None, expected, format!("a header that asks for {}", grouped(needed))))
}

/// What the system or the decompressor said: bytes that do not fit are the file's fault, everything else is not.
pub(crate) fn told(path: &Path, error: &io::Error, at: impl Into<Option<u64>>) -> LoadError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => malformed(path, at, "a whole gzip stream", "its end"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            malformed(path, at, "a sound gzip stream", error.to_string())
        }
        kind => problem::io(path, io::Error::new(kind, error.to_string())),
    }
}
