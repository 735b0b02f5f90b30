//! What these rules say of an account's orders that other models say otherwise.

use super::BarFill;
use crate::id::{ClientOrderId, InstrumentId};
use crate::matching::floor::Floor;
use crate::matching::ledger::{Change, TakenBack};
use crate::matching::one_account::{OneAccount, OwnOrders};
use crate::matching::order_book::reaches;
use crate::matching::rules;
use crate::order::OrderType;
use crate::time::UnixNanos;
use crate::venue::{EndReason, NewOrder, SessionEdge, VenueReport};
use std::collections::BTreeMap;

impl OneAccount for BarFill {
    fn own(&self) -> &OwnOrders {
        &self.own
    }

    fn own_mut(&mut self) -> &mut OwnOrders {
        &mut self.own
    }

    fn floor_mut(&mut self, id: &InstrumentId) -> Option<&mut Floor> {
        Some(&mut self.listings.get_mut(id)?.floor)
    }

    fn withdraw(&mut self, instrument_id: &InstrumentId, number: u64, _id: &ClientOrderId) {
        if let Some(listing) = self.listings.get_mut(instrument_id) {
            listing.forget(number);
        }
    }

    fn place(&mut self, now: UnixNanos, order: &NewOrder, out: &mut Vec<VenueReport>) {
        self.new_order(now, order, out);
    }

    fn check_amend(&self, id: &ClientOrderId, change: &Change) -> Result<(), String> {
        let order = self.own.working(id)?;
        let Some(listing) = self.listings.get(&order.order.instrument_id) else {
            return Err(rules::Refused::unknown_instrument().text);
        };
        if listing.floor.is_halted() {
            return Err("trading is halted".to_owned());
        }
        if change.limit_price.is_none() && order.order.order_type == OrderType::Limit {
            return Err("limit_price does not fit the order type".to_owned());
        }
        rules::check_amend(&listing.instrument, order, change)?;
        if order.watch.is_some() {
            return Ok(());
        }
        if let Some(price) = change.limit_price {
            let collar = listing.floor.check_collar(&listing.instrument, price);
            collar.map_err(|refused| refused.text)?;
        }
        let side = order.order.side;
        let touch = listing.last.and_then(|last| last.start(side));
        let would_trade = touch.is_some_and(|at| reaches(side, change.limit_price, at));
        if order.order.post_only && would_trade {
            return Err(rules::Refused::would_take().text);
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
        out.extend(self.own.ledger.amend(id, change, now));
        let Some(order) = self.own.ledger.open_mut(id) else {
            return;
        };
        order.since = now;
        let (number, instrument_id) = (order.number, order.order.instrument_id.clone());
        let listing = self.listings.get_mut(&instrument_id);
        let working = listing.and_then(|listing| listing.working.get_mut(&number));
        if let Some(working) = working {
            working.fresh = true;
            // The new price may trade with what stands on the market.
            self.confront(number, &instrument_id, out);
        }
    }

    /// Lets the orders for the close trade at the last price, then ends trading.
    fn close_session(&mut self, now: UnixNanos, id: &InstrumentId, out: &mut Vec<VenueReport>) {
        let Some(listing) = self.listings.get_mut(id) else {
            return;
        };
        let last = listing.last.filter(|_| listing.floor.trades(false));
        let mut left = listing.left;
        // One that came after this close, or knew the bar that made the price, waits for the next.
        let shown = listing.bar_shown;
        let is_late = |id: &ClientOrderId| {
            let since = self.own.ledger.open(id).map(|order| order.since);
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

    /// The next data shows the market.
    fn resume(&mut self, _now: UnixNanos, _id: &InstrumentId, _out: &mut Vec<VenueReport>) {}

    /// A working order's quantity is open again.
    fn busted(&mut self, _now: UnixNanos, taken_back: &TakenBack) {
        if let Some(listing) = self.listings.get_mut(&taken_back.instrument_id) {
            let signed = taken_back.side.sign() * taken_back.matched.quantity.0;
            listing.position = listing.position.saturating_sub(signed);
        }
    }
}
