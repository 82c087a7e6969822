//! Plots: scales, ticks and meshes by plotters, drawn as SVG that belongs to the page.
//!
//! A plot is drawn twice, for wide and for narrow screens, and the style shows one: texts keep their size. Its
//! label tells what is to be seen; the numbers stand in a table near it.

mod axis;
mod canvas;
mod marks;

pub use axis::Axis;
pub use marks::Mark;

use crate::text::visible;
use canvas::{AXIS, Canvas, GRID, Pen, STEPS, TICK, TITLE};
use maud::{Markup, PreEscaped, html};
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, Drawable, EmptyElement, PathElement, PointCollection, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, IntoFont, ShapeStyle, TextStyle};
use std::convert::Infallible;

/// For which screens a plot is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// A screen on a desk.
    Wide,
    /// A telephone, or one of several plots side by side.
    Narrow,
}

impl Width {
    /// In pixels.
    pub fn px(self) -> f64 {
        match self {
            Self::Wide => 860.0,
            Self::Narrow => 350.0,
        }
    }

    /// One of two, by width.
    pub fn either<T>(self, wide: T, narrow: T) -> T {
        if self == Self::Wide { wide } else { narrow }
    }
}

/// A plot for both.
pub fn both(draw: impl Fn(Width) -> Markup) -> Markup {
    html! { div.wide { (draw(Width::Wide)) } div.narrow { (draw(Width::Narrow)) } }
}

/// How a value is written at a tick.
pub type Written<'a> = &'a dyn Fn(f64) -> String;

/// What a plot is before anything stands in it.
pub struct Plot<'a> {
    /// For which screens.
    pub width: Width,
    /// In pixels.
    pub height: f64,
    /// Room for the texts at the left, in pixels.
    pub left: f64,
    /// Along the lower edge.
    pub x: Axis,
    /// Along the left edge.
    pub y: Axis,
    /// Under the ticks of x; none when empty.
    pub x_title: &'a str,
    /// Beside the ticks of y; none when empty.
    pub y_title: &'a str,
    /// How x is written at its ticks.
    pub x_written: Written<'a>,
    /// How y is written at its ticks.
    pub y_written: Written<'a>,
    /// What is to be seen, for those who do not see it.
    pub label: &'a str,
}

/// A percentage for ticks that lie this far apart.
pub fn percent_ticks(axis: Axis) -> impl Fn(f64) -> String {
    let decimals = usize::from(axis.hi() - axis.lo() < 4.0);
    move |v| format!("{v:.decimals$}%")
}

/// The start of a name that has room in so many pixels of 12-pixel text.
pub(crate) fn shortened(name: &str, px: f64) -> String {
    let name = visible(name);
    let room = (px / 6.4).max(2.0) as usize;
    if name.chars().count() <= room { name } else { name.chars().take(room - 1).chain(['…']).collect() }
}

/// The room that names need at the left of a plot, in pixels, and no more than this.
pub(crate) fn room_for<'a>(names: impl Iterator<Item = &'a str>, most: f64) -> f64 {
    let longest = names.map(|name| visible(name).chars().count()).max().unwrap_or(0);
    (longest as f64 * 6.4 + 22.0).clamp(48.0, most)
}

type Chart<'a> = ChartContext<'a, Canvas, Cartesian2d<Axis, Axis>>;
type Failed = DrawingAreaErrorKind<Infallible>;

/// A plot that is drawn on.
pub struct Drawing<'a> {
    chart: Chart<'a>,
    pen: Pen,
    failed: Option<Failed>,
}

impl Plot<'_> {
    /// The plot with what `body` draws into it.
    pub fn draw(&self, body: impl FnOnce(&mut Drawing<'_>)) -> Markup {
        let pen = Pen::default();
        let size = (self.width.px(), self.height);
        let steps = |px: f64| (px * STEPS) as u32;
        let canvas = Canvas { pen: pen.clone(), size: (steps(size.0), steps(size.1)) };
        match self.drawn(&canvas.into_drawing_area(), &pen, body) {
            Ok(()) => html! {
                svg.plot viewBox={ "0 0 " (size.0) " " (size.1) } width=(size.0) height=(size.1) role="img" aria-label=(visible(self.label)) {
                    (PreEscaped(pen.take()))
                }
            },
            Err(error) => html! { p.note { "This picture could not be drawn: " (error.to_string()) } },
        }
    }

    fn drawn(
        &self,
        area: &DrawingArea<Canvas, Shift>,
        pen: &Pen,
        body: impl FnOnce(&mut Drawing<'_>),
    ) -> Result<(), Failed> {
        let steps = |px: f64| (px * STEPS) as u32;
        let bottom = if self.x_title.is_empty() { 24.0 } else { 38.0 };
        let mut chart = ChartBuilder::on(area)
            .margin_top(steps(8.0))
            .margin_bottom(steps(6.0))
            .margin_right(steps(16.0))
            .x_label_area_size(steps(bottom))
            .y_label_area_size(steps(self.left))
            .build_cartesian_2d(self.x, self.y)?;
        let font = |size: u32| TextStyle::from(("sans-serif", size).into_font());
        pen.open("mesh", "");
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(plotters::style::TRANSPARENT)
            .max_light_lines(0)
            .axis_style(AXIS)
            .set_all_tick_mark_size(steps(4.0))
            .x_labels(self.width.either(8, 5))
            .y_labels(7)
            .x_label_formatter(&|v| (self.x_written)(*v))
            .y_label_formatter(&|v| (self.y_written)(*v))
            .label_style(font(TICK))
            .axis_desc_style(font(TITLE))
            .x_desc(self.x_title)
            .y_desc(self.y_title)
            .draw()?;
        pen.close();
        let mut drawing = Drawing { chart, pen: pen.clone(), failed: None };
        body(&mut drawing);
        drawing.failed.map_or(Ok(()), Err)
    }
}

fn line_style() -> ShapeStyle {
    BLACK.stroke_width(STEPS as u32)
}

impl Drawing<'_> {
    /// What `body` draws, in a group of these classes. A title is told of what is pointed at.
    pub fn group(&mut self, class: &str, title: &str, body: impl FnOnce(&mut Self)) {
        self.pen.open(class, title);
        body(self);
        self.pen.close();
    }

    fn element<E>(&mut self, element: E)
    where
        for<'b> &'b E: PointCollection<'b, (f64, f64)>,
        E: Drawable<Canvas>,
    {
        let drawn = self.chart.draw_series(std::iter::once(element)).map(|_| ());
        self.failed = self.failed.take().or(drawn.err());
    }

    /// A line through these points.
    pub fn line(&mut self, points: &[(f64, f64)]) {
        let points: Vec<_> = points.iter().copied().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
        if points.len() > 1 {
            self.element(PathElement::new(points, line_style()));
        }
    }

    /// The region between two lines over the same places.
    pub fn band(&mut self, lower: &[(f64, f64)], upper: &[(f64, f64)]) {
        let around: Vec<_> = lower.iter().chain(upper.iter().rev()).copied().collect();
        if around.len() > 2 && around.iter().all(|p| p.0.is_finite() && p.1.is_finite()) {
            self.group("band", "", |drawing| drawing.element(Polygon::new(around, BLACK.filled())));
        }
    }

    /// The region that these polygons, each from corner to corner, fill together. They are one shape, so that no seam is seen
    /// where two meet.
    pub fn region<'p>(&mut self, polygons: impl IntoIterator<Item = &'p [(f64, f64)]>) {
        let outline: String = polygons.into_iter().map(|corners| self.path(corners) + "Z").collect();
        self.pen.path("region", &outline);
    }

    /// Many lines at once, which need not meet: contours, meshes.
    pub fn lines<'p>(&mut self, lines: impl IntoIterator<Item = &'p [(f64, f64)]>) {
        let outline: String = lines.into_iter().map(|points| self.path(points)).collect();
        self.pen.path("l", &outline);
    }

    /// From the first place over the others, in the words of SVG paths.
    fn path(&self, places: &[(f64, f64)]) -> String {
        let places = places.iter().filter(|at| at.0.is_finite() && at.1.is_finite()).map(|&at| self.place(at));
        let words = places.enumerate().map(|(i, (x, y))| format!("{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" }));
        words.collect()
    }

    /// A filled rectangle between two corners.
    pub fn block(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.element(Rectangle::new([from, to], BLACK.filled()));
    }

    /// A pipeline's mark, with this radius in pixels.
    pub fn mark(&mut self, mark: Mark, at: (f64, f64), radius: f64) {
        if !(at.0.is_finite() && at.1.is_finite()) {
            return;
        }
        let steps = |px: f64| (px * STEPS).round() as i32;
        match mark.corners(radius) {
            None => self.element(Circle::new(at, steps(radius), BLACK.filled())),
            Some(corners) => {
                let corners: Vec<(i32, i32)> = corners.iter().map(|&(x, y)| (steps(x), steps(y))).collect();
                self.element(EmptyElement::at(at) + Polygon::new(corners, BLACK.filled()));
            }
        }
    }

    /// A dot.
    pub fn dot(&mut self, at: (f64, f64), radius: f64) {
        self.element(Circle::new(at, (radius * STEPS) as i32, BLACK.filled()));
    }

    /// A text beside a place, this many pixels off; its start is there, or its end.
    pub fn text(&mut self, at: (f64, f64), off: (f64, f64), end: bool, text: &str) {
        let steps = |px: f64| (px * STEPS).round() as i32;
        let pos = Pos::new(if end { HPos::Right } else { HPos::Left }, VPos::Center);
        let style = TextStyle::from(("sans-serif", TICK).into_font()).pos(pos);
        self.element(EmptyElement::at(at) + Text::new(text.to_owned(), (steps(off.0), steps(off.1)), style));
    }

    /// Where a place of the data is, in pixels of the picture.
    pub fn place(&self, at: (f64, f64)) -> (f64, f64) {
        let (x, y) = self.chart.backend_coord(&at);
        (f64::from(x) / STEPS, f64::from(y) / STEPS)
    }
}
