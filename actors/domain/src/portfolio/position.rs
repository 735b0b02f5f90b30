//! One position and the arithmetic of a trade.

use super::Holder;
use crate::id::{InstrumentId, StrategyId};
use crate::instrument::{Instrument, InstrumentKind};
use crate::money::Money;
use crate::number::{self, Decimal, NumberError, Price, Quantity, pow10};
use crate::order::PositionSide;
use serde::{Deserialize, Serialize};

/// Decimals to which a released cost and an average price are rounded, half to even.
pub const COST_DECIMALS: u32 = 16;

/// A position of one strategy in one instrument. Money is in the currency of the instrument's
/// profit: the quote currency, or the base currency of an inverse contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub instrument_id: InstrumentId,
    pub strategy_id: StrategyId,
    /// `Net`, or which of the two positions of a hedging account this is.
    pub side: PositionSide,
    /// Positive is long, negative short; a mantissa at the instrument's quantity decimals.
    pub quantity: i64,
    /// Sum of the notionals of what is open, with the sign of the quantity.
    pub open_cost: Money,
    /// Profit of what was closed, before fees and funding.
    pub realized_pnl: Money,
}

impl Position {
    /// Returns a position before its first trade.
    pub fn flat(instrument_id: InstrumentId, holder: &Holder) -> Position {
        Position {
            instrument_id,
            strategy_id: holder.strategy_id.clone(),
            side: holder.side,
            quantity: 0,
            open_cost: Money::ZERO,
            realized_pnl: Money::ZERO,
        }
    }

    /// Returns what is open, with nothing realised yet.
    pub(super) fn holding(&self) -> Holding {
        Holding {
            quantity: self.quantity,
            open_cost: self.open_cost.0,
            realized: Decimal::ZERO,
        }
    }

    /// Returns whose position this is.
    pub fn holder(&self) -> Holder {
        Holder {
            strategy_id: self.strategy_id.clone(),
            side: self.side,
        }
    }

    pub fn is_flat(&self) -> bool {
        self.quantity == 0
    }

    /// Returns the average price of what is open, to 16 decimals, half to even; `None` when flat
    /// or beyond what a decimal holds. See [`Instrument::average_price`].
    pub fn average_price(&self, instrument: &Instrument) -> Option<Decimal> {
        instrument.average_price(self.quantity, self.open_cost)
    }

    /// Returns what the position is worth at `mark`, with the sign of its quantity.
    ///
    /// Errors: `OutOfRange`.
    pub fn value(&self, instrument: &Instrument, mark: Price) -> Result<Money, NumberError> {
        signed_notional(instrument, mark, self.quantity)
    }

    /// Returns what closing at `mark` would realise, before fees.
    ///
    /// Errors: `OutOfRange`.
    pub fn unrealized_pnl(
        &self,
        instrument: &Instrument,
        mark: Price,
    ) -> Result<Money, NumberError> {
        if self.is_flat() {
            return Ok(Money::ZERO);
        }
        instrument.profit(self.open_cost, self.value(instrument, mark)?)
    }
}

/// Returns the notional of a signed quantity.
pub(crate) fn signed_notional(
    instrument: &Instrument,
    price: Price,
    quantity: i64,
) -> Result<Money, NumberError> {
    instrument.notional(price, Quantity(quantity))
}

/// Quantity and cost of what is open, and what a change of it realised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    pub quantity: i64,
    pub open_cost: Decimal,
    pub realized: Decimal,
}

impl Holding {
    /// Returns the holding after `delta` was traded at `price`. What opens adds its notional to
    /// the cost, what closes releases its share of the cost, and a trade through zero does both:
    /// its two notionals sum to that of the whole fill, so that an inverse contract is rounded
    /// once a fill.
    ///
    /// Errors: `OutOfRange`.
    pub fn trade(
        self,
        delta: i64,
        price: Price,
        instrument: &Instrument,
    ) -> Result<Holding, NumberError> {
        self.change(delta, price, instrument, true)
    }

    /// Returns the holding after `delta` came or went without a price, as a fee in the base
    /// asset does: what closes leaves at its average cost and realises nothing (the fee itself
    /// is the loss), what opens counts at `price`.
    ///
    /// Errors: `OutOfRange`.
    pub fn transfer(
        self,
        delta: i64,
        price: Price,
        instrument: &Instrument,
    ) -> Result<Holding, NumberError> {
        self.change(delta, price, instrument, false)
    }

    fn change(
        self,
        delta: i64,
        price: Price,
        instrument: &Instrument,
        realize: bool,
    ) -> Result<Holding, NumberError> {
        const RANGE: NumberError = NumberError::OutOfRange;
        let mut out = self;
        out.quantity = self.quantity.checked_add(delta).ok_or(RANGE)?;
        let closes = self.quantity != 0 && (self.quantity < 0) != (delta < 0);
        // Signed like `delta`: the part of it that meets the open position.
        let closing = match (closes, delta < 0) {
            (false, _) => 0,
            (true, true) => delta.max(self.quantity.checked_neg().ok_or(RANGE)?),
            (true, false) => delta.min(self.quantity.checked_neg().ok_or(RANGE)?),
        };
        let worth = signed_notional(instrument, price, closing)?;
        if closing != 0 {
            let released = share(self.open_cost, -closing, self.quantity).ok_or(RANGE)?;
            out.open_cost = out.open_cost.checked_sub(released).ok_or(RANGE)?;
            if realize {
                let profit = instrument.profit(Money(released), Money(-worth.0))?.0;
                out.realized = out.realized.checked_add(profit).ok_or(RANGE)?;
            }
        }
        if delta != closing {
            let cost = signed_notional(instrument, price, delta)?.checked_sub(worth)?;
            out.open_cost = out.open_cost.checked_add(cost.0).ok_or(RANGE)?;
        }
        Ok(out)
    }

    /// Returns the holding with `numerator / denominator` times as many units at the same cost.
    /// A fraction of a unit is cut off. Where nothing is left, the cost is realised: what the
    /// venue pays for the fraction comes as cash.
    ///
    /// Errors: `OutOfRange`.
    pub fn split(
        self,
        numerator: u32,
        denominator: u32,
        kind: InstrumentKind,
    ) -> Result<Holding, NumberError> {
        const RANGE: NumberError = NumberError::OutOfRange;
        let quantity = split_quantity(self.quantity, numerator, denominator).ok_or(RANGE)?;
        if quantity != 0 {
            return Ok(Holding { quantity, ..self });
        }
        let lost = match kind {
            InstrumentKind::Spot | InstrumentKind::Linear => -self.open_cost,
            InstrumentKind::Inverse => self.open_cost,
        };
        Ok(Holding {
            quantity: 0,
            open_cost: Decimal::ZERO,
            realized: self.realized.checked_add(lost).ok_or(RANGE)?,
        })
    }
}

/// Returns how many units a position has after a split: a fraction is cut off. `None` for a
/// denominator of zero or beyond the range.
fn split_quantity(quantity: i64, numerator: u32, denominator: u32) -> Option<i64> {
    // 96 bits at most.
    let units = i128::from(quantity) * i128::from(numerator);
    let units = units.checked_div(i128::from(denominator))?;
    i64::try_from(units).ok()
}

/// Returns how many units a position has after a split, as an account counts them. One that
/// cannot be counted stays, as an account refuses the split.
pub fn split_units(quantity: i64, numerator: u32, denominator: u32) -> i64 {
    split_quantity(quantity, numerator, denominator).unwrap_or(quantity)
}

/// Returns `cost * part / whole` to 16 decimals, half to even; all of it when `part == whole`.
/// This is the one place where the portfolio rounds a cost. `part` has the sign of `whole`.
fn share(cost: Decimal, part: i64, whole: i64) -> Option<Decimal> {
    if part == whole {
        return Some(cost);
    }
    exact_share(cost, part, whole).or_else(|| {
        // Beyond 38 digits on the way: the quotient is rounded to 28 digits first.
        let part = Decimal::from(part.unsigned_abs());
        let whole = Decimal::from(whole.unsigned_abs());
        let share = cost.checked_mul(part.checked_div(whole)?)?;
        Some(share.round_dp(COST_DECIMALS))
    })
}

/// Integer arithmetic, rounded once. `None` when an intermediate passes 128 bits.
fn exact_share(cost: Decimal, part: i64, whole: i64) -> Option<Decimal> {
    let whole = i128::from(whole.unsigned_abs());
    let part = i128::from(part.unsigned_abs());
    let cost = cost.normalize();
    let mut numerator = cost.mantissa().checked_mul(part)?;
    let mut denominator = whole;
    let scale = cost.scale();
    if scale <= COST_DECIMALS {
        numerator = numerator.checked_mul(pow10((COST_DECIMALS - scale) as u8)?)?;
    } else {
        denominator = denominator.checked_mul(pow10((scale - COST_DECIMALS) as u8)?)?;
    }
    let rounded = number::div_half_even(numerator, denominator)?;
    Decimal::try_from_i128_with_scale(rounded, COST_DECIMALS)
        .ok()
        .map(|value| value.normalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_share_is_rounded_half_to_even_at_the_sixteenth_decimal() {
        assert_eq!(
            share(decimal("2883"), 9, 29),
            Some(decimal("894.7241379310344828"))
        );
        // Ties: 0.5 and 1.5 units of the last decimal, both signs.
        for (cost, expected) in [
            ("0.0000000000000001", "0"),
            ("0.0000000000000003", "0.0000000000000002"),
            ("-0.0000000000000001", "0"),
            ("-0.0000000000000003", "-0.0000000000000002"),
        ] {
            assert_eq!(
                share(decimal(cost), 1, 2),
                Some(decimal(expected)),
                "{cost}"
            );
        }
        assert_eq!(share(decimal("-7"), -1, -2), Some(decimal("-3.5")));
    }

    #[test]
    fn shares_beyond_128_bits_take_the_long_way() {
        let cost = decimal("7922816251426433759354395.0335");
        assert_eq!(exact_share(cost, 999_999_999_999, 2_000_000_000_000), None);
        let share = share(cost, 1_000_000_000_000, 2_000_000_000_000).unwrap();
        assert_eq!(share, decimal("3961408125713216879677197.5168"));
    }
}
