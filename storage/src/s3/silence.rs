//! How long a server may give no sign of life. A server that is frozen takes a connection and a
//! request, since the system does that for it, and then says nothing for ever.

use super::VARIABLE;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the error of a silent server begins with: it is asked once more, not as often as one that
/// breaks a connection.
pub(super) const SILENT: &str = "it gives no sign of life";

/// How much of a request goes to the connection at a time. That it took some is a sign of life.
const SLICE: usize = 64 * 1024;

/// After so long the log says what is waited for; the error comes when the whole patience is over.
const TELL: Duration = Duration::from_secs(5);

/// How long the answer to a request with much content may take, from its last byte on: what the
/// system took of it may still be on its way, and a busy server writes it down first.
const ANSWER: Duration = Duration::from_secs(60);

/// Content of so many bytes is much.
const MUCH: u64 = 1 << 20;

/// Returns true for a request whose answer takes more than a moment: one with much content, and one
/// that has an object made of parts that are there.
pub(super) fn is_work(method: &str, content_bytes: u64) -> bool {
    content_bytes >= MUCH || (method == "POST" && content_bytes > 0)
}

fn silent(patience: Duration) -> String {
    format!("{SILENT} for {} s", patience.as_secs_f32())
}

/// When the server was last heard of, and how much of the request it has still to take.
#[derive(Clone, Debug)]
pub(super) struct Signs {
    last: Arc<Mutex<(Instant, u64)>>,
    is_work: bool,
}

impl Signs {
    /// Those of a request with so much content; see [`is_work`].
    pub fn new(content_bytes: u64, is_work: bool) -> Signs {
        Signs {
            last: Arc::new(Mutex::new((Instant::now(), content_bytes))),
            is_work,
        }
    }

    /// Notes that the server took so many bytes.
    fn note(&self, bytes: u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (Instant::now(), last.1.saturating_sub(bytes));
    }

    fn last(&self) -> (Instant, u64) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it may be silent now: longer once it has all of what it has to work on.
    pub fn patience(&self, patience: Duration) -> Duration {
        match self.last() {
            (_, 0) if self.is_work => patience.max(ANSWER),
            _ => patience,
        }
    }

    /// Waits for a future as long as there are signs, and for `patience` without any.
    ///
    /// Errors: the text of a silent server.
    pub async fn wait<T>(
        &self,
        endpoint: &str,
        patience: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, String> {
        let mut future = std::pin::pin!(future);
        let mut is_told = false;
        loop {
            let (quiet, patience) = (self.last().0.elapsed(), self.patience(patience));
            if quiet >= patience {
                return Err(silent(patience));
            }
            if quiet >= TELL && !is_told {
                is_told = true;
                tracing::warn!(
                    server = endpoint,
                    variable = VARIABLE,
                    "S3 has not answered for {} s, waiting for up to {} s",
                    TELL.as_secs(),
                    patience.as_secs()
                );
            }
            let next = if is_told {
                patience
            } else {
                patience.min(TELL)
            };
            if let Ok(answer) = tokio::time::timeout(next.saturating_sub(quiet), &mut future).await
            {
                return Ok(answer);
            }
        }
    }
}

/// A request's content, given out in slices, each of which is a sign.
pub(super) fn sliced(
    content: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    signs: &Signs,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let signs = signs.clone();
    content
        .map_ok(|bytes| {
            let starts = (0..bytes.len()).step_by(SLICE);
            let slices = starts.map(move |at| {
                let end = bytes.len().min(at + SLICE);
                Ok(bytes.slice(at..end))
            });
            futures::stream::iter(slices)
        })
        .try_flatten()
        .inspect_ok(move |bytes| signs.note(bytes.len() as u64))
}

/// An answer's content, which ends with an error where nothing of it comes for `patience`.
pub(super) fn heard(
    content: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    patience: Duration,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let whole = (Box::pin(content), false);
    futures::stream::unfold(whole, move |(mut content, is_over)| async move {
        if is_over {
            return None;
        }
        match tokio::time::timeout(patience, content.next()).await {
            Ok(None) => None,
            Ok(Some(part)) => Some((part, (content, false))),
            Err(_) => Some((Err(io::Error::other(silent(patience))), (content, true))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(15);

    #[tokio::test]
    async fn a_server_that_has_all_of_a_large_request_gets_time_for_its_answer() {
        let bytes = 3 * SLICE as u64;
        let signs = Signs::new(bytes, true);
        let whole = Bytes::from(vec![0; bytes as usize]);
        let mut slices = Box::pin(sliced(futures::stream::iter([Ok(whole)]), &signs));
        let mut patience = vec![signs.patience(PATIENCE)];
        while slices.next().await.is_some() {
            patience.push(signs.patience(PATIENCE));
        }
        assert_eq!(patience, [PATIENCE, PATIENCE, PATIENCE, ANSWER]);
        assert_eq!(signs.patience(ANSWER * 2), ANSWER * 2);
        assert_eq!(Signs::new(0, false).patience(PATIENCE), PATIENCE);
    }

    #[test]
    fn large_content_and_the_end_of_an_upload_are_work() {
        let cases = [
            ("PUT", MUCH, true),
            ("PUT", MUCH - 1, false),
            ("POST", 200, true),
            ("POST", 0, false),
            ("GET", 0, false),
        ];
        for (method, bytes, expected) in cases {
            assert_eq!(is_work(method, bytes), expected, "{method} {bytes}");
        }
    }
}
