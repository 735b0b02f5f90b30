//! Orders that are amended and canceled by their accounts.

use super::market::Stamp;
use super::orders::report;
use super::{ExchangeEvent, SimExchange};
use crate::id::{AccountId, ClientOrderId};
use crate::matching::ledger::Change;
use crate::matching::order_book::Outcome;
use crate::matching::rules;
use crate::venue::{EndReason, VenueReport};

impl SimExchange {
    pub(super) fn cancel_order(
        &mut self,
        account_id: &AccountId,
        id: &ClientOrderId,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let clock = self.clock;
        let ledger = self.ledger(account_id);
        let Some(number) = ledger.open(id).map(|order| order.number) else {
            let rejected = VenueReport::CancelRejected {
                client_order_id: id.clone(),
                text: ledger.why_not_open(id).to_owned(),
                ts_event: clock,
            };
            return report(out, account_id, rejected);
        };
        if self.live.contains_key(&number) {
            return self.withdraw(number, EndReason::Requested, out);
        }
        // Put back with an instrument that this exchange does not list.
        let ended = self.ledger(account_id).end(id, EndReason::Requested, clock);
        report(out, account_id, ended);
    }

    pub(super) fn amend_order(
        &mut self,
        account_id: &AccountId,
        id: &ClientOrderId,
        change: Change,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let clock = self.clock;
        let (number, outcome) = match self.amend_in_book(account_id, id, change) {
            Ok(amended) => amended,
            Err(text) => {
                let rejected = VenueReport::AmendRejected {
                    client_order_id: id.clone(),
                    text,
                    ts_event: clock,
                };
                return report(out, account_id, rejected);
            }
        };
        for amended in self.ledger(account_id).amend(id, change, clock) {
            report(out, account_id, amended);
        }
        let Some(live) = self.live.get(&number) else {
            return;
        };
        let instrument_id = live.instrument_id.clone();
        self.publish(&instrument_id, Stamp::at(clock), out);
        match outcome {
            Some(Outcome::SelfTrade) => self.end(number, EndReason::SelfTrade, out),
            Some(_) => {}
            None => self.see_one(number, out),
        }
    }

    /// Amends in the book, where what it traded waits to be published; an order that still waits
    /// is not there. A refusal changed nothing.
    fn amend_in_book(
        &mut self,
        account_id: &AccountId,
        id: &ClientOrderId,
        change: Change,
    ) -> Result<(u64, Option<Outcome>), String> {
        let ledger = self.ledgers.entry(account_id.clone()).or_default();
        let Some(order) = ledger.open(id) else {
            return Err(ledger.why_not_open(id).to_owned());
        };
        let number = order.number;
        let (reduces, open) = (
            order.order.reduce_only,
            change.quantity.saturating_sub(order.filled),
        );
        let grows = change.quantity > order.order.quantity;
        if reduces && grows && open > self.coverable(number) {
            return Err("reduce_only order would be larger than its position".to_owned());
        }
        let ledger = self.ledgers.entry(account_id.clone()).or_default();
        let Some(order) = ledger.open(id) else {
            return Err(ledger.why_not_open(id).to_owned());
        };
        let (Some(live), Some(market)) = (
            self.live.get_mut(&number),
            self.markets.get_mut(&order.order.instrument_id),
        ) else {
            return Err("unknown instrument".to_owned());
        };
        if market.floor.is_halted() {
            return Err("trading is halted".to_owned());
        }
        let instrument = &market.definition.instrument;
        rules::check_amend(instrument, order, &change)?;
        if let Some(price) = change.limit_price.filter(|_| order.watch.is_none()) {
            let collar = market.floor.check_collar(instrument, price);
            collar.map_err(|refused| refused.text)?;
        }
        let Some(book_id) = live.book_id else {
            let price = change.limit_price.or(order.order.limit_price);
            if price != order.order.limit_price || change.quantity > order.order.quantity {
                live.arrival = market.book.next_arrival();
            }
            return Ok((number, None));
        };
        if let Some(price) = change.limit_price {
            let moves = Some(price) != order.order.limit_price;
            if market.floor.is_closed_to(order.order.terms.extended_hours) && moves {
                return Err("session is closed: cancel the order and send another".to_owned());
            }
            if order.order.post_only && market.book.would_trade(order.order.side, Some(price)) {
                return Err("post-only order would trade at once".to_owned());
            }
        }
        let (quantity, price) = (change.quantity, change.limit_price);
        let amended = market
            .book
            .amend(book_id, quantity, price, &mut market.changes)
            .map_err(|error| error.to_string())?;
        Ok((number, Some(amended.outcome)))
    }
}
