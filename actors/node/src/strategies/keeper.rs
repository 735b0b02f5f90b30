//! What is kept of one deployed strategy: its record and its newest version.

use super::deployed::Seen;
use apex_bus::clock::Clock;
use apex_bus::strategies::{Asked, StrategyDeskError};
use apex_storage::records::requests::{self, Asked as Request, Known, Slot};
use apex_storage::records::{self, Found, Kept as _, Strategy, StrategyVersion, adding_version};
use apex_storage::{Change, Records, StorageError};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often what is wanted is tried to be kept, a second apart: longer than a database that is
/// started anew is away. Then the log says it, and the next change keeps it.
const KEEP_ATTEMPTS: u32 = 120;
const KEEP_PAUSE: Duration = Duration::from_secs(1);

/// A strategy with its newest version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub strategy: Strategy,
    pub version: StrategyVersion,
}

/// See the module. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Keeper {
    records: Arc<dyn Records>,
    clock: Clock,
    kept: Arc<Mutex<Kept>>,
    /// Held by who changes the strategy, from the decision to its end.
    pub turn: Arc<tokio::sync::Mutex<()>>,
}

/// What is known of a request.
pub enum Requested<T> {
    New(Option<Slot>),
    Answered(T),
}

impl Keeper {
    pub fn new(records: Arc<dyn Records>, clock: Clock, kept: Kept) -> Keeper {
        Keeper {
            records,
            clock,
            kept: Arc::new(Mutex::new(kept)),
            turn: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self) -> Kept {
        self.lock().clone()
    }

    /// Keeps another strategy in place of the one that there is, with a version where that is a new
    /// one, and the answer to the request. Called by who holds the turn.
    ///
    /// Errors: `NotKept`.
    pub async fn change<A: Serialize>(
        &self,
        next: Kept,
        answer: Option<(Slot, A)>,
    ) -> Result<(), StrategyDeskError> {
        let (records, now_ns) = (self.records.clone(), self.clock.now().0);
        let stored = next.clone();
        let answer = encoded(answer)?;
        let work = move || {
            let strategy = &stored.strategy;
            let key = records::state_key(&strategy.account_id, &strategy.strategy_id);
            let known: Option<Found<Strategy>> = records::find(&*records, &key)?;
            let known = known.ok_or_else(|| StorageError::Conflict {
                table: Strategy::TABLE.to_owned(),
                key,
            })?;
            let mut changes: Vec<Change> = if known.value.version == stored.version.version {
                vec![records::replacing(&known, strategy)?]
            } else {
                adding_version(Some(&known), strategy, &stored.version)?.into()
            };
            changes.extend(answered(answer, now_ns)?);
            records.change(&changes)
        };
        blocking(work).await?;
        *self.lock() = next;
        Ok(())
    }

    /// Keeps, in its own time, what is wanted as it is seen then: nobody asked for it.
    pub fn keep_as_seen(&self, seen: watch::Receiver<Seen>) {
        let own = self.clone();
        tokio::spawn(async move {
            for _ in 0..KEEP_ATTEMPTS {
                let turn = own.turn.lock().await;
                let (mut next, now) = (own.get(), own.clock.now());
                {
                    let seen = seen.borrow();
                    next.strategy.desired = seen.desired;
                    next.strategy.reason = seen.reason.clone();
                }
                next.strategy.changed_ns = now.0;
                next.strategy.by = "platform".to_owned();
                let Err(error) = own.change(next, None::<(Slot, ())>).await else {
                    return;
                };
                drop(turn);
                tracing::error!(%error, "what is wanted of a strategy is not kept yet");
                tokio::time::sleep(KEEP_PAUSE).await;
            }
        });
    }
}

/// Stores a strategy that is deployed now, with its first version.
///
/// Errors: `NotKept`.
pub async fn insert<A: Serialize>(
    records: &Arc<dyn Records>,
    clock: &Clock,
    kept: Kept,
    answer: Option<(Slot, A)>,
) -> Result<(), StrategyDeskError> {
    let (records, now_ns) = (records.clone(), clock.now().0);
    let answer = encoded(answer)?;
    blocking(move || {
        let mut changes = Vec::from(adding_version(None, &kept.strategy, &kept.version)?);
        changes.extend(answered(answer, now_ns)?);
        records.change(&changes)
    })
    .await
}

/// Looks a request up. Without one there is nothing to look up.
///
/// Errors: `RequestTaken`, `NotKept`.
pub async fn look<T: for<'a> Deserialize<'a> + Send + 'static>(
    records: &Arc<dyn Records>,
    clock: &Clock,
    asked: Option<&Asked>,
) -> Result<Requested<T>, StrategyDeskError> {
    let Some(asked) = asked.cloned() else {
        return Ok(Requested::New(None));
    };
    let (records, now_ns) = (records.clone(), clock.now().0);
    let request_id = asked.request_id.clone();
    let known = blocking(move || {
        let request = Request {
            user_id: &asked.user_id,
            request_id: asked.request_id.as_str(),
            method: asked.method,
            content: &asked.content,
        };
        requests::look(&*records, &request, now_ns)
    })
    .await?;
    match known {
        Known::New(slot) => Ok(Requested::New(Some(slot))),
        Known::Other => Err(StrategyDeskError::RequestTaken(request_id)),
        Known::Answered(bytes) => {
            let answer = serde_json::from_slice(&bytes);
            let answer = answer.map_err(|error| {
                StrategyDeskError::NotKept(format!("the answer that was given: {error}"))
            })?;
            Ok(Requested::Answered(answer))
        }
    }
}

fn encoded<A: Serialize>(
    answer: Option<(Slot, A)>,
) -> Result<Option<(Slot, Vec<u8>)>, StrategyDeskError> {
    let encode = |(slot, answer): (Slot, A)| Ok((slot, serde_json::to_vec(&answer)?));
    let encoded: Result<_, serde_json::Error> = answer.map(encode).transpose();
    encoded.map_err(|error| StrategyDeskError::NotKept(error.to_string()))
}

fn answered(answer: Option<(Slot, Vec<u8>)>, now_ns: i64) -> Result<Option<Change>, StorageError> {
    answer
        .map(|(slot, bytes)| slot.answered(&bytes, now_ns))
        .transpose()
}

/// Does work at the store beside the runtime's threads.
///
/// Errors: `NotKept`.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StrategyDeskError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            tracing::error!(%error, "records of strategies");
            Err(StrategyDeskError::NotKept(error.to_string()))
        }
        Err(_) => Err(StrategyDeskError::Stopping),
    }
}
