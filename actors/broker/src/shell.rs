//! What an account's shell does with each message, without an actor round it.

use crate::actor::AccountArgs;
use crate::outbox::Outbox;
use crate::query::{self, Links};
use crate::reconcile;
use crate::time::AccountClock;
use crate::watch::Watched;
use apex_bus::message::{
    AccountAnswer, AccountEvent, AccountMessage, AccountQuery, CommandError, JournalHealth,
    KillSwitchTimes, Urgency, VenueLink,
};
use apex_domain::account::{AccountInput, Effects, Reply};
use apex_domain::risk::platform::ShareReport;
use apex_domain::risk::{MarketView, ReasonCode};
use apex_domain::venue::VenueCommand;
use apex_domain::{AccountId, InstrumentId, UnixNanos};
use ractor::RpcReplyPort;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

mod commands;
mod release;
mod sending;
mod shares;
mod snapshots;
mod withdraw;

use commands::Asked;
pub use snapshots::SNAPSHOT_EVENTS;

/// Decisions and answers that may wait for the disk before new commands are refused. The handles
/// bound the commands that are under way, but a caller that gives up frees its place while its
/// command is still held here. Full: `Overloaded`, and questions are not answered; reports are
/// taken, as the venue's own bound is the number of orders.
const HELD: usize = 16_384;

/// As [`HELD`], with the room that each more urgent class has behind it. What the others can fill,
/// with all the reports of a venue that the journal takes, is half of the kill switch's.
const fn held(urgency: Urgency) -> usize {
    match urgency {
        Urgency::Ordinary => HELD,
        Urgency::Protective => HELD + Urgency::Protective.under_way(),
        Urgency::KillSwitch => HELD * 4,
    }
}

enum Answer {
    Command(
        RpcReplyPort<Result<Reply, CommandError>>,
        Result<Reply, CommandError>,
    ),
    Query(RpcReplyPort<AccountAnswer>, AccountAnswer),
    Step(RpcReplyPort<Result<Effects, CommandError>>, Effects),
}

/// What leaves once its decision is durable.
#[derive(Default)]
struct Held {
    answer: Option<Answer>,
    commands: Vec<VenueCommand>,
    events: Vec<AccountEvent>,
    /// For the keeper of the platform's exposure limit.
    report: Option<Box<ShareReport>>,
    /// When the halt was asked for whose cancels these commands are.
    kills: Option<Instant>,
    /// It is what a caller's new order, list or amend led to.
    adds: bool,
}

/// The account with everything that its decisions go out to.
pub(crate) struct Shell {
    args: AccountArgs,
    account_id: AccountId,
    time: AccountClock,
    outbox: Outbox<Held>,
    journal_health: JournalHealth,
    /// The journal's server is away: what is durable is so in a reserve of this machine alone, and
    /// another owner may have the account.
    server_away: bool,
    venue_connected: bool,
    /// Sequence of the newest snapshot; 0 without one.
    snapshot_at: u64,
    /// What the feeder of prices looks at.
    watched: Watched,
    /// Commands that wait for a larger share of the platform's exposure limit.
    shares: shares::Waiting,
    sending: sending::Sending,
    /// How long halts took.
    kill_switch: KillSwitchTimes,
}

impl Shell {
    /// Returns `None` for an account that was never opened.
    pub fn new(args: AccountArgs) -> Option<Shell> {
        let account_id = args.account.account_id()?.clone();
        let sequence = args.account.sequence();
        let last = args.account.last_ts()?;
        let mut time = AccountClock::new(account_id.clone(), args.clock.clone(), last);
        Some(Shell {
            outbox: Outbox::new(sequence),
            account_id,
            journal_health: JournalHealth::Ready,
            server_away: false,
            venue_connected: false,
            snapshot_at: sequence.saturating_sub(args.folded),
            watched: Watched::at_start(&args.account),
            shares: shares::Waiting::new(time.now()),
            time,
            sending: sending::Sending::default(),
            kill_switch: KillSwitchTimes::default(),
            args,
        })
    }

    /// Returns the instruments whose prices have to be told.
    pub fn watched(&self) -> Watched {
        self.watched.clone()
    }

    pub fn account_id(&self) -> &AccountId {
        &self.account_id
    }

    /// Takes one message: decides, holds what follows, and lets out what is durable.
    pub fn take(&mut self, message: AccountMessage) {
        let now = self.time.now();
        match message {
            AccountMessage::Command(command, asked_at, reply) => {
                self.command(now, Asked::by_itself(command), asked_at, reply);
            }
            AccountMessage::SessionCommand(session, command, asked_at, reply) => {
                let session = Some(session);
                self.command(now, Asked { command, session }, asked_at, reply);
            }
            AccountMessage::Query(query, reply) => self.query(now, &query, reply),
            AccountMessage::Step { now, input, reply } => self.step(now, *input, reply),
            AccountMessage::Report {
                venue_sequence,
                report,
            } => {
                let input = AccountInput::Report {
                    venue_sequence,
                    report,
                };
                self.react(now, input);
            }
            AccountMessage::Link(link) => self.link(now, link),
            // Nothing that it led to could be kept.
            AccountMessage::Share(_) if self.journal_health == JournalHealth::Full => {}
            AccountMessage::Share(offer) => self.take_share(now, offer),
            AccountMessage::Durable { sequence } => self.outbox.durable(sequence),
            AccountMessage::Journal(health) => self.journal_is(now, health),
            // Nothing that it led to could be kept or sent.
            AccountMessage::Tick | AccountMessage::Market { .. }
                if self.journal_health == JournalHealth::Full => {}
            AccountMessage::Market {
                instrument_id,
                view,
            } => self.market(now, instrument_id, view),
            AccountMessage::Barrier(reply) => drop(reply.send(())),
            // What waits for room is handed over behind every message.
            AccountMessage::Room => {}
            AccountMessage::Tick => {
                let (account, hub) = (&self.args.account, &self.args.market);
                let leaving = query::leaving(account, hub, now);
                let valued = query::valued(account, hub);
                for (instrument_id, view) in leaving.into_iter().chain(valued) {
                    self.market(now, instrument_id, view);
                }
                self.react(now, AccountInput::Tick);
                self.tick_shares(now);
            }
        }
        self.ask_for_children(now);
        self.release();
    }

    fn journal_is(&mut self, now: UnixNanos, health: JournalHealth) {
        if health == self.journal_health {
            return;
        }
        tracing::warn!(account_id = %self.account_id, ?health, "journal changed state");
        self.journal_health = health;
        let was_away = self.server_away;
        self.server_away = match health {
            JournalHealth::Away => true,
            // A reserve that is full is away all the same.
            JournalHealth::Full => was_away,
            JournalHealth::Ready | JournalHealth::Reserve => false,
        };
        let account = &mut self.args.account;
        account.set_sparing(health != JournalHealth::Ready);
        account.set_away(self.server_away);
        if health == JournalHealth::Away {
            self.withdraw(now);
        }
        if was_away && !self.server_away {
            self.look_again(now);
        }
    }

    /// Shows what waited for the journal's server the market of now: the next price may be long in
    /// coming.
    fn look_again(&mut self, now: UnixNanos) {
        for id in self.watched.all() {
            if let Some(view) = self.args.market.watched(&id) {
                self.market(now, id, view);
            }
        }
        self.react(now, AccountInput::Tick);
    }

    fn query(&mut self, now: UnixNanos, query: &AccountQuery, reply: RpcReplyPort<AccountAnswer>) {
        if self.outbox.len() >= HELD {
            tracing::warn!(account_id = %self.account_id, "question dropped, too much is held");
            return;
        }
        let account = &self.args.account;
        let answer = match query {
            AccountQuery::Order(key) => {
                AccountAnswer::Order(account.order(key).cloned().map(Box::new))
            }
            AccountQuery::Orders { filter, page } => query::orders(account, filter, page),
            AccountQuery::Executions { page } => query::executions(account, page),
            AccountQuery::Preview(request) => {
                let now = self.time.of_market(now);
                let preview = query::preview(account, &self.args.market, now, request);
                AccountAnswer::Preview(Box::new(preview))
            }
            AccountQuery::Reconciliation => {
                AccountAnswer::Reconciliation(Box::new(query::reconciliation(account)))
            }
            AccountQuery::StrangersIds { prefix } => {
                AccountAnswer::StrangersIds(account.strangers_ids(prefix))
            }
            AccountQuery::Closing(request_id) => {
                AccountAnswer::Closing(query::closing(account, request_id).map(Box::new))
            }
            AccountQuery::Summary => {
                let links = Links {
                    journal: self.journal_health,
                    venue_connected: self.venue_connected,
                    kill_switch: self.kill_switch.clone(),
                    clock_ahead: self.time.ahead(),
                };
                let now = self.time.of_market(now);
                match query::summary(account, &self.args.market, now, links) {
                    Some(summary) => AccountAnswer::Summary(Box::new(summary)),
                    // `new` refuses an account that was never opened.
                    None => return,
                }
            }
        };
        self.hold_answer(Answer::Query(reply, answer));
    }

    /// One input of a lock-step run: its commands go to the one who drives it.
    fn step(
        &mut self,
        now: UnixNanos,
        input: AccountInput,
        reply: RpcReplyPort<Result<Effects, CommandError>>,
    ) {
        // Live, a tick comes behind the prices by which things are valued; here too. What leaves by
        // the clock has been shown its market by the run itself: the hub may be ahead of that.
        let values = match input {
            AccountInput::Tick => query::valued(&self.args.account, &self.args.market),
            _ => Vec::new(),
        };
        let (mut all, mut published) = (Effects::with_orders(), Vec::new());
        let markets = values
            .into_iter()
            .map(|(instrument_id, view)| AccountInput::Market {
                instrument_id,
                view,
            });
        for input in markets.chain([input]) {
            let (effects, events) = self.decide(now, input);
            all.events.extend(effects.events);
            all.commands.extend(effects.commands);
            all.reply = effects.reply;
            published.extend(events);
        }
        self.hold(Held {
            answer: Some(Answer::Step(reply, all)),
            events: published,
            ..Held::default()
        });
    }

    fn market(&mut self, now: UnixNanos, instrument_id: InstrumentId, view: MarketView) {
        let input = AccountInput::Market {
            instrument_id,
            view,
        };
        self.react(now, input);
    }

    /// Tells the feeder of prices whether the account waits for these instruments, and shows it
    /// the market of one that is new among them: the next price may be long in coming.
    fn note_watched(&mut self, now: UnixNanos, ids: BTreeSet<InstrumentId>) {
        for id in ids {
            let watches = self.args.account.watches(&id);
            if self.watched.note(&id, watches)
                && let Some(view) = self.args.market.watched(&id)
            {
                self.market(now, id, view);
            }
        }
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
                self.sending.session_lost();
                let reason_code = ReasonCode::NoAnswer;
                self.react(now, AccountInput::SessionLost { reason_code });
            }
            VenueLink::GivesSnapshots => {
                let settings = Box::default();
                self.react(now, AccountInput::RequireReconciliation { settings });
            }
            VenueLink::Snapshot(snapshot) => {
                let before = reconcile::last(&self.args.account);
                self.react(now, AccountInput::Reconcile { snapshot });
                reconcile::tell(&self.args.account, before);
            }
        }
    }

    /// Decides on something that nobody waits for.
    fn react(&mut self, now: UnixNanos, input: AccountInput) {
        let (effects, events) = self.decide(now, input);
        if effects.is_empty() {
            return;
        }
        let touched = conditional(&events);
        self.hold(Held {
            commands: effects.commands,
            events,
            ..Held::default()
        });
        self.note_watched(now, touched);
    }

    /// Decides, hands the events to the journal, and returns what follows, with the events as
    /// they will be published.
    fn decide(&mut self, now: UnixNanos, input: AccountInput) -> (Effects, Vec<AccountEvent>) {
        let mut effects = Effects::with_orders();
        let input = self.time.in_its_time(input);
        self.args.account.apply(now, input, &mut effects);
        if !effects.events.is_empty() {
            self.args.journal.append(&effects.events);
            let sequence = self.args.account.sequence();
            if snapshots::is_due(sequence, self.snapshot_at, self.args.snapshot_events) {
                let bytes = self.args.account.snapshot();
                self.args.journal.snapshot(sequence, bytes);
                self.snapshot_at = sequence;
            }
        }
        let orders = std::mem::take(&mut effects.orders);
        let events = effects.events.iter().zip(orders);
        let events = events.map(|(recorded, order)| AccountEvent {
            account_id: self.account_id.clone(),
            recorded: Arc::new(recorded.clone()),
            order,
        });
        let events = events.collect();
        (effects, events)
    }

    fn hold_answer(&mut self, answer: Answer) {
        self.hold(Held {
            answer: Some(answer),
            ..Held::default()
        });
    }

    fn hold(&mut self, held: Held) {
        self.outbox.hold(self.args.account.sequence(), held);
    }
}

/// Returns the instruments of the conditional orders that events are about; most often none.
fn conditional(events: &[AccountEvent]) -> BTreeSet<InstrumentId> {
    let orders = events.iter().filter_map(|event| event.order.as_ref());
    orders
        .filter(|order| order.request.order_type.is_conditional())
        .map(|order| order.request.instrument_id.clone())
        .collect()
}
