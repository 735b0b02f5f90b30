//! Conditions that are met.

use super::BarFill;
use crate::id::ClientOrderId;
use crate::matching::one_account::OneAccount;
use crate::matching::order_book::reaches;
use crate::matching::rules::Refused;
use crate::number::Price;
use crate::time::UnixNanos;
use crate::venue::VenueReport;

impl BarFill {
    /// Lets an order whose condition was met work, where it may. Returns true when it does.
    pub(super) fn trigger(
        &mut self,
        id: &ClientOrderId,
        price: Option<Price>,
        ts: UnixNanos,
        out: &mut Vec<VenueReport>,
    ) -> bool {
        if let Err(refused) = self.check_triggered(id, price) {
            self.refuse_open(ts, id, refused, out);
            return false;
        }
        out.extend(self.own.ledger.trigger(id, ts));
        true
    }

    /// Checks what could not be checked before an order works.
    fn check_triggered(&self, id: &ClientOrderId, price: Option<Price>) -> Result<(), Refused> {
        let Some(order) = self.own.ledger.open(id) else {
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
            return Err(Refused::would_take());
        }
        Ok(())
    }
}
