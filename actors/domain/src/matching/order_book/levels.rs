//! The resting orders of a book: price levels in order, each a linked queue through one slab.
//!
//! A slab with links makes a cancel in the middle of a long queue as cheap as at its ends, and
//! reuses memory instead of allocating per order.

use super::{BookChanges, BookOrderId, BookTrade, PlaceOrder, RestingOrder, reaches};
use crate::market::{Level, Side};
use crate::number::{Price, Quantity};
use std::collections::BTreeMap;

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
    /// Wide, since many orders of `i64` size may meet at one price.
    leaves: i128,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    bids: BTreeMap<Price, Queue>,
    asks: BTreeMap<Price, Queue>,
    nodes: Vec<Node>,
    free: Vec<u32>,
    slots: BTreeMap<BookOrderId, u32>,
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
        queue.leaves += i128::from(order.leaves().0);
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
        let cut = order.quantity.0 - quantity.0;
        order.quantity = quantity;
        let (side, price) = (order.side, order.price);
        if let Some(queue) = self.side_mut(side).get_mut(&price) {
            queue.leaves -= i128::from(cut);
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
            queue.leaves -= i128::from(order.leaves().0);
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

    /// Trades an incoming order against the opposite side, best price and oldest order first.
    /// Returns what traded, at most `wanted`.
    pub(super) fn sweep(
        &mut self,
        taker: BookOrderId,
        order: &PlaceOrder,
        wanted: Quantity,
        changes: &mut BookChanges,
    ) -> Quantity {
        let opposite = order.side.opposite();
        let mut leaves = wanted.0;
        while leaves > 0 {
            let best = match opposite {
                Side::Buy => self.bids.last_entry(),
                Side::Sell => self.asks.first_entry(),
            };
            let Some(mut level) = best else { break };
            let price = *level.key();
            if !reaches(order.side, order.limit_price, price) {
                break;
            }
            let queue = level.get_mut();
            while leaves > 0 && queue.head != NIL {
                let slot = queue.head;
                let node = &mut self.nodes[slot as usize];
                let traded = leaves.min(node.order.leaves().0);
                leaves -= traded;
                queue.leaves -= i128::from(traded);
                node.order.filled.0 += traded;
                let maker = node.order;
                changes.trades.push(BookTrade {
                    price,
                    quantity: Quantity(traded),
                    aggressor: order.side,
                    taker,
                    taker_owner: order.owner,
                    maker: maker.id,
                    maker_owner: maker.owner,
                    maker_leaves: maker.leaves(),
                });
                if maker.leaves().is_zero() {
                    queue.head = node.next;
                    self.slots.remove(&maker.id);
                    self.free.push(slot);
                    if queue.head != NIL {
                        self.nodes[queue.head as usize].previous = NIL;
                    }
                }
            }
            changes.touched.push((opposite, price));
            if queue.head == NIL {
                level.remove();
            }
        }
        Quantity(wanted.0 - leaves)
    }
}
