//! Tables of texts, the same for every form of report. Who renders them makes the texts safe.

use crate::report::{MOST_FILES, Report, confused_pairs};
use bakeoff_results::words::{
    bytes, duration, grouped, p_value, percent, percent_interval, points, points_interval, significant, time_interval,
};
use bakeoff_results::{
    Audit, ClassAccuracy, Comparison, Detail, Duplicates, IntervalKind, PipelineSummary, Run, SizePoint, Verdict,
};
use serde_json::Value;

/// A table: names of columns and rows as long as they are.
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) kind: Kind,
    pub(crate) head: Vec<Column>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// What a table is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Rows of several values under their names.
    Values,
    /// Names and what belongs to them, which needs no heads.
    Facts,
}

/// A column: what stands above it, and whether numbers stand in it.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) is_number: bool,
}

fn text(name: impl Into<String>) -> Column {
    Column { name: name.into(), is_number: false }
}

fn number(name: impl Into<String>) -> Column {
    Column { name: name.into(), is_number: true }
}

/// A column of texts.
pub(crate) fn text_column(name: impl Into<String>) -> Column {
    text(name)
}

/// A column of numbers.
pub(crate) fn number_column(name: impl Into<String>) -> Column {
    number(name)
}

/// What stands for a value that is not known.
pub(crate) const UNKNOWN: &str = "–";

fn or_unknown<T>(value: Option<T>, shown: impl Fn(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), shown)
}

/// The columns of the leaderboard after accuracy and interval.
pub(crate) const COSTS: [&str; 10] =
    ["seeds", "features", "fit", "tuning", "predict", "in all", "memory", "model", "dims", "threads"];

/// The texts under [`COSTS`].
pub(crate) fn costs(pipeline: &PipelineSummary) -> [String; 10] {
    let part = |seconds: fn(&bakeoff_results::PartSeconds) -> f64| {
        or_unknown(pipeline.seconds.as_ref(), |s| duration(seconds(s)))
    };
    let is_tuned = pipeline.seconds.as_ref().is_some_and(|s| s.tune > 0.0);
    [
        pipeline.seeds.to_string(),
        part(|s| s.features),
        part(|s| s.fit),
        if is_tuned { part(|s| s.tune) } else { UNKNOWN.to_owned() },
        part(|s| s.predict),
        part(|s| s.total),
        or_unknown(pipeline.peak_rss_mb, |mb| format!("{mb:.0} MB")),
        or_unknown(pipeline.model_bytes, bytes),
        or_unknown(pipeline.dim, grouped),
        or_unknown(pipeline.threads, |n| n.to_string()),
    ]
}

/// An interval with its kind in a word.
pub(crate) fn interval(pipeline: &PipelineSummary) -> String {
    let both = pipeline.interval.zip(pipeline.interval_kind);
    or_unknown(both, |(interval, kind)| format!("{} ({})", percent_interval(interval), kind_in_a_word(kind)))
}

pub(crate) fn kind_in_a_word(kind: IntervalKind) -> &'static str {
    match kind {
        IntervalKind::Wilson => "Wilson",
        IntervalKind::ImageBootstrap | IntervalKind::TwoWayBootstrap => "bootstrap",
        IntervalKind::ResampledSplits => "corrected t",
    }
}

/// What else is to be said of a pipeline.
pub(crate) fn remarks(pipeline: &PipelineSummary) -> Vec<String> {
    let mut remarks: Vec<String> = pipeline.reason.iter().cloned().collect();
    if pipeline.deterministic == Some(true) {
        remarks.push("does not depend on the seed".to_owned());
    }
    if pipeline.converged == Some(false) {
        remarks.push("the fit did not converge".to_owned());
    }
    remarks.extend(pipeline.notes.iter().cloned());
    remarks
}

pub(crate) fn leaderboard(report: &Report<'_>) -> Table {
    let mut head = vec![text("pipeline"), number("accuracy"), number(format!("{} interval", report.level()))];
    head.extend(COSTS.map(number));
    head.push(text("remarks"));
    let ranked = report.summary.ranking().into_iter().map(|pipeline| {
        let mut row = vec![pipeline.name.clone(), or_unknown(pipeline.accuracy, percent), interval(pipeline)];
        row.extend(costs(pipeline));
        row.push(remarks(pipeline).join("; "));
        row
    });
    let unranked = report.summary.unranked().into_iter().map(|pipeline| {
        let mut row = vec![pipeline.name.clone(), pipeline.outcome.name().to_owned()];
        row.extend(std::iter::repeat_n(UNKNOWN.to_owned(), COSTS.len() + 1));
        row.push(remarks(pipeline).join("; "));
        row
    });
    Table {
        caption: "Pipelines by accuracy".to_owned(),
        kind: Kind::Values,
        head,
        rows: ranked.chain(unranked).collect(),
    }
}

pub(crate) fn comparisons(report: &Report<'_>) -> Option<Table> {
    comparison_rows(&report.summary.comparisons, &report.level())
}

/// A line for each pair; `None` without any.
pub(crate) fn comparison_rows(pairs: &[Comparison], level: &str) -> Option<Table> {
    let head = vec![
        text("first"),
        text("second"),
        number("difference"),
        number(format!("{level} interval")),
        number("seeds"),
        text("p, adjusted"),
        text("verdict"),
        text("remarks"),
    ];
    let rows: Vec<_> = pairs.iter().map(comparison).collect();
    (!rows.is_empty()).then(|| Table { caption: "Differences in accuracy".to_owned(), kind: Kind::Values, head, rows })
}

fn comparison(pair: &Comparison) -> Vec<String> {
    vec![
        pair.a.clone(),
        pair.b.clone(),
        or_unknown(pair.difference, points),
        or_unknown(pair.interval, points_interval),
        pair.seeds.to_string(),
        or_unknown(pair.p_adjusted, p_value),
        verdict(pair) + if is_within_noise(pair) { WITHIN_NOISE } else { "" },
        remarks_on(pair),
    ]
}

/// Behind a value that may be nothing, for all that images and clock can tell.
pub(crate) const WITHIN_NOISE: &str = " (within noise)";

/// The note of a pair, and what the first costs beside the second.
fn remarks_on(pair: &Comparison) -> String {
    let cost = pair.cost.map(|cost| format!("the first {}", cost.in_words()));
    let note = (!pair.note.is_empty()).then(|| pair.note.clone());
    [note, cost].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

pub(crate) fn verdict(pair: &Comparison) -> String {
    match (pair.verdict, &pair.winner, pair.difference) {
        (_, _, None) => "not compared".to_owned(),
        (Verdict::Better, Some(winner), _) => format!("{winner} is better"),
        (Verdict::Better, None, _) => "better".to_owned(),
        (Verdict::Equivalent, ..) => "equivalent".to_owned(),
        (Verdict::Undecided, ..) => "undecided".to_owned(),
    }
}

/// Whether a difference may be nothing: its interval holds 0, or its p-value does not rule 0 out.
pub(crate) fn is_within_noise(pair: &Comparison) -> bool {
    pair.interval.is_some_and(|interval| interval.contains(0.0) || pair.verdict == Verdict::Undecided)
}

/// Accuracy at every training size; `None` when there is one size.
pub(crate) fn train_sizes(report: &Report<'_>) -> Option<Table> {
    let head = vec![
        text("pipeline"),
        number("training images"),
        number("accuracy"),
        number(format!("{} interval", report.level())),
        number("seeds"),
    ];
    let row = |point: &SizePoint| {
        let kind = kind_in_a_word(point.interval_kind);
        vec![
            point.name.clone(),
            grouped(point.n_train),
            percent(point.accuracy),
            format!("{} ({kind})", percent_interval(point.interval)),
            point.seeds.to_string(),
        ]
    };
    let rows: Vec<_> = report.summary.train_sizes.iter().map(row).collect();
    (!rows.is_empty()).then(|| Table {
        caption: "Accuracy against training size".to_owned(),
        kind: Kind::Values,
        head,
        rows,
    })
}

/// What every pipeline with a result cost from end to end, the most accurate first; `None` without any. The parts stand in the leaderboard.
pub(crate) fn spent(report: &Report<'_>) -> Option<Table> {
    let ranking = report.summary.ranking();
    let leader = ranking.first()?;
    let mut head = vec![text("pipeline")];
    head.extend(["from end to end", "interval of the median", "timings"].map(number));
    head.push(number(format!("beside {}", leader.name)));
    head.extend(
        ["CPU time", "latency, median", "interval of the median", "latency, 95%", "peak memory", "model"].map(number),
    );
    let rows = ranking.iter().map(|pipeline| {
        let spending = report.spending(&pipeline.name);
        let latency = report.latency(&pipeline.name);
        vec![
            pipeline.name.clone(),
            or_unknown(pipeline.seconds.as_ref(), |s| duration(s.total)),
            or_unknown(spending.and_then(|s| s.interval), time_interval),
            or_unknown(spending, |s| s.timings.to_string()),
            or_unknown(spending.and_then(|s| s.beside_leader), |cost| {
                let noise = if cost.within_noise == Some(true) { WITHIN_NOISE } else { "" };
                format!("{} times{noise}", significant(cost.ratio))
            }),
            or_unknown(pipeline.cpu_seconds.filter(|s| *s > 0.0), duration),
            or_unknown(latency, |l| duration(l.median)),
            or_unknown(latency.and_then(|l| l.interval), time_interval),
            or_unknown(latency, |l| duration(l.p95)),
            or_unknown(pipeline.peak_rss_mb, |mb| format!("{mb:.0} MB")),
            or_unknown(pipeline.model_bytes, bytes),
        ]
    });
    let rows = rows.collect();
    Some(Table { caption: "What each pipeline cost".to_owned(), kind: Kind::Values, head, rows })
}

/// The share of right images for each class and pipeline.
pub(crate) fn classes(report: &Report<'_>) -> Option<Table> {
    let mut head = vec![text("class"), number("test images")];
    head.extend(report.details.iter().map(|detail| number(detail.name.clone())));
    let row = |(i, class): (usize, &String)| {
        let count = report.run.dataset.test_counts.get(i);
        let mut row = vec![class.clone(), or_unknown(count, |n| grouped(*n))];
        row.extend(report.details.iter().map(|d| or_unknown(d.classes.get(i), share)));
        row
    };
    let rows: Vec<_> = report.run.dataset.classes.iter().enumerate().map(row).collect();
    let caption = "Share of right images, by class".to_owned();
    (!report.details.is_empty()).then_some(Table { caption, kind: Kind::Values, head, rows })
}

/// The share of a class with its interval.
pub(crate) fn share(class: &ClassAccuracy) -> String {
    or_unknown(class.accuracy.zip(class.interval), |(accuracy, interval)| {
        format!("{} ({})", percent(accuracy), percent_interval(interval))
    })
}

/// The pairs of classes that a pipeline confused most often.
pub(crate) fn confused(run: &Run, detail: &Detail) -> Table {
    let name = |id: usize| run.dataset.classes.get(id).cloned().unwrap_or_default();
    let row = |(truth, predicted, count): (usize, usize, usize)| vec![name(truth), name(predicted), grouped(count)];
    Table {
        caption: format!("{}: classes confused most often{}", detail.name, over_seeds(detail)),
        kind: Kind::Values,
        head: vec![text("true class"), text("taken for"), number("images")],
        rows: confused_pairs(detail).into_iter().map(row).collect(),
    }
}

pub(crate) fn over_seeds(detail: &Detail) -> String {
    if detail.seeds == 1 { String::new() } else { format!(", sum over {} seeds", detail.seeds) }
}

/// What was tried for each seed; `None` when nothing was searched.
pub(crate) fn tuning(report: &Report<'_>) -> Option<Table> {
    let head = vec![
        text("pipeline"),
        number("seed"),
        number("trials"),
        number("without a score"),
        number("best validation accuracy"),
        text("its settings"),
        number("time"),
    ];
    let rows: Vec<Vec<String>> = report
        .details
        .iter()
        .flat_map(|detail| detail.tuning.iter().map(move |tuning| (detail, tuning)))
        .map(|(detail, tuning)| {
            vec![
                detail.name.clone(),
                tuning.seed.to_string(),
                tuning.trials.to_string(),
                tuning.without_score.to_string(),
                or_unknown(tuning.best.as_ref(), |(_, score)| percent(*score)),
                or_unknown(tuning.best.as_ref(), |(settings, _)| as_written(settings)),
                duration(tuning.seconds),
            ]
        })
        .collect();
    (!rows.is_empty()).then(|| Table {
        caption: "Settings tried on the validation part".to_owned(),
        kind: Kind::Values,
        head,
        rows,
    })
}

/// Settings as an experiment file writes them: "classifier.l2 = 0.001, scale = \"none\"". What is no JSON object stays as it is.
fn as_written(settings: &str) -> String {
    let Ok(Value::Object(all)) = serde_json::from_str(settings) else { return settings.to_owned() };
    all.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
}

/// Two columns of names and values.
fn facts(caption: &str, facts: Vec<(&str, String)>) -> Table {
    let rows = facts.into_iter().filter(|(_, value)| !value.is_empty());
    Table {
        caption: caption.to_owned(),
        kind: Kind::Facts,
        head: vec![text("what"), text("value")],
        rows: rows.map(|(name, value)| vec![name.to_owned(), value]).collect(),
    }
}

pub(crate) fn passport(run: &Run) -> Table {
    let data = &run.dataset;
    let (height, width, channels) = data.shape;
    let sum = |counts: &[usize]| counts.iter().sum::<usize>();
    facts(
        "Dataset",
        vec![
            ("name", data.name.clone()),
            (
                "images",
                format!(
                    "{} for training, {} for testing",
                    grouped(sum(&data.train_counts)),
                    grouped(sum(&data.test_counts))
                ),
            ),
            ("size", format!("{height} × {width} pixels (height × width), {channels} channel{}", plural(channels))),
            ("classes", data.classes.len().to_string()),
            ("images a class for training", balance(&data.train_counts)),
            ("exact duplicates", data.audit.as_ref().map_or_else(String::new, |audit| duplicates(audit.exact))),
            ("near duplicates", data.audit.as_ref().map_or_else(String::new, |audit| duplicates(audit.near))),
            ("pairs of duplicates with two labels", audited(run, |audit| audit.conflicts)),
            ("images of one single value", audited(run, |audit| audit.constant)),
            ("images that could not be read and were left out", audited(run, |audit| audit.unreadable)),
            ("SHA-256 of images and labels", data.sha256.clone()),
        ],
    )
}

fn audited(run: &Run, count: fn(&Audit) -> usize) -> String {
    run.dataset.audit.as_ref().map_or_else(String::new, |audit| grouped(count(audit)))
}

fn duplicates(of: Duplicates) -> String {
    format!(
        "{} test image{} with one in the training part; {} pair{} within the training part, {} within the test part",
        grouped(of.across),
        plural(of.across),
        grouped(of.train),
        plural(of.train),
        grouped(of.test)
    )
}

fn balance(counts: &[usize]) -> String {
    match (counts.iter().min(), counts.iter().max()) {
        (Some(least), Some(most)) if least == most => format!("{} each", grouped(*least)),
        (Some(least), Some(most)) => format!("from {} to {}", grouped(*least), grouped(*most)),
        _ => String::new(),
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

pub(crate) fn class_counts(run: &Run) -> Table {
    let data = &run.dataset;
    let count = |counts: &[usize], i: usize| or_unknown(counts.get(i), |n| grouped(*n));
    let row =
        |(i, class): (usize, &String)| vec![class.clone(), count(&data.train_counts, i), count(&data.test_counts, i)];
    Table {
        caption: "Images a class".to_owned(),
        kind: Kind::Values,
        head: vec![text("class"), number("training"), number("testing")],
        rows: data.classes.iter().enumerate().map(row).collect(),
    }
}

/// The first files of the dataset; `None` when there are none.
pub(crate) fn files(run: &Run) -> Option<Table> {
    let files = &run.dataset.files;
    let more =
        if files.len() > MOST_FILES { format!(", the first {MOST_FILES} of {}", files.len()) } else { String::new() };
    let row = |(path, size, sha256): &(String, u64, String)| {
        vec![path.clone(), usize::try_from(*size).map_or_else(|_| size.to_string(), grouped), sha256.clone()]
    };
    (!files.is_empty()).then(|| Table {
        caption: format!("Files{more}"),
        kind: Kind::Values,
        head: vec![text("path"), number("bytes"), text("SHA-256")],
        rows: files.iter().take(MOST_FILES).map(row).collect(),
    })
}

pub(crate) fn protocol(report: &Report<'_>) -> Table {
    let run = report.run;
    let seeds: Vec<String> = report.seeds.iter().map(u64::to_string).collect();
    let margin = points(run.equivalence);
    let meant: Value = serde_json::from_str(&run.as_meant).unwrap_or_default();
    let protocol = meant.get("protocol");
    let of = |path: &[&str]| path.iter().try_fold(protocol?, |value, key| value.get(key));
    let is_searched = report.details.iter().any(|detail| !detail.tuning.is_empty());
    let tuning = of(&["tuning", "trials"]).zip(of(&["tuning", "seconds"])).filter(|_| is_searched);
    let sizes = meant.get("train_sizes").and_then(Value::as_array).filter(|sizes| !sizes.is_empty());
    facts(
        "Protocol",
        vec![
            ("experiment", run.name.clone()),
            ("seeds", seeds.join(", ")),
            (
                "training sizes",
                or_nothing(sizes, |sizes| sizes.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
            ),
            (
                "selection",
                or_nothing(of(&["validation"]).and_then(Value::as_f64).filter(|_| is_searched), |share| {
                    format!("on {} of the training images; the winner is fitted again on all of them", percent(share))
                }),
            ),
            (
                "tuning, for each pipeline and seed",
                or_nothing(tuning, |(trials, seconds)| {
                    format!("{trials} trials, {} CPU seconds at most", seconds.as_f64().unwrap_or_default())
                }),
            ),
            ("limits of a cell", limits(protocol)),
            ("test images", "opened once by every fitted pipeline, after all choices".to_owned()),
            ("level of intervals", report.level()),
            ("margin of equivalence", format!("±{} percentage points", margin.trim_start_matches('+'))),
            ("declared comparisons", run.comparisons.len().to_string()),
            ("digest of the experiment as meant", run.digest.clone()),
        ],
    )
}

fn or_nothing<T>(value: Option<T>, shown: impl Fn(T) -> String) -> String {
    value.map_or_else(String::new, shown)
}

/// What a cell may take, where the experiment says so.
fn limits(protocol: Option<&Value>) -> String {
    let limits = protocol.and_then(|protocol| protocol.get("limits"));
    let of = |key: &str, unit: &str| Some(format!("{} {unit}", limits?.get(key)?.as_f64()?));
    [of("seconds", "s"), of("megabytes", "MB")].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

pub(crate) fn environment(run: &Run) -> Table {
    let host = &run.host;
    let memory = if host.memory_mb == 0 { String::new() } else { format!("{} MB", grouped(host.memory_mb as usize)) };
    let noise = or_nothing(run.noise, |noise| {
        format!(
            "95% of {} pairs of timings of the same work differed by less than {:.0}%",
            noise.pairs,
            (noise.ratio - 1.0) * 100.0
        )
    });
    facts(
        "Environment",
        vec![
            ("processor", host.cpu.clone()),
            ("logical processors", host.cores.to_string()),
            ("threads used", host.threads.to_string()),
            ("vector instructions", host.simd.clone()),
            ("memory", memory),
            ("noise of the clock", noise),
            ("system", host.os.clone()),
            ("bakeoff", host.version.clone()),
            ("commit", host.commit.clone()),
        ],
    )
}
