//! What a simulated venue checks before it takes an order.

use crate::instrument::Instrument;
use crate::number::{Price, Quantity};
use crate::order::OrderType;
use crate::venue::{NewOrder, RejectReason};

/// Why an order is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: RejectReason,
    pub(super) text: String,
}

impl Refused {
    pub(super) fn other(text: impl Into<String>) -> Refused {
        Refused {
            reason: RejectReason::Other,
            text: text.into(),
        }
    }
}

/// Checks an order against its instrument's increments and bounds. `reduce_only` and money are
/// not looked at: a simulated venue holds no positions, the account does.
pub(super) fn check_new(instrument: &Instrument, order: &NewOrder) -> Result<(), Refused> {
    check_quantity(instrument, order.quantity)?;
    if order.quantity < instrument.min_quantity {
        return Err(Refused::other("quantity is below min_quantity"));
    }
    match (order.order_type, order.limit_price) {
        (OrderType::Limit, Some(price)) => check_price(instrument, price),
        (OrderType::Limit, None) => Err(Refused::other("limit order has no limit_price")),
        (OrderType::Market, Some(_)) => Err(Refused::other("market order has a limit_price")),
        (OrderType::Market, None) if order.post_only => {
            Err(Refused::other("market order cannot be post-only"))
        }
        (OrderType::Market, None) => Ok(()),
        _ => Err(Refused::other("order type is not offered")),
    }
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
