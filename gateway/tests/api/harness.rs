//! A gateway on a free port, with what it needs.

use crate::account::start_account;
use apex_bus::access::{AccessChange, AccessStore, MemoryAccess, Swap};
use apex_bus::accounts::{AccountDesk, Accounts};
use apex_bus::clock::Clock;
use apex_bus::handle::{AccountHandle, EventHistory, HistoryError, PastError, Platform, RunMode};
use apex_bus::market::MarketHub;
use apex_bus::message::{AccountEvent, AccountMessage};
use apex_bus::order_feed::OrderFeed;
use apex_bus::topic::{Capacity, Topic};
use apex_domain::access::{ApiKey, User};
use apex_domain::account::Account;
use apex_domain::event::Recorded;
use apex_domain::instrument::{FeeSchedule, InstrumentKind, InstrumentRules};
use apex_domain::market::{BookSnapshot, FeedStatus, Level, Quote};
use apex_domain::order::OrderKey;
use apex_domain::{
    AccountId, Currency, Instrument, InstrumentId, Money, Price, Quantity, Rate, UnixNanos,
};
use apex_gateway::auth::{Access, Grants, NewKey, Role, new_key, new_signing_key};
use apex_gateway::{GatewayOptions, Running, serve};
use apex_proto::v1;
use ractor::ActorRef;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::sync::oneshot;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

pub const BTC: &str = "BTCUSDT.SIM";

/// A client's channel that sends a token with each call.
pub type Authorized = InterceptedService<Channel, Bearer>;

#[derive(Clone)]
pub struct Bearer(Option<AsciiMetadataValue>);

impl Bearer {
    pub fn token(token: &str) -> Bearer {
        Bearer(Some(format!("Bearer {token}").parse().unwrap()))
    }
}

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

pub struct Harness {
    pub running: Running,
    pub market: MarketHub,
    pub keys: Arc<MemoryAccess>,
    pub admin: NewKey,
    pub actors: BTreeMap<AccountId, ActorRef<AccountMessage>>,
    pub records: Arc<MemoryJournals>,
    pub platform: Platform,
}

/// Events that the topic holds: small, so that a test can make it overflow.
pub const EVENTS: u32 = 64;

impl Harness {
    pub async fn start() -> Harness {
        Harness::with(|_| {}).await
    }

    /// With a bound on how often one address logs in.
    pub async fn start_with_logins(per_second: u32) -> Harness {
        Harness::with(|options| {
            options.access = options.access.clone().with_logins(per_second);
        })
        .await
    }

    pub async fn with(adjust: impl FnOnce(&mut GatewayOptions)) -> Harness {
        Harness::run(RunMode::Simulated, adjust, None, None).await
    }

    pub async fn of(mode: RunMode, adjust: impl FnOnce(&mut GatewayOptions)) -> Harness {
        Harness::run(mode, adjust, None, None).await
    }

    /// With one who makes accounts.
    pub async fn with_desk(desk: Arc<dyn AccountDesk>) -> Harness {
        Harness::run(RunMode::Simulated, |_| {}, Some(desk), None).await
    }

    /// With a feed that tells single orders.
    pub async fn with_orders(feed: OrderFeed) -> Harness {
        Harness::run(RunMode::Simulated, |_| {}, None, Some(feed)).await
    }

    async fn run(
        mode: RunMode,
        adjust: impl FnOnce(&mut GatewayOptions),
        desk: Option<Arc<dyn AccountDesk>>,
        order_feed: Option<OrderFeed>,
    ) -> Harness {
        let market = MarketHub::new();
        market.define(btc()).unwrap();
        market.update(&btc().instrument_id, |view| {
            view.quote = Some(quote(6_000_000, 6_000_100));
            view.book = Some(Arc::new(book()));
            view.feed = FeedStatus::Live;
        });
        let events = Topic::gap("account_events", Capacity::new(EVENTS));
        let records = Arc::new(MemoryJournals::default());
        let accounts = Accounts::default();
        let mut actors = BTreeMap::new();
        for name in ["other", "paper"] {
            let id = AccountId::new(name).unwrap();
            let actor = start_account(&id, &market, &events, &records).await;
            accounts.insert(AccountHandle::new(id.clone(), actor.clone()));
            actors.insert(id, actor);
        }
        let platform = Platform {
            mode,
            accounts,
            desk,
            market: market.clone(),
            order_feed,
            account_events: events,
            market_history: None,
            history: records.clone(),
            exposure: None,
        };
        let keys = Arc::new(MemoryAccess::new(Clock::Wall));
        let admin = new_key(&[1; 40], "admin", Role::Admin, Grants::All, 0);
        put_user(&keys, "admin", Role::Admin, Grants::All);
        put_key(&keys, &admin.record);
        let signing = new_signing_key(keys.now_ns()).unwrap();
        put(&keys, AccessChange::Signing(Swap::insert(signing)));
        let address = "127.0.0.1:0".parse().unwrap();
        let mut options =
            GatewayOptions::new(address, Access::new(keys.clone()).with_logins(1_000));
        adjust(&mut options);
        let running = serve(options, platform.clone()).await.unwrap();
        Harness {
            running,
            market,
            keys,
            admin,
            actors,
            records,
            platform,
        }
    }

    /// Starts another account and lets it be found.
    pub async fn add_account(&mut self, name: &str) {
        let id = AccountId::new(name).unwrap();
        let events = &self.platform.account_events;
        let actor = start_account(&id, &self.market, events, &self.records).await;
        let handle = AccountHandle::new(id.clone(), actor.clone());
        self.platform.accounts.insert(handle);
        self.actors.insert(id, actor);
    }

    pub async fn channel(&self) -> Channel {
        let url = format!("http://{}", self.running.address());
        Endpoint::from_shared(url).unwrap().connect().await.unwrap()
    }

    /// Returns a channel with the admin's token that takes little before it is read.
    pub async fn narrow(&self) -> Authorized {
        let url = format!("http://{}", self.running.address());
        let endpoint = Endpoint::from_shared(url).unwrap();
        let endpoint = endpoint
            .initial_stream_window_size(65_535)
            .initial_connection_window_size(65_535);
        let value = format!("Bearer {}", self.admin.token).parse().unwrap();
        InterceptedService::new(endpoint.connect().await.unwrap(), Bearer(Some(value)))
    }

    /// Returns a channel with the admin's token.
    pub async fn admin(&self) -> Authorized {
        self.as_token(&self.admin.token).await
    }

    pub async fn as_token(&self, token: &str) -> Authorized {
        let value = format!("Bearer {token}").parse().unwrap();
        InterceptedService::new(self.channel().await, Bearer(Some(value)))
    }

    pub async fn as_nobody(&self) -> Authorized {
        InterceptedService::new(self.channel().await, Bearer(None))
    }

    /// Adds a user of the name `user-<seed>` and returns a token of it and the key.
    pub fn user(&self, seed: u8, role: Role, accounts: &[&str]) -> (String, ApiKey) {
        let accounts = accounts
            .iter()
            .map(|id| AccountId::new(id).unwrap())
            .collect();
        let (name, grants) = (format!("user-{seed}"), Grants::Only(accounts));
        put_user(&self.keys, &name, role, grants.clone());
        let new = new_key(&[seed; 40], &name, role, grants, 0);
        put_key(&self.keys, &new.record);
        (new.token, new.record)
    }

    /// Revokes a key, as another gateway would.
    pub fn revoke(&self, key: ApiKey) {
        let revoked = ApiKey {
            revoked_ns: Some(1),
            ..key.clone()
        };
        put(&self.keys, AccessChange::Key(Swap::replace(key, revoked)));
    }

    pub async fn orders(&self) -> v1::order_service_client::OrderServiceClient<Authorized> {
        v1::order_service_client::OrderServiceClient::new(self.admin().await)
    }
}

pub fn put(keys: &MemoryAccess, change: AccessChange) {
    keys.state_mut().put(&change);
}

pub fn put_user(keys: &MemoryAccess, name: &str, role: Role, grants: Grants) {
    let user = User::new(name, role, grants, 0);
    put(keys, AccessChange::User(Swap::insert(user)));
}

fn put_key(keys: &MemoryAccess, key: &ApiKey) {
    put(keys, AccessChange::Key(Swap::insert(key.clone())));
}

pub fn btc() -> Instrument {
    Instrument {
        instrument_id: InstrumentId::new(BTC).unwrap(),
        kind: InstrumentKind::Spot,
        base_currency: Currency::new("BTC").unwrap(),
        quote_currency: Currency::new("USDT").unwrap(),
        price_decimals: 2,
        quantity_decimals: 5,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(1_000_000_000),
        min_notional: Money::parse("5").unwrap(),
        multiplier: Rate::parse("1").unwrap(),
        initial_margin: Rate::parse("1").unwrap(),
        fees: FeeSchedule::default(),
        synthetic: true,
        rules: InstrumentRules::default(),
    }
}

fn level(price: i64, quantity: i64) -> Level {
    Level {
        price: Price(price),
        quantity: Quantity(quantity),
    }
}

pub fn quote(bid: i64, ask: i64) -> Quote {
    let now = Clock::Wall.now();
    Quote {
        instrument_id: InstrumentId::new(BTC).unwrap(),
        bid: Some(level(bid, 100_000)),
        ask: Some(level(ask, 100_000)),
        ts_event: now,
        ts_init: now,
    }
}

pub fn book() -> BookSnapshot {
    BookSnapshot {
        instrument_id: InstrumentId::new(BTC).unwrap(),
        update_id: 7,
        bids: vec![level(6_000_000, 100_000), level(5_999_900, 200_000)],
        asks: vec![level(6_000_100, 100_000)],
        stale: false,
        ts_event: UnixNanos(1),
        ts_init: UnixNanos(2),
    }
}

/// A good order to buy far below the market.
pub fn resting(client_order_id: &str) -> v1::SubmitOrderRequest {
    v1::SubmitOrderRequest {
        account_id: "paper".into(),
        client_order_id: client_order_id.into(),
        instrument_id: BTC.into(),
        side: v1::Side::Buy.into(),
        order_type: v1::OrderType::Limit.into(),
        quantity: "0.01".into(),
        limit_price: "50000".into(),
        ..Default::default()
    }
}

/// Journals whose records are durable at once.
#[derive(Debug, Default)]
pub struct MemoryJournals {
    records: Mutex<BTreeMap<AccountId, Vec<Recorded>>>,
    /// The past cannot be folded in time.
    pub takes_too_long: AtomicBool,
    /// Told when the next fold begins, and what it then waits for.
    gate: Mutex<Option<(oneshot::Sender<()>, mpsc::Receiver<()>)>>,
}

impl MemoryJournals {
    pub fn append(&self, id: &AccountId, events: &[Recorded]) {
        self.records
            .lock()
            .unwrap()
            .entry(id.clone())
            .or_default()
            .extend_from_slice(events);
    }

    /// Holds the next fold of the past up, once it has begun, until the sender is dropped.
    pub fn hold_next_fold(&self) -> (oneshot::Receiver<()>, mpsc::Sender<()>) {
        let (begins, begun) = oneshot::channel();
        let (go_on, goes_on) = mpsc::channel();
        *self.gate.lock().unwrap() = Some((begins, goes_on));
        (begun, go_on)
    }

    pub fn len(&self, id: &str) -> usize {
        self.records.lock().unwrap()[&AccountId::new(id).unwrap()].len()
    }
}

impl EventHistory for MemoryJournals {
    fn events(
        &self,
        account_id: &AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AccountEvent>, HistoryError> {
        let records = self.records.lock().unwrap();
        let no_journal = || HistoryError::NoJournal(account_id.clone());
        let records = records.get(account_id).ok_or_else(no_journal)?;
        let mut account = Account::new();
        let mut events = Vec::new();
        for recorded in records {
            account.fold(recorded).unwrap();
            if recorded.sequence > after && events.len() < limit {
                let key = recorded
                    .event
                    .order_id()
                    .map(|id| OrderKey::OrderId(id.clone()));
                let order = key
                    .and_then(|key| account.order(&key).cloned())
                    .map(Arc::new);
                events.push(AccountEvent {
                    account_id: account_id.clone(),
                    recorded: Arc::new(recorded.clone()),
                    order,
                });
            }
        }
        Ok(events)
    }

    fn records(
        &self,
        account_id: &AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, HistoryError> {
        let records = self.records.lock().unwrap();
        let no_journal = || HistoryError::NoJournal(account_id.clone());
        let records = records.get(account_id).ok_or_else(no_journal)?.iter();
        let behind = records.filter(|recorded| recorded.sequence > after);
        Ok(behind.take(limit).cloned().collect())
    }

    fn as_of(
        &self,
        account_id: &AccountId,
        at: UnixNanos,
        _limit: Duration,
    ) -> Result<Arc<Account>, PastError> {
        let records = self.records(account_id, 0, usize::MAX)?;
        let gate = self.gate.lock().unwrap().take();
        if let Some((begins, goes_on)) = gate {
            begins.send(()).unwrap();
            // It ends when the sender is gone.
            let _ = goes_on.recv();
        }
        if self.takes_too_long.load(Ordering::SeqCst) {
            return Err(PastError::TooLong {
                account_id: account_id.clone(),
                sequence: 1,
            });
        }
        let opened = records[0].ts;
        if at < opened {
            return Err(PastError::NotOpenYet {
                account_id: account_id.clone(),
                opened,
            });
        }
        let mut account = Account::new();
        for recorded in records.iter().filter(|recorded| recorded.ts <= at) {
            account.fold(recorded).unwrap();
        }
        Ok(Arc::new(account))
    }
}

/// No test waits longer for something that has to come; it is a failure, not a pace.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("it came within 20 s")
}
