//! Nothing is measured by halves: every entry of a catalogue and every exported kernel has its bench, and every bench agrees
//! with its reference.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bakeoff_benches::kernel::{Kernel, Outcome, Tolerance};
use bakeoff_benches::kernels;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Crates whose exports are kernels, or say below why they are not.
const ROOMS: &[&str] = &["numeric", "unsupervised", "features", "linear", "neighbors", "mlp", "datasets"];

/// Exports that do no work of their own, and why.
const NO_KERNELS: &[(&str, &str)] = &[
    ("datasets::Named", "an entry of a list"),
    ("datasets::FileSizes", "an answer"),
    ("datasets::Fit", "settings"),
    ("datasets::file_sizes", "reads headers"),
    ("datasets::Source", "a place"),
    ("datasets::named", "looks a name up"),
    ("datasets::check_table", "settings"),
    ("datasets::default_root", "a path"),
    ("datasets::open", "chooses a reader"),
    ("datasets::catalogue::nearest", "looks a name up"),
    ("datasets::decode::measure", "reads a header"),
    ("datasets::digest::hash_file", "SHA-256, as content_hash"),
    ("datasets::idx::folder::is_idx_name", "looks at a name"),
    ("datasets::preview::draw_pairs", "as draw"),
    ("datasets::preview::save", "draw, and a file"),
    ("datasets::preview::save_sheet", "a file"),
    ("datasets::shapes::cue", "looks a class up"),
    ("datasets::store::fetch", "waits for a network"),
    ("datasets::store::verify", "SHA-256 of files"),
    ("features::Local", "settings"),
    ("linear::Solver", "settings"),
    ("linear::SvmLoss", "settings"),
    ("linear::OneVsAllLoss", "settings"),
    ("mlp::MlpLoss", "settings"),
    ("mlp::Initialisation", "settings"),
    ("numeric::gradcheck::worst_relative_error", "for tests"),
    ("numeric::keep_awake", "waiting is what it saves"),
    ("numeric::pieces::available", "an answer"),
    ("numeric::pieces::vectors_available", "an answer"),
    ("numeric::optim::penalty", "one pass over weights an epoch"),
    ("numeric::optim::shuffle", "once an epoch"),
    ("numeric::optim::shuffled", "once an epoch"),
    ("unsupervised::UnsupervisedError", "an error"),
];

/// What stands for a whole catalogue: recipes, which `every_entry_of_a_catalogue_has_its_kernels` holds by their names.
fn is_recipe(room: &str, item: &str) -> bool {
    let sources = sources(room);
    sources.values().any(|text| text.contains(&format!("impl Recipe for {item} ")))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The text before its tests of every source of a crate, by its module's path.
fn sources(room: &str) -> BTreeMap<String, String> {
    fn below(folder: &Path, module: &str, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let inner = if module.is_empty() { name.clone() } else { format!("{module}::{name}") };
            if path.is_dir() {
                below(&path, &inner, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") && name != "tests" {
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
                found.insert(if name == "lib" { String::new() } else { inner }, text);
            }
        }
    }
    let mut found = BTreeMap::new();
    below(&root().join("crates").join(room).join("src"), "", &mut found);
    found
}

/// Names that a crate's `pub use` lines bring to its top.
fn exported(lib: &str) -> Vec<String> {
    let uses = lib.split("pub use ").skip(1).map(|rest| rest.split(';').next().unwrap());
    let names = uses.flat_map(|path| {
        let list = path.rsplit_once("::").map_or(path, |(_, list)| list);
        let list = path.split_once('{').map_or(list, |(_, list)| list);
        list.trim_end_matches('}').split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>()
    });
    names.filter(|name| !name.is_empty()).collect()
}

/// Names of free functions that stand in modules of their own and are public.
fn functions(text: &str) -> Vec<String> {
    let named = text.lines().filter_map(|line| line.strip_prefix("pub fn "));
    named.map(|rest| rest.split(['(', '<']).next().unwrap().to_owned()).collect()
}

#[test]
fn every_exported_kernel_is_measured() {
    let all = kernels::all();
    let covered: BTreeSet<&str> = all.iter().flat_map(|kernel| kernel.covers.iter().copied()).collect();
    let excused: BTreeSet<&str> = NO_KERNELS.iter().map(|(item, _)| *item).collect();
    let mut seen = BTreeSet::new();
    let mut forgotten = Vec::new();
    for room in ROOMS {
        let sources = sources(room);
        let top = exported(&sources[""]);
        assert!(!top.is_empty(), "nothing was read of {room}");
        let functions = sources.iter().flat_map(|(module, text)| {
            functions(text).into_iter().map(move |name| (format!("{module}::{name}"), name)).collect::<Vec<_>>()
        });
        // What lib.rs re-exports is named by its short path there.
        let functions = functions.filter(|(_, name)| !top.contains(name)).map(|(path, _)| path);
        let recipes = top.iter().filter(|name| !is_recipe(room, name) && *name != "CATALOGUE").cloned();
        for item in recipes.chain(functions) {
            let path = format!("{room}::{item}");
            // Kernels that a file of their own re-exports (`numeric::tiles::multiply`) may be named by either path.
            let last = item.rsplit("::").next().unwrap();
            let other = covered.iter().find(|name| name.starts_with(room) && name.ends_with(&format!("::{last}")));
            let name = if covered.contains(path.as_str()) || excused.contains(path.as_str()) {
                path
            } else if let Some(other) = other {
                (*other).to_owned()
            } else {
                forgotten.push(path);
                continue;
            };
            seen.insert(name);
        }
    }
    assert!(forgotten.is_empty(), "exported, and neither measured (benches/kernels) nor excused here: {forgotten:?}");
    let gone: Vec<_> = excused.iter().filter(|item| !seen.contains(**item)).collect();
    assert!(gone.is_empty(), "excused and not exported: {gone:?}");
}

#[test]
fn every_entry_of_a_catalogue_has_its_kernels() {
    let names: BTreeSet<String> = kernels::all().into_iter().map(|kernel| kernel.name).collect();
    for entry in &bakeoff_features::CATALOGUE {
        assert!(names.contains(&format!("features/{}", entry.name)), "{}", entry.name);
        let learned = !(entry.parse)(&toml::Table::new()).unwrap().is_deterministic();
        assert!(!learned || names.contains(&format!("features/{}/fit", entry.name)), "{} learns", entry.name);
    }
    for entry in bakeoff_linear::CATALOGUE.iter().chain(&bakeoff_neighbors::CATALOGUE).chain(&bakeoff_mlp::CATALOGUE) {
        for what in ["fit", "scores", "one-row"] {
            assert!(names.contains(&format!("classifiers/{}/{what}", entry.name)), "{} {what}", entry.name);
        }
    }
    // Every kind of dataset has its reader here: implementors of `Dataset` by the module that they stand in.
    for (module, text) in sources("datasets").iter().filter(|(_, text)| text.contains("\nimpl Dataset for ")) {
        let kind = module.split("::").next().unwrap();
        assert!(names.contains(&format!("datasets/{kind}")), "{module} implements Dataset:\n{}", text.len());
    }
}

#[test]
fn names_and_sizes_are_told_apart_and_limits_are_sane() {
    let all = kernels::all();
    let names: BTreeSet<&String> = all.iter().map(|kernel| &kernel.name).collect();
    assert_eq!(names.len(), all.len(), "two kernels of one name");
    for Kernel { name, sizes, tolerance, instructions, .. } in &all {
        let distinct: BTreeSet<&String> = sizes.iter().map(|size| &size.name).collect();
        assert!(sizes.len() >= 2 && distinct.len() == sizes.len(), "{name}: {distinct:?}");
        assert!((0.0..0.01).contains(&tolerance.values) && (0.0..=0.01).contains(&tolerance.labels), "{name}");
        assert!(*instructions > 0.0 && *instructions <= 0.05, "{name}: {instructions}");
        assert!(sizes.iter().all(|size| size.work.bytes > 0.0 && size.work.amount.1 > 0.0), "{name}");
    }
}

#[test]
fn every_kernel_agrees_with_its_reference_at_its_smallest_size() {
    let mut without = Vec::new();
    for kernel in kernels::all() {
        let mut case = (kernel.sizes[0].make)();
        let checked = case.check(kernel.tolerance);
        assert!(checked.is_ok(), "{} at {}: {checked:?}", kernel.name, kernel.sizes[0].name);
        let outcome = case.outcome();
        let mut spoiled = outcome.clone();
        spoiled.spoil();
        assert!(spoiled.check(&outcome, kernel.tolerance).is_err(), "{}: a wrong result passes", kernel.name);
        if !case.has_reference() {
            without.push(kernel.name);
        }
    }
    // What has no reference is held by its crate's tests, and here by giving the same again.
    assert!(without.len() < 30, "{without:?}");
}

#[test]
fn results_are_compared_number_by_number() {
    let of = |values: &[f32]| Outcome::Values(values.to_vec());
    let one = Tolerance { values: 0.1, labels: 0.25 };
    assert!(of(&[10.0, 1.0]).check(&of(&[10.0, 1.9]), one).is_ok());
    assert!(of(&[10.0, 1.0]).check(&of(&[10.0, 2.1]), one).unwrap_err().contains("number 1 is 1"));
    assert!(of(&[10.0, f32::NAN]).check(&of(&[10.0, f32::NAN]), one).is_err());
    assert!(of(&[1.0]).check(&of(&[1.0, 1.0]), one).is_err() && of(&[]).check(&of(&[]), one).is_err());
    let ids = |ids: &[usize]| Outcome::ids(ids.iter().copied());
    assert!(ids(&[1, 2, 3, 4]).check(&ids(&[1, 2, 3, 5]), one).is_ok());
    assert!(ids(&[1, 2, 3, 4]).check(&ids(&[1, 2, 4, 5]), one).is_err());
    assert!(ids(&[1]).check(&of(&[1.0]), one).is_err());
    assert_eq!(of(&[1.0]).to_bytes(), [b'v', 0, 0, 0x80, 0x3f]);
    assert_eq!(ids(&[258]).to_bytes(), [b'l', 2, 1, 0, 0]);
}
