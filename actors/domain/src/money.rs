//! Exact decimals that are kept in the journal: money and rates.

use crate::number::{self, Decimal, NumberError};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

macro_rules! exact_decimal {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// In binary form it is (mantissa, scale) without trailing zeros, so that equal values
        /// have equal bytes; in text form a plain decimal.
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Decimal);

        impl $name {
            pub const ZERO: $name = $name(Decimal::ZERO);

            /// Parses a decimal by the platform's grammar. Errors: [`NumberError`].
            pub fn parse(text: &str) -> Result<$name, NumberError> {
                number::parse_decimal(text).map($name)
            }

            pub fn is_zero(self) -> bool {
                self.0.is_zero()
            }
        }

        impl From<Decimal> for $name {
            fn from(value: Decimal) -> $name {
                $name(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.normalize().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    let n = self.0.normalize();
                    (n.mantissa(), n.scale() as u8).serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    number::parse_decimal(&text).map($name).map_err(de::Error::custom)
                } else {
                    let (mantissa, scale) = <(i128, u8)>::deserialize(deserializer)?;
                    Decimal::try_from_i128_with_scale(mantissa, u32::from(scale))
                        .map($name)
                        .map_err(de::Error::custom)
                }
            }
        }
    };
}

exact_decimal!(
    /// An amount of a currency that the place of use names.
    Money
);
exact_decimal!(
    /// A fraction: 0.0001 is one basis point.
    Rate
);

impl Money {
    /// Returns the sum. Errors: `OutOfRange` above 28 significant digits before the point.
    pub fn checked_add(self, other: Money) -> Result<Money, NumberError> {
        self.0
            .checked_add(other.0)
            .map(Money)
            .ok_or(NumberError::OutOfRange)
    }

    /// Returns the difference. Errors: as [`Money::checked_add`].
    pub fn checked_sub(self, other: Money) -> Result<Money, NumberError> {
        self.0
            .checked_sub(other.0)
            .map(Money)
            .ok_or(NumberError::OutOfRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_money_has_equal_bytes() {
        let a = postcard::to_stdvec(&Money::parse("1.50").unwrap()).unwrap();
        let b = postcard::to_stdvec(&Money::parse("1.5").unwrap()).unwrap();
        assert_eq!(a, b);
        let back: Money = postcard::from_bytes(&a).unwrap();
        assert_eq!(back.to_string(), "1.5");
    }
}
