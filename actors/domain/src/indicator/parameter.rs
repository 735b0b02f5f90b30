//! Parameters of indicators: what there is, in which bounds, and how text becomes numbers.

use super::error::{Bound, IndicatorError};

/// The longest period. A window of it takes a few megabytes; a longer one is a slip of the hand.
pub const MAX_PERIOD: u32 = 100_000;

/// The largest width of a band, in standard deviations or average ranges.
pub(super) const MAX_MULTIPLIER: f64 = 100.0;

/// One parameter of an indicator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IndicatorParameter {
    pub name: &'static str,
    pub default: f64,
    /// The smallest value, inclusive.
    pub min: f64,
    /// The largest value, inclusive.
    pub max: f64,
    /// True where only whole numbers are taken.
    pub is_whole: bool,
    /// One sentence for a person.
    pub help: &'static str,
}

impl IndicatorParameter {
    /// A number of bars, from `min` to [`MAX_PERIOD`].
    pub(super) const fn period(
        name: &'static str,
        default: u32,
        min: u32,
        help: &'static str,
    ) -> IndicatorParameter {
        IndicatorParameter {
            name,
            default: default as f64,
            min: min as f64,
            max: MAX_PERIOD as f64,
            is_whole: true,
            help,
        }
    }

    /// The width of a band, from 0 to [`MAX_MULTIPLIER`].
    pub(super) const fn multiplier(default: f64, help: &'static str) -> IndicatorParameter {
        IndicatorParameter {
            name: "multiplier",
            default,
            min: 0.0,
            max: MAX_MULTIPLIER,
            is_whole: false,
            help,
        }
    }

    /// Parses a value and checks its bounds.
    fn parse(&self, text: &str) -> Result<f64, IndicatorError> {
        let expected = if self.is_whole {
            "a whole number"
        } else {
            "a number such as 2.5"
        };
        let wrong = || IndicatorError::Value {
            name: self.name,
            // Foreign text of any length: a person needs only its beginning.
            value: text.chars().take(64).collect(),
            expected,
        };
        // The platform's grammar of decimals: no exponent, no NaN, no infinity.
        crate::number::DecimalText::parse(text.as_bytes()).map_err(|_| wrong())?;
        let value: f64 = text.parse().map_err(|_| wrong())?;
        if self.is_whole && value.fract() != 0.0 {
            return Err(wrong());
        }
        within(self.name, value, self.min, self.max)
    }
}

/// Checked parameters of an indicator, each present.
#[derive(Clone, Debug, PartialEq)]
pub struct IndicatorParameters(Vec<(&'static str, f64)>);

impl IndicatorParameters {
    /// Checks `(name, value)` text; what is not given takes its default.
    ///
    /// Errors: [`IndicatorError`], naming the parameter.
    pub(super) fn parse(
        indicator: &'static str,
        schema: &'static [IndicatorParameter],
        pairs: &[(String, String)],
    ) -> Result<IndicatorParameters, IndicatorError> {
        let mut given: Vec<Option<f64>> = vec![None; schema.len()];
        for (name, text) in pairs {
            let place = schema
                .iter()
                .position(|parameter| parameter.name == name)
                .ok_or_else(|| unknown(indicator, schema, name))?;
            if given[place].is_some() {
                let name = schema[place].name;
                return Err(IndicatorError::Repeated { name });
            }
            given[place] = Some(schema[place].parse(text)?);
        }
        let values = schema
            .iter()
            .zip(given)
            .map(|(parameter, given)| (parameter.name, given.unwrap_or(parameter.default)));
        Ok(IndicatorParameters(values.collect()))
    }

    /// Returns names and values in the order of the schema.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.0.iter().copied()
    }

    /// Returns a number; zero for a name that is not in the schema, which no period takes.
    pub(super) fn number(&self, name: &str) -> f64 {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map_or(0.0, |(_, value)| *value)
    }

    /// Returns a whole number. The schema's bounds make it fit.
    pub(super) fn whole(&self, name: &str) -> u32 {
        self.number(name) as u32
    }
}

fn unknown(
    indicator: &'static str,
    schema: &'static [IndicatorParameter],
    name: &str,
) -> IndicatorError {
    let name: String = name.chars().take(64).collect();
    if schema.is_empty() {
        return IndicatorError::NoParameters { indicator, name };
    }
    IndicatorError::UnknownParameter {
        indicator,
        name,
        known: schema.iter().map(|parameter| parameter.name).collect(),
    }
}

/// Checks a period against `smallest` and [`MAX_PERIOD`].
///
/// Errors: `Bound`, naming the parameter.
pub(super) fn period(
    name: &'static str,
    period: u32,
    smallest: u32,
) -> Result<usize, IndicatorError> {
    let checked = within(
        name,
        f64::from(period),
        f64::from(smallest),
        f64::from(MAX_PERIOD),
    )?;
    Ok(checked as usize)
}

/// Returns `value` if it is from `min` to `max`.
///
/// Errors: `Bound`, naming the parameter; also for NaN.
pub(super) fn within(
    name: &'static str,
    value: f64,
    min: f64,
    max: f64,
) -> Result<f64, IndicatorError> {
    let (bound, limit) = match value {
        value if value > max => (Bound::Largest, max),
        value if value >= min => return Ok(value),
        _ => (Bound::Smallest, min),
    };
    Err(IndicatorError::Bound {
        name,
        value,
        bound,
        limit,
    })
}

/// Checks that one period is below another.
///
/// Errors: `Relation`, naming both.
pub(super) fn below(
    (name, value): (&'static str, u32),
    (other, limit): (&'static str, u32),
) -> Result<(), IndicatorError> {
    if value < limit {
        return Ok(());
    }
    Err(IndicatorError::Relation {
        name,
        value: f64::from(value),
        relation: "below",
        other,
        limit: f64::from(limit),
    })
}
