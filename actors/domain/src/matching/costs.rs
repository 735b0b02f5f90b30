//! What trading at a simulated venue costs beyond the price: fees, and a worse price.

use super::order_book::reaches;
use crate::instrument::{FeeSchedule, Instrument};
use crate::market::Side;
use crate::money::Rate;
use crate::number::{Decimal, Price};
use rust_decimal::prelude::ToPrimitive;

/// What a simulated venue charges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeeModel {
    /// The schedule of each instrument's definition.
    #[default]
    Instrument,
    /// Nothing.
    Free,
    /// One schedule for all instruments.
    Schedule(FeeSchedule),
}

impl FeeModel {
    /// Returns the definition with the schedule that this model charges.
    pub fn applied(&self, mut instrument: Instrument) -> Instrument {
        match self {
            FeeModel::Instrument => {}
            FeeModel::Free => instrument.fees = FeeSchedule::default(),
            FeeModel::Schedule(fees) => instrument.fees = *fees,
        }
        instrument
    }
}

/// How much worse than the price in the data an order without a limit price fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slippage {
    #[default]
    None,
    /// A number of price increments.
    Ticks(u32),
    /// A share of the price, such as 0.0005 for five basis points, rounded up to the next price
    /// increment.
    Share(Rate),
}

impl Slippage {
    /// Returns the price made worse for an order of `side`, never beyond `limit`; `None` out of
    /// the range of prices.
    pub fn applied(
        &self,
        instrument: &Instrument,
        side: Side,
        price: Price,
        limit: Option<Price>,
    ) -> Option<Price> {
        let step = match self {
            Slippage::Ticks(_) => instrument.price_increment_at(price).0,
            _ => instrument.price_increment.0,
        };
        let steps = match self {
            Slippage::None => return Some(price),
            Slippage::Ticks(ticks) => i64::from(*ticks),
            Slippage::Share(share) if share.is_zero() => return Some(price),
            Slippage::Share(share) => Decimal::from(price.0)
                .abs()
                .checked_mul(share.0)?
                .checked_div(Decimal::from(step))?
                .ceil()
                .to_i64()?,
        };
        let shift = steps.checked_mul(step)?.checked_mul(side.sign())?;
        let worse = price.0.checked_add(shift)?;
        // Up or down to the increment of the band that it has come to.
        let increment = instrument.price_increment_at(Price(worse)).0;
        let beyond = worse.rem_euclid(increment);
        let worse = match (side, beyond) {
            (_, 0) => worse,
            (Side::Buy, _) => worse.checked_add(increment - beyond)?,
            (Side::Sell, _) => worse - beyond,
        };
        let worse = Price(worse);
        match limit {
            Some(limit) if !reaches(side, Some(limit), worse) => Some(limit),
            _ => Some(worse),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::tests::instrument;
    use crate::{Money, Quantity};

    #[test]
    fn a_worse_price_is_on_the_increment_of_its_band() {
        let mut instrument = instrument("X.SIM");
        instrument.price_decimals = 4;
        instrument.price_increment = Price(1);
        instrument.rules.price_bands = vec![crate::instrument::PriceBand {
            from: Price(10_000),
            increment: Price(100),
        }];
        instrument.validate().unwrap();
        let share = Slippage::Share(Rate::parse("0.0001").unwrap());
        for (slippage, side, price, expected) in [
            (Slippage::Ticks(1), Side::Buy, 1_000_000, 1_000_100),
            (Slippage::Ticks(1), Side::Sell, 1_000_000, 999_900),
            (Slippage::Ticks(1), Side::Buy, 9_000, 9_001),
            (Slippage::Ticks(3), Side::Buy, 9_998, 10_100),
            (Slippage::Ticks(1), Side::Sell, 10_000, 9_900),
            (share, Side::Buy, 1_000_000, 1_000_100),
            (share, Side::Sell, 1_000_000, 999_900),
        ] {
            let worse = slippage.applied(&instrument, side, Price(price), None);
            assert_eq!(worse, Some(Price(expected)), "{side:?} {price}");
        }
    }

    #[test]
    fn a_worse_price_is_on_the_increment_and_within_the_limit() {
        let instrument = instrument("BTCUSDT.SIM");
        let share = |text| Slippage::Share(Rate::parse(text).unwrap());
        for (slippage, side, limit, expected) in [
            (Slippage::None, Side::Buy, None, 1_000),
            (Slippage::Ticks(3), Side::Buy, None, 1_003),
            (Slippage::Ticks(3), Side::Sell, None, 997),
            (Slippage::Ticks(3), Side::Buy, Some(Price(1_001)), 1_001),
            (share("0.0005"), Side::Buy, None, 1_001),
            (share("0.0021"), Side::Sell, None, 997),
            (share("0"), Side::Sell, None, 1_000),
        ] {
            let worse = slippage.applied(&instrument, side, Price(1_000), limit);
            assert_eq!(worse, Some(Price(expected)), "{slippage:?} {side:?}");
        }
        let edge = Slippage::Ticks(1).applied(&instrument, Side::Buy, Price(i64::MAX), None);
        assert_eq!(edge, None);
    }

    #[test]
    fn fees_are_those_of_the_model() {
        let mut instrument = instrument("BTCUSDT.SIM");
        instrument.fees.taker = Rate::parse("0.001").unwrap();
        let other = FeeSchedule {
            taker: Rate::parse("0.002").unwrap(),
            ..FeeSchedule::default()
        };
        for (model, expected) in [
            (FeeModel::Instrument, "1"),
            (FeeModel::Free, "0"),
            (FeeModel::Schedule(other), "2"),
        ] {
            let charged = model.applied(instrument.clone());
            let fee = charged.fee(Price(1_000), Quantity(1), false).unwrap();
            assert_eq!(fee.0, Money::parse(expected).unwrap().0, "{model:?}");
        }
    }
}
