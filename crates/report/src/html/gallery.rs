//! Pictures of what was learned, and of images that tell pipelines apart.

use super::name;
use crate::report::Report;
use crate::text::visible;
use crate::{Gallery, Picture};
use maud::{Markup, html};

pub(super) fn shown(report: &Report<'_>) -> Option<Markup> {
    let galleries = &report.pictures.galleries;
    (!galleries.is_empty()).then(|| html! { @for gallery in galleries { (of(gallery)) } })
}

fn of(gallery: &Gallery) -> Markup {
    html! {
        h3 { (name(&gallery.title)) }
        @if !gallery.caption.is_empty() { p.note { (name(&gallery.caption)) } }
        @if !gallery.pictures.is_empty() { (pictures(&gallery.pictures)) }
    }
}

/// Pictures side by side, each with its text, for a page of [`crate::document`].
pub fn pictures(shown: &[Picture]) -> Markup {
    html! { ul.gallery { @for picture in shown { li { (one(picture)) } } } }
}

/// Pixels that a small picture is drawn wide.
const SIDE: f64 = 84.0;

fn one(picture: &Picture) -> Markup {
    let (height, width) = (picture.size.0.max(1) as f64, picture.size.1.max(1) as f64);
    // Pictures of several times that width are drawn as they are; small ones in whole pixels.
    let shown = if width > 2.0 * SIDE { width } else { (SIDE / width).ceil().max(1.0) * width };
    let high = shown * height / width;
    html! {
        figure {
            @if picture.strokes.is_empty() {
                img src=(picture.address()) width=(round(shown)) height=(round(high)) alt=(visible(&picture.alt));
            } @else {
                svg viewBox={ "0 0 " (round(shown)) " " (round(high)) } width=(round(shown)) height=(round(high)) role="img" aria-label=(visible(&picture.alt)) {
                    image href=(picture.address()) width=(round(shown)) height=(round(high)) preserveAspectRatio="none" {}
                    g.strokes {
                        @for stroke in &picture.strokes {
                            line x1=(place(stroke.from.0, shown)) y1=(place(stroke.from.1, high)) x2=(place(stroke.to.0, shown)) y2=(place(stroke.to.1, high)) opacity=(place(stroke.weight, 1.0)) {}
                        }
                    }
                }
            }
            @if !picture.caption.is_empty() { figcaption { @for line in picture.caption.lines() { span { (name(line)) } } } }
        }
    }
}

fn round(px: f64) -> String {
    format!("{px:.0}")
}

/// A share of a length; a number that is none is 0.
fn place(share: f32, length: f64) -> String {
    let share = if share.is_finite() { f64::from(share) } else { 0.0 };
    format!("{:.2}", share * length)
}
