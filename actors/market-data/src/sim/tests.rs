use super::*;
use apex_bus::clock::Clock;
use apex_domain::market::Side;
use apex_domain::matching::{LatencyModel, SimInstrument, SimOptions};
use apex_domain::order::{OrderTerms, OrderType, TimeInForce};
use apex_domain::venue::{NewOrder, RejectReason};
use apex_domain::{ClientOrderId, InstrumentId, Price, UnixNanos};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Stands for the account: passes on what it is told.
struct Ear(UnboundedSender<AccountMessage>);

impl Actor for Ear {
    type Msg = AccountMessage;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<AccountMessage>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _myself: ActorRef<AccountMessage>,
        message: AccountMessage,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let _ = self.0.send(message);
        Ok(())
    }
}

pub(super) struct Market {
    pub(super) session: SimSession,
    pub(super) actor: ActorRef<SimMarketMessage>,
    heard: UnboundedReceiver<AccountMessage>,
    pub(super) hub: MarketHub,
}

async fn member(name: &str, venue_sequence: u64) -> (Member, UnboundedReceiver<AccountMessage>) {
    let (told, heard) = unbounded_channel();
    let (account, _running) = Actor::spawn(None, Ear(told), ()).await.unwrap();
    let account_id = AccountId::new(name).unwrap();
    let member = Member {
        account_id,
        account,
        venue_sequence,
    };
    (member, heard)
}

pub(super) async fn start(venue_sequence: u64) -> Market {
    let (paper, heard) = member("paper", venue_sequence).await;
    let hub = MarketHub::new();
    let session = SimSession::new(paper.account_id.clone(), Arc::default());
    let exchange = SimExchange::new(SimOptions::new(1)).unwrap();
    for instrument in exchange.instruments() {
        hub.define(instrument).unwrap();
    }
    let clock = Clock::replay();
    clock.advance(UnixNanos(1_700_000_000_000_000_000));
    let args = SimMarketArgs {
        exchange,
        restored: Vec::new(),
        latencies: None,
        hub: hub.clone(),
        clock,
        members: vec![paper],
        waiting: session.waiting.clone(),
        abort: Arc::new(|abort| panic!("the market would have aborted: {}", abort.reason)),
    };
    let (actor, _running) = Actor::spawn(None, SimMarketActor, args).await.unwrap();
    Market {
        session,
        actor,
        heard,
        hub,
    }
}

pub(super) fn id() -> InstrumentId {
    SimInstrument::defaults().remove(0).instrument.instrument_id
}

/// A buy far above the market.
pub(super) fn buy(client: &str) -> VenueCommand {
    let definition = SimInstrument::defaults().remove(0);
    VenueCommand::New(NewOrder {
        client_order_id: ClientOrderId::new(client).unwrap(),
        instrument_id: id(),
        side: Side::Buy,
        order_type: OrderType::Limit,
        quantity: definition.lot,
        limit_price: Some(Price(definition.start_price.0 * 2)),
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        reduce_only: false,
        terms: OrderTerms::default(),
    })
}

fn query(client: &str) -> VenueCommand {
    VenueCommand::Query {
        client_order_id: ClientOrderId::new(client).unwrap(),
        instrument_id: id(),
    }
}

async fn report(market: &mut Market) -> (u64, VenueReport) {
    match market.heard.recv().await {
        Some(AccountMessage::Report {
            venue_sequence,
            report,
        }) => (venue_sequence, report),
        other => panic!("expected a report, got {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_a_market_before_the_account_is_let_in() {
    let mut market = start(0).await;
    let first = market.heard.recv().await.unwrap();
    assert!(matches!(first, AccountMessage::Link(VenueLink::Ready)));
    let reference = market.hub.reference(&id());
    assert!(reference.bid.is_some() && reference.bid < reference.ask);
    assert!(market.hub.view(&id()).unwrap().book.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_order_is_reported_to_the_account_with_numbers_behind_the_last_run() {
    let mut market = start(41).await;
    market.heard.recv().await.unwrap();
    market.session.connect(market.actor.clone());
    market.session.send(buy("a")).unwrap();
    let (sequence, accepted) = report(&mut market).await;
    assert!(
        matches!(accepted, VenueReport::Accepted { .. }),
        "{accepted:?}"
    );
    assert_eq!(sequence, 42);
    let (sequence, filled) = report(&mut market).await;
    assert!(matches!(filled, VenueReport::Filled(_)), "{filled:?}");
    assert_eq!(sequence, 43);
    market.session.send(query("a")).unwrap();
    let (mut sequence, mut answer) = report(&mut market).await;
    while matches!(answer, VenueReport::Filled(_)) {
        (sequence, answer) = report(&mut market).await;
    }
    assert!(matches!(answer, VenueReport::Status { .. }), "{answer:?}");
    assert_eq!(
        sequence, 0,
        "an answer has no place in the stream of reports"
    );
    assert_eq!(market.session.waiting.load(Ordering::Acquire), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_market_takes_nothing() {
    let market = start(0).await;
    assert_eq!(market.session.send(buy("a")), Err(NotSent));
    market.session.connect(market.actor.clone());
    assert_eq!(market.session.send(buy("a")), Ok(()));
    market.actor.stop_and_wait(None, None).await.unwrap();
    assert_eq!(market.session.send(buy("b")), Err(NotSent));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_takes_nothing_and_does_so_again_once_there_is_room() {
    let mut market = start(0).await;
    market.heard.recv().await.unwrap();
    market.session.connect(market.actor.clone());
    // Nothing is awaited, so the market takes none of them meanwhile.
    for n in 0..COMMANDS_WAITING {
        market.session.send(query(&format!("q{n}"))).unwrap();
    }
    assert_eq!(market.session.send(query("more")), Err(NotSent));
    for _ in 0..COMMANDS_WAITING {
        let (_, answer) = report(&mut market).await;
        assert!(matches!(answer, VenueReport::NotFound { .. }), "{answer:?}");
    }
    assert_eq!(market.session.send(query("more")), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_halt_refuses_orders_until_trading_resumes() {
    let mut market = start(0).await;
    market.heard.recv().await.unwrap();
    market.session.connect(market.actor.clone());
    let control = |control| SimMarketMessage::Control(control);
    let halt = VenueControl::Halt {
        instrument_id: id(),
    };
    market.actor.cast(control(halt)).unwrap();
    market.session.send(buy("a")).unwrap();
    let (_, refused) = report(&mut market).await;
    let reason = match refused {
        VenueReport::Rejected { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason, RejectReason::Halted);
    let resume = VenueControl::Resume {
        instrument_id: id(),
    };
    market.actor.cast(control(resume)).unwrap();
    market.session.send(buy("b")).unwrap();
    let (_, accepted) = report(&mut market).await;
    assert!(
        matches!(accepted, VenueReport::Accepted { .. }),
        "{accepted:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn accounts_trade_with_each_other_and_each_counts_its_own_reports() {
    let mut market = start(41).await;
    market.heard.recv().await.unwrap();
    market.session.connect(market.actor.clone());
    // An account that comes later, and whose last report was its seventh.
    let (second, mut heard) = member("second", 7).await;
    let session = SimSession::new(second.account_id.clone(), market.session.waiting.clone());
    let attach = |reply| SimMarketMessage::Attach(second, reply);
    ractor::call!(market.actor, attach).unwrap();
    session.connect(market.actor.clone());
    let first = heard.recv().await.unwrap();
    assert!(matches!(first, AccountMessage::Link(VenueLink::Ready)));

    // Inside the spread, so that only the other account can trade with it.
    let reference = market.hub.reference(&id());
    let definition = SimInstrument::defaults().remove(0);
    let price = Price(reference.bid.unwrap().0 + definition.instrument.price_increment.0);
    assert!(reference.ask.is_some_and(|ask| price < ask));
    let order = |client: &str, side| match buy(client) {
        VenueCommand::New(order) => VenueCommand::New(NewOrder {
            limit_price: Some(price),
            side,
            ..order
        }),
        other => other,
    };
    market.session.send(order("a", Side::Sell)).unwrap();
    let (sequence, accepted) = report(&mut market).await;
    assert!(
        matches!(accepted, VenueReport::Accepted { .. }),
        "{accepted:?}"
    );
    assert_eq!(sequence, 42);
    // The same id is another order in another account.
    session.send(order("a", Side::Buy)).unwrap();
    let (sequence, maker) = report(&mut market).await;
    assert_eq!(sequence, 43);
    let mut of_second = Vec::new();
    while of_second.len() < 2 {
        match heard.recv().await {
            Some(AccountMessage::Report {
                venue_sequence,
                report,
            }) => of_second.push((venue_sequence, report)),
            other => panic!("expected a report, got {other:?}"),
        }
    }
    assert_eq!((of_second[0].0, of_second[1].0), (8, 9));
    let (maker, taker) = match (maker, &of_second[1].1) {
        (VenueReport::Filled(maker), VenueReport::Filled(taker)) => (maker, taker.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (maker.last_price, maker.last_quantity),
        (taker.last_price, taker.last_quantity)
    );
    assert_ne!(maker.exec_id, taker.exec_id);
}

#[tokio::test]
async fn a_latency_delays_the_order_and_what_is_told_of_it() {
    let (paper, mut heard) = member("paper", 0).await;
    let account_id = paper.account_id.clone();
    let latencies = Latencies {
        to_venue: LatencyModel::Fixed(5_000),
        to_account: LatencyModel::Fixed(3_000),
        seed: 1,
    };
    let exchange = SimExchange::new(SimOptions::new(1)).unwrap();
    let (hub, clock) = (MarketHub::new(), Clock::replay());
    for instrument in exchange.instruments() {
        hub.define(instrument).unwrap();
    }
    clock.advance(UnixNanos(1_700_000_000_000_000_000));
    let mut state = SimMarketState {
        exchange,
        publisher: Publisher::new(hub),
        told: Told::default(),
        clock: clock.clone(),
        members: BTreeMap::from([(account_id.clone(), paper)]),
        waiting: Arc::new(AtomicUsize::new(1)),
        ways: Some(latencies.ways()),
        awaited: None,
        abort: Arc::new(|abort| panic!("the market would have aborted: {}", abort.reason)),
        events: Vec::new(),
    };
    state.take(SimMarketMessage::Step);
    assert_eq!(state.next_wait(), None);
    let sent = clock.now();
    state.take(SimMarketMessage::Command {
        account_id: account_id.clone(),
        command: buy("a"),
    });
    assert_eq!(state.next_wait(), Some(Duration::from_nanos(5_000)));
    assert_eq!(state.next_wait(), None, "it is asked for once");
    for (nanos, waiting, reports) in [
        (4_999, 1, 0),
        (5_000, 0, 0),
        (7_999, 0, 0),
        (8_000, 0, 2), // Accepted and filled.
    ] {
        clock.advance(sent.plus(nanos));
        state.take(SimMarketMessage::Due);
        let waits = state.waiting.load(Ordering::Acquire);
        assert_eq!(
            (waits, state.members[&account_id].venue_sequence),
            (waiting, reports),
            "{nanos}"
        );
    }
    let Some(AccountMessage::Report {
        report: VenueReport::Accepted { ts_event, .. },
        ..
    }) = heard.recv().await
    else {
        panic!("expected an acceptance");
    };
    assert_eq!(ts_event, sent.plus(5_000));
}
