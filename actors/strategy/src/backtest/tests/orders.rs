//! Lists, stops and dated orders over data whose outcome is worked out by hand.

use super::*;
use crate::context::Context;
use crate::order_request::OrderRequest;
use crate::subscription::{Selection, Subscriptions};
use crate::testing::{instrument_id, lacking, ohlc, trade};
use apex_domain::market::{Bar, Quote, Side};
use apex_domain::order::TrailingOffset;
use apex_domain::{Quantity, UnixNanos};

type Act = fn(&mut Context<'_>);

/// Acts once, on the first data that it sees.
struct Once(Option<Act>);

impl Strategy for Once {
    fn subscriptions(&self) -> Subscriptions {
        Subscriptions {
            bars: Selection::All,
            quotes: true,
            ..Subscriptions::none()
        }
    }

    fn on_bar(&mut self, ctx: &mut Context<'_>, _bar: &Bar) {
        self.act(ctx);
    }

    fn on_quote(&mut self, ctx: &mut Context<'_>, _quote: &Quote) {
        self.act(ctx);
    }
}

impl Once {
    fn act(&mut self, ctx: &mut Context<'_>) {
        if let Some(act) = self.0.take() {
            act(ctx);
        }
    }
}

/// Runs twice and returns each fill as "time side price", the position and the equity.
fn outcome(fill: Fill, act: Act, events: &[MarketEvent]) -> (Vec<String>, String, String) {
    let options = BacktestOptions {
        fill: Some(fill),
        ..BacktestOptions::default()
    };
    let run_once = || {
        let strategy = Box::new(Once(Some(act)));
        run_strategy(&options, strategy, events.to_vec(), vec![lacking()]).unwrap()
    };
    let (report, again) = (run_once(), run_once());
    assert_eq!(report.state_hash, again.state_hash);
    assert_eq!(report.fills, again.fills);
    assert_eq!(report.warnings, [""; 0]);
    let fills = report.fills.iter().map(|fill| {
        let side = fill.side.trim_start_matches("SIDE_");
        format!("{} {side} {} {}", fill.ts_ns, fill.quantity, fill.price)
    });
    (fills.collect(), report.position, report.final_equity)
}

fn check(fill: Fill, act: Act, events: &[MarketEvent], expected: (&[&str], &str, &str)) {
    let (fills, position, equity) = outcome(fill, act, events);
    assert_eq!(
        (fills.as_slice(), position.as_str(), equity.as_str()),
        (
            expected
                .0
                .iter()
                .map(|fill| (*fill).to_owned())
                .collect::<Vec<_>>()
                .as_slice(),
            expected.1,
            expected.2
        )
    );
}

/// Ten at the market, out at 1.10 or at 0.95.
fn bracket(ctx: &mut Context<'_>) {
    let (id, quantity) = (instrument_id(), Quantity(10));
    ctx.bracket(
        OrderRequest::market(id.clone(), Side::Buy, quantity),
        OrderRequest::limit(id.clone(), Side::Sell, quantity, Price(110)),
        OrderRequest::stop(id, Side::Sell, quantity, Price(95)),
    );
}

#[test]
fn a_bracket_on_bars_ends_at_its_profit_or_its_stop_and_never_at_both() {
    let start = [ohlc(0, 100, 100, 100, 100), ohlc(1, 101, 103, 99, 102)];
    // Range 1.01 to 1.12: the limit is reached. The stop has gone when the price falls.
    let profit = [ohlc(2, 102, 112, 101, 111), ohlc(3, 90, 91, 89, 90)];
    // Down to 0.94: the stop triggers, and the market order is for the next open or this close.
    let loss = [ohlc(2, 100, 101, 94, 96), ohlc(3, 97, 120, 97, 118)];
    // Both are reached: what rests at the venue fills first, and the stop does not sell again.
    let both = [ohlc(2, 102, 112, 90, 100), ohlc(3, 80, 81, 79, 80)];
    // Neither is.
    let none = [ohlc(2, 102, 109, 96, 100), ohlc(3, 100, 100, 100, 100)];
    type Row<'a> = (Fill, &'a [MarketEvent; 2], &'a [&'a str], &'a str, &'a str);
    let rows: [Row<'_>; 8] = [
        (
            Fill::NextOpen,
            &profit,
            &["1 BUY 10 1.01", "2 SELL 10 1.10"],
            "0",
            "0.9",
        ),
        (
            Fill::NextOpen,
            &loss,
            &["1 BUY 10 1.01", "3 SELL 10 0.97"],
            "0",
            "-0.4",
        ),
        (
            Fill::NextOpen,
            &both,
            &["1 BUY 10 1.01", "2 SELL 10 1.10"],
            "0",
            "0.9",
        ),
        (Fill::NextOpen, &none, &["1 BUY 10 1.01"], "10", "-0.1"),
        (
            Fill::BarClose,
            &profit,
            &["0 BUY 10 1.00", "2 SELL 10 1.10"],
            "0",
            "1",
        ),
        (
            Fill::BarClose,
            &loss,
            &["0 BUY 10 1.00", "2 SELL 10 0.96"],
            "0",
            "-0.4",
        ),
        (
            Fill::BarClose,
            &both,
            &["0 BUY 10 1.00", "2 SELL 10 1.10"],
            "0",
            "1",
        ),
        (Fill::BarClose, &none, &["0 BUY 10 1.00"], "10", "0"),
    ];
    for (fill, end, fills, position, equity) in rows {
        let events: Vec<MarketEvent> = start.iter().chain(end).cloned().collect();
        check(fill, bracket, &events, (fills, position, equity));
    }
}

#[test]
fn a_stop_that_its_parent_sends_does_not_look_at_the_price_before() {
    // Decided at 0.90, which is below the stop; bought at the open of 1.00, which is above it.
    let events = [
        ohlc(0, 90, 90, 90, 90),
        ohlc(1, 100, 101, 99, 100),
        ohlc(2, 100, 100, 100, 100),
    ];
    check(
        Fill::NextOpen,
        bracket,
        &events,
        (&["1 BUY 10 1.00"], "10", "0"),
    );
}

#[test]
fn a_bracket_on_ticks_ends_at_its_profit_or_its_stop() {
    let start = [
        quote(0, Some(99), Some(101)),
        quote(1, Some(100), Some(102)),
    ];
    type Row<'a> = (&'a [MarketEvent], &'a [&'a str], &'a str);
    let rows: [Row<'_>; 4] = [
        // The bid reaches the limit.
        (
            &[quote(2, Some(111), Some(112)), quote(3, Some(90), Some(91))],
            &["0 BUY 10 1.01", "2 SELL 10 1.10"],
            "0.9",
        ),
        // The bid reaches the stop, where nothing was printed yet: sold at that bid.
        (
            &[quote(2, Some(94), Some(97)), quote(3, Some(120), Some(121))],
            &["0 BUY 10 1.01", "2 SELL 10 0.94"],
            "-0.7",
        ),
        // A print reaches it: sold at the bid that stands, of time 1.
        (
            &[trade(2, 95), quote(3, Some(120), Some(121))],
            &["0 BUY 10 1.01", "1 SELL 10 1.00"],
            "-0.1",
        ),
        // After a print the stop watches prints, whatever the bid.
        (
            &[trade(2, 96), quote(3, Some(90), Some(91))],
            &["0 BUY 10 1.01"],
            "-1.1",
        ),
    ];
    for (end, fills, equity) in rows {
        let events: Vec<MarketEvent> = start.iter().chain(end).cloned().collect();
        let position = if fills.len() == 1 { "10" } else { "0" };
        check(Fill::Touch, bracket, &events, (fills, position, equity));
    }
}

#[test]
fn a_trailing_stop_follows_the_price_up_and_sells_when_it_falls_back() {
    fn act(ctx: &mut Context<'_>) {
        let (id, offset) = (instrument_id(), TrailingOffset::Price(Price(5)));
        ctx.submit(OrderRequest::market(id.clone(), Side::Buy, Quantity(10)));
        let stop = OrderRequest::trailing_stop(id, Side::Sell, Quantity(10), offset);
        ctx.submit(stop);
    }
    // Bids 0.99, 1.05, 1.02: the stop is at 0.94, then 1.00, and stays. 1.00 reaches it.
    let quotes = [(99, 100), (105, 106), (102, 103), (100, 101), (120, 121)];
    let quotes: Vec<MarketEvent> = (0..)
        .zip(quotes)
        .map(|(ts, (bid, ask))| quote(ts, Some(bid), Some(ask)))
        .collect();
    let expected: &[&str] = &["0 BUY 10 1.00", "3 SELL 10 1.00"];
    check(Fill::Touch, act, &quotes, (expected, "0", "0"));
    // Bar 1 goes from 1.00 by 0.98 up to 1.08, which brings the stop to 1.03, and down to a close
    // of 1.02: sold at it.
    let bars = [
        ohlc(0, 100, 100, 100, 100),
        ohlc(1, 100, 108, 98, 102),
        ohlc(2, 120, 120, 120, 120),
    ];
    let expected: &[&str] = &["0 BUY 10 1.00", "1 SELL 10 1.02"];
    check(Fill::BarClose, act, &bars, (expected, "0", "0.2"));
}

#[test]
fn a_dated_order_trades_up_to_its_time_and_not_behind_it() {
    fn act(ctx: &mut Context<'_>) {
        let order = OrderRequest::limit(instrument_id(), Side::Buy, Quantity(10), Price(95));
        ctx.submit(order.good_till(UnixNanos(2)));
    }
    let start = quote(0, Some(99), Some(101));
    for (ts, fills, position) in [(2, &["2 BUY 10 0.95"] as &[&str], "10"), (3, &[], "0")] {
        let events = [start.clone(), quote(ts, Some(95), Some(95))];
        check(Fill::Touch, act, &events, (fills, position, "0"));
    }
}

#[test]
fn orders_that_are_held_here_are_said_to_be() {
    let options = BacktestOptions::default();
    let said = |act: Act, instrument: Instrument| {
        let strategy = Box::new(Once(Some(act)));
        let events = [ohlc(0, 100, 100, 100, 100), ohlc(1, 100, 100, 100, 100)];
        let report = run_strategy(&options, strategy, events, vec![instrument]).unwrap();
        report.assumptions.join("\n")
    };
    assert!(said(bracket, lacking()).contains("held by the account"));
    let plain: Act = |ctx| drop(ctx.target(&instrument_id(), 1));
    assert!(!said(plain, instrument()).contains("held by the account"));
}
