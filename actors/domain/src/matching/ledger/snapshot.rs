//! What the venue has of an account, as a reconciliation asks for it.

use super::{Ledger, execution};
use crate::id::InstrumentId;
use crate::instrument::Instrument;
use crate::market::Side;
use crate::number::Quantity;
use crate::order::PositionSide;
use crate::portfolio::fee_units;
use crate::reconcile::{VenueOpenOrder, VenuePosition};
use crate::time::UnixNanos;
use crate::venue::{Execution, VenueStatus};
use std::collections::BTreeMap;

impl Ledger {
    pub(in crate::matching) fn open_orders(&self) -> Vec<VenueOpenOrder> {
        let orders = self.orders.iter();
        let working = orders.filter(|(_, order)| order.status == VenueStatus::Working);
        working
            .map(|(id, order)| VenueOpenOrder {
                client_order_id: Some(id.clone()),
                venue_order_id: order.venue_order_id.clone(),
                instrument_id: order.order.instrument_id.clone(),
                side: order.order.side,
                quantity: order.order.quantity,
                limit_price: order.order.limit_price,
                // Not told: a stop that trails moves without a report.
                stop_price: None,
                filled_quantity: order.filled,
            })
            .collect()
    }

    /// Returns the executions from `since` on, oldest first.
    pub(in crate::matching) fn executions_since(&self, since: UnixNanos) -> Vec<Execution> {
        let mut rows = Vec::new();
        for (id, order) in &self.orders {
            let fills = order.fills.iter().filter(|fill| fill.ts_event >= since);
            rows.extend(fills.map(|fill| execution(id, order, fill)));
        }
        rows.sort_by(|a, b| (a.ts_event, &a.exec_id).cmp(&(b.ts_event, &b.exec_id)));
        rows
    }

    /// Returns what the fills sum up to, by the side that their orders named, less the fees that
    /// were paid in what they bought.
    pub(in crate::matching) fn positions<'a>(
        &self,
        instrument: impl Fn(&InstrumentId) -> Option<&'a Instrument>,
    ) -> Vec<VenuePosition> {
        let mut sums: BTreeMap<(&InstrumentId, PositionSide), i64> = BTreeMap::new();
        for (id, order) in &self.orders {
            // An order of an unknown instrument was rejected and has no fills.
            let Some(instrument) = instrument(&order.order.instrument_id) else {
                continue;
            };
            let key = (&order.order.instrument_id, order.order.terms.position_side);
            let sum = sums.entry(key).or_default();
            for fill in &order.fills {
                let execution = execution(id, order, fill);
                let traded = execution.last_quantity.0;
                let traded = traded.saturating_mul(execution.side.sign());
                // One that no number holds is not in the account's position either.
                let charged = fee_units(instrument, &execution).unwrap_or(0);
                *sum = sum.saturating_add(traded).saturating_sub(charged);
            }
        }
        let open = sums.into_iter().filter(|(_, quantity)| *quantity != 0);
        open.map(|((instrument_id, position_side), quantity)| VenuePosition {
            instrument_id: instrument_id.clone(),
            position_side,
            side: if quantity < 0 { Side::Sell } else { Side::Buy },
            quantity: Quantity(quantity.saturating_abs()),
            average_price: None,
        })
        .collect()
    }
}
