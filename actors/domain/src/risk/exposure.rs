//! What working orders could still do, summed as they change.

use crate::id::{InstrumentId, StrategyId};
use crate::instrument::Instrument;
use crate::market::Side;
use crate::number::{self, Decimal, NumberError, Price, Quantity};
use crate::order::entry::OrderEntry;
use crate::order::{PositionSide, SubmitOrder};
use crate::risk::fill_range::FillRange;
use std::collections::BTreeMap;

/// Decimals that the quotient of two mantissas is kept to, rounded up: finer than any notional
/// is stated, and its sum over all orders still fits 128 bits.
const QUOTIENT_DECIMALS: u8 = 16;

/// The open quantity of one side's working orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideExposure {
    /// Sum of open quantities, mantissas at the instrument's quantity decimals.
    pub quantity: i128,
    /// Sum of `|price| * quantity`, a mantissa at price decimals plus quantity decimals.
    pub notional: i128,
    /// Sum of `quantity / |price|` of the mantissas, in units of 10^-16, each rounded up: what
    /// an inverse contract is measured by.
    pub quotient: i128,
    /// How many orders these are: each may be charged the least fee of a fill.
    pub orders: i64,
}

impl SideExposure {
    /// Returns this without a part of it. It wraps as the sums themselves do.
    fn less(self, part: SideExposure) -> SideExposure {
        SideExposure {
            quantity: self.quantity - part.quantity,
            notional: self.notional.wrapping_sub(part.notional),
            quotient: self.quotient.wrapping_sub(part.quotient),
            orders: self.orders - part.orders,
        }
    }

    /// Returns the base amount of an inverse contract's open orders, for a multiplier of 1.
    ///
    /// Errors: `OutOfRange`.
    pub(crate) fn base_amount(&self, instrument: &Instrument) -> Result<Decimal, NumberError> {
        let per_price = number::decimal_of(self.quotient, QUOTIENT_DECIMALS)?;
        let shift = |decimals: u8| Decimal::new(1, u32::from(decimals));
        per_price
            .checked_mul(shift(instrument.quantity_decimals))
            .and_then(|value| value.checked_div(shift(instrument.price_decimals)))
            .ok_or(NumberError::OutOfRange)
    }
}

/// Returns `quantity / |price|` in units of 10^-16, rounded up; zero at a price of zero, which no
/// inverse contract has.
fn quotient(quantity: i128, price: i128) -> i128 {
    let price = price.abs();
    if price == 0 {
        return 0;
    }
    // A quantity has 19 digits at most, so that this has 35.
    (quantity * 10_i128.pow(u32::from(QUOTIENT_DECIMALS)) + price - 1).div_euclid(price)
}

/// Working orders of both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    pub buy: SideExposure,
    pub sell: SideExposure,
}

impl Sides {
    pub fn side(&self, side: Side) -> SideExposure {
        match side {
            Side::Buy => self.buy,
            Side::Sell => self.sell,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut SideExposure {
        match side {
            Side::Buy => &mut self.buy,
            Side::Sell => &mut self.sell,
        }
    }
}

/// Working orders of one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    pub buy: SideExposure,
    pub sell: SideExposure,
    /// Of these the orders that name a side of a hedging account, whose positions do not offset
    /// each other.
    pub long: Sides,
    pub short: Sides,
}

impl Exposure {
    pub fn side(&self, side: Side) -> SideExposure {
        match side {
            Side::Buy => self.buy,
            Side::Sell => self.sell,
        }
    }

    /// Returns the orders that move positions of `side`; for `Net` those that name none.
    pub fn of(&self, side: PositionSide) -> Sides {
        match side {
            PositionSide::Long => self.long,
            PositionSide::Short => self.short,
            PositionSide::Net => Sides {
                buy: self.buy.less(self.long.buy).less(self.short.buy),
                sell: self.sell.less(self.long.sell).less(self.short.sell),
            },
        }
    }

    /// Returns this with one more order of `side`.
    ///
    /// Errors: `OutOfRange`.
    pub(crate) fn with(
        mut self,
        position_side: PositionSide,
        side: Side,
        open: Quantity,
        price: Price,
    ) -> Result<Exposure, NumberError> {
        let (open, price) = (i128::from(open.0), i128::from(price.0));
        let add = |sum: i128, more: i128| sum.checked_add(more).ok_or(NumberError::OutOfRange);
        for sums in self.sums_of(position_side, side) {
            sums.quantity = add(sums.quantity, open)?;
            sums.notional = add(sums.notional, price.abs() * open)?;
            sums.quotient = add(sums.quotient, quotient(open, price))?;
            sums.orders += 1;
        }
        Ok(self)
    }

    /// Returns every sum that an order is part of.
    fn sums_of(
        &mut self,
        position_side: PositionSide,
        side: Side,
    ) -> impl Iterator<Item = &mut SideExposure> {
        let whole = match side {
            Side::Buy => &mut self.buy,
            Side::Sell => &mut self.sell,
        };
        let hedged = match position_side {
            PositionSide::Net => None,
            PositionSide::Long => Some(self.long.side_mut(side)),
            PositionSide::Short => Some(self.short.side_mut(side)),
        };
        std::iter::once(whole).chain(hedged)
    }

    /// Returns this without one order's share.
    #[must_use]
    pub(crate) fn without(mut self, entry: &OrderEntry) -> Exposure {
        if let Some(share) = Share::of(entry) {
            change(&mut self, &share, -1);
        }
        self
    }

    fn is_empty(&self) -> bool {
        *self == Exposure::default()
    }
}

/// Working orders of one strategy in one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StrategyExposure {
    /// Open buys less open sells as they stand.
    pub leaves: i128,
    /// What buys and sells may still fill at worst, amends under way included.
    pub buy: i128,
    pub sell: i128,
}

/// What one working order adds to the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    side: Side,
    position_side: PositionSide,
    /// What may still fill at worst, an amend under way included.
    open: Quantity,
    /// What is open as the order stands.
    leaves: Quantity,
    worst_price: Price,
    lowest_price: Price,
}

impl Share {
    /// Returns `None` of an order that has ended.
    pub(crate) fn of(entry: &OrderEntry) -> Option<Share> {
        let open = entry.reserved_open();
        let range = entry.fill_range();
        entry.is_working().then(|| Share {
            side: entry.order.request.side,
            position_side: entry.order.request.terms.position_side,
            open,
            leaves: entry.order.leaves_quantity.min(open),
            worst_price: range.map_or_else(Price::default, FillRange::farthest),
            lowest_price: range.map_or_else(Price::default, |range| range.low),
        })
    }
}

/// Sums over all working orders. Entries that are zero are absent, so that equal orders give
/// equal sums whatever happened on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposures {
    instruments: BTreeMap<InstrumentId, Exposure>,
    strategies: BTreeMap<(StrategyId, InstrumentId, PositionSide), StrategyExposure>,
}

impl Exposures {
    /// Brings the sums in line with an order whose share was `before`. Most events of an order
    /// change nothing of it, and then this costs nothing.
    pub(crate) fn follow(&mut self, before: Option<Share>, entry: &OrderEntry) {
        let after = Share::of(entry);
        if before != after {
            self.replace(&entry.order.request, before, after);
        }
    }

    /// Takes an order's share out.
    pub(crate) fn remove(&mut self, entry: &OrderEntry) {
        self.replace(&entry.order.request, Share::of(entry), None);
    }

    fn replace(&mut self, request: &SubmitOrder, before: Option<Share>, after: Option<Share>) {
        let exposure = self.instruments.entry(request.instrument_id.clone());
        let exposure = exposure.or_default();
        let key = (
            request.strategy_id.clone(),
            request.instrument_id.clone(),
            request.terms.position_side,
        );
        let sum = self.strategies.entry(key.clone()).or_default();
        for (share, direction) in [(before, -1), (after, 1)] {
            let Some(share) = share else { continue };
            change(exposure, &share, direction);
            let direction = i128::from(direction);
            sum.leaves += i128::from(share.leaves.0 * share.side.sign()) * direction;
            match share.side {
                Side::Buy => sum.buy += i128::from(share.open.0) * direction,
                Side::Sell => sum.sell += i128::from(share.open.0) * direction,
            }
        }
        if exposure.is_empty() {
            self.instruments.remove(&request.instrument_id);
        }
        if *sum == StrategyExposure::default() {
            self.strategies.remove(&key);
        }
    }

    pub fn of(&self, instrument_id: &InstrumentId) -> Exposure {
        self.instruments
            .get(instrument_id)
            .copied()
            .unwrap_or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&InstrumentId, &Exposure)> {
        self.instruments.iter()
    }

    /// Returns buys less sells still open, saturating at the range of `i64`.
    pub fn working_quantity(&self, strategy: &StrategyId, instrument: &InstrumentId) -> i64 {
        let of = |side| (strategy.clone(), instrument.clone(), side);
        let sides = [PositionSide::Net, PositionSide::Long, PositionSide::Short];
        let known = sides.map(|side| self.strategies.get(&of(side)));
        let sum: i128 = known.into_iter().flatten().map(|sums| sums.leaves).sum();
        i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
    }

    /// Returns the instruments in which a strategy has working orders, with the position that they
    /// mean and their sums.
    pub fn of_strategy(
        &self,
        strategy: &StrategyId,
    ) -> impl Iterator<Item = (&InstrumentId, PositionSide, &StrategyExposure)> {
        self.strategies
            .iter()
            .skip_while(|((owner, ..), _)| owner < strategy)
            .take_while(move |((owner, ..), _)| owner == strategy)
            .map(|((_, instrument_id, side), sums)| (instrument_id, *side, sums))
    }
}

fn change(exposure: &mut Exposure, share: &Share, direction: i64) {
    let orders = direction;
    let direction = i128::from(direction);
    let quantity = i128::from(share.open.0);
    let price = i128::from(share.worst_price.0).abs();
    let quotient = quotient(quantity, i128::from(share.lowest_price.0));
    for sums in exposure.sums_of(share.position_side, share.side) {
        sums.quantity += quantity * direction;
        sums.orders += orders;
        // The sum was checked when each order was taken. Should a venue amend an order beyond all
        // bounds by itself, wrapping still undoes exactly what it did.
        sums.notional = sums.notional.wrapping_add(price * quantity * direction);
        sums.quotient = sums.quotient.wrapping_add(quotient * direction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::support::*;
    use crate::instrument::InstrumentKind;

    #[test]
    fn a_quotient_is_rounded_up_to_the_sixteenth_decimal() {
        for (quantity, price, expected) in [
            (1, 3, 3_333_333_333_333_334),
            (1, -3, 3_333_333_333_333_334),
            (6, 3, 20_000_000_000_000_000),
            (0, 3, 0),
            (5, 0, 0),
        ] {
            assert_eq!(quotient(quantity, price), expected, "{quantity} / {price}");
        }
        let vast = quotient(i128::from(i64::MAX), 1);
        assert_eq!(vast, i128::from(i64::MAX) * 10_i128.pow(16));
    }

    /// Contracts in whole units, prices with two decimals; the market is 99.99 to 100.01.
    #[test]
    fn an_inverse_order_is_reserved_at_the_lowest_price_that_it_may_trade_at() {
        let mut world = World::ready();
        let mut inverse = instrument(PERP);
        inverse.kind = InstrumentKind::Inverse;
        inverse.quantity_decimals = 0;
        inverse.min_notional = crate::Money::ZERO;
        world.apply(crate::account::AccountInput::DefineInstrument(Box::new(
            crate::Instrument {
                instrument_id: id("INV.SIM"),
                ..inverse.clone()
            },
        )));
        world.limits(crate::risk::Limits::default());
        for (client, side, price, expected) in [
            ("a", Side::Buy, 9_000, "1.1111111111"),
            ("b", Side::Buy, 11_000, "0.9999000100"),
            ("c", Side::Sell, 11_000, "0.9090909091"),
            ("d", Side::Sell, 9_000, "1.1111111111"),
        ] {
            world.submit(limit(client, "INV.SIM", side, 100, price));
            let exposure = world.account.exposure(&id("INV.SIM")).side(side);
            let reserved = exposure.base_amount(&inverse).unwrap();
            assert_eq!(reserved.round_dp(10).to_string(), expected, "{client}");
            world.accept(client);
            world.ended(client, 0);
        }
    }
}
