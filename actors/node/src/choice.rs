//! Which strategy a run has.

use crate::NodeError;
use apex_domain::StrategyId;
use apex_strategy::registry::{self, DataSource};

/// A strategy by name, with parameters as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyChoice {
    pub name: String,
    pub params: Vec<(String, String)>,
}

impl StrategyChoice {
    /// Checks name and parameters without running anything, so that a wrong one is told before
    /// a market is started.
    ///
    /// Errors: `Strategy`, naming the parameter and the nearest known one.
    pub fn check(&self) -> Result<(), NodeError> {
        registry::find(&self.name)?.build(DataSource::Feed, &self.params)?;
        Ok(())
    }

    /// Returns the id under which it owns orders and positions: its name.
    ///
    /// Errors: `Usage` when the name is no id.
    pub fn strategy_id(&self) -> Result<StrategyId, NodeError> {
        StrategyId::new(&self.name).map_err(|error| NodeError::Usage(error.to_string()))
    }
}
