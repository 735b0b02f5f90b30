//! What a run met: inputs, events, reasons, by kind and variant.
//!
//! Each list of variants is made beside a `match` over all of them, so that a new variant does not
//! compile until it is listed, and is then missed by the test that wants every one to occur.

use apex_domain::account::{AccountInput, Effects, Refusal, Reply};
use apex_domain::event::{CloseOutcome, Command, Event, Hold, QuarantineReason};
use apex_domain::order::{Contingency, OrderStatus, OrderType, TimeInForce};
use apex_domain::reconcile::{DifferenceKind, ReconcileReport, Resolution};
use apex_domain::risk::ReasonCode;
use apex_domain::venue::VenueReport;
use std::collections::BTreeMap;

/// How often each variant of each kind occurred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<(&'static str, &'static str), u64>);

macro_rules! variants {
    ($name:ident, $all:ident, $of:ident: $($variant:ident)*) => {
        fn $name(value: &$of) -> &'static str {
            match value {
                $($of::$variant { .. } => stringify!($variant),)*
            }
        }
        const $all: &[&str] = &[$(stringify!($variant)),*];
    };
}

variants!(input, INPUTS, AccountInput: Open AdjustCash SetLimits DefineInstrument SetTradingState
    Submit Amend Cancel CancelAll CancelOrders SubmitList Close Halt Market Report SessionLost
    SessionReady Tick Funding Split Reconcile RequireReconciliation OfferShare CancelForeign
    ResetPaper SetPositionMode ResolveOrder GuardSession KeepSession EndSession OfSession);

variants!(event, EVENTS, Event: AccountOpened CashAdjusted LimitsSet InstrumentDefined
    TradingStateChanged OrderInitialized OrderDenied OrderSubmitted OrderAccepted OrderRejected
    OrderUnknown OrderPendingAmend OrderAmended OrderAmendRejected OrderPendingCancel
    OrderCancelRejected OrderCanceled OrderExpired OrderTriggered OrderFilled OrderEndHeld
    ReportQuarantined ExternalFilled ListInitialized OrderHeld OrderTrailed ExecutionBusted
    FundingPaid InstrumentSplit PositionReconciled BalanceReconciled CommandTaken CloseEnded
    EquityMarked PlatformShareSet LossesUnmeasured LossesMeasured ForeignCancelEnded
    OrderSliced OrderHeldUntil PositionSettled PositionModeSet SideReconciled
    SessionGuarded OrderGuarded GuardEnded);

variants!(reason, REASONS, ReasonCode: PriceIncrement QuantityIncrement MinQuantity MaxQuantity
    MinNotional MaxNotional PriceCollar NoReferencePrice InsufficientBuyingPower PositionLimit
    ExposureLimit OpenOrderLimit OrderRate ReduceOnly TradingHalted TradingReducing SelfTrade
    NumericRange VenueRejected PostOnlyWouldTrade NoLiquidity CanceledByUser CanceledByRisk
    NotAtVenue NoAnswer Restarted Reconciled VenueCanceled TimeOver Contingency ListDenied
    ExecutionBusted Unsupported NoConversionRate Concentration LossLimit DrawdownLimit
    MarketClosed Liquidation PositionTooSmall PositionSideInNetting PositionSideRequired Resolved
    CanceledOnDisconnect);

variants!(report, REPORTS, VenueReport: Accepted Rejected Filled Ended Amended AmendRejected
    CancelRejected Status Triggered Busted NotFound Funding);

variants!(quarantine, QUARANTINES, QuarantineReason: Overfill ConflictingExecution
    IllegalTransition UnknownOrder Unbookable);

variants!(refusal, REFUSALS, Refusal: AlreadyExists ListExists OrderNotFound UnknownInstrument
    StaleSequence OrderClosed ChangePending Rule NotOpen Invalid TooManyClosings RequestExists
    ForeignOrderNotFound InvalidOrder NotIdle PositionModeInUse OrderNotUnknown
    UsedAtVenue SessionOver TooManySessions);

variants!(command, COMMANDS, Command: Cancel CancelOrders Close Halt CancelForeign Resolve);
variants!(outcome, OUTCOMES, CloseOutcome: Flat Dust GaveUp Resumed);
variants!(hold, HOLDS, Hold: Emulated Parent Session);
variants!(difference, DIFFERENCES, DifferenceKind: OrderUnknownHere OrderUnknownAtVenue OrderTerms
    ExecutionMissingHere ExecutionMissingAtVenue Position Balance);
variants!(resolution, RESOLUTIONS, Resolution: Waiting Asked Booked Adjusted TakenOver CancelSent
    Listed Alarmed);
variants!(contingency, CONTINGENCIES, Contingency: None Oco Oto Ouo Bracket);
variants!(order_type, ORDER_TYPES, OrderType: Market Limit Stop StopLimit MarketIfTouched
    LimitIfTouched MarketToLimit TrailingStop);
variants!(time_in_force, TIMES_IN_FORCE, TimeInForce: Gtc Ioc Fok Day Gtd AtOpen AtClose);
variants!(status, STATUSES, OrderStatus: PendingNew Denied Submitted Unknown Accepted Rejected
    Triggered PartiallyFilled Filled PendingAmend PendingCancel Canceled Expired);

/// What became of an order that was held for an opening or a close.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    LeftAtOpen,
    LeftAtClose,
    /// Its time was over before it could leave: a minute after the opening at the latest.
    OverAtOpen,
    OverAtClose,
}

variants!(moment, MOMENTS, Moment: LeftAtOpen LeftAtClose OverAtOpen OverAtClose);

/// Every kind with all of its variants.
const ALL: [(&str, &[&str]); 16] = [
    ("input", INPUTS),
    ("event", EVENTS),
    ("reason", REASONS),
    ("report", REPORTS),
    ("quarantine", QUARANTINES),
    ("refusal", REFUSALS),
    ("command", COMMANDS),
    ("close", OUTCOMES),
    ("hold", HOLDS),
    ("difference", DIFFERENCES),
    ("resolution", RESOLUTIONS),
    ("contingency", CONTINGENCIES),
    ("order_type", ORDER_TYPES),
    ("time_in_force", TIMES_IN_FORCE),
    ("status", STATUSES),
    ("moment", MOMENTS),
];

impl Coverage {
    fn note(&mut self, kind: &'static str, variant: &'static str) {
        *self.0.entry((kind, variant)).or_default() += 1;
    }

    pub(crate) fn take_moment(&mut self, met: Moment) {
        self.note("moment", moment(&met));
    }

    pub(crate) fn take_input(&mut self, given: &AccountInput) {
        self.note("input", input(given));
        match given {
            AccountInput::Report { report: told, .. } => self.note("report", report(told)),
            AccountInput::OfSession { input, .. } => self.take_input(input),
            AccountInput::SubmitList { list, .. } => {
                self.note("contingency", contingency(&list.contingency));
            }
            _ => {}
        }
    }

    pub(crate) fn take_effects(&mut self, effects: &Effects) {
        for recorded in &effects.events {
            self.take_event(&recorded.event);
        }
        match &effects.reply {
            Some(Reply::Refused(refused)) => self.note("refusal", refusal(refused)),
            Some(Reply::Outcomes(outcomes)) => {
                let refused = outcomes.iter().filter_map(|one| one.result.as_ref().err());
                refused.for_each(|one| self.note("refusal", refusal(one)));
            }
            Some(Reply::Order(order)) => self.note("status", status(&order.status)),
            _ => {}
        }
    }

    fn take_event(&mut self, happened: &Event) {
        self.note("event", event(happened));
        match happened {
            Event::OrderInitialized { request, .. } => {
                self.note("order_type", order_type(&request.order_type));
                self.note("time_in_force", time_in_force(&request.time_in_force));
            }
            Event::OrderDenied { reason_code, .. }
            | Event::OrderRejected { reason_code, .. }
            | Event::OrderUnknown { reason_code, .. }
            | Event::OrderPendingCancel { reason_code, .. }
            | Event::OrderCanceled { reason_code, .. }
            | Event::OrderExpired { reason_code, .. }
            | Event::OrderEndHeld { reason_code, .. } => self.note("reason", reason(reason_code)),
            Event::ExecutionBusted { booked: true, .. } => {
                self.note("reason", reason(&ReasonCode::ExecutionBusted));
            }
            Event::ReportQuarantined { reason, .. } => {
                self.note("quarantine", quarantine(reason));
            }
            Event::OrderHeld { hold: held, .. } => self.note("hold", hold(held)),
            Event::OrderHeldUntil { .. } => self.note("hold", hold(&Hold::Session)),
            Event::CommandTaken { command: taken, .. } => self.note("command", command(taken)),
            Event::CloseEnded { outcome: ended, .. } => self.note("close", outcome(ended)),
            _ => {}
        }
    }

    pub(crate) fn take_reconciliation(&mut self, told: &ReconcileReport) {
        for found in &told.found {
            self.note("difference", difference(&found.difference.kind()));
            self.note("resolution", resolution(&found.resolution));
        }
    }

    /// Adds what another run met.
    pub fn add(&mut self, other: &Coverage) {
        for (key, count) in &other.0 {
            *self.0.entry(*key).or_default() += count;
        }
    }

    /// Returns what did not occur, as `kind Variant`, of everything that there is.
    pub fn missing(&self) -> Vec<String> {
        let listed = ALL.iter();
        let listed = listed.flat_map(|(kind, all)| all.iter().map(|variant| (*kind, *variant)));
        listed
            .filter(|key| !self.0.contains_key(key))
            .map(|(kind, variant)| format!("{kind} {variant}"))
            .collect()
    }

    /// Returns how often each variant occurred, one kind a line.
    pub fn table(&self) -> String {
        let mut table = String::new();
        let mut last = "";
        for ((kind, variant), count) in &self.0 {
            let begin = if *kind == last {
                " ".to_owned()
            } else {
                format!("\n{kind}: ")
            };
            table.push_str(&format!("{begin}{variant} {count}"));
            last = kind;
        }
        table
    }
}
