//! The one task that owns the venue: it works off what sessions send, one by one, and fans
//! market data out.

use super::SimVenueError;
use super::protocol::{ErrorCode, Faults, ServerMessage};
use super::venue::{Outcome, ReportLog, Venue, line};
use apex_domain::market::MarketEvent;
use apex_domain::matching::{Latencies, Way};
use apex_domain::venue::{VenueCommand, VenueControl};
use apex_domain::{AccountId, UnixNanos};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Answers to queries that wait for a session's writer. A client asks for its open orders after
/// a logon, some hundreds; one that asks for more without reading is closed as slow.
const ANSWERS: usize = 4_096;

/// Market events that wait for a session's writer: some twenty seconds of the default market.
/// When they are full, further ones are dropped, counted and announced.
const MARKET_EVENTS: usize = 4_096;

/// What may be under way to the venue and back, each. As many as an account may have under way;
/// full: the session that sends is closed as slow, and the log on again tells it what it missed.
const UNDER_WAY: usize = 8_192;

/// What sessions tell the core.
#[derive(Debug)]
pub(super) enum CoreInput {
    Logon {
        account_id: AccountId,
        next_report_sequence: u64,
        reply: oneshot::Sender<Result<SessionParts, ErrorCode>>,
    },
    Command {
        session: u64,
        command: VenueCommand,
    },
    Subscribe {
        session: u64,
    },
    Snapshot {
        session: u64,
        since: UnixNanos,
    },
    SetFaults {
        session: u64,
        faults: Faults,
    },
    /// What the venue itself is to decide.
    Control {
        session: u64,
        control: VenueControl,
    },
    Closed {
        session: u64,
    },
}

/// How the core ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Without a word, as a broken network would.
    Cut,
    Error(ErrorCode),
}

/// The answer to a query, and the last report that comes before it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) after: u64,
    pub(super) line: Arc<str>,
}

/// What a session's writer works with.
#[derive(Debug)]
pub(super) struct SessionParts {
    pub(super) session: u64,
    /// The answer to the logon.
    pub(super) logged_on: Arc<str>,
    pub(super) log: Arc<ReportLog>,
    pub(super) answers: mpsc::Receiver<Answer>,
    pub(super) market: mpsc::Receiver<Arc<str>>,
    pub(super) ending: watch::Receiver<Option<Ending>>,
    pub(super) faults: watch::Receiver<Faults>,
}

#[derive(Debug)]
struct Session {
    account_id: AccountId,
    log: Arc<ReportLog>,
    answers: mpsc::Sender<Answer>,
    market: mpsc::Sender<Arc<str>>,
    ending: watch::Sender<Option<Ending>>,
    subscribed: bool,
    /// Market events dropped since the last that was sent.
    missed: u64,
}

#[derive(Debug)]
pub(super) struct Core {
    venue: Venue,
    sessions: BTreeMap<u64, Session>,
    /// The one session of each account.
    active: BTreeMap<AccountId, u64>,
    last_session: u64,
    faults: watch::Sender<Faults>,
    commands_since_faults: u64,
    /// What is under way; `None` where nothing takes time.
    ways: Option<(Way<CoreInput>, Way<Backward>)>,
}

/// What is under way from the venue.
#[derive(Debug)]
enum Backward {
    /// The report of a number of a log.
    Report(Arc<ReportLog>, u64),
    Answer {
        session: u64,
        line: Arc<str>,
    },
}

impl Core {
    pub(super) fn new(venue: Venue, faults: Faults, latencies: Option<Latencies>) -> Core {
        Core {
            ways: latencies.map(Latencies::ways),
            venue,
            sessions: BTreeMap::new(),
            active: BTreeMap::new(),
            last_session: 0,
            faults: watch::Sender::new(faults),
            commands_since_faults: 0,
        }
    }

    pub(super) fn step(&mut self, now: UnixNanos) -> Result<(), SimVenueError> {
        self.let_arrive(now)?;
        let outcome = self.venue.step(now)?;
        self.send_back(now, outcome.reports);
        self.fan_out(now, outcome.market);
        self.let_arrive(now)
    }

    /// Works off one input, and what was due before it.
    ///
    /// Errors: the journal could not be written. Nothing was answered; the venue has to stop.
    pub(super) fn handle(&mut self, now: UnixNanos, input: CoreInput) -> Result<(), SimVenueError> {
        self.let_arrive(now)?;
        let session = match &input {
            CoreInput::Command { session, .. } | CoreInput::Snapshot { session, .. } => *session,
            // A logon, a subscription and what the tests set are no orders on their way.
            _ => {
                self.work_off(now, input)?;
                return self.let_arrive(now);
            }
        };
        match &mut self.ways {
            Some((there, back)) => {
                if there.len() >= UNDER_WAY || back.len() >= UNDER_WAY {
                    self.end(session, Ending::Error(ErrorCode::Slow));
                    return Ok(());
                }
                there.send(now, input);
            }
            None => self.work_off(now, input)?,
        }
        self.let_arrive(now)
    }

    /// Returns when the next of what is under way arrives, so that its driver calls
    /// [`Core::let_arrive`] then.
    pub(super) fn next_due(&self) -> Option<UnixNanos> {
        let (there, back) = self.ways.as_ref()?;
        [there.next_due(), back.next_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Lets arrive what is due: at the venue, then at the sessions.
    ///
    /// Errors: as [`Core::handle`].
    pub(super) fn let_arrive(&mut self, now: UnixNanos) -> Result<(), SimVenueError> {
        while let Some((_, input)) = self.ways.as_mut().and_then(|ways| ways.0.arrive(now, true)) {
            self.work_off(now, input)?;
        }
        while let Some((_, back)) = self.ways.as_mut().and_then(|ways| ways.1.arrive(now, true)) {
            self.arrived_back(back);
        }
        Ok(())
    }

    fn arrived_back(&mut self, back: Backward) {
        match back {
            Backward::Report(log, sequence) => log.show(sequence),
            Backward::Answer { session, line } => {
                let Some(entry) = self.sessions.get(&session) else {
                    return;
                };
                // Every report before it is shown by now, since none is overtaken.
                let after = entry.log.last();
                if entry.answers.try_send(Answer { after, line }).is_err() {
                    self.end(session, Ending::Error(ErrorCode::Slow));
                }
            }
        }
    }

    fn send_back(&mut self, now: UnixNanos, reports: Vec<(Arc<ReportLog>, u64)>) {
        for (log, sequence) in reports {
            self.back(now, Backward::Report(log, sequence));
        }
    }

    /// Sends on the way back, which without a latency is no way.
    fn back(&mut self, now: UnixNanos, what: Backward) {
        match &mut self.ways {
            Some((_, back)) => back.send(now, what),
            None => self.arrived_back(what),
        }
    }

    fn work_off(&mut self, now: UnixNanos, input: CoreInput) -> Result<(), SimVenueError> {
        match input {
            CoreInput::Logon {
                account_id,
                next_report_sequence,
                reply,
            } => {
                let parts = self.logon(account_id, next_report_sequence);
                // The connection may be gone by now.
                if let Err(Ok(parts)) = reply.send(parts) {
                    self.close(parts.session);
                }
            }
            CoreInput::Command { session, command } => self.command(now, session, command)?,
            CoreInput::Subscribe { session } => self.subscribe(now, session),
            CoreInput::Snapshot { session, since } => self.snapshot(now, session, since),
            CoreInput::SetFaults { session, faults } => {
                if self.sessions.contains_key(&session) {
                    self.commands_since_faults = 0;
                    self.faults.send_replace(faults);
                }
            }
            CoreInput::Control { session, control } => {
                if self.sessions.contains_key(&session) {
                    let outcome = self.venue.control(now, control)?;
                    self.send_back(now, outcome.reports);
                    self.fan_out(now, outcome.market);
                }
            }
            CoreInput::Closed { session } => self.close(session),
        }
        Ok(())
    }

    fn logon(
        &mut self,
        account_id: AccountId,
        next_report_sequence: u64,
    ) -> Result<SessionParts, ErrorCode> {
        let log = self.venue.log(&account_id);
        if next_report_sequence > log.last() + 1 {
            return Err(ErrorCode::UnknownSequence);
        }
        if let Some(older) = self.active.get(&account_id).copied() {
            self.end(older, Ending::Error(ErrorCode::Replaced));
        }
        self.last_session += 1;
        let session = self.last_session;
        let (answers, answers_rx) = mpsc::channel(ANSWERS);
        let (market, market_rx) = mpsc::channel(MARKET_EVENTS);
        let ending = watch::Sender::new(None);
        let parts = SessionParts {
            session,
            logged_on: line(&ServerMessage::LoggedOn {
                session,
                last_report_sequence: log.last(),
                instruments: self.venue.instruments(),
            }),
            log: log.clone(),
            answers: answers_rx,
            market: market_rx,
            ending: ending.subscribe(),
            faults: self.faults.subscribe(),
        };
        let entry = Session {
            account_id: account_id.clone(),
            log,
            answers,
            market,
            ending,
            subscribed: false,
            missed: 0,
        };
        self.sessions.insert(session, entry);
        self.active.insert(account_id, session);
        Ok(parts)
    }

    /// Ends a session. What it sent and what is not worked off yet is dropped from here on,
    /// since its number is no longer known.
    fn end(&mut self, session: u64, ending: Ending) {
        if let Some(entry) = self.sessions.get(&session) {
            entry.ending.send_replace(Some(ending));
        }
        self.close(session);
    }

    fn close(&mut self, session: u64) {
        let Some(entry) = self.sessions.remove(&session) else {
            return;
        };
        if self.active.get(&entry.account_id) == Some(&session) {
            self.active.remove(&entry.account_id);
        }
    }

    fn command(
        &mut self,
        now: UnixNanos,
        session: u64,
        command: VenueCommand,
    ) -> Result<(), SimVenueError> {
        let Some(entry) = self.sessions.get(&session) else {
            return Ok(());
        };
        let account_id = entry.account_id.clone();
        let faults = self.faults.borrow().clone();
        self.commands_since_faults += 1;
        if faults.drop_after_commands == Some(self.commands_since_faults) {
            self.faults
                .send_modify(|faults| faults.drop_after_commands = None);
            // Before the command is worked off, so that its reports cannot slip out.
            self.end(session, Ending::Cut);
        }
        let outcome = self
            .venue
            .command(now, &account_id, command, faults.reject_all)?;
        let Outcome {
            reports,
            market,
            answer,
        } = outcome;
        self.send_back(now, reports);
        if let Some(report) = answer {
            let sequence = 0;
            let message = ServerMessage::Report { sequence, report };
            self.answer(now, session, &message);
        }
        self.fan_out(now, market);
        Ok(())
    }

    fn snapshot(&mut self, now: UnixNanos, session: u64, since: UnixNanos) {
        let Some(entry) = self.sessions.get(&session) else {
            return;
        };
        let account_id = entry.account_id.clone();
        let snapshot = self.venue.account_snapshot(now, &account_id, since);
        let message = ServerMessage::Snapshot(Box::new(snapshot));
        self.answer(now, session, &message);
    }

    /// Answers behind all reports until now.
    fn answer(&mut self, now: UnixNanos, session: u64, message: &ServerMessage) {
        if self.sessions.contains_key(&session) {
            let line = line(message);
            self.back(now, Backward::Answer { session, line });
        }
    }

    fn subscribe(&mut self, now: UnixNanos, session: u64) {
        let snapshots = lines(self.venue.snapshots(now));
        if let Some(entry) = self.sessions.get_mut(&session)
            && !entry.subscribed
        {
            entry.subscribed = true;
            entry.send_market(&snapshots);
        }
    }

    fn fan_out(&mut self, now: UnixNanos, events: Vec<MarketEvent>) {
        if events.is_empty() || !self.sessions.values().any(|session| session.subscribed) {
            return;
        }
        let events = lines(events);
        // Made only when a session needs them.
        let mut snapshots: Option<Vec<Arc<str>>> = None;
        for entry in self.sessions.values_mut().filter(|entry| entry.subscribed) {
            if entry.missed == 0 {
                entry.send_market(&events);
                continue;
            }
            // The state after these events is in the books that follow the gap.
            entry.missed += events.len() as u64;
            let books = snapshots.get_or_insert_with(|| lines(self.venue.snapshots(now)));
            if entry.market.capacity() > books.len() {
                let missed = std::mem::take(&mut entry.missed);
                entry.send_market(&[line(&ServerMessage::MarketGap { missed })]);
                entry.send_market(books);
            }
        }
    }
}

impl Session {
    /// Sends market data. After the first event that finds no room, all are dropped and counted
    /// until the gap is announced: the order holds, and a delta never comes without the one
    /// before it.
    fn send_market(&mut self, lines: &[Arc<str>]) {
        for line in lines {
            if self.missed > 0 || self.market.try_send(line.clone()).is_err() {
                self.missed += 1;
            }
        }
    }
}

fn lines(events: Vec<MarketEvent>) -> Vec<Arc<str>> {
    events
        .into_iter()
        .map(|event| line(&ServerMessage::Market(event)))
        .collect()
}
