//! Exact numbers: decimal text, and prices and quantities as integers.
//!
//! On the hot path a price or quantity is an integer mantissa at the instrument's stated number
//! of decimals. Text and `Decimal` exist at the edges and in money. A float never appears.

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use rust_decimal::Decimal;

/// The largest number of decimals that an instrument may state. With it the product of a price
/// and a quantity always has a scale that `Decimal` can hold.
pub const MAX_DECIMALS: u8 = 14;

/// Why a number could not be taken. The caller fixes the number; trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NumberError {
    #[error("not a decimal: expected digits with at most one '.', for example 12.50")]
    Syntax,
    #[error("has more than 20 digits before or 18 digits behind the decimal point")]
    TooManyDigits,
    #[error("has more than {decimals} decimals")]
    TooPrecise { decimals: u8 },
    #[error("is out of range")]
    OutOfRange,
    #[error("must not be negative")]
    Negative,
}

/// A price, as a count of 10^-`price_decimals` of its instrument. May be negative (spreads,
/// power), may be zero. Plain integer order is price order within one instrument.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Price(pub i64);

/// A quantity, as a count of 10^-`quantity_decimals` of its instrument. Never negative: a side
/// tells the direction.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Quantity(pub i64);

impl Quantity {
    pub const ZERO: Quantity = Quantity(0);

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Returns the sum, or `OutOfRange`.
    pub fn checked_add(self, other: Quantity) -> Result<Quantity, NumberError> {
        self.0
            .checked_add(other.0)
            .map(Quantity)
            .ok_or(NumberError::OutOfRange)
    }

    /// Returns the sum, at most the largest quantity that can be held.
    #[must_use]
    pub fn saturating_add(self, other: Quantity) -> Quantity {
        Quantity(self.0.saturating_add(other.0))
    }

    /// Returns the difference, zero when `other` is the larger one.
    #[must_use]
    pub fn saturating_sub(self, other: Quantity) -> Quantity {
        Quantity(self.0.saturating_sub(other.0).max(0))
    }
}

/// Decimal text taken apart: `mantissa * 10^-decimals`. Trailing zeros are kept, so the text can
/// be told from its canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecimalText {
    pub mantissa: i128,
    pub decimals: u8,
}

impl DecimalText {
    /// Parses `-?[0-9]{1,20}(\.[0-9]{1,18})?`: no exponent, plus sign, space or separator.
    ///
    /// Errors: `Syntax` for anything else (`NaN`, `1e5`, `+1`, `.5`, `1.`), `TooManyDigits`.
    pub fn parse(text: &[u8]) -> Result<DecimalText, NumberError> {
        let (negative, digits) = match text.first() {
            Some(b'-') => (true, &text[1..]),
            _ => (false, text),
        };
        let mut mantissa: i128 = 0;
        let (mut whole, mut decimals, mut seen_point) = (0_usize, 0_usize, false);
        for &byte in digits {
            match byte {
                b'0'..=b'9' => {
                    if seen_point {
                        decimals += 1;
                    } else {
                        whole += 1;
                    }
                    if whole > 20 || decimals > 18 {
                        // Tell a long number from a long text that is no number at all.
                        let is_number = digits.iter().all(|b| b.is_ascii_digit() || *b == b'.');
                        return Err(if is_number {
                            NumberError::TooManyDigits
                        } else {
                            NumberError::Syntax
                        });
                    }
                    // 38 digits at most, and i128 holds 38 nines.
                    mantissa = mantissa * 10 + i128::from(byte - b'0');
                }
                b'.' if !seen_point && whole > 0 => seen_point = true,
                _ => return Err(NumberError::Syntax),
            }
        }
        if whole == 0 || (seen_point && decimals == 0) {
            return Err(NumberError::Syntax);
        }
        let mantissa = if negative { -mantissa } else { mantissa };
        Ok(DecimalText {
            mantissa,
            decimals: decimals as u8,
        })
    }

    /// Returns the same value without trailing zeros behind the point.
    #[must_use]
    pub fn normalized(self) -> DecimalText {
        let mut out = self;
        while out.decimals > 0 && out.mantissa % 10 == 0 {
            out.mantissa /= 10;
            out.decimals -= 1;
        }
        out
    }

    /// Returns the mantissa at exactly `decimals` decimals.
    ///
    /// Errors: `TooPrecise` when digits other than zero would be cut, `OutOfRange` when the
    /// result does not fit an `i64`.
    pub fn at(self, decimals: u8) -> Result<i64, NumberError> {
        let mantissa = if decimals >= self.decimals {
            let factor = pow10(decimals - self.decimals).ok_or(NumberError::OutOfRange)?;
            self.mantissa
                .checked_mul(factor)
                .ok_or(NumberError::OutOfRange)?
        } else {
            let factor = pow10(self.decimals - decimals).ok_or(NumberError::OutOfRange)?;
            if self.mantissa % factor != 0 {
                return Err(NumberError::TooPrecise { decimals });
            }
            self.mantissa / factor
        };
        i64::try_from(mantissa).map_err(|_| NumberError::OutOfRange)
    }

    /// Returns the value as an exact decimal.
    ///
    /// Errors: `OutOfRange` above 28 significant digits.
    pub fn decimal(self) -> Result<Decimal, NumberError> {
        let n = self.normalized();
        Decimal::try_from_i128_with_scale(n.mantissa, u32::from(n.decimals))
            .map_err(|_| NumberError::OutOfRange)
    }
}

/// Parses a decimal by the platform's grammar (see [`DecimalText::parse`]).
///
/// Errors: as there, and `OutOfRange` above 28 significant digits.
pub fn parse_decimal(text: &str) -> Result<Decimal, NumberError> {
    DecimalText::parse(text.as_bytes())?.decimal()
}

/// Returns `10^exponent`, or `None` above 38.
pub fn pow10(exponent: u8) -> Option<i128> {
    10_i128.checked_pow(u32::from(exponent))
}

/// Writes `mantissa * 10^-decimals` with exactly `decimals` digits behind the point, which is how
/// a venue writes it: `(6160201, 2)` gives `61602.01`.
pub fn format_mantissa(mantissa: i128, decimals: u8) -> String {
    let sign = if mantissa < 0 { "-" } else { "" };
    let digits = mantissa.unsigned_abs().to_string();
    let decimals = usize::from(decimals);
    if decimals == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = padded.split_at(padded.len() - decimals);
    format!("{sign}{whole}.{fraction}")
}

/// Returns `mantissa * 10^-decimals` as an exact decimal without trailing zeros.
///
/// Errors: `OutOfRange` above 28 significant digits.
pub fn decimal_of(mantissa: i128, decimals: u8) -> Result<Decimal, NumberError> {
    DecimalText { mantissa, decimals }.decimal()
}

/// Returns `numerator / denominator` rounded once, half to even. `None` when the denominator is
/// not above zero or an intermediate passes 128 bits.
pub fn div_half_even(numerator: i128, denominator: i128) -> Option<i128> {
    if denominator <= 0 {
        return None;
    }
    let quotient = numerator.div_euclid(denominator);
    let twice = numerator.rem_euclid(denominator).checked_mul(2)?;
    let up = twice > denominator || (twice == denominator && quotient % 2 != 0);
    quotient.checked_add(i128::from(up))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_plain_decimal_is_refused() {
        for text in [
            "", "-", ".5", "5.", "+1", "1e5", "NaN", "inf", "1 ", " 1", "1,0", "1.2.3", "--1", "١",
        ] {
            assert_eq!(
                DecimalText::parse(text.as_bytes()),
                Err(NumberError::Syntax),
                "{text:?}"
            );
        }
    }

    #[test]
    fn digits_are_counted_before_and_behind_the_point() {
        let most = format!("{}.{}", "9".repeat(20), "9".repeat(18));
        assert!(DecimalText::parse(most.as_bytes()).is_ok());
        for text in [
            "1".repeat(21),
            format!("0.{}", "1".repeat(19)),
            format!("1{}", "0".repeat(38)),
        ] {
            assert_eq!(
                DecimalText::parse(text.as_bytes()),
                Err(NumberError::TooManyDigits)
            );
        }
        let garbage = format!("{}x", "1".repeat(10_000));
        assert_eq!(
            DecimalText::parse(garbage.as_bytes()),
            Err(NumberError::Syntax)
        );
    }

    #[test]
    fn a_mantissa_is_taken_at_the_decimals_of_the_instrument() {
        let text = DecimalText::parse(b"61602.01000000").unwrap();
        assert_eq!(text.at(2), Ok(6_160_201));
        assert_eq!(text.at(8), Ok(6_160_201_000_000));
        assert_eq!(text.at(1), Err(NumberError::TooPrecise { decimals: 1 }));
        let large = DecimalText::parse(b"99999999999999999999").unwrap();
        assert_eq!(large.at(0), Err(NumberError::OutOfRange));
    }

    #[test]
    fn a_division_is_rounded_half_to_even_on_both_sides_of_zero() {
        let cases = [
            (5, 2, 2),
            (7, 2, 4),
            (-5, 2, -2),
            (-7, 2, -4),
            (-1, 3, 0),
            (-2, 3, -1),
        ];
        for (numerator, denominator, expected) in cases {
            let rounded = div_half_even(numerator, denominator);
            assert_eq!(rounded, Some(expected), "{numerator} / {denominator}");
        }
        assert_eq!(div_half_even(1, 0), None);
        assert_eq!(div_half_even(1, -1), None);
        assert_eq!(div_half_even(i128::MAX - 1, i128::MAX), None);
    }

    #[test]
    fn formatting_keeps_the_stated_decimals() {
        assert_eq!(format_mantissa(6_160_201, 2), "61602.01");
        assert_eq!(format_mantissa(-5, 3), "-0.005");
        assert_eq!(format_mantissa(0, 2), "0.00");
        assert_eq!(format_mantissa(12, 0), "12");
    }
}
