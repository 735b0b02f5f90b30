//! Stands in for `hyper-tls`, so that no second TLS stack comes with `rusoto_core`.
//!
//! rusoto's own HTTP client is never used: requests go out through `apex-storage`'s dispatcher,
//! over hyper 1 and rustls. This connector exists because rusoto does not compile without one, and
//! refuses to connect.

use hyper_014::Uri;
use std::future::{Ready, ready};
use std::io;
use std::marker::PhantomData;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower_service::Service;

/// A connector that refuses every connection.
#[derive(Debug)]
pub struct HttpsConnector<T> {
    _inner: PhantomData<fn() -> T>,
}

impl<T> HttpsConnector<T> {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        HttpsConnector {
            _inner: PhantomData,
        }
    }
}

impl<T> Clone for HttpsConnector<T> {
    fn clone(&self) -> Self {
        HttpsConnector::new()
    }
}

impl<T> Service<Uri> for HttpsConnector<T> {
    type Response = TcpStream;
    type Error = io::Error;
    type Future = Ready<io::Result<TcpStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(Err(io::Error::other(
            "this connector is never used: give rusoto a dispatcher",
        )))
    }
}
