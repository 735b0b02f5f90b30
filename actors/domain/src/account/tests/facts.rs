//! Facts of the trade about the life of an order, numbered, and where each other fact is held.
//!
//! Numbers, tests and crates; a test without a crate is in this one.
//!
//! | fact | test |
//! |---|---|
//! | which state leads to which | TC-L01 `order::table` and, on the machine, `account::tests::transitions` |
//! | a refused amend restores the state before it | TC-L02 `account::tests::orders` |
//! | a refused cancel restores the state before it | TC-L03 `account::tests::orders` |
//! | CANCELED or EXPIRED, then filled | TC-L04 here, ADR 0008 |
//! | FILLED takes only the bust of an execution | TC-L05 `order::table` |
//! | REJECTED and DENIED take no change, yet an execution is booked and halts | TC-L06 `account::tests::reports` |
//! | a repeated execution id changes nothing | TC-L07 `account::tests::reports` |
//! | an overfill is quarantined | TC-L08 `account::tests::reports` |
//! | a fill with quantity left gives PARTIALLY_FILLED | TC-L09 here |
//! | an UNKNOWN order takes whatever the venue proves | TC-L10 here |
//! | linear and inverse profit, folding, fees in the base currency, through zero, splits | TC-P01 to TC-P05 `portfolio::tests::facts` |
//! | stops and limits on bars, data older than the order | TC-M01 to TC-M03 `matching::cases::facts` |
//! | the queue, liquidity that is consumed | TC-M04 to TC-M06 `matching::cases::facts` |
//! | market to limit; IOC, FOK and post-only; GTD at its boundary | TC-M07 to TC-M09 `matching::cases::facts` |
//! | volume and path of a bar | TC-M10, TC-M11 `matching::cases::facts` |
//! | amends and the place in the queue, failed amends | TC-M12, TC-M13 `matching::cases::facts` |
//! | a trailing stop in bips that arms at its stop price | TC-M14 `matching::cases::facts` |
//! | legs of a bracket leave with the complete fill, a part of one shrinks the other | TC-V02 `account::tests::lists` |
//! | two decimals from 1.00 on, four below | TC-V03 `instrument::tests` |
//! | client order ids that are unique among open orders only; 5xx, -1006 and -1007 | TC-V04, TC-V05 here |
//! | volume, value and Renko bars | TC-B06 to TC-B08 `bar::tests` |
//! | EMA, SMA and WMA of 1 to 10 | TC-I01 to TC-I03 `indicator` |
//! | local 100, venue 150; through zero; missing at the venue; pending changes and time | TC-N01 to TC-N04 `reconcile::tests::cases` |
//! | HALTED and REDUCING | TC-T01 `account::tests::orders`, TC-T02 `risk::tests` |
//! | DAY orders in New York and in foreign exchange | TC-C01, TC-C03 `calendar::tests::facts` and `account::tests::home` |

use super::support::*;
use crate::account::AccountInput;
use crate::event::Event;
use crate::market::Side;
use crate::number::Quantity;
use crate::order::{OrderStatus, OrderType};
use crate::risk::ReasonCode;
use crate::time::NANOS_PER_SECOND;
use crate::venue::{EndReason, RejectReason, VenueCommand, VenueEnd, VenueReport, VenueStatus};

fn buy(client: &str) -> crate::order::SubmitOrder {
    limit(client, SPOT, Side::Buy, 1_000, 10_000)
}

/// An order that ended at its venue with nothing filled.
fn over(end: VenueEnd) -> World {
    let mut world = World::ready();
    world.working(buy("a"));
    let ts_event = world.now;
    world.report(VenueReport::Ended {
        client_order_id: cid("a"),
        end,
        reason: EndReason::Other,
        cumulative_quantity: Quantity(0),
        ts_event,
    });
    world
}

fn is_late(world: &World) -> bool {
    let event = &world.effects.events[0].event;
    matches!(event, Event::OrderFilled { late: true, .. })
}

#[test]
fn tc_l04_what_ended_and_is_then_filled_whole_is_filled() {
    for (end, status) in [
        (VenueEnd::Canceled, OrderStatus::Canceled),
        (VenueEnd::Expired, OrderStatus::Expired),
    ] {
        let mut world = over(end);
        assert_eq!(world.state("a"), status);
        world.fill("a", "x1", 1_000, 10_000);
        assert!(is_late(&world));
        let order = world.order("a");
        assert_eq!(order.status, OrderStatus::Filled);
        assert_eq!(order.filled_quantity, Quantity(1_000));
        assert_eq!(order.canceled_quantity, Quantity::ZERO);
        assert_eq!(world.account.net_position(&id(SPOT)), 1_000);
        world.assert_recovers();
    }
}

/// The state says that nothing works; how much was filled is its own field (ADR 0008).
#[test]
fn tc_l04_what_ended_and_is_then_filled_in_part_stays_ended_with_its_fill() {
    for (end, status) in [
        (VenueEnd::Canceled, OrderStatus::Canceled),
        (VenueEnd::Expired, OrderStatus::Expired),
    ] {
        let mut world = over(end);
        world.fill("a", "x1", 400, 10_000);
        assert!(is_late(&world));
        let order = world.order("a");
        assert_eq!(order.status, status);
        let quantities = [
            order.filled_quantity,
            order.leaves_quantity,
            order.canceled_quantity,
        ];
        assert_eq!(quantities, [400, 0, 600].map(Quantity));
        assert_eq!(world.account.net_position(&id(SPOT)), 400);
        assert_eq!(world.account.exposure(&id(SPOT)).buy.quantity, 0);
        // The rest of it, later still, makes it what it then is.
        world.fill("a", "x2", 600, 10_000);
        assert_eq!(world.state("a"), OrderStatus::Filled);
        world.assert_recovers();
    }
}

#[test]
fn tc_l09_a_fill_with_quantity_left_is_partly_filled_from_every_open_state() {
    let mut submitted = World::ready();
    submitted.submit(buy("a"));
    let mut unknown = World::ready();
    unknown.submit(buy("a"));
    unknown.apply(AccountInput::SessionLost {
        reason_code: ReasonCode::NoAnswer,
    });
    let mut accepted = World::ready();
    accepted.working(buy("a"));
    let mut triggered = World::ready();
    let mut stop = buy("a");
    stop.order_type = OrderType::StopLimit;
    stop.terms.stop_price = Some(crate::number::Price(10_000));
    triggered.working(stop);
    let ts_event = triggered.now;
    triggered.report(VenueReport::Triggered {
        client_order_id: cid("a"),
        ts_event,
    });
    for (mut world, before) in [
        (submitted, OrderStatus::Submitted),
        (unknown, OrderStatus::Unknown),
        (accepted, OrderStatus::Accepted),
        (triggered, OrderStatus::Triggered),
    ] {
        assert_eq!(world.state("a"), before);
        world.fill("a", "x1", 999, 10_000);
        assert_eq!(world.state("a"), OrderStatus::PartiallyFilled, "{before:?}");
        assert_eq!(world.order("a").leaves_quantity, Quantity(1));
        world.assert_recovers();
    }
}

/// An order whose request ended without an answer that says anything: a 5xx, -1006 (an answer
/// of a form that the venue does not know) and -1007 (a timeout inside of the venue) are one
/// thing to the account.
fn without_outcome() -> World {
    let mut world = World::ready();
    world.submit(buy("a"));
    world.apply(AccountInput::SessionLost {
        reason_code: ReasonCode::NoAnswer,
    });
    world
}

#[test]
fn tc_l10_an_unknown_order_is_what_the_venue_proves() {
    let fill = || vec![execution("a", "x1", SPOT, Side::Buy, 1_000, 10_000)];
    for (status, executions, expected) in [
        (VenueStatus::Working, vec![], OrderStatus::Accepted),
        (VenueStatus::Filled, fill(), OrderStatus::Filled),
        (VenueStatus::Canceled, vec![], OrderStatus::Canceled),
        (VenueStatus::Expired, vec![], OrderStatus::Expired),
        (VenueStatus::Rejected, vec![], OrderStatus::Rejected),
    ] {
        let mut world = without_outcome();
        world.status("a", status, executions);
        assert_eq!(world.state("a"), expected);
        world.assert_recovers();
    }
}

#[test]
fn tc_v04_without_an_outcome_an_order_is_unknown_and_its_worst_case_stays_reserved() {
    let mut world = World::ready();
    world.submit(buy("a"));
    let reserved = world.account.exposure(&id(SPOT));
    assert_eq!(reserved.buy.quantity, 1_000);
    let mut world = without_outcome();
    assert_eq!(world.state("a"), OrderStatus::Unknown);
    assert_eq!(world.account.exposure(&id(SPOT)), reserved);
    // What is reserved is spent: the rest of the cash buys no second one.
    world.submit(limit("b", SPOT, Side::Buy, 100_000, 10_000));
    let denied = world.order("b").reason_code;
    assert_eq!(denied, Some(ReasonCode::InsufficientBuyingPower));
    world.assert_recovers();
}

/// Where an id is unique among open orders only, "no such order" proves nothing: the order may
/// have been filled and its id be free again. Such a venue's session never says that it is proof.
#[test]
fn tc_v05_ids_that_are_unique_among_open_orders_only_never_lead_to_a_second_send() {
    let mut world = without_outcome();
    let reserved = world.account.exposure(&id(SPOT));
    for _ in 0..100 {
        world.now = world.now.plus(60 * NANOS_PER_SECOND);
        world.apply(AccountInput::SessionReady);
        let is_query = |command: &VenueCommand| matches!(command, VenueCommand::Query { .. });
        assert!(world.commands().iter().all(is_query));
        assert_eq!(world.commands().len(), 1, "it is asked for");
        world.not_found("a", false);
        assert!(world.effects.is_empty());
    }
    assert_eq!(world.state("a"), OrderStatus::Unknown);
    assert_eq!(world.account.exposure(&id(SPOT)), reserved);
    // It had been filled all the while, as the list of executions shows in the end.
    let execution = execution("a", "x1", SPOT, Side::Buy, 1_000, 10_000);
    world.status("a", VenueStatus::Filled, vec![execution]);
    assert_eq!(world.state("a"), OrderStatus::Filled);
    assert_eq!(world.account.net_position(&id(SPOT)), 1_000);
    world.assert_recovers();
}

/// The other answer that such a venue can give to an id: one that is open has it.
#[test]
fn tc_v05_a_refusal_of_the_id_shows_an_open_order_and_sends_nothing_again() {
    let mut world = without_outcome();
    let ts_event = world.now.plus(1);
    world.report(VenueReport::Rejected {
        client_order_id: cid("a"),
        reason: RejectReason::DuplicateClientOrderId,
        text: "-2010 duplicate order sent".to_owned(),
        ts_event,
    });
    assert!(!world.state("a").is_terminal());
    assert!(matches!(world.commands(), [VenueCommand::Query { .. }]));
}
