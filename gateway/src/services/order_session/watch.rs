//! What ends a session from the outside: rights that are gone, a client that says nothing, an
//! account that has ended it.

use super::{End, Session};
use crate::auth::policy;
use crate::shared::stopped;
use crate::status;
use apex_bus::message::{AccountCommand, CommandError};
use apex_domain::account::Refusal;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tonic::Status;

/// How often the caller's rights are looked at: what was taken away holds within seconds.
const RIGHTS: Duration = Duration::from_secs(2);

/// The longest pause between two words to the account.
const WORD: Duration = Duration::from_secs(2);

const METHOD: &str = "/apextrade.v1.OrderService/OrderSession";

/// Returns once the caller may no longer do this, or the gateway stops.
pub(super) async fn rights(session: &Session) -> End {
    let shared = &session.wire.server.shared;
    let mut stopping = shared.stopping.clone();
    let mut look = interval_at(Instant::now() + RIGHTS, RIGHTS);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stopping) => return End::Cut(status::shutting_down()),
            _ = look.tick() => {
                if let Err(status) = still_may(session) {
                    return End::Revoked(status);
                }
            }
        }
    }
}

fn still_may(session: &Session) -> Result<(), Status> {
    let caller = session.wire.server.shared.renew(&session.wire.caller)?;
    if !policy(METHOD).allows(caller.role) {
        return Err(status::role_not_allowed(caller.role.as_str()));
    }
    if !caller.may(session.account.account_id()) {
        return Err(status::account_not_granted());
    }
    Ok(())
}

/// Returns once nothing was heard for the time of the dead-man timer.
pub(super) async fn silence(session: &Session) -> End {
    let Some(timeout) = session.guard.and_then(|guard| guard.dead_man) else {
        return std::future::pending().await;
    };
    loop {
        let due = session.pulse.last() + timeout;
        if due <= Instant::now() {
            return End::Silent;
        }
        tokio::time::sleep_until(due).await;
    }
}

/// Tells the account again and again that the session is there, and returns once it is not there
/// for the account any more. A session with a dead-man timer is there when its client was heard.
pub(super) async fn keep(session: &Session) -> End {
    let Some(guard) = session.guard else {
        return std::future::pending().await;
    };
    let pause = (guard.timeout / 4).min(WORD);
    let mut look = interval_at(Instant::now() + pause, pause);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = session.pulse.last();
    loop {
        look.tick().await;
        let heard = session.pulse.last();
        if guard.dead_man.is_some() && heard <= told {
            continue;
        }
        told = heard;
        let command = AccountCommand::KeepSession(guard.session);
        let answer = match session.account.begin(command, None) {
            // It counts when the account takes it, which may be long before it says so.
            Ok(under_way) => tokio::time::timeout(pause, under_way.answer()).await,
            Err(_) => continue,
        };
        if let Ok(Err(CommandError::Refused(Refusal::SessionOver))) = answer {
            return End::Over;
        }
    }
}
