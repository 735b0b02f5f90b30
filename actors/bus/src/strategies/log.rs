//! What happened to strategies, numbered, for who watches them.

use apex_domain::deployment::DeploymentState;
use apex_domain::{AccountId, StrategyId, UnixNanos};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Events that are kept for who comes later or lags: a day of twenty strategies that change now and
/// then, or minutes of ones that log a lot; 8 MiB at the very most, since a line has a kilobyte. The
/// oldest go first, and whoever wanted one of them is told that it is gone.
const KEPT: usize = 8_192;

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLine {
    Debug,
    Info,
    Warn,
    Error,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StrategyEventKind {
    Deployed {
        version: u32,
    },
    StateChanged {
        state: DeploymentState,
    },
    /// Its process was started again by itself.
    Restarted {
        restarts: u64,
    },
    ParametersChanged {
        version: u32,
    },
    Log(LogLine),
    /// It logged more than is kept; the text says how many lines are missing.
    LogCut {
        lines: u64,
    },
}

/// Something that happened to a strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyEvent {
    /// Dense from 1 over all strategies of a node, since it started.
    pub sequence: u64,
    pub ts: UnixNanos,
    pub account_id: AccountId,
    pub strategy_id: StrategyId,
    pub kind: StrategyEventKind,
    /// Who did it, where a person did.
    pub by: String,
    /// Why, or what was said.
    pub text: String,
}

/// What a reader finds.
#[derive(Debug)]
pub struct Read {
    pub events: Vec<Arc<StrategyEvent>>,
    /// How many behind the place are not kept any more.
    pub lost: u64,
}

struct Inner {
    kept: VecDeque<Arc<StrategyEvent>>,
    last: u64,
}

/// The events of a node. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct StrategyEvents {
    inner: Arc<Mutex<Inner>>,
    newest: Arc<watch::Sender<u64>>,
    epoch: i64,
}

impl fmt::Debug for StrategyEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrategyEvents")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl StrategyEvents {
    /// Begins at `now`, which tells its numbers from those of an earlier start.
    pub fn new(now: UnixNanos) -> StrategyEvents {
        let inner = Inner {
            kept: VecDeque::new(),
            last: 0,
        };
        StrategyEvents {
            inner: Arc::new(Mutex::new(inner)),
            newest: Arc::new(watch::Sender::new(0)),
            epoch: now.0,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what tells the numbers of this start from others.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Adds an event; its sequence is given here.
    pub fn push(&self, event: StrategyEvent) {
        let mut inner = self.inner();
        let sequence = inner.last + 1;
        inner.last = sequence;
        if inner.kept.len() >= KEPT {
            inner.kept.pop_front();
        }
        inner
            .kept
            .push_back(Arc::new(StrategyEvent { sequence, ..event }));
        // While the lock is held, so that no reader hears of a number before the event is there.
        self.newest.send_replace(sequence);
    }

    /// Returns the newest sequence; 0 before the first event.
    pub fn last(&self) -> u64 {
        self.inner().last
    }

    /// Returns at most `limit` events behind a sequence.
    pub fn after(&self, sequence: u64, limit: usize) -> Read {
        let inner = self.inner();
        let first = inner.kept.front().map_or(inner.last + 1, |it| it.sequence);
        let lost = first.saturating_sub(sequence.saturating_add(1));
        let skipped = sequence.saturating_add(1).saturating_sub(first);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let events = inner.kept.iter().skip(skipped).take(limit);
        Read {
            events: events.cloned().collect(),
            lost,
        }
    }

    /// Returns what tells of new events.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> StrategyEvent {
        StrategyEvent {
            sequence: 0,
            ts: UnixNanos(1),
            account_id: AccountId::new("paper").unwrap(),
            strategy_id: StrategyId::new("s").unwrap(),
            kind: StrategyEventKind::Log(LogLine::Info),
            by: String::new(),
            text: text.to_owned(),
        }
    }

    fn sequences(read: &Read) -> Vec<u64> {
        read.events.iter().map(|event| event.sequence).collect()
    }

    #[test]
    fn events_are_numbered_and_read_from_any_place() {
        let events = StrategyEvents::new(UnixNanos(9));
        assert_eq!((events.last(), events.after(0, 9).lost), (0, 0));
        let watch = events.watch();
        for text in ["a", "b", "c"] {
            events.push(event(text));
        }
        assert_eq!(*watch.borrow(), 3);
        assert_eq!(sequences(&events.after(0, 2)), [1, 2]);
        assert_eq!(sequences(&events.after(2, 9)), [3]);
        assert!(events.after(3, 9).events.is_empty());
        assert!(events.after(u64::MAX, 9).events.is_empty());
    }

    #[test]
    fn what_is_not_kept_any_more_is_counted() {
        let events = StrategyEvents::new(UnixNanos(9));
        for _ in 0..KEPT + 5 {
            events.push(event("x"));
        }
        let read = events.after(2, 1);
        assert_eq!((read.lost, sequences(&read)), (3, vec![6]));
        assert_eq!(events.after(5, 1).lost, 0);
        assert_eq!(events.inner().kept.len(), KEPT);
    }
}
