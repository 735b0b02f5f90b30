//! Orders for the opening and the close, over days whose sessions the calendar says.

use super::*;
use crate::context::Context;
use crate::order_request::OrderRequest;
use crate::subscription::{Selection, Subscriptions};
use crate::testing::{instrument_id, ohlc, quote};
use apex_domain::calendar::parse_instant;
use apex_domain::market::{Bar, Quote, Side};
use apex_domain::order::TimeInForce;
use apex_domain::{Quantity, UnixNanos};

/// Buys at each opening and sells at each close.
struct DayTrader;

impl Strategy for DayTrader {
    fn subscriptions(&self) -> Subscriptions {
        Subscriptions {
            bars: Selection::All,
            ..Subscriptions::none()
        }
    }

    fn on_bar(&mut self, ctx: &mut Context<'_>, _bar: &Bar) {
        order_both(ctx);
    }
}

fn order_both(ctx: &mut Context<'_>) {
    for (side, at) in [
        (Side::Buy, TimeInForce::AtOpen),
        (Side::Sell, TimeInForce::AtClose),
    ] {
        let order = OrderRequest::market(instrument_id(), side, Quantity(1));
        ctx.submit(order.time_in_force(at));
    }
}

fn run_days(calendar: &str, events: &[MarketEvent]) -> BacktestReport {
    let mut listed = instrument();
    listed.rules.calendar = calendar.to_owned();
    let options = BacktestOptions::default();
    let strategy = Box::new(DayTrader);
    run_strategy(&options, strategy, events.to_vec(), vec![listed]).unwrap()
}

/// Rows of three days, as a file has them, over a weekend and the begin of summer time.
fn three_days() -> Vec<MarketEvent> {
    let rows = [
        ("2024-03-07T00:00:00+00:00", 100, 105),
        ("2024-03-08T00:00:00+00:00", 110, 118),
        ("2024-03-11T00:00:00+00:00", 120, 121),
    ];
    rows.map(|(at, open, close)| {
        let ts = parse_instant(at).unwrap();
        ohlc(ts.0, open, close, open, close)
    })
    .to_vec()
}

#[test]
fn orders_for_opening_and_close_get_the_first_and_the_last_price_of_a_day() {
    let report = run_days("XNYS", &three_days());
    let fills: Vec<String> = report
        .fills
        .iter()
        .map(|fill| format!("{} {}", fill.side, fill.price))
        .collect();
    // What the first day decides trades on the second: nobody trades at what he has seen.
    let expected = [
        "SIDE_BUY 1.10",
        "SIDE_SELL 1.18",
        "SIDE_BUY 1.20",
        "SIDE_SELL 1.21",
    ];
    assert_eq!(fills, expected);
    assert_eq!(report.position, "0");
    assert_eq!(report.final_equity, "0.09");
    let again = run_days("XNYS", &three_days());
    assert_eq!(report.state_hash, again.state_hash);
    // The close is that of the calendar, in each its own time.
    let sold: Vec<UnixNanos> = report
        .fills
        .iter()
        .filter(|fill| fill.side == "SIDE_SELL")
        .map(|fill| UnixNanos(fill.ts_ns))
        .collect();
    let close = |at| parse_instant(at).unwrap();
    assert_eq!(
        sold,
        [
            close("2024-03-07T16:00:00-05:00"),
            close("2024-03-08T16:00:00-05:00")
        ]
    );
}

#[test]
fn a_market_around_the_clock_has_neither_opening_nor_close() {
    for calendar in ["", "CRYPTO"] {
        let report = run_days(calendar, &three_days());
        assert!(report.fills.is_empty(), "{calendar}");
        let warned = report.warnings.join(" ");
        assert!(warned.contains("UNSUPPORTED"), "{warned}");
    }
}

/// Buys at the next opening and sells at the next close, decided by the first quote.
#[derive(Default)]
struct OneDay {
    decided: bool,
}

impl Strategy for OneDay {
    fn subscriptions(&self) -> Subscriptions {
        Subscriptions {
            bars: Selection::All,
            quotes: true,
            ..Subscriptions::none()
        }
    }

    fn on_bar(&mut self, ctx: &mut Context<'_>, _bar: &Bar) {
        if !self.decided {
            self.decided = true;
            order_both(ctx);
        }
    }

    fn on_quote(&mut self, ctx: &mut Context<'_>, _quote: &Quote) {
        if !self.decided {
            self.decided = true;
            order_both(ctx);
        }
    }
}

/// As [`run_days`] where the account has to hold the orders.
fn run_held(fill: Fill, events: &[MarketEvent]) -> BacktestReport {
    let mut listed = instrument();
    listed.rules.calendar = "XNYS".to_owned();
    listed.rules.lacks.times_in_force = vec![TimeInForce::AtOpen, TimeInForce::AtClose];
    let options = BacktestOptions {
        fill: Some(fill),
        ..BacktestOptions::default()
    };
    run_strategy(
        &options,
        Box::new(OneDay::default()),
        events.to_vec(),
        vec![listed],
    )
    .unwrap()
}

#[test]
fn a_venue_without_them_is_sent_orders_at_the_opening_and_before_the_close() {
    let at = |time: &str| {
        parse_instant(&format!("2024-03-07T{time}-05:00"))
            .unwrap()
            .0
    };
    let events = [
        ("09:00:00", 99, 101),
        ("09:29:59", 100, 102),
        ("09:30:00", 103, 105),
        ("15:59:54", 110, 112),
        ("15:59:58", 120, 122),
        ("16:00:01", 130, 132),
    ]
    .map(|(time, bid, ask)| quote(at(time), Some(bid), Some(ask)));
    let report = run_held(Fill::Touch, &events);
    let fills: Vec<String> = report
        .fills
        .iter()
        .map(|fill| {
            format!(
                "{} {} {}",
                fill.ts_ns - at("00:00:00"),
                fill.side,
                fill.price
            )
        })
        .collect();
    let nanos = |time: &str| at(time) - at("00:00:00");
    // A fill bears the time of its quote. The opening comes with one; what is shown in the last
    // 5 s before the close comes too late.
    let expected = [
        format!("{} SIDE_BUY 1.05", nanos("09:30:00")),
        format!("{} SIDE_SELL 1.10", nanos("15:59:54")),
    ];
    assert_eq!(fills, expected);
    let said = report.assumptions.join(" ");
    assert!(said.contains("not at the price of an auction"), "{said}");
    let again = run_held(Fill::Touch, &events);
    assert_eq!(report.state_hash, again.state_hash);
}

#[test]
fn on_rows_of_whole_days_what_is_held_fills_by_the_fill_rule_and_sees_no_later_price() {
    for (fill, price) in [(Fill::NextOpen, "1.10"), (Fill::BarClose, "1.05")] {
        let report = run_held(fill, &three_days());
        let fills: Vec<(&str, &str)> = report
            .fills
            .iter()
            .map(|fill| (fill.side, fill.price.as_str()))
            .collect();
        assert_eq!(fills, [("SIDE_BUY", price), ("SIDE_SELL", price)]);
        assert_eq!(report.position, "0");
    }
}
