//! What is told of the parts in which an iceberg goes to a venue that has none.

use super::{Account, OrderIndex, Quantity, QuarantineReason, Step, Terms, VenueReport};
use crate::number::Price;
use crate::order::entry::OrderEntry;

impl Account {
    /// Takes what is reported of a part of an iceberg that had its time: its executions, late as
    /// they are. Whatever else is told of it moves the order no more.
    pub(super) fn past_report(&mut self, step: &mut Step<'_>, report: VenueReport) {
        match report {
            VenueReport::Filled(execution) => self.execution(step, execution),
            VenueReport::Status { executions, .. } => self.book_missing(step, executions),
            VenueReport::Busted {
                client_order_id,
                exec_id,
                instrument_id,
                ts_event,
            } => self.busted(step, &client_order_id, (exec_id, instrument_id), ts_event),
            VenueReport::NotFound { .. } => {}
            told => {
                let Some(id) = told.client_order_id().cloned() else {
                    return;
                };
                if self.orders.find_reported(&id).is_none() {
                    let detail = format!("the order is there by other ids: {told:?}");
                    self.quarantine(step, id, QuarantineReason::UnknownOrder, detail);
                }
            }
        }
    }

    /// Returns what the venue tells of its order as values of ours.
    pub(super) fn terms_told(
        &self,
        index: OrderIndex,
        quantity: Quantity,
        limit_price: Option<Price>,
        stop_price: Option<Price>,
    ) -> Terms {
        let entry = self.orders.get(index);
        let instrument = self.instruments.get(&entry.order.request.instrument_id);
        let total = instrument.map_or(quantity, |instrument| {
            entry.total_of(quantity, limit_price, stop_price, instrument)
        });
        Terms {
            quantity: total,
            limit_price,
            stop_price,
            shown: entry.slice.is_some().then_some(quantity),
        }
    }
}

/// Returns true when the venue has what we think it has of an iceberg's part.
pub(super) fn is_shown(entry: &OrderEntry, shown: Option<Quantity>) -> bool {
    entry
        .slice
        .zip(shown)
        .is_none_or(|(slice, shown)| slice.quantity == shown)
}
