//! What every request passes before it reaches a service: its Host, its Origin, its time.

use crate::options::GatewayOptions;
use crate::status;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, StatusCode};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tonic::Status;

/// What this gateway is called. A web page of a stranger may point its own name at this address
/// (DNS rebinding), which the name it then uses gives away.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// `None` takes any name.
    hosts: Option<Arc<[String]>>,
    origins: Arc<[String]>,
}

impl Names {
    pub(super) fn new(options: &GatewayOptions, address: SocketAddr) -> Names {
        let is_loopback = address.ip().is_loopback();
        let hosts = (is_loopback || !options.hosts.is_empty()).then(|| {
            let mut hosts: Vec<String> = options
                .hosts
                .iter()
                .map(|host| host.to_ascii_lowercase())
                .collect();
            hosts.push("localhost".to_owned());
            hosts.into()
        });
        Names {
            hosts,
            origins: options.origins.clone().into(),
        }
    }

    fn knows(&self, host: &str) -> bool {
        let Some(hosts) = &self.hosts else {
            return true;
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        // Where names are checked, a number is right only when it is loopback's own or listed.
        bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            || hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }
}

/// Refuses a request under a foreign name, or of a page of another origin.
pub(super) async fn host_and_origin(
    State(names): State<Names>,
    request: Request,
    next: Next,
) -> Response {
    match check(&names, &request) {
        Ok(()) => next.run(request).await,
        Err(status) => refuse(request.headers(), status),
    }
}

fn check(names: &Names, request: &Request) -> Result<(), Status> {
    let authority = authority(request).ok_or_else(status::wrong_host)?;
    if !names.knows(authority.host()) {
        return Err(status::wrong_host());
    }
    let mut origins = request.headers().get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return Ok(());
    };
    let origin = origin.to_str().map_err(|_| status::wrong_origin())?;
    let is_own = ["http://", "https://"]
        .iter()
        .filter_map(|scheme| origin.strip_prefix(scheme))
        .any(|of| of.eq_ignore_ascii_case(authority.as_str()));
    let is_listed = names
        .origins
        .iter()
        .any(|known| known.eq_ignore_ascii_case(origin));
    if origins.next().is_none() && (is_own || is_listed) {
        Ok(())
    } else {
        Err(status::wrong_origin())
    }
}

/// HTTP/2 has the name in the URI, HTTP/1 in the one Host header.
fn authority(request: &Request) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?.parse().ok(),
        _ => None,
    }
}

/// A connection that was opened while the gateway stops. Only its state is told there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Late;

/// Refuses calls that come over a connection that was opened too late; nothing of them is done.
pub(super) async fn not_late(request: Request, next: Next) -> Response {
    let is_late = request.extensions().get::<Late>().is_some();
    if is_late && is_grpc(request.headers()) {
        return status::shutting_down().into_http();
    }
    let mut response = next.run(request).await;
    if is_late {
        let close = http::HeaderValue::from_static("close");
        response
            .headers_mut()
            .insert(http::header::CONNECTION, close);
    }
    response
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn refuse(headers: &HeaderMap, status: Status) -> Response {
    if is_grpc(headers) {
        return status.into_http();
    }
    (StatusCode::FORBIDDEN, status.message().to_owned()).into_response()
}

/// Answers what is neither REST nor gRPC as any web server does; the gRPC side would call the
/// request itself malformed.
pub(super) async fn not_here(request: Request, next: Next) -> Response {
    if is_grpc(request.headers()) {
        return next.run(request).await;
    }
    StatusCode::NOT_FOUND.into_response()
}

/// Ends a call that has no answer within the limit, or within the client's own, if that is
/// shorter. A stream has its answer when it begins.
pub(super) async fn time_limit(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let limit = limit.min(client_limit(request.headers()).unwrap_or(limit));
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => status::request_timeout(limit).into_http(),
    }
}

/// Calls bytes that cannot be decoded the caller's fault. The codec calls them `INTERNAL`, which
/// nothing of ours ever says.
pub(super) async fn undecodable(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let is_internal = response
        .headers()
        .get(Status::GRPC_STATUS)
        .is_some_and(|code| matches!(code.as_bytes(), b"2" | b"13"));
    if is_internal {
        status::undecodable().into_http()
    } else {
        response
    }
}

/// Reads `grpc-timeout`: up to eight digits and a unit.
fn client_limit(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Access;
    use apex_bus::access::MemoryAccess;
    use apex_bus::clock::Clock;

    fn names(listen: &str, hosts: &[&str], origins: &[&str]) -> Names {
        let address: SocketAddr = listen.parse().unwrap();
        let keys = Access::new(Arc::new(MemoryAccess::new(Clock::Wall)));
        let mut options = GatewayOptions::new(address, keys);
        options.hosts = hosts.iter().map(ToString::to_string).collect();
        options.origins = origins.iter().map(ToString::to_string).collect();
        Names::new(&options, address)
    }

    fn passes(names: &Names, host: &str, origin: Option<&str>) -> bool {
        let mut request = Request::builder().uri("/health").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        check(names, &request.body(axum::body::Body::empty()).unwrap()).is_ok()
    }

    #[test]
    fn loopback_answers_to_its_own_names_only() {
        let names = names("127.0.0.1:8000", &[], &[]);
        for host in ["localhost:8000", "LOCALHOST", "127.0.0.1:9", "[::1]:8000"] {
            assert!(passes(&names, host, None), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1:8000",
            "",
        ] {
            assert!(!passes(&names, host, None), "{host}");
        }
    }

    #[test]
    fn beyond_loopback_any_name_passes_until_names_are_given() {
        assert!(passes(
            &names("0.0.0.0:8000", &[], &[]),
            "gateway:8000",
            None
        ));
        let named = names("0.0.0.0:8000", &["trade.example"], &[]);
        assert!(passes(&named, "Trade.Example", None));
        assert!(!passes(&named, "other.example", None));
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let names = names("127.0.0.1:8000", &[], &["https://trade.example"]);
        let from = |origin| passes(&names, "localhost:8000", Some(origin));
        assert!(from("http://localhost:8000"));
        assert!(from("https://trade.example"));
        for origin in [
            "null",
            "http://localhost:3000",
            "http://evil.example",
            "localhost:8000",
        ] {
            assert!(!from(origin), "{origin}");
        }
    }

    #[test]
    fn the_clients_own_limit_is_read() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            client_limit(&headers)
        };
        assert_eq!(read("15S"), Some(Duration::from_secs(15)));
        assert_eq!(read("100m"), Some(Duration::from_millis(100)));
        for text in ["", "S", "15", "123456789S", "-1S", "1x"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_timeout_is_read_or_left(text in "\\PC{0,12}", digits in "[0-9]{0,10}[HMSmunx]?") {
            for text in [text, digits] {
                if let Ok(value) = http::HeaderValue::from_str(&text) {
                    let headers = HeaderMap::from_iter([(
                        http::HeaderName::from_static("grpc-timeout"),
                        value,
                    )]);
                    let limit = client_limit(&headers);
                    let is_good = text.is_ascii()
                        && text.len() > 1
                        && text.len() < 10
                        && text[..text.len() - 1].bytes().all(|it| it.is_ascii_digit())
                        && text.ends_with(['H', 'M', 'S', 'm', 'u', 'n']);
                    assert_eq!(limit.is_some(), is_good, "{text:?}");
                }
            }
        }
    }
}
