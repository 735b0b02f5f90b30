//! What an order is on its way to the venue.

use super::OrderEntry;
use crate::event::Hold;
use crate::instrument::Instrument;
use crate::order::placement::expires_here;
use crate::order::{OrderStatus, OrderTerms, OrderType, SelfTradePrevention, TimeInForce};
use crate::venue::{NewOrder, VenueCommand};

impl OrderEntry {
    /// Returns the command that sends the order to its venue. Where the account must not trade
    /// with itself, the venue sees to that for what triggers there: nobody is asked then. The
    /// order that triggers goes on, as it may protect a position. What was held here for its
    /// price or its time goes on in the same way.
    pub fn new_command(&self, instrument: &Instrument, prevent_self_trade: bool) -> VenueCommand {
        let mut order = self.as_sent(instrument);
        let mode = &mut order.terms.self_trade_prevention;
        let goes_on = order.order_type.is_conditional() || self.has_waited_here();
        if prevent_self_trade && mode.is_none() && goes_on {
            *mode = Some(SelfTradePrevention::ExpireMaker);
        }
        VenueCommand::New(order)
    }

    /// Returns true while the order waits at its venue for its condition.
    pub fn awaits_trigger(&self) -> bool {
        let traded = !self.order.filled_quantity.is_zero() || !self.busted.is_zero();
        self.wire_type().is_conditional() && self.base != OrderStatus::Triggered && !traded
    }

    /// Returns the order as its venue has it now: one whose condition was met there is of the
    /// type that it has become.
    pub fn at_venue(&self, instrument: &Instrument) -> NewOrder {
        let mut order = self.as_sent(instrument);
        if !self.awaits_trigger() {
            order.order_type = order.order_type.triggered();
        }
        order
    }

    fn as_sent(&self, instrument: &Instrument) -> NewOrder {
        let request = &self.order.request;
        NewOrder {
            client_order_id: self.wire_id(),
            instrument_id: request.instrument_id.clone(),
            side: request.side,
            order_type: self.wire_type(),
            quantity: self.slice.map_or(self.order.quantity, |it| it.quantity),
            limit_price: self.order.limit_price,
            time_in_force: self.wire_time_in_force(instrument),
            post_only: request.post_only,
            reduce_only: request.reduce_only && !instrument.rules.lacks.reduce_only,
            terms: self.wire_terms(instrument),
        }
    }

    pub fn cancel_command(&self) -> VenueCommand {
        VenueCommand::Cancel {
            client_order_id: self.wire_id(),
            instrument_id: self.order.request.instrument_id.clone(),
        }
    }

    pub fn query_command(&self) -> VenueCommand {
        VenueCommand::Query {
            client_order_id: self.wire_id(),
            instrument_id: self.order.request.instrument_id.clone(),
        }
    }

    /// Returns the amend that is under way as a command.
    pub fn amend_command(&self, instrument: &Instrument) -> Option<VenueCommand> {
        self.amend.as_ref().map(|amend| VenueCommand::Amend {
            client_order_id: self.wire_id(),
            instrument_id: self.order.request.instrument_id.clone(),
            quantity: self.wire_quantity(amend.quantity, amend.limit_price, instrument),
            limit_price: amend.limit_price,
            stop_price: amend.stop_price,
        })
    }

    /// Returns what the order is at the venue: a conditional order that was held here has met
    /// its condition when it leaves.
    fn wire_type(&self) -> OrderType {
        // What follows the first slice of a conditional order has met its condition.
        let follows = self.slice.is_some_and(|slice| slice.number > 1);
        match self.hold {
            Some(Hold::Emulated) => self.order.request.order_type.triggered(),
            _ if follows => self.order.request.order_type.triggered(),
            _ => self.order.request.order_type,
        }
    }

    /// Returns what the venue is told of the order's end. One that was held here for the opening
    /// or the close leaves at its moment, and what does not trade then is over, as in an auction.
    fn wire_time_in_force(&self, instrument: &Instrument) -> TimeInForce {
        let time_in_force = self.order.request.time_in_force;
        if self.release_at.is_some() {
            TimeInForce::Ioc
        } else if expires_here(instrument, time_in_force) {
            TimeInForce::Gtc
        } else {
            time_in_force
        }
    }

    /// Returns the terms as the venue gets them: as they are now, and resolved.
    fn wire_terms(&self, instrument: &Instrument) -> OrderTerms {
        let terms = self.order.request.terms.clone();
        let conditional = self.wire_type().is_conditional();
        let time_in_force = self.wire_time_in_force(instrument);
        OrderTerms {
            notional: None,
            display_quantity: terms.display_quantity.filter(|_| self.slice.is_none()),
            stop_price: self.order.stop_price.filter(|_| conditional),
            trailing: terms.trailing.filter(|_| conditional),
            activation_price: terms.activation_price.filter(|_| conditional),
            // The end of its contract is the venue's own matter.
            expire_at: self
                .order
                .expires_at
                .filter(|_| matches!(time_in_force, TimeInForce::Day | TimeInForce::Gtd)),
            ..terms
        }
    }
}
