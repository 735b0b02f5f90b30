//! When a conditional order triggers, and where a trailing stop stands: one rule for the orders
//! that the account holds itself and for the simulated venue.
//!
//! A stop triggers when the watched price reaches its stop price from the better side (a sell
//! stop at or under it, a buy stop at or over it), an if-touched order from the worse side. A
//! trailing stop follows the best price at its distance and never steps back. Its activation
//! price counts from the side on which the market stood when the order was taken.

use super::{OrderTerms, OrderType, TrailingOffset, TriggerType};
use crate::instrument::Instrument;
use crate::market::Side;
use crate::number::Price;
use crate::risk::MarketView;
use serde::{Deserialize, Serialize};

/// Basis points of the whole.
const WHOLE_BPS: i128 = 10_000;

/// What a conditional order waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    side: Side,
    order_type: OrderType,
    trigger: TriggerType,
    stop_price: Option<Price>,
    trailing: Option<TrailingOffset>,
    activation_price: Option<Price>,
    /// The market stood above the activation price when the order was taken.
    from_above: bool,
    /// The best price since a trailing stop began to follow; `None` before.
    best: Option<Price>,
}

/// What a price did to a conditional order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Nothing,
    /// A trailing stop moved to `stop_price`, following `best`.
    Trailed {
        stop_price: Price,
        best: Price,
    },
    /// The condition is met.
    Triggered,
}

impl Watch {
    /// Returns what the order waits for; `None` when it waits for no price. `market` is the one
    /// at which it was taken.
    pub fn new(
        side: Side,
        order_type: OrderType,
        terms: &OrderTerms,
        market: &MarketView,
    ) -> Option<Watch> {
        if !order_type.is_conditional() {
            return None;
        }
        let conventional = side == Side::Buy;
        let from_above = match (terms.activation_price, watched(terms.trigger, side, market)) {
            (Some(activation), Some(price)) => price > activation,
            // A sell waits for the price to rise, a buy for it to fall.
            _ => conventional,
        };
        Some(Watch {
            side,
            order_type,
            trigger: terms.trigger,
            stop_price: terms.stop_price,
            trailing: terms.trailing,
            activation_price: terms.activation_price,
            from_above,
            best: None,
        })
    }

    /// Returns the stop price now; `None` for a trailing stop that does not trail yet.
    pub fn stop_price(&self) -> Option<Price> {
        self.stop_price
    }

    /// Returns where a trailing stop that does not trail yet begins to on the way of the price
    /// from `at` to `to`; `None` when it does not, or needs no such price.
    pub fn begins_at(&self, at: Price, to: Price) -> Option<Price> {
        let activation = self.activation_price?;
        let waits = self.order_type == OrderType::TrailingStop && self.best.is_none();
        let passed = at.min(to) <= activation && activation <= at.max(to);
        (waits && passed).then_some(activation)
    }

    /// Takes another stop price, as an amend gives it.
    pub fn set_stop_price(&mut self, stop_price: Price) {
        self.stop_price = Some(stop_price);
    }

    /// Takes a step of a trailing stop that was decided before.
    pub fn set_trailed(&mut self, stop_price: Price, best: Price) {
        self.stop_price = Some(stop_price);
        self.best = Some(best);
    }

    /// Goes on from a stop price at which it stood before a restart. A trailing stop that has one
    /// had begun to trail; its best price is taken to be the one nearest to the stop price that
    /// gives it, from which no step leads back.
    pub fn resume(&mut self, stop_price: Price) {
        self.stop_price = Some(stop_price);
        if self.order_type != OrderType::TrailingStop {
            return;
        }
        let stop = i128::from(stop_price.0);
        let sign = i128::from(self.side.sign());
        let best = match self.trailing {
            None => stop,
            Some(TrailingOffset::Price(offset)) => stop - sign * i128::from(offset.0),
            Some(TrailingOffset::Bps(bps)) => {
                let share = WHOLE_BPS + sign * i128::from(bps);
                round_away(stop * WHOLE_BPS, share.max(1), self.side.opposite())
            }
        };
        self.best = i64::try_from(best).ok().map(Price).or(self.best);
    }

    /// Returns what the market does to the order, without changing it: the caller hands a
    /// [`Seen::Trailed`] back by [`Watch::set_trailed`]. Stop prices of trailing stops are whole
    /// multiples of the increment of their band, rounded away from the market.
    pub fn see(&self, market: &MarketView, instrument: &Instrument) -> Seen {
        match watched(self.trigger, self.side, market) {
            Some(price) => self.see_price(price, instrument),
            None => Seen::Nothing,
        }
    }

    /// As [`Watch::see`], for one price of the kind that the order watches.
    pub fn see_price(&self, price: Price, instrument: &Instrument) -> Seen {
        if self.order_type == OrderType::TrailingStop {
            return self.trail(price, instrument);
        }
        let reached = self.stop_price.is_some_and(|stop| {
            // A stop buys above the market, an if-touched order below it.
            let waits_above = (self.side == Side::Buy) == self.is_stop();
            if waits_above {
                price >= stop
            } else {
                price <= stop
            }
        });
        if reached {
            Seen::Triggered
        } else {
            Seen::Nothing
        }
    }

    fn is_stop(&self) -> bool {
        matches!(self.order_type, OrderType::Stop | OrderType::StopLimit)
    }

    fn trail(&self, price: Price, instrument: &Instrument) -> Seen {
        if self.best.is_none() && !self.is_activated_by(price) {
            return Seen::Nothing;
        }
        let met = self.best.is_some()
            && self.stop_price.is_some_and(|stop| match self.side {
                Side::Sell => price <= stop,
                Side::Buy => price >= stop,
            });
        if met {
            return Seen::Triggered;
        }
        let better = self.best.is_none_or(|best| match self.side {
            Side::Sell => price > best,
            Side::Buy => price < best,
        });
        match self.stop_behind(price, instrument) {
            Some(stop_price) if better => Seen::Trailed {
                stop_price,
                best: price,
            },
            _ => Seen::Nothing,
        }
    }

    fn is_activated_by(&self, price: Price) -> bool {
        self.activation_price.is_none_or(|activation| {
            if self.from_above {
                price <= activation
            } else {
                price >= activation
            }
        })
    }

    /// Returns the stop price at the distance behind `price`; `None` beyond the range of prices.
    fn stop_behind(&self, price: Price, instrument: &Instrument) -> Option<Price> {
        let price = i128::from(price.0);
        let sign = i128::from(self.side.sign());
        // A buy's stop lies above the market and is rounded up, a sell's below and rounded down.
        let exact = match self.trailing? {
            TrailingOffset::Price(offset) => price + sign * i128::from(offset.0),
            TrailingOffset::Bps(bps) => {
                let distance = sign * price.abs() * i128::from(bps);
                round_away(price * WHOLE_BPS + distance, WHOLE_BPS, self.side)
            }
        };
        let exact = i64::try_from(exact).ok().map(Price)?;
        instrument.price_towards_market(self.side, exact)
    }
}

/// Divides, up for a buy and down for a sell.
fn round_away(value: i128, by: i128, side: Side) -> i128 {
    match side {
        Side::Buy => -(-value).div_euclid(by),
        Side::Sell => value.div_euclid(by),
    }
}

/// Returns the price that an order of this side watches; `None` while there is none.
pub fn watched(trigger: TriggerType, side: Side, market: &MarketView) -> Option<Price> {
    let quote = match side {
        Side::Buy => market.ask,
        Side::Sell => market.bid,
    };
    match trigger {
        TriggerType::Last => market.last.or(quote),
        TriggerType::BidAsk => quote,
        TriggerType::Mark => market.mark.or_else(|| {
            let (bid, ask) = (market.bid?, market.ask?);
            let mid = (i128::from(bid.0) + i128::from(ask.0)).div_euclid(2);
            i64::try_from(mid).ok().map(Price)
        }),
    }
}

#[cfg(test)]
mod tests;
