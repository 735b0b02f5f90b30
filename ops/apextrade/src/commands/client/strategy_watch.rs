//! `apextrade strategies watch`.

use super::watch::{End, SILENCE_LIMIT, ended, reopen, write_line};
use super::{Gateway, fields, strategy_fields};
use crate::cli::WatchStrategiesArgs;
use crate::commands::block_on;
use crate::config::Settings;
use anyhow::{Context, Result, anyhow};
use apex_proto::v1;
use apex_proto::v1::stream_strategy_events_response::Item;
use serde_json::json;
use std::process::ExitCode;
use tokio::time::timeout;

/// Prints what happens, until Ctrl-C or until nobody reads any more. A lost stream is taken up again;
/// what is missing then is told.
///
/// Errors: a refusal, and a gateway that does not come back.
pub fn run(args: &WatchStrategiesArgs, settings: &Settings) -> Result<ExitCode> {
    block_on(async {
        tokio::select! {
            biased;
            stopped = tokio::signal::ctrl_c() => stopped.context("cannot wait for Ctrl-C")?,
            ended = watch(args, settings) => ended?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn watch(args: &WatchStrategiesArgs, settings: &Settings) -> Result<()> {
    let mut resume_token = String::new();
    let mut gateway = Gateway::open(&args.client, settings).await?;
    loop {
        let lost = match follow(args, &gateway, &mut resume_token).await? {
            End::NoReader => return Ok(()),
            End::Lost(lost) => lost,
        };
        if resume_token.is_empty() {
            // Nothing was seen yet: taking it up again could leave a hole.
            return Err(lost);
        }
        crate::tell!("the stream was lost ({lost:#}), connecting again");
        gateway = reopen(&args.client, settings).await.context(lost)?;
    }
}

/// Errors: a refusal, which trying again does not mend.
async fn follow(
    args: &WatchStrategiesArgs,
    gateway: &Gateway,
    resume_token: &mut String,
) -> Result<End> {
    let request = v1::StreamStrategyEventsRequest {
        account_id: args.account.clone().unwrap_or_default(),
        strategy_id: args.strategy.clone().unwrap_or_default(),
        resume_token: resume_token.clone(),
    };
    let mut stream = match gateway.strategies().stream_strategy_events(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return ended(gateway, &status),
    };
    loop {
        let message = match timeout(SILENCE_LIMIT, stream.message()).await {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => return Ok(End::Lost(anyhow!("gateway {} ended it", gateway.url))),
            Ok(Err(status)) => return ended(gateway, &status),
            Err(_) => return Ok(End::Lost(anyhow!("no sign of life for {SILENCE_LIMIT:?}"))),
        };
        if let Some(line) = message.item.and_then(|item| line(args.client.json, &item))
            && !write_line(&line)?
        {
            return Ok(End::NoReader);
        }
        *resume_token = message.resume_token;
    }
}

fn line(json: bool, item: &Item) -> Option<String> {
    match item {
        Item::Heartbeat(_) => None,
        Item::Gap(gap) if json => {
            let gap = json!({ "gap": { "events": gap.events, "reason": gap.reason } });
            Some(gap.to_string())
        }
        Item::Gap(gap) => Some(format!(
            "-- {} events are missing: {}",
            gap.events, gap.reason
        )),
        Item::Event(event) if json => Some(strategy_fields::deployment_event(event).to_string()),
        Item::Event(event) => Some(words(event)),
    }
}

fn words(event: &v1::DeploymentEvent) -> String {
    let kind = strategy_fields::deployment_event_kind(event.kind);
    let mut words = vec![
        fields::time(event.ts_ns),
        event.account_id.clone(),
        event.strategy_id.clone(),
        fields::word(&kind, "DEPLOYMENT_EVENT_KIND_"),
    ];
    match event.kind() {
        v1::DeploymentEventKind::StateChanged => {
            let state = strategy_fields::strategy_state(event.state);
            words.push(fields::word(&state, "STRATEGY_STATE_"));
        }
        v1::DeploymentEventKind::Log => {
            let level = strategy_fields::log_level(event.level);
            words.push(fields::word(&level, "LOG_LEVEL_"));
        }
        v1::DeploymentEventKind::Deployed | v1::DeploymentEventKind::ParametersChanged => {
            words.push(format!("version {}", event.version));
        }
        _ => words.push(event.count.to_string()),
    }
    if !event.by.is_empty() {
        words.push(format!("by {}", event.by));
    }
    if !event.text.is_empty() {
        words.push(event.text.clone());
    }
    words.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = v1::DeploymentEvent {
            ts_ns: 1_000_000_000,
            account_id: "paper".into(),
            strategy_id: "ema".into(),
            kind: v1::DeploymentEventKind::StateChanged.into(),
            state: v1::StrategyState::BackingOff.into(),
            text: "panicked: a".into(),
            ..Default::default()
        };
        assert_eq!(
            line(false, &Item::Event(event.clone())).unwrap(),
            "1970-01-01T00:00:01.000Z  paper  ema  state_changed  backing_off  panicked: a"
        );
        let text = line(true, &Item::Event(event)).unwrap();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["state"], "STRATEGY_STATE_BACKING_OFF");
        assert_eq!(line(true, &Item::Heartbeat(v1::Heartbeat::default())), None);
    }
}
