//! The summary of a replay, in the form that `--json` prints.

use crate::NodeError;
use crate::metrics;
use crate::up::QuietNode;
use apex_bus::handle::AccountHandle;
use apex_bus::message::AccountSummary;
use apex_bus::topic::TopicStats;
use apex_domain::{Currency, Instrument, Money};
use apex_market_data::replay::{BadFrame, FeedSummary, ReplayFeed};
use serde::Serialize;
use std::collections::BTreeMap;

/// See the module. Decimals are strings, counts are numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub mode: &'static str,
    pub state_hash: String,
    #[serde(flatten)]
    pub feed: FeedSummary,
    /// The first lines that could not be read, and why.
    pub bad_lines: Vec<BadLine>,
    pub wall_seconds: f64,
    pub ticks_per_second: f64,
    pub orders: u64,
    pub fills: u64,
    pub journal_records: u64,
    /// What subscribers were told that they missed: by topic, by subscriber.
    pub dropped: BTreeMap<String, BTreeMap<String, u64>>,
    pub accounts: BTreeMap<String, AccountPart>,
    /// True when instrument definitions were taken from the data.
    pub inferred_instruments: bool,
    /// The venue's models that were chosen; empty when all are the default ones.
    pub assumptions: Vec<String>,
    pub data_dir: String,
}

/// A line of a recording that was counted and skipped.
#[derive(Clone, Debug, Serialize)]
pub struct BadLine {
    pub file: String,
    pub line: u64,
    pub reason: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct AccountPart {
    pub base_currency: String,
    pub equity: String,
    /// A mark or conversion rate is missing, so that equity holds less than all.
    pub partial: bool,
    pub cash: BTreeMap<String, String>,
    pub realized_pnl: BTreeMap<String, String>,
    pub unrealized_pnl: String,
    pub fees: BTreeMap<String, String>,
    pub positions: Vec<PositionPart>,
}

#[derive(Clone, Debug, Serialize)]
pub struct PositionPart {
    pub instrument_id: String,
    pub strategy_id: String,
    pub quantity: String,
    pub average_price: Option<String>,
    pub realized_pnl: String,
}

/// Collects the summary from a node that serves nobody any more.
///
/// Errors: [`NodeError`] when an account does not answer.
pub async fn collect(
    node: &QuietNode,
    feed: &ReplayFeed,
    wall_seconds: f64,
) -> Result<Summary, NodeError> {
    let mut accounts = Vec::new();
    for handle in node.platform.accounts.all().values() {
        accounts.push(summary_of(handle).await?);
    }
    let hash = apex_domain::hash::state_hash(
        accounts
            .iter()
            .map(|account| (&account.account_id, account.sequence, account.state_hash)),
    );
    let bad_lines = feed.bad_frames().iter().map(bad_line).collect();
    let feed = feed.summary();
    let instruments = node.platform.market.instruments();
    Ok(Summary {
        mode: "replay",
        state_hash: format!("{hash:016x}"),
        bad_lines,
        wall_seconds,
        ticks_per_second: if wall_seconds > 0.0 {
            feed.ticks as f64 / wall_seconds
        } else {
            0.0
        },
        orders: accounts.iter().map(|account| account.orders as u64).sum(),
        fills: accounts
            .iter()
            .map(|account| account.executions as u64)
            .sum(),
        journal_records: accounts.iter().map(|account| account.sequence).sum(),
        dropped: dropped(&node.topics),
        accounts: accounts
            .iter()
            .map(|account| part(account, &instruments))
            .collect(),
        inferred_instruments: true,
        assumptions: Vec::new(),
        data_dir: String::new(),
        feed,
    })
}

fn bad_line(bad: &BadFrame) -> BadLine {
    BadLine {
        file: bad.path.display().to_string(),
        line: bad.line,
        reason: bad.reason.clone(),
    }
}

async fn summary_of(handle: &AccountHandle) -> Result<AccountSummary, NodeError> {
    handle
        .summary()
        .await
        .map_err(|error| NodeError::Step(error.to_string()))
}

fn dropped(topics: &[TopicStats]) -> BTreeMap<String, BTreeMap<String, u64>> {
    let of = |topic: &TopicStats| (topic.name.to_string(), metrics::dropped(topic));
    topics.iter().map(of).collect()
}

fn part(account: &AccountSummary, instruments: &[Instrument]) -> (String, AccountPart) {
    let text = |amounts: &BTreeMap<Currency, Money>| {
        amounts
            .iter()
            .map(|(currency, amount)| (currency.to_string(), amount.to_string()))
            .collect()
    };
    let positions = account.positions.iter().filter_map(|position| {
        let instrument = instruments
            .iter()
            .find(|known| known.instrument_id == position.instrument_id)?;
        let quantity = apex_domain::number::format_mantissa(
            i128::from(position.quantity),
            instrument.quantity_decimals,
        );
        Some(PositionPart {
            instrument_id: position.instrument_id.to_string(),
            strategy_id: position.strategy_id.to_string(),
            quantity,
            average_price: position
                .average_price(instrument)
                .map(|price| price.normalize().to_string()),
            realized_pnl: position.realized_pnl.to_string(),
        })
    });
    let part = AccountPart {
        base_currency: account.base_currency.to_string(),
        equity: account.equity.to_string(),
        partial: account.partial,
        cash: text(&account.cash),
        realized_pnl: text(&account.realized_pnl),
        unrealized_pnl: account.unrealized_pnl.to_string(),
        fees: text(&account.fees),
        positions: positions.collect(),
    };
    (account.account_id.to_string(), part)
}
