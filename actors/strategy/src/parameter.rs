//! Parameters of strategies: what there is, in which bounds, and how `name=value` text becomes
//! typed values.
//!
//! A strategy states its parameters as a static list of [`ParameterSchema`]. The same list draws
//! a form in the UI, checks text from the command line, and fills in defaults.

use crate::error::ParameterError;
use apex_domain::number::{Decimal, parse_decimal};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterKind {
    /// A whole number.
    Integer,
    /// An exact decimal by the platform's grammar.
    Decimal,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// One parameter of a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ParameterSchema {
    pub name: &'static str,
    pub kind: ParameterKind,
    /// As text; `None` where the strategy works the value out by itself, as `help` says.
    pub default: Option<&'static str>,
    /// The smallest value, inclusive, as text.
    pub min: Option<&'static str>,
    /// The largest value, inclusive, as text.
    pub max: Option<&'static str>,
    /// What a number counts, such as `ms`; `None` for a bare one.
    pub unit: Option<&'static str>,
    /// The strategy takes another value while it runs
    /// ([`Strategy::on_parameters`](crate::Strategy::on_parameters)); the others need a restart.
    pub live: bool,
    /// One sentence for a person.
    pub help: &'static str,
}

/// A typed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterValue {
    Integer(i64),
    Decimal(Decimal),
    Choice(&'static str),
}

/// A strategy's parameters as a struct, drawn from a checked set of values.
pub trait ParameterSet: Sized {
    /// The parameters in the order in which a form shows them.
    const SCHEMA: &'static [ParameterSchema];

    /// Takes the struct's fields from `values`, which were checked against [`Self::SCHEMA`].
    ///
    /// Errors: [`ParameterError`] for what only the fields together can tell.
    fn from_values(values: &ParameterValues) -> Result<Self, ParameterError>;

    /// Parses `(name, value)` pairs; what is not given takes its default.
    ///
    /// Errors: [`ParameterError`], naming the parameter.
    fn parse(pairs: &[(String, String)]) -> Result<Self, ParameterError> {
        Self::from_values(&ParameterValues::parse(Self::SCHEMA, pairs)?)
    }
}

/// Checked values by name. What neither was given nor has a default is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterValues(BTreeMap<&'static str, ParameterValue>);

impl ParameterValues {
    /// Checks `(name, value)` pairs against a schema.
    ///
    /// Errors: [`ParameterError`]; an unknown name comes with the nearest known one.
    pub fn parse(
        schema: &'static [ParameterSchema],
        pairs: &[(String, String)],
    ) -> Result<ParameterValues, ParameterError> {
        let mut values = BTreeMap::new();
        for (name, text) in pairs {
            let parameter = schema
                .iter()
                .find(|parameter| parameter.name == name)
                .ok_or_else(|| ParameterError::Unknown {
                    name: name.clone(),
                    nearest: nearest(name, schema.iter().map(|parameter| parameter.name)),
                    known: schema.iter().map(|parameter| parameter.name).collect(),
                })?;
            let value = parameter.value(text)?;
            if values.insert(parameter.name, value).is_some() {
                return Err(ParameterError::Repeated {
                    name: parameter.name,
                });
            }
        }
        for parameter in schema {
            if let Some(default) = parameter.default
                && !values.contains_key(parameter.name)
            {
                values.insert(parameter.name, parameter.value(default)?);
            }
        }
        Ok(ParameterValues(values))
    }

    /// Checks each pair by itself and returns everything that is wrong, by name.
    pub fn check(
        schema: &'static [ParameterSchema],
        pairs: &[(String, String)],
    ) -> Vec<(String, ParameterError)> {
        let one = |pair: &(String, String)| {
            let checked = ParameterValues::parse(schema, std::slice::from_ref(pair));
            checked.err().map(|error| (pair.0.clone(), error))
        };
        pairs.iter().filter_map(one).collect()
    }

    /// Returns the parameters of a schema whose values differ from those of another set.
    pub fn changed<'a>(
        &'a self,
        other: &'a ParameterValues,
        schema: &'static [ParameterSchema],
    ) -> impl Iterator<Item = &'static ParameterSchema> + 'a {
        let differs = |parameter: &&ParameterSchema| {
            self.0.get(parameter.name) != other.0.get(parameter.name)
        };
        schema.iter().filter(differs)
    }

    /// Returns a whole number, or `None` where it is absent or of another kind.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(ParameterValue::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    /// Returns a decimal, or `None` where it is absent or of another kind.
    pub fn decimal(&self, name: &str) -> Option<Decimal> {
        match self.0.get(name) {
            Some(ParameterValue::Decimal(value)) => Some(*value),
            _ => None,
        }
    }

    /// Returns a word, or `None` where it is absent or of another kind.
    pub fn choice(&self, name: &str) -> Option<&'static str> {
        match self.0.get(name) {
            Some(ParameterValue::Choice(value)) => Some(value),
            _ => None,
        }
    }
}

impl ParameterSchema {
    /// Parses a value and checks its bounds.
    fn value(&self, text: &str) -> Result<ParameterValue, ParameterError> {
        let wrong = |expected: String| ParameterError::Value {
            name: self.name,
            // Foreign text of any length: a person needs only its beginning.
            value: text.chars().take(64).collect(),
            expected,
        };
        match self.kind {
            ParameterKind::Integer => {
                let value: i64 = text
                    .parse()
                    .map_err(|_| wrong("a whole number".to_owned()))?;
                self.check_bounds(Decimal::from(value))?;
                Ok(ParameterValue::Integer(value))
            }
            ParameterKind::Decimal => {
                let value =
                    parse_decimal(text).map_err(|_| wrong("a decimal such as 12.5".to_owned()))?;
                self.check_bounds(value)?;
                Ok(ParameterValue::Decimal(value))
            }
            ParameterKind::Choice(words) => words
                .iter()
                .find(|word| **word == text)
                .map(|word| ParameterValue::Choice(word))
                .ok_or_else(|| wrong(format!("one of {}", words.join(", ")))),
        }
    }

    fn check_bounds(&self, value: Decimal) -> Result<(), ParameterError> {
        let bounds = [("the smallest", self.min), ("the largest", self.max)];
        for (bound, limit) in bounds {
            let Some(limit) = limit else { continue };
            let Ok(edge) = parse_decimal(limit) else {
                continue;
            };
            let outside = if bound == "the smallest" {
                value < edge
            } else {
                value > edge
            };
            if outside {
                return Err(ParameterError::Bound {
                    name: self.name,
                    value: value.to_string(),
                    bound,
                    limit,
                });
            }
        }
        Ok(())
    }
}

/// Splits `name=value` at the first `=`.
///
/// Errors: `NoValue`.
pub fn split_pair(text: &str) -> Result<(String, String), ParameterError> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err(ParameterError::NoValue {
            text: text.chars().take(64).collect(),
        }),
    }
}

/// Returns the candidate with the fewest edits to `name`, if it is near enough to be a slip.
pub(crate) fn nearest(
    name: &str,
    candidates: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    // Half of the letters wrong is another word. Long foreign text is not worth the table.
    if name.len() > 64 {
        return None;
    }
    candidates
        .map(|candidate| (edits(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 2 <= candidate.len().max(name.len()))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in bytes.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &[ParameterSchema] = &[
        ParameterSchema {
            name: "fast",
            kind: ParameterKind::Integer,
            default: Some("10"),
            min: Some("1"),
            max: Some("1000"),
            unit: None,
            live: false,
            help: "",
        },
        ParameterSchema {
            name: "quantity",
            kind: ParameterKind::Decimal,
            default: None,
            min: Some("0"),
            max: None,
            unit: None,
            live: false,
            help: "",
        },
        ParameterSchema {
            name: "mode",
            kind: ParameterKind::Choice(&["long_only", "long_short"]),
            default: Some("long_only"),
            min: None,
            max: None,
            unit: None,
            live: false,
            help: "",
        },
    ];

    fn parse(pairs: &[&str]) -> Result<ParameterValues, String> {
        let pairs: Result<Vec<_>, _> = pairs.iter().map(|pair| split_pair(pair)).collect();
        pairs
            .and_then(|pairs| ParameterValues::parse(SCHEMA, &pairs))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_given_takes_its_default() {
        let values = parse(&["quantity=0.5"]).unwrap();
        assert_eq!(values.integer("fast"), Some(10));
        assert_eq!(values.choice("mode"), Some("long_only"));
        assert_eq!(values.decimal("quantity").unwrap().to_string(), "0.5");
        assert_eq!(parse(&[]).unwrap().decimal("quantity"), None);
    }

    #[test]
    fn each_refusal_names_the_parameter() {
        for (pair, message) in [
            (
                "fats=3",
                "unknown parameter \"fats\", did you mean \"fast\"?",
            ),
            (
                "zzzzzz=3",
                "unknown parameter \"zzzzzz\", there are: fast, quantity, mode",
            ),
            ("fast", "parameter \"fast\" has no '=', expected name=value"),
            (
                "fast=x",
                "parameter \"fast\" is \"x\", expected a whole number",
            ),
            ("fast=0", "parameter \"fast\" is 0, the smallest is 1"),
            (
                "fast=1001",
                "parameter \"fast\" is 1001, the largest is 1000",
            ),
            (
                "quantity=NaN",
                "parameter \"quantity\" is \"NaN\", expected a decimal such as 12.5",
            ),
            (
                "quantity=-1",
                "parameter \"quantity\" is -1, the smallest is 0",
            ),
            (
                "mode=short",
                "parameter \"mode\" is \"short\", expected one of long_only, long_short",
            ),
        ] {
            assert_eq!(parse(&[pair]).unwrap_err(), message, "{pair}");
        }
        let twice = parse(&["fast=1", "fast=2"]).unwrap_err();
        assert_eq!(twice, "parameter \"fast\" is given twice");
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let pairs = ["fast=0", "quantity=1", "mode=up", "speed=1"];
        let pairs: Vec<_> = pairs.map(|pair| split_pair(pair).unwrap()).into();
        let wrong = ParameterValues::check(SCHEMA, &pairs);
        let names: Vec<&str> = wrong.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["fast", "mode", "speed"]);
    }

    #[test]
    fn what_changed_is_told_by_value_and_not_by_text() {
        let one = parse(&["fast=10", "quantity=1.50"]).unwrap();
        let other = parse(&["quantity=1.5", "mode=long_short"]).unwrap();
        let changed: Vec<&str> = one.changed(&other, SCHEMA).map(|it| it.name).collect();
        assert_eq!(changed, ["mode"]);
        let less = parse(&[]).unwrap();
        let changed: Vec<&str> = one.changed(&less, SCHEMA).map(|it| it.name).collect();
        assert_eq!(changed, ["quantity"]);
    }

    #[test]
    fn long_foreign_text_is_cut_in_the_message() {
        let message = parse(&[&format!("fast={}", "9".repeat(10_000))]).unwrap_err();
        assert!(message.len() < 200);
        assert!(parse(&[&format!("{}=1", "f".repeat(10_000))]).is_err());
    }
}
