//! TC-M01 to TC-M14: numbers that the trade agrees on.

use super::*;
use crate::market::{Bar, BarSpec, BookDelta};
use crate::matching::{BarPath, BarVolume, QueueModel};
use crate::order::{TrailingOffset, TriggerType};

fn bar(ts: i64, prices: [i64; 4], volume: i128) -> MarketEvent {
    MarketEvent::Bar(Bar {
        instrument_id: id(),
        spec: BarSpec::External,
        open: Price(prices[0]),
        high: Price(prices[1]),
        low: Price(prices[2]),
        close: Price(prices[3]),
        volume,
        trade_count: 0,
        ts_open: UnixNanos(ts),
        ts_init: UnixNanos(ts),
    })
}

fn bars(options: BarFillOptions) -> Desk {
    Desk::with(Model::Bars(BarFill::new(options, [instrument()])))
}

fn next_open() -> Desk {
    bars(BarFillOptions::new(FillModel::NextOpen))
}

fn book(options: BookFillOptions) -> Desk {
    let mut venue = BookFill::with_options("SIM", 1, options).unwrap();
    venue.define(instrument());
    Desk::with(Model::Book(venue))
}

/// States one level of a replayed book.
fn state(desk: &mut Desk, side: Side, price: i64, quantity: i64) -> String {
    desk.now += 1;
    let level = vec![Level {
        price: Price(price),
        quantity: Quantity(quantity),
    }];
    let (bids, asks) = match side {
        Side::Buy => (level, Vec::new()),
        Side::Sell => (Vec::new(), level),
    };
    let ts = UnixNanos(desk.now);
    desk.market(&MarketEvent::Book(BookDelta {
        instrument_id: id(),
        first_update_id: desk.now as u64,
        last_update_id: desk.now as u64,
        previous_update_id: None,
        bids,
        asks,
        ts_event: ts,
        ts_init: ts,
    }))
}

#[test]
fn tc_m01_a_gap_through_a_stop_fills_at_the_open() {
    for (prices, expected) in [
        ([90, 92, 88, 91], "triggered, 10@90"),
        ([102, 103, 98, 99], "triggered, 10@100"),
        ([102, 103, 101, 102], ""),
    ] {
        let mut desk = next_open();
        desk.market(&bar(50, [105, 105, 105, 105], 0));
        desk.submit(stop("s", Side::Sell, OrderType::Stop, 100, 10));
        assert_eq!(desk.market(&bar(200, prices, 0)), expected, "{prices:?}");
    }
}

#[test]
fn tc_m02_a_bar_wholly_below_a_limit_buy_gives_the_open() {
    for (prices, expected) in [
        ([28_950, 29_000, 28_900, 28_980], "1@28950 maker"),
        ([29_100, 29_150, 29_000, 29_100], "1@29050 maker"),
    ] {
        let mut desk = next_open();
        desk.market(&bar(50, [29_100, 29_100, 29_100, 29_100], 0));
        desk.submit(limit("l", Side::Buy, 29_050, 1));
        // A first bar above, so that the order rests.
        desk.market(&bar(150, [29_100, 29_100, 29_090, 29_100], 0));
        assert_eq!(desk.market(&bar(200, prices, 0)), expected, "{prices:?}");
    }
}

#[test]
fn tc_m03_data_older_than_the_order_fills_nothing() {
    let mut desk = next_open();
    desk.market(&bar(50, [100, 100, 100, 100], 0));
    desk.submit(limit("l", Side::Buy, 95, 1));
    // It began before the order came: only its close is younger.
    let MarketEvent::Bar(mut under_way) = bar(60, [100, 101, 90, 99], 0) else {
        panic!("a bar is a bar");
    };
    under_way.ts_init = UnixNanos(200);
    assert_eq!(desk.market(&MarketEvent::Bar(under_way.clone())), "");
    under_way.close = Price(94);
    assert_eq!(desk.market(&MarketEvent::Bar(under_way)), "1@94 maker");
    let mut desk = Desk::new("book");
    desk.quote(99, 101, 10);
    desk.submit(limit("l", Side::Buy, 98, 1));
    desk.now -= 10;
    assert_eq!(desk.trade(Side::Sell, 97, 5), "");
}

#[test]
fn tc_m04_what_is_ahead_at_the_bid_trades_first() {
    for (queue, expected) in [
        (QueueModel::Back, ["", "10@10 maker", "40@10 maker"]),
        (QueueModel::Proportional, ["", "10@10 maker", "40@10 maker"]),
        (QueueModel::Front, ["50@10 maker", "", ""]),
    ] {
        let mut desk = book(BookFillOptions {
            queue,
            ..BookFillOptions::default()
        });
        desk.quote(10, 12, 100);
        desk.submit(limit("b", Side::Buy, 10, 50));
        let fills = [80, 30, 50].map(|quantity| desk.trade(Side::Sell, 10, quantity));
        assert_eq!(fills, expected, "{queue:?}");
    }
}

#[test]
fn tc_m05_what_is_canceled_ahead_depends_on_the_queue_model() {
    // 100 ahead, 60 behind us; 80 leave without a trade. Evenly, 50 of them were ahead.
    for (queue, expected) in [
        (QueueModel::Back, "20@10 maker"),
        (QueueModel::Proportional, "50@10 maker"),
    ] {
        let mut desk = book(BookFillOptions {
            queue,
            ..BookFillOptions::default()
        });
        desk.quote(10, 12, 100);
        desk.submit(limit("b", Side::Buy, 10, 50));
        state(&mut desk, Side::Buy, 10, 160);
        state(&mut desk, Side::Buy, 10, 80);
        assert_eq!(desk.trade(Side::Sell, 10, 100), expected, "{queue:?}");
    }
}

#[test]
fn tc_m06_liquidity_is_taken_once() {
    let mut desk = Desk::new("book");
    state(&mut desk, Side::Sell, 10, 100);
    let buy = |id, quantity| order(id, Side::Buy, OrderType::Market, quantity);
    assert_eq!(desk.submit(buy("a", 30)), "accepted, 30@10");
    assert_eq!(desk.submit(buy("b", 50)), "accepted, 50@10");
    let rest = "accepted, 20@10, canceled NoLiquidity 20";
    assert_eq!(desk.submit(buy("c", 30)), rest);
    state(&mut desk, Side::Sell, 10, 120);
    assert_eq!(desk.submit(buy("d", 120)), "accepted, 120@10");
    assert_eq!(desk.submit(buy("e", 1)), "rejected NoLiquidity");
}

#[test]
fn tc_m07_a_market_to_limit_order_rests_at_its_first_price() {
    for model in ["exchange", "book"] {
        let mut desk = Desk::new(model);
        desk.quote(1_400, 1_500, 1_000);
        let taken = desk.submit(order("x", Side::Buy, OrderType::MarketToLimit, 2_000));
        assert_eq!(
            taken, "accepted, 1000@1500, amended 2000 limit 1500 stop -",
            "{model}"
        );
        assert_eq!(
            desk.quote(1_400, 1_500, 1_000),
            "1000@1500 maker",
            "{model}"
        );
    }
}

#[test]
fn tc_m08_immediate_orders_and_post_only_end_as_they_must() {
    for model in ["exchange", "book"] {
        let mut desk = Desk::new(model);
        desk.quote(90, 100, 10);
        let with = |id, quantity, time_in_force| NewOrder {
            time_in_force,
            ..limit(id, Side::Buy, 100, quantity)
        };
        let fok = desk.submit(with("fok", 11, TimeInForce::Fok));
        assert_eq!(fok, "accepted, canceled NoLiquidity 0", "{model}");
        let mut post_only = limit("p", Side::Buy, 100, 1);
        post_only.post_only = true;
        let refused = desk.submit(post_only);
        assert_eq!(refused, "rejected PostOnlyWouldTrade", "{model}");
        let ioc = desk.submit(with("ioc", 11, TimeInForce::Ioc));
        assert_eq!(ioc, "accepted, 10@100, canceled NoLiquidity 10", "{model}");
    }
}

#[test]
fn tc_m09_the_very_boundary_fills_before_a_time_is_over() {
    for model in ["exchange", "book"] {
        for time_in_force in [TimeInForce::Day, TimeInForce::Gtd] {
            let mut desk = Desk::new(model);
            desk.quote(90, 110, 10);
            let mut order = limit("g", Side::Buy, 100, 10);
            order.time_in_force = time_in_force;
            order.terms.expire_at = Some(UnixNanos(200));
            desk.submit(order);
            desk.now = 199 - i64::from(model == "exchange");
            assert_eq!(desk.trade(Side::Sell, 100, 4), "4@100 maker", "{model}");
            assert_eq!(desk.now, 200, "the trade was at the boundary");
            assert_eq!(
                desk.trade(Side::Sell, 101, 4),
                "expired TimeOver 4",
                "{model}"
            );
        }
    }
    let mut desk = next_open();
    desk.market(&bar(50, [105, 105, 105, 105], 0));
    let mut order = limit("g", Side::Buy, 100, 10);
    order.time_in_force = TimeInForce::Gtd;
    order.terms.expire_at = Some(UnixNanos(200));
    let mut other = limit("h", Side::Buy, 90, 10);
    other.time_in_force = TimeInForce::Day;
    other.terms.expire_at = Some(UnixNanos(200));
    desk.submit(order);
    desk.submit(other);
    assert_eq!(
        desk.market(&bar(200, [101, 101, 99, 99], 0)),
        "10@100 maker"
    );
    assert_eq!(
        desk.market(&bar(201, [80, 80, 80, 80], 0)),
        "expired TimeOver 0"
    );
}

#[test]
fn tc_m10_a_bar_has_a_quarter_of_its_volume_at_each_price() {
    // 4 prices, 43 in all: 10, 10, 10 and 13.
    let options = BarFillOptions {
        volume: BarVolume::Quarters,
        path: BarPath::HighFirst,
        ..BarFillOptions::new(FillModel::NextOpen)
    };
    let mut desk = bars(options);
    desk.market(&bar(50, [100, 100, 100, 100], 0));
    desk.submit(order("m", Side::Buy, OrderType::Market, 40));
    let filled = desk.market(&bar(200, [100, 110, 90, 105], 43));
    assert_eq!(filled, "10@100, 10@110, 10@90, 10@105");
    // Two share what is there, the older first; the rest waits for the next bar.
    desk.submit(order("n", Side::Buy, OrderType::Market, 15));
    desk.submit(order("o", Side::Buy, OrderType::Market, 40));
    let filled = desk.market(&bar(300, [100, 100, 100, 100], 40));
    assert_eq!(filled, "n 10@100, n 5@100, o 5@100, o 10@100, o 10@100");
    assert_eq!(desk.market(&bar(400, [99, 99, 99, 99], 80)), "15@99");
}

#[test]
fn tc_m11_the_path_decides_what_is_met_first() {
    // A bracket round 100: the take-profit sells at 110, the stop at 90. The open is nearer to
    // the low, so an adaptive path goes there first.
    for (path, expected) in [
        (BarPath::HighFirst, "t 5@110 maker, s triggered, s 5@90"),
        (BarPath::LowFirst, "s triggered, s 5@90, t 5@110 maker"),
        (BarPath::Adaptive, "s triggered, s 5@90, t 5@110 maker"),
    ] {
        let mut desk = bars(BarFillOptions {
            path,
            ..BarFillOptions::new(FillModel::NextOpen)
        });
        desk.market(&bar(50, [100, 100, 100, 100], 0));
        desk.submit(limit("t", Side::Sell, 110, 5));
        desk.submit(stop("s", Side::Sell, OrderType::Stop, 90, 5));
        let met = desk.market(&bar(200, [99, 112, 88, 100], 0));
        assert_eq!(met, expected, "{path:?}");
    }
}

#[test]
fn tc_m12_an_amend_keeps_its_place_only_with_less() {
    // Ours came first, another's behind it: what is traded tells whose turn it is.
    for (quantity, price, expected) in [
        (6, Some(100), "5@100 maker"),
        (12, Some(100), ""),
        (10, Some(99), ""),
    ] {
        let mut desk = Desk::new("exchange");
        desk.submit(limit("x", Side::Buy, 100, 10));
        desk.send("m", VenueCommand::New(limit("other", Side::Buy, 100, 10)));
        let amended = desk.amend("x", quantity, price, None);
        assert!(
            amended.starts_with(&format!("amended {quantity}")),
            "{amended}"
        );
        let sell = NewOrder {
            time_in_force: TimeInForce::Ioc,
            ..limit("t", Side::Sell, 100, 5)
        };
        let reports = desk.send("t", VenueCommand::New(sell));
        assert_eq!(show(&reports), expected, "{quantity} {price:?}");
    }
}

#[test]
fn tc_m13_a_failed_amend_changes_nothing() {
    for model in MODELS {
        let mut desk = Desk::new(model);
        desk.quote(90, 110, 10);
        desk.submit(limit("x", Side::Buy, 100, 10));
        for (quantity, price, stop, why) in [
            (0, Some(100), None, "quantity must be above zero"),
            (2_000_000, Some(100), None, "quantity is above max_quantity"),
        ] {
            let refused = desk.amend("x", quantity, price, stop);
            assert_eq!(refused, format!("amend rejected: {why}"), "{model}");
        }
        assert_eq!(desk.quote(90, 100, 10), "10@100 maker", "{model}");
        let late = desk.amend("x", 20, Some(100), None);
        assert_eq!(late, "amend rejected: order has ended", "{model}");
    }
}

#[test]
fn tc_m14_a_trailing_stop_arms_trails_and_triggers() {
    let mut order = order("t", Side::Sell, OrderType::TrailingStop, 1);
    order.terms.activation_price = Some(Price(39_000));
    order.terms.trailing = Some(TrailingOffset::Bps(1_000));
    order.terms.trigger = TriggerType::Last;
    let steps = [
        (39_000, "amended 1 limit - stop 35100"),
        (37_000, ""),
        (41_000, "amended 1 limit - stop 36900"),
        (36_901, ""),
        (36_900, "triggered, 1@30000"),
    ];
    for model in ["exchange", "book"] {
        let mut desk = Desk::new(model);
        desk.quote(30_000, 50_000, 10);
        assert_eq!(desk.trade(Side::Buy, 38_000, 1), "");
        assert_eq!(desk.submit(order.clone()), "accepted", "{model}");
        for (price, expected) in steps {
            assert_eq!(desk.trade(Side::Buy, price, 1), expected, "{model} {price}");
        }
    }
    let mut desk = next_open();
    desk.market(&bar(50, [38_000; 4], 0));
    desk.submit(order);
    let met = desk.market(&bar(200, [39_000, 41_000, 37_000, 40_000], 0));
    assert_eq!(
        met,
        "amended 1 limit - stop 35100, amended 1 limit - stop 36900"
    );
    assert_eq!(
        desk.market(&bar(201, [40_000, 40_500, 36_000, 36_500], 0)),
        "triggered, 1@36900"
    );
}
