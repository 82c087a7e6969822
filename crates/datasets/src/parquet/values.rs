//! The values of a column, batch by batch, nulls included.

use super::guard::Checked;
use crate::problem::malformed;
use ::parquet::column::reader::{get_column_reader, get_typed_column_reader};
use ::parquet::data_type::DataType;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::FileReader;
use bakeoff_core::LoadError;
use std::path::Path;

/// Values that are read at once.
const BATCH: usize = 256;

/// What the library said is wrong.
pub(super) fn not_sound(path: &Path, error: &ParquetError) -> LoadError {
    malformed(path, None, "a sound Parquet file", error.to_string())
}

/// Hands the values of a column over, at most [`BATCH`] at a time, from the first row on. The column's leaf must be of
/// type `T` and in no list.
pub(super) fn for_each_batch<T: DataType>(
    path: &Path,
    file: &dyn FileReader,
    leaf: usize,
    take: &mut dyn FnMut(Vec<Option<T::T>>) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let wrong = |e: ParquetError| not_sound(path, &e);
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group).map_err(wrong)?;
        let column = group.metadata().columns().get(leaf).map(|column| column.column_descr_ptr());
        let column = column.filter(|column| column.physical_type() == T::get_physical_type());
        let column = column.ok_or_else(|| {
            malformed(path, None, "the same columns in every row group", "one that lacks a column or has another type")
        })?;
        let greatest = column.max_def_level();
        let pages = group.get_column_page_reader(leaf).map_err(wrong)?;
        let mut reader = get_typed_column_reader::<T>(get_column_reader(column, Box::new(Checked(pages))));
        loop {
            let (mut levels, mut values) = (Vec::new(), Vec::new());
            let (n, n_values, _) = reader.read_records(BATCH, Some(&mut levels), None, &mut values).map_err(wrong)?;
            if n == 0 {
                break;
            }
            let mut values = values.into_iter().take(n_values);
            let batch: Vec<Option<T::T>> = if greatest == 0 {
                values.map(Some).collect()
            } else {
                // A value is there where every level down to it is.
                levels.iter().map(|&level| if level == greatest { values.next() } else { None }).collect()
            };
            if batch.len() != n {
                return Err(malformed(path, None, format!("{n} rows of a column"), batch.len().to_string()));
            }
            take(batch)?;
        }
    }
    Ok(())
}
