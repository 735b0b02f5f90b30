//! A strategy to begin from: copy this file, rename the struct, change `on_bar`.
//!
//! It holds a position while a fast moving average of the closes is above a slow one. The shipped
//! `ema-cross` in `src/ema_cross.rs` is the same idea with every choice as a parameter.
//!
//! `cargo run -p apex-strategy --example ema_cross` runs it over a made-up market; its tests run
//! with `cargo test -p apex-strategy --examples`. To name a strategy on the command line, take the
//! steps of `docs/guide/strategies.md`.

use apex_domain::indicator::Ema;
use apex_domain::market::{Bar, BarSpec, MarketEvent};
use apex_domain::{InstrumentId, Price, UnixNanos};
use apex_strategy::backtest::{BacktestError, BacktestOptions, BacktestReport, run_strategy};
use apex_strategy::parameter::{ParameterKind, ParameterSchema, ParameterSet, ParameterValues};
use apex_strategy::{Context, ParameterError, Selection, Strategy, Subscriptions};

// 1. Parameters: a struct, and for each field its bounds, default and one sentence.

#[derive(Debug)]
struct Parameters {
    fast: u32,
    slow: u32,
}

impl ParameterSet for Parameters {
    const SCHEMA: &'static [ParameterSchema] = &[
        ParameterSchema {
            name: "fast",
            kind: ParameterKind::Integer,
            default: Some("3"),
            min: Some("1"),
            max: Some("1000"),
            unit: None,
            live: false,
            help: "Period of the fast average.",
        },
        ParameterSchema {
            name: "slow",
            kind: ParameterKind::Integer,
            default: Some("8"),
            min: Some("1"),
            max: Some("1000"),
            unit: None,
            live: false,
            help: "Period of the slow average.",
        },
    ];

    fn from_values(values: &ParameterValues) -> Result<Parameters, ParameterError> {
        let period = |name| {
            let value = values.integer(name).unwrap_or(1);
            // The bounds of the schema fit.
            u32::try_from(value).unwrap_or(1)
        };
        Ok(Parameters {
            fast: period("fast"),
            slow: period("slow"),
        })
    }
}

// 2. The strategy: what it remembers between two calls. One instrument at a time keeps it short.

#[derive(Debug)]
struct Follow {
    fast: Ema,
    slow: Ema,
}

impl Follow {
    fn new(parameters: &Parameters) -> Follow {
        Follow {
            fast: Ema::new(parameters.fast),
            slow: Ema::new(parameters.slow),
        }
    }
}

// 3. What it sees, and what it does about it.

impl Strategy for Follow {
    fn subscriptions(&self) -> Subscriptions {
        Subscriptions {
            bars: Selection::All,
            ..Subscriptions::none()
        }
    }

    fn on_bar(&mut self, ctx: &mut Context<'_>, bar: &Bar) {
        // A ratio of averages needs no unit, so the mantissa does as a float.
        let close = bar.close.0 as f64;
        let fast = self.fast.update(close);
        let slow = self.slow.update(close);
        if !self.slow.is_ready() {
            return;
        }
        // `target` orders only the difference to what is held and under way, so it can be said
        // on every bar. 10 of the smallest decimal of this instrument: on another it may be too
        // small to order, which `Instrument::smallest_orderable` answers.
        let wanted = if fast > slow { 10 } else { 0 };
        ctx.target(&bar.instrument_id, wanted);
    }
}

// 4. A run over made-up data, which a test can look at.

/// Returns one bar a minute at these closes.
fn market(closes: &[i64]) -> Vec<MarketEvent> {
    let instrument_id = instrument().instrument_id;
    closes
        .iter()
        .enumerate()
        .map(|(minute, close)| {
            let (ts, price) = (UnixNanos(minute as i64 * 60_000_000_000), Price(*close));
            MarketEvent::Bar(Bar {
                instrument_id: instrument_id.clone(),
                spec: BarSpec::External,
                open: price,
                high: price,
                low: price,
                close: price,
                volume: 0,
                trade_count: 0,
                ts_open: ts,
                ts_init: ts,
            })
        })
        .collect()
}

fn instrument() -> apex_domain::Instrument {
    use apex_domain::instrument::{FeeSchedule, InstrumentKind, InstrumentRules};
    use apex_domain::{Currency, Money, Quantity, Rate, number::Decimal};
    // Constant texts of the right form.
    let usd = Currency::new("USD").expect("a currency");
    apex_domain::Instrument {
        instrument_id: InstrumentId::new("DEMO.SIM").expect("an instrument id"),
        kind: InstrumentKind::Linear,
        base_currency: Currency::new("DEMO").expect("a currency"),
        quote_currency: usd,
        price_decimals: 2,
        quantity_decimals: 0,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(1_000_000),
        min_notional: Money::ZERO,
        multiplier: Rate(Decimal::ONE),
        initial_margin: Rate(Decimal::ONE),
        fees: FeeSchedule::default(),
        synthetic: true,
        rules: InstrumentRules::default(),
    }
}

fn backtest(
    parameters: &[(String, String)],
    closes: &[i64],
) -> Result<BacktestReport, BacktestError> {
    let parameters = Parameters::parse(parameters).map_err(apex_strategy::StrategyError::from)?;
    run_strategy(
        &BacktestOptions::default(),
        Box::new(Follow::new(&parameters)),
        market(closes),
        vec![instrument()],
    )
}

fn main() -> Result<(), BacktestError> {
    // A wave of two hours.
    let closes: Vec<i64> = (0..120)
        .map(|minute| 10_000 + (500.0 * (f64::from(minute) / 10.0).sin()) as i64)
        .collect();
    println!("{}", backtest(&[], &closes)?.to_json());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_buys_a_rise_and_leaves_on_the_fall() {
        let mut closes: Vec<i64> = (0..20).map(|step| 10_000 + step * 10).collect();
        closes.extend((0..20).map(|step| 10_200 - step * 10));
        let report = backtest(&[], &closes).unwrap();
        let sides: Vec<&str> = report.fills.iter().map(|fill| fill.side).collect();
        assert_eq!(sides, ["SIDE_BUY", "SIDE_SELL"]);
        assert_eq!(report.position, "0");
    }

    #[test]
    fn a_misspelt_parameter_is_refused() {
        let error = backtest(&[("fats".into(), "3".into())], &[1]).unwrap_err();
        assert!(error.to_string().contains("did you mean \"fast\"?"));
    }
}
