//! Orders for the opening and the close, over days whose sessions the calendar says.

use super::*;
use crate::context::Context;
use crate::order_request::OrderRequest;
use crate::subscription::{Selection, Subscriptions};
use crate::testing::{instrument_id, ohlc};
use apex_domain::calendar::parse_instant;
use apex_domain::market::{Bar, Side};
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
        for (side, at) in [
            (Side::Buy, TimeInForce::AtOpen),
            (Side::Sell, TimeInForce::AtClose),
        ] {
            let order = OrderRequest::market(instrument_id(), side, Quantity(1));
            ctx.submit(order.time_in_force(at));
        }
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
