//! What a strategy wants to see.

use apex_domain::InstrumentId;
use apex_domain::market::{BarSpec, MarketEvent};
use std::collections::BTreeSet;

/// A choice among things: all of them, or these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection<T> {
    All,
    Only(BTreeSet<T>),
}

impl<T: Ord> Selection<T> {
    /// Selects nothing.
    pub fn none() -> Selection<T> {
        Selection::Only(BTreeSet::new())
    }

    pub fn contains(&self, item: &T) -> bool {
        match self {
            Selection::All => true,
            Selection::Only(items) => items.contains(item),
        }
    }
}

/// A strategy's declared inputs. What is not declared is not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriptions {
    pub instruments: Selection<InstrumentId>,
    pub bars: Selection<BarSpec>,
    pub quotes: bool,
    pub trades: bool,
    /// Book changes and snapshots.
    pub book: bool,
    pub feed_state: bool,
    /// The whole account, for [`Context::account`](crate::Context::account). Valued anew before each
    /// market event of a backtest is delivered, which costs time there.
    pub account: bool,
    /// How many bars or ticks of each instrument it wants to have seen before it acts. A node
    /// without a history delivers none of the past, and in a backtest the first rows are the
    /// warm-up, so a strategy counts what it has seen.
    pub warmup: u64,
}

impl Subscriptions {
    /// Subscribes to nothing of all instruments; a start to add to.
    pub fn none() -> Subscriptions {
        Subscriptions {
            instruments: Selection::All,
            bars: Selection::none(),
            quotes: false,
            trades: false,
            book: false,
            feed_state: false,
            account: false,
            warmup: 0,
        }
    }

    /// Returns true when `event` is to be delivered.
    pub fn wants(&self, event: &MarketEvent) -> bool {
        let kind = match event {
            MarketEvent::Bar(bar) => self.bars.contains(&bar.spec),
            MarketEvent::Quote(_) => self.quotes,
            MarketEvent::Trade(_) => self.trades,
            MarketEvent::Book(_) | MarketEvent::Snapshot(_) => self.book,
            MarketEvent::FeedState(_) => self.feed_state,
        };
        kind && self.instruments.contains(event.instrument_id())
    }
}
