//! A node on a simulated market: inside this process, or in one of its own.

use crate::NodeError;
use crate::account::{self, AccountRuntime, Opening};
use crate::choice::StrategyChoice;
use crate::origin::{self, Origin};
use crate::restore;
use crate::strategies::{SessionBudget, Sessions, Strategies, StrategySpec};
use crate::up::{Base, Node, NodeOptions, paper_account};
use crate::venue_link::{self, Link};
use crate::venue_snapshots::Snapshots;
use apex_bus::clock::Clock;
use apex_bus::handle::{Platform, RunMode};
use apex_bus::supervision::abort_process;
use apex_domain::Instrument;
use apex_domain::event::AccountMode;
use apex_domain::matching::{SimExchange, SimInstrument, SimOptions};
use apex_gateway::StrategySessions;
use apex_market_data::{Publisher, SimMarketActor, SimMarketArgs, SimSession};
use ractor::Actor;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A running node and what feeds it.
#[derive(Debug)]
pub struct Live {
    pub node: Node,
    pub base: Base,
    pub sessions: Sessions,
    strategies: Strategies,
    feed: Feed,
}

#[derive(Debug)]
enum Feed {
    Inside(ractor::ActorRef<apex_market_data::SimMarketMessage>),
    Link(JoinHandle<()>),
}

impl Live {
    /// Starts a strategy in a process of its own.
    ///
    /// Errors: [`NodeError`].
    pub async fn run_strategy(&self, choice: &StrategyChoice) -> Result<(), NodeError> {
        let spec = StrategySpec {
            strategy: choice.name.clone(),
            strategy_id: choice.strategy_id()?,
            params: choice.params.clone(),
            account_id: paper_account(),
        };
        let token = self.base.keys.for_process("strategies")?;
        let gateway = format!("http://{}", self.node.address());
        Ok(self.strategies.start(spec, &gateway, &token).await?)
    }

    /// Ends strategies, gateway, account and feed, in the order in which nothing is asked of who
    /// has gone: the venue is there until the account has decided its last.
    pub async fn stop(self) {
        self.strategies.stop_all().await;
        self.node.stop().await;
        match self.feed {
            Feed::Inside(market) => {
                let _ = market.drain_and_wait(None).await;
            }
            Feed::Link(link) => link.abort(),
        }
    }
}

/// Starts a node on the market inside, with these instruments.
///
/// Errors: [`NodeError`].
pub async fn inside(
    options: &NodeOptions,
    seed: u64,
    listed: Vec<SimInstrument>,
) -> Result<Live, NodeError> {
    let base = Base::open(&options.data_dir, Clock::Wall)?;
    origin::check(base.data_dir.root(), Origin::Inside)?;
    origin::claim(base.data_dir.root(), Origin::Inside)?;
    let instruments = exchange(seed, 1, listed.clone())?.instruments();
    let opened = base.open_account(&opening(&base.clock, instruments))?;
    let venue_sequence = opened.account.venue_sequence();
    let mut venue = exchange(seed, venue_sequence + 1, listed)?;
    let mut restored = Vec::new();
    // Each id that the exchange ever gave came with a numbered report.
    restore::restore_account(&mut venue, base.clock.now(), &opened.account, &mut restored);
    let session = SimSession::new();
    let exposure = base.start_exposure(&[paper_account()]).await?;
    let account = base
        .start_account(opened, Arc::new(session.clone()), Some(exposure.clone()))
        .await?;

    let account_id = account.handle.account_id().clone();
    let args = SimMarketArgs {
        exchange: venue,
        restored,
        hub: base.market.clone(),
        clock: base.clock.clone(),
        account_id,
        account: account.actor.clone(),
        venue_sequence,
        waiting: session.waiting(),
        abort: Arc::new(abort_process),
    };
    let (market, _running) = Actor::spawn(None, SimMarketActor, args)
        .await
        .map_err(|error| NodeError::spawn("the simulated market", &error))?;
    session.connect(market.clone());

    let platform = base.platform(RunMode::Simulated, &account, Some(exposure));
    let (node, sessions) = serve(&base, options, account, platform).await?;
    let strategies = Strategies::new(sessions.clone())?;
    let feed = Feed::Inside(market);
    Ok(Live {
        node,
        base,
        sessions,
        strategies,
        feed,
    })
}

/// Starts a node at a simulated venue in another process.
///
/// Errors: [`NodeError`]; a venue that does not answer is an error.
pub async fn linked(options: &NodeOptions, address: String) -> Result<Live, NodeError> {
    let base = Base::open(&options.data_dir, Clock::Wall)?;
    origin::check(base.data_dir.root(), Origin::Venue)?;
    let account_id = paper_account();
    let recovered = account::recover_account(&base.data_dir, &account_id)?;
    let venue_sequence = recovered.account.venue_sequence();
    let client = venue_link::connect(&address, &account_id, venue_sequence).await?;
    // Not before it answered: until then nothing of it is in the folder.
    origin::claim(base.data_dir.root(), Origin::Venue)?;
    let opened = base.prepare(recovered, &opening(&base.clock, client.instruments.clone()))?;
    let (session, commands) = venue_link::session();
    let exposure = base.start_exposure(&[paper_account()]).await?;
    let account = base
        .start_account(opened, Arc::new(session), Some(exposure.clone()))
        .await?;
    let link = Link {
        address,
        account_id,
        account: account.actor.clone(),
        commands,
        publisher: Publisher::new(base.market.clone()),
        hub: base.market.clone(),
        clock: base.clock.clone(),
        venue_sequence,
        snapshots: Snapshots::begin(),
        is_gated: false,
    };
    let platform = base.platform(RunMode::Simulated, &account, Some(exposure));
    let (node, sessions) = serve(&base, options, account, platform).await?;
    let strategies = Strategies::new(sessions.clone())?;
    let feed = Feed::Link(tokio::spawn(link.run(client)));
    Ok(Live {
        node,
        base,
        sessions,
        strategies,
        feed,
    })
}

/// Serves the node, with the door through which strategies come in.
async fn serve(
    base: &Base,
    options: &NodeOptions,
    account: AccountRuntime,
    platform: Platform,
) -> Result<(Node, Sessions), NodeError> {
    let (clock, records) = (base.clock.clone(), base.records.clone());
    let sessions = Sessions::new(platform.clone(), clock, records, SessionBudget::default());
    let door: Arc<dyn StrategySessions> = Arc::new(sessions.clone());
    let node = Node::serve(base, options, account, platform, Some(door)).await?;
    Ok((node, sessions))
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

fn opening(clock: &Clock, instruments: Vec<Instrument>) -> Opening {
    Opening {
        account_id: paper_account(),
        mode: AccountMode::Paper,
        instruments,
        now: clock.now(),
    }
}
