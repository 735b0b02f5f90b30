//! What the publishers and subscribers of a topic share.

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::desk::Desk;
use super::error::{PublishError, SubscribeError};
use super::item::{Capacity, Item, Policy};
use super::latest::{LatestReader, LatestTable};
use super::ring::Ring;
use super::seat::{Counts, Doorbell, MAX_SUBSCRIBERS, OwnLine, Seat, Sleepers};
use super::stats::TopicStats;

/// Where a topic keeps its values.
#[derive(Debug)]
pub(super) enum Store<T> {
    Ring(Ring<T>),
    Latest(Box<dyn LatestTable<T>>),
}

/// A subscriber's place in the store.
#[derive(Debug)]
pub(super) enum Reader {
    Ring { next: u64 },
    Latest(LatestReader),
}

impl Reader {
    fn next(&self) -> u64 {
        match self {
            Reader::Ring { next } => *next,
            Reader::Latest(reader) => reader.next,
        }
    }
}

/// Whether a publish may take a part of a batch or must take all or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    Part,
    Whole,
}

pub(super) struct Core<T> {
    pub(super) name: Arc<str>,
    pub(super) policy: Policy,
    pub(super) capacity: Capacity,
    /// How long a publisher of a block topic waits for room.
    pub(super) patience: Duration,
    store: Store<T>,
    /// Values published; stored after they are in the store.
    head: OwnLine<AtomicU64>,
    sleepers: Sleepers,
    closed: AtomicBool,
    /// Set by a publisher before it waits for `room`.
    publisher_waits: AtomicBool,
    room: Notify,
    desk: Mutex<Desk>,
}

impl<T: Clone + Send + Sync + 'static> Core<T> {
    pub(super) fn new(
        name: Arc<str>,
        policy: Policy,
        capacity: Capacity,
        patience: Duration,
        store: Store<T>,
    ) -> Self {
        Core {
            name,
            policy,
            capacity,
            patience,
            store,
            head: OwnLine(AtomicU64::new(0)),
            sleepers: Sleepers::default(),
            closed: AtomicBool::new(false),
            publisher_waits: AtomicBool::new(false),
            room: Notify::new(),
            desk: Mutex::new(Desk::default()),
        }
    }

    /// Publishes what there is room for now (with [`Take::Whole`]: all or none) of the next
    /// `count` values and returns how many it took.
    pub(super) fn offer(
        &self,
        values: &mut impl Iterator<Item = T>,
        count: usize,
        take: Take,
    ) -> Result<usize, PublishError> {
        let mut taken = 0;
        loop {
            let mut desk = self.desk();
            if self.is_closed() {
                return Err(PublishError::Closed {
                    topic: self.name.clone(),
                    published: taken,
                });
            }
            // Values that may be overwritten still go in by at most a ring at a time.
            let rest = (count - taken) as u64;
            let fits = match self.policy {
                Policy::Block | Policy::Halt => {
                    let room = desk.room(self.capacity.slots(), rest);
                    if take == Take::Whole && room < rest {
                        desk.refused += rest;
                        return Err(self.full(&desk));
                    }
                    room
                }
                Policy::Gap => rest.min(self.capacity.slots()),
                Policy::Conflate => rest,
            };
            let written = match &self.store {
                Store::Ring(ring) => {
                    ring.write(desk.head, fits, values);
                    fits
                }
                Store::Latest(table) => table.write(desk.head, fits, values),
            };
            taken += written as usize;
            let refused = fits - written;
            desk.head += written;
            desk.refused += refused;
            // SeqCst, and before the look at the sleepers: see `Sleepers`.
            self.head.0.store(desk.head, Ordering::SeqCst);
            let woken = self.sleepers.take(&desk.seats);
            drop(desk);
            // Outside the lock: a doorbell runs code of others, which may come or go as well.
            woken.iter().for_each(|seat| (seat.doorbell)());
            if refused > 0 {
                let keys = self.capacity.slots();
                return Err(PublishError::TooManyKeys {
                    topic: self.name.clone(),
                    keys,
                    published: taken,
                });
            }
            if taken == count || self.policy != Policy::Gap {
                return Ok(taken);
            }
        }
    }

    fn full(&self, desk: &Desk) -> PublishError {
        let topic = self.name.clone();
        let subscriber = desk.slowest();
        match self.policy {
            Policy::Halt => PublishError::Halt { topic, subscriber },
            _ => PublishError::Full { topic, subscriber },
        }
    }

    /// Waits until a block topic has room for one value or is closed. `published` goes into the
    /// error, and `rest` is counted as refused with it.
    pub(super) async fn wait_for_room(
        &self,
        deadline: Instant,
        published: usize,
        rest: u64,
    ) -> Result<(), PublishError> {
        let mut room = pin!(self.room.notified());
        // Enabled before the flag is up, so that whoever sees the flag also finds this waiter.
        room.as_mut().enable();
        // SeqCst, and before the look at the cursors: pairs with `Seat::settle`.
        self.publisher_waits.store(true, Ordering::SeqCst);
        if self.is_closed() || self.desk().room(self.capacity.slots(), 1) > 0 {
            return Ok(());
        }
        if tokio::time::timeout_at(deadline, room).await.is_ok() {
            return Ok(());
        }
        let mut desk = self.desk();
        desk.refused += rest;
        let subscriber = desk.slowest();
        Err(PublishError::Slow {
            topic: self.name.clone(),
            subscriber,
            waited: self.patience,
            published,
        })
    }

    /// Wakes publishers that wait for room. Called after a cursor moved or a seat was left.
    fn notice_room(&self) {
        if self.publisher_waits.load(Ordering::SeqCst)
            && self.publisher_waits.swap(false, Ordering::SeqCst)
        {
            self.room.notify_waiters();
        }
    }

    /// Takes a seat. It begins asleep, so that the first publish after this rings the doorbell.
    pub(super) fn sit(
        &self,
        name: Arc<str>,
        doorbell: Doorbell,
    ) -> Result<(Arc<Seat>, Reader), SubscribeError> {
        let mut desk = self.desk();
        if self.is_closed() {
            return Err(SubscribeError::Closed {
                topic: self.name.clone(),
            });
        }
        let Some(free) = desk.free_place() else {
            return Err(SubscribeError::TooManySubscribers {
                topic: self.name.clone(),
                subscriber: name,
                limit: MAX_SUBSCRIBERS,
            });
        };
        let next = desk.head;
        let seat = Arc::new(Seat::new(name, free, next, doorbell));
        desk.seats[free] = Some(seat.clone());
        self.sleepers.set(free);
        let reader = match &self.store {
            Store::Ring(_) => Reader::Ring { next },
            Store::Latest(table) => Reader::Latest(table.reader(next)),
        };
        Ok((seat, reader))
    }

    /// Gives a seat back, and frees a publisher that waited for it.
    pub(super) fn leave(&self, seat: &Seat) {
        let mut desk = self.desk();
        desk.remove(seat);
        self.sleepers.clear(seat.index);
        drop(desk);
        self.notice_room();
    }

    /// Copies what the reader has not seen yet into `out`, at most `max` items.
    pub(super) fn read(&self, reader: &mut Reader, max: usize, out: &mut VecDeque<Item<T>>) {
        match (&self.store, reader) {
            (Store::Ring(ring), Reader::Ring { next }) => {
                ring.read(next, self.head.0.load(Ordering::SeqCst), max, out);
            }
            (Store::Latest(table), Reader::Latest(reader)) => table.read(reader, max, out),
            // `sit` makes the reader that belongs to the store, and neither ever changes.
            _ => unreachable!("a reader of another kind of store"),
        }
    }

    /// Counts a batch as handed over.
    pub(super) fn settle(&self, seat: &Seat, batch: Counts) {
        seat.settle(batch);
        self.notice_room();
    }

    /// Goes to sleep unless there is something to read or the topic is closed. Returns whether
    /// the subscriber sleeps now; if so, the doorbell rings or has rung.
    pub(super) fn sleep(&self, seat: &Seat, reader: &Reader) -> bool {
        self.sleepers.set(seat.index);
        if self.is_closed() || self.has_more(reader) {
            // If a publisher was faster and cleared the bit, its doorbell is on the way, and the
            // subscriber may sleep until then.
            return !self.sleepers.clear(seat.index);
        }
        true
    }

    /// Returns true when the bit was still set, that is, no doorbell is on the way.
    pub(super) fn wake_up(&self, seat: &Seat) -> bool {
        self.sleepers.clear(seat.index)
    }

    pub(super) fn has_more(&self, reader: &Reader) -> bool {
        self.head.0.load(Ordering::SeqCst) > reader.next()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Refuses further publishes and wakes everyone; what was published can still be read.
    pub(super) fn close(&self) {
        let desk = self.desk();
        self.closed.store(true, Ordering::SeqCst);
        let woken = self.sleepers.take(&desk.seats);
        drop(desk);
        woken.iter().for_each(|seat| (seat.doorbell)());
        self.room.notify_waiters();
    }

    pub(super) fn snapshot(&self) -> Vec<T> {
        match &self.store {
            Store::Ring(_) => Vec::new(),
            Store::Latest(table) => table.snapshot(),
        }
    }

    pub(super) fn stats(&self) -> TopicStats {
        self.desk().stats(&self.name, self.policy, self.capacity)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Poisoned only by a value's clone that panicked in the store's write, before the head
        // moved: everything under this lock is still right.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Core<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
