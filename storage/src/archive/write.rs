//! Writing rows as one Parquet file.

use super::ROW_GROUP_ROWS;
use super::rows::{ArchiveRow, Values};
use super::schema::{Column, Form, Head, failed};
use crate::StorageError;
use parquet::basic::{Compression, Encoding};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{
    ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::ColumnPath;
use std::io::Write;
use std::marker::PhantomData;
use std::sync::Arc;

/// Writes a file, a row group at a time. Without [`ParquetWriter::finish`] it is no file yet.
pub struct ParquetWriter<R, W: Write + Send> {
    name: String,
    file: SerializedFileWriter<W>,
    instrument_id: ByteArray,
    columns: Vec<Values>,
    /// In `columns`.
    pending: usize,
    rows: u64,
    of: PhantomData<R>,
}

impl<R, W: Write + Send> std::fmt::Debug for ParquetWriter<R, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ParquetWriter({:?}, {} rows)", self.name, self.rows)
    }
}

impl<R: ArchiveRow, W: Write + Send> ParquetWriter<R, W> {
    /// Begins a file, whose name is only for errors.
    ///
    /// # Errors
    /// `Parquet` when `to` takes no bytes.
    ///
    /// # Panics
    /// When `head` is of another kind than the rows.
    pub fn new(name: &str, to: W, head: &Head) -> Result<ParquetWriter<R, W>, StorageError> {
        assert!(R::is_of(head.content), "rows of {}", head.content);
        let schema = head.schema(R::COLUMNS)?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            // A reader of whole columns has no use for an index of pages.
            .set_offset_index_disabled(true)
            .set_created_by("apextrade".to_owned())
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_key_value_metadata(Some(head.metadata()));
        // Times and numbers of trades rise by little: their differences are a few bits.
        for column in R::COLUMNS {
            if matches!(column.form, Form::Time) || column.name == "trade_id" {
                let path = ColumnPath::from(column.name);
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
            }
        }
        let file = SerializedFileWriter::new(to, schema, Arc::new(properties.build()));
        Ok(ParquetWriter {
            file: file.map_err(|error| failed(name, error))?,
            name: name.to_owned(),
            instrument_id: ByteArray::from(head.instrument_id.as_str()),
            columns: vec![Values::default(); R::COLUMNS.len()],
            pending: 0,
            rows: 0,
            of: PhantomData,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// `Row` for a mantissa of more digits than a column has; the file goes on without it.
    /// `Parquet` when bytes could not be written.
    pub fn push(&mut self, row: &R) -> Result<(), StorageError> {
        if !row.fits() {
            return Err(StorageError::Row {
                ts_ns: row.ts().0,
                detail: "has a number of more than 18 digits (volumes: 38)",
            });
        }
        row.put(&mut self.columns);
        self.pending += 1;
        self.rows += 1;
        if self.pending == ROW_GROUP_ROWS {
            self.write_group()
                .map_err(|error| failed(&self.name, error))?;
        }
        Ok(())
    }

    /// Ends the file, and returns where it was written to and how many rows it has.
    ///
    /// # Errors
    /// `Parquet` when bytes could not be written.
    pub fn finish(mut self) -> Result<(W, u64), StorageError> {
        if self.pending > 0 {
            self.write_group()
                .map_err(|error| failed(&self.name, error))?;
        }
        // Writes the footer.
        let to = self.file.into_inner();
        Ok((to.map_err(|error| failed(&self.name, error))?, self.rows))
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        let missing = || ParquetError::General("the schema has fewer columns".to_owned());
        let mut ids = group.next_column()?.ok_or_else(missing)?;
        let same = vec![self.instrument_id.clone(); self.pending];
        ids.typed::<ByteArrayType>()
            .write_batch(&same, None, None)?;
        ids.close()?;
        for (column, values) in R::COLUMNS.iter().zip(&mut self.columns) {
            let mut to = group.next_column()?.ok_or_else(missing)?;
            write_column(&mut to, column, values)?;
            to.close()?;
            values.clear();
        }
        group.close()?;
        self.pending = 0;
        Ok(())
    }
}

fn write_column(
    to: &mut SerializedColumnWriter<'_>,
    column: &Column,
    values: &Values,
) -> Result<(), ParquetError> {
    let levels: Option<Vec<i16>> = column.is_optional.then(|| {
        values
            .present
            .iter()
            .map(|there| i16::from(*there))
            .collect()
    });
    let levels = levels.as_deref();
    // Only values that are there are written.
    let ints: Vec<i64> = match column.is_optional {
        true => {
            let both = values.ints.iter().zip(&values.present);
            both.filter(|(_, there)| **there)
                .map(|(int, _)| *int)
                .collect()
        }
        false => Vec::new(),
    };
    let ints = if column.is_optional {
        &ints
    } else {
        &values.ints
    };
    match column.form {
        Form::Side => {
            let words: Vec<ByteArray> = ints
                .iter()
                .map(|code| ByteArray::from(if *code == 1 { "buy" } else { "sell" }))
                .collect();
            to.typed::<ByteArrayType>()
                .write_batch(&words, levels, None)?;
        }
        Form::Volume => {
            let big_endian = |value: &i128| {
                FixedLenByteArray::from(ByteArray::from(value.to_be_bytes().to_vec()))
            };
            let values: Vec<FixedLenByteArray> = values.wide.iter().map(big_endian).collect();
            to.typed::<FixedLenByteArrayType>()
                .write_batch(&values, levels, None)?;
        }
        _ => {
            debug_assert!(matches!(to.untyped(), ColumnWriter::Int64ColumnWriter(_)));
            to.typed::<Int64Type>().write_batch(ints, levels, None)?;
        }
    }
    Ok(())
}
