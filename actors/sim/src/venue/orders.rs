//! What the venue does with an account's commands.

use super::market::Fill;
use super::{Ledger, Trades, VenueOrder};
use apex_domain::venue::{EndReason, NewOrder, RejectReason, VenueEnd, VenueReport, VenueStatus};
use apex_domain::{ClientOrderId, Price, Quantity, UnixNanos};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Every reason but a repeated id, which only a repeated id has.
const REFUSALS: [RejectReason; 8] = [
    RejectReason::PostOnlyWouldTrade,
    RejectReason::UnknownInstrument,
    RejectReason::NoLiquidity,
    RejectReason::Other,
    RejectReason::Unsupported,
    RejectReason::Halted,
    RejectReason::PriceBand,
    RejectReason::InsufficientFunds,
];

impl Ledger {
    pub(super) fn new_order(
        &mut self,
        ts_event: UnixNanos,
        new: NewOrder,
        trades: &mut Trades,
        rng: &mut ChaCha8Rng,
    ) {
        let client_order_id = new.client_order_id.clone();
        let reject = |reason| VenueReport::Rejected {
            client_order_id: client_order_id.clone(),
            reason,
            text: "refused".to_owned(),
            ts_event,
        };
        if self.orders.contains_key(&client_order_id) {
            if self.unique_ids {
                self.log.push(reject(RejectReason::DuplicateClientOrderId));
            } else {
                self.doubled = Some(client_order_id);
            }
            return;
        }
        let refused = rng.random_bool(0.05);
        self.log.push(if refused {
            reject(REFUSALS[rng.random_range(0..REFUSALS.len())])
        } else {
            VenueReport::Accepted {
                client_order_id: client_order_id.clone(),
                venue_order_id: self.venue_order_id(&client_order_id),
                ts_event,
            }
        });
        let order = VenueOrder {
            quantity: new.quantity,
            limit_price: new.limit_price,
            status: if refused {
                VenueStatus::Rejected
            } else {
                VenueStatus::Working
            },
            executions: Vec::new(),
            triggered: !new.order_type.is_conditional(),
            by_hand: false,
            new,
        };
        let immediate = order.new.time_in_force.is_immediate();
        self.orders.insert(client_order_id.clone(), order);
        if immediate && !refused {
            if rng.random_bool(0.7) {
                let fill = Fill::draw(self, &client_order_id, trades, rng);
                self.fill(ts_event, &client_order_id, fill);
            }
            let (end, reason) = (VenueEnd::Canceled, EndReason::NoLiquidity);
            self.end(ts_event, &client_order_id, end, reason);
        }
    }

    pub(super) fn amend(
        &mut self,
        ts_event: UnixNanos,
        client_order_id: ClientOrderId,
        quantity: Quantity,
        limit_price: Option<Price>,
        stop_price: Option<Price>,
    ) {
        let order = self.orders.get_mut(&client_order_id);
        let report = match order {
            Some(order) if order.is_working() && quantity.0 > order.filled() => {
                order.quantity = quantity;
                order.limit_price = limit_price.or(order.limit_price);
                order.new.terms.stop_price = stop_price.or(order.new.terms.stop_price);
                VenueReport::Amended {
                    client_order_id,
                    quantity,
                    limit_price: order.limit_price,
                    stop_price: order.new.terms.stop_price,
                    ts_event,
                }
            }
            _ => VenueReport::AmendRejected {
                client_order_id,
                text: "not possible".to_owned(),
                ts_event,
            },
        };
        self.log.push(report);
    }

    pub(super) fn cancel(
        &mut self,
        ts_event: UnixNanos,
        client_order_id: ClientOrderId,
        refused: bool,
    ) {
        let (end, reason) = (VenueEnd::Canceled, EndReason::Requested);
        if refused || !self.end(ts_event, &client_order_id, end, reason) {
            self.log.push(VenueReport::CancelRejected {
                client_order_id,
                text: "not working".to_owned(),
                ts_event,
            });
        }
    }

    pub(super) fn answer(
        &self,
        ts_event: UnixNanos,
        client_order_id: ClientOrderId,
    ) -> VenueReport {
        match self.orders.get(&client_order_id) {
            Some(order) => VenueReport::Status {
                venue_order_id: self.venue_order_id(&client_order_id),
                client_order_id,
                status: order.status,
                quantity: order.quantity,
                limit_price: order.limit_price,
                stop_price: order.new.terms.stop_price,
                executions: order.executions.clone(),
                ts_event,
            },
            // Whether this proves anything is for the session to say.
            None => VenueReport::NotFound {
                client_order_id,
                proof: false,
                ts_event,
            },
        }
    }
}
