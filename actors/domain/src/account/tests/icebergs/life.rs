//! Icebergs through halts, restarts and crossing reports, and the ids of their parts.

use super::super::support::*;
use super::{FIRST, SECOND, SENT, check, count, iceberg, world};
use crate::event::Event;
use crate::invariant;
use crate::market::Side;
use crate::risk::ReasonCode;

#[test]
fn a_trading_state_holds_the_next_part_back_until_it_is_active_again() {
    for state in ["state reducing", "state halted"] {
        check(&[
            SENT,
            FIRST,
            (state, "", "0+25+0=25 ACCEPTED"),
            ("fill 1 a 10", "", "10+15+0=25 PARTIALLY_FILLED"),
            ("later", "", "10+15+0=25 PARTIALLY_FILLED"),
            // Nothing of it is at the venue, so nothing is asked for.
            ("ready", "", "10+15+0=25 PARTIALLY_FILLED"),
            ("restart", "", "10+15+0=25 PARTIALLY_FILLED"),
            (
                "state active",
                "new o/2 10@10000",
                "10+15+0=25 PARTIALLY_FILLED",
            ),
        ]);
        check(&[
            SENT,
            FIRST,
            (state, "", "0+25+0=25 ACCEPTED"),
            ("fill 1 a 10", "", "10+15+0=25 PARTIALLY_FILLED"),
            ("cancel", "", "10+0+15=25 CANCELED"),
            ("state active", "", "10+0+15=25 CANCELED"),
        ]);
    }
    check(&[
        SENT,
        FIRST,
        ("state halted", "", "0+25+0=25 ACCEPTED"),
        ("fill 1 a 10", "", "10+15+0=25 PARTIALLY_FILLED"),
        ("kill", "", "10+0+15=25 CANCELED"),
    ]);
    // What is not proven to be there ends with the halt, as any order.
    check(&[
        SENT,
        SECOND,
        ("state halted", "", "10+15+0=25 PARTIALLY_FILLED"),
        ("missing 2", "", "10+0+15=25 CANCELED"),
    ]);
}

#[test]
fn a_restart_at_any_moment_asks_for_the_part_and_shows_none_twice() {
    check(&[
        SENT,
        ("restart", "", "0+25+0=25 SUBMITTED"),
        ("ready", "query o/1", "0+25+0=25 SUBMITTED"),
        ("status 1 working 10", "", "0+25+0=25 ACCEPTED"),
        SECOND,
        // It was decided and durable, and never left.
        ("restart", "", "10+15+0=25 PARTIALLY_FILLED"),
        ("ready", "query o/2", "10+15+0=25 PARTIALLY_FILLED"),
        ("fill 1 a 10", "", "10+15+0=25 PARTIALLY_FILLED"),
        (
            "missing 2",
            "new o/2 10@10000",
            "10+15+0=25 PARTIALLY_FILLED",
        ),
        ("restart", "", "10+15+0=25 PARTIALLY_FILLED"),
        ("ready", "query o/2", "10+15+0=25 PARTIALLY_FILLED"),
        (
            "status 2 filled 10 b 10",
            "new o/3 5@10000",
            "20+5+0=25 PARTIALLY_FILLED",
        ),
    ]);
}

#[test]
fn a_restart_after_a_journal_that_ends_with_the_fill_shows_the_next_part() {
    let mut world = check(&[SENT, FIRST, SECOND]);
    assert_eq!(name(&world.journal.pop().unwrap().event), "OrderSliced");
    world.play("restart");
    assert_eq!(world.left(), "");
    world.play("ready");
    assert_eq!(world.left(), "new o/2 10@10000");
    world.assert_recovers();
}

#[test]
fn nobody_else_may_have_the_id_of_a_part() {
    let mut world = world(1);
    for client in ["ICE7-1", "ICE99-12"] {
        world.submit(limit(client, PERP, Side::Buy, 10, 10_000));
        let refusal = world.refusal().to_string();
        assert!(
            refusal.starts_with("client_order_id must not be"),
            "{refusal}"
        );
        assert!(world.effects.events.is_empty());
    }
    for client in ["ICE", "ICE-1", "ICE07-1", "ICE7-1-"] {
        world.submit(limit(client, PERP, Side::Buy, 10, 10_000));
        assert_eq!(world.events()[0], "OrderInitialized", "{client}");
    }
    // A journal of an older build may have one: the number is left out.
    let created = world.account.sequence() + 2;
    let old = limit(&format!("ICE{created}-1"), PERP, Side::Buy, 1, 9_000);
    let event = Event::OrderInitialized {
        order_id: crate::OrderId::new(&format!("paper-{}", created - 1)).unwrap(),
        quantity: old.quantity,
        request: Box::new(old),
        market: market(9_999, 10_001, world.now),
        expires_at: None,
    };
    let recorded = crate::event::Recorded {
        sequence: created - 1,
        ts: world.now,
        venue_sequence: 0,
        event,
    };
    world.account.fold(&recorded).unwrap();
    world.journal.push(recorded);
    world.submit(iceberg("o", 25, 10));
    assert_eq!(world.left(), "new o/2 10@10000");
    world.play("fill 2 a 10");
    assert_eq!(world.left(), "new o/3 10@10000");
    world.assert_recovers();
}

#[test]
fn the_own_id_of_such_an_order_means_nothing_at_its_venue() {
    let mut world = check(&[SENT, FIRST]);
    for report in [accepted("o", world.now), ended("o", 0, world.now)] {
        world.report(report);
        assert_eq!(world.events(), ["ReportQuarantined"]);
    }
    world.not_found("o", true);
    assert!(world.events().is_empty());
    assert_eq!(world.quantities("o"), "0+25+0=25 ACCEPTED");
    world.fill("o", "x", 1, 10_000);
    assert_eq!(world.events(), ["ExternalFilled", "TradingStateChanged"]);
}

/// Every order of these eight reports of two orders, each at most once and all of them: no order
/// gets a third part or more than it is.
#[test]
fn reports_of_several_orders_may_cross_in_any_order() {
    let reports = [
        "a: accept 1",
        "a: fill 1 a1 6",
        "a: fill 1 a2 4",
        "a: fill 2 a3 5",
        "b: accept 1",
        "b: fill 1 b1 10",
        "b: cancel",
        "b: refused-cancel 1",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..400 {
        let mut order = reports;
        for at in (1..order.len()).rev() {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            order.swap(at, (seed >> 33) as usize % (at + 1));
        }
        let mut world = world(1);
        world.submit(iceberg("a", 15, 10));
        world.submit(iceberg("b", 25, 10));
        let mut early = Vec::new();
        for step in order {
            // A venue reports nothing of a part that it was not shown.
            let is_early = step.contains("fill 2") && world.order("a").filled_quantity.0 < 10;
            if is_early {
                early.push(step);
                continue;
            }
            world.play(step);
            invariant::check_account(&world.account).unwrap();
        }
        for step in early {
            world.play(step);
        }
        let what = format!("round {round}: {order:?}");
        assert_eq!(world.quantities("a"), "15+0+0=15 FILLED", "{what}");
        assert_eq!(world.order("b").filled_quantity.0, 10, "{what}");
        assert_eq!(count(&world, "ReportQuarantined"), 0, "{what}");
        invariant::check_account(&world.account).unwrap();
        world.assert_recovers();
    }
}

#[test]
fn a_cancel_ends_the_part_and_the_hidden_rest() {
    check(&[
        SENT,
        FIRST,
        SECOND,
        ("fill 2 b 3", "", "13+12+0=25 PARTIALLY_FILLED"),
        ("cancel", "cancel o/2", "13+12+0=25 PENDING_CANCEL"),
        ("ended 2 3", "", "13+0+12=25 CANCELED"),
        ("ended 2 3", "", "13+0+12=25 CANCELED"),
        ("fill 2 c 2", "", "15+0+10=25 CANCELED"),
    ]);
    // The end comes before the fills that it counts.
    check(&[
        SENT,
        FIRST,
        SECOND,
        ("cancel", "cancel o/2", "10+15+0=25 PENDING_CANCEL"),
        ("ended 2 4", "query o/2", "10+15+0=25 PENDING_CANCEL"),
        ("fill 2 b 4", "", "14+0+11=25 CANCELED"),
    ]);
    // The part is filled first: nothing more is shown.
    check(&[
        SENT,
        FIRST,
        ("cancel", "cancel o/1", "0+25+0=25 PENDING_CANCEL"),
        ("fill 1 a 10", "", "10+0+15=25 CANCELED"),
        ("refused-cancel 1", "", "10+0+15=25 CANCELED"),
    ]);
    check(&[
        SENT,
        FIRST,
        ("cancel", "cancel o/1", "0+25+0=25 PENDING_CANCEL"),
        ("refused-cancel 1", "query o/1", "0+25+0=25 ACCEPTED"),
        ("fill 1 a 10", "", "10+0+15=25 CANCELED"),
    ]);
    // The venue ends a part by itself, or has no money for the next one.
    check(&[SENT, FIRST, ("expired 1 0", "", "0+0+25=25 EXPIRED")]);
    let world = check(&[
        SENT,
        SECOND,
        ("rejected 2", "", "10+0+15=25 CANCELED"),
        ("rejected 2", "", "10+0+15=25 CANCELED"),
    ]);
    let reason = world.order("o").reason_code;
    assert_eq!(reason, Some(ReasonCode::InsufficientBuyingPower));
    let world = check(&[SENT, ("rejected 1", "", "0+0+25=25 REJECTED")]);
    assert_eq!(count(&world, "OrderRejected"), 1);
}

#[test]
fn a_cancel_that_counts_less_than_is_filled_in_the_end_ends_the_rest() {
    let mut world = check(&[
        SENT,
        FIRST,
        ("cancel", "cancel o/1", "0+25+0=25 PENDING_CANCEL"),
        ("fill 1 a 4", "", "4+21+0=25 PENDING_CANCEL"),
        // Two trades cross the cancel: the venue has filled all of the part after all.
        ("fill 1 b 5", "", "9+16+0=25 PENDING_CANCEL"),
        ("ended 1 4", "query o/1", "9+16+0=25 PENDING_CANCEL"),
        ("fill 1 c 1", "", "10+15+0=25 PENDING_CANCEL"),
    ]);
    world.play("status 1 filled 10 a 4 b 5 c 1");
    assert_eq!(world.quantities("o"), "10+0+15=25 CANCELED");
    world.assert_recovers();
}
