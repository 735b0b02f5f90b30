//! What a venue that ended with its process gets back from the account's journal.

use apex_domain::OrderId;
use apex_domain::account::Account;
use apex_domain::matching::RestoredOrder;
use apex_domain::order::{Order, OrderStatus, OrderTerms};
use apex_domain::venue::{Execution, NewOrder, VenueStatus};
use std::collections::BTreeMap;

type Executions = BTreeMap<OrderId, Vec<Execution>>;

/// Returns the orders that a simulated venue inside the process had: its account's journal is the
/// truth of them. An order whose answer never came is left out; the account asks for it, hears
/// that it is not there, and sends it again.
pub fn working_orders(account: &Account) -> Vec<RestoredOrder> {
    let mut executions = Executions::new();
    for record in account.executions() {
        if let Some(order_id) = &record.order_id {
            executions
                .entry(order_id.clone())
                .or_default()
                .push(record.execution.clone());
        }
    }
    account
        .working_orders()
        .filter_map(|order| restored(order, &mut executions))
        .collect()
}

fn restored(order: &Order, executions: &mut Executions) -> Option<RestoredOrder> {
    if matches!(
        order.status,
        OrderStatus::PendingNew | OrderStatus::Submitted
    ) {
        return None;
    }
    let request = &order.request;
    Some(RestoredOrder {
        order: NewOrder {
            client_order_id: request.client_order_id.clone(),
            instrument_id: request.instrument_id.clone(),
            side: request.side,
            order_type: request.order_type,
            quantity: order.quantity,
            limit_price: order.limit_price,
            time_in_force: request.time_in_force,
            post_only: request.post_only,
            reduce_only: request.reduce_only,
            terms: OrderTerms::default(),
        },
        venue_order_id: order.venue_order_id.clone()?,
        status: VenueStatus::Working,
        filled_quantity: order.filled_quantity,
        executions: executions.remove(&order.order_id).unwrap_or_default(),
    })
}
