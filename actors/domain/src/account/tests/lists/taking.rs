//! How lists and batches are taken, denied, refused and repeated.

use super::PERP;
use super::SPOT;
use super::{
    AccountInput, Contingency, Price, Quantity, ReasonCode, Refusal, Reply, Side, SubmitList,
    SubmitOrder, TradingState, World, bracket, cid, exit, id, key, limit, list, request_id,
};
use crate::account::Account;
use crate::account::tests::support::{instrument, money};
use crate::order::{OrderStatus, OrderType, ReleaseRule, TrailingOffset};
use crate::risk::Limits;

#[test]
fn a_list_with_an_order_that_fails_is_denied_whole() {
    let mut orders = bracket();
    orders[2].terms.stop_price = Some(Price(9_500));
    orders[1].quantity = Quantity(2_000_000);
    let mut world = World::small();
    world.submit_list(list(Contingency::Bracket, orders));
    assert!(world.commands().is_empty());
    let codes: Vec<Option<ReasonCode>> = ["e", "t", "s"]
        .map(|client| world.order(client).reason_code)
        .into();
    assert_eq!(
        codes,
        [
            Some(ReasonCode::ListDenied),
            Some(ReasonCode::MaxQuantity),
            Some(ReasonCode::ListDenied)
        ]
    );
    world.assert_recovers();
}

#[test]
fn a_leg_passes_all_checks_when_it_leaves() {
    let mut world = World::small();
    world.submit_list(list(Contingency::Bracket, bracket()));
    world.step("accept e");
    // With this one the leg would turn the position, so that the limit binds it.
    world.submit(limit("other", PERP, Side::Sell, 10, 12_000));
    world.limits(Limits {
        max_order_notional: Some(money("0.01")),
        ..Limits::default()
    });
    world.step("fill e 10");
    assert_eq!(world.order("t").reason_code, Some(ReasonCode::MaxNotional));
    world.assert_recovers();
}

#[test]
fn legs_wait_while_trading_is_halted_and_leave_when_it_goes_on() {
    let mut world = World::small();
    world.submit_list(list(Contingency::Bracket, bracket()));
    world.step("accept e");
    let state = |world: &mut World, state| {
        world.apply(AccountInput::SetTradingState {
            request_id: None,
            state,
            by: "ops".to_owned(),
            reason: String::new(),
        });
    };
    state(&mut world, TradingState::Halted);
    world.step("fill e 10");
    world.show(10_000);
    assert_eq!(
        (world.sent(), world.state("t")),
        (String::new(), OrderStatus::PendingNew)
    );
    state(&mut world, TradingState::Active);
    assert_eq!(world.sent(), "new t Limit 10, new s Stop 10");
    world.assert_recovers();
}

#[test]
fn a_leg_without_a_price_to_be_measured_by_waits_for_one() {
    let mut world = World::small();
    let mut orders = bracket();
    orders[2].order_type = OrderType::TrailingStop;
    orders[2].terms.stop_price = None;
    orders[2].terms.trailing = Some(TrailingOffset::Price(Price(50)));
    world.submit_list(list(Contingency::Bracket, orders));
    world.step("accept e");
    // After a restart no price is known.
    world.account = Account::restore(&world.account.snapshot()).unwrap();
    world.step("fill e 10");
    assert_eq!(world.sent(), "new t Limit 10");
    assert_eq!(world.state("s"), OrderStatus::PendingNew);
    world.show(10_000);
    assert_eq!(world.sent(), "new s TrailingStop 10");
    world.assert_recovers();
}

#[test]
fn a_share_that_is_too_small_to_order_waits_for_more() {
    let mut world = World::small();
    let mut coarse = instrument(PERP);
    coarse.min_notional = money("0");
    coarse.min_quantity = Quantity(5);
    world.apply(AccountInput::DefineInstrument(Box::new(coarse)));
    let list = SubmitList {
        release: ReleaseRule::Partial,
        ..list(Contingency::Bracket, bracket())
    };
    world.submit_list(list);
    world.step("accept e");
    world.step("fill e 4");
    assert_eq!(world.sent(), "");
    world.step("fill e 2");
    assert_eq!(world.sent(), "new t Limit 6, new s Stop 6");
    world.assert_recovers();
}

#[test]
fn the_same_list_again_answers_the_same_orders() {
    let mut world = World::small();
    let asked = list(Contingency::Bracket, bracket());
    world.submit_list(asked.clone());
    let Some(Reply::Outcomes(first)) = world.effects.reply.clone() else {
        panic!("{:?}", world.effects.reply);
    };
    assert_eq!(first.len(), 3);
    world.submit_list(asked.clone());
    assert!(world.events().is_empty());
    assert_eq!(world.effects.reply, Some(Reply::Outcomes(first)));
    let other = SubmitList {
        cascade: false,
        ..asked
    };
    world.submit_list(other);
    assert!(matches!(world.refusal(), Refusal::ListExists(_)));
}

#[test]
fn a_list_that_is_not_well_formed_leaves_no_event() {
    let change = |change: fn(&mut Vec<SubmitOrder>)| {
        let mut orders = bracket();
        change(&mut orders);
        let mut world = World::small();
        world.submit_list(list(Contingency::Bracket, orders));
        assert!(world.events().is_empty());
        match world.refusal() {
            Refusal::Invalid { field, .. } => (*field).to_owned(),
            Refusal::InvalidOrder { place, field, .. } => format!("orders[{place}].{field}"),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(change(|orders| orders.truncate(1)), "orders");
    for (expected, wrong) in [
        (
            "orders[1].side",
            change(|orders| orders[1].side = Side::Buy),
        ),
        (
            "orders[2].side",
            change(|orders| orders[2].side = Side::Buy),
        ),
        (
            "orders[1].instrument_id",
            change(|orders| orders[1].instrument_id = id(SPOT)),
        ),
        (
            "orders[2].limit_price",
            change(|orders| orders[2].limit_price = Some(Price(1))),
        ),
        (
            "orders[0].notional",
            change(|orders| {
                orders[0].quantity = Quantity::ZERO;
                orders[0].terms.notional = Some(money("10"));
            }),
        ),
    ] {
        assert_eq!(wrong, expected);
    }
    let twice = change(|orders| orders[2].client_order_id = cid("t"));
    assert_eq!(twice, "AlreadyExists(\"t\")");
}

#[test]
fn a_batch_has_an_outcome_for_each_order() {
    let mut world = World::small();
    world.working(exit("known", 11_000));
    let orders = vec![
        limit("good", PERP, Side::Buy, 10, 10_000),
        limit("large", PERP, Side::Buy, 2_000_000, 10_000),
        limit("known", PERP, Side::Buy, 1, 10_000),
        limit("elsewhere", "X.Y", Side::Buy, 1, 1),
    ];
    world.submit_list(list(Contingency::None, orders));
    let Some(Reply::Outcomes(outcomes)) = &world.effects.reply else {
        panic!("{:?}", world.effects.reply);
    };
    let said: Vec<String> = outcomes
        .iter()
        .map(|outcome| match &outcome.result {
            Ok(order) => order.status.as_str().to_owned(),
            Err(refusal) => name_of(refusal),
        })
        .collect();
    assert_eq!(
        said,
        ["SUBMITTED", "DENIED", "AlreadyExists", "UnknownInstrument"]
    );
    assert_eq!(world.sent(), "new good Limit 10");

    let keys = ["good", "large", "known", "never"].map(key).to_vec();
    world.apply(AccountInput::CancelOrders {
        keys,
        request_id: Some(request_id("c1")),
        reason_code: ReasonCode::CanceledByUser,
    });
    let Some(Reply::Outcomes(outcomes)) = &world.effects.reply else {
        panic!("{:?}", world.effects.reply);
    };
    let said: Vec<bool> = outcomes
        .iter()
        .map(|outcome| outcome.result.is_ok())
        .collect();
    assert_eq!(said, [true, false, true, false]);
    assert_eq!(world.sent(), "cancel good, cancel known");
    world.assert_recovers();
}

fn name_of(refusal: &Refusal) -> String {
    let text = format!("{refusal:?}");
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

#[test]
fn each_order_of_a_list_counts_for_the_rate() {
    for (max, sent) in [(2, ""), (3, "new e Limit 10")] {
        for contingency in [Contingency::Bracket, Contingency::Oto] {
            let mut world = World::small();
            world.limits(Limits {
                max_orders_per_second: Some(max),
                ..Limits::default()
            });
            world.submit_list(list(contingency, bracket()));
            assert_eq!(world.sent(), sent, "{contingency:?} at {max}");
        }
    }
    let mut world = World::small();
    world.limits(Limits {
        max_orders_per_second: Some(1),
        ..Limits::default()
    });
    world.submit_list(list(
        Contingency::Oco,
        vec![exit("a", 11_000), exit("b", 12_000)],
    ));
    assert_eq!(world.order("a").reason_code, Some(ReasonCode::ListDenied));
    assert_eq!(world.order("b").reason_code, Some(ReasonCode::OrderRate));
}

/// 10,000 USDT, an initial margin of a tenth: a contract worth 200,000 needs 20,000.
#[test]
fn exits_that_will_wait_do_not_hide_what_their_entry_needs() {
    for contingency in [Contingency::Bracket, Contingency::Oto] {
        let mut world = World::ready();
        let orders = bracket().into_iter().map(|order| SubmitOrder {
            quantity: Quantity(900_000),
            ..order
        });
        world.submit_list(list(contingency, orders.collect()));
        assert_eq!(
            world.order("e").reason_code,
            None,
            "90,000 and its fee are covered"
        );
        let mut world = World::ready();
        let orders = bracket().into_iter().map(|order| SubmitOrder {
            quantity: Quantity(1_000_000),
            ..order
        });
        world.submit_list(list(contingency, orders.collect()));
        assert_eq!(
            world.order("e").reason_code,
            Some(ReasonCode::InsufficientBuyingPower),
            "{contingency:?}"
        );
    }
}
