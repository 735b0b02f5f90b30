//! What follows from a venue's snapshot: missing executions are booked, orders are asked for,
//! positions and balances are brought in line.
//!
//! The way of a difference stands in [`crate::reconcile`]; here is only what is done about it.

use super::machine::{Account, Step};
use super::reports::busts::Listed;
use super::types::AccountInput;
use crate::event::Event;
use crate::id::{ClientOrderId, ExecId, InstrumentId};
use crate::money::Money;
use crate::number::Price;
use crate::order::PositionSide;
use crate::order::SubmitOrder;
use crate::order::store::OrderIndex;
use crate::portfolio::Holder;
use crate::reconcile::{
    self, Difference, DifferenceState, ExecutionPart, OrderFigures, Part, Reconciler, Resolution,
    VenueBalance, VenueOpenOrder, VenuePosition, VenueSnapshot,
};
use crate::time::{NANOS_PER_SECOND, UnixNanos};
use crate::venue::{Execution, VenueCommand, VenueReport};

/// Queries that one snapshot may send, as for a tick: venues limit requests, and what is left
/// is asked at the next.
const QUERIES_PER_SNAPSHOT: usize = 100;

/// How long what differs by executions that the venue does not list waits for their busts, in
/// nanoseconds: those say what was taken back, and at which price.
const BUSTS_WITHIN_NS: i64 = 60 * NANOS_PER_SECOND;

/// What one snapshot showed about positions and balances, before anything of it was done.
#[derive(Default)]
struct Confirmed {
    positions: Vec<Difference>,
    balances: Vec<Difference>,
}

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

    /// Positions first, since what is booked for them moves cash; then balances by what is left.
    fn take_holdings(
        &mut self,
        step: &mut Step<'_>,
        machine: &mut Reconciler,
        snapshot: &VenueSnapshot,
    ) {
        let mut confirmed = Confirmed::default();
        if let Some(part) = &snapshot.positions {
            for difference in reconcile::positions(self, part, snapshot.positions_by_side) {
                if self.is_to_book(step, machine, &difference, (part.ts, snapshot)) {
                    confirmed.positions.push(difference);
                }
            }
        }
        if let Some(part) = &snapshot.balances {
            let tolerance = machine.settings().balance_tolerance.clone();
            for difference in reconcile::balances(self, part, &tolerance) {
                if self.is_to_book(step, machine, &difference, (part.ts, snapshot)) {
                    confirmed.balances.push(difference);
                }
            }
        }
        if let Some(part) = &snapshot.positions {
            self.book_positions(step, machine, &confirmed.positions, part);
        }
        if let Some(part) = &snapshot.balances {
            self.adjust_balances(step, machine, &confirmed.balances, part);
        }
    }

    /// Notes a difference of a position or balance, by a part of `ts`. True when it is confirmed
    /// and nothing that is under way can explain it.
    fn is_to_book(
        &self,
        step: &Step<'_>,
        machine: &mut Reconciler,
        difference: &Difference,
        (ts, snapshot): (UnixNanos, &VenueSnapshot),
    ) -> bool {
        let Some(judged) = machine.observe(step.now, self.sequence, difference.clone()) else {
            return false;
        };
        let instrument_id = match difference {
            Difference::Position { instrument_id, .. } => Some(instrument_id),
            _ => None,
        };
        let executions = snapshot.executions.as_ref();
        let awaits_busts = executions
            .is_some_and(|part| reconcile::awaits_busts(self, part, difference))
            && judged.age_ns < BUSTS_WITHIN_NS;
        let open_orders = snapshot.open_orders.as_ref().zip(instrument_id);
        let is_unsure =
            open_orders.is_some_and(|(part, id)| reconcile::has_unlisted_order(self, part, id));
        judged.state == DifferenceState::Confirmed
            && !awaits_busts
            && !is_unsure
            && !self.is_under_way(judged.first_sequence, instrument_id)
            && !machine.has_open_orders(instrument_id)
            && !reconcile::younger_than(self, ts, instrument_id)
    }

    /// Returns true while the outcome of an order is open that was there when the difference was
    /// first seen: it may be what the venue has and we have not. A later one is not, or the
    /// difference would have moved.
    fn is_under_way(&self, first_sequence: u64, instrument_id: Option<&InstrumentId>) -> bool {
        self.orders.unsettled().iter().any(|index: &OrderIndex| {
            let entry = self.orders.get(*index);
            let concerns = instrument_id.is_none_or(|id| *id == entry.order.request.instrument_id);
            concerns && entry.created <= first_sequence
        })
    }

    fn book_positions(
        &mut self,
        step: &mut Step<'_>,
        machine: &mut Reconciler,
        differences: &[Difference],
        part: &Part<VenuePosition>,
    ) {
        for difference in differences {
            let booked = self.book_position(step, difference, part.ts);
            let resolution = if booked.is_some() {
                Resolution::Booked
            } else {
                Resolution::Alarmed
            };
            machine.resolve(difference, resolution);
        }
    }

    /// Books the executions that bring a position in line. `None` when they cannot be booked: no
    /// such instrument, no price to book at, or no number holds the result.
    fn book_position(
        &mut self,
        step: &mut Step<'_>,
        difference: &Difference,
        ts_event: UnixNanos,
    ) -> Option<()> {
        let Difference::Position {
            instrument_id,
            side: position_side,
            ours,
            venue,
            price,
        } = difference
        else {
            return None;
        };
        let instrument = self.instruments.get(instrument_id)?;
        let fee_currency = instrument.quote_currency.clone();
        let last_price = price.or_else(|| self.last_price(instrument_id))?;
        let legs = reconcile::legs(*ours, *venue).ok()?;
        let owner = Holder {
            side: position_side.unwrap_or(PositionSide::Net),
            ..Holder::external()
        };
        for (number, (side, last_quantity)) in legs.into_iter().enumerate() {
            // By the venue's time: the same snapshot gives the same id, which counts once.
            let of_side = match owner.side {
                PositionSide::Net => "",
                PositionSide::Long => "L",
                PositionSide::Short => "S",
            };
            let id = format!("{}{}-{of_side}{number}", reconcile::SYNTHETIC, ts_event.0);
            let execution = Execution {
                exec_id: ExecId::new(&id).ok()?,
                client_order_id: ClientOrderId::new(&id).ok()?,
                instrument_id: instrument_id.clone(),
                side,
                last_quantity,
                last_price,
                fee: Money::ZERO,
                fee_currency: fee_currency.clone(),
                maker: false,
                ts_event,
            };
            if self.has_seen(&execution) {
                continue;
            }
            let instrument = self.instruments.get(instrument_id)?;
            self.portfolio.plan(instrument, &owner, &execution).ok()?;
            let execution = Box::new(execution);
            let position_side = owner.side;
            let event = match position_side {
                PositionSide::Net => Event::PositionReconciled { execution },
                _ => Event::SideReconciled {
                    position_side,
                    execution,
                },
            };
            self.record(step, event);
        }
        Some(())
    }

    /// Returns the price of the newest execution of an instrument.
    fn last_price(&self, instrument_id: &InstrumentId) -> Option<Price> {
        let mut newest = self.executions.iter().rev();
        let record = newest.find(|record| record.execution.instrument_id == *instrument_id)?;
        Some(record.execution.last_price)
    }

    /// Brings balances in line that were to be, by what differs now that positions are.
    fn adjust_balances(
        &mut self,
        step: &mut Step<'_>,
        machine: &mut Reconciler,
        confirmed: &[Difference],
        part: &Part<VenueBalance>,
    ) {
        let tolerance = machine.settings().balance_tolerance.clone();
        let left = reconcile::balances(self, part, &tolerance);
        for difference in confirmed {
            let key = difference.subject();
            let now = left.iter().find(|left| left.subject() == key);
            let resolution = match now {
                Some(Difference::Balance {
                    currency,
                    ours,
                    venue,
                }) => match venue.checked_sub(*ours) {
                    Ok(amount) if self.portfolio.cash_after(currency, amount).is_ok() => {
                        let currency = currency.clone();
                        self.record(step, Event::BalanceReconciled { currency, amount });
                        self.shift_baseline(step);
                        Resolution::Adjusted
                    }
                    _ => Resolution::Alarmed,
                },
                // What was booked for a position explains it.
                _ => Resolution::Adjusted,
            };
            machine.resolve(difference, resolution);
        }
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
