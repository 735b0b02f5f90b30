//! The instruments of the simulated exchange.

use super::agents::{DayShape, MarketParameters};
use crate::instrument::{
    AssetClass, FeeSchedule, Instrument, InstrumentError, InstrumentKind, InstrumentRules,
};
use crate::number::{Price, Quantity};
use crate::{Currency, Decimal, InstrumentId, Money, Rate};

/// An instrument and the temper of its market. A tick is one price increment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimInstrument {
    pub instrument: Instrument,
    /// Where the fair value begins and is pulled back to; it stays between half and twice this.
    pub start_price: Price,
    /// From the fair value to the best maker's quote.
    pub half_spread_ticks: i64,
    /// From one maker's quote to the next.
    pub level_ticks: i64,
    /// The scale of the fair value's moves within 10 ms, in thousandths of a tick: in calm at
    /// ordinary activity their standard deviation is 0.577 of this, as if they were uniform up to
    /// it.
    pub walk_milliticks: i64,
    /// The unit of the simulated traders' orders, a multiple of the quantity increment.
    pub lot: Quantity,
    /// How its traders behave.
    pub parameters: MarketParameters,
}

impl SimInstrument {
    pub(super) fn tick(&self) -> i64 {
        self.instrument.price_increment.0
    }

    /// Returns the start price in thousandths of a tick.
    pub(super) fn start_milliticks(&self) -> i64 {
        (self.start_price.0 / self.tick()).saturating_mul(1_000)
    }

    /// Returns the standard deviation of a calm step of 10 ms in thousandths of a tick, above zero.
    pub(super) fn step_deviation_milliticks(&self) -> i64 {
        (self.walk_milliticks.saturating_mul(577) / 1_000).max(1)
    }

    /// Checks what the simulated traders rely on, but for the bounds of
    /// [`MarketParameters::validate`].
    ///
    /// Errors: [`InstrumentError`], naming the field.
    pub fn validate(&self) -> Result<(), InstrumentError> {
        self.instrument.validate()?;
        for (field, value) in [
            ("start_price", self.start_price.0),
            ("half_spread_ticks", self.half_spread_ticks),
            ("level_ticks", self.level_ticks),
            ("walk_milliticks", self.walk_milliticks),
            ("lot", self.lot.0),
        ] {
            if value <= 0 {
                return Err(InstrumentError::NotPositive {
                    instrument_id: self.instrument.instrument_id.clone(),
                    field,
                });
            }
        }
        Ok(())
    }

    /// Returns BTCUSDT.SIM, ETHUSDT.SIM and AAPL.SIM. The smallest quantity at half the start
    /// price is worth more than the smallest notional, so it always is an order.
    pub fn defaults() -> Vec<SimInstrument> {
        vec![
            crypto("BTC", 6_000_000, 100, 10_000_000, 5_000),
            crypto("ETH", 300_000, 1_000, 100_000_000, 100_000),
            share("AAPL", 19_000),
        ]
    }
}

fn id(text: &str) -> InstrumentId {
    // Called with the constants of this file only; a test makes each of them.
    InstrumentId::new(text).expect("instrument id of a default instrument")
}

fn currency(text: &str) -> Currency {
    // As above.
    Currency::new(text).expect("currency of a default instrument")
}

fn instrument(symbol: &str, base: &str, quote: &str) -> Instrument {
    Instrument {
        instrument_id: id(&format!("{symbol}.SIM")),
        kind: InstrumentKind::Spot,
        base_currency: currency(base),
        quote_currency: currency(quote),
        price_decimals: 2,
        quantity_decimals: 0,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(100_000),
        min_notional: Money(Decimal::ONE),
        multiplier: Rate(Decimal::ONE),
        initial_margin: Rate(Decimal::ONE),
        // 1 and 2 basis points.
        fees: FeeSchedule {
            maker: Rate(Decimal::new(1, 4)),
            taker: Rate(Decimal::new(2, 4)),
            decimals: Some(4),
            ..FeeSchedule::default()
        },
        synthetic: true,
        rules: InstrumentRules::default(),
    }
}

/// Quantities have five decimals, and the numbers here are mantissas.
fn crypto(base: &str, start: i64, min: i64, max: i64, lot: i64) -> SimInstrument {
    let definition = instrument(&format!("{base}USDT"), base, "USDT");
    SimInstrument {
        instrument: Instrument {
            quantity_decimals: 5,
            min_quantity: Quantity(min),
            max_quantity: Quantity(max),
            min_notional: Money(Decimal::from(5)),
            fees: FeeSchedule {
                decimals: Some(8),
                ..definition.fees
            },
            ..definition
        },
        start_price: Price(start),
        // About 1.7 basis points of spread, and a calm movement of about 0.3 in a second.
        half_spread_ticks: start / 120_000,
        level_ticks: start / 150_000,
        walk_milliticks: start / 200,
        lot: Quantity(lot),
        parameters: MarketParameters::default(),
    }
}

fn share(symbol: &str, start: i64) -> SimInstrument {
    SimInstrument {
        instrument: Instrument {
            rules: InstrumentRules {
                class: AssetClass::Equity,
                ..InstrumentRules::default()
            },
            ..instrument(symbol, symbol, "USDT")
        },
        start_price: Price(start),
        half_spread_ticks: 2,
        level_ticks: 1,
        walk_milliticks: 100,
        lot: Quantity(20),
        parameters: MarketParameters {
            factor_permille: 450,
            // 14:30 to 21:00 UTC, New York in winter. Outside it is busier than a real share, so
            // that there is something to see at any hour.
            day: DayShape::Session {
                open_minute: 14 * 60 + 30,
                close_minute: 21 * 60,
                edge_permille: 2_000,
                middle_permille: 800,
                outside_permille: 850,
            },
            ..MarketParameters::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_instruments_are_valid_and_their_smallest_order_is_an_order() {
        let all = SimInstrument::defaults();
        assert_eq!(all.len(), 3);
        for definition in all {
            definition.validate().unwrap();
            definition.parameters.validate().unwrap();
            let instrument = &definition.instrument;
            let lowest = Price(definition.start_price.0 / 2);
            assert_eq!(
                instrument.smallest_orderable(lowest),
                Ok(instrument.min_quantity),
                "{}",
                instrument.instrument_id
            );
            assert!(instrument.is_on_quantity_increment(definition.lot));
            assert!(instrument.is_on_price_increment(definition.start_price));
            let class = match instrument.instrument_id.symbol() {
                "AAPL" => AssetClass::Equity,
                _ => AssetClass::Crypto,
            };
            assert_eq!(
                instrument.rules.class, class,
                "{}",
                instrument.instrument_id
            );
        }
    }
}
