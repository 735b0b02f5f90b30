//! The hot port within one process.

use crate::StorageError;
use crate::port::hot::{
    Hot, HotHealth, MAX_BEHIND, MAX_WAITING, MAX_WAKES, Signal, Signals, Wakes,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{self, TrySendError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug)]
struct Listener {
    sender: mpsc::SyncSender<Signal>,
    /// It was behind, and has to be told so before anything else.
    is_behind: bool,
}

#[derive(Debug, Default)]
struct State {
    values: BTreeMap<String, (Vec<u8>, Instant)>,
    streams: BTreeMap<String, VecDeque<String>>,
    channels: BTreeMap<String, Vec<Listener>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    woken: Condvar,
}

/// Values, wake-ups and messages of one process. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryHot {
    shared: Arc<Shared>,
}

impl MemoryHot {
    pub fn new() -> MemoryHot {
        MemoryHot::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code here panics half-way through a change.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hot for MemoryHot {
    fn set(&self, key: &str, value: &[u8], valid: Duration) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.values.len() >= MAX_WAITING {
            state.values.retain(|_, (_, until)| *until > now);
        }
        if state.values.len() < MAX_WAITING || state.values.contains_key(key) {
            state
                .values
                .insert(key.to_owned(), (value.to_vec(), now + valid));
        }
    }

    fn get(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        let now = Instant::now();
        let state = self.lock();
        let value = |key: &&str| {
            let (value, until) = state.values.get(*key)?;
            (*until > now).then(|| value.clone())
        };
        Ok(keys.iter().map(value).collect())
    }

    fn wake(&self, stream: &str, id: &str) {
        let mut state = self.lock();
        let entries = state.streams.entry(stream.to_owned()).or_default();
        if entries.len() >= MAX_WAKES {
            entries.pop_front();
        }
        entries.push_back(id.to_owned());
        drop(state);
        self.shared.woken.notify_all();
    }

    fn wakes(&self, stream: &str) -> Result<Box<dyn Wakes>, StorageError> {
        Ok(Box::new(Waiting {
            hot: self.clone(),
            stream: stream.to_owned(),
        }))
    }

    fn publish(&self, channel: &str, message: &[u8]) {
        let mut state = self.lock();
        let Some(listeners) = state.channels.get_mut(channel) else {
            return;
        };
        listeners.retain_mut(|listener| {
            // A gap stands for everything that was lost before it.
            let signal = match listener.is_behind {
                true => Signal::Gap,
                false => Signal::Message(message.to_vec()),
            };
            let sent = listener.sender.try_send(signal);
            let was_behind = listener.is_behind;
            listener.is_behind = match &sent {
                Ok(()) if was_behind => {
                    let message = Signal::Message(message.to_vec());
                    listener.sender.try_send(message).is_err()
                }
                Ok(()) => false,
                Err(_) => true,
            };
            !matches!(sent, Err(TrySendError::Disconnected(_)))
        });
    }

    fn subscribe(&self, channel: &str) -> Result<Box<dyn Signals>, StorageError> {
        let (sender, receiver) = mpsc::sync_channel(MAX_BEHIND);
        let listener = Listener {
            sender,
            is_behind: false,
        };
        let mut state = self.lock();
        let listeners = state.channels.entry(channel.to_owned()).or_default();
        listeners.push(listener);
        Ok(Box::new(Listening(receiver)))
    }

    fn health(&self) -> HotHealth {
        HotHealth::Ready
    }
}

struct Waiting {
    hot: MemoryHot,
    stream: String,
}

impl Wakes for Waiting {
    fn next(&mut self, wait: Duration) -> Vec<String> {
        let state = self.hot.lock();
        let is_empty = |state: &mut State| {
            let entries = state.streams.get(&self.stream);
            entries.is_none_or(VecDeque::is_empty)
        };
        let waited = self
            .hot
            .shared
            .woken
            .wait_timeout_while(state, wait, is_empty);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let entry = state.streams.get_mut(&self.stream);
        entry.and_then(VecDeque::pop_front).into_iter().collect()
    }
}

struct Listening(mpsc::Receiver<Signal>);

impl Signals for Listening {
    fn next(&mut self, wait: Duration) -> Option<Signal> {
        self.0.recv_timeout(wait).ok()
    }
}
