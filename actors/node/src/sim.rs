//! A node on a simulated market: inside this process, or in one of its own.

use crate::NodeError;
use crate::account::{OpenAccount, Opening};
use crate::choice::StrategyChoice;
use crate::desk::Desk;
use crate::market::{self, Market};
use crate::origin::{self, Origin};
use crate::recorder::Recorder;
use crate::restore;
use crate::roster::{self, Charters, Recovered, Roster};
use crate::stores::Purpose;
use crate::strategies::{
    MakeToken, SessionBudget, Sessions, Strategies, StrategiesError, StrategyFront,
};
use crate::up::{Base, Node, NodeOptions};
use apex_bus::clock::Clock;
use apex_bus::exposure::ExposureHandle;
use apex_bus::handle::{Platform, RunMode};
use apex_bus::strategies::NewStrategy;
use apex_bus::supervision::abort_process;
use apex_domain::AccountId;
use apex_domain::Instrument;
use apex_domain::deployment::RestartPolicy;
use apex_domain::event::AccountMode;
use apex_domain::matching::{Latencies, SimExchange, SimInstrument, SimOptions};
use apex_gateway::StrategySessions;
use apex_market_data::{Member, SimMarketActor, SimMarketArgs, SimSession};
use apex_persistence::market_history::SeriesHistory;
use ractor::Actor;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

/// A running node and what feeds it.
#[derive(Debug)]
pub struct Live {
    pub node: Node,
    pub base: Arc<Base>,
    pub sessions: Sessions,
    strategies: Strategies,
    market: Arc<Market>,
    recorder: Option<Recorder>,
}

impl Live {
    /// Runs a strategy in a process of its own, in one of the accounts, as the command line names it:
    /// deployed where it is not, and started unless a person paused it or it is quarantined.
    ///
    /// Errors: [`NodeError`].
    pub async fn run_strategy(
        &self,
        choice: &StrategyChoice,
        account_id: AccountId,
    ) -> Result<(), NodeError> {
        let new = NewStrategy {
            key: (account_id, choice.strategy_id()?),
            strategy_type: choice.name.clone(),
            instruments: Vec::new(),
            parameters: choice.params.iter().cloned().collect(),
            restart: RestartPolicy::OnFailure,
        };
        let run = self.strategies.run_named(new).await;
        Ok(run.map_err(StrategiesError::from)?)
    }

    /// Ends strategies, gateway, account and feed, in the order in which nothing is asked of who
    /// has gone: the venue is there until the account has decided its last.
    pub async fn stop(self) {
        self.strategies.stop_all().await;
        self.node.stop().await;
        self.market.stop().await;
        if let Some(recorder) = self.recorder {
            recorder.stop().await;
        }
        // Last, so that all the others did is in it.
        if let Some(audit) = self.base.audit.clone() {
            crate::audit::stop(audit, self.base.clock.clone()).await;
        }
    }
}

/// Starts a node on the market inside, with these instruments and the way there.
///
/// Errors: [`NodeError`].
pub async fn inside(
    options: &NodeOptions,
    seed: u64,
    listed: Vec<SimInstrument>,
    latencies: Option<Latencies>,
) -> Result<Live, NodeError> {
    let base = Base::open(options, Purpose::Live, Clock::Wall)?;
    origin::check(&base.stores.marks, Origin::Inside)?;
    origin::claim(&base.stores.marks, Origin::Inside)?;
    let instruments = exchange(seed, 1, listed.clone())?.instruments();
    let opened = prepare_all(&base, roster::recover_all(&base)?, &instruments)?;
    let first_number = restore::next_number(opened.iter().map(|one| &one.account));
    let mut venue = exchange(seed, first_number, listed)?;
    let mut restored = Vec::new();
    let accounts: Vec<_> = opened.iter().map(|one| &one.account).collect();
    restore::restore_accounts(&mut venue, base.clock.now(), &accounts, &mut restored);
    let exposure = base.start_exposure(&ids(&opened)).await?;
    let roster = Roster::new(charters(&opened)?);

    let waiting = Arc::new(AtomicUsize::new(0));
    let (mut members, mut sessions) = (Vec::new(), Vec::new());
    for one in opened {
        let venue_sequence = one.account.venue_sequence();
        let account_id = one_id(&one)?;
        let session = SimSession::new(account_id.clone(), waiting.clone());
        let venue = Arc::new(session.clone());
        // It holds a whole account while it starts: on the heap it does not weigh on the caller.
        let starting = base.start_account(one, venue, Some(exposure.clone()));
        let runtime = Box::pin(starting).await?;
        members.push(Member {
            account_id,
            account: runtime.actor.clone(),
            venue_sequence,
        });
        sessions.push(session);
        roster.add(runtime);
    }

    let args = SimMarketArgs {
        exchange: venue,
        restored,
        latencies,
        hub: base.market.clone(),
        clock: base.clock.clone(),
        members,
        waiting: waiting.clone(),
        abort: Arc::new(abort_process),
    };
    let (market, _running) = Actor::spawn(None, SimMarketActor, args)
        .await
        .map_err(|error| NodeError::spawn("the simulated market", &error))?;
    for session in sessions {
        session.connect(market.clone());
    }
    let market = Market::Inside { market, waiting };
    serve(options, base, roster, (exposure, market, instruments)).await
}

/// Starts a node at a simulated venue in another process.
///
/// Errors: [`NodeError`]; a venue that does not answer is an error.
pub async fn linked(options: &NodeOptions, address: String) -> Result<Live, NodeError> {
    if !options.data_dir.exists() {
        // Nothing is made for a start that cannot succeed.
        market::reach(&address).await?;
    }
    let base = Base::open(options, Purpose::Live, Clock::Wall)?;
    origin::check(&base.stores.marks, Origin::Venue)?;
    let recovered = roster::recover_all(&base)?;
    let places = recovered.iter();
    let places = places.map(|one| (&one.account_id, one.account.account.venue_sequence()));
    let logons = market::log_on(&address, places).await?;
    // Not before it answered: until then nothing of it is in the folder.
    origin::claim(&base.stores.marks, Origin::Venue)?;
    let told = logons.first().map(|logon| logon.client.instruments.clone());
    let instruments = told.unwrap_or_default();
    let opened = prepare_all(&base, recovered, &instruments)?;
    let exposure = base.start_exposure(&ids(&opened)).await?;
    let roster = Roster::new(charters(&opened)?);
    let market = Market::Linked {
        address,
        links: Mutex::default(),
    };
    for (one, logon) in opened.into_iter().zip(logons) {
        // On the heap, as in `inside`.
        roster.add(Box::pin(market.link(&base, one, &exposure, logon)).await?);
    }
    serve(options, base, roster, (exposure, market, instruments)).await
}

/// Opens what is new and brings the instruments of all up to date.
fn prepare_all(
    base: &Base,
    recovered: Vec<Recovered>,
    instruments: &[Instrument],
) -> Result<Vec<OpenAccount>, NodeError> {
    let prepare = |one: Recovered| {
        let opening = Opening {
            account_id: one.account_id,
            mode: AccountMode::Paper,
            instruments: instruments.to_vec(),
            charter: None,
            now: base.clock.now(),
        };
        base.prepare(one.account, &opening)
    };
    recovered.into_iter().map(prepare).collect()
}

fn one_id(opened: &OpenAccount) -> Result<AccountId, NodeError> {
    let account_id = opened.account.account_id().cloned();
    account_id.ok_or(NodeError::NotOpened)
}

fn ids(opened: &[OpenAccount]) -> Vec<AccountId> {
    let ids = opened.iter().filter_map(|one| one.account.account_id());
    ids.cloned().collect()
}

fn charters(opened: &[OpenAccount]) -> Result<Charters, NodeError> {
    let mut charters = Charters::new();
    for one in opened {
        if let Some(charter) = one.charter()? {
            charters.insert(one_id(one)?, charter);
        }
    }
    Ok(charters)
}

/// Serves the node, with the door through which strategies come in and the desk that makes accounts.
async fn serve(
    options: &NodeOptions,
    base: Base,
    roster: Roster,
    (exposure, market, instruments): (ExposureHandle, Market, Vec<Instrument>),
) -> Result<Live, NodeError> {
    let (base, market) = (Arc::new(base), Arc::new(market));
    let desk = Desk {
        base: Arc::downgrade(&base),
        roster: roster.clone(),
        exposure: exposure.clone(),
        market: market.clone(),
        instruments: instruments.into(),
    };
    let mut platform = base.platform(RunMode::Simulated, &roster, Some(exposure));
    platform.desk = Some(Arc::new(desk));
    let recorder = record(options, &base, &mut platform)?;
    platform.order_feed = market.order_feed();
    let (clock, records) = (base.clock.clone(), base.stores.records.clone());
    let sessions = Sessions::new(platform.clone(), clock, records, SessionBudget::default());
    let door: Arc<dyn StrategySessions> = Arc::new(sessions.clone());
    let watch = recorder.as_ref().map(Recorder::watch);
    let (clock, records) = (base.clock.clone(), base.stores.records.clone());
    let strategies = Strategies::open(sessions.clone(), records, clock).await?;
    let front = StrategyFront {
        sessions: door,
        desk: Some(Arc::new(strategies.clone())),
    };
    let node = Node::serve(&base, options, roster, platform, Some(front), watch).await?;
    let gateway = format!("http://{}", node.address());
    strategies.begin(gateway, process_key(&base));
    Ok(Live {
        node,
        base,
        sessions,
        strategies,
        market,
        recorder,
    })
}

/// Returns what makes the key of this node's strategies, when the first one runs.
fn process_key(base: &Arc<Base>) -> MakeToken {
    let base = Arc::downgrade(base);
    Box::new(move || {
        let base = base.upgrade().ok_or("the node is stopping")?;
        let token = base.keys.for_process("strategies");
        let token = token.map_err(|error| error.to_string())?;
        let detail = "a key of this process for its strategies".to_owned();
        base.note("Node/KeyCreated", detail);
        Ok(token)
    })
}

/// Records the market where that is wanted, and lets it be read.
fn record(
    options: &NodeOptions,
    base: &Base,
    platform: &mut Platform,
) -> Result<Option<Recorder>, NodeError> {
    if !options.record.records_any() {
        return Ok(None);
    }
    let series = base.stores.series(&base.data_dir, &options.servers)?;
    let history = SeriesHistory::new(&series, options.record);
    platform.market_history = Some(Arc::new(history));
    let clock = base.clock.clone();
    Recorder::start(&base.market, series, options.record, clock).map(Some)
}

fn exchange(
    seed: u64,
    first_number: u64,
    instruments: Vec<SimInstrument>,
) -> Result<SimExchange, NodeError> {
    let options = SimOptions {
        first_number,
        instruments,
        ..SimOptions::new(seed)
    };
    Ok(SimExchange::new(options)?)
}
