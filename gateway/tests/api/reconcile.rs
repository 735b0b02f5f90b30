//! Differences from the venue, orders there that are not ours, and how closings end.

use crate::harness::{BTC, Harness, resting};
use crate::orders::reason;
use apex_bus::message::{AccountMessage, VenueLink};
use apex_domain::market::Side;
use apex_domain::reconcile::{Part, VenueBalance, VenueOpenOrder, VenueSnapshot};
use apex_domain::{
    AccountId, ClientOrderId, Currency, InstrumentId, Money, Price, Quantity, UnixNanos,
    VenueOrderId,
};
use apex_gateway::auth::Role;
use apex_proto::v1;
use apex_proto::v1::account_service_client::AccountServiceClient;
use apex_proto::v1::order_service_client::OrderServiceClient;
use tonic::Code;

/// The venue has 5 less cash, and an order that is not ours.
fn snapshot() -> VenueSnapshot {
    let ts = UnixNanos(5);
    let order = VenueOpenOrder {
        client_order_id: Some(ClientOrderId::new("stranger").unwrap()),
        venue_order_id: VenueOrderId::new("V-stranger").unwrap(),
        instrument_id: InstrumentId::new(BTC).unwrap(),
        side: Side::Sell,
        quantity: Quantity(7),
        limit_price: Some(Price(6_100_000)),
        stop_price: None,
        filled_quantity: Quantity::ZERO,
    };
    let balance = VenueBalance {
        currency: Currency::new("USDT").unwrap(),
        amount: Money::parse("999995").unwrap(),
    };
    VenueSnapshot {
        requested_at: ts,
        open_orders: Some(Part {
            ts,
            rows: vec![order],
        }),
        balances: Some(Part {
            ts,
            rows: vec![balance],
        }),
        ..VenueSnapshot::default()
    }
}

fn get() -> v1::GetReconciliationRequest {
    v1::GetReconciliationRequest {
        account_id: "paper".into(),
    }
}

#[tokio::test]
async fn differences_are_listed_and_a_strangers_order_is_canceled() {
    let harness = Harness::start().await;
    let mut accounts = AccountServiceClient::new(harness.admin().await);
    let empty = accounts.get_reconciliation(get()).await.unwrap();
    assert_eq!(empty.into_inner().ts_ns, 0);
    let paper = &harness.actors[&AccountId::new("paper").unwrap()];
    let link = VenueLink::Snapshot(Box::new(snapshot()));
    paper.cast(AccountMessage::Link(link)).unwrap();
    let found = accounts.get_reconciliation(get()).await.unwrap();
    let found = found.into_inner();
    let kinds: Vec<_> = found.differences.iter().map(|it| it.kind()).collect();
    let expected = [
        v1::DifferenceKind::OrderUnknownHere,
        v1::DifferenceKind::Balance,
    ];
    assert_eq!(kinds, expected);
    let balance = &found.differences[1];
    assert_eq!((&*balance.ours, &*balance.venue), ("1000000", "999995"));
    let stranger = &found.foreign_orders[0];
    assert_eq!(stranger.venue_order_id, "V-stranger");
    assert_eq!(stranger.limit_price, "61000.00");
    assert!(!stranger.cancel_requested);

    let cancel = |id: &str, request_id: &str| v1::CancelForeignOrdersRequest {
        account_id: "paper".into(),
        request_id: request_id.into(),
        venue_order_ids: vec![id.into()],
        reason: "left over".into(),
        ..Default::default()
    };
    let unknown = accounts.cancel_foreign_orders(cancel("V-x", "r-0")).await;
    let unknown = unknown.unwrap_err();
    assert_eq!(
        (unknown.code(), reason(&unknown)),
        (Code::NotFound, "FOREIGN_ORDER_NOT_FOUND".to_owned())
    );
    let before = harness.records.len("paper");
    for _ in 0..2 {
        let answer = accounts
            .cancel_foreign_orders(cancel("V-stranger", "r-1"))
            .await;
        assert_eq!(answer.unwrap().into_inner().orders.len(), 1);
    }
    // The intent and its end, once.
    assert_eq!(harness.records.len("paper") - before, 2);
    let other = accounts
        .cancel_foreign_orders(cancel("V-other", "r-1"))
        .await;
    assert_eq!(other.unwrap_err().code(), Code::AlreadyExists);
}

#[tokio::test]
async fn an_order_that_the_venue_never_tells_of_is_resolved_by_who_may_look_there() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    orders.submit_order(resting("known")).await.unwrap();
    orders.submit_order(resting("silent-1")).await.unwrap();
    let resolve = |id: &str, reason: &str| v1::ResolveOrderRequest {
        account_id: "paper".into(),
        client_order_id: id.into(),
        request_id: format!("r-{id}"),
        reason: reason.into(),
        ..Default::default()
    };
    let early = orders
        .resolve_order(resolve("silent-1", "not listed"))
        .await;
    let early = early.unwrap_err();
    assert_eq!(
        (early.code(), reason(&early)),
        (Code::FailedPrecondition, "ORDER_NOT_UNKNOWN".to_owned())
    );
    let paper = &harness.actors[&AccountId::new("paper").unwrap()];
    let reason_of = "cut".to_owned();
    let lost = VenueLink::Lost { reason: reason_of };
    paper.cast(AccountMessage::Link(lost)).unwrap();
    let known = orders.resolve_order(resolve("known", "not listed")).await;
    assert_eq!(reason(&known.unwrap_err()), "ORDER_NOT_UNKNOWN");
    let mute = orders.resolve_order(resolve("silent-1", "")).await;
    assert_eq!(mute.unwrap_err().code(), Code::InvalidArgument);
    let (trader, _) = harness.user(2, Role::Trader, &["paper"]);
    let mut traders = OrderServiceClient::new(harness.as_token(&trader).await);
    let refused = traders
        .resolve_order(resolve("silent-1", "not listed"))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);

    let (ops, _) = harness.user(3, Role::Ops, &["paper"]);
    let mut operators = OrderServiceClient::new(harness.as_token(&ops).await);
    for _ in 0..2 {
        let answer = operators
            .resolve_order(resolve("silent-1", "not listed"))
            .await;
        let order = answer.unwrap().into_inner();
        assert_eq!(order.status(), v1::OrderStatus::Canceled);
        assert_eq!(order.reason_code, "RESOLVED");
    }
}

#[tokio::test]
async fn how_a_closing_ended_is_told_by_its_request_id() {
    let harness = Harness::start().await;
    let mut orders = harness.orders().await;
    let market = v1::SubmitOrderRequest {
        order_type: v1::OrderType::Market.into(),
        limit_price: String::new(),
        ..resting("m-1")
    };
    orders.submit_order(market).await.unwrap();
    let get = |request_id: &str| v1::GetClosingRequest {
        account_id: "paper".into(),
        request_id: request_id.into(),
    };
    let unknown = orders.get_closing(get("r-1")).await.unwrap_err();
    assert_eq!(
        (unknown.code(), reason(&unknown)),
        (Code::NotFound, "CLOSING_NOT_FOUND".to_owned())
    );
    let flatten = v1::FlattenAccountRequest {
        account_id: "paper".into(),
        request_id: "r-1".into(),
    };
    orders.flatten_account(flatten).await.unwrap();
    let closing = orders.get_closing(get("r-1")).await.unwrap().into_inner();
    assert_eq!(closing.state(), v1::ClosingState::Flat);
    assert_eq!((closing.orders.len(), closing.positions.len()), (1, 0));
    assert!(closing.ended_sequence > closing.started_sequence);
    assert_eq!(closing.reason, "");
}
