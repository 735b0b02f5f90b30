//! Strategies, a simulated venue and market data in one total order.
//!
//! [`LockStep`] is a machine without I/O. It does not own the account: it says what the account
//! has to take next and is told what came of it. So a backtest with the account in memory and a
//! replay with the account behind an actor and a journal run the very same order of things:
//!
//! 1. Before time moves on from a moment the account is told of it: at the end of the first one,
//!    and of each that is a second or more behind the last that it was told. Then what is due
//!    until the next market event happens, the oldest first: timers fire, the venue does what it
//!    does by the clock, and the account is told of the very time at which an order of it ends. A
//!    timer comes before the market data of its time, the end of an order behind them.
//! 2. The clock moves to the next market event's `ts_init`; it never goes back.
//! 3. The venue sees the event; its fills go to the account, and what the account decides goes
//!    to the strategies.
//! 4. The account sees the event, where it holds orders or measures values by it: one price
//!    after the other, a bar by its open, both extremes and its close ([`Mark::views_through`]).
//! 5. The marks move, then the strategies see the event, in the order in which they were added.
//! 6. Their commands go to the account one by one, and its commands to the venue at once.
//!
//! So an order that the account holds leaves at the price that triggered it, and the venue fills
//! it by what it has seen: never by what lies behind. Where one event reaches both a resting
//! order and one that is held here, the resting one has filled first.
//!
//! Each step, with everything that follows from it, is finished before the next one begins, and
//! one market event before the next one is taken.
//!
//! ```text
//! step.push_market(event);
//! while let Some(due) = step.poll() {
//!     match due {
//!         Due::Input(now, input) => {
//!             account.apply(now, input, &mut effects); // or: ask the actor, until it is durable
//!             step.on_effects(&effects);
//!         }
//!         Due::Account(now) => step.set_account(&view(&account, now, step.markets())),
//!     }
//! }
//! ```
//!
//! What strategies see of position and orders is folded from the effects' events by each one's
//! own [`Ledger`](crate::ledger::Ledger), never read from the account: that also works where the
//! account is in another process, and a replay of the journal restores it.

mod commands;
mod interest;
mod notes;
mod sights;
#[cfg(test)]
mod tests;
mod time;

pub use notes::{Note, Notes};

use crate::error::StrategyError;
use crate::mark::Mark;
use crate::runner::{Runner, RunnerStatus};
use crate::strategy::Strategy;
use apex_domain::account::{Account, AccountInput, CancelFilter, Effects, Refusal, Reply};
use apex_domain::event::Recorded;
use apex_domain::instrument::Instrument;
use apex_domain::market::MarketEvent;
use apex_domain::order::OrderKey;
use apex_domain::risk::{MarketRef, MarketView, ReasonCode};
use apex_domain::venue::{VenueModel, VenueReport};
use apex_domain::{AccountId, ClientOrderId, InstrumentId, StrategyId, UnixNanos};
use interest::Interest;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use time::Passed;

/// A command of a strategy on its way to the account: whose, and about which orders.
#[derive(Debug)]
struct Origin {
    strategy: usize,
    client_order_ids: Vec<ClientOrderId>,
}

/// Where the work on the present market event stands: it is the front of the queue until all of
/// it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Between two events.
    Idle,
    /// The venue has seen it, and its reports are on their way.
    Venue,
    /// The account has views of it yet to see.
    Account,
    /// The marks have moved, and the strategies are next.
    Strategies,
}

/// What a driver has to do next.
#[derive(Debug)]
pub enum Due {
    /// Hand this to the account, and what comes of it to [`LockStep::on_effects`].
    Input(UnixNanos, AccountInput),
    /// Tell how the account stands now in the markets of [`LockStep::markets`], by
    /// [`LockStep::set_account`]. Never due where no strategy subscribed to the account.
    Account(UnixNanos),
}

/// See the module.
pub struct LockStep {
    account_id: AccountId,
    clock: UnixNanos,
    venue: Box<dyn VenueModel + Send>,
    venue_sequence: u64,
    instruments: Vec<Arc<Instrument>>,
    marks: BTreeMap<InstrumentId, Mark>,
    runners: Vec<Runner>,
    /// Market events that were pushed and not yet taken. The caller bounds it: it pushes a batch
    /// of its own size and polls until nothing is left.
    queue: VecDeque<MarketEvent>,
    /// What the account has to take, in order. Bounded by the budget of commands per call and
    /// the reports of the orders at work: no market event is taken before it is empty.
    inputs: VecDeque<(AccountInput, Option<Origin>)>,
    /// The command that the account has and has not answered.
    awaited: Option<Origin>,
    /// True from `poll` until `on_effects`.
    is_waiting: bool,
    stage: Stage,
    /// The strategies know the account as it is in the present market.
    is_account_told: bool,
    /// Views of the present market event that the account has yet to see.
    views: VecDeque<MarketView>,
    interest: Interest,
    /// When the account was last told the time.
    ticked: Option<UnixNanos>,
    /// By time, then in the order of asking.
    timers: BTreeMap<(UnixNanos, u64), (usize, String)>,
    timer_number: u64,
    /// Timers fired since the last market event and timers waiting, by strategy.
    timers_fired: Vec<usize>,
    timers_waiting: Vec<usize>,
    /// Strategies whose quarantine was seen to.
    quarantined: Vec<bool>,
    reports: Vec<VenueReport>,
    notes: Notes,
}

impl fmt::Debug for LockStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockStep")
            .field("account_id", &self.account_id)
            .field("clock", &self.clock)
            .field("runners", &self.runners)
            .finish_non_exhaustive()
    }
}

impl LockStep {
    /// Makes an engine for the orders of one account. The instruments are those that strategies
    /// can see; the account has to know them too.
    pub fn new(
        account_id: AccountId,
        venue: Box<dyn VenueModel + Send>,
        instruments: impl IntoIterator<Item = Instrument>,
    ) -> LockStep {
        LockStep {
            account_id,
            clock: UnixNanos::MIN,
            venue,
            venue_sequence: 0,
            instruments: instruments.into_iter().map(Arc::new).collect(),
            marks: BTreeMap::new(),
            runners: Vec::new(),
            queue: VecDeque::new(),
            inputs: VecDeque::new(),
            awaited: None,
            is_waiting: false,
            stage: Stage::Idle,
            is_account_told: false,
            views: VecDeque::new(),
            interest: Interest::default(),
            ticked: None,
            timers: BTreeMap::new(),
            timer_number: 0,
            timers_fired: Vec::new(),
            timers_waiting: Vec::new(),
            quarantined: Vec::new(),
            reports: Vec::new(),
            notes: Notes::default(),
        }
    }

    /// Goes on with an account in the middle of its life: with the orders that it holds and when
    /// they end, and numbering the venue's reports behind the last one that it had.
    pub fn resume(&mut self, account: &Account) {
        self.venue_sequence = self.venue_sequence.max(account.venue_sequence());
        self.interest.restore(account);
    }

    /// Adds a strategy; it is started by [`LockStep::start`].
    ///
    /// Errors: `DuplicateId`.
    pub fn add_strategy(
        &mut self,
        strategy_id: StrategyId,
        strategy: Box<dyn Strategy>,
    ) -> Result<(), StrategyError> {
        let account_id = self.account_id.clone();
        self.add_runner(Runner::new(
            account_id,
            strategy_id,
            strategy,
            &self.instruments,
        ))
    }

    /// Adds a strategy whose ledger was brought up to date, or whose budget is another one.
    ///
    /// Errors: `DuplicateId`.
    pub fn add_runner(&mut self, runner: Runner) -> Result<(), StrategyError> {
        if self.runner(runner.strategy_id()).is_some() {
            return Err(StrategyError::DuplicateId(runner.strategy_id().clone()));
        }
        self.runners.push(runner);
        self.timers_fired.push(0);
        self.timers_waiting.push(0);
        self.quarantined.push(false);
        Ok(())
    }

    /// Makes a new instrument known to strategies.
    pub fn define(&mut self, instrument: Instrument) {
        let instrument = Arc::new(instrument);
        for runner in &mut self.runners {
            runner.ledger_mut().define(&instrument);
        }
        self.instruments.push(instrument);
    }

    /// Returns a strategy with its ledger and status.
    pub fn runner(&self, strategy_id: &StrategyId) -> Option<&Runner> {
        self.runners
            .iter()
            .find(|runner| runner.strategy_id() == strategy_id)
    }

    pub fn runners(&self) -> &[Runner] {
        &self.runners
    }

    /// Returns the time of the newest event that was taken.
    pub fn now(&self) -> UnixNanos {
        self.clock
    }

    /// Returns what an instrument was last seen at.
    pub fn mark(&self, id: &InstrumentId) -> Option<&Mark> {
        self.marks.get(id)
    }

    /// Returns bid and ask as an order that comes from elsewhere has to be given them.
    pub fn market_ref(&self, id: &InstrumentId) -> MarketRef {
        self.marks.get(id).map(Mark::reference).unwrap_or_default()
    }

    /// Takes out what people should read: logs, refusals, quarantines.
    pub fn take_notes(&mut self) -> Notes {
        std::mem::take(&mut self.notes)
    }

    /// Starts the strategies that are not started yet. Poll after it, as after everything that
    /// may give the account something to do.
    pub fn start(&mut self, now: UnixNanos) {
        self.clock = self.clock.max(now);
        for index in 0..self.runners.len() {
            self.runners[index].start(self.clock);
            self.collect(index);
        }
    }

    /// Stops the strategies. Timers that wait are forgotten.
    pub fn stop(&mut self) {
        self.timers.clear();
        self.timers_waiting.fill(0);
        for index in 0..self.runners.len() {
            self.runners[index].stop(self.clock);
            self.collect(index);
        }
    }

    /// Hands over the next market event, in the order of the recording.
    pub fn push_market(&mut self, event: MarketEvent) {
        self.queue.push_back(event);
    }

    /// Returns what the account has to take next, and when; `None` when everything that was
    /// pushed is done, or while an answer is outstanding. Each input has to be answered by
    /// [`LockStep::on_effects`] before the next one comes.
    pub fn poll(&mut self) -> Option<Due> {
        if self.is_waiting {
            return None;
        }
        loop {
            if let Some((input, origin)) = self.inputs.pop_front() {
                self.awaited = origin;
                self.is_waiting = true;
                return Some(Due::Input(self.clock, input));
            }
            let event = self.queue.front()?;
            match self.stage {
                Stage::Idle => {
                    let next = event.ts_init();
                    match self.pass_time(next) {
                        Passed::Nothing => self.show_venue(),
                        Passed::Something => {}
                        Passed::Tick => {
                            self.is_waiting = true;
                            return Some(Due::Input(self.clock, AccountInput::Tick));
                        }
                    }
                }
                Stage::Venue => {
                    self.views = self.views(event);
                    self.stage = Stage::Account;
                }
                Stage::Account => match self.views.pop_front() {
                    Some(view) => {
                        let id = event.instrument_id().clone();
                        self.show_account(id, view);
                    }
                    None => self.move_marks(),
                },
                Stage::Strategies if self.wants_account() && !self.is_account_told => {
                    return Some(Due::Account(self.clock));
                }
                Stage::Strategies => self.show_strategies(),
            }
        }
    }

    /// Takes what came of the last input: events go to the strategies, commands to the venue. May
    /// also be called, when nothing is outstanding, with the effects of an input from elsewhere.
    pub fn on_effects(&mut self, effects: &Effects) {
        self.is_waiting = false;
        let origin = self.awaited.take();
        if effects.is_empty() {
            return;
        }
        if let (Some(reply), Some(origin)) = (&effects.reply, origin) {
            self.take_reply(reply, &origin);
        }
        // The venue first, as in life: an order is sent before the strategy hears of it.
        for command in &effects.commands {
            self.venue
                .on_command(self.clock, command, &mut self.reports);
        }
        self.queue_reports();
        for recorded in &effects.events {
            self.hear(recorded);
        }
    }

    /// Takes an event of the account that none of its inputs brought about, such as an order of a
    /// client: from then on the account is told what that needs. May be called at any time, in the
    /// order of the journal and before [`LockStep::on_effects`] tells of a later event.
    pub fn hear(&mut self, recorded: &Recorded) {
        self.interest.note(recorded);
        for index in 0..self.runners.len() {
            self.runners[index].recorded(self.clock, recorded);
            self.collect(index);
        }
    }

    /// From now on the account is shown every market event: what it needs is not known any more.
    pub fn show_everything(&mut self) {
        self.interest.show_everything();
    }

    /// Tells a strategy of each order that its command was not taken for.
    fn take_reply(&mut self, reply: &Reply, origin: &Origin) {
        match reply {
            Reply::Refused(refusal) => {
                for id in &origin.client_order_ids {
                    self.refused(origin.strategy, id, refusal);
                }
            }
            Reply::Outcomes(outcomes) => {
                for outcome in outcomes {
                    if let (OrderKey::ClientOrderId(id), Err(refusal)) =
                        (&outcome.key, &outcome.result)
                    {
                        self.refused(origin.strategy, id, refusal);
                    }
                }
            }
            Reply::Order(_)
            | Reply::Orders(_)
            | Reply::ForeignOrders(_)
            | Reply::Guarded(_)
            | Reply::Done { .. } => {}
        }
    }

    fn refused(&mut self, strategy: usize, id: &ClientOrderId, refusal: &Refusal) {
        let runner = &mut self.runners[strategy];
        self.notes.refused(self.clock, id, runner, refusal);
        runner.refused(self.clock, id, refusal);
        self.collect(strategy);
    }

    fn show_venue(&mut self) {
        let Some(event) = self.queue.front() else {
            return;
        };
        self.stage = Stage::Venue;
        self.clock = self.clock.max(event.ts_init());
        self.timers_fired.fill(0);
        self.venue.on_market(event, &mut self.reports);
        if self.reports.is_empty() {
            return;
        }
        // A fill may send children, and they are measured by the market in which it came. Where
        // an order waits for a price already it must not see one before the fills are booked.
        let id = event.instrument_id();
        if !self.interest.watches(id)
            && let Some(view) = self.views(event).pop_front()
        {
            let id = id.clone();
            self.show_account(id, view);
        }
        self.queue_reports();
    }

    fn show_strategies(&mut self) {
        self.stage = Stage::Idle;
        let Some(event) = &self.queue.pop_front() else {
            return;
        };
        for index in 0..self.runners.len() {
            // The clock was moved to the event, so the event cannot be later.
            if let Err(error) = self.runners[index].market(self.clock, event) {
                self.runners[index].quarantine(format!("was handed {error}"));
            }
            self.collect(index);
        }
    }

    fn queue_reports(&mut self) {
        for report in self.reports.drain(..) {
            // An answer to a query has no place in the venue's stream of reports.
            let is_answer = matches!(
                report,
                VenueReport::Status { .. } | VenueReport::NotFound { .. }
            );
            let venue_sequence = if is_answer {
                0
            } else {
                self.venue_sequence += 1;
                self.venue_sequence
            };
            let input = AccountInput::Report {
                venue_sequence,
                report,
            };
            self.inputs.push_back((input, None));
        }
    }

    /// Takes a strategy's commands over, and sees to one that went into quarantine.
    fn collect(&mut self, index: usize) {
        if self.runners[index].has_commands() {
            for command in self.runners[index].take_commands() {
                self.carry_out(index, command);
            }
        }
        if let RunnerStatus::Quarantined { reason } = self.runners[index].status()
            && !self.quarantined[index]
        {
            self.quarantined[index] = true;
            let reason = reason.clone();
            let strategy_id = self.runners[index].strategy_id().clone();
            self.notes
                .quarantined(self.clock, strategy_id.clone(), reason);
            self.timers.retain(|_, (owner, _)| *owner != index);
            self.timers_waiting[index] = 0;
            // Nobody looks after its orders any more.
            let input = AccountInput::CancelAll {
                filter: CancelFilter {
                    strategy_id: Some(strategy_id),
                    ..CancelFilter::default()
                },
                reason_code: ReasonCode::CanceledByRisk,
                request_id: None,
            };
            self.inputs.push_back((input, None));
        }
    }
}
