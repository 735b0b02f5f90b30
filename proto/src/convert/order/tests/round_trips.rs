//! What is written is read back the same.

use super::*;
use apex_domain::id::OrderListId;
use apex_domain::order::{
    OrderTerms, OrderType, PositionSide, SelfTradePrevention, TrailingOffset, TriggerType,
};

fn survives(order_in: Order) {
    assert_eq!(read_order(&order(&order_in, &btc()), &btc()), Ok(order_in));
}

#[test]
fn an_order_survives_the_way_out_and_in() {
    let mut order_in = kept(read(&limit_order()).unwrap());
    order_in.filled_notional = Money::parse("180.0015").unwrap();
    order_in.request.quantity = order_in.quantity;
    survives(order_in);
    let errors = read_order(&v1::Order::default(), &btc()).unwrap_err();
    assert!(errors.errors().iter().any(|error| error.field == "status"));
}

#[test]
fn every_term_survives_the_way_out_and_in() {
    let mut order_in = kept(read(&limit_order()).unwrap());
    order_in.filled_notional = Money::parse("180.0015").unwrap();
    order_in.expires_at = Some(UnixNanos(1_700_000_000_000_000_001));
    order_in.list_id = Some(OrderListId::new("list-1").unwrap());
    order_in.stop_price = Some(Price(6_100_000));
    let request = &mut order_in.request;
    request.order_type = OrderType::StopLimit;
    request.time_in_force = TimeInForce::Gtd;
    request.post_only = true;
    request.reduce_only = true;
    request.tags = "a b".into();
    request.terms = OrderTerms {
        notional: None,
        stop_price: Some(Price(6_100_000)),
        trailing: None,
        activation_price: None,
        trigger: TriggerType::Mark,
        expire_at: Some(UnixNanos(1_700_000_000_000_000_001)),
        display_quantity: Some(Quantity(100)),
        position_side: PositionSide::Long,
        self_trade_prevention: Some(SelfTradePrevention::Decrement),
        extended_hours: true,
    };
    survives(order_in);
}

#[test]
fn what_an_order_waits_for_survives_the_way_out_and_in() {
    use apex_domain::event::Hold;
    for hold in [None, Some(Hold::Emulated), Some(Hold::Parent)] {
        let mut order_in = kept(read(&limit_order()).unwrap());
        order_in.filled_notional = Money::parse("180.0015").unwrap();
        order_in.held_for = hold;
        survives(order_in);
    }
    let mut wire = order(&kept(read(&limit_order()).unwrap()), &btc());
    wire.held_for = 99;
    let errors = read_order(&wire, &btc()).unwrap_err();
    assert!(
        errors
            .errors()
            .iter()
            .any(|error| error.field == "held_for")
    );
}

#[test]
fn a_trailing_stop_shows_where_it_stands_and_what_was_asked() {
    for trailing in [TrailingOffset::Bps(25), TrailingOffset::Price(Price(500))] {
        let mut order_in = kept(read(&limit_order()).unwrap());
        order_in.filled_notional = Money::parse("180.0015").unwrap();
        (order_in.limit_price, order_in.request.limit_price) = (None, None);
        order_in.stop_price = Some(Price(5_999_500));
        order_in.request.order_type = OrderType::TrailingStop;
        order_in.request.terms.trailing = Some(trailing);
        order_in.request.terms.activation_price = Some(Price(6_200_000));
        let wire = order(&order_in, &btc());
        assert_eq!(wire.stop_price, "59995.00");
        survives(order_in);
    }
}

#[test]
fn an_order_in_money_shows_what_it_buys() {
    let mut order_in = kept(read(&limit_order()).unwrap());
    order_in.filled_notional = Money::parse("180.0015").unwrap();
    order_in.request.quantity = Quantity::ZERO;
    order_in.request.terms.notional = Some(Money::parse("600.005").unwrap());
    let wire = order(&order_in, &btc());
    assert_eq!(
        (wire.quantity.as_str(), wire.notional.as_str()),
        ("0.01000", "600.005")
    );
    survives(order_in);
}

#[test]
fn a_denied_term_shows_the_number_that_was_asked_for() {
    for (misfit, field) in [
        (
            Misfit::StopPrice("1.001".into()),
            (|wire| &wire.stop_price) as fn(&v1::Order) -> &String,
        ),
        (Misfit::TrailingOffset("1.001".into()), |wire| {
            &wire.trailing_offset
        }),
        (Misfit::ActivationPrice("1.001".into()), |wire| {
            &wire.activation_price
        }),
        (Misfit::DisplayQuantity("1.001".into()), |wire| {
            &wire.display_quantity
        }),
    ] {
        let mut denied = kept(read(&limit_order()).unwrap());
        denied.request.misfit = Some(misfit.clone());
        let trailing = TrailingOffset::Price(Price(100));
        denied.request.terms.trailing = Some(trailing);
        let wire = order(&denied, &btc());
        assert_eq!(field(&wire), "1.001", "{misfit:?}");
        assert_eq!(wire.limit_price, "60000.50");
    }
}

#[test]
fn what_a_remote_strategy_asks_for_is_what_is_read() {
    let mut by_money = limit_order();
    by_money.quantity.clear();
    by_money.notional = "100".into();
    let mut stop = limit_order();
    stop.order_type = v1::OrderType::StopLimit.into();
    stop.stop_price = "60001".into();
    stop.trigger_type = v1::TriggerType::Mark.into();
    stop.display_quantity = "0.001".into();
    stop.time_in_force = v1::TimeInForce::Gtd.into();
    stop.expire_at_ns = 7;
    stop.self_trade_prevention = v1::SelfTradePrevention::CancelBoth.into();
    stop.extended_hours = true;
    let mut trailing = limit_order();
    trailing.order_type = v1::OrderType::TrailingStop.into();
    trailing.limit_price.clear();
    trailing.trailing_offset = "25".into();
    trailing.trailing_offset_type = v1::TrailingOffsetType::Bps.into();
    trailing.activation_price = "61000.5".into();
    let mut off = limit_order();
    off.limit_price = "60000.123".into();
    for request in [limit_order(), by_money, stop, trailing, off] {
        let order = read(&request).unwrap();
        let wire = strategy_submit(&order, &btc());
        let again = v1::SubmitOrderRequest {
            account_id: "paper".into(),
            client_order_id: wire.client_order_id,
            instrument_id: wire.instrument_id,
            strategy_id: String::new(),
            side: wire.side,
            order_type: wire.order_type,
            quantity: wire.quantity,
            notional: wire.notional,
            limit_price: wire.limit_price,
            stop_price: wire.stop_price,
            trailing_offset: wire.trailing_offset,
            trailing_offset_type: wire.trailing_offset_type,
            activation_price: wire.activation_price,
            trigger_type: wire.trigger_type,
            time_in_force: wire.time_in_force,
            expire_at_ns: wire.expire_at_ns,
            post_only: wire.post_only,
            reduce_only: wire.reduce_only,
            display_quantity: wire.display_quantity,
            position_side: wire.position_side,
            self_trade_prevention: wire.self_trade_prevention,
            extended_hours: wire.extended_hours,
            tags: wire.tags,
        };
        assert_eq!(read(&again), Ok(order));
    }
}

#[test]
fn an_amend_takes_each_number_alone() {
    let amend = |change: fn(&mut v1::AmendOrderRequest)| {
        let mut request = v1::AmendOrderRequest {
            order_id: "paper:7".into(),
            request_id: "r-1".into(),
            ..Default::default()
        };
        change(&mut request);
        read_amend(&request).unwrap().at(&btc())
    };
    let stop = amend(|r| r.stop_price = "99.5".into()).unwrap();
    assert_eq!(
        (stop.quantity, stop.limit_price, stop.stop_price),
        (None, None, Some(Price(9_950)))
    );
    assert_eq!(
        amend(|r| r.stop_price = "99.555".into()),
        Err(AmendError::Misfit(Misfit::StopPrice("99.555".into())))
    );
}

#[test]
fn events_of_orders_survive_the_way_out_and_in() {
    use crate::convert::event::{order_event, read_order_event};
    use apex_domain::event::{Event, Hold, Recorded};
    use apex_domain::venue::Execution;
    use apex_domain::{Currency, ExecId};

    let mut after = kept(read(&limit_order()).unwrap());
    after.stop_price = Some(Price(5_999_500));
    after.expires_at = Some(UnixNanos(90));
    let order_id = after.order_id.clone();
    let execution = Execution {
        exec_id: ExecId::new("x-1").unwrap(),
        client_order_id: after.request.client_order_id.clone(),
        instrument_id: after.request.instrument_id.clone(),
        side: after.request.side,
        last_quantity: Quantity(300),
        last_price: Price(6_000_050),
        fee: Money::parse("-0.0001").unwrap(),
        fee_currency: Currency::new("USDT").unwrap(),
        maker: true,
        ts_event: UnixNanos(77),
    };
    let events = [
        Event::OrderSubmitted {
            order_id: order_id.clone(),
        },
        Event::OrderFilled {
            order_id: order_id.clone(),
            execution: Box::new(execution.clone()),
            late: false,
        },
        Event::OrderFilled {
            order_id: order_id.clone(),
            execution: Box::new(execution.clone()),
            late: true,
        },
        Event::OrderHeld {
            order_id: order_id.clone(),
            hold: Hold::Emulated,
        },
        Event::OrderHeld {
            order_id: order_id.clone(),
            hold: Hold::Parent,
        },
        Event::OrderHeldUntil {
            order_id: order_id.clone(),
            at: UnixNanos(80),
            until: UnixNanos(90),
        },
        Event::OrderPendingAmend {
            order_id: order_id.clone(),
            request_id: None,
            quantity: Quantity(700),
            limit_price: Some(Price(6_000_100)),
            stop_price: None,
        },
        Event::OrderAmendRejected {
            order_id: order_id.clone(),
            reason: "too late".to_owned(),
            ts_event: after.ts_updated,
        },
        Event::OrderCancelRejected {
            order_id: order_id.clone(),
            reason: "unknown order".to_owned(),
            ts_event: after.ts_updated,
        },
        Event::OrderTrailed {
            order_id: order_id.clone(),
            stop_price: Price(5_999_500),
            best: Price(6_000_000),
        },
        Event::ExecutionBusted {
            order_id: Some(order_id.clone()),
            exec_id: execution.exec_id.clone(),
            instrument_id: after.request.instrument_id.clone(),
            execution: Some(Box::new(execution.clone())),
            booked: true,
            ts_event: after.ts_updated,
        },
        Event::ExecutionBusted {
            order_id: Some(order_id),
            exec_id: execution.exec_id,
            instrument_id: after.request.instrument_id.clone(),
            execution: None,
            booked: false,
            ts_event: after.ts_updated,
        },
    ];
    for event in events {
        let recorded = Recorded {
            sequence: 9,
            ts: UnixNanos(5),
            venue_sequence: 0,
            event,
        };
        let wire = order_event(&after.account_id, &recorded, &after, &btc()).unwrap();
        assert_eq!(read_order_event(&wire, &btc()), Ok(Some(recorded)));
    }
}

#[test]
fn an_order_that_is_held_for_its_session_says_when_it_leaves_and_ends() {
    use crate::convert::event::{order_event, read_order_event};
    use apex_domain::event::{Event, Recorded};

    let mut after = kept(read(&limit_order()).unwrap());
    after.expires_at = Some(UnixNanos(90));
    let recorded = Recorded {
        sequence: 9,
        ts: UnixNanos(5),
        venue_sequence: 0,
        event: Event::OrderHeldUntil {
            order_id: after.order_id.clone(),
            at: UnixNanos(80),
            until: UnixNanos(90),
        },
    };
    let wire = order_event(&after.account_id, &recorded, &after, &btc()).unwrap();
    let (mut no_begin, mut no_end) = (wire.clone(), wire);
    no_begin.release_at_ns = 0;
    no_end.order.as_mut().unwrap().ts_expires_ns = 0;
    for (wire, field) in [(no_begin, "release_at_ns"), (no_end, "order.ts_expires_ns")] {
        let errors = read_order_event(&wire, &btc()).unwrap_err();
        assert!(errors.to_string().contains(field), "{errors}");
    }
}

#[test]
fn an_instrument_survives_the_way_out_and_in() {
    use crate::convert::instrument::{instrument, read_instrument};
    use apex_domain::market::FeedStatus;

    let wire = instrument(&btc(), FeedStatus::Live);
    assert_eq!(read_instrument(&wire), Ok(btc()));
    let broken = v1::Instrument {
        min_quantity: "9".into(),
        max_quantity: "1".into(),
        ..wire
    };
    assert!(read_instrument(&broken).is_err());
}

#[test]
fn every_rule_of_an_instrument_survives_the_way_out_and_in() {
    use crate::convert::instrument::{instrument, read_instrument};
    use apex_domain::instrument::{AssetClass, Lacks, PriceBand};
    use apex_domain::market::FeedStatus;

    let mut future = btc();
    future.kind = InstrumentKind::Linear;
    future.fees = FeeSchedule {
        maker: Rate::parse("-0.0001").unwrap(),
        taker: Rate::parse("0.001").unwrap(),
        decimals: Some(2),
        per_unit: Money::parse("0.005").unwrap(),
        minimum: Money::parse("1").unwrap(),
        in_base: false,
    };
    future.rules = InstrumentRules {
        class: AssetClass::Future,
        price_bands: vec![
            PriceBand {
                from: Price(100),
                increment: Price(5),
            },
            PriceBand {
                from: Price(1_000),
                increment: Price(10),
            },
        ],
        max_notional: Some(Money::parse("1000000").unwrap()),
        maintenance_margin: Some(Rate::parse("0.25").unwrap()),
        funding_interval_ns: None,
        expires_at: Some(UnixNanos(1_800_000_000_000_000_000)),
        calendar: "XNYS".into(),
        price_collar: Some(Rate::parse("0.1").unwrap()),
        lacks: Lacks {
            order_types: vec![OrderType::TrailingStop, OrderType::MarketToLimit],
            times_in_force: vec![TimeInForce::Fok],
            iceberg: true,
            post_only: true,
            reduce_only: true,
            linked_orders: true,
        },
    };
    let wire = instrument(&future, FeedStatus::Live);
    assert_eq!(read_instrument(&wire), Ok(future));
    let mut perpetual = btc();
    perpetual.kind = InstrumentKind::Inverse;
    perpetual.rules.funding_interval_ns = Some(28_800_000_000_000);
    let written = instrument(&perpetual, FeedStatus::Live);
    assert_eq!(read_instrument(&written), Ok(perpetual));
    // A coin that is charged in itself has no charge by the unit.
    let mut coin = btc();
    coin.fees.in_base = true;
    let written = instrument(&coin, FeedStatus::Live);
    assert_eq!(read_instrument(&written), Ok(coin));

    let field = |change: fn(&mut v1::Instrument)| {
        let mut wire = wire.clone();
        change(&mut wire);
        read_instrument(&wire).unwrap_err().errors()[0]
            .field
            .clone()
    };
    assert_eq!(
        field(|wire| wire.price_bands.reverse()),
        "price_bands.from_price"
    );
    assert_eq!(
        field(|wire| wire.price_bands[0].price_increment = "0".into()),
        "price_bands.price_increment"
    );
    assert_eq!(
        field(|wire| wire.lacks.as_mut().unwrap().order_types.push(99)),
        "lacks"
    );
    assert_eq!(field(|wire| wire.asset_class = 99), "asset_class");
}
