//! What a market event does to our orders.
//!
//! One that only reduces is held to its position with each fill, not before: a resting one shows
//! all of its quantity, trades what there is to reduce, and ends when that is nothing.

use super::BookFill;
use crate::id::{ClientOrderId, InstrumentId};
use crate::market::{MarketEvent, Side, Trade};
use crate::matching::ledger::Match;
use crate::matching::one_account::OneAccount;
use crate::matching::order_book::reaches;
use crate::matching::resting::Print;
use crate::matching::rules::Refused;
use crate::number::Quantity;
use crate::order::TimeInForce;
use crate::time::UnixNanos;
use crate::venue::{EndReason, VenueReport};

impl BookFill {
    /// Shows our orders an event: first those that waited for the session's first price, then
    /// those that rest, then those that wait for a price.
    pub(super) fn show(&mut self, event: &MarketEvent, out: &mut Vec<VenueReport>) {
        let id = event.instrument_id();
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        if !market.take(event) || !market.floor.is_trading() {
            return;
        }
        let now = event.ts_init();
        self.open_session(id, event, out);
        match event {
            MarketEvent::Trade(trade) => self.print(trade, out),
            _ => self.cross(id, now, out),
        }
        self.see_all(now, id, out);
    }

    /// Lets the orders that waited for the first price of a session trade, if this event is one.
    /// Extended hours have no such price: what asked for them begins with the next event.
    fn open_session(&mut self, id: &InstrumentId, event: &MarketEvent, out: &mut Vec<VenueReport>) {
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        if market.floor.is_extended() {
            return self.begin_extended(id, event.ts_init(), out);
        }
        let mut print = match event {
            MarketEvent::Trade(trade) => Some(trade.clone()),
            _ => None,
        };
        let has_price = print.is_some()
            || market.book.would_trade(Side::Buy, None)
            || market.book.would_trade(Side::Sell, None);
        if !has_price || !market.floor.take_opening() {
            return;
        }
        for (_, order_id) in std::mem::take(&mut market.at_open) {
            let Some(order) = self.own.ledger.open(&order_id) else {
                continue;
            };
            let in_auction = order.order.time_in_force == TimeInForce::AtOpen;
            match &mut print {
                Some(print) if in_auction => self.print_one(&order_id, print, out),
                _ => self.begin(event.ts_init(), &order_id, out),
            }
        }
    }

    fn begin_extended(&mut self, id: &InstrumentId, now: UnixNanos, out: &mut Vec<VenueReport>) {
        let Some(market) = self.markets.get(id).filter(|m| !m.at_open.is_empty()) else {
            return;
        };
        for key in market.at_open.clone() {
            let order_id = &key.1;
            let begins = self.own.ledger.open(order_id).is_some_and(|order| {
                order.order.terms.extended_hours && !order.order.time_in_force.is_auction()
            });
            if begins && let Some(market) = self.markets.get_mut(id) {
                market.at_open.remove(&key);
                self.begin(now, order_id, out);
            }
        }
    }

    /// Lets an order that waited for its session work, unless it must not take and would.
    fn begin(&mut self, now: UnixNanos, id: &ClientOrderId, out: &mut Vec<VenueReport>) {
        let Some(order) = self.own.ledger.open(id) else {
            return;
        };
        let order = &order.order;
        let market = self.markets.get(&order.instrument_id);
        let would_trade =
            market.is_some_and(|market| market.book.would_trade(order.side, order.limit_price));
        if order.post_only && would_trade {
            return self.refuse_open(now, id, Refused::would_take(), out);
        }
        self.trade_and_rest(now, id, out);
    }

    /// Lets an order for an auction trade at the auction's print, up to what is left of it.
    fn print_one(&mut self, id: &ClientOrderId, print: &mut Trade, out: &mut Vec<VenueReport>) {
        let now = print.ts_init;
        let Some(order) = self.own.ledger.open(id) else {
            return;
        };
        let reached = reaches(order.order.side, order.order.limit_price, print.price);
        let quantity = self.own.ledger.tradable(id).min(print.quantity);
        if let Some(market) = self.markets.get(&order.order.instrument_id)
            && reached
            && !quantity.is_zero()
        {
            let matched = Match {
                price: print.price,
                quantity,
                maker: false,
            };
            let numbering = &mut self.own.numbering;
            let filled = self
                .own
                .ledger
                .fill(numbering, &market.instrument, id, matched, now);
            if filled.is_some() {
                print.quantity = print.quantity.saturating_sub(quantity);
            }
            out.extend(filled);
        }
        self.end(now, id, EndReason::TimeOver, out);
    }

    /// Lets resting orders trade with levels that came to their price.
    fn cross(&mut self, id: &InstrumentId, ts: UnixNanos, out: &mut Vec<VenueReport>) {
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        let extended = market.floor.is_extended();
        for side in [Side::Buy, Side::Sell] {
            let book = &mut market.book;
            let resting = match side {
                Side::Buy => &mut market.buys,
                Side::Sell => &mut market.sells,
            };
            if resting.is_empty() {
                continue;
            }
            for order in resting.iter_mut() {
                let limit = Some(order.price);
                if !book.would_trade(side, limit) {
                    break;
                }
                if order.since > ts || (extended && !order.extended_hours) {
                    continue;
                }
                let (ledger, numbering) = (&mut self.own.ledger, &mut self.own.numbering);
                let tradable = ledger.tradable(&order.client_order_id);
                if tradable.is_zero() {
                    order.leaves = Quantity::ZERO;
                    out.extend(ledger.end(&order.client_order_id, EndReason::Other, ts));
                    continue;
                }
                let wanted = order.leaves.min(tradable);
                self.taken.clear();
                let quantity = book.take(side, limit, wanted, &mut self.taken);
                order.leaves.0 -= quantity.0;
                order.show_next();
                let matched = Match {
                    price: order.price,
                    quantity,
                    maker: true,
                };
                let order_id = &order.client_order_id;
                let report = ledger.fill(numbering, &market.instrument, order_id, matched, ts);
                let goes_on = report.is_some() && !ledger.tradable(order_id).is_zero();
                out.extend(report);
                if !goes_on {
                    // Filled, a number that does not fit, or nothing left to reduce.
                    order.leaves = Quantity::ZERO;
                    out.extend(ledger.end(order_id, EndReason::Other, ts));
                }
            }
            resting.sweep();
        }
    }

    /// Lets a print work on the side that it hit; both where the aggressor is not known.
    fn print(&mut self, trade: &Trade, out: &mut Vec<VenueReport>) {
        let Some(market) = self.markets.get_mut(&trade.instrument_id) else {
            return;
        };
        let print = Print {
            price: trade.price,
            quantity: trade.quantity,
            ts: trade.ts_init,
            extended: market.floor.is_extended(),
        };
        let (ledger, numbering) = (&mut self.own.ledger, &mut self.own.numbering);
        for side in [Side::Buy, Side::Sell] {
            if trade.aggressor == Some(side) {
                continue;
            }
            let instrument = &market.instrument;
            let resting = match side {
                Side::Buy => &mut market.buys,
                Side::Sell => &mut market.sells,
            };
            resting.print(print, |order, quantity| {
                let id = &order.client_order_id;
                let matched = Match {
                    price: order.price,
                    quantity: quantity.min(ledger.tradable(id)),
                    maker: true,
                };
                let trades = !matched.quantity.is_zero();
                let report =
                    trades.then(|| ledger.fill(numbering, instrument, id, matched, print.ts));
                let booked = report.flatten();
                let traded = booked.as_ref().map_or(Quantity::ZERO, |_| matched.quantity);
                out.extend(booked);
                if traded < quantity {
                    out.extend(ledger.end(id, EndReason::Other, print.ts));
                }
                traded
            });
        }
    }
}
