//! The single price of an auction, and who trades at it.
//!
//! Of all prices on the increment the one is taken at which
//!
//! 1. most is executed;
//! 2. of those, least of what could trade there is left over, on whichever side;
//! 3. of those, pressure decides: the highest where it is always buyers who are left over, the
//!    lowest where it is always sellers;
//! 4. else the one nearest to the reference price.
//!
//! Orders without a limit come first, then the better limit, then the older order. Nobody trades
//! through a limit, and everybody at the one price.
//!
//! Source: London Stock Exchange, MIT201 Guide to the Trading System, on how an auction finds its
//! price: maximum executable volume, minimum surplus, market pressure, reference price. That guide
//! says nothing of a market that has no reference price; the middle of what is left is taken here.

use super::order_book::reaches;
use crate::market::Side;
use crate::number::{Price, Quantity};
use std::collections::BTreeMap;

/// An order as an auction sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AuctionOrder {
    pub(super) side: Side,
    /// `None` takes the auction's price, whatever it is.
    pub(super) limit_price: Option<Price>,
    /// What is open, hidden parts included; above zero.
    pub(super) quantity: Quantity,
    /// The older of two has the lower one.
    pub(super) arrival: u64,
}

/// What came of an auction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Uncrossing {
    pub(super) price: Price,
    /// What was bought, which is what was sold.
    pub(super) volume: i128,
    /// Who trades how much: the place among the orders. Buyers first, then sellers, each in the
    /// order of their priority.
    pub(super) fills: Vec<(usize, Quantity)>,
}

/// Prices from `low` to `high`, both inclusive, between which nothing changes.
#[derive(Clone, Copy, Debug)]
struct Span {
    low: i128,
    high: i128,
    demand: i128,
    supply: i128,
}

impl Span {
    fn volume(&self) -> i128 {
        self.demand.min(self.supply)
    }

    fn surplus(&self) -> i128 {
        self.demand - self.supply
    }
}

/// Returns what the orders trade; `None` where no two of them can. The limits lie on the
/// increment, which is above zero; a reference price off it is taken down to it.
pub(super) fn uncross(
    orders: &[AuctionOrder],
    reference: Option<Price>,
    increment: Price,
) -> Option<Uncrossing> {
    let increment = i128::from(increment.0);
    let reference = reference.map(|price| {
        let price = i128::from(price.0);
        price - price.rem_euclid(increment)
    });
    let spans = spans(orders, reference, increment);
    let volume = spans.iter().map(Span::volume).max()?;
    if volume <= 0 {
        return None;
    }
    let price = choose(&spans, volume, reference, increment)?;
    let price = Price(i64::try_from(price).ok()?);
    let mut fills = Vec::new();
    for side in [Side::Buy, Side::Sell] {
        allot(orders, side, price, volume, &mut fills);
    }
    Some(Uncrossing {
        price,
        volume,
        fills,
    })
}

/// Returns demand and supply at every limit and between each two, from the lowest price up. The
/// reference price is among the prices: where only orders without a limit meet there is no other.
fn spans(orders: &[AuctionOrder], reference: Option<i128>, increment: i128) -> Vec<Span> {
    let (mut demand, mut supply) = (0, 0);
    let mut limits: BTreeMap<i128, (i128, i128)> = BTreeMap::new();
    if let Some(reference) = reference {
        limits.insert(reference, (0, 0));
    }
    for order in orders {
        let quantity = i128::from(order.quantity.0);
        let at = order.limit_price.map(|price| i128::from(price.0));
        let level = at.map(|price| limits.entry(price).or_insert((0, 0)));
        match order.side {
            Side::Buy => demand += quantity,
            Side::Sell if level.is_none() => supply += quantity,
            Side::Sell => {}
        }
        match (order.side, level) {
            (Side::Buy, Some((bought, _))) => *bought += quantity,
            (Side::Sell, Some((_, sold))) => *sold += quantity,
            (_, None) => {}
        }
    }
    let mut spans = Vec::with_capacity(2 * limits.len());
    let mut last: Option<i128> = None;
    for (price, (bought, sold)) in limits {
        let low = last.map_or(price, |last| last + increment);
        if low < price {
            spans.push(Span {
                low,
                high: price - increment,
                demand,
                supply,
            });
        }
        supply += sold;
        spans.push(Span {
            low: price,
            high: price,
            demand,
            supply,
        });
        demand -= bought;
        last = Some(price);
    }
    spans
}

/// Returns the price by the second to the fourth rule, among those at which `volume` is executed.
fn choose(spans: &[Span], volume: i128, reference: Option<i128>, increment: i128) -> Option<i128> {
    let most = spans.iter().filter(|span| span.volume() == volume);
    let least = most.clone().map(|span| span.surplus().abs()).min()?;
    // Surplus falls as the price rises, so those that are left follow each other without a gap.
    let mut left = most.filter(|span| span.surplus().abs() == least);
    let first = left.next()?;
    let last = left.next_back().unwrap_or(first);
    let (low, high) = (first.low, last.high);
    if last.surplus() > 0 {
        return Some(high);
    }
    if first.surplus() < 0 {
        return Some(low);
    }
    let middle = low + (high - low) / increment / 2 * increment;
    Some(reference.unwrap_or(middle).clamp(low, high))
}

/// Hands out what one side trades, by priority.
fn allot(
    orders: &[AuctionOrder],
    side: Side,
    price: Price,
    volume: i128,
    fills: &mut Vec<(usize, Quantity)>,
) {
    let mut willing: Vec<(usize, &AuctionOrder)> = orders
        .iter()
        .enumerate()
        .filter(|(_, order)| order.side == side && reaches(side, order.limit_price, price))
        .collect();
    willing.sort_by_key(|(_, order)| {
        let rank = order.limit_price.map(|limit| match side {
            Side::Buy => -i128::from(limit.0),
            Side::Sell => i128::from(limit.0),
        });
        // None sorts before every limit.
        (rank, order.arrival)
    });
    let mut left = volume;
    for (at, order) in willing {
        let part = left.min(i128::from(order.quantity.0));
        if part == 0 {
            return;
        }
        left -= part;
        // Not more than the order's own quantity, which fits.
        fills.push((
            at,
            Quantity(i64::try_from(part).unwrap_or(order.quantity.0)),
        ));
    }
}

#[cfg(test)]
mod tests;
