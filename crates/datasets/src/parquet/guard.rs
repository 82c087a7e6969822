//! What stands between a file and the Parquet library, which believes the sizes in page headers.
//!
//! A page says what it unpacks to and how many values a dictionary has, and the library takes memory for both before it
//! looks further. A page is refused here when it would unpack to much more than its bytes, which images, being
//! compressed, never do; a dictionary when it claims more values than its bytes can hold.

use ::parquet::column::page::{Page, PageMetadata, PageReader};
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;
use std::io::{Cursor, Read};

/// Bytes that any page may unpack to.
const PAGE: u64 = 32 << 20;
/// How often its own bytes a larger page may unpack to.
const GREATEST_RATIO: u64 = 32;
/// Bytes that a page header's first three numbers take at most: a field's head and a variable-length number each.
const HEADER_START: u64 = 3 * 6;

/// A file whose page headers are looked at as they are read.
pub(super) struct Watched<R>(pub(super) R);

impl<R: ChunkReader> Length for Watched<R> {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl<R: ChunkReader> ChunkReader for Watched<R> {
    type T = std::io::Chain<Cursor<Vec<u8>>, R::T>;

    /// Only page headers are read this way (and the eight bytes at the end of a file).
    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut read = self.0.get_read(start)?;
        let mut head = Vec::new();
        read.by_ref().take(HEADER_START).read_to_end(&mut head)?;
        if let Some((unpacked, packed)) = page_sizes(&head)
            && unpacked > PAGE.max(packed.saturating_mul(GREATEST_RATIO))
        {
            let problem = format!("a page of {packed} bytes that claims to unpack to {unpacked}");
            return Err(ParquetError::General(problem));
        }
        Ok(Cursor::new(head).chain(read))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        // The length is from the file's metadata: it is compared with the file before memory is taken.
        if start.checked_add(length as u64).is_none_or(|end| end > self.0.len()) {
            let problem = format!("{length} bytes from byte {start} on, of a file of {}", self.0.len());
            return Err(ParquetError::EOF(problem));
        }
        self.0.get_bytes(start, length)
    }
}

/// (unpacked, packed) bytes of a page from the start of its header: Thrift's compact form of fields 1 to 3, each a
/// 32-bit number: type, uncompressed_page_size, compressed_page_size (parquet.thrift, PageHeader).
fn page_sizes(head: &[u8]) -> Option<(u64, u64)> {
    let mut rest = head;
    let mut next = || {
        // One field further on, of type i32.
        rest = rest.strip_prefix(&[0x15])?;
        let mut zigzag = 0u64;
        for shift in (0..35).step_by(7) {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            zigzag |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // An odd number is negative, which the library refuses.
                return (zigzag % 2 == 0).then_some(zigzag / 2);
            }
        }
        None
    };
    let (_, unpacked, packed) = (next()?, next()?, next()?);
    Some((unpacked, packed))
}

/// Pages whose dictionaries are looked at before they are taken apart.
pub(super) struct Checked(pub(super) Box<dyn PageReader>);

impl PageReader for Checked {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.0.get_next_page()?;
        // Every value of a dictionary takes four bytes at least: a number, or the length of a text.
        if let Some(Page::DictionaryPage { buf, num_values, .. }) = &page
            && u64::from(*num_values) * 4 > buf.len() as u64
        {
            let problem = format!("a dictionary of {} bytes that claims {num_values} values", buf.len());
            return Err(ParquetError::General(problem));
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.0.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.0.skip_next_page()
    }
}

impl Iterator for Checked {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_the_start_of_a_header() {
        // Type 0, 300 unpacked (zigzag 600 = 0xd8 0x04), 5 packed.
        assert_eq!(page_sizes(&[0x15, 0, 0x15, 0xd8, 0x04, 0x15, 10, 0x2c]), Some((300, 5)));
        assert_eq!(page_sizes(&[0x15, 0, 0x15, 0xff, 0xff]), None);
        assert_eq!(page_sizes(b"PAR1"), None);
        assert_eq!(page_sizes(&[0x15, 0, 0x15, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]), None);
    }

    #[test]
    fn a_page_that_claims_too_much_is_refused() {
        // 2^30 bytes out of five.
        let greedy = [0x15, 0, 0x15, 0x80, 0x80, 0x80, 0x80, 0x08, 0x15, 10];
        assert_eq!(page_sizes(&greedy), Some((1 << 30, 5)));
        let told = Watched(Bytes::from(greedy.to_vec())).get_read(0).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(told.contains("a page of 5 bytes that claims to unpack to 1073741824"), "{told}");
        let mut back = Vec::new();
        Watched(Bytes::from_static(b"plain bytes that are longer than a header"))
            .get_read(3)
            .unwrap()
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, b"in bytes that are longer than a header");
        assert!(Watched(Bytes::from_static(b"short")).get_bytes(3, 3).is_err());
        assert!(Watched(Bytes::from_static(b"short")).get_bytes(u64::MAX, 3).is_err());
    }
}
