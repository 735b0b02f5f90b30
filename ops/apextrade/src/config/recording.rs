//! For how long market data is kept.

use super::environment_name;
use anyhow::{Result, anyhow};
use apex_node::recorder::Retention;
use std::collections::BTreeMap;

/// Reads the days of each kind.
///
/// Errors: what is no number of days.
pub(super) fn read(values: &BTreeMap<String, String>) -> Result<Retention> {
    let days = |key: &str, default: u16| match values.get(key) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| {
            let name = environment_name(key);
            anyhow!(
                "{name} is \"{text}\": it must be a number of days from 0 (not recorded) to 65535"
            )
        }),
    };
    let usual = Retention::default();
    Ok(Retention {
        trades: days("record_trades_days", usual.trades)?,
        quotes: days("record_quotes_days", usual.quotes)?,
        bars: days("record_bars_days", usual.bars)?,
    })
}
