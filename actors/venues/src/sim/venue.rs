//! The venue itself, without sockets: the exchange, its journal, and the numbered reports.

use super::SimVenueError;
use super::journal::{self, Entry, Journal, Recovered};
use super::protocol::ServerMessage;
use apex_domain::market::MarketEvent;
use apex_domain::matching::{ExchangeEvent, ExchangeInput, SimExchange, SimOptions};
use apex_domain::reconcile::VenueSnapshot;
use apex_domain::venue::{VenueCommand, VenueControl, VenueReport};
use apex_domain::{AccountId, Instrument, UnixNanos};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tracing::warn;

/// The reports of one account as lines ready to be sent, the report numbered n at n - 1. A
/// session reads from here at its own speed, so none is ever dropped and nothing has to be
/// queued for a session. A report that is still under way is here and not shown yet.
#[derive(Debug)]
pub(super) struct ReportLog {
    lines: Mutex<Vec<Arc<str>>>,
    /// The last that is shown.
    last: watch::Sender<u64>,
}

impl ReportLog {
    fn new(reports: Vec<VenueReport>) -> ReportLog {
        let log = ReportLog {
            lines: Mutex::new(Vec::new()),
            last: watch::Sender::new(0),
        };
        for report in reports {
            let sequence = log.push(report);
            log.show(sequence);
        }
        log
    }

    fn push(&self, report: VenueReport) -> u64 {
        // A panic within the lock cannot leave half a line behind.
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = lines.len() as u64 + 1;
        lines.push(line(&ServerMessage::Report { sequence, report }));
        sequence
    }

    /// Shows the reports up to this number to the sessions.
    pub(super) fn show(&self, sequence: u64) {
        self.last.send_replace(sequence);
    }

    /// Returns how many reports there are, those under way among them.
    pub(super) fn count(&self) -> u64 {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.len() as u64
    }

    /// Returns the number of the last report that is shown, 0 when there is none.
    pub(super) fn last(&self) -> u64 {
        *self.last.borrow()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    /// Returns the report of a number from 1, once it is shown.
    pub(super) fn get(&self, sequence: u64) -> Option<Arc<str>> {
        if sequence > self.last() {
            return None;
        }
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(sequence.checked_sub(1)?).ok()?;
        lines.get(at).cloned()
    }
}

/// Writes a message as a line with its end.
pub(super) fn line(message: &ServerMessage) -> Arc<str> {
    // Every type here has string keys and plain values, which JSON always can state.
    let mut text = serde_json::to_string(message).expect("message has no JSON form");
    text.push('\n');
    text.into()
}

/// What a command or a step led to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The reports that went to the logs and are to be shown, by their numbers there.
    pub(super) reports: Vec<(Arc<ReportLog>, u64)>,
    pub(super) market: Vec<MarketEvent>,
    /// The answer to a query.
    pub(super) answer: Option<VenueReport>,
}

#[derive(Debug)]
pub(super) struct Venue {
    exchange: SimExchange,
    journal: Journal,
    logs: BTreeMap<AccountId, Arc<ReportLog>>,
    events: Vec<ExchangeEvent>,
}

impl Venue {
    /// Opens the venue of a folder: what its journal holds is put back, then the market opens.
    pub(super) fn open(
        folder: &Path,
        sync: bool,
        mut options: SimOptions,
        now: UnixNanos,
    ) -> Result<Venue, SimVenueError> {
        let (journal, recovered) = Journal::open(folder, sync)?;
        options.first_number = recovered.lines + 1;
        let mut exchange = SimExchange::new(options)?;
        let mut events = Vec::new();
        exchange.restore_controls(&recovered.controls);
        restore_funding(&mut exchange, &recovered);
        exchange.restore(now, &recovered.orders, &mut events);
        let settled = recovered.settled.iter();
        exchange.restore_settlements(settled.map(|(id, mark)| (id, *mark)));
        let logs = recovered
            .reports
            .into_iter()
            .map(|(account_id, reports)| (account_id, Arc::new(ReportLog::new(reports))))
            .collect();
        let mut venue = Venue {
            exchange,
            journal,
            logs,
            events,
        };
        // Nobody is there who would be some way off.
        for (log, sequence) in venue.step(now)?.reports {
            log.show(sequence);
        }
        Ok(venue)
    }

    pub(super) fn instruments(&self) -> Vec<Instrument> {
        self.exchange.instruments()
    }

    pub(super) fn snapshots(&self, now: UnixNanos) -> Vec<MarketEvent> {
        self.exchange.snapshots(now)
    }

    /// Returns what the venue has of an account. Every report of it is in the log already.
    pub(super) fn account_snapshot(
        &mut self,
        now: UnixNanos,
        account_id: &AccountId,
        since: UnixNanos,
    ) -> VenueSnapshot {
        self.exchange.account_snapshot(now, account_id, since)
    }

    pub(super) fn log(&mut self, account_id: &AccountId) -> Arc<ReportLog> {
        self.logs
            .entry(account_id.clone())
            .or_insert_with(|| Arc::new(ReportLog::new(Vec::new())))
            .clone()
    }

    pub(super) fn step(&mut self, now: UnixNanos) -> Result<Outcome, SimVenueError> {
        self.exchange
            .apply(now, ExchangeInput::Step, &mut self.events);
        self.settle(now, Vec::new())
    }

    /// Works off a command. With `reject`, a new order is refused whatever it says.
    pub(super) fn command(
        &mut self,
        now: UnixNanos,
        account_id: &AccountId,
        command: VenueCommand,
        reject: bool,
    ) -> Result<Outcome, SimVenueError> {
        let account = || account_id.clone();
        let input = match &command {
            VenueCommand::New(order) if reject => ExchangeInput::Refuse {
                account_id: account(),
                order: order.clone(),
                text: "the venue refuses every order".to_owned(),
            },
            _ => ExchangeInput::Command {
                account_id: account(),
                command: command.clone(),
            },
        };
        self.exchange.apply(now, input, &mut self.events);
        let entry = match command {
            VenueCommand::Query { .. } => None,
            VenueCommand::New(order) if self.was_accepted() => Some(Entry::Order(order)),
            VenueCommand::New(order) => Some(Entry::Refused(order)),
            other => Some(Entry::Command(other)),
        };
        let entries = entry.map(|entry| (account(), entry));
        self.settle(now, entries.into_iter().collect())
    }

    /// Carries out what the venue itself decides.
    pub(super) fn control(
        &mut self,
        now: UnixNanos,
        control: VenueControl,
    ) -> Result<Outcome, SimVenueError> {
        let input = ExchangeInput::Control(control.clone());
        self.exchange.apply(now, input, &mut self.events);
        self.settle(now, vec![(own(), Entry::Control(control))])
    }

    /// The first report to a new order is its acceptance or its refusal.
    fn was_accepted(&self) -> bool {
        self.events.iter().any(|event| {
            matches!(
                event,
                ExchangeEvent::Report {
                    report: VenueReport::Accepted { .. },
                    ..
                }
            )
        })
    }

    /// Writes what happened into the journal before anyone shows it to the sessions: nothing is
    /// answered that could be forgotten.
    fn settle(
        &mut self,
        now: UnixNanos,
        mut entries: Vec<(AccountId, Entry)>,
    ) -> Result<Outcome, SimVenueError> {
        let mut outcome = Outcome::default();
        let mut reports = Vec::new();
        let mut next: BTreeMap<AccountId, u64> = BTreeMap::new();
        for event in std::mem::take(&mut self.events) {
            match event {
                ExchangeEvent::Market(event) => outcome.market.push(event),
                // Never asked for: the protocol has levels only.
                ExchangeEvent::Orders(_) => {}
                ExchangeEvent::Report {
                    report: report @ (VenueReport::Status { .. } | VenueReport::NotFound { .. }),
                    ..
                } => outcome.answer = Some(report),
                ExchangeEvent::Watching {
                    account_id,
                    client_order_id,
                    watch,
                } => {
                    let watching = Entry::Watching {
                        client_order_id,
                        watch,
                    };
                    entries.push((account_id, watching));
                }
                ExchangeEvent::Liquidation {
                    account_id,
                    venue_order_id,
                    order,
                } => {
                    let liquidation = Entry::Liquidation {
                        venue_order_id,
                        order,
                    };
                    entries.push((account_id, liquidation));
                }
                ExchangeEvent::Settled {
                    instrument_id,
                    mark,
                } => {
                    let settled = Entry::Settled {
                        instrument_id,
                        mark,
                    };
                    entries.push((own(), settled));
                }
                ExchangeEvent::MarginCall { account_id, state } => {
                    warn!(
                        %account_id,
                        equity = %state.equity,
                        maintenance = %state.maintenance,
                        "margin call"
                    );
                }
                ExchangeEvent::Report { account_id, report } => {
                    let log = self.log(&account_id);
                    let sequence = next.entry(account_id.clone()).or_insert(log.count());
                    *sequence += 1;
                    let entry = Entry::Report {
                        sequence: *sequence,
                        report: report.clone(),
                    };
                    entries.push((account_id, entry));
                    reports.push((log, report));
                }
            }
        }
        self.journal.append(now, entries)?;
        for (log, report) in reports {
            let sequence = log.push(report);
            outcome.reports.push((log, sequence));
        }
        Ok(outcome)
    }
}

/// Stands as the account of what the venue itself decides.
fn own() -> AccountId {
    // A constant text within the alphabet of ids.
    AccountId::new(journal::VENUE).expect("a constant id")
}

/// Puts back what was paid, and up to where: each line was written behind the funding of all
/// times before its own.
fn restore_funding(exchange: &mut SimExchange, recovered: &Recovered) {
    for (account_id, payment) in recovered.funding() {
        exchange.restore_funding(account_id, [payment]);
    }
    if let Some(until) = recovered.last_ts {
        for instrument in exchange.instruments() {
            exchange.funding_is_paid(&instrument.instrument_id, until);
        }
    }
}
