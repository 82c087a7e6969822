//! One array of an archive: its values as bytes, labels or names, in row-major order.

use super::header::{self, Header};
use super::told;
use crate::gzip;
use crate::problem::{grouped, malformed};
use bakeoff_core::LoadError;
use ndarray::{ArrayView, IxDyn, ShapeBuilder};
use std::io::Read;
use std::path::Path;

/// An array as it was read.
#[derive(Debug)]
pub(super) struct Array {
    pub(super) header: Header,
    /// As many bytes as the header says, in the file's order.
    values: Vec<u8>,
}

/// How many bytes an entry of the archive has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// In the archive.
    pub(super) packed: u64,
    /// What it unpacks to, as the archive says.
    pub(super) unpacked: u64,
}

impl Array {
    /// Reads an array. The header, the archive's directory and the stream must agree, and the memory is taken after the
    /// first two do.
    pub(super) fn read(path: &Path, room: Room, mut input: impl Read) -> Result<Self, LoadError> {
        let header = header::read(path, &mut input)?;
        let n_bytes = header.n_bytes().filter(|&n| n <= gzip::MOST_BYTES).ok_or_else(|| {
            let expected = format!("at most {} bytes of values", grouped(gzip::MOST_BYTES));
            malformed(path, None, expected, format!("{} values of type {}", header.sizes(), header.kind.shown))
        })?;
        if header.len + n_bytes != room.unpacked {
            let expected = format!("{} bytes of values, as the sizes {} say", grouped(n_bytes), header.sizes());
            let found = format!("{} in the archive", grouped(room.unpacked.saturating_sub(header.len)));
            return Err(malformed(path, header.len, expected, found));
        }
        gzip::check(path, n_bytes, room.packed)?;
        let mut values = Vec::new();
        values
            .try_reserve_exact(n_bytes as usize + 1)
            .map_err(|_| malformed(path, None, "sizes that fit into memory", header.sizes()))?;
        // One byte more than declared, to see whether the stream goes on; and its end, to have the checksum checked.
        input.take(n_bytes + 1).read_to_end(&mut values).map_err(|e| told(path, &e))?;
        if values.len() as u64 != n_bytes {
            let expected = format!("{} bytes of values, as the sizes {} say", grouped(n_bytes), header.sizes());
            let found = if (values.len() as u64) < n_bytes { grouped(values.len() as u64) } else { "more".to_owned() };
            return Err(malformed(path, header.len, expected, found));
        }
        Ok(Self { header, values })
    }

    /// The values as bytes, row-major: of an array of unsigned bytes.
    pub(super) fn into_bytes(self, path: &Path) -> Result<Vec<u8>, LoadError> {
        if (self.header.kind.letter, self.header.kind.bytes) != ('u', 1) {
            let found = format!("type {}", self.header.kind.shown);
            return Err(malformed(path, None, "intensities as unsigned bytes (uint8)", found));
        }
        if !self.header.is_fortran {
            return Ok(self.values);
        }
        let shape = IxDyn(&self.header.shape);
        // The number of values was compared with the sizes on reading.
        match ArrayView::from_shape(shape.f(), &self.values) {
            Ok(view) => Ok(view.iter().copied().collect()),
            Err(e) => Err(malformed(path, None, "values that fill the sizes", e.to_string())),
        }
    }

    /// The values as whole numbers: of an array in one dimension, or in two with one column.
    pub(super) fn labels(&self, path: &Path) -> Result<Vec<i128>, LoadError> {
        match self.header.shape.as_slice() {
            [_] | [_, 1] => {}
            [n, k] => {
                let problem = format!(
                    "{n}×{k}: {k} labels an image. Such a set has several answers for one image; bakeoff compares \
                     pipelines that give one"
                );
                return Err(malformed(path, None, "one label an image, sizes n or n×1", problem));
            }
            _ => {
                let found = format!("an array {}", self.header.sizes());
                return Err(malformed(path, None, "one label an image, sizes n or n×1", found));
            }
        }
        let kind = &self.header.kind;
        let is_signed = kind.letter == 'i';
        if !matches!((kind.letter, kind.bytes), ('i' | 'u', 1 | 2 | 4 | 8) | ('b', 1)) {
            let expected = "labels as whole numbers of 1, 2, 4 or 8 bytes";
            return Err(malformed(path, None, expected, format!("type {}", kind.shown)));
        }
        let number = |bytes: &[u8]| {
            let mut wide = if kind.is_big_endian {
                bytes.iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte))
            } else {
                bytes.iter().rev().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte))
            };
            if is_signed {
                // The sign is carried up to the last bit.
                let unused = 64 - 8 * bytes.len() as u32;
                wide = ((wide << unused) as i64 >> unused) as u64;
                return i128::from(wide as i64);
            }
            i128::from(wide)
        };
        Ok(self.values.chunks_exact(kind.bytes).map(number).collect())
    }

    /// The values as text: of an array of text in one dimension.
    pub(super) fn names(&self, path: &Path) -> Result<Vec<String>, LoadError> {
        let kind = &self.header.kind;
        let expected = "names as text (type U or S) in one dimension";
        if self.header.shape.len() != 1 || !matches!(kind.letter, 'U' | 'S') || kind.bytes == 0 {
            let found = format!("type {}, an array {}", kind.shown, self.header.sizes());
            return Err(malformed(path, None, expected, found));
        }
        let text = |bytes: &[u8]| {
            let text = if kind.letter == 'S' { String::from_utf8(bytes.to_vec()).ok() } else { self.utf_32(bytes) };
            text.map(|text| text.trim_end_matches('\0').trim().to_owned())
        };
        let names: Option<Vec<String>> = self.values.chunks_exact(kind.bytes).map(text).collect();
        names.ok_or_else(|| malformed(path, None, expected, "bytes that are no text"))
    }

    fn utf_32(&self, bytes: &[u8]) -> Option<String> {
        let (quads, _) = bytes.as_chunks::<4>();
        let is_big_endian = self.header.kind.is_big_endian;
        let code = |quad: &[u8; 4]| if is_big_endian { u32::from_be_bytes(*quad) } else { u32::from_le_bytes(*quad) };
        quads.iter().map(|quad| char::from_u32(code(quad))).collect()
    }
}
