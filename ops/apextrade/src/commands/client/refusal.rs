//! A refused call on one line.

use std::path::Path;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Returns what was refused, why, and what to do where that is known: the status code, the reason
/// code, the fields that are wrong, else the server's words.
pub fn line(status: &Status, gateway: &str, token_file: &Path) -> String {
    let details = status.get_error_details();
    let mut words = vec![code_name(status.code()).to_owned()];
    if let Some(info) = details.error_info()
        && !info.reason.is_empty()
        && info.reason != code_name(status.code())
    {
        words.push(info.reason.clone());
    }
    let fields: Vec<String> = details
        .bad_request()
        .map(|bad| bad.field_violations.as_slice())
        .unwrap_or_default()
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect();
    let why = if fields.is_empty() {
        without_code(status.message(), words.last()).to_owned()
    } else {
        fields.join("; ")
    };
    let mut line = words.join(" ");
    if !why.is_empty() {
        line.push_str(": ");
        line.push_str(&why);
    }
    if let Some(advice) = advice(status.code(), gateway, token_file) {
        line.push_str("; ");
        line.push_str(&advice);
    }
    // Foreign text: nothing in it may end the line or steer the terminal.
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// An order's refusal repeats its reason code, which the line has already.
fn without_code<'a>(message: &'a str, reason: Option<&String>) -> &'a str {
    let told = |reason: &String| {
        message
            .strip_prefix("order denied: ")?
            .strip_prefix(reason.as_str())?
            .strip_prefix(": ")
    };
    reason.and_then(told).unwrap_or(message)
}

fn advice(code: Code, gateway: &str, token_file: &Path) -> Option<String> {
    match code {
        Code::Unauthenticated => Some(format!(
            "gateway {gateway} does not take the token at {}: pass --token-file, or --data-dir of \
             the gateway",
            token_file.display()
        )),
        Code::Unavailable => Some(format!(
            "gateway {gateway} cannot do it now: try again, the same id is safe"
        )),
        Code::DeadlineExceeded => {
            Some("the outcome is not known: look it up before you repeat it".to_owned())
        }
        _ => None,
    }
}

/// The name as in the gRPC specification.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    fn told(code: Code, message: &str, details: ErrorDetails) -> String {
        let status = Status::with_error_details(code, message, details);
        line(
            &status,
            "http://127.0.0.1:8000",
            Path::new("./data/admin.token"),
        )
    }

    #[test]
    fn a_refusal_by_rule_names_its_reason_code() {
        let details = ErrorDetails::with_error_info("MIN_NOTIONAL", "apextrade", []);
        assert_eq!(
            told(Code::FailedPrecondition, "notional 1 is below 10", details),
            "FAILED_PRECONDITION MIN_NOTIONAL: notional 1 is below 10"
        );
    }

    #[test]
    fn no_code_is_told_twice() {
        let details = ErrorDetails::with_error_info("MIN_NOTIONAL", "apextrade", []);
        let message = "order denied: MIN_NOTIONAL: notional 1 is below 10";
        assert_eq!(
            told(Code::FailedPrecondition, message, details),
            "FAILED_PRECONDITION MIN_NOTIONAL: notional 1 is below 10"
        );
        let details = ErrorDetails::with_error_info("UNAUTHENTICATED", "apextrade", []);
        let line = told(Code::Unauthenticated, "no such token", details);
        assert!(line.starts_with("UNAUTHENTICATED: no such token"), "{line}");
    }

    #[test]
    fn every_wrong_field_is_named() {
        let mut details = ErrorDetails::with_bad_request_violation("quantity", "is missing");
        details.add_bad_request_violation("side", "is unknown");
        assert_eq!(
            told(Code::InvalidArgument, "invalid", details),
            "INVALID_ARGUMENT: quantity: is missing; side: is unknown"
        );
    }

    #[test]
    fn a_wrong_token_says_where_it_came_from() {
        let line = told(Code::Unauthenticated, "no such token", ErrorDetails::new());
        assert!(line.contains("./data/admin.token"), "{line}");
        assert!(line.contains("--token-file"), "{line}");
    }

    #[test]
    fn foreign_text_stays_on_one_line() {
        assert_eq!(
            told(Code::NotFound, "no\norder\u{1b}[2J", ErrorDetails::new()),
            "NOT_FOUND: no order [2J"
        );
    }
}
