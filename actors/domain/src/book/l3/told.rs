//! How a feed tells single orders: the book as it stands, then what changed.

use super::{L3Change, L3Order};
use crate::InstrumentId;
use crate::time::UnixNanos;

/// All orders that a book shows, at one update. Nobody's name is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L3Snapshot {
    pub instrument_id: InstrumentId,
    /// The update of the book of levels that the orders sum up to; the first [`L3Update`] behind
    /// it has the next number.
    pub update_id: u64,
    /// In the order in which they would be filled.
    pub bids: Vec<L3Order>,
    /// In the order in which they would be filled.
    pub asks: Vec<L3Order>,
    pub ts_event: UnixNanos,
    pub ts_init: UnixNanos,
}

impl L3Snapshot {
    /// Returns the number of orders.
    pub fn len(&self) -> usize {
        self.bids.len() + self.asks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Walks over all orders, the bids first, as [`super::L3Book::replace`] takes them.
    pub fn orders(&self) -> impl Iterator<Item = L3Order> + '_ {
        self.bids.iter().chain(&self.asks).copied()
    }
}

/// What changed in the orders of a book by one update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L3Update {
    pub instrument_id: InstrumentId,
    /// Dense, and the number of the same update of the levels: after it the orders sum up to
    /// those.
    pub update_id: u64,
    /// In the order in which they happened. Rarely empty, where a level was told anew.
    pub changes: Vec<L3Change>,
    pub ts_event: UnixNanos,
    pub ts_init: UnixNanos,
}
