//! Which columns hold the images and the labels.
//!
//! Files that Hugging Face's `datasets` wrote say so in their metadata, as JSON under the key `huggingface`, with the
//! names of the classes. Without it, images are a struct with a binary field `bytes`, or a binary column; labels are
//! whole numbers or text at the top.

use super::ParquetOptions;
use crate::parts;
use crate::problem::unusable;
use ::parquet::basic::{ConvertedType, LogicalType, Type};
use ::parquet::file::metadata::FileMetaData;
use ::parquet::schema::types::ColumnDescriptor;
use bakeoff_core::LoadError;
use serde_json::Value;
use std::path::Path;

/// The columns of a file, by the position of their leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) image: usize,
    /// The file name beside an image's bytes.
    pub(super) path: Option<usize>,
    pub(super) label: usize,
    pub(super) kind: Kind,
    /// The names of the classes, where the file has them.
    pub(super) classes: Option<Vec<String>>,
}

/// How labels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int32,
    Int64,
    Text,
}

/// A column that may be the one.
struct Candidate {
    name: String,
    leaf: usize,
    /// Whether the file's metadata calls it so.
    is_stated: bool,
}

/// Names that columns have when they have a choice.
const IMAGE_NAMES: [&str; 4] = ["image", "img", "images", "picture"];
const LABEL_NAMES: [&str; 6] = ["label", "labels", "class", "target", "fine_label", "category"];

impl Columns {
    /// The columns of a file.
    pub(super) fn of(path: &Path, about: &FileMetaData, options: &ParquetOptions) -> Result<Self, LoadError> {
        let leaves = about.schema_descr().columns();
        let features = features(about);
        let says = |name: &str, kind: &str| features.get(name).is_some_and(|feature| feature["_type"] == kind);
        let mut images = Vec::new();
        let mut labels = Vec::new();
        for (leaf, column) in leaves.iter().enumerate() {
            // Lists have no single value a row.
            if column.max_rep_level() > 0 {
                continue;
            }
            let candidate = |name: &String, kind| Candidate { name: name.clone(), leaf, is_stated: says(name, kind) };
            match column.path().parts() {
                [name, field] if field == "bytes" && is_binary(column) => images.push(candidate(name, "Image")),
                [name] if is_binary(column) && !is_text(column) => images.push(candidate(name, "Image")),
                [name] if kind(column).is_some() => labels.push(candidate(name, "ClassLabel")),
                _ => {}
            }
        }
        let image = choose(path, "image", options.image.as_deref(), images, &IMAGE_NAMES)?;
        let label = choose(path, "label", options.label.as_deref(), labels, &LABEL_NAMES)?;
        let is_path =
            |column: &ColumnDescriptor| column.path().parts() == [image.name.as_str(), "path"] && is_binary(column);
        let class_names = features.get(&label.name).and_then(|feature| feature["names"].as_array());
        let classes = class_names
            .map(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>())
            .map(|names| names.ok_or_else(|| unusable(path, "its class names in the metadata are not all text")))
            .transpose()?
            .map(|names| crate::idx::distinct(path, names))
            .transpose()?;
        let kind = kind(&leaves[label.leaf]).unwrap_or(Kind::Text);
        Ok(Self {
            image: image.leaf,
            path: leaves.iter().position(|column| is_path(column)),
            label: label.leaf,
            kind,
            classes: classes.filter(|_| kind != Kind::Text),
        })
    }
}

/// What `datasets` says of the columns.
fn features(about: &FileMetaData) -> serde_json::Map<String, Value> {
    let pairs = about.key_value_metadata().map(Vec::as_slice).unwrap_or_default();
    let text = pairs.iter().find(|pair| pair.key == "huggingface").and_then(|pair| pair.value.as_deref());
    // Metadata that is no JSON says nothing; the columns are there all the same.
    let value: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    value["info"]["features"].as_object().cloned().unwrap_or_default()
}

fn is_binary(column: &ColumnDescriptor) -> bool {
    column.physical_type() == Type::BYTE_ARRAY
}

fn is_text(column: &ColumnDescriptor) -> bool {
    let is_string =
        matches!(column.logical_type_ref(), Some(LogicalType::String | LogicalType::Enum | LogicalType::Json));
    is_string || matches!(column.converted_type(), ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON)
}

fn kind(column: &ColumnDescriptor) -> Option<Kind> {
    match column.physical_type() {
        Type::INT32 => Some(Kind::Int32),
        Type::INT64 => Some(Kind::Int64),
        Type::BYTE_ARRAY if is_text(column) => Some(Kind::Text),
        _ => None,
    }
}

/// The column that is asked for; else the one that the file calls so, that has a usual name, or that is alone.
fn choose(
    path: &Path,
    key: &str,
    asked: Option<&str>,
    candidates: Vec<Candidate>,
    usual: &[&str],
) -> Result<Candidate, LoadError> {
    let names: Vec<String> = candidates.iter().map(|candidate| format!("`{}`", candidate.name)).collect();
    let listed = if names.is_empty() { "none".to_owned() } else { parts::first_few(&names) };
    if let Some(name) = asked {
        let problem = format!("`{key} = \"{name}\"`: no such column can hold {key}s; those that can: {listed}");
        return candidates.into_iter().find(|c| c.name == name).ok_or_else(|| unusable(path, problem));
    }
    let is_any_stated = candidates.iter().any(|candidate| candidate.is_stated);
    let mut left: Vec<Candidate> = candidates.into_iter().filter(|c| c.is_stated == is_any_stated).collect();
    let named = usual.iter().find_map(|&name| left.iter().position(|candidate| candidate.name == name));
    match (named, left.len()) {
        (Some(position), _) => Ok(left.swap_remove(position)),
        (None, 1) => Ok(left.swap_remove(0)),
        (None, 0) => Err(unusable(path, format!("expected a column of {key}s, found {listed}"))),
        (None, _) => {
            Err(unusable(path, format!("expected one column of {key}s, found {listed}: name one with `{key}`")))
        }
    }
}
