//! A portfolio without an execution that was taken back.

use super::{Booking, Charges, FeesInUnits, Holder, Portfolio, Position, Split, Whole};
use crate::id::{Currency, InstrumentId, StrategyId};
use crate::instrument::Instrument;
use crate::money::Money;
use crate::number::NumberError;
use crate::order::PositionSide;
use crate::venue::Execution;
use std::collections::{BTreeMap, BTreeSet};

/// New values of everything that taking an execution back touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unbooking(Booking);

/// Something that made a position what it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Past<'a> {
    /// Of a strategy.
    Execution(&'a StrategyId, &'a Execution),
    Split(&'a Split),
}

type Amounts = BTreeMap<Currency, Money>;

impl Portfolio {
    /// Returns what the portfolio is without `busted`, given the other executions of the same
    /// instrument and holder, and the instrument's splits, in the order of their booking; `of_side`
    /// are those of every strategy on the holder's side, in the venue's order.
    ///
    /// Errors: a number of the result cannot be held; nothing was changed.
    pub(crate) fn plan_without<'a>(
        &self,
        instrument: &Instrument,
        holder: &Holder,
        busted: &Execution,
        others: impl Iterator<Item = Past<'a>>,
        of_side: Vec<Past<'a>>,
    ) -> Result<Unbooking, NumberError> {
        let without = replayed(instrument, holder.side, others)?;
        let id = instrument.instrument_id.clone();
        let flat = || Position::flat(id.clone(), holder);
        let old = self.position_of(holder, &id).cloned();
        let old = old.unwrap_or_else(flat);
        let new = without.position_of(holder, &id).cloned();
        let new = new.unwrap_or_else(flat);
        // Cash differs by what the execution itself moved, and by what later closings released
        // in another way than they would have without it. What it moved by itself does not
        // depend on when it is booked, but for its profit, which the second line takes out again.
        let with = {
            let mut with = without.clone();
            let booking = with.plan(instrument, holder, busted)?;
            with.commit(booking);
            with
        };
        let released = new.realized_pnl.checked_sub(old.realized_pnl)?;
        let own = |of: fn(&Portfolio) -> &Amounts| difference(of(&without), of(&with));
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
        let profit = BTreeMap::from([(instrument.profit_currency().clone(), released)]);
        let fees = own(Portfolio::fees)?;
        let none = Charges::default();
        let charges = self.charges_of(&holder.strategy_id, &id).unwrap_or(&none);
        Ok(Unbooking(Booking {
            net: self.net(&id).moved(&old, &new)?,
            position: new,
            cash: added(self.cash(), &cash)?,
            realized_pnl: added(self.realized_pnl(), &profit)?,
            fees: added(self.fees(), &fees)?,
            own_fees: added(&charges.fees, &fees)?,
            in_units: in_units_of(&without, holder, &id),
            whole: match instrument.settles_profit() {
                true => Some(Whole::made_by(instrument, holder.side, of_side)?),
                false => None,
            },
        }))
    }

    /// Carries out what [`Portfolio::plan_without`] found.
    pub(crate) fn commit_without(&mut self, unbooking: Unbooking) {
        self.commit(unbooking.0);
    }
}

/// Of a spot instrument, which alone has such fees, a strategy has one holder: what is without the
/// execution is all that there is.
fn in_units_of(without: &Portfolio, holder: &Holder, id: &InstrumentId) -> FeesInUnits {
    let charges = without.charges_of(&holder.strategy_id, id);
    charges.map_or_else(FeesInUnits::default, |charges| charges.in_units)
}

/// Returns a portfolio of nothing but this, all on one side.
pub(super) fn replayed<'a>(
    instrument: &Instrument,
    side: PositionSide,
    past: impl Iterator<Item = Past<'a>>,
) -> Result<Portfolio, NumberError> {
    let mut portfolio = Portfolio::default();
    for step in past {
        match step {
            Past::Execution(strategy_id, execution) => {
                let strategy_id = strategy_id.clone();
                let holder = Holder { strategy_id, side };
                let booking = portfolio.plan(instrument, &holder, execution)?;
                portfolio.commit(booking);
            }
            Past::Split(split) => {
                let booking = portfolio.plan_split(instrument, split)?;
                portfolio.commit_split(instrument, *split, booking);
            }
        }
    }
    Ok(portfolio)
}

/// Returns `a - b` where it is not zero.
fn difference(a: &Amounts, b: &Amounts) -> Result<Amounts, NumberError> {
    let mut result = Amounts::new();
    let currencies: BTreeSet<&Currency> = a.keys().chain(b.keys()).collect();
    for currency in currencies {
        let of = |balances: &Amounts| balances.get(currency).copied().unwrap_or_default();
        let amount = of(a).checked_sub(of(b))?;
        if !amount.is_zero() {
            result.insert(currency.clone(), amount);
        }
    }
    Ok(result)
}

/// Returns the balances that `changes` gives a new value.
fn added(balances: &Amounts, changes: &Amounts) -> Result<Amounts, NumberError> {
    changes
        .iter()
        .filter(|(_, amount)| !amount.is_zero())
        .map(|(currency, amount)| {
            let old = balances.get(currency).copied().unwrap_or_default();
            Ok((currency.clone(), old.checked_add(*amount)?))
        })
        .collect()
}
