//! What the tests of several modules share.

use crate::instrument::{FeeSchedule, Instrument, InstrumentKind, InstrumentRules};
use crate::{Currency, InstrumentId, Money, Price, Quantity, Rate};

/// An instrument with whole prices and quantities and without fees.
pub(super) fn instrument(id: &str) -> Instrument {
    Instrument {
        instrument_id: InstrumentId::new(id).unwrap(),
        kind: InstrumentKind::Spot,
        base_currency: Currency::new("BTC").unwrap(),
        quote_currency: Currency::new("USDT").unwrap(),
        price_decimals: 0,
        quantity_decimals: 0,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(1_000_000),
        min_notional: Money::ZERO,
        multiplier: Rate::parse("1").unwrap(),
        initial_margin: Rate::parse("1").unwrap(),
        fees: FeeSchedule::default(),
        synthetic: true,
        rules: InstrumentRules::default(),
    }
}
