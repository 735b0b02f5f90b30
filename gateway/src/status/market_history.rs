//! Recorded market data that cannot be had.

use super::{RETRY_DEPENDENCY, with_reason, with_retry};
use tonic::{Code, Status};

/// Market data that this run does not record.
pub fn not_recorded(message: &str) -> Status {
    with_reason(Code::FailedPrecondition, "NOT_RECORDED", message, &[])
}

/// Recorded market data that cannot be read now.
pub fn unreadable() -> Status {
    let message =
        "recorded market data cannot be read now; ask again, and look at the gateway's log";
    with_retry(Code::Unavailable, "HISTORY", message, RETRY_DEPENDENCY)
}
