//! Makes accounts while the node runs, and starts paper accounts over.

use crate::NodeError;
use crate::account::{OpenAccount, Opening, recover_account};
use crate::charter::Charter;
use crate::market::Market;
use crate::roster::{Charters, MAX_ACCOUNTS, Roster};
use crate::up::Base;
use apex_bus::accounts::{AccountDesk, DeskAnswer, DeskError, NewAccount};
use apex_bus::exposure::ExposureHandle;
use apex_bus::handle::AccountHandle;
use apex_bus::message::AccountCommand;
use apex_domain::account::PaperReset;
use apex_domain::event::AccountMode;
use apex_domain::{AccountId, Instrument, RequestId};
use std::fmt;
use std::sync::{Arc, Weak};

/// What the desk works with. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    /// Gone once the node has stopped: whoever still holds the desk does not hold the data folder.
    pub base: Weak<Base>,
    pub roster: Roster,
    pub exposure: ExposureHandle,
    pub market: Arc<Market>,
    /// What is traded here.
    pub instruments: Arc<[Instrument]>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("roster", &self.roster)
            .finish_non_exhaustive()
    }
}

impl AccountDesk for Desk {
    fn create(&self, new: NewAccount) -> DeskAnswer<'_, AccountHandle> {
        let (desk, account_id) = (self.clone(), new.account_id.clone());
        Box::pin(async move {
            // In a task of its own: a caller that goes away leaves no account half started.
            let made = tokio::spawn(async move { Box::pin(desk.make(&new)).await }).await;
            made.unwrap_or_else(|panic| {
                let detail = format!("its making broke: {panic}");
                Err(DeskError::NotReady { account_id, detail })
            })
        })
    }

    fn reset(
        &self,
        handle: AccountHandle,
        request_id: RequestId,
        by: String,
    ) -> DeskAnswer<'_, ()> {
        Box::pin(async move {
            if let Market::Linked { .. } = *self.market {
                return Err(DeskError::NotHere(
                    "balances are kept by the venue, which no reset here changes: only accounts of \
                     the market inside are reset",
                ));
            }
            let cash = {
                let charters = self.roster.charters().await;
                let charters = charters.as_ref().ok_or(DeskError::Stopping)?;
                charters.get(handle.account_id()).map(Charter::opening_cash)
            };
            let Some(cash) = cash else {
                return Err(DeskError::NotHere(
                    "what this account was opened with is not in its journal",
                ));
            };
            let reset = PaperReset {
                request_id: Some(request_id),
                cash,
                by,
            };
            handle.command(AccountCommand::ResetPaper(reset)).await?;
            Ok(())
        })
    }
}

impl Desk {
    async fn make(&self, new: &NewAccount) -> Result<AccountHandle, DeskError> {
        // One at a time: what is decided here about ids and room still holds when it is done.
        let mut charters = self.roster.charters().await;
        let charters = charters.as_mut().ok_or(DeskError::Stopping)?;
        let charter = Charter::of_wish(new, &self.instruments)?;
        if !new.cash.is_empty()
            && let Market::Linked { .. } = *self.market
        {
            return Err(DeskError::NotHere(
                "balances are kept by the venue, which gives every account the same: leave `cash` \
                 empty",
            ));
        }
        check_request(charters, new)?;
        if let Some(known) = charters.get(&new.account_id) {
            return match self.roster.get(&new.account_id) {
                Some(handle) if known.is_as(&charter) => Ok(handle),
                _ => Err(DeskError::Exists(new.account_id.clone())),
            };
        }
        check_case(self.roster.accounts().all().keys(), &new.account_id)?;
        if charters.len() >= MAX_ACCOUNTS {
            let limit = MAX_ACCOUNTS;
            return Err(DeskError::TooMany { limit });
        }
        let not_ready = |error: NodeError| not_ready(&new.account_id, &error);
        let base = self.base.upgrade().ok_or(DeskError::Stopping)?;
        let opened = self.open(&base, new, charter).await.map_err(not_ready)?;
        let Some(charter) = opened else {
            return Err(DeskError::Exists(new.account_id.clone()));
        };
        let (charter, account) = charter;
        // It holds a whole account while it starts: on the heap it does not weigh on the caller.
        let started = Box::pin(self.market.start(&base, account, &self.exposure));
        let runtime = started.await.map_err(not_ready)?;
        let handle = runtime.handle.clone();
        charters.insert(new.account_id.clone(), charter);
        self.roster.add(runtime);
        tracing::info!(account_id = %new.account_id, "account made");
        Ok(handle)
    }

    /// Opens the account durably. `None` when its journal holds an account of another request: one
    /// that was made durable and could not be started then.
    async fn open(
        &self,
        base: &Arc<Base>,
        new: &NewAccount,
        charter: Charter,
    ) -> Result<Option<(Charter, OpenAccount)>, NodeError> {
        let base = base.clone();
        let opening = Opening {
            account_id: new.account_id.clone(),
            mode: AccountMode::Paper,
            instruments: self.instruments.to_vec(),
            charter: Some(charter.clone()),
            now: base.clock.now(),
        };
        let open = move || {
            let account = recover_account(&*base.stores.journals, &opening.account_id)?;
            let account = base.prepare(account, &opening)?;
            let found = account.charter()?.filter(|found| found.is_as(&charter));
            Ok(found.map(|found| (found, account)))
        };
        // It writes and syncs tens of megabytes, which does not belong on the runtime's threads.
        match tokio::task::spawn_blocking(open).await {
            Ok(opened) => opened,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

/// Refuses a request id that made another account.
fn check_request(charters: &Charters, new: &NewAccount) -> Result<(), DeskError> {
    let taken = charters.iter().any(|(account_id, charter)| {
        charter.request_id.as_ref() == Some(&new.request_id) && *account_id != new.account_id
    });
    if taken {
        return Err(DeskError::RequestTaken(new.request_id.clone()));
    }
    Ok(())
}

/// Refuses an id that differs from another account's in upper and lower case alone: where a disk takes
/// both for one, their journals would be one folder.
fn check_case<'a>(
    mut known: impl Iterator<Item = &'a AccountId>,
    new: &AccountId,
) -> Result<(), DeskError> {
    let is_near = |id: &&AccountId| *id != new && id.as_str().eq_ignore_ascii_case(new.as_str());
    match known.find(is_near) {
        None => Ok(()),
        Some(other) => Err(DeskError::Invalid {
            field: "account_id",
            detail: format!(
                "\"{new}\" differs from account \"{other}\" in upper and lower case alone: name another"
            ),
        }),
    }
}

fn not_ready(account_id: &AccountId, error: &NodeError) -> DeskError {
    let mut detail = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        detail = format!("{detail}: {next}");
        cause = next.source();
    }
    DeskError::NotReady {
        account_id: account_id.clone(),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_differs_in_case_alone_is_refused() {
        let id = |text: &str| AccountId::new(text).unwrap();
        let known = [id("paper"), id("desk-2")];
        for (new, is_refused) in [("DESK-2", true), ("desk-2", false), ("desk-20", false)] {
            let refused = check_case(known.iter(), &id(new)).is_err();
            assert_eq!(refused, is_refused, "{new}");
        }
    }
}
