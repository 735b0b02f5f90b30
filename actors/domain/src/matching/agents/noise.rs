//! Noise traders: they place and cancel orders away from the best prices, for no reason that the
//! market knows, and now and then they trade.

use super::floor::Floor;
use crate::matching::order_book::BookOrderId;

/// The most of their orders at once, both sides together.
pub(super) const NOISE_ORDERS: usize = 40;

#[derive(Clone, Debug, Default)]
pub(super) struct Noise {
    orders: Vec<BookOrderId>,
}

impl Noise {
    /// Lets one of them act.
    pub(super) fn act(&mut self, floor: &mut Floor<'_>) {
        match floor.random.below(100) {
            0..50 => self.place(floor),
            50..90 => self.cancel(floor),
            _ => {
                let side = floor.any_side();
                floor.take(side, 1);
            }
        }
    }

    pub(super) fn place(&mut self, floor: &mut Floor<'_>) {
        if self.orders.len() >= NOISE_ORDERS {
            return self.cancel(floor);
        }
        let side = floor.any_side();
        let nearest = floor.half_spread_ticks() + floor.level_ticks();
        let distance = nearest + floor.random.between(0, 20 * floor.level_ticks());
        let price = floor.price_at(floor.fair, side, distance);
        let lots = floor.random.between(1, 12);
        self.orders.extend(floor.rest(side, price, lots));
    }

    fn cancel(&mut self, floor: &mut Floor<'_>) {
        if self.orders.is_empty() {
            return;
        }
        let at = floor.random.below(self.orders.len() as u64) as usize;
        let id = self.orders.swap_remove(at);
        // One that was filled is no longer there.
        let _gone = floor.book.cancel(id, floor.changes);
    }
}
