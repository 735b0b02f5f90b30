//! The actor behind its handle, with the runtime's clock stopped.

use super::support::*;
use crate::AccountActor;
use apex_bus::handle::AccountHandle;
use apex_bus::message::{AccountCommand, AccountMessage, CommandError, Urgency, VenueLink};
use apex_domain::AccountId;
use apex_domain::order::OrderStatus;
use ractor::{Actor, ActorRef};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

/// Begins `call`, as far as it goes without the actor.
fn is_pending<F: Future>(call: &mut Pin<Box<F>>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    call.as_mut().poll(&mut context).is_pending()
}

async fn start() -> (AccountHandle, ActorRef<AccountMessage>, Arc<HandVenue>) {
    let (journal, venue) = (Arc::default(), Arc::default());
    let args = args(&journal, &venue);
    let (actor, _running) = Actor::spawn(None, AccountActor, args).await.unwrap();
    actor.cast(AccountMessage::Link(VenueLink::Ready)).unwrap();
    let handle = AccountHandle::new(AccountId::new("paper").unwrap(), actor.clone());
    (handle, actor, venue)
}

#[tokio::test(start_paused = true)]
async fn a_command_goes_through_once_it_is_durable() {
    let (handle, actor, venue) = start().await;
    let mut pending = Box::pin(handle.command(submit_command(order("a", 1))));
    assert!(is_pending(&mut pending));
    // The actor takes its messages in order, so this one comes behind the submit.
    actor.cast(AccountMessage::Durable { sequence: 4 }).unwrap();
    let order = order_of(pending.await);
    assert_eq!(order.status, OrderStatus::Submitted);
    assert_eq!(venue.sent(), ["new a"]);
    assert_eq!(handle.order(key("a")).await.unwrap(), Some(order));
}

#[tokio::test(start_paused = true)]
async fn a_caller_hears_of_a_disk_that_stands_still() {
    let (handle, actor, venue) = start().await;
    let answer = handle.command(submit_command(order("a", 1))).await;
    assert_eq!(answer, Err(CommandError::Timeout { timeout_ms: 10_000 }));
    assert_eq!(venue.sent(), [""; 0]);
    // The command was under way all the same, and the same one again tells what became of it.
    actor.cast(AccountMessage::Durable { sequence: 4 }).unwrap();
    let again = handle.command(submit_command(order("a", 1))).await;
    assert_eq!(order_of(again).status, OrderStatus::Submitted);
    assert_eq!(venue.sent(), ["new a"]);
}

#[tokio::test(start_paused = true)]
async fn more_commands_under_way_than_the_handle_lets_are_refused_at_once() {
    let (handle, actor, _venue) = start().await;
    let send = |n: usize| {
        let order = order(&format!("o{n}"), 1);
        let mut sent = Box::pin(handle.command(submit_command(order)));
        assert!(is_pending(&mut sent));
        sent
    };
    let pending: Vec<_> = (0..4_096).map(send).collect();
    let one_more = handle.command(submit_command(order("more", 1))).await;
    assert_eq!(one_more, Err(CommandError::Overloaded { limit: 4_096 }));
    let last = 2 + 2 * 4_096;
    actor
        .cast(AccountMessage::Durable { sequence: last })
        .unwrap();
    for answer in pending {
        assert_eq!(order_of(answer.await).status, OrderStatus::Submitted);
    }
    assert_eq!(handle.order(key("more")).await.unwrap(), None);
}

fn commands(urgency: Urgency) -> Vec<AccountCommand> {
    let command = |n: usize| match urgency {
        Urgency::Ordinary => submit_command(order(&format!("o{n}"), 1)),
        Urgency::Protective => cancel_command("a", None),
        Urgency::KillSwitch => halt(true),
    };
    (0..urgency.under_way()).map(command).collect()
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_class_keeps_no_more_urgent_one_out() {
    let (handle, actor, _venue) = start().await;
    let mut pending = Vec::new();
    for urgency in Urgency::ALL {
        for command in commands(urgency) {
            assert_eq!(command.urgency(), urgency);
            let mut sent = Box::pin(handle.command(command));
            assert!(is_pending(&mut sent), "{urgency:?}");
            pending.push(sent);
        }
        let one_more = commands(urgency).remove(0);
        let limit = urgency.under_way();
        let answer = handle.command(one_more).await;
        assert_eq!(answer, Err(CommandError::Overloaded { limit }));
    }
    actor
        .cast(AccountMessage::Durable { sequence: 1 << 20 })
        .unwrap();
    let halts = pending.split_off(pending.len() - Urgency::KillSwitch.under_way());
    for answer in halts {
        assert!(answer.await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_account_says_so() {
    let (handle, actor, _venue) = start().await;
    actor.stop_and_wait(None, None).await.unwrap();
    let answer = handle.command(submit_command(order("a", 1))).await;
    assert_eq!(answer, Err(CommandError::Stopped));
    assert_eq!(handle.summary().await.unwrap_err(), CommandError::Stopped);
}
