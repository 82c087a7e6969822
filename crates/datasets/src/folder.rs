//! Folders of images: `train/CLASS/*` and `test/CLASS/*`, with `validation/CLASS/*` where there is one; or `CLASS/*`
//! with a seeded, stratified split. Images of mixed sizes and modes are brought to one; everything that is done is told
//! in the notes.
//!
//! Classes and files are in the order of the bytes of their names, whatever the system's order and the number of
//! threads.

mod fit;
mod listing;
mod options;
mod resize;
mod split;

pub use options::{Colour, Fit, FolderOptions, OnError};

pub(crate) use listing::has_sub_folders;

use crate::decode::{self, Facts};
use crate::problem::{counted, grouped, malformed, unusable};
use crate::{digest, files, parts};
use bakeoff_core::{Card, Dataset, FileRecord, Labelled, LoadError, Provenance, Seed, Splits};
use fit::Fitting;
use listing::{Entry, Listing, Part};
use rayon::prelude::*;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The size that images get when they have several or are large.
const USUAL_SIZE: (usize, usize) = (64, 64);
/// A side up to which images of one size keep it.
const SMALL_SIDE: usize = 64;
/// Bytes that all pixels together may take.
const MOST_BYTES: usize = 8 << 30;
/// Bytes that an image file may have.
const LARGEST_FILE: u64 = 1 << 30;

/// A folder of images as a dataset.
#[derive(Debug, Clone)]
pub struct ImageFolder {
    card: Card,
    folder: PathBuf,
    options: FolderOptions,
}

impl ImageFolder {
    /// The images in a folder. `options.folder` is what the user wrote; `folder` is where that is.
    pub fn at(folder: &Path, options: FolderOptions) -> Self {
        Self { card: crate::source::local_card(folder, "a folder of images"), folder: folder.to_owned(), options }
    }
}

impl Dataset for ImageFolder {
    fn card(&self) -> &Card {
        &self.card
    }

    fn load(&self, _root: &Path) -> Result<Splits, LoadError> {
        if let Some(problem) = self.options.problems().into_iter().find(|problem| problem.key != "folder") {
            return Err(unusable(&self.folder, problem.to_string()));
        }
        let listing = listing::list(&self.folder)?;
        let size = self.options.size.unwrap_or_else(|| own_size(&listing.entries).unwrap_or(USUAL_SIZE));
        let n_bytes = listing.entries.len().saturating_mul(size.0 * size.1 * 3);
        if n_bytes > MOST_BYTES {
            let (n, gigabytes) = (counted(listing.entries.len(), "image"), n_bytes >> 30);
            let problem = format!("{n} of {}×{} take {gigabytes} GB: ask for a smaller `size`", size.0, size.1);
            return Err(unusable(&self.folder, problem));
        }
        let read: Vec<_> =
            listing.entries.par_iter().map(|entry| read_image(&entry.path, size, self.options.fit)).collect();
        let mut gathered = Gathered::default();
        for (entry, result) in listing.entries.iter().zip(read) {
            match result {
                Ok(image) => gathered.images.push((entry.clone(), image)),
                Err(error) => gathered.unreadable.push((entry.shown.clone(), in_words(&error))),
            }
        }
        self.assemble(listing, gathered, size)
    }
}

/// One image file as a model wants it: (height, width, channels) bytes, fitted and with as many channels as a folder of
/// such images would have given. `channels` is 1 or 3.
///
/// # Errors
/// [`LoadError`] when it cannot be read or is no image.
pub fn read_fitted(
    path: &Path,
    (height, width, channels): (usize, usize, usize),
    how: Fit,
) -> Result<Vec<u8>, LoadError> {
    let loaded = read_image(path, (height, width), how)?;
    Ok(if channels == 1 { fit::luma(&loaded.rgb) } else { loaded.rgb })
}

/// The image files at a path, in the order of the bytes of their names: itself where it is a file, whatever its name;
/// all those below it by their endings where it is a folder.
///
/// # Errors
/// [`LoadError`] when it is not there, cannot be read, or is a folder without an image.
pub fn image_files(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    if !std::fs::metadata(path).map_err(|e| crate::problem::io(path, e))?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let found = listing::below(path)?;
    if found.is_empty() { Err(unusable(path, "there is no image in it")) } else { Ok(found) }
}

/// The size of all images, when they have the same and it is small.
fn own_size(entries: &[Entry]) -> Option<(usize, usize)> {
    let measure = |entry: &Entry| decode::measure(&entry.path, &read_file(&entry.path).ok()?).ok();
    let first = entries.iter().find_map(measure)?;
    let is_small = first.0 <= SMALL_SIDE && first.1 <= SMALL_SIDE;
    // What cannot be read has no size; it is told later, with all others.
    let is_other = |entry: &Entry| measure(entry).is_some_and(|size| size != first);
    (is_small && !entries.par_iter().any(is_other)).then_some(first)
}

/// An image in its final size.
struct Loaded {
    /// (height, width, 3).
    rgb: Vec<u8>,
    facts: Facts,
    fitting: Fitting,
    bytes: u64,
    sha256: String,
}

fn read_image(path: &Path, size: (usize, usize), how: Fit) -> Result<Loaded, LoadError> {
    let bytes = read_file(path)?;
    let picture = decode::decode(path, &bytes)?;
    let facts = picture.facts;
    let (rgb, fitting) = fit::fit(picture, size, how);
    Ok(Loaded { rgb, facts, fitting, bytes: bytes.len() as u64, sha256: digest::sha256(&bytes) })
}

fn read_file(path: &Path) -> Result<Vec<u8>, LoadError> {
    let (file, len) = files::open(path)?;
    if len > LARGEST_FILE {
        return Err(malformed(path, None, format!("an image file of at most {LARGEST_FILE} bytes"), grouped(len)));
    }
    let mut bytes = Vec::with_capacity(len as usize);
    file.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(|e| crate::problem::io(path, e))?;
    Ok(bytes)
}

/// What is wrong with an image, without its path, which the list of unreadable images has anyway.
fn in_words(error: &LoadError) -> String {
    match error {
        LoadError::Malformed { expected, found, .. } => format!("expected {expected}, found {found}"),
        LoadError::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// The images of a folder, read one by one.
#[derive(Default)]
struct Gathered {
    images: Vec<(Entry, Loaded)>,
    unreadable: Vec<(String, String)>,
}

impl ImageFolder {
    fn assemble(&self, listing: Listing, gathered: Gathered, size: (usize, usize)) -> Result<Splits, LoadError> {
        let Gathered { mut images, unreadable } = gathered;
        if self.options.on_error == OnError::Stop && !unreadable.is_empty() {
            return Err(LoadError::Unreadable { folder: self.folder.clone(), images: unreadable });
        }
        let mut notes = Vec::new();
        if !listing.has_parts {
            notes.push(self.split(&mut images, &listing.classes)?);
        }
        let are_all_grey = images.iter().all(|(_, image)| image.facts.is_grey);
        let channels = fit::channels(self.options.colour, are_all_grey);
        notes.insert(0, self.size_note(images.len(), (size.0, size.1, channels)));
        notes.extend(self.fact_notes(&images, are_all_grey, channels));
        notes.extend(skip_note(&unreadable));
        notes.extend(duplicate_notes(&images));
        notes.extend(listing.notes);
        let files = images.iter().map(|(entry, image)| image.record(entry)).collect();
        let build = |part| self.part(&images, part, (size.0, size.1, channels), listing.classes.len());
        let (train, test) = (build(Part::Train)?, build(Part::Test)?);
        let validation = Some(build(Part::Validation)?).filter(|part| !part.is_empty());
        parts::check(&self.folder, &listing.classes, train.labels(), test.labels())?;
        notes.extend(parts::note_on_test(&listing.classes, test.labels()));
        Ok(Splits { classes: listing.classes, train, validation, test, provenance: Provenance { files, notes } })
    }

    /// Gives every image its part, class by class; says how.
    fn split(&self, images: &mut [(Entry, Loaded)], classes: &[String]) -> Result<String, LoadError> {
        let (share, seed) = (self.options.test_share.get(), self.options.seed);
        for (class_id, class) in classes.iter().enumerate() {
            let mut of_class: Vec<&mut Entry> =
                images.iter_mut().map(|(entry, _)| entry).filter(|entry| entry.class_id == class_id).collect();
            let is_test = split::test_images(of_class.len(), share, Seed(seed), class)
                .map_err(|problem| unusable(&self.folder, problem))?;
            for (entry, is_test) in of_class.iter_mut().zip(is_test) {
                entry.part = Some(if is_test { Part::Test } else { Part::Train });
            }
        }
        let count = |part| images.iter().filter(|(entry, _)| entry.part == Some(part)).count() as u64;
        let (train, test) = (grouped(count(Part::Train)), grouped(count(Part::Test)));
        Ok(format!(
            "stratified split, seed {seed}: {train} training and {test} test images, {}% of each class for the test",
            share * 100.0
        ))
    }

    /// The images of a part with their labels.
    fn part(
        &self,
        images: &[(Entry, Loaded)],
        part: Part,
        (height, width, channels): (usize, usize, usize),
        n_classes: usize,
    ) -> Result<Labelled, LoadError> {
        let of_part = || images.iter().filter(|(entry, _)| entry.part == Some(part));
        let ids: Vec<usize> = of_part().map(|(entry, _)| entry.class_id).collect();
        let mut pixels = Vec::with_capacity(ids.len() * height * width * channels);
        for (_, image) in of_part() {
            if channels == 1 {
                pixels.extend(fit::luma(&image.rgb));
            } else {
                pixels.extend_from_slice(&image.rgb);
            }
        }
        parts::labelled(&self.folder, pixels, (ids.len(), height, width, channels), ids, n_classes)
    }

    fn size_note(&self, n: usize, (height, width, channels): (usize, usize, usize)) -> String {
        let why = match self.options.size {
            Some(_) => "as asked",
            None if (height, width) == USUAL_SIZE => "the default",
            None => "their own size",
        };
        let mode = if channels == 1 { "grey" } else { "RGB" };
        format!("{} read, {height}×{width} ({why}), {mode}", counted(n, "image"))
    }

    /// What was done to how many images.
    fn fact_notes(&self, images: &[(Entry, Loaded)], are_all_grey: bool, channels: usize) -> Vec<String> {
        let n_grey = images.iter().filter(|(_, image)| image.facts.is_grey).count();
        let (widened, reduced) = match channels {
            1 => (0, images.len() - n_grey),
            _ => (n_grey, 0),
        };
        let fitted = match self.options.fit {
            Fit::Crop => "resized, averaging over what a pixel covers",
            Fit::Stretch => "stretched, averaging over what a pixel covers",
        };
        let count = |has: fn(&Loaded) -> bool| images.iter().filter(|(_, image)| has(image)).count();
        let told = [
            (count(|image| image.fitting.was_cropped), "cropped to the middle piece of the right proportions"),
            (count(|image| image.fitting.was_resized), fitted),
            (count(|image| image.facts.was_turned), "turned by the EXIF orientation"),
            (count(|image| image.facts.had_16_bits), "brought from 16 to 8 bits"),
            (count(|image| image.facts.was_transparent), "blended on white, being transparent in places"),
            (count(|image| image.facts.is_gif), "of format GIF, of which the first frame counts"),
            (if are_all_grey && channels == 1 { 0 } else { widened }, "grey and given three channels"),
            (reduced, "brought from color to grey (luma by Rec. 601)"),
        ];
        told.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", counted(n, "image"))).collect()
    }
}

impl Loaded {
    fn record(&self, entry: &Entry) -> FileRecord {
        FileRecord { path: entry.shown.clone(), bytes: self.bytes, sha256: self.sha256.clone() }
    }
}

/// Which images were left out because they could not be read.
fn skip_note(unreadable: &[(String, String)]) -> Option<String> {
    let named: Vec<String> = unreadable.iter().map(|(path, problem)| format!("{path} ({problem})")).collect();
    let count = counted(unreadable.len(), "unreadable image");
    (!named.is_empty()).then(|| format!("{count} left out: {}", parts::first_few(&named)))
}

/// Files that are there more than once, byte for byte. Copies in both training and test part flatter every result.
fn duplicate_notes(images: &[(Entry, Loaded)]) -> Vec<String> {
    let mut by_hash: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for (entry, image) in images {
        by_hash.entry(&image.sha256).or_default().push(entry);
    }
    let mut groups: Vec<Vec<&Entry>> = by_hash.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_unstable_by(|a, b| a[0].shown.cmp(&b[0].shown));
    let told = |what: &str, is_such: &dyn Fn(&[&Entry]) -> bool| {
        let such: Vec<String> = groups.iter().filter(|group| is_such(group)).map(|group| same(group)).collect();
        let count = counted(such.len(), "image");
        (!such.is_empty()).then(|| format!("{count} {what}, byte for byte: {}", parts::first_few(&such)))
    };
    let holds = |group: &[&Entry], part| group.iter().any(|entry| entry.part == Some(part));
    let crosses =
        |group: &[&Entry]| holds(group, Part::Test) && (holds(group, Part::Train) || holds(group, Part::Validation));
    let differs = |group: &[&Entry]| group.iter().any(|entry| entry.class_id != group[0].class_id);
    let all = (!groups.is_empty()).then(|| format!("{} there more than once", counted(groups.len(), "image")));
    let both = told("in both training and test part", &crosses);
    let labels = told("with two different labels", &differs);
    [all, both, labels].into_iter().flatten().collect()
}

fn same(group: &[&Entry]) -> String {
    group.iter().take(3).map(|entry| entry.shown.as_str()).collect::<Vec<_>>().join(" = ")
}
