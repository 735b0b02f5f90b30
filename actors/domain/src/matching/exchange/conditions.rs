//! Orders that wait: for a price, and for their end.

use super::orders::report;
use super::{ExchangeEvent, SimExchange};
use crate::UnixNanos;
use crate::id::{AccountId, ClientOrderId, InstrumentId};
use crate::matching::rules::{self, Refused};
use crate::number::Price;
use crate::order::trigger::Seen;
use crate::venue::{EndReason, NewOrder};

impl SimExchange {
    /// Lets a new conditional order begin to watch the market as it stands.
    pub(super) fn watch(
        &mut self,
        account_id: &AccountId,
        id: &ClientOrderId,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let ledger = self.ledgers.entry(account_id.clone()).or_default();
        let Some(order) = ledger.open_mut(id) else {
            return;
        };
        let Some(market) = self.markets.get(&order.order.instrument_id) else {
            return;
        };
        order.begin_to_watch(&market.floor.view);
        if let (Some(watch), Some(_)) = (&order.watch, order.order.terms.activation_price) {
            out.push(ExchangeEvent::Watching {
                account_id: account_id.clone(),
                client_order_id: id.clone(),
                watch: watch.clone(),
            });
        }
    }

    /// Shows all orders that wait for a price the market of their instrument.
    pub(super) fn see_all(&mut self, id: &InstrumentId, out: &mut Vec<ExchangeEvent>) {
        let Some(market) = self.markets.get(id) else {
            return;
        };
        if market.watching.is_empty() {
            return;
        }
        let numbers: Vec<u64> = market.watching.iter().copied().collect();
        for number in numbers {
            self.see_one(number, out);
        }
    }

    /// Shows an order that waits for a price the market. One whose condition is met waits from
    /// then on to be worked off: doing it here could go as deep as there are orders.
    pub(super) fn see_one(&mut self, number: u64, out: &mut Vec<ExchangeEvent>) {
        // Before the market opens there are only orders that were put back in the books: what
        // they leave as a best price is no price.
        if !self.started {
            return;
        }
        let clock = self.clock;
        let Some(live) = self.live.get(&number) else {
            return;
        };
        let (Some(market), Some(ledger)) = (
            self.markets.get_mut(&live.instrument_id),
            self.ledgers.get_mut(&live.account_id),
        ) else {
            return;
        };
        let Some(order) = ledger.open_mut(&live.client_order_id) else {
            return;
        };
        // Without trading there is no price, and the last one is history.
        if !market.floor.trades(order.order.terms.extended_hours) {
            return;
        }
        match order.see(&market.floor.view, &market.definition.instrument) {
            Seen::Nothing => {}
            Seen::Trailed { .. } => {
                let restated = ledger.restate(&live.client_order_id, clock);
                report(out, &live.account_id, restated);
            }
            Seen::Triggered => {
                market.watching.remove(&number);
                self.triggered.push_back(number);
            }
        }
    }

    /// Lets the orders whose condition was met work, in the order in which that happened. Each
    /// may trade and so meet the condition of others.
    pub(super) fn work_off(&mut self, out: &mut Vec<ExchangeEvent>) {
        while let Some(number) = self.triggered.pop_front() {
            let Some((live, order)) = self.order(number) else {
                continue;
            };
            let (account_id, id) = (live.account_id.clone(), live.client_order_id.clone());
            if let Err(refused) = self.check_triggered(&order.order) {
                self.refuse_open(number, refused, out);
                continue;
            }
            let clock = self.clock;
            let triggered = self.ledger(&account_id).trigger(&id, clock);
            report(out, &account_id, triggered);
            self.place(number, out);
        }
    }

    /// Checks what could not be checked before an order works.
    fn check_triggered(&self, order: &NewOrder) -> Result<(), Refused> {
        let Some(market) = self.markets.get(&order.instrument_id) else {
            return Ok(());
        };
        let Some(price) = order.limit_price else {
            return Ok(());
        };
        let instrument = &market.definition.instrument;
        market.floor.check_collar(instrument, price)?;
        rules::check_begin(order, market.book.would_trade(order.side, Some(price)))
    }

    /// Ends the orders whose time lies before `now`. What happens at the very end of their time
    /// still counts.
    pub(super) fn expire(&mut self, now: UnixNanos, out: &mut Vec<ExchangeEvent>) {
        while let Some(&(end, number)) = self.ends.first().filter(|(end, _)| *end < now) {
            self.ends.remove(&(end, number));
            let clock = std::mem::replace(&mut self.clock, end);
            self.withdraw(number, EndReason::TimeOver, out);
            self.clock = clock;
        }
        self.settle_contracts(now, out);
    }

    /// Settles what accounts hold of contracts that have ended in cash, at the mark of that time.
    /// One that has no mark waits for it, and holds up no other.
    fn settle_contracts(&mut self, now: UnixNanos, out: &mut Vec<ExchangeEvent>) {
        let ended = self.contract_ends.iter().take_while(|(end, _)| *end <= now);
        let marked: Vec<((UnixNanos, InstrumentId), Price)> = ended
            .filter_map(|one| Some((one.clone(), self.markets.get(&one.1)?.floor.mark()?)))
            .collect();
        for (one, mark) in marked {
            self.contract_ends.remove(&one);
            let (_, instrument_id) = one;
            self.settle_contract(&instrument_id, mark);
            out.push(ExchangeEvent::Settled {
                instrument_id,
                mark,
            });
        }
    }

    pub(super) fn settle_contract(&mut self, id: &InstrumentId, mark: Price) {
        let Some(market) = self.markets.get(id) else {
            return;
        };
        let instrument = &market.definition.instrument;
        if let Some(margin) = &mut self.margin {
            margin.settle(instrument, mark);
        }
        if let Some(wallets) = &mut self.wallets {
            wallets.settle(instrument, mark);
        }
    }
}
