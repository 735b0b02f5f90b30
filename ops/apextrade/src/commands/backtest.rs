//! `apextrade backtest`.

use crate::cli::{BacktestArgs, Fill, Margin, PositionModeArg};
use crate::commands::up::parameters;
use anyhow::{Context, Result};
use apex_domain::event::PositionMode;
use apex_domain::{Money, number};
use apex_strategy::backtest::{self, BacktestOptions, BacktestReport};
use apex_venues::csv::{CsvOptions, CsvSource, Loaded};
use std::process::ExitCode;

/// Runs a strategy over a file and prints what it made.
pub fn run(args: &BacktestArgs) -> Result<ExitCode> {
    // Before a long file is read for nothing.
    apex_strategy::registry::find(&args.strategy)?;
    let options = options(args)?;
    let loaded = CsvSource::open(
        &args.data,
        &CsvOptions {
            instrument: args.instrument.clone(),
        },
    )?;
    let (assumptions, warnings) = notes(&loaded);
    let mut report = backtest::run(&options, loaded.events, loaded.instruments)?;
    report.assumptions.extend(assumptions);
    report.warnings.extend(warnings);
    if args.json {
        crate::say!("{}", report.to_json());
    } else {
        print(&report);
    }
    Ok(ExitCode::SUCCESS)
}

fn options(args: &BacktestArgs) -> Result<BacktestOptions> {
    let decimal = |flag: &str, text: &str| {
        number::parse_decimal(text).with_context(|| format!("{flag} \"{text}\""))
    };
    let fee_bps = decimal("--fee-bps", &args.fee_bps)?;
    Ok(BacktestOptions {
        strategy: args.strategy.clone(),
        parameters: parameters(&args.params)?,
        start_cash: Money(decimal("--start-cash", &args.start_cash)?),
        margin: match args.margin {
            Margin::None => backtest::Margin::None,
            Margin::Account => backtest::Margin::Account,
        },
        position_mode: match args.position_mode {
            PositionModeArg::Netting => PositionMode::Netting,
            PositionModeArg::Hedging => PositionMode::Hedging,
        },
        // Without a fee the instrument's own schedule holds, which is none for one that was
        // inferred from its data.
        fee_bps: Some(fee_bps).filter(|fee| !fee.is_zero()),
        fill: args.fill.map(|fill| match fill {
            Fill::NextOpen => backtest::Fill::NextOpen,
            Fill::BarClose => backtest::Fill::BarClose,
            Fill::Touch => backtest::Fill::Touch,
            Fill::Book => backtest::Fill::Book,
        }),
        slippage_bps: decimal("--slippage-bps", &args.slippage_bps)?,
        seed: args.seed,
    })
}

/// What the file's reader took for granted, and what it found odd, bad rows among it.
fn notes(loaded: &Loaded) -> (Vec<String>, Vec<String>) {
    let mut warnings = loaded.warnings.clone();
    let bad = &loaded.bad_rows;
    if bad.count > 0 {
        warnings.push(format!(
            "{} rows could not be read and were left out",
            bad.count
        ));
        warnings.extend(
            bad.first
                .iter()
                .map(|row| format!("line {} {}", row.line, row.reason)),
        );
    }
    (loaded.assumptions.clone(), warnings)
}

fn print(report: &BacktestReport) {
    crate::say!(
        "{} events in {:.2} s: {:.0} events/s",
        report.events,
        report.wall_seconds,
        report.events_per_second
    );
    crate::say!("{} orders, {} fills", report.orders, report.fills.len());
    crate::say!("final equity {}", report.final_equity);
    crate::say!(
        "realized profit {}, fees {}",
        report.realized_pnl,
        report.fees
    );
    crate::say!("largest drawdown {}", report.max_drawdown);
    crate::say!("position at the end {}", report.position);
    for warning in &report.warnings {
        crate::say!("warning: {warning}");
    }
    for assumption in &report.assumptions {
        crate::say!("assumed: {assumption}");
    }
    crate::say!("state hash {}", report.state_hash);
}
