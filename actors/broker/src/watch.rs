//! Prices for an account whose own orders wait for them: from the market's topics to its mailbox.
//!
//! Most accounts wait for no price most of the time. So the account is told of prices of those
//! instruments only that it says it watches, and of every print of them: a stop must not miss the
//! one trade that touched it.

use apex_bus::market::MarketHub;
use apex_bus::message::AccountMessage;
use apex_bus::topic::{AsyncSubscription, Item, SubscribeError};
use apex_domain::InstrumentId;
use apex_domain::account::Account;
use apex_domain::market::{Quote, Trade};
use ractor::ActorRef;
use ractor::rpc::CallResult;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// Prints and quotes that are looked at before others on the thread have their turn.
pub(crate) const BATCH: usize = 256;

/// The instruments whose prices an account waits for, as its shell tells the feeder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched(Arc<RwLock<BTreeSet<InstrumentId>>>);

impl Watched {
    /// Returns what an account that was read back waits for.
    pub fn at_start(account: &Account) -> Watched {
        let watched = Watched::default();
        for order in account.working_orders() {
            let id = &order.request.instrument_id;
            watched.note(id, account.watches(id));
        }
        watched
    }

    /// Notes whether the instrument is watched; returns true when it was not before and is now.
    pub fn note(&self, instrument_id: &InstrumentId, watches: bool) -> bool {
        if self.contains(instrument_id) == watches {
            return false;
        }
        // A panic while it was held leaves it whole: each change is one call.
        let mut ids = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if watches {
            ids.insert(instrument_id.clone());
        } else {
            ids.remove(instrument_id);
        }
        watches
    }

    /// Returns all that are watched now.
    pub fn all(&self) -> BTreeSet<InstrumentId> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn contains(&self, instrument_id: &InstrumentId) -> bool {
        let ids = self.0.read().unwrap_or_else(PoisonError::into_inner);
        ids.contains(instrument_id)
    }
}

/// Carries prices to one account for as long as it runs.
pub(crate) struct Feeder {
    hub: MarketHub,
    quotes: AsyncSubscription<Quote>,
    trades: AsyncSubscription<Trade>,
    watched: Watched,
    account: ActorRef<AccountMessage>,
    /// Since the account last answered.
    has_told: bool,
}

impl Feeder {
    /// Subscribes.
    ///
    /// Errors: a topic that has no seat or is closed.
    pub fn new(
        hub: &MarketHub,
        watched: Watched,
        account: ActorRef<AccountMessage>,
        name: &str,
    ) -> Result<Feeder, SubscribeError> {
        Ok(Feeder {
            quotes: hub.quotes.subscribe_async(name)?,
            trades: hub.trades.subscribe_async(name)?,
            hub: hub.clone(),
            watched,
            account,
            has_told: false,
        })
    }

    /// Runs until a topic closes or the account has stopped.
    pub async fn run(mut self) {
        let (mut quotes, mut trades) = (Vec::new(), Vec::new());
        loop {
            let alive = tokio::select! {
                biased;
                // A print that is passed over is gone, a quote is followed by the next.
                count = self.trades.next_batch(&mut trades, BATCH) => {
                    count > 0 && trades.drain(..).all(|item| self.trade(item))
                }
                count = self.quotes.next_batch(&mut quotes, BATCH) => {
                    count > 0 && quotes.drain(..).all(|item| self.quote(item))
                }
            };
            if !alive || !self.has_caught_up().await {
                return;
            }
        }
    }

    /// Waits until the account has taken what it was told, so that no more than a batch of prices
    /// ever waits in its mailbox: meanwhile the topics bound what comes. Returns false once the
    /// account has stopped.
    async fn has_caught_up(&mut self) -> bool {
        if !std::mem::take(&mut self.has_told) {
            return true;
        }
        let answer = self.account.call(AccountMessage::Barrier, None).await;
        matches!(answer, Ok(CallResult::Success(())))
    }

    fn quote(&mut self, item: Item<Quote>) -> bool {
        let Some(quote) = item.into_value() else {
            return true;
        };
        self.tell(&quote.instrument_id, None)
    }

    fn trade(&mut self, item: Item<Trade>) -> bool {
        match item.into_value() {
            Some(trade) => self.tell(&trade.instrument_id, Some(&trade)),
            None => {
                tracing::warn!("prints were missed: orders that wait for one see the next");
                true
            }
        }
    }

    /// Returns false once the account has stopped.
    fn tell(&mut self, instrument_id: &InstrumentId, trade: Option<&Trade>) -> bool {
        if !self.watched.contains(instrument_id) {
            return true;
        }
        let Some(mut view) = self.hub.watched(instrument_id) else {
            return true;
        };
        if let Some(trade) = trade {
            // The board may be ahead of the topic; each print is shown with its own price.
            view.last = Some(trade.price);
            view.last_ts = trade.ts_init;
        }
        let message = AccountMessage::Market {
            instrument_id: instrument_id.clone(),
            view,
        };
        self.has_told = true;
        self.account.cast(message).is_ok()
    }
}
