//! A folder of IDX files as a dataset: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-…` and, where there
//! are, `validation-…`, each plain or `.gz`, with `-idx3` or `.idx3`.

use super::{Idx, read_recorded};
use crate::problem::{malformed, unusable};
use crate::{files, parts};
use bakeoff_core::{Card, Dataset, FileRecord, Labelled, LoadError, Provenance, Splits, parallel};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file that names the classes, one a line, where a set brings such a file.
const CLASS_NAMES: &str = "classes.txt";

/// IDX files in a folder.
///
/// Class names come from `classes.txt` where it is; else classes are numbered from 0 to the greatest training label.
#[derive(Debug, Clone)]
pub struct IdxFolder {
    pub(crate) card: Card,
    /// Where the files are.
    pub(crate) place: Place,
    /// What their names begin with before `train-…`; `None` takes the only beginning that there is.
    pub(crate) prefix: Option<&'static str>,
    /// The classes, where the set is known.
    pub(crate) classes: Option<&'static [&'static str]>,
    /// The label of the first class.
    pub(crate) first_label: u8,
}

/// Where a set's files are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In this folder.
    Here(PathBuf),
    /// In the folder of the set's name below the root, or else in one of these.
    Known(&'static [&'static str]),
}

impl IdxFolder {
    /// The set in a folder.
    pub fn at(folder: &Path) -> Self {
        let card = crate::source::local_card(folder, "IDX files");
        Self { card, place: Place::Here(folder.to_owned()), prefix: None, classes: None, first_label: 0 }
    }

    /// The folder that holds the set's files.
    fn folder(&self, root: &Path) -> Result<PathBuf, LoadError> {
        let places = match &self.place {
            Place::Here(folder) => return Ok(folder.clone()),
            Place::Known(others) => known_places(&self.card.name, others, root),
        };
        let holds_set = |place: &PathBuf| find(place, self.prefix).is_ok_and(|found| !found.is_empty());
        places
            .iter()
            .find(|place| holds_set(place))
            .cloned()
            .ok_or_else(|| crate::catalogue::missing(&self.card, places))
    }
}

/// The folders where a named set may be: below the root first.
pub(crate) fn known_places(name: &str, others: &[&str], root: &Path) -> Vec<PathBuf> {
    std::iter::once(root.join(name)).chain(others.iter().map(PathBuf::from)).collect()
}

impl Dataset for IdxFolder {
    fn card(&self) -> &Card {
        &self.card
    }

    fn load(&self, root: &Path) -> Result<Splits, LoadError> {
        let folder = self.folder(root)?;
        let found = find(&folder, self.prefix)?;
        let pairs = Part::ALL.map(|part| paired(&folder, &found, part)).into_iter().collect::<Result<Vec<_>, _>>()?;
        let read = |pair: &Option<[&String; 2]>| pair.map(|names| Raw::read(&folder, names)).transpose();
        let raw = parallel::map(pairs.iter().collect(), read).into_iter().collect::<Result<Vec<_>, _>>()?;
        self.assemble(&folder, raw)
    }
}

impl IdxFolder {
    /// The set from its parts, in the order of [`Part::ALL`].
    fn assemble(&self, folder: &Path, raw: Vec<Option<Raw>>) -> Result<Splits, LoadError> {
        let files = raw.iter().flatten().flat_map(|part| part.records.clone()).collect();
        let mut provenance = Provenance { files, ..Provenance::default() };
        let classes = self.class_names(folder, raw.first().and_then(Option::as_ref), &mut provenance)?;
        let is_transposed = self.is_transposed(&provenance);
        let meaning = Meaning { n_classes: classes.len(), first_label: self.first_label, is_transposed };
        let mut built = Vec::new();
        let mut shape = None;
        for part in raw {
            built.push(part.map(|raw| raw.labelled(meaning, &mut shape)).transpose()?);
        }
        let mut built = built.into_iter();
        let (Some(Some(train)), Some(Some(test)), validation) = (built.next(), built.next(), built.next().flatten())
        else {
            return Err(unusable(folder, "expected a training and a test part"));
        };
        parts::check(folder, &classes, train.labels(), test.labels())?;
        if is_transposed {
            provenance.notes.push("EMNIST stores its images on their side: each was transposed".to_owned());
        }
        provenance.notes.extend(parts::note_on_test(&classes, test.labels()));
        Ok(Splits { classes, train, validation, test, provenance })
    }

    /// All EMNIST files hold their images column by column, unlike everybody else's.
    fn is_transposed(&self, provenance: &Provenance) -> bool {
        let is_emnist = |name: &str| name.to_lowercase().starts_with("emnist");
        self.prefix.is_some_and(is_emnist) || provenance.files.iter().any(|file| is_emnist(&file.path))
    }

    fn class_names(
        &self,
        folder: &Path,
        train: Option<&Raw>,
        provenance: &mut Provenance,
    ) -> Result<Vec<String>, LoadError> {
        if let Some(names) = self.classes {
            return Ok(names.iter().map(ToString::to_string).collect());
        }
        if files::names(folder)?.iter().any(|name| name == CLASS_NAMES) {
            let (names, record) = read_names(folder, CLASS_NAMES)?;
            provenance.files.push(record);
            return Ok(names);
        }
        let greatest = train.and_then(|raw| raw.labels.values.iter().max());
        provenance.notes.push(format!("classes are numbered: the folder has no {CLASS_NAMES}"));
        Ok(parts::numbered(greatest.map_or(0, |&label| usize::from(label) + 1)))
    }
}

/// Class names from a text file, one a line; empty lines do not count.
pub(crate) fn read_names(folder: &Path, name: &str) -> Result<(Vec<String>, FileRecord), LoadError> {
    /// No list of classes is longer.
    const MOST_BYTES: u64 = 1 << 20;
    let path = folder.join(name);
    let (file, len) = files::open(&path)?;
    if len > MOST_BYTES {
        return Err(malformed(&path, None, "class names, one a line", format!("{len} bytes")));
    }
    let mut file = crate::digest::Hashing::new(file);
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes).map_err(|e| crate::problem::io(&path, e))?;
    Ok((parse_names(&path, &bytes)?, file.record(name.to_owned())))
}

/// Class names from the text of a file.
pub(crate) fn parse_names(path: &Path, bytes: &[u8]) -> Result<Vec<String>, LoadError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| malformed(path, e.valid_up_to() as u64, "class names in UTF-8", "other bytes"))?;
    distinct(path, text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// The names, if no two of them are the same.
pub(crate) fn distinct(path: &Path, names: Vec<String>) -> Result<Vec<String>, LoadError> {
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(malformed(path, None, "a name for each class", format!("`{}` twice", pair[0]))),
        None => Ok(names),
    }
}

/// How labels and pixels are to be read.
#[derive(Clone, Copy)]
struct Meaning {
    n_classes: usize,
    first_label: u8,
    is_transposed: bool,
}

/// The two files of a part as they were read.
struct Raw {
    images: Idx,
    labels: Idx,
    images_path: PathBuf,
    labels_path: PathBuf,
    records: [FileRecord; 2],
}

impl Raw {
    fn read(folder: &Path, [images, labels]: [&String; 2]) -> Result<Self, LoadError> {
        let (images_path, labels_path) = (folder.join(images), folder.join(labels));
        let (a, b) =
            rayon::join(|| read_recorded(&images_path, images.clone()), || read_recorded(&labels_path, labels.clone()));
        let ((images, a), (labels, b)) = (a?, b?);
        Ok(Self { images, labels, images_path, labels_path, records: [a, b] })
    }

    /// Images with labels; `shape` is that of the parts before, if any.
    fn labelled(self, meaning: Meaning, shape: &mut Option<(usize, usize, usize)>) -> Result<Labelled, LoadError> {
        let (n, height, width, channels) = self.image_shape()?;
        let found = if meaning.is_transposed { (width, height, channels) } else { (height, width, channels) };
        let expected = *shape.get_or_insert(found);
        if expected != found {
            let sizes = |(h, w, c)| format!("images of {h}×{w}×{c}");
            let expected = format!("{} as in the training part", sizes(expected));
            return Err(malformed(&self.images_path, 4, expected, sizes(found)));
        }
        let ids = self.ids(n, meaning)?;
        let mut pixels = self.images.values;
        if meaning.is_transposed {
            transpose(&mut pixels, height, width, channels);
        }
        let (height, width, channels) = found;
        parts::labelled(&self.images_path, pixels, (n, height, width, channels), ids, meaning.n_classes)
    }

    /// (n, height, width, channels) as the file has them.
    fn image_shape(&self) -> Result<(usize, usize, usize, usize), LoadError> {
        let shape = match *self.images.dims.as_slice() {
            [n, height, width] => (n, height, width, 1),
            [n, height, width, channels @ (1 | 3)] => (n, height, width, channels),
            ref dims => {
                let expected = "images of n×height×width, or n×height×width×channels with 1 or 3 channels";
                return Err(malformed(&self.images_path, 3, expected, format!("sizes {dims:?}")));
            }
        };
        if shape.0 == 0 {
            return Err(unusable(&self.images_path, "the file declares no images"));
        }
        Ok(shape)
    }

    /// A class id for each of `n` images.
    fn ids(&self, n: usize, meaning: Meaning) -> Result<Vec<usize>, LoadError> {
        let path = &self.labels_path;
        let &[n_labels] = self.labels.dims.as_slice() else {
            return Err(malformed(path, 3, "labels in one dimension", format!("sizes {:?}", self.labels.dims)));
        };
        if n_labels != n {
            let expected = format!("{n} labels, one for each image of {}", self.images_path.display());
            return Err(malformed(path, 4, expected, n_labels.to_string()));
        }
        let (first, last) = (meaning.first_label, usize::from(meaning.first_label) + meaning.n_classes);
        let id = |(position, &label): (usize, &u8)| match usize::from(label).checked_sub(usize::from(first)) {
            Some(id) if id < meaning.n_classes => Ok(id),
            _ => {
                let expected = format!("a label from {first} up to, not including, {last}");
                let found = format!("label {label} for image {position}");
                // The header of a list is eight bytes long.
                Err(malformed(path, 8 + position as u64, expected, found))
            }
        };
        self.labels.values.iter().enumerate().map(id).collect()
    }
}

/// Exchanges rows and columns of every image.
fn transpose(pixels: &mut [u8], height: usize, width: usize, channels: usize) {
    let images = pixels.chunks_exact_mut((height * width * channels).max(1));
    parallel::for_each(images.collect(), |image| {
        let before = image.to_vec();
        for (i, value) in image.iter_mut().enumerate() {
            let (pixel, channel) = (i / channels, i % channels);
            let (row, column) = (pixel / height, pixel % height);
            *value = before[(column * width + row) * channels + channel];
        }
    });
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Train,
    Test,
    Validation,
}

impl Part {
    /// In the order in which they are assembled.
    const ALL: [Self; 3] = [Self::Train, Self::Test, Self::Validation];

    const fn file_word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "t10k",
            Self::Validation => "validation",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Images,
    Labels,
}

type Found = BTreeMap<(Part, Kind), String>;

/// Whether a file's name is one of those that IDX sets use.
pub fn is_idx_name(name: &str) -> bool {
    parse_name(name).is_some()
}

/// What a file's name says: what it begins with, its part and its kind.
fn parse_name(name: &str) -> Option<(String, Part, Kind)> {
    let lower = name.to_ascii_lowercase();
    let stem = lower.strip_suffix(".gz").unwrap_or(&lower);
    let words: Vec<&str> = stem.split(['-', '_', '.']).collect();
    let is_format = |word: &&str| word.starts_with("idx") || *word == "ubyte";
    words.iter().find(|word| is_format(word))?;
    let part_of = |word: &str| match word {
        "train" => Some(Part::Train),
        "t10k" | "test" => Some(Part::Test),
        "val" | "valid" | "validation" => Some(Part::Validation),
        _ => None,
    };
    let kind_of = |word: &str| match word {
        "images" => Some(Kind::Images),
        "labels" => Some(Kind::Labels),
        _ => None,
    };
    let at = words.iter().position(|word| part_of(word).is_some())?;
    let (part, kind) = (part_of(words[at])?, words[at + 1..].iter().find_map(|word| kind_of(word))?);
    Some((words[..at].join("-"), part, kind))
}

/// The IDX files of a folder by part and kind. Where a file is there both plain and compressed, the plain one is taken.
fn find(folder: &Path, prefix: Option<&str>) -> Result<Found, LoadError> {
    let mut sets: BTreeMap<String, Found> = BTreeMap::new();
    for name in files::names(folder)? {
        if let Some((beginning, part, kind)) = parse_name(&name) {
            // Names come sorted, so that the plain one comes first and stays.
            sets.entry(beginning).or_default().entry((part, kind)).or_insert(name);
        }
    }
    if let Some(prefix) = prefix {
        // Somebody who has only this set may have taken the beginning off.
        return Ok(sets.remove(prefix).or_else(|| sets.remove("")).unwrap_or_default());
    }
    if sets.len() > 1 {
        let names: Vec<String> = sets.keys().map(|name| format!("`{name}`")).collect();
        let problem = format!(
            "the folder holds the files of several sets, beginning with {}: give each its own folder",
            names.join(", ")
        );
        return Err(unusable(folder, problem));
    }
    Ok(sets.into_values().next().unwrap_or_default())
}

/// The names of a part's two files; `None` when there is no validation part.
fn paired<'a>(folder: &Path, found: &'a Found, part: Part) -> Result<Option<[&'a String; 2]>, LoadError> {
    let word = part.file_word();
    match [Kind::Images, Kind::Labels].map(|kind| found.get(&(part, kind))) {
        [Some(images), Some(labels)] => Ok(Some([images, labels])),
        [None, None] if part == Part::Validation => Ok(None),
        [Some(images), None] => Err(absent(folder, format!("the file of labels for {images}"), word, "labels-idx1")),
        [_, labels] => {
            let what = labels.map_or_else(
                || format!("the file of {word} images"),
                |labels| format!("the file of images for {labels}"),
            );
            Err(absent(folder, what, word, "images-idx3"))
        }
    }
}

fn absent(folder: &Path, what: String, part: &str, kind: &str) -> LoadError {
    let hint = format!("expected {part}-{kind}-ubyte or {part}-{kind}-ubyte.gz");
    LoadError::Missing { what, looked_in: vec![folder.to_owned()], hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Writes a file of this header and values.
    fn write(folder: &Path, name: &str, dims: &[u32], values: &[u8]) {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
        bytes.extend(values);
        fs::write(folder.join(name), bytes).unwrap();
    }

    /// Two training images and one test image of 2×3, classes 0 and 1.
    fn small_set() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "train-images-idx3-ubyte", &[2, 2, 3], &(0..12).collect::<Vec<_>>());
        write(folder.path(), "train-labels-idx1-ubyte", &[2], &[1, 0]);
        write(folder.path(), "t10k-images.idx3-ubyte", &[1, 2, 3], &[50; 6]);
        write(folder.path(), "t10k-labels.idx1-ubyte", &[1], &[1]);
        folder
    }

    fn load(folder: &Path) -> Result<Splits, LoadError> {
        IdxFolder::at(folder).load(Path::new("unused"))
    }

    fn problem(folder: &Path) -> String {
        load(folder).unwrap_err().to_string().replace(&format!("{}/", folder.display()), "")
    }

    #[test]
    fn a_folder_of_idx_files_is_a_dataset() {
        let folder = small_set();
        let splits = load(folder.path()).unwrap();
        assert_eq!(splits.classes, ["0", "1"]);
        assert_eq!(splits.train.images().shape(), (2, 3, 1));
        assert_eq!(splits.train.images().view().image(1), [6, 7, 8, 9, 10, 11]);
        assert_eq!(splits.train.labels().as_slice(), [1, 0]);
        assert_eq!(splits.test.labels().as_slice(), [1]);
        assert_eq!(splits.provenance.files.len(), 4);
        assert_eq!(splits.provenance.files[1].path, "train-labels-idx1-ubyte");
        let notes = &splits.provenance.notes;
        assert_eq!(notes[0], "classes are numbered: the folder has no classes.txt");
        assert_eq!(notes[1], "the test part has no image of class 0");
    }

    #[test]
    fn class_names_come_from_their_file() {
        let folder = small_set();
        fs::write(folder.path().join("classes.txt"), "cat\r\ndog\n\n").unwrap();
        let splits = load(folder.path()).unwrap();
        assert_eq!(splits.classes, ["cat", "dog"]);
        assert_eq!(splits.provenance.files[4].path, "classes.txt");
        fs::write(folder.path().join("classes.txt"), "cat\ncat").unwrap();
        assert!(problem(folder.path()).contains("classes.txt: expected a name for each class, found `cat` twice"));
        fs::write(folder.path().join("classes.txt"), b"c\xff").unwrap();
        assert!(problem(folder.path()).contains("class names in UTF-8, found other bytes at byte 1"));
        fs::write(folder.path().join("classes.txt"), "cat").unwrap();
        let text = problem(folder.path());
        assert_eq!(
            text,
            "train-labels-idx1-ubyte: expected a label from 0 up to, not including, 1, found label 1 for image 0 at byte 8"
        );
    }

    #[test]
    fn color_images_and_a_validation_part_are_read() {
        let folder = small_set();
        for (part, n) in [("train", 2), ("t10k", 1)] {
            fs::remove_file(folder.path().join(format!("{part}-images-idx3-ubyte"))).ok();
            fs::remove_file(folder.path().join(format!("{part}-images.idx3-ubyte"))).ok();
            write(folder.path(), &format!("{part}-images-idx4-ubyte"), &[n, 1, 2, 3], &vec![n as u8; n as usize * 6]);
        }
        write(folder.path(), "validation-images-idx4-ubyte", &[1, 1, 2, 3], &[1, 2, 3, 4, 5, 6]);
        write(folder.path(), "validation-labels-idx1-ubyte", &[1], &[0]);
        let splits = load(folder.path()).unwrap();
        assert_eq!(splits.train.images().shape(), (1, 2, 3));
        let validation = splits.validation.unwrap();
        assert_eq!(validation.images().view().image(0), [1, 2, 3, 4, 5, 6]);
        write(folder.path(), "validation-images-idx4-ubyte", &[1, 2, 1, 3], &[0; 6]);
        assert!(
            problem(folder.path()).contains("expected images of 1×2×3 as in the training part, found images of 2×1×3")
        );
    }

    #[test]
    fn files_that_do_not_belong_together_are_refused() {
        let folder = small_set();
        let path = folder.path();
        write(path, "t10k-labels.idx1-ubyte", &[2], &[0, 1]);
        assert!(
            problem(path).contains("t10k-labels.idx1-ubyte: expected 1 labels, one for each image of"),
            "{}",
            problem(path)
        );
        write(path, "t10k-labels.idx1-ubyte", &[1], &[2]);
        assert!(problem(path).contains("found label 2 for image 0 at byte 8"));
        write(path, "t10k-labels.idx1-ubyte", &[1, 1], &[0]);
        assert!(problem(path).contains("labels in one dimension, found sizes [1, 1]"));
        fs::remove_file(path.join("t10k-labels.idx1-ubyte")).unwrap();
        assert!(problem(path).starts_with("the file of labels for t10k-images.idx3-ubyte is not there"));
        fs::remove_file(path.join("t10k-images.idx3-ubyte")).unwrap();
        assert!(problem(path).starts_with("the file of t10k images is not there"), "{}", problem(path));
    }

    #[test]
    fn sets_that_cannot_be_learned_from_are_refused() {
        let folder = small_set();
        let path = folder.path();
        write(path, "train-labels-idx1-ubyte", &[2], &[0, 0]);
        write(path, "t10k-labels.idx1-ubyte", &[1], &[0]);
        assert!(problem(path).contains("expected at least two classes, found only `0`"));
        write(path, "train-labels-idx1-ubyte", &[2], &[0, 3]);
        assert!(problem(path).contains("classes `1`, `2` have no training image"));
        write(path, "train-images-idx3-ubyte", &[0, 2, 3], &[]);
        write(path, "train-labels-idx1-ubyte", &[0], &[]);
        assert!(problem(path).contains("the file declares no images"));
        write(path, "train-images-idx3-ubyte", &[2, 6], &[0; 12]);
        assert!(problem(path).contains("1 or 3 channels, found sizes [2, 6]"));
        write(path, "train-images-idx3-ubyte", &[2, 0, 3], &[]);
        write(path, "train-labels-idx1-ubyte", &[2], &[0, 1]);
        assert!(problem(path).contains("have no pixels"), "{}", problem(path));
    }

    #[test]
    fn names_say_part_and_kind() {
        let parse = parse_name;
        assert_eq!(parse("train-images-idx3-ubyte"), Some((String::new(), Part::Train, Kind::Images)));
        assert_eq!(parse("t10k-labels.idx1-ubyte.gz"), Some((String::new(), Part::Test, Kind::Labels)));
        let emnist = parse("emnist-digits-test-images-idx3-ubyte.gz");
        assert_eq!(emnist, Some(("emnist-digits".to_owned(), Part::Test, Kind::Images)));
        assert_eq!(parse("train-images.png"), None);
        assert_eq!(parse("images-idx3-ubyte"), None);
    }

    #[test]
    fn emnist_is_turned_upright() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for part in ["train", "test"] {
            write(
                path,
                &format!("emnist-digits-{part}-images-idx3-ubyte"),
                &[2, 3, 2],
                &[1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0],
            );
            write(path, &format!("emnist-digits-{part}-labels-idx1-ubyte"), &[2], &[0, 1]);
        }
        let splits = load(path).unwrap();
        assert_eq!(splits.train.images().shape(), (2, 3, 1));
        assert_eq!(splits.train.images().view().image(0), [1, 3, 5, 2, 4, 6]);
        assert!(splits.provenance.notes.iter().any(|note| note.contains("transposed")));
        write(path, "train-images-idx3-ubyte", &[1, 1, 1], &[0]);
        assert!(problem(path).contains("several sets, beginning with ``, `emnist-digits`"), "{}", problem(path));
    }
}
