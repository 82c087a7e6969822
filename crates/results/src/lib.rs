//! What was found out, and what it means: rows, the store, intervals, comparisons, exports. No arrays, no pictures.

pub mod across;
pub mod answers;
pub mod between;
mod codec;
pub mod compare;
pub mod cost;
pub mod crossing;
pub mod detail;
pub mod error;
pub mod expected;
pub mod export;
pub mod frontier;
mod groups;
pub mod interval;
pub mod latency;
mod normal;
mod order_statistics;
mod random;
pub mod rank;
pub mod regression;
pub mod resampled;
pub mod row;
pub mod similarity;
pub mod store;
mod student;
pub mod summary;
pub mod test;
mod timing;
pub mod unpaired;
pub mod verdict;
pub mod words;

pub use across::{Across, AcrossError, across};
pub use answers::{Answers, PipelineAnswers, answers};
pub use compare::{Comparison, TestKind, compare};
pub use cost::{CostRatio, Spending, spendings};
pub use crossing::{Crossing, CrossingInterval, CrossingKind};
pub use detail::{ClassAccuracy, Detail, Tuning, details};
pub use error::StoreError;
pub use expected::ExpectedBest;
pub use frontier::frontier;
pub use interval::{Interval, IntervalKind, wilson};
pub use latency::{Latency, latencies};
pub use resampled::{Relation, compare_splits, relation};
pub use row::{
    Audit, Cell, Confusion, Dataset, DuplicatePair, Duplicates, EpochLoss, Host, ImagePlace, Measured, Noise, Outcome,
    Repeat, Row, Run, Seconds, Trial,
};
pub use similarity::by_similarity;
pub use store::{Store, sort_by_plan};
pub use summary::{PartSeconds, PipelineSummary, SizePoint, Standing, Summary, summarise};
pub use timing::{TimeInterval, median};
pub use unpaired::unpaired;
pub use verdict::{Settling, Verdict};
pub use words::{main_pair, still_open, verdict_line};
