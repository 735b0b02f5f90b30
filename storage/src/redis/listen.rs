//! Waiting for work and listening, each on a connection of its own.

use super::{Client, GROUP, RedisHot, TIMEOUT, build, start, unavailable};
use crate::StorageError;
use crate::blocking::Waiter;
use crate::port::hot::{MAX_BEHIND, Signal, Signals, Wakes};
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface, StreamsInterface};
use fred::types::streams::XReadResponse;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, TrySendError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Numbers those who wait, so that the server can tell them apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Longest wait of one command: a connection that is lost meanwhile is noticed behind it.
const LONGEST: Duration = Duration::from_secs(1);

/// Entries that are taken at once.
const TAKEN: u64 = 64;

/// One who waits on a stream.
pub(super) struct Waiting {
    waiter: Waiter,
    client: Client,
    stream: String,
    consumer: String,
}

impl Waiting {
    pub fn join(hot: &RedisHot, stream: &str) -> Result<Waiting, StorageError> {
        let name = hot.shared.name.clone();
        // Longer than the longest wait, since the server answers at its end only.
        let client = build(&hot.shared.config, LONGEST + TIMEOUT)
            .map_err(|error| unavailable(&name, &error))?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting {
            waiter: hot.waiter.clone(),
            client,
            stream: stream.to_owned(),
            consumer: format!("{}-{number}", std::process::id()),
        };
        let (client, stream) = (waiting.client.clone(), waiting.stream.clone());
        waiting.waiter.wait(async move {
            start(&client, &name).await?;
            make_group(&client, &stream)
                .await
                .map_err(|error| unavailable(&name, &error))
        })?;
        Ok(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let (client, stream, consumer) = (
            self.client.clone(),
            self.stream.clone(),
            self.consumer.clone(),
        );
        self.waiter.spawn(async move {
            // One who is gone takes nothing with it: entries count as taken when they are read.
            let _: Result<u64, _> = client.xgroup_delconsumer(stream, GROUP, consumer).await;
            let _ = client.quit().await;
        });
    }
}

impl Wakes for Waiting {
    fn next(&mut self, wait: Duration) -> Vec<String> {
        let (client, stream, consumer) = (
            self.client.clone(),
            self.stream.clone(),
            self.consumer.clone(),
        );
        let taken = self.waiter.wait(async move {
            let begun = tokio::time::Instant::now();
            loop {
                let left = wait.saturating_sub(begun.elapsed());
                let entries = take(&client, &stream, &consumer, left.min(LONGEST)).await;
                // Nothing more is promised while the server is away: the caller polls.
                if !entries.is_empty() || left <= LONGEST {
                    return Ok(entries);
                }
            }
        });
        taken.unwrap_or_default()
    }
}

async fn take(client: &Client, stream: &str, consumer: &str, wait: Duration) -> Vec<String> {
    let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    let read: Result<XReadResponse<String, String, String, String>, _> = client
        .xreadgroup_map(GROUP, consumer, Some(TAKEN), Some(wait), true, stream, ">")
        .await;
    match read {
        Ok(mut found) => {
            let entries = found.remove(stream).unwrap_or_default().into_iter();
            entries
                .filter_map(|(_, mut fields)| fields.remove("id"))
                .collect()
        }
        Err(error) => {
            if error.details().starts_with("NOGROUP") {
                // Everything was wiped, the group with it. What comes from now on is seen.
                let _ = make_group(client, stream).await;
            } else {
                tokio::time::sleep(Duration::from_millis(wait.min(100))).await;
            }
            Vec::new()
        }
    }
}

/// Makes the group of a stream unless it is there, from the oldest entry on.
async fn make_group(client: &Client, stream: &str) -> Result<(), fred::error::Error> {
    match client.xgroup_create(stream, GROUP, "0", true).await {
        Err(error) if !error.details().starts_with("BUSYGROUP") => Err(error),
        Err(_) | Ok(()) => Ok(()),
    }
}

/// A subscription.
pub(super) struct Listener {
    waiter: Waiter,
    client: Client,
    signals: mpsc::Receiver<Signal>,
}

impl Listener {
    pub fn subscribe(hot: &RedisHot, channel: &str) -> Result<Listener, StorageError> {
        let name = hot.shared.name.clone();
        let client =
            build(&hot.shared.config, TIMEOUT).map_err(|error| unavailable(&name, &error))?;
        let (sender, signals) = mpsc::sync_channel(MAX_BEHIND);
        let (listening, channel) = (client.clone(), channel.to_owned());
        hot.waiter.wait(async move {
            start(&listening, &name).await?;
            let mut messages = listening.message_rx();
            let mut reconnects = listening.reconnect_rx();
            let subscribed = listening.subscribe(channel.as_str()).await;
            subscribed.map_err(|error| unavailable(&name, &error))?;
            tokio::spawn(async move {
                let mut is_behind = false;
                loop {
                    let signal = tokio::select! {
                        message = messages.recv() => match message {
                            Ok(message) => match message.value.into_owned_bytes() {
                                Some(bytes) => Signal::Message(bytes),
                                None => Signal::Gap,
                            },
                            Err(RecvError::Lagged(_)) => Signal::Gap,
                            Err(RecvError::Closed) => return,
                        },
                        reconnected = reconnects.recv() => match reconnected {
                            Ok(_) | Err(RecvError::Lagged(_)) => {
                                // What was said meanwhile is lost, and it has to be asked for again.
                                let _ = listening.subscribe(channel.as_str()).await;
                                Signal::Gap
                            }
                            Err(RecvError::Closed) => return,
                        },
                    };
                    if !hand_over(&sender, signal, &mut is_behind) {
                        return;
                    }
                }
            });
            Ok(())
        })?;
        Ok(Listener {
            waiter: hot.waiter.clone(),
            client,
            signals,
        })
    }
}

/// Gives the listener a signal, or a gap once there is room again. Returns false when it is gone.
fn hand_over(sender: &mpsc::SyncSender<Signal>, signal: Signal, is_behind: &mut bool) -> bool {
    if *is_behind {
        match sender.try_send(Signal::Gap) {
            Ok(()) => *is_behind = false,
            Err(TrySendError::Full(_)) => return true,
            Err(TrySendError::Disconnected(_)) => return false,
        }
    }
    match sender.try_send(signal) {
        Ok(()) => true,
        Err(TrySendError::Full(_)) => {
            *is_behind = true;
            true
        }
        Err(TrySendError::Disconnected(_)) => false,
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let client = self.client.clone();
        self.waiter.spawn(async move {
            let _ = client.quit().await;
        });
    }
}

impl Signals for Listener {
    fn next(&mut self, wait: Duration) -> Option<Signal> {
        self.signals.recv_timeout(wait).ok()
    }
}
