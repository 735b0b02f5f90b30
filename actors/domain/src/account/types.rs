//! What goes into an account and what comes out.

use super::reset::PaperReset;
use crate::event::{AccountMode, CloseScope, ForeignOrder, GuardOutcome, PositionMode, Recorded};
use crate::id::{
    AccountId, Currency, InstrumentId, OrderListId, OrderSessionId, RequestId, StrategyId,
    VenueOrderId,
};
use crate::instrument::Instrument;
use crate::market::Side;
use crate::money::Money;
use crate::order::{AmendOrder, Order, OrderKey, PositionSide, SubmitList, SubmitOrder};
use crate::reconcile::{ReconcileSettings, VenueSnapshot};
use crate::risk::platform::ShareOffer;
use crate::risk::{Limits, MarketRef, MarketView, ReasonCode, TradingState};
pub use crate::venue::FundingPayment;
use crate::venue::{VenueCommand, VenueReport};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Something that an account decides on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountInput {
    /// The first input of a new account.
    Open {
        account_id: AccountId,
        base_currency: Currency,
        mode: AccountMode,
    },
    /// Pays in (positive) or out.
    AdjustCash {
        request_id: Option<RequestId>,
        currency: Currency,
        amount: Money,
        reason: String,
    },
    SetLimits {
        request_id: Option<RequestId>,
        limits: Box<Limits>,
        expected_sequence: Option<u64>,
    },
    /// Chooses between net and hedged positions; only while nothing is held and nothing works.
    SetPositionMode {
        request_id: Option<RequestId>,
        mode: PositionMode,
        by: String,
    },
    /// Makes an instrument known; the same definition again changes nothing.
    DefineInstrument(Box<Instrument>),
    SetTradingState {
        request_id: Option<RequestId>,
        state: TradingState,
        by: String,
        reason: String,
    },
    Submit {
        request: Box<SubmitOrder>,
        market: MarketRef,
    },
    Amend {
        request: AmendOrder,
        market: MarketRef,
    },
    Cancel {
        key: OrderKey,
        request_id: Option<RequestId>,
        reason_code: ReasonCode,
    },
    /// Cancels each working order that the filter names.
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
    /// Takes several orders as one list, or as a batch where they have no contingency; the
    /// market of each instrument with them.
    SubmitList {
        list: Box<SubmitList>,
        markets: BTreeMap<InstrumentId, MarketRef>,
    },
    /// Closes positions: cancels the working orders in the way, waits for their ends, and then
    /// sends reduce-only market orders until nothing is left.
    Close {
        scope: CloseScope,
        request_id: Option<RequestId>,
    },
    /// The kill switch: new orders are refused first, then working ones canceled and positions
    /// closed, as asked.
    Halt {
        request_id: Option<RequestId>,
        cancel: bool,
        flatten: bool,
        by: String,
        reason: String,
    },
    /// Cancels orders at the venue that are not ours.
    CancelForeign(ForeignCancel),
    /// A person says that an order whose outcome is not known is not at the venue.
    ResolveOrder(ResolveOrder),
    /// What the market of an instrument is now: orders that are held here look at it, and values
    /// are measured by it.
    Market {
        instrument_id: InstrumentId,
        view: MarketView,
    },
    /// A venue's report with its place in that venue's stream of reports to this account; 0 for
    /// answers to a query, which have none.
    Report {
        venue_sequence: u64,
        report: VenueReport,
    },
    /// The session could not deliver a command, or lost the connection after it: the orders
    /// that have no answer become unknown.
    SessionLost { reason_code: ReasonCode },
    /// A venue session is ready: every order whose outcome is open is asked for.
    SessionReady,
    /// Time has passed: an order without an answer for too long becomes unknown and is asked for.
    Tick,
    /// The venue paid or took funding.
    Funding(FundingPayment),
    /// An instrument was split.
    Split(InstrumentSplit),
    /// What the venue says that the account has: differences are found and brought in line.
    Reconcile { snapshot: Box<VenueSnapshot> },
    /// The venue gives snapshots: no new order or amend until one agrees with the account.
    RequireReconciliation { settings: Box<ReconcileSettings> },
    /// What the platform says about the account's share of its exposure limit.
    OfferShare(ShareOffer),
    /// Pays a paper account in or out until it has what it was opened with.
    ResetPaper(PaperReset),
    /// Cancels the orders of a client's session from here on once it is not heard of any more.
    GuardSession(GuardSession),
    /// The session was heard of. Leaves no event.
    KeepSession(SessionRef),
    /// The session is over.
    EndSession {
        session: SessionRef,
        outcome: GuardOutcome,
    },
    /// A submit or amend of a guarded session. It is refused once that is over, and its orders
    /// are the session's.
    OfSession {
        session: SessionRef,
        input: Box<AccountInput>,
    },
}

/// A wish to have a session guarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardSession {
    pub session_id: OrderSessionId,
    /// It is guarded already, and this stream takes it over.
    pub resumes: bool,
    pub by: String,
    /// How long the session may be silent, see [`SHORTEST_SILENCE_NS`].
    ///
    /// [`SHORTEST_SILENCE_NS`]: super::SHORTEST_SILENCE_NS
    pub timeout_ns: i64,
}

/// A guarded session as the account knows it, and which of its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionRef {
    /// Sequence of its first `SessionGuarded`.
    pub guard: u64,
    /// Sequence of its newest: a stream whose session was taken over is no longer listened to.
    pub epoch: u64,
}

/// Each unit of the instrument becomes `numerator / denominator` units at the same cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstrumentSplit {
    pub request_id: Option<RequestId>,
    pub instrument_id: InstrumentId,
    /// Above zero, as the denominator is: 2 and 1 for two units out of one.
    pub numerator: u32,
    pub denominator: u32,
}

/// A wish to have orders canceled that this account did not place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignCancel {
    pub request_id: Option<RequestId>,
    /// At most 100; empty is all that the venue's last list has, of those the first 1,000.
    pub venue_order_ids: Vec<VenueOrderId>,
    pub by: String,
    pub reason: String,
}

/// What a person found out about an order that the venue does not tell of: it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveOrder {
    pub request_id: Option<RequestId>,
    pub key: OrderKey,
    pub by: String,
    pub reason: String,
}

/// Which working orders a cancel means. `None` is any.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CancelFilter {
    pub instrument_id: Option<InstrumentId>,
    pub strategy_id: Option<StrategyId>,
    pub side: Option<Side>,
}

/// The answer to a command. At most one for each input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The order as it stands now, denied ones too.
    Order(Box<Order>),
    /// The orders that a command over several touched.
    Orders(Vec<Order>),
    /// What became of each order of a list or batch, in the order that they were named in.
    Outcomes(Vec<Outcome>),
    /// The orders that are not ours whose cancel was decided.
    ForeignOrders(Vec<ForeignOrder>),
    /// Done; the journal sequence of the event, or of the state where nothing had to change.
    Done {
        sequence: u64,
    },
    /// The session is guarded.
    Guarded(SessionRef),
    Refused(Refusal),
}

/// What became of one order of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub key: OrderKey,
    /// The order as it stands, denied ones too; or why there is none.
    pub result: Result<Box<Order>, Refusal>,
}

/// A command that could not be taken; it left no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("client_order_id \"{0}\" is already used for another order: make a new one")]
    AlreadyExists(crate::ClientOrderId),
    /// The venue has an order of that id from elsewhere; nothing of the request was kept.
    #[error(
        "client_order_id \"{0}\" is used at the venue by an order that this account does not know: \
         see `apextrade accounts differences`, and make a new one"
    )]
    UsedAtVenue(crate::ClientOrderId),
    #[error("order_list_id \"{0}\" is already used for another list: make a new one")]
    ListExists(OrderListId),
    /// The same id with another content; a new request needs a new id.
    #[error("request_id \"{0}\" is already used for another request: make a new id for a new one")]
    RequestExists(RequestId),
    #[error("no such order: look at the id and the account")]
    OrderNotFound,
    #[error(
        "order \"{0}\" is not among the foreign orders of the venue's last list: see \
         `apextrade accounts differences`"
    )]
    ForeignOrderNotFound(VenueOrderId),
    #[error("unknown instrument \"{0}\"")]
    UnknownInstrument(InstrumentId),
    #[error("sequence is {actual}, not {expected}: read it again, then decide anew")]
    StaleSequence { expected: u64, actual: u64 },
    /// The order is in a state in which this is not possible.
    #[error("order is {0}, it can no longer be changed: a new one needs a new client_order_id")]
    OrderClosed(&'static str),
    /// Only what the venue does not tell may a person tell in its place.
    #[error(
        "order is {0}, and the venue has not left that open for long: cancel it, or wait until it \
         is UNKNOWN"
    )]
    OrderNotUnknown(&'static str),
    #[error("order has a change under way: wait until it has ended, then ask again")]
    ChangePending,
    /// A well-formed amend that breaks a rule.
    #[error("{}: {detail}", code.as_str())]
    Rule { code: ReasonCode, detail: String },
    /// Positions or orders are there that the other mode could not have.
    #[error(
        "position mode cannot change while {positions} positions are open and {orders} orders \
         work or are UNKNOWN: flatten the account and wait for its orders to end, then set it again"
    )]
    PositionModeInUse { positions: usize, orders: usize },
    /// As many closings are under way as an account may have; they end by themselves.
    #[error("{0} closings of positions are under way, wait until one of them has ended")]
    TooManyClosings(usize),
    #[error(
        "the account is not open: it has to agree with its venue first, see `apextrade accounts \
         differences`"
    )]
    NotOpen,
    /// A paper account that is to be reset must hold nothing and have nothing under way.
    #[error(
        "the account has {positions} open positions and {working_orders} working orders, and a \
         reset cancels and closes nothing: cancel the orders and flatten the account first"
    )]
    NotIdle {
        positions: usize,
        working_orders: usize,
    },
    #[error(
        "the session is over or another stream has taken it up: its orders were canceled if it \
         ended without a goodbye; look at your orders, then begin a new session"
    )]
    SessionOver,
    /// As many sessions are guarded as an account may have; they end by themselves.
    #[error("{0} sessions of the account are guarded, end one of them")]
    TooManySessions(usize),
    #[error("{field} {detail}")]
    Invalid { field: &'static str, detail: String },
    /// A field of one order of a list, by its place from 0.
    #[error("orders[{place}].{field} {detail}")]
    InvalidOrder {
        place: usize,
        field: &'static str,
        detail: String,
    },
}

/// What follows from one input, in order. A shell makes `events` durable first, then sends
/// `commands`, answers `reply` and publishes the events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// One atomic unit of the journal; already folded into the account.
    pub events: Vec<Recorded>,
    pub commands: Vec<VenueCommand>,
    pub reply: Option<Reply>,
    /// For each of `events` its order as it stood right after it. Empty unless made by
    /// [`Effects::with_orders`], since each is a copy that only a publisher needs.
    pub orders: Vec<Option<Arc<Order>>>,
    /// Whether `orders` is filled.
    pub keep_orders: bool,
}

impl Effects {
    /// Returns effects that keep the orders of their events as well.
    pub fn with_orders() -> Effects {
        Effects {
            keep_orders: true,
            ..Effects::default()
        }
    }

    pub fn clear(&mut self) {
        self.events.clear();
        self.orders.clear();
        self.commands.clear();
        self.reply = None;
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.commands.is_empty() && self.reply.is_none()
    }
}

/// An execution as it was booked.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ExecutionRecord {
    /// Journal sequence of its event.
    pub sequence: u64,
    /// When it was booked.
    pub ts: crate::UnixNanos,
    /// `None` for an execution of no order of ours.
    pub order_id: Option<crate::OrderId>,
    pub strategy_id: StrategyId,
    pub execution: crate::venue::Execution,
    /// The order had already ended.
    pub late: bool,
    /// The venue took it back: it counts no more.
    pub busted: bool,
    /// Which position of the strategy it moved.
    pub position_side: PositionSide,
}
