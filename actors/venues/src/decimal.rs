//! Decimal text of a wire or file, read fast and exactly.

use apex_domain::number::{DecimalText, NumberError};

/// The powers of ten that an `i64` holds.
const POW10: [i64; 19] = {
    let mut table = [1_i64; 19];
    let mut i = 1;
    while i < 19 {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
};

/// A decimal as it was written: `mantissa * 10^-decimals`, trailing zeros counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireDecimal {
    pub mantissa: i64,
    /// Digits behind the point as written, 0 to 18.
    pub decimals: u8,
}

impl WireDecimal {
    /// Parses `-?[0-9]{1,20}(\.[0-9]{1,18})?`, the platform's grammar.
    ///
    /// Errors: as [`DecimalText::parse`], and `OutOfRange` when the digits without trailing zeros
    /// do not fit an `i64`.
    #[inline]
    pub fn parse(text: &[u8]) -> Result<WireDecimal, NumberError> {
        let (negative, digits) = match text.first() {
            Some(b'-') => (true, &text[1..]),
            _ => (false, text),
        };
        // 18 digits and a point always fit; anything longer or odd takes the careful way.
        if digits.len() > 19 {
            return WireDecimal::parse_long(text);
        }
        let mut mantissa: i64 = 0;
        let mut point = usize::MAX;
        for (at, &byte) in digits.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                // 19 digits without a point may wrap; they are read again below.
                mantissa = mantissa.wrapping_mul(10).wrapping_add(i64::from(digit));
            } else if byte == b'.' && point == usize::MAX && at > 0 {
                point = at;
            } else {
                return Err(NumberError::Syntax);
            }
        }
        let decimals = if point == usize::MAX {
            if digits.is_empty() {
                return Err(NumberError::Syntax);
            }
            if digits.len() == 19 {
                return WireDecimal::parse_long(text);
            }
            0
        } else {
            digits.len() - point - 1
        };
        if point != usize::MAX && decimals == 0 {
            return Err(NumberError::Syntax);
        }
        Ok(WireDecimal {
            mantissa: if negative { -mantissa } else { mantissa },
            decimals: decimals as u8,
        })
    }

    #[cold]
    fn parse_long(text: &[u8]) -> Result<WireDecimal, NumberError> {
        let whole = DecimalText::parse(text)?;
        let fit = |d: DecimalText| i64::try_from(d.mantissa).map(|m| (m, d.decimals));
        let (mantissa, decimals) = fit(whole)
            .or_else(|_| fit(whole.normalized()))
            .map_err(|_| NumberError::OutOfRange)?;
        Ok(WireDecimal { mantissa, decimals })
    }

    /// Returns the number of decimals that trailing zeros do not count for: 2 for `61.8300`.
    #[inline]
    pub fn significant_decimals(self) -> u8 {
        let (mut mantissa, mut decimals) = (self.mantissa, self.decimals);
        while decimals > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            decimals -= 1;
        }
        decimals
    }

    /// Returns the number that a binary float was meant to be, and whether that differs.
    ///
    /// Some files hold sizes that went through 64-bit floats: `3.3214903500000004`. Such a float
    /// carries 15 reliable digits, so a number of 16 digits or more, of which more than 8 stand
    /// behind the point, is rounded to 15 digits, half to even. Anything else stays as it is.
    pub fn without_float_noise(self) -> (WireDecimal, bool) {
        let digits = self
            .mantissa
            .unsigned_abs()
            .checked_ilog10()
            .map_or(1, |log| log + 1);
        if digits < 16 || self.decimals <= 8 {
            return (self, false);
        }
        let cut = ((digits - 15) as u8).min(self.decimals);
        let rounded = self.rounded(self.decimals - cut);
        (rounded, rounded.at(self.decimals) != Ok(self.mantissa))
    }

    /// Returns the number at no more than `decimals` decimals, half to even.
    #[must_use]
    pub fn rounded(self, decimals: u8) -> WireDecimal {
        if self.decimals <= decimals {
            return self;
        }
        let cut = self.decimals - decimals;
        let (quotient, remainder) = divide(self.mantissa, cut);
        let half = POW10[usize::from(cut.min(18))] / 2;
        let up = remainder.abs() > half || (remainder.abs() == half && quotient % 2 != 0);
        let mantissa = quotient + if up { self.mantissa.signum() } else { 0 };
        WireDecimal { mantissa, decimals }
    }

    /// Parses a size that may carry the noise of a binary float, also behind the 18th decimal, and
    /// takes the noise off. Returns the number and whether it differs from the text.
    ///
    /// Errors: as [`WireDecimal::parse`].
    pub fn parse_noisy(text: &[u8]) -> Result<(WireDecimal, bool), NumberError> {
        match WireDecimal::parse(text) {
            Ok(number) => Ok(number.without_float_noise()),
            Err(NumberError::TooManyDigits) => {
                // Digits behind the 18th decimal are far below the 15 reliable ones, or the number
                // stays too precise for an instrument and is refused there.
                let point = memchr::memchr(b'.', text).ok_or(NumberError::TooManyDigits)?;
                let kept = text.get(..point + 19).ok_or(NumberError::TooManyDigits)?;
                Ok((WireDecimal::parse(kept)?.without_float_noise().0, true))
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the mantissa at exactly `decimals` decimals.
    ///
    /// Errors: `TooPrecise` when digits other than zero would be cut, `OutOfRange`.
    #[inline]
    pub fn at(self, decimals: u8) -> Result<i64, NumberError> {
        let have = self.decimals;
        if have == decimals {
            return Ok(self.mantissa);
        }
        if have > decimals {
            let (quotient, remainder) = divide(self.mantissa, have - decimals);
            return if remainder == 0 {
                Ok(quotient)
            } else {
                Err(NumberError::TooPrecise { decimals })
            };
        }
        POW10
            .get(usize::from(decimals - have))
            .and_then(|factor| self.mantissa.checked_mul(*factor))
            .or(if self.mantissa == 0 { Some(0) } else { None })
            .ok_or(NumberError::OutOfRange)
    }
}

/// Divides by a power of ten. The common ones are constants, for which the compiler multiplies
/// instead of dividing; a division by a variable costs several times as much.
#[inline]
fn divide(value: i64, exponent: u8) -> (i64, i64) {
    match exponent {
        1 => (value / 10, value % 10),
        2 => (value / 100, value % 100),
        3 => (value / 1_000, value % 1_000),
        4 => (value / 10_000, value % 10_000),
        5 => (value / 100_000, value % 100_000),
        6 => (value / 1_000_000, value % 1_000_000),
        7 => (value / 10_000_000, value % 10_000_000),
        8 => (value / 100_000_000, value % 100_000_000),
        _ => {
            // A text has at most 18 decimals, so the table always holds the factor.
            let factor = POW10[usize::from(exponent.min(18))];
            (value / factor, value % factor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_that_is_no_plain_decimal_is_refused() {
        for text in [
            "", "-", ".", ".5", "5.", "+1", "1e5", "NaN", "1 ", "1.2.3", "--1", "1-", "٣",
        ] {
            assert_eq!(
                WireDecimal::parse(text.as_bytes()),
                Err(NumberError::Syntax),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_long_number_is_read_exactly_or_refused() {
        let most = WireDecimal::parse(b"9223372036854775807").unwrap();
        assert_eq!((most.mantissa, most.decimals), (i64::MAX, 0));
        assert_eq!(
            WireDecimal::parse(b"9223372036854775808"),
            Err(NumberError::OutOfRange)
        );
        let zeros = WireDecimal::parse(b"12345678901234567.800000000").unwrap();
        assert_eq!(zeros.at(1), Ok(123_456_789_012_345_678));
        assert_eq!(
            WireDecimal::parse(b"1234567890123456789012"),
            Err(NumberError::TooManyDigits)
        );
    }

    #[test]
    fn the_mantissa_is_moved_between_scales_without_loss() {
        let price = WireDecimal::parse(b"61602.01000000").unwrap();
        assert_eq!((price.decimals, price.significant_decimals()), (8, 2));
        assert_eq!(price.at(2), Ok(6_160_201));
        assert_eq!(price.at(1), Err(NumberError::TooPrecise { decimals: 1 }));
        assert_eq!(price.at(14), Ok(6_160_201_000_000_000_000));
        assert_eq!(price.at(18), Err(NumberError::OutOfRange));
        assert_eq!(WireDecimal::parse(b"0.00").unwrap().at(18), Ok(0));
    }

    #[test]
    fn the_noise_of_binary_floats_is_taken_off() {
        let clean = |text: &str| {
            let (value, changed) = WireDecimal::parse(text.as_bytes())
                .unwrap()
                .without_float_noise();
            let decimals = value.significant_decimals();
            (value.at(decimals).unwrap(), decimals, changed)
        };
        assert_eq!(clean("3.3214903500000004"), (332_149_035, 8, true));
        assert_eq!(clean("6.0151143199999995"), (601_511_432, 8, true));
        assert_eq!(clean("218102.59507500002"), (218_102_595_075, 6, true));
        assert_eq!(clean("0.30000000000000004"), (3, 1, true));
        assert_eq!(
            clean("123456789.12345678"),
            (12_345_678_912_345_678, 8, false)
        );
        assert_eq!(clean("0.00000000000001"), (1, 14, false));
        let long = WireDecimal::parse_noisy(b"0.0038217599999999996").unwrap();
        assert_eq!((long.0.at(8), long.1), (Ok(382_176), true));
        assert!(WireDecimal::parse_noisy(b"0.00382175x9999999996").is_err());
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_careful_parser(text in "-?[0-9.]{0,24}") {
            let careful = DecimalText::parse(text.as_bytes());
            match WireDecimal::parse(text.as_bytes()) {
                Ok(fast) => {
                    let careful = careful.unwrap().normalized();
                    let decimals = fast.significant_decimals();
                    prop_assert_eq!(careful.decimals, decimals);
                    prop_assert_eq!(careful.at(decimals), fast.at(decimals));
                }
                Err(NumberError::OutOfRange) => {
                    prop_assert!(i64::try_from(careful.unwrap().normalized().mantissa).is_err());
                }
                Err(error) => prop_assert_eq!(careful.unwrap_err(), error),
            }
        }
    }
}
