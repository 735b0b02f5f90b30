//! The first and the last price of a session.

use super::BarFill;
use super::rules::Reach;
use super::trades::Offer;
use crate::id::{ClientOrderId, InstrumentId};
use crate::matching::one_account::OneAccount;
use crate::matching::order_book::reaches;
use crate::venue::{EndReason, VenueReport};

impl BarFill {
    /// Lets the orders that waited for the first price of a session trade at it.
    pub(super) fn open_session(
        &mut self,
        id: &InstrumentId,
        reach: &Reach,
        left: &mut Option<i64>,
        out: &mut Vec<VenueReport>,
    ) {
        let Some(listing) = self.listings.get_mut(id) else {
            return;
        };
        if !listing.floor.take_opening() {
            return;
        }
        let waiting = listing.at_open.clone();
        for (number, order_id) in waiting {
            let Some(order) = self.own.ledger.open(&order_id) else {
                continue;
            };
            // One that came after the opening waits for the next.
            if order.since <= reach.ts {
                self.trade_in_auction(&order_id, reach, left, out);
                if let Some(listing) = self.listings.get_mut(id) {
                    listing.at_open.remove(&number);
                }
            }
        }
    }

    /// Lets an order trade at the one price of an auction; the rest of it ends.
    pub(super) fn trade_in_auction(
        &mut self,
        id: &ClientOrderId,
        reach: &Reach,
        left: &mut Option<i64>,
        out: &mut Vec<VenueReport>,
    ) {
        let Some(order) = self.own.ledger.open(id) else {
            return;
        };
        let (side, limit) = (order.order.side, order.order.limit_price);
        if let Some(price) = reach
            .start(side)
            .filter(|price| reaches(side, limit, *price))
        {
            let offer = Offer {
                price,
                maker: false,
                ts: reach.ts,
            };
            self.trade(id, offer, left, out);
        }
        self.end(reach.ts, id, EndReason::TimeOver, out);
    }
}
