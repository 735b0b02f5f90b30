//! Net or hedged: which orders are taken, when the mode may change, and what old journals show.

use super::support::*;
use crate::account::{Account, AccountInput, Preview, Refusal, Reply, RestoreError};
use crate::event::{CloseScope, Event, PositionMode, Recorded};
use crate::market::Side;
use crate::order::{Contingency, OrderStatus, PositionSide, ReleaseRule, SubmitList, SubmitOrder};
use crate::risk::{ReasonCode, TradingState};
use crate::venue::{VenueCommand, VenueReport};
use crate::{OrderListId, RequestId};

use PositionMode::{Hedging, Netting};
use PositionSide::{Long, Net, Short};

fn world(mode: PositionMode) -> World {
    let mut world = World::ready();
    if mode == Hedging {
        world.hedging();
    }
    world
}

fn of_side(client: &str, instrument: &str, side: PositionSide) -> SubmitOrder {
    let way = if side == Short { Side::Sell } else { Side::Buy };
    let mut order = limit(client, instrument, way, 1_000, 10_000);
    order.terms.position_side = side;
    order
}

fn set(world: &mut World, request: Option<&str>, mode: PositionMode) {
    world.apply(AccountInput::SetPositionMode {
        request_id: request.map(|id| RequestId::new(id).unwrap()),
        mode,
        by: "operator".to_owned(),
    });
}

fn hold(world: &mut World, client: &str, side: PositionSide) {
    world.working(of_side(client, PERP, side));
    world.fill(client, &format!("x-{client}"), 1_000, 10_000);
}

const IN_NETTING: Option<ReasonCode> = Some(ReasonCode::PositionSideInNetting);
const REQUIRED: Option<ReasonCode> = Some(ReasonCode::PositionSideRequired);

/// What each mode says to an order of each side: its reason, or none where it is taken.
const TABLE: [(PositionMode, &str, PositionSide, Option<ReasonCode>); 12] = [
    (Netting, PERP, Net, None),
    (Netting, PERP, Long, IN_NETTING),
    (Netting, PERP, Short, IN_NETTING),
    (Netting, SPOT, Net, None),
    (Netting, SPOT, Long, IN_NETTING),
    (Netting, SPOT, Short, IN_NETTING),
    (Hedging, PERP, Net, REQUIRED),
    (Hedging, PERP, Long, None),
    (Hedging, PERP, Short, None),
    (Hedging, SPOT, Net, None),
    (Hedging, SPOT, Long, IN_NETTING),
    (Hedging, SPOT, Short, IN_NETTING),
];

#[test]
fn each_mode_takes_the_orders_that_fit_it() {
    for (mode, instrument, side, reason) in TABLE {
        let mut world = world(mode);
        world.submit(of_side("a", instrument, side));
        let order = world.order("a");
        assert_eq!(order.reason_code, reason, "{mode:?} {instrument} {side:?}");
        let is_denied = order.status == OrderStatus::Denied;
        assert_eq!(is_denied, reason.is_some());
        assert!(!is_denied || order.reason.starts_with("position_side must"));
        world.assert_recovers();
    }
}

#[test]
fn a_preview_says_what_the_order_would_be_told() {
    for (mode, instrument, side, reason) in TABLE {
        let world = world(mode);
        let request = of_side("a", instrument, side);
        let market = market(9_999, 10_001, world.now);
        let Preview { failures, .. } = world
            .account
            .preview(world.now, &request, market, None)
            .unwrap();
        let found = failures.iter().find(|(name, _)| *name == "position_side");
        let found = found.map(|(_, denial)| denial.reason_code);
        assert_eq!(found, reason, "{mode:?} {instrument} {side:?}");
    }
}

#[test]
fn a_child_of_a_list_is_denied_with_the_list_and_not_when_it_leaves() {
    let mut world = world(Hedging);
    let mut child = of_side("child", PERP, Net);
    child.side = Side::Sell;
    world.apply(AccountInput::SubmitList {
        list: Box::new(SubmitList {
            list_id: OrderListId::new("list").unwrap(),
            contingency: Contingency::Oto,
            release: ReleaseRule::Partial,
            cascade: true,
            orders: vec![of_side("parent", PERP, Long), child],
        }),
        markets: [(id(PERP), market(9_999, 10_001, world.now))].into(),
    });
    assert_eq!(world.order("child").reason_code, REQUIRED);
    assert_eq!(
        world.order("parent").reason_code,
        Some(ReasonCode::ListDenied)
    );
}

#[test]
fn the_mode_changes_only_while_nothing_is_held_and_nothing_works() {
    let mut world = world(Netting);
    assert_eq!(world.account.position_mode(), Netting);
    world.working(of_side("a", PERP, Net));
    set(&mut world, Some("r1"), Hedging);
    let in_use = |positions, orders| Refusal::PositionModeInUse { positions, orders };
    assert_eq!(*world.refusal(), in_use(0, 1));
    world.fill("a", "x1", 1_000, 10_000);
    set(&mut world, Some("r1"), Hedging);
    assert_eq!(*world.refusal(), in_use(1, 0));
    let mut close = of_side("b", PERP, Net);
    close.side = Side::Sell;
    world.submit(close);
    world.apply(AccountInput::SessionLost {
        reason_code: ReasonCode::NoAnswer,
    });
    assert_eq!(world.order("b").status, OrderStatus::Unknown);
    set(&mut world, Some("r1"), Hedging);
    assert_eq!(*world.refusal(), in_use(1, 1));
    world.fill("b", "x2", 1_000, 10_000);
    set(&mut world, Some("r1"), Hedging);
    assert_eq!(world.events(), ["PositionModeSet"]);
    assert_eq!(world.account.position_mode(), Hedging);
    world.assert_recovers();
}

#[test]
fn a_repeated_request_changes_nothing_and_another_under_its_id_is_refused() {
    let mut world = world(Netting);
    set(&mut world, Some("r"), Hedging);
    let sequence = world.account.sequence();
    set(&mut world, Some("back"), Netting);
    set(&mut world, Some("r"), Hedging);
    assert_eq!(world.effects.reply, Some(Reply::Done { sequence }));
    assert_eq!(world.account.position_mode(), Netting);
    set(&mut world, Some("r"), Netting);
    assert!(matches!(world.refusal(), Refusal::RequestExists(_)));
}

#[test]
fn the_mode_that_holds_may_be_set_while_positions_are_open() {
    let mut world = world(Hedging);
    hold(&mut world, "a", Long);
    set(&mut world, None, Hedging);
    assert!(world.events().is_empty());
    set(&mut world, Some("r"), Hedging);
    assert_eq!(world.events(), ["PositionModeSet"]);
}

/// An execution of nobody's order carries no side: it is booked net, and closing still reaches it.
#[test]
fn what_a_hedging_account_holds_net_is_booked_and_can_be_closed() {
    let mut world = world(Hedging);
    hold(&mut world, "s", Short);
    let stranger = execution("stranger", "x", PERP, Side::Buy, 500, 10_000);
    world.report(VenueReport::Filled(stranger));
    assert_eq!(world.events(), ["ExternalFilled", "TradingStateChanged"]);
    assert_eq!(world.account.net_position(&id(PERP)), -500);
    world.apply(AccountInput::Close {
        scope: CloseScope::default(),
        request_id: None,
    });
    let sent = world.commands().iter().map(|command| match command {
        VenueCommand::New(new) => (new.terms.position_side, new.side, new.quantity.0),
        other => panic!("{other:?}"),
    });
    let mut sent: Vec<_> = sent.collect();
    sent.sort();
    assert_eq!(sent, [(Net, Side::Sell, 500), (Short, Side::Buy, 1_000)]);
}

/// The same account as a build without modes wrote it: hedged orders, and no event of the mode.
fn old_journal() -> Vec<Recorded> {
    let mut world = world(Hedging);
    hold(&mut world, "l", Long);
    hold(&mut world, "s", Short);
    let mut journal = world.journal;
    let is_mode =
        |recorded: &&mut Recorded| matches!(recorded.event, Event::PositionModeSet { .. });
    // In its place one that changes nothing, since ids of orders are made of sequences.
    let set = journal.iter_mut().find(is_mode).unwrap();
    set.event = Event::TradingStateChanged {
        request_id: None,
        state: TradingState::Active,
        by: "operator".to_owned(),
        reason: String::new(),
    };
    journal
}

#[test]
fn an_old_journal_of_hedged_orders_loads_as_a_hedging_account() {
    let journal = old_journal();
    let mut account = Account::new();
    for recorded in &journal {
        account.fold(recorded).unwrap();
    }
    assert_eq!(account.position_mode(), Hedging);
    let side = |side| account.portfolio().net_of_side(&id(PERP), side).unwrap();
    assert_eq!((side(Long).quantity, side(Short).quantity), (1_000, -1_000));
    assert_eq!(Account::restore(&account.snapshot()), Ok(account));
}

#[test]
fn a_snapshot_from_before_there_were_modes_is_refused_and_the_journal_makes_it_again() {
    let journal = old_journal();
    let mut account = Account::new();
    for recorded in &journal {
        account.fold(recorded).unwrap();
    }
    let mut old = account.snapshot();
    old[..2].copy_from_slice(&6_u16.to_le_bytes());
    assert_eq!(
        Account::restore(&old),
        Err(RestoreError::Version { found: 6 })
    );
}

#[test]
fn a_denied_order_of_a_side_makes_no_hedging_account() {
    let mut world = world(Netting);
    world.submit(of_side("a", PERP, Long));
    assert_eq!(world.account.position_mode(), Netting);
    world.submit(of_side("b", PERP, Net));
    assert_eq!(world.order("b").status, OrderStatus::Submitted);
}
