//! The publisher's handle to a topic.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorRef, Message};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::core::{Core, Store, Take};
use super::error::{PublishError, SubscribeError};
use super::item::{Capacity, Keyed, Policy};
use super::latest::Latest;
use super::ring::Ring;
use super::seat::Doorbell;
use super::stats::{StatsSource, TopicStats};
use super::subscription::{AsyncSubscription, Subscription};

/// A named, typed, bounded topic with one stated policy. Clones are handles to the same topic;
/// when the last one is dropped, the topic closes.
///
/// Values stay in the ring until they are overwritten: large ones belong in an `Arc`.
///
/// ```
/// use apex_bus::topic::{Capacity, Topic};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let trades = Topic::gap("trades", Capacity::new(1024));
/// let mut tape = trades.subscribe_async("tape").unwrap();
/// trades.publish(7_u64).await.unwrap();
/// let mut batch = Vec::new();
/// assert_eq!(tape.next_batch(&mut batch, 64).await, 1);
/// assert_eq!(batch.pop().unwrap().into_value(), Some(7));
/// # });
/// ```
pub struct Topic<T: Clone + Send + Sync + 'static> {
    handle: Arc<Handle<T>>,
}

/// Closes the topic when the last publisher lets go of it.
struct Handle<T: Clone + Send + Sync + 'static>(Arc<Core<T>>);

impl<T: Clone + Send + Sync + 'static> Drop for Handle<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T: Clone + Send + Sync + 'static> Topic<T> {
    /// Declares a topic that loses nothing: a publisher waits for the slowest subscriber, up to
    /// `patience` per call, then gets [`PublishError::Slow`] with that subscriber's name.
    pub fn block(name: &str, capacity: Capacity, patience: Duration) -> Self {
        let store = Store::Ring(Ring::new(capacity));
        Self::declare(name, Policy::Block, capacity, patience, store)
    }

    /// Declares a topic that drops the oldest values for a subscriber that is more than
    /// `capacity` behind, and tells it how many.
    pub fn gap(name: &str, capacity: Capacity) -> Self {
        let store = Store::Ring(Ring::new(capacity));
        Self::declare(name, Policy::Gap, capacity, Duration::ZERO, store)
    }

    /// Declares a topic on which a full ring is [`PublishError::Halt`]: the publisher must stop
    /// trading rather than lose or wait.
    pub fn halt(name: &str, capacity: Capacity) -> Self {
        let store = Store::Ring(Ring::new(capacity));
        Self::declare(name, Policy::Halt, capacity, Duration::ZERO, store)
    }

    /// Declares a topic on which the latest value per key wins. `capacity` is the number of keys
    /// it can hold.
    pub fn conflate(name: &str, capacity: Capacity) -> Self
    where
        T: Keyed,
    {
        let store = Store::Latest(Box::new(Latest::new(capacity)));
        Self::declare(name, Policy::Conflate, capacity, Duration::ZERO, store)
    }

    fn declare(
        name: &str,
        policy: Policy,
        capacity: Capacity,
        patience: Duration,
        store: Store<T>,
    ) -> Self {
        let core = Core::new(name.into(), policy, capacity, patience, store);
        Topic {
            handle: Arc::new(Handle(Arc::new(core))),
        }
    }

    fn core(&self) -> &Arc<Core<T>> {
        &self.handle.0
    }

    /// Returns the topic's name.
    pub fn name(&self) -> &str {
        &self.core().name
    }

    /// Returns what happens when a subscriber does not keep up.
    pub fn policy(&self) -> Policy {
        self.core().policy
    }

    /// Publishes one value; on a block topic waits for room.
    ///
    /// # Errors
    /// [`PublishError`]; on a block topic never `Full`. The value is published or it is not:
    /// dropping the future while it waits publishes nothing.
    pub async fn publish(&self, value: T) -> Result<(), PublishError> {
        let mut value = Some(value);
        self.push(&mut std::iter::from_fn(|| value.take()), 1).await
    }

    /// Publishes clones of `values` in their order, waking each sleeping subscriber once; on a
    /// block topic in as many parts as the subscribers make room for. Much cheaper per value
    /// than [`Topic::publish`].
    ///
    /// # Errors
    /// As [`Topic::publish`]; the error says how many values were published before it.
    pub async fn publish_batch(&self, values: &[T]) -> Result<(), PublishError> {
        self.push(&mut values.iter().cloned(), values.len()).await
    }

    /// Publishes one value now or not at all. On conflate, gap and halt topics this is the same
    /// as [`Topic::publish`].
    ///
    /// # Errors
    /// [`PublishError::Full`] on a block topic without room.
    pub fn try_publish(&self, value: T) -> Result<(), PublishError> {
        self.core()
            .offer(&mut std::iter::once(value), 1, Take::Whole)
            .map(drop)
    }

    /// Publishes all of `values` now or, on block and halt topics, none of them. A batch larger
    /// than the capacity never fits there.
    ///
    /// # Errors
    /// [`PublishError::Full`] on a block topic without room for all.
    pub fn try_publish_batch(&self, values: &[T]) -> Result<(), PublishError> {
        self.core()
            .offer(&mut values.iter().cloned(), values.len(), Take::Whole)
            .map(drop)
    }

    async fn push(
        &self,
        values: &mut impl Iterator<Item = T>,
        count: usize,
    ) -> Result<(), PublishError> {
        let core = self.core();
        let take = match core.policy {
            Policy::Block => Take::Part,
            Policy::Conflate | Policy::Gap | Policy::Halt => Take::Whole,
        };
        let mut done = 0;
        let mut deadline = None;
        loop {
            done += core
                .offer(values, count - done, take)
                .map_err(|error| error.after(done))?;
            if done == count {
                return Ok(());
            }
            let by = *deadline.get_or_insert_with(|| Instant::now() + core.patience);
            core.wait_for_room(by, done, (count - done) as u64).await?;
        }
    }

    /// Subscribes with a doorbell, which a publisher calls once whenever it finds this subscriber
    /// asleep. The subscriber begins asleep and gets what is published from now on; it answers
    /// the doorbell with [`Subscription::drain`].
    ///
    /// # Errors
    /// [`SubscribeError`].
    pub fn subscribe(
        &self,
        name: &str,
        doorbell: Doorbell,
    ) -> Result<Subscription<T>, SubscribeError> {
        let (seat, reader) = self.core().sit(name.into(), doorbell)?;
        Ok(Subscription::new(self.core().clone(), seat, reader))
    }

    /// Subscribes an actor: the doorbell casts `message()` to it.
    ///
    /// # Errors
    /// [`SubscribeError`].
    pub fn subscribe_actor<M: Message>(
        &self,
        name: &str,
        actor: ActorRef<M>,
        message: impl Fn() -> M + Send + Sync + 'static,
    ) -> Result<Subscription<T>, SubscribeError> {
        let ring = move || {
            // A failed cast means that the actor has stopped, and its subscription goes with it.
            let _ = actor.cast(message());
        };
        self.subscribe(name, Box::new(ring))
    }

    /// Subscribes a plain task, which awaits batches.
    ///
    /// # Errors
    /// [`SubscribeError`].
    pub fn subscribe_async(&self, name: &str) -> Result<AsyncSubscription<T>, SubscribeError> {
        let bell = Arc::new(Notify::new());
        let ring = bell.clone();
        let subscription = self.subscribe(name, Box::new(move || ring.notify_one()))?;
        Ok(AsyncSubscription::new(subscription, bell))
    }

    /// Returns the latest value per key, the one that changed longest ago first. Empty unless the
    /// topic conflates. For a new subscriber that needs a first picture: subscribe, then call
    /// this.
    pub fn latest(&self) -> Vec<T> {
        self.core().snapshot()
    }

    /// Closes the topic: publishing is refused, waiting publishers and sleeping subscribers wake,
    /// and subscribers can still read what was published.
    pub fn close(&self) {
        self.core().close();
    }

    /// Returns the topic's numbers now.
    pub fn stats(&self) -> TopicStats {
        self.core().stats()
    }
}

impl<T: Clone + Send + Sync + 'static> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Topic {
            handle: self.handle.clone(),
        }
    }
}

impl<T: Clone + Send + Sync + 'static> fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core().fmt(f)
    }
}

impl<T: Clone + Send + Sync + 'static> StatsSource for Topic<T> {
    fn stats(&self) -> TopicStats {
        Topic::stats(self)
    }
}
