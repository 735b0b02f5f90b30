//! Statuses of what is too fast or too much.

use super::{RETRY_DEPENDENCY, with_reason, with_retry};
use std::time::Duration;
use tonic::{Code, Status};

/// A key that calls faster than it may.
pub fn too_fast(wait: Duration) -> Status {
    with_retry(
        Code::ResourceExhausted,
        "CALL_RATE",
        "too many calls a second: wait as long as RetryInfo says",
        wait,
    )
}

/// An address that waits for too many answers at once.
pub fn too_many_calls(limit: usize) -> Status {
    let message =
        format!("{limit} calls of this address wait for their answer: wait for some first");
    with_retry(Code::ResourceExhausted, "CALLS", message, RETRY_DEPENDENCY)
}

/// A message that is larger than its method takes.
pub fn message_too_large(limit: u32) -> Status {
    let message = format!("the message is larger than the {limit} bytes that this method takes");
    let limit = limit.to_string();
    let metadata = [("message_bytes", limit.as_str())];
    with_reason(Code::OutOfRange, "MESSAGE_TOO_LARGE", message, &metadata)
}

/// A stream that has reached a bound of its kind.
pub fn too_many_streams(limit: usize) -> Status {
    let message = format!("{limit} streams of this kind are open, try again later");
    with_retry(
        Code::ResourceExhausted,
        "STREAMS",
        message,
        RETRY_DEPENDENCY,
    )
}

/// The end of a stream whose client did not read.
pub fn stalled_client(after: Duration) -> Status {
    let message = format!(
        "the client did not read for {} s: resume when it does",
        after.as_secs()
    );
    with_retry(
        Code::ResourceExhausted,
        "STALLED_CLIENT",
        message,
        RETRY_DEPENDENCY,
    )
}
