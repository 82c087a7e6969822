//! Parquet files of images, as Hugging Face publishes datasets: a column of images as the bytes of PNG, JPEG … files
//! (`struct {bytes, path}` or plain binary) and a column of labels (whole numbers, with class names in the metadata, or
//! text). The files' names say which part they hold; without a test part the images are split as folders are.
//!
//! Images are decoded, brought to one size and told about as those of a folder are; see [`crate::folder`].
//!
//! Parquet is read by the `parquet` crate without arrow, column by column and batch by batch: what is in memory at once
//! is a page or two, and the pixels that are kept. The crate believes sizes in page headers, which `guard` checks
//! before, and panics on some damaged files; such a panic is caught here and told as an error. Codecs: none, Snappy, gzip and
//! zstd. Its build takes most of this crate's build time; that is the price of the format.

mod columns;
mod guard;
mod layout;
mod options;
mod values;

pub use options::ParquetOptions;

pub(crate) use layout::holds_tables;

use crate::digest::hash_file;
use crate::folder::{self, Assembly, Entry, Fit, Gathered, Listing, Loaded, Part};
use crate::problem::{counted, malformed, unusable};
use crate::{decode, files, parts};
use ::parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use ::parquet::file::reader::{ChunkReader, FileReader};
use ::parquet::file::serialized_reader::SerializedFileReader;
use bakeoff_core::{Card, Dataset, FileRecord, LoadError, Splits, parallel};
use bytes::Bytes;
use columns::{Columns, Kind};
use guard::Watched;
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use values::{for_each_batch, not_sound};

/// Images in Parquet files as a dataset.
#[derive(Debug, Clone)]
pub struct Parquet {
    card: Card,
    path: PathBuf,
    options: ParquetOptions,
}

impl Parquet {
    /// The set in a file or folder. `options.parquet` is what the user wrote; `path` is where that is.
    pub fn at(path: &Path, options: ParquetOptions) -> Self {
        Self { card: crate::source::local_card(path, "images in Parquet files"), path: path.to_owned(), options }
    }
}

impl Dataset for Parquet {
    fn card(&self) -> &Card {
        &self.card
    }

    fn load(&self, _root: &Path) -> Result<Splits, LoadError> {
        if let Some(problem) = self.options.as_folder().problems().into_iter().find(|problem| problem.key != "folder") {
            return Err(unusable(&self.path, problem.to_string()));
        }
        let found = layout::find(&self.path)?;
        let mut tables = Vec::new();
        let mut records = Vec::new();
        for file in found {
            let (bytes, sha256) = hash_file(&file.path)?;
            records.push(FileRecord { path: file.shown.clone(), bytes, sha256 });
            let open = guarded(&file.path, || {
                let (input, _) = files::open(&file.path)?;
                Table::open(&file.path, &file.shown, file.part, input, &self.options)
            })?;
            tables.push(open);
        }
        assemble(&self.path, tables, records, &self.options)
    }
}

/// Reads one file that is in memory; without parts, so it is split. `path` is for messages only.
///
/// # Errors
/// [`LoadError`] when it is no sound Parquet file, has no images and labels, or is no dataset.
pub fn read(path: &Path, bytes: Vec<u8>, options: &ParquetOptions) -> Result<Splits, LoadError> {
    let table = guarded(path, || Table::open(path, &path.to_string_lossy(), None, Bytes::from(bytes), options))?;
    assemble(path, vec![table], Vec::new(), options)
}

/// Turns a panic of the library into an error: it is not ours, and no file may end the program.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, LoadError>) -> Result<T, LoadError> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(malformed(path, None, "a sound Parquet file", "bytes that its reader cannot cope with"))
    })
}

/// A label as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Id(i64),
    Text(String),
}

/// A file that is open, with the labels and names of its rows.
struct Table {
    path: PathBuf,
    shown: String,
    part: Option<Part>,
    file: Box<dyn FileReader>,
    columns: Columns,
    labels: Vec<Option<Label>>,
    /// The name beside an image; empty where there is none.
    names: Vec<String>,
}

impl Table {
    fn open(
        path: &Path,
        shown: &str,
        part: Option<Part>,
        input: impl ChunkReader + 'static,
        options: &ParquetOptions,
    ) -> Result<Self, LoadError> {
        let file = SerializedFileReader::new(Watched(input)).map_err(|e| not_sound(path, &e))?;
        let columns = Columns::of(path, file.metadata().file_metadata(), options)?;
        let mut labels = Vec::new();
        let text = |value: ByteArray| String::from_utf8_lossy(value.data()).into_owned();
        match columns.kind {
            Kind::Int32 => for_each_batch::<Int32Type>(path, &file, columns.label, &mut |batch| {
                labels.extend(batch.into_iter().map(|value| value.map(|id| Label::Id(id.into()))));
                Ok(())
            })?,
            Kind::Int64 => for_each_batch::<Int64Type>(path, &file, columns.label, &mut |batch| {
                labels.extend(batch.into_iter().map(|value| value.map(Label::Id)));
                Ok(())
            })?,
            Kind::Text => for_each_batch::<ByteArrayType>(path, &file, columns.label, &mut |batch| {
                labels.extend(batch.into_iter().map(|value| value.map(|value| Label::Text(text(value)))));
                Ok(())
            })?,
        }
        // −1 is what `datasets` writes for an unknown class.
        let is_known = |label: &Label| *label != Label::Id(-1) || columns.classes.is_none();
        labels.iter_mut().for_each(|label| *label = label.take().filter(is_known));
        let mut names = Vec::new();
        if let Some(leaf) = columns.path {
            for_each_batch::<ByteArrayType>(path, &file, leaf, &mut |batch| {
                names.extend(batch.into_iter().map(|value| value.map(text).unwrap_or_default()));
                Ok(())
            })?;
        }
        names.resize(labels.len(), String::new());
        let (path, shown) = (path.to_owned(), shown.to_owned());
        Ok(Self { path, shown, part, file: Box::new(file), columns, labels, names })
    }

    /// What a row is called.
    fn name(&self, row: usize) -> String {
        let name = self.names.get(row).map_or("", String::as_str);
        let beside = if name.is_empty() { String::new() } else { format!(" ({name})") };
        format!("{} row {row}{beside}", self.shown)
    }

    /// Hands the images over as the bytes of their files, with their row.
    fn for_each_image(
        &self,
        take: &mut dyn FnMut(usize, Vec<Option<ByteArray>>) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        let n = self.labels.len();
        let mut row = 0;
        guarded(&self.path, || {
            for_each_batch::<ByteArrayType>(&self.path, self.file.as_ref(), self.columns.image, &mut |batch| {
                let first = row;
                row += batch.len();
                if row > n {
                    return Err(malformed(&self.path, None, format!("an image for each of {n} labels"), "more"));
                }
                take(first, batch)
            })
        })?;
        if row < n {
            return Err(malformed(&self.path, None, format!("an image for each of {n} labels"), row.to_string()));
        }
        Ok(())
    }

    /// The size of the images, when they all have the one of `first` (or of the first image) and it is small.
    fn own_size(&self, first: &mut Option<(usize, usize)>) -> Result<bool, LoadError> {
        let mut is_one = true;
        let stop = || unusable(&self.path, "several sizes");
        let read = self.for_each_image(&mut |_, batch| {
            // What cannot be read has no size; it is told later, with all others.
            let measure = |bytes: &Option<ByteArray>| decode::measure(&self.path, bytes.as_ref()?.data()).ok();
            for size in parallel::map(batch.iter().collect(), measure).into_iter().flatten() {
                is_one &= *first.get_or_insert(size) == size && size.0.max(size.1) <= folder::SMALL_SIDE;
            }
            // Nothing that follows can change the answer.
            if is_one { Ok(()) } else { Err(stop()) }
        });
        if is_one { read.map(|()| true) } else { Ok(false) }
    }

    /// Decodes all images.
    fn decode(
        &self,
        ids: &[usize],
        part: Option<Part>,
        (size, fit): ((usize, usize), Fit),
        into: &mut Gathered,
    ) -> Result<(), LoadError> {
        self.for_each_image(&mut |first, batch| {
            let decode = |bytes: &Option<ByteArray>| match bytes {
                Some(bytes) => Loaded::decode(&self.path, bytes.data(), size, fit),
                None => Err(malformed(&self.path, None, "the bytes of an image", "null")),
            };
            let loaded = parallel::map(batch.iter().collect(), decode);
            for (row, image) in (first..).zip(loaded) {
                let entry = Entry { part, class_id: ids[row], path: self.path.clone(), shown: self.name(row) };
                into.take(entry, image);
            }
            Ok(())
        })
    }
}

/// Puts the images of all files together.
fn assemble(
    place: &Path,
    mut tables: Vec<Table>,
    records: Vec<FileRecord>,
    options: &ParquetOptions,
) -> Result<Splits, LoadError> {
    let mut notes = Vec::new();
    leave_out_unlabelled(&mut tables, &mut notes);
    let has = |part| tables.iter().any(|table| table.part == Some(part));
    let has_parts = has(Part::Test);
    if !tables.iter().any(|table| matches!(table.part, None | Some(Part::Train))) {
        return Err(unusable(place, "expected a training part with labels, found none"));
    }
    if !has_parts && has(Part::Train) {
        notes.push("there is no test part with labels: one is cut from the training part".to_owned());
    }
    let classes = classes(place, &tables, &mut notes)?;
    let n = tables.iter().map(|table| table.labels.len()).sum();
    let as_folder = options.as_folder();
    let size = match options.size {
        Some(size) => size,
        None => own_size(&tables)?.unwrap_or(folder::USUAL_SIZE),
    };
    folder::check_memory(place, n, size)?;
    let mut gathered = Gathered::default();
    for table in &tables {
        let part = table.part.filter(|&part| has_parts || part == Part::Validation);
        let ids = table.ids(&classes)?;
        table.decode(&ids, part, (size, options.fit), &mut gathered)?;
    }
    let listing = Listing { classes, entries: Vec::new(), has_parts, notes };
    Assembly { place, options: &as_folder, size }.assemble(listing, gathered, records)
}

/// Passes over parts of which no row has a label, as published test parts often are.
fn leave_out_unlabelled(tables: &mut Vec<Table>, notes: &mut Vec<String>) {
    for part in [Part::Test, Part::Validation] {
        let of_part = || tables.iter().filter(|table| table.part == Some(part));
        let n: usize = of_part().map(|table| table.labels.len()).sum();
        if n > 0 && of_part().flat_map(|table| &table.labels).all(Option::is_none) {
            tables.retain(|table| table.part != Some(part));
            notes.push(format!("{} of the {} part passed over: none has a label", counted(n, "image"), part.word()));
        }
    }
}

/// The classes: those that the metadata names, the texts of the labels in the order of their bytes, or numbers.
fn classes(place: &Path, tables: &[Table], notes: &mut Vec<String>) -> Result<Vec<String>, LoadError> {
    let Some(first) = tables.first() else {
        return Err(unusable(place, "expected Parquet files with labels, found none"));
    };
    let differs =
        |table: &&Table| table.columns.classes != first.columns.classes || table.columns.kind != first.columns.kind;
    if let Some(other) = tables.iter().find(differs) {
        return Err(unusable(place, format!("{} and {} have different classes or labels", first.shown, other.shown)));
    }
    if let Some(names) = &first.columns.classes {
        return Ok(names.clone());
    }
    let known: BTreeSet<&Label> = tables.iter().flat_map(|table| table.labels.iter().flatten()).collect();
    let n: usize = tables.iter().map(|table| table.labels.len()).sum();
    match known.last() {
        Some(Label::Id(greatest)) => {
            let n_classes = usize::try_from(*greatest).map_or(0, |greatest| greatest.saturating_add(1));
            if n_classes > n {
                let expected = format!("labels from 0 on, of {} at most as many classes", counted(n, "image"));
                return Err(malformed(place, None, expected, format!("label {greatest}")));
            }
            notes.push("classes are numbered: the files do not name them".to_owned());
            Ok(parts::numbered(n_classes))
        }
        _ => Ok(known.into_iter().filter_map(Label::text).collect()),
    }
}

impl Label {
    fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Id(_) => None,
        }
    }
}

/// The size of all images, when they have the same and it is small.
fn own_size(tables: &[Table]) -> Result<Option<(usize, usize)>, LoadError> {
    let mut first = None;
    for table in tables {
        if !table.own_size(&mut first)? {
            return Ok(None);
        }
    }
    Ok(first)
}

impl Table {
    /// The class id of each row.
    fn ids(&self, classes: &[String]) -> Result<Vec<usize>, LoadError> {
        let id = |(row, label): (usize, &Option<Label>)| {
            let found = match label {
                Some(Label::Id(id)) => usize::try_from(*id).ok().filter(|&id| id < classes.len()),
                Some(Label::Text(text)) => classes.binary_search(text).ok(),
                None => None,
            };
            let wrong = || match label {
                Some(Label::Id(id)) => format!("label {id}"),
                _ => "no label".to_owned(),
            };
            found.ok_or_else(|| {
                let expected = format!("a label from 0 up to, not including, {} in row {row}", classes.len());
                malformed(&self.path, None, expected, wrong())
            })
        };
        self.labels.iter().enumerate().map(id).collect()
    }
}
