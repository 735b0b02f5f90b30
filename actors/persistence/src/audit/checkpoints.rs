//! Stores checkpoints on a thread of its own: an object store may take a minute to answer.

use super::{AuditStore, Shared};
use apex_storage::audit::{Checkpoint, put_checkpoint};
use apex_storage::{Lasting, Outage};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Records behind the last checkpoint that bring on the next: at most so many can be cut off unseen.
const RECORDS: u64 = 1_000;

/// Time after which a checkpoint is stored when there is a new record. One a minute is half a
/// million small objects a year of steady work.
const INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct Keeper {
    /// One that waits: while it does, the next one will do.
    work: SyncSender<Checkpoint>,
    thread: JoinHandle<()>,
    given: u64,
    given_at: Instant,
}

impl Keeper {
    pub fn start(store: &Arc<AuditStore>, shared: &Arc<Shared>) -> std::io::Result<Keeper> {
        let (work, queue) = sync_channel(1);
        let (store, shared) = (store.clone(), shared.clone());
        let thread = std::thread::Builder::new()
            .name("audit-checkpoint".into())
            .spawn(move || run(&store, &shared, &queue))?;
        Ok(Keeper {
            work,
            thread,
            given: 0,
            given_at: Instant::now(),
        })
    }

    /// Returns when a checkpoint is due at the latest.
    pub fn due(&self) -> Duration {
        INTERVAL.saturating_sub(self.given_at.elapsed())
    }

    /// Hands the head over when it is due.
    pub fn look(&mut self, head: Option<Checkpoint>) {
        let Some(head) = head else {
            return;
        };
        let is_due =
            self.given == 0 || head.sequence >= self.given + RECORDS || self.due().is_zero();
        if !is_due {
            return;
        }
        self.given_at = Instant::now();
        let sequence = head.sequence;
        if sequence > self.given && self.work.try_send(head).is_ok() {
            self.given = sequence;
        }
    }

    /// Stores the last head and ends.
    pub fn stop(self, head: Option<Checkpoint>) {
        if let Some(head) = head {
            let _ = self.work.send(head);
        }
        drop(self.work);
        let _ = self.thread.join();
    }
}

fn run(store: &AuditStore, shared: &Shared, queue: &Receiver<Checkpoint>) {
    let mut outage = Outage::default();
    while let Ok(checkpoint) = queue.recv() {
        let sequence = checkpoint.sequence;
        let outcome = put_checkpoint(&*store.objects, &checkpoint, store.clock.now().0);
        let mut state = shared.state();
        match outcome {
            Ok(()) => {
                if let Some(Lasting { failures, seconds }) = outage.over(Instant::now()) {
                    tracing::info!(
                        failures,
                        seconds,
                        "checkpoints of the audit are stored again"
                    );
                }
                state.figures.checkpoint = sequence;
                state.figures.checkpoint_failing = None;
            }
            Err(error) => {
                if let Some(Lasting { failures, seconds }) = outage.failed(Instant::now()) {
                    tracing::warn!(
                        %error,
                        sequence,
                        failures,
                        seconds,
                        "no checkpoint of the audit could be stored, the next one is tried"
                    );
                }
                state.figures.checkpoint_failing = Some(error.to_string());
            }
        }
    }
}
