//! What can be wrong with a frame.

use apex_domain::number::NumberError;
use thiserror::Error;

/// Why a frame was not taken, and at which byte of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{kind} at byte {at}")]
pub struct WireError {
    pub kind: WireErrorKind,
    /// Offset into the frame, from 0.
    pub at: usize,
}

/// What is wrong. None is helped by reading the frame again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireErrorKind {
    #[error("expected {0}")]
    Expected(&'static str),
    #[error("the text ends inside a value")]
    Unfinished,
    #[error("values are nested too deeply")]
    TooDeep,
    #[error("something follows the end of the message")]
    Trailing,
    #[error("field {field:?} {reason}")]
    Number {
        field: &'static str,
        reason: NumberError,
    },
    #[error("field {0:?} is missing")]
    Missing(&'static str),
    #[error("field {0:?} is no time in milliseconds or microseconds")]
    Time(&'static str),
    #[error("symbol is not the one of the stream")]
    Stream,
    #[error("first update id is above the last")]
    Ids,
}

impl WireErrorKind {
    pub(super) fn at(self, at: usize) -> WireError {
        WireError { kind: self, at }
    }
}
