//! The hot port on Redis, through `fred`.
//!
//! Values wait in a map until the writer takes all of them at once and sends them in one pipeline:
//! a key that changes faster than the wire is written as often as the wire allows, and the caller
//! never waits. When the server is away, full or read-only, values go on waiting (newest wins,
//! bounded), wake-ups and messages are dropped, and `health` says why. Connections come back by
//! themselves.

mod address;
mod inspect;
mod listen;
#[cfg(test)]
mod tests;
mod trouble;

use crate::StorageError;
use crate::blocking::Waiter;
use crate::port::hot::{Hot, HotHealth, MAX_WAITING, MAX_WAKES, Signals, Wakes};
use fred::error::ErrorKind;
use fred::interfaces::{ClientLike, KeysInterface, PubsubInterface, StreamsInterface};
use fred::types::config::{Config, PerformanceConfig, ReconnectPolicy, UnresponsiveConfig};
use fred::types::{Builder, Expiration, Value};
pub use inspect::{ServerFacts, inspect};
use listen::{Listener, Waiting};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
use trouble::Trouble;

/// The setting that names the server.
const VARIABLE: &str = "APEX_REDIS_URL";

/// How long one command may take before the server counts as away.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Values of one pipeline.
const PIPELINE: usize = 1_000;

/// Wake-ups and messages that may wait for the wire.
const WAITING: usize = 8_192;

/// The group that all who wait on a stream belong to.
const GROUP: &str = "workers";

type Client = fred::clients::Client;

/// A value on its way, and for how long it holds.
type Pending = BTreeMap<String, (Vec<u8>, Duration)>;

enum Errand {
    Wake { stream: String, id: String },
    Publish { channel: String, message: Vec<u8> },
}

struct Shared {
    config: Config,
    client: Client,
    name: String,
    pending: Mutex<Pending>,
    changed: Notify,
    trouble: Mutex<Trouble>,
}

/// Values, wake-ups and messages on a Redis server. Clones share its connections.
#[derive(Clone)]
pub struct RedisHot {
    waiter: Waiter,
    shared: Arc<Shared>,
    errands: mpsc::Sender<Errand>,
}

impl fmt::Debug for RedisHot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisHot({})", self.shared.name)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code here panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RedisHot {
    /// Reaches a server.
    ///
    /// # Errors
    /// `Setting` when the URL is none; `Unavailable` when it does not answer or refuses the
    /// password.
    pub fn connect(url: &str) -> Result<RedisHot, StorageError> {
        let config = address::parse(url)?;
        let name = name_of(&config);
        let waiter = Waiter::start("apex-redis")?;
        let client = build(&config, TIMEOUT).map_err(|error| unavailable(&name, &error))?;
        let (errands, waiting) = mpsc::channel(WAITING);
        let shared = Arc::new(Shared {
            config,
            client,
            name,
            pending: Mutex::default(),
            changed: Notify::new(),
            trouble: Mutex::default(),
        });
        let first = shared.clone();
        waiter.wait(async move { start(&first.client, &first.name).await })?;
        waiter.spawn(write_values(shared.clone()));
        waiter.spawn(run_errands(shared.clone(), waiting));
        Ok(RedisHot {
            waiter,
            shared,
            errands,
        })
    }

    fn run(&self, errand: Errand) {
        if self.errands.try_send(errand).is_err() {
            self.shared.failed("too much waits to be sent");
        }
    }
}

impl Shared {
    /// Notes that something did not arrive. Said once, not for each.
    fn failed(&self, reason: &str) {
        if lock(&self.trouble).failed(Instant::now(), reason) {
            tracing::warn!(
                server = self.name,
                reason,
                "Redis does not take what is written"
            );
        }
    }

    fn succeeded(&self) {
        if lock(&self.trouble).succeeded(Instant::now()) {
            tracing::info!(server = self.name, "Redis takes what is written again");
        }
    }

    /// Takes up to a pipeline of values out.
    fn take(&self) -> Pending {
        let mut pending = lock(&self.pending);
        let rest = match pending.keys().nth(PIPELINE).cloned() {
            Some(key) => pending.split_off(&key),
            None => BTreeMap::new(),
        };
        std::mem::replace(&mut *pending, rest)
    }

    /// Puts values back that did not arrive, unless newer ones wait.
    fn put_back(&self, values: Pending) {
        let mut pending = lock(&self.pending);
        for (key, value) in values {
            if pending.len() < MAX_WAITING {
                pending.entry(key).or_insert(value);
            }
        }
    }
}

/// Returns the server as `host:port`.
fn name_of(config: &Config) -> String {
    let servers = config.server.hosts();
    servers
        .first()
        .map_or_else(String::new, ToString::to_string)
}

/// Makes a client that comes back by itself and never keeps a command longer than `timeout`.
fn build(config: &Config, timeout: Duration) -> Result<Client, fred::error::Error> {
    let mut builder = Builder::from_config(config.clone());
    builder
        .with_performance_config(|performance: &mut PerformanceConfig| {
            performance.default_command_timeout = timeout;
            performance.broadcast_channel_capacity = crate::port::hot::MAX_BEHIND;
        })
        .with_connection_config(|connection| {
            connection.connection_timeout = TIMEOUT;
            connection.internal_command_timeout = TIMEOUT;
            connection.max_command_attempts = 1;
            connection.max_command_buffer_len = WAITING;
            connection.unresponsive = UnresponsiveConfig {
                max_timeout: Some(timeout + TIMEOUT),
                interval: Duration::from_millis(500),
            };
        })
        .set_policy(ReconnectPolicy::new_exponential(0, 50, 2_000, 2));
    builder.build()
}

/// Connects a client for the first time.
async fn start(client: &Client, name: &str) -> Result<(), StorageError> {
    match tokio::time::timeout(2 * TIMEOUT, client.init()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if matches!(error.kind(), ErrorKind::Auth) => Err(StorageError::Setting {
            variable: VARIABLE,
            detail: format!(
                "is not let in by Redis at {name}: {}: mend user or password in it",
                error.details()
            ),
        }),
        Ok(Err(error)) => Err(unavailable(name, &error)),
        Err(_) => Err(away(name, "it does not answer in time")),
    }
}

async fn write_values(shared: Arc<Shared>) {
    let mut pause = Duration::from_millis(20);
    loop {
        let values = shared.take();
        if values.is_empty() {
            shared.changed.notified().await;
            continue;
        }
        match send_values(&shared.client, &values).await {
            Ok(()) => {
                shared.succeeded();
                pause = Duration::from_millis(20);
            }
            Err(error) => {
                shared.failed(error.details());
                shared.put_back(values);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(TIMEOUT);
            }
        }
    }
}

async fn send_values(client: &Client, values: &Pending) -> Result<(), fred::error::Error> {
    let pipeline = client.pipeline();
    for (key, (value, valid)) in values {
        let valid = Expiration::PX(i64::try_from(valid.as_millis()).unwrap_or(i64::MAX).max(1));
        let value = Value::Bytes(value.clone().into());
        // Queued only; the answers come with the pipeline.
        let _: () = pipeline
            .set(key.as_str(), value, Some(valid), None, false)
            .await?;
    }
    pipeline.all::<Value>().await.map(drop)
}

async fn run_errands(shared: Arc<Shared>, mut waiting: mpsc::Receiver<Errand>) {
    let mut errands = Vec::new();
    while waiting.recv_many(&mut errands, PIPELINE).await > 0 {
        match send_errands(&shared.client, errands.drain(..)).await {
            Ok(()) => shared.succeeded(),
            // They are lost: those who wait poll, and those who listen are told of the gap.
            Err(error) => shared.failed(error.details()),
        }
    }
}

async fn send_errands(
    client: &Client,
    errands: impl Iterator<Item = Errand>,
) -> Result<(), fred::error::Error> {
    let pipeline = client.pipeline();
    for errand in errands {
        match errand {
            Errand::Wake { stream, id } => {
                let cap = ("MAXLEN", "~", MAX_WAKES as i64);
                let _: () = pipeline.xadd(stream, false, cap, "*", ("id", id)).await?;
            }
            Errand::Publish { channel, message } => {
                let message = Value::Bytes(message.into());
                let _: () = pipeline.publish(channel, message).await?;
            }
        }
    }
    pipeline.all::<Value>().await.map(drop)
}

impl Hot for RedisHot {
    fn set(&self, key: &str, value: &[u8], valid: Duration) {
        let mut pending = lock(&self.shared.pending);
        if pending.len() < MAX_WAITING || pending.contains_key(key) {
            pending.insert(key.to_owned(), (value.to_vec(), valid));
        } else {
            drop(pending);
            self.shared.failed("too many values wait to be written");
            return;
        }
        drop(pending);
        self.shared.changed.notify_one();
    }

    fn get(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (shared, keys) = (self.shared.clone(), keys.join("\0"));
        self.waiter.wait(async move {
            let keys: Vec<&str> = keys.split('\0').collect();
            let values: Result<Vec<Option<Vec<u8>>>, _> = shared.client.mget(keys).await;
            values.map_err(|error| unavailable(&shared.name, &error))
        })
    }

    fn wake(&self, stream: &str, id: &str) {
        self.run(Errand::Wake {
            stream: stream.to_owned(),
            id: id.to_owned(),
        });
    }

    fn wakes(&self, stream: &str) -> Result<Box<dyn Wakes>, StorageError> {
        Ok(Box::new(Waiting::join(self, stream)?))
    }

    fn publish(&self, channel: &str, message: &[u8]) {
        self.run(Errand::Publish {
            channel: channel.to_owned(),
            message: message.to_vec(),
        });
    }

    fn subscribe(&self, channel: &str) -> Result<Box<dyn Signals>, StorageError> {
        Ok(Box::new(Listener::subscribe(self, channel)?))
    }

    fn health(&self) -> HotHealth {
        match lock(&self.shared.trouble).reason() {
            None => HotHealth::Ready,
            Some(reason) => HotHealth::Degraded(reason.to_owned()),
        }
    }
}

fn unavailable(name: &str, error: &fred::error::Error) -> StorageError {
    away(name, error.details())
}

fn away(name: &str, detail: &str) -> StorageError {
    StorageError::Unavailable {
        server: format!("Redis at {name}"),
        detail: detail.to_owned(),
        variable: VARIABLE,
    }
}
