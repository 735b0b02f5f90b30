//! What a venue that ended with its process gets back from the account's journal.

use apex_domain::account::Account;
use apex_domain::matching::{ExchangeEvent, RestoredOrder, RestoredPosition, SimExchange};
use apex_domain::order::{OrderStatus, PositionSide};
use apex_domain::venue::{Execution, VenueStatus};
use apex_domain::{AccountId, InstrumentId, OrderId, Quantity, UnixNanos, VenueOrderId};
use std::collections::{BTreeMap, BTreeSet};

/// Gives an exchange that ended with its process what its accounts had there.
pub fn restore_accounts(
    exchange: &mut SimExchange,
    now: UnixNanos,
    accounts: &[&Account],
    out: &mut Vec<ExchangeEvent>,
) {
    for account in accounts {
        if let Some(account_id) = account.account_id() {
            let held = positions(account, &working_orders(account));
            exchange.restore_positions(account_id, &held);
        }
    }
    restore_funding(exchange, accounts);
    // All at once: an order of one account may stand before and behind those of another.
    let orders = all_working_orders(accounts.iter().copied());
    exchange.restore(now, &orders, out);
}

/// Tells an exchange up to where those who hold an instrument have their funding; one who is flat is
/// owed none, however long ago it traded. Where one holder lacks what another has, as after a kill,
/// it is paid to both again, under the same id, and counts once.
fn restore_funding(exchange: &mut SimExchange, accounts: &[&Account]) {
    let instruments: BTreeSet<&InstrumentId> = accounts
        .iter()
        .flat_map(|account| account.instruments().keys())
        .collect();
    for instrument_id in instruments {
        let holds = |account: &&&Account| {
            let mut positions = account.positions();
            positions.any(|it| it.instrument_id == *instrument_id && !it.is_flat())
        };
        let until = |account: &&Account| funding_paid_until(account, instrument_id);
        let owed = accounts.iter().filter(holds).filter_map(until).min();
        if let Some(until) = owed.or_else(|| accounts.iter().filter_map(until).max()) {
            exchange.funding_is_paid(instrument_id, until);
        }
    }
}

/// Returns the orders of all accounts, in the order in which their venue took them: where there are
/// several, each came there between those of others.
fn all_working_orders<'a>(
    accounts: impl IntoIterator<Item = &'a Account>,
) -> Vec<(AccountId, RestoredOrder)> {
    let mut all = Vec::new();
    let mut count = 0;
    for account in accounts {
        let Some(account_id) = account.account_id() else {
            continue;
        };
        count += 1;
        let orders = working_orders(account).into_iter();
        all.extend(orders.map(|order| (account_id.clone(), order)));
    }
    if count > 1 {
        all.sort_by_key(|(_, order)| number(order.venue_order_id.as_str()));
    }
    all
}

/// Returns a number above those of all ids that the venue inside gave and that any of these accounts
/// has. Each of them came with a numbered report, but a kill may leave the reports of one account
/// behind those of another.
pub fn next_number<'a>(accounts: impl IntoIterator<Item = &'a Account>) -> u64 {
    let (mut reports, mut highest) = (0_u64, 0);
    for account in accounts {
        reports = reports.saturating_add(account.venue_sequence());
        let orders = account
            .orders()
            .filter_map(|order| order.venue_order_id.as_ref());
        let executions = account.executions().iter();
        let ids = orders
            .map(VenueOrderId::as_str)
            .chain(executions.map(|record| record.execution.exec_id.as_str()));
        highest = ids.map(number).fold(highest, u64::max);
    }
    reports.max(highest).saturating_add(1)
}

/// Returns the number at the end of an id; 0 for one that has none.
fn number(id: &str) -> u64 {
    let digits = id.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    id[digits..].parse().unwrap_or(0)
}

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
