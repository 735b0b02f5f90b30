//! The check before every gRPC call.

use super::address::{self, ClientAddress, Proxies, network};
use super::{Access, Caller, Policy, Rate, Unverified, method, policy};
use crate::audit::{Auditor, Peer};
use crate::status;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tonic::Status;

/// How long a call of a session that is not in memory waits for the store: a read takes milliseconds.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// What every call is held against.
#[derive(Clone, Debug)]
pub struct Gate {
    pub access: Access,
    pub rate: Rate,
    pub proxies: Proxies,
    /// Records whom it turns away.
    pub(crate) auditor: Option<Auditor>,
}

/// Lets a call through when its method is open, or when its token is valid and its role may call
/// the method; the [`super::Caller`] then travels with the request.
pub async fn check(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let from = gate.proxies.client(peer, request.headers());
    request.extensions_mut().insert(ClientAddress(from));
    let policy = policy(request.uri().path());
    if policy == Policy::Open {
        // Before anything of the call is read: whoever has no credentials must not fill memory.
        let path = request.uri().path();
        let taken = match SIGNING_IN.contains(&path) {
            true => gate
                .access
                .logins
                .take(&network(from), None, Instant::now()),
            false => Ok(()),
        };
        return match taken {
            Ok(()) => next.run(request).await,
            Err(wait) => gate.refuse(request, None, status::login_rate(wait)),
        };
    }
    let caller = match authenticate(&gate.access, request.headers(), address::of(&request)).await {
        Ok(caller) => caller,
        Err(status) => return gate.refuse(request, None, status),
    };
    if let Err(status) = may(policy, &caller, request.uri().path()) {
        return gate.refuse(request, Some(&caller), status);
    }
    let own = method(request.uri().path()).filter(|method| method.calls_per_second > 0);
    if let Err(wait) = gate.rate.take(&caller.user_id, own, Instant::now()) {
        return gate.refuse(request, Some(&caller), status::too_fast(wait));
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Methods without a caller that cost something.
const SIGNING_IN: [&str; 2] = [
    "/apextrade.v1.AuthService/Login",
    "/apextrade.v1.AuthService/Refresh",
];

/// What a caller may do whose password somebody else chose. Nothing that outlives its change: no keys.
const CHANGING: [&str; 3] = [
    "/apextrade.v1.AuthService/WhoAmI",
    "/apextrade.v1.AuthService/ChangePassword",
    "/apextrade.v1.AuthService/Logout",
];

fn may(policy: Policy, caller: &Caller, path: &str) -> Result<(), Status> {
    if !policy.allows(caller.role) {
        return Err(status::role_not_allowed(caller.role.as_str()));
    }
    if !policy.allows_scopes(&caller.scopes) {
        return Err(status::scope_not_allowed());
    }
    if caller.must_change && !CHANGING.contains(&path) {
        return Err(status::must_change_password());
    }
    Ok(())
}

impl Gate {
    fn refuse(&self, request: Request, caller: Option<&Caller>, status: Status) -> Response {
        if let Some(auditor) = &self.auditor {
            auditor.refused(&request.into_parts().0, caller, &status);
        }
        status.into_http()
    }
}

async fn authenticate(
    access: &Access,
    headers: &HeaderMap,
    from: Option<IpAddr>,
) -> Result<Caller, Status> {
    // Two authorization headers are nobody's: which one counts would be a guess.
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(status::unauthenticated());
    };
    let token = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(status::unauthenticated)?;
    match access.verify(token, from) {
        Ok(caller) => return Ok(caller),
        Err(Unverified::Bad) => return Err(status::unauthenticated()),
        Err(Unverified::NotSeen) => {}
    }
    let refreshed = tokio::time::timeout(STORE_PATIENCE, access.store.refresh()).await;
    if !matches!(refreshed, Ok(Ok(()))) {
        let detail = format!("a session could not be looked up: {refreshed:?}");
        return Err(status::credentials_away(&detail));
    }
    access
        .verify(token, from)
        .map_err(|_| status::unauthenticated())
}
