//! A node on recorded data: the market is a recording, the venue fills from its books, and
//! everything runs in one total order, so that two runs end in the same state.

pub mod archive;
pub mod driver;
pub mod news;
pub mod pace;
pub mod progress;
pub mod summary;

use crate::NodeError;
use crate::account::{self, OpenAccount, Opening};
use crate::choice::StrategyChoice;
use crate::restore;
use crate::roster::Roster;
use crate::stores::Purpose;
use crate::up::{Base, Node, NodeOptions, paper_account};
use apex_bus::clock::Clock;
use apex_bus::handle::RunMode;
use apex_bus::message::{AccountMessage, VenueLink};
use apex_domain::event::AccountMode;
use apex_domain::market::BarSpec;
use apex_domain::matching::{BookFill, BookFillOptions, Delayed, InSessions, ModelChoices};
use apex_domain::time::NANOS_PER_SECOND;
use apex_domain::venue::VenueModel;
use apex_domain::{Instrument, UnixNanos};
use apex_market_data::Publisher;
use apex_market_data::replay::{Recording, ReplayFeed, ReplayOptions};
use apex_strategy::registry::{self, DataSource};
use apex_strategy::{LockStep, Runner, Selection};
use driver::{Ended, ReplayDriver};
use news::News;
use pace::{Pace, Pause, Speed};
use progress::Progress;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use summary::Summary;
use tokio::sync::watch;

/// What is replayed, and how.
#[derive(Clone, Debug)]
pub struct ReplayRun {
    pub files: Vec<PathBuf>,
    pub speed: Speed,
    pub repeat: bool,
    pub clones: u32,
    /// Seconds into the recording at which it starts.
    pub seek_seconds: u64,
    pub strategy: Option<StrategyChoice>,
    /// The venue's models.
    pub models: ModelChoices,
    /// Of what is drawn in them.
    pub seed: u64,
    /// End with the recording; otherwise clients are served on a market that stands still.
    pub exit_at_end: bool,
}

/// How a replay is watched and held from elsewhere. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Controls {
    pub pause: Pause,
    pub progress: Progress,
}

/// Runs a replay to its end, or until `stop`. `ready` is told the address once it serves.
///
/// Errors: [`NodeError`]. Returns the summary of what was replayed.
pub async fn run(
    options: &NodeOptions,
    run: ReplayRun,
    controls: Controls,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(SocketAddr),
) -> Result<Summary, NodeError> {
    // It holds whole accounts while it starts: on the heap they do not weigh on every caller.
    Box::pin(run_on_heap(options, run, controls, stop, ready)).await
}

async fn run_on_heap(
    options: &NodeOptions,
    run: ReplayRun,
    controls: Controls,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(SocketAddr),
) -> Result<Summary, NodeError> {
    let (mut feed, span) = open_feed(&run, &controls.progress).await?;
    let mut instruments = feed.instruments();
    for instrument in &mut instruments {
        run.models.define(instrument);
    }
    let base = Base::open(options, Purpose::Replay, Clock::replay())?;
    let choice = archive::Choice::of(&run.models, run.seed);
    archive::make_room(&base.stores.marks, &*base.stores.records, &choice)?;
    let recovered = account::recover_account(&*base.stores.journals, &paper_account())?;
    let start = match span.resumed(recovered.account.last_ts()) {
        Some(ts) => {
            feed.seek(ts)?;
            ts
        }
        None => span.first,
    };
    base.clock.advance(start);
    let opened = base.prepare(recovered, &opening(instruments.clone(), start))?;
    let step = lock_step(&opened, &instruments, start, &run)?;

    let (session, commands) = driver::session();
    let news = News::new(&base.events)?;
    let account = base.start_account(opened, Arc::new(session), None).await?;
    let _ = account.actor.cast(AccountMessage::Link(VenueLink::Ready));
    let actor = account.actor.clone();
    let handle = account.handle.clone();
    let roster = Roster::of(account);
    let platform = base.platform(RunMode::Replay, &roster, None);
    let node = Node::serve(&base, options, roster, platform, None, None).await?;
    ready(node.address());

    let mut driver = ReplayDriver {
        feed,
        publisher: Publisher::without_bars(base.market.clone()),
        step,
        account: actor,
        handle,
        clock: base.clock.clone(),
        commands,
        news,
        pace: Pace::new(run.speed),
        pause: controls.pause,
        progress: controls.progress,
        stop,
    };
    let started = Instant::now();
    let ended = driver.run().await?;
    let wall_seconds = started.elapsed().as_secs_f64();
    if ended == Ended::EndOfRecording && !run.exit_at_end {
        driver.stand_still().await?;
    }
    // With all that clients ordered, so that it tells the state that the journal holds: no call can
    // change it once the gateway has stopped.
    let quiet = node.stop_serving().await;
    let mut summary = summary::collect(&quiet, &driver.feed, wall_seconds).await?;
    summary.assumptions = choice.statements();
    quiet.roster.stop().await;
    // Not before: what clients order while the market stands still is acknowledged, and a run that
    // is killed meanwhile must come back with it instead of being moved aside.
    if ended == Ended::EndOfRecording {
        archive::mark_finished(&base.stores.marks)?;
    }
    Ok(summary)
}

/// The times between which a recording is replayed.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: UnixNanos,
    /// `None` for a replay that begins anew at its end.
    last: Option<UnixNanos>,
}

impl Span {
    /// Returns where a replay goes on whose account was last at `last_ts`, or `None` when it begins
    /// at the recording's start. The account's time never runs backwards: a market behind it would
    /// give no reference prices until it had caught up.
    fn resumed(&self, last_ts: Option<UnixNanos>) -> Option<UnixNanos> {
        let ts = last_ts.filter(|ts| *ts > self.first)?;
        match self.last {
            // Copies come a little later than the recording's last frame.
            Some(last) if ts.since(last) > NANOS_PER_SECOND => None,
            // The last frame is shown again, so that a market that stands still has its books.
            Some(last) => Some(ts.min(last)),
            None => Some(ts),
        }
    }
}

/// Looks at the recordings and makes the feed, with the times that it covers, off the runtime's
/// threads: it reads whole files.
async fn open_feed(run: &ReplayRun, progress: &Progress) -> Result<(ReplayFeed, Span), NodeError> {
    let (run, progress) = (run.clone(), progress.clone());
    let open = move || -> Result<(ReplayFeed, Span), NodeError> {
        let recordings: Result<Vec<_>, _> =
            run.files.iter().map(|file| Recording::file(file)).collect();
        let recordings = recordings.map_err(apex_market_data::replay::ReplayError::from)?;
        let first = recordings
            .iter()
            .map(|recording| recording.info().first_ts)
            .min();
        let start_at = first.filter(|_| run.seek_seconds > 0).map(|first| {
            let seconds = i64::try_from(run.seek_seconds).unwrap_or(i64::MAX);
            first.plus(seconds.saturating_mul(NANOS_PER_SECOND))
        });
        if !run.repeat {
            let frames: u64 = recordings
                .iter()
                .map(|recording| recording.info().frames)
                .sum();
            progress.set_total(frames.saturating_mul(u64::from(run.clones) + 1));
        }
        let options = ReplayOptions {
            repeat: run.repeat,
            clones: run.clones,
            start_at,
            bars: bars(run.strategy.as_ref())?,
        };
        let last = recordings
            .iter()
            .map(|recording| recording.info().last_ts)
            .max();
        let span = Span {
            first: start_at.or(first).unwrap_or_default(),
            last: last.filter(|_| !run.repeat),
        };
        Ok((ReplayFeed::new(recordings, options)?, span))
    };
    match tokio::task::spawn_blocking(open).await {
        Ok(feed) => feed,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn opening(instruments: Vec<Instrument>, now: UnixNanos) -> Opening {
    Opening {
        account_id: paper_account(),
        mode: AccountMode::Paper,
        instruments,
        charter: None,
        now,
    }
}

/// Returns the bars that every instrument has, and those that the strategy wants besides.
fn bars(strategy: Option<&StrategyChoice>) -> Result<Vec<BarSpec>, NodeError> {
    let common = [NANOS_PER_SECOND, 60 * NANOS_PER_SECOND];
    let mut bars = BTreeSet::from(common.map(|interval_ns| BarSpec::Time { interval_ns }));
    if let Some(choice) = strategy {
        let strategy = registry::find(&choice.name)?.build(DataSource::Feed, &choice.params)?;
        if let Selection::Only(wanted) = strategy.subscriptions().bars {
            // A bar of a file is none that a feed could make.
            bars.extend(wanted.into_iter().filter(|spec| *spec != BarSpec::External));
        }
    }
    Ok(bars.into_iter().collect())
}

/// Puts venue and strategy together, as the account's journal left them.
fn lock_step(
    opened: &OpenAccount,
    instruments: &[Instrument],
    now: UnixNanos,
    run: &ReplayRun,
) -> Result<LockStep, NodeError> {
    let account = &opened.account;
    // As many ids were given as there are records at the most.
    let rules = BookFillOptions {
        queue: run.models.queue.unwrap_or_default(),
        slippage: run.models.slippage.unwrap_or_default(),
        ..BookFillOptions::default()
    };
    let mut venue = BookFill::with_options("REPLAY", account.sequence() + 1, rules)
        .map_err(|error| NodeError::Usage(error.to_string()))?;
    for instrument in instruments {
        venue.define(instrument.clone());
    }
    let orders = restore::working_orders(account);
    venue.restore_positions(&restore::positions(account, &orders));
    venue.restore(now, &orders);
    let venue = InSessions::new(venue, instruments);
    // Without a latency nothing stands in between. What was under way when an earlier run ended
    // never arrived: the account asks for it, and sends it again.
    let venue: Box<dyn VenueModel + Send> = match run.models.latencies(run.seed) {
        Some(latencies) => Box::new(Delayed::new(venue, latencies)),
        None => Box::new(venue),
    };
    let account_id = paper_account();
    let mut step = LockStep::new(account_id.clone(), venue, instruments.to_vec());
    step.resume(account);
    if let Some(choice) = &run.strategy {
        let strategy = registry::find(&choice.name)?.build(DataSource::Feed, &choice.params)?;
        let shared: Vec<_> = instruments.iter().cloned().map(Arc::new).collect();
        let mut runner = Runner::new(account_id, choice.strategy_id()?, strategy, &shared);
        opened.for_each_event(&mut |recorded| {
            runner.ledger_mut().fold(recorded);
        })?;
        step.add_runner(runner)?;
    }
    Ok(step)
}
