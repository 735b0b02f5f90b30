//! A refused call on one line.

use std::path::Path;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// No venue saw the order, which stands as rejected under its id.
const NOT_SENT: &str = "NOT_SENT";

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
        .map(|violation| field_line(&violation.field, &violation.description))
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
    let reason = words.get(1).map(String::as_str);
    let by_code = match reason {
        // Its own words say what became of it and what to do: the same id would not do.
        Some(NOT_SENT) => None,
        _ => advice(status.code(), gateway, token_file),
    };
    if let Some(advice) = by_code.or_else(|| reason.and_then(rule_advice)) {
        line.push_str("; ");
        line.push_str(&advice);
    }
    // Foreign text: nothing in it may end the line or steer the terminal.
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Most descriptions name what they are about already.
fn field_line(field: &str, description: &str) -> String {
    if description.split(' ').next() == Some(field) {
        description.to_owned()
    } else {
        format!("{field}: {description}")
    }
}

/// A refusal by rule repeats its reason code, which the line has already.
fn without_code<'a>(message: &'a str, reason: Option<&String>) -> &'a str {
    let told = |reason: &String| {
        message
            .strip_prefix("order denied: ")
            .unwrap_or(message)
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

/// Returns what to do about an order or change that a rule refused, by its reason code.
fn rule_advice(reason: &str) -> Option<String> {
    let advice = match reason {
        "PRICE_INCREMENT" | "QUANTITY_INCREMENT" | "MIN_QUANTITY" | "MAX_QUANTITY"
        | "MIN_NOTIONAL" | "UNSUPPORTED" => {
            "see what the instrument takes with `apextrade instruments --json`"
        }
        "MAX_NOTIONAL" | "PRICE_COLLAR" | "POSITION_LIMIT" | "EXPOSURE_LIMIT"
        | "OPEN_ORDER_LIMIT" | "ORDER_RATE" | "CONCENTRATION" => {
            "see the limits with `apextrade risk limits get`"
        }
        "INSUFFICIENT_BUYING_POWER" => {
            "lower the amount, or see what is there with `apextrade accounts --json` and \
             `apextrade positions`"
        }
        "NO_REFERENCE_PRICE" | "NO_CONVERSION_RATE" => {
            "the feed has told no fresh price: wait for it, or give a limit price"
        }
        "TRADING_HALTED" | "TRADING_REDUCING" => {
            "see why with `apextrade risk changes`, then `apextrade risk resume --account ACCOUNT \
             --reason \"...\"`"
        }
        "REDUCE_ONLY" => "see the position with `apextrade positions`",
        "POSITION_TOO_SMALL" => {
            "see the side with `apextrade positions`, and what closes it with `apextrade orders`"
        }
        "POSITION_SIDE_IN_NETTING" | "POSITION_SIDE_REQUIRED" => {
            "see how the account keeps positions with `apextrade accounts`"
        }
        "POSITION_MODE_IN_USE" => "close everything with `apextrade accounts flatten`",
        "SELF_TRADE" => "cancel the own order that it would trade with, or move the price",
        "MARKET_CLOSED" => "see the sessions with `apextrade calendar`",
        "ACCOUNT_NOT_IDLE" => {
            "see what is there with `apextrade orders` and `apextrade positions`, and end it with \
             `apextrade accounts flatten`"
        }
        "ORDER_NOT_UNKNOWN" => "cancel it with `apextrade orders cancel`",
        "ORDER_NOT_FOUND" => "list them with `apextrade orders`",
        _ => return None,
    };
    Some(advice.to_owned())
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
            "FAILED_PRECONDITION MIN_NOTIONAL: notional 1 is below 10; see what the instrument takes \
             with `apextrade instruments --json`"
        );
    }

    #[test]
    fn a_field_that_its_description_names_is_not_named_twice() {
        let details = ErrorDetails::with_bad_request_violation("side", "side is unknown");
        assert_eq!(
            told(Code::InvalidArgument, "invalid", details),
            "INVALID_ARGUMENT: side is unknown"
        );
    }

    #[test]
    fn no_code_is_told_twice() {
        let details = ErrorDetails::with_error_info("MIN_NOTIONAL", "apextrade", []);
        for message in [
            "order denied: MIN_NOTIONAL: notional 1 is below 10",
            "MIN_NOTIONAL: notional 1 is below 10",
        ] {
            let line = told(Code::FailedPrecondition, message, details.clone());
            let start = "FAILED_PRECONDITION MIN_NOTIONAL: notional 1 is below 10; ";
            assert!(line.starts_with(start), "{line}");
        }
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
    fn the_same_id_is_called_safe_only_where_it_is() {
        let details = |reason: &str| ErrorDetails::with_error_info(reason, "apextrade", []);
        let away = told(Code::Unavailable, "it is away", details("JOURNAL_AWAY"));
        assert!(away.contains("the same id is safe"), "{away}");
        let message = "it stands as rejected: send it again under a new id";
        assert_eq!(
            told(Code::Unavailable, message, details("NOT_SENT")),
            format!("UNAVAILABLE NOT_SENT: {message}")
        );
    }

    #[test]
    fn foreign_text_stays_on_one_line() {
        assert_eq!(
            told(Code::NotFound, "no\norder\u{1b}[2J", ErrorDetails::new()),
            "NOT_FOUND: no order [2J"
        );
    }
}
