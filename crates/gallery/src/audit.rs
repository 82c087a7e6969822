//! Duplicates that an audit of the data found.

use crate::png::picture;
use bakeoff_core::{ImagesView, Splits};
use bakeoff_report::{Gallery, Picture};
use bakeoff_results::words::grouped;
use bakeoff_results::{DuplicatePair, ImagePlace, Run};

/// Pairs that are shown.
const SHOWN: usize = 12;

/// The pairs that the run's record tells of, those with different labels first; `None` without an audit or without pairs.
pub fn audit(run: &Run, splits: &Splits) -> Option<Gallery> {
    let audit = run.dataset.audit.as_ref()?;
    let mut pairs: Vec<&DuplicatePair> = audit.pairs.iter().collect();
    pairs.sort_by_key(|pair| pair.a.label == pair.b.label);
    let pictures: Vec<Picture> = pairs.iter().take(SHOWN).filter_map(|pair| beside(run, splits, pair)).collect();
    let sum = |d: bakeoff_results::Duplicates| d.train + d.test + d.across;
    let (exact, near) = (sum(audit.exact), sum(audit.near));
    let first = if exact + near > pictures.len() {
        format!("; {} pairs of them are shown", pictures.len())
    } else {
        String::new()
    };
    let both_parts = if audit.exact.across + audit.near.across > 0 {
        " A test image that the training part has too makes the test easier than it looks."
    } else {
        ""
    };
    let labels = match audit.conflicts {
        0 => " None has two labels.".to_owned(),
        n => format!(" Pairs with two labels, of which one is wrong where both images show the same: {n}."),
    };
    let caption = format!(
        "Images that are the same or look the same: {} exact and {} near duplicates{first}.{both_parts}{labels}",
        grouped(exact),
        grouped(near),
    );
    (!pictures.is_empty()).then(|| Gallery { title: "Duplicates".to_owned(), caption, pictures })
}

/// Both images of a pair side by side.
fn beside(run: &Run, splits: &Splits, pair: &DuplicatePair) -> Option<Picture> {
    let (a, b) = (of(splits, &pair.a)?, of(splits, &pair.b)?);
    let (height, width, channels) = splits.train.images().shape();
    let row = width.checked_mul(channels)?;
    let rows = a.chunks_exact(row).zip(b.chunks_exact(row));
    let both: Vec<u8> = rows.flat_map(|(a, b)| a.iter().chain(b)).copied().collect();
    let told = |place: &ImagePlace| {
        let class = run.dataset.classes.get(place.label).map_or("?", String::as_str);
        let part = if place.test { "test" } else { "training" };
        let file = place.file.as_ref().map_or_else(String::new, |file| format!(" {file}"));
        format!("{part} image {}{file} ({class})", place.position)
    };
    let kind = if pair.exact { "same pixels" } else { "look the same" };
    let (a, b) = (told(&pair.a), told(&pair.b));
    let alt = format!("{a} and {b}: {kind}");
    picture(&both, (height, 2 * width, channels), alt, format!("{kind}\n{a}\n{b}"))
}

fn of<'a>(splits: &'a Splits, place: &ImagePlace) -> Option<&'a [u8]> {
    let part = if place.test { &splits.test } else { &splits.train };
    let images: ImagesView<'a> = part.images().view();
    (place.position < images.len()).then(|| images.image(place.position))
}
