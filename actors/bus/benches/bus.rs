//! Publishing to eight actors, in one run: a lossless topic against a ractor `pg` broadcast.
//!
//! `cargo bench -p apex-bus` prints events per second of both and their ratio. An event counts
//! once, when all eight actors have handled it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use apex_bus::topic::{Capacity, Drained, Subscription, Topic};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::Semaphore;

const ACTORS: u32 = 8;
const TOPIC_EVENTS: u64 = 20_000_000;
const SINGLE_EVENTS: u64 = 4_000_000;
const PG_EVENTS: u64 = 500_000;
/// What a feed decodes from one socket read is of this order.
const BATCH: usize = 256;
/// Items an actor handles before it lets stop and supervision in.
const BUDGET: usize = 1_024;
const CAPACITY: Capacity = Capacity::new(16_384);
const GROUP: &str = "bench";

/// As large as a quote: two prices, two quantities, an instrument and a time.
#[derive(Debug, Clone, Copy)]
struct Quote {
    number: u64,
    _rest: [u64; 5],
}

fn quote(number: u64) -> Quote {
    Quote {
        number,
        _rest: [number; 5],
    }
}

/// Adds up the numbers it gets and gives a permit when it has them all.
struct Adder;

enum AdderMessage {
    Doorbell,
    Quote(Quote),
}

struct Sum {
    subscription: Option<Subscription<Quote>>,
    sum: u64,
    left: u64,
    done: Arc<Semaphore>,
}

struct Arguments {
    topic: Option<Topic<Quote>>,
    events: u64,
    done: Arc<Semaphore>,
}

impl Sum {
    fn finish(&self, events: u64) {
        assert_eq!(
            self.sum,
            events * (events - 1) / 2,
            "an actor got something else"
        );
        self.done.add_permits(1);
    }
}

impl Actor for Adder {
    type Msg = AdderMessage;
    type State = (Sum, u64);
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<AdderMessage>,
        arguments: Arguments,
    ) -> Result<(Sum, u64), ActorProcessingErr> {
        let Arguments {
            topic,
            events,
            done,
        } = arguments;
        let subscription = topic
            .map(|topic| topic.subscribe_actor("adder", myself, || AdderMessage::Doorbell))
            .transpose()?;
        Ok((
            Sum {
                subscription,
                sum: 0,
                left: events,
                done,
            },
            events,
        ))
    }

    async fn handle(
        &self,
        myself: ActorRef<AdderMessage>,
        message: AdderMessage,
        (state, events): &mut (Sum, u64),
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AdderMessage::Quote(quote) => {
                state.sum += quote.number;
                state.left -= 1;
            }
            AdderMessage::Doorbell => {
                let Some(subscription) = &mut state.subscription else {
                    return Ok(());
                };
                let (mut sum, mut count) = (0, 0);
                let drained = subscription.drain(BUDGET, |item| {
                    if let Some(quote) = item.into_value() {
                        sum += quote.number;
                        count += 1;
                    }
                });
                state.sum += sum;
                state.left -= count;
                if drained == Drained::Again {
                    myself.cast(AdderMessage::Doorbell)?;
                }
                // An empty drain after the last event must not finish twice.
                if count == 0 {
                    return Ok(());
                }
            }
        }
        if state.left == 0 {
            state.finish(*events);
        }
        Ok(())
    }
}

async fn spawn(
    topic: Option<&Topic<Quote>>,
    events: u64,
    done: &Arc<Semaphore>,
) -> Vec<ActorRef<AdderMessage>> {
    let mut actors = Vec::new();
    for _ in 0..ACTORS {
        let arguments = Arguments {
            topic: topic.cloned(),
            events,
            done: done.clone(),
        };
        let (actor, _) = Actor::spawn(None, Adder, arguments)
            .await
            .expect("an adder starts");
        actors.push(actor);
    }
    actors
}

async fn finish(actors: Vec<ActorRef<AdderMessage>>, done: &Semaphore) {
    let _all = done
        .acquire_many(ACTORS)
        .await
        .expect("the semaphore is never closed");
    for actor in actors {
        actor.stop(None);
    }
}

/// Events per second through a block topic, in batches of `batch`.
async fn through_topic(events: u64, batch: usize) -> f64 {
    let topic = Topic::block("quotes", CAPACITY, Duration::from_secs(60));
    let done = Arc::new(Semaphore::new(0));
    let actors = spawn(Some(&topic), events, &done).await;
    let began = Instant::now();
    let mut buffer = Vec::with_capacity(batch);
    for number in 0..events {
        buffer.push(quote(number));
        if buffer.len() == batch {
            topic.publish_batch(&buffer).await.expect("the adders read");
            buffer.clear();
        }
    }
    topic.publish_batch(&buffer).await.expect("the adders read");
    finish(actors, &done).await;
    events as f64 / began.elapsed().as_secs_f64()
}

/// Events per second through a process group: one cast per event and member.
async fn through_pg(events: u64) -> f64 {
    let done = Arc::new(Semaphore::new(0));
    let actors = spawn(None, events, &done).await;
    let cells = actors.iter().map(ActorRef::get_cell).collect();
    ractor::pg::join(GROUP.to_owned(), cells);
    let began = Instant::now();
    let group = GROUP.to_owned();
    for number in 0..events {
        for member in ractor::pg::get_members(&group) {
            member
                .send_message(AdderMessage::Quote(quote(number)))
                .expect("a running adder");
        }
    }
    finish(actors, &done).await;
    events as f64 / began.elapsed().as_secs_f64()
}

fn main() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    // Publishers inside the runtime, as everywhere: waking a parked worker from outside is slow.
    let run = runtime.spawn(async {
        let pg = through_pg(PG_EVENTS).await;
        let single = through_topic(SINGLE_EVENTS, 1).await;
        let batched = through_topic(TOPIC_EVENTS, BATCH).await;
        (pg, single, batched)
    });
    let (pg, single, batched) = runtime.block_on(run).expect("the bench runs");
    println!("to {ACTORS} actors, lossless, events/s:");
    println!("  ractor pg broadcast     {pg:>12.0}");
    println!(
        "  topic, one at a time    {single:>12.0}  {:>6.1} x pg",
        single / pg
    );
    println!(
        "  topic, batches of {BATCH}   {batched:>12.0}  {:>6.1} x pg",
        batched / pg
    );
}
