//! Deployed strategies as JSON.

use super::fields::trading_state;
use apex_proto::v1;
use serde_json::{Value, json};

macro_rules! name {
    ($kind:ident, $value:expr) => {
        match v1::$kind::try_from($value) {
            Ok(known) => known.as_str_name().to_owned(),
            Err(_) => $value.to_string(),
        }
    };
}

pub fn strategy_state(value: i32) -> String {
    name!(StrategyState, value)
}

pub fn restart_policy(value: i32) -> String {
    name!(RestartPolicy, value)
}

pub fn parameter_kind(value: i32) -> String {
    name!(ParameterKind, value)
}

pub fn parameters_applied(value: i32) -> String {
    name!(ParametersApplied, value)
}

pub fn deployment_event_kind(value: i32) -> String {
    name!(DeploymentEventKind, value)
}

pub fn log_level(value: i32) -> String {
    name!(LogLevel, value)
}

pub fn strategy_type(found: &v1::StrategyType) -> Value {
    let parameters: Vec<Value> = found.parameters.iter().map(parameter).collect();
    json!({
        "strategy_type": found.strategy_type,
        "description": found.description,
        "code_version": found.code_version,
        "parameters": parameters,
    })
}

fn parameter(found: &v1::StrategyParameter) -> Value {
    json!({
        "name": found.name,
        "kind": parameter_kind(found.kind),
        "default_value": found.default_value,
        "min": found.min,
        "max": found.max,
        "choices": found.choices,
        "unit": found.unit,
        "live": found.live,
        "help": found.help,
    })
}

pub fn strategy(found: &v1::Strategy) -> Value {
    json!({
        "account_id": found.account_id,
        "strategy_id": found.strategy_id,
        "strategy_type": found.strategy_type,
        "state": strategy_state(found.state),
        "reason": found.reason,
        "mode": name!(StrategyMode, found.mode),
        "restart_policy": restart_policy(found.restart_policy),
        "version": found.version.as_ref().map(version),
        "connected": found.connected,
        "restarts": found.restarts,
        "changed_by": found.changed_by,
        "ts_created_ns": found.ts_created_ns,
        "ts_changed_ns": found.ts_changed_ns,
    })
}

pub fn version(found: &v1::StrategyVersion) -> Value {
    json!({
        "version": found.version,
        "content_hash": found.content_hash,
        "code_version": found.code_version,
        "instrument_ids": found.instrument_ids,
        "parameters": found.parameters,
        "created_by": found.created_by,
        "ts_created_ns": found.ts_created_ns,
    })
}

pub fn canceled_orders(found: &[v1::CanceledOrder]) -> Value {
    let one = |order: &v1::CanceledOrder| {
        json!({
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "instrument_id": order.instrument_id,
        })
    };
    found.iter().map(one).collect()
}

pub fn strategy_details(found: &v1::StrategyDetails, versions: &[v1::StrategyVersion]) -> Value {
    let holding = |holding: &v1::StrategyHolding| {
        json!({
            "instrument_id": holding.instrument_id,
            "quantity": holding.quantity,
            "average_price": holding.average_price,
        })
    };
    let pnl = |pnl: &v1::StrategyPnl| {
        json!({
            "currency": pnl.currency,
            "realized_pnl": pnl.realized_pnl,
            "unrealized_pnl": pnl.unrealized_pnl,
            "fees": pnl.fees,
            "funding": pnl.funding,
            "net_pnl": pnl.net_pnl,
        })
    };
    let positions: Vec<Value> = found.positions.iter().map(holding).collect();
    let profits: Vec<Value> = found.pnl.iter().map(pnl).collect();
    let versions: Vec<Value> = versions.iter().map(version).collect();
    json!({
        "strategy": found.strategy.as_ref().map(strategy),
        "positions": positions,
        "working_orders": found.working_orders,
        "pnl": profits,
        "pnl_partial": found.pnl_partial,
        "budget": found.budget.as_ref().map(budget),
        "trading_state": trading_state(found.trading_state),
        "versions": versions,
    })
}

fn budget(found: &v1::StrategyBudget) -> Value {
    json!({
        "orders_in_last_second": found.orders_in_last_second,
        "orders_per_second": found.orders_per_second,
        "messages_in_last_second": found.messages_in_last_second,
        "messages_per_second": found.messages_per_second,
        "unanswered_batches": found.unanswered_batches,
        "window": found.window,
        "oldest_unanswered_ns": found.oldest_unanswered_ns,
        "answer_timeout_ns": found.answer_timeout_ns,
    })
}

pub fn deployment_event(found: &v1::DeploymentEvent) -> Value {
    json!({
        "sequence": found.sequence,
        "ts_ns": found.ts_ns,
        "account_id": found.account_id,
        "strategy_id": found.strategy_id,
        "kind": deployment_event_kind(found.kind),
        "state": strategy_state(found.state),
        "version": found.version,
        "count": found.count,
        "level": log_level(found.level),
        "by": found.by,
        "text": found.text,
    })
}
