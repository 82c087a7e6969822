//! SHA-256 of files and of whole datasets.

use crate::problem;
use bakeoff_core::{FileRecord, Labelled, LoadError, Splits};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What the hash of a dataset starts with; a change of the layout below needs another one.
const LAYOUT: &[u8] = b"bakeoff splits 1\n";

/// SHA-256 over what a dataset is to whoever learns from it, 64 hexadecimal digits: class names, image shape, and of
/// each part the pixels and labels in order. Where it came from does not count, so that a set read from `.gz` files is
/// the same as one read from plain ones.
///
/// Layout: a tag; the number of classes and each name as length and UTF-8; height, width, channels; then for training,
/// validation (n = 0 where there is none) and test: n, pixels, labels. Numbers are little-endian, of 8
/// bytes and for labels of 4.
pub fn content_hash(splits: &Splits) -> String {
    let mut hash = Sha256::new();
    hash.update(LAYOUT);
    put(&mut hash, splits.classes.len());
    for class in &splits.classes {
        put(&mut hash, class.len());
        hash.update(class.as_bytes());
    }
    let (height, width, channels) = splits.train.images().shape();
    for size in [height, width, channels] {
        put(&mut hash, size);
    }
    for part in [Some(&splits.train), splits.validation.as_ref(), Some(&splits.test)] {
        put_part(&mut hash, part);
    }
    hex(&hash.finalize())
}

fn put(hash: &mut Sha256, number: usize) {
    hash.update((number as u64).to_le_bytes());
}

fn put_part(hash: &mut Sha256, part: Option<&Labelled>) {
    put(hash, part.map_or(0, Labelled::len));
    let Some(part) = part else { return };
    for image in part.images().view().iter() {
        hash.update(image);
    }
    let labels: Vec<u8> = part.labels().as_slice().iter().flat_map(|&id| (id as u32).to_le_bytes()).collect();
    hash.update(&labels);
}

/// The SHA-256 of bytes, 64 hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The size and SHA-256 of a file, read once from end to end in small pieces.
///
/// # Errors
/// [`LoadError::Io`] when it cannot be read.
pub fn hash_file(path: &Path) -> Result<(u64, String), LoadError> {
    let file = File::open(path).map_err(|e| problem::io(path, e))?;
    let mut reader = Hashing::new(file);
    io::copy(&mut reader, &mut io::sink()).map_err(|e| problem::io(path, e))?;
    Ok(reader.finish())
}

/// Hashes and counts what is read through it.
pub(crate) struct Hashing<R> {
    inner: R,
    hash: Sha256,
    count: u64,
}

impl<R> Hashing<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new(), count: 0 }
    }

    /// Bytes read and their SHA-256.
    pub(crate) fn finish(self) -> (u64, String) {
        (self.count, hex(&self.hash.finalize()))
    }

    /// The record of a file that was read through this to its end.
    pub(crate) fn record(self, path: String) -> FileRecord {
        let (bytes, sha256) = self.finish();
        FileRecord { path, bytes, sha256 }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        self.count += n as u64;
        Ok(n)
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::{Images, Labels, Provenance};
    use ndarray::{Array1, Array4};

    #[test]
    fn the_published_digest_of_abc() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let mut reader = Hashing::new(&b"abc"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.record("a".to_owned()), FileRecord { path: "a".into(), bytes: 3, sha256: sha256(b"abc") });
    }

    fn tiny(pixel: u8, label: usize, class: &str) -> Splits {
        let part = |value: u8, ids: Vec<usize>| {
            let images = Images::new(Array4::from_elem((ids.len(), 1, 2, 1), value)).unwrap();
            Labelled::new(images, Labels::new(Array1::from(ids), 2).unwrap()).unwrap()
        };
        Splits {
            classes: vec!["a".into(), class.into()],
            train: part(pixel, vec![0, label]),
            validation: None,
            test: part(9, vec![1]),
            provenance: Provenance::default(),
        }
    }

    #[test]
    fn the_hash_of_a_dataset_follows_its_documented_layout() {
        let mut bytes = b"bakeoff splits 1\n".to_vec();
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| bytes.extend_from_slice(part));
        let number = |n: u64| n.to_le_bytes();
        put(&[&number(2), &number(1), b"a", &number(1), b"b", &number(1), &number(2), &number(1)]);
        put(&[&number(2), &[7; 4], &0u32.to_le_bytes(), &1u32.to_le_bytes()]);
        put(&[&number(0), &number(1), &[9; 2], &1u32.to_le_bytes()]);
        assert_eq!(content_hash(&tiny(7, 1, "b")), sha256(&bytes));
    }

    #[test]
    fn pixels_labels_and_names_change_the_hash_and_origin_does_not() {
        let base = content_hash(&tiny(7, 1, "b"));
        for other in [tiny(8, 1, "b"), tiny(7, 0, "b"), tiny(7, 1, "c")] {
            assert_ne!(content_hash(&other), base);
        }
        let mut elsewhere = tiny(7, 1, "b");
        elsewhere.provenance.notes.push("copied".into());
        assert_eq!(content_hash(&elsewhere), base);
    }
}
