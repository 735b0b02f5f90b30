//! Reads of the past: `as_of_ns`.

use crate::harness::{Authorized, BTC, Harness, resting, soon};
use crate::orders::{fields, reason};
use apex_bus::clock::Clock;
use apex_gateway::auth::Role;
use apex_proto::v1;
use apex_proto::v1::account_service_client::AccountServiceClient;
use apex_proto::v1::order_service_client::OrderServiceClient;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tonic::{Code, Status};

struct Client {
    accounts: AccountServiceClient<Authorized>,
    orders: OrderServiceClient<Authorized>,
}

/// Everything that can be read of an account.
#[derive(Clone, Debug, PartialEq)]
struct State {
    account: v1::Account,
    positions: Vec<v1::Position>,
    orders: Vec<v1::Order>,
    executions: Vec<v1::Execution>,
}

impl Client {
    async fn new(harness: &Harness) -> Client {
        Client {
            accounts: AccountServiceClient::new(harness.admin().await),
            orders: harness.orders().await,
        }
    }

    async fn account(&mut self, as_of_ns: i64) -> Result<v1::Account, Status> {
        let request = v1::GetAccountRequest {
            account_id: "paper".into(),
            as_of_ns,
        };
        self.accounts
            .get_account(request)
            .await
            .map(|answer| answer.into_inner())
    }

    async fn order(&mut self, id: &str, as_of_ns: i64) -> Result<v1::Order, Status> {
        let request = v1::GetOrderRequest {
            account_id: "paper".into(),
            client_order_id: id.into(),
            as_of_ns,
            ..Default::default()
        };
        self.orders
            .get_order(request)
            .await
            .map(|answer| answer.into_inner())
    }

    async fn orders(
        &mut self,
        account_id: &str,
        as_of_ns: i64,
        page_size: i32,
    ) -> Result<Vec<v1::Order>, Status> {
        let mut request = v1::ListOrdersRequest {
            account_id: account_id.into(),
            as_of_ns,
            page_size,
            ..Default::default()
        };
        let mut found = Vec::new();
        loop {
            let page = self.orders.list_orders(request.clone()).await?.into_inner();
            found.extend(page.orders);
            if page.next_page_token.is_empty() {
                return Ok(found);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// One a page.
    async fn executions(
        &mut self,
        account_id: &str,
        as_of_ns: i64,
    ) -> Result<Vec<v1::Execution>, Status> {
        let mut request = v1::ListExecutionsRequest {
            account_id: account_id.into(),
            as_of_ns,
            page_size: 1,
            ..Default::default()
        };
        let mut found = Vec::new();
        loop {
            let page = self.orders.list_executions(request.clone()).await?;
            let page = page.into_inner();
            found.extend(page.executions);
            if page.next_page_token.is_empty() {
                return Ok(found);
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn positions(
        &mut self,
        account_id: &str,
        as_of_ns: i64,
    ) -> Result<Vec<v1::Position>, Status> {
        let request = v1::ListPositionsRequest {
            account_id: account_id.into(),
            include_flat: true,
            as_of_ns,
            ..Default::default()
        };
        let answer = self.accounts.list_positions(request).await?;
        Ok(answer.into_inner().positions)
    }

    async fn accounts(&mut self, as_of_ns: i64) -> Result<Vec<v1::Account>, Status> {
        let request = v1::ListAccountsRequest {
            as_of_ns,
            ..Default::default()
        };
        let answer = self.accounts.list_accounts(request).await?;
        Ok(answer.into_inner().accounts)
    }

    async fn state(&mut self, as_of_ns: i64) -> State {
        State {
            account: self.account(as_of_ns).await.unwrap(),
            positions: self.positions("paper", as_of_ns).await.unwrap(),
            orders: self.orders("paper", as_of_ns, 2).await.unwrap(),
            executions: self.executions("paper", as_of_ns).await.unwrap(),
        }
    }

    async fn buy(&mut self, client_order_id: &str) {
        let request = v1::SubmitOrderRequest {
            order_type: v1::OrderType::Market.into(),
            limit_price: String::new(),
            ..resting(client_order_id)
        };
        self.orders.submit_order(request).await.unwrap();
    }

    async fn rest(&mut self, client_order_id: &str) {
        let request = resting(client_order_id);
        self.orders.submit_order(request).await.unwrap();
    }
}

fn now() -> i64 {
    Clock::Wall.now().0
}

/// What the venue and the market add to a state, which no journal holds.
fn without_the_present(mut state: State) -> State {
    let account = &mut state.account;
    account.equity.clear();
    account.unrealized_pnl.clear();
    account.journal = 0;
    account.venue_connected = false;
    account.as_of_ns = 0;
    account.valuation = 0;
    for position in &mut state.positions {
        position.unrealized_pnl.clear();
    }
    state
}

#[tokio::test]
async fn the_past_is_what_was_read_then() {
    let harness = Harness::start().await;
    let mut client = Client::new(&harness).await;
    client.buy("b-0").await;
    client.buy("b-1").await;
    client.rest("r-1").await;
    client.rest("r-2").await;
    let live = client.state(0).await;
    let then = now();

    client.buy("b-2").await;
    let cancel = v1::CancelOrderRequest {
        account_id: "paper".into(),
        client_order_id: "r-1".into(),
        ..Default::default()
    };
    client.orders.cancel_order(cancel).await.unwrap();
    assert_ne!(client.state(0).await.positions, live.positions);

    let past = client.state(then).await;
    assert_eq!(past.executions.len(), 2);
    assert_eq!(client.state(0).await.executions.len(), 3);
    assert_eq!(past.account.as_of_ns, then);
    assert_eq!(past.account.valuation(), v1::Valuation::Journal);
    assert_eq!(past.account.journal(), v1::JournalHealth::Unspecified);
    assert_eq!(live.account.valuation(), v1::Valuation::Market);
    assert_eq!(
        without_the_present(past.clone()),
        without_the_present(live.clone())
    );
    let listed = client.accounts(then).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1], past.account);
    for order in &live.orders {
        let then = client.order(&order.client_order_id, then).await.unwrap();
        assert_eq!(then, *order);
    }
    let r_1 = client.order("r-1", then).await.unwrap();
    assert_eq!(r_1.status(), v1::OrderStatus::Accepted);
    let by_id = v1::GetOrderRequest {
        order_id: r_1.order_id.clone(),
        as_of_ns: then,
        ..Default::default()
    };
    let by_id = client.orders.get_order(by_id).await.unwrap().into_inner();
    assert_eq!(by_id, r_1);
    let later = client.order("b-2", then).await.unwrap_err();
    assert_eq!(
        (later.code(), reason(&later).as_str()),
        (Code::NotFound, "ORDER_NOT_FOUND")
    );
}

/// The venue fills at the ask of 60,001; the mark of the market is the middle, 60,000.50.
#[tokio::test]
async fn the_past_is_valued_by_what_the_journal_saw() {
    let harness = Harness::start().await;
    let mut client = Client::new(&harness).await;
    client.buy("b-1").await;
    let then = now();
    let (past, live) = (client.state(then).await, client.state(0).await);
    // 0.01 BTC, and a fee of 0.5.
    assert_eq!(live.account.equity, "999999.495");
    assert_eq!(past.account.equity, "999999.5");
    assert_eq!(past.account.unrealized_pnl, "0");
    assert_eq!(past.positions[0].unrealized_pnl, "0");
    assert!(!past.account.partial);
    assert_eq!(past.positions[0].instrument_id, BTC);
}

#[tokio::test]
async fn a_time_that_is_none_is_refused_by_name() {
    let harness = Harness::start().await;
    let mut client = Client::new(&harness).await;
    client.rest("r-1").await;
    let future = now() + 60_000_000_000;
    for as_of_ns in [-1, i64::MIN, future, i64::MAX] {
        for refused in [
            client.account(as_of_ns).await.err(),
            client.accounts(as_of_ns).await.err(),
            client.positions("paper", as_of_ns).await.err(),
            client.orders("paper", as_of_ns, 0).await.err(),
            client.order("r-1", as_of_ns).await.err(),
        ] {
            let status = refused.expect("it is refused");
            assert_eq!(status.code(), Code::InvalidArgument);
            assert_eq!(fields(&status), ["as_of_ns"], "{as_of_ns}");
        }
    }
}

#[tokio::test]
async fn before_an_account_was_opened_there_is_none_and_the_answer_says_since_when() {
    let harness = Harness::start().await;
    let mut client = Client::new(&harness).await;
    client.rest("r-1").await;
    for refused in [
        client.account(1).await.err(),
        client.positions("paper", 1).await.err(),
        client.orders("paper", 1, 0).await.err(),
        client.order("r-1", 1).await.err(),
    ] {
        let status = refused.expect("it is refused");
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(reason(&status), "BEFORE_ACCOUNT_OPENED");
        assert!(status.message().contains("paper"), "{status}");
    }
    // Where no account is named, there were none.
    assert_eq!(client.accounts(1).await.unwrap(), []);
    assert_eq!(client.positions("", 1).await.unwrap(), []);
    assert_eq!(client.orders("", 1, 0).await.unwrap(), []);
}

#[tokio::test]
async fn a_past_that_takes_too_long_can_be_asked_for_again() {
    let harness = Harness::start().await;
    let mut client = Client::new(&harness).await;
    let then = now();
    harness.records.takes_too_long.store(true, Ordering::SeqCst);
    let status = client.account(then).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "AS_OF_TOO_LONG")
    );
    // Now is not read from the journal.
    client.account(0).await.unwrap();
    harness
        .records
        .takes_too_long
        .store(false, Ordering::SeqCst);
    client.account(then).await.unwrap();
}

#[tokio::test]
async fn who_finds_the_past_being_read_is_told_to_come_again() {
    let harness = Harness::with(|options| options.limits.past = Duration::ZERO).await;
    let mut client = Client::new(&harness).await;
    let then = now();
    let (begun, go_on) = harness.records.hold_next_fold();
    let mut first = Client::new(&harness).await;
    let first = tokio::spawn(async move { first.account(then).await });
    soon(begun).await.unwrap();
    let status = client.account(then).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::ResourceExhausted, "AS_OF_BUSY")
    );
    client.account(0).await.unwrap();
    drop(go_on);
    assert_eq!(soon(first).await.unwrap().unwrap().as_of_ns, then);
    client.account(then).await.unwrap();
}

#[tokio::test]
async fn the_past_of_an_account_that_is_not_granted_stays_hidden() {
    let harness = Harness::start().await;
    let then = now();
    let (token, _) = harness.user(9, Role::Viewer, &["other"]);
    let mut client = Client {
        accounts: AccountServiceClient::new(harness.as_token(&token).await),
        orders: OrderServiceClient::new(harness.as_token(&token).await),
    };
    for refused in [
        client.account(then).await.err(),
        client.positions("paper", then).await.err(),
        client.orders("paper", then, 0).await.err(),
        client.order("r-1", then).await.err(),
    ] {
        assert_eq!(refused.unwrap().code(), Code::PermissionDenied);
    }
    let seen = client.accounts(then).await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].account_id, "other");
}
