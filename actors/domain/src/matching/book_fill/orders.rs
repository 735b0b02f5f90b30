//! Orders as they come: checked, traded, rested, amended and canceled.

use super::BookFill;
use super::market::Market;
use crate::id::ClientOrderId;
use crate::matching::ledger::{Change, Match};
use crate::matching::resting::NewResting;
use crate::matching::rules::{self, Refused};
use crate::order::{OrderType, TimeInForce};
use crate::time::UnixNanos;
use crate::venue::{EndReason, NewOrder, RejectReason, VenueReport};

impl BookFill {
    pub(super) fn new_order(
        &mut self,
        now: UnixNanos,
        order: &NewOrder,
        out: &mut Vec<VenueReport>,
    ) {
        let numbering = &mut self.numbering;
        if let Err(Refused { reason, text }) = check(&self.ledger, &self.markets, order, now) {
            return out.push(self.ledger.reject(numbering, order, reason, text, now));
        }
        let id = &order.client_order_id;
        out.push(self.ledger.accept(numbering, order, now));
        if let (Some(record), Some(market)) = (
            self.ledger.open_mut(id),
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
        let Some(order) = self.ledger.open(id) else {
            return false;
        };
        let Some(market) = self.markets.get_mut(&order.order.instrument_id) else {
            return true;
        };
        let time_in_force = order.order.time_in_force;
        let key = (order.number, id.clone());
        if let (TimeInForce::Day | TimeInForce::Gtd, Some(end)) =
            (time_in_force, order.order.terms.expire_at)
        {
            self.ends.insert((end, order.number, id.clone()));
        }
        if order.watch.is_some() {
            market.watching.insert(key);
        } else if time_in_force == TimeInForce::AtClose {
            market.at_close.insert(key);
        } else if time_in_force == TimeInForce::AtOpen || market.floor.is_closed() {
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
        let Some(order) = self.ledger.open(id) else {
            return;
        };
        let (side, wanted, may_rest) = (order.order.side, order.leaves(), order.may_rest());
        let (order_type, time_in_force) = (order.order.order_type, order.order.time_in_force);
        let mut limit = order.order.limit_price;
        let Some(market) = self.markets.get_mut(&order.order.instrument_id) else {
            return;
        };
        let to_limit = order_type == OrderType::MarketToLimit && limit.is_none();
        if to_limit {
            limit = market.book.best_takeable(side);
        }
        self.taken.clear();
        let finds = !to_limit || limit.is_some();
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
                let numbering = &mut self.numbering;
                self.ledger
                    .fill(numbering, &market.instrument, id, matched, now)
            });
            booked &= report.is_some();
            out.extend(report);
        }
        if self.ledger.open(id).is_none() {
            return;
        }
        if !booked {
            return self.end(now, id, EndReason::Other, out);
        }
        match (limit, time_in_force) {
            (Some(price), _) if may_rest => {
                if to_limit {
                    out.extend(self.ledger.set_limit(id, price, now));
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
        let Some(order) = self.ledger.open(id) else {
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
        };
        market.resting(side).insert(resting);
    }

    /// Ends a working order, wherever it waits or rests.
    pub(super) fn end(
        &mut self,
        now: UnixNanos,
        id: &ClientOrderId,
        reason: EndReason,
        out: &mut Vec<VenueReport>,
    ) {
        self.forget(id);
        out.extend(self.ledger.end(id, reason, now));
    }

    /// Takes a working order out of everything but the ledger.
    pub(super) fn forget(&mut self, id: &ClientOrderId) {
        let Some(order) = self.ledger.open(id) else {
            return;
        };
        if let Some(market) = self.markets.get_mut(&order.order.instrument_id) {
            market.forget(order.number, id);
        }
        if let Some(end) = order.order.terms.expire_at {
            self.ends.remove(&(end, order.number, id.clone()));
        }
    }

    pub(super) fn cancel(
        &mut self,
        now: UnixNanos,
        id: &ClientOrderId,
        out: &mut Vec<VenueReport>,
    ) {
        if self.ledger.open(id).is_some() {
            return self.end(now, id, EndReason::Requested, out);
        }
        out.push(VenueReport::CancelRejected {
            client_order_id: id.clone(),
            text: self.ledger.why_not_open(id).to_owned(),
            ts_event: now,
        });
    }

    pub(super) fn amend(
        &mut self,
        now: UnixNanos,
        id: &ClientOrderId,
        change: Change,
        out: &mut Vec<VenueReport>,
    ) {
        if let Err(text) = self.check_amend(id, &change) {
            out.push(VenueReport::AmendRejected {
                client_order_id: id.clone(),
                text,
                ts_event: now,
            });
            return;
        }
        let Some(order) = self.ledger.open(id) else {
            return;
        };
        let price = change.limit_price.or(order.order.limit_price);
        let keeps_place =
            price == order.order.limit_price && change.quantity <= order.order.quantity;
        let (side, number) = (order.order.side, order.number);
        let instrument_id = order.order.instrument_id.clone();
        out.extend(self.ledger.amend(id, change, now));
        let (Some(order), Some(market)) =
            (self.ledger.open(id), self.markets.get_mut(&instrument_id))
        else {
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
        self.trade_and_rest(now, id, out);
    }

    fn check_amend(&self, id: &ClientOrderId, change: &Change) -> Result<(), String> {
        let order = self
            .ledger
            .open(id)
            .ok_or_else(|| self.ledger.why_not_open(id))?;
        let Some(market) = self.markets.get(&order.order.instrument_id) else {
            return Err("unknown instrument".to_owned());
        };
        if market.floor.is_halted() {
            return Err("trading is halted".to_owned());
        }
        rules::check_amend(&market.instrument, order, change)?;
        let Some(price) = change.limit_price.filter(|_| order.watch.is_none()) else {
            return Ok(());
        };
        let waits = market.at_open.contains(&(order.number, id.clone()));
        if market.floor.is_closed() && !waits && Some(price) != order.order.limit_price {
            return Err("session is closed".to_owned());
        }
        market
            .floor
            .check_collar(&market.instrument, price)
            .map_err(|refused| refused.text)?;
        if order.order.post_only && market.book.would_trade(order.order.side, Some(price)) {
            return Err("post-only order would trade at once".to_owned());
        }
        Ok(())
    }
}

fn check(
    ledger: &crate::matching::ledger::Ledger,
    markets: &std::collections::BTreeMap<crate::InstrumentId, Market>,
    order: &NewOrder,
    now: UnixNanos,
) -> Result<(), Refused> {
    if ledger.knows(&order.client_order_id) {
        let reason = RejectReason::DuplicateClientOrderId;
        return Err(Refused::new(reason, "client_order_id was used before"));
    }
    let Some(market) = markets.get(&order.instrument_id) else {
        let reason = RejectReason::UnknownInstrument;
        return Err(Refused::new(reason, "unknown instrument"));
    };
    rules::check_new(&market.instrument, order, now)?;
    let in_auction = matches!(
        order.time_in_force,
        TimeInForce::AtOpen | TimeInForce::AtClose
    );
    let conditional = order.order_type.is_conditional();
    let waits = conditional || in_auction || order.order_type == OrderType::Limit;
    market.floor.check(order.time_in_force, waits)?;
    if conditional {
        return Ok(());
    }
    if let Some(price) = order.limit_price {
        market.floor.check_collar(&market.instrument, price)?;
    }
    if in_auction || market.floor.is_closed() {
        return Ok(());
    }
    check_book(market, order)
}

/// Refuses what cannot begin in the book as it is.
pub(super) fn check_book(market: &Market, order: &NewOrder) -> Result<(), Refused> {
    let would_trade = market.book.would_trade(order.side, order.limit_price);
    if order.post_only && would_trade {
        let reason = RejectReason::PostOnlyWouldTrade;
        return Err(Refused::new(reason, "post-only order would trade at once"));
    }
    if order.limit_price.is_none() && !would_trade {
        let reason = RejectReason::NoLiquidity;
        return Err(Refused::new(reason, "nothing to trade with"));
    }
    Ok(())
}
