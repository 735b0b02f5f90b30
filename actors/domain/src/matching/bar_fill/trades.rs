//! Executions.

use super::BarFill;
use crate::id::ClientOrderId;
use crate::matching::ledger::Match;
use crate::matching::one_account::OneAccount;
use crate::number::{Price, Quantity};
use crate::order::{OrderType, TimeInForce};
use crate::time::UnixNanos;
use crate::venue::{EndReason, VenueReport};

/// A price at which an order may trade.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) price: Price,
    pub(super) maker: bool,
    pub(super) ts: UnixNanos,
}

impl BarFill {
    /// Lets an order trade at a price that it reaches, up to what is `left` there. What of it
    /// does not rest ends.
    pub(super) fn trade(
        &mut self,
        id: &ClientOrderId,
        offer: Offer,
        left: &mut Option<i64>,
        out: &mut Vec<VenueReport>,
    ) {
        let Some(order) = self.own.ledger.open(id) else {
            return;
        };
        let Some(listing) = self.listings.get_mut(&order.order.instrument_id) else {
            return;
        };
        let (side, time_in_force) = (order.order.side, order.order.time_in_force);
        let number = order.number;
        let leaves = order.leaves();
        let allowed = if order.order.reduce_only {
            let reducible = (-side.sign()).saturating_mul(listing.position).max(0);
            leaves.min(Quantity(reducible))
        } else {
            leaves
        };
        let quantity = allowed.min(Quantity(left.unwrap_or(i64::MAX)));
        let whole = time_in_force != TimeInForce::Fok || quantity == leaves;
        let to_limit =
            order.order.order_type == OrderType::MarketToLimit && order.order.limit_price.is_none();
        let price = match order.order.order_type {
            OrderType::Market => {
                let slippage = self.options.slippage;
                slippage.applied(&listing.instrument, side, offer.price, None)
            }
            _ => Some(offer.price),
        };
        let mut booked = true;
        if let Some(price) = price.filter(|_| whole && !quantity.is_zero()) {
            let matched = Match {
                price,
                quantity,
                maker: offer.maker,
            };
            let position = listing.position.checked_add(side.sign() * quantity.0);
            let filled = position.and_then(|_| {
                let numbering = &mut self.own.numbering;
                self.own
                    .ledger
                    .fill(numbering, &listing.instrument, id, matched, offer.ts)
            });
            booked = filled.is_some();
            if let (Some(position), true) = (position, booked) {
                listing.position = position;
                *left = left.map(|left| left - quantity.0);
            }
            out.extend(filled);
        }
        if self.own.ledger.open(id).is_none() {
            listing.forget(number);
            return self.own.forget_end(number, id);
        }
        if !booked || price.is_none() || allowed < leaves {
            // A number that does not fit, or nothing left to reduce.
            return self.end(offer.ts, id, EndReason::Other, out);
        }
        if time_in_force.is_immediate() {
            return self.end(offer.ts, id, EndReason::NoLiquidity, out);
        }
        if to_limit {
            out.extend(self.own.ledger.set_limit(id, offer.price, offer.ts));
        }
    }
}
