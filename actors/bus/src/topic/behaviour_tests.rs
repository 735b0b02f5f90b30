//! Waiting, waking, coming and going, in one thread with time that stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use super::*;

const SMALL: Capacity = Capacity::new(4);
const PATIENCE: Duration = Duration::from_secs(5);

fn values(items: Vec<Item<u64>>) -> Vec<u64> {
    items.into_iter().filter_map(Item::into_value).collect()
}

#[tokio::test(start_paused = true)]
async fn a_publisher_of_a_block_topic_goes_on_when_the_slowest_has_read() {
    let topic = Topic::block("orders", SMALL, PATIENCE);
    let mut slow = topic.subscribe_async("slow").unwrap();
    let publisher = topic.clone();
    let publishing = tokio::spawn(async move {
        let all: Vec<u64> = (0..10).collect();
        publisher.publish_batch(&all).await
    });
    let mut got = Vec::new();
    while got.len() < 10 {
        slow.next_batch(&mut got, 3).await;
        assert!(topic.stats().published <= got.len() as u64 + 4);
    }
    assert_eq!(publishing.await.unwrap(), Ok(()));
    assert_eq!(values(got), (0..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_waited_in_vain_names_the_slow_subscriber() {
    let topic = Topic::block("orders", SMALL, PATIENCE);
    let mut quick = topic.subscribe_async("quick").unwrap();
    let _stuck = topic.subscribe_async("stuck").unwrap();
    let reader = tokio::spawn(async move {
        let mut got = Vec::new();
        while quick.next_batch(&mut got, 16).await > 0 {}
        values(got)
    });
    let before = tokio::time::Instant::now();
    let refused = topic.publish_batch(&[1, 2, 3, 4, 5, 6]).await.unwrap_err();
    assert_eq!(before.elapsed(), PATIENCE);
    let expected = PublishError::Slow {
        topic: "orders".into(),
        subscriber: "stuck".into(),
        waited: PATIENCE,
        published: 4,
    };
    assert_eq!(refused, expected);
    assert_eq!(
        refused.to_string(),
        "topic \"orders\" waited 5s for subscriber \"stuck\""
    );
    assert_eq!(topic.stats().refused, 2);
    topic.close();
    assert_eq!(reader.await.unwrap(), [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_leaves_frees_the_publisher_that_waits_for_it() {
    let topic = Topic::block("orders", SMALL, PATIENCE);
    let stuck = topic.subscribe_async("stuck").unwrap();
    topic.try_publish_batch(&[1_u64, 2, 3, 4]).unwrap();
    let publisher = topic.clone();
    let waiting = tokio::spawn(async move { publisher.publish(5).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(stuck);
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(topic.stats().departed_unread, 4);
}

#[tokio::test(start_paused = true)]
async fn closing_wakes_publishers_and_subscribers() {
    let topic = Topic::block("orders", SMALL, PATIENCE);
    let mut idle = topic.subscribe_async("idle").unwrap();
    let reading = tokio::spawn(async move { idle.next_batch(&mut Vec::new(), 8).await });
    tokio::task::yield_now().await;
    topic.close();
    assert_eq!(reading.await.unwrap(), 0);
    assert!(matches!(
        topic.publish(1_u64).await,
        Err(PublishError::Closed { published: 0, .. })
    ));
    assert!(matches!(
        topic.subscribe_async("late"),
        Err(SubscribeError::Closed { .. })
    ));

    let full = Topic::block("full", SMALL, PATIENCE);
    let mut stuck = full.subscribe_async("stuck").unwrap();
    let publisher = full.clone();
    let waiting = tokio::spawn(async move { publisher.publish_batch(&[1_u64; 6]).await });
    tokio::task::yield_now().await;
    full.close();
    let closed = PublishError::Closed {
        topic: "full".into(),
        published: 4,
    };
    assert_eq!(waiting.await.unwrap(), Err(closed));
    let mut rest = Vec::new();
    assert_eq!(
        stuck.next_batch(&mut rest, 8).await,
        4,
        "what was published can still be read"
    );
    assert_eq!(stuck.next_batch(&mut rest, 8).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_topic_closes_when_its_last_publisher_is_gone() {
    let topic = Topic::<u64>::gap("trades", SMALL);
    let mut reader = topic.subscribe_async("reader").unwrap();
    let other = topic.clone();
    drop(topic);
    other.try_publish(1).unwrap();
    assert_eq!(reader.next_batch(&mut Vec::new(), 8).await, 1);
    drop(other);
    assert_eq!(reader.next_batch(&mut Vec::new(), 8).await, 0);
}

#[test]
fn a_slow_subscriber_of_a_gap_topic_takes_nothing_from_another() {
    let topic = Topic::gap("trades", SMALL);
    let mut quick = topic.subscribe_async("quick").unwrap();
    let mut slow = topic.subscribe_async("slow").unwrap();
    let mut got = Vec::new();
    for number in 0..10_u64 {
        topic.try_publish(number).unwrap();
        quick.try_next_batch(&mut got, 8);
    }
    assert_eq!(values(got), (0..10).collect::<Vec<_>>());
    let mut late = Vec::new();
    slow.try_next_batch(&mut late, 8);
    assert_eq!(late[0], Item::Gap { missed: 6 });
    assert_eq!(values(late), [6, 7, 8, 9]);
    assert_eq!(topic.stats().dropped(), 6);
}

#[test]
fn a_full_halt_topic_says_halt() {
    let topic = Topic::halt("journal", SMALL);
    let _stuck = topic.subscribe_async("writer").unwrap();
    topic.try_publish_batch(&[1_u64, 2, 3]).unwrap();
    let refused = topic.try_publish_batch(&[4, 5]).unwrap_err();
    let halt = PublishError::Halt {
        topic: "journal".into(),
        subscriber: "writer".into(),
    };
    assert_eq!(refused, halt);
    assert_eq!(
        topic.stats().published,
        3,
        "a batch is taken whole or not at all"
    );
}

#[test]
fn a_doorbell_rings_once_for_a_sleeper_and_never_for_a_busy_one() {
    let topic = Topic::gap("trades", Capacity::new(64));
    let rings = Arc::new(AtomicUsize::new(0));
    let bell = rings.clone();
    let ring = move || {
        bell.fetch_add(1, Ordering::SeqCst);
    };
    let mut reader = topic.subscribe("reader", Box::new(ring)).unwrap();
    let rung = || rings.swap(0, Ordering::SeqCst);
    for number in 0..5_u64 {
        topic.try_publish(number).unwrap();
    }
    assert_eq!(rung(), 1);
    assert_eq!(reader.drain(3, drop), Drained::Again);
    topic.try_publish(5).unwrap();
    assert_eq!(rung(), 0, "it has said that it will be back");
    assert_eq!(reader.drain(3, drop), Drained::Asleep);
    topic.try_publish(6).unwrap();
    assert_eq!(rung(), 1);
}

#[test]
fn a_receiver_that_panics_keeps_what_it_has_not_seen() {
    let topic = Topic::block("orders", SMALL, PATIENCE);
    let mut reader = topic.subscribe("reader", Box::new(|| ())).unwrap();
    topic.try_publish_batch(&[1_u64, 2, 3]).unwrap();
    let broken = std::panic::AssertUnwindSafe(|| {
        let _ = reader.drain(8, |item| assert_ne!(item.into_value(), Some(2)));
    });
    assert!(std::panic::catch_unwind(broken).is_err());
    let stats = topic.stats();
    assert_eq!(
        (stats.subscribers[0].received, stats.subscribers[0].pending),
        (2, 1)
    );
    let mut got = Vec::new();
    assert_eq!(reader.drain(8, |item| got.push(item)), Drained::Asleep);
    assert_eq!(values(got), [3]);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_given_up_loses_nothing() {
    let topic = Topic::block("orders", SMALL, PATIENCE);
    let mut reader = topic.subscribe_async("reader").unwrap();
    let mut got = Vec::new();
    for number in 0..20_u64 {
        let given_up = tokio::time::timeout(PATIENCE, reader.next_batch(&mut got, 1)).await;
        assert!(given_up.is_err());
        topic.publish(number).await.unwrap();
        assert_eq!(reader.next_batch(&mut got, 8).await, 1);
    }
    assert_eq!(values(got), (0..20).collect::<Vec<_>>());
}

#[test]
fn one_subscriber_too_many_is_refused_and_a_seat_left_is_free_again() {
    let topic = Topic::<u64>::gap("trades", SMALL);
    let mut seated: Vec<_> = (0..MAX_SUBSCRIBERS)
        .map(|_| topic.subscribe_async("one").unwrap())
        .collect();
    let refused = topic.subscribe_async("more");
    assert!(matches!(
        refused,
        Err(SubscribeError::TooManySubscribers { .. })
    ));
    seated.swap_remove(100);
    let mut late = topic.subscribe_async("more").unwrap();
    topic.try_publish(1).unwrap();
    assert_eq!(late.try_next_batch(&mut Vec::new(), 8), 1);
}

/// Adds up what it reads, a few at a time, and answers when it has read `until` of them.
struct Adder;

enum AdderMessage {
    Doorbell,
}

struct Sum {
    subscription: Subscription<u64>,
    count: u64,
    sum: u64,
    until: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Actor for Adder {
    type Msg = AdderMessage;
    type State = Sum;
    type Arguments = (Topic<u64>, u64, oneshot::Sender<u64>);

    async fn pre_start(
        &self,
        myself: ActorRef<AdderMessage>,
        (topic, until, done): Self::Arguments,
    ) -> Result<Sum, ActorProcessingErr> {
        let subscription = topic.subscribe_actor("adder", myself, || AdderMessage::Doorbell)?;
        Ok(Sum {
            subscription,
            count: 0,
            sum: 0,
            until,
            done: Some(done),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<AdderMessage>,
        AdderMessage::Doorbell: AdderMessage,
        state: &mut Sum,
    ) -> Result<(), ActorProcessingErr> {
        let drained = state.subscription.drain(3, |item| {
            if let Some(value) = item.into_value() {
                state.sum += value;
                state.count += 1;
            }
        });
        if state.count == state.until
            && let Some(done) = state.done.take()
        {
            let _ = done.send(state.sum);
        }
        if drained == Drained::Again {
            myself.cast(AdderMessage::Doorbell)?;
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn actors_read_everything_and_take_their_seat_with_them() {
    let topic = Topic::block("numbers", SMALL, PATIENCE);
    let mut sums = Vec::new();
    let mut actors = Vec::new();
    for _ in 0..3 {
        let (done, sum) = oneshot::channel();
        let (actor, running) = Actor::spawn(None, Adder, (topic.clone(), 100, done))
            .await
            .unwrap();
        sums.push(sum);
        actors.push((actor, running));
    }
    for number in 0..100 {
        topic.publish(number).await.unwrap();
    }
    for sum in sums {
        assert_eq!(sum.await.unwrap(), 4_950);
    }
    for (actor, running) in actors {
        actor.stop(None);
        running.await.unwrap();
    }
    let stats = topic.stats();
    assert_eq!((stats.subscribers.len(), stats.departed_received), (0, 300));
}
