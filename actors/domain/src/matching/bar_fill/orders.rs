//! Orders as they come: checked and placed.

use super::{BarFill, FillModel, Working};
use crate::id::InstrumentId;
use crate::matching::order_book::reaches;
use crate::matching::rules::{self, Refused};
use crate::order::TimeInForce;
use crate::time::UnixNanos;
use crate::venue::{NewOrder, VenueReport};

impl BarFill {
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
        let Some(listing) = self.listings.get_mut(&order.instrument_id) else {
            return;
        };
        self.own.note_end(id, &listing.instrument);
        let Some(record) = self.own.ledger.open_mut(id) else {
            return;
        };
        record.begin_to_watch(&listing.floor.view);
        let number = record.number;
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
    pub(super) fn confront(
        &mut self,
        number: u64,
        instrument_id: &InstrumentId,
        out: &mut Vec<VenueReport>,
    ) {
        let Some(listing) = self.listings.get_mut(instrument_id) else {
            return;
        };
        let Some(last) = listing.last else {
            return;
        };
        let extended_hours = listing.working.get(&number).and_then(|working| {
            let order = self.own.ledger.open(&working.id)?;
            Some(order.order.terms.extended_hours)
        });
        let trades = extended_hours.is_some_and(|asks| listing.floor.trades(asks));
        if self.options.fill == FillModel::NextOpen || !trades {
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
            return Err(Refused::unknown_instrument());
        };
        self.own.check_unused(order)?;
        rules::check_new(&listing.instrument, order, now)?;
        // Data comes again after a session, so a market order can wait for it.
        listing.floor.check(order, true)?;
        if order.order_type.is_conditional() {
            return Ok(());
        }
        if let Some(price) = order.limit_price {
            listing.floor.check_collar(&listing.instrument, price)?;
        }
        let touch = listing.last.and_then(|last| last.start(order.side));
        let would_trade = touch.is_some_and(|at| reaches(order.side, order.limit_price, at));
        let waits = order.time_in_force.is_auction()
            || self.options.fill == FillModel::NextOpen
            || listing.floor.is_closed_to(order.terms.extended_hours);
        if waits && !order.post_only {
            return Ok(());
        }
        rules::check_begin(order, would_trade)
    }
}
