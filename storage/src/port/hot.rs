//! The port of what may be gone at any time: the last value of something (quote, top of a book,
//! position), wake-ups of those who wait for work, and messages that caches are out of date.
//!
//! Nothing here is the truth. Writing never waits and never fails: what cannot be written is
//! dropped, and [`Hot::health`] says so. Who reads has another way to find out: the journal, the
//! tables of jobs, a poll.

use crate::StorageError;
use std::time::Duration;

/// Keys that may wait to be written. A key waits once, with its newest value.
pub const MAX_WAITING: usize = 65_536;

/// Entries that a stream of wake-ups keeps for those who were away.
pub const MAX_WAKES: usize = 10_000;

/// Messages that a slow subscriber may be behind before it is told of a gap.
pub const MAX_BEHIND: usize = 1_024;

/// Whether what is written arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HotHealth {
    Ready,
    /// Values are stale and wake-ups do not come: everything works, later. With the reason.
    Degraded(String),
}

/// What a subscriber gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    Message(Vec<u8>),
    /// Messages may have been lost here: whatever was kept by them is out of date.
    Gap,
}

/// Values that may be gone, wake-ups, and messages. Shared between threads.
pub trait Hot: Send + Sync {
    /// Makes this the value of a key for so long. Of several that wait, the newest is written.
    /// Never waits.
    fn set(&self, key: &str, value: &[u8], valid: Duration);

    /// Returns the values of keys in their order, `None` for each that is not there. Waits two
    /// seconds at most.
    ///
    /// # Errors
    /// `Unavailable`.
    fn get(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, StorageError>;

    /// Wakes one of those who wait on a stream, now or when one of them comes. A stream keeps the
    /// newest [`MAX_WAKES`] entries, or some more; an id that is woken twice comes twice, so whoever
    /// is woken looks at what it names before it does anything. Never waits.
    fn wake(&self, stream: &str, id: &str);

    /// Joins those who wait on a stream.
    ///
    /// # Errors
    /// `Unavailable` when no connection can be made now.
    fn wakes(&self, stream: &str) -> Result<Box<dyn Wakes>, StorageError>;

    /// Sends a message to everybody who listens to a channel now. Never waits.
    fn publish(&self, channel: &str, message: &[u8]);

    /// Listens to a channel from now on.
    ///
    /// # Errors
    /// `Unavailable` when no connection can be made now.
    fn subscribe(&self, channel: &str) -> Result<Box<dyn Signals>, StorageError>;

    /// Returns whether what is written arrives, as far as the last writes have shown. It is degraded
    /// from the first failure on until writes have succeeded for some seconds.
    fn health(&self) -> HotHealth;
}

/// One of those who wait on a stream. Each entry goes to one of them, and once.
pub trait Wakes: Send {
    /// Waits for entries, so long at most. None is no promise that there is no work: poll.
    fn next(&mut self, wait: Duration) -> Vec<String>;
}

/// A subscription to a channel.
pub trait Signals: Send {
    /// Waits for the next message, so long at most.
    fn next(&mut self, wait: Duration) -> Option<Signal>;
}
