//! Strings of a request: identifiers, decimals and free text.

use crate::field::Fields;
use apex_domain::id::IdError;
use apex_domain::number::{DecimalText, NumberError};
use apex_domain::{AccountId, Money, RequestId, StrategyId};

/// Bytes of a free text (a reason, tags). Each is kept in the journal for ever, so it is short.
pub const FREE_TEXT_LIMIT: usize = 256;

/// Reads an identifier that must be there.
pub fn required<T>(
    fields: &mut Fields,
    field: &str,
    text: &str,
    read: impl FnOnce(&str) -> Result<T, IdError>,
) -> Option<T> {
    if text.is_empty() {
        fields.refuse(field, "is required");
        return None;
    }
    fields.take(field, read(text))
}

/// Reads an identifier where empty means that there is none. The outer `None` is an error.
pub fn optional<T>(
    fields: &mut Fields,
    field: &str,
    text: &str,
    read: impl FnOnce(&str) -> Result<T, IdError>,
) -> Option<Option<T>> {
    if text.is_empty() {
        return Some(None);
    }
    fields.take(field, read(text)).map(Some)
}

/// Reads the `account_id` that must be there.
pub fn account_id(fields: &mut Fields, text: &str) -> Option<AccountId> {
    required(fields, "account_id", text, AccountId::new)
}

/// Reads the `request_id` that must be there.
pub fn request_id(fields: &mut Fields, text: &str) -> Option<RequestId> {
    required(fields, "request_id", text, RequestId::new)
}

/// Reads a `strategy_id`; empty is the owner of what a person ordered.
pub fn strategy_id(fields: &mut Fields, text: &str) -> Option<StrategyId> {
    if text.is_empty() {
        return Some(StrategyId::manual());
    }
    let id = fields.take("strategy_id", StrategyId::new(text))?;
    if id == StrategyId::external() {
        fields.refuse(
            "strategy_id",
            "EXTERNAL is kept for differences found at the venue",
        );
        return None;
    }
    Some(id)
}

/// Reads free text: at most [`FREE_TEXT_LIMIT`] bytes, no control characters, may be empty.
pub fn free(fields: &mut Fields, field: &str, text: &str) -> Option<String> {
    if text.len() > FREE_TEXT_LIMIT {
        let length = text.len();
        fields.refuse(
            field,
            format!("has {length} bytes, at most {FREE_TEXT_LIMIT} are allowed"),
        );
        return None;
    }
    if text.chars().any(char::is_control) {
        fields.refuse(field, "must not hold control characters");
        return None;
    }
    Some(text.to_owned())
}

/// Reads a decimal that must be there and above zero.
pub fn positive(fields: &mut Fields, field: &str, text: &str) -> Option<DecimalText> {
    if text.is_empty() {
        fields.refuse(field, "is required");
        return None;
    }
    let number = fields.take(field, DecimalText::parse(text.as_bytes()))?;
    if number.mantissa <= 0 {
        fields.refuse(field, "must be above zero");
        return None;
    }
    Some(number.normalized())
}

/// Reads an amount of money, signed. Empty is refused.
pub fn money(fields: &mut Fields, field: &str, text: &str) -> Option<Money> {
    if text.is_empty() {
        fields.refuse(field, "is required");
        return None;
    }
    fields.take(field, Money::parse(text))
}

/// Returns the mantissa of `number` at `decimals`, cut towards zero, and whether it fits exactly.
///
/// Errors: `OutOfRange` when even the cut value is above what a mantissa can hold.
pub fn cut(number: DecimalText, decimals: u8) -> Result<(i64, bool), NumberError> {
    match number.at(decimals) {
        Ok(mantissa) => Ok((mantissa, true)),
        Err(NumberError::TooPrecise { .. }) => {
            let number = number.normalized();
            let factor = 10_i128.pow(u32::from(number.decimals - decimals));
            let mantissa = number.mantissa / factor;
            i64::try_from(mantissa)
                .map(|m| (m, false))
                .map_err(|_| NumberError::OutOfRange)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(read: impl FnOnce(&mut Fields)) -> Vec<String> {
        let mut fields = Fields::new();
        read(&mut fields);
        match fields.finish(Some(())) {
            Ok(()) => Vec::new(),
            Err(errors) => errors
                .errors()
                .iter()
                .map(|e| e.description.clone())
                .collect(),
        }
    }

    #[test]
    fn a_quantity_above_zero_is_asked_for() {
        for text in ["0", "-0", "0.000", "-1"] {
            let found = violations(|f| assert!(positive(f, "quantity", text).is_none()));
            assert_eq!(found, ["must be above zero"], "{text}");
        }
    }

    #[test]
    fn text_is_never_repeated_in_a_description() {
        let long = "x\u{7}".repeat(5_000);
        for found in [
            violations(|f| assert!(positive(f, "quantity", &long).is_none())),
            violations(|f| drop(free(f, "tags", &long))),
            violations(|f| drop(account_id(f, &long))),
        ] {
            assert_eq!(found.len(), 1);
            assert!(
                found[0].len() < 100 && !found[0].contains('\u{7}'),
                "{found:?}"
            );
        }
    }

    #[test]
    fn control_characters_are_refused_in_free_text() {
        for text in ["a\nb", "\0", "\u{7f}", "\u{85}"] {
            let found = violations(|f| drop(free(f, "tags", text)));
            assert_eq!(found, ["must not hold control characters"], "{text:?}");
        }
        assert!(violations(|f| drop(free(f, "tags", "grün"))).is_empty());
    }

    #[test]
    fn a_number_with_too_many_decimals_is_cut_towards_zero_and_marked() {
        let parse = |text: &str| DecimalText::parse(text.as_bytes()).unwrap();
        assert_eq!(cut(parse("12.345"), 2), Ok((1_234, false)));
        assert_eq!(cut(parse("-12.345"), 2), Ok((-1_234, false)));
        assert_eq!(cut(parse("12.340"), 2), Ok((1_234, true)));
        assert_eq!(cut(parse("0.001"), 2), Ok((0, false)));
        let large = parse("99999999999999999999.5");
        assert_eq!(cut(large, 0), Err(NumberError::OutOfRange));
    }
}
