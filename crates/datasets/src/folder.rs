//! Folders of images: `train/CLASS/*` and `test/CLASS/*`, with `validation/CLASS/*` where there is one; or `CLASS/*`
//! with a seeded, stratified split. Images of mixed sizes and modes are brought to one; everything that is done is told
//! in the notes.
//!
//! Classes and files are in the order of the bytes of their names, whatever the system's order and the number of
//! threads.

mod assemble;
mod fit;
mod listing;
mod options;
mod resize;
mod split;

pub use options::{Colour, Fit, FolderOptions, OnError};

pub(crate) use assemble::{Assembly, Gathered, Loaded};
pub(crate) use listing::{Entry, Listing, Part, has_sub_folders};
pub(crate) use options::share_problem;
pub(crate) use split::{stratify, told as split_note};

use crate::problem::{counted, grouped, malformed, unusable};
use crate::{decode, files};
use bakeoff_core::{Card, Dataset, LoadError, Splits, parallel};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The size that images get when they have several or are large.
pub(crate) const USUAL_SIZE: (usize, usize) = (64, 64);
/// A side up to which images of one size keep it.
pub(crate) const SMALL_SIDE: usize = 64;
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
        check_memory(&self.folder, listing.entries.len(), size)?;
        let read =
            parallel::map(listing.entries.iter().collect(), |entry| read_image(&entry.path, size, self.options.fit));
        let mut gathered = Gathered::default();
        for (entry, result) in listing.entries.iter().zip(read) {
            gathered.take(entry.clone(), result);
        }
        let files = gathered.records();
        Assembly { place: &self.folder, options: &self.options, size }.assemble(listing, gathered, files)
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

/// The sizes that the images of a folder have in their files, as (height, width).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSizes {
    /// The one with the fewest pixels.
    pub least: (usize, usize),
    /// The one in the middle when they are ordered by pixels.
    pub median: (usize, usize),
    /// The one with the most pixels.
    pub greatest: (usize, usize),
}

/// The sizes of all image files below a folder, from their headers. Files that cannot be read do not count: loading tells of them.
///
/// # Errors
/// [`LoadError`] when the folder cannot be read or holds no image that can be.
pub fn file_sizes(folder: &Path) -> Result<FileSizes, LoadError> {
    let paths = image_files(folder)?;
    let measure = |path: &PathBuf| decode::measure(path, &read_file(path).ok()?).ok();
    let mut sizes: Vec<(usize, usize)> = parallel::map(paths.iter().collect(), measure).into_iter().flatten().collect();
    sizes.sort_unstable_by_key(|&(height, width)| (height * width, height));
    match (sizes.first(), sizes.get(sizes.len() / 2), sizes.last()) {
        (Some(&least), Some(&median), Some(&greatest)) => Ok(FileSizes { least, median, greatest }),
        _ => Err(unusable(folder, "no image in it can be read")),
    }
}

/// The size of all images, when they have the same and it is small.
fn own_size(entries: &[Entry]) -> Option<(usize, usize)> {
    let measure = |entry: &Entry| decode::measure(&entry.path, &read_file(&entry.path).ok()?).ok();
    let first = entries.iter().find_map(measure)?;
    if first.0.max(first.1) > SMALL_SIDE {
        return None;
    }
    // One of another size is enough: the rest are not looked at then. What cannot be read has no size; it is told later, with all others.
    let found_other = AtomicBool::new(false);
    parallel::for_each(entries.iter().collect(), |entry: &Entry| {
        if !found_other.load(Ordering::Relaxed) && measure(entry).is_some_and(|size| size != first) {
            found_other.store(true, Ordering::Relaxed);
        }
    });
    (!found_other.into_inner()).then_some(first)
}

/// Refuses a number of images whose pixels do not fit into memory.
pub(crate) fn check_memory(place: &Path, n: usize, (height, width): (usize, usize)) -> Result<(), LoadError> {
    let n_bytes = n.saturating_mul(height * width * 3);
    if n_bytes <= MOST_BYTES {
        return Ok(());
    }
    let (n, gigabytes) = (counted(n, "image"), n_bytes >> 30);
    Err(unusable(place, format!("{n} of {height}×{width} take {gigabytes} GB: ask for a smaller `size`")))
}

fn read_image(path: &Path, size: (usize, usize), how: Fit) -> Result<Loaded, LoadError> {
    Loaded::decode(path, &read_file(path)?, size, how)
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
