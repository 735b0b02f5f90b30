//! What an answer of the server means, and which of them are worth asking again.

use super::VARIABLE;
use super::silence::SILENT;
use crate::StorageError;
use rusoto_core::RusotoError;
use rusoto_core::request::BufferedHttpResponse;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

/// What to do where the server refuses who asks.
pub(super) const KEYS: &str =
    "check APEX_S3_ACCESS_KEY and APEX_S3_SECRET_KEY, and what they may do in the bucket";

/// Every request here can be sent again: it does the same once more.
const ATTEMPTS: u32 = 4;

/// A server that is silent has been waited for already: one more look, in case it was one slow
/// moment.
const SILENT_ATTEMPTS: u32 = 2;

/// How long one request may take although there are signs of life: a server that sends a byte now
/// and then must not hold a command for ever. An object of 64 MiB at 1 Mbit/s takes nine minutes.
const WHOLE: Duration = Duration::from_secs(600);

/// The pause before the second attempt; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends a request until it is answered. `None` is "there is no such thing".
pub(super) async fn retry<T, E, F>(
    name: &str,
    request: impl Fn() -> F,
) -> Result<Option<T>, StorageError>
where
    E: Error + 'static,
    F: Future<Output = Result<T, RusotoError<E>>>,
{
    let mut pause = PAUSE;
    for attempt in 1.. {
        let error = match tokio::time::timeout(WHOLE, request()).await {
            Ok(Ok(answer)) => return Ok(Some(answer)),
            Ok(Err(error)) => error,
            Err(_) => {
                let detail = format!("one request took longer than {} s", WHOLE.as_secs());
                return Err(unavailable(name, &detail));
            }
        };
        match meaning(&error) {
            Meaning::Absent => return Ok(None),
            Meaning::Refused(detail) => return Err(unavailable(name, &detail)),
            Meaning::Unclear(detail) => {
                let attempts = if detail.contains(SILENT) {
                    SILENT_ATTEMPTS
                } else {
                    ATTEMPTS
                };
                if attempt >= attempts {
                    return Err(unavailable(name, &detail));
                }
                tracing::debug!(server = name, detail, attempt, "asking S3 again");
            }
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Err(unavailable(name, "it was asked too often"))
}

enum Meaning {
    Absent,
    /// Asking again gives the same.
    Refused(String),
    Unclear(String),
}

fn meaning<E: Error + 'static>(error: &RusotoError<E>) -> Meaning {
    match error {
        RusotoError::Service(error) => {
            let text = error.to_string();
            if text.starts_with("NoSuchKey") || text.contains("does not exist") {
                return Meaning::Absent;
            }
            Meaning::Refused(text)
        }
        RusotoError::Unknown(answer) => by_status(answer),
        RusotoError::HttpDispatch(error) => Meaning::Unclear(error.to_string()),
        RusotoError::Credentials(error) => Meaning::Refused(error.message.clone()),
        RusotoError::Validation(detail) | RusotoError::ParseError(detail) => {
            Meaning::Refused(detail.clone())
        }
        RusotoError::Blocking => Meaning::Unclear("it was asked from the wrong thread".to_owned()),
    }
}

fn by_status(answer: &BufferedHttpResponse) -> Meaning {
    let status = answer.status.as_u16();
    let detail = match tag(answer.body_as_str(), "Code") {
        Some(code) => {
            let message = tag(answer.body_as_str(), "Message").unwrap_or_default();
            format!("{code}: {message} ({status})")
        }
        None => format!("it answered {status}"),
    };
    match status {
        404 => Meaning::Absent,
        429 | 500..=599 => Meaning::Unclear(detail),
        401 | 403 => Meaning::Refused(format!("{detail}: {KEYS}")),
        _ => Meaning::Refused(detail),
    }
}

/// Returns the text of an element of the server's answer.
fn tag<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}

pub(super) fn unavailable(name: &str, detail: &str) -> StorageError {
    StorageError::Unavailable {
        server: format!("S3 at {name}"),
        detail: detail.to_owned(),
        variable: VARIABLE,
    }
}
