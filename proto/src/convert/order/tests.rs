mod combinations;
mod lists;
mod round_trips;

use super::*;
use crate::v1;
use apex_domain::account::CancelFilter;
use apex_domain::instrument::{FeeSchedule, InstrumentKind, InstrumentRules};
use apex_domain::market::Side;
use apex_domain::order::{Misfit, Order, OrderStatus, SubmitOrder, TimeInForce};
use apex_domain::risk::ReasonCode;
use apex_domain::{
    AccountId, Currency, Instrument, InstrumentId, Money, OrderId, Price, Quantity, Rate,
    StrategyId, UnixNanos,
};

fn btc() -> Instrument {
    Instrument {
        instrument_id: InstrumentId::new("BTCUSDT.SIM").unwrap(),
        kind: InstrumentKind::Spot,
        base_currency: Currency::new("BTC").unwrap(),
        quote_currency: Currency::new("USDT").unwrap(),
        price_decimals: 2,
        quantity_decimals: 5,
        price_increment: Price(1),
        quantity_increment: Quantity(1),
        min_quantity: Quantity(1),
        max_quantity: Quantity(1_000_000_000),
        min_notional: Money::parse("5").unwrap(),
        multiplier: Rate::parse("1").unwrap(),
        initial_margin: Rate::parse("1").unwrap(),
        fees: FeeSchedule::default(),
        synthetic: true,
        rules: InstrumentRules::default(),
    }
}

fn limit_order() -> v1::SubmitOrderRequest {
    v1::SubmitOrderRequest {
        account_id: "paper".into(),
        client_order_id: "c-1".into(),
        instrument_id: "BTCUSDT".into(),
        side: v1::Side::Buy.into(),
        order_type: v1::OrderType::Limit.into(),
        quantity: "0.01".into(),
        limit_price: "60000.5".into(),
        ..Default::default()
    }
}

fn read(request: &v1::SubmitOrderRequest) -> Result<SubmitOrder, Vec<(String, String)>> {
    let find = |id: &InstrumentId| (id.as_str() == "BTCUSDT.SIM").then(btc);
    read_submit(request, find)
        .map(|(_, order)| order)
        .map_err(|errors| {
            let pair = |e: &crate::FieldError| (e.field.clone(), e.description.clone());
            errors.errors().iter().map(pair).collect()
        })
}

/// Changes one field of a good order and returns the fields that are then refused.
fn refused(change: impl FnOnce(&mut v1::SubmitOrderRequest)) -> Vec<String> {
    let mut request = limit_order();
    change(&mut request);
    match read(&request) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.into_iter().map(|(field, _)| field).collect(),
    }
}

#[test]
fn a_good_limit_order_is_read() {
    let order = read(&limit_order()).unwrap();
    assert_eq!(order.instrument_id.as_str(), "BTCUSDT.SIM");
    assert_eq!(
        (order.quantity, order.limit_price),
        (Quantity(1_000), Some(Price(6_000_050)))
    );
    assert_eq!(order.strategy_id, StrategyId::manual());
    assert_eq!(order.time_in_force, TimeInForce::Gtc);
    assert_eq!(order.misfit, None);
}

#[test]
fn numbers_that_cannot_be_read_are_refused_by_name() {
    let long_decimals = format!("1.{}", "1".repeat(29));
    let ten_to_38 = format!("1{}", "0".repeat(38));
    let bad = [
        "",
        "NaN",
        "nan",
        "inf",
        "Infinity",
        "-inf",
        "1e5",
        "+1",
        " 1",
        "1_0",
        "0",
        "-1",
        "0.0",
        "99999999999999999999",
        &long_decimals,
        &ten_to_38,
        "1\u{0}",
        "\u{661}",
    ];
    for text in bad {
        assert_eq!(
            refused(|r| r.quantity = text.into()),
            ["quantity"],
            "{text:?}"
        );
        assert_eq!(
            refused(|r| r.limit_price = text.into()),
            ["limit_price"],
            "{text:?}"
        );
    }
}

#[test]
fn a_price_off_the_decimals_is_cut_and_marked_with_what_was_asked() {
    let mut request = limit_order();
    request.limit_price = "60000.1230".into();
    let order = read(&request).unwrap();
    assert_eq!(order.limit_price, Some(Price(6_000_012)));
    assert_eq!(order.misfit, Some(Misfit::Price("60000.123".into())));

    request.limit_price = "60000.10".into();
    request.quantity = "0.000001".into();
    let order = read(&request).unwrap();
    assert_eq!(order.quantity, Quantity::ZERO);
    assert_eq!(order.misfit, Some(Misfit::Quantity("0.000001".into())));
}

#[test]
fn names_that_are_no_names_are_refused() {
    let long = "a".repeat(10_000);
    for text in ["", "a b", "a\n", "\u{0}", "ä", &long] {
        assert_eq!(
            refused(|r| r.account_id = text.into()),
            ["account_id"],
            "{text:?}"
        );
        assert_eq!(
            refused(|r| r.client_order_id = text.into()),
            ["client_order_id"]
        );
        assert_eq!(
            refused(|r| r.instrument_id = text.into()),
            ["instrument_id"],
            "{text:?}"
        );
        if !text.is_empty() {
            assert_eq!(
                refused(|r| r.strategy_id = text.into()),
                ["strategy_id"],
                "{text:?}"
            );
        }
    }
    assert_eq!(refused(|r| r.tags = long.clone()), ["tags"]);
    assert_eq!(refused(|r| r.tags = "a\tb".into()), ["tags"]);
    assert_eq!(
        refused(|r| r.strategy_id = "EXTERNAL".into()),
        ["strategy_id"]
    );
}

#[test]
fn an_unknown_instrument_is_named() {
    let mut request = limit_order();
    request.instrument_id = "DOGE.SIM".into();
    let expected = (
        "instrument_id".to_owned(),
        "unknown instrument \"DOGE.SIM\"".to_owned(),
    );
    assert_eq!(read(&request), Err(vec![expected]));
}

#[test]
fn a_limit_price_is_for_limit_orders_and_only_for_them() {
    assert_eq!(refused(|r| r.limit_price.clear()), ["limit_price"]);
    assert_eq!(
        refused(|r| r.order_type = v1::OrderType::Market.into()),
        ["limit_price"]
    );
    let mut market = limit_order();
    market.order_type = v1::OrderType::Market.into();
    market.limit_price.clear();
    assert_eq!(read(&market).unwrap().time_in_force, TimeInForce::Ioc);
}

#[test]
fn all_violations_of_one_request_are_told() {
    let errors = read(&v1::SubmitOrderRequest::default()).unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "account_id",
            "client_order_id",
            "instrument_id",
            "side",
            "order_type",
            "quantity"
        ]
    );
}

#[test]
fn an_order_is_named_by_one_of_its_ids() {
    assert!(read_order_ref("", "paper:7", "").is_ok());
    assert!(read_order_ref("paper", "", "c-1").is_ok());
    let field = |a, o, c| {
        read_order_ref(a, o, c).unwrap_err().errors()[0]
            .field
            .clone()
    };
    assert_eq!(field("", "", "c-1"), "account_id");
    assert_eq!(field("paper", "", ""), "order_id");
    assert_eq!(field("paper", "paper:7", "c-1"), "client_order_id");
    assert_eq!(field("", "a b", ""), "order_id");
}

#[test]
fn an_amend_off_the_decimals_is_a_refusal_by_rule() {
    let mut request = v1::AmendOrderRequest {
        order_id: "paper:7".into(),
        request_id: "r-1".into(),
        limit_price: "1.234".into(),
        ..Default::default()
    };
    let misfit = read_amend(&request).unwrap().at(&btc());
    assert_eq!(
        misfit,
        Err(AmendError::Misfit(Misfit::Price("1.234".into())))
    );
    request.limit_price = "99999999999999999999".into();
    assert!(matches!(
        read_amend(&request).unwrap().at(&btc()),
        Err(AmendError::Fields(_))
    ));
    request.limit_price = "1.23".into();
    let amend = read_amend(&request).unwrap().at(&btc()).unwrap();
    assert_eq!(
        (amend.limit_price, amend.quantity),
        (Some(Price(123)), None)
    );
    assert_eq!(amend.expected_sequence, None);
    request.limit_price.clear();
    assert_eq!(
        read_amend(&request).unwrap_err().errors()[0].field,
        "quantity"
    );
}

fn kept(request: SubmitOrder) -> Order {
    Order {
        order_id: OrderId::new("paper:7").unwrap(),
        account_id: AccountId::new("paper").unwrap(),
        venue_order_id: None,
        status: OrderStatus::PartiallyFilled,
        quantity: request.quantity,
        limit_price: request.limit_price,
        filled_quantity: Quantity(300),
        leaves_quantity: Quantity(700),
        canceled_quantity: Quantity::ZERO,
        filled_notional: Money::parse("100").unwrap(),
        reason_code: None,
        reason: String::new(),
        ts_created: UnixNanos(1),
        ts_updated: UnixNanos(2),
        sequence: 9,
        request,
        expires_at: None,
        list_id: None,
        held_for: None,
        stop_price: None,
    }
}

#[test]
fn an_order_is_written_at_the_decimals_of_its_instrument() {
    let wire = order(&kept(read(&limit_order()).unwrap()), &btc());
    assert_eq!(wire.quantity, "0.01000");
    assert_eq!(
        (wire.filled_quantity.as_str(), wire.leaves_quantity.as_str()),
        ("0.00300", "0.00700")
    );
    // 100 / 0.003, to 16 decimals.
    assert_eq!(wire.average_price, "33333.3333333333333333");
    assert_eq!(
        (wire.side(), wire.status()),
        (v1::Side::Buy, v1::OrderStatus::PartiallyFilled)
    );
    assert_eq!(wire.reason_code, "");
}

#[test]
fn a_denied_order_shows_the_number_that_was_asked_for() {
    let mut request = limit_order();
    request.limit_price = "60000.123".into();
    let mut denied = kept(read(&request).unwrap());
    denied.status = OrderStatus::Denied;
    denied.filled_quantity = Quantity::ZERO;
    denied.reason_code = Some(ReasonCode::PriceIncrement);
    let wire = order(&denied, &btc());
    assert_eq!(wire.limit_price, "60000.123");
    assert_eq!(wire.average_price, "");
    assert_eq!(wire.reason_code, "PRICE_INCREMENT");
}

#[test]
fn a_cancel_all_reads_its_filter() {
    let (_, filter, request_id) = read_cancel_all(&v1::CancelAllOrdersRequest {
        account_id: "paper".into(),
        side: v1::Side::Sell.into(),
        request_id: "r-1".into(),
        ..Default::default()
    })
    .unwrap();
    assert_eq!(request_id.unwrap().as_str(), "r-1");
    assert_eq!(
        filter,
        CancelFilter {
            side: Some(Side::Sell),
            ..CancelFilter::default()
        }
    );
}
