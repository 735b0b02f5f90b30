//! POST over hyper and rustls: no redirects, no proxies, no more of an answer than its status.

use super::{NotTaken, TIMEOUT};
use crate::NodeError;
use bytes::Bytes;
use http::{HeaderName, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Where requests of one channel go.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    uri: Uri,
}

impl Http {
    /// Errors: an address that is none, or plain http beyond loopback where that is not allowed.
    pub fn new(setting: &str, url: &str, allow_http: bool) -> Result<Http, NodeError> {
        // It is not quoted: a Telegram address holds the bot's token, a webhook's often a secret.
        let bad = |why: &str| NodeError::Usage(format!("setting {setting} {why}"));
        let uri: Uri = url
            .parse()
            .map_err(|_| bad("is no address: give one like https://example.com/alerts"))?;
        let host = uri.host().ok_or_else(|| bad("names no host"))?;
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if allow_http || is_loopback(host) => {}
            Some("http") => {
                return Err(bad(
                    "is http beyond loopback, where anybody on the way reads it: give an https \
                     address, or set alerts_allow_http to true",
                ));
            }
            _ => return Err(bad("is neither http nor https")),
        }
        Ok(Http {
            client: client(setting, uri.scheme_str() == Some("https"))?,
            uri,
        })
    }

    /// Posts JSON.
    ///
    /// Errors: what became of it, without the address.
    pub async fn post(
        &self,
        body: String,
        headers: &[(&'static str, String)],
    ) -> Result<(), NotTaken> {
        let mut request = Request::post(self.uri.clone())
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::USER_AGENT, "apextrade");
        for (name, value) in headers {
            request = request.header(HeaderName::from_static(name), value);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| NotTaken::later("the request cannot be made"))?;
        let sent = tokio::time::timeout(TIMEOUT, self.client.request(request)).await;
        let answer = match sent {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if error.is_connect() => {
                return Err(NotTaken::later("its server cannot be reached"));
            }
            Ok(Err(_)) => return Err(NotTaken::later("its server ended the connection")),
            Err(_) => return Err(NotTaken::later("its server did not answer in 10 s")),
        };
        taken(answer.status())
    }
}

fn taken(status: StatusCode) -> Result<(), NotTaken> {
    if status.is_success() {
        return Ok(());
    }
    // What an operator can mend, and what passes, is tried again.
    let passes = [401, 403, 404, 407, 408, 425, 429].contains(&status.as_u16());
    Err(NotTaken {
        why: format!("its server answered {}", status.as_u16()),
        for_good: status.is_client_error() && !passes,
    })
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn client(
    setting: &str,
    is_https: bool,
) -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, NodeError> {
    let bad = |why: String| NodeError::Usage(format!("setting {setting}: {why}"));
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?;
    let config = if is_https {
        let trusting = builder.with_native_roots().map_err(|error| {
            bad(format!(
                "this machine has no certificates to trust ({error}): install ca-certificates, or \
                 name a file of them in SSL_CERT_FILE"
            ))
        })?;
        trusting.with_no_client_auth()
    } else {
        builder
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
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_loopback_or_where_it_is_allowed() {
        for (url, allow, fits) in [
            ("http://127.0.0.1:1/x", false, true),
            ("http://[::1]:1/x", false, true),
            ("http://localhost/x", false, true),
            ("http://localhost.example/x", false, false),
            ("http://10.0.0.1/x", false, false),
            ("http://10.0.0.1/x", true, true),
            ("ftp://127.0.0.1/x", true, false),
            ("/x", true, false),
            ("no address", true, false),
        ] {
            assert_eq!(Http::new("it", url, allow).is_ok(), fits, "{url}");
        }
        let refused = Http::new("it", "http://10.0.0.1/hush", false)
            .err()
            .unwrap();
        assert!(!refused.to_string().contains("hush"), "{refused}");
    }

    #[test]
    fn what_passes_is_tried_again_and_what_is_refused_is_not() {
        assert_eq!(taken(StatusCode::NO_CONTENT), Ok(()));
        for (code, for_good) in [
            (400, true),
            (413, true),
            (401, false),
            (429, false),
            (500, false),
            (302, false),
        ] {
            let status = StatusCode::from_u16(code).unwrap();
            assert_eq!(taken(status).unwrap_err().for_good, for_good, "{code}");
        }
    }
}
