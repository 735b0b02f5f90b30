//! Why an indicator was not made, and why an input was refused.

use super::input::LARGEST_INPUT;
use thiserror::Error;

/// Why an indicator was not made. The caller fixes what is named; trying again does not help.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum IndicatorError {
    #[error("unknown indicator \"{name}\", there are: {}", .known.join(", "))]
    UnknownIndicator {
        name: String,
        known: Vec<&'static str>,
    },
    #[error("unknown parameter \"{name}\" of {indicator}, there are: {}", .known.join(", "))]
    UnknownParameter {
        indicator: &'static str,
        name: String,
        known: Vec<&'static str>,
    },
    #[error("{indicator} takes no parameter, but was given \"{name}\"")]
    NoParameters {
        indicator: &'static str,
        name: String,
    },
    #[error("parameter \"{name}\" is given twice")]
    Repeated { name: &'static str },
    #[error("parameter \"{name}\" is \"{value}\", expected {expected}")]
    Value {
        name: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("parameter \"{name}\" is {value}, the {} is {limit}", .bound.word())]
    Bound {
        name: &'static str,
        value: f64,
        bound: Bound,
        limit: f64,
    },
    #[error("parameter \"{name}\" is {value}, it must be {relation} \"{other}\", which is {limit}")]
    Relation {
        name: &'static str,
        value: f64,
        /// Such as `below`.
        relation: &'static str,
        other: &'static str,
        limit: f64,
    },
}

/// Which end of a range was passed. Both ends belong to the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Smallest,
    Largest,
}

impl Bound {
    fn word(self) -> &'static str {
        match self {
            Bound::Smallest => "smallest",
            Bound::Largest => "largest",
        }
    }
}

/// Why an input was refused. The indicator is as it was before; the next good input goes on.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum InputError {
    /// Not a number, infinite, or beyond what squares and sums can hold.
    #[error("input \"{field}\" is {value}, expected a number of at most {LARGEST_INPUT:e}")]
    NotUsable { field: &'static str, value: f64 },
    #[error("input \"{field}\" is {value}, it must not be negative")]
    Negative { field: &'static str, value: f64 },
}
