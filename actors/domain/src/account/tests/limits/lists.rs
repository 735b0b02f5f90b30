//! The entry of a list within the limits over more than one instrument.

use super::*;

/// The market is at 100, the limit at 100 or a hundredth of 10,000: a unit fits, more does not.
#[test]
fn exits_that_will_wait_do_not_hide_what_their_entry_adds() {
    let max = || Some(money("100.02"));
    let limits = [
        WideLimits {
            max_strategy_exposure: max(),
            ..WideLimits::default()
        },
        WideLimits {
            strategy_exposure: [(StrategyId::manual(), money("100.02"))].into(),
            ..WideLimits::default()
        },
        WideLimits {
            max_account_exposure: max(),
            ..WideLimits::default()
        },
        WideLimits {
            max_concentration: Some(Rate::parse("0.010002").unwrap()),
            ..WideLimits::default()
        },
        // The platform's.
        WideLimits::default(),
    ];
    for (number, wide) in limits.into_iter().enumerate() {
        let code = match number {
            3 => ReasonCode::Concentration,
            _ => ReasonCode::ExposureLimit,
        };
        for contingency in [Contingency::Bracket, Contingency::Oto] {
            for (quantity, expected) in [(1_000, None), (1_001, Some(code))] {
                let mut world = world(wide.clone());
                if number == 4 {
                    world.share("100.02");
                }
                let exit = |client, price| limit(client, PERP, Side::Sell, quantity, price);
                let stop = SubmitOrder {
                    order_type: OrderType::Stop,
                    limit_price: None,
                    terms: OrderTerms {
                        stop_price: Some(Price(9_000)),
                        ..OrderTerms::default()
                    },
                    ..exit("s", 0)
                };
                let orders = vec![buy("e", PERP, quantity), exit("t", 11_000), stop];
                world.list(contingency, orders);
                assert_eq!(world.code("e"), expected, "{number}: {contingency:?}");
                world.assert_recovers();
            }
        }
    }
}
