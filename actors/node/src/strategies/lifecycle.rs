//! When a child process is started again, and when not. Pure: time is an argument.

use apex_bus::supervision::Backoff;
use std::collections::VecDeque;
use std::time::Duration;

/// Where a strategy's process stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StrategyState {
    /// Its process runs.
    Running {
        pid: u32,
    },
    /// It failed and is started again after the pause.
    Pausing {
        reason: String,
        restart_after: Duration,
    },
    /// It failed too often and stays down until it is started anew. Why it failed last.
    Quarantined {
        reason: String,
    },
    /// It is being started, or asked to stop.
    Starting,
    Stopping,
    Stopped,
}

/// What follows from the end of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    RestartAfter(Duration),
    Quarantine,
    /// It was asked to end.
    Nothing,
}

/// The life of one strategy over its processes.
#[derive(Debug)]
pub struct Lifecycle {
    backoff: Backoff,
    /// Failures that still count, oldest first; at most one more than restarts are allowed.
    failures: VecDeque<Duration>,
    state: StrategyState,
    restarts: u64,
}

impl Lifecycle {
    pub fn new(backoff: Backoff) -> Lifecycle {
        Lifecycle {
            backoff,
            failures: VecDeque::new(),
            state: StrategyState::Starting,
            restarts: 0,
        }
    }

    pub fn state(&self) -> &StrategyState {
        &self.state
    }

    /// How often a process was started again.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Returns true when a process is to be started now.
    pub fn starts(&mut self) -> bool {
        match self.state {
            StrategyState::Starting => true,
            StrategyState::Pausing { .. } => {
                self.restarts += 1;
                self.state = StrategyState::Starting;
                true
            }
            _ => false,
        }
    }

    pub fn started(&mut self, pid: u32) {
        if self.state == StrategyState::Starting {
            self.state = StrategyState::Running { pid };
        }
    }

    /// It shall end. Returns true when a process runs that has to be asked.
    pub fn stop(&mut self) -> bool {
        let runs = matches!(self.state, StrategyState::Running { .. });
        self.state = match self.state {
            StrategyState::Running { .. } | StrategyState::Stopping => StrategyState::Stopping,
            _ => StrategyState::Stopped,
        };
        runs
    }

    /// A process ended, or could not be started, at `now`, a time since any fixed moment.
    pub fn ended(&mut self, now: Duration, reason: String) -> Next {
        match self.state {
            StrategyState::Stopping | StrategyState::Stopped => {
                self.state = StrategyState::Stopped;
                return Next::Nothing;
            }
            StrategyState::Quarantined { .. } | StrategyState::Pausing { .. } => {
                return Next::Nothing;
            }
            StrategyState::Starting | StrategyState::Running { .. } => {}
        }
        let window = self.backoff.window;
        self.failures
            .retain(|past| now.saturating_sub(*past) < window);
        self.failures.push_back(now);
        // At most the restarts allowed, a small number, and one.
        let earlier = self.failures.len() as u32 - 1;
        if earlier >= self.backoff.restarts {
            self.state = StrategyState::Quarantined { reason };
            return Next::Quarantine;
        }
        let pause = self
            .backoff
            .first
            .saturating_mul(2_u32.saturating_pow(earlier));
        let restart_after = pause.min(self.backoff.longest);
        self.state = StrategyState::Pausing {
            reason,
            restart_after,
        };
        Next::RestartAfter(restart_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifecycle(restarts: u32) -> Lifecycle {
        Lifecycle::new(Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_millis(250),
            restarts,
            window: Duration::from_secs(10),
        })
    }

    fn run_and_crash(life: &mut Lifecycle, at: u64) -> Next {
        assert!(life.starts());
        life.started(7);
        life.ended(Duration::from_secs(at), "killed".into())
    }

    #[test]
    fn a_crash_is_followed_by_a_growing_pause_and_at_last_by_quarantine() {
        let mut life = lifecycle(3);
        let after = |ms| Next::RestartAfter(Duration::from_millis(ms));
        assert_eq!(run_and_crash(&mut life, 0), after(100));
        assert_eq!(run_and_crash(&mut life, 1), after(200));
        assert_eq!(run_and_crash(&mut life, 2), after(250));
        assert_eq!(run_and_crash(&mut life, 3), Next::Quarantine);
        let reason = "killed".to_owned();
        assert_eq!(*life.state(), StrategyState::Quarantined { reason });
        assert!(!life.starts(), "it stays down");
        assert_eq!(life.restarts(), 3);
    }

    #[test]
    fn crashes_far_apart_are_no_reason_for_quarantine() {
        let mut life = lifecycle(1);
        for at in [0, 10, 20, 30] {
            let restart = Next::RestartAfter(Duration::from_millis(100));
            assert_eq!(run_and_crash(&mut life, at), restart);
        }
    }

    #[test]
    fn an_end_that_was_asked_for_is_no_failure() {
        let mut life = lifecycle(0);
        assert!(life.starts());
        life.started(7);
        assert!(life.stop());
        assert_eq!(life.ended(Duration::ZERO, "exit 0".into()), Next::Nothing);
        assert_eq!(*life.state(), StrategyState::Stopped);
    }

    #[test]
    fn a_stop_during_the_pause_forgets_the_restart() {
        let mut life = lifecycle(3);
        run_and_crash(&mut life, 0);
        assert!(!life.stop(), "nothing runs");
        assert!(!life.starts());
    }
}
