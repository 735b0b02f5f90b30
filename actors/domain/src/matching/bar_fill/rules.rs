//! What one piece of data does to one order.

use crate::instrument::Instrument;
use crate::market::{MarketEvent, Side};
use crate::money::Rate;
use crate::number::{Decimal, Price};
use crate::order::TimeInForce;
use crate::time::UnixNanos;
use crate::venue::NewOrder;
use rust_decimal::prelude::ToPrimitive;

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
    /// The lowest and highest price on the way.
    pub low: Option<Price>,
    pub high: Option<Price>,
    pub source: Source,
    pub ts: UnixNanos,
}

impl Reach {
    pub fn of(event: &MarketEvent) -> Option<Reach> {
        match event {
            MarketEvent::Bar(bar) => Some(Reach {
                buy: Some(bar.open),
                sell: Some(bar.open),
                low: Some(bar.low),
                high: Some(bar.high),
                source: Source::Bars,
                ts: bar.ts_open,
            }),
            MarketEvent::Quote(quote) => {
                let (bid, ask) = (quote.bid.map(|l| l.price), quote.ask.map(|l| l.price));
                Some(Reach {
                    buy: ask,
                    sell: bid,
                    low: ask,
                    high: bid,
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
            low: Some(price),
            high: Some(price),
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

    /// Returns the best price for an order of `side` on the way.
    pub fn best(&self, side: Side) -> Option<Price> {
        match side {
            Side::Buy => self.low,
            Side::Sell => self.high,
        }
    }
}

/// What one piece of data does to a working order.
pub enum Outcome {
    Rests,
    Fills { price: Price, maker: bool },
    Ends,
}

/// Returns what `reach` does to an order; `fresh` when it is the first data that the order meets.
pub fn outcome(order: &NewOrder, fresh: bool, reach: &Reach) -> Outcome {
    let side = order.side;
    let immediate = order.time_in_force != TimeInForce::Gtc;
    let start = reach.start(side);
    let Some(limit) = order.limit_price else {
        return match start {
            Some(price) => Outcome::Fills {
                price,
                maker: false,
            },
            None if immediate => Outcome::Ends,
            None => Outcome::Rests,
        };
    };
    if let Some(price) = start.filter(|price| is_reached(side, limit, *price)) {
        let takes = fresh && !order.post_only;
        // A resting order that a quote runs over trades at its own price; a bar that opens
        // beyond the limit shows that its price was never available.
        let improves = takes || reach.source == Source::Bars;
        return Outcome::Fills {
            price: if improves { price } else { limit },
            maker: !takes,
        };
    }
    if immediate {
        return Outcome::Ends;
    }
    match reach.best(side) {
        Some(best) if is_reached(side, limit, best) => Outcome::Fills {
            price: limit,
            maker: true,
        },
        _ => Outcome::Rests,
    }
}

/// Returns true when an order of `side` with this limit may trade at `price`.
pub fn is_reached(side: Side, limit: Price, price: Price) -> bool {
    match side {
        Side::Buy => price <= limit,
        Side::Sell => price >= limit,
    }
}

/// Returns the price made worse by `slippage`, on the increment, or `None` out of range.
pub fn slipped(instrument: &Instrument, side: Side, price: Price, slippage: Rate) -> Option<Price> {
    if slippage.is_zero() {
        return Some(price);
    }
    let step = instrument.price_increment.0;
    let steps = Decimal::from(price.0)
        .abs()
        .checked_mul(slippage.0)?
        .checked_div(Decimal::from(step))?
        .ceil()
        .to_i64()?;
    let shift = steps.checked_mul(step)?.checked_mul(side.sign())?;
    price.0.checked_add(shift).map(Price)
}
