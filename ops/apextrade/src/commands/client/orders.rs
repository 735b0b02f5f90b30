//! `apextrade orders`.

use super::{Gateway, fields, new_id, pages, print_json, say_cut, watch};
use crate::cli::{
    AmendArgs, ClientArgs, OneOrderArgs, OrdersAction, OrdersArgs, OrdersListArgs, SideArg,
    SubmitArgs, TimeInForceArg,
};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::{Context, Result};
use apex_proto::v1;
use serde_json::json;
use std::process::ExitCode;

/// Lists, shows, submits, amends, cancels or watches orders. Lists without an action.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn run(args: OrdersArgs, settings: &Settings) -> Result<ExitCode> {
    match args.action {
        None => list(&args.list, settings),
        Some(OrdersAction::List(args)) => list(&args, settings),
        Some(OrdersAction::Get(args)) => get(args, settings),
        Some(OrdersAction::Submit(args)) => submit(args, settings),
        Some(OrdersAction::Amend(args)) => amend(args, settings),
        Some(OrdersAction::Cancel(args)) => cancel(args, settings),
        Some(OrdersAction::Watch(args)) => watch::run(&args, settings),
    }
}

fn list(args: &OrdersListArgs, settings: &Settings) -> Result<ExitCode> {
    let (orders, more) = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        pages(args.limit, |page_size, page_token| {
            let request = v1::ListOrdersRequest {
                account_id: args.account.clone(),
                working_only: args.working,
                page_size,
                page_token,
                ..Default::default()
            };
            let gateway = &gateway;
            async move {
                let answer = gateway
                    .answer(gateway.orders().list_orders(request))
                    .await?;
                Ok((answer.orders, answer.next_page_token))
            }
        })
        .await
    })?;
    if args.client.json {
        let orders: Vec<_> = orders.iter().map(fields::order).collect();
        print_json(&json!({ "orders": orders }));
    } else {
        print_table(&orders);
    }
    say_cut(more, args.limit);
    Ok(ExitCode::SUCCESS)
}

fn get(args: OneOrderArgs, settings: &Settings) -> Result<ExitCode> {
    let order = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let request = v1::GetOrderRequest {
            account_id: args.account,
            client_order_id: args.client_order_id,
            ..Default::default()
        };
        gateway.answer(gateway.orders().get_order(request)).await
    })?;
    Ok(print(&args.client, &order))
}

fn submit(args: SubmitArgs, settings: &Settings) -> Result<ExitCode> {
    let made = args.client_order_id.is_none();
    let client_order_id = match args.client_order_id.clone() {
        Some(id) => id,
        None => new_id()?,
    };
    let request = submit_request(&args, client_order_id.clone());
    let order = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let answer = gateway.answer(gateway.orders().submit_order(request)).await;
        // The caller needs the id that was made to find out, or to repeat safely.
        if made {
            answer.with_context(|| format!("order {client_order_id}"))
        } else {
            answer
        }
    })?;
    Ok(print(&args.client, &order))
}

fn submit_request(args: &SubmitArgs, client_order_id: String) -> v1::SubmitOrderRequest {
    let order_type = match args.limit_price {
        Some(_) => v1::OrderType::Limit,
        None => v1::OrderType::Market,
    };
    let side = match args.side {
        SideArg::Buy => v1::Side::Buy,
        SideArg::Sell => v1::Side::Sell,
    };
    let time_in_force = match args.time_in_force {
        // The gateway's choice by the kind of order.
        None => v1::TimeInForce::Unspecified,
        Some(TimeInForceArg::Gtc) => v1::TimeInForce::Gtc,
        Some(TimeInForceArg::Ioc) => v1::TimeInForce::Ioc,
        Some(TimeInForceArg::Fok) => v1::TimeInForce::Fok,
    };
    v1::SubmitOrderRequest {
        account_id: args.account.clone(),
        client_order_id,
        instrument_id: args.instrument.clone(),
        side: side.into(),
        order_type: order_type.into(),
        quantity: args.quantity.clone(),
        limit_price: args.limit_price.clone().unwrap_or_default(),
        time_in_force: time_in_force.into(),
        post_only: args.post_only,
        reduce_only: args.reduce_only,
        ..Default::default()
    }
}

fn amend(args: AmendArgs, settings: &Settings) -> Result<ExitCode> {
    let request_id = new_id()?;
    let order = block_on(async {
        let gateway = Gateway::open(&args.one.client, settings).await?;
        let request = v1::AmendOrderRequest {
            account_id: args.one.account,
            client_order_id: args.one.client_order_id,
            request_id,
            quantity: args.quantity.unwrap_or_default(),
            limit_price: args.limit_price.unwrap_or_default(),
            ..Default::default()
        };
        gateway.answer(gateway.orders().amend_order(request)).await
    })?;
    Ok(print(&args.one.client, &order))
}

fn cancel(args: OneOrderArgs, settings: &Settings) -> Result<ExitCode> {
    let request_id = new_id()?;
    let order = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let request = v1::CancelOrderRequest {
            account_id: args.account,
            client_order_id: args.client_order_id,
            request_id,
            ..Default::default()
        };
        gateway.answer(gateway.orders().cancel_order(request)).await
    })?;
    Ok(print(&args.client, &order))
}

fn print(client: &ClientArgs, order: &v1::Order) -> ExitCode {
    if client.json {
        print_json(&fields::order(order));
    } else {
        print_table(std::slice::from_ref(order));
    }
    ExitCode::SUCCESS
}

fn print_table(orders: &[v1::Order]) {
    let rows: Vec<Vec<String>> = orders
        .iter()
        .map(|order| {
            vec![
                order.client_order_id.clone(),
                order.instrument_id.clone(),
                fields::word(&fields::side(order.side), "SIDE_"),
                fields::word(&fields::order_type(order.order_type), "ORDER_TYPE_"),
                order.quantity.clone(),
                order.limit_price.clone(),
                fields::word(&fields::status(order.status), "ORDER_STATUS_"),
                order.filled_quantity.clone(),
                order.average_price.clone(),
                order.reason_code.clone(),
                fields::time(order.ts_created_ns),
            ]
        })
        .collect();
    let headings = [
        "CLIENT ORDER ID",
        "INSTRUMENT",
        "SIDE",
        "TYPE",
        "QUANTITY",
        "LIMIT",
        "STATUS",
        "FILLED",
        "AVERAGE",
        "REASON",
        "CREATED",
    ];
    table(&headings, &rows);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn parse(words: &[&str]) -> OrdersArgs {
        let words = ["apextrade", "orders"].iter().chain(words);
        match Cli::try_parse_from(words).unwrap().command {
            Command::Orders(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn request(words: &[&str]) -> v1::SubmitOrderRequest {
        match parse(words).action {
            Some(OrdersAction::Submit(args)) => submit_request(&args, "c-1".to_owned()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_an_action_orders_are_listed() {
        let args = parse(&["--json", "--working"]);
        assert!(args.action.is_none());
        assert!(args.list.client.json && args.list.working);
        assert!(matches!(
            parse(&["list"]).action,
            Some(OrdersAction::List(_))
        ));
    }

    #[test]
    fn a_limit_price_makes_a_limit_order() {
        let limit = request(&["submit", "BTC", "buy", "0.5", "--limit-price", "100.10"]);
        assert_eq!(limit.order_type(), v1::OrderType::Limit);
        assert_eq!(
            (limit.quantity.as_str(), limit.limit_price.as_str()),
            ("0.5", "100.10")
        );
        assert_eq!(limit.time_in_force(), v1::TimeInForce::Unspecified);
        let market = request(&["submit", "BTC", "sell", "1", "--time-in-force", "fok"]);
        assert_eq!(market.order_type(), v1::OrderType::Market);
        assert_eq!(market.side(), v1::Side::Sell);
        assert_eq!(market.time_in_force(), v1::TimeInForce::Fok);
    }

    #[test]
    fn numbers_go_to_the_gateway_as_they_are_written() {
        let request = request(&["submit", "BTC", "buy", "-5", "--limit-price", "NaN"]);
        assert_eq!(
            (request.quantity.as_str(), request.limit_price.as_str()),
            ("-5", "NaN")
        );
    }

    #[test]
    fn an_amend_changes_something() {
        assert!(Cli::try_parse_from(["apextrade", "orders", "amend", "c-1"]).is_err());
        parse(&["amend", "c-1", "--quantity", "2"]);
    }
}
