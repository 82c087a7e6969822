//! Images that were read one by one, from a folder or a table, put together to a dataset: the split, the channels, and
//! notes on everything that was done.

use super::fit::{self, Fitting};
use super::listing::{Entry, Listing, Part};
use super::options::{Fit, FolderOptions, OnError};
use super::{USUAL_SIZE, split};
use crate::decode::{self, Facts};
use crate::problem::{counted, unusable};
use crate::{digest, parts};
use bakeoff_core::{FileRecord, Labelled, LoadError, Names, Provenance, Seed, Splits};
use std::collections::HashMap;
use std::path::Path;

/// An image in its final size.
pub(crate) struct Loaded {
    /// (height, width, 3).
    pub(super) rgb: Vec<u8>,
    facts: Facts,
    fitting: Fitting,
    bytes: u64,
    sha256: String,
}

/// The images of a folder, read one by one.
#[derive(Default)]
pub(crate) struct Gathered {
    images: Vec<(Entry, Loaded)>,
    /// (name, what is wrong).
    unreadable: Vec<(String, String)>,
}

impl Gathered {
    /// Takes an image, or what is wrong with it.
    pub(crate) fn take(&mut self, entry: Entry, result: Result<Loaded, LoadError>) {
        match result {
            Ok(image) => self.images.push((entry, image)),
            Err(error) => self.unreadable.push((entry.shown, in_words(&error))),
        }
    }

    /// The files of the images, each of which is one.
    pub(super) fn records(&self) -> Vec<FileRecord> {
        self.images.iter().map(|(entry, image)| image.record(entry)).collect()
    }
}

/// How images become a dataset.
#[derive(Clone, Copy)]
pub(crate) struct Assembly<'a> {
    /// The folder or file, for messages.
    pub(crate) place: &'a Path,
    pub(crate) options: &'a FolderOptions,
    /// (height, width) of every image.
    pub(crate) size: (usize, usize),
}

impl Assembly<'_> {
    /// The set of these images, read from these files.
    pub(crate) fn assemble(
        &self,
        listing: Listing,
        gathered: Gathered,
        files: Vec<FileRecord>,
    ) -> Result<Splits, LoadError> {
        let size = self.size;
        let Gathered { mut images, unreadable } = gathered;
        if self.options.on_error == OnError::Stop && !unreadable.is_empty() {
            return Err(LoadError::Unreadable { folder: self.place.to_owned(), images: unreadable });
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
        let names = |part| -> Vec<String> { of_part(&images, part).map(|(entry, _)| entry.shown.clone()).collect() };
        let names = Names { train: names(Part::Train), validation: names(Part::Validation), test: names(Part::Test) };
        let build = |part| self.part(&images, part, (size.0, size.1, channels), listing.classes.len());
        let (train, test) = (build(Part::Train)?, build(Part::Test)?);
        let validation = Some(build(Part::Validation)?).filter(|part| !part.is_empty());
        parts::check(self.place, &listing.classes, train.labels(), test.labels())?;
        notes.extend(parts::note_on_test(&listing.classes, test.labels()));
        Ok(Splits {
            classes: listing.classes,
            train,
            validation,
            test,
            provenance: Provenance { files, notes, names, unreadable },
        })
    }

    /// Gives every image its part, class by class; says how.
    fn split(&self, images: &mut [(Entry, Loaded)], classes: &[String]) -> Result<String, LoadError> {
        let (share, seed) = (self.options.test_share.get(), self.options.seed);
        // Images that are told to be for validation stay so.
        let mut of_none: Vec<&mut Entry> =
            images.iter_mut().map(|(entry, _)| entry).filter(|entry| entry.part.is_none()).collect();
        let ids: Vec<usize> = of_none.iter().map(|entry| entry.class_id).collect();
        let is_test =
            split::stratify(&ids, classes, share, Seed(seed)).map_err(|problem| unusable(self.place, problem))?;
        let n_test = is_test.iter().filter(|&&test| test).count();
        for (entry, &is_test) in of_none.iter_mut().zip(&is_test) {
            entry.part = Some(if is_test { Part::Test } else { Part::Train });
        }
        Ok(split::told(seed, is_test.len() - n_test, n_test, share))
    }

    /// The images of a part with their labels.
    fn part(
        &self,
        images: &[(Entry, Loaded)],
        part: Part,
        (height, width, channels): (usize, usize, usize),
        n_classes: usize,
    ) -> Result<Labelled, LoadError> {
        let ids: Vec<usize> = of_part(images, part).map(|(entry, _)| entry.class_id).collect();
        let mut pixels = Vec::with_capacity(ids.len() * height * width * channels);
        for (_, image) in of_part(images, part) {
            if channels == 1 {
                pixels.extend(fit::luma(&image.rgb));
            } else {
                pixels.extend_from_slice(&image.rgb);
            }
        }
        parts::labelled(self.place, pixels, (ids.len(), height, width, channels), ids, n_classes)
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

/// The images of a part, in their order.
fn of_part(images: &[(Entry, Loaded)], part: Part) -> impl Iterator<Item = &(Entry, Loaded)> {
    images.iter().filter(move |(entry, _)| entry.part == Some(part))
}

impl Loaded {
    /// An image from the bytes of its file, in its final size. `path` is for messages only.
    pub(crate) fn decode(path: &Path, bytes: &[u8], size: (usize, usize), how: Fit) -> Result<Self, LoadError> {
        let picture = decode::decode(path, bytes)?;
        let facts = picture.facts;
        let (rgb, fitting) = fit::fit(picture, size, how);
        Ok(Self { rgb, facts, fitting, bytes: bytes.len() as u64, sha256: digest::sha256(bytes) })
    }

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

/// What is wrong with an image, without its path, which the list of unreadable images has anyway.
fn in_words(error: &LoadError) -> String {
    match error {
        LoadError::Malformed { expected, found, .. } => format!("expected {expected}, found {found}"),
        LoadError::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}
