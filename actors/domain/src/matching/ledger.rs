//! The orders that a simulated venue ever took from one account, open and ended.
//!
//! Ended orders stay, since client order ids are unique for ever and a query must be answered
//! for each of them.

mod numbering;
mod order;
mod positions;

use crate::id::{ClientOrderId, ExecId, InstrumentId, VenueOrderId};
use crate::instrument::Fee;
use crate::instrument::Instrument;
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::OrderType;
use crate::time::UnixNanos;
use crate::venue::{
    EndReason, Execution, NewOrder, RejectReason, VenueEnd, VenueReport, VenueStatus,
};
pub(super) use numbering::Numbering;
use order::Fill;
pub use order::RestoredOrder;
pub(super) use order::{Change, Match, VenueOrder};
use positions::Positions;
pub use positions::RestoredPosition;
use std::collections::BTreeMap;

mod snapshot;

/// An execution that was taken back.
#[derive(Clone, Debug)]
pub(super) struct TakenBack {
    pub(super) instrument_id: InstrumentId,
    pub(super) side: Side,
    pub(super) matched: Match,
    pub(super) fee: Fee,
    pub(super) report: VenueReport,
}

/// The orders of one account.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    orders: BTreeMap<ClientOrderId, VenueOrder>,
    /// Whose execution it is.
    executions: BTreeMap<ExecId, ClientOrderId>,
    positions: Positions,
}

impl Ledger {
    pub(super) fn knows(&self, id: &ClientOrderId) -> bool {
        self.orders.contains_key(id)
    }

    /// Says why an order is not working.
    pub(super) fn why_not_open(&self, id: &ClientOrderId) -> &'static str {
        if self.knows(id) {
            "order has ended"
        } else {
            "no such order"
        }
    }

    /// Returns a working order.
    pub(super) fn open(&self, id: &ClientOrderId) -> Option<&VenueOrder> {
        self.orders
            .get(id)
            .filter(|order| order.status == VenueStatus::Working)
    }

    pub(super) fn open_mut(&mut self, id: &ClientOrderId) -> Option<&mut VenueOrder> {
        self.orders
            .get_mut(id)
            .filter(|order| order.status == VenueStatus::Working)
    }

    /// Returns the order that has this id of the venue, open or ended. Looks through all: a
    /// person asks, once in a while.
    pub(super) fn find_venue_order(&self, id: &VenueOrderId) -> Option<ClientOrderId> {
        let mut orders = self.orders.iter();
        let found = orders.find(|(_, order)| order.venue_order_id == *id)?;
        Some(found.0.clone())
    }

    /// Returns when an order, open or ended, ends by the clock.
    pub(super) fn end_time(&self, id: &ClientOrderId) -> Option<UnixNanos> {
        self.orders.get(id)?.ends_at
    }

    /// Takes up when a working order ends by the clock, where it does. Returns that with the
    /// order's number.
    pub(super) fn note_end(
        &mut self,
        id: &ClientOrderId,
        instrument: &Instrument,
    ) -> Option<(UnixNanos, u64)> {
        let order = self.open_mut(id)?;
        order.ends_at = order.last_moment(instrument);
        Some((order.ends_at?, order.number))
    }

    /// Takes an order over as working.
    pub(super) fn accept(
        &mut self,
        numbering: &mut Numbering,
        order: &NewOrder,
        now: UnixNanos,
    ) -> VenueReport {
        let (number, id) = numbering.order();
        let record = VenueOrder::new(order, number, id.clone(), VenueStatus::Working, now);
        self.orders.insert(order.client_order_id.clone(), record);
        VenueReport::Accepted {
            client_order_id: order.client_order_id.clone(),
            venue_order_id: id,
            ts_event: now,
        }
    }

    /// Refuses an order. Its id is used from then on, unless it was used before.
    pub(super) fn reject(
        &mut self,
        numbering: &mut Numbering,
        order: &NewOrder,
        reason: RejectReason,
        text: String,
        now: UnixNanos,
    ) -> VenueReport {
        if !self.knows(&order.client_order_id) {
            let (number, id) = numbering.order();
            let record = VenueOrder::new(order, number, id, VenueStatus::Rejected, now);
            self.orders.insert(order.client_order_id.clone(), record);
        }
        VenueReport::Rejected {
            client_order_id: order.client_order_id.clone(),
            reason,
            text,
            ts_event: now,
        }
    }

    /// Books a match. `None` when its fee cannot be stated (the notional has more than 28
    /// digits) or when the order is not working: nothing was booked, and the caller ends it.
    pub(super) fn fill(
        &mut self,
        numbering: &mut Numbering,
        instrument: &Instrument,
        id: &ClientOrderId,
        matched: Match,
        ts_event: UnixNanos,
    ) -> Option<VenueReport> {
        // Not by `open_mut`, which would borrow the rest of the ledger too.
        let order = self.orders.get_mut(id)?;
        if order.status != VenueStatus::Working {
            return None;
        }
        let fee = instrument
            .fee_of(
                order.order.side,
                matched.price,
                matched.quantity,
                matched.maker,
            )
            .ok()?;
        order.filled = Quantity(order.filled.0.checked_add(matched.quantity.0)?);
        if order.filled >= order.order.quantity {
            order.status = VenueStatus::Filled;
        }
        if order.fills.is_empty() {
            // Most orders fill at once; the usual growth would keep room for four.
            order.fills.reserve_exact(1);
        }
        let fill = Fill {
            exec_id: numbering.execution(),
            matched,
            fee,
            ts_event,
        };
        let filled = execution(id, order, &fill);
        order.fills.push(fill);
        self.positions.book(&order.order, matched.quantity.0);
        self.executions.insert(filled.exec_id.clone(), id.clone());
        Some(VenueReport::Filled(filled))
    }

    /// Ends a working order. `None` when there is none of this id.
    pub(super) fn end(
        &mut self,
        id: &ClientOrderId,
        reason: EndReason,
        now: UnixNanos,
    ) -> Option<VenueReport> {
        let order = self.open_mut(id)?;
        let (status, end) = match reason {
            EndReason::TimeOver => (VenueStatus::Expired, VenueEnd::Expired),
            _ => (VenueStatus::Canceled, VenueEnd::Canceled),
        };
        order.status = status;
        Some(VenueReport::Ended {
            client_order_id: id.clone(),
            end,
            reason,
            cumulative_quantity: order.filled,
            ts_event: now,
        })
    }

    /// Lets a conditional order work from now on. `None` when it waits for nothing.
    pub(super) fn trigger(&mut self, id: &ClientOrderId, now: UnixNanos) -> Option<VenueReport> {
        let order = self.open_mut(id)?;
        order.watch.take()?;
        order.order.order_type = order.order.order_type.triggered();
        Some(VenueReport::Triggered {
            client_order_id: id.clone(),
            ts_event: now,
        })
    }

    /// Refuses a working order whose condition was met and that is not allowed to work.
    pub(super) fn reject_open(
        &mut self,
        id: &ClientOrderId,
        reason: RejectReason,
        text: String,
        now: UnixNanos,
    ) -> Option<VenueReport> {
        let order = self.open_mut(id)?;
        order.status = VenueStatus::Rejected;
        order.watch = None;
        Some(VenueReport::Rejected {
            client_order_id: id.clone(),
            reason,
            text,
            ts_event: now,
        })
    }

    /// Changes a working order that was checked. The answer repeats what was asked for; where a
    /// trailing stop has moved on since it was asked, its stop price is told anew.
    pub(super) fn amend(
        &mut self,
        id: &ClientOrderId,
        change: Change,
        now: UnixNanos,
    ) -> Vec<VenueReport> {
        let Some(order) = self.open_mut(id) else {
            return Vec::new();
        };
        order.order.quantity = change.quantity;
        order.order.limit_price = change.limit_price.or(order.order.limit_price);
        if order.order.order_type != OrderType::TrailingStop
            && let Some(stop_price) = change.stop_price
        {
            order.order.terms.stop_price = Some(stop_price);
            if let Some(watch) = &mut order.watch {
                watch.set_stop_price(stop_price);
            }
        }
        let stands = order.order.terms.stop_price;
        let asked = change.stop_price.or(stands);
        let mut reports = vec![VenueReport::Amended {
            client_order_id: id.clone(),
            quantity: order.order.quantity,
            limit_price: order.order.limit_price,
            stop_price: asked,
            ts_event: now,
        }];
        if asked != stands {
            reports.extend(self.restate(id, now));
        }
        reports
    }

    /// Lets the rest of an order rest at a price from now on.
    pub(super) fn set_limit(
        &mut self,
        id: &ClientOrderId,
        price: Price,
        now: UnixNanos,
    ) -> Option<VenueReport> {
        self.open_mut(id)?.order.limit_price = Some(price);
        self.restate(id, now)
    }

    /// Tells the quantity and prices that hold now, FIX 150=D.
    pub(super) fn restate(&self, id: &ClientOrderId, now: UnixNanos) -> Option<VenueReport> {
        let order = &self.open(id)?.order;
        Some(VenueReport::Amended {
            client_order_id: id.clone(),
            quantity: order.quantity,
            limit_price: order.limit_price,
            stop_price: order.terms.stop_price,
            ts_event: now,
        })
    }

    /// Takes an execution back. A working order's quantity is open again; one that was filled
    /// has ended for good. `None` when there is no such execution.
    pub(super) fn bust(&mut self, exec_id: &ExecId, now: UnixNanos) -> Option<TakenBack> {
        let id = self.executions.remove(exec_id)?;
        let order = self.orders.get_mut(&id)?;
        let at = order.fills.iter().position(|f| f.exec_id == *exec_id)?;
        let fill = order.fills.remove(at);
        order.filled = order.filled.saturating_sub(fill.matched.quantity);
        self.positions
            .book(&order.order, fill.matched.quantity.0.saturating_neg());
        if order.status == VenueStatus::Filled {
            order.status = VenueStatus::Canceled;
        }
        Some(TakenBack {
            instrument_id: order.order.instrument_id.clone(),
            side: order.order.side,
            matched: fill.matched,
            fee: fill.fee,
            report: VenueReport::Busted {
                client_order_id: id,
                exec_id: exec_id.clone(),
                instrument_id: order.order.instrument_id.clone(),
                ts_event: now,
            },
        })
    }

    /// Answers a query. Everything that was sent before it has been worked off, since a
    /// simulated venue takes an account's commands one by one: "not found" is a proof.
    pub(super) fn query(&self, id: &ClientOrderId, now: UnixNanos) -> VenueReport {
        let Some(order) = self.orders.get(id) else {
            return VenueReport::NotFound {
                client_order_id: id.clone(),
                proof: true,
                ts_event: now,
            };
        };
        let fills = order.fills.iter();
        let executions = fills.map(|fill| execution(id, order, fill)).collect();
        VenueReport::Status {
            client_order_id: id.clone(),
            venue_order_id: order.venue_order_id.clone(),
            status: order.status,
            quantity: order.order.quantity,
            limit_price: order.order.limit_price,
            executions,
            ts_event: now,
            stop_price: order.order.terms.stop_price,
        }
    }

    /// Puts an order back and returns its number. An id that is known already is left alone.
    pub(super) fn restore(
        &mut self,
        numbering: &mut Numbering,
        restored: &RestoredOrder,
        now: UnixNanos,
    ) -> Option<u64> {
        let id = &restored.order.client_order_id;
        if self.knows(id) {
            return None;
        }
        let (number, _) = numbering.order();
        let venue_order_id = restored.venue_order_id.clone();
        let mut order = VenueOrder::new(
            &restored.order,
            number,
            venue_order_id,
            restored.status,
            now,
        );
        order.restore_watch(restored);
        order.filled = restored.filled_quantity;
        for execution in &restored.executions {
            self.executions
                .insert(execution.exec_id.clone(), id.clone());
            self.positions.book(&order.order, execution.last_quantity.0);
            order.fills.push(Fill {
                exec_id: execution.exec_id.clone(),
                matched: Match {
                    price: execution.last_price,
                    quantity: execution.last_quantity,
                    maker: execution.maker,
                },
                fee: Fee {
                    amount: execution.fee,
                    currency: execution.fee_currency.clone(),
                },
                ts_event: execution.ts_event,
            });
        }
        self.orders.insert(id.clone(), order);
        Some(number)
    }
}

fn execution(id: &ClientOrderId, order: &VenueOrder, fill: &Fill) -> Execution {
    Execution {
        exec_id: fill.exec_id.clone(),
        client_order_id: id.clone(),
        instrument_id: order.order.instrument_id.clone(),
        side: order.order.side,
        last_quantity: fill.matched.quantity,
        last_price: fill.matched.price,
        fee: fill.fee.amount,
        fee_currency: fill.fee.currency.clone(),
        maker: fill.matched.maker,
        ts_event: fill.ts_event,
    }
}
