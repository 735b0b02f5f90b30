//! Between which prices an order may trade, and so what it may cost at worst.
//!
//! What an order can cost is decided by the price at which it fills, and that is not always its
//! limit. Let `L` be the limit, `M` the price of the other side of the market when the order was
//! decided on (the ask of a buy, the bid of a sell) and `S` the stop price.
//!
//! | order | fills at | |
//! |---|---|---|
//! | buy with a limit | `[min(L, M), L]` | an order that crosses takes what is there, so it may trade better than its limit, down to the market; one that rests trades at `L` |
//! | sell with a limit | `[L, max(L, M)]` | the mirror of it |
//! | without a limit | `M` | |
//! | conditional | as above, with `S` beside `M` | when it triggers the market is at `S` |
//!
//! What a fill of quantity `Q` binds is monotonic in its price, so the worst case is at one end:
//!
//! | instrument | worth of a fill | grows with | a buy's worst | a sell's worst |
//! |---|---|---|---|---|
//! | spot, linear | `Q * abs(p)`, quote currency | distance of `p` from zero | `L` | `max(L, M)` |
//! | inverse | `Q / p`, base currency | falling `p` | `min(L, M)` | `L` |
//!
//! Initial margin and the taker fee are shares of this worth, so they are at their worst there
//! too. Two of the four are not the limit: a linear sell that crosses opens a short for more than
//! its limit says, and an inverse buy that crosses opens a long for more base currency. Below
//! zero (a linear instrument may trade there) the end that is farther from zero is taken.
//!
//! Two things are outside of it. The market may move between decision and arrival: an order
//! without a limit cannot be bounded against that, by us or by a venue. And the worth of each
//! fill of an inverse contract is rounded half to even to its last decimal, so that many small
//! fills together may be worth half of such a unit each more.

use crate::instrument::InstrumentKind;
use crate::market::Side;
use crate::number::Price;

/// The prices at which an order may trade, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FillRange {
    pub low: Price,
    pub high: Price,
}

impl FillRange {
    /// Returns the range of an order of `side` with these limits (one, or two while an amend is
    /// under way) that was decided on at these prices of the market, its stop price among them.
    /// `None` where there is no price at all.
    pub fn new(
        side: Side,
        limits: [Option<Price>; 2],
        market: [Option<Price>; 2],
    ) -> Option<FillRange> {
        let limits = limits.into_iter().flatten();
        let market = market.into_iter().flatten();
        let low = limits.clone().min();
        let high = limits.max();
        let (Some(low), Some(high)) = (low, high) else {
            let (low, high) = (market.clone().min()?, market.max()?);
            return Some(FillRange { low, high });
        };
        Some(match side {
            Side::Buy => FillRange {
                low: market.fold(low, Price::min),
                high,
            },
            Side::Sell => FillRange {
                low,
                high: market.fold(high, Price::max),
            },
        })
    }

    /// Returns the price at which a fill is worth most.
    pub fn dearest(self, kind: InstrumentKind) -> Price {
        match kind {
            InstrumentKind::Inverse => self.low,
            InstrumentKind::Spot | InstrumentKind::Linear => self.farthest(),
        }
    }

    /// Returns the price that is farther from zero.
    pub fn farthest(self) -> Price {
        if self.low.0.unsigned_abs() > self.high.0.unsigned_abs() {
            self.low
        } else {
            self.high
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountInput;
    use crate::account::tests::support::*;
    use crate::instrument::Instrument;
    use crate::matching::random::Random;
    use crate::money::Money;
    use crate::order::{OrderTerms, OrderType, SubmitOrder};
    use crate::portfolio::BySide;
    use crate::risk::Limits;
    use crate::risk::margin::{contract_margin, spot_buy_reserve};

    const INVERSE: &str = "INV.SIM";
    const BID: i64 = 9_999;
    const ASK: i64 = 10_001;

    fn inverse() -> Instrument {
        let mut inverse = instrument(PERP);
        inverse.instrument_id = id(INVERSE);
        inverse.kind = InstrumentKind::Inverse;
        inverse.quantity_decimals = 0;
        inverse
    }

    fn world() -> World {
        let mut world = World::small();
        let definition = Instrument {
            min_notional: Money::ZERO,
            ..inverse()
        };
        world.apply(AccountInput::DefineInstrument(Box::new(definition)));
        world.limits(Limits {
            allow_short_spot: true,
            ..Limits::default()
        });
        world
    }

    /// An order, and two prices between which it trades once the venue has it.
    fn order(random: &mut Random, instrument_id: &str) -> (SubmitOrder, [i64; 2]) {
        let mut price = || 9_000 + random.below(2_001) as i64;
        let (limit_at, stop_at) = (price(), price());
        let quantity = 1 + random.below(5_000) as i64;
        let side = if random.below(2) == 0 {
            Side::Buy
        } else {
            Side::Sell
        };
        let plain = limit("o", instrument_id, side, quantity, limit_at);
        let stop = OrderTerms {
            stop_price: Some(Price(stop_at)),
            ..OrderTerms::default()
        };
        let meets = if side == Side::Buy { ASK } else { BID };
        match random.below(4) {
            0 if side == Side::Buy => (plain, [limit_at.min(ASK), limit_at]),
            0 => (plain, [limit_at, limit_at.max(BID)]),
            1 => (
                market_order("o", instrument_id, side, quantity),
                [meets, meets],
            ),
            2 => {
                let stop = SubmitOrder {
                    order_type: OrderType::Stop,
                    limit_price: None,
                    terms: stop,
                    ..plain
                };
                (stop, [stop_at, stop_at])
            }
            // It is at its stop price when it triggers and trades no worse than its limit.
            _ => {
                let stop_limit = SubmitOrder {
                    order_type: OrderType::StopLimit,
                    terms: stop,
                    ..plain
                };
                let better = match side {
                    Side::Buy => stop_at.min(limit_at),
                    Side::Sell => stop_at.max(limit_at),
                };
                (stop_limit, [better, limit_at])
            }
        }
    }

    #[test]
    fn what_is_reserved_covers_every_fill_that_an_order_can_have() {
        let mut random = Random::new(0x05ca_1ab1);
        for round in 0..400 {
            for definition in [instrument(SPOT), instrument(PERP), inverse()] {
                let (request, ends) = order(&mut random, definition.instrument_id.as_str());
                let (side, quantity) = (request.side, request.quantity);
                let mut world = world();
                world.submit(request.clone());
                assert_eq!(world.replied_order().reason_code, None, "{request:?}");
                let exposure = world.account.exposure(&definition.instrument_id);
                let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
                let between = low + random.below((high - low + 1) as u64) as i64;
                for price in [low, between, high].map(Price) {
                    let worth = definition.notional(price, quantity).unwrap().0;
                    let fee = definition.fee(price, quantity, false).unwrap().0;
                    let (reserved, needed) = match definition.kind {
                        InstrumentKind::Spot if side == Side::Sell => continue,
                        InstrumentKind::Spot => (
                            spot_buy_reserve(&definition, &exposure).unwrap(),
                            worth + fee,
                        ),
                        _ => {
                            let flat = BySide::default();
                            let margin =
                                contract_margin(&definition, flat, &exposure, None).unwrap();
                            let needed = worth * definition.initial_margin.0 + fee;
                            (margin.total().unwrap(), needed)
                        }
                    };
                    assert!(
                        reserved >= needed,
                        "{round}: {reserved} is less than {needed} at {price:?} of {request:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_worst_end_is_the_one_that_costs_most() {
        let price = |value| Some(Price(value));
        for (side, limits, market, linear, inverse) in [
            (Side::Buy, [price(100), None], [price(90), None], 100, 90),
            (Side::Buy, [price(80), None], [price(90), None], 80, 80),
            (Side::Sell, [price(80), None], [price(90), None], 90, 80),
            (Side::Sell, [price(100), None], [price(90), None], 100, 100),
            (Side::Sell, [None, None], [price(90), price(70)], 90, 70),
            (
                Side::Sell,
                [price(60), None],
                [price(90), price(70)],
                90,
                60,
            ),
            (Side::Buy, [price(80), price(85)], [price(90), None], 85, 80),
            (Side::Buy, [price(5), None], [price(-30), None], -30, -30),
        ] {
            let range = FillRange::new(side, limits, market).unwrap();
            let found = [InstrumentKind::Linear, InstrumentKind::Inverse];
            let found = found.map(|kind| range.dearest(kind).0);
            assert_eq!(found, [linear, inverse], "{side:?} {limits:?} {market:?}");
        }
        assert_eq!(FillRange::new(Side::Buy, [None; 2], [None; 2]), None);
    }
}
