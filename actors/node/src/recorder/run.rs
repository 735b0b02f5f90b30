//! What a recorder does: takes what is published, and has it written each second.

use super::{ENDED, RecorderWatch};
use apex_bus::market::MarketHub;
use apex_bus::topic::{AsyncSubscription, Item};
use apex_domain::market::{Bar, Quote, Trade};
use apex_domain::{Instrument, InstrumentId};
use apex_persistence::recorder::{Keeper, MAX_HELD};
use apex_storage::StorageError;
use apex_storage::port::series::Kind;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// How often what is held is written: a person who looks at the past does not miss a second of it.
const EVERY: Duration = Duration::from_secs(1);

/// The longest pause after a write that failed; doubled from [`EVERY`] on.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// Items of a topic at a time.
const BATCH: usize = 1_024;

pub(super) struct Run {
    pub hub: MarketHub,
    pub trades: AsyncSubscription<Trade>,
    pub bars: AsyncSubscription<Bar>,
    pub quotes: Option<AsyncSubscription<Quote>>,
    /// Definitions as they were first seen: decimals never change.
    pub definitions: BTreeMap<InstrumentId, Instrument>,
    /// Away while it writes.
    pub keeper: Option<Keeper>,
    pub writing: Option<Writing>,
    /// Rows that it took along.
    pub away: usize,
    /// What came while it was away.
    pub backlog: Vec<Incoming>,
    pub watch: RecorderWatch,
    pub stopped: watch::Receiver<bool>,
}

/// A keeper that writes, on a thread that may block.
pub(super) type Writing = JoinHandle<(Keeper, Result<(), StorageError>)>;

/// What a topic gave.
pub(super) enum Incoming {
    Trade(Item<Trade>),
    Quote(Item<Quote>),
    Bar(Item<Bar>),
}

impl Run {
    pub async fn run(mut self) {
        let (mut pause, mut due) = (EVERY, Instant::now() + EVERY);
        let (mut trades, mut bars, mut quotes) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let has_room = self.has_room();
            tokio::select! {
                biased;
                _ = self.stopped.changed() => break,
                outcome = joined(&mut self.writing) => {
                    pause = match self.written(outcome) {
                        true => EVERY,
                        false => (pause * 2).min(LONGEST_PAUSE),
                    };
                    due = Instant::now() + pause;
                }
                () = sleep_until(due), if self.keeper.is_some() => self.write(),
                count = self.trades.next_batch(&mut trades, BATCH), if has_room => {
                    if count == 0 {
                        break;
                    }
                    trades.drain(..).for_each(|item| self.take(Incoming::Trade(item)));
                }
                count = self.bars.next_batch(&mut bars, BATCH), if has_room => {
                    if count == 0 {
                        break;
                    }
                    bars.drain(..).for_each(|item| self.take(Incoming::Bar(item)));
                }
                count = next(&mut self.quotes, &mut quotes), if has_room => {
                    if count == 0 {
                        break;
                    }
                    quotes.drain(..).for_each(|item| self.take(Incoming::Quote(item)));
                }
            }
        }
        // What the feeds said last is in the topics still.
        self.trades.try_next_batch(&mut trades, usize::MAX);
        trades
            .drain(..)
            .for_each(|item| self.take(Incoming::Trade(item)));
        // What came during a write goes with the next.
        for _ in 0..2 {
            self.write();
            if self.writing.is_some() {
                let outcome = joined(&mut self.writing).await;
                self.written(outcome);
            }
        }
    }

    /// Returns true while what comes can be held: by the keeper, or until it is back.
    fn has_room(&self) -> bool {
        match &self.keeper {
            Some(keeper) => !keeper.is_full(),
            None => self.writing.is_some() && self.away + self.backlog.len() < MAX_HELD,
        }
    }

    fn take(&mut self, incoming: Incoming) {
        if self.keeper.is_none() {
            self.backlog.push(incoming);
            return;
        }
        match incoming {
            Incoming::Trade(item) => self.trade(item),
            Incoming::Quote(item) => self.quote(item),
            Incoming::Bar(item) => self.bar(item),
        }
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

    /// Begins to write what is held, on a thread that may block.
    fn write(&mut self) {
        let Some(mut keeper) = self.keeper.take() else {
            return;
        };
        self.away = keeper.figures().held as usize;
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let written = keeper.write();
            (keeper, written)
        }));
    }

    /// Takes the keeper back, with what came meanwhile. Returns true when all that it held was
    /// written.
    fn written(&mut self, outcome: Option<(Keeper, Result<(), StorageError>)>) -> bool {
        // One that panicked took what it held along: there is nothing to record with any more.
        let Some((keeper, written)) = outcome else {
            tracing::error!("{ENDED}");
            self.watch
                .change(|state| state.failing = Some(ENDED.to_owned()));
            self.backlog = Vec::new();
            return false;
        };
        self.keeper = Some(keeper);
        for incoming in std::mem::take(&mut self.backlog) {
            self.take(incoming);
        }
        let figures = self.keeper.as_ref().map(Keeper::figures);
        self.watch
            .tell(figures.unwrap_or_default(), written.as_ref().err());
        written.is_ok()
    }
}

/// Waits for a write that is under way, for ever without one; `None` when it panicked.
async fn joined(writing: &mut Option<Writing>) -> Option<(Keeper, Result<(), StorageError>)> {
    let outcome = match writing.as_mut() {
        Some(writing) => writing.await.ok(),
        None => std::future::pending().await,
    };
    *writing = None;
    outcome
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
