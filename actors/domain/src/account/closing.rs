//! Positions on their way to be closed.
//!
//! The working orders in the way are canceled first, and the closing order leaves when none of
//! them can trade any more. Until a closing has ended it is part of the state, so that it goes on
//! after a restart.

use super::close::{in_the_way, is_meant};
use super::closing_size::Coins;
use super::machine::{Account, Step};
use crate::event::{CloseOutcome, CloseScope, Event};
use crate::id::{ClientOrderId, InstrumentId, RequestId, StrategyId};
use crate::market::Side;
use crate::number::Quantity;
use crate::order::entry::OrderEntry;
use crate::order::store::OrderIndex;
use crate::order::{Order, OrderTerms, OrderType, PositionSide, SubmitOrder, TimeInForce};
use crate::reconcile::MAX_STANDING;
use crate::risk::ReasonCode;
use crate::time::{NANOS_PER_SECOND, UnixNanos};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Rounds of closing orders of one instrument in a row that may end without a fill.
const MAX_ATTEMPTS: u32 = 5;

/// How long after one that did not fill the next leaves.
const RETRY_NS: i64 = NANOS_PER_SECOND;

/// Closings by command that may be under way at once: each is looked at with every input. One of
/// each instrument and strategy that a person watches fits; more are refused. The kill switch has
/// a place beyond it.
pub(super) const MAX_CLOSINGS: usize = 64;

/// A closing that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Closing {
    /// Sequence of its `CommandTaken`; part of the ids of its orders.
    pub taken: u64,
    pub scope: CloseScope,
    /// The kill switch began it: whoever resumes trading ends it.
    pub of_halt: bool,
    /// Its orders so far.
    pub orders: u32,
    pub attempts: BTreeMap<InstrumentId, Attempts>,
}

/// Closings that have ended and can still be asked for: those of a busy day.
const ENDED: usize = 1_000;

/// A closing that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EndedClosing {
    pub closing: Closing,
    pub outcome: CloseOutcome,
    /// Sequence and time of its `CloseEnded`.
    pub sequence: u64,
    pub ts: UnixNanos,
}

/// How far a closing has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosingState {
    /// Sequence of the command that began it.
    pub taken: u64,
    pub scope: CloseScope,
    /// How, at which sequence and when it ended; `None` while it goes on.
    pub ended: Option<(CloseOutcome, u64, UnixNanos)>,
    /// Its own orders so far, oldest first.
    pub orders: Vec<Order>,
}

/// What a closing has tried in one instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempts {
    /// Rounds of orders since the last fill of one; those of one moment are one round.
    pub barren: u32,
    pub last_at: UnixNanos,
}

/// A position to close.
pub(super) struct Target {
    pub instrument_id: InstrumentId,
    strategy_id: StrategyId,
    pub side: PositionSide,
    pub quantity: i64,
}

impl Account {
    /// Counts a closing's own orders and their fills. The order's first event is `created`.
    pub(super) fn fold_closing_order(
        &mut self,
        event: &Event,
        client_order_id: &ClientOrderId,
        created: u64,
        ts: UnixNanos,
    ) {
        let mut closings = self.closings.iter_mut();
        let Some(closing) = closings.find(|c| c.owns(client_order_id, created)) else {
            return;
        };
        match event {
            Event::OrderInitialized { request, .. } => {
                closing.orders += 1;
                let attempts = &mut closing.attempts;
                let attempts = attempts.entry(request.instrument_id.clone()).or_default();
                if attempts.barren == 0 || attempts.last_at != ts {
                    attempts.barren += 1;
                }
                attempts.last_at = ts;
            }
            Event::OrderFilled { execution, .. } => {
                if let Some(attempts) = closing.attempts.get_mut(&execution.instrument_id) {
                    attempts.barren = 0;
                }
            }
            _ => {}
        }
    }

    /// Returns true for an order that a closing of the account made.
    pub(super) fn is_closing_order(&self, entry: &OrderEntry) -> bool {
        let client_order_id = &entry.order.request.client_order_id;
        let mut closings = self.closings.iter();
        closings.any(|closing| closing.owns(client_order_id, entry.created))
    }

    /// Returns true for an id that a closing under way uses or may still use: its orders pass
    /// where no other does, so nobody else may have it.
    pub(super) fn is_closing_id(&self, client_order_id: &ClientOrderId) -> bool {
        let mut closings = self.closings.iter();
        closings.any(|closing| closing.names(client_order_id))
    }

    /// Returns how the closing that a request began stands; `None` for a request that began none
    /// or is forgotten.
    pub fn closing(&self, request_id: &RequestId) -> Option<ClosingState> {
        let taken = self.requests.get(Some(request_id))?.sequence;
        let ended = self.ended_closings.get(&taken);
        let mut under_way = self.closings.iter();
        let closing = match ended {
            Some(ended) => &ended.closing,
            None => under_way.find(|closing| closing.taken == taken)?,
        };
        let orders = self.orders_of(closing);
        Some(ClosingState {
            taken,
            scope: closing.scope.clone(),
            ended: ended.map(|ended| (ended.outcome, ended.sequence, ended.ts)),
            orders,
        })
    }

    /// Returns a closing's own orders, oldest first. Their numbers have gaps: ids that were at the
    /// venue when a round left, and of which nothing may be known any more once their orders there
    /// have ended. What works there at a time is bounded, and so is the look through the numbers.
    fn orders_of(&self, closing: &Closing) -> Vec<Order> {
        let count = closing.orders as usize;
        let (mut orders, mut gaps) = (Vec::new(), 0);
        let mut ids = (0..).map_while(|number| closing.order_id(number));
        while orders.len() < count
            && gaps <= MAX_STANDING + count
            && let Some(id) = ids.next()
        {
            let Some(index) = self.orders.find_client(&id) else {
                gaps += usize::from(!self.strangers.has_traded(&id));
                continue;
            };
            let entry = self.orders.get(index);
            if closing.owns(&entry.order.request.client_order_id, entry.created) {
                orders.push(entry.order.clone());
            }
        }
        orders
    }

    pub(super) fn fold_close_ended(
        &mut self,
        taken: u64,
        outcome: CloseOutcome,
        sequence: u64,
        ts: UnixNanos,
    ) {
        let Some(position) = self.closings.iter().position(|c| c.taken == taken) else {
            return;
        };
        let ended = EndedClosing {
            closing: self.closings.remove(position),
            outcome,
            sequence,
            ts,
        };
        self.ended_closings.insert(taken, ended);
        if self.ended_closings.len() > ENDED {
            self.ended_closings.pop_first();
        }
    }

    /// Ends what the kill switch began, as trading goes on: what is ordered and held from now on is
    /// not what it was pulled for.
    pub(super) fn end_closings_of_halt(&mut self, step: &mut Step<'_>) {
        let of_halt = self.closings.iter().filter(|closing| closing.of_halt);
        let taken: Vec<u64> = of_halt.map(|closing| closing.taken).collect();
        for taken in taken {
            let outcome = CloseOutcome::Resumed;
            self.record(step, Event::CloseEnded { taken, outcome });
        }
    }

    /// Brings every closing nearer to its end.
    pub(super) fn drive_closings(&mut self, step: &mut Step<'_>) {
        for position in (0..self.closings.len()).rev() {
            let closing = self.closings[position].clone();
            if let Some(outcome) = self.drive_closing(step, &closing) {
                let taken = closing.taken;
                self.record(step, Event::CloseEnded { taken, outcome });
            }
        }
    }

    /// Sends what can be sent: an instrument waits for the orders in its own way only, so that
    /// one whose outcome stays open keeps no other position open. Returns how the closing ended,
    /// once it has.
    fn drive_closing(&mut self, step: &mut Step<'_>, closing: &Closing) -> Option<CloseOutcome> {
        let filter = in_the_way(&closing.scope);
        let targets = self.targets(&closing.scope);
        if may_need_cancels(step) {
            for index in self.meant(&filter) {
                if !self.is_closing_order(self.orders.get(index)) {
                    self.cancel_until_ended(step, index, ReasonCode::CanceledByUser);
                }
            }
            for index in self.would_meet(&targets) {
                self.cancel_until_ended(step, index, ReasonCode::SelfTrade);
            }
        }
        let in_the_way = |index: OrderIndex| {
            let entry = self.orders.get(index);
            is_meant(&filter, &entry.order) || self.meets_any(entry, &targets)
        };
        let is_busy = self.orders.working().iter().any(|index| in_the_way(*index));
        if targets.is_empty() {
            return (!is_busy).then_some(CloseOutcome::Flat);
        }
        let held = targets.iter().map(|target| &target.instrument_id);
        let busy: BTreeSet<InstrumentId> = held
            .filter(|id| self.orders.working_of(id).any(in_the_way))
            .cloned()
            .collect();
        let (mut waits, mut gave_up) = (is_busy, false);
        let mut number = closing.orders;
        let mut coins = Coins::new();
        for target in targets {
            let attempts = closing.attempts.get(&target.instrument_id);
            let barren = attempts.filter(|attempts| attempts.barren > 0);
            if busy.contains(&target.instrument_id) {
                continue;
            }
            // What the venue does not have cannot be closed, only opened the other way round.
            if !self.agrees_on(&target.instrument_id) {
                waits = true;
                continue;
            }
            if barren.is_some_and(|barren| barren.barren >= MAX_ATTEMPTS) {
                gave_up = true;
            } else if barren.is_some_and(|barren| step.now.since(barren.last_at) < RETRY_NS) {
                waits = true;
            } else if let Some(size) = self.closable_size(&target, &mut coins) {
                let Some(size) = self.size_now(&target, size) else {
                    waits = true;
                    continue;
                };
                let Some(request) = self.closing_order(closing, &mut number, &target, size) else {
                    continue;
                };
                let market = self.reference_of(&target.instrument_id);
                // A denied one counts as an attempt.
                self.take_acceptable(step, Box::new(request), market);
                waits = true;
            }
        }
        match (waits, gave_up) {
            (true, _) => None,
            (false, true) => Some(CloseOutcome::GaveUp),
            (false, false) => Some(CloseOutcome::Dust),
        }
    }

    /// Returns the resting orders of the account that the closing orders of `targets` could trade
    /// with, whichever strategy they are of.
    fn would_meet(&self, targets: &[Target]) -> Vec<OrderIndex> {
        let ids: BTreeSet<&InstrumentId> = targets.iter().map(|t| &t.instrument_id).collect();
        let working = ids.into_iter().flat_map(|id| self.orders.working_of(id));
        working
            .filter(|index| self.meets_any(self.orders.get(*index), targets))
            .collect()
    }

    /// Returns true where the account must not trade with itself, and a closing order of one of
    /// `targets` could meet this one at the venue.
    fn meets_any(&self, entry: &OrderEntry, targets: &[Target]) -> bool {
        let request = &entry.order.request;
        let rests = entry.sent && entry.order.limit_price.is_some();
        // What closes a position is on the other side than the one that opened it.
        let meets = |target: &Target| {
            target.instrument_id == request.instrument_id
                && target.quantity.signum() == request.side.sign()
        };
        self.limits.wide.prevent_self_trade && rests && targets.iter().any(meets)
    }

    /// Returns the order that closes `size` of a position, with the first id at or behind `number`
    /// that nobody has, and moves `number` behind it.
    fn closing_order(
        &self,
        closing: &Closing,
        number: &mut u32,
        target: &Target,
        size: Quantity,
    ) -> Option<SubmitOrder> {
        let client_order_id = loop {
            let client_order_id = closing.order_id(*number)?;
            *number = number.checked_add(1)?;
            if self.orders.find_client(&client_order_id).is_none()
                && !self.is_strangers_id(&client_order_id)
            {
                break client_order_id;
            }
        };
        Some(SubmitOrder {
            client_order_id,
            strategy_id: target.strategy_id.clone(),
            instrument_id: target.instrument_id.clone(),
            side: if target.quantity > 0 {
                Side::Sell
            } else {
                Side::Buy
            },
            order_type: OrderType::Market,
            quantity: size,
            limit_price: None,
            time_in_force: TimeInForce::Ioc,
            post_only: false,
            // The position of all strategies together may be smaller, or the other way round. While
            // another owner may close as well, its size is no more than that.
            reduce_only: self.asked.away,
            tags: String::new(),
            misfit: None,
            terms: OrderTerms {
                position_side: target.side,
                ..OrderTerms::default()
            },
        })
    }

    fn targets(&self, scope: &CloseScope) -> Vec<Target> {
        self.portfolio
            .positions()
            .filter(|position| !position.is_flat())
            .filter(|p| {
                scope
                    .instrument_id
                    .as_ref()
                    .is_none_or(|id| *id == p.instrument_id)
            })
            .filter(|p| {
                scope
                    .strategy_id
                    .as_ref()
                    .is_none_or(|id| *id == p.strategy_id)
            })
            .map(|position| Target {
                instrument_id: position.instrument_id.clone(),
                strategy_id: position.strategy_id.clone(),
                side: position.side,
                quantity: position.quantity,
            })
            .collect()
    }
}

impl Closing {
    fn order_id(&self, number: u32) -> Option<ClientOrderId> {
        match &self.scope.client_order_id {
            Some(id) if number == 0 => Some(id.clone()),
            // A sequence and a count have at most 20 and 10 digits.
            _ => ClientOrderId::new(&format!("C{}-{number}", self.taken)).ok(),
        }
    }

    /// Returns true for an order of this closing: one with the id that was made before it is
    /// somebody's.
    fn owns(&self, client_order_id: &ClientOrderId, created: u64) -> bool {
        created > self.taken && self.names(client_order_id)
    }

    fn names(&self, client_order_id: &ClientOrderId) -> bool {
        let first = self.scope.client_order_id.as_ref() == Some(client_order_id);
        let made = || {
            let behind = client_order_id.as_str().strip_prefix('C')?;
            let (taken, number) = behind.split_once('-')?;
            let own = taken.parse::<u64>().ok()? == self.taken;
            Some(own && number.parse::<u32>().is_ok())
        };
        first || made().unwrap_or(false)
    }
}

/// Returns true when something may have to be canceled for a closing: it has just begun, an order
/// came behind it, a cancel was refused, or time has passed. A flood of denied orders, and the
/// ends of ten thousand others, do not look through all that work.
fn may_need_cancels(step: &Step<'_>) -> bool {
    let mut events = step.effects.events.iter().map(|recorded| &recorded.event);
    step.is_tick
        || events.any(|event| {
            matches!(
                event,
                Event::CommandTaken { .. }
                    | Event::OrderSubmitted { .. }
                    | Event::OrderHeld { .. }
                    | Event::OrderCancelRejected { .. }
            )
        })
}
