//! What is watched, and when that is an alert.

use crate::id::{AccountId, InstrumentId};
use crate::money::Rate;
use crate::time::{NANOS_PER_DAY, UnixNanos};
use serde::{Deserialize, Serialize};

/// Rules that there may be: each is looked at with each reading of its kind.
pub const MAX_RULES: usize = 500;

/// The longest hold, cooldown and window.
pub const MAX_HOLD_NS: i64 = 7 * NANOS_PER_DAY;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// Which price of an instrument is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PriceSide {
    Bid,
    Ask,
    Last,
    /// Halfway between bid and ask; not known while one of them is missing.
    Mid,
}

impl PriceSide {
    pub fn as_str(self) -> &'static str {
        match self {
            PriceSide::Bid => "bid",
            PriceSide::Ask => "ask",
            PriceSide::Last => "last",
            PriceSide::Mid => "mid",
        }
    }
}

/// How a price meets its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PriceWhen {
    /// At the level or above it.
    Above,
    /// At the level or below it.
    Below,
    /// On the other side than it was seen on before. At exactly the level it is on no side.
    Crosses,
}

/// How a number meets its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// At the level or above it.
    Above,
    /// At the level or below it.
    Below,
}

/// Which profit of an account is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PnlMeasure {
    /// What its closed positions made, less fees, with funding, at today's rates.
    Realized,
    /// What its open positions would make.
    Unrealized,
    /// How its equity moved since 00:00 UTC, without what was paid in and out.
    Day,
}

impl PnlMeasure {
    pub fn as_str(self) -> &'static str {
        match self {
            PnlMeasure::Realized => "realized profit",
            PnlMeasure::Unrealized => "unrealized profit",
            PnlMeasure::Day => "profit of the day",
        }
    }
}

/// Whose silence is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeedScope {
    /// Each instrument by itself.
    All,
    /// One instrument.
    Instrument(InstrumentId),
    /// All instruments of a venue together: its feed is silent when each of them is.
    Venue(String),
}

/// What is watched. A part that is left out, such as the account, is each of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Watch {
    /// A price, in quote currency.
    Price {
        instrument_id: InstrumentId,
        side: PriceSide,
        when: PriceWhen,
        level: Rate,
        /// How far beyond the level it has to go back until the alert is over.
        rearm: Rate,
    },
    /// A profit, in the account's base currency.
    Pnl {
        account_id: Option<AccountId>,
        measure: PnlMeasure,
        direction: Direction,
        level: Rate,
        rearm: Rate,
    },
    /// The fall of the equity from its highest, as a share of that; above 0, at most 1.
    Drawdown {
        account_id: Option<AccountId>,
        share: Rate,
        rearm: Rate,
    },
    /// No market data for so long.
    Stale { scope: FeedScope, after_ns: i64 },
    /// So many orders denied by us or rejected by the venue within the window.
    Rejects {
        account_id: Option<AccountId>,
        count: u32,
        window_ns: i64,
    },
    /// A part of the platform that says that it is not well; empty is each.
    Component { name: String },
    /// Free space of a disk; empty is each. At or below either of the two.
    Disk {
        path: String,
        free_bytes: Option<u64>,
        free_share: Option<Rate>,
    },
    /// A certificate that ends within so many days, or has ended.
    Certificate { days: u32 },
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `[A-Za-z0-9._-]{1,64}`; it stays.
    pub rule_id: String,
    /// Grows by one with each change.
    pub version: u64,
    /// In words; what an alert is called.
    pub title: String,
    pub enabled: bool,
    pub severity: Severity,
    pub watch: Watch,
    /// How long it has to last until it is an alert; 0 at once.
    pub hold_ns: i64,
    /// How long after one alert of a subject there is no other one.
    pub cooldown_ns: i64,
    /// Where it is sent; empty is every channel.
    pub channels: Vec<String>,
    /// Its end is sent too.
    pub notify_resolved: bool,
    pub updated: UnixNanos,
    pub updated_by: String,
}

impl Rule {
    /// Returns the account that it names.
    pub fn account_id(&self) -> Option<&AccountId> {
        match &self.watch {
            Watch::Pnl { account_id, .. }
            | Watch::Drawdown { account_id, .. }
            | Watch::Rejects { account_id, .. } => account_id.as_ref(),
            _ => None,
        }
    }

    /// Returns true when it is about accounts, named or not.
    pub fn is_of_accounts(&self) -> bool {
        matches!(
            self.watch,
            Watch::Pnl { .. } | Watch::Drawdown { .. } | Watch::Rejects { .. }
        )
    }

    /// Returns true when a notice goes to the channel.
    pub fn sends_to(&self, channel: &str) -> bool {
        self.channels.is_empty() || self.channels.iter().any(|name| name == channel)
    }
}
