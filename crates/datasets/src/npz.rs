//! `.npz` files: archives (zip) of numpy's `.npy` arrays, in the layout of MedMNIST (Yang et al. 2023, MedMNIST v2,
//! arXiv:2110.14795): `train_images`, `train_labels`, `val_…`, `test_…`.
//!
//! Images are unsigned bytes, (n, height, width) or (n, height, width, channels) with 1 or 3 channels; labels are whole
//! numbers from 0 on, (n) or (n, 1). Keras's names (`x_train`, `y_train`, …) are understood too, and `images` with
//! `labels` where a file has no parts. Without a test part the training part is split as folders are. Classes are numbered unless the
//! file has their names in an array of text, `class_names` or `classes`.
//!
//! An entry's sizes are stated three times: in the archive's directory, in the array's header and by the stream. They
//! must agree, and memory is taken only for what the compressed bytes can hold.

mod array;
pub mod header;
mod options;

pub use options::NpzOptions;

use crate::digest::hash_file;
use crate::folder::{split_note, stratify};
use crate::problem::{self, counted, grouped, malformed, unusable};
use crate::{files, parts};
use array::{Array, Room};
use bakeoff_core::{Card, Dataset, Labelled, LoadError, Provenance, Seed, Splits};
use std::io::{self, BufReader, Read, Seek};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use zip::ZipArchive;
use zip::result::ZipError;

/// Names of the arrays of a part: those of MedMNIST and those of Keras.
const TRAIN: [[&str; 2]; 2] = [["train_images", "train_labels"], ["x_train", "y_train"]];
const VALIDATION: [[&str; 2]; 2] = [["val_images", "val_labels"], ["x_val", "y_val"]];
const TEST: [[&str; 2]; 2] = [["test_images", "test_labels"], ["x_test", "y_test"]];
/// Of a file without parts.
const WHOLE: [[&str; 2]; 2] = [["images", "labels"], ["x", "y"]];
/// Of an array of class names.
const CLASS_NAMES: [&str; 2] = ["class_names", "classes"];
/// Entries that an archive may have.
const MOST_ENTRIES: usize = 10_000;

/// An archive of arrays as a dataset.
#[derive(Debug, Clone)]
pub struct Npz {
    card: Card,
    path: PathBuf,
    options: NpzOptions,
}

impl Npz {
    /// The set in a file. `options.npz` is what the user wrote; `path` is where that is.
    pub fn at(path: &Path, options: NpzOptions) -> Self {
        Self { card: crate::source::local_card(path, "arrays"), path: path.to_owned(), options }
    }
}

/// Whether a path is called like an archive of arrays.
pub(crate) fn is_npz_name(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"))
}

impl Dataset for Npz {
    fn card(&self) -> &Card {
        &self.card
    }

    fn load(&self, _root: &Path) -> Result<Splits, LoadError> {
        let (file, len) = files::open(&self.path)?;
        let mut splits = read(&self.path, len, BufReader::new(file), &self.options)?;
        let (bytes, sha256) = hash_file(&self.path)?;
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        splits.provenance.files.push(bakeoff_core::FileRecord { path: name, bytes, sha256 });
        Ok(splits)
    }
}

/// Reads an archive of `len` bytes. `path` is for messages only.
///
/// # Errors
/// [`LoadError::Malformed`] when it is no archive, is damaged, or an array is not of the kind that is needed;
/// [`LoadError::Unusable`] when it is no dataset.
pub fn read(path: &Path, len: u64, input: impl Read + Seek, options: &NpzOptions) -> Result<Splits, LoadError> {
    // The archive's reader is not ours, and no file may end the program.
    panic::catch_unwind(AssertUnwindSafe(|| Archive::open(path, len, input)?.into_splits(options))).unwrap_or_else(
        |_| Err(malformed(path, None, "a sound .npz archive", "bytes that its reader cannot cope with")),
    )
}

/// An archive and what is known of it.
struct Archive<'a, R> {
    path: &'a Path,
    len: u64,
    zip: ZipArchive<R>,
    /// Names of the arrays, without `.npy`, by position.
    names: Vec<String>,
    used: Vec<usize>,
}

impl<'a, R: Read + Seek> Archive<'a, R> {
    fn open(path: &'a Path, len: u64, input: R) -> Result<Self, LoadError> {
        let zip = ZipArchive::new(input).map_err(|e| not_sound(path, e))?;
        if zip.len() > MOST_ENTRIES || zip.has_duplicate_names() {
            let found = if zip.has_duplicate_names() { "a name twice".to_owned() } else { grouped(zip.len() as u64) };
            return Err(malformed(path, None, format!("at most {MOST_ENTRIES} arrays, each with a name"), found));
        }
        let name = |i| {
            let name = zip.name_for_index(i).and_then(Result::ok).unwrap_or_default();
            name.strip_suffix(".npy").unwrap_or(&name).to_owned()
        };
        let names = (0..zip.len()).map(name).collect();
        Ok(Self { path, len, zip, names, used: Vec::new() })
    }

    /// The path of an array, for messages.
    fn place(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.npy"))
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    fn array(&mut self, position: usize) -> Result<Array, LoadError> {
        let place = self.place(&self.names[position].clone());
        self.used.push(position);
        let len = self.len;
        let entry = self.zip.by_index(position).map_err(|e| not_sound(&place, e))?;
        let room = Room { packed: entry.compressed_size(), unpacked: entry.size() };
        if room.packed > len {
            let expected = format!("at most the {} bytes that the archive has", grouped(len));
            return Err(malformed(&place, None, expected, format!("an entry of {}", grouped(room.packed))));
        }
        Array::read(&place, room, entry)
    }

    /// The two arrays of a part by either of their names, if there are any.
    fn part(&mut self, names: &[[&str; 2]; 2]) -> Result<Option<Part>, LoadError> {
        for [images, labels] in names {
            match (self.position(images), self.position(labels)) {
                (None, None) => {}
                (Some(images), Some(labels)) => {
                    let places = [images, labels].map(|position| self.place(&self.names[position].clone()));
                    let arrays = [self.array(images)?, self.array(labels)?];
                    return Part::new(places, arrays).map(Some);
                }
                (Some(_), None) => return Err(self.lacks(labels, images)),
                (None, Some(_)) => return Err(self.lacks(images, labels)),
            }
        }
        Ok(None)
    }

    fn lacks(&self, missing: &str, there: &str) -> LoadError {
        unusable(self.path, format!("it has `{there}` but no `{missing}`; it holds {}", self.listed()))
    }

    fn listed(&self) -> String {
        let names: Vec<String> = self.names.iter().map(|name| format!("`{name}`")).collect();
        if names.is_empty() { "nothing".to_owned() } else { parts::first_few(&names) }
    }

    fn into_splits(mut self, options: &NpzOptions) -> Result<Splits, LoadError> {
        let (train, validation, test) = (self.part(&TRAIN)?, self.part(&VALIDATION)?, self.part(&TEST)?);
        let train = match train {
            Some(train) => train,
            None if test.is_none() && validation.is_none() => self.part(&WHOLE)?.ok_or_else(|| self.no_dataset())?,
            None => return Err(self.no_dataset()),
        };
        let mut notes = Vec::new();
        let classes = self.classes(&train, &mut notes)?;
        let shape = train.shape;
        let mut build = |part: Part| part.labelled(shape, classes.len());
        let train = build(train)?;
        let validation = validation.map(&mut build).transpose()?.filter(|part| !part.is_empty());
        let (train, test) = match test.map(&mut build).transpose()? {
            Some(test) => (train, test),
            None => self.split(train, &classes, options, &mut notes)?,
        };
        parts::check(self.path, &classes, train.labels(), test.labels())?;
        notes.extend(parts::note_on_test(&classes, test.labels()));
        let passed = self.names.len() - self.used.len();
        if passed > 0 {
            notes.push(format!("{} passed over", counted(passed, "other array")));
        }
        Ok(Splits { classes, train, validation, test, provenance: Provenance { notes, ..Provenance::default() } })
    }

    fn no_dataset(&self) -> LoadError {
        let expected = "expected the arrays `train_images` and `train_labels` (with `val_…` and `test_…`), or `images` and `labels`";
        unusable(self.path, format!("{expected}; it holds {}", self.listed()))
    }

    /// The classes: named by the file, or numbered up to the greatest training label.
    fn classes(&mut self, train: &Part, notes: &mut Vec<String>) -> Result<Vec<String>, LoadError> {
        for name in CLASS_NAMES {
            if let Some(position) = self.position(name) {
                let place = self.place(name);
                let names = self.array(position)?.names(&place)?;
                return crate::idx::distinct(&place, names);
            }
        }
        let greatest = train.labels.iter().copied().max().unwrap_or(0);
        let n_classes = usize::try_from(greatest).map_or(usize::MAX, |greatest| greatest.saturating_add(1));
        if n_classes > train.labels.len().max(1) {
            let expected =
                format!("labels from 0 on, of {} at most as many classes", counted(train.labels.len(), "image"));
            return Err(malformed(&train.places[1], None, expected, format!("label {greatest}")));
        }
        notes.push("classes are numbered: the file has no `class_names`".to_owned());
        Ok(parts::numbered(n_classes))
    }

    /// Cuts a test part from the training part.
    fn split(
        &self,
        train: Labelled,
        classes: &[String],
        options: &NpzOptions,
        notes: &mut Vec<String>,
    ) -> Result<(Labelled, Labelled), LoadError> {
        let share = options.test_share.get();
        let is_test = stratify(train.labels().as_slice(), classes, share, Seed(options.seed))
            .map_err(|problem| unusable(self.path, format!("it has no test part, and {problem}")))?;
        let of = |wanted: bool| -> Vec<usize> { (0..is_test.len()).filter(|&i| is_test[i] == wanted).collect() };
        let (kept, cut) = (of(false), of(true));
        notes.push(split_note(options.seed, kept.len(), cut.len(), share));
        Ok((train.select(&kept), train.select(&cut)))
    }
}

/// A part as it was read.
struct Part {
    /// Of images and labels, for messages.
    places: [PathBuf; 2],
    /// (n, height, width, channels).
    shape: (usize, usize, usize, usize),
    pixels: Vec<u8>,
    labels: Vec<i128>,
}

impl Part {
    fn new(places: [PathBuf; 2], [images, labels]: [Array; 2]) -> Result<Self, LoadError> {
        let shape = match *images.header.shape.as_slice() {
            [n, height, width] => (n, height, width, 1),
            [n, height, width, channels @ (1 | 3)] => (n, height, width, channels),
            _ => {
                let sizes = images.header.sizes();
                let expected = "images of n×height×width, or n×height×width×channels with 1 or 3 channels";
                let hint = match *images.header.shape.as_slice() {
                    [_, 1 | 3, ..] => " (channels come last)",
                    [_, _, _, depth] if depth > 4 => " (volumes are no images)",
                    _ => "",
                };
                return Err(malformed(&places[0], None, expected, format!("sizes {sizes}{hint}")));
            }
        };
        let labels = labels.labels(&places[1])?;
        if labels.len() != shape.0 {
            let expected = format!("{} labels, one for each image", shape.0);
            return Err(malformed(&places[1], None, expected, labels.len().to_string()));
        }
        let pixels = images.into_bytes(&places[0])?;
        Ok(Self { places, shape, pixels, labels })
    }

    /// Images with labels; all but their number must be as in the training part.
    fn labelled(self, train: (usize, usize, usize, usize), n_classes: usize) -> Result<Labelled, LoadError> {
        let size = |(_, height, width, channels)| (height, width, channels);
        if size(self.shape) != size(train) {
            let shown = |(height, width, channels)| format!("images of {height}×{width}×{channels}");
            let expected = format!("{} as in the training part", shown(size(train)));
            return Err(malformed(&self.places[0], None, expected, shown(size(self.shape))));
        }
        let id = |(position, &label): (usize, &i128)| match usize::try_from(label) {
            Ok(id) if id < n_classes => Ok(id),
            _ => {
                let expected = format!("a label from 0 up to, not including, {n_classes}");
                Err(malformed(&self.places[1], None, expected, format!("label {label} for image {position}")))
            }
        };
        let ids = self.labels.iter().enumerate().map(id).collect::<Result<Vec<_>, _>>()?;
        parts::labelled(&self.places[0], self.pixels, self.shape, ids, n_classes)
    }
}

/// What the archive's reader said: what does not fit is the file's fault, everything else is not.
fn not_sound(path: &Path, error: ZipError) -> LoadError {
    match error {
        ZipError::Io(error) => told(path, &error),
        ZipError::UnsupportedArchive(what) => malformed(path, None, "an archive that numpy writes", what),
        ZipError::CompressionMethodNotSupported(method) => {
            malformed(path, None, "entries that are stored or deflated", format!("compression method {method}"))
        }
        other => malformed(path, None, "a .npz archive", other.to_string()),
    }
}

/// What reading an entry said.
fn told(path: &Path, error: &io::Error) -> LoadError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => malformed(path, None, "a whole entry of the archive", "its end"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            malformed(path, None, "a sound entry of the archive", error.to_string())
        }
        kind => problem::io(path, io::Error::new(kind, error.to_string())),
    }
}
