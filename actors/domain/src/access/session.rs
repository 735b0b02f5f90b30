//! A login, and the tokens that renew it.

use super::{SECOND, SecretHash, User};
use serde::{Deserialize, Serialize};

/// A session that nobody renews ends: seven days.
const IDLE_NS: i64 = 7 * 86_400 * SECOND;

/// A session ends however often it is renewed: thirty days.
const AGE_NS: i64 = 30 * 86_400 * SECOND;

/// How long the token before the newest still renews. Its answer may have been lost on the way, or two
/// tabs of a browser renewed at once; whoever stole it has as long.
const GRACE_NS: i64 = 10 * SECOND;

/// Tokens that one generation can have: tabs that renew at once.
const SIBLINGS: usize = 4;

/// A login. Each renewal replaces the token; one that was replaced before and comes back was stolen from
/// the client or from us, and the session ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    pub session_id: String,
    pub user_id: String,
    pub created_ns: i64,
    /// When it was last renewed.
    pub renewed_ns: i64,
    /// The part of its tokens that stays: who has it had a token of this session.
    pub key_hash: SecretHash,
    /// The newest token, or those of clients that renewed at once.
    pub current: Vec<SecretHash>,
    /// Those before.
    pub previous: Vec<SecretHash>,
    /// When `current` replaced `previous`.
    pub rotated_ns: i64,
    pub ended: Option<Ended>,
    /// The refresh token lives in a browser's cookie.
    pub browser: bool,
    /// Where it began.
    pub peer: String,
    pub user_agent: String,
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    pub at_ns: i64,
    pub reason: String,
}

/// The hashes of what a refresh token is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenHashes {
    /// Of the part that stays.
    pub key: SecretHash,
    /// Of the part that each renewal replaces.
    pub secret: SecretHash,
}

/// What a refresh token came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The session goes on, with the next token.
    Renewed(Session),
    /// A token that was replaced came back: the session has ended now.
    Reused(Session),
    /// It is no token of this session, or the session is over.
    Refused,
}

impl Session {
    /// Returns true while its calls are let in.
    pub fn is_live(&self, user: &User, now_ns: i64) -> bool {
        self.ended.is_none()
            && !user.disabled
            && self.created_ns >= user.sessions_after_ns
            && now_ns < self.expires_ns()
    }

    /// Returns when it ends if nobody renews it.
    pub fn expires_ns(&self) -> i64 {
        let idle = self.renewed_ns.saturating_add(IDLE_NS);
        idle.min(self.created_ns.saturating_add(AGE_NS))
    }

    /// Returns true when nothing of it is asked for any more: a day after it ended.
    pub fn is_over(&self, now_ns: i64) -> bool {
        let end = self.ended.as_ref().map_or(self.expires_ns(), |it| it.at_ns);
        now_ns.saturating_sub(end) > 86_400 * SECOND
    }

    /// Renews the session with the token that is presented; `next` is the hash of the one that takes its
    /// place.
    #[must_use]
    pub fn refresh(
        &self,
        user: &User,
        presented: &TokenHashes,
        next: SecretHash,
        now_ns: i64,
    ) -> Refreshed {
        if presented.key != self.key_hash || !self.is_live(user, now_ns) {
            return Refreshed::Refused;
        }
        if self.current.contains(&presented.secret) {
            return Refreshed::Renewed(Session {
                previous: self.current.clone(),
                current: vec![next],
                rotated_ns: now_ns,
                renewed_ns: now_ns,
                ..self.clone()
            });
        }
        let in_grace = now_ns.saturating_sub(self.rotated_ns) <= GRACE_NS
            && self.previous.contains(&presented.secret)
            && self.current.len() < SIBLINGS;
        if in_grace {
            let mut renewed = self.clone();
            renewed.current.push(next);
            return Refreshed::Renewed(renewed);
        }
        Refreshed::Reused(self.end(
            "a refresh token was used again after it had been replaced",
            now_ns,
        ))
    }

    /// Returns the session as it is once it ended; one that has ended stays as it is.
    #[must_use]
    pub fn end(&self, reason: &str, now_ns: i64) -> Session {
        let mut session = self.clone();
        session.ended.get_or_insert_with(|| Ended {
            at_ns: now_ns,
            reason: reason.to_owned(),
        });
        session
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Grants, Role};
    use super::*;

    const KEY: SecretHash = [9; 32];

    fn session() -> Session {
        Session {
            session_id: "s".to_owned(),
            user_id: "ann".to_owned(),
            created_ns: 0,
            renewed_ns: 0,
            key_hash: KEY,
            current: vec![[1; 32]],
            previous: Vec::new(),
            rotated_ns: 0,
            ended: None,
            browser: false,
            peer: String::new(),
            user_agent: String::new(),
        }
    }

    fn ann() -> User {
        User::new("ann", Role::Trader, Grants::All, 0)
    }

    fn refresh(session: &Session, token: u8, next: u8, now_ns: i64) -> Refreshed {
        let presented = TokenHashes {
            key: KEY,
            secret: [token; 32],
        };
        session.refresh(&ann(), &presented, [next; 32], now_ns)
    }

    fn renewed(session: &Session, token: u8, next: u8, now_ns: i64) -> Session {
        match refresh(session, token, next, now_ns) {
            Refreshed::Renewed(session) => session,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_renewal_replaces_the_token_and_an_old_one_ends_the_session() {
        let second = renewed(&session(), 1, 2, SECOND);
        let third = renewed(&second, 2, 3, 2 * SECOND);
        for (token, now) in [(1, 3 * SECOND), (2, 2 * SECOND + GRACE_NS + 1)] {
            let Refreshed::Reused(ended) = refresh(&third, token, 9, now) else {
                panic!("token {token} was taken");
            };
            assert!(!ended.is_live(&ann(), now));
            assert_eq!(refresh(&ended, 3, 9, now), Refreshed::Refused);
        }
    }

    #[test]
    fn who_never_had_a_token_cannot_end_a_session() {
        let presented = TokenHashes {
            key: [8; 32],
            secret: [1; 32],
        };
        let outcome = session().refresh(&ann(), &presented, [2; 32], SECOND);
        assert_eq!(outcome, Refreshed::Refused);
    }

    #[test]
    fn an_answer_that_was_lost_may_be_asked_for_again_for_a_while() {
        let second = renewed(&session(), 1, 2, SECOND);
        let both = renewed(&second, 1, 3, SECOND + GRACE_NS);
        // Either of the two that were handed out goes on, and takes the other's place.
        for token in [2, 3] {
            let next = renewed(&both, token, 4, SECOND + GRACE_NS + 1);
            assert_eq!(next.current, [[4; 32]]);
            assert_eq!(next.previous, [[2; 32], [3; 32]]);
        }
        let mut many = second;
        for next in 3..3 + SIBLINGS as u8 - 1 {
            many = renewed(&many, 1, next, SECOND);
        }
        assert!(matches!(
            refresh(&many, 1, 99, SECOND),
            Refreshed::Reused(_)
        ));
    }

    #[test]
    fn a_session_ends_unused_by_age_and_with_its_user() {
        let fresh = session();
        assert!(fresh.is_live(&ann(), IDLE_NS - 1) && !fresh.is_live(&ann(), IDLE_NS));
        let mut kept = fresh.clone();
        kept.renewed_ns = AGE_NS - 1;
        assert!(kept.is_live(&ann(), AGE_NS - 1) && !kept.is_live(&ann(), AGE_NS));
        let disabled = ann().changed(|user| user.disabled = true);
        assert!(!fresh.is_live(&disabled, 1));
        let elsewhere = ann().changed(|user| user.sessions_after_ns = 1);
        assert!(!fresh.is_live(&elsewhere, 1));
        let ended = fresh.end("logged out", 5);
        assert!(!ended.is_live(&ann(), 6) && !ended.is_over(6));
        assert!(ended.is_over(5 + 86_400 * SECOND + 1));
        assert_eq!(ended.end("again", 7), ended);
    }
}
