//! Orders of lists that wait for an opening or a close.

use super::*;
use crate::order::{Contingency, ReleaseRule, SubmitList};
use std::collections::BTreeMap;

fn listed(contingency: Contingency, orders: Vec<SubmitOrder>) -> AccountInput {
    AccountInput::SubmitList {
        list: Box::new(SubmitList {
            list_id: crate::id::OrderListId::new("l").unwrap(),
            contingency,
            release: ReleaseRule::Full,
            cascade: true,
            orders,
        }),
        markets: BTreeMap::new(),
    }
}

#[test]
fn a_child_waits_for_its_parent_and_then_for_its_close() {
    let entry = limit("in", PERP, Side::Buy, 10, 10_000);
    let exit = SubmitOrder {
        side: Side::Sell,
        ..timed("out", T::AtClose)
    };
    for (filled, edge) in [("10:00:00", "16:00:00"), ("15:59:56", "+1 day")] {
        let mut world = world_at(on("09:40:00"));
        world.apply(listed(Contingency::Oto, vec![entry.clone(), exit.clone()]));
        assert_eq!(world.order("out").held_for, Some(Hold::Parent));
        assert_eq!(world.account.release_times().count(), 0);
        world.accept("in");
        world.now = on(filled);
        world.fill("in", "x", 10, 10_000);
        assert_eq!(world.order("out").held_for, Some(Hold::Session), "{filled}");
        let close = match edge {
            "+1 day" => on("16:00:00").plus(crate::time::NANOS_PER_DAY),
            time => on(time),
        };
        assert_eq!(world.moment(), (close.plus(-CLOSE_LEAD_NS), close));
        world.start_again(true);
        world.clock(close.plus(-CLOSE_LEAD_NS));
        assert_eq!(world.sent_new(), Some((10, Some(10_000), T::Ioc)));
        world.assert_recovers();
    }
}

#[test]
fn a_peer_that_trades_first_ends_the_one_that_waits() {
    let mut world = world_at(on("09:40:00"));
    let peers = vec![
        limit("now", PERP, Side::Buy, 10, 10_000),
        timed("later", T::AtClose),
    ];
    world.apply(listed(Contingency::Oco, peers));
    world.accept("now");
    world.fill("now", "x", 10, 10_000);
    assert_eq!(world.state("later"), OrderStatus::Canceled);
    world.clock(on("15:59:55"));
    assert_eq!(world.sent_new(), None);
    world.assert_recovers();
}

#[test]
fn a_batch_holds_each_of_its_orders_by_itself() {
    let mut world = world_at(on("09:00:00"));
    let orders = vec![timed("open", T::AtOpen), timed("close", T::AtClose)];
    world.apply(listed(Contingency::None, orders));
    assert!(world.commands().is_empty());
    world.clock(on("09:30:00"));
    assert_eq!(world.state("open"), OrderStatus::Submitted);
    assert_eq!(world.state("close"), OrderStatus::PendingNew);
    world.assert_recovers();
}

#[test]
fn one_that_is_denied_at_its_moment_ends_a_peer_of_the_same_moment_before_it_leaves() {
    let small = |client: &str| SubmitOrder {
        quantity: Quantity(5),
        ..timed(client, T::AtOpen)
    };
    for (contingency, ends) in [(Contingency::Oco, true), (Contingency::None, false)] {
        let mut world = world_at(on("09:00:00"));
        let orders = vec![timed("large", T::AtOpen), small("small")];
        world.apply(listed(contingency, orders));
        let limits = Limits {
            max_order_notional: Some(money("0.7")),
            ..Limits::default()
        };
        world.limits(limits);
        world.clock(on("09:30:00"));
        assert_eq!(world.state("large"), OrderStatus::Denied);
        let left = world.sent_new().is_some();
        assert_eq!(left, !ends, "{contingency:?}: {:?}", world.events());
        let status = if ends {
            OrderStatus::Canceled
        } else {
            OrderStatus::Submitted
        };
        assert_eq!(world.state("small"), status);
        world.assert_recovers();
    }
}

#[test]
fn one_that_waits_grows_with_what_its_parent_trades() {
    let entry = limit("in", PERP, Side::Buy, 10, 10_000);
    let exit = SubmitOrder {
        side: Side::Sell,
        ..timed("out", T::AtClose)
    };
    let mut world = world_at(on("09:40:00"));
    let AccountInput::SubmitList { mut list, markets } =
        listed(Contingency::Bracket, vec![entry, exit])
    else {
        unreachable!("`listed` makes a list");
    };
    list.release = ReleaseRule::Partial;
    world.apply(AccountInput::SubmitList { list, markets });
    world.accept("in");
    for (exec, filled, all) in [("x", 4, 4), ("y", 5, 9)] {
        world.fill("in", exec, filled, 10_000);
        let out = world.order("out");
        assert_eq!(
            (out.quantity, out.held_for),
            (Quantity(all), Some(Hold::Session))
        );
    }
    world.clock(on("15:59:55"));
    assert_eq!(world.sent_new(), Some((9, Some(10_000), T::Ioc)));
    world.assert_recovers();
}
