//! What can be traded, and the rules that its venue sets for prices and quantities.
//!
//! Prices are in [`bands`], worth in [`notional`], fees in [`fees`], further rules in [`rules`],
//! and what a definition must hold in [`validate`].

pub mod bands;
pub mod fees;
pub mod notional;
pub mod rules;
pub mod validate;

pub use fees::{Fee, FeeSchedule};
pub use notional::INVERSE_DECIMALS;
pub use rules::{AssetClass, InstrumentRules, Lacks, PriceBand};
pub use validate::InstrumentError;

use crate::id::{Currency, InstrumentId};
use crate::money::{Money, Rate};
use crate::number::{self, Decimal, DecimalText, NumberError, Price, Quantity};
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};

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

/// An instrument definition. Prices and quantities of this instrument are mantissas at
/// `price_decimals` and `quantity_decimals`; the increments, limits and bounds use the same
/// units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    pub instrument_id: InstrumentId,
    pub kind: InstrumentKind,
    /// What a quantity counts, such as `BTC`; for a contract the underlying.
    pub base_currency: Currency,
    /// What a price is counted in, and the profit of all kinds but the inverse one.
    pub quote_currency: Currency,
    pub price_decimals: u8,
    pub quantity_decimals: u8,
    /// Prices are whole multiples of this, up to the first of `rules.price_bands`; above zero.
    pub price_increment: Price,
    /// Quantities are whole multiples of this; above zero.
    pub quantity_increment: Quantity,
    /// The smallest quantity of one order, inclusive.
    pub min_quantity: Quantity,
    /// The largest quantity of one order, inclusive.
    pub max_quantity: Quantity,
    /// The smallest notional of one order, inclusive; zero where there is none. In base currency
    /// for an inverse contract, as every notional of one is.
    pub min_notional: Money,
    /// Quote currency per price unit and quantity unit; 1 for spot. For an inverse contract the
    /// quote currency that one contract is worth.
    pub multiplier: Rate,
    /// Share of the notional that must be held for an open position; 1 for spot.
    pub initial_margin: Rate,
    pub fees: FeeSchedule,
    /// Made by a generator or as a clone for load, not listed anywhere.
    pub synthetic: bool,
    /// Everything else that its venue sets.
    pub rules: InstrumentRules,
}

impl Instrument {
    /// Returns the first field by which a new definition of this instrument would count what is
    /// booked, or read what is sent, in another way; `None` where only rules and costs change.
    pub fn changed_unit(&self, new: &Instrument) -> Option<&'static str> {
        [
            ("kind", self.kind != new.kind),
            ("base_currency", self.base_currency != new.base_currency),
            ("quote_currency", self.quote_currency != new.quote_currency),
            ("price_decimals", self.price_decimals != new.price_decimals),
            (
                "quantity_decimals",
                self.quantity_decimals != new.quantity_decimals,
            ),
            ("multiplier", self.multiplier != new.multiplier),
        ]
        .into_iter()
        .find_map(|(field, changed)| changed.then_some(field))
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

    /// Returns the currency in which notional, margin and profit are counted.
    pub fn profit_currency(&self) -> &Currency {
        match self.kind {
            InstrumentKind::Spot | InstrumentKind::Linear => &self.quote_currency,
            InstrumentKind::Inverse => &self.base_currency,
        }
    }

    /// Returns true from the moment on at which a future ends; never for what has no end.
    pub fn is_expired(&self, now: UnixNanos) -> bool {
        self.rules.expires_at.is_some_and(|end| now >= end)
    }

    /// Returns the last moment at which a future trades; `None` for what has no end.
    pub fn last_moment(&self) -> Option<UnixNanos> {
        self.rules.expires_at.map(|end| end.plus(-1))
    }

    pub fn is_on_quantity_increment(&self, quantity: Quantity) -> bool {
        quantity.0 % self.quantity_increment.0 == 0
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
}

#[cfg(test)]
mod tests;
