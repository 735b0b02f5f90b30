//! Orders for the opening and the close at a venue that takes none: held here until their moment.
//!
//! The moment is asked of the calendar once and is part of the event, so that neither a restart
//! nor another calendar moves it. At the moment the order leaves as IOC. It then meets the
//! market as any order does: nobody collects orders for it, so this is not the one price of an
//! auction. What cannot leave in its time (trading is halted, the process was away or does not agree
//! with its venue yet, there is no price to measure it by) ends: an order must not trade at a time
//! that nobody asked for.

use super::machine::{Account, Step};
use crate::calendar::Calendar;
use crate::event::Event;
use crate::id::InstrumentId;
use crate::order::TimeInForce;
use crate::order::store::OrderIndex;
use crate::risk::ReasonCode;
use crate::risk::checks::Denial;
use crate::time::{NANOS_PER_SECOND, UnixNanos};
use crate::venue::SessionEdge;

/// How long before the close an order for it leaves. The account is told the time once a second,
/// so that it leaves four seconds before the close at the latest: enough for a venue's answer,
/// and near enough to trade at the prices of the close.
pub const CLOSE_LEAD_NS: i64 = 5 * NANOS_PER_SECOND;

/// How long after the opening an order for it may still leave. Long enough for a process that is
/// restarted at the opening; after a minute the price is no longer that of the opening.
pub const OPEN_WINDOW_NS: i64 = 60 * NANOS_PER_SECOND;

/// When an order that is held here leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    at: UnixNanos,
    /// Exclusive.
    until: UnixNanos,
}

impl Account {
    /// Returns the times at which orders that are held for the opening or the close leave, with
    /// their instruments, the earliest first.
    pub fn release_times(&self) -> impl Iterator<Item = (UnixNanos, &InstrumentId)> {
        self.orders.leaving().map(|(at, index)| {
            let request = &self.orders.get(index).order.request;
            (at, &request.instrument_id)
        })
    }

    /// Holds an order until the next opening or close.
    pub(super) fn hold_until(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        let order = &self.orders.get(index).order;
        let order_id = order.order_id.clone();
        let request = &order.request;
        let instrument = self.instruments.get(&request.instrument_id);
        let calendar = instrument.and_then(|i| Calendar::shared(&i.rules.calendar));
        let moment = calendar.and_then(|c| next_moment(c, request.time_in_force, step.now));
        let Some(Moment { at, until }) = moment else {
            let denial = Denial {
                reason_code: ReasonCode::Unsupported,
                reason: "the calendar of the instrument has no further opening or close; send it \
                         as DAY or IOC"
                    .to_owned(),
            };
            return self.deny(step, index, denial);
        };
        let held = Event::OrderHeldUntil {
            order_id,
            at,
            until,
        };
        self.record(step, held);
    }

    /// Lets orders leave whose moment has come. While trading is halted, before the account agrees
    /// with its venue, and while there is no price to measure one by, it waits on until its time is
    /// over.
    ///
    /// With the time only, not with a price: behind the loss limits, which are measured once a tick.
    pub(super) fn leave_on_time(&mut self, step: &mut Step<'_>) {
        if !self.may_send() {
            return;
        }
        let due = self.orders.leaving().take_while(|(at, _)| *at <= step.now);
        let due: Vec<OrderIndex> = due.map(|(_, index)| index).collect();
        for index in due {
            // What ended in this step, an earlier one of these included, may end this one.
            self.drive_lists(step);
            let entry = self.orders.get(index);
            let over = entry.order.expires_at.is_none_or(|at| at <= step.now);
            // The end of one whose time is over comes with the next tick.
            if over || !entry.is_home() {
                continue;
            }
            let order_id = entry.order.order_id.clone();
            let market = self.reference_of(&entry.order.request.instrument_id);
            match self.verdict(step.now, index, market) {
                Ok(()) => self.submit_to_venue(step, index, order_id),
                Err(denial) if denial.reason_code == ReasonCode::NoReferencePrice => {}
                Err(denial) => self.deny(step, index, denial),
            }
        }
    }
}

/// Returns when an order for the opening or the close that is taken at `now` leaves: one that
/// comes too late for this one waits for the next. `None` where the calendar has no more.
fn next_moment(calendar: &Calendar, for_edge: TimeInForce, now: UnixNanos) -> Option<Moment> {
    let mut from = now;
    loop {
        let (edge_at, edge) = calendar.next_edge(from)?;
        from = edge_at;
        let moment = match (for_edge, edge) {
            (TimeInForce::AtOpen, SessionEdge::Open) => {
                let close = calendar.next_edge(edge_at).map(|(close, _)| close);
                let window = edge_at.plus(OPEN_WINDOW_NS);
                Moment {
                    at: edge_at,
                    until: close.map_or(window, |close| close.min(window)),
                }
            }
            (TimeInForce::AtClose, SessionEdge::Close) => Moment {
                at: edge_at.plus(-CLOSE_LEAD_NS),
                until: edge_at,
            },
            _ => continue,
        };
        if moment.at > now {
            return Some(moment);
        }
    }
}
