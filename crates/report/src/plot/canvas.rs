//! A backend of plotters that writes SVG for a page: colours, fonts and dashes come from the page's style by class, texts stay
//! texts and are escaped, and marks are grouped under a title.
//!
//! The backend that plotters ships fixes fonts in pixels and colours in hexadecimal, has no groups and no titles: such
//! a picture cannot follow a dark page, and nothing in it can be pointed at.

use crate::text::visible;
use maud::html;
use plotters::backend::DrawingBackend;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind, FontTransform};
use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

/// Steps of a pixel: plotters counts in whole numbers, and a mark half a pixel off is seen.
pub(super) const STEPS: f64 = 10.0;

/// Line colours that plotters is given and the page's style turns into its own.
pub(super) const GRID: plotters::style::RGBColor = plotters::style::RGBColor(1, 0, 0);
/// See [`GRID`].
pub(super) const AXIS: plotters::style::RGBColor = plotters::style::RGBColor(2, 0, 0);

/// Sizes of texts, in steps; the page's style sets what is shown.
pub(super) const TICK: u32 = 110;
/// See [`TICK`].
pub(super) const TITLE: u32 = 111;

/// What was drawn so far. The plot keeps one end to open and close groups, plotters the other to draw.
#[derive(Clone, Default)]
pub(super) struct Pen(Rc<RefCell<String>>);

impl Pen {
    fn push(&self, markup: &str) {
        self.0.borrow_mut().push_str(markup);
    }

    /// Opens a group of these classes. What is pointed at in it is told by `title`.
    pub(super) fn open(&self, class: &str, title: &str) {
        self.push(&format!("<g class=\"{class}\">"));
        if !title.is_empty() {
            self.push(&html! { title { (visible(title)) } }.into_string());
        }
    }

    /// Closes the group that was opened last.
    pub(super) fn close(&self) {
        self.push("</g>");
    }

    /// A path of this class; nothing when there is none.
    pub(super) fn path(&self, class: &str, outline: &str) {
        if !outline.is_empty() {
            self.push(&html! { path class=(class) d=(outline) {} }.into_string());
        }
    }

    /// Everything that was drawn.
    pub(super) fn take(&self) -> String {
        self.0.take()
    }
}

/// The drawing side.
pub(super) struct Canvas {
    pub(super) pen: Pen,
    /// In steps.
    pub(super) size: (u32, u32),
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// A number of steps as pixels.
fn px(steps: i32) -> String {
    let text = format!("{:.1}", f64::from(steps) / STEPS);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The class of a line: what the mesh is made of has its own.
fn class(color: BackendColor, fill: bool) -> &'static str {
    match color.rgb {
        (1, 0, 0) => "grid",
        (2, 0, 0) => "axis",
        _ if fill => "f",
        _ => "l",
    }
}

fn points(path: impl IntoIterator<Item = BackendCoord>) -> String {
    let points: Vec<String> = path.into_iter().map(|(x, y)| format!("{},{}", px(x), px(y))).collect();
    points.join(" ")
}

impl DrawingBackend for Canvas {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, _: BackendCoord, _: BackendColor) -> Drawn {
        // Nothing here draws pixels: every shape has a method of its own below.
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        // plotters draws the finer mesh that it was not to draw with no ink.
        if style.color().alpha == 0.0 {
            return Ok(());
        }
        let class = class(style.color(), false);
        let line = html! { line class=(class) x1=(px(from.0)) y1=(px(from.1)) x2=(px(to.0)) y2=(px(to.1)) {} };
        self.pen.push(&line.into_string());
        Ok(())
    }

    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, fill: bool) -> Drawn {
        let (x, y) = (from.0.min(to.0), from.1.min(to.1));
        let (width, height) = ((to.0 - from.0).abs(), (to.1 - from.1).abs());
        let class = class(style.color(), fill);
        let rect = html! { rect class=(class) x=(px(x)) y=(px(y)) width=(px(width)) height=(px(height)) {} };
        self.pen.push(&rect.into_string());
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        let line = html! { polyline class=(class(style.color(), false)) points=(points(path)) {} };
        self.pen.push(&line.into_string());
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn {
        let class = class(style.color(), fill);
        let circle = html! { circle class=(class) cx=(px(center.0)) cy=(px(center.1)) r=(px(radius as i32)) {} };
        self.pen.push(&circle.into_string());
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, vertices: I, style: &S) -> Drawn {
        let polygon = html! { polygon class=(class(style.color(), true)) points=(points(vertices)) {} };
        self.pen.push(&polygon.into_string());
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        let anchor = match style.anchor().h_pos {
            HPos::Left => "start",
            HPos::Center => "middle",
            HPos::Right => "end",
        };
        // Where the base line lies below the point, in heights of the font.
        let shift = match style.anchor().v_pos {
            VPos::Top => "0.76em",
            VPos::Center => "0.36em",
            VPos::Bottom => "0",
        };
        let (x, y) = (px(at.0), px(at.1));
        let turned = matches!(style.transform(), FontTransform::Rotate270).then(|| format!("rotate(-90 {x} {y})"));
        let class = if style.size() > f64::from(TICK) { "title" } else { "tick" };
        let text = html! {
            text class=(class) x=(x) y=(y) dy=(shift) text-anchor=(anchor) transform=[turned] { (visible(text)) }
        };
        self.pen.push(&text.into_string());
        Ok(())
    }

    /// Half an em and a bit for each character: the page's font is not known here.
    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let width = 0.56 * style.size() * text.chars().count() as f64;
        Ok((width as u32, style.size() as u32))
    }

    fn blit_bitmap(&mut self, _: BackendCoord, _: (u32, u32), _: &[u8]) -> Drawn {
        // A page has its pictures elsewhere.
        Ok(())
    }
}
