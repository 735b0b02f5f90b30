//! What must hold at all times, as named predicates: the account checks itself with them in debug
//! builds, tests and the simulator check with the same ones.

use crate::account::Account;
use crate::id::{InstrumentId, StrategyId};
use crate::order::Order;
use crate::portfolio::fee_units;
use crate::reconcile::{MAX_STANDING, is_synthetic};
use std::collections::BTreeMap;

/// An invariant that does not hold. A bug of ours, never of the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invariant {name} is broken: {detail}")]
pub struct Violation {
    pub name: &'static str,
    pub detail: String,
}

fn hold(name: &'static str, holds: bool, detail: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds {
        return Ok(());
    }
    Err(Violation {
        name,
        detail: detail(),
    })
}

/// `filled + leaves + canceled == quantity`, none of them negative, and nothing open once ended.
pub fn check_order(order: &Order) -> Result<(), Violation> {
    let parts = [
        order.filled_quantity.0,
        order.leaves_quantity.0,
        order.canceled_quantity.0,
    ];
    let sum: i128 = parts.into_iter().map(i128::from).sum();
    let detail = || format!("{order:?}");
    hold(
        "quantities_add_up",
        sum == i128::from(order.quantity.0),
        detail,
    )?;
    hold(
        "quantities_are_not_negative",
        parts.into_iter().all(|part| part >= 0),
        detail,
    )?;
    hold(
        "an_ended_order_has_nothing_open",
        !order.status.is_terminal() || order.leaves_quantity.is_zero(),
        detail,
    )
}

/// All invariants of an account. Walks everything that it holds.
pub fn check_account(account: &Account) -> Result<(), Violation> {
    for order in account.orders() {
        check_order(order)?;
    }
    positions_equal_executions(account)?;
    nets_equal_positions(account)?;
    fills_equal_executions(account)?;
    reconciled_executions_are_external(account)?;
    what_reconciliation_remembers_is_bounded(account)?;
    indexes_equal_orders(account)
}

/// What reconciliation made up belongs to no order and no strategy, and costs nothing.
fn reconciled_executions_are_external(account: &Account) -> Result<(), Violation> {
    let external = StrategyId::external();
    let mut made_up = account
        .executions()
        .iter()
        .filter(|record| is_synthetic(&record.execution));
    let wrong = made_up.find(|record| {
        record.order_id.is_some()
            || record.strategy_id != external
            || !record.execution.fee.is_zero()
    });
    hold(
        "reconciled_executions_are_external",
        wrong.is_none(),
        || format!("{wrong:?}"),
    )
}

fn what_reconciliation_remembers_is_bounded(account: &Account) -> Result<(), Violation> {
    let machine = account.reconciler();
    let (standing, listed) = (machine.standing(), machine.external_orders().len());
    hold(
        "what_reconciliation_remembers_is_bounded",
        standing <= MAX_STANDING && listed <= MAX_STANDING,
        || format!("{standing} differences and {listed} orders"),
    )
}

fn positions_equal_executions(account: &Account) -> Result<(), Violation> {
    const NAME: &str = "positions_equal_executions";
    let mut sums: BTreeMap<(&InstrumentId, &StrategyId), i128> = BTreeMap::new();
    for record in account.executions().iter().filter(|record| !record.busted) {
        let execution = &record.execution;
        let key = (&execution.instrument_id, &record.strategy_id);
        let units = account
            .instruments()
            .get(&execution.instrument_id)
            .and_then(|instrument| fee_units(instrument, execution).ok());
        hold(NAME, units.is_some(), || format!("{execution:?}"))?;
        let traded = i128::from(execution.last_quantity.0) * i128::from(execution.side.sign());
        *sums.entry(key).or_default() += traded - i128::from(units.unwrap_or_default());
    }
    // A position whose only execution was taken back is flat, and no execution names it.
    sums.retain(|_, quantity| *quantity != 0);
    let held: BTreeMap<_, _> = account
        .positions()
        .filter(|position| !position.is_flat())
        .map(|p| ((&p.instrument_id, &p.strategy_id), i128::from(p.quantity)))
        .collect();
    hold(NAME, sums == held, || {
        format!("{sums:?} booked, {held:?} held")
    })
}

fn nets_equal_positions(account: &Account) -> Result<(), Violation> {
    let mut sums: BTreeMap<&InstrumentId, i128> = BTreeMap::new();
    for position in account.positions() {
        *sums.entry(&position.instrument_id).or_default() += i128::from(position.quantity);
    }
    for (instrument_id, sum) in sums {
        let net = account.net_position(instrument_id);
        hold("nets_equal_positions", i128::from(net) == sum, || {
            format!("{instrument_id} is {net}, positions sum to {sum}")
        })?;
    }
    Ok(())
}

fn fills_equal_executions(account: &Account) -> Result<(), Violation> {
    let mut sums: BTreeMap<_, i128> = BTreeMap::new();
    for record in account.executions().iter().filter(|record| !record.busted) {
        if let Some(order_id) = &record.order_id {
            *sums.entry(order_id).or_default() += i128::from(record.execution.last_quantity.0);
        }
    }
    for order in account.orders() {
        let sum = sums.remove(&order.order_id).unwrap_or_default();
        let filled = i128::from(order.filled_quantity.0);
        hold("fills_equal_executions", sum == filled, || {
            format!("{} has {filled}, executions {sum}", order.order_id)
        })?;
    }
    hold("fills_equal_executions", sums.is_empty(), || {
        format!("executions of unknown orders: {sums:?}")
    })
}

/// What is reserved equals the sum over working orders, and so do the other indexes: they are
/// what building them anew gives.
fn indexes_equal_orders(account: &Account) -> Result<(), Violation> {
    let store = account.order_store();
    hold(
        "reserved_equals_working_orders",
        store.is_consistent(),
        || format!("{:?} of {:?}", store.exposures(), store.working()),
    )
}
