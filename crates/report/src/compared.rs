//! The page and the text of a comparison: what differs, and what that did.

use crate::figures::{self, Figure, Scale};
use crate::html::{Block, comparison_table, figure, page, quiet_table};
use crate::plot::Mark;
use crate::tables::{Kind, Table, comparison_rows, text_column};
use crate::text::{markdown, visible};
use bakeoff_results::Comparison;
use bakeoff_results::across::Across;
use bakeoff_results::words::{level, p_value, percent, points};
use maud::{Markup, html};
use serde::Serialize;

/// What was compared, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Above the page.
    pub title: String,
    /// What is compared, as it was named.
    pub sides: Vec<String>,
    /// The answer in a sentence or two.
    pub verdict: String,
    /// Whether both sides answered the same test images.
    pub paired: bool,
    /// Why not, as a sentence; empty where they did.
    pub why_unpaired: String,
    /// The pairs.
    pub comparisons: Vec<Comparison>,
    /// What differs, in the order of the page.
    pub differences: Vec<Difference>,
    /// Pipelines over several datasets, where that was asked.
    pub across: Option<Across>,
    /// Level of the intervals.
    pub confidence: f64,
    /// Half width of the range of differences that count as none.
    pub equivalence: f64,
    /// Version of the program.
    pub version: String,
}

/// Something that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What kind of thing: "settings", "data", "machine".
    pub about: &'static str,
    /// Which thing.
    pub what: String,
    /// As it is on each side, in the order of the sides.
    pub values: Vec<String>,
}

impl Compared {
    /// One page in the style of reports.
    pub fn html(&self) -> String {
        let section = |id, title, body| Block { id, title, body };
        let mut sections = Vec::new();
        if let Some(pairs) = self.pairs() {
            sections.push(section("comparisons", "Comparisons", pairs));
        }
        if let Some(across) = &self.across {
            sections.push(section("ranks", "Over datasets", over_datasets(across)));
        }
        let differences = self
            .difference_table()
            .map_or_else(|| html! { p { "Settings, data and machine are the same." } }, |table| quiet_table(&table));
        sections.push(section("differences", "What differs", differences));
        page(&self.title, &self.top(), &sections, &self.version)
    }

    fn top(&self) -> Markup {
        html! {
            p.verdict { (visible(&self.verdict)) }
            h1 { bdi { (visible(&self.title)) } }
            @if !self.why_unpaired.is_empty() { p.question { bdi { (visible(&self.why_unpaired)) } } }
        }
    }

    fn pairs(&self) -> Option<Markup> {
        let table = self.comparison_table()?;
        Some(html! {
            @if let Some(about) = self.picture() { (figure(&about)) }
            (comparison_table(&table, &self.comparisons))
            p.note { (self.about()) }
        })
    }

    fn picture(&self) -> Option<Figure> {
        let names: Vec<&str> = self.comparisons.iter().map(|c| c.a.as_str()).collect();
        let mark = |name: &str| Mark(names.iter().position(|known| *known == name).unwrap_or(0));
        let scale = Scale { level: level(self.confidence), equivalence: self.equivalence, mark: &mark };
        figures::differences_of(&self.comparisons, &scale)
    }

    fn comparison_table(&self) -> Option<Table> {
        comparison_rows(&self.comparisons, &level(self.confidence))
    }

    fn about(&self) -> String {
        let margin = points(self.equivalence);
        let how = if self.paired {
            "on the same test images and seeds; one seed is tested by McNemar's exact test of two fixed models, several by a two-way test over \
             seeds and images"
        } else {
            "from two independent accuracies by the square-and-add rule (Newcombe 1998), which is wider than a paired interval"
        };
        format!(
            "Differences are in percentage points of accuracy, first minus second, with {} intervals, {how}. Equivalent means that the whole \
             interval lies within ±{}. Nobody declared these comparisons beforehand: they are exploratory.",
            level(self.confidence),
            margin.trim_start_matches('+'),
        )
    }

    fn difference_table(&self) -> Option<Table> {
        let mut head = vec![text_column("about"), text_column("what")];
        head.extend(self.sides.iter().map(text_column));
        let row = |d: &Difference| [vec![d.about.to_owned(), d.what.clone()], d.values.clone()].concat();
        let rows: Vec<Vec<String>> = self.differences.iter().map(row).collect();
        let caption = "What differs".to_owned();
        (!rows.is_empty()).then_some(Table { caption, kind: Kind::Values, head, rows })
    }

    /// The same as Markdown, for terminals.
    pub fn markdown(&self) -> String {
        let mut parts = vec![format!("**Verdict:** {}", markdown(&self.verdict))];
        if !self.why_unpaired.is_empty() {
            parts.push(markdown(&self.why_unpaired));
        }
        if let Some(table) = self.comparison_table() {
            parts.push(crate::markdown::table(&table).trim_end().to_owned());
        }
        if let Some(across) = &self.across {
            parts.push(crate::markdown::table(&rank_table(across)).trim_end().to_owned());
        }
        if let Some(table) = self.difference_table() {
            parts.push(crate::markdown::table(&table).trim_end().to_owned());
        }
        parts.join("\n\n").trim_end().to_owned() + "\n"
    }
}

fn over_datasets(across: &Across) -> Markup {
    html! {
        p { (visible(&across.words)) }
        @if let Some(about) = figures::ranks(across) { (figure(&about)) }
        (quiet_table(&rank_table(across)))
        @if !across.pairs.is_empty() { (quiet_table(&pair_table(across))) }
    }
}

/// Every pipeline with its rank and its accuracy on each dataset.
fn rank_table(across: &Across) -> Table {
    let number = |name: &str| crate::tables::number_column(name);
    let mut head = vec![text_column("pipeline"), number("average rank"), number("firsts")];
    head.extend(across.datasets.iter().map(|dataset| number(dataset)));
    let rows = across.pipelines.iter().map(|p| {
        let mut row = vec![p.name.clone(), format!("{:.2}", p.average_rank), p.firsts.to_string()];
        row.extend(p.accuracies.iter().map(|accuracy| percent(*accuracy)));
        row
    });
    Table { caption: "Pipelines over datasets".to_owned(), kind: Kind::Values, head, rows: rows.collect() }
}

fn pair_table(across: &Across) -> Table {
    let number = |name: &str| crate::tables::number_column(name);
    let head = vec![
        text_column("first"),
        text_column("second"),
        number("wins"),
        number("losses"),
        number("ties"),
        number("median difference"),
        text_column("p, adjusted"),
        text_column("better"),
    ];
    let rows = across.pairs.iter().map(|pair| {
        vec![
            pair.a.clone(),
            pair.b.clone(),
            pair.wins.to_string(),
            pair.losses.to_string(),
            pair.ties.to_string(),
            points(pair.median_difference),
            pair.p_adjusted.map_or_else(|| "–".to_owned(), p_value),
            pair.winner.clone().unwrap_or_else(|| "–".to_owned()),
        ]
    });
    Table { caption: "Pairs over datasets".to_owned(), kind: Kind::Values, head, rows: rows.collect() }
}
