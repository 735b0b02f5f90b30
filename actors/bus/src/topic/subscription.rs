//! The two kinds of subscribers: an actor that answers a doorbell, and a task that awaits.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Notify;

use super::core::{Core, Reader};
use super::item::Item;
use super::seat::{Counts, Seat};

/// Items copied from the ring at once: two runs' worth, which stay in the processor's first-level
/// cache until they are handed over. When it is full, the drain hands over and copies again.
const INBOX: usize = 128;

/// What a subscriber does after a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an actor that is to drain again must cast the doorbell message to itself"]
pub enum Drained {
    /// The budget is spent and there may be more: cast the doorbell message to yourself, so that
    /// stop and supervision get in before the next drain.
    Again,
    /// All was read; the doorbell rings when there is more.
    Asleep,
    /// All was read and the topic is closed: nothing will ever come again.
    Closed,
}

/// A subscriber's end of a topic. Dropping it leaves the topic and frees a publisher that waits
/// for it.
#[derive(Debug)]
pub struct Subscription<T: Clone + Send + Sync + 'static> {
    core: Arc<Core<T>>,
    seat: Arc<Seat>,
    reader: Reader,
    /// Copied from the ring and not handed over yet. Empty between drains, unless the receiver of
    /// an item panicked; never more than `INBOX`.
    inbox: VecDeque<Item<T>>,
    /// Whether the sleeping bit was left set, so that it is cleared at the next drain.
    asleep: bool,
}

/// Counts what was handed over and settles it once, also when the receiver of an item panics.
struct Tally<'a, T: Clone + Send + Sync + 'static> {
    core: &'a Core<T>,
    seat: &'a Seat,
    batch: Counts,
}

impl<T: Clone + Send + Sync + 'static> Tally<'_, T> {
    fn count(&mut self, item: &Item<T>) {
        self.batch.received += item.received();
        self.batch.dropped += item.dropped();
    }
}

impl<T: Clone + Send + Sync + 'static> Drop for Tally<'_, T> {
    fn drop(&mut self) {
        if self.batch != Counts::default() {
            self.core.settle(self.seat, self.batch);
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Subscription<T> {
    pub(super) fn new(core: Arc<Core<T>>, seat: Arc<Seat>, reader: Reader) -> Self {
        // `Core::sit` leaves a new seat asleep.
        Subscription {
            core,
            seat,
            reader,
            inbox: VecDeque::new(),
            asleep: true,
        }
    }

    /// Returns the subscriber's name.
    pub fn name(&self) -> &str {
        &self.seat.name
    }

    /// Hands at most `budget` items (at least one) to `each` and stores the cursor once. Until
    /// then the items hold their place in the ring, so that on a block topic the publisher waits
    /// for the work and not for the copy.
    ///
    /// An item counts as received when `each` gets it; if `each` panics, the items after it stay.
    pub fn drain(&mut self, budget: usize, mut each: impl FnMut(Item<T>)) -> Drained {
        self.wake_up();
        let mut left = budget.max(1);
        loop {
            left -= self.hand_over(left, &mut each);
            if left == 0 && self.core.has_more(&self.reader) {
                return Drained::Again;
            }
            if self.sleep() {
                return Drained::Asleep;
            }
            if self.is_finished() {
                return Drained::Closed;
            }
            if left == 0 {
                return Drained::Again;
            }
        }
    }

    /// Hands over what is there now, at most `max` items, and returns how many.
    fn hand_over(&mut self, max: usize, each: &mut impl FnMut(Item<T>)) -> usize {
        let mut tally = Tally {
            core: &self.core,
            seat: &self.seat,
            batch: Counts::default(),
        };
        let mut count = 0;
        while count < max {
            if self.inbox.is_empty() {
                let some = (max - count).min(INBOX);
                self.core.read(&mut self.reader, some, &mut self.inbox);
            }
            let Some(item) = self.inbox.pop_front() else {
                break;
            };
            tally.count(&item);
            count += 1;
            each(item);
        }
        count
    }

    fn wake_up(&mut self) {
        if self.asleep {
            self.core.wake_up(&self.seat);
            self.asleep = false;
        }
    }

    fn sleep(&mut self) -> bool {
        self.asleep = self.inbox.is_empty() && self.core.sleep(&self.seat, &self.reader);
        self.asleep
    }

    /// A closed topic publishes nothing any more, so nothing can come after this is true.
    fn is_finished(&self) -> bool {
        self.core.is_closed() && self.inbox.is_empty() && !self.core.has_more(&self.reader)
    }
}

impl<T: Clone + Send + Sync + 'static> Drop for Subscription<T> {
    fn drop(&mut self) {
        self.core.leave(&self.seat);
    }
}

/// A subscription for a plain task: the doorbell wakes the task.
#[derive(Debug)]
pub struct AsyncSubscription<T: Clone + Send + Sync + 'static> {
    subscription: Subscription<T>,
    bell: Arc<Notify>,
}

impl<T: Clone + Send + Sync + 'static> AsyncSubscription<T> {
    pub(super) fn new(subscription: Subscription<T>, bell: Arc<Notify>) -> Self {
        AsyncSubscription { subscription, bell }
    }

    /// Returns the subscriber's name.
    pub fn name(&self) -> &str {
        self.subscription.name()
    }

    /// Appends at most `max` items (at least one) to `batch` as soon as there are any, and returns
    /// how many. Returns 0 only when the topic is closed and all was read.
    ///
    /// Dropping the future loses nothing: items are taken in the poll that returns them.
    pub async fn next_batch(&mut self, batch: &mut Vec<Item<T>>, max: usize) -> usize {
        let own = &mut self.subscription;
        loop {
            own.wake_up();
            let count = own.hand_over(max.max(1), &mut |item| batch.push(item));
            if count > 0 {
                return count;
            }
            if own.sleep() {
                self.bell.notified().await;
            } else if own.is_finished() {
                return 0;
            }
        }
    }

    /// Appends what is there now, at most `max` items, and returns how many, without waiting.
    pub fn try_next_batch(&mut self, batch: &mut Vec<Item<T>>, max: usize) -> usize {
        self.subscription
            .hand_over(max, &mut |item| batch.push(item))
    }
}
