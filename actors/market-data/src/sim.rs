//! The simulated market inside a process: feed and venue in one actor, since both are one book.

mod single_orders;

use crate::publisher::Publisher;
use apex_bus::clock::Clock;
use apex_bus::market::MarketHub;
use apex_bus::message::{AccountMessage, VenueLink};
use apex_bus::order_feed::OrdersAsk;
use apex_bus::supervision::{AbortHook, whole};
use apex_bus::venue::{NotSent, VenueSession};
use apex_domain::matching::{ExchangeEvent, ExchangeInput, Latencies, SimExchange, Way};
use apex_domain::venue::{VenueCommand, VenueControl, VenueReport};
use apex_domain::{AccountId, UnixNanos};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use single_orders::Told;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use single_orders::order_feed;

/// How often the simulated traders act. Two of their turns; a person sees no step in it, and an
/// idle process wakes fifty times a second.
const STEP: Duration = Duration::from_millis(20);

/// Commands that may wait for the market, of all its accounts. Twice as many as one account may have
/// under way; full: the command is not taken, and the account asks for its outcome.
const COMMANDS_WAITING: usize = 8_192;

/// Cancels that may wait beside them: no flood of another account's orders keeps one out.
const CANCELS_BESIDE: usize = 8_192;

/// What the market takes.
#[derive(Debug)]
pub enum SimMarketMessage {
    Step,
    Command {
        account_id: AccountId,
        command: VenueCommand,
    },
    /// Another account trades here from now on. Answered once it was told so.
    Attach(Member, RpcReplyPort<()>),
    /// The next of what is under way arrives.
    Due,
    /// What the venue itself decides: halts, sessions, busts.
    Control(VenueControl),
    /// Somebody wants to see single orders.
    Orders(OrdersAsk),
}

/// An account of the market.
#[derive(Clone, Debug)]
pub struct Member {
    pub account_id: AccountId,
    pub account: ActorRef<AccountMessage>,
    /// The largest report number that the account has seen.
    pub venue_sequence: u64,
}

/// What the market is started with.
pub struct SimMarketArgs {
    pub exchange: SimExchange,
    /// What putting orders of an earlier run back has already led to.
    pub restored: Vec<ExchangeEvent>,
    /// How long commands and reports take; `None` is no time. Market data takes none.
    pub latencies: Option<Latencies>,
    pub hub: MarketHub,
    pub clock: Clock,
    /// Who trades from the beginning; others may follow.
    pub members: Vec<Member>,
    pub waiting: Arc<AtomicUsize>,
    /// Ends the process when the market panics: it is the venue as well, and orders are in it.
    pub abort: AbortHook,
}

impl fmt::Debug for SimMarketArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimMarketArgs")
            .field("members", &self.members)
            .finish()
    }
}

/// See the module.
#[derive(Debug)]
pub struct SimMarketActor;

/// Commands on their way to the exchange and reports on their way back, of all accounts: nothing
/// overtakes.
type Ways = (
    Way<(AccountId, VenueCommand)>,
    Way<(AccountId, VenueReport)>,
);

/// The market with its shell's state.
pub struct SimMarketState {
    exchange: SimExchange,
    publisher: Publisher,
    /// Who follows single orders.
    told: Told,
    clock: Clock,
    members: BTreeMap<AccountId, Member>,
    waiting: Arc<AtomicUsize>,
    /// What is under way. Commands are bounded by `waiting`, reports by what those lead to.
    ways: Option<Ways>,
    /// The time for which [`SimMarketMessage::Due`] was last asked.
    awaited: Option<UnixNanos>,
    abort: AbortHook,
    /// Reused, so that a step allocates nothing of its own.
    events: Vec<ExchangeEvent>,
}

impl fmt::Debug for SimMarketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimMarketState")
            .field("members", &self.members.keys())
            .finish()
    }
}

impl Actor for SimMarketActor {
    type Msg = SimMarketMessage;
    type State = SimMarketState;
    type Arguments = SimMarketArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<SimMarketMessage>,
        args: SimMarketArgs,
    ) -> Result<SimMarketState, ActorProcessingErr> {
        let mut state = SimMarketState {
            exchange: args.exchange,
            publisher: Publisher::new(args.hub),
            told: Told::default(),
            clock: args.clock,
            members: BTreeMap::new(),
            waiting: args.waiting,
            ways: args.latencies.map(Latencies::ways),
            awaited: None,
            abort: args.abort,
            events: args.restored,
        };
        for member in args.members {
            state.members.insert(member.account_id.clone(), member);
        }
        // The first step opens the books, so that there is a market before anyone is let in.
        state.apply(ExchangeInput::Step);
        for member in state.members.values() {
            member.let_in();
        }
        myself.send_interval(STEP, || SimMarketMessage::Step);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SimMarketMessage>,
        message: SimMarketMessage,
        state: &mut SimMarketState,
    ) -> Result<(), ActorProcessingErr> {
        let abort = state.abort.clone();
        whole("the simulated market", &abort, || state.take(message));
        if let Some(wait) = state.next_wait() {
            myself.send_after(wait, || SimMarketMessage::Due);
        }
        Ok(())
    }
}

impl SimMarketState {
    fn take(&mut self, message: SimMarketMessage) {
        // First, since it was sent before this.
        self.let_arrive();
        match message {
            SimMarketMessage::Step => self.apply(ExchangeInput::Step),
            SimMarketMessage::Control(control) => self.apply(ExchangeInput::Control(control)),
            SimMarketMessage::Orders(ask) => {
                self.told.answer(&mut self.exchange, self.clock.now(), ask);
            }
            SimMarketMessage::Due => self.awaited = None,
            SimMarketMessage::Command {
                account_id,
                command,
            } => match &mut self.ways {
                Some((there, _)) => there.send(self.clock.now(), (account_id, command)),
                None => self.command(account_id, command),
            },
            SimMarketMessage::Attach(member, reply) => {
                member.let_in();
                self.members.insert(member.account_id.clone(), member);
                let _ = reply.send(());
            }
        }
        // One that takes no time is there at once.
        self.let_arrive();
    }

    /// Lets arrive what is due: commands at the exchange, then reports at the account.
    fn let_arrive(&mut self) {
        let now = self.clock.now();
        let there = |state: &mut Self| state.ways.as_mut()?.0.arrive(now, true);
        while let Some((_, (account_id, command))) = there(self) {
            self.command(account_id, command);
        }
        let back = |state: &mut Self| state.ways.as_mut()?.1.arrive(now, true);
        while let Some((_, (account_id, report))) = back(self) {
            self.report(&account_id, report);
        }
    }

    /// Returns how long to wait for what arrives next, when that was not asked for yet.
    fn next_wait(&mut self) -> Option<Duration> {
        let (there, back) = self.ways.as_ref()?;
        let due = [there.next_due(), back.next_due()];
        let due = due.into_iter().flatten().min()?;
        if self.awaited.is_some_and(|awaited| awaited <= due) {
            return None;
        }
        self.awaited = Some(due);
        let nanos = due.since(self.clock.now()).max(0);
        Some(Duration::from_nanos(nanos.unsigned_abs()))
    }

    fn command(&mut self, account_id: AccountId, command: VenueCommand) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        self.apply(ExchangeInput::Command {
            account_id,
            command,
        });
    }

    fn apply(&mut self, input: ExchangeInput) {
        let now = self.clock.now();
        let mut events = std::mem::take(&mut self.events);
        self.exchange.apply(now, input, &mut events);
        let mut bars = Vec::new();
        for event in events.drain(..) {
            match event {
                ExchangeEvent::Market(event) => self.publisher.publish(&event, &mut bars),
                ExchangeEvent::Orders(update) => self.told.tell(&mut self.exchange, update),
                ExchangeEvent::Report { account_id, report } => match &mut self.ways {
                    Some((_, back)) => back.send(now, (account_id, report)),
                    None => self.report(&account_id, report),
                },
                // The account's journal holds the order, with the market at which it was
                // decided; and nothing is lent here, so nobody is called or liquidated.
                ExchangeEvent::Watching { .. }
                | ExchangeEvent::MarginCall { .. }
                | ExchangeEvent::Settled { .. }
                | ExchangeEvent::Liquidation { .. } => {}
            }
        }
        self.publisher.on_time(now, now, &mut bars);
        self.events = events;
    }

    fn report(&mut self, account_id: &AccountId, report: VenueReport) {
        // Only a member sends, and only who has sent is reported to.
        let Some(member) = self.members.get_mut(account_id) else {
            return;
        };
        let is_answer = matches!(
            report,
            VenueReport::Status { .. } | VenueReport::NotFound { .. }
        );
        let venue_sequence = if is_answer {
            0
        } else {
            member.venue_sequence += 1;
            member.venue_sequence
        };
        // An account that has stopped wants no report.
        let _ = member.account.cast(AccountMessage::Report {
            venue_sequence,
            report,
        });
    }
}

impl Member {
    /// Tells the account that its orders are taken.
    fn let_in(&self) {
        let _ = self.account.cast(AccountMessage::Link(VenueLink::Ready));
    }
}

/// An account's session with the market inside.
#[derive(Clone, Debug)]
pub struct SimSession {
    account_id: AccountId,
    market: Arc<std::sync::OnceLock<ActorRef<SimMarketMessage>>>,
    waiting: Arc<AtomicUsize>,
}

impl SimSession {
    /// A session that takes nothing until [`SimSession::connect`].
    ///
    /// `waiting` counts the commands that wait for the market, those of all its accounts.
    pub fn new(account_id: AccountId, waiting: Arc<AtomicUsize>) -> SimSession {
        SimSession {
            account_id,
            market: Arc::default(),
            waiting,
        }
    }

    /// Lets commands through to `market`; a second call changes nothing.
    pub fn connect(&self, market: ActorRef<SimMarketMessage>) {
        let _ = self.market.set(market);
    }
}

impl VenueSession for SimSession {
    fn send(&self, command: VenueCommand) -> Result<(), NotSent> {
        let market = self.market.get().ok_or(NotSent)?;
        let beside = match command.is_cancel() {
            true => CANCELS_BESIDE,
            false => 0,
        };
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= COMMANDS_WAITING + beside {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(NotSent);
        }
        market
            .cast(SimMarketMessage::Command {
                account_id: self.account_id.clone(),
                command,
            })
            .map_err(|_| {
                self.waiting.fetch_sub(1, Ordering::AcqRel);
                NotSent
            })
    }
}

#[cfg(test)]
mod tests;
