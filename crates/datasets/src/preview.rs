//! A contact sheet: a row a class, from the top in the order of the class ids, with its first training images.

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
    let scale = (SMALL_SIDE / height.max(width)).max(1);
    let rows = splits.classes.len().min(MOST_ROWS);
    let side = |n: usize, size: usize| n.checked_mul(size * scale + GAP).and_then(|all| all.checked_add(GAP));
    let (sheet_height, sheet_width) = match (side(rows, height), side(columns, width)) {
        (Some(h), Some(w)) if columns > 0 && h <= 65_535 && w <= 65_535 && h * w <= 1 << 28 => (h, w),
        _ => {
            return Err(unusable(
                Path::new("contact sheet"),
                format!("{rows} rows of {columns} images are no picture"),
            ));
        }
    };
    let pixels = vec![GROUND; sheet_height * sheet_width * channels];
    let mut sheet = Sheet { height: sheet_height, width: sheet_width, channels, pixels };
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

/// Draws a contact sheet into a PNG file, which is there whole or not at all.
///
/// # Errors
/// As [`draw`], and [`LoadError::Io`] when the file cannot be written.
pub fn save(splits: &Splits, columns: usize, path: &Path) -> Result<(), LoadError> {
    let sheet = draw(splits, columns)?;
    let color = if sheet.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    files::write_whole(path, |out| {
        PngEncoder::new(out)
            .write_image(&sheet.pixels, sheet.width as u32, sheet.height as u32, color)
            .map_err(|e| problem::io(path, std::io::Error::other(e.to_string())))
    })
}

impl Sheet {
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
