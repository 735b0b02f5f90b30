//! Orders of lists that would leave or grow by themselves and lack a larger share of the platform's
//! limit: each waits a moment while the account asks for one, as a client's order does.

use super::machine::{Account, Step};
use super::orders::Change;
use super::share::in_currency;
use crate::money::Money;
use crate::number::Quantity;
use crate::order::store::OrderIndex;
use crate::risk::measure::Added;
use crate::risk::platform::Growth;
use crate::risk::{MarketRef, checks};
use crate::time::{NANOS_PER_SECOND, UnixNanos};
use std::collections::BTreeMap;

/// How long one waits. As long as a client's order does: the platform answers in milliseconds, and
/// an account that is away is not waited for.
const PATIENCE_NS: i64 = 2 * NANOS_PER_SECOND;

/// What waits. Not state: forgotten with the process, and noted again when the list is looked at,
/// so it takes no part in comparing accounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Short {
    lacking: BTreeMap<OrderIndex, Lacking>,
    /// The ask that has the last word now.
    answered: u64,
}

#[derive(Clone, Copy, Debug)]
struct Lacking {
    since: UnixNanos,
    /// What it would add to the working orders.
    adds: Quantity,
    /// Number of the ask that it is part of; 0 before one.
    asked: u64,
}

impl PartialEq for Short {
    fn eq(&self, _: &Short) -> bool {
        true
    }
}

impl Eq for Short {}

impl Account {
    /// Returns whether an order that was refused lacks nothing but a larger share, and may wait
    /// for one. `adds` is what would be open of it beyond what is reserved.
    fn waits_for_share(&mut self, now: UnixNanos, index: OrderIndex, adds: Quantity) -> bool {
        if self
            .share
            .as_ref()
            .is_none_or(|share| share.share.is_none())
        {
            return false;
        }
        let answered = self.short.answered;
        let noted = self.short.lacking.entry(index);
        let lacking = noted.or_insert(Lacking {
            since: now,
            adds,
            asked: 0,
        });
        lacking.adds = adds;
        let denied = lacking.asked != 0 && lacking.asked == answered;
        let waits = !denied && now.since(lacking.since) < PATIENCE_NS;
        if !waits {
            self.short.lacking.remove(&index);
        }
        waits
    }

    /// Returns whether a child that was refused waits: only the share keeps it from leaving.
    pub(super) fn child_waits(
        &mut self,
        now: UnixNanos,
        index: OrderIndex,
        market: MarketRef,
    ) -> bool {
        let fits = self.ask(now, index, market, checks::check_but_share);
        let adds = self.orders.get(index).order.leaves_quantity;
        fits.is_ok() && self.waits_for_share(now, index, adds)
    }

    /// Returns whether an order may become larger now. One that lacks only a larger share of the
    /// platform's limit is looked at again when there is one.
    pub(super) fn may_grow(
        &mut self,
        now: UnixNanos,
        index: OrderIndex,
        change: Change,
        market: MarketRef,
    ) -> bool {
        let Err(_) = self.amend_verdict(now, index, change, market) else {
            return true;
        };
        let fits = self.amend_check(now, index, change, market, checks::check_but_share);
        if fits.is_ok() {
            let order = &self.orders.get(index).order;
            let adds = change.quantity.saturating_sub(order.quantity);
            // Whether it waits or has waited long enough, it stays as it is.
            self.waits_for_share(now, index, adds);
        }
        false
    }

    /// Looks again at what waits. `answered` is the ask that has the last word: what is part of it
    /// and lacks a share still has no more to hope for.
    pub(super) fn drive_short(&mut self, step: &mut Step<'_>, answered: u64) {
        if self.short.lacking.is_empty() {
            return;
        }
        self.short.answered = answered;
        let lacking: Vec<OrderIndex> = self.short.lacking.keys().copied().collect();
        for index in lacking {
            let before = self.sequence;
            if let Some(list_id) = self.orders.get(index).order.list_id.clone() {
                self.drive_list(step, &list_id);
            }
            // It left, grew or ended. What else its list did is looked at once more.
            let ended = !self.orders.get(index).is_working();
            if self.sequence != before || ended {
                self.short.lacking.remove(&index);
            }
        }
        self.short.answered = 0;
    }

    /// Returns true while an order waits for a larger share that was not asked for yet.
    pub fn has_unasked(&self) -> bool {
        let mut lacking = self.short.lacking.values();
        lacking.any(|lacking| lacking.asked == 0)
    }

    /// Returns what everything that waits would add at most; `None` where nothing waits, or it
    /// cannot be measured.
    pub fn share_lacking(&self, now: UnixNanos) -> Option<Growth> {
        let share = self.share.as_ref()?;
        let now = self.last_ts.map_or(now, |last| last.max(now));
        let valuation = in_currency(self.own_valuation(now)?, share);
        let measure = self.measure(&valuation);
        let mut added = Money::ZERO;
        for (index, lacking) in &self.short.lacking {
            let entry = self.orders.get(*index);
            let request = &entry.order.request;
            let more = measure.alone(&Added {
                instrument_id: &request.instrument_id,
                strategy_id: &request.strategy_id,
                position_side: request.terms.position_side,
                side: request.side,
                open: lacking.adds,
            });
            if entry.is_working() {
                added = added.checked_add(more.ok()?).ok()?;
            }
        }
        let worst = measure.account().ok()?;
        (added > Money::ZERO).then_some(Growth { worst, added })
    }

    /// Notes that what waits is part of an ask.
    pub fn share_asked(&mut self, number: u64) {
        for lacking in self.short.lacking.values_mut() {
            lacking.asked = number;
        }
    }
}
