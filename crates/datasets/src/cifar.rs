//! CIFAR-10 and CIFAR-100 in the official binary layout (Krizhevsky 2009): records of a label byte (CIFAR-100: a coarse
//! and a fine one) and three planes of 32×32 bytes, red, green, blue. Here, and nowhere else, planes become pixels.
//!
//! The files are read from their folder or straight out of the official `.tar.gz`, from which nothing is ever written
//! to disk.

use crate::digest::Hashing;
use crate::idx::{known_places, parse_names, read_names};
use crate::problem::{grouped, malformed, unusable};
use crate::{files, gzip, parts};
use bakeoff_core::{Card, Dataset, FileRecord, Labelled, LoadError, Provenance, Splits, parallel};
use flate2::bufread::MultiGzDecoder;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Height and width of an image in pixels.
const SIDE: usize = 32;
/// Bytes of an image.
const IMAGE: usize = SIDE * SIDE * 3;
/// Records that a worker takes at a time.
const BLOCK: usize = 64;

/// One of the two official layouts.
#[derive(Debug)]
pub struct Layout {
    /// Bytes before the pixels of a record; the last one is the label.
    label_bytes: usize,
    /// The file of class names.
    names: &'static str,
    /// The file of test records.
    test: &'static str,
    /// What a file of training records is called.
    is_train: fn(&str) -> bool,
    /// The folder and the archive in which it is published.
    pub(crate) folder: &'static str,
    pub(crate) archive: &'static str,
    /// Classes of the published set.
    n_classes: usize,
    /// Training files of the published set, and records in each of its files.
    n_train_files: usize,
    records: (usize, usize),
}

/// CIFAR-10: `data_batch_1.bin` to `data_batch_5.bin`, `test_batch.bin`, `batches.meta.txt`.
pub static CIFAR_10: Layout = Layout {
    label_bytes: 1,
    names: "batches.meta.txt",
    test: "test_batch.bin",
    is_train: |name| name.starts_with("data_batch") && has_ending(name, ".bin"),
    folder: "cifar-10-batches-bin",
    archive: "cifar-10-binary.tar.gz",
    n_classes: 10,
    n_train_files: 5,
    records: (10_000, 10_000),
};

/// CIFAR-100 with its fine labels: `train.bin`, `test.bin`, `fine_label_names.txt`.
pub static CIFAR_100: Layout = Layout {
    label_bytes: 2,
    names: "fine_label_names.txt",
    test: "test.bin",
    is_train: |name| name == "train.bin",
    folder: "cifar-100-binary",
    archive: "cifar-100-binary.tar.gz",
    n_classes: 100,
    n_train_files: 1,
    records: (50_000, 10_000),
};

fn has_ending(name: &str, ending: &str) -> bool {
    name.len() > ending.len() && name.ends_with(ending)
}

/// A set in one of the two layouts.
#[derive(Debug, Clone)]
pub struct Cifar {
    pub(crate) card: Card,
    pub(crate) layout: &'static Layout,
    /// A folder or archive; `None` looks below the root for the published set, and wants all of it.
    pub(crate) place: Option<PathBuf>,
}

impl Cifar {
    /// The set in a folder, in the published folder within it, or in an archive; `None` when there is neither layout.
    pub fn at(path: &Path) -> Option<Self> {
        let layout = [&CIFAR_10, &CIFAR_100].into_iter().find(|layout| layout.find(path).is_some())?;
        let card = crate::source::local_card(path, "CIFAR records");
        Some(Self { card, layout, place: Some(path.to_owned()) })
    }
}

impl Dataset for Cifar {
    fn card(&self) -> &Card {
        &self.card
    }

    fn load(&self, root: &Path) -> Result<Splits, LoadError> {
        let places = match &self.place {
            Some(place) => vec![place.clone()],
            None => known_places(&self.card.name, &[], root),
        };
        let Some(place) = places.iter().find_map(|place| self.layout.find(place)) else {
            return Err(crate::catalogue::missing(&self.card, places));
        };
        let (path, set) = match &place {
            Where::Folder(folder) => (folder, read_folder(folder, self.layout)?),
            Where::Archive(archive) => (archive, read_archive_file(archive, self.layout)?),
        };
        if self.place.is_none() {
            set.check_complete(path)?;
        }
        set.into_splits(path)
    }
}

/// Where a set was found.
#[derive(Debug, PartialEq, Eq)]
enum Where {
    Folder(PathBuf),
    Archive(PathBuf),
}

impl Layout {
    /// The set at a path: a folder with its files, the published folder in it, the published archive in it, or an
    /// archive itself.
    fn find(&self, path: &Path) -> Option<Where> {
        let published = path.join(self.folder);
        let holds_set = |folder: &Path| files::names(folder).is_ok_and(|names| self.is_complete(&names));
        if let Some(folder) = [path, &published].into_iter().find(|folder| holds_set(folder)) {
            return Some(Where::Folder(folder.to_owned()));
        }
        let archive = if self.is_archive(path) { path.to_owned() } else { path.join(self.archive) };
        archive.is_file().then_some(Where::Archive(archive))
    }

    /// Whether a file is an archive by its name; one that says 100 is taken for CIFAR-100.
    fn is_archive(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let is_tar = [".tar.gz", ".tgz", ".tar"].iter().any(|ending| has_ending(&name, ending));
        is_tar && path.is_file() && name.contains("100") == (self.n_classes == 100)
    }

    /// Whether these names include a file of training and one of test records. One of the two is enough to
    /// recognise CIFAR-10, whose names are like no other's, so that what is missing can be told.
    fn is_complete(&self, names: &[String]) -> bool {
        let (train, test) =
            (names.iter().any(|name| (self.is_train)(name)), names.iter().any(|name| name == self.test));
        if self.n_train_files > 1 { train || test } else { train && test }
    }

    const fn record_bytes(&self) -> usize {
        self.label_bytes + IMAGE
    }
}

/// The files of a set, read but not yet put together.
#[derive(Debug)]
pub struct Set {
    layout: &'static Layout,
    names: Option<Vec<String>>,
    /// By file name.
    train: BTreeMap<String, Records>,
    test: Option<Records>,
    files: Vec<FileRecord>,
}

/// The records of one file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Records {
    /// One a record, not yet checked against the classes.
    labels: Vec<u8>,
    /// (n, 32, 32, 3).
    pixels: Vec<u8>,
}

/// Labels and pixels of the records in a file's bytes. `path` is for messages only.
fn parse_records(path: &Path, bytes: &[u8], layout: &Layout) -> Result<Records, LoadError> {
    let size = layout.record_bytes();
    let over = bytes.len() % size;
    if bytes.is_empty() || over > 0 {
        let found = format!("{} bytes, {over} more than a whole number of them", grouped(bytes.len() as u64));
        let found = if bytes.is_empty() { "an empty file".to_owned() } else { found };
        return Err(malformed(
            path,
            (bytes.len() - over) as u64,
            format!("records of {} bytes", grouped(size as u64)),
            found,
        ));
    }
    let labels = bytes.iter().skip(layout.label_bytes - 1).step_by(size).copied().collect();
    let mut pixels = vec![0; bytes.len() / size * IMAGE];
    let blocks = pixels.chunks_mut(BLOCK * IMAGE).zip(bytes.chunks(BLOCK * size));
    parallel::for_each(blocks.collect(), |(images, records)| {
        for (image, record) in images.chunks_exact_mut(IMAGE).zip(records.chunks_exact(size)) {
            interleave(&record[layout.label_bytes..], image);
        }
    });
    Ok(Records { labels, pixels })
}

/// Three planes to pixels of three channels.
fn interleave(planes: &[u8], image: &mut [u8]) {
    let (red, rest) = planes.split_at(SIDE * SIDE);
    let (green, blue) = rest.split_at(SIDE * SIDE);
    for (((pixel, &r), &g), &b) in image.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
        pixel.copy_from_slice(&[r, g, b]);
    }
}

fn read_folder(folder: &Path, layout: &'static Layout) -> Result<Set, LoadError> {
    let names = files::names(folder)?;
    let mut set = Set::new(layout);
    if names.iter().any(|name| name == layout.names) {
        let (classes, record) = read_names(folder, layout.names)?;
        set.names = Some(classes);
        set.files.push(record);
    }
    let wanted: Vec<&String> = names.iter().filter(|name| (layout.is_train)(name) || *name == layout.test).collect();
    let read = parallel::map(wanted.iter().collect(), |name| read_file(folder, name, layout));
    for (name, read) in wanted.into_iter().zip(read) {
        let (records, record) = read?;
        set.files.push(record);
        set.take(name, records);
    }
    Ok(set)
}

fn read_file(folder: &Path, name: &str, layout: &Layout) -> Result<(Records, FileRecord), LoadError> {
    let path = folder.join(name);
    let (file, len) = files::open(&path)?;
    let mut file = Hashing::new(file);
    let bytes = read_sized(&path, &mut file, len)?;
    Ok((parse_records(&path, &bytes, layout)?, file.record(name.to_owned())))
}

/// Reads `len` bytes that a header or the system promised.
fn read_sized(path: &Path, input: impl Read, len: u64) -> Result<Vec<u8>, LoadError> {
    if len > gzip::MOST_BYTES {
        let expected = format!("at most {} bytes", grouped(gzip::MOST_BYTES));
        return Err(malformed(path, None, expected, grouped(len)));
    }
    let mut bytes = Vec::new();
    let refused = |_| malformed(path, None, "a size that fits into memory", format!("{} bytes", grouped(len)));
    bytes.try_reserve_exact(len as usize).map_err(refused)?;
    input.take(len).read_to_end(&mut bytes).map_err(|e| gzip::told(path, &e, None))?;
    if (bytes.len() as u64) < len {
        let found = format!("the end after {}", grouped(bytes.len() as u64));
        return Err(malformed(path, bytes.len() as u64, format!("{} bytes", grouped(len)), found));
    }
    Ok(bytes)
}

fn read_archive_file(path: &Path, layout: &'static Layout) -> Result<Set, LoadError> {
    let (file, len) = files::open(path)?;
    let mut file = Hashing::new(file);
    let mut set = read_archive(path, len, &mut file, layout)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    set.files = vec![file.record(name)];
    Ok(set)
}

/// Reads a set out of a tar archive of `len` bytes, gzipped or not. Files are known by the last part of their name;
/// nothing is written anywhere. `path` is for messages only.
///
/// # Errors
/// [`LoadError::Malformed`] when the archive or a file in it is not what it should be.
pub fn read_archive(path: &Path, len: u64, input: impl Read, layout: &'static Layout) -> Result<Set, LoadError> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let is_compressed = input.fill_buf().map_err(|e| gzip::told(path, &e, 0))?.starts_with(&gzip::MAGIC);
    if is_compressed {
        let check = |needed| gzip::check(path, needed, len);
        read_tar(path, MultiGzDecoder::new(input), &check, layout)
    } else {
        let too_long = |needed: u64| malformed(path, None, format!("files of at most {len} bytes"), needed.to_string());
        let check = |needed| if needed <= len { Ok(()) } else { Err(too_long(needed)) };
        read_tar(path, input, &check, layout)
    }
}

/// Reads a set out of a tar stream. `check` compares the size that an entry's header states with what there can be.
fn read_tar(
    path: &Path,
    stream: impl Read,
    check: &dyn Fn(u64) -> Result<(), LoadError>,
    layout: &'static Layout,
) -> Result<Set, LoadError> {
    let mut set = Set::new(layout);
    // The bound is for what is passed over: an archive can hold as much as it likes besides the files that count.
    let mut stream = stream.take(gzip::MOST_BYTES);
    let mut archive = tar::Archive::new(&mut stream);
    // Raw: long names and sparse files are left alone, so that no header can ask for memory.
    for entry in archive.entries().map_err(|e| told_by_tar(path, &e))?.raw(true) {
        let mut entry = entry.map_err(|e| told_by_tar(path, &e))?;
        let Some(name) = plain_name(&entry) else { continue };
        if !layout.reads(&name) {
            continue;
        }
        let inner = path.join(&name);
        let size = entry.size();
        check(size)?;
        if set.has(&name) {
            return Err(malformed(path, None, format!("one file {name}"), "another one"));
        }
        set.add(path, &name, &read_sized(&inner, &mut entry, size)?)?;
    }
    // To the end, so that a checksum is checked and everything is hashed.
    io::copy(&mut stream, &mut io::sink()).map_err(|e| gzip::told(path, &e, None))?;
    if stream.limit() == 0 {
        let expected = format!("an archive of at most {} bytes", grouped(gzip::MOST_BYTES));
        return Err(malformed(path, None, expected, "more"));
    }
    Ok(set)
}

/// The last part of a regular file's name.
fn plain_name(entry: &tar::Entry<'_, impl Read>) -> Option<String> {
    if !entry.header().entry_type().is_file() {
        return None;
    }
    let path = entry.path_bytes();
    let name = path.rsplit(|&byte| byte == b'/').next()?;
    String::from_utf8(name.to_vec()).ok()
}

/// The tar reader calls every fault of its own "other".
fn told_by_tar(path: &Path, error: &io::Error) -> LoadError {
    match error.kind() {
        io::ErrorKind::Other => malformed(path, None, "a sound tar archive", error.to_string()),
        _ => gzip::told(path, error, None),
    }
}

impl Layout {
    fn reads(&self, name: &str) -> bool {
        name == self.names || name == self.test || (self.is_train)(name)
    }
}

impl Set {
    /// A set without files yet.
    pub fn new(layout: &'static Layout) -> Self {
        Self { layout, names: None, train: BTreeMap::new(), test: None, files: Vec::new() }
    }

    fn has(&self, name: &str) -> bool {
        let test = name == self.layout.test && self.test.is_some();
        test || (name == self.layout.names && self.names.is_some()) || self.train.contains_key(name)
    }

    /// Adds a file by its name and content; a file that the layout does not know is passed over. `path` is for messages
    /// only.
    ///
    /// # Errors
    /// [`LoadError::Malformed`] when it is no file of records or class names.
    pub fn add(&mut self, path: &Path, name: &str, bytes: &[u8]) -> Result<(), LoadError> {
        let inner = path.join(name);
        if name == self.layout.names {
            self.names = Some(parse_names(&inner, bytes)?);
        } else if self.layout.reads(name) {
            self.take(name, parse_records(&inner, bytes, self.layout)?);
        }
        Ok(())
    }

    fn take(&mut self, name: &str, records: Records) {
        if name == self.layout.test {
            self.test = Some(records);
        } else {
            self.train.insert(name.to_owned(), records);
        }
    }

    /// Makes sure that this is the whole published set.
    fn check_complete(&self, path: &Path) -> Result<(), LoadError> {
        let (layout, (train, test)) = (self.layout, self.layout.records);
        let train = self.train.iter().map(|(name, records)| (name.as_str(), records, train));
        let mut all = train.chain(self.test.iter().map(|records| (layout.test, records, test)));
        if let Some((name, records, expected)) = all.find(|(_, records, n)| records.labels.len() != *n) {
            let expected = format!("{} records, as in the published set", grouped(expected as u64));
            return Err(malformed(&path.join(name), None, expected, grouped(records.labels.len() as u64)));
        }
        if self.train.len() != layout.n_train_files {
            let expected = layout.n_train_files;
            let problem = format!("expected {expected} files of training records, found {}", self.train.len());
            return Err(unusable(path, problem));
        }
        Ok(())
    }

    /// The parts, with class ids checked. `path` is for messages only.
    ///
    /// # Errors
    /// [`LoadError`] when a part is missing, a label is out of range or a class has no image.
    pub fn into_splits(self, path: &Path) -> Result<Splits, LoadError> {
        let layout = self.layout;
        let mut provenance = Provenance { files: self.files, ..Provenance::default() };
        let classes = self.names.unwrap_or_else(|| {
            provenance.notes.push("classes are numbered: there is no file of class names".to_owned());
            parts::numbered(layout.n_classes)
        });
        let Some(test) = self.test else {
            return Err(unusable(path, format!("expected the file of test records, {}", layout.test)));
        };
        if self.train.is_empty() {
            return Err(unusable(path, "expected files of training records, found only test records"));
        }
        let train = joined(path, self.train, classes.len(), layout)?;
        let test = joined(path, BTreeMap::from([(layout.test.to_owned(), test)]), classes.len(), layout)?;
        parts::check(path, &classes, train.labels(), test.labels())?;
        provenance.notes.extend(parts::note_on_test(&classes, test.labels()));
        Ok(Splits { classes, train, validation: None, test, provenance })
    }
}

/// The records of several files as one part, in the order of their names.
fn joined(
    path: &Path,
    files: BTreeMap<String, Records>,
    n_classes: usize,
    layout: &Layout,
) -> Result<Labelled, LoadError> {
    let n = files.values().map(|records| records.labels.len()).sum();
    let mut pixels = Vec::new();
    let too_large = |_| unusable(path, format!("{n} images do not fit into memory"));
    pixels.try_reserve_exact(n * IMAGE).map_err(too_large)?;
    let mut ids = Vec::with_capacity(n);
    for (name, records) in files {
        if let Some(at) = records.labels.iter().position(|&label| usize::from(label) >= n_classes) {
            let found = format!("label {} in record {at}", records.labels[at]);
            let offset = (at * layout.record_bytes() + layout.label_bytes - 1) as u64;
            return Err(malformed(&path.join(name), offset, format!("a label below {n_classes}"), found));
        }
        ids.extend(records.labels.iter().map(|&label| usize::from(label)));
        pixels.extend_from_slice(&records.pixels);
    }
    parts::labelled(path, pixels, (n, SIDE, SIDE, 3), ids, n_classes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::fs;
    use std::io::Write;

    /// Records whose pixel at row y, column x, channel c of image i is distinct from its neighbours in every direction.
    fn records(labels: &[u8], layout: &Layout) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (i, &label) in labels.iter().enumerate() {
            bytes.extend(vec![0; layout.label_bytes - 1]);
            bytes.push(label);
            for c in 0..3 {
                bytes.extend((0..SIDE * SIDE).map(|p| value(i, p / SIDE, p % SIDE, c)));
            }
        }
        bytes
    }

    fn value(i: usize, y: usize, x: usize, c: usize) -> u8 {
        (i * 50 + y * 5 + x * 3 + c * 101) as u8
    }

    fn write_set(folder: &Path) {
        fs::write(folder.join("data_batch_1.bin"), records(&[0, 1], &CIFAR_10)).unwrap();
        fs::write(folder.join("data_batch_2.bin"), records(&[2, 1], &CIFAR_10)).unwrap();
        fs::write(folder.join("test_batch.bin"), records(&[1], &CIFAR_10)).unwrap();
        fs::write(folder.join("batches.meta.txt"), "cat\ndog\nelk\n\n").unwrap();
    }

    fn load(path: &Path) -> Result<Splits, LoadError> {
        Cifar::at(path).unwrap().load(Path::new("unused"))
    }

    fn problem(path: &Path) -> String {
        load(path).unwrap_err().to_string().replace(&format!("{}/", path.display()), "")
    }

    fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_ustar();
            // Written by hand, because the builder refuses names that lead out of the folder.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn small_archive() -> Vec<u8> {
        let (train, test) = (records(&[0, 1], &CIFAR_10), records(&[1], &CIFAR_10));
        tar_of(&[
            ("cifar-10-batches-bin/data_batch_1.bin", &train),
            ("cifar-10-batches-bin/readme.html", b"<html>"),
            ("cifar-10-batches-bin/test_batch.bin", &test),
            ("cifar-10-batches-bin/batches.meta.txt", b"cat\ndog\n"),
        ])
    }

    fn from_archive(bytes: &[u8]) -> Result<Splits, LoadError> {
        let path = Path::new("x.tar.gz");
        read_archive(path, bytes.len() as u64, bytes, &CIFAR_10)?.into_splits(path)
    }

    #[test]
    fn planes_become_pixels() {
        let folder = tempfile::tempdir().unwrap();
        write_set(folder.path());
        let splits = load(folder.path()).unwrap();
        assert_eq!(splits.classes, ["cat", "dog", "elk"]);
        assert_eq!(splits.train.labels().as_slice(), [0, 1, 2, 1]);
        assert_eq!(splits.train.images().shape(), (32, 32, 3));
        let pixels = splits.train.images().view().pixels();
        for (y, x, c) in [(0, 0, 0), (0, 1, 0), (1, 0, 0), (31, 7, 2), (5, 31, 1)] {
            assert_eq!(pixels[(1, y, x, c)], value(1, y, x, c), "row {y}, column {x}, channel {c}");
        }
        let files: Vec<_> = splits.provenance.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(files, ["batches.meta.txt", "data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"]);
        assert_eq!(splits.provenance.notes, ["the test part has no image of class cat, elk"]);
    }

    #[test]
    fn the_fine_label_of_cifar_100_counts() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = |labels: &[u8]| {
            let mut bytes = records(labels, &CIFAR_100);
            bytes.iter_mut().step_by(CIFAR_100.record_bytes()).for_each(|coarse| *coarse = 19);
            bytes
        };
        fs::write(folder.path().join("train.bin"), bytes(&[1, 0])).unwrap();
        fs::write(folder.path().join("test.bin"), bytes(&[0])).unwrap();
        fs::write(folder.path().join("fine_label_names.txt"), "a\nb\n").unwrap();
        let splits = load(folder.path()).unwrap();
        assert_eq!(splits.train.labels().as_slice(), [1, 0]);
        assert_eq!(splits.train.images().view().pixels()[(0, 1, 2, 1)], value(0, 1, 2, 1));
    }

    #[test]
    fn an_archive_gives_what_its_files_give() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("cifar-10-binary.tar.gz");
        fs::write(&archive, gz(&small_archive())).unwrap();
        let splits = load(&archive).unwrap();
        assert_eq!(splits.classes, ["cat", "dog"]);
        assert_eq!(splits.train.images().view().pixels()[(1, 3, 9, 2)], value(1, 3, 9, 2));
        assert_eq!(splits.provenance.files.len(), 1);
        assert_eq!(splits.provenance.files[0].path, "cifar-10-binary.tar.gz");
        assert_eq!(load(folder.path()).unwrap(), splits);
        assert_eq!(from_archive(&small_archive()).unwrap().train, splits.train);
        let renamed = folder.path().join("mine.tgz");
        fs::rename(&archive, &renamed).unwrap();
        assert_eq!(load(&renamed).unwrap().train, splits.train);
        assert!(Cifar::at(folder.path()).is_none());
    }

    #[test]
    fn a_hostile_archive_writes_nothing_and_is_told() {
        let evil = tar_of(&[("../../evil/data_batch_1.bin", &records(&[0, 1], &CIFAR_10)), ("/etc/evil", b"x")]);
        let text = from_archive(&gz(&evil)).unwrap_err().to_string();
        assert_eq!(text, "x.tar.gz: expected the file of test records, test_batch.bin");
        let twice = tar_of(&[("a/batches.meta.txt", b"a"), ("b/batches.meta.txt", b"b")]);
        let text = from_archive(&gz(&twice)).unwrap_err().to_string();
        assert_eq!(text, "x.tar.gz: expected one file batches.meta.txt, found another one");
    }

    #[test]
    fn a_size_that_an_archive_cannot_hold_is_refused_before_memory_is_taken() {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..14].copy_from_slice(b"test_batch.bin");
        header.set_size(3 << 30);
        header.set_cksum();
        for bytes in [header.as_bytes().to_vec(), gz(header.as_bytes())] {
            let text = from_archive(&bytes).unwrap_err().to_string();
            assert!(text.contains("expected") && text.contains("at most"), "{text}");
        }
    }

    #[test]
    fn no_cut_archive_is_read_as_a_whole_one() {
        let whole = gz(&small_archive());
        assert!(from_archive(&whole).is_ok());
        for cut in 0..whole.len() {
            assert!(from_archive(&whole[..cut]).is_err(), "{cut}");
        }
        // Uncompressed there is no checksum; what follows the last file's blocks is padding.
        let whole = small_archive();
        let needed = whole.len() - 2 * 512 - (512 - 8);
        for cut in (0..needed).step_by(97).chain(needed - 3..needed) {
            assert!(from_archive(&whole[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn every_cut_file_is_refused_but_at_whole_records() {
        let whole = records(&[0, 1], &CIFAR_10);
        for cut in 0..whole.len() {
            let read = parse_records(Path::new("x"), &whole[..cut], &CIFAR_10);
            assert_eq!(read.is_ok(), cut == 3073, "{cut}");
        }
        let text = parse_records(Path::new("x"), &whole[..3080], &CIFAR_10).unwrap_err().to_string();
        assert_eq!(
            text,
            "x: expected records of 3,073 bytes, found 3,080 bytes, 7 more than a whole number of them at byte 3073"
        );
        let text = parse_records(Path::new("x"), &[], &CIFAR_10).unwrap_err().to_string();
        assert_eq!(text, "x: expected records of 3,073 bytes, found an empty file at byte 0");
    }

    #[test]
    fn wrong_labels_and_missing_files_are_told() {
        let folder = tempfile::tempdir().unwrap();
        write_set(folder.path());
        let path = folder.path();
        fs::write(path.join("data_batch_2.bin"), records(&[2, 9], &CIFAR_10)).unwrap();
        assert_eq!(problem(path), "data_batch_2.bin: expected a label below 3, found label 9 in record 1 at byte 3073");
        fs::write(path.join("data_batch_2.bin"), records(&[1, 1], &CIFAR_10)).unwrap();
        assert!(problem(path).contains("class `elk` has no training image"));
        fs::remove_file(path.join("batches.meta.txt")).unwrap();
        assert!(problem(path).contains("classes `2`, `3`"), "{}", problem(path));
        fs::remove_file(path.join("test_batch.bin")).unwrap();
        assert!(problem(path).contains("expected the file of test records, test_batch.bin"));
        assert!(Cifar::at(&path.join("nowhere")).is_none());
    }

    #[test]
    fn the_published_set_must_be_whole() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("cifar-10").join("cifar-10-batches-bin");
        fs::create_dir_all(&folder).unwrap();
        write_set(&folder);
        let named =
            Cifar { card: crate::source::local_card(Path::new("cifar-10"), ""), layout: &CIFAR_10, place: None };
        let text = named.load(root.path()).unwrap_err().to_string();
        assert!(text.contains("data_batch_1.bin: expected 10,000 records, as in the published set, found 2"), "{text}");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), at in 0usize..2048, value: u8) {
            let _ = from_archive(&bytes);
            let _ = from_archive(&gz(&bytes));
            let mut damaged = small_archive();
            damaged[at] = value;
            let _ = from_archive(&damaged);
        }
    }
}
