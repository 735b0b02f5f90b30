//! Orders that are held here: what the market does to them, and when their time is over.
//!
//! A venue may lack an order type or a time in force; the account then holds the order and does
//! it itself. Everything that such an order has come to is an event, so that a restart finds a
//! trailing stop where it was. While trading is halted, while the journal's server is away, and
//! before the account agrees with its venue, nothing leaves: the order keeps waiting, and looks at
//! the market again when trading goes on.

use super::machine::{Account, Step};
use crate::event::Event;
use crate::id::InstrumentId;
use crate::order::OrderStatus;
use crate::order::placement::expires_here;
use crate::order::store::OrderIndex;
use crate::order::trigger::Seen;
use crate::risk::{MarketRef, MarketView, ReasonCode, TradingState};
use crate::time::UnixNanos;

impl Account {
    /// Returns true when orders that are held here wait for a price of this instrument, so that
    /// the account has to be told of each.
    pub fn watches(&self, instrument_id: &InstrumentId) -> bool {
        self.orders.watching(instrument_id).next().is_some()
    }

    /// Takes the market of an instrument as it is now.
    pub(super) fn market(
        &mut self,
        step: &mut Step<'_>,
        instrument_id: InstrumentId,
        view: MarketView,
    ) {
        let watching: Vec<OrderIndex> = self.orders.watching(&instrument_id).collect();
        if let Some(instrument) = self.instruments.get(&instrument_id) {
            self.marks.show(instrument, view);
        }
        for index in watching {
            self.look(step, index, &view);
        }
        if self.may_send() {
            self.drive_waiting(step, Some(&instrument_id));
        }
    }

    /// Returns true when what waits here may leave: trading is not halted, what the account believes
    /// to hold is what its venue says, and nobody else can own the account.
    pub(super) fn may_send(&self) -> bool {
        let is_halted = self.trading_state == TradingState::Halted;
        !is_halted && !self.asked.away && self.is_reconciled()
    }

    /// Shows the market to an order that is held here.
    pub(super) fn look(&mut self, step: &mut Step<'_>, index: OrderIndex, view: &MarketView) {
        let entry = self.orders.get(index);
        // An earlier order of the same step may have ended it.
        if !entry.is_watching() || !self.may_send() {
            return;
        }
        let instrument = self.instruments.get(&entry.order.request.instrument_id);
        let (Some(watch), Some(instrument)) = (&entry.watch, instrument) else {
            return;
        };
        if entry.base == OrderStatus::Triggered {
            return self.leave(step, index, reference(view));
        }
        let order_id = entry.order.order_id.clone();
        match watch.see(&view.seen_since(entry.order.ts_created), instrument) {
            Seen::Nothing => {}
            Seen::Trailed { .. } if self.asked.sparing => {}
            Seen::Trailed { stop_price, best } => {
                let trailed = Event::OrderTrailed {
                    order_id,
                    stop_price,
                    best,
                };
                self.record(step, trailed);
            }
            Seen::Triggered => self.release(step, index, view),
        }
    }

    /// Takes the moment at which an order's condition is met.
    fn release(&mut self, step: &mut Step<'_>, index: OrderIndex, view: &MarketView) {
        let order_id = self.orders.get(index).order.order_id.clone();
        let triggered = Event::OrderTriggered {
            order_id,
            ts_event: step.now,
        };
        self.record(step, triggered);
        // What another order of its list could still do is ended before this one leaves.
        self.drive_lists(step);
        self.leave(step, index, reference(view));
    }

    /// Lets an order leave whose condition was met. It passes every check again. While another
    /// order of its list may still trade, while nothing may leave, and while a market order has
    /// no price to be measured by, it waits on.
    pub(super) fn leave(&mut self, step: &mut Step<'_>, index: OrderIndex, market: MarketRef) {
        let entry = self.orders.get(index);
        let waits = entry.is_home() && entry.base == OrderStatus::Triggered;
        if !waits || !self.may_send() || !self.is_left_alone(step, index) {
            return;
        }
        match self.verdict(step.now, index, market) {
            Ok(()) => {
                let order_id = self.orders.get(index).order.order_id.clone();
                self.submit_to_venue(step, index, order_id);
            }
            Err(denial) if denial.reason_code == ReasonCode::NoReferencePrice => {}
            Err(denial) => self.deny(step, index, denial),
        }
    }

    /// Ends what is over: here, or by a cancel where the venue does not do it itself. A venue that
    /// should have and is silent is asked.
    pub(super) fn expire(&mut self, step: &mut Step<'_>) {
        for index in self.orders.expired(step.now) {
            let entry = self.orders.get(index);
            let request = &entry.order.request;
            let instrument = self.instruments.get(&request.instrument_id);
            let here = instrument.is_some_and(|i| expires_here(i, request.time_in_force));
            if entry.is_home() || entry.is_between_slices() {
                let expired = Event::OrderExpired {
                    order_id: entry.order.order_id.clone(),
                    reason_code: ReasonCode::TimeOver,
                    ts_event: step.now,
                };
                self.record(step, expired);
            } else if here {
                self.cancel_working(step, index, None, ReasonCode::TimeOver);
            } else if self.is_silent_since(index, step.now) {
                self.query(step, index);
            }
        }
    }

    /// Takes the market that came with an order.
    pub(super) fn show_reference(&mut self, instrument_id: &InstrumentId, market: &MarketRef) {
        if let Some(instrument) = self.instruments.get(instrument_id) {
            self.marks.show_reference(instrument, market);
        }
    }

    /// Returns the reference of an instrument by the market that was last shown.
    pub(super) fn reference_of(&self, instrument_id: &InstrumentId) -> MarketRef {
        self.marks
            .get(instrument_id)
            .map(reference)
            .unwrap_or_default()
    }

    fn is_silent_since(&self, index: OrderIndex, now: UnixNanos) -> bool {
        let entry = self.orders.get(index);
        let over = entry.order.expires_at.unwrap_or(now);
        let asked = self.asked.at.get(&index).copied();
        let since = asked.map_or(over, |asked| asked.max(over));
        now.since(since) > super::session::NO_ANSWER_NS
    }
}

/// Returns the best bid and ask, or the last trade on both where there is no quote.
fn reference(view: &MarketView) -> MarketRef {
    MarketRef {
        bid: view.bid.or(view.last),
        ask: view.ask.or(view.last),
        ts: view.ts,
    }
}
