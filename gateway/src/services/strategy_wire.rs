//! Deployed strategies, as they are written on the wire.

use apex_bus::strategies::{
    Applied, BudgetUse, LogLine, ParameterInfo, ParameterKind, StrategyEvent, StrategyEventKind,
    StrategyInfo, StrategyTypeInfo, VersionInfo,
};
use apex_domain::deployment::{DeploymentState, RestartPolicy};
use apex_domain::order::Order;
use apex_proto::v1;

pub(super) fn strategy_type(info: StrategyTypeInfo) -> v1::StrategyType {
    v1::StrategyType {
        strategy_type: info.name,
        description: info.help,
        code_version: info.code_version,
        parameters: info.parameters.into_iter().map(parameter).collect(),
    }
}

fn parameter(info: ParameterInfo) -> v1::StrategyParameter {
    let (kind, choices) = match info.kind {
        ParameterKind::Integer => (v1::ParameterKind::Integer, Vec::new()),
        ParameterKind::Decimal => (v1::ParameterKind::Decimal, Vec::new()),
        ParameterKind::Choice(words) => (v1::ParameterKind::Choice, words),
    };
    v1::StrategyParameter {
        name: info.name,
        kind: kind.into(),
        default_value: info.default.unwrap_or_default(),
        min: info.min.unwrap_or_default(),
        max: info.max.unwrap_or_default(),
        choices,
        unit: info.unit.unwrap_or_default(),
        live: info.live,
        help: info.help,
    }
}

pub(super) fn strategy(info: StrategyInfo) -> v1::Strategy {
    v1::Strategy {
        account_id: info.key.0.to_string(),
        strategy_id: info.key.1.to_string(),
        strategy_type: info.strategy_type,
        state: state(info.state).into(),
        reason: info.reason,
        // Accounts of this build trade on paper.
        mode: v1::StrategyMode::Paper.into(),
        restart_policy: match info.restart {
            RestartPolicy::Always => v1::RestartPolicy::Always,
            RestartPolicy::OnFailure => v1::RestartPolicy::OnFailure,
            RestartPolicy::Never => v1::RestartPolicy::Never,
        }
        .into(),
        version: Some(version(info.version)),
        connected: info.connected,
        restarts: info.restarts,
        changed_by: info.by,
        ts_created_ns: info.created.0,
        ts_changed_ns: info.changed.0,
    }
}

pub(super) fn version(info: VersionInfo) -> v1::StrategyVersion {
    v1::StrategyVersion {
        version: info.version,
        content_hash: info.content_hash,
        code_version: info.code_version,
        instrument_ids: info.instruments,
        parameters: info.parameters,
        created_by: info.by,
        ts_created_ns: info.created.0,
    }
}

pub(super) fn state(state: DeploymentState) -> v1::StrategyState {
    match state {
        DeploymentState::Deployed => v1::StrategyState::Deployed,
        DeploymentState::Starting => v1::StrategyState::Starting,
        DeploymentState::Running => v1::StrategyState::Running,
        DeploymentState::Paused => v1::StrategyState::Paused,
        DeploymentState::BackingOff => v1::StrategyState::BackingOff,
        DeploymentState::Stopping => v1::StrategyState::Stopping,
        DeploymentState::Stopped => v1::StrategyState::Stopped,
        DeploymentState::Quarantined => v1::StrategyState::Quarantined,
    }
}

pub(super) fn applied(applied: Applied) -> v1::ParametersApplied {
    match applied {
        Applied::Live => v1::ParametersApplied::Live,
        Applied::Restarted => v1::ParametersApplied::Restarted,
        Applied::NextStart => v1::ParametersApplied::NextStart,
        Applied::Unchanged => v1::ParametersApplied::Unchanged,
    }
}

pub(super) fn canceled(order: &Order) -> v1::CanceledOrder {
    v1::CanceledOrder {
        order_id: order.order_id.to_string(),
        client_order_id: order.request.client_order_id.to_string(),
        instrument_id: order.request.instrument_id.to_string(),
    }
}

pub(super) fn budget(used: BudgetUse) -> v1::StrategyBudget {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    v1::StrategyBudget {
        orders_in_last_second: count(used.orders_in_last_second),
        orders_per_second: count(used.orders_per_second),
        messages_in_last_second: count(used.messages_in_last_second),
        messages_per_second: count(used.messages_per_second),
        unanswered_batches: count(used.unanswered_batches),
        window: count(used.window),
        oldest_unanswered_ns: used.oldest_unanswered_ns,
        answer_timeout_ns: used.answer_timeout_ns,
    }
}

pub(super) fn event(event: &StrategyEvent) -> v1::DeploymentEvent {
    let mut written = v1::DeploymentEvent {
        sequence: event.sequence,
        ts_ns: event.ts.0,
        account_id: event.account_id.to_string(),
        strategy_id: event.strategy_id.to_string(),
        by: event.by.clone(),
        text: event.text.clone(),
        ..Default::default()
    };
    let kind = match event.kind {
        StrategyEventKind::Deployed { version } => {
            written.version = version;
            v1::DeploymentEventKind::Deployed
        }
        StrategyEventKind::StateChanged { state: now } => {
            written.set_state(state(now));
            v1::DeploymentEventKind::StateChanged
        }
        StrategyEventKind::Restarted { restarts } => {
            written.count = restarts;
            v1::DeploymentEventKind::Restarted
        }
        StrategyEventKind::ParametersChanged { version } => {
            written.version = version;
            v1::DeploymentEventKind::ParametersChanged
        }
        StrategyEventKind::Log(line) => {
            written.set_level(match line {
                LogLine::Debug => v1::LogLevel::Debug,
                LogLine::Info => v1::LogLevel::Info,
                LogLine::Warn => v1::LogLevel::Warn,
                LogLine::Error => v1::LogLevel::Error,
            });
            v1::DeploymentEventKind::Log
        }
        StrategyEventKind::LogCut { lines } => {
            written.count = lines;
            v1::DeploymentEventKind::LogCut
        }
    };
    written.set_kind(kind);
    written
}
