//! `apextrade alerts`.

use super::{Gateway, fields, pages, print_json, request_id, say_cut};
use crate::cli::{
    AckAlertArgs, AlertsAction, AlertsArgs, ClientArgs, ListAlertsArgs, MuteAlertsArgs, PnlArg,
    PriceSideArg, SetRuleArgs, SeverityArg, TestChannelArgs,
};
use crate::commands::block_on;
use crate::config::Settings;
use crate::output::{WrongUsage, table};
use anyhow::Result;
use apex_proto::v1;
use apex_proto::v1::alert_rule::Watch;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Lists alerts and rules, or changes them.
///
/// Errors: a gateway that does not answer, and a refusal.
pub fn run(args: AlertsArgs, settings: &Settings) -> Result<ExitCode> {
    match args.action {
        AlertsAction::List(args) => list(&args, settings),
        AlertsAction::Ack(args) => acknowledge(args, settings),
        AlertsAction::Mute(args) => mute(args, settings),
        AlertsAction::Rules(args) => rules(&args, settings),
        AlertsAction::SetRule(args) => set_rule(*args, settings),
        AlertsAction::Test(args) => test(args, settings),
    }
}

fn severity(severity: SeverityArg) -> v1::AlertSeverity {
    match severity {
        SeverityArg::Info => v1::AlertSeverity::Info,
        SeverityArg::Warning => v1::AlertSeverity::Warning,
        SeverityArg::Critical => v1::AlertSeverity::Critical,
    }
}

fn list(args: &ListAlertsArgs, settings: &Settings) -> Result<ExitCode> {
    let wanted = args
        .severity
        .map_or(v1::AlertSeverity::Unspecified, severity);
    let (alerts, more) = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        pages(args.limit, |page_size, page_token| {
            let request = v1::ListAlertsRequest {
                page_size,
                page_token,
                open_only: args.open,
                rule_id: args.rule.clone().unwrap_or_default(),
                account_id: args.account.clone().unwrap_or_default(),
                min_severity: wanted.into(),
                from_ns: args.from.map_or(0, |it| it.0),
                to_ns: args.to.map_or(0, |it| it.0),
                ..Default::default()
            };
            let gateway = &gateway;
            async move {
                let answer = gateway
                    .answer(gateway.system().list_alerts(request))
                    .await?;
                Ok((answer.alerts, answer.next_page_token))
            }
        })
        .await
    })?;
    if args.client.json {
        let alerts: Vec<Value> = alerts.iter().map(alert).collect();
        print_json(&json!({ "alerts": alerts }));
    } else {
        print(&alerts);
    }
    say_cut(more, args.limit);
    Ok(ExitCode::SUCCESS)
}

fn alert(it: &v1::Alert) -> Value {
    let deliveries: Vec<Value> = it
        .deliveries
        .iter()
        .map(|one| {
            json!({
                "channel": one.channel,
                "resolved": one.resolved,
                "state": one.state().as_str_name(),
            })
        })
        .collect();
    json!({
        "alert_id": it.alert_id,
        "sequence": it.sequence,
        "rule_id": it.rule_id,
        "subject": it.subject,
        "account_id": it.account_id,
        "severity": it.severity().as_str_name(),
        "state": it.state().as_str_name(),
        "text": it.text,
        "value": it.value,
        "ts_fired_ns": it.ts_fired_ns,
        "ts_acknowledged_ns": it.ts_acknowledged_ns,
        "acknowledged_by": it.acknowledged_by,
        "note": it.note,
        "ts_resolved_ns": it.ts_resolved_ns,
        "resolution": it.resolution,
        "deliveries": deliveries,
    })
}

fn print(alerts: &[v1::Alert]) {
    let row = |it: &v1::Alert| {
        vec![
            it.alert_id.clone(),
            fields::time(it.ts_fired_ns),
            fields::word(it.severity().as_str_name(), "ALERT_SEVERITY_"),
            fields::word(it.state().as_str_name(), "ALERT_STATE_"),
            it.rule_id.clone(),
            it.acknowledged_by.clone(),
            it.text.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = alerts.iter().map(row).collect();
    let headings = [
        "ALERT", "FIRED", "SEVERITY", "STATE", "RULE", "SEEN BY", "TEXT",
    ];
    table(&headings, &rows);
}

fn acknowledge(args: AckAlertArgs, settings: &Settings) -> Result<ExitCode> {
    let request = v1::AckAlertRequest {
        alert_id: args.alert_id,
        note: args.note,
        request_id: request_id(args.request)?,
    };
    let found = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        gateway.answer(gateway.system().ack_alert(request)).await
    })?;
    if args.client.json {
        print_json(&alert(&found));
    } else {
        print(&[found]);
    }
    Ok(ExitCode::SUCCESS)
}

fn mute(args: MuteAlertsArgs, settings: &Settings) -> Result<ExitCode> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let request = v1::MuteAlertsRequest {
        rule_id: args.rule.unwrap_or_default(),
        until_ns: match args.span {
            0 => 0,
            span => i64::try_from(now)?.saturating_add(span),
        },
        reason: args.reason,
        request_id: request_id(args.request)?,
    };
    let found = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        gateway.answer(gateway.system().mute_alerts(request)).await
    })?;
    let what = match found.rule_id.as_str() {
        "" => "all alerts".to_owned(),
        rule_id => format!("alerts of rule {rule_id}"),
    };
    if args.client.json {
        print_json(&muted(&found));
    } else if found.until_ns == 0 {
        crate::say!("{what} are sent again");
    } else {
        crate::say!("{what} are not sent until {}", fields::time(found.until_ns));
    }
    Ok(ExitCode::SUCCESS)
}

fn muted(it: &v1::AlertMute) -> Value {
    json!({ "rule_id": it.rule_id, "until_ns": it.until_ns, "by": it.by, "reason": it.reason })
}

/// Reads every rule; the first page has mutes and channels.
async fn all_rules(gateway: &Gateway) -> Result<v1::ListAlertRulesResponse> {
    let mut all = v1::ListAlertRulesResponse::default();
    loop {
        let request = v1::ListAlertRulesRequest {
            page_size: 1_000,
            page_token: all.next_page_token.clone(),
        };
        let page = gateway
            .answer(gateway.system().list_alert_rules(request))
            .await?;
        all.rules.extend(page.rules);
        all.mutes.extend(page.mutes);
        all.channels.extend(page.channels);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            return Ok(all);
        }
    }
}

fn rules(args: &ClientArgs, settings: &Settings) -> Result<ExitCode> {
    let found = block_on(async {
        let gateway = Gateway::open(args, settings).await?;
        all_rules(&gateway).await
    })?;
    if args.json {
        let rules: Vec<Value> = found.rules.iter().map(rule).collect();
        let mutes: Vec<Value> = found.mutes.iter().map(muted).collect();
        let channels: Vec<Value> = found.channels.iter().map(channel).collect();
        print_json(&json!({ "rules": rules, "mutes": mutes, "channels": channels }));
        return Ok(ExitCode::SUCCESS);
    }
    let row = |it: &v1::AlertRule| {
        vec![
            it.rule_id.clone(),
            it.version.to_string(),
            fields::word(it.severity().as_str_name(), "ALERT_SEVERITY_"),
            if it.enabled { "yes" } else { "no" }.to_owned(),
            watch(it).to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = found.rules.iter().map(row).collect();
    table(
        &["RULE", "VERSION", "SEVERITY", "ENABLED", "WATCHES"],
        &rows,
    );
    for it in &found.mutes {
        let what = if it.rule_id.is_empty() {
            "all"
        } else {
            &it.rule_id
        };
        crate::say!(
            "muted until {}: {what} (by {})",
            fields::time(it.until_ns),
            it.by
        );
    }
    for it in &found.channels {
        crate::say!(
            "channel {}: {} sent, {} wait, {} held back, {} failed, {} dropped{}",
            it.name,
            it.sent,
            it.waiting,
            it.held_back,
            it.failed,
            it.dropped,
            if it.last_error.is_empty() {
                String::new()
            } else {
                format!("; {}", it.last_error)
            }
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn channel(it: &v1::AlertChannel) -> Value {
    json!({
        "name": it.name,
        "kind": it.kind,
        "waiting": it.waiting,
        "held_back": it.held_back,
        "sent": it.sent,
        "failed": it.failed,
        "dropped": it.dropped,
        "summarized": it.summarized,
        "failures": it.failures,
        "last_error": it.last_error,
        "ts_sent_ns": it.ts_sent_ns,
    })
}

fn watch(rule: &v1::AlertRule) -> Value {
    match &rule.watch {
        None => Value::Null,
        Some(Watch::Price(it)) => json!({ "price": {
            "instrument_id": it.instrument_id,
            "side": it.side().as_str_name(),
            "condition": it.condition().as_str_name(),
            "level": it.level,
            "rearm": it.rearm,
        }}),
        Some(Watch::Pnl(it)) => json!({ "pnl": {
            "account_id": it.account_id,
            "measure": it.measure().as_str_name(),
            "condition": it.condition().as_str_name(),
            "level": it.level,
            "rearm": it.rearm,
        }}),
        Some(Watch::Drawdown(it)) => json!({ "drawdown": {
            "account_id": it.account_id, "share": it.share, "rearm": it.rearm,
        }}),
        Some(Watch::Stale(it)) => json!({ "stale": {
            "instrument_id": it.instrument_id, "venue": it.venue, "after_ns": it.after_ns,
        }}),
        Some(Watch::Rejects(it)) => json!({ "rejects": {
            "account_id": it.account_id, "count": it.count, "window_ns": it.window_ns,
        }}),
        Some(Watch::Component(it)) => json!({ "component": { "name": it.name } }),
        Some(Watch::Disk(it)) => json!({ "disk": {
            "path": it.path, "free_bytes": it.free_bytes, "free_share": it.free_share,
        }}),
        Some(Watch::Certificate(it)) => json!({ "certificate": { "days": it.days } }),
    }
}

fn rule(it: &v1::AlertRule) -> Value {
    json!({
        "rule_id": it.rule_id,
        "version": it.version,
        "title": it.title,
        "enabled": it.enabled,
        "severity": it.severity().as_str_name(),
        "watch": watch(it),
        "hold_ns": it.hold_ns,
        "cooldown_ns": it.cooldown_ns,
        "channels": it.channels,
        "notify_resolved": it.notify_resolved,
        "ts_updated_ns": it.ts_updated_ns,
        "updated_by": it.updated_by,
    })
}

/// Errors: a price or profit without the level that it is held against.
fn level(args: &SetRuleArgs) -> Result<(v1::AlertCondition, String)> {
    let given = [
        (v1::AlertCondition::Above, &args.above),
        (v1::AlertCondition::Below, &args.below),
        (v1::AlertCondition::Crosses, &args.crosses),
    ];
    let mut given = given
        .into_iter()
        .filter_map(|(how, level)| Some((how, level.clone()?)));
    given.next().ok_or_else(|| {
        WrongUsage("--price and --pnl need --above, --below or --crosses with a level".into())
            .into()
    })
}

fn read_watch(args: &SetRuleArgs) -> Result<Option<Watch>> {
    let account_id = args.account.clone();
    let rearm = args.rearm.clone();
    if let Some(instrument_id) = &args.price {
        let (condition, level) = level(args)?;
        let side = match args.side {
            PriceSideArg::Bid => v1::AlertPriceSide::Bid,
            PriceSideArg::Ask => v1::AlertPriceSide::Ask,
            PriceSideArg::Last => v1::AlertPriceSide::Last,
            PriceSideArg::Mid => v1::AlertPriceSide::Mid,
        };
        return Ok(Some(Watch::Price(v1::AlertOnPrice {
            instrument_id: instrument_id.clone(),
            side: side.into(),
            condition: condition.into(),
            level,
            rearm,
        })));
    }
    if let Some(measure) = args.pnl {
        let (condition, level) = level(args)?;
        let measure = match measure {
            PnlArg::Realized => v1::AlertPnlMeasure::Realized,
            PnlArg::Unrealized => v1::AlertPnlMeasure::Unrealized,
            PnlArg::Day => v1::AlertPnlMeasure::Day,
        };
        return Ok(Some(Watch::Pnl(v1::AlertOnPnl {
            account_id,
            measure: measure.into(),
            condition: condition.into(),
            level,
            rearm,
        })));
    }
    if let Some(share) = args.drawdown.clone() {
        return Ok(Some(Watch::Drawdown(v1::AlertOnDrawdown {
            account_id,
            share,
            rearm,
        })));
    }
    Ok(read_machine_watch(args, account_id))
}

fn read_machine_watch(args: &SetRuleArgs, account_id: String) -> Option<Watch> {
    if let Some(after_ns) = args.stale {
        return Some(Watch::Stale(v1::AlertOnStale {
            instrument_id: args.instrument.clone(),
            venue: args.venue.clone(),
            after_ns,
        }));
    }
    if let Some(count) = args.rejects {
        return Some(Watch::Rejects(v1::AlertOnRejects {
            account_id,
            count,
            window_ns: args.within,
        }));
    }
    if let Some(name) = args.component.clone() {
        return Some(Watch::Component(v1::AlertOnComponent { name }));
    }
    if let Some(days) = args.certificate {
        return Some(Watch::Certificate(v1::AlertOnCertificate { days }));
    }
    if args.delete {
        return None;
    }
    Some(Watch::Disk(v1::AlertOnDisk {
        path: args.disk_path.clone(),
        free_bytes: args.disk_free,
        free_share: args.disk_share.clone().unwrap_or_default(),
    }))
}

fn set_rule(args: SetRuleArgs, settings: &Settings) -> Result<ExitCode> {
    let wanted = v1::AlertRule {
        rule_id: args.rule_id.clone(),
        title: args.title.clone(),
        enabled: !args.disabled,
        severity: severity(args.severity).into(),
        watch: read_watch(&args)?,
        hold_ns: args.hold,
        cooldown_ns: args.cooldown,
        channels: args.channels.clone(),
        notify_resolved: args.notify_resolved,
        ..Default::default()
    };
    let request_id = request_id(args.request)?;
    let set = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        let expected_version = match args.expected_version {
            Some(version) => version,
            None => {
                let known = all_rules(&gateway).await?.rules;
                let known = known.iter().find(|rule| rule.rule_id == args.rule_id);
                known.map_or(0, |rule| rule.version)
            }
        };
        let request = v1::SetAlertRuleRequest {
            rule: Some(wanted),
            delete: args.delete,
            expected_version,
            request_id,
        };
        gateway
            .answer(gateway.system().set_alert_rule(request))
            .await
    })?;
    match (&set.rule, args.client.json) {
        (it, true) => print_json(&json!({ "rule": it.as_ref().map(rule) })),
        (Some(it), false) => crate::say!("rule {} is at version {}", it.rule_id, it.version),
        (None, false) => crate::say!("rule {} is deleted", args.rule_id),
    }
    Ok(ExitCode::SUCCESS)
}

fn test(args: TestChannelArgs, settings: &Settings) -> Result<ExitCode> {
    let request = v1::TestAlertChannelRequest {
        channel: args.channel.clone(),
        request_id: request_id(args.request)?,
    };
    let found = block_on(async {
        let gateway = Gateway::open(&args.client, settings).await?;
        gateway
            .answer(gateway.system().test_alert_channel(request))
            .await
    })?;
    let took_ms = found.took_ns / 1_000_000;
    if args.client.json {
        let v1::TestAlertChannelResponse {
            delivered,
            error,
            took_ns,
        } = &found;
        print_json(&json!({ "delivered": delivered, "error": error, "took_ns": took_ns }));
    } else if found.delivered {
        crate::say!("{} took the message in {took_ms} ms", args.channel);
    } else {
        let why = &found.error;
        crate::say!("{} did not take the message: {why}", args.channel);
    }
    Ok(match found.delivered {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
