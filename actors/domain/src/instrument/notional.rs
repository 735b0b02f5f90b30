//! What a quantity is worth at a price, and prices back from worth.

use super::{Instrument, InstrumentKind};
use crate::money::Money;
use crate::number::{self, Decimal, NumberError, Price, Quantity};

/// Decimals to which the base amount of an inverse contract is rounded, half to even: one
/// hundred-millionth, as venues settle in. This is the only rounding that an inverse contract
/// adds: each fill is rounded once, and cost, margin and profit are sums of such amounts.
pub const INVERSE_DECIMALS: u8 = 8;

/// Decimals to which an average price is rounded, half to even.
const AVERAGE_DECIMALS: u32 = 16;

impl Instrument {
    /// Returns what `quantity` is worth at `price`, in [`Instrument::profit_currency`]:
    /// `price * quantity * multiplier`, exact, in the quote currency; for an inverse contract
    /// `quantity * multiplier / price` in the base currency, to [`INVERSE_DECIMALS`]. Has the
    /// sign of the quantity, times that of the price where it is not inverse.
    ///
    /// Errors: `OutOfRange` when it has more than 28 significant digits, or when the price of an
    /// inverse contract is not above zero.
    pub fn notional(&self, price: Price, quantity: Quantity) -> Result<Money, NumberError> {
        if self.kind == InstrumentKind::Inverse {
            return self.base_amount(price, quantity);
        }
        let product = i128::from(price.0) * i128::from(quantity.0);
        let value = number::decimal_of(product, self.price_decimals + self.quantity_decimals)?;
        value
            .checked_mul(self.multiplier.0)
            .map(Money)
            .ok_or(NumberError::OutOfRange)
    }

    fn base_amount(&self, price: Price, quantity: Quantity) -> Result<Money, NumberError> {
        if price.0 <= 0 {
            return Err(NumberError::OutOfRange);
        }
        if let Some(amount) = self.exact_base_amount(price, quantity) {
            return number::decimal_of(amount, INVERSE_DECIMALS).map(Money);
        }
        // Beyond 38 digits on the way: the quotient is rounded to 28 digits first.
        self.quantity_decimal(quantity)
            .checked_mul(self.multiplier.0)
            .and_then(|value| value.checked_div(self.price_decimal(price)))
            .map(|amount| Money(amount.round_dp(u32::from(INVERSE_DECIMALS))))
            .ok_or(NumberError::OutOfRange)
    }

    /// Integer arithmetic, rounded once. `None` when an intermediate passes 128 bits.
    fn exact_base_amount(&self, price: Price, quantity: Quantity) -> Option<i128> {
        let multiplier = self.multiplier.0.normalize();
        let mut numerator = i128::from(quantity.0).checked_mul(multiplier.mantissa())?;
        let mut denominator = i128::from(price.0);
        let up = self.price_decimals + INVERSE_DECIMALS;
        let down = self.quantity_decimals + multiplier.scale() as u8;
        if up >= down {
            numerator = numerator.checked_mul(number::pow10(up - down)?)?;
        } else {
            denominator = denominator.checked_mul(number::pow10(down - up)?)?;
        }
        number::div_half_even(numerator, denominator)
    }

    /// Returns the price at which `quantity` (a mantissa, signed or not) is worth `amount`, to 16
    /// decimals, half to even: the average price of fills by their sums. `None` when either is
    /// zero where it divides, or beyond what a decimal holds.
    ///
    /// Source: FIX AvgPx (6).
    pub fn average_price(&self, quantity: i64, amount: Money) -> Option<Decimal> {
        let units = self
            .quantity_decimal(Quantity(quantity))
            .checked_mul(self.multiplier.0)?;
        let average = match self.kind {
            InstrumentKind::Spot | InstrumentKind::Linear => amount.0.checked_div(units)?,
            InstrumentKind::Inverse => units.checked_div(amount.0)?,
        };
        Some(average.round_dp(AVERAGE_DECIMALS))
    }

    /// Returns the notional whose average price is `average`: what [`Instrument::average_price`]
    /// was made of, since its 16 decimals reach beyond those of any sum of fills. `None` beyond
    /// what a decimal holds, or for an inverse contract at a price of zero.
    pub fn notional_at(&self, quantity: Quantity, average: Decimal) -> Option<Money> {
        let units = self.quantity_decimal(quantity);
        let units = units.checked_mul(self.multiplier.0)?;
        let (sum, decimals) = match self.kind {
            InstrumentKind::Spot | InstrumentKind::Linear => {
                let decimals = u32::from(self.price_decimals + self.quantity_decimals);
                let sum = units.checked_mul(average)?;
                (sum, decimals + self.multiplier.0.scale())
            }
            InstrumentKind::Inverse => {
                let sum = units.checked_div(average)?;
                (sum, u32::from(INVERSE_DECIMALS))
            }
        };
        Some(Money(sum.round_dp(decimals)))
    }

    /// Returns the profit of a holding that was opened for `cost` and is worth `value` now, both
    /// signed as the holding is. An inverse contract gains while its base amount falls.
    ///
    /// Errors: `OutOfRange`.
    pub fn profit(&self, cost: Money, value: Money) -> Result<Money, NumberError> {
        match self.kind {
            InstrumentKind::Spot | InstrumentKind::Linear => value.checked_sub(cost),
            InstrumentKind::Inverse => cost.checked_sub(value),
        }
    }

    /// Returns the smallest quantity of which one order at `price` is accepted.
    ///
    /// Errors: `OutOfRange` when even `max_quantity` stays under the smallest notional.
    pub fn smallest_orderable(&self, price: Price) -> Result<Quantity, NumberError> {
        let step = i128::from(self.quantity_increment.0);
        let mut quantity = i128::from(self.min_quantity.0);
        if self.min_notional.0 > Decimal::ZERO {
            quantity = quantity.max(self.units_worth(price)?);
        }
        quantity = (quantity + step - 1) / step * step;
        match i64::try_from(quantity) {
            Ok(mantissa) if mantissa <= self.max_quantity.0 => Ok(Quantity(mantissa)),
            _ => Err(NumberError::OutOfRange),
        }
    }

    /// Returns the fewest units, a mantissa, that are worth the smallest notional.
    fn units_worth(&self, price: Price) -> Result<i128, NumberError> {
        let unit = self.quantity_decimal(Quantity(1));
        let price = self.price_decimal(price);
        let units = match self.kind {
            InstrumentKind::Spot | InstrumentKind::Linear => unit
                .checked_mul(self.multiplier.0)
                .and_then(|worth| worth.checked_mul(price.abs()))
                .and_then(|worth| self.min_notional.0.checked_div(worth)),
            InstrumentKind::Inverse => unit
                .checked_mul(self.multiplier.0)
                .and_then(|worth| self.min_notional.0.checked_mul(price)?.checked_div(worth)),
        };
        let units = units.ok_or(NumberError::OutOfRange)?.ceil();
        Ok(units.trunc().mantissa())
    }
}
