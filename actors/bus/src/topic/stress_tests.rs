//! Publishers and subscribers on threads of their own. Nothing sleeps for a time: a subscriber
//! parks until its doorbell unparks it, so a lost wake-up shows as a test that never ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use super::*;

const PUBLISHERS: u64 = 3;
const SUBSCRIBERS: u64 = 4;
const EACH: u64 = 40_000;

/// (publisher, running number of that publisher)
type Value = (u64, u64);

#[derive(Debug, Default)]
struct Got {
    received: u64,
    dropped: u64,
}

/// Reads to the end of the topic with doorbell and parking, and checks the order per publisher.
fn subscriber(topic: &Topic<Value>, ready: &Barrier, budget: usize) -> Got {
    let rung = Arc::new(AtomicBool::new(false));
    let (bell, thread) = (rung.clone(), thread::current());
    let doorbell = move || {
        bell.store(true, Ordering::SeqCst);
        thread.unpark();
    };
    let mut subscription = topic
        .subscribe("reader", Box::new(doorbell))
        .expect("a free seat");
    ready.wait();
    let mut got = Got::default();
    let mut last = [None; PUBLISHERS as usize];
    loop {
        let drained = subscription.drain(budget, |item| {
            got.received += item.received();
            got.dropped += item.dropped();
            if let Some((publisher, number)) = item.into_value() {
                let before = last[publisher as usize].replace(number);
                assert!(
                    before < Some(number),
                    "publisher {publisher}: {before:?}, {number}"
                );
            }
        });
        match drained {
            Drained::Again => {}
            Drained::Closed => return got,
            Drained::Asleep => {
                while !rung.swap(false, Ordering::SeqCst) {
                    thread::park();
                }
            }
        }
    }
}

fn run(topic: Topic<Value>, publish: impl Fn(&Topic<Value>, &[Value]) + Sync) -> Vec<Got> {
    let ready = Barrier::new((PUBLISHERS + SUBSCRIBERS) as usize);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..SUBSCRIBERS)
            .map(|n| {
                let (topic, ready) = (topic.clone(), &ready);
                scope.spawn(move || subscriber(&topic, ready, 1 + 100 * n as usize))
            })
            .collect();
        let writers: Vec<_> = (0..PUBLISHERS)
            .map(|who| {
                let (topic, ready, publish) = (topic.clone(), &ready, &publish);
                scope.spawn(move || {
                    ready.wait();
                    let values: Vec<Value> = (0..EACH).map(|number| (who, number)).collect();
                    for batch in values.chunks(1 + 10 * who as usize) {
                        publish(&topic, batch);
                    }
                })
            })
            .collect();
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        // Before looking at how the publishers fared: a subscriber must not wait for ever.
        topic.close();
        assert!(written.iter().all(Result::is_ok), "a publisher failed");
        readers
            .into_iter()
            .map(|reader| reader.join().expect("a subscriber"))
            .collect()
    })
}

#[test]
fn a_block_topic_delivers_everything_to_everyone_across_threads() {
    let topic = Topic::block("orders", Capacity::new(64), Duration::from_secs(60));
    let stats = topic.clone();
    let got = run(topic, |topic, batch| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let publish = topic.publish_batch(batch);
        runtime
            .expect("a runtime")
            .block_on(publish)
            .expect("room within a minute");
    });
    for one in &got {
        assert_eq!((one.received, one.dropped), (PUBLISHERS * EACH, 0));
    }
    let stats = stats.stats();
    assert_eq!(stats.departed_received, SUBSCRIBERS * PUBLISHERS * EACH);
    assert_eq!((stats.departed_dropped, stats.departed_unread), (0, 0));
}

#[test]
fn a_gap_topic_accounts_for_every_value_across_threads() {
    let topic = Topic::gap("trades", Capacity::new(64));
    let stats = topic.clone();
    let got = run(topic, |topic, batch| {
        topic.try_publish_batch(batch).expect("never refused")
    });
    for one in &got {
        assert_eq!(one.received + one.dropped, PUBLISHERS * EACH);
    }
    assert_eq!(
        stats.stats().departed_dropped,
        got.iter().map(|one| one.dropped).sum::<u64>()
    );
}

impl Keyed for Value {
    type Key = u64;

    fn key(&self) -> u64 {
        // Several keys per publisher, so that there is something to keep in order.
        self.0 * 4 + self.1 % 4
    }
}

#[test]
fn a_conflated_topic_accounts_for_every_value_across_threads() {
    let topic = Topic::conflate("quotes", Capacity::new(16));
    let got = run(topic, |topic, batch| {
        topic.try_publish_batch(batch).expect("keys fit")
    });
    for one in &got {
        assert_eq!(one.received + one.dropped, PUBLISHERS * EACH);
        assert!(one.received > 0);
    }
}

#[test]
fn numbers_add_up_in_every_snapshot_taken_meanwhile() {
    let topic = Topic::<Value>::gap("trades", Capacity::new(64));
    let watched = topic.clone();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                for one in watched.stats().subscribers {
                    assert_eq!(one.published, one.received + one.dropped + one.pending);
                }
            }
        });
        run(topic, |topic, batch| {
            topic.try_publish_batch(batch).expect("never refused")
        });
        done.store(true, Ordering::SeqCst);
    });
}
