//! `apextrade risk`.

use super::{Gateway, fields, new_id, print_json};
use crate::cli::{RiskAction, RiskArgs, RiskChange};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::Result;
use apex_proto::v1;
use serde_json::json;
use std::process::ExitCode;

/// Shows or changes the trading state.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn run(args: RiskArgs, settings: &Settings) -> Result<ExitCode> {
    match args.action {
        RiskAction::State { client, account } => {
            let (states, limits) = block_on(async {
                let gateway = Gateway::open(&client, settings).await?;
                let request = v1::GetTradingStateRequest {
                    account_id: account.clone(),
                };
                let states = gateway
                    .answer(gateway.risk().get_trading_state(request))
                    .await?;
                let request = v1::GetLimitsRequest {
                    account_id: account,
                };
                let limits = gateway.answer(gateway.risk().get_limits(request)).await?;
                Ok((states.accounts, limits))
            })?;
            if client.json {
                let states: Vec<_> = states.iter().map(fields::account_trading_state).collect();
                print_json(&json!({ "accounts": states, "limits": fields::limits(&limits) }));
            } else {
                print_states(&states);
                print_limits(&limits);
            }
        }
        RiskAction::Halt { change, cancel } => {
            apply(&change, settings, Change::Halt { cancel })?;
        }
        RiskAction::Reduce(change) => apply(&change, settings, Change::Reduce)?,
        RiskAction::Resume(change) => apply(&change, settings, Change::Resume)?,
    }
    Ok(ExitCode::SUCCESS)
}

enum Change {
    Halt { cancel: bool },
    Reduce,
    Resume,
}

fn apply(args: &RiskChange, settings: &Settings, change: Change) -> Result<()> {
    let (account_id, reason) = (args.account.clone(), args.reason.clone());
    let request_id = new_id()?;
    let answer = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let mut risk = gateway.risk();
        match change {
            Change::Halt { cancel } => {
                let request = v1::HaltRequest {
                    account_id,
                    cancel,
                    flatten: false,
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

fn print_limits(limits: &v1::Limits) {
    let text = |value: &str| {
        if value.is_empty() {
            "none".to_owned()
        } else {
            value.to_owned()
        }
    };
    let count = |value: Option<u32>| value.map_or("none".to_owned(), |count| count.to_string());
    let age = limits
        .max_reference_age_ns
        .map_or("none".to_owned(), |age| format!("{age} ns"));
    let rows = [
        ("max_order_notional", text(&limits.max_order_notional)),
        ("max_position_notional", text(&limits.max_position_notional)),
        ("max_open_orders", count(limits.max_open_orders)),
        ("max_orders_per_second", count(limits.max_orders_per_second)),
        ("price_collar", text(&limits.price_collar)),
        ("check_buying_power", limits.check_buying_power.to_string()),
        ("allow_short_spot", limits.allow_short_spot.to_string()),
        ("max_reference_age", age),
    ];
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), value])
        .collect();
    crate::say!("");
    table(&["LIMIT", "VALUE"], &rows);
}
