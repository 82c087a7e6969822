//! The header of a `.npy` array: the bytes 93 "NUMPY", a version (1, 2 or 3), the header's length (two bytes in version
//! 1, else four, little-endian) and a Python dictionary in words: `{'descr': '|u1', 'fortran_order': False, 'shape':
//! (60000, 28, 28), }`. Described in numpy's `numpy.lib.format`.
//!
//! Only what numpy writes is understood: text, `True` and `False`, tuples of whole numbers. Nothing is evaluated.

use crate::problem::malformed;
use bakeoff_core::LoadError;
use std::io::{self, Read};
use std::path::Path;

/// Bytes that a header may have; numpy's own limit for files that are not trusted.
const LONGEST: usize = 10_000;
/// Dimensions that an array may have; numpy has 64 at most.
const MOST_DIMENSIONS: usize = 64;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The type of a value.
    pub kind: Kind,
    /// Whether the first dimension is the innermost one.
    pub is_fortran: bool,
    /// The sizes; none for a single value.
    pub shape: Vec<usize>,
    /// Bytes up to the first value.
    pub len: u64,
}

/// The type of a value: `<i8`, `|u1`, `<U12`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// Whether bytes of greater weight come first.
    pub is_big_endian: bool,
    /// numpy's letter: `u`, `i`, `b`, `f`, `S`, `U`, `O` …
    pub letter: char,
    /// Bytes of a value; for text, those of the longest.
    pub bytes: usize,
    /// As it is written in the file.
    pub shown: String,
}

impl Header {
    /// How many values there are, if that is a number at all.
    pub fn n_values(&self) -> Option<u64> {
        self.shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64))
    }

    /// Bytes of all values.
    pub fn n_bytes(&self) -> Option<u64> {
        self.n_values()?.checked_mul(self.kind.bytes as u64)
    }

    /// The sizes as `60000×28×28`.
    pub fn sizes(&self) -> String {
        match self.shape.as_slice() {
            [] => "of a single value".to_owned(),
            sizes => sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("×"),
        }
    }
}

/// Reads a header. `path` is for messages only.
///
/// # Errors
/// [`LoadError::Malformed`] when this is no `.npy` array or one of a kind that is not read (structures, Python objects).
pub fn read(path: &Path, input: &mut impl Read) -> Result<Header, LoadError> {
    let mut start = [0; 8];
    fill(path, input, &mut start, 0, "the eight bytes that a .npy array begins with")?;
    if start[..6] != *b"\x93NUMPY" {
        let found = format!("bytes {:02x?}", &start[..6]);
        return Err(malformed(path, 0, "a .npy array, which begins with 93 and NUMPY", found));
    }
    let (length_bytes, len) = match start[6] {
        1 => {
            let mut len = [0; 2];
            fill(path, input, &mut len, 8, "the length of a header")?;
            (2, usize::from(u16::from_le_bytes(len)))
        }
        2 | 3 => {
            let mut len = [0; 4];
            fill(path, input, &mut len, 8, "the length of a header")?;
            (4, u32::from_le_bytes(len) as usize)
        }
        other => return Err(malformed(path, 6, "a .npy array of version 1, 2 or 3", format!("version {other}"))),
    };
    if len > LONGEST {
        return Err(malformed(path, 8, format!("a header of at most {LONGEST} bytes"), format!("one of {len}")));
    }
    let mut text = vec![0; len];
    let at = 8 + length_bytes;
    fill(path, input, &mut text, at, "the header of an array")?;
    // Version 3 is UTF-8, the older ones Latin-1; field names of structures, which are refused anyway, are all that differs.
    let text = String::from_utf8_lossy(&text);
    parse(&text, at + len as u64).map_err(|problem| {
        let shown: String = text.trim().chars().take(80).collect();
        malformed(path, at, problem, format!("{shown:?}"))
    })
}

/// Fills a buffer; what is missing is told with its offset.
fn fill(path: &Path, input: &mut impl Read, buffer: &mut [u8], at: u64, expected: &str) -> Result<(), LoadError> {
    input.read_exact(buffer).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => malformed(path, at, expected, "the end of the array's file"),
        _ => super::told(path, &e),
    })
}

/// A header from its words, or what was expected of them.
fn parse(text: &str, len: u64) -> Result<Header, String> {
    let mut words = Words { rest: text };
    let (mut kind, mut is_fortran, mut shape) = (None, None, None);
    words.take('{')?;
    while !words.next_is('}') {
        let key = words.text()?;
        words.take(':')?;
        match key {
            "descr" if kind.is_none() => kind = Some(Kind::parse(words.text().map_err(|_| STRUCTURED.to_owned())?)?),
            "fortran_order" if is_fortran.is_none() => is_fortran = Some(words.truth()?),
            "shape" if shape.is_none() => shape = Some(words.tuple()?),
            other => return Err(format!("the keys descr, fortran_order and shape, once each, not another `{other}`")),
        }
        if !words.next_is(',') {
            break;
        }
        words.take(',')?;
    }
    words.take('}')?;
    if !words.rest.trim().is_empty() {
        return Err("nothing after the dictionary".to_owned());
    }
    match (kind, is_fortran, shape) {
        (Some(kind), Some(is_fortran), Some(shape)) => Ok(Header { kind, is_fortran, shape, len }),
        _ => Err("a dictionary with descr, fortran_order and shape".to_owned()),
    }
}

const STRUCTURED: &str = "one type for all values, in quotes (arrays of structures are not read)";

impl Kind {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || "a type such as '|u1' or '<i8'".to_owned();
        let (order, rest) = match text.chars().next() {
            Some(order @ ('<' | '>' | '|' | '=')) => (order, &text[1..]),
            _ => ('|', text),
        };
        let letter = rest.chars().next().filter(char::is_ascii_alphabetic).ok_or_else(expected)?;
        if letter == 'O' {
            return Err("numbers or text (Python objects are never unpickled)".to_owned());
        }
        let digits = &rest[1..];
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // Dates have their unit behind their size and are of no use here.
        let size: usize = if is_number { digits.parse().map_err(|_| expected())? } else { return Err(expected()) };
        let bytes = if letter == 'U' { size.checked_mul(4).ok_or_else(expected)? } else { size };
        Ok(Self { is_big_endian: order == '>', letter, bytes, shown: text.to_owned() })
    }
}

/// What is left to be read of a header's text.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn next_is(&mut self, sign: char) -> bool {
        self.rest = self.rest.trim_start();
        self.rest.starts_with(sign)
    }

    fn take(&mut self, sign: char) -> Result<(), String> {
        if !self.next_is(sign) {
            return Err(format!("a dictionary with a `{sign}` where it has none"));
        }
        self.rest = &self.rest[sign.len_utf8()..];
        Ok(())
    }

    /// Text in single or double quotes without escapes.
    fn text(&mut self) -> Result<&'a str, String> {
        let quote = if self.next_is('\'') { '\'' } else { '"' };
        self.take(quote).map_err(|_| "text in quotes".to_owned())?;
        let (text, rest) = self.rest.split_once(quote).ok_or("a quote at the end of a text")?;
        self.rest = rest;
        Ok(text)
    }

    fn truth(&mut self) -> Result<bool, String> {
        self.rest = self.rest.trim_start();
        for (word, truth) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(truth);
            }
        }
        Err("True or False as fortran_order".to_owned())
    }

    /// Whole numbers in parentheses: `()`, `(3,)`, `(3, 4)`; Python 2 wrote `(3L,)`.
    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut numbers = Vec::new();
        self.take('(')?;
        while !self.next_is(')') {
            let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
            let (digits, rest) = self.rest.split_at(end);
            numbers.push(digits.parse().map_err(|_| "a tuple of sizes as shape".to_owned())?);
            if numbers.len() > MOST_DIMENSIONS {
                return Err(format!("at most {MOST_DIMENSIONS} dimensions"));
            }
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            if !self.next_is(',') {
                break;
            }
            self.take(',')?;
        }
        self.take(')')?;
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A version 1 header with these words.
    fn v1(words: &str) -> Vec<u8> {
        [&b"\x93NUMPY\x01\x00"[..], &(words.len() as u16).to_le_bytes(), words.as_bytes()].concat()
    }

    fn read_words(words: &str) -> Result<Header, String> {
        read(Path::new("x"), &mut &v1(words)[..]).map_err(|e| e.to_string())
    }

    #[test]
    fn what_numpy_writes_is_understood() {
        let header = read_words("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 28, 28), }   \n").unwrap();
        assert_eq!((header.kind.letter, header.kind.bytes, header.is_fortran), ('u', 1, false));
        assert_eq!((header.shape.clone(), header.n_bytes()), (vec![2, 28, 28], Some(1568)));
        assert_eq!((header.len, header.sizes()), (10 + 68, "2×28×28".to_owned()));
        let header = read_words("{\"shape\":(3,),\"fortran_order\":True,\"descr\":\">i8\"}").unwrap();
        assert_eq!((header.kind.is_big_endian, header.kind.bytes, header.is_fortran), (true, 8, true));
        let header = read_words("{'descr': '<U5', 'fortran_order': False, 'shape': (3L,)}").unwrap();
        assert_eq!((header.kind.letter, header.n_bytes()), ('U', Some(60)));
        assert!(read_words("{'descr': '|u1', 'fortran_order': False, 'shape': ()}").unwrap().shape.is_empty());
        // Versions 2 and 3 have four bytes for the length.
        for version in [2, 3] {
            let words = b"{'descr': '|b1', 'fortran_order': False, 'shape': (7,)}";
            let bytes = [&[0x93, b'N', b'U', b'M', b'P', b'Y', version, 0][..], &[55, 0, 0, 0], words].concat();
            assert_eq!(read(Path::new("x"), &mut &bytes[..]).unwrap().shape, [7]);
        }
    }

    #[test]
    fn what_is_not_read_is_told() {
        let told = |words: &str| read_words(words).unwrap_err();
        let object = told("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}");
        assert!(object.contains("Python objects are never unpickled"), "{object}");
        let structure = told("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,)}");
        assert!(structure.contains("arrays of structures are not read"), "{structure}");
        assert!(told("{'descr': '|u1', 'fortran_order': False}").contains("descr, fortran_order and shape"));
        assert!(told("{'descr': '|u1', 'descr': '|u1'}").contains("another `descr`"));
        assert!(told("{'descr': '|u1', 'fortran_order': 0, 'shape': (1,)}").contains("True or False"));
        assert!(told("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}").contains("a tuple of sizes"));
        assert!(told("{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (1,)}").contains("'|u1' or '<i8'"));
        let many = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({})}}", "1, ".repeat(65));
        assert!(told(&many).contains("at most 64 dimensions"));
        let huge = "{'descr': '<U18446744073709551615', 'fortran_order': False, 'shape': (1,)}";
        assert!(told(huge).contains("a type such as"), "{}", told(huge));
        let sizes = "{'descr': '<i8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}";
        assert_eq!(read_words(sizes).unwrap().n_bytes(), None);
        let long = [&b"\x93NUMPY\x02\x00"[..], &u32::MAX.to_le_bytes()].concat();
        assert!(read(Path::new("x"), &mut &long[..]).unwrap_err().to_string().contains("at most 10000 bytes"));
        assert!(read(Path::new("x"), &mut &b"PK\x03\x04abcdef"[..]).unwrap_err().to_string().contains("at byte 0"));
    }

    #[test]
    fn every_shorter_header_is_refused() {
        let whole = v1("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 28, 28)}");
        for cut in 0..whole.len() {
            assert!(read(Path::new("x"), &mut &whole[..cut]).is_err(), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn random_words_never_panic(words in "[{}():,' a-zA-Z0-9<>|_]{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read_words(&words);
            let _ = read_words(&format!("{{'descr': '{words}', 'fortran_order': False, 'shape': (1,)}}"));
            let _ = read(Path::new("x"), &mut &[&b"\x93NUMPY\x01\x00"[..], &bytes].concat()[..]);
        }
    }
}
