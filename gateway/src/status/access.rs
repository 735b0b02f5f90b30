//! Statuses of logins, users and keys.

use super::{DOMAIN, RETRY_DEPENDENCY, with_reason, with_retry};
use crate::auth::PasswordError;
use apex_bus::access::AccessError;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Passwords that wait are a second's worth.
const RETRY_PASSWORDS: Duration = Duration::from_secs(1);

/// The one answer to a wrong name, password, code, link or refresh token.
pub fn login_failed() -> Status {
    let message = "name, password or code is wrong, or the login is no longer valid: log in again";
    with_reason(Code::Unauthenticated, "LOGIN_FAILED", message, &[])
}

/// The password was right, and the user has a second factor.
pub fn totp_required() -> Status {
    let message = "this user has a second factor: send totp_code as well";
    with_reason(Code::FailedPrecondition, "TOTP_REQUIRED", message, &[])
}

/// Too many failed logins of a name, whether anybody has it or not.
pub fn login_locked(wait: Duration) -> Status {
    let message = "too many failed logins: wait as long as RetryInfo says";
    with_retry(Code::ResourceExhausted, "LOGIN_LOCKED", message, wait)
}

/// Too many logins of one address.
pub fn login_rate(wait: Duration) -> Status {
    let message = "too many logins from this address: wait as long as RetryInfo says";
    with_retry(Code::ResourceExhausted, "LOGIN_RATE", message, wait)
}

/// A password that could not be looked at.
pub fn password(error: PasswordError) -> Status {
    let message = error.to_string();
    match error {
        PasswordError::Busy => with_retry(
            Code::ResourceExhausted,
            "PASSWORDS_BUSY",
            message,
            RETRY_PASSWORDS,
        ),
        PasswordError::Broken => credentials_away(&message),
    }
}

/// The store of credentials does not answer, or something that it needs is not there.
pub fn credentials_away(detail: &str) -> Status {
    tracing::warn!(detail, "credentials could not be read or changed");
    let message =
        "credentials cannot be read or changed now: ask again, and look at the gateway's log";
    with_retry(
        Code::Unavailable,
        "CREDENTIALS_UNAVAILABLE",
        message,
        RETRY_DEPENDENCY,
    )
}

/// What the store of credentials said.
pub fn access(error: &AccessError) -> Status {
    match error {
        AccessError::Conflict => with_retry(
            Code::Aborted,
            "CREDENTIALS_CHANGED",
            "the credentials were changed at the same time: ask again",
            Duration::from_millis(50),
        ),
        AccessError::Unavailable(detail) => credentials_away(detail),
        AccessError::Unknown(detail) => {
            tracing::warn!(detail, "a change of credentials may or may not be stored");
            let message = "it is not known whether the change was stored: ask again with the same \
                           request_id, or look";
            with_reason(Code::DeadlineExceeded, "OUTCOME_UNKNOWN", message, &[])
        }
    }
}

/// The key is held to other kinds of methods.
pub fn scope_not_allowed() -> Status {
    let message = "this API key is held to scopes that do not have this method: use another key";
    with_reason(Code::PermissionDenied, "SCOPE", message, &[])
}

/// Somebody else chose the password.
pub fn must_change_password() -> Status {
    let message = "this password was chosen by somebody else: call ChangePassword first";
    with_reason(
        Code::FailedPrecondition,
        "PASSWORD_CHANGE_REQUIRED",
        message,
        &[],
    )
}

/// The old password is wrong.
pub fn wrong_password() -> Status {
    let message = "the password or code is wrong";
    with_reason(Code::FailedPrecondition, "WRONG_PASSWORD", message, &[])
}

/// A method of a session that was called with an API key.
pub fn no_session() -> Status {
    let message = "this call came with an API key, which has no session: log in, or revoke the key";
    with_reason(Code::FailedPrecondition, "NO_SESSION", message, &[])
}

/// A user without a password, or a second factor that is not there or was not begun.
pub fn not_set(what: &str) -> Status {
    let message = format!("this user has no {what}");
    with_reason(Code::FailedPrecondition, "NOT_SET", message, &[])
}

/// A second factor that is on already.
pub fn totp_is_on() -> Status {
    let message = "a second factor is on: call DisableTotp first";
    with_reason(Code::FailedPrecondition, "TOTP_IS_ON", message, &[])
}

/// A caller that is held to less than its user asks for credentials, or for more than it has.
pub fn not_yours(what: &str) -> Status {
    with_reason(Code::PermissionDenied, "NOT_YOURS", what, &[])
}

pub fn user_not_found() -> Status {
    let message = "there is no such user: look at ListUsers";
    with_reason(Code::NotFound, "USER_NOT_FOUND", message, &[])
}

pub fn key_not_found() -> Status {
    let message = "there is no such key of yours: look at ListApiKeys";
    with_reason(Code::NotFound, "KEY_NOT_FOUND", message, &[])
}

pub fn user_exists(user_id: &str) -> Status {
    let message = "there is a user of this name, maybe in other case";
    let metadata = [("user_id", user_id)];
    with_reason(Code::AlreadyExists, "USER_EXISTS", message, &metadata)
}

/// More users, keys or sessions than are kept in memory.
pub fn too_many(what: &str, limit: usize) -> Status {
    let message = format!("there are {limit} {what}, which is the most: take some away first");
    with_reason(Code::FailedPrecondition, "TOO_MANY", message, &[])
}

/// The platform would be left without anybody who can set it up.
pub fn last_admin() -> Status {
    let message = "this is the last admin: give another user the role first";
    with_reason(Code::FailedPrecondition, "LAST_ADMIN", message, &[])
}

/// The same request id with other content.
pub fn request_reused(request_id: &str) -> Status {
    let message = "this request_id was used for something else: take a new one";
    let metadata = [("request_id", request_id)];
    with_reason(Code::AlreadyExists, "REQUEST_ID_REUSED", message, &metadata)
}

/// What was seen is no longer so.
pub fn stale_version(expected: u64, actual: u64) -> Status {
    let (expected, actual) = (expected.to_string(), actual.to_string());
    let message = format!("version {expected} was seen and {actual} is there now: look again");
    let metadata = HashMap::from([
        ("expected_version".to_owned(), expected),
        ("version".to_owned(), actual),
    ]);
    let details = ErrorDetails::with_error_info("STALE_VERSION", DOMAIN, metadata);
    Status::with_error_details(Code::Aborted, message, details)
}

/// What a stream's caller may was changed: what it may see now is another stream.
pub fn rights_changed() -> Status {
    let message =
        "the rights of this caller were changed: open the stream again, from its resume token";
    with_retry(
        Code::Aborted,
        "RIGHTS_CHANGED",
        message,
        Duration::from_millis(100),
    )
}
