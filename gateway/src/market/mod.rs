//! `MarketDataService.Subscribe`: the newest of each instrument, then batches of what follows.
//!
//! One task follows the topics and numbers what comes into the [`log`]. Streams that want the same
//! are a [`group`], whose batches are encoded once and shared. A stream ([`member`]) that cannot
//! keep up with its group reads the log by itself, where quotes, books and states are the newest
//! of each instrument with the number of those it missed, and prints and bars that are kept no
//! longer are gaps with theirs. So is one that comes again behind the sequences it has.
//!
//! A stream is pulled by its connection and holds nothing for it: while a client does not read,
//! nothing piles up here.

mod group;
mod log;
mod member;
mod reader;
mod sources;
#[cfg(test)]
mod tests;
mod wanted;
mod wire;

pub(crate) use wire::subscribe_route;

use crate::options::Limits;
use crate::status;
use apex_bus::market::MarketHub;
use group::{Group, Groups};
use log::Log;
use member::Watched;
use sources::Sources;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::Status;
use wanted::Wanted;

/// How long the numbering goes on without a stream, so that a client that was cut off finds its
/// place again. After that following the market would be work for nobody.
const LINGER: Duration = Duration::from_secs(60);

/// How often streams are looked at whose client does not read.
const CHECK: Duration = Duration::from_secs(1);

/// The market data of this process, as streams see it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Market(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hub: MarketHub,
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    followed: Option<Arc<Followed>>,
    streams: Vec<Weak<Watched>>,
    /// Since when there is no stream.
    idle_since: Option<Instant>,
}

/// The market while it is followed.
#[derive(Debug)]
struct Followed {
    log: RwLock<Log>,
    /// Grows with each change of the log; gone when the topics are closed.
    changed: watch::Receiver<u64>,
    groups: Groups,
}

impl Followed {
    fn log(&self) -> std::sync::RwLockReadGuard<'_, Log> {
        // A panic while the log was written cannot be told from here; its numbers only grow, and
        // what is doubtful is at most one tick.
        self.log.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Market {
    pub(crate) fn new(hub: MarketHub, limits: Limits) -> Market {
        Market(Arc::new(Inner {
            hub,
            limits,
            state: Mutex::default(),
        }))
    }

    /// Returns the followed market, beginning to follow it for the first stream.
    ///
    /// Errors: topics that are closed or have no seat.
    fn follow(&self, watched: &Arc<Watched>) -> Result<Arc<Followed>, Status> {
        let mut state = self.0.state();
        let followed = match &state.followed {
            // The task that follows it ended with the topics.
            Some(followed) if followed.changed.has_changed().is_err() => {
                return Err(status::shutting_down());
            }
            Some(followed) => followed.clone(),
            None => {
                let sources = Sources::new(&self.0.hub);
                let sources = sources.map_err(|error| status::subscribe(&error))?;
                let (change, changed) = watch::channel(0);
                let followed = Arc::new(Followed {
                    log: RwLock::new(Log::new(epoch())),
                    changed,
                    groups: Groups::default(),
                });
                state.followed = Some(followed.clone());
                let task = Follower {
                    inner: Arc::downgrade(&self.0),
                    followed: followed.clone(),
                    sources,
                    change,
                    hub: self.0.hub.clone(),
                };
                tokio::spawn(task.run());
                followed
            }
        };
        state.streams.push(Arc::downgrade(watched));
        state.idle_since = None;
        Ok(followed)
    }

    /// Returns the group of streams that want this, a new one for the first of them.
    fn group(&self, followed: &Arc<Followed>, wanted: &Wanted) -> Group {
        followed
            .groups
            .join(followed, wanted, self.0.limits.coalesce)
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts streams whose client does not read. Returns true when nobody has listened for long.
    fn check(&self, now: Instant) -> bool {
        let mut state = self.state();
        let patience = self.limits.stalled_client;
        state.streams.retain(|stream| match stream.upgrade() {
            Some(stream) => {
                stream.cut_if_stalled(now, patience);
                true
            }
            None => false,
        });
        if !state.streams.is_empty() {
            state.idle_since = None;
            return false;
        }
        let since = *state.idle_since.get_or_insert(now);
        let is_over = now.duration_since(since) >= LINGER;
        if is_over {
            state.followed = None;
        }
        is_over
    }
}

/// Names a numbering: another one at another time, in another process and on another machine.
fn epoch() -> u64 {
    let clock = crate::shared::wall_clock().0;
    // The hasher's keys are random in each process.
    RandomState::new().hash_one((clock, std::process::id())) | 1
}

/// The task that follows the topics.
struct Follower {
    inner: Weak<Inner>,
    followed: Arc<Followed>,
    sources: Sources,
    change: watch::Sender<u64>,
    hub: MarketHub,
}

impl Follower {
    async fn run(mut self) {
        let pause = self
            .inner
            .upgrade()
            .map_or(CHECK, |inner| CHECK.min(inner.limits.stalled_client / 4));
        let mut check = interval(pause.max(Duration::from_millis(1)));
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                now = check.tick() => match self.inner.upgrade() {
                    Some(inner) if !inner.check(now) => {}
                    _ => return,
                },
                more = self.sources.wait() => {
                    if !more {
                        return;
                    }
                    {
                        let log = self.followed.log.write();
                        let mut log = log.unwrap_or_else(PoisonError::into_inner);
                        self.sources.number(&mut log, &self.hub);
                    }
                    self.change.send_modify(|changes| *changes += 1);
                    // Let the streams run: they share their threads with this task.
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}
