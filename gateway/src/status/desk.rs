//! Accounts that could not be made or reset.

use super::{RETRY_DEPENDENCY, command, invalid_field, shutting_down, with_reason, with_retry};
use apex_bus::accounts::DeskError;
use tonic::{Code, Status};

/// An account that was not made, or not reset.
pub fn desk(error: &DeskError) -> Status {
    let message = error.to_string();
    match error {
        DeskError::Invalid { field, detail } => invalid_field(field, detail),
        DeskError::Exists(account_id) => {
            let metadata = [("account_id", account_id.as_str())];
            with_reason(Code::AlreadyExists, "ACCOUNT_EXISTS", message, &metadata)
        }
        DeskError::RequestTaken(request_id) => {
            let metadata = [("request_id", request_id.as_str())];
            with_reason(Code::AlreadyExists, "REQUEST_ID_REUSED", message, &metadata)
        }
        DeskError::TooMany { .. } => {
            with_reason(Code::FailedPrecondition, "TOO_MANY_ACCOUNTS", message, &[])
        }
        DeskError::NotHere(_) => {
            with_reason(Code::FailedPrecondition, "NOT_IN_THIS_RUN", message, &[])
        }
        DeskError::NotReady { account_id, .. } => {
            tracing::error!(%account_id, %message, "an account was not made");
            with_retry(
                Code::Unavailable,
                "ACCOUNT_NOT_READY",
                message,
                RETRY_DEPENDENCY,
            )
        }
        DeskError::Stopping => shutting_down(),
        DeskError::Command(error) => command(error),
    }
}
