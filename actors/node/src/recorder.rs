//! Records the market of a node: carries what its feeds publish to the keeper of the time series.
//!
//! Nothing waits for it. While the series cannot be written it holds what fits, and then leaves the
//! topics to conflate and to count what it misses; the trading of the node goes on.

mod bars;
#[cfg(test)]
mod tests;

use crate::NodeError;
use crate::error::storage_advice;
use apex_bus::clock::Clock;
use apex_bus::market::MarketHub;
use apex_bus::topic::{AsyncSubscription, Item};
use apex_domain::market::{Bar, Quote, Trade};
use apex_domain::{Instrument, InstrumentId};
use apex_gateway::{Dependency, Readiness};
pub use apex_persistence::recorder::Retention;
use apex_persistence::recorder::{Keeper, RecorderFigures};
use apex_storage::port::series::Kind;
use apex_storage::{Series, StorageError};
use bars::Checking;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// How often what is held is written: a person who looks at the past does not miss a second of it.
const EVERY: Duration = Duration::from_secs(1);

/// The longest pause after a write that failed; doubled from [`EVERY`] on.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// How often roll-ups are brought up to date.
const ROLL_UP: Duration = Duration::from_secs(10);

/// Items of a topic at a time.
const BATCH: usize = 1_024;

/// How long the last write of a process may take.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// Stored bars that were compared with the engine's since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BarFigures {
    pub compared: u64,
    /// Of these.
    pub differ: u64,
}

/// What a recorder is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecorderState {
    pub figures: RecorderFigures,
    pub bars: BarFigures,
    /// Why the last write failed and what to do, while it does.
    pub failing: Option<String>,
}

/// What a recorder is doing, for who watches it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RecorderWatch(Arc<Mutex<RecorderState>>);

impl RecorderWatch {
    pub fn state(&self) -> RecorderState {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, change: impl FnOnce(&mut RecorderState)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Says it once when writing begins to fail, and once when it goes on.
    fn tell(&self, figures: RecorderFigures, error: Option<&StorageError>) {
        let failing = error.map(reason);
        let was = self.state().failing;
        match (&was, &failing) {
            (None, Some(error)) => {
                let held = figures.held;
                tracing::error!(
                    error,
                    held,
                    "market data is not recorded: trading goes on, and it is tried again"
                );
            }
            (Some(_), None) => tracing::info!("market data is recorded again"),
            _ => {}
        }
        self.change(|state| {
            (state.figures, state.failing) = (figures, failing);
        });
    }

    fn add_bars(&self, more: BarFigures) {
        self.change(|state| {
            state.bars.compared += more.compared;
            state.bars.differ += more.differ;
        });
    }
}

/// What to do about a recorder that has ended.
const ENDED: &str = "the recorder has ended: restart the process to record again";

impl Readiness for RecorderWatch {
    fn dependencies(&self) -> Vec<Dependency> {
        let state = self.state();
        let detail = match &state.failing {
            None => "market data is recorded".to_owned(),
            Some(why) => {
                let held = state.figures.held;
                format!("market data is not recorded, {held} rows wait: {why}")
            }
        };
        vec![Dependency {
            name: "recorder".to_owned(),
            // An order is answered without it.
            ok: true,
            degraded: state.failing.is_some(),
            detail,
        }]
    }
}

/// Returns why rows are not written, with what to do.
fn reason(error: &StorageError) -> String {
    match error {
        StorageError::Full { .. } => format!("{error}: free space there, and it goes on by itself"),
        _ => match storage_advice(error) {
            Some(advice) => format!("{error}: {advice}"),
            None => error.to_string(),
        },
    }
}

/// A running recorder.
pub struct Recorder {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    /// Compares bars; `None` where no trades are recorded.
    checking: Option<JoinHandle<()>>,
    watch: RecorderWatch,
    /// For who reads it while this runs.
    _series: Arc<dyn Series>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("watch", &self.watch)
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// Begins to record what is published from now on.
    ///
    /// Errors: a topic that has no seat.
    pub fn start(
        hub: &MarketHub,
        series: Arc<dyn Series>,
        retention: Retention,
        clock: Clock,
    ) -> Result<Recorder, NodeError> {
        const NAME: &str = "recorder";
        let seat = |error| NodeError::Step(format!("the recorder cannot listen: {error}"));
        let quotes = match retention.quotes {
            0 => None,
            _ => Some(hub.quotes.subscribe_async(NAME).map_err(seat)?),
        };
        let (stop, stopped) = watch::channel(false);
        let watch = RecorderWatch::default();
        let run = Run {
            trades: hub.trades.subscribe_async(NAME).map_err(seat)?,
            bars: hub.bars.subscribe_async(NAME).map_err(seat)?,
            quotes,
            hub: hub.clone(),
            definitions: BTreeMap::new(),
            keeper: Some(Keeper::new(series.clone(), retention)),
            clock: clock.clone(),
            watch: watch.clone(),
            stopped: stopped.clone(),
            rolled_up: None,
        };
        let checking = (retention.trades > 0)
            .then(|| Checking::new(series.clone(), clock, watch.clone(), stopped))
            .map(|checking| tokio::spawn(checking.run()));
        Ok(Recorder {
            stop,
            running: tokio::spawn(run.run()),
            checking,
            watch,
            _series: series,
        })
    }

    pub fn watch(&self) -> RecorderWatch {
        self.watch.clone()
    }

    /// Writes what is held, and ends. Call it once the feeds have ended.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if timeout(LAST_WRITE, self.running).await.is_err() {
            tracing::warn!("the last market data was not recorded in time");
        }
        if let Some(checking) = self.checking
            && timeout(LAST_WRITE, checking).await.is_err()
        {
            tracing::warn!("the comparison of stored bars did not end in time");
        }
    }
}

struct Run {
    hub: MarketHub,
    trades: AsyncSubscription<Trade>,
    bars: AsyncSubscription<Bar>,
    quotes: Option<AsyncSubscription<Quote>>,
    /// Definitions as they were first seen: decimals never change.
    definitions: BTreeMap<InstrumentId, Instrument>,
    /// Away while it writes.
    keeper: Option<Keeper>,
    clock: Clock,
    watch: RecorderWatch,
    stopped: watch::Receiver<bool>,
    rolled_up: Option<Instant>,
}

impl Run {
    async fn run(mut self) {
        let (mut pause, mut due) = (EVERY, Instant::now() + EVERY);
        let (mut trades, mut bars, mut quotes) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let is_full = self.keeper.as_ref().is_none_or(Keeper::is_full);
            tokio::select! {
                biased;
                _ = self.stopped.changed() => break,
                () = sleep_until(due) => {
                    pause = match self.write().await {
                        true => EVERY,
                        false => (pause * 2).min(LONGEST_PAUSE),
                    };
                    due = Instant::now() + pause;
                }
                count = self.trades.next_batch(&mut trades, BATCH), if !is_full => {
                    if count == 0 {
                        break;
                    }
                    trades.drain(..).for_each(|item| self.trade(item));
                }
                count = self.bars.next_batch(&mut bars, BATCH), if !is_full => {
                    if count == 0 {
                        break;
                    }
                    bars.drain(..).for_each(|item| self.bar(item));
                }
                count = next(&mut self.quotes, &mut quotes), if !is_full => {
                    if count == 0 {
                        break;
                    }
                    quotes.drain(..).for_each(|item| self.quote(item));
                }
            }
        }
        // What the feeds said last is in the topics still.
        self.trades.try_next_batch(&mut trades, usize::MAX);
        trades.drain(..).for_each(|item| self.trade(item));
        self.write().await;
    }

    fn define(&mut self, id: &InstrumentId) -> Option<(&Instrument, &mut Keeper)> {
        if !self.definitions.contains_key(id) {
            let definition = self.hub.instrument(id)?;
            self.definitions.insert(id.clone(), definition);
        }
        Some((self.definitions.get(id)?, self.keeper.as_mut()?))
    }

    fn trade(&mut self, item: Item<Trade>) {
        match item {
            Item::Value { value, .. } => {
                if let Some((instrument, keeper)) = self.define(&value.instrument_id) {
                    keeper.trade(instrument, &value);
                }
            }
            Item::Gap { missed } => self.missed(Kind::Trades, missed),
        }
    }

    fn bar(&mut self, item: Item<Bar>) {
        match item {
            Item::Value { value, .. } => {
                if let Some((instrument, keeper)) = self.define(&value.instrument_id) {
                    keeper.bar(instrument, &value);
                }
            }
            Item::Gap { missed } => self.missed(Kind::Bars, missed),
        }
    }

    fn quote(&mut self, item: Item<Quote>) {
        match item {
            Item::Value { value, overwritten } => {
                if let Some((instrument, keeper)) = self.define(&value.instrument_id) {
                    keeper.quote(instrument, &value, overwritten);
                }
            }
            Item::Gap { missed } => self.missed(Kind::Quotes, missed),
        }
    }

    fn missed(&mut self, kind: Kind, count: u64) {
        tracing::warn!(
            ?kind,
            count,
            "market data was published faster than it is recorded"
        );
        if let Some(keeper) = &mut self.keeper {
            keeper.missed(kind, count);
        }
    }

    /// Writes what is held, on a thread that may block. Returns true when all of it was written.
    async fn write(&mut self) -> bool {
        let Some(mut keeper) = self.keeper.take() else {
            // It said so when it ended.
            return false;
        };
        let (now, at) = (self.clock.now(), Instant::now());
        let rolls = self.rolled_up.is_none_or(|last| at >= last + ROLL_UP);
        let work = move || {
            let mut written = keeper.write();
            if rolls && written.is_ok() {
                written = keeper.maintain(now);
            }
            (keeper, written)
        };
        // One that panicked took what it held along: there is nothing to record with any more.
        let Ok((keeper, written)) = tokio::task::spawn_blocking(work).await else {
            tracing::error!("{ENDED}");
            self.watch
                .change(|state| state.failing = Some(ENDED.to_owned()));
            return false;
        };
        if rolls && written.is_ok() {
            self.rolled_up = Some(at);
        }
        self.watch.tell(keeper.figures(), written.as_ref().err());
        self.keeper = Some(keeper);
        written.is_ok()
    }
}

async fn next(
    quotes: &mut Option<AsyncSubscription<Quote>>,
    batch: &mut Vec<Item<Quote>>,
) -> usize {
    match quotes {
        Some(quotes) => quotes.next_batch(batch, BATCH).await,
        None => std::future::pending().await,
    }
}
