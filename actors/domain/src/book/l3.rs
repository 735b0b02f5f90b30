//! A book of single orders, as venues publish that show each of them.
//!
//! What it is for is the place of an order in its queue. Its changes are none of the
//! [`crate::market::MarketEvent`]s: every market event has to pass topics, wire and budgets that
//! are made for levels. The simulated market tells them beside those, as [`L3Update`]s, while
//! somebody asks for them.

mod side;
#[cfg(test)]
mod tests;
mod told;

use super::Ladder;
use crate::market::{Level, Side};
use crate::number::{Price, Quantity};
use side::Orders;
use std::collections::BTreeMap;
use thiserror::Error;

pub use told::{L3Snapshot, L3Update};

/// One change of one order. Ids are the venue's, unique among the orders that rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L3Change {
    /// A new order at the back of its price.
    Add(L3Order),
    /// The order's new price and open quantity. Less quantity at the same price keeps the place in
    /// the queue; anything else goes to the back.
    Modify {
        order_id: u64,
        price: Price,
        quantity: Quantity,
    },
    /// The order is gone, whatever was left of it.
    Cancel { order_id: u64 },
    /// This much of a resting order traded; the order is gone when nothing is left.
    Execute { order_id: u64, quantity: Quantity },
}

/// A resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L3Order {
    pub order_id: u64,
    pub side: Side,
    pub price: Price,
    /// What is open for execution (FIX 151), above zero.
    pub quantity: Quantity,
}

/// Why a change was not taken. The book is as it was before the change, and marked broken: what it
/// shows can no longer be trusted. The caller asks the venue for the whole book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum L3Error {
    #[error("order_id {order_id} is unknown")]
    UnknownOrder { order_id: u64 },
    #[error("order_id {order_id} rests already")]
    DuplicateOrder { order_id: u64 },
    #[error("quantity {} of order_id {order_id} exceeds the open {}", .quantity.0, .open.0)]
    Overfill {
        order_id: u64,
        quantity: Quantity,
        open: Quantity,
    },
    #[error("quantity of order_id {order_id} is not above zero")]
    Quantity { order_id: u64 },
    #[error("book holds its {orders_max} orders already")]
    Full { orders_max: usize },
}

/// A level that the orders do not sum up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{side:?} at price {}: orders sum up to {}, level says {}", .price.0, .orders.0, .level.0)]
pub struct L2Mismatch {
    pub side: Side,
    pub price: Price,
    /// Sum of the orders; zero where there is none.
    pub orders: Quantity,
    /// The level's quantity; zero where there is none.
    pub level: Quantity,
}

/// Whether the book can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum L3Status {
    InSync,
    /// A change did not fit or the levels differ; it stays so until the book is replaced.
    Broken,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L3Counters {
    pub applied: u64,
    /// Changes that did not fit.
    pub refused: u64,
    /// Comparisons with levels that failed.
    pub mismatched: u64,
}

/// Where an order stands in the queue of its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePosition {
    /// Open quantity of the orders before it; zero for the first. Wide, since many orders of `i64`
    /// size may meet at one price.
    pub quantity_ahead: i128,
    pub orders_ahead: usize,
    pub order: L3Order,
}

/// The order-by-order book of one instrument.
#[derive(Clone, Debug)]
pub struct L3Book {
    bids: Orders,
    asks: Orders,
    /// Side, price and rank by order id.
    index: BTreeMap<u64, Place>,
    /// Grows with each order that is put at a back.
    next_rank: u64,
    orders_max: usize,
    status: L3Status,
    counters: L3Counters,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    side: Side,
    price: Price,
    rank: u64,
}

impl L3Book {
    /// An empty book of at most `orders_max` orders: a feed that only adds must not fill the
    /// memory.
    pub fn new(orders_max: usize) -> L3Book {
        L3Book {
            bids: Orders::new(Side::Buy),
            asks: Orders::new(Side::Sell),
            index: BTreeMap::new(),
            next_rank: 0,
            orders_max,
            status: L3Status::InSync,
            counters: L3Counters::default(),
        }
    }

    /// Takes a change.
    ///
    /// Errors: [`L3Error`]; the book did not change and is marked broken.
    pub fn apply(&mut self, change: L3Change) -> Result<(), L3Error> {
        let done = match change {
            L3Change::Add(order) => self.add(order),
            L3Change::Modify {
                order_id,
                price,
                quantity,
            } => self.modify(order_id, price, quantity),
            L3Change::Cancel { order_id } => self.take(order_id).map(|_| ()),
            L3Change::Execute { order_id, quantity } => self.execute(order_id, quantity),
        };
        match done {
            Ok(()) => self.counters.applied += 1,
            Err(_) => {
                self.counters.refused += 1;
                self.status = L3Status::Broken;
            }
        }
        done
    }

    /// Replaces the whole book by orders in their priority, and mends a broken one.
    ///
    /// Errors: [`L3Error`] of the first order that does not fit; the book then holds those before
    /// it and is marked broken.
    pub fn replace(&mut self, orders: &[L3Order]) -> Result<(), L3Error> {
        let counters = self.counters;
        *self = L3Book::new(self.orders_max);
        self.counters = counters;
        orders
            .iter()
            .try_for_each(|order| self.apply(L3Change::Add(*order)))
    }

    fn add(&mut self, order: L3Order) -> Result<(), L3Error> {
        let order_id = order.order_id;
        if order.quantity.0 <= 0 {
            return Err(L3Error::Quantity { order_id });
        }
        if self.index.contains_key(&order_id) {
            return Err(L3Error::DuplicateOrder { order_id });
        }
        if self.index.len() >= self.orders_max {
            return Err(L3Error::Full {
                orders_max: self.orders_max,
            });
        }
        self.push_back(order);
        Ok(())
    }

    fn push_back(&mut self, order: L3Order) {
        let rank = self.next_rank;
        self.next_rank += 1;
        let L3Order { side, price, .. } = order;
        let place = Place { side, price, rank };
        self.index.insert(order.order_id, place);
        self.side_mut(side).insert(rank, order);
    }

    fn modify(&mut self, id: u64, price: Price, quantity: Quantity) -> Result<(), L3Error> {
        if quantity.0 <= 0 {
            return Err(L3Error::Quantity { order_id: id });
        }
        let (place, order) = self.find(id)?;
        if price == order.price && quantity <= order.quantity {
            let side = self.side_mut(place.side);
            side.set_quantity(place.price, place.rank, quantity);
            return Ok(());
        }
        self.take(id)?;
        self.push_back(L3Order {
            price,
            quantity,
            ..order
        });
        Ok(())
    }

    fn execute(&mut self, order_id: u64, quantity: Quantity) -> Result<(), L3Error> {
        if quantity.0 <= 0 {
            return Err(L3Error::Quantity { order_id });
        }
        let (place, order) = self.find(order_id)?;
        let open = order.quantity;
        if quantity > open {
            return Err(L3Error::Overfill {
                order_id,
                quantity,
                open,
            });
        }
        if quantity == open {
            return self.take(order_id).map(|_| ());
        }
        let left = Quantity(open.0 - quantity.0);
        let side = self.side_mut(place.side);
        side.set_quantity(place.price, place.rank, left);
        Ok(())
    }

    fn find(&self, order_id: u64) -> Result<(Place, L3Order), L3Error> {
        let place = self.index.get(&order_id).copied();
        place
            .and_then(|place| {
                let order = self.side(place.side).get(place.price, place.rank)?;
                Some((place, order))
            })
            .ok_or(L3Error::UnknownOrder { order_id })
    }

    fn take(&mut self, order_id: u64) -> Result<L3Order, L3Error> {
        let (place, order) = self.find(order_id)?;
        self.index.remove(&order_id);
        self.side_mut(place.side).remove(place.price, place.rank);
        Ok(order)
    }

    fn side(&self, side: Side) -> &Orders {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut Orders {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// Returns an order that rests.
    pub fn order(&self, order_id: u64) -> Option<L3Order> {
        self.find(order_id).ok().map(|(_, order)| order)
    }

    /// Returns where an order stands, or `None` when it does not rest. Looks at the orders before
    /// it.
    pub fn queue_position(&self, order_id: u64) -> Option<QueuePosition> {
        let (place, order) = self.find(order_id).ok()?;
        let (quantity_ahead, orders_ahead) = self.side(place.side).ahead(place.price, place.rank);
        Some(QueuePosition {
            quantity_ahead,
            orders_ahead,
            order,
        })
    }

    /// Returns the orders of a side in the order in which they would be filled.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = L3Order> + '_ {
        self.side(side).in_priority()
    }

    /// Returns the number of orders.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Walks over the levels that the orders make, best first; a quantity beyond the range of a
    /// level is the largest one.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.side(side).levels()
    }

    /// Compares the levels that the orders make with those of a book of levels.
    ///
    /// Errors: the best level that differs; the book is marked broken.
    pub fn check_levels(&mut self, bids: &Ladder, asks: &Ladder) -> Result<(), L2Mismatch> {
        let found = [(Side::Buy, bids), (Side::Sell, asks)]
            .into_iter()
            .find_map(|(side, ladder)| self.side(side).differs(ladder));
        match found {
            None => Ok(()),
            Some(mismatch) => {
                self.counters.mismatched += 1;
                self.status = L3Status::Broken;
                Err(mismatch)
            }
        }
    }

    pub fn status(&self) -> L3Status {
        self.status
    }

    pub fn counters(&self) -> L3Counters {
        self.counters
    }
}
