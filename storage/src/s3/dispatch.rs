//! rusoto's requests over hyper 1 and rustls.

use super::address::setting;
use super::silence::{Signs, heard, is_work, sliced};
use crate::StorageError;
use crate::tls;
use bytes::Bytes;
use futures::TryStreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rusoto_core::ByteStream;
use rusoto_core::request::{
    DispatchSignedRequest, DispatchSignedRequestFuture, HttpDispatchError, HttpResponse,
};
use rusoto_core::signature::{SignedRequest, SignedRequestPayload};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take to accept a connection: seconds of lost packets, and more than any
/// network takes.
const CONNECT: Duration = Duration::from_secs(5);

type Body = UnsyncBoxBody<Bytes, io::Error>;
type Http = Client<HttpsConnector<HttpConnector>, Body>;

/// See the module.
pub(super) struct Dispatcher {
    client: Http,
    endpoint: String,
    timeout: Duration,
}

impl Dispatcher {
    /// # Errors
    /// `Setting` for an https endpoint on a machine that trusts no certificate.
    pub fn new(endpoint: &str, timeout: Duration) -> Result<Dispatcher, StorageError> {
        let config = if endpoint.starts_with("https://") {
            let trusting = tls::trusting();
            trusting.map_err(|error| setting(&format!("is https, and {error}")))?
        } else {
            ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| setting(&error.to_string()))?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth()
        };
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        plain.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(plain);
        Ok(Dispatcher {
            client: Client::builder(TokioExecutor::new()).build(connector),
            endpoint: endpoint.to_owned(),
            timeout,
        })
    }
}

impl DispatchSignedRequest for Dispatcher {
    fn dispatch(
        &self,
        request: SignedRequest,
        timeout: Option<Duration>,
    ) -> DispatchSignedRequestFuture {
        let (client, timeout) = (self.client.clone(), timeout.unwrap_or(self.timeout));
        let endpoint = self.endpoint.clone();
        Box::pin(async move {
            let (content, to_take) = content_bytes(&request);
            let signs = Signs::new(to_take, is_work(request.method(), content));
            let sent = async {
                let request = translate(request, &signs).map_err(|error| failed(&*error))?;
                let answer = client.request(request).await;
                answer.map_err(|error| failed(&error))
            };
            let answer = signs.wait(&endpoint, timeout, sent).await;
            let answer = answer.map_err(HttpDispatchError::new)??;
            respond(answer, signs.patience(timeout))
        })
    }
}

/// Returns how much content a request has, and how much of it is told as the server takes it.
fn content_bytes(request: &SignedRequest) -> (u64, u64) {
    match &request.payload {
        None => (0, 0),
        Some(SignedRequestPayload::Buffer(bytes)) => (bytes.len() as u64, 0),
        Some(SignedRequestPayload::Stream(_)) => {
            let length = request.headers().get("content-length");
            let length = length.and_then(|values| std::str::from_utf8(values.first()?).ok());
            let length = length.and_then(|text| text.parse().ok()).unwrap_or(0);
            (length, length)
        }
    }
}

fn translate(
    request: SignedRequest,
    signs: &Signs,
) -> Result<http::Request<Body>, Box<dyn Error + Send + Sync>> {
    let mut uri = format!(
        "{}://{}{}",
        request.scheme(),
        request.hostname(),
        request.canonical_path()
    );
    let query = request.canonical_query_string();
    if !query.is_empty() {
        uri = format!("{uri}?{query}");
    }
    let mut built = http::Request::builder().method(request.method()).uri(uri);
    for (name, values) in request.headers() {
        for value in values {
            built = built.header(name, http::HeaderValue::from_bytes(value)?);
        }
    }
    let body = match request.payload {
        None => whole(Bytes::new()),
        Some(SignedRequestPayload::Buffer(bytes)) => whole(bytes),
        Some(SignedRequestPayload::Stream(stream)) => {
            BodyExt::boxed_unsync(StreamBody::new(sliced(stream, signs).map_ok(Frame::data)))
        }
    };
    Ok(built.body(body)?)
}

fn whole(bytes: Bytes) -> Body {
    BodyExt::boxed_unsync(Full::new(bytes).map_err(|never| match never {}))
}

fn respond(
    answer: http::Response<hyper::body::Incoming>,
    timeout: Duration,
) -> Result<HttpResponse, HttpDispatchError> {
    let (head, body) = answer.into_parts();
    let status = http_02::StatusCode::from_u16(head.status.as_u16());
    let status = status.map_err(|error| failed(&error))?;
    let mut headers = http_02::HeaderMap::with_capacity(head.headers.len());
    for (name, value) in &head.headers {
        // A header that is no text says nothing that we ask for.
        if let (Ok(name), Ok(value)) = (
            http_02::header::HeaderName::from_bytes(name.as_str().as_bytes()),
            value.to_str(),
        ) {
            headers.append(name, value.to_owned());
        }
    }
    let body = body.into_data_stream().map_err(io::Error::other);
    Ok(HttpResponse {
        status,
        body: ByteStream::new(heard(body, timeout)),
        headers,
    })
}

/// Returns what went wrong with its causes: the library's own text names only the kind.
fn failed(error: &(dyn Error + 'static)) -> HttpDispatchError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    HttpDispatchError::new(text)
}
