use super::*;
use crate::account::tests::support::limit;
use crate::market::Side;
use crate::number::{Price, Quantity};
use crate::order::{OrderTerms, SelfTradePrevention};
use crate::time::UnixNanos;

/// An order of this type with everything that it needs.
fn fitting(order_type: OrderType) -> SubmitOrder {
    let trails = order_type == OrderType::TrailingStop;
    let stops = order_type.is_conditional() && !trails;
    SubmitOrder {
        order_type,
        limit_price: order_type.has_limit().then_some(Price(100)),
        terms: OrderTerms {
            stop_price: stops.then_some(Price(90)),
            trailing: trails.then_some(TrailingOffset::Bps(100)),
            ..OrderTerms::default()
        },
        ..limit("a", "BTCUSDT.SIM", Side::Buy, 10, 100)
    }
}

fn field(request: &SubmitOrder) -> &'static str {
    validate(request).map_or_else(|(field, _)| field, |()| "")
}

#[test]
fn each_type_is_well_formed_with_exactly_what_it_needs() {
    for order_type in OrderType::ALL {
        let good = fitting(order_type);
        assert_eq!(field(&good), "", "{order_type:?}");
        let other_limit = SubmitOrder {
            limit_price: good.limit_price.is_none().then_some(Price(1)),
            ..good.clone()
        };
        assert_eq!(field(&other_limit), "limit_price", "{order_type:?}");
        let with = |terms: OrderTerms| SubmitOrder {
            terms,
            ..good.clone()
        };
        let other_stop = with(OrderTerms {
            stop_price: good.terms.stop_price.is_none().then_some(Price(1)),
            ..good.terms.clone()
        });
        assert_eq!(field(&other_stop), "stop_price", "{order_type:?}");
        let offset = TrailingOffset::Price(Price(5));
        let other_trailing = with(OrderTerms {
            trailing: good.terms.trailing.is_none().then_some(offset),
            ..good.terms.clone()
        });
        assert_eq!(field(&other_trailing), "trailing_offset", "{order_type:?}");
    }
}

#[test]
fn each_wrong_combination_names_its_field() {
    let with = |order_type, change: fn(&mut SubmitOrder)| {
        let mut request = fitting(order_type);
        change(&mut request);
        field(&request)
    };
    use OrderType::{Limit, Market, Stop, StopLimit, TrailingStop};
    for (found, expected) in [
        (with(Limit, |r| r.quantity = Quantity(0)), "quantity"),
        (
            with(Limit, |r| r.terms.notional = Some(Money::ZERO)),
            "notional",
        ),
        (
            with(Limit, |r| {
                r.terms.notional = Some(Money::parse("5").unwrap())
            }),
            "quantity",
        ),
        (
            with(Market, |r| {
                r.quantity = Quantity(0);
                r.terms.notional = Some(Money::parse("5").unwrap());
            }),
            "",
        ),
        (
            with(Limit, |r| r.time_in_force = TimeInForce::Gtd),
            "expire_at",
        ),
        (
            with(Limit, |r| r.terms.expire_at = Some(UnixNanos(1))),
            "expire_at",
        ),
        (
            with(Stop, |r| r.time_in_force = TimeInForce::AtOpen),
            "time_in_force",
        ),
        (with(Limit, |r| r.time_in_force = TimeInForce::AtClose), ""),
        (with(Market, |r| r.post_only = true), "post_only"),
        (
            with(Limit, |r| {
                r.post_only = true;
                r.time_in_force = TimeInForce::Ioc;
            }),
            "post_only",
        ),
        (with(StopLimit, |r| r.post_only = true), ""),
        (
            with(Market, |r| r.terms.display_quantity = Some(Quantity(1))),
            "display_quantity",
        ),
        (
            with(Limit, |r| r.terms.display_quantity = Some(Quantity(11))),
            "display_quantity",
        ),
        (
            with(Limit, |r| r.terms.display_quantity = Some(Quantity(10))),
            "",
        ),
        (
            with(TrailingStop, |r| {
                r.terms.trailing = Some(TrailingOffset::Bps(10_000))
            }),
            "trailing_offset",
        ),
        (
            with(Stop, |r| r.terms.activation_price = Some(Price(1))),
            "activation_price",
        ),
        (
            with(Limit, |r| {
                r.terms.self_trade_prevention = Some(SelfTradePrevention::Decrement);
            }),
            "",
        ),
    ] {
        assert_eq!(found, expected);
    }
}
