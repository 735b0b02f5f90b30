//! Orders that wait for a price.

use super::BookFill;
use crate::id::{ClientOrderId, InstrumentId};
use crate::matching::one_account::OneAccount;
use crate::matching::rules::{self, Refused};
use crate::order::trigger::Seen;
use crate::time::UnixNanos;
use crate::venue::{NewOrder, VenueReport};

impl BookFill {
    /// Shows all orders of an instrument that wait for a price its market.
    pub(super) fn see_all(
        &mut self,
        now: UnixNanos,
        id: &InstrumentId,
        out: &mut Vec<VenueReport>,
    ) {
        let Some(market) = self.markets.get(id) else {
            return;
        };
        if market.watching.is_empty() {
            return;
        }
        for (_, order_id) in market.watching.clone() {
            self.see_one(now, &order_id, out);
        }
    }

    /// Shows an order that waits for a price the market. One whose condition is met works after
    /// all have seen it.
    pub(super) fn see_one(
        &mut self,
        now: UnixNanos,
        id: &ClientOrderId,
        out: &mut Vec<VenueReport>,
    ) {
        let Some(order) = self.own.ledger.open_mut(id) else {
            return;
        };
        let Some(market) = self.markets.get_mut(&order.order.instrument_id) else {
            return;
        };
        // Without trading there is no price, and the last one is history.
        if !market.floor.trades(order.order.terms.extended_hours) {
            return;
        }
        match order.see(&market.floor.view, &market.instrument) {
            Seen::Nothing => {}
            Seen::Trailed { .. } => out.extend(self.own.ledger.restate(id, now)),
            Seen::Triggered => {
                market.watching.remove(&(order.number, id.clone()));
                self.triggered.push_back(id.clone());
            }
        }
    }

    /// Lets the orders whose condition was met work, in the order in which that happened.
    pub(super) fn work_off(&mut self, now: UnixNanos, out: &mut Vec<VenueReport>) {
        while let Some(id) = self.triggered.pop_front() {
            let Some(order) = self.own.ledger.open(&id) else {
                continue;
            };
            if let Err(refused) = self.check_triggered(&order.order) {
                self.refuse_open(now, &id, refused, out);
                continue;
            }
            out.extend(self.own.ledger.trigger(&id, now));
            self.trade_and_rest(now, &id, out);
        }
    }

    /// Checks what could not be checked before an order works.
    fn check_triggered(&self, order: &NewOrder) -> Result<(), Refused> {
        match (self.markets.get(&order.instrument_id), order.limit_price) {
            (Some(market), Some(price)) => {
                market.floor.check_collar(&market.instrument, price)?;
                rules::check_begin(order, market.book.would_trade(order.side, Some(price)))
            }
            _ => Ok(()),
        }
    }
}
