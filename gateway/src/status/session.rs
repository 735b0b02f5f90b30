//! Statuses of order sessions.

use super::{RETRY_DEPENDENCY, with_reason, with_retry};
use std::time::Duration;
use tonic::{Code, Status};

/// The end of a session that another stream has taken up, or that the account has ended.
pub fn session_over() -> Status {
    let message = "the session is over: another stream has taken it up, or nothing was heard of it \
                   for its timeout and its orders were canceled; look at your orders, then begin a \
                   new session";
    with_reason(Code::Aborted, "SESSION_OVER", message, &[])
}

/// The end of a session whose client said nothing for too long.
pub fn session_silent(timeout: Duration) -> Status {
    let message = format!(
        "nothing was heard for {} ms, so the orders of the session were canceled: send heartbeats \
         more often, look at your orders, then begin a new session",
        timeout.as_millis()
    );
    with_reason(Code::Aborted, "SESSION_SILENT", message, &[])
}

/// A goodbye that the account could not take.
pub fn session_not_let_go() -> Status {
    let message = "the account did not take the goodbye: the orders of the session are canceled \
                   after its timeout; take it up again by resume_session_id to keep them";
    with_retry(
        Code::Unavailable,
        "SESSION_NOT_LET_GO",
        message,
        RETRY_DEPENDENCY,
    )
}
