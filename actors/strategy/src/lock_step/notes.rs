//! What an engine has to say to people.

use crate::runner::Runner;
use apex_domain::account::Refusal;
use apex_domain::{ClientOrderId, StrategyId, UnixNanos};
use std::collections::VecDeque;

/// Lines that are kept until they are taken out: enough to read what led to the end, and no more
/// memory for a strategy that talks on every tick. Older ones are dropped and counted.
const KEPT: usize = 1_000;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub ts: UnixNanos,
    pub strategy_id: StrategyId,
    pub text: String,
}

/// Lines in the order in which they came, the oldest dropped when there are too many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    lines: VecDeque<Note>,
    dropped: u64,
}

impl Notes {
    pub fn lines(&self) -> impl Iterator<Item = &Note> {
        self.lines.iter()
    }

    /// Returns how many older lines were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn log(&mut self, ts: UnixNanos, strategy_id: StrategyId, text: String) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back(Note {
            ts,
            strategy_id,
            text,
        });
    }

    pub(super) fn refused(
        &mut self,
        ts: UnixNanos,
        client_order_id: &ClientOrderId,
        runner: &Runner,
        refusal: &Refusal,
    ) {
        let text = format!("command for order {client_order_id} was refused: {refusal}");
        self.log(ts, runner.strategy_id().clone(), text);
    }

    pub(super) fn quarantined(&mut self, ts: UnixNanos, strategy_id: StrategyId, reason: String) {
        let text = format!("strategy was put into quarantine: it {reason}");
        self.log(ts, strategy_id, text);
    }
}
