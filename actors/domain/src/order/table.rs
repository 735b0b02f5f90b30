//! The life of an order as data: what each event does in each state.
//!
//! This table is the only place that knows legal transitions. A report that the table calls
//! illegal is quarantined; an execution is never illegal, since what was traded was traded.
//!
//! Source: FIX 4.4 appendix D (order state change matrices), and the tables of public platforms.
//! Deviation: a late fill of a part leaves CANCELED and EXPIRED as they are, since the rest stays
//! canceled and nothing of it works; only a late fill of all makes the order FILLED (ADR 0008). An amend
//! whose answer comes behind the end still says what the order's quantity was. A bust of a
//! FILLED order makes it CANCELED: what was taken back does not work again.
//!
//! PENDING_NEW is also where an order stays that is held here, and TRIGGERED where one of them is
//! for the moment between its condition and its leaving.

use super::OrderStatus;
use Next::{Below, Illegal, Redundant, Restore, Stay, To};
use OrderStatus::{
    Accepted, Canceled, Denied, Expired, Filled, PartiallyFilled, PendingAmend, PendingCancel,
    PendingNew, Rejected, Submitted, Triggered, Unknown,
};

/// What happened to an order, as far as its state is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    Denied,
    Submitted,
    Accepted,
    Rejected,
    Unknown,
    PendingAmend,
    Amended,
    AmendRejected,
    PendingCancel,
    CancelRejected,
    Canceled,
    Expired,
    Triggered,
    /// An execution that leaves quantity unfilled.
    FilledPart,
    /// An execution with which nothing is left.
    FilledWhole,
    EndHeld,
    /// It stays here for now.
    Held,
    /// A stop price of it moved here.
    Trailed,
    /// An execution was taken back, and others remain.
    BustedPart,
    /// The only execution was taken back.
    BustedWhole,
    /// The venue is shown a part of it.
    Sliced,
}

impl EventKind {
    pub const ALL: [EventKind; 21] = [
        EventKind::Denied,
        EventKind::Submitted,
        EventKind::Accepted,
        EventKind::Rejected,
        EventKind::Unknown,
        EventKind::PendingAmend,
        EventKind::Amended,
        EventKind::AmendRejected,
        EventKind::PendingCancel,
        EventKind::CancelRejected,
        EventKind::Canceled,
        EventKind::Expired,
        EventKind::Triggered,
        EventKind::FilledPart,
        EventKind::FilledWhole,
        EventKind::EndHeld,
        EventKind::Held,
        EventKind::Trailed,
        EventKind::BustedPart,
        EventKind::BustedWhole,
        EventKind::Sliced,
    ];
}

/// What an event does to a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The order is in this state from now on.
    To(OrderStatus),
    /// The event counts, and the state stays.
    Stay,
    /// A change is under way and stays so; the state below it moves by its own row.
    Below,
    /// The change under way is settled; the state below it shows again.
    Restore,
    /// True, and nothing new: no event.
    Redundant,
    /// Cannot be: quarantined.
    Illegal,
}

const X: Next = Illegal;
const S: Next = Stay;
const B: Next = Below;
const R: Next = Restore;
const D: Next = Redundant;
const ACC: Next = To(Accepted);
const REJ: Next = To(Rejected);
const PAM: Next = To(PendingAmend);
const PCA: Next = To(PendingCancel);
const CAN: Next = To(Canceled);
const EXP: Next = To(Expired);
const TRG: Next = To(Triggered);
const PFI: Next = To(PartiallyFilled);
const FIL: Next = To(Filled);

/// One row for each state in the order of `OrderStatus::ALL`, one column for each kind in the
/// order of `EventKind::ALL`.
#[rustfmt::skip]
const TABLE: [(OrderStatus, [Next; 21]); 13] = [
    //                 Denied      Submitted      Accept Reject Unknown      PAmend Amend AmRej PCancel CaRej Cancel Expire Trigger FPart FWhole EndHeld Held Trail BPart BWhole Sliced
    (PendingNew,      [To(Denied), To(Submitted), ACC,   REJ,   X,           PAM,   S,    X,    PCA,    X,    CAN,   EXP,   TRG,    PFI,  FIL,   S,      S,   S,    S,    S,     X]),
    (Denied,          [X,          X,             X,     X,     X,           X,     X,    X,    X,      X,    X,     X,     X,      S,    S,     X,      X,   X,    S,    S,     X]),
    (Submitted,       [X,          S,             ACC,   REJ,   To(Unknown), PAM,   ACC,  D,    PCA,    D,    CAN,   EXP,   TRG,    PFI,  FIL,   S,      X,   X,    S,    S,     S]),
    (Unknown,         [X,          To(Submitted), ACC,   REJ,   X,           X,     ACC,  D,    PCA,    D,    CAN,   EXP,   TRG,    PFI,  FIL,   S,      X,   X,    S,    S,     S]),
    (Accepted,        [X,          X,             S,     REJ,   X,           PAM,   S,    D,    PCA,    D,    CAN,   EXP,   TRG,    PFI,  FIL,   S,      X,   X,    S,    S,     S]),
    (Rejected,        [X,          X,             X,     D,     X,           X,     X,    D,    X,      D,    X,     X,     X,      S,    S,     X,      X,   X,    S,    S,     X]),
    (Triggered,       [To(Denied), To(Submitted), S,     REJ,   X,           PAM,   S,    D,    PCA,    D,    CAN,   EXP,   D,      PFI,  FIL,   S,      S,   X,    S,    S,     S]),
    (PartiallyFilled, [X,          X,             S,     X,     X,           PAM,   S,    D,    PCA,    D,    CAN,   EXP,   D,      S,    FIL,   S,      X,   X,    S,    ACC,   S]),
    (Filled,          [X,          X,             S,     X,     X,           X,     D,    D,    X,      D,    X,     X,     D,      S,    S,     X,      X,   X,    CAN,  CAN,   X]),
    (PendingAmend,    [X,          B,             B,     B,     B,           X,     B,    R,    PCA,    D,    CAN,   EXP,   B,      B,    FIL,   S,      X,   X,    B,    B,     S]),
    (PendingCancel,   [X,          B,             B,     B,     B,           X,     B,    R,    X,      R,    CAN,   EXP,   B,      B,    FIL,   S,      X,   X,    B,    B,     S]),
    (Canceled,        [X,          X,             S,     X,     X,           X,     S,    D,    X,      D,    D,     X,     D,      S,    FIL,   D,      X,   X,    S,    S,     X]),
    (Expired,         [X,          X,             S,     X,     X,           X,     S,    D,    X,      D,    X,     D,     D,      S,    FIL,   D,      X,   X,    S,    S,     X]),
];

/// Returns what `kind` does to an order in `status`.
pub fn next(status: OrderStatus, kind: EventKind) -> Next {
    TABLE[status as usize].1[kind as usize]
}

/// Returns what `kind` does to an order that shows `status` and stands at `base` below a change
/// that is under way (`base == status` where there is none). Never `Below`: that row is looked
/// up.
pub fn resolve(status: OrderStatus, base: OrderStatus, kind: EventKind) -> Next {
    match next(status, kind) {
        Below => next(base, kind),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_stand_in_the_order_of_their_enums() {
        for (index, status) in OrderStatus::ALL.into_iter().enumerate() {
            assert_eq!(TABLE[index].0, status);
            assert_eq!(status as usize, index);
        }
        for (index, kind) in EventKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }

    /// The status changes that the trade allows, written a second time as plain text.
    const LEGAL: &[(OrderStatus, &str)] = &[
        (
            PendingNew,
            "Denied Submitted Rejected Accepted Canceled Expired Triggered PartiallyFilled Filled \
             PendingAmend PendingCancel",
        ),
        (
            Submitted,
            "Rejected Accepted PartiallyFilled Filled Triggered Canceled Expired PendingAmend \
             PendingCancel Unknown",
        ),
        (
            Unknown,
            "Submitted Rejected Accepted PartiallyFilled Filled Triggered Canceled Expired \
             PendingCancel",
        ),
        (
            Accepted,
            "Rejected PendingAmend PendingCancel Canceled Triggered Expired PartiallyFilled Filled",
        ),
        (
            Triggered,
            "Denied Submitted Rejected PendingAmend PendingCancel Canceled Expired PartiallyFilled \
             Filled",
        ),
        (
            PartiallyFilled,
            "Accepted PendingAmend PendingCancel Canceled Expired Filled",
        ),
        (PendingAmend, "PendingCancel Canceled Expired Filled"),
        (PendingCancel, "Canceled Expired Filled"),
        (Canceled, "Filled"),
        (Expired, "Filled"),
        (Filled, "Canceled"),
        (Rejected, ""),
        (Denied, ""),
    ];

    #[test]
    fn tc_l01_each_state_leads_to_exactly_the_states_that_the_trade_allows() {
        assert_eq!(LEGAL.len(), OrderStatus::ALL.len());
        for (status, text) in LEGAL {
            let mut expected: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            let mut found: Vec<String> = EventKind::ALL
                .into_iter()
                .filter_map(|kind| match next(*status, kind) {
                    To(to) => Some(format!("{to:?}")),
                    _ => None,
                })
                .collect();
            expected.sort();
            found.sort();
            found.dedup();
            assert_eq!(found, expected, "{status:?}");
        }
    }

    #[test]
    fn an_execution_and_its_bust_are_never_illegal() {
        for status in OrderStatus::ALL {
            for kind in [
                EventKind::FilledPart,
                EventKind::FilledWhole,
                EventKind::BustedPart,
                EventKind::BustedWhole,
            ] {
                assert!(
                    !matches!(next(status, kind), Illegal | Redundant),
                    "{status:?}"
                );
            }
        }
    }

    #[test]
    fn tc_l05_only_a_whole_late_fill_and_a_bust_move_a_terminal_state() {
        for status in OrderStatus::ALL.into_iter().filter(|s| s.is_terminal()) {
            for kind in EventKind::ALL {
                match next(status, kind) {
                    To(to) => {
                        let late = (to, kind) == (Filled, EventKind::FilledWhole);
                        let busts = [EventKind::BustedPart, EventKind::BustedWhole];
                        let busted = (status, to) == (Filled, Canceled) && busts.contains(&kind);
                        assert!(late || busted, "{status:?} {kind:?}");
                    }
                    Below | Restore => panic!("{status:?} has nothing below it"),
                    Stay | Redundant | Illegal => {}
                }
            }
        }
    }

    #[test]
    fn only_states_with_a_change_under_way_look_below() {
        for status in OrderStatus::ALL {
            for kind in EventKind::ALL {
                let looks = matches!(next(status, kind), Below | Restore);
                let has = matches!(status, PendingAmend | PendingCancel);
                assert!(!looks || has, "{status:?} {kind:?}");
                assert_ne!(resolve(status, Accepted, kind), Below);
            }
        }
    }
}
