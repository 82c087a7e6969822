//! What was found out, and what it means: rows, the store, intervals, comparisons, exports. No arrays, no pictures.

pub mod row;

pub use row::{Cell, Confusion, Dataset, EpochLoss, Host, Measured, Outcome, Row, Run, Seconds, Trial};
