//! `apextrade up` and `apextrade replay`.

use crate::cli::{self, Feed, ReplayArgs, StrategyArgs, UpArgs};
use crate::commands::{block_on, models, progress};
use crate::config::Settings;
use anyhow::{Context, Result, bail};
use apex_domain::AccountId;
use apex_domain::matching::{ModelChoices, SimInstrument};
use apex_node::StrategyChoice;
use apex_node::replay::pace::{Pause, Speed};
use apex_node::replay::summary::Summary;
use apex_node::replay::{self, Controls, ReplayRun};
use apex_node::sim;
use apex_node::stores::ServerSettings;
use apex_node::up::{NodeOptions, token_file};
use apex_venues::sim::load_instruments;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Time that ending may take before the process ends anyway.
const GRACE: Duration = Duration::from_secs(10);

/// Runs every role in one process until the recording ends or a signal comes.
pub fn run(args: UpArgs, settings: &Settings) -> Result<ExitCode> {
    let strategy = strategy(&args.strategies)?;
    let listen = address(
        args.listen.as_deref().unwrap_or(&settings.listen),
        args.insecure,
    )?;
    let given = args.data.data_dir.clone();
    let mut flags = args.models.given();
    flags.extend(args.book_models.given());
    let models = models::choose(settings, &flags)?;
    if args.replay.is_empty() {
        let data_dir = given.unwrap_or_else(|| settings.data_dir.clone());
        // A venue of its own has its own models.
        let models = match args.venue {
            Some(_) => models.fit("up --venue", &[])?,
            None => models.fit("the market inside", models::EXCHANGE)?,
        };
        let options = NodeOptions {
            data_dir,
            servers: ServerSettings {
                take_over_without_reserve: args.take_over_without_reserve,
                ..settings.servers.clone()
            },
            listen,
            record: settings.record,
            new_audit: args.new_audit,
            edge: settings.edge.clone(),
        };
        return block_on(live(args, options, models, strategy));
    }
    let data_dir = given.unwrap_or_else(|| replay_folder(settings));
    let run = ReplayRun {
        files: args.replay,
        speed: speed(args.playback.speed),
        repeat: args.playback.repeat,
        clones: args.playback.clones,
        seek_seconds: args.playback.seek,
        strategy,
        models: models.fit("a replay", models::REPLAY)?,
        seed: args.seed,
        exit_at_end: args.exit_at_end,
    };
    let options = NodeOptions {
        data_dir,
        servers: settings.servers.clone(),
        listen,
        record: settings.record,
        new_audit: false,
        edge: settings.edge.clone(),
    };
    block_on(recorded(options, run, args.json))
}

/// Replays recordings as fast as possible, on a port that nobody has to know.
pub fn replay(args: ReplayArgs, settings: &Settings) -> Result<ExitCode> {
    let strategy = strategy(&args.strategies)?;
    let mut flags = args.models.given();
    flags.extend(args.book_models.given());
    let models = models::choose(settings, &flags)?.fit("a replay", models::REPLAY)?;
    let data_dir = args
        .data
        .data_dir
        .unwrap_or_else(|| replay_folder(settings));
    let options = NodeOptions {
        data_dir,
        servers: settings.servers.clone(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        record: settings.record,
        new_audit: false,
        edge: settings.edge.clone(),
    };
    let run = ReplayRun {
        files: args.files,
        speed: Speed::Max,
        repeat: false,
        clones: 0,
        seek_seconds: 0,
        strategy,
        models,
        seed: args.seed,
        exit_at_end: true,
    };
    block_on(recorded(options, run, args.json))
}

/// Without a folder of its own a replay does not touch the paper account.
fn replay_folder(settings: &Settings) -> PathBuf {
    if settings.data_dir_given {
        settings.data_dir.clone()
    } else {
        settings.data_dir.join("replay")
    }
}

fn speed(speed: cli::Speed) -> Speed {
    match speed {
        cli::Speed::Max => Speed::Max,
        cli::Speed::Factor(factor) => Speed::Factor(factor),
    }
}

fn strategy(args: &StrategyArgs) -> Result<Option<StrategyChoice>> {
    let Some(name) = args.strategy.clone() else {
        return Ok(None);
    };
    let params = parameters(&args.params)?;
    let choice = StrategyChoice { name, params };
    choice.check()?;
    Ok(Some(choice))
}

/// Takes `k=v` texts apart.
///
/// Errors: a text without `=`.
pub fn parameters(texts: &[String]) -> Result<Vec<(String, String)>> {
    texts
        .iter()
        .map(|text| Ok(apex_strategy::parameter::split_pair(text)?))
        .collect()
}

/// Resolves the address to serve on, and refuses one beyond loopback unless it was allowed: there
/// is no TLS here.
fn address(text: &str, allow_beyond_loopback: bool) -> Result<SocketAddr> {
    let address = resolve(text)?;
    if !address.ip().is_loopback() && !allow_beyond_loopback {
        bail!(
            "listen address {address} is beyond loopback and has no TLS: put nginx in front, or \
             add --insecure"
        );
    }
    Ok(address)
}

/// Returns the address that a text means.
///
/// Errors: it is none, or a name that is not known.
pub fn resolve(text: &str) -> Result<SocketAddr> {
    text.to_socket_addrs()
        .with_context(|| {
            format!("listen address \"{text}\" is no host:port: give one like 127.0.0.1:8000")
        })?
        .next()
        .with_context(|| format!("listen address \"{text}\" has no address"))
}

/// Returns the instruments of the simulated market: the default ones, and those of a file.
///
/// Errors: what is wrong in the file.
pub fn instruments(file: Option<&Path>) -> Result<Vec<SimInstrument>> {
    match file {
        Some(file) => Ok(load_instruments(file)?),
        None => Ok(SimInstrument::defaults()),
    }
}

async fn live(
    args: UpArgs,
    options: NodeOptions,
    models: ModelChoices,
    strategy: Option<StrategyChoice>,
) -> Result<ExitCode> {
    let account_id = AccountId::new(&args.account).context("--account")?;
    let mut stop = stop_on_signal()?;
    let live = match (args.venue, args.feed.unwrap_or(Feed::Sim)) {
        (Some(address), Feed::Sim) => sim::linked(&options, address).await?,
        (None, Feed::Sim) => {
            let mut listed = instruments(args.instruments.as_deref())?;
            for listed in &mut listed {
                models.define(&mut listed.instrument);
            }
            let latencies = models.latencies(args.seed);
            sim::inside(&options, args.seed, listed, latencies).await?
        }
        (_, Feed::Binance | Feed::Alpaca) => {
            bail!("live feeds are not part of this build: use --feed sim, or --replay a recording")
        }
    };
    announce(&options.data_dir, live.node.address());
    if let Some(choice) = &strategy {
        live.run_strategy(choice, account_id).await?;
    }
    apex_node::stop::stopped(&mut stop).await;
    tracing::info!("stopping: calls may end, then everything decided is made durable");
    live.stop().await;
    Ok(ExitCode::SUCCESS)
}

async fn recorded(options: NodeOptions, run: ReplayRun, json: bool) -> Result<ExitCode> {
    let stop = stop_on_signal()?;
    let controls = Controls::default();
    pause_on_signal(controls.pause.clone())?;
    let shown = tokio::spawn(progress::show(controls.progress.clone()));
    let data_dir = options.data_dir.clone();
    let ready = |address| announce(&data_dir, address);
    let summary = replay::run(&options, run, controls, stop, ready).await;
    shown.abort();
    let mut summary = summary?;
    summary.data_dir = data_dir.display().to_string();
    if json {
        crate::say!("{}", serde_json::to_string(&summary)?);
    } else {
        print_summary(&summary);
    }
    Ok(ExitCode::SUCCESS)
}

fn announce(data_dir: &Path, address: SocketAddr) {
    crate::tell!("apextrade serves on http://{address}");
    crate::tell!("token: {}", token_file(data_dir).display());
}

fn print_summary(summary: &Summary) {
    crate::say!(
        "{} frames ({} bad), {} ticks in {:.2} s: {:.0} ticks/s",
        summary.feed.frames,
        summary.feed.bad_frames,
        summary.feed.ticks,
        summary.wall_seconds,
        summary.ticks_per_second
    );
    for bad in &summary.bad_lines {
        crate::say!("skipped {} line {}: {}", bad.file, bad.line, bad.reason);
    }
    for (id, instrument) in &summary.feed.instruments {
        crate::say!(
            "{id}: {} trades, volume {}, notional {}, book at update {}",
            instrument.trades,
            instrument.volume,
            instrument.notional,
            instrument.book.update_id
        );
    }
    for (id, account) in &summary.accounts {
        crate::say!(
            "account {id}: equity {} {}",
            account.equity,
            account.base_currency
        );
    }
    crate::say!(
        "{} orders, {} fills, {} journal records",
        summary.orders,
        summary.fills,
        summary.journal_records
    );
    crate::say!(
        "state hash {}, market hash {}",
        summary.state_hash,
        summary.feed.market_hash
    );
    for assumption in &summary.assumptions {
        crate::say!("assumed: {assumption}");
    }
    crate::say!("check it: apextrade verify --data-dir {}", summary.data_dir);
}

/// Returns what turns true at the first SIGINT or SIGTERM. A second SIGINT ends the process at
/// once, and so does the end of the grace period: what was answered is durable already.
fn stop_on_signal() -> Result<watch::Receiver<bool>> {
    let (say, stop) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    tokio::spawn(async move {
        tokio::select! {
            biased;
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let _ = say.send(true);
        tokio::select! {
            biased;
            _ = interrupt.recv() => crate::tell!("apextrade: interrupted again, ending at once"),
            () = tokio::time::sleep(GRACE) => {
                crate::tell!("apextrade: not done within {} s, ending now", GRACE.as_secs());
            }
        }
        std::process::exit(1);
    });
    Ok(stop)
}

/// SIGUSR1 pauses a replay and resumes it.
fn pause_on_signal(pause: Pause) -> Result<()> {
    let mut toggles = signal(SignalKind::user_defined1()).context("cannot watch for SIGUSR1")?;
    tokio::spawn(async move {
        while toggles.recv().await.is_some() {
            let what = if pause.toggle() { "paused" } else { "goes on" };
            crate::tell!("apextrade: replay {what}");
        }
    });
    Ok(())
}
