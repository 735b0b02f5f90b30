//! Guarded sessions: clients that say they are there, and fall silent.

use super::Clients;
use apex_domain::account::{Account, AccountInput, GuardSession, SHORTEST_SILENCE_NS, SessionRef};
use apex_domain::event::GuardOutcome;
use apex_domain::{OrderSessionId, UnixNanos};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// The sessions of a run, as its clients know them.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    begun: u64,
    /// The newest as it was when a client last looked; its stream may be an old one by now.
    newest: Option<SessionRef>,
    looked: Option<UnixNanos>,
}

fn id(number: u64) -> OrderSessionId {
    OrderSessionId::new(&format!("s{number}")).expect("session id is well formed")
}

impl Clients {
    /// Returns what a client says about its session, now and then.
    pub(super) fn of_sessions(
        &mut self,
        now: UnixNanos,
        account: &Account,
        rng: &mut ChaCha8Rng,
    ) -> Option<AccountInput> {
        if !self.setting.guarded {
            return None;
        }
        let sessions = &mut self.sessions;
        if sessions.looked.is_none() || rng.random_bool(0.8) {
            sessions.newest = account.session(&id(sessions.begun)).or(sessions.newest);
            sessions.looked = Some(now);
        }
        match (rng.random_range(0..24), sessions.newest) {
            (0, _) | (1, None) => {
                let resumes = rng.random_bool(0.4);
                sessions.begun += u64::from(!resumes);
                Some(AccountInput::GuardSession(GuardSession {
                    session_id: id(sessions.begun),
                    resumes,
                    by: if rng.random_bool(0.95) { "ann" } else { "eve" }.to_owned(),
                    timeout_ns: rng.random_range(1..4) * SHORTEST_SILENCE_NS,
                }))
            }
            (2..6, Some(session)) => Some(AccountInput::KeepSession(session)),
            (6, Some(session)) => Some(AccountInput::EndSession {
                session,
                outcome: match rng.random_range(0..3) {
                    0 => GuardOutcome::LetGo,
                    1 => GuardOutcome::Silent,
                    _ => GuardOutcome::Disconnected,
                },
            }),
            _ => None,
        }
    }

    /// Gives a command to the newest session, or leaves it to nobody.
    pub(super) fn within(&self, input: AccountInput, rng: &mut ChaCha8Rng) -> AccountInput {
        let places = matches!(
            input,
            AccountInput::Submit { .. }
                | AccountInput::SubmitList { .. }
                | AccountInput::Amend { .. }
        );
        let session = self
            .sessions
            .newest
            .filter(|_| self.setting.guarded && places);
        match session {
            Some(session) if rng.random_bool(0.7) => AccountInput::OfSession {
                session,
                input: Box::new(input),
            },
            _ => input,
        }
    }
}
