//! The orders of one side, by price and then by rank.

use super::{L2Mismatch, L3Order};
use crate::book::Ladder;
use crate::market::{Level, Side};
use crate::number::{Price, Quantity};
use std::collections::BTreeMap;

/// Orders of one price by rank, the oldest first.
#[derive(Clone, Debug, Default)]
struct Queue {
    orders: BTreeMap<u64, L3Order>,
    /// Sum of their open quantities.
    open: i128,
}

#[derive(Clone, Debug)]
pub(super) struct Orders {
    side: Side,
    /// Ascending by key, so that the first is the best.
    queues: BTreeMap<i64, Queue>,
}

impl Orders {
    pub fn new(side: Side) -> Orders {
        Orders {
            side,
            queues: BTreeMap::new(),
        }
    }

    /// Returns the price for asks and its complement, which always fits, for bids: the lesser is
    /// the better on both sides.
    fn key(&self, price: Price) -> i64 {
        match self.side {
            Side::Buy => !price.0,
            Side::Sell => price.0,
        }
    }

    pub fn insert(&mut self, rank: u64, order: L3Order) {
        let queue = self.queues.entry(self.key(order.price)).or_default();
        queue.open += i128::from(order.quantity.0);
        queue.orders.insert(rank, order);
    }

    pub fn get(&self, price: Price, rank: u64) -> Option<L3Order> {
        let queue = self.queues.get(&self.key(price))?;
        queue.orders.get(&rank).copied()
    }

    /// Changes the open quantity in place; nothing happens when there is no such order.
    pub fn set_quantity(&mut self, price: Price, rank: u64, quantity: Quantity) {
        let key = self.key(price);
        let Some(queue) = self.queues.get_mut(&key) else {
            return;
        };
        if let Some(order) = queue.orders.get_mut(&rank) {
            queue.open += i128::from(quantity.0) - i128::from(order.quantity.0);
            order.quantity = quantity;
        }
    }

    pub fn remove(&mut self, price: Price, rank: u64) {
        let key = self.key(price);
        let Some(queue) = self.queues.get_mut(&key) else {
            return;
        };
        if let Some(order) = queue.orders.remove(&rank) {
            queue.open -= i128::from(order.quantity.0);
        }
        if queue.orders.is_empty() {
            self.queues.remove(&key);
        }
    }

    /// Returns the open quantity and the number of the orders before a rank.
    pub fn ahead(&self, price: Price, rank: u64) -> (i128, usize) {
        let Some(queue) = self.queues.get(&self.key(price)) else {
            return (0, 0);
        };
        let before = queue.orders.range(..rank);
        before.fold((0, 0), |(quantity, count), (_, order)| {
            (quantity + i128::from(order.quantity.0), count + 1)
        })
    }

    pub fn in_priority(&self) -> impl Iterator<Item = L3Order> + '_ {
        let queues = self.queues.values();
        queues.flat_map(|queue| queue.orders.values().copied())
    }

    pub fn levels(&self) -> impl Iterator<Item = Level> + '_ {
        self.queues.iter().map(|(key, queue)| Level {
            // Taking the complement twice gives the price back.
            price: Price(self.key(Price(*key))),
            quantity: Quantity(i64::try_from(queue.open).unwrap_or(i64::MAX)),
        })
    }

    /// Returns the best level that differs from a ladder's.
    pub fn differs(&self, ladder: &Ladder) -> Option<L2Mismatch> {
        let (mut ours, mut theirs) = (self.levels(), ladder.iter());
        loop {
            let (orders, level) = match (ours.next(), theirs.next()) {
                (None, None) => return None,
                (orders, level) if orders == level => continue,
                (orders, level) => (orders, level),
            };
            // The better of both prices is where they part.
            let prices = [orders, level].into_iter().flatten().map(|one| one.price);
            let price = prices.min_by_key(|price| self.key(*price))?;
            let at = |level: Option<Level>| {
                let level = level.filter(|level| level.price == price);
                level.map_or(Quantity::ZERO, |level| level.quantity)
            };
            return Some(L2Mismatch {
                side: self.side,
                price,
                orders: at(orders),
                level: at(level),
            });
        }
    }
}
