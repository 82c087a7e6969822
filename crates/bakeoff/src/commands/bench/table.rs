//! What was found, as a table for the terminal and as Markdown.

use super::{Compared, Found};
use bakeoff_results::regression::{Apart, Ratio, Regression};
use bakeoff_results::words::{counted, level, listed};
use comfy_table::{CellAlignment, LineStyle, Table, presets};

const TITLES: [&str; 7] = ["kernel", "instructions", "time", "interval", "a call", "share of the limit", "result"];

/// The table, and below it what counts.
pub(super) fn plain(found: &Found) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none())).set_header(TITLES);
    for compared in &found.kernels {
        table.add_row(cells(compared));
    }
    for column in table.column_iter_mut().skip(1).take(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n\n{}", table.trim_fmt(), remarks(found).join("\n"))
}

/// The same as Markdown.
pub(super) fn markdown(found: &Found) -> String {
    let rows = found.kernels.iter().map(|compared| format!("| {} |", cells(compared).join(" | ")));
    let lines = [
        "# Kernels of two revisions\n".to_owned(),
        remarks(found).iter().map(|remark| format!("- {remark}")).collect::<Vec<_>>().join("\n"),
        String::new(),
        format!("| {} |", TITLES.join(" | ")),
        "|---|---:|---:|---:|---:|---:|---|".to_owned(),
    ];
    lines.into_iter().chain(rows).chain([String::new()]).collect::<Vec<_>>().join("\n")
}

/// One kernel on one line.
pub(super) fn in_words(compared: &Compared) -> String {
    let cells = cells(compared);
    let parts = TITLES.iter().zip(&cells).skip(1).filter(|(_, cell)| *cell != "–");
    let parts: Vec<String> = parts.map(|(title, cell)| format!("{title} {cell}")).collect();
    let worse = if compared.worse.is_empty() { String::new() } else { format!(" — {}", worse(compared)) };
    format!("{}: {}{worse}", cells[0], parts.join(", "))
}

fn cells(compared: &Compared) -> Vec<String> {
    let pair = &compared.pair;
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let marked = |text: String, regression| {
        if compared.worse.contains(&regression) { format!("{text} ✗") } else { text }
    };
    let worst = pair.results.iter().copied().max_by(|a, b| severity(*a).total_cmp(&severity(*b)));
    vec![
        pair.kernel.clone(),
        marked(or_nothing(pair.instruction_ratio().map(|ratio| change(ratio, 2))), Regression::Instructions),
        marked(or_nothing(pair.time.map(|ratio| change(ratio.median, 1))), Regression::Time),
        or_nothing(pair.time.map(interval)),
        or_nothing(compared.seconds.map(seconds)),
        or_nothing(compared.share.map(|share| format!("{:.1}%", 100.0 * share))),
        marked(or_nothing(worst.map(result)), Regression::Result),
    ]
}

/// A ratio as a change in percent.
fn change(ratio: f64, decimals: usize) -> String {
    let percent = 100.0 * (ratio - 1.0);
    let text = format!("{percent:+.decimals$}%");
    // Rounded nothing has no sign.
    if text.trim_matches(['+', '-', '0', '.', '%']).is_empty() {
        format!("{:.decimals$}%", 0.0)
    } else {
        text.replace('-', "−")
    }
}

fn interval(ratio: Ratio) -> String {
    format!("{} to {}", change(ratio.interval.lo, 1), change(ratio.interval.hi, 1))
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

fn severity(apart: Apart) -> f64 {
    match apart {
        Apart::Same => -1.0,
        Apart::Values(share) | Apart::Labels(share) => share,
        Apart::Unlike => f64::INFINITY,
    }
}

fn result(apart: Apart) -> String {
    match apart {
        Apart::Same => "the same bits".to_owned(),
        Apart::Values(share) => format!("apart by {share:.1e}"),
        Apart::Labels(share) => format!("{:.2}% of labels differ", 100.0 * share),
        Apart::Unlike => "cannot be compared".to_owned(),
    }
}

fn worse(compared: &Compared) -> String {
    listed(&compared.worse.iter().map(|regression| regression.name().to_owned()).collect::<Vec<_>>())
}

fn remarks(found: &Found) -> Vec<String> {
    let bad: Vec<String> = found
        .kernels
        .iter()
        .filter(|compared| !compared.worse.is_empty())
        .map(|compared| format!("{} ({})", compared.pair.kernel, worse(compared)))
        .collect();
    let count = counted(found.kernels.len(), "kernel");
    let verdict = if bad.is_empty() {
        format!("none of {count} is worse")
    } else {
        format!("{} of {count} worse: {}", bad.len(), listed(&bad))
    };
    let mut remarks = vec![format!("{:.12} against {:.12}: {verdict}", found.new, found.old)];
    remarks.extend(about_times(found.kernels.iter().filter_map(|compared| compared.pair.time)));
    if let Some(limit) = &found.limit {
        let (peak, bandwidth) = (limit.peak_gflops, limit.bandwidth_gbs);
        remarks.push(format!(
            "limit of one thread: {peak:.1} GFLOP/s of multiply-adds, {bandwidth:.1} GB/s to and from memory"
        ));
    }
    for (names, whose) in [(&found.only_old, "earlier"), (&found.only_new, "later")] {
        if !names.is_empty() {
            remarks.push(format!("only in the {whose} revision: {}", listed(names)));
        }
    }
    remarks
}

/// What intervals are of: pairs differ where the first of them did not tell on which side of the limit a kernel is.
fn about_times(times: impl Iterator<Item = Ratio> + Clone) -> Option<String> {
    let coverage = times.clone().map(|time| time.coverage).reduce(f64::min)?;
    let pairs = times.map(|time| time.pairs);
    let (fewest, most) = (pairs.clone().min()?, pairs.max()?);
    let least = level((coverage * 1000.0).floor() / 1000.0);
    let pairs = if fewest == most { format!("{most}") } else { format!("{fewest} to {most}") };
    Some(format!("times: medians of new over old, {least} intervals of {pairs} pairs"))
}

#[cfg(test)]
mod tests {
    use super::super::program::Limit;
    use super::*;
    use bakeoff_results::Interval;
    use bakeoff_results::regression::{KernelPair, Limits};

    fn found() -> Found {
        let limits = Limits { instructions: 0.01, time: 0.05, values: 1e-5, labels: 1e-3 };
        let interval = Interval { lo: 1.06, hi: 1.1 };
        let slow = KernelPair {
            kernel: "numeric/slow".to_owned(),
            limits,
            instructions: Some([1000, 1020]),
            time: Some(Ratio { median: 1.08, interval, coverage: 0.9586, pairs: 20 }),
            results: vec![Apart::Same, Apart::Values(1e-7)],
        };
        let same = KernelPair {
            kernel: "features/same".to_owned(),
            instructions: Some([1000, 1000]),
            time: None,
            results: vec![Apart::Same],
            ..slow.clone()
        };
        let of = |pair: KernelPair, seconds: Option<f64>| Compared {
            seconds,
            share: seconds.map(|_| 0.5),
            worse: pair.regressions(),
            pair,
        };
        Found {
            old: "0123456789abcdef".to_owned(),
            new: "fedcba9876543210".to_owned(),
            kernels: vec![of(slow, Some(0.0025)), of(same, None)],
            only_old: vec!["gone".to_owned()],
            only_new: Vec::new(),
            limit: Some(Limit { peak_gflops: 100.0, bandwidth_gbs: 10.0 }),
        }
    }

    #[test]
    fn markdown_has_a_line_a_kernel_and_says_what_is_worse() {
        let text = markdown(&found());
        let expected = "| numeric/slow | +2.00% ✗ | +8.0% ✗ | +6.0% to +10.0% | 2.50 ms | 50.0% | apart by 1.0e-7 |";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("| features/same | 0.00% | – | – | – | – | the same bits |"), "{text}");
        let verdict =
            "fedcba987654 against 0123456789ab: 1 of 2 kernels worse: numeric/slow (more instructions and slower)";
        assert!(text.contains(verdict), "{text}");
        assert!(text.contains("95.8% intervals of 20 pairs") && text.contains("earlier revision: gone"), "{text}");
        assert!(text.contains("100.0 GFLOP/s"), "{text}");
        let mut found = found();
        let timed = found.kernels[0].pair.time.map(|time| Ratio { coverage: 0.9519, pairs: 160, ..time });
        found.kernels[1].pair.time = timed;
        let text = markdown(&found);
        assert!(text.contains("95.1% intervals of 20 to 160 pairs"), "{text}");
    }

    #[test]
    fn the_terminal_gets_the_same_figures() {
        let text = plain(&found());
        for part in ["numeric/slow", "+8.0% ✗", "the same bits", "1 of 2 kernels worse"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let words = in_words(&found().kernels[0]);
        assert!(words.starts_with("numeric/slow: instructions +2.00% ✗, time +8.0%"), "{words}");
        assert!(words.ends_with("— more instructions and slower"), "{words}");
    }

    #[test]
    fn changes_are_signed_unless_they_are_nothing() {
        assert_eq!((change(1.0, 2), change(0.999_999, 2)), ("0.00%".to_owned(), "0.00%".to_owned()));
        assert_eq!((change(0.5, 1), change(1.012, 1)), ("−50.0%".to_owned(), "+1.2%".to_owned()));
        assert_eq!((seconds(5e-6), seconds(0.01), seconds(2.0)), ("5.0 µs".into(), "10.00 ms".into(), "2.00 s".into()));
        assert_eq!(result(Apart::Labels(0.002)), "0.20% of labels differ");
    }
}
