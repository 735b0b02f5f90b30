//! Sessions as they open and close, each with an auction at one price.
//!
//! What waited for the session and what rests in the book take part together. Prevention of
//! self-trades is for the continuous trade: an auction has no incoming order that could be asked
//! what to do.

use super::market::{SimMarket, Stamp};
use super::{ExchangeEvent, SimExchange};
use crate::id::InstrumentId;
use crate::market::Side;
use crate::matching::agents::AGENT;
use crate::matching::auction::{AuctionOrder, uncross};
use crate::matching::ledger::Match;
use crate::matching::order_book::{BookOrderId, RestingOrder};
use crate::matching::rules::Refused;
use crate::number::Quantity;
use crate::order::TimeInForce;
use crate::venue::{EndReason, SessionEdge};
use std::collections::BTreeSet;

/// Who takes part in an auction.
#[derive(Clone, Copy, Debug)]
enum Bidder {
    /// Waits outside of the book, by its number.
    Waiting(u64),
    Resting {
        book_id: BookOrderId,
        owner: u64,
    },
}

impl SimExchange {
    pub(super) fn open_session(&mut self, id: &InstrumentId, out: &mut Vec<ExchangeEvent>) {
        if let Some(market) = self.markets.get_mut(id) {
            market.floor.set_session(SessionEdge::Open);
        }
        self.hold_opening(id, out);
    }

    /// Holds the opening auction that is due, unless a halt delays it. Then what was left of an
    /// order for the opening ends, and the others go into the book.
    pub(super) fn hold_opening(&mut self, id: &InstrumentId, out: &mut Vec<ExchangeEvent>) {
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        // The book is there, so the first price is, too.
        if !market.floor.take_opening() {
            return;
        }
        let waiting = std::mem::take(&mut market.at_open);
        let mut waiting: Vec<u64> = waiting.into_iter().collect();
        waiting.sort_by_key(|number| self.live.get(number).map(|live| live.arrival));
        self.hold_auction(id, &waiting, out);
        for number in waiting {
            let Some((_, order)) = self.order(number) else {
                continue;
            };
            if order.order.time_in_force == TimeInForce::AtOpen {
                self.end(number, EndReason::TimeOver, out);
            } else {
                self.place_unless_it_takes(number, out);
            }
        }
        self.see_all(id, out);
    }

    /// Places an order that waited, unless it must not trade and would.
    fn place_unless_it_takes(&mut self, number: u64, out: &mut Vec<ExchangeEvent>) {
        let Some((live, order)) = self.order(number) else {
            return;
        };
        let takes = order.order.post_only
            && self.markets.get(&live.instrument_id).is_some_and(|market| {
                market
                    .book
                    .would_trade(order.order.side, order.order.limit_price)
            });
        if !takes {
            return self.place(number, out);
        }
        self.refuse_open(number, Refused::would_take(), out);
    }

    /// Holds the closing auction, then ends the session. What is left of an order for the close
    /// ends; so does one for an opening that a halt kept from being held.
    pub(super) fn close_session(&mut self, id: &InstrumentId, out: &mut Vec<ExchangeEvent>) {
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        let mut over: Vec<u64> = std::mem::take(&mut market.at_close).into_iter().collect();
        if market.floor.trades(false) {
            self.hold_auction(id, &over, out);
        }
        over.extend(self.unopened(id));
        for number in over {
            self.end(number, EndReason::TimeOver, out);
        }
        // The last trades may have met conditions: those orders still belong to the session.
        self.work_off(out);
        if let Some(market) = self.markets.get_mut(id) {
            market.floor.set_session(SessionEdge::Close);
        }
    }

    /// Begins extended hours. Orders that did not ask for them leave the book and wait for the
    /// regular session, as old as they are; those that did begin.
    pub(super) fn open_extended(&mut self, id: &InstrumentId, out: &mut Vec<ExchangeEvent>) {
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        market.floor.set_session(SessionEdge::ExtendedOpen);
        let of_market = self
            .live
            .iter_mut()
            .filter(|(_, live)| live.instrument_id == *id);
        for (number, live) in of_market {
            let Some(book_id) = live.book_id else {
                continue;
            };
            let ledger = self.ledgers.get(&live.account_id);
            let order = ledger.and_then(|ledger| ledger.open(&live.client_order_id));
            if order.is_some_and(|order| order.order.terms.extended_hours) {
                continue;
            }
            if let Some(order) = market.book.cancel(book_id, &mut market.changes) {
                (live.book_id, live.arrival) = (None, order.arrival);
                market.at_open.insert(*number);
            }
        }
        self.publish(id, Stamp::at(self.clock), out);
        self.begin_extended(id, out);
        self.see_all(id, out);
    }

    /// Lets the orders that waited for extended hours into the book, the oldest first: these
    /// hours have no auction.
    pub(super) fn begin_extended(&mut self, id: &InstrumentId, out: &mut Vec<ExchangeEvent>) {
        let Some(market) = self.markets.get(id) else {
            return;
        };
        if market.floor.is_halted() || !market.floor.is_extended() {
            return;
        }
        let mut waiting = Vec::new();
        for number in &market.at_open {
            if let Some((live, order)) = self.order(*number)
                && order.order.terms.extended_hours
                && !order.order.time_in_force.is_auction()
            {
                waiting.push((live.arrival, *number));
            }
        }
        waiting.sort_unstable();
        for (_, number) in waiting {
            if let Some(market) = self.markets.get_mut(id) {
                market.at_open.remove(&number);
            }
            self.place_unless_it_takes(number, out);
        }
    }

    /// Returns the orders for an opening that was not held yet.
    fn unopened(&self, id: &InstrumentId) -> Vec<u64> {
        let Some(market) = self.markets.get(id).filter(|m| m.floor.is_opening()) else {
            return Vec::new();
        };
        let is_for_opening = |number: &u64| {
            self.order(*number)
                .is_some_and(|(_, order)| order.order.time_in_force == TimeInForce::AtOpen)
        };
        let waiting = market.at_open.iter().copied();
        waiting.filter(is_for_opening).collect()
    }

    /// Lets what rests in the book and what waits trade at one price, told as one print.
    fn hold_auction(&mut self, id: &InstrumentId, waiting: &[u64], out: &mut Vec<ExchangeEvent>) {
        self.fit_waiting(id, waiting, out);
        let (bidders, orders) = self.bidders(id, waiting);
        let stamp = Stamp::at(self.clock);
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        let reference = market.floor.reference();
        // Of the band in which it trades; where a band begins between its limits the coarser
        // prices of one side are prices of the other too.
        let near = reference.or(orders.iter().find_map(|order| order.limit_price));
        let instrument = &market.definition.instrument;
        let increment = near.map_or(instrument.price_increment, |price| {
            instrument.price_increment_at(price)
        });
        let Some(auction) = uncross(&orders, reference, increment) else {
            return;
        };
        for (at, quantity) in &auction.fills {
            if let Bidder::Resting { book_id, .. } = bidders[*at] {
                market.book.execute(book_id, *quantity, &mut market.changes);
            }
        }
        market.see_top(stamp.event);
        let volume = Quantity(i64::try_from(auction.volume).unwrap_or(i64::MAX));
        let print = market.print(auction.price, volume, None, stamp);
        out.push(ExchangeEvent::Market(print));
        market.floor.see_trade(auction.price, stamp.event);
        let mut traded = BTreeSet::new();
        for (at, quantity) in auction.fills {
            let (number, maker) = match bidders[at] {
                Bidder::Waiting(number) => (number, false),
                Bidder::Resting { owner, .. } => (owner, true),
            };
            if number != AGENT {
                let matched = Match {
                    price: auction.price,
                    quantity,
                    maker,
                };
                traded.extend(self.live.get(&number).map(|live| live.account_id.clone()));
                self.fill(number, matched, stamp, out);
            }
        }
        self.see_all(id, out);
        self.publish(id, stamp, out);
        self.hold_to_positions(id, &traded, stamp, out);
    }

    /// Returns who takes part in an auction, and with what. A post-only order that waited does
    /// not: it would take.
    fn bidders(&self, id: &InstrumentId, waiting: &[u64]) -> (Vec<Bidder>, Vec<AuctionOrder>) {
        let (mut bidders, mut orders) = (Vec::new(), Vec::new());
        let resting = |market: &SimMarket| -> Vec<RestingOrder> {
            let mut resting = market.book.resting(Side::Buy);
            resting.extend(market.book.resting(Side::Sell));
            resting
        };
        for order in self.markets.get(id).map(resting).unwrap_or_default() {
            bidders.push(Bidder::Resting {
                book_id: order.id,
                owner: order.owner,
            });
            orders.push(AuctionOrder {
                side: order.side,
                limit_price: Some(order.price),
                quantity: order.leaves(),
                arrival: order.arrival,
            });
        }
        for number in waiting {
            let Some((live, order)) = self.order(*number) else {
                continue;
            };
            if order.order.post_only {
                continue;
            }
            bidders.push(Bidder::Waiting(*number));
            orders.push(AuctionOrder {
                side: order.order.side,
                limit_price: order.order.limit_price,
                quantity: order.leaves(),
                arrival: live.arrival,
            });
        }
        (bidders, orders)
    }
}
