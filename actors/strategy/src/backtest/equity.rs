//! The value of a run after each event, kept by cash flows.

use super::BacktestError;
use apex_domain::instrument::{Instrument, InstrumentKind};
use apex_domain::number::Decimal;
use apex_domain::portfolio::split_units;
use apex_domain::venue::Execution;
use apex_domain::{InstrumentId, NumberError, Price, Quantity, UnixNanos};
use std::collections::BTreeMap;

/// One instrument's open position and what it is worth.
#[derive(Debug)]
struct Line {
    instrument: Instrument,
    position: i64,
    /// What came and went in base currency: the profit of an inverse contract, and what is finer
    /// than a unit of a fee that is taken in what was bought.
    base: Decimal,
    /// Of the position and of `base`, in quote currency.
    value: Decimal,
}

impl Line {
    fn is_empty(&self) -> bool {
        self.position == 0 && self.base.is_zero()
    }

    /// Moves the position by an execution, and `base`. Returns what leaves the cash.
    fn book(&mut self, execution: &Execution) -> Result<Decimal, BacktestError> {
        let signed = execution
            .side
            .sign()
            .checked_mul(execution.last_quantity.0)
            .ok_or(RANGE)?;
        let price = execution.last_price;
        let paid = self.instrument.notional(price, Quantity(signed))?.0;
        let change = execution.position_change(&self.instrument)?;
        self.position = self.position.checked_add(change).ok_or(RANGE)?;
        let fee = execution.fee.0;
        let (base, cash) = match self.instrument.kind {
            // It gains in base currency when its price rises: what was bought for more of it is
            // worth less of it.
            InstrumentKind::Inverse => (paid.checked_sub(fee), Some(Decimal::ZERO)),
            _ if execution.fee_currency == self.instrument.quote_currency => {
                (Some(Decimal::ZERO), paid.checked_add(fee))
            }
            _ => {
                let decimals = u32::from(self.instrument.quantity_decimals);
                let in_units = Decimal::new(signed - change, decimals);
                (in_units.checked_sub(fee), Some(paid))
            }
        };
        let base = base.and_then(|base| self.base.checked_add(base));
        self.base = base.ok_or(RANGE)?;
        cash.ok_or(RANGE)
    }

    /// Returns what the position and `base` are worth at a price, in quote currency.
    fn worth(&self, price: Price) -> Result<Decimal, BacktestError> {
        let instrument = &self.instrument;
        // The quick form of `Instrument::notional`, without stripping zeros: this runs per event.
        let (units, scale) = match instrument.kind {
            // A contract is so much of the quote currency, whatever the price.
            InstrumentKind::Inverse => {
                let decimals = instrument.quantity_decimals;
                (-i128::from(self.position), u32::from(decimals))
            }
            _ => {
                let decimals = instrument.price_decimals + instrument.quantity_decimals;
                let units = i128::from(price.0) * i128::from(self.position);
                (units, u32::from(decimals))
            }
        };
        let mut value = Decimal::try_from_i128_with_scale(units, scale).map_err(|_| RANGE)?;
        if instrument.multiplier.0 != Decimal::ONE {
            value = value.checked_mul(instrument.multiplier.0).ok_or(RANGE)?;
        }
        if self.base.is_zero() {
            return Ok(value);
        }
        let base = instrument.price_decimal(price).checked_mul(self.base);
        base.and_then(|base| base.checked_add(value)).ok_or(RANGE)
    }
}

/// Cash, open value and the falls from the highest equity.
///
/// A buy takes its notional out of the cash and a sell brings it in, for contracts too; with the
/// open position valued at its mark that is the same equity as the account's, and needs no
/// average price. What an inverse contract brings is base currency, and worth what the mark says.
#[derive(Debug)]
pub(super) struct EquityCurve {
    lines: BTreeMap<InstrumentId, Line>,
    cash: Decimal,
    open_value: Decimal,
    peak: Decimal,
    max_drawdown: Decimal,
    day: Option<i64>,
    day_start: Decimal,
    /// Changes of equity by day, as floats, since only statistics are made of them.
    daily_changes: Vec<f64>,
}

const NANOS_PER_DAY: i64 = 86_400_000_000_000;
const RANGE: BacktestError = BacktestError::Money(NumberError::OutOfRange);

impl EquityCurve {
    pub fn new(start_cash: Decimal, instruments: &[Instrument]) -> EquityCurve {
        let lines = instruments.iter().map(|instrument| {
            let line = Line {
                instrument: instrument.clone(),
                position: 0,
                base: Decimal::ZERO,
                value: Decimal::ZERO,
            };
            (instrument.instrument_id.clone(), line)
        });
        EquityCurve {
            lines: lines.collect(),
            cash: start_cash,
            open_value: Decimal::ZERO,
            peak: start_cash,
            max_drawdown: Decimal::ZERO,
            day: None,
            day_start: start_cash,
            daily_changes: Vec::new(),
        }
    }

    pub fn equity(&self) -> Decimal {
        self.cash + self.open_value
    }

    pub fn max_drawdown(&self) -> Decimal {
        self.max_drawdown
    }

    /// Returns the changes of equity by day, the last day included.
    pub fn daily_changes(&self) -> Vec<f64> {
        let mut changes = self.daily_changes.clone();
        if self.day.is_some() {
            changes.push(float(self.equity() - self.day_start));
        }
        changes
    }

    pub fn position(&self, id: &InstrumentId) -> i64 {
        self.lines.get(id).map_or(0, |line| line.position)
    }

    /// Books an execution.
    pub fn fill(&mut self, execution: &Execution) -> Result<(), BacktestError> {
        let Some(line) = self.lines.get_mut(&execution.instrument_id) else {
            return Ok(());
        };
        let paid = line.book(execution)?;
        self.cash = self.cash.checked_sub(paid).ok_or(RANGE)?;
        // Until its next mark the position is worth what the last one was traded at.
        self.value(&execution.instrument_id, execution.last_price)
    }

    /// Books what comes for a position without an execution, in the currency of its instrument's
    /// profit; a negative amount is paid.
    pub fn receive(&mut self, id: &InstrumentId, amount: Decimal) -> Result<(), BacktestError> {
        match self.lines.get_mut(id) {
            Some(line) if line.instrument.kind == InstrumentKind::Inverse => {
                line.base = line.base.checked_add(amount).ok_or(RANGE)?;
            }
            _ => self.cash = self.cash.checked_add(amount).ok_or(RANGE)?,
        }
        Ok(())
    }

    /// Counts a position in the units of after a split. It is worth the same until its next mark,
    /// or nothing where it was less than one unit.
    pub fn split(&mut self, id: &InstrumentId, numerator: u32, denominator: u32) {
        let Some(line) = self.lines.get_mut(id) else {
            return;
        };
        line.position = split_units(line.position, numerator, denominator);
        if line.is_empty() {
            self.open_value -= std::mem::take(&mut line.value);
        }
    }

    /// Values an instrument's position anew; `price` gets the position's sign to choose a side.
    pub fn mark(
        &mut self,
        ts: UnixNanos,
        id: &InstrumentId,
        price: impl FnOnce(i64) -> Option<Price>,
    ) -> Result<(), BacktestError> {
        self.turn_day(ts);
        let line = self.lines.get(id);
        if let Some(line) = line.filter(|line| !line.is_empty())
            && let Some(price) = price(line.position)
        {
            self.value(id, price)?;
        }
        let equity = self.equity();
        if equity > self.peak {
            self.peak = equity;
        } else {
            let drawdown = self.peak - equity;
            if drawdown > self.max_drawdown {
                self.max_drawdown = drawdown;
            }
        }
        Ok(())
    }

    fn value(&mut self, id: &InstrumentId, price: Price) -> Result<(), BacktestError> {
        let Some(line) = self.lines.get_mut(id) else {
            return Ok(());
        };
        let value = line.worth(price)?;
        self.open_value = self
            .open_value
            .checked_sub(line.value)
            .and_then(|rest| rest.checked_add(value))
            .ok_or(RANGE)?;
        line.value = value;
        Ok(())
    }

    fn turn_day(&mut self, ts: UnixNanos) {
        let day = ts.0.div_euclid(NANOS_PER_DAY);
        if self.day.is_some_and(|before| before != day) {
            let equity = self.equity();
            self.daily_changes.push(float(equity - self.day_start));
            self.day_start = equity;
        }
        self.day = Some(day);
    }
}

fn float(value: Decimal) -> f64 {
    use rust_decimal::prelude::ToPrimitive;
    value.to_f64().unwrap_or(0.0)
}
