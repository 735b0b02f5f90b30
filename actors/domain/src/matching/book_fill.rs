//! Fills our orders against replayed market data.
//!
//! - An order that can trade at once sweeps the levels that the venue shows. What it takes stays
//!   taken until the venue states that level anew.
//! - A resting limit order fills at its own limit price, as maker: when the opposite side comes
//!   to its price, up to what is shown there; when a trade prints through its price, up to the
//!   print's quantity; when a trade prints at its price, after what was ahead of it in the queue.
//! - Without a book the latest quote is its top. While a feed is not live, nothing trades with
//!   the levels it left behind.
//! - An event older than an order never fills it while it rests.
//!
//! Our orders do not move the market, and our own orders do not trade with each other. A print
//! and the book change that follows it may both fill a resting order: each is bounded by its own
//! quantity and both by the order's.

use super::ledger::{Ledger, Match, Numbering, RestoredOrder};
use super::resting::{Print, Resting, RestingSide};
use super::rules::{self, Refused};
use super::visible_book::VisibleBook;
use crate::id::{ClientOrderId, IdError, InstrumentId};
use crate::instrument::Instrument;
use crate::market::{MarketEvent, Side, Trade};
use crate::number::{Price, Quantity};
use crate::order::{OrderType, TimeInForce};
use crate::time::UnixNanos;
use crate::venue::{
    EndReason, NewOrder, RejectReason, VenueCommand, VenueModel, VenueReport, VenueStatus,
};
use std::collections::BTreeMap;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

#[derive(Clone, Debug)]
struct Market {
    instrument: Instrument,
    book: VisibleBook,
    buys: RestingSide,
    sells: RestingSide,
}

impl Market {
    fn new(instrument: Instrument) -> Market {
        Market {
            instrument,
            book: VisibleBook::default(),
            buys: RestingSide::new(Side::Buy),
            sells: RestingSide::new(Side::Sell),
        }
    }

    /// Corrects every place in the queue by a book that was replaced as a whole.
    fn see_all(&mut self) {
        let book = &self.book;
        self.buys.see_all(|price| book.shown_at(Side::Buy, price));
        self.sells.see_all(|price| book.shown_at(Side::Sell, price));
    }

    fn resting(&mut self, side: Side) -> &mut RestingSide {
        match side {
            Side::Buy => &mut self.buys,
            Side::Sell => &mut self.sells,
        }
    }
}

/// The simulated venue of one account over replayed market data.
#[derive(Clone, Debug)]
pub struct BookFill {
    numbering: Numbering,
    markets: BTreeMap<InstrumentId, Market>,
    ledger: Ledger,
    /// Kept between calls for its memory.
    taken: Vec<(Price, Quantity)>,
}

impl BookFill {
    /// Makes a venue without instruments. `venue` begins each id that it gives; `first_number`
    /// is where their counters begin, 1 for a venue that has no past, above all earlier ones
    /// after a restart (the number of journal records so far is such a number).
    ///
    /// Errors: [`IdError`] when `venue` cannot begin an id.
    pub fn new(venue: &str, first_number: u64) -> Result<BookFill, IdError> {
        Ok(BookFill {
            numbering: Numbering::new(venue, first_number)?,
            markets: BTreeMap::new(),
            ledger: Ledger::default(),
            taken: Vec::new(),
        })
    }

    /// Makes an instrument known; a new definition of a known one holds for what comes next.
    pub fn define(&mut self, instrument: Instrument) {
        if let Some(market) = self.markets.get_mut(&instrument.instrument_id) {
            market.instrument = instrument;
        } else {
            let id = instrument.instrument_id.clone();
            self.markets.insert(id, Market::new(instrument));
        }
    }

    /// Puts orders of an earlier run back, at the back of their queues. Their instruments must
    /// be known; a working order of an unknown one keeps its id used and cannot fill.
    pub fn restore(&mut self, now: UnixNanos, orders: &[RestoredOrder]) {
        for restored in orders {
            if self.ledger.restore(&mut self.numbering, restored).is_some()
                && restored.status == VenueStatus::Working
            {
                self.rest(now, &restored.order.client_order_id);
            }
        }
    }

    fn reject(
        &mut self,
        now: UnixNanos,
        order: &NewOrder,
        refused: Refused,
        out: &mut Vec<VenueReport>,
    ) {
        let Refused { reason, text } = refused;
        let report = self
            .ledger
            .reject(&mut self.numbering, order, reason, text, now);
        out.push(report);
    }

    fn new_order(&mut self, now: UnixNanos, order: &NewOrder, out: &mut Vec<VenueReport>) {
        if let Err(refused) = self.check(order) {
            return self.reject(now, order, refused, out);
        }
        out.push(self.ledger.accept(&mut self.numbering, order, now));
        self.trade_and_rest(now, &order.client_order_id, out);
    }

    fn check(&self, order: &NewOrder) -> Result<(), Refused> {
        let refuse = |reason, text: &str| {
            Err(Refused {
                reason,
                text: text.to_owned(),
            })
        };
        if self.ledger.knows(&order.client_order_id) {
            return refuse(
                RejectReason::DuplicateClientOrderId,
                "client_order_id was used before",
            );
        }
        let Some(market) = self.markets.get(&order.instrument_id) else {
            return refuse(RejectReason::UnknownInstrument, "unknown instrument");
        };
        rules::check_new(&market.instrument, order)?;
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

    /// Sweeps for a working order that is not resting, then rests or ends what is left.
    fn trade_and_rest(&mut self, now: UnixNanos, id: &ClientOrderId, out: &mut Vec<VenueReport>) {
        let Some(order) = self.ledger.open(id) else {
            return;
        };
        let (side, limit, wanted) = (order.side, order.limit_price, order.leaves());
        let (order_type, time_in_force) = (order.order_type, order.time_in_force);
        let Some(market) = self.markets.get_mut(&order.instrument_id) else {
            return;
        };
        self.taken.clear();
        if time_in_force != TimeInForce::Fok || market.book.covers(side, limit, wanted) {
            market.book.take(side, limit, wanted, &mut self.taken);
        }
        let mut booked = true;
        for &(price, quantity) in &self.taken {
            let matched = Match {
                price,
                quantity,
                maker: false,
            };
            let numbering = &mut self.numbering;
            let report = self
                .ledger
                .fill(numbering, &market.instrument, id, matched, now);
            booked &= report.is_some();
            out.extend(report);
        }
        if self.ledger.open(id).is_none() {
            return;
        }
        if !booked {
            out.extend(self.ledger.end(id, EndReason::Other, now));
        } else if order_type == OrderType::Limit && time_in_force == TimeInForce::Gtc {
            self.rest(now, id);
        } else {
            out.extend(self.ledger.end(id, EndReason::NoLiquidity, now));
        }
    }

    /// Puts a working limit order at the back of the queue of its price.
    fn rest(&mut self, now: UnixNanos, id: &ClientOrderId) {
        let Some(order) = self.ledger.open(id) else {
            return;
        };
        let (Some(price), Some(market)) = (
            order.limit_price,
            self.markets.get_mut(&order.instrument_id),
        ) else {
            return;
        };
        let resting = Resting {
            client_order_id: id.clone(),
            price,
            leaves: order.leaves(),
            ahead: market.book.shown_at(order.side, price),
            since: now,
        };
        market.resting(order.side).insert(resting);
    }

    fn cancel(&mut self, now: UnixNanos, id: &ClientOrderId, out: &mut Vec<VenueReport>) {
        let Some(order) = self.ledger.open(id) else {
            out.push(VenueReport::CancelRejected {
                client_order_id: id.clone(),
                text: self.ledger.why_not_open(id).to_owned(),
                ts_event: now,
            });
            return;
        };
        if let Some(market) = self.markets.get_mut(&order.instrument_id) {
            market.resting(order.side).remove(id);
        }
        out.extend(self.ledger.end(id, EndReason::Requested, now));
    }

    fn amend(
        &mut self,
        now: UnixNanos,
        id: &ClientOrderId,
        quantity: Quantity,
        limit_price: Option<Price>,
        out: &mut Vec<VenueReport>,
    ) {
        if let Err(text) = self.check_amend(id, quantity, limit_price) {
            out.push(VenueReport::AmendRejected {
                client_order_id: id.clone(),
                text,
                ts_event: now,
            });
            return;
        }
        let Some(order) = self.ledger.open_mut(id) else {
            return;
        };
        let price = limit_price.or(order.limit_price);
        let keeps_place = price == order.limit_price && quantity <= order.quantity;
        order.quantity = quantity;
        order.limit_price = price;
        let (side, leaves) = (order.side, order.leaves());
        out.push(VenueReport::Amended {
            client_order_id: id.clone(),
            quantity,
            limit_price: price,
            stop_price: None,
            ts_event: now,
        });
        let Some(market) = self.markets.get_mut(&order.instrument_id) else {
            return;
        };
        let resting = market.resting(side);
        if keeps_place {
            if let Some(resting) = resting.get_mut(id) {
                resting.leaves = leaves;
            }
            return;
        }
        resting.remove(id);
        self.trade_and_rest(now, id, out);
    }

    fn check_amend(
        &self,
        id: &ClientOrderId,
        quantity: Quantity,
        limit_price: Option<Price>,
    ) -> Result<(), String> {
        let order = self
            .ledger
            .open(id)
            .ok_or_else(|| self.ledger.why_not_open(id))?;
        let Some(market) = self.markets.get(&order.instrument_id) else {
            return Err("unknown instrument".to_owned());
        };
        rules::check_quantity(&market.instrument, quantity).map_err(|refused| refused.text)?;
        if quantity <= order.filled {
            return Err("quantity is not above the filled quantity".to_owned());
        }
        if let Some(price) = limit_price {
            rules::check_price(&market.instrument, price).map_err(|refused| refused.text)?;
            if order.post_only && market.book.would_trade(order.side, Some(price)) {
                return Err("post-only order would trade at once".to_owned());
            }
        }
        Ok(())
    }

    /// Fills resting orders that the opposite side has come to.
    fn cross(&mut self, id: &InstrumentId, ts: UnixNanos, out: &mut Vec<VenueReport>) {
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        let Market {
            instrument,
            book,
            buys,
            sells,
        } = market;
        for (side, resting) in [(Side::Buy, buys), (Side::Sell, sells)] {
            if resting.is_empty() {
                continue;
            }
            for order in resting.iter_mut() {
                if !book.would_trade(side, Some(order.price)) {
                    break;
                }
                if order.since > ts {
                    continue;
                }
                self.taken.clear();
                let limit = Some(order.price);
                let quantity = book.take(side, limit, order.leaves, &mut self.taken);
                order.leaves.0 -= quantity.0;
                let matched = Match {
                    price: order.price,
                    quantity,
                    maker: true,
                };
                let order_id = &order.client_order_id;
                let (ledger, numbering) = (&mut self.ledger, &mut self.numbering);
                match ledger.fill(numbering, instrument, order_id, matched, ts) {
                    Some(report) => out.push(report),
                    None => {
                        order.leaves = Quantity::ZERO;
                        out.extend(ledger.end(order_id, EndReason::Other, ts));
                    }
                }
            }
            resting.sweep();
        }
    }

    /// Lets a print work on the side that it hit; both where the aggressor is not known.
    fn print(&mut self, trade: &Trade, out: &mut Vec<VenueReport>) {
        let Some(market) = self.markets.get_mut(&trade.instrument_id) else {
            return;
        };
        let print = Print {
            price: trade.price,
            quantity: trade.quantity,
            ts: trade.ts_init,
        };
        let (ledger, numbering) = (&mut self.ledger, &mut self.numbering);
        for side in [Side::Buy, Side::Sell] {
            if trade.aggressor == Some(side) {
                continue;
            }
            let instrument = &market.instrument;
            let resting = match side {
                Side::Buy => &mut market.buys,
                Side::Sell => &mut market.sells,
            };
            resting.print(print, |order, quantity| {
                let matched = Match {
                    price: order.price,
                    quantity,
                    maker: true,
                };
                let id = &order.client_order_id;
                let report = ledger.fill(numbering, instrument, id, matched, print.ts);
                let booked = report.is_some();
                out.extend(report.or_else(|| ledger.end(id, EndReason::Other, print.ts)));
                booked
            });
        }
    }
}

impl VenueModel for BookFill {
    fn on_market(&mut self, event: &MarketEvent, out: &mut Vec<VenueReport>) {
        let id = event.instrument_id();
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        match event {
            MarketEvent::Trade(trade) => return self.print(trade, out),
            MarketEvent::Quote(_) if market.book.has_depth() => return,
            MarketEvent::Bar(_) => return,
            MarketEvent::Quote(quote) => {
                market.book.apply_quote(quote);
                market.see_all();
            }
            MarketEvent::Book(delta) => {
                market.book.apply_delta(delta);
                for level in &delta.bids {
                    market.buys.see_level(level.price, level.quantity.0);
                }
                for level in &delta.asks {
                    market.sells.see_level(level.price, level.quantity.0);
                }
            }
            MarketEvent::Snapshot(snapshot) => {
                market.book.apply_snapshot(snapshot);
                market.see_all();
            }
            // No news of the market itself: nothing fills by it.
            MarketEvent::FeedState(state) => return market.book.set_status(state.status),
        }
        self.cross(id, event.ts_init(), out);
    }

    fn on_command(&mut self, now: UnixNanos, command: &VenueCommand, out: &mut Vec<VenueReport>) {
        match command {
            VenueCommand::New(order) => self.new_order(now, order, out),
            VenueCommand::Amend {
                client_order_id,
                quantity,
                limit_price,
                ..
            } => self.amend(now, client_order_id, *quantity, *limit_price, out),
            VenueCommand::Cancel {
                client_order_id, ..
            } => self.cancel(now, client_order_id, out),
            VenueCommand::Query {
                client_order_id, ..
            } => {
                let currency = |id: &InstrumentId| {
                    let market = self.markets.get(id)?;
                    Some(market.instrument.quote_currency.clone())
                };
                out.push(self.ledger.query(client_order_id, currency, now));
            }
        }
    }
}
