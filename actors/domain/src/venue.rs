//! What an account says to a venue and what a venue reports back, free of any wire.

use crate::Currency;
use crate::id::{ClientOrderId, ExecId, InstrumentId, VenueOrderId};
use crate::market::Side;
use crate::money::{Money, Rate};
use crate::number::{Price, Quantity};
use crate::order::{OrderTerms, OrderType, TimeInForce};
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};

/// A new order as it goes to the venue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    pub client_order_id: ClientOrderId,
    pub instrument_id: InstrumentId,
    pub side: Side,
    pub order_type: OrderType,
    pub quantity: Quantity,
    pub limit_price: Option<Price>,
    pub time_in_force: TimeInForce,
    pub post_only: bool,
    pub reduce_only: bool,
    /// Everything else; `expire_at` is set for DAY orders too.
    #[serde(default)]
    pub terms: OrderTerms,
}

/// A command to a venue. Leaves only after the event that decided it is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VenueCommand {
    New(NewOrder),
    Amend {
        client_order_id: ClientOrderId,
        instrument_id: InstrumentId,
        /// The new total quantity, filled part included.
        quantity: Quantity,
        limit_price: Option<Price>,
        #[serde(default)]
        stop_price: Option<Price>,
    },
    Cancel {
        client_order_id: ClientOrderId,
        instrument_id: InstrumentId,
    },
    /// Asks what became of an order; answered by `Status` or `NotFound`.
    Query {
        client_order_id: ClientOrderId,
        instrument_id: InstrumentId,
    },
    /// Cancels an order that this account did not place, which may have no client order id. One
    /// that the venue does not have is not answered: its list of orders tells.
    CancelForeign {
        venue_order_id: VenueOrderId,
        instrument_id: InstrumentId,
    },
}

impl VenueCommand {
    /// Returns true for what only takes away: it never has to wait behind what adds.
    pub fn is_cancel(&self) -> bool {
        matches!(
            self,
            VenueCommand::Cancel { .. } | VenueCommand::CancelForeign { .. }
        )
    }

    /// Returns the order of ours that it is about; `None` where it is about none.
    pub fn client_order_id(&self) -> Option<&ClientOrderId> {
        match self {
            VenueCommand::New(order) => Some(&order.client_order_id),
            VenueCommand::Amend {
                client_order_id, ..
            }
            | VenueCommand::Cancel {
                client_order_id, ..
            }
            | VenueCommand::Query {
                client_order_id, ..
            } => Some(client_order_id),
            VenueCommand::CancelForeign { .. } => None,
        }
    }

    pub fn instrument_id(&self) -> &InstrumentId {
        match self {
            VenueCommand::New(order) => &order.instrument_id,
            VenueCommand::Amend { instrument_id, .. }
            | VenueCommand::Cancel { instrument_id, .. }
            | VenueCommand::CancelForeign { instrument_id, .. }
            | VenueCommand::Query { instrument_id, .. } => instrument_id,
        }
    }
}

/// One execution (FIX 150=F). De-duplicated by `exec_id`; a repeat with other content is
/// quarantined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    pub exec_id: ExecId,
    pub client_order_id: ClientOrderId,
    pub instrument_id: InstrumentId,
    pub side: Side,
    /// FIX 32.
    pub last_quantity: Quantity,
    /// FIX 31.
    pub last_price: Price,
    /// Positive is paid by us.
    pub fee: Money,
    pub fee_currency: Currency,
    /// True when our order was resting.
    pub maker: bool,
    pub ts_event: UnixNanos,
}

/// Funding of a perpetual contract, for the whole account. The same id of the same instrument
/// again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FundingPayment {
    pub instrument_id: InstrumentId,
    /// The venue's id of the payment.
    pub funding_id: ExecId,
    pub currency: Currency,
    /// Positive was received.
    pub amount: Money,
    pub ts_event: UnixNanos,
}

/// How an order ended at the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum VenueEnd {
    Canceled,
    Expired,
}

/// Where an order stands at the venue, as the answer to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum VenueStatus {
    Working,
    Filled,
    Canceled,
    Expired,
    Rejected,
}

/// A report of a venue about one order, or of funding. Reports may come late, twice, or in another
/// order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VenueReport {
    Accepted {
        client_order_id: ClientOrderId,
        venue_order_id: VenueOrderId,
        ts_event: UnixNanos,
    },
    /// The new order was refused.
    Rejected {
        client_order_id: ClientOrderId,
        reason: RejectReason,
        text: String,
        ts_event: UnixNanos,
    },
    Filled(Execution),
    /// The order ended with `cumulative_quantity` filled in all; it counts only when our own
    /// filled quantity equals that.
    Ended {
        client_order_id: ClientOrderId,
        end: VenueEnd,
        reason: EndReason,
        cumulative_quantity: Quantity,
        ts_event: UnixNanos,
    },
    /// The new total quantity and price hold.
    Amended {
        client_order_id: ClientOrderId,
        quantity: Quantity,
        limit_price: Option<Price>,
        #[serde(default)]
        stop_price: Option<Price>,
        ts_event: UnixNanos,
    },
    AmendRejected {
        client_order_id: ClientOrderId,
        text: String,
        ts_event: UnixNanos,
    },
    CancelRejected {
        client_order_id: ClientOrderId,
        text: String,
        ts_event: UnixNanos,
    },
    /// Answer to a query. `executions` are all that the venue has for this order.
    Status {
        client_order_id: ClientOrderId,
        venue_order_id: VenueOrderId,
        status: VenueStatus,
        quantity: Quantity,
        limit_price: Option<Price>,
        /// Of a conditional order; `None` where the venue does not tell.
        #[serde(default)]
        stop_price: Option<Price>,
        executions: Vec<Execution>,
        ts_event: UnixNanos,
    },
    /// A conditional order triggered and works from now on.
    Triggered {
        client_order_id: ClientOrderId,
        ts_event: UnixNanos,
    },
    /// The venue took an execution back (FIX 150=H).
    Busted {
        client_order_id: ClientOrderId,
        exec_id: ExecId,
        instrument_id: InstrumentId,
        ts_event: UnixNanos,
    },
    /// Answer to a query: no such order. With `proof`, nothing that we sent, or have decided to
    /// send, can still arrive: the order goes out again on it. So it is judged at the moment
    /// when the account takes the report, and is no proof while a `New` of this order still
    /// waits to become durable or to leave. Clocks do not replace that rule, since a venue's
    /// may be ahead of ours.
    NotFound {
        client_order_id: ClientOrderId,
        proof: bool,
        ts_event: UnixNanos,
    },
    /// Funding was paid by the positions of the account, of no order.
    Funding {
        payment: FundingPayment,
        /// Share of the notional that longs paid, negative where shorts did.
        rate: Rate,
        /// The price that the notional was counted at.
        mark: Price,
    },
}

impl VenueReport {
    /// Returns the order that it is about; `None` where it is about none.
    pub fn client_order_id(&self) -> Option<&ClientOrderId> {
        Some(match self {
            VenueReport::Funding { .. } => return None,
            VenueReport::Filled(execution) => &execution.client_order_id,
            VenueReport::Accepted {
                client_order_id, ..
            }
            | VenueReport::Rejected {
                client_order_id, ..
            }
            | VenueReport::Ended {
                client_order_id, ..
            }
            | VenueReport::Amended {
                client_order_id, ..
            }
            | VenueReport::AmendRejected {
                client_order_id, ..
            }
            | VenueReport::CancelRejected {
                client_order_id, ..
            }
            | VenueReport::Status {
                client_order_id, ..
            }
            | VenueReport::Triggered {
                client_order_id, ..
            }
            | VenueReport::Busted {
                client_order_id, ..
            }
            | VenueReport::NotFound {
                client_order_id, ..
            } => client_order_id,
        })
    }
}

/// Why a venue refused a new order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RejectReason {
    /// A post-only order would have traded at once.
    PostOnlyWouldTrade,
    UnknownInstrument,
    DuplicateClientOrderId,
    /// A market order without anything to trade with.
    NoLiquidity,
    Other,
    /// The order type, or one of its terms, is not known at the venue.
    Unsupported,
    /// Trading in the instrument is halted, or its session is closed.
    Halted,
    /// A price beyond the venue's own bands.
    PriceBand,
    /// Not enough margin or balance at the venue.
    InsufficientFunds,
}

/// Why an order ended at the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EndReason {
    /// We asked for it.
    Requested,
    /// The rest of an IOC or market order, or a FOK order that could not be filled whole.
    NoLiquidity,
    Other,
    /// It would have traded with an order of the same account.
    SelfTrade,
    /// Its time was over (DAY, GTD, at open, at close).
    TimeOver,
    /// The venue closed a position that its margin no longer covered.
    Liquidation,
}

/// A simulated venue that decides fills from market events, inside one total order: every market
/// event is shown to it before any strategy sees it, and every command is answered by the
/// reports that it puts out at once or on a later event.
pub trait VenueModel {
    /// Takes the next market event and puts out the reports that follow from it.
    fn on_market(&mut self, event: &crate::market::MarketEvent, out: &mut Vec<VenueReport>);

    /// Takes a command at `now` and puts out the reports that follow at once.
    fn on_command(&mut self, now: UnixNanos, command: &VenueCommand, out: &mut Vec<VenueReport>);

    /// Takes what the venue itself decides at `now`. A model without such decisions ignores it.
    fn on_control(
        &mut self,
        _now: UnixNanos,
        _control: &VenueControl,
        _out: &mut Vec<VenueReport>,
    ) {
    }

    /// Lets time pass until `now`: what ends by the clock before it ends. Market events and
    /// commands do that too.
    fn on_time(&mut self, _now: UnixNanos, _out: &mut Vec<VenueReport>) {}

    /// Counts positions of an instrument anew after each of its units became
    /// `numerator / denominator`, both above zero: a fraction is cut off. Prices of before are
    /// forgotten. Working orders are for the account to cancel.
    fn on_split(&mut self, _id: &InstrumentId, _numerator: u32, _denominator: u32) {}

    /// Returns when the next command or report arrives that is under way; `None` when none is. Unlike
    /// what else is due, it is awaited even where the market stands still.
    fn next_arrival(&self) -> Option<UnixNanos> {
        None
    }

    /// Returns when something happens by the clock alone, so that its driver can wake it; `None`
    /// when nothing does.
    fn next_due(&self) -> Option<UnixNanos> {
        None
    }
}

/// What a venue decides about its own trading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueControl {
    /// Nothing trades in an instrument until it resumes (FIX 326=2): new orders and amends are
    /// refused, cancels pass, resting orders stay.
    Halt { instrument_id: InstrumentId },
    /// Ends a halt (FIX 326=3).
    Resume { instrument_id: InstrumentId },
    /// A session of an instrument opens or closes (FIX 340).
    Session {
        instrument_id: InstrumentId,
        edge: SessionEdge,
    },
    /// Takes an execution back (FIX 150=H).
    Bust { exec_id: ExecId },
}

/// Which end of a session it is. Without a word about extended hours it is the regular one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEdge {
    Open,
    Close,
    /// Trade before or after the regular session begins, for orders that ask for it (FIX 336).
    ExtendedOpen,
    /// It ends, and no regular session follows at once.
    ExtendedClose,
}
