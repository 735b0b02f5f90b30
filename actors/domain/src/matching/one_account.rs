//! What fill models of one account have in common, however they fill.
//!
//! [`OwnOrders`] is what such a model keeps of its orders. [`OneAccount`] is what it has to say for
//! itself; taking commands and controls, ending, canceling and expiring follow from that. All of it
//! is resolved when it is compiled: nothing here costs a model a call that it would not make.

use super::floor::Floor;
use super::ledger::{Change, Ledger, Numbering, TakenBack, VenueOrder};
use super::rules::Refused;
use crate::id::{ClientOrderId, InstrumentId};
use crate::instrument::Instrument;
use crate::time::UnixNanos;
use crate::venue::{EndReason, NewOrder, SessionEdge, VenueCommand, VenueControl, VenueReport};
use std::collections::BTreeSet;

/// The orders of the one account that a model serves.
#[derive(Clone, Debug)]
pub(super) struct OwnOrders {
    pub(super) numbering: Numbering,
    pub(super) ledger: Ledger,
    /// When which order ends.
    ends: BTreeSet<(UnixNanos, u64, ClientOrderId)>,
}

impl OwnOrders {
    pub(super) fn new(numbering: Numbering) -> OwnOrders {
        OwnOrders {
            numbering,
            ledger: Ledger::default(),
            ends: BTreeSet::new(),
        }
    }

    /// Takes an order over as working.
    pub(super) fn accept(&mut self, order: &NewOrder, now: UnixNanos) -> VenueReport {
        self.ledger.accept(&mut self.numbering, order, now)
    }

    pub(super) fn reject(
        &mut self,
        order: &NewOrder,
        refused: Refused,
        now: UnixNanos,
    ) -> VenueReport {
        let Refused { reason, text } = refused;
        let numbering = &mut self.numbering;
        self.ledger.reject(numbering, order, reason, text, now)
    }

    /// Refuses an order whose id was used.
    pub(super) fn check_unused(&self, order: &NewOrder) -> Result<(), Refused> {
        if self.ledger.knows(&order.client_order_id) {
            return Err(Refused::duplicate());
        }
        Ok(())
    }

    /// Returns a working order.
    ///
    /// Errors: why there is none, in words.
    pub(super) fn working(&self, id: &ClientOrderId) -> Result<&VenueOrder, String> {
        let open = self.ledger.open(id);
        open.ok_or_else(|| self.ledger.why_not_open(id).to_owned())
    }

    /// Notes when a working order ends by the clock, where it does.
    pub(super) fn note_end(&mut self, id: &ClientOrderId, instrument: &Instrument) {
        if let Some((end, number)) = self.ledger.note_end(id, instrument) {
            self.ends.insert((end, number, id.clone()));
        }
    }

    /// Forgets that an order, open or ended, ends by the clock.
    pub(super) fn forget_end(&mut self, number: u64, id: &ClientOrderId) {
        if let Some(end) = self.ledger.end_time(id) {
            self.ends.remove(&(end, number, id.clone()));
        }
    }

    /// Returns when something ends by the clock alone.
    pub(super) fn next_due(&self) -> Option<UnixNanos> {
        // An order lives through the very end of its time.
        self.ends.first().map(|(end, _, _)| end.plus(1))
    }
}

/// A fill model of one account, as far as each is another.
pub(super) trait OneAccount {
    fn own(&self) -> &OwnOrders;

    fn own_mut(&mut self) -> &mut OwnOrders;

    fn floor_mut(&mut self, id: &InstrumentId) -> Option<&mut Floor>;

    /// Takes an order out of wherever it waits or rests.
    fn withdraw(&mut self, instrument_id: &InstrumentId, number: u64, id: &ClientOrderId);

    fn place(&mut self, now: UnixNanos, order: &NewOrder, out: &mut Vec<VenueReport>);

    /// Checks a change of a working order.
    ///
    /// Errors: why not, in words.
    fn check_amend(&self, id: &ClientOrderId, change: &Change) -> Result<(), String>;

    /// Changes a working order that was checked.
    fn amend(
        &mut self,
        now: UnixNanos,
        id: &ClientOrderId,
        change: Change,
        out: &mut Vec<VenueReport>,
    );

    /// Lets the orders for the close trade, then ends regular trading.
    fn close_session(&mut self, now: UnixNanos, id: &InstrumentId, out: &mut Vec<VenueReport>);

    /// Lets orders see the market that trades again after a halt.
    fn resume(&mut self, now: UnixNanos, id: &InstrumentId, out: &mut Vec<VenueReport>);

    /// Takes up what a busted execution leaves behind.
    fn busted(&mut self, now: UnixNanos, taken_back: &TakenBack);

    fn command(&mut self, now: UnixNanos, command: &VenueCommand, out: &mut Vec<VenueReport>) {
        match command {
            VenueCommand::New(order) => self.place(now, order, out),
            VenueCommand::Amend {
                client_order_id,
                quantity,
                limit_price,
                stop_price,
                ..
            } => {
                let change = Change {
                    quantity: *quantity,
                    limit_price: *limit_price,
                    stop_price: *stop_price,
                };
                match self.check_amend(client_order_id, &change) {
                    Ok(()) => self.amend(now, client_order_id, change, out),
                    Err(text) => out.push(VenueReport::AmendRejected {
                        client_order_id: client_order_id.clone(),
                        text,
                        ts_event: now,
                    }),
                }
            }
            VenueCommand::Cancel {
                client_order_id, ..
            } => self.cancel(now, client_order_id, out),
            // All orders here are the account's own.
            VenueCommand::CancelForeign { .. } => {}
            VenueCommand::Query {
                client_order_id, ..
            } => out.push(self.own().ledger.query(client_order_id, now)),
        }
    }

    fn control(&mut self, now: UnixNanos, control: &VenueControl, out: &mut Vec<VenueReport>) {
        match control {
            VenueControl::Halt { instrument_id } => {
                if let Some(floor) = self.floor_mut(instrument_id) {
                    floor.set_halted(true);
                }
            }
            VenueControl::Resume { instrument_id } => {
                if let Some(floor) = self.floor_mut(instrument_id) {
                    floor.set_halted(false);
                }
                self.resume(now, instrument_id, out);
            }
            VenueControl::Session {
                instrument_id,
                edge: SessionEdge::Close,
            } => self.close_session(now, instrument_id, out),
            VenueControl::Session {
                instrument_id,
                edge,
            } => {
                if let Some(floor) = self.floor_mut(instrument_id) {
                    floor.set_session(*edge);
                }
            }
            VenueControl::Bust { exec_id } => {
                // An id that was never given changes nothing.
                if let Some(taken_back) = self.own_mut().ledger.bust(exec_id, now) {
                    self.busted(now, &taken_back);
                    out.push(taken_back.report);
                }
            }
        }
    }

    fn cancel(&mut self, now: UnixNanos, id: &ClientOrderId, out: &mut Vec<VenueReport>) {
        let ledger = &self.own().ledger;
        if ledger.open(id).is_some() {
            return self.end(now, id, EndReason::Requested, out);
        }
        out.push(VenueReport::CancelRejected {
            client_order_id: id.clone(),
            text: ledger.why_not_open(id).to_owned(),
            ts_event: now,
        });
    }

    /// Ends the orders whose time lies before `now`. What happens at the very end of their time
    /// still counts.
    fn expire(&mut self, now: UnixNanos, out: &mut Vec<VenueReport>) {
        let is_over = |ends: &BTreeSet<_>| ends.first().is_some_and(|(end, _, _)| *end < now);
        while is_over(&self.own().ends) {
            if let Some((end, _, id)) = self.own_mut().ends.pop_first() {
                self.end(end, &id, EndReason::TimeOver, out);
            }
        }
    }

    /// Ends a working order, wherever it waits or rests.
    fn end(
        &mut self,
        now: UnixNanos,
        id: &ClientOrderId,
        reason: EndReason,
        out: &mut Vec<VenueReport>,
    ) {
        self.forget(id);
        out.extend(self.own_mut().ledger.end(id, reason, now));
    }

    /// Refuses a working order that is not allowed to begin after all.
    fn refuse_open(
        &mut self,
        now: UnixNanos,
        id: &ClientOrderId,
        refused: Refused,
        out: &mut Vec<VenueReport>,
    ) {
        self.forget(id);
        let Refused { reason, text } = refused;
        let rejected = self.own_mut().ledger.reject_open(id, reason, text, now);
        out.extend(rejected);
    }

    /// Takes a working order out of everything but the ledger.
    fn forget(&mut self, id: &ClientOrderId) {
        let Some(order) = self.own().ledger.open(id) else {
            return;
        };
        let (number, instrument_id) = (order.number, order.order.instrument_id.clone());
        self.withdraw(&instrument_id, number, id);
        self.own_mut().forget_end(number, id);
    }
}
