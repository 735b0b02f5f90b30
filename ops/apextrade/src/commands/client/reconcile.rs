//! `apextrade accounts differences`, `cancel-foreign` and `adjust`: an account and its venue.

use super::{Gateway, fields, print_json, request_id};
use crate::cli::{AccountArgs, AdjustArgs, CancelForeignArgs};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::Result;
use apex_proto::v1;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Lists what differs from the venue, and orders there that are not ours.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn differences(args: &AccountArgs, settings: &Settings) -> Result<ExitCode> {
    let request = v1::GetReconciliationRequest {
        account_id: args.account.clone(),
    };
    let found = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let mut accounts = gateway.accounts();
        gateway.answer(accounts.get_reconciliation(request)).await
    })?;
    if args.client.json {
        print_json(&json(&found));
        return Ok(ExitCode::SUCCESS);
    }
    print_differences(&found.differences);
    if !found.foreign_orders.is_empty() {
        crate::say!("");
        print_foreign(&found.foreign_orders);
        crate::tell!("cancel them with `apextrade accounts cancel-foreign`");
    }
    say_how_it_stands(&found);
    Ok(ExitCode::SUCCESS)
}

fn say_how_it_stands(found: &v1::Reconciliation) {
    let omitted = found.omitted + found.foreign_omitted;
    if omitted > 0 {
        crate::tell!("{omitted} more are not listed");
    }
    match (found.ts_ns, found.reconciled) {
        (0, true) => crate::tell!("nothing was compared: the venue is in the gateway's process"),
        (0, false) => crate::tell!("nothing was compared yet: ask again in a few seconds"),
        (ts, true) => crate::tell!("compared at {}, the account may trade", fields::time(ts)),
        (ts, false) => crate::tell!(
            "compared at {}: no new order is taken until the account agrees with its venue",
            fields::time(ts)
        ),
    }
}

fn print_differences(differences: &[v1::Difference]) {
    let rows: Vec<Vec<String>> = differences
        .iter()
        .map(|difference| {
            let (kind, state, done) = names(difference);
            vec![
                fields::word(&kind, "DIFFERENCE_KIND_"),
                difference.subject.clone(),
                difference.ours.clone(),
                difference.venue.clone(),
                fields::word(&state, "DIFFERENCE_STATE_"),
                fields::word(&done, "DIFFERENCE_RESOLUTION_"),
                format!("{} s", difference.age_ns / 1_000_000_000),
            ]
        })
        .collect();
    let headings = [
        "DIFFERENCE",
        "SUBJECT",
        "OURS",
        "VENUE",
        "STATE",
        "DONE",
        "AGE",
    ];
    table(&headings, &rows);
}

fn print_foreign(orders: &[v1::ForeignOrder]) {
    let rows: Vec<Vec<String>> = orders
        .iter()
        .map(|order| {
            let asked = if order.cancel_requested { "yes" } else { "no" };
            vec![
                order.venue_order_id.clone(),
                order.client_order_id.clone(),
                order.instrument_id.clone(),
                fields::word(&fields::side(order.side), "SIDE_"),
                order.quantity.clone(),
                order.filled_quantity.clone(),
                order.limit_price.clone(),
                asked.to_owned(),
            ]
        })
        .collect();
    let headings = [
        "FOREIGN ORDER",
        "CLIENT ORDER ID",
        "INSTRUMENT",
        "SIDE",
        "QUANTITY",
        "FILLED",
        "LIMIT",
        "CANCEL REQUESTED",
    ];
    table(&headings, &rows);
}

/// Cancels orders at the venue that are not ours.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn cancel_foreign(args: CancelForeignArgs, settings: &Settings) -> Result<ExitCode> {
    let client = args.account.client;
    let request = v1::CancelForeignOrdersRequest {
        account_id: args.account.account,
        request_id: request_id(args.request)?,
        venue_order_ids: args.venue_order_ids,
        all: args.all,
        reason: args.reason,
    };
    let answer = block_on(async {
        let gateway = Gateway::open(&client, settings).await?;
        let mut accounts = gateway.accounts();
        gateway
            .answer(accounts.cancel_foreign_orders(request))
            .await
    })?;
    if client.json {
        let orders: Vec<Value> = answer.orders.iter().map(foreign_order).collect();
        print_json(&json!({ "orders": orders }));
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = answer
        .orders
        .iter()
        .map(|order| {
            vec![
                order.venue_order_id.clone(),
                order.client_order_id.clone(),
                order.instrument_id.clone(),
            ]
        })
        .collect();
    table(&["FOREIGN ORDER", "CLIENT ORDER ID", "INSTRUMENT"], &rows);
    if rows.is_empty() {
        crate::tell!("the venue's last list has no order that is not ours");
    } else {
        crate::tell!("their cancels are on the way: follow with `apextrade accounts differences`");
    }
    Ok(ExitCode::SUCCESS)
}

/// Pays in or out.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn adjust(args: AdjustArgs, settings: &Settings) -> Result<ExitCode> {
    let client = args.account.client;
    let request = v1::AdjustCashRequest {
        account_id: args.account.account,
        request_id: request_id(args.request)?,
        currency: args.currency.clone(),
        amount: args.amount,
        reason: args.reason,
    };
    let account = block_on(async {
        let gateway = Gateway::open(&client, settings).await?;
        let mut accounts = gateway.accounts();
        gateway.answer(accounts.adjust_cash(request)).await
    })?;
    if client.json {
        print_json(&fields::account(&account));
    } else {
        let cash = account.cash.get(&args.currency).cloned();
        let row = vec![
            account.account_id,
            args.currency,
            cash.unwrap_or_else(|| "0".to_owned()),
        ];
        table(&["ACCOUNT", "CURRENCY", "CASH"], &[row]);
    }
    Ok(ExitCode::SUCCESS)
}

fn names(difference: &v1::Difference) -> (String, String, String) {
    (
        difference.kind().as_str_name().to_owned(),
        difference.state().as_str_name().to_owned(),
        difference.resolution().as_str_name().to_owned(),
    )
}

fn json(found: &v1::Reconciliation) -> Value {
    let differences: Vec<Value> = found
        .differences
        .iter()
        .map(|difference| {
            let (kind, state, resolution) = names(difference);
            json!({
                "kind": kind,
                "subject": difference.subject,
                "ours": difference.ours,
                "venue": difference.venue,
                "state": state,
                "resolution": resolution,
                "age_ns": difference.age_ns,
            })
        })
        .collect();
    let foreign: Vec<Value> = found.foreign_orders.iter().map(foreign_order).collect();
    json!({
        "account_id": found.account_id,
        "reconciled": found.reconciled,
        "ts_ns": found.ts_ns,
        "differences": differences,
        "omitted": found.omitted,
        "foreign_orders": foreign,
        "foreign_omitted": found.foreign_omitted,
    })
}

fn foreign_order(order: &v1::ForeignOrder) -> Value {
    json!({
        "venue_order_id": order.venue_order_id,
        "client_order_id": order.client_order_id,
        "instrument_id": order.instrument_id,
        "side": fields::side(order.side),
        "quantity": order.quantity,
        "filled_quantity": order.filled_quantity,
        "limit_price": order.limit_price,
        "cancel_requested": order.cancel_requested,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn parses(words: &[&str]) -> bool {
        let words = ["apextrade", "accounts"].iter().chain(words);
        matches!(Cli::try_parse_from(words), Ok(cli) if matches!(cli.command, Command::Accounts(_)))
    }

    #[test]
    fn foreign_orders_are_named_or_all_are_meant_and_a_reason_is_given() {
        assert!(parses(&[
            "cancel-foreign",
            "V1",
            "V2",
            "--reason",
            "left over"
        ]));
        assert!(parses(&[
            "cancel-foreign",
            "--all",
            "--reason",
            "left over"
        ]));
        for words in [
            &["cancel-foreign", "--reason", "r"][..],
            &["cancel-foreign", "V1", "--all", "--reason", "r"],
            &["cancel-foreign", "V1"],
        ] {
            assert!(!parses(words), "{words:?}");
        }
    }

    #[test]
    fn an_adjustment_may_be_a_payment_out() {
        assert!(parses(&["adjust", "USDT", "-5.25", "--reason", "dust"]));
        assert!(!parses(&["adjust", "USDT", "5"]));
    }

    #[test]
    fn every_field_of_a_reconciliation_is_printed() {
        let found = v1::Reconciliation {
            differences: vec![v1::Difference::default()],
            foreign_orders: vec![v1::ForeignOrder::default()],
            ..Default::default()
        };
        let value = json(&found);
        for (value, count) in [
            (&value, 7),
            (&value["differences"][0], 7),
            (&value["foreign_orders"][0], 8),
        ] {
            assert_eq!(value.as_object().map(serde_json::Map::len), Some(count));
        }
    }
}
