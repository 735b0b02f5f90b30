//! Funding, splits and dividends by files: the money worked out by hand.

use super::*;
use crate::context::Context;
use crate::order_request::OrderRequest;
use crate::subscription::{Selection, Subscriptions};
use crate::testing::instrument_id;
use apex_domain::happening::{Happening, What};
use apex_domain::market::{Bar, Side};
use apex_domain::{Quantity, Rate, UnixNanos};

/// Buys 10 with the first bar and sells all that it holds with the fifth; with `limit` it also
/// leaves an order at a price that is never met.
struct Hold {
    bars: u32,
    limit: bool,
}

impl Strategy for Hold {
    fn subscriptions(&self) -> Subscriptions {
        Subscriptions {
            bars: Selection::All,
            ..Subscriptions::none()
        }
    }

    fn on_bar(&mut self, ctx: &mut Context<'_>, _bar: &Bar) {
        let id = instrument_id();
        self.bars += 1;
        if self.bars == 1 {
            ctx.target(&id, 10);
            if self.limit {
                let far = OrderRequest::limit(id.clone(), Side::Buy, Quantity(1), Price(1));
                ctx.submit(far);
            }
        }
        if self.bars == 5 {
            ctx.target(&id, 0);
        }
    }
}

fn at(day: i64, what: What) -> Happening {
    Happening {
        ts: UnixNanos(day * DAY),
        symbol: None,
        what,
    }
}

fn split(day: i64, numerator: u32, denominator: u32) -> Happening {
    let what = What::Split {
        numerator,
        denominator,
    };
    at(day, what)
}

fn held(
    prices: &[i64],
    limit: bool,
    change: impl Fn(&mut BacktestOptions),
) -> Result<Value, BacktestError> {
    let mut options = BacktestOptions::default();
    change(&mut options);
    let strategy = Box::new(Hold { bars: 0, limit });
    let report = run_strategy(&options, strategy, days(prices), vec![instrument()])?;
    assert_eq!(report.warnings, [""; 0]);
    Ok(serde_json::from_str(&report.to_json()).unwrap())
}

fn says(report: &Value, text: &str) -> bool {
    let said = report["assumptions"].as_array().unwrap();
    said.iter().any(|one| one.as_str().unwrap().contains(text))
}

/// Bought on day 1 at 200, sold on day 5 at 260.
const PLAIN: [i64; 6] = [200, 200, 220, 240, 250, 260];

#[test]
fn without_files_nothing_happens_and_the_report_says_so() {
    let report = held(&PLAIN, false, |_| {}).unwrap();
    assert_eq!(report["final_equity"], "6");
    assert_eq!(report["funding"], "0");
    assert_eq!(report["dividends"], Value::Null);
    assert!(says(&report, "no corporate actions") && says(&report, "no funding"));
}

#[test]
fn a_split_in_mid_trade_leaves_profit_unchanged() {
    for (numerator, denominator, after) in [(2, 1, [120, 125, 130]), (1, 2, [480, 500, 520])] {
        let prices = [&PLAIN[..3], &after].concat();
        let report = held(&prices, false, |options| {
            options.corporate_actions = Some(vec![split(3, numerator, denominator)]);
        });
        let report = report.unwrap();
        assert_eq!(report["final_equity"], "6", "{numerator}:{denominator}");
        assert_eq!(report["realized_pnl"], "6");
        assert_eq!(report["max_drawdown"], "0");
        assert_eq!(report["metrics"]["wins"], 1);
        let units = (10 * numerator / denominator).to_string();
        assert_eq!(report["fills"][1]["quantity"], units);
        assert!(says(&report, "1 splits and 0 dividends"));
    }
}

#[test]
fn a_split_cancels_what_works_in_old_units() {
    let prices = [200, 200, 100, 100];
    let report = held(&prices, true, |options| {
        options.corporate_actions = Some(vec![split(2, 2, 1)]);
    });
    // The limit of 0.01 would still be there, and nothing was filled by it.
    let report = report.unwrap();
    assert_eq!(report["orders"], 2);
    assert_eq!(report["position"], "20");
    assert_eq!(report["final_equity"], "0");
}

#[test]
fn a_fraction_of_a_unit_is_cut_off_and_what_is_less_than_one_is_lost() {
    let report = held(&[200, 200, 600, 600], false, |options| {
        options.corporate_actions = Some(vec![split(2, 1, 3)]);
    });
    let report = report.unwrap();
    assert_eq!(report["position"], "3");
    assert_eq!(report["final_equity"], "-2", "a third of a unit at 6.00");
    let report = held(&[200, 200, 600, 600], false, |options| {
        options.corporate_actions = Some(vec![split(2, 1, 11)]);
    });
    let report = report.unwrap();
    assert_eq!(
        (report["position"].as_str(), report["final_equity"].as_str()),
        (Some("0"), Some("-20"))
    );
}

#[test]
fn a_dividend_is_cash_for_each_unit_that_is_held_before_its_row() {
    let amount = Money::parse("0.47").unwrap();
    for (day, paid) in [(0, "0"), (1, "0"), (2, "4.7"), (5, "4.7"), (6, "0")] {
        let report = held(&PLAIN, false, |options| {
            options.corporate_actions = Some(vec![at(day, What::Dividend { amount })]);
        });
        let report = report.unwrap();
        assert_eq!(report["dividends"], paid, "day {day}");
        let equity = Decimal::from(6) + paid.parse::<Decimal>().unwrap();
        assert_eq!(report["final_equity"], equity.to_string());
    }
}

#[test]
fn funding_is_paid_by_the_last_price_or_the_mark_of_the_file() {
    let rate = |text: &str| Rate::parse(text).unwrap();
    let funding = |day: i64, of: &str, mark: Option<&str>| {
        let mark = mark.map(|text| text.parse().unwrap());
        at(
            day,
            What::Funding {
                rate: rate(of),
                mark,
            },
        )
    };
    let rows = vec![
        // Nothing is held yet.
        funding(1, "0.5", None),
        // 10 at the close of day 1, 2.00: pays 0.2.
        funding(2, "0.01", None),
        // 10 at 2.345: receives 0.02345.
        funding(3, "-0.001", Some("2.345")),
    ];
    let report = held(&PLAIN, false, |options| {
        options.funding = Some(rows.clone())
    })
    .unwrap();
    assert_eq!(report["funding"], "-0.17655");
    assert_eq!(report["final_equity"], "5.82345");
    assert_eq!(report["realized_pnl"], "6", "funding is apart");
    assert!(says(&report, "2 payments"));
    assert_eq!(report["metrics"]["average_trade"], "5.82345");
}

#[test]
fn rows_of_other_symbols_are_left_alone() {
    let mut other = split(3, 2, 1);
    other.symbol = Some("OTHER".to_owned());
    let mut own = split(2, 1, 1);
    own.symbol = Some("DATA".to_owned());
    let report = held(&PLAIN, false, |options| {
        options.corporate_actions = Some(vec![other.clone(), own.clone()]);
    });
    let report = report.unwrap();
    assert_eq!(report["final_equity"], "6");
    assert!(says(&report, "1 splits"));
}

#[test]
fn what_cannot_be_booked_ends_the_run_with_its_time() {
    let mut spot = instrument();
    spot.kind = apex_domain::instrument::InstrumentKind::Spot;
    let options = BacktestOptions {
        funding: Some(vec![at(
            2,
            What::Funding {
                rate: Rate::parse("0.1").unwrap(),
                mark: None,
            },
        )]),
        ..BacktestOptions::default()
    };
    let strategy = Box::new(Hold {
        bars: 0,
        limit: false,
    });
    let error = run_strategy(&options, strategy, days(&PLAIN), vec![spot]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("funding of DATA.SIM at 172800000000000 ns"),
        "{text}"
    );
}
