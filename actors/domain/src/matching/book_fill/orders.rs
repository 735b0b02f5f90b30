//! Orders as they come: checked, traded and rested.

use super::BookFill;
use crate::id::ClientOrderId;
use crate::matching::ledger::Match;
use crate::matching::one_account::OneAccount;
use crate::matching::resting::NewResting;
use crate::matching::rules::{self, Refused};
use crate::order::{OrderType, TimeInForce};
use crate::time::UnixNanos;
use crate::venue::{EndReason, NewOrder, VenueReport};

impl BookFill {
    pub(super) fn new_order(
        &mut self,
        now: UnixNanos,
        order: &NewOrder,
        out: &mut Vec<VenueReport>,
    ) {
        if let Err(refused) = self.check(order, now) {
            return out.push(self.own.reject(order, refused, now));
        }
        let id = &order.client_order_id;
        out.push(self.own.accept(order, now));
        if let (Some(record), Some(market)) = (
            self.own.ledger.open_mut(id),
            self.markets.get(&order.instrument_id),
        ) {
            record.begin_to_watch(&market.floor.view);
        }
        if self.waits(id) {
            self.see_one(now, id, out);
        } else {
            self.trade_and_rest(now, id, out);
        }
    }

    /// Notes when a working order ends, and lets it wait where it has to. Returns true when it
    /// waits.
    pub(super) fn waits(&mut self, id: &ClientOrderId) -> bool {
        let Some(order) = self.own.ledger.open(id) else {
            return false;
        };
        let Some(market) = self.markets.get_mut(&order.order.instrument_id) else {
            return true;
        };
        self.own.note_end(id, &market.instrument);
        let Some(order) = self.own.ledger.open(id) else {
            return false;
        };
        let time_in_force = order.order.time_in_force;
        let key = (order.number, id.clone());
        if order.watch.is_some() {
            market.watching.insert(key);
        } else if time_in_force == TimeInForce::AtClose {
            market.at_close.insert(key);
        } else if time_in_force == TimeInForce::AtOpen
            || market.floor.is_closed_to(order.order.terms.extended_hours)
        {
            market.at_open.insert(key);
        } else {
            return false;
        }
        true
    }

    /// Sweeps for a working order that is not resting, then rests or ends what is left.
    pub(super) fn trade_and_rest(
        &mut self,
        now: UnixNanos,
        id: &ClientOrderId,
        out: &mut Vec<VenueReport>,
    ) {
        let Some(order) = self.own.ledger.open(id) else {
            return;
        };
        let (order_type, time_in_force) = (order.order.order_type, order.order.time_in_force);
        let (side, leaves, may_rest) = (order.order.side, order.leaves(), order.may_rest());
        let wanted = self.own.ledger.tradable(id);
        if wanted.is_zero() {
            // Nothing to reduce.
            return self.end(now, id, EndReason::Other, out);
        }
        let whole = time_in_force != TimeInForce::Fok || wanted == leaves;
        let mut limit = order.order.limit_price;
        let Some(market) = self.markets.get_mut(&order.order.instrument_id) else {
            return;
        };
        let to_limit = order_type == OrderType::MarketToLimit && limit.is_none();
        if to_limit {
            limit = market.book.best_takeable(side);
        }
        self.taken.clear();
        let finds = whole && (!to_limit || limit.is_some());
        if finds && (time_in_force != TimeInForce::Fok || market.book.covers(side, limit, wanted)) {
            market.book.take(side, limit, wanted, &mut self.taken);
        }
        let slippage = self.options.slippage;
        let mut booked = true;
        for &(price, quantity) in &self.taken {
            let price = match limit {
                Some(_) => Some(price),
                None => slippage.applied(&market.instrument, side, price, None),
            };
            let report = price.and_then(|price| {
                let matched = Match {
                    price,
                    quantity,
                    maker: false,
                };
                let numbering = &mut self.own.numbering;
                self.own
                    .ledger
                    .fill(numbering, &market.instrument, id, matched, now)
            });
            booked &= report.is_some();
            out.extend(report);
        }
        if self.own.ledger.open(id).is_none() {
            return;
        }
        if !booked || self.own.ledger.tradable(id).is_zero() {
            return self.end(now, id, EndReason::Other, out);
        }
        match (limit, time_in_force) {
            (Some(price), _) if may_rest => {
                if to_limit {
                    out.extend(self.own.ledger.set_limit(id, price, now));
                }
                self.rest(now, id);
            }
            (_, TimeInForce::AtOpen | TimeInForce::AtClose) => {
                self.end(now, id, EndReason::TimeOver, out);
            }
            _ => self.end(now, id, EndReason::NoLiquidity, out),
        }
    }

    /// Puts a working limit order at the back of the queue of its price.
    pub(super) fn rest(&mut self, now: UnixNanos, id: &ClientOrderId) {
        let Some(order) = self.own.ledger.open(id) else {
            return;
        };
        let (Some(price), Some(market)) = (
            order.order.limit_price,
            self.markets.get_mut(&order.order.instrument_id),
        ) else {
            return;
        };
        let side = order.order.side;
        let resting = NewResting {
            client_order_id: id.clone(),
            price,
            leaves: order.leaves(),
            display: order.order.terms.display_quantity,
            shown: market.book.shown_at(side, price),
            since: now,
            extended_hours: order.order.terms.extended_hours,
        };
        market.resting(side).insert(resting);
    }

    fn check(&self, order: &NewOrder, now: UnixNanos) -> Result<(), Refused> {
        self.own.check_unused(order)?;
        let Some(market) = self.markets.get(&order.instrument_id) else {
            return Err(Refused::unknown_instrument());
        };
        rules::check_new(&market.instrument, order, now)?;
        let in_auction = order.time_in_force.is_auction();
        let conditional = order.order_type.is_conditional();
        let waits = conditional || in_auction || order.order_type == OrderType::Limit;
        market.floor.check(order, waits)?;
        if conditional {
            return Ok(());
        }
        if let Some(price) = order.limit_price {
            market.floor.check_collar(&market.instrument, price)?;
        }
        if in_auction || market.floor.is_closed_to(order.terms.extended_hours) {
            return Ok(());
        }
        rules::check_begin(
            order,
            market.book.would_trade(order.side, order.limit_price),
        )
    }
}
