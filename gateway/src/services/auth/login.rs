//! Sessions: how they begin, go on and end.

use super::Answer;
use super::guess::Guess;
use super::write::{Decision, change, user_of};
use crate::auth::{
    Access, Caller, ClientAddress, LINK_PREFIX, Token, check_totp, clear_cookie, cookie_of, hash,
    hex, random, set_cookie,
};
use crate::status;
use apex_bus::access::{AccessChange, AccessError, AccessWrite, Swap};
use apex_domain::access::{Refreshed, Session, TokenHashes, User};
use apex_proto::convert::access::{given, write_role};
use apex_proto::{Fields, v1};
use http::HeaderMap;
use http::header::USER_AGENT;
use std::net::IpAddr;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

/// How a refresh token begins: `apexr_<session>_<key>.<secret>`.
const PREFIX: &str = "apexr";

/// Sessions of one user, those that are over for less than a day too. Another login takes one away.
const SESSIONS: usize = 32;

/// Sessions that one change takes away: the store takes 64 changes.
const AT_ONCE: usize = 40;

/// Characters of a client's name for itself that are kept.
const AGENT: usize = 200;

fn now(access: &Access) -> i64 {
    access.store.now_ns()
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

pub(super) async fn login(
    access: &Access,
    request: Request<v1::LoginRequest>,
) -> Answer<v1::LoginResponse> {
    let client = client(&request);
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
    let guess = Guess::of_login(&user_id, client.from);
    guess.begin(access).await?;
    let user = access.store.user(&user_id).filter(|user| !user.disabled);
    let kept = user.as_ref().and_then(|user| user.password.clone());
    let is_right = access.passwords.verify(password, kept).await;
    let is_right = is_right.map_err(status::password)?;
    let user = user.filter(|_| is_right);
    let user = user.ok_or_else(status::login_failed)?;
    if user.totp.is_some() && asked.totp_code.is_empty() {
        guess.was_right(access).await;
        return Err(status::totp_required());
    }
    let new = NewSession::new(&client, asked.browser)?;
    let checked = user.password.clone();
    let user = change(access, || {
        let user = access.store.user(&user_id);
        let user = user.ok_or_else(status::login_failed)?;
        // Both may have been changed while the password was checked.
        if user.disabled || user.password != checked {
            return Err(status::login_failed());
        }
        let mut after = (*user).clone();
        if let Some(totp) = &user.totp {
            let used = check_totp(totp, &asked.totp_code, now(access));
            after.totp = Some(used.ok_or_else(status::login_failed)?);
        }
        // Either way the user is as it was read: a password that is reset meanwhile lets nobody in.
        let mut changes = begin(access, &user, &new);
        changes.push(if after == *user {
            AccessChange::Same(after)
        } else {
            AccessChange::User(Swap::replace((*user).clone(), after))
        });
        Ok(Decision {
            changes,
            answer: user,
            is_general: false,
        })
    })
    .await?;
    guess.was_right(access).await;
    answer(access, &user, &new, asked.browser)
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
    changes.push(AccessChange::Same((*user).clone()));
    let write = AccessWrite {
        changes,
        ..AccessWrite::default()
    };
    match access.store.change(write).await {
        Ok(()) => answer(access, &user, &new, asked.browser),
        Err(AccessError::Conflict) => Err(status::login_failed()),
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
            epoch: user.epoch,
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

/// Returns the changes that begin a session, and take away what is too many: those that are over first,
/// then those that were renewed longest ago.
fn begin(access: &Access, user: &User, new: &NewSession) -> Vec<AccessChange> {
    let now = now(access);
    let mut known = access.store.sessions(&user.user_id);
    known.sort_by_key(|session| (session.is_live(user, now), session.renewed_ns));
    let beyond = (known.len() + 1).saturating_sub(SESSIONS).min(AT_ONCE);
    let leaving = known.iter().take(beyond);
    let leaving = leaving.map(|session| AccessChange::Session(Swap::remove((**session).clone())));
    let begun = AccessChange::Session(Swap::insert(new.record(user, now)));
    leaving.chain([begun]).collect()
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
        // What may pass leaves the browser its session.
        Err(mut status) if is_browser && status.code() == tonic::Code::Unauthenticated => {
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
            Refreshed::Busy => return Err(status::access(&AccessError::Conflict)),
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
        let user = user_of(access, caller)?;
        let now = now(access);
        let mut live = access.store.sessions(&caller.user_id);
        live.retain(|session| session.is_live(&user, now));
        let changes = if asked.all_sessions {
            // Also those that begin at another gateway now.
            let after = user.changed(User::end_sessions);
            vec![AccessChange::User(Swap::replace((*user).clone(), after))]
        } else {
            live.retain(|session| session.session_id == caller.key_id);
            let ends = live.iter().map(|session| {
                let ended = session.end("logged out", now);
                AccessChange::Session(Swap::replace((**session).clone(), ended))
            });
            ends.collect()
        };
        Ok(Decision {
            changes,
            answer: live.len(),
            is_general: false,
        })
    });
    let ended = i32::try_from(ended.await?).unwrap_or(i32::MAX);
    let mut response = Response::new(v1::LogoutResponse { ended });
    clear_cookie(response.metadata_mut());
    Ok(response)
}
