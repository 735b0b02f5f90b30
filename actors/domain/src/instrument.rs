//! What can be traded, and the rules that its venue sets for prices and quantities.

use crate::id::{Currency, InstrumentId};
use crate::money::{Money, Rate};
use crate::number::{self, Decimal, DecimalText, MAX_DECIMALS, NumberError, Price, Quantity};
use crate::order::{OrderType, TimeInForce};
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How profit is made and what a fill moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum InstrumentKind {
    /// The base asset itself changes hands against the quote currency.
    Spot,
    /// A contract whose profit is `quantity * multiplier * price change` in the quote currency.
    Linear,
    /// A contract of `multiplier` units of the quote currency, whose profit is
    /// `quantity * multiplier * (1 / entry - 1 / exit)` in the base currency.
    Inverse,
}

/// What a venue charges for a fill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeSchedule {
    /// Share of the notional for a fill of a resting order; negative is a rebate.
    pub maker: Rate,
    /// Share of the notional for a fill that took liquidity.
    pub taker: Rate,
    /// Decimals to which the venue rounds each fee, half to even; `None` leaves it exact.
    pub decimals: Option<u8>,
    /// Charged for each whole unit of quantity on top, as shares are.
    pub per_unit: Money,
    /// The least that one fill is charged.
    pub minimum: Money,
    /// What a buy of a spot instrument is charged in: the asset that it buys instead of the
    /// quote currency.
    pub in_base: bool,
}

/// An instrument definition. Prices and quantities of this instrument are mantissas at
/// `price_decimals` and `quantity_decimals`; the increments, limits and bounds use the same
/// units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    pub instrument_id: InstrumentId,
    pub kind: InstrumentKind,
    /// What a quantity counts, such as `BTC`; for a contract the underlying.
    pub base_currency: Currency,
    /// What a price and the profit are counted in.
    pub quote_currency: Currency,
    pub price_decimals: u8,
    pub quantity_decimals: u8,
    /// Prices are whole multiples of this; above zero.
    pub price_increment: Price,
    /// Quantities are whole multiples of this; above zero.
    pub quantity_increment: Quantity,
    /// The smallest quantity of one order, inclusive.
    pub min_quantity: Quantity,
    /// The largest quantity of one order, inclusive.
    pub max_quantity: Quantity,
    /// The smallest notional of one order, inclusive; zero where there is none.
    pub min_notional: Money,
    /// Quote currency per price unit and quantity unit; 1 for spot.
    pub multiplier: Rate,
    /// Share of the notional that must be held for an open position; 1 for spot.
    pub initial_margin: Rate,
    pub fees: FeeSchedule,
    /// Made by a generator or as a clone for load, not listed anywhere.
    pub synthetic: bool,
    /// Everything else that its venue sets.
    pub rules: InstrumentRules,
}

/// Further rules of an instrument. The default has none, and a venue that does everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstrumentRules {
    pub class: AssetClass,
    /// Other price increments from given prices on, in rising order; below the first of them
    /// `price_increment` holds.
    pub price_bands: Vec<PriceBand>,
    /// The largest notional of one order, inclusive, in quote currency (base currency for an
    /// inverse contract).
    pub max_notional: Option<Money>,
    /// Share of the notional under which the venue liquidates; the initial margin when not set.
    pub maintenance_margin: Option<Rate>,
    /// How often funding is paid; `None` for what has none.
    pub funding_interval_ns: Option<i64>,
    /// When a future ends.
    pub expires_at: Option<UnixNanos>,
    /// Name of the trading calendar that DAY orders and auctions follow, such as `XNYS`; trades
    /// around the clock when empty, with days that end at 00:00 UTC.
    pub calendar: String,
    /// Share of the reference price beyond which the venue takes no limit price.
    pub price_collar: Option<Rate>,
    /// What the venue does not offer. The account does it itself where it can.
    pub lacks: Lacks,
}

/// What is traded, for people and for choosing a calendar.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum AssetClass {
    #[default]
    Crypto,
    Equity,
    Fx,
    Future,
    Option,
    Index,
}

/// From `from` on, inclusive, prices are whole multiples of `increment`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceBand {
    pub from: Price,
    pub increment: Price,
}

/// What a venue does not offer for an instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacks {
    pub order_types: Vec<OrderType>,
    pub times_in_force: Vec<TimeInForce>,
    pub iceberg: bool,
    pub post_only: bool,
    pub reduce_only: bool,
}

/// Why an instrument definition is refused. The definition has to be mended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InstrumentError {
    #[error("{field} of {instrument_id} must be above zero")]
    NotPositive {
        instrument_id: InstrumentId,
        field: &'static str,
    },
    #[error("{field} of {instrument_id} is above the supported {MAX_DECIMALS}")]
    Decimals {
        instrument_id: InstrumentId,
        field: &'static str,
    },
    #[error("min_quantity of {instrument_id} is above max_quantity")]
    Bounds { instrument_id: InstrumentId },
}

impl Instrument {
    /// Checks what every other method relies on.
    ///
    /// Errors: [`InstrumentError`], naming the field.
    pub fn validate(&self) -> Result<(), InstrumentError> {
        let id = || self.instrument_id.clone();
        for (field, value) in [
            ("price_increment", self.price_increment.0),
            ("quantity_increment", self.quantity_increment.0),
            ("min_quantity", self.min_quantity.0),
            ("max_quantity", self.max_quantity.0),
        ] {
            if value <= 0 {
                return Err(InstrumentError::NotPositive {
                    instrument_id: id(),
                    field,
                });
            }
        }
        if self.multiplier.0 <= Decimal::ZERO {
            return Err(InstrumentError::NotPositive {
                instrument_id: id(),
                field: "multiplier",
            });
        }
        for (field, value) in [
            ("price_decimals", self.price_decimals),
            ("quantity_decimals", self.quantity_decimals),
        ] {
            if value > MAX_DECIMALS {
                return Err(InstrumentError::Decimals {
                    instrument_id: id(),
                    field,
                });
            }
        }
        if self.min_quantity > self.max_quantity {
            return Err(InstrumentError::Bounds {
                instrument_id: id(),
            });
        }
        Ok(())
    }

    /// Reads a price at this instrument's decimals. Does not look at the increment.
    ///
    /// Errors: [`NumberError`]; `TooPrecise` means that it is off the increment by its digits.
    pub fn price(&self, text: &str) -> Result<Price, NumberError> {
        DecimalText::parse(text.as_bytes())?
            .at(self.price_decimals)
            .map(Price)
    }

    /// Reads a quantity at this instrument's decimals. Does not look at the increment.
    ///
    /// Errors: [`NumberError`]; a negative quantity is `Negative`.
    pub fn quantity(&self, text: &str) -> Result<Quantity, NumberError> {
        let mantissa = DecimalText::parse(text.as_bytes())?.at(self.quantity_decimals)?;
        if mantissa < 0 {
            Err(NumberError::Negative)
        } else {
            Ok(Quantity(mantissa))
        }
    }

    /// Returns true for a contract: a fill moves its profit, not the asset itself.
    pub fn settles_profit(&self) -> bool {
        self.kind != InstrumentKind::Spot
    }

    /// Returns the currency in which profit is counted.
    pub fn profit_currency(&self) -> &Currency {
        match self.kind {
            InstrumentKind::Spot | InstrumentKind::Linear => &self.quote_currency,
            InstrumentKind::Inverse => &self.base_currency,
        }
    }

    pub fn is_on_price_increment(&self, price: Price) -> bool {
        price.0 % self.price_increment.0 == 0
    }

    pub fn is_on_quantity_increment(&self, quantity: Quantity) -> bool {
        quantity.0 % self.quantity_increment.0 == 0
    }

    /// Returns `price * quantity * multiplier` in the quote currency, exact.
    ///
    /// Errors: `OutOfRange` when it has more than 28 significant digits.
    pub fn notional(&self, price: Price, quantity: Quantity) -> Result<Money, NumberError> {
        let product = i128::from(price.0) * i128::from(quantity.0);
        let value = number::decimal_of(product, self.price_decimals + self.quantity_decimals)?;
        value
            .checked_mul(self.multiplier.0)
            .map(Money)
            .ok_or(NumberError::OutOfRange)
    }

    /// Returns the fee of a fill in the quote currency; negative is a rebate.
    ///
    /// Errors: as [`Instrument::notional`].
    pub fn fee(&self, price: Price, quantity: Quantity, maker: bool) -> Result<Money, NumberError> {
        let rate = if maker {
            self.fees.maker
        } else {
            self.fees.taker
        };
        if rate.is_zero() {
            return Ok(Money::ZERO);
        }
        let notional = self.notional(price, quantity)?;
        let fee = notional
            .0
            .abs()
            .checked_mul(rate.0)
            .ok_or(NumberError::OutOfRange)?;
        Ok(Money(match self.fees.decimals {
            // `round_dp` of `Decimal` is half to even.
            Some(decimals) => fee.round_dp(u32::from(decimals)),
            None => fee,
        }))
    }

    pub fn price_decimal(&self, price: Price) -> Decimal {
        Decimal::new(price.0, u32::from(self.price_decimals))
    }

    pub fn quantity_decimal(&self, quantity: Quantity) -> Decimal {
        Decimal::new(quantity.0, u32::from(self.quantity_decimals))
    }

    pub fn format_price(&self, price: Price) -> String {
        number::format_mantissa(i128::from(price.0), self.price_decimals)
    }

    pub fn format_quantity(&self, quantity: Quantity) -> String {
        number::format_mantissa(i128::from(quantity.0), self.quantity_decimals)
    }

    /// Returns the smallest quantity of which one order at `price` is accepted.
    ///
    /// Errors: `OutOfRange` when even `max_quantity` stays under the smallest notional.
    pub fn smallest_orderable(&self, price: Price) -> Result<Quantity, NumberError> {
        let step = i128::from(self.quantity_increment.0);
        let mut quantity = i128::from(self.min_quantity.0);
        let per_unit = self.notional(price, Quantity(1))?.0.abs();
        if self.min_notional.0 > Decimal::ZERO {
            if per_unit.is_zero() {
                return Err(NumberError::OutOfRange);
            }
            let needed = (self.min_notional.0 / per_unit).ceil().mantissa();
            quantity = quantity.max(needed);
        }
        quantity = (quantity + step - 1) / step * step;
        match i64::try_from(quantity) {
            Ok(mantissa) if mantissa <= self.max_quantity.0 => Ok(Quantity(mantissa)),
            _ => Err(NumberError::OutOfRange),
        }
    }
}
