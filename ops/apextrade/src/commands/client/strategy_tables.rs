//! Deployed strategies as tables.

use super::{Gateway, fields, pages, print_json, say_cut, strategy_fields};
use crate::cli::{ClientArgs, ListStrategiesArgs, ShowStrategyArgs, StrategyStateArg};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::table;
use anyhow::Result;
use apex_proto::v1;
use serde_json::json;
use std::collections::BTreeMap;

/// Types that are listed: far more than a build has.
const TYPES: u32 = 1_000;

pub fn types(client: &ClientArgs, settings: &Settings) -> Result<()> {
    let (found, _) = block_on(async {
        let gateway = Gateway::open(client, settings).await?;
        pages(TYPES, |page_size, page_token| {
            let request = v1::ListStrategyTypesRequest {
                page_size,
                page_token,
            };
            let gateway = &gateway;
            async move {
                let mut strategies = gateway.strategies();
                let answer = gateway
                    .answer(strategies.list_strategy_types(request))
                    .await?;
                Ok((answer.strategy_types, answer.next_page_token))
            }
        })
        .await
    })?;
    if client.json {
        let found: Vec<_> = found.iter().map(strategy_fields::strategy_type).collect();
        print_json(&json!({ "strategy_types": found }));
        return Ok(());
    }
    for strategy in &found {
        crate::say!("{}  {}", strategy.strategy_type, strategy.description);
        let rows: Vec<_> = strategy.parameters.iter().map(parameter_row).collect();
        table(
            &["PARAMETER", "KIND", "DEFAULT", "BOUNDS", "CHANGES", "HELP"],
            &rows,
        );
    }
    Ok(())
}

fn parameter_row(parameter: &v1::StrategyParameter) -> Vec<String> {
    let bounds = match (parameter.min.as_str(), parameter.max.as_str()) {
        _ if !parameter.choices.is_empty() => parameter.choices.join("|"),
        ("", "") => String::new(),
        (min, max) => format!("{min}..{max}"),
    };
    let kind = strategy_fields::parameter_kind(parameter.kind);
    let kind = fields::word(&kind, "PARAMETER_KIND_");
    vec![
        parameter.name.clone(),
        [kind.as_str(), parameter.unit.as_str()]
            .join(" ")
            .trim()
            .to_owned(),
        parameter.default_value.clone(),
        bounds,
        if parameter.live { "live" } else { "restart" }.to_owned(),
        parameter.help.clone(),
    ]
}

pub fn list(args: ListStrategiesArgs, settings: &Settings) -> Result<()> {
    let states: Vec<i32> = args.states.into_iter().map(|it| state(it).into()).collect();
    let account_id = args.account.unwrap_or_default();
    let strategy_type = args.strategy_type.unwrap_or_default();
    let (found, more) = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        pages(args.limit, |page_size, page_token| {
            let request = v1::ListStrategiesRequest {
                account_id: account_id.clone(),
                states: states.clone(),
                strategy_type: strategy_type.clone(),
                page_size,
                page_token,
            };
            let gateway = &gateway;
            async move {
                let mut strategies = gateway.strategies();
                let answer = gateway.answer(strategies.list_strategies(request)).await?;
                Ok((answer.strategies, answer.next_page_token))
            }
        })
        .await
    })?;
    if args.client.json {
        let found: Vec<_> = found.iter().map(strategy_fields::strategy).collect();
        print_json(&json!({ "strategies": found }));
    } else {
        print(&found);
    }
    say_cut(more, args.limit);
    Ok(())
}

fn state(state: StrategyStateArg) -> v1::StrategyState {
    match state {
        StrategyStateArg::Deployed => v1::StrategyState::Deployed,
        StrategyStateArg::Starting => v1::StrategyState::Starting,
        StrategyStateArg::Running => v1::StrategyState::Running,
        StrategyStateArg::Paused => v1::StrategyState::Paused,
        StrategyStateArg::BackingOff => v1::StrategyState::BackingOff,
        StrategyStateArg::Stopping => v1::StrategyState::Stopping,
        StrategyStateArg::Stopped => v1::StrategyState::Stopped,
        StrategyStateArg::Quarantined => v1::StrategyState::Quarantined,
    }
}

/// Prints one strategy.
pub fn one(strategy: &v1::Strategy, json: bool) {
    if json {
        print_json(&strategy_fields::strategy(strategy));
    } else {
        print(std::slice::from_ref(strategy));
    }
}

fn print(strategies: &[v1::Strategy]) {
    let row = |strategy: &v1::Strategy| {
        let version = strategy.version.clone().unwrap_or_default();
        let state = strategy_fields::strategy_state(strategy.state);
        vec![
            strategy.account_id.clone(),
            strategy.strategy_id.clone(),
            strategy.strategy_type.clone(),
            fields::word(&state, "STRATEGY_STATE_"),
            version.version.to_string(),
            strategy.restarts.to_string(),
            parameters(&version.parameters),
            strategy.reason.clone(),
        ]
    };
    let rows: Vec<_> = strategies.iter().map(row).collect();
    table(
        &[
            "ACCOUNT",
            "STRATEGY",
            "TYPE",
            "STATE",
            "VERSION",
            "RESTARTS",
            "PARAMETERS",
            "REASON",
        ],
        &rows,
    );
}

fn parameters(parameters: &BTreeMap<String, String>) -> String {
    let pairs = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(" ")
}

pub fn show(args: ShowStrategyArgs, settings: &Settings) -> Result<()> {
    let client = args.name.client;
    let (account_id, strategy_id) = (args.name.account, args.name.strategy);
    let (details, (versions, _)) = block_on(async {
        let gateway = Gateway::open(&client, settings).await?;
        let request = v1::GetStrategyRequest {
            account_id: account_id.clone(),
            strategy_id: strategy_id.clone(),
        };
        let details = gateway
            .answer(gateway.strategies().get_strategy(request))
            .await?;
        let versions = pages(args.versions, |page_size, page_token| {
            let request = v1::ListStrategyVersionsRequest {
                account_id: account_id.clone(),
                strategy_id: strategy_id.clone(),
                page_size,
                page_token,
            };
            let gateway = &gateway;
            async move {
                let mut strategies = gateway.strategies();
                let answer = gateway
                    .answer(strategies.list_strategy_versions(request))
                    .await?;
                Ok((answer.versions, answer.next_page_token))
            }
        })
        .await?;
        Ok((details, versions))
    })?;
    if client.json {
        print_json(&strategy_fields::strategy_details(&details, &versions));
        return Ok(());
    }
    print(&details.strategy.clone().into_iter().collect::<Vec<_>>());
    let state = fields::trading_state(details.trading_state);
    crate::say!(
        "{} working orders; account {}",
        details.working_orders,
        fields::word(&state, "TRADING_STATE_")
    );
    for held in &details.positions {
        crate::say!(
            "holds {} {} at {}",
            held.quantity,
            held.instrument_id,
            held.average_price
        );
    }
    for pnl in &details.pnl {
        crate::say!(
            "net {} {}: realised {}, open {}, fees {}",
            pnl.net_pnl,
            pnl.currency,
            pnl.realized_pnl,
            pnl.unrealized_pnl,
            pnl.fees
        );
    }
    if let Some(budget) = &details.budget {
        crate::say!(
            "uses {} of {} orders/s, {} of {} messages/s",
            budget.orders_in_last_second,
            budget.orders_per_second,
            budget.messages_in_last_second,
            budget.messages_per_second
        );
    }
    let row = |version: &v1::StrategyVersion| {
        vec![
            version.version.to_string(),
            fields::time(version.ts_created_ns),
            version.created_by.clone(),
            version.content_hash.chars().take(12).collect(),
            parameters(&version.parameters),
        ]
    };
    let rows: Vec<_> = versions.iter().map(row).collect();
    table(&["VERSION", "TIME", "BY", "HASH", "PARAMETERS"], &rows);
    Ok(())
}
