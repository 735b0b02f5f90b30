//! Alerts and rules as they are answered.

use super::Wire;
use crate::v1;
use apex_domain::AccountId;
use apex_domain::UnixNanos;
use apex_domain::alert::{
    Alert, AlertState, Delivery, Direction, FeedScope, Notice, PnlMeasure, PriceSide, PriceWhen,
    Rule, Severity, Watch,
};

/// Returns what an alert is called outside.
pub fn alert_id(origin: &str, number: u64) -> String {
    format!("{origin}-{number}")
}

/// Returns the number of an alert of this origin; `None` of a text that names none of it.
pub fn read_alert_id(origin: &str, alert_id: &str) -> Option<u64> {
    let number = alert_id.strip_prefix(origin)?.strip_prefix('-')?;
    let read: u64 = number.parse().ok()?;
    (read.to_string() == number).then_some(read)
}

/// Writes an alert.
pub fn alert(origin: &str, alert: &Alert) -> v1::Alert {
    let ns = |ts: Option<UnixNanos>| ts.map_or(0, |ts| ts.0);
    let account_id = alert.account_id.as_ref();
    let deliveries = alert.deliveries.iter().flat_map(|(notice, channels)| {
        channels.iter().map(|(channel, state)| v1::AlertDelivery {
            channel: channel.clone(),
            resolved: *notice == Notice::Resolved,
            state: delivery(*state).into(),
        })
    });
    v1::Alert {
        alert_id: alert_id(origin, alert.number),
        sequence: alert.sequence,
        rule_id: alert.rule_id.clone(),
        subject: alert.subject.clone(),
        account_id: account_id.map(ToString::to_string).unwrap_or_default(),
        severity: severity(alert.severity).into(),
        state: match alert.state {
            AlertState::Firing => v1::AlertState::Firing,
            AlertState::Acknowledged => v1::AlertState::Acknowledged,
            AlertState::Resolved => v1::AlertState::Resolved,
        }
        .into(),
        text: alert.text.clone(),
        value: alert.value.clone(),
        ts_fired_ns: alert.ts_fired.0,
        ts_acknowledged_ns: ns(alert.ts_acknowledged),
        acknowledged_by: alert.acknowledged_by.clone(),
        note: alert.note.clone(),
        ts_resolved_ns: ns(alert.ts_resolved),
        resolution: alert.resolution.clone(),
        deliveries: deliveries.collect(),
    }
}

fn severity(severity: Severity) -> v1::AlertSeverity {
    match severity {
        Severity::Info => v1::AlertSeverity::Info,
        Severity::Warning => v1::AlertSeverity::Warning,
        Severity::Critical => v1::AlertSeverity::Critical,
    }
}

fn delivery(delivery: Delivery) -> v1::AlertDeliveryState {
    match delivery {
        Delivery::Pending => v1::AlertDeliveryState::Pending,
        Delivery::Sent => v1::AlertDeliveryState::Sent,
        Delivery::Muted => v1::AlertDeliveryState::Muted,
        Delivery::HeldBack => v1::AlertDeliveryState::HeldBack,
        Delivery::Summarized => v1::AlertDeliveryState::Summarized,
        Delivery::Dropped => v1::AlertDeliveryState::Dropped,
        Delivery::Failed => v1::AlertDeliveryState::Failed,
    }
}

/// Writes a rule.
pub fn rule(rule: &Rule) -> v1::AlertRule {
    v1::AlertRule {
        rule_id: rule.rule_id.clone(),
        version: rule.version,
        title: rule.title.clone(),
        enabled: rule.enabled,
        severity: severity(rule.severity).into(),
        watch: Some(watch(&rule.watch)),
        hold_ns: rule.hold_ns,
        cooldown_ns: rule.cooldown_ns,
        channels: rule.channels.clone(),
        notify_resolved: rule.notify_resolved,
        ts_updated_ns: rule.updated.0,
        updated_by: rule.updated_by.clone(),
    }
}

pub(super) fn watch(watch: &Watch) -> Wire {
    let id = |id: &Option<AccountId>| id.as_ref().map(ToString::to_string).unwrap_or_default();
    match watch {
        Watch::Price {
            instrument_id,
            side,
            when,
            level,
            rearm,
        } => Wire::Price(v1::AlertOnPrice {
            instrument_id: instrument_id.to_string(),
            side: match side {
                PriceSide::Bid => v1::AlertPriceSide::Bid,
                PriceSide::Ask => v1::AlertPriceSide::Ask,
                PriceSide::Last => v1::AlertPriceSide::Last,
                PriceSide::Mid => v1::AlertPriceSide::Mid,
            }
            .into(),
            condition: match when {
                PriceWhen::Above => v1::AlertCondition::Above,
                PriceWhen::Below => v1::AlertCondition::Below,
                PriceWhen::Crosses => v1::AlertCondition::Crosses,
            }
            .into(),
            level: level.to_string(),
            rearm: rearm.to_string(),
        }),
        Watch::Pnl {
            account_id,
            measure,
            direction,
            level,
            rearm,
        } => Wire::Pnl(v1::AlertOnPnl {
            account_id: id(account_id),
            measure: match measure {
                PnlMeasure::Realized => v1::AlertPnlMeasure::Realized,
                PnlMeasure::Unrealized => v1::AlertPnlMeasure::Unrealized,
                PnlMeasure::Day => v1::AlertPnlMeasure::Day,
            }
            .into(),
            condition: match direction {
                Direction::Above => v1::AlertCondition::Above,
                Direction::Below => v1::AlertCondition::Below,
            }
            .into(),
            level: level.to_string(),
            rearm: rearm.to_string(),
        }),
        Watch::Drawdown {
            account_id,
            share,
            rearm,
        } => Wire::Drawdown(v1::AlertOnDrawdown {
            account_id: id(account_id),
            share: share.to_string(),
            rearm: rearm.to_string(),
        }),
        Watch::Stale { scope, after_ns } => {
            let (instrument_id, venue) = match scope {
                FeedScope::All => (String::new(), String::new()),
                FeedScope::Instrument(id) => (id.to_string(), String::new()),
                FeedScope::Venue(venue) => (String::new(), venue.clone()),
            };
            Wire::Stale(v1::AlertOnStale {
                instrument_id,
                venue,
                after_ns: *after_ns,
            })
        }
        Watch::Rejects {
            account_id,
            count,
            window_ns,
        } => Wire::Rejects(v1::AlertOnRejects {
            account_id: id(account_id),
            count: *count,
            window_ns: *window_ns,
        }),
        Watch::Component { name } => Wire::Component(v1::AlertOnComponent { name: name.clone() }),
        Watch::Disk {
            path,
            free_bytes,
            free_share,
        } => Wire::Disk(v1::AlertOnDisk {
            path: path.clone(),
            free_bytes: *free_bytes,
            free_share: free_share
                .map(|share| share.to_string())
                .unwrap_or_default(),
        }),
        Watch::Certificate { days } => Wire::Certificate(v1::AlertOnCertificate { days: *days }),
    }
}
