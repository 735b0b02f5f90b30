//! Rows of PostgreSQL's binary COPY format, out of bytes however they are cut.

use crate::StorageError;
use crate::error::{Damage, Position};
use crate::postgres::series::HEADER;

/// What has come, from the next row on.
#[derive(Default)]
pub(super) struct Tuples {
    bytes: Vec<u8>,
    at: usize,
    begun: bool,
    ended: bool,
}

impl Tuples {
    /// Reads rows without the header in front of them.
    fn behind_header() -> Tuples {
        Tuples {
            begun: true,
            ..Tuples::default()
        }
    }

    /// Takes what comes next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next row, `None` before all of it has come and behind the last.
    ///
    /// Errors: `Damaged` when it is no such format.
    pub fn next(&mut self) -> Result<Option<Tuple<'_>>, StorageError> {
        if !self.begun {
            let Some(header) = self.bytes.get(..HEADER.len()) else {
                return Ok(None);
            };
            if header != HEADER {
                return Err(malformed("header of a copy"));
            }
            (self.begun, self.at) = (true, HEADER.len());
        }
        let rest = &self.bytes[self.at..];
        let Some((count, mut fields)) = rest.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let count = i16::from_be_bytes(*count);
        if count < 0 {
            self.ended = true;
            return Ok(None);
        }
        for _ in 0..count {
            let Some((length, behind)) = fields.split_first_chunk::<4>() else {
                return Ok(None);
            };
            // None is a field without a value.
            let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            let Some(behind) = behind.get(length..) else {
                return Ok(None);
            };
            fields = behind;
        }
        let bytes = rest.len() - fields.len();
        let begin = self.at;
        self.at += bytes;
        Ok(Some(Tuple(&self.bytes[begin..begin + bytes])))
    }

    /// Returns whether the end has come.
    pub fn ended(&self) -> bool {
        self.ended
    }
}

/// A row: the number of its fields, and each with its length in front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuple<'a>(pub &'a [u8]);

impl<'a> Tuple<'a> {
    /// Returns the bytes of a field.
    ///
    /// Errors: `Damaged` when it has no value.
    pub fn field(&self, index: usize) -> Result<&'a [u8], StorageError> {
        let mut rest = self.0.get(2..).unwrap_or_default();
        for at in 0..=index {
            let Some((length, behind)) = rest.split_first_chunk::<4>() else {
                break;
            };
            let length = i32::from_be_bytes(*length);
            let value = usize::try_from(length).ok();
            let Some((field, behind)) = behind.split_at_checked(value.unwrap_or(0)) else {
                break;
            };
            match value {
                Some(_) if at == index => return Ok(field),
                None if at == index => break,
                _ => rest = behind,
            }
        }
        Err(malformed("field of a row"))
    }

    /// Returns an int8.
    ///
    /// Errors: `Damaged` when it is none.
    pub fn int8(&self, index: usize) -> Result<i64, StorageError> {
        let bytes = self.field(index)?.try_into();
        bytes
            .map(i64::from_be_bytes)
            .map_err(|_| malformed("number in a row"))
    }

    /// Returns an int4.
    ///
    /// Errors: `Damaged` when it is none.
    pub fn int4(&self, index: usize) -> Result<i32, StorageError> {
        let bytes = self.field(index)?.try_into();
        bytes
            .map(i32::from_be_bytes)
            .map_err(|_| malformed("number in a row"))
    }

    /// Returns a text.
    ///
    /// Errors: `Damaged` when it is none.
    pub fn text(&self, index: usize) -> Result<&'a str, StorageError> {
        std::str::from_utf8(self.field(index)?).map_err(|_| malformed("text in a row"))
    }
}

/// Shows rows as they stand in a backup: without header and end.
///
/// # Errors
/// `Damaged` where they are no rows; those of `each`.
pub(crate) fn each_row(
    bytes: &[u8],
    each: &mut dyn FnMut(Tuple<'_>) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut tuples = Tuples::behind_header();
    tuples.push(bytes);
    while let Some(tuple) = tuples.next()? {
        each(tuple)?;
    }
    Ok(())
}

fn malformed(what: &'static str) -> StorageError {
    StorageError::Damaged {
        position: Position {
            segment: "answer of PostgreSQL".to_owned(),
            offset: 0,
            sequence: 0,
        },
        reason: Damage::Malformed(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::series::TRAILER;

    fn row(fields: &[Option<&[u8]>]) -> Vec<u8> {
        let mut bytes = (fields.len() as i16).to_be_bytes().to_vec();
        for field in fields {
            let length = field.map_or(-1, |field| field.len() as i32);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(field.unwrap_or_default());
        }
        bytes
    }

    #[test]
    fn rows_come_out_whole_wherever_the_bytes_are_cut() {
        let number = 7_i64.to_be_bytes();
        let rows = [
            row(&[Some(b"paper"), None, Some(&number)]),
            row(&[]),
            row(&[Some(b"")]),
        ];
        let mut all = HEADER.to_vec();
        all.extend(rows.concat());
        all.extend(TRAILER);
        for cut in 1..=all.len() {
            let (mut tuples, mut found) = (Tuples::default(), Vec::new());
            for piece in all.chunks(cut) {
                tuples.push(piece);
                while let Some(tuple) = tuples.next().unwrap() {
                    found.push(tuple.0.to_vec());
                }
            }
            assert!(tuples.ended());
            assert_eq!(found, rows, "cut every {cut} bytes");
        }
        let first = Tuple(&rows[0]);
        assert_eq!(first.text(0).unwrap(), "paper");
        assert_eq!(first.int8(2).unwrap(), 7);
        assert!(first.field(1).is_err() && first.field(3).is_err() && first.int8(0).is_err());
        let mut other = Tuples::default();
        other.push(b"something that is no copy at all");
        assert!(other.next().is_err());
    }
}
