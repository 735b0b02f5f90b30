//! Values as other processes read them: JSON, decimals as text, times in nanoseconds since the Unix
//! epoch, as in all that the platform prints. `docs/guide/redis.md` lists the fields.

use super::LEVELS;
use apex_domain::market::{BookSnapshot, Level, Quote};
use apex_domain::number::format_mantissa;
use apex_domain::order::PositionSide;
use apex_domain::portfolio::Position;
use apex_domain::{AccountId, Instrument, UnixNanos};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct QuoteValue<'a> {
    instrument_id: &'a str,
    bid_price: Option<String>,
    bid_quantity: Option<String>,
    ask_price: Option<String>,
    ask_quantity: Option<String>,
    ts_event_ns: i64,
    ts_init_ns: i64,
    node: &'a str,
}

#[derive(Serialize)]
struct BookValue<'a> {
    instrument_id: &'a str,
    update_id: u64,
    stale: bool,
    bids: Vec<[String; 2]>,
    asks: Vec<[String; 2]>,
    ts_event_ns: i64,
    ts_init_ns: i64,
    node: &'a str,
}

#[derive(Serialize)]
struct PositionsValue<'a> {
    account_id: &'a str,
    sequence: u64,
    positions: Vec<PositionValue<'a>>,
    node: &'a str,
}

#[derive(Serialize)]
struct PositionValue<'a> {
    instrument_id: &'a str,
    strategy_id: &'a str,
    position_side: &'static str,
    quantity: String,
    average_price: Option<String>,
    realized_pnl: String,
    currency: &'a str,
}

#[derive(Serialize, Deserialize)]
struct NodeValue {
    node: String,
    beat: u64,
    ts_ns: i64,
}

pub(super) fn quote(instrument: &Instrument, quote: &Quote, node: &str) -> Vec<u8> {
    let side = |level: Option<Level>| match level.map(|level| texts(instrument, level)) {
        Some([price, quantity]) => (Some(price), Some(quantity)),
        None => (None, None),
    };
    let (bid_price, bid_quantity) = side(quote.bid);
    let (ask_price, ask_quantity) = side(quote.ask);
    bytes(&QuoteValue {
        instrument_id: instrument.instrument_id.as_str(),
        bid_price,
        bid_quantity,
        ask_price,
        ask_quantity,
        ts_event_ns: quote.ts_event.0,
        ts_init_ns: quote.ts_init.0,
        node,
    })
}

pub(super) fn book(instrument: &Instrument, book: &BookSnapshot, node: &str) -> Vec<u8> {
    let best = |levels: &[Level]| {
        let best = levels.iter().take(LEVELS);
        best.map(|level| texts(instrument, *level)).collect()
    };
    bytes(&BookValue {
        instrument_id: instrument.instrument_id.as_str(),
        update_id: book.update_id,
        stale: book.stale,
        bids: best(&book.bids),
        asks: best(&book.asks),
        ts_event_ns: book.ts_event.0,
        ts_init_ns: book.ts_init.0,
        node,
    })
}

pub(super) fn positions(
    account_id: &AccountId,
    sequence: u64,
    positions: &[(Position, Instrument)],
    node: &str,
) -> Vec<u8> {
    let open = positions.iter().filter(|(position, _)| !position.is_flat());
    bytes(&PositionsValue {
        account_id: account_id.as_str(),
        sequence,
        positions: open.map(|(held, of)| position(held, of)).collect(),
        node,
    })
}

fn position<'a>(position: &'a Position, instrument: &'a Instrument) -> PositionValue<'a> {
    let average = position.average_price(instrument);
    PositionValue {
        instrument_id: position.instrument_id.as_str(),
        strategy_id: position.strategy_id.as_str(),
        position_side: match position.side {
            PositionSide::Net => "POSITION_SIDE_NET",
            PositionSide::Long => "POSITION_SIDE_LONG",
            PositionSide::Short => "POSITION_SIDE_SHORT",
        },
        quantity: format_mantissa(i128::from(position.quantity), instrument.quantity_decimals),
        average_price: average.map(|price| price.normalize().to_string()),
        realized_pnl: position.realized_pnl.to_string(),
        currency: instrument.profit_currency().as_str(),
    }
}

pub(super) fn node(node: &str, beat: u64, now: UnixNanos) -> Vec<u8> {
    bytes(&NodeValue {
        node: node.to_owned(),
        beat,
        ts_ns: now.0,
    })
}

/// Reads the beat of a node's value; `None` of what is none.
pub(super) fn beat(value: &[u8]) -> Option<u64> {
    let value: NodeValue = serde_json::from_slice(value).ok()?;
    Some(value.beat)
}

/// Returns price and quantity of a level, with all decimals of the instrument.
fn texts(instrument: &Instrument, level: Level) -> [String; 2] {
    [
        format_mantissa(i128::from(level.price.0), instrument.price_decimals),
        format_mantissa(i128::from(level.quantity.0), instrument.quantity_decimals),
    ]
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    // Structures of text and numbers with field names of our own: nothing of them cannot be JSON.
    serde_json::to_vec(value).expect("a value that is JSON")
}
