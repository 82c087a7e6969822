//! Pages as HTML: each alone, or linked in the lecture's order under an index.

use crate::{CATALOGUE, Demonstration, Page};
use bakeoff_report::document;
use maud::{Markup, PreEscaped, html};

const STYLE: &str = include_str!("site.css");

/// Rows of the lecture that have no page, what they say, and where that runs.
const ELSEWHERE: [(&str, &str, &str); 5] = [
    (
        "A1 to A4",
        "Linear classifiers s = W x + b with softmax or SVM loss, L1 or L2.",
        "`softmax` and `svm` in every built-in experiment: `bakeoff run quick`. Their losses are sampled on the page of convexity; `bakeoff lab playground` draws them while they train.",
    ),
    (
        "A5",
        "Stochastic gradient descent with momentum.",
        "What nets are trained by; linear classifiers with `solver = \"sgd\"`. `bakeoff lab playground` has the rate, the momentum and the batch to change while it trains.",
    ),
    (
        "A6",
        "k nearest neighbours are a universal approximator, too.",
        "The last section of universal approximation; `knn` in `bakeoff run cifar-10`; `bakeoff lab playground`.",
    ),
    (
        "B7",
        "With features only the classifier is trained, in a network everything from the pixels on.",
        "`bakeoff run cifar-10` and `bakeoff run fashion-mnist` measure one against the other. Their networks are fully connected; a convolutional one is not there yet.",
    ),
    (
        "C1",
        "Networks of two, three and six layers.",
        "`hidden = [100, 100, 100, 100, 100]` of `mlp` in an experiment file has six; `bakeoff lab playground` draws each of them.",
    ),
];

/// A page as one file that needs nothing else. `linked` gives it links to the pages before and after it and to the index,
/// which must lie beside it; its numbers lie beside it in any case.
pub fn rendered(page: &Page, linked: bool, version: &str) -> String {
    let of = page.demonstration;
    let (head, told) = page.told();
    let body = html! {
        a.skip href="#main" { "To the pictures" }
        header {
            @if linked { (links(of, "Lecture")) }
            p.verdict {
                (head) "."
                @for measured in &told { span.figure { (sentence(measured)) } }
            }
            h1 { (of.title) }
            p.question { (of.question) }
            nav aria-label="Sections" {
                @for (i, part) in page.parts.iter().enumerate() { a href={ "#part-" (i) } { (part.title) } }
                a href="#measured" { "What was measured" }
                a href="#try" { "What to try" }
                a href="#numbers" { "The numbers" }
            }
        }
        main #main {
            section.formulas aria-label="Formulas" { @for line in &page.formulas { p { (formula(line)) } } }
            @for (i, part) in page.parts.iter().enumerate() {
                section aria-labelledby={ "part-" (i) } { h2 id={ "part-" (i) } { (part.title) } (part.body) }
            }
            section aria-labelledby="measured" { h2 #measured { "What was measured" } (claims(page)) }
            section aria-labelledby="try" { h2 #try { "What to try" } ul { @for hint in &page.tries { li { (with_code(hint)) } } } }
            section aria-labelledby="numbers" {
                h2 #numbers { "The numbers" }
                p { "All numbers are in this page as JSON, in the element " code { "numbers-json" } ", and in " a href={ (of.name) ".json" } { (of.name) ".json" } " beside it." }
            }
        }
        @if linked { (links(of, "Lecture, once more")) }
        footer { "Made by bakeoff " (version) ": " code { "bakeoff lab " (of.name) } ". Lecture: " (of.lecture) "." }
        script #numbers-json type="application/json" { (PreEscaped(embedded(&page.json().to_string()))) }
    };
    document(of.title, STYLE, &body)
}

/// With a capital at the start and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).chain(['.']).collect())
}

/// A text in which what stands between backticks is code.
fn with_code(text: &str) -> Markup {
    html! {
        @for (i, part) in text.split('`').enumerate() {
            @if i % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A formula: the letter after `_` stands below the line.
fn formula(text: &str) -> Markup {
    let mut parts = text.split('_');
    let first = parts.next().unwrap_or_default();
    html! {
        (first)
        @for part in parts {
            @let end = part.chars().next().map_or(0, char::len_utf8);
            sub { (&part[..end]) } (&part[end..])
        }
    }
}

/// JSON that may stand in a script element: no text in it can end the element.
fn embedded(json: &str) -> String {
    json.replace('<', "\\u003c")
}

fn claims(page: &Page) -> Markup {
    html! {
        ul.claims {
            @for claim in &page.claims {
                li.denied[!claim.holds] {
                    strong { (if claim.holds { "✓ holds" } else { "✗ does not hold" }) } " " (claim.statement)
                    span.remark { (sentence(&claim.measured)) }
                }
            }
        }
    }
}

/// The way to the page before, the index and the page after.
fn links(of: &Demonstration, label: &str) -> Markup {
    let place = CATALOGUE.iter().position(|known| known.name == of.name);
    let before = place.and_then(|i| i.checked_sub(1)).and_then(|i| CATALOGUE.get(i));
    let after = place.and_then(|i| CATALOGUE.get(i + 1));
    html! {
        nav.lecture aria-label=(label) {
            span { @if let Some(page) = before { a rel="prev" href={ (page.name) ".html" } { "← " (page.title) } } }
            span { a href="index.html" { "The lab" } }
            span { @if let Some(page) = after { a rel="next" href={ (page.name) ".html" } { (page.title) " →" } } }
        }
    }
}

/// The index of a site of pages, in the lecture's order.
pub fn index(pages: &[Page], version: &str) -> String {
    let claims = pages.iter().flat_map(|page| &page.claims);
    let (all, held) = (claims.clone().count(), claims.filter(|claim| claim.holds).count());
    let body = html! {
        header {
            p.verdict { (held) " of " (all) " claims of the lecture hold as measured here, on " (pages.len()) " pages." }
            h1 { "The lab" }
            p.question { "From linear classifiers to neural networks: the lecture's statements, run, drawn and measured." }
        }
        main #main {
            ol.pages {
                @for page in pages {
                    li {
                        a href={ (page.demonstration.name) ".html" } { (page.demonstration.title) }
                        span.remark { (page.demonstration.question) " (" (page.demonstration.lecture) ")" }
                        span.remark { (if page.holds() { "✓ " } else { "✗ " }) (page.verdict()) }
                    }
                }
            }
            section aria-labelledby="elsewhere" {
                h2 #elsewhere { "Without a page of their own" }
                ul.claims {
                    @for (rows, statement, place) in ELSEWHERE {
                        li { strong { (rows) } " " (statement) span.remark { (with_code(place)) } }
                    }
                }
            }
        }
        footer { "Made by bakeoff " (version) ": " code { "bakeoff lab all" } "." }
    };
    document("The lab", STYLE, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_set_as_they_are_meant() {
        assert_eq!(
            formula("words c_1 … c_K, <h_j").into_string(),
            "words c<sub>1</sub> … c<sub>K</sub>, &lt;h<sub>j</sub>"
        );
        assert_eq!([formula("x").into_string(), formula("c_").into_string()], ["x", "c<sub></sub>"]);
        assert_eq!(with_code("`lab a` and `b<c`").into_string(), "<code>lab a</code> and <code>b&lt;c</code>");
        assert_eq!([sentence("52.8% are right"), sentence("äther"), sentence("")], ["52.8% are right.", "Äther.", ""]);
    }

    #[test]
    fn numbers_cannot_end_their_element() {
        assert_eq!(embedded(r#"{"a":"</script><b>"}"#), r#"{"a":"\u003c/script>\u003cb>"}"#);
        let back: serde_json::Value = serde_json::from_str(&embedded(r#"{"a":"</script>"}"#)).unwrap();
        assert_eq!(back["a"], "</script>");
    }
}
