//! Executions that a venue takes back.
//!
//! Whatever order a fill and its bust arrive in, the account ends where it would be without
//! either. The quantity of a working order opens again, since the venue may trade it again; an
//! order that had ended stays ended, and the quantity counts as canceled.

use super::executions::is_of;
use super::{Account, Event, OrderIndex, QuarantineReason, Step, UnixNanos};
use crate::account::FoldError;
use crate::event::Recorded;
use crate::id::{ClientOrderId, ExecId, InstrumentId};
use crate::number::NumberError;
use crate::order::entry::EntryError;
use crate::venue::Execution;

/// Executions are told apart by id and instrument.
pub(in crate::account) type ExecutionKey = (ExecId, InstrumentId);

/// The executions of one order as a venue lists them.
pub(in crate::account) struct Listed<'a> {
    pub executions: &'a [&'a Execution],
    /// The order works at the venue.
    pub works: bool,
    /// They are those of the part at the venue only, of an iceberg that goes there in parts.
    pub is_part: bool,
    /// The list is whole from here on, inclusive, until `ts`, exclusive.
    pub since: UnixNanos,
    pub ts: UnixNanos,
}

impl Account {
    /// Takes a bust. One of an execution that is not known yet is remembered.
    pub(super) fn busted(
        &mut self,
        step: &mut Step<'_>,
        client_order_id: &ClientOrderId,
        key: ExecutionKey,
        ts_event: UnixNanos,
    ) {
        if self.busted.contains_key(&key) {
            return;
        }
        let booked = self.execution_index.get(&key).copied();
        let record = booked.map(|position| self.executions[position as usize].clone());
        if let Some(record) = &record
            && let Err(error) = self.bust_plan(&key)
        {
            let detail = format!("a number of it {error}: {:?}", record.execution);
            let reason = QuarantineReason::Unbookable;
            self.quarantine(step, client_order_id.clone(), reason, detail);
            return self.halt(step, format!("the bust of {} cannot be booked", key.0));
        }
        let index = self.orders.find_reported(client_order_id);
        let named = index.map(|index| self.orders.get(index).order.order_id.clone());
        let (order_id, execution) = match record {
            // One that was booked to no order stays so, even if an order has the name by now.
            Some(record) => (record.order_id, Some(Box::new(record.execution))),
            None => (named, None),
        };
        let (exec_id, instrument_id) = key;
        let latest = self.asked.busts.entry(instrument_id.clone());
        let latest = latest.or_insert(ts_event);
        *latest = ts_event.max(*latest);
        self.record(
            step,
            Event::ExecutionBusted {
                order_id,
                exec_id,
                instrument_id,
                booked: execution.is_some(),
                execution,
                ts_event,
            },
        );
        if let Some(index) = index {
            self.end_held(step, index);
        }
    }

    /// A list has all executions of an order that the venue has of its time. Where they and ours
    /// together are more than the order can be (or all of an order that works), those of ours that
    /// a list of their time does not have were taken back, and their busts are on their way.
    /// Without that contradiction a missing one proves nothing: lists of venues lag.
    pub(in crate::account) fn take_back_contradicted(
        &mut self,
        step: &mut Step<'_>,
        index: OrderIndex,
        list: &Listed<'_>,
    ) {
        let wire_id = self.orders.get(index).wire_id();
        for key in self.contradicted(index, list) {
            self.busted(step, &wire_id, key, list.ts);
        }
    }

    /// Returns those of our executions that a list contradicts.
    pub(in crate::account) fn contradicted(
        &self,
        index: OrderIndex,
        list: &Listed<'_>,
    ) -> Vec<ExecutionKey> {
        let entry = self.orders.get(index);
        let order_id = entry.order.order_id.clone();
        let slice = entry.slice.filter(|_| list.is_part);
        let wire_id = entry.wire_id();
        let key =
            |execution: &Execution| (execution.exec_id.clone(), execution.instrument_id.clone());
        let new = list.executions.iter().filter(|execution| {
            let key = key(execution);
            !self.execution_index.contains_key(&key) && !self.busted.contains_key(&key)
        });
        let new: i128 = new
            .map(|execution| i128::from(execution.last_quantity.0))
            .sum();
        let (filled, total) = match slice {
            Some(slice) => (slice.filled, slice.quantity),
            None => (entry.order.filled_quantity, entry.worst_total()),
        };
        let filled = i128::from(filled.0);
        let most = i128::from(total.0) - i128::from(list.works);
        if new == 0 || filled + new <= most {
            return Vec::new();
        }
        let executions = self.executions.iter();
        executions
            .filter(|record| !record.busted && record.order_id.as_ref() == Some(&order_id))
            .map(|record| &record.execution)
            .filter(|ours| slice.is_none() || ours.client_order_id == wire_id)
            .filter(|ours| ours.ts_event >= list.since && ours.ts_event < list.ts)
            .filter(|ours| {
                let mut listed = list.executions.iter();
                !listed.any(|theirs| theirs.exec_id == ours.exec_id)
            })
            .map(key)
            .collect()
    }

    /// Returns true for an execution whose bust came first: it is noted with it, once, and never
    /// booked.
    pub(super) fn busted_early(
        &mut self,
        step: &mut Step<'_>,
        key: &ExecutionKey,
        execution: &Execution,
    ) -> bool {
        let Some(known) = self.busted.get(key) else {
            return false;
        };
        if *known || execution.last_quantity.0 <= 0 {
            return true;
        }
        // One that is not of the order that it names leaves that one alone, as when it is booked.
        let index = self.orders.find_reported(&execution.client_order_id);
        let index = index.filter(|index| is_of(execution, self.orders.get(*index)));
        let order_id = index.map(|index| self.orders.get(index).order.order_id.clone());
        self.record(
            step,
            Event::ExecutionBusted {
                order_id,
                exec_id: key.0.clone(),
                instrument_id: key.1.clone(),
                execution: Some(Box::new(execution.clone())),
                booked: false,
                ts_event: execution.ts_event,
            },
        );
        if let Some(index) = index {
            self.end_held(step, index);
        }
        true
    }

    /// Returns the portfolio without one execution: its position is made again from those that
    /// remain, so that average price and realised profit are what they would have been.
    fn bust_plan(&self, key: &ExecutionKey) -> Result<crate::portfolio::Unbooking, NumberError> {
        let position = self.execution_index.get(key).copied();
        let record = position.map(|position| &self.executions[position as usize]);
        let record = record.ok_or(NumberError::OutOfRange)?;
        let instrument = self.instruments.get(&key.1);
        let instrument = instrument.ok_or(NumberError::OutOfRange)?;
        let others = self.past_without(record);
        let side = record.position_side;
        let of_side = self.traded_of_side(&key.1, side, Some(record.sequence));
        let (holder, busted) = (record.holder(), &record.execution);
        self.portfolio
            .plan_without(instrument, &holder, busted, others, of_side)
    }

    pub(in crate::account) fn take_bust(
        &mut self,
        recorded: &Recorded,
        key: &ExecutionKey,
        execution: Option<&Execution>,
    ) -> Result<(), FoldError> {
        let (sequence, ts) = (recorded.sequence, recorded.ts);
        let number = |source: NumberError| FoldError::Number { sequence, source };
        let booked = self.execution_index.get(key).copied();
        if let Some(position) = booked {
            let unbooking = self.bust_plan(key).map_err(number)?;
            self.portfolio.commit_without(unbooking);
            self.count_base_fee(position as usize, true);
            self.executions[position as usize].busted = true;
            let side = self.executions[position as usize].position_side;
            self.forget_average(&key.1, side);
        }
        self.busted.insert(key.clone(), execution.is_some());
        let Event::ExecutionBusted { order_id, .. } = &recorded.event else {
            return Ok(());
        };
        let index = order_id
            .as_ref()
            .and_then(|id| self.orders.find_order_id(id));
        let (Some(index), Some(execution)) = (index, execution) else {
            return Ok(());
        };
        let instrument = self
            .instruments
            .get(&key.1)
            .ok_or(FoldError::UnknownInstrument { sequence })?;
        self.orders
            .update(index, |entry| {
                entry.bust(execution, booked.is_some(), instrument, sequence, ts)
            })
            .map_err(|error| match error {
                EntryError::Transition(_) => FoldError::Transition {
                    sequence,
                    order_id: self.orders.get(index).order.order_id.clone(),
                },
                EntryError::Number(source) => FoldError::Number { sequence, source },
            })
    }
}
