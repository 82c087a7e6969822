//! Colours of the page against WCAG 2.2, level AA: text has a contrast of at least 4.5 to 1 on what lies under it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bakeoff_report::{CATALOGUE, Report};

type Rgb = [f64; 3];

/// The value of a variable in a block of the style.
fn variable<'a>(block: &'a str, name: &str) -> &'a str {
    let (_, rest) = block.split_once(&format!("--{name}: ")).unwrap_or_else(|| panic!("no --{name}"));
    rest.split(';').next().unwrap()
}

fn hex(block: &str, name: &str) -> Rgb {
    let digits = variable(block, name).strip_prefix('#').unwrap();
    [0, 2, 4].map(|i| f64::from(u8::from_str_radix(&digits[i..i + 2], 16).unwrap()))
}

fn triple(block: &str, name: &str) -> Rgb {
    let mut numbers = variable(block, name).split(' ').map(|n| n.parse().unwrap());
    [(); 3].map(|()| numbers.next().unwrap())
}

/// Relative luminance, by the definition of WCAG.
fn luminance(color: Rgb) -> f64 {
    let linear =
        color.map(|c| c / 255.0).map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn mixed(over: Rgb, under: Rgb, share: f64) -> Rgb {
    [0, 1, 2].map(|i| share * over[i] + (1.0 - share) * under[i])
}

#[test]
fn contrast_of_known_colours() {
    assert!((contrast([0.0; 3], [255.0; 3]) - 21.0).abs() < 1e-9);
    // WebAIM's checker gives 4.54 for #767676 on white.
    assert!((contrast([118.0; 3], [255.0; 3]) - 4.54).abs() < 0.005);
}

#[test]
fn every_text_stands_out_in_light_in_dark_and_on_paper() {
    let format = CATALOGUE.iter().find(|format| format.name == "html").unwrap();
    let html = (format.render)(&Report::of(&common::run(), &common::rows())).unwrap();
    let blocks: Vec<&str> = html.split(":root {").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert_eq!(blocks.len(), 3, "light, dark and print");
    for block in blocks {
        let (paper, surface, ink) = (hex(block, "paper"), hex(block, "surface"), hex(block, "ink"));
        for name in ["ink", "muted", "accent", "better", "equivalent", "undecided", "none"] {
            for under in [paper, surface] {
                let found = contrast(hex(block, name), under);
                assert!(found >= 4.5, "{name} on {under:?}: {found:.2}");
            }
        }
        // Marks are no text: 3 to 1, success criterion 1.4.11.
        for series in 0..8 {
            let found = contrast(hex(block, &format!("s{series}")), paper);
            assert!(found >= 3.0, "series {series}: {found:.2}");
        }
        for heat in ["right", "wrong"] {
            for tenths in 0..=10 {
                let under = mixed(triple(block, heat), paper, f64::from(tenths) / 10.0);
                let found = contrast(ink, under);
                assert!(found >= 4.5, "a number on {heat} at {tenths} tenths: {found:.2}");
            }
        }
    }
}
