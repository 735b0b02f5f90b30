//! The strategies that can be named, one line each.

use crate::ema_cross::EmaCross;
use crate::error::StrategyError;
use crate::parameter::{ParameterSchema, ParameterValues, nearest};
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

    /// Returns everything that is wrong with parameters of a feed's strategy, by name; the name is
    /// empty where only several of them together are.
    pub fn check(&self, parameters: &[(String, String)]) -> Vec<(String, String)> {
        let wrong = ParameterValues::check(self.schema, parameters);
        if !wrong.is_empty() {
            let told = wrong.into_iter();
            return told
                .map(|(name, error)| (name, error.to_string()))
                .collect();
        }
        let built = self.build(DataSource::Feed, parameters);
        built
            .err()
            .map(|error| (String::new(), error.to_string()))
            .into_iter()
            .collect()
    }

    /// Returns the names of what changes between two sets of checked parameters and cannot change
    /// while the strategy runs.
    ///
    /// Errors: `Parameter` for a set that does not fit the schema.
    pub fn needs_restart(
        &self,
        before: &[(String, String)],
        after: &[(String, String)],
    ) -> Result<Vec<&'static str>, StrategyError> {
        let before = ParameterValues::parse(self.schema, before)?;
        let after = ParameterValues::parse(self.schema, after)?;
        let changed = after.changed(&before, self.schema);
        let fixed = changed.filter(|parameter| !parameter.live);
        Ok(fixed.map(|parameter| parameter.name).collect())
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
    fn only_what_is_not_live_needs_a_restart() {
        let ema = find("ema-cross").unwrap();
        let pairs = |texts: &[(&str, &str)]| -> Vec<(String, String)> {
            let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
            texts.iter().map(own).collect()
        };
        let before = pairs(&[("fast", "10"), ("quantity", "1")]);
        let needs = |after: &[(&str, &str)]| ema.needs_restart(&before, &pairs(after)).unwrap();
        assert!(needs(&[("quantity", "2"), ("act_on", "state")]).is_empty());
        assert_eq!(needs(&[("fast", "5"), ("slow", "9")]), ["fast", "slow"]);
        let wrong = ema.check(&pairs(&[("fast", "0"), ("act_on", "x"), ("slow", "3")]));
        let names: Vec<&str> = wrong.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["fast", "act_on"]);
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
