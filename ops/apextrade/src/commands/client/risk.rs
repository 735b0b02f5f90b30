//! `apextrade risk`.

use super::{Gateway, fields, limits, pages, print_json, request_id, say_cut};
use crate::cli::{AccountArgs, ClientArgs, RiskAction, RiskArgs, RiskChange};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::Result;
use apex_proto::v1;
use serde_json::json;
use std::process::ExitCode;

/// Shows or changes limits and trading state.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn run(args: RiskArgs, settings: &Settings) -> Result<ExitCode> {
    match args.action {
        RiskAction::State(args) => state(args, settings)?,
        RiskAction::Limits(args) => limits::run(args.action, settings)?,
        RiskAction::Halt {
            change,
            cancel,
            flatten,
        } => apply(&change, settings, Change::Halt { cancel, flatten })?,
        RiskAction::Reduce(change) => apply(&change, settings, Change::Reduce)?,
        RiskAction::Resume(change) => apply(&change, settings, Change::Resume)?,
        RiskAction::Changes {
            client,
            account,
            limit,
        } => changes(&client, account.unwrap_or_default(), limit, settings)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn state(args: AccountArgs, settings: &Settings) -> Result<()> {
    let (states, found) = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let request = v1::GetTradingStateRequest {
            account_id: args.account.clone(),
        };
        let states = gateway
            .answer(gateway.risk().get_trading_state(request))
            .await?;
        let request = v1::GetLimitsRequest {
            account_id: args.account,
        };
        let limits = gateway.answer(gateway.risk().get_limits(request)).await?;
        Ok((states.accounts, limits))
    })?;
    if args.client.json {
        let states: Vec<_> = states.iter().map(fields::account_trading_state).collect();
        print_json(&json!({ "accounts": states, "limits": fields::limits(&found) }));
    } else {
        print_states(&states);
        crate::say!("");
        limits::print_limits(&found);
    }
    Ok(())
}

fn changes(client: &ClientArgs, account_id: String, limit: u32, settings: &Settings) -> Result<()> {
    let (changes, more) = block_on(async {
        let gateway = Gateway::open(client, settings).await?;
        pages(limit, |page_size, page_token| {
            let request = v1::ListTradingStateChangesRequest {
                account_id: account_id.clone(),
                page_size,
                page_token,
            };
            let gateway = &gateway;
            async move {
                let mut risk = gateway.risk();
                let answer = gateway
                    .answer(risk.list_trading_state_changes(request))
                    .await?;
                Ok((answer.changes, answer.next_page_token))
            }
        })
        .await
    })?;
    if client.json {
        let changes: Vec<_> = changes.iter().map(fields::trading_state_change).collect();
        print_json(&json!({ "changes": changes }));
    } else {
        print_changes(&changes);
    }
    say_cut(more, limit);
    Ok(())
}

fn print_changes(changes: &[v1::TradingStateChange]) {
    let rows: Vec<Vec<String>> = changes
        .iter()
        .map(|change| {
            vec![
                fields::time(change.ts_ns),
                change.account_id.clone(),
                change.sequence.to_string(),
                fields::word(
                    &fields::trading_state(change.trading_state),
                    "TRADING_STATE_",
                ),
                change.by.clone(),
                change.reason.clone(),
            ]
        })
        .collect();
    let headings = ["TIME", "ACCOUNT", "SEQUENCE", "STATE", "BY", "REASON"];
    table(&headings, &rows);
}

enum Change {
    Halt { cancel: bool, flatten: bool },
    Reduce,
    Resume,
}

fn apply(args: &RiskChange, settings: &Settings, change: Change) -> Result<()> {
    // Empty is every account.
    let account_id = args.account.clone().unwrap_or_default();
    let reason = args.reason.clone();
    let request_id = request_id(args.request.clone())?;
    let answer = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let mut risk = gateway.risk();
        match change {
            Change::Halt { cancel, flatten } => {
                let request = v1::HaltRequest {
                    account_id,
                    cancel,
                    flatten,
                    reason,
                    request_id,
                };
                gateway.answer(risk.halt(request)).await
            }
            Change::Reduce => {
                let request = v1::ReduceRequest {
                    account_id,
                    reason,
                    request_id,
                };
                gateway.answer(risk.reduce(request)).await
            }
            Change::Resume => {
                let request = v1::ResumeRequest {
                    account_id,
                    reason,
                    request_id,
                };
                gateway.answer(risk.resume(request)).await
            }
        }
    })?;
    if args.client.json {
        let states: Vec<_> = answer
            .accounts
            .iter()
            .map(fields::account_trading_state)
            .collect();
        print_json(&json!({ "accounts": states }));
    } else {
        print_states(&answer.accounts);
    }
    Ok(())
}

fn print_states(states: &[v1::AccountTradingState]) {
    let rows: Vec<Vec<String>> = states
        .iter()
        .map(|state| {
            vec![
                state.account_id.clone(),
                fields::word(
                    &fields::trading_state(state.trading_state),
                    "TRADING_STATE_",
                ),
                state.cancels_requested.to_string(),
            ]
        })
        .collect();
    table(&["ACCOUNT", "STATE", "CANCELS REQUESTED"], &rows);
}
