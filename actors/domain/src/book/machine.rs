//! Which change belongs to the book, and the book after it.

use super::ladder::Ladder;
use crate::id::InstrumentId;
use crate::market::{BookDelta, BookSnapshot, Level, Side};
use crate::number::Price;
use std::collections::VecDeque;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many changes wait for a snapshot. At the venues' fastest (one each 10 to 100 ms) this is
/// minutes, while a snapshot takes seconds. When it is full the oldest is dropped and counted; the
/// hole is then found when the snapshot comes, and a newer one asked for.
pub const PENDING_MAX: usize = 10_000;

/// How a venue numbers its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceRule {
    /// A change holds the updates `first..=last` and follows when `first <= last update + 1`.
    ///
    /// Source: Binance spot, web-socket-streams.md, "how to manage a local order book correctly".
    BinanceSpot,
    /// A change names the last update of the one before it (`pu`), which must be the book's. The
    /// first after a snapshot holds the snapshot's update, or names it.
    ///
    /// Source: Binance USD-M futures, the same heading there.
    BinanceUsdM,
}

/// Whether the book can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookStatus {
    /// There was no snapshot yet; changes wait.
    Awaiting,
    InSync,
    /// A change is missing or a snapshot is on its way. The levels are those before the hole, and
    /// stale.
    Gapped,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeltaOutcome {
    /// It is in the book now and is handed on.
    Applied(BookDelta),
    /// It waits for a snapshot.
    Waiting,
    /// The book already holds it: a repeated or late one.
    Ignored,
    /// Something before it is missing: the book is gapped from here on. It waits for the snapshot.
    Gap {
        /// The last update that the book holds.
        have: u64,
        /// The first one of the change.
        found: u64,
    },
}

/// What became of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotOutcome {
    /// It is the book now, with the changes that had waited and follow it, in order.
    Applied { then: Vec<BookDelta> },
    /// It ends before the first waiting change begins: ask for a newer one.
    TooOld,
    /// The book is in sync and already past it.
    Ignored,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookCounters {
    pub applied: u64,
    /// Changes that waited and turned out to lie before the snapshot.
    pub dropped_before_snapshot: u64,
    pub ignored: u64,
    pub gaps: u64,
    /// Waiting changes that were dropped since too many waited.
    pub overflowed: u64,
    pub snapshots: u64,
    /// Changes after which the best bid was above the best ask.
    pub crossed: u64,
    /// Changes after which they were equal.
    pub locked: u64,
}

/// The book of one instrument. See the module for what it decides.
#[derive(Clone, Debug)]
pub struct L2Book {
    instrument_id: InstrumentId,
    rule: SequenceRule,
    status: BookStatus,
    update_id: u64,
    /// No change was applied since the snapshot.
    is_fresh: bool,
    bids: Ladder,
    asks: Ladder,
    known: (Option<Price>, Option<Price>),
    waiting: VecDeque<BookDelta>,
    counters: BookCounters,
    hash: u64,
    /// Canonical form of the update that is hashed; kept for its capacity.
    scratch: Vec<u8>,
}

impl L2Book {
    pub fn new(instrument_id: InstrumentId, rule: SequenceRule) -> L2Book {
        let hash = xxh3_64_with_seed(instrument_id.as_str().as_bytes(), 0);
        L2Book {
            instrument_id,
            rule,
            status: BookStatus::Awaiting,
            update_id: 0,
            is_fresh: false,
            bids: Ladder::new(Side::Buy),
            asks: Ladder::new(Side::Sell),
            known: (None, None),
            waiting: VecDeque::new(),
            counters: BookCounters::default(),
            hash,
            scratch: Vec::new(),
        }
    }

    /// Takes a change. Its instrument is not looked at.
    pub fn apply_delta(&mut self, delta: BookDelta) -> DeltaOutcome {
        if self.status != BookStatus::InSync {
            self.wait(delta);
            return DeltaOutcome::Waiting;
        }
        if delta.last_update_id <= self.update_id {
            self.counters.ignored += 1;
            return DeltaOutcome::Ignored;
        }
        if !self.follows(&delta) {
            let (have, found) = (self.update_id, delta.first_update_id);
            self.counters.gaps += 1;
            self.status = BookStatus::Gapped;
            self.wait(delta);
            return DeltaOutcome::Gap { have, found };
        }
        self.apply(&delta);
        DeltaOutcome::Applied(delta)
    }

    /// Takes a snapshot, and after it the changes that had waited.
    ///
    /// When a hole shows among those, the book is gapped again; [`L2Book::status`] tells.
    pub fn apply_snapshot(&mut self, snapshot: &BookSnapshot) -> SnapshotOutcome {
        if self.status == BookStatus::InSync && snapshot.update_id <= self.update_id {
            self.counters.ignored += 1;
            return SnapshotOutcome::Ignored;
        }
        let id = snapshot.update_id;
        let first = self.waiting.iter().find(|delta| delta.last_update_id > id);
        if first.is_some_and(|delta| !follows(self.rule, delta, id, true)) {
            return SnapshotOutcome::TooOld;
        }
        self.bids.replace(&snapshot.bids);
        self.asks.replace(&snapshot.asks);
        let worst = |levels: &[Level]| levels.last().map(|level| level.price);
        self.known = (worst(&snapshot.bids), worst(&snapshot.asks));
        self.update_id = id;
        self.is_fresh = true;
        self.status = BookStatus::InSync;
        self.counters.snapshots += 1;
        self.roll(b'S', id, id, &snapshot.bids, &snapshot.asks);
        let mut then = Vec::new();
        for delta in std::mem::take(&mut self.waiting) {
            if self.status == BookStatus::InSync && delta.last_update_id <= id {
                self.counters.dropped_before_snapshot += 1;
            } else if let DeltaOutcome::Applied(delta) = self.apply_delta(delta) {
                then.push(delta);
            }
        }
        SnapshotOutcome::Applied { then }
    }

    /// Marks the book stale until the next snapshot: the connection was lost, or the recording
    /// begins anew. Changes wait from now on.
    pub fn expect_snapshot(&mut self) {
        self.waiting.clear();
        if self.status == BookStatus::InSync {
            self.status = BookStatus::Gapped;
        }
    }

    fn follows(&self, delta: &BookDelta) -> bool {
        follows(self.rule, delta, self.update_id, self.is_fresh)
    }

    fn wait(&mut self, delta: BookDelta) {
        if self.waiting.len() == PENDING_MAX {
            self.waiting.pop_front();
            self.counters.overflowed += 1;
        }
        self.waiting.push_back(delta);
    }

    fn apply(&mut self, delta: &BookDelta) {
        for level in &delta.bids {
            self.bids.set(*level);
        }
        for level in &delta.asks {
            self.asks.set(*level);
        }
        self.update_id = delta.last_update_id;
        self.is_fresh = false;
        self.counters.applied += 1;
        if let (Some(bid), Some(ask)) = (self.bids.best(), self.asks.best()) {
            self.counters.crossed += u64::from(bid.price > ask.price);
            self.counters.locked += u64::from(bid.price == ask.price);
        }
        let (first, last) = (delta.first_update_id, delta.last_update_id);
        self.roll(b'D', first, last, &delta.bids, &delta.asks);
    }

    /// Rolls the hash over one update: its kind, numbers and levels as little-endian integers.
    fn roll(&mut self, kind: u8, first: u64, last: u64, bids: &[Level], asks: &[Level]) {
        let bytes = &mut self.scratch;
        bytes.clear();
        bytes.push(kind);
        for number in [first, last, bids.len() as u64, asks.len() as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for level in bids.iter().chain(asks) {
            bytes.extend_from_slice(&level.price.0.to_le_bytes());
            bytes.extend_from_slice(&level.quantity.0.to_le_bytes());
        }
        self.hash = xxh3_64_with_seed(bytes, self.hash);
    }
}

/// Returns whether a change that ends behind `have` follows it without a hole.
fn follows(rule: SequenceRule, delta: &BookDelta, have: u64, is_fresh: bool) -> bool {
    match rule {
        SequenceRule::BinanceSpot => delta.first_update_id <= have.saturating_add(1),
        SequenceRule::BinanceUsdM => match delta.previous_update_id {
            Some(previous) => previous == have || (is_fresh && delta.first_update_id <= have),
            // The market always states it; without it nothing is proven.
            None => false,
        },
    }
}

/// What can be read of it.
impl L2Book {
    pub fn instrument_id(&self) -> &InstrumentId {
        &self.instrument_id
    }

    pub fn status(&self) -> BookStatus {
        self.status
    }

    /// Returns the last update that the levels hold; 0 before the first snapshot.
    pub fn update_id(&self) -> u64 {
        self.update_id
    }

    pub fn bids(&self) -> &Ladder {
        &self.bids
    }

    pub fn asks(&self) -> &Ladder {
        &self.asks
    }

    pub fn best_bid(&self) -> Option<Level> {
        self.bids.best()
    }

    pub fn best_ask(&self) -> Option<Level> {
        self.asks.best()
    }

    /// Returns the best `depth` bids and asks, best first.
    pub fn top(&self, depth: usize) -> (Vec<Level>, Vec<Level>) {
        (
            self.bids.iter().take(depth).collect(),
            self.asks.iter().take(depth).collect(),
        )
    }

    /// Returns the lowest bid and the highest ask of the last snapshot: beyond them a level shows
    /// only once it has changed. `None` where the snapshot had no level.
    pub fn known_range(&self) -> (Option<Price>, Option<Price>) {
        self.known
    }

    pub fn counters(&self) -> BookCounters {
        self.counters
    }

    /// Returns a hash over the instrument and all applied updates in order. Equal for equal
    /// updates on every machine and in every build; no time is in it.
    pub fn market_hash(&self) -> u64 {
        self.hash
    }

    /// Returns the best `depth` levels a side as an event, marked stale when the book is not in
    /// sync. The times are the caller's.
    pub fn snapshot(
        &self,
        depth: usize,
        ts_event: crate::UnixNanos,
        ts_init: crate::UnixNanos,
    ) -> BookSnapshot {
        let (bids, asks) = self.top(depth);
        BookSnapshot {
            instrument_id: self.instrument_id.clone(),
            update_id: self.update_id,
            bids,
            asks,
            stale: self.status != BookStatus::InSync,
            ts_event,
            ts_init,
        }
    }
}
