//! What is in a folder of images: parts, classes and files, before any of them is opened.
//!
//! Names that begin with a dot are passed over. A link to a file is followed, and a class or part may be a link to a
//! folder; deeper down, and where it leads back to a folder that holds it, a link to a folder is not followed, so that
//! no loop is ever entered.

use crate::problem::{self, counted, unusable};
use bakeoff_core::LoadError;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Endings of the five formats.
const ENDINGS: [&str; 9] = ["png", "jpg", "jpeg", "jpe", "jfif", "bmp", "webp", "gif", "apng"];
/// Folders within folders that are entered below a class.
const DEEPEST: usize = 16;

/// A part of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Train,
    Test,
    Validation,
}

impl Part {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
            Self::Validation => "validation",
        }
    }
}

/// An image file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its part; `None` where the folder has no parts.
    pub(crate) part: Option<Part>,
    pub(crate) class_id: usize,
    pub(crate) path: PathBuf,
    /// Its path below the dataset's folder, with `/` between names.
    pub(crate) shown: String,
}

/// The image files of a folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) classes: Vec<String>,
    /// Sorted by the bytes of the path, part by part.
    pub(crate) entries: Vec<Entry>,
    /// Whether the folder says what is training and what is test.
    pub(crate) has_parts: bool,
    pub(crate) notes: Vec<String>,
}

/// Lists a folder.
///
/// # Errors
/// [`LoadError`] when it cannot be read or its classes are no dataset: none, one, an empty one, or others in another
/// part.
pub(crate) fn list(folder: &Path) -> Result<Listing, LoadError> {
    let mut walk = Walk { root: folder.canonicalize().map_err(|e| problem::io(folder, e))?, ..Walk::default() };
    let top = walk.sub_folders(folder)?;
    let find = |names: &[&str]| top.iter().find(|sub| names.iter().any(|&name| sub.shown == name));
    let (train, test) = (find(&["train"]), find(&["test"]));
    let validation = find(&["validation", "valid", "val"]);
    let (parts, classes) = match (train, test) {
        (Some(train), Some(test)) => {
            let mut parts = vec![(Part::Train, train), (Part::Test, test)];
            parts.extend(validation.map(|sub| (Part::Validation, sub)));
            walk.parts(folder, &parts)?
        }
        _ if top.iter().all(|sub| ["train", "test", "validation", "valid", "val"].contains(&sub.shown.as_str())) => {
            return Err(no_classes(folder, &top));
        }
        _ => (vec![(None, walk.classes(folder, &top)?)], top.iter().map(|sub| sub.shown.clone()).collect()),
    };
    let has_parts = train.is_some() && test.is_some();
    let passed = top.len() - if has_parts { parts.len() } else { top.len() };
    let mut notes = walk.notes();
    if passed > 0 {
        notes.push(format!("{} beside train and test passed over", counted(passed, "folder")));
    }
    let entries = parts.into_iter().flat_map(|(_, entries)| entries).collect();
    check_classes(folder, &classes)?;
    Ok(Listing { classes, entries, has_parts, notes })
}

/// Whether a folder has sub-folders that may be classes.
pub(crate) fn has_sub_folders(folder: &Path) -> bool {
    Walk::default().sub_folders(folder).is_ok_and(|subs| !subs.is_empty())
}

/// The image files in a folder and its folders.
///
/// # Errors
/// [`LoadError`] when a folder cannot be read.
pub(super) fn below(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut found = Vec::new();
    Walk::default().images_below(folder, &mut found, 0)?;
    Ok(found)
}

fn no_classes(folder: &Path, top: &[SubFolder]) -> LoadError {
    let names: Vec<_> = top.iter().map(|sub| format!("`{}`", sub.shown)).collect();
    let found = if names.is_empty() { "no folder".to_owned() } else { format!("only {}", names.join(" and ")) };
    unusable(
        folder,
        format!("expected a folder for each class, or both `train` and `test` with such folders; found {found}"),
    )
}

fn check_classes(folder: &Path, classes: &[String]) -> Result<(), LoadError> {
    match classes {
        [] => Err(unusable(folder, "expected at least two classes, found none")),
        [one] => Err(unusable(folder, format!("expected at least two classes, found only `{one}`"))),
        _ => Ok(()),
    }
}

/// A folder with its name.
#[derive(Debug)]
struct SubFolder {
    shown: String,
    path: PathBuf,
}

/// Entries, each of a part, and the names of the classes.
type PartsAndClasses = (Vec<(Option<Part>, Vec<Entry>)>, Vec<String>);

/// A walk through a folder and what it met besides images.
#[derive(Debug, Default)]
struct Walk {
    root: PathBuf,
    /// Files by their ending that are no images by name.
    others: BTreeMap<String, usize>,
    /// Links that lead back or to a folder deep down, and what is neither file nor folder.
    links: usize,
    specials: usize,
    too_deep: usize,
}

impl Walk {
    /// The folders in a folder, by the bytes of their names, and with names that differ.
    fn sub_folders(&mut self, folder: &Path) -> Result<Vec<SubFolder>, LoadError> {
        let mut subs = Vec::new();
        for (name, path) in sorted_entries(folder)? {
            if !fs::metadata(&path).is_ok_and(|about| about.is_dir()) {
                continue;
            }
            if self.leads_back(&path) {
                self.links += 1;
                continue;
            }
            subs.push(SubFolder { shown: name.to_string_lossy().into_owned(), path });
        }
        // Two names that are not UTF-8 may look the same; nobody could tell their results apart.
        let mut shown: Vec<&str> = subs.iter().map(|sub| sub.shown.as_str()).collect();
        shown.sort_unstable();
        match shown.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(unusable(folder, format!("two folders are both shown as `{}`: rename one", pair[0]))),
            None => Ok(subs),
        }
    }

    /// Whether a folder is a link to one that holds it.
    fn leads_back(&self, path: &Path) -> bool {
        let is_link = fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink());
        is_link && path.canonicalize().is_ok_and(|target| self.root.starts_with(target))
    }

    /// The parts of a folder; their classes are those of the training part, and all of them must be in the test part.
    fn parts(&mut self, folder: &Path, parts: &[(Part, &SubFolder)]) -> Result<PartsAndClasses, LoadError> {
        let mut listed = Vec::new();
        let mut classes: Vec<String> = Vec::new();
        for &(part, sub) in parts {
            let subs = self.sub_folders(&sub.path)?;
            let names: Vec<String> = subs.iter().map(|class| class.shown.clone()).collect();
            if part == Part::Train {
                classes = names;
            } else if let Some(problem) = differing(&classes, &names, part) {
                return Err(unusable(folder, problem));
            }
            let mut entries = self.classes(folder, &subs)?;
            for entry in &mut entries {
                let class = subs.get(entry.class_id).map(|sub| &sub.shown);
                entry.class_id = classes.iter().position(|name| Some(name) == class).unwrap_or_default();
                entry.part = Some(part);
            }
            listed.push((Some(part), entries));
        }
        Ok((listed, classes))
    }

    /// The images of each class, none of which may be empty.
    fn classes(&mut self, folder: &Path, subs: &[SubFolder]) -> Result<Vec<Entry>, LoadError> {
        let mut entries = Vec::new();
        for (class_id, sub) in subs.iter().enumerate() {
            let before = self.others.values().sum::<usize>();
            let mut paths = Vec::new();
            self.images_below(&sub.path, &mut paths, 0)?;
            if paths.is_empty() {
                let others = self.others.values().sum::<usize>() - before;
                let found = if others == 0 {
                    String::new()
                } else {
                    format!(", only {}", counted(others, "file") + " of other kinds")
                };
                return Err(unusable(&sub.path, format!("the class has no image{found}")));
            }
            entries.extend(paths.into_iter().map(|path| Entry {
                part: None,
                class_id,
                shown: shown(folder, &path),
                path,
            }));
        }
        Ok(entries)
    }

    /// The image files in a folder and its folders, by the bytes of their names.
    fn images_below(&mut self, folder: &Path, into: &mut Vec<PathBuf>, depth: usize) -> Result<(), LoadError> {
        if depth > DEEPEST {
            self.too_deep += 1;
            return Ok(());
        }
        for (_, path) in sorted_entries(folder)? {
            let link = fs::symlink_metadata(&path).map_err(|e| problem::io(&path, e))?;
            // A link that leads nowhere is listed, so that it is told like any image that cannot be read.
            let about = fs::metadata(&path).unwrap_or_else(|_| link.clone());
            if about.is_dir() && link.is_symlink() {
                self.links += 1;
            } else if about.is_dir() {
                self.images_below(&path, into, depth + 1)?;
            } else if !about.is_file() && !about.is_symlink() {
                self.specials += 1;
            } else {
                self.file(path, into);
            }
        }
        Ok(())
    }

    fn file(&mut self, path: PathBuf, into: &mut Vec<PathBuf>) {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        if ENDINGS.contains(&ending.as_str()) {
            into.push(path);
        } else {
            *self.others.entry(ending).or_default() += 1;
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let others: usize = self.others.values().sum();
        if others > 0 {
            let kind = |(ending, count): (&String, &usize)| match ending.as_str() {
                "" => format!("no ending: {count}"),
                ending => format!(".{ending}: {count}"),
            };
            let kinds: Vec<String> = self.others.iter().map(kind).collect();
            notes.push(format!(
                "{} passed over that no image format's ending has ({})",
                counted(others, "file"),
                kinds.join(", ")
            ));
        }
        if self.links > 0 {
            notes.push(format!("{} to a folder not followed", counted(self.links, "link")));
        }
        if self.specials > 0 {
            notes.push(format!("{} passed over", counted(self.specials, "pipe, socket or device")));
        }
        if self.too_deep > 0 {
            notes.push(format!("{} more than {DEEPEST} deep not entered", counted(self.too_deep, "folder")));
        }
        notes
    }
}

/// What is wrong with the classes of a part beside those of the training part. A validation part may lack some.
fn differing(train: &[String], other: &[String], part: Part) -> Option<String> {
    let word = part.word();
    if let Some(extra) = other.iter().find(|name| !train.contains(name)) {
        return Some(format!("class `{extra}` is in {word} but not in train"));
    }
    let missing = train.iter().find(|name| !other.contains(name)).filter(|_| part == Part::Test)?;
    Some(format!("class `{missing}` is in train but not in {word}"))
}

/// A path below the dataset's folder, with `/` between names.
fn shown(folder: &Path, path: &Path) -> String {
    let below = path.strip_prefix(folder).unwrap_or(path);
    below.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Names and paths in a folder by the bytes of the names, those that begin with a dot left out.
fn sorted_entries(folder: &Path) -> Result<Vec<(OsString, PathBuf)>, LoadError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| problem::io(folder, e))? {
        let entry = entry.map_err(|e| problem::io(folder, e))?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            entries.push((name, entry.path()));
        }
    }
    entries.sort_unstable_by(|a, b| a.0.as_encoded_bytes().cmp(b.0.as_encoded_bytes()));
    Ok(entries)
}
