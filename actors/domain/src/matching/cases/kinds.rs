//! TC-M20: every order type with every time in force in every fill model.
//!
//! The market is 99 to 101 with 10 on each side, and each order buys 20. A conditional order sees
//! the market move to where it triggers. Bars have no size, so everything fills whole there.

use super::*;
use crate::order::{TrailingOffset, TriggerType};

/// What an order of one type gives: with a time that rests, immediate or cancel, fill or kill.
struct Row {
    order_type: OrderType,
    rests: &'static str,
    ioc: &'static str,
    fok: &'static str,
    /// The same over bars and quotes, whatever the time in force.
    bars: &'static str,
}

const ROWS: [Row; 8] = [
    Row {
        order_type: OrderType::Market,
        rests: "10@101, canceled NoLiquidity 10",
        ioc: "10@101, canceled NoLiquidity 10",
        fok: "canceled NoLiquidity 0",
        bars: "20@101",
    },
    Row {
        order_type: OrderType::Limit,
        rests: "10@101",
        ioc: "10@101, canceled NoLiquidity 10",
        fok: "canceled NoLiquidity 0",
        bars: "20@101",
    },
    Row {
        order_type: OrderType::Stop,
        rests: "triggered, 10@106, canceled NoLiquidity 10",
        ioc: "triggered, 10@106, canceled NoLiquidity 10",
        fok: "triggered, canceled NoLiquidity 0",
        bars: "triggered, 20@106",
    },
    Row {
        order_type: OrderType::StopLimit,
        rests: "triggered, 10@106",
        ioc: "triggered, 10@106, canceled NoLiquidity 10",
        fok: "triggered, canceled NoLiquidity 0",
        bars: "triggered, 20@106",
    },
    Row {
        order_type: OrderType::MarketIfTouched,
        rests: "triggered, 10@95, canceled NoLiquidity 10",
        ioc: "triggered, 10@95, canceled NoLiquidity 10",
        fok: "triggered, canceled NoLiquidity 0",
        bars: "triggered, 20@95",
    },
    Row {
        order_type: OrderType::LimitIfTouched,
        rests: "triggered, 10@95",
        ioc: "triggered, 10@95, canceled NoLiquidity 10",
        fok: "triggered, canceled NoLiquidity 0",
        bars: "triggered, 20@95",
    },
    Row {
        order_type: OrderType::MarketToLimit,
        rests: "10@101, amended 20 limit 101 stop -",
        ioc: "10@101, canceled NoLiquidity 10",
        fok: "canceled NoLiquidity 0",
        bars: "20@101",
    },
    Row {
        order_type: OrderType::TrailingStop,
        rests: "amended 20 limit - stop 104, triggered, 10@106, canceled NoLiquidity 10",
        ioc: "amended 20 limit - stop 104, triggered, 10@106, canceled NoLiquidity 10",
        fok: "amended 20 limit - stop 104, triggered, canceled NoLiquidity 0",
        bars: "amended 20 limit - stop 104, triggered, 20@106",
    },
];

fn of(order_type: OrderType, time_in_force: TimeInForce) -> NewOrder {
    let mut order = order("x", Side::Buy, order_type, 20);
    order.time_in_force = time_in_force;
    order.terms.expire_at = Some(LATER);
    order.terms.trigger = TriggerType::BidAsk;
    let (stop_price, limit_price) = match order_type {
        OrderType::Stop => (Some(105), None),
        OrderType::StopLimit => (Some(105), Some(106)),
        OrderType::MarketIfTouched => (Some(95), None),
        OrderType::LimitIfTouched => (Some(95), Some(95)),
        OrderType::Limit => (None, Some(101)),
        OrderType::Market | OrderType::MarketToLimit | OrderType::TrailingStop => (None, None),
    };
    order.terms.stop_price = stop_price.map(Price);
    order.limit_price = limit_price.map(Price);
    if order_type == OrderType::TrailingStop {
        order.terms.trailing = Some(TrailingOffset::Price(Price(3)));
    }
    order
}

/// Submits and moves the market to where the order triggers, if it has to be.
fn run(model: &str, order: NewOrder) -> String {
    let order_type = order.order_type;
    let mut desk = Desk::new(model);
    desk.quote(99, 101, 10);
    let mut told = vec![desk.submit(order)];
    if told[0].starts_with("accepted") {
        told.push(match order_type {
            OrderType::Stop | OrderType::StopLimit | OrderType::TrailingStop => {
                desk.quote(104, 106, 10)
            }
            OrderType::MarketIfTouched | OrderType::LimitIfTouched => desk.quote(94, 95, 10),
            _ => String::new(),
        });
    }
    told.retain(|text| !text.is_empty());
    told.join(", ")
}

#[test]
fn tc_m20_every_type_with_every_time_in_every_model() {
    assert_eq!(ROWS.map(|row| row.order_type), OrderType::ALL);
    for row in &ROWS {
        for time_in_force in TimeInForce::ALL {
            for model in MODELS {
                let expected = match time_in_force {
                    TimeInForce::AtOpen | TimeInForce::AtClose => "rejected Unsupported".to_owned(),
                    _ if model == "bars" => format!("accepted, {}", row.bars),
                    TimeInForce::Ioc => format!("accepted, {}", row.ioc),
                    TimeInForce::Fok => format!("accepted, {}", row.fok),
                    TimeInForce::Gtc | TimeInForce::Day | TimeInForce::Gtd => {
                        format!("accepted, {}", row.rests)
                    }
                };
                let told = run(model, of(row.order_type, time_in_force));
                assert_eq!(
                    told, expected,
                    "{:?} {time_in_force:?} {model}",
                    row.order_type
                );
            }
        }
    }
}

#[test]
fn tc_m21_what_rests_ends_with_its_time() {
    for order_type in [
        OrderType::Limit,
        OrderType::StopLimit,
        OrderType::TrailingStop,
    ] {
        for time_in_force in [TimeInForce::Day, TimeInForce::Gtd] {
            for model in MODELS {
                let mut desk = Desk::new(model);
                desk.quote(90, 110, 10);
                let mut order = of(order_type, time_in_force);
                order.terms.expire_at = Some(UnixNanos(200));
                order.limit_price = order.limit_price.map(|_| Price(100));
                if order_type != OrderType::TrailingStop {
                    order.terms.stop_price = order.terms.stop_price.map(|_| Price(120));
                }
                desk.submit(order);
                desk.now = 200;
                let told = desk.cancel("nobody");
                assert_eq!(
                    told, "x expired TimeOver 0, nobody cancel rejected: no such order",
                    "{order_type:?} {model}"
                );
            }
        }
    }
}

#[test]
fn tc_m22_an_order_that_contradicts_itself_is_refused() {
    let plain = |order_type| of(order_type, TimeInForce::Gtc);
    let mut no_stop = plain(OrderType::Stop);
    no_stop.terms.stop_price = None;
    let mut no_limit = plain(OrderType::StopLimit);
    no_limit.limit_price = None;
    let mut no_offset = plain(OrderType::TrailingStop);
    no_offset.terms.trailing = None;
    let mut no_end = of(OrderType::Limit, TimeInForce::Gtd);
    no_end.terms.expire_at = None;
    let mut over = of(OrderType::Limit, TimeInForce::Gtd);
    over.terms.expire_at = Some(UnixNanos(1));
    let mut limited = plain(OrderType::MarketToLimit);
    limited.limit_price = Some(Price(100));
    for model in MODELS {
        for order in [&no_stop, &no_limit, &no_offset, &no_end, &over, &limited] {
            assert_eq!(
                run(model, order.clone()),
                "rejected Other",
                "{model} {order:?}"
            );
        }
    }
}

#[test]
fn tc_m23_what_a_venue_lacks_is_unsupported() {
    let mut lacking = instrument();
    lacking.rules.lacks.order_types = vec![OrderType::Stop];
    lacking.rules.lacks.times_in_force = vec![TimeInForce::Gtd];
    lacking.rules.lacks.iceberg = true;
    lacking.rules.lacks.post_only = true;
    lacking.rules.lacks.reduce_only = true;
    let with = |change: fn(&mut NewOrder)| {
        let mut order = limit("x", Side::Buy, 90, 10);
        change(&mut order);
        order
    };
    let orders = [
        of(OrderType::Stop, TimeInForce::Gtc),
        of(OrderType::Limit, TimeInForce::Gtd),
        with(|order| order.terms.display_quantity = Some(Quantity(1))),
        with(|order| order.post_only = true),
        with(|order| order.reduce_only = true),
    ];
    for model in MODELS {
        for order in &orders {
            let mut desk = Desk::of(model, lacking.clone());
            desk.quote(99, 101, 10);
            let told = desk.submit(order.clone());
            assert_eq!(told, "rejected Unsupported", "{model} {order:?}");
        }
    }
}
