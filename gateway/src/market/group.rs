//! Streams that want the same: one reads and encodes for all of them.

use super::Followed;
use super::reader::{Reader, Reading, Selection};
use super::wanted::Wanted;
use crate::shared::wall_clock;
use apex_proto::v1;
use bytes::Bytes;
use prost::Message;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::time::{Instant, sleep_until};

/// Batches that a stream may lie behind its group before it reads by itself: some 60 ms of a busy
/// market, and at most 2 MB, which only a stream that lags keeps alive.
const FRAMES: usize = 64;

/// A batch that is encoded and may be sent to every stream that stands where it begins.
#[derive(Debug)]
pub(super) struct Frame {
    /// Without the batch itself, which only its bytes hold.
    pub(super) reading: Reading,
    /// All of the message but its `batch_sequence`.
    pub(super) body: Bytes,
}

impl Frame {
    /// Returns the batch with what it changes, read from its bytes.
    pub(super) fn whole(&self) -> Reading {
        // These are our own bytes of a moment ago.
        let batch = v1::MarketDataBatch::decode(self.body.clone()).unwrap_or_default();
        Reading {
            batch,
            ..self.reading.clone()
        }
    }
}

/// Stamps a batch and encodes it.
pub(super) fn encode(batch: &mut v1::MarketDataBatch) -> Bytes {
    batch.ts_ns = wall_clock().0;
    batch.encode_to_vec().into()
}

/// A stream's place in its group, which ends with the last of them.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) frames: broadcast::Receiver<Arc<Frame>>,
    pub(super) selection: Arc<Selection>,
    pub(super) pulse: Arc<Pulse>,
    _alive: Arc<Alive>,
}

/// When a group sent its last batch.
#[derive(Debug, Default)]
pub(super) struct Pulse(Mutex<Option<Instant>>);

impl Pulse {
    fn beat(&self) {
        // One assignment.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn last(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Alive {
    selection: Arc<Selection>,
    pulse: Arc<Pulse>,
    frames: broadcast::WeakSender<Arc<Frame>>,
    /// Dropped with the last stream.
    _over: oneshot::Sender<()>,
}

/// All groups, by what they want. Only looked up; at most as many as there are streams.
#[derive(Debug, Default)]
pub(super) struct Groups(Mutex<HashMap<Wanted, Weak<Alive>>>);

impl Groups {
    pub(super) fn join(
        &self,
        followed: &Arc<Followed>,
        wanted: &Wanted,
        coalesce: Duration,
    ) -> Group {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = groups.get(wanted).and_then(Weak::upgrade);
        let found = found.and_then(|alive| Some((alive.frames.upgrade()?.subscribe(), alive)));
        if let Some((frames, alive)) = found {
            return Group {
                frames,
                selection: alive.selection.clone(),
                pulse: alive.pulse.clone(),
                _alive: alive,
            };
        }
        // Those that ended are forgotten when another begins.
        groups.retain(|_, alive| alive.strong_count() > 0);
        let (sender, frames) = broadcast::channel(FRAMES);
        let (over, end) = oneshot::channel();
        let (selection, reader) = {
            let log = followed.log();
            (Arc::new(wanted.selection(&log)), Reader::at_end(&log))
        };
        let pulse = Arc::new(Pulse::default());
        let alive = Arc::new(Alive {
            selection: selection.clone(),
            pulse: pulse.clone(),
            frames: sender.downgrade(),
            _over: over,
        });
        groups.insert(wanted.clone(), Arc::downgrade(&alive));
        let interval = Duration::from_millis(wanted.interval_ms.into());
        let task = Encoder {
            changed: followed.changed.clone(),
            followed: followed.clone(),
            selection: selection.clone(),
            reader,
            interval: interval.max(coalesce),
            pulse: pulse.clone(),
            sender,
        };
        tokio::spawn(task.run(end));
        Group {
            frames,
            selection,
            pulse,
            _alive: alive,
        }
    }
}

/// The task of a group.
struct Encoder {
    followed: Arc<Followed>,
    changed: watch::Receiver<u64>,
    selection: Arc<Selection>,
    reader: Reader,
    interval: Duration,
    pulse: Arc<Pulse>,
    sender: broadcast::Sender<Arc<Frame>>,
}

impl Encoder {
    /// Ends with the topics or with the last stream; then the streams find their channel closed.
    async fn run(mut self, mut end: oneshot::Receiver<()>) {
        let mut next = Instant::now();
        loop {
            tokio::select! {
                biased;
                _ = &mut end => return,
                changed = self.changed.changed() => if changed.is_err() {
                    return;
                },
            }
            // What came first waits for what comes with it, at least one tick of the timer.
            let due = next.max(Instant::now() + self.interval.min(Duration::from_millis(1)));
            tokio::select! {
                biased;
                _ = &mut end => return,
                () = sleep_until(due) => {}
            }
            self.changed.mark_unchanged();
            next = Instant::now() + self.interval;
            self.pass_on().await;
        }
    }

    async fn pass_on(&mut self) {
        loop {
            let mut reading = self.reader.read(&self.followed.log(), &self.selection);
            if reading.is_empty() {
                return;
            }
            let more = reading.more;
            let mut batch = std::mem::take(&mut reading.batch);
            let body = encode(&mut batch);
            let frame = Arc::new(Frame { reading, body });
            // Without a stream the task is about to be told that it is over.
            let _ = self.sender.send(frame);
            self.pulse.beat();
            if !more {
                return;
            }
            // The streams take this one before the next is made.
            tokio::task::yield_now().await;
        }
    }
}
