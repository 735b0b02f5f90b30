//! Submit, amend and cancel.

use super::support::*;
use crate::account::{AccountInput, CancelFilter, Refusal, Reply};
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::{AmendOrder, Misfit, OrderStatus};
use crate::risk::{ReasonCode, TradingState};
use crate::venue::{VenueCommand, VenueReport};

#[test]
fn an_order_goes_from_submit_to_position() {
    let mut world = World::ready();
    world.submit(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    assert_eq!(world.events(), ["OrderInitialized", "OrderSubmitted"]);
    assert_eq!(world.replied_order().status, OrderStatus::Submitted);
    assert!(matches!(world.commands(), [VenueCommand::New(order)]
        if order.quantity == Quantity(1_000) && order.limit_price == Some(Price(10_000))));
    world.accept("a");
    assert_eq!(world.state("a"), OrderStatus::Accepted);
    world.fill("a", "x1", 400, 10_000);
    assert_eq!(world.state("a"), OrderStatus::PartiallyFilled);
    world.fill("a", "x2", 600, 9_990);
    assert_eq!(world.state("a"), OrderStatus::Filled);
    assert_eq!(world.account.net_position(&id(SPOT)), 1_000);
    // 40 + 59.94 and 0.1 % of it.
    assert_eq!(world.cash_of("USDT"), money("9899.96006"));
    assert_eq!(world.order("a").filled_notional, money("99.94"));
    world.assert_recovers();
}

#[test]
fn an_order_id_is_made_of_account_and_sequence() {
    let mut world = World::ready();
    let sequence = world.account.sequence() + 1;
    world.submit(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    let order_id = world.order("a").order_id;
    assert_eq!(order_id.as_str(), format!("paper-{sequence}"));
    let key = crate::order::OrderKey::OrderId(order_id);
    assert!(world.account.order(&key).is_some());
}

#[test]
fn a_repeated_client_order_id_answers_the_same_order() {
    let mut world = World::ready();
    let request = limit("a", SPOT, Side::Buy, 1_000, 10_000);
    world.working(request.clone());
    world.submit(request.clone());
    assert_eq!(world.replied_order().status, OrderStatus::Accepted);
    assert!(world.events().is_empty() && world.commands().is_empty());
    let mut other = request;
    other.quantity = Quantity(2_000);
    world.submit(other);
    assert_eq!(world.refusal(), &Refusal::AlreadyExists(cid("a")));
    assert!(world.events().is_empty());
}

#[test]
fn a_denied_order_is_kept_and_answers_the_same_again() {
    let mut world = World::ready();
    let request = limit("a", SPOT, Side::Buy, 1_000_001, 10_000);
    world.submit(request.clone());
    assert_eq!(world.events(), ["OrderInitialized", "OrderDenied"]);
    assert!(world.commands().is_empty());
    let order = world.replied_order().clone();
    assert_eq!(order.status, OrderStatus::Denied);
    assert_eq!(order.reason_code, Some(ReasonCode::MaxQuantity));
    assert_eq!(order.canceled_quantity, order.quantity);
    world.submit(request);
    assert_eq!(world.replied_order(), &order);
    assert!(world.events().is_empty());
}

#[test]
fn what_no_order_can_be_is_refused_without_an_event() {
    let mut world = World::ready();
    world.submit(limit("a", "ETHUSDT.SIM", Side::Buy, 1, 1));
    assert_eq!(
        world.refusal(),
        &Refusal::UnknownInstrument(id("ETHUSDT.SIM"))
    );
    let mut no_price = limit("a", SPOT, Side::Buy, 1_000, 0);
    no_price.limit_price = None;
    let mut priced = market_order("a", SPOT, Side::Buy, 1_000);
    priced.limit_price = Some(Price(1));
    let none = limit("a", SPOT, Side::Buy, 0, 10_000);
    for (request, expected) in [
        (no_price, "limit_price"),
        (priced, "limit_price"),
        (none, "quantity"),
    ] {
        world.submit(request);
        assert!(matches!(world.refusal(), Refusal::Invalid { field, .. } if *field == expected));
        assert!(world.events().is_empty());
    }
}

#[test]
fn a_number_finer_than_the_instrument_is_denied_and_kept() {
    let mut world = World::ready();
    let mut request = limit("a", SPOT, Side::Buy, 0, 10_000);
    request.misfit = Some(Misfit::Quantity("0.0001".to_owned()));
    world.submit(request);
    let order = world.replied_order();
    assert_eq!(order.status, OrderStatus::Denied);
    assert_eq!(order.reason_code, Some(ReasonCode::QuantityIncrement));
}

#[test]
fn an_amend_waits_for_the_venue() {
    let mut world = World::ready();
    world.working(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    world.amend("a", Some(2_000), Some(9_900));
    assert_eq!(world.events(), ["OrderPendingAmend"]);
    assert_eq!(world.replied_order().status, OrderStatus::PendingAmend);
    assert_eq!(world.replied_order().quantity, Quantity(1_000));
    // At worst the larger quantity at the higher price is bought.
    let reserved = world.account.exposure(&id(SPOT)).buy;
    assert_eq!((reserved.quantity, reserved.notional), (2_000, 20_000_000));
    world.amend("a", Some(3_000), None);
    assert_eq!(world.refusal(), &Refusal::ChangePending);
    let now = world.now;
    world.report(VenueReport::Amended {
        client_order_id: cid("a"),
        quantity: Quantity(2_000),
        limit_price: Some(Price(9_900)),
        ts_event: now,
        stop_price: None,
    });
    let order = world.order("a");
    assert_eq!(order.status, OrderStatus::Accepted);
    assert_eq!(order.leaves_quantity, Quantity(2_000));
    assert_eq!(order.limit_price, Some(Price(9_900)));
    world.assert_recovers();
}

#[test]
fn tc_l02_a_refused_amend_restores_the_state_before_it() {
    let mut world = World::ready();
    world.working(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    world.fill("a", "x1", 400, 10_000);
    world.amend("a", Some(500), None);
    let now = world.now;
    world.report(VenueReport::AmendRejected {
        client_order_id: cid("a"),
        text: "too late".to_owned(),
        ts_event: now,
    });
    assert_eq!(world.state("a"), OrderStatus::PartiallyFilled);
    assert_eq!(world.order("a").quantity, Quantity(1_000));
}

#[test]
fn amends_that_cannot_be_are_refused_without_an_event() {
    let mut world = World::ready();
    world.working(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    world.fill("a", "x1", 400, 10_000);
    let sequence = world.order("a").sequence;
    world.amend("a", Some(400), None);
    assert!(matches!(world.refusal(), Refusal::Invalid { field, .. } if *field == "quantity"));
    world.amend("a", Some(1_000_000), None);
    assert!(matches!(
        world.refusal(),
        Refusal::Rule {
            code: ReasonCode::InsufficientBuyingPower,
            ..
        }
    ));
    world.amend("missing", Some(1), None);
    assert_eq!(world.refusal(), &Refusal::OrderNotFound);
    let market = market(9_999, 10_001, world.now);
    world.apply(AccountInput::Amend {
        request: AmendOrder {
            key: key("a"),
            request_id: request_id("r"),
            quantity: Some(Quantity(900)),
            limit_price: None,
            expected_sequence: Some(sequence - 1),
            stop_price: None,
        },
        market,
    });
    assert_eq!(
        world.refusal(),
        &Refusal::StaleSequence {
            expected: sequence - 1,
            actual: sequence
        }
    );
    world.fill("a", "x2", 600, 10_000);
    world.amend("a", Some(2_000), None);
    assert_eq!(world.refusal(), &Refusal::OrderClosed("FILLED"));
    assert_eq!(world.order("a").sequence, world.account.sequence());
}

#[test]
fn a_cancel_waits_for_the_venue_and_is_asked_for_once() {
    let mut world = World::ready();
    world.working(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    world.cancel("a");
    assert_eq!(world.events(), ["OrderPendingCancel"]);
    assert!(matches!(world.commands(), [VenueCommand::Cancel { .. }]));
    world.cancel("a");
    assert!(world.events().is_empty() && world.commands().is_empty());
    assert_eq!(world.replied_order().status, OrderStatus::PendingCancel);
    world.ended("a", 0);
    let order = world.order("a");
    assert_eq!(order.status, OrderStatus::Canceled);
    assert_eq!(order.reason_code, Some(ReasonCode::CanceledByUser));
    world.cancel("a");
    assert_eq!(world.refusal(), &Refusal::OrderClosed("CANCELED"));
}

#[test]
fn tc_l03_a_refused_cancel_restores_the_state_before_it() {
    let mut world = World::ready();
    world.working(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    world.amend("a", Some(900), None);
    world.cancel("a");
    let now = world.now;
    world.report(VenueReport::CancelRejected {
        client_order_id: cid("a"),
        text: "no".to_owned(),
        ts_event: now,
    });
    assert_eq!(world.state("a"), OrderStatus::PendingAmend);
    assert!(matches!(world.commands(), [VenueCommand::Query { .. }]));
}

#[test]
fn an_order_of_unknown_outcome_can_be_canceled() {
    let mut world = World::ready();
    world.submit(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    world.apply(AccountInput::SessionLost {
        reason_code: ReasonCode::NoAnswer,
    });
    assert_eq!(world.state("a"), OrderStatus::Unknown);
    world.amend("a", Some(900), None);
    assert_eq!(world.refusal(), &Refusal::ChangePending);
    world.cancel("a");
    assert_eq!(world.state("a"), OrderStatus::PendingCancel);
    world.not_found("a", true);
    let order = world.order("a");
    assert_eq!(order.status, OrderStatus::Canceled);
    assert_eq!(order.reason_code, Some(ReasonCode::NotAtVenue));
    world.assert_recovers();
}

#[test]
fn cancel_all_takes_what_the_filter_names() {
    let mut world = World::ready();
    world.working(limit("a", SPOT, Side::Buy, 100, 10_000));
    world.working(limit("b", PERP, Side::Buy, 100, 10_000));
    world.working(limit("c", PERP, Side::Sell, 100, 10_100));
    let mut cancel = |filter: CancelFilter| {
        world.apply(AccountInput::CancelAll {
            filter,
            reason_code: ReasonCode::CanceledByRisk,
            request_id: None,
        });
        let Some(Reply::Orders(orders)) = &world.effects.reply else {
            panic!("expected orders");
        };
        let ids = orders.iter().map(|o| o.request.client_order_id.to_string());
        (ids.collect::<Vec<_>>(), world.effects.commands.len())
    };
    let perp_sells = CancelFilter {
        instrument_id: Some(id(PERP)),
        side: Some(Side::Sell),
        ..CancelFilter::default()
    };
    assert_eq!(cancel(perp_sells), (vec!["c".to_owned()], 1));
    let (ids, commands) = cancel(CancelFilter::default());
    assert_eq!((ids.len(), commands), (3, 2));
}

#[test]
fn a_repeated_request_id_gives_the_same_answer() {
    let mut world = World::ready();
    let pay = |amount: &str| AccountInput::AdjustCash {
        request_id: Some(request_id("pay-1")),
        currency: currency("USDT"),
        amount: money(amount),
        reason: "gift".to_owned(),
    };
    world.apply(pay("5"));
    let first = world.effects.reply.clone();
    world.working(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    world.apply(pay("5"));
    assert_eq!(world.effects.reply, first);
    assert_eq!(world.cash_of("USDT"), money("10005"));
    world.apply(pay("6"));
    let taken = Refusal::RequestExists(request_id("pay-1"));
    assert_eq!(world.refusal(), &taken);
    world.apply(AccountInput::AdjustCash {
        request_id: Some(request_id("pay-1")),
        currency: currency("USDT"),
        amount: money("5"),
        reason: "other".to_owned(),
    });
    assert_eq!(world.refusal(), &taken, "the reason is content too");
    // Forgotten once an event shows that more than seven days passed, and it is none of the
    // newest any more: one wrong date alone does not do it.
    world.now = world.now.plus(8 * 24 * 3_600_000_000_000);
    let other = |number: usize| AccountInput::SetTradingState {
        request_id: Some(request_id(&format!("other-{number}"))),
        state: TradingState::Halted,
        by: "ops".to_owned(),
        reason: String::new(),
    };
    for number in 0..1_024 {
        world.apply(pay("6"));
        assert_eq!(world.refusal(), &taken, "behind {number} others");
        world.apply(other(number));
    }
    world.apply(pay("6"));
    assert_eq!(world.cash_of("USDT"), money("10011"));
    world.assert_recovers();
}

/// What a repeat of an amend of `a` to 1,500 comes to: `same`, or `taken`.
fn repeated_amend(client: &str, quantity: Option<i64>, price: Option<i64>) -> &'static str {
    let mut world = World::ready();
    for client in ["a", "b"] {
        world.working(limit(client, SPOT, Side::Buy, 1_000, 10_000));
    }
    let amend = |client: &str, quantity: Option<i64>, price: Option<i64>| AccountInput::Amend {
        request: AmendOrder {
            key: key(client),
            request_id: request_id("r"),
            quantity: quantity.map(Quantity),
            limit_price: price.map(Price),
            stop_price: None,
            expected_sequence: None,
        },
        market: market(9_999, 10_001, crate::UnixNanos(1)),
    };
    world.apply(amend("a", Some(1_500), None));
    assert_eq!(world.events(), ["OrderPendingAmend"]);
    world.apply(amend(client, quantity, price));
    assert!(world.events().is_empty());
    world.assert_recovers();
    match &world.effects.reply {
        Some(Reply::Order(_)) => "same",
        Some(Reply::Refused(Refusal::RequestExists(_))) => "taken",
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_amend_is_the_same_by_what_it_comes_to() {
    for (client, quantity, price, expected) in [
        ("a", Some(1_500), None, "same"),
        ("a", Some(1_500), Some(10_000), "same"),
        ("a", Some(1_600), None, "taken"),
        ("a", Some(1_500), Some(10_001), "taken"),
        ("a", None, None, "taken"),
        ("b", Some(1_500), None, "taken"),
    ] {
        let found = repeated_amend(client, quantity, price);
        assert_eq!(found, expected, "{client} {quantity:?} {price:?}");
    }
}

#[test]
fn a_cancel_of_another_order_needs_another_request_id() {
    let mut world = World::ready();
    for client in ["a", "b"] {
        world.working(limit(client, SPOT, Side::Buy, 1_000, 10_000));
    }
    let cancel = |client: &str| AccountInput::Cancel {
        key: key(client),
        request_id: Some(request_id("r")),
        reason_code: ReasonCode::CanceledByUser,
    };
    world.apply(cancel("a"));
    world.apply(cancel("a"));
    assert!(world.events().is_empty());
    world.apply(cancel("b"));
    assert_eq!(world.refusal(), &Refusal::RequestExists(request_id("r")));
    assert_eq!(world.state("b"), OrderStatus::Accepted);
}

#[test]
fn limits_are_changed_only_from_what_the_caller_saw() {
    let mut world = World::ready();
    let sequence = world.account.limits_sequence();
    let set = |expected| AccountInput::SetLimits {
        request_id: None,
        limits: Box::default(),
        expected_sequence: Some(expected),
    };
    world.apply(set(sequence));
    assert_eq!(world.events(), ["LimitsSet"]);
    world.apply(set(sequence));
    let actual = world.account.limits_sequence();
    let stale = Refusal::StaleSequence {
        expected: sequence,
        actual,
    };
    assert_eq!(world.refusal(), &stale);
}

#[test]
fn tc_t01_a_halt_stops_orders_and_amends_and_lets_cancels_pass() {
    let mut world = World::ready();
    world.working(limit("a", SPOT, Side::Buy, 1_000, 10_000));
    world.apply(AccountInput::SetTradingState {
        request_id: None,
        state: TradingState::Halted,
        by: "ops".to_owned(),
        reason: "test".to_owned(),
    });
    world.submit(limit("b", SPOT, Side::Buy, 1_000, 10_000));
    assert_eq!(
        world.order("b").reason_code,
        Some(ReasonCode::TradingHalted)
    );
    world.amend("a", Some(900), None);
    assert!(matches!(
        world.refusal(),
        Refusal::Rule {
            code: ReasonCode::TradingHalted,
            ..
        }
    ));
    world.cancel("a");
    assert_eq!(world.state("a"), OrderStatus::PendingCancel);
}

#[test]
fn nothing_is_taken_before_the_account_is_open() {
    let mut world = World::opened();
    world.account = crate::Account::new();
    world.cancel("a");
    assert_eq!(world.refusal(), &Refusal::NotOpen);
    world.apply(AccountInput::Tick);
    assert!(world.effects.is_empty());
}

#[test]
fn a_definition_may_change_its_limits_and_not_its_units() {
    let mut world = World::ready();
    let define = |i| AccountInput::DefineInstrument(Box::new(i));
    world.apply(define(instrument(SPOT)));
    assert!(world.events().is_empty());
    let mut wider = instrument(SPOT);
    wider.max_quantity = Quantity(2_000_000);
    world.apply(define(wider));
    assert_eq!(world.events(), ["InstrumentDefined"]);
    let mut finer = instrument(SPOT);
    finer.quantity_decimals = 4;
    world.apply(define(finer));
    assert!(
        matches!(world.refusal(), Refusal::Invalid { field, .. } if *field == "quantity_decimals")
    );
}

#[test]
fn a_repeated_request_that_changed_nothing_does_not_undo_a_later_halt() {
    let mut world = World::ready();
    let mut set = |state, request: &str| {
        world.apply(AccountInput::SetTradingState {
            request_id: Some(request_id(request)),
            state,
            by: "ops".to_owned(),
            reason: String::new(),
        });
        world.account.trading_state()
    };
    set(TradingState::Active, "resume");
    assert_eq!(set(TradingState::Halted, "halt"), TradingState::Halted);
    assert_eq!(set(TradingState::Active, "resume"), TradingState::Halted);
    assert_eq!(set(TradingState::Active, "again"), TradingState::Active);
    world.assert_recovers();
}
