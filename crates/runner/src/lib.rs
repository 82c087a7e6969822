//! Experiments, plans, cells, tuning and the clock.
//!
//! The runner knows no algorithm and reads no file: catalogues, data and machine come as arguments, rows go to whoever
//! keeps them. What fits sees training images only, and that is held by types: see [`material`].

pub mod cache;
pub mod catalogues;
pub mod clock;
pub mod error;
pub mod experiment;
pub mod forecast;
pub mod machine;
pub mod material;
pub mod observer;
pub mod plan;
pub mod repeat;
pub mod run;
pub mod settings;
pub mod shard;
pub mod states;
pub mod stored;
pub mod suggest;

mod canonical;
mod cell;
mod fit;
mod rows;
mod split;
mod tuning;

#[cfg(test)]
mod fakes;

pub use cache::FeatureCache;
pub use catalogues::Catalogues;
pub use error::RunnerError;
pub use experiment::{
    DatasetChoice, Draw, Experiment, LONGEST_FILE, Limits, Overrides, Problem, Protocol, Timing, Tuning, Vocabulary,
};
pub use forecast::{Amount, Forecast, forecast};
pub use machine::Machine;
pub use material::Material;
pub use observer::{Alike, Event, Observer, Stage};
pub use plan::{Plan, PlannedCell};
pub use repeat::repeat;
pub use run::{Bench, Ended, Here, Keep, Work, Worked, Workshop, run};
pub use settings::Resources;
pub use shard::Shard;
pub use states::States;
pub use stored::{RestoredPipeline, StoredPipeline};
