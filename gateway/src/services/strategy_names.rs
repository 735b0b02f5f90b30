//! Strategies that calls name: one that nobody here has heard of is mistyped.

use crate::shared::Shared;
use crate::status;
use apex_bus::handle::AccountHandle;
use apex_bus::message::{OrderFilter, Page};
use apex_domain::StrategyId;
use std::collections::BTreeSet;
use tonic::Status;

/// The newest orders of an account, whose owners an unknown strategy may have been meant to be.
const NEAR_ORDERS: usize = 1_000;

/// Refuses a strategy that never had an order or a position in any of these accounts, and has no
/// session either: one that has not traded yet may be waited for.
///
/// Errors: `NOT_FOUND` with the nearest names; an account that does not answer.
pub(super) async fn check(
    shared: &Shared,
    accounts: &[AccountHandle],
    strategy_id: &StrategyId,
) -> Result<(), Status> {
    let mut known = BTreeSet::from([StrategyId::manual(), StrategyId::external()]);
    if known.contains(strategy_id) || shared.sessions.knows(strategy_id) {
        return Ok(());
    }
    for account in accounts {
        let summary = account.summary().await;
        let summary = summary.map_err(|error| status::command(&error))?;
        let holders = summary.positions.iter();
        known.extend(holders.map(|position| position.strategy_id.clone()));
        if known.contains(strategy_id) || has_order(account, strategy_id).await? {
            return Ok(());
        }
    }
    for account in accounts {
        let newest = owners(account, OrderFilter::default(), NEAR_ORDERS).await?;
        known.extend(newest);
    }
    Err(status::strategy_not_found(strategy_id, &known))
}

/// As [`check`], for a filter that may name none.
///
/// Errors: as [`check`].
pub(super) async fn check_filter(
    shared: &Shared,
    accounts: &[AccountHandle],
    filter: &OrderFilter,
) -> Result<(), Status> {
    match &filter.strategy_id {
        Some(strategy_id) => check(shared, accounts, strategy_id).await,
        None => Ok(()),
    }
}

async fn has_order(account: &AccountHandle, strategy_id: &StrategyId) -> Result<bool, Status> {
    let own = OrderFilter {
        strategy_id: Some(strategy_id.clone()),
        ..OrderFilter::default()
    };
    Ok(!owners(account, own, 1).await?.is_empty())
}

/// Returns the strategies of an account's newest orders.
async fn owners(
    account: &AccountHandle,
    filter: OrderFilter,
    limit: usize,
) -> Result<Vec<StrategyId>, Status> {
    let page = Page {
        cursor: None,
        limit,
    };
    let answer = account.orders(filter, page).await;
    let (orders, _) = answer.map_err(|error| status::command(&error))?;
    let owners = orders.into_iter().map(|order| order.request.strategy_id);
    Ok(owners.collect())
}
