//! The life of a strategy that was deployed into an account: what people want of it, what its process
//! does, and what follows. Pure: time is an argument.
//!
//! What people want ([`Desired`]) is kept durably and survives a restart of the platform; what the
//! process does is not. A strategy that failed too often is quarantined, which is kept as well: only a
//! person starts it again.

#[cfg(test)]
mod tests;

use crate::UnixNanos;
use crate::time::{NANOS_PER_MILLI, NANOS_PER_SECOND};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What is wanted of a strategy. Durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Desired {
    /// It was never started.
    Deployed,
    /// It runs and may order.
    Running,
    /// It runs and is shown everything, and its new orders are refused.
    Paused,
    Stopped,
    /// It failed too often; nobody wanted that, and only a person starts it again.
    Quarantined,
}

/// When a strategy is started again without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// When its process fails, and when the platform starts.
    Always,
    /// When its process fails.
    OnFailure,
    /// Never: its first failure is its quarantine.
    Never,
}

/// How a strategy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    Deployed,
    /// Its process starts, or has no session yet.
    Starting,
    Running,
    Paused,
    /// Its process failed and is started again after a pause.
    BackingOff,
    Stopping,
    Stopped,
    Quarantined,
}

/// How often and how soon a failed process is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartLimits {
    /// The pause after the first failure within the window; it doubles with each further one.
    pub first_ns: i64,
    pub longest_ns: i64,
    /// Restarts within the window; the failure after that many is quarantine.
    pub restarts: u32,
    /// How long a failure counts.
    pub window_ns: i64,
}

impl Default for RestartLimits {
    /// Five restarts within a minute, after 100 ms, 200 ms and so on: a strategy survives a hiccup, and
    /// one that fails on every start is out in three seconds.
    fn default() -> RestartLimits {
        RestartLimits {
            first_ns: 100 * NANOS_PER_MILLI,
            longest_ns: 10 * NANOS_PER_SECOND,
            restarts: 5,
            window_ns: 60 * NANOS_PER_SECOND,
        }
    }
}

/// What happens to a strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The platform has started, and takes up what was kept.
    Recover,
    Start,
    Pause,
    Stop,
    /// Its process is to begin anew, with what it is configured with now.
    Relaunch,
    /// Its process runs.
    Launched {
        pid: u32,
    },
    /// Its process ended, or could not be started.
    Exited {
        reason: String,
    },
    /// It has a session, or has none any more.
    Session(bool),
    /// Its session was ended since it broke its budget or the protocol.
    Condemned {
        reason: String,
    },
    /// The pause that carries this number is over.
    RestartDue {
        turn: u64,
    },
    /// The time to stop in, with this number, is over.
    GraceOver {
        turn: u64,
    },
    /// The platform stops; what is wanted of the strategy stays.
    Shutdown,
}

/// What follows, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Let its sessions in, with new orders refused or not.
    Admit {
        paused: bool,
    },
    /// Let no session in and end the one that there is.
    Bar {
        reason: String,
    },
    Launch,
    /// Ask the session to finish, and come back after the time for that.
    AskToStop {
        turn: u64,
    },
    Kill,
    RestartAfter {
        pause_ns: i64,
        turn: u64,
    },
    /// What is wanted has changed by itself: keep it.
    Keep,
    /// Cancel its working orders: nobody minds them any more.
    CancelOrders,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Process {
    Down,
    /// It is being started, or has no session yet.
    Starting,
    /// It has had its session.
    Connected,
    /// It failed; the next one starts after this pause.
    Waiting {
        turn: u64,
    },
    /// It was asked to end.
    Ending {
        turn: u64,
    },
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Deployment {
    desired: Desired,
    policy: RestartPolicy,
    limits: RestartLimits,
    process: Process,
    pid: Option<u32>,
    has_session: bool,
    /// Another process follows the one that ends.
    relaunch: bool,
    shutting_down: bool,
    /// Failures that still count, oldest first; at most one more than restarts are allowed.
    failures: VecDeque<UnixNanos>,
    /// Numbers pauses and times to stop in, so that one that is over late is known.
    turn: u64,
    restarts: u64,
    reason: String,
    /// Why its process was killed: the exit only says that it was.
    killed_for: Option<String>,
}

impl Deployment {
    /// Returns a strategy as it was kept.
    pub fn new(
        desired: Desired,
        policy: RestartPolicy,
        limits: RestartLimits,
        reason: String,
    ) -> Deployment {
        Deployment {
            desired,
            policy,
            limits,
            process: Process::Down,
            pid: None,
            has_session: false,
            relaunch: false,
            shutting_down: false,
            failures: VecDeque::new(),
            turn: 0,
            restarts: 0,
            reason,
            killed_for: None,
        }
    }

    pub fn desired(&self) -> Desired {
        self.desired
    }

    /// Returns how it stands.
    pub fn state(&self) -> DeploymentState {
        match (self.desired, self.process) {
            (Desired::Quarantined, _) => DeploymentState::Quarantined,
            (Desired::Deployed, _) => DeploymentState::Deployed,
            (Desired::Stopped, Process::Down) => DeploymentState::Stopped,
            (Desired::Stopped, _) => DeploymentState::Stopping,
            // That no order leaves holds whatever its process does.
            (Desired::Paused, _) => DeploymentState::Paused,
            (Desired::Running, Process::Waiting { .. }) => DeploymentState::BackingOff,
            (Desired::Running, Process::Connected) => DeploymentState::Running,
            (Desired::Running, _) => DeploymentState::Starting,
        }
    }

    /// Returns true while it has a session, and so is shown data.
    pub fn is_connected(&self) -> bool {
        self.has_session
    }

    /// Returns true when no process of it runs or is to run again by itself.
    pub fn is_down(&self) -> bool {
        self.process == Process::Down
    }

    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// How often its process was started again since the platform started.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Why it stands as it does: what its process failed with last. Empty where nothing failed.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Decides what follows from `input` at `now`.
    pub fn apply(&mut self, now: UnixNanos, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Recover => self.recover(effects),
            Input::Start => self.start(effects),
            Input::Pause => self.pause(effects),
            Input::Stop => self.stop(effects),
            Input::Relaunch => self.relaunch(effects),
            Input::Launched { pid } => self.pid = Some(pid),
            Input::Exited { reason } => self.exited(now, reason, effects),
            Input::Session(begun) => self.session(begun),
            Input::Condemned { reason } => {
                if matches!(self.process, Process::Starting | Process::Connected) {
                    self.killed_for = Some(reason);
                    effects.push(Effect::Kill);
                }
            }
            Input::RestartDue { turn } => {
                if self.process == (Process::Waiting { turn }) && !self.shutting_down {
                    self.restarts += 1;
                    self.launch(effects);
                }
            }
            Input::GraceOver { turn } => {
                if self.process == (Process::Ending { turn }) {
                    effects.push(Effect::Kill);
                }
            }
            Input::Shutdown => {
                self.shutting_down = true;
                self.end_process(effects);
            }
        }
    }

    fn recover(&mut self, effects: &mut Vec<Effect>) {
        match (self.desired, self.policy) {
            (Desired::Running, RestartPolicy::Always) => {
                effects.push(Effect::Admit { paused: false });
                self.launch(effects);
            }
            (Desired::Running, _) => {
                self.desired = Desired::Stopped;
                self.reason =
                    "the platform was started anew, and its restart policy leaves the next \
                               start to a person"
                        .to_owned();
                effects.push(Effect::Keep);
                self.bar(effects);
            }
            (Desired::Paused, _) => {
                effects.push(Effect::Admit { paused: true });
                self.launch(effects);
            }
            (Desired::Deployed | Desired::Stopped | Desired::Quarantined, _) => self.bar(effects),
        }
    }

    fn start(&mut self, effects: &mut Vec<Effect>) {
        if self.shutting_down {
            return;
        }
        self.desired = Desired::Running;
        effects.push(Effect::Admit { paused: false });
        match self.process {
            Process::Down | Process::Waiting { .. } => {
                // A person has looked: what failed before counts no more.
                self.failures.clear();
                self.reason.clear();
                self.launch(effects);
            }
            Process::Ending { .. } => self.relaunch = true,
            Process::Starting | Process::Connected => {}
        }
    }

    fn pause(&mut self, effects: &mut Vec<Effect>) {
        if matches!(self.desired, Desired::Running | Desired::Paused) {
            self.desired = Desired::Paused;
            effects.push(Effect::Admit { paused: true });
        }
    }

    fn stop(&mut self, effects: &mut Vec<Effect>) {
        self.desired = Desired::Stopped;
        self.reason.clear();
        self.relaunch = false;
        self.end_process(effects);
    }

    fn relaunch(&mut self, effects: &mut Vec<Effect>) {
        if matches!(self.process, Process::Starting | Process::Connected) {
            self.end_process(effects);
            self.relaunch = true;
        }
    }

    fn end_process(&mut self, effects: &mut Vec<Effect>) {
        match self.process {
            Process::Starting | Process::Connected => {
                self.turn += 1;
                self.process = Process::Ending { turn: self.turn };
                effects.push(Effect::AskToStop { turn: self.turn });
            }
            Process::Down | Process::Waiting { .. } => {
                self.process = Process::Down;
                self.bar(effects);
            }
            Process::Ending { .. } => {}
        }
    }

    fn session(&mut self, begun: bool) {
        if begun && self.process == Process::Starting {
            self.process = Process::Connected;
        }
        // One that is lost is no new start: the process ends with it, or has another in a moment.
        self.has_session = begun;
    }

    fn launch(&mut self, effects: &mut Vec<Effect>) {
        self.process = Process::Starting;
        self.killed_for = None;
        effects.push(Effect::Launch);
    }

    fn bar(&mut self, effects: &mut Vec<Effect>) {
        let reason = match self.desired {
            Desired::Quarantined => format!("it is quarantined: {}", self.reason),
            Desired::Deployed => "it was deployed and not started".to_owned(),
            _ => "it is stopped".to_owned(),
        };
        effects.push(Effect::Bar { reason });
    }

    fn exited(&mut self, now: UnixNanos, reason: String, effects: &mut Vec<Effect>) {
        self.pid = None;
        self.has_session = false;
        match self.process {
            Process::Down | Process::Waiting { .. } => {}
            Process::Ending { .. } => {
                self.process = Process::Down;
                let goes_on = matches!(self.desired, Desired::Running | Desired::Paused);
                if std::mem::take(&mut self.relaunch) && goes_on && !self.shutting_down {
                    self.launch(effects);
                } else {
                    self.bar(effects);
                }
            }
            Process::Starting | Process::Connected => {
                self.reason = self.killed_for.take().unwrap_or(reason);
                self.failed(now, effects);
            }
        }
    }

    fn failed(&mut self, now: UnixNanos, effects: &mut Vec<Effect>) {
        let window = self.limits.window_ns;
        self.failures.retain(|past| now.since(*past) < window);
        self.failures.push_back(now);
        // At most the restarts allowed, a small number, and one.
        let earlier = self.failures.len() as u32 - 1;
        if self.policy == RestartPolicy::Never || earlier >= self.limits.restarts {
            self.desired = Desired::Quarantined;
            self.process = Process::Down;
            self.failures.clear();
            // Nothing gets in before what could order is canceled.
            self.bar(effects);
            effects.push(Effect::Keep);
            effects.push(Effect::CancelOrders);
            return;
        }
        self.turn += 1;
        let doubled = self
            .limits
            .first_ns
            .saturating_mul(1_i64 << earlier.min(32));
        self.process = Process::Waiting { turn: self.turn };
        effects.push(Effect::RestartAfter {
            pause_ns: doubled.min(self.limits.longest_ns),
            turn: self.turn,
        });
    }
}
