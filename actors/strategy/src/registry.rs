//! The strategies that can be named, one line each.

use crate::ema_cross::EmaCross;
use crate::error::StrategyError;
use crate::parameter::{ParameterSchema, nearest};
use crate::strategy::Strategy;

/// Where the data of a strategy comes from; it decides what a strategy subscribes to by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataSource {
    /// The rows of a file, as they are.
    Rows,
    /// A feed with quotes, trades, books and bars of many lengths.
    Feed,
}

type Build = fn(DataSource, &[(String, String)]) -> Result<Box<dyn Strategy>, StrategyError>;

/// A strategy that can be built by its name.
#[derive(Clone, Copy, Debug)]
pub struct StrategyType {
    pub name: &'static str,
    /// One sentence for a person.
    pub help: &'static str,
    pub schema: &'static [ParameterSchema],
    build: Build,
}

/// All strategies, in order of name.
pub const STRATEGIES: &[StrategyType] = &[StrategyType {
    name: "ema-cross",
    help: "Follows the crossing of a fast and a slow exponential moving average.",
    schema: EmaCross::SCHEMA,
    build: EmaCross::build,
}];

/// Finds a strategy.
///
/// Errors: `UnknownStrategy` with the nearest known name.
pub fn find(name: &str) -> Result<&'static StrategyType, StrategyError> {
    STRATEGIES
        .iter()
        .find(|strategy| strategy.name == name)
        .ok_or_else(|| StrategyError::UnknownStrategy {
            name: name.chars().take(64).collect(),
            nearest: nearest(name, STRATEGIES.iter().map(|strategy| strategy.name)),
            known: STRATEGIES.iter().map(|strategy| strategy.name).collect(),
        })
}

impl StrategyType {
    /// Builds the strategy with parameters as `(name, value)` text.
    ///
    /// Errors: `Parameter`, naming the parameter.
    pub fn build(
        &self,
        source: DataSource,
        parameters: &[(String, String)],
    ) -> Result<Box<dyn Strategy>, StrategyError> {
        (self.build)(source, parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_gets_the_nearest_one() {
        let error = find("ema-corss").unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown strategy \"ema-corss\", did you mean \"ema-cross\"?"
        );
        let error = find("zzz").unwrap_err().to_string();
        assert!(error.contains("there are: ema-cross"), "{error}");
        assert!(find("ema-cross").is_ok());
    }

    #[test]
    fn every_default_is_within_its_own_bounds() {
        for strategy in STRATEGIES {
            for source in [DataSource::Rows, DataSource::Feed] {
                assert!(strategy.build(source, &[]).is_ok(), "{}", strategy.name);
            }
        }
    }
}
