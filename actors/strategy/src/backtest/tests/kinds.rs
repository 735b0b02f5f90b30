//! Money in base currency, and what is owed without free cash: worked out by hand.

use super::*;
use crate::context::Context;
use crate::subscription::{Selection, Subscriptions};
use crate::testing::instrument_id;
use apex_domain::happening::{Happening, What};
use apex_domain::instrument::{FeeSchedule, InstrumentKind};
use apex_domain::market::Bar;
use apex_domain::{Money, Rate, UnixNanos};

/// Trades to this position with the first bar, and to none with the fifth.
struct To {
    position: i64,
    bars: u32,
}

impl Strategy for To {
    fn subscriptions(&self) -> Subscriptions {
        Subscriptions {
            bars: Selection::All,
            ..Subscriptions::none()
        }
    }

    fn on_bar(&mut self, ctx: &mut Context<'_>, _bar: &Bar) {
        self.bars += 1;
        match self.bars {
            1 => drop(ctx.target(&instrument_id(), self.position)),
            5 => drop(ctx.target(&instrument_id(), 0)),
            _ => {}
        }
    }
}

fn traded(
    position: i64,
    prices: &[i64],
    instrument: Instrument,
    options: &BacktestOptions,
) -> Value {
    let strategy = Box::new(To { position, bars: 0 });
    let report = run_strategy(options, strategy, days(prices), vec![instrument]).unwrap();
    serde_json::from_str(&report.to_json()).unwrap()
}

fn inverse() -> Instrument {
    Instrument {
        kind: InstrumentKind::Inverse,
        ..instrument()
    }
}

#[test]
fn an_inverse_contract_earns_base_currency_which_is_worth_its_last_price() {
    // 10 contracts bought at 2.00 are 5, sold at 2.50 they are 4.
    let prices = [200, 200, 220, 240, 250, 250];
    let options = BacktestOptions::default();
    let report = traded(10, &prices, inverse(), &options);
    assert_eq!(report["realized_pnl"], "2.5", "1 at 2.50");
    assert_eq!(report["final_equity"], "2.5");
    assert_eq!(report["metrics"]["wins"], 1);
    let later = [200, 200, 220, 240, 250, 250, 500];
    let report = traded(10, &later, inverse(), &options);
    assert_eq!(report["final_equity"], "5", "1 at 5.00");
    // Short, the other way round: the last mark before it is closed is 5 - 10 / 2.50.
    let report = traded(-10, &prices, inverse(), &options);
    assert_eq!(report["final_equity"], "-2.5");
    assert_eq!(report["metrics"]["losses"], 1);
    // Open: 10 / 2.00 less 10 / 2.20, times 2.20.
    let report = traded(10, &[200, 200, 220], inverse(), &options);
    assert_eq!(report["final_equity"], "1");
}

fn charging_base(rate: &str, decimals: u8) -> Instrument {
    Instrument {
        kind: InstrumentKind::Spot,
        fees: FeeSchedule {
            taker: Rate::parse(rate).unwrap(),
            maker: Rate::parse(rate).unwrap(),
            in_base: true,
            ..instrument().fees
        },
        quantity_decimals: decimals,
        ..instrument()
    }
}

#[test]
fn a_fee_in_what_was_bought_is_missing_from_it() {
    let prices = [200, 200, 220, 240, 250, 260];
    let options = BacktestOptions::default();
    // 0.1 of 10 units, finer than a unit: owed, at 2.60. The sale pays 0.26.
    let report = traded(10, &prices, charging_base("0.01", 0), &options);
    assert_eq!(report["final_equity"], "5.48");
    assert_eq!(report["fees"], "0.52");
    // 0.1 of 1.0 units: 0.9 are left to sell at 2.60, less 0.234.
    let report = traded(10, &prices, charging_base("0.1", 1), &options);
    assert_eq!(report["final_equity"], "0.106");
    assert_eq!(report["position"], "0");
    assert_eq!(report["metrics"]["wins"], 1);
    assert_eq!(report["metrics"]["trades"], 1);
}

#[test]
fn who_is_short_owes_a_dividend_whether_there_is_free_cash_or_not() {
    let contract = Instrument {
        kind: InstrumentKind::Linear,
        initial_margin: Rate::parse("0.1").unwrap(),
        ..instrument()
    };
    let amount = Money::parse("0.47").unwrap();
    let options = BacktestOptions {
        margin: Margin::Account,
        start_cash: Money::parse("3").unwrap(),
        corporate_actions: Some(vec![Happening {
            ts: UnixNanos(3 * DAY),
            symbol: None,
            what: What::Dividend { amount },
        }]),
        ..BacktestOptions::default()
    };
    let report = traded(-10, &[200, 200, 200, 200], contract, &options);
    assert_eq!(report["dividends"], "-4.7");
    assert_eq!(report["funding"], "0");
    assert_eq!(report["final_equity"], "-1.7");
}

#[test]
fn two_dividends_of_one_time_are_both_owed_of_a_spot_position_too() {
    for kind in [InstrumentKind::Linear, InstrumentKind::Spot] {
        let share = Instrument {
            kind,
            ..instrument()
        };
        let dividend = |symbol: Option<&str>| Happening {
            ts: UnixNanos(3 * DAY),
            symbol: symbol.map(str::to_owned),
            what: What::Dividend {
                amount: Money::parse("0.47").unwrap(),
            },
        };
        let options = BacktestOptions {
            corporate_actions: Some(vec![dividend(None), dividend(Some("DATA"))]),
            ..BacktestOptions::default()
        };
        let report = traded(-10, &[200, 200, 200, 200], share, &options);
        assert_eq!(report["dividends"], "-9.4", "{kind:?}");
        assert_eq!(report["funding"], "0", "{kind:?}");
        assert_eq!(report["final_equity"], "-9.4", "{kind:?}");
    }
}
