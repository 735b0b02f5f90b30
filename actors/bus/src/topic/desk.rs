//! The publishers' side of a topic: the head, the gate and the seats.

use std::sync::Arc;

use super::item::{Capacity, Policy};
use super::seat::{Counts, MAX_SUBSCRIBERS, Seat};
use super::stats::{SubscriberStats, TopicStats};

/// The publishers' side. Publishers of one process take turns at this lock; a subscriber takes it
/// only to come and to go.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) head: u64,
    /// No subscriber's cursor is below this; looked up again only when it leaves too little room.
    gate: u64,
    pub(super) seats: Vec<Option<Arc<Seat>>>,
    pub(super) refused: u64,
    departed: Counts,
    departed_unread: u64,
}

impl Desk {
    fn present(&self) -> impl Iterator<Item = &Arc<Seat>> {
        self.seats.iter().flatten()
    }

    /// Returns how many of `wanted` values fit without overwriting what a subscriber needs.
    pub(super) fn room(&mut self, capacity: u64, wanted: u64) -> u64 {
        let room = capacity - (self.head - self.gate);
        if room >= wanted {
            return wanted;
        }
        // Each cursor is read once: a second read of the slowest could already be past another.
        self.gate = self
            .present()
            .map(|seat| seat.cursor())
            .min()
            .unwrap_or(self.head);
        (capacity - (self.head - self.gate)).min(wanted)
    }

    /// Returns the name of the subscriber that is furthest behind.
    pub(super) fn slowest(&self) -> Arc<str> {
        let slowest = self.present().min_by_key(|seat| seat.cursor());
        // Without subscribers only a batch larger than the ring does not fit.
        slowest.map_or_else(|| "nobody".into(), |seat| seat.name.clone())
    }

    /// Returns the first free place, if there is one.
    pub(super) fn free_place(&mut self) -> Option<usize> {
        let free = self
            .seats
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.seats.len());
        if free == MAX_SUBSCRIBERS {
            return None;
        }
        if free == self.seats.len() {
            self.seats.push(None);
        }
        Some(free)
    }

    /// Frees a seat's place and keeps its numbers.
    pub(super) fn remove(&mut self, seat: &Seat) {
        self.seats[seat.index] = None;
        let counts = seat.counts();
        self.departed.received += counts.received;
        self.departed.dropped += counts.dropped;
        self.departed_unread += self.head - seat.start - counts.received - counts.dropped;
    }

    /// Returns the numbers. The head stands still under the desk's lock, and no subscriber can
    /// have more than it.
    pub(super) fn stats(&self, name: &Arc<str>, policy: Policy, capacity: Capacity) -> TopicStats {
        let subscribers = self.present().map(|seat| {
            let counts = seat.counts();
            let published = self.head - seat.start;
            SubscriberStats {
                name: seat.name.clone(),
                published,
                received: counts.received,
                dropped: counts.dropped,
                pending: published - counts.received - counts.dropped,
            }
        });
        TopicStats {
            name: name.clone(),
            policy,
            capacity: capacity.slots(),
            published: self.head,
            refused: self.refused,
            subscribers: subscribers.collect(),
            departed_received: self.departed.received,
            departed_dropped: self.departed.dropped,
            departed_unread: self.departed_unread,
        }
    }
}
