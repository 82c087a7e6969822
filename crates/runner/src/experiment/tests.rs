use super::*;
use crate::fakes::{VOCABULARY, experiment as read_well};
use crate::settings::{Domain, Part};
use bakeoff_numeric::Scaling;

/// A sound experiment; tests change one thing.
const SOUND: &str =
    "dataset = 'fake'\n[[pipeline]]\nname = 'p'\nfeatures = [{ kind = 'grey' }]\nclassifier = { kind = 'centroid' }\n";

fn problems(text: &str) -> Vec<String> {
    match Experiment::read("test", text, &VOCABULARY) {
        Ok(experiment) => panic!("it was taken: {experiment:?}"),
        Err(RunnerError::Experiment { problems, .. }) => problems.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
    }
}

fn only_problem(text: &str) -> String {
    let found = problems(text);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.into_iter().next().unwrap()
}

#[test]
fn a_full_experiment_is_read() {
    let experiment = read_well(
        r#"
        question = "Which?"
        dataset = { folder = "photos" }
        seeds = 10
        train_sizes = [500, 2000]
        [protocol]
        validation = 0.2
        tuning = { trials = 4, seconds = 60 }
        confidence = 0.9
        equivalence = 0.01
        [[pipeline]]
        name = "a"
        features = [{ kind = "grey", factor = 2 }, { kind = "grey" }]
        classifier = { kind = "centroid" }
        [pipeline.search]
        "scale" = { choice = ["none", "global"] }
        "features.1.factor" = { uniform = [1, 2.5] }
        "classifier.noise" = { log_uniform = [1e-7, 1e-1] }
        "classifier.epochs" = { integer = [1, 9] }
        [[pipeline]]
        name = "b"
        features = [{ kind = "grey" }]
        scale = "center"
        classifier = { kind = "centroid", epochs = 5 }
        [[comparison]]
        a = "a"
        b = "b"
        "#,
    );
    assert_eq!((experiment.seeds, &experiment.train_sizes[..]), (10, &[500, 2000][..]));
    assert_eq!(experiment.protocol.tuning, Tuning { trials: 4, seconds: 60.0, draw: Draw::Random });
    assert_eq!(experiment.comparisons, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(experiment.pipelines[1].settings.branches[0].scale, Some(Scaling::Center));
    let search: Vec<String> = experiment.pipelines[0].search.iter().map(|s| s.target.to_string()).collect();
    assert_eq!(search, ["classifier.epochs", "classifier.noise", "features.1.factor", "scale"]);
    assert_eq!(experiment.pipelines[0].search[2].domain, Domain::Uniform(1.0, 2.5));
    assert_eq!(experiment.pipelines[0].search[3].target.part, Part::Scale);
}

#[test]
fn what_is_not_said_has_honest_defaults() {
    let experiment = read_well(SOUND);
    assert_eq!((experiment.seeds, experiment.protocol), (3, Protocol::default()));
    assert_eq!(experiment.pipelines[0].settings.branches[0].scale, None);
    assert!(experiment.train_sizes.is_empty() && experiment.comparisons.is_empty());
}

#[test]
fn all_problems_are_told_together_each_with_its_place() {
    let found = problems(
        "datasett = 'x'\nseeds = 0\n[protocol]\nconfidence = nan\n[[pipeline]]\nname = 'p'\n\
         features = [{ kind = 'gray' }]\nclassifier = { kind = 'centroid', nois = 1, epochs = 'many' }\nfusion = 'late'\n",
    );
    let expected = [
        "line 1, column 1: datasett: unknown key \"datasett\"; did you mean \"dataset\"?",
        "line 1, column 1: dataset: missing: expected the name of a dataset, a path, or a table with a folder",
        "line 2, column 9: seeds: expected a whole number from 1 to 10000, found 0",
        "line 4, column 14: protocol.confidence: expected a level above 0 and below 1, say 0.95, found nan",
        "line 7, column 22: pipeline.0.features.0.kind: unknown feature \"gray\"; did you mean \"grey\"?",
        "line 8, column 35: pipeline.0.classifier.nois: unknown key \"nois\"; did you mean \"noise\"?",
    ];
    assert_eq!(found[..6], expected);
    assert!(
        found[6].starts_with("line 8, column 54: pipeline.0.classifier.epochs: invalid type: string"),
        "{}",
        found[6]
    );
    assert_eq!(found[7], "line 9, column 10: pipeline.0.fusion: there are no branches to fuse");
    assert_eq!(found.len(), 8);
}

#[test]
fn columns_count_characters_and_not_bytes() {
    let found = problems(&SOUND.replace("{ kind = 'centroid' }", "{ kind = 'centroid', 'üü' = 1, 'ö' = 2 }"));
    assert!(found[0].starts_with("line 5, column 35: pipeline.0.classifier.üü: unknown key"), "{}", found[0]);
    assert!(found[1].starts_with("line 5, column 45: pipeline.0.classifier.ö: unknown key"), "{}", found[1]);
}

#[test]
fn values_that_no_recipe_takes_are_told_at_the_value() {
    for value in ["nan", "inf", "-1.0"] {
        let found = only_problem(&SOUND.replace("'centroid'", &format!("'centroid', noise = {value}")));
        assert!(
            found.starts_with("line 5, column 43: pipeline.0.classifier.noise: expected a finite number, 0 or above"),
            "{found}"
        );
    }
}

#[test]
fn a_text_that_is_no_toml_says_where() {
    let found = problems("dataset = 'fake\nseeds = = 3\n");
    assert!(found[0].starts_with("line 1, column"), "{found:#?}");
    assert!(found.iter().any(|p| p.starts_with("line 2, column")), "{found:#?}");
    assert!(only_problem("dataset = 'a'\ndataset = 'b'\n").contains("duplicate"));
    assert!(!problems("").is_empty());
}

#[test]
fn wrong_types_and_empty_lists_say_what_was_expected() {
    let change = |from: &str, to: &str| only_problem(&SOUND.replace(from, to));
    assert!(
        change("dataset = 'fake'", "dataset = 7")
            .contains("expected the name of a dataset, a path, or a table with a folder, found 7")
    );
    assert!(change("dataset = 'fake'", "dataset = ' '").contains("found the string \" \""));
    assert!(change("dataset = 'fake'", "dataset = { folder = 'x', sise = 3 }").contains("dataset.sise: unknown key"));
    assert!(change("[{ kind = 'grey' }]", "[]").contains("found an empty list"));
    assert!(
        change("[{ kind = 'grey' }]", "'grey'")
            .contains("expected a list of tables, each with a kind, found the string")
    );
    assert!(change("{ kind = 'centroid' }", "{}").contains("classifier.kind: missing"));
    assert!(change("'p'", "''").contains("expected a name of 1 to 100"));
    assert!(
        change("dataset = 'fake'", "dataset = 'fake'\ntrain_sizes = []")
            .contains("train_sizes: expected a list of training sizes, found an empty list")
    );
    assert!(change("dataset = 'fake'", "dataset = 'fake'\ntrain_sizes = [5, 5]").contains("5 is there twice"));
    assert!(
        change("dataset = 'fake'", "dataset = 'fake'\nseeds = 99999999999999999999")
            .contains("found 99999999999999999999")
    );
    assert!(change("'centroid' }", "'centroid' }\nscale = 'standart'").contains("pipeline.0.scale: unknown variant"));
    assert!(only_problem("dataset = 'fake'\n").contains("pipeline: missing"));
    assert!(change("dataset = 'fake'", "dataset = 'fake'\nprotocol = 3").contains("expected a table, found 3"));
    assert!(
        change("dataset = 'fake'", "dataset = 'fake'\nprotocol.tuning.trials = 0")
            .contains("from 1 to 100000, found 0")
    );
    assert!(
        change("dataset = 'fake'", "dataset = 'fake'\nprotocol.tuning.seconds = inf").contains("above 0, found inf")
    );
}

#[test]
fn pipelines_and_comparisons_must_fit_each_other() {
    let twice = format!("{SOUND}{}", SOUND.replace("dataset = 'fake'\n", ""));
    assert!(
        only_problem(&twice).starts_with("line 7, column 8: pipeline.1.name: there is another pipeline named \"p\"")
    );
    let compared = |a: &str, b: &str| only_problem(&format!("{SOUND}[[comparison]]\na = '{a}'\nb = '{b}'\n"));
    assert!(compared("p", "p").contains("compared with itself"));
    assert!(compared("p", "q").contains("comparison.0.b: unknown pipeline \"q\""));
    let two = format!("{SOUND}{}", SOUND.replace("dataset = 'fake'\n", "").replace("'p'", "'q'"));
    let both = format!("{two}[[comparison]]\na = 'p'\nb = 'q'\n[[comparison]]\na = 'q'\nb = 'p'\n");
    assert!(only_problem(&both).contains("compared twice"));
}

#[test]
fn searches_are_checked_before_anything_runs() {
    let search = |line: &str| only_problem(&format!("{SOUND}[pipeline.search]\n{line}\n"));
    assert!(
        search("'classifier.nose' = { uniform = [0, 1] }").contains("unknown key \"nose\"; did you mean \"noise\"?")
    );
    assert!(search("'classifier.noise' = { uniform = [-1, 1] }").contains("0 or above, found -1"));
    assert!(search("'classifier.noise' = { log_uniform = [0, 1] }").contains("two finite numbers above 0"));
    assert!(search("'classifier.noise' = { log_uniform = [1, 0.1] }").contains("the smaller first"));
    assert!(search("'classifier.noise' = { uniform = [0, inf] }").contains("two finite numbers"));
    assert!(search("'classifier.noise' = { uniform = [0] }").contains("expected a list of two numbers"));
    assert!(search("'classifier.epochs' = { uniform = [1.5, 2] }").contains("invalid type: floating point"));
    assert!(search("'classifier.epochs' = { integer = [1.5, 2] }").contains("two whole numbers"));
    assert!(
        search("'features.1.factor' = { uniform = [1, 2] }").contains("expected a feature from 0 to 0, found \"1\"")
    );
    assert!(search("classifier.noise = { uniform = [0, 1] }").contains("in quotes"));
    assert!(search("scale = { choice = ['standart'] }").contains("unknown variant"));
    assert!(search("scale = { choice = [] }").contains("an empty list"));
    assert!(search("scale = {}").contains("found 0"));
    assert!(search("'classifier.noise' = { uniform = [0, 1], choice = [1] }").contains("found 2"));
    assert!(search("'classifier.noise' = { loguniform = [0, 1] }").contains("did you mean \"log_uniform\"?"));
    let set = SOUND.replace("'centroid'", "'centroid', noise = 1");
    let both = only_problem(&format!("{set}[pipeline.search]\n'classifier.noise' = {{ uniform = [0, 1] }}\n"));
    assert!(both.contains("both set and searched"));
}

#[test]
fn a_file_of_a_size_that_no_experiment_has_is_not_parsed() {
    let found = only_problem(&"#".repeat(LONGEST_FILE + 1));
    assert!(found.contains("at most 1048576 bytes, found 1048577"));
}

#[test]
fn deep_nesting_is_a_problem_and_no_crash() {
    let deep = format!("dataset = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(!problems(&deep).is_empty());
}

#[test]
fn the_command_line_changes_what_it_names() {
    let two = format!(
        "{SOUND}{}[[comparison]]\na = 'p'\nb = 'q'\n",
        SOUND.replace("dataset = 'fake'\n", "").replace("'p'", "'q'")
    );
    let overrides = Overrides {
        dataset: Some(DatasetChoice::Named("other".to_owned())),
        pipelines: vec!["q".to_owned()],
        seeds: Some(2),
        train_size: Some(10),
    };
    let changed = read_well(&two).with(&overrides).unwrap();
    assert_eq!(changed.dataset, DatasetChoice::Named("other".to_owned()));
    assert_eq!((changed.seeds, changed.train_sizes), (2, vec![10]));
    assert_eq!(changed.pipelines.len(), 1);
    assert!(changed.comparisons.is_empty());
    assert_eq!(read_well(&two).with(&Overrides::default()).unwrap(), read_well(&two));
    let unknown = Overrides { pipelines: vec!["r".to_owned()], ..Overrides::default() };
    assert!(read_well(&two).with(&unknown).unwrap_err().to_string().contains("unknown pipeline \"r\""));
    let none = Overrides { seeds: Some(0), ..Overrides::default() };
    assert_eq!(
        read_well(&two).with(&none).unwrap_err().to_string(),
        "--seeds: expected a whole number from 1 to 10000, found 0"
    );
}

/// A pipeline of two branches, `extra` in its table and `inner` in its second branch.
fn fused(extra: &str, inner: &str) -> String {
    format!(
        "dataset = 'fake'\n[[pipeline]]\nname = 'p'\n{extra}\n\
         [[pipeline.branches]]\nfeatures = [{{ kind = 'grey' }}]\nclassifier = {{ kind = 'centroid' }}\n\
         [[pipeline.branches]]\nfeatures = [{{ kind = 'grey' }}]\nclassifier = {{ kind = 'centroid' }}\n{inner}\n"
    )
}

#[test]
fn branches_are_read_and_searched_each() {
    let search = "[pipeline.search]\n'branches.1.classifier.noise' = { uniform = [0, 1] }\n\
                  'branches.1.quantise.bits' = { integer = [1, 2] }";
    let experiment = read_well(&format!("{}{search}", fused("fusion = 'late'", "quantise = { group = 2 }")));
    let pipeline = &experiment.pipelines[0];
    assert_eq!(pipeline.settings.branches.len(), 2);
    let targets: Vec<String> = pipeline.search.iter().map(|searched| searched.target.to_string()).collect();
    assert_eq!(targets, ["branches.1.classifier.noise", "branches.1.quantise.bits"]);
    let meant = pipeline.meant(VOCABULARY.catalogues);
    assert_eq!(meant["branches"][1]["quantise"]["bits"], 1);
    assert!(meant["branches"][0].get("quantise").is_none());
}

#[test]
fn augmentation_is_for_classifiers_that_learn_from_it() {
    let with = |extra: &str, classifier: &str| {
        format!(
            "dataset = 'fake'\n[[pipeline]]\nname = 'p'\nfeatures = [{{ kind = 'grey' }}]\n{extra}\n\
             classifier = {{ kind = 'centroid'{classifier} }}\n"
        )
    };
    let search = "[pipeline.search]\n'augment.cutout' = { integer = [0, 9] }";
    let read = read_well(&format!("{}{search}", with("augment = { flip = true, shift = 4 }", "")));
    let meant = read.pipelines[0].meant(VOCABULARY.catalogues);
    assert_eq!(meant["augment"], serde_json::json!({"flip": true, "shift": 4, "cutout": 0}));
    assert_eq!(read.pipelines[0].search[0].target.to_string(), "augment.cutout");
    assert!(read_well(&with("", "")).pipelines[0].meant(VOCABULARY.catalogues).get("augment").is_none());
    assert!(only_problem(&with("augment = { flop = true }", "")).contains("flop"));
    assert!(only_problem(&with("augment = { shift = -1 }", "")).contains("-1"));
    assert!(only_problem(&with("augment = { flip = true }", ", wrong = 'refuse'")).contains("images as they are"));
    let codes = "augment = { flip = true }\nquantise = { group = 2 }";
    assert!(only_problem(&with(codes, "")).contains("codes are made once"));
}

#[test]
fn what_is_wrong_with_branches_is_told() {
    assert!(only_problem(&fused("", "")).contains("pipeline.0.fusion: missing: expected \"late\""));
    assert!(only_problem(&fused("fusion = 'early'", "")).contains("expected \"late\""));
    assert!(only_problem(&fused("fusion = 'late'\nscale = 'none'", "")).contains("belongs into a branch"));
    assert!(only_problem(&fused("fusion = 'late'", "quantise = { groups = 2 }")).contains("groups"));
    assert!(only_problem(&fused("fusion = 'late'", "reduce = { kind = 'pcaa' }")).contains("pcaa"));
    let searched = |key: &str| {
        let search = format!("[pipeline.search]\n'{key}' = {{ uniform = [0, 1] }}");
        only_problem(&format!("{}{search}", fused("fusion = 'late'", "")))
    };
    assert!(searched("classifier.noise").contains("expected \"branches.0.KEY\""));
    assert!(searched("branches.2.classifier.noise").contains("expected \"branches.0.KEY\""));
    assert!(searched("branches.0.reduce.dimensions").contains("a table that is not there"));
}

#[test]
fn limits_and_the_way_of_drawing_are_read() {
    let text = "dataset = 'fake'\n[protocol]\ntuning = { trials = 3, draw = 'low-discrepancy' }\n\
                limits = { seconds = 2.5, megabytes = 100 }\n[[pipeline]]\nname = 'p'\n\
                features = [{ kind = 'grey' }]\nclassifier = { kind = 'centroid' }\n";
    let experiment = read_well(text);
    assert_eq!(experiment.protocol.tuning.draw, Draw::LowDiscrepancy);
    assert_eq!(experiment.protocol.limits, Limits { seconds: Some(2.5), megabytes: Some(100.0) });
    let told = problems(&text.replace("low-discrepancy", "grid").replace("2.5", "0")).join("\n");
    assert!(told.contains("expected \"random\" or \"low-discrepancy\", found the string \"grid\""), "{told}");
    assert!(told.contains("protocol.limits.seconds: expected a finite number above 0, found 0"), "{told}");
}

#[test]
fn a_default_search_takes_what_entries_declare_and_the_file_leaves_open() {
    let text = "dataset = 'fake'\n[[pipeline]]\nname = 'p'\nsearch = 'default'\nfeatures = [{ kind = 'grey' }]\n\
                classifier = { kind = 'centroid' }\n";
    let keys = |text: &str| -> Vec<String> {
        read_well(text).pipelines[0].search.iter().map(|s| s.target.to_string()).collect()
    };
    assert_eq!(keys(text), ["classifier.noise"]);
    assert!(keys(&text.replace("'centroid'", "'centroid', noise = 1")).is_empty());
    assert!(only_problem(&text.replace("'default'", "'all'")).contains("expected \"default\""));
}

#[test]
fn resources_are_asked_of_a_scheduler_and_decide_no_result() {
    let with = SOUND.replace("name = 'p'", "name = 'p'\nresources = { threads = 4, minutes = 30 }");
    let (plain, asking) = (read_well(SOUND), read_well(&with));
    let found = asking.pipelines[0].resources;
    assert_eq!((found.threads, found.megabytes, found.minutes), (Some(4), None, Some(30)));
    let meant = |experiment: &Experiment| experiment.pipelines[0].meant(crate::fakes::CATALOGUES);
    assert_eq!(meant(&plain), meant(&asking));
    assert!(only_problem(&with.replace("= 4", "= 0")).contains("expected a whole number from 1 to 1024, found 0"));
}
