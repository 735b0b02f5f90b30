//! The summary of a backtest, as the command line prints it.

use serde::Serialize;

/// Everything that a backtest says. Decimals are text; see CONTRACT for the names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BacktestReport {
    /// Market events taken.
    pub events: u64,
    pub wall_seconds: f64,
    pub events_per_second: f64,
    /// Orders, denied and rejected ones included.
    pub orders: u64,
    /// In the order in which they happened.
    pub fills: Vec<FillRow>,
    /// Cash plus open positions at their last mark.
    pub final_equity: String,
    /// Profit of what was closed, before fees.
    pub realized_pnl: String,
    pub fees: String,
    /// Funding that was received, less what was paid.
    pub funding: String,
    /// Dividends that were received, less what was paid; only with corporate actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dividends: Option<String>,
    /// The largest fall of the equity from a peak, as a positive amount; equity is marked after
    /// every event and begins with the start cash.
    pub max_drawdown: String,
    /// What is open at the end, signed, of the first instrument.
    pub position: String,
    /// The same by instrument, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<PositionRow>,
    pub metrics: Metrics,
    pub warnings: Vec<String>,
    pub assumptions: Vec<String>,
    /// Hex.
    pub state_hash: String,
}

/// One execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FillRow {
    /// The time cell of the row that it filled on.
    pub ts_ns: i64,
    pub side: &'static str,
    pub quantity: String,
    pub price: String,
    pub fee: String,
    /// Only where the data holds several instruments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instrument_id: Option<String>,
}

/// What is open in one instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PositionRow {
    pub instrument_id: String,
    pub position: String,
}

/// Statistics of the run. What cannot be computed is `null`, never NaN.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// `final_equity / start_cash - 1`; `null` without start cash.
    pub total_return: Option<String>,
    /// Round trips: from flat to flat, or to the other side.
    pub trades: u64,
    /// Round trips that made money after fees.
    pub wins: u64,
    /// Round trips that lost money after fees.
    pub losses: u64,
    /// Share of wins among round trips.
    pub win_rate: Option<String>,
    /// Money won by round trips over money lost; `null` without a loss.
    pub profit_factor: Option<String>,
    /// Mean profit of a round trip, after fees.
    pub average_trade: Option<String>,
    /// Mean over sample standard deviation of the daily changes of equity (days in UTC that have
    /// data), times the square root of 252, with no risk-free rate; `null` under two days.
    pub sharpe: Option<String>,
}

impl BacktestReport {
    /// Returns the report as one line of JSON.
    pub fn to_json(&self) -> String {
        // Numbers, texts and lists: none of these types refuses to be written.
        serde_json::to_string(self).expect("a report is JSON")
    }
}
