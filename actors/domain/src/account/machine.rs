//! The machine itself: its state, and where each input goes.

use super::averages::Averages;
use super::closing::{Closing, EndedClosing};
use super::foreign::UnderWay;
use super::guards::Guards;
use super::losses::{Baseline, Unmeasured};
use super::marks::Marks;
use super::requests::Requests;
use super::short::Short;
use super::strangers::Strangers;
use super::types::{AccountInput, Effects, ExecutionRecord, Refusal, Reply};
use crate::event::{AccountMode, Event, PositionMode, Recorded};
use crate::hash;
use crate::id::{AccountId, ClientOrderId, Currency, ExecId, InstrumentId, OrderId, VenueOrderId};
use crate::instrument::Instrument;
use crate::money::Money;
use crate::number::Decimal;
use crate::order::entry::OrderEntry;
use crate::order::lists::Lists;
use crate::order::store::{OrderIndex, OrderStore};
use crate::portfolio::Portfolio;
use crate::reconcile::Reconciler;
use crate::risk::platform::PlatformShare;
use crate::risk::{Limits, TradingState};
use crate::time::UnixNanos;
use crate::venue::NewOrder;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// One account. Equal events give equal accounts, whether they were decided here or folded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub(super) account_id: Option<AccountId>,
    pub(super) base_currency: Option<Currency>,
    pub(super) mode: Option<AccountMode>,
    /// `None` before it was set or seen by an order of an older journal.
    pub(super) position_mode: Option<PositionMode>,
    pub(super) sequence: u64,
    pub(super) rolled: u64,
    pub(super) venue_sequence: u64,
    /// Time of the last event; event times never run backwards.
    pub(super) last_ts: Option<UnixNanos>,
    pub(super) trading_state: TradingState,
    /// Boxed, since an account lives inside futures.
    pub(super) limits: Box<Limits>,
    /// Sequence of the event that set the limits; 0 before.
    pub(super) limits_sequence: u64,
    pub(super) instruments: BTreeMap<InstrumentId, Instrument>,
    pub(super) orders: OrderStore,
    pub(super) executions: Vec<ExecutionRecord>,
    /// By instrument too, since some venues number executions by instrument.
    #[serde(skip)]
    pub(super) execution_index: BTreeMap<(ExecId, InstrumentId), u32>,
    /// What the fills of an order cost of the very asset that they bought; without those that
    /// cost nothing of it. Made again from the executions.
    #[serde(skip)]
    pub(super) base_fees: BTreeMap<OrderId, Decimal>,
    /// Executions that were taken back, and whether they were seen themselves.
    pub(super) busted: BTreeMap<(ExecId, InstrumentId), bool>,
    pub(super) lists: Lists,
    pub(super) portfolio: Portfolio,
    pub(super) requests: Requests,
    pub(super) closings: Vec<Closing>,
    /// By the sequence of their `CommandTaken`; the newest of them.
    pub(super) ended_closings: BTreeMap<u64, EndedClosing>,
    /// Cancels of orders that are not ours, whose outcome is open.
    pub(super) foreign: Vec<UnderWay>,
    /// Times of the orders and amends of the last second.
    pub(super) recent: VecDeque<UnixNanos>,
    #[serde(skip)]
    pub(super) strangers: Strangers,
    #[serde(skip)]
    pub(super) asked: Asked,
    #[serde(skip)]
    pub(super) marks: Marks,
    #[serde(skip)]
    pub(super) short: Short,
    #[serde(skip)]
    pub(super) averages: Averages,
    /// What loss limits measure from; `None` until the next tick sets it.
    pub(super) baseline: Option<Baseline>,
    /// What was paid in and out since the baseline was set, and is not in it yet.
    #[serde(default)]
    pub(super) unshifted: BTreeMap<Currency, Money>,
    /// Share of the platform's exposure limit; `None` before one was given.
    pub(super) share: Option<PlatformShare>,
    /// Since when loss limits see nothing, while they do.
    pub(super) unmeasured: Option<Unmeasured>,
    /// Sessions whose orders are canceled once they are not heard of. Boxed as the limits are.
    pub(super) guards: Box<Guards>,
    /// Boxed, since an account lives inside futures.
    #[serde(skip)]
    pub(super) reconciler: Box<Reconciler>,
}

/// What the venue was asked, and how the shell says that the journal stands. Not state: it is
/// forgotten with the process, and then asked and said again, so it takes no part in comparing
/// accounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// When it was last asked for an order.
    pub at: BTreeMap<OrderIndex, UnixNanos>,
    /// Working orders that it has said nothing about since the session became ready: a query may
    /// have been lost on its way into the session.
    pub unconfirmed: BTreeSet<OrderIndex>,
    /// When the cancel of an order that is not ours was last sent.
    pub foreign: BTreeMap<VenueOrderId, UnixNanos>,
    /// When an order's amend was last sent again.
    pub repeats: BTreeMap<OrderIndex, UnixNanos>,
    /// When the venue last took an execution back, by instrument and its own clock: what it says
    /// of an earlier moment still counts that.
    pub busts: BTreeMap<InstrumentId, UnixNanos>,
    /// What loss limits cancel was canceled since one of them was reached.
    pub losses: bool,
    /// The journal has little room left, see [`Account::set_sparing`].
    pub sparing: bool,
    /// The journal's server is away, see [`Account::set_away`].
    pub away: bool,
    /// Orders that the shell kept back since it is, see [`Account::kept_back`].
    pub kept_back: BTreeSet<OrderIndex>,
    /// It is back since the last tick: what waited for it is looked at.
    pub look_again: bool,
    /// When each guarded session was last heard of.
    pub heard: BTreeMap<u64, UnixNanos>,
    /// When the session was last lost: an earlier one may have repeated something up to then.
    pub lost: UnixNanos,
}

impl PartialEq for Asked {
    fn eq(&self, _: &Asked) -> bool {
        true
    }
}

impl Eq for Asked {}

/// One input on its way through the machine.
pub(super) struct Step<'a> {
    pub now: UnixNanos,
    /// Venue sequence of the report that is being taken; 0 otherwise.
    pub venue_sequence: u64,
    /// Time has passed: what was refused may be asked for again.
    pub is_tick: bool,
    pub effects: &'a mut Effects,
}

impl Step<'_> {
    pub fn refuse(&mut self, refusal: Refusal) {
        self.effects.reply = Some(Reply::Refused(refusal));
    }
}

impl Account {
    /// Returns an account before its first input, which must be `Open`.
    pub fn new() -> Account {
        Account::default()
    }

    /// States whether the journal has little room left. What prices alone lead to again and again
    /// is then left out, so that it does not eat up the room of cancels, halts and reports: a
    /// trailing stop that waits here stands still, and the highest equity is not moved up.
    pub fn set_sparing(&mut self, sparing: bool) {
        self.asked.sparing = sparing;
    }

    /// States whether the journal's server is away, so that another owner may have the account by
    /// now and do the same. What waits here then waits on: a stop whose price comes, a leg of a list,
    /// the next part of an iceberg, an order that its venue never had. A closing goes on with orders
    /// that its venue holds to the position, whoever else sends one. Once the server is back, what
    /// waited is decided by the market of then.
    pub fn set_away(&mut self, away: bool) {
        self.asked.look_again |= self.asked.away && !away;
        self.asked.away = away;
    }

    /// Returns true for a new order that may leave while the journal's server is away: one by which a
    /// closing brings a position nearer to zero, and never beyond it.
    pub fn may_leave_away(&self, order: &NewOrder) -> bool {
        let index = self.orders.find_client(&order.client_order_id);
        order.reduce_only && index.is_some_and(|index| self.closes_safely(self.orders.get(index)))
    }

    /// States that a new order did not leave, since the journal's server was found to be away behind
    /// its decision. One that had waited here leaves once the server is back, however long that is.
    pub fn kept_back(&mut self, client_order_id: &ClientOrderId) {
        let index = self.orders.find_client(client_order_id);
        self.asked.kept_back.extend(index);
    }

    /// Returns true for an order of a closing that its venue holds to the position: whoever sends it
    /// as well, no more is closed than there is.
    pub(super) fn closes_safely(&self, entry: &OrderEntry) -> bool {
        entry.order.request.reduce_only && self.is_closing_order(entry)
    }

    /// Returns true for the id of an order that a closing under way has made.
    pub fn closes(&self, client_order_id: &ClientOrderId) -> bool {
        let index = self.orders.find_client(client_order_id);
        index.is_some_and(|index| self.is_closing_order(self.orders.get(index)))
    }

    /// Decides on `input` at `now` and folds what it decided. `effects` is cleared first and
    /// then holds what follows: the events are one atomic unit of the journal.
    ///
    /// `now` that runs backwards counts as the time of the last event.
    pub fn apply(&mut self, now: UnixNanos, input: AccountInput, effects: &mut Effects) {
        effects.clear();
        let now = self.last_ts.map_or(now, |last| last.max(now));
        let mut step = Step {
            now,
            venue_sequence: 0,
            is_tick: matches!(input, AccountInput::Tick),
            effects,
        };
        self.dispatch(&mut step, input);
        self.drive(&mut step);
        #[cfg(debug_assertions)]
        self.assert_invariants(effects);
    }

    /// Does what follows from what was decided: lists and closings go on. A closing's order may
    /// be one of a list, and the other way round.
    fn drive(&mut self, step: &mut Step<'_>) {
        self.drive_lists(step);
        // Each time round at least one order ends.
        while self.drive_reducing(step) {
            self.drive_lists(step);
        }
        if self.drive_slices(step) {
            self.drive_lists(step);
        }
        if !self.closings.is_empty() {
            self.drive_closings(step);
            self.drive_lists(step);
        }
    }

    pub(super) fn dispatch(&mut self, step: &mut Step<'_>, input: AccountInput) {
        if let AccountInput::Open {
            account_id,
            base_currency,
            mode,
        } = input
        {
            return self.open(step, account_id, base_currency, mode);
        }
        if !self.is_open() {
            if !is_news(&input) {
                step.refuse(Refusal::NotOpen);
            }
            return;
        }
        if self.is_gated(&input) {
            return step.refuse(Refusal::NotOpen);
        }
        match input {
            // Taken above.
            AccountInput::Open { .. } => {}
            AccountInput::AdjustCash {
                request_id,
                currency,
                amount,
                reason,
            } => self.adjust_cash(step, request_id, currency, amount, reason),
            AccountInput::SetLimits {
                request_id,
                limits,
                expected_sequence,
            } => self.set_limits(step, request_id, limits, expected_sequence),
            AccountInput::SetPositionMode {
                request_id,
                mode,
                by,
            } => self.set_position_mode(step, request_id, mode, by),
            AccountInput::DefineInstrument(instrument) => self.define(step, instrument),
            AccountInput::SetTradingState {
                request_id,
                state,
                by,
                reason,
            } => self.set_trading_state(step, request_id, state, by, reason),
            AccountInput::Submit { request, market } => self.submit(step, request, market),
            AccountInput::Amend { request, market } => self.amend(step, request, market),
            AccountInput::Cancel {
                key,
                request_id,
                reason_code,
            } => self.cancel(step, &key, request_id, reason_code),
            AccountInput::CancelAll {
                filter,
                request_id,
                reason_code,
            } => self.cancel_all(step, filter, request_id, reason_code),
            AccountInput::CancelOrders {
                keys,
                request_id,
                reason_code,
            } => self.cancel_orders(step, keys, request_id, reason_code),
            AccountInput::SubmitList { list, markets } => self.submit_list(step, list, &markets),
            AccountInput::Close { scope, request_id } => self.close(step, scope, request_id),
            AccountInput::Halt {
                request_id,
                cancel,
                flatten,
                by,
                reason,
            } => self.kill(step, request_id, (cancel, flatten), by, reason),
            AccountInput::CancelForeign(request) => self.cancel_foreign(step, request),
            AccountInput::ResolveOrder(request) => self.resolve_order(step, request),
            AccountInput::Market {
                instrument_id,
                view,
            } => self.market(step, instrument_id, view),
            AccountInput::Report {
                venue_sequence,
                report,
            } => {
                step.venue_sequence = venue_sequence;
                self.report(step, report);
            }
            AccountInput::SessionLost { reason_code } => self.session_lost(step, reason_code),
            AccountInput::SessionReady => self.session_ready(step),
            AccountInput::Tick => self.tick(step),
            AccountInput::Funding(payment) => self.funding(step, payment),
            AccountInput::Split(split) => self.split(step, split),
            AccountInput::Reconcile { snapshot } => self.reconcile(step, &snapshot),
            AccountInput::RequireReconciliation { settings } => self.reconciler.require(*settings),
            AccountInput::OfferShare(offer) => self.offer_share(step, offer),
            AccountInput::ResetPaper(reset) => self.reset_paper(step, reset),
            AccountInput::GuardSession(wish) => self.guard_session(step, wish),
            AccountInput::KeepSession(session) => self.keep_session(step, session),
            AccountInput::EndSession { session, outcome } => {
                self.end_session(step, session, outcome);
            }
            AccountInput::OfSession { session, input } => self.of_session(step, session, *input),
        }
    }

    /// Gives a decision its place, folds it and puts it out.
    pub(super) fn record(&mut self, step: &mut Step<'_>, event: Event) {
        let recorded = Recorded {
            sequence: self.sequence + 1,
            ts: step.now,
            venue_sequence: step.venue_sequence,
            event,
        };
        // What was decided on this very state fits it: the decision looked at the same table and
        // tried the same arithmetic. Anything else is a broken invariant, and the process ends.
        self.fold(&recorded).expect("own decision folds");
        if step.effects.keep_orders {
            let order = recorded.event.order_id();
            let order = order.and_then(|id| self.orders.find_order_id(id));
            let order = order.map(|index| Arc::new(self.orders.get(index).order.clone()));
            step.effects.orders.push(order);
        }
        step.effects.events.push(recorded);
    }

    pub(super) fn advance(&mut self, recorded: &Recorded) {
        self.sequence = recorded.sequence;
        self.rolled = hash::roll(self.rolled, recorded);
        self.venue_sequence = self.venue_sequence.max(recorded.venue_sequence);
        self.last_ts = Some(recorded.ts);
    }

    /// Every apply in debug builds: the orders it touched, and the whole account while it is
    /// small. A larger one is checked whole now and then, since that walks all of its history.
    #[cfg(debug_assertions)]
    fn assert_invariants(&self, effects: &Effects) {
        use crate::{invariant, order::OrderKey};
        if effects.events.is_empty() {
            return;
        }
        for order_id in effects.events.iter().filter_map(|e| e.event.order_id()) {
            if let Some(order) = self.order(&OrderKey::OrderId(order_id.clone())) {
                invariant::check_order(order).expect("order invariant holds");
            }
        }
        let period = match self.orders.entries().len() + self.executions.len() {
            0..64 => 1,
            64..1_024 => 32,
            _ => 4_096,
        };
        if self.sequence.is_multiple_of(period) {
            invariant::check_account(self).expect("account invariant holds");
        }
    }
}

/// Returns true for what nobody waits for an answer to.
fn is_news(input: &AccountInput) -> bool {
    matches!(
        input,
        AccountInput::Report { .. }
            | AccountInput::SessionLost { .. }
            | AccountInput::SessionReady
            | AccountInput::Market { .. }
            | AccountInput::Tick
            | AccountInput::Reconcile { .. }
            | AccountInput::RequireReconciliation { .. }
            | AccountInput::OfferShare(_)
    )
}
