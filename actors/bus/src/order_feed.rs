//! The way to the single orders of a feed that has them.

use apex_domain::InstrumentId;
use apex_domain::book::{L3Snapshot, L3Update};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, oneshot};

/// Readers whom a feed may be asked to answer at a time. Each answer copies a book, in the time of
/// a market that trades; others wait for their turn.
const ASKING: usize = 4;

/// What a feed is asked.
#[derive(Debug)]
pub struct OrdersAsk {
    pub instrument_id: InstrumentId,
    /// The changes are wanted as well.
    pub follows: bool,
    /// Answered with `None` where the feed does not list the instrument.
    pub reply: oneshot::Sender<Option<ToldOrders>>,
    /// Held until the answer was given, also when nobody waits for it any more.
    pub turn: OwnedSemaphorePermit,
}

/// The single orders of an instrument as they stand, and what follows.
#[derive(Debug)]
pub struct ToldOrders {
    pub snapshot: L3Snapshot,
    /// The updates behind the snapshot, without a hole; `None` where they were not wanted. Who
    /// reads too slowly is told so and asks again. Closed when the feed ends.
    pub updates: Option<broadcast::Receiver<Arc<L3Update>>>,
}

/// Why single orders cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OrderFeedError {
    /// Asking again does not help.
    #[error("the feed does not list the instrument")]
    NotListed,
    #[error("the feed has stopped")]
    Stopped,
}

/// A feed that tells single orders. Cheap to clone.
#[derive(Clone)]
pub struct OrderFeed {
    /// Hands a question over, or drops it when the feed has stopped.
    ask: Arc<dyn Fn(OrdersAsk) + Send + Sync>,
    turns: Arc<Semaphore>,
}

impl fmt::Debug for OrderFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderFeed").finish_non_exhaustive()
    }
}

impl OrderFeed {
    pub fn new(ask: impl Fn(OrdersAsk) + Send + Sync + 'static) -> OrderFeed {
        OrderFeed {
            ask: Arc::new(ask),
            turns: Arc::new(Semaphore::new(ASKING)),
        }
    }

    /// Returns the orders as they stand.
    ///
    /// # Errors
    /// [`OrderFeedError`].
    pub async fn snapshot(&self, id: &InstrumentId) -> Result<L3Snapshot, OrderFeedError> {
        self.told(id, false).await.map(|told| told.snapshot)
    }

    /// Returns the orders as they stand and the updates that follow. The feed keeps and tells
    /// changes only while such updates are held.
    ///
    /// # Errors
    /// [`OrderFeedError`].
    pub async fn follow(
        &self,
        id: &InstrumentId,
    ) -> Result<(L3Snapshot, broadcast::Receiver<Arc<L3Update>>), OrderFeedError> {
        let told = self.told(id, true).await?;
        let updates = told.updates.ok_or(OrderFeedError::Stopped)?;
        Ok((told.snapshot, updates))
    }

    async fn told(&self, id: &InstrumentId, follows: bool) -> Result<ToldOrders, OrderFeedError> {
        let turn = self.turns.clone().acquire_owned().await;
        let turn = turn.map_err(|_| OrderFeedError::Stopped)?;
        let (reply, answer) = oneshot::channel();
        (self.ask)(OrdersAsk {
            instrument_id: id.clone(),
            follows,
            reply,
            turn,
        });
        let told = answer.await.map_err(|_| OrderFeedError::Stopped)?;
        told.ok_or(OrderFeedError::NotListed)
    }
}
