//! The session as a machine: what goes in, what comes out, at given times.

use super::budget::SessionBudget;
use super::commands::Owner;
use super::events::Happening;
use super::machine::{Effect, Input, Loaded, Session, Setup};
use super::wants::Wants;
use apex_bus::market::MarketHub;
use apex_bus::message::{
    AccountCommand, AccountEvent, AccountSummary, CommandError, JournalHealth,
};
use apex_domain::account::Reply;
use apex_domain::event::{AccountMode, Event, Recorded};
use apex_domain::instrument::{FeeSchedule, InstrumentKind};
use apex_domain::market::{Level, MarketEvent, Quote, Side};
use apex_domain::order::{Order, OrderStatus, SubmitOrder};
use apex_domain::portfolio::Position;
use apex_domain::risk::{Limits, MarketRef, TradingState};
use apex_domain::venue::Execution;
use apex_domain::{
    AccountId, Currency, ExecId, Instrument, InstrumentId, Money, OrderId, Price, Quantity, Rate,
    StrategyId, UnixNanos,
};
use apex_proto::v1::strategy_command::Command;
use apex_proto::v1::strategy_request::Message as Request;
use apex_proto::v1::strategy_response::Message as Response;
use apex_proto::v1::{self, MarketDataKind as Kind, SessionEndKind as End};
use std::collections::BTreeMap;
use std::sync::Arc;

const SECOND: i64 = 1_000_000_000;

fn instrument_id() -> InstrumentId {
    InstrumentId::new("BTCUSDT.SIM").unwrap()
}

fn instrument() -> Instrument {
    Instrument {
        instrument_id: instrument_id(),
        kind: InstrumentKind::Spot,
        base_currency: Currency::new("BTC").unwrap(),
        quote_currency: Currency::new("USDT").unwrap(),
        price_decimals: 2,
        quantity_decimals: 3,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(1_000_000_000),
        min_notional: Money::ZERO,
        multiplier: Rate::parse("1").unwrap(),
        initial_margin: Rate::parse("1").unwrap(),
        fees: FeeSchedule::default(),
        synthetic: true,
    }
}

fn owner() -> Owner {
    Owner {
        account_id: AccountId::new("paper").unwrap(),
        strategy_id: StrategyId::new("ema-1").unwrap(),
    }
}

fn position(strategy_id: &StrategyId, quantity: i64) -> Position {
    Position {
        instrument_id: instrument_id(),
        strategy_id: strategy_id.clone(),
        quantity,
        open_cost: Money::ZERO,
        realized_pnl: Money::ZERO,
    }
}

fn summary(quantity: i64) -> AccountSummary {
    AccountSummary {
        account_id: owner().account_id,
        base_currency: Currency::new("USDT").unwrap(),
        mode: AccountMode::Paper,
        trading_state: TradingState::Active,
        limits: Limits::default(),
        limits_sequence: 0,
        cash: BTreeMap::new(),
        realized_pnl: BTreeMap::new(),
        fees: BTreeMap::new(),
        equity: Money::ZERO,
        unrealized_pnl: Money::ZERO,
        partial: false,
        // Another strategy's position is not its own.
        positions: vec![
            position(&owner().strategy_id, quantity),
            position(&StrategyId::new("other").unwrap(), 777),
        ],
        working_orders: 0,
        orders: 0,
        executions: 0,
        sequence: 10,
        state_hash: 0,
        journal: JournalHealth::Ready,
        venue_connected: true,
    }
}

struct Run {
    session: Session,
    now: UnixNanos,
    command_id: u64,
}

impl Run {
    fn new(quantity: i64, orders: Vec<Order>, cancel_on_disconnect: bool) -> Run {
        let hub = MarketHub::new();
        hub.define(instrument());
        let wants = Wants::read(&[v1::StrategySubscription {
            kinds: vec![Kind::Quotes.into()],
            ..Default::default()
        }])
        .unwrap();
        let budget = SessionBudget {
            orders_per_second: 3,
            commands_per_batch: 5,
            messages_per_second: 20,
            ..SessionBudget::default()
        };
        let setup = Setup {
            owner: owner(),
            session_id: "s1".into(),
            wants,
            budget,
            mode: v1::RunMode::Simulated,
            cancel_on_disconnect,
            parameters: BTreeMap::new(),
        };
        let now = UnixNanos(1_000 * SECOND);
        let mut run = Run {
            session: Session::new(now, setup, hub),
            now,
            command_id: 0,
        };
        let effects = run.apply(Input::Loaded(Box::new(Loaded {
            summary: summary(quantity),
            orders,
            since: Vec::new(),
            state: b"kept".to_vec(),
        })));
        let [Effect::Send(Response::Welcome(welcome))] = effects.as_slice() else {
            panic!("{effects:?}");
        };
        assert_eq!(welcome.state, b"kept");
        run
    }

    fn apply(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.session.apply(self.now, input, &mut effects);
        effects
    }

    fn request(&mut self, message: Request) -> Vec<Effect> {
        self.apply(Input::Request(v1::StrategyRequest {
            message: Some(message),
        }))
    }

    fn commands(&mut self, answers_sequence: u64, commands: Vec<Command>) -> Vec<Effect> {
        let commands = commands.into_iter().map(|command| {
            self.command_id += 1;
            v1::StrategyCommand {
                command_id: self.command_id,
                command: Some(command),
            }
        });
        let commands = commands.collect();
        self.request(Request::Commands(v1::CommandBatch {
            answers_sequence,
            commands,
            handler_ns: 0,
        }))
    }

    fn target(&mut self, quantity: &str) -> Vec<Effect> {
        self.commands(0, vec![target(quantity)])
    }

    fn quotes(&mut self, times: &[i64]) -> Vec<Effect> {
        let quote = |ts: &i64| Happening::Market {
            event: quote(*ts),
            overwritten: 0,
        };
        self.apply(Input::Happened(times.iter().map(quote).collect()))
    }
}

fn target(quantity: &str) -> Command {
    Command::Target(v1::TargetPosition {
        instrument_id: "BTCUSDT.SIM".into(),
        quantity: quantity.into(),
    })
}

/// At a time since the session's begin.
fn quote(ts: i64) -> MarketEvent {
    let level = |price| {
        Some(Level {
            price: Price(price),
            quantity: Quantity(1),
        })
    };
    MarketEvent::Quote(Quote {
        instrument_id: instrument_id(),
        bid: level(100),
        ask: level(101),
        ts_event: UnixNanos(ts),
        ts_init: UnixNanos(1_000 * SECOND + ts),
    })
}

fn submitted(effects: &[Effect]) -> SubmitOrder {
    match effects {
        [
            Effect::Command {
                command: AccountCommand::Submit(order),
                ..
            },
        ] => order.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

fn outcome(effects: &[Effect]) -> &v1::CommandOutcome {
    match effects {
        [Effect::Send(Response::Outcome(outcome)), ..] => outcome,
        other => panic!("{other:?}"),
    }
}

fn batch(effects: &[Effect]) -> &v1::EventBatch {
    match effects {
        [Effect::Send(Response::Events(batch))] => batch,
        other => panic!("{other:?}"),
    }
}

fn end(effects: &[Effect]) -> (End, bool) {
    let cancels = effects.iter().any(|effect| {
        let Effect::Command { command, .. } = effect else {
            return false;
        };
        matches!(command, AccountCommand::CancelAll { .. })
    });
    match effects.last() {
        Some(Effect::End { kind, .. }) => (*kind, cancels),
        other => panic!("{other:?}"),
    }
}

fn order(request: &SubmitOrder, status: OrderStatus, filled: i64, sequence: u64) -> Order {
    let leaves = if status.is_terminal() {
        0
    } else {
        request.quantity.0 - filled
    };
    Order {
        order_id: OrderId::new(&format!("paper:{}", request.client_order_id)).unwrap(),
        account_id: owner().account_id,
        venue_order_id: None,
        request: request.clone(),
        status,
        quantity: request.quantity,
        limit_price: request.limit_price,
        filled_quantity: Quantity(filled),
        leaves_quantity: Quantity(leaves),
        canceled_quantity: Quantity(request.quantity.0 - filled - leaves),
        filled_notional: Money::ZERO,
        reason_code: None,
        reason: String::new(),
        ts_created: UnixNanos(0),
        ts_updated: UnixNanos(0),
        sequence,
    }
}

fn account_event(event: Event, after: Order) -> Happening {
    Happening::Account(AccountEvent {
        account_id: owner().account_id,
        recorded: Arc::new(Recorded {
            sequence: after.sequence,
            ts: UnixNanos(0),
            venue_sequence: 0,
            event,
        }),
        order: Some(Arc::new(after)),
    })
}

fn initialized(request: &SubmitOrder, sequence: u64) -> Happening {
    let after = order(request, OrderStatus::PendingNew, 0, sequence);
    let event = Event::OrderInitialized {
        order_id: after.order_id.clone(),
        request: Box::new(request.clone()),
        market: MarketRef::default(),
    };
    account_event(event, after)
}

fn filled(request: &SubmitOrder, quantity: i64, sequence: u64) -> Happening {
    let status = if quantity == request.quantity.0 {
        OrderStatus::Filled
    } else {
        OrderStatus::PartiallyFilled
    };
    let after = order(request, status, quantity, sequence);
    let execution = Execution {
        exec_id: ExecId::new("x").unwrap(),
        client_order_id: request.client_order_id.clone(),
        instrument_id: request.instrument_id.clone(),
        side: request.side,
        last_quantity: Quantity(quantity),
        last_price: Price(100),
        fee: Money::ZERO,
        fee_currency: Currency::new("USDT").unwrap(),
        maker: false,
        ts_event: UnixNanos(0),
    };
    let event = Event::OrderFilled {
        order_id: after.order_id.clone(),
        execution: Box::new(execution),
        late: false,
    };
    account_event(event, after)
}

#[test]
fn a_target_trades_the_difference_from_position_and_working_orders() {
    let mut run = Run::new(200, Vec::new(), false);
    let first = submitted(&run.target("0.5"));
    assert_eq!((first.side, first.quantity), (Side::Buy, Quantity(300)));
    assert_eq!(first.client_order_id.as_str(), "ema-1-1");
    // Under way, working, in part filled, filled: it counts the same.
    let nothing = |effects: &[Effect]| assert_eq!(outcome(effects).reason_code, "");
    nothing(&run.target("0.5"));
    run.apply(Input::Happened(vec![initialized(&first, 11)]));
    nothing(&run.target("0.5"));
    run.apply(Input::Happened(vec![filled(&first, 100, 12)]));
    nothing(&run.target("0.5"));
    // Told again, as after a gap: counted once.
    run.apply(Input::Happened(vec![filled(&first, 100, 12)]));
    nothing(&run.target("0.500"));
    run.now = run.now.plus(SECOND);
    let second = submitted(&run.target("-0.1"));
    assert_eq!((second.side, second.quantity), (Side::Sell, Quantity(600)));
}

#[test]
fn an_order_that_never_came_to_be_does_not_count() {
    let mut run = Run::new(0, Vec::new(), false);
    submitted(&run.target("0.1"));
    let refused = run.apply(Input::Answered {
        command_id: 1,
        answer: Err(CommandError::JournalFull),
    });
    assert_eq!(outcome(&refused).reason_code, "JOURNAL_FULL");
    assert_eq!(submitted(&run.target("0.1")).quantity, Quantity(100));
    // Not known: it stays counted.
    let open = Err(CommandError::Timeout { timeout_ms: 1 });
    let unknown = run.apply(Input::Answered {
        command_id: 2,
        answer: open,
    });
    assert_eq!(outcome(&unknown).reason_code, "OUTCOME_UNKNOWN");
    assert_eq!(outcome(&run.target("0.1")).reason_code, "");
}

#[test]
fn events_leave_in_order_of_time_which_never_goes_back() {
    let mut run = Run::new(0, Vec::new(), false);
    let effects = run.quotes(&[30, 10, 20]);
    let first = batch(&effects);
    let times: Vec<i64> = first
        .events
        .iter()
        .map(|event| event.ts_ns % SECOND)
        .collect();
    assert_eq!((first.sequence, times), (1, vec![10, 20, 30]));
    let effects = run.quotes(&[15]);
    let second = batch(&effects);
    assert_eq!((second.sequence, second.events[0].ts_ns % SECOND), (2, 30));
}

#[test]
fn nothing_more_is_taken_while_the_window_is_full() {
    let mut run = Run::new(0, Vec::new(), false);
    assert!(run.session.has_room());
    run.quotes(&[1]);
    run.quotes(&[2]);
    assert!(!run.session.has_room(), "two batches wait for an answer");
    run.commands(1, Vec::new());
    assert!(run.session.has_room());
    assert_eq!(end(&run.commands(1, Vec::new())), (End::Protocol, true));
}

#[test]
fn only_own_orders_are_told() {
    let mut run = Run::new(0, Vec::new(), false);
    let mut request = submitted(&run.target("0.1"));
    let effects = run.apply(Input::Happened(vec![initialized(&request, 11)]));
    assert_eq!(batch(&effects).events.len(), 1);
    request.strategy_id = StrategyId::new("other").unwrap();
    let effects = run.apply(Input::Happened(vec![initialized(&request, 12)]));
    assert!(effects.is_empty(), "{effects:?}");
}

#[test]
fn a_batch_without_an_answer_in_time_ends_the_session_and_cancels() {
    let mut run = Run::new(0, Vec::new(), false);
    run.quotes(&[1]);
    let deadline = run.session.deadline().unwrap();
    assert_eq!(deadline.since(run.now), 2 * SECOND);
    run.now = deadline.plus(-1);
    assert!(run.apply(Input::Wake).is_empty());
    run.now = deadline;
    assert_eq!(end(&run.apply(Input::Wake)), (End::Budget, true));
    assert!(run.target("1").is_empty(), "it is over");
    assert_eq!(run.session.deadline(), None);
}

#[test]
fn too_many_orders_commands_or_messages_end_the_session() {
    let mut run = Run::new(0, Vec::new(), false);
    for quantity in ["0.1", "0.2", "0.3"] {
        submitted(&run.target(quantity));
    }
    assert_eq!(end(&run.target("0.4")), (End::Budget, true));

    let mut run = Run::new(0, Vec::new(), false);
    let many = vec![target("0"); 6];
    assert_eq!(end(&run.commands(0, many)), (End::Budget, true));

    let mut run = Run::new(0, Vec::new(), false);
    let beat = || Request::Heartbeat(v1::Heartbeat { ts_ns: 0 });
    for _ in 0..20 {
        assert!(run.request(beat()).is_empty());
    }
    assert_eq!(end(&run.request(beat())), (End::Budget, true));
}

#[test]
fn a_client_that_is_gone_leaves_its_orders_unless_it_said_otherwise() {
    for cancels in [false, true] {
        let mut run = Run::new(0, Vec::new(), cancels);
        let effects = run.apply(Input::ClientGone);
        assert_eq!(end(&effects), (End::Stopped, cancels));
    }
    let mut run = Run::new(0, Vec::new(), false);
    run.now = run.now.plus(20 * SECOND);
    assert_eq!(end(&run.apply(Input::Wake)).0, End::Stopped, "silent");
}

#[test]
fn a_paused_strategy_may_only_cancel() {
    let request = {
        let mut run = Run::new(0, Vec::new(), false);
        submitted(&run.target("0.1"))
    };
    let working = order(&request, OrderStatus::Accepted, 0, 9);
    let mut run = Run::new(0, vec![working], false);
    run.apply(Input::Pause {
        reason: "test".into(),
    });
    assert_eq!(outcome(&run.target("1")).reason_code, "PAUSED");
    let cancel = |id: &str| {
        vec![Command::Cancel(v1::StrategyCancel {
            client_order_id: id.into(),
            instrument_id: String::new(),
        })]
    };
    let effects = run.commands(0, cancel("ema-1-1"));
    assert!(
        matches!(effects[..], [Effect::Command { .. }]),
        "{effects:?}"
    );
    let effects = run.commands(0, cancel("somebody-elses"));
    assert_eq!(outcome(&effects).reason_code, "ORDER_NOT_FOUND");
    run.apply(Input::Resume);
    // The order that works counts, and ids go on behind it.
    let next = submitted(&run.target("0.3"));
    assert_eq!(next.quantity, Quantity(200));
    assert_eq!(next.client_order_id.as_str(), "ema-1-2");
}

#[test]
fn a_timer_fires_before_the_data_of_its_time() {
    let mut run = Run::new(0, Vec::new(), false);
    let due = run.now.plus(5);
    let timer = Command::SetTimer(v1::SetTimer {
        name: "t".into(),
        ts_due_ns: due.0,
        interval_ns: 0,
    });
    run.commands(0, vec![timer]);
    assert_eq!(run.session.deadline(), Some(due));
    run.now = due;
    let effects = run.quotes(&[4, 5]);
    let kinds: Vec<bool> = batch(&effects)
        .events
        .iter()
        .map(|event| matches!(event.event, Some(v1::strategy_event::Event::Timer(_))))
        .collect();
    assert_eq!(kinds, [false, true, false]);
}

#[test]
fn a_command_out_of_order_or_a_second_hello_breaks_the_protocol() {
    let mut run = Run::new(0, Vec::new(), false);
    run.command_id = 1;
    assert_eq!(end(&run.target("1")), (End::Protocol, true));
    let mut run = Run::new(0, Vec::new(), false);
    let hello = Request::Hello(v1::Hello::default());
    assert_eq!(end(&run.request(hello)), (End::Protocol, true));
}

#[test]
fn a_strategy_that_is_asked_to_stop_has_a_deadline() {
    let mut run = Run::new(0, Vec::new(), false);
    let stop = || Input::Stop {
        reason: "test".into(),
    };
    assert!(matches!(
        run.apply(stop())[..],
        [Effect::Send(Response::Control(_))]
    ));
    run.now = run.session.deadline().unwrap();
    assert_eq!(end(&run.apply(Input::Wake)), (End::Stopped, false));
    let mut run = Run::new(0, Vec::new(), false);
    run.apply(stop());
    let goodbye = Request::Goodbye(v1::Goodbye::default());
    assert_eq!(end(&run.request(goodbye)), (End::Done, false));
}

#[test]
fn an_answered_order_is_told_with_its_ids() {
    let mut run = Run::new(0, Vec::new(), false);
    let request = submitted(&run.target("0.1"));
    let order = order(&request, OrderStatus::Submitted, 0, 11);
    let effects = run.apply(Input::Answered {
        command_id: 1,
        answer: Ok(Reply::Order(Box::new(order))),
    });
    let outcome = outcome(&effects);
    assert_eq!(outcome.order_id, "paper:ema-1-1");
    assert_eq!(outcome.client_order_id, "ema-1-1");
}
