//! What the account is told besides orders and reports, and what follows from it.

use super::*;
use crate::context::Context;
use crate::list_request::{ListRequest, OrderChange};
use crate::testing::{lacking, ohlc};
use apex_domain::Money;
use apex_domain::order::{OrderStatus, SelfTradePrevention, SubmitOrder};
use apex_domain::risk::{Limits, TradingState, WideLimits};
use apex_domain::time::NANOS_PER_SECOND;

const SECOND: i64 = NANOS_PER_SECOND;

type Act = fn(&mut Context<'_>);

/// Acts on the bars whose number is named, from 0.
fn on_bars(acts: Vec<(usize, Act)>) -> OnBar {
    let mut number = 0;
    Box::new(move |ctx, _| {
        for (at, act) in &acts {
            if *at == number {
                act(ctx);
            }
        }
        number += 1;
    })
}

fn kinds(world: &World) -> Vec<String> {
    let name = |recorded: &apex_domain::event::Recorded| {
        let text = format!("{:?}", recorded.event);
        let name = text.split([' ', '{']).next().unwrap_or_default();
        format!("{} {name}", recorded.ts.0)
    };
    world.journal.iter().map(name).collect()
}

#[test]
fn an_order_ends_at_its_very_time_though_no_data_comes_then() {
    let mut world = World::listing(FillModel::BarClose, lacking());
    let act: Act = |ctx| {
        let order = OrderRequest::limit(instrument_id(), Side::Buy, Quantity(1), Price(50));
        ctx.submit(order.good_till(UnixNanos(700)));
    };
    world.add("a", on_bars(vec![(0, act)]), quiet_timer());
    world.run([bar(1, 100), bar(10 * SECOND, 40)]);
    let ended = kinds(&world).split_off(6);
    assert_eq!(ended, ["700 OrderPendingCancel", "700 OrderExpired"]);
    let order = world.account.orders().next().unwrap();
    assert_eq!(order.status, OrderStatus::Expired);
    assert_eq!(order.reason_code, Some(ReasonCode::TimeOver));
}

#[test]
fn the_account_is_told_the_time_once_a_second_and_the_market_where_it_matters() {
    let mut world = World::listing(FillModel::BarClose, lacking());
    let stop: Act = |ctx| {
        ctx.submit(OrderRequest::stop(
            instrument_id(),
            Side::Sell,
            Quantity(1),
            Price(90),
        ));
    };
    world.add("a", on_bars(vec![(2, stop)]), quiet_timer());
    world.step.start(UnixNanos(0));
    let mut told = Vec::new();
    for ts in [0, SECOND / 2, SECOND, SECOND + 1, 5 * SECOND] {
        world.step.push_market(bar(ts, 100));
        while let Some(Due::Input(now, input)) = world.step.poll() {
            match &input {
                AccountInput::Tick => told.push(format!("tick {}", now.0)),
                AccountInput::Market { .. } => told.push(format!("market {}", now.0)),
                AccountInput::Submit { .. } => told.push(format!("submit {}", now.0)),
                _ => {}
            }
            let effects = world.apply(now, input);
            world.step.on_effects(&effects);
        }
    }
    // The stop is asked for at one second, and a flat bar shows one price.
    assert_eq!(
        told,
        [
            "tick 0",
            "market 1000000000",
            "submit 1000000000",
            "tick 1000000000",
            "market 1000000001",
            "market 5000000000",
        ]
    );
}

#[test]
fn a_loss_limit_stops_trading_before_the_next_data() {
    let mut world = World::new(FillModel::BarClose);
    let limits = Limits {
        allow_short_spot: true,
        wide: WideLimits {
            max_daily_loss: Some(Money::parse("2").unwrap()),
            ..WideLimits::default()
        },
        ..Limits::default()
    };
    let limits = AccountInput::SetLimits {
        request_id: None,
        limits: Box::new(limits),
        expected_sequence: None,
    };
    let effects = world.apply(UnixNanos(0), limits);
    world.step.on_effects(&effects);
    let buy: Act = |ctx| drop(ctx.target(&instrument_id(), 10));
    world.add("a", on_bars(vec![(0, buy)]), quiet_timer());
    let bars = [(1, 100), (2, 90), (3, 80), (4, 80)];
    world.run(bars.map(|(ts, price)| bar(ts * SECOND, price)));
    // Ten of 0.20: known with the bar of the third second, acted on before the fourth.
    assert_eq!(world.account.trading_state(), TradingState::Halted);
    let halted = kinds(&world).pop();
    assert_eq!(halted.as_deref(), Some("3000000000 TradingStateChanged"));
}

#[test]
fn a_closing_cancels_what_works_and_sells_what_is_held() {
    let mut world = World::listing(FillModel::BarClose, lacking());
    let enter: Act = |ctx| {
        let id = instrument_id();
        ctx.target(&id, 5);
        ctx.submit(OrderRequest::limit(
            id.clone(),
            Side::Buy,
            Quantity(3),
            Price(10),
        ));
        ctx.submit(OrderRequest::stop(id, Side::Sell, Quantity(5), Price(20)));
    };
    let close: Act = |ctx| {
        assert_eq!(ctx.close(&instrument_id()).as_str(), "a-4");
    };
    world.add("a", on_bars(vec![(0, enter), (1, close)]), quiet_timer());
    world.run([bar(1, 100), bar(2, 110), bar(3, 120)]);
    assert_eq!(world.account.net_position(&instrument_id()), 0);
    assert_eq!(world.account.working_orders().count(), 0);
    let last = world.account.orders().next_back().unwrap();
    assert_eq!(last.request.client_order_id.as_str(), "a-4");
    assert_eq!(last.filled_quantity, Quantity(5));
    let ledger = world.step.runner(&strategy_id("a")).unwrap().ledger();
    assert_eq!(
        (
            ledger.position(&instrument_id()),
            ledger.working(&instrument_id())
        ),
        (0, 0)
    );
}

#[test]
fn a_stop_that_is_amended_triggers_at_its_new_price() {
    let mut world = World::listing(FillModel::BarClose, lacking());
    let enter: Act = |ctx| {
        ctx.submit(OrderRequest::stop(
            instrument_id(),
            Side::Sell,
            Quantity(1),
            Price(50),
        ));
    };
    let amend: Act = |ctx| {
        let id = ctx
            .working_orders()
            .next()
            .unwrap()
            .request
            .client_order_id
            .clone();
        let stop_price = Some(Price(95));
        let change = OrderChange {
            stop_price,
            ..OrderChange::default()
        };
        ctx.amend(&id, change);
    };
    world.add("a", on_bars(vec![(0, enter), (1, amend)]), quiet_timer());
    world.run([
        bar(1, 100),
        bar(2, 100),
        ohlc(3, 100, 100, 94, 97),
        bar(4, 97),
    ]);
    let order = world.account.orders().next().unwrap();
    assert_eq!(
        (order.status, order.stop_price),
        (OrderStatus::Filled, Some(Price(95)))
    );
    assert_eq!(
        world.account.executions()[0].execution.last_price,
        Price(97)
    );
}

#[test]
fn a_list_that_cannot_be_taken_comes_back_for_each_of_its_orders() {
    let mut world = World::new(FillModel::BarClose);
    let lines = world.add(
        "a",
        Box::new(|ctx, bar| {
            let id = &bar.instrument_id;
            let buy = OrderRequest::limit(id.clone(), Side::Buy, Quantity(1), Price(1));
            // Both exits would enter once more.
            ctx.bracket(buy.clone(), buy.clone(), buy.clone());
            assert_eq!(ctx.working(id), 1, "the exits wait");
            // Of a batch only what is wrong comes back.
            ctx.submit_list(ListRequest::batch(vec![
                buy.clone(),
                buy.iceberg(Quantity(2)),
            ]));
        }),
        quiet_timer(),
    );
    world.run([bar(1, 100)]);
    let heard: Vec<String> = heard(&lines).split_off(2);
    let side = "orders[1].side must be the other one than that of the entry, orders[0]: an exit \
                leaves the position that it enters";
    assert_eq!(
        heard,
        [
            format!("refused a-2: {side}"),
            format!("refused a-3: {side}"),
            format!("refused a-4: {side}"),
            "refused a-7: display_quantity must be above zero and not above quantity".to_owned(),
        ]
    );
    let ledger = world.step.runner(&strategy_id("a")).unwrap().ledger();
    assert_eq!(
        ledger.working(&instrument_id()),
        1,
        "the other one of the batch"
    );
}

#[test]
fn a_target_stays_reached_while_the_legs_of_a_bracket_wait_and_counts_them_once_they_work() {
    let mut world = World::listing(FillModel::BarClose, lacking());
    let enter: Act = |ctx| {
        let id = instrument_id();
        ctx.bracket(
            OrderRequest::limit(id.clone(), Side::Buy, Quantity(4), Price(90)),
            OrderRequest::limit(id.clone(), Side::Sell, Quantity(4), Price(120)),
            OrderRequest::stop(id.clone(), Side::Sell, Quantity(4), Price(80)),
        );
        assert_eq!(ctx.target(&id, 4), None, "asked for");
    };
    let waits: Act = |ctx| {
        assert_eq!(ctx.target(&instrument_id(), 4), None, "the entry works");
    };
    let works: Act = |ctx| {
        assert_eq!(ctx.position(&instrument_id()), 4);
        assert_eq!(ctx.target(&instrument_id(), 0), None, "one exit will do it");
    };
    world.add(
        "a",
        on_bars(vec![(0, enter), (1, waits), (2, works)]),
        quiet_timer(),
    );
    world.run([bar(1, 100), bar(2, 100), bar(3, 90), bar(4, 90)]);
    assert_eq!(world.notes(), [""; 0]);
    assert_eq!(
        world.account.orders().len(),
        3,
        "no target ordered anything"
    );
}

#[test]
fn every_term_reaches_the_account() {
    let id = instrument_id;
    let base = || OrderRequest::limit(id(), Side::Buy, Quantity(9), Price(5));
    let built = |order: OrderRequest| {
        let id = ClientOrderId::new("x").unwrap();
        order.with_ids(id, strategy_id("a"))
    };
    let valid = |order: &SubmitOrder| apex_domain::order::validate::validate(order);
    for order in [
        base()
            .iceberg(Quantity(2))
            .post_only()
            .day()
            .extended_hours(),
        base().notional(Money::parse("10").unwrap()),
        base().self_trade_prevention(SelfTradePrevention::ExpireBoth),
        OrderRequest::market_to_limit(id(), Side::Sell, Quantity(1)).reduce_only(),
        OrderRequest::stop_limit(id(), Side::Sell, Quantity(1), Price(4), Price(3)),
        OrderRequest::market_if_touched(id(), Side::Sell, Quantity(1), Price(4)),
        OrderRequest::limit_if_touched(id(), Side::Sell, Quantity(1), Price(4), Price(5)),
        OrderRequest::trailing_stop(
            id(),
            Side::Sell,
            Quantity(1),
            apex_domain::order::TrailingOffset::Bps(50),
        )
        .activation_price(Price(7))
        .trigger(apex_domain::order::TriggerType::Mark)
        .tags("x"),
    ] {
        let order = built(order);
        assert_eq!(valid(&order), Ok(()), "{order:?}");
    }
    assert!(valid(&built(base().notional(Money::ZERO))).is_err());
}
