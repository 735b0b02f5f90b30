//! Market data: mantissas with the exponent stated once per instrument in a stream. Who numbers
//! ticks sets their `sequence`.

use super::enums;
use crate::v1;
use apex_domain::market::{
    Bar, BarSpec, BookSnapshot, FeedState, FeedStatus, Level, Quote, Side, Trade,
};
use apex_domain::{Instrument, InstrumentId, Price, Quantity, UnixNanos};

/// Writes how ticks of an instrument are to be read in a stream that calls it `index`.
pub fn scale(index: u32, instrument: &Instrument) -> v1::InstrumentScale {
    v1::InstrumentScale {
        instrument: index,
        instrument_id: instrument.instrument_id.to_string(),
        price_exponent: -i32::from(instrument.price_decimals),
        quantity_exponent: -i32::from(instrument.quantity_decimals),
    }
}

fn level(level: Level) -> v1::PriceLevel {
    v1::PriceLevel {
        price: level.price.0,
        quantity: level.quantity.0,
    }
}

fn read_level(level: &v1::PriceLevel) -> Level {
    Level {
        price: Price(level.price),
        quantity: Quantity(level.quantity),
    }
}

pub fn quote(index: u32, quote: &Quote, overwritten: u64) -> v1::QuoteTick {
    v1::QuoteTick {
        instrument: index,
        bid: quote.bid.map(level),
        ask: quote.ask.map(level),
        ts_event_ns: quote.ts_event.0,
        ts_init_ns: quote.ts_init.0,
        overwritten,
        sequence: 0,
    }
}

pub fn read_quote(instrument_id: &InstrumentId, tick: &v1::QuoteTick) -> Quote {
    Quote {
        instrument_id: instrument_id.clone(),
        bid: tick.bid.as_ref().map(read_level),
        ask: tick.ask.as_ref().map(read_level),
        ts_event: UnixNanos(tick.ts_event_ns),
        ts_init: UnixNanos(tick.ts_init_ns),
    }
}

pub fn trade(index: u32, trade: &Trade) -> v1::TradeTick {
    v1::TradeTick {
        instrument: index,
        price: trade.price.0,
        quantity: trade.quantity.0,
        aggressor: trade
            .aggressor
            .map_or(v1::Side::Unspecified, enums::side)
            .into(),
        trade_id: trade.trade_id,
        ts_event_ns: trade.ts_event.0,
        ts_init_ns: trade.ts_init.0,
        sequence: 0,
    }
}

pub fn read_trade(instrument_id: &InstrumentId, tick: &v1::TradeTick) -> Trade {
    Trade {
        instrument_id: instrument_id.clone(),
        price: Price(tick.price),
        quantity: Quantity(tick.quantity),
        aggressor: match tick.aggressor() {
            v1::Side::Buy => Some(Side::Buy),
            v1::Side::Sell => Some(Side::Sell),
            v1::Side::Unspecified => None,
        },
        trade_id: tick.trade_id,
        ts_event: UnixNanos(tick.ts_event_ns),
        ts_init: UnixNanos(tick.ts_init_ns),
    }
}

pub fn book(index: u32, book: &BookSnapshot, overwritten: u64) -> v1::BookTop {
    v1::BookTop {
        instrument: index,
        update_id: book.update_id,
        bids: book.bids.iter().copied().map(level).collect(),
        asks: book.asks.iter().copied().map(level).collect(),
        stale: book.stale,
        ts_event_ns: book.ts_event.0,
        ts_init_ns: book.ts_init.0,
        overwritten,
        sequence: 0,
    }
}

pub fn read_book(instrument_id: &InstrumentId, top: &v1::BookTop) -> BookSnapshot {
    BookSnapshot {
        instrument_id: instrument_id.clone(),
        update_id: top.update_id,
        bids: top.bids.iter().map(read_level).collect(),
        asks: top.asks.iter().map(read_level).collect(),
        stale: top.stale,
        ts_event: UnixNanos(top.ts_event_ns),
        ts_init: UnixNanos(top.ts_init_ns),
    }
}

/// Writes a bar. A volume above the range of the wire is written as the largest value.
pub fn bar(index: u32, bar: &Bar) -> v1::BarTick {
    v1::BarTick {
        instrument: index,
        interval_ns: match bar.spec {
            BarSpec::Time { interval_ns } => interval_ns,
            _ => 0,
        },
        open: bar.open.0,
        high: bar.high.0,
        low: bar.low.0,
        close: bar.close.0,
        volume: i64::try_from(bar.volume).unwrap_or(i64::MAX),
        trade_count: bar.trade_count,
        ts_open_ns: bar.ts_open.0,
        ts_init_ns: bar.ts_init.0,
        spec: bar_spec(bar.spec),
        sequence: 0,
    }
}

/// Writes what a bar counts; `None` for time, whose width has its own field, and for a file's bars.
pub fn bar_spec(spec: BarSpec) -> Option<v1::BarSpec> {
    let spec = match spec {
        BarSpec::Time { .. } | BarSpec::External => return None,
        BarSpec::Tick { count } => v1::bar_spec::Spec::TickCount(count),
        BarSpec::Volume { quantity } => v1::bar_spec::Spec::Volume(quantity.0),
        BarSpec::Value { amount } => v1::bar_spec::Spec::Value(v1::BarAmount {
            high: (amount >> 64) as i64,
            low: amount as u64,
        }),
        BarSpec::Renko { brick } => v1::bar_spec::Spec::RenkoBrick(brick.0),
    };
    Some(v1::BarSpec { spec: Some(spec) })
}

/// Reads what a bar counts, or returns `None` for a kind that this build does not know. The
/// threshold is not checked, since who reads a bar does not build it.
pub fn read_bar_spec(interval_ns: i64, spec: Option<&v1::BarSpec>) -> Option<BarSpec> {
    let Some(spec) = spec else {
        return Some(match interval_ns {
            0 => BarSpec::External,
            interval_ns => BarSpec::Time { interval_ns },
        });
    };
    Some(match spec.spec.as_ref()? {
        v1::bar_spec::Spec::TickCount(count) => BarSpec::Tick { count: *count },
        v1::bar_spec::Spec::Volume(quantity) => BarSpec::Volume {
            quantity: Quantity(*quantity),
        },
        v1::bar_spec::Spec::Value(amount) => BarSpec::Value {
            amount: i128::from(amount.high) << 64 | i128::from(amount.low),
        },
        v1::bar_spec::Spec::RenkoBrick(brick) => BarSpec::Renko {
            brick: Price(*brick),
        },
    })
}

/// Reads a bar; one of a kind that this build does not know counts as made elsewhere.
pub fn read_bar(instrument_id: &InstrumentId, tick: &v1::BarTick) -> Bar {
    Bar {
        instrument_id: instrument_id.clone(),
        spec: read_bar_spec(tick.interval_ns, tick.spec.as_ref()).unwrap_or(BarSpec::External),
        open: Price(tick.open),
        high: Price(tick.high),
        low: Price(tick.low),
        close: Price(tick.close),
        volume: i128::from(tick.volume),
        trade_count: tick.trade_count,
        ts_open: UnixNanos(tick.ts_open_ns),
        ts_init: UnixNanos(tick.ts_init_ns),
    }
}

pub fn feed_state(index: u32, state: &FeedState, overwritten: u64) -> v1::FeedStateTick {
    v1::FeedStateTick {
        instrument: index,
        status: enums::feed_status(state.status).into(),
        ts_init_ns: state.ts_init.0,
        overwritten,
        sequence: 0,
    }
}

/// Reads a feed state; one that this build does not know counts as stale.
pub fn read_feed_state(instrument_id: &InstrumentId, tick: &v1::FeedStateTick) -> FeedState {
    FeedState {
        instrument_id: instrument_id.clone(),
        status: enums::read_feed_status(tick.status).unwrap_or(FeedStatus::Stale),
        ts_init: UnixNanos(tick.ts_init_ns),
    }
}

/// Writes the best `depth` levels of a book as decimals.
pub fn decimal_book(book: &BookSnapshot, instrument: &Instrument, depth: usize) -> v1::Book {
    let level = |level: &Level| v1::DecimalLevel {
        price: instrument.format_price(level.price),
        quantity: instrument.format_quantity(level.quantity),
    };
    v1::Book {
        instrument_id: book.instrument_id.to_string(),
        update_id: book.update_id,
        bids: book.bids.iter().take(depth).map(level).collect(),
        asks: book.asks.iter().take(depth).map(level).collect(),
        stale: book.stale,
        ts_event_ns: book.ts_event.0,
        ts_init_ns: book.ts_init.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_survive_the_way_out_and_in() {
        let id = InstrumentId::new("BTCUSDT.SIM").unwrap();
        let at = |price, quantity| Level {
            price: Price(price),
            quantity: Quantity(quantity),
        };
        let (ts_event, ts_init) = (UnixNanos(5), UnixNanos(4));
        let quote_in = Quote {
            instrument_id: id.clone(),
            bid: Some(at(-3, 7)),
            ask: None,
            ts_event,
            ts_init,
        };
        assert_eq!(read_quote(&id, &quote(3, &quote_in, 2)), quote_in);
        let trade_in = Trade {
            instrument_id: id.clone(),
            price: Price(i64::MAX),
            quantity: Quantity(1),
            aggressor: Some(Side::Sell),
            trade_id: u64::MAX,
            ts_event,
            ts_init,
        };
        assert_eq!(read_trade(&id, &trade(3, &trade_in)), trade_in);
        let book_in = BookSnapshot {
            instrument_id: id.clone(),
            update_id: 9,
            bids: vec![at(2, 1), at(1, 1)],
            asks: vec![],
            stale: true,
            ts_event,
            ts_init,
        };
        assert_eq!(read_book(&id, &book(3, &book_in, 0)), book_in);
        let bar_in = Bar {
            instrument_id: id.clone(),
            spec: BarSpec::Time { interval_ns: 1_000 },
            open: Price(1),
            high: Price(3),
            low: Price(-1),
            close: Price(2),
            volume: 77,
            trade_count: 5,
            ts_open: ts_init,
            ts_init: ts_event,
        };
        assert_eq!(read_bar(&id, &bar(3, &bar_in)), bar_in);
        for spec in [
            BarSpec::External,
            BarSpec::Tick { count: u64::MAX },
            BarSpec::Volume {
                quantity: Quantity(5),
            },
            BarSpec::Value { amount: i128::MAX },
            BarSpec::Value { amount: i128::MIN },
            BarSpec::Value { amount: 1 << 63 },
            BarSpec::Renko { brick: Price(7) },
        ] {
            let bar_in = Bar {
                spec,
                ..bar_in.clone()
            };
            assert_eq!(read_bar(&id, &bar(3, &bar_in)), bar_in);
        }
        let unknown = v1::BarSpec { spec: None };
        assert_eq!(read_bar_spec(0, Some(&unknown)), None);
        let state_in = FeedState {
            instrument_id: id.clone(),
            status: FeedStatus::Recovering,
            ts_init,
        };
        assert_eq!(read_feed_state(&id, &feed_state(3, &state_in, 0)), state_in);
    }
}
