//! A strategy over a real connection: gateway, session, account and venue of one node on one side,
//! the strategy host on the other.

use apex_bus::handle::AccountHandle;
use apex_domain::UnixNanos;
use apex_domain::market::{Bar, BarSpec};
use apex_domain::matching::SimInstrument;
use apex_domain::{Price, StrategyId};
use apex_node::sim::{self, Live};
use apex_node::strategies::Sessions;
use apex_node::up::{NodeOptions, PAPER_ACCOUNT, paper_account};
use apex_remote::strategy_host::{self, Ended, HostConfig, HostError};
use apex_remote::strategy_session::SessionEndKind;
use std::collections::BTreeMap;
use std::time::Duration;

/// Whatever is waited for here takes milliseconds; a busy machine may make it seconds.
const PATIENCE: Duration = Duration::from_secs(30);

struct Rig {
    live: Live,
    sessions: Sessions,
    _folder: tempfile::TempDir,
}

async fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let options = NodeOptions::in_folder(&folder.path().join("data"));
    let live = sim::inside(&options, 7, SimInstrument::defaults(), None)
        .await
        .unwrap();
    let sessions = live.sessions.clone();
    Rig {
        live,
        sessions,
        _folder: folder,
    }
}

impl Rig {
    fn config(&self, strategy_id: &str) -> HostConfig {
        let params = [
            ("fast", "1"),
            ("slow", "2"),
            ("warmup", "1"),
            ("act_on", "state"),
        ];
        HostConfig {
            gateway: format!("http://{}", self.live.node.address()),
            token: self.live.base.keys.for_process("strategies").unwrap(),
            account_id: PAPER_ACCOUNT.into(),
            strategy_id: strategy_id.into(),
            strategy: "ema-cross".into(),
            params: params.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            instruments: Vec::new(),
            cancel_on_disconnect: false,
        }
    }

    fn start(&self, config: &HostConfig) -> tokio::task::JoinHandle<Result<Ended, HostError>> {
        let config = config.clone();
        tokio::spawn(async move { strategy_host::run(&config).await })
    }

    fn key(&self, strategy_id: &str) -> (apex_domain::AccountId, StrategyId) {
        (paper_account(), StrategyId::new(strategy_id).unwrap())
    }

    /// Publishes a finished bar of one second, as a feed does.
    fn bar(&self, number: i64, close: i64) {
        let hub = &self.live.node.platform.market;
        let instrument = hub.instruments().remove(0);
        let now = self.live.base.clock.now();
        let price = Price(close);
        let bar = Bar {
            instrument_id: instrument.instrument_id,
            spec: BarSpec::Time {
                interval_ns: 1_000_000_000,
            },
            open: price,
            high: price,
            low: price,
            close: price,
            volume: 1,
            trade_count: 1,
            ts_open: UnixNanos(number * 1_000_000_000),
            ts_init: now,
        };
        hub.bars.try_publish(bar).unwrap();
    }

    /// Waits for an event of an order of the strategy that `wanted` recognises, while bars with
    /// rising closes come in.
    async fn until_filled(&self, strategy_id: &str, first_close: i64) {
        let platform = &self.live.node.platform;
        let mut events = platform.account_events.subscribe_async("test").unwrap();
        let waiting = async {
            let mut close = first_close;
            loop {
                self.bar(close, close);
                close += 1_000;
                let mut batch = Vec::new();
                let next = events.next_batch(&mut batch, 64);
                // Bars go on while nothing happens.
                let _ = tokio::time::timeout(Duration::from_millis(20), next).await;
                let found = batch.into_iter().filter_map(|item| item.into_value());
                for event in found {
                    if let Some(order) = event.order
                        && order.request.strategy_id.as_str() == strategy_id
                        && !order.filled_quantity.is_zero()
                    {
                        return;
                    }
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .expect("an order is filled");
    }

    fn account(&self) -> AccountHandle {
        self.live.node.roster.get(&paper_account()).unwrap()
    }

    async fn position(&self, strategy_id: &str) -> i64 {
        let account = self.account();
        let positions = account.summary().await.unwrap().positions;
        let own = positions
            .iter()
            .filter(|position| position.strategy_id.as_str() == strategy_id);
        own.map(|position| position.quantity).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strategy_over_the_wire_trades_stops_and_goes_on_where_it_was() {
    let rig = rig().await;
    let config = rig.config("ema-1");
    let key = rig.key("ema-1");

    let host = rig.start(&config);
    rig.until_filled("ema-1", 1_000).await;
    assert!(rig.position("ema-1").await > 0);
    assert!(rig.sessions.is_connected(&key));

    // One session at a time.
    let second = strategy_host::run(&config).await.unwrap_err();
    assert!(matches!(second, HostError::Refused { .. }), "{second}");

    assert!(rig.sessions.stop(&key, "test"));
    let ended = tokio::time::timeout(PATIENCE, host).await.unwrap().unwrap();
    assert_eq!(ended.unwrap().kind, SessionEndKind::Done);

    // Started again it takes its position up and makes ids that were never there: with the same
    // target and rising prices it has nothing to do, and falling ones close the position.
    let before = rig.account().summary().await.unwrap().orders;
    let host = rig.start(&config);
    let platform = &rig.live.node.platform;
    let mut events = platform.account_events.subscribe_async("test").unwrap();
    let flat = async {
        let mut close = 1_000_000_000;
        while rig.position("ema-1").await != 0 {
            rig.bar(close, close);
            close -= 1_000_000;
            let mut batch = Vec::new();
            let next = events.next_batch(&mut batch, 64);
            let _ = tokio::time::timeout(Duration::from_millis(20), next).await;
        }
    };
    tokio::time::timeout(PATIENCE, flat)
        .await
        .expect("the position is closed");
    let after = rig.account().summary().await.unwrap().orders;
    assert!(after > before);
    host.abort();
    rig.live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_cannot_begin_is_refused_by_name() {
    let rig = rig().await;
    let refused = |change: fn(&mut HostConfig)| {
        let mut config = rig.config("ema-2");
        change(&mut config);
        async move { strategy_host::run(&config).await.unwrap_err().to_string() }
    };
    let no_account = refused(|config| config.account_id = "nobody".into()).await;
    assert!(no_account.contains("PermissionDenied"), "{no_account}");
    let manual = refused(|config| config.strategy_id = "MANUAL".into()).await;
    assert!(manual.contains("InvalidArgument"), "{manual}");
    let no_token = refused(|config| config.token = "wrong".into()).await;
    assert!(no_token.contains("Unauthenticated"), "{no_token}");
    let bars = refused(|config| {
        config.params = BTreeMap::from([("bar_interval_ms".into(), "7".into())]);
    })
    .await;
    assert!(bars.contains("bar_interval_ns"), "{bars}");
    let parameter = refused(|config| {
        config.params = BTreeMap::from([("fats".into(), "7".into())]);
    })
    .await;
    assert!(parameter.contains("did you mean \"fast\"?"), "{parameter}");
    rig.live.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bars_that_are_asked_for_are_made_of_the_running_market() {
    let rig = rig().await;
    let market = &rig.live.node.platform.market;
    let mut bars = market.bars.subscribe_async("test").unwrap();
    let ticks = BarSpec::Tick { count: 3 };
    market.ask_for_bars(None, ticks).unwrap();
    let made = async {
        loop {
            let mut batch = Vec::new();
            bars.next_batch(&mut batch, 64).await;
            let found = batch.into_iter().filter_map(|item| item.into_value());
            if let Some(bar) = found.into_iter().find(|bar| bar.spec == ticks) {
                return bar;
            }
        }
    };
    let bar = tokio::time::timeout(PATIENCE, made).await.unwrap();
    assert_eq!(bar.trade_count, 3);
    assert!(bar.volume > 0 && bar.low <= bar.high);
    rig.live.stop().await;
}
