//! Order sessions: what they carry.

use crate::audit::audited;
use crate::harness::{Harness, resting, soon};
use crate::session_client::{
    Answer, Command, In, Out, Session, amend, cancel, guarded, hello, status_of, submit,
};
use apex_bus::message::AccountMessage;
use apex_domain::AccountId;
use apex_gateway::auth::Role;
use apex_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use v1::order_service_client::OrderServiceClient;

#[tokio::test]
async fn commands_are_answered_by_their_ids_and_change_orders_in_their_order() {
    let harness = Harness::start().await;
    let (mut session, welcome) = Session::begin(&harness, hello()).await;
    assert_eq!(welcome.account_id, "paper");
    assert!(welcome.sequence > 0 && welcome.window > 0 && welcome.max_commands > 0);
    assert!(!welcome.session_id.is_empty() && !welcome.resumed);
    // One message: each command finds what those before it did.
    session
        .command(vec![
            (1, submit("a")),
            (2, Command::Amend(amend("a", "0.02"))),
            (3, submit("b")),
            (4, cancel("a")),
            (5, cancel("nothing")),
            (6, submit("c")),
        ])
        .await;
    let sequence = session.order(1).await.sequence;
    assert_eq!(session.order(1).await.client_order_id, "a");
    assert!(session.order(2).await.sequence > sequence);
    assert_eq!(session.order(3).await.client_order_id, "b");
    assert!(session.order(4).await.sequence > session.order(3).await.sequence);
    assert_eq!(session.error(5).await.reason, "ORDER_NOT_FOUND");
    assert_eq!(status_of(&harness, "a").await, v1::OrderStatus::Canceled);
    assert_eq!(session.order(6).await.client_order_id, "c");
    let all = Command::CancelAll(v1::CancelAllOrdersRequest {
        side: v1::Side::Buy.into(),
        ..Default::default()
    });
    session.command(vec![(7, all)]).await;
    let Answer::Canceled(orders) = session.answer(7).await else {
        panic!("{:?}", session.answers[&7]);
    };
    assert_eq!(orders.orders.len(), 2);
    let goodbye = v1::OrderSessionGoodbye::default();
    session.say(In::Goodbye(goodbye)).await;
    session.end().await.unwrap();
}

#[tokio::test]
async fn very_many_commands_are_each_answered_once_and_in_the_order_of_the_stream() {
    let harness = Harness::start().await;
    let (mut session, welcome) = Session::begin(&harness, hello()).await;
    let requests = session.requests.clone();
    let (count, batch) = (
        3 * u64::from(welcome.window),
        u64::from(welcome.max_commands),
    );
    let sends = tokio::spawn(async move {
        for first in (1..=count).step_by(batch as usize) {
            let ids = first..(first + batch).min(count + 1);
            let commands = ids.map(|id| v1::OrderSessionCommand {
                command_id: id,
                command: Some(submit(&format!("o{id}"))),
            });
            let commands = v1::OrderSessionCommands {
                commands: commands.collect(),
            };
            let message = Some(In::Commands(commands));
            let request = v1::OrderSessionRequest { message };
            requests.send(request).await.unwrap();
        }
    });
    let mut last = 0;
    for id in 1..=count {
        let order = session.order(id).await;
        assert_eq!(order.client_order_id, format!("o{id}"));
        assert!(order.sequence > last, "{id}");
        last = order.sequence;
    }
    sends.await.unwrap();
    assert_eq!(session.answers.len() as u64, count);
}

#[tokio::test]
async fn an_error_is_that_of_the_unary_method() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let (mut session, _) = Session::begin(&harness, hello()).await;
    orders.submit_order(resting("taken")).await.unwrap();
    let wrong = [
        v1::SubmitOrderRequest::default(),
        v1::SubmitOrderRequest {
            side: 9,
            quantity: "x".into(),
            instrument_id: "BTCUSD.SIM".into(),
            ..resting("bad")
        },
        v1::SubmitOrderRequest {
            quantity: "0.02".into(),
            ..resting("taken")
        },
        v1::SubmitOrderRequest {
            quantity: "0.00001".into(),
            ..resting("small")
        },
        v1::SubmitOrderRequest {
            quantity: "0.0000123".into(),
            ..resting("off")
        },
    ];
    for (request, id) in wrong.into_iter().zip(1..) {
        let account_id = "paper".to_owned();
        let request = v1::SubmitOrderRequest {
            account_id,
            ..request
        };
        session
            .command(vec![(id, Command::Submit(request.clone()))])
            .await;
        let error = session.error(id).await;
        let unary = orders.submit_order(request).await.unwrap_err();
        assert_same(&error, &unary);
    }
    let amends = [
        v1::AmendOrderRequest::default(),
        amend("nothing", "0.02"),
        amend("taken", "0.000001"),
        v1::AmendOrderRequest {
            expected_sequence: 1,
            ..amend("taken", "0.02")
        },
    ];
    for (request, id) in amends.into_iter().zip(100..) {
        let account_id = "paper".to_owned();
        let request = v1::AmendOrderRequest {
            account_id,
            ..request
        };
        session
            .command(vec![(id, Command::Amend(request.clone()))])
            .await;
        let error = session.error(id).await;
        let unary = orders.amend_order(request).await.unwrap_err();
        assert_same(&error, &unary);
    }
}

fn assert_same(error: &v1::OrderSessionError, unary: &Status) {
    let details = unary.get_error_details();
    assert_eq!(error.code, unary.code() as i32, "{unary:?}");
    assert_eq!(error.message, unary.message());
    let info = details.error_info();
    assert_eq!(error.reason, info.map_or("", |it| it.reason.as_str()));
    let metadata = info.map(|it| it.metadata.clone()).unwrap_or_default();
    assert_eq!(error.metadata, metadata.into_iter().collect());
    let violations = details.bad_request();
    let violations = violations.map(|it| it.field_violations.clone());
    let told = error.field_violations.iter();
    let told: Vec<_> = told.map(|it| (&*it.field, &*it.description)).collect();
    let violations = violations.unwrap_or_default();
    let unary: Vec<_> = violations
        .iter()
        .map(|it| (&*it.field, &*it.description))
        .collect();
    assert_eq!(told, unary);
}

#[tokio::test]
async fn a_list_and_what_is_no_command_are_answered_too() {
    let harness = Harness::start().await;
    let (mut session, _) = Session::begin(&harness, hello()).await;
    let list = v1::SubmitOrderListRequest {
        order_list_id: "l".into(),
        contingency: v1::Contingency::Oco.into(),
        orders: ["x", "y"]
            .map(|id| v1::SubmitOrderRequest {
                account_id: String::new(),
                ..resting(id)
            })
            .into(),
        ..Default::default()
    };
    let elsewhere = v1::SubmitOrderRequest {
        account_id: "other".into(),
        ..resting("elsewhere")
    };
    session
        .command(vec![
            (1, Command::SubmitList(list)),
            (2, Command::Submit(elsewhere)),
            (0, submit("none")),
        ])
        .await;
    let nothing = v1::OrderSessionCommand {
        command_id: 3,
        command: None,
    };
    let commands = vec![nothing];
    session
        .say(In::Commands(v1::OrderSessionCommands { commands }))
        .await;
    let Answer::OrderList(list) = session.answer(1).await else {
        panic!("{:?}", session.answers[&1]);
    };
    assert_eq!(list.order_list_id, "l");
    assert!(list.outcomes.iter().all(|outcome| outcome.error.is_none()));
    for (id, field) in [(2, "account_id"), (0, "command_id"), (3, "command")] {
        let error = session.error(id).await;
        assert_eq!(error.code, Code::InvalidArgument as i32);
        assert_eq!(error.field_violations[0].field, field);
    }
}

#[tokio::test]
async fn the_same_order_again_in_a_new_session_is_the_same_order() {
    let harness = Harness::start().await;
    let (mut first, _) = Session::begin(&harness, hello()).await;
    first.command(vec![(1, submit("a"))]).await;
    let order = first.order(1).await;
    drop(first);
    let (mut second, _) = Session::begin(&harness, guarded(true, 0)).await;
    second.command(vec![(1, submit("a"))]).await;
    assert_eq!(second.order(1).await.order_id, order.order_id);
}

#[tokio::test]
async fn working_orders_and_events_are_told_where_they_are_asked_for() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    orders.submit_order(resting("before")).await.unwrap();
    let wants = v1::OrderSessionHello {
        working_orders: true,
        events: Some(v1::OrderSessionEventsWanted::default()),
        ..hello()
    };
    let (mut session, _) = Session::begin(&harness, wants.clone()).await;
    let Some(Out::WorkingOrders(part)) = session.next().await.unwrap() else {
        panic!("no working orders");
    };
    assert!(part.complete);
    assert_eq!(part.orders[0].client_order_id, "before");
    session.command(vec![(1, submit("a"))]).await;
    session.order(1).await;
    let kinds = |session: &Session| -> Vec<v1::OrderEventKind> {
        session.events.iter().map(|event| event.kind()).collect()
    };
    use v1::OrderEventKind::{Accepted, Initialized, Submitted};
    while session.events.len() < 3 {
        session.take().await.unwrap();
    }
    assert_eq!(kinds(&session), [Initialized, Submitted, Accepted]);
    let resume_point = session.resume_point.clone();
    drop(session);
    orders.submit_order(resting("meanwhile")).await.unwrap();
    let again = v1::OrderSessionHello {
        events: Some(v1::OrderSessionEventsWanted {
            resume_point,
            ..Default::default()
        }),
        ..hello()
    };
    let (mut session, _) = Session::begin(&harness, again).await;
    while session.events.len() < 3 {
        session.take().await.unwrap();
    }
    let ids = session.events.iter().map(|event| event.order.clone());
    assert!(
        ids.flatten()
            .all(|order| order.client_order_id == "meanwhile")
    );
}

#[tokio::test]
async fn a_full_window_stops_the_reading_and_loses_nothing() {
    let harness = Harness::with(|options| options.limits.session_window = 4).await;
    let (mut session, welcome) = Session::begin(&harness, hello()).await;
    assert_eq!(welcome.window, 4);
    // The account keeps the answers of these to itself.
    let unheard = (1..=4).map(|id| (id, submit(&format!("unheard{id}"))));
    session.command(unheard.collect()).await;
    session.command(vec![(5, submit("behind"))]).await;
    soon(async {
        while harness.records.len("paper") < 3 + 4 * 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // A heartbeat of the same stream would be read behind the fifth; other calls go on.
    let mut orders = harness.orders().await;
    orders.submit_order(resting("unary")).await.unwrap();
    let request = v1::GetOrderRequest {
        account_id: "paper".into(),
        client_order_id: "behind".into(),
        ..Default::default()
    };
    let missing = orders.get_order(request).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let actor = &harness.actors[&AccountId::new("paper").unwrap()];
    actor.cast(AccountMessage::Durable { sequence: 0 }).unwrap();
    for id in 1..=4 {
        assert_eq!(
            session.order(id).await.client_order_id,
            format!("unheard{id}")
        );
    }
    assert_eq!(session.order(5).await.client_order_id, "behind");
}

#[tokio::test]
async fn too_many_commands_a_second_are_told_when_to_come_again() {
    let harness = Harness::with(|options| options.limits.calls_per_second = 20).await;
    let (mut session, _) = Session::begin(&harness, hello()).await;
    let commands = (1..=60).map(|id| (id, submit(&format!("o{id}"))));
    session.command(commands.collect()).await;
    let error = session.error(60).await;
    assert_eq!(error.code, Code::ResourceExhausted as i32);
    assert_eq!(error.reason, "CALL_RATE");
    assert!(error.retry_delay_ns > 0);
    session.order(1).await;
}

#[tokio::test]
async fn who_may_not_trade_here_has_no_session() {
    let harness = Harness::start().await;
    let (viewer, _) = harness.user(30, Role::Viewer, &["paper"]);
    let mut client = OrderServiceClient::new(harness.as_token(&viewer).await);
    let (_requests, outgoing) = mpsc::channel(1);
    let refused = client.order_session(ReceiverStream::new(outgoing)).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    let (trader, _) = harness.user(31, Role::Trader, &["other"]);
    let mut session = Session::open(harness.as_token(&trader).await, hello()).await;
    let end = session.next().await.unwrap_err();
    assert_eq!(crate::orders::reason(&end), "ACCOUNT_NOT_GRANTED");
}

#[tokio::test]
async fn a_hello_says_all_that_is_wrong_with_it_and_comes_first() {
    let harness = Harness::start().await;
    let wrong = v1::OrderSessionHello {
        account_id: "a b".into(),
        resume_session_id: "no id".into(),
        dead_man_timeout_ns: 5,
        ..Default::default()
    };
    let mut session = Session::open(harness.admin().await, wrong).await;
    let end = session.next().await.unwrap_err();
    let fields = crate::orders::fields(&end);
    assert_eq!(
        fields,
        ["account_id", "resume_session_id", "dead_man_timeout_ns"]
    );
    let (mut twice, _) = Session::begin(&harness, hello()).await;
    twice.say(In::Hello(hello())).await;
    let end = twice.next().await.unwrap_err();
    assert_eq!(crate::orders::fields(&end), ["hello"]);
}

#[tokio::test]
async fn each_message_is_recorded_with_what_came_of_it() {
    let (harness, kept) = audited(None).await;
    let (mut session, _) = Session::begin(&harness, hello()).await;
    session
        .command(vec![(1, submit("a")), (2, cancel("nothing"))])
        .await;
    session.order(1).await;
    session.error(2).await;
    let records = kept.of("OrderService/OrderSession");
    // The call itself and its hello come first.
    let (request, answer) = records.last().unwrap();
    assert_eq!(request.origin.principal, "admin");
    let sent = <v1::OrderSessionRequest as prost::Message>::decode(&*request.request).unwrap();
    let Some(In::Commands(commands)) = sent.message else {
        panic!("{sent:?}");
    };
    assert_eq!(commands.commands.len(), 2);
    let answer = answer.as_ref().unwrap();
    assert_eq!(answer.code, Code::NotFound as u32);
    assert!(
        answer.message.starts_with("1 of 2 refused"),
        "{}",
        answer.message
    );
    let told = <v1::OrderSessionResponse as prost::Message>::decode(&*answer.after).unwrap();
    let Some(Out::Answers(answers)) = told.message else {
        panic!("{told:?}");
    };
    assert_eq!(answers.answers.len(), 2);
}

#[tokio::test]
async fn without_an_audit_only_cancels_are_carried_out() {
    let (harness, kept) = audited(None).await;
    let (mut session, _) = Session::begin(&harness, hello()).await;
    session.command(vec![(1, submit("a"))]).await;
    session.order(1).await;
    kept.fail();
    session
        .command(vec![(2, submit("b")), (3, cancel("a"))])
        .await;
    let error = session.error(2).await;
    assert_eq!(error.code, Code::Unavailable as i32);
    assert_eq!(session.order(3).await.client_order_id, "a");
    // What was carried out is kept until it can be written.
    let records = kept.of("OrderService/OrderSession");
    let (request, _) = records.last().unwrap();
    let sent = <v1::OrderSessionRequest as prost::Message>::decode(&*request.request).unwrap();
    let Some(In::Commands(commands)) = sent.message else {
        panic!("{sent:?}");
    };
    let ids: Vec<u64> = commands.commands.iter().map(|it| it.command_id).collect();
    assert_eq!(ids, [3]);
}
