//! One book of one instrument, and what trades do to it.

mod equity;
mod facts;
mod properties;
mod rates;

use super::*;
use crate::instrument::{FeeSchedule, InstrumentKind, InstrumentRules};
use crate::market::Side;
use crate::money::Rate;
use crate::number::{Price, Quantity};
use crate::{ClientOrderId, ExecId, UnixNanos};

fn currency(text: &str) -> Currency {
    Currency::new(text).unwrap()
}

fn money(text: &str) -> Money {
    Money::parse(text).unwrap()
}

/// Prices with five decimals, quantities with six.
fn instrument(kind: InstrumentKind) -> Instrument {
    Instrument {
        instrument_id: InstrumentId::new("BTCUSD.SIM").unwrap(),
        kind,
        base_currency: currency("BTC"),
        quote_currency: currency("USD"),
        price_decimals: 5,
        quantity_decimals: 6,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(i64::MAX),
        min_notional: Money::ZERO,
        multiplier: Rate::parse("1").unwrap(),
        initial_margin: Rate::parse("1").unwrap(),
        fees: FeeSchedule::default(),
        synthetic: false,
        rules: InstrumentRules::default(),
    }
}

struct Book {
    instrument: Instrument,
    portfolio: Portfolio,
    executions: u32,
}

impl Book {
    fn new(kind: InstrumentKind) -> Book {
        Book {
            instrument: instrument(kind),
            portfolio: Portfolio::default(),
            executions: 0,
        }
    }

    fn trade(&mut self, side: Side, quantity: &str, price: &str) {
        self.trade_with_fee(side, quantity, price, "0", "USD");
    }

    fn trade_with_fee(&mut self, side: Side, quantity: &str, price: &str, fee: &str, unit: &str) {
        let execution = self.execution(side, quantity, price, fee, unit);
        self.book(&Holder::netting(StrategyId::manual()), &execution);
    }

    fn execution(
        &mut self,
        side: Side,
        quantity: &str,
        price: &str,
        fee: &str,
        unit: &str,
    ) -> Execution {
        self.executions += 1;
        Execution {
            exec_id: ExecId::new(&format!("x{}", self.executions)).unwrap(),
            client_order_id: ClientOrderId::new("a").unwrap(),
            instrument_id: self.instrument.instrument_id.clone(),
            side,
            last_quantity: self.instrument.quantity(quantity).unwrap(),
            last_price: self.instrument.price(price).unwrap(),
            fee: money(fee),
            fee_currency: currency(unit),
            maker: false,
            ts_event: UnixNanos(0),
        }
    }

    fn book(&mut self, holder: &Holder, execution: &Execution) {
        let booking = self.portfolio.plan(&self.instrument, holder, execution);
        self.portfolio.commit(booking.unwrap());
    }

    fn split(&mut self, numerator: u32, denominator: u32) {
        let split = Split {
            sequence: 1,
            numerator,
            denominator,
        };
        let booking = self.portfolio.plan_split(&self.instrument, &split).unwrap();
        self.portfolio
            .commit_split(&self.instrument, split, booking);
    }

    fn unrealized(&self, mark: &str) -> Money {
        let mark = self.instrument.price(mark).unwrap();
        self.position()
            .unrealized_pnl(&self.instrument, mark)
            .unwrap()
    }

    fn position(&self) -> &Position {
        self.portfolio.positions().next().unwrap()
    }

    fn quantity(&self) -> String {
        let mantissa = i128::from(self.position().quantity);
        let text = crate::number::format_mantissa(mantissa, self.instrument.quantity_decimals);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    fn average(&self, decimals: u32) -> String {
        let average = self.position().average_price(&self.instrument).unwrap();
        average.round_dp(decimals).normalize().to_string()
    }

    /// Realised profit less fees.
    fn realized(&self) -> Decimal {
        let fees = self.portfolio.fees().get(&currency("USD"));
        self.position().realized_pnl.0 - fees.map_or(Decimal::ZERO, |fees| fees.0)
    }

    fn cash(&self, unit: &str) -> Decimal {
        self.portfolio.cash_of(&currency(unit)).normalize()
    }
}
