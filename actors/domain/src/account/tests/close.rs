//! Closing positions, cancels of many, and the kill switch.

use super::support::*;
use crate::account::{Account, AccountInput, CancelFilter, Refusal, Reply};
use crate::event::{CloseOutcome, CloseScope, Event};
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::{OrderStatus, SubmitOrder};
use crate::risk::{MarketView, ReasonCode, TradingState};
use crate::time::NANOS_PER_SECOND;
use crate::venue::VenueCommand;
use crate::{StrategyId, UnixNanos};

mod away;
mod bounds;
mod dust;
mod halved;
mod resumed;

fn of_strategy(strategy: &str, order: SubmitOrder) -> SubmitOrder {
    SubmitOrder {
        strategy_id: StrategyId::new(strategy).unwrap(),
        ..order
    }
}

/// `a` is long 10, `b` is short 4, and each has an order at the venue.
fn two_strategies() -> World {
    let mut world = World::small();
    for (strategy, side, quantity) in [("a", Side::Buy, 10), ("b", Side::Sell, 4)] {
        let client = format!("in-{strategy}");
        let order = limit(&client, PERP, side, quantity, 10_000);
        world.working(of_strategy(strategy, order));
        world.fill(&client, &format!("x-{strategy}"), quantity, 10_000);
        let client = format!("rest-{strategy}");
        let order = limit(&client, PERP, side, 1, 10_000);
        world.working(of_strategy(strategy, order));
    }
    let view = MarketView {
        bid: Some(Price(9_999)),
        ask: Some(Price(10_001)),
        ts: world.now,
        ..MarketView::default()
    };
    let instrument_id = id(PERP);
    world.apply(AccountInput::Market {
        instrument_id,
        view,
    });
    world
}

fn close(scope: CloseScope, request: &str) -> AccountInput {
    AccountInput::Close {
        scope,
        request_id: Some(request_id(request)),
    }
}

fn news(world: &World) -> Vec<String> {
    let news = world.commands().iter().filter_map(|command| match command {
        VenueCommand::New(new) => Some(format!(
            "{} {:?} {}",
            new.client_order_id.as_str(),
            new.side,
            new.quantity.0
        )),
        _ => None,
    });
    news.collect()
}

fn outcome(world: &World) -> Option<CloseOutcome> {
    world
        .journal
        .iter()
        .rev()
        .find_map(|recorded| match recorded.event {
            Event::CloseEnded { outcome, .. } => Some(outcome),
            _ => None,
        })
}

#[test]
fn a_position_is_closed_once_nothing_in_the_way_can_trade() {
    let mut world = two_strategies();
    let scope = CloseScope {
        instrument_id: Some(id(PERP)),
        strategy_id: Some(StrategyId::new("a").unwrap()),
        client_order_id: Some(cid("mine")),
    };
    world.apply(close(scope.clone(), "c"));
    let [
        VenueCommand::Cancel {
            client_order_id, ..
        },
    ] = world.commands()
    else {
        panic!("{:?}", world.commands());
    };
    assert_eq!(client_order_id.as_str(), "rest-a");
    // The order in the way trades before its cancel arrives: that is closed as well.
    world.fill("rest-a", "x1", 1, 10_000);
    assert_eq!(news(&world), ["mine Sell 11"]);
    world.fill("mine", "x2", 11, 9_999);
    assert_eq!(outcome(&world), Some(CloseOutcome::Flat));
    assert_eq!(world.account.net_position(&id(PERP)), -4);
    assert_eq!(world.state("rest-b"), OrderStatus::Accepted);
    // The same request again does nothing.
    world.apply(close(scope, "c"));
    assert!(world.events().is_empty());
    world.assert_recovers();
}

#[test]
fn every_position_is_closed_by_its_own_strategy() {
    let mut world = two_strategies();
    world.apply(close(CloseScope::default(), "c"));
    for client in ["rest-a", "rest-b"] {
        assert_eq!(world.state(client), OrderStatus::PendingCancel);
        world.ended(client, 0);
    }
    let orders = news(&world);
    assert_eq!(orders.len(), 2, "{orders:?}");
    assert!(orders[0].ends_with("Sell 10") && orders[1].ends_with("Buy 4"));
    for (exec, order) in ["y1", "y2"].into_iter().zip(orders) {
        let words: Vec<&str> = order.split(' ').collect();
        world.fill(words[0], exec, words[2].parse().unwrap(), 10_000);
    }
    assert_eq!(outcome(&world), Some(CloseOutcome::Flat));
    assert_eq!(
        world.account.positions().filter(|p| !p.is_flat()).count(),
        0
    );
    world.assert_recovers();
}

#[test]
fn a_closing_goes_on_after_a_restart() {
    let mut world = two_strategies();
    world.apply(close(CloseScope::default(), "c"));
    world.ended("rest-a", 0);
    world.assert_recovers();
    world.account = Account::restore(&world.account.snapshot()).unwrap();
    world.ended("rest-b", 0);
    assert_eq!(news(&world).len(), 2);
}

#[test]
fn a_closing_order_that_finds_nobody_is_sent_again_and_then_given_up() {
    let mut world = two_strategies();
    let scope = CloseScope {
        strategy_id: Some(StrategyId::new("a").unwrap()),
        ..CloseScope::default()
    };
    world.apply(close(scope, "c"));
    world.ended("rest-a", 0);
    for attempt in 1..=5 {
        let [order] = &news(&world)[..] else {
            panic!("attempt {attempt}: {:?}", world.commands());
        };
        let client = order.split(' ').next().unwrap().to_owned();
        world.ended(&client, 0);
        assert!(news(&world).is_empty(), "a moment later");
        world.now = world.now.plus(2 * NANOS_PER_SECOND);
        world.apply(AccountInput::Tick);
    }
    assert_eq!(outcome(&world), Some(CloseOutcome::GaveUp));
    world.assert_recovers();
}

#[test]
fn what_is_too_small_to_order_is_said_to_be_dust() {
    let mut world = two_strategies();
    let mut coarse = instrument(PERP);
    coarse.min_quantity = Quantity(5);
    coarse.min_notional = money("0");
    world.apply(AccountInput::DefineInstrument(Box::new(coarse)));
    let scope = CloseScope {
        strategy_id: Some(StrategyId::new("b").unwrap()),
        ..CloseScope::default()
    };
    world.apply(close(scope, "c"));
    world.ended("rest-b", 0);
    assert_eq!(outcome(&world), Some(CloseOutcome::Dust));
    world.assert_recovers();
}

#[test]
fn the_kill_switch_halts_first_then_cancels_then_flattens() {
    let mut world = two_strategies();
    let kill = AccountInput::Halt {
        request_id: Some(request_id("k")),
        cancel: true,
        flatten: true,
        by: "ops".to_owned(),
        reason: "drill".to_owned(),
    };
    world.apply(kill.clone());
    assert_eq!(world.events()[0], "TradingStateChanged");
    assert!(matches!(&world.effects.reply, Some(Reply::Orders(orders)) if orders.len() == 2));
    world.submit(limit("new", PERP, Side::Buy, 1, 10_000));
    assert_eq!(
        world.order("new").reason_code,
        Some(ReasonCode::TradingHalted)
    );
    for client in ["rest-a", "rest-b"] {
        world.ended(client, 0);
    }
    // The closing orders are the platform's own: they pass the halt.
    assert_eq!(news(&world).len(), 2);
    world.apply(kill);
    assert!(world.events().is_empty());
    assert_eq!(world.account.trading_state(), TradingState::Halted);
    world.assert_recovers();
    let restored = Account::restore(&world.account.snapshot()).unwrap();
    assert_eq!(restored.trading_state(), TradingState::Halted);
}

#[test]
fn a_cancel_of_all_with_a_request_id_is_done_once() {
    let mut world = two_strategies();
    let cancel = AccountInput::CancelAll {
        filter: CancelFilter::default(),
        request_id: Some(request_id("k")),
        reason_code: ReasonCode::CanceledByUser,
    };
    world.apply(cancel.clone());
    assert_eq!(world.commands().len(), 2);
    assert_eq!(replied(&world), ["rest-a", "rest-b"]);
    world.working(limit("later", PERP, Side::Buy, 1, 9_000));
    world.ended("rest-a", 0);
    world.apply(cancel.clone());
    assert!(world.events().is_empty());
    assert_eq!(replied(&world), ["rest-a", "rest-b"]);
    assert_eq!(world.state("later"), OrderStatus::Accepted);
    let mut recovered = Account::new();
    for recorded in &world.journal {
        recovered.fold(recorded).unwrap();
    }
    world.account = recovered;
    world.apply(cancel);
    assert_eq!(replied(&world), ["rest-a", "rest-b"], "after a restart");
    world.apply(close(CloseScope::default(), "k"));
    assert_eq!(world.refusal(), &Refusal::RequestExists(request_id("k")));
}

/// The orders that the last input was answered with.
fn replied(world: &World) -> Vec<&str> {
    match &world.effects.reply {
        Some(Reply::Orders(orders)) => orders
            .iter()
            .map(|order| order.request.client_order_id.as_str())
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_halt_that_is_repeated_answers_with_the_orders_that_it_canceled() {
    let mut world = two_strategies();
    for (cancel, orders) in [(true, &["rest-a", "rest-b"][..]), (false, &[])] {
        let halt = AccountInput::Halt {
            request_id: Some(request_id(if cancel { "h" } else { "i" })),
            cancel,
            flatten: false,
            by: "ops".to_owned(),
            reason: String::new(),
        };
        for _ in 0..2 {
            world.apply(halt.clone());
            assert_eq!(replied(&world), orders);
        }
    }
}

#[test]
fn a_cancel_of_several_that_is_repeated_has_the_same_outcomes() {
    let mut world = two_strategies();
    world.submit(SubmitOrder {
        quantity: Quantity(2_000_000),
        ..limit("denied", PERP, Side::Buy, 1, 9_000)
    });
    let keys = ["rest-a", "in-a", "denied", "nobody", "rest-a"];
    let cancel = AccountInput::CancelOrders {
        keys: keys.map(key).into(),
        request_id: Some(request_id("k")),
        reason_code: ReasonCode::CanceledByUser,
    };
    let outcomes = |world: &World| match &world.effects.reply {
        Some(Reply::Outcomes(outcomes)) => outcomes
            .iter()
            .map(|outcome| match &outcome.result {
                Ok(_) => "taken".to_owned(),
                Err(Refusal::OrderClosed(status)) => (*status).to_owned(),
                Err(refusal) => format!("{refusal:?}"),
            })
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let expected = ["taken", "FILLED", "DENIED", "OrderNotFound", "taken"];
    world.apply(cancel.clone());
    assert_eq!(outcomes(&world), expected);
    world.ended("rest-a", 0);
    world.apply(cancel);
    assert!(world.events().is_empty());
    assert_eq!(outcomes(&world), expected);
    world.assert_recovers();
}

#[test]
fn how_a_closing_stands_is_told_by_its_request() {
    let mut world = two_strategies();
    let scope = CloseScope {
        strategy_id: Some(StrategyId::new("a").unwrap()),
        ..CloseScope::default()
    };
    assert_eq!(world.account.closing(&request_id("c")), None);
    world.apply(close(scope.clone(), "c"));
    let taken = world.account.sequence() - 1;
    let state = world.account.closing(&request_id("c")).unwrap();
    assert_eq!((state.taken, state.ended), (taken, None));
    world.ended("rest-a", 0);
    let order = format!("C{taken}-0");
    let state = world.account.closing(&request_id("c")).unwrap();
    let ids: Vec<String> = state
        .orders
        .iter()
        .map(|order| order.request.client_order_id.to_string())
        .collect();
    assert_eq!((ids, state.ended), (vec![order.clone()], None));
    world.fill(&order, "x9", 10, 10_000);
    let state = world.account.closing(&request_id("c")).unwrap();
    let (outcome, sequence, _) = state.ended.unwrap();
    assert_eq!(
        (outcome, sequence),
        (CloseOutcome::Flat, world.account.sequence())
    );
    assert_eq!((state.scope, state.orders.len()), (scope, 1));
    world.assert_recovers();
}

#[test]
fn an_instrument_that_is_not_known_cannot_be_closed() {
    let mut world = World::small();
    let scope = CloseScope {
        instrument_id: Some(id("X.Y")),
        ..CloseScope::default()
    };
    world.apply(close(scope, "c"));
    assert!(matches!(world.refusal(), Refusal::UnknownInstrument(_)));
    assert_eq!(world.now, UnixNanos(world.now.0));
}
