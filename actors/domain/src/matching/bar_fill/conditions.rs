//! Conditions that are met, times that are over, and what the venue decides about its trading.

use super::BarFill;
use crate::id::{ClientOrderId, ExecId, InstrumentId};
use crate::matching::order_book::reaches;
use crate::matching::rules::Refused;
use crate::number::Price;
use crate::time::UnixNanos;
use crate::venue::{EndReason, RejectReason, SessionEdge, VenueControl, VenueReport};
use std::collections::BTreeMap;

impl BarFill {
    /// Lets an order whose condition was met work, where it may. Returns true when it does.
    pub(super) fn trigger(
        &mut self,
        id: &ClientOrderId,
        price: Option<Price>,
        ts: UnixNanos,
        out: &mut Vec<VenueReport>,
    ) -> bool {
        if let Err(Refused { reason, text }) = self.check_triggered(id, price) {
            self.forget(id);
            out.extend(self.ledger.reject_open(id, reason, text, ts));
            return false;
        }
        out.extend(self.ledger.trigger(id, ts));
        true
    }

    /// Checks what could not be checked before an order works.
    fn check_triggered(&self, id: &ClientOrderId, price: Option<Price>) -> Result<(), Refused> {
        let Some(order) = self.ledger.open(id) else {
            return Ok(());
        };
        let (Some(limit), Some(listing)) = (
            order.order.limit_price,
            self.listings.get(&order.order.instrument_id),
        ) else {
            return Ok(());
        };
        listing.floor.check_collar(&listing.instrument, limit)?;
        let side = order.order.side;
        let would_trade = price.is_some_and(|price| reaches(side, Some(limit), price));
        if order.order.post_only && would_trade {
            let reason = RejectReason::PostOnlyWouldTrade;
            return Err(Refused::new(reason, "post-only order would trade at once"));
        }
        Ok(())
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
        let halted = matches!(control, VenueControl::Halt { .. });
        match control {
            VenueControl::Halt { instrument_id } | VenueControl::Resume { instrument_id } => {
                if let Some(listing) = self.listings.get_mut(instrument_id) {
                    listing.floor.set_halted(halted);
                }
            }
            VenueControl::Session {
                instrument_id,
                edge: SessionEdge::Open,
            } => {
                if let Some(listing) = self.listings.get_mut(instrument_id) {
                    listing.floor.set_session(SessionEdge::Open);
                }
            }
            VenueControl::Session {
                instrument_id,
                edge: SessionEdge::Close,
            } => self.close_session(now, instrument_id, out),
            VenueControl::Bust { exec_id } => self.bust(now, exec_id, out),
        }
    }

    /// Lets the orders for the close trade at the last price, then ends trading.
    fn close_session(&mut self, now: UnixNanos, id: &InstrumentId, out: &mut Vec<VenueReport>) {
        let Some(listing) = self.listings.get_mut(id) else {
            return;
        };
        let last = listing.last.filter(|_| listing.floor.is_trading());
        let mut left = listing.left;
        // One that came after this close, or knew the bar that made the price, waits for the next.
        let shown = listing.bar_shown;
        let is_late = |id: &ClientOrderId| {
            let since = self.ledger.open(id).map(|order| order.since);
            since.is_some_and(|since| since > now || shown.is_some_and(|shown| since >= shown))
        };
        let (late, waiting): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut listing.at_close)
                .into_iter()
                .partition(|(_, id)| is_late(id));
        listing.at_close = late;
        for (_, order_id) in waiting {
            match last {
                Some(mut last) => {
                    last.ts = now;
                    self.trade_in_auction(&order_id, &last, &mut left, out);
                }
                None => self.end(now, &order_id, EndReason::TimeOver, out),
            }
        }
        if let Some(listing) = self.listings.get_mut(id) {
            listing.left = left;
            listing.floor.set_session(SessionEdge::Close);
        }
    }

    /// Takes an execution back. A working order's quantity is open again. An id that was never
    /// given changes nothing.
    fn bust(&mut self, now: UnixNanos, exec_id: &ExecId, out: &mut Vec<VenueReport>) {
        let Some(taken_back) = self.ledger.bust(exec_id, now) else {
            return;
        };
        if let Some(listing) = self.listings.get_mut(&taken_back.instrument_id) {
            let signed = taken_back.side.sign() * taken_back.matched.quantity.0;
            listing.position = listing.position.saturating_sub(signed);
        }
        out.push(taken_back.report);
    }
}
