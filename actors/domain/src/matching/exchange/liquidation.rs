//! Accounts whose margin no longer covers their positions.

use super::orders::{LIQUIDATION, LiveOrder};
use super::{ExchangeEvent, SimExchange};
use crate::id::{AccountId, ClientOrderId, InstrumentId};
use crate::instrument::Instrument;
use crate::market::Side;
use crate::matching::margin::MarginState;
use crate::matching::rules::Refused;
use crate::number::{Price, Quantity};
use crate::order::{OrderTerms, OrderType, TimeInForce};
use crate::venue::{EndReason, NewOrder, RejectReason, VenueReport};

impl SimExchange {
    /// Refuses an order whose initial margin the account's equity does not cover.
    pub(super) fn check_margin(
        &self,
        account_id: &AccountId,
        order: &NewOrder,
    ) -> Result<(), Refused> {
        let Some(margin) = &self.margin else {
            return Ok(());
        };
        let Some(market) = self.markets.get(&order.instrument_id) else {
            return Ok(());
        };
        let instrument = &market.definition.instrument;
        if !margin.lists(instrument) {
            let text = "instrument has no margin in the venue's currency";
            return Err(Refused::new(RejectReason::Unsupported, text));
        }
        let Some((_, mark)) = self.mark(&order.instrument_id) else {
            return Ok(());
        };
        if margin.covers(account_id, instrument, order, mark, |id| self.mark(id)) {
            return Ok(());
        }
        let reason = RejectReason::InsufficientFunds;
        Err(Refused::new(
            reason,
            "equity does not cover the initial margin",
        ))
    }

    fn mark(&self, id: &InstrumentId) -> Option<(&Instrument, Price)> {
        let market = self.markets.get(id)?;
        Some((&market.definition.instrument, market.floor.mark()?))
    }

    /// Returns what the exchange holds for an account; `None` without margin.
    pub fn margin_state(&self, account_id: &AccountId) -> Option<MarginState> {
        let margin = self.margin.as_ref()?;
        margin.state(account_id, |id| self.mark(id))
    }

    /// Calls and liquidates accounts whose equity lies below their maintenance margin.
    pub(super) fn watch_margin(&mut self, out: &mut Vec<ExchangeEvent>) {
        let Some(margin) = &self.margin else {
            return;
        };
        for account_id in margin.exposed() {
            let Some(state) = self.margin_state(&account_id) else {
                continue;
            };
            let clock = self.clock;
            let Some(margin) = &mut self.margin else {
                return;
            };
            let call = margin.call(&account_id, &state, clock);
            if call.is_new {
                out.push(ExchangeEvent::MarginCall {
                    account_id: account_id.clone(),
                    state,
                });
            }
            if call.is_due {
                self.liquidate(&account_id, out);
            }
        }
    }

    /// Cancels an account's orders, then closes its positions one by one until what is left is
    /// covered.
    fn liquidate(&mut self, account_id: &AccountId, out: &mut Vec<ExchangeEvent>) {
        let working: Vec<u64> = self
            .live
            .iter()
            .filter(|(_, live)| live.account_id == *account_id)
            .map(|(number, _)| *number)
            .collect();
        for number in working {
            self.withdraw(number, EndReason::Liquidation, out);
        }
        let positions = match &self.margin {
            Some(margin) => margin.positions(account_id),
            None => return,
        };
        for (instrument_id, position) in positions {
            if self
                .margin_state(account_id)
                .is_none_or(|state| state.is_covered())
            {
                break;
            }
            self.close_position(account_id, &instrument_id, position, out);
        }
        self.work_off(out);
    }

    fn close_position(
        &mut self,
        account_id: &AccountId,
        instrument_id: &InstrumentId,
        position: i64,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let side = if position > 0 { Side::Sell } else { Side::Buy };
        let Some(market) = self.markets.get(instrument_id) else {
            return;
        };
        // Tried again with the next step.
        if !market.floor.is_trading() || !market.book.would_trade(side, None) {
            return;
        }
        let number = self.numbering.next_order();
        let Ok(client_order_id) = ClientOrderId::new(&format!("{LIQUIDATION}{number}")) else {
            return;
        };
        let order = NewOrder {
            client_order_id: client_order_id.clone(),
            instrument_id: instrument_id.clone(),
            side,
            order_type: OrderType::Market,
            quantity: Quantity(position.saturating_abs()),
            limit_price: None,
            time_in_force: TimeInForce::Ioc,
            post_only: false,
            reduce_only: false,
            terms: OrderTerms::default(),
        };
        let ledger = self.ledgers.entry(account_id.clone()).or_default();
        let accepted = ledger.accept(&mut self.numbering, &order, self.clock);
        let VenueReport::Accepted { venue_order_id, .. } = accepted else {
            return;
        };
        out.push(ExchangeEvent::Liquidation {
            account_id: account_id.clone(),
            venue_order_id,
            order,
        });
        let live = LiveOrder {
            account_id: account_id.clone(),
            client_order_id,
            instrument_id: instrument_id.clone(),
            book_id: None,
            arrival: 0,
        };
        self.live.insert(number, live);
        self.place(number, out);
    }
}
