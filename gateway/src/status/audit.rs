//! Statuses of the audit.

use super::{RETRY_DEPENDENCY, command, with_reason, with_retry};
use apex_bus::audit::AuditError;
use apex_bus::message::CommandError;
use tonic::{Code, Status};

/// A call that is not carried out, since it could not be recorded.
pub fn audit_down(error: &AuditError) -> Status {
    match error {
        // The same disk, and the same thing to do about it.
        AuditError::NoSpace => command(&CommandError::JournalFull),
        AuditError::Down(_) | AuditError::Overloaded { .. } | AuditError::Unreadable(_) => {
            let message = format!(
                "{error}: nothing was done; the kill switch, cancels and closing still work"
            );
            with_retry(
                Code::Unavailable,
                "AUDIT_UNAVAILABLE",
                message,
                RETRY_DEPENDENCY,
            )
        }
    }
}

/// A call that was carried out, and whose record may not be durable.
pub fn audit_unknown() -> Status {
    let message = "the record of this call is not known to be durable, so it is not answered: it may \
                   have been carried out, ask for what it was about, or send it again with the same id";
    with_reason(Code::DeadlineExceeded, "AUDIT_TIMEOUT", message, &[])
}

/// What cannot be read of the audit.
pub fn audit_unreadable(error: &AuditError) -> Status {
    with_retry(
        Code::Unavailable,
        "AUDIT_UNAVAILABLE",
        error.to_string(),
        RETRY_DEPENDENCY,
    )
}
