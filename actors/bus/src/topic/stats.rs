//! The numbers of a topic, for metrics and summaries.

use std::sync::Arc;

use super::item::Policy;

/// What one subscriber was sent and what became of it.
///
/// Always: `published == received + dropped + pending`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberStats {
    /// The subscriber's name.
    pub name: Arc<str>,
    /// Values published since it subscribed.
    pub published: u64,
    /// Values handed to it.
    pub received: u64,
    /// Values announced to it as dropped: gaps, and overwritten ones of a conflated topic.
    pub dropped: u64,
    /// Values neither handed over nor announced yet.
    pub pending: u64,
}

/// A consistent snapshot of a topic's numbers, all read under the publisher's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicStats {
    /// The topic's name.
    pub name: Arc<str>,
    /// Its policy.
    pub policy: Policy,
    /// Values it holds for its slowest subscriber.
    pub capacity: u64,
    /// Values published since it was declared.
    pub published: u64,
    /// Values refused because the ring was full (block with `try_publish` or past its patience,
    /// halt) or the table of keys was (conflate).
    pub refused: u64,
    /// Its subscribers, in the order of their seats.
    pub subscribers: Vec<SubscriberStats>,
    /// Values received by subscribers that have left.
    pub departed_received: u64,
    /// Values announced as dropped to subscribers that have left.
    pub departed_dropped: u64,
    /// Values that subscribers left behind when they went.
    pub departed_unread: u64,
}

impl TopicStats {
    /// Returns all values announced as dropped, to present and past subscribers.
    pub fn dropped(&self) -> u64 {
        let present: u64 = self.subscribers.iter().map(|one| one.dropped).sum();
        present + self.departed_dropped
    }
}

/// Something whose numbers can be read without knowing the type of its values, so that metrics
/// can hold all topics in one list.
pub trait StatsSource: Send + Sync {
    /// Returns the numbers now.
    fn stats(&self) -> TopicStats;
}
