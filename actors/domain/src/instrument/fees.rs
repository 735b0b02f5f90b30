//! What a venue charges for a fill, and in which currency.

use super::{Instrument, InstrumentKind};
use crate::id::Currency;
use crate::market::Side;
use crate::money::{Money, Rate};
use crate::number::{Decimal, NumberError, Price, Quantity};
use serde::{Deserialize, Serialize};

/// What a venue charges for a fill: `share * notional + per_unit * quantity`, rounded to
/// `decimals`, and at least `minimum`. FIX 137 on an execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeSchedule {
    /// Share of the notional for a fill of a resting order; negative is a rebate.
    pub maker: Rate,
    /// Share of the notional for a fill that took liquidity.
    pub taker: Rate,
    /// Decimals to which the venue rounds each fee, half to even; `None` leaves it exact.
    pub decimals: Option<u8>,
    /// Charged on top for a quantity of 1, as for a share; a fraction pays its part.
    pub per_unit: Money,
    /// The least that one fill is charged, rebates too; zero where there is none.
    pub minimum: Money,
    /// A buy of a spot instrument is charged in the asset that it buys instead of the quote
    /// currency, by its shares alone: neither `per_unit` nor `minimum` goes with it.
    pub in_base: bool,
}

impl FeeSchedule {
    fn share(&self, maker: bool) -> Decimal {
        if maker { self.maker.0 } else { self.taker.0 }
    }

    fn rounded(&self, fee: Decimal) -> Decimal {
        match self.decimals {
            // `round_dp` of `Decimal` is half to even.
            Some(decimals) => fee.round_dp(u32::from(decimals)),
            None => fee,
        }
    }
}

/// The fee of one fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fee {
    /// Positive is paid, negative is a rebate.
    pub amount: Money,
    pub currency: Currency,
}

impl Instrument {
    /// Returns the fee of a fill of `side` with the currency that it is charged in.
    ///
    /// Errors: as [`Instrument::notional`].
    pub fn fee_of(
        &self,
        side: Side,
        price: Price,
        quantity: Quantity,
        maker: bool,
    ) -> Result<Fee, NumberError> {
        let currency = self.fee_currency(side).clone();
        let amount = if self.charges_base(side) {
            let fee = self
                .quantity_decimal(quantity)
                .checked_mul(self.fees.share(maker))
                .ok_or(NumberError::OutOfRange)?;
            Money(self.fees.rounded(fee))
        } else {
            self.fee(price, quantity, maker)?
        };
        Ok(Fee { amount, currency })
    }

    /// Returns the currency that fills of `side` are charged in.
    pub fn fee_currency(&self, side: Side) -> &Currency {
        if self.charges_base(side) {
            &self.base_currency
        } else {
            self.profit_currency()
        }
    }

    fn charges_base(&self, side: Side) -> bool {
        self.fees.in_base && self.kind == InstrumentKind::Spot && side == Side::Buy
    }

    /// Returns the fee of a fill in [`Instrument::profit_currency`], whatever its side; negative
    /// is a rebate.
    ///
    /// Errors: as [`Instrument::notional`].
    pub fn fee(&self, price: Price, quantity: Quantity, maker: bool) -> Result<Money, NumberError> {
        const RANGE: NumberError = NumberError::OutOfRange;
        let share = self.fees.share(maker);
        let mut fee = Decimal::ZERO;
        if !share.is_zero() {
            let notional = self.notional(price, quantity)?.0.abs();
            fee = notional.checked_mul(share).ok_or(RANGE)?;
        }
        if !self.fees.per_unit.is_zero() {
            let units = self.quantity_decimal(quantity).abs();
            let charge = units.checked_mul(self.fees.per_unit.0).ok_or(RANGE)?;
            fee = fee.checked_add(charge).ok_or(RANGE)?;
        }
        fee = self.fees.rounded(fee);
        if !self.fees.minimum.is_zero() {
            fee = fee.max(self.fees.minimum.0);
        }
        Ok(Money(fee))
    }
}
