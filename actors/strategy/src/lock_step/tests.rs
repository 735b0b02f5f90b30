mod orders;
mod world;

use super::*;
use crate::list_request::OrderChange;
use crate::order_request::OrderRequest;
use crate::runner::Budget;
use crate::testing::{account_id, bar, instrument, instrument_id, quote, strategy_id};
use apex_domain::event::Event;
use apex_domain::market::Side;
use apex_domain::matching::{BarFill, BarFillOptions, Delayed, FillModel, Latencies, LatencyModel};
use apex_domain::{Price, Quantity};
use std::sync::Mutex;
use world::{OnBar, OnTimer, Scripted, World};

fn quiet_timer() -> OnTimer {
    Box::new(|_, _| {})
}

fn quiet_bar() -> OnBar {
    Box::new(|_, _| {})
}

fn heard(lines: &Mutex<Vec<String>>) -> Vec<String> {
    lines.lock().unwrap().clone()
}

#[test]
fn fills_of_an_event_come_before_the_event_itself() {
    let mut world = World::new(FillModel::NextOpen);
    let lines = world.add(
        "a",
        Box::new(|ctx, bar| {
            ctx.target(&bar.instrument_id, 5);
        }),
        quiet_timer(),
    );
    world.run([bar(1, 100), bar(2, 200), bar(3, 300)]);
    world.step.stop();
    // With the fill of the second bar the strategy has seen the price of the first one only.
    assert_eq!(
        heard(&lines),
        [
            "start 0",
            "bar 1",
            "fill at 2 position 5 last 100",
            "bar 2",
            "bar 3",
            "stop"
        ]
    );
    assert_eq!(world.account.orders().len(), 1);
    assert_eq!(world.sequences, [1, 2], "accepted, then filled");
}

#[test]
fn a_report_comes_back_at_its_own_time_between_two_events() {
    let latencies = Latencies {
        to_venue: LatencyModel::Fixed(20),
        to_account: LatencyModel::Fixed(5),
        seed: 1,
    };
    let venue = BarFill::new(BarFillOptions::new(FillModel::BarClose), [instrument()]);
    let mut world = World::at(Box::new(Delayed::new(venue, latencies)));
    let lines = world.add(
        "a",
        Box::new(|ctx, bar| {
            ctx.target(&bar.instrument_id, 5);
        }),
        quiet_timer(),
    );
    world.run([bar(100, 100), bar(110, 200), bar(300, 300)]);
    // Decided at 100, at the venue at 120, after the second bar.
    assert_eq!(
        heard(&lines),
        [
            "start 0",
            "bar 100",
            "bar 110",
            "fill at 125 position 5 last 200",
            "bar 300"
        ]
    );
}

#[test]
fn what_is_not_subscribed_is_not_delivered_and_yet_moves_the_marks() {
    let mut world = World::new(FillModel::Touch);
    let lines = world.add("a", quiet_bar(), quiet_timer());
    world.run([quote(1, Some(90), Some(110))]);
    assert_eq!(heard(&lines), ["start 0"]);
    let market = world.step.market_ref(&instrument_id());
    assert_eq!(
        (market.bid, market.ask),
        (Some(Price(90)), Some(Price(110)))
    );
}

#[test]
fn the_clock_never_goes_back() {
    let mut world = World::new(FillModel::Touch);
    let lines = world.add("a", quiet_bar(), quiet_timer());
    world.run([bar(5, 100), bar(3, 100), bar(6, 100)]);
    assert_eq!(heard(&lines), ["start 0", "bar 5", "bar 5", "bar 6"]);
}

#[test]
fn nothing_comes_while_an_answer_is_outstanding() {
    let mut world = World::new(FillModel::BarClose);
    world.add(
        "a",
        Box::new(|ctx, bar| {
            ctx.target(&bar.instrument_id, 5);
            ctx.target(&bar.instrument_id, 7);
        }),
        quiet_timer(),
    );
    world.run([]);
    world.step.push_market(bar(1, 100));
    world.step.push_market(bar(2, 100));
    let Some(Due::Input(now, input)) = world.step.poll() else {
        panic!("nothing for the account");
    };
    assert!(world.step.poll().is_none());
    let effects = world.apply(now, input);
    world.step.on_effects(&effects);
    let Some(Due::Input(now, _)) = world.step.poll() else {
        panic!("nothing for the account");
    };
    assert_eq!(now, UnixNanos(1), "the first bar is not done yet");
}

#[test]
fn a_panic_puts_one_strategy_into_quarantine_and_cancels_its_orders() {
    let mut world = World::new(FillModel::NextOpen);
    let first = world.add(
        "bad",
        Box::new(|ctx, bar| {
            assert!(bar.ts_open.0 < 2, "cannot go on");
            let id = bar.instrument_id.clone();
            ctx.submit(OrderRequest::limit(id, Side::Buy, Quantity(1), Price(1)));
        }),
        quiet_timer(),
    );
    let second = world.add("good", quiet_bar(), quiet_timer());
    world.run([bar(1, 100), bar(2, 100), bar(3, 100)]);
    assert_eq!(heard(&first), ["start 0", "bar 1", "bar 2"]);
    assert_eq!(heard(&second), ["start 0", "bar 1", "bar 2", "bar 3"]);
    assert_eq!(world.account.working_orders().count(), 0);
    assert_eq!(
        world.notes(),
        ["bad: strategy was put into quarantine: it panicked: cannot go on"]
    );
    let status = world.step.runner(&strategy_id("bad")).unwrap().status();
    assert!(matches!(status, RunnerStatus::Quarantined { .. }));
}

#[test]
fn a_flood_of_commands_is_dropped_whole() {
    let mut world = World::new(FillModel::NextOpen);
    world.add(
        "flood",
        Box::new(|ctx, bar| {
            for _ in 0..1_001 {
                let id = bar.instrument_id.clone();
                ctx.submit(OrderRequest::market(id, Side::Buy, Quantity(1)));
            }
        }),
        quiet_timer(),
    );
    world.run([bar(1, 100)]);
    assert_eq!(world.account.orders().len(), 0);
    let ledger = world.step.runner(&strategy_id("flood")).unwrap().ledger();
    assert_eq!(ledger.working(&instrument_id()), 0);
    assert!(world.notes()[0].contains("1001 commands in one call, the limit is 1000"));
}

#[test]
fn timers_fire_in_order_of_time_before_the_data_of_their_time() {
    let mut world = World::new(FillModel::NextOpen);
    let lines = world.add(
        "a",
        Box::new(|ctx, bar| {
            if bar.ts_open.0 == 1 {
                ctx.timer(UnixNanos(5), "late");
                ctx.timer(UnixNanos(3), "early");
                ctx.timer(UnixNanos(0), "past");
                ctx.timer(UnixNanos(5), "later");
                ctx.timer(UnixNanos(99), "never");
            }
        }),
        quiet_timer(),
    );
    world.run([bar(1, 100), bar(5, 100)]);
    world.step.stop();
    assert_eq!(
        heard(&lines),
        [
            "start 0",
            "bar 1",
            "timer past 2",
            "timer early 3",
            "timer late 5",
            "timer later 5",
            "bar 5",
            "stop"
        ]
    );
}

#[test]
fn a_timer_that_keeps_arming_itself_is_stopped() {
    let mut world = World::new(FillModel::NextOpen);
    world.add(
        "spin",
        Box::new(|ctx, _| ctx.timer(ctx.now(), "again")),
        Box::new(|ctx, tag| ctx.timer(ctx.now(), tag)),
    );
    world.run([bar(1, 100), bar(1_000_000_000, 100)]);
    assert!(world.notes()[0].contains("it fired more than 1000 timers between"));
}

#[test]
fn too_many_waiting_timers_are_refused() {
    let mut world = World::new(FillModel::NextOpen);
    let heard = Arc::default();
    let strategy = Scripted {
        heard,
        on_bar: Box::new(|ctx, _| {
            for at in 0..3 {
                ctx.timer(UnixNanos(100 + at), "t");
            }
        }),
        on_timer: quiet_timer(),
    };
    let budget = Budget {
        waiting_timers: 2,
        ..Budget::default()
    };
    let runner = Runner::new(
        account_id(),
        strategy_id("t"),
        Box::new(strategy),
        &[Arc::new(instrument())],
    );
    world.step.add_runner(runner.with_budget(budget)).unwrap();
    world.run([bar(1, 100), bar(500, 100)]);
    assert_eq!(
        world.notes(),
        ["t: strategy was put into quarantine: it armed more than 2 timers"]
    );
}

#[test]
fn a_command_that_is_not_taken_comes_back() {
    let mut world = World::new(FillModel::NextOpen);
    let lines = world.add(
        "a",
        Box::new(|ctx, _| ctx.cancel(&ClientOrderId::new("nobody").unwrap())),
        quiet_timer(),
    );
    world.run([bar(1, 100)]);
    assert_eq!(
        heard(&lines)[2],
        "refused nobody: no such order: look at the id and the account"
    );
    assert_eq!(
        world.notes(),
        ["a: command for order nobody was refused: no such order: look at the id and the account"]
    );
}

#[test]
fn strategies_of_one_account_hold_positions_of_their_own() {
    let mut world = World::new(FillModel::BarClose);
    for (id, quantity) in [("long", 5), ("short", -3)] {
        world.add(
            id,
            Box::new(move |ctx, bar| {
                ctx.target(&bar.instrument_id, quantity);
            }),
            quiet_timer(),
        );
    }
    let twice = world.step.add_strategy(
        strategy_id("long"),
        Box::new(Scripted {
            heard: Arc::default(),
            on_bar: quiet_bar(),
            on_timer: quiet_timer(),
        }),
    );
    assert_eq!(twice, Err(StrategyError::DuplicateId(strategy_id("long"))));
    world.run([bar(1, 100), bar(2, 100)]);
    let id = instrument_id();
    for (name, quantity) in [("long", 5), ("short", -3)] {
        let ledger = world.step.runner(&strategy_id(name)).unwrap().ledger();
        assert_eq!(ledger.position(&id), quantity);
        assert_eq!(
            world.account.strategy_position(&strategy_id(name), &id),
            quantity
        );
    }
    assert_eq!(world.account.net_position(&id), 2);
}

#[test]
fn data_later_than_the_decision_is_refused() {
    let strategy = Scripted {
        heard: Arc::default(),
        on_bar: quiet_bar(),
        on_timer: quiet_timer(),
    };
    let instruments = [Arc::new(instrument())];
    let mut runner = Runner::new(
        account_id(),
        strategy_id("a"),
        Box::new(strategy),
        &instruments,
    );
    runner.start(UnixNanos(1));
    let early = runner.market(UnixNanos(1), &bar(2, 100));
    let expected = StrategyError::LookAhead {
        ts: UnixNanos(2),
        now: UnixNanos(1),
    };
    assert_eq!(early, Err(expected));
    assert_eq!(
        runner.ledger().mark(&instrument_id()).unwrap().last_price(),
        None
    );
}

/// Orders of every kind, drawn by a small generator, so that no two bars are alike.
fn restless(seed: u64) -> OnBar {
    let mut state = seed;
    Box::new(move |ctx, bar| {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn ^= drawn >> 27;
        let id = bar.instrument_id.clone();
        let side = if drawn & 8 == 0 {
            Side::Buy
        } else {
            Side::Sell
        };
        let near = Price(bar.close.0 + (drawn >> 8) as i64 % 7 - 3);
        let oldest = ctx.working_orders().next().cloned();
        match drawn % 6 {
            0 => drop(ctx.target(&id, (drawn >> 16) as i64 % 20 - 10)),
            1 => drop(ctx.submit(OrderRequest::limit(id, side, Quantity(3), near))),
            2 => drop(ctx.submit(OrderRequest::limit(id, side, Quantity(2), near).post_only())),
            3 => ctx.cancel_all(None),
            4 => {
                if let Some(order) = oldest {
                    let to = order.limit_price.map(|_| near);
                    let change = OrderChange {
                        quantity: Some(Quantity(4)),
                        limit_price: to,
                        stop_price: None,
                    };
                    ctx.amend(&order.request.client_order_id, change);
                }
            }
            _ => drop(ctx.submit(OrderRequest::market(id, side, Quantity(1)).reduce_only())),
        }
    })
}

#[test]
fn the_ledger_agrees_with_the_account_after_every_event_and_after_a_restart() {
    for fill in [FillModel::NextOpen, FillModel::BarClose, FillModel::Touch] {
        let mut world = World::new(fill);
        world.add("r", restless(7), quiet_timer());
        world.run([]);
        let id = instrument_id();
        for ts in 0..400 {
            world.step.push_market(bar(ts, 1_000 + ts * 37 % 11));
            world.settle();
            let ledger = world.step.runner(&strategy_id("r")).unwrap().ledger();
            let account = &world.account;
            assert_eq!(
                ledger.position(&id),
                account.strategy_position(&strategy_id("r"), &id)
            );
            assert_eq!(
                ledger.working(&id),
                account.working_quantity(&strategy_id("r"), &id),
                "working at {ts}"
            );
            for order in ledger.working_orders() {
                let key = OrderKey::OrderId(order.order_id.clone());
                assert_eq!(Some(order), account.order(&key));
            }
        }
        assert!(world.account.orders().len() > 100);
        let before = world.step.runner(&strategy_id("r")).unwrap().ledger();
        let mut after =
            crate::ledger::Ledger::new(account_id(), strategy_id("r"), &[Arc::new(instrument())]);
        for recorded in &world.journal {
            after.fold(recorded);
        }
        assert_eq!(after.position(&id), before.position(&id));
        assert_eq!(after.working(&id), before.working(&id));
        let mut numbers = world
            .journal
            .iter()
            .filter_map(|recorded| match &recorded.event {
                Event::OrderInitialized { request, .. } => Some(request.client_order_id.clone()),
                _ => None,
            });
        let next = after.next_order_id();
        assert!(numbers.all(|id| id != next), "an id is never made twice");
    }
}
