//! Why a calendar gives no answer.

use thiserror::Error;

/// None of these passes by waiting: the caller mends the argument or the table.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CalendarError {
    /// No calendar has this name.
    #[error("calendar \"{name}\" is not known; known are {known}")]
    UnknownCalendar { name: String, known: String },
    /// The argument, or the answer to it, is beyond what calendars know.
    #[error("{field} {value} is outside 2000-01-01 to 2037-12-31, the range of calendars")]
    OutOfRange { field: &'static str, value: String },
    /// A text that cannot be read.
    #[error("{field} \"{text}\" is not {expected}")]
    Text {
        field: &'static str,
        text: String,
        expected: &'static str,
    },
    /// A calendar's data contradict themselves.
    #[error("calendar \"{calendar}\": {field}: {why}")]
    Spec {
        calendar: String,
        field: String,
        why: String,
    },
}
