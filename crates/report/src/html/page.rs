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

/// What a page may load: its own style, pictures within it, and the scripts with these hashes.
fn policy(extra: Option<&Extra>) -> String {
    let hash = |script: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script)));
    let scripts: Vec<String> = std::iter::once(SCRIPT).chain(extra.map(|extra| extra.script)).map(hash).collect();
    let connect = extra.map_or_else(String::new, |extra| format!(" connect-src {};", extra.connect));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {};{connect} base-uri 'none'; form-action 'none'",
        scripts.join(" ")
    )
}

/// What a page that is served has besides.
pub(crate) struct Extra {
    /// In its head.
    pub(crate) head: Markup,
    /// A second script.
    pub(crate) script: &'static str,
    /// Where that script may ask, as a policy says it.
    pub(crate) connect: &'static str,
}

/// What stands around a page's content.
pub(crate) struct Frame<'a> {
    pub(crate) title: &'a str,
    pub(crate) version: &'a str,
}

/// A page with this title, what stands above its sections, and them.
pub(crate) fn page(title: &str, top: &Markup, sections: &[Block], version: &str) -> String {
    framed(&Frame { title, version }, top, sections, None)
}

/// The same, with what a page that is served has besides.
pub(crate) fn framed(frame: &Frame<'_>, top: &Markup, sections: &[Block], extra: Option<&Extra>) -> String {
    let Frame { title, version } = frame;
    let body = html! {
        a.skip href="#main" { "To the results" }
        header {
            (top)
            nav aria-label="Sections" { @for section in sections { a href={ "#" (section.id) } { (section.title) } } }
        }
        main id="main" { @for section in sections { (shown(section)) } }
        footer { "Made by bakeoff " (name(version)) " from stored results." }
    };
    document_with(title, "", &body, extra)
}

/// A page of the house with this title and body: the style of reports and more, their script, and a policy that lets nothing
/// in from elsewhere. `more_style` is CSS and goes in as it is.
pub fn document(title: &str, more_style: &str, body: &Markup) -> String {
    document_with(title, more_style, body, None)
}

fn document_with(title: &str, more_style: &str, body: &Markup, extra: Option<&Extra>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy(extra));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (visible(title)) " – bakeoff" }
                style { (PreEscaped(STYLE)) (PreEscaped(more_style)) }
                @if let Some(extra) = extra { (extra.head) }
            }
            body {
                (body)
                script { (PreEscaped(SCRIPT)) }
                @if let Some(extra) = extra { script { (PreEscaped(extra.script)) } }
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
