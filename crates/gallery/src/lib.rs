//! Pictures for a report: what pipelines learned, glyphs of gradients, and the images that tell pipelines apart.
//!
//! It gets arrays, images and rows, and gives [`Gallery`]s of small PNG files with texts; it knows neither files nor stores.
//! What a picture cannot be made of is left out: an array of another shape than its settings promise makes no picture.

mod audit;
mod families;
mod hog;
mod learned;
mod png;
mod telling;

pub use audit::audit;
pub use families::{Family, families};
pub use hog::glyphs;
pub use learned::{Learned, learned};
pub use png::{picture, shades};
pub use telling::{Scores, telling};

use bakeoff_report::{Gallery, Pictures};

/// Bytes of pictures in one report.
pub const MOST_BYTES: usize = 2_500_000;

/// All galleries that have pictures, as long as there is room for them: what comes first stays.
pub fn fitting(galleries: impl IntoIterator<Item = Gallery>) -> Pictures {
    let mut room = MOST_BYTES;
    let mut kept = Vec::new();
    for mut gallery in galleries {
        gallery.pictures.retain(|picture| {
            let fits = picture.png.len() <= room;
            room -= if fits { picture.png.len() } else { 0 };
            fits
        });
        if !gallery.pictures.is_empty() {
            kept.push(gallery);
        }
    }
    Pictures { galleries: kept }
}
