//! The columns of a file, and what its metadata says.

use super::key::Content;
use crate::StorageError;
use crate::port::series::{Decimals, MAX_DECIMALS};
use apex_domain::id::InstrumentId;
use parquet::file::metadata::{FileMetaData, KeyValue};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::TypePtr;
use std::sync::Arc;

/// Layout of a file; another number is another layout.
const FORMAT: &str = "1";

/// The most digits of a decimal in 64 bits.
pub(super) const DIGITS: u8 = 18;

/// The column of the instrument, the first one.
pub(super) const INSTRUMENT_ID: &str = "instrument_id";

/// How the values of a column are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Nanoseconds since 1970, UTC.
    Time,
    Price,
    Quantity,
    /// A quantity that may pass 64 bits.
    Volume,
    /// A whole number that is not negative.
    Count,
    /// `buy` or `sell`.
    Side,
}

/// One column behind the instrument.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub form: Form,
    pub is_optional: bool,
}

impl Column {
    pub(super) const fn new(name: &'static str, form: Form) -> Column {
        let is_optional = false;
        Column {
            name,
            form,
            is_optional,
        }
    }

    pub(super) const fn optional(name: &'static str, form: Form) -> Column {
        let is_optional = true;
        Column {
            name,
            form,
            is_optional,
        }
    }

    fn line(&self, decimals: Decimals) -> String {
        let (price, quantity) = (decimals.price, decimals.quantity);
        let (physical, logical) = match self.form {
            Form::Time => ("int64", "TIMESTAMP(NANOS,true)".to_owned()),
            Form::Price => ("int64", format!("DECIMAL({DIGITS},{price})")),
            Form::Quantity => ("int64", format!("DECIMAL({DIGITS},{quantity})")),
            Form::Volume => (
                "fixed_len_byte_array(16)",
                format!("DECIMAL(38,{quantity})"),
            ),
            Form::Count => ("int64", "INTEGER(64,false)".to_owned()),
            Form::Side => ("binary", "STRING".to_owned()),
        };
        let presence = if self.is_optional {
            "optional"
        } else {
            "required"
        };
        format!("{presence} {physical} {} ({logical});\n", self.name)
    }
}

/// What all rows of a file have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub content: Content,
    pub instrument_id: InstrumentId,
    /// Of all prices and quantities, up to 18 each.
    pub decimals: Decimals,
}

impl Head {
    pub(super) fn schema(&self, columns: &[Column]) -> Result<TypePtr, StorageError> {
        let lines: String = columns
            .iter()
            .map(|column| column.line(self.decimals))
            .collect();
        let name = self.content.name();
        let text =
            format!("message {name} {{ required binary {INSTRUMENT_ID} (STRING);\n{lines} }}");
        let schema = parse_message_type(&text);
        schema
            .map(Arc::new)
            .map_err(|error| failed("a new file", error))
    }

    pub(super) fn metadata(&self) -> Vec<KeyValue> {
        let mut pairs = vec![
            ("format", FORMAT.to_owned()),
            ("kind", self.content.name().to_owned()),
            ("instrument_id", self.instrument_id.to_string()),
            ("price_decimals", self.decimals.price.to_string()),
            ("quantity_decimals", self.decimals.quantity.to_string()),
        ];
        if let Content::Bars { interval_ns } = self.content {
            pairs.push(("interval_ns", interval_ns.to_string()));
        }
        let pair = |(key, value)| KeyValue::new(format!("apextrade.{key}"), value);
        pairs.into_iter().map(pair).collect()
    }

    /// Reads the metadata of a file; `None` for one that was not written here.
    ///
    /// Errors: `Parquet` when it was, but does not say what it has to.
    pub(super) fn of(name: &str, file: &FileMetaData) -> Result<Option<Head>, StorageError> {
        let wrong = |detail: &str| StorageError::Parquet {
            name: name.to_owned(),
            detail: detail.to_owned(),
        };
        let pairs = file.key_value_metadata().map_or(&[][..], Vec::as_slice);
        let get = |key: &str| {
            let pair = pairs
                .iter()
                .find(|pair| pair.key.strip_prefix("apextrade.") == Some(key));
            pair.and_then(|pair| pair.value.as_deref())
        };
        let Some(format) = get("format") else {
            return Ok(None);
        };
        if format != FORMAT {
            return Err(wrong(
                "another build wrote it in a layout that this one does not know",
            ));
        }
        let number = |key: &str| get(key).and_then(|text| text.parse::<i64>().ok());
        let decimals = |key: &str| {
            let found = number(key).and_then(|number| u8::try_from(number).ok());
            found.filter(|decimals| *decimals <= MAX_DECIMALS)
        };
        let content = match get("kind") {
            Some("trades") => Some(Content::Trades),
            Some("quotes") => Some(Content::Quotes),
            Some("bars") => number("interval_ns")
                .filter(|interval_ns| *interval_ns > 0)
                .map(|interval_ns| Content::Bars { interval_ns }),
            _ => None,
        };
        let id = get("instrument_id").and_then(|text| InstrumentId::new(text).ok());
        let both = decimals("price_decimals").zip(decimals("quantity_decimals"));
        match (content, id, both) {
            (Some(content), Some(instrument_id), Some((price, quantity))) => Ok(Some(Head {
                content,
                instrument_id,
                decimals: Decimals { price, quantity },
            })),
            _ => Err(wrong("its metadata lacks kind, instrument or decimals")),
        }
    }
}

impl Decimals {
    pub(super) fn widest(self, other: Decimals) -> Decimals {
        Decimals {
            price: self.price.max(other.price),
            quantity: self.quantity.max(other.quantity),
        }
    }
}

/// The error of the library about a file.
pub(super) fn failed(name: &str, error: parquet::errors::ParquetError) -> StorageError {
    StorageError::Parquet {
        name: name.to_owned(),
        detail: error.to_string(),
    }
}
