//! Simulated traders of one instrument: makers round a moving fair value, takers, and others who
//! place and cancel deeper orders.
//!
//! The fair value is an integer random walk that is pulled back to where it began, so that a
//! market that runs for days stays plausible.

use super::order_book::{BookChanges, BookOrderId, OrderBook, PlaceOrder};
use super::random::Random;
use super::sim_instrument::SimInstrument;
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::TimeInForce;

/// The owner tag of all simulated traders.
pub(super) const AGENT: u64 = 0;

/// Ten quotes a side are a book that is worth looking at, and cheap.
const MAKERS: usize = 10;

/// The most deeper orders at once, both sides together.
const NOISE_ORDERS: usize = 40;

/// Below this many levels on a side, a maker quotes in each turn until they are back.
const THIN: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Agents {
    random: Random,
    /// The fair value in thousandths of a tick.
    fair: i64,
    /// Bid and ask of each maker; a number may be that of an order that is gone.
    makers: [[Option<BookOrderId>; 2]; MAKERS],
    next_maker: usize,
    noise: Vec<BookOrderId>,
}

impl Agents {
    pub(super) fn new(random: Random, definition: &SimInstrument) -> Agents {
        Agents {
            random,
            fair: definition.start_milliticks(),
            makers: [[None; 2]; MAKERS],
            next_maker: 0,
            noise: Vec::new(),
        }
    }

    /// Fills the book for the first time, round a fair value at which nothing that already rests
    /// there trades.
    pub(super) fn open(
        &mut self,
        definition: &SimInstrument,
        book: &mut OrderBook,
        changes: &mut BookChanges,
    ) {
        let milliticks = |price: Price| (price.0 / definition.tick()).saturating_mul(1_000);
        let room = (definition.half_spread_ticks + 1) * 1_000;
        if let Some(ask) = book.best(Side::Sell) {
            let highest = milliticks(ask.price).saturating_sub(room);
            self.fair = self.fair.min(highest);
        }
        if let Some(bid) = book.best(Side::Buy) {
            let lowest = milliticks(bid.price).saturating_add(room);
            self.fair = self.fair.max(lowest);
        }
        self.keep_in_range(definition);
        for _ in 0..MAKERS {
            self.quote(definition, book, changes);
        }
        for _ in 0..NOISE_ORDERS / 2 {
            self.place_noise(definition, book, changes);
        }
    }

    /// Lets a turn of [`super::exchange::TURN_NS`] pass: the fair value moves, and in about one
    /// turn of four someone acts.
    pub(super) fn turn(
        &mut self,
        definition: &SimInstrument,
        book: &mut OrderBook,
        changes: &mut BookChanges,
    ) {
        self.walk(definition);
        let thin = [Side::Buy, Side::Sell]
            .iter()
            .any(|side| book.level_count(*side) < THIN);
        if thin {
            return self.quote(definition, book, changes);
        }
        // 25 actions a second give 20 to 50 market events a second.
        if !self.random.chance(1, 4) {
            return;
        }
        match self.random.below(100) {
            0..60 => self.quote(definition, book, changes),
            60..80 => self.take(definition, book, changes),
            80..91 => self.place_noise(definition, book, changes),
            _ => self.cancel_noise(book, changes),
        }
    }

    fn walk(&mut self, definition: &SimInstrument) {
        let step = definition.walk_milliticks;
        self.fair += self.random.between(-step, step);
        if self.random.chance(1, 64) {
            self.fair += (definition.start_milliticks() - self.fair) / 64;
        }
        self.keep_in_range(definition);
    }

    fn keep_in_range(&mut self, definition: &SimInstrument) {
        let start = definition.start_milliticks();
        self.fair = self.fair.clamp(start / 2, start.saturating_mul(2));
    }

    /// Lets the next maker replace both of its quotes.
    fn quote(
        &mut self,
        definition: &SimInstrument,
        book: &mut OrderBook,
        changes: &mut BookChanges,
    ) {
        let maker = self.next_maker;
        self.next_maker = (maker + 1) % MAKERS;
        for id in self.makers[maker].iter_mut().filter_map(Option::take) {
            // One that was filled is no longer there.
            let _gone = book.cancel(id, changes);
        }
        let distance = definition.half_spread_ticks
            + maker as i64 * definition.level_ticks
            + self.random.between(0, definition.level_ticks / 2);
        for (slot, side) in [Side::Buy, Side::Sell].into_iter().enumerate() {
            let price = self.price_at(definition, side, distance);
            let lots = self.random.between(2, 8);
            let order = limit(side, price, definition, lots);
            self.makers[maker][slot] = place(book, order, changes);
        }
    }

    /// Lets someone buy or sell at once, at no price far from fair.
    fn take(
        &mut self,
        definition: &SimInstrument,
        book: &mut OrderBook,
        changes: &mut BookChanges,
    ) {
        let side = self.side();
        let lots = self.random.between(1, 5);
        let reach = definition.half_spread_ticks + 3 * definition.level_ticks;
        // A buyer goes above fair as far as a seller quotes above it.
        let price = self.price_at(definition, side.opposite(), reach);
        let order = PlaceOrder {
            time_in_force: TimeInForce::Ioc,
            ..limit(side, price, definition, lots)
        };
        let _never_rests = place(book, order, changes);
        self.fair += side.sign() * definition.walk_milliticks / 2;
    }

    fn place_noise(
        &mut self,
        definition: &SimInstrument,
        book: &mut OrderBook,
        changes: &mut BookChanges,
    ) {
        if self.noise.len() >= NOISE_ORDERS {
            return self.cancel_noise(book, changes);
        }
        let side = self.side();
        let nearest = definition.half_spread_ticks + definition.level_ticks;
        let distance = nearest + self.random.between(0, 20 * definition.level_ticks);
        let price = self.price_at(definition, side, distance);
        let lots = self.random.between(1, 12);
        let order = limit(side, price, definition, lots);
        self.noise.extend(place(book, order, changes));
    }

    fn cancel_noise(&mut self, book: &mut OrderBook, changes: &mut BookChanges) {
        if self.noise.is_empty() {
            return;
        }
        let at = self.random.below(self.noise.len() as u64) as usize;
        let id = self.noise.swap_remove(at);
        // One that was filled is no longer there.
        let _gone = book.cancel(id, changes);
    }

    fn side(&mut self) -> Side {
        if self.random.chance(1, 2) {
            Side::Buy
        } else {
            Side::Sell
        }
    }

    /// Returns the price `distance` ticks from fair on the side where an order of `side` rests.
    fn price_at(&self, definition: &SimInstrument, side: Side, distance: i64) -> Price {
        let fair = self.fair.div_euclid(1_000);
        Price((fair - side.sign() * distance).max(1) * definition.tick())
    }
}

fn limit(side: Side, price: Price, definition: &SimInstrument, lots: i64) -> PlaceOrder {
    PlaceOrder {
        owner: AGENT,
        side,
        limit_price: Some(price),
        quantity: Quantity(definition.lot.0 * lots),
        filled: Quantity::ZERO,
        time_in_force: TimeInForce::Gtc,
        post_only: false,
    }
}

/// Returns the number of the order. Its quantity is above zero, so the book takes it.
fn place(
    book: &mut OrderBook,
    order: PlaceOrder,
    changes: &mut BookChanges,
) -> Option<BookOrderId> {
    book.place(order, changes).ok().map(|placed| placed.id)
}
