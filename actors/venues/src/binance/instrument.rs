//! Names and inferred definitions of the venue's instruments.

use crate::currency::currencies;
use apex_domain::book::SequenceRule;
use apex_domain::id::IdError;
use apex_domain::instrument::{FeeSchedule, InstrumentKind, InstrumentRules};
use apex_domain::number::Decimal;
use apex_domain::{Instrument, InstrumentId, Money, Price, Quantity, Rate};

/// The two markets that share symbols and wire shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Market {
    Spot,
    /// Perpetual contracts margined in the quote currency.
    UsdM,
}

impl Market {
    /// Returns how the market numbers the changes of its books.
    pub fn sequence_rule(self) -> SequenceRule {
        match self {
            Market::Spot => SequenceRule::BinanceSpot,
            Market::UsdM => SequenceRule::BinanceUsdM,
        }
    }
}

/// Returns the platform's id of a symbol: `BTCUSDT.BINANCE`, or `BTCUSDT-PERP.BINANCE` on USD-M.
///
/// Errors: [`IdError`] when the symbol holds other characters or is too long.
pub fn instrument_id(symbol: &str, market: Market) -> Result<InstrumentId, IdError> {
    let symbol = symbol.to_ascii_uppercase();
    InstrumentId::new(&match market {
        Market::Spot => format!("{symbol}.BINANCE"),
        Market::UsdM => format!("{symbol}-PERP.BINANCE"),
    })
}

/// The largest quantity of one order where no definition states one, as a mantissa. No real limit,
/// and far enough under `i64::MAX` that sums of many orders cannot overflow.
const MAX_QUANTITY: i64 = 1_000_000_000_000_000;

/// Infers a definition from the decimals that the market's data shows: the smallest step at those
/// decimals is the increment, and the smallest quantity; no fees and no least notional are known.
pub fn instrument(
    instrument_id: InstrumentId,
    market: Market,
    price_decimals: u8,
    quantity_decimals: u8,
) -> Instrument {
    let (base_currency, quote_currency) = currencies(instrument_id.symbol());
    Instrument {
        instrument_id,
        kind: match market {
            Market::Spot => InstrumentKind::Spot,
            Market::UsdM => InstrumentKind::Linear,
        },
        base_currency,
        quote_currency,
        price_decimals,
        quantity_decimals,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(MAX_QUANTITY),
        min_notional: Money::ZERO,
        multiplier: Rate(Decimal::ONE),
        initial_margin: Rate(Decimal::ONE),
        fees: FeeSchedule::default(),
        synthetic: false,
        rules: InstrumentRules::default(),
    }
}
