//! The page of a comparison: pairs, what differs, and pipelines over several datasets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bakeoff_report::{Compared, Difference};
use bakeoff_results::across::{OnDataset, across};
use bakeoff_results::{Comparison, compare};
use std::fs;

fn compared(comparisons: Vec<Comparison>) -> Compared {
    let difference = Difference {
        about: "settings",
        what: "classifier.settings.l2".to_owned(),
        values: vec!["0.1".to_owned(), "<script>alert(1)</script>".to_owned()],
    };
    Compared {
        title: "one and <b>another</b>".to_owned(),
        sides: vec!["one".to_owned(), "<b>another</b>".to_owned()],
        verdict: "hog-svm is better than mlp-2.".to_owned(),
        paired: true,
        why_unpaired: String::new(),
        comparisons,
        differences: vec![difference],
        across: None,
        confidence: 0.95,
        equivalence: 0.005,
        version: "0.1.0".to_owned(),
    }
}

/// Three pipelines on so many datasets: the first always ahead, the others taking turns.
fn over(datasets: usize) -> Compared {
    let on = |i: usize| -> OnDataset {
        let swing = if i.is_multiple_of(2) { 0.01 } else { -0.01 };
        let accuracies = [("first <i>", 0.9), ("second", 0.8 + swing), ("third", 0.8)];
        (format!("set & {i}"), accuracies.map(|(name, accuracy)| (name.to_owned(), accuracy)).to_vec())
    };
    let results: Vec<OnDataset> = (0..datasets).map(on).collect();
    Compared { across: Some(across(&results, 0.95).unwrap()), differences: Vec::new(), ..compared(Vec::new()) }
}

#[test]
fn a_page_tells_the_pair_and_what_differs() {
    let pair = compare(&common::run(), &common::rows(), "hog-svm", "mlp-2");
    let page = compared(vec![pair]).html();
    fs::write(format!("{}/compared.html", env!("CARGO_TARGET_TMPDIR")), &page).unwrap();
    assert!(page.find("class=\"verdict\"").unwrap() < page.find("<h1>").unwrap());
    for part in ["id=\"comparisons\"", "hog-svm − mlp-2", "classifier.settings.l2", "exploratory", "McNemar"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("one and &lt;b&gt;another"));
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
    let text = compared(Vec::new()).markdown();
    assert!(text.starts_with("**Verdict:** ") && text.contains("&lt;script&gt;"), "{text}");
    let same = Compared { differences: Vec::new(), ..compared(Vec::new()) };
    assert!(same.html().contains("Settings, data and machine are the same."));
}

#[test]
fn a_critical_difference_diagram_stands_where_it_is_allowed() {
    let page = over(12).html();
    fs::write(format!("{}/datasets.html", env!("CARGO_TARGET_TMPDIR")), &page).unwrap();
    // Ranks: the first 1, the others 2 and 3 in turn, 2.5 each. The critical difference of three at 5% on twelve is
    // 2.343 · √(3 · 4 / (6 · 12)) = 0.957 (Demšar 2006, table 5).
    for part in [
        "Average rank over 12 datasets, 1 is best: first &lt;i&gt; leads with 1.00",
        "further apart than 0.96 differ",
        "Not told apart: ",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("first &lt;i&gt;: average rank 1.00"), "marks have titles");
    // Below ten datasets there are ranks, and below six not even tests of pairs.
    let nine = over(9).html();
    assert!(!nine.contains("critical") && !nine.contains("1 is best") && nine.contains("Pairs over datasets"));
    let five = over(5);
    assert!(
        !five.html().contains("average rank 1.00</title>")
            && five.across.unwrap().pairs.iter().all(|pair| pair.p_adjusted.is_none())
    );
}
