//! What a trader sees and does in its turn.

use super::AGENT;
use crate::market::Side;
use crate::matching::order_book::{BookChanges, BookOrderId, OrderBook, PlaceOrder};
use crate::matching::random::Random;
use crate::matching::sim_instrument::SimInstrument;
use crate::number::{Price, Quantity};
use crate::order::TimeInForce;

/// One instrument in one turn, for the traders.
pub(super) struct Floor<'a> {
    pub(super) definition: &'a SimInstrument,
    pub(super) book: &'a mut OrderBook,
    pub(super) changes: &'a mut BookChanges,
    pub(super) random: &'a mut Random,
    /// The fair value in thousandths of a tick.
    pub(super) fair: i64,
    /// Distances and sizes of quotes against the ordinary, in permille.
    pub(super) spread_permille: i64,
    pub(super) depth_permille: i64,
}

impl Floor<'_> {
    /// Returns the distance of the best maker's quote from its middle, in ticks, above zero.
    pub(super) fn half_spread_ticks(&self) -> i64 {
        (self.definition.half_spread_ticks * self.spread_permille / 1_000).max(1)
    }

    /// Returns the distance from one maker's quote to the next, in ticks, above zero.
    pub(super) fn level_ticks(&self) -> i64 {
        (self.definition.level_ticks * self.spread_permille / 1_000).max(1)
    }

    /// Returns the price `distance` ticks from `middle` (thousandths of a tick) on the side where
    /// an order of `side` rests.
    pub(super) fn price_at(&self, middle: i64, side: Side, distance: i64) -> Price {
        let middle = middle.div_euclid(1_000);
        Price((middle - side.sign() * distance).max(1) * self.definition.tick())
    }

    /// Rests what does not trade at once. Returns the number of the order.
    pub(super) fn rest(&mut self, side: Side, price: Price, lots: i64) -> Option<BookOrderId> {
        self.place(side, price, lots, TimeInForce::Gtc)
    }

    /// Trades up to three levels beyond the best quote of a quiet book, and drops the rest.
    pub(super) fn take(&mut self, side: Side, lots: i64) {
        let reach = self.half_spread_ticks() + 3 * self.level_ticks();
        // A buyer goes above fair as far as a seller quotes above it.
        let price = self.price_at(self.fair, side.opposite(), reach);
        let _never_rests = self.place(side, price, lots, TimeInForce::Ioc);
    }

    /// Its quantity is above zero, so the book takes the order.
    fn place(
        &mut self,
        side: Side,
        price: Price,
        lots: i64,
        time_in_force: TimeInForce,
    ) -> Option<BookOrderId> {
        let order = PlaceOrder {
            owner: AGENT,
            side,
            limit_price: Some(price),
            quantity: Quantity(self.definition.lot.0.saturating_mul(lots)),
            filled: Quantity::ZERO,
            time_in_force,
            post_only: false,
        };
        let placed = self.book.place(order, self.changes);
        placed.ok().map(|placed| placed.id)
    }

    pub(super) fn any_side(&mut self) -> Side {
        if self.random.chance(1, 2) {
            Side::Buy
        } else {
            Side::Sell
        }
    }
}
