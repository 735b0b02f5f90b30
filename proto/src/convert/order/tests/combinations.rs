//! Which fields go together: for each rule an order that keeps it and one that breaks it.

use super::*;
use apex_domain::order::{
    OrderType, PositionSide, SelfTradePrevention, TrailingOffset, TriggerType,
};

/// An order of a kind with exactly the prices that it needs.
fn of_kind(kind: v1::OrderType) -> v1::SubmitOrderRequest {
    let mut request = limit_order();
    request.order_type = kind.into();
    request.limit_price.clear();
    use v1::OrderType as K;
    if matches!(kind, K::Limit | K::StopLimit | K::LimitIfTouched) {
        request.limit_price = "100".into();
    }
    if matches!(
        kind,
        K::Stop | K::StopLimit | K::MarketIfTouched | K::LimitIfTouched
    ) {
        request.stop_price = "101".into();
    }
    if kind == K::TrailingStop {
        request.trailing_offset = "5".into();
        request.trailing_offset_type = v1::TrailingOffsetType::Price.into();
    }
    request
}

const KINDS: [v1::OrderType; 8] = [
    v1::OrderType::Market,
    v1::OrderType::Limit,
    v1::OrderType::Stop,
    v1::OrderType::StopLimit,
    v1::OrderType::MarketIfTouched,
    v1::OrderType::LimitIfTouched,
    v1::OrderType::MarketToLimit,
    v1::OrderType::TrailingStop,
];

/// Changes one thing of a good order of each kind and returns the kinds for which exactly `field`
/// is refused; no other field may be.
fn refused_kinds(field: &str, change: impl Fn(&mut v1::SubmitOrderRequest)) -> Vec<v1::OrderType> {
    let mut kinds = Vec::new();
    for kind in KINDS {
        let mut request = of_kind(kind);
        change(&mut request);
        match read(&request) {
            Ok(_) => {}
            Err(errors) => {
                let named: Vec<&str> = errors.iter().map(|(field, _)| field.as_str()).collect();
                assert_eq!(named, [field], "{kind:?}");
                kinds.push(kind);
            }
        }
    }
    kinds
}

#[test]
fn each_kind_is_taken_with_the_prices_that_it_needs() {
    for kind in KINDS {
        let order = read(&of_kind(kind)).unwrap_or_else(|errors| panic!("{kind:?}: {errors:?}"));
        assert_eq!(
            crate::convert::enums::order_type(order.order_type),
            kind,
            "{kind:?}"
        );
    }
    assert_eq!(OrderType::ALL.len(), KINDS.len());
}

#[test]
fn a_limit_price_is_for_three_kinds_and_required_there() {
    use v1::OrderType as K;
    let with = refused_kinds("limit_price", |r| r.limit_price = "100".into());
    assert_eq!(
        with,
        [
            K::Market,
            K::Stop,
            K::MarketIfTouched,
            K::MarketToLimit,
            K::TrailingStop
        ]
    );
    let without = refused_kinds("limit_price", |r| r.limit_price.clear());
    assert_eq!(without, [K::Limit, K::StopLimit, K::LimitIfTouched]);
}

#[test]
fn a_stop_price_is_for_four_kinds_and_required_there() {
    use v1::OrderType as K;
    let with = refused_kinds("stop_price", |r| r.stop_price = "100".into());
    assert_eq!(
        with,
        [K::Market, K::Limit, K::MarketToLimit, K::TrailingStop]
    );
    let without = refused_kinds("stop_price", |r| r.stop_price.clear());
    assert_eq!(
        without,
        [K::Stop, K::StopLimit, K::MarketIfTouched, K::LimitIfTouched]
    );
}

#[test]
fn an_offset_its_type_and_an_activation_price_are_for_a_trailing_stop_only() {
    let others: Vec<v1::OrderType> = KINDS[..7].to_vec();
    for (field, change) in [
        (
            "trailing_offset",
            (|r| r.trailing_offset = "1".into()) as fn(&mut v1::SubmitOrderRequest),
        ),
        ("trailing_offset_type", |r| {
            r.trailing_offset_type = v1::TrailingOffsetType::Price.into();
        }),
        ("activation_price", |r| r.activation_price = "1".into()),
    ] {
        assert_eq!(refused_kinds(field, change), others, "{field}");
    }
    let trailing = |change: fn(&mut v1::SubmitOrderRequest)| {
        let mut request = of_kind(v1::OrderType::TrailingStop);
        change(&mut request);
        read(&request).map_err(|errors| errors[0].0.clone())
    };
    let field = |change| trailing(change).unwrap_err();
    assert_eq!(field(|r| r.trailing_offset.clear()), "trailing_offset");
    assert_eq!(field(|r| r.trailing_offset = "0".into()), "trailing_offset");
    assert_eq!(
        field(|r| r.trailing_offset_type = 0),
        "trailing_offset_type"
    );
    assert_eq!(
        field(|r| r.activation_price = "-1".into()),
        "activation_price"
    );
    let order = trailing(|r| r.activation_price = "99.5".into()).unwrap();
    assert_eq!(
        order.terms.trailing,
        Some(TrailingOffset::Price(Price(500)))
    );
    assert_eq!(order.terms.activation_price, Some(Price(9_950)));
}

#[test]
fn basis_points_are_whole_and_below_ten_thousand() {
    let bps = |text: &str| {
        let mut request = of_kind(v1::OrderType::TrailingStop);
        request.trailing_offset = text.into();
        request.trailing_offset_type = v1::TrailingOffsetType::Bps.into();
        read(&request)
            .map(|order| order.terms.trailing)
            .map_err(|errors| errors[0].0.clone())
    };
    assert_eq!(bps("1"), Ok(Some(TrailingOffset::Bps(1))));
    assert_eq!(bps("9999.0"), Ok(Some(TrailingOffset::Bps(9_999))));
    for text in ["0", "0.5", "10000", "-1", "99999999999999999999"] {
        assert_eq!(bps(text), Err("trailing_offset".to_owned()), "{text}");
    }
}

#[test]
fn a_trigger_is_for_conditional_orders_only() {
    use v1::OrderType as K;
    let refused = refused_kinds("trigger_type", |r| {
        r.trigger_type = v1::TriggerType::Mark.into();
    });
    assert_eq!(refused, [K::Market, K::Limit, K::MarketToLimit]);
    let mut stop = of_kind(K::Stop);
    assert_eq!(read(&stop).unwrap().terms.trigger, TriggerType::Last);
    stop.trigger_type = v1::TriggerType::BidAsk.into();
    assert_eq!(read(&stop).unwrap().terms.trigger, TriggerType::BidAsk);
    stop.trigger_type = 9;
    assert_eq!(read(&stop).unwrap_err()[0].0, "trigger_type");
}

#[test]
fn an_order_has_a_quantity_or_a_notional_and_not_both() {
    let mut request = limit_order();
    request.notional = "100".into();
    assert_eq!(read(&request).unwrap_err()[0].0, "notional");
    request.quantity.clear();
    let order = read(&request).unwrap();
    assert_eq!(order.quantity, Quantity::ZERO);
    assert_eq!(order.terms.notional, Some(Money::parse("100").unwrap()));
    for text in ["0", "-1", "1e5", "NaN"] {
        request.notional = text.into();
        assert_eq!(read(&request).unwrap_err()[0].0, "notional", "{text}");
    }
    request.notional.clear();
    assert_eq!(read(&request).unwrap_err()[0].0, "quantity");
}

#[test]
fn the_same_notional_in_other_digits_is_the_same_order() {
    let mut request = limit_order();
    request.quantity.clear();
    request.notional = "100".into();
    let one = read(&request).unwrap();
    request.notional = "100.00".into();
    let serial = |order: &SubmitOrder| format!("{order:?}");
    assert_eq!(serial(&read(&request).unwrap()), serial(&one));
}

#[test]
fn an_end_is_for_gtd_and_required_there() {
    let gtd = |at: i64| {
        refused(|r| {
            r.time_in_force = v1::TimeInForce::Gtd.into();
            r.expire_at_ns = at;
        })
    };
    assert!(gtd(1).is_empty());
    assert_eq!(gtd(0), ["expire_at_ns"]);
    assert_eq!(gtd(-1), ["expire_at_ns"]);
    for time in [
        v1::TimeInForce::Unspecified,
        v1::TimeInForce::Gtc,
        v1::TimeInForce::Day,
        v1::TimeInForce::Ioc,
        v1::TimeInForce::Fok,
        v1::TimeInForce::AtOpen,
        v1::TimeInForce::AtClose,
    ] {
        let fields = refused(|r| {
            r.time_in_force = time.into();
            r.expire_at_ns = 1;
        });
        assert_eq!(fields, ["expire_at_ns"], "{time:?}");
    }
}

#[test]
fn an_auction_takes_market_and_limit_orders_only() {
    use v1::OrderType as K;
    for time in [v1::TimeInForce::AtOpen, v1::TimeInForce::AtClose] {
        let refused = refused_kinds("time_in_force", |r| r.time_in_force = time.into());
        assert_eq!(
            refused,
            [
                K::Stop,
                K::StopLimit,
                K::MarketIfTouched,
                K::LimitIfTouched,
                K::MarketToLimit,
                K::TrailingStop
            ]
        );
    }
}

#[test]
fn what_rests_at_a_price_may_be_post_only_or_show_a_part() {
    use v1::OrderType as K;
    let no_limit = [
        K::Market,
        K::Stop,
        K::MarketIfTouched,
        K::MarketToLimit,
        K::TrailingStop,
    ];
    assert_eq!(refused_kinds("post_only", |r| r.post_only = true), no_limit);
    assert_eq!(
        refused_kinds("display_quantity", |r| r.display_quantity = "0.001".into()),
        no_limit
    );
    for (time, rests) in [
        (v1::TimeInForce::Gtc, true),
        (v1::TimeInForce::Day, true),
        (v1::TimeInForce::Ioc, false),
        (v1::TimeInForce::Fok, false),
        (v1::TimeInForce::AtOpen, false),
        (v1::TimeInForce::AtClose, false),
    ] {
        let with = |change: fn(&mut v1::SubmitOrderRequest)| {
            refused(|r| {
                r.time_in_force = time.into();
                change(r);
            })
        };
        let expected = |field: &str| match rests {
            true => Vec::new(),
            false => vec![field.to_owned()],
        };
        assert_eq!(
            with(|r| r.post_only = true),
            expected("post_only"),
            "{time:?}"
        );
        assert_eq!(
            with(|r| r.display_quantity = "0.001".into()),
            expected("display_quantity"),
            "{time:?}"
        );
    }
}

#[test]
fn a_shown_part_is_a_part() {
    // The quantity is 0.01.
    let show = |text: &str| refused(|r| r.display_quantity = text.into());
    assert!(show("0.01").is_empty());
    assert_eq!(show("0.01001"), ["display_quantity"]);
    assert_eq!(show("0"), ["display_quantity"]);
    let notional = refused(|r| {
        r.quantity.clear();
        r.notional = "100".into();
        r.display_quantity = "0.001".into();
    });
    assert_eq!(notional, ["display_quantity"]);
}

#[test]
fn the_other_terms_are_read() {
    let mut request = limit_order();
    request.position_side = v1::PositionSide::Short.into();
    request.extended_hours = true;
    for (wire, rule) in [
        (
            v1::SelfTradePrevention::CancelNewest,
            SelfTradePrevention::ExpireTaker,
        ),
        (
            v1::SelfTradePrevention::CancelOldest,
            SelfTradePrevention::ExpireMaker,
        ),
        (
            v1::SelfTradePrevention::CancelBoth,
            SelfTradePrevention::ExpireBoth,
        ),
        (
            v1::SelfTradePrevention::Decrement,
            SelfTradePrevention::Decrement,
        ),
    ] {
        request.self_trade_prevention = wire.into();
        let terms = read(&request).unwrap().terms;
        assert_eq!(terms.self_trade_prevention, Some(rule));
        assert_eq!(terms.position_side, PositionSide::Short);
        assert!(terms.extended_hours);
    }
    assert_eq!(refused(|r| r.position_side = 9), ["position_side"]);
    assert_eq!(
        refused(|r| r.self_trade_prevention = 9),
        ["self_trade_prevention"]
    );
    assert!(read(&limit_order()).unwrap().terms.is_plain());
}

#[test]
fn each_number_off_the_decimals_is_marked_with_what_was_asked() {
    let misfit = |kind, change: fn(&mut v1::SubmitOrderRequest)| {
        let mut request = of_kind(kind);
        change(&mut request);
        read(&request).unwrap().misfit.unwrap()
    };
    let (price, quantity) = (ReasonCode::PriceIncrement, ReasonCode::QuantityIncrement);
    let stop = misfit(v1::OrderType::Stop, |r| r.stop_price = "1.0010".into());
    assert_eq!(stop, Misfit::StopPrice("1.001".into()));
    assert_eq!(stop.reason_code(), price);
    let trailing = misfit(v1::OrderType::TrailingStop, |r| {
        r.trailing_offset = "0.001".into();
    });
    assert_eq!(trailing, Misfit::TrailingOffset("0.001".into()));
    assert_eq!(trailing.reason_code(), price);
    let activation = misfit(v1::OrderType::TrailingStop, |r| {
        r.activation_price = "1.001".into();
    });
    assert_eq!(activation, Misfit::ActivationPrice("1.001".into()));
    assert_eq!(activation.reason_code(), price);
    let shown = misfit(v1::OrderType::Limit, |r| {
        r.display_quantity = "0.000001".into();
    });
    assert_eq!(shown, Misfit::DisplayQuantity("0.000001".into()));
    assert_eq!(shown.reason_code(), quantity);
    assert_eq!(
        shown.to_string(),
        "display_quantity 0.000001 has more decimals than the instrument's quantities"
    );
}
