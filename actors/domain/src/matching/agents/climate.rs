//! What hits all instruments of an exchange at once: the regime, the heat and the market factor.

use super::parameters::ClimateParameters;
use crate::matching::random::Random;

/// Turns of 10 ms in a second, a minute and a day.
pub(super) const SECOND_TURNS: u64 = 100;
pub(super) const MINUTE_TURNS: u64 = 60 * SECOND_TURNS;
pub(super) const DAY_TURNS: u64 = 1_440 * MINUTE_TURNS;

/// The temper of the whole market. It changes as a Markov chain does: how long it lasts does not
/// depend on how long it has lasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Regime {
    Calm,
    /// Prices move more, quotes lie further apart, and fewer lots rest at them.
    Storm,
}

/// One turn of the climate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(super) regime: Regime,
    /// Volatility beside the regime's, in permille.
    pub(super) heat_permille: i64,
    /// The market factor's move: standard deviation 1,000.
    pub(super) factor: i64,
    /// The sign and size of a jump of the market factor, in permille of an instrument's largest
    /// jump; zero in nearly all turns.
    pub(super) jump_permille: i64,
}

/// 1.0 of the heat.
const ONE: i64 = 1 << 20;

/// How fast the heat goes back to 1.0: by 1/512 a second, half of it in about six minutes.
const COOLING: u32 = 9;

/// The standard deviation of the heat's changes, in permille of it a second. With the cooling this
/// lets it wander between about one half and two.
const HEATING: i64 = 25;

#[derive(Clone, Debug)]
pub(crate) struct Climate {
    parameters: ClimateParameters,
    random: Random,
    regime: Regime,
    heat: i64,
    turns: u64,
}

impl Climate {
    pub(crate) fn new(random: Random, parameters: ClimateParameters) -> Climate {
        Climate {
            parameters,
            random,
            regime: Regime::Calm,
            heat: ONE,
            turns: 0,
        }
    }

    pub(crate) fn regime(&self) -> Regime {
        self.regime
    }

    /// Lets a turn of 10 ms pass.
    pub(crate) fn turn(&mut self) -> Weather {
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(SECOND_TURNS) {
            self.second();
        }
        let jumps = self.parameters.jumps_per_day as u64;
        let jump_permille = if self.random.chance(jumps, DAY_TURNS) {
            jump(&mut self.random)
        } else {
            0
        };
        Weather {
            regime: self.regime,
            heat_permille: self.heat * 1_000 / ONE,
            factor: self.random.bell(1_000),
            jump_permille,
        }
    }

    fn second(&mut self) {
        let (minutes, other) = match self.regime {
            Regime::Calm => (self.parameters.calm_minutes, Regime::Storm),
            Regime::Storm => (self.parameters.storm_minutes, Regime::Calm),
        };
        if self.random.chance(1, 60 * minutes as u64) {
            self.regime = other;
        }
        let change = self.random.bell(HEATING);
        self.heat += ((ONE - self.heat) >> COOLING) + self.heat * change / 1_000;
        self.heat = self.heat.clamp(ONE * 3 / 10, ONE * 4);
    }
}

/// Returns a jump up or down: a third of the largest to the largest, in permille.
pub(super) fn jump(random: &mut Random) -> i64 {
    let size = random.between(333, 1_000);
    if random.chance(1, 2) { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regimes_last_as_long_as_the_parameters_say() {
        let parameters = ClimateParameters {
            calm_minutes: 3,
            storm_minutes: 1,
            jumps_per_day: 1_000,
        };
        let mut climate = Climate::new(Random::new(5), parameters);
        let (mut storms, mut changes, mut jumps) = (0_u64, 0_u64, 0_u64);
        let mut before = climate.regime();
        let turns = 4 * 60 * MINUTE_TURNS;
        for _ in 0..turns {
            let weather = climate.turn();
            assert!((300..=4_000).contains(&weather.heat_permille));
            storms += u64::from(weather.regime == Regime::Storm);
            changes += u64::from(weather.regime != before);
            jumps += u64::from(weather.jump_permille != 0);
            before = weather.regime;
        }
        // A quarter of the time, 120 changes and 167 jumps expected.
        assert!((turns / 6..turns / 3).contains(&storms), "{storms}");
        assert!((80..170).contains(&changes), "{changes}");
        assert!((120..220).contains(&jumps), "{jumps}");
    }
}
