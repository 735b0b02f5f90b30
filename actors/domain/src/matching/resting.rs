//! Our resting orders of one side of one instrument, and where they stand in the venue's queue.

use super::order_book::reaches;
use crate::id::ClientOrderId;
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::time::UnixNanos;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resting {
    pub(super) client_order_id: ClientOrderId,
    pub(super) price: Price,
    pub(super) leaves: Quantity,
    /// What others have before us at our price; `None` while the venue does not show the price.
    pub(super) ahead: Option<i64>,
    /// Events older than this cannot fill it.
    pub(super) since: UnixNanos,
}

impl Resting {
    /// No more can be ahead of us than rests at our price at all. At a price that was not shown
    /// before, all that is there came before us.
    fn see(&mut self, shown: i64) {
        self.ahead = Some(self.ahead.map_or(shown, |ahead| ahead.min(shown)));
    }
}

/// Resting orders, best price first, oldest first within a price.
#[derive(Clone, Debug)]
pub(super) struct RestingSide {
    side: Side,
    orders: Vec<Resting>,
}

/// Something that others traded, as our resting orders see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Print {
    pub(super) price: Price,
    pub(super) quantity: Quantity,
    pub(super) ts: UnixNanos,
}

impl RestingSide {
    pub(super) fn new(side: Side) -> RestingSide {
        RestingSide {
            side,
            orders: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// Returns the orders in the order in which they are filled.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Resting> {
        self.orders.iter_mut()
    }

    /// Puts an order behind all others of its price.
    pub(super) fn insert(&mut self, order: Resting) {
        let side = self.side;
        let at = self
            .orders
            .partition_point(|other| !is_better(side, order.price, other.price));
        self.orders.insert(at, order);
    }

    pub(super) fn remove(&mut self, id: &ClientOrderId) -> Option<Resting> {
        let at = self.orders.iter().position(|o| o.client_order_id == *id)?;
        Some(self.orders.remove(at))
    }

    pub(super) fn get_mut(&mut self, id: &ClientOrderId) -> Option<&mut Resting> {
        self.orders.iter_mut().find(|o| o.client_order_id == *id)
    }

    /// Forgets the orders that have nothing left.
    pub(super) fn sweep(&mut self) {
        self.orders.retain(|order| !order.leaves.is_zero());
    }

    /// Corrects the place in the queue of all orders by what the venue shows now, from the best
    /// price down to where it shows nothing.
    pub(super) fn see_all(&mut self, shown_at: impl Fn(Price) -> Option<i64>) {
        for order in &mut self.orders {
            let Some(shown) = shown_at(order.price) else {
                break;
            };
            order.see(shown);
        }
    }

    /// Corrects the place in the queue of the orders at one price.
    pub(super) fn see_level(&mut self, price: Price, shown: i64) {
        let side = self.side;
        let first = self
            .orders
            .partition_point(|order| is_better(side, order.price, price));
        for order in &mut self.orders[first..] {
            if order.price != price {
                break;
            }
            order.see(shown);
        }
    }

    /// Lets a print that hit this side work on the orders; calls `fill` for each that trades.
    /// `fill` returns false when it ended the order instead.
    ///
    /// A print through an order's price means that everything at that price was gone before. A
    /// print at its price uses up what is ahead of it first. The print's quantity is shared:
    /// what one order got, the next cannot get.
    pub(super) fn print(&mut self, print: Print, mut fill: impl FnMut(&Resting, Quantity) -> bool) {
        let mut spent = 0_i64;
        for order in &mut self.orders {
            if !reaches(self.side, Some(order.price), print.price) {
                break;
            }
            if order.since > print.ts {
                continue;
            }
            let ahead = if order.price == print.price {
                let Some(ahead) = order.ahead else { continue };
                order.ahead = Some(ahead.saturating_sub(print.quantity.0).max(0));
                ahead
            } else {
                order.ahead = Some(0);
                0
            };
            let reach_us = print.quantity.0.saturating_sub(ahead).saturating_sub(spent);
            let filled = Quantity(reach_us.min(order.leaves.0));
            if filled.0 > 0 {
                spent += filled.0;
                order.leaves.0 -= filled.0;
                if !fill(order, filled) {
                    order.leaves = Quantity::ZERO;
                }
            }
        }
        self.sweep();
    }
}

/// Returns true when an order of `side` at `a` is filled before one at `b`.
fn is_better(side: Side, a: Price, b: Price) -> bool {
    match side {
        Side::Buy => a > b,
        Side::Sell => a < b,
    }
}
