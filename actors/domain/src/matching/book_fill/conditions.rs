//! Orders that wait, and what the venue decides about its trading.

use super::BookFill;
use super::orders::check_book;
use crate::id::{ClientOrderId, ExecId, InstrumentId};
use crate::matching::rules::Refused;
use crate::order::trigger::Seen;
use crate::time::UnixNanos;
use crate::venue::{EndReason, NewOrder, SessionEdge, VenueControl, VenueReport};

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
        let Some(order) = self.ledger.open_mut(id) else {
            return;
        };
        let Some(market) = self.markets.get_mut(&order.order.instrument_id) else {
            return;
        };
        // Without trading there is no price, and the last one is history.
        if !market.floor.is_trading() {
            return;
        }
        match order.see(&market.floor.view, &market.instrument) {
            Seen::Nothing => {}
            Seen::Trailed { .. } => out.extend(self.ledger.restate(id, now)),
            Seen::Triggered => {
                market.watching.remove(&(order.number, id.clone()));
                self.triggered.push_back(id.clone());
            }
        }
    }

    /// Lets the orders whose condition was met work, in the order in which that happened.
    pub(super) fn work_off(&mut self, now: UnixNanos, out: &mut Vec<VenueReport>) {
        while let Some(id) = self.triggered.pop_front() {
            let Some(order) = self.ledger.open(&id) else {
                continue;
            };
            if let Err(Refused { reason, text }) = self.check_triggered(&order.order) {
                self.forget(&id);
                out.extend(self.ledger.reject_open(&id, reason, text, now));
                continue;
            }
            out.extend(self.ledger.trigger(&id, now));
            self.trade_and_rest(now, &id, out);
        }
    }

    /// Checks what could not be checked before an order works.
    fn check_triggered(&self, order: &NewOrder) -> Result<(), Refused> {
        match (self.markets.get(&order.instrument_id), order.limit_price) {
            (Some(market), Some(price)) => {
                market.floor.check_collar(&market.instrument, price)?;
                check_book(market, order)
            }
            _ => Ok(()),
        }
    }

    /// Ends the orders whose time lies before `now`. What happens at the very end of their time
    /// still counts.
    pub(super) fn expire(&mut self, now: UnixNanos, out: &mut Vec<VenueReport>) {
        while self.ends.first().is_some_and(|(end, _, _)| *end < now) {
            if let Some((end, _, id)) = self.ends.pop_first() {
                self.end(end, &id, EndReason::TimeOver, out);
            }
        }
    }

    pub(super) fn control(
        &mut self,
        now: UnixNanos,
        control: &VenueControl,
        out: &mut Vec<VenueReport>,
    ) {
        match control {
            VenueControl::Halt { instrument_id } => {
                if let Some(market) = self.markets.get_mut(instrument_id) {
                    market.floor.set_halted(true);
                }
            }
            VenueControl::Resume { instrument_id } => {
                if let Some(market) = self.markets.get_mut(instrument_id) {
                    market.floor.set_halted(false);
                }
                self.see_all(now, instrument_id, out);
            }
            VenueControl::Session {
                instrument_id,
                edge: SessionEdge::Open,
            } => {
                if let Some(market) = self.markets.get_mut(instrument_id) {
                    market.floor.set_session(SessionEdge::Open);
                }
            }
            VenueControl::Session {
                instrument_id,
                edge: SessionEdge::Close,
            } => self.close_session(now, instrument_id, out),
            VenueControl::Bust { exec_id } => self.bust(now, exec_id, out),
        }
    }

    /// Lets the orders for the close trade with what stands, then ends trading. Orders for an
    /// opening that had no price end, too.
    fn close_session(&mut self, now: UnixNanos, id: &InstrumentId, out: &mut Vec<VenueReport>) {
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        let trades = market.floor.is_trading();
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

    /// Takes an execution back. A working order's quantity is open again, at the back of its
    /// queue. An id that was never given changes nothing.
    fn bust(&mut self, now: UnixNanos, exec_id: &ExecId, out: &mut Vec<VenueReport>) {
        let Some(taken_back) = self.ledger.bust(exec_id, now) else {
            return;
        };
        let id = taken_back.report.client_order_id().clone();
        out.push(taken_back.report);
        let (Some(order), Some(market)) = (
            self.ledger.open(&id),
            self.markets.get_mut(&taken_back.instrument_id),
        ) else {
            return;
        };
        if order.watch.is_none() && market.resting(order.order.side).remove(&id).is_some() {
            self.rest(now, &id);
        }
    }
}
