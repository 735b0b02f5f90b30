//! The account actor.

use crate::outbox::Outbox;
use crate::query::{self, Links};
use apex_bus::clock::Clock;
use apex_bus::market::MarketHub;
use apex_bus::message::{
    AccountAnswer, AccountCommand, AccountEvent, AccountMessage, AccountQuery, CommandError,
    JournalHealth, VenueLink,
};
use apex_bus::topic::Topic;
use apex_bus::venue::VenueSession;
use apex_domain::account::{Account, AccountInput, Effects, Reply};
use apex_domain::event::Recorded;
use apex_domain::order::OrderKey;
use apex_domain::risk::{MarketRef, ReasonCode};
use apex_domain::{AccountId, UnixNanos};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How often an account looks for orders whose answer is overdue. A fifth of the five seconds
/// after which one counts as unknown.
const TICK: Duration = Duration::from_secs(1);

/// Events between two snapshots: at a million folded events a second, a restart never has more
/// than a tenth of a second to fold.
const SNAPSHOT_EVERY: u64 = 100_000;

/// The account's way to its journal. Neither call waits for the disk.
pub trait Journal: Send + Sync {
    /// Takes the events of one decision; `AccountMessage::Durable` tells when they are kept.
    fn append(&self, events: &[Recorded]);
    /// Takes the account's state after `sequence`.
    fn snapshot(&self, sequence: u64, bytes: Vec<u8>);
}

/// What an account actor is started with.
pub struct AccountArgs {
    /// Open, and recovered from what is durable.
    pub account: Account,
    pub journal: Arc<dyn Journal>,
    pub market: MarketHub,
    pub clock: Clock,
    pub venue: Arc<dyn VenueSession>,
    pub events: Topic<AccountEvent>,
}

impl fmt::Debug for AccountArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountArgs")
            .field("account", &self.account.account_id())
            .finish()
    }
}

/// The shell of one account. A broken invariant in it aborts the process.
#[derive(Debug)]
pub struct AccountActor;

enum Answer {
    Command(
        RpcReplyPort<Result<Reply, CommandError>>,
        Result<Reply, CommandError>,
    ),
    Query(RpcReplyPort<AccountAnswer>, AccountAnswer),
    Step(RpcReplyPort<Result<Effects, CommandError>>, Effects),
}

/// What leaves once its decision is durable.
struct Held {
    answer: Option<Answer>,
    commands: Vec<apex_domain::venue::VenueCommand>,
    events: Vec<AccountEvent>,
}

pub struct State {
    args: AccountArgs,
    account_id: AccountId,
    outbox: Outbox<Held>,
    journal_health: JournalHealth,
    venue_connected: bool,
    snapshot_at: u64,
}

impl Actor for AccountActor {
    type Msg = AccountMessage;
    type State = State;
    type Arguments = AccountArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<AccountMessage>,
        args: AccountArgs,
    ) -> Result<State, ActorProcessingErr> {
        let Some(account_id) = args.account.account_id().cloned() else {
            return Err("the account was never opened".into());
        };
        if matches!(args.clock, Clock::Wall) {
            myself.send_interval(TICK, || AccountMessage::Tick);
        }
        let sequence = args.account.sequence();
        Ok(State {
            outbox: Outbox::new(sequence),
            account_id,
            journal_health: JournalHealth::Ready,
            venue_connected: false,
            snapshot_at: sequence,
            args,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<AccountMessage>,
        message: AccountMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let account_id = state.account_id.clone();
        let _whole = AbortOnPanic(&account_id);
        state.take(message);
        Ok(())
    }
}

/// Ends the process when a decision panics: the state may be half changed, and the mailbox, which
/// a failing actor discards, holds commands that callers wait for. Start-up recovers from the
/// journal.
struct AbortOnPanic<'a>(&'a AccountId);

impl Drop for AbortOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "apextrade: account {} broke an invariant; aborting, start again",
                self.0
            );
            std::process::abort();
        }
    }
}

impl State {
    fn take(&mut self, message: AccountMessage) {
        let now = self.args.clock.now();
        match message {
            AccountMessage::Command(command, reply) => self.command(now, command, reply),
            AccountMessage::Query(query, reply) => self.query(&query, reply),
            AccountMessage::Step { now, input, reply } => {
                let mut effects = self.decide(now, *input);
                let commands = std::mem::take(&mut effects.commands);
                let events = self.published(&effects.events);
                effects.commands = commands;
                self.hold(Held {
                    answer: Some(Answer::Step(reply, effects)),
                    commands: Vec::new(),
                    events,
                });
            }
            AccountMessage::Report {
                venue_sequence,
                report,
            } => {
                self.react(
                    now,
                    AccountInput::Report {
                        venue_sequence,
                        report,
                    },
                );
            }
            AccountMessage::Link(link) => self.link(now, link),
            AccountMessage::Durable { sequence } => self.outbox.durable(sequence),
            AccountMessage::Journal(health) => {
                tracing::warn!(account_id = %self.account_id, ?health, "journal changed state");
                self.journal_health = health;
            }
            AccountMessage::Tick => self.react(now, AccountInput::Tick),
        }
        self.release();
    }

    /// Refuses what must not even be decided now.
    fn admit(&self, command: &AccountCommand) -> Result<(), CommandError> {
        let adds_exposure = matches!(
            command,
            AccountCommand::Submit(_) | AccountCommand::Amend(_)
        );
        match self.journal_health {
            JournalHealth::Ready => {}
            JournalHealth::Full => return Err(CommandError::JournalFull),
            JournalHealth::Reserve => {
                let essential = matches!(
                    command,
                    AccountCommand::Cancel { .. }
                        | AccountCommand::CancelAll { .. }
                        | AccountCommand::SetTradingState { .. }
                );
                if !essential {
                    return Err(CommandError::JournalFull);
                }
            }
        }
        if adds_exposure && !self.venue_connected {
            return Err(CommandError::VenueDown);
        }
        Ok(())
    }

    fn command(
        &mut self,
        now: UnixNanos,
        command: AccountCommand,
        reply: RpcReplyPort<Result<Reply, CommandError>>,
    ) {
        if let Some(known) = self.known(&command) {
            let answer = Answer::Command(reply, Ok(known));
            self.hold(Held {
                answer: Some(answer),
                commands: Vec::new(),
                events: Vec::new(),
            });
            return;
        }
        if let Err(error) = self.admit(&command) {
            let _ = reply.send(Err(error));
            return;
        }
        let mut effects = self.decide(now, self.input_of(command));
        let answer = match effects.reply.take() {
            Some(Reply::Refused(refusal)) => Err(CommandError::Refused(refusal)),
            Some(reply) => Ok(reply),
            // Every command has an answer by the account's contract; an account that gives none
            // is broken, and the caller must not read that as a success.
            None => Err(CommandError::Stopped),
        };
        self.carry_out(effects, Some(Answer::Command(reply, answer)));
    }

    /// An order that is here already is answered even when no new one could be taken.
    fn known(&self, command: &AccountCommand) -> Option<Reply> {
        let AccountCommand::Submit(request) = command else {
            return None;
        };
        let key = OrderKey::ClientOrderId(request.client_order_id.clone());
        let order = self.args.account.order(&key)?;
        (order.request == **request).then(|| Reply::Order(Box::new(order.clone())))
    }

    /// Adds what the shell knows: the market as it stands.
    fn input_of(&self, command: AccountCommand) -> AccountInput {
        match command {
            AccountCommand::Submit(request) => {
                let market = self.args.market.reference(&request.instrument_id);
                AccountInput::Submit { request, market }
            }
            AccountCommand::Amend(request) => {
                let market = self
                    .args
                    .account
                    .order(&request.key)
                    .map_or_else(MarketRef::default, |order| {
                        self.args.market.reference(&order.request.instrument_id)
                    });
                AccountInput::Amend { request, market }
            }
            AccountCommand::Cancel {
                key,
                request_id,
                reason_code,
            } => AccountInput::Cancel {
                key,
                request_id,
                reason_code,
            },
            AccountCommand::CancelAll {
                filter,
                reason_code,
            } => AccountInput::CancelAll {
                filter,
                reason_code,
            },
            AccountCommand::SetTradingState {
                request_id,
                state,
                by,
                reason,
            } => AccountInput::SetTradingState {
                request_id,
                state,
                by,
                reason,
            },
            AccountCommand::SetLimits {
                request_id,
                limits,
                expected_sequence,
            } => AccountInput::SetLimits {
                request_id,
                limits,
                expected_sequence,
            },
            AccountCommand::AdjustCash {
                request_id,
                currency,
                amount,
                reason,
            } => AccountInput::AdjustCash {
                request_id,
                currency,
                amount,
                reason,
            },
            AccountCommand::DefineInstrument(instrument) => {
                AccountInput::DefineInstrument(instrument)
            }
        }
    }

    fn query(&mut self, query: &AccountQuery, reply: RpcReplyPort<AccountAnswer>) {
        let account = &self.args.account;
        let answer = match query {
            AccountQuery::Order(key) => {
                AccountAnswer::Order(account.order(key).cloned().map(Box::new))
            }
            AccountQuery::Orders { filter, page } => query::orders(account, filter, page),
            AccountQuery::Executions { page } => query::executions(account, page),
            AccountQuery::Summary => {
                let links = Links {
                    journal: self.journal_health,
                    venue_connected: self.venue_connected,
                };
                match query::summary(account, &self.args.market, &links) {
                    Some(summary) => AccountAnswer::Summary(Box::new(summary)),
                    // `pre_start` refuses an account that was never opened.
                    None => return,
                }
            }
        };
        let answer = Some(Answer::Query(reply, answer));
        self.hold(Held {
            answer,
            commands: Vec::new(),
            events: Vec::new(),
        });
    }

    fn link(&mut self, now: UnixNanos, link: VenueLink) {
        match link {
            VenueLink::Ready => {
                self.venue_connected = true;
                self.react(now, AccountInput::SessionReady);
            }
            VenueLink::Lost { reason } => {
                tracing::warn!(account_id = %self.account_id, reason, "venue session lost");
                self.venue_connected = false;
                self.react(
                    now,
                    AccountInput::SessionLost {
                        reason_code: ReasonCode::NoAnswer,
                    },
                );
            }
        }
    }

    /// Decides on something that nobody waits for.
    fn react(&mut self, now: UnixNanos, input: AccountInput) {
        let effects = self.decide(now, input);
        self.carry_out(effects, None);
    }

    /// Decides, and hands the events to the journal.
    fn decide(&mut self, now: UnixNanos, input: AccountInput) -> Effects {
        let mut effects = Effects::default();
        self.args.account.apply(now, input, &mut effects);
        if !effects.events.is_empty() {
            self.args.journal.append(&effects.events);
            let sequence = self.args.account.sequence();
            if sequence - self.snapshot_at >= SNAPSHOT_EVERY {
                self.args
                    .journal
                    .snapshot(sequence, self.args.account.snapshot());
                self.snapshot_at = sequence;
            }
        }
        effects
    }

    fn carry_out(&mut self, effects: Effects, answer: Option<Answer>) {
        let events = self.published(&effects.events);
        self.hold(Held {
            answer,
            commands: effects.commands,
            events,
        });
    }

    fn published(&self, events: &[Recorded]) -> Vec<AccountEvent> {
        let publish = |recorded: &Recorded| {
            let order = recorded.event.order_id().and_then(|order_id| {
                let key = OrderKey::OrderId(order_id.clone());
                self.args
                    .account
                    .order(&key)
                    .map(|order| Arc::new(order.clone()))
            });
            AccountEvent {
                account_id: self.account_id.clone(),
                recorded: Arc::new(recorded.clone()),
                order,
            }
        };
        events.iter().map(publish).collect()
    }

    fn hold(&mut self, held: Held) {
        self.outbox.hold(self.args.account.sequence(), held);
    }

    /// Lets out what is durable: first to the venue, since that is what waits for money, then the
    /// answer, then to those who watch.
    fn release(&mut self) {
        while let Some(held) = self.outbox.pop_ready() {
            for command in held.commands {
                let client_order_id = command.client_order_id().clone();
                if self.args.venue.send(command).is_err() {
                    // The link's next state makes the account ask for it.
                    tracing::warn!(%client_order_id, "venue session took no command");
                }
            }
            match held.answer {
                // A caller that has gone away in the meantime can ask by its id.
                Some(Answer::Command(reply, answer)) => drop(reply.send(answer)),
                Some(Answer::Query(reply, answer)) => drop(reply.send(answer)),
                Some(Answer::Step(reply, effects)) => drop(reply.send(Ok(effects))),
                None => {}
            }
            if !held.events.is_empty() {
                // The topic never makes the publisher wait; a reader that is too slow is told of
                // its gap and reads the journal.
                let _ = self.args.events.try_publish_batch(&held.events);
            }
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("account_id", &self.account_id)
            .finish()
    }
}
