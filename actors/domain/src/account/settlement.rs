//! Contracts that end: what is held of them is settled in cash.
//!
//! With the first tick from the end on, each strategy's position is closed by an execution without
//! a fee, at the mark that was shown last. All of one contract are settled at one price: what a
//! fill that was late on its way opens afterwards is settled at that of the first. Without any mark
//! the position waits for one. A live account is left alone: its venue settles, and says at what.

use super::machine::{Account, Step};
use crate::event::{AccountMode, Event};
use crate::id::{ClientOrderId, ExecId, InstrumentId};
use crate::instrument::Instrument;
use crate::market::Side;
use crate::money::Money;
use crate::number::{Price, Quantity};
use crate::portfolio::Holder;
use crate::reconcile::{SETTLEMENT, is_settlement};
use crate::time::UnixNanos;
use crate::venue::Execution;

impl Account {
    /// Settles what is held of contracts that have ended. Before the account agrees with its
    /// venue, what is held is not known.
    pub(super) fn settle_contracts(&mut self, step: &mut Step<'_>) {
        if self.mode == Some(AccountMode::Live) || !self.is_reconciled() {
            return;
        }
        for (instrument_id, holder) in self.held_beyond_the_end(step.now) {
            if let Some(execution) = self.settlement(&instrument_id, &holder) {
                let event = Event::PositionSettled {
                    strategy_id: holder.strategy_id,
                    position_side: holder.side,
                    execution: Box::new(execution),
                };
                self.record(step, event);
            }
        }
    }

    fn held_beyond_the_end(&self, now: UnixNanos) -> Vec<(InstrumentId, Holder)> {
        let ended = |id: &InstrumentId| {
            let instrument = self.instruments.get(id);
            instrument.is_some_and(|instrument| instrument.is_expired(now))
        };
        let held = self.portfolio.positions();
        held.filter(|position| !position.is_flat() && ended(&position.instrument_id))
            .map(|position| (position.instrument_id.clone(), position.holder()))
            .collect()
    }

    /// Returns the execution that closes a position; `None` while there is no price, or where no
    /// number holds the result.
    fn settlement(&self, instrument_id: &InstrumentId, holder: &Holder) -> Option<Execution> {
        let instrument = self.instruments.get(instrument_id)?;
        let position = self.portfolio.position_of(holder, instrument_id)?;
        let side = if position.quantity > 0 {
            Side::Sell
        } else {
            Side::Buy
        };
        let id = format!("{SETTLEMENT}{}", self.sequence + 1);
        let execution = Execution {
            exec_id: ExecId::new(&id).ok()?,
            client_order_id: ClientOrderId::new(&id).ok()?,
            instrument_id: instrument_id.clone(),
            side,
            last_quantity: Quantity(position.quantity.checked_abs()?),
            last_price: self.settlement_price(instrument)?,
            fee: Money::ZERO,
            fee_currency: instrument.profit_currency().clone(),
            maker: false,
            ts_event: instrument.rules.expires_at?,
        };
        self.portfolio.plan(instrument, holder, &execution).ok()?;
        Some(execution)
    }

    fn settlement_price(&self, instrument: &Instrument) -> Option<Price> {
        let id = &instrument.instrument_id;
        let settled = self.executions.iter().rev().find(|record| {
            let execution = &record.execution;
            execution.instrument_id == *id && is_settlement(execution)
        });
        match settled {
            Some(record) => Some(record.execution.last_price),
            None => self.marks.marks().get(id).map(|mark| mark.price),
        }
    }
}
