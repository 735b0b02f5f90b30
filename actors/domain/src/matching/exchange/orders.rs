//! Orders of accounts at the exchange: taken, put into the books, and ended.

use super::market::Stamp;
use super::{ExchangeEvent, SimExchange};
use crate::id::{AccountId, ClientOrderId, InstrumentId};
use crate::market::Side;
use crate::matching::ledger::{Ledger, VenueOrder};
use crate::matching::order_book::{BookOrderId, Outcome, PlaceOrder, PlaceTerms};
use crate::matching::rules::{self, Refused};
use crate::order::{OrderType, TimeInForce};
use crate::venue::{EndReason, NewOrder, VenueReport};
use std::collections::BTreeSet;

/// Begins the client order ids of the exchange's own orders.
pub(super) const LIQUIDATION: &str = "LIQ-";

/// A working order of an account.
#[derive(Clone, Debug)]
pub(super) struct LiveOrder {
    pub(super) account_id: AccountId,
    pub(super) client_order_id: ClientOrderId,
    pub(super) instrument_id: InstrumentId,
    /// Its number in the book of its instrument; `None` while it waits for something.
    pub(super) book_id: Option<BookOrderId>,
    /// How old it is beside the orders of the book, while it waits for an auction.
    pub(super) arrival: u64,
}

pub(super) fn report(
    out: &mut Vec<ExchangeEvent>,
    account_id: &AccountId,
    report: impl Into<Option<VenueReport>>,
) {
    out.extend(report.into().map(|report| ExchangeEvent::Report {
        account_id: account_id.clone(),
        report,
    }));
}

impl SimExchange {
    pub(super) fn ledger(&mut self, account_id: &AccountId) -> &mut Ledger {
        self.ledgers.entry(account_id.clone()).or_default()
    }

    /// Returns a working order by its number.
    pub(super) fn order(&self, number: u64) -> Option<(&LiveOrder, &VenueOrder)> {
        let live = self.live.get(&number)?;
        let ledger = self.ledgers.get(&live.account_id)?;
        Some((live, ledger.open(&live.client_order_id)?))
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
        self.watch(account_id, &order.client_order_id, out);
        self.begin(account_id, &order.client_order_id, out);
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
            return Err(Refused::duplicate());
        }
        Ok(())
    }

    fn check(&self, account_id: &AccountId, order: &NewOrder) -> Result<(), Refused> {
        self.check_unused(account_id, order)?;
        if order.client_order_id.as_str().starts_with(LIQUIDATION) {
            return Err(Refused::other("client_order_id is the venue's own"));
        }
        let Some(market) = self.markets.get(&order.instrument_id) else {
            return Err(Refused::unknown_instrument());
        };
        let instrument = &market.definition.instrument;
        rules::check_new(instrument, order, self.clock)?;
        let in_auction = order.time_in_force.is_auction();
        let waits =
            order.order_type.is_conditional() || order.order_type == OrderType::Limit || in_auction;
        market.floor.check(order, waits)?;
        if !order.order_type.is_conditional() {
            if !in_auction && !market.floor.is_closed_to(order.terms.extended_hours) {
                let would_trade = market.book.would_trade(order.side, order.limit_price);
                rules::check_begin(order, would_trade)?;
            }
            if let Some(price) = order.limit_price {
                market.floor.check_collar(instrument, price)?;
            }
        }
        self.check_margin(account_id, order)
    }

    /// Lets a working order of the ledger begin: it waits for its price or its session, or goes
    /// into its book.
    pub(super) fn begin(
        &mut self,
        account_id: &AccountId,
        id: &ClientOrderId,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let Some(order) = self.ledgers.get(account_id).and_then(|l| l.open(id)) else {
            return;
        };
        let number = order.number;
        let Some(market) = self.markets.get_mut(&order.order.instrument_id) else {
            return;
        };
        self.live.insert(
            number,
            LiveOrder {
                account_id: account_id.clone(),
                client_order_id: id.clone(),
                instrument_id: order.order.instrument_id.clone(),
                book_id: None,
                arrival: market.book.next_arrival(),
            },
        );
        let ledger = self.ledgers.get_mut(account_id);
        let instrument = &market.definition.instrument;
        self.ends
            .extend(ledger.and_then(|ledger| ledger.note_end(id, instrument)));
        let Some(order) = self.ledgers.get(account_id).and_then(|l| l.open(id)) else {
            return;
        };
        if order.watch.is_some() {
            market.watching.insert(number);
            return self.see_one(number, out);
        }
        match order.order.time_in_force {
            TimeInForce::AtOpen => {
                market.at_open.insert(number);
            }
            TimeInForce::AtClose => {
                market.at_close.insert(number);
            }
            _ if market.floor.is_closed_to(order.order.terms.extended_hours) => {
                market.at_open.insert(number);
            }
            _ => self.place(number, out),
        }
    }

    /// Puts a working order into its book.
    pub(super) fn place(&mut self, number: u64, out: &mut Vec<ExchangeEvent>) {
        let takes = self.takes(number);
        let fits = match takes {
            true => self.fit_first(number, out),
            false => self.fit(number, out),
        };
        if !fits {
            return;
        }
        let Some((live, order)) = self.order(number) else {
            return;
        };
        let (account_id, id) = (live.account_id.clone(), live.client_order_id.clone());
        let instrument_id = live.instrument_id.clone();
        let next_group = self.groups.len() as u64 + 1;
        let (mut place, mut terms, to_limit) = placing(order);
        let reduces = order.order.reduce_only;
        terms.group = *self.groups.entry(account_id.clone()).or_insert(next_group);
        let Some(market) = self.markets.get_mut(&instrument_id) else {
            return;
        };
        if to_limit && place.limit_price.is_none() {
            place.limit_price = market.book.best(place.side.opposite()).map(|l| l.price);
            if place.limit_price.is_none() {
                return self.end(number, EndReason::NoLiquidity, out);
            }
        }
        let Ok(placed) = market.book.place_with(place, terms, &mut market.changes) else {
            return;
        };
        if let Some(live) = self.live.get_mut(&number) {
            live.book_id = Some(placed.id);
        }
        if reduces {
            market.reducing.insert(number);
        }
        self.publish(&instrument_id, Stamp::at(self.clock), out);
        match placed.outcome {
            Outcome::Canceled => self.end(number, EndReason::NoLiquidity, out),
            Outcome::SelfTrade => self.end(number, EndReason::SelfTrade, out),
            Outcome::Resting if to_limit => {
                let clock = self.clock;
                if let Some(price) = place.limit_price {
                    let amended = self.ledger(&account_id).set_limit(&id, price, clock);
                    report(out, &account_id, amended);
                }
            }
            Outcome::Resting | Outcome::Filled => {}
        }
        if reduces && takes {
            // What rests of its kind, and what is left of it, share what it left.
            let account = BTreeSet::from([account_id]);
            self.hold_to_positions(&instrument_id, &account, Stamp::at(self.clock), out);
        }
    }

    /// Returns true for an order that finds somebody to trade with as it comes.
    fn takes(&self, number: u64) -> bool {
        let Some((live, order)) = self.order(number) else {
            return false;
        };
        let market = self.markets.get(&live.instrument_id);
        let best = market.and_then(|market| market.book.best(order.order.side.opposite()));
        let Some(best) = best else {
            return false;
        };
        match (order.order.side, order.order.limit_price) {
            (_, None) => true,
            (Side::Buy, Some(limit)) => limit >= best.price,
            (Side::Sell, Some(limit)) => limit <= best.price,
        }
    }

    /// Ends a working order that is no longer in its book.
    pub(super) fn end(&mut self, number: u64, reason: EndReason, out: &mut Vec<ExchangeEvent>) {
        let clock = self.clock;
        let Some(live) = self.forget(number) else {
            return;
        };
        let ended = self
            .ledger(&live.account_id)
            .end(&live.client_order_id, reason, clock);
        // An account does not know of the exchange's own orders before they fill.
        if !live.client_order_id.as_str().starts_with(LIQUIDATION) {
            report(out, &live.account_id, ended);
        }
    }

    /// Refuses a working order that is not allowed into its book after all. One that was filled
    /// in part is canceled: nothing of it is refused any more.
    pub(super) fn refuse_open(
        &mut self,
        number: u64,
        refused: Refused,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let Some((live, order)) = self.order(number) else {
            return;
        };
        if !order.filled.is_zero() {
            return self.end(number, EndReason::Other, out);
        }
        let (account_id, id) = (live.account_id.clone(), live.client_order_id.clone());
        self.forget(number);
        let (clock, Refused { reason, text }) = (self.clock, refused);
        let ledger = self.ledger(&account_id);
        let rejected = ledger.reject_open(&id, reason, text, clock);
        report(out, &account_id, rejected);
    }

    /// Takes an order out of everything but its ledger.
    pub(super) fn forget(&mut self, number: u64) -> Option<LiveOrder> {
        if let Some((_, order)) = self.order(number)
            && let Some(end) = order.ends_at
        {
            self.ends.remove(&(end, number));
        }
        let live = self.live.remove(&number)?;
        if let Some(market) = self.markets.get_mut(&live.instrument_id) {
            market.forget(number);
        }
        Some(live)
    }

    /// Takes a working order out of its book and ends it.
    pub(super) fn withdraw(
        &mut self,
        number: u64,
        reason: EndReason,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let Some(live) = self.live.get(&number) else {
            return;
        };
        let instrument_id = live.instrument_id.clone();
        if let (Some(book_id), Some(market)) = (live.book_id, self.markets.get_mut(&instrument_id))
        {
            // A live order with a number in its book rests there.
            let _canceled = market.book.cancel(book_id, &mut market.changes);
        }
        self.end(number, reason, out);
        self.publish(&instrument_id, Stamp::at(self.clock), out);
    }
}

/// Returns an order as its book takes it, and whether its limit is the first price that it gets.
fn placing(order: &VenueOrder) -> (PlaceOrder, PlaceTerms, bool) {
    let time_in_force = match order.order.time_in_force {
        TimeInForce::Gtc | TimeInForce::Day | TimeInForce::Gtd => TimeInForce::Gtc,
        TimeInForce::Fok => TimeInForce::Fok,
        TimeInForce::Ioc | TimeInForce::AtOpen | TimeInForce::AtClose => TimeInForce::Ioc,
    };
    let place = PlaceOrder {
        owner: order.number,
        side: order.order.side,
        limit_price: order.order.limit_price,
        quantity: order.order.quantity,
        filled: order.filled,
        time_in_force,
        // Checked before it was accepted; one that is put back stays accepted.
        post_only: false,
    };
    let terms = PlaceTerms {
        display: order.order.terms.display_quantity,
        group: 0,
        self_trade: order.order.terms.self_trade_prevention,
    };
    let to_limit =
        order.order.order_type == OrderType::MarketToLimit && order.order.limit_price.is_none();
    (place, terms, to_limit)
}
