//! Orders that may only reduce a position, at the exchange.
//!
//! Before such an order goes into its book, and after every trade of its account, what is open of
//! it is brought down to what is left to reduce, the oldest order served first. One that trades as
//! it comes, such as a stop that was triggered, is served before all that rest: they are brought
//! down behind it, so that the exit whose price has come is not kept out by the one whose price
//! has not. So it opens no position, with one exception: an incoming order of somebody else that sweeps through another
//! order of the account and this one behind it meets both as they stood before.

use super::market::Stamp;
use super::orders::{LiveOrder, report};
use super::{ExchangeEvent, SimExchange};
use crate::id::{AccountId, InstrumentId};
use crate::matching::ledger::VenueOrder;
use crate::number::Quantity;
use crate::venue::EndReason;
use std::collections::BTreeSet;

impl SimExchange {
    /// Returns what an order may still trade: all that is open of it, or what its position and
    /// the older orders of its kind leave.
    fn reducible(&self, number: u64) -> Quantity {
        let Some((_, order)) = self.order(number) else {
            return Quantity::ZERO;
        };
        if order.order.reduce_only {
            order.leaves().min(self.coverable(number))
        } else {
            order.leaves()
        }
    }

    /// Returns what of the account's position an order goes against.
    fn against(&self, live: &LiveOrder, order: &VenueOrder) -> i64 {
        let (side, position_side) = (order.order.side, order.order.terms.position_side);
        let ledger = self.ledgers.get(&live.account_id);
        let position = ledger.map_or(0, |it| it.position(&live.instrument_id, position_side));
        side.sign().saturating_neg().saturating_mul(position).max(0)
    }

    /// As [`SimExchange::reducible`], of an order that trades before all that rest.
    fn reducible_first(&self, number: u64) -> Quantity {
        let Some((live, order)) = self.order(number) else {
            return Quantity::ZERO;
        };
        if order.order.reduce_only {
            order.leaves().min(Quantity(self.against(live, order)))
        } else {
            order.leaves()
        }
    }

    /// Returns what of its position the older orders of its kind leave to an order.
    pub(super) fn coverable(&self, number: u64) -> Quantity {
        let Some((live, order)) = self.order(number) else {
            return Quantity::ZERO;
        };
        let (side, position_side) = (order.order.side, order.order.terms.position_side);
        let mut left = self.against(live, order);
        let market = self.markets.get(&live.instrument_id);
        let older = market.into_iter().flat_map(|m| m.reducing.range(..number));
        for (other, theirs) in older.filter_map(|older| self.order(*older)) {
            let same = other.account_id == live.account_id
                && theirs.order.side == side
                && theirs.order.terms.position_side == position_side;
            if same {
                left = left.saturating_sub(theirs.leaves().0).max(0);
            }
        }
        Quantity(left)
    }

    /// Brings an order that is not in its book down to what it may trade. Returns false when that
    /// is nothing, and the order has ended.
    pub(super) fn fit(&mut self, number: u64, out: &mut Vec<ExchangeEvent>) -> bool {
        let allowed = self.reducible(number);
        self.bring_down(number, allowed, out)
    }

    /// As [`SimExchange::fit`], of an order that trades as it comes.
    pub(super) fn fit_first(&mut self, number: u64, out: &mut Vec<ExchangeEvent>) -> bool {
        let allowed = self.reducible_first(number);
        self.bring_down(number, allowed, out)
    }

    fn bring_down(&mut self, number: u64, allowed: Quantity, out: &mut Vec<ExchangeEvent>) -> bool {
        let Some((live, order)) = self.order(number) else {
            return false;
        };
        if allowed == order.leaves() {
            return true;
        }
        if allowed.is_zero() {
            self.end(number, EndReason::Other, out);
            return false;
        }
        let quantity = order.filled.saturating_add(allowed);
        let (account_id, id) = (live.account_id.clone(), live.client_order_id.clone());
        let clock = self.clock;
        let ledger = self.ledger(&account_id);
        if let Some(order) = ledger.open_mut(&id) {
            order.order.quantity = quantity;
        }
        let amended = ledger.restate(&id, clock);
        report(out, &account_id, amended);
        true
    }

    /// Brings the orders that wait for an auction down to what they may trade there.
    pub(super) fn fit_waiting(
        &mut self,
        instrument_id: &InstrumentId,
        waiting: &[u64],
        out: &mut Vec<ExchangeEvent>,
    ) {
        for number in waiting {
            let reduces = |(_, order): (_, &VenueOrder)| order.order.reduce_only;
            if !self.order(*number).is_some_and(reduces) || !self.fit(*number, out) {
                continue;
            }
            // Those behind it count it from here on.
            if let Some(market) = self.markets.get_mut(instrument_id) {
                market.reducing.insert(*number);
            }
        }
    }

    /// Holds the resting orders of these accounts to their positions after trades.
    pub(super) fn hold_to_positions(
        &mut self,
        instrument_id: &InstrumentId,
        traded: &BTreeSet<AccountId>,
        stamp: Stamp,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let market = self.markets.get(instrument_id);
        let Some(market) = market.filter(|_| !traded.is_empty()) else {
            return;
        };
        let resting: Vec<u64> = market.reducing.iter().copied().collect();
        for number in resting {
            let allowed = self.reducible(number);
            let Some((live, order)) = self.order(number) else {
                continue;
            };
            if !traded.contains(&live.account_id) || allowed == order.leaves() {
                continue;
            }
            if allowed.is_zero() {
                self.withdraw(number, EndReason::Other, out);
                continue;
            }
            let (book_id, quantity) = (live.book_id, order.filled.saturating_add(allowed));
            if let (Some(book_id), Some(market)) = (book_id, self.markets.get_mut(instrument_id)) {
                // A smaller quantity keeps its place and trades with nobody.
                let changes = &mut market.changes;
                let _amended = market.book.amend(book_id, quantity, None, changes);
            }
            self.fit(number, out);
            self.publish(instrument_id, stamp, out);
        }
    }
}
