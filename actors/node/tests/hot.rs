//! A whole node that writes hot values, in memory.

use apex_bus::clock::Clock;
use apex_domain::matching::SimInstrument;
use apex_gateway::Readiness;
use apex_node::hot::HotWriter;
use apex_node::sim;
use apex_node::stores::HotStore;
use apex_node::up::NodeOptions;
use apex_storage::{Hot, HotHealth, MemoryHot, Signals, StorageError, Wakes};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

/// Memory behind a door that can be closed: what is set meanwhile is gone, as from a server.
#[derive(Default)]
struct Door {
    memory: MemoryHot,
    is_closed: AtomicBool,
}

impl Hot for Door {
    fn set(&self, key: &str, value: &[u8], valid: Duration) {
        if !self.is_closed.load(Ordering::SeqCst) {
            self.memory.set(key, value, valid);
        }
    }

    fn get(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.memory.get(keys)
    }

    fn wake(&self, stream: &str, id: &str) {
        self.memory.wake(stream, id);
    }

    fn wakes(&self, stream: &str) -> Result<Box<dyn Wakes>, StorageError> {
        self.memory.wakes(stream)
    }

    fn publish(&self, channel: &str, message: &[u8]) {
        self.memory.publish(channel, message);
    }

    fn subscribe(&self, channel: &str) -> Result<Box<dyn Signals>, StorageError> {
        self.memory.subscribe(channel)
    }

    fn health(&self) -> HotHealth {
        match self.is_closed.load(Ordering::SeqCst) {
            true => HotHealth::Degraded("the door is closed".to_owned()),
            false => HotHealth::Ready,
        }
    }
}

/// Asks until there is a value that fits.
async fn until(hot: &Door, key: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let found = hot.get(&[key]).unwrap().remove(0);
        let found = found.map(|bytes| serde_json::from_slice(&bytes).unwrap());
        if let Some(value) = found
            && fits(&value)
        {
            return value;
        }
        assert!(begun.elapsed() < SOON, "nothing that fits at {key}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_of_a_node_is_written_and_a_closed_door_degrades_it_only() {
    let folder = tempfile::tempdir().unwrap();
    let options = NodeOptions::in_folder(folder.path());
    let listed = SimInstrument::defaults();
    let live = sim::inside(&options, 1, listed, None).await.unwrap();
    let door = Arc::new(Door::default());
    let store = HotStore {
        hot: door.clone(),
        namespace: "test:1:",
    };
    let writer = HotWriter::start(&store, &live.node.platform, Clock::Wall).unwrap();
    let quote = "test:1:quote:BTCUSDT.SIM";
    let first = until(&door, quote, |_| true).await;
    let at = |value: &Value| value["ts_init_ns"].as_i64().unwrap();
    let second = until(&door, quote, |value| at(value) > at(&first)).await;
    let book = until(&door, "test:1:book:BTCUSDT.SIM", |_| true).await;
    assert_eq!(book["bids"].as_array().unwrap().len(), 5);
    let positions = until(&door, "test:1:positions:paper", |_| true).await;
    assert_eq!(positions["positions"], serde_json::json!([]));
    let watch = writer.watch();
    assert_eq!(watch.state().degraded, None);

    door.is_closed.store(true, Ordering::SeqCst);
    let [found] = &watch.dependencies()[..] else {
        panic!("one dependency");
    };
    assert!(found.ok && found.degraded, "{found:?}");
    assert!(found.detail.contains("the door is closed"), "{found:?}");
    let held = watch.state().figures.held;
    let begun = watch.state().figures.set;
    while watch.state().figures.set < begun + 20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        watch.state().figures.held,
        held,
        "the newest of each, however long"
    );
    door.is_closed.store(false, Ordering::SeqCst);
    until(&door, quote, |value| at(value) > at(&second)).await;
    assert_eq!(watch.state().degraded, None);
    assert!(!watch.dependencies()[0].degraded);
    writer.stop().await;
    live.stop().await;
}

/// Breaks on the second value.
#[derive(Default)]
struct Broken(AtomicBool);

impl Hot for Broken {
    fn set(&self, _: &str, _: &[u8], _: Duration) {
        assert!(!self.0.swap(true, Ordering::SeqCst), "a test's own panic");
    }

    fn get(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        Ok(vec![None; keys.len()])
    }

    fn wake(&self, _: &str, _: &str) {}

    fn wakes(&self, stream: &str) -> Result<Box<dyn Wakes>, StorageError> {
        MemoryHot::new().wakes(stream)
    }

    fn publish(&self, _: &str, _: &[u8]) {}

    fn subscribe(&self, channel: &str) -> Result<Box<dyn Signals>, StorageError> {
        MemoryHot::new().subscribe(channel)
    }

    fn health(&self) -> HotHealth {
        HotHealth::Ready
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_broke_is_degraded_and_does_not_say_that_all_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let options = NodeOptions::in_folder(folder.path());
    let listed = SimInstrument::defaults();
    let live = sim::inside(&options, 1, listed, None).await.unwrap();
    let store = HotStore {
        hot: Arc::new(Broken::default()),
        namespace: "test:1:",
    };
    let writer = HotWriter::start(&store, &live.node.platform, Clock::Wall).unwrap();
    let watch = writer.watch();
    let begun = Instant::now();
    let ended = loop {
        if let Some(reason) = watch.state().degraded {
            break reason;
        }
        assert!(begun.elapsed() < SOON, "it goes on");
        tokio::task::yield_now().await;
    };
    assert!(ended.contains("restart the process"), "{ended}");
    writer.stop().await;
    live.stop().await;
}
