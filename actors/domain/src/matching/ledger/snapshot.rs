//! What the venue has of an account, as a reconciliation asks for it.

use super::{Ledger, execution};
use crate::Currency;
use crate::id::InstrumentId;
use crate::market::Side;
use crate::number::Quantity;
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
    pub(in crate::matching) fn executions_since(
        &self,
        since: UnixNanos,
        currency: impl Fn(&InstrumentId) -> Option<Currency>,
    ) -> Vec<Execution> {
        let mut rows = Vec::new();
        for (id, order) in &self.orders {
            // An order of an unknown instrument was rejected and has no fills.
            let Some(currency) = currency(&order.order.instrument_id) else {
                continue;
            };
            let fills = order.fills.iter().filter(|fill| fill.ts_event >= since);
            rows.extend(fills.map(|fill| execution(id, order, fill, currency.clone())));
        }
        rows.sort_by(|a, b| (a.ts_event, &a.exec_id).cmp(&(b.ts_event, &b.exec_id)));
        rows
    }

    /// Returns what the fills sum up to.
    pub(in crate::matching) fn positions(&self) -> Vec<VenuePosition> {
        let mut sums: BTreeMap<&InstrumentId, i64> = BTreeMap::new();
        for order in self.orders.values() {
            let sum = sums.entry(&order.order.instrument_id).or_default();
            for fill in &order.fills {
                let traded = fill
                    .matched
                    .quantity
                    .0
                    .saturating_mul(order.order.side.sign());
                *sum = sum.saturating_add(traded);
            }
        }
        let open = sums.into_iter().filter(|(_, quantity)| *quantity != 0);
        open.map(|(instrument_id, quantity)| VenuePosition {
            instrument_id: instrument_id.clone(),
            side: if quantity < 0 { Side::Sell } else { Side::Buy },
            quantity: Quantity(quantity.saturating_abs()),
            average_price: None,
        })
        .collect()
    }
}
