//! Answers about an account, read from its state.

use apex_bus::market::MarketHub;
use apex_bus::message::{AccountAnswer, AccountSummary, JournalHealth, OrderFilter, Page};
use apex_domain::account::Account;
use apex_domain::event::AccountMode;
use apex_domain::order::Order;
use apex_domain::reconcile::DifferenceKind;
use apex_domain::{Currency, InstrumentId, Price};
use std::collections::BTreeMap;

/// The most that one page may hold; a larger wish is cut to it.
const PAGE_LIMIT: usize = 1_000;

fn limit(page: &Page) -> usize {
    page.limit.clamp(1, PAGE_LIMIT)
}

fn matches(filter: &OrderFilter, order: &Order) -> bool {
    let request = &order.request;
    filter
        .instrument_id
        .as_ref()
        .is_none_or(|id| *id == request.instrument_id)
        && filter
            .strategy_id
            .as_ref()
            .is_none_or(|id| *id == request.strategy_id)
        && !(filter.working_only && order.status.is_terminal())
}

/// Returns a page of orders, newest first.
pub fn orders(account: &Account, filter: &OrderFilter, page: &Page) -> AccountAnswer {
    let limit = limit(page);
    let mut found = account
        .orders_before(page.cursor.unwrap_or(u64::MAX))
        .filter(|(_, order)| matches(filter, order));
    let mut orders = Vec::new();
    let mut last = None;
    for (created, order) in found.by_ref().take(limit) {
        orders.push(order.clone());
        last = Some(created);
    }
    let more = found.next().is_some();
    AccountAnswer::Orders {
        orders,
        next: last.filter(|_| more),
    }
}

/// Returns a page of executions, oldest first.
pub fn executions(account: &Account, page: &Page) -> AccountAnswer {
    let limit = limit(page);
    let all = account.executions_after(page.cursor.unwrap_or(0));
    let executions = all[..limit.min(all.len())].to_vec();
    let last = executions.last().map(|execution| execution.sequence);
    AccountAnswer::Executions {
        next: last.filter(|_| all.len() > limit),
        executions,
    }
}

/// What the positions of the account are valued at, as far as there is a market.
pub fn marks(account: &Account, hub: &MarketHub) -> BTreeMap<InstrumentId, Price> {
    let ids = account
        .positions()
        .map(|position| position.instrument_id.clone());
    ids.filter_map(|id| hub.mark(&id).map(|mark| (id, mark)))
        .collect()
}

/// What the shell knows beside the account.
pub struct Links {
    pub journal: JournalHealth,
    pub venue_connected: bool,
}

/// Every kind, since a counter that appears with its first value hides that value.
fn differences(account: &Account) -> BTreeMap<&'static str, u64> {
    let totals = account.reconciler().totals();
    let kinds = DifferenceKind::ALL.into_iter();
    kinds
        .map(|kind| (kind.as_str(), totals.get(&kind).copied().unwrap_or(0)))
        .collect()
}

/// Returns the account as it stands; `None` before it was opened.
pub fn summary(account: &Account, hub: &MarketHub, links: &Links) -> Option<AccountSummary> {
    let equity = account.equity(&marks(account, hub));
    Some(AccountSummary {
        account_id: account.account_id()?.clone(),
        base_currency: account
            .base_currency()
            .cloned()
            .or_else(|| Currency::new("USD").ok())?,
        mode: account.mode().unwrap_or(AccountMode::Paper),
        trading_state: account.trading_state(),
        limits: account.limits().clone(),
        limits_sequence: account.limits_sequence(),
        cash: account.cash().clone(),
        realized_pnl: account.realized_pnl().clone(),
        fees: account.fees().clone(),
        equity: equity.equity,
        unrealized_pnl: equity.unrealized_pnl,
        partial: equity.partial,
        positions: account.positions().cloned().collect(),
        working_orders: account.working_orders().count(),
        orders: account.orders().len(),
        executions: account.executions().len(),
        sequence: account.sequence(),
        state_hash: account.state_hash(),
        journal: links.journal,
        venue_connected: links.venue_connected && account.is_reconciled(),
        reconcile_differences: differences(account),
    })
}
