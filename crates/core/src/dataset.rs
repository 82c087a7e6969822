//! Datasets: where labelled images come from.

use crate::images::{Images, ShapeError};
use crate::labels::{LabelError, Labels};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Images with their labels, as many of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    images: Images,
    labels: Labels,
}

impl Labelled {
    /// Joins images and labels; `None` when their numbers differ.
    pub fn new(images: Images, labels: Labels) -> Option<Self> {
        (images.len() == labels.len()).then_some(Self { images, labels })
    }

    /// The images, n.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// The labels, n.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// n.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The images and labels at these positions, copied.
    ///
    /// # Panics
    /// When a position is not below n.
    #[must_use]
    pub fn select(&self, positions: &[usize]) -> Self {
        Self { images: self.images.select(positions), labels: self.labels.select(positions) }
    }
}

/// A loaded dataset. All parts have the same image size and the same classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splits {
    /// The name of each class; a class id is a position in here.
    pub classes: Vec<String>,
    /// What is learned from.
    pub train: Labelled,
    /// What is selected on, where the dataset brings such a part; else the runner cuts one from `train`.
    pub validation: Option<Labelled>,
    /// What is opened once.
    pub test: Labelled,
    /// Where it came from and what was done to it.
    pub provenance: Provenance,
}

/// Where a dataset came from and what was done to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Every file that was read.
    pub files: Vec<FileRecord>,
    /// What a reader of the report must know: how sizes and modes were brought together, how the split was made, what
    /// was left out.
    pub notes: Vec<String>,
    /// What the images are called, where they have names.
    pub names: Names,
    /// (name, what is wrong) of images that were left out because they could not be read.
    pub unreadable: Vec<(String, String)>,
}

/// Names of images by their position in each part: files below the dataset's folder, rows of a table. Empty where images
/// have no names of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Of the training images.
    pub train: Vec<String>,
    /// Of the validation images.
    pub validation: Vec<String>,
    /// Of the test images.
    pub test: Vec<String>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    /// Its path below the dataset's folder, with `/` between parts.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

/// What is known of a dataset before it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The name in experiment files.
    pub name: String,
    /// What it shows, in one line.
    pub summary: String,
    /// Who made it and where it is described.
    pub citation: String,
    /// Terms of use.
    pub licence: String,
    /// Files that `bakeoff data fetch` gets; empty for what is generated or local.
    pub files: Vec<RemoteFile>,
}

/// A file that can be downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its name in the dataset's folder.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256, 64 hexadecimal digits.
    pub sha256: String,
    /// (bytes, SHA-256) of other packings of the same content that are as good: distributions repack archives without
    /// the time and name that the original's header holds.
    pub repacked: Vec<(u64, String)>,
}

/// A source of labelled images.
pub trait Dataset: Send + Sync {
    /// What is known before loading.
    fn card(&self) -> &Card;

    /// Reads it. `root` is the folder under which fetched datasets live, each in a folder of its name; datasets that
    /// are generated or have a path of their own ignore it.
    ///
    /// # Errors
    /// [`LoadError`], naming the file, what was expected and what was found.
    fn load(&self, root: &Path) -> Result<Splits, LoadError>;
}

/// Why a dataset could not be read or fetched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is not there.
    #[error("{what} is not there: looked in {}; {hint}", .looked_in.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "))]
    Missing {
        /// The dataset or file.
        what: String,
        /// Every place that was tried.
        looked_in: Vec<PathBuf>,
        /// What to do.
        hint: String,
    },
    /// The system could not read or write a file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is not what its format says.
    #[error("{}: expected {expected}, found {found}{}", path.display(), .offset.map(|o| format!(" at byte {o}")).unwrap_or_default())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in it (after decompression), in bytes from its start.
        offset: Option<u64>,
        /// What the format asks for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The files are sound but are no dataset: too few classes, an empty class, no images.
    #[error("{}: {problem}", path.display())]
    Unusable {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Images of a folder that could not be read, with `on_error = "stop"`.
    #[error("{}: {}", folder.display(), unreadable_list(images))]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// (path below the folder, what is wrong) of every such image.
        images: Vec<(String, String)>,
    },
    /// The user stopped it; what was done so far is kept.
    #[error("{what} was interrupted")]
    Interrupted {
        /// What was being done.
        what: String,
    },
    /// Fetching failed.
    #[error("failed to fetch {url}: {problem}")]
    Fetch {
        /// From where.
        url: String,
        /// What happened and what to do.
        problem: String,
    },
    /// Images without pixels.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A label that no class has.
    #[error(transparent)]
    Label(#[from] LabelError),
}

/// Images that [`LoadError::Unreadable`] names at most; the others are counted.
const UNREADABLE_NAMED: usize = 10;

/// The unreadable images as lines of text.
fn unreadable_list(images: &[(String, String)]) -> String {
    let count = if images.len() == 1 { "1 image".to_owned() } else { format!("{} images", images.len()) };
    let mut lines = vec![format!("{count} could not be read (on_error = \"skip\" leaves such images out):")];
    lines.extend(images.iter().take(UNREADABLE_NAMED).map(|(path, problem)| format!("  {path}: {problem}")));
    if images.len() > UNREADABLE_NAMED {
        lines.push(format!("  … and {} more", images.len() - UNREADABLE_NAMED));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_images_are_listed_up_to_ten() {
        let images: Vec<_> = (0..12).map(|i| (format!("cat/{i}.jpg"), "bad".to_owned())).collect();
        let text = LoadError::Unreadable { folder: "photos".into(), images }.to_string();
        assert!(text.starts_with("photos: 12 images could not be read (on_error"), "{text}");
        assert!(text.contains("cat/9.jpg: bad") && !text.contains("cat/10.jpg"), "{text}");
        assert!(text.ends_with("… and 2 more"), "{text}");
    }
}
