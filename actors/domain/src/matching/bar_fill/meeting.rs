//! Where the price meets an order on its way from one to the next.

use crate::instrument::Instrument;
use crate::matching::ledger::VenueOrder;
use crate::matching::order_book::reaches;
use crate::number::Price;
use crate::order::trigger::Seen;

/// Returns where the price meets an order on the way from `at` to `to`; `None` when it does not.
pub(super) fn meeting(
    order: &VenueOrder,
    instrument: &Instrument,
    at: Price,
    to: Price,
    none_left: bool,
) -> Option<Price> {
    if let Some(watch) = &order.watch {
        if watch.see_price(at, instrument) != Seen::Nothing {
            return Some(at);
        }
        if let Some(price) = watch.begins_at(at, to) {
            return Some(price);
        }
        return match watch.see_price(to, instrument) {
            Seen::Nothing => None,
            Seen::Trailed { .. } => Some(to),
            Seen::Triggered => watch.stop_price().map(|stop| between(stop, at, to)),
        };
    }
    if none_left {
        return None;
    }
    let side = order.order.side;
    match order.order.limit_price {
        // What was left over from a price beyond the limit is met at the worst price of the way.
        Some(limit) if reaches(side, Some(limit), to) || reaches(side, Some(limit), at) => {
            Some(between(limit, at, to))
        }
        Some(_) => None,
        // Left over from the price before.
        None => Some(to),
    }
}

/// Returns the price, moved into what lies between two others.
pub(super) fn between(price: Price, one: Price, other: Price) -> Price {
    price.clamp(one.min(other), one.max(other))
}
