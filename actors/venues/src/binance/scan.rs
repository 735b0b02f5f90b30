//! A cursor over the text of one JSON message. It copies nothing and allocates nothing.
//!
//! Written by hand, since a generic parser builds values that are thrown away again: the bench
//! `replay` compares it with one in the same run.

use super::error::{WireError, WireErrorKind as Kind};
use crate::decimal::WireDecimal;
use apex_domain::number::NumberError;

/// How deep values may be nested. The venue's messages use four levels; the bound keeps foreign
/// bytes from exhausting the stack.
const MAX_DEPTH: u8 = 16;

#[derive(Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Scan<T> = Result<T, WireError>;

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// Returns the next byte without taking it; 0, which JSON never holds, at the end.
    #[inline]
    pub fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub fn skip_blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Returns the first byte of the next value without taking it.
    #[inline]
    pub fn peek_value(&mut self) -> u8 {
        self.skip_blanks();
        self.peek()
    }

    #[cold]
    fn wrong<T>(&self, expected: &'static str) -> Scan<T> {
        Err(if self.at >= self.bytes.len() {
            Kind::Unfinished.at(self.bytes.len())
        } else {
            Kind::Expected(expected).at(self.at)
        })
    }

    #[inline]
    pub fn expect(&mut self, byte: u8, name: &'static str) -> Scan<()> {
        self.skip_blanks();
        if self.peek() == byte {
            self.at += 1;
            Ok(())
        } else {
            self.wrong(name)
        }
    }

    /// Takes `byte` when it is next, and tells whether it did.
    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    /// Errors: `Trailing` when anything but blanks is left.
    pub fn end(&mut self) -> Scan<()> {
        self.skip_blanks();
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(Kind::Trailing.at(self.at))
        }
    }

    /// Walks to the next member of an object whose `{` or whose last value was taken. Returns its
    /// key with the colon taken, or `None` with the `}` taken.
    #[inline]
    pub fn key(&mut self, first: bool) -> Scan<Option<&'a [u8]>> {
        if self.take(b'}') {
            return Ok(None);
        }
        if !first {
            self.expect(b',', "',' or '}'")?;
        }
        let key = self.string()?;
        self.expect(b':', "':'")?;
        Ok(Some(key))
    }

    /// Takes a string and returns what stands between its quotation marks, escapes included.
    #[inline]
    pub fn string(&mut self) -> Scan<&'a [u8]> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        loop {
            match self.peek() {
                b'"' => {
                    let text = &self.bytes[start..self.at];
                    self.at += 1;
                    return Ok(text);
                }
                // The escaped byte is passed over whatever it is; what a frame means never
                // depends on an escape.
                b'\\' => {
                    self.at += 1;
                    if self.peek() < 0x20 {
                        return self.wrong("an escape");
                    }
                    self.at += 1;
                }
                byte if byte < 0x20 => return self.wrong("no control character in a string"),
                _ => self.at += 1,
            }
        }
    }

    /// Takes a decimal written as a string.
    ///
    /// Errors: `Number`, naming the field.
    #[inline]
    pub fn decimal(&mut self, field: &'static str) -> Scan<WireDecimal> {
        self.expect(b'"', "a decimal as a string")?;
        let start = self.at;
        let mut mantissa: i64 = 0;
        let mut point = usize::MAX;
        loop {
            let byte = self.peek();
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(i64::from(digit));
            } else if byte == b'.' && point == usize::MAX {
                point = self.at;
            } else {
                break;
            }
            self.at += 1;
        }
        let length = self.at - start;
        // One digit at least on each side of the point, and few enough to be exact; anything else
        // takes the careful way, which also finds the right error.
        let plain = if point == usize::MAX {
            (1..=18).contains(&length)
        } else {
            point > start && point + 1 < self.at && length <= 19
        };
        if plain && self.peek() == b'"' {
            let decimals = if point == usize::MAX {
                0
            } else {
                self.at - point - 1
            };
            self.at += 1;
            let decimals = decimals as u8;
            return Ok(WireDecimal { mantissa, decimals });
        }
        self.at = start - 1;
        let text = self.string()?;
        WireDecimal::parse(text).map_err(|reason| Kind::Number { field, reason }.at(start))
    }

    /// Takes a whole number that is not negative.
    ///
    /// Errors: `Number`, naming the field.
    #[inline]
    pub fn unsigned(&mut self, field: &'static str) -> Scan<u64> {
        self.skip_blanks();
        let start = self.at;
        let mut value: u64 = 0;
        let mut fits = true;
        while self.peek().is_ascii_digit() {
            let digit = u64::from(self.peek() - b'0');
            match value.checked_mul(10).and_then(|v| v.checked_add(digit)) {
                Some(next) => value = next,
                None => fits = false,
            }
            self.at += 1;
        }
        let reason = match self.peek() {
            b'-' if self.at == start => NumberError::Negative,
            _ if self.at == start => return self.wrong("a whole number"),
            b'.' | b'e' | b'E' => NumberError::Syntax,
            _ if !fits => NumberError::OutOfRange,
            _ if self.at - start > 1 && self.bytes[start] == b'0' => NumberError::Syntax,
            _ => return Ok(value),
        };
        Err(Kind::Number { field, reason }.at(start))
    }

    pub fn boolean(&mut self) -> Scan<bool> {
        match self.peek_value() {
            b't' => self.literal(b"true").map(|()| true),
            b'f' => self.literal(b"false").map(|()| false),
            _ => self.wrong("true or false"),
        }
    }

    fn literal(&mut self, word: &'static [u8]) -> Scan<()> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        // Say where it goes wrong, and tell a cut message from a garbled one.
        self.at += rest.iter().zip(word).take_while(|(a, b)| a == b).count();
        self.wrong("true, false or null")
    }

    /// Takes any value and returns its text.
    pub fn skip_value(&mut self) -> Scan<&'a [u8]> {
        self.skip_blanks();
        let start = self.at;
        self.skip_nested(0)?;
        Ok(&self.bytes[start..self.at])
    }

    fn skip_nested(&mut self, depth: u8) -> Scan<()> {
        if depth > MAX_DEPTH {
            return Err(Kind::TooDeep.at(self.at));
        }
        match self.peek_value() {
            b'{' => {
                self.at += 1;
                let mut first = true;
                while self.key(first)?.is_some() {
                    self.skip_nested(depth + 1)?;
                    first = false;
                }
                Ok(())
            }
            b'[' => {
                self.at += 1;
                if self.take(b']') {
                    return Ok(());
                }
                loop {
                    self.skip_nested(depth + 1)?;
                    if self.take(b']') {
                        return Ok(());
                    }
                    self.expect(b',', "',' or ']'")?;
                }
            }
            b'"' => self.string().map(drop),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            b'-' | b'0'..=b'9' => self.skip_number(),
            _ => self.wrong("a value"),
        }
    }

    fn skip_number(&mut self) -> Scan<()> {
        self.at += usize::from(self.peek() == b'-');
        self.skip_digits()?;
        if self.peek() == b'.' {
            self.at += 1;
            self.skip_digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), b'+' | b'-'));
            self.skip_digits()?;
        }
        Ok(())
    }

    fn skip_digits(&mut self) -> Scan<()> {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start {
            self.wrong("a digit")
        } else {
            Ok(())
        }
    }
}
