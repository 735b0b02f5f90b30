//! `apextrade backtest`.

use crate::cli::{BacktestArgs, Fill, Margin, PositionModeArg};
use crate::commands::models;
use crate::commands::up::parameters;
use crate::config::Settings;
use anyhow::{Context, Result};
use apex_domain::event::PositionMode;
use apex_domain::number::Decimal;
use apex_domain::{Money, number};
use apex_strategy::backtest::{self, BacktestOptions, BacktestReport};
use apex_venues::csv::{CsvOptions, CsvSource, Loaded, read_corporate_actions, read_funding};
use std::process::ExitCode;

/// Runs a strategy over a file and prints what it made.
pub fn run(args: &BacktestArgs, settings: &Settings) -> Result<ExitCode> {
    // Before a long file is read for nothing.
    apex_strategy::registry::find(&args.strategy)?;
    let options = options(args, settings)?;
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

fn options(args: &BacktestArgs, settings: &Settings) -> Result<BacktestOptions> {
    let decimal = |flag: &str, text: &str| {
        number::parse_decimal(text).with_context(|| format!("{flag} \"{text}\""))
    };
    let bps = |flag: &str, text: &Option<String>| match text {
        Some(text) => decimal(flag, text),
        None => Ok(Decimal::ZERO),
    };
    let fee_bps = bps("--fee-bps", &args.fee_bps)?;
    let mut flags = args.models.given();
    flags.extend(args.book_models.given());
    flags.extend(args.bar_models.given());
    let mut models = models::choose(settings, &flags)?;
    // A flag in basis points comes before what the settings say of the same.
    if args.fee_bps.is_some() {
        models.fee = None;
    }
    if args.slippage_bps.is_some() {
        models.slippage = None;
    }
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
        slippage_bps: bps("--slippage-bps", &args.slippage_bps)?,
        models,
        seed: args.seed,
        funding: args.funding.as_deref().map(read_funding).transpose()?,
        corporate_actions: args
            .corporate_actions
            .as_deref()
            .map(read_corporate_actions)
            .transpose()?,
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
    if report.funding != "0" {
        crate::say!("funding {}", report.funding);
    }
    if let Some(dividends) = &report.dividends {
        crate::say!("dividends {dividends}");
    }
    crate::say!("largest drawdown {}", report.max_drawdown);
    if report.positions.is_empty() {
        crate::say!("position at the end {}", report.position);
    }
    for row in report.positions.iter().filter(|row| row.position != "0") {
        crate::say!(
            "position at the end {} of {}",
            row.position,
            row.instrument_id
        );
    }
    for warning in &report.warnings {
        crate::say!("warning: {warning}");
    }
    for assumption in &report.assumptions {
        crate::say!("assumed: {assumption}");
    }
    crate::say!("state hash {}", report.state_hash);
}
