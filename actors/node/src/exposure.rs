//! The limit over all accounts: its actor, kept up by a supervisor, and where its record lies.

use crate::NodeError;
use crate::account::recover_account;
use crate::stores::Stores;
use apex_broker::{ExposureActor, ExposureArgs, LimitStore};
use apex_bus::exposure::ExposureHandle;
use apex_bus::supervision::{
    Backoff, ChildSpec, OnPanic, Supervisor, SupervisorArguments, SupervisorMessage,
};
use apex_domain::risk::platform::PlatformExposure;
use apex_domain::{AccountId, UnixNanos};
use apex_persistence::starts;
use apex_storage::{Change, Records, StorageError};
use ractor::{Actor, ActorRef, SpawnErr};
use std::sync::{Arc, Mutex, PoisonError};

/// Table of the records store.
const TABLE: &str = "platform";

/// The only entry of it so far.
const KEY: &str = "exposure";

const NAME: &str = "the keeper of the platform's exposure limit";

/// Where one keeper's record lies. A keeper that was started after it writes another record, and
/// from then on this one's are refused: a write of a keeper that failed may still be on its way when
/// the next one begins, in this process or another, and would take back what that one decided.
struct RecordStore {
    records: Arc<dyn Records>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The record as this keeper read or wrote it last.
    stored: Option<Vec<u8>>,
    /// One whose write failed, which may be there all the same.
    doubtful: Option<Vec<u8>>,
}

impl RecordStore {
    /// Reads the record that a keeper begins from.
    fn open(records: Arc<dyn Records>) -> Result<RecordStore, StorageError> {
        let stored = records.get(TABLE, KEY)?;
        let doubtful = None;
        Ok(RecordStore {
            records,
            known: Mutex::new(Known { stored, doubtful }),
        })
    }

    fn record(&self) -> Option<Vec<u8>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.stored.clone()
    }
}

impl LimitStore for RecordStore {
    fn save(&self, record: &[u8]) -> Result<(), String> {
        // Each change of it is one assignment, so a panic leaves it whole.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(doubtful) = known.doubtful.take() {
            let found = self.records.get(TABLE, KEY);
            match found.map_err(|error| error.to_string()) {
                Ok(found) if found.as_ref() == Some(&doubtful) => known.stored = found,
                Ok(_) => {}
                Err(error) => {
                    known.doubtful = Some(doubtful);
                    return Err(error);
                }
            }
        }
        let change = match &known.stored {
            Some(stored) => Change::replace(TABLE, KEY, stored.clone(), record),
            None => Change::insert(TABLE, KEY, record),
        };
        match self.records.change(&[change]) {
            Ok(()) => {
                known.stored = Some(record.to_vec());
                Ok(())
            }
            Err(StorageError::Conflict { .. }) => {
                Err("another keeper of the limit has begun since: this one has ended".to_owned())
            }
            Err(error) => {
                known.doubtful = Some(record.to_vec());
                Err(error.to_string())
            }
        }
    }
}

/// Starts the keeper from what the last run made durable, before any account starts. When it
/// fails it is started again the same way; meanwhile accounts keep to the shares that they have.
///
/// Errors: [`NodeError`]; a record that cannot be read is refused, since without it the limit is
/// not known.
pub async fn start(records: Arc<dyn Records>) -> Result<ExposureHandle, NodeError> {
    // What a person can mend is said as such; the supervisor would only say that it did not start.
    records.get(TABLE, KEY)?;
    let handle = ExposureHandle::default();
    let seat = handle.clone();
    let restart = OnPanic::Restart(Backoff::default());
    let keeper = ChildSpec::new(NAME, restart, move |supervisor| {
        let (seat, records) = (seat.clone(), records.clone());
        async move {
            let store = RecordStore::open(records).map_err(startup_failed)?;
            let args = ExposureArgs {
                record: store.record(),
                store: Arc::new(store),
            };
            let spawned = ExposureActor::spawn_linked(None, ExposureActor, args, supervisor);
            let (actor, _running) = spawned.await?;
            seat.seat(actor.clone());
            Ok(actor.get_cell())
        }
    });
    let supervisor = supervise(keeper).await?;
    handle.supervised_by(supervisor.get_cell());
    Ok(handle)
}

async fn supervise(keeper: ChildSpec) -> Result<ActorRef<SupervisorMessage>, NodeError> {
    let args = SupervisorArguments::new(vec![keeper]);
    let (supervisor, _running) = Actor::spawn(None, Supervisor, args)
        .await
        .map_err(|error| NodeError::spawn(NAME, &error))?;
    Ok(supervisor)
}

fn startup_failed(error: StorageError) -> SpawnErr {
    SpawnErr::StartupFailed(error.into())
}

/// Looks at every account that joined in an earlier run and is not run this time. One that holds
/// nothing and has nothing working gives its share back and is counted no more; any other keeps
/// it, and the operator is told.
///
/// Errors: [`NodeError`]; the keeper does not answer. A journal that cannot be read is no error:
/// what its account has is not known then, so that no share grows.
pub async fn settle_away(
    exposure: &ExposureHandle,
    runs: &[AccountId],
    stores: &Stores,
    now: UnixNanos,
) -> Result<(), NodeError> {
    let view = exposure.view().await?;
    let accounts = view.accounts.into_iter().map(|account| account.account_id);
    for account_id in accounts.filter(|id| !runs.contains(id)) {
        let away = Away {
            account_id,
            epoch: view.epoch,
            now,
        };
        away.settle(exposure, stores).await?;
    }
    Ok(())
}

/// An account that is not run this time.
struct Away {
    account_id: AccountId,
    epoch: u64,
    now: UnixNanos,
}

impl Away {
    async fn settle(&self, exposure: &ExposureHandle, stores: &Stores) -> Result<(), NodeError> {
        let id = &self.account_id;
        let mut opened = match self.open(stores) {
            Ok(opened) => opened,
            Err(why) => {
                tracing::error!(
                    account_id = %id, why,
                    "an account that is not run has an unknown share of the platform's exposure \
                     limit, so no share grows: put its journal back, or take the limit away"
                );
                return Ok(());
            }
        };
        if opened.account.is_idle() {
            // First in its journal: should it be run again, it begins with nothing.
            let term = PlatformExposure::leaving_term(self.epoch);
            opened.give_share_back(self.now, term)?;
            exposure.leave(id.clone()).await?;
            tracing::info!(
                account_id = %id,
                "an account that is not run holds nothing: its share of the platform's exposure \
                 limit is free"
            );
            return Ok(());
        }
        let account = &opened.account;
        let share = account.platform_share().cloned();
        let held = account.positions().filter(|position| !position.is_flat());
        tracing::warn!(
            account_id = %id,
            positions = held.count(),
            working_orders = account.working_orders().count(),
            "an account that is not run keeps its share of the platform's exposure limit: run it \
             again, and close its positions and orders, to have it back"
        );
        exposure.away(id.clone(), share);
        Ok(())
    }

    /// Errors: why what its journal says does not count, for a person.
    fn open(&self, stores: &Stores) -> Result<crate::account::OpenAccount, String> {
        let id = &self.account_id;
        let known = stores
            .journals
            .accounts()
            .map_err(|error| error.to_string())?;
        if !known.iter().any(|known| known == id.as_str()) {
            return Err("it has no journal here".to_owned());
        }
        let opened = recover_account(&*stores.journals, id).map_err(|error| error.to_string())?;
        let durable =
            starts::durable(&*stores.records, id.as_str()).map_err(|error| error.to_string())?;
        let ends_at = opened.account.sequence();
        if ends_at < durable {
            return Err(format!(
                "its journal ends at sequence {ends_at}, but {durable} was durable"
            ));
        }
        Ok(opened)
    }
}

#[cfg(test)]
mod tests;
