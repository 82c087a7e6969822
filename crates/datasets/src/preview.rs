//! Contact sheets: a row a class, from the top in the order of the class ids, with its first training images; or the
//! pairs of duplicates that an audit found.

use crate::audit::{Pair, Part};
use crate::files;
use crate::problem::{self, unusable};
use bakeoff_core::{LoadError, Splits};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use std::path::Path;

/// Pixels between images.
const GAP: usize = 2;
/// The shade of the gaps and of places without an image.
const GROUND: u8 = 128;
/// A side below which images are drawn larger, by a whole factor.
const SMALL_SIDE: usize = 48;
/// Rows at most; a set of more classes shows its first ones.
const MOST_ROWS: usize = 100;

/// Pixels of a contact sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// In pixels.
    pub height: usize,
    /// In pixels.
    pub width: usize,
    /// 1 or 3.
    pub channels: usize,
    /// (height, width, channels).
    pub pixels: Vec<u8>,
}

/// Draws the first `columns` training images of each class, of the first hundred classes.
///
/// # Errors
/// [`LoadError::Unusable`] when `columns` is 0 or the sheet would be too large for a picture.
pub fn draw(splits: &Splits, columns: usize) -> Result<Sheet, LoadError> {
    let images = splits.train.images().view();
    let (height, width, channels) = images.shape();
    let rows = splits.classes.len().min(MOST_ROWS);
    let (mut sheet, scale) = Sheet::blank((rows, columns), (height, width, channels))?;
    for class_id in 0..rows {
        let labels = splits.train.labels().as_slice().iter().enumerate();
        let of_class = labels.filter(|&(_, &id)| id == class_id).map(|(i, _)| i);
        for (column, i) in of_class.take(columns).enumerate() {
            let top = GAP + class_id * (height * scale + GAP);
            let left = GAP + column * (width * scale + GAP);
            sheet.paste(images.image(i), (height, width), (top, left), scale);
        }
    }
    Ok(sheet)
}

/// Draws pairs of duplicates: a row a pair, `a` and then `b`, `columns` pairs beside each other, row by row.
///
/// # Errors
/// [`LoadError::Unusable`] when there is no pair, `columns` is 0, a pair is of another dataset or the sheet would be too
/// large for a picture.
pub fn draw_pairs(splits: &Splits, pairs: &[Pair], columns: usize) -> Result<Sheet, LoadError> {
    let (height, width, channels) = splits.train.images().shape();
    let columns = columns.min(pairs.len());
    let rows = if columns == 0 { 0 } else { pairs.len().div_ceil(columns) };
    let (mut sheet, scale) = Sheet::blank((rows, columns.saturating_mul(2)), (height, width, channels))?;
    for (i, pair) in pairs.iter().enumerate() {
        for (side, place) in [&pair.a, &pair.b].into_iter().enumerate() {
            let part = match place.part {
                Part::Train => Some(&splits.train),
                Part::Validation => splits.validation.as_ref(),
                Part::Test => Some(&splits.test),
            };
            let part = part.filter(|part| place.position < part.len());
            let part = part.ok_or_else(|| unusable(Path::new("contact sheet"), "a pair is of another dataset"))?;
            let top = GAP + i / columns * (height * scale + GAP);
            let left = GAP + (i % columns * 2 + side) * (width * scale + GAP);
            sheet.paste(part.images().view().image(place.position), (height, width), (top, left), scale);
        }
    }
    Ok(sheet)
}

/// Draws a contact sheet into a PNG file, which is there whole or not at all.
///
/// # Errors
/// As [`draw`], and [`LoadError::Io`] when the file cannot be written.
pub fn save(splits: &Splits, columns: usize, path: &Path) -> Result<(), LoadError> {
    save_sheet(&draw(splits, columns)?, path)
}

/// Writes a sheet as a PNG file, which is there whole or not at all.
///
/// # Errors
/// [`LoadError::Io`] when the file cannot be written.
pub fn save_sheet(sheet: &Sheet, path: &Path) -> Result<(), LoadError> {
    let color = if sheet.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    files::write_whole(path, |out| {
        PngEncoder::new(out)
            .write_image(&sheet.pixels, sheet.width as u32, sheet.height as u32, color)
            .map_err(|e| problem::io(path, std::io::Error::other(e.to_string())))
    })
}

impl Sheet {
    /// A sheet for (rows, columns) of images, and how many pixels a side of each of theirs gets.
    fn blank(
        (rows, columns): (usize, usize),
        (height, width, channels): (usize, usize, usize),
    ) -> Result<(Self, usize), LoadError> {
        let scale = (SMALL_SIDE / height.max(width)).max(1);
        let side = |n: usize, size: usize| n.checked_mul(size * scale + GAP).and_then(|all| all.checked_add(GAP));
        let (height, width) = match (side(rows, height), side(columns, width)) {
            (Some(h), Some(w)) if rows > 0 && columns > 0 && h <= 65_535 && w <= 65_535 && h * w <= 1 << 28 => (h, w),
            _ => {
                let problem = format!("{rows} rows of {columns} images are no picture");
                return Err(unusable(Path::new("contact sheet"), problem));
            }
        };
        Ok((Self { height, width, channels, pixels: vec![GROUND; height * width * channels] }, scale))
    }

    /// Copies an image to (top, left), each of its pixels as a square of `scale`.
    fn paste(&mut self, image: &[u8], (height, width): (usize, usize), (top, left): (usize, usize), scale: usize) {
        for y in 0..height * scale {
            for x in 0..width * scale {
                let from = (y / scale * width + x / scale) * self.channels;
                let to = ((top + y) * self.width + left + x) * self.channels;
                self.pixels[to..to + self.channels].copy_from_slice(&image[from..from + self.channels]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::Shapes;
    use bakeoff_core::{Dataset, Images, Labelled, Labels, Provenance, Seed};
    use ndarray::{Array4, array};

    #[test]
    fn rows_are_classes_and_columns_their_first_images() {
        let pixels = Array4::from_shape_vec((3, 1, 48, 1), [[10; 48], [20; 48], [30; 48]].concat()).unwrap();
        let labels = Labels::new(array![1, 0, 1], 2).unwrap();
        let part = Labelled::new(Images::new(pixels).unwrap(), labels).unwrap();
        let splits = Splits {
            classes: vec!["a".into(), "b".into()],
            train: part.clone(),
            validation: None,
            test: part,
            provenance: Provenance::default(),
        };
        let sheet = draw(&splits, 2).unwrap();
        assert_eq!((sheet.height, sheet.width, sheet.channels), (2 + 3 + 3, 2 + 50 + 50, 1));
        let at = |y: usize, x: usize| sheet.pixels[y * sheet.width + x];
        assert_eq!([at(2, 2), at(2, 52), at(5, 2), at(5, 52), at(3, 2), at(2, 51)], [20, 128, 10, 30, 128, 128]);
        let place = |part, position| crate::audit::Place { part, position, class_id: 0, name: None };
        let pair = |a, b| Pair { exact: true, difference: 0.0, a: place(Part::Train, a), b: place(Part::Test, b) };
        let sheet = draw_pairs(&splits, &[pair(0, 2), pair(1, 1)], 1).unwrap();
        let at = |y: usize, x: usize| sheet.pixels[y * sheet.width + x];
        assert_eq!([at(2, 2), at(2, 52), at(5, 2), at(5, 52)], [10, 30, 20, 20]);
        assert!(draw_pairs(&splits, &[], 3).is_err() && draw_pairs(&splits, &[pair(0, 3)], 3).is_err());
        assert!(draw(&splits, 0).is_err() && draw(&splits, usize::MAX).is_err() && draw(&splits, 100_000).is_err());
    }

    #[test]
    fn the_saved_sheet_is_the_drawn_one() {
        let splits = Shapes::new(30, 10, Seed(0)).load(Path::new("")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        save(&splits, 3, &path).unwrap();
        let read = image::open(&path).unwrap().into_rgb8();
        let sheet = draw(&splits, 3).unwrap();
        assert_eq!((read.height() as usize, read.width() as usize), (sheet.height, sheet.width));
        assert_eq!(read.into_raw(), sheet.pixels);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(save(&splits, 3, &folder.path().join("none/sheet.png")).is_err());
    }
}
