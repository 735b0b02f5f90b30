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

fn silent(patience: Duration) -> String {
    format!("{SILENT} for {} s", patience.as_secs_f32())
}

/// When the server was last heard of.
#[derive(Clone, Debug)]
pub(super) struct Signs(Arc<Mutex<Instant>>);

impl Signs {
    pub fn new() -> Signs {
        Signs(Arc::new(Mutex::new(Instant::now())))
    }

    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            let quiet = self.last().elapsed();
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
        .inspect(move |_| signs.note())
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
