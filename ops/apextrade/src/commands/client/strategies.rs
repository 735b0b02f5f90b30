//! `apextrade strategies`: what is deployed, and what is done to it.

use super::{
    Gateway, fields, new_id, print_json, request_id, strategy_fields, strategy_tables,
    strategy_watch,
};
use crate::cli::{
    DeployArgs, NamedStrategyArgs, PauseArgs, RestartArg, SetParametersArgs, StopArgs,
    StrategiesAction, StrategiesArgs, StrategyModeArg, StrategyNameArgs, WorkingOrdersArgs,
};
use crate::commands::{block_on, up};
use crate::config::Settings;
use anyhow::{Context, Result};
use apex_proto::v1;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Does what the command line says.
///
/// Errors: what cannot be read, a gateway that does not answer, and a refusal.
pub fn run(args: StrategiesArgs, settings: &Settings) -> Result<ExitCode> {
    match args.action {
        StrategiesAction::Types(client) => strategy_tables::types(&client, settings)?,
        StrategiesAction::Deploy(args) => deploy(args, settings)?,
        StrategiesAction::Start(args) => start(args, settings)?,
        StrategiesAction::Pause(args) => pause(args, settings)?,
        StrategiesAction::Stop(args) => stop(args, settings)?,
        StrategiesAction::Set(args) => set(args, settings)?,
        StrategiesAction::List(args) => strategy_tables::list(args, settings)?,
        StrategiesAction::Show(args) => strategy_tables::show(args, settings)?,
        StrategiesAction::Watch(args) => return strategy_watch::run(&args, settings),
    }
    Ok(ExitCode::SUCCESS)
}

fn deploy(args: DeployArgs, settings: &Settings) -> Result<()> {
    let StrategyNameArgs {
        client,
        account,
        strategy,
    } = args.name;
    let request = v1::DeployRequest {
        account_id: account.clone(),
        strategy_type: args.strategy_type.unwrap_or_else(|| strategy.clone()),
        strategy_id: strategy.clone(),
        instrument_ids: args.instruments,
        parameters: parameters(&args.params)?,
        mode: match args.mode {
            StrategyModeArg::Paper => v1::StrategyMode::Paper,
            StrategyModeArg::Shadow => v1::StrategyMode::Shadow,
            StrategyModeArg::Live => v1::StrategyMode::Live,
        }
        .into(),
        restart_policy: match args.restart {
            RestartArg::Always => v1::RestartPolicy::Always,
            RestartArg::OnFailure => v1::RestartPolicy::OnFailure,
            RestartArg::Never => v1::RestartPolicy::Never,
        }
        .into(),
        request_id: request_id(args.request)?,
    };
    let starts = args.start;
    let found = block_on(async {
        let gateway = Gateway::open(&client, settings).await?;
        let mut strategies = gateway.strategies();
        let deployed = gateway.answer(strategies.deploy(request)).await?;
        if !starts {
            return Ok(deployed);
        }
        let start = v1::StartRequest {
            account_id: account,
            strategy_id: strategy,
            request_id: new_id()?,
        };
        let started = gateway.answer(strategies.start(start)).await;
        started.context("it is deployed, and not started")
    })?;
    strategy_tables::one(&found, client.json);
    Ok(())
}

fn start(args: NamedStrategyArgs, settings: &Settings) -> Result<()> {
    let client = args.name.client;
    let request = v1::StartRequest {
        account_id: args.name.account,
        strategy_id: args.name.strategy,
        request_id: request_id(args.request)?,
    };
    let started = block_on(async {
        let gateway = Gateway::open(&client, settings).await?;
        gateway.answer(gateway.strategies().start(request)).await
    })?;
    strategy_tables::one(&started, client.json);
    Ok(())
}

fn working_orders(args: &WorkingOrdersArgs) -> i32 {
    // The command line lets exactly one of the two through.
    if args.cancel_orders {
        v1::WorkingOrders::Cancel.into()
    } else {
        v1::WorkingOrders::Keep.into()
    }
}

fn pause(args: PauseArgs, settings: &Settings) -> Result<()> {
    let client = args.name.client;
    let request = v1::PauseRequest {
        account_id: args.name.account,
        strategy_id: args.name.strategy,
        working_orders: working_orders(&args.orders),
        request_id: request_id(args.request)?,
    };
    let paused = block_on(async {
        let gateway = Gateway::open(&client, settings).await?;
        gateway.answer(gateway.strategies().pause(request)).await
    })?;
    let strategy = paused.strategy.unwrap_or_default();
    if client.json {
        print_json(&json!({
            "strategy": strategy_fields::strategy(&strategy),
            "canceled_orders": strategy_fields::canceled_orders(&paused.canceled_orders),
        }));
    } else {
        strategy_tables::one(&strategy, false);
        say_canceled(&paused.canceled_orders);
    }
    Ok(())
}

fn stop(args: StopArgs, settings: &Settings) -> Result<()> {
    let client = args.name.client;
    let request_id = request_id(args.request)?;
    let request = v1::StopRequest {
        account_id: args.name.account,
        strategy_id: args.name.strategy,
        working_orders: working_orders(&args.orders),
        close_positions: args.close,
        request_id: request_id.clone(),
    };
    let stopped = block_on(async {
        let gateway = Gateway::open(&client, settings).await?;
        gateway.answer(gateway.strategies().stop(request)).await
    })?;
    let strategy = stopped.strategy.unwrap_or_default();
    if client.json {
        print_json(&json!({
            "strategy": strategy_fields::strategy(&strategy),
            "canceled_orders": strategy_fields::canceled_orders(&stopped.canceled_orders),
            "closing": stopped.closing,
            "request_id": request_id,
        }));
        return Ok(());
    }
    strategy_tables::one(&strategy, false);
    say_canceled(&stopped.canceled_orders);
    if stopped.closing {
        crate::say!("its positions are being closed: see `apextrade positions`");
    }
    Ok(())
}

fn say_canceled(orders: &[v1::CanceledOrder]) {
    if orders.is_empty() {
        return;
    }
    let ids: Vec<&str> = orders
        .iter()
        .map(|it| it.client_order_id.as_str())
        .collect();
    crate::say!("canceled: {}", ids.join(", "));
}

fn set(args: SetParametersArgs, settings: &Settings) -> Result<()> {
    let client = args.name.client;
    let (account_id, strategy_id) = (args.name.account, args.name.strategy);
    let (parameters, reset) = (parameters(&args.params)?, args.reset);
    let (known, allow_restart) = (args.expected_version, args.restart);
    let request_id = request_id(args.request)?;
    let updated = block_on(async {
        let gateway = Gateway::open(&client, settings).await?;
        let expected_version = match known {
            Some(known) => known,
            None => {
                let request = v1::GetStrategyRequest {
                    account_id: account_id.clone(),
                    strategy_id: strategy_id.clone(),
                };
                let mut strategies = gateway.strategies();
                let found = gateway.answer(strategies.get_strategy(request)).await?;
                let version = found.strategy.and_then(|it| it.version);
                version.map_or(0, |it| it.version)
            }
        };
        let request = v1::UpdateParametersRequest {
            account_id,
            strategy_id,
            expected_version,
            parameters,
            reset,
            allow_restart,
            request_id,
        };
        let mut strategies = gateway.strategies();
        gateway.answer(strategies.update_parameters(request)).await
    })?;
    let strategy = updated.strategy.unwrap_or_default();
    let applied = strategy_fields::parameters_applied(updated.applied);
    if client.json {
        print_json(
            &json!({ "strategy": strategy_fields::strategy(&strategy), "applied": applied }),
        );
        return Ok(());
    }
    strategy_tables::one(&strategy, false);
    crate::say!("applied: {}", fields::word(&applied, "PARAMETERS_APPLIED_"));
    Ok(())
}

fn parameters(texts: &[String]) -> Result<BTreeMap<String, String>> {
    let pairs = up::parameters(texts)?;
    let mut parameters = BTreeMap::new();
    for (name, value) in pairs {
        anyhow::ensure!(
            parameters.insert(name.clone(), value).is_none(),
            "parameter \"{name}\" is given twice: give each once"
        );
    }
    Ok(parameters)
}
