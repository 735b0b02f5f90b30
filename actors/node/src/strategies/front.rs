//! What front ends need of this node's strategies.

use apex_bus::strategies::StrategyDesk;
use apex_gateway::StrategySessions;
use std::sync::Arc;

/// What a gateway needs to serve strategies.
#[derive(Clone)]
pub struct StrategyFront {
    pub sessions: Arc<dyn StrategySessions>,
    pub desk: Option<Arc<dyn StrategyDesk>>,
}

impl std::fmt::Debug for StrategyFront {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StrategyFront").finish_non_exhaustive()
    }
}
