//! Where the accounts of a live node trade, and how one more comes to trade there.

use crate::NodeError;
use crate::account::{AccountRuntime, OpenAccount};
use crate::up::Base;
use crate::venue_link::{self, Link};
use crate::venue_snapshots::Snapshots;
use apex_bus::exposure::ExposureHandle;
use apex_bus::order_feed::OrderFeed;
use apex_domain::AccountId;
use apex_market_data::{Member, Publisher, SimMarketMessage, SimSession, order_feed};
use apex_venues::sim::{SimVenueClient, SimVenueError};
use ractor::ActorRef;
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long an account waits to be let in: the market works off what is before it in microseconds
/// each, and a market that takes longer has stopped.
const LET_IN: Duration = Duration::from_secs(10);

/// The market of a live node.
pub enum Market {
    /// The simulated one inside the process.
    Inside {
        market: ActorRef<SimMarketMessage>,
        /// Commands of all accounts that wait for it.
        waiting: Arc<AtomicUsize>,
    },
    /// A simulated venue in another process, with a session for each account.
    Linked {
        address: String,
        links: Mutex<Vec<JoinHandle<()>>>,
    },
}

impl fmt::Debug for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Market::Inside { .. } => "Inside",
            Market::Linked { .. } => "Linked",
        })
    }
}

/// Looks whether anything listens where a venue is said to be.
///
/// Errors: `Venue`.
pub async fn reach(address: &str) -> Result<(), NodeError> {
    let connecting = tokio::time::timeout(LET_IN, tokio::net::TcpStream::connect(address));
    let connected = connecting
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    connected.map(drop).map_err(|source| {
        NodeError::Venue(SimVenueError::Unreachable {
            address: address.to_owned(),
            source,
        })
    })
}

impl Market {
    /// Starts an account that trades here from now on.
    ///
    /// Errors: [`NodeError`]; nothing of the account runs then.
    pub async fn start(
        &self,
        base: &Base,
        opened: OpenAccount,
        exposure: &ExposureHandle,
    ) -> Result<AccountRuntime, NodeError> {
        let Some(account_id) = opened.account.account_id().cloned() else {
            return Err(NodeError::NotOpened);
        };
        let venue_sequence = opened.account.venue_sequence();
        match self {
            Market::Inside { market, waiting } => {
                let session = SimSession::new(account_id.clone(), waiting.clone());
                let venue = Arc::new(session.clone());
                let exposure = Some(exposure.clone());
                let runtime = base.start_account(opened, venue, exposure).await?;
                session.connect(market.clone());
                let member = Member {
                    account_id,
                    account: runtime.actor.clone(),
                    venue_sequence,
                };
                let attach = |reply| SimMarketMessage::Attach(member, reply);
                let attached = market.call(attach, Some(LET_IN)).await;
                if !matches!(attached, Ok(ref answer) if answer.is_success()) {
                    runtime.stop().await;
                    return Err(NodeError::Step(
                        "the simulated market has stopped".to_owned(),
                    ));
                }
                Ok(runtime)
            }
            Market::Linked { address, .. } => {
                let client = venue_link::connect(address, &account_id, venue_sequence, false);
                let client = client.await?;
                let logon = Logon::of_account(client);
                Box::pin(self.link(base, opened, exposure, logon)).await
            }
        }
    }

    /// Starts an account on a session that is logged on already.
    ///
    /// Errors: [`NodeError`].
    pub async fn link(
        &self,
        base: &Base,
        opened: OpenAccount,
        exposure: &ExposureHandle,
        logon: Logon,
    ) -> Result<AccountRuntime, NodeError> {
        let Market::Linked { address, links } = self else {
            return Err(NodeError::Step("there is no venue to link to".to_owned()));
        };
        let venue_sequence = opened.account.venue_sequence();
        let (session, commands) = venue_link::session();
        let exposure = Some(exposure.clone());
        let runtime = base
            .start_account(opened, Arc::new(session), exposure)
            .await?;
        let link = Link {
            address: address.clone(),
            account_id: runtime.handle.account_id().clone(),
            account: runtime.actor.clone(),
            commands,
            publisher: Publisher::new(base.market.clone()),
            hub: base.market.clone(),
            clock: base.clock.clone(),
            venue_sequence,
            snapshots: Snapshots::begin(),
            is_gated: false,
            defined: logon.client.instruments.clone(),
            is_feed: logon.is_feed,
        };
        let running = tokio::spawn(link.run(logon.client));
        let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
        links.push(running);
        Ok(runtime)
    }

    /// Returns the way to single orders: the market inside has them, the protocol of a venue in
    /// another process has levels only.
    pub fn order_feed(&self) -> Option<OrderFeed> {
        match self {
            Market::Inside { market, .. } => Some(order_feed(market.clone())),
            Market::Linked { .. } => None,
        }
    }

    /// Ends it, after the accounts: it answers them until they have decided their last.
    pub async fn stop(&self) {
        match self {
            Market::Inside { market, .. } => {
                let _ = market.drain_and_wait(None).await;
            }
            Market::Linked { links, .. } => {
                let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
                links.drain(..).for_each(|link| link.abort());
            }
        }
    }
}

/// A session with a venue that has logged on.
#[derive(Debug)]
pub struct Logon {
    pub client: SimVenueClient,
    /// It brings the market data for all.
    pub is_feed: bool,
}

impl Logon {
    fn of_account(client: SimVenueClient) -> Logon {
        Logon {
            client,
            is_feed: false,
        }
    }
}

/// Logs each account on; the first of them brings the market data.
///
/// Errors: those of the client; a venue that does not answer is an error.
pub async fn log_on(
    address: &str,
    accounts: impl IntoIterator<Item = (&AccountId, u64)>,
) -> Result<Vec<Logon>, NodeError> {
    let mut logons = Vec::new();
    for (account_id, venue_sequence) in accounts {
        let is_feed = logons.is_empty();
        let client = venue_link::connect(address, account_id, venue_sequence, is_feed).await?;
        logons.push(Logon { client, is_feed });
    }
    Ok(logons)
}
