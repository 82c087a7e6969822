//! The walls of the house, as tests: who imports whom, what the map says, what the catalogues hold, who touches files
//! and clocks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who may import whom: STYLE's table, and `unsupervised`, which features and runner share and whose codes the lab shows. `*` is everybody.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("results", &[]),
    ("numeric", &["core"]),
    ("datasets", &["core"]),
    ("unsupervised", &["core", "numeric"]),
    ("features", &["core", "numeric", "unsupervised"]),
    ("linear", &["core", "numeric"]),
    ("neighbors", &["core", "numeric"]),
    ("mlp", &["core", "numeric"]),
    ("runner", &["core", "numeric", "unsupervised", "results"]),
    ("report", &["results"]),
    ("gallery", &["core", "features", "results", "report"]),
    ("interchange", &["core"]),
    (
        "lab",
        &["core", "numeric", "unsupervised", "datasets", "features", "linear", "neighbors", "mlp", "report", "gallery"],
    ),
    ("playground", &["core", "numeric", "linear", "neighbors", "mlp"]),
    ("bakeoff", &["*"]),
    ("benches", &["core", "numeric", "datasets", "unsupervised", "features", "linear", "neighbors", "mlp"]),
];

/// What tests may import besides: whatever makes inputs. Nobody tests with a sibling or with what lies above.
const TESTS_MAY_IMPORT: &[&str] = &["core", "numeric", "datasets"];

/// Libraries that some crates must not know.
const MUST_NOT_KNOW: &[(&str, &[&str])] = &[
    ("results", &["ndarray", "image"]),
    ("report", &["ndarray", "image", "rusqlite"]),
    ("runner", &["rusqlite", "image", "clap", "indicatif"]),
    ("core", &["rusqlite", "image", "clap"]),
];

/// Crates that may touch files.
const MAY_TOUCH_FILES: &[&str] = &["datasets", "results", "bakeoff"];

/// Lines that a function has at most.
const LONGEST_FUNCTION: usize = 80;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).features(CargoOpt::AllFeatures).no_deps();
    command.other_options(["--offline".to_owned()]).exec().unwrap()
}

/// A package's folder name.
fn room(package: &str) -> &str {
    package.strip_prefix("bakeoff-").unwrap_or(package)
}

/// Every crate's imports, as (room, imported package, whether it is for tests only).
fn imports() -> Vec<(String, String, bool)> {
    let metadata = metadata();
    let members = metadata.packages.iter();
    let edges = members.flat_map(|package| {
        package.dependencies.iter().map(|dependency| {
            let for_tests = dependency.kind == DependencyKind::Development;
            (room(&package.name).to_owned(), dependency.name.clone(), for_tests)
        })
    });
    edges.collect()
}

fn may_import(from: &str, to: &str) -> bool {
    let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == from).map_or(&[][..], |(_, allowed)| *allowed);
    allowed.contains(&"*") || allowed.contains(&to)
}

#[test]
fn imports_go_one_way() {
    let imports = imports();
    assert!(imports.iter().any(|(from, to, _)| from == "runner" && to == "bakeoff-core"), "no edges were read");
    let wrong: Vec<_> = imports
        .iter()
        .filter(|(_, to, _)| to.starts_with("bakeoff"))
        .filter(|(from, to, for_tests)| {
            let allowed = may_import(from, room(to)) || (*for_tests && TESTS_MAY_IMPORT.contains(&room(to)));
            !allowed
        })
        .collect();
    assert!(wrong.is_empty(), "imports that the house does not allow: {wrong:?}");
}

#[test]
fn no_crate_knows_what_it_must_not() {
    for (from, to, for_tests) in imports() {
        let banned = MUST_NOT_KNOW.iter().find(|(name, _)| *name == from).map_or(&[][..], |(_, banned)| *banned);
        assert!(for_tests || !banned.contains(&to.as_str()), "{from} must not know {to}");
    }
}

/// The folders of `crates/`.
fn rooms() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let folders = entries.filter(|path| path.join("Cargo.toml").is_file());
    folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn the_rules_and_the_map_name_every_crate_and_no_other() {
    let ruled: BTreeSet<String> =
        MAY_IMPORT.iter().map(|(name, _)| (*name).to_owned()).filter(|name| name != "benches").collect();
    assert_eq!(ruled, rooms());
    let map = fs::read_to_string(root().join("crates/README.md")).unwrap();
    let headings = map.lines().filter_map(|line| line.strip_prefix("### "));
    let mapped: BTreeSet<String> =
        headings.flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    assert_eq!(mapped, rooms(), "headings of crates/README.md");
}

/// A source file without its tests: (path from the top, lines with their numbers).
struct Source {
    path: String,
    lines: Vec<(usize, String)>,
}

/// All sources below a folder. Test modules stand at a file's foot or in files of their own.
fn sources(folder: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !["tests.rs", "fakes.rs"].contains(&name)
        {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.to_owned()));
            let lines = lines.take_while(|(_, line)| line.trim() != "#[cfg(test)]").collect();
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push(Source { path, lines });
        }
    }
    found
}

fn sources_of(room: &str) -> Vec<Source> {
    sources(&root().join("crates").join(room).join("src"))
}

/// Places in code, not in comments, where one of these words stands.
fn uses(room: &str, words: &[&str]) -> Vec<String> {
    let found = sources_of(room).into_iter().flat_map(|source| {
        let code = source.lines.into_iter().filter(|(_, line)| !line.trim_start().starts_with("//"));
        let hits = code.filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        hits.map(move |(number, line)| format!("{}:{number}: {}", source.path, line.trim())).collect::<Vec<_>>()
    });
    found.collect()
}

#[test]
fn files_are_touched_in_their_rooms_only() {
    let words = ["std::fs", "fs::", "File::open", "File::create", "OpenOptions"];
    assert!(!uses("bakeoff", &words).is_empty(), "the scan sees nothing");
    for room in rooms().iter().filter(|room| !MAY_TOUCH_FILES.contains(&room.as_str())) {
        assert_eq!(uses(room, &words), Vec::<String>::new());
    }
}

#[test]
fn there_is_one_clock_and_no_unseeded_chance() {
    let clock = uses("runner", &["Instant::now"]);
    assert_eq!(clock.len(), 1, "{clock:?}");
    assert!(clock[0].starts_with("crates/runner/src/clock.rs"), "{clock:?}");
    // A network may train for so many seconds: it then reads time, but measures nothing that is reported.
    let budget = uses("mlp", &["Instant::now"]);
    assert!(budget.len() == 1 && budget[0].starts_with("crates/mlp/src/budget.rs"), "{budget:?}");
    let clocks = ["crates/runner/src/clock.rs", "crates/mlp/src/budget.rs"];
    let words = ["Instant::now", "SystemTime::now", "thread_rng", "from_entropy", "OsRng", "rand::random"];
    for room in rooms() {
        let others =
            uses(&room, &words).into_iter().filter(|place| !clocks.iter().any(|clock| place.starts_with(clock)));
        assert_eq!(others.collect::<Vec<_>>(), Vec::<String>::new());
    }
}

#[test]
fn only_the_binary_writes_to_the_terminal() {
    let words = ["println!", "eprintln!", "print!(", "stdout()", "stderr()"];
    for room in rooms().iter().filter(|room| *room != "bakeoff") {
        assert_eq!(uses(room, &words), Vec::<String>::new());
    }
}

/// Types of a crate for which a trait is implemented in a file of their own.
fn implementors(room: &str, of: &str) -> BTreeMap<String, String> {
    let start = format!("impl {of} for ");
    let found = sources_of(room).into_iter().flat_map(|source| {
        let names = source.lines.iter().filter_map(|(_, line)| line.strip_prefix(&start));
        let names: Vec<_> = names.map(|rest| rest.trim_end_matches([' ', '{', '}']).to_owned()).collect();
        names.into_iter().map(move |name| (name, source.path.clone()))
    });
    found.collect()
}

#[test]
fn every_algorithm_is_in_its_catalogue() {
    for room in ["features", "linear", "neighbors", "mlp"] {
        let recipes = implementors(room, "Recipe");
        assert!(!recipes.is_empty(), "{room} has no recipe");
        let lib = fs::read_to_string(root().join("crates").join(room).join("src/lib.rs")).unwrap();
        for (recipe, file) in recipes {
            assert!(lib.contains(&format!("::<{recipe}>()")), "{recipe} of {file} is not in {room}'s CATALOGUE");
        }
    }
}

#[test]
fn every_dataset_and_every_format_is_in_its_catalogue() {
    let read = |path: &str| fs::read_to_string(root().join("crates").join(path)).unwrap();
    let named = read("datasets/src/catalogue.rs") + &read("datasets/src/source.rs");
    let datasets = implementors("datasets", "Dataset");
    assert!(datasets.len() >= 4, "{datasets:?}");
    for (dataset, file) in datasets {
        assert!(named.contains(&dataset), "nothing opens {dataset} of {file}");
    }
    let catalogue = read("report/src/lib.rs");
    let formats = uses("report", &["const FORMAT: Format"]);
    assert!(formats.len() >= 4, "{formats:?}");
    for place in formats {
        let module = Path::new(place.split(':').next().unwrap()).file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(catalogue.contains(&format!("{module}::FORMAT")), "{place} is not in the CATALOGUE of report");
    }
}

#[test]
fn functions_are_short() {
    let mut lengths = Vec::new();
    for room in rooms() {
        for source in sources_of(&room) {
            for (name, line, length) in functions(&source.lines) {
                assert!(length <= LONGEST_FUNCTION, "{}:{line}: {name} has {length} lines", source.path);
                lengths.push(length);
            }
        }
    }
    lengths.sort_unstable();
    let share = |part: f64| lengths[(lengths.len() as f64 * part) as usize];
    assert!(lengths.len() > 100, "the scan sees nothing");
    assert!(share(0.5) <= 12 && share(0.9) <= 40, "median {}, nine in ten {}", share(0.5), share(0.9));
}

/// (name, line, lines) of every function with a body. rustfmt indents, so that a body ends at the first closing brace
/// that stands where its `fn` began.
fn functions(lines: &[(usize, String)]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (i, (number, line)) in lines.iter().enumerate() {
        let code = line.trim_start();
        let modifiers = ["pub ", "pub(crate) ", "pub(super) ", "const ", "unsafe ", "async "];
        let bare = modifiers.iter().fold(code, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
        let Some(name) = bare.strip_prefix("fn ").and_then(|rest| rest.split(['(', '<']).next()) else { continue };
        let indent = &line[..line.len() - code.len()];
        let end = format!("{indent}}}");
        let is_declared_only = |line: &str| line.starts_with(indent) && line.ends_with(';') && !line.contains('{');
        if is_declared_only(line) {
            continue;
        }
        let body = if line.ends_with('}') { Some(0) } else { lines[i..].iter().position(|(_, line)| *line == end) };
        if let Some(last) = body {
            found.push((name.to_owned(), *number, last + 1));
        }
    }
    found
}

#[test]
fn built_in_experiments_lie_in_reports() {
    let reports = fs::read_dir(root().join("reports")).unwrap().map(|entry| entry.unwrap().path());
    let names: BTreeSet<_> = reports.filter(|path| path.is_dir()).collect();
    let course = ["quick", "fashion-mnist", "cifar-10", "course-features", "folder"];
    let strong = ["bag-of-words", "coates-2011", "imagenet-2011", "fashion-mnist-strong", "cifar-10-strong"];
    for needed in course.into_iter().chain(strong) {
        let folder = root().join("reports").join(needed);
        assert!(names.contains(&folder) && folder.join("experiment.toml").is_file(), "{needed}");
    }
}
