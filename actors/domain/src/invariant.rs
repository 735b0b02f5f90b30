//! What must hold at all times, as named predicates: the account checks itself with them in debug
//! builds, tests and the simulator check with the same ones.

use crate::account::{Account, ExecutionRecord};
use crate::id::{Currency, InstrumentId, StrategyId};
use crate::instrument::Instrument;
use crate::money::Money;
use crate::number::{Decimal, Quantity};
use crate::order::{Order, PositionSide};
use crate::portfolio::{Split, fee_units};
use crate::reconcile::{MAX_STANDING, is_settlement, is_synthetic};
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
    totals_equal_parts(account)?;
    nets_equal_positions(account)?;
    fills_equal_executions(account)?;
    reconciled_executions_are_external(account)?;
    what_reconciliation_remembers_is_bounded(account)?;
    indexes_equal_orders(account)
}

/// What reconciliation made up belongs to no order and no strategy, and costs nothing. What settles
/// a position belongs to its strategy, and costs nothing either.
fn reconciled_executions_are_external(account: &Account) -> Result<(), Violation> {
    let external = StrategyId::external();
    let mut made_up = account
        .executions()
        .iter()
        .filter(|record| is_synthetic(&record.execution) || is_settlement(&record.execution));
    let wrong = made_up.find(|record| {
        record.order_id.is_some()
            || (is_synthetic(&record.execution) && record.strategy_id != external)
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

/// What the executions of one position and the splits of its instrument make of nothing.
#[derive(Debug)]
struct Made<'a> {
    instrument: &'a Instrument,
    /// Those still to come.
    splits: &'a [Split],
    quantity: i128,
    /// Signed sum of the notionals, of a contract.
    traded: Money,
}

impl Made<'_> {
    /// Splits what was there before the event of `sequence`. `None` out of range.
    fn split_before(&mut self, sequence: u64) -> Option<()> {
        while let Some((split, rest)) = self.splits.split_first()
            && split.sequence < sequence
        {
            let more = self.quantity.checked_mul(i128::from(split.numerator))?;
            self.quantity = more.checked_div(i128::from(split.denominator))?;
            self.splits = rest;
        }
        Some(())
    }

    fn take(&mut self, record: &ExecutionRecord) -> Option<()> {
        self.split_before(record.sequence)?;
        let execution = &record.execution;
        let traded = execution.last_quantity.0 * execution.side.sign();
        let units = fee_units(self.instrument, execution).ok()?;
        self.quantity += i128::from(traded) - i128::from(units);
        if self.instrument.settles_profit() {
            let notional = self
                .instrument
                .notional(execution.last_price, Quantity(traded));
            self.traded = self.traded.checked_add(notional.ok()?).ok()?;
        }
        Some(())
    }
}

/// Every position is what its executions and the splits of its instrument make of nothing. A flat
/// one has no cost, and what a contract realised is the difference between what is open and what
/// was traded: nothing is lost on the way, but for the notional of each fill that is rounded as
/// its instrument says. See [`near`] for how exact that is.
fn positions_equal_executions(account: &Account) -> Result<(), Violation> {
    const NAME: &str = "positions_equal_executions";
    let mut made: BTreeMap<(&InstrumentId, &StrategyId, PositionSide), Made<'_>> = BTreeMap::new();
    for record in account.executions().iter().filter(|record| !record.busted) {
        let instrument_id = &record.execution.instrument_id;
        let instrument = account.instruments().get(instrument_id);
        let taken = instrument.and_then(|instrument| {
            let key = (instrument_id, &record.strategy_id, record.position_side);
            let one = made.entry(key).or_insert_with(|| Made {
                instrument,
                splits: account.portfolio().splits_of(instrument_id),
                quantity: 0,
                traded: Money::ZERO,
            });
            one.take(record)
        });
        hold(NAME, taken.is_some(), || format!("{record:?}"))?;
    }
    for position in account.positions() {
        let key = (
            &position.instrument_id,
            &position.strategy_id,
            position.side,
        );
        // A position whose only execution was taken back is flat, and no execution names it.
        let one = made.remove(&key).map_or(Some(None), |mut one| {
            one.split_before(u64::MAX).map(|()| Some(one))
        });
        let detail = || format!("{position:?} of {one:?}");
        hold(NAME, one.is_some(), detail)?;
        let one = one.as_ref().and_then(Option::as_ref);
        let quantity = one.map_or(0, |one| one.quantity);
        hold(NAME, quantity == i128::from(position.quantity), detail)?;
        let costless = !position.is_flat() || position.open_cost.is_zero();
        hold("a_flat_position_has_no_cost", costless, detail)?;
        if let Some(one) = one.filter(|one| one.instrument.settles_profit()) {
            let profit = one.instrument.profit(one.traded, position.open_cost);
            let holds = near(profit.ok(), Some(position.realized_pnl));
            hold("profit_equals_executions", holds, detail)?;
        }
    }
    hold(NAME, made.is_empty(), || {
        format!("no position for {made:?}")
    })
}

/// Profit, fees and funding of the account are the sums over those who have them.
fn totals_equal_parts(account: &Account) -> Result<(), Violation> {
    let portfolio = account.portfolio();
    let mut realized = Sums::default();
    for position in account.positions() {
        if let Some(instrument) = account.instruments().get(&position.instrument_id) {
            realized.add(instrument.profit_currency(), position.realized_pnl);
        }
    }
    let (mut fees, mut funding) = (Sums::default(), Sums::default());
    for (_, _, charges) in portfolio.charges() {
        for (currency, amount) in &charges.fees {
            fees.add(currency, *amount);
        }
        for (currency, amount) in &charges.funding {
            funding.add(currency, *amount);
        }
    }
    for (name, sums, totals) in [
        (
            "profit_equals_positions",
            realized,
            portfolio.realized_pnl(),
        ),
        ("fees_equal_charges", fees, portfolio.fees()),
        ("funding_equals_charges", funding, portfolio.funding()),
    ] {
        hold(name, sums.equal(totals), || format!("{sums:?}, {totals:?}"))?;
    }
    Ok(())
}

/// Money of one currency has 28 digits: beyond a trillion, sums with 16 decimals lose the last
/// ones, and which ones depends on the order of adding. No venue settles that finely.
fn near(a: Option<Money>, b: Option<Money>) -> bool {
    let difference = a.zip(b).and_then(|(a, b)| a.checked_sub(b).ok());
    difference.is_some_and(|difference| difference.0.abs() <= Decimal::new(1, 9))
}

/// Sums by currency. `None` once one of them left the range of a decimal.
#[derive(Debug, Default)]
struct Sums<'a>(BTreeMap<&'a Currency, Option<Money>>);

impl<'a> Sums<'a> {
    fn add(&mut self, currency: &'a Currency, amount: Money) {
        let sum = self.0.entry(currency).or_insert(Some(Money::ZERO));
        *sum = sum.and_then(|sum| sum.checked_add(amount).ok());
    }

    fn equal(&self, totals: &BTreeMap<Currency, Money>) -> bool {
        let none = Some(Money::ZERO);
        let mut currencies = self.0.keys().copied().chain(totals.keys());
        currencies.all(|currency| {
            let sum = self.0.get(currency).copied().unwrap_or(none);
            near(sum, totals.get(currency).copied().or(none))
        })
    }
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
