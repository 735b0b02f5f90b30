//! Every topic against a model that keeps everything: whatever is published, drained, joined and
//! left in whatever order, each subscriber gets exactly what its policy promises, and its numbers
//! add up after every step.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// (key, running number)
type Value = (u8, u64);

impl Keyed for Value {
    type Key = u8;

    fn key(&self) -> u8 {
        self.0
    }
}

#[derive(Debug, Clone)]
enum Step {
    Publish(Vec<u8>),
    Join,
    Leave(usize),
    Drain(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(0_u8..6, 0..24).prop_map(Step::Publish),
        1 => Just(Step::Join),
        1 => (0_usize..8).prop_map(Step::Leave),
        4 => ((0_usize..8), (1_usize..20)).prop_map(|(who, budget)| Step::Drain(who, budget)),
    ]
}

/// A subscriber and, independently of the topic's own counting, what it is owed and has got.
struct Witness {
    subscription: Subscription<Value>,
    /// Position of the next value owed; for rings every value counts, in order.
    next: u64,
    since: u64,
    received: u64,
    dropped: u64,
    /// Per key: the running number of the last value received. Conflated topics only.
    last: BTreeMap<u8, u64>,
}

struct Model {
    topic: Topic<Value>,
    capacity: u64,
    history: Vec<Value>,
    refused: u64,
    witnesses: Vec<Witness>,
}

impl Model {
    fn new(policy: Policy) -> Self {
        let capacity = Capacity::new(16);
        let patience = std::time::Duration::from_secs(1);
        let topic = match policy {
            Policy::Block => Topic::block("t", capacity, patience),
            Policy::Gap => Topic::gap("t", capacity),
            Policy::Halt => Topic::halt("t", capacity),
            Policy::Conflate => Topic::conflate("t", capacity),
        };
        Model {
            topic,
            capacity: 16,
            history: Vec::new(),
            refused: 0,
            witnesses: Vec::new(),
        }
    }

    fn head(&self) -> u64 {
        self.history.len() as u64
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Publish(keys) => self.publish(keys),
            Step::Join if self.witnesses.len() < 8 => self.join(),
            Step::Join => {}
            Step::Leave(who) if who < self.witnesses.len() => {
                self.witnesses.swap_remove(who);
            }
            Step::Drain(who, budget) if who < self.witnesses.len() => {
                self.drain(who, budget);
            }
            Step::Leave(_) | Step::Drain(..) => {}
        }
        self.check_numbers();
    }

    fn publish(&mut self, keys: Vec<u8>) {
        let head = self.head();
        let values: Vec<Value> = keys
            .into_iter()
            .enumerate()
            .map(|(n, key)| (key, head + n as u64))
            .collect();
        let furthest_behind = self.witnesses.iter().map(|w| head - w.next).max();
        let room = self.capacity - furthest_behind.unwrap_or(0).min(self.capacity);
        let fits = match self.topic.policy() {
            Policy::Gap | Policy::Conflate => true,
            Policy::Block | Policy::Halt => values.len() as u64 <= room,
        };
        match (
            self.topic.try_publish_batch(&values),
            fits,
            self.topic.policy(),
        ) {
            (Ok(()), true, _) => self.history.extend(values),
            (Err(PublishError::Full { .. }), false, Policy::Block)
            | (Err(PublishError::Halt { .. }), false, Policy::Halt) => {
                self.refused += values.len() as u64;
            }
            (other, ..) => panic!("{other:?} with room for {room} of {}", values.len()),
        }
    }

    fn join(&mut self) {
        let subscription = self
            .topic
            .subscribe("w", Box::new(|| ()))
            .expect("a free seat");
        let (next, since) = (self.head(), self.head());
        let last = BTreeMap::new();
        let witness = Witness {
            subscription,
            next,
            since,
            received: 0,
            dropped: 0,
            last,
        };
        self.witnesses.push(witness);
    }

    fn drain(&mut self, who: usize, budget: usize) {
        let mut items = Vec::new();
        let witness = &mut self.witnesses[who];
        let drained = witness.subscription.drain(budget, |item| items.push(item));
        assert!(items.len() <= budget);
        for item in items {
            match self.topic.policy() {
                Policy::Conflate => witness.check_latest(item, &self.history),
                _ => witness.check_in_order(item, &self.history, self.capacity),
            }
        }
        if drained == Drained::Asleep {
            let owed = self.history.len() as u64 - witness.since;
            assert_eq!(
                witness.received + witness.dropped,
                owed,
                "asleep with something unread"
            );
        }
    }

    fn check_numbers(&self) {
        let stats = self.topic.stats();
        assert_eq!(
            (stats.published, stats.refused),
            (self.head(), self.refused)
        );
        assert_eq!(stats.subscribers.len(), self.witnesses.len());
        let mut shown: Vec<_> = stats.subscribers.iter().map(numbers).collect();
        let mut expected: Vec<_> = self
            .witnesses
            .iter()
            .map(|w| {
                let published = self.head() - w.since;
                (
                    published,
                    w.received,
                    w.dropped,
                    published - w.received - w.dropped,
                )
            })
            .collect();
        shown.sort_unstable();
        expected.sort_unstable();
        assert_eq!(shown, expected);
    }
}

fn numbers(stats: &SubscriberStats) -> (u64, u64, u64, u64) {
    assert_eq!(
        stats.published,
        stats.received + stats.dropped + stats.pending
    );
    (
        stats.published,
        stats.received,
        stats.dropped,
        stats.pending,
    )
}

impl Witness {
    /// Rings: each value once and in order; a gap only for what is really out of the ring.
    fn check_in_order(&mut self, item: Item<Value>, history: &[Value], capacity: u64) {
        match item {
            Item::Value { value, overwritten } => {
                assert_eq!((value, overwritten), (history[self.next as usize], 0));
                self.next += 1;
                self.received += 1;
            }
            Item::Gap { missed } => {
                assert!(missed > 0);
                self.next += missed;
                self.dropped += missed;
                assert_eq!(
                    self.next,
                    history.len() as u64 - capacity,
                    "dropped more than needed"
                );
            }
        }
    }

    /// Conflation: the newest of its key, and exactly those in between counted as overwritten.
    fn check_latest(&mut self, item: Item<Value>, history: &[Value]) {
        let Item::Value {
            value: (key, number),
            overwritten,
        } = item
        else {
            panic!("a conflated topic has no gaps");
        };
        let newest = history
            .iter()
            .rfind(|value| value.0 == key)
            .expect("published");
        assert_eq!(newest.1, number);
        let from = self
            .last
            .insert(key, number)
            .map_or(self.since, |last| last + 1);
        let between = &history[from as usize..number as usize];
        let same = between.iter().filter(|value| value.0 == key).count() as u64;
        assert_eq!(overwritten, same);
        self.received += 1;
        self.dropped += overwritten;
    }
}

fn play(policy: Policy, steps: Vec<Step>) {
    let mut model = Model::new(policy);
    for step in steps {
        model.run(step);
    }
    // Whatever is left can be read to the end, and then nothing is pending.
    for who in 0..model.witnesses.len() {
        model.drain(who, 10_000);
    }
    model.check_numbers();
    assert!(
        model
            .topic
            .stats()
            .subscribers
            .iter()
            .all(|one| one.pending == 0)
    );
}

proptest! {
    #[test]
    fn a_block_topic_loses_nothing(steps in prop::collection::vec(step(), 0..60)) {
        play(Policy::Block, steps);
    }

    #[test]
    fn a_halt_topic_refuses_rather_than_loses(steps in prop::collection::vec(step(), 0..60)) {
        play(Policy::Halt, steps);
    }

    #[test]
    fn a_gap_topic_announces_what_it_drops(steps in prop::collection::vec(step(), 0..60)) {
        play(Policy::Gap, steps);
    }

    #[test]
    fn a_conflated_topic_gives_the_latest(steps in prop::collection::vec(step(), 0..60)) {
        play(Policy::Conflate, steps);
    }
}
