//! Orders for an opening or a close that the account holds: they leave in their time or never.

use crate::coverage::{Coverage, Moment as Met};
use apex_domain::account::{CLOSE_LEAD_NS, Effects};
use apex_domain::event::{Event, Hold};
use apex_domain::risk::TradingState;
use apex_domain::time::NANOS_PER_SECOND;
use apex_domain::{Account, OrderId, UnixNanos};
use std::collections::BTreeMap;

/// When an order that is held may leave.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: UnixNanos,
    /// Exclusive.
    until: UnixNanos,
    has_left: bool,
}

/// What was decided about such orders. It outlives the process: an order that a crash took is
/// forgotten when another one gets its id.
#[derive(Debug, Default)]
pub struct Moments {
    orders: BTreeMap<OrderId, Moment>,
}

/// What keeps such an order from leaving, before an input.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    is_reconciled: bool,
    state: TradingState,
}

impl Gate {
    pub fn of(account: &Account) -> Gate {
        Gate {
            is_reconciled: account.is_reconciled(),
            state: account.trading_state(),
        }
    }
}

impl Moments {
    /// Checks what an input led to, and notes what became of such orders.
    ///
    /// Errors: what may not be.
    pub fn take(
        &mut self,
        effects: &Effects,
        mut gate: Gate,
        coverage: &mut Coverage,
    ) -> Result<(), String> {
        for recorded in &effects.events {
            match &recorded.event {
                Event::TradingStateChanged { state, .. } => gate.state = *state,
                Event::OrderInitialized { order_id, .. } => drop(self.orders.remove(order_id)),
                Event::OrderHeldUntil {
                    order_id,
                    at,
                    until,
                } => {
                    if *at <= recorded.ts || *until <= *at {
                        return Err(format!(
                            "order {order_id} is to leave at a time that is past"
                        ));
                    }
                    let moment = Moment {
                        at: *at,
                        until: *until,
                        has_left: false,
                    };
                    self.orders.insert(order_id.clone(), moment);
                }
                Event::OrderSubmitted { order_id } => {
                    if let Some(moment) = self.orders.get_mut(order_id) {
                        moment.leave(order_id, recorded.ts)?;
                        let first = !std::mem::replace(&mut moment.has_left, true);
                        let waits = !gate.is_reconciled || gate.state == TradingState::Halted;
                        if first && waits {
                            return Err(format!("order {order_id} left while it had to wait"));
                        }
                        if first {
                            coverage.take_moment(moment.met());
                        }
                    }
                }
                Event::OrderExpired { order_id, .. } => {
                    let moment = self.orders.get(order_id);
                    if let Some(moment) = moment.filter(|moment| !moment.has_left) {
                        coverage.take_moment(moment.met());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Nothing is held beyond its time: a tick, one a second, ends it.
///
/// Errors: the first order that is.
pub fn none_waits_too_long(account: &Account, now: UnixNanos) -> Result<(), String> {
    let mut held = account.working_orders().filter(|order| {
        let over = order.expires_at.map_or(0, |until| now.since(until));
        order.held_for == Some(Hold::Session) && over > 2 * NANOS_PER_SECOND
    });
    match held.next() {
        Some(order) => Err(format!("{order:?} waits behind its time")),
        None => Ok(()),
    }
}

impl Moment {
    fn met(&self) -> Met {
        let is_close = self.until.since(self.at) <= CLOSE_LEAD_NS;
        match (is_close, self.has_left) {
            (false, true) => Met::LeftAtOpen,
            (true, true) => Met::LeftAtClose,
            (false, false) => Met::OverAtOpen,
            (true, false) => Met::OverAtClose,
        }
    }

    fn leave(&self, order_id: &OrderId, now: UnixNanos) -> Result<(), String> {
        if self.at <= now && now < self.until {
            return Ok(());
        }
        let (early, late) = (self.at.since(now), now.since(self.until));
        Err(format!(
            "order {order_id} left out of its time: {early} ns early, {late} ns late"
        ))
    }
}
