//! Writes the hot values of a node: the newest quotes, book tops and positions, for processes that
//! show them.
//!
//! Nothing waits for it. It looks at the topics a few times a second, takes the newest of each, and
//! hands it to the keeper; the port behind that writes in pipelines on a thread of its own, or keeps
//! the newest while it cannot. No order passes here, and a node whose server is away trades on.

use crate::NodeError;
use crate::stores::HotStore;
use apex_bus::clock::Clock;
use apex_bus::handle::{AccountHandle, Platform};
use apex_bus::market::MarketHub;
use apex_bus::message::{AccountEvent, AccountSummary, CommandError};
use apex_bus::topic::{AsyncSubscription, Item};
use apex_domain::AccountId;
use apex_domain::market::{BookSnapshot, Quote};
use apex_gateway::{Dependency, Readiness};
pub use apex_persistence::hot::HotFigures;
use apex_persistence::hot::{BEAT, HotKeeper};
use apex_storage::Hot;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often the newest is taken: a person sees no more than four changes a second.
const EVERY: Duration = Duration::from_millis(250);

/// Items of a topic at a time; market topics hold one of each instrument.
const BATCH: usize = 1 << 12;

/// Events of accounts at a time: as many as the topic holds before it tells of a gap. What is left
/// is looked at the next time.
const EVENTS: usize = 1 << 16;

/// What a writer of hot values is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HotState {
    pub figures: HotFigures,
    /// Why values do not arrive, while they do not.
    pub degraded: Option<String>,
}

/// What a writer of hot values is doing, for who watches it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HotWatch {
    keeper: Shared,
    writer: AbortHandle,
}

impl HotWatch {
    pub fn state(&self) -> HotState {
        let keeper = self.keeper.lock();
        let ended = self.writer.is_finished().then(|| ENDED.to_owned());
        HotState {
            figures: keeper.figures(),
            degraded: ended.or_else(|| keeper.degraded()),
        }
    }
}

/// One that panicked; what it wrote expires, since nothing renews it.
const ENDED: &str = "their writer has ended: restart the process to write them again";

impl Readiness for HotWatch {
    fn dependencies(&self) -> Vec<Dependency> {
        let state = self.state();
        let held = state.figures.held;
        let detail = match &state.degraded {
            Some(reason) => format!("hot values do not arrive: {reason}"),
            None => format!("{held} hot values are written"),
        };
        vec![Dependency {
            name: "redis".to_owned(),
            // An order is answered without it.
            ok: true,
            degraded: state.degraded.is_some(),
            detail,
        }]
    }
}

#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<HotKeeper>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HotKeeper> {
        // A panic within leaves it usable: each call replaces whole values.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running writer of hot values.
pub struct HotWriter {
    running: JoinHandle<()>,
    keeper: Shared,
}

impl fmt::Debug for HotWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotWriter")
            .field("keeper", &self.keeper)
            .finish_non_exhaustive()
    }
}

impl HotWriter {
    /// Begins to write what is known, and what becomes known from now on.
    ///
    /// Errors: a topic that has no seat; no randomness for the node's name.
    pub fn start(
        store: &HotStore,
        platform: &Platform,
        clock: Clock,
    ) -> Result<HotWriter, NodeError> {
        const NAME: &str = "hot";
        let seat = |error| NodeError::Step(format!("hot values cannot be followed: {error}"));
        let node = name()?;
        let keeper = HotKeeper::new(store.hot.clone(), store.namespace, node);
        let keeper = Shared(Arc::new(Mutex::new(keeper)));
        let hub = &platform.market;
        let market = MarketSide {
            quotes: hub.quotes.subscribe_async(NAME).map_err(seat)?,
            books: hub.books.subscribe_async(NAME).map_err(seat)?,
            hub: hub.clone(),
            keeper: keeper.clone(),
        };
        let accounts = AccountSide {
            events: platform
                .account_events
                .subscribe_async(NAME)
                .map_err(seat)?,
            platform: platform.clone(),
            keeper: keeper.clone(),
            known: BTreeSet::new(),
            changed: BTreeMap::new(),
            asked: FuturesUnordered::new(),
            waiting: BTreeSet::new(),
        };
        let beats = beats(store.hot.clone(), keeper.clone(), clock);
        // One task, so that they end together: beats alone would renew what nobody follows.
        let running = tokio::spawn(async move {
            tokio::join!(market.run(), accounts.run(), beats);
        });
        Ok(HotWriter { running, keeper })
    }

    pub fn watch(&self) -> HotWatch {
        HotWatch {
            keeper: self.keeper.clone(),
            writer: self.running.abort_handle(),
        }
    }

    /// Ends at once: what was not written is no loss, and what was expires.
    pub async fn stop(self) {
        self.running.abort();
        let _ = self.running.await;
    }
}

/// Makes the name of this run of this process.
fn name() -> Result<String, NodeError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| NodeError::Step(format!("hot values have no name: {error}")))?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

fn every(pause: Duration) -> Interval {
    let mut timer = interval(pause);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}

struct MarketSide {
    quotes: AsyncSubscription<Quote>,
    books: AsyncSubscription<Arc<BookSnapshot>>,
    hub: MarketHub,
    keeper: Shared,
}

impl MarketSide {
    async fn run(mut self) {
        self.known();
        let mut timer = every(EVERY);
        let (mut quotes, mut books) = (Vec::new(), Vec::new());
        loop {
            timer.tick().await;
            self.quotes.try_next_batch(&mut quotes, BATCH);
            self.books.try_next_batch(&mut books, BATCH);
            let mut keeper = self.keeper.lock();
            for quote in quotes.drain(..).filter_map(value) {
                if let Some(instrument) = self.hub.instrument(&quote.instrument_id) {
                    keeper.quote(&instrument, &quote);
                }
            }
            for book in books.drain(..).filter_map(value) {
                if let Some(instrument) = self.hub.instrument(&book.instrument_id) {
                    keeper.book(&instrument, &book);
                }
            }
        }
    }

    /// Takes what was published before it listened: a quiet market may not say it again.
    fn known(&self) {
        let mut keeper = self.keeper.lock();
        for view in self.hub.views() {
            if let Some(quote) = &view.quote {
                keeper.quote(&view.instrument, quote);
            }
            if let Some(book) = &view.book {
                keeper.book(&view.instrument, book);
            }
        }
    }
}

fn value<T: Clone>(item: Item<T>) -> Option<T> {
    match item {
        Item::Value { value, .. } => Some(value),
        // The newest of an instrument is never left out.
        Item::Gap { .. } => None,
    }
}

struct AccountSide {
    events: AsyncSubscription<AccountEvent>,
    platform: Platform,
    keeper: Shared,
    known: BTreeSet<AccountId>,
    /// Accounts whose positions may be others than were written.
    changed: BTreeMap<AccountId, AccountHandle>,
    /// One question each that is under way, however long an account stands still.
    asked: FuturesUnordered<BoxFuture<'static, Asked>>,
    waiting: BTreeSet<AccountId>,
}

/// Who was asked, and what came of it.
type Asked = (
    AccountId,
    AccountHandle,
    Result<AccountSummary, CommandError>,
);

impl AccountSide {
    async fn run(mut self) {
        let mut timer = every(EVERY);
        loop {
            timer.tick().await;
            self.listen();
            self.write().await;
        }
    }

    /// Finds out which accounts are to be asked.
    fn listen(&mut self) {
        let all = self.platform.accounts.all();
        let mut batch = Vec::new();
        let mut all_changed = false;
        self.events.try_next_batch(&mut batch, EVENTS);
        for item in batch {
            match item {
                Item::Value { value, .. } => {
                    if let Some(handle) = all.get(&value.account_id) {
                        self.changed.insert(value.account_id, handle.clone());
                    }
                }
                Item::Gap { .. } => all_changed = true,
            }
        }
        for (account_id, handle) in all.iter() {
            if self.known.insert(account_id.clone()) || all_changed {
                self.changed.insert(account_id.clone(), handle.clone());
            }
        }
    }

    /// Asks each for its durable state, once for all that happened in the meantime: a question that
    /// an account answers four times a second at most. One that stands still holds up no other: its
    /// answer is taken whenever it comes.
    async fn write(&mut self) {
        for (account_id, handle) in std::mem::take(&mut self.changed) {
            if !self.waiting.insert(account_id.clone()) {
                self.changed.insert(account_id, handle);
                continue;
            }
            self.asked.push(Box::pin(async move {
                let summary = handle.summary().await;
                (account_id, handle, summary)
            }));
        }
        let until = tokio::time::Instant::now() + EVERY;
        while let Ok(Some(answer)) = tokio::time::timeout_at(until, self.asked.next()).await {
            let (account_id, handle, summary) = answer;
            self.waiting.remove(&account_id);
            let Ok(summary) = summary else {
                // Busy or stopping: asked again.
                self.changed.insert(account_id, handle);
                continue;
            };
            let held = summary.positions.into_iter().filter_map(|position| {
                let instrument = self.platform.market.instrument(&position.instrument_id)?;
                Some((position, instrument))
            });
            let held: Vec<_> = held.collect();
            let mut keeper = self.keeper.lock();
            keeper.positions(&account_id, summary.sequence, &held);
        }
    }
}

/// Looks once a second whether the server still has what was written.
async fn beats(hot: Arc<dyn Hot>, keeper: Shared, clock: Clock) {
    let mut timer = every(BEAT);
    let key = keeper.lock().beat_key();
    loop {
        timer.tick().await;
        let (asked, key) = (hot.clone(), key.clone());
        // The port blocks, for two seconds at most.
        let look: JoinHandle<_> = tokio::task::spawn_blocking(move || {
            let mut values = asked.get(&[key.as_str()])?;
            Ok(values.pop().flatten())
        });
        let found = match look.await {
            Ok(found) => found,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is ending.
            Err(_) => return,
        };
        keeper.lock().beat(clock.now(), found);
    }
}

#[cfg(test)]
mod tests;
