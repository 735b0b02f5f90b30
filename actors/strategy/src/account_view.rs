//! The whole account, as a strategy that asked for it sees it.

use apex_domain::account::Account;
use apex_domain::risk::{MarketView, TradingState};
use apex_domain::{Currency, InstrumentId, Money, UnixNanos};
use std::collections::BTreeMap;

/// What the account of a strategy has, owes and may do at one moment: to size positions by equity,
/// or to stay within what is free. All strategies of the account share it, so what is free may be
/// taken by another one before an order of this one arrives: the account decides, and denies.
///
/// In a backtest or replay it is as of the last market event, with that in its marks: a fill shows
/// with the next one. Live it is told whenever it changed, at most four times a second, so right
/// after a fill it may be a quarter of a second old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    pub base_currency: Currency,
    pub trading_state: TradingState,
    /// Money by currency; negative where it was borrowed.
    pub cash: BTreeMap<Currency, Money>,
    /// Cash and open positions at the newest marks, in base currency.
    pub equity: Money,
    /// Profit of open positions, in base currency.
    pub unrealized_pnl: Money,
    /// What positions hold as initial margin, in base currency.
    pub initial_margin: Money,
    /// What working orders need beyond that, in base currency.
    pub reserved_margin: Money,
    /// Collateral less initial and reserved margin, in base currency; may be negative.
    pub free_margin: Money,
    /// A mark or a conversion rate was missing or too old: the sums in base currency hold less
    /// than all.
    pub partial: bool,
}

impl AccountView {
    /// Returns an account at `now` in these markets; `None` before it was opened.
    pub fn of(
        account: &Account,
        now: UnixNanos,
        markets: impl IntoIterator<Item = (InstrumentId, MarketView)>,
    ) -> Option<AccountView> {
        let base_currency = account.base_currency()?.clone();
        let worth = account.worth_at(now, markets);
        Some(AccountView {
            base_currency,
            trading_state: account.trading_state(),
            cash: account.cash().clone(),
            equity: worth.equity.equity,
            unrealized_pnl: worth.equity.unrealized_pnl,
            initial_margin: worth.margin.initial,
            reserved_margin: worth.margin.reserved,
            free_margin: worth.margin.free,
            partial: worth.equity.partial || worth.margin.partial,
        })
    }

    /// Returns the cash of one currency, zero where there never was any.
    pub fn cash_of(&self, currency: &Currency) -> Money {
        self.cash.get(currency).copied().unwrap_or(Money::ZERO)
    }
}
