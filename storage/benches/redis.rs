//! Wake-ups and hot values on Redis as the platform writes them, against `fred`'s own pipeline of
//! the same commands: how many a second arrive at the server.
//!
//! `cargo bench -p apex-storage --features testkit --bench redis --profile fast [-- ROUNDS]`; starts
//! a Redis of its own.
//!
//! The two sides take turns. A turn of ours hands entries over, one call each, as fast as the port
//! takes them; it ends when the last has come out of its stream. A turn of the baseline puts the
//! same `XADD`s into explicit pipelines of as many as ours sends at once, on a runtime of one thread as
//! ours has, and ends with the last answer. What a call of the port costs whoever makes it is told
//! besides.

use apex_storage::redis::RedisHot;
use apex_storage::testkit::Redis;
use apex_storage::{Hot, HotHealth, Wakes};
use fred::clients::Client;
use fred::interfaces::{ClientLike, KeysInterface, StreamsInterface};
use fred::types::config::Config;
use fred::types::{Builder, Expiration, Value};
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Entries of a turn: below what the port lets wait, so that none is dropped.
const TURN: usize = 8_000;
/// As in `storage/src/redis`.
const PIPELINE: usize = 1_000;
const MAX_WAKES: i64 = 10_000;
const LONG: Duration = Duration::from_secs(60);
/// As long as the JSON of a quote.
const VALUE: usize = 220;

struct Ours {
    hot: RedisHot,
    ends: Box<dyn Wakes>,
}

impl Ours {
    fn turn(&mut self) -> (f64, f64) {
        let begun = Instant::now();
        for number in 0..TURN {
            self.hot.wake("jobs", &format!("job-{number}"));
        }
        let handed_over = begun.elapsed();
        // In order behind all of them, and told to whoever waits at once.
        self.hot.wake("ends", "end");
        assert_eq!(self.ends.next(LONG), ["end"]);
        let spent = begun.elapsed();
        assert_eq!(self.hot.health(), HotHealth::Ready, "none was dropped");
        (rate(spent), handed_over.as_nanos() as f64 / TURN as f64)
    }

    fn values(&self, round: usize) -> (f64, f64) {
        let keys: Vec<String> = (0..TURN).map(|number| format!("key-{number:05}")).collect();
        let value = vec![b'x'; VALUE];
        let begun = Instant::now();
        for key in &keys {
            self.hot.set(key, &value, LONG);
        }
        let handed_over = begun.elapsed();
        // Keys go in their order, so the last one is written last.
        let last = [keys[TURN - 1].as_str()];
        let mark = format!("{round:VALUE$}");
        self.hot.set(last[0], mark.as_bytes(), LONG);
        while self.hot.get(&last).expect("it answers")[0].as_deref() != Some(mark.as_bytes()) {}
        (
            rate(begun.elapsed()),
            handed_over.as_nanos() as f64 / TURN as f64,
        )
    }
}

fn rate(spent: Duration) -> f64 {
    TURN as f64 / spent.as_secs_f64()
}

async fn explicit_wakes(client: Client) -> f64 {
    let begun = Instant::now();
    for first in (0..TURN).step_by(PIPELINE) {
        let pipeline = client.pipeline();
        for number in first..first + PIPELINE {
            let cap = ("MAXLEN", "~", MAX_WAKES);
            let entry = ("id", format!("job-{number}"));
            let _: () = pipeline
                .xadd("bare", false, cap, "*", entry)
                .await
                .expect("it is queued");
        }
        let _: Vec<Value> = pipeline.all().await.expect("it answers");
    }
    rate(begun.elapsed())
}

async fn explicit_values(client: Client) -> f64 {
    let value = vec![b'x'; VALUE];
    let begun = Instant::now();
    for first in (0..TURN).step_by(PIPELINE) {
        let pipeline = client.pipeline();
        for number in first..first + PIPELINE {
            let value = Value::Bytes(value.clone().into());
            let valid = Some(Expiration::PX(LONG.as_millis() as i64));
            let _: () = pipeline
                .set(format!("bare-{number:05}"), value, valid, None, false)
                .await
                .expect("it is queued");
        }
        let _: Vec<Value> = pipeline.all().await.expect("it answers");
    }
    rate(begun.elapsed())
}

/// Runs it on the runtime's thread, and not on this one.
fn on<T: Send + 'static>(runtime: &Runtime, work: impl Future<Output = T> + Send + 'static) -> T {
    runtime.block_on(runtime.spawn(work)).expect("it ends")
}

fn show(what: &str, mut figures: Vec<f64>, unit: &str) {
    figures.sort_unstable_by(f64::total_cmp);
    let (low, high) = (figures[0], figures[figures.len() - 1]);
    println!(
        "{what}: {:.3} ({low:.3} to {high:.3}) {unit}",
        figures[figures.len() / 2]
    );
}

fn main() {
    let rounds = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let rounds: usize = rounds.unwrap_or(40);
    let server = Redis::start().expect("Redis starts");
    let hot = RedisHot::connect(&server.url()).expect("it connects");
    let ends = hot.wakes("ends").expect("it joins");
    let mut ours = Ours { hot, ends };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let config = Config::from_url(&server.url()).expect("a URL");
    let client = Builder::from_config(config).build().expect("a client");
    let connecting = client.clone();
    on(&runtime, async move { connecting.init().await }).expect("it connects");

    let (mut wakes, mut bare, mut shares, mut calls) = (vec![], vec![], vec![], vec![]);
    let (mut sets, mut bare_sets, mut set_shares, mut set_calls) = (vec![], vec![], vec![], vec![]);
    for round in 0..rounds + 2 {
        let (own, call) = ours.turn();
        let other = on(&runtime, explicit_wakes(client.clone()));
        let (own_sets, set_call) = ours.values(round);
        let other_sets = on(&runtime, explicit_values(client.clone()));
        if round < 2 {
            continue; // Connections, buffers and streams are warm from here on.
        }
        wakes.push(own / 1e6);
        bare.push(other / 1e6);
        shares.push(own / other);
        calls.push(call);
        sets.push(own_sets / 1e6);
        bare_sets.push(other_sets / 1e6);
        set_shares.push(own_sets / other_sets);
        set_calls.push(set_call);
    }
    println!("{rounds} rounds of {TURN}, medians and ranges");
    show("wake-ups (XADD) by the port", wakes, "million/s");
    show("XADD in explicit pipelines", bare, "million/s");
    show("share", shares, "");
    show("a call of `wake` costs its caller", calls, "ns");
    show("hot values (SET PX) by the port", sets, "million/s");
    show("SET PX in explicit pipelines", bare_sets, "million/s");
    show("share", set_shares, "");
    show("a call of `set` costs its caller", set_calls, "ns");
}
