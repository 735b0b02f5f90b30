//! What the venue said to an order, an amend or a cancel.

use super::{Gateway, fields, order_table, print_json};
use crate::cli::ClientArgs;
use anyhow::{Context, Result};
use apex_proto::v1::{self, OrderEventKind as Kind, OrderStatus as Status};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;

/// An order after what was asked for.
pub struct Outcome {
    order: v1::Order,
    /// The venue or the account did not take it, and why.
    refused: Option<String>,
    /// How long the answer was waited for; zero did not wait.
    waited: u64,
}

/// Follows an order for up to `seconds` until nothing is under way about it.
///
/// Errors: a gateway that does not answer.
pub async fn settled(gateway: &Gateway, order: v1::Order, seconds: u64) -> Result<Outcome> {
    let mut outcome = Outcome {
        order,
        refused: None,
        waited: seconds,
    };
    if seconds > 0 && is_open(&outcome.order) {
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
    while is_open(&outcome.order) {
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
            if matches!(kind, Kind::AmendRejected | Kind::CancelRejected) {
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

impl Outcome {
    /// Prints the order. Where it was waited for, it exits with 1 unless that was taken.
    pub fn print(&self, client: &ClientArgs) -> ExitCode {
        if client.json {
            print_json(&fields::order(&self.order));
        } else {
            order_table::print(std::slice::from_ref(&self.order));
        }
        let id = &self.order.client_order_id;
        if let Some(reason) = &self.refused {
            crate::tell!("{id}: the change was refused, the order is as before: {reason}");
        } else if self.waited > 0 && is_open(&self.order) {
            let waited = self.waited;
            crate::tell!(
                "{id}: no answer of the venue within {waited} s; `apextrade orders watch` tells it"
            );
        }
        ExitCode::from(u8::from(self.waited > 0 && !self.is_taken()))
    }

    fn is_taken(&self) -> bool {
        let refused = matches!(self.order.status(), Status::Denied | Status::Rejected);
        self.refused.is_none() && !refused && !is_open(&self.order)
    }
}
