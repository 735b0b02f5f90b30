//! What the venue said to an order, an amend or a cancel.

use super::{Gateway, fields, order_table, print_json};
use crate::cli::ClientArgs;
use anyhow::{Context, Result};
use apex_domain::Money;
use apex_proto::v1::{self, OrderEventKind as Kind, OrderStatus as Status, OrderType, TimeInForce};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;

/// What was asked for.
pub enum Asked {
    Submit,
    Cancel,
    /// These values; empty leaves what is there.
    Amend {
        quantity: String,
        limit_price: String,
        stop_price: String,
    },
}

/// An order after what was asked for.
pub struct Outcome {
    asked: Asked,
    order: v1::Order,
    /// The venue or the account did not take it, and why.
    refused: Option<String>,
    /// How long the answer was waited for; zero did not wait.
    waited: u64,
}

/// Follows an order for up to `seconds` until nothing is under way about it.
///
/// Errors: a gateway that does not answer.
pub async fn settled(
    gateway: &Gateway,
    order: v1::Order,
    asked: Asked,
    seconds: u64,
) -> Result<Outcome> {
    let mut outcome = Outcome {
        asked,
        order,
        refused: None,
        waited: seconds,
    };
    if seconds > 0 && outcome.is_awaited() {
        let limit = Duration::from_secs(seconds);
        // What is known when the time is over is told.
        if let Ok(followed) = timeout(limit, follow(gateway, &mut outcome)).await {
            followed?;
        }
    }
    Ok(outcome)
}

async fn follow(gateway: &Gateway, outcome: &mut Outcome) -> Result<()> {
    let request = v1::StreamOrdersRequest {
        account_id: outcome.order.account_id.clone(),
        from_sequence: outcome.order.sequence.saturating_add(1),
        ..Default::default()
    };
    let mut stream = gateway
        .answer(gateway.orders().stream_orders(request))
        .await?;
    while outcome.is_awaited() {
        let message = stream.message().await.context("the stream of events")?;
        let message = message.context("the stream of events ended")?;
        let Some(v1::stream_orders_response::Item::Event(event)) = message.item else {
            continue;
        };
        let kind = event.kind();
        if let Some(order) = event.order
            && order.order_id == outcome.order.order_id
        {
            outcome.order = order;
            // One of another change that was under way says nothing of this one.
            let refusal = match outcome.asked {
                Asked::Submit => None,
                Asked::Cancel => Some(Kind::CancelRejected),
                Asked::Amend { .. } => Some(Kind::AmendRejected),
            };
            if refusal == Some(kind) {
                outcome.refused = Some(event.reason);
            }
        }
    }
    Ok(())
}

/// Returns true while the account or its venue still owes an answer. What is held here owes none.
fn is_open(order: &v1::Order) -> bool {
    match order.status() {
        Status::PendingNew => order.held_for() == v1::Hold::Unspecified,
        Status::Submitted | Status::Unknown | Status::PendingAmend | Status::PendingCancel => true,
        _ => false,
    }
}

/// Returns true for an order that does not rest at the venue: it is filled, or ends, at once.
fn ends_at_once(order: &v1::Order) -> bool {
    matches!(order.order_type(), OrderType::Market)
        || matches!(order.time_in_force(), TimeInForce::Ioc | TimeInForce::Fok)
}

impl Outcome {
    /// Returns true while there is something to wait for: an answer, and the end of an order that
    /// was submitted and does not rest.
    fn is_awaited(&self) -> bool {
        let order = &self.order;
        let is_at_work = matches!(order.status(), Status::Accepted | Status::PartiallyFilled);
        let ends = matches!(self.asked, Asked::Submit) && ends_at_once(order);
        is_open(order) || (ends && is_at_work)
    }

    /// Prints the order. Where it was waited for, it exits with 1 unless that was taken.
    pub fn print(&self, client: &ClientArgs) -> ExitCode {
        if client.json {
            print_json(&fields::order(&self.order));
        } else {
            order_table::print(std::slice::from_ref(&self.order));
        }
        let id = &self.order.client_order_id;
        let is_taken = self.is_taken();
        // After a refusal another request may have brought about the same.
        if let Some(reason) = self.refused.as_ref().filter(|_| !is_taken) {
            crate::tell!("{id}: the change was refused, the order is as before: {reason}");
        } else if self.waited > 0 && is_open(&self.order) {
            let waited = self.waited;
            crate::tell!(
                "{id}: no answer of the venue within {waited} s; `apextrade orders watch` tells it"
            );
        }
        if self.waited > 0 && is_taken && self.is_awaited() {
            let waited = self.waited;
            crate::tell!(
                "{id}: the venue has taken it, and it has not ended within {waited} s; `apextrade orders \
                 watch` tells it"
            );
        }
        if self.waited > 0 && self.refused.is_none() && !is_open(&self.order) && !is_taken {
            crate::tell!("{id}: what was asked for did not come about: look at the order");
        }
        ExitCode::from(u8::from(self.waited > 0 && !is_taken))
    }

    fn is_taken(&self) -> bool {
        let status = self.order.status();
        match &self.asked {
            Asked::Submit => {
                !is_open(&self.order) && !matches!(status, Status::Denied | Status::Rejected)
            }
            // A fill may have been faster.
            Asked::Cancel => status == Status::Canceled,
            Asked::Amend {
                quantity,
                limit_price,
                stop_price,
            } => {
                let order = &self.order;
                // One that fills as it was amended, or behind it, has had what was asked.
                let counts = matches!(
                    status,
                    Status::Accepted
                        | Status::PartiallyFilled
                        | Status::Triggered
                        | Status::PendingNew
                        | Status::Filled
                );
                counts
                    && self.refused.is_none()
                    && !is_open(order)
                    && is_as(quantity, &order.quantity)
                    && is_as(limit_price, &order.limit_price)
                    && is_as(stop_price, &order.stop_price)
            }
        }
    }
}

/// Returns true where nothing was asked, or the same number: `10` is `10.00`.
fn is_as(asked: &str, now: &str) -> bool {
    let number = |text: &str| Money::parse(text).ok();
    asked.is_empty() || (number(asked).is_some() && number(asked) == number(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(asked: Asked, status: Status) -> Outcome {
        let order = v1::Order {
            status: status.into(),
            quantity: "10.00".to_owned(),
            limit_price: "5.0".to_owned(),
            ..Default::default()
        };
        Outcome {
            asked,
            order,
            refused: None,
            waited: 1,
        }
    }

    fn amend(quantity: &str, limit_price: &str) -> Asked {
        Asked::Amend {
            quantity: quantity.to_owned(),
            limit_price: limit_price.to_owned(),
            stop_price: String::new(),
        }
    }

    #[test]
    fn an_order_that_does_not_rest_is_waited_for_until_it_has_ended() {
        let awaited = |asked, status, kind: OrderType, time: TimeInForce| {
            let mut outcome = outcome(asked, status);
            outcome.order.order_type = kind.into();
            outcome.order.time_in_force = time.into();
            outcome.is_awaited()
        };
        let (market, limit) = (OrderType::Market, OrderType::Limit);
        let (gtc, ioc) = (TimeInForce::Gtc, TimeInForce::Ioc);
        for (kind, time, expected) in [(market, gtc, true), (limit, ioc, true), (limit, gtc, false)]
        {
            for status in [Status::Accepted, Status::PartiallyFilled] {
                let found = awaited(Asked::Submit, status, kind, time);
                assert_eq!(found, expected, "{kind:?} {time:?}");
            }
            assert!(awaited(Asked::Submit, Status::Submitted, kind, time));
            assert!(!awaited(Asked::Submit, Status::Filled, kind, time));
            assert!(!awaited(Asked::Cancel, Status::Accepted, kind, time));
        }
    }

    #[test]
    fn a_change_is_taken_where_it_came_about() {
        let taken = |asked, status| outcome(asked, status).is_taken();
        assert!(taken(Asked::Submit, Status::Filled));
        assert!(!taken(Asked::Submit, Status::Rejected));
        assert!(!taken(Asked::Submit, Status::Submitted));
        assert!(taken(Asked::Cancel, Status::Canceled));
        // A fill was faster, or the venue kept it.
        assert!(!taken(Asked::Cancel, Status::Filled));
        assert!(!taken(Asked::Cancel, Status::Accepted));
        assert!(taken(amend("10", ""), Status::Accepted));
        assert!(taken(amend("10", "5"), Status::PartiallyFilled));
        assert!(!taken(amend("10", "6"), Status::Accepted));
        assert!(taken(amend("10", ""), Status::Filled));
        // The fill was faster than the amend.
        assert!(!taken(amend("12", ""), Status::Filled));
        assert!(!taken(amend("10", ""), Status::Canceled));
        assert!(!taken(amend("", "5"), Status::PendingAmend));
    }
}
