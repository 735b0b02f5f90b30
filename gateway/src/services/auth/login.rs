//! Sessions: how they begin, go on and end.

use super::Answer;
use super::write::{Decision, change};
use crate::auth::{
    Access, Caller, ClientAddress, LINK_PREFIX, Token, check_totp, clear_cookie, cookie_of, hash,
    hex, random, set_cookie,
};
use crate::status;
use apex_bus::access::{AccessChange, AccessWrite, Swap};
use apex_domain::access::{Allowed, Refreshed, Session, TokenHashes, Tries, User};
use apex_proto::convert::access::{given, write_role};
use apex_proto::{Fields, v1};
use http::HeaderMap;
use http::header::USER_AGENT;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

/// How a refresh token begins: `apexr_<session>_<key>.<secret>`.
const PREFIX: &str = "apexr";

/// Open sessions of one user. Another login ends the one that was renewed longest ago.
const SESSIONS: usize = 32;

/// Buckets in which failed logins are counted. A name that nobody has falls into one as every other does,
/// so counting tells nothing, and the store holds so many records at the most.
const BUCKETS: u16 = 4_096;

/// Characters of a client's name for itself that are kept.
const AGENT: usize = 200;

fn now(access: &Access) -> i64 {
    access.store.now_ns()
}

/// The parts of a network that count as one: a provider gives a person that many addresses.
fn network(address: Option<IpAddr>) -> String {
    match address {
        None => String::new(),
        Some(IpAddr::V4(address)) => format!("{address}"),
        Some(IpAddr::V6(address)) => hex(&address.octets()[..8]),
    }
}

fn bucket(kind: &str, text: &str) -> String {
    let hash = hash(text);
    let number = u16::from_be_bytes([hash[0], hash[1]]) % BUCKETS;
    format!("{kind}-{number}")
}

/// The two counts that a login falls under.
fn buckets(user_id: &str, from: Option<IpAddr>) -> [(String, Allowed); 2] {
    let here = format!("{user_id}\n{}", network(from));
    [
        (bucket("here", &here), Allowed::HERE),
        (bucket("all", user_id), Allowed::EVERYWHERE),
    ]
}

/// Refuses a try while too many failed. Returns the counts as they are.
async fn tries(access: &Access, buckets: &[(String, Allowed); 2]) -> Result<[Tries; 2], Status> {
    let mut found = [Tries::default(); 2];
    for (place, (bucket, _)) in buckets.iter().enumerate() {
        let known = access.store.tries(bucket.clone()).await;
        found[place] = known.map_err(|error| status::access(&error))?;
        if let Some(wait) = found[place].wait_ns(now(access)) {
            let wait = Duration::from_nanos(wait.unsigned_abs());
            return Err(status::login_locked(wait));
        }
    }
    Ok(found)
}

/// Counts a failure, and refuses.
async fn failed(access: &Access, buckets: &[(String, Allowed); 2], tries: &[Tries; 2]) -> Status {
    let now = now(access);
    let changes = buckets.iter().zip(tries);
    let changes = changes.map(|((bucket, allowed), tries)| AccessChange::Tries {
        bucket: bucket.clone(),
        tries: tries.failed(*allowed, now),
    });
    let write = AccessWrite {
        changes: changes.collect(),
        ..AccessWrite::default()
    };
    match access.store.change(write).await {
        Ok(()) => status::login_failed(),
        // A failure that cannot be counted is no free try.
        Err(error) => status::access(&error),
    }
}

struct Client {
    from: Option<IpAddr>,
    agent: String,
}

fn client<T>(request: &Request<T>) -> Client {
    let from = request.extensions().get::<ClientAddress>();
    let agent = request.metadata().get(USER_AGENT.as_str());
    let agent = agent.and_then(|it| it.to_str().ok()).unwrap_or_default();
    Client {
        from: from.and_then(|address| address.0),
        agent: agent.chars().take(AGENT).collect(),
    }
}

fn take_rate(access: &Access, client: &Client) -> Result<(), Status> {
    let taken = access
        .logins
        .take(&network(client.from), None, Instant::now());
    taken.map_err(status::login_rate)
}

pub(super) async fn login(
    access: &Access,
    request: Request<v1::LoginRequest>,
) -> Answer<v1::LoginResponse> {
    let client = client(&request);
    take_rate(access, &client)?;
    let asked = request.into_inner();
    if !asked.link.is_empty() {
        return by_link(access, &client, &asked).await;
    }
    let mut fields = Fields::new();
    let user_id = given(&mut fields, "user_id", &asked.user_id);
    let password = given(&mut fields, "password", &asked.password);
    if asked.totp_code.len() > 64 {
        fields.refuse("totp_code", "must be six digits or a recovery code");
    }
    let (user_id, password) = fields
        .finish(user_id.zip(password))
        .map_err(|errors| status::invalid(&errors))?;
    let buckets = buckets(&user_id, client.from);
    let tries = tries(access, &buckets).await?;
    let user = access.store.user(&user_id).filter(|user| !user.disabled);
    let kept = user.as_ref().and_then(|user| user.password.clone());
    let is_right = access.passwords.verify(password, kept).await;
    let is_right = is_right.map_err(status::password)?;
    let Some(user) = user.filter(|_| is_right) else {
        return Err(failed(access, &buckets, &tries).await);
    };
    let checked = user.password.clone();
    if user.totp.is_some() && asked.totp_code.is_empty() {
        return Err(status::totp_required());
    }
    let new = NewSession::new(&client, asked.browser)?;
    let begun = change(access, || {
        let user = access
            .store
            .user(&user_id)
            .ok_or_else(status::login_failed)?;
        // Both may have been changed while the password was checked.
        let is_same = user.password == checked;
        let used = user
            .totp
            .as_ref()
            .map(|totp| check_totp(totp, &asked.totp_code, now(access)));
        if user.disabled || !is_same || matches!(used, Some(None)) {
            return Err(status::login_failed());
        }
        let mut changes = begin(access, &user, &new);
        if let Some(Some(totp)) = used {
            let mut after = (*user).clone();
            after.totp = Some(totp);
            changes.push(AccessChange::User(Swap::replace((*user).clone(), after)));
        }
        for ((bucket, _), tries) in buckets.iter().zip(&tries) {
            if tries.failures > 0 {
                let (bucket, tries) = (bucket.clone(), Tries::default());
                changes.push(AccessChange::Tries { bucket, tries });
            }
        }
        Ok(Decision {
            changes,
            answer: user,
            is_general: false,
        })
    })
    .await;
    match begun {
        Ok(user) => answer(access, &user, &new, asked.browser),
        Err(status) if status.code() == tonic::Code::Unauthenticated => {
            Err(failed(access, &buckets, &tries).await)
        }
        Err(status) => Err(status),
    }
}

async fn by_link(
    access: &Access,
    client: &Client,
    asked: &v1::LoginRequest,
) -> Answer<v1::LoginResponse> {
    let token = Token::read(LINK_PREFIX, &asked.link).ok_or_else(status::login_failed)?;
    let link = access.store.link(token.id.to_owned()).await;
    let link = link.map_err(|error| status::access(&error))?;
    let secret = hash(token.secret);
    let link = link.filter(|link| link.opens(&secret, now(access)));
    let link = link.ok_or_else(status::login_failed)?;
    let user = access.store.user(&link.user_id);
    let user = user.filter(|user| !user.disabled);
    let user = user.ok_or_else(status::login_failed)?;
    let new = NewSession::new(client, asked.browser)?;
    let mut changes = begin(access, &user, &new);
    // Whoever takes the link away has used it: there is one.
    changes.push(AccessChange::Link(Swap::remove(link)));
    let write = AccessWrite {
        changes,
        ..AccessWrite::default()
    };
    match access.store.change(write).await {
        Ok(()) => answer(access, &user, &new, asked.browser),
        Err(apex_bus::access::AccessError::Conflict) => Err(status::login_failed()),
        Err(error) => Err(status::access(&error)),
    }
}

/// The random parts of a session, made before it is decided on.
struct NewSession {
    session_id: String,
    key: String,
    secret: String,
    peer: String,
    agent: String,
    is_browser: bool,
}

impl NewSession {
    fn new(client: &Client, is_browser: bool) -> Result<NewSession, Status> {
        let random = random::<56>().map_err(|error| status::credentials_away(&error))?;
        Ok(NewSession {
            session_id: hex(&random[..8]),
            key: hex(&random[8..24]),
            secret: hex(&random[24..]),
            peer: client.from.map(|it| it.to_string()).unwrap_or_default(),
            agent: client.agent.clone(),
            is_browser,
        })
    }

    fn record(&self, user: &User, now_ns: i64) -> Session {
        Session {
            session_id: self.session_id.clone(),
            user_id: user.user_id.clone(),
            created_ns: now_ns,
            renewed_ns: now_ns,
            key_hash: hash(&self.key),
            current: vec![hash(&self.secret)],
            previous: Vec::new(),
            rotated_ns: now_ns,
            ended: None,
            browser: self.is_browser,
            peer: self.peer.clone(),
            user_agent: self.agent.clone(),
        }
    }
}

/// Returns the changes that begin a session, and end what is too many.
fn begin(access: &Access, user: &User, new: &NewSession) -> Vec<AccessChange> {
    let now = now(access);
    let mut open = access.store.sessions(&user.user_id);
    open.retain(|session| session.is_live(user, now));
    open.sort_by_key(|session| session.renewed_ns);
    let beyond = (open.len() + 1).saturating_sub(SESSIONS);
    let ended = open.iter().take(beyond).map(|session| {
        let ended = session.end("the user logged in too often elsewhere", now);
        AccessChange::Session(Swap::replace((**session).clone(), ended))
    });
    // One that begins at the very time from which sessions count is one that counts.
    let at = now.max(user.sessions_after_ns);
    let begun = AccessChange::Session(Swap::insert(new.record(user, at)));
    ended.chain([begun]).collect()
}

fn answer(
    access: &Access,
    user: &User,
    new: &NewSession,
    is_browser: bool,
) -> Answer<v1::LoginResponse> {
    let session = access.store.session(&new.session_id);
    let session = session.ok_or_else(|| status::credentials_away("a new session is gone"))?;
    let token = format!("{PREFIX}_{}_{}.{}", new.session_id, new.key, new.secret);
    granted(access, user, &session, token, is_browser)
}

fn granted(
    access: &Access,
    user: &User,
    session: &Session,
    refresh_token: String,
    is_browser: bool,
) -> Answer<v1::LoginResponse> {
    let signed = access.issue(user, session);
    let (access_token, access_expires_ns) =
        signed.ok_or_else(|| status::credentials_away("there is no signing key"))?;
    let expires_ns = session.expires_ns();
    let mut response = Response::new(v1::LoginResponse {
        access_token,
        access_expires_ns,
        refresh_token: String::new(),
        session_expires_ns: expires_ns,
        session_id: session.session_id.clone(),
        user_id: user.user_id.clone(),
        role: write_role(user.role).into(),
        must_change_password: user.must_change,
    });
    if is_browser {
        let seconds = (expires_ns - now(access)) / 1_000_000_000;
        set_cookie(response.metadata_mut(), &refresh_token, seconds);
    } else {
        response.get_mut().refresh_token = refresh_token;
    }
    Ok(response)
}

pub(super) async fn refresh(
    access: &Access,
    request: Request<v1::RefreshRequest>,
) -> Answer<v1::LoginResponse> {
    let client = client(&request);
    take_rate(access, &client)?;
    let headers: HeaderMap = request.metadata().clone().into_headers();
    let asked = request.into_inner().refresh_token;
    let is_browser = asked.is_empty();
    let token = if is_browser {
        cookie_of(&headers).ok_or_else(status::login_failed)?
    } else {
        asked
    };
    let outcome = renew(access, &token).await;
    match outcome {
        Ok((user, session, next)) => granted(access, &user, &session, next, is_browser),
        Err(mut status) if is_browser => {
            let mut metadata = MetadataMap::new();
            clear_cookie(&mut metadata);
            *status.metadata_mut() = metadata;
            Err(status)
        }
        Err(status) => Err(status),
    }
}

async fn renew(
    access: &Access,
    token: &str,
) -> Result<(std::sync::Arc<User>, Session, String), Status> {
    let token = Token::read(PREFIX, token).ok_or_else(status::login_failed)?;
    let (key, secret) = token
        .secret
        .split_once('.')
        .ok_or_else(status::login_failed)?;
    let presented = TokenHashes {
        key: hash(key),
        secret: hash(secret),
    };
    if access.store.session(token.id).is_none() {
        // It may have begun at another gateway a moment ago.
        let refreshed = access.store.refresh().await;
        refreshed.map_err(|error| status::access(&error))?;
    }
    let next = random::<32>().map_err(|error| status::credentials_away(&error))?;
    let next = hex(&next);
    let decided = change(access, || {
        let session = access
            .store
            .session(token.id)
            .ok_or_else(status::login_failed)?;
        let user = access.store.user(&session.user_id);
        let user = user.ok_or_else(status::login_failed)?;
        let (after, is_reused) = match session.refresh(&user, &presented, hash(&next), now(access))
        {
            Refreshed::Refused => return Err(status::login_failed()),
            Refreshed::Renewed(after) => (after, false),
            Refreshed::Reused(after) => (after, true),
        };
        let swap = Swap::replace((*session).clone(), after.clone());
        Ok(Decision {
            changes: vec![AccessChange::Session(swap)],
            answer: (user, after, is_reused),
            is_general: false,
        })
    });
    let (user, session, is_reused) = decided.await?;
    if is_reused {
        tracing::warn!(
            user_id = user.user_id,
            session_id = session.session_id,
            "a refresh token was used again after it had been replaced: its session has ended"
        );
        return Err(status::login_failed());
    }
    let next = format!("{PREFIX}_{}_{key}.{next}", session.session_id);
    Ok((user, session, next))
}

pub(super) async fn logout(
    access: &Access,
    caller: &Caller,
    asked: &v1::LogoutRequest,
) -> Answer<v1::LogoutResponse> {
    if !caller.is_session && !asked.all_sessions {
        return Err(status::no_session());
    }
    let ended = change(access, || {
        let mut sessions = access.store.sessions(&caller.user_id);
        sessions.retain(|it| {
            it.ended.is_none() && (asked.all_sessions || it.session_id == caller.key_id)
        });
        let now = now(access);
        let changes = sessions.iter().map(|session| {
            let ended = session.end("logged out", now);
            AccessChange::Session(Swap::replace((**session).clone(), ended))
        });
        Ok(Decision {
            changes: changes.take(SESSIONS).collect(),
            answer: sessions.len().min(SESSIONS),
            is_general: false,
        })
    });
    let ended = i32::try_from(ended.await?).unwrap_or(i32::MAX);
    let mut response = Response::new(v1::LogoutResponse { ended });
    clear_cookie(response.metadata_mut());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_into_so_many_buckets_whoever_has_them() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..20_000 {
            let [(here, _), (all, _)] = buckets(&format!("user{number}"), None);
            assert!(here.starts_with("here-") && all.starts_with("all-"));
            seen.insert(all);
        }
        assert!(seen.len() <= usize::from(BUCKETS) && seen.len() > 4_000);
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let of = |text: &str| network(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
