//! How far a replay is, for whoever shows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Frames done of frames in all. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Returns frames done and frames in all; the latter is 0 until the recordings were looked
    /// at, and for a replay without an end.
    pub fn frames(&self) -> (u64, u64) {
        (
            self.shared.done.load(Ordering::Relaxed),
            self.shared.total.load(Ordering::Relaxed),
        )
    }

    pub(super) fn set_total(&self, frames: u64) {
        self.shared.total.store(frames, Ordering::Relaxed);
    }

    pub(super) fn add(&self, frames: u64) {
        self.shared.done.fetch_add(frames, Ordering::Relaxed);
    }
}
