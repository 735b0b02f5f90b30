//! An exchange that goes on after a restart.

use super::orders::report;
use super::{ExchangeEvent, SimExchange};
use crate::UnixNanos;
use crate::id::{AccountId, InstrumentId};
use crate::matching::ledger::{RestoredOrder, RestoredPosition};
use crate::number::Price;
use crate::venue::{EndReason, VenueControl, VenueStatus};

impl SimExchange {
    /// Puts halts and sessions of an earlier run back, before its orders. Busts are in the
    /// orders already.
    pub fn restore_controls<'a>(&mut self, controls: impl IntoIterator<Item = &'a VenueControl>) {
        for control in controls {
            let (VenueControl::Halt { instrument_id }
            | VenueControl::Resume { instrument_id }
            | VenueControl::Session { instrument_id, .. }) = control
            else {
                continue;
            };
            let Some(market) = self.markets.get_mut(instrument_id) else {
                continue;
            };
            match control {
                VenueControl::Halt { .. } => market.floor.set_halted(true),
                VenueControl::Resume { .. } => {
                    market.floor.set_halted(false);
                    market.floor.take_opening();
                }
                VenueControl::Session { edge, .. } => {
                    market.floor.set_session(*edge);
                    market.floor.take_opening();
                }
                VenueControl::Bust { .. } => {}
            }
        }
    }

    /// Puts back what an account holds by orders that are not put back themselves: what only
    /// reduces is held to it. Before [`SimExchange::restore`]. Margin and balances do not count it.
    pub fn restore_positions(&mut self, account_id: &AccountId, held: &[RestoredPosition]) {
        let ledger = self.ledgers.entry(account_id.clone()).or_default();
        ledger.restore_positions(held);
    }

    /// Settles again, behind [`SimExchange::restore`], what an earlier run has settled, at the same
    /// mark.
    pub fn restore_settlements<'a>(
        &mut self,
        settled: impl IntoIterator<Item = (&'a InstrumentId, Price)>,
    ) {
        for (instrument_id, mark) in settled {
            self.contract_ends.retain(|(_, id)| id != instrument_id);
            self.settle_contract(instrument_id, mark);
        }
    }

    /// Puts orders of an earlier run back, before the first input: first come, first in the
    /// queue. The market then opens round them. An iceberg order shows a whole part again, and
    /// one whose time was over meanwhile ends. Orders that trade with each other, which orders of
    /// one earlier run do not, are filled and reported.
    pub fn restore(
        &mut self,
        now: UnixNanos,
        orders: &[(AccountId, RestoredOrder)],
        out: &mut Vec<ExchangeEvent>,
    ) {
        self.clock = now;
        self.keep_sessions(now, out);
        let mut taken = Vec::with_capacity(orders.len());
        for (account_id, restored) in orders {
            let ledger = self.ledgers.entry(account_id.clone()).or_default();
            let number = ledger.restore(&mut self.numbering, restored, now);
            if let (Some(margin), Some(market)) = (
                &mut self.margin,
                self.markets.get(&restored.order.instrument_id),
            ) {
                for execution in &restored.executions {
                    margin.book(account_id, &market.definition.instrument, execution);
                }
            }
            if let (Some(wallets), Some(market)) = (
                &mut self.wallets,
                self.markets.get(&restored.order.instrument_id),
            ) {
                let side = restored.order.terms.position_side;
                for execution in &restored.executions {
                    wallets.book(account_id, &market.definition.instrument, side, execution);
                }
            }
            taken.extend(number.map(|_| (account_id, restored)));
        }
        // All positions are known only now.
        for (account_id, restored) in taken {
            if restored.status != VenueStatus::Working {
                continue;
            }
            let id = &restored.order.client_order_id;
            let market = self.markets.get(&restored.order.instrument_id);
            let order = self.ledgers.get(account_id).and_then(|l| l.open(id));
            let end = order
                .zip(market)
                .and_then(|(order, market)| order.last_moment(&market.definition.instrument));
            match end.filter(|end| *end < now) {
                Some(end) => {
                    let ended = self.ledger(account_id).end(id, EndReason::TimeOver, end);
                    report(out, account_id, ended);
                }
                None => self.begin(account_id, id, out),
            }
        }
        self.work_off(out);
    }
}
