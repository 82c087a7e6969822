//! IDX: the format of MNIST and its relatives. Two zero bytes, a type (0x08: unsigned bytes), the number of dimensions,
//! each dimension as four bytes big-endian, then the values, row-major. Described on the MNIST page (LeCun, Cortes,
//! Burges 1998).
//!
//! Files may be plain or gzipped, whatever their name says. Images are (n, height, width) or (n, height, width,
//! channels) with 1 or 3 channels. A header is compared with the file's size before memory is taken; a compressed
//! stream is read no further than one byte past what its header declares.

mod folder;

pub use folder::{IdxFolder, is_idx_name};

pub(crate) use folder::{Place, distinct, known_places, parse_names, read_names};

use crate::digest::Hashing;
use crate::gzip;
use crate::problem::{grouped, malformed};
use bakeoff_core::LoadError;
use flate2::read::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// The content of an IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// The sizes, at least one.
    pub dims: Vec<usize>,
    /// As many values as the product of the sizes, the last dimension innermost.
    pub values: Vec<u8>,
}

/// Reads an IDX file of `len` bytes, plain or gzipped. `path` is for messages only.
///
/// # Errors
/// [`LoadError::Malformed`] when it is truncated, has more than it declares, or is not IDX of bytes;
/// [`LoadError::Io`] when reading fails.
pub fn read(path: &Path, len: u64, input: impl Read) -> Result<Idx, LoadError> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let start = input.fill_buf().map_err(|e| gzip::told(path, &e, 0))?;
    if start.starts_with(&gzip::MAGIC) {
        // Trailing members are read too, so that nothing at the end of a file goes unnoticed.
        read_values(path, MultiGzDecoder::new(input), &|needed| gzip::check(path, needed, len))
    } else {
        read_values(path, input, &|needed| check_plain(path, needed, len))
    }
}

/// Reads an IDX file and records its size and hash.
pub(crate) fn read_recorded(path: &Path, name: String) -> Result<(Idx, bakeoff_core::FileRecord), LoadError> {
    let (file, len) = crate::files::open(path)?;
    let mut file = Hashing::new(file);
    let idx = read(path, len, &mut file)?;
    Ok((idx, file.record(name)))
}

/// Header and values from a stream that is no longer compressed. `check` compares the length that the header asks for
/// with what there can be.
fn read_values(
    path: &Path,
    mut input: impl Read,
    check: &dyn Fn(u64) -> Result<(), LoadError>,
) -> Result<Idx, LoadError> {
    let dims = read_header(path, &mut input)?;
    let header = 4 + 4 * dims.len() as u64;
    let shape = dims.iter().map(u32::to_string).collect::<Vec<_>>().join("×");
    let n_values = dims
        .iter()
        .try_fold(1u64, |product, &dim| product.checked_mul(u64::from(dim)))
        .filter(|&n| n <= gzip::MOST_BYTES)
        .ok_or_else(|| {
            malformed(path, 4, format!("at most {} values", grouped(gzip::MOST_BYTES)), format!("sizes {shape}"))
        })?;
    check(header + n_values)?;
    let values = read_exactly(path, input, header, n_values, &shape)?;
    Ok(Idx { dims: dims.iter().map(|&dim| dim as usize).collect(), values })
}

fn read_header(path: &Path, input: &mut impl Read) -> Result<Vec<u32>, LoadError> {
    let mut magic = [0; 4];
    fill(path, input, &mut magic, 0, "the four bytes that an IDX file begins with")?;
    let [zero, also_zero, kind, n_dims] = magic;
    if zero != 0 || also_zero != 0 {
        return Err(malformed(path, 0, "two zero bytes that an IDX file begins with", format!("{magic:02x?}")));
    }
    if kind != 0x08 {
        let found = format!("type 0x{kind:02x}{}", type_name(kind));
        return Err(malformed(path, 2, "type 0x08, unsigned bytes", found));
    }
    if !(1..=4).contains(&n_dims) {
        return Err(malformed(path, 3, "one to four dimensions", n_dims.to_string()));
    }
    let mut dims = Vec::new();
    for i in 0..u64::from(n_dims) {
        let mut size = [0; 4];
        fill(path, input, &mut size, 4 + 4 * i, "the size of a dimension, four bytes")?;
        dims.push(u32::from_be_bytes(size));
    }
    Ok(dims)
}

/// The types that the format knows besides unsigned bytes.
fn type_name(kind: u8) -> &'static str {
    match kind {
        0x09 => " (signed bytes)",
        0x0b => " (16-bit integers)",
        0x0c => " (32-bit integers)",
        0x0d => " (32-bit floats)",
        0x0e => " (64-bit floats)",
        _ => "",
    }
}

/// Fills a buffer; what is missing is told with its offset.
fn fill(path: &Path, input: &mut impl Read, buffer: &mut [u8], at: u64, expected: &str) -> Result<(), LoadError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => return Err(malformed(path, at + filled as u64, expected, "the end of the file")),
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(gzip::told(path, &e, at + filled as u64)),
        }
    }
    Ok(())
}

/// Reads `n` values and makes sure that nothing follows.
fn read_exactly(path: &Path, input: impl Read, header: u64, n: u64, shape: &str) -> Result<Vec<u8>, LoadError> {
    let mut values = Vec::new();
    let expected = || format!("{} values after the header, as its sizes {shape} say", grouped(n));
    values
        .try_reserve_exact(n as usize + 1)
        .map_err(|_| malformed(path, 4, "sizes that fit into memory", format!("sizes {shape}")))?;
    // One byte more than declared, to see whether the stream goes on; and the end, to have its checksum checked.
    if let Err(e) = input.take(n + 1).read_to_end(&mut values) {
        return Err(gzip::told(path, &e, header + values.len() as u64));
    }
    match values.len() as u64 {
        found if found < n => {
            Err(malformed(path, header + found, expected(), format!("the end after {}", grouped(found))))
        }
        found if found > n => Err(malformed(path, header + n, expected(), "more")),
        _ => Ok(values),
    }
}

fn check_plain(path: &Path, needed: u64, len: u64) -> Result<(), LoadError> {
    if needed == len {
        return Ok(());
    }
    let expected = format!("a file of {} bytes, as its header says", grouped(needed));
    Err(malformed(path, None, expected, format!("{} bytes", grouped(len))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    const SMALL: [u8; 18] = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 7, 9];

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read_bytes(bytes: &[u8]) -> Result<Idx, LoadError> {
        read(Path::new("x"), bytes.len() as u64, bytes)
    }

    fn problem(bytes: &[u8]) -> String {
        read_bytes(bytes).unwrap_err().to_string()
    }

    #[test]
    fn plain_and_gzipped_files_read_the_same() {
        let idx = Idx { dims: vec![1, 2, 1], values: vec![7, 9] };
        assert_eq!(read_bytes(&SMALL).unwrap(), idx);
        assert_eq!(read_bytes(&gz(&SMALL)).unwrap(), idx);
        // Two members, as some parallel compressors write them.
        assert_eq!(read_bytes(&[gz(&SMALL[..5]), gz(&SMALL[5..])].concat()).unwrap(), idx);
    }

    #[test]
    fn every_shorter_file_is_refused_and_every_longer_one() {
        for whole in [SMALL.to_vec(), gz(&SMALL)] {
            for cut in 0..whole.len() {
                assert!(read_bytes(&whole[..cut]).is_err(), "{cut} of {}", whole.len());
            }
            for more in [&[0u8][..], &[0; 9], &gzip::MAGIC, &whole] {
                assert!(read_bytes(&[&whole[..], more].concat()).is_err(), "{more:?}");
            }
        }
        assert!(read_bytes(&gz(&[&SMALL[..], &[1]].concat())).is_err());
    }

    #[test]
    fn what_is_wrong_is_told_with_place_expectation_and_finding() {
        assert_eq!(
            problem(&[]),
            "x: expected the four bytes that an IDX file begins with, found the end of the file at byte 0"
        );
        assert_eq!(
            problem(b"text"),
            "x: expected two zero bytes that an IDX file begins with, found [74, 65, 78, 74] at byte 0"
        );
        assert_eq!(
            problem(&[0, 0, 0x0d, 1]),
            "x: expected type 0x08, unsigned bytes, found type 0x0d (32-bit floats) at byte 2"
        );
        assert_eq!(problem(&[0, 0, 8, 9]), "x: expected one to four dimensions, found 9 at byte 3");
        assert_eq!(problem(&SMALL[..17]), "x: expected a file of 18 bytes, as its header says, found 17 bytes");
        let cut = problem(&gz(&SMALL[..17]));
        assert_eq!(
            cut,
            "x: expected 2 values after the header, as its sizes 1×2×1 say, found the end after 1 at byte 17"
        );
        let more = problem(&gz(&[&SMALL[..], &[1, 2, 3]].concat()));
        assert_eq!(more, "x: expected 2 values after the header, as its sizes 1×2×1 say, found more at byte 18");
    }

    #[test]
    fn a_header_that_asks_for_too_much_is_refused_before_memory_is_taken() {
        let greedy = [&[0, 0, 8, 3][..], &[0xff; 12]].concat();
        assert!(problem(&greedy).contains("at most 4,294,967,296 values"), "{}", problem(&greedy));
        let large = [0, 0, 8, 3, 0, 0, 0xea, 0x60, 0, 0, 0, 28, 0, 0, 0, 28];
        assert_eq!(problem(&large), "x: expected a file of 47,040,016 bytes, as its header says, found 16 bytes");
        let text = problem(&gz(&large));
        assert!(text.contains("a header that asks for 47,040,016"), "{text}");
    }

    #[test]
    fn a_bomb_is_read_no_further_than_it_declares() {
        /// Fails the test when more is read than a small file needs.
        struct Endless<'a>(&'a [u8], usize);
        impl Read for Endless<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.1 += buffer.len();
                assert!(self.1 < 1 << 20, "read {} bytes", self.1);
                if self.0.is_empty() {
                    buffer.fill(0);
                    return Ok(buffer.len());
                }
                self.0.read(buffer)
            }
        }
        let text = read_values(Path::new("x"), Endless(&SMALL, 0), &|_| Ok(())).unwrap_err().to_string();
        assert!(text.ends_with("found more at byte 18"), "{text}");
        let bomb = gz(&[&SMALL[..], &vec![0; 50_000_000]].concat());
        assert!(problem(&bomb).ends_with("found more at byte 18"));
    }

    #[test]
    fn a_damaged_checksum_is_noticed() {
        let mut bytes = gz(&SMALL);
        let last = bytes.len() - 5;
        bytes[last] ^= 1;
        assert!(problem(&bytes).contains("a sound gzip stream"), "{}", problem(&bytes));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), n_dims in 0u8..6) {
            let _ = read_bytes(&bytes);
            let _ = read_bytes(&[&[0, 0, 8, n_dims][..], &bytes].concat());
            let _ = read_bytes(&[&gzip::MAGIC[..], &[8, 0, 0, 0, 0, 0, 0, 0], &bytes].concat());
            let _ = read_bytes(&gz(&[&[0, 0, 8, n_dims][..], &bytes].concat()));
        }

        #[test]
        fn what_is_written_is_read(dims in prop::collection::vec(0usize..5, 1..5), compress in any::<bool>()) {
            let n: usize = dims.iter().product();
            let values: Vec<u8> = (0..n).map(|i| i as u8).collect();
            let mut bytes = vec![0, 0, 8, dims.len() as u8];
            dims.iter().for_each(|&dim| bytes.extend((dim as u32).to_be_bytes()));
            bytes.extend(&values);
            let bytes = if compress { gz(&bytes) } else { bytes };
            prop_assert_eq!(read_bytes(&bytes).unwrap(), Idx { dims, values });
        }
    }
}
