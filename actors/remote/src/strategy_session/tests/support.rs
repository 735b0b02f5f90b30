//! A session to test, and how its effects are read.

use crate::strategy_session::budget::SessionBudget;
use crate::strategy_session::commands::Owner;
use crate::strategy_session::events::Happening;
use crate::strategy_session::machine::{Effect, Input, Loaded, Session, Setup, Told};
use crate::strategy_session::wants::Wants;
use apex_bus::market::MarketHub;
use apex_bus::message::{
    AccountCommand, AccountEvent, AccountSummary, JournalHealth, KillSwitchTimes,
};
use apex_domain::event::{AccountMode, Event, PositionMode, Recorded};
use apex_domain::instrument::{FeeSchedule, InstrumentKind, InstrumentRules};
use apex_domain::market::{Level, MarketEvent, Quote};
use apex_domain::order::{Order, OrderStatus, SubmitOrder};
use apex_domain::portfolio::{Attribution, Holder, Position};
use apex_domain::risk::{Limits, MarketRef, TradingState};
use apex_domain::venue::Execution;
use apex_domain::{
    AccountId, ClientOrderId, Currency, ExecId, Instrument, InstrumentId, Money, OrderId, Price,
    Quantity, Rate, StrategyId, UnixNanos,
};
use apex_proto::v1::strategy_command::Command;
use apex_proto::v1::strategy_request::Message as Request;
use apex_proto::v1::strategy_response::Message as Response;
use apex_proto::v1::{self, MarketDataKind as Kind, SessionEndKind as End};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const SECOND: i64 = 1_000_000_000;

pub fn instrument_id() -> InstrumentId {
    InstrumentId::new("BTCUSDT.SIM").unwrap()
}

pub fn instrument() -> Instrument {
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
        rules: InstrumentRules::default(),
    }
}

pub fn owner() -> Owner {
    Owner {
        account_id: AccountId::new("paper").unwrap(),
        strategy_id: StrategyId::new("ema-1").unwrap(),
    }
}

pub fn position(strategy_id: &StrategyId, quantity: i64) -> Position {
    let holder = Holder::netting(strategy_id.clone());
    Position {
        quantity,
        ..Position::flat(instrument_id(), &holder)
    }
}

pub fn summary(quantity: i64) -> AccountSummary {
    AccountSummary {
        account_id: owner().account_id,
        base_currency: Currency::new("USDT").unwrap(),
        mode: AccountMode::Paper,
        position_mode: PositionMode::Netting,
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
        reconcile_differences: BTreeMap::new(),
        losses_unmeasured: false,
        kill_switch: KillSwitchTimes::default(),
        clock_ahead: Default::default(),
        funding: BTreeMap::new(),
        margin: None,
        attribution: Attribution::default(),
    }
}

pub struct Run {
    pub session: Session,
    pub now: UnixNanos,
    pub command_id: u64,
    /// As the strategy was told.
    pub last_order_number: u64,
}

impl Run {
    pub fn new(quantity: i64, orders: Vec<Order>, cancel_on_disconnect: bool) -> Run {
        let known = (orders, Vec::new());
        Run::begin(
            quantity,
            known,
            cancel_on_disconnect,
            false,
            Told::default(),
        )
    }

    /// One that asked for the whole account, and holds nothing.
    pub fn seeing_the_account() -> Run {
        Run::begin(0, (Vec::new(), Vec::new()), false, true, Told::default())
    }

    /// One whose venue has orders with these ids, of which the account knows nothing.
    pub fn behind(strangers: Vec<ClientOrderId>) -> Run {
        Run::begin(0, (Vec::new(), strangers), false, false, Told::default())
    }

    /// One of which the platform has said something before.
    pub fn told(told: Told) -> Run {
        Run::begin(0, (Vec::new(), Vec::new()), false, false, told)
    }

    fn begin(
        quantity: i64,
        (orders, strangers): (Vec<Order>, Vec<ClientOrderId>),
        cancel_on_disconnect: bool,
        account: bool,
        told: Told,
    ) -> Run {
        let hub = MarketHub::new();
        hub.define(instrument()).unwrap();
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
            account,
            parameters: BTreeMap::new(),
            told,
        };
        let now = UnixNanos(1_000 * SECOND);
        let mut run = Run {
            session: Session::new(now, setup, hub),
            now,
            command_id: 0,
            last_order_number: 0,
        };
        let effects = run.apply(Input::Loaded(Box::new(Loaded {
            summary: summary(quantity),
            orders,
            strangers,
            since: Vec::new(),
            state: b"kept".to_vec(),
        })));
        let [Effect::Send(Response::Welcome(welcome)), ..] = effects.as_slice() else {
            panic!("{effects:?}");
        };
        assert_eq!(welcome.state, b"kept");
        assert_eq!(welcome.account.is_some(), account);
        run.last_order_number = welcome.last_order_number;
        run
    }

    pub fn apply(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.session.apply(self.now, input, &mut effects);
        effects
    }

    pub fn request(&mut self, message: Request) -> Vec<Effect> {
        self.apply(Input::Request(v1::StrategyRequest {
            message: Some(message),
        }))
    }

    pub fn commands(&mut self, answers_sequence: u64, commands: Vec<Command>) -> Vec<Effect> {
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

    pub fn target(&mut self, quantity: &str) -> Vec<Effect> {
        self.commands(0, vec![target(quantity)])
    }

    pub fn quotes(&mut self, times: &[i64]) -> Vec<Effect> {
        let quote = |ts: &i64| Happening::Market {
            event: quote(*ts),
            overwritten: 0,
        };
        self.apply(Input::Happened(times.iter().map(quote).collect()))
    }
}

pub fn target(quantity: &str) -> Command {
    Command::Target(v1::TargetPosition {
        instrument_id: "BTCUSDT.SIM".into(),
        quantity: quantity.into(),
    })
}

/// At a time since the session's begin.
pub fn quote(ts: i64) -> MarketEvent {
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

pub fn submitted(effects: &[Effect]) -> SubmitOrder {
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

pub fn outcome(effects: &[Effect]) -> &v1::CommandOutcome {
    match effects {
        [Effect::Send(Response::Outcome(outcome)), ..] => outcome,
        other => panic!("{other:?}"),
    }
}

pub fn batch(effects: &[Effect]) -> &v1::EventBatch {
    match effects {
        [Effect::Send(Response::Events(batch))] => batch,
        other => panic!("{other:?}"),
    }
}

pub fn end(effects: &[Effect]) -> (End, bool) {
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

pub fn order(request: &SubmitOrder, status: OrderStatus, filled: i64, sequence: u64) -> Order {
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
        expires_at: None,
        list_id: None,
        held_for: None,
        stop_price: None,
    }
}

pub fn account_event(event: Event, after: Order) -> Happening {
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

pub fn initialized(request: &SubmitOrder, sequence: u64) -> Happening {
    let after = order(request, OrderStatus::PendingNew, 0, sequence);
    let event = Event::OrderInitialized {
        order_id: after.order_id.clone(),
        quantity: request.quantity,
        request: Box::new(request.clone()),
        market: MarketRef::default(),
        expires_at: None,
    };
    account_event(event, after)
}

pub fn filled(request: &SubmitOrder, quantity: i64, sequence: u64) -> Happening {
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
