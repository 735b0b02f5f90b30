//! One side of a book.

use crate::market::{Level, Side};
use crate::number::{Price, Quantity};

/// The levels of one side, kept in one vector with the best level at the end: most changes are
/// near the best price, where little has to move. Real books here hold 5,000 levels a side.
#[derive(Clone, Debug)]
pub struct Ladder {
    side: Side,
    /// Ascending by key, so that the last one is the best.
    levels: Vec<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The price for bids, its complement for asks: greater is better on both sides.
    key: i64,
    quantity: i64,
}

impl Ladder {
    /// Returns an empty side: `Buy` for bids, `Sell` for asks.
    pub fn new(side: Side) -> Ladder {
        Ladder {
            side,
            levels: Vec::new(),
        }
    }

    #[inline]
    fn key(&self, price: Price) -> i64 {
        match self.side {
            Side::Buy => price.0,
            // The complement turns the order round and, unlike the negative, always fits.
            Side::Sell => !price.0,
        }
    }

    fn level(&self, slot: Slot) -> Level {
        Level {
            // Taking the complement twice gives the price back.
            price: Price(self.key(Price(slot.key))),
            quantity: Quantity(slot.quantity),
        }
    }

    /// Sets the quantity at a price; zero deletes the level.
    #[inline]
    pub fn set(&mut self, level: Level) {
        let key = self.key(level.price);
        let at = self.position(key);
        let is_there = self.levels.get(at).is_some_and(|slot| slot.key == key);
        match (is_there, level.quantity.0) {
            (true, 0) => drop(self.levels.remove(at)),
            (true, quantity) => self.levels[at].quantity = quantity,
            (false, 0) => {}
            (false, quantity) => self.levels.insert(at, Slot { key, quantity }),
        }
    }

    /// Returns the first position whose key is not below `key`. Steps back from the best end in
    /// growing strides, since most changes are there, and halves the last stride.
    #[inline]
    fn position(&self, key: i64) -> usize {
        let (mut high, mut stride) = (self.levels.len(), 8);
        while high > 0 {
            let low = high.saturating_sub(stride);
            if self.levels[low].key < key {
                return low + self.levels[low..high].partition_point(|slot| slot.key < key);
            }
            high = low;
            stride *= 4;
        }
        0
    }

    /// Replaces all levels, in whatever order they come. Of a repeated price the last one counts.
    pub fn replace(&mut self, levels: &[Level]) {
        self.levels.clear();
        self.levels.reserve(levels.len());
        for level in levels {
            self.set(*level);
        }
    }

    pub fn clear(&mut self) {
        self.levels.clear();
    }

    pub fn len(&self) -> usize {
        self.levels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    pub fn best(&self) -> Option<Level> {
        self.levels.last().map(|slot| self.level(*slot))
    }

    /// Walks over the levels, best first.
    pub fn iter(&self) -> impl Iterator<Item = Level> + '_ {
        self.levels.iter().rev().map(|slot| self.level(*slot))
    }

    /// Returns the quantity at a price, zero when there is no level.
    pub fn quantity_at(&self, price: Price) -> Quantity {
        let key = self.key(price);
        let at = self.position(key);
        match self.levels.get(at) {
            Some(slot) if slot.key == key => Quantity(slot.quantity),
            _ => Quantity::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn level(price: i64, quantity: i64) -> Level {
        Level {
            price: Price(price),
            quantity: Quantity(quantity),
        }
    }

    #[test]
    fn the_best_level_comes_first_on_both_sides() {
        for (side, best_first) in [(Side::Buy, [12, 11, 10]), (Side::Sell, [10, 11, 12])] {
            let mut ladder = Ladder::new(side);
            ladder.replace(&[level(11, 1), level(10, 1), level(12, 1)]);
            let prices: Vec<_> = ladder.iter().map(|level| level.price.0).collect();
            assert_eq!(prices, best_first);
            assert_eq!(ladder.best().unwrap().price.0, best_first[0]);
        }
    }

    #[test]
    fn the_ends_of_the_range_of_prices_hold() {
        let mut ladder = Ladder::new(Side::Sell);
        for price in [i64::MAX, i64::MIN, 0, -1] {
            ladder.set(level(price, 1));
        }
        let prices: Vec<_> = ladder.iter().map(|level| level.price.0).collect();
        assert_eq!(prices, [i64::MIN, -1, 0, i64::MAX]);
    }

    proptest! {
        #[test]
        fn it_behaves_as_an_ordered_map(
            changes in proptest::collection::vec((-300_i64..300, 0_i64..3), 0..800),
            sell in any::<bool>(),
        ) {
            let side = if sell { Side::Sell } else { Side::Buy };
            let mut ladder = Ladder::new(side);
            let mut map = BTreeMap::new();
            for (price, quantity) in changes {
                ladder.set(level(price, quantity));
                if quantity == 0 {
                    map.remove(&price);
                } else {
                    map.insert(price, quantity);
                }
                prop_assert_eq!(ladder.quantity_at(Price(price)), Quantity(quantity));
            }
            let mut expected: Vec<_> = map.iter().map(|(p, q)| level(*p, *q)).collect();
            if !sell {
                expected.reverse();
            }
            prop_assert_eq!(ladder.iter().collect::<Vec<_>>(), expected);
        }
    }
}
