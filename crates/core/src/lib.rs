//! The words that every crate of bakeoff speaks.
//!
//! The legend is the same everywhere: n images or samples, d features, k classes, h hidden units, c channels.
//! Nothing here computes a feature, trains a model or touches a file; this crate only says what those things are.

pub mod augmentation;
pub mod catalogue;
pub mod classifier;
pub mod concatenated;
pub mod dataset;
pub mod extractor;
pub mod images;
pub mod labels;
pub mod linfa_door;
pub mod operation;
pub mod parallel;
pub mod params;
pub mod rows;
pub mod seed;
pub mod tensors;

pub use augmentation::Augmentation;
pub use catalogue::{Entry, ParamError, Recipe};
pub use classifier::{Classifier, Epoch, FitError, Fitted, Model, OnEpoch, ScoreKind, argmax_rows};
pub use concatenated::Concatenated;
pub use dataset::{Card, Dataset, FileRecord, Labelled, LoadError, Names, Provenance, RemoteFile, Splits};
pub use extractor::{Encoder, ExtractError, Extractor, encode};
pub use images::{Images, ImagesView, ShapeError};
pub use labels::{LabelError, Labels};
pub use operation::Operation;
pub use rows::Rows;
pub use seed::Seed;
pub use tensors::{RestoreError, Tensor, Tensors, Values};
