//! `apextrade venue-sim`.

use crate::cli::VenueSimArgs;
use crate::commands::{block_on, models};
use crate::config::Settings;
use anyhow::{Context, Result};
use apex_domain::matching::{MarginOptions, SimOptions};
use apex_domain::time::NANOS_PER_MILLI;
use apex_domain::{Currency, Money};
use apex_node::charter::PAPER_CASH;
use apex_venues::sim::{ServerOptions, serve};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Serves the simulated venue until SIGINT or SIGTERM. The first line on standard output is the
/// address, so that a caller who asked for port 0 knows it.
pub fn run(args: VenueSimArgs, settings: &Settings) -> Result<ExitCode> {
    let models = models::choose(settings, &args.models.given())?;
    let models = models.fit("venue-sim", models::EXCHANGE)?;
    let data_dir = args
        .data
        .data_dir
        .unwrap_or_else(|| settings.data_dir.join("venue"));
    std::fs::create_dir_all(&data_dir)
        .with_context(|| format!("cannot make folder \"{}\"", data_dir.display()))?;
    let mut options = ServerOptions::new(data_dir, args.seed);
    options.latencies = models.latencies(args.seed);
    options.step_interval = Duration::from_millis(args.step_ms);
    options.sim.instruments = super::up::instruments(args.instruments.as_deref())?;
    for listed in &mut options.sim.instruments {
        // What is not stated stays as it is defined.
        models.define(&mut listed.instrument);
        if let Some(calendar) = &args.calendar {
            listed.instrument.rules.calendar.clone_from(calendar);
        }
        if args.margin_cash.is_some() {
            listed.instrument.initial_margin = args.initial_margin;
            listed.instrument.rules.maintenance_margin = Some(args.maintenance_margin);
        }
    }
    options.sim.cash = Some(balances(&options.sim, args.margin_cash, args.cash)?);
    if let Some(cash) = args.margin_cash {
        options.sim.margin = Some(MarginOptions {
            currency: Currency::new("USDT")?,
            cash,
            grace_ns: i64::from(args.margin_grace_ms) * NANOS_PER_MILLI,
        });
    }
    block_on(async move {
        let listener = TcpListener::bind(&args.listen)
            .await
            .with_context(|| format!("cannot listen on \"{}\"", args.listen))?;
        crate::say!("{}", listener.local_addr()?);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let end = async move {
            tokio::select! {
                biased;
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        serve(listener, options, end).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// What each account begins with: as a new paper account, but for what is stated.
fn balances(
    sim: &SimOptions,
    margin_cash: Option<Money>,
    stated: Vec<(Currency, Money)>,
) -> Result<BTreeMap<Currency, Money>> {
    let quotes = sim.instruments.iter();
    let quotes = quotes.map(|listed| listed.instrument.quote_currency.clone());
    let mut cash: BTreeMap<Currency, Money> = quotes
        .map(|currency| (currency, Money(PAPER_CASH.into())))
        .collect();
    if let Some(margin_cash) = margin_cash {
        cash.insert(Currency::new("USDT")?, margin_cash);
    }
    cash.extend(stated);
    Ok(cash)
}
