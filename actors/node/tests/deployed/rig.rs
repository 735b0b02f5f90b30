//! A node with a desk that can be started again, and what is asked of it.

use crate::failing::Failing;
use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountCommand, OrderFilter, Page};
use apex_bus::strategies::{Asked, NewStrategy, StrategyDesk, StrategyInfo, StrategyKey};
use apex_domain::deployment::{DeploymentState, RestartLimits, RestartPolicy};
use apex_domain::market::Side;
use apex_domain::matching::SimInstrument;
use apex_domain::order::{Order, OrderTerms, OrderType, SubmitOrder, TimeInForce};
use apex_domain::{ClientOrderId, Price, RequestId, StrategyId};
use apex_node::sim::{self, Live};
use apex_node::strategies::Strategies;
use apex_node::up::{NodeOptions, PAPER_ACCOUNT, paper_account};
use apex_remote::strategy_host::{self, HostConfig};
use apex_storage::records::{self, Strategy};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Whatever is waited for here takes milliseconds; a busy machine may make it seconds.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const ID: &str = "ema-1";

pub struct Rig {
    pub live: Live,
    pub records: Arc<Failing>,
    program: PathBuf,
    pub folder: tempfile::TempDir,
}

pub async fn rig() -> Rig {
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

pub fn script(folder: &tempfile::TempDir, name: &str, body: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{body}")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

pub fn key() -> StrategyKey {
    (paper_account(), StrategyId::new(ID).unwrap())
}

pub fn asked(request_id: &str) -> Asked {
    Asked {
        user_id: "ann".to_owned(),
        request_id: RequestId::new(request_id).unwrap(),
        method: "StrategyService/Test",
        content: request_id.as_bytes().to_vec(),
    }
}

pub fn parameters() -> BTreeMap<String, String> {
    let pairs = [
        ("fast", "1"),
        ("slow", "2"),
        ("warmup", "1"),
        ("act_on", "state"),
    ];
    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

pub fn new(restart: RestartPolicy) -> NewStrategy {
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
    pub async fn desk(&self) -> Strategies {
        self.desk_of(self.program.clone()).await
    }

    pub async fn desk_of(&self, program: PathBuf) -> Strategies {
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
    pub fn session(&self) -> JoinHandle<()> {
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

    pub fn account(&self) -> AccountHandle {
        self.live.node.roster.get(&paper_account()).unwrap()
    }

    pub async fn working(&self) -> Vec<Order> {
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
    pub async fn rest(&self, name: &str) {
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

    pub fn kept(&self) -> Strategy {
        let key = records::state_key(PAPER_ACCOUNT, ID);
        let found = records::find::<Strategy>(&*self.records.inner, &key);
        found.unwrap().expect("it is kept").value
    }
}

pub async fn reaches(desk: &Strategies, state: DeploymentState) -> StrategyInfo {
    until(|| desk.get(&key()).filter(|info| info.state == state)).await
}

pub async fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
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
