//! From the blocking ports to libraries that are not: a small runtime, and waiting for it.

use crate::StorageError;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::runtime::Runtime;

/// A runtime of one thread. Clones share it; it ends with the last.
#[derive(Clone)]
pub(crate) struct Waiter {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiter")
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last clone may go on a thread of another runtime, which must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Waiter {
    pub fn start(name: &str) -> Result<Waiter, StorageError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(name)
            .enable_all()
            .build()
            .map_err(|error| StorageError::io("start a thread for", name.as_ref(), error))?;
        Ok(Waiter {
            inner: Arc::new(Inner {
                runtime: Some(runtime),
            }),
        })
    }

    /// Runs a future on this runtime and waits for it on the caller's thread, which may belong to
    /// another runtime.
    pub fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, StorageError>> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (done, outcome) = mpsc::sync_channel(1);
        self.spawn(async move {
            // Nobody waits any more only when the caller's thread is gone.
            let _ = done.send(future.await);
        });
        outcome.recv().unwrap_or_else(|_| {
            let ended = io::Error::other("its thread has ended");
            Err(StorageError::io_fatal("wait for", "server".as_ref(), ended))
        })
    }

    /// As [`Waiter::wait`], but no longer than `patience`: `None` then, and the future goes on by
    /// itself.
    pub fn wait_for<T: Send + 'static>(
        &self,
        patience: Duration,
        future: impl Future<Output = Result<T, StorageError>> + Send + 'static,
    ) -> Option<Result<T, StorageError>> {
        let (done, outcome) = mpsc::sync_channel(1);
        self.spawn(async move {
            // Nobody waits any more when it took too long.
            let _ = done.send(future.await);
        });
        outcome.recv_timeout(patience).ok()
    }

    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.inner.runtime {
            runtime.spawn(future);
        }
    }
}
