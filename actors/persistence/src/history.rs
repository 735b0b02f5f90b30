//! The durable past of accounts, read back for streams that resume and for reads of the past.

use crate::past::{Past, Seen};
use crate::recover::{RecoverError, decode, fold};
use crate::writer::JournalQueue;
use apex_bus::handle::{EventHistory, HistoryError, PastError};
use apex_bus::message::AccountEvent;
use apex_domain::account::Account;
use apex_domain::event::Recorded;
use apex_domain::order::OrderKey;
use apex_domain::{AccountId, UnixNanos};
use apex_storage::JournalError;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Reads events from the journals of this process and folds them, so that each comes with its
/// order as it stood then.
#[derive(Debug)]
pub struct JournalHistory {
    /// Accounts are added while the process runs.
    accounts: RwLock<BTreeMap<AccountId, Arc<Reader>>>,
}

#[derive(Debug)]
struct Reader {
    journal: JournalQueue,
    /// The account as of the last event that was read: the next page of the same stream goes on
    /// from here. A stream that starts further back begins anew.
    at: Mutex<Account>,
    past: Mutex<Past>,
}

impl JournalHistory {
    pub fn new(journals: impl IntoIterator<Item = (AccountId, JournalQueue)>) -> JournalHistory {
        let history = JournalHistory {
            accounts: RwLock::default(),
        };
        for (account_id, journal) in journals {
            history.add(account_id, journal);
        }
        history
    }

    /// Lets the journal of another account be read from now on.
    pub fn add(&self, account_id: AccountId, journal: JournalQueue) {
        let reader = Reader {
            journal,
            at: Mutex::new(Account::new()),
            past: Mutex::default(),
        };
        let mut accounts = self
            .accounts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        accounts.insert(account_id, Arc::new(reader));
    }

    fn reader(&self, account_id: &AccountId) -> Result<Arc<Reader>, HistoryError> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        accounts
            .get(account_id)
            .cloned()
            .ok_or_else(|| HistoryError::NoJournal(account_id.clone()))
    }
}

impl EventHistory for JournalHistory {
    fn events(
        &self,
        account_id: &AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AccountEvent>, HistoryError> {
        let reader = self.reader(account_id)?;
        let mut account = reader.lock();
        if account.sequence() > after {
            *account = Account::new();
        }
        reader
            .page(&mut account, account_id, after, limit)
            .map_err(|error| {
                // A half-read account is of no use to the next page.
                *account = Account::new();
                unreadable(account_id, &error)
            })
    }

    fn records(
        &self,
        account_id: &AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, HistoryError> {
        let reader = self.reader(account_id)?;
        reader
            .records(after, limit)
            .map_err(|error| unreadable(account_id, &error))
    }

    fn as_of(
        &self,
        account_id: &AccountId,
        at: UnixNanos,
        limit: Duration,
    ) -> Result<Arc<Account>, PastError> {
        let until = Instant::now() + limit;
        let reader = self.reader(account_id)?;
        let mut past = reader.past.lock().unwrap_or_else(|poisoned| {
            // A panic in the middle of a fold took the account with it: what is left is whole.
            poisoned.into_inner()
        });
        match past.at(&reader.journal, at, until) {
            Ok(Seen::Account(account)) => Ok(account),
            Ok(Seen::NotOpenYet { opened }) => Err(PastError::NotOpenYet {
                account_id: account_id.clone(),
                opened,
            }),
            Ok(Seen::TooLong { sequence }) => Err(PastError::TooLong {
                account_id: account_id.clone(),
                sequence,
            }),
            Ok(Seen::NoJournal) => Err(HistoryError::NoJournal(account_id.clone()).into()),
            Err(error) => Err(unreadable(account_id, &error).into()),
        }
    }
}

fn unreadable(account_id: &AccountId, error: &RecoverError) -> HistoryError {
    HistoryError::Unreadable {
        account_id: account_id.clone(),
        detail: error.to_string(),
    }
}

impl Reader {
    fn records(&self, after: u64, limit: usize) -> Result<Vec<Recorded>, RecoverError> {
        let Some(records) = self.journal.read(after.saturating_add(1)) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for record in records?.take(limit) {
            let record = record.map_err(|error: JournalError| RecoverError::Journal(error))?;
            found.push(decode(&record)?);
        }
        Ok(found)
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.at.lock().unwrap_or_else(|poisoned| {
            // A panic in the middle of a fold: start from the first record again.
            let mut account = poisoned.into_inner();
            *account = Account::new();
            account
        })
    }

    fn page(
        &self,
        account: &mut Account,
        account_id: &AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AccountEvent>, RecoverError> {
        let mut events = Vec::new();
        if limit == 0 {
            return Ok(events);
        }
        let Some(records) = self.journal.read(account.sequence() + 1) else {
            return Ok(events);
        };
        for record in records? {
            let record = record.map_err(|error: JournalError| RecoverError::Journal(error))?;
            let recorded = fold(account, &record)?;
            if recorded.sequence <= after {
                continue;
            }
            let order = recorded
                .event
                .order_id()
                .and_then(|id| account.order(&OrderKey::OrderId(id.clone())))
                .map(|order| Arc::new(order.clone()));
            events.push(AccountEvent {
                account_id: account_id.clone(),
                recorded: Arc::new(recorded),
                order,
            });
            if events.len() >= limit {
                break;
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests;
