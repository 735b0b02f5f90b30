//! The prices that one piece of data offers.

use crate::market::{MarketEvent, Side};
use crate::number::Price;
use crate::time::UnixNanos;

/// The kinds of data, the one to follow rather than the others last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Trades,
    Quotes,
    Bars,
}

/// The prices that one piece of data offers.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// What a buy gets at its start; `None` where nothing is offered.
    pub buy: Option<Price>,
    /// What a sell gets at its start.
    pub sell: Option<Price>,
    pub source: Source,
    pub ts: UnixNanos,
}

impl Reach {
    pub fn of(event: &MarketEvent) -> Option<Reach> {
        match event {
            MarketEvent::Bar(bar) => Some(Reach {
                buy: Some(bar.open),
                sell: Some(bar.open),
                source: Source::Bars,
                ts: bar.ts_open,
            }),
            MarketEvent::Quote(quote) => {
                let (bid, ask) = (quote.bid.map(|l| l.price), quote.ask.map(|l| l.price));
                Some(Reach {
                    buy: ask,
                    sell: bid,
                    source: Source::Quotes,
                    ts: quote.ts_event,
                })
            }
            MarketEvent::Trade(trade) => {
                Some(Reach::at(trade.price, Source::Trades, trade.ts_event))
            }
            MarketEvent::Book(_) | MarketEvent::Snapshot(_) | MarketEvent::FeedState(_) => None,
        }
    }

    pub fn at(price: Price, source: Source, ts: UnixNanos) -> Reach {
        Reach {
            buy: Some(price),
            sell: Some(price),
            source,
            ts,
        }
    }

    /// Returns the price that an order of `side` gets at once.
    pub fn start(&self, side: Side) -> Option<Price> {
        match side {
            Side::Buy => self.buy,
            Side::Sell => self.sell,
        }
    }
}
