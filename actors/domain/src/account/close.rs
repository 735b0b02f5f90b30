//! Commands over several orders or positions: cancels, closing, the kill switch.
//!
//! Each is one event that says what was asked, and what it does follows. How positions are closed
//! stands in `closing`.

use super::closing::{Closing, MAX_CLOSINGS};
use super::machine::{Account, Step};
use super::orders::slice_id_taken;
use super::requests::{Subject, Touched};
use super::types::{CancelFilter, Outcome, Refusal, Reply};
use crate::event::{CloseScope, Command, Event};
use crate::id::{ClientOrderId, RequestId};
use crate::order::store::OrderIndex;
use crate::order::{Order, OrderKey};
use crate::risk::{ReasonCode, TradingState};
use crate::time::UnixNanos;
use std::collections::BTreeMap;

impl Account {
    /// Cancels each working order that the filter names.
    pub(super) fn cancel_all(
        &mut self,
        step: &mut Step<'_>,
        filter: CancelFilter,
        request_id: Option<RequestId>,
        reason_code: ReasonCode,
    ) {
        let command = Command::Cancel(filter.clone());
        if self.answer_command_again(step, request_id.as_ref(), &command, reason_code) {
            return;
        }
        if request_id.is_some() {
            self.take_command(step, request_id, command);
        }
        let meant = self.meant(&filter);
        for index in &meant {
            self.cancel_working(step, *index, None, reason_code);
        }
        self.reply_orders(step, &meant);
    }

    /// Cancels these orders, with an outcome for each.
    pub(super) fn cancel_orders(
        &mut self,
        step: &mut Step<'_>,
        keys: Vec<OrderKey>,
        request_id: Option<RequestId>,
        reason_code: ReasonCode,
    ) {
        if keys.is_empty() || keys.len() > super::lists::MAX_BATCH {
            return step.refuse(Refusal::Invalid {
                field: "orders",
                detail: "must be 1 to 100".to_owned(),
            });
        }
        let command = Command::CancelOrders(keys.clone());
        if self.answer_command_again(step, request_id.as_ref(), &command, reason_code) {
            return;
        }
        let touched = self.touched(&command);
        if request_id.is_some() {
            self.take_command(step, request_id, command);
        }
        for found in &touched {
            if let Touched::Working(index) = found {
                self.cancel_working(step, *index, None, reason_code);
            }
        }
        self.reply_outcomes_of(step, keys, &touched);
    }

    /// Returns what a command means now: each of several orders that it names, or the working
    /// ones that are as it says.
    fn touched(&self, command: &Command) -> Vec<Touched> {
        let all = |filter: &CancelFilter| {
            let meant = self.meant(filter).into_iter();
            meant.map(Touched::Working).collect()
        };
        match command {
            Command::Cancel(filter) => all(filter),
            Command::Halt { cancel, flatten } if *cancel || *flatten => {
                all(&CancelFilter::default())
            }
            Command::CancelOrders(keys) => {
                let found = |key: &OrderKey| match self.orders.find(key) {
                    None => Touched::Missing,
                    Some(index) if self.orders.get(index).is_working() => Touched::Working(index),
                    Some(index) => Touched::Ended(self.orders.get(index).order.status),
                };
                keys.iter().map(found).collect()
            }
            Command::Halt { .. }
            | Command::Close(_)
            | Command::CancelForeign(_)
            | Command::Resolve(_) => Vec::new(),
        }
    }

    pub(super) fn reply_outcomes_of(
        &self,
        step: &mut Step<'_>,
        keys: Vec<OrderKey>,
        touched: &[Touched],
    ) {
        let outcomes = keys.into_iter().zip(touched).map(|(key, found)| {
            let result = match found {
                Touched::Missing => Err(Refusal::OrderNotFound),
                Touched::Ended(status) => Err(Refusal::OrderClosed(status.as_str())),
                Touched::Working(index) => Ok(Box::new(self.orders.get(*index).order.clone())),
            };
            Outcome { key, result }
        });
        step.effects.reply = Some(Reply::Outcomes(outcomes.collect()));
    }

    /// Begins to close positions.
    pub(super) fn close(
        &mut self,
        step: &mut Step<'_>,
        scope: CloseScope,
        request_id: Option<RequestId>,
    ) {
        let command = Command::Close(scope.clone());
        let reason_code = ReasonCode::CanceledByUser;
        if self.answer_command_again(step, request_id.as_ref(), &command, reason_code) {
            return;
        }
        let unknown = scope.instrument_id.as_ref();
        if let Some(id) = unknown.filter(|id| !self.instruments.contains_key(*id)) {
            return step.refuse(Refusal::UnknownInstrument(id.clone()));
        }
        let used = scope.client_order_id.as_ref();
        let taken =
            |id: &&ClientOrderId| self.orders.find_client(id).is_some() || self.is_closing_id(id);
        if let Some(id) = used.filter(taken) {
            return step.refuse(Refusal::AlreadyExists(id.clone()));
        }
        if used.is_some_and(Account::is_slice_id) {
            return step.refuse(slice_id_taken());
        }
        if let Some(id) = used.filter(|id| self.is_strangers_id(id)) {
            return step.refuse(Refusal::UsedAtVenue(id.clone()));
        }
        if self.closings.len() >= MAX_CLOSINGS {
            return step.refuse(Refusal::TooManyClosings(self.closings.len()));
        }
        self.take_command(step, request_id, command);
        // Of the command, by which a repetition and `Closing` know it; what it does follows.
        self.done(step);
        let meant = self.meant(&in_the_way(&scope));
        for index in &meant {
            self.cancel_working(step, *index, None, reason_code);
        }
    }

    /// The kill switch. The state is first in the journal, so that nothing new is taken behind it.
    pub(super) fn kill(
        &mut self,
        step: &mut Step<'_>,
        request_id: Option<RequestId>,
        (cancel, flatten): (bool, bool),
        by: String,
        reason: String,
    ) {
        let command = Command::Halt { cancel, flatten };
        let reason_code = ReasonCode::CanceledByRisk;
        if self.answer_command_again(step, request_id.as_ref(), &command, reason_code) {
            return;
        }
        if self.trading_state != TradingState::Halted {
            let state = TradingState::Halted;
            let changed = Event::TradingStateChanged {
                request_id: None,
                state,
                by,
                reason,
            };
            self.record(step, changed);
        }
        self.take_command(step, request_id, command);
        let meant = if cancel || flatten {
            self.meant(&CancelFilter::default())
        } else {
            Vec::new()
        };
        for index in &meant {
            self.cancel_working(step, *index, None, reason_code);
        }
        self.reply_orders(step, &meant);
    }

    pub(super) fn take_command(
        &mut self,
        step: &mut Step<'_>,
        request_id: Option<RequestId>,
        command: Command,
    ) {
        let command = Box::new(command);
        self.record(
            step,
            Event::CommandTaken {
                request_id,
                command,
            },
        );
    }

    /// Folds a command: it is remembered, and a closing begins.
    pub(super) fn fold_command(
        &mut self,
        request_id: Option<&RequestId>,
        command: &Command,
        sequence: u64,
        ts: UnixNanos,
    ) {
        // Before it does anything, here as in a recovery.
        let touched = match request_id {
            Some(_) => self.touched(command),
            None => Vec::new(),
        };
        let subject = Subject::Command(Box::new(command.clone()), touched);
        self.requests.remember(request_id, subject, sequence, ts);
        if let Command::CancelForeign(cancel) = command {
            return self.fold_cancel_foreign(&cancel.orders, ts);
        }
        let scope = match command {
            Command::Close(scope) => scope.clone(),
            Command::Halt { flatten: true, .. } => CloseScope::default(),
            _ => return,
        };
        // A kill switch that is pulled again joins the one before, so that it needs no bound of its
        // own and is never refused.
        let all = |closing: &Closing| closing.of_halt;
        if matches!(command, Command::Halt { .. }) && self.closings.iter().any(all) {
            return;
        }
        self.closings.push(Closing {
            taken: sequence,
            scope,
            of_halt: matches!(command, Command::Halt { .. }),
            orders: 0,
            attempts: BTreeMap::new(),
        });
    }

    pub(super) fn meant(&self, filter: &CancelFilter) -> Vec<OrderIndex> {
        let working = self.orders.working().iter().copied();
        working
            .filter(|index| is_meant(filter, &self.orders.get(*index).order))
            .collect()
    }

    pub(super) fn reply_orders(&self, step: &mut Step<'_>, indexes: &[OrderIndex]) {
        let orders = indexes.iter();
        let orders = orders.map(|index| self.orders.get(*index).order.clone());
        step.effects.reply = Some(Reply::Orders(orders.collect()));
    }
}

/// Returns the working orders that have to end before positions can be closed.
pub(super) fn in_the_way(scope: &CloseScope) -> CancelFilter {
    CancelFilter {
        instrument_id: scope.instrument_id.clone(),
        strategy_id: scope.strategy_id.clone(),
        side: None,
    }
}

pub(super) fn is_meant(filter: &CancelFilter, order: &Order) -> bool {
    let request = &order.request;
    filter
        .instrument_id
        .as_ref()
        .is_none_or(|id| *id == request.instrument_id)
        && filter
            .strategy_id
            .as_ref()
            .is_none_or(|id| *id == request.strategy_id)
        && filter.side.is_none_or(|side| side == request.side)
}
