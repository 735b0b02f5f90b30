//! The only place where gRPC statuses are made.
//!
//! | what happened | code | details |
//! |---|---|---|
//! | a field cannot be read, is out of range or names something unknown | `INVALID_ARGUMENT` | `BadRequest` |
//! | a rule says no | `FAILED_PRECONDITION` | `ErrorInfo`, reason = the reason code |
//! | the same id with other content | `ALREADY_EXISTS` | `ErrorInfo` |
//! | the thing changed in between | `ABORTED` | `ErrorInfo` |
//! | too fast, too much | `RESOURCE_EXHAUSTED` | `ErrorInfo`, `RetryInfo` |
//! | something needed is not there now | `UNAVAILABLE` | `ErrorInfo`, `RetryInfo` |
//! | the outcome is not known | `DEADLINE_EXCEEDED` | `ErrorInfo` |
//!
//! `UNKNOWN` and `INTERNAL` are made nowhere: whatever a caller can cause has a name.

mod access;
mod alerts;
mod audit;
mod desk;
mod limits;
mod market_history;
mod not_found;
mod order_feed;
mod session;
mod strategies;

pub use access::*;
pub use alerts::*;
pub use audit::*;
pub use desk::*;
pub use limits::*;
pub use market_history::*;
pub use not_found::*;
pub use order_feed::*;
pub use session::*;
pub use strategies::*;

use apex_bus::handle::{HistoryError, PastError};
use apex_bus::message::{CommandError, ExposureError};
use apex_bus::topic::SubscribeError;
use apex_domain::InstrumentId;
use apex_domain::account::Refusal;
use apex_domain::order::{Misfit, Order};
use apex_domain::risk::platform::ChangeRefusal;
use apex_proto::FieldErrors;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// `ErrorInfo.domain` of everything that the platform says.
pub const DOMAIN: &str = "apextrade";

/// A command that finds an account busy may come again after a group commit or two.
const RETRY_BUSY: Duration = Duration::from_millis(50);

/// A dependency that is away comes back in seconds at best.
const RETRY_DEPENDENCY: Duration = Duration::from_secs(1);

fn with_reason(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    metadata: &[(&str, &str)],
) -> Status {
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Status::with_error_details(
        code,
        message,
        ErrorDetails::with_error_info(reason, DOMAIN, metadata),
    )
}

fn with_retry(code: Code, reason: &str, message: impl Into<String>, after: Duration) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    details.set_retry_info(Some(after));
    Status::with_error_details(code, message, details)
}

/// Bytes of violations that one status tells. It travels in header fields, twice, of which clients and
/// proxies take 8 to 16 KiB; a client that gets more breaks its connection off.
const VIOLATIONS: usize = 1_536;

/// Fields that cannot be taken. Of very many the first are told, and how many there are.
pub fn invalid(errors: &FieldErrors) -> Status {
    let all = errors.errors();
    let (mut violations, mut texts, mut bytes) = (Vec::new(), Vec::new(), 0);
    for error in all {
        // What a client wrote may stand in it, at any length.
        let end = error.description.floor_char_boundary(VIOLATIONS / 2);
        let description = &error.description[..end];
        bytes += error.field.len() + description.len();
        if bytes > VIOLATIONS && !violations.is_empty() {
            texts.push(format!("and {} more", all.len() - violations.len()));
            break;
        }
        texts.push(FieldErrors::one(error.field.clone(), description).to_string());
        violations.push(FieldViolation::new(error.field.clone(), description));
    }
    let details = ErrorDetails::with_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, texts.join("; "), details)
}

/// One field that cannot be taken.
pub fn invalid_field(field: &str, description: impl std::fmt::Display) -> Status {
    invalid(&FieldErrors::one(field, description))
}

/// An order that our own checks refused and that is kept as denied.
pub fn denied(order: &Order) -> Status {
    let code = order.reason_code.map_or("DENIED", |code| code.as_str());
    let message = format!("order denied: {code}: {}", order.reason);
    let metadata = [
        ("order_id", order.order_id.as_str()),
        ("client_order_id", order.request.client_order_id.as_str()),
        ("account_id", order.account_id.as_str()),
    ];
    with_reason(Code::FailedPrecondition, code, message, &metadata)
}

/// An amend to a number that fits no increment.
pub fn misfit(misfit: &Misfit) -> Status {
    let code = misfit.reason_code().as_str();
    with_reason(
        Code::FailedPrecondition,
        code,
        format!("{code}: {misfit}"),
        &[],
    )
}

/// A split where the market has none.
pub fn no_split(instrument_id: &InstrumentId) -> Status {
    with_reason(
        Code::FailedPrecondition,
        "NO_SPLIT_HERE",
        format!(
            "{instrument_id} trades on a simulated market or a recording, whose prices go on in old \
             units: splits are for accounts at live prices, and backtests take them from \
             --corporate-actions"
        ),
        &[],
    )
}

/// A command that has no answer from its account.
pub fn command(error: &CommandError) -> Status {
    let message = error.to_string();
    match error {
        CommandError::Refused(refusal) => refused(refusal),
        CommandError::JournalFull => {
            with_retry(Code::Unavailable, "JOURNAL_FULL", message, RETRY_DEPENDENCY)
        }
        CommandError::JournalAway => {
            with_retry(Code::Unavailable, "JOURNAL_AWAY", message, RETRY_DEPENDENCY)
        }
        // The same id again would only answer the rejected order.
        CommandError::NotSent => with_reason(Code::Unavailable, "NOT_SENT", message, &[]),
        CommandError::VenueDown => {
            with_retry(Code::Unavailable, "VENUE_DOWN", message, RETRY_DEPENDENCY)
        }
        CommandError::Overloaded { .. } => {
            with_retry(Code::ResourceExhausted, "OVERLOADED", message, RETRY_BUSY)
        }
        CommandError::Timeout { .. } => {
            with_reason(Code::DeadlineExceeded, "OUTCOME_UNKNOWN", message, &[])
        }
        CommandError::Stopped => with_retry(
            Code::Unavailable,
            "ACCOUNT_STOPPED",
            message,
            RETRY_DEPENDENCY,
        ),
    }
}

fn refused(refusal: &Refusal) -> Status {
    let message = refusal.to_string();
    match refusal {
        Refusal::AlreadyExists(id) | Refusal::UsedAtVenue(id) => {
            let metadata = [("client_order_id", id.as_str())];
            with_reason(
                Code::AlreadyExists,
                "CLIENT_ORDER_ID_REUSED",
                message,
                &metadata,
            )
        }
        Refusal::ListExists(id) => {
            let metadata = [("order_list_id", id.as_str())];
            with_reason(
                Code::AlreadyExists,
                "ORDER_LIST_ID_REUSED",
                message,
                &metadata,
            )
        }
        Refusal::RequestExists(id) => {
            let metadata = [("request_id", id.as_str())];
            with_reason(Code::AlreadyExists, "REQUEST_ID_REUSED", message, &metadata)
        }
        Refusal::OrderNotFound => order_not_found(),
        Refusal::ForeignOrderNotFound(_) => {
            with_reason(Code::NotFound, "FOREIGN_ORDER_NOT_FOUND", message, &[])
        }
        Refusal::UnknownInstrument(_) => invalid_field("instrument_id", message),
        Refusal::StaleSequence { expected, actual } => {
            let (expected, actual) = (expected.to_string(), actual.to_string());
            let metadata = [("expected_sequence", &*expected), ("sequence", &*actual)];
            with_reason(Code::Aborted, "STALE_SEQUENCE", message, &metadata)
        }
        Refusal::OrderClosed(_) => {
            with_reason(Code::FailedPrecondition, "ORDER_CLOSED", message, &[])
        }
        Refusal::OrderNotUnknown(_) => {
            with_reason(Code::FailedPrecondition, "ORDER_NOT_UNKNOWN", message, &[])
        }
        Refusal::ChangePending => {
            with_reason(Code::FailedPrecondition, "CHANGE_PENDING", message, &[])
        }
        Refusal::Rule { code, .. } => {
            with_reason(Code::FailedPrecondition, code.as_str(), message, &[])
        }
        Refusal::PositionModeInUse { positions, orders } => {
            let (positions, orders) = (positions.to_string(), orders.to_string());
            let metadata = [("positions", &*positions), ("orders", &*orders)];
            with_reason(
                Code::FailedPrecondition,
                "POSITION_MODE_IN_USE",
                message,
                &metadata,
            )
        }
        Refusal::TooManyClosings(_) => {
            with_reason(Code::ResourceExhausted, "TOO_MANY_CLOSINGS", message, &[])
        }
        Refusal::SessionOver => with_reason(Code::FailedPrecondition, "SESSION_OVER", message, &[]),
        Refusal::TooManySessions(_) => with_retry(
            Code::ResourceExhausted,
            "TOO_MANY_SESSIONS",
            message,
            RETRY_DEPENDENCY,
        ),
        Refusal::NotIdle { .. } => {
            with_reason(Code::FailedPrecondition, "ACCOUNT_NOT_IDLE", message, &[])
        }
        Refusal::NotOpen => with_retry(
            Code::Unavailable,
            "ACCOUNT_NOT_OPEN",
            message,
            RETRY_DEPENDENCY,
        ),
        Refusal::Invalid { field, detail } => invalid_field(on_wire(field), detail),
        Refusal::InvalidOrder {
            place,
            field,
            detail,
        } => invalid_field(&format!("orders[{place}].{}", on_wire(field)), detail),
    }
}

/// The wire says the unit of a time in its name.
fn on_wire(field: &'static str) -> &'static str {
    if field == "expire_at" {
        "expire_at_ns"
    } else {
        field
    }
}

/// The platform's limit that cannot be told or changed.
pub fn exposure(error: &ExposureError) -> Status {
    let message = error.to_string();
    match error {
        ExposureError::Refused(ChangeRefusal::StaleSequence { expected, actual }) => {
            let (expected, actual) = (expected.to_string(), actual.to_string());
            let metadata = [("expected_sequence", &*expected), ("sequence", &*actual)];
            with_reason(Code::Aborted, "STALE_SEQUENCE", message, &metadata)
        }
        ExposureError::Refused(ChangeRefusal::RequestIdTaken) => {
            with_reason(Code::AlreadyExists, "REQUEST_ID_REUSED", message, &[])
        }
        ExposureError::Refused(ChangeRefusal::Negative) => {
            invalid_field("max_exposure", "must not be negative")
        }
        ExposureError::NotWritten(_) => {
            with_retry(Code::Unavailable, "NOT_WRITTEN", message, RETRY_DEPENDENCY)
        }
        ExposureError::NoLimit => {
            with_reason(Code::FailedPrecondition, "NO_PLATFORM_LIMIT", message, &[])
        }
        ExposureError::Stopped => with_retry(
            Code::Unavailable,
            "EXPOSURE_STOPPED",
            message,
            RETRY_DEPENDENCY,
        ),
    }
}

/// No credentials, or bad ones. Why exactly is not told.
pub fn unauthenticated() -> Status {
    let message = "send `authorization: Bearer <token>` with a valid token";
    with_reason(Code::Unauthenticated, "UNAUTHENTICATED", message, &[])
}

/// The caller's role does not allow the method.
pub fn role_not_allowed(role: &str) -> Status {
    let message = format!("role {role} may not call this method: use a token of a role that may");
    with_reason(Code::PermissionDenied, "ROLE", message, &[("role", role)])
}

/// The account is not granted to the caller, or does not exist.
pub fn account_not_granted() -> Status {
    let message = "the account is not granted to this user: name another, or ask for a grant";
    with_reason(Code::PermissionDenied, "ACCOUNT_NOT_GRANTED", message, &[])
}

/// The Host header names nothing that this gateway is called.
pub fn wrong_host() -> Status {
    let message = "the Host (:authority) is none of this gateway's names: call it by the address \
                   that it listens on";
    with_reason(Code::PermissionDenied, "HOST", message, &[])
}

/// The Origin header is not of this gateway and not allowed.
pub fn wrong_origin() -> Status {
    let message = "the Origin is not allowed: load the page from the gateway itself";
    with_reason(Code::PermissionDenied, "ORIGIN", message, &[])
}

/// A topic that has no seat, or is closed.
pub fn subscribe(error: &SubscribeError) -> Status {
    match error {
        SubscribeError::Closed { .. } => shutting_down(),
        SubscribeError::TooManySubscribers { limit, .. } => too_many_streams(*limit),
    }
}

/// The gateway stops. Each client is told another time to come again, so that they do not come all
/// at once.
pub fn shutting_down() -> Status {
    let message = "the gateway is shutting down: resume at another one or later";
    with_retry(Code::Unavailable, "SHUTTING_DOWN", message, jitter())
}

/// The time over which clients come again when a gateway stops: a thousand of them are then one each
/// two milliseconds.
const RETRY_ELSEWHERE: std::ops::Range<u64> = 100..2_100;

fn jitter() -> Duration {
    use std::hash::{BuildHasher, RandomState};
    // Two hashers of one process have different keys.
    let random = RandomState::new().hash_one(());
    let width = RETRY_ELSEWHERE.end - RETRY_ELSEWHERE.start;
    Duration::from_millis(RETRY_ELSEWHERE.start + random % width)
}

/// The journal of an account cannot be read.
pub fn history(error: &HistoryError) -> Status {
    with_retry(
        Code::Unavailable,
        "HISTORY",
        format!("{error}; ask again, and look at the gateway's log"),
        RETRY_DEPENDENCY,
    )
}

/// An account as it was cannot be shown.
pub fn past(error: &PastError) -> Status {
    match error {
        PastError::NotOpenYet { account_id, opened } => {
            let opened_ns = opened.0.to_string();
            let message = format!(
                "account \"{account_id}\" was opened at {opened_ns} ns: ask for that time or later"
            );
            let metadata = [
                ("account_id", account_id.as_str()),
                ("opened_ns", opened_ns.as_str()),
            ];
            with_reason(Code::NotFound, "BEFORE_ACCOUNT_OPENED", message, &metadata)
        }
        PastError::TooLong { .. } => {
            let message = format!("{error} in the time of one call: ask again, and it goes on");
            with_retry(
                Code::ResourceExhausted,
                "AS_OF_TOO_LONG",
                message,
                RETRY_BUSY,
            )
        }
        PastError::History(error) => history(error),
    }
}

/// Others read the past for as long as a call may wait.
pub fn past_is_busy(limit: Duration) -> Status {
    let message = format!(
        "other calls have read the past for {} ms: ask again in a moment",
        limit.as_millis()
    );
    with_retry(
        Code::ResourceExhausted,
        "AS_OF_BUSY",
        message,
        RETRY_DEPENDENCY,
    )
}

/// The call took longer than the gateway allows.
pub fn request_timeout(limit: Duration) -> Status {
    let message = format!(
        "no answer within {} ms, the outcome is not known: look it up before you repeat it",
        limit.as_millis()
    );
    with_reason(Code::DeadlineExceeded, "OUTCOME_UNKNOWN", message, &[])
}

/// Bytes that are no message of the method.
pub fn undecodable() -> Status {
    let description = "cannot be decoded as the request of this method: compare the .proto files";
    invalid_field("message", description)
}

/// The method is part of the API but not of this process.
pub fn not_here(what: &str) -> Status {
    Status::new(
        Code::Unimplemented,
        format!("this gateway has no {what}: ask one that has"),
    )
}

/// A strategy session that cannot begin.
pub fn session(refusal: &crate::SessionRefusal) -> Status {
    use crate::SessionRefusal as Refusal;
    let message = refusal.to_string();
    match refusal {
        Refusal::Field { field, description } => invalid_field(field, description),
        Refusal::NotGranted => account_not_granted(),
        Refusal::AlreadyConnected => {
            with_reason(Code::AlreadyExists, "SESSION_EXISTS", message, &[])
        }
        Refusal::Barred { .. } => with_reason(
            Code::FailedPrecondition,
            "STRATEGY_NOT_STARTED",
            message,
            &[],
        ),
        Refusal::Unavailable { .. } => {
            with_retry(Code::Unavailable, "STRATEGIES", message, RETRY_DEPENDENCY)
        }
    }
}

#[cfg(test)]
mod tests;
