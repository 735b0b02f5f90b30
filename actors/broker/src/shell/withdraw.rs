//! What was decided in the moment before it was noticed that the journal's server is away.
//!
//! A new order may leave only once its intent is on the server: one that is durable in the reserve
//! alone would be unknown to whoever takes the account over. So the orders and amends of callers
//! that wait here are taken back. None of them has left, which is proof enough to end each as the
//! venue's own refusal would: in events, behind the intent that they end. So are the orders of
//! closings, which are decided again a second later, now with orders that nobody can double. What
//! else the account sends by itself (a stop that triggers, a leg of a list) is kept back as it is,
//! see `release.rs`. Cancels and answers to questions go on.

use super::{Answer, Held, Shell};
use apex_bus::message::CommandError;
use apex_domain::account::{Account, AccountInput, Reply};
use apex_domain::order::{Order, OrderKey, OrderStatus};
use apex_domain::risk::ReasonCode;
use apex_domain::venue::{EndReason, RejectReason, VenueCommand, VenueEnd, VenueReport};
use apex_domain::{ClientOrderId, UnixNanos};
use std::collections::BTreeSet;

/// What the order's events say.
const WHY: &str = "not sent: the journal's database server stopped answering";

/// What was taken back.
#[derive(Default)]
struct Withdrawn {
    /// Orders of callers that are new, to be sent or to wait here.
    orders: BTreeSet<ClientOrderId>,
    /// What would have left for a new order.
    new: BTreeSet<ClientOrderId>,
    /// Orders whose amend would have left.
    amended: BTreeSet<ClientOrderId>,
}

impl Shell {
    /// Takes back the new orders and amends that have not left.
    pub(super) fn withdraw(&mut self, now: UnixNanos) {
        let mut back = Withdrawn::default();
        for held in self.outbox.iter_mut().filter(|held| held.adds) {
            back.take(held);
        }
        let account = &self.args.account;
        for held in self.outbox.iter_mut().filter(|held| !held.adds) {
            back.take_closing(held, account);
        }
        for held in self.outbox.iter_mut() {
            back.correct(held);
        }
        let (orders, amends) = (back.orders.len(), back.amended.len());
        if orders + amends + back.new.len() == 0 {
            return;
        }
        tracing::warn!(
            account_id = %self.account_id, orders, amends,
            "new orders and amends were taken back: the journal's server is away"
        );
        for id in back.amended.difference(&back.new) {
            self.end(now, refused_amend(id.clone(), now));
        }
        for id in back.new {
            let order = self.order(&id);
            let report = match order.filter(|it| it.status == OrderStatus::PendingCancel) {
                Some(order) => canceled(order, now),
                None => rejected(id, now),
            };
            self.end(now, report);
        }
        // What waits here for a price or for another order had nothing to send.
        for id in back.orders {
            if self.order(&id).is_some_and(|it| !it.status.is_terminal()) {
                let cancel = AccountInput::Cancel {
                    key: OrderKey::ClientOrderId(id),
                    request_id: None,
                    reason_code: ReasonCode::CanceledByRisk,
                };
                self.react(now, cancel);
            }
        }
    }

    fn order(&self, id: &ClientOrderId) -> Option<&Order> {
        let key = OrderKey::ClientOrderId(id.clone());
        self.args.account.order(&key)
    }

    fn end(&mut self, now: UnixNanos, report: VenueReport) {
        let venue_sequence = 0;
        self.react(
            now,
            AccountInput::Report {
                venue_sequence,
                report,
            },
        );
    }
}

impl Withdrawn {
    /// Takes back what a caller's command led to.
    fn take(&mut self, held: &mut Held) {
        let (new, amended) = (self.new.len(), self.amended.len());
        held.commands.retain(|command| match command {
            VenueCommand::New(order) => {
                self.new.insert(order.client_order_id.clone());
                false
            }
            VenueCommand::Amend {
                client_order_id, ..
            } => {
                self.amended.insert(client_order_id.clone());
                false
            }
            VenueCommand::Cancel { .. }
            | VenueCommand::CancelForeign { .. }
            | VenueCommand::Query { .. } => true,
        });
        let Some(Answer::Command(_, answer)) = &mut held.answer else {
            return;
        };
        let amends = self.amended.len() > amended;
        if !amends {
            let working = answered(answer).filter(|order| !order.status.is_terminal());
            let ids = working.map(|it| it.request.client_order_id.clone());
            self.orders.extend(ids);
        }
        if amends || self.new.len() > new {
            *answer = Err(CommandError::NotSent);
        }
    }

    /// Takes back the orders of closings: they were not made for two owners.
    fn take_closing(&mut self, held: &mut Held, account: &Account) {
        held.commands.retain(|command| match command {
            VenueCommand::New(order) if account.closes(&order.client_order_id) => {
                self.new.insert(order.client_order_id.clone());
                false
            }
            _ => true,
        });
    }

    /// Brings what was decided behind that in line: the same request again was answered from the
    /// account as it was, and a cancel has nothing to cancel at the venue.
    fn correct(&self, held: &mut Held) {
        held.commands.retain(|command| match command {
            VenueCommand::Cancel {
                client_order_id, ..
            } => !self.new.contains(client_order_id),
            _ => true,
        });
        if let Some(Answer::Command(_, answer)) = &mut held.answer
            && answered(answer).any(|it| {
                it.status != OrderStatus::PendingCancel
                    && self.orders.contains(&it.request.client_order_id)
            })
        {
            *answer = Err(CommandError::NotSent);
        }
    }
}

/// Returns the orders that an answer shows.
fn answered(answer: &Result<Reply, CommandError>) -> impl Iterator<Item = &Order> {
    let orders: Vec<&Order> = match answer {
        Ok(Reply::Order(order)) => vec![order],
        Ok(Reply::Orders(orders)) => orders.iter().collect(),
        Ok(Reply::Outcomes(outcomes)) => {
            let orders = outcomes.iter().filter_map(|it| it.result.as_ref().ok());
            orders.map(|order| &**order).collect()
        }
        _ => Vec::new(),
    };
    orders.into_iter()
}

fn rejected(client_order_id: ClientOrderId, ts_event: UnixNanos) -> VenueReport {
    VenueReport::Rejected {
        client_order_id,
        reason: RejectReason::Other,
        text: WHY.to_owned(),
        ts_event,
    }
}

fn refused_amend(client_order_id: ClientOrderId, ts_event: UnixNanos) -> VenueReport {
    VenueReport::AmendRejected {
        client_order_id,
        text: WHY.to_owned(),
        ts_event,
    }
}

/// Its cancel was asked for as well, and is what it has come to.
fn canceled(order: &Order, ts_event: UnixNanos) -> VenueReport {
    VenueReport::Ended {
        client_order_id: order.request.client_order_id.clone(),
        end: VenueEnd::Canceled,
        reason: EndReason::Requested,
        cumulative_quantity: order.filled_quantity,
        ts_event,
    }
}
