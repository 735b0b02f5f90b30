//! `apextrade orders`.

use super::order_request::{side, submit_request};
use super::outcome::Asked;
use super::{
    Gateway, executions, fields, new_id, order_list, order_table, outcome, pages, print_json,
    request_id, say_cut, watch,
};
use crate::cli::{
    AmendArgs, CancelAllArgs, CancelArgs, ClientArgs, GetArgs, OrdersAction, OrdersArgs,
    OrdersListArgs, ResolveArgs, SubmitAndWaitArgs, SubmitArgs,
};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::{Context, Result};
use apex_proto::v1;
use serde_json::json;
use std::process::ExitCode;

/// Lists, shows, submits, previews, amends, cancels or watches orders. Lists without an action.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn run(args: OrdersArgs, settings: &Settings) -> Result<ExitCode> {
    match args.action {
        None => list(&args.list, settings),
        Some(OrdersAction::List(args)) => list(&args, settings),
        Some(OrdersAction::Get(args)) => get(args, settings),
        Some(OrdersAction::Executions(args)) => executions::list(&args, settings),
        Some(OrdersAction::Submit(args)) => submit(*args, settings),
        Some(OrdersAction::Preview(args)) => preview(&args, settings),
        Some(OrdersAction::SubmitList(args)) => order_list::submit(&args, settings),
        Some(OrdersAction::Amend(args)) => amend(args, settings),
        Some(OrdersAction::Cancel(args)) => cancel(args, settings),
        Some(OrdersAction::CancelAll(args)) => cancel_all(args, settings),
        Some(OrdersAction::Resolve(args)) => resolve(args, settings),
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
                as_of_ns: args.past.wire(),
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
    } else if args.wide {
        order_table::print_wide(&orders);
    } else {
        order_table::print(&orders);
    }
    say_cut(more, args.limit);
    Ok(ExitCode::SUCCESS)
}

fn get(args: GetArgs, settings: &Settings) -> Result<ExitCode> {
    let order = block_on(async {
        let gateway = Gateway::open(&args.one.client, settings).await?;
        let request = v1::GetOrderRequest {
            account_id: args.one.account,
            client_order_id: args.one.client_order_id,
            as_of_ns: args.past.wire(),
            ..Default::default()
        };
        gateway.answer(gateway.orders().get_order(request)).await
    })?;
    if args.one.client.json {
        print_json(&fields::order(&order));
    } else {
        order_table::print_one(&order);
    }
    Ok(ExitCode::SUCCESS)
}

fn submit(args: SubmitAndWaitArgs, settings: &Settings) -> Result<ExitCode> {
    let SubmitAndWaitArgs {
        order: args,
        outcome: wait,
    } = args;
    let made = args.client_order_id.is_none();
    let client_order_id = match args.client_order_id.clone() {
        Some(id) => id,
        None => new_id()?,
    };
    let request = submit_request(&args, client_order_id.clone());
    let outcome = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let answer = gateway.answer(gateway.orders().submit_order(request)).await;
        // The caller needs the id that was made to find out, or to repeat safely.
        let order = if made {
            answer.with_context(|| format!("order {client_order_id}"))?
        } else {
            answer?
        };
        outcome::settled(&gateway, order, Asked::Submit, wait.wait_seconds).await
    })?;
    Ok(outcome.print(&args.client))
}

/// Exits with 1 when the order would not be taken, though the answer is printed.
fn preview(args: &SubmitArgs, settings: &Settings) -> Result<ExitCode> {
    let client_order_id = args.client_order_id.clone().map_or_else(new_id, Ok)?;
    let request = submit_request(args, client_order_id);
    let preview = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        gateway
            .answer(gateway.orders().preview_order(request))
            .await
    })?;
    if args.client.json {
        print_json(&fields::preview(&preview));
    } else {
        print_preview(&preview);
    }
    Ok(ExitCode::from(u8::from(!preview.failed_checks.is_empty())))
}

fn print_preview(preview: &v1::PreviewOrderResponse) {
    let money = |amount: &str, currency: &str| match amount {
        "" => "unknown".to_owned(),
        amount => format!("{amount} {currency}").trim_end().to_owned(),
    };
    let currency = preview.currency.as_str();
    let rows = [
        ("quantity", preview.quantity.clone()),
        ("estimated price", money(&preview.estimated_price, "")),
        ("notional", money(&preview.notional, currency)),
        ("fee", money(&preview.fee, &preview.fee_currency)),
        ("initial margin", money(&preview.initial_margin, currency)),
        ("worst position", preview.worst_position.clone()),
        ("worst exposure", money(&preview.worst_exposure, currency)),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
    table(&["PREVIEW", "VALUE"], &rows);
    let failed: Vec<Vec<String>> = preview
        .failed_checks
        .iter()
        .map(|failed| {
            vec![
                failed.check.clone(),
                failed.reason_code.clone(),
                failed.reason.clone(),
            ]
        })
        .collect();
    if !failed.is_empty() {
        crate::say!("");
        table(&["FAILED CHECK", "REASON", "WHY"], &failed);
    }
}

fn amend(args: AmendArgs, settings: &Settings) -> Result<ExitCode> {
    let request_id = request_id(args.request)?;
    let outcome = block_on(async {
        let gateway = Gateway::open(&args.one.client, settings).await?;
        let asked = Asked::Amend {
            quantity: args.quantity.clone().unwrap_or_default(),
            limit_price: args.limit_price.clone().unwrap_or_default(),
            stop_price: args.stop_price.clone().unwrap_or_default(),
        };
        let request = v1::AmendOrderRequest {
            account_id: args.one.account,
            client_order_id: args.one.client_order_id,
            request_id,
            quantity: args.quantity.unwrap_or_default(),
            limit_price: args.limit_price.unwrap_or_default(),
            stop_price: args.stop_price.unwrap_or_default(),
            expected_sequence: args.expected_sequence,
            ..Default::default()
        };
        let order = gateway
            .answer(gateway.orders().amend_order(request))
            .await?;
        outcome::settled(&gateway, order, asked, args.outcome.wait_seconds).await
    })?;
    Ok(outcome.print(&args.one.client))
}

fn cancel(args: CancelArgs, settings: &Settings) -> Result<ExitCode> {
    let request_id = request_id(args.request)?;
    if let [client_order_id] = args.client_order_ids.as_slice() {
        let request = v1::CancelOrderRequest {
            account_id: args.account,
            client_order_id: client_order_id.clone(),
            request_id,
            ..Default::default()
        };
        let outcome = block_on(async {
            let gateway = Gateway::open(&args.client, settings).await?;
            let order = gateway
                .answer(gateway.orders().cancel_order(request))
                .await?;
            outcome::settled(&gateway, order, Asked::Cancel, args.outcome.wait_seconds).await
        })?;
        return Ok(outcome.print(&args.client));
    }
    let keys = args.client_order_ids.into_iter();
    let request = v1::CancelOrdersRequest {
        account_id: args.account,
        orders: keys
            .map(|client_order_id| v1::OrderKey {
                client_order_id,
                ..Default::default()
            })
            .collect(),
        request_id,
    };
    let outcomes = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let mut orders = gateway.orders();
        gateway.answer(orders.cancel_orders(request)).await
    })?
    .outcomes;
    if args.client.json {
        let outcomes: Vec<_> = outcomes.iter().map(fields::outcome).collect();
        print_json(&json!({ "outcomes": outcomes }));
    } else {
        order_list::print_outcomes(&outcomes);
    }
    Ok(order_list::exit(&outcomes))
}

fn resolve(args: ResolveArgs, settings: &Settings) -> Result<ExitCode> {
    let request = v1::ResolveOrderRequest {
        account_id: args.one.account,
        client_order_id: args.one.client_order_id,
        request_id: request_id(args.request)?,
        reason: args.reason,
        ..Default::default()
    };
    let order = block_on(async {
        let gateway = Gateway::open(&args.one.client, settings).await?;
        let mut orders = gateway.orders();
        gateway.answer(orders.resolve_order(request)).await
    })?;
    Ok(print(&args.one.client, &order))
}

fn cancel_all(args: CancelAllArgs, settings: &Settings) -> Result<ExitCode> {
    let request = v1::CancelAllOrdersRequest {
        account_id: args.account,
        instrument_id: args.instrument.unwrap_or_default(),
        strategy_id: args.strategy.unwrap_or_default(),
        side: args.side.map_or(0, |wanted| side(wanted).into()),
        request_id: request_id(args.request)?,
    };
    let orders = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let mut orders = gateway.orders();
        gateway.answer(orders.cancel_all_orders(request)).await
    })?
    .orders;
    if args.client.json {
        let orders: Vec<_> = orders.iter().map(fields::order).collect();
        print_json(&json!({ "orders": orders }));
    } else {
        order_table::print(&orders);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(client: &ClientArgs, order: &v1::Order) -> ExitCode {
    if client.json {
        print_json(&fields::order(order));
    } else {
        order_table::print(std::slice::from_ref(order));
    }
    ExitCode::SUCCESS
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
    fn orders_of_the_past_are_asked_for_by_a_time() {
        let list = parse(&["--as-of", "1970-01-01T00:00:01Z"]).list;
        assert_eq!(list.past.wire(), 1_000_000_000);
        assert_eq!(parse(&["--wide"]).list.past.wire(), 0);
        match parse(&["get", "c-1", "--as-of", "7"]).action {
            Some(OrdersAction::Get(args)) => assert_eq!(args.past.wire(), 7),
            other => panic!("{other:?}"),
        }
        // Zero on the wire is now, so it cannot be meant.
        for text in ["0", "-5", "1970-01-01T00:00:00Z", "yesterday"] {
            let words = ["apextrade", "orders", "--as-of", text];
            assert!(Cli::try_parse_from(words).is_err(), "{text}");
        }
    }

    #[test]
    fn an_amend_changes_something() {
        assert!(Cli::try_parse_from(["apextrade", "orders", "amend", "c-1"]).is_err());
        parse(&["amend", "c-1", "--quantity", "2"]);
        parse(&["amend", "c-1", "--stop-price", "2", "--request-id", "r-1"]);
    }

    #[test]
    fn an_order_is_resolved_with_a_reason() {
        assert!(Cli::try_parse_from(["apextrade", "orders", "resolve", "a"]).is_err());
        match parse(&["resolve", "a", "--reason", "not listed"]).action {
            Some(OrdersAction::Resolve(args)) => assert_eq!(args.reason, "not listed"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_order_is_canceled_or_several() {
        assert!(Cli::try_parse_from(["apextrade", "orders", "cancel"]).is_err());
        match parse(&["cancel", "a", "b"]).action {
            Some(OrdersAction::Cancel(args)) => assert_eq!(args.client_order_ids, ["a", "b"]),
            other => panic!("{other:?}"),
        }
    }
}
