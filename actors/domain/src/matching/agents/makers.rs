//! Market makers: each quotes both sides round the fair value, further out than the one before.
//!
//! A maker that has bought lowers both quotes, and one that has sold raises them, so that what it
//! holds comes back to nothing. In a storm all quote wider and less.

use super::floor::Floor;
use crate::market::Side;
use crate::matching::order_book::BookOrderId;

/// Ten quotes a side are a book that is worth looking at, and cheap.
pub(super) const MAKERS: usize = 10;

/// How much larger each maker's quotes are than those of the one before, in permille: real books
/// grow deeper away from the best price.
const DEEPER: i64 = 120;

#[derive(Clone, Copy, Debug)]
struct Resting {
    id: BookOrderId,
    lots: i64,
}

#[derive(Clone, Debug, Default)]
struct Maker {
    /// Bid and ask; a number may be that of an order that is gone.
    quotes: [Option<Resting>; 2],
    /// Lots bought less lots sold.
    inventory: i64,
    /// The fair value at its last quotes, in thousandths of a tick.
    quoted_at: i64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Makers {
    makers: [Maker; MAKERS],
    next: usize,
}

impl Makers {
    /// Returns true when the next maker's quotes are so old that someone who knows the fair value
    /// would trade with them: by a whole spread, since a little late is usual.
    pub(super) fn is_late(&self, floor: &Floor<'_>) -> bool {
        let moved = (floor.fair - self.makers[self.next].quoted_at).abs();
        moved > 2 * floor.half_spread_ticks() * 1_000
    }

    /// Lets the next maker replace both of its quotes.
    pub(super) fn quote(&mut self, floor: &mut Floor<'_>) {
        let number = self.next;
        self.next = (number + 1) % MAKERS;
        let maker = &mut self.makers[number];
        maker.take_back(floor);
        let half_spread = floor.half_spread_ticks();
        let level = floor.level_ticks();
        let distance = half_spread + number as i64 * level + floor.random.between(0, level / 2);
        let skew = floor.definition.parameters.skew_permille;
        // Half spreads in ticks and permille give thousandths of a tick.
        let most = half_spread * 500;
        let shift = (maker.inventory * half_spread * skew).clamp(-most, most);
        for (slot, side) in [Side::Buy, Side::Sell].into_iter().enumerate() {
            let price = floor.price_at(floor.fair - shift, side, distance);
            let usual = floor.random.between(2, 8) * (1_000 + number as i64 * DEEPER) / 1_000;
            let lots = (usual * floor.depth_permille / 1_000).max(1);
            let rested = floor.rest(side, price, lots);
            maker.quotes[slot] = rested.map(|id| Resting { id, lots });
        }
        maker.quoted_at = floor.fair;
    }
}

impl Maker {
    /// Cancels both quotes and counts what was filled of them.
    fn take_back(&mut self, floor: &mut Floor<'_>) {
        let lot = floor.definition.lot.0;
        for (quote, side) in self.quotes.iter_mut().zip([Side::Buy, Side::Sell]) {
            let Some(quote) = quote.take() else { continue };
            let filled = match floor.book.cancel(quote.id, floor.changes) {
                Some(order) => order.filled.0 / lot,
                // One that was filled is no longer there.
                None => quote.lots,
            };
            // Beyond a million lots the quotes move no further anyway.
            self.inventory = (self.inventory + side.sign() * filled).clamp(-1_000_000, 1_000_000);
        }
    }
}
