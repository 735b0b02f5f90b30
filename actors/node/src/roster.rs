//! The accounts of one run: read back at its start, run, found by everyone, and stopped together.

use crate::NodeError;
use crate::account::{AccountRuntime, OpenAccount, recover_account};
use crate::charter::Charter;
use crate::up::{Base, paper_account};
use apex_bus::accounts::Accounts;
use apex_bus::handle::AccountHandle;
use apex_domain::AccountId;
use apex_persistence::{JournalHistory, starts};
use apex_storage::AUDIT_JOURNAL;
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::MutexGuard;

/// Accounts that one node runs. Each takes 34 MB of disk before its first order, a thread that
/// writes its journal, and its part of the time in which a start folds journals and in which a
/// platform-wide halt asks all of them; 64 are 2 GB, and some ten times what a desk has.
pub const MAX_ACCOUNTS: usize = 64;

/// The accounts of one run. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Roster(Arc<Inner>);

struct Inner {
    accounts: Accounts,
    history: Arc<JournalHistory>,
    running: Mutex<Vec<AccountRuntime>>,
    /// What each account was opened with. Whoever makes one holds this; `None` once the run stops.
    charters: tokio::sync::Mutex<Option<Charters>>,
}

/// What each account was opened with, by id.
pub type Charters = BTreeMap<AccountId, Charter>;

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Roster").field(&self.0.accounts).finish()
    }
}

impl Roster {
    /// A roster without accounts; `charters` of those that are about to be added.
    pub fn new(charters: Charters) -> Roster {
        Roster(Arc::new(Inner {
            accounts: Accounts::default(),
            history: Arc::new(JournalHistory::new([])),
            running: Mutex::default(),
            charters: tokio::sync::Mutex::new(Some(charters)),
        }))
    }

    /// A roster of one account.
    pub fn of(runtime: AccountRuntime) -> Roster {
        let roster = Roster::new(Charters::new());
        roster.add(runtime);
        roster
    }

    /// Lets everyone find an account that runs.
    pub fn add(&self, runtime: AccountRuntime) {
        let handle = runtime.handle.clone();
        // Its past first: whoever finds the account may ask for it.
        let account_id = handle.account_id().clone();
        self.0.history.add(account_id, runtime.journal.clone());
        let running = self.0.running.lock();
        running
            .unwrap_or_else(PoisonError::into_inner)
            .push(runtime);
        self.0.accounts.insert(handle);
    }

    pub fn accounts(&self) -> Accounts {
        self.0.accounts.clone()
    }

    pub fn get(&self, account_id: &AccountId) -> Option<AccountHandle> {
        self.0.accounts.get(account_id)
    }

    pub fn history(&self) -> Arc<JournalHistory> {
        self.0.history.clone()
    }

    /// Returns what each account was opened with, held against everyone else who makes one.
    pub(crate) async fn charters(&self) -> MutexGuard<'_, Option<Charters>> {
        self.0.charters.lock().await
    }

    /// Stops all accounts, behind one that is being made; what they decided is durable when this
    /// returns.
    pub async fn stop(&self) {
        *self.charters().await = None;
        let running = std::mem::take(
            &mut *self
                .0
                .running
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        join_all(running.into_iter().map(AccountRuntime::stop)).await;
    }
}

/// An account that was read back, under the name of its journal.
pub struct Recovered {
    pub account_id: AccountId,
    pub account: OpenAccount,
}

impl fmt::Debug for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovered")
            .field("account_id", &self.account_id)
            .finish()
    }
}

/// Reads every account of the data folder back: first the one that each folder has, which may have
/// to be opened yet, then the others in order of id. A journal without an event belongs to an
/// account whose making was cut off before it was one, and is left alone.
///
/// Errors: [`NodeError`]; a journal that is damaged, or that is gone although something of it was
/// durable, stops the start, since orders may be at work in it.
pub fn recover_all(base: &Base) -> Result<Vec<Recovered>, NodeError> {
    let paper = paper_account();
    let mut found = vec![Recovered {
        account: recover_account(&*base.stores.journals, &paper)?,
        account_id: paper.clone(),
    }];
    let mut names: BTreeSet<String> = base.stores.journals.accounts()?.into_iter().collect();
    names.extend(starts::known(&*base.stores.records)?);
    let lacking = base.stores.lacking.iter().map(|it| it.account_id.clone());
    names.extend(lacking.filter(|name| name != AUDIT_JOURNAL));
    for name in names {
        let account_id = AccountId::new(&name).map_err(|error| {
            NodeError::Usage(format!("journal \"{name}\" is of no account: {error}"))
        })?;
        if account_id == paper {
            continue;
        }
        let account = recover_account(&*base.stores.journals, &account_id)?;
        if account.account.is_open() || starts::durable(&*base.stores.records, &name)? > 0 {
            found.push(Recovered {
                account_id,
                account,
            });
        } else {
            not_made(base, &account_id);
            // The audit says of each that it was passed over.
            base.stores.forget_lacking(&name)?;
        }
    }
    Ok(found)
}

/// Says that an account has no events. Its maker was answered once they were durable: where that was in
/// a reserve which this start passes over, the account is missing, not unfinished.
fn not_made(base: &Base, account_id: &AccountId) {
    let Some(lacks) = base.stores.lacks(account_id.as_str()) else {
        tracing::info!(%account_id, "an account was not made to its end, so there is none");
        return;
    };
    let detail = format!(
        "account {account_id} is not run: it was not made to its end, or its making is in the reserve \
         that this start was forced to pass over: {lacks}; make it again if it is missed"
    );
    tracing::warn!("{detail}");
    base.note("Node/AccountNotFound", detail);
}
