//! TC-M100 to TC-M104: the single price, by cases and against trying every price.

use super::*;
use proptest::prelude::*;

/// Reads orders of "side quantity@limit", `-` for none, in the order of their arrival.
fn orders(text: &str) -> Vec<AuctionOrder> {
    let order = |(arrival, text): (usize, &str)| {
        let (side, rest) = text.split_at(1);
        let (quantity, limit) = rest.split_once('@').unwrap();
        AuctionOrder {
            side: if side == "b" { Side::Buy } else { Side::Sell },
            limit_price: (limit != "-").then(|| Price(limit.parse().unwrap())),
            quantity: Quantity(quantity.parse().unwrap()),
            arrival: arrival as u64,
        }
    };
    text.split(' ').enumerate().map(order).collect()
}

fn check(text: &str, reference: Option<i64>, expected: &str) {
    let auction = uncross(&orders(text), reference.map(Price), Price(1));
    let told = auction.map_or("nothing".to_owned(), |auction| {
        let fills = auction.fills.iter();
        let fills: Vec<_> = fills.map(|(at, part)| format!("{at}:{}", part.0)).collect();
        format!("{}@{} {}", auction.volume, auction.price.0, fills.join(" "))
    });
    assert_eq!(told, expected, "{text} round {reference:?}");
}

#[test]
fn tc_m100_each_rule_decides_where_those_before_it_do_not() {
    // Most is executed at 101 alone.
    check("b10@101 b10@100 s10@99 s5@101", None, "10@101 0:10 2:10");
    check(
        "b10@102 b10@101 s10@99 s10@101",
        None,
        "20@101 0:10 1:10 2:10 3:10",
    );
    // At 100 and 101 ten are executed; at 101 nobody is left over.
    check("b10@101 b5@100 s10@100", Some(90), "10@101 0:10 2:10");
    // Between two limits nobody is left over, at both of them somebody is.
    check(
        "b10@103 b5@100 s10@100 s5@103",
        Some(90),
        "10@101 0:10 2:10",
    );
    // Buyers are left over at each price, then sellers.
    check("b15@103 s10@100", Some(90), "10@103 0:10 1:10");
    check("b10@103 s15@100", Some(110), "10@100 0:10 1:10");
    // The reference price, moved to where it may lie; the middle without one.
    check("b10@103 s10@100", Some(102), "10@102 0:10 1:10");
    check("b10@103 s10@100", Some(90), "10@100 0:10 1:10");
    check("b10@103 s10@100", Some(110), "10@103 0:10 1:10");
    check("b10@103 s10@100", None, "10@101 0:10 1:10");
}

#[test]
fn tc_m101_orders_without_a_limit_come_first_and_take_any_price() {
    // Then the better limit, then the older order.
    check(
        "b4@101 b4@102 b4@- b4@102 s10@100",
        Some(101),
        "10@102 2:4 1:4 3:2 4:10",
    );
    check("b5@- s5@-", Some(100), "5@100 0:5 1:5");
    check("b5@- s3@- b4@90", Some(100), "3@100 0:3 1:3");
    // Nothing says what such a price could be.
    check("b5@- s5@-", None, "nothing");
    // A market that would only be asked in vain.
    check("b5@99 s5@100", Some(100), "nothing");
    check("b5@-", Some(100), "nothing");
}

#[test]
fn tc_m102_prices_keep_to_the_increment() {
    let orders = orders("b10@110 s10@100");
    let price = |reference| uncross(&orders, reference, Price(5)).unwrap().price;
    assert_eq!(price(Some(Price(108))), Price(105));
    assert_eq!(price(None), Price(105));
    // As large as numbers are.
    let mut wide = orders.clone();
    wide[0].limit_price = Some(Price(i64::MAX - i64::MAX % 5));
    wide[1].limit_price = Some(Price(i64::MIN - i64::MIN % 5));
    for order in &mut wide {
        order.quantity = Quantity(i64::MAX);
    }
    wide.push(wide[0]);
    let auction = uncross(&wide, None, Price(5)).unwrap();
    assert_eq!(auction.volume, i128::from(i64::MAX));
    assert_eq!(auction.price.0 % 5, 0);
}

fn any_orders() -> impl Strategy<Value = Vec<AuctionOrder>> {
    let limit = prop::option::weighted(0.8, (20_i64..30).prop_map(|n| Price(n * STEP)));
    let order = (prop::bool::ANY, limit, 1_i64..20, 0_u64..1_000);
    let order = order.prop_map(|(buys, limit_price, quantity, arrival)| AuctionOrder {
        side: if buys { Side::Buy } else { Side::Sell },
        limit_price,
        quantity: Quantity(quantity),
        arrival,
    });
    prop::collection::vec(order, 0..12)
}

const STEP: i64 = 5;

/// What could trade at a price, and what of it is left over; by adding up.
fn at(orders: &[AuctionOrder], price: i64) -> (i64, i64) {
    let sum = |side: Side| -> i64 {
        let willing = orders.iter().filter(|order| {
            let limit = order.limit_price.map(|limit| limit.0);
            order.side == side
                && limit.is_none_or(|limit| match side {
                    Side::Buy => price <= limit,
                    Side::Sell => price >= limit,
                })
        });
        willing.map(|order| order.quantity.0).sum()
    };
    let (demand, supply) = (sum(Side::Buy), sum(Side::Sell));
    (demand.min(supply), demand - supply)
}

/// The price by trying all between the limits and the reference price.
fn tried(orders: &[AuctionOrder], reference: Option<i64>) -> Option<(i64, i64)> {
    let limits = orders.iter().filter_map(|order| Some(order.limit_price?.0));
    let ends: Vec<i64> = limits.chain(reference).collect();
    let (low, high) = (*ends.iter().min()?, *ends.iter().max()?);
    let mut prices: Vec<i64> = (low..=high).step_by(STEP as usize).collect();
    let most = prices.iter().map(|price| at(orders, *price).0).max()?;
    prices.retain(|price| at(orders, *price).0 == most);
    let least = prices.iter().map(|p| at(orders, *p).1.abs()).min()?;
    prices.retain(|price| at(orders, *price).1.abs() == least);
    let surplus: Vec<i64> = prices.iter().map(|price| at(orders, *price).1).collect();
    let price = if surplus.iter().all(|surplus| *surplus > 0) {
        *prices.last()?
    } else if surplus.iter().all(|surplus| *surplus < 0) {
        *prices.first()?
    } else if let Some(reference) = reference {
        *prices
            .iter()
            .min_by_key(|price| (**price - reference).abs())?
    } else {
        prices[(prices.len() - 1) / 2]
    };
    (most > 0).then_some((price, most))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn tc_m103_the_price_is_the_one_that_trying_all_finds(
        orders in any_orders(),
        reference in prop::option::of((16_i64..34).prop_map(|n| n * STEP)),
    ) {
        let auction = uncross(&orders, reference.map(Price), Price(STEP));
        let found = auction.map(|a| (a.price.0, a.volume as i64));
        prop_assert_eq!(found, tried(&orders, reference));
    }

    #[test]
    fn tc_m104_nothing_is_lost_and_nobody_is_passed_over(
        orders in any_orders(),
        reference in prop::option::of((16_i64..34).prop_map(|n| Price(n * STEP))),
    ) {
        let Some(auction) = uncross(&orders, reference, Price(STEP)) else {
            return Ok(());
        };
        let mut filled = vec![0; orders.len()];
        for (at, part) in &auction.fills {
            prop_assert!(part.0 > 0 && filled[*at] == 0, "an order is filled once");
            filled[*at] = part.0;
        }
        for side in [Side::Buy, Side::Sell] {
            let own = || orders.iter().zip(&filled).filter(|(order, _)| order.side == side);
            let sum: i64 = own().map(|(_, filled)| filled).sum();
            prop_assert_eq!(i128::from(sum), auction.volume);
            let rank = |order: &AuctionOrder| {
                let limit = order.limit_price.map(|limit| -side.sign() * limit.0);
                (limit.unwrap_or(i64::MIN), order.arrival)
            };
            for (order, filled) in own() {
                prop_assert!(*filled <= order.quantity.0);
                let limit = order.limit_price;
                prop_assert!(*filled == 0 || reaches(side, limit, auction.price));
                let passed_over = *filled < order.quantity.0
                    && own().any(|(other, filled)| rank(other) > rank(order) && *filled > 0);
                prop_assert!(!passed_over, "{order:?}");
            }
        }
        // What is left does not cross.
        let left: Vec<AuctionOrder> = orders
            .iter()
            .zip(&filled)
            .map(|(order, filled)| AuctionOrder {
                quantity: Quantity(order.quantity.0 - filled),
                ..*order
            })
            .filter(|order| order.quantity.0 > 0 && order.limit_price.is_some())
            .collect();
        prop_assert_eq!(uncross(&left, None, Price(STEP)), None);
    }
}
