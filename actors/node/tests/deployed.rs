//! Deployed strategies of one node: its desk, sessions, account and records, with processes of the
//! test's own making.

use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountCommand, OrderFilter, Page};
use apex_bus::strategies::{
    Applied, Asked, NewStrategy, ParameterChange, StrategyDesk, StrategyDeskError, StrategyInfo,
    StrategyKey, WindDown,
};
use apex_domain::deployment::{DeploymentState, RestartLimits, RestartPolicy};
use apex_domain::market::Side;
use apex_domain::matching::SimInstrument;
use apex_domain::order::{Order, OrderTerms, OrderType, SubmitOrder, TimeInForce};
use apex_domain::{ClientOrderId, Price, RequestId, StrategyId};
use apex_node::sim::{self, Live};
use apex_node::strategies::Strategies;
use apex_node::up::{NodeOptions, PAPER_ACCOUNT, paper_account};
use apex_remote::strategy_host::{self, HostConfig};
use apex_storage::records::{self, Strategy, Winding};
use apex_storage::{Change, Page as RecordPage, Records, StorageError};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Whatever is waited for here takes milliseconds; a busy machine may make it seconds.
const PATIENCE: Duration = Duration::from_secs(30);

const ID: &str = "ema-1";

/// What a table has, by key.
type Entries = Vec<(String, Vec<u8>)>;

/// The node's records, which fail to store anything while the test says so.
struct Failing {
    inner: Arc<dyn Records>,
    fails: AtomicBool,
}

impl Records for Failing {
    fn get(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.inner.get(table, key)
    }

    fn put(&self, table: &str, key: &str, value: &[u8]) -> Result<(), StorageError> {
        self.inner.put(table, key, value)
    }

    fn delete(&self, table: &str, key: &str) -> Result<bool, StorageError> {
        self.inner.delete(table, key)
    }

    fn list(&self, table: &str) -> Result<Entries, StorageError> {
        self.inner.list(table)
    }

    fn page(&self, table: &str, page: &RecordPage<'_>) -> Result<Entries, StorageError> {
        self.inner.page(table, page)
    }

    fn change(&self, changes: &[Change]) -> Result<(), StorageError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(StorageError::Conflict {
                table: "test".to_owned(),
                key: "away".to_owned(),
            });
        }
        self.inner.change(changes)
    }

    fn now_ns(&self) -> Result<i64, StorageError> {
        self.inner.now_ns()
    }
}

struct Rig {
    live: Live,
    records: Arc<Failing>,
    program: PathBuf,
    folder: tempfile::TempDir,
}

async fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let options = NodeOptions::in_folder(&folder.path().join("data"));
    let live = sim::inside(&options, 7, SimInstrument::defaults(), None)
        .await
        .unwrap();
    let records = Arc::new(Failing {
        inner: live.base.stores.records.clone(),
        fails: AtomicBool::new(false),
    });
    // It takes its configuration and then lives as long as it is let; the test has its session.
    let program = script(&folder, "stays", "read -r line\nexec sleep 600\n");
    Rig {
        live,
        records,
        program,
        folder,
    }
}

fn script(folder: &tempfile::TempDir, name: &str, body: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{body}")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn key() -> StrategyKey {
    (paper_account(), StrategyId::new(ID).unwrap())
}

fn asked(request_id: &str) -> Asked {
    Asked {
        user_id: "ann".to_owned(),
        request_id: RequestId::new(request_id).unwrap(),
        method: "StrategyService/Test",
        content: request_id.as_bytes().to_vec(),
    }
}

fn parameters() -> BTreeMap<String, String> {
    let pairs = [
        ("fast", "1"),
        ("slow", "2"),
        ("warmup", "1"),
        ("act_on", "state"),
    ];
    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

fn new(restart: RestartPolicy) -> NewStrategy {
    NewStrategy {
        key: key(),
        strategy_type: "ema-cross".to_owned(),
        instruments: Vec::new(),
        parameters: parameters(),
        restart,
    }
}

impl Rig {
    /// Another start of the desk, on what is kept.
    async fn desk(&self) -> Strategies {
        self.desk_of(self.program.clone()).await
    }

    async fn desk_of(&self, program: PathBuf) -> Strategies {
        let limits = RestartLimits {
            first_ns: 1_000_000,
            longest_ns: 1_000_000,
            restarts: 2,
            window_ns: 60_000_000_000,
        };
        let (sessions, clock) = (self.live.sessions.clone(), self.live.base.clock.clone());
        let desk =
            Strategies::with_program(sessions, self.records.clone(), clock, (program, limits));
        let desk = desk.await.unwrap();
        let gateway = format!("http://{}", self.live.node.address());
        desk.begin(gateway, Box::new(|| Ok("a token".to_owned())));
        desk
    }

    /// The session that the strategy's process would have.
    fn session(&self) -> JoinHandle<()> {
        let config = HostConfig {
            gateway: format!("http://{}", self.live.node.address()),
            token: self.live.base.keys.for_process("strategies").unwrap(),
            account_id: PAPER_ACCOUNT.into(),
            strategy_id: ID.into(),
            strategy: "ema-cross".into(),
            params: parameters(),
            instruments: Vec::new(),
            cancel_on_disconnect: false,
        };
        tokio::spawn(async move {
            // One that comes before the strategy is let in tries again.
            while strategy_host::run(&config).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    }

    fn account(&self) -> AccountHandle {
        self.live.node.roster.get(&paper_account()).unwrap()
    }

    async fn working(&self) -> Vec<Order> {
        let filter = OrderFilter {
            strategy_id: Some(key().1),
            working_only: true,
            ..OrderFilter::default()
        };
        let page = Page {
            cursor: None,
            limit: 100,
        };
        self.account().orders(filter, page).await.unwrap().0
    }

    /// An order of the strategy that rests far below the market.
    async fn rest(&self, name: &str) {
        let hub = &self.live.node.platform.market;
        let instrument = hub.instruments().remove(0);
        let id = instrument.instrument_id.clone();
        let mark = until(|| hub.mark(&id)).await;
        // Nine tenths of it, on the increment.
        let tick = instrument.price_increment.0;
        let price = Price(mark.0 / 10 * 9 / tick * tick);
        let order = SubmitOrder {
            client_order_id: ClientOrderId::new(name).unwrap(),
            strategy_id: key().1,
            instrument_id: id,
            side: Side::Buy,
            order_type: OrderType::Limit,
            quantity: instrument.smallest_orderable(price).unwrap(),
            limit_price: Some(price),
            time_in_force: TimeInForce::Gtc,
            post_only: false,
            reduce_only: false,
            tags: String::new(),
            misfit: None,
            terms: OrderTerms::default(),
        };
        let submit = AccountCommand::Submit(Box::new(order));
        self.account().command(submit).await.unwrap();
    }

    fn kept(&self) -> Strategy {
        let key = records::state_key(PAPER_ACCOUNT, ID);
        let found = records::find::<Strategy>(&*self.records.inner, &key);
        found.unwrap().expect("it is kept").value
    }
}

async fn reaches(desk: &Strategies, state: DeploymentState) -> StrategyInfo {
    until(|| desk.get(&key()).filter(|info| info.state == state)).await
}

async fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = found() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("it comes")
}

const CANCEL: WindDown = WindDown {
    cancel: true,
    close: false,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_has_one_answer_and_what_is_wanted_is_kept() {
    let rig = rig().await;
    let desk = rig.desk().await;
    let deployed = desk
        .deploy(asked("r-1"), new(RestartPolicy::Always))
        .await
        .unwrap();
    assert_eq!(deployed.state, DeploymentState::Deployed);
    let again = desk
        .deploy(asked("r-1"), new(RestartPolicy::Always))
        .await
        .unwrap();
    assert_eq!(again, deployed);
    let taken = desk
        .deploy(asked("r-2"), new(RestartPolicy::Always))
        .await
        .unwrap_err();
    assert!(matches!(taken, StrategyDeskError::Exists { .. }), "{taken}");
    let other = Asked {
        content: b"other".to_vec(),
        ..asked("r-1")
    };
    let taken = desk.start(other, key()).await.unwrap_err();
    assert!(
        matches!(taken, StrategyDeskError::RequestTaken(_)),
        "{taken}"
    );

    let session = rig.session();
    let started = desk.start(asked("r-3"), key()).await.unwrap();
    assert_eq!(started.state, DeploymentState::Starting);
    reaches(&desk, DeploymentState::Running).await;
    desk.pause(asked("r-4"), key(), false).await.unwrap();
    // An old request does not start it again.
    assert_eq!(desk.start(asked("r-3"), key()).await.unwrap(), started);
    assert_eq!(desk.get(&key()).unwrap().state, DeploymentState::Paused);
    desk.start(asked("r-5"), key()).await.unwrap();
    // Nor does an old pause keep it paused.
    desk.pause(asked("r-4"), key(), false).await.unwrap();
    assert_eq!(desk.get(&key()).unwrap().state, DeploymentState::Running);
    desk.stop_all().await;

    let desk = rig.desk().await;
    let session_2 = rig.session();
    let running = reaches(&desk, DeploymentState::Running).await;
    assert_eq!(running.version, started.version);
    desk.stop(asked("r-6"), key(), CANCEL).await.unwrap();
    desk.stop_all().await;
    let desk = rig.desk().await;
    assert_eq!(desk.get(&key()).unwrap().state, DeploymentState::Stopped);
    desk.stop_all().await;
    session.abort();
    session_2.abort();
    rig.live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_whatever_the_store_does_and_cancels_what_works() {
    let rig = rig().await;
    let desk = rig.desk().await;
    desk.deploy(asked("r-1"), new(RestartPolicy::Always))
        .await
        .unwrap();
    let session = rig.session();
    desk.start(asked("r-2"), key()).await.unwrap();
    reaches(&desk, DeploymentState::Running).await;
    rig.rest("rests-1").await;
    assert!(
        rig.working()
            .await
            .iter()
            .any(|it| it.request.client_order_id.as_str() == "rests-1")
    );

    rig.records.fails.store(true, Ordering::SeqCst);
    let refused = desk.pause(asked("r-3"), key(), true).await.unwrap_err();
    assert!(
        matches!(refused, StrategyDeskError::NotKept(_)),
        "{refused}"
    );
    assert_eq!(desk.get(&key()).unwrap().state, DeploymentState::Paused);
    let waiting = async { while !rig.working().await.is_empty() {} };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("what works is canceled");
    let refused = desk.start(asked("r-4"), key()).await.unwrap_err();
    assert!(
        matches!(refused, StrategyDeskError::NotKept(_)),
        "{refused}"
    );
    assert_eq!(
        desk.get(&key()).unwrap().state,
        DeploymentState::Paused,
        "not kept, not started"
    );
    // What is wanted is kept as soon as it can be.
    rig.records.fails.store(false, Ordering::SeqCst);
    until(|| (rig.kept().desired == apex_domain::deployment::Desired::Paused).then_some(())).await;
    session.abort();
    desk.stop_all().await;
    rig.live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stop_had_not_done_when_the_platform_ended_is_done_at_its_next_start() {
    let rig = rig().await;
    let desk = rig.desk().await;
    desk.deploy(asked("r-1"), new(RestartPolicy::Always))
        .await
        .unwrap();
    desk.stop_all().await;
    rig.rest("rests-1").await;
    let cut_off = Strategy {
        desired: apex_domain::deployment::Desired::Stopped,
        winding: Some(Winding {
            request_id: "r-2".to_owned(),
            cancel: true,
            close: false,
        }),
        ..rig.kept()
    };
    let key = records::state_key(PAPER_ACCOUNT, ID);
    let found = records::find::<Strategy>(&*rig.records.inner, &key)
        .unwrap()
        .unwrap();
    records::replace(&*rig.records.inner, &found, &cut_off).unwrap();

    let desk = rig.desk().await;
    let waiting = async { while !rig.working().await.is_empty() {} };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("what works is canceled");
    until(|| rig.kept().winding.is_none().then_some(())).await;
    desk.stop_all().await;
    rig.live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strategy_that_fails_at_each_start_is_quarantined_and_stays_so() {
    let rig = rig().await;
    let fails = script(&rig.folder, "fails", "echo it cannot be >&2\nexit 3\n");
    let desk = rig.desk_of(fails.clone()).await;
    desk.deploy(asked("r-1"), new(RestartPolicy::Always))
        .await
        .unwrap();
    rig.rest("rests-1").await;
    desk.start(asked("r-2"), key()).await.unwrap();
    let found = reaches(&desk, DeploymentState::Quarantined).await;
    assert_eq!(found.restarts, 2);
    assert!(found.reason.contains("it cannot be"), "{}", found.reason);
    let waiting = async { while !rig.working().await.is_empty() {} };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("nobody minds its orders");
    until(|| (!rig.kept().reason.is_empty()).then_some(())).await;
    desk.stop_all().await;
    let desk = rig.desk().await;
    let kept = desk.get(&key()).unwrap();
    assert_eq!(
        (kept.state, kept.reason),
        (DeploymentState::Quarantined, found.reason)
    );
    // A person mends it and starts it.
    let session = rig.session();
    desk.start(asked("r-3"), key()).await.unwrap();
    assert_eq!(reaches(&desk, DeploymentState::Running).await.reason, "");
    desk.stop_all().await;
    session.abort();
    rig.live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_parameters_are_a_version_and_say_when_they_count() {
    let rig = rig().await;
    let desk = rig.desk().await;
    desk.deploy(asked("r-1"), new(RestartPolicy::Always))
        .await
        .unwrap();
    let change = |expected_version: u32, set: &[(&str, &str)], allow_restart| ParameterChange {
        key: key(),
        expected_version,
        set: set
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        reset: Vec::new(),
        allow_restart,
    };
    let (info, applied) = desk
        .update(asked("r-2"), change(1, &[("fast", "3")], false))
        .await
        .unwrap();
    assert_eq!((info.version.version, applied), (2, Applied::NextStart));
    let (info, applied) = desk
        .update(asked("r-3"), change(2, &[("fast", "3")], false))
        .await
        .unwrap();
    assert_eq!((info.version.version, applied), (2, Applied::Unchanged));
    let stale = desk
        .update(asked("r-4"), change(1, &[("fast", "4")], false))
        .await
        .unwrap_err();
    assert!(
        matches!(stale, StrategyDeskError::StaleVersion { actual: 2, .. }),
        "{stale}"
    );
    let wrong = [("fast", "0"), ("mode", "up"), ("speed", "1")];
    let wrong = desk
        .update(asked("r-5"), change(2, &wrong, false))
        .await
        .unwrap_err();
    let StrategyDeskError::Invalid(wrong) = wrong else {
        panic!("{wrong}");
    };
    let names: Vec<&str> = wrong.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(
        names,
        ["parameters[fast]", "parameters[mode]", "parameters[speed]"]
    );

    let session = rig.session();
    desk.start(asked("r-6"), key()).await.unwrap();
    reaches(&desk, DeploymentState::Running).await;
    let (info, applied) = desk
        .update(asked("r-7"), change(2, &[("quantity", "1")], false))
        .await
        .unwrap();
    assert_eq!((info.version.version, applied), (3, Applied::Live));
    let fixed = desk
        .update(asked("r-8"), change(3, &[("slow", "9")], false))
        .await
        .unwrap_err();
    assert!(
        fixed.to_string().starts_with("slow cannot change"),
        "{fixed}"
    );
    let (_, applied) = desk
        .update(asked("r-9"), change(3, &[("slow", "9")], true))
        .await
        .unwrap();
    assert_eq!(applied, Applied::Restarted);
    let versions = desk.versions(&key(), 0, 2).await.unwrap();
    assert_eq!(
        versions.iter().map(|it| it.version).collect::<Vec<_>>(),
        [4, 3]
    );
    assert_ne!(versions[0].content_hash, versions[1].content_hash);
    let first = desk.versions(&key(), 2, 9).await.unwrap();
    assert_eq!(first[0].parameters, parameters());
    desk.stop_all().await;
    session.abort();
    rig.live.stop().await;
}
