//! Price increments that depend on the price, and rounding to them.

use super::{Instrument, PriceBand};
use crate::market::Side;
use crate::number::Price;

impl PriceBand {
    /// Returns the bands of a United States equity with prices of four decimals and an increment
    /// of 0.0001: from 1.00 on, prices are whole cents.
    ///
    /// Source: Regulation NMS, Rule 612; Alpaca refuses limit prices that break it.
    pub fn whole_cents_from_one() -> Vec<PriceBand> {
        vec![PriceBand {
            from: Price(10_000),
            increment: Price(100),
        }]
    }
}

impl Instrument {
    /// Returns the increment that holds at `price`: that of the highest band that begins at or
    /// below it, or `price_increment` below them all.
    pub fn price_increment_at(&self, price: Price) -> Price {
        let bands = &self.rules.price_bands;
        let below = bands.partition_point(|band| band.from <= price);
        match below.checked_sub(1).and_then(|last| bands.get(last)) {
            Some(band) => band.increment,
            None => self.price_increment,
        }
    }

    /// Returns true for a whole multiple of the increment at this price.
    pub fn is_on_price_increment(&self, price: Price) -> bool {
        price.0 % self.price_increment_at(price).0 == 0
    }

    /// Returns the highest price on the increment that is at or below `price`; `None` below what
    /// a price holds.
    pub fn price_at_or_below(&self, price: Price) -> Option<Price> {
        let increment = self.price_increment_at(price).0;
        let steps = price.0.div_euclid(increment);
        steps.checked_mul(increment).map(Price)
    }

    /// Returns the lowest price on the increment that is at or above `price`; `None` above what
    /// a price holds. Bands begin on both their increments, so it never steps over one.
    pub fn price_at_or_above(&self, price: Price) -> Option<Price> {
        let below = self.price_at_or_below(price)?;
        if below == price {
            return Some(price);
        }
        let increment = self.price_increment_at(price).0;
        below.0.checked_add(increment).map(Price)
    }

    /// Rounds a price so that an order of `side` never trades worse than asked: a buy goes down,
    /// a sell up. `None` beyond what a price holds.
    pub fn price_away_from_market(&self, side: Side, price: Price) -> Option<Price> {
        match side {
            Side::Buy => self.price_at_or_below(price),
            Side::Sell => self.price_at_or_above(price),
        }
    }

    /// Rounds a price so that an order of `side` still trades where the price asked for would: a
    /// buy goes up, a sell down. `None` beyond what a price holds.
    pub fn price_towards_market(&self, side: Side, price: Price) -> Option<Price> {
        match side {
            Side::Buy => self.price_at_or_above(price),
            Side::Sell => self.price_at_or_below(price),
        }
    }
}
