//! Pipelines by what kind of classifier they have.

use bakeoff_results::Run;
use serde_json::Value;

/// Pipelines of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// In a sentence: "linear classifiers".
    pub name: &'static str,
    /// Its pipelines, in the order of the run.
    pub pipelines: Vec<String>,
}

/// The families of a run, read from the experiment as meant; a pipeline of several branches counts by its first. Pipelines that it does not tell of
/// have none.
pub fn families(run: &Run) -> Vec<Family> {
    let meant: Value = serde_json::from_str(&run.as_meant).unwrap_or_default();
    let pipelines = meant.get("pipelines").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut families: Vec<Family> = Vec::new();
    for name in &run.pipelines {
        let described = pipelines.iter().find(|p| p.get("name").and_then(Value::as_str) == Some(name));
        let Some(kind) = described.and_then(classifier) else { continue };
        let family = family(kind);
        match families.iter_mut().find(|known| known.name == family) {
            Some(known) => known.pipelines.push(name.clone()),
            None => families.push(Family { name: family, pipelines: vec![name.clone()] }),
        }
    }
    families
}

fn classifier(pipeline: &Value) -> Option<&str> {
    let branch = pipeline.get("branches").and_then(|branches| branches.get(0)).unwrap_or(pipeline);
    branch.get("classifier")?.get("kind")?.as_str()
}

fn family(kind: &str) -> &'static str {
    match kind {
        "mlp" | "cnn" => "networks",
        "knn" => "nearest neighbours",
        _ => "linear classifiers",
    }
}
