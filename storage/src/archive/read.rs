//! Reading rows of a Parquet file that this crate wrote, and those of a range of the archive.

use super::key::Content;
use super::objects_file::ObjectFile;
use super::rows::{ArchiveRow, Values};
use super::schema::{Column, Form, Head, failed};
use super::{Archive, ROW_GROUP_ROWS};
use crate::StorageError;
use crate::port::objects::ObjectKey;
use crate::port::series::{Decimals, Rows, TimeRange};
use apex_domain::id::InstrumentId;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use std::fs::File;
use std::marker::PhantomData;
use std::path::Path;

/// Rows decoded at a time. A row group of another writer may be of any size.
const STEP: usize = ROW_GROUP_ROWS / 8;

/// Returns the head of a file on disk; `None` when it is Parquet of another program.
///
/// # Errors
/// `Io` when it cannot be opened, `Parquet` when it is none.
pub fn file_head(path: &Path) -> Result<Option<Head>, StorageError> {
    let name = path.display().to_string();
    let reader = open(&name, open_file(path)?)?;
    Head::of(&name, reader.metadata().file_metadata())
}

fn open_file(path: &Path) -> Result<File, StorageError> {
    File::open(path).map_err(|error| StorageError::io("open", path, error))
}

pub(super) fn open<C: ChunkReader + 'static>(
    name: &str,
    chunks: C,
) -> Result<SerializedFileReader<C>, StorageError> {
    SerializedFileReader::new(chunks).map_err(|error| failed(name, error))
}

/// The rows of one file, in its order.
pub struct ParquetRows<R> {
    name: String,
    file: Box<dyn FileReader + Send>,
    head: Head,
    next_group: usize,
    group: Vec<ColumnReader>,
    left_in_group: usize,
    columns: Vec<Values>,
    /// By column: it is not decoded.
    left_out: Vec<bool>,
    at: usize,
    decoded: usize,
    is_over: bool,
    /// Decimals that columns get beyond those of the file, if any.
    wider: Option<Decimals>,
    of: PhantomData<R>,
}

impl<R> std::fmt::Debug for ParquetRows<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ParquetRows({:?})", self.name)
    }
}

impl<R: ArchiveRow> ParquetRows<R> {
    /// Opens a file on disk.
    ///
    /// # Errors
    /// `Io`; `Parquet` when it is none, or none of these rows.
    pub fn open(path: &Path) -> Result<ParquetRows<R>, StorageError> {
        let name = path.display().to_string();
        let file = open(&name, open_file(path)?)?;
        ParquetRows::new(name, Box::new(file))
    }

    pub(super) fn new(
        name: String,
        file: Box<dyn FileReader + Send>,
    ) -> Result<ParquetRows<R>, StorageError> {
        let wrong = |detail: &str| StorageError::Parquet {
            name: name.clone(),
            detail: detail.to_owned(),
        };
        let metadata = file.metadata().file_metadata();
        let head = Head::of(&name, metadata)?.ok_or_else(|| wrong("it is of another program"))?;
        if !R::is_of(head.content) {
            return Err(wrong("it holds rows of another kind"));
        }
        let schema = head.schema(R::COLUMNS)?;
        if schema.get_fields() != metadata.schema().get_fields() {
            return Err(wrong("its columns are not those of its kind"));
        }
        Ok(ParquetRows {
            name,
            file,
            head,
            next_group: 0,
            group: Vec::new(),
            left_in_group: 0,
            columns: vec![Values::default(); R::COLUMNS.len()],
            left_out: vec![false; R::COLUMNS.len()],
            at: 0,
            decoded: 0,
            is_over: false,
            wider: None,
            of: PhantomData,
        })
    }

    /// Leaves columns out for speed: their values are zero or absent. Other names mean nothing.
    #[must_use]
    pub fn leaving_out(mut self, columns: &[&str]) -> ParquetRows<R> {
        for (column, left_out) in R::COLUMNS.iter().zip(&mut self.left_out) {
            *left_out = columns.contains(&column.name);
        }
        self
    }

    /// Gives [`ParquetRows::next_values`] at decimals that are the file's or more.
    pub(super) fn at_decimals(mut self, decimals: Decimals) -> ParquetRows<R> {
        let have = self.head.decimals;
        self.wider = (have != decimals).then(|| Decimals {
            price: decimals.price.saturating_sub(have.price),
            quantity: decimals.quantity.saturating_sub(have.quantity),
        });
        self
    }

    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Returns the next values of all columns, of one length; `None` at the end.
    pub(super) fn next_values(&mut self) -> Result<Option<&[Values]>, StorageError> {
        if !self.decode().map_err(|error| failed(&self.name, error))? {
            return Ok(None);
        }
        self.at = self.decoded;
        if let Some(by) = self.wider {
            for (column, values) in R::COLUMNS.iter().zip(&mut self.columns) {
                let is_wide = values.widen(column, by);
                is_wide.ok_or_else(|| StorageError::Parquet {
                    name: self.name.clone(),
                    detail: format!(
                        "a {} has more than 18 digits at the decimals of its instrument here",
                        column.name
                    ),
                })?;
            }
        }
        Ok(Some(&self.columns))
    }

    /// Returns how many rows the file says that it has.
    pub fn row_count(&self) -> u64 {
        u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Decodes the next rows; false at the end of the file.
    fn decode(&mut self) -> Result<bool, ParquetError> {
        while self.left_in_group == 0 {
            if self.next_group == self.file.num_row_groups() {
                return Ok(false);
            }
            let group = self.file.get_row_group(self.next_group)?;
            let rows = group.metadata().num_rows();
            self.left_in_group = usize::try_from(rows).unwrap_or(0);
            // Behind the instrument, which the head tells.
            let columns = 1..=R::COLUMNS.len();
            let readers = columns.map(|column| group.get_column_reader(column));
            self.group = readers.collect::<Result<_, _>>()?;
            self.next_group += 1;
        }
        let count = self.left_in_group.min(STEP);
        let columns = self.group.iter_mut().zip(&mut self.columns);
        let kinds = R::COLUMNS.iter().zip(&self.left_out);
        for ((reader, values), (column, left_out)) in columns.zip(kinds) {
            values.clear();
            if *left_out {
                values.leave_out(column, count);
            } else {
                read_column(reader, column, values, count)?;
            }
        }
        self.left_in_group -= count;
        (self.at, self.decoded) = (0, count);
        Ok(true)
    }

    fn step(&mut self) -> Result<Option<R>, StorageError> {
        if self.at == self.decoded && !self.decode().map_err(|e| failed(&self.name, e))? {
            return Ok(None);
        }
        let row = R::take(&self.columns, self.at);
        self.at += 1;
        row.map(Some).ok_or_else(|| StorageError::Parquet {
            name: self.name.clone(),
            detail: "an aggressor is neither buy nor sell".to_owned(),
        })
    }
}

impl<R: ArchiveRow> Iterator for ParquetRows<R> {
    type Item = Result<R, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let item = self.step().transpose();
        self.is_over = !matches!(item, Some(Ok(_)));
        item
    }
}

/// Decodes exactly `count` rows of a column.
fn read_column(
    reader: &mut ColumnReader,
    column: &Column,
    to: &mut Values,
    count: usize,
) -> Result<(), ParquetError> {
    let mut levels = Vec::new();
    match reader {
        ColumnReader::Int64ColumnReader(reader) => {
            if !column.is_optional {
                return exactly(reader, None, &mut to.ints, count);
            }
            let mut there = Vec::new();
            exactly(reader, Some(&mut levels), &mut there, count)?;
            spread(to, &levels, there.into_iter());
        }
        ColumnReader::ByteArrayColumnReader(reader) if column.form == Form::Side => {
            let mut words: Vec<ByteArray> = Vec::new();
            exactly(reader, Some(&mut levels), &mut words, count)?;
            let code = |word: ByteArray| match word.data() {
                b"buy" => 1,
                b"sell" => 2,
                _ => 0,
            };
            spread(to, &levels, words.into_iter().map(code));
        }
        ColumnReader::FixedLenByteArrayColumnReader(reader) if column.form == Form::Volume => {
            let mut wide: Vec<FixedLenByteArray> = Vec::new();
            exactly(reader, None, &mut wide, count)?;
            for value in wide {
                let bytes = <[u8; 16]>::try_from(value.data());
                let bytes = bytes.map_err(|_| ParquetError::General("a volume is cut".into()))?;
                to.wide.push(i128::from_be_bytes(bytes));
            }
        }
        _ => {
            let what = format!("column {} has another type", column.name);
            return Err(ParquetError::General(what));
        }
    }
    Ok(())
}

fn exactly<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    levels: Option<&mut Vec<i16>>,
    to: &mut Vec<T::T>,
    count: usize,
) -> Result<(), ParquetError> {
    let (rows, _, _) = reader.read_records(count, levels, None, to)?;
    if rows == count {
        return Ok(());
    }
    Err(ParquetError::EOF("a column ends early".to_owned()))
}

/// Puts values where their levels say that one is there.
fn spread(to: &mut Values, levels: &[i16], mut values: impl Iterator<Item = i64>) {
    for level in levels {
        let value = (*level > 0).then(|| values.next()).flatten();
        to.present.push(value.is_some());
        to.ints.push(value.unwrap_or(0));
    }
}

impl Archive {
    /// Opens a part.
    pub(super) fn part<R: ArchiveRow>(
        &self,
        key: &ObjectKey,
    ) -> Result<Option<ParquetRows<R>>, StorageError> {
        let Some(file) = self.part_file(key)? else {
            return Ok(None);
        };
        ParquetRows::new(key.to_string(), Box::new(file)).map(Some)
    }

    fn part_file(
        &self,
        key: &ObjectKey,
    ) -> Result<Option<SerializedFileReader<ObjectFile>>, StorageError> {
        let found = self.objects.list(key.as_str(), None, 1)?.pop();
        let Some(info) = found.filter(|info| info.key == *key) else {
            return Ok(None);
        };
        let chunks = ObjectFile::new(self.objects.clone(), key.clone(), info.bytes);
        open(key.as_str(), chunks).map(Some)
    }

    /// Returns the head of a part.
    pub(super) fn part_head(&self, key: &ObjectKey) -> Result<Head, StorageError> {
        let foreign = |detail: &str| StorageError::Parquet {
            name: key.to_string(),
            detail: detail.to_owned(),
        };
        let file = self.part_file(key)?.ok_or_else(|| foreign("it is gone"))?;
        Head::of(key.as_str(), file.metadata().file_metadata())?
            .ok_or_else(|| foreign("it is of another program"))
    }
}

/// The rows of a range, part by part.
pub(super) fn rows<R: ArchiveRow>(
    archive: &Archive,
    content: Content,
    id: &InstrumentId,
    range: TimeRange,
) -> Result<Rows<R>, StorageError> {
    let Some(head) = archive.head(content, id)? else {
        return Ok(Box::new(std::iter::empty()));
    };
    let mut keys = archive.parts(content, id)?;
    keys.retain(|key| content.may_hold(key, range));
    let archive = archive.clone();
    let mut is_over = false;
    let items = keys.into_iter().flat_map(move |key| -> Rows<R> {
        match part_rows(&archive, &key, head.decimals) {
            Ok(rows) => rows,
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    });
    let wanted = move |item: &Result<R, StorageError>| match item {
        Ok(row) => range.contains(row.ts()),
        Err(_) => true,
    };
    Ok(Box::new(items.filter(wanted).take_while(move |item| {
        // The first error is the last item.
        !std::mem::replace(&mut is_over, item.is_err())
    })))
}

/// The rows of a part at decimals that are its own or more.
pub(super) fn part_rows<R: ArchiveRow>(
    archive: &Archive,
    key: &ObjectKey,
    decimals: Decimals,
) -> Result<Rows<R>, StorageError> {
    let Some(part) = archive.part::<R>(key)? else {
        return Ok(Box::new(std::iter::empty()));
    };
    let have = part.head().decimals;
    if have == decimals {
        return Ok(Box::new(part));
    }
    let by = Decimals {
        price: decimals.price.saturating_sub(have.price),
        quantity: decimals.quantity.saturating_sub(have.quantity),
    };
    Ok(Box::new(
        part.map(move |row| row.and_then(|row| widened(row, by))),
    ))
}

pub(super) fn widened<R: ArchiveRow>(row: R, by: Decimals) -> Result<R, StorageError> {
    let wide = row.widened(by).filter(ArchiveRow::fits);
    wide.ok_or(StorageError::Row {
        ts_ns: row.ts().0,
        detail: "has a number of more than 18 digits at the decimals of its instrument here",
    })
}
