//! `apextrade positions` and `apextrade accounts`: listing, and what closes.

use super::{Gateway, account_desk, fields, lists, print_json, reconcile, request_id, split};
use crate::cli::{
    AccountsAction, AccountsArgs, ClientArgs, CloseArgs, PositionsAction, PositionsArgs, WaitArgs,
};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::Result;
use apex_proto::v1;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a closing is asked for: it waits for a venue, and each question is one of an
/// account's thousands a second.
const EVERY: Duration = Duration::from_millis(200);

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

/// Lists accounts, makes, flattens or resets one, or brings one in line with its venue.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn accounts(args: AccountsArgs, settings: &Settings) -> Result<ExitCode> {
    match args.action {
        None => lists::accounts(args.list, args.wide, settings),
        Some(AccountsAction::List(list)) => lists::accounts(list, args.wide, settings),
        Some(AccountsAction::Flatten {
            client,
            account,
            wait,
        }) => flatten(&client, account, wait, settings),
        Some(AccountsAction::Differences(args)) => reconcile::differences(&args, settings),
        Some(AccountsAction::CancelForeign(args)) => reconcile::cancel_foreign(args, settings),
        Some(AccountsAction::Create(args)) => account_desk::create(args, settings),
        Some(AccountsAction::Reset(args)) => account_desk::reset(args, settings),
        Some(AccountsAction::PositionMode(args)) => lists::position_mode(args, settings),
        Some(AccountsAction::Adjust(args)) => reconcile::adjust(args, settings),
        Some(AccountsAction::Split(args)) => split::run(args, settings),
    }
}

fn close_position(args: CloseArgs, settings: &Settings) -> Result<ExitCode> {
    let seconds = args.wait.wait_seconds;
    let request = v1::ClosePositionRequest {
        account_id: args.account,
        instrument_id: args.instrument,
        strategy_id: args.strategy.unwrap_or_default(),
        request_id: request_id(args.wait.request)?,
        client_order_id: args.client_order_id.unwrap_or_default(),
    };
    let closing = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let mut orders = gateway.orders();
        let (account_id, request_id) = (request.account_id.clone(), request.request_id.clone());
        gateway.answer(orders.close_position(request)).await?;
        follow(&gateway, account_id, request_id, seconds).await
    })?;
    Ok(print(&args.client, &closing, seconds))
}

fn flatten(
    client: &ClientArgs,
    account_id: String,
    wait: WaitArgs,
    settings: &Settings,
) -> Result<ExitCode> {
    let request = v1::FlattenAccountRequest {
        account_id: account_id.clone(),
        request_id: request_id(wait.request)?,
    };
    let closing = block_on(async {
        let gateway = Gateway::open(client, settings).await?;
        let mut orders = gateway.orders();
        let request_id = request.request_id.clone();
        gateway.answer(orders.flatten_account(request)).await?;
        follow(&gateway, account_id, request_id, wait.wait_seconds).await
    })?;
    Ok(print(client, &closing, wait.wait_seconds))
}

/// Asks how a closing stands until it has ended or the time is over.
async fn follow(
    gateway: &Gateway,
    account_id: String,
    request_id: String,
    seconds: u64,
) -> Result<v1::Closing> {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        let request = v1::GetClosingRequest {
            account_id: account_id.clone(),
            request_id: request_id.clone(),
        };
        let closing = gateway
            .answer(gateway.orders().get_closing(request))
            .await?;
        if closing.state() != v1::ClosingState::Running || Instant::now() >= end {
            return Ok(closing);
        }
        sleep(EVERY).await;
    }
}

/// Exits with 0 when nothing is left to close, and when nobody wanted to wait for that.
fn print(client: &ClientArgs, closing: &v1::Closing, seconds: u64) -> ExitCode {
    if client.json {
        print_json(&json(closing));
    } else {
        let row = vec![
            closing.account_id.clone(),
            fields::word(closing.state().as_str_name(), "CLOSING_STATE_"),
            closing.orders.len().to_string(),
            closing.positions.len().to_string(),
            closing.request_id.clone(),
        ];
        let headings = ["ACCOUNT", "STATE", "ORDERS", "OPEN POSITIONS", "REQUEST ID"];
        table(&headings, &[row]);
    }
    let state = closing.state();
    if state == v1::ClosingState::Flat || (state == v1::ClosingState::Running && seconds == 0) {
        return ExitCode::SUCCESS;
    }
    match state {
        v1::ClosingState::Running => crate::tell!(
            "not closed after {seconds} s: it {}; it goes on, and the same command with \
             --request-id {} waits again",
            closing.reason,
            closing.request_id
        ),
        v1::ClosingState::Dust => {
            crate::tell!("closed but for dust: {}", closing.reason);
            return ExitCode::SUCCESS;
        }
        _ => crate::tell!("not closed: {}", closing.reason),
    }
    ExitCode::FAILURE
}

fn json(closing: &v1::Closing) -> Value {
    let orders: Vec<Value> = closing.orders.iter().map(fields::order).collect();
    let positions: Vec<Value> = closing
        .positions
        .iter()
        .map(|position| {
            json!({
                "instrument_id": position.instrument_id,
                "strategy_id": position.strategy_id,
                "quantity": position.quantity,
                "position_side": position.position_side().as_str_name(),
            })
        })
        .collect();
    json!({
        "account_id": closing.account_id,
        "request_id": closing.request_id,
        "state": closing.state().as_str_name(),
        "reason": closing.reason,
        "orders": orders,
        "positions": positions,
        "working_orders": closing.working_orders,
        "started_sequence": closing.started_sequence,
        "ended_sequence": closing.ended_sequence,
        "ts_ended_ns": closing.ts_ended_ns,
    })
}
