//! From the flags of an order to its request. Numbers go to the gateway as they are written: what
//! is wrong with them it says by field, the same to every client.

use crate::cli::{
    OrderTypeArg, PositionSideArg, SelfTradeArg, SideArg, SubmitArgs, TimeInForceArg, TriggerArg,
};
use apex_proto::v1;

/// Marks a trailing offset in basis points.
const BPS: &str = "bps";

pub fn submit_request(args: &SubmitArgs, client_order_id: String) -> v1::SubmitOrderRequest {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (trailing_offset, trailing_offset_type) = trailing(args);
    v1::SubmitOrderRequest {
        account_id: args.account.clone(),
        client_order_id,
        instrument_id: args.instrument.clone(),
        strategy_id: text(&args.strategy),
        side: side(args.side).into(),
        order_type: order_type(args).into(),
        quantity: text(&args.quantity),
        notional: text(&args.notional),
        limit_price: text(&args.limit_price),
        stop_price: text(&args.stop_price),
        trailing_offset,
        trailing_offset_type: trailing_offset_type.into(),
        activation_price: text(&args.activation_price),
        trigger_type: args
            .trigger
            .map_or(0, |trigger| trigger_type(trigger).into()),
        // Zero leaves it to the gateway, by the kind of order.
        time_in_force: args
            .time_in_force
            .map_or(0, |time| time_in_force(time).into()),
        expire_at_ns: args.expire_at.map_or(0, |at| at.0),
        post_only: args.post_only,
        reduce_only: args.reduce_only,
        display_quantity: text(&args.display_quantity),
        position_side: args
            .position_side
            .map_or(0, |side| position_side(side).into()),
        self_trade_prevention: args
            .self_trade_prevention
            .map_or(0, |rule| self_trade(rule).into()),
        extended_hours: args.extended_hours,
        tags: text(&args.tags),
    }
}

/// Returns the kind that was named, or the one that the prices are of.
fn order_type(args: &SubmitArgs) -> v1::OrderType {
    let prices = (
        args.trailing_offset.is_some(),
        args.stop_price.is_some(),
        args.limit_price.is_some(),
    );
    match args.order_type {
        Some(OrderTypeArg::Market) => v1::OrderType::Market,
        Some(OrderTypeArg::Limit) => v1::OrderType::Limit,
        Some(OrderTypeArg::Stop) => v1::OrderType::Stop,
        Some(OrderTypeArg::StopLimit) => v1::OrderType::StopLimit,
        Some(OrderTypeArg::MarketIfTouched) => v1::OrderType::MarketIfTouched,
        Some(OrderTypeArg::LimitIfTouched) => v1::OrderType::LimitIfTouched,
        Some(OrderTypeArg::MarketToLimit) => v1::OrderType::MarketToLimit,
        Some(OrderTypeArg::TrailingStop) => v1::OrderType::TrailingStop,
        None => match prices {
            (true, _, _) => v1::OrderType::TrailingStop,
            (false, true, true) => v1::OrderType::StopLimit,
            (false, true, false) => v1::OrderType::Stop,
            (false, false, true) => v1::OrderType::Limit,
            (false, false, false) => v1::OrderType::Market,
        },
    }
}

fn trailing(args: &SubmitArgs) -> (String, v1::TrailingOffsetType) {
    match &args.trailing_offset {
        None => (String::new(), v1::TrailingOffsetType::Unspecified),
        Some(text) => match text.strip_suffix(BPS) {
            Some(bps) => (bps.to_owned(), v1::TrailingOffsetType::Bps),
            None => (text.clone(), v1::TrailingOffsetType::Price),
        },
    }
}

pub fn side(side: SideArg) -> v1::Side {
    match side {
        SideArg::Buy => v1::Side::Buy,
        SideArg::Sell => v1::Side::Sell,
    }
}

fn time_in_force(time: TimeInForceArg) -> v1::TimeInForce {
    match time {
        TimeInForceArg::Gtc => v1::TimeInForce::Gtc,
        TimeInForceArg::Day => v1::TimeInForce::Day,
        TimeInForceArg::Ioc => v1::TimeInForce::Ioc,
        TimeInForceArg::Fok => v1::TimeInForce::Fok,
        TimeInForceArg::Gtd => v1::TimeInForce::Gtd,
        TimeInForceArg::AtOpen => v1::TimeInForce::AtOpen,
        TimeInForceArg::AtClose => v1::TimeInForce::AtClose,
    }
}

fn trigger_type(trigger: TriggerArg) -> v1::TriggerType {
    match trigger {
        TriggerArg::Last => v1::TriggerType::Last,
        TriggerArg::BidAsk => v1::TriggerType::BidAsk,
        TriggerArg::Mark => v1::TriggerType::Mark,
    }
}

fn position_side(side: PositionSideArg) -> v1::PositionSide {
    match side {
        PositionSideArg::Net => v1::PositionSide::Net,
        PositionSideArg::Long => v1::PositionSide::Long,
        PositionSideArg::Short => v1::PositionSide::Short,
    }
}

fn self_trade(rule: SelfTradeArg) -> v1::SelfTradePrevention {
    match rule {
        SelfTradeArg::CancelNewest => v1::SelfTradePrevention::CancelNewest,
        SelfTradeArg::CancelOldest => v1::SelfTradePrevention::CancelOldest,
        SelfTradeArg::CancelBoth => v1::SelfTradePrevention::CancelBoth,
        SelfTradeArg::Decrement => v1::SelfTradePrevention::Decrement,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command, OrdersAction};
    use clap::Parser;

    fn parse(words: &[&str]) -> Result<v1::SubmitOrderRequest, clap::Error> {
        let words = ["apextrade", "orders", "submit"].iter().chain(words);
        match Cli::try_parse_from(words)?.command {
            Command::Orders(args) => match args.action {
                Some(OrdersAction::Submit(args)) => {
                    Ok(submit_request(&args.order, "c-1".to_owned()))
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn request(words: &[&str]) -> v1::SubmitOrderRequest {
        parse(words).unwrap()
    }

    #[test]
    fn the_prices_tell_the_kind() {
        for (prices, kind) in [
            (&[][..], v1::OrderType::Market),
            (&["--limit-price", "9"], v1::OrderType::Limit),
            (&["--stop-price", "9"], v1::OrderType::Stop),
            (
                &["--stop-price", "9", "--limit-price", "8"],
                v1::OrderType::StopLimit,
            ),
            (&["--trailing-offset", "9"], v1::OrderType::TrailingStop),
            (
                &["--type", "market-if-touched", "--stop-price", "9"],
                v1::OrderType::MarketIfTouched,
            ),
            (&["--type", "market-to-limit"], v1::OrderType::MarketToLimit),
        ] {
            let words: Vec<&str> = ["BTC", "buy", "1"].iter().chain(prices).copied().collect();
            assert_eq!(request(&words).order_type(), kind, "{prices:?}");
        }
    }

    #[test]
    fn every_term_has_its_flag() {
        let read = request(&[
            "BTC",
            "sell",
            "5",
            "--account",
            "a",
            "--type",
            "limit",
            "--limit-price",
            "100.10",
            "--time-in-force",
            "gtd",
            "--expire-at-ns",
            "7",
            "--post-only",
            "--reduce-only",
            "--display-quantity",
            "1",
            "--position-side",
            "long",
            "--self-trade-prevention",
            "cancel-oldest",
            "--extended-hours",
            "--strategy",
            "s",
            "--tags",
            "t",
        ]);
        let expected = v1::SubmitOrderRequest {
            account_id: "a".into(),
            client_order_id: "c-1".into(),
            instrument_id: "BTC".into(),
            strategy_id: "s".into(),
            side: v1::Side::Sell.into(),
            order_type: v1::OrderType::Limit.into(),
            quantity: "5".into(),
            limit_price: "100.10".into(),
            time_in_force: v1::TimeInForce::Gtd.into(),
            expire_at_ns: 7,
            post_only: true,
            reduce_only: true,
            display_quantity: "1".into(),
            position_side: v1::PositionSide::Long.into(),
            self_trade_prevention: v1::SelfTradePrevention::CancelOldest.into(),
            extended_hours: true,
            tags: "t".into(),
            ..Default::default()
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_trailing_offset_is_a_price_or_basis_points() {
        let trailing = |text: &str| {
            let read = request(&[
                "BTC",
                "sell",
                "1",
                "--trailing-offset",
                text,
                "--activation-price",
                "9",
                "--trigger",
                "mark",
            ]);
            assert_eq!(read.activation_price, "9");
            assert_eq!(read.trigger_type(), v1::TriggerType::Mark);
            (read.trailing_offset.clone(), read.trailing_offset_type())
        };
        assert_eq!(
            trailing("0.5"),
            ("0.5".to_owned(), v1::TrailingOffsetType::Price)
        );
        assert_eq!(
            trailing("25bps"),
            ("25".to_owned(), v1::TrailingOffsetType::Bps)
        );
    }

    #[test]
    fn an_end_is_a_time_or_nanoseconds() {
        let end = |text: &str| {
            let words = [
                "BTC",
                "buy",
                "1",
                "--time-in-force",
                "gtd",
                "--expire-at",
                text,
            ];
            parse(&words).map(|request| request.expire_at_ns)
        };
        assert_eq!(end("1970-01-01T02:00:01+02:00").unwrap(), 1_000_000_000);
        assert_eq!(end("1000000000").unwrap(), 1_000_000_000);
        for text in ["tomorrow", "2024-07-01T10:00:00", "1.5", ""] {
            assert!(end(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_order_has_a_quantity_or_a_notional() {
        let read = request(&["BTC", "buy", "--notional", "100"]);
        assert_eq!(
            (read.quantity.as_str(), read.notional.as_str()),
            ("", "100")
        );
        assert!(parse(&["BTC", "buy"]).is_err());
        assert!(parse(&["BTC", "buy", "1", "--notional", "100"]).is_err());
    }

    #[test]
    fn numbers_go_to_the_gateway_as_they_are_written() {
        let request = request(&["BTC", "buy", "-5", "--limit-price", "NaN"]);
        assert_eq!(
            (request.quantity.as_str(), request.limit_price.as_str()),
            ("-5", "NaN")
        );
        assert_eq!(request.time_in_force(), v1::TimeInForce::Unspecified);
    }
}
