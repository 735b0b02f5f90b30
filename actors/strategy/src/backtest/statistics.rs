//! Round trips and the figures made of them.

use super::report::Metrics;
use apex_domain::instrument::{Instrument, InstrumentKind};
use apex_domain::number::{Decimal, NumberError};
use apex_domain::portfolio::split_units;
use apex_domain::venue::Execution;
use apex_domain::{InstrumentId, Quantity};
use std::collections::BTreeMap;

/// Trading days of a year, the usual convention.
const DAYS_PER_YEAR: f64 = 252.0;

/// Decimals of a stated ratio.
const RATIO_DECIMALS: u32 = 6;

const RANGE: NumberError = NumberError::OutOfRange;

/// An open round trip: what is held and what it has cost or brought so far, fees included.
#[derive(Debug, Default)]
struct Trip {
    position: i64,
    /// In quote currency.
    cash: Decimal,
    /// In base currency: the profit of an inverse contract, and what is finer than a unit of a fee
    /// that is taken in what was bought. Worth what the price is at the end of the trip.
    base: Decimal,
}

/// What an execution, or a part of it, brings: cash in quote currency, and base currency.
fn brought(
    instrument: &Instrument,
    execution: &Execution,
    signed: i64,
    change: i64,
) -> Result<(Decimal, Decimal), NumberError> {
    let paid = instrument
        .notional(execution.last_price, Quantity(signed))?
        .0;
    let whole = execution.side.sign() * execution.last_quantity.0;
    let fee = if signed == whole {
        execution.fee.0
    } else {
        execution.fee.0 * Decimal::from(signed) / Decimal::from(whole)
    };
    if instrument.kind == InstrumentKind::Inverse {
        return Ok((Decimal::ZERO, paid.checked_sub(fee).ok_or(RANGE)?));
    }
    if execution.fee_currency == instrument.quote_currency {
        let paid = paid.checked_add(fee).ok_or(RANGE)?;
        return Ok((-paid, Decimal::ZERO));
    }
    let decimals = u32::from(instrument.quantity_decimals);
    let in_units = Decimal::new(signed - change, decimals);
    Ok((-paid, in_units.checked_sub(fee).ok_or(RANGE)?))
}

/// Gathers round trips: each begins where a position leaves zero and ends where it comes back to
/// zero or goes to the other side.
#[derive(Debug, Default)]
pub(super) struct RoundTrips {
    open: BTreeMap<InstrumentId, Trip>,
    wins: u64,
    losses: u64,
    even: u64,
    won: Decimal,
    lost: Decimal,
}

impl RoundTrips {
    /// Books an execution. Through zero, its fee is divided by quantity.
    ///
    /// Errors: `OutOfRange`.
    pub fn fill(
        &mut self,
        instrument: &Instrument,
        execution: &Execution,
    ) -> Result<(), NumberError> {
        let signed = execution.side.sign() * execution.last_quantity.0;
        let trip = self
            .open
            .entry(execution.instrument_id.clone())
            .or_default();
        let closing = if trip.position.signum() == -signed.signum() {
            signed.signum() * signed.abs().min(trip.position.abs())
        } else {
            0
        };
        // What a fee took of what was bought was never held; of two parts the later one bears it.
        let taken = signed - execution.position_change(instrument)?;
        let price = instrument.price_decimal(execution.last_price);
        let mut ended = Vec::new();
        let opening = signed - closing;
        let (first, second) = match opening {
            0 => (taken, 0),
            _ => (0, taken),
        };
        for (part, taken) in [(closing, first), (opening, second)] {
            if part == 0 {
                continue;
            }
            let change = part - taken;
            let (cash, base) = brought(instrument, execution, part, change)?;
            trip.position += change;
            trip.cash = trip.cash.checked_add(cash).ok_or(RANGE)?;
            trip.base = trip.base.checked_add(base).ok_or(RANGE)?;
            if trip.position == 0 {
                let base = trip.base.checked_mul(price).ok_or(RANGE)?;
                ended.push(trip.cash.checked_add(base).ok_or(RANGE)?);
                (trip.cash, trip.base) = (Decimal::ZERO, Decimal::ZERO);
            }
        }
        for profit in ended {
            self.end(profit);
        }
        Ok(())
    }

    /// Adds what came by the open round trip of an instrument, such as funding, in the currency of
    /// its profit.
    pub fn receive(&mut self, instrument: &Instrument, amount: Decimal) {
        let trip = self.open.get_mut(&instrument.instrument_id);
        let Some(trip) = trip.filter(|trip| trip.position != 0) else {
            return;
        };
        match instrument.kind {
            InstrumentKind::Inverse => trip.base += amount,
            _ => trip.cash += amount,
        }
    }

    /// Counts an open round trip in the units of after a split. One of which no unit is left has
    /// ended.
    pub fn split(&mut self, id: &InstrumentId, numerator: u32, denominator: u32) {
        let Some(trip) = self.open.get_mut(id).filter(|trip| trip.position != 0) else {
            return;
        };
        trip.position = split_units(trip.position, numerator, denominator);
        if trip.position == 0 {
            let profit = std::mem::take(&mut trip.cash);
            self.end(profit);
        }
    }

    fn end(&mut self, profit: Decimal) {
        if profit > Decimal::ZERO {
            self.wins += 1;
            self.won += profit;
        } else if profit < Decimal::ZERO {
            self.losses += 1;
            self.lost -= profit;
        } else {
            self.even += 1;
        }
    }

    /// Makes the figures.
    pub fn metrics(&self, start_cash: Decimal, equity: Decimal, daily: &[f64]) -> Metrics {
        let trades = self.wins + self.losses + self.even;
        let per_trade =
            |value: Decimal| ratio(value, Decimal::from(trades)).map(|value| value.to_string());
        let total_return = (start_cash > Decimal::ZERO)
            .then(|| ratio(equity - start_cash, start_cash))
            .flatten();
        Metrics {
            total_return: total_return.map(|value| value.to_string()),
            trades,
            wins: self.wins,
            losses: self.losses,
            win_rate: per_trade(Decimal::from(self.wins)),
            profit_factor: ratio(self.won, self.lost).map(|value| value.to_string()),
            average_trade: per_trade(self.won - self.lost),
            sharpe: sharpe(daily).map(|value| format!("{value:.6}")),
        }
    }
}

/// Returns the quotient to [`RATIO_DECIMALS`], or `None` where there is none.
fn ratio(numerator: Decimal, denominator: Decimal) -> Option<Decimal> {
    let value = numerator.checked_div(denominator)?;
    Some(value.round_dp(RATIO_DECIMALS).normalize())
}

/// See [`Metrics::sharpe`].
fn sharpe(daily: &[f64]) -> Option<f64> {
    let count = daily.len() as f64;
    if daily.len() < 2 {
        return None;
    }
    let mean = daily.iter().sum::<f64>() / count;
    let variance = daily.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let value = mean / variance.sqrt() * DAYS_PER_YEAR.sqrt();
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{instrument, instrument_id};
    use apex_domain::market::Side;
    use apex_domain::{ClientOrderId, Currency, ExecId, Money, Price, UnixNanos};

    fn fill(trips: &mut RoundTrips, side: Side, quantity: i64, price: i64, fee: &str) {
        let execution = execution(side, quantity, price, fee);
        trips.fill(&instrument(), &execution).unwrap();
    }

    fn execution(side: Side, quantity: i64, price: i64, fee: &str) -> Execution {
        Execution {
            exec_id: ExecId::new("x").unwrap(),
            client_order_id: ClientOrderId::new("c").unwrap(),
            instrument_id: instrument_id(),
            side,
            last_quantity: Quantity(quantity),
            last_price: Price(price * 100),
            fee: Money::parse(fee).unwrap(),
            fee_currency: Currency::new("USD").unwrap(),
            maker: false,
            ts_event: UnixNanos(0),
        }
    }

    #[test]
    fn through_zero_a_fee_in_what_was_bought_is_missing_once() {
        let spot = Instrument {
            kind: InstrumentKind::Spot,
            ..instrument()
        };
        let mut trips = RoundTrips::default();
        trips
            .fill(&spot, &execution(Side::Sell, 5, 100, "0"))
            .unwrap();
        let bought = Execution {
            fee_currency: spot.base_currency.clone(),
            ..execution(Side::Buy, 10, 90, "1")
        };
        trips.fill(&spot, &bought).unwrap();
        assert_eq!(trips.open[&instrument_id()].position, 4);
        // Its half of the fee, 0.5 at 90, comes off the profit of 5 times 10.
        assert_eq!((trips.wins, trips.won), (1, Decimal::from(5)));
    }

    #[test]
    fn round_trips_end_at_zero_and_through_zero() {
        let mut trips = RoundTrips::default();
        fill(&mut trips, Side::Buy, 1, 100, "0");
        fill(&mut trips, Side::Buy, 1, 110, "0");
        fill(&mut trips, Side::Sell, 3, 120, "0.3");
        fill(&mut trips, Side::Buy, 1, 125, "0");
        let metrics = trips.metrics(Decimal::ZERO, Decimal::ZERO, &[]);
        assert_eq!((metrics.trades, metrics.wins, metrics.losses), (2, 1, 1));
        // 30 less two thirds of the fee, and 5 with the last third.
        assert_eq!(metrics.profit_factor.as_deref(), Some("5.843137"));
        assert_eq!(metrics.average_trade.as_deref(), Some("12.35"));
        assert_eq!(metrics.win_rate.as_deref(), Some("0.5"));
    }

    #[test]
    fn what_cannot_be_computed_is_absent() {
        let none = RoundTrips::default().metrics(Decimal::ZERO, Decimal::ONE, &[1.0]);
        assert_eq!(none, Metrics::default());
        assert_eq!(sharpe(&[0.0, 0.0]), None, "no variation");
        assert_eq!(sharpe(&[]), None);
    }

    #[test]
    fn sharpe_is_the_mean_over_the_sample_deviation_of_a_year() {
        // Mean 2, sample standard deviation 1.
        let value = sharpe(&[1.0, 2.0, 3.0]).unwrap();
        assert!((value - 2.0 * 252_f64.sqrt()).abs() < 1e-12);
        let metrics = RoundTrips::default().metrics(Decimal::from(100), Decimal::from(125), &[]);
        assert_eq!(metrics.total_return.as_deref(), Some("0.25"));
    }
}
