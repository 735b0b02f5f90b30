//! From the venue's words to the platform's.

use super::message::{BookTicker, Depth, DepthSnapshot, Print, WireLevel};
use apex_domain::market::{BookDelta, BookSnapshot, Level, Quote, Side, Trade};
use apex_domain::number::NumberError;
use apex_domain::{Instrument, Price, Quantity, UnixNanos};
use thiserror::Error;

/// A number that does not fit the instrument: off its decimals, negative or too large. The frame
/// is to be counted and skipped, and the instrument's definition to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field} {reason}")]
pub struct Misfit {
    pub field: &'static str,
    pub reason: NumberError,
}

fn level(instrument: &Instrument, level: &WireLevel) -> Result<Level, Misfit> {
    let price = level
        .price
        .at(instrument.price_decimals)
        .map_err(|reason| Misfit {
            field: "price",
            reason,
        })?;
    let quantity = level
        .quantity
        .at(instrument.quantity_decimals)
        .and_then(|q| {
            if q < 0 {
                Err(NumberError::Negative)
            } else {
                Ok(q)
            }
        })
        .map_err(|reason| Misfit {
            field: "quantity",
            reason,
        })?;
    Ok(Level {
        price: Price(price),
        quantity: Quantity(quantity),
    })
}

fn levels(instrument: &Instrument, wire: &[WireLevel]) -> Result<Vec<Level>, Misfit> {
    let mut out = Vec::with_capacity(wire.len());
    for one in wire {
        out.push(level(instrument, one)?);
    }
    Ok(out)
}

impl Depth<'_> {
    /// Errors: [`Misfit`].
    pub fn delta(&self, instrument: &Instrument, ts_init: UnixNanos) -> Result<BookDelta, Misfit> {
        Ok(BookDelta {
            instrument_id: instrument.instrument_id.clone(),
            first_update_id: self.first_update_id,
            last_update_id: self.last_update_id,
            previous_update_id: self.previous_update_id,
            bids: levels(instrument, self.bids)?,
            asks: levels(instrument, self.asks)?,
            ts_event: UnixNanos(self.event_time_ns),
            ts_init,
        })
    }
}

impl DepthSnapshot<'_> {
    /// Errors: [`Misfit`].
    pub fn snapshot(
        &self,
        instrument: &Instrument,
        ts_init: UnixNanos,
    ) -> Result<BookSnapshot, Misfit> {
        Ok(BookSnapshot {
            instrument_id: instrument.instrument_id.clone(),
            update_id: self.last_update_id,
            bids: levels(instrument, self.bids)?,
            asks: levels(instrument, self.asks)?,
            stale: false,
            ts_event: self.event_time_ns.map_or(ts_init, UnixNanos),
            ts_init,
        })
    }
}

impl BookTicker<'_> {
    /// The spot market gives no time, so there `ts_event` is `ts_init`.
    ///
    /// Errors: [`Misfit`].
    pub fn quote(&self, instrument: &Instrument, ts_init: UnixNanos) -> Result<Quote, Misfit> {
        let side = |wire: &WireLevel| {
            level(instrument, wire).map(|level| (!level.quantity.is_zero()).then_some(level))
        };
        Ok(Quote {
            instrument_id: instrument.instrument_id.clone(),
            bid: side(&self.bid)?,
            ask: side(&self.ask)?,
            ts_event: self.event_time_ns.map_or(ts_init, UnixNanos),
            ts_init,
        })
    }
}

impl Print<'_> {
    /// Errors: [`Misfit`].
    pub fn trade(&self, instrument: &Instrument, ts_init: UnixNanos) -> Result<Trade, Misfit> {
        let Level { price, quantity } = level(
            instrument,
            &WireLevel {
                price: self.price,
                quantity: self.quantity,
            },
        )?;
        Ok(Trade {
            instrument_id: instrument.instrument_id.clone(),
            price,
            quantity,
            aggressor: Some(if self.buyer_is_maker {
                Side::Sell
            } else {
                Side::Buy
            }),
            trade_id: self.trade_id,
            ts_event: UnixNanos(self.trade_time_ns),
            ts_init,
        })
    }
}
