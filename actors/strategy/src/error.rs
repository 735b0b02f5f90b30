//! What can go wrong round a strategy.

use apex_domain::{StrategyId, UnixNanos};
use thiserror::Error;

/// Errors of this crate, by what the caller does next.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StrategyError {
    /// Fix the name.
    #[error("unknown strategy \"{name}\"{}", hint(.nearest, .known))]
    UnknownStrategy {
        name: String,
        nearest: Option<&'static str>,
        known: Vec<&'static str>,
    },
    /// Fix the parameters.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// Two strategies of one account cannot share an id: it owns their orders and positions.
    #[error("strategy id \"{0}\" is already taken")]
    DuplicateId(StrategyId),
    /// The data or clock handed in is wrong: the strategy would have seen the future.
    #[error("data of {ts} is later than the decision time {now}")]
    LookAhead { ts: UnixNanos, now: UnixNanos },
}

/// Why a parameter was refused. The caller fixes the named parameter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParameterError {
    #[error("parameter \"{text}\" has no '=', expected name=value")]
    NoValue { text: String },
    #[error("unknown parameter \"{name}\"{}", hint(.nearest, .known))]
    Unknown {
        name: String,
        nearest: Option<&'static str>,
        known: Vec<&'static str>,
    },
    /// Restart the strategy with the new value.
    #[error("parameter \"{name}\" does not change while the strategy runs, only with a restart")]
    Fixed { name: String },
    #[error("parameter \"{name}\" is given twice")]
    Repeated { name: &'static str },
    #[error("parameter \"{name}\" is \"{value}\", expected {expected}")]
    Value {
        name: &'static str,
        value: String,
        expected: String,
    },
    #[error("parameter \"{name}\" is {value}, {bound} is {limit}")]
    Bound {
        name: &'static str,
        value: String,
        bound: &'static str,
        limit: &'static str,
    },
}

/// The name that was probably meant, else all that there are.
fn hint(nearest: &Option<&'static str>, known: &[&'static str]) -> String {
    match nearest {
        Some(name) => format!(", did you mean \"{name}\"?"),
        None if known.is_empty() => ", there are none".to_owned(),
        None => format!(", there are: {}", known.join(", ")),
    }
}
