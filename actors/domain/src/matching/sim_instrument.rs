//! The instruments of the simulated exchange.

use super::agents::{DayShape, MarketParameters};
use crate::instrument::{
    AssetClass, FeeSchedule, Instrument, InstrumentError, InstrumentKind, InstrumentRules,
    PriceBand,
};
use crate::number::{Price, Quantity};
use crate::time::{NANOS_PER_SECOND, UnixNanos};
use crate::{Currency, Decimal, InstrumentId, Money, Rate};

/// Eight hours, as perpetuals commonly have.
const FUNDING_INTERVAL_NS: i64 = 8 * 3_600 * NANOS_PER_SECOND;

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
    /// The rate of each payment of funding; by the premium over the index where not set.
    pub funding_rate: Option<Rate>,
    /// How its traders behave.
    pub parameters: MarketParameters,
}

impl SimInstrument {
    /// The increment at the start price, which holds wherever the market goes.
    pub(super) fn tick(&self) -> i64 {
        self.instrument.price_increment_at(self.start_price).0
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
        let is_funded = self.instrument.rules.funding_interval_ns.is_some();
        if self.funding_rate.is_some() && !is_funded {
            return Err(InstrumentError::Contradiction {
                instrument_id: self.instrument.instrument_id.clone(),
                field: "funding_rate",
                detail: "is set without funding_interval_ns",
            });
        }
        self.stays_on_its_grid()
    }

    /// Checks the prices and quantities of the simulated traders.
    fn stays_on_its_grid(&self) -> Result<(), InstrumentError> {
        let instrument = &self.instrument;
        let contradiction = |field, detail| {
            Err(InstrumentError::Contradiction {
                instrument_id: instrument.instrument_id.clone(),
                field,
                detail,
            })
        };
        if !instrument.is_on_price_increment(self.start_price) {
            return contradiction("start_price", "is not on the price increment");
        }
        // The fair value stays within these.
        let (low, high) = (self.start_price.0 / 2, self.start_price.0.checked_mul(2));
        let Some(high) = high else {
            return contradiction("start_price", "is above half of what a price can be");
        };
        let increment = |price| instrument.price_increment_at(Price(price)).0;
        if increment(low) != self.tick() || increment(high) != self.tick() {
            return contradiction(
                "start_price",
                "has another price increment at half or twice of it",
            );
        }
        if !instrument.is_on_quantity_increment(self.lot) {
            return contradiction("lot", "is not on the quantity increment");
        }
        Ok(())
    }

    /// Returns the market that is there by default: spot (BTCUSDT, ETHUSDT), a linear perpetual
    /// with funding (BTCUSDT-PERP), a future (BTCUSDT-20301227) and shares (AAPL whole; MSFT in
    /// fractions, with a fee for each share and price bands), all `.SIM`. The smallest quantity at
    /// half the start price is worth more than the smallest notional, so it always is an order. No
    /// inverse contract: a new account, which has cash of each quote currency, could not margin
    /// it. New ones come at the end: each draws from the stream of its place.
    pub fn defaults() -> Vec<SimInstrument> {
        vec![
            crypto("BTC", 6_000_000, 100, 10_000_000, 5_000),
            crypto("ETH", 300_000, 1_000, 100_000_000, 100_000),
            share("AAPL", 19_000),
            perpetual(),
            future(),
            fractional_share("MSFT", 4_000_000),
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
        funding_rate: None,
        parameters: MarketParameters::default(),
    }
}

/// Prices have one decimal and quantities three.
fn contract(symbol: &str) -> SimInstrument {
    let definition = instrument(symbol, "BTC", "USDT");
    let start = 600_000;
    SimInstrument {
        instrument: Instrument {
            kind: InstrumentKind::Linear,
            price_decimals: 1,
            quantity_decimals: 3,
            max_quantity: Quantity(1_000_000),
            min_notional: Money(Decimal::from(5)),
            initial_margin: Rate(Decimal::new(5, 2)),
            fees: FeeSchedule {
                maker: Rate(Decimal::new(2, 4)),
                taker: Rate(Decimal::new(5, 4)),
                decimals: Some(8),
                ..FeeSchedule::default()
            },
            rules: InstrumentRules {
                maintenance_margin: Some(Rate(Decimal::new(25, 3))),
                ..InstrumentRules::default()
            },
            ..definition
        },
        start_price: Price(start),
        half_spread_ticks: start / 120_000,
        level_ticks: start / 150_000,
        walk_milliticks: start / 200,
        lot: Quantity(50),
        funding_rate: None,
        parameters: MarketParameters::default(),
    }
}

fn perpetual() -> SimInstrument {
    let mut perpetual = contract("BTCUSDT-PERP");
    perpetual.instrument.rules.funding_interval_ns = Some(FUNDING_INTERVAL_NS);
    perpetual
}

/// Ends on the last Friday of 2030, at 08:00 UTC.
fn future() -> SimInstrument {
    let mut future = contract("BTCUSDT-20301227");
    future.instrument.rules.class = AssetClass::Future;
    future.instrument.rules.expires_at = Some(UnixNanos(1_924_588_800 * NANOS_PER_SECOND));
    future
}

/// A share by the rules of the United States: four decimals below 1.00 and two from there on
/// (Regulation NMS, Rule 612). Its fee is 0.005 a share and at least 1.00.
fn fractional_share(symbol: &str, start: i64) -> SimInstrument {
    let mut share = share(symbol, start);
    share.instrument.price_decimals = 4;
    share.instrument.quantity_decimals = 3;
    share.instrument.min_quantity = Quantity(10);
    share.instrument.max_quantity = Quantity(100_000_000);
    share.instrument.rules.price_bands = vec![PriceBand {
        from: Price(10_000),
        increment: Price(100),
    }];
    share.instrument.fees = FeeSchedule {
        decimals: Some(4),
        per_unit: Money(Decimal::new(5, 3)),
        minimum: Money(Decimal::ONE),
        ..FeeSchedule::default()
    };
    share.half_spread_ticks = 4;
    share.level_ticks = 2;
    share.walk_milliticks = 200;
    share.lot = Quantity(20_000);
    share
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
        funding_rate: None,
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
        assert_eq!(all.len(), 6);
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
                "AAPL" | "MSFT" => AssetClass::Equity,
                "BTCUSDT-20301227" => AssetClass::Future,
                _ => AssetClass::Crypto,
            };
            assert_eq!(
                instrument.rules.class, class,
                "{}",
                instrument.instrument_id
            );
        }
    }

    #[test]
    fn what_would_leave_its_grid_is_refused_by_field() {
        let defaults = SimInstrument::defaults;
        let mut off = defaults().remove(5);
        off.start_price = Price(4_000_050);
        let mut cheap = defaults().remove(5);
        cheap.start_price = Price(12_000);
        let mut odd = defaults().remove(0);
        odd.instrument.quantity_increment = Quantity(10);
        odd.lot = Quantity(15);
        for (definition, field) in [(off, "start_price"), (cheap, "start_price"), (odd, "lot")] {
            let refused = definition.validate().unwrap_err();
            assert_eq!(refused.field(), field, "{refused}");
        }
    }
}
