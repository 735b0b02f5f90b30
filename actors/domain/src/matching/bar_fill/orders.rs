//! Orders as they come: checked, amended and canceled.

use super::{BarFill, FillModel, Working};
use crate::id::ClientOrderId;
use crate::market::Side;
use crate::matching::ledger::{Change, VenueOrder};
use crate::matching::order_book::reaches;
use crate::matching::rules::{self, Refused};
use crate::number::Price;
use crate::order::{OrderType, TimeInForce};
use crate::time::UnixNanos;
use crate::venue::{EndReason, NewOrder, RejectReason, VenueReport};

impl BarFill {
    pub(super) fn place(&mut self, now: UnixNanos, order: &NewOrder, out: &mut Vec<VenueReport>) {
        let checked = self.check(order, now);
        let numbering = &mut self.numbering;
        if let Err(Refused { reason, text }) = checked {
            return out.push(self.ledger.reject(numbering, order, reason, text, now));
        }
        let id = &order.client_order_id;
        out.push(self.ledger.accept(numbering, order, now));
        let (Some(record), Some(listing)) = (
            self.ledger.open_mut(id),
            self.listings.get_mut(&order.instrument_id),
        ) else {
            return;
        };
        record.begin_to_watch(&listing.floor.view);
        let number = record.number;
        if let (TimeInForce::Day | TimeInForce::Gtd, Some(end)) =
            (order.time_in_force, order.terms.expire_at)
        {
            self.ends.insert((end, number, id.clone()));
        }
        match order.time_in_force {
            TimeInForce::AtOpen => {
                listing.at_open.insert(number, id.clone());
            }
            TimeInForce::AtClose => {
                listing.at_close.insert(number, id.clone());
            }
            _ => {
                let working = Working {
                    id: id.clone(),
                    fresh: true,
                };
                listing.working.insert(number, working);
                self.confront(number, &order.instrument_id, out);
            }
        }
    }

    /// Shows an order that has just come what stands on the market, unless the next data decides.
    fn confront(
        &mut self,
        number: u64,
        instrument_id: &crate::InstrumentId,
        out: &mut Vec<VenueReport>,
    ) {
        let Some(listing) = self.listings.get_mut(instrument_id) else {
            return;
        };
        let Some(last) = listing.last else {
            return;
        };
        if self.options.fill == FillModel::NextOpen || !listing.floor.is_trading() {
            return;
        }
        let mut left = listing.left;
        self.jump(number, instrument_id, &last, &mut left, out);
        if let Some(listing) = self.listings.get_mut(instrument_id) {
            listing.left = left;
        }
    }

    fn check(&self, order: &NewOrder, now: UnixNanos) -> Result<(), Refused> {
        let Some(listing) = self.listings.get(&order.instrument_id) else {
            let reason = RejectReason::UnknownInstrument;
            return Err(Refused::new(reason, "instrument is not listed here"));
        };
        if self.ledger.knows(&order.client_order_id) {
            let reason = RejectReason::DuplicateClientOrderId;
            return Err(Refused::new(reason, "client_order_id is already used"));
        }
        rules::check_new(&listing.instrument, order, now)?;
        // Data comes again after a session, so a market order can wait for it.
        listing.floor.check(order.time_in_force, true)?;
        let in_auction = matches!(
            order.time_in_force,
            TimeInForce::AtOpen | TimeInForce::AtClose
        );
        if order.order_type.is_conditional() {
            return Ok(());
        }
        if let Some(price) = order.limit_price {
            listing.floor.check_collar(&listing.instrument, price)?;
        }
        let touch = listing.last.and_then(|last| last.start(order.side));
        if would_take(order.side, order.post_only, order.limit_price, touch) {
            let reason = RejectReason::PostOnlyWouldTrade;
            return Err(Refused::new(reason, "post-only order would trade at once"));
        }
        let waits = in_auction
            || order.limit_price.is_some()
            || self.options.fill == FillModel::NextOpen
            || listing.floor.is_closed();
        if touch.is_none() && !waits {
            let reason = RejectReason::NoLiquidity;
            return Err(Refused::new(reason, "no price on the other side"));
        }
        Ok(())
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

    /// Ends a working order, wherever it waits.
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
        if let Some(listing) = self.listings.get_mut(&order.order.instrument_id) {
            listing.forget(order.number);
        }
        if let Some(end) = order.order.terms.expire_at {
            self.ends.remove(&(end, order.number, id.clone()));
        }
    }

    pub(super) fn amend(
        &mut self,
        now: UnixNanos,
        id: &ClientOrderId,
        change: Change,
        out: &mut Vec<VenueReport>,
    ) {
        let (number, instrument_id) = match self.check_amend(id, &change) {
            Ok(order) => (order.number, order.order.instrument_id.clone()),
            Err(text) => {
                return out.push(VenueReport::AmendRejected {
                    client_order_id: id.clone(),
                    text,
                    ts_event: now,
                });
            }
        };
        out.extend(self.ledger.amend(id, change, now));
        if let Some(order) = self.ledger.open_mut(id) {
            order.since = now;
        }
        let listing = self.listings.get_mut(&instrument_id);
        let working = listing.and_then(|listing| listing.working.get_mut(&number));
        if let Some(working) = working {
            working.fresh = true;
            // The new price may trade with what stands on the market.
            self.confront(number, &instrument_id, out);
        }
    }

    fn check_amend(&self, id: &ClientOrderId, change: &Change) -> Result<&VenueOrder, String> {
        let order = self
            .ledger
            .open(id)
            .ok_or_else(|| self.ledger.why_not_open(id))?;
        let Some(listing) = self.listings.get(&order.order.instrument_id) else {
            return Err("instrument is not listed here".to_owned());
        };
        if listing.floor.is_halted() {
            return Err("trading is halted".to_owned());
        }
        if change.limit_price.is_none() && order.order.order_type == OrderType::Limit {
            return Err("limit_price does not fit the order type".to_owned());
        }
        rules::check_amend(&listing.instrument, order, change)?;
        if order.watch.is_some() {
            return Ok(order);
        }
        if let Some(price) = change.limit_price {
            let collar = listing.floor.check_collar(&listing.instrument, price);
            collar.map_err(|refused| refused.text)?;
        }
        let side = order.order.side;
        let touch = listing.last.and_then(|last| last.start(side));
        if would_take(side, order.order.post_only, change.limit_price, touch) {
            return Err("post-only order would trade at once".to_owned());
        }
        Ok(order)
    }
}

/// Returns true when a post-only order meets the market as it stands.
fn would_take(side: Side, post_only: bool, limit: Option<Price>, touch: Option<Price>) -> bool {
    post_only && touch.is_some_and(|price| reaches(side, limit, price))
}
