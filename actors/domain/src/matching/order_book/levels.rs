//! The resting orders of a book: price levels in order, each a linked queue through one slab.
//!
//! A slab with links makes a cancel in the middle of a long queue as cheap as at its ends, and
//! reuses memory instead of allocating per order.

use super::{BookOrderId, PlaceOrder, PlaceTerms, RestingOrder, reaches};
use crate::market::{Level, Side};
use crate::number::{Price, Quantity};
use crate::order::SelfTradePrevention;
use std::collections::BTreeMap;

mod sweep;

/// No order.
const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    order: RestingOrder,
    previous: u32,
    next: u32,
}

/// Orders of one price, oldest at the head.
#[derive(Clone, Copy, Debug)]
struct Queue {
    head: u32,
    tail: u32,
    /// What is shown. Wide, since many orders of `i64` size may meet at one price.
    leaves: i128,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    bids: BTreeMap<Price, Queue>,
    asks: BTreeMap<Price, Queue>,
    nodes: Vec<Node>,
    free: Vec<u32>,
    slots: BTreeMap<BookOrderId, u32>,
    arrivals: u64,
}

pub(super) fn saturate(quantity: i128) -> Quantity {
    Quantity(i64::try_from(quantity).unwrap_or(i64::MAX))
}

impl Orders {
    fn side(&self, side: Side) -> &BTreeMap<Price, Queue> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<Price, Queue> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    pub(super) fn next_arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn get(&self, id: BookOrderId) -> Option<RestingOrder> {
        let slot = *self.slots.get(&id)?;
        Some(self.nodes[slot as usize].order)
    }

    pub(super) fn best(&self, side: Side) -> Option<Level> {
        let (price, queue) = match side {
            Side::Buy => self.bids.last_key_value()?,
            Side::Sell => self.asks.first_key_value()?,
        };
        Some(Level {
            price: *price,
            quantity: saturate(queue.leaves),
        })
    }

    pub(super) fn quantity_at(&self, side: Side, price: Price) -> Quantity {
        self.side(side)
            .get(&price)
            .map_or(Quantity::ZERO, |queue| saturate(queue.leaves))
    }

    pub(super) fn level_count(&self, side: Side) -> usize {
        self.side(side).len()
    }

    /// Walks the levels of a side, best first.
    pub(super) fn levels(&self, side: Side) -> Box<dyn Iterator<Item = (Price, i128)> + '_> {
        let pick = |(price, queue): (&Price, &Queue)| (*price, queue.leaves);
        match side {
            Side::Buy => Box::new(self.bids.iter().rev().map(pick)),
            Side::Sell => Box::new(self.asks.iter().map(pick)),
        }
    }

    pub(super) fn in_priority(&self, side: Side) -> Vec<RestingOrder> {
        let mut out = Vec::new();
        let levels = self.side(side);
        let heads: Vec<u32> = match side {
            Side::Buy => levels.values().rev().map(|queue| queue.head).collect(),
            Side::Sell => levels.values().map(|queue| queue.head).collect(),
        };
        for head in heads {
            let mut slot = head;
            while slot != NIL {
                let node = &self.nodes[slot as usize];
                out.push(node.order);
                slot = node.next;
            }
        }
        out
    }

    /// Appends an order to the queue of its price.
    pub(super) fn push_back(&mut self, order: RestingOrder) {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.nodes.push(Node {
                    order,
                    previous: NIL,
                    next: NIL,
                });
                (self.nodes.len() - 1) as u32
            }
        };
        let queue = self
            .side_mut(order.side)
            .entry(order.price)
            .or_insert(Queue {
                head: NIL,
                tail: NIL,
                leaves: 0,
            });
        let previous = queue.tail;
        queue.tail = slot;
        queue.leaves += i128::from(order.shown.0);
        if previous == NIL {
            queue.head = slot;
        } else {
            self.nodes[previous as usize].next = slot;
        }
        self.nodes[slot as usize] = Node {
            order,
            previous,
            next: NIL,
        };
        self.slots.insert(order.id, slot);
    }

    /// Lowers the total quantity of an order in its place. The caller made sure that it rests
    /// here and that `quantity` lies above its filled part and not above its quantity.
    pub(super) fn reduce(&mut self, id: BookOrderId, quantity: Quantity) {
        let Some(&slot) = self.slots.get(&id) else {
            return;
        };
        let order = &mut self.nodes[slot as usize].order;
        order.quantity = quantity;
        // What is hidden goes first.
        let shown = order.shown.min(order.leaves());
        let cut = order.shown.0 - shown.0;
        order.shown = shown;
        let (side, price) = (order.side, order.price);
        if let Some(queue) = self.side_mut(side).get_mut(&price) {
            queue.leaves -= i128::from(cut);
        }
    }

    /// Fills less than the shown part of an order, which keeps its place.
    pub(super) fn execute(&mut self, id: BookOrderId, traded: Quantity) {
        let Some(&slot) = self.slots.get(&id) else {
            return;
        };
        let order = &mut self.nodes[slot as usize].order;
        order.filled.0 += traded.0;
        order.shown.0 -= traded.0;
        let (side, price) = (order.side, order.price);
        if let Some(queue) = self.side_mut(side).get_mut(&price) {
            queue.leaves -= i128::from(traded.0);
        }
    }

    /// Unlinks an order and returns it.
    pub(super) fn remove(&mut self, id: BookOrderId) -> Option<RestingOrder> {
        let slot = self.slots.remove(&id)?;
        let Node {
            order,
            previous,
            next,
        } = self.nodes[slot as usize];
        if previous != NIL {
            self.nodes[previous as usize].next = next;
        }
        if next != NIL {
            self.nodes[next as usize].previous = previous;
        }
        let levels = self.side_mut(order.side);
        if previous == NIL && next == NIL {
            levels.remove(&order.price);
        } else if let Some(queue) = levels.get_mut(&order.price) {
            queue.leaves -= i128::from(order.shown.0);
            if previous == NIL {
                queue.head = next;
            }
            if next == NIL {
                queue.tail = previous;
            }
        }
        self.free.push(slot);
        Some(order)
    }

    /// Returns how much an order could trade at once, hidden parts included, counted up to
    /// `enough`.
    pub(super) fn available(&self, order: &PlaceOrder, terms: &PlaceTerms, enough: i128) -> i128 {
        let mut sum = 0_i128;
        let opposite = order.side.opposite();
        let levels: Box<dyn Iterator<Item = (&Price, &Queue)>> = match opposite {
            Side::Buy => Box::new(self.bids.iter().rev()),
            Side::Sell => Box::new(self.asks.iter()),
        };
        for (price, queue) in levels {
            if !reaches(order.side, order.limit_price, *price) {
                break;
            }
            let mut slot = queue.head;
            while slot != NIL {
                if sum >= enough {
                    return sum;
                }
                let node = &self.nodes[slot as usize];
                slot = node.next;
                match terms.against(&node.order) {
                    None => sum += i128::from(node.order.leaves().0),
                    // Behind its own order it does not come.
                    Some(SelfTradePrevention::ExpireTaker | SelfTradePrevention::ExpireBoth) => {
                        return sum;
                    }
                    Some(SelfTradePrevention::ExpireMaker | SelfTradePrevention::Decrement) => {}
                }
            }
        }
        sum
    }
}
