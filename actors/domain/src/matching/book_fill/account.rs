//! What these rules say of an account's orders that other models say otherwise.

use super::BookFill;
use crate::id::{ClientOrderId, InstrumentId};
use crate::matching::floor::Floor;
use crate::matching::ledger::{Change, TakenBack};
use crate::matching::one_account::{OneAccount, OwnOrders};
use crate::matching::rules::{self, Refused};
use crate::time::UnixNanos;
use crate::venue::{EndReason, NewOrder, SessionEdge, VenueReport};

impl OneAccount for BookFill {
    fn own(&self) -> &OwnOrders {
        &self.own
    }

    fn own_mut(&mut self) -> &mut OwnOrders {
        &mut self.own
    }

    fn floor_mut(&mut self, id: &InstrumentId) -> Option<&mut Floor> {
        Some(&mut self.markets.get_mut(id)?.floor)
    }

    fn withdraw(&mut self, instrument_id: &InstrumentId, number: u64, id: &ClientOrderId) {
        if let Some(market) = self.markets.get_mut(instrument_id) {
            market.forget(number, id);
        }
    }

    fn place(&mut self, now: UnixNanos, order: &NewOrder, out: &mut Vec<VenueReport>) {
        self.new_order(now, order, out);
    }

    fn check_amend(&self, id: &ClientOrderId, change: &Change) -> Result<(), String> {
        let order = self.own.working(id)?;
        let Some(market) = self.markets.get(&order.order.instrument_id) else {
            return Err(Refused::unknown_instrument().text);
        };
        if market.floor.is_halted() {
            return Err("trading is halted".to_owned());
        }
        rules::check_amend(&market.instrument, order, change)?;
        let Some(price) = change.limit_price.filter(|_| order.watch.is_none()) else {
            return Ok(());
        };
        let waits = market.at_open.contains(&(order.number, id.clone()));
        let closed = market.floor.is_closed_to(order.order.terms.extended_hours);
        if closed && !waits && Some(price) != order.order.limit_price {
            return Err("session is closed: cancel the order and send another".to_owned());
        }
        market
            .floor
            .check_collar(&market.instrument, price)
            .map_err(|refused| refused.text)?;
        if order.order.post_only && market.book.would_trade(order.order.side, Some(price)) {
            return Err(Refused::would_take().text);
        }
        Ok(())
    }

    fn amend(
        &mut self,
        now: UnixNanos,
        id: &ClientOrderId,
        change: Change,
        out: &mut Vec<VenueReport>,
    ) {
        let Some(order) = self.own.ledger.open(id) else {
            return;
        };
        let price = change.limit_price.or(order.order.limit_price);
        let keeps_place =
            price == order.order.limit_price && change.quantity <= order.order.quantity;
        let (side, number) = (order.order.side, order.number);
        let instrument_id = order.order.instrument_id.clone();
        out.extend(self.own.ledger.amend(id, change, now));
        let (Some(order), Some(market)) = (
            self.own.ledger.open(id),
            self.markets.get_mut(&instrument_id),
        ) else {
            return;
        };
        let key = (number, id.clone());
        if order.watch.is_some() {
            return self.see_one(now, id, out);
        }
        if market.at_open.contains(&key) || market.at_close.contains(&key) {
            return;
        }
        if keeps_place {
            return market.resting(side).reduce(id, order.leaves());
        }
        market.resting(side).remove(id);
        // The data may have come to its price meanwhile.
        if market.floor.is_closed_to(order.order.terms.extended_hours) {
            return self.rest(now, id);
        }
        self.trade_and_rest(now, id, out);
    }

    /// Lets the orders for the close trade with what stands, then ends trading.
    fn close_session(&mut self, now: UnixNanos, id: &InstrumentId, out: &mut Vec<VenueReport>) {
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        let trades = market.floor.trades(false);
        for (_, order_id) in std::mem::take(&mut market.at_close) {
            if trades {
                self.trade_and_rest(now, &order_id, out);
            } else {
                self.end(now, &order_id, EndReason::TimeOver, out);
            }
        }
        if let Some(market) = self.markets.get_mut(id) {
            market.floor.set_session(SessionEdge::Close);
        }
    }

    fn resume(&mut self, now: UnixNanos, id: &InstrumentId, out: &mut Vec<VenueReport>) {
        self.see_all(now, id, out);
    }

    /// A working order's quantity is open again, at the back of its queue.
    fn busted(&mut self, now: UnixNanos, taken_back: &TakenBack) {
        let Some(id) = taken_back.report.client_order_id() else {
            return;
        };
        let (Some(order), Some(market)) = (
            self.own.ledger.open(id),
            self.markets.get_mut(&taken_back.instrument_id),
        ) else {
            return;
        };
        if order.watch.is_none() && market.resting(order.order.side).remove(id).is_some() {
            self.rest(now, id);
        }
    }
}
