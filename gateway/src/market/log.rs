//! The numbered market data of this process: the newest of each instrument, and the prints and bars
//! of the last moments.
//!
//! Every tick gets the next sequence of its instrument and kind. Whoever knows which sequences it
//! has can so be told what it misses, however long it was away: see [`super::reader`].

use apex_bus::topic::Item;
use apex_domain::market::{Bar, BookSnapshot, FeedState, Quote, Trade};
use apex_domain::{Instrument, InstrumentId};
use apex_proto::convert::market as wire;
use apex_proto::v1;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Prints that are kept for clients that lag or come again: some seconds of a busy market, and at
/// most 6 MB. What falls out of it is a gap with its number.
const TRADES: usize = 1 << 16;

/// Finished bars that are kept likewise; at most 3 MB.
const BARS: usize = 1 << 14;

/// Kinds of market data, by their number on the wire less one.
pub(super) const KINDS: usize = 5;
pub(super) const TRADE: usize = 0;
pub(super) const QUOTE: usize = 1;
pub(super) const BOOK: usize = 2;
pub(super) const BAR: usize = 3;
pub(super) const FEED_STATE: usize = 4;

/// The ordinal that stands for all instruments together. Only what the gateway itself missed, and so
/// cannot attribute, is counted under it.
pub(super) const ALL: u32 = 0;

/// A tick as it is sent.
pub(super) trait Tick: Clone {
    fn sequence(&self) -> u64;
    fn instrument(&self) -> u32;
    /// What it counts towards the size of a message.
    fn weight(&self) -> usize {
        1
    }
}

macro_rules! tick {
    ($tick:ty) => {
        impl Tick for $tick {
            fn sequence(&self) -> u64 {
                self.sequence
            }
            fn instrument(&self) -> u32 {
                self.instrument
            }
        }
    };
}

tick!(v1::TradeTick);
tick!(v1::QuoteTick);
tick!(v1::BarTick);
tick!(v1::FeedStateTick);

impl Tick for v1::BookTop {
    fn sequence(&self) -> u64 {
        self.sequence
    }
    fn instrument(&self) -> u32 {
        self.instrument
    }
    /// Four levels are about as long as a quote.
    fn weight(&self) -> usize {
        1 + (self.bids.len() + self.asks.len()) / 4
    }
}

/// The newest value of each instrument, in the order of last change.
#[derive(Debug)]
pub(super) struct Newest<T> {
    values: BTreeMap<u32, (u64, T)>,
    /// By position, which grows with each change.
    order: BTreeMap<u64, u32>,
    next: u64,
}

impl<T> Default for Newest<T> {
    fn default() -> Newest<T> {
        Newest {
            values: BTreeMap::new(),
            order: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<T> Newest<T> {
    fn put(&mut self, ordinal: u32, value: T) {
        if let Some((before, _)) = self.values.insert(ordinal, (self.next, value)) {
            self.order.remove(&before);
        }
        self.order.insert(self.next, ordinal);
        self.next += 1;
    }

    pub(super) fn get(&self, ordinal: u32) -> Option<&T> {
        self.values.get(&ordinal).map(|(_, value)| value)
    }

    pub(super) fn end(&self) -> u64 {
        self.next
    }

    /// Returns what changed at `from` or later, with its position.
    pub(super) fn since(&self, from: u64) -> impl Iterator<Item = (u64, &T)> {
        let changed = self.order.range(from..);
        changed.filter_map(|(at, ordinal)| Some((*at, self.get(*ordinal)?)))
    }
}

/// The last so many values, oldest first.
#[derive(Debug)]
pub(super) struct Recent<T> {
    values: VecDeque<T>,
    first: u64,
    capacity: usize,
}

impl<T: Tick> Recent<T> {
    fn new(capacity: usize) -> Recent<T> {
        Recent {
            values: VecDeque::new(),
            first: 0,
            capacity,
        }
    }

    /// Returns the value that fell out.
    fn push(&mut self, value: T) -> Option<T> {
        self.values.push_back(value);
        if self.values.len() <= self.capacity {
            return None;
        }
        self.first += 1;
        self.values.pop_front()
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn end(&self) -> u64 {
        self.first + self.values.len() as u64
    }

    pub(super) fn since(&self, from: u64) -> impl Iterator<Item = (u64, &T)> {
        let from = from.max(self.first);
        // Never more than the length, which is a `usize`.
        let skipped = (from - self.first).min(self.values.len() as u64) as usize;
        (from..).zip(self.values.range(skipped..))
    }
}

/// An instrument, or all of them.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) scale: Option<v1::InstrumentScale>,
    /// The newest sequence of each kind.
    pub(super) last: [u64; KINDS],
    /// The newest sequence that is kept no longer.
    pub(super) gone: [u64; KINDS],
    pub(super) last_bar: Option<v1::BarTick>,
}

#[derive(Debug)]
pub(super) struct Log {
    /// Names this numbering. It changes when the gateway missed ticks, since they have no number.
    pub(super) epoch: u64,
    // Only looked up, never iterated.
    ordinals: HashMap<InstrumentId, u32>,
    /// By ordinal; the first stands for all.
    pub(super) named: Vec<Named>,
    pub(super) quotes: Newest<v1::QuoteTick>,
    pub(super) books: Newest<v1::BookTop>,
    pub(super) feed_states: Newest<v1::FeedStateTick>,
    pub(super) trades: Recent<v1::TradeTick>,
    pub(super) bars: Recent<v1::BarTick>,
}

impl Log {
    pub(super) fn new(epoch: u64) -> Log {
        Log::with_capacity(epoch, TRADES, BARS)
    }

    pub(super) fn with_capacity(epoch: u64, trades: usize, bars: usize) -> Log {
        Log {
            epoch,
            ordinals: HashMap::new(),
            named: vec![Named::default()],
            quotes: Newest::default(),
            books: Newest::default(),
            feed_states: Newest::default(),
            trades: Recent::new(trades),
            bars: Recent::new(bars),
        }
    }

    pub(super) fn ordinal(&self, id: &InstrumentId) -> Option<u32> {
        self.ordinals.get(id).copied()
    }

    /// Returns the instrument's ordinal, a new one for one that was not named before.
    pub(super) fn name(&mut self, instrument: &Instrument) -> u32 {
        if let Some(ordinal) = self.ordinal(&instrument.instrument_id) {
            return ordinal;
        }
        // Fewer than 2^32: the topics hold a few thousand instruments.
        let ordinal = self.named.len() as u32;
        self.named.push(Named {
            scale: Some(wire::scale(ordinal, instrument)),
            ..Named::default()
        });
        self.ordinals
            .insert(instrument.instrument_id.clone(), ordinal);
        ordinal
    }

    /// Numbers what came at once.
    fn number(&mut self, ordinal: u32, kind: usize, count: u64) -> u64 {
        let last = &mut self.named[ordinal as usize].last[kind];
        *last += count;
        *last
    }

    /// Takes a quote of a named instrument.
    pub(super) fn quote(&mut self, ordinal: u32, quote: &Quote, overwritten: u64) {
        let mut tick = wire::quote(ordinal, quote, 0);
        tick.sequence = self.number(ordinal, QUOTE, overwritten + 1);
        self.quotes.put(ordinal, tick);
    }

    pub(super) fn book(&mut self, ordinal: u32, book: &BookSnapshot, overwritten: u64) {
        let mut tick = wire::book(ordinal, book, 0);
        tick.sequence = self.number(ordinal, BOOK, overwritten + 1);
        self.books.put(ordinal, tick);
    }

    pub(super) fn feed_state(&mut self, ordinal: u32, state: &FeedState, overwritten: u64) {
        let mut tick = wire::feed_state(ordinal, state, 0);
        tick.sequence = self.number(ordinal, FEED_STATE, overwritten + 1);
        self.feed_states.put(ordinal, tick);
    }

    pub(super) fn trade(&mut self, ordinal: u32, trade: &Trade) {
        let mut tick = wire::trade(ordinal, trade);
        tick.sequence = self.number(ordinal, TRADE, 1);
        if let Some(out) = self.trades.push(tick) {
            self.named[out.instrument as usize].gone[TRADE] = out.sequence;
        }
    }

    pub(super) fn bar(&mut self, ordinal: u32, bar: &Bar) {
        let mut tick = wire::bar(ordinal, bar);
        tick.sequence = self.number(ordinal, BAR, 1);
        self.named[ordinal as usize].last_bar = Some(tick);
        if let Some(out) = self.bars.push(tick) {
            self.named[out.instrument as usize].gone[BAR] = out.sequence;
        }
    }

    /// Counts what this gateway itself missed. Nobody can say of which instruments it was, so
    /// whoever comes again later cannot be told its part: the numbering gets another name.
    pub(super) fn missed(&mut self, kind: usize, missed: u64) {
        let all = &mut self.named[ALL as usize];
        all.last[kind] += missed;
        all.gone[kind] = all.last[kind];
        self.epoch += 1;
    }
}

/// What a topic gave, in the words of the log.
pub(super) fn take<T>(
    log: &mut Log,
    items: &mut Vec<Item<T>>,
    define: &impl Fn(&InstrumentId) -> Option<Instrument>,
    id: impl Fn(&T) -> &InstrumentId,
    kind: usize,
    put: impl Fn(&mut Log, u32, &T, u64),
) {
    for item in items.drain(..) {
        match item {
            Item::Value { value, overwritten } => {
                let known = log.ordinal(id(&value));
                // One that was never defined has no increments by which it could be read.
                let ordinal = known.or_else(|| Some(log.name(&define(id(&value))?)));
                if let Some(ordinal) = ordinal {
                    put(log, ordinal, &value, overwritten);
                }
            }
            Item::Gap { missed } => log.missed(kind, missed),
        }
    }
}
