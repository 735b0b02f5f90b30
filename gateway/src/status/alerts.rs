//! Alerts and preferences that were not changed.

use super::{RETRY_BUSY, RETRY_DEPENDENCY, invalid_field, with_reason, with_retry};
use apex_bus::alerts::AlertError;
use apex_bus::preferences::PreferenceError;
use tonic::{Code, Status};

fn stale(message: &str, expected: u64, actual: u64) -> Status {
    let (expected, actual) = (expected.to_string(), actual.to_string());
    let metadata = [("expected_version", &*expected), ("version", &*actual)];
    with_reason(Code::Aborted, "STALE_VERSION", message, &metadata)
}

fn taken(message: &str, request_id: &str) -> Status {
    let metadata = [("request_id", request_id)];
    with_reason(Code::AlreadyExists, "REQUEST_ID_REUSED", message, &metadata)
}

/// A change of alerts that was not made.
pub fn alert(error: &AlertError) -> Status {
    let message = error.to_string();
    match error {
        AlertError::AlertNotFound => with_reason(Code::NotFound, "ALERT_NOT_FOUND", message, &[]),
        AlertError::AlertOver => {
            with_reason(Code::FailedPrecondition, "ALERT_RESOLVED", message, &[])
        }
        AlertError::RuleNotFound(_) => {
            with_reason(Code::NotFound, "ALERT_RULE_NOT_FOUND", message, &[])
        }
        AlertError::StaleVersion { expected, actual } => stale(&message, *expected, *actual),
        AlertError::TooManyRules { .. } => with_reason(
            Code::FailedPrecondition,
            "TOO_MANY_ALERT_RULES",
            message,
            &[],
        ),
        AlertError::Invalid { field, detail } => invalid_field(field, detail),
        AlertError::RequestTaken(request_id) => taken(&message, request_id.as_str()),
        AlertError::NoChannel { .. } => {
            with_reason(Code::NotFound, "ALERT_CHANNEL_NOT_FOUND", message, &[])
        }
        AlertError::Unavailable(_) => {
            with_retry(Code::Unavailable, "ALERTS", message, RETRY_DEPENDENCY)
        }
        AlertError::Busy => with_retry(Code::ResourceExhausted, "ALERTS_BUSY", message, RETRY_BUSY),
    }
}

/// Preferences that were not read or changed.
pub fn preference(error: &PreferenceError) -> Status {
    let message = error.to_string();
    match error {
        PreferenceError::StaleVersion { expected, actual } => stale(&message, *expected, *actual),
        PreferenceError::TooMany { .. } => with_reason(
            Code::FailedPrecondition,
            "TOO_MANY_PREFERENCES",
            message,
            &[],
        ),
        PreferenceError::RequestTaken(request_id) => taken(&message, request_id.as_str()),
        PreferenceError::Unavailable(_) => {
            with_retry(Code::Unavailable, "PREFERENCES", message, RETRY_DEPENDENCY)
        }
    }
}
