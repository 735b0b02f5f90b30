//! A limit order book of single orders, matched by price, then time.
//!
//! The book knows owners only as tags. Orders of one [`PlaceTerms::group`] do not trade with each
//! other where the incoming one asks for that.

mod changes;
mod levels;

use crate::book::{L3Change, L3Order};
use crate::market::{Level, Side};
use crate::number::{Price, Quantity};
use crate::order::{SelfTradePrevention, TimeInForce};
pub use changes::BookChanges;
use levels::Orders;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Number of an order within one book, dense from 1 in the order of arrival.
pub type BookOrderId = u64;

/// An order on its way into the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceOrder {
    /// The caller's own mark, handed back in each trade.
    pub owner: u64,
    pub side: Side,
    /// `None` takes any price and never rests, whatever `time_in_force` says.
    pub limit_price: Option<Price>,
    /// Total quantity, above zero and above `filled`.
    pub quantity: Quantity,
    /// What was filled before the order came into this book; zero for a new order.
    pub filled: Quantity,
    pub time_in_force: TimeInForce,
    /// Refused instead of trading at once.
    pub post_only: bool,
}

/// What an order says beyond [`PlaceOrder`]. The default says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceTerms {
    /// FIX 1138: the most that it shows at once; `None` shows all. What was shown and traded is
    /// followed by the next part, at the back of the queue of its price.
    pub display: Option<Quantity>,
    /// Orders of one group are one account's; 0 is nobody's.
    pub group: u64,
    /// What happens, as it comes in, where it would trade with its own group; `None` trades.
    pub self_trade: Option<SelfTradePrevention>,
}

/// Why an order was not taken; the book is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PlaceError {
    #[error("quantity must be above zero and above what is filled")]
    Quantity,
    #[error("post-only order would trade at once")]
    PostOnlyWouldTrade,
    #[error("post-only order needs a limit price")]
    PostOnlyWithoutPrice,
}

/// Why an order was not amended; order and book are unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AmendError {
    #[error("no such order")]
    NotFound,
    #[error("quantity is not above the filled quantity")]
    Quantity,
    #[error("post-only order would trade at once")]
    PostOnlyWouldTrade,
}

/// What is left of an order after the book was done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rest waits in the book.
    Resting,
    Filled,
    /// The rest, or all of a fill-or-kill order, found no counterpart and is gone.
    Canceled,
    /// The rest would have traded with its own group and is gone.
    SelfTrade,
}

/// The result of placing or amending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub id: BookOrderId,
    /// Filled in all, earlier fills included.
    pub filled: Quantity,
    /// Total quantity, less what a prevented self-trade took off it.
    pub quantity: Quantity,
    pub outcome: Outcome,
}

/// One match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookTrade {
    /// The resting order's price.
    pub price: Price,
    pub quantity: Quantity,
    /// The side of the incoming order.
    pub aggressor: Side,
    pub taker: BookOrderId,
    pub taker_owner: u64,
    pub maker: BookOrderId,
    pub maker_owner: u64,
    /// What still rests of the maker's order.
    pub maker_leaves: Quantity,
}

/// A match with an order of the same group that did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prevented {
    /// The resting order.
    pub maker_owner: u64,
    pub taker_owner: u64,
    /// What each of them lost by it; zero where an order ended as a whole.
    pub cut: Quantity,
    /// The resting order is gone.
    pub maker_ended: bool,
}

/// A resting order as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestingOrder {
    pub id: BookOrderId,
    pub owner: u64,
    pub side: Side,
    pub price: Price,
    pub quantity: Quantity,
    pub filled: Quantity,
    pub post_only: bool,
    /// The part of `leaves` that the book shows; above zero while it rests.
    pub shown: Quantity,
    pub terms: PlaceTerms,
    /// When it came to the back of its queue, as a number that grows with each that comes there.
    pub arrival: u64,
}

impl RestingOrder {
    /// Returns what is open for execution, FIX 151; above zero while it rests.
    pub fn leaves(&self) -> Quantity {
        Quantity(self.quantity.0 - self.filled.0)
    }

    /// Returns its coming to the queue as those see it who see single orders: the shown part.
    fn as_shown(&self) -> L3Change {
        L3Change::Add(L3Order {
            order_id: self.id,
            side: self.side,
            price: self.price,
            quantity: self.shown,
        })
    }

    /// Returns what a part of it that comes anew to the queue shows.
    fn next_shown(&self) -> Quantity {
        let display = self.terms.display.unwrap_or(Quantity(i64::MAX));
        self.leaves().min(display)
    }
}

/// Returns true when an order of `side` limited to `limit` (`None` is any price) may trade at
/// `price`.
pub fn reaches(side: Side, limit: Option<Price>, price: Price) -> bool {
    match (side, limit) {
        (_, None) => true,
        (Side::Buy, Some(limit)) => price <= limit,
        (Side::Sell, Some(limit)) => price >= limit,
    }
}

/// The book of one instrument. The same operations in the same order give the same book and the
/// same trades. After each operation the best bid is below the best ask.
#[derive(Clone, Debug)]
pub struct OrderBook {
    orders: Orders,
    next_id: BookOrderId,
}

impl Default for OrderBook {
    fn default() -> OrderBook {
        OrderBook::new()
    }
}

impl OrderBook {
    pub fn new() -> OrderBook {
        OrderBook {
            orders: Orders::default(),
            next_id: 1,
        }
    }

    /// Matches an order and rests what is left where it may rest.
    ///
    /// Errors: [`PlaceError`]; a refused order gets no number.
    pub fn place(
        &mut self,
        order: PlaceOrder,
        changes: &mut BookChanges,
    ) -> Result<Placed, PlaceError> {
        self.place_with(order, PlaceTerms::default(), changes)
    }

    /// As [`OrderBook::place`], for an order with further terms.
    ///
    /// Errors: [`PlaceError`]; a refused order gets no number.
    pub fn place_with(
        &mut self,
        order: PlaceOrder,
        terms: PlaceTerms,
        changes: &mut BookChanges,
    ) -> Result<Placed, PlaceError> {
        if order.quantity.0 <= 0 || order.filled.0 < 0 || order.filled >= order.quantity {
            return Err(PlaceError::Quantity);
        }
        if order.post_only {
            let Some(price) = order.limit_price else {
                return Err(PlaceError::PostOnlyWithoutPrice);
            };
            if self.would_trade(order.side, Some(price)) {
                return Err(PlaceError::PostOnlyWouldTrade);
            }
        }
        let id = self.next_id;
        self.next_id += 1;
        if order.time_in_force == TimeInForce::Fok {
            let wanted = i128::from(order.quantity.0) - i128::from(order.filled.0);
            if self.orders.available(&order, &terms, wanted) < wanted {
                return Ok(Placed {
                    id,
                    filled: order.filled,
                    quantity: order.quantity,
                    outcome: Outcome::Canceled,
                });
            }
        }
        Ok(self.run(id, &order, &terms, changes))
    }

    /// Takes an order out. Returns it as it was, or `None` when it does not rest here.
    pub fn cancel(&mut self, id: BookOrderId, changes: &mut BookChanges) -> Option<RestingOrder> {
        let order = self.orders.remove(id)?;
        changes.touched.push((order.side, order.price));
        changes.record(L3Change::Cancel { order_id: id });
        Some(order)
    }

    /// Returns the arrival of an order that waits outside of this book, to be told from those
    /// inside by age.
    pub fn next_arrival(&mut self) -> u64 {
        self.orders.next_arrival()
    }

    /// Lets a resting order trade outside of the continuous trade, as in an auction: up to
    /// `quantity`, its hidden parts included. Where its shown part is used up, the next one comes
    /// to the back of its queue. An order that does not rest here is left alone.
    pub fn execute(&mut self, id: BookOrderId, quantity: Quantity, changes: &mut BookChanges) {
        let Some(mut order) = self.orders.get(id) else {
            return;
        };
        let traded = quantity.min(order.leaves());
        changes.touched.push((order.side, order.price));
        changes.record(L3Change::Execute {
            order_id: id,
            quantity: traded.min(order.shown),
        });
        if traded < order.shown {
            return self.orders.execute(id, traded);
        }
        self.orders.remove(id);
        order.filled.0 += traded.0;
        if order.leaves().is_zero() {
            return;
        }
        order.shown = order.next_shown();
        order.arrival = self.orders.next_arrival();
        changes.record(order.as_shown());
        self.orders.push_back(order);
    }

    /// Changes total quantity (filled part included) and price. Less quantity at the same price
    /// keeps the place in the queue; anything else goes to the back, and may trade. The number
    /// stays.
    ///
    /// Errors: [`AmendError`], and nothing has changed.
    pub fn amend(
        &mut self,
        id: BookOrderId,
        quantity: Quantity,
        limit_price: Option<Price>,
        changes: &mut BookChanges,
    ) -> Result<Placed, AmendError> {
        let order = self.orders.get(id).ok_or(AmendError::NotFound)?;
        if quantity <= order.filled {
            return Err(AmendError::Quantity);
        }
        let price = limit_price.unwrap_or(order.price);
        if order.post_only && self.would_trade(order.side, Some(price)) {
            return Err(AmendError::PostOnlyWouldTrade);
        }
        changes.touched.push((order.side, order.price));
        if price == order.price && quantity <= order.quantity {
            self.orders.reduce(id, quantity);
            if let Some(shown) = self.orders.get(id).map(|order| order.shown) {
                changes.record(L3Change::Modify {
                    order_id: id,
                    price,
                    quantity: shown,
                });
            }
            return Ok(Placed {
                id,
                filled: order.filled,
                quantity,
                outcome: Outcome::Resting,
            });
        }
        self.orders.remove(id);
        changes.record(L3Change::Cancel { order_id: id });
        let moved = PlaceOrder {
            owner: order.owner,
            side: order.side,
            limit_price: Some(price),
            quantity,
            filled: order.filled,
            time_in_force: TimeInForce::Gtc,
            post_only: order.post_only,
        };
        Ok(self.run(id, &moved, &order.terms, changes))
    }

    /// Matches and rests; every check was made.
    fn run(
        &mut self,
        id: BookOrderId,
        order: &PlaceOrder,
        terms: &PlaceTerms,
        changes: &mut BookChanges,
    ) -> Placed {
        let swept = self.orders.sweep(id, order, terms, changes);
        let filled = Quantity(order.filled.0 + swept.traded.0);
        let quantity = Quantity(order.quantity.0 - swept.cut.0);
        let outcome = match order.limit_price {
            // Nothing is left of it, and not by trading.
            _ if swept.ended || (filled == quantity && swept.traded.is_zero()) => {
                Outcome::SelfTrade
            }
            _ if filled == quantity => Outcome::Filled,
            Some(price) if order.time_in_force == TimeInForce::Gtc => {
                changes.touched.push((order.side, price));
                let mut resting = RestingOrder {
                    id,
                    owner: order.owner,
                    side: order.side,
                    price,
                    quantity,
                    filled,
                    post_only: order.post_only,
                    shown: Quantity::ZERO,
                    terms: *terms,
                    arrival: self.orders.next_arrival(),
                };
                resting.shown = resting.next_shown();
                changes.record(resting.as_shown());
                self.orders.push_back(resting);
                Outcome::Resting
            }
            _ => Outcome::Canceled,
        };
        Placed {
            id,
            filled,
            quantity,
            outcome,
        }
    }

    /// Returns true when an order of `side` at `limit` would trade at once.
    pub fn would_trade(&self, side: Side, limit: Option<Price>) -> bool {
        self.orders
            .best(side.opposite())
            .is_some_and(|level| reaches(side, limit, level.price))
    }

    /// Returns the resting order of this number.
    pub fn order(&self, id: BookOrderId) -> Option<RestingOrder> {
        self.orders.get(id)
    }

    /// Returns the best level of a side, its quantity saturated at the range of `i64`.
    pub fn best(&self, side: Side) -> Option<Level> {
        self.orders.best(side)
    }

    /// Returns the quantity shown at a price, zero where there is none.
    pub fn quantity_at(&self, side: Side, price: Price) -> Quantity {
        self.orders.quantity_at(side, price)
    }

    /// Returns up to `limit` levels, best first.
    pub fn depth(&self, side: Side, limit: usize) -> Vec<Level> {
        self.orders
            .levels(side)
            .take(limit)
            .map(|(price, quantity)| Level {
                price,
                quantity: levels::saturate(quantity),
            })
            .collect()
    }

    /// Returns the number of price levels of a side.
    pub fn level_count(&self, side: Side) -> usize {
        self.orders.level_count(side)
    }

    /// Returns the resting orders of a side in the order in which they would be filled.
    pub fn resting(&self, side: Side) -> Vec<RestingOrder> {
        self.orders.in_priority(side)
    }

    /// Returns the number of resting orders.
    pub fn len(&self) -> usize {
        self.orders.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
