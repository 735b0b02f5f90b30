//! Cash of contracts that strategies and a venue average in different ways.

use super::*;
use crate::venue::VenueReport;

/// Trades ten contracts each: id, strategy, side, price and time at the venue, as they are booked.
type Trade = (&'static str, &'static str, Side, i64, i64);

fn traded(trades: &[Trade]) -> World {
    let mut world = World::ready();
    for &(client, strategy, side, price, ts) in trades {
        let mut order = limit(client, PERP, side, 10_000, price);
        order.strategy_id = crate::StrategyId::new(strategy).unwrap();
        world.working(order);
        let mut execution = execution(client, client, PERP, side, 10_000, price);
        execution.ts_event = crate::UnixNanos(ts);
        world.report(VenueReport::Filled(execution));
    }
    world
}

/// What the venue has: ten contracts, and so much more or less cash than the account.
fn found_with(world: &mut World, more: &str) -> Vec<Difference> {
    let cash = world.cash_of("USDT").checked_add(money(more)).unwrap();
    let mut snapshot = with_balance(world, &cash.to_string());
    snapshot.positions = with_position(world, 10_000).positions;
    take(world, &snapshot);
    let report = world.account.reconciler().report().unwrap();
    report
        .found
        .iter()
        .map(|one| one.difference.clone())
        .collect()
}

#[test]
fn a_contract_is_counted_as_a_venue_averages_it_that_knows_no_strategies() {
    const BUYS: [Trade; 2] = [
        ("a", "one", Side::Buy, 10_000, 1),
        ("b", "two", Side::Buy, 12_000, 2),
    ];
    const SELLS: Trade = ("c", "one", Side::Sell, 13_000, 3);
    // One has made 300 here; by the one average of 110 the venue has realised 200.
    let apart = || traded(&[BUYS[0], BUYS[1], SELLS]);
    // The same of one strategy, by the venue's order of time and in another.
    let one = ("b", "one", Side::Buy, 12_000, 2);
    let in_order = || traded(&[BUYS[0], one, SELLS]);
    let late = || traded(&[BUYS[0], SELLS, one]);
    let taken_back = || {
        let mut world = traded(&[BUYS[0], BUYS[1], SELLS, ("d", "two", Side::Buy, 15_000, 4)]);
        world.report(VenueReport::Busted {
            client_order_id: cid("d"),
            exec_id: crate::ExecId::new("d").unwrap(),
            instrument_id: id(PERP),
            ts_event: world.now,
        });
        world
    };
    let worlds: [(&str, &dyn Fn() -> World, &str); 4] = [
        ("two strategies", &apart, "-100"),
        ("one strategy", &in_order, "0"),
        ("a fill that came late", &late, "-100"),
        ("a bust", &taken_back, "-100"),
    ];
    for (name, world, more) in worlds {
        let mut world = world();
        assert_eq!(found_with(&mut world, more), [], "{name}");
        assert!(world.account.reconciler().report().unwrap().is_reconciled);
        // A real difference is one in the venue's way of counting.
        let found = found_with(&mut world, "50");
        let [Difference::Balance { ours, venue, .. }] = found.as_slice() else {
            panic!("{name}: {found:?}");
        };
        let gap = money("50").checked_sub(money(more)).unwrap();
        assert_eq!(venue.checked_sub(*ours), Ok(gap), "{name}");
        world.assert_recovers();
    }
}
