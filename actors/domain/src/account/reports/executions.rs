//! Executions: told apart by id, and booked whatever the order's state says.

use super::{Account, Event, OrderIndex, QuarantineReason, ReasonCode, Step};
use crate::number::NumberError;
use crate::order::OrderStatus;
use crate::order::entry::OrderEntry;
use crate::venue::Execution;

impl Account {
    pub(super) fn execution(&mut self, step: &mut Step<'_>, execution: Execution) {
        let key = (execution.exec_id.clone(), execution.instrument_id.clone());
        if self.busted_early(step, &key, &execution) {
            return;
        }
        if let Some(position) = self.execution_index.get(&key) {
            let booked = &self.executions[*position as usize].execution;
            if *booked != execution {
                let detail = format!("booked {booked:?}, reported {execution:?}");
                let id = execution.client_order_id;
                self.quarantine(step, id, QuarantineReason::ConflictingExecution, detail);
            }
            return;
        }
        let index = self.orders.find_reported(&execution.client_order_id);
        let Some(index) = index.filter(|index| is_of(&execution, self.orders.get(*index))) else {
            return self.external(step, execution, index.is_some());
        };
        if let Err(error) = self.bookable(&execution, Some(index)) {
            return self.unbookable(step, execution, &error);
        }
        self.fill(step, index, execution);
    }

    fn fill(&mut self, step: &mut Step<'_>, index: OrderIndex, execution: Execution) {
        self.amend_that_fill_proves(step, index, &execution);
        let entry = self.orders.get(index);
        let order = &entry.order;
        let (order_id, client_order_id) = (
            order.order_id.clone(),
            order.request.client_order_id.clone(),
        );
        let late = !entry.is_working();
        let never_there = matches!(entry.base, OrderStatus::Denied | OrderStatus::Rejected)
            || order.reason_code == Some(ReasonCode::Resolved);
        let status = order.status.as_str();
        let total = i128::from(order.filled_quantity.0) + i128::from(execution.last_quantity.0);
        let overfill = total > i128::from(order.quantity.0) || entry.overfills_slice(&execution);
        if overfill {
            let detail = format!("{total} filled of {} by {execution:?}", order.quantity.0);
            let id = client_order_id.clone();
            self.quarantine(step, id, QuarantineReason::Overfill, detail);
        }
        self.record(
            step,
            Event::OrderFilled {
                order_id,
                execution: Box::new(execution),
                late,
            },
        );
        if overfill {
            self.halt(step, format!("order {client_order_id} was overfilled"));
        } else if never_there {
            let reason = format!("order {client_order_id} was filled although it was {status}");
            self.halt(step, reason);
        }
        self.end_held(step, index);
        let entry = self.orders.get(index);
        let open = entry.slice.is_some_and(|slice| !slice.done);
        if open && !late && entry.base == OrderStatus::Filled {
            // Fills of an earlier part took what the one at the venue still shows.
            step.effects.commands.push(entry.cancel_command());
        }
    }

    /// A fill beyond the old quantity and within an amend under way shows that the amend was
    /// taken, before its own report did.
    fn amend_that_fill_proves(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        execution: &Execution,
    ) {
        let entry = self.orders.get(index);
        let Some(amend) = &entry.amend else {
            return;
        };
        let total =
            i128::from(entry.order.filled_quantity.0) + i128::from(execution.last_quantity.0);
        let beyond_old = total > i128::from(entry.order.quantity.0);
        let within_new = total <= i128::from(amend.quantity.0);
        if beyond_old && within_new {
            let event = Event::OrderAmended {
                order_id: entry.order.order_id.clone(),
                quantity: amend.quantity,
                limit_price: amend.limit_price,
                stop_price: amend.stop_price,
                ts_event: execution.ts_event,
            };
            self.record(step, event);
        }
    }

    /// Ends an order whose end waited for its last fill.
    pub(super) fn end_held(&mut self, step: &mut Step<'_>, index: OrderIndex) {
        let entry = self.orders.get(index);
        let Some(held) = entry.held.clone() else {
            return;
        };
        let filled = entry.order.filled_quantity;
        let with_busted = filled.saturating_add(entry.busted_at_venue());
        if [filled, with_busted].contains(&held.cumulative_quantity) {
            self.end(step, index, held.end, held.reason_code, held.ts_event);
        }
    }

    /// Books an execution that is of no order of ours, or names one of ours by mistake.
    fn external(&mut self, step: &mut Step<'_>, execution: Execution, contradicts_order: bool) {
        if let Err(error) = self.bookable(&execution, None) {
            return self.unbookable(step, execution, &error);
        }
        let client_order_id = execution.client_order_id.clone();
        if contradicts_order {
            let detail = format!("instrument or side is not the order's: {execution:?}");
            let reason = QuarantineReason::ConflictingExecution;
            self.quarantine(step, client_order_id.clone(), reason, detail);
        }
        let execution = Box::new(execution);
        self.record(step, Event::ExternalFilled { execution });
        let reason = format!("an execution of {client_order_id} is of no order of this account");
        self.halt(step, reason);
    }

    fn unbookable(&mut self, step: &mut Step<'_>, execution: Execution, error: &str) {
        let detail = format!("{error}: {execution:?}");
        let id = execution.client_order_id;
        let reason = format!("an execution of {id} cannot be booked: {error}");
        self.quarantine(step, id, QuarantineReason::Unbookable, detail);
        self.halt(step, reason);
    }

    /// Tries the whole booking without doing it.
    fn bookable(&self, execution: &Execution, index: Option<OrderIndex>) -> Result<(), String> {
        if execution.last_quantity.0 <= 0 {
            return Err("quantity is not above zero".to_owned());
        }
        let instrument = self
            .instruments
            .get(&execution.instrument_id)
            .ok_or_else(|| "instrument is not known".to_owned())?;
        let owner = self.owner(index);
        let tried: Result<(), NumberError> = (|| {
            self.portfolio.plan(instrument, &owner, execution)?;
            if let Some(index) = index {
                let order = &self.orders.get(index).order;
                let notional =
                    instrument.notional(execution.last_price, execution.last_quantity)?;
                order.filled_notional.checked_add(notional)?;
                order.filled_quantity.checked_add(execution.last_quantity)?;
            }
            Ok(())
        })();
        tried.map_err(|error| format!("a number of it {error}"))
    }
}

pub(super) fn is_of(execution: &Execution, entry: &OrderEntry) -> bool {
    let request = &entry.order.request;
    request.instrument_id == execution.instrument_id && request.side == execution.side
}
