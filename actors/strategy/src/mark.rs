//! The last known price of an instrument, as strategies and their orders see it.

use apex_domain::market::{Bar, MarketEvent};
use apex_domain::risk::{MarketRef, MarketView};
use apex_domain::{Price, UnixNanos};

/// What an instrument was last seen at.
///
/// Bid and ask follow quotes as soon as there was one; before that, or where there are none, bars
/// (the close) and prints stand for both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    reference: MarketRef,
    last: Option<Price>,
    /// The last print or close and when it was first seen, quotes left aside.
    traded: Option<(Price, UnixNanos)>,
    quoted: bool,
    /// When the newest of all was first seen.
    ts: UnixNanos,
}

impl Mark {
    /// Takes the next event of the instrument.
    pub fn observe(&mut self, event: &MarketEvent) {
        match event {
            MarketEvent::Bar(bar) => self.price(bar.close, bar.ts_init),
            MarketEvent::Trade(trade) => self.price(trade.price, trade.ts_init),
            MarketEvent::Quote(quote) => {
                self.quoted = true;
                self.ts = self.ts.max(quote.ts_init);
                self.reference = MarketRef {
                    bid: quote.bid.map(|level| level.price),
                    ask: quote.ask.map(|level| level.price),
                    ts: quote.ts_init,
                };
                if let (Some(bid), Some(ask)) = (self.reference.bid, self.reference.ask) {
                    // Down to the mantissa below where the middle lies between two.
                    let middle = (i128::from(bid.0) + i128::from(ask.0)).div_euclid(2);
                    self.last = i64::try_from(middle).ok().map(Price);
                }
            }
            MarketEvent::Book(_) | MarketEvent::Snapshot(_) | MarketEvent::FeedState(_) => {}
        }
    }

    fn price(&mut self, price: Price, ts: UnixNanos) {
        self.last = Some(price);
        self.traded = Some((price, ts));
        self.ts = self.ts.max(ts);
        if !self.quoted {
            self.reference = MarketRef {
                bid: Some(price),
                ask: Some(price),
                ts,
            };
        }
    }

    /// Returns bid and ask with their time; both `None` before the first event.
    pub fn reference(&self) -> MarketRef {
        self.reference
    }

    /// Returns what the account is shown of it; `None` before the first price.
    pub fn view(&self) -> Option<MarketView> {
        let view = MarketView {
            bid: self.reference.bid,
            ask: self.reference.ask,
            last: self.traded.map(|(price, _)| price),
            last_ts: self.traded.map_or(UnixNanos::default(), |(_, ts)| ts),
            mark: None,
            ts: self.ts,
        };
        [view.bid, view.ask, view.last]
            .iter()
            .any(Option::is_some)
            .then_some(view)
    }

    /// Returns what the account is shown while `bar` goes on from here: its open, the extreme
    /// nearer to it (the high where both are as near), the other one, its close.
    pub fn views_through(mut self, bar: &Bar) -> Vec<MarketView> {
        let up = i128::from(bar.high.0) - i128::from(bar.open.0);
        let down = i128::from(bar.open.0) - i128::from(bar.low.0);
        let (near, far) = if up <= down {
            (bar.high, bar.low)
        } else {
            (bar.low, bar.high)
        };
        let mut views = Vec::with_capacity(4);
        for price in [bar.open, near, far, bar.close] {
            self.price(price, bar.ts_init);
            views.extend(self.view());
        }
        // A price that stays where it was is not looked at twice.
        views.dedup();
        views
    }

    /// Returns the last close, print, or middle of a two-sided quote.
    pub fn last_price(&self) -> Option<Price> {
        self.last
    }

    /// Returns the price at which a position of this sign could be closed: the bid when it is
    /// long, the ask when it is short, the last price where that side is missing.
    pub fn closing_price(&self, position: i64) -> Option<Price> {
        let side = if position >= 0 {
            self.reference.bid
        } else {
            self.reference.ask
        };
        side.or(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bar, quote, trade};

    #[test]
    fn quotes_are_followed_once_there_was_one() {
        let mut mark = Mark::default();
        assert_eq!(mark.closing_price(1), None);
        mark.observe(&bar(1, 100));
        assert_eq!(mark.closing_price(-1), Some(Price(100)));
        mark.observe(&quote(2, Some(90), Some(93)));
        mark.observe(&trade(3, 95));
        assert_eq!(mark.last_price(), Some(Price(95)));
        assert_eq!(mark.closing_price(1), Some(Price(90)));
        assert_eq!(mark.closing_price(-1), Some(Price(93)));
        mark.observe(&quote(4, None, Some(92)));
        assert_eq!(mark.closing_price(1), Some(Price(95)), "nobody bids");
    }
}
