//! Pictures of the lab, on the project's own plots: charts with a legend, square pieces of the plane, tables.

pub(crate) use bakeoff_report::grouped;
use bakeoff_report::plot::{Axis, Drawing, Mark, Plot, Width, Written, both};
use maud::{Markup, html};

/// A line of a chart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// From where to where values lie, at the same places as the points; empty for none.
    pub(crate) band: Vec<(f64, f64)>,
    /// Whether every point has a mark.
    pub(crate) is_marked: bool,
    /// Whether nothing joins the points.
    pub(crate) is_scattered: bool,
}

impl Series {
    /// A plain line.
    pub(crate) fn line(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, ..Self::default() }
    }

    /// A line with a mark at every point.
    pub(crate) fn marked(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { is_marked: true, ..Self::line(name, points) }
    }

    /// Marks without a line.
    pub(crate) fn scattered(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { is_scattered: true, ..Self::marked(name, points) }
    }

    /// With a band from (lower, upper) at each point.
    pub(crate) fn within(self, band: Vec<(f64, f64)>) -> Self {
        Self { band, ..self }
    }
}

/// Lines over a common axis.
pub(crate) struct Chart<'a> {
    /// What is to be seen.
    pub(crate) finding: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) x_title: &'a str,
    pub(crate) y_title: &'a str,
    pub(crate) x_written: Written<'a>,
    pub(crate) y_written: Written<'a>,
    pub(crate) series: Vec<Series>,
}

impl Chart<'_> {
    /// The chart over the whole width, with its legend and finding.
    pub(crate) fn shown(&self) -> Markup {
        html! {
            figure {
                (both(|width| self.drawn(width, width.either(340.0, 280.0))))
                @if self.series.len() > 1 { (legend(self.series.iter().enumerate().map(|(i, s)| (s.name.as_str(), Mark(i))))) }
                figcaption { (self.finding) }
            }
        }
    }

    /// A small chart among others; a legend is theirs together.
    pub(crate) fn panel(&self, title: &str) -> Markup {
        panel(title, &self.drawn_as(Width::Narrow, 250.0, &format!("{title}: {}", self.seen())), &self.finding)
    }

    /// What is to be seen, in words: the finding, or the lines by name.
    fn seen(&self) -> String {
        if self.finding.is_empty() {
            self.series.iter().map(|series| series.name.as_str()).collect::<Vec<_>>().join(", ")
        } else {
            self.finding.clone()
        }
    }

    fn drawn(&self, width: Width, height: f64) -> Markup {
        self.drawn_as(width, height, &self.finding)
    }

    fn drawn_as(&self, width: Width, height: f64, label: &str) -> Markup {
        let plot = Plot {
            width,
            height,
            left: if self.y_title.is_empty() { 48.0 } else { 62.0 },
            x: self.x,
            y: self.y,
            x_title: self.x_title,
            y_title: self.y_title,
            x_written: self.x_written,
            y_written: self.y_written,
            label,
        };
        plot.draw(|drawing| self.series.iter().enumerate().for_each(|(i, series)| series.draw(Mark(i), drawing)))
    }
}

impl Series {
    fn draw(&self, mark: Mark, drawing: &mut Drawing<'_>) {
        drawing.group(&mark.class(), &self.name, |drawing| {
            let side = |end: fn(&(f64, f64)) -> f64| -> Vec<(f64, f64)> {
                self.points.iter().zip(&self.band).map(|(at, band)| (at.0, end(band))).collect()
            };
            if !self.band.is_empty() {
                drawing.band(&side(|band| band.0), &side(|band| band.1));
            }
            if !self.is_scattered {
                drawing.line(&self.points);
            }
            let ends = [self.points.first(), self.points.last()];
            let marked: Vec<_> =
                if self.is_marked { self.points.iter().collect() } else { ends.into_iter().flatten().collect() };
            marked.into_iter().for_each(|&at| drawing.mark(mark, at, 3.6));
        });
    }
}

/// Names with their marks.
pub(crate) fn legend<'a>(names: impl Iterator<Item = (&'a str, Mark)>) -> Markup {
    html! { ul.legend { @for (name, mark) in names { li { (mark.shown()) (name) } } } }
}

/// A picture among others, with its title and what is to be seen.
pub(crate) fn panel(title: &str, picture: &Markup, finding: &str) -> Markup {
    html! { figure { @if !title.is_empty() { h3 { (title) } } (picture) @if !finding.is_empty() { figcaption { (finding) } } } }
}

/// Pictures side by side, as many as the page is wide; four stand two by two.
pub(crate) fn panels(shown: &[Markup]) -> Markup {
    html! { div.panels.pairs[shown.len() == 4] { @for panel in shown { (panel) } } }
}

/// From where to where a picture of the plane goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    pub(crate) x: (f64, f64),
    pub(crate) y: (f64, f64),
}

impl Frame {
    /// From −side to side in both directions.
    pub(crate) fn about_zero(side: f64) -> Self {
        Self { x: (-side, side), y: (-side, side) }
    }

    /// A square picture of this piece of the plane, with titles of its axes.
    pub(crate) fn plane(
        self,
        label: &str,
        (x_title, y_title): (&str, &str),
        body: impl FnOnce(&mut Drawing<'_>),
    ) -> Markup {
        const LEFT: f64 = 52.0;
        let plot = Plot {
            width: Width::Narrow,
            // Ticks and title below, and a margin above, beside a square.
            height: Width::Narrow.px() - LEFT - 16.0 + 8.0 + if x_title.is_empty() { 24.0 } else { 44.0 },
            left: LEFT,
            x: Axis::from_to(self.x.0, self.x.1),
            y: Axis::from_to(self.y.0, self.y.1),
            x_title,
            y_title,
            x_written: &plain,
            y_written: &plain,
            label,
        };
        plot.draw(body)
    }
}

/// Points of classes, a mark a class.
pub(crate) fn points(drawing: &mut Drawing<'_>, at: &[(f64, f64)], classes: &[usize], radius: f64) {
    let n_classes = classes.iter().max().map_or(0, |most| most + 1);
    for class in 0..n_classes {
        drawing.group(&format!("points {}", Mark(class).class()), "", |drawing| {
            let own = at.iter().zip(classes).filter(|(_, c)| **c == class);
            own.for_each(|(&at, _)| drawing.mark(Mark(class), at, radius));
        });
    }
}

/// Numbers as bars side by side, in a small picture.
pub(crate) fn bars(values: &[f64], label: &str, x_title: &str) -> Markup {
    let most = values.iter().copied().fold(0.0, f64::max).max(1e-12);
    let plot = Plot {
        width: Width::Narrow,
        height: 200.0,
        left: 48.0,
        x: Axis::from_to(-0.5, values.len() as f64 - 0.5),
        y: Axis::from_to(0.0, 1.05 * most),
        x_title,
        y_title: "",
        x_written: &plain,
        y_written: &plain,
        label,
    };
    plot.draw(|drawing| {
        drawing.group("bars s0", "", |drawing| {
            let tall = values.iter().enumerate().filter(|(_, v)| **v > 0.0);
            tall.for_each(|(i, v)| drawing.block((i as f64 - 0.42, 0.0), (i as f64 + 0.42, *v)));
        });
    })
}

/// A table whose first column names its rows; other columns are numbers.
pub(crate) fn table(caption: &str, heads: &[&str], rows: &[Vec<String>]) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table {
                @if !caption.is_empty() { caption { (caption) } }
                thead { tr { @for (i, head) in heads.iter().enumerate() { th.number[i > 0] scope="col" { (head) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (i, cell) in row.iter().enumerate() {
                                @if i == 0 { th scope="row" { (cell) } } @else { td.number { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// A number of any size with about three digits.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        _ if !value.is_finite() => return "–".to_owned(),
        0.0 => "0".to_owned(),
        _ if !(0.001..1e6).contains(&size) => format!("{value:.1e}"),
        _ if size >= 999.5 => format!("{}{}", if value < 0.0 { "-" } else { "" }, grouped(size.round() as usize)),
        _ => format!("{value:.*}", (2 - size.log10().floor() as i32).clamp(0, 5) as usize),
    };
    text.replace('-', "−")
}

/// A tick as short as it can be.
pub(crate) fn plain(value: f64) -> String {
    // Adding 0 takes the sign off −0.
    format!("{}", (value * 1e6).round() / 1e6 + 0.0).replace('-', "−")
}

/// A tick of a logarithmic axis: 10 to a power where it is very small or large.
pub(crate) fn power(value: f64) -> String {
    if value > 0.0 && !(0.001..100_000.0).contains(&value) {
        format!("{value:.0e}").replace('-', "−")
    } else {
        plain(value)
    }
}

/// The middle of numbers, 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => 0.0,
        _ => f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]),
    }
}

/// The mean of numbers, 0 of none.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The least and the greatest.
pub(crate) fn span(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), &v| (lo.min(v), hi.max(v)))
}

/// The slope of the straight line through points, by least squares.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let (mean_x, mean_y) = (mean(&x), mean(&y));
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = x.iter().map(|x| (x - mean_x) * (x - mean_x)).sum();
    covariance / variance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_true_minus() {
        assert_eq!([0.0, 0.12345, -12.345, 1234.4, 1.5e-7].map(number), ["0", "0.123", "−12.3", "1,234", "1.5e−7"]);
        assert_eq!([number(-1234.4), number(999.7)], ["−1,234", "1,000"]);
        assert_eq!(number(f64::NAN), "–");
        assert_eq!([plain(-1e-17), plain(0.0)], ["0", "0"]);
        assert_eq!([plain(-0.5), power(1e-8), power(0.01), percent(0.8765)], ["−0.5", "1e−8", "0.01", "87.6%"]);
    }

    #[test]
    fn sums_of_numbers() {
        assert_eq!((median(&[3.0, 1.0, 2.0, 10.0]), median(&[5.0]), median(&[])), (2.5, 5.0, 0.0));
        assert_eq!((mean(&[1.0, 3.0]), span(&[2.0, -1.0])), (2.0, (-1.0, 2.0)));
        assert!((slope(&[(0.0, 1.0), (1.0, -1.0), (2.0, -3.0)]) + 2.0).abs() < 1e-12);
    }
}
