//! Parquet of other programs as the text of a CSV file, so that one reader recognises both.

use super::schema::failed;
use crate::StorageError;
use crate::port::series::DAY_NS;
use apex_domain::number::format_mantissa;
use parquet::basic::{LogicalType, TimeUnit};
use parquet::data_type::Decimal;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Columns that may tell the time of a row, the first of them first.
const TIMES: [&str; 9] = [
    "ts_event",
    "ts_open",
    "ts_utc",
    "ts",
    "timestamp",
    "datetime",
    "time",
    "date",
    "ts_init",
];

/// Text that is made at a time, some rows more or less.
const TEXT_BYTES: usize = 64 * 1024;

/// The rows of a file as CSV with a header, made as they are read: a page of each column is in memory.
/// The typed time of a row comes as `ts_ns`; lists and groups are left out. Row `n` is line `n + 1`.
pub struct ParquetText {
    name: String,
    rows: RowIter<'static>,
    columns: Vec<Column>,
    text: Vec<u8>,
    given: usize,
}

impl std::fmt::Debug for ParquetText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ParquetText({:?})", self.name)
    }
}

impl ParquetText {
    /// Opens a file.
    ///
    /// # Errors
    /// `Io` when it cannot be opened; `Parquet` when it is none. While reading also when it is
    /// compressed otherwise than with Snappy.
    pub fn open(path: &Path) -> Result<ParquetText, StorageError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| StorageError::io("open", path, error))?;
        let reader = SerializedFileReader::new(file).map_err(|error| failed(&name, error))?;
        let columns = columns(&reader);
        let header: Vec<&str> = columns.iter().map(|column| column.title.as_str()).collect();
        let mut text = header.join(",").into_bytes();
        text.push(b'\n');
        let rows = reader.into_iter();
        Ok(ParquetText {
            name,
            rows,
            columns,
            text,
            given: 0,
        })
    }

    /// Makes the text of the next rows; none at the end.
    fn fill(&mut self) -> Result<(), StorageError> {
        self.text.clear();
        self.given = 0;
        while self.text.len() < TEXT_BYTES {
            let Some(row) = self.rows.next() else {
                break;
            };
            let row = row.map_err(|error| failed(&self.name, advised(error)))?;
            let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
            for (at, column) in self.columns.iter().enumerate() {
                if at > 0 {
                    self.text.push(b',');
                }
                if let Some(field) = fields.get(column.at) {
                    write_field(&mut self.text, field, column.time);
                }
            }
            self.text.push(b'\n');
        }
        Ok(())
    }
}

impl Read for ParquetText {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.given == self.text.len() {
            self.fill().map_err(io::Error::other)?;
        }
        let count = (&self.text[self.given..]).read(to)?;
        self.given += count;
        Ok(count)
    }
}

/// A codec that is not in this build is the one thing that a person can mend.
fn advised(error: parquet::errors::ParquetError) -> parquet::errors::ParquetError {
    let text = error.to_string();
    if text.contains("feature") {
        let advice = format!("{text}; write it with Snappy, or uncompressed");
        return parquet::errors::ParquetError::General(advice);
    }
    error
}

struct Column {
    at: usize,
    title: String,
    /// Nanoseconds of its unit, where it is the time of the row and typed so.
    time: Option<i64>,
}

fn columns(reader: &SerializedFileReader<File>) -> Vec<Column> {
    let schema = reader.metadata().file_metadata().schema();
    let fields = schema.get_fields().iter().enumerate();
    let mut columns: Vec<Column> = fields
        .filter(|(_, field)| field.is_primitive())
        .map(|(at, field)| Column {
            at,
            title: field.name().to_ascii_lowercase(),
            time: match field.get_basic_info().logical_type_ref() {
                Some(LogicalType::Timestamp(kind)) => Some(match kind.unit {
                    TimeUnit::MILLIS => 1_000_000,
                    TimeUnit::MICROS => 1_000,
                    TimeUnit::NANOS => 1,
                }),
                Some(LogicalType::Date) => Some(DAY_NS),
                _ => None,
            },
        })
        .collect();
    let typed = TIMES.iter().find_map(|name| {
        let is_it = |column: &Column| column.title == *name && column.time.is_some();
        columns.iter().position(is_it)
    });
    if let Some(at) = typed {
        columns[at].title = "ts_ns".to_owned();
    }
    columns
}

fn write_field(text: &mut Vec<u8>, field: &Field, unit: Option<i64>) {
    // Writing to memory cannot fail.
    let mut put = |arguments: std::fmt::Arguments<'_>| {
        let _ = text.write_fmt(arguments);
    };
    let ns = |count: i64| i128::from(count) * i128::from(unit.unwrap_or(1));
    match field {
        Field::Bool(value) => put(format_args!("{}", u8::from(*value))),
        Field::Byte(value) => put(format_args!("{value}")),
        Field::Short(value) => put(format_args!("{value}")),
        Field::Int(value) => put(format_args!("{value}")),
        Field::Long(value) => put(format_args!("{}", ns(*value))),
        Field::UByte(value) => put(format_args!("{value}")),
        Field::UShort(value) => put(format_args!("{value}")),
        Field::UInt(value) => put(format_args!("{value}")),
        Field::ULong(value) => put(format_args!("{value}")),
        // The shortest text that is this number, never with an exponent.
        Field::Float(value) => put(format_args!("{value}")),
        Field::Double(value) => put(format_args!("{value}")),
        Field::Decimal(value) => put(format_args!("{}", decimal_text(value))),
        // What would break a line apart makes a bad row and not another one.
        Field::Str(value) => put(format_args!("{}", value.replace(['\n', '\r', ','], "?"))),
        Field::Date(value) => put(format_args!("{}", ns(i64::from(*value)))),
        Field::TimestampMillis(value) | Field::TimestampMicros(value) => {
            put(format_args!("{}", ns(*value)));
        }
        _ => {}
    }
}

fn decimal_text(value: &Decimal) -> String {
    let bytes = value.data();
    let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        -1
    } else {
        0
    };
    if bytes.len() > 16 {
        return "?".to_owned();
    }
    let mantissa = bytes
        .iter()
        .fold(sign, |sum: i128, byte| (sum << 8) | i128::from(*byte));
    format_mantissa(mantissa, u8::try_from(value.scale()).unwrap_or(0))
}
