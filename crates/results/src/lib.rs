//! What was found out, and what it means: rows, the store, intervals, comparisons, exports. No arrays, no pictures.

mod codec;
pub mod error;
pub mod interval;
mod normal;
pub mod row;
pub mod store;
pub mod test;
pub mod verdict;

pub use error::StoreError;
pub use row::{Cell, Confusion, Dataset, EpochLoss, Host, Measured, Outcome, Row, Run, Seconds, Trial};
pub use store::{Store, sort_by_plan};
