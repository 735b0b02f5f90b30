//! The memory between snapshots: how long each difference has stood, and what was done about it.

use super::difference::{
    Difference, DifferenceKey, DifferenceKind, DifferenceState, Found, ReconcileMode,
    ReconcileReport, Resolution,
};
use super::snapshot::{VenueOpenOrder, VenueSnapshot};
use crate::id::{Currency, InstrumentId};
use crate::money::Money;
use crate::time::{NANOS_PER_SECOND, UnixNanos};
use std::collections::BTreeMap;

/// Differences that are remembered. An account has some thousand open orders at most, and one
/// whose every order differs is not helped by a longer list. What is beyond it is counted, keeps
/// the account from trading at start, and has its turn when others are resolved.
pub const MAX_STANDING: usize = 10_000;

/// How differences are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconcileSettings {
    /// How long a difference has to stand while the account trades, in nanoseconds. At start a
    /// second snapshot is enough. The default is the time after which an order counts as unknown.
    pub grace_ns: i64,
    /// Differences of a balance up to this, inclusive, are dust. Zero for a currency that is not
    /// named.
    pub balance_tolerance: BTreeMap<Currency, Money>,
}

impl Default for ReconcileSettings {
    fn default() -> ReconcileSettings {
        ReconcileSettings {
            grace_ns: 5 * NANOS_PER_SECOND,
            balance_tolerance: BTreeMap::new(),
        }
    }
}

/// A difference that stands.
#[derive(Clone, Debug)]
struct Standing {
    difference: Difference,
    state: DifferenceState,
    resolution: Resolution,
    first_seen: UnixNanos,
    /// The account's sequence when it was first seen as it is: an order that came later cannot
    /// explain it.
    first_sequence: u64,
    /// Number of the snapshot that showed it last.
    pass: u64,
    is_new: bool,
}

/// A difference of this snapshot, as it is to be judged.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub state: DifferenceState,
    pub first_sequence: u64,
    /// How long it has stood as it is, in nanoseconds of our clock.
    pub age_ns: i64,
}

/// Remembers differences from snapshot to snapshot. Not state of the account: it takes no part
/// in comparing accounts and is made anew with the process.
#[derive(Clone, Debug, Default)]
pub struct Reconciler {
    settings: ReconcileSettings,
    is_required: bool,
    has_agreed: bool,
    venue_ts: Option<UnixNanos>,
    pass: u64,
    /// Number of the last snapshot that listed orders.
    orders_pass: u64,
    standing: BTreeMap<DifferenceKey, Standing>,
    omitted: u64,
    external_orders: Vec<VenueOpenOrder>,
    totals: BTreeMap<DifferenceKind, u64>,
    report: Option<ReconcileReport>,
}

impl PartialEq for Reconciler {
    fn eq(&self, _: &Reconciler) -> bool {
        true
    }
}

impl Eq for Reconciler {}

impl Reconciler {
    /// Closes the gate until a snapshot agrees.
    pub(crate) fn require(&mut self, settings: ReconcileSettings) {
        self.settings = settings;
        self.is_required = true;
        self.has_agreed = false;
    }

    /// Returns whether the account may trade: it agreed with its venue, or need not.
    pub fn is_reconciled(&self) -> bool {
        !self.is_required || self.has_agreed
    }

    /// Returns whether the position of an instrument may be closed: the account agreed with its
    /// venue, or the last snapshot that listed orders shows nothing open about this instrument.
    pub(crate) fn agrees_on(&self, instrument_id: &InstrumentId) -> bool {
        let concerns = |standing: &Standing| {
            standing.resolution.is_open()
                && standing.difference.instrument_id() == Some(instrument_id)
        };
        let has_listed = self.orders_pass > 0 && self.omitted == 0;
        self.is_reconciled() || (has_listed && !self.standing.values().any(concerns))
    }

    pub fn mode(&self) -> ReconcileMode {
        if self.has_agreed {
            ReconcileMode::Continuous
        } else {
            ReconcileMode::Start
        }
    }

    pub fn settings(&self) -> &ReconcileSettings {
        &self.settings
    }

    /// Returns what the last snapshot came to; `None` before the first.
    pub fn report(&self) -> Option<&ReconcileReport> {
        self.report.as_ref()
    }

    /// Returns how many differences were seen by kind since the process began, each counted
    /// once for as long as it stands.
    pub fn totals(&self) -> &BTreeMap<DifferenceKind, u64> {
        &self.totals
    }

    /// Returns the orders at the venue that are not ours, as of the last snapshot that listed
    /// orders; at most [`MAX_STANDING`].
    pub fn external_orders(&self) -> &[VenueOpenOrder] {
        &self.external_orders
    }

    /// Returns how many differences are remembered.
    pub fn standing(&self) -> usize {
        self.standing.len()
    }

    /// Begins with a snapshot. False for one that is not newer than the last: it says nothing
    /// new, and what was decided since is not in it.
    pub(crate) fn begin(&mut self, snapshot: &VenueSnapshot) -> bool {
        let Some(ts) = snapshot.ts() else {
            return false;
        };
        if self.venue_ts.is_some_and(|last| ts <= last) {
            return false;
        }
        self.venue_ts = Some(ts);
        self.pass += 1;
        self.omitted = 0;
        if snapshot.open_orders.is_some() {
            self.external_orders.clear();
            self.orders_pass = self.pass;
        }
        true
    }

    pub(crate) fn list_external(&mut self, order: VenueOpenOrder) {
        if self.external_orders.len() < MAX_STANDING {
            self.external_orders.push(order);
        }
    }

    /// Notes a difference of this snapshot and says how it stands; `None` when there is no room.
    pub(crate) fn observe(
        &mut self,
        now: UnixNanos,
        sequence: u64,
        difference: Difference,
    ) -> Option<Judged> {
        let key = difference.key();
        let grace_ns = match self.mode() {
            ReconcileMode::Start => 0,
            ReconcileMode::Continuous => self.settings.grace_ns,
        };
        let pass = self.pass;
        let has_room = self.standing.len() < MAX_STANDING;
        let standing = match self.standing.get_mut(&key) {
            Some(standing) => {
                if !difference.is_as(&standing.difference) {
                    standing.first_seen = now;
                    standing.first_sequence = sequence;
                    standing.state = DifferenceState::Pending;
                    standing.resolution = Resolution::Waiting;
                } else if now.since(standing.first_seen) >= grace_ns {
                    standing.state = DifferenceState::Confirmed;
                }
                standing.difference = difference;
                standing.is_new = false;
                standing.pass = pass;
                standing
            }
            None if has_room => {
                *self.totals.entry(key.0).or_default() += 1;
                self.standing.entry(key).or_insert(Standing {
                    difference,
                    state: DifferenceState::Pending,
                    resolution: Resolution::Waiting,
                    first_seen: now,
                    first_sequence: sequence,
                    pass,
                    is_new: true,
                })
            }
            None => {
                self.omitted += 1;
                return None;
            }
        };
        Some(Judged {
            state: standing.state,
            first_sequence: standing.first_sequence,
            age_ns: now.since(standing.first_seen),
        })
    }

    /// Returns true for a difference about which nothing was done yet.
    pub(crate) fn is_waiting(&self, difference: &Difference) -> bool {
        let standing = self.standing.get(&difference.key());
        standing.is_some_and(|standing| standing.resolution == Resolution::Waiting)
    }

    /// Returns true while an order of the instrument differs: what becomes of it may explain the
    /// position. `None` is any instrument.
    pub(crate) fn has_open_orders(&self, instrument_id: Option<&InstrumentId>) -> bool {
        let shown = self.standing.values();
        let open = shown.filter(|s| s.pass == self.orders_pass && s.resolution.is_open());
        open.map(|standing| &standing.difference)
            .filter_map(|difference| match difference {
                Difference::OrderUnknownAtVenue { instrument_id, .. }
                | Difference::OrderTerms { instrument_id, .. } => Some(instrument_id),
                _ => None,
            })
            .any(|id| instrument_id.is_none_or(|wanted| wanted == id))
    }

    /// Notes what was done about a difference.
    pub(crate) fn resolve(&mut self, difference: &Difference, resolution: Resolution) {
        if let Some(standing) = self.standing.get_mut(&difference.key()) {
            standing.resolution = resolution;
            let is_done = matches!(
                resolution,
                Resolution::Booked | Resolution::Adjusted | Resolution::TakenOver
            );
            if is_done {
                standing.state = DifferenceState::Resolved;
            }
        }
    }

    /// Ends with a snapshot: what it no longer shows is resolved and forgotten, and so is what
    /// was brought in line.
    pub(crate) fn end(&mut self, now: UnixNanos, snapshot: &VenueSnapshot) {
        let mode = self.mode();
        let (pass, mut found) = (self.pass, Vec::new());
        self.standing.retain(|(kind, _), standing| {
            let is_shown = standing.pass == pass;
            if !is_shown && is_reported(*kind, snapshot) {
                standing.state = DifferenceState::Resolved;
            }
            found.push(Found {
                difference: standing.difference.clone(),
                state: standing.state,
                resolution: standing.resolution,
                is_new: standing.is_new && is_shown,
                age_ns: now.since(standing.first_seen),
            });
            standing.state != DifferenceState::Resolved
        });
        // Without the list of orders nothing is known about what works at the venue.
        let agrees = snapshot.open_orders.is_some()
            && self.omitted == 0
            && self.standing.values().all(|s| !s.resolution.is_open());
        self.has_agreed |= agrees;
        self.report = Some(ReconcileReport {
            mode,
            ts: now,
            venue_ts: self.venue_ts.unwrap_or(UnixNanos::MIN),
            found,
            omitted: self.omitted,
            is_reconciled: self.is_reconciled(),
        });
    }
}

/// Returns whether a snapshot could show this kind of difference.
fn is_reported(kind: DifferenceKind, snapshot: &VenueSnapshot) -> bool {
    match kind {
        DifferenceKind::OrderUnknownHere
        | DifferenceKind::OrderUnknownAtVenue
        | DifferenceKind::OrderTerms => snapshot.open_orders.is_some(),
        DifferenceKind::ExecutionMissingHere | DifferenceKind::ExecutionMissingAtVenue => {
            snapshot.executions.is_some()
        }
        DifferenceKind::Position => snapshot.positions.is_some(),
        DifferenceKind::Balance => snapshot.balances.is_some(),
    }
}
