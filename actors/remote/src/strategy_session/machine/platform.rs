//! What the platform says of a strategy, and asks of its session.

use super::Session;
use crate::strategy_session::budget::SessionUsage;
use apex_domain::UnixNanos;
use std::collections::BTreeMap;

/// What the platform has said of a strategy before its session begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Its new orders are refused.
    pub paused: bool,
    /// What it is to trade by; it may have been started with others.
    pub parameters: Option<BTreeMap<String, String>>,
}

impl Session {
    /// Returns what the strategy uses of its budget.
    pub fn usage(&self, now: UnixNanos) -> SessionUsage {
        SessionUsage {
            orders_in_last_second: self.orders.count(now),
            messages_in_last_second: self.messages.count(now),
            unanswered_batches: self.unanswered.len(),
            oldest_unanswered_ns: self
                .unanswered
                .front()
                .map_or(0, |(_, sent)| now.since(*sent)),
            budget: self.setup.budget,
        }
    }
}
