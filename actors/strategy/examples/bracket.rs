//! A strategy that is always in the market with a bracket round it: in at the market, out at a
//! profit, or at a stop that follows the price.
//!
//! ```sh
//! cargo run -p apex-strategy --example bracket
//! ```

use apex_domain::instrument::{FeeSchedule, Instrument, InstrumentKind, InstrumentRules};
use apex_domain::market::{Bar, BarSpec, MarketEvent, Side};
use apex_domain::order::{OrderType, TrailingOffset, TriggerType};
use apex_domain::{Currency, InstrumentId, Money, Price, Quantity, Rate, UnixNanos};
use apex_strategy::backtest::{BacktestOptions, BacktestReport, run_strategy};
use apex_strategy::{Context, ListIds, OrderRequest, Selection, Strategy, Subscriptions};

/// See the module.
#[derive(Debug, Default)]
struct Bracketed {
    /// The bracket that works now, or the last one.
    ids: Option<ListIds>,
}

impl Strategy for Bracketed {
    fn subscriptions(&self) -> Subscriptions {
        Subscriptions {
            bars: Selection::All,
            ..Subscriptions::none()
        }
    }

    fn on_bar(&mut self, ctx: &mut Context<'_>, bar: &Bar) {
        let (id, quantity) = (&bar.instrument_id, Quantity(100));
        if ctx.position(id) != 0 || ctx.working(id) != 0 {
            return;
        }
        // In at the market, out 2.00 above (prices have two decimals) or half a percent below the
        // best.
        let entry = OrderRequest::market(id.clone(), Side::Buy, quantity);
        let profit =
            OrderRequest::limit(id.clone(), Side::Sell, quantity, Price(bar.close.0 + 200));
        let offset = TrailingOffset::Bps(50);
        let stop = OrderRequest::trailing_stop(id.clone(), Side::Sell, quantity, offset);
        self.ids = Some(ctx.bracket(entry, profit, stop.trigger(TriggerType::BidAsk)));
    }
}

/// An instrument of a venue without conditional orders: the account holds them.
fn instrument() -> Instrument {
    let mut rules = InstrumentRules::default();
    rules.lacks.order_types = OrderType::ALL.to_vec();
    rules.lacks.order_types.retain(|kind| kind.is_conditional());
    Instrument {
        instrument_id: InstrumentId::new("DATA.SIM").expect("a constant id"),
        kind: InstrumentKind::Linear,
        base_currency: Currency::new("DATA").expect("a constant id"),
        quote_currency: Currency::new("USD").expect("a constant id"),
        price_decimals: 2,
        quantity_decimals: 0,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(1_000_000),
        min_notional: Money::ZERO,
        multiplier: Rate::parse("1").expect("a constant number"),
        initial_margin: Rate::parse("1").expect("a constant number"),
        fees: FeeSchedule::default(),
        synthetic: true,
        rules,
    }
}

/// Minutes that open where the one before closed.
fn minutes(closes: &[i64]) -> Vec<MarketEvent> {
    let mut open = closes[0];
    let bars = (0..).zip(closes).map(|(minute, close)| {
        let ts = UnixNanos(minute * 60_000_000_000);
        let bar = Bar {
            instrument_id: instrument().instrument_id,
            spec: BarSpec::External,
            open: Price(open),
            high: Price(open.max(*close)),
            low: Price(open.min(*close)),
            close: Price(*close),
            volume: 0,
            trade_count: 0,
            ts_open: ts,
            ts_init: ts,
        };
        open = *close;
        MarketEvent::Bar(bar)
    });
    bars.collect()
}

fn report(closes: &[i64]) -> BacktestReport {
    let options = BacktestOptions::default();
    let strategy = Box::new(Bracketed::default());
    let run = run_strategy(&options, strategy, minutes(closes), vec![instrument()]);
    run.expect("the data of this example can be run")
}

fn main() {
    println!(
        "{}",
        report(&[10_000, 10_020, 10_250, 10_300, 10_200]).to_json()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fills(closes: &[i64]) -> Vec<String> {
        let report = report(closes);
        let fills = report.fills.iter();
        fills
            .map(|fill| format!("{} {}", fill.side, fill.price))
            .collect()
    }

    #[test]
    fn a_rise_takes_the_profit_and_goes_in_again() {
        // In at 100.00, out at 102.00; again in at 102.50 with the next open.
        let expected = ["SIDE_BUY 100.00", "SIDE_SELL 102.00", "SIDE_BUY 102.50"];
        assert_eq!(fills(&[10_000, 10_020, 10_250, 10_260]), expected);
    }

    #[test]
    fn a_fall_of_half_a_percent_from_the_best_sells() {
        // The best is 101.00, so the stop stands at 100.49: sold at the open behind the fall.
        let expected = ["SIDE_BUY 100.00", "SIDE_SELL 100.40"];
        assert_eq!(fills(&[10_000, 10_100, 10_040, 10_040]), expected);
    }
}
