//! What the venue says, with its own names on the left of each comment.

use crate::decimal::WireDecimal;

/// One price level as written: a quantity of zero deletes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireLevel {
    pub price: WireDecimal,
    pub quantity: WireDecimal,
}

/// A change of the book (`depthUpdate`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depth<'a> {
    /// `s`, as written.
    pub symbol: &'a str,
    /// `E` in nanoseconds since the epoch.
    pub event_time_ns: i64,
    /// `U`.
    pub first_update_id: u64,
    /// `u`.
    pub last_update_id: u64,
    /// `pu`: only the USD-M market states it.
    pub previous_update_id: Option<u64>,
    /// `b`, in the order of the wire.
    pub bids: &'a [WireLevel],
    /// `a`.
    pub asks: &'a [WireLevel],
}

/// The best bid and ask (`bookTicker`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookTicker<'a> {
    pub symbol: &'a str,
    /// `u`.
    pub update_id: u64,
    /// `b` and `B`; a quantity of zero means that there is no bid.
    pub bid: WireLevel,
    /// `a` and `A`.
    pub ask: WireLevel,
    /// `E`: the spot market states none.
    pub event_time_ns: Option<i64>,
}

/// One print (`trade`), or several of one order at one price (`aggTrade`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print<'a> {
    pub symbol: &'a str,
    /// `t`, or `a` of an aggregate.
    pub trade_id: u64,
    /// `p`.
    pub price: WireDecimal,
    /// `q`.
    pub quantity: WireDecimal,
    /// `T` in nanoseconds since the epoch.
    pub trade_time_ns: i64,
    /// `E` in nanoseconds since the epoch.
    pub event_time_ns: i64,
    /// `m`: the resting order bought, so the aggressor sold.
    pub buyer_is_maker: bool,
}

/// The answer of `GET /api/v3/depth`. It does not say which symbol it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthSnapshot<'a> {
    /// `lastUpdateId`.
    pub last_update_id: u64,
    /// `bids`, best first.
    pub bids: &'a [WireLevel],
    /// `asks`, best first.
    pub asks: &'a [WireLevel],
    /// `E`: only the USD-M market states it.
    pub event_time_ns: Option<i64>,
}

/// The answer to a control message (subscribe and the like).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlAnswer<'a> {
    /// `id` as JSON text: a number, a string or null.
    pub id: &'a str,
    /// `code`, when the venue refused.
    pub error_code: Option<i64>,
    /// `msg` as written.
    pub error_text: Option<&'a str>,
}

/// One frame of a market stream or one REST answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Depth(Depth<'a>),
    BookTicker(BookTicker<'a>),
    Trade(Print<'a>),
    /// Not emitted as a trade: it repeats what `trade` says.
    AggTrade(Print<'a>),
    Snapshot(DepthSnapshot<'a>),
    /// The venue is about to close the connection: connect again at once.
    ServerShutdown {
        event_time_ns: i64,
    },
    Control(ControlAnswer<'a>),
    /// Well-formed, but nothing that is read here; `event` is its `e` or stream name.
    Other {
        event: &'a str,
    },
}

impl<'a> Message<'a> {
    /// Returns the symbol as written, where the message has one.
    pub fn symbol(&self) -> Option<&'a str> {
        match self {
            Message::Depth(depth) => Some(depth.symbol),
            Message::BookTicker(ticker) => Some(ticker.symbol),
            Message::Trade(print) | Message::AggTrade(print) => Some(print.symbol),
            _ => None,
        }
    }
}
