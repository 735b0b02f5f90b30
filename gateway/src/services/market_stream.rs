//! `MarketDataService.Subscribe`: the newest of each instrument, then batches of what follows.
//!
//! Each stream has its own cursors on the topics, whose policies do the work for a slow client:
//! quotes, books and states are the newest of each instrument with the number of those it missed,
//! prints and bars leave gaps that are told. While a batch waits for the client nothing piles up
//! here.

use crate::auth::Caller;
use crate::shared::{Shared, stopped, wall_clock};
use crate::status;
use crate::stream::{Over, Receiver, Sender};
use apex_bus::market::{MarketHub, MarketView};
use apex_bus::topic::{AsyncSubscription, Item, SubscribeError, Topic};
use apex_domain::market::{Bar, BookSnapshot, FeedState, Quote, Trade};
use apex_domain::{Instrument, InstrumentId};
use apex_proto::convert::market as wire;
use apex_proto::field::Fields;
use apex_proto::v1::{self, MarketDataKind as Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::Status;

/// Items of one topic in one batch. A batch of this many of each kind is about a megabyte, well
/// under the four that clients take by default.
const ITEMS: usize = 4_096;

/// Instruments that one request may name.
const INSTRUMENTS: usize = 1_024;

/// What a client asked for.
struct Wanted {
    /// `None` is every instrument.
    instruments: Option<BTreeSet<InstrumentId>>,
    kinds: BTreeSet<i32>,
}

impl Wanted {
    fn kind(&self, kind: Kind) -> bool {
        self.kinds.contains(&i32::from(kind))
    }

    fn instrument(&self, id: &InstrumentId) -> bool {
        self.instruments
            .as_ref()
            .is_none_or(|wanted| wanted.contains(id))
    }
}

/// Opens the stream.
///
/// Errors: a field that cannot be taken, no place for a stream.
pub(super) fn begin(
    shared: &Shared,
    caller: Caller,
    request: &v1::SubscribeRequest,
) -> Result<Receiver<v1::MarketDataBatch>, Status> {
    let market = shared.platform.market.clone();
    let wanted = read(request, &market)?;
    // Listen before looking at the board: nothing falls between the two.
    let topics = Topics::new(&market, &wanted).map_err(|error| status::subscribe(&error))?;
    let (sender, receiver) = shared.open(&caller, &shared.streams.market_data)?;
    let stream = MarketStream {
        shared: shared.clone(),
        caller,
        wanted,
        topics,
        indexes: BTreeMap::new(),
        batch_sequence: 0,
        sender,
    };
    tokio::spawn(stream.run());
    Ok(receiver)
}

fn read(request: &v1::SubscribeRequest, market: &MarketHub) -> Result<Wanted, Status> {
    let mut fields = Fields::new();
    if request.instrument_ids.len() > INSTRUMENTS {
        fields.refuse(
            "instrument_ids",
            format!("names more than {INSTRUMENTS} instruments"),
        );
    }
    let mut instruments = BTreeSet::new();
    for text in request.instrument_ids.iter().take(INSTRUMENTS) {
        let Some(id) = fields.take("instrument_ids", InstrumentId::in_command(text)) else {
            continue;
        };
        if market.instrument(&id).is_none() {
            fields.refuse("instrument_ids", format!("unknown instrument \"{id}\""));
        }
        instruments.insert(id);
    }
    let mut kinds = BTreeSet::new();
    for kind in &request.kinds {
        match Kind::try_from(*kind) {
            Ok(Kind::Unspecified) | Err(_) => {
                fields.refuse("kinds", format!("{kind} is no known value"));
            }
            Ok(_) => drop(kinds.insert(*kind)),
        }
    }
    if request.kinds.is_empty() {
        kinds = [
            Kind::Trades,
            Kind::Quotes,
            Kind::Book,
            Kind::Bars,
            Kind::FeedState,
        ]
        .map(i32::from)
        .into();
    }
    let instruments = (!request.instrument_ids.is_empty()).then_some(instruments);
    let wanted = Wanted { instruments, kinds };
    fields
        .finish(Some(wanted))
        .map_err(|errors| status::invalid(&errors))
}

/// A cursor on a topic, and what it gave that is not sent yet.
struct Reader<T: Clone + Send + Sync + 'static> {
    /// `None` when the client does not want this kind.
    cursor: Option<AsyncSubscription<T>>,
    items: Vec<Item<T>>,
}

impl<T: Clone + Send + Sync + 'static> Reader<T> {
    fn new(topic: &Topic<T>, is_wanted: bool) -> Result<Reader<T>, SubscribeError> {
        let cursor = match is_wanted {
            true => Some(topic.subscribe_async("gateway market data")?),
            false => None,
        };
        Ok(Reader {
            cursor,
            items: Vec::new(),
        })
    }

    /// Returns once there is something; `false` when the topic is closed.
    async fn wait(&mut self) -> bool {
        match &mut self.cursor {
            Some(cursor) => cursor.next_batch(&mut self.items, ITEMS).await > 0,
            None => std::future::pending().await,
        }
    }

    /// Takes what there is, as far as there is room.
    fn take(&mut self) {
        let room = ITEMS.saturating_sub(self.items.len());
        if let Some(cursor) = self.cursor.as_mut().filter(|_| room > 0) {
            cursor.try_next_batch(&mut self.items, room);
        }
    }
}

struct Topics {
    quotes: Reader<Quote>,
    trades: Reader<Trade>,
    books: Reader<Arc<BookSnapshot>>,
    bars: Reader<Bar>,
    feed_states: Reader<FeedState>,
}

impl Topics {
    fn new(market: &MarketHub, wanted: &Wanted) -> Result<Topics, SubscribeError> {
        Ok(Topics {
            quotes: Reader::new(&market.quotes, wanted.kind(Kind::Quotes))?,
            trades: Reader::new(&market.trades, wanted.kind(Kind::Trades))?,
            books: Reader::new(&market.books, wanted.kind(Kind::Book))?,
            bars: Reader::new(&market.bars, wanted.kind(Kind::Bars))?,
            feed_states: Reader::new(&market.feed_states, wanted.kind(Kind::FeedState))?,
        })
    }

    /// Returns once any topic has something; `false` when one is closed.
    async fn wait(&mut self) -> bool {
        tokio::select! {
            more = self.quotes.wait() => more,
            more = self.trades.wait() => more,
            more = self.books.wait() => more,
            more = self.bars.wait() => more,
            more = self.feed_states.wait() => more,
        }
    }

    fn take(&mut self) {
        self.quotes.take();
        self.trades.take();
        self.books.take();
        self.bars.take();
        self.feed_states.take();
    }
}

struct MarketStream {
    shared: Shared,
    caller: Caller,
    wanted: Wanted,
    topics: Topics,
    /// What instruments are called in this stream.
    indexes: BTreeMap<InstrumentId, u32>,
    batch_sequence: u64,
    sender: Sender<v1::MarketDataBatch>,
}

impl MarketStream {
    async fn run(mut self) {
        // The client has been told whatever there is to say of the end.
        let Err(Over) = self.follow().await;
    }

    async fn follow(&mut self) -> Result<Infallible, Over> {
        self.snapshot().await?;
        let mut stopping = self.shared.stopping.clone();
        let mut beat = Instant::now() + self.shared.limits.heartbeat;
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => {
                    return Err(self.sender.end(status::shutting_down()));
                }
                () = self.sender.closed() => return Err(Over),
                () = sleep_until(beat) => {
                    self.heartbeat().await?;
                    beat = Instant::now() + self.shared.limits.heartbeat;
                }
                more = self.topics.wait() => {
                    if !more {
                        return Err(self.sender.end(status::shutting_down()));
                    }
                    sleep(self.shared.limits.coalesce).await;
                    self.topics.take();
                    self.changes().await?;
                }
            }
        }
    }

    async fn heartbeat(&mut self) -> Result<(), Over> {
        self.caller = self
            .shared
            .renew(&self.caller)
            .map_err(|status| self.sender.end(status))?;
        let heartbeat = Some(v1::Heartbeat {
            ts_ns: wall_clock().0,
        });
        self.send(v1::MarketDataBatch {
            heartbeat,
            ..Default::default()
        })
        .await
    }

    async fn send(&mut self, mut batch: v1::MarketDataBatch) -> Result<(), Over> {
        self.batch_sequence += 1;
        batch.batch_sequence = self.batch_sequence;
        batch.ts_ns = wall_clock().0;
        self.sender.send(batch).await
    }

    /// Sends the newest of each instrument.
    async fn snapshot(&mut self) -> Result<(), Over> {
        let mut batch = v1::MarketDataBatch {
            snapshot: true,
            ..Default::default()
        };
        for view in self.shared.platform.market.views() {
            if self.wanted.instrument(&view.instrument.instrument_id) {
                self.add_view(&view, &mut batch);
            }
        }
        self.send(batch).await
    }

    fn add_view(&mut self, view: &MarketView, batch: &mut v1::MarketDataBatch) {
        let index = self.name(&view.instrument, batch);
        if let Some(quote) = view
            .quote
            .as_ref()
            .filter(|_| self.wanted.kind(Kind::Quotes))
        {
            batch.quotes.push(wire::quote(index, quote, 0));
        }
        if let Some(book) = view.book.as_ref().filter(|_| self.wanted.kind(Kind::Book)) {
            batch.books.push(wire::book(index, book, 0));
        }
        if let Some(bar) = view
            .last_bar
            .as_ref()
            .filter(|_| self.wanted.kind(Kind::Bars))
        {
            batch.bars.push(wire::bar(index, bar));
        }
        if self.wanted.kind(Kind::FeedState) {
            let state = FeedState {
                instrument_id: view.instrument.instrument_id.clone(),
                status: view.feed,
                ts_init: view.ts_last,
            };
            batch.feed_states.push(wire::feed_state(index, &state, 0));
        }
    }

    /// Sends what came since the last batch.
    async fn changes(&mut self) -> Result<(), Over> {
        let mut batch = v1::MarketDataBatch::default();
        for item in std::mem::take(&mut self.topics.quotes.items) {
            if let Item::Value { value, overwritten } = item
                && let Some(index) = self.index(&value.instrument_id, &mut batch)
            {
                batch.quotes.push(wire::quote(index, &value, overwritten));
            }
        }
        for item in std::mem::take(&mut self.topics.books.items) {
            if let Item::Value { value, overwritten } = item
                && let Some(index) = self.index(&value.instrument_id, &mut batch)
            {
                batch.books.push(wire::book(index, &value, overwritten));
            }
        }
        for item in std::mem::take(&mut self.topics.feed_states.items) {
            if let Item::Value { value, overwritten } = item
                && let Some(index) = self.index(&value.instrument_id, &mut batch)
            {
                batch
                    .feed_states
                    .push(wire::feed_state(index, &value, overwritten));
            }
        }
        for item in std::mem::take(&mut self.topics.trades.items) {
            match item {
                Item::Value { value, .. } => {
                    if let Some(index) = self.index(&value.instrument_id, &mut batch) {
                        batch.trades.push(wire::trade(index, &value));
                    }
                }
                Item::Gap { missed } => batch.gaps.push(gap(Kind::Trades, missed)),
            }
        }
        for item in std::mem::take(&mut self.topics.bars.items) {
            match item {
                Item::Value { value, .. } => {
                    if let Some(index) = self.index(&value.instrument_id, &mut batch) {
                        batch.bars.push(wire::bar(index, &value));
                    }
                }
                Item::Gap { missed } => batch.gaps.push(gap(Kind::Bars, missed)),
            }
        }
        if batch == v1::MarketDataBatch::default() {
            return Ok(());
        }
        self.send(batch).await
    }

    /// Returns what the instrument is called in this stream, telling the client of a new one;
    /// `None` when it is not wanted or was never defined.
    fn index(&mut self, id: &InstrumentId, batch: &mut v1::MarketDataBatch) -> Option<u32> {
        if let Some(index) = self.indexes.get(id) {
            return Some(*index);
        }
        if !self.wanted.instrument(id) {
            return None;
        }
        let instrument = self.shared.platform.market.instrument(id)?;
        Some(self.name(&instrument, batch))
    }

    fn name(&mut self, instrument: &Instrument, batch: &mut v1::MarketDataBatch) -> u32 {
        // Fewer than 2^32: the topics hold a few thousand instruments.
        let index = self.indexes.len() as u32;
        self.indexes.insert(instrument.instrument_id.clone(), index);
        batch.instruments.push(wire::scale(index, instrument));
        index
    }
}

fn gap(kind: Kind, missed: u64) -> v1::MarketDataGap {
    v1::MarketDataGap {
        kind: kind.into(),
        missed,
    }
}
