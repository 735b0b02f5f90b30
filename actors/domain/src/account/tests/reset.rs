//! A paper account starts over.

use super::support::*;
use crate::account::{AccountInput, PaperReset, Refusal, Reply};
use crate::event::AccountMode;
use crate::market::Side;
use crate::number::Price;
use crate::risk::{Limits, MarketView, ReasonCode, TradingState, WideLimits};

fn reset(request: &str, cash: &[(&str, &str)]) -> AccountInput {
    let cash = cash
        .iter()
        .map(|(unit, amount)| (currency(unit), money(amount)));
    AccountInput::ResetPaper(PaperReset {
        request_id: Some(request_id(request)),
        cash: cash.collect(),
        by: "ops".to_owned(),
    })
}

fn reply(world: &World) -> Reply {
    world.effects.reply.clone().unwrap()
}

#[test]
fn cash_goes_back_to_the_opening_in_one_unit_and_the_past_stays() {
    let mut world = World::small();
    world.working(limit("a", PERP, Side::Buy, 1_000, 10_000));
    world.fill("a", "x1", 1_000, 10_000);
    world.working(limit("b", PERP, Side::Sell, 1_000, 9_000));
    world.fill("b", "x2", 1_000, 9_000);
    world.cash("BTC", "3");
    let realized = world.account.realized_pnl().clone();
    world.apply(reset("r", &[("USDT", "10000")]));
    assert_eq!(
        world.events(),
        ["TradingStateChanged", "CashAdjusted", "CashAdjusted"]
    );
    assert_eq!(world.cash_of("USDT"), money("10000"));
    assert_eq!(world.cash_of("BTC"), money("0"));
    assert_eq!(*world.account.realized_pnl(), realized);
    assert_eq!(world.account.executions().len(), 2);
    assert_eq!(world.account.trading_state(), TradingState::Active);
    world.assert_recovers();
}

#[test]
fn a_repeated_reset_pays_nothing_again() {
    let mut world = World::small();
    world.apply(reset("r", &[("USDT", "500")]));
    let first = reply(&world);
    world.cash("USDT", "7");
    world.apply(reset("r", &[("USDT", "500")]));
    assert_eq!((reply(&world), world.events().len()), (first, 0));
    assert_eq!(world.cash_of("USDT"), money("507"));
    // Nothing had to move: the id is remembered all the same.
    world.apply(reset("s", &[("USDT", "507")]));
    assert_eq!(world.events(), ["TradingStateChanged"]);
    world.cash("USDT", "1");
    world.apply(reset("s", &[("USDT", "507")]));
    assert_eq!(world.cash_of("USDT"), money("508"));
}

#[test]
fn an_id_of_another_request_is_refused() {
    let mut world = World::small();
    world.apply(AccountInput::AdjustCash {
        request_id: Some(request_id("r")),
        currency: currency("USDT"),
        amount: money("1"),
        reason: String::new(),
    });
    world.apply(reset("r", &[]));
    assert_eq!(*world.refusal(), Refusal::RequestExists(request_id("r")));
    world.apply(reset("s", &[("USDT", "5")]));
    world.apply(AccountInput::AdjustCash {
        request_id: Some(request_id("s")),
        currency: currency("USDT"),
        amount: money("1"),
        reason: String::new(),
    });
    assert_eq!(*world.refusal(), Refusal::RequestExists(request_id("s")));
}

#[test]
fn what_works_or_is_held_refuses_a_reset() {
    let mut world = World::small();
    world.working(limit("a", PERP, Side::Buy, 1_000, 10_000));
    world.apply(reset("r", &[("USDT", "1")]));
    let not_idle = |positions, working_orders| Refusal::NotIdle {
        positions,
        working_orders,
    };
    assert_eq!(*world.refusal(), not_idle(0, 1));
    world.fill("a", "x1", 1_000, 10_000);
    world.apply(reset("r", &[("USDT", "1")]));
    assert_eq!(*world.refusal(), not_idle(1, 0));
    assert!(world.effects.events.is_empty());
}

#[test]
fn only_a_paper_account_is_reset() {
    let mut world = World::small();
    world.account = crate::account::Account::new();
    world.apply(AccountInput::Open {
        account_id: crate::AccountId::new("live").unwrap(),
        base_currency: currency("USDT"),
        mode: AccountMode::Live,
    });
    world.apply(reset("r", &[("USDT", "1")]));
    let code = match world.refusal() {
        Refusal::Rule { code, .. } => *code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code, ReasonCode::Unsupported);
}

#[test]
fn losses_are_measured_from_the_reset_on() {
    let mut world = World::small();
    let wide = WideLimits {
        max_daily_loss: Some(money("100")),
        ..WideLimits::default()
    };
    world.limits(Limits {
        wide,
        ..Limits::default()
    });
    let instrument_id = id(PERP);
    let price = Some(Price(10_000));
    let ts = world.now;
    world.apply(AccountInput::Market {
        instrument_id,
        view: MarketView {
            bid: price,
            ask: price,
            last: price,
            last_ts: ts,
            mark: price,
            ts,
        },
    });
    world.apply(AccountInput::Tick);
    assert_eq!(world.events(), ["EquityMarked"], "the day begins at 10,000");
    // A loss of 60 by a round trip, and the payment of the reset is none that makes up for it.
    world.working(limit("a", PERP, Side::Buy, 1_000, 10_000));
    world.fill("a", "x1", 1_000, 10_000);
    world.working(limit("b", PERP, Side::Sell, 1_000, 4_000));
    world.fill("b", "x2", 1_000, 4_000);
    world.apply(reset("r", &[("USDT", "10000")]));
    assert_eq!(
        world.events(),
        ["TradingStateChanged", "CashAdjusted", "EquityMarked"]
    );
    // Another 60 is within the limit again.
    world.working(limit("c", PERP, Side::Buy, 1_000, 10_000));
    world.fill("c", "x3", 1_000, 10_000);
    world.working(limit("d", PERP, Side::Sell, 1_000, 4_000));
    world.fill("d", "x4", 1_000, 4_000);
    world.apply(AccountInput::Tick);
    assert_eq!(world.account.trading_state(), TradingState::Active);
    world.assert_recovers();
}
