//! What a venue that ended with its process gets back from the account's journal.

use apex_domain::account::Account;
use apex_domain::matching::{RestoredOrder, RestoredPosition};
use apex_domain::order::{OrderStatus, PositionSide};
use apex_domain::venue::{Execution, VenueStatus};
use apex_domain::{InstrumentId, OrderId, Quantity};
use std::collections::BTreeMap;

type Executions = BTreeMap<OrderId, Vec<Execution>>;

/// Returns the orders that a simulated venue inside the process had: its account's journal is the
/// truth of them. A conditional order comes back as what it has become, a trailing stop with the
/// stop price to which it had trailed. An order whose answer never came is left out; the account
/// asks for it, hears that it is not there, and sends it again.
pub fn working_orders(account: &Account) -> Vec<RestoredOrder> {
    let mut executions = Executions::new();
    for record in account.executions() {
        if let Some(order_id) = record.order_id.as_ref().filter(|_| !record.busted) {
            executions
                .entry(order_id.clone())
                .or_default()
                .push(record.execution.clone());
        }
    }
    account
        .orders_at_venue()
        .filter_map(|(order, at_venue, watch)| {
            let acknowledged = !matches!(
                order.status,
                OrderStatus::PendingNew | OrderStatus::Submitted
            );
            let venue_order_id = order.venue_order_id.clone().filter(|_| acknowledged)?;
            let mut executions = executions.remove(&order.order_id).unwrap_or_default();
            // Of an iceberg that goes there in parts those of the part.
            executions.retain(|it| it.client_order_id == at_venue.client_order_id);
            let filled = executions.iter().map(|it| it.last_quantity.0);
            let filled_quantity = Quantity(filled.fold(0, i64::saturating_add));
            Some(RestoredOrder {
                watch: watch
                    .filter(|_| at_venue.order_type.is_conditional())
                    .cloned(),
                order: at_venue,
                venue_order_id,
                status: VenueStatus::Working,
                filled_quantity,
                executions,
            })
        })
        .collect()
}

/// Returns what the account holds besides the executions of `orders`, which are put back too: the
/// venue holds an order that only reduces to it.
pub fn positions(account: &Account, orders: &[RestoredOrder]) -> Vec<RestoredPosition> {
    let mut held: BTreeMap<(InstrumentId, PositionSide), i64> = BTreeMap::new();
    let mut add = |id: &InstrumentId, side: PositionSide, quantity: i64| {
        let position = held.entry((id.clone(), side)).or_default();
        *position = position.saturating_add(quantity);
    };
    for position in account.positions() {
        add(&position.instrument_id, position.side, position.quantity);
    }
    for restored in orders {
        let order = &restored.order;
        for execution in &restored.executions {
            let moved = order.side.sign().saturating_mul(execution.last_quantity.0);
            let side = order.terms.position_side;
            add(&order.instrument_id, side, moved.saturating_neg());
        }
    }
    let held = held.into_iter().filter(|(_, quantity)| *quantity != 0);
    held.map(|((instrument_id, side), quantity)| RestoredPosition {
        instrument_id,
        side,
        quantity,
    })
    .collect()
}

#[cfg(test)]
mod tests;
