use super::*;
use crate::Material;
use crate::fakes::{CATALOGUES, experiment, material, one_pipeline, splits};
use std::collections::HashSet;

fn plan(experiment: Experiment) -> Plan {
    Plan::new(experiment, &material(), CATALOGUES).unwrap()
}

fn first(plan: &Plan) -> String {
    plan.cells().next().unwrap().cell.digest
}

#[test]
fn a_deterministic_pipeline_has_one_cell_and_a_seeded_one_has_all() {
    assert_eq!(plan(one_pipeline("seeds = 4", "", "")).cells().len(), 1);
    assert!(plan(one_pipeline("seeds = 4", "", "")).cells().next().unwrap().deterministic);
    assert_eq!(plan(one_pipeline("seeds = 4", ", noise = 1", "")).cells().len(), 4);
    // A drawn subset or a search depends on the seed.
    assert_eq!(plan(one_pipeline("seeds = 4\ntrain_sizes = [10, 80]", "", "")).cells().len(), 5);
    let searched = "[pipeline.search]\nscale = { choice = ['none', 'global'] }";
    assert_eq!(plan(one_pipeline("seeds = 4", "", searched)).cells().len(), 4);
}

#[test]
fn sizes_beyond_the_data_are_all_of_it_once_and_said_to_be() {
    let plan = plan(one_pipeline("seeds = 1\ntrain_sizes = [10, 90, 100]", "", ""));
    let sizes: Vec<_> = plan.cells().map(|c| (c.cell.train_size, c.note)).collect();
    assert_eq!(sizes, [(Some(10), None), (None, Some("90 training images were asked for, 80 are there".to_owned()))]);
}

#[test]
fn a_plan_keeps_to_some_of_its_cells() {
    let mut plan = plan(one_pipeline("seeds = 4", ", noise = 1", ""));
    let all: Vec<_> = plan.cells().collect();
    let kept = [all[3].cell.digest.as_str(), all[1].cell.digest.as_str(), "no cell's"];
    plan.keep_only(&kept.into());
    // In the order of the plan, with everything else as it was.
    assert_eq!(plan.cells().collect::<Vec<_>>(), [all[1].clone(), all[3].clone()]);
}

#[test]
fn pipelines_take_turns() {
    let two = experiment(
        "dataset = 'fake'\nseeds = 2\n[[pipeline]]\nname = 'a'\nfeatures = [{ kind = 'grey' }]\n\
         classifier = { kind = 'centroid', noise = 1 }\n[[pipeline]]\nname = 'b'\nfeatures = [{ kind = 'grey' }]\n\
         classifier = { kind = 'centroid', noise = 1 }\n",
    );
    let order: Vec<_> = plan(two).cells().map(|c| (c.cell.pipeline, c.cell.seed)).collect();
    assert_eq!(order, [("a".into(), 0), ("b".into(), 0), ("a".into(), 1), ("b".into(), 1)]);
}

#[test]
fn digests_follow_what_decides_the_result_and_nothing_else() {
    let digest = |experiment: Experiment| first(&plan(experiment));
    let base = digest(one_pipeline("", ", noise = 1", ""));
    assert_eq!(base.len(), 64);
    // Defaults that are written out, the question and the intervals do not matter.
    assert_eq!(base, digest(one_pipeline("", ", noise = 1.0, epochs = 3", "")));
    assert_eq!(
        base,
        digest(one_pipeline("question = 'x'\nprotocol.confidence = 0.9", ", noise = 1", "scale = 'standard'"))
    );
    // Without a search, its budget does not matter either.
    assert_eq!(base, digest(one_pipeline("protocol.tuning.trials = 3", ", noise = 1", "")));
    let others = [
        digest(one_pipeline("", ", noise = 2", "")),
        digest(one_pipeline("", ", noise = 1", "scale = 'none'")),
        digest(one_pipeline("train_sizes = [7]", ", noise = 1", "")),
    ];
    assert_eq!(others.iter().chain([&base]).collect::<HashSet<_>>().len(), 4);
    let search = "[pipeline.search]\nscale = { choice = ['none', 'global'] }";
    let few = digest(one_pipeline("protocol.tuning.trials = 3", "", search));
    assert_ne!(few, digest(one_pipeline("protocol.tuning.trials = 4", "", search)));
}

#[test]
fn other_data_is_another_experiment() {
    let experiment = || one_pipeline("", "", "");
    let other = Material::new("fake", splits(80, 30), "d2").unwrap();
    let changed = Plan::new(experiment(), &other, CATALOGUES).unwrap();
    assert_ne!(changed.digest, plan(experiment()).digest);
    assert_ne!(first(&changed), first(&plan(experiment())));
}

#[test]
fn the_experiment_as_meant_names_every_default() {
    let plan = plan(one_pipeline("", "", ""));
    assert!(
        plan.as_meant.contains("\"settings\":{\"epochs\":3,\"noise\":0.0,\"wrong\":\"nothing\"}"),
        "{}",
        plan.as_meant
    );
    assert!(
        plan.as_meant.contains("\"tuning\":{\"draw\":\"random\",\"seconds\":900.0,\"trials\":16}"),
        "{}",
        plan.as_meant
    );
}

#[test]
fn absurd_numbers_of_cells_are_refused() {
    let sizes: Vec<String> = (1..=10).map(|n| n.to_string()).collect();
    let mut many = one_pipeline(&format!("seeds = 10000\ntrain_sizes = [{}]", sizes.join(",")), "", "");
    many.pipelines = vec![many.pipelines[0].clone(); 2];
    let error = Plan::new(many, &material(), CATALOGUES).unwrap_err();
    assert_eq!(error.to_string(), "2 pipelines × 10000 seeds × 10 training sizes are more than 100000 cells");
}
