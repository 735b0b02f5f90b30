//! The fair value of one instrument: an integer random walk of the market factor and of its own,
//! with jumps, pulled back to where it began so that a market that runs for days stays plausible.

use super::climate::{DAY_TURNS, MINUTE_TURNS, Regime, Weather, jump};
use crate::matching::random::Random;
use crate::matching::sim_instrument::SimInstrument;

/// The part of the distance to the start that is taken back each minute: half in about six hours,
/// too slow to be seen in the returns of minutes.
const PULL: i64 = 512;

#[derive(Clone, Debug)]
pub(super) struct FairValue {
    /// In millionths of a tick, so that a step of a few thousandths is not lost to rounding.
    microticks: i64,
    turns: u64,
    /// The weight of the instrument's own noise: with the factor's it keeps the variance at one.
    own_permille: i64,
}

impl FairValue {
    pub(super) fn new(definition: &SimInstrument) -> FairValue {
        let factor = definition.parameters.factor_permille;
        FairValue {
            microticks: definition.start_milliticks().saturating_mul(1_000),
            turns: 0,
            own_permille: (1_000_000 - factor * factor).max(0).isqrt(),
        }
    }

    /// Returns it in thousandths of a tick.
    pub(super) fn milliticks(&self) -> i64 {
        self.microticks / 1_000
    }

    pub(super) fn set_milliticks(&mut self, definition: &SimInstrument, value: i64) {
        self.microticks = value.saturating_mul(1_000);
        self.keep_in_range(definition);
    }

    /// Moves it by thousandths of a tick.
    pub(super) fn push(&mut self, definition: &SimInstrument, milliticks: i64) {
        self.set_milliticks(definition, self.milliticks().saturating_add(milliticks));
    }

    /// Lets a turn of 10 ms pass.
    pub(super) fn turn(
        &mut self,
        definition: &SimInstrument,
        weather: &Weather,
        activity_permille: i64,
        random: &mut Random,
    ) {
        let parameters = &definition.parameters;
        let noise = random.bell(1_000);
        // Standard deviation 1,000,000.
        let shock = parameters.factor_permille * weather.factor + self.own_permille * noise;
        let storm = match weather.regime {
            Regime::Calm => 1_000,
            Regime::Storm => parameters.storm_volatility_permille,
        };
        // Half of the day's shape: busy hours move more, but by less than they trade more.
        let hours = (1_000 + activity_permille) / 2;
        let volatility = storm * weather.heat_permille / 1_000 * hours / 1_000;
        let deviation = definition.step_deviation_milliticks();
        let by_volatility = shock.checked_mul(volatility);
        let step = by_volatility.and_then(|product| product.checked_mul(deviation));
        self.add(match step {
            Some(step) => i128::from(step / 1_000_000),
            // The widest walk on the dearest instrument has to fit, too; dividing 128 bits is
            // slow enough to be left to it.
            None => {
                let product = i128::from(shock) * i128::from(volatility);
                product * i128::from(deviation) / 1_000_000
            }
        });
        let mut jumped = parameters.factor_permille * weather.jump_permille / 1_000;
        if random.chance(parameters.jumps_per_day as u64, DAY_TURNS) {
            jumped += jump(random);
        }
        if jumped != 0 {
            // Permille of the largest: thousandths of a tick become millionths.
            let largest = i128::from(parameters.jump_deviations) * i128::from(deviation);
            self.add(largest * i128::from(jumped));
        }
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(MINUTE_TURNS) {
            let start = definition.start_milliticks().saturating_mul(1_000);
            self.add(i128::from((start - self.microticks) / PULL));
        }
        self.keep_in_range(definition);
    }

    fn add(&mut self, microticks: i128) {
        let sum = i128::from(self.microticks).saturating_add(microticks);
        self.microticks = i64::try_from(sum).unwrap_or(if sum < 0 { 0 } else { i64::MAX });
    }

    fn keep_in_range(&mut self, definition: &SimInstrument) {
        let start = definition.start_milliticks().saturating_mul(1_000);
        self.microticks = self.microticks.clamp(start / 2, start.saturating_mul(2));
    }
}
