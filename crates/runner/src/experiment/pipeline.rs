//! The `[[pipeline]]` tables.

use super::tree::{Field, Problems, Table};
use crate::Catalogues;
use crate::settings::{
    Branch, Domain, Part, Pipeline, Resources, Searched, Settings, Step, Target, augmentation, quantise, reduction,
    scaling,
};
use crate::suggest::unknown;
use bakeoff_core::{Entry, ParamError};
use bakeoff_numeric::Scaling;
use toml::de::{DeTable, DeValue};

/// Pipelines at most.
const MOST_PIPELINES: usize = 1000;
/// Features of a pipeline at most.
const MOST_FEATURES: usize = 64;
/// Characters of a pipeline's name at most.
const LONGEST_NAME: usize = 100;

const KEYS: &[&str] = &[
    "name",
    "fusion",
    "branches",
    "augment",
    "features",
    "scale",
    "reduce",
    "quantise",
    "classifier",
    "search",
    "resources",
];
const BRANCH_KEYS: &[&str] = &["augment", "features", "scale", "reduce", "quantise", "classifier"];
/// Branches of a pipeline at most.
const MOST_BRANCHES: usize = 64;
const DOMAINS: &[&str] = &["log_uniform", "uniform", "integer", "choice"];

/// All pipelines; `None` when any of them has a problem.
pub(super) fn read_all(
    field: &Field<'_>,
    catalogues: Catalogues<'_>,
    problems: &mut Problems<'_>,
) -> Option<Vec<Pipeline>> {
    let elements = field.list("one [[pipeline]] or more", problems)?;
    if elements.len() > MOST_PIPELINES {
        field.problem(format!("expected at most {MOST_PIPELINES} pipelines, found {}", elements.len()), problems);
        return None;
    }
    let mut names = Vec::new();
    let read: Vec<_> = elements.iter().map(|element| read(element, catalogues, &mut names, problems)).collect();
    read.into_iter().collect()
}

/// The names in the text, whatever else is wrong with the pipelines.
pub(super) fn names<'a>(root: &Table<'a>) -> Vec<&'a str> {
    let Some(DeValue::Array(array)) = root.field("pipeline").map(|field| field.value) else { return Vec::new() };
    array.iter().filter_map(|v| v.get_ref().get("name")?.get_ref().as_str()).collect()
}

fn read(
    element: &Field<'_>,
    catalogues: Catalogues<'_>,
    names: &mut Vec<String>,
    problems: &mut Problems<'_>,
) -> Option<Pipeline> {
    let table = element.table("a table", problems)?;
    table.only(KEYS, problems);
    let name = name(&table, names, problems);
    let branches = if let Some(field) = table.field("branches") {
        branches(&table, &field, catalogues, problems)
    } else {
        if let Some(field) = table.field("fusion") {
            field.problem("there are no branches to fuse".to_owned(), problems);
        }
        branch(&table, catalogues, problems).map(|branch| vec![branch])
    };
    let settings = Settings { branches: branches? };
    let search = match table.field("search") {
        Some(field) => search(&field, &settings, catalogues, problems)?,
        None => Vec::new(),
    };
    let resources = table.field("resources").map_or_else(Resources::default, |field| resources(&field, problems));
    Some(Pipeline { name: name?, settings, search, resources })
}

fn resources(field: &Field<'_>, problems: &mut Problems<'_>) -> Resources {
    let expected = "a table with threads, megabytes and minutes";
    let Some(table) = field.table(expected, problems) else { return Resources::default() };
    table.only(&["threads", "megabytes", "minutes"], problems);
    let mut count = |key, most| table.field(key).and_then(|field| field.count(1..=most, problems));
    Resources {
        threads: count("threads", 1024),
        megabytes: count("megabytes", 1 << 30),
        minutes: count("minutes", 1 << 20),
    }
}

/// Several branches for late fusion.
fn branches(
    table: &Table<'_>,
    field: &Field<'_>,
    catalogues: Catalogues<'_>,
    problems: &mut Problems<'_>,
) -> Option<Vec<Branch>> {
    for key in BRANCH_KEYS {
        if let Some(field) = table.field(key) {
            field.problem("belongs into a branch where there are branches".to_owned(), problems);
        }
    }
    if let Some(fusion) = table.required("fusion", "\"late\"", problems)
        && fusion.string("\"late\"", problems)? != "late"
    {
        fusion.expected("\"late\"", problems);
    }
    let elements = field.list("a list of tables, each with features and a classifier", problems)?;
    if !(2..=MOST_BRANCHES).contains(&elements.len()) {
        field.problem(format!("expected 2 to {MOST_BRANCHES} branches, found {}", elements.len()), problems);
        return None;
    }
    let read = |element: &Field<'_>, problems: &mut Problems<'_>| {
        let table = element.table("a table", problems)?;
        table.only(BRANCH_KEYS, problems);
        branch(&table, catalogues, problems)
    };
    let branches: Vec<_> = elements.iter().map(|element| read(element, problems)).collect();
    branches.into_iter().collect()
}

fn branch(table: &Table<'_>, catalogues: Catalogues<'_>, problems: &mut Problems<'_>) -> Option<Branch> {
    let features = features(table, catalogues, problems);
    let scale = match table.field("scale") {
        Some(field) => scale(&field, problems).map(Some),
        None => Some(None),
    };
    let augment = checked_table(table, "augment", |settings| augmentation(settings).err(), problems);
    let reduce = checked_table(table, "reduce", |settings| reduction(settings).err(), problems);
    let quantise = checked_table(table, "quantise", |settings| quantise(settings).err(), problems);
    let classifier = table
        .required("classifier", "a table with a kind", problems)
        .and_then(|field| step(&field, "classifier", catalogues.classifiers, problems));
    let branch = Branch { augment, features: features?, scale: scale?, reduce, quantise, classifier: classifier? };
    if let Some(field) = table.field("augment") {
        augmentable(&branch, catalogues, &field, problems);
    }
    Some(branch)
}

/// Augmented images are for classifiers that see rows anew in every pass.
fn augmentable(branch: &Branch, catalogues: Catalogues<'_>, field: &Field<'_>, problems: &mut Problems<'_>) {
    let learns = branch.learner(catalogues).is_ok_and(|classifier| classifier.learns_augmented());
    if !learns {
        let kind = &branch.classifier.kind;
        field.problem(format!("{kind} learns from the images as they are, mlp from augmented ones too"), problems);
    } else if branch.quantise.is_some() {
        field.problem("codes are made once, of the images as they are: without quantise".to_owned(), problems);
    }
}

/// A table whose settings are checked as a whole, where it is there. What is wrong with it is noted, and an experiment
/// with problems is no experiment.
fn checked_table(
    table: &Table<'_>,
    key: &str,
    wrong: impl Fn(&toml::Table) -> Option<String>,
    problems: &mut Problems<'_>,
) -> Option<toml::Table> {
    let field = table.field(key)?;
    field.table("a table", problems)?;
    let toml::Value::Table(settings) = field.plain(problems)? else { return None };
    if let Some(problem) = wrong(&settings) {
        field.problem(problem, problems);
    }
    Some(settings)
}

fn name(table: &Table<'_>, taken: &mut Vec<String>, problems: &mut Problems<'_>) -> Option<String> {
    let field = table.required("name", "a name", problems)?;
    let name = field.string("a name", problems)?;
    let length = name.chars().count();
    if name.trim() != name || !(1..=LONGEST_NAME).contains(&length) || name.chars().any(char::is_control) {
        field.expected(
            &format!("a name of 1 to {LONGEST_NAME} printable characters without spaces at its ends"),
            problems,
        );
        return None;
    }
    if taken.iter().any(|other| other == name) {
        field.problem(format!("there is another pipeline named {name:?}"), problems);
    }
    taken.push(name.to_owned());
    Some(name.to_owned())
}

fn features(table: &Table<'_>, catalogues: Catalogues<'_>, problems: &mut Problems<'_>) -> Option<Vec<Step>> {
    let field = table.required("features", "a list of tables, each with a kind", problems)?;
    let elements = field.list("a list of tables, each with a kind", problems)?;
    if elements.len() > MOST_FEATURES {
        field.problem(format!("expected at most {MOST_FEATURES} features, found {}", elements.len()), problems);
        return None;
    }
    let steps: Vec<_> = elements.iter().map(|e| step(e, "feature", catalogues.extractors, problems)).collect();
    steps.into_iter().collect()
}

fn scale(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Scaling> {
    let name = field.string("the name of a scaling", problems)?;
    scaling(name).map_err(|problem| field.problem(problem, problems)).ok()
}

/// One algorithm with its settings, checked by its own recipe.
fn step<T: ?Sized>(
    field: &Field<'_>,
    what: &str,
    catalogue: &[&[Entry<T>]],
    problems: &mut Problems<'_>,
) -> Option<Step> {
    let table = field.table("a table with a kind", problems)?;
    let kind_field = table.required("kind", &format!("the name of a {what}"), problems)?;
    let kind = kind_field.string(&format!("the name of a {what}"), problems)?;
    let entries = catalogue.iter().flat_map(|entries| entries.iter());
    let Some(entry) = entries.clone().find(|entry| entry.name == kind) else {
        kind_field.problem(unknown(what, kind, entries.map(|entry| entry.name)), problems);
        return None;
    };
    let known = (entry.keys)();
    let mut all_known = vec!["kind"];
    all_known.extend(known);
    table.only(&all_known, problems);
    let mut settings = toml::Table::new();
    for key in known {
        let Some(field) = table.field(key) else { continue };
        settings.insert((*key).to_owned(), field.plain(problems)?);
    }
    let checked = (entry.parse)(&settings);
    for problem in checked.as_ref().err().into_iter().flatten() {
        let place = table.field(&problem.key).map_or(table.span.clone(), |field| field.span);
        let path = if known.contains(&problem.key.as_str()) { table.path_of(&problem.key) } else { table.path.clone() };
        problems.at(place, path, problem.problem.clone());
    }
    checked.ok().map(|_| Step { kind: kind.to_owned(), settings })
}

fn search(
    field: &Field<'_>,
    settings: &Settings,
    catalogues: Catalogues<'_>,
    problems: &mut Problems<'_>,
) -> Option<Vec<Searched>> {
    if field.value.as_str() == Some("default") {
        return Some(default_search(settings, catalogues));
    }
    let table = field.table("\"default\", or a table of settings and their domains", problems)?;
    let mut search = Vec::new();
    for (key_span, field) in table.fields() {
        let key = field.path[table.path.len() + 1..].to_owned();
        let target = match target(&key, settings) {
            Ok(target) => target,
            Err(problem) => {
                problems.at(key_span, field.path.clone(), problem);
                continue;
            }
        };
        let Some(domain) = domain(&field, problems) else { continue };
        // What the setting does not take at an end of its domain is a problem now and not in trial 11.
        match domain.ends().iter().find_map(|value| wrong(&target, value, settings, catalogues)) {
            Some(problem) => field.problem(problem, problems),
            None => search.push(Searched { target, domain }),
        }
    }
    search.sort_by(|a, b| a.target.cmp(&b.target));
    Some(search)
}

/// What the catalogues' entries declare for every part of a pipeline, but for what the file sets itself.
fn default_search(settings: &Settings, catalogues: Catalogues<'_>) -> Vec<Searched> {
    let mut search = Vec::new();
    for (i, branch) in settings.branches.iter().enumerate() {
        let place = (settings.branches.len() > 1).then_some(i);
        let mut add = |declared: &str, of: &Step, part: &dyn Fn(String) -> Part| {
            for (key, domain) in declared_domains(declared) {
                if !of.settings.contains_key(&key) {
                    search.push(Searched { target: Target { branch: place, part: part(key) }, domain });
                }
            }
        };
        for (index, step) in branch.features.iter().enumerate() {
            let declared = catalogues.extractor(&step.kind).map_or("", |entry| entry.search);
            add(declared, step, &|key| Part::Feature { index, key });
        }
        let step = &branch.classifier;
        let declared = catalogues.classifier(&step.kind).map_or("", |entry| entry.search);
        add(declared, step, &|key| Part::Classifier { key });
    }
    search.sort_by(|a, b| a.target.cmp(&b.target));
    search
}

/// The domains of an entry's own lines, which a test holds to be right.
fn declared_domains(text: &str) -> Vec<(String, Domain)> {
    let (document, _) = DeTable::parse_recoverable(text);
    let root = Table { entries: document.get_ref(), span: 0..0, path: String::new() };
    let mut problems = Problems::in_text(text);
    let fields = root.fields().into_iter();
    fields.filter_map(|(_, field)| Some((field.path.clone(), domain(&field, &mut problems)?))).collect()
}

/// What a dotted key of the search means.
fn target(key: &str, settings: &Settings) -> Result<Target, String> {
    let [branch] = &settings.branches[..] else {
        let expected = || format!("expected \"branches.0.KEY\" in quotes, found {key:?}");
        let (index, rest) = key.strip_prefix("branches.").and_then(|rest| rest.split_once('.')).ok_or_else(expected)?;
        let index = index.parse().ok().filter(|&index| index < settings.branches.len()).ok_or_else(expected)?;
        return Ok(Target { branch: Some(index), part: part(rest, &settings.branches[index])? });
    };
    Ok(Target { branch: None, part: part(key, branch)? })
}

/// A setting of a branch. One that is searched may not also be set: the value would be ignored.
fn part(key: &str, branch: &Branch) -> Result<Part, String> {
    let free = |is_set: bool, part: Part| {
        if is_set { Err(format!("{key:?} is both set and searched: take one away")) } else { Ok(part) }
    };
    let in_table = |table: &Option<toml::Table>, inner: &str, part: Part| match table {
        Some(table) => free(table.contains_key(inner), part),
        None => Err(format!("{key:?} is searched of a table that is not there")),
    };
    match key.split('.').collect::<Vec<_>>()[..] {
        ["scale"] => free(branch.scale.is_some(), Part::Scale),
        ["classifier", inner] => {
            free(branch.classifier.settings.contains_key(inner), Part::Classifier { key: inner.to_owned() })
        }
        ["features", index, inner] => {
            let n = branch.features.len();
            let position = index.parse::<usize>().ok().filter(|&i| i < n);
            let index = position.ok_or_else(|| format!("expected a feature from 0 to {}, found {index:?}", n - 1))?;
            let is_set = branch.features[index].settings.contains_key(inner);
            free(is_set, Part::Feature { index, key: inner.to_owned() })
        }
        ["augment", inner] => in_table(&branch.augment, inner, Part::Augment { key: inner.to_owned() }),
        ["reduce", inner] => in_table(&branch.reduce, inner, Part::Reduce { key: inner.to_owned() }),
        ["quantise", inner] => in_table(&branch.quantise, inner, Part::Quantise { key: inner.to_owned() }),
        _ => Err(format!(
            "expected \"classifier.KEY\", \"features.0.KEY\", \"augment.KEY\", \"reduce.KEY\", \"quantise.KEY\" or \"scale\" in quotes, \
             found {key:?}"
        )),
    }
}

fn domain(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Domain> {
    let expected = "a table with log_uniform, uniform, integer or choice";
    let table = field.table(expected, problems)?;
    table.only(DOMAINS, problems);
    let given: Vec<_> = DOMAINS.iter().filter_map(|kind| Some((*kind, table.field(kind)?))).collect();
    let [(kind, values)] = &given[..] else {
        if !given.is_empty() || table.entries.is_empty() {
            field.problem(format!("expected {expected}, one of them, found {}", given.len()), problems);
        }
        return None;
    };
    match *kind {
        "choice" => {
            let values = values.list("a list of values", problems)?;
            values.iter().map(|value| value.plain(problems)).collect::<Option<Vec<_>>>().map(Domain::Choice)
        }
        "integer" => {
            let (low, high) = ends(values, problems)?;
            let whole = |v: &toml::Value| v.as_integer();
            checked(values, whole(&low).zip(whole(&high)), "two whole numbers", problems)
                .map(|(low, high)| Domain::Integer(low, high))
        }
        kind => {
            let (low, high) = ends(values, problems)?;
            let logarithmic = kind == "log_uniform";
            let fits = |v: f64| v.is_finite() && (!logarithmic || v > 0.0);
            let number = |v: &toml::Value| v.as_float().or(v.as_integer().map(|i| i as f64)).filter(|v| fits(*v));
            let expected = if logarithmic { "two finite numbers above 0" } else { "two finite numbers" };
            checked(values, number(&low).zip(number(&high)), expected, problems)
                .map(|(low, high)| if logarithmic { Domain::LogUniform(low, high) } else { Domain::Uniform(low, high) })
        }
    }
}

/// Exactly two values.
fn ends(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<(toml::Value, toml::Value)> {
    let values = field.list("a list of two numbers", problems)?;
    let [low, high] = &values[..] else {
        field.expected("a list of two numbers", problems);
        return None;
    };
    Some((low.plain(problems)?, high.plain(problems)?))
}

/// Two ends of the right kind, the first below the second.
fn checked<T: PartialOrd + Copy>(
    field: &Field<'_>,
    ends: Option<(T, T)>,
    expected: &str,
    problems: &mut Problems<'_>,
) -> Option<(T, T)> {
    let ordered = ends.filter(|(low, high)| low < high);
    if ordered.is_none() {
        field.problem(format!("expected {expected}, the smaller first"), problems);
    }
    ordered
}

/// What is wrong with one value for a setting.
fn wrong(target: &Target, value: &toml::Value, settings: &Settings, catalogues: Catalogues<'_>) -> Option<String> {
    let branch = settings.branches.get(target.branch.unwrap_or(0))?;
    let with = |table: &toml::Table, key: &String| {
        let mut table = table.clone();
        table.insert(key.clone(), value.clone());
        table
    };
    match &target.part {
        Part::Scale => match value.as_str() {
            Some(name) => scaling(name).err(),
            None => Some(format!("expected the names of scalings, found {value}")),
        },
        Part::Classifier { key } => {
            let entry = catalogues.classifier(&branch.classifier.kind)?;
            wrong_for(entry, &branch.classifier.settings, key, value)
        }
        Part::Feature { index, key } => {
            let step = branch.features.get(*index)?;
            wrong_for(catalogues.extractor(&step.kind)?, &step.settings, key, value)
        }
        Part::Augment { key } => augmentation(&with(branch.augment.as_ref()?, key)).err(),
        Part::Reduce { key } => reduction(&with(branch.reduce.as_ref()?, key)).err(),
        Part::Quantise { key } => quantise(&with(branch.quantise.as_ref()?, key)).err(),
    }
}

fn wrong_for<T: ?Sized>(entry: &Entry<T>, fixed: &toml::Table, key: &str, value: &toml::Value) -> Option<String> {
    let known = (entry.keys)();
    if !known.contains(&key) {
        return Some(format!("{}: {}", entry.name, unknown("key", key, known.iter().copied())));
    }
    let mut table = fixed.clone();
    table.insert(key.to_owned(), value.clone());
    let problems: Vec<ParamError> = (entry.parse)(&table).err()?;
    Some(problems.into_iter().map(|p| p.problem).collect::<Vec<_>>().join("; "))
}
