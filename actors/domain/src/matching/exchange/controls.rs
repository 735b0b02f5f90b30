//! What the exchange decides about its own trading: halts, sessions and busts.

use super::market::Stamp;
use super::orders::report;
use super::{ExchangeEvent, SimExchange};
use crate::id::{ExecId, InstrumentId};
use crate::matching::sessions::SessionClock;
use crate::time::UnixNanos;
use crate::venue::{SessionEdge, VenueControl};

impl SimExchange {
    /// Opens and closes what the calendars open and close until `now`.
    pub(super) fn keep_sessions(&mut self, now: UnixNanos, out: &mut Vec<ExchangeEvent>) {
        if self.next_edge.is_none_or(|edge| edge > now) {
            return;
        }
        for instrument_id in self.instrument_ids() {
            self.begin_sessions(&instrument_id, now);
            while let Some((ts, edge)) = self.take_edge(&instrument_id, now) {
                self.clock = self.clock.max(ts);
                self.expire(self.clock, out);
                let instrument_id = instrument_id.clone();
                let control = VenueControl::Session {
                    instrument_id,
                    edge,
                };
                self.control(&control, out);
                self.work_off(out);
            }
        }
        let clocks = self.markets.values().filter_map(|m| m.sessions.as_ref());
        self.next_edge = clocks.filter_map(SessionClock::due).min();
    }

    /// Finds out where a session stands when the exchange begins. Nothing trades in an auction
    /// that was over before: what waited for it waits for the next.
    fn begin_sessions(&mut self, id: &InstrumentId, now: UnixNanos) {
        let Some(market) = self.markets.get_mut(id) else {
            return;
        };
        let clock = market.sessions.as_mut().filter(|clock| !clock.has_begun());
        if let Some(edge) = clock.and_then(|clock| clock.begin(now)) {
            market.floor.set_session(edge);
            market.floor.take_opening();
        }
    }

    fn take_edge(&mut self, id: &InstrumentId, now: UnixNanos) -> Option<(UnixNanos, SessionEdge)> {
        let clock = self.markets.get_mut(id)?.sessions.as_mut()?;
        clock.take(|ts, _| ts <= now)
    }

    pub(super) fn control(&mut self, control: &VenueControl, out: &mut Vec<ExchangeEvent>) {
        match control {
            VenueControl::Halt { instrument_id } => self.set_halted(instrument_id, true, out),
            VenueControl::Resume { instrument_id } => self.set_halted(instrument_id, false, out),
            VenueControl::Session {
                instrument_id,
                edge: SessionEdge::Open,
            } => self.open_session(instrument_id, out),
            VenueControl::Session {
                instrument_id,
                edge: SessionEdge::Close,
            } => self.close_session(instrument_id, out),
            VenueControl::Session {
                instrument_id,
                edge: SessionEdge::ExtendedOpen,
            } => self.open_extended(instrument_id, out),
            VenueControl::Session {
                instrument_id,
                edge: SessionEdge::ExtendedClose,
            } => {
                if let Some(market) = self.markets.get_mut(instrument_id) {
                    market.floor.set_session(SessionEdge::ExtendedClose);
                }
            }
            VenueControl::Bust { exec_id } => self.bust(exec_id, out),
        }
    }

    fn set_halted(&mut self, id: &InstrumentId, halted: bool, out: &mut Vec<ExchangeEvent>) {
        if let Some(market) = self.markets.get_mut(id) {
            market.floor.set_halted(halted);
            self.hold_opening(id, out);
            self.begin_extended(id, out);
            self.see_all(id, out);
        }
    }

    /// Takes an execution back. A working order's quantity is open again, at the back of its
    /// queue. An id that was never given changes nothing.
    fn bust(&mut self, exec_id: &ExecId, out: &mut Vec<ExchangeEvent>) {
        let clock = self.clock;
        let found = self.ledgers.iter_mut().find_map(|(account_id, ledger)| {
            let taken_back = ledger.bust(exec_id, clock)?;
            Some((account_id.clone(), taken_back))
        });
        let Some((account_id, taken_back)) = found else {
            return;
        };
        if let (Some(margin), Some(market)) = (
            &mut self.margin,
            self.markets.get(&taken_back.instrument_id),
        ) {
            margin.unbook(&account_id, &market.definition.instrument, &taken_back);
        }
        self.rebook(&account_id);
        let id = taken_back.report.client_order_id().cloned();
        report(out, &account_id, taken_back.report);
        let order = id.and_then(|id| self.ledger(&account_id).open(&id));
        let Some(number) = order.map(|o| o.number) else {
            return;
        };
        let Some(book_id) = self.live.get(&number).and_then(|live| live.book_id) else {
            return;
        };
        if let Some(market) = self.markets.get_mut(&taken_back.instrument_id) {
            let _rest = market.book.cancel(book_id, &mut market.changes);
        }
        self.place(number, out);
        self.publish(&taken_back.instrument_id, Stamp::at(clock), out);
    }
}
