//! The value of a run after each event, kept by cash flows.

use super::BacktestError;
use apex_domain::instrument::Instrument;
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
    value: Decimal,
}

/// Cash, open value and the falls from the highest equity.
///
/// A buy takes its notional out of the cash and a sell brings it in, for contracts too; with the
/// open position valued at its mark that is the same equity as the account's, and needs no
/// average price.
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
        let signed = execution
            .side
            .sign()
            .checked_mul(execution.last_quantity.0)
            .ok_or(RANGE)?;
        let paid = line
            .instrument
            .notional(execution.last_price, Quantity(signed))?;
        line.position = line.position.checked_add(signed).ok_or(RANGE)?;
        self.cash = self
            .cash
            .checked_sub(paid.0)
            .and_then(|cash| cash.checked_sub(execution.fee.0))
            .ok_or(RANGE)?;
        // Until its next mark the position is worth what the last one was traded at.
        self.value(&execution.instrument_id, execution.last_price)
    }

    /// Books cash that comes without an execution; a negative amount is paid.
    pub fn receive(&mut self, amount: Decimal) -> Result<(), BacktestError> {
        self.cash = self.cash.checked_add(amount).ok_or(RANGE)?;
        Ok(())
    }

    /// Counts a position in the units of after a split. It is worth the same until its next mark,
    /// or nothing where it was less than one unit.
    pub fn split(&mut self, id: &InstrumentId, numerator: u32, denominator: u32) {
        let Some(line) = self.lines.get_mut(id) else {
            return;
        };
        line.position = split_units(line.position, numerator, denominator);
        if line.position == 0 {
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
        let position = self.position(id);
        if position != 0
            && let Some(price) = price(position)
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
        // The quick form of `Instrument::notional`, without stripping zeros: this runs per event.
        let product = i128::from(price.0) * i128::from(line.position);
        let scale = line.instrument.price_decimals + line.instrument.quantity_decimals;
        let mut value =
            Decimal::try_from_i128_with_scale(product, u32::from(scale)).map_err(|_| RANGE)?;
        if line.instrument.multiplier.0 != Decimal::ONE {
            value = value
                .checked_mul(line.instrument.multiplier.0)
                .ok_or(RANGE)?;
        }
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
