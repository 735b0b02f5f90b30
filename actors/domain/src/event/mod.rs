//! What an account decided: the only thing that its journal holds.
//!
//! Events are facts in the past tense. Folding the same events gives the same account, so every
//! number that a decision needed later is in the event itself. A change of a variant's fields
//! needs a new [`SCHEMA`] and a conversion from the old one; variants are only ever added at the
//! end, since their number is part of the encoding.

use crate::account::CancelFilter;
use crate::id::{
    AccountId, ClientOrderId, Currency, ExecId, InstrumentId, OrderId, OrderSessionId, RequestId,
    StrategyId, VenueOrderId,
};
use crate::instrument::Instrument;
use crate::money::Money;
use crate::number::{Price, Quantity};
use crate::order::{ListDefinition, OrderKey, PositionSide, SubmitOrder};
use crate::risk::platform::ShareTerm;
use crate::risk::{Limits, MarketRef, ReasonCode, TradingState};
use crate::time::UnixNanos;
use crate::venue::{Execution, VenueEnd};
use serde::{Deserialize, Serialize};

mod encoding;
mod guard;
mod v1;

pub use encoding::{DecodeError, SCHEMA};
pub use guard::GuardOutcome;

/// An event in its place. One journal record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Dense from 1 within an account.
    pub sequence: u64,
    /// When it was decided; in a replay the time of the recording.
    pub ts: UnixNanos,
    /// The venue's report sequence that this event came from; 0 when it came from elsewhere.
    /// The largest one seen is where a venue session resumes.
    pub venue_sequence: u64,
    pub event: Event,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    AccountOpened {
        account_id: AccountId,
        base_currency: Currency,
        mode: AccountMode,
    },
    CashAdjusted {
        request_id: Option<RequestId>,
        currency: Currency,
        amount: Money,
        reason: String,
    },
    LimitsSet {
        request_id: Option<RequestId>,
        limits: Box<Limits>,
    },
    /// The definition by which everything behind it is counted. Comes before the first order of
    /// an instrument and again when the venue changes it.
    InstrumentDefined { instrument: Box<Instrument> },
    TradingStateChanged {
        request_id: Option<RequestId>,
        state: TradingState,
        by: String,
        reason: String,
    },

    /// An order was taken. The market as it was seen is kept with it.
    OrderInitialized {
        order_id: OrderId,
        request: Box<SubmitOrder>,
        market: MarketRef,
        /// The total quantity that it is: the one asked for, or what its notional buys.
        quantity: Quantity,
        /// When it ends, where it ends by itself: a DAY order with its trading day.
        expires_at: Option<UnixNanos>,
    },
    /// Our own checks said no.
    OrderDenied {
        order_id: OrderId,
        reason_code: ReasonCode,
        reason: String,
    },
    /// The order leaves for the venue once this is durable.
    OrderSubmitted { order_id: OrderId },
    OrderAccepted {
        order_id: OrderId,
        venue_order_id: VenueOrderId,
        ts_event: UnixNanos,
    },
    /// The venue said no.
    OrderRejected {
        order_id: OrderId,
        reason_code: ReasonCode,
        reason: String,
        ts_event: UnixNanos,
    },
    /// The outcome is not known; what the order could still do stays reserved.
    OrderUnknown {
        order_id: OrderId,
        reason_code: ReasonCode,
    },
    OrderPendingAmend {
        order_id: OrderId,
        request_id: Option<RequestId>,
        quantity: Quantity,
        limit_price: Option<Price>,
        stop_price: Option<Price>,
    },
    OrderAmended {
        order_id: OrderId,
        quantity: Quantity,
        limit_price: Option<Price>,
        stop_price: Option<Price>,
        ts_event: UnixNanos,
    },
    /// The amend was refused; the state before it holds again.
    OrderAmendRejected {
        order_id: OrderId,
        reason: String,
        ts_event: UnixNanos,
    },
    OrderPendingCancel {
        order_id: OrderId,
        request_id: Option<RequestId>,
        reason_code: ReasonCode,
    },
    /// The cancel was refused; the state before it holds again.
    OrderCancelRejected {
        order_id: OrderId,
        reason: String,
        ts_event: UnixNanos,
    },
    OrderCanceled {
        order_id: OrderId,
        reason_code: ReasonCode,
        ts_event: UnixNanos,
    },
    OrderExpired {
        order_id: OrderId,
        reason_code: ReasonCode,
        ts_event: UnixNanos,
    },
    OrderTriggered {
        order_id: OrderId,
        ts_event: UnixNanos,
    },
    /// An execution. `late` when the order had already ended: it is real all the same.
    OrderFilled {
        order_id: OrderId,
        execution: Box<Execution>,
        late: bool,
    },
    /// The venue says that the order ended, but not all fills that it counts have come yet.
    OrderEndHeld {
        order_id: OrderId,
        end: VenueEnd,
        reason_code: ReasonCode,
        cumulative_quantity: Quantity,
        ts_event: UnixNanos,
    },
    /// A report that cannot be true. Kept for a person, applied nowhere.
    ReportQuarantined {
        client_order_id: ClientOrderId,
        reason: QuarantineReason,
        detail: String,
    },
    /// An execution of an order that this account never sent, booked to `EXTERNAL`.
    ExternalFilled { execution: Box<Execution> },

    /// Orders that belong together; each follows as an order of its own.
    ListInitialized { list: Box<ListDefinition> },
    /// The order stays here for now: the venue does not know its kind, or its parent has not
    /// traded yet.
    OrderHeld { order_id: OrderId, hold: Hold },
    /// A trailing stop that is held here has a new stop price. `best` is the price it follows.
    OrderTrailed {
        order_id: OrderId,
        stop_price: Price,
        best: Price,
    },
    /// The venue took an execution back. `execution` is what was booked, or with `booked` false
    /// what never will be; without it only the id is known so far.
    ExecutionBusted {
        order_id: Option<OrderId>,
        exec_id: ExecId,
        instrument_id: InstrumentId,
        execution: Option<Box<Execution>>,
        booked: bool,
        ts_event: UnixNanos,
    },
    /// Funding of a perpetual contract; positive was received.
    FundingPaid {
        instrument_id: InstrumentId,
        strategy_id: StrategyId,
        currency: Currency,
        amount: Money,
        /// The venue's id of the payment: the same one again changes nothing.
        funding_id: ExecId,
        ts_event: UnixNanos,
    },
    /// Every position of the instrument becomes `numerator / denominator` times as many units at
    /// the same cost.
    InstrumentSplit {
        request_id: Option<RequestId>,
        instrument_id: InstrumentId,
        numerator: u32,
        denominator: u32,
    },
    /// Reconciliation found a position that differs from the venue's: the execution, made up,
    /// that explains it, booked to `EXTERNAL`.
    PositionReconciled { execution: Box<Execution> },
    /// Reconciliation found a balance that differs from the venue's.
    BalanceReconciled { currency: Currency, amount: Money },
    /// A command over several orders or positions was taken; what it does follows.
    CommandTaken {
        request_id: Option<RequestId>,
        command: Box<Command>,
    },
    /// The positions that the command of event `taken` meant to close are closed, or cannot be.
    CloseEnded { taken: u64, outcome: CloseOutcome },
    /// What loss limits measure from: the equity at the start of the day, and the highest one.
    EquityMarked {
        day_start: Money,
        highest: Money,
        /// Start of the day, UTC.
        day: UnixNanos,
    },
    /// From here on the account keeps its worst case within this share of the platform's exposure
    /// limit; `None` is no limit.
    PlatformShareSet {
        term: ShareTerm,
        currency: Currency,
        share: Option<Money>,
    },
    /// A part of the equity has no fresh price or rate: loss limits cannot be measured from here
    /// on, and see nothing.
    LossesUnmeasured,
    /// All of the equity is known again, or no limit asks for it any more.
    LossesMeasured,
    /// The cancel of an order at the venue that is not ours has ended.
    ForeignCancelEnded {
        venue_order_id: VenueOrderId,
        outcome: ForeignOutcome,
        /// The venue's words; empty where it had none.
        detail: String,
    },
    /// The venue has no icebergs, so it is shown this part of the order as an order of its own:
    /// the next `number`, or with the last one again the same part or another quantity of it.
    /// Leaves for the venue once this is durable.
    OrderSliced {
        order_id: OrderId,
        /// From 1 within the order.
        number: u32,
        /// Total quantity of the part, what is filled of it included.
        quantity: Quantity,
    },
    /// The order stays here until the opening or the close that it is for: the venue takes no
    /// such orders. It leaves at `at` or soon after, and never at `until` or later.
    OrderHeldUntil {
        order_id: OrderId,
        at: UnixNanos,
        until: UnixNanos,
    },
    /// The contract has ended: the execution, made up, that settles a strategy's position of it.
    PositionSettled {
        strategy_id: StrategyId,
        position_side: PositionSide,
        execution: Box<Execution>,
    },
    /// Which orders the account takes from here on: those of one net position, or those that name
    /// a side. There was no position and no working order, or nothing changed.
    PositionModeSet {
        request_id: Option<RequestId>,
        mode: PositionMode,
        by: String,
    },
    /// As [`Event::PositionReconciled`], of one side of a hedging account.
    SideReconciled {
        position_side: PositionSide,
        execution: Box<Execution>,
    },
    /// From here on the account cancels the orders of this session once it has not been heard of
    /// for `timeout_ns`. The same session again: another stream has taken it over.
    SessionGuarded {
        session_id: OrderSessionId,
        by: String,
        timeout_ns: i64,
    },
    /// The order is from here on one of the session whose first `SessionGuarded` has the sequence
    /// `guard`.
    OrderGuarded { order_id: OrderId, guard: u64 },
    /// The guard is over. Unless it was let go, its working orders are canceled: the cancels follow,
    /// and what they did not come to is canceled later.
    GuardEnded { guard: u64, outcome: GuardOutcome },
}

/// A command over several orders or positions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Cancel the working orders that the filter names.
    Cancel(CancelFilter),
    /// Cancel these orders.
    CancelOrders(Vec<OrderKey>),
    /// Close the positions that the scope names with orders of the platform's own.
    Close(CloseScope),
    /// The kill switch.
    Halt { cancel: bool, flatten: bool },
    /// Cancel orders at the venue that are not ours.
    CancelForeign(CancelForeign),
    /// An order whose outcome was not known is not at the venue, a person says.
    Resolve(Resolve),
}

/// A person's word that an order is not at the venue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolve {
    pub order_id: OrderId,
    pub by: String,
    pub reason: String,
}

/// A person's wish to have orders canceled that this account did not place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelForeign {
    /// The orders that were named; empty asked for all that the venue listed.
    pub asked: Vec<VenueOrderId>,
    /// The orders that were meant.
    pub orders: Vec<ForeignOrder>,
    pub by: String,
    pub reason: String,
}

/// An order at the venue that is not ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignOrder {
    pub venue_order_id: VenueOrderId,
    /// `None` where it was placed without one.
    pub client_order_id: Option<ClientOrderId>,
    pub instrument_id: InstrumentId,
}

/// How the cancel of an order that is not ours ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ForeignOutcome {
    /// The venue reported the order's end.
    Ended,
    /// The venue no longer lists the order.
    Gone,
    /// The venue refused the cancel.
    Refused,
}

/// Which positions are closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseScope {
    /// All instruments when empty.
    pub instrument_id: Option<InstrumentId>,
    /// Each strategy's own position; all strategies when empty.
    pub strategy_id: Option<StrategyId>,
    /// The id of the first closing order; made from the event's sequence when empty.
    pub client_order_id: Option<ClientOrderId>,
}

/// How the closing of positions ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CloseOutcome {
    /// Nothing is left of them.
    Flat,
    /// What is left cannot be ordered: less than the instrument's smallest order, or coins that
    /// went for fees.
    Dust,
    /// Several closing orders ended without closing them; a person has to look.
    GaveUp,
    /// It was the kill switch's, and trading was resumed before it had ended.
    Resumed,
}

/// Why an order is held here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Hold {
    /// The venue lacks its kind: it is sent when its condition is met.
    Emulated,
    /// It is sent when its parent trades.
    Parent,
    /// The venue takes no orders for the opening or the close: it is sent at its moment.
    Session,
}

/// How an account trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AccountMode {
    Paper,
    Backtest,
    Live,
}

/// How an account keeps the positions of a contract. A spot holding is always one net position.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum PositionMode {
    /// One position for each strategy and instrument: no order names a side.
    #[default]
    Netting,
    /// A long and a short one beside each other: each order names the side that it means.
    Hedging,
}

/// Why a report was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum QuarantineReason {
    /// More was filled than was ordered. The execution itself is booked all the same.
    Overfill,
    /// A known execution id with other content.
    ConflictingExecution,
    /// The order's state has no such transition.
    IllegalTransition,
    /// No order of ours, and not an execution.
    UnknownOrder,
    /// An execution that cannot be booked: its instrument is not known, its quantity is not
    /// above zero, or no number of ours holds the result.
    Unbookable,
}

impl Event {
    /// Returns the order that the event is about, if it is about one.
    pub fn order_id(&self) -> Option<&OrderId> {
        match self {
            Event::OrderInitialized { order_id, .. }
            | Event::OrderDenied { order_id, .. }
            | Event::OrderSubmitted { order_id }
            | Event::OrderAccepted { order_id, .. }
            | Event::OrderRejected { order_id, .. }
            | Event::OrderUnknown { order_id, .. }
            | Event::OrderPendingAmend { order_id, .. }
            | Event::OrderAmended { order_id, .. }
            | Event::OrderAmendRejected { order_id, .. }
            | Event::OrderPendingCancel { order_id, .. }
            | Event::OrderCancelRejected { order_id, .. }
            | Event::OrderCanceled { order_id, .. }
            | Event::OrderExpired { order_id, .. }
            | Event::OrderTriggered { order_id, .. }
            | Event::OrderFilled { order_id, .. }
            | Event::OrderEndHeld { order_id, .. }
            | Event::OrderHeld { order_id, .. }
            | Event::OrderTrailed { order_id, .. }
            | Event::OrderSliced { order_id, .. }
            | Event::OrderHeldUntil { order_id, .. } => Some(order_id),
            // Of the session, and no change of the order.
            Event::OrderGuarded { .. } => None,
            Event::ExecutionBusted { order_id, .. } => order_id.as_ref(),
            Event::AccountOpened { .. }
            | Event::CashAdjusted { .. }
            | Event::LimitsSet { .. }
            | Event::InstrumentDefined { .. }
            | Event::TradingStateChanged { .. }
            | Event::ReportQuarantined { .. }
            | Event::ExternalFilled { .. }
            | Event::ListInitialized { .. }
            | Event::CommandTaken { .. }
            | Event::CloseEnded { .. }
            | Event::FundingPaid { .. }
            | Event::InstrumentSplit { .. }
            | Event::PositionReconciled { .. }
            | Event::PositionSettled { .. }
            | Event::BalanceReconciled { .. }
            | Event::EquityMarked { .. }
            | Event::PlatformShareSet { .. }
            | Event::LossesUnmeasured
            | Event::LossesMeasured
            | Event::ForeignCancelEnded { .. }
            | Event::PositionModeSet { .. }
            | Event::SideReconciled { .. }
            | Event::SessionGuarded { .. }
            | Event::GuardEnded { .. } => None,
        }
    }
}
