//! A gateway before one account: journal and audit in memory, and a venue that ends each order at
//! once, so that the number of working orders stays what it is.

use apex_broker::{AccountActor, AccountArgs, Journal, SNAPSHOT_EVENTS};
use apex_bus::access::{AccessChange, MemoryAccess, Swap};
use apex_bus::accounts::Accounts;
use apex_bus::audit::{Audit, AuditCheck, AuditError, AuditFigures, AuditRecords, Ticket};
use apex_bus::clock::Clock;
use apex_bus::handle::{AccountHandle, EventHistory, HistoryError, PastError, Platform, RunMode};
use apex_bus::market::MarketHub;
use apex_bus::message::{AccountEvent, AccountMessage, VenueLink};
use apex_bus::supervision::abort_process;
use apex_bus::topic::{Capacity, Topic};
use apex_bus::venue::{NotSent, VenueSession};
use apex_domain::access::User;
use apex_domain::account::{Account, AccountInput, Effects};
use apex_domain::audit::AuditRecord;
use apex_domain::event::{AccountMode, Recorded};
use apex_domain::instrument::{FeeSchedule, InstrumentKind, InstrumentRules};
use apex_domain::market::{Level, Quote};
use apex_domain::venue::{EndReason, VenueCommand, VenueEnd, VenueReport};
use apex_domain::{
    AccountId, Currency, Instrument, InstrumentId, Money, Price, Quantity, Rate, UnixNanos,
};
use apex_gateway::auth::{Access, Grants, Role, new_key};
use apex_gateway::{GatewayOptions, Running, serve};
use ractor::{Actor, ActorRef};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub const BTC: &str = "BTCUSDT.SIM";

/// Ends every order at once.
#[derive(Default)]
struct Venue {
    account: OnceLock<ActorRef<AccountMessage>>,
    reports: AtomicU64,
}

impl VenueSession for Venue {
    fn send(&self, command: VenueCommand) -> Result<(), NotSent> {
        let VenueCommand::New(order) = command else {
            return Ok(());
        };
        let venue_sequence = self.reports.fetch_add(1, Ordering::Relaxed) + 1;
        let report = VenueReport::Ended {
            client_order_id: order.client_order_id,
            end: VenueEnd::Canceled,
            reason: EndReason::NoLiquidity,
            cumulative_quantity: Quantity::ZERO,
            ts_event: Clock::Wall.now(),
        };
        let account = self.account.get().ok_or(NotSent)?;
        let report = AccountMessage::Report {
            venue_sequence,
            report,
        };
        account.cast(report).map_err(|_| NotSent)
    }
}

/// Everything is durable at once; that it is comes as a message, as it does from the disk.
#[derive(Default)]
struct Memory {
    account: OnceLock<ActorRef<AccountMessage>>,
}

impl Journal for Memory {
    fn append(&self, events: &[Recorded]) {
        let last = events.last().map(|event| event.sequence);
        if let (Some(account), Some(sequence)) = (self.account.get(), last) {
            let _ = account.cast(AccountMessage::Durable { sequence });
        }
    }

    fn snapshot(&self, _sequence: u64, _bytes: Vec<u8>) {}
}

impl EventHistory for Memory {
    fn events(&self, id: &AccountId, _: u64, _: usize) -> Result<Vec<AccountEvent>, HistoryError> {
        Err(HistoryError::NoJournal(id.clone()))
    }

    fn records(&self, id: &AccountId, _: u64, _: usize) -> Result<Vec<Recorded>, HistoryError> {
        Err(HistoryError::NoJournal(id.clone()))
    }

    fn as_of(&self, id: &AccountId, _: UnixNanos, _: Duration) -> Result<Arc<Account>, PastError> {
        Err(HistoryError::NoJournal(id.clone()).into())
    }
}

#[derive(Debug)]
struct MemoryAudit;

impl Audit for MemoryAudit {
    fn append(&self, record: AuditRecord) -> Result<Ticket, AuditError> {
        std::hint::black_box(record.encode());
        let (durable, ticket) = Ticket::pair();
        durable.tell();
        Ok(ticket)
    }

    fn ready(&self) -> Result<(), AuditError> {
        Ok(())
    }

    fn lost(&self) {}

    fn early(&self) {}

    fn figures(&self) -> AuditFigures {
        AuditFigures::default()
    }

    fn read(&self, _: u64, _: usize) -> Result<AuditRecords, AuditError> {
        Ok(Vec::new())
    }

    fn check(&self) -> Result<AuditCheck, AuditError> {
        Ok(AuditCheck::default())
    }
}

fn btc() -> Instrument {
    let currency = |text| Currency::new(text).expect("a currency");
    Instrument {
        instrument_id: InstrumentId::new(BTC).expect("an id"),
        kind: InstrumentKind::Spot,
        base_currency: currency("BTC"),
        quote_currency: currency("USDT"),
        price_decimals: 2,
        quantity_decimals: 5,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(1_000_000_000),
        min_notional: Money::parse("5").expect("money"),
        multiplier: Rate::parse("1").expect("a rate"),
        initial_margin: Rate::parse("1").expect("a rate"),
        fees: FeeSchedule::default(),
        synthetic: true,
        rules: InstrumentRules::default(),
    }
}

/// An open account with cash, no limit and the instrument.
fn account(id: &AccountId) -> Account {
    let (mut account, mut effects) = (Account::new(), Effects::default());
    let usdt = Currency::new("USDT").expect("a currency");
    for input in [
        AccountInput::Open {
            account_id: id.clone(),
            base_currency: usdt.clone(),
            mode: AccountMode::Paper,
        },
        AccountInput::AdjustCash {
            request_id: None,
            currency: usdt,
            amount: Money::parse("1000000000").expect("money"),
            reason: "bench".to_owned(),
        },
        AccountInput::DefineInstrument(Box::new(btc())),
    ] {
        account.apply(Clock::Wall.now(), input, &mut effects);
    }
    account
}

/// A gateway that serves one account.
pub struct Node {
    running: Running,
    token: String,
}

impl Node {
    pub async fn start() -> Node {
        let market = MarketHub::new();
        market.define(btc()).expect("a definition");
        let now = Clock::Wall.now();
        let level = |price| {
            let quantity = Quantity(100_000);
            let price = Price(price);
            Some(Level { price, quantity })
        };
        let quote = Quote {
            instrument_id: btc().instrument_id,
            bid: level(6_000_000),
            ask: level(6_000_100),
            ts_event: now,
            ts_init: now,
        };
        market.update(&quote.instrument_id.clone(), |view| {
            view.quote = Some(quote)
        });
        let id = AccountId::new("paper").expect("an id");
        let events = Topic::gap("account_events", Capacity::new(65_536));
        let (journal, venue) = (Arc::new(Memory::default()), Arc::new(Venue::default()));
        let args = AccountArgs {
            account: account(&id),
            folded: 0,
            snapshot_events: SNAPSHOT_EVENTS,
            journal: journal.clone(),
            market: market.clone(),
            clock: Clock::Wall,
            venue: venue.clone(),
            events: events.clone(),
            keeper: None,
            abort: Arc::new(abort_process),
        };
        let (actor, _) = Actor::spawn(None, AccountActor, args)
            .await
            .expect("an account");
        let _ = journal.account.set(actor.clone());
        let _ = venue.account.set(actor.clone());
        actor
            .cast(AccountMessage::Link(VenueLink::Ready))
            .expect("it runs");
        let accounts = Accounts::default();
        accounts.insert(AccountHandle::new(id, actor));
        let platform = Platform {
            mode: RunMode::Simulated,
            accounts,
            desk: None,
            market,
            order_feed: None,
            account_events: events,
            history: journal,
            market_history: None,
            exposure: None,
        };
        let admin = new_key(&[1; 40], "admin", Role::Admin, Grants::All, 0);
        let keys = Arc::new(MemoryAccess::new(Clock::Wall));
        {
            let mut state = keys.state_mut();
            let user = User::new("admin", Role::Admin, Grants::All, 0);
            state.put(&AccessChange::User(Swap::insert(user)));
            state.put(&AccessChange::Key(Swap::insert(admin.record.clone())));
        }
        let address = "127.0.0.1:0".parse().expect("an address");
        let mut options = GatewayOptions::new(address, Access::new(keys));
        options.audit = Some(Arc::new(MemoryAudit));
        // What is measured is the way, and not the bound on one key.
        options.limits.calls_per_second = 100_000_000;
        let running = serve(options, platform).await.expect("it serves");
        Node {
            running,
            token: admin.token,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    pub fn token(&self) -> &str {
        &self.token
    }
}
