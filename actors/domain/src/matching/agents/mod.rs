//! Simulated traders of one instrument: makers round a moving fair value, takers in clusters,
//! momentum traders and noise traders, in the weather that the whole exchange shares.
//!
//! All of it is integer arithmetic on one seeded generator an instrument, so that a seed gives the
//! same market on every platform.

mod climate;
mod day;
mod fair;
mod floor;
mod makers;
mod momentum;
mod noise;
mod parameters;
mod takers;
#[cfg(test)]
mod tests;

pub use climate::Regime;
pub(super) use climate::{Climate, Weather};
pub use day::DayShape;
pub use parameters::{ClimateParameters, MarketParameters, ParameterError};

use super::order_book::{BookChanges, OrderBook};
use super::random::Random;
use super::sim_instrument::SimInstrument;
use crate::market::Side;
use crate::number::Price;
use crate::time::UnixNanos;
use climate::SECOND_TURNS;
use day::Activity;
use fair::FairValue;
use floor::Floor;
use makers::{MAKERS, Makers};
use momentum::Momentum;
use noise::{NOISE_ORDERS, Noise};
use takers::Takers;

/// The owner tag of all simulated traders.
pub(super) const AGENT: u64 = 0;

/// Below this many levels on a side, a maker quotes in each turn until they are back.
const THIN: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Agents {
    random: Random,
    fair: FairValue,
    makers: Makers,
    takers: Takers,
    momentum: Momentum,
    noise: Noise,
    activity: Activity,
}

impl Agents {
    pub(super) fn new(random: Random, definition: &SimInstrument) -> Agents {
        Agents {
            random,
            fair: FairValue::new(definition),
            makers: Makers::default(),
            takers: Takers::new(),
            momentum: Momentum::default(),
            noise: Noise::default(),
            activity: Activity::default(),
        }
    }

    /// Fills the book for the first time, round a fair value at which nothing that already rests
    /// there trades.
    pub(super) fn open(
        &mut self,
        definition: &SimInstrument,
        book: &mut OrderBook,
        changes: &mut BookChanges,
    ) {
        let milliticks = |price: Price| (price.0 / definition.tick()).saturating_mul(1_000);
        let room = (definition.half_spread_ticks + 1) * 1_000;
        let mut fair = self.fair.milliticks();
        if let Some(ask) = book.best(Side::Sell) {
            fair = fair.min(milliticks(ask.price).saturating_sub(room));
        }
        if let Some(bid) = book.best(Side::Buy) {
            fair = fair.max(milliticks(bid.price).saturating_add(room));
        }
        self.fair.set_milliticks(definition, fair);
        let mut floor = Floor {
            definition,
            book,
            changes,
            random: &mut self.random,
            fair: self.fair.milliticks(),
            spread_permille: 1_000,
            depth_permille: 1_000,
        };
        for _ in 0..MAKERS {
            self.makers.quote(&mut floor);
        }
        for _ in 0..NOISE_ORDERS / 2 {
            self.noise.place(&mut floor);
        }
    }

    /// Lets a turn of [`super::exchange::TURN_NS`] pass: the fair value moves, and in some turns
    /// someone acts.
    pub(super) fn turn(
        &mut self,
        at: UnixNanos,
        weather: &Weather,
        definition: &SimInstrument,
        book: &mut OrderBook,
        changes: &mut BookChanges,
    ) {
        let parameters = &definition.parameters;
        let activity = self.activity.at(&parameters.day, at);
        self.fair
            .turn(definition, weather, activity, &mut self.random);
        let (spread_permille, depth_permille) = match weather.regime {
            Regime::Calm => (1_000, 1_000),
            Regime::Storm => (
                parameters.storm_spread_permille,
                parameters.storm_depth_permille,
            ),
        };
        let mut floor = Floor {
            definition,
            book,
            changes,
            random: &mut self.random,
            fair: self.fair.milliticks(),
            spread_permille,
            depth_permille,
        };
        let thin = [Side::Buy, Side::Sell]
            .iter()
            .any(|side| floor.book.level_count(*side) < THIN);
        if thin {
            return self.makers.quote(&mut floor);
        }
        let taken = self.takers.turn(&mut floor, activity);
        let followed = self.momentum.turn(&mut floor);
        if self.makers.is_late(&floor) {
            self.makers.quote(&mut floor);
        } else {
            let actions = parameters.actions_per_second * activity;
            if floor.random.chance(actions as u64, SECOND_TURNS * 1_000) {
                match floor.random.below(100) {
                    0..75 => self.makers.quote(&mut floor),
                    _ => self.noise.act(&mut floor),
                }
            }
        }
        // What was traded moves what is held to be fair: by half of the largest calm step for a
        // usual order of four lots.
        for (side, lots) in taken.into_iter().chain(followed) {
            let impact = side.sign() * lots * definition.walk_milliticks / 8;
            self.fair.push(definition, impact);
        }
    }
}
