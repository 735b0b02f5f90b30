//! Lists, batches and closing.

use super::*;
use apex_domain::order::{Contingency, OrderKey, ReleaseRule, SubmitList};

fn list(contingency: v1::Contingency) -> v1::SubmitOrderListRequest {
    let order = |client_order_id: &str| v1::SubmitOrderRequest {
        account_id: String::new(),
        client_order_id: client_order_id.into(),
        ..limit_order()
    };
    v1::SubmitOrderListRequest {
        order_list_id: "list-1".into(),
        account_id: "paper".into(),
        contingency: contingency.into(),
        orders: vec![order("c-1"), order("c-2")],
        ..Default::default()
    }
}

fn batch() -> v1::SubmitOrderListRequest {
    v1::SubmitOrderListRequest {
        order_list_id: String::new(),
        ..list(v1::Contingency::None)
    }
}

fn read_list(request: &v1::SubmitOrderListRequest) -> Result<SubmitList, Vec<String>> {
    let find = |id: &InstrumentId| (id.as_str() == "BTCUSDT.SIM").then(btc);
    read_submit_list(request, find)
        .map(|(_, list)| list)
        .map_err(|errors| errors.errors().iter().map(|e| e.field.clone()).collect())
}

#[test]
fn every_kind_of_list_is_read() {
    for (wire, contingency) in [
        (v1::Contingency::Oco, Contingency::Oco),
        (v1::Contingency::Oto, Contingency::Oto),
        (v1::Contingency::Ouo, Contingency::Ouo),
        (v1::Contingency::Bracket, Contingency::Bracket),
    ] {
        let read = read_list(&list(wire)).unwrap();
        assert_eq!(read.contingency, contingency);
        assert_eq!(read.list_id.as_str(), "list-1");
        assert_eq!((read.release, read.cascade), (ReleaseRule::Full, true));
        assert_eq!(read.orders.len(), 2);
        assert_eq!(read.orders[1].client_order_id.as_str(), "c-2");
    }
    let batch = read_list(&batch()).unwrap();
    assert_eq!(batch.contingency, Contingency::None);
    let mut bracket = list(v1::Contingency::Bracket);
    bracket.release = v1::ReleaseRule::Partial.into();
    bracket.cascade = Some(false);
    let bracket = read_list(&bracket).unwrap();
    assert_eq!(
        (bracket.release, bracket.cascade),
        (ReleaseRule::Partial, false)
    );
}

#[test]
fn what_a_list_may_not_say_is_named() {
    let oco = |change: fn(&mut v1::SubmitOrderListRequest)| {
        let mut request = list(v1::Contingency::Oco);
        change(&mut request);
        read_list(&request).unwrap_err()
    };
    assert_eq!(oco(|r| r.order_list_id.clear()), ["order_list_id"]);
    assert_eq!(oco(|r| r.order_list_id = "a b".into()), ["order_list_id"]);
    assert_eq!(oco(|r| r.account_id.clear()), ["account_id"]);
    assert_eq!(oco(|r| r.contingency = 9), ["contingency"]);
    assert_eq!(oco(|r| r.release = 1), ["release"]);
    assert_eq!(oco(|r| r.orders.truncate(1)), ["orders"]);
    let many = |r: &mut v1::SubmitOrderListRequest| {
        r.orders = vec![r.orders[0].clone(); 17];
    };
    assert_eq!(oco(many), ["orders"]);
    assert_eq!(
        oco(|r| r.orders[1].limit_price = "NaN".into()),
        ["orders[1].limit_price"]
    );
    assert_eq!(
        oco(|r| {
            r.orders[0].account_id = "other".into();
            r.orders[1].side = 0;
        }),
        ["orders[0].account_id", "orders[1].side"]
    );
    let mut oto = list(v1::Contingency::Oto);
    oto.release = 9;
    assert_eq!(read_list(&oto).unwrap_err(), ["release"]);
}

#[test]
fn a_batch_has_no_id_and_no_rules() {
    let wrong = |change: fn(&mut v1::SubmitOrderListRequest)| {
        let mut request = batch();
        change(&mut request);
        read_list(&request).unwrap_err()
    };
    assert_eq!(wrong(|r| r.order_list_id = "l".into()), ["order_list_id"]);
    assert_eq!(wrong(|r| r.cascade = Some(false)), ["cascade"]);
    assert_eq!(wrong(|r| r.release = 2), ["release"]);
    assert_eq!(wrong(|r| r.orders.clear()), ["orders"]);
    let many = |r: &mut v1::SubmitOrderListRequest| {
        r.orders = vec![r.orders[0].clone(); 101];
    };
    assert_eq!(wrong(many), ["orders"]);
    let mut hundred = batch();
    hundred.orders = vec![hundred.orders[0].clone(); 100];
    assert_eq!(read_list(&hundred).unwrap().orders.len(), 100);
}

#[test]
fn several_cancels_are_read_by_either_id() {
    let key = |order: &str, client: &str| v1::OrderKey {
        order_id: order.into(),
        client_order_id: client.into(),
    };
    let mut request = v1::CancelOrdersRequest {
        account_id: "paper".into(),
        orders: vec![key("paper-7", ""), key("", "c-1")],
        request_id: String::new(),
    };
    let read = read_cancel_orders(&request).unwrap();
    assert!(matches!(
        read.keys[..],
        [OrderKey::OrderId(_), OrderKey::ClientOrderId(_)]
    ));
    assert_eq!(read.request_id, None);
    request
        .orders
        .extend([key("", ""), key("a", "b"), key("a b", "")]);
    let errors = read_cancel_orders(&request).unwrap_err();
    let named: Vec<&str> = errors.errors().iter().map(|e| e.field.as_str()).collect();
    assert_eq!(
        named,
        [
            "orders[2].order_id",
            "orders[3].client_order_id",
            "orders[4].order_id"
        ]
    );
    request.orders = vec![key("", "c-1"); 101];
    let errors = read_cancel_orders(&request).unwrap_err();
    assert_eq!(errors.errors()[0].field, "orders");
}

#[test]
fn a_close_names_its_position_and_a_flatten_means_all() {
    let close = v1::ClosePositionRequest {
        account_id: "paper".into(),
        instrument_id: "BTCUSDT".into(),
        strategy_id: "EXTERNAL".into(),
        request_id: "r-1".into(),
        client_order_id: "x-1".into(),
    };
    let read = read_close(&close).unwrap();
    assert_eq!(read.scope.instrument_id.unwrap().as_str(), "BTCUSDT.SIM");
    assert_eq!(read.scope.strategy_id, Some(StrategyId::external()));
    assert_eq!(read.scope.client_order_id.unwrap().as_str(), "x-1");
    let errors = read_close(&v1::ClosePositionRequest::default()).unwrap_err();
    let named: Vec<&str> = errors.errors().iter().map(|e| e.field.as_str()).collect();
    assert_eq!(named, ["account_id", "instrument_id", "request_id"]);
    let flatten = v1::FlattenAccountRequest {
        account_id: "paper".into(),
        request_id: "r-1".into(),
    };
    assert_eq!(read_flatten(&flatten).unwrap().scope.instrument_id, None);
    let errors = read_flatten(&v1::FlattenAccountRequest::default()).unwrap_err();
    assert_eq!(errors.errors().len(), 2);
}

#[test]
fn a_list_of_a_remote_strategy_is_written_as_it_is_read() {
    use v1::Contingency as Wire;
    let bitcoin = btc();
    for kind in [Wire::None, Wire::Oco, Wire::Oto, Wire::Ouo, Wire::Bracket] {
        let mut request = if kind == Wire::None {
            batch()
        } else {
            list(kind)
        };
        if matches!(kind, Wire::Oto | Wire::Bracket) {
            request.release = v1::ReleaseRule::Partial.into();
            request.cascade = Some(false);
        }
        let read = read_list(&request).unwrap();
        let find = |id: &InstrumentId| (id.as_str() == "BTCUSDT.SIM").then_some(&bitcoin);
        let wire = strategy_submit_list(&read, find).unwrap();
        assert_eq!(wire.orders.len(), read.orders.len());
        // Its orders are read as single ones are, which has its own test.
        let again = v1::SubmitOrderListRequest {
            order_list_id: wire.order_list_id,
            account_id: "paper".into(),
            contingency: wire.contingency,
            release: wire.release,
            cascade: wire.cascade,
            orders: request.orders,
        };
        assert_eq!(read_list(&again), Ok(read.clone()), "{kind:?}");
        assert_eq!(strategy_submit_list(&read, |_| None), None, "not defined");
    }
}
