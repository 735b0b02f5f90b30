//! The last known price of an instrument, as strategies and their orders see it.

use apex_domain::market::MarketEvent;
use apex_domain::risk::MarketRef;
use apex_domain::{Price, UnixNanos};

/// What an instrument was last seen at.
///
/// Bid and ask follow quotes as soon as there was one; before that, or where there are none, bars
/// (the close) and prints stand for both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    reference: MarketRef,
    last: Option<Price>,
    quoted: bool,
}

impl Mark {
    /// Takes the next event of the instrument.
    pub fn observe(&mut self, event: &MarketEvent) {
        match event {
            MarketEvent::Bar(bar) => self.price(bar.close, bar.ts_init),
            MarketEvent::Trade(trade) => self.price(trade.price, trade.ts_init),
            MarketEvent::Quote(quote) => {
                self.quoted = true;
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
