//! Answers about an account, read from its state.

use apex_bus::market::MarketHub;
use apex_bus::message::{
    AccountAnswer, AccountSummary, ClosingAnswer, JournalHealth, KillSwitchTimes, OrderFilter,
    Page, ReconcileState,
};
use apex_domain::account::{Account, Preview, Refusal};
use apex_domain::instrument::InstrumentKind;
use apex_domain::order::SubmitOrder;
use apex_domain::reconcile::DifferenceKind;
use apex_domain::risk::MarketView;
use apex_domain::{Currency, Instrument, InstrumentId, RequestId, UnixNanos};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Returns a page of orders, newest first.
pub fn orders(account: &Account, filter: &OrderFilter, page: &Page) -> AccountAnswer {
    let (orders, next) = filter.page(account, page);
    AccountAnswer::Orders { orders, next }
}

/// Returns a page of executions, oldest first.
pub fn executions(account: &Account, page: &Page) -> AccountAnswer {
    let (executions, next) = page.of_executions(account);
    AccountAnswer::Executions {
        executions: executions.to_vec(),
        next,
    }
}

/// Returns the market of everything that the account is valued by: what it holds, and what
/// converts the currencies of that and of its cash into its base currency, and into that of the
/// platform's exposure limit where there is one.
pub fn valued(account: &Account, hub: &MarketHub) -> Vec<(InstrumentId, MarketView)> {
    let held = account.positions().filter(|position| !position.is_flat());
    let mut ids: BTreeSet<&InstrumentId> = held.map(|position| &position.instrument_id).collect();
    let share = account.platform_share();
    let share = share.filter(|share| share.share.is_some());
    if share.is_some() {
        // What could still be held is measured too.
        let working = account.working_orders();
        ids.extend(working.map(|order| &order.request.instrument_id));
    }
    let cash = account.cash().iter();
    let cash = cash.filter(|(_, amount)| !amount.is_zero());
    let mut currencies: BTreeSet<&Currency> = cash.map(|(currency, _)| currency).collect();
    let known = |id: &&InstrumentId| account.instruments().get(*id);
    currencies.extend(
        ids.iter()
            .filter_map(known)
            .map(Instrument::profit_currency),
    );
    let targets = account.base_currency().into_iter();
    for target in targets.chain(share.map(|share| &share.currency)) {
        for currency in currencies.iter().filter(|currency| **currency != target) {
            ids.extend(conversions(account, currency, target));
        }
    }
    ids.into_iter()
        .filter_map(|id| hub.watched(id).map(|view| (id.clone(), view)))
        .collect()
}

/// Returns the market of everything that leaves by the clock until `now`: an order for the opening
/// or the close is measured by the market of its moment.
pub fn leaving(
    account: &Account,
    hub: &MarketHub,
    now: UnixNanos,
) -> Vec<(InstrumentId, MarketView)> {
    let due = account.release_times().take_while(|(at, _)| *at <= now);
    let ids: BTreeSet<&InstrumentId> = due.map(|(_, id)| id).collect();
    ids.into_iter()
        .filter_map(|id| hub.watched(id).map(|view| (id.clone(), view)))
        .collect()
}

/// Returns the spot instruments between two currencies; where there is none those of every way
/// over one third currency.
fn conversions<'a>(
    account: &'a Account,
    from: &Currency,
    to: &Currency,
) -> BTreeSet<&'a InstrumentId> {
    let spot = || {
        let all = account.instruments().values();
        all.filter(|instrument| instrument.kind == InstrumentKind::Spot)
    };
    let direct: BTreeSet<&InstrumentId> = spot()
        .filter(|instrument| other_side(instrument, from) == Some(to))
        .map(|instrument| &instrument.instrument_id)
        .collect();
    if !direct.is_empty() {
        return direct;
    }
    let reach = |end| -> BTreeSet<&Currency> {
        spot()
            .filter_map(|instrument| other_side(instrument, end))
            .collect()
    };
    let (near, far) = (reach(from), reach(to));
    let crosses = |instrument: &&Instrument| {
        let over = other_side(instrument, from).or_else(|| other_side(instrument, to));
        over.is_some_and(|third| near.contains(third) && far.contains(third))
    };
    spot()
        .filter(crosses)
        .map(|instrument| &instrument.instrument_id)
        .collect()
}

/// Returns what an instrument trades one of its currencies against.
fn other_side<'a>(instrument: &'a Instrument, currency: &Currency) -> Option<&'a Currency> {
    if instrument.base_currency == *currency {
        Some(&instrument.quote_currency)
    } else if instrument.quote_currency == *currency {
        Some(&instrument.base_currency)
    } else {
        None
    }
}

/// Returns what a new order would be and do now.
pub fn preview(
    account: &Account,
    hub: &MarketHub,
    now: UnixNanos,
    request: &SubmitOrder,
) -> Result<Preview, Refusal> {
    let id = &request.instrument_id;
    let definition = hub.instrument(id);
    account.preview(now, request, hub.reference(id), definition.as_ref())
}

/// Returns how the account stands with its venue.
pub fn reconciliation(account: &Account) -> ReconcileState {
    let reconciler = account.reconciler();
    let foreign = reconciler.external_orders().iter();
    ReconcileState {
        is_reconciled: account.is_reconciled(),
        report: reconciler.report().cloned(),
        foreign_orders: foreign
            .map(|order| {
                let is_canceled = account.is_foreign_cancel(&order.venue_order_id);
                (order.clone(), is_canceled)
            })
            .collect(),
    }
}

/// Returns how the closing stands that a request began; `None` where it began none.
pub fn closing(account: &Account, request_id: &RequestId) -> Option<ClosingAnswer> {
    let state = account.closing(request_id)?;
    let instrument_id = state.scope.instrument_id.as_ref();
    let strategy_id = state.scope.strategy_id.as_ref();
    let positions = account.positions().filter(|position| {
        !position.is_flat()
            && instrument_id.is_none_or(|id| *id == position.instrument_id)
            && strategy_id.is_none_or(|id| *id == position.strategy_id)
    });
    let filter = OrderFilter {
        instrument_id: instrument_id.cloned(),
        strategy_id: strategy_id.cloned(),
        working_only: true,
    };
    Some(ClosingAnswer {
        positions: positions.cloned().collect(),
        in_the_way: account
            .working_orders()
            .filter(|order| filter.wants(order))
            .count(),
        state,
    })
}

/// What the shell knows beside the account.
pub struct Links {
    pub journal: JournalHealth,
    pub venue_connected: bool,
    pub kill_switch: KillSwitchTimes,
    pub clock_ahead: Duration,
}

/// Every kind, since a counter that appears with its first value hides that value.
fn differences(account: &Account) -> BTreeMap<&'static str, u64> {
    let totals = account.reconciler().totals();
    let kinds = DifferenceKind::ALL.into_iter();
    kinds
        .map(|kind| (kind.as_str(), totals.get(&kind).copied().unwrap_or(0)))
        .collect()
}

/// Returns the account as it stands; `None` before it was opened.
pub fn summary(
    account: &Account,
    hub: &MarketHub,
    now: UnixNanos,
    links: Links,
) -> Option<AccountSummary> {
    let worth = account.worth_at(now, valued(account, hub));
    Some(AccountSummary {
        journal: links.journal,
        venue_connected: links.venue_connected && account.is_reconciled(),
        reconcile_differences: differences(account),
        margin: Some(worth.margin),
        attribution: worth.attribution,
        kill_switch: links.kill_switch,
        clock_ahead: links.clock_ahead,
        ..AccountSummary::of(account, &worth.equity)?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::support::{account, instrument};
    use apex_domain::Money;
    use apex_domain::account::{AccountInput, Effects};
    use apex_domain::market::{Level, Quote};
    use apex_domain::number::Decimal;
    use apex_domain::portfolio::DEFAULT_MAX_RATE_AGE_NS;
    use apex_domain::{Price, Quantity, RequestId};

    fn currency(text: &str) -> Currency {
        Currency::new(text).unwrap()
    }

    /// Spot instruments named by their currencies, such as `EUR/USD`, all with a market.
    fn world(pairs: &[&str], cash: &[&str]) -> (Account, MarketHub) {
        let (mut account, hub) = (account(), MarketHub::new());
        let mut apply = |input| account.apply(UnixNanos(2_000), input, &mut Effects::default());
        for pair in pairs {
            let (base, quote) = pair.split_once('/').unwrap();
            let mut definition = instrument().instrument;
            definition.instrument_id = InstrumentId::new(&format!("{base}{quote}.SIM")).unwrap();
            definition.base_currency = currency(base);
            definition.quote_currency = currency(quote);
            hub.define(definition.clone()).unwrap();
            let price = Some(Level {
                price: Price(100),
                quantity: Quantity(1),
            });
            hub.update(&definition.instrument_id, |view| {
                view.quote = Some(Quote {
                    instrument_id: definition.instrument_id.clone(),
                    bid: price,
                    ask: price,
                    ts_event: UnixNanos(1),
                    ts_init: UnixNanos(1),
                });
            });
            apply(AccountInput::DefineInstrument(Box::new(definition)));
        }
        for code in cash {
            apply(AccountInput::AdjustCash {
                request_id: Some(RequestId::new(code).unwrap()),
                currency: currency(code),
                amount: Money::parse("1").unwrap(),
                reason: String::new(),
            });
        }
        (account, hub)
    }

    fn check(pairs: &[&str], cash: &[&str], expected: &[&str]) {
        let (account, hub) = world(pairs, cash);
        let found: Vec<String> = valued(&account, &hub)
            .iter()
            .map(|(id, _)| id.symbol().to_owned())
            .collect();
        assert_eq!(found, expected, "{pairs:?} {cash:?}");
    }

    fn told(account: &Account, hub: &MarketHub, now: i64) -> (String, bool) {
        let links = Links {
            journal: JournalHealth::Ready,
            venue_connected: true,
            kill_switch: KillSwitchTimes::default(),
            clock_ahead: Duration::ZERO,
        };
        let summary = summary(account, hub, UnixNanos(now), links).unwrap();
        (summary.equity.0.to_string(), summary.partial)
    }

    #[test]
    fn cash_in_another_currency_is_equity_while_its_rate_is_fresh() {
        let (account, hub) = world(&["BTC/USDT"], &[]);
        let before = told(&account, &hub, 2_000).0.parse::<Decimal>().unwrap();
        let (account, hub) = world(&["BTC/USDT"], &["BTC"]);
        let price = account.instruments().values().last().unwrap();
        let price = price.price_decimal(Price(100));
        let with = |amount: Decimal| amount.normalize().to_string();
        let (equity, partial) = told(&account, &hub, 2_000);
        let equity = equity.parse::<Decimal>().unwrap();
        assert_eq!((with(equity), partial), (with(before + price), false));
        // The quote is of the first nanosecond.
        let old = 2 + DEFAULT_MAX_RATE_AGE_NS;
        let (equity, partial) = told(&account, &hub, old);
        let equity = equity.parse::<Decimal>().unwrap();
        assert_eq!((with(equity), partial), (with(before), true));
    }

    #[test]
    fn the_answer_tells_margin_and_whose_profit_it_is() {
        let (account, hub) = world(&["BTC/USDT"], &["BTC"]);
        let links = Links {
            journal: JournalHealth::Ready,
            venue_connected: true,
            kill_switch: KillSwitchTimes::default(),
            clock_ahead: Duration::ZERO,
        };
        let summary = summary(&account, &hub, UnixNanos(2_000), links).unwrap();
        let margin = summary.margin.unwrap();
        // There are no positions, so all of the equity is collateral and free.
        assert_eq!(
            (margin.collateral, margin.free),
            (summary.equity, summary.equity)
        );
        assert!(!margin.partial && !summary.attribution.partial);
    }

    /// The account counts in USDT.
    #[test]
    fn cash_is_valued_by_its_pair_or_over_a_third_currency() {
        let pairs = ["BTC/USDT", "EUR/USD", "USD/USDT", "ETH/BTC", "EUR/GBP"];
        check(&pairs, &[], &[]);
        check(&pairs, &["USDT"], &[]);
        check(&pairs, &["BTC"], &["BTCUSDT"]);
        check(&pairs, &["USD", "BTC"], &["BTCUSDT", "USDUSDT"]);
        check(&pairs, &["EUR"], &["EURUSD", "USDUSDT"]);
        check(&pairs, &["ETH"], &["BTCUSDT", "ETHBTC"]);
        check(&pairs, &["GBP"], &[]);
    }
}
