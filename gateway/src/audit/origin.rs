//! Where a call is from.

use crate::auth::Caller;
use apex_domain::audit::AuditOrigin;
use http::header::USER_AGENT;
use http::request::Parts;
use std::net::SocketAddr;

/// The other end of a connection. It travels with each of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

/// Bytes of a header that are kept.
const HEADER_BYTES: usize = 200;

/// Returns who asks, as far as it is known, and from where.
pub(super) fn of(parts: &Parts, caller: Option<&Caller>) -> AuditOrigin {
    let header = |name: &str| {
        let text = parts.headers.get(name)?.to_str().ok()?;
        // Visible ASCII, so every byte is a place to cut at.
        Some(text[..text.len().min(HEADER_BYTES)].to_owned())
    };
    let mut peer = parts
        .extensions
        .get::<Peer>()
        .map_or_else(String::new, |peer| peer.0.to_string());
    if let Some(behind) = header("x-forwarded-for") {
        // A claim of whoever is there: a proxy of ours, or the caller itself.
        peer = format!("{peer} for {behind}");
    }
    AuditOrigin {
        principal: caller.map(|it| it.user_id.clone()).unwrap_or_default(),
        key_id: caller.map(|it| it.key_id.clone()).unwrap_or_default(),
        role: caller.map_or_else(String::new, |it| it.role.as_str().to_owned()),
        peer,
        user_agent: header(USER_AGENT.as_str()).unwrap_or_default(),
    }
}
