//! What follows from a venue's snapshot: missing executions are booked, orders are asked for,
//! positions and balances are brought in line.
//!
//! The way of a difference stands in [`crate::reconcile`]; here is only what is done about it.

use super::machine::{Account, Step};
use super::reports::busts::Listed;
use super::types::AccountInput;
use crate::id::{ClientOrderId, InstrumentId};
use crate::order::SubmitOrder;
use crate::order::store::OrderIndex;
use crate::reconcile::{
    self, Difference, DifferenceState, ExecutionPart, OrderFigures, Part, Reconciler, Resolution,
    VenueOpenOrder, VenueSnapshot,
};
use crate::time::{NANOS_PER_SECOND, UnixNanos};
use crate::venue::{Execution, VenueCommand, VenueReport};

mod holdings;

/// How long what differs by executions that the venue does not list waits for their busts, in
/// nanoseconds: those say what was taken back, and at which price.
const BUSTS_WITHIN_NS: i64 = 60 * NANOS_PER_SECOND;

/// Queries that one snapshot may send, as for a tick: venues limit requests, and what is left
/// is asked at the next.
const QUERIES_PER_SNAPSHOT: usize = 100;

impl Account {
    /// Returns whether the account may trade: it agreed with its venue's snapshot, or runs where
    /// there is none to agree with.
    pub fn is_reconciled(&self) -> bool {
        self.reconciler.is_reconciled()
    }

    /// Returns what reconciliation remembers: its last report, totals, and orders at the venue
    /// that are not ours.
    pub fn reconciler(&self) -> &Reconciler {
        &self.reconciler
    }

    /// Returns whether an execution is booked here, or was taken back.
    pub(crate) fn has_seen(&self, execution: &Execution) -> bool {
        let key = (execution.exec_id.clone(), execution.instrument_id.clone());
        self.execution_index.contains_key(&key) || self.busted.get(&key) == Some(&true)
    }

    /// Returns true when the venue took an execution of the instrument back at `ts` or later.
    /// `None` is any instrument.
    pub(crate) fn has_busted_since(
        &self,
        ts: UnixNanos,
        instrument_id: Option<&InstrumentId>,
    ) -> bool {
        let mut busts = self.asked.busts.iter();
        busts.any(|(id, at)| *at >= ts && instrument_id.is_none_or(|wanted| wanted == id))
    }

    /// Returns true for an order, alone or in a list, or an amend that must wait until the account
    /// agrees with its venue. A repeated one is none: it is answered as before.
    pub(super) fn is_gated(&self, input: &AccountInput) -> bool {
        let is_new =
            |request: &SubmitOrder| self.orders.find_client(&request.client_order_id).is_none();
        let adds = match input {
            AccountInput::Submit { request, .. } => is_new(request),
            AccountInput::SubmitList { list, .. } => list.orders.iter().any(is_new),
            AccountInput::Amend { request, .. } => {
                self.requests.get(Some(&request.request_id)).is_none()
            }
            // Whether nothing is held is known only once the venue agrees.
            AccountInput::SetPositionMode { request_id, .. } => {
                self.requests.get(request_id.as_ref()).is_none()
            }
            _ => false,
        };
        adds && !self.is_reconciled()
    }

    /// Takes a venue's snapshot. One that is not newer than the last changes nothing.
    pub(super) fn reconcile(&mut self, step: &mut Step<'_>, snapshot: &VenueSnapshot) {
        // Taken out for the time of the pass, since it is changed beside the account.
        let mut machine = std::mem::take(&mut self.reconciler);
        let was_reconciled = machine.is_reconciled();
        if machine.begin(snapshot) {
            if let Some(part) = &snapshot.executions {
                self.take_executions(step, &mut machine, part);
            }
            if let Some(part) = &snapshot.open_orders {
                self.take_orders(step, &mut machine, part, snapshot.requested_at);
                self.end_foreign_gone(step, part, snapshot.requested_at);
            }
            self.take_holdings(step, &mut machine, snapshot);
            machine.end(step.now, snapshot);
        }
        self.reconciler = machine;
        if !was_reconciled && self.may_send() {
            self.drive_waiting(step, None);
        }
    }

    /// Returns true when the position of an instrument is known well enough to close it. One that
    /// differs elsewhere keeps no other position open.
    pub(super) fn agrees_on(&self, instrument_id: &InstrumentId) -> bool {
        self.reconciler.agrees_on(instrument_id)
    }

    /// Books what is missing here, by the way of every report. One that cannot be booked was
    /// quarantined the first time and is only remembered.
    fn take_executions(
        &mut self,
        step: &mut Step<'_>,
        machine: &mut Reconciler,
        part: &ExecutionPart,
    ) {
        for execution in reconcile::missing_executions(self, part) {
            let difference = Difference::ExecutionMissingHere {
                execution: Box::new(execution.clone()),
            };
            let judged = machine.observe(step.now, self.sequence, difference.clone());
            let Some(judged) = judged.filter(|_| machine.is_waiting(&difference)) else {
                continue;
            };
            let index = self.orders.find_reported(&execution.client_order_id);
            if let Some(index) = index
                && self.is_contradicted(part, index)
            {
                // Lists may lack what is there, and busts come by themselves.
                if judged.age_ns < BUSTS_WITHIN_NS {
                    continue;
                }
                self.take_back_by_list(step, part, index);
            }
            self.report(step, VenueReport::Filled(execution.clone()));
            let resolution = if self.has_seen(&execution) {
                Resolution::Booked
            } else {
                Resolution::Alarmed
            };
            machine.resolve(&difference, resolution);
        }
        for difference in reconcile::executions_unknown_at_venue(self, part) {
            let judged = machine.observe(step.now, self.sequence, difference.clone());
            // Only the venue can take an execution back, by a bust. Should it be right, its
            // position tells.
            if judged.is_some_and(|judged| judged.state == DifferenceState::Confirmed) {
                machine.resolve(&difference, Resolution::Alarmed);
            }
        }
    }

    /// Returns true when an order would be overfilled by what the list has and we have not: some
    /// of ours, which it lacks, may have been taken back and traded again.
    fn is_contradicted(&self, part: &ExecutionPart, index: OrderIndex) -> bool {
        [false, true].into_iter().any(|is_part| {
            let rows = self.listed_of(part, index, is_part);
            let list = listed(part, &rows, is_part);
            !self.contradicted(index, &list).is_empty()
        })
    }

    fn take_back_by_list(&mut self, step: &mut Step<'_>, part: &ExecutionPart, index: OrderIndex) {
        // What an iceberg shows is an order of its own, and smaller than the whole.
        for is_part in [false, true] {
            let rows = self.listed_of(part, index, is_part);
            self.take_back_contradicted(step, index, &listed(part, &rows, is_part));
        }
    }

    fn listed_of<'a>(
        &self,
        part: &'a ExecutionPart,
        index: OrderIndex,
        is_part: bool,
    ) -> Vec<&'a Execution> {
        let wire_id = self.orders.get(index).wire_id();
        let rows = part.rows.iter().filter(|row| {
            let is_ours = self.orders.find_reported(&row.client_order_id) == Some(index);
            is_ours && (!is_part || row.client_order_id == wire_id)
        });
        rows.collect()
    }

    fn take_orders(
        &mut self,
        step: &mut Step<'_>,
        machine: &mut Reconciler,
        part: &Part<VenueOpenOrder>,
        requested_at: UnixNanos,
    ) {
        let mut queries = 0;
        for difference in reconcile::orders(self, part, requested_at) {
            if let Difference::OrderUnknownHere {
                order,
                ended: false,
            } = &difference
            {
                machine.list_external((**order).clone());
            }
            let Some(judged) = machine.observe(step.now, self.sequence, difference.clone()) else {
                continue;
            };
            let is_confirmed = judged.state == DifferenceState::Confirmed;
            let resolution = match &difference {
                Difference::OrderUnknownHere { ended: false, .. } => Resolution::Listed,
                Difference::OrderUnknownHere { order, .. } if is_confirmed => {
                    cancel_at_venue(step, order)
                }
                Difference::OrderTerms {
                    client_order_id,
                    ours,
                    venue,
                    ..
                } if is_confirmed && self.may_take_terms(client_order_id, ours, venue) => {
                    self.take_venue_terms(step, client_order_id, venue, part.ts)
                }
                Difference::OrderTerms {
                    client_order_id, ..
                }
                | Difference::OrderUnknownAtVenue {
                    client_order_id, ..
                } if queries < QUERIES_PER_SNAPSHOT => {
                    queries += 1;
                    self.ask_for(step, client_order_id)
                }
                _ => Resolution::Waiting,
            };
            machine.resolve(&difference, resolution);
        }
    }

    fn ask_for(&mut self, step: &mut Step<'_>, client_order_id: &ClientOrderId) -> Resolution {
        match self.orders.find_client(client_order_id) {
            Some(index) => {
                self.query(step, index);
                Resolution::Asked
            }
            // An order that is compared is here.
            None => Resolution::Waiting,
        }
    }

    /// Returns whether terms that two snapshots showed may be taken over without an answer to
    /// the query: nothing is under way, only terms differ, and they hold what is filled.
    fn may_take_terms(
        &self,
        client_order_id: &ClientOrderId,
        ours: &OrderFigures,
        venue: &OrderFigures,
    ) -> bool {
        let index = self.orders.find_client(client_order_id);
        let is_settled = index.is_some_and(|index| !self.orders.unsettled().contains(&index));
        let changed = OrderFigures {
            filled_quantity: ours.filled_quantity,
            ..*venue
        } != *ours;
        is_settled && changed && venue.quantity >= ours.filled_quantity && venue.quantity.0 > 0
    }

    fn take_venue_terms(
        &mut self,
        step: &mut Step<'_>,
        client_order_id: &ClientOrderId,
        venue: &OrderFigures,
        ts_event: UnixNanos,
    ) -> Resolution {
        let Some(index) = self.orders.find_client(client_order_id) else {
            // An order that is compared is here.
            return Resolution::Waiting;
        };
        self.report(
            step,
            VenueReport::Amended {
                client_order_id: self.orders.get(index).wire_id(),
                quantity: venue.quantity,
                limit_price: venue.limit_price,
                stop_price: venue.stop_price,
                ts_event,
            },
        );
        Resolution::TakenOver
    }
}

/// The executions of one order in a snapshot's list.
fn listed<'a>(part: &ExecutionPart, executions: &'a [&'a Execution], is_part: bool) -> Listed<'a> {
    Listed {
        executions,
        // The list of open orders may be of another moment.
        works: false,
        is_part,
        since: part.since,
        ts: part.ts,
    }
}

/// An order that has ended here must not trade there. Its cancel may safely arrive twice.
fn cancel_at_venue(step: &mut Step<'_>, order: &VenueOpenOrder) -> Resolution {
    let Some(client_order_id) = order.client_order_id.clone() else {
        return Resolution::Listed;
    };
    step.effects.commands.push(VenueCommand::Cancel {
        client_order_id,
        instrument_id: order.instrument_id.clone(),
    });
    Resolution::CancelSent
}
