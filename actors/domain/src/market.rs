//! Market data as the platform speaks of it, whatever venue it came from.

use crate::id::InstrumentId;
use crate::number::{Price, Quantity};
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};

/// One side of a book or a trade (FIX 54).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Side {
    Buy,
    Sell,
}

impl Side {
    #[must_use]
    pub fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }

    /// Returns +1 for a buy and -1 for a sell.
    pub fn sign(self) -> i64 {
        match self {
            Side::Buy => 1,
            Side::Sell => -1,
        }
    }
}

/// A price and how much is offered or wanted there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    pub price: Price,
    pub quantity: Quantity,
}

/// The best bid and ask. A side without orders is `None`: the market may be one-sided, locked or
/// crossed, and real recordings are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub instrument_id: InstrumentId,
    pub bid: Option<Level>,
    pub ask: Option<Level>,
    /// When the venue says it happened; equals `ts_init` where the venue gives no time.
    pub ts_event: UnixNanos,
    /// When we first saw it. May lie before `ts_event`, since clocks differ.
    pub ts_init: UnixNanos,
}

impl Quote {
    /// Returns true when the bid is above the ask.
    pub fn is_crossed(&self) -> bool {
        matches!((self.bid, self.ask), (Some(bid), Some(ask)) if bid.price > ask.price)
    }

    /// Returns true when bid and ask are equal.
    pub fn is_locked(&self) -> bool {
        matches!((self.bid, self.ask), (Some(bid), Some(ask)) if bid.price == ask.price)
    }
}

/// One print.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    pub instrument_id: InstrumentId,
    pub price: Price,
    pub quantity: Quantity,
    /// The side that took liquidity; `None` where the source does not tell.
    pub aggressor: Option<Side>,
    /// The venue's number of the trade; 0 where it has none.
    pub trade_id: u64,
    pub ts_event: UnixNanos,
    pub ts_init: UnixNanos,
}

/// A change of a venue's book, in that venue's own numbering.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookDelta {
    pub instrument_id: InstrumentId,
    /// First and last update that this change holds.
    pub first_update_id: u64,
    pub last_update_id: u64,
    /// The last update id of the change before, where the venue states it (USD-M `pu`).
    pub previous_update_id: Option<u64>,
    /// Absolute quantities by price; zero deletes the level.
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
    pub ts_event: UnixNanos,
    pub ts_init: UnixNanos,
}

/// A whole book at one update id, best level first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookSnapshot {
    pub instrument_id: InstrumentId,
    pub update_id: u64,
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
    /// True while it is served although a gap was found and a resync is under way.
    pub stale: bool,
    pub ts_event: UnixNanos,
    pub ts_init: UnixNanos,
}

/// What a bar counts. The rule book is `docs/guide/bars.md`; [`crate::bar`] builds them and has
/// their text, such as `time:60s` or `volume:5.5`.
///
/// Thresholds are mantissas at the decimals of the instrument that the bar is of. The order of the
/// kinds is part of their encoding, so a new one goes to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BarSpec {
    /// Cells of this many nanoseconds, aligned to the epoch: `[n*interval, (n+1)*interval)`.
    Time { interval_ns: i64 },
    /// Bars that came finished from a file; their cell is what the file states.
    External,
    /// This many trades.
    Tick { count: u64 },
    /// This traded quantity.
    Volume { quantity: Quantity },
    /// This sum of price times quantity: a mantissa at the sum of the price's and the quantity's
    /// decimals.
    Value { amount: i128 },
    /// A move of the price by this much.
    Renko { brick: Price },
}

/// Open, high, low, close of one cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    pub instrument_id: InstrumentId,
    pub spec: BarSpec,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    /// Sum of traded quantities; a mantissa at the instrument's quantity decimals, which may
    /// pass the range of one order.
    pub volume: i128,
    /// Trades that have a part in the bar. One that fills several bars counts in each.
    pub trade_count: u64,
    /// Start of the cell, inclusive; without a fixed cell, the `ts_event` of its first trade.
    pub ts_open: UnixNanos,
    /// When the bar was known: the `ts_init` of the event that ended it, the row's time for a bar
    /// from a file.
    pub ts_init: UnixNanos,
}

/// The state of a feed for one instrument; usable as a gate for orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FeedStatus {
    Live,
    Stale,
    Gapped,
    Recovering,
    Replaying,
    Closed,
}

/// A change of a feed's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedState {
    pub instrument_id: InstrumentId,
    pub status: FeedStatus,
    pub ts_init: UnixNanos,
}

/// Everything that a strategy or a simulated venue decides on, in one total order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MarketEvent {
    Quote(Quote),
    Trade(Trade),
    /// A verified change, after it was applied to the feed's book.
    Book(BookDelta),
    /// The book was replaced as a whole (start, resync).
    Snapshot(BookSnapshot),
    Bar(Bar),
    FeedState(FeedState),
}

impl MarketEvent {
    pub fn instrument_id(&self) -> &InstrumentId {
        match self {
            MarketEvent::Quote(quote) => &quote.instrument_id,
            MarketEvent::Trade(trade) => &trade.instrument_id,
            MarketEvent::Book(delta) => &delta.instrument_id,
            MarketEvent::Snapshot(snapshot) => &snapshot.instrument_id,
            MarketEvent::Bar(bar) => &bar.instrument_id,
            MarketEvent::FeedState(state) => &state.instrument_id,
        }
    }

    /// Returns when we first saw it: the clock of everything that decides on it.
    pub fn ts_init(&self) -> UnixNanos {
        match self {
            MarketEvent::Quote(quote) => quote.ts_init,
            MarketEvent::Trade(trade) => trade.ts_init,
            MarketEvent::Book(delta) => delta.ts_init,
            MarketEvent::Snapshot(snapshot) => snapshot.ts_init,
            MarketEvent::Bar(bar) => bar.ts_init,
            MarketEvent::FeedState(state) => state.ts_init,
        }
    }

    /// Returns the source's time; `None` for what no source states.
    pub fn ts_event(&self) -> Option<UnixNanos> {
        match self {
            MarketEvent::Quote(quote) => Some(quote.ts_event),
            MarketEvent::Trade(trade) => Some(trade.ts_event),
            MarketEvent::Book(delta) => Some(delta.ts_event),
            MarketEvent::Snapshot(snapshot) => Some(snapshot.ts_event),
            MarketEvent::Bar(_) | MarketEvent::FeedState(_) => None,
        }
    }

    /// Replaces the time at which it was first seen, where it came through another process.
    pub fn set_ts_init(&mut self, now: UnixNanos) {
        match self {
            MarketEvent::Quote(quote) => quote.ts_init = now,
            MarketEvent::Trade(trade) => trade.ts_init = now,
            MarketEvent::Book(delta) => delta.ts_init = now,
            MarketEvent::Snapshot(snapshot) => snapshot.ts_init = now,
            MarketEvent::Bar(bar) => bar.ts_init = now,
            MarketEvent::FeedState(state) => state.ts_init = now,
        }
    }
}
