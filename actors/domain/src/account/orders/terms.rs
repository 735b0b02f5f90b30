//! What an order's terms come to when it is taken.

use super::{Decimal, Instrument, MarketRef, Price, Quantity};
use super::{SubmitOrder, TimeInForce, UnixNanos};
use crate::calendar::{Calendar, Hours};
use crate::instrument::InstrumentKind;
use crate::market::Side;
use crate::time::NANOS_PER_DAY;

/// Returns the total quantity of an order: the one asked for, or what its notional buys at its
/// limit price, its stop price or the reference price, cut to the increment. Zero where there is
/// no price to measure by: such an order is denied.
pub fn quantity(instrument: &Instrument, request: &SubmitOrder, market: &MarketRef) -> Quantity {
    let Some(notional) = request.terms.notional else {
        return request.quantity;
    };
    let reference = match request.side {
        Side::Buy => market.ask.or(market.bid),
        Side::Sell => market.bid.or(market.ask),
    };
    let price = request
        .limit_price
        .or(request.terms.stop_price)
        .or(reference);
    let bought = price.and_then(|price| {
        let increment = instrument.quantity_increment;
        let units = units_of(instrument, notional.0, price)?;
        let steps = units.checked_div(instrument.quantity_decimal(increment))?;
        let steps = steps.floor();
        let quantity = steps.checked_mul(Decimal::from(increment.0))?;
        i64::try_from(quantity.normalize().mantissa())
            .ok()
            .filter(|_| quantity.is_integer())
    });
    Quantity(bought.unwrap_or_default())
}

/// Returns how much `notional` buys at `price`, not cut to the increment: from the notional as a
/// whole, since that of one increment of an inverse contract is rounded.
fn units_of(instrument: &Instrument, notional: Decimal, price: Price) -> Option<Decimal> {
    let price = instrument.price_decimal(price).abs();
    let multiplier = instrument.multiplier.0;
    match instrument.kind {
        InstrumentKind::Spot | InstrumentKind::Linear => {
            notional.checked_div(price.checked_mul(multiplier)?)
        }
        InstrumentKind::Inverse => notional.checked_mul(price)?.checked_div(multiplier),
    }
}

/// Returns when an order ends by itself, the last time at which it may trade: that of its own
/// time, or the last one of its contract. `None` for one that does not.
pub fn expires_at(
    instrument: &Instrument,
    request: &SubmitOrder,
    now: UnixNanos,
) -> Option<UnixNanos> {
    let own = match request.time_in_force {
        TimeInForce::Gtd => request.terms.expire_at,
        TimeInForce::Day => Some(day_end(instrument, request, now)),
        TimeInForce::Gtc => None,
        // These end as they come, or with their auction.
        _ => return None,
    };
    own.into_iter().chain(instrument.last_moment()).min()
}

/// A market around the clock has days that end at 00:00 UTC; so has one whose calendar does not
/// reach this far.
fn day_end(instrument: &Instrument, request: &SubmitOrder, now: UnixNanos) -> UnixNanos {
    let hours = if request.terms.extended_hours {
        Hours::Extended
    } else {
        Hours::Regular
    };
    let calendar = Calendar::shared(&instrument.rules.calendar);
    if let Some(Ok(end)) = calendar.map(|calendar| calendar.day_order_expiry(now, hours)) {
        return end;
    }
    let start = now.0.div_euclid(NANOS_PER_DAY) * NANOS_PER_DAY;
    UnixNanos(start.saturating_add(NANOS_PER_DAY))
}
