//! Alerts: rules over prices, accounts, feeds and machines, and what becomes of each.
//!
//! A [`Rule`] says what is watched, from which level on, and for how long. The [`AlertMachine`] takes
//! [`Reading`]s and the time, and says what fires and what is over; of one rule and one subject at
//! most one [`Alert`] is open. A reading that is not known is no reading: nothing fires and nothing
//! resolves by it. [`Outbox`] decides for one channel what is sent when.
//!
//! Every bound is inclusive: a rule for 100 fires at exactly 100.

mod baseline;
mod check;
mod machine;
mod measure;
mod outbox;
mod rule;
#[cfg(test)]
mod tests;

pub use baseline::Baseline;
pub use check::RuleError;
pub use machine::{AlertMachine, Effect, MAX_OPEN, MAX_TRACKS};
pub use measure::Reading;
pub use outbox::{ChannelLimits, Job, Outbox, Outcomes, Parcel, Tried};
pub use rule::{
    Direction, FeedScope, MAX_HOLD_NS, MAX_RULES, PnlMeasure, PriceSide, PriceWhen, Rule, Severity,
    Watch,
};

use crate::id::AccountId;
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// What it is about lasts, and nobody has said that they know.
    Firing,
    /// What it is about lasts, and somebody sees to it.
    Acknowledged,
    /// It is over.
    Resolved,
}

/// What is sent of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Notice {
    /// It fires.
    Fired,
    /// It is over.
    Resolved,
}

/// What became of one notice on one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// It is to be sent, or was and nobody knows whether it arrived.
    Pending,
    /// The channel took it.
    Sent,
    /// Not sent: it was muted when it came up.
    Muted,
    /// Not sent by itself: above the channel's rate, to be told in a summary.
    HeldBack,
    /// Told as a part of a summary.
    Summarized,
    /// Not sent: too much waited for the channel.
    Dropped,
    /// The channel took it at no attempt until it was too old, or refused it for good.
    Failed,
}

/// One alert: that a rule fired for a subject, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// From 1, in the order in which they fired.
    pub number: u64,
    /// Which change of any alert was the last of this one.
    pub sequence: u64,
    /// The rule, as it was in `rule_version`.
    pub rule_id: String,
    pub rule_version: u64,
    /// What it is about, such as an instrument or `disk /data`.
    pub subject: String,
    /// Whose it is, where it is an account's: only who may see that sees it.
    pub account_id: Option<AccountId>,
    pub severity: Severity,
    pub state: AlertState,
    /// In words, for a person.
    pub text: String,
    /// What was measured when it fired.
    pub value: String,
    pub ts_fired: UnixNanos,
    pub ts_acknowledged: Option<UnixNanos>,
    pub acknowledged_by: String,
    pub note: String,
    pub ts_resolved: Option<UnixNanos>,
    /// Why it is over.
    pub resolution: String,
    /// By notice and channel.
    pub deliveries: BTreeMap<Notice, BTreeMap<String, Delivery>>,
}

impl Alert {
    /// Returns true while what it is about lasts.
    pub fn is_open(&self) -> bool {
        self.state != AlertState::Resolved
    }

    /// Takes over that somebody sees to it. Returns false, and changes nothing, where somebody does
    /// already or where it is over.
    pub fn acknowledge(&mut self, now: UnixNanos, by: &str, note: &str) -> bool {
        if self.state != AlertState::Firing {
            return false;
        }
        self.state = AlertState::Acknowledged;
        self.ts_acknowledged = Some(now);
        by.clone_into(&mut self.acknowledged_by);
        note.clone_into(&mut self.note);
        true
    }

    /// Takes over that it is over.
    pub fn resolve(&mut self, now: UnixNanos, why: &str) {
        self.state = AlertState::Resolved;
        self.ts_resolved = Some(now);
        why.clone_into(&mut self.resolution);
    }

    /// Returns what became of a notice on a channel.
    pub fn delivery(&self, notice: Notice, channel: &str) -> Option<Delivery> {
        self.deliveries.get(&notice)?.get(channel).copied()
    }

    /// Notes what became of a notice on a channel.
    pub fn set_delivery(&mut self, notice: Notice, channel: &str, delivery: Delivery) {
        let of_notice = self.deliveries.entry(notice).or_default();
        of_notice.insert(channel.to_owned(), delivery);
    }
}
