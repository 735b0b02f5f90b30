//! What an answer of the server means, and which of them are worth asking again.

use crate::StorageError;
use rusoto_core::RusotoError;
use rusoto_core::request::BufferedHttpResponse;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

/// Every request here can be sent again: it does the same once more.
const ATTEMPTS: u32 = 4;

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
        let error = match request().await {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) => error,
        };
        match meaning(&error) {
            Meaning::Absent => return Ok(None),
            Meaning::Refused(detail) => return Err(unavailable(name, &detail)),
            Meaning::Unclear(detail) if attempt == ATTEMPTS => {
                return Err(unavailable(name, &detail));
            }
            Meaning::Unclear(detail) => {
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
        401 | 403 => Meaning::Refused(format!(
            "{detail}: check APEX_S3_ACCESS_KEY and APEX_S3_SECRET_KEY"
        )),
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
        variable: "APEX_S3_ENDPOINT",
    }
}
