//! Readers and fetchers of image datasets: bytes of this world in, [`bakeoff_core::Splits`] out.
//!
//! [`open`] turns what a user says into a [`bakeoff_core::Dataset`]; loading that reads files. Every reader works on
//! bytes or streams, so that it can be fuzzed, and tells what is wrong with file, place, expectation and finding. Sizes
//! in headers are compared with the file before memory is taken. Nothing is written but by [`store::fetch`] and
//! [`preview::save`], each to a temporary name first.

pub mod audit;
pub mod catalogue;
pub mod cifar;
pub mod decode;
pub mod digest;
pub mod folder;
pub mod idx;
pub mod npz;
pub mod parquet;
pub mod preview;
pub mod shapes;
pub mod source;
pub mod store;

mod files;
mod gzip;
mod parts;
mod problem;

pub use catalogue::{CATALOGUE, Named, named};
pub use digest::content_hash;
pub use folder::{FileSizes, Fit, FolderOptions, file_sizes, image_files, read_fitted};
pub use npz::NpzOptions;
pub use parquet::ParquetOptions;
pub use source::{Source, check_table, default_root, open};
