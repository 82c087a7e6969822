//! The whole catalogue against the contract of classifiers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../core/tests/suite/classifiers.rs"]
mod classifiers;
#[path = "../../core/tests/suite/settings.rs"]
mod settings;
#[path = "../../core/tests/suite/stored.rs"]
mod stored;

use bakeoff_core::{FitError, Seed};
use bakeoff_mlp::CATALOGUE;
use classifiers::cases;
use std::ops::ControlFlow;

/// Settings that take other paths through the code than the defaults.
const VARIANTS: &[(&str, &str)] = &[
    ("mlp", "hidden = []\nbatch = 5"),
    ("mlp", "hidden = [20, 30]\nactivation = 'leaky-relu'\nbatch = 9"),
    ("mlp", "activation = 'sigmoid'\ninitialisation = 'xavier'\nlearning_rate = 0.2"),
    ("mlp", "activation = 'tanh'\nloss = 'svm'"),
    ("mlp", "activation = 'softplus'\nschedule = 'step'"),
    ("mlp", "activation = 'elu'\nschedule = 'constant'"),
    ("mlp", "activation = 'identity'\ninitialisation = 'he'"),
    ("mlp", "activation = 'gelu'\nloss = 'squared'\nbatch_norm = true\noptimiser = 'nesterov'"),
    (
        "mlp",
        "hidden = []\nblocks = 2\nwidth = 16\nexpansion = 2\noptimiser = 'adamw'\nlearning_rate = 0.003\nbatch = 16",
    ),
    ("mlp", "dropout = 0.2\nlabel_smoothing = 0.1\nmixup = 0.2\naverage = 0.5\nbatch = 10\nepochs = 20"),
    (
        "mlp",
        "clip = 1.0\nwarm_up = 0.2\nschedule = 'one-cycle'\nl1 = 1e-5\nweight_decay = 1e-3\nepochs = 30\nbatch = 30",
    ),
    ("mlp", "early_stopping = true\npatience = 30\nheld_out = 0.2\nbatch = 20"),
];

#[test]
fn entries_are_described() {
    settings::entries_are_described(&CATALOGUE);
}

#[test]
fn defaults_make_the_round_trip() {
    settings::defaults_make_the_round_trip(&CATALOGUE);
}

#[test]
fn bad_settings_are_told() {
    settings::bad_settings_are_told(&CATALOGUE);
}

#[test]
fn it_learns_and_tells_every_epoch() {
    classifiers::it_learns_and_tells_every_epoch(&cases(&CATALOGUE, VARIANTS));
}

#[test]
fn a_break_keeps_what_was_learned() {
    classifiers::a_break_keeps_what_was_learned(&cases(&CATALOGUE, VARIANTS));
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    classifiers::the_same_seed_gives_the_same_bits(&cases(&CATALOGUE, VARIANTS));
}

#[test]
fn a_second_fit_equals_a_fresh_one() {
    classifiers::a_second_fit_equals_a_fresh_one(&cases(&CATALOGUE, VARIANTS));
}

#[test]
fn a_row_scores_the_same_alone_in_company_and_in_any_layout() {
    classifiers::a_row_scores_the_same_alone_in_company_and_in_any_layout(&cases(&CATALOGUE, VARIANTS));
}

#[test]
fn threads_do_not_change_a_bit() {
    classifiers::threads_do_not_change_a_bit(&cases(&CATALOGUE, VARIANTS));
}

#[test]
fn the_layout_of_training_rows_does_not_matter() {
    classifiers::the_layout_of_training_rows_does_not_matter(&cases(&CATALOGUE, VARIANTS));
}

#[test]
fn what_was_learned_is_restored_to_the_bit() {
    classifiers::what_was_learned_is_restored_to_the_bit(&cases(&CATALOGUE, VARIANTS));
}

#[test]
fn damaged_arrays_are_refused() {
    classifiers::damaged_arrays_are_refused(&cases(&CATALOGUE, VARIANTS));
}

#[test]
fn renamed_classes_are_predicted_by_their_new_names() {
    classifiers::renamed_classes_are_predicted_by_their_new_names(&cases(&CATALOGUE, VARIANTS));
}

#[test]
fn what_cannot_be_learned_from_is_refused() {
    classifiers::what_cannot_be_learned_from_is_refused(&cases(&CATALOGUE, VARIANTS));
}

#[test]
fn awkward_rows_are_handled_or_refused() {
    classifiers::awkward_rows_are_handled_or_refused(&cases(&CATALOGUE, VARIANTS));
}

#[test]
fn classes_without_rows_are_scored_and_not_predicted() {
    classifiers::classes_without_rows_are_scored_and_not_predicted(&cases(&CATALOGUE, VARIANTS));
}

/// The weights of the very last step meet no rows any more, so no loss tells that they are not finite.
#[test]
fn divergence_in_the_last_step_is_told() {
    let (x, y) = classifiers::clouds(20, 6, 3);
    for settings in ["epochs = 1\nbatch = 20\nlearning_rate = 1e300", "epochs = 1\nlearning_rate = 1e300\nl2 = 0.0"] {
        let mlp = (CATALOGUE[0].parse)(&settings.parse().unwrap()).unwrap();
        let error = mlp.fit(&x, &y, Seed(0), &mut |_| ControlFlow::Continue(())).err();
        assert!(matches!(error, Some(FitError::NonFinite { epoch: 1, step: 1, .. })), "{settings}: {error:?}");
    }
}
