//! Data as the orders meet it: prices that jump, and prices that move from one to the next.

use super::BarFill;
use super::meeting::{between, meeting};
use super::rules::{Reach, Source};
use super::trades::Offer;
use crate::id::{ClientOrderId, InstrumentId};
use crate::market::{Bar, MarketEvent};
use crate::matching::ledger::VenueOrder;
use crate::matching::one_account::OneAccount;
use crate::matching::order_book::reaches;
use crate::number::Price;
use crate::order::trigger::Seen;
use crate::time::UnixNanos;
use crate::venue::{EndReason, VenueReport};
use std::collections::BTreeMap;

/// An order meets at most this much on the way from one price to the next: it begins to trail,
/// trails, triggers, and fills.
const MEETINGS: u8 = 4;

/// A move of the price within a bar.
#[derive(Clone, Copy, Debug)]
struct Leg {
    to: Price,
    ts: UnixNanos,
}

impl BarFill {
    /// Shows the orders of an instrument an event.
    pub(super) fn show(&mut self, event: &MarketEvent, out: &mut Vec<VenueReport>) {
        let id = event.instrument_id();
        let (Some(reach), Some(listing)) = (Reach::of(event), self.listings.get_mut(id)) else {
            return;
        };
        if listing.source.is_some_and(|source| source > reach.source) {
            return;
        }
        listing.source = Some(reach.source);
        let mut left = None;
        let trades = listing.floor.is_trading();
        match event {
            MarketEvent::Bar(bar) if listing.is_idle() => {
                // Nobody to lead through it: only its close stays behind.
                if trades {
                    left = listing.pass(bar, self.options.volume);
                }
                listing.close_bar(bar, left);
                if trades {
                    self.expire(bar.ts_init, out);
                }
            }
            MarketEvent::Bar(bar) => {
                if trades {
                    left = self.show_bar(bar, &reach, out);
                }
                if let Some(listing) = self.listings.get_mut(id) {
                    listing.close_bar(bar, left);
                }
            }
            _ => {
                listing.floor.observe(event);
                (listing.last, listing.left) = (Some(reach), None);
                if trades {
                    self.open_session(id, &reach, &mut left, out);
                    self.jump_all(id, &reach, event.ts_init(), &mut left, out);
                }
            }
        }
    }

    /// Leads the orders through a bar. Returns what is left of the volume at its close.
    fn show_bar(&mut self, bar: &Bar, reach: &Reach, out: &mut Vec<VenueReport>) -> Option<i64> {
        let id = &bar.instrument_id;
        let listing = self.listings.get_mut(id)?;
        let prices = self.options.path.prices(bar);
        let shares = self.options.volume.shares(bar, &listing.instrument);
        let mut left = shares[0];
        listing.see_price(bar.open, bar.ts_open);
        self.open_session(id, reach, &mut left, out);
        self.jump_all(id, reach, bar.ts_open, &mut left, out);
        // Of a bar that goes on behind an order's end only the open is surely before it.
        self.expire(bar.ts_init, out);
        let mut at = bar.open;
        for (to, share) in prices.into_iter().zip(shares).skip(1) {
            left = share;
            let leg = Leg {
                to,
                ts: bar.ts_open,
            };
            self.walk(id, at, leg, &mut left, out);
            at = to;
        }
        // Who came while the bar was under way meets its close.
        let close = Reach::at(bar.close, Source::Bars, bar.ts_init);
        let late = |order: &VenueOrder| order.since > bar.ts_open && order.since <= bar.ts_init;
        for number in self.numbers(id, late) {
            self.jump(number, id, &close, &mut left, out);
        }
        left
    }

    /// Returns the working orders of an instrument for which `wanted` holds, oldest first.
    fn numbers(&self, id: &InstrumentId, wanted: impl Fn(&VenueOrder) -> bool) -> Vec<u64> {
        let Some(listing) = self.listings.get(id) else {
            return Vec::new();
        };
        let is_wanted = |id: &ClientOrderId| {
            let order = self.own.ledger.open(id);
            let trades =
                |order: &VenueOrder| listing.floor.trades(order.order.terms.extended_hours);
            order.is_some_and(|order| trades(order) && wanted(order))
        };
        let working = listing.working.iter();
        working
            .filter(|(_, working)| is_wanted(&working.id))
            .map(|(number, _)| *number)
            .collect()
    }

    /// Lets the price jump to what `reach` offers. Orders younger than `ts` do not see it.
    fn jump_all(
        &mut self,
        id: &InstrumentId,
        reach: &Reach,
        ts: UnixNanos,
        left: &mut Option<i64>,
        out: &mut Vec<VenueReport>,
    ) {
        for number in self.numbers(id, |order| order.since <= ts) {
            self.jump(number, id, reach, left, out);
        }
    }

    /// Shows one order a price that was jumped to.
    pub(super) fn jump(
        &mut self,
        number: u64,
        id: &InstrumentId,
        reach: &Reach,
        left: &mut Option<i64>,
        out: &mut Vec<VenueReport>,
    ) {
        let Some(listing) = self.listings.get_mut(id) else {
            return;
        };
        let Some(working) = listing.working.get_mut(&number) else {
            return;
        };
        let order_id = working.id.clone();
        let Some(order) = self.own.ledger.open_mut(&order_id) else {
            return;
        };
        let mut takes = std::mem::replace(&mut working.fresh, false) && !order.order.post_only;
        if order.watch.is_some() {
            let seen = order.see(&listing.floor.view, &listing.instrument);
            let start = reach.start(order.order.side);
            if !self.seen(&order_id, seen, start, reach.ts, out) {
                return;
            }
            takes = true;
        }
        let Some(order) = self.own.ledger.open(&order_id) else {
            return;
        };
        let (side, limit) = (order.order.side, order.order.limit_price);
        let Some(start) = reach
            .start(side)
            .filter(|price| reaches(side, limit, *price))
        else {
            return self.end_immediate(&order_id, reach.ts, out);
        };
        // A resting order that a quote runs over trades at its own price; a bar that opens beyond
        // the limit shows that its price was never available.
        let improves = takes || reach.source == Source::Bars;
        let offer = Offer {
            price: limit.filter(|_| !improves).unwrap_or(start),
            maker: !takes && limit.is_some(),
            ts: reach.ts,
        };
        self.trade(&order_id, offer, left, out);
    }

    /// Leads the price from `at` along a leg, and lets each order happen where it is met: the
    /// nearest first, of several at one price the oldest.
    fn walk(
        &mut self,
        id: &InstrumentId,
        mut at: Price,
        leg: Leg,
        left: &mut Option<i64>,
        out: &mut Vec<VenueReport>,
    ) {
        let begin = leg.ts;
        let mut met: BTreeMap<u64, u8> = BTreeMap::new();
        loop {
            let Some(listing) = self.listings.get(id) else {
                return;
            };
            let mut nearest: Option<(i128, u64, ClientOrderId, Price)> = None;
            for (number, working) in &listing.working {
                let Some(order) = self.own.ledger.open(&working.id) else {
                    continue;
                };
                let often = met.get(number).copied().unwrap_or(0);
                let trades = listing.floor.trades(order.order.terms.extended_hours);
                if order.since > begin || often >= MEETINGS || !trades {
                    continue;
                }
                let none_left = *left == Some(0);
                let price = meeting(order, &listing.instrument, at, leg.to, none_left);
                let Some(price) = price else { continue };
                let distance = (i128::from(price.0) - i128::from(at.0)).abs();
                if nearest.as_ref().is_none_or(|(best, ..)| distance < *best) {
                    nearest = Some((distance, *number, working.id.clone(), price));
                }
            }
            let Some((_, number, order_id, price)) = nearest else {
                return;
            };
            *met.entry(number).or_insert(0) += 1;
            at = between(price, at, leg.to);
            self.meet(&order_id, price, leg.ts, left, out);
        }
    }

    /// Lets the price reach an order on its way.
    fn meet(
        &mut self,
        id: &ClientOrderId,
        price: Price,
        ts: UnixNanos,
        left: &mut Option<i64>,
        out: &mut Vec<VenueReport>,
    ) {
        let Some(order) = self.own.ledger.open_mut(id) else {
            return;
        };
        let Some(listing) = self.listings.get(&order.order.instrument_id) else {
            return;
        };
        let mut maker = order.order.limit_price.is_some();
        if order.watch.is_some() {
            let seen = order.see_price(price, &listing.instrument);
            if !self.seen(id, seen, Some(price), ts, out) {
                return;
            }
            maker = false;
            let Some(order) = self.own.ledger.open(id) else {
                return;
            };
            if !reaches(order.order.side, order.order.limit_price, price) {
                return self.end_immediate(id, ts, out);
            }
        }
        self.trade(id, Offer { price, maker, ts }, left, out);
    }

    /// Takes what a conditional order saw. Returns true when it works from now on.
    fn seen(
        &mut self,
        id: &ClientOrderId,
        seen: Seen,
        price: Option<Price>,
        ts: UnixNanos,
        out: &mut Vec<VenueReport>,
    ) -> bool {
        match seen {
            Seen::Nothing => false,
            Seen::Trailed { .. } => {
                out.extend(self.own.ledger.restate(id, ts));
                false
            }
            Seen::Triggered => self.trigger(id, price, ts, out),
        }
    }

    /// Ends an order that does not rest and found nothing.
    fn end_immediate(&mut self, id: &ClientOrderId, ts: UnixNanos, out: &mut Vec<VenueReport>) {
        let immediate = self
            .own
            .ledger
            .open(id)
            .is_some_and(|order| order.order.time_in_force.is_immediate());
        if immediate {
            self.end(ts, id, EndReason::NoLiquidity, out);
        }
    }
}
