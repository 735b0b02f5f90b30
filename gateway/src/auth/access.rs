//! Whose a token is.

use super::keys::PREFIX;
use super::passwords::Passwords;
use super::secret::{Token, equal, hash};
use super::tokens::Tokens;
use super::{Caller, Rate};
use apex_bus::access::AccessStore;
use apex_domain::access::{ApiKey, Session, User};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Logins that one address may try in a second, with a burst of as many. Hashing takes two processors
/// some 50 a second; a person logs in twice a day.
const LOGINS_PER_SECOND: u32 = 5;

/// Why a token is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// It is none of ours, or opens nothing now.
    Bad,
    /// We signed it, and its session is not in memory: another gateway may just have begun it.
    NotSeen,
}

/// Says whose a token is. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    pub(crate) store: Arc<dyn AccessStore>,
    pub(crate) passwords: Passwords,
    /// By address; not by name, which is counted in the store.
    pub(crate) logins: Rate,
    tokens: Arc<Tokens>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// Starts the threads that hash passwords.
    pub fn new(store: Arc<dyn AccessStore>) -> Access {
        Access {
            store,
            passwords: Passwords::start(),
            logins: Rate::new(LOGINS_PER_SECOND),
            tokens: Arc::new(Tokens::new()),
        }
    }

    /// Lets one address log in and renew so often a second.
    #[must_use]
    pub fn with_logins(mut self, per_second: u32) -> Access {
        self.logins = Rate::new(per_second);
        self
    }

    /// Returns who a token belongs to, from memory.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn verify(&self, token: &str, from: Option<IpAddr>) -> Result<Caller, Unverified> {
        match Token::read(PREFIX, token) {
            Some(token) => self.of_key(token, from).ok_or(Unverified::Bad),
            None => self.of_session(token, from),
        }
    }

    fn of_key(&self, token: Token<'_>, from: Option<IpAddr>) -> Option<Caller> {
        let given = hash(token.secret);
        let known = self.store.key(token.id);
        // An unknown key is compared all the same, so that it takes as long as a known one.
        let kept = known.as_ref().map_or([0; 32], |key| key.secret_hash);
        let is_equal = equal(&given, &kept);
        let key = known.filter(|_| is_equal)?;
        self.of_known_key(&key, from)
    }

    fn of_known_key(&self, key: &ApiKey, from: Option<IpAddr>) -> Option<Caller> {
        let user = self.store.user(&key.user_id)?;
        if let Err(refusal) = key.check(&user, from, self.store.now_ns()) {
            tracing::info!(key_id = key.key_id, %refusal, "an API key was refused");
            return None;
        }
        let grants = user.grants.within(&key.grants);
        let is_restricted = !key.scopes.is_empty()
            || !key.networks.is_empty()
            || key.expires_ns.is_some()
            || key.role != user.role
            || grants != user.grants;
        Some(Caller {
            user_id: key.user_id.clone(),
            role: user.role.within(key.role),
            grants,
            scopes: key.scopes.clone(),
            key_id: key.key_id.clone(),
            is_session: false,
            is_restricted,
            must_change: false,
            from,
        })
    }

    fn of_session(&self, token: &str, from: Option<IpAddr>) -> Result<Caller, Unverified> {
        let now = self.store.now_ns();
        let claims = self.tokens.verify(token, || self.store.signing_keys(), now);
        let claims = claims.ok_or(Unverified::Bad)?;
        let session = self.store.session(&claims.sid);
        let session = session.ok_or(Unverified::NotSeen)?;
        let caller = self.of_known_session(&session, from);
        caller
            .filter(|it| it.user_id == claims.sub)
            .ok_or(Unverified::Bad)
    }

    fn of_known_session(&self, session: &Session, from: Option<IpAddr>) -> Option<Caller> {
        let user = self.store.user(&session.user_id)?;
        session.is_live(&user, self.store.now_ns()).then(|| Caller {
            user_id: user.user_id.clone(),
            role: user.role,
            grants: user.grants.clone(),
            scopes: BTreeSet::new(),
            key_id: session.session_id.clone(),
            is_session: true,
            is_restricted: false,
            must_change: user.must_change,
            from,
        })
    }

    /// Returns the caller as its credential and user stand now, `None` once it is no longer let in. For
    /// streams, which outlive the check of their call.
    pub fn renew(&self, caller: &Caller) -> Option<Caller> {
        if caller.is_session {
            let session = self.store.session(&caller.key_id)?;
            return self.of_known_session(&session, caller.from);
        }
        let key = self.store.key(&caller.key_id)?;
        self.of_known_key(&key, caller.from)
    }

    /// Signs an access token of a session; also returns when it ends, in nanoseconds since 1970.
    /// `None` without a key that works.
    pub(crate) fn issue(&self, user: &User, session: &Session) -> Option<(String, i64)> {
        let (keys, now) = (self.store.signing_keys(), self.store.now_ns());
        self.tokens
            .issue(&keys, &user.user_id, &session.session_id, now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Grants, NewKey, Role, new_key, new_signing_key};
    use super::*;
    use apex_bus::access::{AccessChange, AccessWrite, MemoryAccess, Swap};
    use apex_bus::clock::Clock;
    use apex_domain::AccountId;

    struct Of {
        access: Access,
        store: Arc<MemoryAccess>,
        key: NewKey,
        ann: User,
    }

    async fn put(store: &MemoryAccess, change: AccessChange) {
        let write = AccessWrite {
            changes: vec![change],
            ..AccessWrite::default()
        };
        store.change(write).await.unwrap();
    }

    async fn ann() -> Of {
        let store = Arc::new(MemoryAccess::new(Clock::Wall));
        let ann = User::new("ann", Role::Trader, Grants::All, 0);
        let key = new_key(&[7; 40], "ann", Role::Trader, Grants::All, 0);
        put(&store, AccessChange::User(Swap::insert(ann.clone()))).await;
        put(&store, AccessChange::Key(Swap::insert(key.record.clone()))).await;
        let signing = new_signing_key(store.now_ns()).unwrap();
        put(&store, AccessChange::Signing(Swap::insert(signing))).await;
        let access = Access::new(store.clone());
        Of {
            access,
            store,
            key,
            ann,
        }
    }

    fn session(of: &Of) -> Session {
        let now = of.store.now_ns();
        Session {
            session_id: "5e55".to_owned(),
            user_id: "ann".to_owned(),
            created_ns: now,
            renewed_ns: now,
            key_hash: [0; 32],
            current: Vec::new(),
            previous: Vec::new(),
            rotated_ns: now,
            ended: None,
            browser: false,
            peer: String::new(),
            user_agent: String::new(),
        }
    }

    #[tokio::test]
    async fn a_token_that_is_not_exactly_right_is_nobodys() {
        let of = ann().await;
        let caller = of.access.verify(&of.key.token, None).unwrap();
        assert_eq!(caller.user_id, "ann");
        assert!(!caller.is_restricted);
        let mut wrong_secret = of.key.token.clone();
        wrong_secret.pop();
        wrong_secret.push('x');
        let long = "apex_".repeat(1_000);
        for token in [
            "",
            "apex",
            "apex_",
            "apex__",
            "Bearer",
            &wrong_secret,
            &of.key.token[1..],
            &long,
            // The hash that stands in for an unknown key opens nothing.
            "apex_0000000000000000_x",
        ] {
            let refused = of.access.verify(token, None);
            assert_eq!(refused, Err(Unverified::Bad), "{token:.80}");
        }
    }

    #[tokio::test]
    async fn what_a_user_may_is_looked_up_at_each_call() {
        let of = ann().await;
        let session = session(&of);
        let (token, _) = of.access.issue(&of.ann, &session).unwrap();
        assert_eq!(of.access.verify(&token, None), Err(Unverified::NotSeen));
        put(
            &of.store,
            AccessChange::Session(Swap::insert(session.clone())),
        )
        .await;
        let caller = of.access.verify(&token, None).unwrap();
        assert!(caller.is_session && caller.has_all());

        let paper = AccountId::new("paper").unwrap();
        let narrowed = of.ann.changed(|user| {
            user.role = Role::Viewer;
            user.grants = Grants::Only([paper.clone()].into());
        });
        let swap = Swap::replace(of.ann.clone(), narrowed.clone());
        put(&of.store, AccessChange::User(swap)).await;
        for token in [&token, &of.key.token] {
            let caller = of.access.verify(token, None).unwrap();
            assert_eq!(caller.role, Role::Viewer);
            assert!(caller.may(&paper) && !caller.has_all());
            assert_eq!(of.access.renew(&caller).as_ref(), Some(&caller));
        }
        let key_caller = of.access.verify(&of.key.token, None).unwrap();
        let disabled = narrowed.changed(|user| user.disabled = true);
        put(
            &of.store,
            AccessChange::User(Swap::replace(narrowed, disabled)),
        )
        .await;
        for token in [&token, &of.key.token] {
            assert_eq!(of.access.verify(token, None), Err(Unverified::Bad));
        }
        assert_eq!(of.access.renew(&caller), None);
        assert_eq!(of.access.renew(&key_caller), None);
    }

    #[tokio::test]
    async fn a_revoked_key_and_an_ended_session_open_nothing_any_more() {
        let of = ann().await;
        let caller = of.access.verify(&of.key.token, None).unwrap();
        let revoked = ApiKey {
            revoked_ns: Some(1),
            ..of.key.record.clone()
        };
        let swap = Swap::replace(of.key.record.clone(), revoked);
        put(&of.store, AccessChange::Key(swap)).await;
        assert_eq!(of.access.verify(&of.key.token, None), Err(Unverified::Bad));
        assert_eq!(of.access.renew(&caller), None);

        let session = session(&of);
        put(
            &of.store,
            AccessChange::Session(Swap::insert(session.clone())),
        )
        .await;
        let (token, _) = of.access.issue(&of.ann, &session).unwrap();
        let caller = of.access.verify(&token, None).unwrap();
        let ended = session.end("logged out", of.store.now_ns());
        put(
            &of.store,
            AccessChange::Session(Swap::replace(session, ended)),
        )
        .await;
        assert_eq!(of.access.verify(&token, None), Err(Unverified::Bad));
        assert_eq!(of.access.renew(&caller), None);
    }
}
