//! A desk: a shell with a journal, a venue and a clock that the test holds in its hands.

use crate::actor::{AccountArgs, Journal, take_whole};
use crate::shell::Shell;
use apex_bus::clock::Clock;
use apex_bus::exposure::ShareKeeper;
use apex_bus::market::MarketHub;
use apex_bus::message::{
    AccountAnswer, AccountCommand, AccountEvent, AccountMessage, AccountQuery, CommandError,
    JournalHealth, VenueLink,
};
use apex_bus::supervision::{Abort, AbortHook};
use apex_bus::topic::{Capacity, Item, Subscription, Topic};
use apex_bus::venue::{NotSent, VenueSession};
use apex_domain::account::{Account, AccountInput, Effects, Reply};
use apex_domain::event::{AccountMode, Recorded};
use apex_domain::market::Side;
use apex_domain::matching::SimInstrument;
use apex_domain::order::{
    AmendOrder, Order, OrderKey, OrderStatus, OrderTerms, OrderType, SubmitOrder, TimeInForce,
};
use apex_domain::risk::{MarketView, ReasonCode, TradingState};
use apex_domain::venue::{NewOrder, VenueCommand, VenueReport};
use apex_domain::{
    AccountId, ClientOrderId, Currency, Price, Quantity, RequestId, StrategyId, UnixNanos,
    VenueOrderId,
};
use ractor::RpcReplyPort;
use ractor::concurrency::{OneshotReceiver, oneshot};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// A journal that keeps what it is given and never says that it is durable.
#[derive(Default)]
pub struct HandJournal(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    events: Vec<Recorded>,
    snapshots: Vec<(u64, Vec<u8>)>,
    breaks: bool,
}

impl HandJournal {
    /// Sequences that were handed over since the account was made.
    pub fn sequences(&self) -> Vec<u64> {
        let kept = self.0.lock().unwrap();
        kept.events.iter().map(|event| event.sequence).collect()
    }

    pub fn snapshots(&self) -> Vec<(u64, Vec<u8>)> {
        self.0.lock().unwrap().snapshots.clone()
    }

    /// Breaks an invariant at the next append.
    pub fn breaks(&self) {
        self.0.lock().unwrap().breaks = true;
    }
}

impl Journal for HandJournal {
    fn append(&self, events: &[Recorded]) {
        let mut kept = self.0.lock().unwrap();
        if kept.breaks {
            drop(kept);
            // Without the panic hook's message on standard error.
            std::panic::resume_unwind(Box::new("a journal that breaks"));
        }
        kept.events.extend_from_slice(events);
    }

    fn snapshot(&self, sequence: u64, bytes: Vec<u8>) {
        self.0.lock().unwrap().snapshots.push((sequence, bytes));
    }
}

/// A session that writes down what it takes.
#[derive(Default)]
pub struct HandVenue(Mutex<(Vec<VenueCommand>, bool)>);

impl HandVenue {
    /// What was taken, for example `cancel a`.
    pub fn sent(&self) -> Vec<String> {
        self.0.lock().unwrap().0.iter().map(name).collect()
    }

    /// New orders that were taken.
    pub fn news(&self) -> Vec<NewOrder> {
        let state = self.0.lock().unwrap();
        let news = state.0.iter().filter_map(|command| match command {
            VenueCommand::New(order) => Some(order.clone()),
            _ => None,
        });
        news.collect()
    }

    /// Takes nothing from here on, or again.
    pub fn is_full(&self, full: bool) {
        self.0.lock().unwrap().1 = full;
    }
}

fn name(command: &VenueCommand) -> String {
    let verb = match command {
        VenueCommand::New(_) => "new",
        VenueCommand::Amend { .. } => "amend",
        VenueCommand::Cancel { .. } => "cancel",
        VenueCommand::Query { .. } => "query",
        VenueCommand::CancelForeign { venue_order_id, .. } => {
            return format!("cancel foreign {venue_order_id}");
        }
    };
    let id = command.client_order_id().map(|id| id.as_str());
    format!("{verb} {}", id.unwrap_or_default())
}

impl VenueSession for HandVenue {
    fn send(&self, command: VenueCommand) -> Result<(), NotSent> {
        let mut state = self.0.lock().unwrap();
        if state.1 {
            return Err(NotSent);
        }
        state.0.push(command);
        Ok(())
    }
}

/// The other end of a reply port.
pub struct Waiting<R> {
    receiver: OneshotReceiver<R>,
    answer: Option<R>,
}

impl<R: Send + 'static> Waiting<R> {
    pub fn new() -> (RpcReplyPort<R>, Waiting<R>) {
        let (sender, receiver) = oneshot();
        let waiting = Waiting {
            receiver,
            answer: None,
        };
        (sender.into(), waiting)
    }

    pub fn is_there(&mut self) -> bool {
        if self.answer.is_none() {
            self.answer = self.receiver.try_recv().ok();
        }
        self.answer.is_some()
    }

    pub fn take(mut self) -> R {
        assert!(self.is_there(), "no answer yet");
        self.answer.unwrap()
    }
}

pub type CommandAnswer = Waiting<Result<Reply, CommandError>>;

pub struct Desk {
    shell: Shell,
    pub market: MarketHub,
    pub journal: Arc<HandJournal>,
    pub venue: Arc<HandVenue>,
    pub clock: Clock,
    events: Topic<AccountEvent>,
    aborted: Arc<Mutex<Vec<String>>>,
}

/// An account of two events that are durable: opened, and one instrument known.
pub fn account() -> Account {
    let mut account = Account::new();
    let mut effects = Effects::default();
    let open = AccountInput::Open {
        account_id: AccountId::new("paper").unwrap(),
        base_currency: Currency::new("USDT").unwrap(),
        mode: AccountMode::Paper,
    };
    let define = AccountInput::DefineInstrument(Box::new(instrument().instrument));
    for input in [open, define] {
        account.apply(UnixNanos(1_000), input, &mut effects);
    }
    assert_eq!(account.sequence(), 2);
    account
}

pub fn args(journal: &Arc<HandJournal>, venue: &Arc<HandVenue>) -> AccountArgs {
    let clock = Clock::replay();
    clock.advance(UnixNanos(2_000));
    AccountArgs {
        account: account(),
        folded: 0,
        snapshot_events: crate::SNAPSHOT_EVENTS,
        journal: journal.clone(),
        market: MarketHub::new(),
        clock,
        venue: venue.clone(),
        events: Topic::gap("account_events", Capacity::new(1 << 10)),
        keeper: None,
        abort: Arc::new(|abort| panic!("the account would have aborted: {}", abort.reason)),
    }
}

impl Desk {
    /// Without a venue session.
    pub fn new() -> Desk {
        Desk::recovered(0)
    }

    /// With a venue session, and a keeper of the platform's exposure limit.
    pub fn kept(keeper: Arc<dyn ShareKeeper>) -> Desk {
        let mut desk = Desk::begun(0, Some(keeper));
        desk.shell_take(AccountMessage::Link(VenueLink::Ready));
        desk
    }

    /// Shows the instrument's market at its start price.
    pub fn show_start_price(&mut self) {
        let sim = instrument();
        let (instrument_id, price) = (sim.instrument.instrument_id, Some(sim.start_price));
        let view = MarketView {
            last: price,
            ts: UnixNanos(2_000),
            ..MarketView::default()
        };
        self.shell_take(AccountMessage::Market {
            instrument_id,
            view,
        });
    }

    /// Without a venue session, after so many events were folded at the start.
    pub fn recovered(folded: u64) -> Desk {
        Desk::begun(folded, None)
    }

    fn begun(folded: u64, keeper: Option<Arc<dyn ShareKeeper>>) -> Desk {
        let (journal, venue) = (Arc::default(), Arc::default());
        let args = AccountArgs {
            folded,
            keeper,
            ..args(&journal, &venue)
        };
        let (clock, events) = (args.clock.clone(), args.events.clone());
        let market = args.market.clone();
        Desk {
            market,
            shell: Shell::new(args).unwrap(),
            journal,
            venue,
            clock,
            events,
            aborted: Arc::default(),
        }
    }

    pub fn connected() -> Desk {
        let mut desk = Desk::new();
        desk.shell_take(AccountMessage::Link(VenueLink::Ready));
        desk
    }

    pub fn shell_take(&mut self, message: AccountMessage) {
        let aborted = self.aborted.clone();
        let hook: AbortHook = Arc::new(move |abort: &Abort| {
            let text = format!("{} failed: {}", abort.name, abort.reason);
            aborted.lock().unwrap().push(text);
        });
        take_whole(&mut self.shell, message, &hook);
    }

    pub fn watched(&self) -> crate::watch::Watched {
        self.shell.watched()
    }

    pub fn aborts(&self) -> Vec<String> {
        self.aborted.lock().unwrap().clone()
    }

    pub fn command(&mut self, command: AccountCommand) -> CommandAnswer {
        let (port, waiting) = Waiting::new();
        self.shell_take(AccountMessage::Command(command, Instant::now(), port));
        waiting
    }

    pub fn submit(&mut self, client: &str) -> CommandAnswer {
        self.command(submit_command(order(client, 1)))
    }

    pub fn cancel(&mut self, client: &str) -> CommandAnswer {
        self.command(cancel_command(client, None))
    }

    pub fn query(&mut self, query: AccountQuery) -> Waiting<AccountAnswer> {
        let (port, waiting) = Waiting::new();
        self.shell_take(AccountMessage::Query(query, port));
        waiting
    }

    pub fn step(
        &mut self,
        now: UnixNanos,
        input: AccountInput,
    ) -> Waiting<Result<Effects, CommandError>> {
        let (reply, waiting) = Waiting::new();
        let input = Box::new(input);
        self.shell_take(AccountMessage::Step { now, input, reply });
        waiting
    }

    pub fn durable(&mut self, sequence: u64) {
        self.shell_take(AccountMessage::Durable { sequence });
    }

    pub fn durable_all(&mut self) {
        self.durable(self.journal.sequences().last().copied().unwrap_or(2));
    }

    pub fn health(&mut self, health: JournalHealth) {
        self.shell_take(AccountMessage::Journal(health));
    }

    pub fn report(&mut self, venue_sequence: u64, report: VenueReport) {
        self.shell_take(AccountMessage::Report {
            venue_sequence,
            report,
        });
    }

    /// Submits an order and has the venue accept it, all durable.
    pub fn working(&mut self, client: &str) {
        let venue_sequence = self.journal.sequences().len() as u64 + 1;
        drop(self.submit(client));
        self.report(venue_sequence, accepted(client));
        self.durable_all();
    }

    pub fn status(&mut self, client: &str) -> OrderStatus {
        let answer = self.query(AccountQuery::Order(key(client)));
        match answer.take() {
            AccountAnswer::Order(Some(order)) => order.status,
            other => panic!("no order: {other:?}"),
        }
    }

    pub fn subscribe(&self) -> Published {
        Published(self.events.subscribe("test", Box::new(|| {})).unwrap())
    }
}

/// What was published, since the subscription.
pub struct Published(Subscription<AccountEvent>);

impl Published {
    fn drain(&mut self) -> Vec<AccountEvent> {
        let mut events = Vec::new();
        let each = |item: Item<AccountEvent>| events.push(item.into_value().expect("no gap"));
        let _ = self.0.drain(1_000, each);
        events
    }

    pub fn sequences(&mut self) -> Vec<u64> {
        let events = self.drain();
        events.iter().map(|event| event.recorded.sequence).collect()
    }

    pub fn statuses(&mut self) -> Vec<Option<OrderStatus>> {
        let events = self.drain();
        let status = |event: &AccountEvent| event.order.as_ref().map(|order| order.status);
        events.iter().map(status).collect()
    }
}

pub fn instrument() -> SimInstrument {
    SimInstrument::defaults().remove(0)
}

pub fn cid(text: &str) -> ClientOrderId {
    ClientOrderId::new(text).unwrap()
}

pub fn key(text: &str) -> OrderKey {
    OrderKey::ClientOrderId(cid(text))
}

/// A limit order of so many of the smallest quantity.
pub fn order(client: &str, lots: i64) -> SubmitOrder {
    let SimInstrument {
        instrument,
        start_price,
        lot,
        ..
    } = instrument();
    SubmitOrder {
        client_order_id: cid(client),
        strategy_id: StrategyId::manual(),
        instrument_id: instrument.instrument_id,
        side: Side::Buy,
        order_type: OrderType::Limit,
        quantity: Quantity(lot.0 * lots),
        limit_price: Some(Price(start_price.0)),
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        tags: String::new(),
        misfit: None,
        terms: OrderTerms::default(),
    }
}

pub fn submit_command(request: SubmitOrder) -> AccountCommand {
    AccountCommand::Submit(Box::new(request))
}

pub fn cancel_command(client: &str, request_id: Option<&str>) -> AccountCommand {
    AccountCommand::Cancel {
        key: key(client),
        request_id: request_id.map(|id| RequestId::new(id).unwrap()),
        reason_code: ReasonCode::CanceledByUser,
    }
}

pub fn amend_command(client: &str, request_id: &str, lots: i64) -> AccountCommand {
    AccountCommand::Amend(AmendOrder {
        key: key(client),
        request_id: RequestId::new(request_id).unwrap(),
        quantity: Some(Quantity(instrument().lot.0 * lots)),
        limit_price: None,
        expected_sequence: None,
        stop_price: None,
    })
}

/// The kill switch, or its release.
pub fn halt(on: bool) -> AccountCommand {
    AccountCommand::SetTradingState {
        request_id: None,
        state: if on {
            TradingState::Halted
        } else {
            TradingState::Active
        },
        by: "operator".to_owned(),
        reason: "test".to_owned(),
    }
}

pub fn accepted(client: &str) -> VenueReport {
    VenueReport::Accepted {
        client_order_id: cid(client),
        venue_order_id: VenueOrderId::new(&format!("v-{client}")).unwrap(),
        ts_event: UnixNanos(2_000),
    }
}

pub fn order_of(answer: Result<Reply, CommandError>) -> Order {
    match answer {
        Ok(Reply::Order(order)) => *order,
        other => panic!("expected an order, got {other:?}"),
    }
}
