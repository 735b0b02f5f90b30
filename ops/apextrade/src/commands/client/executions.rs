//! `apextrade orders executions`.

use super::{Gateway, fields, pages, print_json, say_cut};
use crate::cli::ListArgs;
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::Result;
use apex_proto::v1;
use serde_json::json;
use std::process::ExitCode;

/// Lists executions, oldest first.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn list(args: &ListArgs, settings: &Settings) -> Result<ExitCode> {
    let (executions, more) = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        pages(args.limit, |page_size, page_token| {
            let request = v1::ListExecutionsRequest {
                account_id: args.account.clone().unwrap_or_default(),
                page_size,
                page_token,
                as_of_ns: args.past.wire(),
            };
            let gateway = &gateway;
            async move {
                let answer = gateway
                    .answer(gateway.orders().list_executions(request))
                    .await?;
                Ok((answer.executions, answer.next_page_token))
            }
        })
        .await
    })?;
    if args.client.json {
        let executions: Vec<_> = executions.iter().map(fields::execution).collect();
        print_json(&json!({ "executions": executions }));
    } else {
        let rows: Vec<Vec<String>> = executions.iter().map(row).collect();
        table(&HEADINGS, &rows);
    }
    say_cut(more, args.limit);
    Ok(ExitCode::SUCCESS)
}

const HEADINGS: [&str; 9] = [
    "TIME",
    "ACCOUNT",
    "ORDER",
    "INSTRUMENT",
    "SIDE",
    "QUANTITY",
    "PRICE",
    "FEE",
    "EXEC ID",
];

fn row(execution: &v1::Execution) -> Vec<String> {
    let exec_id = match execution.busted {
        true => format!("{} (taken back)", execution.exec_id),
        false => execution.exec_id.clone(),
    };
    vec![
        fields::time(execution.ts_event_ns),
        execution.account_id.clone(),
        execution.client_order_id.clone(),
        execution.instrument_id.clone(),
        fields::word(&fields::side(execution.side), "SIDE_"),
        execution.last_quantity.clone(),
        execution.last_price.clone(),
        format!("{} {}", execution.fee, execution.fee_currency),
        exec_id,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_that_was_taken_back_says_so() {
        let execution = v1::Execution {
            exec_id: "x".into(),
            side: v1::Side::Sell.into(),
            fee: "0.1".into(),
            fee_currency: "USDT".into(),
            ..Default::default()
        };
        let last = |busted| {
            let execution = v1::Execution {
                busted,
                ..execution.clone()
            };
            row(&execution).pop().unwrap()
        };
        assert_eq!(last(false), "x");
        assert_eq!(last(true), "x (taken back)");
        assert_eq!(row(&execution)[4], "sell");
        assert_eq!(row(&execution).len(), HEADINGS.len());
    }
}
