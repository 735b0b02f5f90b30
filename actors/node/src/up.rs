//! Every role in one process: data folder, account, market, venue, gateway.

use crate::NodeError;
use crate::account::{self, AccountRuntime, OpenAccount, Opening, Surroundings};
use crate::alerts::{self, Alerts};
use crate::audit::{self, AuditReadiness};
use crate::credentials::{self, Keys};
use crate::hot::HotWriter;
use crate::metrics::NodeMetrics;
pub use crate::options::NodeOptions;
use crate::preferences::KeptPreferences;
use crate::recorder::RecorderWatch;
use crate::roster::Roster;
use crate::stores::{self, Purpose, Stores};
use crate::strategies::StrategyFront;
use apex_bus::audit::Audit;
use apex_bus::clock::Clock;
use apex_bus::exposure::ExposureHandle;
use apex_bus::handle::{Platform, RunMode};
use apex_bus::market::MarketHub;
use apex_bus::message::AccountEvent;
use apex_bus::supervision::{AbortHook, abort_process};
use apex_bus::topic::{Capacity, Topic, TopicStats};
use apex_bus::venue::VenueSession;
use apex_domain::account::Account;
use apex_domain::{AccountId, Instrument, UnixNanos};
use apex_gateway::{GatewayError, GatewayOptions, Readiness, Running};
use apex_persistence::audit::AuditWriter;
use apex_persistence::starts;
use apex_storage::{DataDir, Records};
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Account events that a slow watcher may lie behind before it has to read the journal: a second
/// at 16,000 orders/s with four events each.
const ACCOUNT_EVENTS: Capacity = Capacity::new(1 << 16);

/// The paper account that every data folder has.
pub const PAPER_ACCOUNT: &str = "paper";

/// The parts of a node that stand before its market does.
pub struct Base {
    /// Held for its lock.
    pub data_dir: Arc<DataDir>,
    pub stores: Stores,
    pub keys: Keys,
    /// `None` in a replay.
    pub audit: Option<AuditWriter>,
    pub market: MarketHub,
    pub events: Topic<AccountEvent>,
    pub clock: Clock,
}

impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Base")
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

/// A node that serves.
pub struct Node {
    pub roster: Roster,
    pub platform: Platform,
    pub metrics: NodeMetrics,
    hot: Option<HotWriter>,
    alerts: Option<Alerts>,
    gateway: Running,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}

/// A node whose gateway has stopped: its accounts still answer, and nothing can change them.
#[derive(Debug)]
pub struct QuietNode {
    pub roster: Roster,
    pub platform: Platform,
    /// What the topics said while the gateway still followed them.
    pub topics: Vec<TopicStats>,
}

/// Returns the id of the account that every data folder has.
pub fn paper_account() -> AccountId {
    // A constant that fits the alphabet; a test makes it.
    AccountId::new(PAPER_ACCOUNT).expect("a valid account id")
}

/// Returns the file with the token of the user `admin`.
pub fn token_file(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.token")
}

/// The start of 2026: this build is younger, and machines without a battery begin in 1970.
const EARLIEST_START: UnixNanos = UnixNanos(1_767_225_600_000_000_000);

fn check_clock(now: UnixNanos) -> Result<(), NodeError> {
    if now >= EARLIEST_START {
        return Ok(());
    }
    let seconds = now.0 / 1_000_000_000;
    Err(NodeError::Clock { seconds })
}

/// Looks whether an address can be served on, before anything is made for it.
fn check_address(address: SocketAddr) -> Result<(), NodeError> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(source) => Err(GatewayError::Bind { address, source }.into()),
    }
}

/// Takes away a data folder that a failed start has made, where nothing is in it but its lock, which
/// this process still holds: without it the folder may be another's by now.
fn forget_empty(held: &DataDir) {
    let data_dir = held.root();
    let Ok(entries) = std::fs::read_dir(data_dir) else {
        return;
    };
    if entries.flatten().all(|entry| entry.file_name() == "lock") {
        // What cannot be taken away is an empty folder more.
        let _ = std::fs::remove_file(data_dir.join("lock"));
        let _ = std::fs::remove_dir(data_dir);
    }
}

impl Base {
    /// Takes the data folder and the database, where one is configured, and reads who may call.
    ///
    /// Errors: [`NodeError`]; a folder that another process uses is refused with its id, and so is
    /// a clock that cannot be right.
    pub fn open(options: &NodeOptions, purpose: Purpose, clock: Clock) -> Result<Base, NodeError> {
        if matches!(clock, Clock::Wall) {
            check_clock(clock.now())?;
        }
        if options.data_dir.exists() {
            let dir = DataDir::open(&options.data_dir)?;
            return Base::open_in(dir, options, purpose, clock);
        }
        // Nothing is made for a start that cannot succeed.
        check_address(options.listen)?;
        if purpose == Purpose::Live {
            stores::bucket(&options.servers)?;
        }
        let dir = DataDir::open(&options.data_dir)?;
        let opened = Base::open_in(dir.clone(), options, purpose, clock);
        if opened.is_err() {
            forget_empty(&dir);
        }
        opened
    }

    fn open_in(
        dir: Arc<DataDir>,
        options: &NodeOptions,
        purpose: Purpose,
        clock: Clock,
    ) -> Result<Base, NodeError> {
        let stores = Stores::open(&dir, &options.servers, purpose)?;
        let audit = match purpose {
            Purpose::Live => Some(audit::start(
                &stores,
                &options.servers,
                &clock,
                options.new_audit,
            )?),
            // What is done to a recording is over with it.
            Purpose::Replay => None,
        };
        // By the clock on the wall, also where a recording has its own.
        let credentials_clock = Clock::Wall;
        let keys = credentials::open(
            &stores.records,
            &token_file(&options.data_dir),
            &credentials_clock,
        )?;
        let base = Base {
            data_dir: dir,
            stores,
            keys,
            audit,
            market: MarketHub::new(),
            events: Topic::gap("account_events", ACCOUNT_EVENTS),
            clock,
        };
        if let Some(key_id) = &base.keys.made {
            base.note("Node/KeyCreated", format!("key {key_id} of user admin"));
        }
        Ok(base)
    }

    /// Puts into the audit what the process did by itself.
    pub fn note(&self, action: &str, detail: String) {
        if let Some(audit) = &self.audit
            && audit
                .append(audit::note(&self.clock, action, detail))
                .is_err()
        {
            audit.lost();
        }
    }

    /// Reads the account back and opens it if it is new; its instruments become known.
    ///
    /// Errors: [`NodeError`].
    pub fn open_account(&self, opening: &Opening) -> Result<OpenAccount, NodeError> {
        let account = account::recover_account(&*self.stores.journals, &opening.account_id)?;
        self.prepare(account, opening)
    }

    /// Opens an account that was read back, if it is new; its instruments become known.
    ///
    /// Errors: [`NodeError`].
    pub fn prepare(
        &self,
        account: OpenAccount,
        opening: &Opening,
    ) -> Result<OpenAccount, NodeError> {
        // Instruments of earlier runs first: their orders are still listed, by their definition.
        let known = account.account.instruments().values();
        for instrument in known.chain(&opening.instruments) {
            self.market.define(instrument.clone())?;
        }
        let unlisted = unlisted(&account.account, &opening.instruments);
        if !unlisted.is_empty() {
            let account_id = &opening.account_id;
            tracing::warn!(
                %account_id,
                instruments = unlisted.join(", "),
                "this run has no market for instruments with working orders or positions: their orders \
                 cannot trade and their positions have no price; start with the same --instruments file \
                 or --venue as before"
            );
        }
        let id = opening.account_id.as_str();
        let lacks = self.stores.lacks(id);
        let account = account.prepare(opening, &*self.stores.records, lacks)?;
        // It is halted, durably.
        self.stores.forget_lacking(id)?;
        Ok(account)
    }

    /// Starts the keeper of the limit over all accounts, from its last record, in a run of these
    /// accounts: others that joined in earlier runs are settled.
    ///
    /// Errors: [`NodeError`].
    pub async fn start_exposure(&self, runs: &[AccountId]) -> Result<ExposureHandle, NodeError> {
        let exposure = crate::exposure::start(self.stores.records.clone()).await?;
        let now = self.clock.now();
        crate::exposure::settle_away(&exposure, runs, &self.stores, now).await?;
        Ok(exposure)
    }

    /// Starts the account's actor, under the limit over all accounts where there is one.
    ///
    /// Errors: [`NodeError`].
    pub async fn start_account(
        &self,
        account: OpenAccount,
        venue: Arc<dyn VenueSession>,
        exposure: Option<ExposureHandle>,
    ) -> Result<AccountRuntime, NodeError> {
        let around = Surroundings {
            market: self.market.clone(),
            clock: self.clock.clone(),
            venue,
            events: self.events.clone(),
            exposure,
            records: self.stores.records.clone(),
            snapshot_events: self.stores.snapshot_events,
            abort: noting_abort(
                self.stores.records.clone(),
                account.account.account_id().cloned(),
            ),
        };
        account.start(around).await
    }

    /// Returns what front ends and strategies need of this node.
    pub fn platform(
        &self,
        mode: RunMode,
        roster: &Roster,
        exposure: Option<ExposureHandle>,
    ) -> Platform {
        Platform {
            mode,
            accounts: roster.accounts(),
            desk: None,
            market: self.market.clone(),
            order_feed: None,
            account_events: self.events.clone(),
            history: roster.history(),
            market_history: None,
            exposure,
        }
    }
}

impl Node {
    /// Serves a platform, and tells what its recorder does where it has one.
    ///
    /// Errors: [`NodeError`] when the address cannot be bound.
    pub async fn serve(
        base: &Base,
        options: &NodeOptions,
        roster: Roster,
        platform: Platform,
        strategies: Option<StrategyFront>,
        recorder: Option<RecorderWatch>,
    ) -> Result<Node, NodeError> {
        let hot = match &base.stores.hot {
            Some(store) => Some(HotWriter::start(store, &platform, base.clock.clone())?),
            None => None,
        };
        let watch = hot.as_ref().map(HotWriter::watch);
        let metrics = NodeMetrics::new(platform.clone(), watch.clone());
        let mut gateway = GatewayOptions::new(options.listen, base.keys.access());
        base.keys.follow();
        options.edge.clone().apply(&mut gateway);
        gateway.metrics = Some(metrics.text());
        if let Some(front) = strategies {
            gateway.strategies = Some(front.sessions);
            gateway.strategy_desk = front.desk;
        }
        let mut readiness: Vec<Arc<dyn Readiness>> = Vec::new();
        if let Some(watch) = watch {
            readiness.push(Arc::new(watch));
        }
        if let Some(recorder) = recorder {
            metrics.watch_recorder(recorder.clone());
            readiness.push(Arc::new(recorder));
        }
        if let Some(audit) = &base.audit {
            metrics.watch_audit(audit.clone());
            readiness.push(Arc::new(AuditReadiness(audit.clone())));
            gateway.audit = Some(Arc::new(audit.clone()));
            let records = base.stores.records.clone();
            gateway.preferences = Some(Arc::new(KeptPreferences::new(records)));
        }
        let alerts = alerts::begin(base, options, &platform, &readiness).await?;
        if let Some(alerts) = &alerts {
            alerts.show(&metrics, &mut gateway);
            readiness.push(alerts.readiness());
        }
        gateway.readiness = readiness;
        let gateway = apex_gateway::serve(gateway, platform.clone()).await?;
        Ok(Node {
            roster,
            platform,
            metrics,
            hot,
            alerts,
            gateway,
        })
    }

    /// Returns the address with the real port.
    pub fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Lets calls end, then the accounts; what was decided is durable when this returns.
    pub async fn stop(self) {
        let quiet = self.stop_serving().await;
        quiet.roster.stop().await;
        if let Some(exposure) = quiet.platform.exposure {
            exposure.stop().await;
        }
    }

    /// Lets calls end and serves no more.
    pub async fn stop_serving(self) -> QuietNode {
        let topics = self.metrics.topics();
        self.gateway.stop().await;
        if let Some(alerts) = self.alerts {
            alerts.stop().await;
        }
        if let Some(hot) = self.hot {
            hot.stop().await;
        }
        QuietNode {
            roster: self.roster,
            platform: self.platform,
            topics,
        }
    }
}

/// Returns the instruments in which an account has working orders or a position, and that no market
/// of this run lists.
fn unlisted(account: &Account, listed: &[Instrument]) -> Vec<String> {
    let of_orders = account
        .working_orders()
        .map(|order| &order.request.instrument_id);
    let held = account.positions().filter(|position| !position.is_flat());
    let ids: BTreeSet<_> = of_orders
        .chain(held.map(|position| &position.instrument_id))
        .collect();
    ids.into_iter()
        .filter(|id| {
            !listed
                .iter()
                .any(|instrument| instrument.instrument_id == **id)
        })
        .map(ToString::to_string)
        .collect()
}

/// Returns what ends the process when an account breaks an invariant: the run says so first, so that
/// an account that breaks at the same place three times comes up halted.
fn noting_abort(records: Arc<dyn Records>, account_id: Option<AccountId>) -> AbortHook {
    Arc::new(move |abort| {
        if let Some(account_id) = &account_id
            && let Err(error) = starts::note_abort(&*records, account_id.as_str())
        {
            tracing::warn!(%account_id, %error, "this abort will not count");
        }
        abort_process(abort);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::ServerSettings;

    #[test]
    fn a_start_that_cannot_succeed_leaves_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let new = folder.path().join("new");
        let on_taken = NodeOptions {
            listen: taken.local_addr().unwrap(),
            ..NodeOptions::in_folder(&new)
        };
        let in_no_database = NodeOptions {
            servers: ServerSettings {
                database_url: Some("postgres://a:b@127.0.0.1:1/none".to_owned()),
                ..ServerSettings::default()
            },
            ..NodeOptions::in_folder(&new)
        };
        for options in [on_taken, in_no_database] {
            assert!(Base::open(&options, Purpose::Live, Clock::Wall).is_err());
            assert!(!new.exists());
        }
        // One that another process has made and holds meanwhile stays that one's.
        let held = DataDir::open(&new).unwrap();
        let in_use = NodeOptions::in_folder(&new);
        assert!(Base::open(&in_use, Purpose::Live, Clock::Wall).is_err());
        assert!(new.join("lock").exists());
        forget_empty(&held);
        drop(held);
        // One that was there is somebody's.
        std::fs::create_dir(&new).unwrap();
        std::fs::write(new.join("notes"), "mine").unwrap();
        forget_empty(&DataDir::open(&new).unwrap());
        assert!(new.join("notes").exists());
    }

    #[test]
    fn a_clock_from_before_this_build_is_refused() {
        let refused = check_clock(UnixNanos(1_767_225_599_999_999_999));
        let error = refused.unwrap_err();
        assert!(error.to_string().contains("second 1767225599 since 1970"));
        assert!(error.advice().is_some());
        assert!(check_clock(EARLIEST_START).is_ok());
    }
}
