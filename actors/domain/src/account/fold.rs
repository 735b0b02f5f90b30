//! What each event does to the state. Nothing is decided here.

use super::losses::{Baseline, SYSTEM, Unmeasured};
use super::machine::Account;
use super::recovery::FoldError;
use super::requests::{Amended, Subject};
use super::types::ExecutionRecord;
use crate::event::{Event, Recorded};
use crate::id::OrderId;
use crate::number::NumberError;
use crate::order::OrderStatus;
use crate::order::entry::{EntryError, NewEntry, OrderEntry};
use crate::order::store::OrderIndex;
use crate::portfolio::Holder;
use crate::risk::checks::RATE_WINDOW_NS;
use crate::time::UnixNanos;
use crate::venue::Execution;

impl Account {
    pub(super) fn take(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        let (sequence, ts) = (recorded.sequence, recorded.ts);
        match &recorded.event {
            Event::AccountOpened {
                account_id,
                base_currency,
                mode,
            } => {
                self.account_id = Some(account_id.clone());
                self.base_currency = Some(base_currency.clone());
                self.mode = Some(*mode);
            }
            Event::CashAdjusted {
                request_id,
                currency,
                amount,
                reason,
            } => {
                self.take_cash(recorded, currency, *amount)?;
                self.take_paid(currency, *amount);
                let subject = Subject::Cash(currency.clone(), *amount, reason.clone());
                self.requests
                    .remember(request_id.as_ref(), subject, sequence, ts);
            }
            Event::LimitsSet { .. } => self.take_limits(recorded),
            Event::PositionModeSet { .. } => self.take_position_mode(recorded),
            Event::InstrumentDefined { instrument } => {
                self.instruments
                    .insert(instrument.instrument_id.clone(), (**instrument).clone());
            }
            Event::TradingStateChanged { .. } => self.take_trading_state(recorded),
            Event::OrderInitialized { .. } => self.begin_order(recorded)?,
            Event::OrderFilled {
                order_id,
                execution,
                late,
            } => {
                let index = self.take_order_event(recorded, order_id)?;
                let entry = self.orders.get(index);
                let (created, request) = (entry.created, &entry.order.request);
                let client_order_id = request.client_order_id.clone();
                self.fold_closing_order(&recorded.event, &client_order_id, created, ts);
                let holder = self.holder_of(index);
                self.book(recorded, execution, Some(order_id), holder, *late)?;
            }
            Event::ExternalFilled { execution } | Event::PositionReconciled { execution } => {
                self.book(recorded, execution, None, Holder::external(), false)?;
            }
            Event::BalanceReconciled { .. }
            | Event::PositionSettled { .. }
            | Event::SideReconciled { .. }
            | Event::FundingPaid { .. }
            | Event::InstrumentSplit { .. } => self.take_payment(recorded)?,
            Event::SessionGuarded { .. }
            | Event::OrderGuarded { .. }
            | Event::GuardEnded { .. } => self.take_guard(recorded)?,
            Event::ReportQuarantined { .. } => {}
            Event::ListInitialized { list } => self.lists.insert((**list).clone()),
            Event::EquityMarked {
                day_start,
                highest,
                day,
            } => self.take_baseline(Baseline {
                day_start: *day_start,
                highest: *highest,
                day: *day,
            }),
            Event::LossesUnmeasured => self.unmeasured = Some(Unmeasured::since(ts)),
            Event::LossesMeasured => self.unmeasured = None,
            Event::CommandTaken {
                request_id,
                command,
            } => self.fold_command(request_id.as_ref(), command, sequence, ts),
            share @ Event::PlatformShareSet { .. } => self.fold_share(share),
            Event::CloseEnded { taken, outcome } => {
                self.fold_close_ended(*taken, *outcome, sequence, ts);
            }
            Event::ForeignCancelEnded { venue_order_id, .. } => {
                self.fold_foreign_ended(venue_order_id);
            }
            Event::ExecutionBusted {
                exec_id,
                instrument_id,
                execution,
                ..
            } => {
                let key = (exec_id.clone(), instrument_id.clone());
                self.take_bust(recorded, &key, execution.as_deref())?;
            }
            order_event => {
                if let Some(order_id) = order_event.order_id() {
                    let index = self.take_order_event(recorded, order_id)?;
                    self.infer_position_mode(&recorded.event, index);
                    self.remember_order_request(recorded, index);
                }
            }
        }
        Ok(())
    }

    fn take_limits(&mut self, recorded: &Recorded) {
        let Event::LimitsSet { request_id, limits } = &recorded.event else {
            return;
        };
        self.limits = limits.clone();
        self.limits_sequence = recorded.sequence;
        let subject = Subject::Limits(limits.clone());
        self.requests
            .remember(request_id.as_ref(), subject, recorded.sequence, recorded.ts);
    }

    fn take_trading_state(&mut self, recorded: &Recorded) {
        let Event::TradingStateChanged {
            request_id,
            state,
            by,
            reason,
        } = &recorded.event
        else {
            return;
        };
        let (sequence, ts) = (recorded.sequence, recorded.ts);
        self.take_state_of_losses(*state, request_id.is_none() && by == SYSTEM, ts);
        self.trading_state = *state;
        let subject = Subject::TradingState(*state, reason.clone());
        self.requests
            .remember(request_id.as_ref(), subject, sequence, ts);
    }

    fn begin_order(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        let Event::OrderInitialized {
            order_id,
            request,
            market,
            quantity,
            expires_at,
        } = &recorded.event
        else {
            return Ok(());
        };
        let account_id = self.account_id.clone().ok_or(FoldError::NotOpen)?;
        let list_id = self.lists.of(&request.client_order_id);
        let (sequence, ts) = (recorded.sequence, recorded.ts);
        self.fold_closing_order(&recorded.event, &request.client_order_id, sequence, ts);
        self.orders.push(OrderEntry::new(NewEntry {
            account_id,
            order_id: order_id.clone(),
            request: (**request).clone(),
            market: *market,
            quantity: *quantity,
            expires_at: *expires_at,
            list_id,
            sequence,
            ts,
        }));
        Ok(())
    }

    fn take_order_event(
        &mut self,
        recorded: &Recorded,
        order_id: &OrderId,
    ) -> Result<OrderIndex, FoldError> {
        let (sequence, ts) = (recorded.sequence, recorded.ts);
        let unknown = || FoldError::UnknownOrder {
            sequence,
            order_id: order_id.clone(),
        };
        let index = self.orders.find_order_id(order_id).ok_or_else(unknown)?;
        let entry = self.orders.get(index);
        let instrument = self
            .instruments
            .get(&entry.order.request.instrument_id)
            .ok_or(FoldError::UnknownInstrument { sequence })?;
        let counts_for_rate = match recorded.event {
            // A second submit is a repetition of the same order, not a new one, and one that was
            // held here counted then.
            Event::OrderSubmitted { .. } => {
                entry.base == OrderStatus::PendingNew && entry.hold.is_none()
            }
            Event::OrderHeld { .. } | Event::OrderHeldUntil { .. } => entry.hold.is_none(),
            Event::OrderPendingAmend { .. } => true,
            _ => false,
        };
        self.orders
            .update(index, |entry| {
                entry.fold(&recorded.event, instrument, sequence, ts)
            })
            .map_err(|error| match error {
                EntryError::Transition(_) => FoldError::Transition {
                    sequence,
                    order_id: order_id.clone(),
                },
                EntryError::Number(source) => FoldError::Number { sequence, source },
            })?;
        self.take_member_event(&recorded.event, index);
        self.guards.follow(index, &self.orders);
        if counts_for_rate {
            self.count_for_rate(ts);
        }
        Ok(index)
    }

    fn count_for_rate(&mut self, ts: UnixNanos) {
        let window_start = ts.plus(-RATE_WINDOW_NS);
        while self.recent.front().is_some_and(|old| *old <= window_start) {
            self.recent.pop_front();
        }
        self.recent.push_back(ts);
    }

    fn remember_order_request(&mut self, recorded: &Recorded, index: OrderIndex) {
        let (request_id, subject) = match &recorded.event {
            Event::OrderPendingAmend {
                request_id,
                quantity,
                limit_price,
                stop_price,
                ..
            } => {
                // The values hold once the venue has answered: those before it are still here.
                let order = &self.orders.get(index).order;
                let amended = Amended {
                    quantity: (order.quantity, *quantity),
                    limit_price: (order.limit_price, *limit_price),
                    stop_price: (order.stop_price, *stop_price),
                };
                (request_id, Subject::Amend(index, amended))
            }
            Event::OrderPendingCancel { request_id, .. } => (request_id, Subject::Cancel(index)),
            _ => return,
        };
        self.requests
            .remember(request_id.as_ref(), subject, recorded.sequence, recorded.ts);
    }

    /// Brings an execution to the positions, cash and the list of executions.
    pub(super) fn book(
        &mut self,
        recorded: &Recorded,
        execution: &Execution,
        order_id: Option<&OrderId>,
        holder: Holder,
        late: bool,
    ) -> Result<(), FoldError> {
        let sequence = recorded.sequence;
        let number = |source: NumberError| FoldError::Number { sequence, source };
        let instrument = self
            .instruments
            .get(&execution.instrument_id)
            .ok_or(FoldError::UnknownInstrument { sequence })?;
        let booking = self
            .portfolio
            .plan(instrument, &holder, execution)
            .map_err(number)?;
        self.portfolio.commit(booking);
        self.index_execution(execution, self.executions.len());
        if order_id.is_none() {
            self.strangers.traded(&execution.client_order_id);
        }
        self.executions.push(ExecutionRecord {
            sequence,
            ts: recorded.ts,
            order_id: order_id.cloned(),
            strategy_id: holder.strategy_id,
            execution: execution.clone(),
            late,
            busted: false,
            position_side: holder.side,
        });
        self.count_base_fee(self.executions.len() - 1, false);
        Ok(())
    }

    pub(super) fn index_execution(&mut self, execution: &Execution, position: usize) {
        let key = (execution.exec_id.clone(), execution.instrument_id.clone());
        // As for orders: memory ends long before four billion.
        self.execution_index.insert(key, position as u32);
    }
}
