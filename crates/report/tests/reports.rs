//! Every format on a run with hostile names, failures and several seeds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bakeoff_report::{CATALOGUE, Format, Gallery, Picture, Pictures, Report, Stroke};
use bakeoff_results::{Row, Run, Seconds, Trial};
use common::{rows, rows_of_sizes, run};
use std::fs;

fn format(name: &str) -> &'static Format {
    CATALOGUE.iter().find(|format| format.name == name).unwrap()
}

fn rendered(name: &str, run: &Run, rows: &[Row]) -> String {
    (format(name).render)(&Report::of(run, rows)).unwrap()
}

/// Writes the reports where a person can look at them.
#[test]
fn every_format_renders_full_empty_and_interrupted_runs() {
    for format in CATALOGUE {
        let path = format!("{}/sample.{}", env!("CARGO_TARGET_TMPDIR"), format.extension);
        let text = rendered_with(format.name, &run(), &rows_of_sizes(), pictures("<b>a picture</b>"));
        fs::write(path, &text).unwrap();
        assert!(text.contains("hog-svm") && text.ends_with('\n'), "{}", format.name);
        let few = rendered(format.name, &run(), &rows()[..2]);
        assert!(few.contains("hog-svm") || format.name == "html", "{}", format.name);
        let none = (format.render)(&Report::of(&run(), &[]));
        assert!(none.is_ok(), "{}", format.name);
    }
}

#[test]
fn every_file_with_a_format_is_in_the_catalogue() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let files = fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let with_format = files.filter(|path| fs::read_to_string(path).unwrap().contains("const FORMAT: Format")).count();
    assert_eq!(with_format, CATALOGUE.len());
    let mut names: Vec<_> = CATALOGUE.iter().flat_map(|format| [format.name, format.extension]).collect();
    names.sort_unstable();
    names.dedup();
    // "html", "csv" and "json" are name and extension at once.
    assert_eq!(names, ["csv", "html", "json", "json-lines", "jsonl", "markdown", "md"]);
}

#[test]
fn the_verdict_comes_first() {
    let markdown = rendered("markdown", &run(), &rows());
    assert!(markdown.starts_with("**Verdict:** hog-svm has the highest accuracy on fashion-mnist: "), "{markdown}");
    let html = rendered("html", &run(), &rows());
    let (verdict, title) = (html.find("class=\"verdict\"").unwrap(), html.find("<h1>").unwrap());
    assert!(verdict < title && html[verdict..title].contains("hog-svm has the highest accuracy"));
}

#[test]
fn tables_of_markdown_keep_their_columns() {
    let markdown = rendered("markdown", &run(), &rows_of_sizes());
    let mut columns = None;
    let mut tables = 0;
    for line in markdown.lines() {
        if !line.starts_with('|') {
            columns = None;
            continue;
        }
        // A pipe counts unless an odd number of backslashes stands before it.
        let mut escaped = false;
        let count = line
            .chars()
            .filter(|&c| {
                let counts = c == '|' && !escaped;
                escaped = c == '\\' && !escaped;
                counts
            })
            .count();
        tables += usize::from(columns.is_none());
        assert_eq!(*columns.get_or_insert(count), count, "{line}");
    }
    // Leaderboard, comparisons, costs, sizes, classes, five matrices, tuning, three about data, protocol and environment.
    assert_eq!(tables, 16);
    assert!(!markdown.contains("<script>") && markdown.contains("&lt;script&gt;"));
    assert!(markdown.contains("a \"quoted\" \\| piped name") && markdown.contains("\\`code\\` \\*star\\*"));
    assert!(markdown.contains("\n````toml\n"), "the experiment has a fence of its own");
}

#[test]
fn markdown_of_the_leaderboard() {
    let markdown = rendered("markdown", &run(), &rows());
    let start = markdown.find("## Leaderboard").unwrap();
    let lines: Vec<_> = markdown[start..].lines().skip(2).take(9).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    | pipeline | accuracy | 95% interval | seeds | features | fit | tuning | predict | in all | memory | model | dims | threads | remarks |
    | :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | :-- |
    | hog-svm | 90.97% | 88.94% to 92.73% (bootstrap) | 3 | 1.87 s | 10.2 s | 96.8 s | 13.2 ms | 111 s | 612 MB | 51.9 kB | 1,296 | 2 |  |
    | mlp-2 | 88.60% | 85.87% to 90.89% (bootstrap) | 3 | 1.87 s | 10.2 s | 96.8 s | 13.2 ms | 111 s | 612 MB | 51.9 kB | 1,296 | 2 |  |
    | pixels-softmax | 84.40% | 82.02% to 86.52% (Wilson) | 1 | 1.70 s | 9.25 s | 88.0 s | 12.0 ms | 101 s | 612 MB | 51.9 kB | 1,296 | 2 | does not depend on the seed; the fit did not converge |
    | a "quoted" \| piped name | 76.15% | 60.84% to 90.91% (bootstrap) | 2 | 1.79 s | 9.71 s | 92.4 s | 12.6 ms | 106 s | 612 MB | 51.9 kB | 1,296 | 2 | only 2 of 3 seeds count: seed 2 failed: out of time |
    | שלום \`code\` \*star\* | 61.90% | 59.22% to 64.25% (bootstrap) | 3 | 1.87 s | 10.2 s | 96.8 s | 13.2 ms | 111 s | 612 MB | 51.9 kB | 1,296 | 2 |  |
    | visual-words-svm | refused | – | – | – | – | – | – | – | – | – | – | – | cell 7 does not divide side 32, and 32 is not to be cropped |
    | fisher-svm | failed | – | – | – | – | – | – | – | – | – | – | – | the loss is NaN in epoch 3, step 1: &lt;i&gt;lower&lt;/i&gt; it |
    "#);
}

#[test]
fn findings_are_sentences_that_follow_from_the_numbers() {
    let markdown = rendered("markdown", &run(), &rows_of_sizes());
    for told in [
        "hog-svm leads with 500 images (",
        "%). No crossing in the range from 500 to 60,000 training images: hog-svm is ahead of mlp-2 throughout.",
        "| classifier.l2 = ",
        "%) and with 4 trials (",
    ] {
        assert!(markdown.contains(told), "{told}: {markdown}");
    }
    // One mistake in the first class and none in the others.
    let with = |mistakes: usize| {
        let mut row = rows()[0].clone();
        if let bakeoff_results::Outcome::Done(measured) = &mut row.outcome {
            measured.predicted = run().dataset.test_labels;
            measured.predicted[..10 * mistakes].iter_mut().step_by(10).for_each(|class| *class = 3);
        }
        rendered("markdown", &run(), &[row])
    };
    let told = "hog-svm (bars, with 95% intervals) does worst on T-shirt, 99.00% (94.55% to 99.82%), and best on 9 classes (100.00% each).";
    assert!(with(1).contains(told), "{}", with(1));
    assert!(with(0).contains("does as well on every class: 100.00%."), "{}", with(0));
}

#[test]
fn differences_within_noise_are_told_in_words_and_greyed() {
    let mut run = run();
    run.noise = Some(bakeoff_results::Noise { pairs: 40, ratio: 1.08 });
    let of = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    // Two seeds say little of the second of the last pair.
    run.comparisons = vec![of("hog-svm", "pixels-softmax"), of("pixels-softmax", common::PIPELINES[3])];
    let (markdown, html) = (rendered("markdown", &run, &rows()), rendered("html", &run, &rows()));
    for told in [
        "| 1.00 times (within noise) |",
        "| 0.909 times |",
        "| undecided (within noise) |",
        "| hog-svm is better |",
        "the first is not told apart in time, within the machine's noise (101 s and 106 s)",
    ] {
        assert!(markdown.contains(told), "{told}: {markdown}");
    }
    assert!(
        html.contains("1 of 2 are beyond noise; the grey ones are within noise.") && !html.contains("(within noise)")
    );
    assert_eq!(html.matches("<tr class=\"noise\">").count(), 1);
    // Beside the leader three take from 106 to 111 s, as it does; one takes 101 s.
    assert_eq!(html.matches("<td class=\"number within-noise\">").count(), 3);
}

#[test]
fn markdown_of_a_confusion_matrix() {
    let mut small = run();
    small.dataset.classes.truncate(2);
    small.dataset.test_labels = vec![0, 1, 1, 1];
    small.dataset.test_counts = vec![1, 3];
    small.dataset.train_counts = vec![5, 5];
    let mut row = rows()[0].clone();
    if let bakeoff_results::Outcome::Done(measured) = &mut row.outcome {
        measured.predicted = vec![0, 0, 1, 1];
    }
    let markdown = rendered("markdown", &small, &[row]);
    let start = markdown.find("### hog-svm").unwrap();
    let lines: Vec<_> = markdown[start..].lines().skip(2).take(4).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    | true \\ predicted | T-shirt | trouser | right |
    | :-- | --: | --: | --: |
    | T-shirt | 1 | 0 | 100.00% |
    | trouser | 1 | 2 | 66.67% |
    ");
}

/// Names of tags in the page, in order, without attributes.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '/' && c != '!').next().unwrap())
        .collect()
}

#[test]
fn nothing_from_data_becomes_html() {
    let mut hostile = run();
    let attack = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'</style></title>";
    hostile.name = attack.to_owned();
    hostile.question = attack.to_owned();
    hostile.as_written = attack.to_owned();
    hostile.dataset.name = attack.to_owned();
    hostile.dataset.notes = vec![attack.to_owned()];
    hostile.dataset.files = vec![(attack.to_owned(), 1, attack.to_owned())];
    hostile.dataset.classes = vec![attack.to_owned(); 10];
    hostile.host.cpu = attack.to_owned();
    hostile.host.version = attack.to_owned();
    hostile.digest = attack.to_owned();
    hostile.pipelines = vec![attack.to_owned()];
    let rows: Vec<Row> = rows()
        .into_iter()
        .take(1)
        .map(|mut row| {
            row.cell.pipeline = attack.to_owned();
            row
        })
        .collect();
    let html = rendered_with("html", &hostile, &rows, pictures(attack));
    let tags = tags(before_script(&html));
    // The page's own script, and no other.
    assert_eq!(tags.iter().filter(|&&tag| tag == "script").count(), 1);
    for banned in ["iframe", "link", "object", "base"] {
        assert!(!tags.contains(&banned), "{banned}");
    }
    assert_eq!(tags.iter().filter(|&&tag| tag == "style").count(), 1);
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    // Harmless names give exactly the same tags.
    let harmless: Run = serde_json::from_str(&json(&hostile).replace(json(&attack).trim_matches('"'), "x")).unwrap();
    let quiet: Vec<Row> = rows
        .into_iter()
        .map(|mut row| {
            row.cell.pipeline = "x".to_owned();
            row
        })
        .collect();
    let quiet = rendered_with("html", &harmless, &quiet, pictures("x"));
    assert_eq!(self::tags(before_script(&quiet)), tags);
}

/// The page up to the end of its script's first tag: what a script holds is no markup.
fn before_script(html: &str) -> &str {
    html.split_once("<script>").map(|(before, _)| &html[..before.len() + "<script>".len()]).unwrap()
}

/// One picture of every kind, told of with this text.
fn pictures(text: &str) -> Pictures {
    let text = text.to_owned();
    let stroke = Stroke { from: (0.0, f32::NAN), to: (1.0, 0.5), weight: 0.5 };
    let plain =
        Picture { png: b"png".to_vec(), size: (28, 28), alt: text.clone(), caption: text.clone(), strokes: Vec::new() };
    let with_strokes = Picture { strokes: vec![stroke], size: (0, 0), ..plain.clone() };
    let gallery = Gallery { title: text.clone(), caption: text, pictures: vec![plain, with_strokes] };
    Pictures { galleries: vec![gallery] }
}

fn rendered_with(name: &str, run: &Run, rows: &[Row], pictures: Pictures) -> String {
    let report = Report::of(run, rows).titled(&run.name).with_command(&run.name).with_pictures(pictures);
    (format(name).render)(&report).unwrap()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let html = rendered("html", &run(), &rows_of_sizes());
    for address in ["http://", "https://", "src=", "@import", "url(", "onclick", "fetch(", "innerHTML"] {
        assert!(!html.contains(address), "{address}");
    }
    let with_pictures = rendered_with("html", &run(), &rows(), pictures("x"));
    for (attribute, allowed) in
        [(" src=\"", "data:image/png;base64,"), ("href=\"", "#"), ("<image href=\"", "data:image/png;base64,")]
    {
        let found = with_pictures.split(attribute).skip(1);
        let wrong = found.filter(|rest| !rest.starts_with(allowed) && !rest.starts_with("data:image/png;base64,"));
        assert_eq!(wrong.count(), 0, "{attribute}");
    }
    assert!(
        html.contains("default-src 'none'")
            && html.contains("script-src 'sha256-")
            && html.contains("prefers-color-scheme: dark")
    );
}

#[test]
fn the_page_is_well_formed_and_every_link_has_its_place() {
    let html = rendered_with("html", &run(), &rows_of_sizes(), pictures("x"));
    let html = before_script(&html).replace("<script>", "</body></html>");
    let alone = ["meta", "!DOCTYPE", "input", "img"];
    let mut open: Vec<&str> = Vec::new();
    for tag in tags(&html) {
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed)),
            None if alone.contains(&tag) => {}
            None => open.push(tag),
        }
    }
    assert!(open.is_empty());
    for link in html.split("href=\"#").skip(1) {
        let id = link.split('"').next().unwrap();
        assert_eq!(html.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
    }
    // Every table has a caption, and every class and pipeline its place.
    assert_eq!(html.matches("<table").count(), html.matches("<caption").count());
    for pipeline in ["hog-svm", "visual-words-svm", "fisher-svm", "cell 7 does not divide side 32", "out of time"] {
        assert!(html.contains(pipeline), "{pipeline}");
    }
    assert_eq!(html.matches("confusion matrix").count(), 5 * 2, "a caption and a label for each pipeline with results");
}

#[test]
fn names_cannot_turn_the_direction_of_writing() {
    for name in ["html", "markdown"] {
        let text = rendered(name, &run(), &rows());
        assert!(!text.contains('\u{202e}') && text.contains("u{202e}"), "{name}");
        assert!(text.contains("שלום"), "{name}");
    }
}

#[test]
fn many_classes_are_shown_as_their_worst_pairs() {
    let mut many = run();
    many.dataset.classes = (0..100).map(|i| format!("class {i}")).collect();
    for name in ["html", "markdown"] {
        let text = rendered(name, &many, &rows());
        assert!(text.to_lowercase().contains("classes confused most often"), "{name}");
        assert!(text.len() < 200_000, "{name}: {} bytes", text.len());
    }
}

#[test]
fn json_is_one_object_with_figures_and_details() {
    let object: serde_json::Value = serde_json::from_str(&rendered("json", &run(), &rows())).unwrap();
    assert_eq!(object["summary"]["pipelines"].as_array().unwrap().len(), 7);
    assert_eq!(object["details"].as_array().unwrap().len(), 5);
    assert_eq!(object["run"]["digest"], run().digest);
    let lines = rendered("json-lines", &run(), &rows());
    assert_eq!(lines.lines().count(), rows().len());
    assert_eq!(rendered("csv", &run(), &rows()).matches("\r\n").count(), rows().len() + 1);
}

/// As many bytes of pictures as a gallery gives a report (`bakeoff_gallery::MOST_BYTES`).
fn many_pictures() -> Pictures {
    let of = pictures("x").galleries.remove(0).pictures.remove(0);
    let picture = Picture { png: vec![7; 25_000], ..of };
    let gallery = Gallery { title: "x".to_owned(), caption: "x".to_owned(), pictures: vec![picture; 100] };
    Pictures { galleries: vec![gallery] }
}

/// Ten seeds of eight pipelines on 10,000 test images, with 16 trials each.
fn large() -> (Run, Vec<Row>) {
    let (mut run, few) = (run(), rows());
    run.pipelines = (0..8).map(|i| format!("pipeline-{i}")).collect();
    run.dataset.test_labels = (0..10_000).map(|i| i % 10).collect();
    let bakeoff_results::Outcome::Done(measured) = &few[0].outcome else { panic!("the first row is done") };
    let mut rows = Vec::new();
    for (p, pipeline) in run.pipelines.iter().enumerate() {
        for seed in 0..10u64 {
            let mut measured = measured.clone();
            // Right but for some images that depend on the pipeline, and some on the seed.
            let guess = |i: usize| {
                if (i * 7919 + p * 13) % 100 < 10 + p || (i as u64 * 31 + seed).is_multiple_of(97) {
                    (i + 1) % 10
                } else {
                    i % 10
                }
            };
            measured.predicted = (0..10_000).map(guess).collect();
            measured.trials = (0..16)
                .map(|trial| Trial {
                    settings: format!("{{\"classifier.l2\":{trial}e-5}}"),
                    right: Some(5000 + (trial * 37 + p * 11) % 400),
                    of: 6000,
                    error: String::new(),
                    seconds: Seconds(1.0),
                })
                .collect();
            measured.curve =
                (1..=50).map(|epoch| bakeoff_results::EpochLoss { epoch, loss: 1.0 / epoch as f64 }).collect();
            let cell = bakeoff_results::Cell {
                pipeline: pipeline.clone(),
                seed,
                train_size: None,
                digest: format!("{p}/{seed}"),
            };
            rows.push(Row { cell, outcome: bakeoff_results::Outcome::Done(measured) });
        }
    }
    (run, rows)
}

#[test]
fn a_large_run_is_rendered_in_two_seconds_and_five_megabytes() {
    let (run, rows) = large();
    let started = std::time::Instant::now();
    let report = Report::of(&run, &rows).with_pictures(many_pictures());
    let html = (format("html").render)(&report).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    assert!(html.len() < 5_000_000, "{} bytes", html.len());
    // Twice that in a build without optimisation, where nobody waits for it.
    let most = if cfg!(debug_assertions) { 20.0 } else { 2.0 };
    assert!(seconds < most, "{seconds:.2} s");
    println!("{seconds:.2} s, {} bytes", html.len());
}
