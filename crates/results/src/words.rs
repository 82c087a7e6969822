//! Figures in words, the same in every report and on the command line.

use crate::compare::Comparison;
use crate::interval::Interval;
use crate::summary::{PartSeconds, PipelineSummary, Summary};
use crate::timing::TimeInterval;
use crate::verdict::Verdict;

/// A fraction as a percentage with two decimals: 0.9031 is "90.31%".
pub fn percent(fraction: f64) -> String {
    format!("{:.2}%", fraction * 100.0)
}

/// A difference of fractions in percentage points, with a sign: "+1.20".
pub fn points(difference: f64) -> String {
    let text = format!("{:+.2}", difference * 100.0);
    // A true minus sign reads as one, and a rounded nothing has no sign.
    if text == "+0.00" || text == "-0.00" { "0.00".to_owned() } else { text.replace('-', "−") }
}

/// An interval of fractions: "89.70% to 90.90%".
pub fn percent_interval(interval: Interval) -> String {
    format!("{} to {}", percent(interval.lo), percent(interval.hi))
}

/// An interval of differences in percentage points: "−0.30 to +0.70".
pub fn points_interval(interval: Interval) -> String {
    format!("{} to {}", points(interval.lo), points(interval.hi))
}

/// A time with its unit: "13.2 µs", "250 ms", "12.3 s", "4.50 min", "2.10 h".
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s > 0.0 && s < 0.000_999_5 => format!("{} µs", significant(s * 1e6)),
        s if s < 0.9995 => format!("{} ms", significant(s * 1000.0)),
        s if s < 119.95 => format!("{} s", significant(s)),
        s if s < 7197.0 => format!("{} min", significant(s / 60.0)),
        s => format!("{} h", significant(s / 3600.0)),
    }
}

/// Three significant digits, no more than three decimals, nothing in powers of ten.
pub fn significant(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 0.9995 => format!("{value:.3}"),
        v if v < 9.995 => format!("{value:.2}"),
        v if v < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A number of bytes with its unit, in powers of 1000: "1.48 kB".
pub fn bytes(count: usize) -> String {
    let count = count as f64;
    match count {
        n if n < 1000.0 => format!("{n} B"),
        n if n < 999_500.0 => format!("{} kB", significant(n / 1e3)),
        n if n < 999_500_000.0 => format!("{} MB", significant(n / 1e6)),
        n => format!("{} GB", significant(n / 1e9)),
    }
}

/// A p-value: "p = 0.012", or "p < 0.001".
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

/// Names as prose: "a", "a and b", "a, b and c".
pub fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A count with its noun: "1 seed", "3 seeds".
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A whole number with commas between thousands: "60,000".
pub fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let place = |(i, digit): (usize, char)| {
        let comma = i > 0 && (digits.len() - i).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(place).collect()
}

/// The first line of a report: which pipeline is ahead, by how much, how sure that is, and what it cost.
pub fn verdict_line(summary: &Summary) -> String {
    let ranking = summary.ranking();
    let Some(&leader) = ranking.first() else {
        return format!("No pipeline has a result on {}.{}", summary.dataset, absentees(summary));
    };
    let main = main_comparison(summary, &ranking);
    let ending = main.map_or_else(|| ".".to_owned(), |comparison| told(summary, leader, comparison));
    format!("{}{ending}{}", headline(summary, leader, ranking.len()), absentees(summary))
}

/// The comparison that the first line tells of; `None` when none could be made.
pub fn main_pair(summary: &Summary) -> Option<&Comparison> {
    main_comparison(summary, &summary.ranking())
}

/// What is not settled but for the pair that the first line tells of, and what would settle it; a sentence each.
pub fn still_open(summary: &Summary) -> Vec<String> {
    let main = main_pair(summary);
    let others =
        summary.comparisons.iter().filter(|pair| !main.is_some_and(|main| main.a == pair.a && main.b == pair.b));
    let open = others.filter(|pair| pair.verdict == Verdict::Undecided && pair.difference.is_some());
    open.map(|pair| {
        let interval = pair.interval.map_or_else(String::new, |interval| format!(" ({})", points_interval(interval)));
        let settling = pair.settling.map_or_else(String::new, |settling| format!(": {}", settling.in_words()));
        format!("{} and {} are not told apart{interval}{settling}.", pair.a, pair.b)
    })
    .collect()
}

/// "hog-svm has the highest accuracy on shapes: 90.31% (…), 12.3 s from end to end".
fn headline(summary: &Summary, leader: &PipelineSummary, n_ranked: usize) -> String {
    let (name, dataset, accuracy) = (&leader.name, &summary.dataset, percent(leader.accuracy.unwrap_or(0.0)));
    let start = match n_ranked {
        1 => format!("{name} reaches {accuracy} on {dataset}"),
        _ => format!("{name} has the highest accuracy on {dataset}: {accuracy}"),
    };
    let sure = leader.interval.zip(leader.interval_kind).map_or_else(String::new, |(interval, kind)| {
        let level = level(summary.confidence);
        let seeds = match leader.deterministic {
            Some(true) => "whatever the seed".to_owned(),
            _ => counted(leader.seeds, "seed"),
        };
        format!(" ({level} {} {}, {seeds})", kind.name(), percent_interval(interval))
    });
    let cost = leader
        .seconds
        .map_or_else(String::new, |s| format!(", {} from end to end ({})", duration(s.total), between(&s)));
    format!("{start}{sure}{cost}")
}

/// What the median time from end to end lies between: "343 ms to 596 ms, 93.8%".
fn between(seconds: &PartSeconds) -> String {
    seconds.total_interval.map_or_else(|| "one timing".to_owned(), time_interval)
}

/// An interval of times and its level, which few timings make lower than that of the run: "343 ms to 596 ms, 93.8%".
pub fn time_interval(interval: TimeInterval) -> String {
    format!("{} to {}, {}", duration(interval.low), duration(interval.high), level(interval.level))
}

/// A level of confidence: 0.95 is "95%".
pub fn level(confidence: f64) -> String {
    format!("{}%", (confidence * 1000.0).round() / 10.0)
}

/// The comparison to speak of: the leader's with the most accurate other, else the first that could be made.
fn main_comparison<'a>(summary: &'a Summary, ranking: &[&PipelineSummary]) -> Option<&'a Comparison> {
    let made = || summary.comparisons.iter().filter(|c| c.difference.is_some());
    let leader = &ranking.first()?.name;
    let between = |c: &&Comparison, other: &str| [&c.a, &c.b].contains(&leader) && (c.a == other || c.b == other);
    let best = ranking.iter().skip(1).find_map(|other| made().find(|c| between(c, &other.name)));
    best.or_else(|| made().next())
}

/// The rest of the sentence, or one more about a pair without the leader.
fn told(summary: &Summary, leader: &PipelineSummary, comparison: &Comparison) -> String {
    let (Some(difference), Some(interval)) = (comparison.difference, comparison.interval) else {
        return ".".to_owned();
    };
    let turn = comparison.b == leader.name;
    let with_leader = turn || comparison.a == leader.name;
    let (ahead, other) = if turn { (&comparison.b, &comparison.a) } else { (&comparison.a, &comparison.b) };
    let (difference, interval) = if turn { (-difference, turned(interval)) } else { (difference, interval) };
    let sure = comparison.p_adjusted.map_or_else(String::new, |p| format!("; {}", p_value(p)));
    let figures = format!("{} points ({}{sure})", points(difference), points_interval(interval));
    let margin = points(summary.equivalence).replace('+', "±");
    let verdict = match comparison.verdict {
        Verdict::Better if comparison.winner.as_ref() == Some(ahead) => format!("better than {other} by {figures}"),
        Verdict::Better => format!("worse than {other} by {figures}"),
        Verdict::Equivalent => format!("equivalent to {other} within {margin} points: {figures}"),
        Verdict::Undecided => format!("not clearly different from {other}: {figures}"),
    };
    let cost = other_cost(summary, other, comparison);
    let note = if comparison.note.is_empty() { String::new() } else { format!("; {}", comparison.note) };
    let kind = if comparison.exploratory { "; exploratory" } else { "" };
    let start = if with_leader { "; it is".to_owned() } else { format!(". {ahead} is") };
    format!("{start} {verdict}{cost}{note}{kind}.")
}

fn other_cost(summary: &Summary, name: &str, comparison: &Comparison) -> String {
    let other = summary.pipelines.iter().find(|p| p.name == name).and_then(|p| p.seconds);
    let is_noise = comparison.cost.is_some_and(|cost| cost.within_noise == Some(true));
    let noise = if is_noise { "; no difference that this machine's clock could tell" } else { "" };
    other.map_or_else(String::new, |s| format!(", which takes {} ({}{noise})", duration(s.total), between(&s)))
}

fn turned(interval: Interval) -> Interval {
    Interval { lo: -interval.hi, hi: -interval.lo }
}

/// " No result: a (failed), b (refused)."
fn absentees(summary: &Summary) -> String {
    let names: Vec<String> = summary.unranked().iter().map(|p| format!("{} ({})", p.name, p.outcome.name())).collect();
    if names.is_empty() { String::new() } else { format!(" No result: {}.", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_have_commas() {
        assert_eq!(
            [0, 7, 999, 1000, 10_800, 524_288, 2_097_152].map(grouped),
            ["0", "7", "999", "1,000", "10,800", "524,288", "2,097,152"]
        );
    }
}
