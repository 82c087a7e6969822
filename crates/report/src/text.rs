//! Text from files and users, made safe for where it goes.

/// The text with every character that is invisible or turns the direction of writing spelled out, so that no name
/// can hide or rearrange what stands beside it. Line breaks and tabs become spaces.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if is_hidden(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Control characters, marks of direction, zero-width characters (the joiners, which some scripts need, are kept).
fn is_hidden(c: char) -> bool {
    let marks = ['\u{200b}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{feff}'];
    let embeddings = '\u{202a}'..='\u{202e}';
    let isolates = '\u{2066}'..='\u{2069}';
    c.is_control() || marks.contains(&c) || embeddings.contains(&c) || isolates.contains(&c)
}

/// A text for running Markdown or a cell of a table: nothing in it is markup, and it is one line.
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '$' | '!' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.trim().to_owned()
}

/// A block of code in Markdown, with a fence longer than any in the text.
pub(crate) fn fenced(text: &str, language: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(markdown("a|b`c`\n<b>&amp;_x_ [y](z)"), "a\\|b\\`c\\` &lt;b&gt;&amp;amp;\\_x\\_ \\[y\\](z)");
        assert_eq!(markdown("\u{202e}evil\u{0}"), "\\\\u{202e}evil\\\\u{0}");
        assert_eq!(markdown("שלום é 猫"), "שלום é 猫");
    }

    #[test]
    fn a_fence_is_longer_than_those_inside() {
        assert_eq!(fenced("x\n", "toml"), "```toml\nx\n```\n");
        assert_eq!(fenced("````\nx", ""), "`````\n````\nx\n`````\n");
    }
}
