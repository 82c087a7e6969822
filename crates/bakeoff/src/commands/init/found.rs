//! What is there: classes, sizes, colour, balance, duplicates, as the comments of the file tell it.

use anyhow::Context;
use bakeoff_datasets::{FileSizes, Source, file_sizes};
use bakeoff_results::words::{counted, grouped, percent};
use bakeoff_results::{Audit, DuplicatePair, Duplicates, ImagePlace, wilson};
use bakeoff_runner::DatasetChoice;
use std::path::Path;

/// Pairs of duplicates that a file names.
pub(super) const MOST_PAIRS: usize = 5;
/// Classes that a file names one by one.
const MOST_CLASSES: usize = 30;
/// Pixels that the images of a folder get: what 64×64 has, whatever their proportions.
const PIXELS: f64 = 64.0 * 64.0;

/// The data as a file names it.
pub(super) struct Choice {
    pub(super) dataset: DatasetChoice,
    /// The sizes of the files, where there is one for each image.
    pub(super) sizes: Option<FileSizes>,
    /// The value of `dataset` in the file.
    pub(super) written: String,
}

/// What was found.
pub(super) struct Found {
    pub(super) dataset: bakeoff_results::Dataset,
    pub(super) sizes: Option<FileSizes>,
}

/// How the file will name these images. Images of several sizes, or of large ones, get a size in the proportions of the one in the
/// middle.
pub(super) fn choice(folder: &str, out: &Path) -> anyhow::Result<Choice> {
    let named = match Source::from_name_or_path(folder) {
        Source::Named(name) => Some(name),
        _ => None,
    };
    if let Some(name) = named {
        let written = toml::Value::String(name.clone()).to_string();
        return Ok(Choice { dataset: DatasetChoice::Named(name), sizes: None, written });
    }
    let path = Path::new(folder);
    let key = Source::key_of(path);
    let beside = out.parent().is_some_and(|parent| parent != Path::new(""));
    // A path in a file starts from the file; where that lies elsewhere, only the whole path is right.
    let shown = if beside {
        let whole = path.canonicalize().with_context(|| format!("failed to find {folder}"))?;
        whole.to_str().with_context(|| format!("{} is not UTF-8", whole.display()))?.to_owned()
    } else {
        folder.to_owned()
    };
    let sizes = if key == "folder" { file_sizes(path).ok() } else { None };
    let mut table = toml::Table::from_iter([(key.to_owned(), toml::Value::String(shown))]);
    let size = sizes.and_then(size_for);
    if let Some((height, width)) = size {
        let sides = [height, width].map(|side| toml::Value::Integer(side as i64));
        table.insert("size".to_owned(), toml::Value::Array(sides.into()));
    }
    let entries: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    let written = format!("{{ {} }}", entries.join(", "));
    Ok(Choice { dataset: DatasetChoice::Table(table), sizes, written })
}

/// `None` where images keep their own size: all the same, and small.
fn size_for(sizes: FileSizes) -> Option<(usize, usize)> {
    let (height, width) = sizes.median;
    if sizes.least == sizes.greatest && height <= 64 && width <= 64 {
        return None;
    }
    // A multiple of 8 a side, which the cells of HoG divide.
    let side = |own: usize, other: usize| {
        let wanted = (PIXELS * own.max(1) as f64 / other.max(1) as f64).sqrt();
        ((wanted / 8.0).round() as usize).clamp(3, 24) * 8
    };
    Some((side(height, width), side(width, height)))
}

impl Found {
    pub(super) fn n_train(&self) -> usize {
        self.dataset.train_counts.iter().sum()
    }

    pub(super) fn n_test(&self) -> usize {
        self.dataset.test_counts.iter().sum()
    }

    pub(super) fn is_colored(&self) -> bool {
        self.dataset.shape.2 == 3
    }

    /// The shorter side in pixels.
    pub(super) fn side(&self) -> usize {
        self.dataset.shape.0.min(self.dataset.shape.1)
    }

    /// What is there, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let (height, width, _) = self.dataset.shape;
        let color = if self.is_colored() { "color" } else { "grey" };
        let mut lines = vec![format!(
            "{} for training and {} for testing, {height}×{width} pixels (height × width), {color}",
            images(self.n_train()),
            grouped(self.n_test()),
        )];
        lines.extend(self.sizes.filter(|sizes| sizes.least != sizes.greatest).map(in_words));
        lines.extend(self.classes());
        lines.push(self.balance());
        lines.push(self.certainty());
        lines.extend(self.dataset.audit.as_ref().map(duplicates));
        let pairs = self.dataset.audit.iter().flat_map(|audit| audit.pairs.iter().take(MOST_PAIRS));
        lines.extend(pairs.map(|pair| format!("  {}", self.pair(pair))));
        lines.extend(self.dataset.notes.iter().map(|note| format!("On reading: {note}")));
        lines
    }

    fn classes(&self) -> Vec<String> {
        let data = &self.dataset;
        let mut lines = vec![format!("{}:", counted_classes(data.classes.len()))];
        let count = |counts: &[usize], i: usize| counts.get(i).copied().unwrap_or(0);
        let each = data.classes.iter().enumerate().take(MOST_CLASSES);
        lines.extend(each.map(|(i, class)| {
            let (train, test) = (count(&data.train_counts, i), count(&data.test_counts, i));
            format!("  {class}: {train} training, {test} test images")
        }));
        if data.classes.len() > MOST_CLASSES {
            lines.push(format!("  and {} more", data.classes.len() - MOST_CLASSES));
        }
        lines
    }

    /// How even the classes are, and what always saying the most frequent one would reach.
    fn balance(&self) -> String {
        let counts = &self.dataset.train_counts;
        let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
        let always = self.dataset.test_counts.iter().max().copied().unwrap_or(0);
        let floor = percent(always as f64 / self.n_test().max(1) as f64);
        match most {
            _ if least == most => {
                format!("The classes are even. Always saying the same one is right on {floor} at most.")
            }
            _ if most > 3 * least => format!(
                "The classes are uneven, from {least} to {most} training images: accuracy speaks for the large ones (always saying one \
                 class is right on {floor}), so look at the shares by class in the report too."
            ),
            _ => format!(
                "The classes have from {least} to {most} training images. Always saying the same one is right on {floor} at most."
            ),
        }
    }

    /// What so many test images can tell.
    fn certainty(&self) -> String {
        let n = self.n_test();
        let interval = wilson(n * 9 / 10, n, 0.95);
        let half = (interval.hi - interval.lo) / 2.0 * 100.0;
        let advice = if half > 2.0 { "; more test images would tell smaller differences apart" } else { "" };
        format!(
            "With {} an accuracy of 90% is known to about ±{half:.1} points (95%){advice}.",
            counted(n, "test image")
        )
    }

    fn pair(&self, pair: &DuplicatePair) -> String {
        let told = |place: &ImagePlace| {
            let class = self.dataset.classes.get(place.label).map_or("?", String::as_str);
            let part = if place.test { "test" } else { "training" };
            let position = format!("{part} image {}", place.position);
            format!("{} ({class})", place.file.as_ref().map_or(position, |file| format!("{part} {file}")))
        };
        let kind = if pair.exact { "same pixels" } else { "look the same" };
        format!("{kind}: {} and {}", told(&pair.a), told(&pair.b))
    }
}

fn images(n: usize) -> String {
    if n == 1 { "1 image".to_owned() } else { format!("{} images", grouped(n)) }
}

fn counted_classes(n: usize) -> String {
    if n == 1 { counted(n, "class") } else { format!("{n} classes") }
}

fn in_words(sizes: FileSizes) -> String {
    let of = |(height, width): (usize, usize)| format!("{height}×{width}");
    format!(
        "The files have from {} to {} pixels, {} in the middle; `size` says what they are brought to.",
        of(sizes.least),
        of(sizes.greatest),
        of(sizes.median),
    )
}

fn duplicates(audit: &Audit) -> String {
    let within = |of: Duplicates| of.train + of.test;
    let pairs = within(audit.exact) + within(audit.near);
    let across = audit.exact.across + audit.near.across;
    if pairs + across == 0 {
        return "No image is there twice.".to_owned();
    }
    let conflicts = match audit.conflicts {
        0 => String::new(),
        n => format!(", {n} of all with two different labels"),
    };
    let advice =
        if across > 0 { " Test images that are learned from flatter every pipeline: take them away." } else { "" };
    format!(
        "Images that are there twice or nearly so: {} with a copy among the training images, {} within the parts{conflicts}.{advice}",
        counted(across, "test image"),
        counted(pairs, "pair"),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Data of two classes with so many training images each and a tenth of them for testing.
    pub(in super::super) fn found(shape: (usize, usize, usize), counts: [usize; 2]) -> Found {
        let test = counts.map(|n| n.div_ceil(10));
        let json = serde_json::json!({
            "name": "photos", "sha256": "", "classes": ["cat", "dog\n[[pipeline]]\u{7}"], "shape": shape,
            "train_counts": counts, "test_counts": test, "test_labels": vec![0; test[0] + test[1]],
            "notes": ["12 images resized"], "files": [],
        });
        Found { dataset: serde_json::from_value(json).unwrap(), sizes: None }
    }

    #[test]
    fn images_get_a_size_in_their_own_proportions() {
        let same = |size| FileSizes { least: size, median: size, greatest: size };
        assert_eq!(size_for(same((28, 28))), None);
        assert_eq!(size_for(same((200, 200))), Some((64, 64)));
        assert_eq!(size_for(same((480, 640))), Some((56, 72)));
        assert_eq!(size_for(same((10, 10_000))), Some((24, 192)), "no side is lost, and none is endless");
        assert_eq!(size_for(FileSizes { least: (20, 20), median: (21, 21), greatest: (22, 22) }), Some((64, 64)));
    }

    #[test]
    fn balance_and_certainty_are_told() {
        let even = found((32, 32, 3), [100, 100]).lines().join("\n");
        assert!(
            even.starts_with("200 images for training and 20 for testing, 32×32 pixels (height × width), color\n"),
            "{even}"
        );
        assert!(
            even.contains("The classes are even. Always saying the same one is right on 50.00% at most."),
            "{even}"
        );
        let uneven = found((32, 32, 1), [1000, 100]).lines().join("\n");
        assert!(
            uneven.contains("uneven, from 100 to 1000 training images") && uneven.contains("right on 90.91%"),
            "{uneven}"
        );
        // Wilson's interval of 99 in 110 at 95%, by hand: 0.8298 to 0.9432.
        assert!(uneven.contains("With 110 test images an accuracy of 90% is known to about ±5.7 points"), "{uneven}");
    }

    #[test]
    fn duplicates_are_named() {
        let mut found = found((32, 32, 3), [100, 100]);
        let place =
            |test, file: &str| ImagePlace { test, position: 3, label: usize::from(test), file: Some(file.to_owned()) };
        let pair = DuplicatePair { exact: true, a: place(false, "cat/1.png"), b: place(true, "dog/1.png") };
        let exact = Duplicates { train: 2, test: 0, across: 1 };
        found.dataset.audit = Some(Audit { exact, conflicts: 1, pairs: vec![pair], ..Audit::default() });
        let told = found.lines().join("\n");
        assert!(told.contains("1 test image with a copy among the training images, 2 pairs within the parts, 1 of all with two different labels. Test"), "{told}");
        assert!(told.contains("same pixels: training cat/1.png (cat) and test dog/1.png (dog"), "{told}");
    }
}
