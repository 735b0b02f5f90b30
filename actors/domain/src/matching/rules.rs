//! What a simulated venue checks before it takes an order.

use crate::instrument::Instrument;
use crate::number::{Price, Quantity};
use crate::order::{OrderType, TimeInForce, TrailingOffset};
use crate::time::UnixNanos;
use crate::venue::{NewOrder, RejectReason};

/// Why an order is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: RejectReason,
    pub(super) text: String,
}

impl Refused {
    pub(super) fn other(text: impl Into<String>) -> Refused {
        Refused::new(RejectReason::Other, text)
    }

    pub(super) fn new(reason: RejectReason, text: impl Into<String>) -> Refused {
        Refused {
            reason,
            text: text.into(),
        }
    }

    pub(super) fn duplicate() -> Refused {
        let reason = RejectReason::DuplicateClientOrderId;
        Refused::new(reason, "client_order_id was used before: make a new one")
    }

    pub(super) fn unknown_instrument() -> Refused {
        let reason = RejectReason::UnknownInstrument;
        Refused::new(reason, "unknown instrument: this venue does not list it")
    }

    pub(super) fn would_take() -> Refused {
        let reason = RejectReason::PostOnlyWouldTrade;
        Refused::new(reason, "post-only order would trade at once")
    }

    fn unsupported(text: &str) -> Refused {
        Refused::new(RejectReason::Unsupported, text)
    }
}

/// Checks an order against its instrument's increments and bounds, and against itself. Money and
/// positions are not looked at.
pub(super) fn check_new(
    instrument: &Instrument,
    order: &NewOrder,
    now: UnixNanos,
) -> Result<(), Refused> {
    if instrument.is_expired(now) {
        return Err(Refused::new(RejectReason::Halted, "the contract has ended"));
    }
    check_quantity(instrument, order.quantity)?;
    if order.quantity < instrument.min_quantity {
        return Err(Refused::other("quantity is below min_quantity"));
    }
    check_offered(instrument, order)?;
    check_prices(instrument, order)?;
    check_time(instrument, order, now)?;
    check_terms(instrument, order)
}

/// Refuses what the instrument's venue lacks.
fn check_offered(instrument: &Instrument, order: &NewOrder) -> Result<(), Refused> {
    let lacks = &instrument.rules.lacks;
    let what = if lacks.order_types.contains(&order.order_type) {
        "order_type is not offered"
    } else if lacks.times_in_force.contains(&order.time_in_force) {
        "time_in_force is not offered"
    } else if lacks.iceberg && order.terms.display_quantity.is_some() {
        "display_quantity is not offered"
    } else if lacks.post_only && order.post_only {
        "post_only is not offered"
    } else if lacks.reduce_only && order.reduce_only {
        "reduce_only is not offered"
    } else {
        return Ok(());
    };
    Err(Refused::unsupported(what))
}

fn check_prices(instrument: &Instrument, order: &NewOrder) -> Result<(), Refused> {
    match (order.order_type.has_limit(), order.limit_price) {
        (true, Some(price)) => check_price(instrument, price)?,
        (true, None) => return Err(Refused::other("limit order has no limit_price")),
        (false, Some(_)) if order.order_type == OrderType::Market => {
            return Err(Refused::other("market order has a limit_price"));
        }
        (false, Some(_)) => return Err(Refused::other("order type has no limit_price")),
        (false, None) if order.post_only => {
            let reason = RejectReason::PostOnlyWouldTrade;
            return Err(Refused::new(reason, "market order cannot be post-only"));
        }
        (false, None) => {}
    }
    let stops = order.order_type.is_conditional() && order.order_type != OrderType::TrailingStop;
    match order.terms.stop_price {
        Some(price) if stops => check_stop_price(instrument, price)?,
        None if stops => return Err(Refused::other("order type needs a stop_price")),
        _ => {}
    }
    match (order.order_type, order.terms.trailing) {
        (OrderType::TrailingStop, Some(TrailingOffset::Price(Price(1..)))) => Ok(()),
        (OrderType::TrailingStop, Some(TrailingOffset::Bps(1..=9_999))) => Ok(()),
        (OrderType::TrailingStop, _) => Err(Refused::other("trailing stop needs an offset")),
        _ => Ok(()),
    }
}

fn check_time(instrument: &Instrument, order: &NewOrder, now: UnixNanos) -> Result<(), Refused> {
    match order.time_in_force {
        TimeInForce::Day | TimeInForce::Gtd => match order.terms.expire_at {
            None => Err(Refused::other("order has no expire_at")),
            Some(end) if end < now => Err(Refused::other("expire_at is over")),
            Some(_) => Ok(()),
        },
        TimeInForce::AtOpen | TimeInForce::AtClose => {
            if instrument.rules.calendar.is_empty() {
                return Err(Refused::unsupported("instrument has no sessions"));
            }
            let plain = matches!(order.order_type, OrderType::Market | OrderType::Limit);
            if !plain || order.post_only {
                return Err(Refused::unsupported("auctions take plain orders only"));
            }
            Ok(())
        }
        TimeInForce::Ioc | TimeInForce::Fok if order.post_only => {
            Err(Refused::other("post-only order has to rest"))
        }
        TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok => Ok(()),
    }
}

fn check_terms(instrument: &Instrument, order: &NewOrder) -> Result<(), Refused> {
    let Some(display) = order.terms.display_quantity else {
        return Ok(());
    };
    let rests = matches!(
        order.time_in_force,
        TimeInForce::Gtc | TimeInForce::Day | TimeInForce::Gtd
    );
    if !rests || !order.order_type.has_limit() {
        return Err(Refused::unsupported(
            "order that does not rest shows nothing",
        ));
    }
    if display.0 <= 0 || !instrument.is_on_quantity_increment(display) {
        return Err(Refused::other("display_quantity is off the increment"));
    }
    Ok(())
}

/// Refuses what cannot begin in the market as it stands, by whether it `would_trade` there.
pub(super) fn check_begin(order: &NewOrder, would_trade: bool) -> Result<(), Refused> {
    if order.post_only && would_trade {
        return Err(Refused::would_take());
    }
    if order.limit_price.is_none() && !would_trade {
        let reason = RejectReason::NoLiquidity;
        return Err(Refused::new(
            reason,
            "nothing to trade with on the other side",
        ));
    }
    Ok(())
}

/// Checks the new total quantity of an order. Its lower bound is the filled quantity, which the
/// book checks.
pub(super) fn check_quantity(instrument: &Instrument, quantity: Quantity) -> Result<(), Refused> {
    if quantity.0 <= 0 {
        return Err(Refused::other("quantity must be above zero"));
    }
    if !instrument.is_on_quantity_increment(quantity) {
        return Err(Refused::other("quantity is off the increment"));
    }
    if quantity > instrument.max_quantity {
        return Err(Refused::other("quantity is above max_quantity"));
    }
    Ok(())
}

pub(super) fn check_price(instrument: &Instrument, price: Price) -> Result<(), Refused> {
    if instrument.is_on_price_increment(price) {
        Ok(())
    } else {
        Err(Refused::other("limit_price is off the increment"))
    }
}

fn check_stop_price(instrument: &Instrument, price: Price) -> Result<(), Refused> {
    if instrument.is_on_price_increment(price) {
        Ok(())
    } else {
        Err(Refused::other("stop_price is off the increment"))
    }
}

/// Checks what an amend asks of a working order, waiting or not.
///
/// Errors: why not, in words.
pub(super) fn check_amend(
    instrument: &Instrument,
    order: &super::ledger::VenueOrder,
    change: &super::ledger::Change,
) -> Result<(), String> {
    let text = |refused: Refused| refused.text;
    check_quantity(instrument, change.quantity).map_err(text)?;
    if change.quantity <= order.filled {
        return Err("quantity is not above the filled quantity".to_owned());
    }
    if let Some(price) = change.limit_price {
        let rests = order.order.limit_price.is_some() || order.order.order_type.has_limit();
        if !rests {
            return Err("limit_price does not fit the order type".to_owned());
        }
        check_price(instrument, price).map_err(text)?;
    }
    let Some(stop_price) = change.stop_price else {
        return Ok(());
    };
    // That of a trailing stop follows the market, whatever an amend repeats of it.
    if change.stop_price == order.order.terms.stop_price
        || order.order.order_type == OrderType::TrailingStop
    {
        return Ok(());
    }
    if order.watch.is_none() && order.order.terms.stop_price.is_some() {
        return Err("order was triggered before".to_owned());
    }
    check_stop_price(instrument, stop_price).map_err(text)
}
