//! The orders that a simulated venue ever took from one account, open and ended.
//!
//! Ended orders stay, since client order ids are unique for ever and a query must be answered
//! for each of them.

use crate::id::{ClientOrderId, ExecId, IdError, InstrumentId, VenueOrderId};
use crate::instrument::Instrument;
use crate::market::Side;
use crate::money::Money;
use crate::number::{Price, Quantity};
use crate::order::{OrderType, TimeInForce};
use crate::time::UnixNanos;
use crate::venue::{
    EndReason, Execution, NewOrder, RejectReason, VenueEnd, VenueReport, VenueStatus,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod snapshot;

/// An order as it is put back into a simulated venue after a restart. Ended orders are put back
/// too, so that their client order ids stay used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredOrder {
    /// With the quantity and limit price that hold now, after amends.
    pub order: NewOrder,
    pub venue_order_id: VenueOrderId,
    pub status: VenueStatus,
    /// FIX 14; at least the sum of `executions`.
    pub filled_quantity: Quantity,
    /// What a query is answered with.
    pub executions: Vec<Execution>,
}

/// Makes venue order ids `<venue>-o<n>` and execution ids `<venue>-<n>`, each counted up.
#[derive(Clone, Debug)]
pub(super) struct Numbering {
    venue: String,
    next_order: u64,
    next_execution: u64,
}

impl Numbering {
    /// Begins to count at `first`.
    ///
    /// Errors: [`IdError`] when ids with this venue's name would not be valid.
    pub(super) fn new(venue: &str, first: u64) -> Result<Numbering, IdError> {
        ExecId::new(&format!("{venue}-{}", u64::MAX))?;
        VenueOrderId::new(&format!("{venue}-o{}", u64::MAX))?;
        Ok(Numbering {
            venue: venue.to_owned(),
            next_order: first,
            next_execution: first,
        })
    }

    /// Returns the next order's number and id.
    pub(super) fn order(&mut self) -> (u64, VenueOrderId) {
        let number = self.next_order;
        self.next_order += 1;
        let id = VenueOrderId::new(&format!("{}-o{number}", self.venue))
            // `new` checked the longest id of this form.
            .expect("venue order ids were checked at the start");
        (number, id)
    }

    fn execution(&mut self) -> ExecId {
        let number = self.next_execution;
        self.next_execution += 1;
        ExecId::new(&format!("{}-{number}", self.venue))
            // `new` checked the longest id of this form.
            .expect("execution ids were checked at the start")
    }
}

/// A match of one of our orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) price: Price,
    pub(super) quantity: Quantity,
    pub(super) maker: bool,
}

/// What an execution adds to its order; the rest of it follows from the order.
#[derive(Clone, Debug)]
struct Fill {
    exec_id: ExecId,
    matched: Match,
    fee: Money,
    ts_event: UnixNanos,
}

/// One order at the venue.
#[derive(Clone, Debug)]
pub(super) struct VenueOrder {
    /// The venue's number of it; the owner tag in an order book.
    pub(super) number: u64,
    venue_order_id: VenueOrderId,
    pub(super) instrument_id: InstrumentId,
    pub(super) side: Side,
    pub(super) order_type: OrderType,
    pub(super) quantity: Quantity,
    pub(super) limit_price: Option<Price>,
    pub(super) time_in_force: TimeInForce,
    pub(super) post_only: bool,
    pub(super) filled: Quantity,
    pub(super) status: VenueStatus,
    fills: Vec<Fill>,
}

impl VenueOrder {
    fn new(order: &NewOrder, number: u64, id: VenueOrderId, status: VenueStatus) -> VenueOrder {
        VenueOrder {
            number,
            venue_order_id: id,
            instrument_id: order.instrument_id.clone(),
            side: order.side,
            order_type: order.order_type,
            quantity: order.quantity,
            limit_price: order.limit_price,
            time_in_force: order.time_in_force,
            post_only: order.post_only,
            filled: Quantity::ZERO,
            status,
            fills: Vec::new(),
        }
    }

    pub(super) fn leaves(&self) -> Quantity {
        self.quantity.saturating_sub(self.filled)
    }
}

/// The orders of one account.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    orders: BTreeMap<ClientOrderId, VenueOrder>,
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

    /// Takes an order over as working.
    pub(super) fn accept(
        &mut self,
        numbering: &mut Numbering,
        order: &NewOrder,
        now: UnixNanos,
    ) -> VenueReport {
        let (number, id) = numbering.order();
        let record = VenueOrder::new(order, number, id.clone(), VenueStatus::Working);
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
            let record = VenueOrder::new(order, number, id, VenueStatus::Rejected);
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
        let order = self.open_mut(id)?;
        let fee = instrument
            .fee(matched.price, matched.quantity, matched.maker)
            .ok()?;
        order.filled = Quantity(order.filled.0 + matched.quantity.0);
        if order.filled >= order.quantity {
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
        let report = VenueReport::Filled(execution(
            id,
            order,
            &fill,
            instrument.quote_currency.clone(),
        ));
        order.fills.push(fill);
        Some(report)
    }

    /// Ends a working order. `None` when there is none of this id.
    pub(super) fn end(
        &mut self,
        id: &ClientOrderId,
        reason: EndReason,
        now: UnixNanos,
    ) -> Option<VenueReport> {
        let order = self.open_mut(id)?;
        order.status = VenueStatus::Canceled;
        Some(VenueReport::Ended {
            client_order_id: id.clone(),
            end: VenueEnd::Canceled,
            reason,
            cumulative_quantity: order.filled,
            ts_event: now,
        })
    }

    /// Answers a query. Everything that was sent before it has been worked off, since a
    /// simulated venue takes an account's commands one by one: "not found" is a proof.
    pub(super) fn query(
        &self,
        id: &ClientOrderId,
        currency: impl Fn(&InstrumentId) -> Option<crate::Currency>,
        now: UnixNanos,
    ) -> VenueReport {
        let Some(order) = self.orders.get(id) else {
            return VenueReport::NotFound {
                client_order_id: id.clone(),
                proof: true,
                ts_event: now,
            };
        };
        let executions = match currency(&order.instrument_id) {
            Some(currency) => order
                .fills
                .iter()
                .map(|fill| execution(id, order, fill, currency.clone()))
                .collect(),
            // An order of an unknown instrument was rejected and has no fills.
            None => Vec::new(),
        };
        VenueReport::Status {
            client_order_id: id.clone(),
            venue_order_id: order.venue_order_id.clone(),
            status: order.status,
            quantity: order.quantity,
            limit_price: order.limit_price,
            executions,
            ts_event: now,
            stop_price: None,
        }
    }

    /// Puts an order back and returns its number. An id that is known already is left alone.
    pub(super) fn restore(
        &mut self,
        numbering: &mut Numbering,
        restored: &RestoredOrder,
    ) -> Option<u64> {
        let id = &restored.order.client_order_id;
        if self.knows(id) {
            return None;
        }
        let (number, _) = numbering.order();
        let mut order = VenueOrder::new(
            &restored.order,
            number,
            restored.venue_order_id.clone(),
            restored.status,
        );
        order.filled = restored.filled_quantity;
        order.fills = restored
            .executions
            .iter()
            .map(|execution| Fill {
                exec_id: execution.exec_id.clone(),
                matched: Match {
                    price: execution.last_price,
                    quantity: execution.last_quantity,
                    maker: execution.maker,
                },
                fee: execution.fee,
                ts_event: execution.ts_event,
            })
            .collect();
        self.orders.insert(id.clone(), order);
        Some(number)
    }
}

fn execution(
    id: &ClientOrderId,
    order: &VenueOrder,
    fill: &Fill,
    fee_currency: crate::Currency,
) -> Execution {
    Execution {
        exec_id: fill.exec_id.clone(),
        client_order_id: id.clone(),
        instrument_id: order.instrument_id.clone(),
        side: order.side,
        last_quantity: fill.matched.quantity,
        last_price: fill.matched.price,
        fee: fill.fee,
        fee_currency,
        maker: fill.matched.maker,
        ts_event: fill.ts_event,
    }
}
