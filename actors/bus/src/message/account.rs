//! What an account actor takes and answers.

use apex_domain::account::{
    Account, CancelFilter, ClosingState, Effects, Equity, ExecutionRecord, ForeignCancel,
    GuardSession, InstrumentSplit, PaperReset, Preview, Refusal, Reply, ResolveOrder, SessionRef,
};
use apex_domain::event::{AccountMode, CloseScope, GuardOutcome, PositionMode, Recorded};
use apex_domain::order::{AmendOrder, Order, OrderKey, SubmitList, SubmitOrder};
use apex_domain::portfolio::{Attribution, Margin, Position};
use apex_domain::reconcile::{ReconcileReport, VenueOpenOrder, VenueSnapshot};
use apex_domain::risk::platform::ShareOffer;
use apex_domain::risk::{Limits, MarketView, ReasonCode, TradingState};
use apex_domain::venue::VenueReport;
use apex_domain::{
    AccountId, ClientOrderId, Currency, Instrument, InstrumentId, Money, RequestId, StrategyId,
    UnixNanos,
};
use ractor::RpcReplyPort;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// A client's command. The shell adds the clock and the market as it sees them.
#[derive(Clone, Debug)]
pub enum AccountCommand {
    Submit(Box<SubmitOrder>),
    Amend(AmendOrder),
    Cancel {
        key: OrderKey,
        request_id: Option<RequestId>,
        reason_code: ReasonCode,
    },
    CancelAll {
        filter: CancelFilter,
        request_id: Option<RequestId>,
        reason_code: ReasonCode,
    },
    /// Cancels these orders, with an outcome for each.
    CancelOrders {
        keys: Vec<OrderKey>,
        request_id: Option<RequestId>,
        reason_code: ReasonCode,
    },
    /// Several orders as one list, or as a batch where they have no contingency.
    SubmitList(Box<SubmitList>),
    /// Cancels what is in the way and closes the positions that the scope names.
    Close {
        scope: CloseScope,
        request_id: Option<RequestId>,
    },
    /// The kill switch.
    Halt {
        request_id: Option<RequestId>,
        cancel: bool,
        flatten: bool,
        by: String,
        reason: String,
    },
    SetTradingState {
        request_id: Option<RequestId>,
        state: TradingState,
        by: String,
        reason: String,
    },
    SetLimits {
        request_id: Option<RequestId>,
        limits: Limits,
        expected_sequence: Option<u64>,
    },
    /// Chooses between net and hedged positions.
    SetPositionMode {
        request_id: Option<RequestId>,
        mode: PositionMode,
        by: String,
    },
    AdjustCash {
        request_id: Option<RequestId>,
        currency: Currency,
        amount: Money,
        reason: String,
    },
    DefineInstrument(Box<Instrument>),
    /// An instrument was split.
    Split(InstrumentSplit),
    /// Cancels orders at the venue that are not ours.
    CancelForeign(ForeignCancel),
    /// Starts a paper account over.
    ResetPaper(PaperReset),
    /// An order of unknown outcome is not at the venue.
    ResolveOrder(ResolveOrder),
    /// Cancels a session's orders from here on once nothing is heard of it.
    GuardSession(GuardSession),
    /// The session was heard of.
    KeepSession(SessionRef),
    EndSession {
        session: SessionRef,
        outcome: GuardOutcome,
    },
}

/// Why a command has no answer from the account. Nothing was decided, unless the variant says
/// otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// Refused without an event; the caller mends the command.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The journal has no space: new orders and amends wait until there is, cancels go on.
    #[error(
        "the journal is full and takes nothing new: free disk space, or start its database server \
         again, then send the order again"
    )]
    JournalFull,
    /// The server that keeps the journal does not answer: new orders and amends wait until it
    /// does, cancels and the kill switch go on.
    #[error(
        "the journal's database server does not answer, so new orders and amends are refused while \
         cancels go on: start the server or mend what its log says (`apextrade doctor`), then send \
         the order again once /ready answers 200"
    )]
    JournalAway,
    /// The server that keeps the journal stopped answering before a new order or amend was on it.
    /// It left for no venue: the order stands as rejected, an amend as refused.
    #[error(
        "the journal's database server stopped answering before the order was on it: it was not \
         sent to the venue and stands as rejected, an amend as refused; send it again under a new \
         id once /ready answers 200"
    )]
    NotSent,
    /// Too many commands of its class, [`super::Urgency`], are under way; try again a little later.
    #[error("the account has {limit} commands under way, try again in a moment")]
    Overloaded { limit: usize },
    /// The answer did not come in time. The command may still be carried out: ask by its id.
    #[error("no answer within {timeout_ms} ms, the outcome is not known: ask by its id")]
    Timeout { timeout_ms: u64 },
    /// No session with the venue: a new order could not leave. Cancels are taken and follow later.
    #[error("the venue is not connected: send the order again once it is")]
    VenueDown,
    /// The account is stopping or has stopped.
    #[error("the account is not running: look at the log of its process and start it again")]
    Stopped,
}

/// How the journal of an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalHealth {
    Ready,
    /// The disk is full: only cancels, the kill switch and reports are taken.
    Reserve,
    /// The server that keeps it does not answer: as `Reserve`, into a file of this machine.
    Away,
    /// Nothing is taken.
    Full,
}

/// What the link to the venue tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VenueLink {
    /// Logged on; reports resume behind what the account has seen.
    Ready,
    /// Nothing can be sent, and what was sent last may or may not have arrived.
    Lost { reason: String },
    /// The venue gives snapshots: no new exposure before one agrees with the account.
    GivesSnapshots,
    /// What the venue has of the account.
    Snapshot(Box<VenueSnapshot>),
}

/// Which orders a list wants, newest first. `None` is any.
#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    pub instrument_id: Option<InstrumentId>,
    pub strategy_id: Option<StrategyId>,
    /// Only orders that are not terminal.
    pub working_only: bool,
}

impl OrderFilter {
    /// Returns true for an order that the list wants.
    pub fn wants(&self, order: &Order) -> bool {
        let request = &order.request;
        let instrument = self.instrument_id.as_ref();
        let strategy = self.strategy_id.as_ref();
        instrument.is_none_or(|id| *id == request.instrument_id)
            && strategy.is_none_or(|id| *id == request.strategy_id)
            && !(self.working_only && order.status.is_terminal())
    }

    /// Returns a page of the account's orders, newest first, and the cursor of the next page if
    /// there is one.
    pub fn page(&self, account: &Account, page: &Page) -> (Vec<Order>, Option<u64>) {
        let mut found = account
            .orders_before(page.cursor.unwrap_or(u64::MAX))
            .filter(|(_, order)| self.wants(order));
        let mut orders = Vec::new();
        let mut last = None;
        for (created, order) in found.by_ref().take(page.limit.clamp(1, PAGE_LIMIT)) {
            orders.push(order.clone());
            last = Some(created);
        }
        let more = found.next().is_some();
        (orders, last.filter(|_| more))
    }
}

/// The most that one page may hold; a larger wish is cut to it.
pub const PAGE_LIMIT: usize = 1_000;

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// Orders created before this journal sequence (newest first), or executions behind it;
    /// `None` starts at the end that the list starts from.
    pub cursor: Option<u64>,
    /// At most this many, 1 to 1,000.
    pub limit: usize,
}

impl Page {
    /// Returns a page of the account's executions, oldest first, and the cursor of the next page
    /// if there is one.
    pub fn of_executions<'a>(&self, account: &'a Account) -> (&'a [ExecutionRecord], Option<u64>) {
        let limit = self.limit.clamp(1, PAGE_LIMIT);
        let all = account.executions_after(self.cursor.unwrap_or(0));
        let page = &all[..limit.min(all.len())];
        let last = page.last().map(|execution| execution.sequence);
        (page, last.filter(|_| all.len() > limit))
    }
}

/// A question to an account. Answered from its state once that state is durable.
#[derive(Clone, Debug)]
pub enum AccountQuery {
    Order(OrderKey),
    Orders {
        filter: OrderFilter,
        page: Page,
    },
    Executions {
        page: Page,
    },
    /// What a new order would be and do; decides nothing.
    Preview(Box<SubmitOrder>),
    Summary,
    /// What the venue's last snapshot came to.
    Reconciliation,
    /// How the closing of positions stands that a request began.
    Closing(RequestId),
    /// Ids of orders at the venue that the account does not know, which begin so.
    StrangersIds {
        prefix: String,
    },
}

/// The answer to an [`AccountQuery`], of the same name.
#[derive(Clone, Debug)]
pub enum AccountAnswer {
    Order(Option<Box<Order>>),
    /// The orders, and the cursor of the next page if there is one.
    Orders {
        orders: Vec<Order>,
        next: Option<u64>,
    },
    Executions {
        executions: Vec<ExecutionRecord>,
        next: Option<u64>,
    },
    Preview(Box<Result<Preview, Refusal>>),
    Summary(Box<AccountSummary>),
    Reconciliation(Box<ReconcileState>),
    /// `None` for a request that closes nothing, or is forgotten.
    Closing(Option<Box<ClosingAnswer>>),
    StrangersIds(Vec<ClientOrderId>),
}

/// How an account stands with its venue.
#[derive(Clone, Debug)]
pub struct ReconcileState {
    /// The account agreed with its venue, or has none to agree with.
    pub is_reconciled: bool,
    /// `None` before the first snapshot, and where the venue gives none.
    pub report: Option<ReconcileReport>,
    /// Orders at the venue that are not ours, each with whether its cancel is under way.
    pub foreign_orders: Vec<(VenueOpenOrder, bool)>,
}

/// A closing, and what is left of the positions that it means.
#[derive(Clone, Debug)]
pub struct ClosingAnswer {
    pub state: ClosingState,
    pub positions: Vec<Position>,
    /// Working orders that have to end first.
    pub in_the_way: usize,
}

/// An account at one moment.
#[derive(Clone, Debug)]
pub struct AccountSummary {
    pub account_id: AccountId,
    pub base_currency: Currency,
    pub mode: AccountMode,
    pub position_mode: PositionMode,
    pub trading_state: TradingState,
    pub limits: Limits,
    /// Journal sequence at which the limits were set: what a change of them is compared with.
    pub limits_sequence: u64,
    pub cash: BTreeMap<Currency, Money>,
    pub realized_pnl: BTreeMap<Currency, Money>,
    pub fees: BTreeMap<Currency, Money>,
    /// In base currency, from the newest marks.
    pub equity: Money,
    pub unrealized_pnl: Money,
    /// A mark or a conversion rate is missing: equity holds less than all.
    pub partial: bool,
    /// Positive was received.
    pub funding: BTreeMap<Currency, Money>,
    /// At the newest marks; `None` in a state of an earlier time.
    pub margin: Option<Margin>,
    /// Likewise; empty in a state of an earlier time.
    pub attribution: Attribution,
    pub positions: Vec<Position>,
    pub working_orders: usize,
    pub orders: usize,
    pub executions: usize,
    pub sequence: u64,
    pub state_hash: u64,
    pub journal: JournalHealth,
    /// The session stands, and the account agrees with what the venue has.
    pub venue_connected: bool,
    /// Differences from the venue that were seen since the start, by kind.
    pub reconcile_differences: BTreeMap<&'static str, u64>,
    /// Loss limits are set, and see nothing: a part of the equity is not known.
    pub losses_unmeasured: bool,
    pub kill_switch: KillSwitchTimes,
    /// How far the account's time is ahead of the clock: an event was written while that was
    /// wrong. Zero as a rule.
    pub clock_ahead: Duration,
}

/// How many times of [`KillSwitchTimes`] are kept: they are read every few seconds, and each is a
/// command of a person or of a rule.
const TIMES_KEPT: usize = 256;

/// How long the kill switch took: for each halt that cancels, the time from its command to the
/// last of its cancels handed to the venue's session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KillSwitchTimes {
    /// Halts that canceled since the start.
    pub total: u64,
    /// The newest of them, oldest first; bounded.
    pub newest: VecDeque<Duration>,
}

impl KillSwitchTimes {
    pub fn note(&mut self, took: Duration) {
        self.total += 1;
        self.newest.push_back(took);
        if self.newest.len() > TIMES_KEPT {
            self.newest.pop_front();
        }
    }

    /// Returns those that came behind the first `seen`, as far as they are kept.
    pub fn after(&self, seen: u64) -> impl Iterator<Item = Duration> {
        let new = usize::try_from(self.total.saturating_sub(seen)).unwrap_or(usize::MAX);
        let skipped = self.newest.len().saturating_sub(new);
        self.newest.iter().skip(skipped).copied()
    }
}

impl AccountSummary {
    /// Returns what the account itself says, worth `equity`; `None` before it was opened. What
    /// its shell knows is empty: the journal is taken to be ready, the venue to be away.
    pub fn of(account: &Account, equity: &Equity) -> Option<AccountSummary> {
        let usd = || Currency::new("USD").ok();
        Some(AccountSummary {
            account_id: account.account_id()?.clone(),
            base_currency: account.base_currency().cloned().or_else(usd)?,
            mode: account.mode().unwrap_or(AccountMode::Paper),
            position_mode: account.position_mode(),
            trading_state: account.trading_state(),
            limits: account.limits().clone(),
            limits_sequence: account.limits_sequence(),
            cash: account.cash().clone(),
            realized_pnl: account.realized_pnl().clone(),
            fees: account.fees().clone(),
            equity: equity.equity,
            unrealized_pnl: equity.unrealized_pnl,
            partial: equity.partial,
            funding: account.portfolio().funding().clone(),
            margin: None,
            attribution: Attribution::default(),
            positions: account.positions().cloned().collect(),
            working_orders: account.working_orders().count(),
            orders: account.orders().len(),
            executions: account.executions().len(),
            sequence: account.sequence(),
            state_hash: account.state_hash(),
            journal: JournalHealth::Ready,
            venue_connected: false,
            reconcile_differences: BTreeMap::new(),
            losses_unmeasured: account.are_losses_unmeasured(),
            kill_switch: KillSwitchTimes::default(),
            clock_ahead: Duration::ZERO,
        })
    }
}

/// A durable event of an account, as it is published: the order as it stood right after it.
#[derive(Clone, Debug)]
pub struct AccountEvent {
    pub account_id: AccountId,
    pub recorded: Arc<Recorded>,
    pub order: Option<Arc<Order>>,
}

/// The mailbox of an account actor.
// Commands are the most of it. Boxed, each would cost an allocation more, and the others save room
// that nothing waits for.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum AccountMessage {
    /// With when it was asked for: it may have waited behind others.
    Command(
        AccountCommand,
        Instant,
        RpcReplyPort<Result<Reply, CommandError>>,
    ),
    /// A command of a guarded session: its orders are the session's.
    SessionCommand(
        SessionRef,
        AccountCommand,
        Instant,
        RpcReplyPort<Result<Reply, CommandError>>,
    ),
    Query(AccountQuery, RpcReplyPort<AccountAnswer>),
    /// One input of a lock-step run at the run's own time, answered with all that followed once
    /// it is durable. The commands to the venue are in the answer and not sent by the shell.
    Step {
        now: UnixNanos,
        input: Box<apex_domain::account::AccountInput>,
        reply: RpcReplyPort<Result<Effects, CommandError>>,
    },
    Report {
        venue_sequence: u64,
        report: VenueReport,
    },
    Link(VenueLink),
    /// What the platform says about the account's share of its exposure limit.
    Share(ShareOffer),
    /// The journal writer: everything up to here is durable.
    Durable {
        sequence: u64,
    },
    Journal(JournalHealth),
    /// What the market of an instrument is now, for one whose prices the account waits for.
    Market {
        instrument_id: InstrumentId,
        view: MarketView,
    },
    /// Asks for an answer at once: what came before it has been taken then.
    Barrier(RpcReplyPort<()>),
    /// The venue's session may have room again for the cancels that wait for it.
    Room,
    Tick,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_behind_those_that_were_seen_are_told_as_far_as_they_are_kept() {
        let mut times = KillSwitchTimes::default();
        for number in 0..TIMES_KEPT as u64 + 2 {
            times.note(Duration::from_secs(number));
        }
        let last = times.total - 1;
        assert_eq!(times.newest.len(), TIMES_KEPT);
        let told = |seen| {
            times
                .after(seen)
                .map(|took| took.as_secs())
                .collect::<Vec<_>>()
        };
        assert_eq!(told(times.total), Vec::<u64>::new());
        assert_eq!(told(last), [last]);
        assert_eq!(told(0).first(), Some(&2));
    }
}
