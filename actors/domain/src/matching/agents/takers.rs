//! Takers: they trade at once, in clusters, since each of them brings others.
//!
//! Source: Hawkes, "Spectra of some self-exciting and mutually exciting point processes", 1971;
//! here in turns of 10 ms, with an exponential memory.

use super::climate::MINUTE_TURNS;
use super::floor::Floor;
use crate::market::Side;
use crate::matching::exchange::TURN_NS;
use crate::time::NANOS_PER_MILLI;

/// Certainty, in the unit of the chances here.
const ONE: i64 = 1 << 24;

/// No more than every other turn, so that a cluster stays one.
const MOST: i64 = ONE / 2;

/// How often a taker trades on the side of the one before, in percent: orders that are split.
const SAME_SIDE: u64 = 60;

#[derive(Clone, Debug)]
pub(super) struct Takers {
    /// What earlier takers add to the chance of one in this turn.
    excitation: i64,
    last: Side,
}

impl Takers {
    pub(super) fn new() -> Takers {
        Takers {
            excitation: 0,
            last: Side::Buy,
        }
    }

    /// Lets a turn of 10 ms pass. Returns the side and the lots of a taker that traded.
    pub(super) fn turn(
        &mut self,
        floor: &mut Floor<'_>,
        activity_permille: i64,
    ) -> Option<(Side, i64)> {
        let parameters = &floor.definition.parameters;
        let memory = (parameters.excitation_ms * NANOS_PER_MILLI / TURN_NS).max(1);
        // What comes by itself is what the excited ones leave of the mean.
        let of_itself = parameters.takers_per_minute * (1_000 - parameters.excitation_permille);
        let base = ONE / 1_000 * of_itself / MINUTE_TURNS as i64 * activity_permille / 1_000;
        let chance = (base + self.excitation).min(MOST);
        let each = ONE / 1_000 * parameters.excitation_permille / memory;
        self.excitation -= self.excitation / memory;
        if !floor.random.chance(chance as u64, ONE as u64) {
            return None;
        }
        self.excitation += each;
        let side = self.side(floor);
        self.last = side;
        // One of 16 is large: sizes have a fat tail.
        let lots = if floor.random.chance(1, 16) {
            floor.random.between(6, 20)
        } else {
            floor.random.between(1, 4)
        };
        floor.take(side, lots);
        Some((side, lots))
    }

    /// Returns the side that profits from a quote beyond the fair value, or one at random.
    fn side(&self, floor: &mut Floor<'_>) -> Side {
        let tick = floor.definition.tick();
        let fair = floor.fair / 1_000;
        let beyond = |side: Side| {
            let best = floor.book.best(side.opposite());
            best.is_some_and(|level| side.sign() * (fair - level.price.0 / tick) > 0)
        };
        if beyond(Side::Buy) {
            return Side::Buy;
        }
        if beyond(Side::Sell) {
            return Side::Sell;
        }
        if floor.random.chance(SAME_SIDE, 100) {
            self.last
        } else {
            self.last.opposite()
        }
    }
}
