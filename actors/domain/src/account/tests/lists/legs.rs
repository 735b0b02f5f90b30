//! Legs and the position that they leave: never more than it, never refused for each other.

use super::*;
use crate::account::AccountInput;
use crate::account::tests::busts::bust;
use crate::order::OrderStatus;

/// Sets up the orders of `orders` on `instrument_id`, all but the first reduce-only if asked.
fn on(instrument_id: &str, reduce_only: bool, mut orders: Vec<SubmitOrder>) -> Vec<SubmitOrder> {
    for order in &mut orders {
        order.instrument_id = id(instrument_id);
        order.reduce_only = reduce_only && order.side == Side::Sell;
    }
    orders
}

#[test]
fn legs_that_only_reduce_do_not_count_against_each_other() {
    check(
        list(Contingency::Bracket, on(PERP, true, bracket())),
        &[
            ("accept e", ""),
            ("fill e 10", "new t Limit 10, new s Stop 10"),
        ],
        "e FILLED 10/10, t SUBMITTED 0/10, s SUBMITTED 0/10",
    );
    check_in(
        held_position(),
        list(Contingency::Oco, on(PERP, true, pair())),
        &[("", "new t Limit 10, new s Stop 10")],
        "t SUBMITTED 0/10, s SUBMITTED 0/10",
    );
}

#[test]
fn a_held_leg_whose_price_comes_waits_until_the_other_has_ended() {
    // The end of the leg at the venue, what was sent with it, and how both stand then.
    for (ending, end) in [
        (
            &[("ended t 0", "new s Market 10")][..],
            "t CANCELED 0/10, s SUBMITTED 0/10",
        ),
        (&[("fill t 10", "")], "t FILLED 10/10, s CANCELED 0/10"),
        (
            &[("fill t 4", ""), ("ended t 4", "new s Market 6")],
            "t CANCELED 4/10, s SUBMITTED 0/6",
        ),
        // The end was counted before the fill came.
        (
            &[("ended t 4", ""), ("fill t 4", "new s Market 6")],
            "t CANCELED 4/10, s SUBMITTED 0/6",
        ),
        (
            &[("cancel s", ""), ("ended t 0", "")],
            "t CANCELED 0/10, s CANCELED 0/10",
        ),
    ] {
        for contingency in [Contingency::Bracket, Contingency::Oco, Contingency::Ouo] {
            let mut world = bare();
            let mut orders = on(PERP, true, pair());
            let mut script = vec![("accept t", ""), ("show 9500", "cancel t")];
            let mut whole = end.to_owned();
            if contingency == Contingency::Bracket {
                orders = on(PERP, true, bracket());
                script.splice(..0, [("accept e", ""), ("fill e 10", "new t Limit 10")]);
                whole = format!("e FILLED 10/10, {end}");
            } else {
                world.working(limit("p", PERP, Side::Buy, 10, 10_000));
                world.fill("p", "xp", 10, 10_000);
            }
            script.extend(ending);
            check_in(world, list(contingency, orders), &script, &whole);
        }
    }
}

#[test]
fn a_leg_that_waits_for_the_other_leaves_once_it_may() {
    check_in(
        bare(),
        list(Contingency::Bracket, on(PERP, true, bracket())),
        &[
            ("accept e", ""),
            ("fill e 10", "new t Limit 10"),
            ("accept t", ""),
            ("show 9500", "cancel t"),
            ("show 9400", ""),
            ("halt", ""),
            ("ended t 0", ""),
            ("show 9300", ""),
            ("resume", ""),
            ("show 9600", "new s Market 10"),
        ],
        "e FILLED 10/10, t CANCELED 0/10, s SUBMITTED 0/10",
    );
}

#[test]
fn a_reducing_account_lets_every_leg_leave() {
    let mut world = World::small();
    world.submit_list(list(Contingency::Bracket, bracket()));
    world.step("accept e");
    world.apply(AccountInput::SetTradingState {
        request_id: None,
        state: TradingState::Reducing,
        by: "ops".to_owned(),
        reason: String::new(),
    });
    world.step("fill e 10");
    assert_eq!(world.sent(), "new t Limit 10, new s Stop 10");
}

#[test]
fn legs_of_a_spot_position_sell_the_same_units() {
    check(
        list(Contingency::Bracket, on(SPOT, false, bracket())),
        &[
            ("accept e", ""),
            ("fill e 10", "new t Limit 10, new s Stop 10"),
        ],
        "e FILLED 10/10, t SUBMITTED 0/10, s SUBMITTED 0/10",
    );
    let mut world = World::small();
    world.working(limit("p", SPOT, Side::Buy, 10, 10_000));
    world.fill("p", "xp", 10, 10_000);
    check_in(
        world,
        list(Contingency::Oco, on(SPOT, false, pair())),
        &[("", "new t Limit 10, new s Stop 10")],
        "t SUBMITTED 0/10, s SUBMITTED 0/10",
    );
}

#[test]
fn the_legs_follow_an_entry_that_was_amended() {
    for (quantity, fills, legs) in [
        (5, [4, 1], "new t Limit 5, new s Stop 5"),
        (20, [10, 10], "new t Limit 20, new s Stop 20"),
    ] {
        let mut world = World::small();
        world.submit_list(list(Contingency::Bracket, bracket()));
        world.step("accept e");
        world.amend("e", Some(quantity), None);
        world.step(&format!("amended e {quantity}"));
        world.step(&format!("fill e {}", fills[0]));
        assert_eq!(world.sent(), "", "not the complete fill");
        world.step(&format!("fill e {}", fills[1]));
        assert_eq!(world.sent(), legs);
        world.assert_recovers();
    }
}

/// Amends an entry of 10 after its first fills, fills the rest, and tells what its child of
/// `asked` comes to.
fn child_of_amended(
    (release, asked): (ReleaseRule, i64),
    before: i64,
    quantity: i64,
) -> (OrderStatus, i64) {
    let mut world = World::small();
    let mut child = exit("t", 11_000);
    child.quantity = Quantity(asked);
    let orders = vec![limit("e", PERP, Side::Buy, 10, 10_000), child];
    world.submit_list(SubmitList {
        release,
        ..list(Contingency::Oto, orders)
    });
    world.step("accept e");
    if before > 0 {
        world.step(&format!("fill e {before}"));
        if release == ReleaseRule::Partial {
            world.step("accept t");
        }
    }
    world.amend("e", Some(quantity), None);
    world.step(&format!("amended e {quantity}"));
    if quantity > before {
        world.step(&format!("fill e {}", quantity - before));
    }
    if world.state("t") == OrderStatus::Submitted {
        world.step("accept t");
    }
    if let Some(VenueCommand::Amend { quantity, .. }) = world.commands().last() {
        let quantity = quantity.0;
        world.step(&format!("amended t {quantity}"));
    }
    world.assert_recovers();
    assert_eq!(world.state("e"), OrderStatus::Filled);
    (world.state("t"), world.order("t").quantity.0)
}

#[test]
fn no_growth_of_its_parent_makes_a_child_larger_than_its_owner_left_it() {
    for (release, contingency) in [
        (ReleaseRule::Full, Contingency::Oto),
        (ReleaseRule::Partial, Contingency::Oto),
        (ReleaseRule::Full, Contingency::Bracket),
        (ReleaseRule::Partial, Contingency::Bracket),
    ] {
        let mut world = World::small();
        let orders = match contingency {
            Contingency::Oto => bracket()[..2].to_vec(),
            _ => bracket(),
        };
        world.submit_list(SubmitList {
            release,
            ..list(contingency, orders)
        });
        world.step("accept e");
        // While it waits; a limit of its own changes no quantity.
        world.amend("t", Some(5), None);
        world.amend("t", None, Some(11_500));
        world.amend("e", Some(12), None);
        world.step("amended e 12");
        world.step("fill e 12");
        let name = format!("{release:?} {contingency:?}");
        assert_eq!(world.order("t").quantity, Quantity(5), "{name}");
        world.step("accept t");
        // Its owner may have all that its list has for it.
        world.amend("t", Some(8), None);
        world.step("amended t 8");
        assert_eq!(world.order("t").quantity, Quantity(8), "{name}");
        world.assert_recovers();
    }
}

#[test]
fn a_part_that_its_owner_took_from_a_working_child_stays_away_when_more_is_filled() {
    let mut world = World::small();
    world.submit_list(SubmitList {
        release: ReleaseRule::Partial,
        ..list(Contingency::Oto, bracket()[..2].to_vec())
    });
    world.step("accept e");
    world.step("fill e 4");
    world.step("accept t");
    world.amend("t", Some(2), None);
    world.step("amended t 2");
    assert_eq!(world.order("t").quantity, Quantity(2));
    world.step("fill e 6");
    assert_eq!(world.order("t").quantity, Quantity(2));
    assert_eq!(world.sent(), "");
    world.assert_recovers();
}

#[test]
fn the_child_of_an_entry_that_was_amended_keeps_its_share_of_it() {
    use ReleaseRule::{Full, Partial};
    let works = OrderStatus::Accepted;
    for (rule, before, quantity, comes_to) in [
        // Down and up, before a fill and after one.
        ((Full, 10), 0, 4, 4),
        ((Full, 10), 3, 4, 4),
        ((Full, 10), 3, 3, 3),
        ((Full, 10), 0, 20, 20),
        ((Partial, 10), 0, 4, 4),
        ((Partial, 10), 3, 4, 4),
        ((Partial, 10), 3, 20, 20),
        // Half of the entry, or more than it: what the account holds besides is meant too.
        ((Full, 5), 0, 4, 2),
        ((Partial, 5), 4, 20, 10),
        ((Full, 15), 0, 4, 6),
        // To what it was ordered with: nothing is different.
        ((Full, 15), 0, 10, 15),
        ((Partial, 5), 4, 10, 5),
    ] {
        let child = child_of_amended(rule, before, quantity);
        assert_eq!(child, (works, comes_to), "{rule:?} {before} {quantity}");
    }
}

#[test]
fn an_entry_whose_legs_have_traded_all_of_it_buys_no_more() {
    let list = SubmitList {
        release: ReleaseRule::Partial,
        cascade: false,
        ..list(Contingency::Bracket, bracket())
    };
    check(
        list,
        &[
            ("accept e", ""),
            ("fill e 4", "new t Limit 4, new s Stop 4"),
            ("accept t", ""),
            ("accept s", ""),
            ("fill t 4", "cancel e, cancel s"),
            ("ended e 4", ""),
            ("ended s 0", ""),
        ],
        "e CANCELED 4/10, t FILLED 4/4, s CANCELED 0/4",
    );
}

#[test]
fn no_order_rate_keeps_a_leg_from_leaving() {
    let mut world = World::small();
    world.limits(crate::risk::Limits {
        max_orders_per_second: Some(3),
        ..Default::default()
    });
    world.submit_list(list(Contingency::Bracket, bracket()));
    world.step("accept e");
    world.submit(limit("other", SPOT, Side::Buy, 1, 9_000));
    assert_eq!(
        world.order("other").reason_code,
        Some(ReasonCode::OrderRate),
        "legs count when they are taken"
    );
    world.step("fill e 10");
    assert_eq!(world.sent(), "new t Limit 10, new s Stop 10");
    world.assert_recovers();
}

#[test]
fn a_cancel_of_a_list_that_was_refused_is_asked_for_again() {
    let mut world = held_position();
    world.submit_list(list(Contingency::Oco, pair()));
    world.step("accept t");
    world.step("accept s");
    world.step("fill t 4");
    assert_eq!(world.sent(), "cancel s");
    world.report(VenueReport::CancelRejected {
        client_order_id: cid("s"),
        text: "not now".to_owned(),
        ts_event: world.now,
    });
    assert_eq!(world.sent(), "");
    world.step("fill t 1");
    assert_eq!(world.sent(), "");
    world.now = world.now.plus(2 * crate::time::NANOS_PER_SECOND);
    world.apply(AccountInput::Tick);
    assert_eq!(world.sent(), "cancel s");
    world.assert_recovers();
}

/// A bracket whose entry filled and whose exits work, each for 10.
fn exits_at_work(contingency: Contingency) -> World {
    let mut world = held_position();
    world.submit_list(list(contingency, pair()));
    world.step("accept t");
    world.step("accept s");
    world
}

#[test]
fn a_bust_of_a_leg_gives_the_other_its_quantity_back() {
    let mut world = exits_at_work(Contingency::Ouo);
    world.fill("t", "x1", 4, 11_000);
    assert_eq!(world.sent(), "amend s 6");
    world.step("amended s 6");
    bust(&mut world, "t", "x1");
    assert_eq!(world.sent(), "amend s 10");
    world.step("amended s 10");
    let s = world.order("s");
    assert_eq!((s.leaves_quantity.0, s.quantity.0), (10, 10));
    world.assert_recovers();
}

#[test]
fn a_bust_gives_a_leg_no_more_than_its_owner_left_it() {
    let mut world = exits_at_work(Contingency::Ouo);
    world.amend("s", Some(7), None);
    world.step("amended s 7");
    assert_eq!(world.sent(), "");
    world.fill("t", "x1", 6, 11_000);
    assert_eq!(world.sent(), "amend s 4");
    world.step("amended s 4");
    bust(&mut world, "t", "x1");
    assert_eq!(world.sent(), "amend s 7");
}

#[test]
fn a_leg_that_has_ended_does_not_come_back_with_a_bust() {
    let mut world = exits_at_work(Contingency::Ouo);
    world.fill("t", "x1", 10, 11_000);
    assert_eq!(world.sent(), "cancel s");
    world.step("ended s 0");
    bust(&mut world, "t", "x1");
    assert_eq!(world.sent(), "");
    assert_eq!(world.state("s"), crate::order::OrderStatus::Canceled);
}

#[test]
fn a_bust_while_a_leg_is_being_canceled_leaves_it_to_the_venue_which_comes_first() {
    let mut world = exits_at_work(Contingency::Ouo);
    world.fill("t", "x1", 10, 11_000);
    bust(&mut world, "t", "x1");
    world.report(VenueReport::CancelRejected {
        client_order_id: cid("s"),
        text: "too late".to_owned(),
        ts_event: world.now,
    });
    // It works on, for all of the position again.
    assert_eq!(world.sent(), "");
    assert_eq!(world.order("s").leaves_quantity, Quantity(10));
    world.assert_recovers();
}

/// A venue that knows pairs, or one that locks funds for each order of one.
fn spot_world(linked_orders: bool) -> World {
    let mut world = World::small();
    let mut definition = Instrument {
        min_notional: money("0"),
        ..instrument(SPOT)
    };
    definition.rules.lacks.linked_orders = linked_orders;
    world.apply(AccountInput::DefineInstrument(Box::new(definition)));
    world
}

#[test]
fn a_pair_is_covered_as_its_venue_locks_it() {
    let codes = |world: &World| ["t", "s"].map(|client| world.order(client).reason_code);
    let short = Some(ReasonCode::InsufficientBuyingPower);
    for (lacks, held, expected) in [
        (false, 10, [None, None]),
        (false, 9, [short, short]),
        (true, 20, [None, None]),
        (true, 19, [short, short]),
    ] {
        let mut world = spot_world(lacks);
        world.working(limit("p", SPOT, Side::Buy, held, 10_000));
        world.fill("p", "xp", held, 10_000);
        world.submit_list(list(Contingency::Oco, on(SPOT, false, pair())));
        assert_eq!(codes(&world), expected, "{lacks} {held}");
    }
    // 10,000 USDT pay for 90 at 100 with its fee, and not for two of them.
    for (lacks, expected) in [(false, [None, None]), (true, [short, short])] {
        let mut world = spot_world(lacks);
        let orders = pair().into_iter().zip([9_900, 10_000]);
        let buys = orders.map(|(order, price)| SubmitOrder {
            client_order_id: order.client_order_id,
            ..limit("b", SPOT, Side::Buy, 90_000, price)
        });
        world.submit_list(list(Contingency::Oco, buys.collect()));
        assert_eq!(codes(&world), expected, "{lacks}");
    }
}

/// Legs of different size: the larger one is what the pair costs.
#[test]
fn the_larger_leg_of_a_pair_has_to_be_covered() {
    for (quantities, taken) in [([10, 4], true), ([4, 10], true), ([4, 11], false)] {
        let mut world = spot_world(false);
        world.working(limit("p", SPOT, Side::Buy, 10, 10_000));
        world.fill("p", "xp", 10, 10_000);
        let mut orders = on(SPOT, false, pair());
        for (order, quantity) in orders.iter_mut().zip(quantities) {
            order.quantity = Quantity(quantity);
        }
        world.submit_list(list(Contingency::Oco, orders));
        assert_eq!(
            world.order("t").reason_code.is_none(),
            taken,
            "{quantities:?}"
        );
    }
}
