//! The session of one strategy, without sockets, clock or account: what it is told, what it may
//! ask for, and when it is stopped.

use super::account::AccountWatch;
use super::budget::{PerSecond, SessionBudget};
use super::commands::{self, Owner};
use super::events::{Happening, Names, write};
use super::holdings::Holdings;
use super::timers::Timers;
use super::wants::Wants;
use apex_bus::market::MarketHub;
use apex_bus::message::{AccountCommand, AccountEvent, AccountSummary, CommandError};
use apex_domain::account::Reply;
use apex_domain::order::Order;
use apex_domain::risk::ReasonCode;
use apex_domain::{ClientOrderId, InstrumentId, UnixNanos};
use apex_proto::convert::{enums, order};
use apex_proto::v1::strategy_request::Message as Request;
use apex_proto::v1::strategy_response::Message as Response;
use apex_proto::v1::{self, SessionEndKind as EndKind};
use std::collections::{BTreeMap, VecDeque};

mod orders;
mod platform;

pub use platform::Told;

/// Something that happens to a session.
#[derive(Debug)]
pub enum Input {
    /// The account as it stands, and what happened since. The session begins.
    Loaded(Box<Loaded>),
    /// From the topics; within a source in its order.
    Happened(Vec<Happening>),
    Request(v1::StrategyRequest),
    /// The account's answer to a command.
    Answered {
        command_id: u64,
        answer: Result<Reply, CommandError>,
    },
    /// What the account answered to [`Effect::AskAccount`]; `None` where it did not in time.
    Account(Option<Box<AccountSummary>>),
    /// The client's side of the stream is closed.
    ClientGone,
    Pause {
        reason: String,
    },
    Resume,
    /// The strategy is to go on with other parameters.
    Parameters(BTreeMap<String, String>),
    /// Asks the strategy to finish.
    Stop {
        reason: String,
    },
    /// Ends it at once.
    End {
        kind: EndKind,
        reason: String,
    },
    /// The time that [`Session::deadline`] told has come.
    Wake,
}

/// What a session begins with.
#[derive(Debug)]
pub struct Loaded {
    pub summary: AccountSummary,
    /// The strategy's working orders and its newest ones, as they stood after `summary`.
    pub orders: Vec<Order>,
    /// Ids of the strategy's form that the venue has from orders that the account does not know.
    pub strangers: Vec<ClientOrderId>,
    /// All of the account's events since `summary` that are known.
    pub since: Vec<AccountEvent>,
    pub state: Vec<u8>,
}

/// What follows, in order.
#[derive(Debug)]
pub enum Effect {
    Send(Response),
    /// Hand it to the account; commands keep their order.
    Command {
        command_id: u64,
        command: AccountCommand,
    },
    Save(Vec<u8>),
    /// Ask how the account stands, and answer with [`Input::Account`].
    AskAccount,
    Log {
        level: v1::LogLevel,
        text: String,
    },
    /// The last effect: the session is over.
    End {
        kind: EndKind,
        reason: String,
        /// The strategy said that it failed.
        failed: bool,
    },
}

/// How a session is set up; all of it was checked.
#[derive(Debug)]
pub struct Setup {
    pub owner: Owner,
    pub session_id: String,
    pub wants: Wants,
    pub budget: SessionBudget,
    pub mode: v1::RunMode,
    pub cancel_on_disconnect: bool,
    /// The whole account is told too.
    pub account: bool,
    pub parameters: BTreeMap<String, String>,
    /// What the platform has said of it before.
    pub told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Loading,
    Running,
    /// Asked to stop, until then.
    Stopping(UnixNanos),
    Over,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    setup: Setup,
    hub: MarketHub,
    state: State,
    holdings: Holdings,
    account: AccountWatch,
    names: Names,
    timers: Timers,
    /// Unanswered batches and when they left, oldest first; at most the window.
    unanswered: VecDeque<(u64, UnixNanos)>,
    last_batch: u64,
    last_command: u64,
    /// The strategy's clock.
    ts: UnixNanos,
    paused: bool,
    /// The parameters that it is to trade by.
    wanted: BTreeMap<String, String>,
    /// It has not been told them yet.
    parameters_due: bool,
    last_heard: UnixNanos,
    orders: PerSecond,
    messages: PerSecond,
    /// Orders whose answer is not here yet, by command.
    asked: BTreeMap<u64, Vec<ClientOrderId>>,
}

impl Session {
    pub fn new(now: UnixNanos, mut setup: Setup, hub: MarketHub) -> Session {
        let wanted = setup.told.parameters.take();
        let wanted = wanted.filter(|wanted| *wanted != setup.parameters);
        let parameters_due = wanted.is_some();
        // The strategy is built with those of its hello; the others come with its first batch.
        let wanted = wanted.unwrap_or_else(|| setup.parameters.clone());
        Session {
            orders: PerSecond::new(setup.budget.orders_per_second),
            messages: PerSecond::new(setup.budget.messages_per_second),
            hub,
            state: State::Loading,
            holdings: Holdings::empty(setup.owner.strategy_id.clone()),
            account: AccountWatch::new(setup.account),
            names: Names::default(),
            timers: Timers::default(),
            unanswered: VecDeque::new(),
            last_batch: 0,
            last_command: 0,
            ts: UnixNanos::MIN,
            paused: setup.told.paused,
            parameters_due,
            wanted,
            last_heard: now,
            asked: BTreeMap::new(),
            setup,
        }
    }

    /// Returns true when what happens may be handed in. While not, it waits in the topics, which
    /// conflate or count what does not fit.
    pub fn has_room(&self) -> bool {
        matches!(self.state, State::Running | State::Stopping(_))
            && self.unanswered.len() < self.setup.budget.window as usize
    }

    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Returns the last journal sequence of the account that the session has seen.
    pub fn account_sequence(&self) -> u64 {
        self.holdings.sequence()
    }

    /// Returns when it wants to be woken.
    pub fn deadline(&self) -> Option<UnixNanos> {
        let answer = self
            .unanswered
            .front()
            .map(|(_, sent)| sent.plus(self.setup.budget.answer_timeout_ns));
        let silence = self.last_heard.plus(self.setup.budget.silence_ns);
        let stopping = match self.state {
            State::Over => return None,
            State::Stopping(until) => Some(until),
            State::Loading | State::Running => None,
        };
        // A timer that finds no room is looked at again with the answer that makes room.
        let timer = self.timers.next().filter(|_| self.has_room());
        let running = self.state != State::Loading;
        let account = self.account.due().filter(|_| running);
        [answer, stopping, timer, account, Some(silence)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Decides what follows from `input` at `now`, the wall clock.
    pub fn apply(&mut self, now: UnixNanos, input: Input, effects: &mut Vec<Effect>) {
        if self.is_over() {
            return;
        }
        match input {
            Input::Loaded(loaded) => self.begin(now, *loaded, effects),
            Input::Happened(happenings) => self.happened(now, happenings, effects),
            Input::Request(request) => self.request(now, request, effects),
            Input::Answered { command_id, answer } => self.answered(command_id, answer, effects),
            Input::Account(summary) => {
                self.account.answered(summary.as_deref());
                if self.has_room() && self.account.has_news() {
                    self.happened(now, Vec::new(), effects);
                }
            }
            Input::ClientGone => {
                self.end(EndKind::Stopped, "the client is gone", false, effects);
            }
            Input::Pause { reason } => {
                self.paused = true;
                control(v1::ControlKind::Pause, reason, effects);
            }
            Input::Resume => {
                self.paused = false;
                control(v1::ControlKind::Resume, String::new(), effects);
            }
            Input::Parameters(wanted) => {
                self.parameters_due |= wanted != self.wanted;
                self.wanted = wanted;
            }
            Input::Stop { reason } => self.stop(now, reason, effects),
            Input::End { kind, reason } => self.end(kind, &reason, false, effects),
            Input::Wake => self.wake(now, effects),
        }
    }

    fn begin(&mut self, now: UnixNanos, loaded: Loaded, effects: &mut Vec<Effect>) {
        let strategy_id = self.setup.owner.strategy_id.clone();
        self.holdings = Holdings::new(strategy_id, &loaded.summary, loaded.orders);
        for id in &loaded.strangers {
            self.holdings.note_stranger(id);
        }
        for event in &loaded.since {
            self.holdings.fold(event, |id| self.hub.instrument(id));
        }
        self.state = State::Running;
        self.ts = now;
        let (instruments, scales) = self.names.all(&self.hub);
        let working = self.holdings.working_orders().filter_map(|working| {
            let definition = self.hub.instrument(&working.request.instrument_id)?;
            Some(order::order(working, &definition))
        });
        let welcome = v1::Welcome {
            session_id: self.setup.session_id.clone(),
            account_id: self.setup.owner.account_id.to_string(),
            strategy_id: self.setup.owner.strategy_id.to_string(),
            mode: self.setup.mode.into(),
            lock_step: false,
            ts_now_ns: now.0,
            instruments,
            scales,
            positions: self.positions(&loaded.summary),
            working_orders: working.collect(),
            state: loaded.state,
            parameters: self.setup.parameters.clone(),
            window: self.setup.budget.window,
            answer_timeout_ns: self.setup.budget.answer_timeout_ns,
            trading_state: enums::trading_state(loaded.summary.trading_state).into(),
            last_order_number: self.holdings.last_number(),
            account: self.account.begin(now, &loaded.summary),
        };
        effects.push(Effect::Send(Response::Welcome(welcome)));
        if self.paused {
            control(v1::ControlKind::Pause, "it is paused".to_owned(), effects);
        }
    }

    fn positions(&self, summary: &AccountSummary) -> Vec<v1::StrategyPosition> {
        let write = |(id, quantity): (&InstrumentId, i64)| {
            let definition = self.hub.instrument(id)?;
            let average = summary
                .positions
                .iter()
                .find(|position| {
                    position.strategy_id == self.setup.owner.strategy_id
                        && position.instrument_id == *id
                        && position.quantity == quantity
                })
                .and_then(|position| position.average_price(&definition));
            Some(v1::StrategyPosition {
                instrument_id: id.to_string(),
                quantity: apex_domain::number::format_mantissa(
                    i128::from(quantity),
                    definition.quantity_decimals,
                ),
                average_price: average.map(|price| price.to_string()).unwrap_or_default(),
            })
        };
        self.holdings.positions().filter_map(write).collect()
    }

    fn happened(
        &mut self,
        now: UnixNanos,
        mut happenings: Vec<Happening>,
        effects: &mut Vec<Effect>,
    ) {
        if happenings
            .iter()
            .any(|one| matches!(one, Happening::Account(_)))
        {
            self.account.moved();
        }
        // An account's event is told once, and only to the strategy that it is about.
        happenings.retain(|happening| match happening {
            Happening::Account(event) => self.holdings.fold(event, |id| self.hub.instrument(id)),
            _ => true,
        });
        let due = self.timers.due(now);
        // Before market data of the same time.
        happenings.splice(0..0, due);
        let ts = self.ts;
        happenings.sort_by_key(|happening| happening.ts().unwrap_or(ts));
        let mut batch = Vec::new();
        if std::mem::take(&mut self.parameters_due) {
            // Before anything that it decides on with them.
            let parameters = self.wanted.clone();
            let changed = v1::ParametersChanged { parameters };
            batch.push(v1::StrategyEvent {
                ts_ns: self.ts.0,
                event: Some(v1::strategy_event::Event::Parameters(changed)),
                warmup: false,
            });
        }
        let mut events = Vec::new();
        for happening in &happenings {
            self.ts = self.ts.max(happening.ts().unwrap_or(ts));
            write(
                happening,
                &self.setup.wants,
                &mut self.names,
                &self.hub,
                &mut events,
            );
            batch.extend(events.drain(..).map(|event| v1::StrategyEvent {
                ts_ns: self.ts.0,
                event: Some(event),
                warmup: false,
            }));
        }
        if let Some(account) = self.account.take() {
            batch.push(v1::StrategyEvent {
                ts_ns: self.ts.0,
                event: Some(v1::strategy_event::Event::Account(account)),
                warmup: false,
            });
        }
        if batch.is_empty() {
            return;
        }
        self.last_batch += 1;
        self.unanswered.push_back((self.last_batch, now));
        effects.push(Effect::Send(Response::Events(v1::EventBatch {
            sequence: self.last_batch,
            events: batch,
        })));
    }

    fn request(&mut self, now: UnixNanos, request: v1::StrategyRequest, effects: &mut Vec<Effect>) {
        self.last_heard = now;
        let answers = matches!(&request.message, Some(Request::Commands(batch)) if batch.answers_sequence > 0);
        if !answers && !self.messages.take(now) {
            let limit = self.setup.budget.messages_per_second;
            let reason = format!("more than {limit} messages in a second");
            return self.end(EndKind::Budget, &reason, false, effects);
        }
        match request.message {
            Some(Request::Commands(batch)) => self.commands(now, batch, effects),
            Some(Request::Heartbeat(_)) | None => {}
            Some(Request::Goodbye(goodbye)) => {
                self.end(EndKind::Done, &goodbye.reason, goodbye.failed, effects);
            }
            Some(Request::Hello(_)) => {
                self.end(EndKind::Protocol, "a second hello", false, effects);
            }
        }
    }

    fn stop(&mut self, now: UnixNanos, reason: String, effects: &mut Vec<Effect>) {
        match self.state {
            State::Loading => self.end(EndKind::Stopped, &reason, false, effects),
            State::Running => {
                self.state = State::Stopping(now.plus(self.setup.budget.answer_timeout_ns));
                control(v1::ControlKind::Stop, reason, effects);
            }
            State::Stopping(_) | State::Over => {}
        }
    }

    fn wake(&mut self, now: UnixNanos, effects: &mut Vec<Effect>) {
        let budget = self.setup.budget;
        if let Some((sequence, sent)) = self.unanswered.front()
            && now.since(*sent) >= budget.answer_timeout_ns
        {
            let limit_ms = budget.answer_timeout_ns / 1_000_000;
            let reason = format!("no answer to batch {sequence} within {limit_ms} ms");
            return self.end(EndKind::Budget, &reason, false, effects);
        }
        if let State::Stopping(until) = self.state
            && now >= until
        {
            return self.end(EndKind::Stopped, "it took too long to stop", false, effects);
        }
        if now.since(self.last_heard) >= budget.silence_ns {
            return self.end(EndKind::Stopped, "the client said nothing", false, effects);
        }
        if self.account.ask(now) {
            effects.push(Effect::AskAccount);
        }
        if self.has_room() {
            self.happened(now, Vec::new(), effects);
        }
    }

    fn end(&mut self, kind: EndKind, reason: &str, failed: bool, effects: &mut Vec<Effect>) {
        self.state = State::Over;
        // Whoever broke its budget or failed is not to leave orders behind that nobody minds.
        let broke = failed || matches!(kind, EndKind::Budget | EndKind::Protocol);
        if self.setup.cancel_on_disconnect || broke {
            let code = if broke {
                ReasonCode::CanceledByRisk
            } else {
                ReasonCode::CanceledByUser
            };
            effects.push(Effect::Command {
                command_id: 0,
                command: commands::cancel_all(&self.setup.owner, None, code),
            });
        }
        let reason: String = reason.chars().take(256).collect();
        effects.push(Effect::Send(Response::End(v1::SessionEnd {
            kind: kind.into(),
            reason: reason.clone(),
        })));
        effects.push(Effect::End {
            kind,
            reason,
            failed,
        });
    }
}

fn control(kind: v1::ControlKind, reason: String, effects: &mut Vec<Effect>) {
    effects.push(Effect::Send(Response::Control(v1::Control {
        kind: kind.into(),
        reason,
    })));
}
