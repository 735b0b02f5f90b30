//! The temper of simulated markets: what can be set, in which bounds.

use super::day::DayShape;
use thiserror::Error;

/// A setting that lies outside its bounds. Nothing was made; mend the named field.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field} is {value}, outside {low} to {high}")]
pub struct ParameterError {
    pub field: &'static str,
    pub value: i64,
    /// The lowest and the highest value that is allowed.
    pub low: i64,
    pub high: i64,
}

/// Checks `(field, value, low, high)` for each, bounds inclusive.
pub(super) fn within(fields: &[(&'static str, i64, i64, i64)]) -> Result<(), ParameterError> {
    for &(field, value, low, high) in fields {
        if !(low..=high).contains(&value) {
            return Err(ParameterError {
                field,
                value,
                low,
                high,
            });
        }
    }
    Ok(())
}

/// What all instruments of an exchange share: when it storms, and shocks that hit all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClimateParameters {
    /// How long calm lasts on average, in minutes, 1 to 100,000; default 90.
    pub calm_minutes: i64,
    /// How long a storm lasts on average, in minutes, 1 to 100,000; default 30.
    pub storm_minutes: i64,
    /// Jumps of the market factor a day on average, 0 to 1,000; default 4.
    pub jumps_per_day: i64,
}

impl Default for ClimateParameters {
    fn default() -> ClimateParameters {
        ClimateParameters {
            calm_minutes: 90,
            storm_minutes: 30,
            jumps_per_day: 4,
        }
    }
}

impl ClimateParameters {
    /// Checks the bounds.
    ///
    /// Errors: [`ParameterError`], naming the field.
    pub fn validate(&self) -> Result<(), ParameterError> {
        within(&[
            ("calm_minutes", self.calm_minutes, 1, 100_000),
            ("storm_minutes", self.storm_minutes, 1, 100_000),
            ("jumps_per_day", self.jumps_per_day, 0, 1_000),
        ])
    }
}

/// The temper of one instrument's traders. A permille of 1,000 changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketParameters {
    /// The weight of the market factor in the moves of the fair value, in permille, 0 to 1,000;
    /// the rest is the instrument's own noise. The moves of two instruments correlate by the
    /// product of their weights. Default 850.
    pub factor_permille: i64,
    /// Volatility in a storm against calm, in permille, 1,000 to 10,000; default 3,000.
    pub storm_volatility_permille: i64,
    /// Distances of the makers' quotes in a storm, in permille, 1,000 to 10,000; default 2,000.
    pub storm_spread_permille: i64,
    /// Sizes of the makers' quotes in a storm, in permille, 50 to 1,000; default 500.
    pub storm_depth_permille: i64,
    /// Jumps of this instrument alone a day on average, 0 to 1,000; default 8.
    pub jumps_per_day: i64,
    /// The largest jump in standard deviations of a calm 10 ms step, 0 to 2,000; the smallest is
    /// a third of it. Default 300, which is four of a calm minute's.
    pub jump_deviations: i64,
    /// Quotes of makers and orders of noise traders a second at ordinary activity, 1 to 90;
    /// default 13.
    pub actions_per_second: i64,
    /// Orders of takers a minute on average in calm at ordinary activity, excited ones included,
    /// 1 to 2,000; default 240.
    pub takers_per_minute: i64,
    /// How many further takers each taker brings on average, in permille, 0 to 900; default 600.
    pub excitation_permille: i64,
    /// How long the excitation lasts on average, in milliseconds, 10 to 60,000; default 800.
    pub excitation_ms: i64,
    /// How often momentum traders look at the market, times a minute, 0 to 600; default 20.
    pub momentum_per_minute: i64,
    /// How far a maker moves its quotes for each lot that it holds, in thousandths of the half
    /// spread, 0 to 500; it never moves them by more than half of the half spread. Default 20.
    pub skew_permille: i64,
    pub day: DayShape,
}

impl Default for MarketParameters {
    fn default() -> MarketParameters {
        MarketParameters {
            factor_permille: 850,
            storm_volatility_permille: 3_000,
            storm_spread_permille: 2_000,
            storm_depth_permille: 500,
            jumps_per_day: 8,
            jump_deviations: 300,
            actions_per_second: 13,
            takers_per_minute: 240,
            excitation_permille: 600,
            excitation_ms: 800,
            momentum_per_minute: 20,
            skew_permille: 20,
            day: DayShape::default(),
        }
    }
}

impl MarketParameters {
    /// Checks the bounds.
    ///
    /// Errors: [`ParameterError`], naming the field.
    pub fn validate(&self) -> Result<(), ParameterError> {
        let storm_volatility = self.storm_volatility_permille;
        within(&[
            ("factor_permille", self.factor_permille, 0, 1_000),
            ("storm_volatility_permille", storm_volatility, 1_000, 10_000),
            (
                "storm_spread_permille",
                self.storm_spread_permille,
                1_000,
                10_000,
            ),
            ("storm_depth_permille", self.storm_depth_permille, 50, 1_000),
            ("jumps_per_day", self.jumps_per_day, 0, 1_000),
            ("jump_deviations", self.jump_deviations, 0, 2_000),
            ("actions_per_second", self.actions_per_second, 1, 90),
            ("takers_per_minute", self.takers_per_minute, 1, 2_000),
            ("excitation_permille", self.excitation_permille, 0, 900),
            ("excitation_ms", self.excitation_ms, 10, 60_000),
            ("momentum_per_minute", self.momentum_per_minute, 0, 600),
            ("skew_permille", self.skew_permille, 0, 500),
        ])?;
        self.day.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_within_bounds_and_each_bound_names_its_field() {
        ClimateParameters::default().validate().unwrap();
        let check = |change: fn(&mut MarketParameters), field: &str| {
            let mut parameters = MarketParameters::default();
            parameters.validate().unwrap();
            change(&mut parameters);
            assert_eq!(parameters.validate().unwrap_err().field, field);
        };
        check(|p| p.factor_permille = 1_001, "factor_permille");
        check(|p| p.factor_permille = -1, "factor_permille");
        check(
            |p| p.storm_volatility_permille = 999,
            "storm_volatility_permille",
        );
        check(
            |p| p.storm_spread_permille = 10_001,
            "storm_spread_permille",
        );
        check(|p| p.storm_depth_permille = 0, "storm_depth_permille");
        check(|p| p.jumps_per_day = -1, "jumps_per_day");
        check(|p| p.jump_deviations = 2_001, "jump_deviations");
        check(|p| p.actions_per_second = 0, "actions_per_second");
        check(|p| p.takers_per_minute = 0, "takers_per_minute");
        check(|p| p.excitation_permille = 901, "excitation_permille");
        check(|p| p.excitation_ms = 0, "excitation_ms");
        check(|p| p.momentum_per_minute = i64::MAX, "momentum_per_minute");
        check(|p| p.skew_permille = i64::MIN, "skew_permille");
        let storms = ClimateParameters {
            storm_minutes: 0,
            ..ClimateParameters::default()
        };
        assert_eq!(
            storms.validate().unwrap_err().to_string(),
            "storm_minutes is 0, outside 1 to 100000"
        );
    }
}
