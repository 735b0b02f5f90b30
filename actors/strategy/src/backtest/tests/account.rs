//! What a strategy is told of its account.

use super::*;
use crate::AccountView;
use crate::context::Context;
use crate::subscription::{Selection, Subscriptions};
use apex_domain::event::Recorded;
use apex_domain::instrument::InstrumentKind;
use apex_domain::market::Bar;
use apex_domain::number::Decimal;
use apex_domain::order::Order;
use apex_domain::{Currency, UnixNanos};
use std::sync::{Arc, Mutex};

type Told = Arc<Mutex<Vec<(String, Option<(Decimal, Decimal)>)>>>;

/// Buys five on the first bar, looks at the account in each handler, and sets a timer between two
/// bars.
struct Looks {
    wants: bool,
    told: Told,
}

impl Looks {
    fn look(&self, at: &str, ctx: &Context<'_>) {
        let usd = Currency::new("USD").unwrap();
        let sums = |view: &AccountView| (view.equity.0, view.cash_of(&usd).0);
        let seen = ctx.account().map(sums);
        self.told.lock().unwrap().push((at.to_owned(), seen));
    }
}

impl Strategy for Looks {
    fn subscriptions(&self) -> Subscriptions {
        Subscriptions {
            bars: Selection::All,
            account: self.wants,
            ..Subscriptions::none()
        }
    }

    fn on_start(&mut self, ctx: &mut Context<'_>) {
        self.look("start", ctx);
    }

    fn on_bar(&mut self, ctx: &mut Context<'_>, bar: &Bar) {
        self.look("bar", ctx);
        if ctx.position(&bar.instrument_id) == 0 {
            ctx.target(&bar.instrument_id, 5);
            ctx.timer(UnixNanos(ctx.now().0 + 1), "between");
        }
    }

    fn on_order(&mut self, ctx: &mut Context<'_>, order: &Order, _recorded: &Recorded) {
        if order.status == apex_domain::order::OrderStatus::Filled {
            self.look("filled", ctx);
        }
    }

    fn on_timer(&mut self, ctx: &mut Context<'_>, _tag: &str) {
        self.look("timer", ctx);
    }
}

fn told(wants: bool) -> Vec<(String, Option<(Decimal, Decimal)>)> {
    let told = Told::default();
    let options = BacktestOptions {
        fill: Some(Fill::BarClose),
        start_cash: Money(Decimal::from(1_000)),
        ..BacktestOptions::default()
    };
    let strategy = Box::new(Looks {
        wants,
        told: Arc::clone(&told),
    });
    let events = days(&[100, 200, 150]);
    let mut spot = instrument();
    spot.kind = InstrumentKind::Spot;
    let report = run_strategy(&options, strategy, events, vec![spot]).unwrap();
    assert_eq!(report.final_equity, "1002.5");
    let is_said = |said: &String| said.starts_with("the strategy sees its account as of");
    assert_eq!(report.assumptions.iter().any(is_said), wants);
    Arc::into_inner(told).unwrap().into_inner().unwrap()
}

#[test]
fn an_account_is_as_old_as_the_market_that_the_strategy_sees() {
    let row = |at: &str, equity: &str, cash: &str| {
        let number = |text: &str| text.parse().unwrap();
        (at.to_owned(), Some((number(equity), number(cash))))
    };
    // Five at 1.00, then marked at 2.00 and at 1.50. It is as of the last bar, whatever comes between.
    let expected = [
        row("start", "1000", "1000"),
        row("bar", "1000", "1000"),
        row("filled", "1000", "1000"),
        row("timer", "1000", "1000"),
        row("bar", "1005", "995"),
        row("bar", "1002.5", "995"),
    ];
    assert_eq!(told(true), expected);
}

#[test]
fn who_did_not_ask_for_the_account_is_told_nothing_of_it() {
    let told = told(false);
    assert_eq!(told.len(), 6);
    assert!(told.iter().all(|(_, seen)| seen.is_none()), "{told:?}");
}
