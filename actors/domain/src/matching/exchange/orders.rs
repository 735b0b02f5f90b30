//! Orders of accounts at the exchange: taken, amended, canceled, and filled by what happened in
//! the books.

use super::market::Stamp;
use super::{ExchangeEvent, SimExchange};
use crate::id::{AccountId, ClientOrderId, InstrumentId};
use crate::matching::agents::AGENT;
use crate::matching::ledger::{Ledger, Match};
use crate::matching::order_book::{BookOrderId, BookTrade, Outcome, PlaceOrder};
use crate::matching::rules::{self, Refused};
use crate::number::{Price, Quantity};
use crate::order::OrderType;
use crate::venue::{EndReason, NewOrder, RejectReason, VenueReport};

/// A working order of an account.
#[derive(Clone, Debug)]
pub(super) struct LiveOrder {
    account_id: AccountId,
    client_order_id: ClientOrderId,
    instrument_id: InstrumentId,
    /// Its number in the book of its instrument.
    book_id: BookOrderId,
}

/// What an amend asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) quantity: Quantity,
    pub(super) limit_price: Option<Price>,
}

fn report(out: &mut Vec<ExchangeEvent>, account_id: &AccountId, report: VenueReport) {
    out.push(ExchangeEvent::Report {
        account_id: account_id.clone(),
        report,
    });
}

impl SimExchange {
    fn ledger(&mut self, account_id: &AccountId) -> &mut Ledger {
        self.ledgers.entry(account_id.clone()).or_default()
    }

    pub(super) fn new_order(
        &mut self,
        account_id: &AccountId,
        order: &NewOrder,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let checked = self.check(account_id, order);
        let ledger = self.ledgers.entry(account_id.clone()).or_default();
        if let Err(Refused { reason, text }) = checked {
            let rejected = ledger.reject(&mut self.numbering, order, reason, text, self.clock);
            return report(out, account_id, rejected);
        }
        let accepted = ledger.accept(&mut self.numbering, order, self.clock);
        report(out, account_id, accepted);
        self.place(account_id, &order.client_order_id, out);
    }

    pub(super) fn refuse(
        &mut self,
        account_id: &AccountId,
        order: &NewOrder,
        text: String,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let refused = match self.check_unused(account_id, order) {
            Ok(()) => Refused::other(text),
            Err(duplicate) => duplicate,
        };
        let ledger = self.ledgers.entry(account_id.clone()).or_default();
        let Refused { reason, text } = refused;
        let rejected = ledger.reject(&mut self.numbering, order, reason, text, self.clock);
        report(out, account_id, rejected);
    }

    fn check_unused(&self, account_id: &AccountId, order: &NewOrder) -> Result<(), Refused> {
        let ledger = self.ledgers.get(account_id);
        if ledger.is_some_and(|ledger| ledger.knows(&order.client_order_id)) {
            return Err(Refused {
                reason: RejectReason::DuplicateClientOrderId,
                text: "client_order_id was used before".to_owned(),
            });
        }
        Ok(())
    }

    fn check(&self, account_id: &AccountId, order: &NewOrder) -> Result<(), Refused> {
        let refuse = |reason, text: &str| {
            Err(Refused {
                reason,
                text: text.to_owned(),
            })
        };
        self.check_unused(account_id, order)?;
        let Some(market) = self.markets.get(&order.instrument_id) else {
            return refuse(RejectReason::UnknownInstrument, "unknown instrument");
        };
        rules::check_new(&market.definition.instrument, order)?;
        let would_trade = market.book.would_trade(order.side, order.limit_price);
        if order.post_only && would_trade {
            return refuse(
                RejectReason::PostOnlyWouldTrade,
                "post-only order would trade at once",
            );
        }
        if order.order_type == OrderType::Market && !would_trade {
            return refuse(RejectReason::NoLiquidity, "nothing to trade with");
        }
        Ok(())
    }

    /// Puts a working order of the ledger into its book.
    pub(super) fn place(
        &mut self,
        account_id: &AccountId,
        id: &ClientOrderId,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let Some(order) = self.ledger(account_id).open(id) else {
            return;
        };
        let (number, instrument_id) = (order.number, order.instrument_id.clone());
        let place = PlaceOrder {
            owner: number,
            side: order.side,
            limit_price: order.limit_price,
            quantity: order.quantity,
            filled: order.filled,
            time_in_force: order.time_in_force,
            // Checked before it was accepted; one that is put back stays accepted.
            post_only: false,
        };
        let Some(market) = self.markets.get_mut(&instrument_id) else {
            return;
        };
        let Ok(placed) = market.book.place(place, &mut market.changes) else {
            return;
        };
        let live = LiveOrder {
            account_id: account_id.clone(),
            client_order_id: id.clone(),
            instrument_id: instrument_id.clone(),
            book_id: placed.id,
        };
        self.live.insert(number, live);
        self.publish(&instrument_id, Stamp::at(self.clock), out);
        if placed.outcome == Outcome::Canceled {
            self.end(number, EndReason::NoLiquidity, out);
        }
    }

    /// Ends a working order that is no longer in its book.
    fn end(&mut self, number: u64, reason: EndReason, out: &mut Vec<ExchangeEvent>) {
        let Some(live) = self.live.remove(&number) else {
            return;
        };
        let clock = self.clock;
        let ledger = self.ledger(&live.account_id);
        if let Some(ended) = ledger.end(&live.client_order_id, reason, clock) {
            report(out, &live.account_id, ended);
        }
    }

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
        let Some(live) = self.live.get(&number) else {
            // Put back with an instrument that this exchange does not list.
            let ended = self.ledger(account_id).end(id, EndReason::Requested, clock);
            return ended
                .into_iter()
                .for_each(|ended| report(out, account_id, ended));
        };
        let instrument_id = live.instrument_id.clone();
        if let Some(market) = self.markets.get_mut(&instrument_id) {
            // A live order rests in its book.
            let _canceled = market.book.cancel(live.book_id, &mut market.changes);
        }
        self.end(number, EndReason::Requested, out);
        self.publish(&instrument_id, Stamp::at(clock), out);
    }

    pub(super) fn amend_order(
        &mut self,
        account_id: &AccountId,
        id: &ClientOrderId,
        change: Change,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let clock = self.clock;
        let instrument_id = match self.amend_in_book(account_id, id, change) {
            Ok(instrument_id) => instrument_id,
            Err(text) => {
                let rejected = VenueReport::AmendRejected {
                    client_order_id: id.clone(),
                    text,
                    ts_event: clock,
                };
                return report(out, account_id, rejected);
            }
        };
        if let Some(order) = self.ledger(account_id).open_mut(id) {
            order.quantity = change.quantity;
            order.limit_price = change.limit_price.or(order.limit_price);
            let amended = VenueReport::Amended {
                client_order_id: id.clone(),
                quantity: order.quantity,
                limit_price: order.limit_price,
                stop_price: None,
                ts_event: clock,
            };
            report(out, account_id, amended);
        }
        self.publish(&instrument_id, Stamp::at(clock), out);
    }

    /// Amends in the book, where what it traded waits to be published. A refusal changed
    /// nothing.
    fn amend_in_book(
        &mut self,
        account_id: &AccountId,
        id: &ClientOrderId,
        change: Change,
    ) -> Result<InstrumentId, String> {
        let ledger = self.ledgers.entry(account_id.clone()).or_default();
        let Some(order) = ledger.open(id) else {
            return Err(ledger.why_not_open(id).to_owned());
        };
        let (Some(live), Some(market)) = (
            self.live.get(&order.number),
            self.markets.get_mut(&order.instrument_id),
        ) else {
            return Err("unknown instrument".to_owned());
        };
        let instrument = &market.definition.instrument;
        rules::check_quantity(instrument, change.quantity).map_err(|refused| refused.text)?;
        if let Some(price) = change.limit_price {
            rules::check_price(instrument, price).map_err(|refused| refused.text)?;
            if order.post_only && market.book.would_trade(order.side, Some(price)) {
                return Err("post-only order would trade at once".to_owned());
            }
        }
        market
            .book
            .amend(
                live.book_id,
                change.quantity,
                change.limit_price,
                &mut market.changes,
            )
            .map_err(|error| error.to_string())?;
        Ok(order.instrument_id.clone())
    }

    /// Tells what happened in a book: each trade, then the fills of accounts by it; then the
    /// levels, unless the book was not told as a whole yet.
    pub(super) fn publish(
        &mut self,
        id: &InstrumentId,
        stamp: Stamp,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        let mut changes = std::mem::take(&mut market.changes);
        for trade in &changes.trades {
            if let Some(market) = self.markets.get_mut(id) {
                out.push(ExchangeEvent::Market(market.trade(trade, stamp)));
            }
            for (number, maker) in [(trade.maker_owner, true), (trade.taker_owner, false)] {
                if number != AGENT {
                    self.fill(number, trade, maker, stamp, out);
                }
            }
        }
        if let Some(market) = self.markets.get_mut(id) {
            if self.started {
                market.tell_levels(&mut changes.touched, stamp, out);
            }
            changes.clear();
            // The memory is used again. An order that could not be booked may have left a change
            // of its own meanwhile.
            changes.touched.append(&mut market.changes.touched);
            market.changes = changes;
        }
    }

    fn fill(
        &mut self,
        number: u64,
        trade: &BookTrade,
        maker: bool,
        stamp: Stamp,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let Some(live) = self.live.get(&number) else {
            return;
        };
        let (Some(market), Some(ledger)) = (
            self.markets.get_mut(&live.instrument_id),
            self.ledgers.get_mut(&live.account_id),
        ) else {
            return;
        };
        let matched = Match {
            price: trade.price,
            quantity: trade.quantity,
            maker,
        };
        let instrument = &market.definition.instrument;
        let id = &live.client_order_id;
        match ledger.fill(&mut self.numbering, instrument, id, matched, stamp.event) {
            Some(filled) => {
                report(out, &live.account_id, filled);
                if ledger.open(id).is_none() {
                    self.live.remove(&number);
                }
            }
            None => {
                // Its fee cannot be stated: it must not trade on.
                let _rest = market.book.cancel(live.book_id, &mut market.changes);
                self.end(number, EndReason::Other, out);
            }
        }
    }
}
