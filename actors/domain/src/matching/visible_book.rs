//! The part of a replayed market that our orders can trade with.
//!
//! The recorded market does not know that we took something from it, so what we took stays taken
//! until the venue states that level anew.

use super::order_book::reaches;
use crate::market::{BookDelta, BookSnapshot, FeedStatus, Level, Quote, Side};
use crate::number::{Price, Quantity};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
struct VisibleLevel {
    /// As the venue stated it.
    quantity: i64,
    /// What our orders took of it since.
    taken: i64,
}

impl VisibleLevel {
    fn left(self) -> i64 {
        self.quantity - self.taken
    }
}

/// A book by deltas and snapshots, or, until the first of them, by quotes as its top.
#[derive(Clone, Debug, Default)]
pub(super) struct VisibleBook {
    bids: BTreeMap<Price, VisibleLevel>,
    asks: BTreeMap<Price, VisibleLevel>,
    has_depth: bool,
    /// A gap was found and the levels may be wrong: nothing trades with them until a whole book
    /// comes.
    gapped: bool,
    /// The feed is silent or closed: nothing trades with the levels until it lives again.
    silent: bool,
}

impl VisibleBook {
    fn side(&self, side: Side) -> &BTreeMap<Price, VisibleLevel> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<Price, VisibleLevel> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// Returns true when quantities behind the best price are known.
    pub(super) fn has_depth(&self) -> bool {
        self.has_depth
    }

    /// Takes the state of the feed. A feed may call itself live just before it sends the book
    /// that mends a gap, so that alone does not make the old levels good again.
    pub(super) fn set_status(&mut self, status: FeedStatus) {
        match status {
            FeedStatus::Gapped | FeedStatus::Recovering => self.gapped = true,
            FeedStatus::Stale | FeedStatus::Closed => self.silent = true,
            FeedStatus::Live | FeedStatus::Replaying => {
                self.silent = false;
                self.gapped &= self.has_depth;
            }
        }
    }

    pub(super) fn apply_delta(&mut self, delta: &BookDelta) {
        self.begin_depth();
        for (side, levels) in [(Side::Buy, &delta.bids), (Side::Sell, &delta.asks)] {
            for level in levels {
                self.set(side, *level);
            }
        }
    }

    pub(super) fn apply_snapshot(&mut self, snapshot: &BookSnapshot) {
        self.begin_depth();
        self.gapped = snapshot.stale;
        self.bids.clear();
        self.asks.clear();
        for (side, levels) in [(Side::Buy, &snapshot.bids), (Side::Sell, &snapshot.asks)] {
            for level in levels {
                self.set(side, *level);
            }
        }
    }

    /// Takes a quote as the whole book where no depth is known. A side that the quote repeats is
    /// not stated anew: what we took of it stays taken.
    pub(super) fn apply_quote(&mut self, quote: &Quote) {
        if self.has_depth {
            return;
        }
        for (side, level) in [(Side::Buy, quote.bid), (Side::Sell, quote.ask)] {
            let levels = self.side_mut(side);
            let Some(level) = level else {
                levels.clear();
                continue;
            };
            // A source of prices without sizes writes zero: any quantity trades there.
            let quantity = match level.quantity.0 {
                0 => i64::MAX,
                quantity => quantity,
            };
            if levels.get(&level.price).map(|old| old.quantity) != Some(quantity) {
                levels.clear();
                levels.insert(level.price, VisibleLevel { quantity, taken: 0 });
            }
        }
    }

    /// Quotes give way to a book for good.
    fn begin_depth(&mut self) {
        if !self.has_depth {
            self.has_depth = true;
            self.bids.clear();
            self.asks.clear();
        }
    }

    fn set(&mut self, side: Side, level: Level) {
        let levels = self.side_mut(side);
        if level.quantity.is_zero() {
            levels.remove(&level.price);
        } else {
            let quantity = level.quantity.0;
            levels.insert(level.price, VisibleLevel { quantity, taken: 0 });
        }
    }

    /// Returns what the venue shows at a price, whether or not we took of it; `None` when the
    /// price is not known: it lies outside of a quote.
    pub(super) fn shown_at(&self, side: Side, price: Price) -> Option<i64> {
        match self.side(side).get(&price) {
            Some(level) => Some(level.quantity),
            None if self.has_depth => Some(0),
            None => match self.best_shown(side) {
                // Better than the best price, nobody is ahead.
                Some(best) if best != price && reaches(side, Some(price), best) => Some(0),
                _ => None,
            },
        }
    }

    /// Returns the best price that the venue shows on a side.
    pub(super) fn best_shown(&self, side: Side) -> Option<Price> {
        match side {
            Side::Buy => self.bids.last_key_value().map(|(price, _)| *price),
            Side::Sell => self.asks.first_key_value().map(|(price, _)| *price),
        }
    }

    /// Walks what an order of `side` could take, best price first.
    fn takeable(&self, side: Side) -> Box<dyn Iterator<Item = (Price, VisibleLevel)> + '_> {
        let pick = |(price, level): (&Price, &VisibleLevel)| (*price, *level);
        let left = |(_, level): &(Price, VisibleLevel)| level.left() > 0;
        if self.gapped || self.silent {
            return Box::new(std::iter::empty());
        }
        match side {
            Side::Buy => Box::new(self.asks.iter().map(pick).filter(left)),
            Side::Sell => Box::new(self.bids.iter().rev().map(pick).filter(left)),
        }
    }

    /// Returns the best price that an order of `side` could get.
    pub(super) fn best_takeable(&self, side: Side) -> Option<Price> {
        self.takeable(side).next().map(|(price, _)| price)
    }

    /// Returns true when an order of `side` at `limit` finds something to trade with.
    pub(super) fn would_trade(&self, side: Side, limit: Option<Price>) -> bool {
        self.takeable(side)
            .next()
            .is_some_and(|(price, _)| reaches(side, limit, price))
    }

    /// Returns true when an order of `side` at `limit` could take all of `wanted`.
    pub(super) fn covers(&self, side: Side, limit: Option<Price>, wanted: Quantity) -> bool {
        let mut sum = 0_i128;
        for (price, level) in self.takeable(side) {
            if !reaches(side, limit, price) {
                break;
            }
            sum += i128::from(level.left());
            if sum >= i128::from(wanted.0) {
                return true;
            }
        }
        false
    }

    /// Takes up to `wanted` at `limit` or better, best price first, and adds what it took to
    /// `taken`. Returns the sum.
    pub(super) fn take(
        &mut self,
        side: Side,
        limit: Option<Price>,
        wanted: Quantity,
        taken: &mut Vec<(Price, Quantity)>,
    ) -> Quantity {
        let first = taken.len();
        let mut left = wanted.0;
        for (price, level) in self.takeable(side) {
            if left == 0 || !reaches(side, limit, price) {
                break;
            }
            let quantity = left.min(level.left());
            left -= quantity;
            taken.push((price, Quantity(quantity)));
        }
        let levels = self.side_mut(side.opposite());
        for (price, quantity) in &taken[first..] {
            if let Some(level) = levels.get_mut(price)
                && level.quantity != i64::MAX
            {
                level.taken += quantity.0;
            }
        }
        Quantity(wanted.0 - left)
    }
}
