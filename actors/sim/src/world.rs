//! One run: virtual time, the queue of what is on its way, and the driver.

use crate::check;
use crate::clients::{Clients, Question};
use crate::faults::Faults;
use crate::node::Node;
use crate::session::{Session, Signed};
use crate::venue::Venue;
use crate::{Failure, Report};
use apex_domain::account::{AccountInput, CancelFilter};
use apex_domain::event::AccountMode;
use apex_domain::order::OrderStatus;
use apex_domain::risk::ReasonCode;
use apex_domain::time::{NANOS_PER_MILLI, NANOS_PER_SECOND};
use apex_domain::venue::{VenueCommand, VenueReport};
use apex_domain::{InstrumentId, UnixNanos};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

const START: UnixNanos = UnixNanos(1_700_000_000 * NANOS_PER_SECOND);
/// How long faults go on: longer than the account's patience, so that it runs out on the way.
const FAULTY_NS: i64 = 15 * NANOS_PER_SECOND;
/// The account must come to agree within this: several rounds of asking, each of five seconds.
const HEALING_LIMIT_NS: i64 = 120 * NANOS_PER_SECOND;

/// Something that happens at its time.
#[derive(Clone, Debug)]
enum Action {
    Client,
    Market,
    /// The price of an instrument is shown to the account.
    Price,
    Tick,
    Flush,
    Break,
    Restart,
    Connect,
    ToVenue(Signed),
    ToNode {
        connection: u64,
        venue_sequence: u64,
        report: VenueReport,
    },
}

impl Action {
    fn is_message(&self) -> bool {
        matches!(self, Action::ToVenue(_) | Action::ToNode { .. })
    }
}

pub struct World {
    seed: u64,
    rng: ChaCha8Rng,
    now: UnixNanos,
    /// By time, and by number where times are equal.
    queue: BTreeMap<(UnixNanos, u64), Action>,
    queued: u64,
    faults: Faults,
    healing: bool,
    node: Node,
    is_up: bool,
    session: Session,
    connections: u64,
    /// No report of a numbered stream arrives before the one before it.
    stream_at: UnixNanos,
    venue: Venue,
    /// How much of the venue's log was handed to the network.
    emitted: usize,
    clients: Clients,
    instruments: Vec<InstrumentId>,
    report: Report,
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let faults = Faults::draw(&mut rng);
        let instruments = check::instruments();
        World {
            seed,
            now: START,
            queue: BTreeMap::new(),
            queued: 0,
            healing: false,
            node: Node::new(START),
            is_up: true,
            session: Session::default(),
            connections: 0,
            stream_at: START,
            venue: Venue::new(instruments.clone(), faults.unique_ids),
            emitted: 0,
            clients: Clients::new(faults.position_limit.is_none()),
            instruments: instruments.into_keys().collect(),
            report: Report {
                seed,
                state_hash: 0,
                events: 0,
                orders: 0,
                fills: 0,
                resent: 0,
                crashes: 0,
                disconnects: 0,
                lost_messages: 0,
                doubled_messages: 0,
                busts: 0,
                lists: 0,
                held: 0,
                lost_batches: 0,
            },
            rng,
            faults,
        }
    }

    pub fn run(mut self) -> Result<Report, Failure> {
        match self.drive() {
            Ok(()) => Ok(self.report),
            Err(what) => Err(Failure {
                seed: self.seed,
                at_ns: self.now.since(START),
                what,
            }),
        }
    }

    fn drive(&mut self) -> Result<(), String> {
        self.set_up()?;
        while let Some(((at, _), action)) = self.queue.pop_first() {
            self.now = at;
            if !self.healing && at.since(START) > FAULTY_NS {
                self.heal()?;
            }
            self.perform(action)?;
            self.emit();
            check::after_each_step(&self.node, &self.venue, &self.faults)?;
            if self.healing && self.is_quiet() {
                break;
            }
            if at.since(START) > FAULTY_NS + HEALING_LIMIT_NS {
                let open: Vec<String> = self.open_questions().collect();
                return Err(format!("did not settle after the faults ended: {open:?}"));
            }
        }
        self.conclude()
    }

    /// The account exists and is durable before anything goes wrong.
    fn set_up(&mut self) -> Result<(), String> {
        let limit = self.faults.position_limit;
        for input in check::opening_inputs(AccountMode::Paper, limit) {
            self.apply(input, None);
        }
        self.flush()?;
        for action in [
            Action::Connect,
            Action::Client,
            Action::Market,
            Action::Price,
            Action::Tick,
            Action::Break,
        ] {
            self.push_within(action, 100 * NANOS_PER_MILLI);
        }
        Ok(())
    }

    fn perform(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Client => {
                if self.is_up && !self.healing {
                    let (input, question) =
                        self.clients
                            .next(self.now, &self.instruments, &mut self.rng);
                    self.apply(input, question);
                }
                self.push_within(Action::Client, 300 * NANOS_PER_MILLI);
            }
            Action::Market => {
                if !self.healing {
                    let venue_now = self.venue_now();
                    let second_thoughts = self.faults.second_thoughts();
                    let heard = self.node.durable_venue_sequence;
                    self.venue
                        .act(venue_now, second_thoughts, heard, &mut self.rng);
                }
                self.venue.expire(self.venue_now());
                self.push_within(Action::Market, 300 * NANOS_PER_MILLI);
            }
            Action::Price => {
                let chosen = self.rng.random_range(0..self.instruments.len());
                let instrument_id = self.instruments[chosen].clone();
                let view = self.clients.market_view(self.now, &mut self.rng);
                if self.is_up {
                    let input = AccountInput::Market {
                        instrument_id,
                        view,
                    };
                    self.apply(input, None);
                }
                self.push_within(Action::Price, 400 * NANOS_PER_MILLI);
            }
            Action::Tick => {
                if self.is_up {
                    self.apply(AccountInput::Tick, None);
                    if self.rng.random_bool(0.1) {
                        self.node.snapshot();
                    }
                }
                self.push(Action::Tick, NANOS_PER_SECOND);
            }
            Action::Flush => self.flush()?,
            Action::Break => {
                if !self.healing {
                    self.break_something()?;
                    self.push_within(Action::Break, 2 * self.faults.break_ns);
                }
            }
            Action::Restart => self.restart()?,
            Action::Connect => self.connect(),
            Action::ToVenue(signed) => self.deliver_to_venue(signed),
            Action::ToNode {
                connection,
                venue_sequence,
                report,
            } => self.deliver_to_node(connection, venue_sequence, report),
        }
        Ok(())
    }

    fn apply(&mut self, input: AccountInput, question: Option<Question>) {
        let was_idle = self.node.is_idle();
        self.node.apply(self.now, input, question);
        if was_idle && !self.node.is_idle() {
            self.push_within(Action::Flush, self.faults.flush_ns);
        }
    }

    /// Everything that waited is durable: commands go to the wire and clients get their answers.
    fn flush(&mut self) -> Result<(), String> {
        if !self.is_up {
            return Ok(());
        }
        for batch in self.node.flush() {
            if let (Some(question), Some(reply)) = (&batch.question, &batch.reply) {
                self.clients.answer(question, reply)?;
            }
            for command in batch.commands {
                // Without a connection the command is gone; the account asks once there is one.
                if self.session.connection.is_some() {
                    let signed = self.session.sign(command, self.now);
                    self.send(signed);
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, signed: Signed) {
        if self.rng.random_bool(self.faults.lost_commands) {
            self.report.lost_messages += 1;
            return;
        }
        // A doubled amend may be refused first, before its order arrived, and taken then: a venue
        // that doubles amends contradicts itself, so none does here.
        let may_double = !matches!(signed.command, VenueCommand::Amend { .. });
        if may_double && self.rng.random_bool(self.faults.doubled_commands) {
            self.report.doubled_messages += 1;
            self.push_within(Action::ToVenue(signed.clone()), self.faults.delay_ns);
        }
        self.push_within(Action::ToVenue(signed), self.faults.delay_ns);
    }

    fn deliver_to_venue(&mut self, signed: Signed) {
        let venue_now = self.venue_now();
        if !signed.is_current(venue_now) {
            return;
        }
        if let Some(answer) = self.venue.take(
            venue_now,
            signed.command,
            self.faults.refused_cancels,
            &mut self.rng,
        ) {
            self.send_report(0, answer);
        }
    }

    /// Hands to the network what the venue reported since.
    fn emit(&mut self) {
        while self.emitted < self.venue.log.len() {
            let report = self.venue.log[self.emitted].clone();
            self.emitted += 1;
            if self.faults.sequenced {
                self.stream(self.emitted as u64, report);
            } else {
                self.send_report(0, report);
            }
        }
    }

    /// One report by itself: lost, doubled, late, in any order.
    fn send_report(&mut self, venue_sequence: u64, report: VenueReport) {
        let Some(connection) = self.session.connection else {
            return;
        };
        if self.rng.random_bool(self.faults.lost_reports) {
            self.report.lost_messages += 1;
            return;
        }
        let action = Action::ToNode {
            connection,
            venue_sequence,
            report,
        };
        if self.rng.random_bool(self.faults.doubled_reports) {
            self.report.doubled_messages += 1;
            self.push_within(action.clone(), self.faults.delay_ns);
        }
        self.push_within(action, self.faults.delay_ns);
    }

    /// One report of a numbered stream: late, doubled, and always behind the one before it.
    fn stream(&mut self, venue_sequence: u64, report: VenueReport) {
        let Some(connection) = self.session.connection else {
            return;
        };
        let action = Action::ToNode {
            connection,
            venue_sequence,
            report,
        };
        let arrival = self
            .now
            .plus(self.rng.random_range(1..=self.faults.delay_ns));
        self.stream_at = self.stream_at.plus(1).max(arrival);
        let delay = self.stream_at.since(self.now);
        self.push(action.clone(), delay);
        if self.rng.random_bool(self.faults.doubled_reports) {
            self.report.doubled_messages += 1;
            self.push(action, delay);
        }
    }

    fn deliver_to_node(&mut self, connection: u64, venue_sequence: u64, report: VenueReport) {
        // A stream ends with its connection; a lone message may still find its way.
        let is_current = self.session.connection == Some(connection);
        if !self.is_up || (self.faults.sequenced && !is_current) {
            return;
        }
        let report = self.session.judge(report, &self.node);
        self.apply(
            AccountInput::Report {
                venue_sequence,
                report,
            },
            None,
        );
    }

    fn break_something(&mut self) -> Result<(), String> {
        if !self.is_up {
            return Ok(());
        }
        if self.rng.random_bool(self.faults.crash) {
            self.report.crashes += 1;
            self.report.lost_batches += self.node.crash(self.now, &mut self.rng)?;
            check::answered_orders_are_there(&self.node.account, &self.clients)?;
            self.is_up = false;
            self.session = Session::default();
            self.push_within(Action::Restart, 2 * NANOS_PER_SECOND);
        } else {
            self.disconnect();
            self.push_within(Action::Connect, 2 * NANOS_PER_SECOND);
        }
        Ok(())
    }

    fn disconnect(&mut self) {
        if self.session.connection.take().is_some() {
            self.report.disconnects += 1;
            let reason_code = ReasonCode::NoAnswer;
            self.apply(AccountInput::SessionLost { reason_code }, None);
        }
    }

    fn restart(&mut self) -> Result<(), String> {
        if self.is_up {
            return Ok(());
        }
        self.is_up = true;
        self.node.started = self.now;
        let reason_code = ReasonCode::Restarted;
        self.apply(AccountInput::SessionLost { reason_code }, None);
        self.push_within(Action::Connect, NANOS_PER_SECOND);
        Ok(())
    }

    fn connect(&mut self) {
        if !self.is_up || self.session.connection.is_some() {
            return;
        }
        self.connections += 1;
        self.session.connection = Some(self.connections);
        if self.faults.sequenced {
            self.stream_at = self.now;
            let seen = self.node.account.venue_sequence();
            for index in seen as usize..self.emitted {
                let report = self.venue.log[index].clone();
                self.stream(index as u64 + 1, report);
            }
        }
        self.apply(AccountInput::SessionReady, None);
    }

    /// The faults end: one last break of the connection, and then everything arrives.
    fn heal(&mut self) -> Result<(), String> {
        self.healing = true;
        self.faults.heal();
        self.restart()?;
        self.disconnect();
        self.connect();
        if self.rng.random_bool(0.3) {
            let filter = CancelFilter::default();
            let reason_code = ReasonCode::CanceledByRisk;
            self.apply(
                AccountInput::CancelAll {
                    filter,
                    reason_code,
                    request_id: None,
                },
                None,
            );
        }
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        let settled = self.now.since(START) > FAULTY_NS + 10 * NANOS_PER_SECOND
            && self.node.is_idle()
            && !self.queue.values().any(Action::is_message);
        settled && self.open_questions().next().is_none()
    }

    /// Returns the working orders whose outcome is open. What is held here waits for as long as
    /// it takes, and is none of them.
    fn open_questions(&self) -> impl Iterator<Item = String> {
        let settled = |status| {
            matches!(
                status,
                OrderStatus::Accepted
                    | OrderStatus::PartiallyFilled
                    | OrderStatus::Triggered
                    | OrderStatus::PendingNew
            )
        };
        let open = self.node.account.working_orders();
        open.filter(move |order| !settled(order.status))
            .map(|order| format!("{order:?}"))
    }

    fn conclude(&mut self) -> Result<(), String> {
        let account = &self.node.account;
        check::both_sides_agree(account, &self.venue, &self.node.disk.sent())?;
        check::answered_orders_are_there(account, &self.clients)?;
        if self.node.disk.recover(false)? != *account {
            return Err("the journal gives another account than the one that wrote it".to_owned());
        }
        self.report.state_hash = account.state_hash();
        self.report.events = account.sequence();
        self.report.orders = account.orders().len();
        self.report.fills = account.executions().len();
        self.report.resent = self.node.disk.resent();
        self.report.busts = self.venue.busts;
        self.report.lists = self.clients.lists.len();
        self.report.held = self.node.disk.held();
        Ok(())
    }

    fn venue_now(&self) -> UnixNanos {
        self.now.plus(self.faults.skew_ns)
    }

    fn push_within(&mut self, action: Action, at_most: i64) {
        let delay = self.rng.random_range(1..=at_most.max(1));
        self.push(action, delay);
    }

    fn push(&mut self, action: Action, delay: i64) {
        self.queued += 1;
        self.queue
            .insert((self.now.plus(delay), self.queued), action);
    }
}
