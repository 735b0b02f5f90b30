//! What the venue says that an account has, at one moment.

use super::Ledger;
use crate::setting::Snapshots;
use apex_domain::market::Side;
use apex_domain::number::Decimal;
use apex_domain::reconcile::{
    ExecutionPart, Part, VenueBalance, VenueOpenOrder, VenuePosition, VenueSnapshot,
};
use apex_domain::{Money, Price, Quantity, UnixNanos};

impl Ledger {
    /// Returns the parts that are answered for first: positions and balances.
    pub fn holdings(&self, ts: UnixNanos, given: &Snapshots) -> VenueSnapshot {
        let positions = given.positions.then(|| Part {
            ts,
            rows: self.position_rows(),
        });
        let balances = given.balances.then(|| Part {
            ts,
            rows: self.balance_rows(),
        });
        VenueSnapshot {
            positions,
            positions_by_side: given.by_side,
            balances,
            ..VenueSnapshot::default()
        }
    }

    /// Adds the parts that are answered for last: orders and executions.
    pub fn complete(
        &self,
        snapshot: VenueSnapshot,
        ts: UnixNanos,
        since: UnixNanos,
        given: &Snapshots,
        is_whole: bool,
    ) -> VenueSnapshot {
        let in_time = self.executions().filter(|row| row.ts_event >= since);
        let in_time = in_time.filter(|row| is_whole || !self.hidden.contains(&row.exec_id));
        let executions = given.executions.then(|| ExecutionPart {
            since,
            ts,
            rows: in_time.cloned().collect(),
        });
        VenueSnapshot {
            open_orders: Some(Part {
                ts,
                rows: self.order_rows(),
            }),
            executions,
            ..snapshot
        }
    }

    fn order_rows(&self) -> Vec<VenueOpenOrder> {
        let own = self.orders.iter().map(|(id, order)| {
            let client_order_id = Some(id.clone());
            (client_order_id, self.venue_order_id(id), order)
        });
        let foreign = self.foreign_orders.iter().map(|(number, order)| {
            // Some venues name such an order themselves.
            let name = order.new.client_order_id.clone();
            let id = self.venue_order_id(&name);
            ((number % 2 == 0).then_some(name), id, order)
        });
        let working = own
            .chain(foreign)
            .filter(|(_, _, order)| order.is_working());
        let rows = working.map(|(client_order_id, venue_order_id, order)| VenueOpenOrder {
            client_order_id,
            venue_order_id,
            instrument_id: order.new.instrument_id.clone(),
            side: order.new.side,
            quantity: order.quantity,
            limit_price: order.limit_price,
            stop_price: order.new.terms.stop_price,
            filled_quantity: Quantity(order.filled()),
        });
        rows.collect()
    }

    /// Long and short apart, where orders named a side.
    fn position_rows(&self) -> Vec<VenuePosition> {
        let held = self
            .positions()
            .into_iter()
            .filter(|(_, quantity)| *quantity != 0);
        held.map(|((instrument_id, position_side), quantity)| VenuePosition {
            instrument_id,
            position_side,
            side: if quantity < 0 { Side::Sell } else { Side::Buy },
            quantity: Quantity(quantity.abs()),
            average_price: Some(Price(10_000)),
        })
        .collect()
    }

    fn balance_rows(&self) -> Vec<VenueBalance> {
        let sums = self.balances().into_iter();
        let held = sums.filter(|(_, amount)| *amount != Decimal::ZERO);
        held.map(|(currency, amount)| VenueBalance {
            currency,
            amount: Money(amount),
        })
        .collect()
    }
}
