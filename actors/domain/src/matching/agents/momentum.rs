//! Momentum traders: they buy what has risen and sell what has fallen.

use super::climate::MINUTE_TURNS;
use super::floor::Floor;
use crate::market::Side;

/// Averages over about five seconds and forty, as powers of two of turns.
const FAST: u32 = 9;
const SLOW: u32 = 12;

#[derive(Clone, Debug, Default)]
pub(super) struct Momentum {
    /// Averages of the middle of the book in thousandths of a tick, shifted left by their length
    /// so that no step is lost; `None` until a book with two sides was seen.
    averages: Option<(i128, i128)>,
}

impl Momentum {
    /// Lets a turn of 10 ms pass. Returns the side and the lots of one that traded.
    pub(super) fn turn(&mut self, floor: &mut Floor<'_>) -> Option<(Side, i64)> {
        let bid = floor.book.best(Side::Buy)?.price.0;
        let ask = floor.book.best(Side::Sell)?.price.0;
        let middle = i128::from(bid).saturating_add(i128::from(ask)) * 500
            / i128::from(floor.definition.tick());
        let (fast, slow) = self
            .averages
            .get_or_insert((middle << FAST, middle << SLOW));
        *fast += middle - (*fast >> FAST);
        *slow += middle - (*slow >> SLOW);
        let trend = (*fast >> FAST) - (*slow >> SLOW);
        let often = floor.definition.parameters.momentum_per_minute;
        if !floor.random.chance(often as u64, MINUTE_TURNS) {
            return None;
        }
        // Less than a half spread would not pay for the trade.
        if trend.abs() <= i128::from(floor.half_spread_ticks()) * 1_000 {
            return None;
        }
        let side = if trend > 0 { Side::Buy } else { Side::Sell };
        let lots = floor.random.between(1, 3);
        floor.take(side, lots);
        Some((side, lots))
    }
}
