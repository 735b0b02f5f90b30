//! What becomes of the orders of a session when it ends.

use crate::harness::put_user;
use crate::harness::{Harness, resting, soon};
use crate::session_client::{In, Session, guarded, hello, status_of, submit};
use apex_bus::message::AccountMessage;
use apex_domain::AccountId;
use apex_gateway::auth::{Grants, Role};
use apex_proto::v1;
use std::time::Duration;
use tonic::Code;

/// Asks until the order has ended; the test fails when it does not.
async fn canceled(harness: &Harness, client_order_id: &str) {
    soon(async {
        while status_of(harness, client_order_id).await != v1::OrderStatus::Canceled {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Lets the account look at the time.
fn tick(harness: &Harness) {
    let actor = &harness.actors[&AccountId::new("paper").unwrap()];
    actor.cast(AccountMessage::Tick).unwrap();
}

#[tokio::test]
async fn a_goodbye_answers_what_was_asked_and_leaves_the_orders() {
    let harness = Harness::start().await;
    let (session, _) = Session::begin(&harness, guarded(true, 60)).await;
    session
        .command(vec![(1, submit("a")), (2, submit("b"))])
        .await;
    let goodbye = v1::OrderSessionGoodbye::default();
    session.say(In::Goodbye(goodbye)).await;
    let session = session.end().await.unwrap();
    assert_eq!(session.answers.len(), 2);
    tick(&harness);
    for id in ["a", "b"] {
        assert_eq!(status_of(&harness, id).await, v1::OrderStatus::Accepted);
    }
}

#[tokio::test]
async fn a_client_that_drops_its_stream_loses_the_orders_of_the_session_only() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    orders.submit_order(resting("unary")).await.unwrap();
    let (mut plain, _) = Session::begin(&harness, hello()).await;
    plain.command(vec![(1, submit("plain"))]).await;
    plain.order(1).await;
    let (mut session, _) = Session::begin(&harness, guarded(true, 0)).await;
    session.command(vec![(1, submit("mine"))]).await;
    session.order(1).await;
    drop(session);
    drop(plain);
    canceled(&harness, "mine").await;
    for id in ["unary", "plain"] {
        assert_eq!(status_of(&harness, id).await, v1::OrderStatus::Accepted);
    }
}

#[tokio::test]
async fn a_client_that_is_silent_for_its_time_loses_its_orders_and_one_that_speaks_does_not() {
    let harness = Harness::start().await;
    let (mut speaks, _) = Session::begin(&harness, guarded(false, 1)).await;
    speaks.command(vec![(1, submit("speaks"))]).await;
    speaks.order(1).await;
    let requests = speaks.requests.clone();
    let beats = tokio::spawn(async move {
        let mut beat = tokio::time::interval(Duration::from_millis(100));
        loop {
            beat.tick().await;
            let heartbeat = v1::Heartbeat::default();
            let message = Some(In::Heartbeat(heartbeat));
            if requests
                .send(v1::OrderSessionRequest { message })
                .await
                .is_err()
            {
                return;
            }
        }
    });
    let (mut silent, _) = Session::begin(&harness, guarded(false, 1)).await;
    silent.command(vec![(1, submit("silent"))]).await;
    silent.order(1).await;
    let end = silent.end().await.err().unwrap();
    assert_eq!(end.code(), Code::Aborted);
    assert_eq!(crate::orders::reason(&end), "SESSION_SILENT");
    canceled(&harness, "silent").await;
    tick(&harness);
    assert_eq!(
        status_of(&harness, "speaks").await,
        v1::OrderStatus::Accepted
    );
    beats.abort();
}

#[tokio::test]
async fn a_session_that_is_taken_up_in_time_keeps_its_orders_and_ends_its_old_stream() {
    let harness = Harness::start().await;
    let (mut old, welcome) = Session::begin(&harness, guarded(false, 30)).await;
    old.command(vec![(1, submit("a"))]).await;
    old.order(1).await;
    let again = v1::OrderSessionHello {
        resume_session_id: welcome.session_id.clone(),
        ..guarded(true, 30)
    };
    let (new, resumed) = Session::begin(&harness, again.clone()).await;
    assert!(resumed.resumed);
    assert_eq!(resumed.session_id, welcome.session_id);
    // The old stream places nothing any more, and hears why.
    old.command(vec![(2, submit("late"))]).await;
    assert_eq!(old.error(2).await.reason, "SESSION_OVER");
    let end = old.end().await.err().unwrap();
    assert_eq!(end.code(), Code::Aborted);
    tick(&harness);
    assert_eq!(status_of(&harness, "a").await, v1::OrderStatus::Accepted);
    drop(new);
    canceled(&harness, "a").await;
    let mut over = Session::open(harness.admin().await, again).await;
    let end = over.next().await.unwrap_err();
    assert_eq!(end.code(), Code::FailedPrecondition);
    assert_eq!(crate::orders::reason(&end), "SESSION_OVER");
}

#[tokio::test]
async fn a_key_that_is_revoked_and_a_grant_that_is_taken_away_end_the_session_and_its_orders() {
    let harness = Harness::start().await;
    let taken = [(true, Code::Unauthenticated), (false, Code::Aborted)];
    for ((is_revoked, code), seed) in taken.into_iter().zip(20..) {
        let (token, record) = harness.user(seed, Role::Trader, &["paper"]);
        let channel = harness.as_token(&token).await;
        let mut session = Session::open(channel, guarded(false, 3_600)).await;
        session.welcome().await;
        let id = format!("of-{seed}");
        session.command(vec![(1, submit(&id))]).await;
        session.order(1).await;
        if is_revoked {
            harness.revoke(record);
        } else {
            let other = AccountId::new("other").unwrap();
            let grants = Grants::Only([other].into());
            put_user(&harness.keys, &record.user_id, Role::Trader, grants);
        }
        // Whichever look comes first says it: the stream's own, or the session's.
        let end = session.end().await.err().unwrap();
        let either = [code, Code::PermissionDenied];
        assert!(either.contains(&end.code()), "{end:?}");
        canceled(&harness, &id).await;
    }
}
