//! A portfolio without an execution that was taken back.

use super::{Booking, NetPosition, Portfolio, Position};
use crate::id::{Currency, StrategyId};
use crate::instrument::Instrument;
use crate::money::Money;
use crate::number::NumberError;
use crate::venue::Execution;
use std::collections::{BTreeMap, BTreeSet};

/// New values of everything that taking an execution back touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unbooking(Booking);

type Balances = BTreeMap<Currency, Money>;

impl Portfolio {
    /// Returns what the portfolio is without `busted`, given the other executions of the same
    /// instrument and strategy in the order of their booking.
    ///
    /// Errors: a number of the result cannot be held; nothing was changed.
    pub(crate) fn plan_without<'a>(
        &self,
        instrument: &Instrument,
        strategy_id: &StrategyId,
        busted: &Execution,
        others: impl Iterator<Item = &'a Execution> + Clone,
    ) -> Result<Unbooking, NumberError> {
        let without = replayed(instrument, strategy_id, others)?;
        let id = instrument.instrument_id.clone();
        let flat = || Position::flat(id.clone(), strategy_id.clone());
        let old = self.position(strategy_id, &id).cloned();
        let old = old.unwrap_or_else(flat);
        let new = without.position(strategy_id, &id).cloned();
        let new = new.unwrap_or_else(flat);
        // Cash differs by what the execution itself moved, and by what later closings released
        // in another way than they would have without it.
        let with = {
            let mut with = without.clone();
            let booking = with.plan(instrument, strategy_id, busted)?;
            with.commit(booking);
            with
        };
        let released = new.realized_pnl.checked_sub(old.realized_pnl)?;
        let own = |of: fn(&Portfolio) -> &Balances| difference(of(&without), of(&with));
        let mut cash = own(Portfolio::cash)?;
        if instrument.settles_profit() {
            // Its own profit, if it closed something, is part of the whole difference.
            let closed = difference(without.realized_pnl(), with.realized_pnl())?;
            let currency = instrument.profit_currency();
            let closed = closed.get(currency).copied().unwrap_or_default();
            let rest = released.checked_sub(closed)?;
            let sum = cash.entry(currency.clone()).or_default();
            *sum = sum.checked_add(rest)?;
        }
        let net = self.net(&id);
        let profit = BTreeMap::from([(instrument.profit_currency().clone(), released)]);
        Ok(Unbooking(Booking {
            net: NetPosition {
                quantity: net
                    .quantity
                    .checked_sub(old.quantity)
                    .and_then(|quantity| quantity.checked_add(new.quantity))
                    .ok_or(NumberError::OutOfRange)?,
                open_cost: net
                    .open_cost
                    .checked_sub(old.open_cost)?
                    .checked_add(new.open_cost)?,
            },
            position: new,
            cash: added(self.cash(), &cash)?,
            realized_pnl: added(self.realized_pnl(), &profit)?,
            fees: added(self.fees(), &own(Portfolio::fees)?)?,
        }))
    }

    /// Carries out what [`Portfolio::plan_without`] found.
    pub(crate) fn commit_without(&mut self, unbooking: Unbooking) {
        self.commit(unbooking.0);
    }
}

/// Returns a portfolio of nothing but these executions.
fn replayed<'a>(
    instrument: &Instrument,
    strategy_id: &StrategyId,
    executions: impl Iterator<Item = &'a Execution>,
) -> Result<Portfolio, NumberError> {
    let mut portfolio = Portfolio::default();
    for execution in executions {
        let booking = portfolio.plan(instrument, strategy_id, execution)?;
        portfolio.commit(booking);
    }
    Ok(portfolio)
}

/// Returns `a - b` where it is not zero.
fn difference(a: &Balances, b: &Balances) -> Result<Balances, NumberError> {
    let mut result = Balances::new();
    let currencies: BTreeSet<&Currency> = a.keys().chain(b.keys()).collect();
    for currency in currencies {
        let of = |balances: &Balances| balances.get(currency).copied().unwrap_or_default();
        let amount = of(a).checked_sub(of(b))?;
        if !amount.is_zero() {
            result.insert(currency.clone(), amount);
        }
    }
    Ok(result)
}

/// Returns the balances that `changes` gives a new value.
fn added(balances: &Balances, changes: &Balances) -> Result<Balances, NumberError> {
    changes
        .iter()
        .filter(|(_, amount)| !amount.is_zero())
        .map(|(currency, amount)| {
            let old = balances.get(currency).copied().unwrap_or_default();
            Ok((currency.clone(), old.checked_add(*amount)?))
        })
        .collect()
}
