//! The whole account, told to a strategy that asked for it: when it changed, and how often.

use apex_bus::message::AccountSummary;
use apex_domain::{Money, UnixNanos};
use apex_proto::convert::{account, enums};
use apex_proto::v1;
use apex_strategy::AccountView;

/// No strategy needs its account more than four times a second: what an order may do is decided
/// with the order.
const SHORTEST_PAUSE_NS: i64 = 250_000_000;

/// Marks move without any event of the account; so often equity is looked at all the same.
const MARKS_NS: i64 = 1_000_000_000;

/// Returns an account as its strategies see it.
pub fn view(summary: &AccountSummary) -> AccountView {
    let margin = summary.margin.as_ref();
    let of =
        |amount: fn(&apex_domain::portfolio::Margin) -> Money| margin.map_or(Money::ZERO, amount);
    AccountView {
        base_currency: summary.base_currency.clone(),
        trading_state: summary.trading_state,
        cash: summary.cash.clone(),
        equity: summary.equity,
        unrealized_pnl: summary.unrealized_pnl,
        initial_margin: of(|margin| margin.initial),
        reserved_margin: of(|margin| margin.reserved),
        free_margin: of(|margin| margin.free),
        partial: summary.partial || margin.is_none_or(|margin| margin.partial),
    }
}

fn write(view: &AccountView) -> v1::StrategyAccount {
    v1::StrategyAccount {
        base_currency: view.base_currency.to_string(),
        trading_state: enums::trading_state(view.trading_state).into(),
        cash: account::amounts(&view.cash),
        equity: view.equity.to_string(),
        unrealized_pnl: view.unrealized_pnl.to_string(),
        initial_margin: view.initial_margin.to_string(),
        reserved_margin: view.reserved_margin.to_string(),
        free_margin: view.free_margin.to_string(),
        partial: view.partial,
    }
}

/// When the account is to be looked at, and what the strategy knows of it.
#[derive(Debug)]
pub struct AccountWatch {
    is_wanted: bool,
    /// When the account was asked last; it has not answered while `is_asked`.
    asked_at: UnixNanos,
    is_asked: bool,
    due: UnixNanos,
    told: Option<AccountView>,
    /// Newer than `told`; it waits for a batch.
    news: Option<AccountView>,
}

impl AccountWatch {
    pub fn new(is_wanted: bool) -> AccountWatch {
        AccountWatch {
            is_wanted,
            asked_at: UnixNanos::MIN,
            is_asked: false,
            due: UnixNanos::MIN,
            told: None,
            news: None,
        }
    }

    /// Begins with the account that the welcome tells; `None` where nobody asked for it.
    pub fn begin(
        &mut self,
        now: UnixNanos,
        summary: &AccountSummary,
    ) -> Option<v1::StrategyAccount> {
        if !self.is_wanted {
            return None;
        }
        self.asked_at = now;
        self.due = now.plus(MARKS_NS);
        let view = view(summary);
        let written = write(&view);
        self.told = Some(view);
        Some(written)
    }

    /// Returns when the account is to be asked.
    pub fn due(&self) -> Option<UnixNanos> {
        (self.is_wanted && !self.is_asked).then_some(self.due)
    }

    /// The account decided something.
    pub fn moved(&mut self) {
        self.due = self.due.min(self.asked_at.plus(SHORTEST_PAUSE_NS));
    }

    /// Returns true when the account is to be asked now.
    pub fn ask(&mut self, now: UnixNanos) -> bool {
        if self.due().is_none_or(|due| now < due) {
            return false;
        }
        self.is_asked = true;
        self.asked_at = now;
        self.due = now.plus(MARKS_NS);
        true
    }

    /// Takes the account's answer; without one it is asked again later.
    pub fn answered(&mut self, summary: Option<&AccountSummary>) {
        self.is_asked = false;
        if let Some(summary) = summary
            && self.is_wanted
        {
            let view = view(summary);
            self.news = (self.told.as_ref() != Some(&view)).then_some(view);
        }
    }

    /// Returns what is to be told, once.
    pub fn take(&mut self) -> Option<v1::StrategyAccount> {
        let view = self.news.take()?;
        let written = write(&view);
        self.told = Some(view);
        Some(written)
    }

    pub fn has_news(&self) -> bool {
        self.news.is_some()
    }
}
