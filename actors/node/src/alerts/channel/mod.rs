//! The ways in which people are told. Where they go is in the settings alone: nobody who calls the
//! API can make the node send anything anywhere else.

mod email;
mod http;
mod telegram;
#[cfg(test)]
mod tests;
mod webhook;

use super::alert_id;
use super::settings::AlertSettings;
use crate::NodeError;
use apex_domain::UnixNanos;
use apex_domain::alert::{Alert, Notice};
use futures::future::BoxFuture;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long one message may take, connecting included: longer than a busy server pauses.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken {
    /// For an operator; without secrets.
    pub why: String,
    /// The same message will not be taken later either.
    pub for_good: bool,
}

impl NotTaken {
    pub fn later(why: impl Into<String>) -> NotTaken {
        NotTaken {
            why: why.into(),
            for_good: false,
        }
    }
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum MessageKind {
    #[serde(rename = "alert.fired")]
    Fired,
    #[serde(rename = "alert.resolved")]
    Resolved,
    #[serde(rename = "alert.held_back")]
    Summary,
    #[serde(rename = "alert.test")]
    Test,
}

/// One message to people. What is sent again is sent with the same id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Of the message: of one alert its beginning and its end have one each.
    pub id: String,
    #[serde(rename = "type")]
    pub kind: MessageKind,
    pub alert_id: String,
    pub rule_id: String,
    pub subject: String,
    pub account_id: String,
    pub severity: &'static str,
    pub text: String,
    pub value: String,
    pub ts_fired_ns: i64,
    pub ts_resolved_ns: Option<i64>,
    /// Notices that a summary stands for.
    pub held_back: usize,
}

impl Message {
    /// Returns what is said of an alert.
    pub fn of(origin: &str, alert: &Alert, notice: Notice) -> Message {
        let alert_id = alert_id(origin, alert.number);
        let (kind, word) = match notice {
            Notice::Fired => (MessageKind::Fired, "fired"),
            Notice::Resolved => (MessageKind::Resolved, "resolved"),
        };
        let account_id = alert.account_id.as_ref();
        Message {
            id: format!("{alert_id}.{word}"),
            kind,
            alert_id,
            rule_id: alert.rule_id.clone(),
            subject: alert.subject.clone(),
            account_id: account_id.map(ToString::to_string).unwrap_or_default(),
            severity: alert.severity.as_str(),
            text: alert.text.clone(),
            value: alert.value.clone(),
            ts_fired_ns: alert.ts_fired.0,
            ts_resolved_ns: alert.ts_resolved.map(|ts| ts.0),
            held_back: 0,
        }
    }

    /// Returns what is said of notices that were above the rate.
    pub fn summary(origin: &str, now: UnixNanos, count: usize) -> Message {
        Message {
            held_back: count,
            text: format!("{count} more were held back: list them with `apextrade alerts list`"),
            ..Message::bare(
                format!("{origin}.held-back.{}", now.0),
                MessageKind::Summary,
                now,
            )
        }
    }

    /// Returns a message that says that the channel works.
    pub fn test(now: UnixNanos, by: &str) -> Message {
        Message {
            text: format!("a test of this channel, asked for by {by}"),
            ..Message::bare(format!("test.{}", now.0), MessageKind::Test, now)
        }
    }

    fn bare(id: String, kind: MessageKind, now: UnixNanos) -> Message {
        Message {
            id,
            kind,
            alert_id: String::new(),
            rule_id: String::new(),
            subject: String::new(),
            account_id: String::new(),
            severity: "info",
            text: String::new(),
            value: String::new(),
            ts_fired_ns: now.0,
            ts_resolved_ns: None,
            held_back: 0,
        }
    }

    /// Returns one line for a person.
    pub fn headline(&self) -> String {
        let what = match self.kind {
            MessageKind::Fired => self.severity.to_uppercase(),
            MessageKind::Resolved => "RESOLVED".to_owned(),
            MessageKind::Summary => "HELD BACK".to_owned(),
            MessageKind::Test => "TEST".to_owned(),
        };
        format!("[{what}] {}", self.text)
    }
}

/// A way to tell people.
pub trait Channel: Send + Sync {
    fn kind(&self) -> &'static str;

    /// Hands a message over. The caller bounds how long that takes.
    fn send<'a>(
        &'a self,
        message: &'a Message,
        now: UnixNanos,
    ) -> BoxFuture<'a, Result<(), NotTaken>>;
}

/// Channels by name.
pub type Channels = BTreeMap<String, Arc<dyn Channel>>;

/// Makes the channels of the settings.
///
/// Errors: `Usage` says which setting cannot be used and why.
pub fn channels(settings: &AlertSettings) -> Result<Channels, NodeError> {
    let mut channels = Channels::new();
    let mut add = |name: &str, channel: Arc<dyn Channel>| {
        channels.insert(name.to_owned(), channel);
    };
    if let Some(webhook) = &settings.webhook {
        add("webhook", Arc::new(webhook::Webhook::new(webhook)?));
    }
    if let Some(email) = &settings.email {
        add("email", Arc::new(email::Email::new(email)?));
    }
    if let Some(telegram) = &settings.telegram {
        add("telegram", Arc::new(telegram::Telegram::new(telegram)?));
    }
    Ok(channels)
}
