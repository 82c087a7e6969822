//! The page around the sections: its head, its policy, its style and its script.

use super::name;
use crate::text::visible;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");

/// A part of a page with a heading.
pub(crate) struct Block {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) body: Markup,
}

/// What a page may load: its own style, pictures within it, and the one script with this hash.
fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{hash}'; base-uri 'none'; \
         form-action 'none'"
    )
}

/// A page with this title, what stands above its sections, and them.
pub(crate) fn page(title: &str, top: &Markup, sections: &[Block], version: &str) -> String {
    let body = html! {
        a.skip href="#main" { "To the results" }
        header {
            (top)
            nav aria-label="Sections" { @for section in sections { a href={ "#" (section.id) } { (section.title) } } }
        }
        main id="main" { @for section in sections { (shown(section)) } }
        footer { "Made by bakeoff " (name(version)) " from stored results." }
    };
    document(title, "", &body)
}

/// A page of the house with this title and body: the style of reports and more, their script, and a policy that lets nothing
/// in from elsewhere. `more_style` is CSS and goes in as it is.
pub fn document(title: &str, more_style: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (visible(title)) " – bakeoff" }
                style { (PreEscaped(STYLE)) (PreEscaped(more_style)) }
            }
            body {
                (body)
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string() + "\n"
}

fn shown(section: &Block) -> Markup {
    html! {
        section id=(section.id) aria-labelledby={ (section.id) "-title" } {
            h2 id={ (section.id) "-title" } { (section.title) }
            (section.body)
        }
    }
}
