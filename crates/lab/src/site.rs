//! Pages as HTML: each alone, or linked in the lecture's order under an index.

use crate::{CATALOGUE, Demonstration, Page};
use bakeoff_report::document;
use maud::{Markup, PreEscaped, html};

const STYLE: &str = include_str!("site.css");

/// A page as one file that needs nothing else. `linked` gives it links to the pages before and after it and to the index,
/// which must lie beside it; its numbers lie beside it in any case.
pub fn rendered(page: &Page, linked: bool, version: &str) -> String {
    let of = page.demonstration;
    let body = html! {
        a.skip href="#main" { "To the pictures" }
        header {
            @if linked { (links(of)) }
            p.verdict { (page.verdict()) }
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
            section.formulas aria-label="Formulas" { @for formula in &page.formulas { p { (formula) } } }
            @for (i, part) in page.parts.iter().enumerate() {
                section aria-labelledby={ "part-" (i) } { h2 id={ "part-" (i) } { (part.title) } (part.body) }
            }
            section aria-labelledby="measured" { h2 #measured { "What was measured" } (claims(page)) }
            section aria-labelledby="try" { h2 #try { "What to try" } ul { @for hint in &page.tries { li { (hint) } } } }
            section aria-labelledby="numbers" {
                h2 #numbers { "The numbers" }
                p { "All numbers are in this page as JSON, in the element " code { "numbers-json" } ", and in " a href={ (of.name) ".json" } { (of.name) ".json" } " beside it." }
            }
        }
        @if linked { (links(of)) }
        footer { "Made by bakeoff " (version) ": " code { "bakeoff lab " (of.name) } ". Lecture: " (of.lecture) "." }
        script #numbers-json type="application/json" { (PreEscaped(embedded(&page.json().to_string()))) }
    };
    document(of.title, STYLE, &body)
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
                    span.remark { (claim.measured) "." }
                }
            }
        }
    }
}

/// The way to the page before, the index and the page after.
fn links(of: &Demonstration) -> Markup {
    let place = CATALOGUE.iter().position(|known| known.name == of.name);
    let before = place.and_then(|i| i.checked_sub(1)).and_then(|i| CATALOGUE.get(i));
    let after = place.and_then(|i| CATALOGUE.get(i + 1));
    html! {
        nav.lecture aria-label="Lecture" {
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
                        span.remark { (page.demonstration.question) }
                        span.remark { (if page.holds() { "✓ " } else { "✗ " }) (page.verdict()) }
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
    fn numbers_cannot_end_their_element() {
        assert_eq!(embedded(r#"{"a":"</script><b>"}"#), r#"{"a":"\u003c/script>\u003cb>"}"#);
        let back: serde_json::Value = serde_json::from_str(&embedded(r#"{"a":"</script>"}"#)).unwrap();
        assert_eq!(back["a"], "</script>");
    }
}
