//! `apextrade positions` and `apextrade accounts`: listing, and what closes.

use super::{Gateway, lists, print_json, request_id};
use crate::cli::{
    AccountsAction, AccountsArgs, ClientArgs, CloseArgs, PositionsAction, PositionsArgs,
    RequestArgs,
};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::Result;
use apex_proto::v1;
use serde_json::json;
use std::process::ExitCode;

/// Lists positions, or closes one.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn positions(args: PositionsArgs, settings: &Settings) -> Result<ExitCode> {
    match args.action {
        None => lists::positions(args.list, settings),
        Some(PositionsAction::List(list)) => lists::positions(list, settings),
        Some(PositionsAction::Close(close)) => close_position(close, settings),
    }
}

/// Lists accounts, or flattens one.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn accounts(args: AccountsArgs, settings: &Settings) -> Result<ExitCode> {
    match args.action {
        None => lists::accounts(args.list, settings),
        Some(AccountsAction::List(list)) => lists::accounts(list, settings),
        Some(AccountsAction::Flatten {
            client,
            account,
            request,
        }) => flatten(&client, account, request, settings),
    }
}

fn close_position(args: CloseArgs, settings: &Settings) -> Result<ExitCode> {
    let request = v1::ClosePositionRequest {
        account_id: args.account,
        instrument_id: args.instrument,
        strategy_id: args.strategy.unwrap_or_default(),
        request_id: request_id(args.request)?,
        client_order_id: args.client_order_id.unwrap_or_default(),
    };
    let answer = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let mut orders = gateway.orders();
        gateway.answer(orders.close_position(request)).await
    })?;
    Ok(print(&args.client, &answer))
}

fn flatten(
    client: &ClientArgs,
    account_id: String,
    request: RequestArgs,
    settings: &Settings,
) -> Result<ExitCode> {
    let request = v1::FlattenAccountRequest {
        account_id,
        request_id: request_id(request)?,
    };
    let answer = block_on(async {
        let gateway = Gateway::open(client, settings).await?;
        let mut orders = gateway.orders();
        gateway.answer(orders.flatten_account(request)).await
    })?;
    Ok(print(client, &answer))
}

fn print(client: &ClientArgs, answer: &v1::CloseResponse) -> ExitCode {
    if client.json {
        print_json(&json!({
            "account_id": answer.account_id,
            "sequence": answer.sequence,
        }));
    } else {
        let row = vec![
            answer.account_id.clone(),
            "closing".to_owned(),
            answer.sequence.to_string(),
        ];
        table(&["ACCOUNT", "STATE", "SEQUENCE"], &[row]);
        crate::tell!("follow it with `apextrade orders watch` and `apextrade positions`");
    }
    ExitCode::SUCCESS
}
