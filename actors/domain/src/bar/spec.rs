//! Bar specs as text: `kind:threshold`.

use crate::instrument::Instrument;
use crate::market::BarSpec;
use crate::number::{DecimalText, NumberError, Price, Quantity, format_mantissa, pow10};
use thiserror::Error;

/// Units of a time bar, the largest first, so that the text takes the largest that fits.
const UNITS: [(&str, i64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Why a bar spec was not taken. The caller fixes the text; trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BarSpecError {
    #[error("bar spec is not of the form kind:threshold, for example time:60s")]
    Form,
    #[error("bar kind {kind:?} is none of time, tick, volume, value, renko, external")]
    Kind { kind: String },
    #[error("bar interval {text:?} is no whole number of ns, us, ms, s, m, h or d")]
    Interval { text: String },
    #[error("bar {field} {source}")]
    Number {
        field: &'static str,
        #[source]
        source: NumberError,
    },
    #[error("bar {field} must be above zero")]
    NotPositive { field: &'static str },
    #[error("external bars come finished from a file and are not built")]
    NotBuilt,
}

/// Returns the spec when its threshold is above zero.
///
/// Errors: `NotPositive` with the field's name.
pub fn check_spec(spec: BarSpec) -> Result<BarSpec, BarSpecError> {
    let (is_positive, field) = match spec {
        BarSpec::Time { interval_ns } => (interval_ns > 0, "interval"),
        BarSpec::External => (true, "external"),
        BarSpec::Tick { count } => (count > 0, "count"),
        BarSpec::Volume { quantity } => (quantity.0 > 0, "quantity"),
        BarSpec::Value { amount } => (amount > 0, "amount"),
        BarSpec::Renko { brick } => (brick.0 > 0, "brick"),
    };
    match is_positive {
        true => Ok(spec),
        false => Err(BarSpecError::NotPositive { field }),
    }
}

/// Reads `time:60s`, `tick:1000`, `volume:5.5`, `value:100000`, `renko:0.50` or `external`, at the
/// decimals of the instrument that the bars are of.
///
/// Errors: [`BarSpecError`]; a number with more decimals than the instrument's is refused.
pub fn parse_spec(text: &str, instrument: &Instrument) -> Result<BarSpec, BarSpecError> {
    if text == "external" {
        return Ok(BarSpec::External);
    }
    let (kind, threshold) = text.split_once(':').ok_or(BarSpecError::Form)?;
    let (price, quantity) = (instrument.price_decimals, instrument.quantity_decimals);
    let spec = match kind {
        "time" => BarSpec::Time {
            interval_ns: interval(threshold)?,
        },
        "tick" => BarSpec::Tick {
            count: u64::try_from(number("count", threshold, 0)?).map_err(|_| out("count"))?,
        },
        "volume" => BarSpec::Volume {
            quantity: Quantity(narrow("quantity", threshold, quantity)?),
        },
        "value" => BarSpec::Value {
            amount: number("amount", threshold, price.saturating_add(quantity))?,
        },
        "renko" => BarSpec::Renko {
            brick: Price(narrow("brick", threshold, price)?),
        },
        kind => {
            return Err(BarSpecError::Kind {
                kind: kind.to_owned(),
            });
        }
    };
    check_spec(spec)
}

/// Writes a spec as [`parse_spec`] reads it: the same spec comes back.
pub fn spec_text(spec: BarSpec, instrument: &Instrument) -> String {
    let (price, quantity) = (instrument.price_decimals, instrument.quantity_decimals);
    match spec {
        BarSpec::Time { interval_ns } => {
            let fits = |unit: &&(&str, i64)| interval_ns % unit.1 == 0;
            // The last unit always fits.
            let (name, unit) = UNITS.iter().find(fits).unwrap_or(&UNITS[6]);
            format!("time:{}{name}", interval_ns / unit)
        }
        BarSpec::External => "external".to_owned(),
        BarSpec::Tick { count } => format!("tick:{count}"),
        BarSpec::Volume { quantity } => format!("volume:{}", instrument.format_quantity(quantity)),
        BarSpec::Value { amount } => {
            let text = format_mantissa(amount, price.saturating_add(quantity));
            format!("value:{text}")
        }
        BarSpec::Renko { brick } => format!("renko:{}", instrument.format_price(brick)),
    }
}

fn interval(text: &str) -> Result<i64, BarSpecError> {
    let refused = || BarSpecError::Interval {
        text: text.to_owned(),
    };
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    let (digits, name) = text.split_at(end);
    let unit = UNITS.iter().find(|unit| unit.0 == name);
    let (_, unit) = unit.ok_or_else(refused)?;
    let count: i64 = digits.parse().map_err(|_| refused())?;
    count.checked_mul(*unit).ok_or_else(refused)
}

fn out(field: &'static str) -> BarSpecError {
    BarSpecError::Number {
        field,
        source: NumberError::OutOfRange,
    }
}

/// Reads a number that is not negative as a mantissa at `decimals`.
fn number(field: &'static str, text: &str, decimals: u8) -> Result<i128, BarSpecError> {
    let refused = |source| BarSpecError::Number { field, source };
    let parsed = DecimalText::parse(text.as_bytes()).map_err(refused)?;
    if parsed.mantissa < 0 {
        return Err(refused(NumberError::Negative));
    }
    let parsed = parsed.normalized();
    let shift = decimals
        .checked_sub(parsed.decimals)
        .ok_or(refused(NumberError::TooPrecise { decimals }))?;
    pow10(shift)
        .and_then(|factor| parsed.mantissa.checked_mul(factor))
        .ok_or_else(|| out(field))
}

fn narrow(field: &'static str, text: &str, decimals: u8) -> Result<i64, BarSpecError> {
    i64::try_from(number(field, text, decimals)?).map_err(|_| out(field))
}

#[cfg(test)]
mod tests;
