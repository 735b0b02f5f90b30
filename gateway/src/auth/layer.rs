//! The check before every gRPC call.

use super::{ApiKeys, Caller, Policy, Rate, method, policy};
use crate::audit::Auditor;
use crate::status;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::time::Instant;
use tonic::Status;

/// What every call is held against.
#[derive(Clone, Debug)]
pub struct Gate {
    pub keys: ApiKeys,
    pub rate: Rate,
    /// Records whom it turns away.
    pub(crate) auditor: Option<Auditor>,
}

/// Lets a call through when its method is open, or when its token is valid and its role may call
/// the method; the [`super::Caller`] then travels with the request.
pub async fn check(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let policy = policy(request.uri().path());
    if policy == Policy::Open {
        return next.run(request).await;
    }
    let caller = match authenticate(&gate.keys, request.headers()) {
        Ok(caller) => caller,
        Err(status) => return gate.refuse(request, None, status),
    };
    if !policy.allows(caller.role) {
        let status = status::role_not_allowed(caller.role.as_str());
        return gate.refuse(request, Some(&caller), status);
    }
    let own = method(request.uri().path()).filter(|method| method.calls_per_second > 0);
    if let Err(wait) = gate.rate.take(&caller.key_id, own, Instant::now()) {
        return gate.refuse(request, Some(&caller), status::too_fast(wait));
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

impl Gate {
    fn refuse(&self, request: Request, caller: Option<&Caller>, status: Status) -> Response {
        if let Some(auditor) = &self.auditor {
            auditor.refused(&request.into_parts().0, caller, &status);
        }
        status.into_http()
    }
}

fn authenticate(keys: &ApiKeys, headers: &HeaderMap) -> Result<Caller, Status> {
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
    keys.verify(token)
        .map_err(|error| {
            tracing::warn!(%error, "a call could not be authenticated");
            status::credentials_unavailable()
        })?
        .ok_or_else(status::unauthenticated)
}
