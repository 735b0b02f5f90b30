//! A subscriber's seat at a topic, and the mask of sleeping seats.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Subscribers a topic can have. Actors of one process are a few dozen; clients of the gateway
/// share its one subscription. A further one is refused with a typed error.
pub const MAX_SUBSCRIBERS: usize = 256;

/// Called once by a publisher when it finds the subscriber asleep: casts a message to an actor,
/// or wakes a task. It runs in the publisher, outside all locks, and must not block.
pub type Doorbell = Box<dyn Fn() + Send + Sync>;

/// Keeps a value that one thread writes often on a cache line of its own.
#[repr(align(64))]
#[derive(Debug, Default)]
pub(super) struct OwnLine<T>(pub(super) T);

/// What became of the values published since the subscription.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) dropped: u64,
}

/// The part of a subscription that the publisher sees.
pub(super) struct Seat {
    pub(super) name: Arc<str>,
    /// Its place in the list of seats and its bit in the mask.
    pub(super) index: usize,
    /// The head when it subscribed.
    pub(super) start: u64,
    /// One past the last position handed over or announced as dropped; what the gate looks at.
    cursor: OwnLine<AtomicU64>,
    /// Behind a lock so that a snapshot never sees one number without the other.
    counts: Mutex<Counts>,
    pub(super) doorbell: Doorbell,
}

impl Seat {
    pub(super) fn new(name: Arc<str>, index: usize, start: u64, doorbell: Doorbell) -> Self {
        Seat {
            name,
            index,
            start,
            cursor: OwnLine(AtomicU64::new(start)),
            counts: Mutex::new(Counts::default()),
            doorbell,
        }
    }

    pub(super) fn cursor(&self) -> u64 {
        self.cursor.0.load(Ordering::SeqCst)
    }

    pub(super) fn counts(&self) -> Counts {
        *self.lock()
    }

    /// Adds a batch that was handed over, and stores the cursor once.
    pub(super) fn settle(&self, batch: Counts) {
        let mut counts = self.lock();
        counts.received += batch.received;
        counts.dropped += batch.dropped;
        let cursor = self.start + counts.received + counts.dropped;
        // SeqCst pairs with the publisher that says it waits and then looks at the cursors:
        // either it sees this cursor, or this subscriber sees that it waits.
        self.cursor.0.store(cursor, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // The lock covers three additions; nothing in there can panic half way.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("name", &self.name)
            .field("index", &self.index)
            .field("start", &self.start)
            .field("cursor", &self.cursor())
            .finish_non_exhaustive()
    }
}

/// A bit per sleeping seat. All operations are SeqCst: a subscriber sets its bit and then looks
/// at the head, a publisher stores the head and then looks at the bits, and one of the two must
/// see the other.
#[derive(Debug, Default)]
pub(super) struct Sleepers(OwnLine<[AtomicU64; MAX_SUBSCRIBERS / 64]>);

impl Sleepers {
    pub(super) fn set(&self, index: usize) {
        self.word(index).fetch_or(bit(index), Ordering::SeqCst);
    }

    /// Clears the bit and returns whether it was set; if it was not, a publisher has cleared it
    /// and rings the doorbell.
    pub(super) fn clear(&self, index: usize) -> bool {
        self.word(index).fetch_and(!bit(index), Ordering::SeqCst) & bit(index) != 0
    }

    /// Clears all bits and returns the seats they stood for.
    pub(super) fn take(&self, seats: &[Option<Arc<Seat>>]) -> Vec<Arc<Seat>> {
        // An empty Vec does not allocate: the usual case, when all are busy, costs the loads.
        let mut woken = Vec::new();
        for (number, word) in self.0.0.iter().enumerate().take(seats.len().div_ceil(64)) {
            if word.load(Ordering::SeqCst) == 0 {
                continue;
            }
            let mut bits = word.swap(0, Ordering::SeqCst);
            while bits != 0 {
                let index = number * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                woken.extend(seats.get(index).and_then(Option::as_ref).cloned());
            }
        }
        woken
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        &self.0.0[index / 64]
    }
}

fn bit(index: usize) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sleeping_seats_are_woken_and_only_once() {
        let seats: Vec<_> = (0..130)
            .map(|index| Some(Arc::new(Seat::new("s".into(), index, 0, Box::new(|| ())))))
            .collect();
        let sleepers = Sleepers::default();
        for index in [0, 63, 64, 129] {
            sleepers.set(index);
        }
        assert!(sleepers.clear(63));
        assert!(!sleepers.clear(63));
        let woken: Vec<_> = sleepers
            .take(&seats)
            .iter()
            .map(|seat| seat.index)
            .collect();
        assert_eq!(woken, [0, 64, 129]);
        assert!(sleepers.take(&seats).is_empty());
    }
}
