//! What was found out, and what it means: rows, the store, intervals, comparisons, exports. No arrays, no pictures.

pub mod answers;
mod codec;
pub mod compare;
pub mod detail;
pub mod error;
pub mod export;
pub mod frontier;
mod groups;
pub mod interval;
mod normal;
pub mod row;
pub mod similarity;
pub mod store;
pub mod summary;
pub mod test;
pub mod verdict;
pub mod words;

pub use answers::{Answers, PipelineAnswers, answers};
pub use compare::{Comparison, TestKind, compare};
pub use detail::{ClassAccuracy, Detail, Tuning, details};
pub use error::StoreError;
pub use frontier::frontier;
pub use interval::{Interval, IntervalKind};
pub use row::{
    Audit, Cell, Confusion, Dataset, DuplicatePair, Duplicates, EpochLoss, Host, ImagePlace, Measured, Noise, Outcome,
    Row, Run, Seconds, Trial,
};
pub use similarity::by_similarity;
pub use store::{Store, sort_by_plan};
pub use summary::{PartSeconds, PipelineSummary, SizePoint, Standing, Summary, summarise};
pub use verdict::{Settling, Verdict};
pub use words::verdict_line;
