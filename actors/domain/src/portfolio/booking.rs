//! What one execution does to a portfolio, computed whole before anything is changed.

use super::position::{Position, signed_notional};
use super::{Charges, FeesInUnits, Holder, NetPosition, Portfolio, Whole};
use crate::id::Currency;
use crate::instrument::{Instrument, InstrumentKind};
use crate::money::Money;
use crate::number::{Decimal, NumberError};
use crate::venue::Execution;
use std::collections::BTreeMap;

/// New values of everything that an execution touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Booking {
    pub position: Position,
    pub net: NetPosition,
    pub cash: BTreeMap<Currency, Money>,
    pub realized_pnl: BTreeMap<Currency, Money>,
    pub fees: BTreeMap<Currency, Money>,
    /// Fees of this strategy in this instrument.
    pub own_fees: BTreeMap<Currency, Money>,
    /// Likewise, those that were paid in units of the position.
    pub in_units: FeesInUnits,
    /// What all strategies together hold of a contract on the position's side; see
    /// [`Portfolio::venue_cash`].
    pub whole: Option<Whole>,
}

/// Returns the part of a fee that is paid in units of the position (spot, fee in the base asset),
/// as a mantissa at the quantity decimals, rounded towards zero; what is finer is paid from base
/// cash. Zero for every other fee.
pub(crate) fn fee_units(
    instrument: &Instrument,
    execution: &Execution,
) -> Result<i64, NumberError> {
    let in_base = instrument.kind == InstrumentKind::Spot
        && execution.fee_currency == instrument.base_currency
        && instrument.base_currency != instrument.quote_currency;
    if !in_base {
        return Ok(0);
    }
    let decimals = u32::from(instrument.quantity_decimals);
    let mut units = execution.fee.0.trunc_with_scale(decimals);
    units.rescale(decimals);
    if units.scale() != decimals {
        return Err(NumberError::OutOfRange);
    }
    i64::try_from(units.mantissa()).map_err(|_| NumberError::OutOfRange)
}

impl Execution {
    /// Returns what this execution does to the position of a portfolio that books it, in units of
    /// the quantity's last decimal: the signed quantity, less a fee that is paid in what was
    /// bought.
    ///
    /// Errors: `OutOfRange` when no position can be changed by as much; nothing books it.
    pub fn position_change(&self, instrument: &Instrument) -> Result<i64, NumberError> {
        let traded = self.last_quantity.0.checked_mul(self.side.sign());
        let units = fee_units(instrument, self)?;
        traded
            .and_then(|traded| traded.checked_sub(units))
            .ok_or(NumberError::OutOfRange)
    }
}

pub(super) fn plan(
    portfolio: &Portfolio,
    instrument: &Instrument,
    holder: &Holder,
    execution: &Execution,
) -> Result<Booking, NumberError> {
    const RANGE: NumberError = NumberError::OutOfRange;
    let price = execution.last_price;
    let delta = execution
        .last_quantity
        .0
        .checked_mul(execution.side.sign())
        .ok_or(RANGE)?;
    let before = portfolio
        .position_of(holder, &instrument.instrument_id)
        .cloned()
        .unwrap_or_else(|| Position::flat(instrument.instrument_id.clone(), holder));
    let holding = before.holding();
    let units = fee_units(instrument, execution)?;
    let traded = holding.trade(delta, price, instrument)?;
    let after = traded.transfer(units.checked_neg().ok_or(RANGE)?, price, instrument)?;
    let fee_cost = traded.open_cost.checked_sub(after.open_cost);

    let mut cash = Balances::of(portfolio.cash());
    match instrument.kind {
        InstrumentKind::Spot => {
            let paid = signed_notional(instrument, price, delta)?.0;
            cash.add(&instrument.quote_currency, -paid)?;
        }
        InstrumentKind::Linear | InstrumentKind::Inverse => {
            cash.add(instrument.profit_currency(), after.realized)?
        }
    }
    let fee_in_units = Decimal::new(units, u32::from(instrument.quantity_decimals));
    let fee_in_cash = execution.fee.0.checked_sub(fee_in_units).ok_or(RANGE)?;
    cash.add(&execution.fee_currency, -fee_in_cash)?;
    let mut realized_pnl = Balances::of(portfolio.realized_pnl());
    realized_pnl.add(instrument.profit_currency(), after.realized)?;
    let mut fees = Balances::of(portfolio.fees());
    fees.add(&execution.fee_currency, execution.fee.0)?;
    let none = Charges::default();
    let charges = portfolio.charges_of(&holder.strategy_id, &instrument.instrument_id);
    let mut own_fees = Balances::of(&charges.unwrap_or(&none).fees);
    own_fees.add(&execution.fee_currency, execution.fee.0)?;
    let in_units = charges.unwrap_or(&none).in_units;
    let in_units = FeesInUnits {
        amount: in_units.amount.checked_add(Money(fee_in_units))?,
        cost: in_units.cost.checked_add(Money(fee_cost.ok_or(RANGE)?))?,
    };

    let whole = match instrument.settles_profit() {
        true => {
            let id = &instrument.instrument_id;
            let held = portfolio.whole_of(id, holder.side);
            Some(held.traded(instrument, execution)?)
        }
        false => None,
    };
    let net = portfolio.net(&instrument.instrument_id);
    let position = Position {
        quantity: after.quantity,
        open_cost: Money(after.open_cost),
        realized_pnl: before.realized_pnl.checked_add(Money(after.realized))?,
        ..before.clone()
    };
    Ok(Booking {
        net: net.moved(&before, &position)?,
        position,
        cash: cash.changed,
        realized_pnl: realized_pnl.changed,
        fees: fees.changed,
        own_fees: own_fees.changed,
        in_units,
        whole,
    })
}

/// Balances with changes laid over them.
pub(super) struct Balances<'a> {
    old: &'a BTreeMap<Currency, Money>,
    pub(super) changed: BTreeMap<Currency, Money>,
}

impl<'a> Balances<'a> {
    pub(super) fn of(old: &'a BTreeMap<Currency, Money>) -> Balances<'a> {
        Balances {
            old,
            changed: BTreeMap::new(),
        }
    }

    /// Adds to a balance; an amount of zero leaves no trace of a currency that was not there.
    pub(super) fn add(&mut self, currency: &Currency, amount: Decimal) -> Result<(), NumberError> {
        if amount.is_zero() {
            return Ok(());
        }
        let balance = self
            .changed
            .get(currency)
            .or_else(|| self.old.get(currency))
            .copied()
            .unwrap_or_default();
        let balance = balance.checked_add(Money(amount))?;
        self.changed.insert(currency.clone(), balance);
        Ok(())
    }
}
