//! What a venue that ended with its process gets back from the account's journal.

use apex_domain::account::Account;
use apex_domain::matching::{ExchangeEvent, RestoredOrder, SimExchange};
use apex_domain::order::{OrderStatus, PositionSide};
use apex_domain::venue::{Execution, VenueStatus};
use apex_domain::{InstrumentId, OrderId, Quantity, UnixNanos};
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

/// Gives an exchange that ended with its process what its account had there: positions, up to where
/// funding was paid, and the orders that work.
pub fn restore_account(
    exchange: &mut SimExchange,
    now: UnixNanos,
    account: &Account,
    out: &mut Vec<ExchangeEvent>,
) {
    let Some(account_id) = account.account_id() else {
        return;
    };
    let orders = working_orders(account);
    for ((instrument_id, side), quantity) in positions_without(account, &orders) {
        exchange.restore_position(account_id, &instrument_id, side, quantity);
    }
    for instrument_id in account.instruments().keys() {
        if let Some(until) = funding_paid_until(account, instrument_id) {
            exchange.funding_is_paid(instrument_id, until);
        }
    }
    let own = |order| (account_id.clone(), order);
    let orders: Vec<_> = orders.into_iter().map(own).collect();
    exchange.restore(now, &orders, out);
}

/// Returns the account's signed positions of contracts without what these orders brought, which
/// comes back with them.
fn positions_without(
    account: &Account,
    orders: &[RestoredOrder],
) -> BTreeMap<(InstrumentId, PositionSide), i64> {
    let instruments = account.instruments();
    let is_contract = |id: &InstrumentId| instruments.get(id).is_some_and(|it| it.settles_profit());
    let mut sums = BTreeMap::new();
    for position in account.positions() {
        if is_contract(&position.instrument_id) {
            let key = (position.instrument_id.clone(), position.side);
            let sum: &mut i64 = sums.entry(key).or_default();
            *sum = sum.saturating_add(position.quantity);
        }
    }
    for restored in orders {
        let order = &restored.order;
        if is_contract(&order.instrument_id) {
            let key = (order.instrument_id.clone(), order.terms.position_side);
            let moved = order.side.sign().saturating_mul(restored.filled_quantity.0);
            let sum = sums.entry(key).or_default();
            *sum = sum.saturating_sub(moved);
        }
    }
    sums
}

/// Returns up to where the account has all funding of an instrument: reports come in order, so it
/// had that of every time before the last one it took, and before its last execution. `None`
/// where it never traded the instrument.
fn funding_paid_until(account: &Account, instrument_id: &InstrumentId) -> Option<UnixNanos> {
    let mut newest = account.executions().iter().rev();
    let traded = newest.find(|record| record.execution.instrument_id == *instrument_id);
    let traded = traded.map(|record| record.execution.ts_event);
    traded.max(account.portfolio().last_funding(instrument_id))
}

#[cfg(test)]
mod tests;
