//! What can differ between an account and its venue, and what becomes of it.

use super::snapshot::VenueOpenOrder;
use crate::id::{ClientOrderId, Currency, ExecId, InstrumentId};
use crate::money::Money;
use crate::number::{Price, Quantity};
use crate::order::PositionSide;
use crate::time::UnixNanos;
use crate::venue::Execution;

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DifferenceKind {
    /// The venue works an order that this account does not know, or that has ended here.
    OrderUnknownHere,
    /// An order is open here and the venue does not list it.
    OrderUnknownAtVenue,
    /// Quantity, price or filled quantity of an open order.
    OrderTerms,
    ExecutionMissingHere,
    /// An execution is booked here and the venue does not list it.
    ExecutionMissingAtVenue,
    Position,
    Balance,
}

impl DifferenceKind {
    pub const ALL: [DifferenceKind; 7] = [
        DifferenceKind::OrderUnknownHere,
        DifferenceKind::OrderUnknownAtVenue,
        DifferenceKind::OrderTerms,
        DifferenceKind::ExecutionMissingHere,
        DifferenceKind::ExecutionMissingAtVenue,
        DifferenceKind::Position,
        DifferenceKind::Balance,
    ];

    /// Returns the kind as metrics and logs name it, such as `order_terms`.
    pub fn as_str(self) -> &'static str {
        match self {
            DifferenceKind::OrderUnknownHere => "order_unknown_here",
            DifferenceKind::OrderUnknownAtVenue => "order_unknown_at_venue",
            DifferenceKind::OrderTerms => "order_terms",
            DifferenceKind::ExecutionMissingHere => "execution_missing_here",
            DifferenceKind::ExecutionMissingAtVenue => "execution_missing_at_venue",
            DifferenceKind::Position => "position",
            DifferenceKind::Balance => "balance",
        }
    }
}

/// The figures of an open order that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderFigures {
    pub quantity: Quantity,
    pub limit_price: Option<Price>,
    pub stop_price: Option<Price>,
    pub filled_quantity: Quantity,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    OrderUnknownHere {
        order: Box<VenueOpenOrder>,
        /// It is ours, and has ended here.
        ended: bool,
    },
    OrderUnknownAtVenue {
        client_order_id: ClientOrderId,
        instrument_id: InstrumentId,
    },
    OrderTerms {
        client_order_id: ClientOrderId,
        instrument_id: InstrumentId,
        ours: OrderFigures,
        venue: OrderFigures,
    },
    ExecutionMissingHere {
        execution: Box<Execution>,
    },
    ExecutionMissingAtVenue {
        exec_id: ExecId,
        instrument_id: InstrumentId,
    },
    /// Signed, at the instrument's quantity decimals, of all strategies together.
    Position {
        instrument_id: InstrumentId,
        /// Which side, where each is compared by itself; `None` is all together.
        side: Option<PositionSide>,
        ours: i64,
        venue: i64,
        /// The venue's average price, where it tells one.
        price: Option<Price>,
    },
    Balance {
        currency: Currency,
        /// Cash and the spot positions in this asset.
        ours: Money,
        venue: Money,
    },
}

/// What a difference is about: the same in the next snapshot.
pub(super) type DifferenceKey = (DifferenceKind, String);

impl Difference {
    pub fn kind(&self) -> DifferenceKind {
        match self {
            Difference::OrderUnknownHere { .. } => DifferenceKind::OrderUnknownHere,
            Difference::OrderUnknownAtVenue { .. } => DifferenceKind::OrderUnknownAtVenue,
            Difference::OrderTerms { .. } => DifferenceKind::OrderTerms,
            Difference::ExecutionMissingHere { .. } => DifferenceKind::ExecutionMissingHere,
            Difference::ExecutionMissingAtVenue { .. } => DifferenceKind::ExecutionMissingAtVenue,
            Difference::Position { .. } => DifferenceKind::Position,
            Difference::Balance { .. } => DifferenceKind::Balance,
        }
    }

    /// Returns what it is about, such as a client order id or a currency.
    pub fn subject(&self) -> String {
        match self {
            Difference::OrderUnknownHere { order, .. } => order.venue_order_id.to_string(),
            Difference::OrderUnknownAtVenue {
                client_order_id, ..
            }
            | Difference::OrderTerms {
                client_order_id, ..
            } => client_order_id.to_string(),
            Difference::ExecutionMissingHere { execution } => {
                format!("{} {}", execution.exec_id, execution.instrument_id)
            }
            Difference::ExecutionMissingAtVenue {
                exec_id,
                instrument_id,
            } => format!("{exec_id} {instrument_id}"),
            Difference::Position {
                instrument_id,
                side: None | Some(PositionSide::Net),
                ..
            } => instrument_id.to_string(),
            Difference::Position {
                instrument_id,
                side: Some(PositionSide::Long),
                ..
            } => format!("{instrument_id} long"),
            Difference::Position {
                instrument_id,
                side: Some(PositionSide::Short),
                ..
            } => format!("{instrument_id} short"),
            Difference::Balance { currency, .. } => currency.to_string(),
        }
    }

    /// Returns the instrument that it concerns; `None` for a balance.
    pub(super) fn instrument_id(&self) -> Option<&InstrumentId> {
        match self {
            Difference::OrderUnknownHere { order, .. } => Some(&order.instrument_id),
            Difference::ExecutionMissingHere { execution } => Some(&execution.instrument_id),
            Difference::OrderUnknownAtVenue { instrument_id, .. }
            | Difference::OrderTerms { instrument_id, .. }
            | Difference::ExecutionMissingAtVenue { instrument_id, .. }
            | Difference::Position { instrument_id, .. } => Some(instrument_id),
            Difference::Balance { .. } => None,
        }
    }

    pub(super) fn key(&self) -> DifferenceKey {
        (self.kind(), self.subject())
    }

    /// Returns true when it is as large as before: what still moves is still under way.
    pub(super) fn is_as(&self, before: &Difference) -> bool {
        match (self, before) {
            (
                Difference::Position { ours, venue, .. },
                Difference::Position {
                    ours: ours_before,
                    venue: venue_before,
                    ..
                },
            ) => {
                let gap = |venue: i64, ours: i64| i128::from(venue) - i128::from(ours);
                gap(*venue, *ours) == gap(*venue_before, *ours_before)
            }
            (
                Difference::Balance { ours, venue, .. },
                Difference::Balance {
                    ours: ours_before,
                    venue: venue_before,
                    ..
                },
            ) => venue.checked_sub(*ours) == venue_before.checked_sub(*ours_before),
            (
                Difference::OrderUnknownHere { order, .. },
                Difference::OrderUnknownHere { order: before, .. },
            ) => order.venue_order_id == before.venue_order_id,
            _ => self == before,
        }
    }
}

/// How far a difference has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceState {
    /// Seen once, or still moving: the next snapshot may explain it.
    Pending,
    /// Seen again as it was.
    Confirmed,
    /// Gone, or brought in line.
    Resolved,
}

/// What was done about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// Nothing yet: it may still be explained by what is under way.
    Waiting,
    /// The venue was asked what became of the order.
    Asked,
    /// A missing execution, or a made-up one that explains a position, was booked.
    Booked,
    /// A cash balance was brought in line.
    Adjusted,
    /// The terms that the venue has were taken over.
    TakenOver,
    /// The venue works an order that has ended here: its cancel was sent.
    CancelSent,
    /// An order that is not ours: shown, and left alone.
    Listed,
    /// Cannot be brought in line: a person has to look.
    Alarmed,
}

impl Resolution {
    /// Returns true while the account does not agree with the venue because of it.
    pub fn is_open(self) -> bool {
        matches!(
            self,
            Resolution::Waiting | Resolution::Asked | Resolution::CancelSent
        )
    }
}

/// When a snapshot is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconcileMode {
    /// Before the account may trade.
    Start,
    /// While it trades.
    Continuous,
}

/// One line of a [`ReconcileReport`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub difference: Difference,
    pub state: DifferenceState,
    pub resolution: Resolution,
    /// First seen in this snapshot.
    pub is_new: bool,
    /// How long it has stood, in nanoseconds of our clock.
    pub age_ns: i64,
}

/// What one snapshot came to, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconcileReport {
    pub mode: ReconcileMode,
    /// When the snapshot was taken in, by our clock.
    pub ts: UnixNanos,
    /// The newest venue time in it.
    pub venue_ts: UnixNanos,
    /// By kind, then subject; empty when all agrees.
    pub found: Vec<Found>,
    /// Differences beyond what is remembered. They are looked at in later snapshots.
    pub omitted: u64,
    /// The account agreed with the venue, now or at an earlier snapshot, and may trade.
    pub is_reconciled: bool,
}
