//! What happened in a book, told to the market and to the accounts.

use super::market::Stamp;
use super::orders::{LIQUIDATION, report};
use super::{ExchangeEvent, SimExchange};
use crate::id::InstrumentId;
use crate::matching::agents::AGENT;
use crate::matching::ledger::Match;
use crate::matching::order_book::Prevented;
use crate::number::Quantity;
use crate::venue::EndReason;
use std::collections::BTreeSet;

impl SimExchange {
    /// Tells what happened in a book: what self-trade prevention did; each trade, then the fills
    /// of accounts by it; then the levels, unless the book was not told as a whole yet.
    /// Orders whose condition is met by it are noted and wait to be worked off.
    pub(super) fn publish(
        &mut self,
        id: &InstrumentId,
        stamp: Stamp,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        if market.changes.is_empty() {
            return;
        }
        let mut changes = market.changes.take();
        market.see_top(stamp.event);
        // Before the trades, so that what is left of an order can be filled by them.
        for prevented in &changes.prevented {
            self.prevent(prevented, out);
        }
        let mut traded = BTreeSet::new();
        for trade in &changes.trades {
            if let Some(market) = self.markets.get_mut(id) {
                let aggressor = Some(trade.aggressor);
                let print = market.print(trade.price, trade.quantity, aggressor, stamp);
                out.push(ExchangeEvent::Market(print));
                market.floor.see_trade(trade.price, stamp.event);
            }
            for (number, maker) in [(trade.maker_owner, true), (trade.taker_owner, false)] {
                if number != AGENT {
                    traded.extend(self.live.get(&number).map(|live| live.account_id.clone()));
                    let matched = Match {
                        price: trade.price,
                        quantity: trade.quantity,
                        maker,
                    };
                    self.fill(number, matched, stamp, out);
                }
            }
            self.see_all(id, out);
        }
        if changes.trades.is_empty() && !changes.touched.is_empty() {
            self.see_all(id, out);
        }
        if let Some(market) = self.markets.get_mut(id) {
            if self.started && !changes.touched.is_empty() {
                market.tell_levels(&mut changes.touched, stamp, out);
                market.tell_single_orders(&mut changes, stamp, out);
            }
            changes.clear();
            // The memory is used again. An order that could not be booked may have left a change
            // of its own meanwhile.
            changes.touched.append(&mut market.changes.touched);
            market.changes = changes;
        }
        self.hold_to_positions(id, &traded, stamp, out);
    }

    pub(super) fn fill(
        &mut self,
        number: u64,
        matched: Match,
        stamp: Stamp,
        out: &mut Vec<ExchangeEvent>,
    ) {
        let Some(live) = self.live.get(&number) else {
            return;
        };
        let account_id = live.account_id.clone();
        let (Some(market), Some(ledger)) = (
            self.markets.get_mut(&live.instrument_id),
            self.ledgers.get_mut(&account_id),
        ) else {
            return;
        };
        let instrument = &market.definition.instrument;
        let id = &live.client_order_id;
        let side = ledger.position_side(id);
        let filled = ledger.fill(&mut self.numbering, instrument, id, matched, stamp.event);
        let Some(filled) = filled else {
            // Its fee cannot be stated: it must not trade on.
            if let Some(book_id) = live.book_id {
                let _rest = market.book.cancel(book_id, &mut market.changes);
            }
            return self.end(number, EndReason::Other, out);
        };
        if let (Some(margin), crate::venue::VenueReport::Filled(execution)) =
            (&mut self.margin, &filled)
        {
            margin.book(&account_id, instrument, execution);
        }
        if let (Some(wallets), crate::venue::VenueReport::Filled(execution)) =
            (&mut self.wallets, &filled)
        {
            wallets.book(&account_id, instrument, side, execution);
        }
        let ended = ledger.open(id).is_none();
        report(out, &account_id, filled);
        if ended {
            self.forget_filled(number);
        }
    }

    fn forget_filled(&mut self, number: u64) {
        let Some(live) = self.live.remove(&number) else {
            return;
        };
        if let Some(market) = self.markets.get_mut(&live.instrument_id) {
            market.reducing.remove(&number);
        }
        let ledger = self.ledgers.get(&live.account_id);
        if let Some(end) = ledger.and_then(|ledger| ledger.end_time(&live.client_order_id)) {
            self.ends.remove(&(end, number));
        }
    }

    /// Tells what a prevented self-trade did to both orders. The incoming one's end, if it is
    /// one, follows from what became of it in the book.
    fn prevent(&mut self, prevented: &Prevented, out: &mut Vec<ExchangeEvent>) {
        if prevented.maker_ended {
            self.end(prevented.maker_owner, EndReason::SelfTrade, out);
        } else {
            self.cut(prevented.maker_owner, prevented.cut, out);
        }
        self.cut(prevented.taker_owner, prevented.cut, out);
    }

    /// Lowers the quantity of an order that goes on.
    fn cut(&mut self, number: u64, cut: Quantity, out: &mut Vec<ExchangeEvent>) {
        let Some(live) = self.live.get(&number).filter(|_| !cut.is_zero()) else {
            return;
        };
        let (account_id, id) = (live.account_id.clone(), live.client_order_id.clone());
        let clock = self.clock;
        let ledger = self.ledger(&account_id);
        let Some(order) = ledger.open_mut(&id) else {
            return;
        };
        let quantity = order.order.quantity.saturating_sub(cut);
        if quantity <= order.filled {
            return;
        }
        order.order.quantity = quantity;
        let amended = ledger.restate(&id, clock);
        if !id.as_str().starts_with(LIQUIDATION) {
            report(out, &account_id, amended);
        }
    }
}
