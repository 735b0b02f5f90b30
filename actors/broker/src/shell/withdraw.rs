//! What was decided in the moment before it was noticed that the journal's server is away.
//!
//! A new order may leave only once its intent is on the server: one that is durable in the reserve
//! alone would be unknown to whoever takes the account over. So the orders and amends of callers
//! that wait here are taken back. None of them has left, which is proof enough to end each as the
//! venue's own refusal would: in events, behind the intent that they end. So are the orders of
//! closings, which are decided again a second later, now with orders that nobody can double. What
//! else the account sends by itself (a stop that triggers, a leg of a list) is kept back as it is,
//! see `release.rs`. Cancels and answers to questions go on, and so does an amend of what waits
//! here: it sends nothing, and holds as soon as it is durable.
//!
//! Whether an order is new is read from the events of its command and not from the answer: that
//! shows orders as well that have long been there.

use super::{Answer, Held, Shell};
use apex_bus::message::CommandError;
use apex_domain::account::{Account, AccountInput, Outcome, Reply};
use apex_domain::event::Event;
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
    /// What would have left for a new order, by the id that the venue would know.
    new: BTreeSet<ClientOrderId>,
    /// Orders whose amend would have left.
    amended: BTreeSet<ClientOrderId>,
}

impl Shell {
    /// Takes back the new orders and amends that have not left.
    pub(super) fn withdraw(&mut self, now: UnixNanos) {
        let mut back = Withdrawn::default();
        let account = &self.args.account;
        for held in self.outbox.iter_mut() {
            if held.adds {
                back.take(held, account);
            } else {
                back.take_closing(held, account);
            }
        }
        let mut answers = Vec::new();
        for held in self.outbox.iter_mut() {
            answers.extend(back.correct(held));
        }
        let (orders, amends) = (back.orders.len(), back.amended.len());
        if orders + amends + back.new.len() > 0 {
            tracing::warn!(
                account_id = %self.account_id, orders, amends,
                "new orders and amends were taken back: the journal's server is away"
            );
            self.end_all(now, &back);
        }
        // Those of a withdrawal before, which wait still, are among them. They wait for the events that
        // end their orders: told before, a crash in between would send again what the caller was told
        // was never sent.
        for mut answer in answers {
            self.show_as_it_is(&mut answer, &back);
            self.hold_answer(answer);
        }
    }

    fn end_all(&mut self, now: UnixNanos, back: &Withdrawn) {
        for id in back.amended.difference(&back.new) {
            self.end(now, refused_amend(id.clone(), now));
        }
        for id in &back.new {
            let order = self.args.account.order_at_venue(id);
            let report = match order.filter(|it| it.status == OrderStatus::PendingCancel) {
                Some(order) => canceled(id.clone(), order, now),
                None => rejected(id.clone(), now),
            };
            self.end(now, report);
        }
        // What waits here for a price or for another order had nothing to send.
        for id in &back.orders {
            let key = OrderKey::ClientOrderId(id.clone());
            let order = self.args.account.order(&key);
            if order.is_some_and(|it| !it.status.is_terminal()) {
                let cancel = AccountInput::Cancel {
                    key,
                    request_id: None,
                    reason_code: ReasonCode::CanceledByRisk,
                };
                self.react(now, cancel);
            }
        }
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

    /// An answer about several orders, of which some were taken back, shows those as they stand now.
    fn show_as_it_is(&self, answer: &mut Answer, back: &Withdrawn) {
        let Answer::Command(_, Ok(Reply::Outcomes(outcomes))) = answer else {
            return;
        };
        let shown = outcomes.iter_mut();
        for order in shown.filter_map(|outcome| outcome.result.as_mut().ok()) {
            let id = &order.request.client_order_id;
            if back.orders.contains(id) {
                let key = OrderKey::ClientOrderId(id.clone());
                **order = self.args.account.order(&key).unwrap_or(order).clone();
            }
        }
    }
}

impl Withdrawn {
    /// Takes back what a caller's command led to.
    fn take(&mut self, held: &mut Held, account: &Account) {
        let made = made(held);
        let amended = self.amended.len();
        held.commands.retain(|command| match command {
            VenueCommand::New(order) => {
                let id = &order.client_order_id;
                let order = account.order_at_venue(id);
                let is_made = order.is_some_and(|it| made.contains(&it.request.client_order_id));
                if is_made {
                    self.new.insert(id.clone());
                }
                // One that has been there before sends itself, and is kept back.
                !is_made
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
        let working = answered(answer).filter(|order| !order.status.is_terminal());
        let working = working.map(|it| it.request.client_order_id.clone());
        self.orders.extend(working.filter(|id| made.contains(id)));
        if self.amended.len() > amended {
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

    /// Brings what was decided in line, and what was decided behind that: the same request again
    /// was answered from the account as it was, and a cancel has nothing to cancel at the venue.
    /// Returns the answer, if it is another one now.
    fn correct(&self, held: &mut Held) -> Option<Answer> {
        held.commands.retain(|command| match command {
            VenueCommand::Cancel {
                client_order_id, ..
            } => !self.new.contains(client_order_id),
            _ => true,
        });
        let Some(Answer::Command(_, answer)) = &mut held.answer else {
            return None;
        };
        let is_not_sent = *answer == Err(CommandError::NotSent);
        if !is_not_sent && !answered(answer).any(|order| self.has(order)) {
            return None;
        }
        let is_whole = match answer {
            // What some were refused for, and where others stand, is said of each.
            Ok(Reply::Outcomes(outcomes)) => outcomes.iter().all(|it| self.has_outcome(it)),
            _ => true,
        };
        if is_whole {
            *answer = Err(CommandError::NotSent);
        }
        held.answer.take()
    }

    /// The answer to a cancel shows what has become of the order anyway.
    fn has(&self, order: &Order) -> bool {
        order.status != OrderStatus::PendingCancel
            && !order.status.is_terminal()
            && self.orders.contains(&order.request.client_order_id)
    }

    fn has_outcome(&self, outcome: &Outcome) -> bool {
        outcome.result.as_ref().is_ok_and(|order| self.has(order))
    }
}

/// Returns the ids of the orders that a command made.
fn made(held: &Held) -> BTreeSet<ClientOrderId> {
    let events = held.events.iter().map(|event| &event.recorded.event);
    let made = events.filter_map(|event| match event {
        Event::OrderInitialized { request, .. } => Some(request.client_order_id.clone()),
        _ => None,
    });
    made.collect()
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
fn canceled(client_order_id: ClientOrderId, order: &Order, ts_event: UnixNanos) -> VenueReport {
    VenueReport::Ended {
        client_order_id,
        end: VenueEnd::Canceled,
        reason: EndReason::Requested,
        cumulative_quantity: order.filled_quantity,
        ts_event,
    }
}
