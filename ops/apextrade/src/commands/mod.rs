//! One file a command.

mod archive;
mod backtest;
mod backup;
mod bars_check;
mod calendar;
mod client;
mod doctor;
mod health;
mod indicators;
mod migrate;
mod models;
mod progress;
mod up;
mod venue_sim;
mod verify;

use crate::cli::{BarsAction, Cli, Command};
use crate::config::{self, Settings};
use anyhow::{Context, Result};
use apex_ops::logs::{self, Format};
use clap::CommandFactory;
use std::future::Future;
use std::process::ExitCode;

/// Runs what the command line asks for.
///
/// Errors: what could not be done; the caller prints it and exits with 1.
pub fn run(cli: Cli) -> Result<ExitCode> {
    if let Command::Completions { shell } = cli.command {
        // Into memory first: the library ends with a panic where a reader such as `head` has gone.
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "apextrade", &mut script);
        crate::output::bytes(&script);
        return Ok(ExitCode::SUCCESS);
    }
    let settings = config::load(cli.config.as_deref())?;
    let format = Format::from_setting(settings.log_format.as_deref())?;
    let filter = log_filter(&cli.command, &settings);
    logs::init(&filter, format)?;
    match cli.command {
        Command::Up(args) => up::run(args, &settings),
        Command::Replay(args) => up::replay(args, &settings),
        Command::VenueSim(args) => venue_sim::run(args, &settings),
        Command::Backtest(args) => backtest::run(&args, &settings),
        Command::Indicators(args) => indicators::run(&args),
        Command::Import(args) => archive::import::run(&args, &settings),
        Command::Export(args) => archive::export::run(&args, &settings),
        Command::Migrate(args) => migrate::run(&args, &settings),
        Command::Verify(args) => verify::run(&args, &settings),
        Command::Backup(args) => backup::run(&args, &settings),
        Command::Restore(args) => backup::restore(&args, &settings),
        Command::Doctor(args) => doctor::run(&args, &settings),
        Command::Health(args) => health::run(&args, &settings),
        Command::Orders(args) => client::orders::run(args, &settings),
        Command::Positions(args) => client::close::positions(args, &settings),
        Command::Accounts(args) => client::close::accounts(args, &settings),
        Command::Book(args) => client::book::show(args, &settings),
        Command::Bars(args) => match args.action {
            None => client::bars::show(args.show, &settings),
            Some(BarsAction::Check(args)) => bars_check::run(&args, &settings),
        },
        Command::Instruments(args) => client::lists::instruments(args, &settings),
        Command::Risk(args) => client::risk::run(args, &settings),
        Command::User(args) => client::users::run(args, &settings),
        Command::Token(args) => client::tokens::run(args, &settings),
        Command::Audit(args) => client::audit::run(args, &settings),
        Command::Calendar(args) => calendar::run(&args),
        Command::StrategyHost => Ok(apex_remote::strategy_host::main_from_stdin()),
        Command::Completions { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// Commands that answer and end only log what went wrong, unless asked for more.
fn log_filter(command: &Command, settings: &Settings) -> String {
    let serves = matches!(
        command,
        Command::Up(_) | Command::VenueSim(_) | Command::StrategyHost
    );
    if serves || settings.log != "info" {
        settings.log.clone()
    } else {
        "warn".to_owned()
    }
}

/// The allocator asks for pages of 2 MiB, one at least for each thread: 20 of the 32 MB of an idle
/// node's heap were rounding, and replays were no faster for them.
fn small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay in use");
    }
}

/// Runs a future on a runtime of its own.
///
/// Errors: the future's, or the system's when it has no threads to give.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    small_pages();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(future)
}
